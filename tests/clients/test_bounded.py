"""Files from strangers, read within bounds."""

import json
import os
import struct

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from clients.bounded import facts_of, open_arrays, read_arrays, read_bounded, read_json
from clients.errors import BadInput

KINDS = {"round": int, "devices": list}


def test_a_file_within_its_bound_is_read_and_no_other(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bounded(tmp_path / "file", 5, "five bytes") == b"12345"
    with pytest.raises(BadInput, match="5 bytes or more; four bytes has at most 4"):
        read_bounded(tmp_path / "file", 4, "four bytes")
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "none", 4, "a file")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="no ordinary file; give a file"):
        read_bounded(tmp_path / "pipe", 4, "a file")
    with pytest.raises(BadInput, match="is a folder; give a file"):
        read_bounded(tmp_path, 10**6, "a file")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5000, "\ud800", "nothing"])
def test_what_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "file.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(BadInput, match="not the notes: no JSON"):
        read_json(tmp_path / "file.json", "the notes")


def test_arrays_and_facts_come_back(tmp_path):
    facts = {"round": 3, "devices": ["a", "b"]}
    save_file({"x/y": np.arange(3)}, tmp_path / "f", {"facts": json.dumps(facts)})
    assert read_arrays(tmp_path / "f")["x/y"].tolist() == [0, 1, 2]
    with open_arrays(tmp_path / "f") as file:
        assert facts_of(tmp_path / "f", file, **KINDS) == facts
        assert file.get_slice("x/y")[1:2].tolist() == [1]


@pytest.mark.parametrize(
    "metadata",
    [None, {}, {"facts": "{"}, {"facts": "[]"}, {"facts": '{"round": 3}'},
     {"facts": '{"round": "3", "devices": []}'}, {"facts": '{"round": true, "devices": []}'},
     {"facts": "[" * 100_000}],
)  # fmt: skip
def test_facts_that_are_missing_or_of_another_type_are_refused(tmp_path, metadata):
    save_file({"x": np.arange(3)}, tmp_path / "f", metadata)
    with (
        open_arrays(tmp_path / "f") as file,
        pytest.raises(BadInput, match=r"expected|without the facts .* round \(int\), devices"),
    ):
        facts_of(tmp_path / "f", file, **KINDS)


GOOD = save({"x": np.arange(4, dtype=np.float32)})
HEADERS = {
    "shape": b'{"x":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,16]}}',
    "offsets": b'{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,1600]}}',
    "type": b'{"x":{"dtype":"PICKLE","shape":[4],"data_offsets":[0,16]}}',
    "deep": b'{"x":' + b"[" * 100_000,
}


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", GOOD[:-1], GOOD[:20], struct.pack("<Q", 2**63) + GOOD[8:],
     *(struct.pack("<Q", len(h)) + h + b"\x00" * 16 for h in HEADERS.values())],
)  # fmt: skip
def test_a_damaged_file_of_arrays_is_refused(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(BadInput, match="damaged, or no safetensors file"):
        read_arrays(tmp_path / "f")


def test_numbers_that_numpy_lacks_and_files_that_are_too_large_are_refused(tmp_path):
    header = b'{"x":{"dtype":"F8_E8M0","shape":[4],"data_offsets":[0,4]}}'
    (tmp_path / "f").write_bytes(struct.pack("<Q", len(header)) + header + b"\x00" * 4)
    with pytest.raises(BadInput):
        read_arrays(tmp_path / "f")
    (tmp_path / "g").write_bytes(GOOD)
    with pytest.raises(BadInput, match="bytes or more"):
        read_arrays(tmp_path / "g", most_bytes=10)
    with pytest.raises(BadInput, match="there is no such file"):
        read_arrays(tmp_path / "none")
