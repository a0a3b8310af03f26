"""Files of arrays: any reader of safetensors reads them, and damage is noticed."""

import errno
import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file

from clients.errors import RunFailed
from simulator.folder.arrays_file import (
    Damaged,
    Written,
    check,
    file_written,
    read_arrays,
    write_arrays,
    write_whole,
)

DTYPES = ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64"]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
ARRAYS = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))


@settings(max_examples=60)
@given(st.dictionaries(st.text(max_size=6), ARRAYS, max_size=5))
def test_any_reader_of_the_format_gets_back_what_was_written(tmp_path_factory, arrays):
    arrays.pop("__metadata__", None)  # which the format has for itself
    path = tmp_path_factory.mktemp("arrays") / "a.safetensors"
    written = write_arrays(path, arrays, {"round": 3, "names": ["κ"]})
    read, facts = read_arrays(path)
    for found in (load_file(path), read):
        assert found.keys() == arrays.keys()
        for name, value in arrays.items():
            assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
            assert found[name].tobytes() == value.tobytes()
    assert facts == {"round": 3, "names": ["κ"]}
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


def test_a_file_that_cannot_be_read_now_is_not_damaged(tmp_path):
    written = write_whole(tmp_path / "a", [b"whole"])
    loop = tmp_path / "loop"
    loop.symlink_to(loop)  # which the system refuses to follow, root or not
    with pytest.raises(RunFailed, match=r"cannot be read now .*nothing was removed"):
        check(loop, written)


@pytest.mark.parametrize("name", ["a", "assets/my vocab.txt", "assets/.DS_Store", "a/\udce4"])
def test_a_file_may_have_any_name_below_its_folder(name):
    assert Written(name, 1, 2).name == name


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/../../b", "/a", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(ValueError, match="no name of a file"):
        Written(name, 1, 2)


@pytest.mark.parametrize("content", [b"", b"no arrays", b"\xff" * 64])
def test_what_is_no_file_of_arrays_is_damaged(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(Damaged, match="a: "):
        read_arrays(tmp_path / "a")


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path):
    write_whole(tmp_path / "a", [b"old"])

    def parts():
        yield b"new"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a", parts())
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def claiming(path, size):
    """Make a file of one array that takes room in its name alone."""
    array = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"__metadata__": {"facts": "{}"}, "x": array}).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + size)
    return path


def test_a_file_that_is_larger_than_any_cohort_is_not_opened(tmp_path):
    with pytest.raises(Damaged, match=r"has at most 68,719,476,736"):
        read_arrays(claiming(tmp_path / "a", 2**36))


def test_arrays_that_do_not_fit_into_memory_are_damage(tmp_path):
    path = claiming(tmp_path / "a", 12 * 2**30)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 14 * 2**30, before[1]))
    try:
        with pytest.raises(Damaged, match="do not fit into memory"):
            read_arrays(path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_a_pipe_in_place_of_a_file_is_refused_unread(tmp_path):
    os.mkfifo(tmp_path / "a")
    with pytest.raises(Damaged, match="no ordinary file"):
        read_arrays(tmp_path / "a")
