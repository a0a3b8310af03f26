"""An event file of TensorBoard: records of TensorFlow's, each an `Event` with scalars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["EventFile", "steps_in"]

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
        with _as_os_errors():
            self._file = tf.io.TFRecordWriter(str(path))
        self._file.write(self._v1.Event(wall_time=at, file_version=_VERSION).SerializeToString())

    def add(self, step: int, at: float, scalars: Mapping[str, float]) -> None:
        """Write scalars by their tags, of a step that was over at a time."""
        told = [self._v1.Summary.Value(tag=tag, simple_value=v) for tag, v in scalars.items()]
        summary = self._v1.Summary(value=told)
        event = self._v1.Event(wall_time=at, step=step, summary=summary)
        with _as_os_errors():
            self._file.write(event.SerializeToString())

    def flush(self) -> None:
        """Let others read what was written so far.

        Raises:
            OSError: it cannot be written, as where the disk is full.
        """
        with _as_os_errors():
            self._file.flush()

    def close(self) -> None:
        """End the file; errors as of `flush`."""
        with _as_os_errors():
            self._file.close()


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Raise what TensorFlow says of a file as the error of the system that it is."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"{error.message:.200}") from error


def steps_in(folder: Path) -> set[int]:
    """Return the steps of the event files of a folder, as far as these are whole."""
    import tensorflow as tf

    found: set[int] = set()
    for path in folder.glob("events.out.tfevents.*"):
        with suppress(tf.errors.OpError):  # the last event of a process that was killed
            for record in tf.compat.v1.io.tf_record_iterator(str(path)):
                event = tf.compat.v1.Event.FromString(record)
                if event.HasField("summary"):
                    found.add(int(event.step))
    return found
