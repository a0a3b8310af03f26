"""Logs of runs, made up line by line."""

import json
from pathlib import Path

PLAN = {
    "what": "plan", "at": 100.0, "name": "made", "seed": 3, "arms": ["local", "shared"],
    "folds": 2, "rounds": 4, "devices": 20, "notes": ["two users are short"],
}  # fmt: skip
WORKERS = {"what": "workers", "at": 99.0, "nodes": ["here"], "ready_s": 9.0}


def round_line(arm, fold, round_, *, at=200.0, wall_s=2.0, **facts):
    told = {"windows": 40, "correct": 30, "refused": 0, "lost": 0, "dropped_out": 0}
    told |= {"unreachable": 0, "devices": 10, **facts}
    return {"what": "round", "at": at, "arm": arm, "fold": fold, "round": round_,
            "wall_s": wall_s, **told}  # fmt: skip


def written(folder: Path, lines) -> Path:
    """Write a run folder that holds a scenario's name and a log."""
    folder.mkdir(exist_ok=True)
    (folder / "scenario.toml").write_text('name = "made"\n')
    with (folder / "log.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return folder
