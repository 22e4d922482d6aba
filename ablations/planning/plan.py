"""From a request to a plan that is ready to run: the study, which trials are finished, and which are still to run.

    request ─ resources ─> place ─ the subject ─> setting ─ grids, factors, claims ─> study and trials
                                                        ─ records ─> what is finished, what is missing

The modules that are imported at the top load quickly.  Data are decoded, and torch is imported, when a plan is made.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.analysis.reach import out_of_reach
from ablations.core.errors import InputError, printable
from ablations.core.load import load
from ablations.core.result import Result
from ablations.core.setting import SPLIT, Setting
from ablations.core.study import Study
from ablations.core.subject import Place
from ablations.core.text import counted, listed
from ablations.core.trial import UNPACKED, Job, Packing, Trial, by_training
from ablations.planning import tuning as searching
from ablations.planning.claims import own_among
from ablations.planning.declare import declare
from ablations.planning.request import Request
from ablations.planning.resources import beside, packing, resources
from ablations.planning.study import make_study
from ablations.records import store
from ablations.records.measures import complete, needed

if TYPE_CHECKING:
    from ablations.analysis.looks import Stage
    from ablations.planning.cost import Paces


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A study ready to run: its trials, those that have a final record, and where a trial runs."""

    request: Request
    study: Study
    trials: tuple[Trial, ...]  # in a sequential study, those that the looks up to the one under way ask for
    finished: tuple[Result, ...] = ()  # the results that need no further try
    place: Place  # where a trial runs
    workers: int  # how many jobs run side by side
    packing: Packing = UNPACKED  # how many trials of a job take turns
    paces: Paces | None = None  # how fast each variant runs here; None: not timed
    every: tuple[Trial, ...] = ()  # all trials of a sequential study, also those that no look may ask for
    stage: Stage | None = None  # how far the looks of a sequential study are
    search: searching.Search | None = None  # the search over learning rates; None: rates are not tuned

    @property
    def missing(self) -> tuple[Job, ...]:
        """The trials that are still to run, one job per training."""
        done = {result.trial.key for result in self.finished}
        return by_training(trial for trial in self.trials if trial.key not in done)

    @property
    def folder(self) -> Path:
        """The absolute path of the study's folder."""
        return (self.request.results / self.study.name).resolve()

    @property
    def tuning_folder(self) -> Path:
        """The folder with the records of the study's tuning, apart from those of its own trials."""
        return self.folder / "tuning"


def make_plan(request: Request) -> Plan:
    """Returns the plan of `request`, after decoding its data if that has not been done yet.

    Raises InputError if the data are not available, or if the study cannot be run as asked or on this machine.
    """
    before, records = store.so_far(request.folder)
    place, workers = _place(request)
    side_by_side = beside(request, place.gpus, workers)
    setting = load(request.subject).setting(request.options, place, before, beside=side_by_side)
    request, setting, allowance, paces = _in_time(request, setting, before, place, workers)
    study, trials = _studied(request, setting, before, records)
    plan = Plan(
        request=request,
        study=replace(study, allowance=allowance),
        trials=trials,
        place=replace(place, declared=study.declared[-1].digest, measures=needed(study)),
        workers=workers,
        paces=paces,
    )
    if request.tune:
        begun = searching.start(study, request.tune)
        plan = after_tuning(replace(plan, study=replace(plan.study, tuning=begun)))
    plan = with_finished(plan)
    packed = packing(request, plan.trials[0], plan.place, any_missing=bool(plan.missing))
    return replace(plan, packing=packed, place=replace(plan.place, turns=packed.at_once))


def _place(request: Request) -> tuple[Place, int]:
    """Returns where a trial runs, and how many run side by side."""
    gpus, workers = resources(request)
    place = Place(
        folder=request.folder.resolve(),
        threads=request.cpus_per_trial,
        gpus=gpus,
        command=request.command,
        options=load(request.subject).place(request.options),
    )
    return place, workers


def _in_time(
    request: Request, setting: Setting, before: Study | None, place: Place, workers: int
) -> tuple[Request, Setting, Any, Paces | None]:
    """Chooses grid, seeds and work to fit the time of --budget, if it was given.

    Returns the request and the setting with that choice, the `Allowance` that records it, and the paces that were timed
    for it.  Without --budget, request and setting stay as they are, and the allowance is that of the study on disk.
    """
    if not request.time:
        return request, setting, before.allowance if before else None, None
    if setting.blocks:
        raise InputError(
            "--budget plans from the time of one trial, and trials take longer on one data set than on another: "
            "give --seeds instead."
        )
    from ablations.planning.time_budget import spend

    request, allowance, paces = spend(request, setting, before, place, workers=workers)
    return request, load(request.subject).with_setting(setting, allowance.work), allowance, paces


def _studied(request: Request, setting: Setting, before: Study | None, records: int) -> tuple[Study, tuple[Trial, ...]]:
    """Returns the study, with its declarations, and its trials.

    Raises InputError if the study cannot be made, or cannot be sequential.
    """
    if request.sequential and setting.replicate == SPLIT:
        raise InputError(
            "--sequential needs seeds that are independent, and the splits of this study overlap: leave it out."
        )
    study, trials = make_study(request, setting)
    if request.sequential and not study.claims:
        raise InputError("--sequential stops what claims have settled, and no claim is about what this study changes.")
    study = replace(study, setting=load(request.subject).with_baseline(setting, request.options, before))
    own = own_among(study.claims, request.claims, request.subject)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    study = declare(study, before, records=records, at=now, anew=own)
    return replace(study, out_of_reach=out_of_reach(study)), trials


def with_finished(plan: Plan) -> Plan:
    """Returns `plan` with the results that need no further try, and prints which records cannot be read.

    In a sequential study its trials become those that the looks up to the one under way ask for.
    """
    every = plan.every or plan.trials
    keys = [trial.key for trial in every] if plan.study.looks else plan.study.keys
    results, problems = store.read_results(plan.folder, keys)
    for problem in problems:
        print(printable(problem), file=sys.stderr)
    measures = needed(plan.study)
    known = {result.trial.key for result in results if complete(result, measures)}
    missing = any(trial.key not in known for trial in plan.trials)
    results = _by_this_code(plan, results, missing=missing)
    if plan.study.looks:
        from ablations.analysis.evidence import Evidence
        from ablations.analysis.looks import stage

        reached = stage(Evidence(study=plan.study, results=results))
        trials = tuple(trial for trial in every if trial.seed < reached.seeds.get(trial.variant.label, 0))
        asked = tuple(trial.key for trial in trials)
        results = [result for result in results if result.trial.key in set(asked)]
        plan = replace(plan, study=replace(plan.study, keys=asked), trials=trials, every=every, stage=reached)
    return replace(plan, finished=tuple(result for result in results if complete(result, measures)))


def next_look(plan: Plan) -> Plan | None:
    """Returns `plan` with the trials that the next look of a sequential study asks for, by the latest records.

    After the last look, and if all claims are settled, nothing is missing.  None for a study without looks.
    """
    return with_finished(plan) if plan.study.looks else None


def after_tuning(plan: Plan) -> Plan:
    """Returns `plan` with its search as far as the records of the tuning bring it.

    If no trial of the tuning is missing, the study and its trials have the chosen rates.  Otherwise the study has no
    keys yet, because they depend on the rates.
    """
    begun = plan.study.tuning
    assert begun
    records, problems = store.read_all(plan.tuning_folder)
    for problem in problems:
        print(printable(problem), file=sys.stderr)
    search = searching.advance(plan.study, plan.trials, begun, records)
    study, trials = plan.study, plan.trials
    if not search.missing:
        study, trials = searching.apply(study, trials, search.tuning)
    untrained = any(not store.trial_path(plan.folder, trial.key).exists() for trial in trials)
    kept = _by_this_code(plan, list(records.values()), missing=untrained)
    if len(kept) < len(records):
        search = searching.advance(plan.study, plan.trials, begun, {result.trial.key: result for result in kept})
    if search.missing:  # the keys of the study's trials are not known before the rates
        return replace(plan, study=replace(plan.study, keys=()), search=search)
    return replace(plan, study=study, trials=trials, search=search)


def _by_this_code(plan: Plan, results: Sequence[Result], *, missing: bool) -> list[Result]:
    """Returns those of `results` that need not be trained again.

    A complete study keeps its results even if another version of the training code made all of them.  `missing` says
    whether trials are still to be trained.  Raises InputError if trials of two versions would be in one study.
    """
    version = load(plan.study.subject).version
    current = [result for result in results if result.training_version == version]
    others = {result.training_version for result in results} - {version}
    if plan.request.retrain or not others:
        return current
    if missing or current or len(others) > 1:
        raise InputError(
            f"study {plan.study.name!r} holds {counted(len(results) - len(current), 'trial')} that version "
            f"{listed(sorted(map(str, others)))} of the training code trained, and this is version {version}: "
            "trials of two versions are never paired. Take another --name, or train the old ones again with --retrain."
        )
    return list(results)


def code_lines(plan: Plan) -> list[str]:
    """Returns a sentence if trials are to be trained by other sources than finished ones were; otherwise nothing."""
    subject = load(plan.study.subject)
    now = subject.digest()
    others = [result for result in plan.finished if result.training_digest != now]
    if not others or not plan.missing:
        return []
    before = listed(sorted({result.training_digest or "not recorded" for result in others}))
    return [
        f"other code: {counted(len(others), 'finished trial')} came from other sources ({before}; now {now}) of the "
        f"same training version, {subject.version}. Equal trials should come out alike; the report marks each effect "
        "that compares the two."
    ]
