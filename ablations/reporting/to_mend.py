"""What to mend, where nothing of a study was judged and more seeds would not help: errors, a recipe, or a control."""

from __future__ import annotations

from pathlib import Path

from ablations.analysis.evidence import broken_off, errors_told, finished
from ablations.analysis.gates import LEARNS, QUIET, SEED, SEEN, SIZES, control_effect, failed_trials, guesses
from ablations.analysis.verdicts import Findings
from ablations.core.load import PLACEBO, SABOTAGE, is_file
from ablations.core.result import DIVERGED, DONE, Result
from ablations.core.text import counted
from ablations.reporting import wording

REFERENCE = "reference"


def to_mend(evidence: Findings) -> tuple[str, ...]:
    """Returns sentences on what to mend before another run can help; () if more trials are all that is missing."""
    if lost := lost_to_errors(evidence):
        errors = errors_told(lost, wording.trial_of(evidence, lost[0]))
        return (f"Mend an error first: {errors}. The same command tries again.",)
    if not_all_run(evidence):
        return _about_sabotage(evidence)
    if failing := too_many_fail(evidence):
        return (f"Mend the recipe first: {failing}, and more seeds would fail as often.",)
    return (*_about_placebo(evidence), *(_about_equal_pairs(evidence) or _about_sabotage(evidence)))


def not_all_run(evidence: Findings) -> bool:
    """Tells whether some trial of the study's plan has no record yet."""
    return len(evidence.results) < len(evidence.study.keys)


def learned_nothing(evidence: Findings) -> bool:
    """Tells whether every trained network of the study guesses."""
    trained = [one for one in evidence.results if one.status == DONE]  # not `finished`: by the rule all may have failed
    return bool(trained) and all(guesses(evidence, one) for one in trained)


def lost_to_errors(evidence: Findings) -> list[Result]:
    """Returns the trials that ended in an error if it is for them that nothing was judged.

    That is so if a gate cannot be told and there are such trials of the reference or, if it is the placebo's, of the
    placebo.  Errors of the sabotage alone are its own: see `harmless`.
    """
    ended, gates = broken_off(evidence.results), evidence.passed
    if not finished(evidence):
        return ended if 2 * len(ended) >= len(evidence.results) else []
    arms = [REFERENCE] + [PLACEBO] * (gates.get(QUIET, True) is None)
    behind = any(_is_of(arm, one) for one in ended for arm in arms)
    few = gates.get(SEEN) is False and _share(evidence, REFERENCE) > evidence.study.rule.missing
    return ended if behind and (None in gates.values() or few) else []


def _is_of(arm: str, result: Result) -> bool:
    """Tells whether a trial is of an arm: of the reference, or of the control of that name."""
    departed = dict(result.trial.variant.departures)
    return arm in departed if arm != REFERENCE else not departed


def _share(evidence: Findings, arm: str) -> float:
    """Returns the share of the trials of an arm, of those that were run, that ended in an error."""
    ran = [one for one in evidence.results if _is_of(arm, one)]
    return len(broken_off(ran)) / len(ran) if ran else 0.0


def too_many_fail(evidence: Findings) -> str:
    """Writes `9 of 10 trainings of the reference failed` if it is for them that a gate cannot be told.

    Trainings that end with what guessing gives are no reason to mend the recipe before they have trained for longer.
    """
    gates = evidence.passed
    reference = [one.status for one in evidence.results if _is_of(REFERENCE, one)]
    diverged = bool(reference) and set(reference) == {DIVERGED}
    if not diverged and (learned_nothing(evidence) or gates.get(LEARNS) is False):
        return ""
    needed = [REFERENCE] * (diverged or None in gates.values()) + [PLACEBO] * (gates.get(QUIET, True) is None)
    for arm in needed:
        ended = [one for one in evidence.results if _is_of(arm, one) and one.status in (DONE, DIVERGED)]
        failed = sum(one.trial.key in evidence.failed for one in ended)
        if 2 * failed > len(ended):
            return f"{failed} of {counted(len(ended), 'training')} of the {arm} failed"
    return ""


def beyond_seeds(evidence: Findings) -> bool:
    """Tells whether a gate fails, or cannot be told, for a reason that no number of seeds changes."""
    gates = evidence.passed
    failed = {name for name, one in gates.items() if one is False}
    return bool(failed & {SEED, SIZES, QUIET} or harmless(evidence) or _about_equal_pairs(evidence))


def harmless(evidence: Findings) -> bool:
    """Tells whether no number of seeds can show harm by the sabotage.

    That is so if many of its trials end in an error, if it changes no outcome, or if it clearly makes outcomes better.
    """
    effect, rule = control_effect(evidence, SABOTAGE), evidence.study.rule
    if effect is None or effect.n < 2:
        return bool(failed_trials(evidence, SABOTAGE))
    better = evidence.study.setting.main_metric.worse * effect.estimate < 0 and effect.p < rule.sabotage_alpha
    unseen = effect.estimate == effect.error == 0 or (better and not effect.unstable)
    return unseen or (evidence.passed.get(SEEN) is not True and _share(evidence, SABOTAGE) > rule.missing)


def _about_placebo(evidence: Findings) -> tuple[str, ...]:
    """Returns the sentence on a placebo that is not quiet; () if it is."""
    if evidence.passed.get(QUIET) is not False:
        return ()
    alpha = evidence.study.rule.placebo_alpha
    return (
        f"Find out why other random draws alone change the outcome, as chance does in {alpha:.0%} of studies: more "
        "seeds do not mend it.",
    )


def _about_equal_pairs(evidence: Findings) -> tuple[str, ...]:
    """Returns sentences on the controls of which no number of equal pairs tells anything; () if there are none."""
    gates, wanted = evidence.passed, evidence.study.rule.seeds
    said = []
    for name, control in ((SEEN, SABOTAGE), (QUIET, PLACEBO)):
        effect = control_effect(evidence, control)
        if gates.get(name, True) is not None or effect is None or not effect.constant:
            continue
        if effect.estimate != 0 and effect.overlap != 0:
            said.append(
                f"Take a finer metric or more evaluation data: the {control} does the same in every pair, and no "
                "number of splits that overlap gives such pairs a p."
            )
        if effect.estimate == 0 and control == PLACEBO and effect.n >= wanted:
            said.append(
                "Report a finer metric, or one more number that random draws change: the placebo changes nothing in "
                f"any of {effect.n} pairs."
            )
    return tuple(said)


def _about_sabotage(evidence: Findings) -> tuple[str, ...]:
    """Returns the sentence on what to mend in a study file whose sabotage fails or goes unseen; () if it does not."""
    study, gates = evidence.study, evidence.passed
    if not is_file(study.subject) or SEEN not in gates or not (gates[SEEN] is False or harmless(evidence)):
        return ()
    path, broken = Path(study.subject), failed_trials(evidence, SABOTAGE)
    how = "a table [sabotage]" if path.suffix == ".toml" else "sabotage={...}"
    what = "Mend the sabotage, or declare one that runs" if broken else "Declare a sabotage that does clear harm"
    return (f"{what}: {how} in {path.name}, with fields and values that must make the outcome worse.",)
