"""The data sets that have a name, as data, and where their images are kept.  Light: planning imports no torch."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from ablations.core.errors import InputError, at_home, unknown

FOLDER = "folder:"
# Of a prepared folder; part of its name, so that another schema decodes again.  3: orientation, 16 bits, transparency.
CACHE_SCHEMA = 3
DEFAULT = "fashion-mnist-small"  # embedded: a first run needs no network


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One data set before anything of it is read; None where only the images can tell."""

    name: str
    summary: str  # one line: what it holds
    source: str  # where it comes from
    num_classes: int | None
    native_size: int | None  # pixels a side as published; None when images vary
    channels: int
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
    """The data set of that name; `folder:PATH` is a folder of one's own, which is not looked at here.

    Raises ValueError with the nearest name.
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
    """What a reader must know of the data: the named set's summary, or a folder's own NOTE.txt, if it has one."""
    if not name.startswith(FOLDER):
        return dataset(name).summary
    note = folder_of(name) / "NOTE.txt"
    if not os.path.isfile(note):  # nor is it where the path is too long to be one
        return ""
    try:
        # Whoever wrote it on Windows wrote a mark at its start, or no UTF-8 at all: neither is worth a study.
        text = note.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"The file {note} cannot be read: {error.strerror}.") from error
    shown = "".join("\ufffd" if unicodedata.category(sign) == "Cc" and not sign.isspace() else sign for sign in text)
    return " ".join(shown.split())


def folder_of(name: str, base: Path | None = None) -> Path:
    """The folder that `folder:PATH` names, absolute: `~` is the user's own, and a relative PATH is one of `base`.

    Without a `base`, of the folder that the process stands in.  Raises InputError where nobody knows what `~` is.
    """
    return ((base or Path.cwd()) / at_home(name.removeprefix(FOLDER))).resolve()


def cache_folder() -> Path:
    """Where decoded images are kept: ABLATIONS_CACHE, or the user's own cache folder.

    Raises InputError where neither can be had.
    """
    return at_home(os.environ.get("ABLATIONS_CACHE") or user_cache("name one with ABLATIONS_CACHE")).resolve()


def user_cache(remedy: str) -> Path:
    """The user's own cache folder.  Raises InputError with the remedy where the user has no home folder."""
    import platformdirs  # reading prepared data needs torch and numpy, and nothing else

    try:
        found = Path(platformdirs.user_cache_dir("ablations"))
    except RuntimeError:
        found = Path()
    if not found.is_absolute():  # older versions leave "~" as it is
        raise InputError(f"this user has no home folder, and so none for caches: {remedy}.")
    return found
