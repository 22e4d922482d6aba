"""python -m ablations.claims [STUDY ...]: every published claim beside what studies found, in one table.

Only light modules are imported at the top, so that --help and a misspelled name are answered at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import tyro

from ablations.cli.arguments import parsed
from ablations.core.errors import answered, at_home, printable
from ablations.core.limits import check_local
from ablations.core.load import FIRST
from ablations.records import store

PLACE = "claims"  # folder of the table, in the folder of all reports


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the table and prints its paths.  Returns 0 if done, 1 on a fault, 2 on bad input, 130 if interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return answered(lambda: _claims(*parsed(_arguments, arguments, prog="python -m ablations.claims")))


def _arguments(
    studies: tyro.conf.Positional[tuple[str, ...]] = (),
    /,
    results: Path = Path("results"),
    reports: Path = Path("reports"),
) -> tuple[tuple[str, ...], Path, Path]:
    """Write one table of all published claims: what was published, what was measured, the verdict, the study.

    Args:
        studies: their names, or the paths of their folders; without any, all studies
        results: the folder that holds the studies' records
        reports: the folder that the table goes to, as claims/report.html and claims/report.md
    """
    return studies, results, reports


def _claims(studies: Sequence[str], results: Path, reports: Path) -> int:
    for option, place in (("--results", results), ("--reports", reports)):
        check_local(option, place)
    results, reports = at_home(results), at_home(reports)
    folders = store.find_all(studies, results)
    from ablations.analysis.verdicts import findings_in
    from ablations.reporting import claims_table
    from ablations.reporting.pages import write

    found = [findings_in(folder) for folder in folders]
    for one in found:
        if one.instead:
            print(printable(f"{one.study.name}: {one.instead}"), file=sys.stderr)
    report = claims_table.compose(FIRST, found)
    print(*(printable(str(path)) for path in write(report, reports / PLACE)), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
