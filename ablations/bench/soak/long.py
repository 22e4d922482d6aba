"""Runs a study of thousands of tiny trials through Ray, and measures memory, the cost of a trial, and what is left."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ablations.bench.soak.processes import marked, memory_mib, processor_seconds
from ablations.bench.soak.tiny import Place, left_behind, seen

EVERY = 1.0  # seconds between two samples
A_SEED = 5  # trials of a seed: the reference, one change and three controls
COMPONENT = "lrn"


@dataclass(frozen=True)
class Sample:
    """What the processes of a study hold at one moment."""

    seconds: float  # since the start of the command
    records: int  # records on disk
    driver_mib: float  # memory of the driver
    workers_mib: float  # memory of the largest worker
    all_mib: float  # memory of driver, workers and Ray's own processes; shared memory counts in each
    processes: int  # number of all these processes
    driver_processor_seconds: float  # processor time of the driver so far


def soak(place: Place, trials: int, *, mlflow: bool) -> dict[str, Any]:
    """Runs `trials` trials, rounded up to whole seeds, by the real command.

    Returns the memory over time, what a trial costs, what was lost or left behind, and with `mlflow` how long it takes
    to mirror the records.
    """
    name, seeds = "long", -(-trials // A_SEED)
    began = time.monotonic()
    process = place.start(place.words(name, seeds=seeds, components=COMPONENT, executor="ray"))
    samples = []
    while process.poll() is None:
        samples.append(_sample(place, name, process.pid, began))
        time.sleep(EVERY)
    ended = place.ended(process)
    seconds = time.monotonic() - began
    records = len(seen(place.study(name)).finished)
    lost = [f"it ended with exit code {ended.code}: {ended.sentence}"] if ended.code else []
    if records != A_SEED * seeds:
        lost.append(f"{A_SEED * seeds - records} trials have no record")
    found = {
        "trials": A_SEED * seeds,
        "seconds": round(seconds, 1),
        **costs(samples),
        "growth": growth(samples, A_SEED * seeds),
        "lost": lost + left_behind(place, name),
        "samples": [vars(sample) for sample in _thinned(samples)],
    }
    return found | (_mlflow(place, name, A_SEED * seeds) if mlflow and not lost else {})


def _sample(place: Place, name: str, driver: int, began: float) -> Sample:
    processes = marked(place.mark)
    held = {one.number: memory_mib(one.number) for one in processes}
    return Sample(
        seconds=round(time.monotonic() - began, 1),
        records=sum(1 for _ in (place.study(name) / "trials").glob("*.json")),
        driver_mib=round(held.get(driver, memory_mib(driver)), 1),
        workers_mib=round(max((held[one.number] for one in processes if one.is_worker), default=0.0), 1),
        all_mib=round(sum(held.values()), 1),
        processes=len(processes),
        driver_processor_seconds=round(processor_seconds(driver), 2),
    )


def costs(samples: list[Sample]) -> dict[str, float]:
    """Returns the wall-clock time of a trial and the driver's processor time for it, from the first record to the last.

    The driver's time limits a cluster: however many workers there are, it handles one trial in that time.
    """
    under_way = [one for one in samples if one.records]
    whole = next((one for one in under_way if one.records == under_way[-1].records), None)
    if not whole or whole.records == under_way[0].records:
        return {}
    first, count = under_way[0], whole.records - under_way[0].records
    of_driver = (whole.driver_processor_seconds - first.driver_processor_seconds) / count
    return {
        "seconds_a_trial": round((whole.seconds - first.seconds) / count, 4),
        "driver_processor_seconds_a_trial": round(of_driver, 5),
        "trials_a_second_of_a_driver": round(1 / of_driver, 1) if of_driver else 0.0,
    }


def growth(samples: list[Sample], trials: int) -> list[dict[str, float]]:
    """Returns the memory of the driver and of the largest worker at 10, 25, 50, 75 and 100% of the records."""
    rows = []
    for share in (0.1, 0.25, 0.5, 0.75, 1.0):
        row = next((one for one in samples if one.records >= share * trials), None)
        if row:
            rows.append({"records": row.records, "driver_mib": row.driver_mib, "workers_mib": row.workers_mib})
    return rows


def _thinned(samples: list[Sample], most: int = 100) -> list[Sample]:
    """Returns about `most` samples, spread evenly, with the last one."""
    step = -(-len(samples) // most)
    return [*samples[:-1:step], *samples[-1:]] if samples else []


def _mlflow(place: Place, name: str, trials: int) -> dict[str, float]:
    """Mirrors the study's records to MLflow in an SQLite file, and returns how long that takes."""
    words = ["-m", "ablations.sync", name, "--results", str(place.folder / "results")]
    began = time.monotonic()
    ended = place.ended(place.start([*words, "--reports", str(place.folder / "reports")]))
    seconds = time.monotonic() - began
    if ended.code:
        raise RuntimeError(f"MLflow could not be written: {ended.error}")
    return {"mlflow_seconds": round(seconds, 1), "mlflow_trials_a_second": round(trials / seconds, 2)}
