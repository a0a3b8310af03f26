"""A run that is followed: in its own terminal, and from another one."""

import io
import json
import shutil
import threading

import pytest
from rich.console import Console

from clients.errors import BadProgram
from simulator.cli import main
from simulator.folder.lock import locked
from simulator.folder.manifest_file import write_seeds
from simulator.running.displays import Lines, Picture, Silence, display_of
from simulator.running.ends import end_by
from simulator.running.followed import Followed
from simulator.running.live import duration, line, picture
from tests.simulator.made_logs import PLAN, WORKERS, round_line, written


def told_by(capsys, *arguments):
    """Run a command in this process; returns its exit code, and what it said."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def test_a_finished_run_is_told_and_ends_with_zero(finished, capsys):
    code, out, err = told_by(capsys, "watch", finished.path, "--once")
    assert (code, err) == (0, "")
    assert out.startswith("small · done · ")
    rounds, users = finished.rounds(), finished.summary.set_index("arm")
    for arm in ("frozen", "rules", "local", "all", "half", "half-personal", "finetune"):
        row = next(line.split() for line in out.splitlines() if line.split()[:1] == [arm])
        own = rounds[rounds["arm"] == arm]
        assert (row[1], row[3]) == ("2/2", "4/4")
        assert row[-1] == f"{100 * own['correct'].sum() / own['windows'].sum():.1f}%"
        assert abs(float(row[-1][:-1]) / 100 - users.loc[arm, "prequential_accuracy"]) < 0.05


@pytest.mark.parametrize(("status", "code"), [("failed", 1), ("interrupted", 130), ("running", 1)])
def test_the_exit_code_is_that_of_the_run(tmp_path, capsys, status, code):
    run = written(tmp_path / "run", [WORKERS, PLAN, round_line("local", 0, 1)])
    (run / "manifest.json").write_text(json.dumps({"status": status}))
    found, out, err = told_by(capsys, "watch", run)
    assert found == code
    assert "local, fold 1 of 2, round 1 of 4, 0 of 2 arms done" in out
    assert f"`wearfleet resume {run}` goes on with it" in err
    assert ("killed" in err) == (status == "running")  # nobody holds the lock


def test_a_run_that_would_end_the_same_way_again_is_not_called_one_to_go_on_with(tmp_path, capsys):
    run = written(tmp_path / "run", [WORKERS, PLAN, round_line("local", 0, 1)])
    (run / "manifest.json").write_text(json.dumps({"status": end_by(BadProgram("it fails"))}))
    code, _, err = told_by(capsys, "watch", run)
    assert code == 2
    assert "refused; what it was given cannot be used" in err
    assert "resume" not in err
    assert end_by(ValueError("a bug")) == "failed"


def test_a_run_is_followed_until_it_ends(tmp_path, capsys):
    rounds = [round_line("local", 0, n, refused=n) for n in (1, 2, 3)]
    run = written(tmp_path / "run", [WORKERS, PLAN, *rounds])
    (run / "manifest.json").write_text(json.dumps({"status": "running"}))
    begun, ending = threading.Event(), threading.Event()

    def hold():
        with locked(run):
            begun.set()
            ending.wait(30)
            (run / "manifest.json").write_text(json.dumps({"status": "done"}))

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait(30)
    once = told_by(capsys, "watch", run, "--once")
    threading.Timer(0.2, ending.set).start()
    code, out, _ = told_by(capsys, "watch", run)
    thread.join()
    assert once[0] == 0
    assert "made · running" in once[1]
    assert "last round of local, fold 1 of 2: 3 refused" in once[1]
    assert "note: two users are short" in once[1]
    first, last = out.splitlines()
    assert first.startswith("running: local, fold 1 of 2, round 3 of 4")
    assert "75.0% right so far (prequential), last round: 3 refused, about " in first
    assert (code, last.partition(":")[0]) == (0, "done")


def test_no_run_is_one_message(tmp_path, capsys):
    code, out, err = told_by(capsys, "watch", tmp_path)
    assert (code, out) == (2, "")
    assert f"{tmp_path}: no run" in err


def test_seeds_are_followed_one_after_the_other(tmp_path):
    parent = tmp_path / "seeds"
    parent.mkdir()
    write_seeds(parent, 3, "x", tmp_path)
    (parent / "scenario.toml").write_text('name = "made"\n')
    rounds = [round_line(a, f, n, at=n + 109.0) for a in PLAN["arms"] for f in (0, 1) for n in (1, 2, 3, 4)]  # fmt: skip # noqa: E501
    written(parent / "seed-3", [{**WORKERS, "ready_s": 0.0, "at": 13.0}, PLAN, *rounds])
    later = {**WORKERS, "ready_s": 0.0, "at": 500.0}
    begun = [round_line("local", 0, n, at=502.0) for n in (1, 2, 3)]
    written(parent / "seed-4", [later, {**PLAN, "at": 500.0}, *begun])
    (parent / "seed-5").mkdir()  # which has not begun
    run = Followed(parent)
    (parent / "seeds.json").rename(tmp_path / "seeds.json")
    run.look()  # before the run says that it has seeds
    (tmp_path / "seeds.json").rename(parent / "seeds.json")
    run.look()
    assert (run.seeds, run.seed, run.status()) == (3, 4, "killed")
    # 13 rounds of 2 s are left of this seed (less what has passed of one), and the next one is
    # taken for as long as the first, which took from 13 to 113.
    assert run.left_s() == pytest.approx(13 * 2 - 2 + 100)
    console = Console(file=io.StringIO(), width=90)
    console.print(picture(run, "killed"))
    assert console.file.getvalue().startswith("made · seed 2 of 3 · killed")


def test_the_picture_in_a_terminal_follows_the_log(tmp_path):
    run = written(tmp_path / "run", [WORKERS, PLAN])
    console = Console(file=io.StringIO(), force_terminal=True, width=90, height=30)
    with Picture(run, console) as shown:
        shown.stage("local", 4, 2)
        written(run, [round_line("local", 0, n, lost=2) for n in (1, 2, 3)])
        shown.advance()
        shown.note("[bold]as it is")
        shown._live.refresh()
    drawn = console.file.getvalue()
    assert "note: [bold]as it is" in drawn
    assert "about" in drawn
    assert "last round of local, fold 1 of 2: 2 lost" in drawn
    last = drawn[drawn.rindex("made") :]
    assert "done" in last
    assert last[last.index("local") :].split()[1] == "1/2"
    assert " 3/4 " in last
    assert "75.0%" in last


def test_arms_that_find_no_room_are_counted(tmp_path):
    arms = [f"arm-{n}" for n in range(30)]
    run = Followed(written(tmp_path / "run", [{**PLAN, "arms": arms}, round_line("arm-20", 0, 1)]))
    run.look()
    console = Console(file=io.StringIO(), width=90)
    console.print(picture(run, "running", lines=16))
    text = console.file.getvalue()
    assert len(text.splitlines()) <= 16
    assert "arm-20" in text
    shown = sum(line.startswith("arm-") for line in text.splitlines())
    assert f"and {30 - shown} more" in text


def test_without_a_terminal_there_is_a_line_for_each_tenth(tmp_path):
    run, said, now = written(tmp_path / "run", [WORKERS, PLAN]), [], [0.0]
    with Lines(run, said.append, lambda: now[0]) as shown:
        shown.stage("reading recordings", 0)
        shown.stage("local", 20, 2)
        written(run, [round_line("local", 0, n) for n in (1, 2, 3)])
        for _ in range(40):
            now[0] += 5.0
            shown.advance()
        shown.note("a note")
    assert said[:2] == ["reading recordings", "local: 20 rounds in each of 2 folds"]
    assert [line.split(", 5.0")[0] for line in said[2:-1]] == [
        f"local: fold {fold} of 2, round {n} of 20" for fold in (1, 2) for n in range(4, 21, 4)
    ]
    assert "5.0 devices/s, 75.0% right so far (prequential), about" in said[2]
    assert said[-1] == "note: a note"


def test_fast_rounds_are_told_once_a_second_and_at_their_end(tmp_path):
    said = []
    with Lines(written(tmp_path / "run", []), said.append, lambda: 0.0) as shown:
        shown.stage("local", 20)
        for _ in range(20):
            shown.advance()
        shown.stage("shared", 1)
    assert said == ["local: 20 rounds", "local: round 20 of 20", "shared: 1 round"]


@pytest.mark.parametrize(
    ("wall_s", "told"), [(2.0, "5.0 dev"), (1.0, "10 dev"), (20.0, "0.5 dev"), (1000.0, "0.01 dev")]
)
def test_slow_devices_are_told_with_decimals(tmp_path, wall_s, told):
    run = Followed(written(tmp_path / "run", [PLAN, round_line("local", 0, 1, wall_s=wall_s)]))
    run.look()
    assert line(run).startswith(told)


def test_no_time_left_is_told_by_rounds_that_compile(tmp_path):
    path = written(tmp_path / "run", [WORKERS, PLAN, round_line("local", 0, 1, wall_s=30.0)])
    run = Followed(path)
    run.look()
    assert "left" not in line(run)
    written(path, [round_line("local", 0, n, wall_s=0.1) for n in (2, 3)])
    run.look()
    assert run.story.left_s() == pytest.approx(5 * 0.1 + 30.0 + 7 * 0.1)


def test_quiet_shows_nothing(tmp_path, capsys):
    with display_of(tmp_path, quiet=True) as shown:
        assert isinstance(shown, Silence)
        shown.stage("local", 2)
        shown.advance()
        shown.note("a note")
    assert capsys.readouterr() == ("", "")


def test_what_a_stranger_wrote_cannot_steer_the_terminal(tmp_path):
    lines = [{**PLAN, "name": "a\x1b[2J", "arms": ["\x1b]0;x\x07"], "notes": ["\x1b[31m\rred"]}]
    run = Followed(written(tmp_path / "run", [*lines, round_line("\x1b]0;x\x07", 0, 1, lost=1)]))
    run.look()
    console = Console(file=io.StringIO(), width=90)
    console.print(picture(run, "running"))
    assert "\x1b" not in console.file.getvalue()
    assert "\x07" not in console.file.getvalue()


def test_a_log_that_is_gone_is_no_error(tmp_path):
    run = Followed(tmp_path / "none")
    run.look()
    assert (run.story.all_done, run.left_s(), run.stage()) == (0, None, "reading recordings")
    shutil.rmtree(tmp_path)
    run.look()


@pytest.mark.parametrize(("seconds", "text"), [(9.4, "9 s"), (75, "1:15 min"), (7260, "2:01 h")])
def test_times_are_told_as_a_person_says_them(seconds, text):
    assert duration(seconds) == text
