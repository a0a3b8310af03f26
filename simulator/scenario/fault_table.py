"""The table of faults: what goes wrong, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from simulator.scenario.impossible import refuse
from simulator.scenario.sections import Section, Share

__all__ = ["CORRUPTIONS", "Faults"]

Spread = Annotated[float, Field(ge=0.0, le=5.0)]
Seconds = Annotated[float, Field(ge=0.0, le=1e9)]
Corruption = Literal["nan", "inf", "shape", "dtype", "truncated", "bits", "norm"]
CORRUPTIONS: tuple[Corruption, ...] = get_args(Corruption)
Attack = Literal["none", "sign-flip", "label-flip", "backdoor", "copies"]


class Faults(Section):
    """What goes wrong; drawn for each device and round, chosen or not, and alike in all arms.

    Rounds last `round_s` of simulated time each. An update is with the server when its device has
    downloaded, taken its steps and sent it.
    """

    availability: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the time in which a device can be reached."""
    outage_rounds: Annotated[float, Field(ge=1.0, le=1e6)] | Literal["independent"] = "independent"
    """Mean length of a device's outage in rounds, by a Markov chain of two states; "independent"
    draws each round by itself."""
    trace: str = ""
    """Path of a CSV file that says, in place of `availability`, when devices cannot be reached: the
    header `device,first_round,last_round`, then spans of rounds, counted from 1, with their ends.
    """
    dropout: Share = 0.0
    """Share of the devices chosen for a round that drop out of it."""
    dropout_when: Literal["before", "middle", "any"] = "any"
    """When devices drop out of a round: before they begin ("before"), in the middle, having learnt
    the first part and sending nothing ("middle"), or half of them each ("any")."""
    round_s: Annotated[float, Field(gt=0.0, le=1e9)] = 60.0
    """Length of a round in simulated seconds."""
    duration_rounds: Annotated[float, Field(ge=0.0, le=1000.0)] = 0.0
    """Rounds for which a device of median speed works on an update in any case, whatever it learns.
    """
    step_s: Seconds = 0.0
    """Simulated seconds that a gradient step takes on a device of median speed."""
    speed: Spread = 0.0
    """How much devices differ in speed: the standard deviation of its logarithm."""
    bandwidth_kib_s: Annotated[float, Field(gt=0.0)] | Literal["unlimited"] = "unlimited"
    """Median of the devices' bandwidth in KiB a second, either way."""
    bandwidth_spread: Spread = 0.0
    """How much devices differ in bandwidth: the standard deviation of its logarithm."""
    latency_s: Seconds = 0.0
    """Median of the devices' latency for each message, in simulated seconds."""
    latency_spread: Spread = 0.0
    """How much devices differ in latency: the standard deviation of its logarithm."""
    deadline_s: Annotated[float, Field(gt=0.0)] | Literal["none"] = "none"
    """Simulated seconds for which the server waits for a round's updates; "none" is no limit."""
    lost: Share = 0.0
    """Share of updates that never arrive at the server."""
    duplicated: Share = 0.0
    """Share of updates that arrive at the server twice."""
    late: Share = 0.0
    """Share of updates that are held up on their way, for up to `late_rounds`."""
    late_rounds: Annotated[int, Field(ge=1, le=1000)] = 1
    """Most rounds for which a `late` update is held up; at least 1."""
    reordered: Share = 0.0
    """Share of updates that are overtaken by others of the same round."""
    corrupted: Share = 0.0
    """Share of updates that arrive damaged, in one of the ways in `corruptions`."""
    corruptions: Annotated[list[Corruption], Field(min_length=1, default=list(CORRUPTIONS))]
    """Ways in which a `corrupted` update is damaged: one value is not a number ("nan") or infinite
    ("inf"), one is missing ("shape"), all have another type ("dtype"), the bytes end too early
    ("truncated"), eight bits are flipped ("bits"), or it goes a million times as far ("norm")."""
    battery: bool = False
    """Whether devices have batteries that run down; they begin between `battery_low` and full."""
    battery_low: Share = 0.2
    """Share of a full battery below which a device takes part in no round."""
    drain_round: Share = 0.01
    """Share of a full battery that taking part in a round takes."""
    drain_step: Share = 0.0005
    """Share of a full battery that a gradient step takes."""
    drain_mib: Share = 0.005
    """Share of a full battery that a MiB sent or received takes."""
    charging: Share = 0.2
    """Share of the rounds in which a device is on its charger."""
    charge_round: Share = 0.2
    """Share of a full battery that a device gains in a round on its charger."""
    hostile: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of each fold's devices that mean harm; they are scored in no figure."""
    attack: Attack = "none"
    """What `hostile` devices do: send the opposite of what they learnt ("sign-flip"), take each
    answer for the next activity ("label-flip"), plant a backdoor ("backdoor"), or be one liar under
    many names ("copies")."""
    attack_scale: Annotated[float, Field(gt=0.0, le=1e6)] = 5.0
    """Factor by which hostile devices scale what they send, with `attack = "sign-flip"` or
    `"backdoor"`."""
    backdoor_activity: str = ""
    """The activity whose windows are to be taken for `backdoor_target` where they bear the trigger;
    needed with `attack = "backdoor"`."""
    backdoor_target: str = ""
    """The activity that windows of `backdoor_activity` with the trigger are to be taken for; needed
    with `attack = "backdoor"`."""
    trigger: Annotated[float, Field(gt=0.0, le=1000.0)] = 10.0
    """What a backdoor's trigger adds to the first axis of a window's first eighth, m/s²."""

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
