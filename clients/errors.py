"""The exceptions that Wearfleet raises.

WearfleetError
├── BadInput            what the user gave cannot be used: exit code 2
│   ├── BadScenario     a scenario file or one of its keys
│   ├── BadRecordings   a data file or folder
│   ├── BadPlugin       what another package adds, and does not do what it must
│   └── BadProgram      a SavedModel that breaks the contract
│       └── Untrusted   one whose ops may do more than compute
└── RunFailed           a run could not go on: exit code 1
    └── WorkerLost      a worker is gone; the run goes on without it from its last checkpoint
"""

__all__ = [
    "BadInput",
    "BadPlugin",
    "BadProgram",
    "BadRecordings",
    "BadScenario",
    "RunFailed",
    "Untrusted",
    "WearfleetError",
    "WorkerLost",
]


class WearfleetError(Exception):
    """Every error that Wearfleet raises on purpose."""


class BadInput(WearfleetError):
    """Input that cannot be used; the message says what was seen, what is expected, what to do."""


class BadScenario(BadInput):
    """A scenario file, or a key in it, that cannot be used."""


class BadRecordings(BadInput):
    """A data file or folder that cannot be read as recordings.

    Attributes:
        about: which of what was asked for is wrong: "path", "activities" or "users".
    """

    def __init__(self, message: str, about: str = "path") -> None:
        super().__init__(message)
        self.about = about


class BadPlugin(BadInput):
    """What another package adds, and does not do what it must."""


class BadProgram(BadInput):
    """A SavedModel that breaks the contract of `learn` and `predict`."""


class Untrusted(BadProgram):
    """A SavedModel whose ops may do more than compute, and whose author nobody vouched for."""


class RunFailed(WearfleetError):
    """A run that could not go on for a reason other than its input."""


class WorkerLost(RunFailed):
    """A worker that is gone, or the machine that it was on."""
