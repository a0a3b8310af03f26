"""Runs that are killed: what they leave on disk at any of their rounds, and how they go on."""

import json
import shutil
from pathlib import Path

from clients.errors import WorkerLost
from simulator.running.scenario_run import run_scenario
from simulator.running.workers import InProcess
from simulator.scenario.file import load_scenario
from tests.simulator.conftest import Heard, contents

KEYS = (
    'arms=[{name="local", method="local"}, {name="half", method="fedavg", participation=0.5},'
    ' {name="pooled", method="pooled"}, {name="rules", method="heuristic"}]',
    "fleet.devices=12",
    "stream.rounds=3",
    "labels.delay_rounds=1",
    "guard.max_norm=1.0",
    "checkpoints.every_rounds=2",
    "checkpoints.materialize=4",
)
ROUNDS, FOLDS = 3, 2  # of each arm


class Copying(Heard):
    """A watcher that keeps the run folder as it lies on disk after some rounds.

    A process that is killed then leaves just that.
    """

    def __init__(self, folder: Path, to: Path, at):
        super().__init__()
        self.folder, self.to, self.at = folder, to, at

    def advance(self) -> None:
        super().advance()
        if self.advances in self.at:
            shutil.copytree(self.folder, self.to / str(self.advances))


def go_on(folder: Path, fleet) -> Heard:
    """Resume a run; returns what its watcher heard."""
    heard = Heard()
    scenario = load_scenario(folder / "scenario.toml")
    run_scenario(scenario, folder, fleet, heard, resumed=True)
    return heard


def logged(folder: Path, what: str):
    """Return the lines of a run's log of one kind."""
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["what"] == what]


def assert_same_bytes(one: Path, other: Path) -> None:
    ours, theirs = contents(one), contents(other)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert not list(other.rglob("*.unfinished"))
    assert not list((other / "checkpoints").rglob("*.arrow"))


class Failing(InProcess):
    """A worker in this process that fails at some calls of a method, as if it had died.

    `calls` counts how often each method was called.
    """

    def __init__(self, fails=lambda *_: False, error=WorkerLost):
        super().__init__()
        self.fails, self.error, self.calls, self.renewed = fails, error, {}, 0

    def call(self, method, arguments):
        number = self.calls[method] = self.calls.get(method, 0) + 1
        if self.fails(method, number):
            raise self.error()
        return super().call(method, arguments)

    def renew(self):
        """Begin with a worker that knows nothing."""
        self.renewed += 1
        self.__dict__.update(Failing(self.fails, self.error).__dict__, calls=self.calls,
                             renewed=self.renewed)  # fmt: skip
