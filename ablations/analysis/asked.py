"""Which effect a claim is about, by which rule it is judged, and what prevents that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ablations.analysis.effects import compare, contrast_of, main_effects
from ablations.analysis.evidence import Evidence
from ablations.analysis.gates import Gate
from ablations.analysis.obstacles import FAILS, GATE, NO_ARM, NO_PAIR, ONE_SEED, UNTUNED, obstacle
from ablations.analysis.tuning import tuned
from ablations.core.claim import MAIN, Claim, compared, metric_of
from ablations.core.effect import Effect
from ablations.core.study import Study
from ablations.core.variant import Variant


def effect_on(evidence: Evidence, claim: Claim) -> Effect | None:
    """Returns the effect that a claim is about; None if the study does not make the comparison."""
    found, metric = _effect_on(evidence, claim), evidence.study.setting.metrics.get(claim.metric)
    return replace(found, failing=metric.failing) if found and metric else found


def _effect_on(evidence: Evidence, claim: Claim) -> Effect | None:
    """Returns the same effect, whose `failing` is not yet set."""
    metric = metric_of(claim, evidence.phase)
    departure, *others = compared(claim)
    if claim.estimand == MAIN:
        found = main_effects(evidence.study, evidence.outcomes, metric)
        return next((one for one in found if (one.component, one.level) == departure), None)
    contrast = contrast_of(evidence.study, departure, Variant(departures=tuple(others)))
    planned = {variant.label for variant in evidence.study.variants}
    return (
        compare(evidence.outcomes, contrast, metric, evidence.overlap)
        if {contrast.departed, contrast.kept} <= planned
        else None
    )


def proxy_reasons(claim: Claim, study: Study) -> tuple[str, ...]:
    """Returns how a study falls short of the claim's conditions, in words; empty if it tests the claim itself."""
    asked, setting = claim.conditions, study.setting
    preset = setting.facts.get("preset", "")
    names = (
        (setting.data, asked.datasets, f"{setting.data} for {' or '.join(asked.datasets)}"),
        (preset, asked.presets, f"preset {preset} for {' or '.join(asked.presets)}"),
    )
    sizes = (
        (setting.facts.get("train_examples", 0), asked.train_examples, "training images"),
        (setting.facts.get("image_size", 0), asked.image_size, "pixels"),
        (setting.work, asked.epochs, "epochs"),
    )
    words = [asked.always_proxy] * bool(asked.always_proxy)
    words += [text for value, allowed, text in names if allowed and value not in allowed]
    if asked.presets and (rate := setting.facts.get("learning_rate")):
        words.append(f"a learning rate of {rate:g} for the preset's")
    words += [f"{value:,} {unit} for {least:,}" for value, least, unit in sizes if value < least]
    return tuple(words)


def obstacle_of(evidence: Evidence, claim: Claim, effect: Effect | None, gates: Sequence[Gate]) -> tuple[str, str]:
    """Returns why a claim cannot be tested: a code of `obstacles.REASONS` and a sentence; both empty if it can.

    If the whole study fails a gate, that is the reason, unless the arms share a learning rate that the claim is about,
    or the comparison lacks an arm, a second seed, or trainings that did not fail.
    """
    if (looks := evidence.study.looks) and not evidence.study.seeds:
        return NO_PAIR, f"the first look, after {looks[0]} seeds, is not complete"
    own = obstacle(evidence, claim, effect)
    if effect is not None and untuned(evidence.study, claim):
        return UNTUNED, "the arms share a learning rate, and the claim is about arms that each have a rate of their own"
    failed = [gate for gate in gates if not gate.passed]
    if own[0] in (NO_ARM, ONE_SEED, FAILS) or not failed:
        return own
    return GATE, "; ".join(f"{gate.name}: {gate.answer}, {gate.found}" for gate in failed)


def untuned(study: Study, claim: Claim) -> bool:
    """Tells whether a claim is about arms with learning rates of their own, and one of its arms has none."""
    return claim.tuned and not all(tuned(study, departure) for departure in compared(claim))
