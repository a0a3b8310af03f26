"""A workload: what every peer computes, read from a folder."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

__all__ = ["FILE", "LEARNING_RATE", "Workload", "load_workload"]

FILE = "workload.npz"
LEARNING_RATE = 0.01
_PARAMS = "params/"
_LOCAL_HEADER = 30  # bytes before the name in a ZIP archive's entry (APPNOTE 4.3.7)


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """Clients, each with its batches for one round, and the model that they begin from.

    Attributes:
        name: of its folder.
        params: the initial parameters by name.
        mean: float32 [C], subtracted from the samples.
        scale: float32 [C], what they are divided by after that.
        x: float32 [N, S, B, T, C], raw samples of every client, step and row.
        y: int32 [N, S, B], classes; the rows of a batch are of one class.
    """

    name: str
    params: dict[str, NDArray[np.float32]]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    x: NDArray[np.float32]
    y: NDArray[np.int32]

    @property
    def program(self) -> str:
        """Return the name of the architecture, told by its parameters."""
        return "cnn" if "conv1/kernel" in self.params else "dense"

    @property
    def devices(self) -> int:
        """Return how many clients take part in each round, N."""
        return len(self.x)

    @property
    def examples(self) -> int:
        """Return the rows that one client learns in a round: its weight in the average."""
        return int(self.y.shape[1] * self.y.shape[2])


def load_workload(folder: Path) -> Workload:
    """Read a workload; its batches stay on disk and are mapped into memory.

    Args:
        folder: holds `workload.npz` with the entries `params/<name>`, `mean`, `scale`, `x`, `y`.
    """
    path = folder / FILE
    with np.load(path) as stored:
        params = {
            name.removeprefix(_PARAMS): stored[name]
            for name in stored.files
            if name.startswith(_PARAMS)
        }
        mean, scale = stored["mean"], stored["scale"]
    x, y = _map_array(path, "x"), _map_array(path, "y")
    return Workload(folder.name, params, mean, scale, x, y)


def _map_array(path: Path, name: str) -> NDArray[Any]:
    """Map one array of an npz file into memory, or read it where the file is compressed."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        entry = archive.getinfo(f"{name}.npy")
        if entry.compress_type != zipfile.ZIP_STORED:
            with np.load(path) as stored:
                return np.asarray(stored[name])
        file.seek(entry.header_offset)
        names, extra = struct.unpack("<26xHH", file.read(_LOCAL_HEADER))
        file.seek(names + extra, 1)
        shape, fortran, dtype = _read_header(file)
        if fortran:
            raise ValueError(f"{path}: {name} is in Fortran order; write it in C order")
        return np.memmap(path, dtype, "r", offset=file.tell(), shape=shape)


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array in NumPy's format."""
    version = npy.read_magic(file)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
    return read(file)
