"""Orders that keep a disk's reads long, for images that do not fit into memory, and asking for them ahead of time.

The stored images, N of them, are cut into blocks of neighbours.  An epoch shuffles the blocks of the whole set,
takes them a window of `BLOCKS` at a time, and shuffles the images of a window.  A folder's images lie class by class,
so a block is of one class: blocks are small, and a window draws them from everywhere.
"""

from __future__ import annotations

import contextlib
import mmap

import numpy as np
import torch
from torch import Tensor

BLOCKS = 1024  # a window: of 1,000 classes it then holds 641, and a batch of 128 images 116, where any order has 120
BLOCK_BYTES = 3 * 2**20  # reads of this length run at a disk's sequential rate; 16 images of 256 pixels
WIDEST = 2  # times the images of a block that may lie between its ends, where others are left out


def window_of(image_bytes: int, memory_bytes: float) -> int:
    """Images a window, `BLOCKS` blocks that together take up to `memory_bytes` where an image takes `image_bytes`."""
    return BLOCKS * max(1, int(min(BLOCK_BYTES, memory_bytes / BLOCKS) / image_bytes))


def block_of(window: int) -> int:
    """Images a block of a window of so many images."""
    return max(1, window // BLOCKS)


def shuffled(count: int, window: int, generator: torch.Generator) -> Tensor:
    """An order (count,) int64 of all images: blocks from everywhere, and within each window of them any order."""
    block = block_of(window)
    blocks = torch.randperm(-(-count // block), generator=generator)
    parts = []
    for chosen in blocks.split(window // block):
        images = (block * chosen[:, None] + torch.arange(block)).flatten()
        images = images[images < count]  # the last block may be shorter
        parts.append(images[torch.randperm(len(images), generator=generator)])
    return torch.cat(parts)


class ReadAhead:
    """Asks the system, step by step, for the blocks of an epoch's order a window before they are used.

    `order` (N,) is one of `shuffled`, and `rows` (N,), rising, says where each image lies in `pages`: from byte
    `start` on, one every `image_bytes`.
    """

    def __init__(
        self, pages: mmap.mmap, *, start: int, image_bytes: int, rows: Tensor, order: Tensor, window: int
    ) -> None:
        self.pages, self.window, self.block, self.asked = pages, window, block_of(window), 0
        first = torch.arange(0, len(rows), self.block)
        begins, ends = rows[first], rows[(first + self.block).clamp(max=len(rows)) - 1] + 1
        wide = ends - begins > WIDEST * self.block  # neighbours of a part of a set may lie far apart
        ends[wide] = begins[wide]
        blocks, seen = np.unique(order.numpy() // self.block, return_index=True)
        by_use = torch.from_numpy(blocks[seen.argsort()]).split(window // self.block)
        chosen = torch.cat([part.sort().values for part in by_use])  # a window's: from one end of the file to the other
        self.spans = torch.stack([start + begins[chosen] * image_bytes, start + ends[chosen] * image_bytes], 1)

    def at(self, taken: int) -> None:
        """Asks for what has to be under way when so many images of the epoch have been taken."""
        until = min(len(self.spans), (taken + self.window) // self.block)
        used = taken // self.window * (self.window // self.block)  # windows before, where an epoch is gone on with
        for begin, end in self.spans[max(self.asked, used) : until].tolist():
            page = begin - begin % mmap.PAGESIZE
            with contextlib.suppress(OSError):  # a hint: without it, pages are read as they are used
                self.pages.madvise(mmap.MADV_WILLNEED, page, end - page)
        self.asked = max(self.asked, until)
