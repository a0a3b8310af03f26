"""What the log of a run tells those who follow it."""

import json

import pytest

from simulator.folder.run_log import LogReader, Story
from tests.simulator.made_logs import PLAN, WORKERS, round_line


def story_of(*lines):
    story = Story()
    for line in lines:
        story.hear(line)
    return story


def test_standing_is_of_all_windows_so_far():
    story = story_of(
        PLAN,
        round_line("local", 0, 1, windows=30, correct=10),
        round_line("local", 1, 1, windows=10, correct=10),
        round_line("shared", 0, 1, windows=10, correct=1),
    )
    assert story.standing("local") == pytest.approx(20 / 40)
    assert story.standing("shared") == pytest.approx(0.1)
    assert story.standing("other") is None
    assert (story.all_rounds, story.all_done, story.done("local")) == (16, 3, 2)


def test_rounds_after_the_checkpoint_that_a_run_goes_back_to_do_not_count():
    lines = [PLAN, *(round_line("local", 0, n, windows=10, correct=n) for n in (1, 2, 3))]
    back = {"what": "restored", "at": 300.0, "arm": "local", "fold": 0, "round": 1}
    story = story_of(*lines, back)
    assert (story.done("local"), story.standing("local")) == (1, pytest.approx(0.1))
    story.hear(round_line("local", 0, 2, windows=10, correct=9))
    assert story.standing("local") == pytest.approx(0.5)
    story.hear({"what": "fold begins", "at": 400.0, "arm": "local", "fold": 0})
    assert (story.done("local"), story.standing("local")) == (0, None)


def test_time_left_is_that_of_the_rounds_that_are_left():
    # 3 rounds of 2 s: 5 are left of the arm at 2 s, then 8 of the other one, which are taken for
    # as fast as the mean so far, the first one for as slow as the first of this arm.
    rounds = [round_line("local", 0, n) for n in (1, 2, 3)]
    assert story_of(PLAN, *rounds).left_s() == pytest.approx(5 * 2 + 8 * 2)
    assert story_of(PLAN, *rounds[:2]).left_s() is None
    slow = round_line("local", 0, 1, wall_s=8.0)
    assert story_of(PLAN, slow, *rounds[1:]).left_s() == pytest.approx(5 * 2 + 8 + 7 * 2)
    half_way = story_of(PLAN, *rounds).left_s(now=201.0)  # a second after the last line
    assert half_way == pytest.approx(25.0)


def test_time_left_of_several_folds_counts_their_ends():
    lines = [PLAN, *(round_line("local", 0, n) for n in (1, 2, 3, 4))]
    ended = {"what": "fold done", "at": 300.0, "arm": "local", "fold": 0, "wall_s": 5.0}
    assert story_of(*lines, ended).left_s() == pytest.approx(12 * 2 + 3 * 5)


def test_speed_and_faults_are_those_of_the_latest_rounds():
    story = story_of(
        PLAN,
        round_line("local", 0, 1, devices=10, wall_s=1.0, lost=9),
        round_line("local", 0, 2, devices=10, wall_s=4.0, refused=2, unreachable=1),
    )
    assert story.speed() == pytest.approx(20 / 5)
    assert story.faults() == {"refused": 2, "unreachable": 1}


def test_lost_workers_and_damage_are_told_once_each():
    lost = {"what": "worker lost", "at": 1.0, "when": "in round 2", "in_a_row": 1, "why": "gone"}
    damaged = {"what": "checkpoint damaged", "at": 2.0, "round": 2, "why": "size"}
    story = story_of(WORKERS, PLAN, lost, lost, damaged)
    assert story.workers_lost == 2
    assert story.notes == [
        "two users are short",
        "a worker was lost in round 2",
        "the checkpoint after round 2 is damaged",
    ]
    assert story.took_s(now=130.0) == pytest.approx(40.0)


@pytest.mark.parametrize(
    "line",
    [
        {}, {"what": "round"}, {"what": "round", "at": "x"}, {"what": 3, "at": 1.0},
        {"what": "plan", "at": 1.0, "arms": 7}, {"what": "round", "at": 1.0, "arm": [], "fold": {}},
        {"what": "round", "at": 1.0, "arm": "a", "fold": 1e999, "round": 1},
    ],
)  # fmt: skip
def test_a_line_that_no_run_writes_changes_nothing(line):
    story = story_of(PLAN)
    story.hear(line)
    assert (story.arms, story.all_done, story.left_s()) == (PLAN["arms"], 0, None)


def test_a_log_without_rounds_of_its_own_has_no_standing():
    older = {k: v for k, v in round_line("local", 0, 1).items() if k not in ("windows", "correct")}
    story = story_of(PLAN, older)
    assert (story.standing("local"), story.done("local")) == (None, 1)


def test_half_a_line_is_read_when_it_is_whole(tmp_path):
    path = tmp_path / "log.jsonl"
    reader = LogReader(path)
    assert list(reader.lines()) == []
    whole, half = json.dumps({"what": "a"}), json.dumps({"what": "b"})
    path.write_text(whole + "\n" + half[:5])
    assert list(reader.lines()) == [{"what": "a"}]
    with path.open("a") as file:
        file.write(half[5:])
    assert list(reader.lines()) == []
    with path.open("a") as file:
        file.write('\n[1]\nno json\n{"what": "c"}\n')
    assert list(reader.lines()) == [{"what": "b"}, {"what": "c"}]
