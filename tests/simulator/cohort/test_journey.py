"""The way of updates to the server: who comes when, and that all are accounted for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.hostile import Hostile
from simulator.cohort.accounts import FATES, Accounts, Underway
from simulator.cohort.journey import LOSSES, REASONS, Journey
from simulator.faults.latency import paces_of
from simulator.scenario.fault_table import Faults
from tests.simulator.made_journeys import REFUSED_AS, becomes, fate, journey, outcome

SENT = {"w": np.full((2, 3), 0.5, np.float32), "b": np.zeros(2, np.float32)}


def learnt(distances):
    """Make updates that move every one of the eight values by some distance."""
    moved = np.array(distances, np.float32)
    return {name: np.add.outer(moved, value) for name, value in SENT.items()}


def travel(made, rows=None, *, took_s=0.0, bound=None, distances=None):
    """Let the updates of some devices travel, or those of all."""
    rows = np.arange(made.devices.size) if rows is None else np.array(rows)
    arrays = learnt(np.ones(rows.size) if distances is None else distances)
    return made.travel(SENT, arrays, rows, np.full(rows.size, took_s), bound)


def listed(accounts):
    """List accounts: (row, fate, reason, round), in their order."""
    return [
        (row, FATES[one], REASONS[why] if why >= 0 else "", round_)
        for row, one, why, round_ in zip(
            accounts.row.tolist(), accounts.fate.tolist(), accounts.reason.tolist(),
            accounts.round_.tolist(), strict=True,
        )
    ]  # fmt: skip


def test_on_a_calm_day_everything_arrives_as_it_was_sent():
    came = travel(journey(3), distances=[1.0, 2.0, 3.0])
    assert came.came.all()
    assert came.counts.all()
    assert came.rounds.tolist() == [0.0] * 3
    for name, value in learnt([1.0, 2.0, 3.0]).items():
        assert came.arrays[name].tobytes() == value.tobytes()
    assert listed(came.accounts) == [(row, "accepted", "", 1) for row in range(3)]
    # Eight values each.
    assert came.accounts.norm == pytest.approx(np.sqrt(8.0) * np.arange(1, 4))


def test_an_update_is_lost_or_refused_or_accepted_and_the_guard_is_asked_about_none_that_is_lost():
    made = journey(4, lost=[True, False, True, False], corruption=["nan", "nan", None, None])
    came = travel(made)
    assert came.came.tolist() == [False, True, False, True]
    assert came.counts.tolist() == [False, False, False, True]
    assert listed(came.accounts) == [
        (0, "lost", "network", 1),
        (1, "refused", "not-finite", 1),
        (2, "lost", "network", 1),
        (3, "accepted", "", 1),
    ]
    assert np.isnan(came.accounts.norm).tolist() == [True, True, True, False]


def test_a_norm_beyond_the_bound_is_told_with_the_refusal():
    came = travel(journey(2), distances=[1.0, 5.0], bound=8.0)
    assert listed(came.accounts) == [(0, "accepted", "", 1), (1, "refused", "norm", 1)]
    assert came.accounts.norm == pytest.approx([np.sqrt(8.0), 5.0 * np.sqrt(8.0)])


def test_what_arrives_twice_counts_once_and_what_is_lost_is_lost_twice():
    befalls = {"lost": [False, True, False], "corruption": [None, None, "inf"]}
    came = travel(journey(3, duplicated=True, **befalls))
    assert came.counts.tolist() == [True, False, False]
    assert listed(came.accounts) == [
        (0, "accepted", "", 1),
        (1, "lost", "network", 1),
        (2, "refused", "not-finite", 1),
        (0, "refused", "duplicate", 1),
        (1, "lost", "network", 1),
        (2, "refused", "duplicate", 1),
    ]


def test_rows_are_those_of_the_cohort_whichever_send():
    made = journey(5, lost=[False, False, False, True, False], duplicated=[True] + [False] * 4)
    assert listed(travel(made, [3, 0]).accounts) == [
        (3, "lost", "network", 1),
        (0, "accepted", "", 1),
        (0, "refused", "duplicate", 1),
    ]


# --- A server that waits -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("took_s", "fate_"), [(30.9, "accepted"), (31.0, "accepted"), (31.1, "lost")]
)
def test_an_update_that_takes_longer_than_the_deadline_is_lost(took_s, fate_):
    made = journey(1, faults={"latency_s": 1.0, "deadline_s": 31.0})
    reason = "deadline" if fate_ == "lost" else ""
    assert listed(travel(made, took_s=took_s).accounts) == [(0, fate_, reason, 1)]


def test_an_update_takes_what_its_device_computes_and_sends():
    """By hand: 20 s of work, 8 gradients of 0.25 s, 6 KiB at 2 KiB/s, two messages of 1.5 s."""
    faults = {
        "duration_rounds": 0.5, "round_s": 40.0, "step_s": 0.25, "bandwidth_kib_s": 2.0,
        "latency_s": 1.5,
    }  # fmt: skip
    devices = np.array([7, 9])
    paces = paces_of(Faults.model_validate(faults), 1, devices)
    down = np.array([4096, 0])
    made = Journey(
        Faults.model_validate(faults), 1, 1, 9, True, devices, fate(2), paces, None, down
    )
    of = outcome([1, 1], gradients=[8, 0])
    assert made.took_s(of, 2048).tolist() == [28.0, 24.0]


def test_without_a_deadline_a_server_waits_for_ever():
    assert listed(travel(journey(1), took_s=1e9).accounts) == [(0, "accepted", "", 1)]


def test_a_server_that_waits_for_a_round_takes_nothing_of_an_earlier_one():
    made = journey(2, late_rounds=[0, 1])
    assert listed(travel(made).accounts) == [(0, "accepted", "", 1), (1, "lost", "late", 1)]


# --- A server that takes each as it comes --------------------------------------------------------


@pytest.mark.parametrize(
    ("took_s", "late_rounds", "arrives"),
    [
        (0.0, 0, 4), (30.0, 0, 4), (60.0, 0, 4), (60.1, 0, 5), (150.0, 0, 6),
        (0.0, 1, 4), (0.1, 1, 5), (60.0, 1, 5), (30.0, 3, 7),
    ],
)  # fmt: skip
def test_an_update_counts_in_the_round_of_its_arrival(took_s, late_rounds, arrives):
    """A round of 60 s; the fourth begins after three."""
    made = journey(1, round_=4, waits=False, late_rounds=late_rounds)
    came = travel(made, took_s=took_s)
    assert listed(came.accounts) == [(0, "accepted", "", arrives)]
    assert came.rounds.tolist() == [took_s / 60.0 + late_rounds]


def test_what_is_on_its_way_when_the_run_ends_is_lost_then():
    made = journey(2, round_=8, rounds=9, waits=False, late_rounds=[2, 3], duplicated=True)
    came = travel(made)
    assert listed(came.accounts) == [
        (0, "accepted", "", 9),
        (1, "lost", "run-over", 9),
        (0, "refused", "duplicate", 9),
        (1, "lost", "run-over", 9),
    ]
    assert came.came.tolist() == [True, False]


def test_no_deadline_and_no_delay_loses_what_is_not_waited_for():
    made = journey(2, waits=False, late_rounds=[0, 1], faults={"latency_s": 1.0, "deadline_s": 5.0})
    assert travel(made, took_s=50.0).counts.all()


def test_what_is_lost_is_known_at_once_and_what_is_refused_when_it_arrives():
    kinds, lost = ["nan", None], [False, True]
    made = journey(2, waits=False, late_rounds=2, corruption=kinds, lost=lost)
    assert listed(travel(made, took_s=60.0).accounts) == [
        (0, "refused", "not-finite", 3),
        (1, "lost", "network", 1),
    ]


# --- All together --------------------------------------------------------------------------------

DEVICES = 6
each = {
    "lost": st.booleans(),
    "duplicated": st.booleans(),
    "late_rounds": st.sampled_from([0, 0, 0, 1, 2, 5]),
    "corruption": st.sampled_from([None, None, *sorted(REFUSED_AS)]),
}
fates = st.fixed_dictionaries(
    {name: st.lists(one, min_size=DEVICES, max_size=DEVICES) for name, one in each.items()}
)


@settings(max_examples=80)
@given(
    days=st.lists(
        st.tuples(
            fates,
            st.sets(st.integers(0, DEVICES - 1), min_size=1),
            st.lists(
                st.sampled_from([0.0, 30.0, 60.0, 61.0, 200.0]),
                min_size=DEVICES,
                max_size=DEVICES,
            ),
        ),
        min_size=1,
        max_size=5,
    ),
    waits=st.booleans(),
    more=st.integers(0, 2),
)
def test_every_update_is_accounted_for_once(days, waits, more):
    """What is sent is what is accepted, refused and lost, device by device and day by day."""
    rounds = len(days) + more
    underway, closed, wanted = Underway(), {}, {}
    for number, (befalls, senders, took_s) in enumerate(days, start=1):
        rows, took_s = np.array(sorted(senders)), np.array(took_s)
        made = journey(
            DEVICES, round_=number, rounds=rounds, waits=waits,
            faults={"latency_s": 1.0, "deadline_s": 100.0}, **befalls,
        )  # fmt: skip
        came = made.travel(SENT, learnt(np.ones(rows.size)), rows, took_s[rows], None)
        closed[number] = underway.close(number, came.accounts)
        for place, row in enumerate(rows.tolist()):
            known = {"round_": number, "rounds": rounds, "waits": waits, "deadline_s": 100.0}
            became = becomes(made.fate, row, took_s=took_s[row], **known)
            assert came.counts[place] == (became[0][0] == "accepted")
            for one, why, when in became:
                wanted.setdefault(when, []).append((row, one, why, when))
    for number in range(len(days) + 1, rounds + 1):
        closed[number] = underway.close(number, Accounts.empty())
    for number in range(1, rounds + 1):
        assert sorted(listed(closed[number])) == sorted(wanted.get(number, []))
        assert closed[number].row.tolist() == sorted(closed[number].row.tolist())
    assert underway.close(99, Accounts.empty()).row.size == 0


# --- Those who mean harm -------------------------------------------------------------------------


def test_who_means_harm_sends_something_else_and_the_guard_sees_that():
    rows = np.array([False, True, False, True])
    hostile = Hostile(rows, "sign-flip", classes=3, scale=4.0)
    made = journey(4, hostile=hostile)
    came = travel(made, [3, 0, 1], distances=[1.0, 1.0, 2.0], bound=10.0)
    # Moved by -4, 1 and -8 in each of eight values.
    np.testing.assert_allclose(came.arrays["b"], [[-4.0] * 2, [1.0] * 2, [-8.0] * 2])
    norms = np.sqrt(8.0) * np.array([4.0, 1.0, 8.0])
    assert came.checked.norms == pytest.approx(norms)
    assert came.counts.tolist() == [False, True, False]
    assert made.means_harm(np.array([3, 0, 1])).tolist() == [True, False, True]
    assert not journey(4).means_harm(np.array([3, 0])).any()


def test_reasons_are_all_different():
    assert len(set(REASONS)) == len(REASONS)
    assert set(LOSSES) <= set(REASONS)
