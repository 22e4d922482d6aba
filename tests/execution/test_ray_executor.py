"""Ray Tune, the real one: equal to the serial executor, nothing lost, extra components found."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import ray

from ablations.core.result import DONE, ERROR, Result
from ablations.core.subject import Place, Report
from ablations.core.trial import Job, Trial, by_training
from ablations.execution import ray_cluster, ray_executor
from ablations.execution.allocator import ENVIRONMENT
from ablations.execution.executor import serial
from ablations.execution.ray_executor import RayExecutor, _Deliver
from ablations.execution.turns import packed
from ablations.execution.worker import run_job
from ablations.planning.study import make_study
from ablations.records.predictions import predictions_path
from ablations.records.store import read_results, trial_path
from ablations.subjects.alexnet import registry
from tests import making, toy
from tests.conftest import Collect, Planner, without_times

pytestmark = pytest.mark.slow

ONE_CPU = RayExecutor(cpus_per_trial=1, gpus_per_trial=0)


TRAP = "127.0.0.1:1"  # of a cluster that was not asked for


def handlers() -> list[Any]:
    """What this process does on the signals that end it."""
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of components that only the workers of a Ray know, which many tests share: its start takes seconds.

    It has two processors, whatever the machine has.
    """
    folder, before = tmp_path_factory.mktemp("up"), handlers()
    (folder / "components").mkdir()
    (folder / "components" / "extra.py").write_text(COMPONENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_cluster, "cores_here", lambda: 2)
        patch.setenv("RAY_ADDRESS", TRAP)
        patch.setenv("ABLATIONS_COMPONENTS", str(folder / "components"))
        with ray_cluster.started() as ready:
            ready()
            patch.delenv("ABLATIONS_COMPONENTS")
            assert handlers() == before and os.environ["RAY_ADDRESS"] == TRAP
            yield folder
    assert handlers() == before and "RAY_ADDRESS" not in os.environ


@pytest.fixture
def toys(tmp_path: Path) -> tuple[Place, tuple[Trial, ...]]:
    """A place, and trials of the toy in rounds for it, reference first.  Its workers import no torch."""
    subject = toy.IN_ROUNDS
    place = Place(folder=tmp_path / "study", command="a test")
    asked = replace(making.request("one_out", seeds=1), subject=subject.name)
    return place, make_study(asked, subject.setting(toy.Options(), place, None, beside=1))[1]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A study that Ray ran, and what was seen of it."""

    trials: tuple[Trial, ...]
    folder: Path
    watch: Collect
    alone: Collect  # the same trials, each trained by itself without Ray
    kept: list[dict[str, object]]  # by Tune, of each of its trials
    handlers: tuple[Any, Any]  # before and after
    environments: list[str]  # of the worker that took a job, when it started


@pytest.fixture(scope="module")
def ran(up: Path, plan: Planner, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run once, with a component that only its workers import."""
    folder, environments = (tmp_path_factory.mktemp(name) for name in ("ran", "environments"))
    kept: list[dict[str, object]] = []

    class Deliver(_Deliver):
        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            kept.append(trial.last_result)

    def run(job: Job, place: Place, *, report: Report) -> Iterator[Result]:
        (environments / job[0].key).write_text(Path("/proc/self/environ").read_text())
        return run_job(job, place, report=report)

    _, trials = plan(words=["ten_view", "lrn"], grid="pairs")
    watch, alone = Collect(), Collect()
    options = {"cache": str(cache), "data_root": None, "base": str(Path.cwd()), "memory_budget": None}
    place = Place(folder=folder / "ray", command="a test", options=options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_executor, "_Deliver", Deliver)
        before = handlers()
        replace(ONE_CPU, run=run)(by_training(trials), place, watch)
        after = handlers()
        # What the component adds to the registry of this process goes with the serial trainings.
        patch.setattr(registry, "_COMPONENTS", dict(registry.components()))
        patch.setattr(registry, "_LOADED", set(registry._LOADED))
        patch.setenv("ABLATIONS_COMPONENTS", str(up / "components"))
        serial([(trial,) for trial in trials], replace(place, folder=folder / "serial"), alone)
    return Ran(
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
    assert len(by_key) == len(ran.trials) == 7
    assert ran.watch.begun == ran.alone.begun == 1  # once, however many workers there are
    # Each of the five trainings reported its two epochs once.
    assert len(ran.watch.epochs) == len(set(ran.watch.epochs)) == 5 * 2
    assert set(ran.watch.epochs) < set(ran.alone.epochs)
    for result in ran.alone.results:
        assert result.status == DONE, result.error
        found = without_times(by_key[result.trial.key].to_dict())
        assert {**found, "trained_with": ""} == without_times(result.to_dict())
    # Each worker wrote what it ran, and Tune left nothing of its own.
    assert read_results(ran.folder, by_key)[1] == []
    assert {path.name for path in ran.folder.iterdir()} == {"predictions", "trials", "unfinished"}
    assert not list((ran.folder / "unfinished").iterdir())  # the references that waited to be measured are


def test_a_ray_starts_no_process_that_nothing_needs(up: Path) -> None:
    node: Any = ray._private.worker._global_node
    assert {*node.all_processes} == {"gcs_server", "dashboard", "raylet"}


def test_tune_keeps_nothing_of_what_a_trial_reports(ran: Ran) -> None:
    assert len(ran.kept) == len(by_training(ran.trials)) == 5
    # A number in what is left would get a history for each trial.
    assert all("key" in one and not {"row", "record", "predictions"} & set(one) for one in ran.kept)


COMPONENT = """
from dataclasses import replace
from ablations.subjects.alexnet.registry import register
from ablations.subjects.alexnet.component import Activity, Component

register(Component(
    name="extra",
    reference="none",
    levels={"on": lambda spec: replace(spec, momentum=0.5)},
    summary="a component of somebody else's",
    source="a test",
    activity=Activity(measure=lambda probe: 42.0, unit="answers"),
))
"""


def test_a_worker_finds_the_components_of_a_folder_that_the_driver_never_imported(ran: Ran) -> None:
    references = [result for result in ran.watch.results if not result.trial.variant.departures]
    assert [result.activity["extra"] for result in references] == [42.0]


def test_a_worker_that_is_killed_costs_its_own_trial_and_no_other(
    up: Path, toys: tuple[Place, tuple[Trial, ...]]
) -> None:
    def dying(job: Job, place: Place, *, report: Report) -> Iterator[Result]:
        def last(trial: Trial, row: Mapping[str, float]) -> None:
            if trial.variant.label == "-scaling":  # dies in its training
                os.kill(os.getpid(), signal.SIGKILL)
            report(trial, row)

        return run_job(job, place, report=last)

    place, trials = toys
    (place.folder.parent / toy.DEADLY).touch()
    watch = Collect()
    replace(ONE_CPU, run=dying)(by_training(trials), place, watch)
    found = {result.trial.variant.label: result for result in watch.results}
    statuses = {label: result.status for label, result in found.items()}
    fine = dict.fromkeys(("reference", "-penalty", "placebo=salted", "sabotage=half"), DONE)
    assert statuses == {**fine, "-scaling": ERROR}
    assert "the worker was lost" in found["-scaling"].error
    assert len(found["-scaling"].provenance["tries_before"]) == 2
    # Trained and evaluated before it was killed: that is on disk by then, and kept.
    assert found["reference"].notes == ("activities were not measured: the process ended before that",)
    assert found["reference"].metrics and not found["reference"].activity
    assert len(read_results(place.folder, [trial.key for trial in trials])[0]) == 5


def test_a_pack_that_is_killed_costs_a_try_of_the_trials_that_had_not_ended_and_of_no_other(
    up: Path, toys: tuple[Place, tuple[Trial, ...]]
) -> None:
    place, (reference, *others) = toys
    (place.folder.parent / toy.DEADLY).touch()

    def in_rounds(trial: Trial, rounds: int) -> Trial:
        return replace(trial, config={**trial.config, "rounds": rounds})

    # The third's rounds are not over when the reference, whose turns come first, measures and dies of it.
    later, longer = in_rounds(reference, 3), in_rounds(others[1], 9)
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
    up: Path, toys: tuple[Place, tuple[Trial, ...]]
) -> None:
    place, trials = toys
    with pytest.raises(ValueError, match=r"--cpus-per-trial 3 is more than the 2 that Ray has\."):
        RayExecutor(cpus_per_trial=3, gpus_per_trial=0)(by_training(trials), place, Collect())


def test_signals_are_left_as_they_were(ran: Ran) -> None:
    before, after = ran.handlers  # and by the start and the end of Ray: `up`
    assert after == before


def test_a_worker_starts_with_the_settings_of_the_allocator(ran: Ran) -> None:
    # glibc reads them when a process starts: setting them in a running worker would do nothing.
    assert len(ran.environments) == 5
    for found in ran.environments:
        assert {f"{name}={value}" for name, value in ENVIRONMENT.items()} <= set(found.split("\0"))


def test_records_and_predictions_travel_from_another_machine(
    up: Path, toys: tuple[Place, tuple[Trial, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, trials = toys
    here = replace(place, folder=tmp_path / "driver")
    deliver: Any = ray_executor._Deliver
    # Workers write where the driver does not look, and the driver is on no node of theirs.
    monkeypatch.setattr(ray_executor, "_Deliver", lambda jobs, place, watch: deliver(jobs, here, watch))
    monkeypatch.setattr(ray_executor, "node_here", lambda: "elsewhere")
    ONE_CPU(by_training(trials), place, Collect())
    found, problems = read_results(here.folder, [trial.key for trial in trials])
    assert (len(found), problems) == (5, [])
    for trial in trials:
        for path in (trial_path, predictions_path):
            assert path(here.folder, trial.key).read_bytes() == path(place.folder, trial.key).read_bytes()
