"""Every module says what it is for and what it offers."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    file.relative_to(ROOT).as_posix()
    for package in ("clients", "server", "simulator")
    for file in (ROOT / package).rglob("*.py")
)


def tree_of(file):
    return ast.parse((ROOT / file).read_text())


def holds_only_its_docstring(file):
    """Tell whether a file is the `__init__.py` of a package that offers nothing itself."""
    return file.endswith("/__init__.py") and len(tree_of(file).body) == 1


def module_of(file):
    name = file.removesuffix("/__init__.py").removesuffix(".py")
    return importlib.import_module(name.replace("/", "."))


@pytest.mark.parametrize("file", FILES)
def test_a_module_opens_with_what_it_is_for(file):
    docstring = ast.get_docstring(tree_of(file))
    assert docstring
    assert docstring.splitlines()[0].strip()[-1] in ".:"


@pytest.mark.parametrize("file", [file for file in FILES if not holds_only_its_docstring(file)])
def test_a_module_offers_public_names_that_exist(file):
    module = module_of(file)
    names = module.__all__
    assert names
    assert [name for name in names if not hasattr(module, name)] == []
    assert [name for name in names if name.startswith("_")] == []
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("file", ["clients/app.py", "server/app.py", "simulator/cli.py"])
def test_apps_offer_an_app(file):
    assert "app" in module_of(file).__all__
