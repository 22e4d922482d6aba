"""Factorial grids of study files: changes that do nothing, interactions larger than main effects, and aliases."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ablations.analysis import factorial, traces
from ablations.analysis.ranking import ranked
from ablations.analysis.verdicts import Findings
from ablations.core.claim import MAIN
from ablations.core.effect import Effect
from ablations.core.load import REPEAT
from ablations.core.result import Result
from ablations.core.trial import Trial
from ablations.reporting import wording
from ablations.reporting.answer import answer
from ablations.reporting.sections.factorials import interactions
from ablations.reporting.sections.notes import notes
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={**{name: True for name in NAMES}, "harm": 0},
    components={name: False for name in NAMES},
    metrics={"loss": "lower"},
    claims=CLAIMS,
    sabotage={"harm": 1},
)
"""
FOUR = ("cache", "precondition", "momentum", "warm")
Off = dict[str, bool]  # name -> whether the change is made


def found(path: Path, loss: Callable[[Off], float], *, grid: str, claims: str = "[]", **how: object) -> Findings:
    """A study of the four changes; nothing reads the cache, not even the noise, unless `loss` does."""

    def outcome(trial: Trial) -> dict[str, float]:
        config = trial.config["config"]
        off = {name: not config[name] for name in FOUR}
        read = [trial.seed, config["harm"], trial.config.get("salt", 0), *(off[name] for name in FOUR[1:])]
        noise = np.random.default_rng([int(one) for one in read]).normal() / 10
        return {"loss": 50.0 + loss(off) + 20 * config["harm"] + float(noise)}

    text = TEXT.replace("NAMES", repr(FOUR)).replace("CLAIMS", claims)
    return made_up.findings(path / f"made_up_{grid}.py", text, outcome, grid=grid, words=FOUR, seeds=6)


def main(judged: Findings, name: str) -> Effect:
    return next(one for one in judged.effects if one.kind == MAIN and one.component == name)


def traced(judged: Findings, *readers: str) -> Findings:
    """The study with traces, which tell the cache from no cache in the variants of these labels alone."""

    def traces_of(one: Result) -> Result:
        label = one.trial.variant.label
        trace = f"{one.trial.seed}{one.metrics['loss']}{label if label in readers else ''}"
        first = not one.trial.variant.departures and one.trial.seed == 0
        return replace(one, trace=trace, extras={REPEAT: trace} if first else {})

    return replace(judged, results=[traces_of(one) for one in judged.results])


def crossing(off: Off) -> float:
    """Of no preconditioner or no momentum, either alone does nothing or helps, and both together do great harm."""
    return 63.0 * (off["precondition"] and off["momentum"]) - 31.2 * off["momentum"]


def test_a_change_that_nothing_reads_is_inactive_in_a_full_grid(tmp_path: Path) -> None:
    judged = found(tmp_path, crossing, grid="full", claims='Claim(change="cache", hurts="loss", by=1.0)')
    assert judged.verdicts[0].label == "not tested (too few distinct pairs)"  # nothing is known without traces
    known = traced(judged)
    assert [one.component for one in known.effects if one.kind == MAIN and traces.identical(known, one)] == ["cache"]
    assert known.verdicts[0].label == "not tested (inactive)"
    row = next(one for one in ranked(known) if one.effect.component == "cache")
    assert row.effect.estimate == 0 and wording.reads_as(row) == "inactive"
    said = answer(known).sentences[0]
    assert "; no cache does nothing here, to the last digit" in said and "undecided" not in said.partition("warm")[0]
    slower = [
        replace(one, metrics={"loss": one.metrics["loss"] + ("cache" in one.trial.variant.label) * one.trial.seed})
        for one in known.results
    ]  # as if the metric were a time, which is no part of a trace
    timed = replace(known, results=slower)
    assert traces.identical(timed, main(timed, "cache")) and not any(one.inactive for one in ranked(timed))
    assert timed.verdicts[0].reason != "inactive"
    read = traced(judged, "-cache -momentum")
    assert not traces.identical(read, main(read, "cache"))


def test_a_fraction_has_no_two_variants_that_differ_in_one_component(tmp_path: Path) -> None:
    judged = traced(found(tmp_path, crossing, grid="fractional"))
    assert not any(traces.identical(judged, one) for one in judged.effects if one.kind == MAIN)


def test_an_interaction_as_large_as_a_main_effect_is_told_with_it(tmp_path: Path) -> None:
    judged = found(tmp_path, crossing, grid="full", claims='Claim(change="momentum", hurts="loss", by=1.0)')
    sentences = answer(judged).sentences
    assert len(sentences) <= 3
    assert re.search(
        r"; beware: no precondition and no momentum interact \(\+31\.\d+\), so what one does depends on the other\.$",
        sentences[0],
    )
    mild = found(tmp_path, lambda off: 31.0 * off["precondition"] - 20.0 * off["momentum"], grid="full")
    assert "beware" not in answer(mild).sentences[0]


@pytest.mark.parametrize(("by", "told"), [(0.5, True), (50.0, False)])
def test_an_interaction_that_matters_to_no_claim_is_not_told(tmp_path: Path, by: float, told: bool) -> None:
    claims = f'[Claim(change=name, hurts="loss", by={by}) for name in ("precondition", "momentum")]'
    judged = found(tmp_path, crossing, grid="full", claims=claims)
    assert ("beware" in answer(judged).sentences[0]) is told


def test_several_interactions_are_one_clause(tmp_path: Path) -> None:
    judged = found(
        tmp_path,
        lambda off: crossing(off) + 8.0 * (off["momentum"] != off["warm"]) + 4.0 * (off["precondition"] != off["warm"]),
        grid="full",
    )
    said = answer(judged).sentences[0]
    assert said.count("beware") == 1 and re.search(r"interact \(\+31\.\d+\), as do 2 other pairs, so", said)


def test_a_main_effect_of_a_fraction_names_the_three_way_interactions_that_it_cannot_be_told_from(
    tmp_path: Path,
) -> None:
    """The cache is read by nothing; what it seems to do is what the other three do together."""
    judged = found(
        tmp_path, lambda off: 16.0 * (off["precondition"] and off["momentum"] and off["warm"]), grid="fractional"
    )
    effect = main(judged, "cache")
    assert abs(effect.estimate) == pytest.approx(4.0, abs=0.3) and effect.p < 1e-3  # 16 / 4: a three-way contrast
    (named,) = factorial.aliases(judged.study, effect, 3)
    assert named.removeprefix("-") == "precondition x momentum x warm"
    assert named.startswith("-") is (effect.estimate < 0)
    assert effect.method.endswith(f"clear of two-way interactions, but aliased with {named}")
    section = interactions(judged)
    assert section and any(f"cache = {named.replace('-', chr(0x2212))}; " in str(one) for one in section.blocks)


@pytest.mark.parametrize(("twist", "warned"), [(30.0, True), (0.0, False)])
def test_a_main_effect_has_a_warning_where_two_way_interactions_are_as_large(
    tmp_path: Path, twist: float, warned: bool
) -> None:
    def loss(off: Off) -> float:
        three = 1 if sum(off[name] for name in FOUR[1:]) % 2 else -1
        return 3.0 * three + twist * (off["precondition"] == off["momentum"])

    judged = found(tmp_path, loss, grid="fractional")
    said = notes(judged, main(judged, "cache"))
    assert ("so it may be a three-way one: see Interactions" in said) is warned, said
    full = found(tmp_path, loss, grid="full")
    assert not any("three-way" in notes(full, one) for one in full.effects)


def test_an_interaction_of_a_fraction_is_told_with_those_that_it_cannot_be_told_from(tmp_path: Path) -> None:
    judged = found(tmp_path, crossing, grid="fractional")
    said = answer(judged).sentences[0]
    assert re.search(
        r"; beware: no cache and no warm interact, or precondition x momentum do \(\+31\.\d+\), so", said
    ), said
