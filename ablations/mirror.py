"""A study's view in MLflow as a run keeps it: opened when trainings are under way, and never in their way.

mlflow is imported when the view is opened: that and a new database take seconds, in which workers could train.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ablations.evidence import Evidence
from ablations.types import Result, Study

if TYPE_CHECKING:
    from ablations.track_mlflow import Mirror


class View:
    """A study's `Mirror`, of which any failure costs one line on standard error; after it the methods do nothing.

    `uri` is a server's or a database's, by default that of the database beside the records in `results`; `finished`
    are results that are mirrored when the view is opened, which what is asked first does.
    """

    def __init__(self, uri: str, study: Study, *, results: Path, finished: Sequence[Result] = ()) -> None:
        self._uri, self._study, self._results, self._finished = uri, study, results, finished
        self._mirror: Mirror | None = None
        self._broken = False

    def open(self) -> None:
        """Connects and mirrors what was finished before, if that has not been done yet."""
        self._try(lambda mirror: None)

    def trial(self, result: Result) -> None:
        """Mirrors a record."""
        self._try(lambda mirror: mirror.trial(result))

    def report(self, folder: Path, evidence: Evidence) -> None:
        """Mirrors the report, effects and verdicts, and ends the parent run."""
        self._try(lambda mirror: mirror.report(folder, evidence))

    @property
    def page(self) -> str:
        """The address of the study's runs, or "" where not everything has been mirrored."""
        from ablations.track_mlflow import page

        return page(self._address(), self._mirror.experiment) if self._mirror else ""

    @property
    def directions(self) -> str:
        """How to see the study: what to start, if it is a database, and the address to open."""
        from ablations.track_mlflow import is_server, ui_command

        uri = self._address()
        return self.page if is_server(uri) or not self.page else f"{ui_command(uri)}\n        {self.page}"

    def _try(self, action: Callable[[Mirror], None]) -> None:
        from ablations.track_mlflow import Mirror, reason, without_password

        if self._broken:
            return
        try:
            if self._mirror is None:
                artifacts = (self._results / "mlflow").resolve()
                self._mirror = Mirror(self._address(), self._study, artifacts=artifacts)
                for result in self._finished:
                    self._mirror.trial(result)
            action(self._mirror)
        except Exception as error:  # whatever a view does wrong, the study goes on
            self._mirror, self._broken = None, True
            print(
                f"MLflow at {without_password(self._address())} cannot be reached ({reason(error)}); the records under "
                f"{self._results} are complete, and `{self._later()}` mirrors them later.",
                file=sys.stderr,
            )

    def _address(self) -> str:
        from ablations.track_mlflow import default_uri

        return self._uri or default_uri(self._results)

    def _later(self) -> str:
        from ablations.track_mlflow import default_uri, without_password

        words = ["python", "-m", "ablations.sync", self._study.name]
        words += [] if self._results == Path("results") else ["--results", str(self._results)]
        words += [] if self._address() == default_uri(self._results) else ["--mlflow-uri", without_password(self._uri)]
        return shlex.join(words)
