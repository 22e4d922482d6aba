"""Image files or arrays -> uint8 arrays of one size, in order, a chunk at a time.

Shapes: N images, B images a chunk, S pixels a side, C channels.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ablations.names import InputError

Pixels = NDArray[np.uint8]
Images = Sequence[Path] | Pixels  # files, or (N, H, W, C)

CHUNK_BYTES = 2**21
CHUNK_IMAGES = 256


def decoded(images: Images, *, size: int, channels: int) -> Iterator[Pixels]:
    """Chunks (B, S, S, C) of `images` in their order, S being `size`.

    Raises InputError with the name of a file that is no image.
    """
    count = max(1, min(CHUNK_IMAGES, CHUNK_BYTES // (size * size * channels)))
    # Threads, because Pillow lets go of the interpreter while it decodes and scales, and because
    # processes would start again from the user's script.  60,000 JPEGs of 32 pixels take 6 s on
    # two cores; processes would save 3 s there, and lose a little on photographs.
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[Pixels]] = deque()
    try:
        for start in range(0, len(images), count):
            waiting.append(pool.submit(_chunk, images[start : start + count], size, channels))
            if len(waiting) > 2 * workers:  # bounded: the writer may be slower than the decoders
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _chunk(images: Images, size: int, channels: int) -> Pixels:
    if isinstance(images, np.ndarray) and images.shape[1:3] == (size, size):
        return np.ascontiguousarray(images)
    mode = "L" if channels == 1 else "RGB"
    chunk = np.empty((len(images), size, size, channels), dtype=np.uint8)
    for row, image in zip(chunk, images, strict=True):
        opened = _read(image, mode) if isinstance(image, Path) else _picture(image)
        row[...] = np.asarray(fit(opened, size)).reshape(size, size, channels)
    return chunk


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _read(path: Path, mode: str) -> Image.Image:
    try:
        with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as image:
            return image.convert(mode)
    # Pillow's plugins let SyntaxError and ValueError through on broken files.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"The image {path} cannot be read: {error}.") from error


def fit(image: Image.Image, size: int) -> Image.Image:
    """`image` with its shorter side scaled to `size` pixels, then its central square (the paper, section 2).

    An image that is already square and of that size is left alone.  Bilinear, antialiased.
    """
    if image.size == (size, size):
        return image
    shorter = min(image.size)
    width, height = (max(size, round(side * size / shorter)) for side in image.size)
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return scaled.crop((left, top, left + size, top + size))
