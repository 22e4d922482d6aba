"""What became of a claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan

from ablations.analysis import failures
from ablations.analysis.asked import effect_on
from ablations.analysis.evidence import Evidence
from ablations.analysis.group_sequential import Look
from ablations.analysis.obstacles import FAILS
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
    call: str  # one of `ablations.analysis.rule.CALLS`
    reason: str = ""  # why it was not tested: one of `ablations.analysis.obstacles.REASONS`, or empty
    because: str = ""  # the same in words
    effect: Effect | None = None  # None: the study does not make the comparison
    comparisons: int = 1  # number of different comparisons of the claim's family: m in `ablations.analysis.rule`
    p_holm: float = nan  # the effect's p-value, adjusted by Holm over the family
    low: float = nan  # lower end of the simultaneous interval
    high: float = nan  # its upper end
    inner_low: float = nan  # lower end of the interval of the two one-sided tests
    inner_high: float = nan  # its upper end
    look: Look | None = None  # the look at which a claim of a sequential study has its verdict
    seeds: int | None = None  # seeds that would settle what is open; None: nothing is, too many, or not known
    seeds_low: int | None = None  # lower end of the 95% interval of that number; None: too many
    seeds_high: int | None = None  # its upper end
    proxy: tuple[str, ...] = ()  # how the study falls short of the claim's conditions; empty: it tests the claim itself
    draft: bool = False  # whether the study has fewer seeds than the rule asks for
    confounds: str = ""  # what else differs between the arms, in words
    underfits: bool = False  # whether the reference underfits, and the claim is about the evaluation error or the gap
    published_inside: str = ""  # whether the published effect lies in our prediction interval: yes, no, or why not told
    first: str = ""  # the call without the claim's companion, if the companion changed the call
    also: Effect | None = None  # the effect of the claim's companion
    also_low: float = nan  # lower end of its simultaneous interval
    also_high: float = nan  # its upper end
    own: bool = False  # whether the claim is about the study itself, so that there are no conditions to fall short of
    blind: bool = False  # whether the study has no sabotage, so that nothing shows that it would have seen harm
    out_of_reach: str = ""  # such as "about 160 seeds" if it was declared that more are needed than are affordable
    metrics: Mapping[str, Metric] = field(default_factory=dict, repr=False)  # the study's metrics by name

    @property
    def metric(self) -> Metric:
        """The metric of the claim."""
        return self.metrics.get(self.claim.metric, Metric(words=self.claim.metric))

    @property
    def also_metric(self) -> Metric:
        """The metric of the claim's companion."""
        name = self.claim.companion.metric if self.claim.companion else ""
        return self.metrics.get(name, Metric(words=name))

    @property
    def size(self) -> str:
        """What is known of the effect's size, relative to the smallest effect of interest: ABOVE, BELOW or OPEN."""
        if self.unstable or self.call == NOT_TESTED:
            return OPEN
        return size_of((self.low, self.high), (self.inner_low, self.inner_high), self.claim.smallest_effect)

    @property
    def size_known(self) -> bool:
        """Whether the effect is known to be larger, or known to be smaller, than the smallest effect of interest."""
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
        """The call in words, with what is known of the size; of a proxy study, what it shows at its own scale."""
        if self.proxy:
            partly = self.first not in ("", CONTRADICTED)
            words = at_scale(self.call, self.size, same=self.claim.direction == SAME, partly=partly)
            return f"{words} (out of reach)" if self.call == INCONCLUSIVE and self.out_of_reach else words
        return words_of(self.call, self.size, out_of_reach=bool(self.out_of_reach))

    @property
    def unstable(self) -> bool:
        """Whether a training of either arm failed, so that no size can be judged."""
        return self.effect is not None and self.effect.unstable

    @property
    def scope(self) -> str:
        """`proxy` if the study falls short of the claim's conditions, else `faithful`; empty for the study's own."""
        return PROXY if self.proxy else "" if self.own else FAITHFUL

    @property
    def label(self) -> str:
        """The verdict with its flags: `same direction at this scale [proxy, draft]`, `not tested (failed, 5 of 5)`."""
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
    """Writes ` [proxy, draft]`; empty if there are no words."""
    said = ", ".join(filter(None, words))
    return f" [{said}]" if said else ""


def with_also(evidence: Evidence, verdict: Verdict, alpha: float, comparisons: int, look: Look | None) -> Verdict:
    """Returns `verdict` with the effect of its claim's companion, if it has one, and its simultaneous interval."""
    asked = verdict.claim.companion
    also = effect_on(evidence, asked) if asked else None
    if also is None:
        return verdict
    (low, high), _ = intervals(also, alpha, comparisons, look)
    return replace(verdict, also=also, also_low=low, also_high=high)
