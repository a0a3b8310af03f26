"""A sandbox for each file of fuzz tests, and how many inputs all readers were given."""

import os
from pathlib import Path

import pytest

from tests.fuzz.sandbox import GIVEN, Sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    before = Path.cwd()
    yield Sandbox(tmp_path_factory.mktemp("fuzz"))
    os.chdir(before)


def pytest_terminal_summary(terminalreporter):
    if GIVEN:
        told = ", ".join(f"{name} {count:,}" for name, count in sorted(GIVEN.items()))
        terminalreporter.write_line(f"fuzz: {sum(GIVEN.values()):,} malformed inputs: {told}")
