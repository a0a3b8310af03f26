"""How eager detectors may be: set on donors alone, within the allowed rate of false alarms."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from clients import chance
from clients.detectors import DETECTORS, alarms
from clients.novelty import STRENGTHS, Expected
from clients.training import predict_windows, scaled, train_apart
from simulator.base.choice import groups_of
from simulator.base.origin import blueprint_of, recipe_of, training_spans
from simulator.base.thresholds import (
    LEAST_WINDOWS,
    _asked_of,
    _Donor,
    _most_eager,
    _predicted,
    _streams,
    calibrate,
)
from simulator.plan.plan import build_plan
from simulator.scenario.scenario import Scenario

STEPS = 20
KINDS = ("page-hinkley", "ddm", "inputs")


def plan_of(*detectors, seed=3, **tables):
    return build_plan(
        Scenario.model_validate(
            {
                "name": "thresholds",
                "seed": seed,
                "data": {
                    "source": "synthetic",
                    "users": 6,
                    "minutes": 0.6,
                    "window_s": 1.0,
                    "hop_s": 1.0,
                    "activities": ["walking", "jogging", "sitting", "standing"],
                },
                "model": {"program": "dense"},
                "training": {"steps": STEPS, "look_every": 10},
                "stream": {"batch": 4},
                "arms": [{"name": "local", "method": "local"}],
                "detectors": [
                    own if isinstance(own, dict) else {"kind": own, "false_alarms": 0.002}
                    for own in detectors
                ],
                **tables,
            }
        )
    )


def set_on(plan, fold=0):
    scenario = plan.scenario
    blueprint = blueprint_of(scenario, plan.population.length, plan.population.channels)
    return calibrate(plan, plan.folds[fold], blueprint, STEPS)


def as_values(thresholds):
    """Return thresholds as what can be compared."""
    found = {}
    for kind, one in thresholds.items():
        usual = one.expected
        numbers = () if usual is None else (*usual.scale, *usual.weights, usual.deviation)
        found[kind] = (one.strength, one.alarms, one.windows, tuple(map(float, numbers)))
    return found


@pytest.fixture(scope="module")
def plan():
    return plan_of(*KINDS)


@pytest.fixture(scope="module")
def found(plan):
    return set_on(plan)


def upper(count):
    """Return the mean of which as few as `count` are seen in one of forty cases."""
    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if stats.poisson.cdf(count, middle) > 0.025 else (low, middle)
    return high


@pytest.fixture(scope="module")
def donors(plan):
    return _predicted_of(plan)


def test_donors_streams_have_enough_answered_windows(plan, found, donors):
    streams = _streams(plan, plan.folds[0], donors)
    answered = sum(int((stream >= 0).sum()) for stream in streams)
    for kind in ("page-hinkley", "ddm"):
        assert found[kind].windows == answered >= LEAST_WINDOWS == 20_000
    assert LEAST_WINDOWS <= found["inputs"].windows < 2 * LEAST_WINDOWS


def _predicted_of(plan):
    blueprint = blueprint_of(plan.scenario, plan.population.length, plan.population.channels)
    return _predicted(plan, plan.folds[0], blueprint, STEPS)


@pytest.mark.parametrize("kind", ["page-hinkley", "ddm"])
def test_strength_is_the_most_eager_of_the_grid_that_stays_within_what_is_allowed(
    plan, found, donors, kind
):
    streams = _streams(plan, plan.folds[0], donors)
    grid, one = DETECTORS[kind].grid, found[kind]
    place = grid.index(one.strength)
    counts = [sum(alarms(kind, s, stream).size for stream in streams) for s in grid[place:]]
    assert counts[0] == one.alarms
    within = [upper(count) <= 0.002 * one.windows for count in counts]
    assert within == [True] + [False] * (len(counts) - 1)
    assert 0 < place < len(grid) - 1


def test_detector_on_inputs_stays_within_what_is_allowed(found):
    one = found["inputs"]
    assert upper(one.alarms) <= 0.002 * one.windows
    assert one.strength in STRENGTHS[1:]
    assert isinstance(one.expected, Expected)


@pytest.mark.parametrize("allowed", [3.6, 3.7, 8.7, 8.8, 20.0, 1e9])
def test_upper_end_of_the_interval_of_alarms_decides(allowed):
    counts = [0, 0, 1, 3, 3, 9, 40, 41, 300]
    fits = [place for place, count in enumerate(counts) if upper(count) <= allowed]
    place, heard = _most_eager(tuple(range(9)), lambda strength: counts[strength], allowed)
    assert (place, heard) == ((fits[-1], counts[fits[-1]]) if fits else (0, 0))


@pytest.mark.parametrize("length", range(1, 9))
def test_every_place_of_a_grid_can_be_found(length):
    for last in range(length):
        counts = [0] * (last + 1) + [100] * (length - last - 1)
        assert _most_eager(tuple(range(length)), counts.__getitem__, 10.0) == (last, 0)


def test_detector_that_is_too_eager_everywhere_stays_mute():
    counts = [0, 50, 60, 70]
    assert _most_eager((9.0, 3.0, 2.0, 1.0), lambda s: counts[int(9 - s) and int(4 - s)], 5.0) == (
        0,
        0,
    )


def test_fewer_false_alarms_are_never_more_eager(found):
    # Of 20,000 windows, one false alarm in 10,000 would be two: fewer than none at all can prove.
    strict = set_on(plan_of(*({"kind": kind, "false_alarms": 0.0002} for kind in KINDS)))
    for kind in KINDS:
        grid = STRENGTHS if kind == "inputs" else DETECTORS[kind].grid
        assert grid.index(strict[kind].strength) < grid.index(found[kind].strength)
        assert strict[kind].alarms == 0


def test_given_strength_is_taken_as_it_is(found):
    given = plan_of({"kind": "ddm", "strength": 1.75}, {"kind": "inputs", "strength": 3.3})
    own = calibrate(given, given.folds[0], None, 0)  # no model has to be trained for it
    assert (own["ddm"].strength, own["ddm"].alarms, own["ddm"].expected) == (1.75, -1, None)
    assert (own["inputs"].strength, own["inputs"].alarms) == (3.3, -1)
    np.testing.assert_array_equal(own["inputs"].expected.scale, found["inputs"].expected.scale)


def test_nothing_of_who_wears_the_folds_devices_is_looked_at(plan, found):
    fold = plan.folds[0]
    # As all is drawn anew, this also says that the same seed gives the same values.
    assert as_values(set_on(changed(plan, fold.wearers))) == as_values(found)
    donors = set_on(changed(plan, fold.donors[:1]))
    for kind in KINDS:
        assert as_values(donors)[kind] != as_values(found)[kind]


def changed(plan, users):
    """Return a plan in which some users do everything twice as hard, in another order."""
    population = plan.population
    strange = {
        user: [
            replace(one, samples=2.0 * one.samples[::-1].copy()) if user in users else one
            for one in recordings
        ]
        for user, recordings in population.recordings.items()
    }
    return replace(plan, population=replace(population, recordings=strange))


def test_same_seed_draws_the_same_streams_and_another_seed_others(plan, donors):
    fold = plan.folds[0]
    other = replace(plan, scenario=plan.scenario.of_seed(4))
    first, second = (np.concatenate(_streams(own, fold, donors))[:500] for own in (plan, other))
    assert (first != second).any()
    third = np.concatenate(_streams(plan, fold, donors))[:500]
    np.testing.assert_array_equal(first, third)


def test_models_of_other_donors_predict_each_donor(plan, donors):
    fold = plan.folds[0]
    assert len(donors) == len(fold.donors) == 3
    groups = [group for group in groups_of(plan, fold) if group]
    order = [user for group in groups for user in group]
    for user, own in zip(order, donors, strict=True):
        pool, table = _asked_of(plan, user)
        assert pool.users == (user,)
        np.testing.assert_array_equal(own.label, table.label)
        assert (own.predicted >= 0).sum() == table.count.sum()
        rows = np.concatenate(own.bouts)
        np.testing.assert_array_equal(np.sort(rows), np.arange(table.first.size))
    # Once more for the first: trained on the others alone, and asked all of its windows.
    left_out = groups[0]
    others = [user for user in fold.donors if user not in left_out]
    scenario, population = plan.scenario, plan.population
    blueprint = blueprint_of(scenario, population.length, population.channels)
    (base,) = train_apart(
        blueprint,
        [training_spans(scenario, population, others)],
        recipe_of(scenario),
        STEPS,
        [chance.generator(3, "thresholds", fold.index, 0)],
    )
    pool, table = _asked_of(plan, left_out[0])
    params = {name: value[None] for name, value in base.params.items()}
    for question in range(table.first.size):
        count = int(table.count[question])
        windows = table.first[question] + np.arange(count, dtype=np.int32)
        x = scaled(pool.read(windows), base.mean, base.scale)
        said = predict_windows(blueprint.model(), params, x)[:, 0]
        assert said.tolist() == donors[0].predicted[question, :count].tolist()


def hand_made(plan, predicted, label):
    """Return the answered share and the errors of streams drawn from one bout for each class."""
    predicted, label = np.array(predicted, np.int32), np.array(label, np.int32)
    donor = _Donor(predicted, label, [np.array([q]) for q in range(label.size)])
    streams = _streams(plan, plan.folds[0], [donor])
    return streams, np.concatenate(streams)


def with_labels(**labels):
    return plan_of(labels={"answer_rate": 1.0, "mistake_rate": 0.0, **labels})


def test_streams_are_as_long_as_a_devices_and_hold_what_donors_were_mistaken_for():
    plan = with_labels()
    label = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    predicted = [[c, c] for c in label[:-1]] + [[0, 1]]  # half of the last question is wrong
    streams, errors = hand_made(plan, predicted, label)
    assert {stream.size for stream in streams} == {14}  # 0.7 of ten questions of two windows
    assert errors.size >= LEAST_WINDOWS
    assert (errors >= 0).all()
    assert errors.mean() == pytest.approx(0.05, abs=0.01)
    assert not errors[1::2].any()
    assert len({stream.tobytes() for stream in streams}) > 10


def test_users_answer_on_donors_streams_as_they_do_in_the_scenario():
    label = [0, 1, 2, 3]
    _, errors = hand_made(with_labels(answer_rate=0.5), [[c, c] for c in label], label)
    assert (errors >= 0).mean() == pytest.approx(0.5, abs=0.02)
    assert ((errors[::2] >= 0) == (errors[1::2] >= 0)).all()  # of a question all or none
    assert not (errors == 1).any()
    _, errors = hand_made(with_labels(mistake_rate=1.0), [[c, c] for c in label], label)
    assert (errors == 1).all()
    _, errors = hand_made(with_labels(mistake_rate=0.3), [[c, c] for c in label], label)
    assert errors.mean() == pytest.approx(0.3, abs=0.02)


def test_place_without_a_window_is_no_error():
    _, errors = hand_made(with_labels(), [[0, -1], [1, 1], [2, 2], [3, 3]], [0, 1, 2, 3])
    assert ((errors[1::2] < 0).mean()) == pytest.approx(0.25, abs=0.03)
    assert not (errors == 1).any()


def test_withheld_activities_are_absent():
    drift = [{"kind": "new-activity", "activity": "jogging"}]
    plan, usual = plan_of("ddm", drift=drift), plan_of("ddm")
    user = plan.folds[0].donors[0]
    labels = set(_asked_of(plan, user)[1].label.tolist())
    assert labels == {0, 2, 3}
    assert set(_asked_of(usual, user)[1].label.tolist()) == {0, 1, 2, 3}
    for own in _predicted_of(plan):
        assert set(own.label.tolist()) == {0, 2, 3}


def test_holdout_of_donors_is_looked_at_as_they_are_no_devices():
    plan = plan_of("ddm")
    user = plan.folds[0].donors[0]
    seconds = sum(len(one.samples) for one in plan.population.recordings[user]) / 20.0
    assert _asked_of(plan, user)[1].count.sum() > 0.95 * seconds


def test_models_that_are_trained_apart_take_as_many_steps_each(plan):
    scenario, population, donors = plan.scenario, plan.population, plan.folds[0].donors
    blueprint = blueprint_of(scenario, population.length, population.channels)
    spans = [training_spans(scenario, population, [user]) for user in donors[:2]]
    randoms = [chance.generator(1, "apart", number) for number in (0, 1, 0)]
    first, second, third = train_apart(
        blueprint, [*spans, spans[0]], recipe_of(scenario), STEPS, randoms
    )
    assert first.steps == second.steps == STEPS
    assert first.validation_accuracy is None
    for name, value in first.params.items():
        np.testing.assert_array_equal(third.params[name], value)
    assert any((second.params[name] != value).any() for name, value in first.params.items())
