"""TOML -> a frozen, validated scenario."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from clients.errors import BadScenario

__all__ = [
    "Arm",
    "Scenario",
    "load_scenario",
    "scenario_toml",
]

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)]

PROGRAMS = ("cnn", "dense")
SHARING = ("fedavg", "finetune", "fedper")


class Section(BaseModel):
    """A table of a scenario file: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Data(Section):
    """Whose recordings, and how they are cut into windows."""

    source: Literal["synthetic", "wisdm-2019", "wisdm-v1.1", "wisdm-v1.1-features"] = "synthetic"
    path: str = ""
    users: Annotated[int, Field(ge=2)] | list[str] | Literal["all"] = "all"
    activities: Annotated[list[str], Field(min_length=2)] = [
        "walking", "jogging", "stairs", "sitting", "standing",
    ]  # fmt: skip
    rate_hz: Annotated[float, Field(gt=0.0, le=1000.0)] = 20.0
    window_s: Annotated[float, Field(gt=0.0, le=600.0)] = 4.0
    hop_s: Annotated[float, Field(gt=0.0, le=600.0)] = 4.0
    unusual: Share = 0.0
    minutes: Annotated[float, Field(gt=0.0, le=600.0)] = 3.0


class Split(Section):
    """Who wears a device, and what is kept back for scoring."""

    folds: Annotated[int, Field(ge=1)] = 2
    holdout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.3


class Model(Section):
    """Which program the devices carry."""

    program: str = "cnn"
    base: str = "donors"
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: Positive = 0.0005


class Training(Section):
    """How the base model is trained on donors."""

    steps: Count = 2000
    look_every: Count = 100
    patience: Count = 8
    batch: Count = 64
    learning_rate: Positive = 0.005
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    average: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.995
    validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    refit: bool = True
    hop_s: Annotated[float, Field(gt=0.0, le=600.0)] = 1.0
    warp: Annotated[float, Field(ge=1.0, le=1.5)] = 1.15
    tilt_deg: Annotated[float, Field(ge=0.0, le=180.0)] = 45.0
    gain: Annotated[float, Field(ge=1.0)] = 1.3
    noise: Annotated[float, Field(ge=0.0)] = 0.3


class Stream(Section):
    """What reaches a device, and in which order."""

    rounds: Count | Literal["all"] = "all"
    questions_per_round: Count = 2
    batch: Count = 8
    order: Literal["recorded", "bouts", "shuffled"] = "bouts"
    bout_windows: Count = 8


class Labels(Section):
    """What the users reply."""

    answer_rate: Share = 0.8
    mistake_rate: Share = 0.02
    delay_rounds: Annotated[int, Field(ge=0)] = 0
    ask: Literal["all", "random", "uncertain"] = "all"
    budget: Count | None = None

    @model_validator(mode="after")
    def _budget_where_needed(self) -> Labels:
        if (self.ask == "all") != (self.budget is None):
            raise ValueError(
                f'ask = "{self.ask}" with budget = {self.budget}: a budget of questions per round '
                'goes with ask = "random" or "uncertain", and only with those'
            )
        return self


class Learning(Section):
    """How a device learns from an answer."""

    steps: Count = 4
    memory: Annotated[int, Field(ge=0)] = 128


class Fleet(Section):
    """How many devices, computed by how many workers."""

    devices: Literal["users"] = "users"
    workers: Count | Literal["auto"] = "auto"


class Measure(Section):
    """When the holdout is scored."""

    holdout_every: Count = 1


class Checkpoints(Section):
    """Which versions of a device's SavedModel are written, and how many are kept."""

    every_rounds: Count = 5
    keep: Count = 2
    materialize: Annotated[int, Field(ge=0)] = 1000


class Guard(Section):
    """What the server refuses."""

    max_norm: Positive | Literal["off"] = 3.0


class Arm(Section):
    """One way of learning; what it leaves out is as in the rest of the scenario."""

    name: Name
    method: Literal["frozen", "heuristic", "local", "fedavg", "finetune", "fedper"]
    participation: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    switch_round: Count | None = None
    private: Annotated[list[str], Field(min_length=1)] | None = None
    steps: Count | None = None
    memory: Annotated[int, Field(ge=0)] | None = None
    learning_rate: Positive | None = None

    @model_validator(mode="after")
    def _options_of_the_method(self) -> Arm:
        owners = {
            "participation": SHARING,
            "switch_round": ("finetune",),
            "private": ("fedper",),
            "steps": (*SHARING, "local"),
            "memory": (*SHARING, "local"),
            "learning_rate": (*SHARING, "local"),
        }
        for key, methods in owners.items():
            if getattr(self, key) is not None and self.method not in methods:
                raise ValueError(
                    f'{key} means nothing for method "{self.method}"; '
                    f"it belongs to: {', '.join(methods)}"
                )
        return self


class Scenario(Section):
    """A scenario file, with every default filled in."""

    name: Name
    question: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    baseline: str = ""
    data: Data = Data()
    split: Split = Split()
    model: Model = Model()
    training: Training = Training()
    stream: Stream = Stream()
    labels: Labels = Labels()
    learning: Learning = Learning()
    fleet: Fleet = Fleet()
    measure: Measure = Measure()
    checkpoints: Checkpoints = Checkpoints()
    guard: Guard = Guard()
    arms: Annotated[list[Arm], Field(min_length=1)]

    @model_validator(mode="after")
    def _possible_together(self) -> Scenario:
        _check_arms(self)
        _check_data(self)
        return self


def _check_arms(scenario: Scenario) -> None:
    """Refuse arms that cannot be told apart or compared."""
    names = [arm.name for arm in scenario.arms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"arms: the name {twice[0]!r} is used twice; give each arm its own")
    if scenario.baseline and scenario.baseline not in names:
        raise ValueError(f"baseline: {scenario.baseline!r} is no arm; arms: {', '.join(names)}")
    for arm in scenario.arms:
        if arm.method == "heuristic" and scenario.split.folds < 2:
            raise ValueError(
                f'arms: "{arm.name}" takes its thresholds from donors, and split.folds = 1 leaves '
                "none: set split.folds = 2 or take the arm out"
            )


def _check_data(scenario: Scenario) -> None:
    """Refuse data, split and model that do not go together."""
    data, split, model = scenario.data, scenario.split, scenario.model
    repeated = sorted({a for a in data.activities if data.activities.count(a) > 1})
    if repeated:
        raise ValueError(f"data.activities: {repeated[0]!r} is listed twice")
    if data.source == "synthetic" and data.path:
        raise ValueError(
            f'data.path: {data.path!r} with source = "synthetic", which is generated; '
            "set data.source to the kind of the file or take the path out"
        )
    if data.source != "synthetic" and not data.path:
        raise ValueError(
            f'data.path: missing; source = "{data.source}" is read from a file or folder: '
            "give it by --set data.path=..."
        )
    if data.source == "synthetic" and data.users == "all":
        raise ValueError(
            'data.users: "all" of synthetic people is no number; give one, such as users = 36'
        )
    if model.base == "donors" and split.folds < 2:
        raise ValueError(
            'model.base: "donors" with split.folds = 1 leaves no donors; '
            'set split.folds = 2, or model.base = "random" or the path of a trained SavedModel'
        )
    if isinstance(data.users, int) and data.users < split.folds * (2 if split.folds > 1 else 1):
        raise ValueError(
            f"split.folds: {split.folds} folds of {data.users} users leave fewer than two in a "
            "fold; give more users or fewer folds"
        )


def load_scenario(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read and validate a scenario file.

    Args:
        path: the TOML file.
        overrides: `key=value` with dotted keys, such as "stream.rounds=5"; a value is read as
            TOML, and as plain text where it is not TOML.

    Raises:
        BadScenario: it cannot be read, or a key of it cannot be used.
    """
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise BadScenario(
            f"{path}: there is no such file; `wearfleet scenarios` lists those that are shipped"
        ) from None
    except IsADirectoryError:
        raise BadScenario(f"{path}: is a folder; give a scenario file, in TOML") from None
    except UnicodeDecodeError as error:
        raise BadScenario(
            f"{path}: not text (byte {error.start} is no UTF-8); a scenario is a TOML file"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise BadScenario(f"{path}: not TOML ({error}); a scenario is a TOML file") from None
    for override in overrides:
        _override(table, override)
    try:
        scenario = Scenario.model_validate(_resolved_defaults(table))
    except ValidationError as error:
        raise BadScenario(_explain(path, table, error)) from None
    return scenario


def scenario_toml(scenario: Scenario) -> str:
    """Write a scenario as TOML that loads again as the same scenario."""
    return tomli_w.dumps(scenario.model_dump(exclude_none=True))


def _resolved_defaults(table: dict[str, Any]) -> dict[str, Any]:
    """Fill in what depends on other keys: the baseline is the first arm unless one is named."""
    arms = table.get("arms")
    if "baseline" not in table and isinstance(arms, list) and arms and isinstance(arms[0], dict):
        table = {**table, "baseline": arms[0].get("name", "")}
    return table


def _override(table: dict[str, Any], override: str) -> None:
    """Set one key of a parsed TOML table."""
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise BadScenario(
            f"--set {override!r}: expected key=value with a dotted key, such as stream.rounds=5"
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    inner: Any = table
    for part in parts[:-1]:
        inner = _enter(inner, part, override)
    if isinstance(inner, list):
        _enter(inner, parts[-1], override)
        inner[int(parts[-1])] = value
    else:
        inner[parts[-1]] = value


def _enter(inner: Any, part: str, override: str) -> Any:
    """Step into a table by key, or into a list of tables by index or by name."""
    if isinstance(inner, list):
        for index, item in enumerate(inner):
            if part == str(index) or (isinstance(item, dict) and item.get("name") == part):
                return item
        names = [str(item.get("name", i)) for i, item in enumerate(inner) if isinstance(item, dict)]
        raise BadScenario(f"--set {override!r}: {part!r} is none of: {', '.join(names)}")
    child = inner.setdefault(part, {})
    if not isinstance(child, dict | list):
        raise BadScenario(f"--set {override!r}: {part!r} is a value ({child!r}), not a table")
    return child


def _explain(path: Path, table: dict[str, Any], error: ValidationError) -> str:
    """Say for each wrong key: file, key, value seen, what is allowed."""
    lines = []
    seen = set()
    for problem in error.errors():
        key = _key(problem["loc"], table)
        if problem["type"] == "extra_forbidden":
            allowed = ", ".join(_allowed_keys(problem["loc"]))
            lines.append(f"{path}: {key}: unknown key; allowed here: {allowed}")
        elif problem["type"] == "missing":
            lines.append(f"{path}: {key}: missing; this key is needed")
        elif problem["type"] == "value_error":
            where = f"{key}: " if key else ""
            lines.append(f"{path}: {where}{problem['ctx']['error']}")
        elif key not in seen:
            allowed = _expected(error, key, table)
            lines.append(f"{path}: {key} = {problem['input']!r}: {allowed}")
        seen.add(key)
    return "\n".join(lines)


def _expected(error: ValidationError, key: str, table: dict[str, Any]) -> str:
    """Join what each alternative of one key allows."""
    wanted = [p["msg"] for p in error.errors() if _key(p["loc"], table) == key]
    plain = [msg.removeprefix("Input should be ").replace("a valid ", "a ") for msg in wanted]
    return "expected " + ", or ".join(dict.fromkeys(plain))


_UNION_TAGS = ("int", "float", "str", "constrained-int", "constrained-float")


def _key(location: tuple[str | int, ...], table: Any) -> str:
    """Write the place of a problem as a dotted key, without pydantic's names of alternatives."""
    parts: list[str] = []
    inner: Any = table
    for part in location:
        if isinstance(inner, dict) and (part in inner or not parts):
            inner = inner.get(part)
        elif isinstance(inner, list) and isinstance(part, int) and part < len(inner):
            inner = inner[part]
            if isinstance(inner, dict) and "name" in inner:
                part = str(inner["name"])
        elif isinstance(inner, dict) and "[" not in str(part) and part not in _UNION_TAGS:
            inner = None
        else:
            continue
        parts.append(str(part))
    return ".".join(parts)


def _allowed_keys(location: tuple[str | int, ...]) -> list[str]:
    """Return the keys that are allowed beside an unknown one."""
    model: Any = Scenario
    for part in location[:-1]:
        if isinstance(part, str):
            field = model.model_fields[part].annotation
            model = Arm if part == "arms" else field
    return list(model.model_fields)
