"""What else differs between the arms of a comparison, beside the component that it is about."""

from __future__ import annotations

from dataclasses import replace

from ablations.analysis.effects import REFERENCE
from ablations.analysis.evidence import Evidence, ratio
from ablations.core.claim import MAIN
from ablations.core.effect import Effect
from ablations.core.load import load
from ablations.core.setting import SIZE
from ablations.core.text import change


def confounds(evidence: Evidence, effect: Effect) -> str:
    """Writes what else differs between the arms, `+18.6% parameters, map sizes conv2 16 to 17`; empty: nothing much."""
    bound = evidence.study.rule.confounded
    sizes = {name: metric.words for name, metric in evidence.study.setting.metrics.items() if metric.kind == SIZE}
    ratios = [(words, ratio(evidence, effect, name)) for name, words in sizes.items()]
    parts = [f"{change(value)} {words}" for words, value in ratios if abs(value - 1) > bound]
    return ", ".join(filter(None, [*parts, _told_by_the_subject(evidence, effect)]))


def _told_by_the_subject(evidence: Evidence, effect: Effect) -> str:
    """Returns what else the departure changes, as the subject says, from configs in records or else derived ones."""
    subject = load(evidence.study.subject)
    recorded = {result.trial.variant.label: result.trial.config for result in evidence.results}
    before, after = recorded.get(REFERENCE.label), recorded.get(effect.departed[0])
    if effect.kind != MAIN and after is not None:
        before = recorded.get(effect.kept[0])
    elif before is not None:
        try:
            setting = replace(evidence.study.setting, config=before)
            after = subject.configure(setting, ((effect.component, effect.level),))
        except ValueError:
            return ""  # this installation does not know the component
    return str(subject.differences(before, after)) if before is not None and after is not None else ""
