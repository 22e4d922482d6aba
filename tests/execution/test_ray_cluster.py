"""A Ray of the test's own, or none: clusters, one Ray for all rounds, one that does not start, silent workers."""

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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from ablations.core.errors import InputError, StoppedError
from ablations.core.result import DONE, Result
from ablations.core.subject import Place, Report
from ablations.core.trial import UNPACKED, Job, by_training
from ablations.execution import ray_cluster, ray_executor
from ablations.execution.ray_executor import RayExecutor, _Deliver
from ablations.execution.worker import run_job
from ablations.records.store import read
from ablations.run import _alone, _executor, main
from tests.conftest import Collect, Planner, free_port, hears
from tests.making import config_from

pytestmark = pytest.mark.slow

ONE_CPU = RayExecutor(cpus_per_trial=1, gpus_per_trial=0)


@pytest.fixture(autouse=True)
def alone() -> None:
    """Another test's Ray would be taken for the one that is started here."""
    assert not ray.is_initialized()


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


def test_a_head_with_nothing_waits_for_a_machine_with_gpus_and_gives_each_trial_one_and_stays(
    blobs: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))
    with cluster(monkeypatch) as made:
        made.add("--num-cpus", "0", "--num-gpus", "0")
        command = ["--subject", "tests.toy:ON_GPUS", "--name", "gpus", "--seeds", "2", "--no-mlflow", "--format", "csv"]
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
        # More is asked for than there is place for, so a machine that comes later is used: trials run on both.
        trials = [one.trial for one in read(tmp_path / "results" / "gpus")[1]][:3]
        growing = replace(ONE_CPU, gpus_per_trial=1, growing=True, run=until_seen_by(2, tmp_path))
        before = signal.getsignal(signal.SIGTERM)
        with ray_cluster.joined(f"127.0.0.1:{made.port}") as machines, ThreadPoolExecutor(1) as beside:
            # The cluster is there after a study that was refused, one that was stopped, and one that was run.
            assert sorted(machine.get("CPU", 0) for machine in machines) == [0, 2]
            assert signal.getsignal(signal.SIGTERM) == before
            coming = beside.submit(made.add, "--num-cpus", "1", "--num-gpus", "1")
            growing([(trial,) for trial in trials], Place(folder=tmp_path / "again", gpus=1.0), watch := Collect())
            coming.result()
            assert sorted(machine.get("CPU", 0) for machine in ray_cluster.machines()) == [0, 1, 2]
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


def test_a_tuned_race_runs_all_its_rounds_through_one_ray(
    blobs: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))
    places = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports"), "--no-mlflow"]
    budget = ["--image-size", "16", "--batch-size", "16", "--epochs", "2", "--threshold", "40", "--format", "csv"]
    race = ["--grid", "figure1", "--name", "race", "--dataset", f"folder:{blobs}", "--tune", "2", "--seeds", "1"]
    race += ["--threshold-every", "3"]
    starts: list[object] = []
    start = ray.init
    monkeypatch.setattr(ray, "init", lambda **options: starts.append(start(**options)))
    monkeypatch.setattr(ray_cluster, "cores_here", lambda: 1)  # one worker a round: each imports torch
    assert main([*race, *budget, *places]) == 0
    assert len(starts) == 1 and not ray.is_initialized()
    study, results, _ = read(tmp_path / "results" / "race")
    assert study.tuning is not None
    assert [len(arm.attempts) for arm in study.tuning.arms] == [2, 2, 2]
    assert {result.status for result in results} == {"done"}


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
