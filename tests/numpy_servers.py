"""Servers of a fleet in plain NumPy: each aggregation as its paper writes it."""

from dataclasses import dataclass, field

import numpy as np

from tests.numpy_program import minus, plus


@dataclass
class Came:
    """What one device sent: arrays, answered windows behind them, and its loss."""

    arrays: dict
    examples: int
    loss: float
    cluster: int = 0
    arrives: float = 0.0
    version: int = 0
    begun: dict = field(default_factory=dict)


def mean(came, weights=None):
    """Average, weighted or not."""
    weights = np.ones(len(came)) if weights is None else np.asarray(weights, np.float64)
    return {
        name: sum(w * one.arrays[name] for w, one in zip(weights, came, strict=True))
        / weights.sum()
        for name in came[0].arrays
    }


def by_examples(came):
    return mean(came, [one.examples for one in came])


def stack(came, name):
    return np.stack([one.arrays[name] for one in came])


class Server:
    """McMahan et al. 2017, algorithm 1: devices weigh their examples."""

    def __init__(self, sent, **keys):
        self.sent, self.keys = dict(sent), keys
        for name, value in keys.items():
            setattr(self, name, value)

    def round(self, came):
        if len(came) >= self.least:
            self.sent = {**self.sent, **self.aggregate(came)}

    @property
    def least(self):
        """How many have to come, so that there is something to aggregate."""
        return 1

    def aggregate(self, came):
        return by_examples(came)


class Momentum(Server):
    """Hsu et al. 2019: v = beta v + change; w += rate v."""

    def aggregate(self, came):
        change = minus(by_examples(came), self.sent)
        before = getattr(self, "v", None)
        self.v = change if before is None else plus(change, before, self.beta)
        return plus(self.sent, self.v, self.rate)


class Adaptive(Server):
    """Reddi et al. 2021, algorithm 2, with v from `first` on, where theirs is tau^2 or more.

    `corrected` adds what the paper has not: Adam's correction of the bias, as Flower counts rounds.
    """

    kind, first, corrected, number = "adam", 0.0, False, 0

    def aggregate(self, came):
        change = minus(by_examples(came), self.sent)
        if not hasattr(self, "m"):
            self.m = {n: 0.0 * v for n, v in self.sent.items()}
            self.v = {n: 0.0 * v + self.first for n, v in self.sent.items()}
        for n, d in change.items():
            self.m[n] = self.beta_1 * self.m[n] + (1.0 - self.beta_1) * d
            self.v[n] = self.second(self.v[n], d * d)
        rate = self.rate
        if self.corrected:
            rate *= np.sqrt(1.0 - self.beta_2 ** (self.number + 1))
            rate /= 1.0 - self.beta_1 ** (self.number + 1)
        return {
            n: w + rate * self.m[n] / (np.sqrt(self.v[n]) + self.tau) for n, w in self.sent.items()
        }

    def round(self, came):
        self.number += 1
        super().round(came)

    def second(self, v, square):
        if self.kind == "adagrad":
            return v + square
        if self.kind == "yogi":
            return v - (1.0 - self.beta_2) * square * np.sign(v - square)
        return self.beta_2 * v + (1.0 - self.beta_2) * square


class Fair(Server):
    """Li et al. 2020 (q-FFL), algorithm 2, with L = 1 / the devices' rate."""

    def aggregate(self, came):
        steps, heights = [], []
        for one in came:
            gradient = {n: (w - one.arrays[n]) / self.rate for n, w in self.sent.items()}
            square = sum(float(np.sum(g * g)) for g in gradient.values())
            loss = one.loss + 1e-10  # as in their code
            steps.append({n: loss**self.q * g for n, g in gradient.items()})
            heights.append(self.q * loss ** (self.q - 1) * square + loss**self.q / self.rate)
        return {n: w - sum(s[n] for s in steps) / sum(heights) for n, w in self.sent.items()}


class Plain(Server):
    """All weigh the same; pFedMe (Dinh et al. 2020, line 11) goes `beta` of the way there."""

    beta = 1.0

    def aggregate(self, came):
        return plus(self.sent, minus(mean(came), self.sent), self.beta)


class Controlled(Server):
    """Karimireddy et al. 2020, algorithm 1, lines 16 and 17."""

    def aggregate(self, came):
        came = mean(came)
        new = {}
        for name, value in self.sent.items():
            if name.startswith("control/"):
                change = came[name.replace("control/", "change/")]
                new[name] = value + self.took_part / self.devices * change
            else:
                new[name] = value + self.rate * (came[name] - value)
        return new

    def round(self, came):
        self.took_part = len(came)
        super().round(came)


class Median(Server):
    """Yin et al. 2018, definition 1."""

    def aggregate(self, came):
        return {name: np.median(stack(came, name), axis=0) for name in self.sent}


class Trimmed(Server):
    """Yin et al. 2018, definition 2: without the largest and the smallest share `trim`."""

    def aggregate(self, came):
        cut = int(self.trim * len(came))
        each = {name: np.sort(stack(came, name), axis=0) for name in self.sent}
        return {name: v[cut : len(came) - cut].mean(axis=0) for name, v in each.items()}


def krum_scores(came, liars):
    """Blanchard et al. 2017, section 4: squared distances to the n - f - 2 nearest others."""
    flat = [np.concatenate([a.ravel() for a in one.arrays.values()]) for one in came]
    count = max(1, len(came) - liars - 2)
    scores = []
    for i, one in enumerate(flat):
        apart = [float(np.sum((one - other) ** 2)) for j, other in enumerate(flat) if j != i]
        scores.append(sum(sorted(apart)[:count]))
    return scores


class Krum(Server):
    """Blanchard et al. 2017: of the best `selected` the mean; one of them is Krum.

    `weighted` gives them the weight of their examples, which is not in the paper.
    """

    selected, weighted = 1, False

    @property
    def least(self):
        return 2 * self.liars + 3

    def aggregate(self, came):
        best = np.argsort(krum_scores(came, self.liars), kind="stable")[: self.selected]
        return (by_examples if self.weighted else mean)([came[i] for i in best])


class Bulyan(Server):
    """Guerraoui & Rouault 2018, section 4: Krum picks one after the other, then a trimmed mean.

    `at_once` lets it pick all of them by their first scores, as Flower does.
    """

    at_once = False

    @property
    def least(self):
        return 4 * self.liars + 3

    def aggregate(self, came):
        left, picked = list(came), []
        if self.at_once:
            best = np.argsort(krum_scores(came, self.liars), kind="stable")
            picked = [came[i] for i in best[: len(came) - 2 * self.liars]]
        while len(picked) < len(came) - 2 * self.liars:
            picked.append(left.pop(int(np.argmin(krum_scores(left, self.liars)))))
        count = len(picked) - 2 * self.liars
        new = {}
        for name in self.sent:
            each = stack(picked, name)
            order = np.argsort(np.abs(each - np.median(each, axis=0)), axis=0)
            new[name] = np.take_along_axis(each, order[:count], axis=0).mean(axis=0)
        return new


class Private(Server):
    """McMahan et al. 2018, algorithm 1, fixed denominator; Andrew et al. 2021: the clip adapts."""

    quantile, clip_rate = 0.0, 0.0

    def aggregate(self, came):
        changes = [minus(one.arrays, self.sent) for one in came]
        norms = [np.sqrt(sum(float(np.sum(c * c)) for c in one.values())) for one in changes]
        shares = [min(1.0, self.clip / norm) for norm in norms]
        total = {
            name: sum(s * one[name] for s, one in zip(shares, changes, strict=True))
            for name in self.sent
        }
        if self.quantile:
            within = sum((norm <= self.clip) - 0.5 for norm in norms) / self.expected + 0.5
            self.clip *= np.exp(-self.clip_rate * (within - self.quantile))
        return plus(self.sent, total, 1.0 / self.expected)


class Clustered(Server):
    """Ghosh et al. 2020, algorithm 1, option II: each model is the mean of those who chose it."""

    def aggregate(self, came):
        new = {}
        for cluster in {one.cluster for one in came}:
            own = by_examples([one for one in came if one.cluster == cluster])
            new |= {f"cluster/{cluster}/{name}": value for name, value in own.items()}
        return new


class Buffered(Server):
    """Nguyen et al. 2022, algorithm 2: changes by arrival, each scaled by 1 / sqrt(1 + staleness).

    They weigh their examples, and are divided by those. Updates take `durations` rounds.
    """

    def __init__(self, sent, **keys):
        super().__init__(sent, **keys)
        self.flying, self.buffer, self.version, self.now = [], [], 0, 0
        self.staleness, self.lands = [], []  # the versions behind, and the changes of each round

    def round(self, came):
        self.now += 1
        for one in came:
            one.begun, one.version = self.sent, self.version
        self.flying += came
        landed = sorted((o for o in self.flying if o.arrives <= self.now), key=lambda o: o.arrives)
        self.flying = [one for one in self.flying if one.arrives > self.now]
        self.lands.append(len(landed))
        for one in landed:
            stale = self.version - one.version
            self.staleness.append(stale)
            self.buffer.append((one, one.examples / np.sqrt(1.0 + stale)))
            if len(self.buffer) == self.size:
                self.empty()
        if self.size == "round" and self.buffer:
            self.empty()

    def empty(self):
        total = sum(one.examples for one, _ in self.buffer)
        self.sent = {
            name: value
            + self.rate
            * sum(weight * (one.arrays[name] - one.begun[name]) for one, weight in self.buffer)
            / total
            for name, value in self.sent.items()
        }
        self.buffer, self.version = [], self.version + 1
