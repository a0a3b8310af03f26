"""What each way of learning may be told by its arm: keys, defaults and where those come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "LEARNING",
    "METHODS",
    "OWN_KEYS",
    "PAIRWISE",
    "PERSONAL",
    "PLAIN",
    "PRIVATE_PARTS",
    "REACTIONS",
    "SHARING",
]

METHODS = (
    "frozen", "heuristic", "pooled", "local", "fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi",
    "fedadagrad", "qfedavg", "scaffold", "fedbuff", "fedmedian", "fedtrimmedavg", "krum",
    "multikrum", "bulyan", "dpfedavg", "finetune", "fedper", "fedrep", "fedbn", "ditto", "apfl",
    "pfedme", "perfedavg", "ifca",
)  # fmt: skip
"""The built-in ways of learning."""

OWN_KEYS: Mapping[str, Mapping[str, Any]] = {
    # Li et al. 2020: 1 was best on three of their five data sets.
    "fedprox": {"mu": 1.0},
    # Hsu et al. 2019, section 4.
    "fedavgm": {"server_learning_rate": 1.0, "server_momentum": 0.9},
    # Reddi et al. 2021: betas and tau as in their section 4; a server's rate of 0.01 was the best
    # of FedAdam and FedYogi on most of their tasks, one of 0.1 that of FedAdagrad.
    "fedadam": {"server_learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "tau": 0.001},
    "fedyogi": {"server_learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "tau": 0.001},
    "fedadagrad": {"server_learning_rate": 0.1, "tau": 0.001},
    # Li et al. 2020 (q-FFL): 1 on two of their four data sets.
    "qfedavg": {"q": 1.0},
    # Karimireddy et al. 2020, section 7.
    "scaffold": {"server_learning_rate": 1.0},
    # Nguyen et al. 2022, section 5.
    "fedbuff": {"server_learning_rate": 1.0, "buffer": 10},
    # Yin et al. 2018 need it to be at least the share of devices that lie; Flower's default.
    "fedtrimmedavg": {"trim": 0.2},
    # Blanchard et al. 2017; El Mhamdi et al. 2018. None is known to lie unless told so.
    "krum": {"liars": 0},
    "multikrum": {"liars": 0, "selected": 5},
    "bulyan": {"liars": 0},
    # McMahan et al. 2018; Andrew et al. 2021 for the clip that adapts.
    "dpfedavg": {
        "noise": 1.0, "clip": 0.1, "clip_quantile": 0.0, "clip_learning_rate": 0.2, "delta": 1e-5,
    },
    # Their local heads take ten passes for each one of the shared layers: all steps but the last.
    "fedrep": {"head_steps": 3},
    # Li et al. 2021, section 4.
    "ditto": {"lambda": 1.0},
    # Deng et al. 2020, table 1 fixes it; `adaptive` lets it follow its own gradient.
    "apfl": {"alpha": 0.5, "adaptive": False},
    # Dinh et al. 2020, section 5.
    "pfedme": {"lambda": 15.0, "eta": 0.005, "inner_steps": 5, "server_learning_rate": 1.0},
    # Fallah et al. 2020, section 5.
    "perfedavg": {"alpha": 0.001},
    # Ghosh et al. 2020, section 6.
    "ifca": {"clusters": 2},
}  # fmt: skip
"""Method -> its own keys and their defaults."""

SHARING = (
    "fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi", "fedadagrad", "qfedavg", "scaffold",
    "fedbuff", "fedmedian", "fedtrimmedavg", "krum", "multikrum", "bulyan", "dpfedavg", "finetune",
    "fedper", "fedrep", "fedbn", "ditto", "apfl", "pfedme", "perfedavg", "ifca",
)  # fmt: skip
"""Methods with a server."""

LEARNING = ("local", "pooled", *SHARING)
"""Methods that learn."""

PRIVATE_PARTS = ("fedper", "fedrep", "fedbn")
"""Methods that keep some of a model's parameters on the device, named by patterns."""

PLAIN = (
    "local", "pooled", "fedavg", "fedavgm", "fedadam", "fedyogi", "fedadagrad", "fedbuff",
    "fedmedian", "fedtrimmedavg", "krum", "multikrum", "bulyan", "dpfedavg", "finetune", "fedper",
    "fedbn",
)  # fmt: skip
"""Methods whose devices learn by their program's own step, as SavedModels of others offer it."""

PERSONAL = ("local", "finetune", "fedper", "fedrep", "fedbn", "ditto", "apfl")
"""Methods whose devices answer with parameters that no download replaces, in part at least."""

REACTIONS: Mapping[str, Mapping[str, Any]] = {
    "learn-faster": {"reaction_rounds": 5, "reaction_factor": 4.0},
    "clear-memory": {},
    "reset-head": {},
    "last-good": {},
    "ask-more": {"reaction_rounds": 5, "reaction_factor": 2.0},
}
"""What devices do about an alarm -> its own keys and their defaults."""

PAIRWISE = ("krum", "multikrum", "bulyan")
"""Methods that compare each update with each other one."""
