"""Peer: FedJAX with its jit backend.

By itself it runs FedJAX's own `fed_avg`, with JAX's own layers, as its users would. With `--tuned`
it is what we found fastest: its `for_each_client` without the diagnostics, and layers that XLA
compiles better.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fedjax
import jax
import jax.numpy as jnp
import numpy as np
from fedjax.core import tree_util

from benchmarks.peers.jax_models import loss, plain_loss
from benchmarks.peers.memory import own_peak_mib
from benchmarks.peers.protocol import Clock, answer, asked
from benchmarks.peers.workload import LEARNING_RATE, Workload, load_workload

Params = dict[str, Any]


def client_data(workload: Workload) -> list[Any]:
    """Return every client's rows, in the order of its batches, scaled once and for all."""
    data = []
    for x, y in zip(workload.x, workload.y, strict=True):
        rows = np.asarray((x - workload.mean) / workload.scale, np.float32)
        examples = {"x": rows.reshape(-1, *rows.shape[2:]), "y": y.reshape(-1)}
        data.append(fedjax.ClientDataset(examples))
    return data


def own_algorithm(data: list[Any], batch: int, params: Params) -> tuple[Any, Any]:
    """Build FedJAX's federated averaging; returns its first state, and what runs a round of it."""
    algorithm = fedjax.algorithms.fed_avg.federated_averaging(
        lambda params, batch, _: jax.grad(plain_loss)(params, batch["x"], batch["y"]),
        fedjax.optimizers.sgd(LEARNING_RATE),
        fedjax.optimizers.sgd(1.0),
        fedjax.ShuffleRepeatBatchHParams(batch_size=batch, num_epochs=1, skip_shuffle=True),
    )
    keys = jax.random.split(jax.random.PRNGKey(0), len(data))
    clients = [(i, own, key) for i, (own, key) in enumerate(zip(data, keys, strict=True))]
    return algorithm.init(params), lambda state: algorithm.apply(state, clients)[0]


def training() -> Any:
    """Build what trains client by client, without the diagnostics of FedJAX's own `fed_avg`."""
    optimizer = fedjax.optimizers.sgd(LEARNING_RATE)

    def begin(shared: Params, _: tuple[()]) -> Any:
        return shared, optimizer.init(shared)

    def step(state: Any, batch: Any) -> Any:
        params, slots = state
        gradients = jax.grad(loss)(params, batch["x"], batch["y"])
        slots, params = optimizer.apply(gradients, slots, params)
        return params, slots

    def end(shared: Params, state: Any) -> Params:
        learnt, _ = state
        return {name: value - learnt[name] for name, value in shared.items()}

    return fedjax.for_each_client(begin, step, end)


def one_round(train: Any, data: list[Any], batch: int, params: Params) -> Params:
    """Let every client learn, and average what they learnt by their examples."""
    clients = [(i, own.batch(batch_size=batch), ()) for i, own in enumerate(data)]

    def updates() -> Iterator[tuple[Params, float]]:
        for client, update in train(params, clients):
            yield update, float(len(data[client]))

    mean = tree_util.tree_mean(updates())
    learnt = {name: value - mean[name] for name, value in params.items()}
    return dict(jax.block_until_ready(learnt))


def main() -> None:
    """Measure."""
    ask = asked(__doc__)
    jax.tree_map = jax.tree_util.tree_map  # FedJAX 0.0.17 uses the old name
    workload = load_workload(ask.folder)
    data, clock, batch = client_data(workload), Clock(), workload.y.shape[2]
    clock.start()
    params: Params = {name: jnp.asarray(value) for name, value in workload.params.items()}
    if ask.tuned:
        train = training()
        for _ in range(ask.total):
            params = one_round(train, data, batch, params)
            clock.round_done(params)
    else:
        state, run_round = own_algorithm(data, batch, params)
        for _ in range(ask.total):
            state = run_round(state)
            clock.round_done(jax.block_until_ready(state.params))
    answer(
        "fedjax",
        ask,
        workload,
        clock,
        peak_rss_mib=own_peak_mib(),
        packages=("fedjax", "jax", "jaxlib", "numpy"),
    )


if __name__ == "__main__":
    main()
