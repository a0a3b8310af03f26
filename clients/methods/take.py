"""One step: its windows, and what the program makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clients.methods.late import tf

__all__ = ["Take"]

Tensors = Mapping[str, Any]


class Take:
    """The windows of one step of D devices, and the program's functions over them.

    Attributes:
        index: place of the step among those of its question, from 0; a number or int32 [].
        numbers: those of the method, by name; numbers, or [] of the parameters' dtype.
        end: what is carried after the first gradients that were taken, by name [D, ...].
    """

    def __init__(
        self,
        functions: Any,
        begin: Tensors,
        x: Any,
        y: Any,
        mask: Any,
        index: Any = 0,
        numbers: Mapping[str, Any] | None = None,
    ) -> None:
        """Lay out a step.

        Args:
            functions: an object with `fleet_gradients` and `fleet_apply`.
            begin: what is carried when the step begins, by name [D, ...].
            x: float32 [D, B, T, C], the windows.
            y: int32 [D, B], their classes as answered.
            mask: bool [D, B], which of them there are.
            index: place of the step among those of its question, from 0.
            numbers: of the method.
        """
        self._functions, self._begin = functions, begin
        self._x, self._y, self._mask = x, y, mask
        self.index, self.numbers = index, numbers or {}
        self.end: Tensors | None = None

    @property
    def some(self) -> Any:
        """Tell for which devices there is a window at all: bool [D]."""
        return tf.reduce_any(self._mask, axis=1)

    def gradients(self, params: Tensors, half: int | None = None) -> tuple[dict[str, Any], Any]:
        """Take the gradients of the devices' loss; the first ones say what is carried on.

        Args:
            params: [D, ...] by name.
            half: 0 or 1 looks at every other window alone, from that one on. A program that
                follows a question's samples always looks at all of them.

        Returns:
            gradients by name, and the loss [D].
        """
        mask = self._mask
        if half is not None and not self._begin:
            mask &= tf.range(mask.shape[1]) % 2 == half
        given = self._x, self._y, mask
        gradients, end, loss = self._functions.fleet_gradients(dict(params), self._begin, *given)
        if self.end is None:
            self.end = _shaped(end, self._begin)
        return _shaped(gradients, params), loss

    def apply(
        self, params: Tensors, slots: Tensors, gradients: Tensors
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Take the optimizer's step: parameters and slots after it."""
        stepped = self._functions.fleet_apply(dict(params), dict(slots), dict(gradients))
        return _shaped(stepped[0], params), _shaped(stepped[1], slots)


def _shaped(new: Tensors, old: Tensors) -> dict[str, Any]:
    """Give what a loaded function returned, which leaves D open, the shapes of what it got."""
    return {name: tf.ensure_shape(new[name], value.shape) for name, value in old.items()}
