"""A scenario as a person reads it: TOML with every default, also with those that are no values."""

from __future__ import annotations

from collections.abc import Iterator

import tomli_w

from simulator.scenario.arm import Arm, keys_of
from simulator.scenario.built_in import programs
from simulator.scenario.file import scenario_table
from simulator.scenario.owners import IN_WORDS
from simulator.scenario.scenario import Scenario

__all__ = ["printed"]

_OF_REACTIONS = ("detector", "reaction_rounds", "reaction_factor")
_OF_PROGRAMS = ("optimizer", "learning_rate")


def printed(scenario: Scenario) -> str:
    """Write a scenario as TOML that loads again as the same one.

    What it leaves to other keys, such as an arm's `steps` to `learning.steps`, stands in comments.
    """
    table = scenario_table(scenario)
    arms = table.pop("arms")
    text = tomli_w.dumps(table)
    if scenario.labels.budget is None:
        told = "[labels]\n# budget: none, as all questions are asked\n"
        text = text.replace("\n[labels]\n", f"\n{told}", 1)
    for arm, own in zip(scenario.arms, arms, strict=True):
        tuned = own.pop("tuned", [])
        text += "\n[[arms]]\n" + tomli_w.dumps(own)
        text += "".join(f"# {told}\n" for told in _left_out(scenario, arm))
        text += "".join(f"\n[[arms.tuned]]\n{tomli_w.dumps(one)}" for one in tuned)
    return text


def _left_out(scenario: Scenario, arm: Arm) -> Iterator[str]:
    """Say what the keys are that an arm may have and leaves out."""
    said = arm.model_dump(exclude_none=True, by_alias=True)
    foreign = scenario.model.program not in programs()
    for key in keys_of(arm.method):
        if key in said or key in _OF_REACTIONS or key == "candidates":
            continue
        words = IN_WORDS["arms"].get(key, "")
        if foreign and key in _OF_PROGRAMS:
            yield f"{key}: the SavedModel's own"
        elif words.startswith("`"):  # a key of another table
            section, name = words.strip("`").split(".")
            value = tomli_w.dumps({key: getattr(getattr(scenario, section), name)}).rstrip()
            yield f"{value}, as {section}.{name}"
        elif key == "private":
            head = "normalising layers" if arm.method == "fedbn" else "head"
            yield f"{key}: the program's {head}"
        elif words:
            yield f"{key}: {words}"
