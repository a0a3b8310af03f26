"""Cohorts of devices on workers: in this process, or on Ray."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clients.errors import BadInput, RunFailed
from clients.methods import Arrays
from simulator.answered import Answered
from simulator.hush import hushed
from simulator.interrupts import unhidden_interrupts
from simulator.plan import Plan
from simulator.prepared import Prepared
from simulator.reply import Reply, Terms, Used
from simulator.scenario import Arm

__all__ = ["Fleet", "InProcess", "OnRay", "Workers", "start_workers"]

_SMALL_BYTES = 64 * 2**10  # below which Ray's store costs more than it saves
_STORE_BYTES = 512 * 2**20  # of Ray's object store, where it is started here


class Workers(Protocol):
    """Some workers that can be called together."""

    count: int

    @property
    def nodes(self) -> Sequence[str]:
        """The node that each worker is on."""
        ...

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of each worker with its own arguments; results in order of worker."""
        ...

    def share(self, value: Any) -> Any:
        """Return what to pass as an argument in place of a large value that all receive."""
        ...

    def stop(self) -> None:
        """End what was started."""
        ...


class _Host:
    """Holds a worker, so that only the process that computes loads TensorFlow."""

    def __init__(self) -> None:
        with hushed():
            from simulator.worker import Worker

            self._worker = Worker()

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the worker."""
        return getattr(self._worker, method)(*arguments)

    def node(self) -> str:
        """Return the Ray node that this process is on."""
        import ray

        return str(ray.get_runtime_context().get_node_id())


class InProcess:
    """One worker, here."""

    count = 1
    nodes: Sequence[str] = ("here",)

    def __init__(self) -> None:
        self._host = _Host()

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of the worker."""
        with unhidden_interrupts():
            return [self._host.call(method, *arguments[0])]

    def share(self, value: Any) -> Any:
        """Return the value: nothing has to travel."""
        return value

    def stop(self) -> None:
        """Do nothing: nothing was started."""


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
        cores = int(ray.cluster_resources().get("CPU", 0))
        self.count = count or cores
        if self.count > cores:
            ray.shutdown()
            raise BadInput(
                f"--workers {self.count}: the Ray cluster at {address} has {cores} cores, and each "
                f"worker takes one; give --workers {cores} at most, or start more nodes"
            )
        remote = ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(_Host)
        variables = {"env_vars": {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}}
        self._actors = [remote.options(runtime_env=variables).remote() for _ in range(self.count)]

    @property
    def nodes(self) -> list[str]:
        """The Ray node that each worker is on."""
        import ray

        return list(ray.get([actor.node.remote() for actor in self._actors]))

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of all workers at once and wait for all of them."""
        import ray

        calls = [
            actor.call.remote(method, *own)
            for actor, own in zip(self._actors, arguments, strict=True)
        ]
        try:
            return list(ray.get(calls))
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, Exception) else error) from None
        except ray.exceptions.RayActorError as error:
            raise RunFailed(
                f"a worker died ({error}); give it more memory or fewer devices"
            ) from None

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


def _connect(count: int | None, address: str | None) -> None:
    """Connect to a cluster, or start Ray on this machine."""
    import ray

    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    if address is None:
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
        ray.init(address=address, **quiet)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise BadInput(
            f"--ray-address {address}: no Ray cluster answers there ({error}); start one by "
            "`ray start --head --port=6379` and give the address that it prints"
        ) from None


def start_workers(count: int | str, address: str | None = None) -> Workers:
    """Start workers.

    Args:
        count: a number of them, or "auto" for one on each core.
        address: of a running Ray cluster; None stays on this machine.
    """
    if address is not None:
        return OnRay(None if count == "auto" else int(count), address)
    wanted = len(os.sched_getaffinity(0)) if count == "auto" else int(count)
    return InProcess() if wanted == 1 else OnRay(wanted)


class Fleet:
    """All devices of a run, spread over workers by cohort.

    Attributes:
        used: what each worker had used when it was last told to compute.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.used: Sequence[Used] = [Used(0.0, 0.0)] * workers.count

    def prepare(self, plan: Plan, folder: Path) -> list[Prepared]:
        """Make the base models of all folds, side by side, and tell all workers of them."""
        count = self._workers.count
        self._plan = plan
        shared = self._workers.share(plan)
        self._check_shared(folder)
        self._workers.call("load", [(shared, folder)] * count)
        folds = range(len(plan.folds))
        made = self._workers.call("prepare", [(list(folds)[i::count],) for i in range(count)])
        prepared = {one.fold: one for some in made for one in some}
        self._workers.call("equip", [(self._workers.share(prepared),)] * count)
        return [prepared[fold] for fold in folds]

    @property
    def nodes(self) -> Sequence[str]:
        """The node that each worker is on."""
        return self._workers.nodes

    def _check_shared(self, folder: Path) -> None:
        """Refuse a run folder that some worker cannot see, since workers write into it."""
        token = folder / f".seen-{os.getpid()}"
        token.touch()
        seen = self._workers.call("sees", [(token,)] * self._workers.count)
        token.unlink()
        blind = [node for node, there in zip(self.nodes, seen, strict=True) if not there]
        if blind:
            raise BadInput(
                f"--out {folder}: workers write their records there, and {len(blind)} of "
                f"{len(seen)} do not see it (Ray node {blind[0]}); give a folder on a file system "
                "that all nodes share"
            )

    def open(self, arm: Arm, fold: int) -> None:
        """Give every device of a fold a fresh start in one arm."""
        cohorts, count = self._plan.cohorts_of(fold), self._workers.count
        self._workers.call("open", [(arm, fold, cohorts[i::count]) for i in range(count)])

    def work(
        self,
        round_: int,
        participants: NDArray[np.int64],
        shared: Arrays | None,
        terms: Terms,
    ) -> tuple[list[Reply], NDArray[np.int64]]:
        """Let every device of the open fold work through one round.

        Args:
            round_: the round, from 1.
            participants: int64 [n], the devices that the server chose, in ascending order.
            shared: the server's arrays, where somebody downloads them.
            terms: how updates are treated.

        Returns:
            replies in order of cohort, and int64 [n], the devices whose battery is now too low.
        """
        sent = None if shared is None else self._workers.share(shared)
        chosen = self._workers.share(participants)
        arguments = [(round_, chosen, sent, terms)] * self._workers.count
        done = self._workers.call("work", arguments)
        self.used = [used for *_, used in done]
        replies = sorted((r for some, *_ in done for r in some), key=lambda reply: reply.cohort)
        return replies, np.concatenate([flat for _, flat, _ in done])

    def pool(self, round_: int) -> Arrays:
        """Let one model learn what all users answered in a round; returns its parameters."""
        count = self._workers.count
        parts = [one for some in self._workers.call("answered", [()] * count) for one in some]
        everybody = self._workers.share(Answered.joined(parts))
        learnt = self._workers.call("pool", [(round_, everybody), *[(round_, None)] * (count - 1)])
        return dict(learnt[0])

    def score(self, round_: int, shared: Arrays | None) -> None:
        """Score the holdout of every device of the open fold."""
        sent = None if shared is None else self._workers.share(shared)
        self.used = self._workers.call("score", [(round_, sent)] * self._workers.count)

    def save(self, round_: int, shared: Arrays | None) -> None:
        """Write the devices' SavedModels."""
        sent = None if shared is None else self._workers.share(shared)
        self._workers.call("save", [(round_, sent)] * self._workers.count)

    def restore(self, round_: int) -> None:
        """Let the devices of the open fold become what they were when they were saved."""
        self._workers.call("restore", [(round_, i == 0) for i in range(self._workers.count)])

    def write(self, rounds: int) -> None:
        """Finish the records of the open arm and fold, up to a number of rounds."""
        self._workers.call("write", [(rounds,)] * self._workers.count)

    def stop(self) -> None:
        """End the workers."""
        self._workers.stop()
