"""Loads a prepared folder as tensors over a memory map, and chooses which of its images to use.

Shapes: N images, S pixels a side, C channels.
"""

from __future__ import annotations

import json
import mmap
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ablations.subjects.alexnet.data.catalogue import CACHE_SCHEMA

# The number that Linux gives the flag; Python's mmap has a name for it since 3.13.
NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)


@dataclass(frozen=True)
class Split:
    """The images of one split, with their labels and hashes."""

    images: Tensor  # (N, S, S, C) uint8
    labels: Tensor  # (N,) int64
    hashes: Tensor  # (N,) int64: the CRC-32 of each image's bytes
    pages: mmap.mmap | None = None  # the memory map whose last bytes are the images; None if they are in memory


@dataclass(frozen=True)
class Data:
    """A data set and the statistics of its training pixels, in grey levels of 0-255."""

    name: str
    classes: tuple[str, ...]  # names, by label
    train: Split
    test: Split
    mean: Tensor  # (C,) float32, the mean colour
    std: float  # root mean square of (pixel - mean colour) over all pixels and channels
    mean_image: Tensor  # (S, S, C) float32
    components: Tensor  # (C, C) float32, principal components of the colours as columns
    component_deviations: Tensor  # (C,) float32, standard deviations along them, descending
    fingerprint: str  # sixteen hex digits of the images and labels, whatever their path

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def channels(self) -> int:
        """1 for greyscale, 3 for colour."""
        return len(self.mean)

    @property
    def size(self) -> int:
        """Pixels a side of the stored images."""
        return len(self.mean_image)


def load(folder: Path) -> Data:
    """Returns the `Data` that `prepare` wrote to `folder`; images are read from disk as they are used.

    Processes that load the same folder share its pages of memory.  Raises ValueError when nothing is prepared there, or
    under other rules.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder} holds no prepared data set.") from None
    if meta["schema"] != CACHE_SCHEMA:
        raise ValueError(f"{folder} was prepared under schema {meta['schema']}, not {CACHE_SCHEMA}; delete it.")
    return Data(
        name=meta["dataset"],
        classes=tuple(meta["classes"]),
        train=_split(folder, "train"),
        test=_split(folder, "test"),
        mean=torch.tensor(meta["mean"]),
        std=meta["std"],
        mean_image=torch.from_numpy(np.load(folder / "mean_image.npy")),
        components=torch.tensor(meta["components"]),
        component_deviations=torch.tensor(meta["component_deviations"]),
        fingerprint=meta["fingerprint"],
    )


def _split(folder: Path, name: str) -> Split:
    labels, hashes = (np.load(folder / f"{name}_{what}.npy").astype(np.int64) for what in ("labels", "hashes"))
    images, pages = _mapped(folder / f"{name}_images.npy")
    return Split(images=images, labels=torch.from_numpy(labels), hashes=torch.from_numpy(hashes), pages=pages)


def _mapped(path: Path) -> tuple[Tensor, mmap.mmap]:
    """Returns the uint8 array in `path`, read from disk as it is used, and its memory map."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
        # MAP_PRIVATE with PROT_WRITE is copy on write: torch wants writable memory, and nothing that is
        # written reaches the file.  Without NO_RESERVE, Linux would reserve memory for such copies and
        # refuse a file that is larger than memory, as it does for np.load(mmap_mode="c").
        flags, access = mmap.MAP_PRIVATE | NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        pages = mmap.mmap(file.fileno(), 0, flags=flags, prot=access)
        return torch.frombuffer(pages, dtype=torch.uint8, offset=file.tell()).view(shape), pages


def placed(data: Data, device: torch.device, *, memory_bytes: float) -> Data:
    """Returns `data` moved to `device` if its images take at most `memory_bytes`, otherwise as it is.

    On the CPU, images always stay mapped: the system shares their pages between processes and frees them
    when it needs the memory.
    """
    if device.type == "cpu" or image_bytes(data) > memory_bytes:
        return data
    train, test = (replace(split, images=split.images.to(device), pages=None) for split in (data.train, data.test))
    statistics = {
        name: getattr(data, name).to(device) for name in ("mean", "mean_image", "components", "component_deviations")
    }
    return replace(data, train=train, test=test, **statistics)


def memory_bytes(gib: float | None, device: torch.device, *, share: float) -> float:
    """Returns how many bytes of the memory of `device` images may take: `gib`, or half of a trial's share of a GPU."""
    if gib is not None:
        return gib * 2**30
    return torch.cuda.get_device_properties(device).total_memory * share / 2 if device.type == "cuda" else 0.0


def image_bytes(data: Data) -> int:
    """Returns how many bytes the images of both splits take."""
    return data.train.images.numel() + data.test.images.numel()


def held_out(split: Split, *, share: float = 0.1) -> Tensor:
    """Returns which images (N,) bool belong to the validation split: about `share` of them.

    A hash of an image's bytes decides.  So the choice depends neither on the order nor on the number of images, and
    exact duplicates are never on both sides.
    """
    return split.hashes < share * 2**32


def evaluated_labels(data: Data, evaluate_on: str) -> Tensor:
    """Returns the labels (E,) of the E images that trials evaluate on: the test images or the validation split."""
    return data.train.labels[held_out(data.train)] if evaluate_on == "validation" else data.test.labels


def chance_error_percent(labels: Tensor) -> float:
    """Returns the error in percent of always guessing the most frequent of these labels (E,)."""
    return 100 * (1 - float(labels.bincount().max()) / len(labels))


def stratified(labels: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Returns sorted indices (count,) int64 into `labels` (N,) in which each class has its proportion.

    `generator` draws them; without one, they are the first of each class.  The numbers per class are rounded by the
    largest-remainder method, where ties go to the first classes.  Raises ValueError when `count` is below 1 or above N.
    """
    if not 1 <= count <= len(labels):
        raise ValueError(f"{count} examples cannot be taken out of {len(labels)}.")
    sizes = torch.bincount(labels)
    shares, remainders = sizes * count // len(labels), sizes * count % len(labels)
    shares[remainders.argsort(descending=True, stable=True)[: count - int(shares.sum())]] += 1
    order = torch.arange(len(labels)) if generator is None else torch.randperm(len(labels), generator=generator)
    by_class = torch.split(order[labels[order].argsort(stable=True)], sizes.tolist())
    return torch.cat([members[:share] for members, share in zip(by_class, shares.tolist(), strict=True)]).sort().values
