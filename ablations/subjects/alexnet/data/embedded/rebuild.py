"""Rebuilds the embedded data from the whole of Fashion-MNIST.

The command is `python -m ablations.subjects.alexnet.data.embedded.rebuild`.

It needs Debian's package dataset-fashion-mnist.  The files are compressed with bzip2 because they then
come out byte for byte the same everywhere; gzip's bytes differ between zlib and its faster replacements.
"""

from __future__ import annotations

import bz2
from pathlib import Path

import numpy as np

from ablations.subjects.alexnet.data.idx import FILES, find_idx, read_idx, write_idx
from ablations.subjects.alexnet.data.sources import DEBIAN

TRAIN_PER_CLASS, TEST_PER_CLASS = 600, 100


def rebuilt(whole: Path = DEBIAN) -> dict[str, bytes]:
    """Returns the embedded files, name -> content, with the first images of each class of `whole`, in stored order.

    Raises ValueError when `whole` does not hold the four idx files.
    """
    files = find_idx(whole)
    if files is None:
        raise ValueError(
            f"The folder {whole} does not hold {', '.join(FILES)} (apt-get install dataset-fashion-mnist)."
        )
    content = {}
    for start, per_class in ((0, TRAIN_PER_CLASS), (2, TEST_PER_CLASS)):
        images, labels = (read_idx(file) for file in files[start : start + 2])
        chosen = np.sort(np.concatenate([np.flatnonzero(labels == kind)[:per_class] for kind in np.unique(labels)]))
        for name, array in zip(FILES[start : start + 2], (images, labels), strict=True):
            content[f"{name}.bz2"] = bz2.compress(write_idx(array[chosen]), 9)
    return content


def main() -> None:
    """Writes the embedded files next to this one."""
    for name, content in rebuilt().items():
        (Path(__file__).parent / name).write_bytes(content)
        print(f"{name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
