"""What a tracking tool shows of a study and of a trial: names, tags, parameters, points.  Standard library only.

A backend such as `track_mlflow` turns these plain values into its tool's own calls.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from ablations.core.effect import Effect
from ablations.core.load import load
from ablations.core.result import Result
from ablations.core.study import Study

if TYPE_CHECKING:
    from ablations.analysis.verdict import Verdict

ROLE, STUDY, STUDY_ID, KEY, RECORD, STATUS, COMMAND = (
    f"ablations.{word}" for word in ("role", "study", "study_id", "key", "record", "status", "command")
)
NOTE, COMMIT, DIRTY, SOURCE = (
    f"mlflow.{word}" for word in ("note.content", "source.git.commit", "source.git.dirty", "source.name")
)
_NO_ROW: Mapping[str, float] = {}
FOLDER = "folder:"  # before the path of a data set of the user's own
_LONGEST = 5000  # characters of a value; mlflow takes 6000 of a parameter, 8000 of a tag


class Point(NamedTuple):
    """One value of one metric, at a time in milliseconds since 1970."""

    name: str
    value: float
    at: int
    step: int  # the epoch


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
    return Data(f"{name[:400]}{used}", study.setting.fingerprint, words[:_LONGEST], counts)


def data_words(study: Study) -> str:
    """What was typed after --dataset; of an absolute path only its end, which says something on other machines too."""
    data = study.setting.data
    path = PurePath(data.removeprefix(FOLDER))
    return f"{FOLDER}{path.name}" if data.startswith(FOLDER) and path.is_absolute() else data


def study_params(study: Study) -> dict[str, str]:
    """The plan's choices.  A plan that has grown gives others."""
    return {
        "grid": study.grid,
        "components": ", ".join(f"{name}={level}" for name, level in study.components)[:_LONGEST],
        "variants": str(len(study.variants)),
        "seeds": str(study.seeds),
        **_setting_params(study),
    }


def trial_params(study: Study, result: Result) -> dict[str, str]:
    """`variant` and `seed` to group by, every component's level or "reference", and the setting."""
    levels = dict(result.trial.variant.departures)
    names = [*(name for name, _ in study.components), *study.controls, *levels]
    return {
        **{name: levels.get(name, "reference") for name in names},
        "variant": result.trial.variant.label,
        "seed": str(result.trial.seed),
        **_setting_params(study),
        **({"dataset": result.trial.data} if study.setting.blocks else {}),
    }


def _setting_params(study: Study) -> dict[str, str]:
    setting = study.setting
    named = ("preset", "train_examples", "batch_size", "image_size")
    return {
        "dataset": data_words(study),
        f"{load(study.subject).work_unit}s": str(setting.work),
        **{name: str(setting.facts[name]) for name in named if name in setting.facts},
        "evaluate_on": setting.phase,
    }


def study_tags(study: Study) -> dict[str, str]:
    """What a study's run is found by, and where it came from."""
    return {
        ROLE: "study",
        **_command_tags(study.command),
        NOTE: f"Study **{study.name}**: {len(study.variants)} variants x {study.seeds} seeds on {data_words(study)}. "
        "A view of the records under `results/`, which are the truth. Group the trials by `variant`.",
        **_common_tags(study),
    }


def verdict_tags(verdicts: Iterable[Verdict]) -> dict[str, str]:
    """A tag a claim, to search and to compare studies by: `verdict.lrn_cifar` is `inconclusive [proxy, draft]`."""
    return {f"verdict.{verdict.claim.name}": verdict.label for verdict in verdicts}


def effect_metrics(effects: Iterable[Effect]) -> dict[str, float]:
    """Effects on the main outcome: `effect.lrn.off.one_out`, and with `.low` and `.high` its 95% interval.

    Where trainings failed, `.unstable` is 1, and `.trained_with` and `.trained_without` the shares that did not.
    """
    found: dict[str, float] = {}
    for effect in effects:
        name = f"effect.{effect.component}.{effect.level}.{effect.kind.replace(' ', '_')}"
        found |= {name: effect.estimate, f"{name}.low": effect.low, f"{name}.high": effect.high}
        if effect.unstable:
            found[f"{name}.unstable"] = 1.0
            arms = zip(("with", "without"), effect.trained, effect.ended, strict=True)
            found |= {f"{name}.trained_{arm}": trained / ended for arm, trained, ended in arms if ended}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def baseline_metrics(study: Study) -> dict[str, float]:
    """The errors that need no network, as far as the study knows them."""
    named = {"guessing": study.setting.guessing, "baseline": study.setting.baseline}
    return {name: error for name, error in named.items() if error is not None}


def trial_tags(study: Study, result: Result) -> dict[str, str]:
    """What a trial's run is found by, what came of it, and where it came from."""
    origin = result.provenance
    error = (result.error or "\n".join(result.notes))[-_LONGEST:]  # the end of a traceback says what it was
    tags = {
        ROLE: "trial",
        KEY: result.trial.key,
        RECORD: digest(result),
        STATUS: result.status,
        **_command_tags(str(origin.get("command", ""))),
        COMMIT: str(origin.get("commit", "")),
        DIRTY: "" if origin.get("dirty") is None else str(origin["dirty"]).lower(),
        NOTE: f"**{result.status}**\n```\n{error}\n```" if error else "",
        **_common_tags(study),
    }
    return {name: value for name, value in tags.items() if value}


def _command_tags(command: str) -> dict[str, str]:
    """The whole command, and the program alone: of a source MLflow's table shows only what follows the last slash."""
    return {SOURCE: " ".join(command.split()[:3]) or "ablations", COMMAND: command[:_LONGEST]}


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


def trial_name(study: Study, result: Result) -> str:
    """`-lrn / seed 2`, or of several data sets `-lrn / wine / seed 2`."""
    on = f" / {result.trial.data}" if study.setting.blocks else ""
    return f"{result.trial.variant.label}{on} / seed {result.trial.seed}"


def digest(result: Result) -> str:
    """Twelve hex digits of the sha256 of the whole record: another attempt at a trial has another."""
    return hashlib.sha256(json.dumps(result.to_dict(), sort_keys=True).encode()).hexdigest()[:12]


def points(result: Result) -> Iterator[Point]:
    """The curve with step = epoch, spread evenly over the trial's time, then what is known only at its end."""
    begin, end = times(result)
    row, step = _NO_ROW, 0
    for index, row in enumerate(result.curve, start=1):
        step = int(row.get("epoch", index))
        at = begin + (end - begin) * index // len(result.curve)
        yield from (Point(name, value, at, step) for name, value in row.items() if name != "epoch")
    # What was evaluated by other views than the curve: the last of two points of one epoch is what tables show.
    yield from (
        Point(name, value, end + 1, step)
        for name, value in result.metrics.items()
        if row.get(name) not in (value, None)
    )
    final = {
        **{name: value for name, value in result.metrics.items() if name not in row},
        **{f"activity.{name}": value for name, value in result.activity.items()},
        "seconds": result.seconds,
    }
    yield from (Point(name, value, end, 0) for name, value in final.items())  # step 0: a bar, not a dot on a curve


def times(result: Result) -> tuple[int, int]:
    """Beginning and end of the trial in milliseconds since 1970."""
    length = round(result.seconds * 1000)
    started = str(result.provenance.get("started", ""))
    begin = milliseconds(started) - (0 if started else length)
    return begin, begin + length


def milliseconds(moment: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time; of now when it is empty."""
    return round((datetime.datetime.fromisoformat(moment).timestamp() if moment else time.time()) * 1000)
