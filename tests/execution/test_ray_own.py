"""Faults that need a Ray of the test's own: in `test_ray_faults.py` many tests share one."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import ray

from ablations.bench.overhead import _jobs, nothing
from ablations.core.errors import StoppedError
from ablations.core.result import DONE, OUT_OF_MEMORY, Result
from ablations.core.subject import Place
from ablations.core.trial import Job
from ablations.execution import ray_cluster
from tests.conftest import Collect
from tests.execution.test_ray_faults import ONE_CPU, Report, node, ran

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def alone() -> None:
    """Another test's Ray would be taken for the one that is started here."""
    assert not ray.is_initialized()


@pytest.mark.parametrize("part", ["gcs_server", "raylet"])
def test_a_ray_that_loses_a_part_ends_the_study_in_one_sentence(
    part: str, place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    def kills(job: Job, place: Place, *, report: Report) -> Iterator[Result]:
        if job[0].seed == 0:
            yield from nothing(job, place, report=report)
            return
        if job[0].seed == 1:
            while not list((place.folder / "trials").glob("*.json")):
                time.sleep(0.1)
            time.sleep(1)  # the driver has heard of it
            os.kill(int((place.folder.parent / "pid").read_text()), signal.SIGKILL)
        time.sleep(600)

    place.folder.parent.mkdir(exist_ok=True)
    sentence = f"Ray's process {part} has ended (SIGKILL); the same command goes on where it was"
    with ray_cluster.started() as ready:
        ready()
        (process,) = node().all_processes[part]
        (place.folder.parent / "pid").write_text(str(process.process.pid))
        with pytest.raises(StoppedError, match=re.escape(sentence)):
            replace(ONE_CPU, run=kills)(_jobs(4), place, watch := Collect())
    assert [result.status for result in watch.results] == [DONE]
    # No failures of trials that were under way: they are run by the same command.
    assert len(list((place.folder / "trials").iterdir())) == 1
    assert [path.name for path in place.folder.iterdir()] == ["trials"]
    assert capfd.readouterr() == ("", "")


def test_what_the_memory_monitor_of_ray_ends_is_out_of_memory(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def waits(job: Job, place: Place, *, report: Report) -> Iterator[Result]:
        time.sleep(600)
        yield from ()

    monkeypatch.setenv("RAY_memory_usage_threshold", "0.01")  # of the machine's memory, which others use more of
    (result,) = ran(waits, place, 1)
    assert result.status == OUT_OF_MEMORY
    assert re.search(r"Ray's memory monitor ended it, as \S+B of \S+B were in use", result.error)
    assert len(result.provenance["tries_before"]) == 2
    assert capfd.readouterr() == ("", "")
