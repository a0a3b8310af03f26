"""Two engines, one result: stacked and compiled, or one device after the other."""

import itertools

import numpy as np
import pytest

from clients.methods import METHODS
from clients.models import MODELS
from tests.simulator.made_fleets import assert_equal_records, assert_equal_trials

PROGRAMS = tuple(MODELS)
ARMS = {
    "frozen": {"method": "frozen"},
    "local": {"method": "local"},
    "fedavg": {"method": "fedavg"},
    "half": {"method": "fedavg", "participation": 0.5},
    "finetune": {"method": "finetune", "switch_round": 3},
    "fedper": {"method": "fedper", "participation": 0.5},
    "fedprox": {"method": "fedprox", "mu": 0.5, "participation": 0.5},
    "fedavgm": {"method": "fedavgm", "participation": 0.5},
    "fedadam": {"method": "fedadam", "participation": 0.5},
    "fedyogi": {"method": "fedyogi", "participation": 0.5},
    "fedadagrad": {"method": "fedadagrad", "participation": 0.5},
    "qfedavg": {"method": "qfedavg", "participation": 0.5},
    "scaffold": {"method": "scaffold", "participation": 0.5},
    "fedbuff": {"method": "fedbuff", "participation": 0.5, "buffer": 2},
    "fedmedian": {"method": "fedmedian", "participation": 0.7},
    "fedtrimmedavg": {"method": "fedtrimmedavg", "trim": 0.3},
    "krum": {"method": "krum", "liars": 1},
    "multikrum": {"method": "multikrum", "liars": 1, "selected": 2},
    "bulyan": {"method": "bulyan", "liars": 0},
    "dpfedavg": {"method": "dpfedavg", "participation": 0.6, "noise": 0.2, "clip": 0.05},
    "fedrep": {"method": "fedrep", "participation": 0.5, "head_steps": 2},
    "fedbn": {"method": "fedbn", "participation": 0.5, "private": ["*/bias"]},
    "ditto": {"method": "ditto", "participation": 0.5, "lambda": 0.3},
    "apfl": {"method": "apfl", "participation": 0.5, "adaptive": True},
    "pfedme": {"method": "pfedme", "participation": 0.5, "inner_steps": 2},
    "perfedavg": {"method": "perfedavg", "participation": 0.5, "alpha": 0.01},
    "ifca": {"method": "ifca", "participation": 0.5},
}
FIRST = ("frozen", "half", "finetune", "fedper")
METHODS_SINCE = tuple(list(ARMS)[list(ARMS).index("fedprox") :])
OPTIONS = {
    "nothing special": {},
    "no memory": {"learning": {"memory": 0}},
    "small memory": {"learning": {"memory": 5}},
    "one step": {"learning": {"steps": 1}},
    "plain loss, more rehearsed": {"learning": {"loss": "plain", "rehearse": 7}},
    "late answers": {"labels": {"delay_rounds": 2}},
    "random ones asked": {
        "labels": {"ask": "random", "budget": 2},
        "stream": {"questions_per_round": 3},
    },
    "uncertain ones asked": {
        "labels": {"ask": "uncertain", "budget": 1},
        "stream": {"questions_per_round": 3},
    },
    "uncertain ones asked, late answers": {
        "labels": {"ask": "uncertain", "budget": 2, "delay_rounds": 1},
        "stream": {"questions_per_round": 3},
    },
    "uncertain ones asked, in tiles that are not full": {
        "labels": {"ask": "uncertain", "budget": 2},
        "stream": {"questions_per_round": 5},
        "learning": {"memory": 0},
        "sizes": (3, 3, 3),
        "fleet": {"tile": 2},
    },
    "mistakes": {"labels": {"mistake_rate": 0.5, "answer_rate": 0.6}},
    "one question per round": {"stream": {"questions_per_round": 1}},
    "seven questions per round": {"stream": {"questions_per_round": 7}},
    "order as recorded": {"stream": {"order": "recorded"}},
    "shuffled single windows": {"stream": {"order": "shuffled", "batch": 1}},
    "downloaded model not scored": {"measure": {"downloaded": False}},
    "no variations": {"sizes": (3, 2)},
    "one cohort": {"sizes": (6,)},
    "tiles of one": {"fleet": {"tile": 1}},
    "tiles of two": {"fleet": {"tile": 2}},
    "tiles that are too large": {"fleet": {"tile": 1024}},
    "sgd": {"arm": {"optimizer": "sgd"}},
    "learning rate of the arm": {"arm": {"learning_rate": 0.001}},
}
# The others share what they compile with these, or say less that is new.
OFTEN = (
    "no memory",
    "plain loss, more rehearsed",
    "one step",
    "late answers",
    "random ones asked",
    "uncertain ones asked",
    "mistakes",
    "one question per round",
    "downloaded model not scored",
    "tiles of one",
    "tiles of two",
    "sgd",
)
RECURRENT = ("uncertain ones asked, late answers", "tiles of two")
ALIKE = ("downloaded model not scored", "tiles of one", "tiles of two")  # learn the same
KINDRED = ("bilstm", "gravity_cnn")  # `gru` and `gravity_cnn_small` are built of the same cells
FLOAT32 = ("dense", "cnn", "tracker_dense")
EVERYDAY = [
    *((program, "local", "nothing special") for program in PROGRAMS if program not in KINDRED),
    *itertools.product(("dense",), (*FIRST, *METHODS_SINCE), ("nothing special",)),
    *itertools.product(("cnn_norm",), ("fedavg", "apfl", "scaffold"), ("nothing special",)),
    *itertools.product(("tracker_lstm",), ("fedavg", "ifca"), ("nothing special",)),
    *itertools.product(("dense",), ("half",), OFTEN),
    *itertools.product(("tracker_lstm",), ("half",), RECURRENT),
    ("dense", "local", "late answers"),
    ("dense", "local", "uncertain ones asked"),
    ("dense", "local", "uncertain ones asked, in tiles that are not full"),
]
ALL = [
    case
    for case in itertools.product(PROGRAMS, ARMS, OPTIONS)
    if case not in EVERYDAY and not (case[1] == "frozen" and "arm" in OPTIONS[case[2]])
]


@pytest.fixture(scope="module")
def trials(fleets):
    """Give an arm's trial; those of the reference engine serve all tile sizes."""
    made = {}

    def run(program, arm, option, engine):
        tables = dict(option)
        keys = {**ARMS[arm], **tables.pop("arm", {})}
        fleet = tables.pop("fleet", {})
        if engine == "fleet":
            return fleets(program).run(keys, fleet={"engine": "fleet", **fleet}, **tables)
        place = (program, repr(keys), repr(tables))
        if place not in made:
            made[place] = fleets(program).run(keys, fleet={"engine": "reference"}, **tables)
        return made[place]

    return run


@pytest.mark.parametrize(("program", "arm", "option"), EVERYDAY)
def test_both_engines_give_one_result(trials, program, arm, option):
    stacked, one_by_one = (trials(program, arm, OPTIONS[option], e) for e in ("fleet", "reference"))
    assert_equal_trials(stacked, one_by_one)
    assert (stacked.rounds["steps"].sum() > 0) == (arm != "frozen")


@pytest.mark.exhaustive
@pytest.mark.parametrize(("program", "arm", "option"), ALL)
def test_both_engines_give_one_result_whatever_is_asked_of_them(trials, program, arm, option):
    stacked, one_by_one = (trials(program, arm, OPTIONS[option], e) for e in ("fleet", "reference"))
    assert_equal_trials(stacked, one_by_one)


def test_every_method_and_every_program_is_compared():
    # Thresholds are no program; they are compared in whole runs below.
    assert {arm["method"] for arm in ARMS.values()} == METHODS.keys() - {"heuristic", "pooled"}
    assert {program for program, *_ in EVERYDAY} == set(MODELS) - set(KINDRED)
    assert {program for program, *_ in ALL} == set(MODELS)


def test_options_lead_to_results_of_their_own(trials):
    # Otherwise the comparisons above would say less than they seem to.
    plain = trials("dense", "half", {}, "reference")
    for name in OFTEN:
        own = trials("dense", "half", OPTIONS[name], "reference")
        moved = [
            np.abs(own.shared[key] - value).max() for key, value in sorted(plain.shared.items())
        ]
        assert (max(moved) > 1e-4) != (name in ALIKE), name


def test_streams_of_the_trials_end_at_different_times(trials):
    rounds = trials("dense", "local", {}, "fleet").rounds
    last = rounds[rounds["windows"] > 0].groupby("device")["round"].max()
    assert last.nunique() > 2


def test_late_answers_are_learnt_after_the_stream_has_ended(trials):
    rounds = trials("dense", "local", OPTIONS["late answers"], "fleet").rounds
    assert rounds.loc[(rounds["windows"] == 0) & (rounds["round"] > 0), "steps"].sum() > 0


def test_round_that_is_cut_into_several_calls_is_the_same(fleets):
    # A call takes 64 MiB of windows: 4096 x 80 x 3 x 4 bytes for each question of six devices are
    # 24 MB, so that three questions take two calls.
    tables = {
        "sizes": (6,),
        "rounds": 1,
        "stream": {"batch": 4096, "questions_per_round": 3},
        "learning": {"memory": 0, "steps": 1},
        "labels": {"answer_rate": 1.0, "mistake_rate": 0.0},
    }
    stacked, one_by_one = (
        fleets("dense").run(ARMS["local"], **tables, fleet={"engine": engine})
        for engine in ("fleet", "reference")
    )
    assert_equal_trials(stacked, one_by_one)
    assert stacked.rounds.loc[stacked.rounds["round"] == 1, "steps"].tolist() == [3] * 6


def norm(arrays, others):
    """Return the Euclidean distance of the parameters of two devices."""
    squares = [
        np.square(value.astype(np.float64) - others[key]).sum()
        for key, value in arrays.items()
        if key.startswith("params/")
    ]
    return float(np.sqrt(sum(squares)))


@pytest.mark.parametrize(
    "program",
    [
        p
        if p in ("dense", "cnn", "tracker_dense")
        else pytest.param(p, marks=pytest.mark.exhaustive)
        for p in PROGRAMS
    ],
)
@pytest.mark.parametrize("optimizer", ["adam", pytest.param("sgd", marks=pytest.mark.exhaustive)])
def test_one_round_of_float32_from_one_state_is_within_rounding(fleets, program, optimizer):
    arm = {"method": "local", "optimizer": optimizer, "learning_rate": 0.001}
    stacked, one_by_one = (
        fleets(program, "float32").run(
            arm,
            rounds=1,
            stream={"questions_per_round": 3, "bout_windows": 4},
            fleet={"engine": engine},
        )
        for engine in ("fleet", "reference")
    )
    moved = [
        norm(stacked.devices[name], one_by_one.devices[name]) for name in sorted(stacked.devices)
    ]
    assert max(moved) < 1e-5
    assert_equal_records(stacked, one_by_one)
    assert (stacked.rounds.loc[stacked.rounds["round"] == 1, "steps"] > 0).sum() >= 4
