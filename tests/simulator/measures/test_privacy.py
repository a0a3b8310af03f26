"""Epsilon of a private arm, against bounds that follow from elsewhere."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from simulator.measures.privacy import epsilon_of
from simulator.scenario.arm import Arm


def private(**keys):
    return Arm.model_validate({"name": "private", "method": "dpfedavg", **keys})


def gaussian_epsilon(noise, rounds, delta):
    """Solve the exact trade-off of a composed Gaussian mechanism (Balle & Wang 2018, theorem 8).

    Rounds of noise z, none of them sampled, are one of noise z / sqrt(rounds).
    """
    mu = math.sqrt(rounds) / noise

    def excess(epsilon):
        low, high = mu / 2 - epsilon / mu, -mu / 2 - epsilon / mu
        return norm.cdf(low) - math.exp(epsilon) * norm.cdf(high) - delta

    return brentq(excess, 0.0, 500.0)


@pytest.mark.parametrize(("noise", "rounds"), [(1.0, 1), (1.0, 20), (4.0, 20), (8.0, 3)])
def test_without_sampling_it_is_that_of_the_gaussian_mechanism(noise, rounds):
    found = epsilon_of(private(noise=noise), rounds)
    wanted = gaussian_epsilon(noise, rounds, 1e-5)
    # An upper bound, and a tight one.
    assert wanted <= found * (1.0 + 1e-6)
    assert found == pytest.approx(wanted, rel=2e-3)


def test_sampling_rounds_noise_and_delta_change_it_as_they_should():
    usual = epsilon_of(private(participation=0.05), 20)
    assert usual < epsilon_of(private(participation=0.2), 20)
    assert usual < epsilon_of(private(participation=0.05), 40)
    assert usual < epsilon_of(private(participation=0.05, noise=0.8), 20)
    assert usual < epsilon_of(private(participation=0.05, delta=1e-6), 20)


def test_one_sampled_round_is_bounded_by_amplification():
    # (epsilon, delta) of a round becomes (log(1 + q (e^epsilon - 1)), q delta) when it is sampled.
    share, delta = 0.1, 1e-5
    whole = gaussian_epsilon(1.0, 1, delta / share)
    bound = math.log1p(share * math.expm1(whole))
    found = epsilon_of(private(participation=share, delta=delta), 1)
    assert found <= bound * 1.001
    assert found == pytest.approx(bound, rel=0.05)


def test_no_noise_protects_nobody():
    assert epsilon_of(private(noise=0.0), 5) == np.inf


@pytest.mark.parametrize("method", ["local", "fedavg", "fedmedian"])
def test_other_arms_promise_nothing(method):
    assert epsilon_of(Arm.model_validate({"name": "other", "method": method}), 5) is None
