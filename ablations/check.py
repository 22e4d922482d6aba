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
from ablations.core.load import PLACEBO, SABOTAGE, is_file, load
from ablations.core.result import DONE, Result
from ablations.core.setting import Setting
from ablations.core.subject import Place
from ablations.core.text import counted, duration, last_line, listed
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
    """Runs the reference of a study file twice and with another seed, and each change and control once."""

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
        return 1 if _Checked(name, setting, place, small[0] if small else "").problems() else 0


def _say(what: str, found: str) -> None:
    print(f"{what:<{WIDTH}} {found}", flush=True)


def _numbers(result: Result) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())


class _Checked:
    """Runs the trials of one check and prints what they show; `small` is the budget that was set to 1, if one was."""

    def __init__(self, name: str, setting: Setting, place: Place, small: str) -> None:
        self.name, self.setting, self.place, self.small = name, setting, place, small
        self.subject: Any = load(name)
        self.forms = Forms(name, setting)
        self.bad = 0
        self.seeds_differ = False

    def problems(self) -> int:
        """Prints all lines.  Returns how many of them report a problem."""
        references = self._references()
        if references:
            departures = [(name, level) for name, part in self.subject.parts.items() for level in part.levels]
            controls = self.subject.components
            for departure in departures:
                self._change(departure, references)
            if PLACEBO in controls:
                self._placebo((PLACEBO, controls[PLACEBO].levels[0]), references)
            if SABOTAGE in controls:
                self._sabotage((SABOTAGE, controls[SABOTAGE].levels[0]), references[0])
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
        hint = f" (with {self.small}; --whole keeps the budget as it is)" if self.small else ""
        self._bad(what, f"{result.status}: {last_line(result.error, 500)}{hint}")
        return True

    def _name(self, result: Result) -> str:
        """Returns ` on wine`, or nothing if there is one data set."""
        return f" on {result.trial.data}" if self.setting.blocks else ""

    @property
    def _perhaps(self) -> str:
        """Returns what may make trials equal here that differ in a study."""
        short, whole = (f", or {self.small},", ": try --whole") if self.small else ("", "")
        return f"Rounding{short} may hide a difference{whole}"

    def _bad(self, what: str, found: str) -> None:
        self.bad += 1
        _say(what, f"LOOK  {found}")

    def _references(self) -> list[Result]:
        """Runs the reference and returns its result on each data set, or nothing if the first fails."""
        first = self._run()
        if self._fails("reference", first):
            return []
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
        found = [first]
        for number, its in enumerate(self.setting.blocks[1:], start=1):
            other = self._run(seed=1, on=number)  # the first seed is run twice
            if not self._fails(f"on {its.name}", other):
                _say(f"on {its.name}", f"{_numbers(other)}; {duration(other.seconds)} a trial")
                found.append(other)
        self._another_seed(found)
        return found

    def _beside(self, references: Sequence[Result], what: str, *departures: Departure, more: int = 0) -> Result | None:
        """Runs a trial beside each reference, with a seed that is `more`, until one differs, and returns the last.

        A trial that fails has its line then, and None is returned.
        """
        names = [one.name for one in self.setting.blocks]
        for reference in references:
            on = names.index(reference.trial.data) if names else 0
            result = self._run(*departures, seed=reference.trial.seed + more, on=on)
            if self._fails(f"{what}{self._name(result) if on else ''}", result):
                return None
            if result.trace != reference.trace:
                break
        return result

    def _another_seed(self, references: Sequence[Result]) -> None:
        result = self._beside(references, "another seed", more=1)
        if result is None:
            return
        if self._equal(result, references):
            equal = "equal: the seed is not used, so nothing can be judged; use seed or streams in the trial"
            self._bad("another seed", f"{equal}. {self._perhaps}")
        else:
            self.seeds_differ = True
            _say("another seed", self._differs(result, references))

    def _equal(self, result: Result, references: Sequence[Result]) -> bool:
        return result.trace == self._of(result, references).trace

    def _of(self, result: Result, references: Sequence[Result]) -> Result:
        """Returns the reference on the data set of `result`."""
        return next(one for one in references if one.trial.fingerprint == result.trial.fingerprint)

    def _differs(self, result: Result, references: Sequence[Result]) -> str:
        """Writes `differs`, or `differs on bees (equal on ants)`."""
        before = [one.trial.data for one in references[: references.index(self._of(result, references))]]
        return f"differs{self._name(result)} (equal on {listed(before)})" if before else "differs"

    def _moved(self, result: Result, references: Sequence[Result]) -> str:
        """Writes `in score, loss`: the metrics that differ from the reference's on that data set."""
        before = self._of(result, references).metrics
        moved = [name for name in self.subject.subject.metrics if result.metrics[name] != before[name]]
        return f"in {', '.join(moved)}" if moved else "but not in a metric yet"

    def _change(self, departure: Departure, references: Sequence[Result]) -> None:
        label = Variant(departures=(departure,)).label
        if not self.forms.changes(departure):
            return self._bad(label, "changes only fields that are not read, by the conditions in `when`")
        result = self._beside(references, label, departure)
        if result is None:
            return None
        if self._equal(result, references):
            asked = self.subject.why_equal(self.setting.config, self.forms.config(departure))
            on = f" on {counted(len(references), 'data set')}" if self.setting.blocks else ""
            found = f"EQUAL to the reference{on}: this change does nothing here; {asked} {self._perhaps}"
            return self._bad(label, found)
        return _say(label, f"{self._differs(result, references)}, {self._moved(result, references)}")

    def _placebo(self, departure: Departure, references: Sequence[Result]) -> None:
        result = self._beside(references, PLACEBO, departure)
        if result is None:
            return
        if self._equal(result, references):
            drawn = "its numbers came out alike" if self.seeds_differ else "the random draws do not depend on the seed"
            self._bad(PLACEBO, f"equal: {drawn}. {self._perhaps}")
        else:
            _say(PLACEBO, self._differs(result, references))

    def _sabotage(self, departure: Departure, reference: Result) -> None:
        """Tells whether the sabotage runs; what harm it does takes more than one seed to see."""
        if not self.forms.changes(departure):
            why = f"the reference itself with {self.small}; --whole tries it" if self.small else "the reference itself"
            say = _say if self.small or self.subject.subject.sabotage is None else self._bad
            return say(SABOTAGE, why)
        result = self._run(departure, seed=reference.trial.seed)
        if self._fails(SABOTAGE, result):
            return None
        if result.trace == reference.trace:
            found = "EQUAL to the reference, and it must do harm; are its fields read?"
            return self._bad(SABOTAGE, f"{found} {self._perhaps}")
        return _say(SABOTAGE, f"differs, {self._moved(result, [reference])}")

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
