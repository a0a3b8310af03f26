"""The table of an arm: one way of learning, and what it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainValidator, ValidationError, model_validator

from clients.errors import BadInput
from clients.plugins import METHODS as OF_METHODS
from clients.plugins import plugin_of
from simulator.scenario.impossible import refuse
from simulator.scenario.options import (
    LEARNING,
    OWN_KEYS,
    PERSONAL,
    PRIVATE_PARTS,
    REACTIONS,
    SHARING,
)
from simulator.scenario.plugins import in_place, known_name, method_plugin, taken_in
from simulator.scenario.sections import Count, CountOrNone, Name, Positive, Section, Share
from simulator.scenario.ways import is_personal, keeps_private, own_keys, strategy_of

__all__ = ["Arm", "keys_of"]

Method = Annotated[str, PlainValidator(lambda value: known_name(value, OF_METHODS))]
Reaction = Literal["learn-faster", "clear-memory", "reset-head", "last-good", "ask-more"]
NotNegative = Annotated[float, Field(ge=0.0)]
BelowOne = Annotated[float, Field(ge=0.0, lt=1.0)]


class Arm(Section):
    """One way of learning; what it leaves out is as in the rest of the scenario.

    The keys that a plug-in's method adds are attributes, too.
    """

    model_config = ConfigDict(extra="allow")  # what is unknown is refused by `taken_in`

    name: Name
    """Names the arm; letters, digits and `_.-`, and no two arms differ in capitals alone."""
    method: Method
    """The way of learning."""
    participation: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Share of the devices that takes part in a round, among those whose stream goes on and who can
    be reached."""
    choice: Literal["random", "loss"] | None = None
    """Who takes part: drawn at random, or those with the largest last known losses."""
    candidates: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """With `choice = "loss"`: the random share of devices among whom they are chosen, at least
    `participation`."""
    switch_round: Count | None = None
    """Needed: the last round of the shared phase; in a run of fewer rounds the arm never learns
    alone, and a note says so."""
    private: Annotated[list[str], Field(min_length=1, max_length=1000)] | None = None
    """Patterns of the parameters that stay on the device; the program's head, of `fedbn` its
    normalising layers, unless said."""
    steps: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Gradient steps for each answered question, in place of `learning.steps`."""
    memory: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Windows kept to rehearse from, in place of `learning.memory`."""
    optimizer: Literal["adam", "sgd"] | None = None
    """In place of `model.optimizer`."""
    learning_rate: Positive | None = None
    """In place of `model.learning_rate`."""
    mu: NotNegative | None = None
    """Weight of the pull towards what the server sent."""
    lambda_: Annotated[float | None, Field(ge=0.0, alias="lambda")] = None
    """Weight of the pull of the device's own model towards the shared one."""
    alpha: Share | None = None
    """Of `apfl`: share of the device's own model in the mixture that answers; of `perfedavg`: the
    learning rate of the step that makes the shared model personal."""
    adaptive: bool | None = None
    """Whether `alpha` follows its own gradient."""
    eta: Positive | None = None
    """Rate by which what is shared follows the device's own model."""
    inner_steps: Annotated[int, Field(ge=1, le=100)] | None = None
    """Steps of the device's own model for each of what is shared."""
    head_steps: Count | None = None
    """Of an answer's steps, the first so many move the head alone, the others the rest alone; all
    steps but one unless said."""
    clusters: Annotated[int, Field(ge=1, le=64)] | None = None
    """Shared models that the server keeps, of which each device takes the one that is least wrong
    on its memory."""
    q: NotNegative | None = None
    """How much more devices that the shared model serves badly weigh: by loss to this power."""
    server_learning_rate: Positive | None = None
    """How far the server goes along the mean update."""
    server_momentum: BelowOne | None = None
    """Share of its last step that the server's step keeps."""
    beta_1: BelowOne | None = None
    """Decay of the server's first moment."""
    beta_2: BelowOne | None = None
    """Decay of the server's second moment."""
    tau: Positive | None = None
    """Added to the root of the second moment, so that the server's step stays bounded."""
    buffer: Count | Literal["round"] | None = None
    """Updates for which the server waits before it steps; "round" takes those of a round."""
    trim: Annotated[float, Field(ge=0.0, lt=0.5)] | None = None
    """Share of the values that is cut off at either end before the mean."""
    liars: CountOrNone | None = None
    """How many devices are taken to lie."""
    selected: Count | None = None
    """So many updates, the nearest to the others, are averaged."""
    noise: NotNegative | None = None
    """Standard deviation of the noise on the sum of updates, in clips."""
    clip: Positive | None = None
    """Norm to which each update is shortened."""
    clip_quantile: BelowOne | None = None
    """The clip follows this quantile of the updates' norms; with 0 it stays."""
    clip_learning_rate: Positive | None = None
    """How fast it follows."""
    delta: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """The delta for which epsilon is told."""
    reaction: Reaction | None = None
    """What devices do from the round after an alarm of their detector."""
    detector: str | None = None
    """The kind of detector whose alarms count; the first of `[[detectors]]` unless said."""
    reaction_rounds: Count | None = None
    """For how many rounds the reaction goes on."""
    reaction_factor: Annotated[float, Field(gt=1.0, le=100.0)] | None = None
    """How many times as large the learning rate is, or as many questions are asked."""
    tuned: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=100_000)] | None = None
    """Keys that the donors of each fold chose, a table for each fold; `wearfleet tune` writes them.
    """

    def lasting(self, key: str) -> Any:
        """Return how long or how much its reaction is, or the reaction's default."""
        value = getattr(self, key)
        return REACTIONS[str(self.reaction)].get(key, 1) if value is None else value

    def option(self, key: str) -> Any:
        """Return one of the method's own keys, or its default."""
        value = getattr(self, _attribute(key), None)
        return own_keys(self.method)[key] if value is None else value

    def in_fold(self, fold: int) -> Arm:
        """Return the arm with what was chosen for one fold in the place of its own keys."""
        if self.tuned is None:
            return self
        chosen = {_attribute(key): value for key, value in self.tuned[fold].items()}
        return self.model_copy(update={"tuned": None, **chosen})

    @model_validator(mode="wrap")
    @classmethod
    def _with_keys_of_plugins(cls, table: Any, handler: Any) -> Arm:
        method = table.get("method") if isinstance(table, dict) else None
        plugin = method_plugin(method) if isinstance(method, str) else None
        own = None if plugin is None else plugin.keys
        made: Arm = taken_in(table, handler, _FIELDS, own, (OF_METHODS, str(method)))
        return made

    @model_validator(mode="after")
    def _options_of_the_method(self) -> Arm:
        foreign = {
            key: methods
            for key, methods in _owners(self.method).items()
            if getattr(self, _attribute(key), None) is not None and self.method not in methods
        }
        told = [
            f'{key} means nothing for method "{self.method}"; it belongs to: {", ".join(methods)}'
            for key, methods in foreign.items()
        ]
        told += [] if "candidates" in foreign else self._choice_impossible()
        told += [] if "reaction" in foreign else self._reaction_impossible()
        refuse(*told)
        return self

    def _choice_impossible(self) -> Iterator[str]:
        """Say which of its keys about who takes part, and when, do not go together."""
        if self.method == "finetune" and self.switch_round is None:
            yield (
                'switch_round: missing; method "finetune" needs the last round of its shared phase'
            )
        if self.candidates is not None and self.choice != "loss":
            yield (
                f"candidates = {self.candidates}: those among whom the largest losses are chosen; "
                'it goes with choice = "loss"'
            )
        elif self.candidates is not None and self.candidates < (self.participation or 1.0):
            yield (
                f"candidates = {self.candidates}: fewer than participation = "
                f"{self.participation or 1.0}, who are chosen among them; give a larger share"
            )

    def _reaction_impossible(self) -> Iterator[str]:
        """Say which of its keys do not go with its reaction, and which method that is not for."""
        for key in ("detector", "reaction_rounds", "reaction_factor"):
            if getattr(self, key) is not None and self.reaction is None:
                yield (f"{key}: goes with a reaction, and the arm has none")
        if self.reaction is None:
            return
        for key in ("reaction_rounds", "reaction_factor"):
            if getattr(self, key) is not None and key not in REACTIONS[self.reaction]:
                lasting = [name for name, keys in REACTIONS.items() if keys]
                yield (
                    f'{key} means nothing for reaction = "{self.reaction}", which is done at once; '
                    f"it belongs to: {', '.join(lasting)}"
                )
        if self.reaction in ("reset-head", "last-good") and not is_personal(self.method):
            yield (
                f'reaction = "{self.reaction}": the next download would undo it in method '
                f'"{self.method}"; it belongs to: {", ".join(PERSONAL)}'
            )
        if self.reaction == "reset-head" and self.method == "fedbn":
            yield (
                'reaction = "reset-head": method "fedbn" shares its head, so that the next '
                "download would undo it; use clear-memory or learn-faster"
            )

    @model_validator(mode="after")
    def _possible_in_each_fold(self) -> Arm:
        for fold, chosen in enumerate(self.tuned or []):
            wrong = sorted(chosen.keys() - _tunable(self.method))
            if wrong:
                allowed = ", ".join(sorted(_tunable(self.method)))
                raise ValueError(
                    f"tuned[{fold + 1}]: {wrong[0]!r} cannot be tuned; allowed: {allowed}"
                )
            own = self.model_dump(exclude_none=True, by_alias=True, exclude={"tuned"})
            try:
                Arm.model_validate({**own, **chosen})
            except ValidationError as error:
                raise in_place(error.errors(), error.title, "tuned", fold) from None
        return self


_FIELDS = [field.alias or name for name, field in Arm.model_fields.items()]
_COMMON = {*_FIELDS} - {key for keys in OWN_KEYS.values() for key in keys}
"""Keys that mean something for more than one method, which a plug-in cannot have as its own."""


def _attribute(key: str) -> str:
    """Return the name of a key's attribute: `lambda` is a word of Python's."""
    return "lambda_" if key == "lambda" else key


ON_DEVICES = ("local", *SHARING)
"""Methods whose devices learn themselves."""


def _owners(method: str) -> Mapping[str, tuple[str, ...]]:
    """Return which methods each key belongs to: the built-in ones, and the given one."""
    also = () if method_plugin(method) is None else (method,)
    sharing = (*SHARING, *also) if strategy_of(method) else SHARING
    chooses = tuple(one for one in sharing if one != "dpfedavg")
    devices = (*ON_DEVICES, *also)
    learning = (*LEARNING, *also)
    private = (*PRIVATE_PARTS, *also) if keeps_private(method) else PRIVATE_PARTS
    owners: dict[str, tuple[str, ...]] = {
        "participation": sharing,
        "choice": chooses,
        "candidates": chooses,
        "switch_round": ("finetune",),
        "private": private,
        "steps": learning,
        "memory": learning,
        "optimizer": learning,
        "learning_rate": learning,
        "reaction": devices,
        "detector": devices,
        "reaction_rounds": devices,
        "reaction_factor": devices,
        "tuned": learning,
    }
    for name, keys in (*OWN_KEYS.items(), *((one, own_keys(one)) for one in also)):
        for key in keys:
            if key in _COMMON:
                raise BadInput(
                    f"plug-in {name!r} ({OF_METHODS}) of {' '.join(plugin_of(OF_METHODS, name))}: "
                    f"its key {key!r} is one that every arm has; its author must give another name"
                )
            owners[key] = (*owners.get(key, ()), name)
    return owners


def keys_of(method: str) -> list[str]:
    """Return the keys that an arm of a method may have."""
    owners = _owners(method)
    keys = [*_FIELDS, *(key for key in own_keys(method) if key not in _FIELDS)]
    return [key for key in keys if key not in owners or method in owners[key]]


def _tunable(method: str) -> set[str]:
    """Return the keys of a method that may differ from fold to fold."""
    fixed = {"private", "optimizer", "tuned", "choice", "reaction", "detector"}
    fixed |= {"reaction_rounds", "reaction_factor"}
    return {key for key, methods in _owners(method).items() if method in methods} - fixed
