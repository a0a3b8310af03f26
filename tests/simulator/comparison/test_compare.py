"""Several runs side by side."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from clients.errors import BadInput
from simulator.cli import main
from simulator.comparison.tables import as_json, compare_runs, frame_of, sentences, tables
from tests.simulator.made_runs import fake_run


def told_by(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Give two runs of the same people; the second has an arm of its own and one arm less."""
    folder = tmp_path_factory.mktemp("runs")
    one = fake_run(folder / "one", users=12)
    other = fake_run(folder / "other", users=12, arms=("local", "mine", "frozen"), seed=8)
    return one, other


@pytest.fixture
def done(tmp_path):
    """Give a run whose scenario says on how many workers, with variables of a device."""
    run = fake_run(tmp_path / "done")
    with (run / "scenario.toml").open("a") as file:
        file.write("[fleet]\nworkers = 1\n")
    variables = run / "devices" / "local" / "1600-0" / "round-00004" / "variables"
    variables.mkdir(parents=True)
    (variables / "variables.index").write_bytes(b"index")
    return run


def scores(run, arm, column="holdout_accuracy"):
    users = pd.read_csv(run / "users.csv", dtype={"user": str})
    return users[users["arm"] == arm].set_index("user")[column].sort_index()


def test_arms_of_one_name_are_paired_by_user(runs):
    pairs = compare_runs(runs).pairs
    assert [(p.letter, p.test.arm, p.against, p.test.against) for p in pairs] == [
        ("B", "local", "A", "local"), ("B", "mine", "A", "local"), ("B", "frozen", "A", "frozen"),
    ]  # fmt: skip
    for pair in pairs:
        differences = scores(runs[1], pair.test.arm) - scores(runs[0], pair.test.against)
        assert pair.test.pairs == 12
        assert pair.test.mean_difference == pytest.approx(differences.mean(), abs=1e-6)
        assert pair.test.interval_low <= pair.test.mean_difference <= pair.test.interval_high
        found = stats.wilcoxon(differences.round(6), zero_method="pratt", mode="approx")
        assert pair.test.p == pytest.approx(found.pvalue, abs=0.06)
    given, corrected = ([getattr(p.test, n) for p in pairs] for n in ("p", "p_all"))
    least = int(np.argmin(given))
    assert corrected[least] == pytest.approx(min(3 * given[least], 1.0))  # Holm's first step


def test_users_that_one_run_lacks_make_no_pair_and_are_told(runs, tmp_path):
    fewer = shutil.copytree(runs[1], tmp_path / "fewer")
    users = pd.read_csv(fewer / "users.csv", dtype={"user": str})
    users[users["user"] != "1603"].to_csv(fewer / "users.csv", index=False)
    compared = compare_runs([runs[0], fewer], "prequential")
    assert {pair.test.pairs for pair in compared.pairs} == {11}
    assert any("11 users in common; not in both: 1603" in text for text in compared.warnings)
    column = "prequential_accuracy"
    differences = (scores(fewer, "local", column) - scores(runs[0], "local", column)).dropna()
    assert compared.pairs[0].test.mean_difference == pytest.approx(differences.mean(), abs=1e-6)


def changed(run, to, scenario=(), **manifest):
    """Copy a run, with other text in its scenario and other facts in its manifest."""
    copy = shutil.copytree(run, to)
    text = (copy / "scenario.toml").read_text()
    for old, new in scenario:
        assert old in text
        text = text.replace(old, new)
    (copy / "scenario.toml").write_text(text)
    facts = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**facts, **manifest}))
    return copy


def test_what_is_not_like_with_like_is_told(done, tmp_path):
    other = changed(
        done, tmp_path / "other",
        [("seed = 7", "seed = 12"), ("rounds = 4", "rounds = 3"), ("steps = 4", "steps = 9")],
        data_fingerprint="other", status="interrupted", git="1234567890abcdef",
        versions={"wearfleet": "0.1.0", "tensorflow": "2.22.0", "python": "3.12.3"},
    )  # fmt: skip
    compared = compare_runs([done, other])
    assert {d.key: d.values for d in compared.differences} == {
        "seed": ("7", "12"), "stream.rounds": ("4", "3"), "learning.steps": ("4", "9"),
    }  # fmt: skip
    told = "\n".join(compared.warnings)
    assert "B is not done (interrupted)" in told
    assert "A has seed 7, and B has 12" in told
    assert "other data (their fingerprints differ)" in told
    assert "A and B are of other people, who may have the same names" in told
    assert compared.pairs == []
    assert "Differences in" not in " ".join(table.title for table in tables(compared))
    assert "p_holm" not in frame_of(compared)
    assert len(json.loads(json.dumps(as_json(compared)))["runs"]) == 2
    assert "other versions: tensorflow 2.21.0, 2.22.0" in told
    assert "other revisions of the code: 6f0355c, 1234567890" in told
    assert "other conditions (stream.rounds)" in told
    assert compared.bytes == []  # another seed promises nothing


def test_a_repeated_run_has_the_same_bytes_or_the_first_that_differs_is_named(done, tmp_path):
    same = changed(done, tmp_path / "same")
    compared = compare_runs([done, same])
    assert compared.warnings == []
    # Three arms of two cohorts with windows and rounds, events of one arm, two tables, the
    # scenario, and a device's variables.
    assert [(one.files, one.first) for one in compared.bytes] == [(3 * 2 * 2 + 1 + 2 + 1 + 1, None)]
    assert "The scenarios are the same." in sentences(compared)
    last, first = same / "windows/local/cohort-00001.parquet", same / "rounds/shared"
    last.unlink()
    (found,) = compare_runs([done, same]).bytes
    assert (found.first, found.how) == ("windows/local/cohort-00001.parquet", "not in B")
    damaged = first / "cohort-00000.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    (found,) = compare_runs([done, same]).bytes
    assert (found.first, found.how) == ("rounds/shared/cohort-00000.parquet", "differs")


def test_other_numbers_of_workers_promise_the_same_bytes_but_for_the_scenario(done, tmp_path):
    other = changed(done, tmp_path / "other", [("workers = 1", "workers = 7")])
    compared = compare_runs([done, other])
    assert [one.key for one in compared.differences] == ["fleet.workers"]
    assert [one.first for one in compared.bytes] == [None]


@pytest.mark.parametrize("place", [0, 1])
def test_drifts_of_one_kind_are_told_apart(done, tmp_path, place):
    degrees = [40.0, 25.0]
    drift = '[[drift]]\nkind = "rotation"\ndegrees = {}\n'
    with (done / "scenario.toml").open("a") as file:
        file.write("".join(map(drift.format, degrees)))
    other = changed(done, tmp_path / "other", [(f"degrees = {degrees[place]}", "degrees = 10.0")])
    compared = compare_runs([done, other])
    key = ("drift.rotation.degrees", "drift.rotation(2).degrees")[place]
    assert {d.key: d.values for d in compared.differences} == {key: (str(degrees[place]), "10.0")}
    assert "The scenarios are the same." not in sentences(compared)
    assert any("other conditions" in text for text in compared.warnings)
    assert compared.bytes == []
    fewer = changed(done, tmp_path / "fewer", [(drift.format(degrees[1]), "")])
    assert [d.key for d in compare_runs([done, fewer]).differences] == [
        "drift.rotation(2).kind", "drift.rotation(2).degrees",
    ]  # fmt: skip


def test_another_name_leaves_open_whether_the_records_agree(done, tmp_path):
    other = changed(done, tmp_path / "other", [("personalized-vs-shared", "other")])
    compared = compare_runs([done, other])
    assert [one.key for one in compared.differences] == ["name"]
    assert [one.first for one in compared.bytes] == [None]


def test_other_windows_of_the_same_people_are_compared(done, tmp_path):
    change = [("seed = 7", "seed = 7\nwindows = 2")]  # nothing that makes other people
    other = changed(done, tmp_path / "other", change, data_fingerprint="other")
    compared = compare_runs([done, other])
    assert len(compared.pairs) > 1
    assert any("other data" in text for text in compared.warnings)
    assert not any("other people" in text for text in compared.warnings)


def test_a_parent_of_seeds_is_compared_by_its_averages(runs, tmp_path):
    parent = shutil.copytree(runs[0], tmp_path / "parent")
    for name in ("windows", "rounds", "events"):
        shutil.rmtree(parent / name, ignore_errors=True)
    for seed in (7, 8):
        changed(runs[0], parent / f"seed-{seed}", [("seed = 7", f"seed = {seed}")])
    compared = compare_runs([runs[0], parent])
    assert compared.runs[1].seeds == [7, 8]
    assert any("A has seed 7, and B has 7, 8" in text for text in compared.warnings)
    assert {pair.test.equal for pair in compared.pairs} == {12}


def test_the_command_prints_json_and_writes_html_and_csv(runs, tmp_path, capsys):
    code, out, err = told_by(capsys, "compare", *runs, "--json", "--out", tmp_path / "c.html")
    told = json.loads(out)
    assert (code, err.strip()) == (0, str(tmp_path / "c.html"))
    assert [run["run"] for run in told["runs"]] == ["A", "B"]
    mine = next(row for row in told["arms"] if (row["run"], row["arm"]) == ("B", "mine"))
    assert (mine["against_run"], mine["against_arm"]) == ("A", "local")
    assert mine["mean"] == pytest.approx(scores(runs[1], "mine").mean(), abs=1e-6)
    page = (tmp_path / "c.html").read_text()
    assert "<svg" in page
    assert "B mine" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    code, out, _ = told_by(capsys, "compare", *runs, "--out", tmp_path / "c.csv")
    assert code == 0
    assert any(line.split()[:4] == ["B", "mine", "A", "local"] for line in out.splitlines())
    rows = pd.read_csv(tmp_path / "c.csv")
    assert rows["mean"].tolist() == [row["mean"] for row in told["arms"]]
    again, _, err = told_by(capsys, "compare", *runs, "--out", tmp_path / "c.csv")
    assert again == 2
    assert "is there already" in err


def test_no_chance_is_written_as_none(done, tmp_path):
    other = changed(done, tmp_path / "other")
    for run, gain in ((done, 0.0), (other, 0.1)):
        users = pd.DataFrame({"arm": "local", "user": [f"u{i}" for i in range(30)], "devices": 1})
        users["holdout_accuracy"] = 0.5 + gain + np.arange(30) / 100 * (1 + gain)
        users.to_csv(run / "users.csv", index=False)
    compared = compare_runs([done, other])
    assert 0.0 < compared.pairs[0].test.p < 1e-8
    row = next(row for row in as_json(compared)["arms"] if row["run"] == "B")
    assert (row["p"], row["p_holm"]) == (1e-6, 1e-6)
    assert frame_of(compared)["p"].dropna().tolist() == [1e-6]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{one}"], "1 run given"),
        (["{one}", "{one}"], "given twice"),
        (["{one}", "{tmp}"], "no run folder"),
        (["{one}", "{other}", "--by", "luck"], "--by luck: expected one of holdout, prequential"),
        (["{one}", "{other}", "--out", "c.pdf"], "ends in .html or .csv"),
    ],
)
def test_what_cannot_be_compared_is_one_message(runs, tmp_path, capsys, arguments, said):
    places = {"one": runs[0], "other": runs[1], "tmp": tmp_path}
    code, out, err = told_by(capsys, "compare", *(each.format(**places) for each in arguments))
    assert (code, out) == (2, "")
    assert said in err


def test_a_run_without_figures_is_refused(runs, tmp_path):
    bare = shutil.copytree(runs[1], tmp_path / "bare")
    (bare / "summary.csv").unlink()
    with pytest.raises(BadInput, match="has no figures yet"):
        compare_runs([runs[0], bare])
