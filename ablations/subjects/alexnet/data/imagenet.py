"""Finds the classes of ImageNet's validation images, which their archive unpacks into one folder.

The devkit, or a file that Kaggle adds, says of which class each image is.
"""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ablations.core.errors import InputError

DEVKIT = "ILSVRC2012_devkit_t12"  # the unpacked folder; with .tar.gz, the archive that holds it
TRUTH = "data/ILSVRC2012_validation_ground_truth.txt"  # the number of a class on each line, by image
META = "data/meta.mat"  # which class each number stands for
SOLUTION = "LOC_val_solution.csv"  # in the copy that Kaggle hands out


def validation_classes(root: Path, names: Sequence[str]) -> list[str]:
    """Returns the class, such as n01440764, of each validation image in `names`, which are in alphabetical order.

    The classes are read from Kaggle's solution file in `root`, or else from the devkit, unpacked or not.
    Raises InputError when neither is there, or when they do not fit these images.
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
    """Returns image -> class from rows such as `ILSVRC2012_val_00048981,n03995372 85 1 499 272` (boxes follow)."""
    with file.open(newline="") as rows:
        return {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(rows)}


def _devkit(root: Path) -> tuple[str, bytes]:
    """Returns the devkit's ground truth, a number on each line, and the content of META.

    Raises InputError when the devkit is missing or damaged.
    """
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
    """Returns number -> class from the content of META.

    META also lists synsets that have children; these are not among the 1,000 classes.
    """
    from scipy.io import loadmat

    synsets: Any = np.atleast_1d(loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"])  # type: ignore[arg-type]
    rows = (synset.tolist() for synset in synsets)  # number, class, words, gloss, how many children, ...
    return {int(row[0]): str(row[1]) for row in rows if int(row[4]) == 0}
