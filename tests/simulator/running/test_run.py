"""Whole runs: what they leave behind, and that it can be trusted."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from clients.checkpoints import read_checkpoint
from clients.device import score_questions
from clients.errors import BadInput, BadRecordings
from clients.program import Program
from simulator.cohort.records import ROUNDS, WINDOWS
from simulator.measures.statistics import frame_of_tests, paired_tests
from simulator.plan.plan import build_plan
from simulator.running.fleet import Fleet
from simulator.running.scenario_run import run_scenario
from simulator.running.seeds import run_seeds
from simulator.running.workers import InProcess
from simulator.scenario.file import load_scenario
from tests.made_docs import ROOT
from tests.simulator.conftest import CROWD, Heard, contents, read_all

ARMS = ["frozen", "rules", "local", "all", "half", "half-personal", "finetune"]
USERS = ["p001", "p002", "p003", "p004", "p005"]
FEW_ARMS = 'arms=[{name="local", method="local"}, {name="all", method="fedavg"}]'
RANDOM = "model.base=random"
COMMAND = str(Path(sys.executable).with_name("wearfleet"))
SUMMARY = [
    "arm", "method", "devices", "base_accuracy", "prequential_accuracy",
    "prequential_vote_accuracy", "prequential_kappa_temporal", "holdout_accuracy",
    "holdout_macro_f1", "holdout_worst_tenth", "holdout_min", "holdout_std", "worse_than_local",
    "gradients_per_answer", "bytes_up", "bytes_down", "epsilon", "updates_sent",
    "updates_accepted", "updates_refused", "updates_lost",
]  # fmt: skip
USERS_CSV = [
    "arm", "user", "devices", "windows", "answered", "prequential_accuracy", "holdout_accuracy",
    "holdout_macro_f1",
]  # fmt: skip


def confusions(rounds, arm, round_):
    """Return each device's holdout confusion of one round: device -> int [K, K]."""
    own = rounds[(rounds["arm"] == arm) & (rounds["round"] == round_)]
    return {
        row["device"]: np.array(row["holdout_confusion"]).reshape(4, 4) for _, row in own.iterrows()
    }


def assert_equal_runs(one, other):
    ours, theirs = contents(one), contents(other)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_run_folder_holds_what_the_design_says(finished):
    assert sorted(p.name for p in finished.path.iterdir()) == [
        "base", "checkpoints", "devices", "events", "fairness.csv", "log.jsonl", "manifest.json",
        "report.html", "rounds", "scenario.toml", "summary.csv", "tests.csv", "users.csv",
        "windows",
    ]  # fmt: skip
    assert not [p for p in finished.path.rglob("*") if p.name.startswith(".")]
    assert not list(finished.path.rglob("*.unfinished"))


def test_every_arm_has_windows_and_rounds_of_every_cohort(finished):
    for kind, schema in (("windows", WINDOWS), ("rounds", ROUNDS)):
        assert sorted(p.name for p in (finished.path / kind).iterdir()) == sorted(ARMS)
        for arm in ARMS:
            files = sorted((finished.path / kind / arm).iterdir())
            assert [p.name for p in files] == [f"cohort-{i:05d}.parquet" for i in range(5)]
            assert all(pq.read_schema(file).equals(schema) for file in files)


def test_summary_and_users_have_the_columns_of_the_design(finished):
    summary = pd.read_csv(finished.path / "summary.csv")
    assert list(summary) == SUMMARY
    assert summary["arm"].tolist() == ARMS
    assert summary["devices"].tolist() == [5] * 7
    users = pd.read_csv(finished.path / "users.csv", dtype={"user": str})
    assert list(users) == USERS_CSV
    assert users["arm"].tolist() == [arm for arm in ARMS for _ in USERS]
    assert users["user"].tolist() == USERS * 7
    pd.testing.assert_frame_equal(finished.summary.round(6), summary, check_dtype=False)


def assert_tests_follow_from_users(folder, baseline):
    users = pd.read_csv(folder / "users.csv", dtype={"user": str})
    expected = frame_of_tests(paired_tests(users, baseline)).round(6)
    written = pd.read_csv(folder / "tests.csv")
    assert not written.empty
    pd.testing.assert_frame_equal(written, expected, check_dtype=False)


@pytest.mark.parametrize(
    ("table", "pages"),
    [
        ("summary.csv", ("measures.md", "faults.md")),
        ("tests.csv", ("measures.md",)),
        ("users.csv", ("run-folder.md",)),
        ("fairness.csv", ("run-folder.md",)),
    ],
)
def test_every_column_of_a_table_is_explained(finished, table, pages):
    text = "".join((ROOT / "docs" / page).read_text() for page in pages)
    columns = pd.read_csv(finished.path / table).columns
    assert [column for column in columns if f"`{column}`" not in text] == []


def test_tests_follow_from_the_users(finished):
    assert_tests_follow_from_users(finished.path, "local")


def test_manifest_says_what_the_run_was_made_of(finished):
    manifest = finished.manifest()
    assert (manifest["status"], manifest["seed"]) == ("done", 11)
    assert manifest["data"]["users"] == 5
    assert manifest["data"]["rounds"] == 4
    assert [one["fold"] for one in manifest["base"]] == [0, 1]
    assert all(0 < one["steps"] <= 100 for one in manifest["base"])
    assert manifest["data_fingerprint"]


def test_resolved_scenario_runs_again_as_it_is(finished, small_file):
    again = load_scenario(finished.path / "scenario.toml")
    first = load_scenario(small_file)
    # What is left to the program is filled in when the program is there.
    heads = [["classes/*"] if arm.method == "fedper" else None for arm in first.arms]
    filled = [arm.private or head for arm, head in zip(first.arms, heads, strict=True)]
    assert [arm.private for arm in again.arms] == filled
    assert (first.fleet.tile, again.fleet.tile) == ("auto", 8)  # "dense" has 15,684 parameters
    fleet = again.fleet.model_copy(update={"tile": "auto"})
    assert again.model_copy(update={"arms": first.arms, "fleet": fleet}) == first


def test_watcher_hears_of_every_arm_and_round(finished):
    assert [stage for stage in finished.heard.stages if stage[1]] == [(arm, 8) for arm in ARMS]
    assert finished.heard.advances == 7 * 2 * 4


def test_every_device_has_a_row_for_every_round_and_the_holdout_before(finished):
    rounds = finished.rounds()
    counts = rounds.groupby(["arm", "device"])["round"].apply(list)
    assert all(numbers == [0, 1, 2, 3, 4] for numbers in counts)
    assert set(rounds["user"]) == set(USERS)
    assert rounds["holdout_windows"].notna().all()
    before = rounds[rounds["round"] == 0]
    assert (before["windows"] == 0).all()


def test_windows_are_those_that_the_rounds_count(finished):
    windows, rounds = read_all(finished.path / "windows"), finished.rounds()
    rounds = rounds[rounds["round"] > 0]
    for arm in ARMS:
        own, counted = windows[windows["arm"] == arm], rounds[rounds["arm"] == arm]
        assert len(own) == counted["windows"].sum()
        assert (own["predicted"] == own["label"]).sum() == counted["correct"].sum()
        assert (own["voted"] == own["label"]).sum() == counted["vote_correct"].sum()
        assert own["downloaded_correct"].sum() == counted["downloaded_correct"].sum()


def test_all_arms_see_the_same_streams_and_the_same_answers(finished):
    windows = read_all(finished.path / "windows")
    same = ["fold", "round", "question", "device", "user", "time_s", "label", "answer"]
    first = windows[windows["arm"] == ARMS[0]][same].reset_index(drop=True)
    for arm in ARMS[1:]:
        own = windows[windows["arm"] == arm][same].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, first)


def test_every_learning_arm_starts_from_the_base_of_its_fold(finished):
    rounds = finished.rounds()
    base = confusions(rounds, "frozen", 0)
    for arm in ARMS:
        if arm != "rules":
            found = confusions(rounds, arm, 0)
            assert all(np.array_equal(found[device], base[device]) for device in base)


def test_frozen_stays_where_it_was(finished):
    rounds = finished.rounds()
    base = confusions(rounds, "frozen", 0)
    for round_ in (1, 2, 3, 4):
        found = confusions(rounds, "frozen", round_)
        assert all(np.array_equal(found[device], base[device]) for device in base)
    own = rounds[rounds["arm"] == "frozen"]
    assert (own[["steps", "gradients", "bytes_up", "bytes_down"]] == 0).all(axis=None)


def test_frozen_devices_carry_the_bytes_of_their_base(finished):
    plan = build_plan(load_scenario(finished.path / "scenario.toml"))
    for fold in plan.folds:
        base = read_checkpoint(finished.path / "base" / f"fold-{fold.index}")
        for index in fold.devices:
            folder = finished.path / "devices" / "frozen" / plan.name_of(index)
            own = read_checkpoint(folder / "round-00004")
            assert own.keys() == base.keys()
            assert all(np.array_equal(own[key], base[key]) for key in base)


def test_heuristic_never_changes_its_mind(finished):
    rounds = finished.rounds()
    first = confusions(rounds, "rules", 0)
    last = confusions(rounds, "rules", 4)
    assert all(np.array_equal(first[device], last[device]) for device in first)
    assert not (finished.path / "devices" / "rules").exists()


def test_only_sharing_arms_use_the_network(finished):
    traffic = finished.rounds().groupby("arm")[["bytes_up", "bytes_down"]].sum()
    # dense on windows of 80 x 3 for 4 activities: 240 x 64 + 64 shared, 64 x 4 + 4 in the head.
    whole, head = 4 * (240 * 64 + 64 + 64 * 4 + 4), 4 * (64 * 4 + 4)
    assert (traffic.loc[["frozen", "rules", "local"]] == 0).all(axis=None)
    assert traffic.loc["all", "bytes_down"] == 5 * 4 * whole
    rounds = finished.rounds()
    sent = rounds[rounds["bytes_up"] > 0].groupby("arm")["bytes_up"].unique()
    assert sent["all"].tolist() == [whole]
    assert sent["half-personal"].tolist() == [whole - head]
    after = rounds[(rounds["arm"] == "finetune") & (rounds["round"] > 2)]
    assert (after["bytes_up"] == 0).all()
    assert set(after.loc[after["round"] == 3, "bytes_down"]) == {whole}
    assert set(after.loc[after["round"] == 4, "bytes_down"]) == {0}


def test_learning_devices_learn_and_only_participants_do(finished):
    rounds = finished.rounds()
    rounds = rounds[rounds["round"] > 0]
    for arm in ("local", "all", "half", "half-personal", "finetune"):
        assert rounds.loc[rounds["arm"] == arm, "steps"].sum() > 0
    resting = rounds[rounds["arm"].isin(["half", "half-personal"]) & ~rounds["participant"]]
    assert len(resting) > 0
    assert (resting[["steps", "bytes_up", "bytes_down"]] == 0).all(axis=None)


def test_devices_that_share_everything_answer_with_one_model(finished):
    plan = build_plan(load_scenario(finished.path / "scenario.toml"))
    for fold in plan.folds:
        models = [
            read_checkpoint(finished.path / "devices" / "half" / plan.name_of(i) / "round-00004")
            for i in fold.devices
        ]
        shared = [name for name in models[0] if name.startswith("params/")]
        assert len(shared) == 4
        for other in models[1:]:
            assert all(np.array_equal(models[0][name], other[name]) for name in shared)


def test_personal_heads_differ_over_a_shared_body(finished):
    plan = build_plan(load_scenario(finished.path / "scenario.toml"))
    devices = plan.folds[0].devices
    one, other = (
        read_checkpoint(
            finished.path / "devices" / "half-personal" / plan.name_of(i) / "round-00004"
        )
        for i in devices[:2]
    )
    assert np.array_equal(one["params/hidden/kernel"], other["params/hidden/kernel"])
    assert not np.array_equal(one["params/classes/kernel"], other["params/classes/kernel"])


def test_arm_that_shares_nothing_is_refused_by_its_key(run_small):
    arm = 'arms=[{name="mine", method="fedper", private=["*"]}]'
    with pytest.raises(BadInput, match=r"arms\.mine\.private = \['\*'\]"):
        run_small([arm, RANDOM, "stream.rounds=1", "baseline=mine"])


@pytest.mark.parametrize(
    ("arm", "round_"),
    [("local", 4), ("half", 3), ("half", 4), ("half-personal", 4), ("finetune", 4)],
)
def test_saved_devices_score_as_their_last_holdout(finished, arm, round_):
    plan = build_plan(load_scenario(finished.path / "scenario.toml"))
    recorded = confusions(finished.rounds(), arm, round_)
    assert sorted(recorded) == USERS
    for user, (first, stop) in zip(USERS, plan.pool.holdout, strict=True):
        program = Program(finished.path / "devices" / arm / user / f"round-{round_:05d}")
        assert program.activities == tuple(plan.scenario.data.activities)
        windows = np.arange(first, stop, dtype=np.int32)
        x, labels = plan.pool.read(windows), plan.pool.windows.label[windows]
        found = score_questions(program, [x], [labels], 4)
        np.testing.assert_array_equal(found, recorded[user])


def test_only_the_last_versions_are_kept(finished):
    for arm in ("frozen", "local", "all", "half-personal", "finetune"):
        for user in USERS:
            versions = sorted(p.name for p in (finished.path / "devices" / arm / user).iterdir())
            assert versions == ["round-00003", "round-00004"]


def test_copies_share_their_graph_and_not_their_variables(finished):
    base = finished.path / "base" / "fold-0" / "saved_model.pb"
    versions = list((finished.path / "devices").rglob("round-00004"))
    graphs = {(version / "saved_model.pb").stat().st_ino for version in versions}
    assert base.stat().st_ino in graphs
    assert len(graphs) == 2
    variables = {(v / "variables" / "variables.index").stat().st_ino for v in versions}
    assert len(variables) == len(versions) == 6 * 5


def test_half_of_the_devices_take_part_and_the_same_in_two_arms(finished):
    rounds = finished.rounds()
    rounds = rounds[rounds["round"] > 0]

    def chosen(arm):
        own = rounds[(rounds["arm"] == arm) & rounds["participant"]]
        return own.groupby(["fold", "round"])["device"].apply(set).to_dict()

    assert chosen("half") == chosen("half-personal")
    sizes = {fold: rounds[rounds["fold"] == fold]["device"].nunique() for fold in (0, 1)}
    assert sorted(sizes.values()) == [2, 3]
    for (fold, _), devices in chosen("half").items():
        assert len(devices) == {2: 1, 3: 2}[sizes[fold]]
    assert len({frozenset(devices) for devices in chosen("half").values()}) > 2
    everybody = rounds[rounds["arm"] == "all"]
    assert everybody["participant"].all()


def test_base_is_scored_on_people_that_it_never_saw(finished):
    # All windows of each user, the holdout among them: 1,200 samples are 15 windows, 4 activities.
    plan = build_plan(load_scenario(finished.path / "scenario.toml"))
    shares = []
    for fold in plan.folds:
        program = Program(finished.path / "base" / f"fold-{fold.index}")
        for user in fold.wearers:
            right = 0
            for recording in plan.population.recordings[user]:
                x = recording.samples[: 15 * 80].reshape(15, 80, 3)
                label = plan.scenario.data.activities.index(recording.activity)
                right += int((program.predict(x).classes == label).sum())
            shares.append(right / 60)
    base = pd.read_csv(finished.path / "summary.csv")["base_accuracy"]
    assert base.tolist() == [pytest.approx(np.mean(shares), abs=1e-6)] * 7


def test_what_is_checkpointed_seldom_is_still_there_at_the_end(run_small):
    keys = [RANDOM, "checkpoints.every_rounds=3", "checkpoints.keep=1", "measure.holdout_every=3"]
    run = run_small([FEW_ARMS, *keys, "checkpoints.materialize=2"])
    for arm in ("local", "all"):
        assert sorted(p.name for p in (run.path / "devices" / arm).iterdir()) == ["p001", "p002"]
        for user in ("p001", "p002"):
            versions = [p.name for p in (run.path / "devices" / arm / user).iterdir()]
            assert versions == ["round-00004"]
    scored = run.rounds().set_index("round")["holdout_windows"].notna()
    assert set(scored[scored].index) == {0, 3, 4}
    assert not scored.loc[[1, 2]].any()


def test_seeds_are_whole_runs_and_their_parent_averages_them(small_file, fleet, tmp_path):
    few = [FEW_ARMS, RANDOM, "stream.rounds=1"]
    scenario = load_scenario(small_file, few)
    run_seeds(scenario, 2, tmp_path, fleet, Heard())
    for seed in (11, 12):
        own = tmp_path / f"seed-{seed}"
        assert {p.name for p in own.iterdir()} >= {
            "scenario.toml", "manifest.json", "windows", "rounds", "summary.csv", "users.csv",
            "devices", "report.html",
        }  # fmt: skip
        assert load_scenario(own / "scenario.toml").seed == seed
        assert json.loads((own / "manifest.json").read_text())["seed"] == seed
    assert json.loads((tmp_path / "manifest.json").read_text())["seeds"] == 2
    assert (tmp_path / "report.html").is_file()
    assert_tests_follow_from_users(tmp_path, "local")
    one, other = (
        json.loads((tmp_path / f"seed-{seed}" / "manifest.json").read_text()) for seed in (11, 12)
    )
    assert one["data_fingerprint"] != other["data_fingerprint"]
    for name, keys in (("summary.csv", ["arm", "method"]), ("users.csv", ["arm", "user"])):
        parent = pd.read_csv(tmp_path / name)
        one, other = (pd.read_csv(tmp_path / f"seed-{seed}" / name) for seed in (11, 12))
        assert parent[keys].values.tolist() == one[keys].values.tolist()
        for column in one.columns.difference(keys):
            low = np.minimum(one[column], other[column])
            high = np.maximum(one[column], other[column])
            np.testing.assert_allclose(parent[column], (low + high) / 2, atol=2e-6)
            np.testing.assert_allclose(parent[f"{column}_min"], low, atol=2e-6)
            np.testing.assert_allclose(parent[f"{column}_max"], high, atol=2e-6)


def test_two_workers_in_other_processes_leave_the_same_bytes(crowd, small_file, tmp_path):
    out = tmp_path / "run"
    keys = [part for key in CROWD for part in ("--set", key)]
    done = subprocess.run(
        [COMMAND, "run", str(small_file), "--out", str(out), "--workers", "2", *keys],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    kinds = {Path(name).parts[0] for name in contents(crowd.path)}
    tables = {
        "windows",
        "rounds",
        "events",
        "summary.csv",
        "tests.csv",
        "users.csv",
        "fairness.csv",
    }
    assert kinds == {*tables, "scenario.toml", "checkpoints", "devices"}
    assert_equal_runs(crowd.path, out)


def test_devices_beyond_the_users_are_rows_of_their_own(crowd):
    rounds = crowd.rounds()
    names = [f"{user}{end}" for end in ("", "+1", "+2", "+3") for user in USERS] + ["p001+4"]
    assert set(rounds["device"]) == {*names, "p002+4"}
    assert (rounds["device"].str.partition("+")[0] == rounds["user"]).all()
    assert pd.read_csv(crowd.path / "summary.csv")["devices"].tolist() == [22] * 7
    users = pd.read_csv(crowd.path / "users.csv")
    assert users[users["arm"] == "local"]["devices"].tolist() == [5, 5, 4, 4, 4]
    assert crowd.manifest()["data"]["devices"] == 22
    assert crowd.manifest()["data"]["users"] == 5


def test_cohorts_of_several_devices_have_a_file_each(crowd):
    # 5 users in 2 folds: 3 of them wear 13 or 14 devices, 2 of them 9 or 8; 8 cohorts in each fold.
    plan = build_plan(load_scenario(crowd.path / "scenario.toml"))
    assert len(plan.cohorts) == 16
    assert max(len(cohort.devices) for cohort in plan.cohorts) == 2
    files = sorted((crowd.path / "rounds" / "local").iterdir())
    assert [p.name for p in files] == [f"cohort-{i:05d}.parquet" for i in range(16)]
    for cohort, file in zip(plan.cohorts, files, strict=True):
        found = pd.read_parquet(file)["device"].astype(str).unique().tolist()
        assert found == [plan.name_of(device) for device in cohort.devices]


def test_only_so_many_devices_are_materialized(crowd):
    names = {f"{user}{end}" for user in USERS for end in ("", "+1")} - {"p005+1"}
    for arm in ("frozen", "local", "all", "half", "half-personal", "finetune"):
        assert {p.name for p in (crowd.path / "devices" / arm).iterdir()} == names


def test_refused_updates_are_events_of_devices_that_sent_something(crowd):
    shares = {"all", "half", "half-personal", "finetune"}
    assert {path.name for path in (crowd.path / "events").iterdir() if path.is_dir()} == shares
    rounds, own = crowd.rounds(), read_all(crowd.path / "events" / "all")
    assert set(own["kind"]) == {"refused"}
    assert set(own["arm"]) == {"all"}
    # In the first round only the absurd is refused; then what exceeds the median before it.
    assert set(own["round"]) == {2, 3, 4}
    assert set(own["reason"]) == {"norm"}
    assert (own["norm"] > 0.0).all()
    assert own[["windows", "answered"]].isna().all(axis=None)
    assert not own.duplicated(["round", "device"]).any()
    sent = rounds[(rounds["arm"] == "all") & (rounds["bytes_up"] > 0)]
    keys = ["fold", "round", "device"]
    refused = own.merge(sent[[*keys, "steps", "refused"]], on=keys, how="left")
    assert (refused["steps"] > 0).all()
    assert (refused["refused"] == 1).all()
    assert len(own) < (sent["round"] > 1).sum()


def test_updates_are_counted_where_there_is_a_server(crowd):
    rounds = crowd.rounds().groupby("arm")[["sent", "accepted", "refused", "lost"]].sum()
    summary = pd.read_csv(crowd.path / "summary.csv").set_index("arm")
    names = [f"updates_{name}" for name in rounds]
    for arm in ("frozen", "rules", "local"):
        assert summary.loc[arm, names].isna().all()
    for arm in ("all", "half", "half-personal", "finetune"):
        assert summary.loc[arm, names].tolist() == rounds.loc[arm].tolist()
        assert rounds.loc[arm, "sent"] == rounds.loc[arm, ["accepted", "refused"]].sum() > 0
        assert rounds.loc[arm, "lost"] == 0


def test_machine_is_logged_round_by_round(finished):
    lines = [json.loads(line) for line in (finished.path / "log.jsonl").read_text().splitlines()]
    rounds = [line for line in lines if line["what"] == "round"]
    assert [(line["arm"], line["fold"], line["round"]) for line in rounds] == [
        (arm, fold, round_) for arm in ARMS for fold in (0, 1) for round_ in (1, 2, 3, 4)
    ]
    for line in rounds:
        assert 0.0 <= sum(line["compiled_s"]) <= line["wall_s"]  # scoring is compiled too
        assert 0.0 <= line["work_s"] + line["save_s"] <= line["wall_s"]
        assert 0.0 < line["rss_mib"][0] <= line["peak_rss_mib"][0] + 1.0  # read a moment later


def test_what_a_person_should_know_is_told(run_small):
    arms = 'arms=[{name="local", method="local"}, {name="f", method="finetune", switch_round=1}]'
    run = run_small([arms, RANDOM, "stream.rounds=1"])
    (note,) = run.heard.notes
    assert 'arm "f" never fine-tunes' in note
    assert run.manifest()["notes"] == [note]


@pytest.fixture(scope="module")
def recorded(run_small):
    """Give runs that differ in which windows are written alone."""
    keys = [FEW_ARMS, RANDOM, "fleet.devices=18", "stream.rounds=2", "checkpoints.materialize=3"]
    kept = {"all": '"all"', "half": "0.5", "none": '"none"'}
    return {name: run_small([*keys, f"records.windows={value}"]) for name, value in kept.items()}


@pytest.mark.parametrize("name", ["half", "none"])
def test_windows_that_are_not_written_change_no_figure(recorded, name):
    whole, part = contents(recorded["all"].path), contents(recorded[name].path)
    # A checkpoint holds windows that are yet to be written.
    same = [f for f in whole if not f.startswith(("windows", "scenario.toml", "checkpoints"))]
    kinds = {Path(f).parts[0] for f in same}
    assert kinds == {
        "rounds", "events", "devices", "summary.csv", "tests.csv", "users.csv", "fairness.csv",
    }  # fmt: skip
    assert [f for f in same if whole[f] != part.get(f)] == []
    assert (recorded[name].path / "report.html").is_file()


def test_where_no_windows_are_wanted_no_file_is_written(recorded):
    assert not list((recorded["none"].path / "windows").rglob("*.parquet"))


def test_share_of_windows_is_that_of_whole_devices_and_the_same_in_all_arms(recorded):
    whole, part = (read_all(recorded[name].path / "windows") for name in ("all", "half"))
    chosen = set(part["device"])
    assert 4 <= len(chosen) <= 14  # of 18; outside with a chance of one in a hundred
    kept = whole[whole["device"].isin(chosen)].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, kept)
    by_arm = part.groupby("arm")["device"].apply(set)
    assert by_arm["local"] == by_arm["all"] == chosen
    assert set(whole["device"]) == set(recorded["all"].rounds()["device"])


def test_fewer_devices_than_users_leave_no_folder(small_file, fleet, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    with pytest.raises(BadInput, match=r"fleet\.devices = 4: 5 users wear a device each at least"):
        run_scenario(load_scenario(small_file, ["fleet.devices=4"]), out, fleet, Heard())
    assert not out.exists()


def test_bad_data_leaves_no_folder(small_file, fleet, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    empty = tmp_path / "nothing-in-it"
    empty.mkdir()
    keys = ["data.source=wisdm-2019", f"data.path={empty}", "data.users=all"]
    with pytest.raises(BadRecordings, match="nothing-in-it"):
        run_scenario(load_scenario(small_file, keys), out, fleet, Heard())
    assert not out.exists()


def test_random_base_and_one_fold_need_no_donors(run_small):
    run = run_small([FEW_ARMS, "split.folds=1", "model.base=random", "stream.rounds=1"])
    assert run.manifest()["base"][0]["steps"] == 0
    assert set(run.rounds()["fold"]) == {0}


def test_without_a_holdout_what_it_measures_is_empty(run_small):
    run = run_small([FEW_ARMS, RANDOM, "split.holdout=0", "stream.rounds=1"])
    summary = pd.read_csv(run.path / "summary.csv")
    assert summary["holdout_accuracy"].isna().all()
    assert summary["worse_than_local"].isna().all()
    assert summary["prequential_accuracy"].notna().all()


def test_feature_rows_of_wisdm_run(small_file, wisdm_features, tmp_path):
    rules = '{name="rules", method="heuristic"}'
    scenario = load_scenario(
        small_file,
        [
            f'arms=[{{name="local", method="local"}}, {{name="all", method="fedavg"}}, {rules}]',
            "data.source=wisdm-v1.1-features",
            f"data.path={wisdm_features}",
            "data.users=8",
            "data.activities=['walking', 'jogging', 'sitting', 'standing']",
            "stream.rounds=1",
        ],
    )
    run_scenario(scenario, tmp_path, Fleet(InProcess()), Heard())
    summary = pd.read_csv(tmp_path / "summary.csv").set_index("arm")
    assert summary["devices"].tolist() == [8, 8, 8]
    # A sceptic's thresholds already beat guessing among four.
    assert (summary["base_accuracy"] > 0.4).all()
    assert summary.loc["rules", "holdout_accuracy"] > 0.4


def test_watch_recordings_of_wisdm_run(run_small, wisdm_watch):
    run = run_small(
        [
            FEW_ARMS,
            "data.source=wisdm-2019",
            f"data.path={wisdm_watch}",
            "data.users=10",
            "data.activities=['walking', 'jogging', 'sitting', 'standing']",
            "stream.rounds=1",
        ]
    )
    assert run.manifest()["data"]["users"] == 10
    assert run.manifest()["data"]["defects"]
    summary = pd.read_csv(run.path / "summary.csv").set_index("arm")
    assert summary["devices"].tolist() == [10, 10]
    assert (summary["base_accuracy"] > 0.4).all()
