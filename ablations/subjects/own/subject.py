"""A study file in Python as a subject: signs the contract of `ablations.core.subject`."""

from __future__ import annotations

import ast
import inspect
import json
import tempfile
from collections.abc import Generator, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import tyro

from ablations import subject as written
from ablations.core.claim import Claim
from ablations.core.errors import DivergedError, InputError, nearest, shown
from ablations.core.load import PLACEBO, REPEAT, SABOTAGE
from ablations.core.machine import gpus_here
from ablations.core.setting import REPLICATES, SIZE, Config, Metric, Setting
from ablations.core.study import Study
from ablations.core.subject import Component, Defaults, Doses, Event, Failed, Measured, Place, Report
from ablations.core.text import capped, seconds_in
from ablations.core.trial import Trial
from ablations.core.variant import Departure
from ablations.records.leftovers import TRIAL, own_folder
from ablations.subjects.own import child, code, data
from ablations.subjects.own.claims import change_in, claims_in
from ablations.subjects.own.configs import changed, check_budget, fields, plain, unit_of, value_of, with_set
from ablations.subjects.own.harm import check_harm, harm, harm_words
from ablations.subjects.own.keeping import check_patterns, keep
from ablations.subjects.own.levels import Part, applied, doses_of, parts_of
from ablations.subjects.own.metrics import check_names, check_ratios, metric_of, rows_of
from ablations.subjects.own.outcome import measured
from ablations.subjects.own.trial import imported, subject_in
from ablations.subjects.own.unfinished import kept_of, path_of

SIZES = {"parameters": "parameters", "macs": "multiply-adds", "flops": "flops"}  # sizes that a trial may report
SALTED = "salted"  # the level of the placebo
NEVER = 1e9  # the timeout in seconds if the file gives none


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a study file."""

    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=VALUE")] = ()
    """Fields of the reference with other values, as epochs=60 width=8."""

    keep_files: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PATTERN")] = ()
    """Keep what each trial leaves in its folder, as '*.pt', in results/<study>/files/<key>/."""


class OwnSubject(Defaults):
    """The subject that one study file defines."""

    more = "--set FIELD=VALUE, --seeds, --components"
    runs = "ablations.subjects.own.trial"  # the module whose `rows` the process of a trial calls
    trial_in_words = "the trial function"  # for messages

    def __init__(self, path: Path, subject: written.Subject) -> None:
        """Checks `subject`, which the file at the absolute `path` defines.  Raises InputError if it is wrong."""
        self.name, self.path, self.subject = str(path), path, subject
        self.reference = plain(subject.reference)
        self.parts = parts_of(subject.reference, subject.components)
        check_harm(subject, self.reference)
        whole = [name for name in fields(self.reference) if isinstance(value_of(self.reference, name), int)]
        for one in subject.budget:
            if one not in whole:
                raise InputError(f"budget names {shown(one)}{nearest(one, whole)} it takes fields with whole numbers.")
        self.work_unit = unit_of(subject.budget[0]) if subject.budget else "trial"
        gpus = subject.resources.gpus
        if gpus is not None and (isinstance(gpus, bool) or not isinstance(gpus, int | float) or not 0 <= gpus < 100):
            raise InputError(f"gpus is {shown(gpus)}; it is the share of a GPU that a trial takes, such as 0.25 or 0.")
        if subject.replicate not in REPLICATES:
            raise InputError(f"replicate is {shown(subject.replicate)}; it is 'training' or 'split'.")
        check_names(self.metrics, self.parts)
        self.data = data.named_in(subject.data, path.parent)
        self.chances = data.chances_of(subject.metrics[self.main], self.main, self.data)
        data.check_asked(self.data, asked=self.wants_data, where=self.trial_in_words)
        assert self.own_claims is not None

    @property
    def gpus(self) -> float:  # type: ignore[override]
        """The share of a GPU that a trial takes: what the file says, or a whole one if the trial asks for `device`."""
        asked = self.subject.resources.gpus
        return float(self.wants_device) if asked is None else asked

    @property
    def wants_device(self) -> bool:
        """Whether the trial function has the argument `device`."""
        assert self.subject.function
        return "device" in inspect.signature(self.subject.function).parameters

    @property
    def wants_data(self) -> bool:
        """Whether the trial function has the argument `data`."""
        assert self.subject.function
        return "data" in inspect.signature(self.subject.function).parameters

    @property
    def main(self) -> str:
        """The name of the main metric, the first in the file."""
        return next(iter(self.subject.metrics))

    def accelerators(self) -> int:
        """Returns the number of GPUs by their driver, as a study file need not use torch."""
        return gpus_here()

    @property
    def options(self) -> type:
        """The class of the options."""
        return Options

    @cached_property
    def headline(self) -> Sequence[str]:  # type: ignore[override]
        """The names of all components; a design takes the first level of each."""
        return tuple(self.parts)

    @cached_property
    def every(self) -> Sequence[str]:  # type: ignore[override]
        """All components with all of their levels, for grids that take several levels of one."""
        return tuple(f"{name}=all" if len(part.levels) > 1 else name for name, part in self.parts.items())

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics of the file, the main one first, and the sizes that a trial may report."""
        if not self.subject.metrics:
            raise InputError("metrics is empty: name at least one number that a trial gives, and which way is better.")
        found = {name: metric_of(name, one) for name, one in self.subject.metrics.items()}
        return {**found, **{name: Metric(words=words, kind=SIZE) for name, words in SIZES.items() if name not in found}}

    @cached_property
    def components(self) -> Mapping[str, Component]:
        """The components of the file, the placebo, and the sabotage if there is one."""
        found = {name: self._component(part) for name, part in self.parts.items()}
        summary = "changes nothing but the random draws; an effect here is a false alarm"
        found[PLACEBO] = Component(reference="its own draws", levels=(SALTED,), summary=summary, control=True)
        if harm(self.subject, self.reference, self.reference):
            found[SABOTAGE] = Component(
                reference="as it is", levels=("on",), summary=f"must do harm: {harm_words(self.subject)}", control=True
            )
        return found

    @property
    def sabotage(self) -> str:  # type: ignore[override]
        """The sabotage in words."""
        return f"the changes that must do harm ({harm_words(self.subject)})"

    def _component(self, part: Part) -> Component:
        now = value_of(self.reference, part.name)
        return Component(
            reference="as it is" if now is None else str(now),
            levels=tuple(part.levels),
            summary=part.about.summary or f"changes {part.name}",
            source=part.about.source,
            labels=part.about.labels,
        )

    @cached_property
    def own_claims(self) -> Sequence[Claim]:  # type: ignore[override]
        """The claims of the file, each on a change that it makes."""
        return claims_in(self.subject, self.parts, self.metrics, self.path)

    def digest(self) -> str:
        """Returns the digest of the code that decides a result, or the file's `version` if it has one."""
        if self.subject.version:
            return f"version {self.subject.version}"
        return code.digest_of(self.files(), self.path, also=rows_of(self.metrics, self.subject.metrics))

    def files(self) -> list[Path]:
        """Returns the files that decide a result."""
        return code.files_of(self.path, self.subject.code)

    def sources(self) -> Mapping[str, bytes]:
        """Returns the contents of the files that decide a result, by their paths relative to the study file."""
        return code.named(self.path, self.files())

    def why_equal(self, reference: Config, config: Config) -> str:
        """Returns what `ablations.check` suggests to look at if two configurations give equal trials."""
        return "is the field read?"

    def called(self, options: Options) -> Sequence[str]:
        """Returns the start of a study's name: the file's."""
        return (self.path.stem,)

    def help(self) -> Mapping[str, str]:
        """Returns, for --help, what the file asks, its components, and the fields of its reference."""
        changes = [
            name if len(one.levels) == 1 else f"{name}={'|'.join(one.levels)}" for name, one in self.parts.items()
        ]
        values = [f"{name}={value_of(self.reference, name)}" for name in fields(self.reference)]
        return {"": self.title(), "components": f"Here: {capped(changes)}.", "set": f"Here: {capped(values)}."}

    def check_options(self, options: Options) -> None:
        """Raises InputError if a --set names no field or gives it a value it cannot have, or if a pattern is wrong."""
        check_budget(with_set(self.reference, options.set), self.subject.budget)
        check_patterns(options.keep_files)

    def place(self, options: Options) -> Mapping[str, Any]:
        """Returns the patterns of files that trials keep."""
        return {"keep_files": list(options.keep_files)}

    def setting(self, options: Options, place: Place, before: Study | None, *, beside: int) -> Setting:
        """Returns the setting, with the reference as --set leaves it.  The code's digest is a part of every key."""
        values = with_set(self.reference, options.set)
        work = int(value_of(values, self.subject.budget[0])) if self.subject.budget else 1
        found = Setting(
            config={"code": self.digest(), "config": values},
            data="",
            fingerprint="",
            main=self.main,
            metrics=self.metrics,
            work=work,
            guessable=None not in self.chances.values(),
            replicate=self.subject.replicate,
            facts={"reference": self.path.stem, "title": " ".join(self.title().split())},
        )
        return data.with_data(found, self.data, self.chances)

    def longer(self, work: int) -> Sequence[str]:
        """Returns the option that sets the first budget field to `work`; nothing without budget fields."""
        return ("--set", f"{self.subject.budget[0]}={work}") if self.subject.budget else ()

    def doses(self, setting: Setting) -> Mapping[str, Doses]:
        """Returns the components whose levels are ordered numbers, with the reference's value as --set leaves it."""
        found = {name: doses_of(part, setting.config["config"]) for name, part in self.parts.items()}
        return {name: one for name, one in found.items() if one}

    def title(self) -> str:
        """Returns what the study asks: the first paragraph of the file's docstring."""
        return (ast.get_docstring(ast.parse(self.path.read_bytes())) or "").strip().split("\n\n")[0]

    def configure(self, setting: Setting, departures: Sequence[Departure]) -> Config:
        """Returns the reference with the departures made, in their order."""
        config = dict(setting.config)
        for name, level in departures:
            if name == PLACEBO:
                config["salt"] = 1
            elif name == SABOTAGE:
                config["config"] = changed(config["config"], harm(self.subject, self.reference, config["config"]))
            else:
                component, level_name = change_in(self.parts, f"{name}={level}")
                change = self.parts[component].levels[level_name]
                config["config"] = applied(self.subject.reference, config["config"], change)
        return config

    def canonical(self, config: Config) -> Hashable:
        """Returns what decides training: fields that nothing reads, by `when`, count as the reference has them."""
        values = config["config"]
        for part in self.parts.values():
            if any(value_of(values, name) != plain(value) for name, value in part.about.when.items()):
                unread = {name for change in part.levels.values() if isinstance(change, Mapping) for name in change}
                values = changed(values, {name: value_of(self.reference, name) for name in unread})
        return json.dumps([values, config.get("salt", 0)], sort_keys=True)

    def run(self, trials: Sequence[Trial], place: Place, report: Report) -> Iterator[Event]:
        """Runs each trial in a process of its own, and yields what it came to.

        The reference's first seed runs twice, which shows whether equal seeds give equal numbers.
        """
        for number, trial in enumerate(trials):
            over = False  # whether its unfinished training can be removed, as no later run needs it
            try:
                found = yield from self._run(trial, place, report, number)
                if not trial.variant.departures and trial.seed == 0:
                    again = yield from self._run(trial, place, lambda trial, row: None, number, REPEAT)
                    found = replace(found, extras={REPEAT: again.trace})
                over = True
                yield found
            except Exception as error:  # a user's code may raise anything, which is then the result of the trial
                over = isinstance(error, DivergedError)
                yield Failed(number=number, error=error)
            for word in ("", REPEAT) if over else ():
                path_of(trial, place.folder, word).unlink(missing_ok=True)

    def cautions(self, log: str) -> Sequence[str]:
        """Returns what a trial's log shows that may go unseen: nothing for functions, which return numbers."""
        return ()

    def left_in(self, trial: Trial, place: Place, own: Path) -> Path:
        """Returns the folder in which a trial leaves files: `own`, which is empty when it begins."""
        return own

    def task(self, trial: Trial, place: Place) -> dict[str, Any]:
        """Returns what the process of a trial must know, as plain JSON."""
        device = "cuda" if place.gpus else "cpu"
        given = {"config": trial.config["config"], "salt": trial.config.get("salt", 0), "seed": trial.seed}
        its = data.given_to(trial.data, trial.fingerprint, self.data)
        return {**given, "threads": place.threads, "device": device, "data": its}

    def _run(
        self, trial: Trial, place: Place, report: Report, number: int, again: str = ""
    ) -> Generator[None, None, Measured]:
        timeout = self.subject.resources.timeout
        kept = {"unfinished": kept_of(trial, place.folder, again)}
        task = {"path": str(self.path), "runs": self.runs, **kept, **self.task(trial, place)}
        if trial.config["code"] != self.digest():
            raise RuntimeError("the code on this machine is another than that of the study, or has changed since")
        rows: list[dict[str, float]] = []
        last: dict[str, Any] = {}
        log = place.folder / "logs" / f"{trial.key}.txt"
        asked: Any = {"promised": [*self.subject.metrics], "replicate": self.subject.replicate}
        # The folder is removed however the trial ends; if this process is killed, the next trial removes it.
        with own_folder(Path(tempfile.gettempdir()), TRIAL) as folder:
            task["folder"] = str(folder / "own")
            (folder / "own").mkdir()
            for said in child.events(task, log=log, timeout=seconds_in(timeout) if timeout else NEVER):
                if said is None:
                    yield None
                elif "row" in said:
                    row = {"epoch": len(rows) + 1, **said["row"]}
                    check_ratios(self.metrics, row)
                    rows.append(row)
                    report(trial, row)
                else:
                    last = said
            found = measured(last, rows, metrics=self.metrics, place=(place.folder, trial.key), **asked)
            patterns = place.options.get("keep_files", ()) if not again else ()
            files, unkept = keep(patterns, self.left_in(trial, place, folder / "own"), place.folder, trial.key)
        return replace(found, number=number, artifacts=files, notes=(*found.notes, *unkept))


def opened(path: str) -> OwnSubject:
    """Returns the subject of a study file.

    Raises InputError, with the line of the mistake, if the file cannot be used.
    """
    where = Path(path)
    if not where.is_file():
        raise InputError(f"there is no study file {shown(path)}.")
    try:
        return OwnSubject(where.resolve(), subject_in(imported(str(where.resolve()))))
    except InputError as error:
        raise InputError(f"{where.name}: {error}") from None
    except (Exception, SystemExit) as error:
        raise InputError(f"{where.name} cannot be imported: {type(error).__name__}: {_first(error)}.") from error


def _first(error: BaseException) -> str:
    """Returns the message of an error, cut to 300 characters, with the line of the study file that raised it."""
    text = " ".join(str(error).split())
    line = getattr(error, "lineno", None)
    trace = error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if "ablations_study_" in trace.tb_frame.f_globals.get("__name__", "") else line
        trace = trace.tb_next
    return f"{text[:300]}{f', in line {line}' if line else ''}"
