"""What a private arm gives away of each user, at most."""

from __future__ import annotations

import math

from simulator.scenario.arm import Arm

__all__ = ["epsilon_of"]


def epsilon_of(arm: Arm, rounds: int) -> float | None:
    """Return the epsilon of an arm with central differential privacy, None for another arm.

    It is that of a user whose device could take part in every round: a round lets each device in by
    a coin of its own (Poisson sampling with probability `participation`), sums clipped changes, and
    adds Gaussian noise of `noise` times the clip. Neighbouring fleets differ by one device, that is
    there or not. Losses are composed by their distributions (dp-accounting's PLD accountant), and
    epsilon is for the arm's `delta`. A user who wears k devices loses more, at one
    delta even more than k times as much.

    Args:
        arm: in one fold.
        rounds: in which the server aggregated.
    """
    if arm.method != "dpfedavg":
        return None
    if not arm.option("noise"):
        return math.inf
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    noisy = dp_accounting.GaussianDpEvent(float(arm.option("noise")))
    share = 1.0 if arm.participation is None else arm.participation
    round_ = noisy if share == 1.0 else dp_accounting.PoissonSampledDpEvent(share, noisy)
    accountant = PLDAccountant()
    accountant.compose(round_, rounds)
    return float(accountant.get_epsilon(float(arm.option("delta"))))
