"""Image files or arrays -> uint8 images of one size, in order, a chunk at a time, with what is to be known of them.

Shapes: N images, B images a chunk, S pixels a side, C channels.
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

CHUNK_BYTES = 2**21
CHUNK_IMAGES = 256
LARGEST = (
    2**26
)  # pixels of a scaled image; of a strip of 1 x 10,000 pixels that would be gigabytes, its centre is scaled alone


@dataclass(frozen=True)
class Chunk:
    """Images (B, S, S, C) in order, what they add to the statistics, and a hash of each one's bytes."""

    pixels: Pixels
    sums: Sums
    hashes: NDArray[np.uint32]  # (B,)

    def __len__(self) -> int:
        return len(self.pixels)


def decoded(images: Images, *, size: int, channels: int, start: int = 0) -> Generator[Chunk]:
    """`images` in their order, from number `start` on, S being `size`.

    Raises InputError with the name of a file that is no image.
    """
    spans = _spans(start, len(images), size, channels)
    return _in_order(partial(_measured, partial(_decode, images, span, size, channels)) for span in spans)


def stored(file: Path, count: int, *, offset: int, size: int, channels: int) -> Generator[Chunk]:
    """The first `count` images of `file`, which begin `offset` bytes after its start, read again.

    Read rather than mapped, so that memory does not fill with pages of it.
    """
    shape = (size, size, channels)
    spans = _spans(0, count, size, channels)
    return _in_order(partial(_measured, partial(_read_again, file, offset, span, shape)) for span in spans)


def hashes_of(images: Iterable[Pixels]) -> NDArray[np.uint32]:
    """The CRC-32 of the bytes of each of `images`, (B, S, S, C), as (B,)."""
    return np.array([zlib.crc32(image.tobytes()) for image in images], dtype=np.uint32)


def _spans(start: int, stop: int, size: int, channels: int) -> Iterator[range]:
    count = max(1, min(CHUNK_IMAGES, CHUNK_BYTES // (size * size * channels)))
    return (range(first, min(first + count, stop)) for first in range(start, stop, count))


def _in_order(tasks: Iterable[Callable[[], Chunk]]) -> Generator[Chunk]:
    """What `tasks` return, in their order, worked out on every core, at most three a core being held."""
    # Threads, because Pillow lets go of the interpreter while it decodes and scales, and because
    # processes would start again from the user's script.  60,000 JPEGs of 32 pixels take 6 s on
    # two cores; processes would save 3 s there, and lose a little on photographs.
    workers = cores_here()
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[Chunk]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(task))
            if len(waiting) > 2 * workers:  # bounded: the writer may be slower than the decoders
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _measured(get: Callable[[], Pixels]) -> Chunk:
    """The images and what is to be known of them, worked out here: the one thread that writes has enough to do."""
    pixels = get()
    return Chunk(pixels=pixels, sums=sums_of(pixels), hashes=hashes_of(pixels))


def _read_again(file: Path, offset: int, span: range, shape: tuple[int, ...]) -> Pixels:
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
    except Exception as error:  # Pillow's plugins let nearly any kind through on broken files
        raise InputError(
            f"The image {path} cannot be read: {_reason(error)}; mend or remove it, and the same command goes on."
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it holds no image of a known kind"
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def fit(image: Image.Image, size: int) -> Image.Image:
    """`image` with its shorter side scaled to `size` pixels, then its central square (the paper, section 2).

    An image that is already square and of that size is left alone.  Bilinear, antialiased.
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
