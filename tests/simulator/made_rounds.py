"""Rounds of a cohort made by hand, and the files that its records become."""

import numpy as np
import pyarrow.parquet as pq

from clients.outcome import Outcome
from clients.user import NO_ANSWER
from simulator.cohort.records import Records, RoundRows

ACTIVITIES = ["walking", "sitting", "standing"]
NAN = float("nan")
TIME_S = 100.0 + 4.0 * np.arange(40)


def records_of(folder, devices=("p005",), *, users=None, windows_of=None, cohort=3):
    """Open the records of a cohort whose pool has a window every 4 s from 100 s."""
    kept = np.ones(len(devices), np.bool_) if windows_of is None else np.array(windows_of)
    owners = users or devices
    return Records(folder, "own", cohort, 1, ACTIVITIES, devices, owners, TIME_S, kept)


def outcome(*devices, questions=1, batch=2, **counts):
    """Make what came of a round; a device is a list of questions.

    A question is (windows, label, predicted) or (windows, label, predicted, more).
    """
    made = Outcome.empty(len(devices), questions, batch)
    for d, own in enumerate(devices):
        for q, (windows, label, predicted, *more) in enumerate(own):
            rest = {"voted": predicted[0], "answer": NO_ANSWER, "asked": False}
            rest |= {"opened_correct": [False] * len(windows), "loss": [0.5] * len(windows)}
            rest |= more[0] if more else {}
            made.windows[d, q, : len(windows)] = windows
            made.predicted[d, q, : len(windows)] = predicted
            made.opened_correct[d, q, : len(windows)] = rest["opened_correct"]
            made.loss[d, q, : len(windows)] = rest["loss"]
            made.label[d, q], made.voted[d, q] = label, rest["voted"]
            made.answer[d, q], made.asked[d, q] = rest["answer"], rest["asked"]
    for name, values in counts.items():
        getattr(made, name)[:] = values
    return made


def row(round_, made, devices=1, *, participant=False, down=0, up=0):
    return RoundRows(
        round_,
        np.full(devices, participant),
        made,
        np.full(devices, down, np.int64),
        np.full(devices, up, np.int64),
    )


def written(folder, kind, cohort=3):
    return pq.read_table(folder / kind / "own" / f"cohort-{cohort:05d}.parquet", partitioning=None)
