"""What a report of a study file says, and what it does not: no word of papers, of images, or of units it has not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ablations.core.trial import Trial
from ablations.reporting import compose, exports, pages
from ablations.reporting.terminal import terminal_lines
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"width": 4, "on": True},
    components={"width": [2, 8], "on": False},
    metrics={"score": "higher", "loss": "lower"},
    claims=[Claim(change="on", hurts="score", by=0.01), Claim(change="width=8", same="loss", by=0.5)],
    sabotage={"width": -90},
)
"""
FOREIGN = (
    "faithful",
    "proxy",
    "paper",
    "linear classifier",
    "image",
    "epoch",
    "published |",
    "multiply-adds",
    "overfit",
)


def outcome(trial: Trial) -> dict[str, float]:
    values = trial.config["config"]
    wobble = ((trial.seed * 7 + values["width"] * 3 + 5 * values["on"] + trial.config.get("salt", 0)) % 11) / 5000
    return {"score": 0.9 - 0.03 * (not values["on"]) + (values["width"] - 4) / 100 + wobble, "loss": 1.0 + 7 * wobble}


@pytest.mark.usefixtures("sketches")
@pytest.mark.parametrize("grid", ["one_out", "full", "one_in", "pairs"])
def test_a_report_of_a_study_file_without_units_reads_as_one(tmp_path: Path, grid: str) -> None:
    words = () if grid == "one_out" else ("width=2", "on")
    found = made_up.findings(tmp_path / f"made_up_{grid}.py", TEXT, outcome, seeds=4, grid=grid, words=words)
    pages.write(compose.compose(found), tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    said = text.partition("<h2>Provenance")[0]
    assert [word for word in FOREIGN if re.search(rf"\b{re.escape(word)}", said, flags=re.IGNORECASE)] == []
    prose = [line for line in said.splitlines() if not line.startswith(("|", "!", "<"))]
    assert [line for line in prose if re.search(r"\w  +\w| [,.;](\s|$)|\bin ,|\(\)|\bnan\b|\bNone\b", line)] == []
    assert "fingerprint" not in text
    named = re.findall(r"\b(?:[Uu]nder|[Ss]ee) ([A-Z][a-z]+)", said)
    assert named and set(named) <= {heading.split()[0] for heading in re.findall("<h2>(.*?)</h2>", text)}


def test_verdicts_of_a_study_file_are_to_no_paper_faithful(tmp_path: Path) -> None:
    found = made_up.findings(tmp_path / "made_up_scope.py", TEXT, outcome, seeds=12)
    assert [one.label for one in found.verdicts] == ["reproduced", "reproduced"]
    assert [one.scope for one in found.verdicts] == ["", ""]
    assert "faithful" not in terminal_lines(found) + exports._verdicts_latex(found)


def test_a_claim_that_a_study_file_says_it_tests_by_proxy_is_judged_as_one(tmp_path: Path) -> None:
    text = TEXT.replace("by=0.01)", 'by=0.01, proxy="small pictures for large ones")')
    found = made_up.findings(tmp_path / "made_up_proxy.py", text, outcome, seeds=12)
    assert [one.scope for one in found.verdicts] == ["proxy", ""]
    assert found.verdicts[0].label == "same direction at this scale [proxy]"
    pages.write(compose.compose(found), tmp_path / "report")
    assert "small pictures for large ones" in (tmp_path / "report" / "report.md").read_text()


def test_a_study_file_without_claims_says_that_none_was_declared(tmp_path: Path) -> None:
    text = re.sub(r"claims=\[.*\],\n", "", TEXT)
    found = made_up.findings(tmp_path / "made_up_none.py", text, outcome, seeds=2)
    assert compose.compose(found).answer.trust.endswith("; no claim declared")


def test_a_component_may_be_called_as_a_column_of_the_table(tmp_path: Path) -> None:
    text = """
subject = Subject(
    reference={"seed": 4, "variant": True, "data": 1, "seconds": 2},
    components={"seed": 8, "variant": False, "data": 3, "seconds": 5},
    metrics={"score": "higher"},
)
"""

    def score(trial: Trial) -> dict[str, float]:
        config = trial.config["config"]
        return {"score": 10.0 - (config["seed"] == 8) + trial.seed + (int(trial.key, 16) % 7) / 100}

    found = made_up.findings(tmp_path / "made_up_columns.py", text, score, seeds=4)
    table = found.table
    assert set(table["seed"]) == {0, 1, 2, 3}
    assert set(table["component seed"]) == {"8", "reference"}
    (effect,) = [one for one in found.effects if one.component == "seed"]
    assert effect.estimate == pytest.approx(-1, abs=0.1) and effect.n == 4
