"""python -m ablations.sync [STUDY ...]: makes the MLflow view of studies from their records.

Only light modules are imported at the top, so that --help and a misspelled name are answered at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from tqdm import tqdm

from ablations.cli.arguments import parsed
from ablations.core.errors import InputError, answered, at_home, printable
from ablations.core.limits import check_local
from ablations.core.load import FIRST, load
from ablations.core.result import Result
from ablations.core.secrets import reason, without_password
from ablations.core.text import counted, duration
from ablations.records import store
from ablations.tracking.address import default_uri, page, ui_command

if TYPE_CHECKING:
    from ablations.analysis.verdicts import Findings

QUIET = 10.0  # seconds between two lines on progress, if there is no terminal for a bar


EXAMPLES = (
    ("python -m ablations.sync", "all studies"),
    ("python -m ablations.sync STUDY --mlflow-uri http://localhost:5000", "one study, on a tracking server"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Mirrors studies.  Returns 0 if done, 130 if interrupted, and 2 on bad input, an unreadable study or no MLflow."""
    arguments = sys.argv[1:] if arguments is None else arguments

    def command() -> int:
        studies, results, reports, uri = parsed(
            _arguments, arguments, prog="python -m ablations.sync", examples=EXAMPLES
        )
        return _sync(studies, reports, uri, results)

    return answered(command)


def _arguments(
    studies: tyro.conf.Positional[tuple[str, ...]] = (),
    /,
    results: Path = Path("results"),
    reports: Path = Path("reports"),
    mlflow_uri: str = "",
) -> tuple[tuple[str, ...], Path, Path, str]:
    """Make the MLflow view of studies from their records.  What is there already stays as it is.

    Args:
        studies: their names, or the paths of their folders; without any, all studies
        results: the folder that holds the studies' records
        reports: the folder that holds their reports; a study without one gets one
        mlflow_uri: a tracking server or a database; without it, mlflow.db beside the records
    """
    return studies, results, reports, mlflow_uri


def _sync(studies: Sequence[str], reports: Path, uri: str, results: Path) -> int:
    for option, place in (("--results", results), ("--reports", reports)):
        check_local(option, place)
    results, reports = at_home(results), at_home(reports)
    folders = store.find_all(studies, results)
    from ablations.analysis.verdicts import findings_in

    uri = uri or default_uri(results)
    pages, damaged = list[str](), list[InputError]()
    for folder in folders:
        try:
            findings = findings_in(folder)
        except InputError as error:
            damaged.append(error)
            continue
        pages.append(mirror(uri, findings, reports / folder.resolve().name))
    for sentence in load(FIRST).broken():
        print(sentence, file=sys.stderr)
    if pages:
        print(f"{ui_command(uri)}\n{pages[-1]}")
    for other in damaged[1:]:
        print(f"error: {printable(str(other))}", file=sys.stderr)
    if damaged:
        raise damaged[0]
    return 0


def mirror(uri: str, findings: Findings, report: Path) -> str:
    """Mirrors the records and the report of a study.  Returns the address of the page that shows it.

    The report is made if there is none.  Records that cannot be read are named on standard error.
    Raises InputError if MLflow cannot be written.
    """
    from ablations.reporting.formats import USUAL, formats_of
    from ablations.reporting.front import front
    from ablations.reporting.pages import write_as
    from ablations.tracking.fields import Front
    from ablations.tracking.mlflow_view import Mirror
    from ablations.tracking.names import RefusedError

    study, results = findings.study, findings.results
    assert findings.folder
    for problem in findings.problems:
        print(printable(problem), file=sys.stderr)
    if not report.is_dir():
        write_as(formats_of(USUAL), findings, report)
    started = min((str(result.provenance.get("started", "")) for result in results), default="")
    try:
        view = Mirror(uri, study, folder=findings.folder, started=started)
        try:
            for result in _told(results, printable(study.name)):
                view.trial(result)
            view.report(report, findings, Front(*front(findings, report)))
        except RefusedError:
            raise
        except BaseException:
            with suppress(Exception):  # so that no run stays marked as running
                view.close()
            raise
    except Exception as error:  # whatever mlflow, a database or a network may raise
        raise InputError(f"MLflow at {without_password(uri)} refused ({reason(error, uri)}).") from error
    return page(uri, view.experiment, view.view)


def _told(results: Sequence[Result], name: str) -> Iterator[Result]:
    """Yields `results` and shows the time left on standard error: a bar on a terminal, elsewhere a line at times."""
    if sys.stderr.isatty():
        yield from tqdm(results, name, unit="trial", leave=False)
        return
    began = spoke = time.monotonic()
    for done, result in enumerate(results):
        if (now := time.monotonic()) - spoke > QUIET:
            left = duration((now - began) / done * (len(results) - done))
            print(f"{name}: {done} of {counted(len(results), 'trial')}, {left} left", file=sys.stderr, flush=True)
            spoke = now
        yield result


if __name__ == "__main__":
    sys.exit(main())
