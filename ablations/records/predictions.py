"""What a trial predicted for each evaluation image: results/<study>/predictions/<key>.npz, beside its record.

A report makes ensembles of them, which need no further training.  They are not part of the record and not committed,
because they take 0.2 MB per trial on CIFAR-10.

Shapes: N images, K classes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ablations.records.files import UNREADABLE, arrays, replaced

MOST_PROBABILITIES = 20_000_000  # numbers, N x K, that a trial keeps: 40 MB as float16

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What one trial predicted."""

    probabilities: Array  # (N, K) softmax outputs, averaged over the views of an image
    labels: Array  # (N,) the true classes


def predictions_path(folder: Path, key: str) -> Path:
    """Returns where the predictions of a trial lie in the study's folder."""
    return folder / "predictions" / f"{key}.npz"


def packed(predictions: Predictions) -> bytes:
    """Returns the content of the file: probabilities as float16, which keeps three digits, and labels as int32."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        probabilities=predictions.probabilities.astype(np.float16),
        labels=predictions.labels.astype(np.int32),
    )
    return buffer.getvalue()


def write_predictions(folder: Path, key: str, content: bytes) -> Path:
    """Writes `content`, which `packed` returned, whole or not at all, and returns the file's path."""
    path = predictions_path(folder, key)
    with replaced(path) as file:
        file.write(content)
    return path


def read_predictions(folder: Path, key: str) -> Predictions | None:
    """Returns the predictions of a trial; None if there is no file, or none that can be read.  Nothing is unpickled."""
    try:
        with arrays(predictions_path(folder, key)) as file:
            found = Predictions(probabilities=file["probabilities"], labels=file["labels"])
    except UNREADABLE:
        return None
    fits = found.probabilities.ndim == 2 and found.labels.shape == found.probabilities.shape[:1]
    return found if fits else None
