"""The subject of a study whose study file cannot be used: made from records, without running any of the file's code.

What a report asks of a subject is written beside the plan when the study starts: results/<study>/subject.json.
Studies older than that file are reported from the configurations of their trials, and the report says what is missing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ablations.core.claim import Claim
from ablations.core.errors import InputError, shown
from ablations.core.load import PLACEBO, RECORD, SABOTAGE, is_file, load
from ablations.core.result import Result
from ablations.core.setting import Config, Metric, Setting
from ablations.core.study import Study
from ablations.core.subject import Component, Defaults, Doses
from ablations.core.text import capped
from ablations.core.variant import Departure, Variant
from ablations.records import store
from ablations.records.files import DAMAGED, read_json, write_json
from ablations.records.sources import write_sources

NAME = "subject.json"


def keep_sources(folder: Path, study: Study) -> None:
    """Keeps the files that decide the trials of a study in its folder, where its subject names any, and the subject.

    The subject is kept of every study file: a command may reach no file of its own, as that of an installed package.
    """
    subject = load(study.subject)
    if files := subject.sources():
        write_sources(folder, subject.digest(), files)
    if is_file(study.subject):
        write_subject(folder, study)


def write_subject(folder: Path, study: Study) -> None:
    """Writes what a report asks of the subject of `study` to subject.json in `folder`."""
    subject = load(study.subject)
    write_json(
        folder / NAME,
        {
            "components": {name: dataclasses.asdict(one) for name, one in subject.components.items()},
            "doses": {name: dataclasses.asdict(one) for name, one in subject.doses(study.setting).items()},
            "claims": [dataclasses.asdict(claim) for claim in subject.own_claims],
            "sabotage": subject.sabotage,
            "work_unit": subject.work_unit,
        },
    )


def readable(folder: Path, study: Study, results: Sequence[Result]) -> tuple[Study, list[Result], str]:
    """Returns the study and its results in a form that a report can be made of, and a sentence, or "".

    If its study file cannot be used, a `Recorded` takes the place of the subject, and the sentence says so.  Otherwise
    the study and the results are returned unchanged.
    """
    reason = _unusable(study) if is_file(study.subject) else ""
    if not reason:
        return study, list(results), ""
    instead = str(folder.resolve() / RECORD)
    lacking = "" if (folder / NAME).exists() else "; what its components are in words was not recorded"
    sentence = (
        f"study file {shown(study.subject)} {reason}: this report is from the records alone, and none of the file's "
        f"code was run{lacking}. Its code as it ran is kept in {folder / 'code'}."
    )
    moved = [dataclasses.replace(one, trial=dataclasses.replace(one.trial, subject=instead)) for one in results]
    return dataclasses.replace(study, subject=instead), moved, sentence


def _unusable(study: Study) -> str:
    """Returns a clause on why today's study file cannot be used for a report, or "" if it can."""
    if not Path(study.subject).is_file():
        return "is gone"
    try:
        components = load(study.subject).components
    except InputError as error:
        return f"cannot be used any more ({str(error).rstrip('.')})"
    departures = {departure for variant in study.variants for departure in variant.departures}
    lost = [
        Variant(departures=((name, level),)).label
        for name, level in sorted(departures)
        if name not in components or level not in components[name].levels
    ]
    return f"no longer has {capped(lost, 3)}" if lost else ""


class Recorded(Defaults):
    """The subject that takes the place of a study file that cannot be used."""

    def __init__(self, path: Path) -> None:
        """`path` is the absolute path of the study's plan.  Raises InputError if the plan cannot be read."""
        self.folder = path.parent
        self.study = store.read_study(self.folder)
        self.name = self.study.subject
        try:
            self.told: Mapping[str, Any] = read_json(self.folder / NAME)
        except DAMAGED:
            self.told = {}
        self.sabotage = self.told.get("sabotage", "the changes that must do harm")
        self.work_unit = self.told.get("work_unit", "trial")

    @cached_property
    def configs(self) -> Mapping[str, Config]:
        """The configuration of each variant that has a record, by its label."""
        results, _ = store.read_all(self.folder)
        return {one.trial.variant.label: one.trial.config for one in results.values()}

    @cached_property
    def levels(self) -> Mapping[str, tuple[str, ...]]:
        """The levels of each component that the study's variants have."""
        found: dict[str, dict[str, None]] = {}
        for name, level in (departure for variant in self.study.variants for departure in variant.departures):
            found.setdefault(name, {})[level] = None
        return {name: tuple(levels) for name, levels in found.items()}

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics of the plan."""
        return self.study.setting.metrics

    @cached_property
    def own_claims(self) -> Sequence[Claim]:  # type: ignore[override]
        """The claims that the study file brought itself; those of the plan if they were not recorded."""
        if "claims" not in self.told:
            return self.study.claims
        return tuple(Claim.from_dict(one) for one in self.told["claims"])

    @cached_property
    def components(self) -> Mapping[str, Component]:
        """The components as they were recorded; if they were not, as far as names and configurations describe them."""
        if "components" in self.told:
            rows = self.told["components"].items()
            return {name: Component(**{**one, "levels": tuple(one["levels"])}) for name, one in rows}
        return {
            name: Component(
                reference=str(_value(self.study.setting.config, name, "as it is")),
                levels=levels,
                summary=f"changes {name}",
                control=name in (PLACEBO, SABOTAGE),
            )
            for name, levels in self.levels.items()
        }

    def doses(self, setting: Setting) -> Mapping[str, Doses]:
        """Returns the doses as they were recorded.

        If they were not, they are those fields of which the reference and two levels or more are numbers.
        """
        if "doses" in self.told:
            return {name: Doses(**one) for name, one in self.told["doses"].items()}
        found = {}
        for name, levels in self.levels.items():
            first = _value(setting.config, name)
            labels = {level: Variant(departures=((name, level),)).label for level in levels}
            doses = {level: _value(self.configs.get(label, {}), name) for level, label in labels.items()}
            if len(levels) > 1 and all(map(_is_number, (first, *doses.values()))):
                found[name] = Doses(reference=float(first), levels={level: float(x) for level, x in doses.items()})
        return found

    def configure(self, setting: Setting, departures: Sequence[Departure]) -> Config:
        """Returns the config of a trial that has these departures and a record.  Raises InputError if there is none."""
        label = Variant(departures=tuple(departures)).label
        if label not in self.configs:
            raise InputError(f"{label} cannot be had: the study file of {self.study.name!r} cannot be used.")
        return self.configs[label]


def _value(config: Config, name: str, otherwise: Any = None) -> Any:
    """Returns the value of a field of the study file's config; `optimizer.lr` is the field `lr` of `optimizer`."""
    value: Any = config.get("config", {})
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return otherwise
        value = value[part]
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def opened(path: str) -> Recorded:
    """Returns the subject that takes the place of the study file; `path` is the absolute path of the study's plan."""
    return Recorded(Path(path))
