"""Changes with the same effect in every pair: flipping signs tells their direction, and their size has no interval.

Two equal pairs say nothing.  By flipping signs, six are the fewest of which p, 2 / 2^n, is below .05.
"""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from ablations.analysis.gates import QUIET, SEEN, study_gates
from ablations.analysis.ranking import UNDECIDED, WORSE, ranked
from ablations.analysis.verdicts import Findings
from ablations.core.claim import MAIN
from ablations.core.text import MINUS
from ablations.core.trial import Trial
from ablations.reporting import answer, exports, wording
from ablations.reporting.document import Card, Table
from ablations.reporting.next_commands import next_commands
from ablations.reporting.sections import doses, results
from ablations.reporting.sections.cards import section as cards
from ablations.reporting.sections.comparisons import how_often
from ablations.reporting.sections.remedies import changes_it
from ablations.reporting.sections.verdicts import ours
from ablations.reporting.side_by_side import compose, differences
from ablations.tracking.answers import Answers
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"slope": 2.0, "width": 4, "noise": 1.0},
    components={"slope": 1.0, "width": [8], "noise": 0.0},
    metrics={"score": Metric("higher", unit="points", smallest_effect=0.5, chance=0.0)},
    claims=[Claim(change="slope", hurts="score", by=0.5), Claim(change="width", hurts="score", by=0.5)],
    sabotage={"slope": -5.0},
)
"""
DOSES = """
subject = Subject(
    reference={"hidden": 64},
    components={"hidden": Component([16, 256], scale="log", unit="units")},
    metrics={"score": Metric("higher", unit="points", chance=0.0)},
)
"""


def score(trial: Trial, slope: float = 5.0) -> dict[str, float]:
    """Each seed has an ease of its own, which all its trials share; the width does nothing."""
    values: dict[str, Any] = trial.config["config"]
    own = (trial.seed * 7919 % 11) * values["noise"] + 3 * bool(trial.config.get("salt")) * (trial.seed % 3 - 1)
    return {"score": 50 + slope * values["slope"] + own}


def with_uneven_harm(trial: Trial) -> dict[str, float]:
    harmed = trial.config["config"]["slope"] == -5.0
    return {"score": score(trial)["score"] - harmed * (trial.seed % 3)}


def found(path: Path, seeds: int, **how: Any) -> Findings:
    return made_up.findings(path / "made_up_constant.py", TEXT, score, seeds=seeds, **how)


def sentences(evidence: Findings) -> str:
    return " ".join(answer.answer(evidence).sentences)


def test_a_change_that_costs_the_same_in_twelve_pairs_hurts(tmp_path: Path) -> None:
    judged = found(tmp_path, 12)
    rows = {one.effect.component: one for one in ranked(judged)}
    assert (rows["slope"].side, rows["slope"].effect.p) == (WORSE, 2 / 4096)
    assert wording.reads_as(rows["slope"]) == "hurts"
    assert rows["width"].side == UNDECIDED and wording.reads_as(rows["width"]) == "no difference in any pair"
    assert "slope 1.0 instead of 2.0 (5.00 points in every pair)" in sentences(judged)
    claimed, idle = judged.verdicts
    assert (claimed.label, idle.label) == (
        "reproduced (direction only, size open)",
        "not tested (too few distinct pairs)",
    )
    assert claimed.p_holm == 2 * 2 / 4096 and claimed.seeds is None
    gate = next(one for one in study_gates(judged) if one.name == SEEN)
    assert gate.passed and gate.found == f"{MINUS}35.00 points in every pair, p <0.001 by flipped signs, n = 12"


@pytest.mark.parametrize(("seeds", "told"), [(2, False), (5, False), (6, True)])
def test_fewer_than_six_equal_pairs_tell_no_direction(tmp_path: Path, seeds: int, told: bool) -> None:
    text, path = TEXT.replace('Claim(change="width", hurts="score", by=0.5)', ""), tmp_path / "made_up_constant.py"
    judged = made_up.findings(path, text, with_uneven_harm, seeds=seeds, words=("slope",))
    (row,) = ranked(judged)
    (verdict,) = judged.verdicts
    assert (row.side == WORSE) is told
    if told:
        assert verdict.label == "reproduced (direction only, size open) [draft]"
        return
    assert wording.reads_as(row) == "too few distinct pairs"
    assert verdict.label.startswith("not tested (too few distinct pairs)")
    assert f"{seeds} are too few to tell a direction by flipping their signs" in verdict.because
    pairs = "both pairs" if seeds == 2 else f"all {seeds} pairs"
    words = f"is not clearly better or worse ({MINUS}5.00 points in {pairs}, too few to tell)."
    assert words in sentences(judged)


def test_the_next_command_asks_for_as_many_pairs_as_flipping_signs_needs(tmp_path: Path) -> None:
    ((what, command),) = next_commands(found(tmp_path, 2))  # the sabotage costs 35 points in both pairs
    assert what == "Train more seeds" and command.endswith("--seeds 6")
    judged = found(tmp_path, 6)
    assert next(one for one in study_gates(judged) if one.name == SEEN).passed


def test_a_card_says_that_all_pairs_are_the_same_and_asks_for_no_number_of_seeds(tmp_path: Path) -> None:
    told = cards(found(tmp_path, 12))
    found_cards = [one for one in told.blocks if isinstance(one, Card)] if told else []
    card = next(one for one in found_cards if one.name.startswith("slope"))
    facts = dict(card.facts)
    assert card.number == f"{MINUS}5.00 points in every pair, n = 12"
    assert "the same in all 12 pairs" in facts["method"]
    assert "seeds would" not in facts["what would change the verdict"]
    assert "finer metric" in facts["what would change the verdict"]


def test_every_table_and_list_says_that_all_pairs_are_equal(tmp_path: Path) -> None:
    def two(trial: Trial) -> dict[str, float]:
        return {**score(trial), "other": 3 * score(trial)["score"]}

    text = TEXT.replace("chance=0.0)}", 'chance=0.0), "other": "higher"}')
    judged = made_up.findings(tmp_path / "made_up_constant.py", text, two, seeds=12)
    (slope,) = [one for one in judged.effects if one.component == "slope"]
    assert results.written(judged, slope) == f"{MINUS}5.00 all pairs equal"  # forest, slide and related studies
    assert ours(judged.verdicts[0]) == f"{MINUS}5.00 points in every pair, n = 12"
    section = results.other_metrics(judged)
    assert section and "all pairs equal" in str(section)
    assert Answers(judged).study_tags()["interval.score.slope.1.0"] == "all pairs equal; n 12"
    (idle,) = [one for one in judged.effects if one.component == "width"]
    assert idle.method == "no difference in any of 12 pairs, so neither an interval nor a p"
    exports.write_latex(judged, tmp_path)
    assert "all pairs equal" in (tmp_path / "effects.tex").read_text()


def test_a_placebo_that_moves_every_pair_by_the_same_is_not_quiet(tmp_path: Path) -> None:
    def moved(trial: Trial) -> dict[str, float]:
        return {
            "score": score(replace(trial, config={**trial.config, "salt": 0}))["score"] + bool(trial.config.get("salt"))
        }

    def placebo(seeds: int) -> bool | None:
        judged = made_up.findings(tmp_path / "made_up_constant.py", TEXT, moved, seeds=seeds)
        return next(one for one in study_gates(judged) if one.name == QUIET).passed

    assert placebo(12) is False
    assert placebo(3) is None  # too few to say that it is quiet, or that it is not


def test_a_main_effect_that_is_the_same_under_every_seed_hurts(tmp_path: Path) -> None:
    judged = found(tmp_path, 8, grid="full", words=("slope", "width"))
    (effect,) = [one for one in judged.effects if (one.component, one.kind) == ("slope", MAIN)]
    assert effect.estimate == pytest.approx(-5.0) and effect.p == 2 / 2**8
    assert effect.method.startswith("the same contrast of 4 variants in all 8 seeds, so no interval")
    assert "slope 1.0 instead of 2.0 hurt (5.00 points in every pair)" in sentences(judged)


def test_how_far_intervals_reach_is_said_of_those_that_there_are(tmp_path: Path) -> None:
    judged = made_up.findings(tmp_path / "made_up_constant.py", TEXT, with_uneven_harm, seeds=5)
    low = {one.effect.component: one.effect.low for one in ranked(judged)}
    assert isnan(low["slope"]) and not isnan(low["noise"])
    assert "(2 without an interval; the other reaches up to" in sentences(judged)


def test_a_change_without_a_difference_in_any_pair_is_not_called_undecided(tmp_path: Path) -> None:
    judged = found(tmp_path, 8)
    width = next(one for one in ranked(judged) if one.effect.component == "width")
    assert wording.reads_as(width) == "no difference in any pair"
    assert "width 8 instead of 4 made no difference in any pair" in sentences(judged)


def test_a_trend_that_is_the_same_under_every_seed_is_told(tmp_path: Path) -> None:
    def rises(trial: Trial) -> dict[str, float]:
        wobble = bool(trial.config.get("salt")) * trial.seed
        return {"score": trial.config["config"]["hidden"].bit_length() + 10 * trial.seed + wobble}

    judged = made_up.findings(tmp_path / "made_up_doses.py", DOSES, rises, seeds=7, words=("hidden=all",))
    section = doses.section(judged)
    assert section and section.blocks[0] == (
        "From 16 to 256 units of hidden the score rises (+1.00 points for each doubling with every one of 7 seeds)."
    )
    assert "The score rises with hidden (+1.00 points for each doubling)." in sentences(judged)
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    assert [row[table.head.index("95% interval")] for row in table.rows] == ["all slopes equal"]


def test_two_studies_that_differ_by_the_same_under_every_seed_differ(tmp_path: Path) -> None:
    one = found(tmp_path, 8)
    two = made_up.findings(tmp_path / "made_up_constant.py", TEXT, lambda trial: score(trial, slope=3.0), seeds=8)
    page = compose(one, replace(two, study=replace(two.study, name="again")))
    assert "1 differs between them at 95%, each taken alone: slope" in str(page)
    assert f"{MINUS}5.00', 'all pairs equal', '8', '{MINUS}3.00', 'all pairs equal', '8', '+2.00', 'all pairs" in str(
        page
    )


def test_equal_pairs_of_two_studies_with_other_seeds_tell_no_difference(tmp_path: Path) -> None:
    def told(slope: float, noisy: float = 0.0) -> Findings:
        def own(trial: Trial) -> dict[str, float]:
            wobble = noisy * trial.seed if trial.config["config"]["width"] == 8 else 0.0
            return {"score": score(trial, slope)["score"] + wobble}

        return made_up.findings(tmp_path / "made_up_constant.py", TEXT, own, seeds=seeds, words=("slope", "width"))

    seeds = 12
    one = told(2.0)
    seeds = 10
    two = told(7.0)
    apart = {item.first.component: item.difference for item in differences(one, two)}
    assert apart["slope"].estimate == pytest.approx(-5.0) and apart["slope"].method == "neither scatters"
    assert not apart["slope"].constant and isnan(apart["slope"].error)
    (said,) = compose(one, two).answer.sentences
    assert said == (
        f"No interval tells whether slope 1.0 instead of 2.0 ({MINUS}5.00) and width 8 instead of 4 (+0.00) would "
        "differ over other seeds: all pairs are equal."
    )
    (said,) = compose(one, told(7.0, noisy=0.1)).answer.sentences  # now one of the two scatters
    assert said.startswith("Of 1 effect that both studies have and that can be compared, 1 differs between them at 95%")
    assert said.endswith(
        f"whether slope 1.0 instead of 2.0 ({MINUS}5.00) would differ over other seeds: all pairs are equal."
    )


def test_more_pairs_are_named_only_where_they_would_tell_a_direction(tmp_path: Path) -> None:
    judged = made_up.findings(tmp_path / "made_up_constant.py", TEXT, with_uneven_harm, seeds=5)
    few = {one.claim.component: changes_it(one) for one in judged.verdicts}
    assert few["slope"].startswith("Pairs that do not all differ by the same, by a finer metric or more evaluation")
    assert "for a direction, more pairs are enough" in few["slope"]
    assert "more pairs" not in few["width"]  # it does nothing in any pair
    assert "more pairs" not in changes_it(found(tmp_path, 12).verdicts[0])  # its direction is told


def test_the_trainings_of_one_variant_are_not_those_of_all_that_a_main_effect_averages(tmp_path: Path) -> None:
    judged = found(tmp_path, 10, grid="full", words=("slope", "width"))
    assert {effect.ended for effect in judged.effects if effect.kind == MAIN} == {(20, 20)}
    (said,) = how_often(judged)
    assert said == (
        "No training has failed. Of one variant 10 of 10 leave room for up to 31% that fail (exact 95% interval)."
    )
