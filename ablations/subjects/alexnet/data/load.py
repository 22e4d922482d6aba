"""A prepared folder -> tensors that share its memory map, and which of the images to use.

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

# Linux's own number, which Python's mmap does not know before 3.13.
NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)


@dataclass(frozen=True)
class Split:
    """Images (N, S, S, C) uint8, their labels (N,) int64 and the CRC-32 of each one's bytes (N,) int64."""

    images: Tensor
    labels: Tensor
    hashes: Tensor
    pages: mmap.mmap | None = None  # the map that images lie in, at its end; None where they lie in memory


@dataclass(frozen=True)
class Data:
    """A data set and the statistics of its training pixels, in grey levels of 0-255."""

    name: str
    classes: tuple[str, ...]
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
        """How many classes there are."""
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
    """The `Data` that `prepare` left in `folder`; images are read from disk as they are used.

    Processes that load one folder share its pages.  Raises ValueError when there is nothing prepared.
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
    """The array of bytes in `path`, read from disk as it is used, and its map."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
        # Copy on write: torch wants memory that it may write to, and nobody's writing reaches the
        # file.  Without a reserve for those copies, or Linux refuses what exceeds its memory,
        # as it does to np.load(mmap_mode="c").
        flags, access = mmap.MAP_PRIVATE | NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        pages = mmap.mmap(file.fileno(), 0, flags=flags, prot=access)
        return torch.frombuffer(pages, dtype=torch.uint8, offset=file.tell()).view(shape), pages


def placed(data: Data, device: torch.device, *, memory_bytes: float) -> Data:
    """`data` in the memory of `device` where its images take up to `memory_bytes`, else as it is.

    On the CPU images always stay as they are: mapped, in pages that the system shares between processes
    and takes back when it needs them.
    """
    if device.type == "cpu" or image_bytes(data) > memory_bytes:
        return data
    train, test = (replace(split, images=split.images.to(device), pages=None) for split in (data.train, data.test))
    statistics = {
        name: getattr(data, name).to(device) for name in ("mean", "mean_image", "components", "component_deviations")
    }
    return replace(data, train=train, test=test, **statistics)


def memory_bytes(gib: float | None, device: torch.device, *, share: float) -> float:
    """How much of the memory of `device` images may take: `gib`, or half of a trial's share of a GPU."""
    if gib is not None:
        return gib * 2**30
    return torch.cuda.get_device_properties(device).total_memory * share / 2 if device.type == "cuda" else 0.0


def image_bytes(data: Data) -> int:
    """How many bytes the images of both splits take."""
    return data.train.images.numel() + data.test.images.numel()


def held_out(split: Split, *, share: float = 0.1) -> Tensor:
    """Which images (N,) bool are the validation split: about `share` of them, by a hash of the image's bytes.

    So neither the order nor the number of images matters, and exact duplicates fall on one side.
    """
    return split.hashes < share * 2**32


def evaluated_labels(data: Data, evaluate_on: str) -> Tensor:
    """The labels (E,) of the images that trials evaluate on: test, or the validation split."""
    return data.train.labels[held_out(data.train)] if evaluate_on == "validation" else data.test.labels


def chance_error_percent(labels: Tensor) -> float:
    """The error of always naming the commonest of these labels (E,)."""
    return 100 * (1 - float(labels.bincount().max()) / len(labels))


def stratified(labels: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Sorted indices (count,) int64 of images of each class, in proportion to the classes of `labels` (N,).

    Those that `generator` draws, or the first of each class.  Shares are rounded by largest remainder, ties to the
    first classes.  Raises ValueError when `count` is below 1 or above N.
    """
    if not 1 <= count <= len(labels):
        raise ValueError(f"{count} examples cannot be taken out of {len(labels)}.")
    sizes = torch.bincount(labels)
    shares, remainders = sizes * count // len(labels), sizes * count % len(labels)
    shares[remainders.argsort(descending=True, stable=True)[: count - int(shares.sum())]] += 1
    order = torch.arange(len(labels)) if generator is None else torch.randperm(len(labels), generator=generator)
    by_class = torch.split(order[labels[order].argsort(stable=True)], sizes.tolist())
    return torch.cat([members[:share] for members, share in zip(by_class, shares.tolist(), strict=True)]).sort().values
