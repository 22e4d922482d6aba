"""What a command asks for, ready to run: the study, its data, what is finished, and what is still to do.

Only light modules are imported at the top: data are decoded and torch is imported when a plan is made.
"""

from __future__ import annotations

import datetime
import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ablations.analysis.reach import out_of_reach
from ablations.cli.options import Config, default_name, looks_of, words_of
from ablations.core.errors import InputError, printable
from ablations.core.result import Result
from ablations.core.study import Study
from ablations.core.text import counted, listed
from ablations.core.trial import UNPACKED, Job, Packing, Trial, by_training
from ablations.core.variant import Variant
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec, stored_size
from ablations.planning import tuning
from ablations.planning.claims import own_among, with_own
from ablations.planning.declare import declare
from ablations.planning.grids import RESOLUTIONS
from ablations.planning.resources import packing, resources, room
from ablations.planning.study import Source, make_study, reference
from ablations.records.lineage import TRAINING_VERSION, training_digest
from ablations.records.measures import complete, needed
from ablations.subjects.alexnet.data.catalogue import cache_folder, dataset, note_of
from ablations.subjects.alexnet.data.memory import read_window
from ablations.subjects.alexnet.setting import Budget

if TYPE_CHECKING:
    from ablations.analysis.looks import Stage
    from ablations.planning.alternatives import Make
    from ablations.planning.cost import Pace
    from ablations.subjects.alexnet.data.load import Data


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A study ready to run: its trials, those that have a final record, its data, and what a trial may use."""

    study: Study
    trials: tuple[Trial, ...]
    finished: tuple[Result, ...]
    data: Data
    gpus: float
    workers: int
    packing: Packing = UNPACKED
    make: Make  # another design of the same components
    paces: Mapping[Variant, Pace] | None = None  # of its variants, where they have been timed
    every: tuple[Trial, ...] = ()  # in a sequential study, also those that later looks may ask for
    stage: Stage | None = None  # of its looks
    search: tuning.Search | None = None  # of the learning rates; None where none are tuned

    @property
    def missing(self) -> tuple[Job, ...]:
        """The trials that are still to run, a job for each training."""
        done = {result.trial.key for result in self.finished}
        return by_training(trial for trial in self.trials if trial.key not in done)


def make_plan(config: Config, *, command: str, machines: Sequence[Mapping[str, float]] = ()) -> Plan:
    """The plan of `config`, for a cluster of `machines` if any; decodes its data where that has not been done yet.

    Raises InputError when the data cannot be had or the plan cannot be run here.
    """
    assert config.preset and config.epochs and config.seeds and config.batch_size  # `resolved` has filled them in
    spec = PRESETS[config.preset].spec
    described = dataset(config.dataset)
    image_size = config.image_size or min(spec.image_size, described.native_size or spec.image_size)

    from ablations.records import store
    from ablations.subjects.alexnet.data.load import chance_error_percent, evaluated_labels, load
    from ablations.subjects.alexnet.data.prepare import prepare

    usual = stored_size(spec, image_size)
    size = config.base_size or usual
    budget = Budget(
        epochs=config.epochs,
        train_examples=config.train_examples or 0,
        batch_size=config.batch_size,
        image_size=image_size,
        evaluate_on=config.evaluate_on,
        evaluate_every=config.evaluate_every,
        threshold_percent=config.threshold,
        threshold_every=config.threshold_every,
        stop_at_threshold=config.stop_at_threshold,
        precision=config.precision,
        base_size=size if size != usual else 0,  # the same images have the same keys, whether asked for or not
    )
    source = Source(
        dataset=config.dataset,
        fingerprint="",
        num_classes=described.num_classes or 1,
        channels=described.channels,
        note=printable(note_of(config.dataset)),
    )
    reference_spec = reference(config.preset, source, budget)  # refused before a million images are decoded
    prepared = prepare(config.dataset, data_root=config.data_root, size=size, cache=cache_folder())
    data = load(prepared)
    budget = replace(budget, train_examples=_train_examples(config, data))
    make = functools.partial(
        make_study,
        name=config.name or default_name(config),
        preset=config.preset,
        source=replace(
            source,
            fingerprint=data.fingerprint,
            num_classes=data.num_classes,
            channels=data.channels,
            chance_error_percent=chance_error_percent(evaluated_labels(data, config.evaluate_on)),
        ),
        command=command,
        claims=with_own(config.claims),
        resolution=config.resolution or RESOLUTIONS[0],
    )
    before, records = store.so_far(config.results / (config.name or default_name(config)))
    gpus, workers = resources(config, machines)
    beside = max((room(machine, config.cpus_per_trial, gpus) for machine in machines), default=workers)
    window = read_window(config, data, budget, before, gpus=gpus, workers=beside)
    budget = replace(budget, read_window=window if window < budget.train_examples else 0)
    allowance, paces = before.allowance if before else None, None
    if config.budget:
        from ablations.planning.time_budget import spend

        config, allowance, paces = spend(config, make, budget, data, before, gpus=gpus, workers=workers)
        budget = replace(budget, epochs=allowance.epochs)
    # The same evaluations have the same keys, however they were asked for.
    every = 1 if budget.stop_at_threshold else min(budget.evaluate_every, budget.epochs)
    budget = replace(budget, evaluate_every=every)
    assert config.grid and config.seeds
    words, looks = words_of(config), looks_of(config)
    study, trials = make(grid=config.grid, words=words, seeds=config.seeds, budget=budget, looks=looks)
    if looks and not study.claims:
        raise InputError("--sequential stops what claims have settled, and no claim is about what this study changes.")
    linear = _linear_error(reference_spec, budget, data, prepared, before)
    study = replace(study, allowance=allowance, linear_error_percent=linear)
    make = functools.partial(make, words=["=".join(departure) for departure in study.components])
    own = own_among(study.claims, config.claims)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    study = declare(study, before, records=records, at=now, anew=own)
    images = len(evaluated_labels(data, budget.evaluate_on))
    study = replace(study, out_of_reach=out_of_reach(study, images=images))
    plan = Plan(study=study, trials=trials, finished=(), data=data, gpus=gpus, workers=workers, make=make, paces=paces)
    if config.tune:
        begun = tuning.start(study, config.tune, available=_available(data, "validation"))
        plan = after_tuning(config, replace(plan, study=replace(study, tuning=begun)))
    plan = with_finished(config, plan)
    return replace(plan, packing=packing(config, plan.trials, plan.data, gpus=gpus, any_missing=bool(plan.missing)))


def with_finished(config: Config, plan: Plan) -> Plan:
    """`plan` with the results that need no further try; a record that cannot be read is named."""
    from ablations.records import store

    every = plan.every or plan.trials
    results, problems = store.read_results(
        config.results / plan.study.name, [trial.key for trial in every] if plan.study.looks else plan.study.keys
    )
    for problem in problems:
        print(printable(problem), file=sys.stderr)
    measures = needed(plan.study)
    known = {result.trial.key for result in results if complete(result, measures)}
    missing = any(trial.key not in known for trial in plan.trials)
    results = _by_this_code(config, plan.study, results, missing=missing)
    if plan.study.looks:
        from ablations.analysis.evidence import Evidence
        from ablations.analysis.looks import stage

        reached = stage(Evidence(study=plan.study, results=results))
        trials = tuple(trial for trial in every if trial.seed < reached.seeds.get(trial.variant.label, 0))
        keys = tuple(trial.key for trial in trials)
        results = [result for result in results if result.trial.key in set(keys)]
        plan = replace(plan, study=replace(plan.study, keys=keys), trials=trials, every=every, stage=reached)
    return replace(plan, finished=tuple(result for result in results if complete(result, measures)))


def next_look(config: Config, plan: Plan) -> Plan | None:
    """`plan` with the trials of the next look of a sequential study; None where there is none.

    Says what is settled.
    """
    if not plan.study.looks:
        return None
    from ablations.cli.announce import look_lines as said

    later = with_finished(config, plan)
    assert later.stage
    print(*said(later.study, later.stage), sep="\n", flush=True)
    return later if later.trials != plan.trials else None


def after_tuning(config: Config, plan: Plan) -> Plan:
    """`plan` as far as the records of its tuning bring it: at the chosen rates, or with trials that are missing."""
    from ablations.records import store

    begun = plan.study.tuning
    assert begun
    records, problems = store.read_all(tuning_folder(config, plan.study))
    for problem in problems:
        print(printable(problem), file=sys.stderr)
    search = tuning.advance(plan.study, plan.trials, begun, records)
    study, trials = plan.study, plan.trials
    if not search.missing:
        study, trials = tuning.apply(study, trials, search.tuning)
    untrained = any(not store.trial_path(config.results / study.name, trial.key).exists() for trial in trials)
    kept = _by_this_code(config, study, list(records.values()), missing=untrained)
    if len(kept) < len(records):
        search = tuning.advance(plan.study, plan.trials, begun, {result.trial.key: result for result in kept})
    if search.missing:  # what will run is not known before the rates are
        return replace(plan, study=replace(plan.study, keys=()), search=search)
    return replace(plan, study=study, trials=trials, search=search)


def _by_this_code(config: Config, study: Study, results: Sequence[Result], *, missing: bool) -> list[Result]:
    """Those of `results` that need not be trained again; `missing` says whether other trials are to be trained.

    Raises InputError where trials of two versions of the training code would stand in one study.
    """
    current = [result for result in results if result.training_version == TRAINING_VERSION]
    others = {result.training_version for result in results} - {TRAINING_VERSION}
    if config.retrain or not others:
        return current
    if missing or current or len(others) > 1:
        raise InputError(
            f"study {study.name!r} holds {counted(len(results) - len(current), 'trial')} that version "
            f"{listed(sorted(map(str, others)))} of the training code trained, and this is version {TRAINING_VERSION}: "
            "trials of two versions are never paired. Take another --name, or train the old ones again with --retrain."
        )
    return list(results)


def code_lines(plan: Plan) -> list[str]:
    """A sentence where trials are to be trained by other sources than those that are finished; else nothing."""
    now = training_digest()
    others = [result for result in plan.finished if result.training_digest != now]
    if not others or not plan.missing:
        return []
    before = listed(sorted({result.training_digest or "not recorded" for result in others}))
    return [
        f"other code: {counted(len(others), 'finished trial')} came from other sources ({before}; now {now}) of the "
        f"same training version, {TRAINING_VERSION}. Equal trials should come out alike; the report marks each effect "
        "that compares the two."
    ]


def tuning_folder(config: Config, study: Study) -> Path:
    """Where the records of the study's tuning are, apart from those of its own trials."""
    return (config.results / study.name / "tuning").resolve()


def _linear_error(spec: Spec, budget: Budget, data: Data, prepared: Path, before: Study | None) -> float | None:
    """What trivial learning gives on the images of such trials; that of the study on disk stands, as it was judged by.

    Another machine's rounding may tell one image otherwise.
    """
    from ablations.subjects.alexnet.baseline import linear_error_percent

    if before and before.linear_error_percent is not None:
        seen = ("train_examples", "image_size", "evaluate_on")
        same = all(getattr(before.budget, name) == getattr(budget, name) for name in seen)
        if same and before.fingerprint == data.fingerprint:
            return before.linear_error_percent
    return linear_error_percent(spec, budget, data, prepared)


def _available(data: Data, evaluate_on: str) -> int:
    """Images that can be trained on."""
    from ablations.subjects.alexnet.data.load import held_out

    return len(data.train.labels) - (int(held_out(data.train).sum()) if evaluate_on == "validation" else 0)


def _train_examples(config: Config, data: Data) -> int:
    available = _available(data, config.evaluate_on)
    asked = config.train_examples or available
    if asked > available:
        raise InputError(f"--train-examples {asked} is more than the {available} training images of {config.dataset}.")
    return asked
