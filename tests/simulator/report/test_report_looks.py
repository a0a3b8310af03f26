"""Charts, tables and names of a report: seen without colours, and whatever the names are."""

import json

import numpy as np
import pandas as pd
import pytest

from simulator.report.charts import heat_map, heat_told
from simulator.report.contrasts import HOLDOUT
from simulator.report.figures import arms_figure
from simulator.report.page import linked_table, page
from simulator.report.svg import arm_styles, small_multiples
from simulator.report.wording import shortened
from tests.simulator.made_browser import Browser, chromium

LONG = "x" * 100 + "y" * 100
QUOTED = 'O\'Brien & "Söhne" <b>'
SERIES = pd.DataFrame(
    [("u", 0, 0.5), ("u", 1, 0.75), ("u", 2, 1.0), ("v", 2, 0.25), ("v", 1, 0.5)],
    columns=["user", "round", "accuracy"],
)


def luminance(colour):
    """Return the relative luminance of sRGB colours, [..., 3] from 0 to 1 (WCAG 2)."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_heat_map_only_gets_lighter_and_its_mark_is_seen_on_every_cell():
    heat, *marks = json.loads(heat_map(SERIES, ["u", "v"], {"v": 1}))["data"]
    stops = [[int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)] for _, text in heat["colorscale"]]
    places = [place for place, _ in heat["colorscale"]]
    shares = np.linspace(0, 1, 101)
    shown = [np.interp(shares, places, channel) for channel in zip(*stops, strict=True)]
    light = luminance(np.stack(shown, axis=-1))
    assert (np.diff(light) > 0).all()
    edge, ink = marks  # the later one lies above
    assert (edge["x"], edge["y"]) == (ink["x"], ink["y"]) == ([1], [1])
    assert edge["marker"]["line"]["width"] >= ink["marker"]["line"]["width"] + 4
    drawn = [mark["marker"]["color"] for mark in marks]
    ends = [luminance(np.array([int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)])) for c in drawn]
    contrast = [(np.maximum(e, light) + 0.05) / (np.minimum(e, light) + 0.05) for e in ends]
    assert np.max(contrast, axis=0).min() > 3.0  # as WCAG asks of graphics


def test_heat_map_is_told_with_figures():
    assert heat_told(SERIES, ["v", "u", "nobody"], {"v": 1}) == (
        "v (drift from round 1) from 50.0% (round 1) to 25.0% (round 2); "
        "u from 50.0% (round 0) to 100.0% (round 2)"
    )
    many = pd.concat([SERIES[:3].assign(user=f"u{i}") for i in range(22)])
    told = heat_told(many, [f"u{i}" for i in range(22)], {}).split("; ")
    assert len(told) == 21
    assert told[-1] == "2 more on average from 50.0% (round 0) to 100.0% (round 2)"


def test_charts_shorten_names_and_tell_them_whole_to_the_pointer():
    series = SERIES.replace({"u": LONG, "v": QUOTED})
    figure = json.loads(heat_map(series, [LONG, QUOTED], {}))
    long, quoted = figure["layout"]["yaxis"]["ticktext"]
    assert (len(long), long[0], long[-1]) == (30, "x", "y")
    assert quoted == 'O\'Brien & "Söhne" <b>'.replace("&", "&amp;").replace("<", "&lt;").replace(
        ">", "&gt;"
    )
    assert figure["data"][0]["text"][0][0].replace("<br>", "") == LONG
    users = series.assign(arm=LONG[:80], holdout_accuracy=0.5)
    html = small_multiples(users, [LONG], arm_styles([LONG[:80]]), "accuracy")
    assert f'<figcaption title="{LONG}">{shortened(LONG, 24)}</figcaption>' in html
    drawn = arms_figure(users, arm_styles([LONG[:80]]), HOLDOUT, "")
    assert f"<title>{LONG[:80]}</title>{shortened(LONG[:80])}</text>" in drawn


def test_names_that_end_differently_stay_apart():
    assert shortened("short") == "short"
    names = [f"personalised-with-a-large-memory-{n}" for n in (64, 128)]
    assert len({shortened(name) for name in names}) == 2
    assert max(len(shortened(name)) for name in names) == 30


@pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")
def test_many_arms_and_long_names_fit_on_screen_and_paper(tmp_path):
    arms = [f"personalised-{n}" for n in range(26)]
    rows = [[name, *["100.0"] * 26] for name in ("p001", "p002", LONG)]
    table = linked_table(["user", *arms], rows, ["#a", "", ""], "Many arms")
    series = SERIES.assign(user=LONG, arm="a").drop_duplicates("round")
    body = table + small_multiples(series, [LONG], arm_styles(["a"]), "accuracy")
    path = tmp_path / "page.html"
    path.write_text(page("Wide", f"<h1>{LONG}</h1><p>{LONG}</p>", {"Users": body}, ""), "utf-8")
    browser = Browser(chromium(), tmp_path / "profile")
    try:
        browser.open(path.as_uri())
        for width in (1280, 400):
            browser.resize(width)
            assert browser.run("document.documentElement.scrollWidth") <= width
        browser.call("Emulation.setEmulatedMedia", media="print")
        browser.resize(718)  # A4 less the margins
        assert browser.run("document.documentElement.scrollWidth") <= 718
        size = "(e => [e.getBoundingClientRect().right, parseFloat(getComputedStyle(e).fontSize)])"
        right, letters = browser.run(f"{size}(document.querySelector('table'))")
        assert right <= 718
        assert letters > 6
        tall = "(e => e.getBoundingClientRect().height)(document.querySelector('tbody tr'))"
        assert browser.run(tall) < 2.5 * letters  # no number is broken
    finally:
        browser.close()
