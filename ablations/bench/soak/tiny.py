"""Runs tiny studies, of a few images and one epoch, by the real command, and finds what one of them has lost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ablations.bench.soak.processes import MARK, left_after, marked
from ablations.core.result import Result
from ablations.records import store
from ablations.records.files import DAMAGED, why
from ablations.records.measures import complete, lacking, needed

COLOURS = ("blue", "green", "red")
IMAGES = {"train": 20, "test": 10}  # number of images of each colour
SIDE = 16  # pixels of a side of an image
# Everything in a finished study's folder.
SAME_OF_A_STUDY = {"study.json", "table.csv", "ensembles.json", "trials", "predictions", "samples.png", "findings.json"}
TIMED = ("images_per_second", "seconds_per_epoch")  # numbers that differ between two equal runs
GRACE = 90.0  # seconds that the processes of a killed Ray have to end: its agents look for its GCS for 60


@dataclass(frozen=True)
class Ended:
    """The exit code of a command, and what it printed."""

    code: int
    out: str  # on standard output
    error: str  # on standard error

    @property
    def trained(self) -> int:
        """How many trials it finished, by the lines that it printed."""
        return len(re.findall(r"% test error in", self.out))

    @property
    def sentence(self) -> str:
        """The last line that it printed on standard error."""
        return (self.error.strip().splitlines() or [""])[-1]


@dataclass(frozen=True)
class Place:
    """The temporary folder of a soak, for data, records, reports, caches and temporary files."""

    folder: Path
    mark: str  # in the environment of every process that the soak starts

    @property
    def temporary(self) -> Path:
        """Where the commands and their Ray put temporary files."""
        return self.folder / "tmp"

    def study(self, name: str) -> Path:
        """Returns the folder of the study `name`."""
        return self.folder / "results" / name

    def environment(self) -> dict[str, str]:
        """Returns the environment of every command that the soak starts."""
        places = {"ABLATIONS_CACHE": str(self.folder / "cache"), "TMPDIR": str(self.temporary)}
        # torch makes an empty folder for its compiler; it must not count as a file that a study left behind.
        places["TORCHINDUCTOR_CACHE_DIR"] = str(self.folder / "torch")
        return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **places, MARK: self.mark}

    def words(self, name: str, *, seeds: int, components: str, executor: str) -> list[str]:
        """Returns the command of a study, without the name of the interpreter."""
        budget = ["--train-examples", "32", "--batch-size", "32", "--image-size", str(SIDE), "--epochs", "1"]
        places = ["--results", str(self.folder / "results"), "--reports", str(self.folder / "reports")]
        asked = ["--grid", "one_out", "--components", components, "--preset", "cifar_small", "--seeds", str(seeds)]
        data = ["--dataset", f"folder:{self.folder / 'data'}", "--no-mlflow", "--format", "csv"]
        return ["-m", "ablations.run", *asked, *budget, *data, *places, "--name", name, "--executor", executor]

    def start(self, words: list[str], **more: str) -> subprocess.Popen[str]:
        """Starts this Python interpreter with `words`; the environment also has `more`, and output goes to files."""
        environment = {**self.environment(), **more}
        with self._said("out").open("w") as out, self._said("error").open("w") as error:
            return subprocess.Popen([sys.executable, *words], stdout=out, stderr=error, text=True, env=environment)

    def ended(self, process: subprocess.Popen[str]) -> Ended:
        """Waits for the process that was started last, and returns its exit code and what it printed."""
        code = process.wait()
        return Ended(code, self._said("out").read_text(), self._said("error").read_text())

    def _said(self, stream: str) -> Path:
        return self.folder / f"said.{stream}"


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """Makes a `Place` with images, whose path is short enough for the sockets of Ray, and removes it at the end."""
    parent = "/tmp" if os.access("/tmp", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="soak-", dir=parent, ignore_cleanup_errors=True) as folder:
        made = Place(Path(folder), secrets.token_hex(8))
        made.temporary.mkdir()
        _images(made.folder / "data")
        try:
            yield made
        finally:  # a study may still run if the soak was interrupted
            for process in marked(made.mark):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.number, signal.SIGKILL)


def _images(root: Path) -> None:
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for split, count in IMAGES.items():
        for number, colour in enumerate(COLOURS):
            folder = root / split / colour
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 200, (SIDE, SIDE, 3))
                pixels[..., 2 - number] += 55
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index:03}.png")


@dataclass(frozen=True)
class Seen:
    """The records of a study at one moment, by the key of their trial.

    Records of failed trials, which are tried again, are left out.
    """

    finished: Mapping[str, bytes]  # the bytes of each finished record
    unmeasured: Mapping[str, dict[str, object]]  # what the training decided, of references that still lack activities
    torn: tuple[str, ...]  # a sentence for each record that cannot be read


def seen(folder: Path) -> Seen:
    """Returns the records in `folder`; each is read only once, since it may be replaced meanwhile."""
    measures = needed(store.read_study(folder)) if (folder / "study.json").exists() else ()
    done, half, torn = dict[str, bytes](), dict[str, dict[str, object]](), []
    for path in sorted((folder / "trials").glob("*.json")):
        text = path.read_bytes()
        try:
            record = json.loads(text)
            checksum = record.pop("checksum")
            if checksum != store.checksum(record):
                raise ValueError("its checksum does not fit")
            result = Result.from_dict(record)
        except DAMAGED as error:
            torn.append(f"record {path.stem} was torn by the fault: {why(error)}")
            continue
        if complete(result, measures):
            done[path.stem] = text
        elif lacking(result, measures):
            half[path.stem] = _trained(without_times(result))
    return Seen(done, half, tuple(torn))


def _trained(record: dict[str, object]) -> dict[str, object]:
    """Returns the part of a record that its training decides, without activities and notes, which measuring adds."""
    return {**record, "activity": {}, "notes": []}


def contents(folder: Path) -> dict[str, dict[str, object]]:
    """Returns the content of each record without what differs between two equal runs: times, checksum, provenance."""
    found, _ = store.read_all(folder)
    return {key: without_times(result) for key, result in found.items()}


def without_times(result: Result) -> dict[str, object]:
    """Returns the content of a record without times and provenance."""
    record = result.to_dict()
    curve = [{name: value for name, value in row.items() if name not in TIMED} for row in record["curve"]]
    metrics = {name: value for name, value in record["metrics"].items() if name not in TIMED}
    return {**record, "curve": curve, "metrics": metrics, "seconds": 0, "provenance": {}}


def gone(before: Seen, now: Seen) -> list[str]:
    """Returns a sentence if finished records changed or went since `before`, and one for each torn record."""
    changed = [key for key, text in before.finished.items() if now.finished.get(key) != text]
    lost = [f"finished records changed or went: {', '.join(changed)}"] if changed else []
    return [*lost, *now.torn]


def losses(place: Place, name: str, before: Seen, like: Mapping[str, dict[str, object]], again: Ended) -> list[str]:
    """Returns a sentence for each thing that the study `name` lost, doubled or left behind.

    `before` holds the records at the time of the fault, `like` the records of a run without faults, and `again` is the
    last run of the same command.
    """
    folder = place.study(name)
    said, lost = contents(folder), gone(before, seen(folder))
    if again.code:
        lost.append(f"the same command ended with exit code {again.code}: {again.sentence}")
    if other := [key for key, record in before.unmeasured.items() if key not in said or _trained(said[key]) != record]:
        lost.append(f"records that waited to be measured changed or went: {', '.join(other)}")
    found, problems = store.read_all(folder)
    lost += problems
    if missing := like.keys() - found.keys():
        lost.append(f"{len(missing)} trials have no record")
    if surplus := found.keys() - like.keys():
        lost.append(f"{len(surplus)} records are of no trial of the study")
    if other := [key for key in said.keys() & like.keys() if said[key] != like[key]]:
        lost.append(f"records differ from those of an undisturbed run: {', '.join(sorted(other))}")
    if again.trained > (left := len(like) - len(before.finished)):
        lost.append(f"{again.trained} trials were run where {left} were left")
    return lost + left_behind(place, name)


def left_behind(place: Place, name: str) -> list[str]:
    """Returns a sentence for each process, temporary file or other file that a finished study left behind."""
    left = [f"process {one.number} is left: {one.title[:80]}" for one in left_after(place.mark, GRACE)]
    left += [f"temporary {path.name} is left" for path in sorted(place.temporary.iterdir())]
    folder = place.study(name)
    odd = [path for path in folder.iterdir() if path.name not in SAME_OF_A_STUDY]
    odd += [path for path in (folder / "trials").iterdir() if path.suffix != ".json" or path.name.startswith(".")]
    odd += [path for path in (folder / "predictions").iterdir() if path.suffix != ".npz" or path.name.startswith(".")]
    return left + [f"{path.relative_to(folder)} is no record and is left" for path in odd]
