"""Small study files, written and run through the real command."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

from ablations import run
from ablations.core.load import load
from ablations.core.result import Result
from ablations.records import store

FILE = '''"""What is a slope worth?"""

from ablations.subject import Claim, Metric, Subject

subject = Subject(
    reference={"slope": 2.0, "noise": 1.0, "rounds": 3},
    components={"slope": 1.0, "noise": 0.0},
    metrics={"score": Metric("higher", unit="points", smallest_effect=0.5, chance=0.0), "loss": "lower"},
    claims=Claim(change="slope", hurts="score", says="The slope matters."),
    sabotage={"slope": -5.0},
    budget="rounds",
)


@subject.trial
'''
TRIAL = """
def train(config, streams):
    draws = streams.numpy("noise")
    for _ in range(config["rounds"]):
        score = 50 + 5 * config["slope"] + config["noise"] * float(draws.normal())
        yield {"score": score, "loss": 100 - score}
"""


@dataclass
class StudyFile:
    """A study file in a folder of its own, with its results and reports beside it."""

    folder: Path
    name: str  # of the file: one is imported once a process

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.py"

    @property
    def study(self) -> Path:
        return self.folder / "results" / "mine"

    @property
    def report(self) -> Path:
        return self.folder / "reports" / "mine"

    def write(self, trial: str = TRIAL, file: str = FILE) -> None:
        self.folder.mkdir(exist_ok=True)
        self.path.write_text(file + textwrap.dedent(trial).lstrip())

    def run(self, *words: str, seeds: int = 2) -> int:
        places = ["--results", str(self.study.parent), "--reports", str(self.report.parent), "--name", "mine"]
        load.cache_clear()
        return run.main([str(self.path), "--executor", "serial", "--seeds", f"{seeds}", "--no-mlflow", *places, *words])

    def read(self) -> dict[tuple[str, int], Result]:
        found, problems = store.read_all(self.study)
        assert not problems
        return {(one.trial.variant.label, one.trial.seed): one for one in found.values()}
