"""The files that records are kept in: their columns."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["EVENTS", "ROUNDS", "WINDOWS"]

_NAME = pa.dictionary(pa.int32(), pa.string())

WINDOWS = pa.schema(
    [
        ("arm", _NAME),
        ("fold", pa.int32()),
        ("round", pa.int32()),
        ("question", pa.int32()),
        ("device", _NAME),
        ("user", _NAME),
        ("time_s", pa.float64()),
        ("label", _NAME),
        ("predicted", _NAME),
        ("voted", _NAME),
        ("downloaded_correct", pa.bool_()),
        ("answer", _NAME),
        ("loss", pa.float32()),
        ("drifted", pa.bool_()),
    ]
)

ROUNDS = pa.schema(
    [
        ("arm", _NAME),
        ("fold", pa.int32()),
        ("round", pa.int32()),
        ("device", _NAME),
        ("user", _NAME),
        ("participant", pa.bool_()),
        ("questions", pa.int32()),
        ("windows", pa.int32()),
        ("asked", pa.int32()),
        ("answered", pa.int32()),
        ("answered_windows", pa.int32()),
        ("correct", pa.int32()),
        ("vote_correct", pa.int32()),
        ("downloaded_correct", pa.int32()),
        ("label_repeats", pa.int32()),
        ("steps", pa.int32()),
        ("gradients", pa.int32()),
        ("loss", pa.float32()),
        ("bytes_down", pa.int64()),
        ("bytes_up", pa.int64()),
        ("reachable", pa.bool_()),
        ("hostile", pa.bool_()),
        ("sent", pa.int32()),
        ("accepted", pa.int32()),
        ("refused", pa.int32()),
        ("lost", pa.int32()),
        ("took_s", pa.float64()),
        ("battery", pa.float64()),
        ("memory_windows", pa.int32()),
        ("drifted", pa.int32()),
        ("drift_in_force", pa.bool_()),
        ("label_windows", pa.list_(pa.int32())),
        ("predicted_windows", pa.list_(pa.int32())),
        ("faded_accuracy", pa.float64()),
        ("sliding_accuracy", pa.float64()),
        ("holdout_windows", pa.int32()),
        ("holdout_correct", pa.int32()),
        ("holdout_confusion", pa.list_(pa.int32())),
        ("holdout_before_confusion", pa.list_(pa.int32())),
        ("stamped_windows", pa.int32()),
        ("stamped_taken", pa.int32()),
    ]
)

EVENTS = pa.schema(
    [
        ("arm", _NAME),
        ("fold", pa.int32()),
        ("round", pa.int32()),
        ("device", _NAME),
        ("user", _NAME),
        ("kind", _NAME),
        ("reason", _NAME),
        ("windows", pa.int32()),
        ("answered", pa.int32()),
        ("norm", pa.float64()),
    ]
)
