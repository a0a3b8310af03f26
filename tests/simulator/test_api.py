"""Scenarios, runs and results from Python."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simulator
from clients.errors import BadInput, BadScenario
from simulator import Scenario, load_run, run
from simulator.folder.lock import locked
from simulator.running import workers
from simulator.running.displays import Silence
from simulator.running.progress import InNotebook, shown
from simulator.scenario.file import load_scenario
from tests.simulator.conftest import read_all
from tests.simulator.made_runs import fake_seeds

TABLES = {
    "name": "made",
    "seed": 3,
    "data": {"users": 4, "activities": ("walking", "sitting"), "minutes": 1.0},
    "arms": [
        {"name": "local", "method": "local"},
        {"name": "half", "method": "fedavg", "participation": 0.5},
        {"name": "all", "method": "fedprox"},
    ],
}

NAMES = {"Scenario", "Section", "load_run", "recordings_of", "run"}


def test_the_package_offers_few_names_and_loads_them_late():
    assert {*simulator.__all__} == NAMES <= {*dir(simulator)}
    assert callable(run)
    code = (
        "import sys, simulator\nheavy = {'tensorflow', 'ray', 'flwr', 'pandas'}\n"
        "assert not {'pydantic', 'numpy', *heavy} & {*sys.modules}\n"
        "from simulator import Scenario, load_run, run\nassert not heavy & {*sys.modules}\n"
        "import simulator.running.scenario_run\nfrom simulator import run\nassert callable(run)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=Path(simulator.__file__).parents[1], check=True
    )


def test_a_scenario_of_a_file_is_that_of_the_command_line(small_file):
    texts = load_scenario(small_file, ["stream.rounds=5", "arms.half.steps=2"])
    keys = {"stream.rounds": 5, "arms.half.steps": 2}
    assert Scenario.load(str(small_file), keys) == texts
    assert Scenario.load(small_file).with_(keys) == texts
    assert texts.with_() == texts


def test_a_scenario_of_tables_has_every_default_and_leaves_them_as_they_are():
    before = repr(TABLES)
    scenario = Scenario.from_dict(TABLES, {"seed": 4})
    assert repr(TABLES) == before
    assert (scenario.seed, scenario.baseline, scenario.data.rate_hz) == (4, "local", 20.0)
    assert scenario.data.activities == ["walking", "sitting"]
    assert scenario.arms[2].option("mu") == 1.0


def test_what_follows_from_a_key_changes_with_it():
    scenario = Scenario.from_dict(TABLES)
    changed = scenario.with_({"arms.all.method": "local", "arms.0.name": "own"}, seed=5)
    assert (changed.baseline, changed.seed, changed.arms[2].participation) == ("own", 5, None)
    assert scenario.seed == 3
    kept = scenario.with_({"baseline": "all"}).with_({"arms.0.name": "own"})
    assert kept.baseline == "all"
    drifting = scenario.with_(drift=[{"kind": "gain", "factor": 3.0}])
    other = drifting.with_({"drift.0.factor": 1.5}).with_({"drift.0.kind": "bias"})
    assert other.drift[0].numbers() == {"offset": 3.0}
    with pytest.raises(BadScenario, match='factor means nothing for kind "bias"'):
        drifting.with_({"drift.0.kind": "bias"})


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"stream.rounds": 0}, "scenario 'made': stream.rounds = 0: expected a value greater"),
        ({"stream": 3}, "scenario 'made': stream = 3: expected "),
        ({"arms.none.steps": 3}, "arms.none.steps = 3: 'none' is none of: local, half, all"),
        ({"seed.x": 3}, "seed.x = 3: 'seed' is a value (3), not a table"),
        ({"a..b": 3}, "a..b = 3: expected a dotted key"),
        (["rounds"], "--set 'rounds': expected key=value"),
        (
            {"sed": 3},
            "scenario 'made': sed: unknown key; did you mean \"seed\"? allowed here: name",
        ),
        (
            {"data.source": "wisdm-2019", "data.path": Path("/no")},
            "there is no such file or folder",
        ),
    ],
)
def test_wrong_keys_are_told_in_the_words_of_the_command_line(keys, told):
    with pytest.raises(BadScenario) as error:
        Scenario.from_dict(TABLES).with_(keys)
    assert told in str(error.value)


@pytest.mark.usefixtures("fleet")
def test_a_run_that_cannot_start_leaves_nothing(tmp_path, capsys):
    with pytest.raises(BadInput, match="nobody"):
        run({**TABLES, "data": {"users": ["nobody"]}}, tmp_path / "run", workers=1)
    assert not (tmp_path / "run").exists()
    with pytest.raises(BadInput, match="is there and not empty"):
        run(TABLES, Path(__file__).parent)
    for wrong in ({"seeds": 0}, {"seeds": "3"}, {"workers": 0}, {"workers": "many"}):
        with pytest.raises(BadInput, match=f"{next(iter(wrong))} = "):
            run(TABLES, tmp_path / "run", **wrong)
    with pytest.raises(BadInput, match=r"no run folder \(no scenario.toml in it\)"):
        load_run(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("given", [{"workers": 65}, {"fleet": 65}])
def test_more_workers_than_the_machine_has_room_for_are_refused(tmp_path, monkeypatch, given):
    monkeypatch.setattr(workers, "OnRay", None)  # nothing is started
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: range(16))
    tables = {**TABLES, "fleet": {"workers": given.get("fleet", "auto")}}
    with pytest.raises(BadInput, match=r"^workers = 65: .* 16 may be used here; give 64 at most"):
        run(tables, tmp_path / "run", workers=given.get("workers"), progress=False)
    assert not (tmp_path / "run").exists()


def test_an_opened_run_has_the_figures_of_its_folder(finished):
    opened = load_run(finished.path)
    assert (opened.status, opened.seeds) == ("done", {})
    assert opened.tables == ["fairness", "summary", "tests", "users"]
    for name in opened.tables:
        written = pd.read_csv(finished.path / f"{name}.csv", dtype={"user": str})
        pd.testing.assert_frame_equal(opened.table(name), written, check_dtype=False)
    assert opened.summary["arm"].tolist() == [arm.name for arm in opened.scenario.arms]
    assert opened.manifest["data"]["devices"] == 5
    assert opened.report().read_bytes().startswith(b"<!")
    with pytest.raises(BadInput, match="no table 'drift'; there are: fairness, summary"):
        opened.table("drift")


@pytest.mark.parametrize("kind", ["windows", "rounds"])
def test_records_are_those_of_all_cohorts(finished, kind):
    opened, written = load_run(finished.path), read_all(finished.path / kind)
    read = getattr(opened, kind)()
    order = ["arm", "device", "round", *(["question", "time_s"] if kind == "windows" else [])]
    names = [c for c in read if isinstance(read[c].dtype, pd.CategoricalDtype)]
    assert {"arm", "device", "user"} <= {*names}
    plain = read.astype(dict.fromkeys(names, object))
    one, two = (f.sort_values(order, ignore_index=True) for f in (plain, written))
    scalars = [c for c in written if not isinstance(written[c].iloc[0], np.ndarray)]
    pd.testing.assert_frame_equal(one[scalars], two[scalars], check_dtype=False)
    some = getattr(opened, kind)("half", ["device", "round"])
    assert list(some) == ["device", "round"]
    assert len(some) == (written["arm"] == "half").sum() > 0


def test_records_that_are_not_there_are_told(finished):
    opened = load_run(finished.path)
    assert list(opened.events("local", ["kind"])) == ["kind"]
    with pytest.raises(BadInput, match=r"arm 'nobody': .* has the arms frozen, rules, local"):
        opened.rounds("nobody")
    with pytest.raises(BadInput, match="windows: no column 'norm'; there are: arm, fold, round"):
        opened.windows(columns=["arm", "norm"])


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda *_: run(None), "scenario = None: expected a Scenario, the path of a scenario"),
        (lambda at, _: run(TABLES, at, ray_address=3), "ray_address = 3: expected a text, HOST:P"),
        (lambda at, _: run(TABLES, at, trusted="false"), "trusted = 'false': expected True or F"),
        (lambda at, _: run(TABLES, f"{at}\0b"), "a path has no null characters"),
        (lambda *_: load_run(3), "folder = 3: expected a path"),
        (lambda *_: Scenario.from_dict(3), "scenario: 3: expected its tables as dictionaries"),
        (lambda *_: Scenario.load(3), "scenario = 3: expected a path"),
        (lambda *_: Scenario.from_dict(TABLES, [1]), "overrides: 1: expected a text, such as"),
        (lambda *_: Scenario.from_dict(TABLES, "seed=1"), "overrides = 'seed=1': expected key"),
        (lambda *_: Scenario.from_dict(TABLES).with_(3), "overrides = 3: expected keys"),
        (lambda _, run: run.windows(columns=["arm", "arm"]), "column 'arm' is asked for twice"),
        (lambda _, run: run.windows(columns="arm"), "columns = 'arm': expected a list of names"),
        (lambda _, run: run.model(None, "p001"), "arm = None: expected a text"),
    ],
)
def test_what_is_of_another_type_is_told_and_leaves_nothing(finished, tmp_path, call, told):
    with pytest.raises(BadInput) as error:
        call(tmp_path / "run", load_run(finished.path))
    assert told in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_which_nobody_writes_was_killed(tmp_path):
    (tmp_path / "scenario.toml").write_text("")
    opened = load_run(tmp_path)
    assert opened.status == "unknown"
    with locked(tmp_path):
        assert opened.status == "running"
    (tmp_path / "manifest.json").write_text('{"status": "running"}')
    assert opened.status == "killed"
    with locked(tmp_path):
        assert opened.status == "running"


def test_a_notebook_shows_the_arms_and_the_answer(finished):
    page = load_run(finished.path)._repr_html_()
    assert "<b>Does everything hold together?</b>" in page
    assert page.count("<tr>") == 7
    assert "On holdout, " in page


def test_a_notebook_says_what_the_range_of_seeds_is(tmp_path):
    page = load_run(fake_seeds(tmp_path / "seeds"))._repr_html_()
    assert "holdout (range over seeds)" in page
    assert re.search(r"<td>[\d.]+% \([\d.]+ to [\d.]+\)</td>", page)


def test_a_device_answers_alike_by_its_savedmodel_and_by_its_checkpoint(finished, tmp_path):
    copy = Path(shutil.copytree(finished.path, tmp_path / "run"))
    opened = load_run(copy)
    for arm in ("finetune", "half-personal"):
        device = str(opened.rounds(arm, ["device"])["device"].iloc[-1])
        written = opened.model(arm, device)
        assert written.path.is_relative_to(copy / "devices" / arm / device)
        shutil.rmtree(copy / "devices" / arm)
        made = opened.model(arm, device)
        x = np.random.default_rng(0).normal(size=(3, made.length, 3)).astype(np.float32)
        assert made.predict(x).logits.tolist() == written.predict(x).logits.tolist()
    with pytest.raises(BadInput, match="device 'nobody'"):
        opened.model("half", "nobody")


def test_several_seeds_are_opened_together_and_one_by_one(tmp_path):
    opened = load_run(fake_seeds(tmp_path / "seeds"))
    assert list(opened.seeds) == [7, 8, 10]
    assert "holdout_accuracy_min" in opened.summary
    rounds = opened.rounds("shared", ["device", "round"])
    assert rounds.groupby("seed").size().to_dict() == {
        seed: len(one.rounds("shared")) for seed, one in opened.seeds.items()
    }
    with pytest.raises(BadInput, match=r"holds several seeds; ask one, as run.seeds\[7\]"):
        opened.model("shared", "1600-0")


class Cell:
    """What a notebook shows under a cell, each time."""

    def __init__(self):
        self.pages = []

    def __call__(self, page):
        self.pages.append(page)
        return self

    update = __call__


def test_progress_in_a_notebook_is_one_table_in_one_place():
    cell = Cell()
    with InNotebook(cell) as watcher:
        watcher.stage("reading", 0)
        assert "<progress></progress>" in cell.pages[-1]
        watcher.stage("<local>", 1, 2)
        before = len(cell.pages)
        watcher.advance()
        assert len(cell.pages) == before  # too soon to draw again
        watcher.advance()
        watcher.note("1 < 2")
    assert "&lt;local&gt;" in cell.pages[-1]
    assert (
        '<progress max="2" value="2"></progress></td><td>fold 2 of 2, round 1 of 1'
        in cell.pages[-1]
    )
    assert '<progress max="1" value="1">' in cell.pages[-1]
    assert "<p>note: 1 &lt; 2</p>" in cell.pages[-1]


def test_progress_of_what_was_broken_off_is_not_said_to_be_done():
    cell = Cell()
    watcher = InNotebook(cell)
    watcher.stage("training", 0)
    watcher.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert "<progress></progress>" in cell.pages[-1]


def test_nobody_is_shown_progress_without_a_notebook_or_a_terminal(tmp_path, capsys):
    assert isinstance(shown(tmp_path, progress=True), Silence)  # pytest is neither
    with shown(tmp_path, progress=True) as watcher:
        watcher.stage("local", 2)
        watcher.advance()
        watcher.note("hear")
    assert capsys.readouterr() == ("", "")
