"""The answer of a run in words."""

import re
from html import unescape

import pandas as pd
import pytest

from simulator.measures.statistics import paired_tests
from simulator.report import answer_of, answer_sentences, shown_summary, write_report
from simulator.report.answer import headline
from simulator.report.protocol import protocol_in_words
from simulator.report.wording import counted
from tests.simulator.made_runs import fake_run, fake_seeds, hand_written_run

NOBODY = pd.DataFrame({"arm": [], "user": []})


def told(summary: pd.DataFrame, users: pd.DataFrame, **how) -> list[str]:
    """Answer with `local` as the baseline."""
    return answer_sentences(summary, users, paired_tests(users, "local"), "local", **how)


def two_arms(**more: list[float | None]) -> pd.DataFrame:
    return pd.DataFrame({"arm": ["local", "shared"], **more})


def by_user(local: list[float], shared: list[float]) -> pd.DataFrame:
    users = [str(i) for i in range(len(local))]
    parts = [
        pd.DataFrame({"arm": arm, "user": users, "holdout_accuracy": scores})
        for arm, scores in (("local", local), ("shared", shared))
    ]
    return pd.concat(parts, ignore_index=True)


def renamed(scores: list[float], arm: str) -> pd.DataFrame:
    users = by_user(scores, scores)
    return users[users["arm"] == "shared"].assign(arm=arm)


def test_answer_of_too_few_people_claims_nothing():
    summary = two_arms(holdout_accuracy=[0.7, 0.8])
    sentences = told(summary, by_user([0.7, 0.6, 0.8], [0.8, 0.9, 0.7]))
    assert sentences == [
        "On holdout, the best mean over users is that of `shared`: 80.0% of windows right, 10.0 "
        "points above the baseline `local`; 3 people are too few to tell it from chance (the test "
        "needs 6 at the least).",
        "Against `local` on holdout, `shared` is better for 2 of 3 people, worse for 1; it gains "
        "most for user 1 (30.0 points) and loses most for user 2 (10.0 points).",
    ]


def test_answer_says_when_a_difference_is_more_than_chance():
    # All seven people gain 10 points: p = 2 / 2**7 = 0.0156.
    summary = two_arms(holdout_accuracy=[0.7, 0.8])
    sentences = told(summary, by_user([0.7] * 7, [0.8] * 7))
    assert sentences[0] == (
        "On holdout, the best mean over users is that of `shared`: 80.0% of windows right, 10.0 "
        "points above the baseline `local` (95% interval of the mean +10.0 to +10.0): more than "
        "chance (Wilcoxon, 7 people, p = 0.016)."
    )
    assert sentences[1].startswith("Against `local` on holdout, `shared` is better for 7 of 7")
    assert sentences[2].startswith("All pairs come from one seed, so from one split")


def test_answer_says_when_a_difference_is_not_more_than_chance():
    # Ranks 1 to 6 by size, 1 and 2 against: sums below of 0 to 3 come 5 ways, so p = 10 / 64.
    summary = two_arms(holdout_accuracy=[0.5, 0.52])
    users = by_user([0.5] * 6, [0.49, 0.48, 0.53, 0.54, 0.55, 0.53 + 0.03])
    first = told(summary, users)[0]
    assert "`shared`: 52.0% of windows right, 2.5 points above the baseline `local` (95%" in first
    assert first.endswith(": no difference that 6 people could show (Wilcoxon, p = 0.16).")


def test_answer_of_a_best_baseline_names_the_next_arm_and_corrects_for_all():
    # Everybody loses with both arms: p = 2 / 2**8 = 0.0078 each, Holm over two: 0.0156.
    summary = pd.DataFrame(
        {"arm": ["local", "shared", "ditto"], "holdout_accuracy": [0.8, 0.75, 0.7]}
    )
    users = pd.concat([by_user([0.8] * 8, [0.75] * 8), renamed([0.7] * 8, "ditto")])
    sentences = told(summary, users)
    assert sentences[0] == (
        "On holdout, the best mean over users is that of the baseline `local`: 80.0% of windows "
        "right, 5.0 points above `shared`, the best of the 2 other arms (95% interval of the mean "
        "+5.0 to +5.0): more than chance (Wilcoxon, 8 people, p = 0.016 after Holm's correction "
        "over 2 arms)."
    )
    assert sentences[1] == "`ditto` is 10.0 points below `local` (p = 0.016)."
    # All pairs at once: three tests, 3 x 0.0078 = 0.0234.
    assert sentences[4] == (
        "With all 3 pairs of arms tested at once, which asks more than the comparison with the "
        "baseline, `local`, which has the best mean, is ahead of `shared` and `ditto`."
    )
    assert sentences[3].startswith("Against `local` on holdout, `ditto` is better for 0 of 8")


def test_answer_names_arms_that_are_not_told_apart_from_the_best():
    summary = pd.DataFrame(
        {"arm": ["local", "shared", "ditto"], "holdout_accuracy": [0.805, 0.8, 0.7]}
    )
    apart = [0.84, 0.76, 0.83, 0.77, 0.82, 0.78, 0.81, 0.79]  # p = 1 against 0.8 for everybody
    users = pd.concat([by_user(apart, [0.8] * 8), renamed([0.7] * 8, "ditto")])
    sentences = told(summary, users)
    assert "the same as `shared`" in sentences[0]
    assert sentences[0].endswith(
        ": no difference that 8 people could show (Wilcoxon, p = 1 after Holm's correction over 2 "
        "arms)."
    )
    assert sentences[4].endswith(
        "`local`, which has the best mean, is not told apart from `shared` (p = 1); ahead of "
        "`ditto`."
    )


def test_answer_tells_when_most_people_lose_though_the_average_gains():
    # One gains 100 points, nine lose 1 to 9: ranks 10 for, 45 against; of the sums of ranks 1 to 10
    # those up to 10 come 43 ways (subsets with distinct parts of 0 to 10), so p = 86 / 1024.
    summary = two_arms(holdout_accuracy=[0.5, 0.55])
    few = by_user([0.0] + [0.5] * 9, [1.0] + [0.5 - i / 100 for i in range(1, 10)])
    assert told(summary, few)[0].endswith("no difference that 10 people could show "
                                          "(Wilcoxon, p = 0.084).")  # fmt: skip
    # With eleven losers (1 to 11 points) the gain has rank 12 of 78: below 0.05.
    many = by_user([0.0] + [0.5] * 11, [1.0] + [0.5 - i / 100 for i in range(1, 12)])
    assert (
        ": and yet, person by person, `local` is better by more than chance"
        in (told(summary, many)[0])
    )


@pytest.mark.parametrize(("seeds", "said"), [(1, True), (2, False)])
def test_single_seed_is_said_to_be_one_split(seeds, said):
    summary = two_arms(holdout_accuracy=[0.7, 0.8])
    sentences = told(summary, by_user([0.7] * 7, [0.8] * 7), seeds=seeds)
    assert any("one split" in sentence for sentence in sentences) == said


def test_answer_names_the_best_prequential_arm_even_if_holdout_does_not():
    summary = pd.DataFrame(
        {
            "arm": ["local", "shared", "frozen"],
            "holdout_accuracy": [0.8, 0.9, 0.7],
            "prequential_accuracy": [0.7, 0.75, 0.85],
        }
    )
    sentences = told(summary, NOBODY)
    assert sentences[1] == "`frozen` is 10.0 points below `local`."
    assert sentences[2] == (
        "Prequentially (each window scored before it is learnt from), `local` is right on 70.0%, "
        "`shared` on 75.0% and `frozen`, with the best mean, on 85.0%."
    )


def test_of_many_arms_each_has_a_sentence_at_the_end():
    names = [f"arm{n}" for n in range(6)]
    scores = [0.8, *(0.7 + n / 100 for n in range(6))]
    summary = pd.DataFrame({"arm": ["local", *names], "holdout_accuracy": scores})
    users = [renamed([score] * 8, arm) for arm, score in zip(summary["arm"], scores, strict=True)]
    sentences = told(summary, pd.concat(users))
    assert sentences[-1] == (
        "`arm4` is right on 74.0% of holdout windows, 6.0 points below `local` on average "
        "(p = 0.047): better for 0 of 8 people, worse for 8."
    )


def test_many_arms_leave_the_headline_to_the_best_and_the_baseline():
    names = [f"arm{n}" for n in range(6)]
    scores = [0.8, *(0.7 + n / 100 for n in range(6))]
    summary = pd.DataFrame({"arm": ["local", *names], "holdout_accuracy": scores})
    assert len(headline(summary, [], "local")) == 1
    few = summary.drop(index=3)
    assert headline(few, [], "local")[1] == (
        "`arm0` is 10.0 points below `local`, `arm1` is 9.0 points below `local`, `arm3` is 7.0 "
        "points below `local` and `arm4` is 6.0 points below `local`."
    )


def test_answer_without_users_gives_means_alone():
    assert told(two_arms(holdout_accuracy=[0.7, 0.8]), NOBODY) == [
        "On holdout, the best mean over users is that of `shared`: 80.0% of windows right, 10.0 "
        "points above the baseline `local`."
    ]


def test_answer_when_the_baseline_has_no_accuracy():
    users = by_user([None, None], [0.9, 0.7])
    assert told(two_arms(holdout_accuracy=[None, 0.8]), users) == [
        "On holdout, `shared` is right on 80.0% of each person's windows, on average."
    ]


def test_answer_of_equal_arms_claims_no_difference():
    summary = two_arms(holdout_accuracy=[0.75, 0.75])
    first, second = told(summary, by_user([0.5, 1.0], [1.0, 0.5]))
    assert "75.0% of windows right, the same as `shared`; 2 people are too few" in first
    assert second.startswith(
        "Against `local` on holdout, `shared` is better for 1 of 2 people, worse for 1;"
    )


def test_answer_compares_every_other_arm_with_the_baseline():
    summary = pd.DataFrame(
        {"arm": ["local", "shared", "ditto"], "holdout_accuracy": [0.8, 0.7, 0.9]}
    )
    users = pd.concat([by_user([0.8], [0.7]), renamed([0.9], "ditto")])
    sentences = told(summary, users)
    assert "that of `ditto`: 90.0% of windows right, 10.0 points above the" in sentences[0]
    assert "1 person is too few" in sentences[0]
    assert sentences[1] == "`shared` is 10.0 points below `local`."
    assert sentences[-1] == (
        "Against `local` on holdout, `shared` is better for 0 of 1 person, worse for 1; it loses "
        "most for user 0 (10.0 points)."
    )


def test_answer_of_a_folder_is_its_first_sentence(tmp_path):
    run = hand_written_run(tmp_path / "run")
    assert answer_of(run).startswith("On holdout, the best mean over users is that of the baseline")
    assert "12 people" in answer_of(fake_seeds(tmp_path / "seeds", users=12))
    (run / "users.csv").unlink()
    (run / "summary.csv").unlink()
    assert answer_of(run) == "No accuracy has been recorded in this run folder."


def test_seeds_that_score_different_people_give_one_mean_everywhere(tmp_path):
    """User 1601 is hostile in one seed: the mean of the seeds' means is no mean over people."""
    run = fake_seeds(tmp_path / "seeds", users=8)
    users = pd.read_csv(run / "users.csv", dtype={"user": str})
    users["holdout_accuracy"] = users["user"].map(lambda user: 0.9 if user < "1604" else 0.5)
    users.loc[users["arm"] == "shared", "holdout_accuracy"] += 0.01
    users.to_csv(run / "users.csv", index=False)
    assert "that of `shared`: 71.0% of windows right, 1.0 point above" in answer_of(run)
    beside = shown_summary(run, pd.read_csv(run / "summary.csv")).set_index("arm")
    assert beside["holdout_accuracy"]["shared"] == pytest.approx(0.71)
    html = write_report(run).read_text(encoding="utf-8")
    text = unescape(re.sub(r"<svg.*?</svg>|<[^>]+>", "", html[html.index('class="answer"') :]))
    assert "that of shared: 71.0% of windows right, 1.0 point above" in text
    assert "shared 71.0%: place" in text  # the ranking
    assert "shared 71.0 (" in html[html.index('id="arms"') :]  # what the chart tells
    evenly = html[html.index('id="fairness"') :]
    assert re.search(r"shared</th><td>.{0,80}?71\.0", evenly)
    assert "as the seeds scored different people" in text


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 people"), (1, "1 person"), (2, "2 people"), (1200, "1,200 people")]
)
def test_one_is_not_several(number, told):
    assert counted(number, "person", "people") == told


def test_one_pair_is_told_as_one(tmp_path):
    run = fake_run(tmp_path / "run", users=8, arms=("local", "shared"))
    html = write_report(run).read_text(encoding="utf-8")
    text = unescape(re.sub(r"<[^>]+>", "", html[html.index('id="ranking"') :]))
    assert "the test of the one pair of arms leaves open (Wilcoxon, level 0.05)" in text
    assert "all 1 pairs" not in html
    assert "the 1 arms" not in html


def test_protocol_tells_a_holdout_by_chance_from_one_by_time():
    split = {"folds": 2, "holdout": 0.3}
    by_time, by_chance = (
        unescape(
            re.sub("<[^>]*>", "", protocol_in_words({"split": {**split, "holdout_by": by}}, {}))
        )
        for by in ("time", "chance")
    )
    assert "The last 30% of each recording is holdout" in by_time
    assert "30% of each user's windows of each activity, drawn at random" in by_chance
    assert "The last" not in by_chance


def protocol_told(scenario, users=14):
    whole = {"split": {"folds": 2, "holdout": 0.3, **scenario.pop("split", {})}, **scenario}
    html = protocol_in_words(whole, {"data": {"users": users}})
    return unescape(re.sub("<[^>]*>", "", html))


def test_protocol_of_a_run_that_holds_nothing_out_does_not_speak_of_holdout():
    told = protocol_told({"split": {"holdout": 0.0}, "drift": [{"kind": "gait"}]})
    assert "No windows are held out." in told
    assert "holdout" not in told.lower()


@pytest.mark.parametrize(
    ("split", "devices", "told"),
    [({}, "users", "others wear devices; every user wears a device once."),
     ({}, 14, "others wear devices; every user wears a device once."),
     ({}, 20, "; 20 devices are dealt to all users in turn, and those beyond a user's first are "
      "variations of the recordings."),
     ({}, 1, "; 1 device is dealt to all users in turn, so that not everybody wears one."),
     ({"folds": 1}, "users", "Every user wears a device."),
     ({"folds": 1, "donors": 4}, "users", "4 users are donors; each of the others wears a device."),
     ({"folds": 1, "donors": 4}, 20, "4 users are donors; 20 devices are dealt to all users in "
      "turn, without those of donors, and those beyond")],
)  # fmt: skip
def test_protocol_says_who_wears_how_many_devices(split, devices, told):
    assert told in protocol_told({"split": split, "fleet": {"devices": devices}})


def test_protocol_tells_drift_and_faults():
    told = protocol_told(
        {
            "drift": [
                {"kind": "rotation", "angle_deg": 90.0, "axis": "any", "at": 0.5, "devices": 0.5},
                {"kind": "gait", "at": 0.2, "over": 0.1, "period": 0.3, "devices": ["p001"]},
            ],
            "faults": {"availability": 0.8, "outage_rounds": 3.0, "dropout": 0.2, "lost": 0.1,
                       "late": 0.05, "deadline_s": 30.0, "hostile": 0.2, "attack": "sign-flip",
                       "attack_scale": 5.0},
        }
    )  # fmt: skip
    for sentence in (
        "Drift rotation (angle_deg = 90, axis = any) befalls 50% of each fold's devices, from 50% "
        "of the stream on.",
        "Drift gait befalls the device p001, from 20% of the stream on, coming on over 10% of it, "
        "in spells of 15% of it with pauses as long.",
        "Holdout accuracy is measured with the drift in force after the round.",
        "Faults: devices can be reached in 80% of the rounds, with outages of 3 on average; 20% of "
        "those chosen drop out of a round; of the updates 10% never arrive and 5% are held up; a "
        "server that waits does so for 30 simulated s.",
        "20% of each fold's devices, to the nearest whole one, are hostile: they attack "
        "(sign-flip, scaled by 5), and no accuracy is of them.",
    ):
        assert sentence in told
    calm = protocol_told({"drift": [], "faults": {"availability": 1.0, "hostile": 0.0}})
    assert not re.search("Drift|Faults|hostile", calm)
