"""Flower's ServerApp: aggregates what real or simulated nodes learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from server.strategies.answered import AnsweredFedAvg

__all__ = ["app"]

app = ServerApp()

_MOST_BYTES = 4 * 2**30
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
    shared = Path(str(config["shared"]))
    if not shared.is_file():
        raise FileNotFoundError(
            f"shared = {str(shared)!r}: no such file; write it by `wearfleet model export MODEL "
            "--shared FILE.safetensors` and give its full path: flwr run . -c 'shared=\"...\"'"
        )
    arrays = {name: Array(value) for name, value in sorted(_read_shared(shared).items())}
    devices = int(config["min-devices"])
    strategy = AnsweredFedAvg(
        fraction_train=float(config["participation"]),
        min_train_nodes=devices,
        min_evaluate_nodes=devices,
        min_available_nodes=devices,
    )
    result = strategy.start(
        grid=grid, initial_arrays=ArrayRecord(arrays), num_rounds=int(config["rounds"])
    )
    if config["result"]:
        learnt = {name: array.numpy() for name, array in result.arrays.items()}
        Path(str(config["result"])).write_bytes(save(learnt))


def _read_shared(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays that a federation begins from.

    Raises:
        ValueError: the file is too large, or no safetensors file.
    """
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ValueError(
            f"shared = {str(path)!r}: {size:,} bytes; a program's shared arrays have at most "
            f"{_MOST_BYTES:,}"
        )
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"shared = {str(path)!r}: damaged, or no safetensors file ({error!s:.200}); write it "
            "by `wearfleet model export MODEL --shared FILE.safetensors`"
        ) from None
