"""What the README and the pages beside the code show is what there is: commands are understood, options complete."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
import tyro

from ablations import show
from ablations.analysis import tables
from ablations.analysis.effects import effects
from ablations.analysis.rule import CONTRADICTED, INCONCLUSIVE, NOT_TESTED, REPRODUCED
from ablations.analysis.verdicts import Findings
from ablations.cli.options import check, options_of, subject_among, with_subject
from ablations.records import store

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {path: path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "ablations").rglob("README.md"))]}
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
    study, results, problems = store.read(ROOT / "results" / "reference" / "cifar10-six")
    assert (len(results), problems) == (90, [])
    section = README.partition("## What comes with the repository")[2].partition("\n## ")[0]
    shown = [[cell.strip() for cell in line.split("|")[2:4]] for line in section.splitlines() if line.startswith("| ")]
    found = effects(study, tables.table(study, results), "test_top1_error_percent")
    assert shown[1:] == [[_signed(e.estimate), f"[{_signed(e.low)}, {_signed(e.high)}]"] for e in found]


def test_the_verdicts_on_the_reference_study_are_those_of_its_records() -> None:
    study, results, _ = store.read(ROOT / "results" / "reference" / "cifar10-six")
    counts = Counter(verdict.call for verdict in Findings(study=study, results=results).verdicts)
    assert counts == {REPRODUCED: 2, CONTRADICTED: 3, INCONCLUSIVE: 4, NOT_TESTED: 1}
    text = re.sub(r" \(.*?\)", "", " ".join(README.split()))
    assert "ten claims, two are reproduced, three are contradicted, four are inconclusive and one is not tested" in text


def _signed(number: float) -> str:
    return "0.0" if abs(number) < 0.05 else f"{number:+.1f}"
