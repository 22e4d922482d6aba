"""python -m ablations.check study.py: whether a study file is sound, found by a few trials at its smallest budget.

Each line that it prints says what was checked and what was found; a line on a problem says what helps.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from ablations.cli.arguments import parsed
from ablations.core.errors import InputError, answered
from ablations.core.load import PLACEBO, is_file, load
from ablations.core.result import DONE, Result
from ablations.core.setting import Setting
from ablations.core.subject import Place
from ablations.core.text import counted, duration, last_line
from ablations.core.trial import Trial
from ablations.core.variant import Departure, Variant
from ablations.execution.worker import run_job
from ablations.planning.factors import Forms

WIDTH = 22  # characters of a line's first column


EXAMPLES = (
    ("python -m ablations.check study.py", "a few trials, with the first field of the budget at 1"),
    ("python -m ablations.check study.toml --set steps=5", "with other values of the reference"),
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Runs the reference of a study file twice and with another seed, and each of its changes once."""

    study: Annotated[Path, tyro.conf.Positional]
    """The study file."""
    set: tuple[str, ...] = ()
    """Other values for fields of the reference, such as epochs=1."""
    whole: bool = False
    """Keep the budget as it is; without this, its first field is set to 1."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the checks.  Returns the exit code: 0 sound, 1 a problem was found, 2 bad input."""
    words = sys.argv[1:] if arguments is None else arguments
    asked = "python -m ablations.check"
    return answered(lambda: _check(parsed(Asked, words, prog=asked, examples=EXAMPLES)), stopped="stopped")


def _check(asked: Asked) -> int:
    if not is_file(str(asked.study)):
        raise InputError(f"{str(asked.study)!r} is no study file; the name of one ends in .py or .toml.")
    began = time.perf_counter()
    name = str(asked.study.resolve())
    subject = load(name)
    _say("imports", f"in {duration(time.perf_counter() - began)}")
    budget = subject.subject.budget
    own = budget and any(word.startswith(f"{budget[0]}=") for word in asked.set)
    small = () if asked.whole or own or not budget else (f"{budget[0]}=1",)
    options = subject.options(set=(*small, *asked.set))
    with tempfile.TemporaryDirectory(prefix="ablations-check-") as folder:
        place = Place(folder=Path(folder))
        setting = subject.setting(options, place, None, beside=1)
        if small:
            _say("budget", f"{small[0]} here; --whole keeps it as it is")
        return 1 if _Checked(name, setting, place).problems() else 0


def _say(what: str, found: str) -> None:
    print(f"{what:<{WIDTH}} {found}", flush=True)


def _numbers(result: Result) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())


class _Checked:
    """Runs the trials of one check and prints what they show."""

    def __init__(self, name: str, setting: Setting, place: Place) -> None:
        self.name, self.setting, self.place = name, setting, place
        self.subject: Any = load(name)
        self.forms = Forms(name, setting)
        self.bad = 0

    def problems(self) -> int:
        """Prints all lines.  Returns how many of them report a problem."""
        reference = self._reference()
        if reference is None:
            return self.bad
        departures = [(name, level) for name, part in self.subject.parts.items() for level in part.levels]
        for departure in departures:
            self._change(departure, reference)
        if PLACEBO in self.subject.components:
            self._placebo(reference)
        self._conflicts(departures)
        _say("in all", f"{counted(self.bad, 'line')} to look at" if self.bad else "sound")
        return self.bad

    def _run(self, *departures: Departure, seed: int = 0, on: int = 0) -> Result:
        """Runs one trial and returns its result; `on` is the position of its data set among several."""
        variant = Variant(departures=departures)
        config = self.forms.config(*departures)
        its = self.setting.each[on]
        given = {"data": its.data, "fingerprint": its.fingerprint}
        trial = Trial(variant=variant, seed=seed, config=config, subject=self.name, **given)
        (result,) = run_job((trial,), self.place)
        return result

    def _fails(self, what: str, result: Result) -> bool:
        if result.status == DONE:
            return False
        self._bad(what, f"{result.status}: {last_line(result.error, 500)}")
        return True

    def _bad(self, what: str, found: str) -> None:
        self.bad += 1
        _say(what, f"LOOK  {found}")

    def _reference(self) -> Result | None:
        first = self._run()
        if self._fails("reference", first):
            return None
        what = f"reference, {self.setting.blocks[0].name}" if self.setting.blocks else "reference"
        _say(what, f"{_numbers(first)}; {duration(first.seconds / 2)} a trial")
        log = self.place.folder / "logs" / f"{first.trial.key}.txt"
        for caution in self.subject.cautions(log.read_text(encoding="utf-8", errors="replace")):
            self._bad("numbers", caution)
        if first.extras["repeat"] == first.trace:
            _say("repeat", "equal to the last digit, so changes that do nothing will be found")
        else:
            self._bad(
                "repeat", "the same seed gave other numbers, so changes that do nothing cannot be found; use streams"
            )
        second = self._run(seed=1)
        if not self._fails("another seed", second):
            if second.trace == first.trace:
                self._bad(
                    "another seed",
                    "equal: the seed is not used, so nothing can be judged; use seed or streams in the trial",
                )
            else:
                _say("another seed", "differs")
        for number, its in enumerate(self.setting.blocks[1:], start=1):
            other = self._run(seed=1, on=number)  # the first seed is run twice
            if not self._fails(f"on {its.name}", other):
                _say(f"on {its.name}", f"{_numbers(other)}; {duration(other.seconds)} a trial")
        return first

    def _change(self, departure: Departure, reference: Result) -> None:
        label = Variant(departures=(departure,)).label
        if not self.forms.changes(departure):
            return self._bad(label, "changes only fields that are not read, by the conditions in `when`")
        result = self._run(departure)
        if self._fails(label, result):
            return None
        if result.trace == reference.trace:
            asked = self.subject.why_equal(self.setting.config, self.forms.config(departure))
            return self._bad(label, f"EQUAL to the reference: this change does nothing here; {asked}")
        moved = [name for name in self.subject.subject.metrics if result.metrics[name] != reference.metrics[name]]
        _say(label, f"differs, in {', '.join(moved)}" if moved else "differs, but not in a metric yet")
        return None

    def _placebo(self, reference: Result) -> None:
        result = self._run((PLACEBO, self.subject.components[PLACEBO].levels[0]))
        if not self._fails(PLACEBO, result):
            same = result.trace == reference.trace
            self._bad(PLACEBO, "equal: the random draws do not depend on the seed") if same else _say(
                PLACEBO, "differs"
            )

    def _conflicts(self, departures: Sequence[Departure]) -> None:
        found = [
            reason
            for place, one in enumerate(departures)
            for other in departures[place + 1 :]
            if one[0] != other[0] and (reason := self.forms.conflict(one, other))
        ]
        for reason in found:
            _say("conflict", reason)


if __name__ == "__main__":
    sys.exit(main())
