"""What a report of a study file says, and what it does not: no word of papers, of images, or of units it has not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ablations.analysis.obstacles import GATE, INACTIVE, PAIRS_MISSING, obstacle
from ablations.analysis.verdicts import Findings
from ablations.core.load import REPEAT
from ablations.core.result import ERROR
from ablations.core.trial import Trial
from ablations.reporting import compose, exports, pages
from ablations.reporting.document import Table
from ablations.reporting.sections.outcomes import cost
from ablations.reporting.terminal import terminal_lines
from ablations.reporting.trust import trust_line
from ablations.subjects.own.trace import trace_of
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


@pytest.mark.parametrize("metric", ["timesteps_to_goal", "train_time"])
def test_a_change_of_a_time_or_of_what_sounds_like_one_is_judged(tmp_path: Path, metric: str) -> None:
    text = f"""
subject = Subject(
    reference={{"cache": True, "on": True}},
    components={{"cache": False, "on": False}},
    metrics={{"{metric}": "lower", "accuracy": "higher"}},
    claims=[Claim(change="cache", hurts="{metric}", by=1), Claim(change="on", hurts="{metric}", by=1)],
)
"""

    def slower(trial: Trial) -> dict[str, float]:
        noise = trial.seed % 3 if trial.config["config"]["cache"] else 30 + trial.seed % 4
        return {metric: 50.0 + noise + trial.config.get("salt", 0) * (trial.seed % 2), "accuracy": 0.9}

    found = made_up.findings(tmp_path / f"made_up_{metric}.py", text, slower, seeds=10)
    traced = [
        replace(one, trace=trace_of([one.metrics]), extras={REPEAT: trace_of([one.metrics])}) for one in found.results
    ]
    found = Findings(study=found.study, results=traced)
    verdicts = {one.claim.component: one for one in found.verdicts}
    assert verdicts["cache"].reason != INACTIVE and verdicts["on"].reason in (INACTIVE, GATE)
    (effect,) = [one for one in found.effects if one.component == "cache"]
    assert obstacle(found, verdicts["cache"].claim, effect) == ("", "")
    (unread,) = [one for one in found.effects if one.component == "on"]
    assert obstacle(found, verdicts["on"].claim, unread)[0] == INACTIVE


def test_trials_that_end_in_an_error_are_told_beside_the_trust_and_the_verdict(tmp_path: Path) -> None:
    found = made_up.findings(
        tmp_path / "made_up_error.py", TEXT, lambda trial: {"score": 1 + trial.seed / 9, "loss": 1.0}, seeds=5
    )
    lost = [one for one in found.results if one.trial.variant.label == "-on" and one.trial.seed in (1, 3)]
    error = "Traceback\nLinAlgError: 3-th leading minor"
    results = [replace(one, status=ERROR, metrics={}, error=error) if one in lost else one for one in found.results]
    found = Findings(study=found.study, results=results)
    said = "2 trials ended in an error (no on, seed 1: LinAlgError: 3-th leading minor)"
    assert said in trust_line(found)
    (verdict,) = [one for one in found.verdicts if one.claim.component == "on"]
    (effect,) = [one for one in found.effects if one.component == "on"]
    reason, words = obstacle(found, verdict.claim, effect)
    assert reason == PAIRS_MISSING
    assert words == "2 of 5 pairs are missing, as 2 trials ended in an error (LinAlgError: 3-th leading minor)"


def test_the_first_trials_that_also_start_the_workers_do_not_make_their_variant_dear(tmp_path: Path) -> None:
    found = made_up.findings(tmp_path / "study.py", TEXT, outcome)
    took = [
        replace(one, seconds=600.0 if one.trial.variant.label == "reference" and one.trial.seed == 0 else 60.0)
        for one in found.results
    ]
    (table,) = [one for one in cost(replace(found, results=took)).blocks if isinstance(one, Table)]
    assert {row[1] for row in table.rows} == {"60 s"} and "medians" in table.caption


def test_a_claim_on_every_change_says_what_each_changes_and_its_name_stays(tmp_path: Path) -> None:
    text = """
subject = Subject(
    reference={"model": {"gamma": 0.1}, "scale": True, "flip": False, "norm": "batch"},
    components={
        "model.gamma": [0.01, 1.0],
        "scale": False,
        "flip": True,
        "norm": Component(["group", "none"], labels={"group": "norm by groups"}),
    },
    metrics={"accuracy": "higher"},
    claims=Every(hurts="accuracy", by=0.5),
)
"""
    path = tmp_path / "made_up_every.py"
    found = made_up.findings(path, text, flat)
    said = {one.name: one.statement for one in found.study.claims}
    assert said == {
        "model.gamma_0.01_accuracy": "model gamma 0.01 instead of 0.1: the accuracy is worse",
        "model.gamma_1.0_accuracy": "model gamma 1.0 instead of 0.1: the accuracy is worse",
        "scale_off_accuracy": "scale earns its place: without it the accuracy is worse",
        "flip_on_accuracy": "with flip: the accuracy is worse",
        "norm_group_accuracy": "norm by groups: the accuracy is worse",
        "norm_off_accuracy": "norm earns its place: without it the accuracy is worse",
    }


def flat(trial: Trial) -> dict[str, float]:
    return {"accuracy": 50.0 + trial.seed}
