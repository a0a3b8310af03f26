"""Write `report.html`: a run folder as one page that needs no network.

    scenario.toml, manifest.json, summary.csv, users.csv, rounds/, events/ -> report.html

`records`, `reductions` and `fates` read the folder, `contrasts` holds arms against
each other, `answer`, `ranking` and `wording` put that into words, `sections`,
`intervals`, `drift`, `attention`, `faults`, `fairness`, `users`, `confusion`, `cost`,
`protocol` and `adversity` say what is shown, `stories` and `opened` show one user, `charts` and
`arm_charts` (Plotly), `svg` and the two scripts draw it, `page` and `style` are the paper.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from simulator.measures.statistics import Comparison, paired_tests
from simulator.report.answer import answer_sentences, headline
from simulator.report.attention import drift_marks, drift_users
from simulator.report.confusion import confusion
from simulator.report.contrasts import (
    accuracies,
    over_users,
    rival_of,
    scored_protocol,
    user_order,
)
from simulator.report.cost import cost, machine_time, rounds_logged
from simulator.report.drift import drift_heat, drift_overview, drift_sentences
from simulator.report.fairness import fairness
from simulator.report.fates import fates_of
from simulator.report.faults import fault_sentences, faults_overview
from simulator.report.intervals import arms_by_intervals, mean_intervals, with_intervals
from simulator.report.need import by_need
from simulator.report.opened import arms_filter, foremost_arms, one_user, user_link
from simulator.report.page import page, prose
from simulator.report.protocol import data_defects, origins, protocol_in_words
from simulator.report.ranking import places, ranking
from simulator.report.records import (
    RunRecords,
    SeedRecords,
    read_run,
    read_seeds,
    read_tables,
    seed_folders,
)
from simulator.report.sections import (
    View,
    arms_overview,
    means_over_seeds,
    over_time,
    seeds_overview,
)
from simulator.report.stories import Stories, read_stories
from simulator.report.svg import arm_styles
from simulator.report.users import users_by_dots, users_over_time, users_tools
from simulator.report.wording import counted

__all__ = ["answer_of", "answer_sentences", "shown_summary", "write_report"]

_MOST_SENTENCES = 12  # of the answer that stand open; many arms give one each


def write_report(run: Path) -> Path:
    """Write `report.html` from the files of a run folder, or of the parent folder of seeds.

    Args:
        run: a run folder; what an interrupted run has not written yet is left out of the report.

    Returns:
        The path of the report, replaced at once when it is complete.

    Raises:
        BadInput: the folder holds no readable scenario.
    """
    html = _seeds_page(run, read_seeds(run)) if seed_folders(run) else _run_page(run, read_run(run))
    path, temporary = run / "report.html", run / ".report.html.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(html)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return path


def answer_of(run: Path) -> str:
    """Return the first sentences of the answer that a run folder gives, or a folder of seeds."""
    scenario, summary, users = read_tables(run)
    summary = shown_summary(run, summary)
    baseline = str(scenario.get("baseline", ""))
    return " ".join(headline(summary, paired_tests(users, baseline), baseline))


def shown_summary(run: Path, summary: pd.DataFrame) -> pd.DataFrame:
    """Return a summary with the mean accuracies that the answer tells, to be shown beside it.

    Args:
        run: a run folder, or a folder of seeds, whose means are those of users.
        summary: the columns of its `summary.csv`.
    """
    return over_users(summary, read_tables(run)[2]) if seed_folders(run) else summary


def _run_page(run: Path, records: RunRecords) -> str:
    view = _view(records)
    tests = paired_tests(records.users, view.baseline)
    best = view.spoken or view.baseline
    fates = fates_of([run], records.scenario, records.summary)
    classes = [str(name) for name in records.scenario.get("data", {}).get("activities", [])]
    stories = read_stories(run, foremost_arms(view), view.shown, classes)
    stories.worn = _worn(records.users)
    links = {user: user_link(user, stories) for user in view.shown}
    sections = {
        "Arms": arms_overview(
            view,
            with_intervals(view),
            "Beneath some, 95% bootstrap intervals over users.",
        )
        + arms_by_intervals(view, tests),
        "Ranking": _ranking(view, tests),
        "Over time": over_time(view, records),
        "Drift": drift_overview(view, records.drift, records.alarms) + drift_heat(view, records),
        "Fairness": fairness(view, records.fairness),
        "Users": users_tools(view)
        + drift_users(view, records, links)
        + users_by_dots(view, stories)
        + users_over_time(view, records, drift_marks(records, best), best, stories),
        "Confusions": confusion(view, records),
        "Faults": faults_overview(view, records.events, fates),
        "Cost": cost(view, records.costs)
        + machine_time(view, *rounds_logged(run), records.manifest),
        "Protocol": protocol_in_words(records.scenario, records.manifest),
        "Data": data_defects(records.scenario, records.manifest),
        "Origins": origins(records.scenario_text, records.manifest),
    }
    interrupted = records.manifest.get("status", "done") != "done"
    sentences = answer_sentences(
        records.summary, records.users, tests, view.baseline, interrupted=interrupted
    )
    place = len(headline(records.summary, tests, view.baseline)) + interrupted
    sentences[place:place] = [
        *fault_sentences(records.scenario, records.summary, fates),
        *drift_sentences(records.drift, records.alarms),
    ]
    sentences += [f"Note: {note.rstrip('.')}." for note in records.manifest.get("notes", [])]
    return _page(view, records.scenario, sentences, sections, one_user(view, stories))


def _seeds_page(run: Path, records: SeedRecords) -> str:
    whole = replace(records, summary=over_users(records.summary, records.users))
    view = _view(whole)
    fates = fates_of(seed_folders(run), records.scenario, records.summary)
    tests = paired_tests(records.users, view.baseline)
    sections = {
        "Arms": arms_overview(view, view.summary, "Beneath, the range over seeds.")
        + means_over_seeds(view, records.summary)
        + arms_by_intervals(view, tests),
        "Ranking": _ranking(view, tests, len(records.seeds)),
        "Seeds": seeds_overview(view, records.seeds),
        "Drift": drift_overview(view, records.drift, records.alarms),
        "Fairness": fairness(view, pd.DataFrame(), len(records.seeds)),
        "Users": users_tools(view)
        + users_by_dots(view, Stories([]))
        + '<p class="note">Single users open in the report of each seed.</p>',
        "Faults": faults_overview(view, pd.DataFrame(), fates, len(records.seeds)),
        "Cost": cost(view, pd.DataFrame({"arm": records.arms}), len(records.seeds)),
        "Protocol": protocol_in_words(records.scenario, records.manifest),
        "Data": data_defects(records.scenario, records.manifest),
        "Origins": origins(records.scenario_text, records.manifest),
    }
    stopped = records.manifest.get("status", "done") != "done"
    sentences = answer_sentences(
        view.summary,
        view.users,
        tests,
        view.baseline,
        interrupted=stopped,
        seeds=len(records.seeds),
    )
    place = len(headline(view.summary, tests, view.baseline)) + stopped
    sentences[place:place] = [
        *fault_sentences(records.scenario, records.summary, fates, len(records.seeds)),
        *drift_sentences(records.drift, records.alarms),
    ]
    return _page(view, records.scenario, sentences, sections)


def _view(records: RunRecords | SeedRecords) -> View:
    summary, users, arms = records.summary, records.users, records.arms
    baseline = str(records.scenario.get("baseline", arms[0] if arms else ""))
    protocol = scored_protocol(summary)
    rival = None if protocol is None else rival_of(summary, baseline, protocol)
    view = View(summary, users, baseline, rival, protocol, arm_styles(arms), [])
    order, told = by_need(users, records.drift, view.spoken, protocol)
    gain = [] if rival is None else user_order(users, baseline, rival, protocol)
    return replace(view, order=order, need_told=told, by_gain=gain, intervals=mean_intervals(users))


def _worn(users: pd.DataFrame) -> dict[str, int]:
    """Count the devices of each user."""
    if "devices" not in users:
        return {str(user): 1 for user in users["user"]}
    return {str(user): int(count) for user, count in users.groupby("user")["devices"].max().items()}


def _ranking(view: View, tests: Sequence[Comparison], seeds: int = 1) -> str:
    if view.protocol is None:
        return ""
    found = places(accuracies(view.summary, view.protocol), tests)
    return ranking(found, tests, view.baseline, seeds)


def _page(
    view: View,
    scenario: Mapping[str, Any],
    sentences: list[str],
    sections: Mapping[str, str],
    opened: str = "",
) -> str:
    from plotly.offline import get_plotlyjs

    name = str(scenario.get("name", "run"))
    told = [f"<p>{prose(sentence)}</p>" for sentence in sentences]
    answer = "".join(told)
    if len(told) > _MOST_SENTENCES:
        rest = "".join(told[_MOST_SENTENCES:])
        answer = "".join(told[:_MOST_SENTENCES]) + (
            f"<details><summary>{counted(len(told) - _MOST_SENTENCES, 'sentence')} more, arm by arm"
            "</summary>"
            f"{rest}</details>"
        )
    header = (
        f"<h1>{escape(name)}</h1>"
        f'<p class="question">{escape(str(scenario.get("question", "")))}</p>'
        f'<section class="answer" aria-label="Answer">{answer}</section>'
        '<p class="note">These sentences describe this run. Better and worse count any '
        "difference, down to a single window; where a difference is said to be more than chance, a "
        "test stands behind it, told under Ranking. How each accuracy is measured is told under "
        "Protocol.</p>"
        '<noscript><p class="warning">Charts are drawn with JavaScript, which is off here. '
        "In the place of each stands what it would show; tables and small charts are here.</p>"
        "</noscript>"
    )
    filled = {title: body for title, body in sections.items() if body}
    opened = arms_filter(view) + opened
    return page(f"{name}: Wearfleet report", header, filled, str(get_plotlyjs()), opened)
