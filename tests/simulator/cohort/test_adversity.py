"""Fleets with which everything goes wrong: runs end, and every update is accounted for."""

import shutil
from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from simulator.cohort.reply import Terms
from simulator.faults.fate import Outages, fate_of
from simulator.faults.latency import paces_of
from simulator.folder.kept import Kept
from simulator.measures.fault_frames import faults_frame
from simulator.running.federation import Server, Session
from simulator.running.saving import restore, save
from simulator.scenario.fault_table import CORRUPTIONS
from tests.simulator.conftest import read_all
from tests.simulator.made_few import EVERYBODY, InNumpy, open_few
from tests.simulator.made_fleets import assert_equal_trials, events_of
from tests.simulator.made_journeys import REFUSED_AS, becomes

ARMS = {
    "fedavg": {},
    "scaffold": {},
    "fedbuff": {"buffer": 2},
    "krum": {},
    "ifca": {"clusters": 2},
    "dpfedavg": {"participation": 0.9, "noise": 0.05, "clip": 0.05},
    "ditto": {"lambda": 0.3},
}
WAITS = [method for method in ARMS if method != "fedbuff"]
# Whatever can go wrong; what is corrupted is refused for sure, as no bound depends on the others.
FAULTS = {
    "availability": 0.85, "outage_rounds": 1.5,
    "dropout": 0.2, "dropout_when": "any",
    "duration_rounds": 0.3, "step_s": 2.0, "speed": 0.7,
    "bandwidth_kib_s": 40.0, "bandwidth_spread": 0.5, "latency_s": 2.0, "latency_spread": 0.4,
    "deadline_s": 50.0,
    "lost": 0.15, "duplicated": 0.3, "late": 0.3, "late_rounds": 2, "reordered": 0.5,
    "corrupted": 0.2, "corruptions": sorted(REFUSED_AS),
    "battery": True, "battery_low": 0.3, "drain_round": 0.04, "charging": 0.4, "charge_round": 0.2,
    "hostile": 0.3, "attack": "sign-flip", "attack_scale": 1.5,
}  # fmt: skip
TABLES = {
    "learning": {"steps": 1, "memory": 16},
    "labels": {"answer_rate": 0.9, "mistake_rate": 0.1, "delay_rounds": 1},
    "stream": {"questions_per_round": 2},
    "guard": {"max_norm": "off"},
}
SIZES = (4, 3)


@pytest.fixture(scope="module")
def adverse(fleets):
    """Give what a method came to on an engine, and the fleet that it was."""

    @cache
    def run(method, engine="reference", sizes=SIZES):
        arm = {"method": method, **ARMS[method]}
        opened = fleets("dense").open(arm, sizes, faults=FAULTS, fleet={"engine": engine}, **TABLES)
        return opened, opened.run()

    return run


def rows_of(trial):
    """Give the rows of rounds/ by round from 1 and device: (round, device) -> row."""
    rounds = trial.rounds[trial.rounds["round"] > 0]
    return {(row["round"], row["device"]): row for row in rounds.to_dict("records")}


def names_of(plan):
    return {plan.name_of(device): device for device in range(plan.devices)}


# --- Accounts ------------------------------------------------------------------------------------


def by_hand(opened, trial):
    """Work out what befell every device in every round from who took part and what it learnt.

    Returns:
        counts: (round, device) of what was sent, and of what was accepted, refused and lost.
        events: (round, device, kind, reason), each as often as it is.
    """
    plan, counts, events = opened.plan, Counter(), Counter()
    faults, seed = plan.scenario.faults, plan.scenario.seed
    waits = plan.scenario.arms[0].method in WAITS
    for name, device in names_of(plan).items():
        number = np.array([device])
        paces = paces_of(faults, seed, number)
        for round_ in range(1, plan.rounds + 1):
            row = rows_of(trial)[round_, name]
            if not row["participant"]:
                continue
            fate = fate_of(faults, seed, number, round_)
            if fate.until[0] < 1.0:
                when = "before" if fate.until[0] == 0.0 else "middle"
                events[round_, name, "dropped-out", when] += 1
                continue
            if not row["steps"]:
                continue
            # Each of its bytes, each of its gradients, and two messages.
            took_s = float(
                paces.work_s[0] + paces.step_s[0] * row["gradients"] + 2 * paces.latency_s[0]
                + paces.byte_s[0] * (row["bytes_down"] + row["bytes_up"])
            )  # fmt: skip
            assert row["took_s"] == pytest.approx(took_s)
            updates = becomes(
                fate, 0, round_=round_, rounds=plan.rounds, waits=waits, took_s=took_s,
                round_s=faults.round_s, deadline_s=faults.deadline_s,
            )  # fmt: skip
            counts[round_, name, "sent"] += len(updates)
            for kind, reason, when in updates:
                counts[when, name, kind] += 1
                if kind != "accepted":
                    events[when, name, kind, reason] += 1
    return counts, events


@pytest.mark.parametrize("method", ARMS)
def test_every_update_is_accounted_for_by_device_and_round_and_in_sum(adverse, method):
    opened, trial = adverse(method)
    counts, events = by_hand(opened, trial)
    kinds = ("sent", "accepted", "refused", "lost")
    for (round_, name), row in rows_of(trial).items():
        wanted = {kind: counts[round_, name, kind] for kind in kinds}
        assert {kind: row[kind] for kind in kinds} == wanted, (round_, name)
    told = events_of(trial)
    columns = (told[name] for name in ("round", "device", "kind", "reason"))
    assert Counter(zip(*columns, strict=True)) == events
    sums = trial.rounds[list(kinds)].sum()
    assert sums["sent"] == sums["accepted"] + sums["refused"] + sums["lost"]
    # Much went wrong, and not all did.
    assert sums["accepted"] > 5
    reasons = Counter(reason for *_, kind, reason in events if kind in ("refused", "lost"))
    held_up = {"late", "deadline"} if method in WAITS else set()
    assert reasons.keys() >= {"network", "duplicate", *held_up}
    assert reasons.keys() & set(REFUSED_AS.values()) or method == "dpfedavg"  # fewer take part
    assert {reason for *_, kind, reason in events if kind == "dropped-out"} == {"before", "middle"}


@pytest.mark.parametrize("method", ARMS)
def test_with_everything_going_wrong_every_number_is_finite(adverse, method):
    opened, trial = adverse(method)
    arrays = {f"shared/{name}": value for name, value in trial.shared.items()}
    for device, variables in trial.devices.items():
        arrays |= {f"{device}/{name}": value for name, value in variables.items()}
    for file, state in trial.states.items():
        # A norm that nobody knows is NaN.
        kept = {name: value for name, value in state.items() if name != "underway/norm"}
        arrays |= {f"{file}/{name}": value for name, value in kept.items()}
    assert [name for name, value in arrays.items() if not np.isfinite(value).all()] == []
    assert len(trial.devices) == 7
    rounds = trial.rounds[trial.rounds["round"] > 0]
    assert rounds["round"].max() == opened.plan.rounds
    for column in ("loss", "took_s", "battery"):
        assert not np.isinf(rounds[column]).any()
    assert rounds["battery"].between(0.0, 1.0).all()
    assert (rounds["loss"].isna() == (rounds["steps"] == 0)).all()
    assert (rounds["took_s"].isna() == (rounds["sent"] == 0)).all()
    assert np.isfinite(trial.windows["loss"]).all()
    moved = [np.abs(trial.shared[n] - v).max() for n, v in opened.prepared.params.items()
             if n in trial.shared]  # fmt: skip
    assert method in ("ifca", "krum") or max(moved) > 1e-4


def test_devices_meet_the_same_fates_in_all_arms(adverse):
    """Whether they take part may differ, as their batteries do."""
    dropped, lost, together = {}, {}, 0
    reachable = {}
    for method in ARMS:
        _, trial = adverse(method)
        told = events_of(trial)
        what = {
            (row["round"], row["device"], row["kind"]): row["reason"]
            for row in told.to_dict("records")
        }
        for (round_, name), row in rows_of(trial).items():
            place = (round_, name)
            assert reachable.setdefault(place, (row["reachable"], row["hostile"])) == (
                row["reachable"],
                row["hostile"],
            )
            assert row["reachable"] or not row["participant"]
            if not row["participant"]:
                continue
            fate = what.get((*place, "dropped-out"))
            together += place in dropped
            assert dropped.setdefault(place, fate) == fate
            if row["sent"] and method in WAITS:
                gone = what.get((*place, "lost")) == "network"
                assert lost.setdefault(place, gone) == gone
    assert together > 50
    assert sum(lost.values()) > 2
    assert not all(there for there, _ in reachable.values())
    assert len({name for (_, name), (_, harm) in reachable.items() if harm}) == 2


def test_who_can_be_reached_is_told_of_every_device_in_every_round(adverse):
    opened, trial = adverse("fedavg")
    plan = opened.plan
    outages = Outages(plan.scenario.faults, plan.scenario.seed, np.arange(7))
    for round_ in range(1, plan.rounds + 1):
        there = outages.reachable(round_)
        for name, device in names_of(plan).items():
            assert rows_of(trial)[round_, name]["reachable"] == there[device]


# --- Whoever computes it -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ARMS)
def test_both_engines_come_to_one_result_with_everything_going_wrong(adverse, method):
    assert_equal_trials(adverse(method, "fleet")[1], adverse(method)[1])


@pytest.mark.parametrize("method", ["fedavg", "fedbuff"])
def test_how_devices_are_cut_into_cohorts_makes_no_difference(adverse, method):
    (_, one), (_, other) = adverse(method), adverse(method, sizes=(7,))

    def sorted_(frame, *columns):
        order = ["round", "device", *columns]
        return frame.sort_values(order, kind="stable").reset_index(drop=True)

    for frame, columns in (
        (lambda trial: trial.rounds, ()),
        (lambda trial: trial.windows, ("question",)),
        (events_of, ("kind", "reason")),
    ):
        ours, theirs = (sorted_(frame(trial), *columns) for trial in (one, other))
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)
    assert one.events == other.events
    for name, value in one.shared.items():
        np.testing.assert_allclose(other.shared[name], value, rtol=0.0, atol=1e-9)


@dataclass
class Played:
    """A fleet whose rounds are played one by one, and saved and restored as a run does."""

    opened: object

    def __post_init__(self):
        self.session = Session(self.opened.plan.scenario.arms[0], 0)
        self.server = Server(
            self.opened.plan, self.session, self.opened.prepared, self.opened.fleet
        )
        self.kept = Kept(self.opened.folder / "checkpoints" / "trial" / "0", keep=9)

    def play(self, first, last):
        """Play some rounds; returns the shared arrays after each of them."""
        fleet, after = self.opened.fleet, []
        for round_ in range(first, last + 1):
            shared = self.server.round(round_)
            fleet.score(round_, shared)
            after.append({name: value.copy() for name, value in self.session.shared.items()})
        save(self.kept, fleet, self.session, self.server, last, self.session.shared)
        return after

    def restore(self, round_):
        """Become what was saved."""
        manifest = self.kept.check(round_)
        restore(self.kept, self.opened.fleet, self.session, self.server, manifest)

    def write(self, last):
        """Finish the records."""
        self.opened.fleet.write(last)


@pytest.mark.parametrize(
    ("method", "engine"), [("fedavg", "reference"), ("fedbuff", "reference"), ("fedbuff", "fleet")]
)
def test_what_was_saved_and_restored_goes_on_to_the_same_bytes(fleets, tmp_path, method, engine):
    """Updates on their way, open accounts, batteries and outages among it."""
    arm = {"method": method, **ARMS[method]}
    saved, last = 3, 6
    faults = FAULTS | {"late": 0.6, "lost": 0.05, "dropout": 0.1}

    def begun():
        opened = fleets("dense").open(arm, SIZES, faults=faults, fleet={"engine": engine}, **TABLES)
        return Played(opened)

    whole = begun()
    whole.opened.fleet.score(0, None)
    whole.play(1, saved)
    shutil.copytree(whole.kept.path, tmp_path / "saved")
    whole.play(saved + 1, last)
    whole.write(last)
    if method == "fedbuff":
        kept = tmp_path / "saved" / f"{saved:05d}"
        server = load_file(kept / "server.safetensors")
        assert any(name.startswith("flights/") for name in server)
        states = [load_file(file) for file in kept.glob("cohort-*")]
        assert sum(state["underway/row"].size for state in states) > 0
    again = begun()
    shutil.copytree(tmp_path / "saved", again.kept.path)
    again.restore(saved)
    again.play(saved + 1, last)
    again.write(last)
    files = [
        {file.name: file.read_bytes() for file in one.kept.folder_of(last).glob("*.safetensors")}
        for one in (whole, again)
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 3
    columns = ["accepted", "refused", "lost", "sent", "battery", "reachable", "correct", "took_s"]
    for kind, own in (("rounds", columns), ("events", ["kind", "reason", "norm"])):
        ours, theirs = (read_all(one.opened.folder / kind) for one in (whole, again))
        own = ["round", "device", *own]
        pd.testing.assert_frame_equal(ours[own], theirs[own], check_exact=True)
        assert len(ours) > 3


# --- Dropping out --------------------------------------------------------------------------------

DROPS = {"dropout": 0.5, "dropout_when": "any", "lost": 0.25}


def fates_in_numpy(opened, rounds):
    """Return what befalls three devices in each round, as the fleet in NumPy takes it."""
    scenario = opened.plan.scenario
    drawn = [
        fate_of(scenario.faults, scenario.seed, np.arange(3), round_)
        for round_ in range(1, rounds + 1)
    ]
    return {"until": [one.until for one in drawn], "sends": [~one.lost for one in drawn]}


@pytest.mark.parametrize("method", ["fedavg", "scaffold", "ditto", "ifca", "fedbuff"])
def test_a_device_that_drops_out_learns_the_first_questions_and_sends_nothing(fleets, method):
    """Every parameter of every device and of the server, against NumPy."""
    arm = {"method": method, **ARMS[method]}
    opened = open_few(fleets("dense"), arm, faults=DROPS, stream={"questions_per_round": 4})
    trial = opened.run(4)
    way = fates_in_numpy(opened, 4)
    until = np.array(way["until"])
    assert ((until > 0.25) & (until < 1.0)).sum() >= 2
    assert (until == 0.0).sum() >= 2
    apart = InNumpy(opened, trial, 4, **way).apart(trial)
    assert len(apart) >= 24
    assert max(apart.values()) < 1e-11, max(apart, key=apart.get)
    for (round_, name), row in rows_of(trial).items():
        if not row["participant"]:
            continue
        drops = until[round_ - 1][names_of(opened.plan)[name]]
        if drops < 1.0:
            assert row["bytes_up"] == row["sent"] == 0
        assert (row["bytes_down"] == 0) == (drops == 0.0)
        assert drops > 0.0 or row["steps"] == 0


def test_how_far_devices_come_is_the_share_of_the_questions_rounded_down(fleets):
    """Everybody answers everything: each question leads to three steps."""
    tables = {
        "labels": {"answer_rate": 1.0, "mistake_rate": 0.0},
        "learning": {"steps": 3, "memory": 0},
        "stream": {"questions_per_round": 4},
    }
    faults = {"dropout": 0.7, "dropout_when": "middle"}
    for engine in ("reference", "fleet"):
        opened = open_few(
            fleets("dense"), {"method": "fedavg"}, faults=faults, engine=engine, **tables
        )
        trial, questions = opened.run(3), set()
        for (round_, name), row in rows_of(trial).items():
            device = np.array([names_of(opened.plan)[name]])
            until = fate_of(opened.plan.scenario.faults, 4, device, round_).until[0]
            assert row["questions"] == 4  # it works through all of them all the same
            assert row["steps"] == 3 * int(np.floor(until * 4))
            questions.add(row["steps"] // 3)
        assert len(questions) > 2


def test_who_drops_out_before_a_round_predicts_with_its_last_model(fleets):
    """Where everybody always does, they are what they were when nobody ever learnt."""
    faults = {"dropout": 1.0, "dropout_when": "before"}
    tables = {"stream": {"questions_per_round": 3}}
    for method in ("fedavg", "ditto"):
        arm = {"method": method, **ARMS[method]}
        opened = open_few(fleets("dense"), arm, faults=faults, **tables)
        trial = opened.run(3)
        still = open_few(fleets("dense"), {"method": "frozen"}, **tables).run(3)
        columns = ["round", "device", "question", "label", "predicted", "voted"]
        pd.testing.assert_frame_equal(trial.windows[columns], still.windows[columns])
        rounds = trial.rounds[trial.rounds["round"] > 0]
        assert rounds["participant"].all()
        for column in ("steps", "bytes_down", "bytes_up", "sent", "lost"):
            assert (rounds[column] == 0).all()
        assert (rounds["memory_windows"] > 0).any()  # answers fill it
        told = events_of(trial)
        assert list(zip(told["kind"], told["reason"], strict=True)) == [
            ("dropped-out", "before")
        ] * len(rounds)
        assert [(event["round"], event["reason"]) for event in trial.events] == [
            (round_, f"0 good updates of 0: method {method} needs 1; the shared parameters stay")
            for round_ in (1, 2, 3)
        ]
        for name, value in opened.prepared.params.items():
            np.testing.assert_array_equal(trial.shared[name], value)


def test_finetune_gives_its_model_to_each_device_once_it_can_be_reached(fleets):
    faults = {"availability": 0.5, "outage_rounds": 2.0}
    arm = {"method": "finetune", "switch_round": 2}
    trial = open_few(fleets("dense"), arm, (3, 2), users=EVERYBODY, faults=faults).run(7)
    later = trial.rounds[trial.rounds["round"] > 2]
    waited = 0
    for _, own in later.groupby("device"):
        reached = own.loc[own["reachable"], "round"].min()
        assert own.loc[own["bytes_down"] > 0, "round"].tolist() == [reached]
        waited += reached > 3
    assert waited > 0


@pytest.mark.parametrize(
    ("method", "deadline_s"), [("fedavg", 20.0), ("fedavg", "none"), ("fedbuff", "none")]
)
def test_simulated_time_is_what_rounds_wait_for(fleets, method, deadline_s):
    faults = {
        "step_s": 2.0, "speed": 0.7, "dropout": 0.1, "lost": 0.1, "deadline_s": deadline_s,
    }  # fmt: skip
    arm = {"method": method, **ARMS[method]}
    opened = open_few(fleets("dense"), arm, (3, 2), users=EVERYBODY, faults=faults)
    trial = opened.run(6)
    total_s, waits = 0.0, []
    for round_ in range(1, 7):
        own = trial.rounds[trial.rounds["round"] == round_]
        came = own[own["accepted"] + own["refused"] > 0]
        missing = own["participant"].sum() > len(came)
        waits.append((bool(missing), len(came) > 0))
        if method == "fedbuff":
            total_s += opened.plan.scenario.faults.round_s
        elif missing and deadline_s != "none":
            total_s += deadline_s
        elif len(came):
            total_s += came["took_s"].max()
    if deadline_s != "none":
        assert {missing for missing, _ in waits} == {True, False}
    assert any(came for _, came in waits)
    frame = faults_frame(opened.folder, opened.plan.scenario)
    assert frame["simulated_s"].tolist() == [pytest.approx(total_s)]


# --- Too little that is good ---------------------------------------------------------------------

EAGER = {
    "learning": {"steps": 2, "memory": 0},
    "labels": {"answer_rate": 1.0, "mistake_rate": 0.0},
}


@pytest.mark.parametrize(
    ("arm", "least", "guard"),
    [
        ({"method": "fedavg"}, 4, {"max_norm": "off", "least_updates": 4}),
        ({"method": "scaffold"}, 4, {"max_norm": "off", "least_updates": 4}),
        ({"method": "krum", "liars": 1}, 5, {"max_norm": "off"}),
        ({"method": "bulyan"}, 3, {"max_norm": "off"}),
        ({"method": "krum"}, 4, {"max_norm": "off", "least_updates": 4}),
    ],
    ids=lambda some: some["method"] if isinstance(some, dict) and "method" in some else None,
)
def test_a_server_that_gets_too_little_stays_where_it_is_and_says_so(fleets, arm, least, guard):
    faults = {"lost": 0.15, "corrupted": 0.15, "corruptions": ["shape"], "duplicated": 0.2}
    opened = open_few(
        fleets("dense"), arm, (3, 2), users=EVERYBODY, faults=faults, guard=guard, **EAGER
    )
    played = Played(opened)
    played.opened.fleet.score(0, None)
    last = 6
    before = {name: value.copy() for name, value in played.session.shared.items()}
    after = played.play(1, last)
    played.write(last)
    rounds = read_all(opened.folder / "rounds")
    told, stayed = [], 0
    for round_, shared in enumerate(after, start=1):
        own = rounds[rounds["round"] == round_]
        good, sent = int(own["accepted"].sum()), int(own["sent"].sum())
        moved = any((shared[name] != value).any() for name, value in before.items())
        assert moved == (good >= least), (round_, good)
        before = shared
        if good < least:
            reason = f"{good} good updates of {sent}: method {arm['method']} needs {least}"
            told.append((round_, "not-aggregated", f"{reason}; the shared parameters stay"))
        stayed += not moved
    found = [(event["round"], event["kind"], event["reason"]) for event in played.session.events]
    assert found == told
    assert 0 < stayed < last
    assert rounds["participant"].sum() > 5


@pytest.mark.parametrize(("bound", "passes"), [(3.0, False), ("off", True)])
def test_absurd_updates_of_the_first_round_pass_only_where_there_is_no_bound(fleets, bound, passes):
    faults = {"corrupted": 1.0, "corruptions": ["norm"]}
    opened = open_few(
        fleets("dense"), {"method": "fedavg"}, faults=faults, guard={"max_norm": bound}, **EAGER
    )
    trial = opened.run(1)
    size = np.sqrt(sum(np.square(v).sum() for v in opened.prepared.params.values()))
    sums = trial.rounds[["sent", "accepted", "refused"]].sum().tolist()
    assert sums == ([3, 3, 0] if passes else [3, 0, 3])
    plain = open_few(fleets("dense"), {"method": "fedavg"}, **EAGER).run(1)
    for name, value in opened.prepared.params.items():
        # A million times where the honest ones would have led.
        wanted = value + 1e6 * (plain.shared[name] - value) if passes else value
        np.testing.assert_allclose(trial.shared[name], wanted, rtol=1e-7, atol=1e-7)
    if not passes:
        told = events_of(trial)
        assert told["reason"].tolist() == ["norm"] * 3
        assert (told["norm"] > 100.0 * size).all()
        assert [event["kind"] for event in trial.events] == ["not-aggregated"]


def test_flipped_bits_never_stop_a_run_with_a_bound_or_without(fleets):
    for bound in (3.0, "off"):
        faults = {"corrupted": 0.6, "corruptions": ["bits", "norm"]}
        opened = open_few(
            fleets("dense"), {"method": "fedavg"}, faults=faults, guard={"max_norm": bound}, **EAGER
        )
        trial = opened.run(3)
        sums = trial.rounds[["sent", "accepted", "refused"]].sum()
        assert sums["sent"] == sums["accepted"] + sums["refused"]
        if bound != "off":
            assert all(np.isfinite(value).all() for value in trial.shared.values())


# --- Those who mean harm -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "attack", "factor"),
    [
        ("fedavg", "none", 1.0),
        ("fedavg", "sign-flip", -2.5),
        ("scaffold", "sign-flip", -2.5),
        ("fedavg", "label-flip", 1.0),
        ("scaffold", "backdoor", 2.5),
    ],
)
def test_servers_get_what_hostile_devices_make_of_it(fleets, method, attack, factor):
    faults = {"hostile": 0.4, "attack": attack, "attack_scale": 2.5}
    if attack == "backdoor":
        faults |= {"backdoor_activity": "sitting", "backdoor_target": "walking"}
    opened = open_few(fleets("dense"), {"method": method}, faults=faults)
    trial = opened.run(2)
    hostile = opened.plan.hostile
    assert hostile.sum() == 1  # of three
    numpy = InNumpy(opened, trial, 2, factors=np.where(hostile, factor, 1.0))
    apart = numpy.apart(trial)
    assert max(apart.values()) < 1e-11, max(apart, key=apart.get)
    plain = open_few(fleets("dense"), {"method": method}).run(2)
    moved = [np.abs(trial.shared[name] - value).max() for name, value in plain.shared.items()]
    assert (max(moved) > 1e-4) == (attack != "none")
    told = trial.rounds[trial.rounds["round"] > 0].groupby("device")["hostile"].unique()
    assert {name: rows.tolist() for name, rows in told.items()} == {
        name: [bool(hostile[device])] for name, device in names_of(opened.plan).items()
    }


@pytest.mark.parametrize("method", ["fedavg", "scaffold", "fedmedian", "fedbuff"])
def test_copies_are_what_the_first_of_those_who_mean_harm_learnt(fleets, method):
    arm = {"method": method} | ({"buffer": "round"} if method == "fedbuff" else {})
    faults = {"hostile": 0.5, "attack": "copies"}

    def opened():
        return open_few(fleets("dense"), arm, (3, 2), users=EVERYBODY, faults=faults, **EAGER)

    found = opened().run(1)
    made = opened()  # the same, and each update by itself
    shared = {**found.shared} | Played(made).session.shared
    weighs = "devices" if method == "scaffold" else "examples"
    replies, _ = made.fleet.work(1, np.arange(5), shared, Terms("none", weighs))
    sent = {device: one for reply in replies for device, one in reply.singles.items()}
    theirs = np.flatnonzero(made.plan.hostile).tolist()
    assert len(theirs) == 2
    assert list(sent) == [0, 1, 2, 3, 4]
    sent |= dict.fromkeys(theirs, sent[theirs[0]])
    weights = np.array([one.examples for one in sent.values()], np.float64)
    for name, value in found.shared.items():
        each = np.stack([one.arrays[name] for one in sent.values()])
        if method == "fedmedian":
            wanted = np.median(each, axis=0)
        else:
            wanted = np.einsum("d,d...->...", weights / weights.sum(), each)
        if not name.startswith("control/"):
            np.testing.assert_allclose(value, wanted, rtol=0.0, atol=1e-11)


# --- A server that takes each update as it comes -------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [{}, {"hostile": 0.6, "attack": "copies"}, FAULTS],
    ids=["late", "copies", "everything"],
)
def test_a_buffer_of_one_moves_with_every_update_in_the_round_of_its_arrival(fleets, more):
    """Books and server agree on when updates come: they are kept apart."""
    faults = {"duration_rounds": 1.2, "speed": 1.5, **more}
    arm, tables = {"method": "fedbuff", "buffer": 1}, {"guard": {"max_norm": "off"}}
    opened = open_few(
        fleets("dense"), arm, (3, 2), users=EVERYBODY, faults=faults, **EAGER, **tables
    )
    played, last, moves = Played(opened), 6, []
    for round_ in range(1, last + 1):
        played.server.round(round_)
        moves.append(int(played.server.snapshot()["strategy/version/int/"][0]))
    played.write(last)
    accepted = read_all(opened.folder / "rounds").groupby("round")["accepted"].sum()
    assert moves == accepted.cumsum().tolist()
    assert len(set(moves)) > 2


@pytest.mark.parametrize(
    "more",
    [{}, {"corrupted": 1.0, "corruptions": ["nan"]}, {"lost": 1.0}],
    ids=["all is well", "all is refused", "all is lost"],
)
def test_a_device_that_takes_three_rounds_takes_part_in_every_third(fleets, more):
    """Whatever becomes of its update, and also where the run ends before it comes."""
    faults, stream = {"duration_rounds": 3.0, **more}, {"questions_per_round": 2}
    arm = {"method": "fedbuff", "buffer": 2}
    opened = open_few(
        fleets("dense"), arm, (3, 2), users=EVERYBODY, faults=faults, stream=stream, **EAGER
    )
    rounds = opened.run().rounds
    for _, own in rounds[rounds["round"] > 0].groupby("device"):
        joined = own.loc[own["participant"], "round"].tolist()
        goes_on = own.loc[own["windows"] > 0, "round"].max()
        assert joined == [round_ for round_ in (1, 4, 7, 10) if round_ <= goes_on]


def test_all_kinds_of_corruption_are_tried_here_or_by_themselves():
    assert {*REFUSED_AS, "norm", "bits"} == set(CORRUPTIONS)
