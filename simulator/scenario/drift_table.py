"""The table of a drift: what changes while devices are worn, when, and for whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainValidator, model_validator

from clients.errors import BadInput
from clients.plugins import DRIFT, plugin_of
from clients.stream_drift import STREAM_DRIFTS
from simulator.scenario.impossible import refuse
from simulator.scenario.plugins import defaults_of, drift_plugin, known_name, taken_in
from simulator.scenario.sections import Section, Share

__all__ = ["KINDS", "OF_STREAM", "OF_TIME", "DriftTable", "defaults_of_kind", "drift_keys_of"]

KINDS: Mapping[str, Mapping[str, Any]] = {
    "rotation": {"angle_deg": 90.0, "axis": "any"},
    "swap-wrist": {},
    "gain": {"factor": 1.5},
    "bias": {"offset": 3.0},
    "noise": {"deviation": 2.0},
    "rate": {"factor": 1.15},
    "dropout": {"share": 0.3},
    "gait": {"cadence": 0.85, "amplitude": 0.6},
    "new-activity": {},
    "label-shift": {"share": 0.8},
    "swap-user": {},
}
"""Kind of drift -> its own keys and their defaults."""

_NEEDED = {"new-activity": "activity", "label-shift": "activities"}
"""The key that a kind cannot do without."""

OF_STREAM = STREAM_DRIFTS
"""Kinds that change which windows reach a device; the others change what it measures."""

OF_TIME = ("rate", "dropout", "gait")
"""Kinds that change how samples follow one another."""


class DriftTable(Section):
    """One drift that is put into streams; the keys that a plug-in adds are attributes, too."""

    model_config = ConfigDict(extra="allow")  # what is unknown is refused by `taken_in`

    kind: Annotated[str, PlainValidator(lambda value: known_name(value, DRIFT))]
    """What the drift changes: how a device lies or measures, how its wearer moves, or what reaches
    it."""
    at: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5
    """Where the drift begins, as a share of the stream (of the part that `stream.rounds` leaves).
    """
    over: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of the stream over which the drift comes on, by a probability that rises evenly; 0 is
    sudden."""
    period: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Share of the stream that a spell of the drift and the pause after it take, both as long; 0
    lets the drift stay."""
    devices: Annotated[float, Field(gt=0.0, le=1.0)] | Annotated[list[str], Field(min_length=1)] = (
        1.0
    )
    """Devices that the drift befalls: a share of each fold's, drawn at random but exactly, or a
    list of their names."""
    angle_deg: Annotated[float, Field(ge=0.0, le=180.0)] | None = None
    """Degrees by which the drift turns the device."""
    axis: Literal["any", "x", "y", "z"] | None = None
    """The axis about which the drift turns the device; "any" draws one for each device."""
    factor: Annotated[float, Field(gt=0.0, le=10.0)] | None = None
    """Factor on all readings ("gain"), or how many samples pass in the time of one ("rate")."""
    offset: Annotated[float, Field(ge=0.0, le=100.0)] | None = None
    """Length of the vector that the drift adds to all readings, in a random direction, m/s²."""
    deviation: Annotated[float, Field(ge=0.0, le=100.0)] | None = None
    """Standard deviation of the noise that the drift adds to readings, m/s²."""
    share: Share | None = None
    """Share of the samples that are lost ("dropout"), or of the questions that are of `activities`
    ("label-shift")."""
    cadence: Annotated[float, Field(ge=0.5, le=2.0)] | None = None
    """Factor on the pace of the wearer's movements."""
    amplitude: Annotated[float, Field(ge=0.0, le=10.0)] | None = None
    """Factor on how far the samples of a window go from their mean."""
    activity: str | None = None
    """The activity that wearers take up when the drift begins, and that no donor shows."""
    activities: Annotated[list[str], Field(min_length=1)] | None = None
    """The activities that wearers do more than others when the drift has begun."""

    @property
    def needs(self) -> str:
        """The key that its kind cannot do without, empty where there is none."""
        return _NEEDED.get(self.kind, "")

    @property
    def named(self) -> list[str]:
        """The activities that it is about."""
        return [self.activity] if self.activity is not None else list(self.activities or [])

    def numbers(self) -> dict[str, float]:
        """Return how strong it is, by name."""
        values = {key: self.option(key) for key in defaults_of_kind(self.kind)}
        return {key: float(value) for key, value in values.items() if key != "axis"}

    def option(self, key: str) -> Any:
        """Return one of the kind's own keys, or its default."""
        value = getattr(self, key, None)
        return defaults_of_kind(self.kind)[key] if value is None else value

    @property
    def of_time(self) -> bool:
        """Whether it changes how samples follow one another."""
        plugin = drift_plugin(self.kind)
        return self.kind in OF_TIME if plugin is None else plugin.of_time

    @model_validator(mode="wrap")
    @classmethod
    def _with_keys_of_plugins(cls, table: Any, handler: Any) -> DriftTable:
        kind = table.get("kind") if isinstance(table, dict) else None
        plugin = drift_plugin(kind) if isinstance(kind, str) else None
        own = None if plugin is None else plugin.keys
        made: DriftTable = taken_in(table, handler, _FIELDS, own, (DRIFT, str(kind)))
        return made

    @model_validator(mode="after")
    def _options_of_the_kind(self) -> DriftTable:
        refuse(*self._impossible())
        return self

    def _impossible(self) -> Iterator[str]:
        """Say which of its keys do not go together, or with its kind."""
        allowed = drift_keys_of(self.kind)
        for key in DriftTable.model_fields:
            if key not in allowed and getattr(self, key) is not None:
                kinds = [kind for kind in KINDS if key in drift_keys_of(kind)]
                yield (
                    f'{key} means nothing for kind "{self.kind}"; it belongs to: {", ".join(kinds)}'
                )
        needed = _NEEDED.get(self.kind)
        if needed and getattr(self, needed) is None:
            yield (f'{needed}: missing; kind "{self.kind}" needs it')
        if self.over and self.period:
            yield (
                f"over = {self.over} with period = {self.period}: a drift that comes and goes "
                "comes suddenly; give one of them"
            )
        if self.kind == "rate" and not 0.5 <= self.option("factor") <= 2.0:
            yield (f"factor = {self.option('factor')}: of a clock, expected 0.5 to 2")
        if self.kind in ("dropout", "label-shift") and not 0.0 < self.option("share") < 1.0:
            yield (f"share = {self.option('share')}: expected more than 0 and less than 1")


_FIELDS = tuple(DriftTable.model_fields)
_COMMON = {"kind", "at", "over", "period", "devices"}


def drift_keys_of(kind: str) -> list[str]:
    """Return the keys that a drift of some kind may have."""
    added = defaults_of_kind(kind)
    own = {*_COMMON, *added, _NEEDED.get(kind)}
    return [key for key in dict.fromkeys([*_FIELDS, *added]) if key in own]


def defaults_of_kind(kind: str) -> Mapping[str, Any]:
    """Return the own keys of a kind that is built in or added, and their defaults.

    Raises:
        BadInput: a plug-in's keys cannot be told from those that every drift has.
    """
    plugin = drift_plugin(kind)
    if plugin is None:
        return KINDS.get(kind, {})
    added = defaults_of(DRIFT, kind, plugin.keys)
    taken = sorted(added.keys() & _COMMON)
    if taken:
        raise BadInput(
            f"plug-in {kind!r} ({DRIFT}) of {' '.join(plugin_of(DRIFT, kind))}: its key "
            f"{taken[0]!r} is one that every drift has; its author must give another name"
        )
    return added
