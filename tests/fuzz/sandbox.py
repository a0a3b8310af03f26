"""How many malformed inputs the readers are given, and what none of them may do.

`make test` gives each reader a small share; `make fuzz` sets WEARFLEET_FUZZ to the number of inputs
in all, and prints how many each reader was given.
"""

import faulthandler
import os
import signal
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

from clients.errors import WearfleetError

ALL = int(os.environ.get("WEARFLEET_FUZZ", "600"))
_LONGEST_S = 20.0  # of processor time that one input may take
_STUCK_S = 300.0  # after which code that hears no signal is shown and ended
_WRITING = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink",
            "os.truncate", "os.chmod", "shutil.copyfile", "shutil.rmtree"}  # fmt: skip
GIVEN = Counter()
_watched = []


def inputs(share):
    """Say how many inputs a reader is given: a share of all, at least one."""
    return settings(
        max_examples=max(1, round(ALL * share)),
        deadline=None,  # of wall time; processor time is bounded instead
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        derandomize="WEARFLEET_FUZZ" not in os.environ,
        print_blob=True,
    )


def _hear(event, args):
    """Note each file that Python opens to write, and each change to a folder."""
    if not _watched:
        return
    if event == "open":
        path, mode, flags = args
        writes = any(c in (mode or "") for c in "wax+") or (flags or 0) & (
            os.O_WRONLY | os.O_RDWR | os.O_CREAT
        )
        if writes and isinstance(path, str | bytes | os.PathLike):
            _watched[-1].append(os.fsdecode(path))
    elif event in ("os.remove", "os.rmdir") and args[1] != -1:  # as a whole tree is removed
        folder = Path(f"/proc/self/fd/{args[1]}").readlink()
        _watched[-1].append(str(folder / os.fsdecode(args[0])))
    elif event in _WRITING:
        _watched[-1].extend(os.fsdecode(a) for a in args if isinstance(a, str | bytes))


sys.addaudithook(_hear)


class Hang(BaseException):
    """An input took longer than any may."""


def _stop(_signal, _frame):
    raise Hang(f"more than {_LONGEST_S} s of processor time")


class Sandbox:
    """A folder for inputs, with a neighbour that must stay as it is.

    Attributes:
        inside: where inputs are written, and all that comes of them.
    """

    def __init__(self, root):
        self.inside, self.outside = root / "inside", root / "outside"
        self.inside.mkdir()
        (self.outside / "deep").mkdir(parents=True)
        (self.outside / "deep" / "secret.txt").write_text("secret")
        (root / "cwd").mkdir()
        self._root = root
        self._before = self._seen()
        os.chdir(root / "cwd")

    def _seen(self):
        return sorted(
            (str(path), path.lstat().st_mtime_ns, path.lstat().st_size)
            for path in self._root.rglob("*")
            if not path.is_relative_to(self.inside) and path != self.inside
        )

    @contextmanager
    def only_refusals(self, name=None, *also):
        """Let code read one input: it accepts it, or refuses it in words, and touches no other.

        Args:
            name: of the reader, to count by; None where the input was counted before.
            also: other errors that count as a refusal.
        """
        if name is not None:
            GIVEN[name] += 1
        _watched.append([])
        signal.signal(signal.SIGPROF, _stop)
        signal.setitimer(signal.ITIMER_PROF, _LONGEST_S)
        faulthandler.dump_traceback_later(_STUCK_S, exit=True)
        try:
            yield
        except (WearfleetError, *also):
            pass
        finally:
            faulthandler.cancel_dump_traceback_later()
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            touched = _watched.pop()
        strangers = [path for path in touched if not self._may_write(path)]
        assert not strangers, strangers
        assert self._seen() == self._before

    def _may_write(self, path):
        real = Path(os.path.realpath(path))
        caches = ("__pycache__", ".hypothesis", "/dev/", "/proc/", "/tmp/_MEI")
        return real.is_relative_to(self.inside) or any(part in str(real) for part in caches)
