"""python -m ablations.calibrate failures: how often verdicts are wrong where a change makes trainings collapse.

Made-up studies as in `ablations.calibrate`, but that a share of the trainings of every changed arm collapses: to the
error of guessing, or to a loss that is no number.  Each is judged by the rule and as it was before failures were told
apart, when a collapse to guessing counted in full and the other kind vanished.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ablations.calibration.rule import Tally, wrong
from ablations.core.claim import LOWERS, ONE_OUT, RAISES, Claim, Rule

if TYPE_CHECKING:
    import numpy as np

    from ablations.core.effect import Effect

METRIC = "test_top1_error_percent"
MARGIN = 1.0  # point, the claims' smallest effect of interest
CHANCE, ERROR = 90.0, 45.0  # percent, of guessing and of the reference
SCATTER = 0.5  # points, standard deviation of a training that does not collapse; half of its variance is the seed's
AT_CHANCE, NOT_FINITE = WAYS = ("at chance", "not finite")  # what a collapse looks like
SHARES = (0.0, 0.05, 0.1, 0.2)  # of the trainings with a change that collapse
TRUTHS = {"no effect": (0.0,), "at the margin": (1.0, -1.0)}  # in margins where both train, in turn by the claims


@dataclass(frozen=True, kw_only=True)
class FailureTally(Tally):
    """What became of the studies of one share of collapses, by one rule; wrong is what is wrong where both train."""

    told: bool  # whether failures are told apart, as the rule does; False: as before
    way: str  # one of WAYS
    share: float
    no_effect_wrong: int = 0  # studies with a "no effect of interest" that is wrong where both train
    no_effect_of_all: int = 0  # and with one that is wrong of the mean over all trainings, collapsed ones among them
    sized: int = 0  # claims with a verdict on the size though a training was seen to collapse
    shares_held: int = 0  # claims whose exact interval of how often the changed arm trains holds the truth


def simulate(
    truth: str,
    *,
    share: float,
    way: str,
    told: bool,
    studies: int,
    seeds: int = 10,
    claims: int = 4,
    seed: int = 0,
) -> FailureTally:
    """The tally of studies in which that share of the changed arms' trainings collapses; the same for every `way`."""
    import numpy as np

    from ablations.analysis.failures import share_interval
    from ablations.analysis.rule import CONTRADICTED, DIRECTION_ONLY, INCONCLUSIVE, NO_EFFECT, NOT_TESTED

    random = np.random.default_rng([seed, list(TRUTHS).index(truth), round(1000 * share)])
    truths = [TRUTHS[truth][index % len(TRUTHS[truth])] * MARGIN for index in range(claims)]
    made = [_claim(index, true) for index, true in enumerate(truths)]
    counts: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for errors, collapsed in _studies(random, studies, seeds, truths, share):
        effects = _told(errors, collapsed, way) if told else _as_before(errors, collapsed, way)
        found = _calls(made, effects, missing=not told)
        signed = [claim.direction * true for claim, true in zip(made, truths, strict=True)]
        mistakes = [wrong(one, true) for one, true in zip(found, signed, strict=True)]
        over_all = [(1 - share) * true + share * (CHANCE - ERROR) for true in truths]
        calls.update(found)
        counts["wrong_direction"] += any(direction for direction, _ in mistakes)
        counts["wrong_size"] += any(size for _, size in mistakes)
        counts["wrong"] += any(map(any, mistakes))
        nothing = [one == NO_EFFECT for one in found]
        counts["no_effect_wrong"] += any(
            none and abs(true) >= MARGIN for none, true in zip(nothing, truths, strict=True)
        )
        counts["no_effect_of_all"] += any(
            none and abs(true) >= MARGIN for none, true in zip(nothing, over_all, strict=True)
        )
        seen = [bool(column.any()) for column in collapsed.T]
        open_ = (DIRECTION_ONLY, CONTRADICTED, INCONCLUSIVE, NOT_TESTED)
        counts["sized"] += sum(bad and one not in open_ for bad, one in zip(seen, found, strict=True))
        for bad in collapsed.sum(axis=0):
            low, high = share_interval(seeds - int(bad), seeds)
            counts["shares_held"] += low <= 1 - share <= high
    name = f"{truth}, {share:.0%} collapse"
    return FailureTally(
        scenario=name, told=told, way=way, share=share, studies=studies, claims=claims, calls=calls, **counts
    )


def _studies(
    random: np.random.Generator, studies: int, seeds: int, truths: Sequence[float], share: float
) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """For each study the errors [seeds, 1 + claims], the reference's first, and which [seeds, claims] collapse."""
    for _ in range(studies):
        common = random.normal(0, SCATTER / 2**0.5, (seeds, 1))
        own = random.normal(0, SCATTER / 2**0.5, (seeds, len(truths) + 1))
        yield ERROR + common + own + [0.0, *truths], random.random((seeds, len(truths))) < share


def _told(errors: np.ndarray[Any, Any], collapsed: np.ndarray[Any, Any], way: str) -> list[Effect]:
    """The effects as real studies have them: a table of outcomes with the failures marked, compared pair by pair."""
    import pandas as pd

    from ablations.analysis.effects import Contrast, compare
    from ablations.analysis.failures import marked, why_failed
    from ablations.analysis.tables import Outcomes
    from ablations.core.setting import POINTS, Metric, Setting

    rule, metrics = Rule(failed_above=0.95), {METRIC: Metric(words="error", unit=POINTS)}
    setting = Setting(config={}, data="", fingerprint="", main=METRIC, metrics=metrics, guessing=CHANCE)
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for seed, of_seed in enumerate(errors):
        for arm, error in enumerate(of_seed):
            bad = arm > 0 and collapsed[seed, arm - 1]
            ended = {METRIC: CHANCE if way == AT_CHANCE else None} if bad else {METRIC: float(error)}
            key = f"{seed}/{arm}"
            rows.append({"key": key, "variant": str(arm), "seed": seed, "status": "done", **ended})
            failed += [key] * bool(why_failed(ended, setting, rule))
    outcomes = Outcomes(marked(pd.DataFrame(rows), failed))
    arms = range(1, errors.shape[1])
    contrasts = [Contrast(component="a", level="off", kind=ONE_OUT, departed=str(arm), kept="0") for arm in arms]
    return [compare(outcomes, contrast, METRIC) for contrast in contrasts]


def _as_before(errors: np.ndarray[Any, Any], collapsed: np.ndarray[Any, Any], way: str) -> list[Effect]:
    """The effects as they were: guessing counted in full, and what was not finite was dropped with its pair."""
    import numpy as np

    from ablations.analysis.effects import Contrast, paired

    contrast = Contrast(component="a", level="off", kind=ONE_OUT, departed="-a", kept="reference")
    found = []
    for arm in range(collapsed.shape[1]):
        bad, departed, kept = collapsed[:, arm], errors[:, arm + 1], errors[:, 0]
        if way == AT_CHANCE:
            departed = np.where(bad, CHANCE, departed)
        else:
            departed, kept = departed[~bad], kept[~bad]
        effect = paired(contrast, METRIC, departed, kept)
        found.append(replace(effect, method=str(len(errors) - len(departed))))  # pairs that are missing
    return found


def _calls(claims: Sequence[Claim], effects: Sequence[Effect], *, missing: bool) -> list[str]:
    from ablations.analysis.failures import for_direction
    from ablations.analysis.rule import NOT_TESTED, adjust, call

    rule = Rule()
    lost = [missing and int(one.method) > rule.missing * (one.n + int(one.method)) for one in effects]
    judged = [
        None if gone or not one.error > 0 else for_direction(one) for one, gone in zip(effects, lost, strict=True)
    ]
    return [
        NOT_TESTED if one is None else call(claim, one, p, m, rule.alpha)
        for claim, one, (p, m) in zip(claims, judged, adjust(claims, judged), strict=True)
    ]


def _claim(index: int, true: float) -> Claim:
    return Claim(
        name=f"claim_{index}",
        component=f"component_{index}",
        level="off",
        statement="The change moves the error.",
        source="made up",
        metric=METRIC,
        published="no number given",
        direction=LOWERS if true < 0 else RAISES,
        smallest_effect=MARGIN,
        family="made up",
    )


def table(tallies: Sequence[FailureTally]) -> str:
    """The tallies as a Markdown table, in per cent with standard errors."""
    from ablations.analysis.rule import CALLS
    from ablations.calibration.rule import _percent

    head = ["truth where both train", "a collapse is", "failures", "wrong in direction", "in size"]
    head += ["no effect, but on the mean of all", "sized though seen", "shares held", *CALLS]
    rows = []
    for one in tallies:
        claims = one.studies * one.claims
        rows.append(
            [
                one.scenario,
                one.way,
                "told apart" if one.told else "as before",
                *(_percent(n, one.studies) for n in (one.wrong_direction, one.wrong_size, one.no_effect_of_all)),
                *(_percent(count, claims) for count in (one.sized, one.shares_held)),
                *(f"{100 * one.calls[call] / claims:.1f}" for call in CALLS),
            ]
        )
    lines = [head, ["---"] * 3 + ["---:"] * (len(head) - 3), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(studies: int = 500, seeds: int = 10, claims: int = 4, seed: int = 0) -> None:
    """Simulate studies in which trainings collapse and count the wrong verdicts; prints a Markdown table.

    Args:
        studies: how many of each kind.
        seeds: trainings of each variant.
        claims: in the family.
        seed: of the simulation.
    """
    tallies = []
    for truth in TRUTHS:
        for share in SHARES:
            print(f"{truth}, {share:.0%} collapse: {studies} studies", file=sys.stderr)
            tallies += [
                simulate(truth, share=share, way=way, told=told, studies=studies, seeds=seeds, claims=claims, seed=seed)
                for told, way in ((False, AT_CHANCE), (False, NOT_FINITE), (True, AT_CHANCE))  # the rest is the last
                if share or told
            ]
    print(table(tallies))
