"""In which order users are shown: who needs attention first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simulator.report.contrasts import Protocol

__all__ = ["MARGIN", "by_need", "slipped"]

MARGIN = 0.05 + 1e-9
"""Loss of accuracy up to which a device is as good as before; files keep six digits."""


def by_need(
    users: pd.DataFrame, devices: pd.DataFrame, arm: str | None, protocol: Protocol | None
) -> tuple[list[str], str]:
    """Order users by need in the arm that serves people best, and say in words by what.

    Where devices drifted, those come first who ended farthest below what they had before; the
    others, and all where nothing drifted, by their accuracy.

    Args:
        users: the columns of `users.csv`.
        devices: those of `drift.csv`; empty where nothing drifted.
        arm: in which need is measured.
        protocol: which accuracy.
    """
    names = sorted({str(user) for user in users["user"]})
    if arm is None or protocol is None or protocol.column not in users:
        return names, "by name"
    own = users[users["arm"] == arm].set_index("user")[protocol.column].astype(float)
    told = f"least accurate first ({protocol.name}, {arm})"
    keys = pd.DataFrame({"accuracy": own.reindex(names)}, index=names)
    keys["below"] = np.nan
    if not devices.empty and "drop" in devices and devices["drop"].notna().any():
        found = slipped(devices, arm).set_index("user")
        keys["below"] = found["below"].where(found["begins"].notna()).reindex(names)
        told = f"farthest below their own accuracy before the drift first, then {told}"
    keys = keys.sort_values(["below", "accuracy"], ascending=[False, True], kind="stable")
    return [str(user) for user in keys.index], told


def slipped(devices: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Sort an arm's users by who needs attention: columns user, drift, begins, below and more.

    First comes who is farthest below the own reference at the end, then who is worst. All figures
    of a user are of the same devices: those that drifted and were scored before; without any, those
    that drifted; without any, all. `counted` of `worn` tells how many these are.

    Where a device drifted several times, figures are of its last spell; `spells` counts all, and
    `lost` adds them up.

    Args:
        devices: the columns of `drift.csv`.
        arm: whose rows count.
    """
    own = devices[devices["arm"] == arm].copy()
    for name in ("reference", "begins", "largest_drop", "recovery_rounds", "lost_windows"):
        if name not in own:
            own[name] = np.nan
    own["below"] = own["reference"] - own["holdout_now"]
    own["back"] = own["recovery_rounds"].mask(own["largest_drop"] <= MARGIN, 0.0)
    keys = [key for key in ("seed", "user", "device") if key in own]
    spells = own.groupby(keys, sort=False)
    last = spells.tail(1).set_index(keys)
    last["lost"] = spells["lost_windows"].sum(min_count=1)
    last["spells"] = spells["begins"].count()
    last["fell"] = spells["largest_drop"].max()
    last = last.reset_index()
    worn = last.groupby("user")["device"].size()
    known = last["begins"].notna().astype(int) + last["below"].notna()
    last = last[known == known.groupby(last["user"]).transform("max")]
    users = last.groupby("user", sort=False).agg(
        begins=("begins", "min"),
        reference=("reference", "mean"),
        now=("holdout_now", "mean"),
        before=("holdout_before", "mean"),
        below=("below", "mean"),
        fell=("fell", "max"),
        lost=("lost", "mean"),
        spells=("spells", "max"),
        back=("back", "max"),
        counted=("device", "size"),
    )
    users["worn"] = worn
    # A user is back when all devices are.
    users["back"] = users["back"].mask(last["back"].isna().groupby(last["user"]).any())
    named = last[last["drift"].fillna("") != ""].drop_duplicates(["user", "drift"])
    kinds = named.groupby("user")["drift"].agg(", ".join)
    users.insert(0, "drift", kinds.reindex(users.index).fillna(""))
    users = users.reset_index().round(9)
    return users.sort_values(
        ["below", "now"], ascending=[False, True], na_position="last", kind="stable"
    )
