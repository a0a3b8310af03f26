"""A contract of all methods: saved, restored in another process, gone on with: the same bytes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from clients.methods import METHODS
from tests.simulator.conftest import read_all
from tests.simulator.made_halves import CASES, LAST, SAVED, Half

ROOT = Path(__file__).parents[3]


def written(folder):
    """Return the bytes of all states and variables of a run folder by name."""
    files = [*(folder / "checkpoints").rglob("*.safetensors")]
    files += (folder / "devices").glob(f"*/*/round-{LAST:05d}/variables/*")
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(files)}


@pytest.fixture(scope="module")
def halves(fleets, tmp_path_factory):
    """Give the run folders of all arms: of those that ran on, and of those that were restored."""
    fleets, saved = fleets("dense", "float32"), tmp_path_factory.mktemp("saved")
    whole = {}
    for method, engine in CASES:
        half, name = Half(fleets, method, engine), f"{method}-{engine}"
        half.fleet.score(0, None)
        half.play(1, SAVED)
        shutil.copytree(half.kept.path, saved / name)
        half.play(SAVED + 1, LAST)
        half.finish()
        whole[name] = half.folder
    command = [sys.executable, "-m", "tests.simulator.made_halves"]
    command += map(str, (fleets._people, saved, tmp_path_factory.mktemp("other")))
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    restored = json.loads(done.stdout.splitlines()[-1])
    return {name: (folder, Path(restored[name])) for name, folder in whole.items()}


def test_every_method_with_a_state_is_among_them():
    assert {method for method, _ in CASES} == METHODS.keys() - {"heuristic"}  # it has none


@pytest.mark.parametrize(("method", "engine"), CASES)
def test_what_was_restored_goes_on_to_the_same_bytes(halves, method, engine):
    whole, restored = (written(folder) for folder in halves[f"{method}-{engine}"])
    assert whole.keys() == restored.keys()
    kinds = {Path(n).stem.partition("-")[0] for n in whole if n.startswith("checkpoints")}
    served = set() if method in ("frozen", "local") else {"server"}
    assert kinds == {"cohort"} | served | ({"pooled"} if method == "pooled" else set())
    assert len([name for name in whole if name.startswith("devices")]) == 6
    assert [name for name, content in whole.items() if restored[name] != content] == []


@pytest.mark.parametrize(("method", "engine"), CASES)
@pytest.mark.parametrize("kind", ["windows", "rounds"])
def test_what_was_restored_writes_the_same_rows(halves, method, engine, kind):
    whole, restored = (read_all(folder / kind) for folder in halves[f"{method}-{engine}"])
    assert (whole["round"] > SAVED).sum() >= 6
    pd.testing.assert_frame_equal(whole, restored, check_exact=True)


@pytest.mark.parametrize(("method", "engine"), CASES)
def test_much_happened_after_the_state_was_saved(halves, method, engine):
    """Otherwise equal bytes would say little."""
    if method == "frozen":
        return
    whole, _ = halves[f"{method}-{engine}"]
    rounds = read_all(whole / "rounds")
    rounds = rounds[rounds["round"] > SAVED]
    assert rounds["steps"].sum() > 3 or method == "pooled"
    if method in ("local", "pooled"):
        return
    server = load_file(whole / "checkpoints" / "trial" / "0" / f"{LAST:05d}" / "server.safetensors")
    assert np.isfinite(server["losses"]).sum() >= 2


def test_shared_arrays_keep_their_order_whatever_that_of_the_file(fleets):
    """Some of Flower's strategies pair arrays by it."""
    half = Half(fleets("dense", "float32"), "fedavgm", "reference")
    names = list(half.session.shared)
    half.play(1, 1)
    backwards = dict(reversed(half.server.snapshot().items()))
    half.server.restore(backwards)
    assert list(half.session.shared) == names
