"""The table of named data sets, and where their images are kept.  Imports no torch, so that planning is quick."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from ablations.core.errors import InputError, at_home, unknown

FOLDER = "folder:"  # how the name of a user's own folder of images begins
# The version of the rules by which images are decoded.  It is part of a prepared folder's name, so that images are
# decoded again under other rules.  3 added orientation, 16 bits and transparency.
CACHE_SCHEMA = 3
DEFAULT = "fashion-mnist-small"  # embedded: a first run needs no network


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What is known of a data set before any of it is read; None where only the images can tell."""

    name: str
    summary: str  # one line: what it holds
    source: str  # where it comes from
    num_classes: int | None
    native_size: int | None  # pixels a side as published; None when images vary
    channels: int  # 1 for greyscale, 3 for colour
    train_images: int | None
    test_images: int | None
    licence: str
    needs_network: bool = False  # the first time, unless --data-root holds the files


DATASETS: dict[str, Dataset] = {
    entry.name: entry
    for entry in (
        Dataset(
            name="fashion-mnist-small",
            summary="the first 600 and 100 images of each class of Fashion-MNIST; comes with the package",
            source="Xiao, Rasul and Vollgraf 2017, a subset; ablations/subjects/alexnet/data/embedded/rebuild.py",
            num_classes=10,
            native_size=28,
            channels=1,
            train_images=6_000,
            test_images=1_000,
            licence="MIT",
        ),
        Dataset(
            name="fashion-mnist",
            summary="greyscale clothes; from --data-root, Debian's dataset-fashion-mnist, or downloaded",
            source="Xiao, Rasul and Vollgraf 2017, https://github.com/zalandoresearch/fashion-mnist",
            num_classes=10,
            native_size=28,
            channels=1,
            train_images=60_000,
            test_images=10_000,
            licence="MIT",
            needs_network=True,
        ),
        Dataset(
            name="cifar10",
            summary="tiny colour photographs of ten kinds of thing; the paper's second data set",
            source="Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
            num_classes=10,
            native_size=32,
            channels=3,
            train_images=50_000,
            test_images=10_000,
            licence="none stated",
            needs_network=True,
        ),
        Dataset(
            name="cifar100",
            summary="tiny colour photographs of a hundred kinds of thing, 500 each to train on",
            source="Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
            num_classes=100,
            native_size=32,
            channels=3,
            train_images=50_000,
            test_images=10_000,
            licence="none stated",
            needs_network=True,
        ),
        Dataset(
            name="imagenette",
            summary="ten easily told classes of ImageNet, photographs of 160 or 320 pixels",
            source="Howard 2019, https://github.com/fastai/imagenette",
            num_classes=10,
            native_size=None,
            channels=3,
            train_images=9_469,
            test_images=3_925,
            licence="Apache 2.0 for the collection; the images are ImageNet's",
            needs_network=True,
        ),
        Dataset(
            name="imagenet",
            summary="ILSVRC-2012, the paper's data set; cannot be downloaded, needs --data-root",
            source="Russakovsky et al. 2015, https://image-net.org/challenges/LSVRC/2012",
            num_classes=1_000,
            native_size=None,
            channels=3,
            train_images=1_281_167,
            test_images=50_000,
            licence="non-commercial research, by registration",
        ),
    )
}


def dataset(name: str) -> Dataset:
    """Returns the data set of that name; `folder:PATH` is a folder of the user's own, which is not opened here.

    Raises InputError with the nearest name if there is none.
    """
    if name.startswith(FOLDER) and name != FOLDER:
        return Dataset(
            name=name,
            summary="class folders of images under train/ and test/ or val/",
            source=name.removeprefix(FOLDER),
            num_classes=None,
            native_size=None,
            channels=3,
            train_images=None,
            test_images=None,
            licence="the user's own",
        )
    if name not in DATASETS:
        raise unknown("data set", name, [*DATASETS, f"{FOLDER}PATH"])
    return DATASETS[name]


def note_of(name: str) -> str:
    """Returns what a report says of the data: the summary of a named set, or the text of a folder's NOTE.txt, if any.

    Raises InputError if NOTE.txt is there and cannot be read.
    """
    if not name.startswith(FOLDER):
        return dataset(name).summary
    note = folder_of(name) / "NOTE.txt"
    if not os.path.isfile(note):  # unlike Path.is_file, this is False rather than an error for a path that is too long
        return ""
    try:
        # A file from Windows may begin with a byte order mark or may not be UTF-8; neither is a reason to stop a study.
        text = note.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"The file {note} cannot be read: {error.strerror}.") from error
    shown = "".join("\ufffd" if unicodedata.category(sign) == "Cc" and not sign.isspace() else sign for sign in text)
    return " ".join(shown.split())


def folder_of(name: str, base: Path | None = None) -> Path:
    """Returns the folder that `folder:PATH` names, as an absolute path, with `~` replaced.

    A relative PATH starts from `base`, or from the current folder if there is none.  Raises InputError if `~` is used
    and the home folder is not known.
    """
    return ((base or Path.cwd()) / at_home(name.removeprefix(FOLDER))).resolve()


def cache_folder() -> Path:
    """Returns the folder where decoded images are kept: ABLATIONS_CACHE, or the user's cache folder.

    Raises InputError if neither is known.
    """
    return at_home(os.environ.get("ABLATIONS_CACHE") or user_cache("name one with ABLATIONS_CACHE")).resolve()


def user_cache(remedy: str) -> Path:
    """Returns the user's cache folder.  Raises InputError, which names the remedy, if the user has no home folder."""
    import platformdirs  # here, because reading prepared data must need nothing but torch and numpy

    try:
        found = Path(platformdirs.user_cache_dir("ablations"))
    except RuntimeError:
        found = Path()
    if not found.is_absolute():  # older versions of platformdirs do not expand "~"
        raise InputError(f"this user has no home folder, and so none for caches: {remedy}.")
    return found
