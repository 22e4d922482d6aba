"""Computes the linear baseline: the error of a linear classifier on the raw pixels that a trial trains on.

The classifier is ridge regression on the classes as -1 and +1 (scikit-learn's RidgeClassifier).  It is fitted once, and
its error is kept beside the decoded images.  A better linear classifier may exist, so the number is an upper bound on
the error that trivial learning gives.
This module is light: torch and scikit-learn are imported only when an error is computed.

Shapes: M training images, E evaluated images, S pixels a side, C channels, P pixel values of an averaged image.
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.records.files import write_json
from ablations.subjects.alexnet.setting import Budget

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ablations.models.spec import Spec
    from ablations.subjects.alexnet.data.load import Data

    Floats = np.ndarray[Any, np.dtype[np.float32]]

Record = dict[str, Any]

MOST_IMAGES = 10_000  # to fit to, and to evaluate on: more take longer and hardly change the error
MOST_PIXELS = 32  # pixels a side; larger images are averaged down to this size
# Ridge penalties, for pixels in units of their standard deviation.  Which one is best depends on the data (1,000 for
# Fashion-MNIST, 10,000 for CIFAR-10) and hardly on the number of images, so a thousand images suffice to choose.
PENALTIES = (1e1, 1e2, 1e3, 1e4, 1e5)
CHOSEN_ON = 1_000
BATCH = 1_000  # images that are averaged down at a time


def limits(budget: Budget) -> str:
    """Returns, in words, in what the classifier sees less than a trial of `budget`; empty if it sees the same."""
    words = [f"{MOST_IMAGES:,} of them"] * (budget.train_examples > MOST_IMAGES)
    words += [f"{MOST_PIXELS} pixels a side"] * (budget.image_size > MOST_PIXELS)
    return ", ".join(words)


def linear_error_percent(spec: Spec, budget: Budget, data: Data, folder: Path) -> float | None:
    """Returns the error in percent of a linear classifier, trained and evaluated on the images of a trial of seed 0.

    The error is read from the prepared data's `folder`, or computed and kept there.  It is None if all training images
    are of one class.
    """
    import torch

    from ablations.subjects.alexnet.training.examples import split_examples

    training, evaluated = split_examples(spec, seed=0, budget=budget, data=data, device=torch.device("cpu"))
    training, evaluated = training.part(MOST_IMAGES), evaluated.part(MOST_IMAGES)
    path = folder / f"linear-{budget.train_examples}-{budget.evaluate_on}-{budget.image_size}px.json"
    what = {
        "fingerprint": data.fingerprint,
        "train_examples": budget.train_examples,
        "evaluate_on": budget.evaluate_on,
        "image_size": budget.image_size,
        "rows": zlib.crc32(training.rows.numpy().tobytes()),  # another version of the code may draw other images
    }
    kept = _read(path, what)
    if kept is None:
        kept = {"of": what, "error_percent": _fitted(data, training.rows, evaluated.rows, budget)}
        _write(path, kept)
    error: float | None = kept["error_percent"]
    return error


def _read(path: Path, what: Record) -> Record | None:
    """Returns the record that is kept in `path`, or None if there is none for `what` that can be used."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        error = record["error_percent"]
        usable = record["of"] == what and (error is None or 0 <= error <= 100)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if usable else None


def _write(path: Path, record: Record) -> None:
    try:
        write_json(path, record)
    except OSError as error:  # the folder may belong to another user; the number is known all the same
        print(f"the linear baseline is not kept in {path.parent}: {error.strerror or error}", file=sys.stderr)


def _fitted(data: Data, training: torch.Tensor, evaluated: torch.Tensor, budget: Budget) -> float | None:
    import numpy as np
    from sklearn.linear_model import RidgeClassifier
    from threadpoolctl import threadpool_limits

    from ablations.subjects.alexnet.data.load import stratified

    split = data.train if budget.evaluate_on == "validation" else data.test
    labels, truth = data.train.labels[training], split.labels[evaluated].numpy()
    if len(labels.unique()) < 2:
        return None
    print(f"{data.name}: fitting a linear classifier to {len(labels):,} images, once", file=sys.stderr, flush=True)
    seen, asked = (
        _pixels(images, rows, budget.image_size)
        for images, rows in ((data.train.images, training), (split.images, evaluated))
    )
    middle = seen.mean(axis=0)
    scale = np.sqrt(np.mean(np.square(seen - middle)))
    seen, asked = (seen - middle) / scale, (asked - middle) / scale
    few = stratified(labels, min(CHOSEN_ON, len(labels))).numpy()
    with threadpool_limits(1):  # more threads would compete with other work, and would round differently
        chosen = penalty(seen[few], labels.numpy()[few])
        said = RidgeClassifier(alpha=chosen).fit(seen, labels.numpy()).predict(asked)
    return float(100 * np.mean(said != truth))


def penalty(pixels: Floats, labels: np.ndarray[Any, Any]) -> float:
    """Returns that of `PENALTIES` with the least squared error in leave-one-out cross-validation on `pixels` (M, P)."""
    from sklearn.linear_model import RidgeClassifierCV

    return float(RidgeClassifierCV(alphas=PENALTIES).fit(pixels, labels).alpha_)


def _pixels(images: torch.Tensor, rows: torch.Tensor, size: int) -> Floats:
    """Returns the centres of the images (N, S, S, C) at `rows` (M,), averaged down: (M, P) float32.

    A centre has `size` pixels a side before it is averaged down to at most MOST_PIXELS a side.
    """
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    whole = images.shape[1]
    size = min(size, whole)
    start = (whole - size) // 2
    small = []
    for some in rows.split(BATCH):
        centre = images[some, start : start + size, start : start + size].permute(0, 3, 1, 2).float()
        small.append(adaptive_avg_pool2d(centre, min(size, MOST_PIXELS)).flatten(1))
    return torch.cat(small).numpy()
