"""Ways of learning by name: their half on the device."""

from __future__ import annotations

from collections.abc import Callable

from clients.methods.apfl import apfl
from clients.methods.ditto import ditto
from clients.methods.fedavg import fedavg
from clients.methods.fedbn import fedbn
from clients.methods.fedper import fedper
from clients.methods.fedprox import fedprox
from clients.methods.fedrep import fedrep
from clients.methods.finetune import finetune
from clients.methods.frozen import frozen
from clients.methods.ifca import ifca
from clients.methods.local import local
from clients.methods.method import Arrays, Method, MethodOptions
from clients.methods.perfedavg import perfedavg
from clients.methods.pfedme import pfedme
from clients.methods.pooled import pooled
from clients.methods.qfedavg import qfedavg
from clients.methods.scaffold import scaffold

__all__ = ["AVERAGED", "METHODS", "Arrays", "Method", "MethodOptions"]

AVERAGED = ("fedavg", "fedper")
"""Those of which a server needs the plain mean alone, and which have no keys to be told."""

METHODS: dict[str, Callable[[MethodOptions], Method]] = {
    "frozen": frozen,
    "heuristic": frozen,
    "pooled": pooled,
    "local": local,
    "fedavg": fedavg,
    "fedprox": fedprox,
    "fedavgm": fedavg,
    "fedadam": fedavg,
    "fedyogi": fedavg,
    "fedadagrad": fedavg,
    "qfedavg": qfedavg,
    "scaffold": scaffold,
    "fedbuff": fedavg,
    "fedmedian": fedavg,
    "fedtrimmedavg": fedavg,
    "krum": fedavg,
    "multikrum": fedavg,
    "bulyan": fedavg,
    "dpfedavg": fedavg,
    "finetune": finetune,
    "fedper": fedper,
    "fedrep": fedrep,
    "fedbn": fedbn,
    "ditto": ditto,
    "apfl": apfl,
    "pfedme": pfedme,
    "perfedavg": perfedavg,
    "ifca": ifca,
}
"""Name -> the method in the round that the options name. `heuristic` is what `frozen` is to a
program, with thresholds in the program's place; methods that differ on the server alone are
`fedavg` on the device."""
