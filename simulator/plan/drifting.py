"""Who is befallen by a scenario's drifts, and what that makes of their streams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.drift import Change, Course, Drift, changed
from clients.errors import BadScenario
from clients.pool import Pool
from clients.stream import Streams
from clients.stream_drift import (
    STREAM_DRIFTS,
    Deal,
    drifted_stream,
    examined_windows,
    guests_of,
)
from clients.variation import Variations, as_recorded
from simulator.plan.folds import Fold
from simulator.scenario.drift_table import DriftTable
from simulator.scenario.scenario import Scenario

__all__ = ["changes_of", "drift_of", "stream_change"]


def changes_of(
    scenario: Scenario, folds: Sequence[Fold], names: Sequence[str]
) -> tuple[Change, ...]:
    """Decide whom each of a scenario's drifts befalls.

    A share is taken of each fold's devices, at random but exactly.

    Args:
        scenario: whose drifts.
        folds: with their devices.
        names: ids of all devices.

    Raises:
        BadScenario: a drift names no device, or nobody else wears one.
    """
    return tuple(
        Change(
            table.kind,
            Course(table.at, table.over, table.period),
            _befallen(scenario, number, table, folds, names),
            table.numbers(),
            {
                "axis": table.axis or "any",
                "classes": [scenario.data.activities.index(name) for name in table.named],
            },
        )
        for number, table in enumerate(scenario.drift)
    )


def _befallen(
    scenario: Scenario, number: int, table: DriftTable, folds: Sequence[Fold], names: Sequence[str]
) -> NDArray[np.bool_]:
    """Tell whom a drift befalls: bool [devices]."""
    if table.kind == "swap-user" and min(len(fold.wearers) for fold in folds) < 2:
        raise BadScenario(
            f'drift[{number + 1}].kind = "swap-user": a fold has one wearer, and a device is '
            "handed to another wearer of its fold; give more users or fewer folds"
        )
    if isinstance(table.devices, list):
        unknown = sorted(set(table.devices) - set(names))
        if unknown:
            raise BadScenario(
                f"drift[{number + 1}].devices: {unknown[0]!r} is no device of this run; devices "
                f"are called {', '.join(map(repr, names[:2]))}, ..., as the users who wear them"
            )
        return np.isin(np.asarray(names), np.asarray(table.devices))
    chosen = np.zeros(len(names), np.bool_)
    for fold in folds:
        draws = chance.uniforms(scenario.seed, f"drift-{number}-whom", 0, fold.devices, 1)[:, 0]
        count = max(1, round(table.devices * fold.devices.size))
        chosen[fold.devices[np.argsort(draws, kind="stable")[:count]]] = True
    return chosen


def stream_change(changes: Sequence[Change]) -> tuple[int, Change] | None:
    """Return the drift of the stream, of which there is at most one, and its number."""
    return next(
        ((n, change) for n, change in enumerate(changes) if change.kind in STREAM_DRIFTS), None
    )


def drift_of(
    seed: int,
    changes: Sequence[Change],
    pool: Pool,
    devices: NDArray[np.int64],
    users: NDArray[np.int64],
    wearers: Sequence[NDArray[np.int64]],
    streams: Streams,
    variations: Variations | None,
    most: int,
) -> tuple[Streams, Drift]:
    """Lay out what drifts make of some devices' streams.

    Args:
        seed: the scenario's.
        changes: from `changes_of`.
        pool: everybody's windows.
        devices: int64 [D], their indices.
        users: int64 [D], numbers of their users.
        wearers: of each fold, the numbers of the users who wear its devices, ascending.
        streams: as they are without drift.
        variations: likewise, what the devices measure.
        most: questions that reach a device in the run at most.

    Returns:
        the streams with drift, and what is measured when.
    """
    found = stream_change(changes)
    if found is None or found[1].kind != "new-activity":  # of which some questions are left out
        streams = Streams(streams.table, streams.questions[:, :most])
    draws = [
        chance.uniforms(seed, f"drift-{n}-when", 0, devices, streams.questions.shape[1])
        for n in range(len(changes))
    ]
    held = np.zeros(streams.questions.shape, np.uint8)
    settled = np.zeros_like(held)
    guests = np.full(len(devices), -1, np.int64)
    if found is not None:
        number, change = found
        others = np.empty(len(devices), np.int64)
        for own in wearers:
            rows = np.isin(users, own)
            others[rows] = guests_of(seed, devices[rows], users[rows], own)
        befallen = change.devices[devices]
        deal: Deal = drifted_stream(
            change, seed, devices, streams, befallen, draws[number], others, most
        )
        streams = Streams(streams.table, deal.streams.questions[:, :most])
        guests, held, settled = deal.guests, held[:, :most], settled[:, :most]
        held |= np.left_shift(deal.in_force[:, :most], number).astype(np.uint8)
        settled |= np.left_shift(deal.settled[:, :most], number).astype(np.uint8)
    lengths, count = streams.lengths(), streams.questions.shape[1]
    there = streams.questions >= 0
    signals = 0
    for number, change in enumerate(changes):
        if change.kind not in STREAM_DRIFTS:
            signals |= 1 << number
            for state, by in ((held, draws[number]), (settled, 0.5)):
                by = by if isinstance(by, float) else by[:, :count]
                on = change.course.in_force(lengths, by, count)
                on &= change.devices[devices][:, None] & there
                state |= np.left_shift(on, number).astype(np.uint8)
    spans = _spans(pool, users, guests)
    plain = variations or as_recorded(seed, devices.size, pool.length)
    states = np.unique(np.concatenate([held, settled]) & np.uint8(signals))
    return streams, Drift(
        changed(seed, devices, changes, plain, [int(one) for one in states if one]),
        signals,
        held,
        lengths,
        settled,
        spans,
        _by_window(streams, held, spans),
        0 if found is None else 1 << found[0],
        *_examined(None if found is None else found[1], pool, users, guests),
    )


def _examined(
    change: Change | None, pool: Pool, users: NDArray[np.int64], guests: NDArray[np.int64]
) -> list[NDArray[np.int32]]:
    """Return the windows that are scored without the drift of the stream and with it: [D, H]."""
    pairs, place = np.unique(np.stack([users, guests], 1), axis=0, return_inverse=True)
    both = []
    for in_force in (False, True):
        each = [
            examined_windows(change, pool, user, guest, in_force=in_force)
            for user, guest in pairs.tolist()
        ]
        windows = np.full((len(each), max(map(len, each))), -1, np.int32)
        for row, own in enumerate(each):
            windows[row, : own.size] = own
        both.append(windows[place.ravel()])
    longest = max(windows.shape[1] for windows in both)
    return [
        np.pad(windows, [(0, 0), (0, longest - windows.shape[1])], constant_values=-1)
        for windows in both
    ]


def _spans(pool: Pool, users: NDArray[np.int64], guests: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which windows a device's stream may hold: int64 [D, 2, 2]."""
    theirs = np.where(guests[:, None] >= 0, pool.streamed[guests], 0)
    return np.stack([pool.streamed[users], theirs], axis=1)


def _by_window(
    streams: Streams, held: NDArray[np.uint8], spans: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Spread the states of questions over their windows: uint8 [D, M]."""
    own, others = (spans[:, i, 1] - spans[:, i, 0] for i in (0, 1))
    found = np.zeros((len(spans), int((own + others).max(initial=1))), np.uint8)
    row, place = np.nonzero(held)
    asked = streams.questions[row, place]
    count = streams.table.count[asked].astype(np.int64)
    first = np.repeat(streams.table.first[asked], count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    rows, windows = np.repeat(row, count), first + within
    offset = windows - spans[rows, 0, 0]
    foreign = (offset < 0) | (offset >= own[rows])
    offset = np.where(foreign, windows - spans[rows, 1, 0] + own[rows], offset)
    found[rows, offset] = np.repeat(held[row, place], count)
    return found
