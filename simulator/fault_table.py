"""The table of faults: what goes wrong, and how often."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from simulator.sections import Section, Share

__all__ = ["ATTACKS", "CORRUPTIONS", "Faults"]

Spread = Annotated[float, Field(ge=0.0, le=5.0)]
Seconds = Annotated[float, Field(ge=0.0, le=1e9)]
Corruption = Literal["nan", "inf", "shape", "dtype", "truncated", "bits", "norm"]
CORRUPTIONS: tuple[Corruption, ...] = get_args(Corruption)
Attack = Literal["none", "sign-flip", "label-flip", "backdoor", "copies"]
ATTACKS: tuple[Attack, ...] = get_args(Attack)


class Faults(Section):
    """What goes wrong; drawn for each device and round, chosen or not, and alike in all arms.

    Rounds last `round_s` of simulated time each. An update is with the server when its device has
    downloaded, taken its steps and sent it.
    """

    availability: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    outage_rounds: Annotated[float, Field(ge=1.0, le=1e6)] | Literal["independent"] = "independent"
    trace: str = ""
    dropout: Share = 0.0
    dropout_when: Literal["before", "middle", "any"] = "any"
    round_s: Annotated[float, Field(gt=0.0, le=1e9)] = 60.0
    duration_rounds: Annotated[float, Field(ge=0.0, le=1000.0)] = 0.0
    step_s: Seconds = 0.0
    speed: Spread = 0.0
    bandwidth_kib_s: Annotated[float, Field(gt=0.0)] | Literal["unlimited"] = "unlimited"
    bandwidth_spread: Spread = 0.0
    latency_s: Seconds = 0.0
    latency_spread: Spread = 0.0
    deadline_s: Annotated[float, Field(gt=0.0)] | Literal["none"] = "none"
    lost: Share = 0.0
    duplicated: Share = 0.0
    late: Share = 0.0
    late_rounds: Annotated[int, Field(ge=1, le=1000)] = 1
    reordered: Share = 0.0
    corrupted: Share = 0.0
    corruptions: Annotated[
        list[Corruption], Field(min_length=1, default_factory=lambda: list(CORRUPTIONS))
    ]
    battery: bool = False
    battery_low: Share = 0.2
    drain_round: Share = 0.01
    drain_step: Share = 0.0005
    drain_mib: Share = 0.005
    charging: Share = 0.2
    charge_round: Share = 0.2
    hostile: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    attack: Attack = "none"
    attack_scale: Annotated[float, Field(gt=0.0, le=1e6)] = 5.0
    backdoor_activity: str = ""
    backdoor_target: str = ""
    trigger: Annotated[float, Field(gt=0.0, le=1000.0)] = 10.0

    @property
    def timed(self) -> bool:
        """Whether an update takes any simulated time."""
        unlimited = self.bandwidth_kib_s == "unlimited"
        return not unlimited or any((self.duration_rounds, self.step_s, self.latency_s))

    @model_validator(mode="after")
    def _possible_together(self) -> Faults:
        if self.outage_rounds != "independent" and self.availability == 1.0:
            raise ValueError(
                f"outage_rounds = {self.outage_rounds}: with availability = 1 no device is ever "
                "out of reach; give the share of the time in which one can be reached"
            )
        if self.outage_rounds != "independent":
            least = (1.0 - self.availability) / self.availability
            if self.outage_rounds < least:
                raise ValueError(
                    f"outage_rounds = {self.outage_rounds}: with availability = "
                    f"{self.availability} outages last {least:.3g} rounds at least, as there is a "
                    "round between two of them"
                )
        if self.trace and self.availability < 1.0:
            raise ValueError(
                f"trace = {self.trace!r} with availability = {self.availability}: who can be "
                "reached comes from one of them; take the other out"
            )
        if self.deadline_s != "none" and not self.timed:
            raise ValueError(
                f"deadline_s = {self.deadline_s}: updates take no time; give latency_s, step_s, "
                "bandwidth_kib_s or duration_rounds"
            )
        if self.attack != "none" and not self.hostile:
            raise ValueError(
                f'attack = "{self.attack}" with hostile = 0: nobody attacks; give hostile, the '
                "share of devices that do"
            )
        given = {bool(self.backdoor_activity), bool(self.backdoor_target)}
        if given != {self.attack == "backdoor"}:
            raise ValueError(
                f'attack = "{self.attack}" with backdoor_activity = {self.backdoor_activity!r} and '
                f"backdoor_target = {self.backdoor_target!r}: a backdoor lets the one be taken for "
                'the other; give both with attack = "backdoor", and only with that'
            )
        return self
