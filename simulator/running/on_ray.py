"""Workers on Ray, each in a process of its own, that may be lost and replaced."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clients.errors import BadInput, RunFailed, WorkerLost
from simulator.running.host import Host

__all__ = ["OnRay"]

_SMALL_BYTES = 64 * 2**10  # below which Ray's store costs more than it saves
_STORE_BYTES = 512 * 2**20  # of Ray's object store, where it is started here
_LOOK_S = 2.0  # between looks at whether a new worker runs


class OnRay:
    """Workers in processes of their own, one thread each: on this machine, or on a Ray cluster.

    Attributes:
        count: of workers.
        nodes: the Ray node that each of them is on.
    """

    def __init__(self, count: int | None, address: str | None = None) -> None:
        """Start workers.

        Args:
            count: how many; None for one on each core of a cluster.
            address: of a running cluster; None starts Ray on this machine, for these workers alone.

        Raises:
            BadInput: no cluster answers there, or it has too few cores.
        """
        import ray

        _connect(count, address)
        cores = _cores()
        self.count = self._wanted = count or cores
        if self.count > cores:
            ray.shutdown()
            raise BadInput(
                f"--workers {self.count}: the Ray cluster at {address} has {cores} cores, and each "
                f"worker takes one; give --workers {cores} at most, or start more nodes"
            )
        self._actors = [_start() for _ in range(self.count)]

    @property
    def nodes(self) -> list[str]:
        """The Ray node that each worker is on."""
        return [str(node) for node in self._wait_for([one.node.remote() for one in self._actors])]

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of all workers at once and wait for all of them."""
        return self._wait_for(
            [
                actor.call.remote(method, *own)
                for actor, own in zip(self._actors, arguments, strict=True)
            ]
        )

    def _wait_for(self, calls: Sequence[Any]) -> list[Any]:
        """Return what calls give, or raise what went wrong in one."""
        import ray

        try:
            return list(ray.get(list(calls)))
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, Exception) else error) from None
        except _losses() as error:
            raise WorkerLost(_brief(error)) from None

    def renew(self) -> None:
        """Replace workers that are gone, as many as the cluster has cores for now.

        Those that are there are waited for: they may still be at work.

        Raises:
            RunFailed: no core is left.
        """
        import ray

        alive, gone = [], []
        for actor in self._actors:
            try:
                ray.get(actor.node.remote())
                alive.append(actor)
            except _losses():
                gone.append(actor)
        for actor in gone:
            with contextlib.suppress(Exception):  # it may be gone in every respect
                ray.kill(actor)
        for _ in range(min(self._wanted, _cores()) - len(alive)):
            actor = _start()
            if _is_there(actor, len(alive) + 1):
                alive.append(actor)
        if not alive:
            raise RunFailed(
                "all workers are gone, and none could be started in their place; see that the Ray "
                "cluster is up and has cores, then `wearfleet resume` the run's folder"
            )
        self._actors, self.count = alive, len(alive)

    def share(self, value: Any) -> Any:
        """Put a value into Ray's store, once for all workers; a small one travels by itself."""
        import ray

        arrays = value.values() if isinstance(value, dict) else [value]
        sizes = [one.nbytes if isinstance(one, np.ndarray) else _SMALL_BYTES for one in arrays]
        return value if sum(sizes) < _SMALL_BYTES else ray.put(value)

    def stop(self) -> None:
        """Shut down what was started here; a cluster that was there before goes on."""
        import ray

        ray.shutdown()


def _start() -> Any:
    """Start a worker in a process of its own."""
    import ray

    remote = ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(Host)
    variables = {"env_vars": {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}}
    return remote.options(runtime_env=variables).remote(str(Path.cwd()))


def _is_there(actor: Any, needed: int) -> bool:
    """Wait until a new worker runs; give it up where the cluster has fewer cores than needed.

    A node that is gone counts as there for some seconds, and a worker meant for it never starts.
    """
    import ray

    call = actor.node.remote()
    while True:
        ready, _ = ray.wait([call], timeout=_LOOK_S)
        if ready:
            try:
                ray.get(call)
            except _losses():
                return False
            return True
        if _cores() < needed:
            ray.kill(actor)
            return False


def _cores() -> int:
    """Return how many cores the cluster has now."""
    import ray

    return int(ray.cluster_resources().get("CPU", 0))


def _losses() -> tuple[type[Exception], ...]:
    """Return what Ray raises where a worker is gone, or its node with what it had to say."""
    from ray import exceptions as of_ray

    return (
        of_ray.RayActorError,
        of_ray.NodeDiedError,
        of_ray.ObjectLostError,
        of_ray.OutOfMemoryError,
        of_ray.WorkerCrashedError,
    )


def _brief(error: Exception) -> str:
    """Return what matters of Ray's long message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__


def _connect(count: int | None, address: str | None) -> None:
    """Connect to a cluster, or start Ray on this machine."""
    import ray

    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    # Ray lets workers look for modules in the folder that it is started in, before all others: let
    # that be where Wearfleet is, as a person's own may have a package called `server`.
    home = Path(__file__).parents[2]
    if address is None:
        with contextlib.chdir(home):
            ray.init(
                address="local",  # else it would join a cluster that somebody else started here
                num_cpus=count,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                **quiet,
            )
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise BadInput(
            f"--ray-address {address}: expected HOST:PORT, as `ray start --head` prints it, such "
            "as 10.0.0.1:6379"
        )
    try:
        # Ray itself would go on trying for minutes.
        socket.create_connection((host, int(port)), timeout=5.0).close()
        with contextlib.chdir(home):
            ray.init(address=address, **quiet)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise BadInput(
            f"--ray-address {address}: no Ray cluster answers there ({error}); start one by "
            "`ray start --head --port=6379` and give the address that it prints"
        ) from None
