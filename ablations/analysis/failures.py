"""Trainings that fail: which they are, how often each arm trains, and whether a direction can still be judged.

All failures count as the same thing: a loss or a weight that is not finite, an error close to that of guessing, or a
training that is far behind others of its variant.  The numbers are in the study's `Rule`.  Means are over the trainings
that did not fail, and how often an arm trains is reported beside them.  If a change makes some trainings collapse, the
mean over all trainings describes neither those that worked nor those that failed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite, nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ablations.analysis.group_sequential import Look
from ablations.analysis.statistics import LEVEL, Array, discordant, sign_flip_p
from ablations.analysis.tables import FAILED, HUGE, Outcomes
from ablations.core.claim import Rule
from ablations.core.effect import Effect
from ablations.core.result import DIVERGED, DONE, Result
from ablations.core.setting import Setting
from ablations.core.study import Study
from ablations.core.variant import Variant


def why_failed(metrics: Mapping[str, Any], setting: Setting, rule: Rule, *, best: float = nan) -> str:
    """Returns why a finished training counts as failed, in words; empty if it does not.

    `metrics` are those of the training, and `best` is the best main outcome of all trainings of its variant (nan: not
    known).
    """
    named = {name: metrics.get(name, 0.0) for name in (setting.main, f"{setting.phase}_loss")}
    if not all(isinstance(value, int | float) and isfinite(value) for value in named.values()):
        return "its evaluation is not finite"
    for name, value in named.items():
        if abs(setting.metrics[name].compared(value) if name in setting.metrics else value) >= HUGE:
            return f"its evaluation came to {value:.2g}, which is too large to be compared"
    metric = setting.main_metric
    value = metrics.get(setting.main, nan)
    chance, linear = (nan if one is None else one for one in (setting.guessing, setting.baseline))
    bound = metric.after(chance, 1 - rule.failed_above)
    error, of_chance, of_linear, of_best = map(metric.error, (value, chance, linear, best))
    word, told = metric.noun, "{:.1f}%".format if metric.percent else "{:.4g}".format
    if rule.failed_above and (error > metric.error(bound) or error >= of_chance):
        hardly = "hardly below" if metric.lower_is_better else "hardly above"
        return f"its {word} of {told(value)} is {hardly} the {told(chance)} of guessing"
    behind = of_chance - error < rule.failed_below_best * (of_chance - of_best)
    if rule.failed_below_best and of_best < of_linear < error and behind:
        beyond = "above" if metric.lower_is_better else "below"
        return (
            f"its {word} of {told(value)} is {beyond} the {told(linear)} of a linear classifier, where its "
            f"variant has reached {told(best)}"
        )
    return ""


def failures(study: Study, results: Iterable[Result]) -> dict[str, str]:
    """Returns key -> why, in words, for every trial whose training failed; trials without an outcome have not."""
    rule, setting = study.rule, study.setting
    results, metric = list(results), study.setting.main_metric
    best: dict[Variant, float] = {}
    for one in results:
        value = one.metrics.get(setting.main)
        if one.status == DONE and value is not None and isfinite(value):
            best[one.trial.variant] = min(value, best.get(one.trial.variant, value), key=metric.error)
    found = {one.trial.key: one.error or "it diverged" for one in results if one.status == DIVERGED}
    for one in results:
        if one.status == DONE and (
            why := why_failed(one.metrics, setting, rule, best=best.get(one.trial.variant, nan))
        ):
            found[one.trial.key] = why
    return found


def marked(table: pd.DataFrame, failed: Collection[str]) -> pd.DataFrame:
    """Returns `table` with the status FAILED in the rows of these keys, so that no mean contains them.

    The last numbers of a failed training say nothing of its variant.
    """
    if table.empty or not failed:
        return table
    return table.assign(status=table["status"].where(~table["key"].isin(failed), FAILED))


def with_trainings(effect: Effect, outcomes: Outcomes, differences: Array) -> Effect:
    """Returns `effect` with how often each of its arms trained and, if a training failed, with its exact tests.

    `differences` (S,) are those of the seeds under which no training of either arm failed.
    The arms of a main effect are all variants with the change and all without it.  If the mean of `differences` has
    another sign than the effect's estimate, no direction can be judged, and `p_flip` is nan.
    """
    if outcomes.table.empty:
        return effect
    arms = [outcomes.failed_of(labels) for labels in (effect.departed, effect.kept)]
    trained, ended = zip(*(_counts(arm.to_numpy()) for arm in arms), strict=True)
    effect = replace(effect, trained=trained, ended=ended)
    if not effect.unstable:
        return effect
    departed, kept = (arm.mean(axis="columns") for arm in arms)
    told = differences.size and differences.mean() * effect.estimate > 0
    return replace(effect, p_trained=_p_trained(departed, kept), p_flip=sign_flip_p(differences) if told else nan)


def _counts(failed: Array) -> tuple[int, int]:
    """Returns how many trainings of an arm did not fail, and how many ended; `failed` is as `Outcomes.failed`."""
    return int((failed == 0).sum()), int(np.isfinite(failed).sum())


def _p_trained(departed: pd.Series[float], kept: pd.Series[float]) -> float:
    """Returns the exact p that both arms fail equally often, from the share of each arm that failed under each seed.

    It is McNemar's if each arm has one training per seed, otherwise that of flipping the signs of the differences.
    """
    shares = pd.DataFrame({"departed": departed, "kept": kept}).dropna()
    if shares.empty:
        return nan
    if shares.isin((0.0, 1.0)).all(axis=None):
        return discordant(shares["departed"].to_numpy() == 0, shares["kept"].to_numpy() == 0)[2]
    return sign_flip_p((shares["departed"] - shares["kept"]).to_numpy(dtype=float))


def share_interval(trained: int, ended: int) -> tuple[float, float]:
    """Returns the exact 95% interval of the share of trainings that do not fail (Clopper and Pearson 1934).

    Its bounds are nan if no training has ended.
    """
    if not ended:
        return nan, nan
    found = stats.binomtest(trained, ended).proportion_ci(LEVEL, method="exact")
    return float(found.low), float(found.high)


def for_direction(effect: Effect, look: Look | None = None) -> Effect:
    """Returns `effect` with the p by which its direction is judged: that of the sign-flip test if trainings failed.

    At a `look` of a sequential study it is the repeated p-value.
    """
    p = effect.p_flip if effect.unstable else effect.p
    return replace(effect, p=look.p(p) if look else p)


def agrees(effect: Effect) -> bool:
    """Tells whether the arm with the worse outcomes, where both arms train, does not also fail less often.

    If it fails less often, the two findings contradict each other.  `Effect.failing` says which way failures move the
    metric.
    """
    shares = [bad / of for bad, of in zip(effect.failed, effect.ended, strict=True) if of]
    often = shares[0] - shares[1] if len(shares) == 2 else nan
    return often * effect.failing * effect.estimate >= 0


def worst(effect: Effect) -> tuple[int, int]:
    """Returns the number of failed trainings of the arm that fails more often, and of its trainings with an outcome."""
    return max(zip(effect.failed, effect.ended, strict=True), key=lambda arm: (arm[0] / max(arm[1], 1), arm[1]))


def failed_words(effect: Effect) -> str:
    """Writes `failed, 5 of 5`, which a verdict says if too few trainings of an arm are left to compare."""
    return "failed, {} of {}".format(*worst(effect))


def arms_words(effect: Effect) -> str:
    """Writes `8 of 10 trained with the change and 10 of 10 without it`."""
    (with_it, of_it), (without, of_without) = zip(effect.trained, effect.ended, strict=True)
    return f"{with_it} of {of_it} trained with the change and {without} of {of_without} without it"


def by_variant(study: Study, results: Sequence[Result], failed: Collection[str]) -> dict[str, tuple[int, int]]:
    """Returns, for every variant with failed trainings, label -> (number of them, number that have an outcome)."""
    ended = [one for one in results if one.status in (DONE, DIVERGED)]
    counts = {
        variant.label: [one.trial.key in failed for one in ended if one.trial.variant == variant]
        for variant in study.variants
    }
    return {label: (sum(bad), len(bad)) for label, bad in counts.items() if any(bad)}
