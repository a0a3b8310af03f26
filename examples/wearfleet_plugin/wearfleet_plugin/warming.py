"""A kind of drift: a sensor that warms up, so that its gain and its zero change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from clients.drift import Change
from clients.plugins import DriftPlugin
from clients.variation import Variations
from simulator.scenario.sections import Positive, Section, Share


class Keys(Section):
    """How strong it is: what readings are multiplied by, and what z then shows more, m/s²."""

    gain: Positive = 0.97
    zero: Share = 0.4


def _signal(now: Variations, change: Change, _draws: np.ndarray) -> Variations:
    gain = np.float32(change.numbers["gain"])
    zero = np.array([0.0, 0.0, change.numbers["zero"]], np.float32)
    return replace(now, turn=now.turn * gain, bias=now.bias * gain + zero, noise=now.noise * gain)


warming = DriftPlugin(_signal, Keys)
