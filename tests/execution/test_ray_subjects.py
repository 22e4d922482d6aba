"""What others bring comes out alike on Ray, whose workers have imported nothing of it; one Ray is started for all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ablations import run
from ablations.core.result import Result
from ablations.execution import ray_cluster
from tests.core import test_subject as toys
from tests.own.files import StudyFile
from tests.own.test_blocks_run import Blocks
from tests.script.files import Study

pytestmark = pytest.mark.slow

TABLES = ("--format", "csv")


@pytest.fixture(scope="module", autouse=True)
def up() -> Iterator[None]:
    """A Ray that the studies share: its start takes seconds."""
    with ray_cluster.started() as ready:
        ready()
        yield


def test_the_toy_comes_out_alike_on_ray(tmp_path: Path) -> None:
    assert run.main(toys.study(tmp_path / "alone", "--executor", "serial", *TABLES)) == 0
    assert run.main(toys.study(tmp_path / "ray", *TABLES)) == 0
    found = toys.outcomes(tmp_path / "ray")
    assert len(found) == 15 and found == toys.outcomes(tmp_path / "alone")


def numbers(results: Mapping[tuple[str, int], Result]) -> dict[tuple[str, int], Any]:
    """Of each trial what does not differ between two equal runs."""
    return {
        trial: (one.trial.key, one.trace, json.dumps(one.metrics["score"]), [row["score"] for row in one.curve])
        for trial, one in results.items()
    }


def test_a_study_file_comes_out_alike_on_ray(tmp_path: Path) -> None:
    file = StudyFile(tmp_path, "on_ray")
    file.write()
    assert file.run("--components", "slope", *TABLES) == 0
    alone = numbers(file.read())
    shutil.rmtree(file.study)
    assert file.run("--components", "slope", "--executor", "ray", *TABLES) == 0
    assert len(alone) == 8 and numbers(file.read()) == alone


def test_a_script_comes_out_alike_on_ray(tmp_path: Path) -> None:
    study = Study(tmp_path)
    assert study.run("--components", "slope", *TABLES) == 0
    alone = numbers(study.read())
    shutil.rmtree(study.results)
    assert study.run("--components", "slope", *TABLES, executor="ray") == 0
    assert len(alone) == 8 and numbers(study.read()) == alone


def test_a_study_of_two_data_sets_comes_out_alike_on_ray(tmp_path: Path) -> None:
    study = Blocks(tmp_path / "mine", "study_of_blocks_on_ray")
    study.write()
    assert study.run(*TABLES) == 0
    alone = study.each()
    shutil.rmtree(study.study)
    assert study.run("--executor", "ray", *TABLES) == 0
    each = study.each()
    assert each.keys() == alone.keys() and len({name for _, name, _ in each}) == 2
    for place, one in each.items():
        assert (one.trial, one.curve, one.trace) == (alone[place].trial, alone[place].curve, alone[place].trace)
