"""What a sceptic would try first: thresholds on mean, deviation and cadence, no learning.

Each activity is described by how donors' windows of it usually look, and a window is given the
activity whose description it is nearest to, so that the thresholds lie half-way between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.errors import RunFailed
from clients.learner import Pure
from clients.methods import Arrays
from clients.prediction import Prediction

__all__ = ["Heuristic", "describe"]

_FEATURES = 43  # columns of the table of features


def describe(x: NDArray[np.float32], rate_hz: float) -> NDArray[np.float64]:
    """Describe windows [N, T, 3] by seven numbers each, float64 [N, 7].

    The numbers are the mean of each axis (m/s²), the logarithm of the standard deviation of each
    axis, and the cadence (Hz): the strongest frequency of the magnitude above 0.5 Hz.
    Windows of a feature table, [N, 1, 43], are described by its own columns for these:
    averages, standard deviations, and time between peaks (`wisdm-v1.1-features`). What is missing
    there is NaN.
    """
    if x.shape[2] == _FEATURES:
        row = x[:, 0].astype(np.float64)
        means, deviations, peak_ms = row[:, 30:33], row[:, 39:42], row[:, 33:36]
        shortest = np.fmin.reduce(peak_ms, axis=1)  # of the axes that have one
        cadence = 1000.0 / np.clip(shortest, 100.0, 5000.0)
        return np.column_stack([means, np.log(deviations + 0.05), cadence])
    means, deviations = x.mean(axis=1), x.std(axis=1)
    magnitude = np.linalg.norm(x, axis=2)
    spectrum = np.abs(np.fft.rfft(magnitude - magnitude.mean(axis=1, keepdims=True), axis=1))
    frequencies = np.fft.rfftfreq(x.shape[1], 1.0 / rate_hz)
    cadence = frequencies[np.argmax(spectrum * (frequencies > 0.5), axis=1)]
    return np.column_stack([means, np.log(deviations + 0.05), cadence]).astype(np.float64)


class Heuristic:
    """Thresholds in the shape of a program; nothing in it ever changes."""

    def __init__(
        self, x: NDArray[np.float32], labels: NDArray[np.int32], *, classes: int, rate_hz: float
    ) -> None:
        """Set the thresholds from donors' windows.

        Args:
            x: float32 [N, T, C]; series of as many samples as a question has, where windows are
                single samples.
            labels: int32 [N].
            classes: number of activities; one without windows is never predicted.
            rate_hz: samples per second.
        """
        self._rate_hz = rate_hz
        described = describe(x, rate_hz)
        self._usual = np.nanmedian(described, axis=0)
        described = np.where(np.isnan(described), self._usual, described)
        self._typical = np.full((classes, described.shape[1]), np.inf)
        self._spread = np.ones((classes, described.shape[1]))
        overall = described.std(axis=0)
        for label in np.unique(labels):
            own = described[labels == label]
            self._typical[label] = np.median(own, axis=0)
            self._spread[label] = own.std(axis=0) + 0.1 * overall + 1e-6

    def thresholds(self) -> dict[str, NDArray[Any]]:
        """Return all that it goes by, as named arrays."""
        return {
            "rate_hz": np.asarray([self._rate_hz]),
            "usual": self._usual,
            "typical": self._typical,
            "spread": self._spread,
        }

    @classmethod
    def of_thresholds(cls, arrays: Arrays) -> Heuristic:
        """Return what goes by the thresholds that another had."""
        made = cls.__new__(cls)
        made._rate_hz = float(arrays["rate_hz"][0])
        made._usual, made._typical = arrays["usual"], arrays["typical"]
        made._spread = arrays["spread"]
        return made

    def predict(self, x: NDArray[np.float32]) -> Prediction:
        """Predict one question's windows [B, T, C]."""
        return Prediction(self.predict_questions(x[None])[0], None)

    def predict_questions(self, x: NDArray[np.float32]) -> NDArray[np.int32]:
        """Predict questions [N, B, T, C] by the nearest description, in units of its spread.

        Windows are looked at one by one, but single samples together, as one window.

        Returns:
            classes, int32 [N, B].
        """
        count, batch, length, channels = x.shape
        series = length == 1 and channels != _FEATURES
        looked_at = x.reshape(count, batch, channels) if series else x.reshape(-1, length, channels)
        described = describe(looked_at, self._rate_hz)
        described = np.where(np.isnan(described), self._usual, described)
        apart = (described[:, None, :] - self._typical) / self._spread
        distance = np.square(apart).sum(axis=2) + 2.0 * np.log(self._spread).sum(axis=1)
        classes = np.asarray(distance.argmin(axis=1), np.int32)
        return classes[:, None].repeat(batch, axis=1) if series else classes.reshape(count, batch)

    def predict_aside(self, x: NDArray[np.float32]) -> Prediction:
        """Predict; nothing ever changes."""
        return self.predict(x)

    def learn(self, x: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
        """Refuse: thresholds do not learn."""
        raise RunFailed(f"a heuristic was asked to learn {len(labels)} of {len(x)} windows")

    def read_context(self) -> dict[str, NDArray[Any]]:
        """Return nothing: no question depends on those before it."""
        return {}

    def assign_context(self, values: Arrays) -> None:
        """Accept nothing, as `read_context` gives nothing."""
        self.assign_state(values)

    @property
    def functions(self) -> None:
        """Nothing: there are no pure functions."""

    def read_pure(self) -> Pure:
        """Return nothing: nothing ever changes."""
        return Pure({}, {}, {})

    def assign_pure(self, values: Pure, steps: int = 0) -> None:
        """Refuse: there is nothing to set."""
        raise RunFailed(f"a heuristic was sent what another has learnt: {values=}, {steps=}")

    def read_parameters(self) -> dict[str, NDArray[Any]]:
        """Return no parameters: there are none to learn."""
        return {}

    def assign_parameters(self, values: Arrays, *, fresh_slots: bool = False) -> None:
        """Refuse parameters: there are none to set."""
        if values:
            raise RunFailed(f"a heuristic was sent parameters: {sorted(values)}, {fresh_slots=}")

    def read_state(self) -> dict[str, NDArray[Any]]:
        """Return no variables: there is no SavedModel."""
        return {}

    def assign_state(self, values: Arrays) -> None:
        """Accept no variables, as `read_state` gives none."""
        if values:
            raise RunFailed(f"a heuristic was sent variables: {sorted(values)}")
