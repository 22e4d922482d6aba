"""Keeps the MLflow view of a study up to date during a run, in a thread of its own.

Importing mlflow, making a database and reaching a server take seconds.  A worker waits until the driver has taken its
report, so none of this may hold the driver up.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING

from tqdm import tqdm

from ablations.core.secrets import reason, without_password
from ablations.core.text import counted
from ablations.tracking.address import default_uri, is_server, page, ui_command
from ablations.tracking.fields import NOTHING, Front
from ablations.tracking.names import RefusedError

if TYPE_CHECKING:
    from ablations.analysis.verdicts import Findings
    from ablations.core.result import Result
    from ablations.core.study import Study
    from ablations.tracking.mlflow_view import Mirror

MANY = 50  # records still to be mirrored at the end of a run, above which a line says that it waits for them


class View:
    """Mirrors a study to MLflow through a `Mirror` in a thread.

    If MLflow fails, one line on standard error says so, and from then on the methods do nothing.  `open` and `trial`
    return at once; `report`, `page` and `directions` wait until all earlier calls are done.  `uri` is the address of a
    server or a database; if it is empty, it is the database beside the records in `results`.  The first call also
    mirrors the results in `finished`.  As a context manager, it drops what is not mirrored yet if an error leaves the
    context, so that the process need not wait.
    """

    def __init__(
        self, uri: str, study: Study, *, results: Path, finished: Sequence[Result] = (), system_metrics: bool = False
    ) -> None:
        self._uri, self._study, self._results, self._finished = uri, study, results, finished
        self._system_metrics = system_metrics
        self._mirror: Mirror | None = None
        self._opened = self._broken = self._stopped = False
        self._asked: Queue[Callable[[Mirror], None]] = Queue()

    def __enter__(self) -> View:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped = self._stopped or kind is not None  # the rest is mirrored by `sync`, or by the same command

    def open(self) -> None:
        """Connects to MLflow and mirrors the finished results, if that has not been done yet."""
        self._ask(lambda mirror: None)

    def trial(self, result: Result) -> None:
        """Mirrors the record of a trial."""
        self._ask(lambda mirror: mirror.trial(result))

    def report(self, folder: Path, evidence: Findings, front: Front = NOTHING) -> None:
        """Mirrors the report in `folder`, effects and verdicts, and ends the study's run.

        Returns when everything has been mirrored.
        """
        if (waiting := self._asked.unfinished_tasks) > MANY:
            print(f"MLflow: waiting until {counted(waiting, 'record')} more are mirrored", flush=True)
        self._ask(lambda mirror: mirror.report(folder, evidence, front))
        self._asked.join()

    @property
    def page(self) -> str:
        """The address of the study's table, or "" if MLflow failed.  Waits until all earlier calls are done."""
        self._asked.join()
        return page(self._address, self._mirror.experiment, self._mirror.view) if self._mirror else ""

    @property
    def directions(self) -> str:
        """How to see the study: the command that starts a page server, if there is none, and the address to open."""
        shown = self.page
        return shown if is_server(self._address) or not shown else f"{ui_command(self._address)}\n        {shown}"

    def _ask(self, action: Callable[[Mirror], None]) -> None:
        if not self._opened:
            self._opened = True
            Thread(target=self._work, name="mlflow", daemon=True).start()  # the process does not wait for its end
            for result in self._finished:
                self.trial(result)
        self._asked.put(action)

    def _work(self) -> None:
        while True:
            self._try(self._asked.get())
            self._asked.task_done()

    def _try(self, action: Callable[[Mirror], None]) -> None:
        if self._broken or self._stopped:
            return
        try:
            if self._mirror is None:
                from ablations.tracking.mlflow_view import Mirror

                self._mirror = Mirror(self._address, self._study, folder=self._results / self._study.name)
                if self._system_metrics:
                    self._mirror.monitor()
            action(self._mirror)
        except RefusedError as error:
            self._tell("has refused a part of the study", error)
        except Exception as error:  # the study goes on, whatever fails in its view
            mirror, self._mirror, self._broken = self._mirror, None, True
            if self._stopped:
                return
            self._tell("cannot be reached", error)
            if mirror:
                with suppress(Exception):  # so that no run stays marked as running
                    mirror.close()

    def _tell(self, what: str, error: Exception) -> None:
        tqdm.write(  # which leaves the progress bar whole
            f"MLflow at {without_password(self._address)} {what} ({reason(error, self._address)}); the records under "
            f"{self._results} are complete, and `{self._sync()}` mirrors them later.",
            file=sys.stderr,
        )

    @property
    def _address(self) -> str:
        return self._uri or default_uri(self._results)

    def _sync(self) -> str:
        words = ["python", "-m", "ablations.sync", self._study.name]
        words += [] if self._results == Path("results") else ["--results", str(self._results)]
        words += [] if self._address == default_uri(self._results) else ["--mlflow-uri", without_password(self._uri)]
        return shlex.join(words)
