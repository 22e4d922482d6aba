"""Finds the images of a data set, downloading them if need be, and opens them without decoding."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ablations.core.errors import InputError
from ablations.core.text import few
from ablations.subjects.alexnet.data.catalogue import DEFAULT, FOLDER, Dataset, folder_of, user_cache
from ablations.subjects.alexnet.data.decode import Images
from ablations.subjects.alexnet.data.folders import (
    Files,
    Folders,
    by_class,
    class_folders,
    image_names,
    scan,
    splits,
)
from ablations.subjects.alexnet.data.idx import find_idx, read_idx
from ablations.subjects.alexnet.data.imagenet import validation_classes

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package dataset-fashion-mnist puts it
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Part:
    """One split, not decoded yet."""

    images: Images  # N files, or an array (N, H, W, C) uint8
    labels: NDArray[np.int64]  # (N,)

    def lines(self) -> Iterator[str]:
        """Yields one line per image, which changes when its file does."""
        return self.images.lines() if isinstance(self.images, Files) else map(str, range(len(self.images)))


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Both splits, ready to be decoded."""

    classes: tuple[str, ...]
    train: Part
    test: Part

    def lines(self) -> Iterator[str]:
        """Yields one line per image of both splits, which changes when its file does."""
        yield from self.train.lines()
        yield from self.test.lines()


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set that was found, and how to open it."""

    identity: str  # differs between any two data sets, and is known without decoding
    place: str  # where it lies, which stays the same when single files change
    open: Callable[[], Opened]  # may raise OSError; call `opened` instead
    remarks: tuple[str, ...] = ()  # sentences on files that are not used

    def opened(self) -> Opened:
        """Returns both splits.  Raises InputError, in one sentence, when they cannot be read."""
        try:
            return self.open()
        except OSError as error:
            raise InputError(f"The data set in {self.place} cannot be read: {error}.") from error


def find(dataset: Dataset, *, data_root: Path | None, size: int) -> Source:
    """Finds the source of `dataset`; one that is not there is downloaded into `data_root` if that is possible.

    `size`, in pixels a side, chooses between the archives of Imagenette.
    Raises InputError, in one sentence, when the data set is not there or not laid out as it should be.
    """
    try:
        if dataset.name.startswith(FOLDER):
            path = folder_of(dataset.name)
            found = scan(path)
            return Source(
                identity=_digest(found.listing()),
                place=str(path),
                open=lambda: _open_folders(found),
                remarks=tuple(found.remarks()),
            )
        if dataset.name == DEFAULT:
            return _idx(dataset, find_idx(resources.files("ablations.subjects.alexnet.data.embedded")))
        root = data_root or user_cache("name a folder for data sets with --data-root") / "downloads"
        if dataset.name == "fashion-mnist":
            return _idx(dataset, _fashion_mnist(dataset, root))
        if dataset.name == "imagenette":
            return _unpacked(dataset, _imagenette(dataset, root, size))
        if dataset.name == "imagenet":
            return _unpacked(dataset, _imagenet(dataset, data_root))
    except OSError as error:
        raise InputError(f"The data set {dataset.name!r} cannot be read: {error}.") from error
    # CIFAR-10 or CIFAR-100.  torchvision checks their files against published sums, so their name is their identity.
    return Source(identity=dataset.name, place=dataset.name, open=lambda: _cifar(dataset, root))


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:  # one at a time, since there may be a million
        digest.update(f"{line}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _idx(dataset: Dataset, files: tuple[Traversable, ...] | None) -> Source:
    if files is None:
        raise InputError(f"The files of the data set {dataset.name!r} are missing: install them again.")

    def part(images: Traversable, labels: Traversable) -> Part:
        pixels, classes = read_idx(images), read_idx(labels)
        if pixels.ndim != 3 or classes.shape != pixels.shape[:1] or classes.max() >= len(FASHION_CLASSES):
            raise InputError(f"The files {images} and {labels} do not hold the images and labels of Fashion-MNIST.")
        return Part(images=pixels[..., None], labels=classes.astype(np.int64))

    def opened() -> Opened:
        return Opened(classes=FASHION_CLASSES, train=part(*files[:2]), test=part(*files[2:]))

    # These files are small enough to identify them by their content: hashing the 30 MB of Fashion-MNIST takes 20 ms.
    identity = _digest(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    return Source(identity=identity, place=identity, open=opened)


def _fashion_mnist(dataset: Dataset, root: Path) -> tuple[Traversable, ...] | None:
    unpacked = root / "FashionMNIST" / "raw"  # where torchvision puts it
    for folder in (root, unpacked, DEBIAN):
        if files := find_idx(folder):
            return files
    _fetch(dataset, root, lambda datasets: datasets.FashionMNIST(root, download=True))
    return find_idx(unpacked)


def _cifar(dataset: Dataset, root: Path) -> Opened:
    def splits(datasets: Any, download: bool) -> list[Any]:
        kind = getattr(datasets, dataset.name.upper())
        return [kind(root, train=train, download=download) for train in (True, False)]

    try:
        both = splits(importlib.import_module("torchvision.datasets"), download=False)
    except (ImportError, RuntimeError):  # RuntimeError: the files are missing or incomplete
        both = _fetch(dataset, root, lambda datasets: splits(datasets, download=True))
    train, test = (Part(images=split.data, labels=np.array(split.targets, dtype=np.int64)) for split in both)
    return Opened(classes=tuple(both[0].classes), train=train, test=test)


def _imagenette(dataset: Dataset, root: Path, size: int) -> Path:
    side = "160px" if size <= 160 else "320px"
    folder = root / f"imagenette2-{side.removesuffix('px')}"
    if not folder.is_dir():
        _fetch(dataset, root, lambda datasets: datasets.Imagenette(root, size=side, download=True))
    return folder


def _imagenet(dataset: Dataset, root: Path | None) -> Path:
    archives = "ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz"
    if root is not None and all((root / split).is_dir() for split in ("train", "val")):
        return root
    if root is None or not (root / "ILSVRC2012_devkit_t12.tar.gz").is_file():
        raise InputError(
            "The data set 'imagenet' cannot be downloaded: give --data-root with a folder that holds "
            f"{archives} from https://image-net.org, or train/ and val/ with its class folders"
            + ("." if root is None else f", neither of which is in {root}.")
        )
    _fetch(dataset, root, lambda datasets: [datasets.ImageNet(root, split=split) for split in ("train", "val")])
    return root


def _fetch(dataset: Dataset, root: Path, get: Callable[[Any], Any]) -> Any:
    """Returns what `get` gives for torchvision.datasets, letting one process download at a time.

    Raises InputError, in one sentence, when that fails.
    """
    try:
        datasets = importlib.import_module("torchvision.datasets")
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".ablations.lock"):
            return get(datasets)
    except (ImportError, OSError, RuntimeError) as error:
        cause = " ".join(str(error).split())
        raise InputError(
            f"The data set {dataset.name!r} could not be obtained through torchvision in {root} ({cause}): give "
            f"--data-root with a folder that holds it, --dataset {FOLDER}PATH with class folders of images, "
            f"or --dataset {DEFAULT}, which needs no network."
        ) from error


def _unpacked(dataset: Dataset, path: Path) -> Source:
    """Returns the source of the folder of a published archive.

    Its identity is that of its class folders and their times of change, so that a million files need not be listed each
    time a study starts.
    """

    def opened() -> Opened:
        flat = dataset.name == "imagenet" and not class_folders(path / "val")
        both = _open_flat(path) if flat else _open_folders(scan(path))
        counts = (len(both.train.labels), len(both.test.labels))
        if counts != (dataset.train_images, dataset.test_images):
            raise InputError(
                f"The folder {path} holds {counts[0]} training and {counts[1]} test images where {dataset.name} has "
                f"{dataset.train_images} and {dataset.test_images}: delete it if its unpacking was cut short, "
                f"or use it as it is with --dataset {FOLDER}{path}."
            )
        return both

    # A split without class folders is one folder by itself.
    folders = [folder for split in splits(path) for folder in class_folders(split) or [split]]
    identity = _digest(f"{folder.resolve()}\t{folder.stat().st_mtime_ns}" for folder in folders)
    return Source(identity=identity, place=str(path.resolve()), open=opened)


def _open_folders(found: Folders) -> Opened:
    train, test = (Part(images=files, labels=_labels(files)) for files in (found.train, found.test))
    return Opened(classes=tuple(found.train.names), train=train, test=test)


def _open_flat(path: Path) -> Opened:
    """Opens ImageNet with its validation images in one folder, into which their archive unpacks them."""
    train = by_class(path / "train")
    names = image_names(path / "val")
    numbers = {name: number for number, name in enumerate(train.names)}
    of_images = validation_classes(path, names)
    if unknown := sorted(set(of_images) - numbers.keys()):
        raise InputError(f"The folder {path / 'train'} has no class folders {few(unknown, 5)}.")
    return Opened(
        classes=tuple(train.names),
        train=Part(images=train, labels=_labels(train)),
        test=Part(
            images=Files(folder=path / "val", names={"": names}),
            labels=np.array([numbers[name] for name in of_images], dtype=np.int64),
        ),
    )


def _labels(files: Files) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(files.names), dtype=np.int64), files.counts)
