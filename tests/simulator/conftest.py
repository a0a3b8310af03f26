"""Small real runs, each made once and shared by the tests that look at it."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from clients import plugins as added
from simulator.folder.store import RunFolder
from simulator.running.fleet import Fleet
from simulator.running.scenario_run import run_scenario
from simulator.running.workers import InProcess
from simulator.scenario import plugins
from simulator.scenario.file import load_scenario

SMALL = """
name = "small"
question = "Does everything hold together?"
seed = 11
baseline = "local"
[data]
users = 5
activities = ["walking", "jogging", "sitting", "standing"]
minutes = 1.0
[model]
program = "dense"
[training]
steps = 100
look_every = 50
refit = false
[stream]
rounds = 4
[checkpoints]
every_rounds = 1
keep = 2
[[arms]]
name = "frozen"
method = "frozen"
[[arms]]
name = "rules"
method = "heuristic"
[[arms]]
name = "local"
method = "local"
[[arms]]
name = "all"
method = "fedavg"
[[arms]]
name = "half"
method = "fedavg"
participation = 0.5
[[arms]]
name = "half-personal"
method = "fedper"
participation = 0.5
[[arms]]
name = "finetune"
method = "finetune"
switch_round = 2
"""


@dataclass
class Heard:
    """A watcher that notes what it hears."""

    stages: list[tuple[str, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    advances: int = 0

    def stage(self, name: str, rounds: int, folds: int = 1) -> None:
        """Note a stage."""
        self.stages.append((name, rounds * folds))

    def advance(self) -> None:
        """Count a round."""
        self.advances += 1

    def note(self, text: str) -> None:
        """Keep what a person should know."""
        self.notes.append(text)


@dataclass
class Finished:
    """A run that is done."""

    path: Path
    summary: pd.DataFrame
    heard: Heard

    def rounds(self) -> pd.DataFrame:
        """Read all rows of rounds/."""
        return read_all(self.path / "rounds")

    def manifest(self) -> dict:
        """Read the manifest."""
        return json.loads((self.path / "manifest.json").read_text())


def read_all(folder: Path) -> pd.DataFrame:
    """Read every Parquet file below a folder into one frame, names as plain text."""
    frames = [pd.read_parquet(file) for file in sorted(folder.rglob("*.parquet"))]
    frame = pd.concat(frames, ignore_index=True)
    names = [c for c in frame if isinstance(frame[c].dtype, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(names, object))


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all that equal runs must have in common, by path in the run folder."""
    kept = [*RunFolder(folder).reproducible(), *(folder / "checkpoints").rglob("*.safetensors")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(kept)}


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of the small scenario, with every method in it."""
    path = tmp_path_factory.mktemp("scenario") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    """Give devices in this process."""
    return Fleet(InProcess())


@pytest.fixture(scope="session")
def fleets(tmp_path_factory: pytest.TempPathFactory):
    """Give fleets by program and precision; each program is loaded and compiled once."""
    from tests.simulator.made_fleets import Fleets, write_people

    people, made = write_people(tmp_path_factory.mktemp("people")), {}

    def of(program: str, dtype: str = "float64") -> Fleets:
        if (program, dtype) not in made:
            folder = tmp_path_factory.mktemp(f"{program}-{dtype}")
            made[program, dtype] = Fleets(folder, people, program, dtype)
        return made[program, dtype]

    return of


@pytest.fixture(scope="session")
def run_small(small_file: Path, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory):
    """Give a function that runs the small scenario with some keys overridden."""

    def run(overrides: Sequence[str] = ()) -> Finished:
        folder, heard = tmp_path_factory.mktemp("run"), Heard()
        scenario = load_scenario(small_file, overrides)
        return Finished(folder, run_scenario(scenario, folder, fleet, heard), heard)

    return run


CROWD = (
    "fleet.devices=22",
    "guard.max_norm=1.0",
    "checkpoints.every_rounds=3",
    "checkpoints.materialize=9",
)
"""Overrides: cohorts of several devices, variations of users, and updates that are refused."""


@pytest.fixture(scope="session")
def crowd(run_small) -> Finished:
    """Give a finished run of the small scenario with more devices than users."""
    return run_small(CROWD)


@pytest.fixture(scope="session")
def finished(run_small) -> Finished:
    """Give a finished run of the small scenario."""
    return run_small()


@pytest.fixture
def forgetful(monkeypatch):
    """Give a function that puts a folder of packages on the path, for one test."""
    listings = (added._listed, added._imported, plugins.method_plugin, plugins.drift_plugin)

    def forget():
        for cached in listings:
            cached.cache_clear()
        for name in [n for n in sys.modules if n.split(".")[0] in ("wearfleet_plugin", "theirs")]:
            del sys.modules[name]

    def put(target):
        monkeypatch.syspath_prepend(str(target))
        forget()

    yield put
    monkeypatch.undo()
    forget()
