"""What became of a claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan

from ablations.analysis import failures
from ablations.analysis.asked import effect_on
from ablations.analysis.evidence import Evidence
from ablations.analysis.gates import FAILS
from ablations.analysis.group_sequential import Look
from ablations.analysis.rule import (
    ABOVE,
    BELOW,
    CONTRADICTED,
    INCONCLUSIVE,
    NO_EFFECT,
    NOT_TESTED,
    OPEN,
    at_scale,
    companion_state,
    intervals,
    size_of,
    words_of,
)
from ablations.core.claim import SAME, Claim
from ablations.core.effect import Effect
from ablations.core.setting import Metric

FAITHFUL, PROXY = "faithful", "proxy"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a claim.  Bounds and effects are departure minus reference, whatever the claimed direction."""

    claim: Claim
    call: str  # one of CALLS
    reason: str = ""  # of `ablations.analysis.gates.REASONS`, where it was not tested
    because: str = ""  # the same in a sentence
    effect: Effect | None = None
    comparisons: int = 1  # in its family: m
    p_holm: float = nan
    low: float = nan  # of the simultaneous interval
    high: float = nan
    inner_low: float = nan  # of the two one-sided tests
    inner_high: float = nan
    look: Look | None = None  # at which it stands, in a sequential study
    seeds: int | None = None  # that would settle what is open; None where nothing is, too many, or that is not known
    seeds_low: int | None = None  # of the interval of that number; None: more than any study trains
    seeds_high: int | None = None
    proxy: tuple[str, ...] = ()  # how the study differs from where the claim was made
    draft: bool = False  # fewer seeds than the rule wants
    confounds: str = ""  # what else differs between the arms
    underfits: bool = False  # the reference does, and the claim is about the evaluation error
    published_inside: str = ""  # our prediction interval: yes, no, or why that cannot be said
    first: str = ""  # the call on what the claim says first, where its companion changed that
    also: Effect | None = None  # of the claim's companion
    also_low: float = nan  # of its simultaneous interval
    also_high: float = nan
    own: bool = False  # made by whoever planned the study, of the study itself: there is no other place to be true to
    blind: bool = False  # the study has no sabotage, so nothing shows that it would have seen harm
    out_of_reach: str = ""  # "about 160 seeds" that would decide it, where that was declared to be too many
    metrics: Mapping[str, Metric] = field(default_factory=dict, repr=False)  # of the study, to read the numbers by

    @property
    def metric(self) -> Metric:
        """What the claim's effect is measured by."""
        return self.metrics.get(self.claim.metric, Metric(words=self.claim.metric))

    @property
    def also_metric(self) -> Metric:
        """What the effect of the claim's companion is measured by."""
        name = self.claim.companion.metric if self.claim.companion else ""
        return self.metrics.get(name, Metric(words=name))

    @property
    def size(self) -> str:
        """What is known of the effect's size beside the smallest of interest: ABOVE, BELOW or OPEN."""
        if self.unstable:
            return OPEN
        return size_of((self.low, self.high), (self.inner_low, self.inner_high), self.claim.smallest_effect)

    @property
    def size_known(self) -> bool:
        """Whether the effect is known to be larger, or to be smaller, than the smallest of interest."""
        return self.size in (ABOVE, BELOW)

    @property
    def companion(self) -> str:
        """SHOWN, REFUTED or OPEN for the claim's companion; empty where it has none."""
        asked = self.claim.companion
        if not asked or (self.also is not None and self.also.unstable):
            return OPEN if asked else ""
        return companion_state(asked.direction, self.also_low, self.also_high)

    @property
    def words(self) -> str:
        """The call, and whether the size of a direction is excluded or open; of a proxy what it shows at its scale."""
        if self.proxy:
            partly = self.first not in ("", CONTRADICTED)
            words = at_scale(self.call, self.size, same=self.claim.direction == SAME, partly=partly)
            return f"{words} (out of reach)" if self.call == INCONCLUSIVE and self.out_of_reach else words
        return words_of(self.call, self.size, out_of_reach=bool(self.out_of_reach))

    @property
    def unstable(self) -> bool:
        """Whether a training of either arm failed, so that no size can be told."""
        return self.effect is not None and self.effect.unstable

    @property
    def scope(self) -> str:
        """`faithful`, or `proxy` where the study differs from where a claim was made; empty of a study's own."""
        return PROXY if self.proxy else "" if self.own else FAITHFUL

    @property
    def label(self) -> str:
        """`same direction at this scale [proxy, draft]`, `not tested (failed, 5 of 5) [proxy]`."""
        if self.call == NOT_TESTED:
            words = failures.failed_words(self.effect) if self.effect and self.reason == FAILS else self.reason
            return f"{self.call} ({words}){_bracketed([self.scope, self.claim.standing])}"
        flags = {
            "draft": self.draft,
            "underfitting": self.underfits,
            "confounded": bool(self.confounds),
            "unstable": self.unstable,
            "insensitive?": self.blind and (self.call == NO_EFFECT or self.claim.direction == SAME),
            self.claim.standing: bool(self.claim.standing),
        }
        return f"{self.words}{_bracketed([self.scope, *(word for word, holds in flags.items() if holds)])}"


def _bracketed(words: Sequence[str]) -> str:
    """` [proxy, draft]`; nothing for no words."""
    said = ", ".join(filter(None, words))
    return f" [{said}]" if said else ""


def with_also(evidence: Evidence, verdict: Verdict, alpha: float, comparisons: int, look: Look | None) -> Verdict:
    """The verdict with what was found of its claim's companion, if it has one."""
    asked = verdict.claim.companion
    also = effect_on(evidence, asked) if asked else None
    if also is None:
        return verdict
    (low, high), _ = intervals(also, alpha, comparisons, look)
    return replace(verdict, also=also, also_low=low, also_high=high)
