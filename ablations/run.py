"""python -m ablations.run: runs a study, from the command line to the report; it connects the rooms.

Only light modules are imported at the top, so that --help answers at once.
"""

from __future__ import annotations

import contextlib
import math
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from ablations.cli.arguments import parsed
from ablations.cli.help_page import Example, asks_for_help, page, show
from ablations.cli.options import (
    Config,
    as_options,
    check,
    default_name,
    options_of,
    request_of,
    resolved,
    subject_among,
    with_subject,
)
from ablations.core.errors import StoppedError, answered
from ablations.core.labels import short_names
from ablations.core.load import is_file, load
from ablations.core.result import DONE, FINAL
from ablations.core.secrets import without_password
from ablations.core.text import counted, last_line
from ablations.core.trial import by_training
from ablations.execution.turns import packed
from ablations.planning.plan import Plan, after_tuning, code_lines, make_plan, next_look, with_finished
from ablations.planning.request import Request, UntimedError
from ablations.records import store
from ablations.records.lock import alone
from ablations.records.measures import lacking, needed
from ablations.reporting.formats import formats_of

# A worker counts as hanging if it sends no message for 20 times the seconds of a whole training, and 600 s at least.
PATIENCE, LEAST_PATIENCE = 20, 600.0

EXAMPLES: Sequence[Example] = (
    ("python -m ablations.run --dry-run", "what it would train, for how long, and what that can tell"),
    ("python -m ablations.run --budget 30m", "the design, seeds and epochs that fit into half an hour"),
    ("python -m ablations.run --components lrn,activation=tanh --seeds 5", "two changes, five trainings of each"),
    ("python -m ablations.run --dataset cifar10 --preset cifar --epochs 30", "a larger network, on larger images"),
    ("python -m ablations.run study.py --seeds 10", "a study file of your own: python -m ablations.new study.py"),
    ("python -m ablations.show components", "what can be changed; also grids, presets, datasets, claims"),
)
OF_A_FILE = (
    ("--dry-run", "what it would train, and what that can tell"),
    ("--seeds 10", "every change beside the reference, ten trainings of each"),
    ("--budget 30m", "the design and the seeds that fit into half an hour"),
)

if TYPE_CHECKING:
    from ablations.execution.executor import Executor
    from ablations.planning.tuning import Search
    from ablations.tracking.background import View


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a study.  Returns the exit code: 0 done, 1 a trial failed, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return answered(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    flags = (tyro.conf.FlagCreatePairsOff,)
    words = with_subject(arguments)
    subject = subject_among(words)
    options = options_of(subject)
    if asks_for_help(words):
        show_help(options, subject)
        return 0
    asked = parsed(options, words, prog="python -m ablations.run", config=flags)
    # Each word is cleaned by itself, so that a password ends with its word.
    command = shlex.join(["python", "-m", "ablations.run", *map(without_password, arguments)])
    config, by_grid = resolved(asked)
    check(config)
    with contextlib.ExitStack() as until_the_end:
        if not config.dry_run:  # the lock is taken before the plan is made, so that no other run changes the records
            folder = config.results / (config.name or default_name(config))
            until_the_end.enter_context(alone(folder, command))
        machines = until_the_end.enter_context(_cluster(config))
        plan = _planned(config, request_of(config, command=command, machines=machines))
        if config.dry_run:  # a run is refused when it writes its plan
            store.check_extends(plan.folder, plan.study, retrain=plan.request.retrain)
        from ablations.cli.announce import announce, expect, in_short

        brief = config.dry_run and not config.power
        if not brief:
            announce(plan, full=config.power, by_grid=as_options(by_grid))
        for line in code_lines(plan):
            print(line, flush=True)
        if brief:
            in_short(plan, by_grid=as_options(by_grid))
        elif config.power:
            expect(plan, full=True)
        return 0 if config.dry_run else run(config, plan)


def show_help(options: type, subject: str) -> None:
    """Prints the help page of a subject, to which a study file adds its title and its fields."""
    more = dict(load(subject).help())
    prog, examples = "python -m ablations.run [STUDY_FILE]", EXAMPLES
    if is_file(subject):
        prog = f"python -m ablations.run {Path(subject).name}"
        examples = tuple((f"{prog} {words}", what) for words, what in OF_A_FILE)
    show(page(options, prog, summary=more.pop("", ""), more=more, examples=examples))


def _planned(config: Config, request: Request) -> Plan:
    """Returns the plan, after one trial if --budget must time one first.  Raises StoppedError if that trial fails."""
    try:
        return make_plan(request)
    except UntimedError as untimed:
        if config.dry_run:
            raise
        trial, place = untimed.trial, untimed.place
    from ablations.execution.worker import run_job

    print("timing    one trial of the reference, since it is not known yet how long a trial takes", flush=True)
    (result,) = run_job((trial,), place)
    if result.status != DONE:
        reason = f"{result.status}: {last_line(result.error)}"
        raise StoppedError(f"the trial that --budget was to be timed by failed ({reason})")
    return make_plan(request)


def _cluster(config: Config) -> contextlib.AbstractContextManager[list[dict[str, float]]]:
    """Joins the cluster that --ray-address names, and yields what its machines have; [] if there is none."""
    if not config.ray_address:
        return contextlib.nullcontext([])
    from ablations.execution.ray_cluster import joined

    wanted = {"CPU": float(config.cpus_per_trial), "GPU": config.gpus_per_trial or 0.0}
    return joined(config.ray_address, wait_for=wanted if config.autoscaling else None)


def run(config: Config, plan: Plan) -> int:
    """Trains what has no record, mirrors it to MLflow and writes the report.  Returns 1 if a trial failed, else 0."""
    from ablations.cli.announce import expect

    with contextlib.ExitStack() as until_the_end:
        with _workers(config, plan) as ready:
            expected = expect(plan, full=False)
            store.write_study(plan.folder, plan.study, retrain=plan.request.retrain)
            _keep(plan)
            ready()
            if plan.search and plan.search.missing:
                plan, failed = _tune(config, plan, plan.search, expected.tuning)
                if failed:
                    return 1
                store.write_study(plan.folder, plan.study, retrain=plan.request.retrain)
            mirror = _mirror(config, plan)
            if mirror:
                until_the_end.enter_context(mirror)
            plan = _train(config, plan, mirror, expected.study)
        return _finish(config, plan, mirror)


def _keep(plan: Plan) -> None:
    """Keeps what reports need beside the records: the files that decide the trials, and a picture of what they get."""
    from ablations.records.recorded import keep_sources
    from ablations.reporting.samples import write_samples

    keep_sources(plan.folder, plan.study)
    if found := load(plan.study.subject).samples(plan.study, plan.place):
        write_samples(plan.folder, found)


def _workers(config: Config, plan: Plan) -> contextlib.AbstractContextManager[Callable[[], object]]:
    """Starts one Ray for all rounds of tuning and all looks, since each start takes seconds; none if none is needed.

    It starts while the variants are timed.  The context yields a function that waits until it is up.
    """
    if config.executor == "serial" or not (plan.missing or (plan.search and plan.search.missing)):
        return contextlib.nullcontext(lambda: None)
    from ablations.execution.ray_cluster import started

    return started()


def _train(config: Config, plan: Plan, mirror: View | None, seconds: float) -> Plan:
    """Trains all trials, look by look in a sequential study.  Returns the plan of the last look."""
    from ablations.cli.progress import Progress
    from ablations.cli.stages import look_lines
    from ablations.execution.alike import Alike

    a_job = seconds / max(len(plan.missing), 1)
    while True:
        with Progress(
            len(plan.trials),
            already=len(plan.finished),
            trainings=len(plan.missing),
            setting=plan.study.setting,
            names=short_names(plan.study),
            expected=a_job * len(plan.missing),
            first=mirror.open if mirror else None,
            then=mirror.trial if mirror else None,
        ) as progress:
            if plan.missing:
                executor = _executor(config, plan, _alone(a_job, len(plan.missing), plan))
                jobs = plan.missing
                watch = Alike(progress, total=sum(map(len, jobs)), worked=bool(plan.finished))
                executor(packed(jobs, at_once=plan.packing.at_once, workers=plan.workers), plan.place, watch)
                print(end=progress.advice(config.executor), flush=True)
        later = next_look(plan)
        if later is None:
            return plan
        assert later.stage
        print(*look_lines(later.study, later.stage), sep="\n", flush=True)
        if later.trials == plan.trials:
            return plan
        plan = later
        store.write_study(plan.folder, plan.study, retrain=plan.request.retrain)


def _tune(config: Config, plan: Plan, search: Search, seconds: float) -> tuple[Plan, int]:
    """Searches learning rates.  Returns the plan with them, and how many trials failed: if any did, none is chosen."""
    from ablations.cli.progress import Progress
    from ablations.cli.stages import tuning_lines
    from ablations.execution.alike import Alike
    from ablations.records.checkpoint import sweep

    # Predictions and activities of trials that choose a rate have no use.
    place = replace(plan.place, folder=plan.tuning_folder, predictions=False, measures=())
    with Progress(
        search.total,
        already=search.total - search.left,
        trainings=search.left,
        setting=search.tuning.setting,
        names=short_names(plan.study),
        expected=seconds,
    ) as progress:
        while search.missing:
            asked = search.missing
            each = _alone(seconds / max(search.left, 1), len(asked), plan)
            watch = Alike(progress, total=len(asked), worked=search.left < search.total)
            jobs = packed(by_training(asked), at_once=plan.packing.at_once, workers=plan.workers)
            _executor(config, plan, each)(jobs, place, watch)
            plan = after_tuning(plan)
            assert plan.search
            search = plan.search
            if failed := len({*asked} & {*search.missing}):
                print(f"{counted(failed, 'tuning trial')} failed; the same command tries again", file=sys.stderr)
                return plan, failed
    sweep(plan.tuning_folder, ())
    print("\n".join(tuning_lines(search.tuning, short_names(plan.study))), flush=True)
    return with_finished(plan), 0


def _alone(seconds: float, trainings: int, plan: Plan) -> float:
    """Returns the seconds of one training from start to end, if each adds `seconds` to a study of `trainings`."""
    return seconds * max(1, min(plan.workers, trainings)) * plan.packing.at_once


def _executor(config: Config, plan: Plan, seconds: float) -> Executor:
    """Returns the executor for trainings that take about `seconds` each; 0 if that is not known."""
    if config.executor == "serial":
        from ablations.execution.executor import serial

        return serial
    from ablations.execution.ray_executor import RayExecutor

    usual = max(LEAST_PATIENCE, PATIENCE * seconds) if seconds else math.inf
    return RayExecutor(
        cpus_per_trial=config.cpus_per_trial,
        gpus_per_trial=plan.place.gpus,
        patience=config.timeout * 60 if config.timeout else usual,
        growing=config.autoscaling,
    )


def _mirror(config: Config, plan: Plan) -> View | None:
    """Returns the MLflow view, which is not opened yet; None with --no-mlflow."""
    if config.no_mlflow:
        return None
    from ablations.tracking.background import View

    return View(
        config.mlflow_uri or "",
        plan.study,
        results=config.results,
        finished=plan.finished,
        system_metrics=config.mlflow_system_metrics,
    )


def _finish(config: Config, plan: Plan, mirror: View | None) -> int:
    """Prints the answer, writes tables and report, mirrors them, and names what is missing.  Returns the exit code."""
    from ablations.analysis.averages import write_averages
    from ablations.analysis.tables import write_table
    from ablations.analysis.verdicts import Findings
    from ablations.records.checkpoint import kept_name, sweep
    from ablations.reporting.pages import write_as
    from ablations.reporting.terminal import terminal_lines

    study, folder, report = plan.study, plan.folder, config.reports / plan.study.name
    _, results, problems = store.read(folder)
    write_table(folder, study, results)
    evidence = Findings(study=study, results=results, problems=problems, folder=folder)
    # The answer is printed first, so that it is there even if a figure then fails.
    print(f"\n{terminal_lines(evidence)}\n", flush=True)
    paths = write_as(formats_of(config.format), evidence, report)
    write_averages(folder, evidence.averages)
    print("report: " + "\n        ".join(map(str, paths)) + f"\nrecords: {folder}", flush=True)
    failed = [result for result in results if result.status not in FINAL]
    absent = {trial.key for trial in plan.trials} - {result.trial.key for result in results}
    unmeasured = [result for result in results if lacking(result, needed(study))]
    kept = {name for result in unmeasured for name in (result.trial.training.key, kept_name(result.trial.key))}
    sweep(folder, {result.trial.training.key for result in failed} | kept)
    if mirror:
        from ablations.reporting.front import front
        from ablations.tracking.fields import Front

        mirror.report(report, evidence, Front(*front(evidence, report)))
        if mirror.directions:
            print(f"MLflow: {mirror.directions}")
    if failed:
        print(f"{counted(len(failed), 'trial')} failed; the same command tries again", file=sys.stderr)
    if absent:
        print(f"{counted(len(absent), 'trial')} without a record; the same command goes on", file=sys.stderr)
    if unmeasured:
        what = counted(len(unmeasured), "trained reference")
        print(f"{what} could not be measured to its end; the same command measures it", file=sys.stderr)
    return 1 if failed or absent or unmeasured else 0


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # SIGTERM, from a batch system or from `kill`, stops a study as cleanly as Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    # So does the end of the terminal, unless nohup made this process ignore it.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)
    sys.exit(main())
