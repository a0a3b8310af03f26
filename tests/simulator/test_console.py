"""What a person sees in the terminal."""

import pandas as pd

from simulator.console import print_summary, summary_rows

SUMMARY = pd.DataFrame({"arm": ["local"], "holdout_accuracy": [0.5]})


def test_answer_stands_below_the_arms(capsys):
    print_summary(SUMMARY, "Own or shared?", "On holdout, `local` is [right] on half.")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Own or shared?"
    table = next(i for i, line in enumerate(lines) if "50.0%" in line)
    assert lines.index("On holdout, `local` is [right] on half.") > table


def test_without_an_answer_there_is_no_empty_line(capsys):
    print_summary(SUMMARY, "Own or shared?")
    bare = capsys.readouterr().out
    print_summary(SUMMARY, "Own or shared?", "So it is.")
    assert capsys.readouterr().out.replace("So it is.\n", "") == bare


def test_it_says_how_the_holdout_was_chosen(capsys):
    print_summary(SUMMARY, "Own or shared?")
    by_time = capsys.readouterr().out
    print_summary(SUMMARY, "Own or shared?", holdout_by="chance")
    by_chance = capsys.readouterr().out
    assert "holdout: the last part of each recording, never\n" in by_time
    assert (
        by_time.replace("the last part of each recording", "windows drawn at random") == by_chance
    )


def test_local_is_not_held_against_itself():
    arms = pd.DataFrame(
        {"arm": ["clear", "local"], "method": "local", "worse_than_local": [0.25, 0.0]}
    )
    assert summary_rows(arms)[1] == [["clear", "25.0%"], ["local", "-"]]
    assert summary_rows(arms.replace("local", "own").assign(method="local"))[1] == [
        ["clear", "-"], ["own", "0.0%"],
    ]  # fmt: skip


def test_the_range_beneath_a_mean_of_seeds_is_named(capsys):
    seeds = SUMMARY.assign(holdout_accuracy_min=0.4, holdout_accuracy_max=0.625)
    header, rows = summary_rows(seeds)
    assert (header, rows) == (
        ["arm", "holdout\n(range over\nseeds)"], [["local", "50.0%\n(40.0 to 62.5)"]],
    )  # fmt: skip
    print_summary(seeds, "Own or shared?")
    assert "(range over" in capsys.readouterr().out
