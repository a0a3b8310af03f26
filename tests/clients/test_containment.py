"""Ids as names of files, and folders that lead out of themselves."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.containment import file_name, is_file_name, need_contained
from clients.errors import BadInput

IDS = st.text(max_size=200) | st.sampled_from(
    [
        "",
        ".",
        "..",
        "/",
        "../../x",
        "a/b",
        "\x00",
        "NUL",
        "x" * 10_000,
        "1600+3",
        "-rf",
        "a\nb",
        "é",
    ]
)


@given(IDS)
def test_any_id_becomes_one_name_inside_of_a_folder(identity):
    name = file_name(identity)
    assert is_file_name(name)
    assert 0 < len(name) <= 80
    assert not set(name) & set('/\\\0:*?"<>|\n ')
    assert name not in (".", "..")
    assert not name.startswith((".", "-"))


@given(IDS, IDS)
def test_ids_that_differ_have_names_that_differ(one, other):
    assert (file_name(one) == file_name(other)) == (one == other)


@pytest.mark.parametrize("identity", ["1600", "1600+3", "s001", "local", "fed.avg-2_b"])
def test_a_plain_id_is_its_own_name(identity):
    assert file_name(identity) == identity


def test_a_folder_of_files_and_links_inside_is_contained(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_text("x")
    (tmp_path / "a" / "b" / "link").symlink_to("../file")
    (tmp_path / "again").symlink_to("a")
    need_contained(tmp_path)
    (tmp_path.parent / f"{tmp_path.name}-link").symlink_to(tmp_path)
    need_contained(tmp_path.parent / f"{tmp_path.name}-link")


@pytest.mark.parametrize("target", ["..", "/etc/passwd", "../../nowhere", "a/../../x"])
def test_a_link_that_leads_out_is_named_with_its_target(tmp_path, target):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to(target if target.startswith("/") else f"../{target}")
    with pytest.raises(BadInput, match=r"a/link: a link to .*, which is not in "):
        need_contained(tmp_path)


def test_pipes_and_too_much_are_refused(tmp_path):
    (tmp_path / "one").write_bytes(b"x" * 100)
    (tmp_path / "two").write_bytes(b"x" * 100)
    need_contained(tmp_path, most_files=2, most_bytes=200)
    for bounds in ({"most_files": 1}, {"most_bytes": 199}):
        with pytest.raises(BadInput, match="holds more than"):
            need_contained(tmp_path, **bounds)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="pipe: neither a file nor a folder"):
        need_contained(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        need_contained(tmp_path / "none")
