"""Actitracker's recordings, from the file to the command line and to the people of a scenario."""

import numpy as np
import pytest
from typer.testing import CliRunner

from simulator.cli import app
from simulator.plan.population import gather_people
from simulator.scenario.scenario import Scenario


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Give a folder with 30 s of lying and walking of 3 users, of whom the second wrote g."""
    lines = []
    for user, unit in ((194, 9.80665), (599, 1.0), (1793, 9.80665)):
        for start_s, activity in ((0, "LyingDown"), (100, "Walking")):
            for i in range(600):
                ms = 1_370_520_000_000 + 1000 * start_s + 50 * i
                lines.append(f"{user},{activity},{ms},0.0,{unit * (1 + 0.1 * (i % 2))},0.0;\n")
        lines.append(f"{user}\n")
    path = tmp_path_factory.mktemp("actitracker")
    (path / "WISDM_at_v2.0_raw.txt").write_text("".join(lines))
    return path


def test_summary_shows_activities_defects_and_units(folder):
    said = CliRunner().invoke(app, ["data", "summary", str(folder)])
    assert said.exit_code == 0, said.output
    assert "lying-down" in said.output
    assert "3,600 of 3,603 rows kept" in said.output
    assert "malformed" in said.output
    assert "Units of 3 users" in said.output
    assert "1 in g, converted (599)" in said.output


def test_scenario_gets_its_people_from_it(folder):
    data = {
        "source": "actitracker-v2.0",
        "path": str(folder),
        "users": "all",
        "activities": ["walking", "lying-down"],
    }
    arms = [{"name": "own", "method": "local"}]
    people = gather_people(
        Scenario.model_validate({"name": "x", "seed": 5, "arms": arms, "data": data})
    )
    assert sorted(people.recordings, key=int) == ["194", "599", "1793"]
    assert (people.length, people.hop, people.channels) == (80, 80, 3)
    assert dict(people.defects) == {"malformed": 3}
    for own in people.recordings.values():
        assert [r.activity for r in own] == ["lying-down", "walking"]
        for recording in own:
            assert np.linalg.norm(recording.samples, axis=1).mean() == pytest.approx(10.3, abs=0.05)
