"""Peer: Flower's own simulation engine, two actors of one CPU, each device a SavedModel client."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Iterable
from pathlib import Path

from benchmarks.peers.saved_model import export_aside, one_thread

one_thread()
os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord  # noqa: E402
from flwr.serverapp import Grid, ServerApp  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # noqa: E402
from flwr.simulation import run_simulation  # noqa: E402

from benchmarks.peers.flower_client import app as client_app  # noqa: E402
from benchmarks.peers.memory import TreePeak  # noqa: E402
from benchmarks.peers.protocol import Asked, Clock, answer, asked  # noqa: E402
from benchmarks.peers.workload import Workload, load_workload  # noqa: E402

_CPUS = 2


class TimedFedAvg(FedAvg):
    """Flower's FedAvg, looking at the clock when a round is aggregated."""

    def __init__(self, devices: int, clock: Clock) -> None:
        super().__init__(
            fraction_evaluate=0.0, min_train_nodes=devices, min_available_nodes=devices
        )
        self._devices = devices
        self._clock = clock

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate, and end the round.

        Raises:
            RuntimeError: a device did not answer, or answered with an error.
        """
        received = list(replies)
        failed = [reply for reply in received if reply.has_error()]
        if failed or len(received) != self._devices:
            raise RuntimeError(f"{len(received)} replies, {len(failed)} of them errors")
        arrays, metrics = super().aggregate_train(server_round, received)
        if arrays is not None:
            self._clock.round_done({name: array.numpy() for name, array in arrays.items()})
        return arrays, metrics


def server_app(ask: Asked, workload: Workload, model: Path, clock: Clock) -> ServerApp:
    """Build the ServerApp that runs the rounds."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        del context
        arrays = ArrayRecord({name: Array(value) for name, value in workload.params.items()})
        clock.start()
        TimedFedAvg(workload.devices, clock).start(
            grid=grid,
            initial_arrays=arrays,
            num_rounds=ask.total,
            timeout=7200.0,
            train_config=ConfigRecord({"folder": str(ask.folder), "model": str(model)}),
        )

    return app


def simulate(server: ServerApp, devices: int) -> None:
    """Run the rounds on Flower's engine."""
    run_simulation(
        server_app=server,
        client_app=client_app,
        num_supernodes=devices,
        backend_config={
            # "local": never a Ray that happens to run on this machine
            "init_args": {"address": "local", "num_cpus": _CPUS},
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        },
    )


def main() -> None:
    """Measure."""
    ask = asked(__doc__)
    workload, clock, failed = load_workload(ask.folder), Clock(), False
    with tempfile.TemporaryDirectory() as folder, TreePeak(os.getpid()) as peak:
        os.environ.setdefault("FLWR_HOME", folder)
        model = Path(folder) / "model"
        export_aside(ask.folder, model)
        try:
            simulate(server_app(ask, workload, model, clock), workload.devices)
        except Exception:  # of any kind: left alone, threads of the engine would go on for ever
            traceback.print_exc()
            failed = True
    if failed or len(clock.rounds_s) < ask.total:
        sys.stderr.flush()
        os._exit(1)
    answer(
        "flower_engine",
        ask,
        workload,
        clock,
        peak_rss_mib=peak.peak_mib,
        packages=("flwr", "ray", "tensorflow", "numpy"),
        settings={"actors": _CPUS},
    )


if __name__ == "__main__":
    main()
