"""The tutorial is executed as it stands, in a kernel of its own."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Give the folder in which the tutorial was executed, and the notebook with its outputs."""
    folder = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TUTORIAL.parents[1]))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        notebook = nbformat.read(TUTORIAL, as_version=4)
        client = NotebookClient(
            notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        return folder, client.execute()


def outputs_of(notebook, beginning):
    """Return the outputs of the cell that begins so, as texts by kind."""
    cell = next(cell for cell in notebook.cells if cell.source.startswith(beginning))
    kinds = [output.get("data", {"text/plain": output.get("text", "")}) for output in cell.outputs]
    return [{kind: str(text) for kind, text in shown.items()} for shown in kinds]


def test_no_outputs_are_kept_in_the_repository():
    cells = [cell for cell in nbformat.read(TUTORIAL, as_version=4).cells if "outputs" in cell]
    assert len(cells) > 5
    assert {(len(cell.outputs), cell.execution_count) for cell in cells} == {(0, None)}


def test_a_notebook_shows_how_a_run_goes_and_what_came_of_it(executed):
    folder, notebook = executed
    progress, table = (shown["text/html"] for shown in outputs_of(notebook, "done = run("))
    stages = re.findall(r'left">([^<]+)<.*?max="(\d+)" value="(\d+)"', progress)
    assert [name for name, *_ in stages[-3:]] == ["frozen", "local", "shared"]
    assert all(most == value for _, most, value in stages)
    assert "<th>holdout</th>" in table
    assert "tutorial-run</code>: done" in table
    assert (folder / "tutorial-run" / "report.html").is_file()


def test_the_tutorial_says_what_it_promises(executed):
    _, notebook = executed
    (refused,) = outputs_of(notebook, "from clients.errors import BadScenario")
    assert "scenario 'tutorial': stream.rounds = 0: expected" in refused["text/plain"]
    assert "arms.local.steps = 'many': expected a whole number" in refused["text/plain"]
    (said,) = outputs_of(notebook, "import numpy as np")
    assert said["text/plain"] in {f"['{name}']" for name in ("walking", "jogging", "sitting")}
    (later,) = outputs_of(notebook, "again = load_run")
    assert later["text/plain"].startswith("done ['fairness', 'summary', 'tests', 'users']")
