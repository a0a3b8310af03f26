"""`flwr run .`: the ServerApp and the ClientApp on Flower's own engine."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from safetensors.numpy import load_file

from server.app import main

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


@pytest.fixture
def flower_home(tmp_path: Path) -> Iterator[Path]:
    """Give Flower a home of its own, and end the SuperLink that it leaves running there."""
    home = tmp_path / "flwr"
    home.mkdir()
    yield home
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue  # it ended meanwhile, or is not ours to read
        if str(home).encode() in command and int(process.name) != os.getpid():
            os.kill(int(process.name), signal.SIGTERM)


@pytest.mark.parametrize("method", ["fedadam", "krum", "scaffold", "local"])
def test_methods_that_ask_for_more_than_the_plain_mean_are_refused(method: str) -> None:
    context = Context(1, 1, {}, RecordDict(), {"method": method})
    with pytest.raises(ValueError, match=f"method = '{method}'.* expected one of fedavg, fedper"):
        main(MagicMock(), context)


def test_devices_learn_and_are_scored_on_flowers_own_engine(
    tmp_path: Path, flower_home: Path
) -> None:
    model, shared, result = (tmp_path / name for name in ("cnn", "cnn.safetensors", "out.st"))
    wearfleet = [str(BIN / "wearfleet"), "model", "export"]
    subprocess.run([*wearfleet, "cnn", "--out", str(model)], check=True, capture_output=True)
    subprocess.run(
        [*wearfleet, str(model), "--shared", str(shared)], check=True, capture_output=True
    )
    config = {"model": model, "shared": shared, "result": result}
    settings = " ".join(f'{key}="{value}"' for key, value in config.items()) + " rounds=2"
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",  # flower-superexec is started by name
        "RAY_ADDRESS": "local",  # else it would join a cluster that another test started here
        "FLWR_HOME": str(flower_home),
        # The tests before this one hold much memory; Ray would kill its workers for that.
        "RAY_memory_monitor_refresh_ms": "0",
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    }
    done = subprocess.run(
        [str(BIN / "flwr"), "run", ".", "--stream", "-c", settings],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert "holdout-accuracy" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]
    assert "2 results and 0 failures" in done.stdout
    before, after = load_file(shared), load_file(result)
    assert before.keys() == after.keys()
    assert any(not np.array_equal(before[name], after[name]) for name in before)
    assert all(np.isfinite(value).all() for value in after.values())
