"""Every key of a scenario file has its sentence; page, JSON Schema and files agree with them."""

import json
import re
import tomllib

import jsonschema
import pytest

from simulator.cli import main
from simulator.scenario.arm import Arm
from simulator.scenario.defaults import with_defaults
from simulator.scenario.detector_table import DetectorTable
from simulator.scenario.drift_table import DriftTable
from simulator.scenario.fault_table import Faults
from simulator.scenario.file import read_scenario
from simulator.scenario.owners import arm_defaults, arm_owners, drift_defaults
from simulator.scenario.reference import PAGE, SCHEMA, filled, keys
from simulator.scenario.scenario import Scenario
from tests.made_docs import PAGES, ROOT, blocks

FILES = sorted((ROOT / "scenarios").glob("*.toml"))
SCHEMA_TEXT = (ROOT / SCHEMA).read_text()
CHECKER = jsonschema.Draft7Validator(json.loads(SCHEMA_TEXT))


def errors(text):
    return [error.message for error in CHECKER.iter_errors(tomllib.loads(text))]


def test_every_key_has_a_sentence():
    said = {(key.table, key.name): key.sentence for key in keys()}
    assert [key for key, text in said.items() if not text.endswith(".") or len(text) < 9] == []
    for table, model in (
        ("arms", Arm), ("drift", DriftTable), ("detectors", DetectorTable), ("faults", Faults),
    ):  # fmt: skip
        wanted = {field.alias or name for name, field in model.model_fields.items()}
        assert wanted == {name for place, name in said if place == table}
    sections = {name for name, f in Scenario.model_fields.items() if f.description}
    assert sections == Scenario.model_fields.keys()


def test_a_key_tells_what_it_takes_and_what_it_is_unless_said():
    of = {(key.table, key.name): key for key in keys()}
    assert of["data", "rate_hz"].takes == "number 0.1 to 1,000"
    assert of["data", "rate_hz"].default == "20"
    assert of["guard", "max_norm"].takes == 'number above 0 or "off"'
    assert of["scenario", "seed"].default == "needed"
    assert of["arms", "lambda"].owners == "`ditto`, `pfedme`"
    assert of["arms", "lambda"].default == "1 (ditto), 15 (pfedme)"
    assert of["drift", "share"].default == "0.3 (dropout), 0.8 (label-shift)"
    assert arm_owners("participation") == "those with a server"


def test_a_sentence_is_understood_where_it_stands_alone():
    """As editors show it: it points to nothing before it, and says of what it is."""
    said = {(key.table, key.name): key.sentence for key in keys()}
    pointing = re.compile(r"^(It|Its|They|Their|By|As what|In place|Needed|With|So many)\b")
    assert [key for key, text in said.items() if pointing.search(text)] == []
    short = [key for key, text in said.items() if len(text.split()) < 5]
    assert short == []


def test_every_default_is_told():
    assert [(key.table, key.name) for key in keys() if not key.default] == []
    of = {(key.table, key.name): key for key in keys()}
    assert of["faults", "corruptions"].default.startswith('["nan", "inf", "shape"')
    assert (of["arms", "steps"].default, of["labels", "budget"].default) == (
        "`learning.steps`", "none",
    )  # fmt: skip
    arm = json.loads(SCHEMA_TEXT)["$defs"]["Arm"]["properties"]
    assert arm["steps"]["description"].endswith("Default: `learning.steps`.")
    assert "Default: the first arm." in SCHEMA_TEXT


@pytest.mark.parametrize("key", ["mu", "participation", "choice", "head_steps", "server_momentum"])
def test_defaults_are_those_that_a_scenario_gets(key):
    for method, default in arm_defaults(key).items():
        arm = {"name": "a", "method": method}
        assert with_defaults({"arms": [arm]})["arms"][0][key] == default


def test_page_and_json_schema_are_as_written_from_the_schema(capsys):
    page = (ROOT / PAGE).read_text()
    assert filled(page) == page, "write it anew: make reference"
    tables = re.findall("<!-- keys of (.*) -->", page)
    assert sorted(tables) == sorted({key.table for key in keys()})
    with pytest.raises(SystemExit) as ended:
        main(["schema"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == SCHEMA_TEXT, "write it anew: make reference"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_scenarios_keep_the_json_schema_that_they_name(file):
    text = file.read_text()
    header = text[: text.index("\nname = ")].splitlines()
    assert [line for line in header if line.startswith("#:schema ")] == ["#:schema schema.json"]
    assert errors(text) == []


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ("[data]\nusers = 1", "1 is not valid"),
        ("[data]\nusrs = 3", "'usrs' was unexpected"),
        ("[stream]\nrounds = 0", "0 is not valid"),
        ("[faults]\nlost = 1.5", "1.5 is greater than the maximum"),
        ('[[drift]]\nkind = "rain"', "'rain' is not one of"),
    ],
)
def test_the_json_schema_refuses_what_a_scenario_refuses(wrong, part):
    right = 'name = "a"\nseed = 1\nbaseline = "a"\n[[arms]]\nname = "a"\nmethod = "local"\n'
    assert errors(right) == []
    assert part in " ".join(errors(right + wrong))


def test_ids_that_are_numbers_are_allowed():
    arm = '[[arms]]\nname = "a"\nmethod = "local"'
    assert errors(f'name = "a"\nseed = 1\ndata.users = [1600, "b"]\n{arm}') == []


@pytest.mark.parametrize(
    ("page", "of"), [("methods.md", arm_defaults), ("drift.md", drift_defaults)]
)
def test_defaults_in_tables_that_are_written_by_hand_are_right(page, of):
    seen = 0
    for row in (ROOT / "docs" / page).read_text().splitlines():
        cells = row.split("|")
        owners = re.findall(r"`([\w-]+)`", cells[1]) if row.startswith("| `") else []
        for key, text in re.findall(r"`(\w+)` \(([\d.e-]+)[,):;]", row) if len(cells) > 4 else []:
            wanted = {owner: of(key)[owner] for owner in owners if owner in of(key)}
            assert wanted == dict.fromkeys(wanted, float(text)), row
            seen += len(wanted)
    assert seen >= 9


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_whole_scenarios_in_the_documentation_are_read(page, tmp_path):
    for code in blocks(page, "toml"):
        if code.startswith("name = "):
            (tmp_path / "one.toml").write_text(code)
            assert read_scenario(tmp_path / "one.toml").arms
