"""How fast and in how much memory are WISDM files read?

    python benchmarks/read_recordings.py [--watch FOLDER] [--repeats N]

Reads the 2019 watch folder (unpacked from ../shared/wisdm unless FOLDER is given) and a generated
file in the form of v1.1 raw, 1,098,207 rows with the dirt of the real one on 0.1% of its lines.
Everything runs on one core; on a busy machine processor time is the figure to go by. Memory is
the growth of a fresh process from before to its peak.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from clients.recordings import read_recordings
from clients.wisdm.defects import DefectLog
from clients.wisdm.parser import read_rows
from clients.wisdm.rows import LINE_FORMS
from clients.wisdm.sources import find_files

ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "wisdm" / "wisdm2019-watch.tar.xz"
ROWS = 1_098_207
NAMES = ("Walking", "Jogging", "Upstairs", "Downstairs", "Sitting", "Standing")

CHILD = """
import sys
from pathlib import Path
from clients.recordings import read_recordings

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))

before = status("VmRSS")
recordings, report = read_recordings(sys.argv[1], source="auto", rate_hz=20.0)
print((status("VmHWM") - before) * 1024)
"""


def write_dirty(path: Path) -> None:
    """Write a file like WISDM v1.1 raw: 36 users in uneven runs, 0.1% of the lines dirty."""
    chance = np.random.default_rng(11)
    samples = np.round(chance.normal(0, 5, size=(ROWS, 3)), 6)
    starts = np.sort(chance.choice(ROWS, 800, replace=False))
    run = np.searchsorted(starts, np.arange(ROWS))
    users = (36 * chance.random(801) ** 2).astype(int) + 1
    names = chance.integers(0, 6, 801)
    dirty = chance.random(ROWS) < 0.001
    kinds = chance.integers(0, 6, ROWS)
    with path.open("w") as out:
        for i in range(ROWS):
            x, y, z = samples[i]
            head = f"{users[run[i]]},{NAMES[names[run[i]]]},{49_105_962_326_000 + i * 50_000_000}"
            line = f"{head},{x},{y},{z};\n"
            if dirty[i]:
                line = (
                    f"{head},{x},{y},{z};",
                    f"{head},{x},,;\n",
                    f"{head},{x},{y},{z},;\n",
                    "\n",
                    f"{head[: head.rindex(',')]},0,0,0,0;\n",
                    f"{line}{line}",
                )[kinds[i]]
            out.write(line)


def parse(path: Path) -> int:
    """Parse without sorting or resampling; returns rows."""
    found = find_files(path, "auto")
    log = DefectLog()
    form = LINE_FORMS[found.source]
    return sum(read_rows(file, i, form, log)[2] for i, file in enumerate(found.files))


def read(path: Path) -> int:
    """Read from text to recordings at 20 Hz; returns rows."""
    _, report = read_recordings(path, source="auto", rate_hz=20.0)
    return report.rows_read


def speed(work: Callable[[Path], int], path: Path, repeats: int) -> str:
    """Return median rows per second of processor time and of wall time, after one warm-up run."""
    work(path)
    speeds = []
    for _ in range(repeats):
        wall, busy = time.perf_counter(), time.process_time()
        rows = work(path)
        speeds.append((rows / (time.process_time() - busy), rows / (time.perf_counter() - wall)))
    busy_speed, wall_speed = (statistics.median(column) for column in zip(*speeds, strict=True))
    return f"{busy_speed:12,.0f} rows per processor second, {wall_speed:12,.0f} per second of wall"


def report(title: str, path: Path, repeats: int) -> None:
    files = find_files(path, "auto").files
    size = sum(file.stat().st_size for file in files)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    growth = int(child.stdout)
    print(f"{title}: {size / 1e6:.0f} MB")
    print(f"  parse             {speed(parse, path, repeats)}")
    print(f"  parse + resample  {speed(read, path, repeats)}")
    print(f"  memory growth     {growth / 1e6:9.0f} MB = {growth / size:.2f} x file size")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--watch", type=Path, help="folder of data_<user>_accel_watch.txt")
    arguments.add_argument("--repeats", type=int, default=5)
    options = arguments.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        watch = options.watch
        if watch is None:
            with tarfile.open(ARCHIVE) as packed:
                packed.extractall(folder, filter="data")
            watch = Path(folder) / "watch"
        report("WISDM 2019 watch", watch, options.repeats)
        dirty = Path(folder) / "WISDM_ar_v1.1_raw.txt"
        write_dirty(dirty)
        report("generated v1.1", dirty, options.repeats)


if __name__ == "__main__":
    main()
