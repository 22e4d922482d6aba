"""Prints a line for each finished trial, with the time left: above a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from tqdm import tqdm

from ablations.core.errors import printable
from ablations.core.load import load
from ablations.core.result import DONE, REACHED, STEPS, TRAINED, Result
from ablations.core.setting import POINTS, Setting
from ablations.core.text import duration, last_line
from ablations.core.trial import Trial
from ablations.planning import tuning

TRUSTED = 20  # epochs after which the measured pace replaces the estimate made before the start
QUIET = 30.0  # seconds without a line after which the next epoch gets one
# A study is advised to do without Ray if it took this many times as long as its trainings took by themselves, and this
# many seconds at least.
SLOW, WORTH_TELLING = 2.0, 20.0


class Progress:
    """A `Watch` that prints epochs and results, estimates the time left, and passes results on.

    It is a context manager, which closes the bar.
    """

    def __init__(
        self,
        total: int,
        *,
        already: int,
        trainings: int,
        setting: Setting,
        names: Mapping[str, str],
        expected: float,
        first: Callable[[], None] | None = None,
        then: Callable[[Result], None] | None = None,
    ) -> None:
        """Starts at `already` finished trials of `total`; `trainings` are still missing, which take `expected` seconds.

        `names` are those of the variants, by their labels.  `first` is called when the first worker is ready, and
        `then` with each result.
        """
        self.total, self.done, self.already = total, already, already
        self.setting, self.names, self.first, self.then = setting, names, first, then
        self.epochs = setting.work
        self.owed = trainings * setting.work  # epochs still to be trained: trials may share a training
        self.expected = expected / max(self.owed, 1)  # seconds of an epoch
        self.passed = 0  # epochs that have ended, over all trainings
        self.last: dict[str, int] = {}  # key of a running training -> the last epoch that has ended
        self.failed = 0
        self.alone = 0.0  # seconds that the finished trainings took by themselves
        self.began = self.spoke = time.monotonic()
        self.bar = tqdm(total=total, initial=already, unit="trial", disable=not sys.stderr.isatty(), leave=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bar.close()

    def begin(self) -> None:
        """Calls `first`, if there is one."""
        if self.first:
            self.first()

    def epoch(self, trial: Trial, row: Mapping[str, float]) -> None:
        """Counts an epoch of `trial`, and prints it if nothing was printed for a while."""
        epoch, before = int(row["epoch"]), self.last.get(trial.key)
        # Not every epoch has a row.  An epoch 0 has not passed: a trial that counts from 0 has its last one at its end.
        passed = min(epoch, 1) if before is None else epoch - before
        self.passed += passed
        self.owed -= epoch - (before or 0) - passed  # less the epochs that a continued training had already
        self.last[trial.key] = epoch
        if time.monotonic() - self.spoke > QUIET:
            unit = load(trial.subject).work_unit
            self._say(f"{self._name(trial)}: {unit} {epoch}/{self.epochs}{self._so_far(row)}")

    def result(self, result: Result) -> None:
        """Prints the line of `result` and passes it on."""
        self.done += 1
        self.failed += result.status != DONE
        if not result.trained_with:
            self.alone += result.seconds
            untold = self.epochs - self.last.pop(result.trial.key, 0)
            if result.status == DONE and REACHED not in result.metrics:  # not every epoch has a row
                self.passed += untold
            else:  # the training failed or ended early: the rest of its epochs never come
                self.owed -= untold
        self.bar.update()
        self._say(
            f"{self._name(result.trial)}: {self._outcome(result)}{f', {self.failed} failed' if self.failed else ''}"
        )
        if self.then:
            self.then(result)

    def advice(self, executor: str) -> str:
        """Returns a whole line for a study that would have ended sooner without Ray, and an empty text for others."""
        took = time.monotonic() - self.began
        if executor == "serial" or not self.alone or took < max(WORTH_TELLING, SLOW * self.alone):
            return ""
        return (
            f"hint: these trials took {duration(round(took))} through Ray, and {duration(self.alone)} by "
            "themselves: --executor serial runs one after another and is faster for trials as short as these\n"
        )

    def _name(self, trial: Trial) -> str:
        name = self.names[trial.variant.label]
        label = f"{name} on {trial.data}" if self.setting.blocks else name
        if trial.seed < tuning.SEED:
            return f"{label}, seed {trial.seed}"
        rate = load(trial.subject).rate(trial.config)
        return f"{label}, tuning at {rate:.3g}, seed {trial.seed - tuning.SEED}"

    def _say(self, text: str) -> None:
        line = f"[{self.done}/{self.total}] {text}{self._left()}"
        if self.bar.disable:
            print(line, flush=True)
        else:
            self.bar.write(line)
        self.spoke = time.monotonic()

    def _outcome(self, result: Result) -> str:
        if result.status != DONE:
            return f"{result.status.replace('_', ' ')} ({printable(last_line(result.error, 500))})"
        took = duration(round(result.seconds, 1 if result.seconds < 10 else 0))
        alone = f"in {took}" if not result.trained_with else "after the same training"
        value = self._value(result.metrics[self.setting.main], self.setting.on)
        return f"{value}{self._target(result)} {alone}"

    def _value(self, value: float, on: str) -> str:
        """Returns `62.5% test error` or `test loss 1.234`, or without `test` if `on` is empty."""
        metric = self.setting.main_metric
        error = metric.unit == POINTS and metric.lower_is_better
        what = "error" if error else metric.words.removeprefix(f"{self.setting.phase} ")
        words = f"{on} {what}" if on else what
        return f"{value:.1f}% {words}" if metric.unit == POINTS else f"{words} {value:.4g}"

    def _so_far(self, row: Mapping[str, float]) -> str:
        """Returns the main metric in a row of a curve, or the same on the training data; "" if it holds neither."""
        main, on = self.setting.main, self.setting.on
        for name, said in ((main, on), (main.replace(f"{on}_", "train_", 1), "train")):
            if name in row:
                return f", {self._value(row[name], said)}"
        return ""

    def _target(self, result: Result) -> str:
        target = self.setting.target
        if target is None or REACHED not in result.metrics:
            return ""
        what = f"{target.value:g}{target.unit} {target.metric}"
        if result.metrics[REACHED]:
            return f", {what} after {result.metrics[STEPS]:,.0f} steps,"
        return f", {what} not reached in {result.metrics[TRAINED]:,.0f} steps,"

    def _left(self) -> str:
        if self.passed >= self.owed or not (self.passed or self.expected):
            return ""
        left = self.owed - self.passed
        pace = (time.monotonic() - self.began) / max(self.passed, 1)
        # The pace of the first epochs is too slow, as it holds the start, and trials side by side end theirs together.
        trust = min(1.0, self.passed / TRUSTED) if self.expected else 1.0
        seconds = ((1 - trust) * self.expected + trust * pace) * left
        return f", about {duration(round(seconds))} left"
