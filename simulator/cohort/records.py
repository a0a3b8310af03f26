"""What a run writes down: one row per predicted window, one row per round and device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.containment import file_name
from clients.outcome import Outcome
from simulator.cohort.adversity import Befallen
from simulator.cohort.record_columns import (
    befell_of,
    by_class_of,
    counts_of,
    repeats_of,
    scored_of,
    stamped_of,
)
from simulator.folder.arrays_file import Written
from simulator.folder.event import KINDS, Event
from simulator.folder.kept import ROWS
from simulator.folder.record_files import EVENTS, ROUNDS, WINDOWS
from simulator.folder.row_groups import RowGroups, text
from simulator.measures.fading import Faded, Sliding

__all__ = ["ROUNDS", "WINDOWS", "Records", "RoundRows"]

_PREFIX = "records/"
_ROUNDS_IN_GROUP, _WINDOWS_IN_GROUP = 4_096, 16_384  # rows that make up a row group


@dataclass(frozen=True, slots=True, eq=False)
class RoundRows:
    """One round of the D devices of a cohort; round 0 is the holdout before the stream.

    The arrays belong to the records from then on: they are read when the next round comes.

    Attributes:
        round_: from 0.
        participant: bool [D], whom the server chose.
        outcome: see `Outcome`; None in round 0, when there are no questions yet.
        bytes_down: int64 [D], bytes of shared arrays that each device downloaded.
        bytes_up: int64 [D], bytes of shared arrays that each device sent.
        drifted: bool [D, Q, B], windows that were met under a drift; None where none was.
        in_force: bool [D], whether some drift is in force as the round ends; None likewise.
        events: what befell devices in the round, in their order.
        befallen: what else befell them; None where nothing can.
    """

    round_: int
    participant: NDArray[np.bool_]
    outcome: Outcome | None
    bytes_down: NDArray[np.int64]
    bytes_up: NDArray[np.int64]
    drifted: NDArray[np.bool_] | None = None
    in_force: NDArray[np.bool_] | None = None
    events: Sequence[Event] = ()
    befallen: Befallen | None = None


class Records:
    """The rows of one cohort in one arm: appended to its files round by round.

    The last round is pending until the next one comes: it may still be scored, and an interrupted
    run drops it where other cohorts have not come as far. What the files hold and how it is grouped
    depends on the cohort's rows alone.
    """

    def __init__(
        self,
        folder: Path,
        arm: str,
        cohort: int,
        fold: int,
        activities: Sequence[str],
        devices: Sequence[str],
        users: Sequence[str],
        time_s: NDArray[np.float64],
        windows_of: NDArray[np.bool_],
        *,
        downloaded: bool = True,
        reasons: Sequence[str] = (),
    ) -> None:
        """Take in who the devices are.

        Args:
            folder: of the run.
            arm: its name.
            cohort: its index; it names the files.
            fold: its index.
            activities: names of the classes.
            devices: ids of the D devices, in the order of all arrays.
            users: ids of their users, one for each device.
            time_s: float64 [P], when each window of the pool starts, in seconds.
            windows_of: bool [D], the devices whose windows are written; without any there is no
                file of windows.
            downloaded: whether the model with which a round began was scored.
            reasons: of events; without any there is no file of events.
        """
        self._downloaded = downloaded
        distinct = list(dict.fromkeys(users))
        code_of = {user: code for code, user in enumerate(distinct)}
        names = {"arm": text([arm]), "device": text(devices), "user": text(distinct)}
        names |= dict.fromkeys(("label", "predicted", "voted", "answer"), text(activities))
        self._classes = len(activities)
        self._user = np.array([code_of[user] for user in users], np.int32)
        self._fold, self._time_s, self._windows_of = fold, time_s, windows_of
        name = f"cohort-{cohort:05d}.parquet"
        rounds, windows = (folder / kind / file_name(arm) / name for kind in ("rounds", "windows"))
        work = folder / "checkpoints" / file_name(arm) / str(fold) / ROWS
        self._rounds = RowGroups(rounds, work, ROUNDS, _ROUNDS_IN_GROUP, names)
        self._windows = RowGroups(windows, work, WINDOWS, _WINDOWS_IN_GROUP, names)
        self._reasons = {reason: code for code, reason in enumerate(reasons)}
        told = {**names, "kind": text(KINDS), "reason": text(reasons)}
        path = folder / "events" / file_name(arm) / name
        self._events = RowGroups(path, work, EVENTS, _ROUNDS_IN_GROUP, told)
        self._last_label = np.full(len(devices), -1, np.int32)
        self._faded, self._sliding = Faded.before(len(devices)), Sliding.before(len(devices))
        self._pending: RoundRows | None = None
        self._confusion: NDArray[np.int64] | None = None
        self._before: NDArray[np.int64] | None = None
        self._stamped: NDArray[np.int64] | None = None

    def add(self, rows: RoundRows) -> None:
        """Commit the pending round; this one is pending from now on."""
        self._commit()
        self._pending = rows

    def score(
        self,
        round_: int,
        confusion: NDArray[np.int64],
        before: NDArray[np.int64] | None = None,
        stamped: NDArray[np.int64] | None = None,
    ) -> None:
        """Add what the holdout was taken for after the pending round.

        Args:
            round_: the pending round.
            confusion: int64 [D, K, K], each device's windows by true and predicted class, with the
                drift in force.
            before: likewise as it was without drift; None where no device has one in force.
            stamped: int64 [D, 2], windows that carried a backdoor's trigger, and how many of them
                were taken for what the attack wants; None where there is no backdoor.

        Raises:
            ValueError: another round is pending, or none.
        """
        pending = None if self._pending is None else self._pending.round_
        if round_ != pending:
            raise ValueError(f"round {round_} was scored while round {pending} was pending")
        self._confusion, self._before, self._stamped = confusion, before, stamped

    def write(self, rounds: int) -> list[Path]:
        """Finish the files, without the pending round if it is later than `rounds`.

        Returns:
            the files.
        """
        if self._pending is not None and self._pending.round_ > rounds:
            self._pending = None
        self._commit()
        files = [self._rounds]
        if self._reasons:
            files.append(self._events)
        if self._windows_of.any():
            files.append(self._windows)
        return [file.finish() for file in files]

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Commit the pending round, and return all that is still in memory, as named arrays."""
        self._commit()
        kept: dict[str, NDArray[Any]] = {
            "last_label": self._last_label,
            "faded/total": self._faded.total,
            "faded/weight": self._faded.weight,
            "sliding": self._sliding.latest,
        }
        for kind, file in self._files().items():
            kept |= {f"{kind}/{name}": value for name, value in file.snapshot().items()}
        return {_PREFIX + name: value for name, value in kept.items()}

    @property
    def written(self) -> list[Written]:
        """The files of the row groups that have left memory."""
        return [written for file in self._files().values() for written in file.written]

    def restore(self, snapshot: Mapping[str, NDArray[Any]], written: Sequence[Written]) -> None:
        """Become what a snapshot of the same devices holds, with what had left memory by then.

        Args:
            snapshot: as `snapshot` returned it; other names in it are left alone.
            written: as it was then.
        """
        own = {k.removeprefix(_PREFIX): v for k, v in snapshot.items() if k.startswith(_PREFIX)}
        self._pending, self._confusion, self._before = None, None, None
        self._last_label = own["last_label"]
        self._faded = Faded(own["faded/total"], own["faded/weight"])
        self._sliding = Sliding(own["sliding"])
        for kind, file in self._files().items():
            start = f"{kind}/"
            held = {k.removeprefix(start): v for k, v in own.items() if k.startswith(start)}
            file.restore(held, [one for one in written if one.name.startswith(f"{kind}-")])

    def _files(self) -> dict[str, RowGroups]:
        return {"rounds": self._rounds, "windows": self._windows, "events": self._events}

    def _commit(self) -> None:
        rows, confusion = self._pending, self._confusion
        if rows is None:
            return
        outcome = rows.outcome or Outcome.empty(len(self._user), 0, 0)
        there = outcome.windows >= 0
        correct = (outcome.predicted == outcome.label[..., None]) & there
        drifted = there & False if rows.drifted is None else rows.drifted
        flat = (len(self._user), -1 if there.size else 0)
        faded = self._faded.after(correct.reshape(flat), there.reshape(flat))
        sliding = self._sliding.after(correct.reshape(flat), there.reshape(flat))
        repeats, last_label = repeats_of(outcome.label, there.sum(axis=2), self._last_label)
        of_round = {
            **self._whose(rows.round_, np.arange(len(self._user), dtype=np.int32)),
            "participant": rows.participant,
            **counts_of(outcome, there, correct),
            "downloaded_correct": self._if_scored(
                (outcome.opened_correct & there).sum(axis=(1, 2))
            ),
            "label_repeats": repeats,
            "drifted": drifted.sum(axis=(1, 2)),
            "drift_in_force": np.zeros(len(self._user), np.bool_)
            if rows.in_force is None
            else rows.in_force,
            "label_windows": by_class_of(outcome.label[..., None], there, self._classes),
            "predicted_windows": by_class_of(outcome.predicted, there, self._classes),
            "faded_accuracy": faded.accuracy(),
            "sliding_accuracy": sliding.accuracy(),
            "bytes_down": rows.bytes_down,
            "bytes_up": rows.bytes_up,
            **befell_of(rows.befallen or Befallen.nothing(len(self._user))),
            **scored_of(confusion, self._before, len(self._user), self._classes),
            **stamped_of(self._stamped, len(self._user)),
        }
        kept = there & self._windows_of[:, None, None]
        of_windows = self._of_windows(rows.round_, outcome, kept, drifted)
        of_events = self._of_events(rows)
        for file in self._files().values():
            file.flush_full()
        # Last and at once: where an interrupt comes before, the round is pending still.
        self._pending, self._confusion, self._before, self._stamped = None, None, None, None
        self._last_label, self._faded, self._sliding = last_label, faded, sliding
        self._rounds.hold(of_round)
        self._windows.hold(of_windows)
        self._events.hold(of_events)

    def _of_events(self, rows: RoundRows) -> dict[str, NDArray[Any]]:
        """Return one row per event."""
        device = np.array([event.row for event in rows.events], np.int32)
        return {
            **self._whose(rows.round_, device),
            "kind": np.array([KINDS.index(event.kind) for event in rows.events], np.int32),
            "reason": np.array([self._reasons[event.reason] for event in rows.events], np.int32),
            "windows": np.array([event.windows for event in rows.events], np.int32),
            "answered": np.array([event.answered for event in rows.events], np.int32),
            "norm": np.array([event.norm for event in rows.events], np.float64),
        }

    def _of_windows(
        self,
        round_: int,
        outcome: Outcome,
        kept: NDArray[np.bool_],
        drifted: NDArray[np.bool_],
    ) -> dict[str, NDArray[Any]]:
        """Return one row per window that is kept, bool [D, Q, B], device by device."""
        device, question, _ = np.nonzero(kept)
        label, voted, answer = (
            values[device, question] for values in (outcome.label, outcome.voted, outcome.answer)
        )
        return {
            **self._whose(round_, device.astype(np.int32)),
            "question": ((round_ - 1) * kept.shape[1] + question).astype(np.int32),
            "time_s": self._time_s[outcome.windows[kept]],
            "label": label,
            "predicted": outcome.predicted[kept],
            "voted": voted,
            "downloaded_correct": self._if_scored(outcome.opened_correct[kept]),
            "answer": answer,
            "loss": outcome.loss[kept],
            "drifted": drifted[kept],
        }

    def _if_scored(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return numbers, or null for all where the model of a round's begin was not scored."""
        return values if self._downloaded else np.full(len(values), -1, np.int32)

    def _whose(self, round_: int, device: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
        """Return the columns that say which arm, round and device each row is of."""
        count = len(device)
        return {
            "arm": np.zeros(count, np.int32),
            "fold": np.full(count, self._fold, np.int32),
            "round": np.full(count, round_, np.int32),
            "device": device,
            "user": self._user[device],
        }
