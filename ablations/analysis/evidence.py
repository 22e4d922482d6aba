"""What a study's records amount to: their table and what is compared in it, computed once for verdicts and reports."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import floor, isfinite, log10, nan
from pathlib import Path

import numpy as np
import pandas as pd

from ablations.analysis import effects as estimating
from ablations.analysis import failures, tables
from ablations.analysis.averages import Averaged, averages
from ablations.core.claim import metric_of
from ablations.core.effect import Effect
from ablations.core.labels import Labels, labels_of, variant_names
from ablations.core.result import DONE, Result
from ablations.core.setting import LOGS, NATS, OUTCOME, POINTS, Metric
from ablations.core.study import Study
from ablations.records.examples import read_examples
from ablations.records.outcomes import unpack

SHOWN = 24  # variants of a study up to which figures show those with two changes
MOST_DIGITS = 6  # after the point


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A study, its results, and one sentence for each record that cannot be read."""

    study: Study
    results: Sequence[Result]
    problems: Sequence[str] = ()
    instead: str = ""  # why something stands in for the study file, in a sentence
    folder: Path | None = None  # of the study, where trials may have kept their predictions
    _by_seed: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a result, with the metrics of early epochs that claims are about, and failed trainings marked.

        Metrics stand there as they are compared: `Metric.compared`.  Of several data sets a row is the mean of those
        that a variant has under a seed.
        """
        if self.on_each:
            return tables.over_blocks({name: one.table for name, one in self.on_each.items()})
        metrics = {metric_of(claim, self.phase) for claim in self.study.claims}
        table = tables.with_epochs(tables.table(self.study, self.results), self.results, metrics)
        return failures.marked(tables.compared(table, self.study.setting.metrics), self.failed)

    @cached_property
    def on_each(self) -> dict[str, Evidence]:
        """The evidence of each data set by itself, by its name; empty where the study has but one."""
        if not self.study.setting.blocks:
            return {}
        return {
            one.data: Evidence(
                study=replace(self.study, setting=one),
                results=[result for result in self.results if result.trial.fingerprint == one.fingerprint],
                folder=self.folder,
            )
            for one in self.study.setting.each
        }

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """How the study's numbers are read, each with the digits that their scatter deserves."""
        known = self.study.setting.metrics
        return {name: replace(metric, digits=self._digits(name, metric)) for name, metric in known.items()}

    @cached_property
    def main_metric(self) -> Metric:
        """How the main outcome is read."""
        return replace(self.study.setting, metrics=self.metrics).main_metric

    def _digits(self, name: str, metric: Metric) -> int | None:
        """Digits after the point that show two figures of what seeds, or pairs of them, scatter by; None: its unit's.

        What has a unit of its own is shown as its readers are used to.
        """
        if metric.digits is not None or metric.kind != OUTCOME or metric.unit in (POINTS, NATS, LOGS):
            return metric.digits
        outcomes = self.by_seed(name)
        scatters = [outcomes.std(), outcomes.std(axis=1)]
        if "reference" in outcomes:
            scatters.append(outcomes.sub(outcomes["reference"], axis=0).std())
        known = [float(one[one > 0].median()) for one in scatters if (one > 0).any()]
        if not known:
            return None
        fewest, most = (2, 3) if metric.ratio else (0, MOST_DIGITS)
        return min(max(1 - floor(log10(min(known))), fewest), most)

    @cached_property
    def failed(self) -> dict[str, str]:
        """The key of every trial whose training failed, whatever that looked like -> why, in words."""
        if self.on_each:  # guessing gives something else on each data set
            return {key: why for one in self.on_each.values() for key, why in one.failed.items()}
        return failures.failures(self.study, self.results)

    @cached_property
    def failed_by_variant(self) -> dict[str, tuple[int, int]]:
        """The label of every variant of which a training failed -> how many did, of how many with an outcome."""
        return failures.by_variant(self.study, self.results, self.failed)

    @cached_property
    def overlap(self) -> float:
        """n_test / n_train of the splits that seeds stand for; 0 where they stand for none, nan where not known."""
        return tables.overlap(self.study.setting, self.table)

    @property
    def phase(self) -> str:
        """`test` or `validation`: what the errors were measured on."""
        return self.study.setting.phase

    @property
    def metric(self) -> str:
        """The column of the main outcome."""
        return self.study.setting.main

    @cached_property
    def effects(self) -> list[Effect]:
        """Of every component and control on the main outcome."""
        failing = self.study.setting.main_metric.failing
        return [replace(one, failing=failing) for one in estimating.effects(self.study, self.table, self.metric)]

    @cached_property
    def differences(self) -> pd.DataFrame:
        """The single differences behind `effects`."""
        return estimating.differences(self.study, self.table, self.metric)

    @property
    def labels(self) -> list[str]:
        """Every planned variant's label, in the study's order."""
        return [variant.label for variant in self.study.variants]

    @cached_property
    def shown(self) -> list[str]:
        """The variants that figures show: those that a paired effect compares, and where they are few, the pairs."""
        compared = {name for one in estimating.contrasts(self.study) for name in (one.departed, one.kept)}
        few = {one.label for one in self.study.variants if len(one.departures) < 3 and len(self.labels) <= SHOWN}
        return [label for label in self.labels if label in compared | few | {"reference"}]

    @cached_property
    def words(self) -> Labels:
        """What people call the changes."""
        return labels_of(self.study.subject)

    def called(self, effect: Effect) -> str:
        """What people call the change of an effect: `no dropout`; of an interaction `no dropout x no LRN`."""
        pairs = zip(effect.component.split(" x "), effect.level.split(" x "), strict=True)
        return " x ".join(self.words.of(departure) for departure in pairs)

    @cached_property
    def names(self) -> dict[str, str]:
        """What people call each variant, by its label; "all changes" and "all but: no LRN" in a one-in study."""
        return variant_names(self.study, self.words)

    def count(self, status: str) -> int:
        """How many trials ended so."""
        return sum(result.status == status for result in self.results)

    def by_seed(self, metric: str) -> pd.DataFrame:
        """Finished outcomes, seeds x variants."""
        if metric not in self._by_seed:
            self._by_seed[metric] = tables.by_seed(self.table, metric)
        return self._by_seed[metric]

    def values(self, metric: str, variant: str) -> pd.Series[float]:
        """The finished outcomes of one variant, by seed, as they are compared; may be empty."""
        outcomes = self.by_seed(metric)
        return outcomes[variant].dropna() if variant in outcomes else pd.Series(dtype=float)

    def mean(self, metric: str, variant: str) -> float:
        """Over the finished seeds, in the metric's own unit: of ratios the geometric mean; nan where there is none."""
        values = self.values(metric, variant)
        mean = float(values.mean()) if len(values) else nan
        known = self.study.setting.metrics.get(metric)
        return known.told(mean) if known else mean

    @cached_property
    def right(self) -> dict[tuple[str, int], np.ndarray]:
        """(variant, seed) -> which evaluation images (E,) were right, of finished trials that recorded it.

        Empty where a seed has a trial on each of several data sets.
        """
        if self.on_each:
            return {}
        return {
            (one.trial.variant.label, one.trial.seed): unpack(one.outcomes, int(one.metrics["evaluated_examples"]))
            for one in finished(self)
            if one.outcomes and one.metrics.get("evaluated_examples")
        }

    @cached_property
    def averages(self) -> dict[str, Averaged]:
        """The label of a variant -> what averaging the networks of its seeds does to the error, where that is known.

        Empty where trials end at a training error, and so at different steps.
        """
        return {} if self.study.setting.races else averages(finished(self), self.folder)

    @cached_property
    def by_example(self) -> dict[tuple[str, int], np.ndarray]:
        """(variant, seed) -> what each evaluated example (E,) gives to the main metric, where that is recorded.

        Empty where a seed has a trial on each of several data sets.
        """
        if self.on_each:
            return {}
        metric = self.study.setting.main_metric
        whole = 100.0 if metric.percent else 1.0
        found = {key: whole * (~right if metric.lower_is_better else right) for key, right in self.right.items()}
        for one in finished(self):
            key = one.trial.variant.label, one.trial.seed
            if self.folder and key not in found and one.metrics.get("evaluated_examples"):
                values = read_examples(self.folder, one.trial.key)
                found |= {} if values is None else {key: values}
        return found


def finished(evidence: Evidence) -> list[Result]:
    """The results of trainings that ended and did not fail."""
    return [result for result in evidence.results if result.status == DONE and result.trial.key not in evidence.failed]


def ratio(evidence: Evidence, effect: Effect, metric: str) -> float:
    """The mean of `metric` with the departure over that without it: parameters or macs."""
    means = [[evidence.mean(metric, label) for label in side] for side in (effect.departed, effect.kept)]
    sides = [[value for value in side if isfinite(value)] for side in means]
    return float(np.mean(sides[0]) / np.mean(sides[1])) if all(sides) else nan


def broken(evidence: Evidence, effect: Effect) -> tuple[int, int, int]:
    """Of the seeds, each with a pair or a whole design: planned, left out as a training failed, for another reason."""
    labels = {*effect.departed, *effect.kept}
    planned = _planned_seeds(evidence, labels)
    failed = {
        one.trial.seed
        for one in evidence.results
        if one.trial.key in evidence.failed and one.trial.variant.label in labels
    }
    known = len(evidence.by_seed(effect.metric).reindex(columns=sorted(labels)).dropna())
    return planned, len(failed), max(planned - known - len(failed), 0)


def _planned_seeds(evidence: Evidence, labels: Collection[str]) -> int:
    """That all these variants were to have: in a sequential study those that its looks have given them so far."""
    if not evidence.study.looks:
        return evidence.study.seeds
    run = [{one.trial.seed for one in evidence.results if one.trial.variant.label == label} for label in labels]
    return len(set.intersection(*run))
