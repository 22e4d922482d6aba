"""What to do next if nothing of a study was judged: commands."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from itertools import count

from ablations.analysis.evidence import finished
from ablations.analysis.gates import LEARNS, control_effect
from ablations.analysis.statistics import p_of_mean
from ablations.analysis.verdicts import Findings
from ablations.core.load import SABOTAGE, load
from ablations.core.subject import Defaults
from ablations.reporting.to_mend import (
    beyond_seeds,
    learned_nothing,
    lost_to_errors,
    not_all_run,
    too_many_fail,
)


def next_commands(evidence: Findings) -> tuple[tuple[str, str], ...]:
    """Returns what to run next if nothing was judged, as (purpose, command)."""
    study = evidence.study
    try:
        words = shlex.split(study.command or "python -m ablations.run")
    except ValueError:  # a record may hold a command that no shell could read, such as one with an open quote
        return ()
    if study.command and not_all_run(evidence):
        return (("Finish it", study.command),)
    if lost_to_errors(evidence):
        return (("Once the error is mended, run it again", study.command),) if study.command else ()
    return _another(evidence, words)


def _another(evidence: Findings, words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Returns the same for a study whose trials have all ended: a longer or a tuned study, or one with more seeds."""
    if too_many_fail(evidence):
        return _tuned(evidence, words)
    if learned_nothing(evidence) or not finished(evidence) or evidence.passed.get(LEARNS) is False:
        return _longer(evidence, words)
    if beyond_seeds(evidence) or _unharmed(evidence):
        return ()
    seeds = max(3, 2 * evidence.study.seeds, _pairs_for_signs(evidence))
    return (
        (
            "Train more seeds",
            shlex.join([*_without(words, ("--seeds", "--budget")), *_kept(evidence), "--seeds", str(seeds)]),
        ),
    )


def _unharmed(evidence: Findings) -> bool:
    """Tells whether the study lacks its sabotage, because it changes nothing here, so that more seeds do not help."""
    return SABOTAGE in evidence.study.wanted and control_effect(evidence, SABOTAGE) is None


def _pairs_for_signs(evidence: Findings) -> int:
    """Returns the pairs of which flipping signs detects a sabotage that does the same in every pair; else 0."""
    effect = control_effect(evidence, SABOTAGE)
    if effect is None or not effect.constant:
        return 0
    return next(n for n in count(2) if p_of_mean(1.0, 0.0, n - 1) < evidence.study.rule.sabotage_alpha)


def _kept(evidence: Findings) -> list[str]:
    """Returns the options that fix what a time budget chose, so that the next command does not choose anew."""
    return ["--grid", evidence.study.grid] if evidence.study.allowance else []


def _longer(evidence: Findings, words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Returns a command that trains longer and, if learning rates can be tuned, one that tunes each change's rate."""
    study = evidence.study
    more = list(load(study.subject).longer(4 * study.setting.work))
    if not more:
        return ()
    longer = shlex.join([*_base(evidence, words), *more, "--name", f"{study.name}-longer"])
    return ("Train longer", longer), *(
        (f"Or {what[:1].lower()}{what[1:]}", how) for what, how in _tuned(evidence, words)
    )


def _tuned(evidence: Findings, words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Returns a command that tunes each change's learning rate; () if that cannot be done, or was done."""
    study, subject = evidence.study, load(evidence.study.subject)
    as_long = subject.longer(study.setting.work)
    if not as_long or study.tuning or type(subject).at_rate is Defaults.at_rate:
        return ()
    # A run refuses to tune with looks.
    kept = _without(_base(evidence, words), ("--tune", "--looks"), flags=("--sequential",))
    tuned = shlex.join([*kept, *as_long, "--tune", "7", "--name", f"{study.name}-tuned"])
    return (("Let each change have its own learning rate", tuned),)


def _base(evidence: Findings, words: Sequence[str]) -> list[str]:
    """Returns the words of the study's command that a longer or a tuned study keeps."""
    kept = [*_without(words, ("--epochs", "--name", "--budget")), *_kept(evidence)]
    return [*kept, "--seeds", str(evidence.study.seeds)] if evidence.study.allowance else kept


def _without(words: Sequence[str], options: Collection[str], flags: Collection[str] = ()) -> list[str]:
    """Returns the `words` of a command without these options (`--name x` or `--name=x`) and these flags (no value)."""
    pairs = zip(["", *words], words, strict=False)
    return [
        word
        for before, word in pairs
        if before not in options and word.partition("=")[0] not in options and word not in flags
    ]
