"""A run folder belongs to one process at a time."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clients.errors import BadInput
from simulator.folder.lock import holder, locked
from simulator.folder.store import new_folder

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from pathlib import Path
from simulator.folder.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Give a process that has locked a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_folder_that_another_process_writes_into_is_refused_with_its_pid(tmp_path, other):
    with pytest.raises(BadInput, match=rf"another process \(pid {other.pid}\)"), locked(tmp_path):
        pass
    assert holder(tmp_path) == other.pid
    with pytest.raises(BadInput, match=rf"--out .*another process \(pid {other.pid}\)"):
        new_folder("x", tmp_path)
    assert (tmp_path / "lock").exists()


def test_the_lock_of_a_process_that_was_killed_is_none(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / "lock").exists()
    assert holder(tmp_path) is None
    with locked(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())
        with pytest.raises(BadInput, match=str(os.getpid())), locked(tmp_path):
            pass


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_afterwards_whatever_happened(tmp_path, error):
    with pytest.raises(error), locked(tmp_path):
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_removed_meanwhile_is_no_error(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with locked(folder):
        (folder / "lock").unlink()
        folder.rmdir()
    assert not folder.exists()


def test_a_full_disk_takes_nothing_from_the_lock(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with locked(tmp_path):
            assert (tmp_path / "lock").read_text() == ""
            with pytest.raises(BadInput, match=r"another process \(pid \?\)"), locked(tmp_path):
                pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_lock_that_is_no_file_is_refused(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(BadInput, match="lock: cannot be written"), locked(tmp_path):
        pass


def test_a_folder_in_which_a_run_was_killed_at_its_start_is_taken(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    (tmp_path / ".scenario.toml.7.unfinished").touch()
    assert new_folder("x", tmp_path) == tmp_path
    (tmp_path / "mine.txt").touch()
    with pytest.raises(BadInput, match="not empty"):
        new_folder("x", tmp_path)
