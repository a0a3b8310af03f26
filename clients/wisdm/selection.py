"""Which users and activities of a data set to keep, or why what was asked for is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from clients.errors import BadRecordings

__all__ = ["select"]


def select(
    held: Mapping[str, AbstractSet[str]],
    activities: AbstractSet[str] | None,
    users: int | Sequence[str] | None,
    place: Path,
) -> dict[str, set[str]]:
    """Choose what to keep.

    Args:
        held: the activities of each user in the data; ids are written-out integers.
        activities: canonical names to keep; None keeps all.
        users: None for all, n for the first n by number, or a list of ids. Only users with at
            least one of the activities count.
        place: where the data was read, for messages.

    Returns:
        The activities to keep of each user to keep.

    Raises:
        BadRecordings: the data lacks what was asked for, or nothing was asked for.
    """
    names = {name for found in held.values() for name in found}
    wanted = names if activities is None else activities
    if not wanted:
        raise BadRecordings(
            f"an empty list of activities; expected some of {', '.join(sorted(names))}. Leave the "
            "list out to keep all.",
            "activities",
        )
    if unknown := sorted(wanted - names):
        raise BadRecordings(
            f"{place}: no activity {', '.join(map(repr, unknown))} in the data; expected some of "
            f"{', '.join(sorted(names))}. Correct the activities asked for.",
            "activities",
        )
    available = {user: found & wanted for user, found in held.items() if found & wanted}
    chosen = _choose_users(sorted(available, key=int), users)
    return {user: set(available[user]) for user in chosen}


def _choose_users(available: list[str], users: int | Sequence[str] | None) -> list[str]:
    listed = ", ".join(available)
    if users is None:
        return available
    if isinstance(users, int):
        if not 1 <= users <= len(available):
            raise BadRecordings(
                f"{users} users asked for; expected 1 to {len(available)}, for the data has "
                f"{listed}. Change the number.",
                "users",
            )
        return available[:users]
    asked = {users} if isinstance(users, str) else set(users)
    if not asked:
        raise BadRecordings(
            f"an empty list of users; expected some of {listed}. Leave the list out to keep all.",
            "users",
        )
    if unknown := sorted(asked - set(available)):
        raise BadRecordings(
            f"no user {', '.join(map(repr, unknown))} in the data with the activities asked for; "
            f"expected some of {listed}. Correct the users asked for.",
            "users",
        )
    return sorted(asked, key=int)
