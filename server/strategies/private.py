"""Federated averaging with central differential privacy (McMahan et al. 2018, algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord

from server.strategies.remembering import RememberingFedAvg
from server.strategies.replies import arrays_of, number_of, record_of, without_errors

__all__ = ["PrivateFedAvg"]


class PrivateFedAvg(RememberingFedAvg):
    """Adds noise to the sum of changes that were clipped on the way, one clip for all of them.

    The sum is divided by how many devices were expected, which no device's data can change. Where a
    quantile is given, the clip follows it (Andrew et al. 2021, algorithm 1), by the share of the
    devices that moved less far than the clip; that share is noised too, and the noise is divided
    between both sums so that together they cost what `noise` says (their theorem 1).

    Attributes:
        clip: largest norm of a change in the next round.
    """

    def __init__(
        self,
        noise: float,
        clip: float,
        clip_quantile: float,
        clip_learning_rate: float,
        participation: float,
        devices: int,
        seed: int,
        **common: Any,
    ) -> None:
        """Set up.

        Args:
            noise: standard deviation over the clip, z.
            clip: first one.
            clip_quantile: share of the devices that should move less far; 0 keeps the clip.
            clip_learning_rate: of the clip's logarithm.
            participation: probability with which each device takes part in a round.
            devices: all there are.
            seed: of the noise; with the round it decides it all.
            common: of Flower's FedAvg.

        Raises:
            ValueError: the clip cannot adapt with so little noise and so few devices.
        """
        super().__init__(**common)
        self.clip = float(clip)
        self._quantile, self._clip_rate = clip_quantile, clip_learning_rate
        self._expected, self._seed, self._noise = participation * devices, seed, noise
        # As in their section 3.1, the count is noised by a twentieth of the devices.
        self._count_noise = self._expected / 20.0 if clip_quantile and noise else 0.0
        if self._count_noise:
            spent = noise**-2 - (2.0 * self._count_noise) ** -2
            if spent <= 0.0:
                raise ValueError(
                    f"noise = {noise} with clip_quantile = {clip_quantile}: counting who of "
                    f"{self._expected:.0f} expected devices is within the clip would take it all; "
                    "give more devices, less noise, or clip_quantile = 0"
                )
            self._noise = spent**-0.5

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate means of clipped updates, each weighed by how many devices it is of.

        A reply also tells how many of its devices were `within` the clip.
        """
        kept = without_errors(replies)
        random = np.random.Generator(
            np.random.Philox(key=self._seed, counter=[0, server_round, 0, 0])
        )
        spread = self._noise * self.clip / self._expected
        shared = {}
        for name in sorted(self.sent):
            sent = self.sent[name]
            moved = spread * random.standard_normal(sent.shape)
            for reply in kept:
                share = number_of(reply, "num-examples") / self._expected
                moved = moved + share * (arrays_of(reply)[name].astype(np.float64) - sent)
            shared[name] = np.asarray(sent + moved, sent.dtype)
        told = MetricRecord({"clip": self.clip})
        if self._quantile:
            # Less a half each, a device's 0 or 1 changes the sum by a half at most.
            within = sum(
                number_of(reply, "within") - number_of(reply, "num-examples") / 2.0
                for reply in kept
            )
            within += self._count_noise * float(random.standard_normal())
            share = within / self._expected + 0.5
            self.clip *= float(np.exp(-self._clip_rate * (share - self._quantile)))
        return record_of({name: shared[name] for name in self.sent}), told
