"""Records of a run as the report reduces them, cohort by cohort."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulator.measures.user_series import holdout_of, prequential_of
from simulator.report.records import read_run
from simulator.report.reductions import rounds_of
from tests.simulator.made_runs import (
    fake_run,
    hand_written_run,
    outcome_of,
    records_of,
    row_of,
)


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


def test_device_past_its_stream_keeps_its_value(tmp_path: Path):
    run = hand_written_run(tmp_path / "run", hits_of_z=(False, True))
    streamed = read_run(run).prequential.set_index(["arm", "user", "round"])["accuracy"]
    assert streamed["own", "z", 2] == streamed["own", "z", 1] == pytest.approx(1 / 1.98)


def test_devices_of_one_user_are_averaged_over_cohorts(tmp_path: Path):
    for cohort, hits in enumerate(
        [{"x/1": (True, True, True, True), "y/1": (False,)}, {"x/2": ()}]
    ):
        records = records_of(tmp_path, "a", cohort, [name[0] for name in hits], list(hits))
        records.add(row_of(0, None, len(hits)))
        for number in (1, 2):
            records.add(row_of(number, outcome_of(hits, 2 * number - 2), len(hits)))
            matrix = np.zeros((len(hits), 5, 5), np.int64)
            matrix[:, 0, :2] = 4 - cohort, cohort
            records.score(number, matrix)
        records.write(2)
    hits = {"x/3": (False, False, True, True)}
    records = records_of(tmp_path, "a", 2, ["x"], list(hits))
    for number in (1, 2):
        records.add(row_of(number, outcome_of(hits, 2 * number - 2), 1))
    records.write(2)
    streamed = prequential_of(tmp_path, "a").set_index(["user", "round"])["accuracy"]
    # x/1 is always right, x/2 has had no window, x/3 is right in the second round alone.
    weights = [1, 0.98, 0.98**2, 0.98**3]
    late = sum(weights[:2]) / sum(weights)
    assert streamed.to_dict() == pytest.approx(
        {("x", 1): 0.5, ("x", 2): (1 + late) / 2, ("y", 1): 0.0, ("y", 2): 0.0}
    )
    held = holdout_of(tmp_path, "a").set_index(["user", "round"])["accuracy"]
    assert held.to_dict() == {("x", 1): 7 / 8, ("x", 2): 7 / 8, ("y", 1): 1.0, ("y", 2): 1.0}
    told = rounds_of(tmp_path, "a")
    matrix, last = told.confusion
    assert (matrix[0].tolist(), last) == ([11, 1, 0, 0, 0], 2)
    assert not matrix[1:].any()
    (costs,) = told.costs.to_dict("records")
    assert (costs["devices"], costs["windows"], costs["steps"]) == (4, 9, 24)


def test_arm_that_has_not_run_has_nothing_to_reduce(tmp_path: Path):
    assert holdout_of(tmp_path, "a").empty
    assert prequential_of(tmp_path, "a").empty
    assert rounds_of(tmp_path, "a").confusion is None
    records = records_of(tmp_path, "a", 0, ["x"])
    records.write(-1)
    assert holdout_of(tmp_path, "a").empty
    assert prequential_of(tmp_path, "a").empty
    assert rounds_of(tmp_path, "a").confusion is None
    assert rounds_of(tmp_path, "a").costs["devices"].tolist() == [0]


def test_run_that_holds_nothing_out_has_no_confusions(tmp_path: Path):
    """Its devices are scored all the same, on no window."""
    records = records_of(tmp_path, "a", 0, ["x"])
    records.add(row_of(0, None, 1))
    records.score(0, np.zeros((1, 5, 5), np.int64))
    records.write(0)
    assert rounds_of(tmp_path, "a").confusion is None


def test_events_are_counted_by_kind_and_reason_but_for_those_of_drift(tmp_path: Path):
    """Those that cohorts wrote, and those of the server."""
    run = fake_run(tmp_path / "run")
    told = [("refused", "norm"), ("alarm", "ddm"), ("lost", "late"), ("dropped-out", "before")]
    for cohort, own in enumerate((told, told[:1])):
        path = run / "events" / "frozen" / f"cohort-{cohort:05d}.parquet"
        path.parent.mkdir(exist_ok=True)
        rows = [{"arm": "frozen", "kind": kind, "reason": reason} for kind, reason in own]
        pq.write_table(pa.Table.from_pylist(rows), path)
    found = read_run(run).events
    assert found[["arm", "kind", "reason", "count"]].values.tolist() == [
        ["frozen", "dropped-out", "before", 1],
        ["frozen", "lost", "late", 1],
        ["frozen", "refused", "norm", 4],
    ]


def test_a_report_reads_each_cohort_once(tmp_path: Path, monkeypatch):
    run = fake_run(tmp_path / "run")
    opened, open_file = [], pq.ParquetFile

    def noting(path, **how):
        opened.append(path.relative_to(run).as_posix())
        return open_file(path, **how)

    monkeypatch.setattr(pq, "ParquetFile", noting)
    read_run(run)
    rounds = [path.relative_to(run).as_posix() for path in run.glob("rounds/*/*.parquet")]
    assert len(rounds) == 6
    assert sorted(path for path in opened if path.startswith("rounds/")) == sorted(rounds)
