"""What must hold before anything of a study is judged: its gates."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, isnan, nan, sqrt

from ablations.analysis import traces
from ablations.analysis.evidence import Evidence, broken_off
from ablations.analysis.failures import arms_words
from ablations.analysis.tables import sizes
from ablations.core.effect import Effect
from ablations.core.load import PLACEBO, SABOTAGE, load
from ablations.core.result import Result
from ablations.core.setting import SPLIT, TEST_SIZE, TRAIN_SIZE, Metric
from ablations.core.text import counted, last_line, probability
from ablations.core.units import between, in_unit, outcome, size

_NO_BASELINE = "; what a linear classifier gives was not computed for this study"


# The names of gates.
LEARNS, SEED, SIZES = "the reference learns", "the seed is used", "splits are of one size"
SEEN, QUIET = "the sabotage is detected", "the placebo is not"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A condition that a study must meet before anything is judged."""

    name: str
    demand: str  # what must hold, in words
    found: str  # what was found, in words
    passed: bool | None  # None: it cannot be told

    @property
    def answer(self) -> str:
        """Whether it passed, in words: `yes`, `no` or `not known`."""
        return "not known" if self.passed is None else "yes" if self.passed else "no"


def study_gates(evidence: Evidence) -> list[Gate]:
    """Returns the gates of a study: a reference that learns, and the controls that its grid has behaving as they must.

    There are two more where they apply: that different seeds give different trials, and that all splits of the data
    have one size.
    """
    gates = {SABOTAGE: _sabotage, PLACEBO: _placebo}
    wanted = evidence.study.wanted
    used = [_seeds_used(evidence)] if traces.known(evidence) else []
    learnt = [learns(evidence)] if evidence.study.setting.guessable else []
    split = [_same_sizes(evidence)] if evidence.study.setting.replicate == SPLIT else []
    return [*learnt, *used, *split, *(gate(evidence) for name, gate in gates.items() if name in wanted)]


def _seeds_used(evidence: Evidence) -> Gate:
    """Returns the gate that trials with different seeds differ."""
    differ = traces.seeds_differ(evidence)
    found = {None: "fewer than two trials of the reference", True: "they differ", False: "they are equal"}[differ]
    return Gate(
        name=SEED,
        demand="trials of the reference with different seeds differ in what they report",
        found=found,
        passed=differ,
    )


def _same_sizes(evidence: Evidence) -> Gate:
    """Returns the gate that all trials report the same sizes of their split."""
    each = evidence.on_each or {"": evidence}
    known = {name: sizes(one.table) for name, one in each.items()}
    words = {name: [" and ".join(map(_count, pair)) for pair in found] for name, found in known.items()}
    said = [f"{name}: {', '.join(some)}" if name else "; ".join(some) for name, some in words.items() if some]
    found = [pair for some in known.values() for pair in some]
    of_it = " of a data set" if evidence.on_each else ""
    return Gate(
        name=SIZES,
        demand=f"every trial{of_it} reports the same {TRAIN_SIZE} and {TEST_SIZE}, by which all intervals are "
        "corrected",
        found="; ".join(said) or "no finished trial",
        passed=isfinite(evidence.overlap) if found else None,
    )


def _count(size: float) -> str:
    return "nothing" if isnan(size) else f"{size:,.0f}"


def learns(evidence: Evidence) -> Gate:
    """Returns the gate that the reference beats guessing and a linear classifier, on each of the data sets."""
    if not evidence.on_each:
        return _learns(evidence)
    each = {name: _learns(one) for name, one in evidence.on_each.items()}
    passed = [one.passed for one in each.values()]
    return Gate(
        name=LEARNS,
        demand="on every data set; " + next(f"on {name} {one.demand}" for name, one in each.items()),
        found="; ".join(f"{name} {one.found}" for name, one in each.items()),
        passed=False if False in passed else None if None in passed else True,
    )


def _learns(evidence: Evidence) -> Gate:
    """Returns the same gate on one data set.  A linear classifier counts if the rule asks for it and it is known."""
    chance, linear = chance_error(evidence), linear_error(evidence)
    metric, setting, rule = evidence.main_metric, evidence.study.setting, evidence.study.rule
    unit, side = "%" if metric.percent else "", "below" if metric.lower_is_better else "above"
    by_chance = metric.after(chance, rule.beats_chance_by)
    asked = [(by_chance, beside(metric, chance, rule.beats_chance_by, "what guessing gives"))]
    if rule.beats_linear_by is not None and isfinite(linear):
        bound = metric.after(linear, rule.beats_linear_by)
        asked.append((bound, beside(metric, linear, rule.beats_linear_by, f"what {setting.baseline_words} has")))
    words = [f"{side} {outcome(metric, bound)}{unit}, {relative}" for bound, relative in asked]
    unknown = "" if isfinite(linear) or not setting.baseline_words else _NO_BASELINE
    bound = min((bound for bound, *_ in asked), key=metric.error) if isfinite(chance) else nan
    value = evidence.mean(evidence.metric, "reference")
    known = isfinite(bound) and isfinite(value)
    found = f"{outcome(metric, value)}{unit}" if known else "no finished reference, or the chance level is not known"
    failed, ended = evidence.failed_by_variant.get("reference", (0, 0))
    if failed and failed == ended:
        found = f"failed, {failed} of {ended} trainings"
    learned = metric.error(value) < metric.error(bound)
    return Gate(
        name=LEARNS,
        demand=f"its {metric.noun} is {', and '.join(words)}{unknown}{_no_best(metric)}",
        found=found,
        passed=learned if known else False if failed and failed == ended else None,
    )


def _no_best(metric: Metric) -> str:
    """Returns what a study file may say of a metric of which higher is better, if its best value is not known.

    Without its best value, the gate asks little where guessing gives little: an accuracy of .125 where it gives .1.
    """
    if metric.lower_is_better or metric.percent or metric.perfect is not None:
        return ""
    return "; if its best value is known, as 1 is of a share of right answers, Metric(perfect=1.0) measures from there"


def beside(metric: Metric, value: float, shed: float, whose: str) -> str:
    """Writes `metric.after(value, shed)` relative to `value`, which is what `whose` says: `75% of what guessing gives`.

    If higher is better, it is `25% closer to the best than what guessing gives` where the best value is known, as of
    percentages, and otherwise `25% above what guessing gives`; if lower is better and the value is below zero, it is
    `25% below what guessing gives`.
    """
    if metric.perfect is not None:
        return f"{shed:.0%} closer to the best than {whose}"
    if metric.lower_is_better:
        return f"{shed:.0%} below {whose}" if value < 0 else f"{1 - shed:.0%} of {whose}"
    return f"{shed:.0%} closer to the best than {whose}" if metric.percent else f"{shed:.0%} above {whose}"


def linear_error(evidence: Evidence) -> float:
    """Returns the setting's baseline, such as a linear classifier's error; nan in studies that were planned without."""
    recorded = evidence.study.setting.baseline
    return nan if recorded is None else recorded


def chance_error(evidence: Evidence) -> float:
    """Returns what guessing gives on the main metric, averaged over data sets; nan if that is not known."""
    recorded = evidence.study.setting.guessing
    return nan if recorded is None else recorded


def guesses(evidence: Evidence, result: Result) -> bool:
    """Tells whether a finished network is no better than guessing, or by less than two standard errors of guessing.

    A metric that is no percentage has no such standard error (nan), and then no network counts as guessing.
    """
    its = (one for one in evidence.on_each.values() if one.study.setting.fingerprint == result.trial.fingerprint)
    evidence = next(its, evidence)
    chance, count = chance_error(evidence), result.metrics.get("evaluated_examples", nan)
    metric = evidence.study.setting.main_metric
    scatter = sqrt(chance * (100 - chance) / count) if metric.percent and 0 <= chance <= 100 else nan  # in percent
    return metric.error(result.metrics.get(evidence.metric, nan)) > metric.error(chance) - 2 * scatter


def _sabotage(evidence: Evidence) -> Gate:
    """Returns the gate that the sabotage does visible harm: worse outcomes, or trainings that fail more often.

    A few pairs that all differ by the same cannot tell whether it does.
    """
    effect, alpha = control_effect(evidence, SABOTAGE), evidence.study.rule.sabotage_alpha
    worse = evidence.study.setting.main_metric.worse
    seen = _differs(effect, alpha)
    passed = seen and worse * effect.estimate > 0 if effect else None
    found = control_words(evidence, SABOTAGE)
    if effect and effect.unstable and effect.failed[0] > effect.failed[1]:  # to fail is to be detected, too
        passed = passed or effect.p_trained < alpha or None
        found = f"{found}; {arms_words(effect)}" if effect.n > 1 else found
    metric = evidence.study.setting.main_metric
    what = load(evidence.study.subject).sabotage
    harm = f"{what} {'raise' if metric.lower_is_better else 'lower'}"
    return Gate(
        name=SEEN,
        demand=f"{harm} the {metric.noun}, p below {alpha:g}",
        found=found,
        passed=passed,
    )


def _differs(effect: Effect | None, alpha: float) -> bool | None:
    """Tells whether a control changes the outcome; None if that cannot be told, as from a few equal pairs."""
    if effect is None or not isfinite(effect.p):
        return None
    return effect.p < alpha or (None if effect.constant else False)


def _placebo(evidence: Evidence) -> Gate:
    """Returns the gate that the placebo does nothing detectable.

    It also passes if the outcome is the same in every pair, as of a metric that is saturated, provided that other
    numbers of these trials show that the draws were others.
    """
    effect, alpha = control_effect(evidence, PLACEBO), evidence.study.rule.placebo_alpha
    differs = _differs(effect, alpha)
    passed = None if differs is None else not differs
    found = control_words(evidence, PLACEBO)
    if effect and effect.n > 1 and effect.estimate == effect.error == 0 and traces.drawn_apart(evidence, effect):
        passed, found = True, f"no difference in any pair, though other numbers differ, n = {effect.n}"
    return Gate(
        name=QUIET,
        demand=f"other random draws change nothing, p not below {alpha:g}",
        found=found,
        passed=passed,
    )


def control_effect(evidence: Evidence, name: str) -> Effect | None:
    """Returns the effect of the control of that name on the main outcome; None if the study does not have it."""
    return next((effect for effect in evidence.effects if effect.component == name), None)


def control_words(evidence: Evidence, name: str) -> str:
    """Returns the effect of the control of that name in words, or why it has none, such as trials that failed."""
    effect = control_effect(evidence, name)
    known = effect is not None and isfinite(effect.p)
    if not known and (words := failed_trials(evidence, name)):
        return words
    if effect is not None and effect.n < 2 and effect.unstable:
        return f"too few pairs are left to compare: {arms_words(effect)}"
    return effect_words(evidence, effect)


def failed_trials(evidence: Evidence, name: str) -> str:
    """Writes `5 of 5 trials of the sabotage failed: ZeroDivisionError: division by zero`, with the last error.

    Empty if every trial of the control of that name that was run has an outcome.
    """
    ran = [one for one in evidence.results if name in dict(one.trial.variant.departures)]
    ended = broken_off(ran)
    if not ended:
        return ""
    return f"{len(ended)} of {counted(len(ran), 'trial')} of the {name} failed: {last_line(ended[-1].error)}"


def effect_words(evidence: Evidence, effect: Effect | None) -> str:
    """Writes `+11.70 [+10.00, +13.50] points, p <0.001, n = 10`, or why there is no number."""
    if effect is None:
        return "not in this study"
    metric = evidence.main_metric
    if not isfinite(effect.p) and effect.constant and effect.estimate != 0:
        found = in_unit(metric, size(metric, effect.estimate))
        return f"{found} in every pair, which gives no p where splits overlap, n = {effect.n}"
    if not isfinite(effect.p):
        return "needs two finished pairs that differ"
    if effect.constant:
        found = in_unit(metric, size(metric, effect.estimate))
        return f"{found} in every pair, p {probability(effect.p)} by flipped signs, n = {effect.n}"
    within = f" {between(metric, effect.low, effect.high)}" if isfinite(effect.low) else ""
    found = in_unit(metric, f"{size(metric, effect.estimate)}{within}")
    return f"{found}, p {probability(effect.p)}, n = {effect.n}"
