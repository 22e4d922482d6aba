"""A prepared folder -> tensors that share its memory map, and which of the images to use.

Shapes: N images, S pixels a side, C channels.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ablations.data.catalogue import CACHE_SCHEMA


@dataclass(frozen=True)
class Split:
    """Images (N, S, S, C) uint8 and their labels (N,) int64."""

    images: Tensor
    labels: Tensor


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
    # Copy on write: torch wants memory that it may write to, and nobody's writing reaches the file.
    images = np.load(folder / f"{name}_images.npy", mmap_mode="c")
    labels = np.load(folder / f"{name}_labels.npy")
    return Split(images=torch.from_numpy(images), labels=torch.from_numpy(labels))


def held_out(split: Split, *, share: float = 0.1) -> Tensor:
    """Which images (N,) bool are the validation split: about `share` of them, by a hash of the image's bytes.

    So neither the order nor the number of images matters, and exact duplicates fall on one side.
    """
    images = np.ascontiguousarray(split.images.numpy())
    return torch.tensor([zlib.crc32(image) < share * 2**32 for image in images], dtype=torch.bool)


def stratified(labels: Tensor, count: int) -> Tensor:
    """Sorted indices (count,) int64 of the first images of each class, in proportion to the classes of `labels` (N,).

    Shares are rounded by largest remainder, ties to the first classes.
    Raises ValueError when `count` is below 1 or above N.
    """
    if not 1 <= count <= len(labels):
        raise ValueError(f"{count} examples cannot be taken out of {len(labels)}.")
    sizes = torch.bincount(labels)
    shares, remainders = sizes * count // len(labels), sizes * count % len(labels)
    shares[remainders.argsort(descending=True, stable=True)[: count - int(shares.sum())]] += 1
    by_class = torch.split(labels.argsort(stable=True), sizes.tolist())
    return torch.cat([members[:share] for members, share in zip(by_class, shares.tolist(), strict=True)]).sort().values
