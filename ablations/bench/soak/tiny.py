"""Studies of next to nothing, through the real command: a few images, one epoch; and what is lost of one."""

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
IMAGES = {"train": 20, "test": 10}  # of each colour
SIDE = 16  # pixels
# All that a finished study's folder holds.
SAME_OF_A_STUDY = {"study.json", "table.csv", "ensembles.json", "trials", "predictions", "samples.png", "findings.json"}
TIMED = ("images_per_second", "seconds_per_epoch")
GRACE = 90.0  # seconds in which the rest of a killed Ray may end: its agents look for its GCS for 60


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    error: str

    @property
    def trained(self) -> int:
        """Trials that it says it has finished."""
        return len(re.findall(r"% test error in", self.out))

    @property
    def sentence(self) -> str:
        """The last thing that it said on standard error."""
        return (self.error.strip().splitlines() or [""])[-1]


@dataclass(frozen=True)
class Place:
    """Folders of a soak's own, gone with it: data, records, reports, caches and temporary files."""

    folder: Path
    mark: str

    @property
    def temporary(self) -> Path:
        """Where the commands and their Ray put temporary files."""
        return self.folder / "tmp"

    def study(self, name: str) -> Path:
        """The folder of the study `name`."""
        return self.folder / "results" / name

    def environment(self) -> dict[str, str]:
        """Of every command that is started."""
        places = {"ABLATIONS_CACHE": str(self.folder / "cache"), "TMPDIR": str(self.temporary)}
        # torch makes an empty folder for its compiler, of the same name each time: it is no trace of a study.
        places["TORCHINDUCTOR_CACHE_DIR"] = str(self.folder / "torch")
        return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **places, MARK: self.mark}

    def words(self, name: str, *, seeds: int, components: str, executor: str) -> list[str]:
        """The command of a study."""
        budget = ["--train-examples", "32", "--batch-size", "32", "--image-size", str(SIDE), "--epochs", "1"]
        places = ["--results", str(self.folder / "results"), "--reports", str(self.folder / "reports")]
        asked = ["--grid", "one_out", "--components", components, "--preset", "cifar_small", "--seeds", str(seeds)]
        data = ["--dataset", f"folder:{self.folder / 'data'}", "--no-mlflow", "--format", "csv"]
        return ["-m", "ablations.run", *asked, *budget, *data, *places, "--name", name, "--executor", executor]

    def start(self, words: list[str], **more: str) -> subprocess.Popen[str]:
        """A process of our Python with these words, which says what it says in files."""
        environment = {**self.environment(), **more}
        with self._said("out").open("w") as out, self._said("error").open("w") as error:
            return subprocess.Popen([sys.executable, *words], stdout=out, stderr=error, text=True, env=environment)

    def ended(self, process: subprocess.Popen[str]) -> Ended:
        """What the process that was started last said, when it has ended."""
        code = process.wait()
        return Ended(code, self._said("out").read_text(), self._said("error").read_text())

    def _said(self, stream: str) -> Path:
        return self.folder / f"said.{stream}"


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """A new `Place` with its images, whose path leaves room for the sockets of Ray."""
    parent = "/tmp" if os.access("/tmp", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="soak-", dir=parent, ignore_cleanup_errors=True) as folder:
        made = Place(Path(folder), secrets.token_hex(8))
        made.temporary.mkdir()
        _images(made.folder / "data")
        try:
            yield made
        finally:  # also where it is interrupted, and a study is under way
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
    """The records of a study at one moment, by their trial's key.

    Failures, which are tried again, are in neither.
    """

    finished: Mapping[str, bytes]  # byte for byte
    unmeasured: Mapping[str, dict[str, object]]  # of references that are trained and still lack activities: the rest
    torn: tuple[str, ...]  # what cannot be read


def seen(folder: Path) -> Seen:
    """What `folder` holds now; each record is read once, as it may be replaced meanwhile."""
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
    """What of a record its training alone decides: measuring adds activities, and notes on what it could not do."""
    return {**record, "activity": {}, "notes": []}


def contents(folder: Path) -> dict[str, dict[str, object]]:
    """What each record says, but for times, checksum and provenance, which differ between two equal runs."""
    found, _ = store.read_all(folder)
    return {key: without_times(result) for key, result in found.items()}


def without_times(result: Result) -> dict[str, object]:
    """A record's content less times and provenance, and less which of the trials of one training was trained first."""
    record = result.to_dict()
    curve = [{name: value for name, value in row.items() if name not in TIMED} for row in record["curve"]]
    metrics = {name: value for name, value in record["metrics"].items() if name not in TIMED}
    return {**record, "curve": curve, "metrics": metrics, "seconds": 0, "provenance": {}}


def gone(before: Seen, now: Seen) -> list[str]:
    """One sentence for each kind of thing that was there `before` and is not what it was now."""
    changed = [key for key, text in before.finished.items() if now.finished.get(key) != text]
    lost = [f"finished records changed or went: {', '.join(changed)}"] if changed else []
    return [*lost, *now.torn]


def losses(place: Place, name: str, before: Seen, like: Mapping[str, dict[str, object]], again: Ended) -> list[str]:
    """One sentence for each thing that the study `name` lost, doubled or left behind.

    `before` are the records that were there when the fault had struck, `like` those of a run that nothing disturbed,
    and `again` is the last run of the same command.
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
    """One sentence for each kind of thing that is there when a study has ended and should not be."""
    left = [f"process {one.number} is left: {one.title[:80]}" for one in left_after(place.mark, GRACE)]
    left += [f"temporary {path.name} is left" for path in sorted(place.temporary.iterdir())]
    folder = place.study(name)
    odd = [path for path in folder.iterdir() if path.name not in SAME_OF_A_STUDY]
    odd += [path for path in (folder / "trials").iterdir() if path.suffix != ".json" or path.name.startswith(".")]
    odd += [path for path in (folder / "predictions").iterdir() if path.suffix != ".npz" or path.name.startswith(".")]
    return left + [f"{path.relative_to(folder)} is no record and is left" for path in odd]
