"""Peer: one call of the SavedModel's `learn` for each step, in one process, averaged by NumPy."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.memory import own_peak_mib
from benchmarks.peers.protocol import Clock, answer, asked
from benchmarks.peers.saved_model import Learner, export_aside, one_thread
from benchmarks.peers.workload import Workload, load_workload

Params = dict[str, NDArray[np.float32]]


def one_round(learner: Learner, workload: Workload, params: Params) -> Params:
    """Let every client learn, and average what they learnt by their examples."""
    sums = {name: np.zeros(value.shape) for name, value in params.items()}
    for x, y in zip(workload.x, workload.y, strict=True):
        for name, value in learner.train(params, x, y).items():
            sums[name] += workload.examples * value
    total = workload.examples * workload.devices
    return {name: np.asarray(value / total, np.float32) for name, value in sums.items()}


def main() -> None:
    """Measure."""
    ask = asked(__doc__)
    one_thread()
    workload = load_workload(ask.folder)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        export_aside(ask.folder, Path(folder) / "model")
        clock.start()
        learner = Learner(f"{folder}/model")
        params = workload.params
        for _ in range(ask.total):
            params = one_round(learner, workload, params)
            clock.round_done(params)
    answer(
        "saved_model_calls",
        ask,
        workload,
        clock,
        peak_rss_mib=own_peak_mib(),
        packages=("tensorflow", "numpy"),
    )


if __name__ == "__main__":
    main()
