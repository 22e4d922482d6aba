"""What goes wrong under the real Ray: strangers, lost and hanging workers, too little memory, lost parts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray

from ablations.bench.overhead import _jobs, nothing
from ablations.core.errors import StoppedError
from ablations.core.result import DONE, ERROR, OUT_OF_MEMORY, TIMEOUT, Result
from ablations.core.subject import Place
from ablations.core.trial import Job, Trial
from ablations.execution import ray_cluster
from ablations.execution.alike import Alike
from ablations.execution.ray_executor import TRIES, RayExecutor
from ablations.records.store import read_results, write_result
from ablations.subjects.alexnet.version import TRAINING_VERSION, training_digest
from tests.conftest import Collect, ended
from tests.own.files import StudyFile

pytestmark = pytest.mark.slow

Report = Callable[[Trial, Mapping[str, float]], None]
ONE_CPU = RayExecutor(cpus_per_trial=1, gpus_per_trial=0, run=nothing)


def node() -> Any:
    """Ray's own, of the machine that it was started on."""
    return ray._private.worker._global_node


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a Ray that many tests share: its start takes ten seconds.

    Temporary files go to a folder whose path is too long for sockets.
    """
    long = tmp_path_factory.mktemp("l" * 90)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(long))
        patch.setattr(ray_cluster, "cores_here", lambda: 2)
        # Of a user who switched it off for clusters of their own.
        patch.setenv("RAY_AUTH_MODE", "disabled")
        with ray_cluster.started() as ready:
            ready()
            yield Path(node().get_session_dir_path()).parent.parent
        assert os.environ["RAY_AUTH_MODE"] == "disabled"
        assert "RAY_AUTH_TOKEN" not in os.environ


def ran(run: Callable[..., Iterator[Result]], place: Place, trials: int, **changes: float) -> list[Result]:
    """What comes of so many trials under `run`, in their order; what is on disk is the same."""
    watch, jobs = Collect(), _jobs(trials)
    replace(ONE_CPU, run=run, **changes)(jobs, place, watch)  # type: ignore[arg-type]
    by_key = {result.trial.key: result for result in watch.results}
    assert len(by_key) == len(watch.results) == trials
    found = [by_key[trial.key] for (trial,) in jobs]
    assert read_results(place.folder, by_key)[0] == watch.results
    return found


ATTACK = """
import logging, os, sys
import ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.ERROR)
print("code ran as", ray.get(ray.remote(num_cpus=0)(lambda: os.getuid()).remote()))
"""


def test_who_has_not_the_secret_runs_no_code_and_who_has_it_does(up: Path, place: Place) -> None:
    address = ray.get_runtime_context().gcs_address
    secret = os.environ["RAY_AUTH_TOKEN"]
    assert len(secret) == 64
    tries = {
        "without": {"RAY_AUTH_MODE": "disabled"},
        "wrong": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64},
        "right": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secret},
    }
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-c", ATTACK, address],
            env={**plain, **more, "RAY_NUM_REDIS_GET_RETRIES": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name, more in tries.items()
    }
    said = {name: process.communicate(timeout=240)[0] for name, process in processes.items()}
    assert {name: "code ran as" in words for name, words in said.items()} == {
        "without": False,
        "wrong": False,
        "right": True,
    }, said
    assert "InvalidAuthToken" in said["without"]
    assert "InvalidAuthToken" in said["wrong"]
    # A study runs all the same, and nothing that it leaves holds the secret.
    assert [result.status for result in ran(nothing, place, 3)] == [DONE] * 3
    left = [path for path in place.folder.rglob("*") if path.is_file()]
    assert len(left) == 3
    assert not any(secret in path.read_text() for path in left)


def test_nobody_else_enters_the_folder_of_ray_whose_path_is_short_enough(up: Path) -> None:
    assert up.name.startswith("ray-")
    assert up.stat().st_mode & 0o777 == 0o700
    assert len(str(up.parent)) <= ray_cluster.SHORT < len(tempfile.gettempdir())


def test_a_lost_worker_costs_a_try_of_its_trial_and_is_told_in_the_record(up: Path, place: Place) -> None:
    def dies(job: Job, place: Place, *, report: Report) -> Iterator[Result]:
        (trial,) = job
        with (place.folder.parent / f"tries-{trial.seed}").open("a") as file:
            file.write("x")
        tries = (place.folder.parent / f"tries-{trial.seed}").stat().st_size
        if trial.seed == 2 or (trial.seed == 1 and tries == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return nothing(job, place, report=report)

    fine, once, always = ran(dies, place, 3)
    assert (fine.status, once.status, always.status) == (DONE, DONE, ERROR)
    assert (place.folder.parent / "tries-2").stat().st_size == TRIES == 3
    assert not fine.provenance
    lost = "error: the worker was lost: a signal ended it"
    for result, before in ((once, 1), (always, 2)):
        assert len(result.provenance["tries_before"]) == before
        assert all(reason.startswith(lost) for reason in result.provenance["tries_before"])
    assert "SYSTEM_ERROR" in always.error
    # One that passes for a trial of another version is left out of the report, and keeps the study from going on.
    assert always.training_version == TRAINING_VERSION and always.training_digest == training_digest()


def test_what_lacks_the_memory_of_a_device_is_tried_again_with_fewer_side_by_side(up: Path, place: Place) -> None:
    def crowded(job: Job, place: Place, *, report: Report) -> Iterator[Result]:
        """A device that holds one trial: torch's own error is a result of this status by then."""
        (trial,) = job
        mine = place.folder.parent / f"on-the-device-{trial.seed}"
        mine.touch()
        others = False
        for _ in range(20):
            time.sleep(0.1)
            others = others or len(list(place.folder.parent.glob("on-the-device-*"))) > 1
        mine.unlink()
        if not others:
            yield from nothing(job, place, report=report)
            return
        result = Result(trial=trial, status=OUT_OF_MEMORY, error="CUDA out of memory.")
        write_result(place.folder, result)
        yield result

    found = ran(crowded, place, 4)
    assert [result.status for result in found] == [DONE] * 4
    before = [result.provenance.get("tries_before", []) for result in found]
    assert sum(map(len, before)) >= 2  # two were side by side, and were not when they were tried again
    assert {reason for reasons in before for reason in reasons} == {"out_of_memory: CUDA out of memory."}


def test_a_worker_that_hangs_is_ended_and_its_trial_has_timed_out(up: Path, place: Place) -> None:
    def hangs(job: Job, place: Place, *, report: Report) -> Iterator[Result]:
        if job[0].seed == 1:
            (place.folder.parent / "pid").write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)
        return nothing(job, place, report=report)

    fine, hung, other = ran(hangs, place, 3, patience=4.0)
    assert (fine.status, hung.status, other.status) == (DONE, TIMEOUT, DONE)
    assert hung.training_version == TRAINING_VERSION
    assert hung.error == "the worker was lost: it had said nothing for 4 s and was killed"
    assert ended(int((place.folder.parent / "pid").read_text()))


def test_a_study_that_is_broken_stops_through_ray_too(
    up: Path, place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    def breaks(job: Job, place: Place, *, report: Report) -> Iterator[Result]:
        yield Result(trial=job[0], status=ERROR, error="ModuleNotFoundError: No module named 'mine'")

    watch = Collect()
    with pytest.raises(StoppedError, match=r"the first 3 trials failed in the same way \(error: ModuleNotFoundError"):
        replace(ONE_CPU, run=breaks)(_jobs(40), place, Alike(watch, total=40, worked=False))
    # Those that were under way may still have been heard of; most of the forty never began.
    assert 3 <= len(watch.results) < 20
    assert capfd.readouterr() == ("", "")


LOST = """
import os, signal, sys
from ablations.execution import ray_cluster
from ablations.execution.alike import Alike
import ray
from ray import tune
fit = tune.Tuner.fit
def killed(self):
    gcs = ray._private.worker._global_node.all_processes["gcs_server"][0].process
    os.kill(gcs.pid, signal.SIGKILL)
    gcs.wait()
    return fit(self)
tune.Tuner.fit = killed
from ablations.run import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_ray_that_is_lost_while_a_call_of_tune_waits_for_it_costs_one_sentence_and_nothing_else(
    tmp_path: Path,
) -> None:
    file = StudyFile(tmp_path, "waits")
    file.write()
    places = ["--results", str(file.study.parent), "--reports", str(file.report.parent), "--name", "mine"]
    words = [str(file.path), "--seeds", "1", "--no-mlflow", "--format", "csv", *places]
    done = subprocess.run([sys.executable, "-c", LOST, *words], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1, "error: Ray's process gcs_server has ended (SIGKILL); the same command goes on where it was\n"
    )  # fmt: skip
    assert "Traceback" not in done.stdout and "GCS" not in done.stdout
    assert file.run("--executor", "serial", seeds=1) == 0


@pytest.mark.parametrize(("seconds", "left"), [(0.0, 0), (3.5, 1)])
def test_a_driver_that_ends_by_itself_when_ray_is_lost_is_let(
    seconds: float, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves: list[str] = []

    def lost() -> None:
        raise ray_cluster.BrokenRayError("gone")

    monkeypatch.setattr(ray_cluster, "look", lost)
    monkeypatch.setattr(ray_cluster, "_leave", lambda error: leaves.append(str(error)))
    monkeypatch.setattr(ray_cluster, "PATIENCE", 2.0)
    with ray_cluster._watched(lambda: True, then=lambda: time.sleep(seconds)):
        time.sleep(1.2)  # it looks once a second
    assert leaves[:1] == ["gone"] * left


NO_LOOPBACK = """
import sys
from ablations.execution.ray_cluster import started
from ablations.core.errors import answered
def run():
    with started() as ready:
        ready()
    return 0
sys.exit(answered(run))
"""


def test_a_machine_that_cannot_reach_itself_is_told_so() -> None:
    alone = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network of its own can be made for a process here")
    done = subprocess.run([*alone, sys.executable, "-c", NO_LOOPBACK], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "error: Ray cannot start: this machine cannot reach itself at 127.0.0.1 (Network is unreachable); "
        "--executor serial runs without Ray\n"
    )


def test_a_ray_that_did_not_start_is_started_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[str] = []

    def slow(_temp_dir: str, **options: object) -> None:
        folders.append(_temp_dir)
        if len(folders) == 1:
            raise RuntimeError("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", slow)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with ray_cluster.started() as ready:
        ready()
    assert len(set(folders)) == 2
