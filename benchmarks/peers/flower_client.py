"""The ClientApp of the peer on Flower's engine: a SavedModel that learns one client's batches.

It is a module of its own because Flower pickles an app of `__main__` by value, and the SavedModel
would be loaded anew for every message.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from benchmarks.peers.saved_model import learner
from benchmarks.peers.workload import Workload, load_workload

__all__ = ["app"]

app = ClientApp()
workload_of = cache(load_workload)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Learn the batches of the client that this node is."""
    arrays, config = message.content["arrays"], message.content["config"]
    if not isinstance(arrays, ArrayRecord) or not isinstance(config, ConfigRecord):
        raise TypeError("expected an ArrayRecord and a ConfigRecord")
    workload: Workload = workload_of(Path(str(config["folder"])))
    client = int(context.node_config["partition-id"])
    learnt = learner(str(config["model"])).train(
        {name: array.numpy() for name, array in arrays.items()},
        workload.x[client],
        workload.y[client],
    )
    content = RecordDict(
        {
            "arrays": ArrayRecord({name: Array(value) for name, value in learnt.items()}),
            "metrics": MetricRecord({"num-examples": workload.examples}),
        }
    )
    return Message(content=content, reply_to=message)
