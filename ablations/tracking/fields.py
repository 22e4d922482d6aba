"""What a tracking tool shows of a study and of a trial: names, tags, parameters, points.  Standard library only.

A backend such as `track_mlflow` turns these plain values into its tool's own calls.
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
OF_STUDY, OF_VARIANT, OF_TRIAL = "study", "variant", "trial"  # what a run can be of
_SEED = "seed"
LAYOUT = "2"  # of a trial's run: those of another one are made anew
NOTE, COMMIT, DIRTY, SOURCE = (
    f"mlflow.{word}" for word in ("note.content", "source.git.commit", "source.git.dirty", "source.name")
)
_NO_ROW: Mapping[str, float] = {}
FOLDER = "folder:"  # before the path of a data set of the user's own


class Point(NamedTuple):
    """One value of one metric, at a time in milliseconds since 1970."""

    name: str
    value: float
    at: int
    step: int  # the epoch


class Front(NamedTuple):
    """What a reader of a study meets first."""

    text: str = ""  # in Markdown
    files: Mapping[str, Path] = MappingProxyType({})  # by the names that they are shown by


NOTHING = Front()


class Data(NamedTuple):
    """The images of a study.  MLflow keeps one entry for a name and digest, so the rest must follow from these two."""

    name: str  # with the number of images that trials train on
    digest: str  # the fingerprint of the whole set
    source: str  # what was typed after --dataset
    counts: dict[str, int]


def data(study: Study) -> Data:
    """What the trials of a study train on."""
    words, facts = data_words(study), study.setting.facts
    counted = ("train_examples", "classes", "train_images", "test_images")
    counts = {name: facts[name] for name in counted if facts.get(name)}
    name = PurePath(words.removeprefix(FOLDER)).name or words
    used = f", {counts['train_examples']} images" if "train_examples" in counts else ""
    digest = names.value(study.setting.fingerprint)[:36]  # MLflow takes no more, and 500 of the name
    return Data(f"{names.value(name)[:400]}{used}", digest, names.value(words), counts)


def data_words(study: Study) -> str:
    """What was typed after --dataset; of an absolute path only its end, which says something on other machines too."""
    data = study.setting.data
    path = PurePath(data.removeprefix(FOLDER))
    return f"{FOLDER}{path.name}" if data.startswith(FOLDER) and path.is_absolute() else data


def study_params(study: Study) -> dict[str, str]:
    """The plan's choices.  A plan that has grown gives others."""
    plan = {
        "grid": study.grid,
        "components": ", ".join(f"{name}={level}" for name, level in study.components),
        "variants": str(len(study.variants)),
        "seeds": str(study.seeds),
    }
    return _values({**plan, **_setting_params(study, plan)})


def variant_params(study: Study, variant: Variant, called: str) -> dict[str, str]:
    """What a variant is `called`, how the code writes it, every component's level or "reference", and the setting."""
    ours = {"variant": called, "change": variant.label}
    ours |= _setting_params(study, (*ours, _SEED))
    levels = dict(variant.departures)
    components = {name for one in (*study.variants, variant) for name, _ in one.departures}
    components |= {*study.controls, *(name for name, _ in study.components)}
    known = names.keys(components, reserved=[*ours, _SEED])
    return _values({**{key: levels.get(name, "reference") for name, key in known.items()}, **ours})


def trial_params(study: Study, result: Result, called: str) -> dict[str, str]:
    """Those of its variant, its seed, and of several data sets its own."""
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
    """What a study's run is found by, and where it came from."""
    planned = f"{len(study.variants)} variants x {study.seeds} seeds on {data_words(study)}"
    note = f"Study **{study.name}**: {planned}. What it comes to stands here when it has ended."
    return _values({ROLE: OF_STUDY, NOTE: note, **_command_tags(study.command), **_common_tags(study)})


def variant_tags(study: Study, variant: Variant) -> dict[str, str]:
    """What a variant's run is found by."""
    return _values({ROLE: OF_VARIANT, VARIANT: variant.label, **_common_tags(study)})


def baseline_metrics(study: Study) -> dict[str, float]:
    """The errors that need no network, as far as the study knows them."""
    named = {"guessing": study.setting.guessing, "baseline": study.setting.baseline}
    return {name: error for name, error in named.items() if error is not None}


def summary_metrics(study: Study, results: Iterable[Result]) -> dict[str, float]:
    """How many of the planned trials ended how, and how long they took."""
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
    """The commits that the trials are of."""
    return {
        COMMIT: names.value(" ".join(sorted({str(result.provenance.get("commit", "")) for result in results} - {""})))
    }


def trial_tags(study: Study, result: Result) -> dict[str, str]:
    """What a trial's run is found by, what came of it, and where it came from."""
    origin = result.provenance
    error = (result.error or "\n".join(result.notes))[-4000:]  # the end of a traceback says what it was
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
    """The whole command, and the program alone: of a source MLflow's table shows only what follows the last slash."""
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
    """Twelve hex digits of the sha256 of the study's name."""
    return hashlib.sha256(study.name.encode()).hexdigest()[:12]


def trial_name(study: Study, result: Result, called: str) -> str:
    """`seed 2, no dropout`, or of several data sets `seed 2, no dropout on wine`; seed first: tables show little."""
    on = f" on {result.trial.data}" if study.setting.blocks else ""
    return names.run_name(f"seed {result.trial.seed}, {called}{on}")


def digest(result: Result) -> str:
    """Of the whole record, and of how it is shown: another attempt at a trial has another."""
    return f"{LAYOUT}.{hashlib.sha256(json.dumps(result.to_dict(), sort_keys=True).encode()).hexdigest()[:12]}"


def points(study: Study, result: Result) -> Iterator[Point]:
    """The curve with step = epoch, spread evenly over the trial's time, then at the last step what its end alone tells.

    A metric of the trial has its own name, and what is ours (`seconds`, `activity.lrn`) gives way to it.
    """
    begin, end = times(result)
    row, step = _NO_ROW, 0
    told = {name for row in result.curve for name in row} - {"epoch"}
    known = names.keys(told | {*study.setting.metrics, *result.metrics})
    for index, row in enumerate(result.curve, start=1):
        step = _step(row, index)
        at = begin + (end - begin) * index // len(result.curve)
        yield from (Point(known[name], value, at, step) for name, value in row.items() if name != "epoch")
    # What was evaluated by other views than the curve: the last of two points of one epoch is what tables show.
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
    """The row's epoch, as far as it is one that a database can hold."""
    epoch = row.get("epoch", index)
    return int(epoch) if math.isfinite(epoch) and 0 <= epoch < 2**53 else index


def times(result: Result) -> tuple[int, int]:
    """Beginning and end of the trial in milliseconds since 1970."""
    length = round(result.seconds * 1000)
    started = str(result.provenance.get("started", ""))
    begin = milliseconds(started) - (0 if started else length)
    return begin, begin + length


def milliseconds(moment: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time; of now when it is empty."""
    return round((datetime.datetime.fromisoformat(moment).timestamp() if moment else time.time()) * 1000)
