"""A strategy: the shared model goes only a part of the way to the mean of what came."""

from __future__ import annotations

from typing import Any

from server.strategies import EVERYBODY, ServerHalf
from server.strategies.remembering import RememberingFedAvg
from server.strategies.replies import record_of


class Patient(RememberingFedAvg):
    """w += pace (mean - w)."""

    def __init__(self, pace: float, **common: Any) -> None:
        super().__init__(**common)
        self._pace = pace

    def aggregate_train(self, server_round: int, replies: Any) -> tuple[Any, Any]:
        """Average, and go a part of the way."""
        record, metrics = super().aggregate_train(server_round, replies)
        means = {name: array.numpy() for name, array in (record or {}).items()}
        moved = {n: self.sent[n] + (self._pace * (m - self.sent[n])) for n, m in means.items()}
        return record_of(moved) if moved else None, metrics


patient = ServerHalf(lambda options: Patient(options["pace"], **EVERYBODY))
