"""The table of faults: what goes wrong, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from simulator.scenario.impossible import refuse
from simulator.scenario.sections import Section, Share

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
    """Share of the time in which a device can be reached."""
    outage_rounds: Annotated[float, Field(ge=1.0, le=1e6)] | Literal["independent"] = "independent"
    """Mean length of an outage in rounds, of a Markov chain of two states; "independent" draws each
    round by itself."""
    trace: str = ""
    """In place of `availability`: a CSV file with the header `device,first_round,last_round`, spans
    of rounds, from 1 and with their ends, in which a device cannot be reached."""
    dropout: Share = 0.0
    """Share of those chosen that drop out of a round."""
    dropout_when: Literal["before", "middle", "any"] = "any"
    """When: before they begin, in the middle (they have learnt the first part, and send nothing),
    or half of each ("any")."""
    round_s: Annotated[float, Field(gt=0.0, le=1e9)] = 60.0
    """Simulated seconds of a round."""
    duration_rounds: Annotated[float, Field(ge=0.0, le=1000.0)] = 0.0
    """Rounds that a device of median speed works in any case, whatever it learns."""
    step_s: Seconds = 0.0
    """Simulated seconds of a gradient on a device of median speed."""
    speed: Spread = 0.0
    """Standard deviation of the logarithm of the speed over devices."""
    bandwidth_kib_s: Annotated[float, Field(gt=0.0)] | Literal["unlimited"] = "unlimited"
    """Median of the devices' bandwidth, either way, in KiB a second."""
    bandwidth_spread: Spread = 0.0
    """Standard deviation of its logarithm over devices."""
    latency_s: Seconds = 0.0
    """Median of the devices' latency, of each message, in seconds."""
    latency_spread: Spread = 0.0
    """Standard deviation of its logarithm over devices."""
    deadline_s: Annotated[float, Field(gt=0.0)] | Literal["none"] = "none"
    """How many simulated seconds the server waits for a round's updates."""
    lost: Share = 0.0
    """Share of the updates that never arrive."""
    duplicated: Share = 0.0
    """Share of the updates that arrive twice."""
    late: Share = 0.0
    """Share of the updates that are held up."""
    late_rounds: Annotated[int, Field(ge=1, le=1000)] = 1
    """By 1 to so many rounds."""
    reordered: Share = 0.0
    """Share of the updates that are overtaken by others of the same round."""
    corrupted: Share = 0.0
    """Share of the updates that arrive as something else."""
    corruptions: Annotated[
        list[Corruption], Field(min_length=1, default_factory=lambda: list(CORRUPTIONS))
    ]
    """As what: one value is not a number ("nan") or infinite ("inf"), one is missing ("shape"), all
    have another type ("dtype"), the bytes end too early ("truncated"), eight bits are flipped
    ("bits"), or it goes a million times as far ("norm")."""
    battery: bool = False
    """Whether batteries matter; they begin between `battery_low` and full."""
    battery_low: Share = 0.2
    """Share of a full battery below which a device takes no part."""
    drain_round: Share = 0.01
    """Share of a full battery that a round takes."""
    drain_step: Share = 0.0005
    """Share of a full battery that a gradient takes."""
    drain_mib: Share = 0.005
    """Share of a full battery that a MiB of the network takes."""
    charging: Share = 0.2
    """Share of the rounds in which a device is on its charger."""
    charge_round: Share = 0.2
    """Share of a full battery that it gains in one of these."""
    hostile: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of each fold's devices that mean harm; they are scored in no figure."""
    attack: Attack = "none"
    """What they do: send the opposite of what they learnt, take each answer for the next activity,
    plant a backdoor, or be one liar under many names."""
    attack_scale: Annotated[float, Field(gt=0.0, le=1e6)] = 5.0
    """How far `sign-flip` and `backdoor` scale what they send."""
    backdoor_activity: str = ""
    """The activity whose windows, with the trigger, the backdoor lets be taken for another."""
    backdoor_target: str = ""
    """The activity that they are taken for."""
    trigger: Annotated[float, Field(gt=0.0, le=1000.0)] = 10.0
    """What the trigger adds to the first axis of a window's first eighth, m/s²."""

    @property
    def timed(self) -> bool:
        """Whether an update takes any simulated time."""
        unlimited = self.bandwidth_kib_s == "unlimited"
        return not unlimited or any((self.duration_rounds, self.step_s, self.latency_s))

    @model_validator(mode="after")
    def _possible_together(self) -> Faults:
        refuse(*self._impossible())
        return self

    def _impossible(self) -> Iterator[str]:
        """Say which of its keys do not go together."""
        if self.outage_rounds != "independent" and self.availability == 1.0:
            yield (
                f"outage_rounds = {self.outage_rounds}: with availability = 1 no device is ever "
                "out of reach; give the share of the time in which one can be reached"
            )
        if self.outage_rounds != "independent":
            least = (1.0 - self.availability) / self.availability
            if self.outage_rounds < least:
                yield (
                    f"outage_rounds = {self.outage_rounds}: with availability = "
                    f"{self.availability} outages last {least:.3g} rounds at least, as there is a "
                    "round between two of them"
                )
        if self.trace and self.availability < 1.0:
            yield (
                f"trace = {self.trace!r} with availability = {self.availability}: who can be "
                "reached comes from one of them; take the other out"
            )
        if self.deadline_s != "none" and not self.timed:
            yield (
                f"deadline_s = {self.deadline_s}: updates take no time; give latency_s, step_s, "
                "bandwidth_kib_s or duration_rounds"
            )
        if self.attack != "none" and not self.hostile:
            yield (
                f'attack = "{self.attack}" with hostile = 0: nobody attacks; give hostile, the '
                "share of devices that do"
            )
        given = {bool(self.backdoor_activity), bool(self.backdoor_target)}
        if given != {self.attack == "backdoor"}:
            yield (
                f'attack = "{self.attack}" with backdoor_activity = {self.backdoor_activity!r} and '
                f"backdoor_target = {self.backdoor_target!r}: a backdoor lets the one be taken for "
                'the other; give both with attack = "backdoor", and only with that'
            )
