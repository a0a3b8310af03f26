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
    """The arm's name, in reports and files: letters, digits and `_.-`; no two arms may differ in
    capitals alone."""
    method: Method
    """The way in which the arm's devices learn."""
    participation: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Share of the devices that take part in a round, among those that can be reached and whose
    stream goes on."""
    choice: Literal["random", "loss"] | None = None
    """Which devices take part in a round: drawn at random ("random"), or those whose last known
    losses are largest ("loss")."""
    candidates: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Share of the devices, drawn at random, among whom `choice = "loss"` chooses those who take
    part; at least `participation`."""
    switch_round: Count | None = None
    """The last round in which devices learn together, before each learns alone; in a run of fewer
    rounds none ever does, and a note says so."""
    private: Annotated[list[str], Field(min_length=1, max_length=1000)] | None = None
    """Patterns of the names of those parameters that stay on the device, such as "head/*"."""
    steps: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Gradient steps that a device takes for each answered question, in this arm."""
    memory: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Windows that a device keeps to rehearse from, in this arm."""
    optimizer: Literal["adam", "sgd"] | None = None
    """The optimizer by which devices learn, in this arm."""
    learning_rate: Positive | None = None
    """The learning rate by which devices learn, in this arm."""
    mu: NotNegative | None = None
    """Weight of the pull on a device's model towards what the server sent."""
    lambda_: Annotated[float | None, Field(ge=0.0, alias="lambda")] = None
    """Weight of the pull on a device's own model towards the shared one."""
    alpha: Share | None = None
    """Of `apfl`: share of the device's own model in the mixture that answers; of `perfedavg`:
    learning rate of the step that makes the shared model personal."""
    adaptive: bool | None = None
    """Whether a device's `alpha` follows its own gradient."""
    eta: Positive | None = None
    """Learning rate by which the shared model on a device follows the device's own one."""
    inner_steps: Annotated[int, Field(ge=1, le=100)] | None = None
    """Gradient steps of a device's own model for each step of the shared one."""
    head_steps: Count | None = None
    """Gradient steps, the first of each answer's, that move the head alone; the others move the
    rest alone."""
    clusters: Annotated[int, Field(ge=1, le=64)] | None = None
    """Shared models that the server keeps, of which each device takes the one that is least wrong
    on its memory."""
    q: NotNegative | None = None
    """How much more those devices weigh that the shared model serves badly: the power of their
    loss."""
    server_learning_rate: Positive | None = None
    """Factor on the step that the server takes along the mean update."""
    server_momentum: BelowOne | None = None
    """Share of its last step that the server's step keeps."""
    beta_1: BelowOne | None = None
    """Share of the old value that the server's running mean of updates (first moment) keeps."""
    beta_2: BelowOne | None = None
    """Share of the old value that the server's running mean of squared updates (second moment)
    keeps."""
    tau: Positive | None = None
    """What is added to the root of the server's second moment, so that its step stays bounded."""
    buffer: Count | Literal["round"] | None = None
    """Updates for which the server waits before it takes a step; "round" takes those of a round."""
    trim: Annotated[float, Field(ge=0.0, lt=0.5)] | None = None
    """Share of the devices' updates, number by number, that is left out of the mean at either end,
    the lowest and the highest."""
    liars: CountOrNone | None = None
    """Devices in a round that are taken to lie."""
    selected: Count | None = None
    """Updates of a round, those nearest to the others, that are averaged."""
    noise: NotNegative | None = None
    """Standard deviation of the noise on the sum of a round's updates, as a multiple of `clip`."""
    clip: Positive | None = None
    """Norm to which each update is shortened where it is longer."""
    clip_quantile: BelowOne | None = None
    """Quantile of the updates' norms that `clip` follows from round to round; with 0 it stays."""
    clip_learning_rate: Positive | None = None
    """How fast `clip` follows `clip_quantile`: its learning rate."""
    delta: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """The delta of differential privacy for which epsilon is told."""
    reaction: Reaction | None = None
    """What a device does from the round after an alarm of its detector."""
    detector: str | None = None
    """The kind of the detector whose alarms lead to the reaction."""
    reaction_rounds: Count | None = None
    """Rounds for which a reaction to an alarm goes on."""
    reaction_factor: Annotated[float, Field(gt=1.0, le=100.0)] | None = None
    """Factor, during a reaction, on the learning rate ("learn-faster") or on the questions that are
    asked ("ask-more")."""
    tuned: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=100_000)] | None = None
    """Keys of this arm that the donors of each fold chose, a table for each fold; `wearfleet tune`
    writes them."""

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
