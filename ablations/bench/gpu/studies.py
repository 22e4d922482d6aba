"""Runs studies of AlexNet within a given time, without Ray, MLflow or the command line."""

from __future__ import annotations

import datetime
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ablations.bench.gpu.part import MissingError, OutOfTimeError, Row, Run
from ablations.core.result import DONE, Result
from ablations.core.setting import Setting
from ablations.core.study import Study
from ablations.core.subject import Place
from ablations.core.trial import Trial
from ablations.core.variant import Departure
from ablations.execution.worker import run_job
from ablations.models.presets import PRESETS
from ablations.models.spec import stored_size
from ablations.planning.declare import declare
from ablations.records.measures import needed
from ablations.records.store import write_study
from ablations.subjects.alexnet import packing
from ablations.subjects.alexnet.data.catalogue import FOLDER
from ablations.subjects.alexnet.data.load import load
from ablations.subjects.alexnet.data.prepare import prepare
from ablations.subjects.alexnet.planning import shared_by
from ablations.subjects.alexnet.setting import Budget, budget_of, config_of, spec_of
from ablations.subjects.alexnet.training.step import cuda_graph
from ablations.subjects.alexnet.trial import open_data

SHARE = 0.8  # share of the time left that trainings are planned for; evaluation and captures take the rest
GRACE = 0.15  # share of a part's time by which it may run over before its trainings are stopped
TIMED = 30  # steps of each training that are timed
WORDS = {"cifar10": "CIFAR-10", "imagenette": "Imagenette"}


@dataclass(frozen=True, kw_only=True)
class Images:
    """A data set in class folders."""

    folder: Path

    @property
    def name(self) -> str:
        """Its name for `--dataset`, without the path, so that records name no place of this machine."""
        return f"{FOLDER}{self.folder.name}"


def images_of(run: Run, what: str) -> Images:
    """Returns the data set `what`, which is unpacked if it is an archive.  Raises MissingError if it is missing."""
    path = run.images.get(what)
    told = f"{WORDS[what]} is not here ({path or 'it was not given'}): --{what} takes a folder of class folders"
    if path is None or not path.exists():
        raise MissingError(f"{told}, or an archive of one")
    if path.is_dir():
        return Images(folder=path.resolve())
    target = run.cache.resolve() / "unpacked" / what
    if not target.is_dir():
        partial = target.with_name(f".{what}.partial")
        try:
            with tarfile.open(path) as archive:
                archive.extractall(partial, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise MissingError(f"{told}, and this is no archive that can be read: {error}") from error
        partial.rename(target)
    return Images(folder=target)


def setting_for(run: Run, images: Images, preset: str, budget: Budget) -> Setting:
    """Returns what the trials of a study on these images share, and decodes the images if that was not done yet."""
    size = stored_size(PRESETS[preset].spec, budget.image_size)
    prepared = prepare(f"{FOLDER}{images.folder}", data_root=None, size=size, cache=run.cache, quiet=True)
    data = load(prepared)
    most = len(data.train.labels)
    budget = replace(budget, train_examples=min(budget.train_examples, most))
    setting = shared_by(data, preset, budget, dataset=images.name)
    return _narrow(setting) if run.tiny else setting


def _narrow(setting: Setting) -> Setting:
    """Returns a setting with an eighth of the maps and units: in a trial run, those of VGG would take minutes."""
    spec = spec_of(setting.config)
    blocks = tuple(replace(block, channels=block.channels // 8) for block in spec.blocks)
    hidden = tuple(replace(layer, features=layer.features // 8) for layer in spec.hidden)
    narrow = replace(spec, blocks=blocks, hidden=hidden)
    return replace(setting, config=config_of(setting.config["preset"], budget_of(setting.config), narrow))


def place_for(run: Run, study: Study, images: Images, *, turns: int) -> Place:
    """Returns the place of a study's trials: the whole GPU, on which `turns` of them take turns."""
    return Place(
        folder=(run.folder / study.name).resolve(),
        threads=1,
        gpus=1.0 if run.cuda else 0.0,
        turns=turns,
        command=run.command,
        declared=study.declared[-1].digest,
        measures=needed(study),
        predictions=False,
        options={"cache": str(run.cache), "data_root": None, "base": str(images.folder.parent), "memory_budget": None},
    )


def declared(study: Study) -> Study:
    """Returns the study with its claims and its rule fixed now, before its first trial."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return declare(replace(study, declared=()), None, records=0, at=now)


def seconds_a_step(run: Run, trials: Sequence[Trial], place: Place) -> float:
    """Returns the seconds in which each of these trainings, taking turns, does one step."""
    data = open_data(trials[0], place, run.device)
    capture = cuda_graph if run.cuda else None
    pack = [packing.Timed(trial, data, run.device, seed=trial.seed, capture=capture) for trial in trials]
    found = len(pack) / packing.steps_a_second(pack, run.device, timed=1 if run.tiny else TIMED)
    pack.clear()
    if run.cuda:
        torch.cuda.empty_cache()
    return found


def epochs_that_fit(seconds: float, budget: Budget, *, a_step: float, most: int) -> int:
    """Returns how many epochs of `budget` fit into `seconds`, from one to `most`."""
    return max(1, min(most, int(seconds / (budget.steps_per_epoch * a_step))))


def finished(run: Run, study: Study, trials: Sequence[Trial], place: Place) -> list[Result]:
    """Runs the trials, which take turns, writes their records, and returns their results.

    Raises OutOfTimeError if the part runs over its time by more than `GRACE`.
    """

    def watch(trial: Trial, row: Mapping[str, float]) -> None:
        if run.left < -GRACE * run.seconds:
            raise OutOfTimeError

    write_study(place.folder, study)
    return list(run_job(tuple(trials), place, report=watch))


def ended_row(results: Sequence[Result], began: float) -> Row:
    """Returns the row on how many trainings failed, how steps ran, and how long all of them took."""
    failed = [one for one in results if one.status != DONE]
    steps = sorted({str(one.provenance.get("step", one.status)) for one in results})
    return Row(
        name="trainings that did not end",
        value=float(len(failed)),
        allowed=0.0,
        more={"of": len(results), "seconds": time.perf_counter() - began},
        said="; ".join([*steps, *sorted({one.error.strip().splitlines()[-1] for one in failed if one.error})]),
    )


def errors_by_seed(results: Sequence[Result], departures: tuple[Departure, ...]) -> dict[int, float]:
    """Returns the top-1 error of a variant in percent, by seed."""
    return {
        one.trial.seed: one.metrics[f"{budget_of(one.trial.config).evaluate_on}_top1_error_percent"]
        for one in results
        if one.status == DONE and one.trial.variant.departures == departures
    }
