"""A subject of thirty lines in plain numpy: ridge regression on made-up data, as a user would write one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ablations.core.setting import POINTS, Config, Metric, Setting
from ablations.core.study import Study
from ablations.core.subject import Activities, Component, Defaults, Event, Measured, Place, Report, Seconds
from ablations.core.trial import Trial
from ablations.core.variant import Departure, Variant
from ablations.records.predictions import Predictions, packed, write_predictions

LEVELS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("penalty", "off"): {"penalty": 0.0},
    ("scaling", "off"): {"scaled": False},
    ("shuffle", "off"): {"shuffled": False},  # changes nothing that is read
    ("placebo", "salted"): {"salt": 1},
    ("sabotage", "half"): {"noise": 30.0},
}
READ = ("penalty", "scaled", "salt", "noise", "rows")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much is drawn."""

    rows: int = 40
    """Rows of the made-up table."""


class Ridge(Defaults):
    """Predicts a made-up number; accuracy is the share of signs that are right, so higher is better."""

    name = "tests.toy:SUBJECT"
    headline = ("penalty", "scaling")
    work_unit = "round"
    options = Options
    metrics: Mapping[str, Metric] = {
        "test_accuracy": Metric(words="accuracy", unit=POINTS, lower_is_better=False),
        "columns": Metric(words="columns", kind="size"),
    }
    components: Mapping[str, Component] = {
        name: Component(
            reference="on", levels=(level,), summary=f"{name} {level}", control=name in ("placebo", "sabotage")
        )
        for name, level in LEVELS
    }

    def setting(self, options: Options, place: Place, before: Study | None, *, beside: int) -> Setting:
        """The made-up data need no making ready."""
        config = {"penalty": 1.0, "scaled": True, "salt": 0, "noise": 1.0, "rows": options.rows, "shuffled": True}
        return Setting(
            config=config, data="made up", fingerprint="0", main="test_accuracy", metrics=self.metrics, guessing=50.0
        )

    def configure(self, setting: Setting, departures: Sequence[Departure]) -> Config:
        """The reference with fields replaced."""
        return {**setting.config, **{name: value for one in departures for name, value in LEVELS[one].items()}}

    def canonical(self, config: Config) -> tuple[Any, ...]:
        """What the fit reads."""
        return tuple(config[name] for name in READ)

    def paces(self, trials: Sequence[Trial], place: Place) -> Mapping[Variant, float] | None:
        """A hundredth of a second."""
        return {trial.variant: 0.01 for trial in trials}

    def seconds(self, config: Config, pace: float) -> Seconds:
        """As fast as that."""
        return Seconds(training=pace, evaluation=0.0)

    def run(self, trials: Sequence[Trial], place: Place, report: Report) -> Iterator[Event]:
        """One fit a trial: none shares one."""
        for number, trial in enumerate(trials):
            accuracy = _fitted(trial.config, trial.seed)
            report(trial, {"epoch": 1, "test_accuracy": accuracy})
            yield Measured(number=number, metrics={"test_accuracy": accuracy, "columns": 5.0})


def _fitted(config: Config, seed: int) -> float:
    random = np.random.default_rng([seed, config["salt"]])
    weights, table = np.arange(1.0, 6.0), random.normal(size=(2 * config["rows"], 5)) * (1, 10, 1, 10, 1)
    table = table / table.std(axis=0) if config["scaled"] else table
    truth = table @ weights + random.normal(size=len(table)) * config["noise"]
    seen, asked = table[::2], table[1::2]
    found = np.linalg.solve(seen.T @ seen + config["penalty"] * np.eye(5), seen.T @ truth[::2])
    return float(100 * np.mean((asked @ found > 0) == (truth[1::2] > 0)))


SUBJECT = Ridge()


class OnGpus(Ridge):
    """The same for a cluster's GPUs, which this machine has none of: it says what a trial was given."""

    name = "tests.toy:ON_GPUS"
    gpus = 1.0

    def paces(self, trials: Sequence[Trial], place: Place) -> Mapping[Variant, float] | None:
        """Only where a trial holds no GPU."""
        return None if place.gpus else super().paces(trials, place)

    def run(self, trials: Sequence[Trial], place: Place, report: Report) -> Iterator[Event]:
        """With the GPUs that its process may use."""
        given = {"visible": os.environ.get("CUDA_VISIBLE_DEVICES", ""), "held": str(place.gpus)}
        for one in super().run(trials, place, report):
            yield replace(one, extras=given) if isinstance(one, Measured) else one


ON_GPUS = OnGpus()


DEADLY = "deadly"  # name of an empty file


class InRounds(Ridge):
    """The same, where a trial takes as many rounds as its config says, or two, and keeps its predictions.

    The activity of a reference is measured when its record is on disk.  If a file `DEADLY` lies beside the study's
    folder, the process is killed at that point.
    """

    name = "tests.toy:IN_ROUNDS"

    def run(self, trials: Sequence[Trial], place: Place, report: Report) -> Iterator[Event]:
        """Each round is a turn."""
        for number, trial in enumerate(trials):
            (measured,) = super().run([trial], place, lambda trial, row: None)
            assert isinstance(measured, Measured)
            accuracy = measured.metrics["test_accuracy"]
            for epoch in range(1, trial.config.get("rounds", 2) + 1):
                report(trial, {"epoch": epoch, "test_accuracy": accuracy})
                yield None
            own = np.array([int(trial.key[:6], 16)])  # no two trials have equal files
            predicted = Predictions(probabilities=np.full((1, 2), 0.5), labels=own)
            write_predictions(place.folder, trial.key, packed(predicted))
            if trial.variant.departures:
                yield replace(measured, number=number)
                continue
            yield replace(measured, number=number, to_measure=True)
            if (place.folder.parent / DEADLY).exists():
                os.kill(os.getpid(), signal.SIGKILL)
            yield Activities(number=number, found={"penalty": 1.0})


class Slowly(Ridge):
    """The same, where each trial takes a third of a second, so that a study can be stopped before its end."""

    name = "tests.toy:SLOWLY"

    def run(self, trials: Sequence[Trial], place: Place, report: Report) -> Iterator[Event]:
        """Waits before it passes a result on."""
        for one in super().run(trials, place, report):
            time.sleep(0.3)
            yield one


IN_ROUNDS = InRounds()
SLOWLY = Slowly()
