"""python -m ablations.run: the composition root, from the command line to the report.

Only light modules are imported at the top, so that --help answers at once.
"""

from __future__ import annotations

import datetime
import functools
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from ablations import tune
from ablations.claims import own_among, with_own
from ablations.config import Config, as_options, check, resolved, words_of
from ablations.data.catalogue import FOLDER, cache_folder, dataset, note_of
from ablations.declare import declare
from ablations.jobs import Job, by_training
from ablations.names import InputError
from ablations.plan import Source, make_study, reference
from ablations.resources import resources
from ablations.types import FINAL, Budget, Result, Study, Trial
from ablations.words import counted
from models.presets import PRESETS
from models.spec import stored_size

if TYPE_CHECKING:
    from ablations.announce import Expected
    from ablations.data.load import Data
    from ablations.designs import Make
    from ablations.execute import Executor
    from ablations.track_mlflow import Guarded
    from ablations.trial import Context


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A study ready to run: its trials, those that have a final record, its data, and what a trial may use."""

    study: Study
    trials: tuple[Trial, ...]
    finished: tuple[Result, ...]
    data: Data
    gpus: float
    workers: int
    make: Make  # another design of the same components
    search: tune.Search | None = None  # of the learning rates; None where none are tuned

    @property
    def missing(self) -> tuple[Job, ...]:
        """The trials that are still to run, a job for each training."""
        done = {result.trial.key for result in self.finished}
        return by_training(trial for trial in self.trials if trial.key not in done)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 a trial failed, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    asked = tyro.cli(Config, args=arguments, prog="python -m ablations.run", config=(tyro.conf.FlagCreatePairsOff,))
    try:
        config, by_grid = resolved(asked)
        check(config)
        plan = make_plan(config, command=shlex.join(["python", "-m", "ablations.run", *arguments]))
        expected = _announce(config, plan, as_options(by_grid))
        return 0 if config.dry_run else run(config, plan, expected)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on where it was", file=sys.stderr)
        return 130


def make_plan(config: Config, *, command: str) -> Plan:
    """The plan of `config`; decodes its data where that has not been done yet.

    Raises InputError when the data cannot be had or the plan cannot be run here.
    """
    assert config.preset and config.epochs and config.seeds  # `resolved` has filled them in
    spec = PRESETS[config.preset].spec
    described = dataset(config.dataset)
    image_size = config.image_size or min(spec.image_size, described.native_size or spec.image_size)

    from ablations import store
    from ablations.data.load import chance_error_percent, evaluated_labels, load
    from ablations.data.prepare import prepare

    usual = stored_size(spec, image_size)
    size = config.base_size or usual
    budget = Budget(
        epochs=config.epochs,
        train_examples=config.train_examples or 0,
        batch_size=config.batch_size,
        image_size=image_size,
        evaluate_on=config.evaluate_on,
        threshold_percent=config.threshold,
        threshold_every=config.threshold_every,
        stop_at_threshold=config.stop_at_threshold,
        base_size=size if size != usual else 0,  # the same images have the same keys, whether asked for or not
    )
    source = Source(
        dataset=config.dataset,
        fingerprint="",
        num_classes=described.num_classes or 1,
        channels=described.channels,
        note=note_of(config.dataset),
    )
    reference(config.preset, source, budget)  # refused before a million images are decoded
    data = load(prepare(config.dataset, data_root=config.data_root, size=size, cache=cache_folder()))
    budget = replace(budget, train_examples=_train_examples(config, data))
    make = functools.partial(
        make_study,
        name=config.name or "-".join([config.grid, _slug(config.dataset), config.preset]),
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
    )
    study, trials = make(grid=config.grid, words=words_of(config), seeds=config.seeds, budget=budget)
    make = functools.partial(make, words=["=".join(departure) for departure in study.components])
    before, records = store.so_far(config.results / study.name)
    own = own_among(study.claims, config.claims)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    study = declare(study, before, records=records, at=now, anew=own)
    gpus, workers = resources(config)
    plan = Plan(study=study, trials=trials, finished=(), data=data, gpus=gpus, workers=workers, make=make)
    if config.tune:
        begun = tune.start(study, config.tune, available=_available(data, "validation"))
        plan = _after_tuning(config, replace(plan, study=replace(study, tuning=begun)))
    return _with_finished(config, plan)


def _with_finished(config: Config, plan: Plan) -> Plan:
    """`plan` with the results that need no further try; a record that cannot be read is named."""
    from ablations import store

    results, problems = store.read_results(config.results / plan.study.name, plan.study.keys)
    for problem in problems:
        print(problem, file=sys.stderr)
    return replace(plan, finished=tuple(result for result in results if result.status in FINAL))


def _after_tuning(config: Config, plan: Plan) -> Plan:
    """`plan` as far as the records of its tuning bring it: at the chosen rates, or with trials that are missing."""
    from ablations import store

    begun = plan.study.tuning
    assert begun
    records, problems = store.read_all(_tuning_folder(config, plan.study))
    for problem in problems:
        print(problem, file=sys.stderr)
    search = tune.advance(plan.study, plan.trials, begun, records)
    if search.missing:  # what will run is not known before the rates are
        return replace(plan, study=replace(plan.study, keys=()), search=search)
    study, trials = tune.apply(plan.study, plan.trials, search.tuning)
    return replace(plan, study=study, trials=trials, search=search)


def _tuning_folder(config: Config, study: Study) -> Path:
    return (config.results / study.name / "tuning").resolve()


def _slug(name: str) -> str:
    return Path(name.removeprefix(FOLDER)).resolve().name


def _available(data: Data, evaluate_on: str) -> int:
    """Images that can be trained on."""
    from ablations.data.load import held_out

    return len(data.train.labels) - (int(held_out(data.train).sum()) if evaluate_on == "validation" else 0)


def _train_examples(config: Config, data: Data) -> int:
    available = _available(data, config.evaluate_on)
    asked = config.train_examples or available
    if asked > available:
        raise InputError(f"--train-examples {asked} is more than the {available} training images of {config.dataset}.")
    return asked


def _announce(config: Config, plan: Plan, by_grid: str) -> Expected:
    from ablations.announce import announce

    return announce(
        plan.study,
        plan.trials,
        plan.missing,
        plan.data,
        workers=plan.workers,
        threads=config.cpus_per_trial,
        gpus=plan.gpus,
        memory_budget=config.memory_budget,
        full=config.dry_run,
        finished=plan.finished,
        by_grid=by_grid,
        search=plan.search,
        make=plan.make,
    )


def run(config: Config, plan: Plan, expected: Expected) -> int:
    """Trains what has no record yet, mirrors it to MLflow, writes the report; 1 when a trial failed."""
    from ablations import store
    from ablations.progress import Progress

    folder = (config.results / plan.study.name).resolve()
    store.write_study(folder, plan.study)
    if plan.search and plan.search.missing:
        plan, failed = _tune(config, plan, plan.search, expected.tuning)
        if failed:
            return 1
        store.write_study(folder, plan.study)
    mirror = _mirror(config, plan.study, plan.finished)
    with Progress(
        len(plan.trials),
        already=len(plan.finished),
        trainings=len(plan.missing),
        epochs=plan.study.budget.epochs,
        evaluate_on=plan.study.budget.evaluate_on,
        expected=expected.study,
        then=mirror.trial if mirror else lambda result: None,
    ) as progress:
        if plan.missing:
            _executor(config, plan)(plan.missing, _context(config, plan, folder), progress)
    return _finish(config, plan.study, folder, mirror)


def _tune(config: Config, plan: Plan, search: tune.Search, seconds: float) -> tuple[Plan, int]:
    """The plan at the rates that its tuning chose, and how many tuning trials failed: then none was chosen."""
    from ablations.progress import Progress

    folder, budget = _tuning_folder(config, plan.study), search.tuning.budget
    total = search.tuning.trials * len(tune.arms(plan.study, plan.trials))
    with Progress(
        total,
        already=total - search.left,
        trainings=search.left,
        epochs=budget.epochs,
        evaluate_on=budget.evaluate_on,
        expected=seconds,
        then=lambda result: None,
    ) as progress:
        while search.missing:
            asked = search.missing
            context = replace(_context(config, plan, folder), predictions=False)  # nobody asks for them
            _executor(config, plan)(by_training(asked), context, progress)
            plan = _after_tuning(config, plan)
            assert plan.search
            search = plan.search
            if failed := len({*asked} & {*search.missing}):
                print(f"{counted(failed, 'tuning trial')} failed; the same command tries again", file=sys.stderr)
                return plan, failed
    print("\n".join(tune.said(search.tuning)), flush=True)
    return _with_finished(config, plan), 0


def _context(config: Config, plan: Plan, folder: Path) -> Context:
    from ablations.trial import Context

    return Context(
        folder=folder,
        cache=cache_folder(),
        data_root=config.data_root and config.data_root.resolve(),
        base=Path.cwd(),
        threads=config.cpus_per_trial,
        gpus=plan.gpus,
        memory_budget=config.memory_budget,
        command=plan.study.command,
        declared=plan.study.declared[-1].digest,
    )


def _executor(config: Config, plan: Plan) -> Executor:
    if config.executor == "serial":
        from ablations.execute import serial

        return serial
    from ablations.execute_ray import RayExecutor

    return RayExecutor(cpus_per_trial=config.cpus_per_trial, gpus_per_trial=plan.gpus, address=config.ray_address)


def _mirror(config: Config, study: Study, finished: Sequence[Result]) -> Guarded | None:
    """The MLflow view, with what was finished before already in it; None with --no-mlflow."""
    if config.no_mlflow:
        return None
    from ablations.track_mlflow import connect, default_uri

    uri = config.mlflow_uri or default_uri(config.results)
    mirror = connect(uri, study, artifacts=(config.results / "mlflow").resolve(), results=config.results)
    for result in finished:
        mirror.trial(result)
    return mirror


def _finish(config: Config, study: Study, folder: Path, mirror: Guarded | None) -> int:
    from ablations import report, store
    from ablations.evidence import Evidence

    _, results, problems = store.read(folder)
    store.write_table(folder, study, results)
    evidence = Evidence(study=study, results=results, problems=problems, folder=folder)
    html, markdown = report.write(report.compose(evidence), config.reports / study.name)
    if mirror:
        mirror.report(config.reports / study.name, evidence)
    print(f"\n{report.terminal_lines(evidence)}\n")
    print(f"report: {html}\n        {markdown}\nrecords: {folder}")
    if mirror and mirror.directions:
        print(f"MLflow: {mirror.directions}")
    failed = [result for result in results if result.status not in FINAL]
    if failed:
        print(f"{len(failed)} trials failed; the same command tries them again", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
