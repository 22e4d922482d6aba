"""What the README and the pages beside the code show is what there is: commands are understood, options complete."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
import tyro
from scipy import stats

from ablations import show
from ablations.analysis.rule import DIRECTION_ONLY, INCONCLUSIVE, NO_EFFECT, NOT_TESTED, REPRODUCED
from ablations.analysis.verdicts import Findings
from ablations.cli.options import check, options_of, subject_among, with_subject
from ablations.core.load import FIRST
from ablations.core.text import MINUS
from ablations.records import store
from ablations.reporting import claims_table

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "results" / "reference"
README = (ROOT / "README.md").read_text()
PAGES = {path: path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "ablations").rglob("README.md"))]}
EXAMPLES = [path for path in PAGES if path.parents[1].name == "examples"]
OPTIONS = PAGES[ROOT / "ablations" / "cli" / "README.md"]
COMMANDS = [
    line.partition("#")[0].strip()
    for page in PAGES.values()
    for line in page.splitlines()
    if line.startswith(("    python -m ", "    .venv/bin/python -m "))
]


def arguments(module: str) -> list[list[str]]:
    """The arguments of every shown call of `module`."""
    words = [shlex.split(command) for command in COMMANDS if f"-m {module}" in command]
    return [line[line.index(module) + 1 :] for line in words]


@pytest.mark.parametrize("words", arguments("ablations.run"), ids=" ".join)
def test_a_shown_run_is_understood(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.py").write_text(README.partition("```python\n")[2].partition("```")[0])
    (tmp_path / "study.toml").write_text(README.partition("```toml\n")[2].partition("```")[0])
    (tmp_path / "train.py").touch()
    (tmp_path / "ablations").symlink_to(ROOT / "ablations")  # whose examples are run from the root
    words = with_subject(words)
    check(tyro.cli(options_of(subject_among(words)), args=words, config=(tyro.conf.FlagCreatePairsOff,)))


@pytest.mark.parametrize("words", arguments("ablations.show"), ids=" ".join)
def test_a_shown_listing_lists_something(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert show.main(words) == 0
    assert capsys.readouterr().out


def test_the_table_of_options_holds_every_option_and_no_other() -> None:
    rows = [line for line in OPTIONS.splitlines() if line.startswith("| `--")]
    listed = {option for row in rows for option in re.findall(r"`--([a-z-]+)`", row.split("|")[1])}
    assert listed == {field.name.replace("_", "-") for field in dataclasses.fields(options_of())} - {
        "left-open"  # set by the command line itself
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_place_that_is_linked_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", PAGES[page])
    for path, heading in links:
        if "://" not in path:
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), path
            assert not heading or heading in headings(target), heading


def headings(page: Path) -> list[str]:
    """The names under which the headings of a page are linked."""
    found = re.findall(r"^#+ (.*)", page.read_text(), flags=re.MULTILINE)
    return [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in found]


def test_the_pitch_is_on_the_first_screen() -> None:
    assert README.splitlines().index("## Ablate your own") <= 40


def test_the_effects_of_the_reference_study_are_those_of_its_records() -> None:
    study, results, problems = store.read(REFERENCE / "cifar10-factorial")
    assert (len(results), problems) == (190, [])
    evidence = Findings(study=study, results=results)
    section = README.partition("### The six headline components of AlexNet")[2].partition("\n### ")[0]
    shown = [[cell.strip() for cell in line.split("|")[2:4]] for line in section.splitlines() if line.startswith("| ")]
    order = [
        "activation",
        "dropout",
        "pooling",
        "pca_jitter",
        "lrn",
        "grouping",
        "placebo",
        "mild_sabotage",
        "sabotage",
    ]
    found = {effect.component: effect for effect in evidence.effects}
    assert sorted(found) == sorted(order)
    written = [(found[name].estimate, found[name].low, found[name].high) for name in order]
    assert shown[1:] == [[f"{mean:+.2f}", f"[{low:+.2f}, {high:+.2f}]"] for mean, low, high in written]
    text = " ".join(section.split())
    assert f"The reference has {evidence.mean(evidence.metric, 'reference'):.1f}% test error" in text
    assert f"{sum(result.seconds for result in results) / 3600:.1f} hours of training" in text
    five = evidence_of("cifar10-factorial").averages["reference"].ensembles[3]
    assert (five.size, f"{-five.gain:.1f}") == (5, "6.0")
    assert "Five networks of the reference averaged have 6.0 points less error than one" in text


def test_the_verdicts_on_the_reference_study_are_those_of_its_records() -> None:
    counts = Counter(verdict.call for verdict in evidence_of("cifar10-factorial").verdicts)
    assert counts == {REPRODUCED: 1, DIRECTION_ONLY: 3, NO_EFFECT: 2, INCONCLUSIVE: 1, NOT_TESTED: 1}
    text = " ".join(README.split())
    assert "Of eight claims on these components one is reproduced, three are reproduced in direction" in text


def test_what_an_underfitting_reference_says_is_what_its_records_say() -> None:
    evidence = evidence_of("cifar10-six")
    found = {effect.component: effect.estimate for effect in evidence.effects}
    removed = [found[name] for name in ("dropout", "activation", "pooling")]
    assert [f"{-effect:.1f}" for effect in removed] == ["14.1", "9.4", "3.5"]
    assert f"{evidence.mean(evidence.metric, 'reference'):.1f}" == "62.5"
    words = "*lowers* the error by 14.1 points, tanh by 9.4 and pooling without overlap by 3.5"
    assert words in " ".join(README.split())


def test_the_table_of_published_claims_is_what_the_reference_studies_found() -> None:
    named = [path.parent.name for path in sorted(REFERENCE.glob("*/study.json"))]
    about = [one for one in map(evidence_of, named) if one.study.subject == FIRST]
    section = README.partition("### All published claims")[2].partition("\n### ")[0]
    shown = [row_of(line) for line in section.splitlines() if line.startswith("| ")][1:]
    assert shown == [[cell.replace(MINUS, "-") for cell in row] for row in claims_table.best_rows(FIRST, about)]
    judged = sum(not row[3].startswith(NOT_TESTED) for row in shown)
    said = " ".join(section.split())
    assert f"{judged} of {len(shown)} published claims" in said
    others = evidence_of("cifar10-others")
    assert f"{others.mean(others.metric, 'reference'):.1f}% test error" in said
    found = {one.label: f"{abs(one.estimate):.1f}" for one in others.effects}
    for label, words in {
        "width=half": "Half the width costs {} points",
        "-crop_flip": "no crops and flips {},",
        "bias_init=one": "biases of one {};",
        "ten_view=ten": "ten views gain {},",
        "depth=no_conv4": "without conv4 is {} better",
    }.items():
        assert words.format(found[label]) in said


def row_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| \n").split(" | ")]


def evidence_of(name: str) -> Findings:
    study, results, _ = store.read(REFERENCE / name)
    return Findings(study=study, results=results, folder=REFERENCE / name)


def test_how_often_the_small_reference_trains_is_what_the_records_say() -> None:
    evidence = evidence_of("cifar10-factorial")
    page = (ROOT / "models" / "README.md").read_text()
    rows = [line.split("|")[2:5] for line in page.partition("How often does the new recipe fail")[2].splitlines()[5:12]]
    groups = [[one for one in evidence.results if one.trial.variant.label in ("reference", "placebo=salted")]]
    for name in ("activation", "lrn", "pooling", "dropout", "pca_jitter", "grouping"):
        changed = [one for one in evidence.results if name in dict(one.trial.variant.departures)]
        groups.append(changed)
    for row, group in zip(rows, groups, strict=True):
        failed = sum(one.trial.key in evidence.failed for one in group)
        least = 100 * stats.binomtest(len(group) - failed, len(group)).proportion_ci(method="exact").low
        assert [cell.strip() for cell in row] == [str(failed), str(len(group)), f"{least:.1f}"]
    six = evidence_of("cifar10-six").values("test_top1_error_percent", "-lrn")
    assert (six > 89.9).sum() == 1 and len(six) == 10


def intervals(text: str) -> list[tuple[str, str]]:
    return re.findall(r"\[([-+]?[\d.]+), ([-+]?[\d.]+)\]", text.replace(MINUS, "-").replace("\\", ""))


def agree(one: str, other: str) -> bool:
    """Whether two numbers may be the same one, each rounded to the digits that it has."""
    rounding = sum(0.5 * 10.0 ** -len(number.partition(".")[2]) for number in (one, other))
    return abs(float(one) - float(other)) <= rounding + 1e-9


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.parent.name)
def test_the_intervals_that_an_example_quotes_are_those_of_its_reports(page: Path) -> None:
    text = page.read_text()
    reports = {ROOT / found for found in re.findall(r"reports/reference/[\w-]+/report\.md", text)}
    assert reports, "it names no report"
    found = [pair for report in reports for pair in intervals(report.read_text())]
    quoted = intervals(text)
    assert len(quoted) >= 6
    for low, high in quoted:
        assert any(agree(low, one) and agree(high, other) for one, other in found), (low, high)
