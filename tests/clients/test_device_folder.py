"""A device's folder is whole or not there, and says what is wrong with it."""

import json

import pytest

from clients.device_folder import DeviceFolder, create, need_new
from clients.errors import BadInput
from tests.clients.made_wearables import begun, contents, newcomer_of


@pytest.fixture(scope="module")
def newcomer(build):
    return newcomer_of(build("dense").path)


@pytest.fixture
def folder(newcomer, tmp_path):
    """Give the folder of a device that was asked 5 questions, with versions after 0, 2 and 4."""
    sitting = begun(tmp_path / "device", newcomer, every=2).answer(5)
    sitting.wearable.close()
    return sitting.folder


def opened(path):
    """Take hold of a folder and let go of it."""
    folder = DeviceFolder(path)
    folder.close()
    return folder


def names(path):
    return sorted(inside.name for inside in path.iterdir())


def test_a_device_remembers_how_it_began(newcomer, folder):
    assert opened(folder).settings == newcomer.settings


def test_a_new_device_has_its_settings_and_its_first_version(newcomer, tmp_path):
    create(tmp_path / "a" / "b", newcomer)
    assert names(tmp_path / "a") == ["b"]
    assert names(tmp_path / "a" / "b") == ["settings.json", "versions"]
    assert [path.name for path in opened(tmp_path / "a" / "b").versions()] == ["00000000"]


def test_what_a_device_was_asked_is_for_its_owner_alone(newcomer, tmp_path):
    (tmp_path / "empty").mkdir(mode=0o755)
    for place in ("empty", "new"):
        create(tmp_path / place, newcomer)
        assert (tmp_path / place).stat().st_mode & 0o777 == 0o700


def test_an_empty_folder_is_as_good_as_none_even_the_present_one(newcomer, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    create(type(tmp_path)("."), newcomer)
    assert names(tmp_path / "here") == ["settings.json", "versions"]


def test_what_an_interrupt_left_of_a_beginning_is_in_nobodys_way(newcomer, tmp_path):
    left = tmp_path / ".device.unfinished" / "versions" / "00000000"
    left.mkdir(parents=True)
    create(tmp_path / "device", newcomer)
    assert names(tmp_path) == ["device"]


def test_a_device_is_never_written_over(newcomer, folder, tmp_path):
    before = contents(folder)
    with pytest.raises(BadInput, match="there is a device in it; go on with it by --resume"):
        create(folder, newcomer)
    assert contents(folder) == before
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "thesis.tex").write_text("all of it")
    (tmp_path / "file").write_text("")
    for other in ("else", "file"):
        with pytest.raises(BadInput, match="is there and not empty"):
            need_new(tmp_path / other)


@pytest.mark.parametrize("path", ["none", "file", "empty"])
def test_a_folder_without_a_device_is_refused(path, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=f"{path}: no device in it .*start one by --run or --model"):
        DeviceFolder(tmp_path / path)
    assert names(tmp_path / "empty") == []


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"habits": {"seed": 1}}'])
def test_damaged_settings_are_named(folder, text):
    (folder / "settings.json").write_text(text)
    with pytest.raises(BadInput, match=r"settings.json: not the settings of a device"):
        DeviceFolder(folder)


def test_settings_that_lack_something_are_named(folder):
    fields = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps(fields | {"more": 1}))
    with pytest.raises(BadInput, match="more"):
        DeviceFolder(folder)


def test_a_folder_is_held_by_one_at_a_time(folder):
    first = DeviceFolder(folder)
    with pytest.raises(BadInput, match="in use by another process"):
        DeviceFolder(folder)
    first.close()
    opened(folder)


def test_other_names_among_the_versions_are_left_alone(folder):
    (folder / "versions" / "00000004.bak").mkdir()
    (folder / "versions" / "notes").write_text("mine")
    assert [path.name for path in opened(folder).versions()] == ["00000000", "00000002", "00000004"]
    assert {"00000004.bak", "notes"} <= {*names(folder / "versions")}


def test_a_device_without_any_version_is_refused(folder):
    (folder / "versions").rename(folder / "elsewhere")
    with pytest.raises(BadInput, match="no version is left; put one back"):
        opened(folder).versions()


def test_going_back_keeps_what_is_forgotten(folder):
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    version = contents(folder / "versions" / "00000004")
    device = DeviceFolder(folder)
    assert device.undo() == 1
    assert [path.name for path in device.versions()] == ["00000000", "00000002", "00000004"]
    assert device.undo() == 2
    assert device.undo() == 2
    assert [path.name for path in device.versions()] == ["00000000"]
    assert contents(folder / "undone" / "00000004") == version
    kept = (folder / "undone" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert kept == [lines[4], *lines[2:4], *lines[:2]]
    before = contents(folder)
    with pytest.raises(BadInput, match="nothing to undo"):
        device.undo()
    assert contents(folder) == before
    device.close()


def test_going_back_that_was_interrupted_can_be_done_again(folder):
    undone = folder / "undone"
    undone.mkdir()
    (folder / "versions" / "00000004").rename(undone / "00000004")  # and the journal is not cut
    device = DeviceFolder(folder)
    assert device.undo() == 3
    assert device.journal.count() == 2
    device.close()
