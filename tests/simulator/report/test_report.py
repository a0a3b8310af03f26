"""The report as a page, of run folders that are made up."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tomli_w
from plotly.offline import get_plotlyjs

from clients.errors import BadInput
from simulator.report import write_report
from simulator.report.page import chart
from tests.simulator.made_runs import fake_run, fake_seeds, hand_written_run


def page_without_plotly(report: Path) -> str:
    html = report.read_text(encoding="utf-8")
    assert html.count(get_plotlyjs()) == 1
    return html.replace(get_plotlyjs(), "")


def words(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fake_run(tmp_path / "run")


def test_report_is_one_page_that_needs_no_network(run: Path):
    report = write_report(run)
    assert report == run / "report.html"
    html = page_without_plotly(report)
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", html)
    assert "@import" not in html
    assert sorted(path.name for path in run.iterdir() if "report" in path.name) == ["report.html"]


def test_every_chart_and_small_chart_has_a_label(run: Path):
    html = page_without_plotly(write_report(run))
    assert html.count('class="chart"') == 6
    assert len(re.findall(r'class="chart" role="img" aria-label="[^"]{40,}"', html)) == 6
    assert len(re.findall(r'role="img" viewBox="[^"]+" aria-label="User \d+, preq', html)) == 6


def test_chart_data_is_json(run: Path):
    html = page_without_plotly(write_report(run))
    figures = re.findall(r'<script type="application/json">(.*?)</script>', html)
    assert [set(json.loads(figure)) for figure in figures] == [{"data", "layout"}] * 6


def test_answer_of_a_hand_written_run(tmp_path: Path):
    html = page_without_plotly(write_report(hand_written_run(tmp_path / "run")))
    told = words(html)
    assert (
        "On holdout, the best mean over users is that of the baseline own: 75.0% of windows "
        "right, 8.3 points above shared; 3 people are too few to tell it from chance (the test "
        "needs 6 at the least)."
    ) in told
    assert (
        "Against own on holdout, shared is better for 1 of 3 people, worse for 1 and equal for 1; "
        "it gains most for user z (25.0 points) and loses most for user x (50.0 points)."
    ) in told
    assert "The untouched base model gives 50.0% on people it never saw (unseen-users)." in told
    assert "more than chance (" not in told


def test_f1_of_a_hand_written_run(tmp_path: Path):
    told = words(page_without_plotly(write_report(hand_written_run(tmp_path / "run"))))
    # own: a has 4 right of 6 true and 5 said, 8 / 11; b has 5 right of 6 true and 7 said, 10 / 13.
    assert "72.7" in told
    assert "76.9" in told


def test_without_windows_no_user_opens_and_every_figure_is_there(run: Path):
    before = page_without_plotly(write_report(run))
    assert (
        len(re.findall(r'href="#user=\d', before)) == 12
    )  # from the table, and from the small charts
    assert 'id="one-user"' in before
    shutil.rmtree(run / "windows")
    after = page_without_plotly(write_report(run))
    assert not re.search(r'href="#user=\d', after)
    assert 'id="one-user"' not in after
    assert "No single windows were written down, so no user can be opened." in words(after)
    charts = r'<script type="application/json">.*?</script>'
    assert re.findall(charts, after) == re.findall(charts, before)


@pytest.mark.parametrize(
    ("windows", "told"),
    [("all", ""), (1.0, ""), ("none", "of no device"), (0.0, "of no device"),
     (0.25, "of 25% of the devices alone")],
)  # fmt: skip
def test_whose_windows_were_written_is_told_unless_all_were(run: Path, windows, told):
    scenario = tomllib.loads((run / "scenario.toml").read_text())
    (run / "scenario.toml").write_text(tomli_w.dumps(scenario | {"records": {"windows": windows}}))
    found = words(page_without_plotly(write_report(run)))
    sentence = f"Single windows were written down {told} (records.windows); every number here is"
    assert (sentence in found) == bool(told)
    assert ("Single windows" in found) == bool(told)


def test_markup_in_a_scenario_is_shown_not_run(tmp_path: Path):
    bad = 'Own or <script>alert(1)</script> & "shared"?'
    run = fake_run(tmp_path / "run", question=bad)
    html = page_without_plotly(write_report(run))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in html


def test_chart_data_cannot_end_its_script():
    assert chart('{"name": "</script>"}', "label", "caption").count("</script>") == 1


def test_run_without_holdout_tells_prequential_accuracy(tmp_path: Path):
    html = page_without_plotly(write_report(fake_run(tmp_path / "run", holdout=False)))
    assert (
        "Prequentially (each window scored before it is learnt from), the best mean over users is "
        "that of the baseline local"
    ) in words(html)
    assert "nan" not in words(html).lower()
    assert "Prequential accuracy of each user" in html
    assert "Holdout accuracy through the rounds" not in html


def test_run_with_one_arm(tmp_path: Path):
    html = page_without_plotly(write_report(fake_run(tmp_path / "run", arms=("local",))))
    assert re.search(r"On holdout, local is right on [\d.]+% of each person", words(html))
    assert "★</span>" not in html


def test_interrupted_run_is_told_as_such(tmp_path: Path):
    run = fake_run(tmp_path / "run", status="interrupted")
    assert "The run stopped before its end" in words(page_without_plotly(write_report(run)))
    for name in ("summary.csv", "users.csv", "manifest.json"):
        (run / name).unlink()
    (run / "rounds" / "frozen" / "cohort-00001.parquet").unlink()
    told = words(page_without_plotly(write_report(run)))
    assert "This run has written no summary yet." in told
    assert "Holdout accuracy through the rounds" in told


def test_run_that_has_only_its_scenario(tmp_path: Path):
    (tmp_path / "scenario.toml").write_text('name = "early"\nquestion = "Anything yet?"\n')
    told = words(page_without_plotly(write_report(tmp_path)))
    assert "No accuracy has been recorded in this run folder." in told


def test_folder_without_a_scenario_is_bad_input(tmp_path: Path):
    with pytest.raises(BadInput, match=r"no scenario\.toml"):
        write_report(tmp_path)
    (tmp_path / "scenario.toml").write_text("name = ")
    with pytest.raises(BadInput, match=r"scenario\.toml: not TOML"):
        write_report(tmp_path)


def test_report_of_seeds_gives_ranges_and_links(tmp_path: Path):
    html = page_without_plotly(write_report(fake_seeds(tmp_path / "run")))
    assert re.findall(r'<a href="(seed[^"]+)">', html) == [
        "seed-7/report.html",
        "seed-8/report.html",
        "seed-10/report.html",
    ]
    told = words(html)
    assert "The numbers are means of 3 seeds; from seed to seed, on holdout, local ranges" in told
    assert re.search(r"<small>[\d.]+ to [\d.]+</small>", html)


def test_best_value_is_marked_by_more_than_colour(tmp_path: Path):
    html = page_without_plotly(write_report(hand_written_run(tmp_path / "run")))
    marked = re.findall(r'★</span> ([\d.]+)</span><span class="hidden"> best</span>', html)
    assert marked[0] == "75.0"  # of holdout; both arms share the prequential value: no mark


def test_local_is_not_marked_for_not_being_worse_than_itself(tmp_path: Path):
    run = hand_written_run(tmp_path / "run")
    (run / "summary.csv").write_text(
        "arm,method,worse_than_local\nown,local,0.0\nshared,fedavg,0.25\n"
    )
    html = page_without_plotly(write_report(run))
    assert "25.0" in words(html)
    assert "★</span> 0.0" not in html


def test_local_is_the_arm_of_that_name_where_there_is_one(tmp_path: Path):
    run = hand_written_run(tmp_path / "run")
    for name in ("scenario.toml", "users.csv"):
        text = (run / name).read_text().replace("shared", "local")
        (run / name).write_text(text)
    (run / "summary.csv").write_text(
        "arm,method,holdout_accuracy,worse_than_local\nown,local,0.75,0.25\nlocal,local,0.66,0.0\n"
    )
    html = page_without_plotly(write_report(run))
    tables = re.findall(r"users worse than local, %.*?</table>", html)
    assert len(tables) == 2  # under Arms and under Fairness
    for table in tables:
        own, local = (re.findall(r"<td.*?</td>", row)[-1] for row in table.split("<tr")[-2:])
        assert "25.0" in words(own)
        assert words(local) == "–"


def test_report_of_many_users_and_arms_stays_small(tmp_path: Path):
    arms = ("local", "shared", "ditto", "fedper", "apfl", "frozen", "pooled")
    run = fake_run(tmp_path / "run", users=36, arms=arms, rounds=10)
    assert write_report(run).stat().st_size < 6_000_000


def test_report_loads_plotly_only_when_it_writes():
    code = "import sys, simulator.report; print([m for m in sys.modules if m in HEAVY])"
    heavy = "{'plotly', 'tensorflow', 'ray', 'flwr'}"
    found = subprocess.run(
        [sys.executable, "-c", code.replace("HEAVY", heavy)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"


def test_what_a_person_should_know_of_the_run_is_said(tmp_path):
    run = fake_run(tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["notes"] = ["arm late never fine-tunes"]
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert "Note: arm late never fine-tunes." in words(page_without_plotly(write_report(run)))
