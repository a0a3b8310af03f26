"""Processes that go on running when the command that started them has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Service", "wait_until"]

_STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class Service:
    """A process by name, of which there is one at a time.

    Attributes:
        name: of the process.
        record: file with its id and when it began, while it runs.
        log: what it writes, added to what is there.
        command: what is run.
        environment: all of it.
    """

    name: str
    record: Path
    log: Path
    command: Sequence[str]
    environment: Mapping[str, str]

    def pid(self) -> int | None:
        """Return its id, None where it does not run."""
        try:
            pid, began = self.record.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if _began(int(pid)) == began else None

    def start(self) -> bool:
        """Start it, unless it runs; tell whether it was started.

        Raises:
            FileNotFoundError: the program is not there.
        """
        if self.pid() is not None:
            return False
        self.record.parent.mkdir(exist_ok=True)
        self.log.parent.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.record.write_text(f"{process.pid} {_began(process.pid)}\n")
        return True

    def stop(self) -> None:
        """End it, and wait until it has ended; kill it if it does not end by itself."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            if not wait_until(lambda: self.pid() is None, _STOP_S):
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: self.pid() is None, _STOP_S)
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)  # what it started and left, as it led a session
        self.record.unlink(missing_ok=True)

    def last_words(self, lines: int = 15) -> str:
        """Return the end of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""


def wait_until(is_so: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until a function returns True; tell whether it did in time."""
    end = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def _began(pid: int) -> str:
    """Return when a process began, in the kernel's clock, or "" where it does not run."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a child of ours that ended keeps its entry until then
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]
