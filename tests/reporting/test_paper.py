"""The table for a paper says what a hand counts, and is LaTeX whatever users call things; the figure of a slide."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablations.analysis.verdicts import Findings
from ablations.core.claim import MAIN, ONE_IN
from ablations.core.setting import SPLIT
from ablations.core.text import MINUS, MISSING
from ablations.report import main
from ablations.reporting import exports, slide
from ablations.reporting.paper import Cell, Paper, Row, as_markdown, escaped, latex, paper
from tests import synthetic
from tests.making import with_setting

HOSTILE = r"\input{x} 50% & $a_1$ #2 ~ ^ {} <b> | \\ [2] * \end{tabular}"
MACROS = r"\\textbackslash\{\}|\\textasciitilde\{\}|\\textasciicircum\{\}|\\dag\{\}|\\[{}$&#%_]|\$[<>|-]\$"


def made(grid: str = "one_out", seeds: int = 5) -> Findings:
    study, trials = synthetic.plan(grid, ["lrn", "pooling"], seeds=seeds)
    return Findings(study=study, results=synthetic.results(trials))


def checked(text: str) -> list[list[str]]:
    """The cells of the one table of a LaTeX text, after it was found to be balanced and plain: strict on purpose."""
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    body = "\n".join(lines)
    depth = 0
    for letter in re.sub(r"\\[{}\\]", "", body):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    stack: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", body):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    assert len(re.findall(r"(?<!\\)\$", body)) % 2 == 0
    printed = {
        "textbf",
        "scriptsize",
        "uparrow",
        "downarrow",
        "textbackslash",
        "textasciitilde",
        "textasciicircum",
        "dag",
    }
    rules = {"toprule", "midrule", "bottomrule"}
    used = set(re.findall(r"\\([a-zA-Z]+)", body))
    assert used <= {"begin", "end", "centering", "caption", "label"} | rules | printed
    (columns,) = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", body)
    rows = [line.removesuffix(r" \\") for line in lines if line.endswith(r" \\")]
    cells = [re.split(r"(?<!\\)&", row) for row in rows]
    assert {len(one) for one in cells} == {len(columns)}
    assert not any(row.startswith(("[", "*")) for row in rows)  # it would be an option of the line's end before it
    return [[cell.strip() for cell in one] for one in cells]


def test_the_rows_are_what_a_hand_counts() -> None:
    claimed = made()
    evidence = Findings(study=replace(claimed.study, claims=()), results=claimed.results)  # a claim's p is its family's
    table = paper(evidence)
    assert [row.name for row in table.rows] == ["reference", "no LRN", "non-overlapping pooling"]  # and no control
    errors = evidence.by_seed(evidence.metric)
    for row, label in zip(table.rows, ("reference", "-lrn", "pooling=non_overlapping"), strict=True):
        mean, half = errors[label].mean(), stats.t.ppf(0.975, 4) * errors[label].std() / np.sqrt(5)
        assert (row.outcomes[0].value, row.n) == (f"{mean:.2f}", "5")
        assert row.outcomes[0].interval == f"[{mean - half:.2f}, {mean + half:.2f}]"
    assert table.rows[0].difference == Cell(value=MISSING)
    pairs = [errors[row] - errors["reference"] for row in ("-lrn", "pooling=non_overlapping")]
    p = [stats.ttest_1samp(one, 0).pvalue for one in pairs]
    holm = [min(1, max(2 * min(p), one if one > min(p) else 0)) for one in p]  # of two: twice the smaller, then its own
    for row, one, adjusted in zip(table.rows[1:], pairs, holm, strict=True):
        assert row.difference.value == f"{one.mean():+.2f}".replace("-", MINUS)
        assert row.difference.stars == "*" * sum(adjusted < limit for limit in (0.05, 0.01, 0.001))
    best = [row.outcomes[0].best for row in table.rows]
    assert best == [value == min(errors.mean()[["reference", "-lrn", "pooling=non_overlapping"]]) for value in
                    errors.mean()[["reference", "-lrn", "pooling=non_overlapping"]]]  # fmt: skip
    assert table.metrics[0] == ("top-1 error (%)", "↓")
    assert "5 seeds" in table.method and "2 differences" in table.method


def test_other_designs_say_what_their_differences_are() -> None:
    one_in = made("one_in")
    rows = paper(one_in).rows
    assert [row.name for row in rows] == ["all changes", "all but: no LRN", "all but: non-overlapping pooling"]
    (effect,) = [one for one in one_in.effects if one.component == "lrn" and one.kind == ONE_IN]
    assert rows[1].difference.value == f"{-effect.estimate:+.2f}".replace("-", MINUS)
    full = made("full")
    rows = paper(full).rows
    assert [row.name for row in rows] == ["no LRN", "non-overlapping pooling"]
    (effect,) = [one for one in full.effects if one.component == "lrn" and one.kind == MAIN]
    assert rows[0].difference.value == f"{effect.estimate:+.2f}".replace("-", MINUS)
    errors = full.by_seed(full.metric)[["-lrn", "-lrn pooling=non_overlapping"]].to_numpy()
    assert rows[0].outcomes[0].value == f"{errors.mean():.2f}"
    assert "over all settings of the others" in paper(full).method


def test_latex_is_balanced_and_plain_whatever_things_are_called(tmp_path: Path) -> None:
    cell = Cell(value=f"{MINUS}1.20", interval=f"[{MINUS}2.00, +0.40]", stars="**", best=True)
    rows = tuple(Row(name=name, outcomes=(cell,), difference=cell, n="3") for name in (HOSTILE, "[x", "*", "-a_b=c"))
    text = latex(Paper(metrics=((HOSTILE, "↑"),), rows=rows, method=HOSTILE), "my_study%")
    cells = checked(text)
    assert cells[0][1].endswith(r"$\uparrow$") and len(cells) == 5
    assert cells[4] == [r"-a\_b=c", *[r"\textbf{$-$1.20}$^{**}$ {\scriptsize [$-$2.00, +0.40]}"] * 2, "3"]
    assert r"\label{tab:my-study-}" in text
    assert checked(latex(paper(made()), "x"))
    compiled(text, tmp_path)


def compiled(text: str, folder: Path) -> None:
    """Compiles `text` with booktabs alone, where there is a LaTeX."""
    if program := shutil.which("pdflatex"):
        whole = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{text}\end{{document}}"
        (folder / "a.tex").write_text(whole)
        asked = [program, "-halt-on-error", "-interaction=nonstopmode", "a.tex"]
        assert subprocess.run(asked, cwd=folder, capture_output=True, check=False).returncode == 0


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_no_letter_of_a_name_means_anything_to_latex(text: str) -> None:
    left = re.sub(MACROS, "", escaped(text))
    assert not set(left) & set("\\{}$&#%_~^<>|")


def test_markdown_has_as_many_cells_in_each_row_and_escapes_names() -> None:
    cell = Cell(value="1.20", interval="[1.00, 1.40]", best=True)
    table = Paper(
        metrics=(("a|b", "↓"),), rows=(Row(name="x|*y*", outcomes=(cell,), difference=cell, n="3"),), method="m"
    )
    lines = as_markdown(table).splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines[:3]} == {5}
    assert lines[2] == r"| x\|\*y\* | **1.20** \[1.00, 1.40\] | **1.20** \[1.00, 1.40\] | 3 |"


def test_a_study_without_results_has_a_table_without_numbers(tmp_path: Path) -> None:
    evidence = replace(made(), results=[])
    assert all(row.difference.value == MISSING for row in paper(evidence).rows)
    assert checked(latex(paper(evidence), "x"))
    assert slide.write(evidence, tmp_path) == []


def test_the_slide_is_one_picture_thrice_with_the_most_harmful_change_on_top(tmp_path: Path) -> None:
    evidence = made()
    png, svg, pdf = slide.write(evidence, tmp_path)
    assert pdf.read_bytes().startswith(b"%PDF")
    assert png.read_bytes().startswith(b"\x89PNG")
    text = svg.read_text()
    found = [one for one in evidence.effects if one.component in ("lrn", "pooling")]
    ranked = sorted(found, key=lambda one: -one.estimate)
    places = [text.index(f"{one.estimate:+.2f}".replace("-", MINUS)) for one in ranked]
    assert places == sorted(places)
    assert "5 seeds" in text and "worse" in text and "sabotage" not in text
    before = png.read_bytes(), text, pdf.read_bytes()
    slide.write(evidence, tmp_path)
    assert (png.read_bytes(), svg.read_text(), pdf.read_bytes()) == before


def test_the_table_comes_with_md_and_latex(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.reporting.test_pages import stored

    stored(tmp_path / "made_up")
    where = ["--results", str(tmp_path), "--reports", str(tmp_path / "reports")]
    assert main(["made_up", *where, "--format", "md,latex,slide"]) == 0
    names = {Path(line).name for line in capsys.readouterr().out.splitlines()}
    assert {"paper.md", "paper.tex", "slide.png", "slide.svg"} <= names


def spoilt() -> Findings:
    """A study whose sabotage does nothing."""
    evidence = made()
    results = [synthetic.done(one.trial, 21.0 + 0.1 * one.trial.seed) if "sabotage" in one.trial.variant.label else one
               for one in evidence.results]  # fmt: skip
    return Findings(study=evidence.study, results=results)


def test_where_a_gate_fails_table_and_slide_say_so_before_any_number(tmp_path: Path) -> None:
    evidence, said = spoilt(), "Not judged: the sabotage went unseen"
    table = paper(evidence)
    assert table.void.startswith(said)
    assert not any(row.difference.stars for row in table.rows) and any(
        row.difference.stars for row in paper(made()).rows
    )
    assert as_markdown(table).startswith(f"**{said}")
    text = latex(table, "x")
    assert text.index(said) < text.index(r"\begin{tabular}")
    compiled(text, tmp_path)
    for path in exports.write_latex(evidence, tmp_path):
        assert said in path.read_text()
        compiled(path.read_text(), tmp_path)
    _, svg, _ = slide.write(evidence, tmp_path)
    assert said in svg.read_text() and said not in slide.method(evidence)


def test_the_slide_names_the_correction_of_splits() -> None:
    evidence = made()
    split = replace(evidence, study=with_setting(evidence.study, replicate=SPLIT))
    assert "95% t intervals corrected for the overlap of splits" in slide.method(split)
    assert "corrected" not in slide.method(evidence)
