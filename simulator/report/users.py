"""The section of a report that shows users one by one, those in greatest need first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from simulator.measures.fading import ALPHA
from simulator.report.charts import dot_plot
from simulator.report.contrasts import Protocol
from simulator.report.opened import user_link
from simulator.report.page import chart, linked_table, of_user, percent, prose
from simulator.report.records import RunRecords
from simulator.report.sections import MOST_USERS, View
from simulator.report.stories import Stories
from simulator.report.svg import Mark, legend, small_multiples
from simulator.report.wording import counted

__all__ = ["users_by_dots", "users_over_time", "users_tools"]

_MARKED = (
    " Dashed line: the drift begins; red triangle at the top: the first alarm; green triangle at "
    "the bottom: back within 5 points on holdout; alarm and recovery are those of `{arm}`."
)


def users_tools(view: View) -> str:
    """Say how users are sorted and who is left out, and offer other ways."""
    if not view.order:
        return ""
    rest = len(view.order) - len(view.shown)
    beyond = (
        f"Of {len(view.order):,} users the first {len(view.shown):,} are shown; "
        f"the other {counted(rest, 'is', 'are')} in the figures of the sections above, and one by "
        "one in users.csv."
        if rest
        else ""
    )
    ranks: dict[str, list[int] | list[str]] = {"names": view.shown}
    options = ""
    for key, told, order in (
        ("need", view.need_told, view.order),
        ("gain", view.gain_told, view.by_gain),
    ):
        if order:
            place = {user: i for i, user in enumerate(order)}
            ranks[key] = [place[user] for user in view.shown]
            options += f'<option value="{key}" data-told=": {escape(told)}">by {key}</option>'
    people = json.dumps(ranks).replace("<", "\\u003c")
    shown = counted(len(view.shown), "user")
    return (
        '<p class="note"><span id="users-told" aria-live="polite">'
        f"{shown}, by need: {escape(view.need_told)}</span>. {beyond}</p>"
        '<p class="tools needs-script"><label>Sorted <select id="users-sorted">'
        f'{options}<option value="name" data-told="">by name</option></select></label>'
        '<label>Only names with <input id="users-named" type="search" size="10"></label></p>'
        f'<script type="application/json" id="people">{people}</script>'
    )


def users_by_dots(view: View, stories: Stories) -> str:
    """Show each user's accuracy with each arm."""
    if view.protocol is None or view.protocol.column not in view.users or not view.order:
        return ""
    name = view.protocol.name
    label = (
        f"Dot plot of the {name} accuracy of {counted(len(view.shown), 'user')}, one dot per arm, "
        f"{view.need_told}. The numbers are in the table below it."
    )
    figure = dot_plot(view.users, view.shown, view.styles, view.foremost, view.protocol)
    caption = "A row per user, a mark per arm."
    return (
        f"<h3>{name.capitalize()} accuracy of each user</h3>"
        + chart(figure, label, caption)
        + _users_table(view, view.protocol, stories)
    )


def users_over_time(
    view: View,
    records: RunRecords,
    marks: Mapping[str, Sequence[Mark]],
    marked: str,
    stories: Stories,
) -> str:
    """Show each user's prequential accuracy through the stream, in small charts that open.

    Args:
        view: see `View`.
        records: of the run.
        marks: by user, what befell in one arm.
        marked: that arm.
        stories: users who can be opened.
    """
    series = records.prequential
    if series.empty:
        return ""
    order = view.shown or sorted({str(user) for user in series["user"]})[:MOST_USERS]
    links = {user: user_link(user, stories) for user in order}
    opens = (
        " A user's name opens the user: activities, predictions, answers and models, window by "
        "window (with JavaScript)."
        if stories.users
        else " No single windows were written down, so no user can be opened."
    )
    return (
        "<h3>Prequential accuracy of each user through the stream</h3>"
        + f'<p class="note">{opens}</p>'
        + legend(view.styles)
        + small_multiples(
            series, order, view.styles, "prequential accuracy with fading factor", marks, links
        )
        + '<p class="note">Percent by round, on the same axes for every user; fading factor '
        f"{ALPHA}. The first rounds rest on few windows."
        + (prose(_MARKED.format(arm=marked)) if marks else "")
        + "</p>"
    )


def _users_table(view: View, protocol: Protocol, stories: Stories) -> str:
    table = view.users.pivot(index="user", columns="arm", values=protocol.column).astype(float)
    arms = [arm for arm in view.styles if arm in table]
    rows = []
    for user in view.shown:
        values = [float(table[arm][user]) for arm in arms]
        rows.append([user, *("–" if np.isnan(value) else percent(value) for value in values)])
    body = linked_table(
        ["user", *arms],
        rows,
        [user_link(user, stories) for user in view.shown],
        f"{protocol.name.capitalize()} accuracy, %",
        [of_user(place) for place in range(len(rows))],
    )
    return f"<details><summary>The same as a table</summary>{body}</details>"
