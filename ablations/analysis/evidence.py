"""The evidence of a study: the table of its records and the effects in it, computed once for verdicts and reports."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import floor, isfinite, log10, nan
from pathlib import Path

import numpy as np
import pandas as pd

from ablations.analysis import effects as estimating
from ablations.analysis import factorial, failures, tables
from ablations.analysis.averages import Averaged, averages
from ablations.analysis.statistics import largest
from ablations.core.claim import metric_of
from ablations.core.effect import Effect
from ablations.core.labels import Labels, labels_of, variant_names
from ablations.core.result import DONE, FINAL, Result
from ablations.core.setting import LOGS, NATS, OUTCOME, POINTS, Metric, phased
from ablations.core.study import Study
from ablations.core.text import counted, last_line
from ablations.core.units import finer
from ablations.records.examples import read_examples
from ablations.records.outcomes import unpack

SHOWN = 24  # figures show variants with two changes only of studies with at most so many variants
MOST_DIGITS = 6  # most digits after the point of an outcome of 0.1 or more; smaller ones have more


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A study with its results, and what follows from them."""

    study: Study
    results: Sequence[Result]
    problems: Sequence[str] = ()  # a sentence on each record that cannot be read
    instead: str = ""  # a sentence on why the study file cannot be used; empty if it can
    folder: Path | None = None  # the study's folder, where trials may have kept their predictions

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per result, with the metrics of early epochs that claims are about, and failed trainings marked.

        Metrics are in the unit in which they are compared (`Metric.compared`).  If there are several data sets, a row
        is the mean of a variant's trials on them under one seed.
        """
        if self.on_each:
            return tables.over_blocks({name: one.table for name, one in self.on_each.items()})
        asked = [one for claim in self.study.claims for one in (claim, claim.companion) if one]
        early = {metric_of(one, self.phase): (phased(one.metric, self.phase), one.epoch) for one in asked if one.epoch}
        table = tables.with_epochs(tables.table(self.study, self.results), self.results, early)
        return failures.marked(tables.compared(table, self.study.setting.metrics), self.failed)

    @cached_property
    def outcomes(self) -> tables.Outcomes:
        """What effects are computed from, made from `table`."""
        return tables.Outcomes(self.table)

    @cached_property
    def on_each(self) -> dict[str, Evidence]:
        """The evidence on each data set alone, by name; empty if the study has only one data set."""
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
        """The study's metrics by name, each with the number of digits that its scatter and its claims justify."""
        known = self.study.setting.metrics
        return {name: replace(metric, digits=self._digits(name, metric)) for name, metric in known.items()}

    @cached_property
    def main_metric(self) -> Metric:
        """The main metric, with the number of digits that its scatter and its claims justify."""
        return replace(self.study.setting, metrics=self.metrics).main_metric

    def _digits(self, name: str, metric: Metric) -> int | None:
        """Returns how many digits after the point a metric is shown with; None: as many as its unit has.

        They are those of its scatter, or as many more as show two significant figures of the smallest effect that is of
        interest to a claim on it: effects of about that size would print as zero otherwise.
        """
        if metric.digits is not None:
            return metric.digits
        usual = self._scatter_digits(name, metric)
        claimed = [one.smallest_effect for one in self.study.claims if one.metric == name]
        return finer(replace(metric, digits=usual), min(claimed)) if claimed else usual

    def _scatter_digits(self, name: str, metric: Metric) -> int | None:
        """Returns how many digits after the point a metric's scatter justifies; None: as many as its unit has.

        They show two significant figures of the smallest scatter: that between seeds, between variants, or of paired
        differences.  Metrics in points, nats or log units have the usual number of digits.
        """
        if metric.kind != OUTCOME or metric.unit in (POINTS, NATS, LOGS):
            return None
        outcomes = self.by_seed(name)
        scatters = [outcomes.std(), outcomes.std(axis=1)]
        if "reference" in outcomes:
            scatters.append(outcomes.sub(outcomes["reference"], axis=0).std())
        known = [float(one[one > 0].median()) for one in scatters if (one > 0).any()]
        if not known:
            return None
        before = floor(log10(largest(outcomes.to_numpy(dtype=float))))
        fewest, most = (2, 3) if metric.ratio else (0, max(MOST_DIGITS, MOST_DIGITS - 1 - before))
        return min(max(1 - floor(log10(min(known))), fewest), most)

    @cached_property
    def failed(self) -> dict[str, str]:
        """The key of every trial whose training failed -> why, in words."""
        if self.on_each:  # what guessing gives differs between data sets
            return {key: why for one in self.on_each.values() for key, why in one.failed.items()}
        return failures.failures(self.study, self.results)

    @cached_property
    def failed_by_variant(self) -> dict[str, tuple[int, int]]:
        """Label of every variant with failed trainings -> how many failed, of how many that have an outcome."""
        return failures.by_variant(self.study, self.results, self.failed)

    @cached_property
    def overlap(self) -> float:
        """n_test / n_train if seeds stand for splits of the data, otherwise 0; nan: the sizes are not known."""
        return tables.overlap(self.study.setting, self.table)

    @property
    def phase(self) -> str:
        """`test` or `validation`: what trials are evaluated on."""
        return self.study.setting.phase

    @property
    def metric(self) -> str:
        """The name of the main metric, which is its column in the table."""
        return self.study.setting.main

    @cached_property
    def effects(self) -> list[Effect]:
        """The effects of all components and controls on the main outcome."""
        failing = self.study.setting.main_metric.failing
        return [replace(one, failing=failing) for one in estimating.effects(self.study, self.outcomes, self.metric)]

    @cached_property
    def differences(self) -> pd.DataFrame:
        """The differences of single seeds behind `effects`."""
        return estimating.differences(self.study, self.outcomes, self.metric)

    @property
    def labels(self) -> list[str]:
        """The label of every planned variant, in the study's order."""
        return [variant.label for variant in self.study.variants]

    @cached_property
    def shown(self) -> list[str]:
        """The labels of the variants that figures show.

        These are the reference, the variants that a paired effect compares and, in small studies, those with two
        changes.
        """
        compared = {name for one in estimating.contrasts(self.study) for name in (one.departed, one.kept)}
        few = {one.label for one in self.study.variants if len(one.departures) < 3 and len(self.labels) <= SHOWN}
        return [label for label in self.labels if label in compared | few | {"reference"}]

    @cached_property
    def words(self) -> Labels:
        """The names of changes for readers."""
        return labels_of(self.study.subject)

    def called(self, effect: Effect) -> str:
        """Returns the name of an effect's change for readers: `no dropout`; of an interaction `no dropout x no LRN`."""
        pairs = zip(effect.component.split(" x "), effect.level.split(" x "), strict=True)
        return " x ".join(self.words.of(departure) for departure in pairs)

    @cached_property
    def names(self) -> dict[str, str]:
        """Each variant's name for readers, by label; in a one-in study also "all changes" and "all but: no LRN"."""
        return variant_names(self.study, self.words)

    def count(self, status: str) -> int:
        """Returns how many trials have that status."""
        return sum(result.status == status for result in self.results)

    def by_seed(self, metric: str) -> pd.DataFrame:
        """Returns the finished outcomes on `metric`: one row per seed, one column per variant."""
        return self.outcomes.by_seed(metric)

    def values(self, metric: str, variant: str) -> pd.Series[float]:
        """Returns the finished outcomes of one variant, by seed, in the unit of comparison; it may be empty."""
        outcomes = self.by_seed(metric)
        return outcomes[variant].dropna() if variant in outcomes else pd.Series(dtype=float)

    def mean(self, metric: str, variant: str) -> float:
        """Returns a variant's mean over finished seeds in the metric's own unit; nan if there is none.

        For a metric that is compared as ratios it is the geometric mean.
        """
        return self._told(metric, float(self.values(metric, variant).mean()))

    def median(self, metric: str, variant: str) -> float:
        """Returns a variant's median over finished seeds in the metric's own unit; nan if there is none."""
        return self._told(metric, float(self.values(metric, variant).median()))

    def _told(self, metric: str, value: float) -> float:
        known = self.study.setting.metrics.get(metric)
        return known.told(value) if known else value

    @cached_property
    def clear_interactions(self) -> list[Effect]:
        """The two-way interactions on the main outcome that are clearly there, by Holm's p, the largest first."""
        return factorial.clear_interactions(self.study, self.outcomes, self.metric, self.study.rule.alpha)

    @cached_property
    def right(self) -> dict[tuple[str, int], np.ndarray]:
        """(variant, seed) -> which evaluated examples (E,) were right, for finished trials that recorded it.

        It is empty if the study has several data sets, because a seed then has several trials of a variant.
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
        """Label of a variant -> what averaging the networks of its seeds does to the error, if that is known.

        It is empty if trials end at a target, and so after different numbers of steps.
        """
        return {} if self.study.setting.races else averages(finished(self), self.folder)

    @cached_property
    def by_example(self) -> dict[tuple[str, int], np.ndarray]:
        """(variant, seed) -> what each evaluated example (E,) gives to the main metric, if that was recorded.

        It is empty if the study has several data sets, as `right` is.
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
    """Returns the results of trainings that ended and did not fail."""
    return [result for result in evidence.results if result.status == DONE and result.trial.key not in evidence.failed]


def ratio(evidence: Evidence, effect: Effect, metric: str) -> float:
    """Returns the mean of `metric`, such as the number of parameters, with the departure over that without it."""
    means = [[evidence.mean(metric, label) for label in side] for side in (effect.departed, effect.kept)]
    sides = [[value for value in side if isfinite(value)] for side in means]
    return float(np.mean(sides[0]) / np.mean(sides[1])) if all(sides) else nan


def broken_off(results: Iterable[Result]) -> list[Result]:
    """Returns the trials that ended in an error, and so have no outcome: the next run tries them again."""
    return [one for one in results if one.status not in FINAL]


def errors_told(ended: Sequence[Result], where: str = "", longest: int = 200) -> str:
    """Writes `2 trials ended in an error (LinAlgError: ...)` of such trials, with the last line of the first one."""
    return f"{counted(len(ended), 'trial')} ended in an error ({where}{last_line(ended[0].error, longest)})"


def broken(evidence: Evidence, effect: Effect) -> tuple[int, int, int]:
    """Returns how many seeds an effect has: planned, left out because a training failed, and missing otherwise."""
    labels = {*effect.departed, *effect.kept}
    planned = _planned_seeds(evidence, labels)
    failed = {
        one.trial.seed
        for one in evidence.results
        if one.trial.key in evidence.failed and one.trial.variant.label in labels
    }
    known = len(evidence.by_seed(effect.metric).reindex(columns=sorted(labels)).dropna())
    return planned, len(failed), max(planned - known - len(failed), 0)


def lacks_pairs(evidence: Evidence, effect: Effect) -> bool:
    """Tells whether more pairs of an effect are missing than the study's rule allows it to be judged with."""
    planned, _, missing = broken(evidence, effect)
    return missing > evidence.study.rule.missing * planned


def _planned_seeds(evidence: Evidence, labels: Collection[str]) -> int:
    """Returns how many seeds all these variants should have; in a sequential study, how many they have so far."""
    if not evidence.study.looks:
        return evidence.study.seeds
    run = [{one.trial.seed for one in evidence.results if one.trial.variant.label == label} for label in labels]
    return len(set.intersection(*run))
