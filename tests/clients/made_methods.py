"""Ways of learning, with a program made by hand whose gradients are plain to see."""

import numpy as np

from clients.methods import METHODS, MethodOptions
from clients.methods.take import Take
from clients.naming import is_statistic
from simulator.scenario.options import OWN_KEYS

SHAPES = {
    "conv1/kernel": (2, 3),
    "conv1/bias": (3,),
    "norm1/scale": (3,),
    "norm1/running_mean": (3,),
    "classes/kernel": (3, 2),
    "classes/bias": (2,),
}
SLOTS = {f"sum/{name}": shape for name, shape in SHAPES.items() if not is_statistic(name)}
HEAD, NORMS = ("classes/*",), ("norm*/*",)
DEVICES, BATCH, LENGTH, CHANNELS = 2, 4, 3, 1
CHANCES = np.array([0.1, 0.7], np.float32)
SWITCH = 3


class Valley:
    """Pulls every parameter towards the mean of a device's windows, and counts what is asked.

    The loss is half the squared distance, summed over all values, 0 where there is no window. The
    optimizer is gradient descent that also sums up the gradients which it was given; a running
    statistic makes the move that it is given.
    """

    def __init__(self):
        self.calls = []

    def fleet_gradients(self, params, state, x, y, mask):
        mask = np.asarray(mask)
        self.calls.append(mask)
        count = mask.sum(axis=1)
        each = np.where(mask, np.asarray(x)[:, :, 0, 0] + np.asarray(y), 0.0).sum(axis=1)
        target, there = each / np.maximum(count, 1), count > 0
        gradients = {name: self._apart(value, target, there) for name, value in params.items()}
        loss = sum(
            0.5 * np.square(value).reshape(len(count), -1).sum(1) for value in gradients.values()
        )
        return gradients, {name: value + 1 for name, value in state.items()}, np.float32(loss)

    def _apart(self, value, target, there):
        value = np.asarray(value)
        every = (-1, *[1] * (value.ndim - 1))
        apart = (value - target.reshape(every)) * there.reshape(every)
        return apart.astype(value.dtype)

    def fleet_apply(self, params, slots, gradients):
        slots = {name: np.asarray(value) for name, value in slots.items()}
        rate, new, kept = slots["learning_rate"], {}, dict(slots)
        for name, value in params.items():
            value, gradient = np.asarray(value), np.asarray(gradients[name])
            if is_statistic(name):
                new[name] = value - gradient
                continue
            new[name] = value - rate.reshape(-1, *[1] * (value.ndim - 1)) * gradient
            kept[f"sum/{name}"] = slots[f"sum/{name}"] + gradient
        return new, kept


def options_of(name, round_=1, private=None, **values):
    """Tell a method all that its arm could; keys that are not named have their defaults."""
    usual = NORMS if name == "fedbn" else HEAD
    keys = {**OWN_KEYS.get(name, {}), **values}
    return MethodOptions(round_, SWITCH, usual if private is None else private, keys)


def method_of(name, round_=1, private=None, **values):
    return METHODS[name](options_of(name, round_, private, **values))


def numbered(first, dtype="float64", devices=None, shapes=SHAPES):
    """Give each array numbers of its own, from `first` on; devices differ by a quarter."""
    arrays = {}
    for i, (name, shape) in enumerate(shapes.items()):
        one = first + i + np.arange(int(np.prod(shape))).reshape(shape) / 64
        if devices is not None:
            one = one + (np.arange(devices) / 4).reshape(-1, *[1] * len(shape))
        arrays[name] = np.asarray(one, dtype)
    return arrays


def own_of(method, first=10.0, dtype="float64", devices=DEVICES):
    """Give devices that have been at work: no array of theirs is as it was at the start."""
    base = {
        "parameters": numbered(first, dtype, devices),
        "slots": {
            "learning_rate": np.full(devices, 0.125, dtype),
            **numbered(first + 100.0, dtype, devices, SLOTS),
        },
    }
    own, changed = method.start(base, CHANCES[:devices]), {}
    for number, (group, arrays) in enumerate(own.items()):
        changed[group] = {
            name: moved(name, value, number if group not in base else 0)
            for name, value in arrays.items()
        }
    return changed


def moved(name, value, by):
    """Change an array by a whole number, but for numbers that have a range of their own."""
    value = np.asarray(value)
    still = name in ("learning_rate", "alpha", "cluster") or np.isnan(value).any()
    return value if still else value + np.asarray(by, value.dtype)


def sent_of(method, first=50.0, dtype="float64", devices=DEVICES):
    """Give what a server sends some time later: [D, ...]; groups differ by ten."""
    offered = method.offer(numbered(0.0, dtype))
    return {
        group: {
            name: np.broadcast_to(first + 10.0 * number + value, (devices, *value.shape))
            for name, value in arrays.items()
        }
        for number, (group, arrays) in enumerate(offered.items())
    }


def everything(method, first=50.0):
    """Give what a server sends that would replace all it can name."""
    offered = sent_of(method, first)
    return {group: numbered(first, devices=DEVICES) for group in {"parameters", *offered}}


def take_of(
    method, functions=None, *, devices=DEVICES, rows=slice(None), there=True, index=0, carried=()
):
    """Lay out a step of windows that hold 1, 2, ... and, of the second device, 11, 12, ..."""
    x = 1.0 + np.arange(BATCH) + 10.0 * np.arange(devices)[:, None]
    x = np.broadcast_to(x[:, :, None, None], (devices, BATCH, LENGTH, CHANNELS))
    y, mask = np.zeros((devices, BATCH), np.int32), np.full((devices, BATCH), there)
    begin = {name: np.zeros(devices)[rows] for name in carried}
    given = x[rows].astype(np.float32), y[rows], mask[rows]
    return Take(functions or Valley(), begin, *given, index, method.numbers)


def plainly(groups):
    """Give groups of arrays as numbers, to compare."""
    return {
        group: {name: np.asarray(value).tolist() for name, value in arrays.items()}
        for group, arrays in groups.items()
    }


def layout(groups):
    """Give shape and type of each array, by group and name."""
    return {
        group: {name: (np.asarray(v).shape, np.asarray(v).dtype.name) for name, v in arrays.items()}
        for group, arrays in groups.items()
    }
