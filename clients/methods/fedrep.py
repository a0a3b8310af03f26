"""FedRep (Collins et al. 2021, "Exploiting shared representations", algorithm 1)."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from clients.methods.fedper import fedper
from clients.methods.groups import PARAMETERS, SLOTS, Groups
from clients.methods.late import tf
from clients.methods.method import Method, MethodOptions
from clients.methods.take import Take
from clients.naming import slot_of

__all__ = ["fedrep"]


def fedrep(options: MethodOptions) -> Method:
    """Share all but the head; learn the head first, then the shared layers with the head at rest.

    Of a question's steps the first `head_steps` move the head alone, the others all but the head.
    """
    first = int(options.values["head_steps"])

    def is_head(name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in options.private)

    def step(take: Take, own: Groups, shared: Groups) -> tuple[Groups, Any]:
        del shared
        gradients, loss = take.gradients(own[PARAMETERS])
        params, slots = take.apply(own[PARAMETERS], own[SLOTS], gradients)
        turn = take.index < first

        def moved(name: str, new: Any, old: Any) -> Any:
            return tf.where(turn, new, old) if is_head(name) else tf.where(turn, old, new)

        return {
            **own,
            PARAMETERS: {n: moved(n, v, own[PARAMETERS][n]) for n, v in params.items()},
            SLOTS: {n: moved(slot_of(n) or n, v, own[SLOTS][n]) for n, v in slots.items()},
        }, loss

    return replace(fedper(options), step=step, key=("fedrep", first, options.private))
