"""A full disk is known, whoever says so."""

import errno

import pytest

from clients.errors import RunFailed
from simulator.folder.full_disk import full_disk_told, is_full_disk


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_errors_of_the_system_are_known(number):
    assert is_full_disk(OSError(number, "whatever"))


def test_errors_of_libraries_that_quote_the_system_are_known():
    assert is_full_disk(RuntimeError("Failed to flush: x; No space left on device [Op:SaveV2]"))
    assert is_full_disk(FileNotFoundError(errno.ENOENT, "No usable temporary directory found in"))
    outer = ValueError("outer")
    outer.__cause__ = OSError(errno.ENOSPC, "x")
    assert is_full_disk(outer)


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "x"), KeyError("space"), ValueError()])
def test_other_errors_are_others(error):
    assert not is_full_disk(error)


def test_it_is_said_where_how_much_is_free_and_how_to_go_on(tmp_path):
    own = tmp_path / "seed-3"
    own.mkdir()
    (tmp_path / "scenario.toml").touch()
    with pytest.raises(RunFailed) as raised, full_disk_told(tmp_path), full_disk_told(own):
        raise OSError(errno.ENOSPC, "No space left on device")
    told = str(raised.value)
    assert f"wearfleet resume {tmp_path}`" in told
    assert "MiB are free" in told
    assert "No space left" in told
    assert "seed-3" not in told


def test_where_nothing_had_begun_there_is_nothing_to_go_on_with(tmp_path):
    with pytest.raises(RunFailed, match="run the scenario anew") as raised:  # noqa: SIM117
        with full_disk_told(tmp_path):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert "wearfleet resume" not in str(raised.value)


def test_what_is_another_error_stays_what_it_is(tmp_path):
    with pytest.raises(KeyError), full_disk_told(tmp_path):
        raise KeyError("x")
