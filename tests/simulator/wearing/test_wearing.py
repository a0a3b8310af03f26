"""`wearfleet device` as a script drives it: over a pipe, killed, interrupted, and taken back."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from clients.checkpoints import read_checkpoint
from clients.errors import BadInput
from simulator.cli import app
from simulator.running.scenario_run import run_scenario
from simulator.scenario.file import load_scenario
from tests.clients.made_wearables import contents
from tests.simulator.conftest import Heard, read_all

COMMAND = str(Path(sys.executable).with_name("wearfleet"))
AT_ONCE = 2
ACTIVITIES = ["walking", "jogging", "sitting", "standing"]
SCENARIO = """
name = "in-hand"
seed = 3
[data]
activities = ["walking", "jogging", "sitting", "standing"]
[split]
folds = 1
[model]
base = "random"
learning_rate = 0.005
[labels]
answer_rate = 1.0
mistake_rate = 0.0
[fleet]
engine = "reference"
[measure]
holdout_every = 1000
[checkpoints]
every_rounds = 1000
[[arms]]
name = "local"
method = "local"
"""
PROGRAMS = {
    # 30 windows of 2 s are remembered, of some 1,300
    "dense": [
        "data.users=2", "data.minutes=2.0", "data.window_s=2.0", "data.hop_s=0.25",
        "stream.batch=4", "stream.bout_windows=20", "stream.questions_per_round=3",
        "learning.memory=30", "learning.steps=2",
    ],
    # 6 questions are remembered, of more than 300
    "tracker_lstm": [
        "data.users=['p007']", "data.minutes=3.0", "stream.batch=32", "stream.bout_windows=160",
        "learning.memory=192", "learning.steps=1",
    ],
}  # fmt: skip


@dataclass
class Simulated:
    """A device in a run, and what its simulated wearer answered."""

    run: Path
    device: str
    answers: list[str]
    right: int
    windows: int

    def last_version(self):
        return read_checkpoint(sorted((self.run / "devices/local" / self.device).iterdir())[-1])


@pytest.fixture(scope="module")
def simulated(fleet, tmp_path_factory):
    """Give the last device of a small run of each program."""

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        (folder / "run").mkdir()
        (folder / "scenario.toml").write_text(SCENARIO)
        keys = [f"model.program={name}", *PROGRAMS[name]]
        scenario = load_scenario(folder / "scenario.toml", keys)
        run_scenario(scenario, folder / "run", fleet, Heard())
        windows = read_all(folder / "run" / "windows")
        own = windows[windows.device == sorted(windows.device.unique())[-1]]
        labels = own.groupby(["round", "question"])["label"].first()
        return Simulated(
            folder / "run",
            own.device.iloc[0],
            [str(ACTIVITIES.index(label) + 1) for label in labels],
            int((own.predicted == own.label).sum()),
            len(own),
        )

    return {name: make(name) for name in PROGRAMS}


class Script:
    """The command in a process of its own, and somebody who talks with it line by line."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [COMMAND, "device", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.last = ""

    def asked(self):
        """Wait for a question; False where it ends in place of one."""
        self.last = self.process.stdout.readline()
        return "? [Enter = yes, " in self.last

    def say(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def answer(self, answers, first, until):
        """Answer questions from the first one on; True when all of them were asked."""
        for number in range(first, until):
            if not self.asked():
                return False
            self.say(answers[number])
        return True

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.end()

    def end(self):
        """Wait for the end; return the exit code and what was told on standard error."""
        _, told = self.process.communicate(timeout=60)
        return self.process.returncode, told


def lines_in(folder):
    journal = folder / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def undisturbed(folder, device, every):
    """Wear a device until its stream ends; return its score."""
    script = Script(
        folder, "--run", device.run, "--device", device.device,
        "--speed", 0, "--every", every, "--json",
    )  # fmt: skip
    script.answer(device.answers, 0, len(device.answers))
    assert not script.asked()
    score = json.loads(script.last)
    code, told = script.end()
    assert code == 0, told
    assert "nothing more to ask" in told
    return score


def killed(folder, device, kills, until, seed):
    """Wear a device for some questions, and kill it again and again, soon after an answer."""
    chance = random.Random(seed)
    arguments = ["--run", device.run, "--device", device.device]
    for _ in range(kills):
        done = lines_in(folder)
        script = Script(folder, *arguments, "--speed", 0, "--every", 2)
        arguments = ["--resume"]
        stop = done + chance.randint(8, 25)
        assert script.answer(device.answers, done, stop)
        time.sleep(chance.choice([0.0, chance.uniform(0.0, 0.05)]))
        script.kill()
        assert lines_in(folder) in (stop - 1, stop)  # the last answer is there, or was never
    script = Script(folder, "--resume", "--speed", 0, "--every", 2)
    assert script.answer(device.answers, lines_in(folder), until)
    assert script.asked()
    return script


def interrupted(folder, device):
    """Wear a device that is killed twice, look whether others can wear it, and interrupt it."""
    script = killed(folder, device, 2, 61, seed=1)
    other = Script(folder, "--resume").end()
    return other, script.kill(signal.SIGINT)


def stopped(folder, device):
    """Wear a device that is killed twice, and stop."""
    script = killed(folder, device, 2, 61, seed=2)
    script.say("q")
    return script.end()


def piped(folder, program):
    """Wear a SavedModel with samples and answers on one pipe, written in advance."""
    samples = "".join(f"{i % 9},{i % 4},9.81\n" for i in range(100))
    return subprocess.run(
        [COMMAND, "device", folder, "--model", program, "--stdin", "--json"],
        input=f"x,y,z\n{samples}1\nsomething\n2\n\n",
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def worn(simulated, tmp_path_factory):
    """Give what becomes of devices that are worn in different ways, some at once."""
    home = tmp_path_factory.mktemp("worn")
    dense, tracker = simulated["dense"], simulated["tracker_lstm"]
    base = tracker.run / "base" / "fold-0"
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = {
            "tracker_lstm": pool.submit(undisturbed, home / "tracker_lstm", tracker, 60),
            "dense": pool.submit(undisturbed, home / "dense", dense, 60),
            "interrupted": pool.submit(interrupted, home / "killed dense", dense),
            "stopped": pool.submit(stopped, home / "killed tracker_lstm", tracker),
            "piped": pool.submit(piped, home / "piped", base),
        }
        return home, {name: job.result() for name, job in jobs.items()}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_device_in_hand_ends_with_the_accuracy_and_variables_of_the_simulated_one(
    simulated, worn, name
):
    device, (home, results) = simulated[name], worn
    score = results[name]
    assert score["questions"] == score["answered"] == len(device.answers) > 300
    assert (score["right"], score["windows"]) == (device.right, device.windows)
    assert score["accuracy"] == device.right / device.windows
    assert device.windows > 1200  # many times what fits into its memory
    mine = read_checkpoint(sorted((home / name / "versions").iterdir())[-1])
    simulated_one = device.last_version()
    assert mine.keys() == simulated_one.keys()
    assert [key for key in mine if not np.array_equal(mine[key], simulated_one[key])] == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_device_that_is_killed_and_resumed_is_what_it_would_have_been(worn, name):
    home, _ = worn
    folder = home / f"killed {name}"
    version = "versions/00000060"
    assert contents(folder / version) == contents(home / name / version)
    lines = (home / name / "journal.jsonl").read_bytes().splitlines()[:61]
    assert (folder / "journal.jsonl").read_bytes().splitlines() == lines
    assert not list((folder / "versions").glob(".*"))


def test_who_stops_or_interrupts_is_told_how_to_go_on_and_finds_all_saved(worn):
    home, results = worn
    ends = {"dense": results["interrupted"][1], "tracker_lstm": results["stopped"]}
    assert [code for code, _ in ends.values()] == [130, 0]
    for (name, (_, told)), end in zip(ends.items(), ("interrupted", "stopped"), strict=True):
        assert f"{end}, go on by --resume\n61 questions, 61 answered" in told
        assert "predicted otherwise" not in told
        assert "Traceback" not in told
        versions = home / f"killed {name}" / "versions"
        assert max(path.name for path in versions.iterdir()) == "00000061"


def test_a_device_is_worn_by_one_process_at_a_time(worn):
    code, told = worn[1]["interrupted"][0]
    assert code == 2
    assert told.startswith("wearfleet: ")
    assert "in use by another process" in told
    assert told.count("\n") == 1


def test_samples_and_answers_come_over_one_pipe(worn):
    done = worn[1]["piped"]
    assert done.returncode == 0, done.stderr
    assert "'something' is no answer" in done.stderr
    assert done.stdout.count("? [Enter = yes") == 4  # the second question was put twice
    score = json.loads(done.stdout.splitlines()[-1])
    assert (score["questions"], score["windows"]) == (3, 96)


@pytest.fixture
def taken(worn, tmp_path):
    """Give a copy of the dense device that was asked 61 questions, with versions after each 2."""
    return shutil.copytree(worn[0] / "killed dense", tmp_path / "device")


def device(*arguments):
    """Run the command in this process."""
    app(["device", *map(str, arguments)], standalone_mode=False)


def test_going_back_by_the_command_says_what_was_forgotten(taken, capfd):
    before = contents(taken)
    device(taken, "--undo", "--json")
    told = capfd.readouterr()
    assert f"forgot 1 question, kept in {taken / 'undone'}; 60 questions" in told.err
    assert json.loads(told.out)["questions"] == 60
    after = contents(taken)
    kept = "versions/00000061/"
    moved = {path: after[f"undone/{path.removeprefix('versions/')}"] for path in before
             if path.startswith(kept)}  # fmt: skip
    assert moved == {path: before[path] for path in moved} != {}


def test_a_script_that_goes_away_loses_nothing(taken):
    script = Script(taken, "--resume", "--speed", 0)
    script.asked()
    script.process.stdout.close()
    script.say("")
    script.say("")
    code = script.process.wait(timeout=60)
    assert code == 1
    assert "Traceback" not in script.process.stderr.read()
    assert lines_in(taken) == 62
    assert (taken / "versions" / "00000062").is_dir()


REFUSED = {
    "nothing to wear": ([], "give --run RUN to wear a device of a run, or --model"),
    "two things to wear": (["--run", "a", "--model", "b"], "give --run RUN"),
    "both at once": (["--resume", "--undo"], "give --run RUN"),
    "nothing to play": (["--model", "a"], "--model needs either --data PATH or --stdin"),
    "two things to play": (["--model", "a", "--data", "b", "--stdin"], "needs either"),
    "what a run tells": (["--run", "a", "--steps", "3"], "--steps with --model alone"),
    "what it began with": (["--resume", "--arm", "x", "--device", "y"], "--device, --arm with"),
    "no run": (["--run", "a"], "a: no run folder"),
    "no device": (["--resume"], "no device in it"),
    "no device to take back": (["--undo"], "no device in it"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_and_leaves_nothing(case, tmp_path):
    arguments, said = REFUSED[case]
    with pytest.raises(BadInput, match=said):
        device(tmp_path / "device", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(taken):
    (taken / "lock").unlink()
    (taken / "lock").mkdir()
    with pytest.raises(BadInput, match=f"{taken / 'lock'}: Is a directory; see to it"):
        device(taken, "--resume")
