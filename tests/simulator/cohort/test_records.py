"""Files of windows and rounds, from outcomes made by hand."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from simulator.cohort.adversity import Befallen
from simulator.cohort.journey import REASONS
from simulator.cohort.records import ROUNDS, WINDOWS, Records
from simulator.folder.event import Event
from tests.simulator.made_rounds import (
    ACTIVITIES,
    NAN,
    TIME_S,
    outcome,
    records_of,
    row,
    written,
)


@pytest.fixture
def two_rounds(tmp_path):
    """Give the folder of a device's two rounds: questions of two, one and one windows."""
    records = records_of(tmp_path)
    records.add(row(0, None))
    records.score(0, np.zeros((1, 3, 3), np.int64))
    first = outcome(
        [
            ([4, 5], 0, [0, 2], {"voted": 0, "answer": 0, "asked": True,
                                 "opened_correct": [True, False], "loss": [0.25, NAN]}),
            ([9], 1, [1], {"asked": True, "loss": [1.5]}),
        ],
        questions=2, examples=2, steps=4, gradients=8, learning_loss=0.75, memory_windows=2,
    )  # fmt: skip
    records.add(row(1, first))
    second = outcome([([2], 1, [0], {"answer": 2, "asked": True})], questions=2, memory_windows=3)
    records.add(row(2, second, participant=True, down=11, up=12))
    records.score(2, np.array([[[1, 2, 0], [0, 3, 0], [0, 0, 4]]]))
    records.write(2)
    return tmp_path


def test_windows_are_one_row_each_in_the_order_of_the_stream(two_rounds):
    table = written(two_rounds, "windows")
    assert table.schema.equals(WINDOWS)
    assert table.to_pydict() == {
        "arm": ["own"] * 4,
        "fold": [1] * 4,
        "round": [1, 1, 1, 2],
        "question": [0, 0, 1, 2],
        "device": ["p005"] * 4,
        "user": ["p005"] * 4,
        "time_s": [116.0, 120.0, 136.0, 108.0],
        "label": ["walking", "walking", "sitting", "sitting"],
        "predicted": ["walking", "standing", "sitting", "walking"],
        "voted": ["walking", "walking", "sitting", "walking"],
        "downloaded_correct": [True, False, False, False],
        "answer": ["walking", "walking", None, "standing"],
        "loss": [0.25, None, 1.5, 0.5],
        "drifted": [False] * 4,
    }


def test_rounds_count_what_the_outcomes_hold(two_rounds):
    table = written(two_rounds, "rounds")
    assert table.schema.names == ROUNDS.names
    assert table.schema.types == ROUNDS.types
    before, first, second = table.to_pylist()
    names = {"arm": "own", "fold": 1, "device": "p005", "user": "p005"}
    # right, wrong, right: S = 1 + 0.98², B = 1 + 0.98 + 0.98²
    assert first.pop("faded_accuracy") == pytest.approx(1.9604 / 2.9404)
    assert first.pop("sliding_accuracy") == pytest.approx(2 / 3)
    assert first == {
        **names,
        "round": 1,
        "participant": False,
        "questions": 2,
        "windows": 3,
        "asked": 2,
        "answered": 1,
        "answered_windows": 2,
        "correct": 2,
        "vote_correct": 3,
        "downloaded_correct": 1,
        "label_repeats": 1,
        "steps": 4,
        "gradients": 8,
        "loss": 0.75,
        "bytes_down": 0,
        "bytes_up": 0,
        "reachable": True,
        "hostile": False,
        "sent": 0,
        "accepted": 0,
        "refused": 0,
        "lost": 0,
        "took_s": None,
        "battery": None,
        "memory_windows": 2,
        "drifted": 0,
        "drift_in_force": False,
        "label_windows": [2, 1, 0],
        "predicted_windows": [1, 1, 1],
        "holdout_windows": None,
        "holdout_correct": None,
        "holdout_confusion": None,
        "holdout_before_confusion": None,
        "stamped_windows": None,
        "stamped_taken": None,
    }
    assert (second["round"], second["participant"]) == (2, True)
    assert (second["bytes_down"], second["bytes_up"], second["memory_windows"]) == (11, 12, 3)
    assert (second["holdout_windows"], second["holdout_correct"]) == (10, 8)
    assert second["holdout_confusion"] == [1, 2, 0, 0, 3, 0, 0, 0, 4]
    assert second["loss"] is None
    assert (before["round"], before["windows"], before["holdout_windows"]) == (0, 0, 0)
    assert before["faded_accuracy"] is None


def test_drifted_windows_are_told_and_counted(tmp_path):
    records = records_of(tmp_path, ("a", "b"))
    made = outcome([([0, 1], 0, [0, 1])], [([2, 3], 1, [1, 1])])
    drifted = np.array([[[False, False]], [[True, True]]])
    records.add(replace(row(1, made, 2), drifted=drifted))
    now, before = np.zeros((2, 3, 3), np.int64), np.zeros((2, 3, 3), np.int64)
    now[0, 0, 0] = before[0, 0, 0] = 5  # of a device without drift both are one
    now[1, 1, 2], before[1, 1, 1] = 4, 4
    records.score(1, now, before)
    records.write(1)
    rows = written(tmp_path, "rounds").to_pylist()
    assert [one["drifted"] for one in rows] == [0, 2]
    assert [one["holdout_correct"] for one in rows] == [5, 0]
    expected = [0, 0, 0, 0, 4, 0, 0, 0, 0]
    assert [one["holdout_before_confusion"] for one in rows] == [None, expected]
    assert written(tmp_path, "windows")["drifted"].to_pylist() == [False, False, True, True]


def test_events_are_one_row_each_where_there_can_be_any(tmp_path):
    assert not (tmp_path / "events").exists()
    names = (["a", "b"], ["u", "u"])
    time_s, kept = 4.0 * np.arange(9), np.zeros(2, np.bool_)
    records = Records(
        tmp_path, "own", 3, 1, ACTIVITIES, *names, time_s, kept, reasons=["gain", "ddm"]
    )
    told = [Event(0, "drift-begins", "gain", 7, 7), Event(1, "alarm", "ddm", 9, 9)]
    records.add(replace(row(1, outcome([], []), 2), events=told))
    records.add(replace(row(2, outcome([], []), 2), events=[Event(1, "alarm", "ddm", 12, 12)]))
    records.write(1)  # the second round is dropped, and its alarm with it
    assert written(tmp_path, "events").to_pylist() == [
        {"arm": "own", "fold": 1, "round": 1, "device": d, "user": "u", "kind": kind,
         "reason": reason, "windows": answered, "answered": answered, "norm": None}
        for d, kind, reason, answered in (
            ("a", "drift-begins", "gain", 7), ("b", "alarm", "ddm", 9),
        )
    ]  # fmt: skip


def test_what_befell_devices_is_told_beside_what_they_did(tmp_path):
    records = records_of(tmp_path, ("a", "b"))
    befallen = Befallen(
        reachable=np.array([True, False]),
        hostile=np.array([False, True]),
        sent=np.array([2, 1]),
        updates=np.array([[1, 2, 0], [0, 0, 4]]),  # accepted, refused, lost
        took_s=np.array([31.5, NAN]),
        battery=np.array([0.25, 0.75]),
    )
    records.add(replace(row(1, outcome([], []), 2), befallen=befallen))
    records.add(row(2, outcome([], []), 2))
    records.write(2)
    columns = ["reachable", "hostile", "sent", "accepted", "refused", "lost", "took_s", "battery"]
    rows = [tuple(one[c] for c in columns) for one in written(tmp_path, "rounds").to_pylist()]
    calm = (True, False, 0, 0, 0, 0, None, None)
    assert rows == [
        (True, False, 2, 1, 2, 0, 31.5, 0.25), (False, True, 1, 0, 0, 4, None, 0.75), calm, calm,
    ]  # fmt: skip


def test_updates_that_came_to_nothing_are_events_with_their_norms(tmp_path):
    names = (["a", "b"], ["u", "u"])
    reasons, kept = [*REASONS, "before"], np.zeros(2, np.bool_)
    records = Records(tmp_path, "own", 3, 1, ACTIVITIES, *names, TIME_S, kept, reasons=reasons)
    told = [
        Event(1, "dropped-out", "before"),
        Event(0, "refused", "norm", norm=12.5),
        Event(1, "lost", "network"),
    ]
    records.add(replace(row(1, outcome([], []), 2), events=told))
    records.write(1)
    found = written(tmp_path, "events").to_pylist()
    columns = ["device", "kind", "reason", "windows", "answered", "norm"]
    assert [tuple(one[c] for c in columns) for one in found] == [
        ("b", "dropped-out", "before", None, None, None),
        ("a", "refused", "norm", None, None, 12.5),
        ("b", "lost", "network", None, None, None),
    ]


def test_windows_with_a_trigger_are_counted_where_there_are_any(tmp_path):
    records = records_of(tmp_path, ("a", "b"))
    for number, stamped in ((1, None), (2, np.array([[9, 4], [5, 0]]))):
        records.add(row(number, outcome([], []), 2))
        records.score(number, np.zeros((2, 3, 3), np.int64), stamped=stamped)
    records.write(2)
    rounds = written(tmp_path, "rounds")
    assert rounds["stamped_windows"].to_pylist() == [None, None, 9, 5]
    assert rounds["stamped_taken"].to_pylist() == [None, None, 4, 0]


def test_label_repeats_reach_back_into_the_round_before(two_rounds):
    # Labels 0 0 1 | 1: one repeat in the first round, and one across the rounds.
    assert written(two_rounds, "rounds")["label_repeats"].to_pylist() == [0, 1, 1]


def test_label_repeats_reach_back_over_rounds_without_questions(tmp_path):
    records = records_of(tmp_path, ("a", "b"))
    question = ([0, 1], 1, [1, 1])
    records.add(row(1, outcome([question], []), 2))
    records.add(row(2, outcome([], []), 2))
    records.add(row(3, outcome([question], [question]), 2))
    records.write(3)
    assert written(tmp_path, "rounds")["label_repeats"].to_pylist() == [1, 0, 0, 0, 2, 1]


def test_rows_come_by_round_and_then_by_device(tmp_path):
    records = records_of(tmp_path, ("p010", "p002"))
    records.add(row(1, outcome([], [([0, 1], 0, [1, 0])]), 2))
    records.add(row(2, outcome([([7], 0, [2])], [([3], 0, [0])]), 2))
    records.write(2)
    rounds = written(tmp_path, "rounds").to_pylist()
    assert [(r["round"], r["device"]) for r in rounds] == [
        (1, "p010"), (1, "p002"), (2, "p010"), (2, "p002"),
    ]  # fmt: skip
    windows = written(tmp_path, "windows").to_pylist()
    assert [(w["device"], w["round"], w["predicted"]) for w in windows] == [
        ("p002", 1, "sitting"), ("p002", 1, "walking"), ("p010", 2, "standing"),
        ("p002", 2, "walking"),
    ]  # fmt: skip


def test_device_past_its_stream_keeps_its_faded_accuracy(tmp_path):
    records = records_of(tmp_path, ("a", "b"))
    records.add(row(0, None, 2))
    records.add(row(1, outcome([([0, 1], 0, [0, 1])], []), 2))
    records.add(row(2, outcome([], [([0], 0, [0])]), 2))
    records.write(2)
    expected = [None, None, 0.98 / 1.98, None, 0.98 / 1.98, 1.0]
    assert written(tmp_path, "rounds")["faded_accuracy"].to_pylist() == expected


def test_program_without_logits_has_no_losses(tmp_path):
    records = records_of(tmp_path)
    records.add(row(1, outcome([([0, 1], 0, [0, 0], {"loss": [NAN, NAN]})])))
    records.write(1)
    assert written(tmp_path, "windows")["loss"].null_count == 2
    assert written(tmp_path, "windows")["answer"].null_count == 2
    assert written(tmp_path, "rounds")["loss"].null_count == 1


def test_windows_are_written_of_chosen_devices_and_rounds_count_those_of_all(tmp_path):
    records = records_of(tmp_path, ("a", "b", "c"), windows_of=[True, False, True])
    asks = {"asked": True, "answer": 1}
    made = outcome(*[[([d], 1, [1], asks)] for d in range(3)])
    records.add(row(1, made, 3))
    records.write(1)
    windows = written(tmp_path, "windows")
    assert windows["device"].to_pylist() == ["a", "c"]
    assert windows["time_s"].to_pylist() == [100.0, 108.0]
    rounds = written(tmp_path, "rounds")
    for column in ("windows", "correct", "vote_correct", "answered", "faded_accuracy"):
        assert rounds[column].to_pylist() == [1, 1, 1]


def test_cohort_whose_windows_nobody_wants_has_no_file_of_windows(tmp_path):
    records = records_of(tmp_path, windows_of=[False])
    records.add(row(1, outcome([([0], 0, [0])])))
    records.write(1)
    assert [path.name for path in tmp_path.iterdir()] == ["rounds"]


def test_pending_round_beyond_the_last_is_dropped_with_its_holdout(tmp_path):
    records = records_of(tmp_path)
    for round_ in (1, 2):
        records.add(row(round_, outcome([([round_], 0, [0])])))
        records.score(round_, np.full((1, 3, 3), round_))
    records.write(1)
    assert written(tmp_path, "rounds")["round"].to_pylist() == [1]
    assert written(tmp_path, "rounds")["holdout_windows"].to_pylist() == [9]
    assert written(tmp_path, "windows")["round"].to_pylist() == [1]


def test_holdout_of_one_round_is_not_taken_for_that_of_the_next(tmp_path):
    records = records_of(tmp_path)
    records.add(row(0, None))
    records.score(0, np.ones((1, 3, 3), np.int64))
    records.add(row(1, outcome([([1], 0, [0])])))
    records.write(1)
    assert written(tmp_path, "rounds")["holdout_windows"].to_pylist() == [9, None]


def test_only_the_pending_round_can_be_scored(tmp_path):
    records = records_of(tmp_path)
    with pytest.raises(ValueError, match="round 0 was scored while round None was pending"):
        records.score(0, np.zeros((1, 3, 3), np.int64))
    records.add(row(2, outcome([])))
    with pytest.raises(ValueError, match="round 1 was scored while round 2 was pending"):
        records.score(1, np.zeros((1, 3, 3), np.int64))


def test_run_that_stops_before_anything_leaves_files_without_rows(tmp_path):
    records = records_of(tmp_path)
    records.add(row(0, None))
    records.write(-1)
    assert written(tmp_path, "rounds").num_rows == 0
    assert written(tmp_path, "windows").num_rows == 0
    assert written(tmp_path, "windows").schema.equals(WINDOWS)


def test_names_are_dictionaries_and_losses_single_precision():
    assert pa.types.is_dictionary(WINDOWS.field("device").type)
    assert WINDOWS.field("loss").type == ROUNDS.field("loss").type == pa.float32()
