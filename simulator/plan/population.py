"""The people of a scenario: read or generated, with the shape of their windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clients.donors import Donated
from clients.errors import BadInput, BadRecordings, BadScenario
from clients.recordings import Recording, fingerprint, read_recordings
from clients.synthetic import outline, synthesize
from clients.windows import cut_windows, read_windows
from simulator.scenario.form import Form, form_of
from simulator.scenario.scenario import Scenario

__all__ = ["AXES", "Population", "donated_windows", "gather_people"]

AXES = 3  # of an accelerometer


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """The people of a scenario, and the shape of their windows.

    Attributes:
        recordings: user id -> recordings, in order of user.
        defects: reason -> rejected or repaired lines of the data.
        fingerprint: of the recordings.
        form: of what the program is given of them.
        channels: values per sample.
        warnings: sentences about what the data should not be.
    """

    recordings: Mapping[str, Sequence[Recording]]
    defects: Mapping[str, int]
    fingerprint: str
    form: Form
    channels: int
    warnings: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """Samples per window."""
        return self.form.length

    @property
    def hop(self) -> int:
        """Samples between the starts of consecutive windows."""
        return self.form.hop

    @property
    def series(self) -> bool:
        """Whether windows are single samples, of which a question is a series."""
        return self.form.length == 1 and self.channels == AXES


def gather_people(
    scenario: Scenario, *, trusted: bool = False, outlined: bool = False
) -> Population:
    """Read or generate a scenario's recordings.

    Args:
        scenario: whose people.
        trusted: whether its program may hold ops that can do more than compute.
        outlined: whether recordings of generated people are to be told without their values.

    Raises:
        BadRecordings: the data cannot be read, or lacks a user or an activity.
        BadScenario: windows without samples.
        BadProgram: the program is a SavedModel that breaks the contract.
    """
    data, form = scenario.data, form_of(scenario, trusted=trusted)
    defects: dict[str, int] = {}
    warnings: tuple[str, ...] = ()
    try:
        if data.source == "synthetic":
            generate = outline if outlined else synthesize
            recordings = generate(
                data.users if isinstance(data.users, list) else int(data.users),
                data.activities,
                rate_hz=data.rate_hz,
                seed=scenario.seed,
                minutes=data.minutes,
                unusual=data.unusual,
            )
        else:
            recordings, report = read_recordings(
                Path(data.path),
                source=data.source,
                rate_hz=data.rate_hz,
                activities=data.activities,
                users=None if data.users == "all" else data.users,
            )
            defects, warnings = dict(report.counts()), report.warnings
    except BadRecordings as error:
        asked = getattr(data, error.about)
        raise BadRecordings(f"data.{error.about} = {asked!r}: {error}", error.about) from None
    except BadInput as error:  # from the generator, whose messages open with an argument's name
        argument, _, problem = str(error).partition(": ")
        key = {"people": "users"}.get(argument, argument)
        raise BadScenario(f"data.{key}: {problem}") from None
    people: dict[str, list[Recording]] = {}
    for recording in recordings:
        people.setdefault(recording.user, []).append(recording)
    channels = recordings[0].samples.shape[1] or AXES  # none where they are outlined
    return Population(
        dict(sorted(people.items())), defects, fingerprint(recordings), form, channels, warnings
    )


def donated_windows(
    population: Population,
    activities: Sequence[str],
    users: Sequence[str],
    *,
    length: int,
    hop: int,
    without: Sequence[str] = (),
) -> Donated:
    """Read all windows of donors: a donor has no holdout, since it wears no device in this fold.

    Args:
        population: whose recordings.
        activities: class names.
        users: the donors.
        length: samples per window.
        hop: samples between windows.
        without: activities that are kept from them.

    Raises:
        BadScenario: no donor has a window.
    """
    x, labels, owners = [], [], []
    for number, user in enumerate(users):
        own = [one for one in population.recordings[user] if one.activity not in without]
        if not own:
            continue
        windows = cut_windows(own, activities, length=length, hop=hop)
        if len(windows):
            x.append(read_windows(own, windows))
            labels.append(windows.label)
            owners.append(np.full(len(windows), number, np.int32))
    if not x:
        key = "stream.batch" if population.series else "data.window_s"
        raise BadScenario(f"{key}: no donor has {length} consecutive samples; make it shorter")
    return Donated(np.concatenate(x), np.concatenate(labels), np.concatenate(owners))
