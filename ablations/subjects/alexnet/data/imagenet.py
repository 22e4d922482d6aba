"""ImageNet's validation images as their archive leaves them: in one folder, their classes in a file of the devkit."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ablations.core.errors import InputError

DEVKIT = "ILSVRC2012_devkit_t12"  # a folder, or with .tar.gz the archive that holds it
TRUTH = "data/ILSVRC2012_validation_ground_truth.txt"
META = "data/meta.mat"
SOLUTION = "LOC_val_solution.csv"  # of the copy that Kaggle hands out


def validation_classes(root: Path, names: Sequence[str]) -> list[str]:
    """The class, such as n01440764, of each validation image of `names`, which are in alphabetical order.

    Read from the devkit in `root`, unpacked or not, or from Kaggle's solution file.
    Raises InputError when neither is there, or when they are not about these images.
    """
    if (root / SOLUTION).is_file():
        found = _of_solution(root / SOLUTION)
        if missing := [name for name in names if Path(name).stem not in found]:
            raise InputError(f"The file {root / SOLUTION} does not say of which class {missing[0]} is.")
        return [found[Path(name).stem] for name in names]
    truth, meta = _devkit(root)
    numbers = [int(line) for line in truth.split()]
    if len(numbers) != len(names):
        raise InputError(
            f"The folder {root / 'val'} holds {len(names)} images, and the devkit's ground truth is of {len(numbers)}."
        )
    classes = _classes_of_numbers(meta)
    return [classes[number] for number in numbers]


def _of_solution(file: Path) -> dict[str, str]:
    """Image -> class; a row is `ILSVRC2012_val_00048981,n03995372 85 1 499 272`, boxes after the class."""
    with file.open(newline="") as rows:
        return {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(rows)}


def _devkit(root: Path) -> tuple[str, bytes]:
    """The ground truth's text, a number a line, and the bytes of the table that says what the numbers mean."""
    if (root / DEVKIT).is_dir():
        folder = root / DEVKIT
        return (folder / TRUTH).read_text(), (folder / META).read_bytes()
    archive = root / f"{DEVKIT}.tar.gz"
    if not archive.is_file():
        raise InputError(
            f"The images of {root / 'val'} lie in no class folders: put {DEVKIT}.tar.gz, or Kaggle's {SOLUTION}, "
            f"into {root}, which say of which class each is."
        )
    try:
        with tarfile.open(archive) as members:
            truth, meta = (_member(members, f"{DEVKIT}/{name}") for name in (TRUTH, META))
    except (tarfile.TarError, EOFError, KeyError) as error:
        raise InputError(f"The file {archive} is not ImageNet's devkit: {error}.") from error
    return truth.decode(), meta


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(f"{name} is no file")
    return file.read()


def _classes_of_numbers(meta: bytes) -> dict[int, str]:
    """Number -> class; synsets that have children are no classes, and not counted among the 1,000."""
    from scipy.io import loadmat

    synsets: Any = np.atleast_1d(loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"])  # type: ignore[arg-type]
    rows = (synset.tolist() for synset in synsets)  # number, class, words, gloss, how many children, ...
    return {int(row[0]): str(row[1]) for row in rows if int(row[4]) == 0}
