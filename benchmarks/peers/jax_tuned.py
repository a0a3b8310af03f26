"""Peer: a loop written by hand in JAX and tuned for this machine, the bar to be measured against.

A whole round is one compiled call on two host devices of one thread each. Each device goes through
its clients group by group, so that the parameters and activations of a group stay in the cache; a
group's clients are computed together. How many they are is found by a short calibration.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

_DEVICES = 2
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        f"--xla_force_host_platform_device_count={_DEVICES}",
        "--xla_cpu_multi_thread_eigen=false",
    ]
)

import jax  # noqa: E402  (reads its flags when it is loaded)
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import Mesh, NamedSharding, PartitionSpec  # noqa: E402

from benchmarks.peers.jax_models import loss  # noqa: E402
from benchmarks.peers.memory import own_peak_mib  # noqa: E402
from benchmarks.peers.protocol import Clock, answer, asked  # noqa: E402
from benchmarks.peers.workload import LEARNING_RATE, Workload, load_workload  # noqa: E402

Params = dict[str, Any]
Round = Callable[[Params, Any, Any, Any], Params]

_GROUPS = {"dense": (5, 10, 20), "cnn": (1, 2, 4, 5, 8, 10)}
_CALIBRATION = {"dense": 2000, "cnn": 160}  # clients
_REPEATS = 5


def _client(params: Params, x: Any, y: Any) -> Params:
    """Take one client's steps on its batches [S, B, T, C] and [S, B]."""

    def step(params: Params, batch: tuple[Any, Any]) -> tuple[Params, None]:
        gradients = jax.grad(loss)(params, *batch)
        return jax.tree_util.tree_map(
            lambda value, gradient: value - LEARNING_RATE * gradient, params, gradients
        ), None

    learnt: Params = jax.lax.scan(step, params, (x, y))[0]
    return learnt


def _share(params: Params, weights: Any, x: Any, y: Any) -> Params:
    """Train one device's share of the clients; returns the average over all devices' clients.

    Args:
        params: what all begin from.
        weights: [groups, G], the clients' shares in the average.
        x: [groups, G, S, B, T, C].
        y: [groups, G, S, B].
    """

    def group(sums: Params, own: tuple[Any, Any, Any]) -> tuple[Params, None]:
        weight, batches, labels = own
        learnt = jax.vmap(_client, (None, 0, 0))(params, batches, labels)
        return jax.tree_util.tree_map(
            lambda total, value: total + jnp.tensordot(weight, value, 1), sums, learnt
        ), None

    zeros = jax.tree_util.tree_map(jnp.zeros_like, params)
    sums = jax.lax.scan(group, zeros, (weights, x, y))[0]
    average: Params = jax.lax.psum(sums, "host")
    return average


def build_round(mesh: Mesh) -> Round:
    """Compile a round: (parameters, weights, x, y) -> parameters."""
    split = PartitionSpec("host")
    shared = jax.shard_map(
        _share,
        mesh=mesh,
        in_specs=(PartitionSpec(), split, split, split),
        out_specs=PartitionSpec(),
        check_vma=False,
    )
    compiled: Round = jax.jit(shared)
    return compiled


def place(workload: Workload, clients: int, group: int, mesh: Mesh) -> tuple[Any, Any, Any]:
    """Put the first clients' weights, scaled rows and classes on the devices, in groups.

    Groups that are missing to a whole number for each device are filled up with clients of no
    weight.
    """
    groups = -(-clients // (group * _DEVICES)) * _DEVICES
    split = NamedSharding(mesh, PartitionSpec("host"))
    weights = np.zeros(groups * group, np.float32)
    weights[:clients] = 1.0 / clients  # all have the same number of examples

    def part(of: Any, scaled: bool, index: Any) -> Any:
        first, last, _ = index[0].indices(groups)
        rows = np.array(of[first * group : min(last * group, clients)])
        rows = np.pad(rows, [(0, (last - first) * group - len(rows)), *[(0, 0)] * (of.ndim - 1)])
        if scaled:
            rows = np.asarray((rows - workload.mean) / workload.scale, np.float32)
        return rows.reshape(last - first, group, *of.shape[1:])

    placed = [
        jax.make_array_from_callback(
            (groups, group, *of.shape[1:]), split, partial(part, of, of is workload.x)
        )
        for of in (weights, workload.x, workload.y)
    ]
    return placed[0], placed[1], placed[2]


def calibrate(workload: Workload, params: Params, mesh: Mesh) -> int:
    """Return the size of a group with which a round of some clients is fastest."""
    clients = min(workload.devices, _CALIBRATION[workload.program])
    best, fastest_s = 1, float("inf")
    for group in _GROUPS[workload.program]:
        round_, data = build_round(mesh), place(workload, clients, group, mesh)
        jax.block_until_ready(round_(params, *data))
        for _ in range(_REPEATS):
            began = time.perf_counter()
            jax.block_until_ready(round_(params, *data))
            took_s = time.perf_counter() - began
            if took_s < fastest_s:
                best, fastest_s = group, took_s
    return best


def main() -> None:
    """Measure."""
    ask = asked(__doc__)
    workload = load_workload(ask.folder)
    mesh = Mesh(np.array(jax.devices()), ("host",))
    params: Params = {
        name: jax.device_put(value, NamedSharding(mesh, PartitionSpec()))
        for name, value in workload.params.items()
    }
    group = calibrate(workload, params, mesh)
    data = place(workload, workload.devices, group, mesh)
    clock = Clock()
    clock.start()
    round_ = build_round(mesh)
    for _ in range(ask.total):
        params = jax.block_until_ready(round_(params, *data))
        clock.round_done(params)
    answer(
        "jax_tuned",
        ask,
        workload,
        clock,
        peak_rss_mib=own_peak_mib(),
        packages=("jax", "jaxlib", "numpy"),
        settings={"group": group, "devices": _DEVICES},
    )


if __name__ == "__main__":
    main()
