"""A study's view in MLflow as a run keeps it, never in the way of the trainings, and the addresses that it has.

What is asked of it is done in a thread, one after the other: a worker waits until what it reports has been taken, and
importing mlflow, a new database, and a server far away take seconds.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from tqdm import tqdm

from ablations.core.text import counted

if TYPE_CHECKING:
    from ablations.analysis.evidence import Evidence
    from ablations.core.study import Result, Study
    from ablations.tracking.mlflow_view import Mirror

_PLAIN = "".join(chr(code) for code in range(32, 127) if chr(code) not in "%?")  # in the path of a database
MANY = 50  # records that are not mirrored yet, so that it is said that they are waited for


class View:
    """A study's `Mirror`, of which any failure costs one line on standard error; after it the methods do nothing.

    `open` and `trial` return at once; what waits for them says so.  `uri` is a server's or a database's, by default
    that of the database beside the records in `results`; `finished` are results that are mirrored when the view is
    opened, which what is asked first does.  A context manager: an error that leaves it drops what is not mirrored yet,
    and the process need not wait for it.
    """

    def __init__(self, uri: str, study: Study, *, results: Path, finished: Sequence[Result] = ()) -> None:
        self._uri, self._study, self._results, self._finished = uri, study, results, finished
        self._mirror: Mirror | None = None
        self._opened = self._broken = self._stopped = False
        self._asked: Queue[Callable[[Mirror], None]] = Queue()

    def __enter__(self) -> View:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped = self._stopped or kind is not None  # `sync` or the same command mirrors the rest

    def open(self) -> None:
        """Connects and mirrors what was finished before, if that has not been done yet."""
        self._ask(lambda mirror: None)

    def trial(self, result: Result) -> None:
        """Mirrors a record."""
        self._ask(lambda mirror: mirror.trial(result))

    def report(self, folder: Path, evidence: Evidence) -> None:
        """Mirrors the report, effects and verdicts, and ends the parent run; returns when all has been mirrored."""
        if (waiting := self._asked.unfinished_tasks) > MANY:
            print(f"MLflow: {counted(waiting, 'record')} to be mirrored yet", flush=True)
        self._ask(lambda mirror: mirror.report(folder, evidence))
        self._asked.join()

    @property
    def page(self) -> str:
        """The address of the study's runs, or "" where not everything has been mirrored; waits for what was asked."""
        self._asked.join()
        return page(self._address, self._mirror.experiment) if self._mirror else ""

    @property
    def directions(self) -> str:
        """How to see the study: what to start, if it is a database, and the address to open."""
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

                artifacts = (self._results / "mlflow").resolve()
                self._mirror = Mirror(self._address, self._study, artifacts=artifacts)
            action(self._mirror)
        except Exception as error:  # whatever a view does wrong, the study goes on
            self._mirror, self._broken = None, True
            if self._stopped:
                return
            why = reason(error, self._address)
            tqdm.write(  # around the bar of the trials
                f"MLflow at {without_password(self._address)} cannot be reached ({why}); the records under "
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


def default_uri(results: Path) -> str:
    """The database beside the records: `sqlite:////.../results/mlflow.db`."""
    path = str(results.resolve())
    quoted = quote(path, safe=_PLAIN)
    # SQLAlchemy decodes a database's path, and takes what follows a ? for options.  MLflow makes the folder of an
    # address that begins with sqlite:/// without decoding it, so another one would appear beside ours.
    return f"sqlite{'' if quoted == path else '+pysqlite'}:///{quoted}/mlflow.db"


def database_of(uri: str) -> Path:
    """Where the file of an SQLite address lies."""
    return Path(unquote(uri.partition(":///")[2].partition("?")[0]))


def ui_command(uri: str) -> str:
    """What shows the view: a command for a database, the address itself for a server."""
    if is_server(uri):
        return without_password(uri)
    return f"mlflow ui --workers 1 --backend-store-uri {shlex.quote(without_password(uri))}"


def page(uri: str, experiment: str) -> str:
    """The address of the study's runs; the experiment's bare address opens an empty page for language models."""
    server = without_password(uri).rstrip("/") if is_server(uri) else "http://127.0.0.1:5000"
    return f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning"


def is_server(uri: str) -> bool:
    """Whether the address is a tracking server's, not a database's."""
    return uri.startswith(("http://", "https://"))


_USER = re.compile(r"//(?:[^\s/@:]*:[^\n]*|[^\s/@]*)@")  # a password may hold anything, whatever the standard says
_SECRET = re.compile(r"([?&][^\s=&]*(?:pass|pwd|token|secret|key)[^\s=&]*=)([^\s&]+)", re.IGNORECASE)


def without_password(text: str) -> str:
    """An address, or a text that holds some, as it may be shown and written down: without users and secrets."""
    return _SECRET.sub(r"\1***", _USER.sub("//", text))


def hidden(text: str, *addresses: str) -> str:
    """`text` without the users and secrets of these addresses, of which an error may quote a part."""
    found = [piece for address in addresses for match in _USER.findall(address) for piece in re.split("[/@:]", match)]
    found += [secret for address in addresses for _, secret in _SECRET.findall(address)]
    for piece in sorted({*found}, key=len, reverse=True):
        if len(piece) > 2:
            text = text.replace(piece, "***")
    return without_password(text)


def reason(error: BaseException, address: str = "") -> str:
    """The first line of what lies at the bottom: "connection refused" rather than four layers of wrapping."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {hidden(lines[0], address)[:200]}" if lines else type(error).__name__
