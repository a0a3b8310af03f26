"""What a report says of devices out of reach and of hostile ones, from files written by hand."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulator.folder.record_files import ROUNDS
from simulator.report.fates import fates_of
from simulator.report.faults import fault_sentences, faults_overview
from simulator.report.sections import View
from simulator.report.svg import arm_styles
from tests.simulator.made_pages import table_after

SUMMARY = pd.DataFrame(
    {"arm": ["local", "shared"], "updates_sent": [None, 3.0], "updates_accepted": [None, 2.0],
     "updates_refused": [None, 1.0], "updates_lost": [None, 0.0]}
)  # fmt: skip
FAULTS = {"faults": {"availability": 0.5, "hostile": 0.5, "attack": "sign-flip"}}
# Device, round, reachable, hostile, sent, accepted, refused.
ROWS = [
    ("a", 0, True, False, 0, 0, 0), ("a", 1, True, False, 1, 1, 0), ("a", 2, False, False, 0, 0, 0),
    ("b", 0, True, True, 0, 0, 0), ("b", 1, True, True, 1, 1, 0), ("b", 2, True, True, 1, 0, 1),
]  # fmt: skip


def written(run: Path, rows=ROWS, arm="shared") -> Path:
    columns = ["device", "round", "reachable", "hostile", "sent", "accepted", "refused", "lost"]
    schema = pa.schema([ROUNDS.field(name) for name in columns])
    told = [dict(zip(columns, (*row, 0), strict=True)) for row in rows]
    (run / "rounds" / arm).mkdir(parents=True)
    pq.write_table(
        pa.Table.from_pylist(told, schema), run / "rounds" / arm / "cohort-00000.parquet"
    )
    return run


def overview(fates, summary=SUMMARY, seeds=1):
    view = View(summary, pd.DataFrame(), "local", "shared", None, arm_styles(summary["arm"]), [])
    return faults_overview(view, pd.DataFrame(), fates, seeds)


def test_honest_and_hostile_devices_are_told_apart(tmp_path):
    fates = fates_of([written(tmp_path)], FAULTS, SUMMARY)
    groups, head, row = table_after(overview(fates), "<table")
    assert groups == ["", "devices", "updates", "of honest devices", "of hostile devices"]
    assert head == ["arm", "out of reach, % of rounds", "sent", "accepted", "refused", "lost",
                    *["accepted", "refused"] * 2]  # fmt: skip
    assert row == ["shared", "25.0", "3", "2", "1", "0", "1", "0", "1", "1"]
    assert "Updates are of all devices, hostile ones included." in overview(fates)


@pytest.mark.parametrize(
    ("attack", "told"),
    [("sign-flip", "1 of 2 devices means harm (`sign-flip`) and is scored in no figure."),
     ("none", "1 of 2 devices counts as hostile, though it does no harm, and is scored in no "
      "figure.")],
)  # fmt: skip
def test_hostile_devices_are_counted_and_not_the_share_that_was_wanted(tmp_path, attack, told):
    scenario = {"faults": {"hostile": 0.4, "attack": attack}}
    fates = fates_of([written(tmp_path)], scenario, SUMMARY)
    assert fault_sentences(scenario, SUMMARY, fates) == [told]


def test_seeds_count_together_and_updates_are_their_means(tmp_path):
    runs = [written(tmp_path / "seed-1"), written(tmp_path / "seed-2")]
    fates = fates_of(runs, FAULTS, SUMMARY)
    (told,) = fault_sentences(FAULTS, SUMMARY, fates, 2)
    assert told.startswith("2 of 4 devices, of all seeds together, mean harm")
    assert table_after(overview(fates, seeds=2), "<table")[-1][-4:] == ["1", "0", "1", "1"]


def test_server_that_nobody_reached_is_said_to_have_learnt_nothing(tmp_path):
    """Neither refused nor lost: nothing was sent."""
    alone = [("a", 0, True, False, 0, 0, 0), ("a", 1, False, False, 0, 0, 0)]
    scenario = {"faults": {"availability": 1e-6}}
    none = SUMMARY.assign(updates_sent=[None, 0.0], updates_accepted=[None, 0.0],
                          updates_refused=[None, 0.0])  # fmt: skip
    fates = fates_of([written(tmp_path, alone)], scenario, none)
    assert fault_sentences(scenario, none, fates) == [
        "No update was accepted in `shared` (0 sent; devices were out of reach in 100.0% of their "
        "rounds): what it shares stayed as it began."
    ]
    assert table_after(overview(fates, none), "<table")[-1] == ["shared", "100.0", *"0000"]


def test_run_without_faults_reads_nothing_and_says_nothing(tmp_path):
    fine = SUMMARY.assign(updates_refused=[None, 0.0], updates_accepted=[None, 3.0])
    fates = fates_of([tmp_path / "nowhere"], {"faults": {"availability": 1.0}}, fine)
    assert fates.empty
    assert overview(fates, fine) == ""
    assert fault_sentences({}, fine, fates) == []
