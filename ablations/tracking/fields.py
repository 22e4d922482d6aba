"""Names, tags, parameters and points of a study and of its trials, as a tracking tool shows them.

`mlflow_view` turns these plain values into calls of MLflow.  Standard library only.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import NamedTuple

from ablations.core.load import load
from ablations.core.result import DONE, Result
from ablations.core.study import Study
from ablations.core.variant import Variant
from ablations.tracking import names

ROLE, STUDY, STUDY_ID, KEY, RECORD, STATUS, COMMAND, VARIANT = (
    f"ablations.{word}" for word in ("role", "study", "study_id", "key", "record", "status", "command", "variant")
)
OF_STUDY, OF_VARIANT, OF_TRIAL = "study", "variant", "trial"  # the roles of a run
_SEED = "seed"
LAYOUT = "2"  # version of how a trial is shown: a run of another version is made again
NOTE, COMMIT, DIRTY, SOURCE = (
    f"mlflow.{word}" for word in ("note.content", "source.git.commit", "source.git.dirty", "source.name")
)
_NO_ROW: Mapping[str, float] = {}
FOLDER = "folder:"  # precedes the path of a user's own data set


class Point(NamedTuple):
    """One value of one metric."""

    name: str
    value: float
    at: int  # time, in milliseconds since 1970
    step: int  # the epoch


class Front(NamedTuple):
    """What a reader of a study sees first in the tracking tool."""

    text: str = ""  # Markdown
    files: Mapping[str, Path] = MappingProxyType({})  # by the name under which each is shown


NOTHING = Front()


class Data(NamedTuple):
    """The data set of a study.

    MLflow keeps one entry for each name and digest, so both together must decide `source` and `counts`.
    """

    name: str  # holds the number of images that a trial trains on, if that is known
    digest: str  # the fingerprint of the whole set, shortened
    source: str  # what was typed after --dataset
    counts: dict[str, int]  # numbers of images and classes, by name


def data(study: Study) -> Data:
    """Returns the data set that the trials of a study train on."""
    words, facts = data_words(study), study.setting.facts
    counted = ("train_examples", "classes", "train_images", "test_images")
    counts = {name: facts[name] for name in counted if facts.get(name)}
    name = PurePath(words.removeprefix(FOLDER)).name or words
    used = f", {counts['train_examples']} images" if "train_examples" in counts else ""
    digest = names.value(study.setting.fingerprint)[:36]  # MLflow takes no more, and 500 of the name
    return Data(f"{names.value(name)[:400]}{used}", digest, names.value(words), counts)


def data_words(study: Study) -> str:
    """Returns what was typed after --dataset, but only the last part of an absolute path."""
    data = study.setting.data
    path = PurePath(data.removeprefix(FOLDER))
    return f"{FOLDER}{path.name}" if data.startswith(FOLDER) and path.is_absolute() else data


def study_params(study: Study) -> dict[str, str]:
    """Returns the parameters of a study's run: its grid, components, variants, seeds and setting."""
    plan = {
        "grid": study.grid,
        "components": ", ".join(f"{name}={level}" for name, level in study.components),
        "variants": str(len(study.variants)),
        "seeds": str(study.seeds),
    }
    return _values({**plan, **_setting_params(study, plan)})


def variant_params(study: Study, variant: Variant, called: str) -> dict[str, str]:
    """Returns the parameters of a variant's run.

    These are what people call it, `called`; how the code spells it; the level of every component, or "reference"; and
    the setting of the study.
    """
    ours = {"variant": called, "change": variant.label}
    ours |= _setting_params(study, (*ours, _SEED))
    levels = dict(variant.departures)
    components = {name for one in (*study.variants, variant) for name, _ in one.departures}
    components |= {*study.controls, *(name for name, _ in study.components)}
    known = names.keys(components, reserved=[*ours, _SEED])
    return _values({**{key: levels.get(name, "reference") for name, key in known.items()}, **ours})


def trial_params(study: Study, result: Result, called: str) -> dict[str, str]:
    """Returns the parameters of a trial's run: those of its variant, its seed, and its data set among several."""
    its = {"dataset": names.value(result.trial.data)} if study.setting.blocks else {}
    return {**variant_params(study, result.trial.variant, called), _SEED: str(result.trial.seed), **its}


def _setting_params(study: Study, reserved: Collection[str]) -> dict[str, str]:
    setting = study.setting
    named = ("preset", "train_examples", "batch_size", "image_size")
    found = {
        "dataset": data_words(study),
        **{name: str(setting.facts[name]) for name in named if name in setting.facts},
        "evaluate_on": setting.phase,
    }
    work = f"{load(study.subject).work_unit}s"
    return {**found, names.keys([work], reserved=[*found, *reserved])[work]: str(setting.work)}


def _values(found: Mapping[str, str]) -> dict[str, str]:
    return {key: names.value(text) for key, text in found.items()}


def study_tags(study: Study) -> dict[str, str]:
    """Returns the tags of a study's run: those that it is found by, its description and its command."""
    planned = f"{len(study.variants)} variants x {study.seeds} seeds on {data_words(study)}"
    note = f"Study **{study.name}**: {planned}. When the study has ended, its findings stand here."
    return _values({ROLE: OF_STUDY, NOTE: note, **_command_tags(study.command), **_common_tags(study)})


def variant_tags(study: Study, variant: Variant) -> dict[str, str]:
    """Returns the tags that a variant's run is found by."""
    return _values({ROLE: OF_VARIANT, VARIANT: variant.label, **_common_tags(study)})


def baseline_metrics(study: Study) -> dict[str, float]:
    """Returns the values of the main metric that need no training, guessing and the baseline, if they are known."""
    named = {"guessing": study.setting.guessing, "baseline": study.setting.baseline}
    return {name: error for name, error in named.items() if error is not None}


def summary_metrics(study: Study, results: Iterable[Result]) -> dict[str, float]:
    """Returns how many of the planned trials are done and how many failed, how long all took, and the baselines."""
    planned = {*study.keys}
    found = [result for result in results if result.trial.key in planned]
    done = sum(result.status == DONE for result in found)
    return {
        **baseline_metrics(study),
        "trials_planned": len(planned),
        "trials_done": done,
        "trials_failed": len(found) - done,
        "trial_seconds": sum(result.seconds for result in found),
    }


def commits(results: Iterable[Result]) -> dict[str, str]:
    """Returns a tag with the commits of the code that ran the trials."""
    return {
        COMMIT: names.value(" ".join(sorted({str(result.provenance.get("commit", "")) for result in results} - {""})))
    }


def trial_tags(study: Study, result: Result) -> dict[str, str]:
    """Returns the tags of a trial's run: those that it is found by, its status, command and commit."""
    origin = result.provenance
    error = (result.error or "\n".join(result.notes))[-4000:]  # the exception is at the end of a traceback
    tags = {
        ROLE: OF_TRIAL,
        KEY: result.trial.key,
        VARIANT: result.trial.variant.label,
        STATUS: result.status,
        **_command_tags(str(origin.get("command", ""))),
        COMMIT: str(origin.get("commit", "")),
        DIRTY: "" if origin.get("dirty") is None else str(origin["dirty"]).lower(),
        NOTE: f"**{result.status}**\n```\n{error}\n```" if error else "",
        **_common_tags(study),
    }
    return _values({name: text for name, text in tags.items() if text})


def _command_tags(command: str) -> dict[str, str]:
    """Returns the whole command, and its first words as the source: MLflow's table cuts a source at its last slash."""
    return {SOURCE: " ".join(command.split()[:3]) or "ablations", COMMAND: command}


def _common_tags(study: Study) -> dict[str, str]:
    return {
        STUDY: study.name,
        STUDY_ID: study_id(study),
        "ablations.dataset": data_words(study),
        "ablations.fingerprint": study.setting.fingerprint,
        **({"ablations.preset": str(study.setting.facts["preset"])} if "preset" in study.setting.facts else {}),
    }


def study_id(study: Study) -> str:
    """Returns twelve hexadecimal digits of the sha256 of the study's name."""
    return hashlib.sha256(study.name.encode()).hexdigest()[:12]


def trial_name(study: Study, result: Result, called: str) -> str:
    """Returns `seed 2, no dropout`, or with several data sets `seed 2, no dropout on wine`.

    The seed comes first, since tables show only the beginning of a name.
    """
    on = f" on {result.trial.data}" if study.setting.blocks else ""
    return names.run_name(f"seed {result.trial.seed}, {called}{on}")


def digest(result: Result) -> str:
    """Returns a digest of the whole record and of `LAYOUT`; another try of the same trial has another one."""
    return f"{LAYOUT}.{hashlib.sha256(json.dumps(result.to_dict(), sort_keys=True).encode()).hexdigest()[:12]}"


def points(study: Study, result: Result) -> Iterator[Point]:
    """Yields the curve of a trial, then its final metrics, its seconds and its activities at the last step.

    The step of a row is its epoch, and the rows are spread evenly over the trial's time.  If a metric of the trial has
    the name of one of our own points, such as `seconds`, the metric keeps it and ours gets another.
    """
    begin, end = times(result)
    row, step = _NO_ROW, 0
    told = {name for row in result.curve for name in row} - {"epoch"}
    known = names.keys(told | {*study.setting.metrics, *result.metrics})
    for index, row in enumerate(result.curve, start=1):
        step = _step(row, index)
        at = begin + (end - begin) * index // len(result.curve)
        yield from (Point(known[name], value, at, step) for name, value in row.items() if name != "epoch")
    # Final metrics that differ from the last row, as they were evaluated on more crops.  They come after that row:
    # tables show the last of two points of one step.
    yield from (
        Point(known[name], value, end + 1, step)
        for name, value in result.metrics.items()
        if row.get(name) not in (value, None)
    )
    last = {known[name]: value for name, value in result.metrics.items() if name not in row}
    ours = {"seconds": result.seconds, **{f"activity.{name}": value for name, value in result.activity.items()}}
    also = names.keys(ours, reserved=known.values())
    last |= {also[name]: value for name, value in ours.items()}
    yield from (Point(name, value, end, step) for name, value in last.items())


def _step(row: Mapping[str, float], index: int) -> int:
    """Returns the epoch of a row, or `index` if a database cannot hold the epoch."""
    epoch = row.get("epoch", index)
    return int(epoch) if math.isfinite(epoch) and 0 <= epoch < 2**53 else index


def times(result: Result) -> tuple[int, int]:
    """Returns when the trial began and ended, in milliseconds since 1970."""
    length = round(result.seconds * 1000)
    started = str(result.provenance.get("started", ""))
    begin = milliseconds(started) - (0 if started else length)
    return begin, begin + length


def milliseconds(moment: str) -> int:
    """Returns an ISO 8601 time in milliseconds since 1970; the present if it is empty."""
    return round((datetime.datetime.fromisoformat(moment).timestamp() if moment else time.time()) * 1000)
