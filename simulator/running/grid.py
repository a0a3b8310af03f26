"""Flower's Grid over the fleet: the one file that touches Flower's internals."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from clients.messages import ARRAYS, reply_to, unpack
from clients.methods import Arrays
from clients.outcome import Update

__all__ = ["FleetGrid"]

_RUN_ID, _SERVER_NODE, _FIRST_NODE = 1, 1, 2
Work = Callable[[Arrays], Mapping[int, Update]]


class FleetGrid(Grid):
    """Sends a strategy's messages to the simulated devices.

    Flower reaches nodes by id. Node 0 stands for all participants where their updates are folded
    into one, or node i for those of cluster i; else each device is a node. The id of node i is
    i + 2. Where nothing was learnt, or nothing passed the guard, there is no answer; a node that
    was addressed in an earlier round may answer in this one.

    Attributes:
        addressed: the nodes that take part in this round.
    """

    def __init__(self, work: Work) -> None:
        """Wrap a fleet.

        Args:
            work: shared arrays -> updates by node; runs one round of all devices.
        """
        logging.getLogger("flwr").setLevel(logging.ERROR)
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, _RUN_ID, _SERVER_NODE
        self._work = work
        self._run = Run.create_empty(_RUN_ID)
        self.addressed: Sequence[int] = ()

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Run one round of the whole fleet, in which the chosen devices take part."""
        del timeout
        sent = {m.metadata.dst_node_id - _FIRST_NODE: m for m in messages}
        shared = unpack(next(iter(sent.values())).content[ARRAYS]) if sent else {}
        updates = self._work(shared)
        return [reply_to(sent.get(node) or self._late(node), one) for node, one in updates.items()]

    def _late(self, node: int) -> Message:
        """Stand for the message of an earlier round that a node answers now."""
        return self.create_message(RecordDict({}), "train", node + _FIRST_NODE, "late")

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes that are addressed in this round."""
        return [node + _FIRST_NODE for node in self.addressed]

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
        """Create a message to a node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Refuse: a round of the fleet answers at once."""
        raise NotImplementedError("the fleet answers at once: use send_and_receive")

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Refuse: a round of the fleet answers at once."""
        raise NotImplementedError("the fleet answers at once: use send_and_receive")
