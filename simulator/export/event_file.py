"""An event file of TensorBoard: records of TensorFlow's, each an `Event` with scalars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["EventFile"]

_VERSION = "brain.Event:2"  # of the format


class EventFile:
    """An event file that is written event by event."""

    def __init__(self, path: Path, at: float) -> None:
        """Begin the file.

        Args:
            path: of the file, in a folder that is there.
            at: when what it tells of began, in seconds since 1970.
        """
        import tensorflow as tf

        self._v1: Any = tf.compat.v1
        self._file = tf.io.TFRecordWriter(str(path))
        self._file.write(self._v1.Event(wall_time=at, file_version=_VERSION).SerializeToString())

    def add(self, step: int, at: float, scalars: Mapping[str, float]) -> None:
        """Write scalars by their tags, of a step that was over at a time."""
        told = [self._v1.Summary.Value(tag=tag, simple_value=v) for tag, v in scalars.items()]
        summary = self._v1.Summary(value=told)
        event = self._v1.Event(wall_time=at, step=step, summary=summary)
        self._file.write(event.SerializeToString())

    def flush(self) -> None:
        """Let others read what was written so far."""
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()
