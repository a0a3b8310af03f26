"""What a report says of drift, from files written by hand."""

import json
import re
import shutil
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest

from simulator.report import write_report
from simulator.report.attention import drift_marks, drift_users
from simulator.report.contrasts import HOLDOUT
from simulator.report.drift import drift_heat, drift_overview, drift_sentences
from simulator.report.need import by_need, slipped
from simulator.report.records import RunRecords, read_csv, read_run
from simulator.report.sections import View
from simulator.report.stories import Stories
from simulator.report.svg import Mark, arm_styles
from simulator.report.users import users_over_time
from tests.simulator.made_pages import table_after
from tests.simulator.made_runs import fake_run

NAN = float("nan")
COLUMNS = [
    "arm", "user", "device", "drift", "begins", "reference", "drop", "largest_drop",
    "recovery_rounds", "recovery_answered", "recovered_at_end", "lost_windows", "holdout_now",
    "holdout_before",
]  # fmt: skip
# Arm, user, drift, begin, reference, drop, recovery in rounds and answers, back, lost, now, before.
SPELLS = [
    ("local", "1600", "gain", 2, 0.90, 0.40, 2, 12, 1, 3.0, 0.88, 0.80),
    ("local", "1601", "gain", 3, 0.80, 0.20, NAN, NAN, 0, 5.0, 0.60, 0.70),
    ("local", "1602", "bias", 1, 0.85, 0.05, 1, 4, 1, 0.5, 0.85, 0.85),
    ("local", "1603", "", NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0.50, 0.50),
    ("shared", "1600", "gain", 2, 0.90, 0.40, NAN, NAN, 0, 9.0, 0.50, 0.90),
    ("shared", "1601", "gain", 3, 0.80, 0.30, NAN, NAN, 0, 8.0, 0.55, 0.75),
    ("shared", "1602", "bias", 1, 0.85, 0.00, 1, 3, 1, 0.0, 0.90, 0.90),
    ("shared", "1603", "", NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0.95, 0.95),
]
ALARMS = [
    {"arm": arm, "detector": "ddm", "whose": whose, "spells": spells, "missed": 1,
     "within": within, "within_low": within / 2, "within_high": 1.0, "median_delay": 17.0,
     "false_alarms": 3, "watched": 2400, "false_rate": 1.25, "false_rate_low": 0.26,
     "false_rate_high": 3.65}
    for arm, whose, spells, within in (
        ("local", "all", 3, 1 / 3), ("local", "fell", 2, 0.5),
        ("shared", "all", 3, 2 / 3), ("shared", "fell", 2, 1.0),
    )
]  # fmt: skip
DETECTIONS = [
    ("local", "ddm", "1600", 8, 21.0, 4), ("local", "adwin", "1600", 8, 9.0, 3),
    ("local", "ddm", "1601", 12, NAN, NAN), ("local", "ddm", "1603", NAN, NAN, NAN),
    ("shared", "ddm", "1601", 12, 4.0, 3),
]  # fmt: skip


def devices_frame(spells=SPELLS):
    rows = []
    for arm, user, drift, begins, reference, drop, rounds, answers, back, lost, now, kept in spells:
        values = (arm, user, f"{user}-0", drift, begins, reference, drop, drop, rounds, answers,
                  back, lost, now, kept)  # fmt: skip
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return pd.DataFrame(rows)


def detections_frame(rows=DETECTIONS):
    return pd.DataFrame(
        [
            {"arm": arm, "detector": detector, "user": user, "device": f"{user}-0",
             "begins": begins, "delay": delay, "round": when, "false_alarms": 0, "watched": 8}
            for arm, detector, user, begins, delay, when in rows
        ]
    )  # fmt: skip


def write(run, devices=None, detections=None, alarms=None):
    """Write a run's report with files on drift, as a run writes them."""
    fake_run(run, users=4, arms=("local", "shared"))
    for name, frame in (("drift", devices), ("detections", detections), ("alarms", alarms)):
        if frame is not None:
            frame.round(6).to_csv(run / f"{name}.csv", index=False)
    return write_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    run = tmp_path_factory.mktemp("report") / "run"
    return write(run, devices_frame(), detections_frame(), pd.DataFrame(ALARMS)), run


@pytest.fixture(scope="module")
def records(page) -> RunRecords:
    return read_run(page[1])


def view_of(records, best="local"):
    """Show users by need in an arm of the best mean; the other one is the baseline."""
    summary = records.summary.assign(holdout_accuracy=records.summary["arm"].eq(best) * 0.1 + 0.8)
    return View(
        summary=summary,
        users=records.users,
        baseline="shared",
        rival="local",
        protocol=HOLDOUT,
        styles=arm_styles(records.arms),
        order=by_need(records.users, records.drift, best, HOLDOUT)[0],
    )


def section(html, title):
    return re.search(rf'<section id="{title}">.*?</section>', html, re.DOTALL)


def test_section_appears_only_with_files_on_drift(page, tmp_path):
    assert section(page[0], "drift")
    plain = write(tmp_path / "plain")
    assert section(plain, "drift") is None
    assert "Who needs attention" not in plain
    assert "Of drift" not in plain
    assert section(plain, "users")


def test_section_without_detectors_says_nothing_of_them(tmp_path):
    html = write(tmp_path / "run", devices_frame())
    assert "Devices that drifted, by arm" in section(html, "drift")[0]
    assert "What detectors noticed" not in html
    assert "Best noticed" not in html
    head, *rows = table_after(html, "Who needs attention")
    assert {row[head.index("noticed in round")] for row in rows} == {"–"}


def test_run_whose_devices_did_not_drift_has_alarms_alone(tmp_path):
    devices = devices_frame()
    kept = ["arm", "user", "device", "holdout_now", "holdout_before"]
    devices = devices.assign(**dict.fromkeys(devices.columns.difference(kept), NAN))
    alarms = pd.DataFrame(ALARMS).assign(spells=0, missed=0, within=NAN, median_delay=NAN)
    alarms = alarms.assign(within_low=NAN, within_high=NAN)
    html = write(tmp_path / "run", devices, detections_frame().assign(round=NAN), alarms)
    assert "Devices that drifted" not in html
    _, *rows = table_after(html, "What detectors noticed")
    told = [row[:5] for row in rows]
    assert told == [[arm, "ddm", "all that drifted", "0", "–"] for arm in ("local", "shared")]
    assert "Of drift" not in html
    assert "Who needs attention" not in html


def test_sentences_say_what_the_files_say(page):
    devices, alarms = (read_csv(page[1] / f"{name}.csv") for name in ("drift", "alarms"))
    # Lost: (3 + 5 + 0.5) / 3 against (9 + 8 + 0) / 3. Of two that fell one is back, or none.
    assert drift_sentences(devices, alarms) == [
        "Of drift, `local` lost least: 2.8 windows a device, where `shared`, which lost most, "
        "lost 5.7.",
        "Of the devices whose accuracy fell by 15 points or more, so many were within 5 points of "
        "their own reference at the end: 50.0% with `local` and 0.0% with `shared`.",
        "Best noticed by `ddm` in `shared`: 100.0% of those falls within 40 answered windows, "
        "at 1.25 false alarms per 1,000 windows.",
    ]
    text = unescape(re.sub(r"<[^>]+>", "", page[0][page[0].index('class="answer"') :]))
    for sentence in drift_sentences(devices, alarms):
        assert sentence.replace("`", "") in text


def test_one_arm_has_nobody_to_be_held_against():
    devices = devices_frame(SPELLS[:4])
    first, *_ = drift_sentences(devices, pd.DataFrame())
    assert first == "Of drift, `local` lost 2.8 windows a device."
    mild = devices_frame(SPELLS[2:3])
    assert len(drift_sentences(mild, pd.DataFrame())) == 1  # nobody fell
    assert drift_sentences(pd.DataFrame(), pd.DataFrame()) == []


def test_table_of_losses_is_the_mean_of_the_files_rows(page):
    _, head, local, shared = table_after(page[0], 'id="drift"')
    rows = [dict(zip(head, [c.lstrip("★ ").rstrip(" ★") for c in row], strict=True))
            for row in (local, shared)]  # fmt: skip
    devices = read_csv(page[1] / "drift.csv")
    for arm, row in zip(("local", "shared"), rows, strict=True):
        own = devices[(devices["arm"] == arm) & devices["drop"].notna()]
        figures = {
            "devices": "3",
            "before, %": f"{100 * own['reference'].mean():.1f}",
            "as it began, %": f"{100 * (own['reference'] - own['drop']).mean():.1f}",
            "at the end, %": f"{100 * own['holdout_now'].mean():.1f}",
            "without drift, %": f"{100 * own['holdout_before'].mean():.1f}",
            "lost windows a device": f"{own['lost_windows'].mean():.1f}",
            "fell": "2",
        }
        assert row["arm"] == arm
        for name, value in figures.items():
            assert value in row[name], name
    assert "50.0" in rows[0]["of these back, %"]
    assert "12.0" in rows[0]["after answers"]
    assert rows[1]["after answers"] == "–"


def test_table_of_alarms_is_that_of_the_file(page):
    head, *rows = table_after(page[0], "What detectors noticed")
    assert len(rows) == 4
    own = dict(zip(head[:5], rows[1][:5], strict=True))
    assert own == {
        "arm": "local", "detector": "ddm", "of": "those that fell by 15 points or more",
        "drifts": "2", "within 40 answers, %": "50.0",
    }  # fmt: skip
    assert rows[1][5:] == ["25.0 to 100.0", "1", "17", "1.25", "0.26 to 3.65"]


def test_users_stand_in_order_of_who_needs_attention(records):
    # Below the own reference: 1601 by 20 points, 1600 by 2, 1602 by none; 1603 has none.
    head, *rows = table_after(drift_users(view_of(records), records), "Who needs attention")
    assert [row[0] for row in rows] == ["1601", "1600", "1602", "1603"]
    by_name = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert by_name["1600"] == {
        "user": "1600", "drift": "gain", "since round": "2", "noticed in round": "3 (adwin)",
        "before, %": "90.0", "now, %": "88.0", "without drift, %": "80.0", "lost windows": "3.0",
        "state": "back after 2 rounds",
    }  # fmt: skip
    assert by_name["1601"]["state"] == "20.0 points down"
    assert by_name["1601"]["noticed in round"] == "–"
    assert by_name["1603"]["state"] == "no drift"
    assert by_name["1603"]["drift"] == "none"
    assert by_name["1603"]["before, %"] == "–"


@pytest.mark.parametrize(
    ("best", "order"), [("local", ["1601", "1600"]), ("shared", ["1600", "1601"])]
)
def test_list_marks_and_order_are_those_of_the_arm_of_the_best_mean(page, records, best, order):
    run = page[1].parent / f"best-{best}"
    shutil.copytree(page[1], run)
    view_of(records, best).summary.to_csv(run / "summary.csv", index=False)
    users = section(write_report(run).read_text(encoding="utf-8"), "users")[0]
    assert f"Who needs attention, <code>{best}</code>" in users
    assert f"recovery are those of <code>{best}</code>" in users
    _, *rows = table_after(users, "Who needs attention")
    assert [row[0] for row in rows] == [*order, "1602", "1603"]
    charts = re.findall(r"<figcaption>(\d+)", users)
    assert charts == [row[0] for row in rows]
    table = re.search(r"<table.*?</table>", users[users.index("Who needs") :], re.DOTALL)[0]
    assert re.findall(r'<tr data-user="(\d)"', table) == ["0", "1", "2", "3"]  # it sorts along


def test_of_those_equally_far_below_the_worst_comes_first():
    spells = [
        ("a", user, "gain", 2, reference, 0.2, NAN, NAN, 0, 1.0, now, 0.9)
        for user, reference, now in (("x", 0.75, 0.5), ("y", 0.5, 0.25), ("z", 0.75, 0.25))
    ]
    assert slipped(devices_frame(spells), "a")["user"].tolist() == ["z", "y", "x"]


def test_several_devices_of_a_user_are_averaged():
    frame = devices_frame([SPELLS[0], SPELLS[0]])
    frame.loc[1, ["device", "holdout_now", "begins", "drift"]] = ["1600-1", 0.5, 3, "bias"]
    (row,) = slipped(frame, "local").itertuples()
    assert row.below == pytest.approx((0.02 + 0.4) / 2)
    assert row.begins == 2
    assert row.drift == "gain, bias"
    assert row.back == 2


def test_figures_of_a_user_are_of_the_devices_that_drifted(records):
    """The other device was never as good: with it the user would seem to have fallen."""
    frame = devices_frame()
    calm = {**frame.iloc[3].to_dict(), "user": "1600", "device": "1600-1"}
    late = {**frame.iloc[0].to_dict(), "device": "1600-2", "holdout_now": 0.1}
    late |= dict.fromkeys(("reference", "drop", "largest_drop", "lost_windows"), NAN)
    frame = pd.concat([frame, pd.DataFrame([calm, late])], ignore_index=True)
    more = replace(records, drift=frame)
    head, *rows = table_after(drift_users(view_of(more), more), "Who needs attention")
    by_name = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    own = by_name["1600"]
    assert (own["before, %"], own["now, %"], own["without drift, %"]) == ("90.0", "88.0", "80.0")
    assert (own["devices"], own["state"]) == ("1 of 3", "back after 2 rounds")
    assert by_name["1603"]["devices"] == "1 of 1"
    assert by_name["1603"]["now, %"] == "50.0"


@pytest.mark.parametrize(
    ("drop", "rounds", "state"),
    [(0.0, 1, "stayed within 5 points"), (0.05, 1, "stayed within 5 points"),
     (0.051, 1, "back after 1 round"), (0.3, 3, "back after 3 rounds"),
     (0.3, NAN, "as good as before")],
)  # fmt: skip
def test_only_who_fell_comes_back(records, drop, rounds, state):
    own = replace(
        records,
        drift=devices_frame([("local", "1600", "gain", 2, 0.9, drop, rounds, 3, 1, 0.1, 0.9, 0.9)]),
    )
    _, row = table_after(drift_users(view_of(own), own), "Who needs attention")
    assert row[-1] == state
    marked = any(mark.what == "recovery" for mark in drift_marks(own, "local")["1600"])
    assert marked == (drop > 0.05 and not np.isnan(rounds))


RECURRING = [
    ("local", "1600", "gain", 3, 0.9, 0.4, NAN, NAN, 0, 4.0, 0.7, 0.9),
    ("local", "1600", "gain", 7, 0.8, 0.2, NAN, NAN, 0, 2.0, 0.7, 0.9),
    ("local", "1601", "gain", 3, 0.7, 0.3, 2, 8, 1, 1.0, 0.6, 0.7),
]


def test_drift_that_comes_and_goes_is_told_by_device_and_by_spell(records):
    """Lost: 6 and 1 windows of two devices, 2.3 a spell; two of three spells were not made up."""
    drift = devices_frame(RECURRING)
    assert drift_sentences(drift, pd.DataFrame()) == [
        "Of drift, `local` lost 3.5 windows a device.",
        "Of the spells of drift in which a device's accuracy fell by 15 points or more, so many "
        "ended within 5 points of its own reference: 33.3% with `local`.",
    ]
    own = replace(records, drift=drift)
    _, head, row = table_after(drift_overview(view_of(own), drift, pd.DataFrame()), "<table")
    told = dict(zip(head, row, strict=True))
    assert (told["devices"], told["spells"], told["fell"]) == ("2", "3", "3")
    assert (told["before, %"], told["at the end, %"]) == ("77.5", "65.0")  # devices count alike


def test_list_of_who_needs_attention_holds_one_spell_against_its_own_alarms(records):
    seen = [("local", "ddm", "1600", 8, 3.0, 4), ("local", "ddm", "1601", 8, 3.0, 4)]
    own = replace(records, drift=devices_frame(RECURRING), detections=detections_frame(seen))
    head, *rows = table_after(drift_users(view_of(own), own), "Who needs attention")
    second, first = (dict(zip(head, row, strict=True)) for row in rows)
    assert (first["user"], first["since round"], first["spells"]) == ("1600", "7", "2")
    assert first["noticed in round"] == "–"  # the alarm of round 4 was of the first spell
    assert (first["lost windows"], first["before, %"]) == ("6.0", "80.0")
    assert second["noticed in round"] == "4 (ddm)"


@pytest.mark.parametrize(
    ("lost", "told"),
    [((2.0, 2.04, 2.0), "Of drift, `a`, `b` and `c` lost the same: 2.0 windows a device."),
     ((2.0, 3.0, 2.0), "Of drift, `a` and `c` lost least: 2.0 windows a device, where `b`, which "
      "lost most, lost 3.0."),
     ((2.0, 3.0, 3.04), "Of drift, `a` lost least: 2.0 windows a device, where `b` and `c` lost "
      "most, 3.0 each.")],
)  # fmt: skip
def test_nobody_lost_least_or_most_where_the_shown_digits_are_equal(lost, told):
    spells = [
        (arm, "1600", "gain", 2, 0.9, 0.1, 1, 3, 1, own, 0.9, 0.9)
        for arm, own in zip("abc", lost, strict=True)
    ]
    assert drift_sentences(devices_frame(spells), pd.DataFrame()) == [told]


@pytest.mark.parametrize(
    ("within", "rates", "told"),
    [((1.0, 1.0, 1.0), (50.0, 1.0, 50.0), "Best noticed by `ddm` in `b`: 100.0%"),
     ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), "Best noticed by `ddm` in every arm: 100.0%"),
     ((1.0, 0.5, 1.0), (1.0, 0.0, 1.0), "Best noticed by `ddm` in `a` and `c`: 100.0%"),
     ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), "No detector noticed any of those falls within 40")],
)  # fmt: skip
def test_best_is_what_gives_fewer_false_alarms_and_nothing_where_nothing_was_noticed(
    within, rates, told
):
    alarms = [
        {**ALARMS[1], "arm": arm, "within": share, "false_rate": rate}
        for arm, share, rate in zip("abc", within, rates, strict=True)
    ]
    assert drift_sentences(devices_frame(), pd.DataFrame(alarms))[-1].startswith(told)


def test_marks_stand_in_the_rounds_of_begin_first_alarm_and_recovery(records):
    marks = drift_marks(records, "local")
    # Recovered at the second scoring under drift from round 2 on; adwin was sooner than ddm.
    assert set(marks["1600"]) == {Mark("begin", 2), Mark("recovery", 3), Mark("alarm", 3)}
    assert marks["1601"] == [Mark("begin", 3)]
    assert marks["1602"] == [Mark("begin", 1)]  # which never fell
    assert "1603" not in marks
    assert set(drift_marks(records, "shared")["1601"]) == {Mark("begin", 3), Mark("alarm", 3)}


def test_users_of_several_devices_have_no_marks(records):
    more = records.drift.copy()
    more.loc[len(more)] = {**more.iloc[0].to_dict(), "device": "1600-1"}
    marks = drift_marks(replace(records, drift=more), "local")
    assert "1600" not in marks
    assert "1601" in marks


def test_marks_are_drawn_at_their_rounds_in_the_charts_of_the_answers_arm(records):
    view = view_of(records)
    html = users_over_time(view, records, drift_marks(records, "local"), "local", Stories([]))
    chart = re.search(r"<figure><figcaption>1600</figcaption>.*?</figure>", html, re.DOTALL)[0]
    # Rounds 1 to 4 lie on 24 to 156: round 2 at 68, round 3 at 112.
    assert 'd="M68.0,6V90"' in chart
    assert 'd="M112.0,12l' in chart
    assert 'd="M112.0,84l' in chart
    assert "begin in round 2" in chart
    assert "alarm in round 3" in chart
    other = re.search(r"<figure><figcaption>1603</figcaption>.*?</figure>", html, re.DOTALL)[0]
    assert "V90" not in other.replace("M24,6H156M24,90H156", "")
    assert "are those of <code>local</code>" in html
    assert "Dashed line" not in users_over_time(view, records, {}, "local", Stories([]))


def figures(html):
    data = re.findall(r'<script type="application/json">(.*?)</script>', html)
    return [json.loads(own.replace("\\u003c", "<")) for own in data]


def test_heat_map_has_a_row_for_each_user_and_a_column_for_each_round(records):
    html = drift_heat(view_of(records), records)
    assert re.findall(r"<h3>Users by rounds, <code>(\w+)</code>", html) == ["shared", "local"]
    _, local = figures(html)
    cells, edges, marks = local["data"]
    order = ["1601", "1600", "1602", "1603"]  # who needs attention most first
    assert local["layout"]["yaxis"]["ticktext"] == order
    assert local["layout"]["yaxis"]["range"] == [3.5, -0.5]
    assert cells["x"] == [0, 1, 2, 3, 4]
    held = records.holdout[records.holdout["arm"] == "local"]
    held = held.set_index(["user", "round"])["accuracy"]
    expected = [[round(held[user, round_], 3) for round_ in range(5)] for user in order]
    assert np.array(cells["z"]).tolist() == expected
    assert dict(zip(marks["y"], marks["x"], strict=True)) == {0: 3, 1: 2, 2: 1}
    assert (edges["y"], edges["x"]) == (marks["y"], marks["x"])
    label = re.findall(r'aria-label="(Holdout accuracy of 4 users[^"]*)"', html)[1]
    assert f"1601 (drift from round 3) from {held['1601', 0]:.1%} (round 0) to " in label


def test_heat_map_leaves_out_what_was_not_scored(records):
    held = records.holdout
    gone = held[~((held["user"] == "1600") & (held["round"] == 2))]
    _, local = figures(drift_heat(view_of(records), replace(records, holdout=gone)))
    assert local["data"][0]["z"][1][2] is None
    none = replace(records, holdout=held[:0])
    assert drift_heat(view_of(records), none) == ""


NAME = "<b>"


def renamed(frame):
    columns = [c for c in ("user", "device") if c in frame]
    return frame.assign(**{c: frame[c].str.replace("1600", NAME) for c in columns})


def test_names_are_escaped_wherever_they_stand(records):
    held, streamed = renamed(records.holdout), renamed(records.prequential)
    drift, noticed = renamed(records.drift), renamed(records.detections)
    drift.loc[drift["user"] == NAME, "drift"] = "<i>"
    strange = replace(
        records, holdout=held, prequential=streamed, drift=drift, detections=noticed,
        arms=["local", "<u>"],
    )  # fmt: skip
    view = replace(view_of(strange), order=[NAME, "1601", "1602", "1603"])
    marks = drift_marks(strange, "local")
    assert NAME in marks
    html = drift_users(view, strange) + drift_heat(view, strange)
    html += users_over_time(view, strange, marks, "local", Stories([]))
    alarms = records.alarms.assign(detector="<s>", arm="<u>")
    html += drift_overview(view, drift.assign(arm="<u>"), alarms)
    for raw in (NAME, "<i>", "<u>", "<s>"):
        assert raw not in html
    for shown in ("&lt;b&gt;", "&lt;i&gt;", "&lt;u&gt;", "&lt;s&gt;"):
        assert shown in html
    for own in figures(html):  # plotly reads names as HTML, too
        assert NAME not in own["layout"]["yaxis"]["ticktext"]
        assert all(NAME not in row for row in own["data"][0]["text"])


def test_state_of_a_device_is_that_of_its_last_spell():
    """It came back from the first spell; in the second nobody knows how it was before."""
    first = ("a", "x", "gain", 2, 0.9, 0.3, 2, 8, 1, 1.0, 0.6, 0.6)
    second = ("a", "x", "gain", 6, 0.62, 0.3, NAN, NAN, 0, 4.0, 0.6, 0.6)
    (row,) = slipped(devices_frame([first, second]), "a").itertuples()
    assert row.begins == 6
    assert row.below == pytest.approx(0.02)
    assert np.isnan(row.back)
