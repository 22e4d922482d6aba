"""Claims of a study file on one change and metric: each is declared and judged under a name of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablations.analysis.declared import post_hoc
from ablations.analysis.reach import out_of_reach
from ablations.analysis.verdicts import Findings
from ablations.core.claim import Claim
from ablations.core.errors import InputError
from ablations.core.load import load
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.planning import claims as planned
from ablations.planning.declare import declare
from ablations.reporting.document import Card
from ablations.reporting.sections.cards import section as cards
from ablations.tracking.answers import Answers
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"slope": 2.0, "width": 4, "bad": 0.0},
    components={"slope": 1.0, "width": 8},
    metrics={"score": Metric("higher", unit="points", chance=0.0), "time": Metric("lower", ratio=True)},
    claims=[CLAIMS],
    sabotage={"bad": 1.0},
)
"""
LESS, MORE = 'Claim(change="slope", hurts="score", by=0.5)', 'Claim(change="slope", hurts="score", by=5)'


def score(trial: Trial) -> dict[str, float]:
    values: dict[str, Any] = trial.config["config"]
    own = int(trial.key, 16) % 97 / 97
    return {"score": 80 - 2 * (values["slope"] == 1.0) - 30 * values["bad"] + own, "time": 1 + own / 9}


def found(path: Path, *claims: str, seeds: int = 5) -> Findings:
    """The findings of a study with these claims; each has a file of its own, as a file's claims are read only once."""
    folder = path / f"{len([*path.iterdir()])}"
    folder.mkdir()
    text = TEXT.replace("CLAIMS", ", ".join(claims))
    return made_up.findings(folder / "made_up_names.py", text, score, seeds=seeds)


def names(study: Study) -> list[str]:
    return [claim.name for claim in study.claims]


def margins(study: Study) -> dict[str, float]:
    return {claim.name: claim.smallest_effect for claim in study.claims}


def declared(judged: Findings, before: Study | None = None, *, records: int = 20) -> Study:
    return declare(judged.study, before, records=records if before else 0, at="2026-11-23T10:00:00+00:00")


def test_two_margins_of_one_change_are_two_claims_and_stay_so_on_the_next_run(tmp_path: Path) -> None:
    judged = found(tmp_path, LESS, MORE)
    first = declared(judged)
    assert margins(first) == {"slope_1.0_score": 0.5, "slope_1.0_score_hurts_by_5": 5.0}
    again = declared(judged, first)
    assert again == first and not post_hoc(again, judged.results)
    assert set(dict(out_of_reach(again))) <= set(names(again))
    tags = Answers(replace(judged, study=again)).study_tags()
    verdicts = {one.claim.name: one.label for one in judged.verdicts}
    assert len(set(verdicts.values())) == 2
    assert {name: tags[f"verdict.{name}"] for name in verdicts} == verdicts


def test_names_tell_direction_and_margin_only_where_they_would_be_alike(tmp_path: Path) -> None:
    same, helps = LESS.replace("hurts", "same"), MORE.replace("hurts", "helps")
    on_time = 'Claim(change="slope", hurts="time", by=1.1)', 'Claim(change="slope", hurts="time", by=1.25)'
    against = 'Claim(change="slope", hurts="score", by=1, against="width")'
    width = 'Claim(change="width", hurts="score", by=0.5)'
    assert names(found(tmp_path, LESS, same, helps, *on_time, against, width).study) == [
        "slope_1.0_score",
        "slope_1.0_score_same_by_0.5",
        "slope_1.0_score_helps_by_5",
        "slope_1.0_time",
        "slope_1.0_time_hurts_by_1.25",
        "slope_1.0_score_against_width_8",
        "width_8_score",
    ]


def test_other_changes_whose_names_come_to_the_same_words_are_numbered(tmp_path: Path) -> None:
    text = TEXT.replace('{"slope": 1.0, "width": 8}', '{"a": {"b_c": {"slope": 1.0}}, "a_b": {"c": {"width": 8}}}')
    judged = made_up.findings(
        tmp_path / "made_up_alike.py", text.replace("CLAIMS", 'Every(hurts="score", by=1)'), score
    )
    assert names(judged.study) == ["a_b_c_score", "a_b_c_score_2"]
    close = [f'Claim(change="slope", hurts="score", by=1.00000{digit})' for digit in (0, 1, 2)]
    assert names(found(tmp_path, *close).study)[1:] == ["slope_1.0_score_hurts_by_1", "slope_1.0_score_hurts_by_1_2"]


@pytest.mark.parametrize("two", [(LESS, MORE), (MORE, LESS)])
def test_claims_keep_what_was_declared_where_their_places_in_the_file_change(
    tmp_path: Path, two: tuple[str, str]
) -> None:
    first = declared(found(tmp_path, *two))
    assert sorted(margins(first).values()) == [0.5, 5.0]
    turned = declared(found(tmp_path, *two[::-1]), first)
    assert margins(turned) == margins(first)
    one = declared(found(tmp_path, two[1]), first)  # the other was removed from the file
    assert margins(one) == {names(first)[1]: first.claims[1].smallest_effect}
    added = declared(found(tmp_path, 'Claim(change="slope", same="score", by=1)', *two), first)
    assert margins(added) == margins(first)  # what is added after the first trial stays out, as ever


def test_a_plan_that_an_earlier_version_left_with_one_name_for_two_claims_gets_both_back(tmp_path: Path) -> None:
    judged = found(tmp_path, LESS, MORE)
    plan = declared(judged)
    before = replace(plan, claims=tuple(replace(one, name="slope_1.0_score") for one in plan.claims))
    assert margins(declared(judged, before)) == margins(plan)


def test_a_claim_that_is_made_twice_is_refused_in_one_sentence(tmp_path: Path) -> None:
    said = r"two claims say that slope=1.0 hurts score, both with by=0.5: leave one of them out, or give it another by"
    with pytest.raises(InputError, match=said):
        found(tmp_path, LESS, LESS.replace(")", ', says="Again.")'))
    with pytest.raises(InputError, match=r"slope=1.0 leaves time the same, against width=8, both with by=1.1"):
        found(tmp_path, *['Claim(change="slope", same="time", by=1.1, against="width")'] * 2)
    with pytest.raises(InputError, match=r"hurts score, both with by=0.5"):
        found(tmp_path, *['Every(hurts="score", by=0.5)'] * 2)


@pytest.mark.parametrize("own", [MORE, LESS, 'Claim(change="slope=1.0", same="score", by=1, says="No harm.")'])
@pytest.mark.parametrize("last", [True, False])
def test_a_claim_takes_the_place_of_what_is_claimed_of_every_change(tmp_path: Path, own: str, last: bool) -> None:
    every = 'Every(hurts="score", by=0.5)'
    study = found(tmp_path, *((every, own) if last else (own, every))).study
    assert sorted(names(study)) == ["slope_1.0_score", "width_8_score"]
    assert [one for one in study.claims if one.component == "slope"] == [*found(tmp_path, own).study.claims]


def test_a_claim_on_another_metric_or_beside_another_change_leaves_every_claim_as_it_is(tmp_path: Path) -> None:
    others = ['Claim(change="slope", hurts="time", by=1.1)', LESS.replace(")", ', against="width")')]
    study = found(tmp_path, 'Every(hurts="score", by=0.5)', 'Every(hurts="score", by=5)', *others).study
    assert names(study) == [
        "slope_1.0_score",
        "width_8_score",
        "slope_1.0_score_hurts_by_5",
        "width_8_score_hurts_by_5",
        "slope_1.0_time",
        "slope_1.0_score_against_width_8",
    ]


def test_no_study_is_planned_with_two_claims_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = found(tmp_path, LESS)
    (claim,) = judged.study.claims
    twice: tuple[Claim, ...] = (claim, replace(claim, smallest_effect=5.0))
    with pytest.raises(InputError, match=r"two claims are called 'slope_1.0_score'\."):
        declared(replace(judged, study=replace(judged.study, claims=twice)))
    monkeypatch.setattr(planned, "published", lambda subject: twice)
    with pytest.raises(InputError, match=r"cannot be studied: two claims are called 'slope_1.0_score'\."):
        planned.with_own(None, judged.study.subject)


@pytest.mark.usefixtures("sketches")
def test_pictures_of_claims_with_names_that_no_file_can_hold_are_told_apart(tmp_path: Path) -> None:
    parts = '{"宽度": {"off": {"slope": 1.0}}, "深度": {"off": {"width": 8}}}'
    text = TEXT.replace('{"slope": 1.0, "width": 8}', parts)
    judged = made_up.findings(
        tmp_path / "made_up_files.py", text.replace("CLAIMS", 'Every(hurts="score", by=1)'), score
    )
    told = cards(judged)
    pictures = [one.picture.name for one in (told.blocks if told else ()) if isinstance(one, Card) and one.picture]
    assert pictures == ["claim----off-score", "claim----off-score_2"]
    assert load(judged.study.subject).own_claims[0].name == "宽度_off_score"
