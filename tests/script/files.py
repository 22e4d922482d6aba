"""A small script of a user's own, its TOML file, and the real commands on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ablations import run
from ablations.core.load import load
from ablations.records import store

SCRIPT = """
import argparse, json, random

asked = argparse.ArgumentParser(description="What is a slope worth?")
asked.add_argument("--slope", type=float, default=2.0, help="of the line (default: 2.0)")
asked.add_argument("--width", type=int, default=4)
asked.add_argument("--unread", type=int, default=1)
asked.add_argument("--noisy", action="store_true")
asked.add_argument("--steps", type=int, default=3)
asked.add_argument("--seed", type=int, default=0)
args = asked.parse_args()
draws = random.Random(args.seed)
for step in range(1, args.steps + 1):
    common, own = draws.gauss(), draws.gauss()
    score = 50 + args.slope * (5 + own / 9) + args.width / 10 + (1 + args.noisy) * common
    print(json.dumps({"step": step, "seed": args.seed, "score": score, "loss": 100 - score, "seconds": draws.random()}))
"""
STUDY = """
title = "What is a slope worth?"
command = "python train.py --seed {seed} --steps {steps} {changes}"

[budget]
steps = 2

[reference]
slope = 2.0
width = 4
unread = 1
noisy = false

[components]
slope = 1.0
unread = 2
noisy = { args = ["--noisy"] }

[components.width]
levels = [2, 8]
summary = "channels"

[sabotage]
slope = -5.0

[metrics.score]
better = "higher"
unit = "points"
chance = 0.0

[metrics.loss]
better = "lower"

[[claim]]
change = "slope"
hurts = "score"
by = 0.5

[[claim]]
change = "unread"
same = "score"
by = 0.5
"""


class Study:
    """A folder with a script and a TOML file, and what the real command makes of them."""

    def __init__(self, folder: Path) -> None:
        self.path, self.script = folder / "study.toml", folder / "train.py"
        self.results, self.reports = folder / "results", folder / "reports"
        self.write()

    def write(self, study: str = STUDY, script: str = SCRIPT) -> None:
        """Writes both files."""
        self.path.write_text(study)
        self.script.write_text(script)

    def run(self, *words: str, seeds: int = 2, executor: str = "serial") -> int:
        """The exit code of a run."""
        places = ["--results", str(self.results), "--reports", str(self.reports), "--no-mlflow", "--name", "mine"]
        load.cache_clear()
        return run.main([str(self.path), "--executor", executor, "--seeds", str(seeds), *places, *words])

    @property
    def folder(self) -> Path:
        """Of the records."""
        return self.results / "mine"

    def read(self) -> dict[tuple[str, int], Any]:
        """(label, seed) -> result."""
        return {(one.trial.variant.label, one.trial.seed): one for one in store.read_all(self.folder)[0].values()}
