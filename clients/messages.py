"""What devices and server say to each other, in Flower's records.

Both directions carry one ArrayRecord "arrays" with the shared arrays by name; a reply adds one
MetricRecord "metrics".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from clients.outcome import Update

__all__ = ["ARRAYS", "CONFIG", "METRICS", "pack", "reply_to", "unpack"]

ARRAYS, CONFIG, METRICS = "arrays", "config", "metrics"


def pack(arrays: Mapping[str, NDArray[Any]]) -> ArrayRecord:
    """Put named arrays into a record."""
    return ArrayRecord({name: Array(np.asarray(v, order="C")) for name, v in arrays.items()})


def unpack(record: object) -> dict[str, NDArray[Any]]:
    """Take named arrays out of a record.

    Raises:
        TypeError: for a record that is no ArrayRecord.
    """
    if not isinstance(record, ArrayRecord):
        raise TypeError(f"expected an ArrayRecord, got {type(record).__name__}")
    return {name: array.numpy() for name, array in record.items()}


def reply_to(message: Message, update: Update) -> Message:
    """Answer a train message with a device's update."""
    # A mean over no steps is NaN, and would make the mean over devices NaN, weighted by 0 or not.
    loss = update.loss if update.examples else 0.0
    metrics = MetricRecord({"num-examples": update.examples, "loss": loss, **update.told})
    content = RecordDict({ARRAYS: pack(update.arrays), METRICS: metrics})
    return Message(content=content, reply_to=message)
