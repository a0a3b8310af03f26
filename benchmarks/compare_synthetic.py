"""Compare generated people with the recordings of WISDM 2019.

`python -m benchmarks.compare_synthetic PATH`, where PATH is the folder of the 36 files
`data_<user>_accel_watch.txt`. For every activity the script prints one row for the real people and
one for the generated ones: means over people of what each person's windows of 4 seconds show, with
the standard deviation between people after "±". It also prints how long 1,000 people take.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clients.recordings import Recording, read_recordings
from clients.synthetic import synthesize

RATE_HZ = 20.0
WINDOW = 80  # samples: 4 s
SPECTRUM = 256  # samples: 12.8 s
BAND_HZ = (0.4, 6.0)

Samples = NDArray[np.float32]


def by_activity(recordings: Sequence[Recording]) -> dict[str, list[Samples]]:
    """Group samples by activity, one entry for each person."""
    grouped: dict[str, list[Samples]] = {}
    for recording in recordings:
        grouped.setdefault(recording.activity, []).append(recording.samples)
    return grouped


def dominant_hz(samples: Samples) -> float:
    """Return the median over 12.8 s spans of the strongest frequency of the magnitude."""
    spans = len(samples) // SPECTRUM
    magnitude = np.linalg.norm(samples[: spans * SPECTRUM], axis=1).reshape(spans, SPECTRUM)
    magnitude -= magnitude.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(magnitude * np.hanning(SPECTRUM), n=1024, axis=1)) ** 2
    frequencies = np.fft.rfftfreq(1024, 1.0 / RATE_HZ)
    inside = (frequencies > BAND_HZ[0]) & (frequencies < BAND_HZ[1])
    return float(np.median(frequencies[inside][power[:, inside].argmax(axis=1)]))


def figures(samples: Samples) -> NDArray[np.float64]:
    """Return one person's figures in one activity, float64 [11].

    They are mean x, y, z; deviation within a window of x, y, z and of the magnitude; mean
    magnitude; dominant frequency; how far the windows' mean vectors stray (drift in posture); and
    how much their deviations vary (drift in vigour, a share).
    """
    count = len(samples) // WINDOW
    windows = samples[: count * WINDOW].reshape(count, WINDOW, 3).astype(np.float64)
    means, deviations = windows.mean(axis=1), windows.std(axis=1)
    magnitude = np.linalg.norm(windows, axis=2)
    vigour = magnitude.std(axis=1)
    stray = np.sqrt((means.std(axis=0) ** 2).sum())
    return np.array(
        [
            *means.mean(axis=0),
            *deviations.mean(axis=0),
            vigour.mean(),
            magnitude.mean(),
            dominant_hz(samples),
            stray,
            vigour.std() / vigour.mean(),
        ]
    )


def table(real: Mapping[str, list[Samples]], made: Mapping[str, list[Samples]]) -> str:
    """Return the comparison as a Markdown table, real above generated."""
    heads = ["mean x", "mean y", "mean z", "sd x", "sd y", "sd z", "sd magnitude"]
    heads += ["mean magnitude", "dominant Hz", "posture drift", "vigour drift"]
    lines = ["| activity | people | " + " | ".join(heads) + " |"]
    lines.append("| --- | --- |" + " --- |" * len(heads))
    for activity in real:
        for source, people in (("real", real[activity]), ("made", made[activity])):
            values = np.stack([figures(samples) for samples in people if len(samples) > SPECTRUM])
            means, spreads = values.mean(axis=0), values.std(axis=0)
            cells = [f"{m:.2f} ± {s:.2f}" for m, s in zip(means, spreads, strict=True)]
            lines.append(f"| {activity} | {source} {len(values)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="folder of the WISDM 2019 watch files")
    parser.add_argument("--people", type=int, default=180, help="how many people to generate")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    recordings, _ = read_recordings(arguments.path, source="wisdm-2019", rate_hz=RATE_HZ)
    activities = sorted({recording.activity for recording in recordings})
    seed = arguments.seed
    generated = synthesize(arguments.people, activities, rate_hz=RATE_HZ, seed=seed)
    real, made = by_activity(recordings), by_activity(generated)
    print(table(real, made))
    started = time.perf_counter()
    synthesize(1000, activities[:5], rate_hz=RATE_HZ, seed=seed)
    print(f"\n1,000 people x 5 activities x 3 minutes: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
