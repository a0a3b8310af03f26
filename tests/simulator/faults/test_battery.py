"""Batteries: what drains and what charges them, worked out by hand, and whom they keep out."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from clients import chance
from simulator.faults.battery import Batteries
from simulator.scenario.fault_table import Faults

MANY = np.arange(300, 10_300)
FEW = np.array([3, 8, 5])
QUIET = {
    "battery": True,
    "charging": 0.0,
    "drain_round": 0.0,
    "drain_step": 0.0,
    "drain_mib": 0.0,
}
MIB = 2**20


def batteries(devices=FEW, seed=6, **keys):
    return Batteries(Faults.model_validate(QUIET | keys), seed, devices)


def after(level, gradients=0, bytes_moved=0, round_=1, **keys):
    """Return the levels of three devices that had some before a round."""
    made = batteries(**keys)
    made.level = np.array(level)
    given = (
        (np.full(3, gradients) if np.ndim(gradients) == 0 else np.array(gradients)),
        (np.full(3, bytes_moved) if np.ndim(bytes_moved) == 0 else np.array(bytes_moved)),
    )
    made.spend(round_, given[0].astype(np.int32), given[1].astype(np.int64))
    return made.level.tolist()


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, [0.5, 0.25, 1.0]),
        ({"drain_round": 0.125}, [0.375, 0.125, 0.875]),
        # 4, 0 and 16 gradients.
        ({"drain_step": 0.03125}, [0.375, 0.25, 0.5]),
        # 0, 1 and half a MiB.
        ({"drain_mib": 0.125}, [0.5, 0.125, 0.9375]),
        ({"drain_round": 0.125, "drain_step": 0.03125, "drain_mib": 0.125}, [0.25, 0.0, 0.3125]),
        # All lie on their chargers; a full one stays full.
        ({"charging": 1.0, "charge_round": 0.25}, [0.75, 0.5, 1.0]),
        ({"charging": 1.0, "charge_round": 0.25, "drain_round": 0.125}, [0.625, 0.375, 1.0]),
    ],
)
def test_a_round_drains_and_charges(keys, expected):
    found = after([0.5, 0.25, 1.0], [4, 0, 16], [0, MIB, MIB // 2], **keys)
    assert found == expected


def test_an_empty_battery_cannot_be_emptier_and_charges_from_there():
    assert after([0.125, 0.0, 0.5], drain_round=0.25) == [0.0, 0.0, 0.25]
    keys = {"drain_round": 0.25, "charging": 1.0, "charge_round": 0.125}
    assert after([0.125, 0.0, 0.5], **keys) == [0.125, 0.125, 0.375]


def test_who_has_the_lowest_level_or_more_is_ready():
    made = batteries(battery_low=0.25)
    made.level = np.array([0.25, 0.2499, 1.0])
    assert made.ready.tolist() == [True, False, True]


def test_everybody_begins_ready_between_the_lowest_level_and_a_full_one():
    made = batteries(MANY, battery_low=0.4)
    assert made.ready.all()
    assert made.level.min() >= 0.4
    assert made.level.max() <= 1.0
    assert np.quantile(made.level, [0.25, 0.5, 0.75]) == pytest.approx([0.55, 0.7, 0.85], abs=0.02)
    np.testing.assert_array_equal(
        batteries(MANY[[9, 2]], battery_low=0.4).level, made.level[[9, 2]]
    )


def test_a_share_of_the_devices_charges_in_a_round_others_in_the_next():
    charged = []
    for round_ in (1, 2):
        made = batteries(MANY, charging=0.3, charge_round=0.1)
        made.level = np.full(MANY.size, 0.5)
        made.spend(round_, np.zeros(MANY.size, np.int32), np.zeros(MANY.size, np.int64))
        assert set(np.round(made.level, 9)) == {0.5, 0.6}
        charged.append(made.level > 0.55)
    assert [np.mean(some) for some in charged] == pytest.approx([0.3, 0.3], abs=0.023)
    assert np.mean(charged[0] & charged[1]) == pytest.approx(0.09, abs=0.015)


def test_levels_that_were_restored_go_on_as_the_others(tmp_path):
    keys = {"drain_round": 0.02, "charging": 0.5, "charge_round": 0.1}
    one, other = batteries(**keys), batteries(**keys)
    nothing = np.zeros(3, np.int32), np.zeros(3, np.int64)
    one.spend(1, *nothing)
    save_file(one.snapshot(), tmp_path / "batteries")
    other.restore(load_file(tmp_path / "batteries"))
    for round_ in (2, 3, 4):
        one.spend(round_, *nothing)
        other.spend(round_, *nothing)
        assert one.level.tobytes() == other.level.tobytes()


# --- In a fleet ----------------------------------------------------------------------------------

TABLES = {
    "learning": {"memory": 0, "steps": 1},
    "labels": {"answer_rate": 1.0, "mistake_rate": 0.0},
    "fleet": {"engine": "reference"},
}
FAULTS = {
    "battery": True,
    "battery_low": 0.3,
    "drain_round": 0.06,
    "drain_step": 0.02,
    "drain_mib": 0.4,
    "charging": 0.25,
    "charge_round": 0.3,
}


def by_device(rounds, column):
    """Lay a column out by round and device: [rounds, D]."""
    table = rounds.pivot(index="round", columns="device", values=column)
    return table.loc[1:].to_numpy(), list(table.columns)


@pytest.mark.parametrize("method", ["fedavg", "fedbuff"])
def test_devices_take_part_while_their_battery_lasts(fleets, method):
    arm = {"method": method} | ({"buffer": 2} if method == "fedbuff" else {})
    opened = fleets("dense").open(arm, (3, 2), faults=FAULTS, **TABLES)
    rounds = opened.run().rounds
    numbers = {opened.plan.name_of(device): device for device in range(5)}
    level, names = by_device(rounds, "battery")
    devices = np.array([numbers[name] for name in names])
    moved = by_device(rounds, "bytes_down")[0] + by_device(rounds, "bytes_up")[0]
    gradients = by_device(rounds, "gradients")[0]
    joins = by_device(rounds, "participant")[0]
    # Each level by hand, from the first on.
    wanted = 0.3 + 0.7 * chance.uniforms(4, "battery", 0, devices, 1)[:, 0]
    for number in range(len(level)):
        goes_on = opened.plan.goes_on(devices, number + 1)
        assert joins[number].tolist() == (goes_on & (wanted >= 0.3)).tolist()
        on_charger = chance.uniforms(4, "charger", number + 1, devices, 1)[:, 0] < 0.25
        for d in range(5):
            spent = 0.06 + 0.02 * gradients[number, d] + 0.4 * moved[number, d] / MIB
            wanted[d] = min(max(wanted[d] - spent, 0.0) + 0.3 * on_charger[d], 1.0)
        np.testing.assert_allclose(level[number], wanted, rtol=0.0, atol=1e-12)
    # Some were kept out, and some came back.
    going = np.array([opened.plan.goes_on(devices, n + 1) for n in range(len(level))])
    assert (going & ~joins).any()
    assert any(joins[n + 1, d] and going[n, d] and not joins[n, d]
               for n in range(len(level) - 1) for d in range(5))  # fmt: skip


def test_batteries_that_do_not_matter_have_no_level(fleets):
    trial = fleets("dense").run({"method": "fedavg"}, (3, 2), 2, **TABLES)
    assert trial.rounds["battery"].isna().all()
    assert trial.rounds.loc[trial.rounds["round"] > 0, "participant"].all()
