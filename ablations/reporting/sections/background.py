"""The sections on how a study was run, what failed, and where its records came from."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ablations.analysis import effects as estimating
from ablations.analysis.declared import post_hoc
from ablations.analysis.evidence import finished
from ablations.analysis.gates import chance_error, guesses
from ablations.analysis.obstacles import threshold
from ablations.analysis.tables import FAILED
from ablations.analysis.verdicts import Findings
from ablations.core.load import load
from ablations.core.result import DIVERGED, DONE, ERROR, OUT_OF_MEMORY, STATUSES, TIMEOUT, Result, by_note
from ablations.core.text import MISSING, counted, duration, interval, last_line, listed, number
from ablations.core.trial import Trial
from ablations.core.units import outcome
from ablations.reporting import wording
from ablations.reporting.document import Block, Section, Table
from ablations.reporting.parts import parts_of
from ablations.reporting.sections.outcomes import best_of_rows

WORDS = {  # status -> how it is said of a number of trials
    DIVERGED: "diverged",
    OUT_OF_MEMORY: "ran out of memory",
    TIMEOUT: "ran out of time",
    ERROR: "stopped with an error",
}


def label(evidence: Findings) -> str:
    """Returns what was trained, what the number of seeds allows, and whether verdicts are post hoc."""
    seeds = evidence.study.seeds
    grade = "smoke test" if seeds < 2 else "draft" if seeds < evidence.study.rule.seeds else "enough for verdicts"
    late = "post hoc, " if evidence.verdicts and post_hoc(evidence.study, evidence.results) else ""
    return f"{parts_of(evidence.study.subject).scale(evidence)}; {late}{grade} ({wording.over(evidence, [seeds])})"


def summary(evidence: Findings) -> tuple[str, ...]:
    """Returns what was run and how it ended, in sentences."""
    note, parts = evidence.study.setting.note, parts_of(evidence.study.subject)
    data = [f"Of the data: {note}"] if note else []
    title = str(evidence.study.setting.facts.get("title", ""))
    said = (title, parts.plan(evidence), *data, parts.trivial(evidence), _outcome(evidence))
    return tuple(filter(None, said))


def _outcome(evidence: Findings) -> str:
    study = evidence.study
    planned = len(study.keys) if study.looks else study.trials_a_seed * study.seeds
    counts = {status: evidence.count(status) for status in STATUSES}
    silent = counts[DONE] - len(finished(evidence))
    failed = [f"{count} {WORDS[status]}" for status, count in counts.items() if count and status != DONE]
    failed += [f"{silent} of the finished ones failed to train"] * bool(silent)
    missing = planned - len(evidence.results)
    parts = [f"{counts[DONE]} finished", *failed, *([f"{missing} not run yet"] if missing > 0 else [])]
    seconds = sum(result.seconds for result in evidence.results)
    return (
        f"Of {counted(planned, 'trial')}, {listed(parts)}. They took {duration(seconds)} in total, added over trials "
        "that may have run side by side." + _guessing(evidence)
    )


def _guessing(evidence: Findings) -> str:
    """Returns a sentence on trials that ended no better than guessing, if the study's rule counts them as trained."""
    if evidence.study.rule.failed_above and evidence.study.setting.guessing is not None:
        return ""
    chance = chance_error(evidence)
    seeds: dict[str, list[int]] = {}
    for result in finished(evidence):
        if guesses(evidence, result):
            seeds.setdefault(named(evidence, result.trial), []).append(result.trial.seed)
    if not seeds:
        return ""
    percent = "%" if evidence.study.setting.main_metric.percent else ""
    which = listed([f"{name} (seed {listed([str(seed) for seed in found])})" for name, found in seeds.items()])
    return (
        f" No better than guessing ({chance:.0f}{percent}) at their end: {which}. They count in full, as training that "
        "fails now and then is an effect too, and widen the intervals."
    )


def sources(evidence: Findings) -> list[str]:
    """Returns a sentence if the trials were trained by different states of the training sources; else nothing."""
    digests = sorted({result.training_digest or "not recorded" for result in evidence.results})
    if len(digests) < 2:
        return []
    version = evidence.results[0].training_version
    return [
        f"Its trials were trained by {len(digests)} states of the sources ({', '.join(digests)}) of one training "
        f"version, {version}: equal trials should come out alike. Effects that compare them say so in their notes."
    ]


def setup(evidence: Findings) -> Section:
    """Returns the section on what was run, how it ended, and what each component is."""
    known = load(evidence.study.subject).components
    changes: dict[str, list[str]] = {}
    for name, level in [*evidence.study.components, *estimating.controls(evidence.study)]:
        changes.setdefault(name, []).append(evidence.words.with_code((name, level)))
    rows = []
    for name, levels in changes.items():
        found = known.get(name)
        words = (found.reference, found.summary, found.source) if found else (MISSING, "not known here", MISSING)
        rows.append((name, words[0], ", ".join(levels), *words[1:]))
    head = ("component", "reference", "changed to", "what it does", "source")
    blocks: list[Block] = [*caution(evidence), *sources(evidence), *summary(evidence), *best_of_rows(evidence)]
    if len(evidence.study.variants) > 1:
        blocks += [_recipe(evidence), Table(caption="What is changed, and from what.", head=head, rows=tuple(rows))]
        blocks += parts_of(evidence.study.subject).reference(evidence)
    return Section(title="How it was run", blocks=tuple(blocks))


def caution(evidence: Findings) -> list[str]:
    """Returns why the verdicts were not fixed before the first trial, if they were not."""
    reasons = post_hoc(evidence.study, evidence.results) if evidence.verdicts else []
    return [" ".join(["Post hoc, not fixed before the first trial:", *reasons])] if reasons else []


def _recipe(evidence: Findings) -> str:
    if evidence.study.tuning:
        return (
            "Each arm has the learning rate that was chosen for it, from as many trials for each: see Learning rates. "
            "In all else every variant uses the reference's recipe."
        )
    return (
        "Every variant uses the reference's recipe: nothing was tuned for any arm. A change that would need "
        f"{'another learning rate or more epochs' if wording.images(evidence) else 'other settings'} to show its worth "
        "is at a disadvantage here."
    )


def activity(evidence: Findings) -> Section | None:
    """Returns the section on how much each component does in the trained reference; None if that is not measured."""
    if not any(one.negligible for one in load(evidence.study.subject).components.values()):
        return None
    title = "Activity in the trained reference"
    found = [result.activity for result in finished(evidence) if result.activity]
    if not found:
        return Section(title=title, blocks=("No finished reference has recorded any activity.",))
    known = load(evidence.study.subject).components
    under_study = {name for name, _ in evidence.study.components} | set(evidence.study.controls)
    measured = {name for one in found for name in one}
    names = sorted(measured & under_study or measured)  # all of them if the study changes nothing
    rows = []
    for name in names:
        values = [one[name] for one in found if name in one]
        mean, low, high = estimating.mean_interval(values)
        unit = known[name].unit if name in known else "unit not known here"
        bound = threshold(evidence, name)
        flag = "inactive" if mean < bound else "not finite" if not np.isfinite(mean) else "active"
        between = interval(low, high, sign=False, digits=3)
        rows.append((name, number(mean, 3), between, str(len(values)), f"{bound:g}", unit, flag))
    head = ("component", "mean", "95% interval", "n", "inactive below", "of what", "flag")
    words = (
        "A component that changes nothing in the trained reference cannot have an effect. One that is inactive is not "
        "judged: a null effect would say something of this implementation, not of the idea."
    )
    table = Table(caption="Activity, mean over the reference's seeds.", head=head, rows=tuple(rows))
    return Section(title=title, blocks=(words, table))


def failures(evidence: Findings) -> Section:
    """Returns the section on failed trials, notes, unreadable records, variants that were left out, and aliases."""
    study, blocks = evidence.study, list[Block]()
    failed = evidence.failed
    bad = [one for one in evidence.results if one.status != DONE or one.trial.key in failed]
    rows = tuple(
        (
            named(evidence, one.trial),
            str(one.trial.seed),
            one.status if one.trial.key not in failed else FAILED,
            last_line(failed.get(one.trial.key, one.error)),
        )
        for one in bad
    )
    if rows:
        caution = (
            "Trainings that failed are in no mean and no pair, whatever the failure looked like; comparisons with "
            "them are unstable, and how often each arm trains stands under Effects."
        )
        blocks += [caution] * bool(failed)
        head = ("variant", "seed", "status", "reason")
        blocks.append(Table(caption="Trials that failed.", head=head, rows=rows))
    else:
        blocks.append("No trial that was run has failed.")
    if noted := by_note(evidence.results):
        told = tuple((_whose(evidence, trials), note) for note, trials in noted.items())
        blocks.append(Table(caption="What trials noted, which is no failure.", head=("trials", "note"), rows=told))
    blocks += [f"{evidence.instead[:1].upper()}{evidence.instead[1:]}"] * bool(evidence.instead)
    blocks += [f"Unreadable: {problem}" for problem in evidence.problems]
    if study.skipped:
        left = tuple((evidence.words.of(*one.variant.departures), one.reason) for one in study.skipped)
        blocks.append(Table(caption="Combinations that the grid left out.", head=("variant", "reason"), rows=left))
    if study.aliases:
        words = "In this fraction the following effects cannot be told apart: each line is one column of the design."
        same = tuple((alias,) for alias in study.aliases)
        blocks += [words, Table(caption="Aliases.", head=("aliased",), rows=same, collapsed=len(same) > 12)]
    return Section(title="Failures and gaps in the design", blocks=tuple(blocks))


def _whose(evidence: Findings, trials: Sequence[Trial]) -> str:
    """Writes `no LRN (seed 3)`, or for several trials `12 of 40 trials`."""
    if len(trials) == 1:
        return f"{named(evidence, trials[0])} (seed {trials[0].seed})"
    return f"{len(trials):,} of {counted(len(evidence.results), 'trial')}"


def origin(evidence: Findings) -> Section:
    """Returns the section on commits, versions, hardware, dates and data, with the commands that repeat the study."""
    study, records = evidence.study, [result.provenance for result in evidence.results]
    keys = dict.fromkeys(key for record in records for key in record if key not in ("started", "command"))
    names = {"dirty": "uncommitted changes"}
    found = [(names.get(key, key.replace("_", " ")), _distinct(record.get(key) for record in records)) for key in keys]
    rows = [row for row in found if row[1]]
    started = sorted(str(record["started"]) for record in records if record.get("started"))
    if started:
        rows.append(("started", started[0] if len(started) == 1 else f"{started[0]} to {started[-1]}"))
    fingerprint = f", fingerprint {study.setting.fingerprint}" if study.setting.fingerprint else ""
    rows += [("data", f"{study.setting.data}{fingerprint}")]
    rows += [("run it again", study.command or "not recorded")]
    rows += [("render this again", f"python -m ablations.report {shlex.quote(_folder(evidence))}")]
    if code := study.setting.config.get("code"):
        explain = f"python -m ablations.explain {shlex.quote(study.name)}"
        rows += [("code of the trials", f"{code}; {explain} compares it with today's")]
    caution = "The records come from different commits or from code with uncommitted changes."
    mixed = len({record.get("commit") for record in records}) > 1 or any(record.get("dirty") for record in records)
    table = Table(caption="Where the records came from.", head=("what", "value"), rows=tuple(rows))
    return Section(title="Provenance", blocks=(*[caution] * mixed, table))


def _folder(evidence: Findings) -> str:
    """Returns the study's folder as a user types it: relative to the working directory, or the name alone."""
    here, folder = Path.cwd(), evidence.folder and evidence.folder.resolve()
    return folder.relative_to(here).as_posix() if folder and folder.is_relative_to(here) else evidence.study.name


def _distinct(values: Iterable[Any]) -> str:
    written = dict.fromkeys(_written(value) for value in values)
    return "; ".join(word for word in written if word)


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_written(item)}" for name, item in value.items() if _written(item))
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value))
    return str(value)


def named(evidence: Findings, trial: Trial) -> str:
    """Returns the name of a trial's variant: `no LRN`, or with several data sets `no LRN on wine`."""
    words = evidence.words.of(*trial.variant.departures)
    return f"{words} on {trial.data}" if evidence.on_each else words


def trials(evidence: Findings) -> Section:
    """Returns the section that lists every trial."""
    rows = tuple(_trial_row(evidence, result) for result in evidence.results)
    head = ("variant", "seed", "status", wording.outcome_column(evidence), "time", "record")
    if not rows:
        return Section(title="All trials", blocks=("No trial has been run yet.",))
    table = Table(
        caption=f"All {counted(len(rows), 'trial')}; the record of each is trials/RECORD.json in the study's folder.",
        head=head,
        rows=rows,
    )
    return Section(title="All trials", blocks=(table,))


def _trial_row(evidence: Findings, result: Result) -> tuple[str, ...]:
    ended = outcome(evidence.main_metric, result.metrics.get(evidence.metric, float("nan")))
    trial = result.trial
    return (named(evidence, trial), str(trial.seed), result.status, ended, duration(result.seconds), trial.key)
