"""Strategies that compare updates with each other, given changes instead of whole models."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import Bulyan, Krum, MultiKrum

from server.strategies.remembering import RememberingFedAvg
from server.strategies.replies import arrays_of, record_of

__all__ = ["CentredBulyan", "CentredKrum", "CentredMultiKrum"]


class _Centred(RememberingFedAvg):
    """Takes what was sent off the updates before they are compared, and puts it back.

    Flower takes distances as |x|² + |y|² - 2xy. Of whole models in float32 that cancels: updates
    of a norm of 0.01 that start from 15,000 weights come out wrong by a third. All that these
    strategies do to updates moves with them.
    """

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate changes in the place of updates."""
        kept = list(replies)
        for reply in kept:
            if not reply.has_error():
                (key,) = reply.content.array_records
                reply.content[key] = record_of(
                    {
                        name: np.subtract(value, self.sent[name], dtype=np.float64)
                        for name, value in arrays_of(reply).items()
                    }
                )
        record, metrics = super().aggregate_train(server_round, kept)
        if record is None:
            return None, metrics
        moved = {
            name: np.asarray(self.sent[name] + change.numpy(), self.sent[name].dtype)
            for name, change in record.items()
        }
        return record_of(moved), metrics


class CentredKrum(_Centred, Krum):
    """Krum (Blanchard et al. 2017) on changes."""


class CentredMultiKrum(_Centred, MultiKrum):
    """MultiKrum (Blanchard et al. 2017) on changes."""


class CentredBulyan(_Centred, Bulyan):
    """Bulyan (El Mhamdi et al. 2018) on changes."""
