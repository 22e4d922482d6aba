"""Checks whether a prepared folder is complete, as far as that can be told without reading the pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ablations.records.files import DAMAGED, read_json
from ablations.subjects.alexnet.data.catalogue import CACHE_SCHEMA


def whole(folder: Path) -> bool:
    """Tells whether all files of `folder` are there, have the sizes that meta.json demands, and hold valid labels.

    This finds the damage of a full disk, of an interrupted copy and of a file that was emptied, but not a changed
    pixel.
    """
    try:
        meta = read_json(folder / "meta.json")
        counts = {"train": meta["train_images"], "test": meta["test_images"]}
        size, channels, classes = meta["size"], meta["channels"], len(meta["classes"])
        shapes = {"mean": (channels,), "component_deviations": (channels,), "components": (channels, channels)}
        fine = meta["schema"] == CACHE_SCHEMA and bool(meta["fingerprint"]) and meta["std"] > 0
        fine = fine and all(np.asarray(meta[name], np.float64).shape == shape for name, shape in shapes.items())
        fine = fine and _is_array(folder / "mean_image.npy", (size, size, channels), np.float32)
        for split, count in counts.items():
            fine = fine and _is_array(folder / f"{split}_images.npy", (count, size, size, channels), np.uint8)
            fine = fine and _is_array(folder / f"{split}_hashes.npy", (count,), np.uint32)
            fine = fine and _is_array(folder / f"{split}_labels.npy", (count,), np.int64)
            labels = np.load(folder / f"{split}_labels.npy") if fine else np.array([-1])
            fine = fine and bool(labels.min() >= 0 and labels.max() < classes)
    except DAMAGED:
        return False
    return fine


def _is_array(path: Path, shape: tuple[int, ...], kind: Any) -> bool:
    """Tells whether the .npy file `path` holds an array of that shape and type, to its last byte."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            return False
        found, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        size = file.tell() + int(np.prod(shape)) * np.dtype(kind).itemsize
    return (found, fortran, dtype) == (shape, False, np.dtype(kind)) and path.stat().st_size == size
