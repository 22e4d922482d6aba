"""Decodes image files or arrays to uint8 images of one size, in order and in chunks, with statistics and hashes.

Shapes: N images, B images in a chunk, S pixels a side, C channels.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ablations.core.errors import InputError
from ablations.core.machine import cores_here
from ablations.subjects.alexnet.data.folders import Files
from ablations.subjects.alexnet.data.pictures import picture
from ablations.subjects.alexnet.data.pixel_statistics import Pixels, Sums, sums_of

Images = Files | Pixels  # files, or (N, H, W, C)

CHUNK_BYTES = 2**21  # decoded bytes in a chunk at most, unless one image has more
CHUNK_IMAGES = 256  # images in a chunk at most
# Pixels of the largest image that is scaled as a whole; of a larger one, only the centre is scaled.  Scaling a strip of
# 1 x 10,000 pixels as a whole would take gigabytes.
LARGEST = 2**26


@dataclass(frozen=True)
class Chunk:
    """Consecutive images, with their share of the statistics and their hashes."""

    pixels: Pixels  # (B, S, S, C) uint8
    sums: Sums  # what they add to the statistics
    hashes: NDArray[np.uint32]  # (B,), CRC-32 of each image's bytes

    def __len__(self) -> int:
        return len(self.pixels)


def decoded(images: Images, *, size: int, channels: int, start: int = 0) -> Generator[Chunk]:
    """Yields `images`, scaled to S = `size`, in their order from number `start` on.

    Raises InputError, naming the file, when one cannot be read as an image.
    """
    spans = _spans(start, len(images), size, channels)
    return _in_order(partial(_measured, partial(_decode, images, span, size, channels)) for span in spans)


def stored(file: Path, count: int, *, offset: int, size: int, channels: int) -> Generator[Chunk]:
    """Yields the first `count` decoded images of `file`, which begin at byte `offset`.

    The file is read rather than mapped, so that memory does not fill with its pages.
    """
    shape = (size, size, channels)
    spans = _spans(0, count, size, channels)
    return _in_order(partial(_measured, partial(_read_again, file, offset, span, shape)) for span in spans)


def hashes_of(images: Iterable[Pixels]) -> NDArray[np.uint32]:
    """Returns the CRC-32 (B,) of the bytes of each of `images` (B, S, S, C)."""
    return np.array([zlib.crc32(image.tobytes()) for image in images], dtype=np.uint32)


def _spans(start: int, stop: int, size: int, channels: int) -> Iterator[range]:
    """Yields the ranges of image numbers that make up the chunks."""
    count = max(1, min(CHUNK_IMAGES, CHUNK_BYTES // (size * size * channels)))
    return (range(first, min(first + count, stop)) for first in range(start, stop, count))


def _in_order(tasks: Iterable[Callable[[], Chunk]]) -> Generator[Chunk]:
    """Runs `tasks` on every core and yields what they return, in their order; at most about two per core are ahead."""
    # Threads, because Pillow releases the interpreter's lock while it decodes and scales, and because
    # new processes would run the user's script again.  60,000 JPEGs of 32 pixels take 6 s on two
    # cores; processes would save 3 s there, and would be a little slower for photographs.
    workers = cores_here()
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[Chunk]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(task))
            if len(waiting) > 2 * workers:  # a limit, since the one thread that writes may be slower than the decoders
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _measured(get: Callable[[], Pixels]) -> Chunk:
    """Returns a chunk with its sums and hashes, which the decoding threads compute to relieve the one that writes."""
    pixels = get()
    return Chunk(pixels=pixels, sums=sums_of(pixels), hashes=hashes_of(pixels))


def _read_again(file: Path, offset: int, span: range, shape: tuple[int, ...]) -> Pixels:
    """Reads the decoded images of numbers `span` back from `file`."""
    count = len(span) * int(np.prod(shape))
    start = offset + span.start * int(np.prod(shape))
    return np.fromfile(file, dtype=np.uint8, count=count, offset=start).reshape(len(span), *shape)


def _decode(images: Images, span: range, size: int, channels: int) -> Pixels:
    if isinstance(images, Files):
        mode = "L" if channels == 1 else "RGB"
        return _squares((_read(path, mode) for path in images.paths(span.start, span.stop)), len(span), size, channels)
    pixels = images[span.start : span.stop]
    if pixels.shape[1:3] == (size, size):
        return np.ascontiguousarray(pixels)
    return _squares((_picture(image) for image in pixels), len(span), size, channels)


def _squares(pictures: Iterable[Image.Image], count: int, size: int, channels: int) -> Pixels:
    chunk = np.empty((count, size, size, channels), dtype=np.uint8)
    for row, image in zip(chunk, pictures, strict=True):
        row[...] = np.asarray(fit(image, size)).reshape(size, size, channels)
    return chunk


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _read(path: str, mode: str) -> Image.Image:
    try:
        return picture(path, mode)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise almost any exception on broken files
        raise InputError(
            f"The image {path} cannot be read: {_reason(error)}; repair or remove it, and run the command again."
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it holds no image of a known kind"
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def fit(image: Image.Image, size: int) -> Image.Image:
    """Scales the shorter side of `image` to `size` pixels and cuts out the central square (the paper, section 2).

    An image that is already square and of that size stays as it is.  Scaling is bilinear with antialiasing.
    """
    if image.size == (size, size):
        return image
    shorter = min(image.size)
    width, height = (max(size, round(side * size / shorter)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    if width * height > LARGEST:
        across, down = image.width / width, image.height / height
        box = (left * across, top * down, (left + size) * across, (top + size) * down)
        return image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    return scaled.crop((left, top, left + size, top + size))
