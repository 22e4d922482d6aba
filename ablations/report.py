"""python -m ablations.report STUDY [OTHER]: writes the report of a study, or a comparison of two, from the records."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ablations.core.errors import InputError, answered, at_home, printable
from ablations.core.load import FIRST, load
from ablations.reporting.formats import USUAL, formats_of
from ablations.reporting.pages import write, write_as

EXAMPLES = (
    ("python -m ablations.report STUDY", "the report again"),
    ("python -m ablations.report STUDY OTHER", "two studies side by side, and how their effects differ"),
    ("python -m ablations.report STUDY --format latex,slide", "the table for a paper, and a figure for a slide"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the report and prints its paths.  Returns 0 if done, 1 on a fault, 2 on bad input, 130 if interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return answered(lambda: _main(arguments), stopped="stopped")


def _main(arguments: Sequence[str]) -> int:
    from ablations.cli.arguments import parsed
    from ablations.core.limits import check_local

    study, other, results, reports, words = parsed(
        _arguments, arguments, prog="python -m ablations.report", examples=EXAMPLES
    )
    for option, value in (("--results", results), ("--reports", reports)):
        check_local(option, value)
    formats = formats_of(words)
    if other and words != USUAL:
        raise InputError("a comparison of two studies is written as html and md only; leave --format out.")
    places = at_home(results), at_home(reports)
    paths = render_two(study, other, *places) if other else render(study, *places, formats)
    for sentence in load(FIRST).broken():
        print(printable(sentence), file=sys.stderr)
    print(*(printable(str(path)) for path in paths), sep="\n")
    return 0


def render(
    study: str, results: Path, reports: Path, formats: Sequence[str] = tuple(USUAL.split(","))
) -> tuple[Path, ...]:
    """Writes the report of a study, given by its name under `results` or by its folder, and returns its paths.

    Raises InputError if there is no such study.
    """
    from ablations.records import store

    folder = store.find(study, results)
    from ablations.analysis.verdicts import findings_in

    findings = findings_in(folder)
    _tell(findings.instead)
    return write_as(formats, findings, reports / folder.resolve().name)


def render_two(study: str, other: str, results: Path, reports: Path) -> tuple[Path, Path]:
    """Writes a report that compares two studies, given as in `render`, and returns its paths, HTML and Markdown.

    Raises InputError if a study is missing, or if the two share nothing that can be compared.
    """
    from ablations.analysis.verdicts import findings_in
    from ablations.records import store
    from ablations.reporting import side_by_side

    folders = [store.find(name, results) for name in (study, other)]
    first, second = map(findings_in, folders)
    _tell(first.instead)
    _tell(second.instead)
    names = "-and-".join(folder.resolve().name for folder in folders)
    return write(side_by_side.compose(first, second), reports / names)


def _tell(sentence: str) -> None:
    """Prints on standard error that something stands in for the study file, if it does."""
    if sentence:
        print(printable(sentence), file=sys.stderr)


def _arguments(
    study: str, other: str = "", /, results: str = "results", reports: str = "reports", format: str = USUAL
) -> tuple[str, str, str, str, str]:
    """Render the report of a study again, from its records alone, or one that compares two studies.

    Args:
        study: its name, or the path of its folder
        other: a second study, to be compared with the first
        results: the folder that holds the studies' records
        reports: the folder that the reports go to
        format: html, md, csv (tidy tables of effects and verdicts), latex (the same, and the table for a paper) and
            slide (the answer as one figure, and every figure as PNG and PDF), or some of them
    """
    return study, other, results, reports, format


if __name__ == "__main__":
    sys.exit(main())
