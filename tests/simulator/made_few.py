"""Fleets of a few devices with the `dense` program, and what the same come to in plain NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clients import chance
from clients.checkpoints import read_checkpoint
from simulator.scenario.options import OWN_KEYS
from tests import numpy_devices as devices
from tests import numpy_servers as servers
from tests.numpy_fleet import days_of, play
from tests.numpy_program import Adam, Descent, Network
from tests.simulator.made_fleets import ACTIVITIES

OPTIMIZERS = {"sgd": Descent, "adam": Adam}
RATES = {"sgd": 0.05, "adam": 0.005}
THREE, EVERYBODY = ["1601", "1602", "1603"], "all"
HEAD = ("classes/*",)
USUAL = {
    "learning": {"steps": 3, "memory": 16},
    "labels": {"answer_rate": 0.8, "mistake_rate": 0.1},
    "stream": {"questions_per_round": 3},
    "guard": {"max_norm": "off"},
}
EQUAL = {
    "learning": {"steps": 2, "memory": 0},
    "labels": {"answer_rate": 1.0, "mistake_rate": 0.0},
    "stream": {"questions_per_round": 3, "order": "shuffled", "batch": 1},
}
"""Every device learns from as many windows in a round as any other."""


def open_few(fleets, arm, sizes=(3,), *, users=THREE, engine="reference", **tables):
    """Lay out a fleet of one arm.

    Args:
        fleets: of one program.
        arm: its keys; gradient descent unless it says otherwise.
        sizes: devices in each cohort.
        users: whose.
        engine: by which it is run.
        tables: of the scenario.
    """
    if not any(fleets._folder.iterdir()):
        fleets.open({"method": "frozen"})  # the program's inputs are scaled by everybody's windows
    data = {"source": "wisdm-2019", "path": str(fleets._people), "activities": list(ACTIVITIES)}
    if arm["method"] != "frozen":
        optimizer = arm.get("optimizer", "sgd")
        arm = {"optimizer": optimizer, "learning_rate": RATES[optimizer], **arm}
    tables = {**USUAL, "fleet": {"engine": engine}, **tables}
    return fleets.open(arm, sizes, data={**data, "users": users}, **tables)


@dataclass(frozen=True)
class Way:
    """One way of learning in NumPy.

    Attributes:
        device: its half on the device.
        server: its half on the server, None without one.
        told: what the server is told: name there -> key of the arm, or a number.
        kept: groups of arrays that a device keeps beside its program -> where the device has them.
    """

    device: type
    server: type | None = servers.Server
    told: Mapping[str, object] = ()
    kept: Mapping[str, str] = ()


_ADAPTIVE = {"rate": "server_learning_rate", "tau": "tau", "beta_1": "beta_1", "beta_2": "beta_2"}
_MOMENTUM = {"rate": "server_learning_rate", "beta": "server_momentum"}
_CLIP = {"clip": "clip", "quantile": "clip_quantile", "clip_rate": "clip_learning_rate"}
WAYS = {
    "local": Way(devices.Local, None),
    "fedavg": Way(devices.FedAvg),
    "fedprox": Way(devices.FedProx),
    "fedavgm": Way(devices.FedAvg, servers.Momentum, _MOMENTUM),
    "fedadam": Way(devices.FedAvg, servers.Adaptive, _ADAPTIVE),
    "fedyogi": Way(devices.FedAvg, servers.Adaptive, {**_ADAPTIVE, "kind": "yogi"}),
    "fedadagrad": Way(
        devices.FedAvg, servers.Adaptive, {**_ADAPTIVE, "kind": "adagrad", "beta_1": 0.0}
    ),
    "qfedavg": Way(devices.QFed, servers.Fair, {"q": "q", "rate": "learning_rate"}),
    "scaffold": Way(
        devices.Scaffold,
        servers.Controlled,
        {"rate": "server_learning_rate", "devices": "devices"},
        {"control": "control"},
    ),
    "fedbuff": Way(
        devices.FedAvg, servers.Buffered, {"rate": "server_learning_rate", "size": "buffer"}
    ),
    "fedmedian": Way(devices.FedAvg, servers.Median),
    "fedtrimmedavg": Way(devices.FedAvg, servers.Trimmed, {"trim": "trim"}),
    "krum": Way(devices.FedAvg, servers.Krum, {"liars": "liars"}),
    "multikrum": Way(devices.FedAvg, servers.Krum, {"liars": "liars", "selected": "selected"}),
    "bulyan": Way(devices.FedAvg, servers.Bulyan, {"liars": "liars"}),
    "dpfedavg": Way(devices.FedAvg, servers.Private, {**_CLIP, "expected": "expected"}),
    "finetune": Way(devices.FedAvg),
    "fedper": Way(devices.FedAvg),
    "fedrep": Way(devices.FedRep),
    "fedbn": Way(devices.FedAvg),
    "ditto": Way(devices.Ditto, kept={"shared": "w"}),
    "apfl": Way(devices.Apfl, kept={"shared": "w", "personal": "v"}),
    "pfedme": Way(devices.PFedMe, servers.Plain, {"beta": "server_learning_rate"}, {"shared": "w"}),
    "perfedavg": Way(devices.PerFedAvg, kept={"meta": "w"}),
    "ifca": Way(devices.Ifca, servers.Clustered),
}


class InNumpy:
    """What a fleet comes to in NumPy.

    Attributes:
        devices: after the last round.
        server: likewise, None without one.
    """

    def __init__(self, opened, trial, rounds, *, told=(), **way):
        """Play the rounds of a trial, with its participants.

        Args:
            opened: the fleet.
            trial: what it came to.
            rounds: how many.
            told: more that the server is told.
            way: what befalls devices and updates, as `play` takes it.
        """
        plan, arm = opened.plan, opened.plan.scenario.arms[0]
        self._way, self._names = WAYS[arm.method], [plan.name_of(d) for d in range(plan.devices)]
        keys = {key: arm.option(key) for key in OWN_KEYS.get(arm.method, {})}
        self.devices = self._made(opened, arm, keys)
        self.server = None
        if self._way.server is not None:
            known = {**keys, "learning_rate": arm.learning_rate, "devices": plan.devices}
            known["expected"] = plan.devices * (arm.participation or 1.0)
            wanted = dict(self._way.told).items()
            given = {n: known.get(k, k) if isinstance(k, str) else k for n, k in wanted}
            self.server = self._way.server(self._offered(arm.method), **given, **dict(told))
        days = days_of(opened, rounds)
        chosen = [self._participants(trial, round_) for round_ in range(1, rounds + 1)]
        if arm.method == "finetune":
            self._fine_tuned(days, chosen, arm.switch_round)
            return
        alone = self.server is None
        play(self.devices, self.server, days, chosen, all_learn=alone, **way)

    def _made(self, opened, arm, keys):
        variables = read_checkpoint(opened.prepared.paths[arm.optimizer])
        params = ((k, v) for k, v in variables.items() if k.startswith("params/"))
        base = {key.removeprefix("params/"): value for key, value in params}
        network = Network(variables["mean"], variables["scale"])
        private = tuple(arm.private or (HEAD if arm.method in ("fedper", "fedrep") else ()))
        plan = opened.plan
        draws = chance.uniforms(plan.scenario.seed, "start", 0, np.arange(plan.devices), 1)
        made = []
        for draw in draws[:, 0].astype(np.float32):
            optimizer = OPTIMIZERS[arm.optimizer](arm.learning_rate)
            more = {"private": private, "draw": draw, **keys}
            made.append(self._way.device(network, base, optimizer, **more))
        return made

    def _offered(self, method):
        device = self.devices[0]
        if method == "scaffold":
            none = {f"control/{name}": 0.0 * value for name, value in device.w.items()}
            return {**device.w, **none}
        if method == "ifca":
            clusters = range(device.clusters)
            return {f"cluster/{c}/{name}": v for c in clusters for name, v in device.w.items()}
        return device.shares(device.w)

    def _participants(self, trial, round_):
        rows = trial.rounds[(trial.rounds["round"] == round_) & trial.rounds["participant"]]
        return {self._names.index(name) for name in rows["device"]}

    def _fine_tuned(self, days, chosen, switch):
        play(self.devices, self.server, days, chosen[:switch])
        for device in self.devices:
            device.receive(self.server.sent)
        rest = [own[switch:] for own in days]
        play(self.devices, None, rest, chosen[switch:], all_learn=True)

    def apart(self, trial, *, serves=True):
        """Return by how much each array of a trial differs from the same in NumPy, by its name.

        Args:
            trial: what the product came to.
            serves: whether the devices were saved with what the server would send them.
        """
        pairs = {}
        if self.server is not None:
            assert trial.shared.keys() == self.server.sent.keys()
            pairs |= {name: (trial.shared[name], v) for name, v in self.server.sent.items()}
        states = list(trial.states.values())
        state = {key: np.concatenate([one[key] for one in states]) for key in states[0]}
        for row, (name, device) in enumerate(zip(self._names, self.devices, strict=True)):
            sent = self.server.sent if self.server and serves else None
            served = device.answering if sent is None else device.served(sent)
            groups = {"program/params": device.answering}
            for group, attribute in dict(self._way.kept).items():
                groups[f"method/{group}"] = getattr(device, attribute)
            for n in device.w:
                answers = trial.devices[name][f"params/{n}"], served[n]
                pairs[f"{name}: answers with {n}"] = answers
                for group, arrays in groups.items():
                    found = state[f"{group}/{n}"][row]
                    pairs[f"{name}: {group}/{n}"] = found, arrays[n]
            for key, attribute in (("mix/alpha", "alpha"), ("choice/cluster", "cluster")):
                if hasattr(device, attribute):
                    found = state[f"method/{key}"][row]
                    pairs[f"{name}: {key}"] = found, getattr(device, attribute)
        return {key: float(np.abs(found - wanted).max()) for key, (found, wanted) in pairs.items()}
