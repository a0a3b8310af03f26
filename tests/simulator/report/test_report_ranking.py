"""The ranking of a run: what the tests leave open, in a list and in a table."""

import re
from pathlib import Path

import pandas as pd
import pytest

from simulator.measures.statistics import paired_tests
from simulator.report import write_report
from simulator.report.ranking import places, ranking
from simulator.report.wording import chance, listed, percents, points, signed
from tests.simulator.made_runs import fake_run, fake_seeds, hand_written_run


def users_of(**arms: list[int]) -> pd.DataFrame:
    """Make `users.csv` of arms, given each user's holdout accuracy in hundredths."""
    rows = [
        (arm, f"p{i}", hundredths / 100)
        for arm, found in arms.items()
        for i, hundredths in enumerate(found)
    ]
    return pd.DataFrame(rows, columns=["arm", "user", "holdout_accuracy"])


def means_of(users: pd.DataFrame) -> pd.Series:
    return users.groupby("arm", sort=False)["holdout_accuracy"].mean()


def placed(users: pd.DataFrame) -> dict[str, tuple[int, int]]:
    found = places(means_of(users), paired_tests(users, "base"))
    return {place.arm: (place.first, place.last) for place in found}


def words(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html)


# Of ten people, all ten differ the same way: p = 2 / 1024, Holm over three pairs 0.006.
STEPS = users_of(base=[50] * 10, high=[70] * 10, middle=[60] * 10)
# `middle` differs from neither by more than chance, though `high` is above `base` for everybody:
# it is above `base` for six of ten and below `high` for seven of ten.
BETWEEN = users_of(
    base=[50] * 10,
    high=[53, 54, 55, 56, 57, 58, 59, 60, 61, 62],
    middle=[40, 41, 42, 43, 57, 58, 59, 70, 71, 72],
)


def test_arms_that_are_all_told_apart_have_a_place_each():
    assert placed(STEPS) == {"high": (1, 1), "middle": (2, 2), "base": (3, 3)}


def test_arms_that_nothing_tells_apart_may_stand_anywhere():
    users = users_of(base=[50, 52] * 4, own=[52, 50] * 4, other=[51] * 8)
    assert placed(users) == {"base": (1, 3), "own": (1, 3), "other": (1, 3)}


def test_not_being_told_apart_does_not_pass_on():
    found = places(means_of(BETWEEN), paired_tests(BETWEEN, "base"))
    assert [place.arm for place in found] == ["high", "middle", "base"]
    high, middle, base = found
    assert (high.first, high.last, high.worse) == (1, 2, ("base",))
    assert (middle.first, middle.last, middle.better, middle.worse) == (1, 3, (), ())
    assert (base.first, base.last, base.better) == (2, 3, ("high",))
    assert [arm for arm, _ in middle.open] == ["high", "base"]


def test_too_few_people_leave_every_place_open():
    assert set(placed(users_of(base=[50] * 5, own=[90] * 5)).values()) == {(1, 2)}


def test_ranking_says_who_is_not_told_apart():
    tests = paired_tests(BETWEEN, "base")
    told = words(ranking(places(means_of(BETWEEN), tests), tests, "base"))
    assert re.search(r"high 57\.5%: places 1 to 2, not told apart from middle \(p = [\d.]+\)", told)
    assert re.search(r"middle 55\.3%: places 1 to 3, not told apart from any other arm \(p", told)
    assert "all 3 pairs of arms taken together" in told
    assert "Not told apart does not mean equal." in told


def test_ranking_has_a_row_for_each_arm_against_the_baseline():
    tests = paired_tests(STEPS, "base")
    html = ranking(places(means_of(STEPS), tests), tests, "base", seeds=3)
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", html)
    cells = {name: re.findall(r"<td[^>]*>(.*?)</td>", row) for name, row in rows}
    # p = 2 / 1024 twice, Holm over two: 0.0039.
    assert cells == {
        "high": ["+20.0", "+20.0 to +20.0", "+20.0", "10 / 0 / 0", "+1.00", "0.004"],
        "middle": ["+10.0", "+10.0 to +10.0", "+10.0", "10 / 0 / 0", "+1.00", "0.004"],
    }
    assert "One pair per user, averaged over 3 seeds." in words(html)


def test_ranking_of_too_few_people_claims_nothing(tmp_path: Path):
    run = hand_written_run(tmp_path / "run")
    write_report(run)
    section = (run / "report.html").read_text().split('<section id="ranking">')[1]
    told = words(section.split("</section>")[0])
    assert "Nothing is claimed of these differences: 3 people are too few" in told
    assert "place" not in told
    assert "told apart" not in told


@pytest.mark.parametrize("make", [fake_run, fake_seeds])
def test_report_has_a_ranking(tmp_path: Path, make):
    html = write_report(make(tmp_path / "run", users=12)).read_text()
    assert '<a href="#ranking">Ranking</a>' in html
    assert html.count('<section id="ranking">') == 1
    assert "Each arm against local, holdout accuracy" in html


def test_ranking_without_a_baseline_or_with_one_arm_is_left_out(tmp_path: Path):
    assert ranking([], [], "base") == ""
    html = write_report(fake_run(tmp_path / "run", arms=("local",))).read_text()
    assert 'id="ranking"' not in html


@pytest.mark.parametrize(
    ("p", "told"),
    [(1e-7, "p < 0.001"), (0.001, "p = 0.001"), (0.0123, "p = 0.012"), (0.0496, "p = 0.0496"),
     (0.0504, "p = 0.0504"), (0.314, "p = 0.31"), (0.999, "p = 1"), (1.0, "p = 1")],
)  # fmt: skip
def test_p_keeps_the_digits_that_matter(p, told):
    assert chance(p) == told


def test_numbers_are_written_with_their_units():
    assert percents(0.9124) == "91.2%"
    assert [points(d) for d in (-0.012, 0.01)] == ["1.2 points", "1.0 point"]
    assert [signed(d) for d in (0.012, -0.012, 0.0002, -0.0002)] == ["+1.2", "−1.2", "0.0", "0.0"]
    assert [listed(parts) for parts in ([], ["a"], ["a", "b", "c"])] == ["", "a", "a, b and c"]
