"""What averaging the networks of each variant does to the error, and results/<study>/ensembles.json, which keeps it.

The predictions from which it is computed are too large for a repository.  The numbers are not, so a report shows the
same numbers if a study's predictions are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

from ablations.analysis.ensembles import Ensemble, ensembles
from ablations.core.fields import made
from ablations.core.result import Result
from ablations.records.files import DAMAGED, read_json, write_json
from ablations.records.predictions import Predictions, read_predictions
from ablations.records.store import checksum

NAME = "ensembles.json"


@dataclass(frozen=True, kw_only=True)
class Averaged:
    """The networks of one variant, one by one and averaged."""

    keys: tuple[str, ...]  # keys of the trials that trained them
    errors: tuple[float, ...]  # top-1 error in percent of each network
    ensembles: tuple[Ensemble, ...]  # of two networks, of three, and so on up to all of them; empty for one network


def averages(results: Iterable[Result], folder: Path | None) -> dict[str, Averaged]:
    """Returns label -> what averaging does, for each variant of which a network has predictions.

    `results` are of finished trials, and `folder` is their study's.  If some predictions of a variant are missing, the
    numbers in ensembles.json are taken if they are of the same trials; otherwise only the networks with predictions
    are averaged.
    """
    if folder is None:
        return {}
    trials: dict[str, list[str]] = {}
    for result in results:
        trials.setdefault(result.trial.variant.label, []).append(result.trial.key)
    kept = _read(folder)
    found = {label: _averaged(folder, keys, kept.get(label)) for label, keys in trials.items()}
    return {label: one for label, one in found.items() if one}


def write_averages(folder: Path, found: Mapping[str, Averaged]) -> None:
    """Writes ensembles.json, unless `found` is empty."""
    if found:
        content = {"variants": {label: asdict(one) for label, one in found.items()}}
        write_json(folder / NAME, {**content, "checksum": checksum(content)})


def _averaged(folder: Path, keys: Sequence[str], kept: Averaged | None) -> Averaged | None:
    networks = _predictions(folder, keys)
    if len(networks) < len(keys) and kept and kept.keys == tuple(keys):
        return kept
    if not networks:
        return None
    shares, labels = [one.probabilities for one in networks.values()], next(iter(networks.values())).labels
    errors = tuple(round(100 * float((one.argmax(axis=1) != labels).mean()), 6) for one in shares)
    return Averaged(keys=tuple(networks), errors=errors, ensembles=tuple(ensembles(shares, labels)))


def _predictions(folder: Path, keys: Iterable[str]) -> dict[str, Predictions]:
    """Returns key -> predictions for trials that have them, on the same images as the first of these trials."""
    read = {key: read_predictions(folder, key) for key in keys}
    found = {key: one for key, one in read.items() if one is not None}
    first = next(iter(found.values()), None)
    return {
        key: one
        for key, one in found.items()
        if first and one.probabilities.shape == first.probabilities.shape and (one.labels == first.labels).all()
    }


def _read(folder: Path) -> dict[str, Averaged]:
    """Returns what ensembles.json holds; empty if it is missing, cannot be read, or was changed by hand."""
    try:
        content = read_json(folder / NAME)
        if content.pop("checksum") != checksum(content):
            return {}
        return {label: _of_json(one) for label, one in content["variants"].items()}
    except DAMAGED:
        return {}


def _of_json(record: Mapping[str, Any]) -> Averaged:
    found = made(Averaged, record)
    whole = (replace(one, low=_known(one.low), high=_known(one.high)) for one in found.ensembles)
    return replace(found, ensembles=tuple(whole))


def _known(bound: float | None) -> float:
    """Returns a bound as JSON has it, where null stands for nan."""
    return nan if bound is None else bound
