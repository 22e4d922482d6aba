"""Records <-> disk <-> DataFrame.  results/<study>/: study.json, trials/<key>.json, table.csv.

The records decide what is still to run, and every table, report and MLflow view is made from them.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablations.core.errors import InputError, shown, unknown
from ablations.core.load import is_file
from ablations.core.result import Result
from ablations.core.setting import Setting
from ablations.core.study import Study
from ablations.core.text import capped, counted
from ablations.records.files import DAMAGED, read_json, strict, why, write_json
from ablations.records.upgrade import upgraded_result, upgraded_study

WAYS_OUT = "choose another --name, or another --results"


def checksum(record: Mapping[str, Any]) -> str:
    """Returns sixteen hex digits of the sha256 of a record's content, whatever the order of its fields."""
    text = json.dumps(strict(record), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def trial_path(folder: Path, key: str) -> Path:
    """Returns where the record of a trial lies in the study's folder."""
    return folder / "trials" / f"{key}.json"


def write_result(folder: Path, result: Result) -> Path:
    """Writes the record of `result`, with a checksum over its content, and returns its path.

    An older record of the same trial is kept under another name if it cannot be read (`.corrupt`), or if another
    version of the training code made it (such as `.version-1`).
    """
    path = trial_path(folder, result.trial.key)
    if path.exists():
        before, _ = read_result(path)
        if before is None:
            _put_aside(path, path.with_suffix(".json.corrupt"))
        elif before.training_version != result.training_version:
            path.replace(path.with_suffix(f".json.version-{before.training_version}"))
    record = result.to_dict()
    record["trial"]["subject"] = _from(folder, result.trial.subject)
    write_json(path, {**record, "checksum": checksum(record)})
    return path


def _from(folder: Path, subject: str) -> str:
    """Returns a subject's name as a record holds it.

    A study file is named by its path relative to the study's folder, so that both can be moved together.
    """
    home = folder.resolve()
    if not is_file(subject) or Path(os.path.commonpath([home, Path(subject).resolve()])) == Path(home.anchor):
        return subject
    return Path(os.path.relpath(subject, home)).as_posix()


def _found(folder: Path, subject: str) -> str:
    """Returns the name of the subject that `_from` wrote: a study file's is its absolute path."""
    return str((folder / subject).resolve()) if is_file(subject) else subject


def check_study_file(folder: Path, study: Study) -> None:
    """Raises InputError if the study in `folder` was run from a study file that is no longer there."""
    if is_file(study.subject) and not Path(study.subject).exists():
        raise InputError(
            f"study {study.name!r} was run from {shown(study.subject)}, and there is no study file any more: put it "
            f"back. Its code as it ran is kept in {folder / 'code'}."
        )


def read_result(path: Path) -> tuple[Result | None, str]:
    """Returns the result in `path` and "", or None and one sentence that says why it cannot be read."""
    try:
        record = read_json(path)
        _check_sum(record)
        record = upgraded_result(record)
        trial = record["trial"]
        if isinstance(trial, dict) and isinstance(named := trial.get("subject"), str):
            record["trial"] = {**trial, "subject": _found(path.parent.parent, named)}
        result = Result.from_dict(record)
    except DAMAGED as error:
        return None, f"record {path} cannot be read ({why(error)}); its trial counts as not run"
    if path.stem != result.trial.key:
        return None, f"record {path} holds the trial {result.trial.key}; its trial counts as not run"
    return result, ""


def kept_files(folder: Path, result: Result) -> list[Path]:
    """Returns the files that a record names as kept, if they exist and lie in the study's folder."""
    home = folder.resolve()
    paths = [(home / name).resolve() for name in result.artifacts]
    return [path for path in paths if path.is_relative_to(home) and path.is_file()]


def _put_aside(path: Path, aside: Path) -> None:
    """Moves `path`, a file or a folder, to `aside`; to a new name like it if a file or folder there is in the way."""
    meet = aside.exists() and (aside.is_dir() or path.is_dir())
    path.replace(aside.with_name(f"{aside.name}-{secrets.token_hex(4)}") if meet else aside)


def _check_sum(record: dict[str, Any]) -> None:
    """Removes the checksum from a record.  Raises ValueError if it is missing or does not fit the content."""
    found = record.pop("checksum", None)
    if found is None and not record.get("training_digest"):
        return  # the record is older than checksums
    if found != checksum(record):
        raise ValueError("it was changed after it was written: its checksum does not fit its content")


def find(study: str, results: Path) -> Path:
    """Returns the folder of a study, which is given by its name under `results` or by its folder.

    Raises InputError, with the nearest name, if there is no such study.
    """
    for folder in (results / study, Path(study)):
        # `os.path.exists` is false for a path that is too long, where `Path.is_file` may raise.  It is true of a
        # folder or a pipe, which `read_study` then names in its error.
        if os.path.exists(folder / "study.json"):
            return folder
    known = names(results)
    if not known:
        raise InputError(f"unknown study {shown(study)}: there is no study in {shown(results)}.")
    raise unknown("study", study, known)


def find_all(studies: Sequence[str], results: Path) -> list[Path]:
    """Returns the folders of these studies, given as in `find`; without any, those of all studies under `results`.

    Raises InputError if there is none.
    """
    folders = [find(name, results) for name in studies or names(results)]
    if not folders:
        raise InputError(f"there is no study in {str(results)!r}.")
    return folders


def names(results: Path) -> list[str]:
    """Returns the names of the studies under `results`, in alphabetical order."""
    return sorted(path.parent.name for path in results.glob("*/study.json"))


def check_extends(folder: Path, study: Study, *, retrain: bool = False) -> None:
    """Raises InputError if `folder` holds a study that this one does not extend; see `write_study`."""
    if not (folder / "study.json").exists():
        return
    old = read_study(folder)
    for name, before in _fixed(old).items():
        if before == (after := _fixed(study)[name]) or (name == "code" and retrain):
            continue
        if name == "code":
            raise InputError(
                f"the code of study {study.name!r} in {folder} has changed since its first run: take another "
                "--name, or train its trials again with --retrain. python -m ablations.explain says what changed."
            )
        raise InputError(f"study {study.name!r} in {folder} has {name} {before}, and this run {after}: {WAYS_OUT}.")
    if other := _other_data(old.setting, study.setting):
        raise InputError(f"study {study.name!r} in {folder} {other}: {WAYS_OUT}.")


def write_study(folder: Path, study: Study, *, retrain: bool = False) -> None:
    """Writes `study.json`, which is there before the first trial runs.

    Raises InputError if the folder holds a study that this one does not extend.  Only seeds, components, variants and
    further data sets may differ and, with `retrain`, the code.
    """
    check_extends(folder, study, retrain=retrain)
    write_json(folder / "study.json", {**study.to_dict(), "subject": _from(folder, study.subject)})


def _fixed(study: Study) -> dict[str, Any]:
    """Returns the parts of a plan that a later plan of the same study must have too."""
    # A changed "spec" is allowed: its trials have other keys.
    config = {name: value for name, value in study.setting.config.items() if name != "spec"}
    return {
        "grid": study.grid,
        "subject": study.subject,
        **config,
        # The size of the search for one arm is fixed; their number is not, and a new arm is tuned like the others.
        "tuning": study.tuning.how if study.tuning else "none",
        "resolution": study.resolution,
    }


def _other_data(before: Setting, after: Setting) -> str:
    """Says which data set of an earlier plan is missing in a later one, or has other content there; empty if none is.

    Data count by their fingerprint, so that a folder may be moved.
    """
    there = {one.fingerprint for one in after.each}
    lost = [one.data for one in before.each if one.fingerprint not in there]
    if not lost:
        return ""
    now = [one.data for one in after.each]
    if lost[0] in now:
        return f"was run on other data: the content of {shown(lost[0])} has changed since its first run"
    return f"was run on {shown(lost[0])}, and this run is on {capped([shown(one) for one in now], 5)}"


def so_far(folder: Path) -> tuple[Study | None, int]:
    """Returns the plan in `folder`, if there is one, and how many trials of any plan have a record there.

    Raises InputError if the plan cannot be read.
    """
    study = read_study(folder) if (folder / "study.json").exists() else None
    return study, len(list((folder / "trials").glob("*.json")))


def read_study(folder: Path) -> Study:
    """Returns the plan in `folder`.  Raises InputError if there is none, or if it cannot be read."""
    path = folder / "study.json"
    try:
        study = Study.from_dict(upgraded_study(read_json(path)))
        if not study.variants:
            raise ValueError("it has no variants")
        return replace(study, subject=_found(folder, study.subject))
    except FileNotFoundError:
        raise InputError(f"no study in {str(folder)!r}: study.json is missing.") from None
    except DAMAGED as error:
        raise InputError(f"{path} cannot be read: {why(error)}.") from None


def read(folder: Path) -> tuple[Study, list[Result], list[str]]:
    """Returns the plan, the results of its trials in the plan's order, and sentences on records that are left out.

    Left out are records that cannot be read, and those of an older version of the training code than the newest among
    them.  The folder may also hold records of trials that are not in the plan, for example of more seeds; they are not
    read.  Raises InputError if the plan cannot be read.
    """
    study = read_study(folder)
    found, problems = read_results(folder, study.keys)
    newest = max((result.training_version for result in found), default=0)
    old = sum(result.training_version != newest for result in found)
    if old:
        problems.append(
            f"{counted(old, 'record')} of an older version of the training code left out: trials of two versions are "
            f"never paired, and the others are of version {newest}"
        )
    return study, [result for result in found if result.training_version == newest], problems


def read_results(folder: Path, keys: Iterable[str]) -> tuple[list[Result], list[str]]:
    """Returns the results that have a record under one of these keys, and one sentence per unreadable record."""
    found: list[Result] = []
    problems: list[str] = []
    for key in keys:
        path = trial_path(folder, key)
        if path.exists():
            result, problem = read_result(path)
            if result:
                found.append(result)
            else:
                problems.append(problem)
    return found, problems


def read_all(folder: Path) -> tuple[dict[str, Result], list[str]]:
    """Returns every result in `folder` by its key, and one sentence per unreadable record."""
    keys = sorted(path.stem for path in (folder / "trials").glob("*.json"))
    found, problems = read_results(folder, keys)
    return {result.trial.key: result for result in found}, problems
