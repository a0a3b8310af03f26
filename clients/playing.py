"""What is played to a device that is kept in a folder: a person's recordings, as questions."""

from __future__ import annotations

from functools import lru_cache
from typing import get_args

import numpy as np

from clients.device_folder import Settings
from clients.errors import BadInput
from clients.pool import build_pool
from clients.recordings import Recording, read_recordings
from clients.stream import Order, cut_questions, deal_streams
from clients.wear import Wear

__all__ = ["BOUTS", "recorded", "source_of"]

BOUTS: Order = "bouts"

_RECORDED: Order = "recorded"


def source_of(data: str, user: str | None, *, holdout: float = 0.0) -> dict[str, str | None]:
    """Return a device's source: recordings whose end is never played, in random bouts.

    Args:
        data: a WISDM file or folder.
        user: whose recordings; None for those of the only person in it.
        holdout: share of each recording.
    """
    return {"data": data, "user": user, "order": BOUTS, "holdout": repr(float(holdout))}


def recorded(settings: Settings) -> Wear:
    """Return the wearer of a device to which recordings are played.

    A source names `data` and `user`; the first user's are played where that is None. It may name
    an `order` (as they were recorded, by default), and the share `holdout` that is not played.

    Raises:
        BadInput: they are no longer there, or do not fit the device.
    """
    source, habits = settings.source, settings.habits
    order = source.get("order") or _RECORDED
    if order not in get_args(Order):
        raise BadInput(
            f"order = {order!r} in the device's settings: expected one of "
            f"{', '.join(get_args(Order))}; put back what was there"
        )
    return _recorded(
        str(source["data"]),
        source["user"],
        settings.activities,
        settings.rate_hz,
        (settings.length, settings.channels),
        (habits.batch, habits.least),
        order,
        float(source.get("holdout") or 0.0),
        (habits.seed, settings.device),
    )


@lru_cache(1)
def _recorded(
    data: str,
    user: str | None,
    activities: tuple[str, ...],
    rate_hz: float,
    form: tuple[int, int],
    sizes: tuple[int, int],
    order: Order,
    holdout: float,
    chance: tuple[int, int],
) -> Wear:
    (length, channels), (batch, least) = form, sizes
    found = _of_one_person(data, user, rate_hz)
    user, recordings = found[0].user, [each for each in found if each.activity in activities]
    if not recordings:
        raise BadInput(
            f"{data}: user {user} did {', '.join(each.activity for each in found)}; the program "
            f"knows {', '.join(activities)}: give another user by --user"
        )
    pool = build_pool({user: recordings}, activities, length=length, hop=length, holdout=holdout)
    if pool.channels != channels:
        raise BadInput(
            f"{data}: has {pool.channels} values in a sample; the program takes {channels}"
        )
    table = cut_questions(pool, order=order, bout_windows=batch, batch=batch, least=least)
    if not table.first.size:
        raise BadInput(
            f"{data}: no {length * least} samples of user {user} follow one another, as a question "
            "needs; give another user by --user"
        )
    (seed, device), one = chance, np.zeros(1, np.int64)
    streams = deal_streams(table, seed, np.array([device], np.int64), one)
    return Wear(np.array([device], np.int64), [user], [user], pool, streams, pool.holdout)


def _of_one_person(data: str, user: str | None, rate_hz: float) -> list[Recording]:
    users = [user] if user else 1
    return read_recordings(data, source="auto", rate_hz=rate_hz, users=users)[0]
