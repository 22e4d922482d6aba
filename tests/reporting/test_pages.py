"""The report against hand counts, in both renderings, and on every kind of broken study."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ablations.analysis.rule import CONTRADICTED, DIRECTION_ONLY, INCONCLUSIVE, NO_EFFECT, NOT_TESTED, REPRODUCED
from ablations.analysis.verdict import Verdict
from ablations.analysis.verdicts import Findings
from ablations.core.claim import Rule
from ablations.core.result import Result
from ablations.core.study import Study
from ablations.core.text import MINUS
from ablations.core.trial import Trial
from ablations.planning.declare import declare
from ablations.records import store
from ablations.records.outcomes import pack
from ablations.report import main, render
from ablations.reporting.compose import compose
from ablations.reporting.document import Card, Report, Table
from ablations.reporting.pages import write
from ablations.reporting.sections.cards import in_words
from ablations.reporting.sections.verdicts import zero_inside
from ablations.reporting.terminal import terminal_lines
from tests import synthetic
from tests.making import CLAIMS, build, with_setting
from tests.pages import Page

WORDS = ["activation", "lrn", "dropout", "width"]


def markdown_tables(text: str) -> list[list[list[str]]]:
    """The cells of every pipe table, unescaped."""
    groups = re.findall(r"(?:^\|.*\|[ ]?\n)+", text, flags=re.MULTILINE)
    rows = [[re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in group.splitlines()] for group in groups]
    return [
        [[re.sub(r"\\(.)", r"\1", cell.strip()) for cell in row] for row in [table[0], *table[2:]]] for table in rows
    ]


def rendered(
    study: Study, results: list[Result], folder: Path, problems: list[str] | None = None
) -> tuple[Report, str, str]:
    """The report and both renderings; the page is checked on the way."""
    report = build(study, results, problems or [])
    html, markdown = (path.read_text() for path in write(report, folder))
    page = Page(html)
    assert page.loads == []
    page.check()
    assert len(html) < 5_000_000
    assert [[[" ".join(cell.split()) for cell in row] for row in table] for table in page.tables] == [
        [[" ".join(cell.split()) for cell in row] for row in table] for table in markdown_tables(markdown)
    ]
    for picture in report.pictures:
        assert (folder / "figures" / f"{picture.name}.svg").read_text() == picture.svg
        assert f"(figures/{picture.name}.svg)" in markdown
    return report, html, markdown


def table_of(report: Report, section: str, caption: str = "") -> Table:
    """The first table of the section of that title whose caption contains it; of "Results" the first screen's."""
    if section == "Results":
        (table,) = [block for block in report.lead if isinstance(block, Table)]
        return table
    (found,) = [one for one in report.sections if one.title == section]
    return next(block for block in found.blocks if isinstance(block, Table) and caption in block.caption)


def cards_of(report: Report) -> list[Card]:
    """One for each claim."""
    return [block for one in report.sections for block in one.blocks if isinstance(block, Card)]


def words_of(report: Report) -> str:
    """All paragraphs."""
    return " ".join(
        [
            *report.answer.sentences,
            report.answer.trust,
            *(block for one in report.sections for block in one.blocks if isinstance(block, str)),
        ]
    )


def column(table: Table, name: str, row: str) -> str:
    """One cell."""
    (cells,) = [cells for cells in table.rows if cells[0] == row]
    return cells[table.head.index(name)]


def test_both_renderings_hold_the_same_numbers_and_those_counted_by_hand(tmp_path: Path) -> None:
    study, trials = synthetic.plan("one_out", WORDS)
    errors = {"reference": [20.0, 21.0, 22.0], "-lrn": [20.5, 22.0, 23.5], "placebo=salted": [20.1, 20.9, 22.1]}
    results = [synthetic.done(one, errors.get(one.variant.label, [25.0, 26.5, 26.0])[one.seed]) for one in trials]
    report, html, markdown = rendered(study, results, tmp_path)
    # Differences .5, 1, 1.5: mean 1, standard deviation .5, t(0.975, 2) = 4.3027, so 1 +- 1.2421.
    effects = table_of(report, "Effects")
    assert column(effects, "effect, points", "no LRN") == "+1.00"
    assert column(effects, "95% interval", "no LRN") == f"[{MINUS}0.24, +2.24]"
    assert column(effects, "pairs", "no LRN") == "3 of 3"
    assert column(effects, "correlation", "no LRN") == "1.00"
    shown = table_of(report, "Results")
    assert column(shown, "effect, points", "no LRN") == "+1.00"
    assert column(shown, "test top-1, %", "no LRN") == "22.00" and column(shown, "in the code", "no LRN") == "-lrn"
    assert column(shown, "test top-1, %", "reference") == "21.00"
    assert report.answer.sentences[0] in markdown
    assert f"{100 * np.sqrt(0.21 * 0.79 / 10_000):.2f} points over 10,000 images" in html


@pytest.mark.usefixtures("sketches")
def test_it_says_how_far_its_seeds_reach() -> None:
    for seeds, label in ((1, "smoke test (1 seed)"), (2, "draft (2 seeds)"), (10, "enough for verdicts (10 seeds)")):
        study, trials = synthetic.plan("one_out", ["lrn"], seeds=seeds)
        study = declare(study, None, records=0, at="2026-11-23T10:00:00+00:00")
        what = "cifar on cifar10, 12 epochs of 50,000 images; "
        assert build(study, synthetic.results(trials), []).label == f"{what}{label}"
        assert build(replace(study, declared=()), synthetic.results(trials), []).label == f"{what}post hoc, {label}"


@pytest.mark.usefixtures("sketches")
def test_gates_hold_or_do_not_in_words() -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=5)
    results = synthetic.results(trials)
    gates = table_of(build(study, results, []), "Gates")
    assert [column(gates, "holds", row[0]) for row in gates.rows] == ["yes", "yes", "yes"]
    swapped = [_with_error(one, {"placebo=salted": 35.0, "sabotage=half": 21.0}) for one in results]
    gates = table_of(build(study, swapped, []), "Gates")
    assert column(gates, "holds", "the sabotage is detected") == "no"
    assert column(gates, "holds", "the placebo is not") == "no"


def _with_error(result: Result, errors: dict[str, float]) -> Result:
    error = errors.get(result.trial.variant.label)
    return synthetic.done(result.trial, error + 0.1 * result.trial.seed) if error else result


@pytest.mark.usefixtures("sketches")
def test_a_change_of_size_is_labelled_confounded() -> None:
    study, trials = synthetic.plan("one_out", ["width", "lrn", "pooling=non_overlapping_naive"])
    effects = table_of(build(study, synthetic.results(trials), []), "Effects")
    assert column(effects, "notes", "half the width").startswith("confounded: ")
    assert column(effects, "notes", "no LRN") == ""
    assert "map sizes conv2 16 to 17" in column(effects, "notes", "non-overlapping pooling, other map sizes")


@pytest.mark.usefixtures("sketches")
def test_a_reference_trained_alone_has_no_comparisons_and_every_activity() -> None:
    study, trials = synthetic.plan("reference")
    report = build(study, synthetic.results(trials), [])
    titles = [section.title for section in report.sections]
    assert "Learning curves" in titles
    assert not {"Effects", "Gates", "Claims", "Methods"} & set(titles)
    activity = table_of(report, "Activity in the trained reference")
    assert [row[0] for row in activity.rows] == sorted(synthetic.results(trials)[0].activity)


@pytest.mark.parametrize(("gap", "warned"), [(0.4, True), (1.5, False)])
@pytest.mark.usefixtures("sketches")
def test_a_reference_that_underfits_is_said_to(gap: float, warned: bool) -> None:
    study, trials = synthetic.plan("one_out", ["lrn"])
    study = with_setting(study, guessing=90.0)
    results = [replace(result, metrics={**result.metrics, "gap_percent": gap}) for result in synthetic.results(trials)]
    said = words_of(build(study, results, []))
    assert ("underfitting" in said and "so this says little about converged networks" in said) == warned


@pytest.mark.usefixtures("sketches")
def test_a_component_without_activity_is_flagged() -> None:
    study, trials = synthetic.plan("one_out", ["lrn", "dropout"])
    activity = table_of(build(study, synthetic.results(trials), []), "Activity in the trained reference")
    assert column(activity, "flag", "lrn") == "inactive"
    assert column(activity, "flag", "dropout") == "active"


@pytest.mark.usefixtures("sketches")
def test_broken_pairs_and_failures_are_named(tmp_path: Path) -> None:
    study, trials = synthetic.plan("one_out", WORDS)
    results = [
        synthetic.diverged(one) if (one.trial.variant.label, one.trial.seed) == ("-lrn", 1)
        else synthetic.failed(one) if (one.trial.variant.label, one.trial.seed) == ("-dropout", 0)
        else one
        for one in synthetic.results(trials)
    ]  # fmt: skip
    report, html, markdown = rendered(study, results, tmp_path, ["record x.json cannot be read (no 'schema')"])
    effects = table_of(report, "Effects")
    assert "unstable: 2 of 3 trained with the change and 3 of 3 without it" in column(effects, "notes", "no LRN")
    assert "1 of 3 pairs without a result" in column(effects, "notes", "no dropout")
    assert "unstable" not in column(effects, "notes", "no dropout")
    assert "1 diverged and 1 stopped with an error" in words_of(report)
    assert "record x.json cannot be read" in html
    assert "record x.json cannot be read" in markdown
    assert "<script>alert" not in html
    assert "<script>" not in markdown.replace("\\<script\\>", "")


def one_seed(trials: list[Trial]) -> list[Result]:
    """Every trial of seed 0."""
    return [result for result in synthetic.results(trials) if result.trial.seed == 0]


def nothing(trials: list[Trial]) -> list[Result]:
    """No trial."""
    return []


def all_diverged(trials: list[Trial]) -> list[Result]:
    """Not one finished."""
    return [synthetic.diverged(result) for result in synthetic.results(trials)]


def all_failed(trials: list[Trial]) -> list[Result]:
    """Not even a curve."""
    return [synthetic.failed(result) for result in synthetic.results(trials)]


def half(trials: list[Trial]) -> list[Result]:
    """Stopped in the middle."""
    return synthetic.results(trials)[: len(trials) // 2]


def no_reference(trials: list[Trial]) -> list[Result]:
    """The reference alone failed."""
    return [one if one.trial.variant.departures else synthetic.failed(one) for one in synthetic.results(trials)]


def bare(trials: list[Trial]) -> list[Result]:
    """Only the main outcome was recorded."""
    keep = ("test_top1_error_percent",)
    cut = [{name: one.metrics[name] for name in keep} for one in synthetic.results(trials)]
    return [
        replace(one, metrics=metrics, curve=(), activity={}, provenance={})
        for one, metrics in zip(synthetic.results(trials), cut, strict=True)
    ]


@pytest.mark.parametrize("grid", ["one_out", "one_in", "full"])
@pytest.mark.parametrize("broken", [one_seed, nothing, all_diverged, all_failed, half, no_reference, bare])
def test_it_survives_a_broken_study(
    grid: str, broken: Callable[[list[Trial]], list[Result]], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if grid != "full":  # whose figures are written out: it has every kind that both others have
        request.getfixturevalue("sketches")
    study, trials = synthetic.plan(grid, ["lrn", "dropout"])
    report, html, _ = rendered(study, broken(trials), tmp_path)
    assert (
        "nan" not in re.sub(r"<style>.*?</style>|<svg.*?</svg>|<script>.*?</script>", "", html, flags=re.DOTALL).split()
    )
    if broken in (nothing, all_diverged, all_failed):
        causes = "no trial has been run yet", "has trained to its end"
        assert (
            report.answer.sentences[0].startswith("Not judged: ")
            and causes[broken is not nothing] in report.answer.sentences[0]
        )
        assert not report.answer.judged and report.lead == ()
        assert "nothing can be estimated" in words_of(report)
        assert report.pictures == ()


@pytest.mark.usefixtures("sketches")
def test_a_full_factorial_shows_both_estimands_and_its_interactions(tmp_path: Path) -> None:
    study, trials = synthetic.plan("full", ["activation", "lrn", "dropout"], seeds=2)
    report, _, _ = rendered(study, synthetic.results(trials, noise=0.01), tmp_path)
    main_effect = table_of(report, "Effects", "Main effects")
    alone = table_of(report, "Effects", "One change at a time")
    assert column(main_effect, "seeds", "no LRN") == "2 of 2"
    assert float(column(main_effect, "effect, points", "no LRN").replace(MINUS, "-")) == pytest.approx(-0.1, abs=0.03)
    assert float(column(alone, "effect, points", "no LRN")) == pytest.approx(0.3, abs=0.05)
    both = column(table_of(report, "Interactions"), "effect, points", "activation x lrn")
    assert float(both.replace(MINUS, "-")) == pytest.approx(-0.4, abs=0.03)


@pytest.mark.usefixtures("sketches")
def test_a_fraction_shows_its_interactions_alone_or_as_sums_that_are_named() -> None:
    words = ["activation", "lrn", "pooling", "dropout", "crop_flip", "grouping"]
    study, trials = synthetic.plan("fractional", words, seeds=2, resolution=5)
    report = build(study, synthetic.results(trials, noise=0.01), [])
    table = table_of(report, "Interactions")
    assert len(table.rows) == 15 and "and with it" not in table.head
    assert float(column(table, "effect, points", "activation x lrn").replace(MINUS, "-")) == pytest.approx(
        -0.4, abs=0.03
    )
    assert "interactions" in [picture.name for picture in report.pictures]
    study, trials = synthetic.plan("fractional", words, seeds=2)
    report = build(study, synthetic.results(trials, noise=0.01), [])
    sums = table_of(report, "Interactions")
    assert len(sums.rows) == 7 and "cannot tell some interactions apart" in words_of(report)
    (row,) = [row for row in sums.rows if "activation x lrn" in (row[0], *row[-1].replace(MINUS, "").split(", "))]
    assert abs(float(row[1].replace(MINUS, "-"))) == pytest.approx(0.4, abs=0.03)
    assert "interactions" not in [picture.name for picture in report.pictures]  # no number is of one cell


def test_a_full_factorial_sets_the_parts_against_the_whole_and_names_what_stands_out(tmp_path: Path) -> None:
    study, trials = synthetic.plan("full", ["activation", "lrn", "dropout"], seeds=2)
    report, _, _ = rendered(study, synthetic.results(trials, noise=0.01), tmp_path)
    sums = table_of(report, "The parts and the whole")
    # 4.0 + 0.3 + 1.2 alone; together 0.8 less.
    assert float(column(sums, "effect, points", "the single changes, added")) == pytest.approx(5.5, abs=0.05)
    assert float(column(sums, "effect, points", "all changes at once")) == pytest.approx(4.7, abs=0.05)
    both = table_of(report, "One out against on average")
    assert both.head == ("change", "one out, points", "95% interval", "main, points", "95% interval")
    assert float(column(both, "one out, points", "tanh instead of ReLU")) == pytest.approx(4.0, abs=0.05)
    assert float(column(both, "main, points", "tanh instead of ReLU")) == pytest.approx(3.6, abs=0.05)
    (plot,) = [picture for picture in report.pictures if picture.name == "half-normal"]
    named = set(re.findall(r">([a-z_]+(?: x [a-z_]+)?)</text>", plot.svg))
    assert "activation" in named


@pytest.mark.usefixtures("sketches")
def test_one_seed_compares_single_networks_image_by_image() -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=1)
    outcomes = {"reference": [1] * 90 + [0] * 10, "-lrn": [1] * 84 + [0] * 16}
    results = [
        replace(
            one,
            metrics={**one.metrics, "evaluated_examples": 100.0},
            outcomes=pack(np.array(outcomes.get(one.trial.variant.label, outcomes["reference"]), dtype=bool)),
        )
        for one in synthetic.results(trials)
    ]
    table = table_of(build(study, results, []), "Single networks")
    assert table.rows[0][:3] == ("no LRN", "0", "6")
    assert table.rows[0][3] == "0.031"  # 2 / 2^6
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=2)
    assert "Single networks" not in [one.title for one in build(study, synthetic.results(trials), []).sections]


@pytest.mark.usefixtures("sketches")
def test_an_interval_over_images_too_is_wider_than_one_over_seeds() -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=4)
    random = np.random.default_rng(0)
    results = []
    for one in synthetic.results(trials):
        right = random.random(500) > 0.2 + 0.1 * bool(one.trial.variant.departures)
        error = 100 * (1 - right.mean())
        metrics = {**one.metrics, "test_top1_error_percent": error, "evaluated_examples": 500.0}
        results.append(replace(one, metrics=metrics, outcomes=pack(right)))
    effects = table_of(build(study, results, []), "Effects")
    narrow, wide = (
        [
            float(number.replace(MINUS, "-"))
            for number in re.findall(rf"[+{MINUS}][\d.]+", column(effects, name, "no LRN"))
        ]
        for name in ("95% interval", "95% interval, new images too")
    )
    assert wide[1] - wide[0] > narrow[1] - narrow[0]
    assert sum(wide) == pytest.approx(sum(narrow), abs=0.02)  # around the same effect


@pytest.mark.usefixtures("sketches")
def test_the_verdicts_of_a_fixed_study_are_those_of_the_golden_file(tmp_path: Path) -> None:
    study, trials = synthetic.plan("one_out", [*WORDS, "pooling", "crop_flip", "pca_jitter"], seeds=10, name="golden")
    study = declare(study, None, records=0, at="2026-11-23T10:00:00+00:00")
    _, _, markdown = rendered(study, synthetic.results(trials, noise=0.25), tmp_path)
    first = markdown[: markdown.index("<details>")]
    claims = markdown[markdown.index("<h2>Claims") : markdown.index("<h2>Gates")].splitlines()
    verdicts = first + "\n".join(line for line in claims if line.startswith(("### ", "**"))) + "\n\n"
    gates = markdown[markdown.index("<h2>Gates") : markdown.index("<h2>Effects")]
    rule = markdown[markdown.index("**The rule:") : markdown.index("**Claims, rule and seeds as")]
    (tmp_path / "verdicts.md").write_text(verdicts + gates + rule)
    golden = Path(__file__).parents[1] / "golden" / "verdicts.md"
    assert verdicts + gates + rule == golden.read_text(), f"if the change is meant: cp {tmp_path}/verdicts.md {golden}"


@pytest.mark.usefixtures("sketches")
def test_claims_are_shown_in_full_with_the_reason_for_their_margin() -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=2)
    report = build(study, synthetic.results(trials), [])
    cards = {card.name: card for card in cards_of(report)}
    facts = dict(cards["lrn_cifar"].facts)
    assert facts["smallest effect of interest"] == "1 point: half of 2"
    assert "four-layer network" in facts["published"]
    assert facts["confounds there"] and "section" in facts["claimed in"]
    untouched = table_of(report, "Claims", "does not touch")
    assert len(untouched.rows) == len(CLAIMS) - len(cards)


def test_names_and_claims_of_users_are_escaped(tmp_path: Path) -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=2, name="<b>x</b>")
    hostile = replace(study.claims[0], name="<i>", statement="A <script>alert(1)</script> | `x` *y*.", family="<u>")
    report, html, _ = rendered(replace(study, claims=(hostile,)), synthetic.results(trials), tmp_path)
    assert "<script>alert" not in html and "<b>x" not in html
    assert "A <script>" in cards_of(report)[0].title


@pytest.mark.usefixtures("sketches")
def test_a_fraction_prints_its_aliases_and_a_grid_what_it_left_out() -> None:
    study, trials = synthetic.plan("fractional", [*WORDS[:3], "pooling", "crop_flip"], seeds=1)
    assert table_of(build(study, synthetic.results(trials), []), "Failures and gaps in the design", "Aliases").rows
    study, trials = synthetic.plan("pairs", ["width", "grouping"])
    left = table_of(build(study, synthetic.results(trials), []), "Failures and gaps in the design", "left out")
    assert "rewrite" in left.rows[0][1]


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    study, trials = synthetic.plan("one_out", ["lrn"])
    texts = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        report = build(study, synthetic.results(trials), [])
        texts.append([path.read_bytes() for path in [*write(report, folder), *sorted(folder.glob("figures/*.svg"))]])
    assert texts[0] == texts[1]


@pytest.mark.usefixtures("sketches")
def test_figures_of_an_earlier_report_are_removed(tmp_path: Path) -> None:
    study, trials = synthetic.plan("one_out", ["lrn"])
    write(build(study, synthetic.results(trials), []), tmp_path)
    write(build(study, [], []), tmp_path)
    assert list(tmp_path.glob("figures/*.svg")) == []


def test_figures_that_no_report_drew_stay(tmp_path: Path) -> None:
    study, trials = synthetic.plan("one_out", WORDS)
    rendered(study, synthetic.results(trials), tmp_path)
    own = {
        "mine": '<svg xmlns="http://www.w3.org/2000/svg"><g id="mine"/></svg>',
        "plain": '<svg xmlns="http://www.w3.org/2000/svg"/>',
        "from-inkscape": '<?xml version="1.0"?>\n<svg id="svg5"/>',
    }
    for name, text in own.items():
        (tmp_path / "figures" / f"{name}.svg").write_text(text)
    (tmp_path / "figures" / "folder.svg").mkdir()
    rendered(study, [], tmp_path)
    assert {path.stem: path.read_text() for path in tmp_path.glob("figures/*.svg") if path.is_file()} == own


def written_by_a_reader(folder: Path, environment: dict[str, str]) -> tuple[str, dict[str, bytes]]:
    """MPLBACKEND after a report has been written by a process with this environment, and the files."""
    code = (
        "import os; from pathlib import Path; import ablations.reporting.figures.style; from tests import synthetic\n"
        "from tests.making import build; from ablations.reporting.pages import write\n"
        "study, trials = synthetic.plan('one_out', ('lrn',))\n"
        f"write(build(study, synthetic.results(trials), []), Path({str(folder)!r}))\n"
        "print(os.environ.get('MPLBACKEND'))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip(), {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def usual_report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a report, written in this process."""
    folder = tmp_path_factory.mktemp("usual")
    study, trials = synthetic.plan("one_out", ("lrn",))
    write(build(study, synthetic.results(trials), []), folder)
    files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(files) > 3
    return files


@pytest.mark.parametrize("backend", ["module://nowhere.inline", "macosx"])
def test_a_report_does_not_depend_on_the_readers_matplotlib(
    backend: str, usual_report: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "matplotlibrc").write_text(
        "text.usetex: True\nfont.family: Papyrus\nfont.size: 30\nlines.linewidth: 9\nsvg.fonttype: path\n"
    )
    environment = {**os.environ, "MPLBACKEND": backend, "MATPLOTLIBRC": str(tmp_path)}
    assert written_by_a_reader(tmp_path / "files", environment) == (backend, usual_report)


def test_the_terminal_shows_each_effect_on_one_ascii_line() -> None:
    study, trials = synthetic.plan("one_out", WORDS)
    results = synthetic.results(trials)[:-1]
    text = terminal_lines(Findings(study=study, results=results))
    assert text.isascii()
    assert re.search(
        r"^activation_importance +same direction at this scale \[proxy, draft, our reading\]$", text, flags=re.MULTILINE
    )
    assert text.startswith("At this budget (") and "Of 8 published claims: " in " ".join(text.split())
    assert re.search(r"^no LRN +-lrn +one out +\+\d\.\d\d +\[.*\] +3$", text, flags=re.MULTILINE)
    spoilt = [_with_error(one, {"sabotage=half": 20.0}) for one in results]
    text = terminal_lines(Findings(study=study, results=spoilt))
    assert text.startswith("Not judged: the sabotage went unseen (-")
    assert text.isascii() and "one out" not in text and "reproduced" not in text
    empty = terminal_lines(Findings(study=study, results=[]))
    assert empty.startswith("Not judged: no trial has been run yet.")


def test_the_terminal_shows_the_error_of_a_reference_that_is_compared_with_nothing() -> None:
    study, trials = synthetic.plan("reference")
    results = [_with_error(one, {"reference": 20.0}) for one in synthetic.results(trials)]
    said = "The test top-1 error of the reference is 20.10% on average over 3 seeds."
    assert terminal_lines(Findings(study=study, results=results)).startswith(said)
    assert terminal_lines(Findings(study=study, results=[])).startswith("No training of the reference has ended")


@pytest.mark.parametrize(("error", "warned"), [(50.0, True), (49.5, False)])  # of three classes guessing errs in 66.7%
@pytest.mark.usefixtures("sketches")
def test_a_reference_that_hardly_beats_guessing_is_said_to(error: float, warned: bool) -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=2)
    study = with_setting(study, guessing=200 / 3)
    results = [_with_error(one, {"reference": error}) for one in synthetic.results(trials)]
    report = build(study, results, [])
    assert report.answer.sentences[0].startswith("Not judged: the reference did not learn (") is warned
    assert not warned or (report.sections[0].title, report.sections[0].open) == ("Gates", True)
    assert not warned or "--epochs 48" in report.answer.commands[0][1]


def stored(folder: Path) -> Study:
    """A study on disk."""
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=1)
    store.write_study(folder, study)
    for result in synthetic.results(trials):
        store.write_result(folder, result)
    return study


def test_a_study_is_rendered_again_by_name_or_by_folder(tmp_path: Path) -> None:
    stored(tmp_path / "results" / "made_up")
    first = render("made_up", tmp_path / "results", tmp_path / "reports")
    assert first == tuple(tmp_path / "reports/made_up" / name for name in ("report.html", "report.md", "paper.md"))
    text = first[0].read_text()
    assert render(str(tmp_path / "results" / "made_up"), tmp_path, tmp_path / "reports") == first
    assert first[0].read_text() == text


def test_an_unknown_study_costs_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(tmp_path / "made_up")
    monkeypatch.setattr(sys, "argv", ["report", "mad_up", "--results", str(tmp_path)])
    assert main() == 2
    assert capsys.readouterr().err == "error: unknown study 'mad_up'; did you mean 'made_up'? Allowed: made_up.\n"


def test_help_needs_neither_matplotlib_nor_pandas() -> None:
    program = (
        "import runpy, sys; sys.argv = ['report', '--help']\n"
        "try: runpy.run_module('ablations.report', run_name='__main__')\n"
        "except SystemExit: print([name for name in ('matplotlib', 'pandas', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.usefixtures("sketches")
def test_a_report_says_what_its_reference_is_and_where_it_departs_from_the_paper(tmp_path: Path) -> None:
    study, trials = synthetic.plan("one_out", WORDS)
    report, *_ = rendered(study, synthetic.results(trials), tmp_path)
    table = table_of(report, "How it was run", "departs from the preset paper")
    assert column(table, "value", "layers").startswith("48 5x5 lrn max3/2; 128 5x5 g2 lrn max3/2; ")
    assert "kernel 5 (11) in conv1" in column(table, "value", "network")
    assert "unit_scale on (off)" in column(table, "value", "data")
    assert "schedule cosine (step)" in column(table, "value", "recipe")


@pytest.mark.usefixtures("sketches")
def test_a_card_says_in_plain_words_what_its_verdict_means(tmp_path: Path) -> None:
    study, trials = synthetic.plan("one_out", ["activation", "crop_flip", "pca_jitter"], seeds=4)
    report, html, markdown = rendered(study, synthetic.results(trials, noise=0.05), tmp_path)
    cards = {card.name: card for card in cards_of(report)}
    assert len(cards) == len(Findings(study=study, results=[]).verdicts)
    found = cards["activation_importance"]
    assert found.mood == "yes" and found.badge.startswith("same direction at this scale [proxy")
    assert found.number.endswith(" points, n = 4")
    assert re.match(
        r"With the change \(tanh instead of ReLU\) the top-1 error came out [34]\.\d\d points higher on average, as "
        r"was claimed, and by more than would be too little to matter \(1 point\)\.$",
        found.words,
    )
    assert found.picture and f"figures/{found.picture.name}.svg" in markdown
    outcomes = Findings(study=study, results=synthetic.results(trials, noise=0.05)).by_seed("test_top1_error_percent")
    first = outcomes.loc[0]
    assert f"seed 0 {first['reference']:.2f} and {first['activation=tanh']:.2f}" in found.picture.alternative
    assert html.count('<article class="card') == len(cards)


@pytest.mark.usefixtures("sketches")
def test_a_card_without_a_finished_pair_has_no_picture_and_says_why() -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=2)
    (*_, card) = cards_of(build(study, [synthetic.failed(one) for one in synthetic.results(trials)], []))
    assert card.picture is None and card.mood == "open"
    assert card.words.startswith("Not judged: the reference learns: not known")
    assert dict(card.facts)["what would change the verdict"].startswith("A study that passes its gates.")


@pytest.mark.parametrize(
    ("call", "estimate", "words"),
    [
        (
            REPRODUCED,
            2.0,
            "2.00 points higher on average, as was claimed, and by more than would be too little to matter",
        ),
        (DIRECTION_ONLY, 0.5, "0.50 points higher on average, which is the claimed direction, and may or may not"),
        (CONTRADICTED, -2.0, "2.00 points lower on average, where higher was claimed."),
        (NO_EFFECT, -0.1, "0.10 points lower on average: too little to matter, whichever way (1 point would)."),
        (INCONCLUSIVE, 0.3, "0.30 points higher on average, where higher was claimed, and that may be chance."),
        (NOT_TESTED, 0.3, "Not judged: "),
    ],
)
def test_every_verdict_has_its_sentence(call: str, estimate: float, words: str) -> None:
    claim = next(one for one in CLAIMS if one.name == "activation_importance")
    study, trials = synthetic.plan("one_out", ["activation"], seeds=2)
    evidence = Findings(study=study, results=synthetic.results(trials))
    effect = replace(evidence.effects[0], estimate=estimate)
    said = in_words(evidence, Verdict(claim=claim, call=call, effect=effect, metrics=study.setting.metrics))
    start = "" if call == NOT_TESTED else "With the change (tanh instead of ReLU) the top-1 error came out "
    assert said.startswith(start + words)


@pytest.mark.parametrize(
    ("call", "low", "high", "told"),
    [
        (DIRECTION_ONLY, -0.1, 2.0, True),
        (CONTRADICTED, -2.0, 0.1, True),
        (DIRECTION_ONLY, 0.1, 2.0, False),
        (INCONCLUSIVE, -0.1, 2.0, False),
        (NOT_TESTED, math.nan, math.nan, False),
    ],
)
def test_a_direction_whose_interval_holds_zero_is_explained(call: str, low: float, high: float, told: bool) -> None:
    verdict = Verdict(claim=CLAIMS[0], call=call, low=low, high=high)
    assert any("may hold zero where p is under 0.05" in words for words in zero_inside([verdict], 0.05)) == told


@pytest.mark.usefixtures("sketches")
def test_trials_that_learnt_nothing_are_named(tmp_path: Path) -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=3)
    study = replace(study, rule=Rule())  # an older one, by which an error is no failure
    results = [
        synthetic.done(one.trial, 89.7) if one.trial.variant.label == "-lrn" and one.trial.seed else one
        for one in synthetic.results(trials)
    ]
    sentence = "No better than guessing (90%) at their end: no LRN (seed 1 and 2). They count in full"
    # Of 10,000 images guessing is wrong for 90 +- 0.3%.
    assert sentence in words_of(build(study, results, []))
    assert "No better than" not in words_of(build(study, [synthetic.done(one.trial, 89.3) for one in results], []))


def guessing(result: Result) -> Result:
    """The same trial, had its network collapsed to one class of ten."""
    return synthetic.done(result.trial, 90.0)


@pytest.mark.usefixtures("sketches")
def test_a_training_at_chance_fails_in_every_part_of_a_report_as_one_that_diverged_does(tmp_path: Path) -> None:
    study, trials = synthetic.plan("one_out", ["dropout", "pooling"], seeds=10)
    study = declare(with_setting(study, guessing=90.0), None, records=0, at="2026-11-23T10:00:00+00:00")
    lost = [one.trial.variant.label == "-dropout" and one.trial.seed < 2 for one in synthetic.results(trials)]
    pages = []
    for fail in (guessing, synthetic.diverged):
        results = [fail(one) if bad else one for one, bad in zip(synthetic.results(trials), lost, strict=True)]
        report = build(study, results, [])
        share = table_of(report, "Effects", "How often")
        assert column(share, "trained with it", "no dropout") == "8 of 10"
        assert column(share, "95%", "no dropout") == "[44%, 97%]"  # .4439 to .9748 in the tables of Clopper and Pearson
        assert column(share, "p, equally often", "no dropout") == "0.500"  # two tosses that both fall one way
        assert [column(share, "flag", name) for name in ("no dropout", "sabotage (half the labels shuffled)")] == [
            "unstable",
            "",
        ]
        errors = table_of(report, "Errors and the train/test gap")
        assert (column(errors, "seeds", "no dropout"), column(errors, "failed", "no dropout")) == ("8 of 10", "2 of 10")
        assert float(column(errors, "test top-1, %", "no dropout")) < 25
        captions = [card.picture.caption for card in cards_of(report) if card.picture]
        assert any("2 of 10 trainings with the change and 0 of 10 without it" in one for one in captions)
        assert "no dropout cannot be judged, as trainings failed (8 of 10 trained" in words_of(report)
        (curves,) = [one for one in report.pictures if one.name == "curves"]
        assert "Not drawn, as they did not train: 2 of 10 of no dropout." in curves.caption
        line = "no dropout, one out: trained 8 of 10 with the change [44%, 97%], 10 of 10 without it [69%, 100%]"
        assert line in terminal_lines(Findings(study=study, results=results))
        pages.append([report.answer, *(table_of(report, name) for name in ("Results", "Effects")), share])
    assert pages[0] == pages[1]


@pytest.mark.usefixtures("sketches")
def test_a_page_that_is_mailed_names_records_and_leads_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "study"
    stored(folder)
    study, found, _ = store.read(folder)
    html, markdown = write(compose(Findings(study=study, results=found, folder=folder)), tmp_path / "reports")
    assert re.findall(r'href="([^"#][^"]*)"', html.read_text(encoding="utf-8")) == []
    assert re.findall(r"\]\(([^)]*json)\)", markdown.read_text(encoding="utf-8")) == []
    assert all(one.trial.key in html.read_text(encoding="utf-8") for one in found)
