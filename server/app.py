"""Flower's ServerApp: aggregates what real or simulated nodes learnt."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from server.guard import Guard
from server.shared_file import read_shared, write_shared
from server.strategies.guarded import GuardedFedAvg
from server.strategies.replies import Arrays, record_of

__all__ = ["app"]

app = ServerApp()

_METHODS = ("fedavg", "fedper")
"""Those that ask for the plain mean of a server, and for nothing else."""


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds of a federation from the shared arrays in a safetensors file.

    Raises:
        FileNotFoundError: the configuration names no such file.
        ValueError: it names a method that asks for more than a plain mean.
    """
    config = context.run_config
    if config["method"] not in _METHODS:
        raise ValueError(
            f"method = {config['method']!r}: this server takes the plain mean; expected one of "
            f"{', '.join(_METHODS)}; `wearfleet run` has all methods"
        )
    result = Path(str(config["result"])) if config["result"] else None
    shared = _begin(config, result)
    devices = int(config["min-devices"])
    strategy = GuardedFedAvg(
        Guard(float(config["max-norm"]) or None, shared),
        min_updates=int(config["min-updates"]),
        max_examples=int(config["questions-per-round"]) * int(config["batch"]),
        fraction_train=float(config["participation"]),
        fraction_evaluate=float(config["evaluation"]),
        min_train_nodes=devices,
        min_evaluate_nodes=devices,
        min_available_nodes=devices,
    )

    def keep(round_: int, arrays: ArrayRecord) -> None:
        """Keep what is shared after each round, as a server may end at any time."""
        if result is not None and round_:
            write_shared(result, {name: array.numpy() for name, array in arrays.items()})

    strategy.start(
        grid=grid,
        initial_arrays=record_of(shared),
        num_rounds=int(config["rounds"]),
        timeout=float(config["round-timeout-s"]),
        evaluate_fn=keep,
    )


def _begin(config: Mapping[str, Any], result: Path | None) -> Arrays:
    """Return what the rounds start from: what is shared of a new model, or the last result."""
    resumes = bool(config["resume"]) and result is not None and result.is_file()
    key = "result" if resumes else "shared"
    arrays = read_shared(Path(str(config[key])), key)
    private = str(config["private"]).split() if config["method"] == "fedper" else []
    shared = {
        name: value
        for name, value in arrays.items()
        if not any(fnmatchcase(name, pattern) for pattern in private)
    }
    if not shared:
        raise ValueError(
            f"private = {config['private']!r}: nothing of {', '.join(arrays)} is left to share; "
            "name fewer"
        )
    return shared
