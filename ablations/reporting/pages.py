"""Writes a report as report.html and report.md, and in the other formats."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ablations.core.errors import printable
from ablations.core.text import MISSING
from ablations.records.files import write_text
from ablations.reporting.compose import compose
from ablations.reporting.document import markdown
from ablations.reporting.theme import COLOURS, themed

if TYPE_CHECKING:
    from markupsafe import Markup

    from ablations.analysis.verdicts import Findings
    from ablations.reporting.document import Report


TEMPLATES = Path(__file__).parent / "templates"


def write_as(formats: Sequence[str], evidence: Findings, folder: Path) -> tuple[Path, ...]:
    """Writes the report in each of `formats` into `folder`, and returns the paths of the files.

    The formats are those of `ablations.reporting.formats`.  `md` and `latex` include the table for a paper, unless the
    study is a race or has one variant.
    """
    from ablations.reporting import exports, paper, related, slide

    folder.mkdir(parents=True, exist_ok=True)
    if evidence.folder:
        related.write_found(evidence)
    paths: list[Path] = []
    if {"html", "md", "slide"} & set(formats):
        report = compose(evidence)
        _write_figures(report, folder)
        paths += [_render(f"report.{name}", report, folder) for name in ("html", "md") if name in formats]
    paths += exports.write_csv(evidence, folder) if "csv" in formats else []
    paths += exports.write_latex(evidence, folder) if "latex" in formats else []
    if len(evidence.study.variants) > 1 and not evidence.study.setting.races:
        paths += [paper.write_markdown(evidence, folder)] if "md" in formats else []
        paths += [paper.write_latex(evidence, folder)] if "latex" in formats else []
        paths += slide.write(evidence, folder) if "slide" in formats else []
    if "slide" in formats:
        paths += slide.write_figures(report, folder)
    return tuple(paths)


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """Writes report.html, which needs no other file, and report.md beside its figures/.  Returns their paths."""
    _write_figures(report, folder)
    return _render("report.html", report, folder), _render("report.md", report, folder)


def _write_figures(report: Report, folder: Path) -> None:
    """Writes the figures as SVG, and removes those of an earlier report."""
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for stale in figures.glob("*.svg"):
        if _is_ours(stale):
            for ending in (".svg", ".png", ".pdf"):
                stale.with_suffix(ending).unlink(missing_ok=True)
    for picture in report.pictures:
        write_text(figures / f"{picture.name}.svg", printable(picture.svg))


def _is_ours(path: Path) -> bool:
    """Tells whether `path` is a figure that a report drew, so that it may be removed.  Users may add their own.

    All ids in such a figure start with its name.
    """
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    ids = re.findall(r'\bid="([^"]*)"', text)
    return text.startswith("<svg") and bool(ids) and all(one.startswith(f"{path.stem}-") for one in ids)


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
    environment.filters |= {
        "words": markdown,
        "breakable": _breakable,
        "themed": _themed,
        "digest": _digest,
    }
    path = folder / name
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    given = {"report": report, "script": script, "colours": COLOURS, "missing": MISSING}
    page = environment.get_template(f"{name}.j2").render(given)
    write_text(path, printable(page))
    return path


def _themed(svg: str) -> Markup:
    """Returns a figure with its colours as variables of the page, which follow the reader's light or dark mode."""
    from markupsafe import Markup

    return Markup(themed(svg))


def _digest(script: str) -> str:
    """Returns the SHA-256 of the page's script as its security policy (CSP) names it: no other script runs."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _breakable(text: str) -> Markup:
    """Returns `text` escaped, with places to break a line after each = and _."""
    from markupsafe import Markup, escape

    return Markup(re.sub("([=_])", r"\1<wbr>", str(escape(text))))
