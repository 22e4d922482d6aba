"""What to do next if nothing of a study was judged: commands, and what to mend in a study file."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from itertools import count
from pathlib import Path

from ablations.analysis.asked import rule_of
from ablations.analysis.evidence import finished
from ablations.analysis.gates import (
    LEARNS,
    SEED,
    SEEN,
    SIZES,
    control_effect,
    failed_trials,
    guesses,
    study_gates,
)
from ablations.analysis.statistics import p_of_mean
from ablations.analysis.verdicts import Findings
from ablations.core.load import SABOTAGE, is_file, load
from ablations.core.result import DONE
from ablations.core.subject import Defaults


def learned_nothing(evidence: Findings) -> bool:
    """Tells whether every trained network of the study guesses."""
    trained = [one for one in evidence.results if one.status == DONE]  # not `finished`: by the rule all may have failed
    return bool(trained) and all(guesses(evidence, one) for one in trained)


def next_commands(evidence: Findings) -> tuple[tuple[str, str], ...]:
    """Returns what to run next if nothing was judged, as (purpose, command)."""
    study = evidence.study
    try:
        words = shlex.split(study.command or "python -m ablations.run")
    except ValueError:  # a record may hold a command that no shell could read, such as one with an open quote
        return ()
    if study.command and len(evidence.results) < len(study.keys):
        return (("Finish it", study.command),)
    failed = {one.name for one in study_gates(evidence, rule_of(study)) if one.passed is False}
    if learned_nothing(evidence) or not finished(evidence) or LEARNS in failed:
        return _longer(evidence, words)
    if failed & {SEED, SIZES} or harmless(evidence):
        return ()
    seeds = max(3, 2 * study.seeds, _pairs_for_signs(evidence))
    return (
        (
            "Train more seeds",
            shlex.join([*_without(words, ("--seeds", "--budget")), *_kept(evidence), "--seeds", str(seeds)]),
        ),
    )


def _pairs_for_signs(evidence: Findings) -> int:
    """Returns the pairs of which flipping signs detects a sabotage that does the same in every pair; else 0."""
    effect = control_effect(evidence, SABOTAGE)
    if effect is None or not effect.constant:
        return 0
    return next(n for n in count(2) if p_of_mean(1.0, 0.0, n - 1) < rule_of(evidence.study).sabotage_alpha)


def harmless(evidence: Findings) -> bool:
    """Tells whether no number of seeds can show harm by the sabotage: its trials fail, or it changes no outcome."""
    effect = control_effect(evidence, SABOTAGE)
    if effect is not None and effect.n > 1:
        return effect.estimate == effect.error == 0
    return bool(failed_trials(evidence, SABOTAGE))


def about_sabotage(evidence: Findings) -> tuple[str, ...]:
    """Returns the sentence on what to mend in a study file whose sabotage fails or goes unseen; () if it does not."""
    study = evidence.study
    seen = next((one for one in study_gates(evidence, rule_of(study)) if one.name == SEEN), None)
    if not is_file(study.subject) or seen is None or not (seen.passed is False or harmless(evidence)):
        return ()
    path, broken = Path(study.subject), failed_trials(evidence, SABOTAGE)
    how = "a table [sabotage]" if path.suffix == ".toml" else "sabotage={...}"
    what = "Mend the sabotage, or declare one that runs" if broken else "Declare a sabotage that does clear harm"
    return (f"{what}: {how} in {path.name}, with fields and values that must make the outcome worse.",)


def _kept(evidence: Findings) -> list[str]:
    """Returns the options that fix what a time budget chose, so that the next command does not choose anew."""
    return ["--grid", evidence.study.grid] if evidence.study.allowance else []


def _longer(evidence: Findings, words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Returns a command that trains longer and, if learning rates can be tuned, one that tunes each change's rate."""
    study, subject = evidence.study, load(evidence.study.subject)
    kept = [*_without(words, ("--epochs", "--name", "--budget")), *_kept(evidence)]
    kept += ["--seeds", str(study.seeds)] if study.allowance else []
    more = list(subject.longer(4 * study.setting.work))
    if not more:
        return ()
    said = [("Train longer", shlex.join([*kept, *more, "--name", f"{study.name}-longer"]))]
    if study.tuning or type(subject).at_rate is Defaults.at_rate:
        return tuple(said)
    kept = _without(kept, ("--tune", "--looks"), flags=("--sequential",))  # a run refuses to tune with looks
    tuned = [*kept, *subject.longer(study.setting.work), "--tune", "7", "--name", f"{study.name}-tuned"]
    return (*said, ("Or let each change have its own learning rate", shlex.join(tuned)))


def _without(words: Sequence[str], options: Collection[str], flags: Collection[str] = ()) -> list[str]:
    """Returns the `words` of a command without these options (`--name x` or `--name=x`) and these flags (no value)."""
    pairs = zip(["", *words], words, strict=False)
    return [
        word
        for before, word in pairs
        if before not in options and word.partition("=")[0] not in options and word not in flags
    ]
