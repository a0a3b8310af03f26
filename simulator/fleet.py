"""Cohorts of devices on workers: in this process, or on Ray."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from clients.errors import RunFailed
from clients.methods import Arrays
from clients.outcome import Update
from simulator.hush import hushed
from simulator.plan import Cohort, Plan, Prepared
from simulator.scenario import Arm

__all__ = ["Fleet", "Workers", "start_workers"]


class Workers(Protocol):
    """Some workers that can be called together."""

    count: int

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


class InProcess:
    """One worker, here."""

    count = 1

    def __init__(self) -> None:
        self._host = _Host()

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of the worker."""
        return [self._host.call(method, *arguments[0])]

    def share(self, value: Any) -> Any:
        """Return the value: nothing has to travel."""
        return value

    def stop(self) -> None:
        """Do nothing: nothing was started."""


class OnRay:
    """Workers in processes of their own, one thread each."""

    def __init__(self, count: int) -> None:
        import ray

        self.count = count
        ray.init(
            num_cpus=count,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=512 * 2**20,
            configure_logging=False,
        )
        remote = ray.remote(num_cpus=1)(_Host)
        variables = {"env_vars": {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}}
        self._actors = [remote.options(runtime_env=variables).remote() for _ in range(count)]

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
        """Put a value into Ray's store, once for all workers."""
        import ray

        return ray.put(value)

    def stop(self) -> None:
        """Shut Ray down."""
        import ray

        ray.shutdown()


def start_workers(count: int | str) -> Workers:
    """Start workers: a number of them, or "auto" for one a core."""
    wanted = len(os.sched_getaffinity(0)) if count == "auto" else int(count)
    return InProcess() if wanted == 1 else OnRay(wanted)


class Fleet:
    """All devices of a run, spread over workers by cohort."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._cohorts: Sequence[Cohort] = ()

    def prepare(self, plan: Plan, folder: Path) -> list[Prepared]:
        """Make the base models of all folds, side by side, and tell all workers of them."""
        count = self._workers.count
        self._plan = plan
        shared = self._workers.share(plan)
        self._workers.call("load", [(shared, folder)] * count)
        folds = range(len(plan.folds))
        made = self._workers.call("prepare", [(list(folds)[i::count],) for i in range(count)])
        prepared = {one.fold: one for some in made for one in some}
        self._workers.call("equip", [(self._workers.share(prepared),)] * count)
        return [prepared[fold] for fold in folds]

    def open(self, arm: Arm, fold: int) -> None:
        """Give every device of a fold a fresh start in one arm."""
        self._cohorts = [cohort for cohort in self._plan.cohorts if cohort.fold == fold]
        count = self._workers.count
        self._workers.call("open", [(arm, self._cohorts[i::count]) for i in range(count)])

    def work(self, round_: int, participants: Sequence[int], shared: Arrays | None) -> list[Update]:
        """Let every device of the open fold work through one round; replies in device order."""
        sent = None if shared is None else self._workers.share(shared)
        arguments = [(round_, list(participants), sent)] * self._workers.count
        replies = self._workers.call("work", arguments)
        return sorted((r for some in replies for r in some), key=lambda reply: reply.device)

    def score(self, round_: int, shared: Arrays | None) -> None:
        """Score the holdout of every device of the open fold."""
        sent = None if shared is None else self._workers.share(shared)
        self._workers.call("score", [(round_, sent)] * self._workers.count)

    def save(self, round_: int, shared: Arrays | None) -> None:
        """Write the devices' SavedModels."""
        sent = None if shared is None else self._workers.share(shared)
        self._workers.call("save", [(round_, sent)] * self._workers.count)

    def write(self, rounds: int) -> None:
        """Write the records of the open arm and fold, up to a number of rounds."""
        self._workers.call("write", [(rounds,)] * self._workers.count)

    def stop(self) -> None:
        """End the workers."""
        self._workers.stop()
