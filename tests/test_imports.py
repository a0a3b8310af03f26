"""Imports point one way, and heavy ones are put off until they are needed."""

import ast
import subprocess
import sys
from collections import defaultdict
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    file.relative_to(ROOT).as_posix()
    for package in ("clients", "server", "simulator")
    for file in (ROOT / package).rglob("*.py")
)
ALLOWED = {
    "tensorflow": [
        "clients/contract.py",
        "clients/inspection.py",
        "clients/ops_of_graph.py",
        "clients/program.py",
        "clients/checkpoints.py",
        "clients/export.py",
        "clients/optimizers.py",
        "clients/losses.py",
        "clients/tracking.py",
        "clients/models/*",
        "clients/training.py",
        "simulator/engine/compiled.py",
        "simulator/engine/blocks.py",
        "simulator/engine/composed.py",
        "simulator/lite/*",
        "simulator/cohort/worker.py",
        "simulator/base/programs.py",
        "simulator/export/event_file.py",
    ],
    "flwr": [
        "clients/app.py",
        "clients/messages.py",
        "server/*",
        "simulator/running/grid.py",
        "simulator/running/federation.py",
        "simulator/running/added_strategy.py",
        "simulator/running/server_half.py",
    ],
    "ray": ["simulator/running/host.py", "simulator/running/on_ray.py"],
}
FORBIDDEN = {"clients": {"server", "simulator"}, "server": {"clients", "simulator"}}


def imported(file):
    """Return the top-level packages that a file imports, at any level of it."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            found.add((node.module or "").partition(".")[0])
    return found


def test_there_is_something_to_look_at():
    assert len(FILES) > 40
    assert {"numpy", "clients"} <= imported("clients/device.py")


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_clients_and_server_import_neither_each_other_nor_the_simulator(package):
    own = [file for file in FILES if file.startswith(f"{package}/")]
    assert {file: imported(file) & FORBIDDEN[package] for file in own} == {f: set() for f in own}


@pytest.mark.parametrize("library", sorted(ALLOWED))
def test_only_the_files_meant_for_it_import_a_heavy_library(library):
    users = [file for file in FILES if library in imported(file)]
    strangers = [f for f in users if not any(fnmatchcase(f, p) for p in ALLOWED[library])]
    assert strangers == []
    assert users != []


def test_the_packages_of_the_simulator_import_each_other_one_way():
    """An import for types alone does not count; a late one does."""
    uses = defaultdict(set)
    for file in FILES:
        home, _, rest = file.removeprefix("simulator/").partition("/")
        if file.startswith("simulator/") and rest:
            uses[home] |= {other for other in needed(file) if other != home}
    assert len(uses) > 10
    assert "scenario" in uses["plan"]
    try:
        TopologicalSorter(uses).prepare()
    except CycleError as error:
        pytest.fail(f"these import each other: {' -> '.join(error.args[1])}")


def needed(file):
    """Return the packages of the simulator that a file needs to run."""
    tree = ast.parse((ROOT / file).read_text())
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names = {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node not in for_types
    }
    homes = {name.split(".")[1] for name in names if name.startswith("simulator.")}
    return {home for home in homes if (ROOT / "simulator" / home).is_dir()}


@pytest.mark.parametrize(
    "code",
    [
        "import simulator",
        "import simulator.cli",
        "import sys; sys.argv = ['wearfleet', '--help']\nfrom simulator.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code",
    ],
    ids=["import simulator", "import simulator.cli", "wearfleet --help"],
)
def test_no_heavy_library_is_loaded_before_it_is_needed(code):
    assert loaded_by(code) == "[]"


def loaded_by(code):
    """Return the heavy libraries that some code loads."""
    told = "\nimport sys\nprint(sorted({'tensorflow', 'ray', 'flwr'} & {*sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + told], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def test_what_methods_mean_for_a_server_is_known_without_tensorflow():
    """The process that only tells workers what to compute does not load it."""
    code = (
        "import numpy as np\n"
        "from clients.methods import METHODS, MethodOptions\n"
        "from clients.methods.groups import flat\n"
        "from simulator.scenario.options import OWN_KEYS\n"
        "for name, method in METHODS.items():\n"
        "    made = method(MethodOptions(1, 1, ('head/*',), OWN_KEYS.get(name, {})))\n"
        "    flat(made.offer({'head/w': np.zeros(2), 'base/w': np.zeros(3)}))\n"
        "    print(made.plain, made.uploads, made.learns, made.downloads, made.key)\n"
    )
    assert loaded_by(code) == "[]"
    assert loaded_by("import simulator.running.federation") == "['flwr']"
    assert loaded_by("from clients.methods.late import tf\ntf.constant(0)") == "['tensorflow']"
