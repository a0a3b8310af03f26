"""The answer of a run in words."""

import pandas as pd

from simulator.report import answer_sentences


def two_arms(**more: list[float | None]) -> pd.DataFrame:
    return pd.DataFrame({"arm": ["local", "shared"], **more})


def by_user(local: list[float], shared: list[float]) -> pd.DataFrame:
    users = [str(i) for i in range(len(local))]
    parts = [
        pd.DataFrame({"arm": arm, "user": users, "holdout_accuracy": scores})
        for arm, scores in (("local", local), ("shared", shared))
    ]
    return pd.concat(parts, ignore_index=True)


def test_answer_names_the_better_arm_first():
    summary = two_arms(holdout_accuracy=[0.7, 0.8])
    users = by_user([0.7, 0.6, 0.8], [0.8, 0.9, 0.7])
    assert answer_sentences(summary, users, "local")[0] == (
        "On holdout, `local` is right on 70.0 % of windows and `shared` on 80.0 %: `shared` is "
        "better for 2 of 3 people, worse for 1, and 10.0 points better on average."
    )


def test_answer_tells_when_most_people_lose_though_the_average_gains():
    summary = two_arms(holdout_accuracy=[0.6, 0.7])
    users = by_user([0.6, 0.6, 0.6], [1.0, 0.55, 0.55])
    assert answer_sentences(summary, users, "local")[0].endswith(
        ": `shared` is 10.0 points better on average, and yet better for 1 of 3 people, "
        "worse for 2."
    )


def test_answer_names_the_best_prequential_arm_even_if_holdout_does_not():
    summary = pd.DataFrame(
        {
            "arm": ["local", "shared", "frozen"],
            "holdout_accuracy": [0.8, 0.9, 0.7],
            "prequential_accuracy": [0.7, 0.75, 0.85],
        }
    )
    sentences = answer_sentences(summary, pd.DataFrame({"arm": [], "user": []}), "local")
    assert sentences[1] == (
        "Prequentially (each window scored before it is learnt from), `local` is right on 70.0 %, "
        "`shared` on 75.0 % and `frozen`, the best arm, on 85.0 %."
    )


def test_answer_without_users_gives_accuracies_alone():
    sentences = answer_sentences(
        two_arms(holdout_accuracy=[0.7, 0.8]), pd.DataFrame({"arm": [], "user": []}), "local"
    )
    assert sentences == [
        "On holdout, `local` is right on 70.0 % of windows and `shared` on 80.0 %."
    ]


def test_answer_when_the_baseline_has_no_accuracy():
    sentences = answer_sentences(
        two_arms(holdout_accuracy=[None, 0.8]), by_user([None, None], [0.9, 0.7]), "local"
    )
    assert sentences == [
        "On holdout, `shared` is right on 80.0 % of each person's windows, on average."
    ]


def test_answer_of_equal_arms_claims_no_difference():
    first = answer_sentences(
        two_arms(holdout_accuracy=[0.75, 0.75]), by_user([0.5, 1.0], [1.0, 0.5]), "local"
    )[0]
    assert first.endswith(
        ": the same on average; `local` is better for 1 of 2 people, worse for 1."
    )


def test_answer_compares_every_other_arm_with_the_baseline():
    summary = pd.DataFrame(
        {"arm": ["local", "shared", "ditto"], "holdout_accuracy": [0.8, 0.7, 0.9]}
    )
    users = pd.DataFrame(
        [["local", "a", 0.8], ["shared", "a", 0.7], ["ditto", "a", 0.9]],
        columns=["arm", "user", "holdout_accuracy"],
    )
    sentences = answer_sentences(summary, users, "local")
    assert "`ditto`, the best of the 2 other arms, on 90.0 %" in sentences[0]
    assert sentences[-1] == (
        "`shared` is right on 70.0 % of holdout windows, 10.0 points below `local` on average: "
        "better for 0 of 1 people, worse for 1."
    )
