import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomli_w
from plotly.offline import get_plotlyjs

from clients.errors import BadInput
from simulator.report import answer_sentences, write_report
from simulator.report.page import chart
from simulator.report.records import read_run
from simulator.report.reductions import faded_accuracy

ACTIVITIES = ["walking", "jogging", "stairs", "sitting", "standing"]
SUMMARY = [
    "arm",
    "method",
    "devices",
    "base_accuracy",
    "prequential_accuracy",
    "prequential_vote_accuracy",
    "prequential_kappa_temporal",
    "holdout_accuracy",
    "holdout_macro_f1",
    "holdout_worst_tenth",
    "holdout_min",
    "holdout_std",
    "worse_than_local",
    "gradients_per_answer",
    "bytes_up",
    "bytes_down",
]


def fake_run(
    run: Path,
    *,
    users: int = 6,
    arms: tuple[str, ...] = ("local", "shared", "frozen"),
    rounds: int = 4,
    holdout: bool = True,
    question: str = "Does a wearable do better with its own model?",
    status: str = "done",
    seed: int = 7,
) -> Path:
    """Write a run folder with made-up but plausible records of `users` in two cohorts."""
    generator = np.random.default_rng(seed)
    run.mkdir(parents=True)
    names = [str(1600 + i) for i in range(users)]
    skill = {user: generator.uniform(0.7, 0.95) for user in names}
    gains = {arm: 0.12 - 0.05 * i for i, arm in enumerate(arms)}
    rows_of_users = []
    for arm in arms:
        for cohort, members in enumerate(np.array_split(names, 2)):
            windows, scored = [], []
            for user in members:
                found = _fake_device(generator, arm, user, skill[user], gains[arm], rounds, holdout)
                windows += found[0]
                scored += found[1]
            _write(run / "windows" / arm / f"cohort-{cohort:03}.parquet", windows)
            _write(run / "rounds" / arm / f"cohort-{cohort:03}.parquet", scored, ROUNDS)
            rows_of_users += _fake_users(arm, windows, scored)
    _write_heads(run, names, arms, rounds, question, status, seed)
    table = pd.DataFrame(rows_of_users)
    table.to_csv(run / "users.csv", index=False)
    _fake_summary(table, arms).to_csv(run / "summary.csv", index=False)
    events = [
        {"arm": arms[-1], "fold": 0, "round": 2, "device": "1600-0", "kind": kind, "reason": reason}
        for kind, reason in (("refused", "norm"), ("refused", "norm"), ("alarm", None))
    ]
    _write(run / "events" / f"{arms[-1]}.parquet", events)
    return run


WHOLE_NUMBERS = ["questions", "windows", "asked", "answered", "correct", "vote_correct"]
WHOLE_NUMBERS += ["downloaded_correct", "steps", "gradients", "bytes_down", "bytes_up"]
WHOLE_NUMBERS += ["memory_windows", "holdout_windows", "holdout_correct"]
ROUNDS = pa.schema(
    [("arm", pa.string()), ("fold", pa.int64()), ("round", pa.int64())]
    + [("device", pa.string()), ("user", pa.string()), ("participant", pa.bool_())]
    + [(name, pa.int64()) for name in WHOLE_NUMBERS]
    + [("loss", pa.float32()), ("holdout_confusion", pa.list_(pa.int32()))]
)


def _write(path: Path, rows: list[dict[str, object]], schema: pa.Schema | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def _fake_device(generator, arm, user, skill, gain, rounds, holdout):
    windows, scored = [], []
    for number in range(rounds + 1):
        chance = min(skill + gain * (1 - 0.5**number), 0.99)
        truth = generator.integers(0, len(ACTIVITIES), 16 if number else 0)
        said = _mistaken(generator, truth, chance)
        for i, (label, predicted) in enumerate(zip(truth, said, strict=True)):
            name = ACTIVITIES[label]
            windows.append(
                {"arm": arm, "fold": 0, "round": number, "question": 2 * number + i // 8}
                | {"device": f"{user}-0", "user": user, "time_s": 64.0 * number + 4 * i}
                | {"label": name, "predicted": ACTIVITIES[predicted], "voted": name}
                | {"downloaded_correct": True, "answer": name if i < 8 else None, "loss": None}
            )
        kept = generator.integers(0, len(ACTIVITIES), 60)
        matrix = np.zeros((len(ACTIVITIES), len(ACTIVITIES)), dtype=int)
        np.add.at(matrix, (kept, _mistaken(generator, kept, chance)), 1)
        steps = 0 if arm == "frozen" or not number else 8
        scored.append(
            {"arm": arm, "fold": 0, "round": number, "device": f"{user}-0", "user": user}
            | {"participant": True, "questions": 2, "windows": len(truth), "asked": 2}
            | {"answered": int(number > 0), "correct": int((truth == said).sum())}
            | {
                "vote_correct": 16,
                "downloaded_correct": 14,
                "steps": steps,
                "gradients": steps,
            }
            | {"loss": None, "bytes_down": 29_000, "bytes_up": 29_000 if arm == "shared" else 0}
            | {"memory_windows": 8 * number, "holdout_windows": 60 if holdout else None}
            | {"holdout_correct": int(np.trace(matrix)) if holdout else None}
            | {"holdout_confusion": matrix.ravel().tolist() if holdout else None}
        )
    return windows, scored


def _mistaken(generator, truth, chance):
    near = (truth + generator.integers(1, 3, len(truth))) % len(ACTIVITIES)
    return np.where(generator.random(len(truth)) < chance, truth, near)


def _fake_users(arm, windows, scored):
    rows = []
    for user in dict.fromkeys(str(row["user"]) for row in windows):
        own = [row for row in windows if row["user"] == user]
        last = [row for row in scored if row["user"] == user][-1]
        held = None
        if last["holdout_correct"] is not None:
            held = last["holdout_correct"] / last["holdout_windows"]
        rows.append(
            {"arm": arm, "user": user, "devices": 1, "windows": len(own)}
            | {"answered": sum(row["answer"] is not None for row in own)}
            | {"prequential_accuracy": np.mean([row["label"] == row["predicted"] for row in own])}
            | {"holdout_accuracy": held, "holdout_macro_f1": held}
        )
    return rows


def _fake_summary(users, arms):
    rows = []
    for arm in arms:
        own = users[users["arm"] == arm]
        held = own["holdout_accuracy"].astype(float)
        streamed = own["prequential_accuracy"].mean()
        rows.append(
            {"arm": arm, "method": "local" if arm == "local" else "fedavg", "devices": len(own)}
            | {"base_accuracy": 0.829, "prequential_accuracy": streamed}
            | {"prequential_vote_accuracy": streamed + 0.02, "prequential_kappa_temporal": 0.31}
            | {"holdout_accuracy": held.mean(), "holdout_macro_f1": held.mean() - 0.01}
            | {"holdout_worst_tenth": held.min(), "holdout_min": held.min()}
            | {"holdout_std": held.std(ddof=0), "worse_than_local": None if arm == "local" else 0.5}
            | {"gradients_per_answer": 0.0 if arm == "frozen" else 8.0}
            | {"bytes_up": 116_000.0 if arm == "shared" else 0.0, "bytes_down": 145_000.0}
        )
    return pd.DataFrame(rows, columns=SUMMARY)


def _write_heads(run, names, arms, rounds, question, status, seed):
    scenario = {
        "name": "personalized-vs-shared",
        "question": question,
        "seed": seed,
        "baseline": arms[0],
        "data": {"source": "synthetic", "users": len(names), "activities": ACTIVITIES}
        | {"rate_hz": 20.0, "window_s": 4.0, "hop_s": 4.0},
        "split": {"folds": 2, "holdout": 0.3},
        "model": {"program": "cnn", "base": "donors"},
        "stream": {"rounds": rounds, "questions_per_round": 2, "batch": 8, "order": "bouts"},
        "labels": {"answer_rate": 0.8, "mistake_rate": 0.02, "delay_rounds": 0},
        "learning": {"steps": 4, "memory": 128},
        "arms": [{"name": arm, "method": "local" if arm == "local" else "fedavg"} for arm in arms],
    }
    (run / "scenario.toml").write_text(tomli_w.dumps(scenario), encoding="utf-8")
    manifest = {
        "status": status,
        "versions": {"wearfleet": "0.1.0", "tensorflow": "2.21.0", "python": "3.12.3"},
        "git": "6f0355c",
        "data_fingerprint": "b3c1f0",
        "seed": seed,
        "machine": {"processor": "AMD EPYC", "cores": 2},
        "wall_s": 83.2,
        "data": {"users": len(names), "windows": 5418, "defects": {"timestamp 0": 12}},
        "base": [
            {"fold": 0, "epochs": 12, "validation_accuracy": 0.93, "unseen_accuracy": 0.825},
            {"fold": 1, "epochs": 11, "validation_accuracy": 0.92, "unseen_accuracy": 0.833},
        ],
    }
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def fake_seeds(run: Path, **how) -> Path:
    """Write the parent folder of three seeds, its tables averaged over them."""
    for seed in (7, 8, 10):
        fake_run(run / f"seed-{seed}", seed=seed, **how)
    for name, keys in (("summary.csv", ["arm", "method"]), ("users.csv", ["arm", "user"])):
        whole = pd.concat([pd.read_csv(run / f"seed-{seed}" / name) for seed in (7, 8, 10)])
        groups = whole.groupby(keys, sort=False)
        table = groups.mean()
        for column in table.columns:
            table[f"{column}_min"] = groups[column].min()
            table[f"{column}_max"] = groups[column].max()
        table.reset_index().to_csv(run / name, index=False)
    for name in ("scenario.toml", "manifest.json"):
        (run / name).write_bytes((run / "seed-7" / name).read_bytes())
    return run


def hand_written_run(run: Path) -> Path:
    """Three people, two arms, four holdout windows and four streamed windows each.

    The first round holds two windows, the second round two.
    """
    run.mkdir()
    (run / "scenario.toml").write_text(
        'name = "tiny"\nquestion = "Own or shared?"\nbaseline = "own"\n'
        '[data]\nactivities = ["a", "b"]\n[[arms]]\nname = "own"\n[[arms]]\nname = "shared"\n',
        encoding="utf-8",
    )
    confusions = {
        "own": {"x": [2, 0, 0, 2], "y": [1, 1, 0, 2], "z": [1, 1, 1, 1]},
        "shared": {"x": [2, 0, 1, 1], "y": [1, 1, 0, 2], "z": [2, 0, 1, 1]},
    }
    hits = {"x": [True, True, True, False], "y": [True] * 4, "z": [False, True, False, True]}
    for arm, by_user in confusions.items():
        windows, rounds = [], []
        for user, matrix in by_user.items():
            for i, hit in enumerate(hits[user]):
                windows.append(
                    {"arm": arm, "round": 1 + i // 2, "device": user, "user": user}
                    | {"label": "a", "predicted": "a" if hit else "b"}
                )
            for number, counts in ((1, [2, 0, 2, 0]), (2, matrix)):
                row = {"arm": arm, "fold": 0, "round": number, "device": user, "user": user}
                row |= {"holdout_windows": 4, "holdout_correct": counts[0] + counts[3]}
                rounds.append(row | {"holdout_confusion": counts, "steps": 3, "answered": 1})
        _write(run / "windows" / arm / "cohort-000.parquet", windows)
        _write(run / "rounds" / arm / "cohort-000.parquet", rounds, ROUNDS)
    (run / "summary.csv").write_text(
        "arm,base_accuracy,prequential_accuracy,holdout_accuracy\n"
        "own,0.5,0.75,0.75\nshared,0.5,0.75,0.6666666666\n"
    )
    (run / "users.csv").write_text(
        "arm,user,holdout_accuracy\nown,x,1.0\nown,y,0.75\nown,z,0.5\n"
        "shared,x,0.5\nshared,y,0.75\nshared,z,0.75\n"
    )
    return run


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
    assert html.count('class="chart"') == 3
    assert len(re.findall(r'class="chart" role="img" aria-label="[^"]{40,}"', html)) == 3
    assert len(re.findall(r'role="img" viewBox="[^"]+" aria-label="User \d+, preq', html)) == 6


def test_chart_data_is_json(run: Path):
    html = page_without_plotly(write_report(run))
    figures = re.findall(r'<script type="application/json">(.*?)</script>', html)
    assert [set(json.loads(figure)) for figure in figures] == [{"data", "layout"}] * 3


def test_answer_of_a_hand_written_run(tmp_path: Path):
    html = page_without_plotly(write_report(hand_written_run(tmp_path / "run")))
    told = words(html)
    assert (
        "On holdout, own is right on 75.0 % of windows and shared on 66.7 %: own is better for 1 "
        "of 3 people, worse for 1 and equal for 1, and 8.3 points better on average."
    ) in told
    assert (
        "Against own on holdout, shared gains most for user z (25.0 points) and loses most for "
        "user x (50.0 points)."
    ) in told
    assert "The untouched base model gives 50.0 % on people it never saw (unseen-users)." in told
    assert "significan" not in told.replace("No test of significance", "")


def test_records_of_a_hand_written_run(tmp_path: Path):
    records = read_run(hand_written_run(tmp_path / "run"))
    assert records.confusions["own"].tolist() == [[4, 2], [1, 5]]
    assert records.scored_rounds == {"own": 2, "shared": 2}
    held = records.holdout.set_index(["arm", "user", "round"])["accuracy"]
    assert held["own", "z", 2] == 0.5
    assert held["own", "z", 1] == 0.5
    assert held["shared", "y", 2] == 0.75
    streamed = records.prequential.set_index(["arm", "user", "round"])["accuracy"]
    assert streamed["own", "x", 1] == 1.0
    # z: wrong, right, wrong, right. S = 1 + 0.98², B = 1 + 0.98 + 0.98² + 0.98³
    assert streamed["own", "z", 1] == pytest.approx(1 / 1.98)
    assert streamed["own", "z", 2] == pytest.approx(1.9604 / 3.881592)
    assert records.costs.set_index("arm").loc["own", ["devices", "steps"]].tolist() == [3, 18]


def test_f1_of_a_hand_written_run(tmp_path: Path):
    told = words(page_without_plotly(write_report(hand_written_run(tmp_path / "run"))))
    # own: a has 4 right of 6 true and 5 said, 8 / 11; b has 5 right of 6 true and 7 said, 10 / 13.
    assert "72.7" in told
    assert "76.9" in told


def test_fading_factor_forgets_old_windows():
    correct = np.array([[True] * 50 + [False] * 50, [False] * 50 + [True] * 50])
    first, second = faded_accuracy(correct)[:, -1]
    assert first == pytest.approx(0.98**50 * (1 - 0.98**50) / (1 - 0.98**100))
    assert first + second == pytest.approx(1.0)


def test_device_past_its_stream_keeps_its_value(tmp_path: Path):
    run = hand_written_run(tmp_path / "run")
    path = run / "windows" / "own" / "cohort-000.parquet"
    kept = [
        row for row in pq.read_table(path).to_pylist() if row["user"] != "z" or row["round"] == 1
    ]
    _write(path, kept)
    streamed = read_run(run).prequential.set_index(["arm", "user", "round"])["accuracy"]
    assert streamed["own", "z", 2] == streamed["own", "z", 1] == pytest.approx(1 / 1.98)


def test_text_stored_as_dictionaries_reads_the_same(run: Path):
    plain = read_run(run)
    for path in run.glob("*/*/cohort-*.parquet"):
        table = pq.read_table(path, partitioning=None)
        for i, field in enumerate(table.schema):
            if pa.types.is_string(field.type):
                table = table.set_column(i, field.name, table[field.name].dictionary_encode())
        pq.write_table(table, path)
    encoded = read_run(run)
    for name in ("holdout", "prequential"):
        before, after = (
            getattr(records, name).astype({"user": str, "round": int}).reset_index(drop=True)
            for records in (plain, encoded)
        )
        pd.testing.assert_frame_equal(before, after)


def test_markup_in_a_scenario_is_shown_not_run(tmp_path: Path):
    bad = 'Own or <script>alert(1)</script> & "shared"?'
    run = fake_run(tmp_path / "run", question=bad, arms=("local", "</script><b>"))
    html = page_without_plotly(write_report(run))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in html
    assert "</script><b>" not in html
    assert "\\u003c/script" not in html.replace("\\u002f", "/")  # Plotly would take it for markup


def test_chart_data_cannot_end_its_script():
    assert chart('{"name": "</script>"}', "label", "caption").count("</script>") == 1


def test_run_without_holdout_tells_prequential_accuracy(tmp_path: Path):
    html = page_without_plotly(write_report(fake_run(tmp_path / "run", holdout=False)))
    assert "Prequentially (each window scored before it is learnt from), local is right" in words(
        html
    )
    assert "nan" not in words(html).lower()
    assert "Prequential accuracy of each user" in html
    assert "Holdout accuracy through the rounds" not in html


def test_run_with_one_arm(tmp_path: Path):
    html = page_without_plotly(write_report(fake_run(tmp_path / "run", arms=("local",))))
    assert re.search(r"On holdout, local is right on [\d.]+ % of each person", words(html))
    assert "★</span>" not in html


def test_interrupted_run_is_told_as_such(tmp_path: Path):
    run = fake_run(tmp_path / "run", status="interrupted")
    assert "The run stopped before its end" in words(page_without_plotly(write_report(run)))
    for name in ("summary.csv", "users.csv", "manifest.json"):
        (run / name).unlink()
    (run / "rounds" / "frozen" / "cohort-001.parquet").unlink()
    for path in (run / "windows" / "shared").iterdir():
        path.unlink()
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
    with pytest.raises(BadInput, match=r"scenario\.toml cannot be read"):
        write_report(tmp_path)


def test_events_are_counted_by_kind_and_reason(run: Path):
    found = read_run(run).events
    rows = found[["arm", "kind", "reason", "count"]].values.tolist()
    assert rows == [["frozen", "alarm", "", 1], ["frozen", "refused", "norm", 2]]


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


def test_report_of_many_users_and_arms_stays_small(tmp_path: Path):
    arms = ("local", "shared", "ditto", "fedper", "apfl", "frozen", "pooled")
    run = fake_run(tmp_path / "run", users=36, arms=arms, rounds=10)
    assert write_report(run).stat().st_size < 6_000_000


def two_arms(**more: list[float | None]) -> pd.DataFrame:
    return pd.DataFrame({"arm": ["local", "shared"], **more})


def by_user(local: list[float], shared: list[float]) -> pd.DataFrame:
    users = [str(i) for i in range(len(local))]
    parts = [
        pd.DataFrame({"arm": arm, "user": users, "holdout_accuracy": scores})
        for arm, scores in (("local", local), ("shared", shared))
    ]
    return pd.concat(parts, ignore_index=True)


def test_answer_names_the_better_arm_first():
    summary = two_arms(holdout_accuracy=[0.7, 0.8])
    users = by_user([0.7, 0.6, 0.8], [0.8, 0.9, 0.7])
    assert answer_sentences(summary, users, "local")[0] == (
        "On holdout, `local` is right on 70.0 % of windows and `shared` on 80.0 %: `shared` is "
        "better for 2 of 3 people, worse for 1, and 10.0 points better on average."
    )


def test_answer_tells_when_most_people_lose_though_the_average_gains():
    summary = two_arms(holdout_accuracy=[0.6, 0.7])
    users = by_user([0.6, 0.6, 0.6], [1.0, 0.55, 0.55])
    assert answer_sentences(summary, users, "local")[0].endswith(
        ": `shared` is 10.0 points better on average, and yet better for 1 of 3 people, "
        "worse for 2."
    )


def test_answer_names_the_best_prequential_arm_even_if_holdout_does_not():
    summary = pd.DataFrame(
        {
            "arm": ["local", "shared", "frozen"],
            "holdout_accuracy": [0.8, 0.9, 0.7],
            "prequential_accuracy": [0.7, 0.75, 0.85],
        }
    )
    sentences = answer_sentences(summary, pd.DataFrame({"arm": [], "user": []}), "local")
    assert sentences[1] == (
        "Prequentially (each window scored before it is learnt from), `local` is right on 70.0 %, "
        "`shared` on 75.0 % and `frozen`, the best arm, on 85.0 %."
    )


def test_answer_without_users_gives_accuracies_alone():
    sentences = answer_sentences(
        two_arms(holdout_accuracy=[0.7, 0.8]), pd.DataFrame({"arm": [], "user": []}), "local"
    )
    assert sentences == [
        "On holdout, `local` is right on 70.0 % of windows and `shared` on 80.0 %."
    ]


def test_answer_when_the_baseline_has_no_accuracy():
    sentences = answer_sentences(
        two_arms(holdout_accuracy=[None, 0.8]), by_user([None, None], [0.9, 0.7]), "local"
    )
    assert sentences == [
        "On holdout, `shared` is right on 80.0 % of each person's windows, on average."
    ]


def test_answer_of_equal_arms_claims_no_difference():
    first = answer_sentences(
        two_arms(holdout_accuracy=[0.75, 0.75]), by_user([0.5, 1.0], [1.0, 0.5]), "local"
    )[0]
    assert first.endswith(
        ": the same on average; `local` is better for 1 of 2 people, worse for 1."
    )


def test_answer_compares_every_other_arm_with_the_baseline():
    summary = pd.DataFrame(
        {"arm": ["local", "shared", "ditto"], "holdout_accuracy": [0.8, 0.7, 0.9]}
    )
    users = pd.DataFrame(
        [["local", "a", 0.8], ["shared", "a", 0.7], ["ditto", "a", 0.9]],
        columns=["arm", "user", "holdout_accuracy"],
    )
    sentences = answer_sentences(summary, users, "local")
    assert "`ditto`, the best of the 2 other arms, on 90.0 %" in sentences[0]
    assert sentences[-1] == (
        "`shared` is right on 70.0 % of holdout windows, 10.0 points below `local` on average: "
        "better for 0 of 1 people, worse for 1."
    )


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
