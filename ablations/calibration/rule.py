"""python -m ablations.calibrate: how often the verdicts are wrong, on made-up studies whose truth is known.

`SCENARIOS` names the ways in which such studies are made.  Effects and verdicts are made of them by the very functions
that judge real studies.
"""

from __future__ import annotations

import functools
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, Any

from ablations.core.claim import ONE_OUT, Claim, Rule

if TYPE_CHECKING:
    import numpy as np

    from ablations.core.effect import Effect
    from ablations.core.study import Study

MARGIN = 1.0  # the claims' smallest effect of interest
METRIC = "test_top1_error_percent"
TRUTHS = {  # name -> true effects, in margins, taken in turn by the claims
    "no effect anywhere": (0.0,),
    "half the margin": (0.5,),
    "a hair below the margin": (0.999,),
    "at the margin": (1.0,),
    "opposite, at the margin": (-1.0,),
    "none, at and far beyond the margin": (0.0, 1.0, 4.0),
}
CROSSED = 6  # components of the factorials


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How many studies of a scenario are made, and of what size."""

    studies: int = 2000
    seeds: int = 10
    claims: int = 8  # in the family; a factorial has one of each of its six components
    scatter: float = 0.5  # standard deviation of a trial's error, in margins
    shared: float = 0.5  # share of its variance that the trials of a seed have in common
    seed: int = 0  # of the simulation

    def generator(self, scenario: str) -> np.random.Generator:
        """Random numbers of the scenario's own, whatever others there are."""
        import numpy as np

        return np.random.default_rng([self.seed, zlib.crc32(scenario.encode())])


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What became of the studies of one scenario."""

    scenario: str
    studies: int
    claims: int
    wrong: int = 0  # studies with a wrong statement on any claim
    wrong_direction: int = 0
    wrong_size: int = 0
    covered: int = 0  # claims whose single 95% interval holds the truth
    covered_all: int = 0  # studies all of whose simultaneous intervals do
    calls: Counter[str] = field(default_factory=Counter)


def wrong(call: str, true: float, margin: float = MARGIN) -> tuple[bool, bool]:
    """Whether a call's statement on the direction is wrong, and that on the size, given the true d."""
    from ablations.analysis import rule as words

    as_claimed = call in (words.REPRODUCED, words.DIRECTION_ONLY)
    direction = (as_claimed and true <= 0) or (call == words.CONTRADICTED and true >= 0)
    size = (call == words.REPRODUCED and true < margin) or (call == words.NO_EFFECT and abs(true) >= margin)
    return direction, size


def simulate(scenario: str, **settings: Any) -> Tally:
    """The tally of one scenario; `settings` are fields of `Settings`."""
    return SCENARIOS[scenario](Settings(**settings))


def tallied(
    scenario: str, truths: Sequence[float], families: Iterable[Sequence[Effect]], *, margin: float = MARGIN
) -> Tally:
    """What the rule makes of studies whose claims, one for each of `truths`, have these effects.

    `margin` is the claims' smallest effect of interest, in the unit of the effects.
    """
    from ablations.analysis.rule import adjust, call

    rule, studies = Rule(), 0
    made = [made_up_claim(index, margin) for index in range(len(truths))]
    counts: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    level = 1 - rule.alpha / len(truths)
    for effects in families:
        studies += 1
        adjusted = adjust(made, effects)
        found = [call(c, e, p, m, rule.alpha) for c, e, (p, m) in zip(made, effects, adjusted, strict=True)]
        mistakes = [wrong(one, true, margin) for one, true in zip(found, truths, strict=True)]
        calls.update(found)
        counts["wrong_direction"] += any(direction for direction, _ in mistakes)
        counts["wrong_size"] += any(size for _, size in mistakes)
        counts["wrong"] += any(map(any, mistakes))
        counts["covered"] += sum(_holds(e, true, 0.95) for e, true in zip(effects, truths, strict=True))
        counts["covered_all"] += all(_holds(e, true, level) for e, true in zip(effects, truths, strict=True))
    return Tally(scenario=scenario, studies=studies, claims=len(truths), calls=calls, **counts)


def paired_families(scenario: str, some: Sequence[float], settings: Settings) -> Tally:
    """Of a reference and as many changes as claims under the same seeds, with normal errors."""
    truths = [some[index % len(some)] * MARGIN for index in range(settings.claims)]

    def families() -> Iterator[list[Effect]]:
        random, s = settings.generator(scenario), settings
        for _ in range(s.studies):
            common = random.normal(0, s.scatter * sqrt(s.shared), (s.seeds, 1))
            errors = 20 + common + random.normal(0, s.scatter * sqrt(1 - s.shared), (s.seeds, s.claims + 1))
            yield [made_up_effect(errors[:, index + 1] + true, errors[:, 0]) for index, true in enumerate(truths)]

    return tallied(scenario, truths, families())


def factorial_families(scenario: str, grid: str, differ: float, settings: Settings) -> Tally:
    """Of factorials without any effect on average, whose effects differ between seeds.

    `differ` is their standard deviation over seeds, in that of what a trial does not share with the others of its seed.
    """
    from ablations.analysis.factorial import main_effects
    from ablations.analysis.tables import Outcomes

    study = made_up_factorial(grid, settings.seeds)

    def families() -> Iterator[list[Effect]]:
        random = settings.generator(scenario)
        for _ in range(settings.studies):
            outcomes = Outcomes(factorial_outcomes(study, random, settings, differ))
            yield main_effects(study, outcomes, METRIC)

    return tallied(scenario, [0.0] * CROSSED, families())


def made_up_factorial(grid: str, seeds: int, **options: int) -> Study:
    """A study of six components of one level each; `options` are the grid's own."""
    from ablations.core.setting import POINTS, Metric, Setting
    from ablations.core.study import Study
    from ablations.planning import grids

    asked = grids.find(grid)
    components = tuple((f"component_{index}", "off") for index in range(CROSSED))
    return Study(
        name="made up",
        grid=grid,
        setting=Setting(
            config={},
            data="made up",
            fingerprint="",
            main=METRIC,
            metrics={METRIC: Metric(words="error", unit=POINTS)},
        ),
        components=components,
        variants=asked.make(components, **options).variants,
        seeds=seeds,
        estimand=asked.estimand,
        factorial=asked.factorial,
    )


def factorial_outcomes(study: Study, random: np.random.Generator, settings: Settings, differ: float) -> Any:
    """A table with the columns variant, seed, status and METRIC, of a study without any effect on average.

    In each seed every main effect and every two-way interaction has a part of its own, of `differ` as above.
    """
    import itertools

    import numpy as np
    import pandas as pd

    made = [[1 if one in variant.departures else -1 for one in study.components] for variant in study.variants]
    signs = np.array(made, dtype=float).T  # [components, variants]
    crossed = [one * two for one, two in itertools.combinations(signs, 2)]
    own = settings.scatter * sqrt(1 - settings.shared)
    common = random.normal(0, settings.scatter * sqrt(settings.shared), (study.seeds, 1))
    parts = random.normal(0, differ * own, (study.seeds, len(signs) + len(crossed)))
    errors = 20 + common + parts @ np.array([*signs, *crossed]) / 2 + random.normal(0, own, (study.seeds, len(made)))
    labels = [variant.label for variant in study.variants]
    return pd.DataFrame(
        {
            "variant": np.tile(labels, study.seeds),
            "seed": np.repeat(np.arange(study.seeds), len(labels)),
            "status": "done",
            METRIC: errors.ravel(),
        }
    )


Scenario = Callable[[Settings], "Tally"]

SCENARIOS: dict[str, Scenario] = {
    **{name: functools.partial(paired_families, name, some) for name, some in TRUTHS.items()},
    **{
        name: functools.partial(factorial_families, name, grid, differ)
        for grid in ("full", "fractional")
        for differ in (0.5, 1.0)
        for name in [f"factorial {grid}, effects differ by {differ:g}"]
    },
}


def made_up_claim(index: int, margin: float = MARGIN) -> Claim:
    """That a change raises the test error, by `margin` at the least if it matters."""
    return Claim(
        name=f"claim_{index}",
        component=f"component_{index}",
        level="off",
        statement="The change raises the error.",
        source="made up",
        metric=METRIC,
        published="no number given",
        direction=1,
        smallest_effect=margin,
        family="made up",
    )


def made_up_effect(departed: np.ndarray[Any, Any], kept: np.ndarray[Any, Any]) -> Effect:
    """The effect on the test error of two arms' errors [seeds]."""
    from ablations.analysis.effects import Contrast, paired

    contrast = Contrast(component="a", level="off", kind=ONE_OUT, departed="-a", kept="reference")
    return paired(contrast, METRIC, departed, kept)


def _holds(effect: Effect, true: float, level: float) -> bool:
    from ablations.analysis.statistics import t_interval

    low, high = t_interval(effect.estimate, effect.error, effect.df, level)
    return low <= true <= high


def table(tallies: Sequence[Tally]) -> str:
    """The tallies as a Markdown table, in per cent with standard errors."""
    from ablations.analysis.rule import CALLS, INCONCLUSIVE

    head = ["truth", "wrong anywhere", "in direction", "in size", "95% intervals that hold", "simultaneous, all hold"]
    head += list(CALLS[: CALLS.index(INCONCLUSIVE) + 1])
    rows = []
    for one in tallies:
        per_study = [one.wrong, one.wrong_direction, one.wrong_size]
        trials = one.studies * one.claims
        rows.append(
            [
                one.scenario,
                *(_percent(count, one.studies) for count in per_study),
                _percent(one.covered, trials),
                _percent(one.covered_all, one.studies),
                *(f"{100 * one.calls[call] / trials:.1f}" for call in head[6:]),
            ]
        )
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(count: int, of: int) -> str:
    share = count / of
    return f"{100 * share:.1f} ± {100 * sqrt(share * (1 - share) / of):.1f}"


def main(studies: int = 2000, seeds: int = 10, claims: int = 8, seed: int = 0) -> None:
    """Simulate studies of known truth and count the wrong verdicts; prints a Markdown table.

    Args:
        studies: how many of each kind.
        seeds: trainings of each variant.
        claims: in the family; a factorial has one of each of its six components.
        seed: of the simulation.
    """
    settings = Settings(studies=studies, seeds=seeds, claims=claims, seed=seed)
    tallies = []
    for name, scenario in SCENARIOS.items():
        print(f"{name}: {settings.studies} studies", file=sys.stderr)
        tallies.append(scenario(settings))
    print(table(tallies))
