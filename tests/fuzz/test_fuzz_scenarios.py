"""Malformed scenario files, keys and traces."""

import tomllib
from pathlib import Path

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from simulator.scenario.file import load_scenario, read_scenario, scenario_toml
from simulator.scenario.trace import read_trace
from tests.fuzz.mutations import VALUES, bytes_like
from tests.fuzz.sandbox import inputs

SCENARIOS = [
    f.read_bytes() for f in sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))
]
TABLES = [tomllib.loads(content.decode()) for content in SCENARIOS]


def _keys(table, before=()):
    for key, value in table.items():
        yield (*before, key)
        if isinstance(value, dict):
            yield from _keys(value, (*before, key))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for i, item in enumerate(value):
                yield from _keys(item, (*before, key, str(i)))


KEYS = sorted({".".join(key) for table in TABLES for key in _keys(table)})


def check(sandbox, name, content, overrides=()):
    file = sandbox.inside / "scenario.toml"
    file.write_bytes(content)
    with sandbox.only_refusals(name):
        load_scenario(file, overrides)
    with sandbox.only_refusals():
        text = scenario_toml(read_scenario(file, overrides))
        (sandbox.inside / "again.toml").write_text(text)
        assert scenario_toml(read_scenario(sandbox.inside / "again.toml")) == text


@inputs(0.10)
@given(content=bytes_like(*SCENARIOS))
def test_scenario_files(sandbox, content):
    check(sandbox, "scenarios", content)


@st.composite
def changed(draw):
    """Draw a scenario in which some values are not what they should be."""
    table = tomllib.loads(draw(st.sampled_from(SCENARIOS)).decode())
    for _ in range(draw(st.integers(1, 3))):
        inner, value = table, draw(VALUES)
        parts = draw(st.sampled_from(KEYS)).split(".")
        for part in parts[:-1]:
            inner = inner[int(part)] if isinstance(inner, list) else inner.setdefault(part, {})
            if not isinstance(inner, dict | list) or (isinstance(inner, list) and len(inner) < 1):
                break
        else:
            if isinstance(inner, dict):
                inner[parts[-1]] = value
    return table


@st.composite
def tables(draw):
    try:
        return tomli_w.dumps(draw(changed())).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, IndexError):
        return b"= nothing"


@inputs(0.12)
@given(content=tables())
def test_scenario_values(sandbox, content):
    check(sandbox, "scenarios", content)


@inputs(0.06)
@given(
    content=st.sampled_from(SCENARIOS),
    keys=st.lists(
        st.builds(
            "{}={}".format,
            st.one_of(st.sampled_from(KEYS), st.text(max_size=20)),
            st.one_of(VALUES.map(repr), VALUES.map(str), st.text(max_size=40)),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_keys_of_the_command_line(sandbox, content, keys):
    check(sandbox, "--set", content, keys)


TRACE = b"device,first_round,last_round\n1600,1,4\n1601,2,2\n1602,7,19\n1600,3,9\n"


@inputs(0.05)
@given(content=bytes_like(TRACE))
def test_traces(sandbox, content):
    (sandbox.inside / "trace.csv").write_bytes(content)
    with sandbox.only_refusals("traces"):
        there = read_trace(sandbox.inside / "trace.csv", ["1600", "1601", "1602"], 9)
        assert there.shape == (3, 9)
