"""Run folders, scenarios and recordings from strangers: refused in words, never followed out."""

import os
import shutil

import pytest

from clients.errors import BadInput, BadRecordings, BadScenario
from clients.recordings import read_recordings
from simulator.cli import main
from simulator.scenario.file import load_scenario

HEAD = 'name = "x"\nseed = 1\ndata = {users = 4}\n'
ARM = '[[arms]]\nname = "local"\nmethod = "local"\n'


@pytest.fixture
def run(finished, tmp_path):
    """Give a copy of a run."""
    shutil.copytree(finished.path, tmp_path / "run")
    return tmp_path / "run"


def say(capsys, *arguments):
    try:
        main([str(each) for each in arguments])
        code = 0
    except SystemExit as end:
        code = end.code
    return code, capsys.readouterr().err


def test_a_report_is_not_written_through_a_link(run, tmp_path, capsys):
    (tmp_path / "victim").write_text("mine")
    (run / ".report.html.tmp").symlink_to(tmp_path / "victim")
    code, told = say(capsys, "report", run)
    assert (code, "a link to" in told) == (2, True)
    assert (tmp_path / "victim").read_text() == "mine"


def test_an_arm_that_is_a_path_is_not_followed(run, capsys):
    text = (run / "scenario.toml").read_text().replace('name = "local"', 'name = "../../other"')
    (run / "scenario.toml").write_text(text)
    code, told = say(capsys, "report", run)
    assert (code, "arm '../../other': no name of a folder of a run" in told) == (2, True)


@pytest.mark.parametrize(
    ("pattern", "content"),
    [
        ("summary.csv", b"\x00\xff\xfe"),
        ("summary.csv", b"arm,holdout_accuracy\nlocal,\x1b[2J\n"),
        ("manifest.json", b"[" * 100_000),
        ("rounds/*/*.parquet", b"PAR1" + b"\x00" * 50 + b"PAR1"),
        ("scenario.toml", b"\xff"),
        ("scenario.toml", b"arms = 3"),
    ],
)
def test_damaged_records_are_told_without_a_traceback(run, capsys, pattern, content):
    next(run.glob(pattern)).write_bytes(content)
    code, told = say(capsys, "report", run)
    assert code == 2
    assert told.startswith("wearfleet: ")
    assert "\x1b" not in told


def scenario(tmp_path, text):
    (tmp_path / "scenario.toml").write_text(text)
    return load_scenario(tmp_path / "scenario.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + ARM + ARM.replace("local", "Local", 1), "differ in capitals alone"),
        (HEAD + ARM.replace("local", "x.parquet", 1), "no name of a folder of the run"),
        (HEAD + ARM.replace("local", "../x", 1), "expected letters, digits and _.-"),
        (HEAD + ARM.replace("local", "..", 1), "arms."),
        (HEAD + ARM.replace("local", "x" * 81, 1), "arms."),
        (HEAD.replace("4", "9" * 30) + ARM, "data.users"),
        (HEAD.replace("4}", '4, activities = ["a\\u0000", "b"]}') + ARM, "text without line"),
        (HEAD + "a." * 2000 + "b = 1\n" + ARM, "more than 100 dots in a row"),
        (HEAD + "x = " + "[" * 5000 + ARM, "not TOML"),
        (HEAD + "x = " + "9" * 5000 + "\n" + ARM, "not TOML"),
        (HEAD + ARM + 'private = "' + "x" * 10_000 + '"', "xxx..."),
        ("#" * (5 * 2**20), "5,242,880 bytes or more"),
    ],
)  # fmt: skip
def test_scenarios_that_no_run_could_hold_are_refused(tmp_path, text, said):
    with pytest.raises(BadScenario) as refused:
        scenario(tmp_path, text)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 3000


@pytest.mark.parametrize("path", ["x" * 5000, "a\x00b"])
def test_paths_that_none_can_have_are_not_there(tmp_path, path):
    text = HEAD.replace("users = 4", f'source = "wisdm-2019", path = {path!r}'.replace("'", '"'))
    with pytest.raises(BadScenario, match=r"there is no such file or folder|not TOML"):
        scenario(tmp_path, text.replace("\\x00", "\\u0000") + ARM)


def test_lines_that_never_end_are_refused(tmp_path):
    file = tmp_path / "data_1600_accel_watch.txt"
    line = b"1600,A,90426708196641,7.09,-0.59,8.19;\n"
    file.write_bytes(line * 3 + b"x" * 70_000 + b"\n" + line)
    with pytest.raises(BadRecordings, match="line 4 has more than 65,536 bytes"):
        read_recordings(file, source="auto", rate_hz=20.0)
    file.write_bytes(line)
    os.truncate(file, 2**33)
    with pytest.raises(BadRecordings):
        read_recordings(file, source="wisdm-2019", rate_hz=20.0)


def test_a_table_of_features_that_is_too_large_is_refused(tmp_path):
    file = tmp_path / "WISDM_ar_v1.1_transformed.arff"
    file.write_bytes(b"@relation x\n@attribute user numeric\n")
    os.truncate(file, 2**33)
    with pytest.raises(BadInput, match=r"8,589,934,592 bytes or more|zero bytes"):
        read_recordings(file, source="wisdm-v1.1-features", rate_hz=20.0)


def test_an_error_cannot_steer_the_terminal(tmp_path, capsys):
    (tmp_path / "scenario.toml").write_text(HEAD + '"\\u001b[2J" = 1\n' + ARM)
    code, told = say(capsys, "validate", tmp_path / "scenario.toml")
    assert code == 2
    assert "\x1b" not in told
    assert "\\x1b[2J: unknown key" in told
