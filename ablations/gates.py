"""What has to hold before anything is judged: of the whole study, and of one comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np

from ablations.claims import compared
from ablations.declaration import MAIN, Claim, Rule
from ablations.evidence import Evidence, broken, finished, map_changes, ratio
from ablations.grids import GRIDS
from ablations.registry import components
from ablations.sections.document import change, number, probability, signed
from ablations.threshold import LOG_STEPS, REACHED
from ablations.types import Effect, Result
from models.layout import layout, parameters

GAP = "gap_percent"
PLACEBO, SABOTAGE = "placebo", "sabotage"

# Why a claim was not tested.
NO_ARM, NO_PAIR, ONE_SEED, GATE, PAIRS_MISSING, INACTIVE, NO_SPREAD, UNDERFITS, CENSORED, UNTUNED = REASONS = (
    "no arm",
    "not run",
    "one seed",
    "gate",
    "missing pairs",
    "inactive",
    "no spread",
    "underfits",
    "censored",
    "untuned",
)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One thing that has to hold of a study, what was found, and whether it held; None: it cannot be told."""

    name: str
    demand: str
    found: str
    passed: bool | None

    @property
    def answer(self) -> str:
        """`yes`, `no`, `not known`."""
        return "not known" if self.passed is None else "yes" if self.passed else "no"


def study_gates(evidence: Evidence, rule: Rule) -> list[Gate]:
    """The gates of a study: a reference that learns, and controls that behave, but for those its grid leaves out."""
    grid = GRIDS.get(evidence.study.grid)
    wanted = (SABOTAGE, PLACEBO) if grid is None or grid.controls is None else grid.controls
    gates = {SABOTAGE: _sabotage, PLACEBO: _placebo}
    return [learns(evidence, rule), *(gate(evidence, rule) for name, gate in gates.items() if name in wanted)]


def learns(evidence: Evidence, rule: Rule) -> Gate:
    """Whether the reference beats guessing by the rule's margin."""
    chance = chance_error(evidence)
    bound = chance * (1 - rule.beats_chance_by)
    error = evidence.mean(evidence.metric, "reference")
    known = isfinite(bound) and isfinite(error)
    return Gate(
        name="the reference learns",
        demand=f"its error is below {number(bound)}%, {1 - rule.beats_chance_by:.0%} of what guessing gives",
        found=f"{number(error)}%" if known else "no finished reference, or the chance level is not known",
        passed=error < bound if known else None,
    )


def chance_error(evidence: Evidence) -> float:
    """Error in percent of always naming the commonest class; nan where it cannot be told.

    Studies that did not record it are taken to have balanced classes, as many as the parameters of a record tell.
    """
    recorded = evidence.study.chance_error_percent
    if recorded is not None:
        return recorded
    classes = next(filter(None, map(_classes, finished(evidence))), 0)
    return 100 * (1 - 1 / classes) if classes else nan


def _classes(result: Result) -> int:
    """How many classes the recorded number of parameters fits, which grows by the same with each; 0 for none."""
    spec, size = result.trial.spec, result.trial.budget.image_size
    for channels in (1, 3):
        try:
            one, two = (parameters(layout(spec, num_classes=n, image_size=size, channels=channels)) for n in (1, 2))
        except ValueError:
            return 0  # a record of a network that cannot be built
        more, rest = divmod(result.metrics.get("parameters", 0) - one, two - one)
        if rest == 0 and more > 0:
            return int(more) + 1
    return 0


def _sabotage(evidence: Evidence, rule: Rule) -> Gate:
    effect = _control(evidence, SABOTAGE)
    return Gate(
        name="the sabotage is detected",
        demand=f"half of the training labels shuffled raise the error, p below {rule.sabotage_alpha:g}",
        found=_words(effect),
        passed=effect.estimate > 0 and effect.p < rule.sabotage_alpha if effect and isfinite(effect.p) else None,
    )


def _placebo(evidence: Evidence, rule: Rule) -> Gate:
    effect = _control(evidence, PLACEBO)
    return Gate(
        name="the placebo is not",
        demand=f"other random draws change nothing, p not below {rule.placebo_alpha:g}",
        found=_words(effect),
        passed=not effect.p < rule.placebo_alpha if effect and isfinite(effect.p) else None,
    )


def _control(evidence: Evidence, name: str) -> Effect | None:
    return next((effect for effect in evidence.effects if effect.component == name), None)


def _words(effect: Effect | None) -> str:
    if effect is None:
        return "not in this study"
    if not isfinite(effect.p):
        return "needs two finished pairs that differ"
    return f"{signed(effect.estimate)} points, p {probability(effect.p)}, n = {effect.n}"


def obstacle(evidence: Evidence, claim: Claim, effect: Effect | None, rule: Rule) -> tuple[str, str]:
    """Why a comparison cannot be judged, as a code of `REASONS` and a sentence; two empty strings if it can."""
    if effect is None:
        return NO_ARM, "this study does not make the comparison"
    return next(_obstacles(evidence, claim, effect, rule), ("", ""))


def _obstacles(evidence: Evidence, claim: Claim, effect: Effect, rule: Rule) -> Iterator[tuple[str, str]]:
    if evidence.study.seeds < 2 or effect.n == 1:
        yield ONE_SEED, "one seed says nothing of the scatter between seeds"
    if not effect.n:
        yield NO_PAIR, "no pair of trials has finished with this metric"
    if claim.metric == LOG_STEPS and (lost := _never_arrived(evidence, effect)):
        yield (
            CENSORED,
            f"{lost} trials ended before they arrived, which the rule cannot weigh: see the ratio of the steps",
        )
    planned, diverged, other = broken(evidence, effect)
    if diverged + other > rule.missing * planned:
        unit = "trials" if effect.kind == MAIN else "pairs"
        yield PAIRS_MISSING, f"{diverged + other} of {planned} {unit} are missing, {diverged} as training diverged"
    if not effect.error > 0:
        yield NO_SPREAD, "the pairs do not differ from each other, so there is nothing to judge them by"
    for component, _ in compared(claim):
        activity, bound = mean_activity(evidence, component), threshold(evidence, component)
        if activity < bound:
            words = f"activity in the trained reference is {number(activity, 4)}, below {bound:g}"
            yield INACTIVE, f"the {component}'s {words}"
    if claim.metric == GAP and not (gap := _mean_gap(evidence, effect)) >= rule.overfitting:
        words = f"between training and {evidence.phase} error is {signed(gap)} on average"
        yield UNDERFITS, f"the arms' gap {words}: nothing overfits here"


def _never_arrived(evidence: Evidence, effect: Effect) -> int:
    labels = {*effect.departed, *effect.kept}
    arms = (one for one in finished(evidence) if one.trial.variant.label in labels)
    return sum(one.metrics.get(REACHED) == 0 for one in arms)


def threshold(evidence: Evidence, component: str) -> float:
    """The activity below which a component counts as inactive: as declared, or its own where nothing was."""
    declared = dict(evidence.study.rule.negligible) if evidence.study.rule else {}
    known = components().get(component)
    return declared.get(component, known.activity.negligible if known else 0.0)


def mean_activity(evidence: Evidence, component: str) -> float:
    """Mean over the trained references of how much the component does in them; nan where none was recorded."""
    found = [one.activity[component] for one in finished(evidence) if component in one.activity]
    return float(np.mean(found)) if found else nan


def underfits(evidence: Evidence, rule: Rule) -> bool:
    """Whether the reference has hardly fitted its training images: their error is about that of the others."""
    return evidence.mean(GAP, "reference") < rule.overfitting


def _mean_gap(evidence: Evidence, effect: Effect) -> float:
    """Of both arms together: their difference, which is to be judged, hardly depends on it."""
    sides = [[evidence.mean(GAP, label) for label in side] for side in (effect.departed, effect.kept)]
    return float(np.mean([np.mean(side) for side in sides]))


def confounds(evidence: Evidence, effect: Effect) -> str:
    """What else differs between the arms, `+18.6% parameters, map sizes conv2 16 to 17`; empty for little."""
    bound = (evidence.study.rule or Rule()).confounded
    names = (("parameters", "parameters"), ("multiply-adds", "macs"))
    ratios = [(name, ratio(evidence, effect, metric)) for name, metric in names]
    parts = [f"{change(value)} {name}" for name, value in ratios if abs(value - 1) > bound]
    maps = map_changes(evidence, effect)
    return ", ".join([*parts, *[f"map sizes {maps}"] * bool(maps)])
