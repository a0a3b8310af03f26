"""What a scenario puts in the way of devices, in words: drift, faults, and those that mean harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simulator.report.wording import counted, listed

__all__ = ["drifts_in_words", "faults_in_words"]

_COMMON = ("kind", "at", "over", "period", "devices")
_MOST_NAMED = 6
_UPDATES = {
    "lost": "never arrive",
    "duplicated": "arrive twice",
    "late": "are held up",
    "reordered": "are overtaken by others",
    "corrupted": "arrive as something else",
}


def drifts_in_words(tables: Sequence[Mapping[str, Any]], *, held_out: bool = True) -> list[str]:
    """Say what changes while devices are worn, for whom and from when on: a sentence each.

    Args:
        tables: `[[drift]]` of a resolved scenario.
        held_out: whether it holds windows out.
    """
    told = [_drift(table) for table in tables]
    if told and held_out:
        told.append("Holdout accuracy is measured with the drift in force after the round.")
    return told


def _drift(table: Mapping[str, Any]) -> str:
    own = [f"{key} = {_plain(value)}" for key, value in table.items() if key not in _COMMON]
    strength = f" ({', '.join(own)})" if own else ""
    told = (
        f"Drift `{table.get('kind')}`{strength} befalls {_whose(table.get('devices', 1.0))}, from "
        f"{_share(table.get('at', 0.5))} of the stream on"
    )
    if table.get("over"):
        told += f", coming on over {_share(table['over'])} of it"
    if table.get("period"):
        told += f", in spells of {_share(table['period'] / 2)} of it with pauses as long"
    return f"{told}."


def _whose(devices: Any) -> str:
    if isinstance(devices, list):
        if len(devices) > _MOST_NAMED:
            return f"{counted(len(devices), 'device')} that the scenario names"
        names = listed([str(name) for name in devices])
        return f"the {'device' if len(devices) == 1 else 'devices'} {names}"
    return "all devices" if devices == 1 else f"{_share(devices)} of each fold's devices"


def faults_in_words(faults: Mapping[str, Any]) -> list[str]:
    """Say what goes wrong between devices and server, and who means harm.

    Args:
        faults: `[faults]` of a resolved scenario.
    """
    parts = [*_reach(faults), *_updates(faults)]
    told = [f"Faults: {'; '.join(parts)}."] if parts else []
    if faults.get("hostile"):
        attack = faults.get("attack", "none")
        scaled = attack in ("sign-flip", "backdoor") and "attack_scale" in faults
        scale = f", scaled by {faults['attack_scale']:g}" if scaled else ""
        does = "they do no harm" if attack == "none" else f"they attack (`{attack}`{scale})"
        told.append(
            f"{_share(faults['hostile'])} of each fold's devices, to the nearest whole one, are "
            f"hostile: {does}, and no accuracy is of them."
        )
    return told


def _reach(faults: Mapping[str, Any]) -> list[str]:
    parts = []
    if faults.get("trace"):
        parts.append("devices are out of reach in the rounds that a file says")
    elif faults.get("availability", 1.0) < 1.0:
        outages = faults.get("outage_rounds", "independent")
        how = (
            "each drawn by itself"
            if outages == "independent"
            else f"with outages of {outages:g} on average"
        )
        share = _share(faults["availability"])
        parts.append(f"devices can be reached in {share} of the rounds, {how}")
    if faults.get("battery"):
        parts.append("devices whose battery is low take no part")
    if faults.get("dropout"):
        parts.append(f"{_share(faults['dropout'])} of those chosen drop out of a round")
    return parts


def _updates(faults: Mapping[str, Any]) -> list[str]:
    came = [f"{_share(faults[key])} {told}" for key, told in _UPDATES.items() if faults.get(key)]
    parts = [f"of the updates {listed(came)}"] if came else []
    wait = faults.get("deadline_s", "none")
    if wait != "none":
        parts.append(f"a server that waits does so for {wait:g} simulated s")
    return parts


def _share(value: float) -> str:
    return f"{100 * value:g}%"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return listed([str(one) for one in value])
    return f"{value:g}" if isinstance(value, float) else str(value)
