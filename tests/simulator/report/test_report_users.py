"""Single users in a report: who stands first, what is told of them, and how evenly they fare."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulator.measures.metrics import worst_tenth
from simulator.report import write_report
from simulator.report.contrasts import HOLDOUT
from simulator.report.cost import cost, machine_time, rounds_logged
from simulator.report.fairness import _lowest, fairness
from simulator.report.intervals import mean_intervals, with_intervals
from simulator.report.need import by_need
from simulator.report.sections import MOST_USERS, View
from simulator.report.stories import packed, read_stories, story_of
from simulator.report.svg import arm_styles
from tests.simulator.made_logs import WORKERS, round_line, written
from tests.simulator.made_runs import ACTIVITIES, fake_run

NAN = float("nan")


def columns(names, rows):
    return dict(zip(names.split(), map(list, zip(*rows, strict=True)), strict=True))


WINDOWS = "round question label predicted voted answer drifted"
ROUNDS = ("round asked steps bytes_down sent accepted refused lost reachable holdout_windows "
          "holdout_correct")  # fmt: skip
EVENTS = columns(
    "round kind reason windows", [(2, "drift-begins", "gain", 4), (3, "alarm", "ddm", None)]
)


@pytest.fixture
def story():
    """Give the story of three rounds: two questions, two, and three of which some were asked."""
    windows = [
        (1, 0, "a", "a", "a", "a", False), (1, 0, "a", "b", "a", "a", False),  # confirmed
        (1, 1, "b", "a", "a", "b", False),  # corrected
        (2, 0, "b", "b", "b", "a", True),  # answered wrongly
        (2, 1, "a", "a", "a", None, True),  # asked, not answered
        (3, 0, "a", "a", "a", None, False), (3, 1, "c", "a", "a", "c", True),
    ]  # fmt: skip
    rounds = [
        (0, 0, 0, 0, 0, 0, 0, 0, True, 6, 3),
        (1, 2, 4, 99, 1, 1, 0, 0, True, None, None),
        (2, 2, 0, 0, 0, 0, 0, 0, False, 6, 4),
        (3, 1, 4, 99, 2, 0, 1, 1, True, 6, 5),
    ]
    classes = ["a", "b"]
    return story_of(columns(WINDOWS, windows), columns(ROUNDS, rounds), EVENTS, classes), classes


def test_story_tells_windows_questions_and_rounds(story):
    told, classes = story
    assert classes == ["a", "b", "c"]
    assert (told["t"], told["p"]) == ("aabbaac", "ababaaa")
    assert told["q"] == [2, 1, 1, 1, 1, 1]
    assert told["r"] == [2, 2, 2]
    assert told["a"] == "ckwnuk"
    assert told["d"] == [[3, 2], [6, 1]]
    assert told["m"] == [1 + 2 + 4, 32, 1 + 2 + 8 + 16]
    assert (told["h"], told["w"]) == ([3, None, 4, 5], 6)
    assert told["e"] == [[2, "drift-begins", "gain", 4], [3, "alarm", "ddm", -1]]


def test_question_of_a_round_in_which_nobody_was_asked_is_not_asked():
    windows = columns(WINDOWS, [(1, 0, "a", "a", "a", None, None)])
    rounds = columns(ROUNDS, [(1, 0, 0, 0, 0, 0, 0, 0, None, None, None)])
    assert story_of(windows, rounds, {name: [] for name in EVENTS}, ["a"])["a"] == "o"


def test_stories_agree_with_the_figures_of_their_users(tmp_path):
    run = fake_run(tmp_path / "run")
    users = pd.read_csv(run / "users.csv", dtype={"user": str})
    stories = read_stories(run, ["local", "shared", "frozen"], list(users["user"]), ACTIVITIES)
    for row in users.itertuples():
        told = stories.users[row.user][row.arm]
        right = [a == b for a, b in zip(told["t"], told["p"], strict=True)]
        assert np.mean(right) == pytest.approx(row.prequential_accuracy)
        assert told["h"][-1] / told["w"] == pytest.approx(row.holdout_accuracy)
    whole = json.loads(packed(stories, arm_styles(["frozen", "local", "shared"]), "local", []))
    assert set(whole["users"]["1600"]["arms"]) == {"0", "1", "2"}
    assert whole["baseline"] == 1


def test_device_that_means_harm_is_nobodys_story(tmp_path):
    run = fake_run(tmp_path / "run")
    path = run / "rounds" / "local" / "cohort-00000.parquet"
    table = pq.read_table(path)
    hostile = pa.array([name == "1600-0" for name in table["device"].to_pylist()])
    place = table.schema.get_field_index("hostile")
    pq.write_table(table.set_column(place, table.schema.field("hostile"), hostile), path)
    assert sorted(read_stories(run, ["local"], ["1600", "1601"], ACTIVITIES).users) == ["1601"]


def test_arms_beyond_the_foremost_are_left_out_and_said(tmp_path):
    arms = tuple(f"arm{i:02}" for i in range(14))
    run = fake_run(tmp_path / "run", users=2, arms=arms, rounds=1)
    stories = read_stories(run, arms, ["1600", "1601"], ACTIVITIES)
    assert (stories.arms, stories.left_out) == (list(arms[:12]), ["arm12", "arm13"])
    html = write_report(run).read_text(encoding="utf-8")
    assert "Not told in detail, to keep the page small: <code>arm" in html


def test_many_users_are_shown_as_far_as_they_can_be_seen(tmp_path):
    count = MOST_USERS + 50
    run = fake_run(tmp_path / "run", users=count, arms=("local", "shared"), rounds=2)
    report = write_report(run)
    html = report.read_text(encoding="utf-8")
    assert html.count("<figure><figcaption>") == MOST_USERS
    assert f"Of {count} users the first {MOST_USERS} are shown; the other 50 are in" in html
    assert report.stat().st_size < 6_000_000


ACCURACY = {"x": 0.9, "y": 0.5, "z": 0.7, "w": 0.5}


def frame(arm="local", **more):
    users = pd.DataFrame({"user": list(ACCURACY), "holdout_accuracy": list(ACCURACY.values())})
    return users.assign(arm=arm, **more)


def test_users_stand_by_accuracy_where_nothing_drifted():
    other = frame("other").assign(holdout_accuracy=[0.1, 0.2, 0.3, 0.4])
    order, told = by_need(pd.concat([other, frame()]), pd.DataFrame(), "local", HOLDOUT)
    assert order == ["w", "y", "z", "x"]
    assert told == "least accurate first (holdout, local)"


def test_users_who_slipped_stand_before_all_others():
    drift = pd.DataFrame({"user": ["x", "z", "y"], "device": ["x", "z", "y"], "arm": "local",
                          "drift": ["gain", "gain", None], "begins": [3, 3, NAN],
                          "drop": [0.1, 0.3, NAN], "reference": [0.95, 0.97, 0.9],
                          "holdout_now": [0.9, 0.7, 0.5], "holdout_before": NAN})  # fmt: skip
    order, told = by_need(frame(), drift, "local", HOLDOUT)
    assert order == ["z", "x", "w", "y"]
    assert told.startswith("farthest below their own accuracy before the drift first")


def view_of(users, summary):
    arms = list(dict.fromkeys(users["arm"]))
    return View(summary, users, arms[0], None, HOLDOUT, arm_styles(arms), [],
                intervals=mean_intervals(users))  # fmt: skip


def test_lowest_tenth_is_that_of_the_summary():
    values = np.random.default_rng(3).random((4, 37))
    assert _lowest(values).tolist() == pytest.approx([worst_tenth(row) for row in values])


def test_fairness_tells_spread_with_intervals():
    users = pd.DataFrame({"user": map(str, range(20)), "arm": "own",
                          "holdout_accuracy": np.arange(1, 21) / 20})  # fmt: skip
    summary = pd.DataFrame({"arm": ["own", "all"], "method": ["local", "fedavg"],
                            "holdout_accuracy": [0.525, 0.525],
                            "worse_than_local": [0.0, 0.25]})  # fmt: skip
    users = pd.concat([users, users.assign(arm="all")])
    html = fairness(view_of(users, summary), pd.DataFrame())
    # Worst tenth of 20: (5 + 10) / 2 %; deviation of 1..20 is sqrt((20² - 1) / 12) = 5.766.
    assert "<td>7.5<small>" in html
    assert "<td>28.8<small>" in html
    assert "<td>25.0<small>11.2 to 46.9</small>" in html  # Wilson's interval of 5 of 20
    assert "median 52.5%, least 5.0%" in html


def test_few_users_have_no_intervals():
    users = frame()
    summary = pd.DataFrame({"arm": ["local"], "holdout_accuracy": [0.65]})
    html = fairness(view_of(users, summary), pd.DataFrame())
    assert "fewer than 6 users, so no intervals" in html
    assert "<small>" not in html


def test_ranges_over_seeds_are_no_intervals():
    users = pd.DataFrame(
        {"user": map(str, range(8)), "arm": "own", "holdout_accuracy": np.arange(8) / 8}
    )
    summary = pd.DataFrame({"arm": ["own"], "holdout_accuracy": [0.4375]})
    found = with_intervals(view_of(users, summary)).iloc[0]
    assert found["holdout_accuracy_min"] < 0.4375 < found["holdout_accuracy_max"]


TIMES = {"save_s": 0.25, "work_s": 1.0, "compiled_s": [0.5, 0.25],
         "peak_rss_mib": [100.0, 300.0], "rss_mib": [90.0]}  # fmt: skip


def test_time_is_that_of_the_log_and_half_a_line_is_passed_over(tmp_path):
    lines = [
        round_line("local", 0, n, at=100.0 + n, wall_s=wall, **TIMES)
        for n, wall in ((1, 2.0), (2, 4.0), (3, 6.0))
    ]
    written(tmp_path, [WORKERS, *lines])
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"what": "rou')
    logged, lost = rounds_logged(tmp_path)
    assert logged["compiled_s"].tolist() == [0.75] * 3
    html = machine_time(view_of(frame(), frame()), logged, lost, {"machine": {"cores": 2}})
    for told in (
        "12.0 s",
        "4.0 s",
        "6.0 s",
        "400.0 ms",
        "2.2 s",
        "0.750 s",
        "314.6 MB",
        "(2 cores)",
    ):
        assert told in html
    assert "made again" not in html
    assert [each.empty for each in rounds_logged(tmp_path / "nowhere")] == [True, True]


def test_a_round_that_was_lost_and_made_again_counts_once(tmp_path):
    before = [round_line("local", 0, n, at=100.0 + n, wall_s=8.0, **TIMES) for n in (1, 2, 3)]
    back = {"what": "restored", "at": 200.0, "arm": "local", "fold": 0, "round": 1}
    after = [round_line("local", 0, n, at=200.0 + n, wall_s=1.0, **TIMES) for n in (2, 3)]
    again = [round_line("local", 1, 1, at=300.0 + n, wall_s=2.0, **TIMES) for n in (0, 1)]
    anew = {"what": "fold begins", "at": 300.5, "arm": "local", "fold": 1}
    written(tmp_path, [*before, back, *after, again[0], anew, again[1]])
    logged, lost = rounds_logged(tmp_path)
    assert logged["wall_s"].tolist() == [8.0, 1.0, 1.0, 2.0]
    assert lost["wall_s"].tolist() == [8.0, 8.0, 2.0]
    html = machine_time(view_of(frame(), frame()), logged, lost, {})
    assert "without 3 rounds that were lost and made again (18.0 s)" in html


def test_cost_is_per_device_also_where_a_user_wears_several():
    summary = pd.DataFrame(
        {"arm": ["local"], "bytes_up": [70_600.0], "gradients_per_answer": [8.0]}
    )
    costs = pd.DataFrame({"arm": ["local"], "devices": [20], "bytes_up": [1_490_000]})
    html = cost(view_of(frame(), summary), costs)
    assert "74.5 kB" in html
    assert "70.6 kB" not in html
    ranged = summary.assign(bytes_up_min=60_000.0, bytes_up_max=80_000.0)
    html = cost(view_of(frame(), ranged), pd.DataFrame({"arm": ["local"]}), seeds=2)
    assert "60.0 kB to 80.0 kB" in html
    assert "beneath, the range over seeds" in html
