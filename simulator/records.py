"""What a run writes down: one row per predicted window, one row per round and device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clients.outcome import Outcome
from clients.user import NO_ANSWER
from clients.wear import Wear

__all__ = ["ROUNDS", "WINDOWS", "Records", "RoundRow"]

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
        ("correct", pa.int32()),
        ("vote_correct", pa.int32()),
        ("downloaded_correct", pa.int32()),
        ("label_repeats", pa.int32()),
        ("steps", pa.int32()),
        ("gradients", pa.int32()),
        ("loss", pa.float32()),
        ("bytes_down", pa.int64()),
        ("bytes_up", pa.int64()),
        ("memory_windows", pa.int32()),
        ("holdout_windows", pa.int32()),
        ("holdout_correct", pa.int32()),
        ("holdout_confusion", pa.list_(pa.int32())),
    ]
)


@dataclass(slots=True, eq=False)
class RoundRow:
    """One device's round; round 0 is the holdout before the stream."""

    round_: int
    wear: Wear
    participant: bool
    outcome: Outcome
    bytes_down: int
    bytes_up: int
    memory_windows: int
    holdout: NDArray[np.int64] | None = None


class Records:
    """The rows of one cohort in one arm."""

    def __init__(self, arm: str, fold: int, activities: Sequence[str]) -> None:
        self._arm, self._fold = arm, fold
        self._activities = list(activities)
        self.rows: list[RoundRow] = []

    def windows(self) -> pa.Table:
        """Return one row per predicted window, device by device in the order of its stream."""
        rows = [r for r in self._by_device() if r.outcome.position]
        counts = [len(row.outcome.position) for row in rows]
        labels = _joined(rows, "label")
        times = [row.wear.stream.windows.time_s[row.outcome.position] for row in rows]
        loss = _joined(rows, "loss", np.float32)
        columns = {
            "arm": self._names([self._arm], np.zeros(sum(counts), np.int32)),
            "fold": np.full(sum(counts), self._fold, np.int32),
            "round": np.repeat([row.round_ for row in rows], counts),
            "question": _joined(rows, "question"),
            "device": self._named([row.wear.name for row in rows], counts),
            "user": self._named([row.wear.user for row in rows], counts),
            "time_s": np.concatenate(times) if times else np.zeros(0),
            "label": self._names(self._activities, labels),
            "predicted": self._names(self._activities, _joined(rows, "predicted")),
            "voted": self._names(self._activities, _joined(rows, "voted")),
            "downloaded_correct": _joined(rows, "opened_correct", np.bool_),
            "answer": self._names(self._activities, _joined(rows, "answer")),
            "loss": pa.array(loss, pa.float32(), mask=np.isnan(loss)),
        }
        return _table(columns, WINDOWS)

    def rounds(self) -> pa.Table:
        """Return one row per round and device."""
        return pa.Table.from_pylist([self._round(row) for row in self._by_device()], ROUNDS)

    def _by_device(self) -> list[RoundRow]:
        return sorted(self.rows, key=lambda row: (row.wear.index, row.round_))

    def _round(self, row: RoundRow) -> dict[str, Any]:
        outcome, confusion = row.outcome, row.holdout
        label = np.array(outcome.label)
        loss = outcome.learning_loss
        return {
            "arm": self._arm,
            "fold": self._fold,
            "round": row.round_,
            "device": row.wear.name,
            "user": row.wear.user,
            "participant": row.participant,
            "questions": outcome.questions,
            "windows": label.size,
            "asked": outcome.asked,
            "answered": outcome.answered,
            "correct": int(np.sum(np.array(outcome.predicted) == label)),
            "vote_correct": int(np.sum(np.array(outcome.voted) == label)),
            "downloaded_correct": int(np.sum(outcome.opened_correct)),
            "label_repeats": _repeats(row),
            "steps": outcome.steps,
            "gradients": outcome.gradients,
            "loss": None if np.isnan(loss) else loss,
            "bytes_down": row.bytes_down,
            "bytes_up": row.bytes_up,
            "memory_windows": row.memory_windows,
            "holdout_windows": None if confusion is None else int(confusion.sum()),
            "holdout_correct": None if confusion is None else int(np.trace(confusion)),
            "holdout_confusion": None if confusion is None else confusion.ravel().tolist(),
        }

    def _named(self, names: Sequence[str], counts: Sequence[int]) -> pa.Array:
        kept = list(dict.fromkeys(names))
        codes = np.repeat(np.array([kept.index(name) for name in names], np.int32), counts)
        return self._names(kept, codes)

    @staticmethod
    def _names(names: Sequence[str], codes: Any) -> pa.Array:
        """Encode names by code; NO_ANSWER is null."""
        codes = np.asarray(codes, np.int32)
        indices = pa.array(codes, pa.int32(), mask=codes == NO_ANSWER)
        return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))


def _repeats(row: RoundRow) -> int:
    """Count windows with the true label of the window before them in the stream."""
    labels = row.wear.stream.windows.label
    positions = np.array(row.outcome.position, np.int64)
    positions = positions[positions > 0]
    return int(np.sum(labels[positions] == labels[positions - 1]))


def _joined(rows: Sequence[RoundRow], name: str, dtype: Any = np.int32) -> Any:
    """Join one list of the outcomes into an array."""
    values = [np.asarray(getattr(row.outcome, name), dtype) for row in rows]
    return np.concatenate(values) if values else np.zeros(0, dtype)


def _table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    arrays = [
        value if isinstance(value, pa.Array) else pa.array(value, type=schema.field(name).type)
        for name, value in columns.items()
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
