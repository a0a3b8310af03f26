"""Wearfleet as others get it: a wheel, installed away from the checkout."""

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
TINY = """
name = "tiny"
seed = 1
[data]
users = 4
activities = ["walking", "sitting"]
minutes = 1.0
[split]
folds = 1
[model]
program = "dense"
base = "random"
[stream]
rounds = 1
[[arms]]
name = "shared"
method = "fedavg"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build both packages from a copy, as building leaves traces; gives their folder."""
    out, copy = (tmp_path_factory.mktemp(name) for name in ("dist", "copy"))
    for name in ("clients", "server", "simulator", "scenarios"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Install the wheel alone; gives the folder and the environment in which it is found first."""
    folder = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(folder), str(wheel)], check=True, timeout=120)
    return folder, {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "120"}


def wearfleet(installed, *arguments, cwd):
    folder, environment = installed
    return subprocess.run(
        [folder / "bin" / "wearfleet", *map(str, arguments)],
        capture_output=True, text=True, timeout=200, cwd=cwd, env=environment, check=False,
    )  # fmt: skip


def told(*arguments, **environment):
    """Return what the command of this environment prints."""
    more = {**os.environ, **environment}
    command = [BIN / "wearfleet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=more, check=True).stdout


def modules(names):
    """Keep the paths of Python modules of the three packages, and of scenarios."""
    return {
        name
        for name in names
        if name.startswith(("clients/", "server/", "simulator/"))
        and name.endswith((".py", ".template", ".toml", ".js"))
    }


def test_the_wheel_holds_all_that_is_in_the_checkout(built):
    (wheel,) = built.glob("*.whl")
    found = modules(zipfile.ZipFile(wheel).namelist())
    wanted = modules(
        str(file.relative_to(ROOT))
        for package in ("clients", "server", "simulator")
        for file in (ROOT / package).rglob("*")
    )
    scenarios = (f"simulator/shipped_scenarios/{f.name}" for f in ROOT.glob("scenarios/*.toml"))
    assert found == wanted | set(scenarios)


def test_the_source_package_can_be_built_again(built):
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "simulator/cli.py", "scenarios/smoke.toml"} <= found


def test_scenarios_come_along_and_are_run_by_their_names(installed, tmp_path):
    listed = wearfleet(installed, "scenarios", cwd=tmp_path)
    assert "personalized_vs_shared" in listed.stdout
    shown = wearfleet(installed, "validate", "smoke", cwd=tmp_path)
    assert (shown.returncode, shown.stdout[:14]) == (0, 'name = "smoke"')
    copied = wearfleet(installed, "scenarios", "--out", "mine", cwd=tmp_path)
    assert "mine/smoke.toml" in copied.stdout
    again = wearfleet(installed, "scenarios", "--out", "mine", cwd=tmp_path)
    assert (again.returncode, "give a new folder" in again.stderr) == (2, True)


def test_a_folder_with_packages_of_the_same_names_does_not_matter(installed, tmp_path):
    for name in ("clients", "server", "simulator"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('another {name}')\n")
    (tmp_path / "tiny.toml").write_text(TINY)
    done = wearfleet(
        installed, "run", "tiny.toml", "--workers", 2, "--out", "out", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.html").is_file()
    checked = wearfleet(installed, "doctor", "--quick", cwd=tmp_path)
    assert f"imports        {installed[0]}" in checked.stdout


def test_python_in_a_folder_with_such_packages_is_told_of_them(installed, tmp_path):
    """One of the two has to be named `clients`; which one is imported must not depend on luck."""
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / "__init__.py").write_text("")
    code = "from simulator import Scenario; print(Scenario.load('smoke').name)"
    told, done = (
        subprocess.run(
            [sys.executable, *options, "-c", code],
            cwd=tmp_path, env=installed[1], capture_output=True, text=True,
        )
        for options in ([], ["-P"])
    )  # fmt: skip
    assert f"Python finds {tmp_path / 'clients' / '__init__.py'} first" in told.stderr
    assert done.stdout == "smoke\n", done.stderr


def test_the_version_is_told():
    done = subprocess.run(
        [BIN / "wearfleet", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"wearfleet {version('wearfleet')}\n"


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["re"], {"resume", "report"}),
        (["run", "sm"], {"smoke"}),
        (["run", "s"], {"smoke", "s/", "stress_100k", "stress_100k_faults", "stress_dropouts",
                        "stress_hostile", "stress_network"}),
        (["validate", "s/"], {"s/mine.toml"}),
    ],
)  # fmt: skip
def test_the_shell_completes_commands_and_scenarios(words, completed, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "mine.toml").touch()
    asked = {
        "_WEARFLEET_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["wearfleet", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [BIN / "wearfleet"], capture_output=True, text=True, env={**os.environ, **asked},
        cwd=tmp_path, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) == completed


def test_the_page_of_licences_names_what_is_installed():
    page = (ROOT / "docs" / "licences.md").read_text().splitlines()
    rows = told("licences", "--markdown").splitlines()
    assert [row for row in rows if row not in page] == []


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="hadolint is published for Linux on x86-64 alone",
)
def test_the_dockerfile_is_without_reproach():
    done = subprocess.run(
        [BIN / "hadolint", ROOT / "docker" / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
