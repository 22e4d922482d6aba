"""Decodes a data set once into a folder of the cache, which every process then maps into memory.

Shapes: N images, S pixels a side, C channels.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ablations.core.errors import InputError
from ablations.records.files import write_json
from ablations.subjects.alexnet.data.catalogue import CACHE_SCHEMA, Dataset, dataset
from ablations.subjects.alexnet.data.decode import Chunk, decoded, stored
from ablations.subjects.alexnet.data.decode_progress import Progress
from ablations.subjects.alexnet.data.pixel_statistics import Statistics
from ablations.subjects.alexnet.data.resume import Mark
from ablations.subjects.alexnet.data.sources import Opened, Part, find
from ablations.subjects.alexnet.data.whole import whole

HEADER_BYTES = 128  # size of the header of an array's file, whatever the number of images
MARK = "progress.json"  # file in a folder that is not complete yet: see `resume`


def prepare(name: str, *, data_root: Path | None, size: int, cache: Path, quiet: bool = False) -> Path:
    """Decodes the data set `name` to images of `size` pixels a side, unless that is done, and returns its folder.

    The folder is in `cache` and holds train_images.npy and test_images.npy (N, S, S, C) uint8,
    train_labels.npy and test_labels.npy (N,) int64, train_hashes.npy and test_hashes.npy (N,) uint32,
    mean_image.npy (S, S, C) float32, and meta.json with the classes, the fingerprint and the training
    pixels' statistics in grey levels.
    It appears complete or not at all.  A second call finds it and decodes nothing; of two calls at
    once, one decodes and the other waits; and after a call that was stopped, the next one continues.
    Unless `quiet`, files of the source that are not used are counted on stderr.
    Raises InputError, in one sentence, when the data are missing or cannot be read, or when the
    cache cannot be written or has no room.
    """
    described = dataset(name)
    if size < 1:
        raise InputError(f"Images of {size} pixels a side cannot be stored.")
    source = find(described, data_root=data_root, size=size)
    folder = cache / f"{_slug(name)}-{size}px-{_short(source.identity)}"
    if source.remarks and not quiet:
        print(*source.remarks, sep="\n", file=sys.stderr, flush=True)
    if whole(folder):
        return folder
    # Named after the source's place rather than its content, so that repairing one image does not start all over.
    partial = cache / f".{_slug(name)}-{size}px-{_short(source.place)}.partial"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(partial.with_suffix(".lock"), described.name, quiet):
            if not whole(folder):  # asked again, since another process may have decoded it while this one waited
                if not folder.is_dir() and not quiet:
                    _tell_outdated(cache, described.name, size)
                _put_aside(folder)
                partial.mkdir(exist_ok=True)
                _write(partial, described, source.opened(), size, quiet)
                partial.rename(folder)
    except OSError as error:  # it comes from the cache: errors of the source have become InputErrors by now
        reason = error.strerror or str(error)
        raise InputError(
            f"The cache folder {cache} cannot be written: {reason}; choose another one with ABLATIONS_CACHE."
        ) from error
    return folder


def _put_aside(folder: Path) -> None:
    """Removes a damaged folder of decoded images, so that they can be decoded again.

    It is renamed first, since other processes may have its files open and deleting them may then fail or take long.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    print(f"The decoded images in {folder} are damaged; they are decoded again.", file=sys.stderr, flush=True)
    away = folder.with_name(f".{folder.name}.damaged-{secrets.token_hex(4)}")
    folder.rename(away)
    if away.is_dir() and not away.is_symlink():
        shutil.rmtree(away, ignore_errors=True)
    else:
        away.unlink()


def _slug(name: str) -> str:
    """Returns the data set's name as part of a file name."""
    kind, _, path = name.partition(":")
    return re.sub(r"[^\w.-]+", "-", f"{kind}-{Path(path).name}" if path else kind)[:60]


def _short(text: str) -> str:
    """Returns twelve hex digits of `text` and the schema of the cache."""
    return hashlib.sha256(f"{CACHE_SCHEMA}\n{text}".encode(errors="surrogateescape")).hexdigest()[:12]


def _tell_outdated(cache: Path, name: str, size: int) -> None:
    """Names, on stderr, the folders of the same data set and size that were decoded by older rules."""
    for folder in sorted(cache.glob(f"{glob.escape(_slug(name))}-{size}px-*")):
        with contextlib.suppress(
            OSError, ValueError, AttributeError, RecursionError
        ):  # nothing can be said about a damaged folder
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            if meta.get("dataset") == name and meta.get("schema") != CACHE_SCHEMA:
                print(
                    f"{name}: images are decoded by new rules; {folder} follows old ones and may be deleted",
                    file=sys.stderr,
                    flush=True,
                )


@contextmanager
def _alone(path: Path, what: str, quiet: bool) -> Iterator[None]:
    """Holds a lock on `path` inside the context; a process that has to wait for it says so unless `quiet`."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not quiet:
            print(f"{what}: another process is decoding it; waiting", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _write(folder: Path, described: Dataset, opened: Opened, size: int, quiet: bool) -> None:
    """Writes both splits and the statistics of the training split, in one pass over the pixels.

    Images that an earlier call left on disk are read again rather than decoded, because the fingerprint and the
    statistics need every pixel.
    """
    hasher, statistics = hashlib.sha256(), Statistics(size, described.channels)
    parts = {"train": opened.train, "test": opened.test}
    total = sum(len(part.labels) for part in parts.values())
    mark = Mark(folder / MARK, opened.lines)
    if not _holds(folder, parts, mark.images, size * size * described.channels):
        mark.forget()
    kept = mark.images
    _check_room(folder, (total - kept) * size * size * described.channels, described.name)
    with Progress(total, described.name, again=kept, quiet=quiet) as progress:
        for split, part in parts.items():
            before = min(kept, len(part.labels))
            kept -= before
            hashes = []
            path = folder / f"{split}_images.npy"
            with closing(_grow(path, part, before, size, described.channels, mark)) as chunks:
                for chunk in chunks:
                    hasher.update(chunk.pixels.data)
                    hashes.append(chunk.hashes)
                    if split == "train":
                        statistics.add(chunk.sums)
                    progress.add(len(chunk))
            hasher.update(part.labels.astype("<i8").tobytes())
            _save(folder / f"{split}_labels.npy", part.labels)
            _save(folder / f"{split}_hashes.npy", np.concatenate(hashes))
    _save(folder / "mean_image.npy", statistics.mean_image)
    write_json(folder / "meta.json", _meta(described, opened, size, hasher.hexdigest()[:16], statistics))
    (folder / MARK).unlink()


def _holds(folder: Path, parts: Mapping[str, Part], kept: int, image_bytes: int) -> bool:
    """Tells whether the files of `folder` are long enough for the first `kept` images.

    If the end of a file is lost, its images would otherwise be read as black.
    """
    for split, part in parts.items():
        file, before = folder / f"{split}_images.npy", min(kept, len(part.labels))
        kept -= before
        if before and (not file.is_file() or file.stat().st_size < HEADER_BYTES + before * image_bytes):
            return False
    return True


def _check_room(folder: Path, needed: int, what: str) -> None:
    """Raises InputError if the disk has fewer than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"The images of {what} take {needed / 2**30:.1f} GiB more in the cache folder {folder.parent}, which has "
            f"{free / 2**30:.1f}: make room, or choose another folder with ABLATIONS_CACHE."
        )


def _grow(path: Path, part: Part, before: int, size: int, channels: int, mark: Mark) -> Generator[Chunk]:
    """Yields all images of `part` in order: reads the first `before` from `path`, decodes and appends the others."""
    # The file is written rather than mapped, because a full disk is then an error; with a map it would be a crash.
    with path.open("r+b" if before else "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(part.labels), size, size, channels)}
        np.lib.format.write_array_header_1_0(file, header)
        offset = file.tell()
        file.seek(before * size * size * channels, os.SEEK_CUR)
        file.truncate()  # drop what was written after the last mark, of which nothing is known
        with closing(stored(path, before, offset=offset, size=size, channels=channels)) as chunks:
            yield from chunks
        try:
            with closing(decoded(part.images, start=before, size=size, channels=channels)) as chunks:
                for chunk in chunks:
                    file.write(chunk.pixels.data)
                    mark.move(len(chunk), file)
                    yield chunk
        finally:
            mark.write(file)


def _save(path: Path, array: NDArray[Any]) -> None:
    """Writes an array to `path` and flushes it to the disk, so that a folder that is renamed into place is complete."""
    with path.open("wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())


def _meta(described: Dataset, opened: Opened, size: int, fingerprint: str, statistics: Statistics) -> dict[str, Any]:
    """Returns the content of meta.json.  Raises InputError if all training pixels are of one colour."""
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
