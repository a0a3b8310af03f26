"""What was asked and answered comes back from the disk as it was, or is said to be damaged."""

import base64
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from clients.errors import BadInput
from clients.journal import Asked, Journal, Score
from clients.user import NO_ANSWER

FORM, CLASSES = (4, 2, 3), 5


def asked_of(x, predicted=None, voted=0, answer=0):
    x = np.asarray(x, np.float32)
    predicted = [voted] * len(x) if predicted is None else predicted
    return Asked(x, np.array(predicted, np.int32), voted, answer)


def numbered(count):
    """Make questions that differ in every sample."""
    return [asked_of(np.full((2, 2, 3), number + 0.1), voted=number % 5) for number in range(count)]


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


def lines_of(journal):
    return journal._path.read_bytes().splitlines(keepends=True)


def same(one, other):
    return (
        one.x.tobytes() == other.x.tobytes()
        and one.x.shape == other.x.shape
        and one.x.dtype == other.x.dtype
        and one.predicted.tolist() == other.predicted.tolist()
        and (one.voted, one.answer) == (other.voted, other.answer)
    )


@given(
    x=arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.just(2), st.just(3))),
    voted=st.integers(0, 4),
    answer=st.sampled_from([NO_ANSWER, 0, 4]),
    data=st.data(),
)
def test_a_question_is_read_as_it_was_written_bit_by_bit(x, voted, answer, data):
    predicted = data.draw(st.lists(st.integers(0, 4), min_size=len(x), max_size=len(x)))
    asked = asked_of(x, predicted, voted, answer)
    line = asked.line()
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert same(Asked.parse(line, FORM, CLASSES), asked)


def test_a_line_is_json_that_others_can_read():
    x = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    fields = json.loads(asked_of(x, [3], 3, NO_ANSWER).line())
    samples = np.frombuffer(base64.b64decode(fields.pop("samples")), "<f4")
    assert samples.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert fields == {"answer": None, "voted": 3, "predicted": [3], "shape": [1, 2, 3]}


def test_questions_come_back_in_order(journal):
    assert journal.read(FORM, CLASSES) == []
    written = numbered(7)
    for asked in written:
        journal.add(asked)
    read = journal.read(FORM, CLASSES)
    assert len(read) == journal.count() == 7
    assert all(same(one, other) for one, other in zip(read, written, strict=True))


@pytest.mark.parametrize("left", [1, 20, -3])
def test_a_line_that_was_not_finished_is_cut_off_and_the_next_one_is_whole(journal, left):
    for asked in numbered(3):
        journal.add(asked)
    whole = journal._path.read_bytes()
    with journal._path.open("ab") as file:
        file.write(numbered(4)[3].line().encode()[:left])
    assert journal.count() == 3
    assert journal._path.read_bytes() == whole
    journal.add(numbered(5)[4])
    assert [asked.voted for asked in journal.read(FORM, CLASSES)] == [0, 1, 2, 4]


def test_an_answer_that_lacks_only_the_end_of_its_line_is_kept(journal):
    for asked in numbered(3):
        journal.add(asked)
    whole = journal._path.read_bytes()
    journal._path.write_bytes(whole.removesuffix(b"\n"))
    assert len(journal.read(FORM, CLASSES)) == 3
    assert journal._path.read_bytes() == whole


GOOD = json.loads(asked_of(np.zeros((2, 2, 3))).line())
BAD = {
    "no JSON": "{",
    "no object": "[1, 2]",
    "a number": "7",
    "binary": b"\xff\xfe".decode("latin-1"),
    "a field lacks": {k: v for k, v in GOOD.items() if k != "voted"},
    "no base64": GOOD | {"samples": "%%"},
    "samples lack": GOOD | {"samples": GOOD["samples"][:-8]},
    "another shape": GOOD | {"shape": [2, 3, 2]},
    "no windows": GOOD | {"shape": [0, 2, 3], "samples": "", "predicted": []},
    "too many windows": GOOD
    | {"shape": [5, 2, 3], "samples": base64.b64encode(bytes(120)).decode(), "predicted": [0] * 5},
    "predictions lack": GOOD | {"predicted": [0]},
    "an activity that is none": GOOD | {"answer": 5},
    "an answer below all": GOOD | {"answer": -2},
    "a prediction that is none": GOOD | {"predicted": [0, 9]},
    "a number too large": GOOD | {"predicted": [0, 2**40]},
    "a word": GOOD | {"answer": "walking"},
    "a list": GOOD | {"voted": [1]},
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_line_is_named_and_nothing_is_changed(journal, case):
    for asked in numbered(3):
        journal.add(asked)
    lines = lines_of(journal)
    bad = BAD[case] if isinstance(BAD[case], str) else json.dumps(BAD[case])
    lines[1] = bad.encode("latin-1") + b"\n"
    journal._path.write_bytes(b"".join(lines))
    with pytest.raises(BadInput, match=r"journal.jsonl: line 2 is no question of this device"):
        journal.read(FORM, CLASSES)
    assert lines_of(journal) == lines


def test_what_is_cut_is_added_to_another_file(journal, tmp_path):
    written = numbered(5)
    for asked in written:
        journal.add(asked)
    journal.cut(3, tmp_path / "removed.jsonl")
    journal.cut(2, tmp_path / "removed.jsonl")
    assert [asked.voted for asked in journal.read(FORM, CLASSES)] == [0, 1]
    removed = Journal(tmp_path / "removed.jsonl").read(FORM, CLASSES)
    assert [asked.voted for asked in removed] == [3, 4, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.jsonl", "removed.jsonl"]


def test_a_score_counts_windows_and_votes_of_answered_questions_alone():
    x = np.zeros((4, 2, 3))
    score = Score()
    assert math.isnan(score.accuracy)
    assert math.isnan(score.vote_accuracy)
    score = score.after(asked_of(x, [1, 1, 1, 2], 1, 1))  # 3 of 4 right, and the vote
    score = score.after(asked_of(x, [1, 1, 1, 1], 1, NO_ANSWER))
    score = score.after(asked_of(x[:1], [0], 0, 4))  # nothing right
    assert score == Score(questions=3, answered=2, windows=5, right=3, votes=1)
    assert (score.accuracy, score.vote_accuracy) == (3 / 5, 1 / 2)
