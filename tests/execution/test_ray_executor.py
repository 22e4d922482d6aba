"""Ray Tune, the real one: equal to the serial executor, nothing lost, extra components found."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from ablations.core.errors import InputError, StoppedError
from ablations.core.result import DONE, ERROR, Result
from ablations.core.subject import Place, Report
from ablations.core.trial import UNPACKED, Job, Trial, by_training
from ablations.execution import ray_cluster, ray_executor
from ablations.execution.allocator import ENVIRONMENT
from ablations.execution.executor import serial
from ablations.execution.ray_executor import RayExecutor, _Deliver
from ablations.execution.turns import packed
from ablations.execution.worker import run_job
from ablations.records.store import read, read_results
from ablations.run import _alone, _executor, main
from ablations.subjects.alexnet import registry
from tests.conftest import Collect, Planner, free_port, hears, without_times
from tests.making import config_from, with_budget

pytestmark = pytest.mark.slow

ONE_CPU = RayExecutor(cpus_per_trial=1, gpus_per_trial=0)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A study that Ray ran, and what was seen of it."""

    trials: tuple[Trial, ...]
    folder: Path
    watch: Collect
    alone: Collect  # the same trials, each trained by itself without Ray
    kept: list[dict[str, object]]  # by Tune, of each of its trials
    handlers: tuple[Any, Any]  # of SIGINT, before and after
    environments: list[str]  # of the worker that took a job, when it started


@pytest.fixture(scope="module")
def ran(plan: Planner, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Run once, with a component that only its workers import: a Ray takes ten seconds to start."""
    folder, environments = (tmp_path_factory.mktemp(name) for name in ("ran", "environments"))
    kept: list[dict[str, object]] = []

    class Deliver(_Deliver):
        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            kept.append(trial.last_result)

    def run(job: Job, place: Place, *, report: Report) -> Iterator[Result]:
        (environments / job[0].key).write_text(Path("/proc/self/environ").read_text())
        return run_job(job, place, report=report)

    _, trials = plan(words=["ten_view", "lrn"], grid="pairs", seeds=2)
    watch, alone = Collect(), Collect()
    options = {"cache": str(cache), "data_root": None, "base": str(Path.cwd()), "memory_budget": None}
    place = Place(folder=folder / "ray", command="a test", options=options)
    with pytest.MonkeyPatch.context() as patch:
        extra_component(folder, patch)
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(ray_executor, "_Deliver", Deliver)
            before = signal.getsignal(signal.SIGINT)
            replace(ONE_CPU, run=run)(by_training(trials), place, watch)
            after = signal.getsignal(signal.SIGINT)
        serial([(trial,) for trial in trials], replace(place, folder=folder / "serial"), alone)
    yield Ran(
        trials=trials,
        folder=place.folder,
        watch=watch,
        alone=alone,
        kept=kept,
        handlers=(before, after),
        environments=[path.read_text() for path in environments.iterdir()],
    )


def test_trainings_that_are_shared_on_ray_give_the_results_of_separate_serial_ones(ran: Ran) -> None:
    by_key = {result.trial.key: result for result in ran.watch.results}
    assert len(by_key) == len(ran.trials) == 14
    assert ran.watch.begun == ran.alone.begun == 1  # once, however many workers there are
    # Each of the ten trainings reported its two epochs once.
    assert len(ran.watch.epochs) == len(set(ran.watch.epochs)) == 10 * 2
    assert set(ran.watch.epochs) < set(ran.alone.epochs)
    for result in ran.alone.results:
        assert result.status == DONE, result.error
        found = without_times(by_key[result.trial.key].to_dict())
        assert {**found, "trained_with": ""} == without_times(result.to_dict())
    # Each worker wrote what it ran, and Tune left nothing of its own.
    assert read_results(ran.folder, by_key)[1] == []
    assert {path.name for path in ran.folder.iterdir()} == {"predictions", "trials", "unfinished"}
    assert not list((ran.folder / "unfinished").iterdir())  # the references that waited to be measured are


def test_tune_keeps_nothing_of_what_a_trial_reports(ran: Ran) -> None:
    assert len(ran.kept) == len(by_training(ran.trials)) == 10
    # A number in what is left would get a history for each trial.
    assert all("key" in one and not {"row", "record", "predictions"} & set(one) for one in ran.kept)


def test_a_study_that_no_worker_comes_up_for_says_so_once(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    waits, works = (_Deliver(by_training(plan()[1]), place, Collect()) for _ in range(2))
    works.on_trial_result(0, [], SimpleNamespace(trial_id="one"), {"worker": ("here", 1)})
    for now[0] in (0.1, ray_executor.SILENT - 1, ray_executor.SILENT + 1, ray_executor.SILENT + 2):
        waits.on_step_end(0, [])
        works.on_step_end(0, [])
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said] == ["no worker has started in 2 min"]


COMPONENT = """
import os, signal
from dataclasses import replace
from ablations.subjects.alexnet.registry import register
from ablations.subjects.alexnet.component import Activity, Component

def measure(probe):
    if os.environ.get("KILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    return 42.0

register(Component(
    name="extra",
    reference="none",
    levels={"on": lambda spec: replace(spec, momentum=0.5)},
    summary="a component of somebody else's",
    source="a test",
    activity=Activity(measure=measure, unit="answers"),
))
"""


def extra_component(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A component in a folder of its own, which the environment names."""
    # What it adds to the registry of this process goes with the test.
    patch.setattr(registry, "_COMPONENTS", dict(registry.components()))
    patch.setattr(registry, "_LOADED", set(registry._LOADED))
    (folder / "components").mkdir()
    (folder / "components" / "extra.py").write_text(COMPONENT)
    patch.setenv("ABLATIONS_COMPONENTS", str(folder / "components"))


@pytest.fixture
def extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The component, for a test."""
    extra_component(tmp_path, monkeypatch)


def test_a_worker_finds_the_components_of_a_folder_that_the_driver_never_imported(ran: Ran) -> None:
    references = [result for result in ran.watch.results if not result.trial.variant.departures]
    assert [result.activity["extra"] for result in references] == [42.0, 42.0]


def test_a_worker_that_is_killed_costs_its_own_trial_and_no_other(
    extra: None, plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILL", "1")  # references measure activity, and die of it

    def dying(job: Job, place: Place, *, report: Report) -> Iterator[Result]:
        def last(trial: Trial, row: Mapping[str, float]) -> None:
            if trial.variant.label == "-lrn":  # dies in its training
                os.kill(os.getpid(), signal.SIGKILL)
            report(trial, row)

        return run_job(job, place, report=last)

    _, trials = plan()
    watch = Collect()
    replace(ONE_CPU, run=dying)(by_training(trials), place, watch)
    found = {result.trial.variant.label: result for result in watch.results}
    statuses = {label: result.status for label, result in found.items()}
    controls = dict.fromkeys(("mild_sabotage=twentieth", "placebo=salted", "sabotage=half"), DONE)
    assert statuses == {"reference": DONE, "-lrn": ERROR, **controls}
    assert "the worker was lost" in found["-lrn"].error
    assert len(found["-lrn"].provenance["tries_before"]) == 2
    # Trained and evaluated before it was killed: that is on disk by then, and kept.
    assert found["reference"].notes == ("activities were not measured: the process ended before that",)
    assert found["reference"].metrics and not found["reference"].activity
    assert len(read_results(place.folder, [trial.key for trial in trials])[0]) == 5


def test_a_pack_that_is_killed_costs_a_try_of_the_trials_that_had_not_ended_and_of_no_other(
    extra: None, plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILL", "1")
    _, (reference, *others) = plan()
    # The third's epochs are not over when the reference, whose turns come first, measures and dies of it.
    longer = with_budget(others[1], epochs=9)
    later = with_budget(reference, epochs=3)
    trials = (later, others[0], longer, others[2])
    watch = Collect()
    ONE_CPU(packed(by_training(trials), at_once=4, workers=1), replace(place, turns=4), watch)
    assert len(watch.results) == 4
    by_key = {result.trial.key: result for result in watch.results}
    assert {result.status for result in watch.results} == {DONE}
    # The one that had not ended has ended when it was tried again, by itself.
    (lost,) = by_key[longer.key].provenance["tries_before"]
    assert lost.startswith("error: the worker was lost: a signal ended it")
    assert not any("tries_before" in by_key[trial.key].provenance for trial in (later, others[0], others[2]))


def test_more_processors_than_we_count_are_refused_in_one_sentence(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "cores_here", lambda: 3)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # of a cluster that was not asked for
    _, trials = plan()
    with pytest.raises(ValueError, match=r"--cpus-per-trial 4 is more than the 3 that Ray has\."):
        RayExecutor(cpus_per_trial=4, gpus_per_trial=0)(by_training(trials), place, Collect())


class Machines:
    """A Ray cluster under 127.0.0.1:`port`, whose machines are all this one; each is started by `add`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.started: list[subprocess.Popen[bytes]] = []

    def add(self, *has: str) -> None:
        """A machine that has what these words of `ray start` say; the first is the head."""
        head = ["--head", "--port", str(self.port), "--include-dashboard", "false", "--temp-dir", str(self.folder)]
        more = ["--address", f"127.0.0.1:{self.port}"] if self.started else head
        environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
        command = [str(Path(sys.executable).parent / "ray"), "start", "--block", *has, *more]
        log = self.folder / "log"
        with log.open("a") as out:
            self.started.append(
                subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
            )
        deadline = time.monotonic() + 120
        while log.read_text().count("Ray runtime started") < len(self.started):
            assert time.monotonic() < deadline and self.started[-1].poll() is None, log.read_text()
            time.sleep(0.2)


def until_seen_by(count: int, folder: Path) -> Any:
    """What a worker does: as `run_job`, when so many machines have a job; each leaves its name in `folder`."""

    def run(job: Job, place: Place, *, report: Report) -> Iterator[Result]:
        (folder / f"seen-{ray.get_runtime_context().get_node_id()}").touch()
        deadline = time.monotonic() + 120
        while len(list(folder.glob("seen-*"))) < count:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return run_job(job, place, report=report)

    return run


@contextlib.contextmanager
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """`Machines` without any, whose workers find this repository as if it were installed; they go at the end."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        machines = Machines(Path(folder), free_port())
        try:
            yield machines
        finally:
            for process in machines.started:
                os.killpg(process.pid, signal.SIGTERM)
            for process in machines.started:
                process.wait(60)


def test_trials_run_on_both_machines_of_a_cluster_and_leave_it_running(
    tmp_path: Path, plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The whole command through a cluster: tests/execution/test_clusters.py.
    both = until_seen_by(2, tmp_path)
    with cluster(monkeypatch) as made:
        made.add("--num-cpus", "1")
        made.add("--num-cpus", "1")
        address = f"127.0.0.1:{made.port}"
        watch, before = Collect(), signal.getsignal(signal.SIGTERM)
        with ray_cluster.joined(address) as machines:
            assert [machine["CPU"] for machine in machines] == [1, 1]
            assert signal.getsignal(signal.SIGTERM) == before
            replace(ONE_CPU, run=both)(by_training(plan()[1]), place, watch)
        with ray_cluster.joined(address) as machines:  # it is still there
            assert [machine["CPU"] for machine in machines] == [1, 1]
    assert len(list(tmp_path.glob("seen-*"))) == 2
    assert {one.status for one in watch.results} == {DONE}


def test_a_head_with_nothing_waits_for_a_machine_with_gpus_and_gives_each_trial_one(
    blobs: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))
    with cluster(monkeypatch) as made:
        made.add("--num-cpus", "0", "--num-gpus", "0")
        command = ["--subject", "tests.toy:ON_GPUS", "--name", "gpus", "--seeds", "2", "--no-mlflow"]
        command += ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
        command += ["--ray-address", f"127.0.0.1:{made.port}", "--gpus-per-trial", "1"]
        assert main(command) == 2
        assert "no machine of the cluster has a GPU" in capsys.readouterr().err
        waits = [sys.executable, "-m", "ablations.run", *command, "--autoscaling"]
        with subprocess.Popen(waits, stdout=subprocess.PIPE, text=True, preexec_fn=hears(signal.SIGINT)) as waiting:  # noqa: PLW1509
            try:
                assert waiting.stdout
                assert waiting.stdout.readline().startswith(
                    "waiting   for the cluster to start a machine with 1 processors and 1 GPUs"
                )
                waiting.send_signal(signal.SIGINT)
                assert waiting.wait(60) == 130
            finally:
                waiting.kill()

        wait = ray.wait

        def comes(*asked: Any, **how: Any) -> Any:
            if len(made.started) == 1:
                made.add("--num-cpus", "2", "--num-gpus", "2")
            return wait(*asked, **how)

        monkeypatch.setattr(ray, "wait", comes)
        assert main([*command, "--autoscaling"]) == 0
        said = capsys.readouterr().out
        # AlexNet, too, is planned where there is no GPU: nothing is timed.
        asked = ["--dataset", f"folder:{blobs}", "--image-size", "16", "--dry-run", *command[-4:-2]]
        assert main(asked) == 0
        planned = capsys.readouterr().out
        # More is asked for than there is place for, so a machine that comes later is used.
        trials = [one.trial for one in read(tmp_path / "results" / "gpus")[1]][:3]
        growing = replace(ONE_CPU, gpus_per_trial=1, growing=True, run=until_seen_by(2, tmp_path))
        with ray_cluster.joined(f"127.0.0.1:{made.port}"), ThreadPoolExecutor(1) as beside:
            coming = beside.submit(made.add, "--num-cpus", "1", "--num-gpus", "1")
            growing([(trial,) for trial in trials], Place(folder=tmp_path / "again", gpus=1.0), watch := Collect())
            coming.result()
    assert [one.status for one in watch.results] == [DONE] * 3
    assert not any("tries_before" in one.provenance for one in watch.results)  # nor only when a first try had failed
    where = "only other machines have a GPU that steps could be timed on; 2 at a time on GPUs"
    assert said.startswith("waiting ") and where in said and where in planned
    _, results, problems = read(tmp_path / "results" / "gpus")
    assert not problems and {one.status for one in results} == {DONE}
    assert {one.extras["visible"] for one in results} <= {"0", "1"}  # one of the two, and never both
    assert {(one.extras["held"], one.provenance["device"]) for one in results} == {("1.0", "cuda")}


def test_a_ray_that_cannot_be_started_or_joined_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**options: object) -> None:
        raise ConnectionError("Failed to connect.") from RuntimeError("Traceback:\nWrongToken: what token?\n")

    monkeypatch.setattr(ray, "init", fails)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(InputError, match=r"at --ray-address auto \(WrongToken: what token\?\); one"):
        ray_cluster.joined("auto").__enter__()
    twice = r"Ray did not start, twice \(Failed to connect\); --executor serial runs without Ray"
    with ray_cluster.started() as ready, pytest.raises(StoppedError, match=twice):
        ready()


def test_a_ray_that_is_still_starting_when_the_study_ends_is_stopped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    starting, ends, events = threading.Event(), threading.Event(), []

    def slowly(**options: object) -> None:
        starting.set()
        assert ends.wait(60)
        events.append("started")

    monkeypatch.setattr(ray, "init", slowly)
    monkeypatch.setattr(ray, "shutdown", lambda: events.append("stopped"))
    with pytest.raises(KeyboardInterrupt), ray_cluster.started():
        assert starting.wait(60)
        threading.Timer(0.2, ends.set).start()
        raise KeyboardInterrupt
    assert events == ["started", "stopped"]


def test_signals_are_left_as_they_were(ran: Ran) -> None:
    before, after = ran.handlers
    assert after == before
    assert "RAY_ADDRESS" not in os.environ


def test_a_tuned_race_runs_all_its_rounds_through_one_ray(
    blobs: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))
    places = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports"), "--no-mlflow"]
    budget = ["--image-size", "16", "--batch-size", "16", "--epochs", "6", "--threshold", "40", "--format", "csv"]
    race = ["--grid", "figure1", "--name", "race", "--dataset", f"folder:{blobs}", "--tune", "2", "--seeds", "1"]
    race += ["--threshold-every", "3"]
    starts: list[object] = []
    start = ray.init
    monkeypatch.setattr(ray, "init", lambda **options: starts.append(start(**options)))
    assert main([*race, *budget, *places]) == 0
    assert len(starts) == 1 and not ray.is_initialized()
    study, results, _ = read(tmp_path / "results" / "race")
    assert study.tuning is not None
    assert [len(arm.attempts) for arm in study.tuning.arms] == [2, 2, 2]
    assert {result.status for result in results} == {"done"}


def test_a_worker_starts_with_the_settings_of_the_allocator(ran: Ran) -> None:
    # glibc reads them when a process starts: setting them in a running worker would do nothing.
    assert len(ran.environments) == 10
    for found in ran.environments:
        assert {f"{name}={value}" for name, value in ENVIRONMENT.items()} <= set(found.split("\0"))


@pytest.mark.parametrize(
    ("asked", "seconds", "trainings", "patience"),
    [
        (None, 90.0, 4, 20 * 90 * 2),  # the two workers share them: a training takes twice what it adds to the study
        (None, 90.0, 1, 20 * 90),
        (None, 1.0, 4, 600),
        (None, 0.0, 4, math.inf),  # nobody knows how long it takes
        (0.5, 90.0, 4, 30),
    ],
)
def test_a_worker_may_be_silent_for_twenty_times_its_training_and_ten_minutes_at_least(
    asked: float | None, seconds: float, trainings: int, patience: float
) -> None:
    plan: Any = SimpleNamespace(workers=2, place=SimpleNamespace(gpus=0.0), packing=UNPACKED)
    executor: Any = _executor(replace(config_from(), timeout=asked), plan, _alone(seconds, trainings, plan))
    assert executor.patience == patience


def test_what_was_said_while_the_driver_stood_still_ends_no_worker(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, ended = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(ray_executor, "end", lambda node, process, home: ended.append(process))
    deliver = _Deliver(by_training(plan()[1]), place, Collect())
    deliver.patience, deliver.home = 600.0, "here"
    for number, node in ((1, "here"), (2, "there")):  # the other machine may still decode images
        job = SimpleNamespace(trial_id=str(number))
        deliver.on_trial_start(0, [], job)
        deliver.on_trial_result(0, [], job, {"worker": (node, number)})
    for now[0] in (1.0, 5000.0):  # Ctrl-Z, and fg an hour later
        deliver.on_step_end(0, [])
    assert ended == []
    for now[0] in range(5001, 5700, 10):
        deliver.on_step_end(0, [])
    assert ended == [1]
