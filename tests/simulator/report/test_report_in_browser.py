"""The report as a person meets it: opened in Chromium, from a file, of a real run."""

import shutil
import time

import pandas as pd
import pytest

from simulator.report import write_report
from tests.simulator.made_browser import Browser, chromium

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")
HIDDEN = "e => getComputedStyle(e).display === 'none'"
WIDTH = "document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def report(crowd, tmp_path_factory):
    """Give the run folder with its report, of 22 devices and 5 users."""
    run = tmp_path_factory.mktemp("browser") / "run"
    shutil.copytree(crowd.path, run, ignore=shutil.ignore_patterns("checkpoints", "base"))
    write_report(run)
    return run


@pytest.fixture(scope="module")
def browser(report, tmp_path_factory):
    browser = Browser(chromium(), tmp_path_factory.mktemp("profile"))
    browser.open(f"file://{report}/report.html")
    yield browser
    browser.close()


@pytest.fixture
def page(browser):
    """Give the page as it is when it is opened."""
    browser.resize(1280)
    browser.run("location.hash = ''")
    browser.run("document.querySelector('[data-arms=all]').click()")
    browser.settle()
    return browser


def until(page, script, seconds=5.0):
    """Wait until an expression is true in the page."""
    end = time.monotonic() + seconds
    while not page.run(script):
        assert time.monotonic() < end, f"never true: {script}"
        page.settle()


def names(page, selector):
    return page.run(f"[...document.querySelectorAll({selector!r})].filter(e => !e.closest"
                    "('[hidden]')).map(e => e.textContent)")  # fmt: skip


def test_every_chart_is_drawn_without_complaint_or_network(page):
    drawn = page.run("[...document.querySelectorAll('.chart')].map(e => "
                     "e.querySelectorAll('.main-svg .trace, .main-svg .hm').length)")  # fmt: skip
    assert len(drawn) == page.run("document.querySelectorAll('figure > .chart').length") >= 6
    assert min(drawn) > 0
    assert page.complaints == []
    assert {address.split(":")[0] for address in page.requests} <= {"file", "data", "blob"}


def test_arm_that_is_hidden_leaves_charts_tables_and_small_charts(page):
    traces = ("[...document.querySelectorAll('.chart')].flatMap(e => e._fullData)"
              ".filter(t => t.meta === 2 && t.visible === true).length")  # fmt: skip
    assert page.run(traces) > 0
    page.run("document.querySelector('#arms-shown input[value=\"2\"]').click()")
    until(page, f"{traces} === 0")
    assert page.run(f"[...document.querySelectorAll('.arm-2')].every({HIDDEN})")
    assert not page.run(f"[...document.querySelectorAll('.arm-1')].some({HIDDEN})")
    assert page.run("document.getElementById('arms-told').textContent") == "6 of 7 shown"
    rows = page.run("[...document.querySelectorAll('.chart')].filter(e => e.layout.meta?.rows)"
                    ".map(e => e.layout.yaxis.ticktext)")  # fmt: skip
    assert rows == [["frozen", "rules", "all", "half", "half-personal", "finetune"]] * 2


def test_users_are_sorted_and_filtered_in_chart_table_and_small_charts(page, report):
    users = pd.read_csv(report / "users.csv")
    scores = pd.read_csv(report / "summary.csv").set_index("arm")["holdout_accuracy"]
    need = users[users["arm"] == scores.idxmax()].set_index("user")["holdout_accuracy"]
    by_need = need.sort_values(kind="stable").index.tolist()
    assert names(page, ".multiples figcaption") == by_need
    page.run("const s = document.getElementById('users-sorted'); s.value = 'name'; "
             "s.dispatchEvent(new Event('change'))")  # fmt: skip
    plot = ("[...document.querySelectorAll('.chart')].find(e => e.layout.meta?.lanes)"
            ".layout.yaxis.ticktext")  # fmt: skip
    assert names(page, ".multiples figcaption") == sorted(by_need) == page.run(plot)
    page.run("const n = document.getElementById('users-named'); n.value = 'P003'; "
             "n.dispatchEvent(new Event('input'))")  # fmt: skip
    assert names(page, ".multiples figcaption") == ["p003"] == page.run(plot)
    assert names(page, "tr[data-user] th") == ["p003"]
    page.run("n.value = ''; s.value = 'need'; n.dispatchEvent(new Event('input'))")
    assert names(page, ".multiples figcaption") == by_need


def test_user_opens_and_closes_by_keyboard(page, report):
    page.run("document.querySelector('.multiples a').focus()")
    user = page.run("document.activeElement.textContent.slice(0, 4)")
    page.press("Enter", 13, "\r")
    until(page, "document.body.classList.contains('one')")
    assert page.run("document.activeElement.textContent") == f"User {user}"
    assert page.run(
        f"[...document.querySelectorAll('main > section:not(#one-user)')].every({HIDDEN})"
    )
    page.run("const arm = document.querySelector('#one-user select'); "
             "arm.selectedIndex = [...arm.options].findIndex(o => o.text === 'all'); "
             "arm.dispatchEvent(new Event('change'))")  # fmt: skip
    windows = pd.concat(map(pd.read_parquet, (report / "windows" / "all").glob("*.parquet")))
    own = windows[windows["device"] == user]
    right = (own["label"].astype(str) == own["predicted"].astype(str)).sum()
    told = page.run("document.querySelector('.figures').textContent")
    assert told.startswith(f"all: {right} of {len(own)} windows")
    drawn = page.run(
        "[...document.querySelectorAll('.timeline rect title')].map(e => e.textContent)"
    )
    wrong = [int(one.split(", ")[1].split()[0]) for one in drawn if one.endswith("wrong")]
    assert sum(wrong) == len(own) - right
    rows = page.run("document.querySelectorAll('#one-user tbody tr').length")
    assert rows == own["round"].max()
    page.run("document.querySelector('.back').focus()")
    page.press("Enter", 13, "\r")
    until(page, "!document.body.classList.contains('one')")
    assert page.run("document.activeElement.textContent.slice(0, 4)") == user


def test_user_of_a_run_without_holdout_is_told_nothing_of_it(page):
    """Devices are scored all the same, on no window."""
    page.run("const kept = Object.values(stories.users).flatMap(own => Object.values(own.arms))"
             ".map(one => [one, one.w]); for (const [one] of kept) one.w = 0; "
             "document.querySelector('.multiples a').click()")  # fmt: skip
    until(page, "document.body.classList.contains('one')")
    told = page.run("document.getElementById('one-user').querySelector('.figures').textContent")
    heads = page.run("[...document.querySelectorAll('#one-user th')].map(e => e.textContent)")
    page.run("for (const [one, w] of kept) one.w = w")
    assert told.endswith("prequential).")
    assert "holdout right" not in heads


def test_nothing_is_wider_than_a_phone(page):
    page.resize(390)
    page.settle()
    assert page.run(WIDTH) == 390
    page.run("document.querySelector('.multiples a').click()")
    until(page, "document.body.classList.contains('one')")
    assert page.run(WIDTH) == 390
    assert page.run("document.querySelector('.timeline').getBoundingClientRect().width") <= 390
    assert page.complaints == []
