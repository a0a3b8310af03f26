"""Run folders made up for the tests of the report, written by the records themselves."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

from clients.outcome import Outcome
from simulator.cohort.records import Records, RoundRows

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
    learnt = 1 - 0.5 ** np.arange(rounds + 1)
    for arm in arms:
        for cohort, members in enumerate(np.array_split(names, 2)):
            chances = [[min(skill[u] + gains[arm] * s, 0.99) for u in members] for s in learnt]
            rows_of_users += _fake_cohort(
                run, generator, arm, cohort, members.tolist(), np.array(chances), holdout
            )
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


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def records_of(run, arm, cohort, users, devices=None):
    everyone = np.ones(len(users), np.bool_)
    time_s = 4.0 * np.arange(16)
    return Records(run, arm, cohort, 0, ACTIVITIES, devices or users, users, time_s, everyone)


def row_of(round_, made, count, up=0):
    """Make the rows of a round of a cohort in which everybody takes part."""
    down = np.full(count, 29_000)
    return RoundRows(round_, np.ones(count, np.bool_), made, down, np.full(count, up))


def _fake_cohort(run, generator, arm, cohort, users, chances, holdout):
    """Record a cohort whose devices are right with `chances` [R + 1, D]; returns rows of users."""
    records = records_of(run, arm, cohort, users, [f"{user}-0" for user in users])
    hits, answers, held = np.zeros(len(users)), np.zeros(len(users)), [None] * len(users)
    for number, chance in enumerate(chances):
        made = _fake_outcome(generator, arm, chance) if number else None
        records.add(row_of(number, made, len(users), 29_000 if arm == "shared" else 0))
        if made is not None:
            hits += (made.predicted == made.label[..., None]).sum(axis=(1, 2))
            answers += (made.answer >= 0).sum(axis=1)
        if holdout:
            matrices = _fake_confusion(generator, chance)
            records.score(number, matrices)
            held = np.trace(matrices, axis1=1, axis2=2) / 60
    rounds = len(chances) - 1
    records.write(rounds)
    return [
        {
            "arm": arm,
            "user": user,
            "devices": 1,
            "windows": 16 * rounds,
            "answered": int(answers[d]),
        }
        | {"prequential_accuracy": hits[d] / (16 * rounds)}
        | {"holdout_accuracy": held[d], "holdout_macro_f1": held[d]}
        for d, user in enumerate(users)
    ]


def _fake_outcome(generator, arm, chance):
    """Let each device predict two questions of eight windows and hear an answer to the first."""
    made = Outcome.empty(len(chance), 2, 8)
    made.windows[:] = np.arange(16).reshape(2, 8)
    made.label[:] = generator.integers(0, len(ACTIVITIES), made.label.shape)
    made.predicted[:] = _mistaken(generator, made.label[..., None], chance[:, None, None], 8)
    made.voted[:] = made.label
    made.asked[:] = True
    made.answer[:, 0] = made.label[:, 0]
    made.steps[:] = made.gradients[:] = 0 if arm == "frozen" else 8
    return made


def _fake_confusion(generator, chance):
    """Let each device predict sixty windows of holdout, int64 [D, K, K]."""
    truth = generator.integers(0, len(ACTIVITIES), (len(chance), 60, 1))
    said = _mistaken(generator, truth, chance[:, None, None], 1)
    matrices = np.zeros((len(chance), len(ACTIVITIES), len(ACTIVITIES)), np.int64)
    np.add.at(matrices, (np.arange(len(chance))[:, None, None], truth, said), 1)
    return matrices


def _mistaken(generator, truth, chance, windows):
    shape = (*truth.shape[:-1], windows)
    near = (truth + generator.integers(1, 3, shape)) % len(ACTIVITIES)
    return np.where(generator.random(shape) < chance, truth, near)


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


def hand_written_run(run: Path, hits_of_z: tuple[bool, ...] = (False, True, False, True)) -> Path:
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
    hits = {"x": (True, True, True, False), "y": (True,) * 4, "z": hits_of_z}
    for arm, last in confusions.items():
        records = records_of(run, arm, 0, list(last))
        for number, matrices in ((1, [[2, 0, 2, 0]] * 3), (2, list(last.values()))):
            records.add(row_of(number, outcome_of(hits, 2 * number - 2), 3))
            records.score(number, np.array(matrices).reshape(3, 2, 2))
        records.write(2)
    (run / "summary.csv").write_text(
        "arm,base_accuracy,prequential_accuracy,holdout_accuracy\n"
        "own,0.5,0.75,0.75\nshared,0.5,0.75,0.6666666666\n"
    )
    (run / "users.csv").write_text(
        "arm,user,holdout_accuracy\nown,x,1.0\nown,y,0.75\nown,z,0.5\n"
        "shared,x,0.5\nshared,y,0.75\nshared,z,0.75\n"
    )
    return run


def outcome_of(hits, first):
    """Make a round of one question of two windows, right where `hits` says so from `first` on."""
    made = Outcome.empty(len(hits), 1, 2)
    for d, own in enumerate(hits.values()):
        for i, hit in enumerate(own[first : first + 2]):
            made.windows[d, 0, i], made.predicted[d, 0, i] = first + i, 0 if hit else 1
            made.label[d, 0], made.answer[d, 0] = 0, 0
    made.steps[:] = 3
    return made
