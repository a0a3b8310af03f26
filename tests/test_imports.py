"""Imports point one way, and heavy ones are put off until they are needed."""

import ast
import subprocess
import sys
from fnmatch import fnmatchcase
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
        "simulator/compiled.py",
        "simulator/blocks.py",
        "simulator/composed.py",
        "simulator/lite/*",
        "simulator/worker.py",
        "simulator/programs.py",
        "simulator/export/tensorboard.py",
    ],
    "flwr": [
        "clients/app.py",
        "clients/messages.py",
        "server/*",
        "simulator/grid.py",
        "simulator/federation.py",
    ],
    "ray": ["simulator/workers.py"],
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
        "from simulator.options import OWN_KEYS\n"
        "for name, method in METHODS.items():\n"
        "    made = method(MethodOptions(1, 1, ('head/*',), OWN_KEYS.get(name, {})))\n"
        "    flat(made.offer({'head/w': np.zeros(2), 'base/w': np.zeros(3)}))\n"
        "    print(made.plain, made.uploads, made.learns, made.downloads, made.key)\n"
    )
    assert loaded_by(code) == "[]"
    assert loaded_by("import simulator.federation") == "['flwr']"
    assert loaded_by("from clients.methods.late import tf\ntf.constant(0)") == "['tensorflow']"
