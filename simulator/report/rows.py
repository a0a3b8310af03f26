"""Rows of a frame, whose columns are attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

__all__ = ["each"]


def each(frame: pd.DataFrame) -> Iterator[Any]:
    """Go through the rows of a frame."""
    return frame.itertuples(index=False)
