"""Malformed safetensors files, journals and settings of devices."""

import json
import struct
from dataclasses import asdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from clients.bounded import facts_of, open_arrays, read_arrays, read_json
from clients.device_folder import DeviceFolder
from clients.journal import Asked, Journal
from clients.wear import Habits
from tests.fuzz.mutations import VALUES, bytes_like
from tests.fuzz.sandbox import inputs

FACTS = {"fold": 0, "round": 3, "shares": True, "devices": ["1600", "1601"]}
ARRAYS = save(
    {"program/weights": np.ones((2, 3), np.float32), "method/a/b": np.arange(2)},
    {"facts": json.dumps(FACTS)},
)


def read(path):
    read_arrays(path)
    with open_arrays(path) as file:
        facts = facts_of(path, file, fold=int, round=int, shares=bool, devices=list)
        assert type(facts["round"]) is int


@inputs(0.04)
@given(content=bytes_like(ARRAYS))
def test_safetensors(sandbox, content):
    (sandbox.inside / "state.safetensors").write_bytes(content)
    with sandbox.only_refusals("safetensors"):
        read(sandbox.inside / "state.safetensors")


TENSORS = st.dictionaries(
    st.sampled_from(["a", "../b", "__metadata__", "x" * 300, "\x00", "program/w"]),
    st.one_of(
        VALUES,
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(
                    ["F32", "F64", "BF16", "F8_E4M3", "I64", "BOOL", "X", "U8"]
                ),
                "shape": st.lists(st.sampled_from([0, 1, 2, 4, 2**40, -1]), max_size=4),
                "data_offsets": st.lists(st.sampled_from([0, 4, 8, 24, 2**60]), max_size=3),
            }
        ),
    ),
    max_size=4,
)


@inputs(0.04)
@given(header=TENSORS, length=st.sampled_from([None, 0, 2**63, 10**9]), data=st.binary(max_size=40))
def test_headers_of_safetensors(sandbox, header, length, data):
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text) if length is None else length) + text + data
    (sandbox.inside / "state.safetensors").write_bytes(content)
    with sandbox.only_refusals("safetensors"):
        read(sandbox.inside / "state.safetensors")


_X = np.ones((2, 4, 3), np.float32)
LINES = b"".join(
    Asked(_X, np.array([0, 1], np.int32), 1, answer).line().encode() for answer in (0, 1, 1)
)


@inputs(0.04)
@given(content=bytes_like(LINES))
def test_journals(sandbox, content):
    (sandbox.inside / "journal.jsonl").write_bytes(content)
    with sandbox.only_refusals("journals"):
        for asked in Journal(sandbox.inside / "journal.jsonl").read((2, 4, 3), 2):
            assert asked.x.shape[1:] == (4, 3)


HABITS = Habits(
    seed=3, classes=5, batch=4, questions_per_round=3, answer_rate=1.0, mistake_rate=0.0,
    delay_rounds=0, ask="all", budget=3, steps=2, memory=16,
)  # fmt: skip
SETTINGS = json.dumps(
    {
        "device": 0,
        "habits": asdict(HABITS),
        "activities": [f"a{i}" for i in range(HABITS.classes)],
        "rate_hz": 20.0,
        "length": 10,
        "channels": 3,
        "source": {"data": "/nowhere", "user": None},
    }
)
_KEYS = sorted({*json.loads(SETTINGS), *asdict(HABITS), "more"})


@st.composite
def settings(draw):
    table = json.loads(SETTINGS)
    for key in draw(st.lists(st.sampled_from(_KEYS), min_size=1, max_size=3)):
        place = table if key in table or draw(st.booleans()) else table["habits"]
        if isinstance(place, dict):
            place[key] = draw(VALUES)
    return json.dumps(table).encode()


@inputs(0.04)
@given(content=st.one_of(bytes_like(SETTINGS.encode()), settings()))
def test_settings_of_devices(sandbox, content):
    folder = sandbox.inside / "device"
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_bytes(content)
    with sandbox.only_refusals("settings"):
        device = DeviceFolder(folder)
        device.close()
        assert 1 <= device.settings.habits.batch <= 4096
    with sandbox.only_refusals():
        read_json(folder / "settings.json", "the settings")
