"""Orders epochs so that the disk reads in long runs, for images that do not fit into memory, and prefetches them.

The N stored images are divided into blocks of neighbours.  An epoch shuffles all blocks, takes a window of `BLOCKS`
blocks at a time, and shuffles the images within that window.  A folder's images lie class by class, so the images of a
block are of one class.  Blocks are therefore small, and a window has many of them, from all over the set.
"""

from __future__ import annotations

import contextlib
import mmap

import numpy as np
import torch
from torch import Tensor

# Blocks in a window.  Of 1,000 classes, a window then has images of 641, and a batch of 128 images is of 113, where a
# full shuffle gives 120 (README.md).
BLOCKS = 1024
BLOCK_BYTES = 3 * 2**20  # long enough for a disk to read at its sequential rate; 16 images of 256 pixels
# How many times its own length a block may span on disk.  It does where a trial trains on part of the images, and its
# neighbours lie far apart; such a block is not prefetched.
WIDEST = 2


def window_of(image_bytes: int, memory_bytes: float) -> int:
    """Returns the images in a window of `BLOCKS` blocks that takes at most `memory_bytes`.

    An image takes `image_bytes`.  A block is at most BLOCK_BYTES long, but has at least one image.
    """
    return BLOCKS * max(1, int(min(BLOCK_BYTES, memory_bytes / BLOCKS) / image_bytes))


def block_of(window: int) -> int:
    """Returns the images in a block, given those in a window."""
    return max(1, window // BLOCKS)


def shuffled(count: int, window: int, generator: torch.Generator) -> Tensor:
    """Returns an order (count,) int64 of all images: blocks in any order, and images in any order within a window."""
    block = block_of(window)
    blocks = torch.randperm(-(-count // block), generator=generator)
    parts = []
    for chosen in blocks.split(window // block):
        images = (block * chosen[:, None] + torch.arange(block)).flatten()
        images = images[images < count]  # the last block may be shorter
        parts.append(images[torch.randperm(len(images), generator=generator)])
    return torch.cat(parts)


class ReadAhead:
    """Tells the system, step by step, which blocks of an epoch will be used one window later, so that it reads them.

    `order` (N,) is an order from `shuffled`.  `rows` (N,), in ascending order, are the places of the images in `pages`:
    image 0 is at byte `start`, and each takes `image_bytes`.
    """

    def __init__(
        self, pages: mmap.mmap, *, start: int, image_bytes: int, rows: Tensor, order: Tensor, window: int
    ) -> None:
        self.pages, self.window, self.block, self.asked = pages, window, block_of(window), 0
        first = torch.arange(0, len(rows), self.block)
        begins, ends = rows[first], rows[(first + self.block).clamp(max=len(rows)) - 1] + 1
        wide = ends - begins > WIDEST * self.block
        ends[wide] = begins[wide]  # an empty span: nothing to prefetch
        blocks, seen = np.unique(order.numpy() // self.block, return_index=True)
        by_use = torch.from_numpy(blocks[seen.argsort()]).split(window // self.block)
        chosen = torch.cat([part.sort().values for part in by_use])  # within a window, in the order of the file
        self.spans = torch.stack([start + begins[chosen] * image_bytes, start + ends[chosen] * image_bytes], 1)

    def at(self, taken: int) -> None:
        """Asks for the blocks up to one window ahead, when `taken` images of the epoch have been used."""
        until = min(len(self.spans), (taken + self.window) // self.block)
        # When an interrupted epoch is continued, the windows that it has used already are skipped.
        used = taken // self.window * (self.window // self.block)
        for begin, end in self.spans[max(self.asked, used) : until].tolist():
            page = begin - begin % mmap.PAGESIZE
            with contextlib.suppress(OSError):  # it is only a hint: without it, pages are read when they are used
                self.pages.madvise(mmap.MADV_WILLNEED, page, end - page)
        self.asked = max(self.asked, until)
