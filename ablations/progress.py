"""One line a finished trial, with the time left: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

from ablations.estimate import in_words
from ablations.types import DONE, Result


class Progress:
    """Counts results as they come and prints each; a context manager that closes the bar."""

    def __init__(self, total: int, *, already: int, evaluate_on: str) -> None:
        self.total, self.done, self.already, self.evaluate_on = total, already, already, evaluate_on
        self.failed = 0
        self.began = time.monotonic()
        self.bar = tqdm(total=total, initial=already, unit="trial", disable=not sys.stderr.isatty(), leave=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bar.close()

    def __call__(self, result: Result) -> None:
        """Prints the line of `result`."""
        self.done += 1
        self.failed += result.status != DONE
        self.bar.update()
        where = f"[{self.done}/{self.total}]"
        failed = f", {self.failed} failed" if self.failed else ""
        trial = f"{result.trial.variant.label}, seed {result.trial.seed}"
        line = f"{where} {trial}: {self._outcome(result)}{failed}{self._left()}"
        self.bar.write(line) if not self.bar.disable else print(line, flush=True)

    def _outcome(self, result: Result) -> str:
        if result.status != DONE:
            return f"{result.status.replace('_', ' ')} ({(result.error.strip().splitlines() or [''])[-1]})"
        error = result.metrics[f"{self.evaluate_on}_top1_error_percent"]
        return f"{error:.1f}% {self.evaluate_on} error in {in_words(result.seconds)}"

    def _left(self) -> str:
        left = self.total - self.done
        if not left:
            return ""
        pace = (time.monotonic() - self.began) / (self.done - self.already)
        return f", about {in_words(pace * left)} left"
