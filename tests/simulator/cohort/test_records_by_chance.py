"""Files of windows and rounds against a loop over every device and window."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.outcome import Outcome
from tests.simulator.made_rounds import ACTIVITIES, NAN, TIME_S, records_of, row, written


def by_chance(seed, devices, rounds, questions, batch):
    """Make rounds of devices whose streams end at different questions."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, rounds * questions + 1, devices)
    made = []
    for round_ in range(rounds):
        one = Outcome.empty(devices, questions, batch)
        for d in range(devices):
            for q in range(min(max(int(lengths[d]) - round_ * questions, 0), questions)):
                count = int(generator.integers(1, batch + 1))
                one.windows[d, q, :count] = generator.integers(0, TIME_S.size, count)
                one.predicted[d, q, :count] = generator.integers(0, 3, count)
                one.opened_correct[d, q, :count] = generator.random(count) < 0.5
                one.loss[d, q, :count] = generator.random(count)
                one.label[d, q], one.voted[d, q] = generator.integers(0, 3, 2)
                one.asked[d, q] = generator.random() < 0.7
                if one.asked[d, q]:
                    one.answer[d, q] = generator.integers(-1, 3)
        one.steps[:], one.gradients[:], one.memory_windows[:] = generator.integers(
            0, 9, (3, devices)
        )
        one.learning_loss[:] = np.where(one.steps > 0, generator.random(devices), NAN)
        made.append(one)
    return made


def one_by_one(made, names):
    """Work out the rows of both files device by device and window by window."""
    rounds, windows, stream = [], [], {name: ([], []) for name in names}
    for number, one in enumerate(made, start=1):
        questions = one.windows.shape[1]
        for d, name in enumerate(names):
            labels, hits = stream[name]
            own = dict.fromkeys(
                ["questions", "windows", "asked", "answered", "correct", "vote_correct",
                 "downloaded_correct", "label_repeats"], 0,
            )  # fmt: skip
            for q in range(questions):
                found = [b for b in range(one.windows.shape[2]) if one.windows[d, q, b] >= 0]
                own["questions"] += bool(found)
                own["asked"] += bool(one.asked[d, q])
                own["answered"] += bool(one.answer[d, q] >= 0)
                label, answer = int(one.label[d, q]), int(one.answer[d, q])
                for b in found:
                    said = int(one.predicted[d, q, b])
                    own["windows"] += 1
                    own["correct"] += said == label
                    own["vote_correct"] += int(one.voted[d, q]) == label
                    own["downloaded_correct"] += bool(one.opened_correct[d, q, b])
                    own["label_repeats"] += bool(labels) and labels[-1] == label
                    labels.append(label)
                    hits.append(said == label)
                    windows.append(
                        {"round": number, "question": (number - 1) * questions + q, "device": name}
                        | {"time_s": TIME_S[one.windows[d, q, b]], "label": ACTIVITIES[label]}
                        | {"predicted": ACTIVITIES[said], "voted": ACTIVITIES[one.voted[d, q]]}
                        | {"downloaded_correct": bool(one.opened_correct[d, q, b])}
                        | {"answer": None if answer < 0 else ACTIVITIES[answer]}
                        | {"loss": float(one.loss[d, q, b])}
                    )
            loss = float(one.learning_loss[d])
            own |= {"loss": None if math.isnan(loss) else loss, "steps": int(one.steps[d])}
            own |= {"gradients": int(one.gradients[d])}
            own |= {"memory_windows": int(one.memory_windows[d]), "faded_accuracy": faded(hits)}
            rounds.append({"round": number, "device": name, **own})
    return rounds, windows


def faded(hits):
    """Weigh each window by 0.98 to the power of how many came after it."""
    weights = [0.98**i for i in reversed(range(len(hits)))]
    return (
        sum(w for w, hit in zip(weights, hits, strict=True) if hit) / sum(weights) if hits else None
    )


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    devices=st.integers(1, 5),
    rounds=st.integers(1, 4),
    questions=st.integers(1, 3),
    batch=st.integers(1, 4),
)
def test_files_hold_what_one_finds_window_by_window(
    tmp_path_factory, seed, devices, rounds, questions, batch
):
    folder = tmp_path_factory.mktemp("records")
    names = [f"d{d}" for d in range(devices)]
    made = by_chance(seed, devices, rounds, questions, batch)
    records = records_of(folder, names, users=["u"] * devices)
    for number, one in enumerate(made, start=1):
        records.add(row(number, one, devices))
    records.write(rounds)
    for kind, expected in zip(("rounds", "windows"), one_by_one(made, names), strict=True):
        found = written(folder, kind).to_pylist()
        assert len(found) == len(expected)
        for own, wanted in zip(found, expected, strict=True):
            kept = {column: own[column] for column in wanted}
            if kind == "rounds":
                assert kept.pop("faded_accuracy") == pytest.approx(wanted.pop("faded_accuracy"))
            assert kept == wanted
