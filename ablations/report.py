"""Everything that a study's records say -> one Report value -> report.html and report.md.

    python -m ablations.report STUDY

renders again from the records alone.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ablations.core.errors import InputError, answered, printable, unknown
from ablations.records.store import write_text
from ablations.reporting.theme import COLOURS, themed
from ablations.subjects.alexnet.data.catalogue import at_home

if TYPE_CHECKING:
    from markupsafe import Markup

    from ablations.analysis.evidence import Evidence
    from ablations.core.study import Effect, Result, Study
    from ablations.reporting.document import Report, Section

TEMPLATES = Path(__file__).parent / "reporting" / "templates"
FORMATS = ("html", "md", "csv", "latex")
USUAL = "html,md"


def build(study: Study, results: Sequence[Result], problems: Sequence[str], *, folder: Path | None = None) -> Report:
    """The report of a study; `problems` are sentences on records that cannot be read.

    `folder` is the study's, in which trials may have kept their predictions.
    """
    from ablations.analysis.evidence import Evidence

    return compose(Evidence(study=study, results=results, problems=problems, folder=folder))


def compose(evidence: Evidence) -> Report:
    """The whole report as plain text, tables and SVG."""
    from ablations.reporting.document import Report
    from ablations.reporting.sections import (
        background,
        cards,
        comparisons,
        ensembles,
        factorials,
        looks,
        outcomes,
        sensitivity,
        time_to_target,
        tuning,
        verdicts,
    )
    from ablations.subjects.alexnet.report import filters

    study = evidence.study
    compares = len(study.variants) > 1
    race = study.budget.stop_at_threshold  # the errors of trials that end at one error compare nothing
    judged = (verdicts.headline(evidence), *verdicts.caution(evidence)) if compares else ()
    headline = time_to_target.headline if race else comparisons.headline
    sections: list[Callable[[Evidence], Section | None]] = []
    if compares:
        sections += [verdicts.verdicts, verdicts.gates, background.components]
    sections += [time_to_target.section, tuning.section]
    sections += [comparisons.effects] if compares and not race else []
    sections += [cards.section] if compares else []
    if compares and not race:
        sections += [comparisons.single_networks, comparisons.controls]
        sections += [factorials.both_estimands, factorials.interactions, factorials.parts_and_whole]
    sections += [] if race else [outcomes.curves]
    sections += [
        outcomes.errors,
        ensembles.section,
        filters.section,
        background.activity,
        outcomes.cost,
        background.failures,
    ]
    sections += [verdicts.methods, looks.section] if compares else []
    sections += [background.origin, background.trials]
    made = [make(evidence) for make in sections]
    return Report(
        name=study.name,
        label=background.label(evidence),
        summary=(
            *sensitivity.nothing_learned(evidence),
            *judged,
            *background.sources(evidence),
            *background.summary(evidence),
            headline(evidence),
        ),
        sections=tuple(section for section in made if section),
        folder=evidence.folder,
    )


def formats_of(words: str) -> tuple[str, ...]:
    """Those of FORMATS that `html,csv` names, in their order.  Raises InputError on another one, or on none."""
    asked = words.replace(",", " ").split()
    for word in asked:
        if word not in FORMATS:
            raise unknown("format", word, FORMATS)
    if not asked:
        raise InputError(f"no format is named. Allowed: {', '.join(FORMATS)}.")
    return tuple(name for name in FORMATS if name in asked)


def write_as(formats: Sequence[str], evidence: Evidence, folder: Path) -> tuple[Path, ...]:
    """The paths of the report in each of `formats`: pages, tidy tables for a program, or tables for LaTeX."""
    from ablations.reporting import exports

    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    if {"html", "md"} & set(formats):
        report = compose(evidence)
        _write_figures(report, folder)
        paths += [_render(f"report.{name}", report, folder) for name in ("html", "md") if name in formats]
    paths += exports.write_csv(evidence, folder) if "csv" in formats else []
    paths += exports.write_latex(evidence, folder) if "latex" in formats else []
    return tuple(paths)


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """The paths of report.html, one file that needs nothing else, and of report.md beside its figures/."""
    _write_figures(report, folder)
    return _render("report.html", report, folder), _render("report.md", report, folder)


def _write_figures(report: Report, folder: Path) -> None:
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for stale in figures.glob("*.svg"):
        if _is_ours(stale):
            stale.unlink()
    for picture in report.pictures:
        write_text(figures / f"{picture.name}.svg", printable(picture.svg))


def _is_ours(path: Path) -> bool:
    """Whether `path` is a figure that a report drew: all its ids start with its name then.  Users may add their own."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    ids = re.findall(r'\bid="([^"]*)"', text)
    return text.startswith("<svg") and bool(ids) and all(one.startswith(f"{path.stem}-") for one in ids)


def terminal_lines(evidence: Evidence) -> str:
    """What a run says at its end, in plain ASCII: effects, or ratios of steps to a threshold, and verdicts."""
    from ablations.reporting.document import MINUS
    from ablations.reporting.sections import sensitivity, time_to_target, verdicts

    race = evidence.study.budget.stop_at_threshold
    nothing, *commands = sensitivity.nothing_learned(evidence) or ("",)
    lines = [*_wrapped([nothing]), *commands, ""] if nothing else []  # a command stays in one piece
    lines += [time_to_target.lines(evidence) if race else _effect_lines(evidence)]
    if could := sensitivity.sensitivity(evidence):
        lines += ["", *_wrapped([could])]
    if evidence.verdicts:
        judged = [(verdict.claim.name, verdict.label) for verdict in evidence.verdicts]
        said = (verdicts.headline(evidence), *verdicts.caution(evidence))
        lines += ["", *_wrapped(said), "", *_columns(judged)]
    return printable("\n".join(lines).replace(MINUS, "-"))


def _wrapped(paragraphs: Sequence[str]) -> list[str]:
    return [line for text in paragraphs for line in textwrap.wrap(text, 100)]


def _effect_lines(evidence: Evidence) -> str:
    head = ("component", "change", "estimand", "effect", "95% interval", "n")
    if not evidence.effects:
        errors = evidence.values(f"{evidence.phase}_top1_error_percent", evidence.study.variants[0].label)
        found = (
            f"{errors.mean():.1f}% {evidence.phase} top-1 error, n = {len(errors)}" if len(errors) else "not finished"
        )
        return f"reference: {found}; the grid {evidence.study.grid} compares it with nothing."
    title = f"Change in {evidence.phase} top-1 error, percentage points; above zero the change made it worse."
    lines = [title, "", *_columns([head, *map(_effect_line, evidence.effects)])]
    lines += _unstable_lines(evidence.effects)
    return "\n".join(lines)


def _unstable_lines(effects: Sequence[Effect]) -> list[str]:
    """How often each arm of an unstable comparison trains, a line each; nothing where no training failed."""
    from ablations.reporting.sections.verdicts import how_often

    found = [f"unstable  {one.label}, {one.kind}: trained {how_often(one)}" for one in effects if one.unstable]
    return ["", *found] if found else []


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell; the first three to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_align(cell, column, widths) for column, cell in enumerate(row)).rstrip() for row in rows]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line prints the paths; the exit code: 0 done, 1 a fault, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return answered(lambda: _main(arguments), stopped="stopped")


def _main(arguments: Sequence[str]) -> int:
    from ablations.cli.arguments import parsed
    from ablations.subjects.alexnet.registry import broken

    study, other, results, reports, words = parsed(_arguments, arguments, prog="python -m ablations.report")
    formats = formats_of(words)
    if other and words != USUAL:
        raise InputError("two studies are compared in html and md; leave --format out.")
    places = at_home(results), at_home(reports)
    paths = render_two(study, other, *places) if other else render(study, *places, formats)
    for sentence in broken():
        print(printable(sentence), file=sys.stderr)
    print(*(printable(str(path)) for path in paths), sep="\n")
    return 0


def render(
    study: str, results: Path, reports: Path, formats: Sequence[str] = tuple(USUAL.split(","))
) -> tuple[Path, ...]:
    """The paths of the report of a study, given by its name under `results` or by its folder.

    Raises InputError when there is no such study.
    """
    from ablations.records import store

    folder = store.find(study, results)
    from ablations.analysis.evidence import Evidence

    plan, found, problems = store.read(folder)
    evidence = Evidence(study=plan, results=found, problems=problems, folder=folder)
    return write_as(formats, evidence, reports / folder.resolve().name)


def render_two(study: str, other: str, results: Path, reports: Path) -> tuple[Path, Path]:
    """The paths of both reports that compare two studies, given as in `render`.

    Raises InputError when one is missing, or when they share nothing that can be compared.
    """
    from ablations.analysis.evidence import Evidence
    from ablations.records import store
    from ablations.reporting import side_by_side

    folders = [store.find(name, results) for name in (study, other)]
    read = [(folder, *store.read(folder)) for folder in folders]
    first, second = (
        Evidence(study=plan, results=found, problems=problems, folder=folder) for folder, plan, found, problems in read
    )
    names = "-and-".join(folder.resolve().name for folder in folders)
    return write(side_by_side.compose(first, second), reports / names)


def _arguments(
    study: str, other: str = "", /, results: str = "results", reports: str = "reports", format: str = USUAL
) -> tuple[str, str, str, str, str]:
    """Render the report of a study again, from its records alone, or one that compares two studies.

    Args:
        study: its name, or the path of its folder
        other: a second study, to be compared with the first
        results: the folder that holds the studies' records
        reports: the folder that the reports go to
        format: html, md, csv (tidy tables of effects and verdicts) and latex (the same for booktabs), or some of them
    """
    return study, other, results, reports, format


def _render(name: str, report: Report, folder: Path) -> Path:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"words": _markdown, "breakable": _breakable, "themed": _themed, "digest": _digest}
    path = folder / name
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    records = Path(os.path.relpath(report.folder.resolve(), folder.resolve())).as_posix() if report.folder else ""
    page = environment.get_template(f"{name}.j2").render(
        report=report, script=script, colours=COLOURS, records=quote(records)
    )
    write_text(path, printable(page))
    return path


def _themed(svg: str) -> Markup:
    """A figure that we drew, in the reader's colours."""
    from markupsafe import Markup

    return Markup(themed(svg))


def _digest(script: str) -> str:
    """The only script that a browser may run, whatever else has slipped into the page: its source as CSP wants it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _markdown(text: str) -> str:
    """`text` on one line, with what Markdown would take for markup escaped."""
    line = " ".join(text.split())
    line = re.sub(r"([\\`*<>|\[\]~$])", r"\\\1", line)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line)


def _breakable(text: str) -> Markup:
    """`text` escaped, with leave to break a line after = and _."""
    from markupsafe import Markup, escape

    return Markup(re.sub("([=_])", r"\1<wbr>", str(escape(text))))


def _effect_line(effect: Effect) -> tuple[str, ...]:
    from ablations.reporting.document import MINUS, MISSING, interval, signed

    numbers = (signed(effect.estimate), interval(effect.low, effect.high))
    plain = [text.replace(MINUS, "-").replace(MISSING, "none") for text in numbers]
    return effect.component, effect.level, effect.kind, *plain, str(effect.n)


def _align(cell: str, column: int, widths: Sequence[int]) -> str:
    return cell.ljust(widths[column]) if column < 3 else cell.rjust(widths[column])


if __name__ == "__main__":
    sys.exit(main())
