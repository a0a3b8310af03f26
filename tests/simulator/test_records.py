"""Tables of windows and rounds, from outcomes made by hand."""

import numpy as np
import pytest

from clients.outcome import Outcome
from clients.recordings import Recording
from clients.stream import Stream
from clients.user import NO_ANSWER
from clients.wear import Wear
from clients.windows import Windows
from simulator.records import ROUNDS, WINDOWS, Records, RoundRow

ACTIVITIES = ["walking", "sitting", "standing"]
NAN = float("nan")


def wear(index, name, labels):
    """Make a device whose windows have these labels and start every 4 s from 100 s."""
    count = len(labels)
    windows = Windows(
        np.zeros(count, np.int32),
        np.arange(count, dtype=np.int64) * 80,
        np.array(labels, np.int32),
        100.0 + 4.0 * np.arange(count),
        80,
    )
    recording = Recording(name, "walking", 20.0, np.zeros((1, 3), np.float32), *np.zeros((2, 1)))
    stream = Stream(windows, np.arange(count + 1, dtype=np.int64))
    return Wear(index, name, name, [recording], stream, windows.take([]))


def outcome(positions, labels, predicted, answer, **more):
    count = len(positions)
    defaults = {
        "question": [0] * count,
        "voted": predicted,
        "opened_correct": [False] * count,
        "loss": [0.5] * count,
    }
    return Outcome(
        position=positions, label=labels, predicted=predicted, answer=answer, **{**defaults, **more}
    )


def record(*rows):
    records = Records("own", 1, ACTIVITIES)
    records.rows.extend(rows)
    return records


def row(round_, worn, made, **more):
    return RoundRow(round_, worn, False, made, 0, 0, 0, **more)


@pytest.fixture
def two_rounds():
    """Give a device's two rounds: three windows, then one."""
    worn = wear(4, "p005", [0, 0, 1, 1])
    first = outcome(
        [0, 1, 2], [0, 0, 1], [0, 2, 1], [0, 0, NO_ANSWER],
        question=[0, 0, 1], voted=[0, 0, 1], opened_correct=[True, False, False],
        loss=[0.25, NAN, 1.5], questions=2, asked=2, answered=1, examples=2, steps=4, gradients=4,
        learning_loss=0.75,
    )  # fmt: skip
    second = outcome([3], [1], [0], [2], question=[2], questions=1, asked=1, answered=1)
    return record(
        RoundRow(2, worn, True, second, 11, 12, 3, np.array([[1, 2, 0], [0, 3, 0], [0, 0, 4]])),
        row(0, worn, Outcome(), holdout=np.zeros((3, 3), np.int64)),
        RoundRow(1, worn, False, first, 0, 0, 2),
    )


def test_windows_are_one_row_each_in_the_order_of_the_stream(two_rounds):
    table = two_rounds.windows()
    assert table.schema.equals(WINDOWS)
    assert table.to_pydict() == {
        "arm": ["own"] * 4,
        "fold": [1] * 4,
        "round": [1, 1, 1, 2],
        "question": [0, 0, 1, 2],
        "device": ["p005"] * 4,
        "user": ["p005"] * 4,
        "time_s": [100.0, 104.0, 108.0, 112.0],
        "label": ["walking", "walking", "sitting", "sitting"],
        "predicted": ["walking", "standing", "sitting", "walking"],
        "voted": ["walking", "walking", "sitting", "walking"],
        "downloaded_correct": [True, False, False, False],
        "answer": ["walking", "walking", None, "standing"],
        "loss": [0.25, None, 1.5, 0.5],
    }


def test_rounds_count_what_the_outcomes_hold(two_rounds):
    table = two_rounds.rounds()
    assert table.schema.equals(ROUNDS)
    before, first, second = table.to_pylist()
    names = {"arm": "own", "fold": 1, "device": "p005", "user": "p005"}
    assert first == {
        **names,
        "round": 1,
        "participant": False,
        "questions": 2,
        "windows": 3,
        "asked": 2,
        "answered": 1,
        "correct": 2,
        "vote_correct": 3,
        "downloaded_correct": 1,
        "label_repeats": 1,
        "steps": 4,
        "gradients": 4,
        "loss": 0.75,
        "bytes_down": 0,
        "bytes_up": 0,
        "memory_windows": 2,
        "holdout_windows": None,
        "holdout_correct": None,
        "holdout_confusion": None,
    }
    assert (second["round"], second["participant"]) == (2, True)
    assert (second["bytes_down"], second["bytes_up"], second["memory_windows"]) == (11, 12, 3)
    assert (second["holdout_windows"], second["holdout_correct"]) == (10, 8)
    assert second["holdout_confusion"] == [1, 2, 0, 0, 3, 0, 0, 0, 4]
    assert second["loss"] is None
    assert (before["round"], before["windows"], before["holdout_windows"]) == (0, 0, 0)


def test_label_repeats_reach_back_into_the_round_before(two_rounds):
    # Labels 0 0 1 | 1: one repeat in the first round, and one across the rounds.
    assert two_rounds.rounds()["label_repeats"].to_pylist() == [0, 1, 1]


def test_first_window_of_a_stream_repeats_nothing():
    worn = wear(0, "p001", [0, 0])
    made = outcome([0], [0], [0], [0])
    assert record(row(1, worn, made)).rounds()["label_repeats"].to_pylist() == [0]


def test_devices_come_by_index_and_each_in_order_of_rounds():
    late, early = wear(10, "p011", [0, 0]), wear(9, "p010", [0, 0])
    records = record(
        row(2, late, outcome([1], [0], [0], [0])),
        row(1, late, outcome([0], [0], [1], [0])),
        row(2, early, outcome([1], [0], [2], [0])),
        row(1, early, Outcome()),  # a round without questions has no windows
    )
    rounds = records.rounds().to_pylist()
    assert [(r["device"], r["round"]) for r in rounds] == [
        ("p010", 1), ("p010", 2), ("p011", 1), ("p011", 2),
    ]  # fmt: skip
    windows = records.windows().to_pylist()
    assert [(w["device"], w["round"], w["predicted"]) for w in windows] == [
        ("p010", 2, "standing"), ("p011", 1, "sitting"), ("p011", 2, "walking"),
    ]  # fmt: skip


def test_no_rows_are_tables_of_the_same_schema():
    for rows in ([], [row(0, wear(0, "p001", [0]), Outcome())]):
        table = record(*rows).windows()
        assert table.num_rows == 0
        assert table.schema.equals(WINDOWS)
    assert record().rounds().num_rows == 0
    assert record().rounds().schema.equals(ROUNDS)


def test_program_without_logits_has_no_losses():
    worn = wear(0, "p001", [0, 0])
    made = outcome([0, 1], [0, 0], [0, 0], [NO_ANSWER] * 2, loss=[NAN, NAN])
    records = record(row(1, worn, made))
    assert records.windows()["loss"].null_count == 2
    assert records.windows()["answer"].null_count == 2
    assert records.rounds()["loss"].null_count == 1
