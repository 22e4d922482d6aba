"""What a trial predicted for each evaluation image: results/<study>/predictions/<key>.npz, beside its record.

For ensembles, which need no training.  Not part of the record and not committed: 0.2 MB a trial on CIFAR-10.

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
    """Softmax outputs (N, K), averaged over the views of an image, and the true classes (N,)."""

    probabilities: Array
    labels: Array


def predictions_path(folder: Path, key: str) -> Path:
    """Where the predictions of a trial lie in the study's folder."""
    return folder / "predictions" / f"{key}.npz"


def packed(predictions: Predictions) -> bytes:
    """The content of the file: probabilities as float16, which keeps three digits, and labels as int32."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        probabilities=predictions.probabilities.astype(np.float16),
        labels=predictions.labels.astype(np.int32),
    )
    return buffer.getvalue()


def write_predictions(folder: Path, key: str, content: bytes) -> Path:
    """The file of what `packed` gave, which appears whole or not at all."""
    path = predictions_path(folder, key)
    with replaced(path) as file:
        file.write(content)
    return path


def read_predictions(folder: Path, key: str) -> Predictions | None:
    """What is kept of a trial; None where there is none, or none that can be read.  Nothing is unpickled."""
    try:
        with arrays(predictions_path(folder, key)) as file:
            found = Predictions(probabilities=file["probabilities"], labels=file["labels"])
    except UNREADABLE:
        return None
    fits = found.probabilities.ndim == 2 and found.labels.shape == found.probabilities.shape[:1]
    return found if fits else None
