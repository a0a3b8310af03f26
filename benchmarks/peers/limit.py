"""The machine's own limit: how fast NumPy multiplies large float32 matrices, in GFLOP/s.

The number of threads is set from outside, by `OPENBLAS_NUM_THREADS`.
"""

from __future__ import annotations

import time

import numpy as np

__all__ = ["matrix_product_gflops"]

_SIZE = 2048
_REPEATS = 10


def matrix_product_gflops() -> float:
    """Return the best of some products."""
    random = np.random.default_rng(0)
    a, b = (random.random((_SIZE, _SIZE), np.float32) for _ in range(2))
    out = a @ b
    best_s = float("inf")
    for _ in range(_REPEATS):
        began = time.perf_counter()
        np.matmul(a, b, out=out)
        best_s = min(best_s, time.perf_counter() - began)
    return 2.0 * _SIZE**3 / best_s / 1e9


if __name__ == "__main__":
    print(matrix_product_gflops())
