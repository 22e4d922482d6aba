"""prepare(name, ...) -> the folder that holds a data set decoded once, for every process to map.

Shapes: N images, S pixels a side, C channels.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import uuid
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock

from ablations.data.catalogue import CACHE_SCHEMA, Dataset, dataset
from ablations.data.decode import decoded
from ablations.data.progress import Progress
from ablations.data.sources import Opened, find
from ablations.data.statistics import Statistics
from ablations.names import InputError


def prepare(name: str, *, data_root: Path | None, size: int, cache: Path, quiet: bool = False) -> Path:
    """The folder in `cache` that holds the data set `name` as images of `size` pixels a side.

    In it: train_images.npy and test_images.npy (N, S, S, C) uint8, train_labels.npy and
    test_labels.npy (N,) int64, mean_image.npy (S, S, C) float32, and meta.json with the classes,
    the fingerprint and the training pixels' statistics in grey levels.  It appears whole or not at
    all; a second call finds it and decodes nothing, and of two at once one decodes.
    Raises InputError, in one sentence, when the data are not there or not readable, or when the
    cache cannot be written.
    """
    described = dataset(name)
    if size < 1:
        raise InputError(f"Images of {size} pixels a side cannot be stored.")
    source = find(described, data_root=data_root, size=size)
    key = hashlib.sha256(f"{CACHE_SCHEMA}\n{source.identity}".encode()).hexdigest()[:12]
    folder = cache / f"{_slug(name)}-{size}px-{key}"
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{folder.name}.lock"):
            if not folder.is_dir():
                _fill(folder, described, source.open(), size, quiet)
    except OSError as error:  # those of the source are ValueErrors by now
        reason = error.strerror or str(error)
        raise InputError(f"The cache folder {cache} cannot be written: {reason}.") from error
    return folder


def _slug(name: str) -> str:
    kind, _, path = name.partition(":")
    return re.sub(r"[^\w.-]+", "-", f"{kind}-{Path(path).name}" if path else kind)[:60]


def _fill(folder: Path, described: Dataset, opened: Opened, size: int, quiet: bool) -> None:
    for leftover in folder.parent.glob(f".{folder.name}.*.partial"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.partial"
    temporary.mkdir()
    try:
        _write(temporary, described, opened, size, quiet)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write(folder: Path, described: Dataset, opened: Opened, size: int, quiet: bool) -> None:
    """Both splits and the statistics of the first, in one pass over the pixels."""
    hasher, statistics = hashlib.sha256(), Statistics(size, described.channels)
    total = len(opened.train.labels) + len(opened.test.labels)
    with Progress(total, described.name, quiet=quiet) as progress:
        for split, part in (("train", opened.train), ("test", opened.test)):
            shape = (len(part.labels), size, size, described.channels)
            # Written in order rather than through a map: a full disk is then an error, not a crash.
            with (folder / f"{split}_images.npy").open("wb") as file:
                _write_header(file, shape)
                for chunk in decoded(part.images, size=size, channels=described.channels):
                    file.write(chunk.data)
                    hasher.update(chunk.data)
                    if split == "train":
                        statistics.add(chunk)
                    progress.add(len(chunk))
            hasher.update(part.labels.astype("<i8").tobytes())
            np.save(folder / f"{split}_labels.npy", part.labels)
    np.save(folder / "mean_image.npy", statistics.mean_image)
    meta = _meta(described, opened, size, hasher.hexdigest()[:16], statistics)
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _meta(described: Dataset, opened: Opened, size: int, fingerprint: str, statistics: Statistics) -> dict[str, Any]:
    if statistics.std < 1e-3:
        raise InputError(f"All training pixels of {described.name!r} are of one colour: nothing can be learned.")
    deviations, components = statistics.components()
    return {
        "schema": CACHE_SCHEMA,
        "dataset": described.name,
        "classes": list(opened.classes),
        "train_images": len(opened.train.labels),
        "test_images": len(opened.test.labels),
        "size": size,
        "channels": described.channels,
        "fingerprint": fingerprint,
        "mean": statistics.mean.tolist(),
        "std": statistics.std,
        "component_deviations": deviations.tolist(),
        "components": components.tolist(),
    }
