"""Files of arrays: any reader of safetensors reads them, and damage is noticed."""

import errno

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file

from simulator.arrays_file import (
    Damaged,
    check,
    file_written,
    read_arrays,
    read_facts,
    write_arrays,
    write_whole,
)

DTYPES = ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64"]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
ARRAYS = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=6), ARRAYS, max_size=5))
def test_any_reader_of_the_format_gets_back_what_was_written(tmp_path_factory, arrays):
    arrays.pop("__metadata__", None)  # which the format has for itself
    path = tmp_path_factory.mktemp("arrays") / "a.safetensors"
    written = write_arrays(path, arrays, {"round": 3, "names": ["κ"]})
    for found in (load_file(path), read_arrays(path)[0]):
        assert found.keys() == arrays.keys()
        for name, value in arrays.items():
            assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
            assert found[name].tobytes() == value.tobytes()
    assert read_facts(path) == {"round": 3, "names": ["κ"]}
    assert written == file_written(path)
    check(path.parent, written)


def test_an_array_that_lies_across_memory_is_written_in_order(tmp_path):
    across = np.arange(12.0).reshape(3, 4).T
    write_arrays(tmp_path / "a", {"x": across}, {})
    np.testing.assert_array_equal(load_file(tmp_path / "a")["x"], across)


def flip(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (flip, "checksum"),
        (lambda content: content[:-1], "bytes; "),
        (lambda content: content + b"\0", "bytes; "),
        (lambda _: b"", "bytes; "),
        (None, "No such file"),
    ],
)
def test_damage_is_told(tmp_path, change, told):
    written = write_arrays(tmp_path / "a", {"x": np.arange(9)}, {})
    content = (tmp_path / "a").read_bytes()
    (tmp_path / "a").unlink()
    if change is not None:
        (tmp_path / "a").write_bytes(change(content))
    with pytest.raises(Damaged, match=told):
        check(tmp_path, written)


@pytest.mark.parametrize("content", [b"", b"no arrays", b"\xff" * 64])
def test_what_is_no_file_of_arrays_is_damaged(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(Damaged, match="a: "):
        read_arrays(tmp_path / "a")
    with pytest.raises(Damaged, match="a: "):
        read_facts(tmp_path / "a")


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path):
    write_whole(tmp_path / "a", [b"old"])

    def parts():
        yield b"new"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a", parts())
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"
