"""Arms that are saved after some rounds, and go on from there in a process of their own.

As a script: `python -m tests.simulator.made_halves PEOPLE SAVED FOLDER` goes on with what lies in
SAVED, and prints the run folder of each arm as JSON.
"""

import json
import shutil
import sys
from pathlib import Path

from simulator.folder.kept import Kept
from simulator.running.federation import Server, Session
from simulator.running.saving import restore, save, write_models
from tests.simulator.made_few import open_few
from tests.simulator.made_fleets import Fleets

SAVED, LAST = 2, 4
HALF = {"participation": 0.7}
FLEET = {
    "frozen": {},
    "local": {},
    "fedavg": HALF,
    "fedavgm": HALF,
    "fedadam": HALF,
    "fedyogi": HALF,
    "fedadagrad": HALF,
    "qfedavg": HALF,
    "scaffold": HALF,
    "fedbuff": {"buffer": 2},
    "fedmedian": {},
    "fedtrimmedavg": {"trim": 0.34},
    "krum": {},
    "multikrum": {"selected": 2},
    "bulyan": {},
    "dpfedavg": {"participation": 0.7, "noise": 0.05, "clip_quantile": 0.5},
    "finetune": {"switch_round": 3},
    "fedper": HALF,
    "fedbn": {"private": ["*/bias"], **HALF},
    "ifca": {"clusters": 3, **HALF},
}
REFERENCE = {
    "pooled": {},
    "fedavg": {"choice": "loss", **HALF},
    "fedprox": HALF,
    "fedavgm": HALF,
    "scaffold": HALF,
    "fedbuff": {"buffer": 2},
    "fedrep": {"head_steps": 1, **HALF},
    "ditto": HALF,
    "apfl": {"adaptive": True, **HALF},
    "pfedme": {"inner_steps": 2, **HALF},
    "perfedavg": HALF,
    "ifca": {"clusters": 3, **HALF},
}
CASES = [(method, "fleet") for method in FLEET] + [(method, "reference") for method in REFERENCE]
TABLES = {
    "labels": {"answer_rate": 0.9, "mistake_rate": 0.1},
    "stream": {"questions_per_round": 2},
    "guard": {"max_norm": 3.0},
}


class Half:
    """An arm of three devices in two cohorts, some rounds long."""

    def __init__(self, fleets, method, engine):
        arm = (FLEET if engine == "fleet" else REFERENCE)[method]
        steps = 1 if engine == "fleet" else 2  # one step is compiled sooner
        tables = {**TABLES, "learning": {"steps": steps, "memory": 16}}
        if engine == "reference":
            tables["labels"] = {**TABLES["labels"], "delay_rounds": 1}
        if method == "fedbuff":
            tables["faults"] = {"duration_rounds": 1.5, "speed": 0.8}
        optimizer = {} if method == "frozen" else {"optimizer": "adam"}
        arm = {"method": method, **optimizer, **arm}
        self.opened = open_few(fleets, arm, (2, 1), engine=engine, **tables)
        self.folder, self.fleet = self.opened.folder, self.opened.fleet
        self.session = Session(self.opened.plan.scenario.arms[0], 0)
        self.server = Server(self.opened.plan, self.session, self.opened.prepared, self.fleet)

        self.kept = Kept(self.folder / "checkpoints" / "trial" / "0", keep=9)

    def play(self, first, last):
        """Run some rounds, then save everything, as a run does."""
        shared = None
        for round_ in range(first, last + 1):
            shared = self.server.round(round_)
            self.fleet.score(round_, shared)
        save(self.kept, self.fleet, self.session, self.server, last, shared)

    def finish(self):
        """Write the devices' SavedModels and finish the records."""
        write_models(self.kept, self.fleet, [LAST])
        self.fleet.write(LAST)

    def restore(self, round_):
        """Become what was saved."""
        restore(self.kept, self.fleet, self.session, self.server, self.kept.check(round_))


def go_on(people, saved, folder):
    """Go on with everything that was saved: returns the run folders by method and engine."""
    fleets, folders = Fleets(folder, people, "dense", "float32"), {}
    for method, engine in CASES:
        half = Half(fleets, method, engine)
        shutil.copytree(saved / f"{method}-{engine}", half.kept.path)
        half.restore(SAVED)
        half.play(SAVED + 1, LAST)
        half.finish()
        folders[f"{method}-{engine}"] = str(half.folder)
    return folders


if __name__ == "__main__":
    print(json.dumps(go_on(*map(Path, sys.argv[1:]))))
