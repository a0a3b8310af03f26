"""The section of a report that shows which activity was taken for which."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simulator.report.page import Column, arms_table, of_arm, percent, prose, shaded_table
from simulator.report.records import RunRecords
from simulator.report.reductions import IntArray
from simulator.report.sections import View

__all__ = ["confusion"]


def confusion(view: View, records: RunRecords) -> str:
    """Show per-activity F1 and a confusion matrix for each arm, on holdout."""
    arms = [arm for arm in view.styles if arm in records.confusions]
    if not arms:
        return ""
    names = _activities(records)
    rounds = sorted({records.scored_rounds[arm] for arm in arms})
    when = f"round {rounds[0]}" if len(rounds) == 1 else "the last scored round"
    frame = pd.DataFrame(
        [[arm, *_f1(records.confusions[arm])] for arm in arms], columns=["arm", *names]
    )
    columns = [Column(name, name, percent, "high", "F1 on holdout, %") for name in names]
    table = arms_table(
        frame,
        columns,
        view.swatches,
        f"F1 of each activity on holdout after {when}, over the windows of all users together "
        "(the macro-F1 above is a mean over users).",
    )
    matrices = "".join(
        f"<div{of_arm(arm, view.styles)}>"
        f"<h3>{view.swatches[arm]} {prose(f'`{arm}`')}</h3>"
        + shaded_table(
            names,
            records.confusions[arm].tolist(),
            f"Holdout after round {records.scored_rounds[arm]}: percent of each row, windows below",
        )
        + "</div>"
        for arm in arms
    )
    return f'{table}<div class="matrices">{matrices}</div>'


def _activities(records: RunRecords) -> list[str]:
    classes = max(len(matrix) for matrix in records.confusions.values())
    names = [str(name) for name in records.scenario.get("data", {}).get("activities", [])]
    return names if len(names) == classes else [f"class {i}" for i in range(classes)]


def _f1(matrix: IntArray) -> list[float]:
    """F1 = 2 TP / (2 TP + FP + FN) of each class; NaN for one that is neither true nor said."""
    said_and_true = matrix.sum(axis=0) + matrix.sum(axis=1)
    right = 2.0 * np.diag(matrix)
    shares = np.divide(
        right, said_and_true, out=np.full(len(matrix), np.nan), where=said_and_true > 0
    )
    return [float(share) for share in shares]
