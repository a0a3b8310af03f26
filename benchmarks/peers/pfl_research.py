"""Peer: pfl-research on PyTorch, two worker processes of one thread each.

This starts the workers, `benchmarks.peers.pfl_worker`; the first of them answers. By itself the
model has PyTorch's own convolution; with `--tuned`, one that is faster here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

_WORKERS = 2
_LOOK_S = 0.2


def wait_for(workers: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait until all are done, or end the others when one has failed; returns an exit code."""
    while any(worker.poll() is None for worker in workers):
        if any(worker.returncode for worker in workers):
            for worker in workers:
                worker.kill()
        time.sleep(_LOOK_S)
    return max(abs(worker.wait()) for worker in workers)


def main() -> None:
    """Start the workers, and wait until they are done."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PFL_WORKER_ADDRESSES": ",".join([f"127.0.0.1:{port}"] * _WORKERS),
        "PFL_PYTORCH_DEVICE": "cpu",  # else it looks for a better one at every batch
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "benchmarks.peers.pfl_worker", *sys.argv[1:]]
    workers = [
        subprocess.Popen(command, env={**environment, "PFL_WORKER_RANK": str(rank)})
        for rank in range(_WORKERS)
    ]
    sys.exit(wait_for(workers))


if __name__ == "__main__":
    main()
