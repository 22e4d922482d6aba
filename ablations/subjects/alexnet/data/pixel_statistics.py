"""Computes the statistics of the training pixels chunk by chunk, so that no float copy of the data set is needed.

Shapes: B images in a chunk, S pixels a side, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Sums:
    """What a chunk adds to the statistics.

    All sums are whole numbers, and so exact: neither the size of chunks nor their order changes the statistics.
    """

    count: int  # images
    image: NDArray[np.uint32]  # (S, S, C), the sum over the images
    products: NDArray[np.float64]  # (C, C), products of two channels, summed over the pixels


def sums_of(chunk: Pixels) -> Sums:
    """Returns the sums over the images of `chunk` (B, S, S, C)."""
    flat = chunk.reshape(-1, chunk.shape[-1]).astype(np.float64)
    return Sums(count=len(chunk), image=chunk.sum(axis=0, dtype=np.uint32), products=flat.T @ flat)


class Statistics:
    """The statistics of all images added so far, in grey levels of 0-255.

    They are computed from sums that are exact up to 2^53 in every entry.
    """

    def __init__(self, size: int, channels: int) -> None:
        self._count = 0
        self._sum = np.zeros((size, size, channels), dtype=np.int64)
        self._products = np.zeros((channels, channels))

    def add(self, sums: Sums) -> None:
        """Adds the sums of a chunk."""
        self._count += sums.count
        self._sum += sums.image
        self._products += sums.products

    @property
    def mean_image(self) -> NDArray[np.float32]:
        """The mean image (S, S, C)."""
        return (self._sum / self._count).astype(np.float32)

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean colour (C,)."""
        return np.asarray(self._sum.sum(axis=(0, 1)) / self._pixels)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """The covariance (C, C) of the colours of all pixels, in squared grey levels."""
        return np.asarray(self._products / self._pixels - np.outer(self.mean, self.mean))

    @property
    def std(self) -> float:
        """The root mean square of (pixel - mean colour) over all pixels and channels: one number."""
        return float(np.sqrt(np.trace(self.covariance) / len(self.mean)))

    def components(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the standard deviations (C,) along the principal components, descending, and these as columns (C, C).

        An eigensolver leaves the sign of a column open; here its entry of largest size is positive, so that the colour
        noise of a seed is the same on every machine.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        values, vectors = values[::-1], vectors[:, ::-1]
        largest = np.abs(vectors).argmax(axis=0)
        vectors = vectors * np.sign(vectors[largest, np.arange(len(values))])
        return np.sqrt(values.clip(min=0)), vectors

    @property
    def _pixels(self) -> int:
        return self._count * self._sum.shape[0] * self._sum.shape[1]
