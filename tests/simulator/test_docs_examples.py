"""Code that the documentation shows does what it says."""

import ast
import re
import subprocess
import sys

import pandas as pd
import pytest

from clients.recordings import read_recordings
from clients.synthetic import synthesize
from simulator.folder.record_files import EVENTS, ROUNDS, WINDOWS
from simulator.running.scenario_run import run_scenario
from simulator.scenario.file import load_scenario
from tests.made_docs import ROOT, blocks
from tests.simulator.conftest import Heard


def run_code(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_a_model_of_ones_own_in_under_30_lines_learns_from_donors_and_runs(
    tmp_path, monkeypatch, fleet
):
    page = ROOT / "docs" / "own-model.md"
    code, file = blocks(page, "python")[0], tmp_path / "mine.toml"
    assert len(code.splitlines()) < 30
    file.write_text(blocks(page, "toml")[0])
    run_code(code, tmp_path)
    monkeypatch.chdir(tmp_path)
    frozen, local, shared = load_scenario(file).arms
    assert (frozen.method, local.method, shared.method) == ("frozen", "local", "fedavg")
    scenario = load_scenario(file, ["data.minutes=0.6", "stream.rounds=1"])
    (tmp_path / "run").mkdir()
    summary = run_scenario(scenario, tmp_path / "run", fleet, Heard()).set_index("arm")
    assert (summary["gradients_per_answer"] > 0.0).tolist() == [False, True, True]
    assert summary["prequential_accuracy"]["frozen"] > 0.6  # by chance it is 0.2


def test_a_table_of_samples_becomes_recordings(tmp_path):
    made = synthesize(2, ["walking", "sitting"], rate_hz=20.0, seed=1, minutes=0.5)
    rows = [
        pd.DataFrame(recording.samples, columns=["x", "y", "z"]).assign(
            person=1 + int(recording.user[1:]),
            activity=recording.activity,
            time_s=[100 * i + n / 20 for n in range(len(recording.samples))],
        )
        for i, recording in enumerate(made)
    ]
    table = pd.concat(rows)
    table["activity"] = table["activity"].replace("sitting", "knitting")
    table.to_csv(tmp_path / "mine.csv", index=False)
    said = run_code(blocks(ROOT / "docs" / "own-data.md", "python")[0], tmp_path)
    assert said == "knitting is called folding-clothes in scenarios and reports\n"
    recordings, report = read_recordings(tmp_path / "mine", source="auto", rate_hz=20.0)
    assert report.rows_kept == report.rows_read == sum(len(r.samples) for r in made)
    names = {"walking": "walking", "sitting": "folding-clothes"}
    assert sorted((r.activity, len(r.samples)) for r in recordings) == sorted(
        (names[r.activity], len(r.samples)) for r in made
    )


@pytest.mark.parametrize("schema", [ROUNDS, WINDOWS, EVENTS], ids=["rounds", "windows", "events"])
def test_every_column_of_records_is_explained(schema, request):
    page = (ROOT / "docs" / "run-folder.md").read_text()
    section = page.split(f"\n## `{request.node.callspec.id}/`\n")[1].split("\n## ")[0]
    first = re.findall(r"^\|[^|]*", section, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", "".join(first))) == sorted(schema.names)


def test_the_method_that_is_shown_is_the_one_that_is_there():
    shown = blocks(ROOT / "docs" / "own-method.md", "python")[0]
    there = (ROOT / "clients" / "methods" / "fedprox.py").read_text()
    assert bare_function(shown) == bare_function(there)


def bare_function(code):
    """Return the function of some code as text, without annotations and docstrings."""
    (function,) = (node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef))
    for node in ast.walk(function):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            node.body = node.body[1:] if ast.get_docstring(node) else node.body
        elif isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(function)
