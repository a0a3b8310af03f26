"""What plug-ins do wrong is told in a line that names them, and nothing is left of the run."""

import numpy as np
import pytest

from clients.drift import Change, Course, changed
from clients.errors import BadInput
from clients.plugins import DRIFT, METHODS, load_plugin
from clients.variation import as_recorded
from tests.simulator.made_plugins import install

THEIRS = {
    DRIFT: """
from dataclasses import replace
import numpy as np
from clients.plugins import DriftPlugin

def _fails(now, change, draws):
    raise SystemExit(0)

def _writes(now, change, draws):
    now.bias[:] = 1.0
    return now

nan = DriftPlugin(lambda now, change, draws: replace(now, bias=now.bias * np.nan))
few = DriftPlugin(lambda now, change, draws: replace(now, bias=now.bias[:1]))
none = DriftPlugin(lambda now, change, draws: None)
text = DriftPlugin(lambda now, change, draws: replace(now, noise="much"))
back = DriftPlugin(lambda now, change, draws: replace(now, cadence=-now.cadence))
gone = DriftPlugin(lambda now, change, draws: replace(now, missing=now.missing + 1.5))
whole = DriftPlugin(lambda now, change, draws: replace(now, offset=now.offset + 0.5))
fails = DriftPlugin(_fails)
writes = DriftPlugin(_writes)
good = DriftPlugin(lambda now, change, draws: replace(now, bias=now.bias + np.float64(2.0)))
""",
}


@pytest.fixture
def theirs(tmp_path, forgetful):
    """Give a function that installs a package with one plug-in, called `mine`."""

    def put(group, name):
        packages = tmp_path / "packages"
        install(packages, "theirs", "3.1", {group: {"mine": f"theirs:{name}"}})
        (packages / "theirs.py").write_text(THEIRS[group])
        forgetful(packages)
        return f"plug-in 'mine' ({group}) of theirs 3.1: "

    return put


def drifted():
    plain = as_recorded(1, 3, 8)
    change = Change("mine", Course(0.0), np.ones(3, np.bool_))
    return plain, changed(1, np.arange(3), [change], plain, [1])[1]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nan", "bias of what its signal returns holds nan; expected finite numbers"),
        ("few", "bias of what its signal returns is of shape [1, 3]; expected an array of shape"),
        ("none", "its signal returns a NoneType; expected clients.variation.Variations"),
        ("text", "noise of what its signal returns is a str; expected an array of shape [3]"),
        ("back", "cadence of what its signal returns holds -1; expected finite numbers above 0"),
        ("gone", "missing of what its signal returns holds 1.5; expected finite numbers from 0 to"),
        ("whole", "offset of what its signal returns is of float64; expected int64"),
        ("fails", "its signal fails (SystemExit: 0)"),
        ("writes", "its signal fails (ValueError: assignment destination is read-only)"),
    ],
)
def test_a_drift_that_returns_what_nobody_can_measure_is_refused(theirs, name, told):
    who = theirs(DRIFT, name)
    with pytest.raises(BadInput) as error:
        drifted()
    assert str(error.value).startswith(who + told)
    assert "\n" not in str(error.value)


def test_a_drift_may_compute_with_more_digits_than_are_kept(theirs):
    theirs(DRIFT, "good")
    plain, found = drifted()
    assert found.bias.dtype == plain.bias.dtype
    np.testing.assert_array_equal(found.bias, plain.bias + 2.0)


@pytest.mark.parametrize("raised", ["SystemExit(0)", "ImportError('what\\nis')"])
def test_a_package_that_ends_the_process_cannot_be_imported(tmp_path, forgetful, raised):
    install(tmp_path, "theirs", "3.1", {METHODS: {"mine": "theirs:x"}})
    (tmp_path / "theirs.py").write_text(f"raise {raised}\n")
    forgetful(tmp_path)
    with pytest.raises(BadInput, match=r"^plug-in 'mine' .* of theirs 3\.1: ") as told:
        load_plugin(METHODS, "mine")
    assert raised.partition("(")[0] in str(told.value)
    assert "\n" not in str(told.value)
