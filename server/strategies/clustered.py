"""IFCA's server (Ghosh et al. 2020, algorithm 1, option II)."""

from __future__ import annotations

from collections.abc import Iterable

from flwr.app import ArrayRecord, Message, MetricRecord

from server.strategies.remembering import RememberingFedAvg
from server.strategies.replies import number_of, record_of, without_errors

__all__ = ["ClusteredFedAvg"]


class ClusteredFedAvg(RememberingFedAvg):
    """Averages the devices of each cluster; a cluster that nobody chose stays as it is."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate replies, each of which tells its `cluster`."""
        kept = without_errors(replies)
        if not kept:
            return None, None
        by_cluster: dict[int, list[Message]] = {}
        for reply in kept:
            by_cluster.setdefault(int(number_of(reply, "cluster")), []).append(reply)
        shared, metrics = dict(self.sent), None
        for cluster, own in sorted(by_cluster.items()):
            record, metrics = super().aggregate_train(server_round, own)
            for name, array in (record or {}).items():
                shared[f"cluster/{cluster}/{name}"] = array.numpy()
        return record_of(shared), metrics
