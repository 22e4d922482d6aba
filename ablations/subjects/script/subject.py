"""A TOML file as a subject: a study file whose trials are commands."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ablations.core.errors import DivergedError, InputError, shown
from ablations.core.setting import Config
from ablations.core.subject import Measured, Place, Report
from ablations.core.text import listed
from ablations.core.trial import Trial
from ablations.subject import BEST
from ablations.subjects.own import code
from ablations.subjects.own.data import given_to
from ablations.subjects.own.subject import Options, OwnSubject
from ablations.subjects.own.trial import salted
from ablations.subjects.script.command import ARGS, DATA, environment, filled, leaves
from ablations.subjects.script.mlflow_store import address
from ablations.subjects.script.patterns import blind
from ablations.subjects.script.read_command import script_of
from ablations.subjects.script.reading import FILES, MLFLOW, STDOUT, STORE, last_word
from ablations.subjects.script.study import Script, script_in

CAUTION = (
    "take = 'best' looks at what is tested: the best of several rows is too good, the more so the more they "
    "scatter, so arms that scatter more gain by it"
)
WENT_ON = "it ran in the folder of an earlier try, whose files it may have read"
DRY = {DATA: "DATA"}  # texts of placeholders in the commands of a dry run
ANY = dict.fromkeys(("seed", "threads", "folder", "here", DATA), "")  # the same in commands that are only compared
FOLDERS = "folders"  # the folder, in the study's, that holds one folder a trial


class ScriptSubject(OwnSubject):
    """The subject that one TOML file defines."""

    runs = "ablations.subjects.script.trial"
    wants_device = True  # it is not known whether a script uses a GPU; most use one that they find
    trial_in_words = "the command, which has no {data},"  # for messages

    def __init__(self, path: Path, script: Script) -> None:
        """`path` is the absolute path of the file, and `script` its contents."""
        self.script = script
        super().__init__(path, script.subject)

    @property
    def wants_data(self) -> bool:
        """Whether the study names data sets and the command has a placeholder for them."""
        return bool(self.script.subject.data) and DATA in self.script.command.placed

    def title(self) -> str:
        """Returns the title that the file gives."""
        return self.script.title

    def digest(self) -> str:
        """Returns the digest of the entries that decide a result and of the files that the command reaches."""
        if self.subject.version:
            return super().digest()
        said = json.dumps(self.script.decides, sort_keys=True, default=str)
        return hashlib.sha256(f"{said}\n{code.digest_of(self.files())}".encode()).hexdigest()[:16]

    def files(self) -> list[Path]:
        """Returns the local files that the command names, the modules they import, and the patterns of `code`."""
        return sorted({*self._reached()})

    def _reached(self) -> Iterator[Path]:
        here, command = self.path.parent, self.script.command
        starts = [script for script in [script_of(command, here)] if script]
        for word, last in zip(command.words, ("", *command.words), strict=False):
            text = word.replace("{here}/", "")
            starts += code.module((here,), text) if last == "-m" else []
            starts += [here / part for part in text.split("=") if "{" not in part and (here / part).is_file()]
        for start in starts:
            yield from code.files_of(start)
        if self.subject.code:
            yield from (one for one in code.files_of(self.path, self.subject.code) if one != self.path)

    def check_options(self, options: Options) -> None:
        """Raises InputError if a --set names no field, or gives it a value of another type."""
        for word in options.set:
            if word.startswith(ARGS):
                raise InputError(f"--set {shown(word)}: words of the command are no field.")
        super().check_options(options)

    def cautions(self, log: str) -> Sequence[str]:
        """Returns the metrics whose pattern misses nan or a part of a number that a diverging training prints."""
        if self.script.read.source != STDOUT:
            return ()
        columns = {one["from"] for one in self.script.columns.values()}
        found = blind(self.script.read.where, log.splitlines(), columns)
        return [f"{name} as {listed(odd)} is not found: write (?P<{name}>\\S+)" for name, odd in found.items()]

    def command(self, config: Config, seed: int, place: Place) -> str:
        """Returns the command of a trial, as a shell would take it."""
        argv = self._argv(config, seed, place, Path("FOLDER"))
        return shlex.join(argv)

    def why_equal(self, reference: Config, config: Config) -> str:
        """Returns what `ablations.check` suggests to look at if two configurations give equal trials.

        A change that only leaves words out does nothing if the script's defaults are what those words say.
        """
        before, after = (self.script.command.argv(one["config"], ANY) for one in (reference, config))
        left_out = [word for word in before if word not in after]
        if left_out and all(word in before for word in after):
            return (
                f"its command only leaves out {shown(' '.join(left_out))}, which may be the script's default: say the "
                "opposite, as --no-NAME does with style = 'tyro', or as { args = ['--WORD'] }"
            )
        return super().why_equal(reference, config)

    def _argv(self, config: Config, seed: int, place: Place, folder: Path, its: Mapping[str, str] = DRY) -> list[str]:
        """Returns the words of a trial's command; `its` has the text for its data set."""
        texts = {**self._texts(folder), "seed": str(salted(seed, config.get("salt", 0))), "threads": str(place.threads)}
        return self.script.command.argv(config["config"], {**texts, **its})

    def _texts(self, folder: Path) -> dict[str, str]:
        return {"folder": str(folder), "here": str(self.path.parent)}

    def left_in(self, trial: Trial, place: Place, own: Path) -> Path:
        """Returns the folder in which a trial leaves files: that of its command, which outlives a failed try."""
        return _folder(trial, place)

    def task(self, trial: Trial, place: Place) -> dict[str, Any]:
        """Returns the command of a trial, where it runs, and what is read from it.  Makes the trial's folder."""
        folder = _folder(trial, place)
        folder.mkdir(parents=True, exist_ok=True)
        texts, read = self._texts(folder), self.script.read
        cwd = self.path.parent / filled(self.script.command.cwd, texts)
        seed = salted(trial.seed, trial.config.get("salt", 0))
        given = given_to(trial.data, trial.fingerprint, self.data)
        its = {DATA: given["path"] or given["name"]} if given else {}
        variables = environment(
            self.script.command, seed=seed, folder=str(folder), threads=place.threads, variant=trial.variant.label
        )
        where = ""
        if read.source in FILES:
            where = str(cwd / filled(read.where, {**texts, "seed": str(seed)}))
        elif read.source == MLFLOW:
            where = str(folder / STORE)
            variables["MLFLOW_TRACKING_URI"] = address(folder / STORE)
        metrics = {name: {**one, "better": self._better(name)} for name, one in self.script.columns.items()}
        return {
            "argv": self._argv(trial.config, trial.seed, place, folder, its),
            "cwd": str(cwd),
            "environment": variables,
            "read": asdict(read),
            "where": where,
            "metrics": metrics,
            "echoes": _echoes(trial.config["config"], seed),
        }

    def _better(self, name: str) -> str:
        return str(getattr(self.subject.metrics[name], "better", self.subject.metrics[name]))

    def _run(
        self, trial: Trial, place: Place, report: Report, number: int, again: str = ""
    ) -> Generator[None, None, Measured]:
        """Runs a trial.  Its folder is kept for the next try if it fails, and removed if it does not."""
        folder = _folder(trial, place)
        went_on = folder.is_dir()
        try:
            measured = yield from super()._run(trial, place, report, number, again)
        except DivergedError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
        notes = {CAUTION: any(one["take"] == BEST for one in self.script.columns.values()), WENT_ON: went_on}
        return replace(measured, notes=(*measured.notes, *(note for note, applies in notes.items() if applies)))


def _folder(trial: Trial, place: Place) -> Path:
    return place.folder.resolve() / FOLDERS / trial.key


def _echoes(values: Config, seed: int) -> dict[str, Any]:
    """Returns what a trial was given, by the last word of its name: rows may repeat it, which says nothing of the
    trial.
    """
    given = {last_word(name): value for name, value in leaves(values)}
    return {**given, "seed": seed, "random_state": seed, "random_seed": seed}


def opened(path: str) -> ScriptSubject:
    """Returns the subject of a TOML file.  Raises InputError, with the file's name, if it cannot be used."""
    where = Path(path).resolve()
    if not where.is_file():
        raise InputError(f"there is no study file {shown(path)}.")
    try:
        subject = ScriptSubject(where, script_in(where))
        subject.digest()  # raises InputError if a pattern of `code` matches no file
        return subject
    except InputError as error:
        raise InputError(f"{where.name}: {error}") from None
