"""Notes beside numbers: confounds, aliases, failed trainings, missing pairs, and intervals of means."""

from __future__ import annotations

import numpy as np

from ablations.analysis import effects as estimating
from ablations.analysis import factorial
from ablations.analysis.blocks import other_way
from ablations.analysis.confounds import confounds
from ablations.analysis.evidence import Evidence, broken
from ablations.analysis.failures import arms_words
from ablations.analysis.verdicts import Findings
from ablations.core.claim import MAIN
from ablations.core.effect import Effect
from ablations.core.text import listed, number


def notes(evidence: Findings, effect: Effect) -> str:
    """Returns the notes on one effect: confounds, aliases, failed trainings, missing pairs, and changes that do
    nothing.
    """
    planned, _, missing = broken(evidence, effect)
    unit = "seeds" if effect.kind == MAIN else "pairs"
    found = confounds(evidence, effect)
    words = [f"confounded: {found}"] * bool(found)
    if taken := _taken_for(evidence, effect):
        words.append(taken)
    if others := other_way(evidence, effect, evidence.study.rule.alpha):
        words.append(f"the other way on {listed(others)}: see Effects by data set")
    if effect.unstable:
        words.append(f"unstable: {arms_words(effect)}")
    if missing:
        words.append(f"{missing} of {planned} {unit} without a result")
    labels = {*effect.departed, *effect.kept}
    digests = {one.training_digest for one in evidence.results if one.trial.variant.label in labels}
    if len(digests) > 1:
        words.append(f"its trials were trained by {len(digests)} states of the sources")
    single = estimating.differences_of(evidence.differences, effect)
    if len(single) > 1 and not any(single):
        words.append("every pair identical: a toggle without effect?")
    if effect.kind != MAIN and effect.n == 1:
        words.append("one pair: no interval")
    if effect.kind == MAIN and effect.n < 2:
        words.append(effect.method.split(";")[0])
    if effect.kind == MAIN and effect.n and not np.isfinite(effect.estimate):
        words.append(effect.method.split(";")[0])
    return "; ".join(words)


def _taken_for(evidence: Findings, effect: Effect) -> str:
    """Returns a warning that a three-way interaction may be what looks like a main effect in a fraction; often nothing.

    It is given where some two-way interaction is clearly there, and as large as the effect.
    """
    if effect.kind != MAIN or not effect.p < evidence.study.rule.alpha:
        return ""
    clear = evidence.clear_interactions
    if not clear or abs(clear[0].estimate) < abs(effect.estimate) or not factorial.aliases(evidence.study, effect, 3):
        return ""
    return "two-way interactions are as large, so it may be a three-way one: see Interactions"


def mean_and_interval(evidence: Evidence, metric: str, variant: str) -> tuple[int, float, float, float]:
    """Returns n, mean and both ends of the 95% t interval over finished seeds.

    For a metric that is compared as a ratio, they are computed from logarithms and converted back.
    """
    values = evidence.values(metric, variant)
    mean, low, high = estimating.mean_interval(values, evidence.overlap)
    if known := evidence.study.setting.metrics.get(metric):
        mean, low, high = map(known.told, (mean, low, high))
    return len(values), mean, low, high


def sampling_error(evidence: Findings, error_percent: float) -> str:
    """Writes the standard error that the choice of images adds to an error rate: sqrt(p (1 - p) / n), in points."""
    images = evidence.mean("evaluated_examples", "reference")
    if not (np.isfinite(images) and np.isfinite(error_percent) and images > 0):
        return "cannot be given, as the number of images was not recorded"
    share = error_percent / 100
    return f"{number(100 * float(np.sqrt(share * (1 - share) / images)))} points over {images:,.0f} images"
