"""Rows whose unit the source does not settle -> m/s², user by user, told from gravity.

Actitracker ran on people's own phones. Its description promises m/s², yet not every user's rows
are: those published of user 1679 are whole multiples of 17.5 thousandths of a degree per second,
the step of a gyroscope, and show no gravity. To scale such rows would pass off turns as
accelerations, so a user counts only where gravity is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from clients.wisdm.defects import DefectLog, Reason
from clients.wisdm.parser import MAX_ACCELERATION
from clients.wisdm.rows import Rows, concatenate

__all__ = ["STANDARD_GRAVITY", "m_s2_per_unit", "unify_units", "unit_warnings"]

STANDARD_GRAVITY = 9.80665  # m/s² in 1 g
_BLOCK_ROWS = 200  # 10 s at 20 Hz: what steps and turns add comes to nothing, gravity stays
_LEAST_G, _MOST_G = 0.5, 1.5  # sensors are off by a tenth; joggers' phones turn in the pocket
_WILD = 4.0  # times the median norm: beyond it a value counts as that much
_USERS_NAMED = 10


def unify_units(
    by_user: dict[str, dict[str, list[Rows]]], log: DefectLog
) -> tuple[dict[str, dict[str, list[Rows]]], str]:
    """Bring all users' rows to m/s², and leave out users whose rows are no accelerations.

    Args:
        by_user: parts of series by user and activity, as written; emptied on the way, so that no
            more than one user is in memory twice.
        log: receives the rows of users without gravity, and rows that are too large in m/s².

    Returns:
        The same in m/s², one part for each series; and a sentence on the users' units.
    """
    unified: dict[str, dict[str, list[Rows]]] = {}
    converted: list[str] = []
    left_out: list[str] = []
    total = len(by_user)
    for user in sorted(by_user, key=int):
        series = {name: concatenate(parts) for name, parts in by_user.pop(user).items()}
        factor = m_s2_per_unit([rows.samples for rows in series.values()])
        if factor is None:
            left_out.append(user)
            for rows in series.values():
                log.add(Reason.NO_GRAVITY, rows.file, rows.line)
            continue
        if factor != 1.0:
            converted.append(user)
            series = {name: _scaled(rows, factor, log) for name, rows in series.items()}
        kept = {name: [rows] for name, rows in series.items() if rows.line.size}
        if kept:
            unified[user] = kept
    as_written = total - len(converted) - len(left_out)
    return unified, (
        f"Units of {total} users, told from gravity: {as_written} in m/s²; {len(converted)} in g, "
        f"converted{_listed(converted)}; {len(left_out)} in neither, left out{_listed(left_out)}."
    )


def unit_warnings(factors: Mapping[str, float | None]) -> tuple[str, ...]:
    """Say which users' samples are not the m/s² that they are taken for.

    Args:
        factors: user -> as `m_s2_per_unit` tells it.
    """
    in_g = [user for user, factor in factors.items() if factor == STANDARD_GRAVITY]
    neither = [user for user, factor in factors.items() if factor is None]
    warnings = []
    if in_g:
        warnings.append(
            f"{len(in_g)} of {len(factors)} users look like g, and are taken for m/s²"
            f"{_listed(in_g)}: multiply x, y and z by {STANDARD_GRAVITY}."
        )
    if neither:
        warnings.append(
            f"{len(neither)} of {len(factors)} users show no gravity, in m/s² or in g"
            f"{_listed(neither)}: give accelerations that hold it, about 9.8 m/s² at rest."
        )
    return tuple(warnings)


def m_s2_per_unit(samples: Iterable[NDArray[np.float32]]) -> float | None:
    """Tell what one user's samples must be multiplied by to be in m/s².

    The median norm of the samples says which unit is meant, by whether it is nearer to 1 or to
    9.80665 on a logarithmic scale. Gravity must then be there: it is the norm of the mean sample
    of 10 s, the median over all such blocks, and has to come to 0.5 to 1.5 g.

    Args:
        samples: float32 [N, 3] of each of the user's series, in the order of recording.

    Returns:
        1 for m/s², 9.80665 for g, None for what is neither.
    """
    series = [part.astype(np.float64) for part in samples if len(part)]
    norm = float(np.median(np.concatenate([np.linalg.norm(part, axis=1) for part in series])))
    factor = STANDARD_GRAVITY if norm < np.sqrt(STANDARD_GRAVITY) else 1.0
    bounded = [np.clip(part, -_WILD * norm, _WILD * norm) for part in series]
    gravity = float(np.median(np.concatenate([_steady(part) for part in bounded])))
    in_g = gravity * factor / STANDARD_GRAVITY
    return factor if _LEAST_G <= in_g <= _MOST_G else None


def _steady(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the norm of the mean sample, float64 [B], of blocks of about 200 rows."""
    blocks = max(1, round(len(samples) / _BLOCK_ROWS))
    edges = np.linspace(0, len(samples), blocks + 1).astype(np.int64)
    means = np.add.reduceat(samples, edges[:-1], axis=0) / np.diff(edges)[:, None]
    norms: NDArray[np.float64] = np.linalg.norm(means, axis=1)
    return norms


def _scaled(rows: Rows, factor: float, log: DefectLog) -> Rows:
    """Multiply the samples; rejects what is beyond the limit only now."""
    samples = rows.samples * np.float32(factor)
    wrong = (np.abs(samples) > MAX_ACCELERATION).any(axis=1)
    log.add(Reason.BAD_SAMPLE, rows.file[wrong], rows.line[wrong])
    return Rows(rows.file, rows.line, rows.user, rows.activity, rows.time, samples).take(~wrong)


def _listed(users: list[str]) -> str:
    if not users:
        return ""
    more = len(users) - _USERS_NAMED
    return f" ({', '.join(users[:_USERS_NAMED])}{f' and {more} more' if more > 0 else ''})"
