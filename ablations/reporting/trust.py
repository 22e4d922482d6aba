"""The line on why to believe a study: its seeds, its controls, what failed, and how well its reference learnt."""

from __future__ import annotations

from math import isfinite

from ablations.analysis.declared import briefly_post_hoc
from ablations.analysis.evidence import broken_off, errors_told, finished
from ablations.analysis.gates import QUIET, SEEN, linear_error
from ablations.analysis.obstacles import underfits
from ablations.analysis.verdicts import Findings
from ablations.core.load import MILD, PLACEBO, SABOTAGE
from ablations.core.text import counted
from ablations.reporting import wording

UNDERFITTING = "the reference underfits, so this says little about converged networks"


def trust_line(evidence: Findings) -> str:
    """Returns one line: `10 seeds; placebo quiet; sabotage seen; reference 31% error, linear baseline 61%`."""
    study, setting = evidence.study, evidence.study.setting
    metric = evidence.main_metric
    seeds, wanted = study.seeds, study.rule.seeds
    draft = f" (a draft: verdicts want {wanted})" if seeds < wanted and evidence.verdicts else ""
    parts = [f"{wording.over(evidence, [seeds])}{draft}"]
    parts += _controls(evidence) if len(study.variants) > 1 else []
    ended = len(evidence.results)
    meant = [one for one in evidence.results if not {SABOTAGE, MILD} & dict(one.trial.variant.departures).keys()]
    failed = sum(one.trial.key in evidence.failed for one in meant)
    aside = ", the sabotage aside" if len(meant) < ended else ""
    parts += [f"{failed} of {counted(len(meant), 'training')} failed{aside}"] * bool(failed)
    parts += _errors(evidence)
    unfinished = len(study.keys) - ended if study.keys else 0
    parts += [f"{counted(unfinished, 'trial')} not run yet"] * (unfinished > 0)
    percent = "%" if metric.percent else ""
    value = evidence.mean(evidence.metric, "reference")
    known = [f"reference {value:.3g}{percent} {metric.noun}"] * isfinite(value)
    linear, name = linear_error(evidence), "linear baseline" if "linear" in setting.baseline_words else "baseline"
    known += [f"{name} {linear:.3g}{percent}"] * isfinite(linear)
    if setting.guessing is not None and not isfinite(linear):
        known.append(f"guessing {setting.guessing:.3g}{percent}")
    parts += [", ".join(known)] * (bool(known) and not setting.races)
    rows = max((len(one.curve) for one in finished(evidence)), default=0)
    parts += [f"best of {rows} rows of a trial, so optimistic"] * (metric.best and rows > 1)
    parts += [UNDERFITTING] * underfits(evidence)
    parts += ["learning rate tuned for each change"] * bool(study.tuning)
    parts += briefly_post_hoc(study, evidence.results) if evidence.verdicts else []
    parts += ["no claim declared"] * (not study.claims and len(study.variants) > 1)
    return "; ".join(parts)


def _errors(evidence: Findings) -> list[str]:
    """Returns how many trials ended in an error and have no result, with the last line of one; nothing if none did."""
    ended = broken_off(evidence.results)
    return [errors_told(ended, wording.trial_of(evidence, ended[0]), 100)] if ended else []


def _controls(evidence: Findings) -> list[str]:
    gates = {one.name: one for one in evidence.gates}
    said = []
    for control, name, yes, no in ((PLACEBO, QUIET, "quiet", "not quiet"), (SABOTAGE, SEEN, "seen", "not seen")):
        gate = gates.get(name)
        if control not in evidence.study.controls:
            said.append(f"no {control}")
        elif gate is not None:
            called = next((evidence.called(one) for one in evidence.effects if one.component == control), control)
            said.append(f"{called} {'not known' if gate.passed is None else yes if gate.passed else no}")
    return said
