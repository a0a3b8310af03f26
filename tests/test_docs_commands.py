"""Commands that the documentation shows exist, with the options that it gives them."""

import re
import shlex

import pytest
import typer

from simulator.cli import app
from simulator.scenario.reference import keys
from tests.made_docs import ROOT, TEXTS, inline_code, shell_lines

COMMAND = typer.main.get_command(app)
BEFORE = re.compile(r"^(?:\w*\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?")
SIMPLE = {key.name for key in keys() if key.table == "scenario"}
KEYS = {(key.table, key.name) for key in keys()}


def commands_of(page):
    """Return the command lines of a page that start Wearfleet, without what the shell does."""
    found = []
    for line in [*map(str.strip, shell_lines(page)), *inline_code(page)]:
        bare = BEFORE.sub("", line)
        if bare.startswith("wearfleet "):
            found.append(re.split(r"\s(?:[|>#]|<\s|&&)", bare)[0])
    return found


def wrong_with(line):
    """Say what a command line has that the command does not take; empty where there is nothing."""
    optional = "[" in line.partition("--set")[0]  # as in `resume RUN [--json]`
    words = shlex.split(re.sub(r"[\[\]]", "", line) if optional else line)
    command, words = COMMAND, words[1:]
    while hasattr(command, "commands"):
        if not words:
            return "" if command is not COMMAND else "no command"
        name = words.pop(0)
        if name.startswith("-"):
            own = {option for parameter in command.params for option in parameter.opts}
            return "" if name in own | {"--help"} else f"option {name}"
        if name in ("COMMAND", "..."):
            return ""
        if name not in command.commands:
            return f"command {name}"
        command = command.commands[name]
    options = {o: p for p in command.params for o in [*p.opts, *p.secondary_opts] if o[0] == "-"}
    places = [p for p in command.params if p.param_type_name == "argument"]
    given = 0
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            given += 1
        elif word != "--help" and word not in options:
            return f"option {word}"
        elif word in options and not options[word].is_flag:
            value = words.pop(0) if words else ""
            if word == "--set" and not settable(value):
                return f"--set {value}"
    most = sum(p.nargs if p.nargs > 0 else 1000 for p in places)
    return f"{given} arguments" if given > most else ""


def settable(given):
    """Tell whether `--set` may be given this."""
    parts = given.partition("=")[0].split(".")
    if "=" not in given or parts in (["key"], ["arms"]) or parts[0] in SIMPLE:
        return "=" in given
    return (parts[0], parts[-1]) in KEYS


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_commands_and_options_are_there(page):
    assert {line: wrong_with(line) for line in commands_of(page) if wrong_with(line)} == {}


def test_every_page_that_says_how_to_names_the_environment():
    nav = (ROOT / "mkdocs.yml").read_text().split("- How to:\n")[1].split("- Reference:")[0]
    pages = re.findall(r"[\w-]+\.md", nav)
    assert len(pages) > 8
    assert [p for p in pages if ".venv/bin/" not in (ROOT / "docs" / p).read_text()] == []


def test_options_in_the_table_of_commands_are_there():
    rows = [row for row in (ROOT / "docs" / "commands.md").read_text().splitlines() if "| `" in row]
    assert len(rows) >= len(COMMAND.commands)
    for row in rows:
        command, *others = re.findall(r"`([^`]+)`", row)
        options = " ".join(code for code in others if code.startswith("--"))
        assert wrong_with(f"{command} {options}".replace("key=", "seed=")) == ""


def test_enough_commands_are_found_to_mean_something():
    lines = [line for page in TEXTS for line in commands_of(page)]
    assert len(lines) > 80
    assert {line.split()[1] for line in lines} >= COMMAND.commands.keys()


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("wearfleet runs x.toml", "command runs"),
        ("wearfleet run x.toml --seed 3", "option --seed"),
        ("wearfleet run x.toml y.toml", "2 arguments"),
        ("wearfleet run x.toml --set data.paths=y", "--set data.paths=y"),
        ("wearfleet run x.toml --set data.path=y --json", ""),
        ("wearfleet model inspects x", "command inspects"),
    ],
)
def test_what_is_not_there_is_found(line, wrong):
    assert wrong_with(line) == wrong
