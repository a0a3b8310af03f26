"""Devices of a fleet in plain NumPy: each way of learning as its paper writes it."""

from fnmatch import fnmatchcase

import numpy as np

from tests.numpy_program import Adam, minus, plus


class FedAvg:
    """McMahan et al. 2017, algorithm 1, ClientUpdate; `private` parameters stay (FedPer, FedBN).

    Attributes:
        look: what it sees of its memory as a round begins.
        index: place of a step among those of its question.
    """

    def __init__(self, network, base, optimizer, *, private=(), draw=0.0, **keys):
        self.network, self.optimizer, self.keys = network, optimizer, keys
        self.w, self.private, self.draw = dict(base), private, draw
        self.losses = []

    def shares(self, params):
        kept = [n for n in params if any(fnmatchcase(n, p) for p in self.private)]
        return {name: value for name, value in params.items() if name not in kept}

    def receive(self, sent):
        self.losses, self.sent = [], sent
        received = self.shares(sent)
        self.w = {**self.w, **received}
        self.optimizer.forget(received)

    def step(self, batch):
        gradients, loss = self.network.gradients(self.w, batch)
        self.losses.append(loss)
        self.w = self.optimizer.moved(self.w, gradients)

    def send(self):
        return self.shares(self.w)

    def times(self, arrays, factor):
        """What it sends if it means harm: its change, so many times."""
        sent = {name: self.sent[name] for name in arrays}
        return plus(sent, minus(arrays, sent), factor)

    def loss(self):
        """What it tells the server of how wrong it was."""
        return float(np.mean(self.losses)) if self.losses else 0.0

    @property
    def answering(self):
        """What answers the user."""
        return self.w

    def served(self, sent):
        """What would answer the user in the next round; the device stays as it is."""
        return {**self.w, **self.shares(sent)}


class Local(FedAvg):
    """Nothing comes and nothing goes."""

    def receive(self, sent):
        del sent

    def served(self, sent):
        del sent
        return self.w


class FedProx(FedAvg):
    """Li et al. 2020, algorithm 2: minimize F(w) + mu / 2 ||w - w_t||^2."""

    def step(self, batch):
        gradients, loss = self.network.gradients(self.w, batch)
        pull = minus(self.w, self.sent)
        self.losses.append(loss)
        self.w = self.optimizer.moved(self.w, plus(gradients, pull, self.keys["mu"]))


class QFed(FedAvg):
    """Li et al. 2020 (q-FFL), algorithm 2: the device tells F_k(w_t) beside its weights."""

    def receive(self, sent):
        super().receive(sent)
        self.found = self.network.gradients(sent, self.look)[1] if len(self.look.y) else None

    def loss(self):
        return super().loss() if self.found is None else self.found


class Scaffold(FedAvg):
    """Karimireddy et al. 2020, algorithm 1, option II, which is for gradient descent.

    For another optimizer the control is the mean gradient, as it is under gradient descent.
    """

    def __init__(self, network, base, optimizer, **keys):
        super().__init__(network, base, optimizer, **keys)
        self.control = {name: 0.0 * value for name, value in base.items()}

    def receive(self, sent):
        params = {n: v for n, v in sent.items() if not n.startswith("control/")}
        super().receive(params)
        self.theirs, self.taken = {n: sent[f"control/{n}"] for n in params}, []

    def step(self, batch):
        gradients, _ = self.network.gradients(self.w, batch)
        self.taken.append(gradients)
        corrected = plus(minus(gradients, self.control), self.theirs)
        self.w = self.optimizer.moved(self.w, corrected)

    def send(self):
        before, steps = self.control, len(self.taken)
        if isinstance(self.optimizer, Adam):
            self.control = {n: sum(g[n] for g in self.taken) / steps for n in before}
        else:
            moved = minus(self.sent, self.w)
            far = steps * self.optimizer.rate
            self.control = plus(minus(before, self.theirs), moved, 1.0 / far)
        changed = minus(self.control, before)
        return {**self.w, **{f"change/{name}": value for name, value in changed.items()}}

    def times(self, arrays, factor):
        moved = super().times({name: arrays[name] for name in self.w}, factor)
        return moved | {f"change/{name}": factor * arrays[f"change/{name}"] for name in self.w}


class FedRep(FedAvg):
    """Collins et al. 2021, algorithm 1: the head first, then the rest with that head."""

    def step(self, batch):
        gradients, _ = self.network.gradients(self.w, batch)
        rest = self.shares(gradients)
        head = {name: g for name, g in gradients.items() if name not in rest}
        turn = head if self.index < self.keys["head_steps"] else rest
        self.w = {**self.w, **self.optimizer.moved(self.w, turn)}


class Ditto(FedAvg):
    """Li et al. 2021, algorithm 1: v follows grad F(v) + lambda (v - w_t), and answers."""

    def __init__(self, network, base, optimizer, **keys):
        super().__init__(network, base, optimizer, **keys)
        self.v, self.own = dict(base), optimizer.fresh()

    def step(self, batch):
        gradients, _ = self.network.gradients(self.v, batch)
        pull = minus(self.v, self.sent)
        self.v = self.own.moved(self.v, plus(gradients, pull, self.keys["lambda"]))
        super().step(batch)

    @property
    def answering(self):
        return self.v

    def served(self, sent):
        del sent
        return self.v


class Apfl(FedAvg):
    """Deng et al. 2020, algorithm 1, and their update of alpha where it adapts."""

    def __init__(self, network, base, optimizer, *, alpha, adaptive=False, **keys):
        super().__init__(network, base, optimizer, **keys)
        self.v, self.own, self.alpha, self.adaptive = dict(base), optimizer.fresh(), alpha, adaptive

    def step(self, batch):
        at_mix, _ = self.network.gradients(self.answering, batch)
        apart = minus(self.v, self.w)
        slope = sum(float(np.sum(apart[n] * at_mix[n])) for n in apart)
        # By the chain rule: the mix holds alpha times v.
        self.v = self.own.moved(self.v, {n: self.alpha * g for n, g in at_mix.items()})
        super().step(batch)
        if self.adaptive:
            self.alpha = min(1.0, max(0.0, self.alpha - self.optimizer.rate * slope))

    def mix(self, w):
        return {n: self.alpha * v + (1.0 - self.alpha) * w[n] for n, v in self.v.items()}

    @property
    def answering(self):
        return self.mix(self.w)

    def served(self, sent):
        return self.mix(sent)


class PFedMe(FedAvg):
    """Dinh et al. 2020, algorithm 1; theta goes on from where it was."""

    def __init__(self, network, base, optimizer, **keys):
        super().__init__(network, base, optimizer, **keys)
        self.theta = dict(base)

    def receive(self, sent):
        self.losses, self.w = [], dict(sent)

    def step(self, batch):
        weight = self.keys["lambda"]
        for _ in range(self.keys["inner_steps"]):
            gradients, _ = self.network.gradients(self.theta, batch)
            near = plus(gradients, minus(self.theta, self.w), weight)
            self.theta = self.optimizer.moved(self.theta, near)
        self.w = plus(self.w, minus(self.w, self.theta), -self.keys["eta"] * weight)

    @property
    def answering(self):
        return self.theta

    def served(self, sent):
        del sent
        return self.theta


class PerFedAvg(FedAvg):
    """Fallah et al. 2020, algorithm 1 without second derivatives, each half of a batch one set."""

    def receive(self, sent):
        super().receive(sent)
        self.adapted = self.ahead(self.look)

    def ahead(self, batch, w=None):
        w = self.w if w is None else w
        return plus(w, self.network.gradients(w, batch)[0], -self.keys["alpha"])

    def step(self, batch):
        gradients, loss = self.network.gradients(self.ahead(batch.half(0)), batch.half(1))
        self.losses.append(loss)
        self.w = self.optimizer.moved(self.w, gradients)
        self.adapted = self.ahead(batch)

    @property
    def answering(self):
        return self.adapted if hasattr(self, "adapted") else self.w

    def served(self, sent):
        return self.ahead(self.look, sent)


class Ifca(FedAvg):
    """Ghosh et al. 2020, algorithm 1, option II; by chance as long as nothing is known."""

    def __init__(self, network, base, optimizer, *, clusters, **keys):
        super().__init__(network, base, optimizer, **keys)
        self.cluster, self.clusters = int(self.draw * clusters), clusters

    def chosen(self, sent):
        models = [{n: sent[f"cluster/{c}/{n}"] for n in self.w} for c in range(self.clusters)]
        if not len(self.look.y):
            return self.cluster, models[self.cluster]
        losses = [self.network.gradients(model, self.look)[1] for model in models]
        return int(np.argmin(losses)), models[int(np.argmin(losses))]

    def receive(self, sent):
        self.cluster, model = self.chosen(sent)
        super().receive(model)

    def served(self, sent):
        return self.chosen(sent)[1]
