"""Is this machine fit for Wearfleet? Each check says what it found and, if need be, what to do."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from simulator.licences import required

__all__ = ["Finding", "look"]

_GIB = 2**30
_NEEDED_GIB = 2.0  # of memory, for the smallest runs
_STORE_GIB = 0.5  # of shared memory, which Ray is started with
_DISK_GIB = 5.0  # on which a large run's checkpoints fit
_FILES = 1024  # that may be open at once
_LONGEST_S = 180.0
_CGROUP, _OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

_IMPORT = """
import importlib, json, sys
for name in sys.argv[1:]:
    print(json.dumps([name, "the process ended"]), flush=True)
    try:
        importlib.import_module(name)
        told = ""
    except BaseException as error:
        told = f"{type(error).__name__}: {error}"
    print(json.dumps([name, " ".join(told.split())]), flush=True)
"""
_WITHOUT_RAY = "runs with `--workers 1` need no Ray"
_COMPUTE = """
import tensorflow as tf
double = tf.function(lambda x: x + x, jit_compile=True)
assert float(double(tf.constant(21.0))) == 42.0
"""
_PARALLEL = """
from simulator.running.on_ray import OnRay
workers = OnRay(2)
assert len(workers.nodes) == 2
workers.stop()
"""


class Finding(NamedTuple):
    """What one check found.

    Attributes:
        what: was looked at.
        verdict: "ok"; "note", where some runs will not work, or slowly; "fails", where none will.
        found: in words.
        advice: what to do, empty where nothing is to be done.
    """

    what: str
    verdict: Literal["ok", "note", "fails"]
    found: str
    advice: str = ""


def look(folder: Path, *, quick: bool = False) -> Iterator[Finding]:
    """Check this machine, one thing after the other.

    Args:
        folder: in which runs would be written.
        quick: whether to leave out what computes with TensorFlow and Ray.
    """
    yield _python()
    yield from _packages()
    yield _imports(folder)
    yield _cores()
    yield _memory()
    yield _disk(folder)
    yield _shared_memory()
    yield _open_files()
    yield _terminal()
    if not quick:
        yield _tried("TensorFlow", _COMPUTE, "it loads, and compiles with XLA", "reinstall it")
        yield _tried("Ray", _PARALLEL, "two workers start", _WITHOUT_RAY, without="note")
    yield _nginx()


def _python() -> Finding:
    allowed = SpecifierSet(distribution("wearfleet").metadata["Requires-Python"])
    found = platform.python_version()
    if allowed.contains(found):
        return Finding("Python", "ok", found)
    return Finding("Python", "fails", found, f"install one of {allowed}")


def _packages() -> Iterator[Finding]:
    """Check that what Wearfleet needs is there, in versions that it works with."""
    wanted = required(distribution("wearfleet"))
    wrong = [(one, found) for one in wanted if (found := _wrong_version(one)) is not None]
    absent = {one.name for one, _ in wrong}
    broken = _broken([one.name for one in wanted if one.name not in absent] + ["ray"])
    if not wrong and not broken:
        yield Finding("packages", "ok", f"wearfleet {version('wearfleet')}, and all that it needs")
    for one, found in wrong:
        advice = f'python -m pip install "{one.name}{one.specifier}"'
        yield Finding(one.name, "fails", found, advice)
    for name, told in broken.items():
        found = f"cannot be imported ({told:.200})"
        advice = f"python -m pip install --force-reinstall {name}"
        if name == "ray":
            yield Finding(name, "note", found, f"{advice}; {_WITHOUT_RAY}")
        else:
            yield Finding(name, "fails", found, advice)


def _broken(names: Sequence[str]) -> dict[str, str]:
    """Import packages in a process of its own; returns what those say that cannot be.

    Behind one that ends the process, or never comes back, another process goes on.
    """
    modules = {name.replace("-", "_"): name for name in names}
    left, said = list(modules), dict[str, str]()
    while left:
        done = _ran(_IMPORT, *left)
        last = ""
        for line in done.stdout.splitlines():
            with suppress(ValueError, TypeError, KeyError):  # packages may print, too
                name, told = json.loads(line)
                said[modules[name]], last = told, name
        if not last:
            return {modules[left[0]]: "Python does not start"}
        if said[modules[last]] and done.returncode is None:
            said[modules[last]] = f"nothing after {_LONGEST_S:.0f} s"
        left = left[left.index(last) + 1 :]
    return {name: told for name, told in said.items() if told}


def _wrong_version(wanted: Requirement) -> str | None:
    """Return which version is there, if it is not one of those wanted."""
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return "not installed"
    return None if wanted.specifier.contains(found, prereleases=True) else found


def _imports(folder: Path) -> Finding:
    """Check that Python finds Wearfleet's packages, and not others of the same name."""
    home = Path(__file__).parents[1]
    for name in ("clients", "server", "simulator"):
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin) if spec is not None and spec.origin else None
        if origin is None or origin.parents[1] != home:
            advice = f"start Python in another folder, or rename {name} in {folder}"
            return Finding("imports", "fails", f"`{name}` is {origin}, not Wearfleet's", advice)
    return Finding("imports", "ok", str(home))


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    found = f"{cores} of {os.cpu_count()} may be used"
    return Finding("cores", "ok", found) if cores > 1 else Finding("cores", "note", found, "runs "
        "take one worker; more cores compute more devices at once")  # fmt: skip


def _memory() -> Finding:
    """Check the memory that is free now."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return Finding("memory", "note", "not told by this system", "Linux is what is tested")
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    free, total = (kib[name] * 1024 / _GIB for name in ("MemAvailable", "MemTotal"))
    limits = [(left / _GIB, most / _GIB) for left, most in _limits()]
    free, total = min([(free, total), *limits])
    of_container = " (as this container may use)" if (free, total) in limits else ""
    found = f"{free:.1f} of {total:.1f} GiB free{of_container}"
    if free >= _NEEDED_GIB:
        return Finding("memory", "ok", found)
    return Finding("memory", "note", found, f"close something: a run takes {_NEEDED_GIB:.0f} GiB "
        "and more, a worker one of its own; `--workers 1` takes least")  # fmt: skip


def _limits() -> Iterator[tuple[int, int]]:
    """Yield what control groups (version 2) leave of memory, and allow in all; bytes."""
    own = ""
    with suppress(OSError):
        lines = _OWN_CGROUP.read_text().splitlines()
        own = next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")
    for folder in (_CGROUP / own, *(_CGROUP / own).parents):
        if not folder.is_relative_to(_CGROUP):
            return
        with suppress(OSError, ValueError, KeyError):  # "max", or none there
            most = int((folder / "memory.max").read_text())
            used = int((folder / "memory.current").read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            yield max(0, most - used + int(stat["inactive_file"])), most


def _disk(folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free / _GIB
    except OSError as error:
        told = f"{folder}: {error.strerror}"
        return Finding("disk", "note", told, "start it in a folder in which runs can be written")
    found = f"{free:.1f} GiB free in {folder}"
    if free >= _DISK_GIB:
        return Finding("disk", "ok", found)
    return Finding("disk", "note", found, "write runs elsewhere by `--out`, or keep fewer "
        "checkpoints (`--set checkpoints.keep=1`)")  # fmt: skip


def _shared_memory() -> Finding:
    """Check the memory file system in which Ray passes arrays between workers."""
    place = Path("/dev/shm")
    if not place.is_dir():
        return Finding("shared memory", "note", "no /dev/shm", "Ray will use the disk, slowly")
    size = shutil.disk_usage(place).free / _GIB
    if size >= _STORE_GIB:
        return Finding("shared memory", "ok", f"{size:.1f} GiB in {place}")
    return Finding("shared memory", "note", f"{size:.2f} GiB in {place}", "Ray will use the disk, "
        "slowly; in a container give it `--shm-size=1g`")  # fmt: skip


def _open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _FILES:
        return Finding("open files", "ok", f"{soft} at once")
    return Finding("open files", "note", f"{soft} at once", f"`ulimit -n {_FILES}`: Ray opens many")


def _terminal() -> Finding:
    encoding = (sys.stdout.encoding or "").lower()
    if encoding.replace("-", "") == "utf8":
        return Finding("terminal", "ok", encoding)
    return Finding("terminal", "note", encoding or "unknown", "set PYTHONUTF8=1 to see all signs")


def _tried(
    what: str, code: str, found: str, advice: str, *, without: Literal["note", "fails"] = "fails"
) -> Finding:
    """Run some code in a process of its own.

    Args:
        what: is tried.
        code: in Python.
        found: what it shows where it ends well.
        advice: what to do where it does not.
        without: the verdict then.
    """
    begun = time.monotonic()
    done = _ran(code)
    if done.returncode is None:
        return Finding(what, without, f"nothing after {_LONGEST_S:.0f} s", advice)
    if done.returncode == 0:
        return Finding(what, "ok", f"{found} ({time.monotonic() - begun:.0f} s)")
    last = (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1]
    return Finding(what, without, last[:200], advice)


class _Ran(NamedTuple):
    """What came of some code: its exit code, None where it did not end, and what it said."""

    returncode: int | None
    stdout: str
    stderr: str


def _ran(code: str, *arguments: str) -> _Ran:
    """Run some code in a process of its own."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = error.stdout or ""
        return _Ran(None, said if isinstance(said, str) else said.decode(errors="replace"), "")
    return _Ran(done.returncode, done.stdout, done.stderr)


def _nginx() -> Finding:
    place = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if place is not None:
        return Finding("nginx", "ok", place)
    return Finding("nginx", "note", "not installed", "`wearfleet deploy` and its test need it: "
        "apt-get install nginx")  # fmt: skip
