"""What a reader is told first, in every state that a study can be in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ablations.analysis.ranking import BETTER, NEGLIGIBLE, UNDECIDED, WORSE, ranked
from ablations.analysis.rule import REPRODUCED
from ablations.analysis.verdicts import Findings
from ablations.core.trial import Trial
from ablations.planning.declare import declare
from ablations.records import store
from ablations.reporting import wording
from ablations.reporting.answer import answer
from ablations.reporting.compose import compose
from ablations.reporting.document import Table
from tests import synthetic
from tests.making import with_setting
from tests.own import made_up

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
HURTS, HELPS, SAME = ("-lrn", 4.0), ("-dropout", -3.0), ("pooling=non_overlapping", 0.0)


def made(
    *shifts: tuple[str, float], seeds: int = 6, base: float = 20.0, claims: bool = True, controls: float = 20.0
) -> Findings:
    """A study of LRN, dropout and pooling: errors around `base`, variants shifted; the sabotage by `controls`."""
    study, trials = synthetic.plan("one_out", ["lrn", "dropout", "pooling"], seeds=seeds)
    study = declare(with_setting(study, guessing=90.0, baseline=61.0), None, records=0, at="2026-11-23T10:00:00+00:00")
    study = study if claims else replace(study, claims=())
    moved = {**dict(shifts), "sabotage=half": controls}

    def error(trial: Trial) -> float:
        wobble = 0.2 * ((int(trial.key, 16) % 11) / 10 - 0.5)
        return base + wobble + moved.get(trial.variant.label, 0.0)

    found = [synthetic.done(trial, error(trial)) for trial in trials]
    active = [replace(one, activity={**one.activity, "lrn": 0.3}) if one.activity else one for one in found]
    return Findings(study=study, results=active)


def test_it_says_what_clearly_hurts_and_helps_by_how_much_and_what_is_undecided() -> None:
    said = answer(made(HURTS, HELPS, SAME, claims=False))
    assert re.match(
        r"At this budget \(20(\.\d)?% test top-1 error\) no LRN hurt \([34]\.\d+ points\); no dropout helped "
        r"\([23]\.\d+ points\); non-overlapping pooling is undecided \(its interval reaches up to 0\.\d+ points from "
        r"no effect\)\.$",
        " ".join(said.sentences),
    )
    assert said.judged and said.commands == ()
    assert re.match(
        r"6 seeds; placebo \(other random draws\) quiet; sabotage \(half the labels shuffled\) seen; "
        r"reference 20(\.\d)?% error, (linear )?baseline 61%",
        said.trust,
    )


@pytest.mark.usefixtures("sketches")
def test_a_side_is_taken_by_holms_p_and_not_by_each_interval_alone() -> None:
    evidence = made(HURTS, HELPS, SAME)
    sides = {one.effect.component: one.side for one in ranked(evidence)}
    assert sides == {"lrn": WORSE, "pooling": NEGLIGIBLE, "dropout": BETTER}
    unclaimed = {one.effect.component: one.side for one in ranked(made(HURTS, HELPS, SAME, claims=False))}
    assert unclaimed == {**sides, "pooling": UNDECIDED}
    assert [one.effect.component for one in ranked(evidence)] == ["lrn", "pooling", "dropout"]  # most harm first
    margins = {one.effect.component: one.margin for one in ranked(evidence)}
    assert margins["lrn"] == 0.7 and margins["pooling"] == 0.2
    band = "a pale band is what the claim on a change calls too small to matter"
    assert band in compose(evidence).lead[0].caption  # type: ignore[union-attr]
    assert band not in compose(made(HURTS, HELPS, SAME, claims=False)).lead[0].caption  # type: ignore[union-attr]


@pytest.mark.usefixtures("sketches")
def test_a_change_whose_verdicts_all_find_no_effect_of_interest_is_not_called_undecided() -> None:
    evidence = made(("-lrn", 0.0), HELPS, SAME)
    assert {one.words for one in evidence.verdicts if one.claim.component == "lrn"} == {"no difference that matters"}
    rows = {one.effect.component: one for one in ranked(evidence)}
    assert (rows["lrn"].side, wording.reads_as(rows["lrn"])) == (NEGLIGIBLE, "no difference that matters")
    said = answer(evidence).sentences[0]
    assert said.endswith(
        "; 2 changes make no difference that matters: no LRN (less than 0.7 points) and "
        "non-overlapping pooling (less than 0.2 points)."
    )
    page = compose(evidence)
    assert "Colours: blue clearly better and black no difference that matters; a pale" in page.lead[0].caption  # type: ignore[union-attr]
    assert "black" not in compose(made(HURTS, HELPS, SAME, claims=False)).lead[0].caption  # type: ignore[union-attr]


def test_nothing_decided_is_said_in_a_sentence() -> None:
    said = " ".join(answer(made(claims=False)).sentences)
    assert "none of 3 changes is clearly better or worse (their intervals reach up to 0." in said


@pytest.mark.parametrize(
    ("study", "cause", "command"),
    [
        (lambda: made(base=85.0, controls=2.0), "the reference did not learn (8", "--epochs 48"),
        (lambda: made(controls=0.0), "the sabotage went unseen (", "--seeds 12"),
        (lambda: made(seeds=1), "one seed cannot tell an effect from chance", "--seeds 3"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("sketches")
def test_a_failed_gate_is_the_answer_with_what_to_run_next(
    study: Callable[[], Findings], cause: str, command: str
) -> None:
    evidence = study()
    said = answer(evidence)
    assert said.sentences[0].startswith(f"Not judged: {cause}") and not said.judged
    assert len(said.sentences) == 1 and command in said.commands[0][1]
    report = compose(evidence)
    assert report.lead == () and report.sections[0].title == "Gates" and report.sections[0].open
    assert not any(section.open for section in report.sections[1:])


@pytest.mark.usefixtures("sketches")
def test_a_placebo_that_is_not_quiet_is_the_answer_with_no_command_as_more_seeds_would_not_silence_it() -> None:
    said = answer(made(("placebo=salted", 3.0)))
    assert said.sentences[0].startswith("Not judged: the placebo, which changes nothing but random")
    assert said.sentences[1].startswith("Find out why other random draws alone") and not said.commands


def test_verdicts_are_counted_as_they_are_called_at_this_scale() -> None:
    evidence = made(HURTS)
    (said,) = [one for one in answer(evidence).sentences if "published claims" in one]
    for verdict in evidence.verdicts:
        assert f"{verdict.words} (" in said
    assert "reproduced" not in said and "contradicted" not in said  # all of them are proxies


def test_an_unstable_change_has_no_size_and_says_how_often_it_trains() -> None:
    evidence = made(HURTS, claims=False)
    results = [
        synthetic.diverged(one) if one.trial.variant.label == "-dropout" and one.trial.seed < 2 else one
        for one in evidence.results
    ]
    said = answer(Findings(study=evidence.study, results=results))
    assert "no dropout cannot be judged, as trainings failed (4 of 6 trained" in " ".join(said.sentences)
    assert "2 of 30 trainings failed, the sabotage aside" in said.trust


def test_two_equal_pairs_are_clear_of_nothing() -> None:
    evidence = made(seeds=2, claims=False)
    results = [
        synthetic.done(one.trial, {"reference": 20.0, "-lrn": 24.0}[one.trial.variant.label] + one.trial.seed)
        if one.trial.variant.label in ("reference", "-lrn")
        else one
        for one in evidence.results
    ]
    found = Findings(study=evidence.study, results=results)
    (row,) = [one for one in ranked(found) if one.effect.component == "lrn"]
    assert row.effect.estimate == 4.0 and row.effect.low != row.effect.low and row.side == UNDECIDED
    assert wording.reads_as(row) == "too few distinct pairs"


RATIO = """
subject = Subject(
    reference={"width": 4},
    components={"width": [8]},
    metrics={"time": Metric("lower", ratio=True), "score": "higher"},
    sabotage={"width": 90},
)
"""


def test_a_metric_of_ratios_is_told_in_times_and_a_second_metric_has_its_table(tmp_path: Path) -> None:
    def outcome(trial: Trial) -> dict[str, float]:
        wobble = 1 + ((trial.seed * 7 + trial.config["config"]["width"] + trial.config.get("salt", 0)) % 5) / 100
        width = trial.config["config"]["width"]
        return {"time": width * wobble, "score": float(width) + trial.seed % 2 + trial.config.get("salt", 0) / 9}

    found = made_up.findings(tmp_path / "made_up_answer.py", RATIO, outcome, seeds=6)
    (first, *_) = answer(found).sentences
    assert re.match(r"From a reference with [\d.]+ time, width 8 instead of 4 hurt \((1\.9|2\.0)\d times\)\.$", first)
    (section,) = [one for one in compose(found).sections if one.title == "Effects on other metrics"]
    (table,) = [one for one in section.blocks if isinstance(one, Table)]
    assert table.caption == "Effects on score (higher is better)." and len(table.rows) == 1


MANY = """
subject = Subject(
    reference={**{name: True for name in "abcdefghijkl"}, "width": 4.0, "depth": 4},
    components={**{name: False for name in "abcdefghijkl"}, "width": [1.0, 2.0, 8.0], "depth": [2, 3]},
    metrics={"score": "higher"},
    claims=Claim(change="a", hurts="score", by=0.5),
    sabotage={"width": 90.0},
)
"""


def test_many_changes_with_doses_and_claims_take_three_sentences_that_name_the_five_largest_of_each(
    tmp_path: Path,
) -> None:
    def outcome(trial: Trial) -> dict[str, float]:
        config, wobble = trial.config["config"], ((int(trial.key, 16) % 11) / 10 - 0.5) / 5
        harm = sum(3.0 + "abcdefg".index(name) for name in "abcdefg" if not config[name])
        help_ = sum(4.0 for name in "hi" if not config[name])
        return {"score": 50.0 - harm + help_ + 1.5 * config["width"] * (config["width"] < 9) + wobble}

    found = made_up.findings(tmp_path / "made_up_many.py", MANY, outcome, seeds=8)
    effects, doses, claims = answer(found).sentences
    hurt, helped, undecided = effects.split("; ")
    assert re.search(r"9 changes hurt: no g \((8.9|9)\S*, no f \S+, no e \S+, no d \S+, no c \S+ and 4 more$", hurt)
    assert re.match(r"3 changes helped: width 8.0 instead of 4.0 \((5.9|6)\S*, no [hi] \S+ and no [hi] \S+$", helped)
    assert re.match(r"5 changes are undecided: .*depth 2 instead of 4.* \(their intervals reach", undecided)
    assert re.match(r"The score rises with width \(\+1\.\d+ for each 1 more\) and shows no clear trend", doses)
    assert claims.startswith("The claim: ")


def test_a_reference_alone_and_a_study_without_results_have_their_answers() -> None:
    study, trials = synthetic.plan("reference", seeds=2)
    results = [synthetic.done(one, 20.0 + one.seed) for one in trials]
    said = answer(Findings(study=study, results=results))
    assert said.sentences[0].startswith("The test top-1 error of the reference is 20.50% on average over 2 seeds.")
    empty = answer(replace(made(), results=[]))
    assert empty.sentences == ("Not judged: no trial has been run yet. No effect of this study should be believed.",)
    assert empty.trust and empty.commands[0][0] == "Finish it"


def test_a_reproduced_claim_of_sameness_is_no_difference_that_matters() -> None:
    study, results, problems = store.read(REFERENCE / "tables-boosting")
    evidence = Findings(study=study, results=results, problems=problems, folder=REFERENCE / "tables-boosting")
    assert {one.claim.component: one.call for one in evidence.verdicts}["scale"] == REPRODUCED
    row = next(one for one in ranked(evidence) if one.effect.component == "scale")
    assert (row.side, row.margin) == (NEGLIGIBLE, 1.0)
    assert (
        "no scaling of the inputs makes no difference that matters (less than 1 point)" in answer(evidence).sentences[0]
    )


SMALL = """
subject = Subject(
    reference={"a": True, "b": True, "harm": 0},
    components={"a": False, "b": False},
    metrics={"score": "higher", "loss": "lower"},
    claims=[
        Claim(change="a", DIRECTION="score", by=2.0),
        Claim(change="b", same="score", by=2.0),
        Claim(OTHER, by=2.0),
    ],
    sabotage={"harm": 1},
)
"""


def small(path: Path, direction: str, other: str = 'change="b", same="loss"', harm: float = 0.4) -> Findings:
    """A study in which the change `a` clearly lowers the score by `harm`, and `b` does nothing."""

    def outcome(trial: Trial) -> dict[str, float]:
        config, wobble = trial.config["config"], ((int(trial.key, 16) % 11) / 10 - 0.5) / 5
        return {"score": 50.0 - 20 * config["harm"] - harm * (not config["a"]) + wobble, "loss": 1.0 + wobble}

    text = SMALL.replace("DIRECTION", direction).replace("OTHER", other)
    return made_up.findings(path / "made_up_small.py", text, outcome, seeds=10)


@pytest.mark.parametrize("direction", ["hurts", "helps", "same"])
def test_an_effect_too_small_to_matter_reads_so_whichever_direction_is_claimed(tmp_path: Path, direction: str) -> None:
    found = small(tmp_path, direction)
    row = next(one for one in ranked(found) if one.effect.component == "a")
    assert row.effect.p < 1e-4 and -0.6 < row.effect.low < row.effect.high < -0.2
    assert (row.side, wording.reads_as(row)) == (NEGLIGIBLE, "no difference that matters")
    assert "2 changes make no difference that matters" in answer(found).sentences[0]


@pytest.mark.parametrize("direction", ["hurts", "helps"])
def test_an_effect_that_may_matter_is_told_whichever_direction_is_claimed(tmp_path: Path, direction: str) -> None:
    found = small(tmp_path, direction, harm=2.0)
    row = next(one for one in ranked(found) if one.effect.component == "a")
    assert row.effect.low < -2.0 < row.effect.high and row.side == WORSE


@pytest.mark.parametrize(("other", "count"), [('change="b", same="loss"', 3), ('change="a", helps="score"', 2)])
def test_comparisons_are_counted_in_the_answer_as_in_the_rule(tmp_path: Path, other: str, count: int) -> None:
    found = small(tmp_path, "hurts", other)
    assert {one.comparisons for one in found.verdicts} == {count}
    on = " on 2 comparisons" if count == 2 else ""  # 3 claims on 3 comparisons need no second number
    assert answer(found).sentences[-1].startswith(f"Of 3 claims{on}: ")
