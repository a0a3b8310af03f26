"""`wearfleet validate` refuses what can be known before anything is computed."""

import tomllib

import pytest

from simulator.cli import main
from simulator.plan.ahead import plan_ahead
from simulator.plan.plan import build_plan
from simulator.scenario.arm import keys_of
from simulator.scenario.file import load_scenario, scenario_toml
from simulator.scenario.printed import printed


def validated(capsys, *arguments):
    """Run `validate` in this process; returns its exit code, and what it said aside."""
    with pytest.raises(SystemExit) as ended:
        main(["validate", *map(str, arguments)])
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("data.activities=['walking', 'flying']", "'flying' is nothing that synthetic people do"),
        ("stream.rounds=500", 'give at most 4, or "all"'),
        ("fleet.devices=3", "wear a device each at least"),
        ("data.rate_hz=0.5", "data.rate_hz: got 0.5; expected 1 to 1000"),
    ],
)
def test_validate_refuses_what_can_be_known_without_recordings(capsys, small_file, wrong, said):
    code, err = validated(capsys, small_file, "--set", wrong)
    assert code == 2
    assert err.startswith(f"wearfleet: {small_file}: ")
    assert said in err


def test_validate_reads_recordings_where_it_is_asked_to(capsys, small_file, tmp_path):
    (tmp_path / "data_1_accel_watch.txt").write_text("1,A,1000000000,1.0,2.0,9.0;\n")
    keys = ["data.source=wisdm-2019", f"data.path={tmp_path}", "data.users=all"]
    given = [small_file, *(part for key in keys for part in ("--set", key))]
    code, err = validated(capsys, *given)
    assert (code, "`--read` checks these" in err) == (0, True)
    assert validated(capsys, *given, "--read")[0] == 2


def test_a_plan_ahead_is_that_of_the_run(small_file):
    for keys in ((), ("split.holdout_by=chance", "stream.order=recorded", "stream.rounds=all")):
        scenario = load_scenario(small_file, keys)
        ahead, plan = plan_ahead(scenario), build_plan(scenario)
        assert (ahead.rounds, ahead.notes) == (plan.rounds, plan.notes)
        assert ahead.lengths.tolist() == plan.lengths.tolist()


def test_every_default_is_printed_and_what_is_printed_is_the_same_scenario(small_file):
    keys = [{"steps": 3}, {"memory": 9, "steps": 5}]
    scenario = load_scenario(small_file, {"arms.local.tuned": keys, "question": "a\n[labels]\nb"})
    text = printed(scenario)
    assert tomllib.loads(text) == tomllib.loads(scenario_toml(scenario))
    assert "\n# budget: none, as all questions are asked\n" in text
    for arm, own in zip(scenario.arms, text.split("\n[[arms]]\n")[1:], strict=True):
        lines = {line.removeprefix("# ").split()[0].rstrip(":") for line in own.split("\n") if line}
        missing = set(keys_of(arm.method)) - lines
        assert missing <= {"candidates", "detector", "reaction_rounds", "reaction_factor", "tuned"}
    assert "\n# steps = 4, as learning.steps\n# memory = 128, as learning.memory\n" in text
    assert "\n# private: the program's head\n" in text
