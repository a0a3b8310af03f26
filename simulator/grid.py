"""Flower's Grid over the fleet: the one file that touches Flower's internals."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from clients.messages import ARRAYS, reply_to, unpack
from clients.methods import Arrays
from clients.outcome import Update
from server.guard import Guard

__all__ = ["FleetGrid"]

_RUN_ID, _SERVER_NODE, _FIRST_NODE = 1, 1, 2
Work = Callable[[Sequence[int], Arrays], list[Update]]
Refused = Callable[[int, str], None]


class FleetGrid(Grid):
    """Sends a strategy's messages to simulated devices.

    Flower reaches nodes by id; the node of device i is i + 2. Each message is answered by what its
    device learnt, in device order; devices that learnt nothing, or whose updates the guard refuses,
    do not answer.
    """

    def __init__(self, work: Work, guard: Guard, refused: Refused) -> None:
        """Wrap a fleet.

        Args:
            work: (participants, shared arrays) -> updates; runs one round of all devices.
            guard: checks the updates before a strategy sees them.
            refused: told of each refusal: device, reason.
        """
        logging.getLogger("flwr").setLevel(logging.ERROR)
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, _RUN_ID, _SERVER_NODE
        self._work, self._guard, self._refused = work, guard, refused
        self._run = Run.create_empty(_RUN_ID)
        self.participants: Sequence[int] = ()

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Run one round of the whole fleet; the addressed devices take part."""
        del timeout
        sent = {m.metadata.dst_node_id - _FIRST_NODE: m for m in messages}
        shared = unpack(next(iter(sent.values())).content[ARRAYS]) if sent else {}
        updates = self._work(sorted(sent), shared)
        reasons = self._guard.accept(shared, [update.arrays for update in updates])
        answers = []
        for update, reason in zip(updates, reasons, strict=True):
            if reason:
                self._refused(update.device, reason)
            else:
                answers.append(reply_to(sent[update.device], update))
        return answers

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes of the devices that take part in this round."""
        return [device + _FIRST_NODE for device in self.participants]

    def set_run(self, run: Run) -> None:
        """Set the run."""
        self._run = run

    @property
    def run(self) -> Run:
        """Run information."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Create a message to a device."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Refuse: a round of the fleet answers at once."""
        raise NotImplementedError("the fleet answers at once: use send_and_receive")

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Refuse: a round of the fleet answers at once."""
        raise NotImplementedError("the fleet answers at once: use send_and_receive")
