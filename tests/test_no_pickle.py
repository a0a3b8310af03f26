"""Nothing that Wearfleet reads can hold code: no pickle, and nothing that would unpickle."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    file.relative_to(ROOT).as_posix()
    for package in ("clients", "server", "simulator")
    for file in (ROOT / package).rglob("*.py")
)
MODULES = {
    "pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "torch",
    "yaml",
}
CALLS = {"read_pickle", "to_pickle", "eval", "exec", "extractall", "unpack_archive"}


def uses(file):
    """Return what a file imports or calls that could run what it reads."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            found |= MODULES & {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= MODULES & {(node.module or "").partition(".")[0]}
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            found |= CALLS & {name}
            owner = getattr(getattr(node.func, "value", None), "id", "")
            if (owner, name) in {("np", "load"), ("numpy", "load"), ("np", "fromfile")}:
                found.add(f"{owner}.{name}")
            found |= {"allow_pickle" for word in node.keywords if _allows(word)}
    return found


def _allows(word):
    """Tell whether an argument lets NumPy pickle."""
    forbids = isinstance(word.value, ast.Constant) and word.value.value is False
    return word.arg == "allow_pickle" and not forbids


@pytest.mark.parametrize("file", FILES)
def test_no_file_reads_what_can_hold_code(file):
    assert uses(file) == set()
