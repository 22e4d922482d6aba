"""Small real things that the tests share."""

from __future__ import annotations

import gc
import signal
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from ablations.core.result import Result
from ablations.core.study import Study
from ablations.core.subject import Place
from ablations.core.trial import Trial
from ablations.subjects.alexnet.setting import Budget

# The fixtures import torch when they are asked for: the process that hands files out to the others runs no test.
if TYPE_CHECKING:
    from ablations.subjects.alexnet.data.load import Data

CLASSES = ("blue", "green", "red")


def hears(number: int) -> Callable[[], object]:
    """For `preexec_fn` of a process that is to be stopped by the signal `number`.

    A shell starts background jobs, this test run perhaps, with SIGINT ignored, and children inherit that.
    """
    return partial(signal.signal, number, signal.SIG_DFL)


def ended(process: int) -> bool:
    """Whether `process` ends within 30 seconds; a zombie, which its parent has not reaped, has ended too."""
    for _ in range(600):
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


# Files that take minutes, the longest first.
LONG = ("test_run.py", "execution/test_ray_cluster.py", "test_gpu.py", "execution/test_ray_faults.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: begun last, one of them would be waited for while a core is idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONG, start=-len(LONG))}
    items.sort(key=lambda item: place.get(item.path, item.path not in slow))


def pytest_collection() -> None:
    """Python looks for no garbage until the first test: the objects that imports make are all needed to the end."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder data set: 3 classes of noisy 16-pixel PNGs in their colour, 30 to train on and 20 to test each."""
    root = tmp_path_factory.mktemp("blobs")
    random = np.random.default_rng(0)
    for split, count in (("train", 30), ("test", 20)):
        for number, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 200, (16, 16, 3))
                pixels[..., 2 - number] += 55
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index:03}.png")
    return root


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where decoded images go."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def data(blobs: Path, cache: Path) -> Data:
    """The decoded `blobs` at 16 pixels."""
    from ablations.subjects.alexnet.data.load import load
    from ablations.subjects.alexnet.data.prepare import prepare

    return load(prepare(f"folder:{blobs}", data_root=None, size=16, cache=cache, quiet=True))


@pytest.fixture(scope="session")
def budget() -> Budget:
    """Two epochs of all 90 images in batches of 32, at 16 pixels."""
    return Budget(epochs=2, train_examples=90, batch_size=32, image_size=16)


Planner = Callable[..., tuple[Study, tuple[Trial, ...]]]


@pytest.fixture(scope="session")
def plan(blobs: Path, data: Data, budget: Budget) -> Planner:
    """`making.study` on `blobs`; keywords override, those of the setting too."""
    from tests import making

    def make(*, fingerprint: str = "", **changes: Any) -> tuple[Study, tuple[Trial, ...]]:
        facts = {"train_images": 90, "test_images": 60, "held_out_train_images": 80, "stored_size": 16}
        shared = making.setting(
            changes.pop("preset", "cifar_small"),
            changes.pop("budget", budget),
            dataset=changes.pop("dataset", f"folder:{blobs}"),
            fingerprint=fingerprint or data.fingerprint,
            classes=3,
            examples=60,
            facts=facts,
        )
        arguments: dict[str, Any] = {"name": "study", "grid": "one_out", "words": ["lrn"], "shared": shared}
        return making.study(**{**arguments, **changes})

    return make


@pytest.fixture
def place(tmp_path: Path, cache: Path) -> Place:
    """A study's folder of its own, one thread, no GPU."""
    return Place(
        folder=tmp_path / "study",
        command="python -m ablations.run",
        options={"cache": str(cache), "data_root": None, "base": str(Path.cwd()), "memory_budget": None},
    )


@pytest.fixture
def sketches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures stay blank, which saves most of a report's time: for tests of its words and tables."""
    from matplotlib.figure import Figure

    monkeypatch.setattr("ablations.reporting.figures.style.under_style", lambda draw, *args, **kwargs: Figure())
    monkeypatch.setattr("ablations.reporting.figures.style.svg", lambda figure, name: f'<svg id="{name}-1"></svg>')


class Collect:
    """A `Watch` that keeps what it is told."""

    def __init__(self) -> None:
        self.begun = 0
        self.epochs: list[tuple[str, float]] = []
        self.results: list[Result] = []

    def begin(self) -> None:
        assert not self.epochs and not self.results
        self.begun += 1

    def epoch(self, trial: Trial, row: Mapping[str, float]) -> None:
        self.epochs.append((trial.key, row["epoch"]))

    def result(self, result: Result) -> None:
        self.results.append(result)


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def without_times(record: dict[str, object]) -> dict[str, object]:
    """A result's record less what differs between two equal runs: durations and provenance."""
    timed = ("images_per_second", "seconds_per_epoch")
    rows = [{name: value for name, value in row.items() if name not in timed} for row in record["curve"]]  # type: ignore[attr-defined]
    metrics = {name: value for name, value in record["metrics"].items() if name not in timed}  # type: ignore[attr-defined]
    return {**record, "curve": rows, "metrics": metrics, "seconds": 0, "provenance": {}}
