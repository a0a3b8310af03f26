"""What replies tell beside their arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Message
from numpy.typing import NDArray

__all__ = ["arrays_of", "number_of", "record_of", "without_errors"]

Arrays = dict[str, NDArray[Any]]


def without_errors(replies: Iterable[Message]) -> list[Message]:
    """Return the replies of the nodes that answered."""
    return [reply for reply in replies if not reply.has_error()]


def arrays_of(reply: Message) -> Arrays:
    """Return the arrays of a reply by name."""
    (record,) = reply.content.array_records.values()
    return {name: array.numpy() for name, array in record.items()}


def number_of(reply: Message, name: str) -> float:
    """Return one of the numbers of a reply, 0 where it has none of that name."""
    for metrics in reply.content.metric_records.values():
        if name in metrics:
            return float(str(metrics[name]))
    return 0.0


def record_of(arrays: Mapping[str, NDArray[Any]]) -> ArrayRecord:
    """Put named arrays into a record."""
    return ArrayRecord({name: Array(np.asarray(v, order="C")) for name, v in arrays.items()})
