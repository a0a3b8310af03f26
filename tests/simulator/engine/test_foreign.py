"""Programs that others wrote with Keras, on single samples and with a fixed batch, unchanged."""

import numpy as np
import pytest

from clients.checkpoints import read_checkpoint
from clients.errors import BadProgram
from simulator.plan.plan import build_plan
from simulator.scenario.file import load_scenario
from simulator.scenario.form import form_of
from tests.clients import keras_programs
from tests.simulator.conftest import contents, read_all

KEYS = (
    'arms=[{name="frozen", method="frozen"}, {name="rules", method="heuristic"},'
    ' {name="local", method="local"}, {name="all", method="fedavg"}]',
    'data.activities=["walking", "jogging", "stairs", "sitting", "standing"]',
    "data.users=4",
    "model.base=random",
    "stream.batch=32",
    "stream.bout_windows=80",
    "stream.questions_per_round=6",
    "stream.rounds=4",
    "learning={memory=1024, steps=2}",
)


@pytest.fixture(scope="module")
def run(run_small, tmp_path_factory):
    """Give a function that runs a program by its builder's name; equal requests share a run."""
    made, folder = {}, tmp_path_factory.mktemp("keras")

    def of(name, *more):
        path = folder / name
        if not path.exists():
            getattr(keras_programs, name)(path)
        if (name, more) not in made:
            made[name, more] = run_small((*KEYS, f"model.program={path}", *more))
        return made[name, more]

    return of


@pytest.mark.parametrize("name", ["dense_of_32", "lstm_of_32", "dense_any"])
def test_program_learns_in_every_arm_that_learns_and_in_no_other(run, name):
    rounds = run(name).rounds()
    steps = rounds.groupby("arm")["steps"].sum()
    gradients = rounds.groupby("arm")["gradients"].sum()
    assert steps[["frozen", "rules"]].tolist() == [0, 0]
    assert (steps[["local", "all"]] > 20).all()
    assert (gradients == 2 * steps).all()  # a question, and another that is rehearsed


def test_questions_that_do_not_fill_a_fixed_batch_are_counted_and_not_asked(run):
    # Of each bout of 80 samples two questions of 32 are asked, and one of 16 is not.
    whole, any_batch = (read_all(run(n).path / "windows") for n in ("dense_of_32", "dense_any"))
    sizes = whole.groupby(["arm", "device", "round", "question"]).size()
    assert set(sizes) == {32}
    assert {16, 32} <= set(any_batch.groupby(["arm", "device", "round", "question"]).size())
    plan = build_plan(load_scenario(run("dense_of_32").path / "scenario.toml"))
    short = plan.questions.left_out.sum()
    assert short > 0
    note, of_holdout = plan.notes
    assert of_holdout.endswith("windows of the holdout fill no batch of 32; they are not scored")
    assert note.startswith(f"{short} of {short + plan.questions.count.size} questions have fewer")
    assert build_plan(load_scenario(run("dense_any").path / "scenario.toml")).notes == ()


@pytest.mark.parametrize("name", ["dense_of_32", "lstm_of_32"])
def test_both_engines_leave_the_same_bytes(run, name):
    stacked, one_by_one = (
        contents(run(name, f"fleet.engine={engine}").path) for engine in ("fleet", "reference")
    )
    stacked.pop("scenario.toml"), one_by_one.pop("scenario.toml")  # the engine is a key of it
    assert stacked.keys() == one_by_one.keys()
    # A rule's cohort is saved as its engine lays it out; a program's is the same on both.
    own = [key for key in stacked if not key.startswith("checkpoints/rules")]
    assert [key for key in own if stacked[key] != one_by_one[key]] == []


def test_scoring_the_holdout_leaves_no_trace_in_a_recurrent_state(run):
    often, seldom = (run("lstm_of_32", f"measure.holdout_every={n}") for n in (1, 100))
    ours, theirs = (read_all(one.path / "windows") for one in (often, seldom))
    assert ours.equals(theirs)
    devices = sorted(p.relative_to(often.path) for p in often.path.glob("devices/*/*/round-00004"))
    assert len(devices) == 12
    for device in devices:
        before, after = (read_checkpoint(one.path / device) for one in (often, seldom))
        assert all(before[key].tobytes() == after[key].tobytes() for key in before)
        states = [value for key, value in before.items() if "states" in key]
        assert len(states) == 2
        assert all(np.abs(value).max() > 0.0 for value in states)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dense_of_20", ["'predict' failed on 32 windows", "stream.batch = 32", "[20,1,3]"]),
        ("fractions", ["'predict' returns", "float32", "expected 'predictions', int32"]),
        ("scores", ["'predict' returned predictions of shape (32, 5)", "(32,) or (32, 1)"]),
        ("loss_by_row", ["'learn' returns", "float32 (None,)", "expected 'loss', float32 []"]),
        ("whole_numbers", ["'learn' takes", "int32 (None, 1, 3)", "float32 of rank 3"]),
        ("unteachable", ["'learn' failed on 32 windows", "nothing can be learnt"]),
    ],
)
def test_what_breaks_the_contract_is_refused_by_what_was_found_and_expected(tmp_path, name, said):
    path = getattr(keras_programs, name)(tmp_path / name)
    scenario = tmp_path / "scenario.toml"
    scenario.write_text('name = "x"\nseed = 1\n[[arms]]\nname = "local"\nmethod = "local"\n')
    keys = ["data.users=4", f"model.program={path}", "model.base=random", "stream.batch=32"]
    with pytest.raises(BadProgram) as refused:
        form_of(load_scenario(scenario, keys))
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert [part for part in said if part not in message] == []
