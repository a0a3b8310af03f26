"""Drifts of the stream: who wears a device, and what its wearer does, change on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.drift import Change
from clients.pool import Pool
from clients.stream import Questions, Streams, deal_streams

__all__ = ["STREAM_DRIFTS", "Deal", "drifted_stream", "examined_windows", "guests_of"]

STREAM_DRIFTS = ("new-activity", "label-shift", "swap-user")


@dataclass(frozen=True, slots=True, eq=False)
class Deal:
    """What a drift of the stream makes of D devices' streams.

    Attributes:
        streams: the questions in the order in which they reach the devices.
        in_force: bool [D, Q], which of them are met under the drift.
        settled: bool [D, Q], whether the drift is more likely in force than not.
        guests: int64 [D], the users who wear the devices then, -1 where nobody else does.
    """

    streams: Streams
    in_force: NDArray[np.bool_]
    settled: NDArray[np.bool_]
    guests: NDArray[np.int64]


def guests_of(
    seed: int, devices: NDArray[np.int64], users: NDArray[np.int64], wearers: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Draw who wears each device later: int64 [D], another wearer of a device of the same fold.

    Args:
        seed: the scenario's.
        devices: int64 [D], their indices.
        users: int64 [D], numbers of their users.
        wearers: int64 [n], numbers of the users who wear the fold's devices; no donor is among
            them.
    """
    draws = chance.uniforms(seed, "guest", 0, devices, 1)[:, 0]
    place = np.searchsorted(wearers, users) + 1 + (draws * (wearers.size - 1)).astype(np.int64)
    return np.asarray(wearers[place % wearers.size])


def drifted_stream(
    change: Change,
    seed: int,
    devices: NDArray[np.int64],
    streams: Streams,
    befallen: NDArray[np.bool_],
    draws: NDArray[np.float64],
    guests: NDArray[np.int64],
    most: int,
) -> Deal:
    """Deal devices' streams anew under a drift of the stream.

    The question at each place is one of those that the drift, in force there or not, leaves open;
    where those run out, the stream is shorter. No question is met twice by a device.

    Args:
        change: of a kind in `STREAM_DRIFTS`.
        seed: the scenario's.
        devices: int64 [D], their indices.
        streams: as they are without drift.
        befallen: bool [D], whom the drift befalls.
        draws: float64 [D, Q], which decide while the drift is on its way.
        guests: int64 [D], users who would wear the devices, from `guests_of`; for "swap-user".
        most: questions of a stream that are met; where the drift begins is a share of them.
    """
    count = streams.questions.shape[1]
    lengths = streams.lengths()
    played = np.minimum(lengths, most)
    in_force = change.course.in_force(played, draws, count) & befallen[:, None]
    settled = change.course.in_force(played, 0.5, count) & befallen[:, None]
    table = streams.table
    asked = np.full_like(streams.questions, -1)
    met, sure = np.zeros_like(in_force), np.zeros_like(in_force)
    theirs = None
    if change.kind == "swap-user":
        theirs = deal_streams(table, chance.key(seed, "guests"), devices, guests).questions
    named = _named(change, table)
    bouts = np.searchsorted(table.bouts[:, 0], np.arange(len(table.first)), side="right") - 1
    for row in range(len(asked)):
        own, on = streams.questions[row, : lengths[row]], in_force[row, : lengths[row]]
        if theirs is not None:
            guest = theirs[row]
            dealt = _merged(own, guest[guest >= 0], on)
        else:
            order = chance.uniforms(seed, "regroup", 0, devices[row : row + 1], len(own))[0]
            if change.kind == "new-activity":
                dealt = _with_news(own, named[own], on, bouts[own], order, table.shuffled)
            else:
                dealt = _shifted(own, named[own], on, change.numbers["share"])
        kept = np.flatnonzero(dealt >= 0)
        asked[row, : kept.size] = dealt[kept]
        met[row, : kept.size] = on[kept]
        sure[row, : kept.size] = settled[row, kept]
    whose = np.where(befallen, guests, -1) if theirs is not None else np.full(len(asked), -1)
    return Deal(Streams(table, asked), met, sure, whose)


def examined_windows(
    change: Change | None, pool: Pool, user: int, guest: int, *, in_force: bool
) -> NDArray[np.int64]:
    """Return the holdout windows that stand for what a device's wearer does: int64 [H].

    Args:
        change: the drift of the stream, if there is one.
        pool: everybody's windows.
        user: the wearer's number.
        guest: the number of who wears it under the drift.
        in_force: whether the drift is.
    """
    whose = guest if in_force and guest >= 0 else user
    windows = np.arange(*pool.holdout[whose])
    if change is None or change.kind == "swap-user":
        return windows
    named = np.isin(pool.windows.label[windows], change.choices["classes"])
    if change.kind == "new-activity":
        return windows if in_force else windows[~named]
    if not in_force:
        return windows
    share = change.numbers["share"]
    rest = windows[~named]
    most = round(int(named.sum()) * (1.0 - share) / share)
    few = rest[np.linspace(0, rest.size - 1, min(most, rest.size)).astype(np.int64)]
    return np.sort(np.concatenate([windows[named], few]))


def _named(change: Change, table: Questions) -> NDArray[np.bool_]:
    """Tell which questions of the table are of the activities that the drift names."""
    return np.isin(table.label, change.choices.get("classes", []))


def _merged(
    own: NDArray[np.int32], others: NDArray[np.int32], on: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Take the next of the others' where `on`, else the next of one's own; -1 where none is left.

    Args:
        own: int32 [n], as many as there are places.
        others: int32 [m].
        on: bool [n].
    """
    places = np.flatnonzero(on)
    dealt = np.full(on.size, -1, np.int32)
    dealt[~on] = own[: on.size - places.size]
    dealt[places[: others.size]] = others[: places.size]
    return dealt


def _with_news(
    own: NDArray[np.int32],
    new: NDArray[np.bool_],
    on: NDArray[np.bool_],
    bouts: NDArray[np.int64],
    order: NDArray[np.float64],
    shuffled: bool,
) -> NDArray[np.int32]:
    """Let the new activity be met where the drift is `on`, among what is left of the others.

    Bouts of a shuffled stream are mixed anew there, since all the new ones would else come first.
    """
    usual = own[~new]
    first = usual[: int((~on).sum())]
    if not on.any():
        return np.concatenate([first, np.full(own.size - first.size, -1, np.int32)])
    later = ~np.isin(own, first)
    rest, groups = own[later], bouts[later]
    if shuffled:
        keys, inverse = np.unique(groups, return_inverse=True)
        rest = rest[np.argsort(order[: keys.size][inverse], kind="stable")]
    dealt = np.full(own.size, -1, np.int32)
    dealt[np.flatnonzero(~on)[: first.size]] = first
    places = np.flatnonzero(on)[: rest.size]
    dealt[places] = rest[: places.size]
    return dealt


def _shifted(
    own: NDArray[np.int32],
    named: NDArray[np.bool_],
    on: NDArray[np.bool_],
    share: float,
) -> NDArray[np.int32]:
    """Let named activities make up a share of what is met where `on`, as far as they last.

    The last questions of the stream are moved there; within both parts, all keep their order.
    """
    places, (ours, others) = int(on.sum()), (np.flatnonzero(named), np.flatnonzero(~named))
    wanted = max(min(round(share * places), ours.size), places - others.size)
    later = np.zeros(own.size, np.bool_)
    later[ours[ours.size - wanted :]] = True
    later[others[others.size - (places - wanted) :]] = True
    dealt = np.empty_like(own)
    dealt[~on], dealt[on] = own[~later], own[later]
    return dealt
