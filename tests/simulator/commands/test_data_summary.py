"""What `wearfleet data summary` prints, and what a run says of the same data."""

import pytest

from clients.synthetic import synthesize
from simulator.cli import main
from simulator.plan.plan import build_plan
from simulator.scenario.scenario import Scenario


def write_watch(folder, user, scale):
    """Write somebody who sits and walks as WISDM 2019 has it, the first row at time zero."""
    lines = []
    for recording in synthesize(1, ["sitting", "walking"], rate_hz=20.0, seed=user, minutes=0.5):
        letter = {"sitting": "D", "walking": "A"}[recording.activity]
        for sample in (recording.samples * scale).tolist():
            values = ",".join(f"{value:.4f}" for value in sample)
            pause = 350_000_000 if len(lines) > 10 else 0
            lines.append(f"{user},{letter},{50_000_000 * len(lines) + pause},{values};")
    (folder / f"data_{user}_accel_watch.txt").write_text("\n".join(lines) + "\n")


def test_units_minutes_and_places_of_defects_are_told_whole(tmp_path, capsys):
    for user in (1001, 1002):
        write_watch(tmp_path, user, 1 / 9.80665)
    with pytest.raises(SystemExit) as ended:
        main(["data", "summary", str(tmp_path)])
    assert not ended.value.code
    lines = capsys.readouterr().out.splitlines()
    told = "2 of 2 users look like g, and are taken for m/s² (1001, 1002): multiply x, y and z"
    assert lines[-1].startswith(f"warning: {told}")
    places = "data_1001_accel_watch.txt:1, data_1002_accel_watch.txt:1"
    assert f"zero-time first at {places}" in lines
    assert "fills the gap" in " ".join(" ".join(lines).split())  # of what began with a figure
    sitting = next(line.split() for line in lines if line.startswith("sitting"))
    assert sitting == ["sitting", "2", "1.0", "2"]
    tables = {
        "name": "in-g",
        "seed": 1,
        "data": {
            "source": "wisdm-2019",
            "path": str(tmp_path),
            "activities": ["sitting", "walking"],
            "users": "all",
        },
        "split": {"folds": 1},
        "model": {"base": "random"},
        "arms": [{"name": "local", "method": "local"}],
    }
    assert any(told in note for note in build_plan(Scenario.from_dict(tables)).notes)
