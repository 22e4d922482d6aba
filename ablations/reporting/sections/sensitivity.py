"""What a study could have seen: sentences on a study that learned nothing, on its mild control and on its placebo."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from math import isfinite

from ablations.analysis.asked import rule_of
from ablations.analysis.gates import chance_error, control_effect, effect_words, guesses
from ablations.analysis.verdicts import Findings
from ablations.core.claim import metric_of
from ablations.core.load import MILD, PLACEBO
from ablations.core.result import DONE
from ablations.core.study import Study
from ablations.core.text import counted
from ablations.core.units import between, in_unit, is_ratio, margin
from ablations.reporting import wording


def nothing_learned(evidence: Findings) -> tuple[str, ...]:
    """Where every network of the study guesses, a sentence that says so, and a line for each command to try."""
    trained = [one for one in evidence.results if one.status == DONE]  # by the rule, they may all count as failed
    if not trained or not all(guesses(evidence, one) for one in trained):
        return ()
    metric = wording.main(evidence)
    side = "below" if metric.lower_is_better else "above"
    trials, noun = counted(len(trained), "finished trial"), _a(metric.noun)
    return (
        f"Every network of this study guesses: of {trials} none has {noun} clearly {side} chance, "
        f"{wording.value(evidence, chance_error(evidence))}. So it says nothing of any component.",
        *_next_commands(evidence.study),
    )


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _next_commands(study: Study) -> list[str]:
    """What to try where nothing was learned."""
    words = shlex.split(study.command or "python -m ablations.run")
    kept = _without(words, ("--epochs", "--name", "--budget"))
    if study.allowance:  # which chose them in the place of the user
        kept += ["--grid", study.grid, "--seeds", str(study.seeds)]
    longer = [*kept, "--epochs", str(4 * study.setting.work), "--name", f"{study.name}-longer"]
    said = [f"Try more epochs: {shlex.join(longer)}"]
    if study.tuning:
        return said
    kept = _without(kept, ("--tune", "--looks"), flags=("--sequential",))  # tuning does not go with looks
    tuned = [*kept, "--epochs", str(study.setting.work), "--tune", "7", "--name", f"{study.name}-tuned"]
    return [*said, f"Or let each arm have its own learning rate: {shlex.join(tuned)}"]


def _without(words: Sequence[str], options: Collection[str], flags: Collection[str] = ()) -> list[str]:
    """`words` of a command line less these options, as `--name x` or `--name=x`, and these flags without a value."""
    pairs = zip(["", *words], words, strict=False)
    return [
        word
        for before, word in pairs
        if before not in options and word.partition("=")[0] not in options and word not in flags
    ]


def sensitivity(evidence: Findings) -> str:
    """Whether the study sees a twentieth of the labels shuffled, in a sentence; empty where that was not tried."""
    effect = control_effect(evidence, MILD)
    if effect is None or evidence.study.setting.races:
        return ""
    found = effect_words(evidence, effect)
    if not isfinite(effect.p):
        return f"Sensitivity: whether this study would have seen 5% of the labels shuffled cannot be told: it {found}."
    if effect.estimate > 0 and effect.p < rule_of(evidence.study).sabotage_alpha:
        return f"Sensitivity: this study would have seen 5% of the labels shuffled: {found}."
    return (
        f"Sensitivity: this study cannot tell 5% of the labels shuffled from nothing: {found}. Effects of that size "
        "are beyond it."
    )


def placebo_reach(evidence: Findings) -> str:
    """The placebo's interval beside the smallest effect of interest of a claim on the same error; empty without both.

    That a placebo is not detected does not show that other draws change nothing: only a narrow interval does.
    """
    effect = control_effect(evidence, PLACEBO)
    claims = [one for one in evidence.study.claims if metric_of(one, evidence.phase) == evidence.metric]
    if effect is None or not isfinite(effect.low) or not claims or evidence.study.setting.races:
        return ""
    metric, noun = wording.main(evidence), wording.main(evidence).noun
    finest = min(claims, key=lambda one: one.smallest_effect)
    least = margin(metric, finest.smallest_effect) if is_ratio(metric) else f"{finest.smallest_effect:g}"
    words = (
        f"The placebo's effect lies in {in_unit(metric, between(metric, effect.low, effect.high))}; the smallest "
        f"effect of interest among the claims on this {noun} is {least} ({finest.name})."
    )
    wide = sum(max(-effect.low, effect.high) >= one.smallest_effect for one in claims)
    if not wide:
        return f"{words} The interval is narrower: other random draws alone do nothing of that size."
    return (
        f"{words} The interval is wider: it does not exclude that other random draws alone do as much as is of "
        f"interest in {wide} of {counted(len(claims), 'claim')}. A placebo that is not detected is no proof of "
        "equality."
    )
