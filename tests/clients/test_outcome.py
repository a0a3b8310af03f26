"""What comes of a round."""

from dataclasses import fields

import numpy as np

from clients.outcome import Outcome
from clients.user import NO_ANSWER


def test_an_outcome_in_which_nothing_happened_says_so():
    empty = Outcome.empty(2, 3, 4)
    for name in ("windows", "predicted"):
        assert getattr(empty, name).tolist() == [[[-1] * 4] * 3] * 2
    for name in ("label", "voted"):
        assert getattr(empty, name).tolist() == [[-1] * 3] * 2
    assert empty.answer.tolist() == [[NO_ANSWER] * 3] * 2
    assert not empty.asked.any()
    assert not empty.opened_correct.any()
    assert np.isnan(empty.loss).all()
    assert np.isnan(empty.learning_loss).all()
    assert (empty.opened_correct.shape, empty.loss.shape) == ((2, 3, 4), (2, 3, 4))
    assert (empty.asked.shape, empty.learning_loss.shape) == ((2, 3), (2,))
    for name in ("examples", "steps", "gradients", "memory_windows"):
        assert getattr(empty, name).tolist() == [0, 0]


def test_joined_outcomes_lie_under_each_other():
    parts = [Outcome.empty(devices, 2, 3) for devices in (1, 2)]
    for number, part in enumerate(parts):
        for field in fields(Outcome):
            getattr(part, field.name)[...] = number
    joined = Outcome.joined(parts)
    for field in fields(Outcome):
        values, first = getattr(joined, field.name), getattr(parts[0], field.name)
        assert (values.dtype, values.shape) == (first.dtype, (3, *first.shape[1:]))
        assert [float(row.mean()) for row in values] == [0.0, 1.0, 1.0]
