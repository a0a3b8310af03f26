"""The part of a report that opens one user, drawn by the page's script."""

from __future__ import annotations

from html import escape

from simulator.report.page import prose
from simulator.report.sections import View
from simulator.report.stories import Stories, packed

__all__ = ["arms_filter", "foremost_arms", "one_user", "user_link"]


def foremost_arms(view: View) -> list[str]:
    """List arms as they are told of single users: those of the answer, then by their accuracy."""
    first = [arm for arm in (view.baseline, view.rival) if arm in view.styles]
    scores = view.scores
    rest = [arm for arm in view.styles if arm not in first]
    rest.sort(key=lambda arm: -scores.get(arm, -1.0))
    return [str(arm) for arm in [*first, *rest]]


def user_link(user: str, stories: Stories) -> str:
    """Return the link that opens a user, empty where nothing is known to be shown."""
    from urllib.parse import quote

    return f"#user={quote(user, safe='')}" if user in stories.users else ""


def one_user(view: View, stories: Stories) -> str:
    """Write the place where one user is shown, and what the script shows there."""
    if not stories.users:
        return ""
    spoken = [arm for arm in (view.spoken, view.rival, view.baseline) if arm is not None]
    scored = any(one["w"] for own in stories.users.values() for one in own.values())
    held = "Holdout right: after the round. " if scored else ""
    left_out = ""
    if stories.left_out:
        names = ", ".join(f"`{arm}`" for arm in stories.left_out)
        left_out = f"Not told in detail, to keep the page small: {names}."
    return (
        '<section id="one-user" hidden aria-labelledby="one-user-name">'
        '<p class="steps"></p><h2 id="one-user-name" tabindex="-1"></h2>'
        '<p class="note whose"></p>'
        '<p class="tools"><label>Arm <select></select></label></p>'
        '<p class="figures" aria-live="polite"></p>'
        '<div class="body"><div class="scroll drawing" tabindex="0"></div>'
        '<div class="numbers"></div></div>'
        '<p class="note">From left to right the stream, window by window; upright lines are the '
        "ends of rounds. Answers stand at their question, also where they came later. Accepted, "
        "refused and lost: what became of the device's update. Version kept: the device's "
        f"SavedModel of that round is in the run folder. {held}{prose(left_out)}</p></section>"
        f'<script type="application/json" id="stories">'
        f"{packed(stories, view.styles, view.baseline, spoken)}</script>"
    )


def arms_filter(view: View) -> str:
    """Write the boxes that show or hide arms everywhere; nothing where there is one arm."""
    if len(view.styles) < 2:
        return ""
    boxes = "".join(
        f'<li><label><input type="checkbox" value="{place}" checked> '
        f"{view.swatches[arm]} {escape(arm)}</label></li>"
        for place, arm in enumerate(view.styles)
    )
    places = [place for place, arm in enumerate(view.styles) if arm in (view.baseline, view.rival)]
    few = ",".join(map(str, places))
    return (
        '<details class="filters needs-script"><summary>Choose arms '
        f'(<span id="arms-told" aria-live="polite">{len(view.styles)} of {len(view.styles)} shown'
        f'</span>)</summary><ul id="arms-shown">{boxes}</ul><p class="tools">'
        '<button type="button" data-arms="all">All arms</button>'
        f'<button type="button" data-arms="{few}">Those of the answer</button></p></details>'
    )
