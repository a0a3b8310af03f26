"""The way of updates to the server, on which nothing happens unless a test says so."""

import numpy as np

from clients.outcome import Outcome
from simulator.cohort.journey import Journey
from simulator.faults.fate import Fate
from simulator.faults.latency import Paces
from simulator.scenario.fault_table import CORRUPTIONS, Faults

CALM = {"until": 1.0, "lost": False, "duplicated": False, "late_rounds": 0, "shuffled": 0.0}


def fate(devices, *, corruption=None, **befalls):
    """Make what befalls some devices; a fate is one for all of them, or one for each.

    Args:
        devices: how many.
        corruption: kinds, None for a device whose update arrives as it was sent.
        befalls: other fates, by their names in `Fate`.
    """
    kinds = [corruption] * devices if corruption is None or isinstance(corruption, str) else None
    places = [-1 if k is None else CORRUPTIONS.index(k) for k in kinds or corruption]
    types = {"late_rounds": np.int64, "until": np.float64, "shuffled": np.float64}
    fates = {
        name: np.full(devices, value, types.get(name, np.bool_)) if np.ndim(value) == 0
        else np.array(value, types.get(name, np.bool_))
        for name, value in (CALM | befalls).items()
    }  # fmt: skip
    return Fate(**fates, corruption=np.array(places, np.int64))


def paces(devices, work_s=0.0, step_s=0.0, byte_s=0.0, latency_s=0.0):
    """Make how fast devices are, in one number for all of them, or one for each."""
    given = (work_s, step_s, byte_s, latency_s)
    return Paces(*(np.broadcast_to(np.float64(some), devices) for some in given))


def journey(
    devices=4,
    *,
    round_=1,
    rounds=9,
    waits=True,
    seed=5,
    faults=(),
    hostile=None,
    work_s=0.0,
    byte_s=0.0,
    bytes_down=0,
    **befalls,
):
    """Make a journey.

    Args:
        devices: how many there are, or their numbers.
        round_: from 1.
        rounds: of the run.
        waits: whether the server waits for a round's updates.
        seed: of the scenario.
        faults: keys of its table of faults.
        hostile: who means harm.
        work_s: what all devices compute, or each of them.
        byte_s: likewise what each byte of the network takes.
        bytes_down: likewise what they downloaded.
        befalls: fates, as `fate` takes them.
    """
    numbers = np.arange(devices) if isinstance(devices, int) else np.array(devices)
    return Journey(
        faults=Faults.model_validate(dict(faults)),
        seed=seed,
        round_=round_,
        rounds=rounds,
        waits=waits,
        devices=numbers,
        fate=fate(numbers.size, **befalls),
        paces=paces(numbers.size, work_s=work_s, byte_s=byte_s),
        hostile=hostile,
        bytes_down=np.broadcast_to(np.int64(bytes_down), numbers.size),
    )


def outcome(examples, losses=1.0, gradients=0):
    """Make what came of a round of some devices, as far as it matters to the server."""
    made = Outcome.empty(len(examples), 1, 1)
    made.examples[:], made.learning_loss[:], made.gradients[:] = examples, losses, gradients
    return made


REFUSED_AS = {
    "nan": "not-finite",
    "inf": "not-finite",
    "shape": "shape",
    "dtype": "dtype",
    "truncated": "truncated",
}
"""Kind of a corruption -> what the guard always calls it."""


def becomes(befalls, row, *, round_, rounds, waits, took_s=0.0, round_s=60.0, deadline_s=np.inf):
    """Work out what becomes of one update, and of its duplicate.

    Args:
        befalls: the fates of some devices.
        row: whose update.
        round_: in which it is sent.
        rounds: of the run.
        waits: whether the server waits for a round's updates.
        took_s: by how long it takes, unless it is held up.
        round_s: how long a round is.
        deadline_s: after which a server that waits goes on.

    Returns:
        for each: fate, reason, and the round in which that is known.
    """
    arrives = round_
    if not waits:
        while arrives < round_ - 1 + took_s / round_s + befalls.late_rounds[row]:
            arrives += 1
    if befalls.lost[row]:
        one = ("lost", "network", round_)
    elif waits and befalls.late_rounds[row]:
        one = ("lost", "late", round_)
    elif waits and took_s > deadline_s:
        one = ("lost", "deadline", round_)
    elif arrives > rounds:
        one = ("lost", "run-over", rounds)
    elif befalls.corruption[row] >= 0:
        one = ("refused", REFUSED_AS[CORRUPTIONS[befalls.corruption[row]]], arrives)
    else:
        one = ("accepted", "", arrives)
    again = one if one[0] == "lost" else ("refused", "duplicate", one[2])
    return [one, again] if befalls.duplicated[row] else [one]
