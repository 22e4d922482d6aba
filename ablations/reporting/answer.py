"""The answer of a study: at most three sentences on what it found, and the line on why to believe them.

The page, report.md, the end of a run and the description in MLflow open with it.  It has a form for every state of a
study: not begun, gates that failed, a reference alone, a race to a target, effects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import inf, isfinite, prod

from ablations.analysis import ranking
from ablations.analysis.blocks import other_way, told_on
from ablations.analysis.doses import trends
from ablations.analysis.failures import arms_words
from ablations.analysis.gates import LEARNS, QUIET, SEED, SEEN, SIZES, Gate, failed_trials
from ablations.analysis.obstacles import underfits
from ablations.analysis.ranking import BETTER, NEGLIGIBLE, UNDECIDED, WORSE, Ranked
from ablations.analysis.rule import CALLS
from ablations.analysis.verdicts import Findings
from ablations.core.claim import ONE_IN, ONE_OUT, metric_of
from ablations.core.load import SABOTAGE
from ablations.core.text import counted, few, listed
from ablations.core.units import briefly, in_unit, is_ratio
from ablations.reporting import wording
from ablations.reporting.document import Answer
from ablations.reporting.next_commands import next_commands
from ablations.reporting.to_mend import to_mend
from ablations.reporting.trust import trust_line

MOST = 5  # changes of a kind that a sentence names
UNSIZED = "by an amount that failed trainings leave open"
FAILED_GATE = {  # gate -> what its failure means
    LEARNS: "the reference did not learn",
    SEED: "the trials do not use their seed",
    SIZES: "the splits are not of one size",
    SEEN: "the sabotage went unseen",
    QUIET: "the placebo, which changes nothing but random draws, had an effect",
}
OPEN_GATE = {  # gate -> what is not known as long as it is open
    LEARNS: "whether the reference learns is not known yet",
    SEED: "whether the trials use their seed is not known yet",
    SIZES: "whether the splits are of one size is not known yet",
    SEEN: "whether this study would see harm is not known yet",
    QUIET: "whether random draws alone do nothing is not known yet",
}


def answer(evidence: Findings) -> Answer:
    """Returns the answer of a study, from its gates, effects and verdicts."""
    trust = trust_line(evidence)
    if len(evidence.study.variants) == 1:
        return Answer(sentences=(_alone(evidence),), trust=trust)
    void = void_words(evidence)
    if void:
        sentences = (void, *to_mend(evidence))
        return Answer(sentences=sentences, trust=trust, judged=False, commands=next_commands(evidence))
    if evidence.study.setting.races:
        from ablations.reporting.sections.time_to_target import clauses

        said = _most(clauses(evidence, controls=False), between="; ")
        return Answer(sentences=(*([_sentence(said)] if said else []), *_claims(evidence)), trust=trust)
    from ablations.reporting.sections.factorials import beware

    rows = ranking.ranked(evidence)
    effects = f"{_effects(evidence, rows).removesuffix('.')}{beware(evidence, rows)}."
    return Answer(sentences=(effects, *_trends(evidence), *_claims(evidence)), trust=trust)


def _most(words: Sequence[str], between: str = "") -> str:
    """Returns the first `MOST` of `words` as a list in a sentence, and how many more there are."""
    if not between:
        return few(words, MOST)
    return between.join([*words[:MOST], *[f"{len(words) - MOST} more"] * (len(words) > MOST)])


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def not_judged(evidence: Findings) -> tuple[str, ...]:
    """Returns why no effect of the study may be believed, one clause a reason; empty if all gates hold."""
    arms = [evidence.values(evidence.metric, label) for label in evidence.labels]
    if not evidence.results:
        return ("no trial has been run yet",)
    if not evidence.study.setting.races and not any(len(one) for one in arms):
        return (f"none of {counted(len(evidence.results), 'trial')} has trained to its end",)
    failed = [f"{FAILED_GATE[one.name]} ({_why(one)})" for one in evidence.gates if one.passed is False]
    if failed:
        return tuple(failed)
    if evidence.study.seeds < 2:
        return tuple(filter(None, ("one seed cannot tell an effect from chance", failed_trials(evidence, SABOTAGE))))
    return tuple(f"{OPEN_GATE[one.name]} ({one.found})" for one in evidence.gates if one.passed is None)


def _why(gate: Gate) -> str:
    return gate.found if gate.name in (SEED, SIZES) else f"{gate.found}; asked: {gate.demand}"


def void_words(evidence: Findings) -> str:
    """Returns the warning that opens every output if nothing was judged: `Not judged: ...`; empty if gates hold."""
    causes = not_judged(evidence)
    return f"Not judged: {'; '.join(causes)}. No effect of this study should be believed." if causes else ""


def _alone(evidence: Findings) -> str:
    """Returns the answer of a study that trains the reference alone."""
    label = evidence.study.variants[0].label
    values = evidence.values(evidence.metric, label)
    if not len(values):
        return f"No training of the reference has ended, so its {wording.what(evidence)} is not known."
    value = wording.value(evidence, evidence.mean(evidence.metric, label))
    over = f" on average over {counted(len(values), 'seed')}" if len(values) > 1 else ""
    compares = "The study changes nothing, so it compares nothing."
    return f"The {wording.what(evidence)} of the reference is {value}{over}. {compares}"


def _frame(evidence: Findings) -> str:
    """Returns the start of the sentence on effects: `At this budget (62% test top-1 error, underfitting)`."""
    value = evidence.mean(evidence.metric, "reference")
    metric, setting = evidence.main_metric, evidence.study.setting
    unit = "%" if metric.percent else f" {metric.unit}".rstrip()
    fits = ", underfitting" if underfits(evidence) else ""
    over = f" over {_data_sets(evidence)}" if setting.blocks else ""
    known = (
        f"{value:.3g}{unit} {wording.what(evidence)}{over}{fits}" if isfinite(value) else "its reference did not train"
    )
    if evidence.study.estimand != ONE_OUT:
        return _among(evidence)
    return f"At this budget ({known})" if setting.work > 1 else f"From a reference with {known},"


def _among(evidence: Findings) -> str:
    """Returns the start of the sentence on effects that are not those of one change beside the reference."""
    if evidence.study.estimand == ONE_IN:
        return "Where all other changes are made,"
    networks = {label for one in ranking.studied(evidence) for label in (*one.departed, *one.kept)}
    levels = Counter(name for name, _ in evidence.study.components)
    every = prod(1 + count for count in levels.values())
    of = f"{len(networks)} of the {every}" if len(networks) < every else f"all {every}"
    return f"On average over {of} combinations of the changes,"


def _data_sets(evidence: Findings) -> str:
    """Returns the names of the data sets, or how many there are if these are more than three."""
    names = [one.name for one in evidence.study.setting.blocks]
    return listed(names) if len(names) <= 3 else counted(len(names), "data set")


def _effects(evidence: Findings, rows: Sequence[Ranked]) -> str:
    """Returns one sentence on all changes, by what came of them: hurt, helped, no difference, undecided, or failed."""
    if not rows:
        return "No change of this study has a finished comparison."
    unstable = [one for one in rows if one.effect.unstable]
    harmed, eased, unsized = (
        [(_name(evidence, one), f" ({arms_words(one.effect)})") for one in unstable if one.side == side]
        for side in (WORSE, BETTER, UNDECIDED)
    )
    idle = [(_name(evidence, one), "") for one in rows if one.inactive]
    lacking = [(_name(evidence, one), "") for one in rows if one.missing and not one.inactive]
    told = [one for one in rows if not (one.effect.unstable or one.inactive or one.missing)]
    hurt, helped, alike, undecided = (
        _largest_first(one for one in told if one.side == side) for side in (WORSE, BETTER, NEGLIGIBLE, UNDECIDED)
    )
    if len(undecided) == len(rows):
        return f"{_frame(evidence)} {_nothing_decided(evidence, undecided)}."
    halves = [(one.effect.high - one.effect.low) / 2 for one in (*hurt, *helped) if not one.effect.constant]
    half = min(halves, default=inf)
    sized = [[(_name(evidence, one), f" ({_size(evidence, one, half)})") for one in side] for side in (hurt, helped)]
    same = [(_name(evidence, one), _margin(evidence, one)) for one in alike]
    equal = [one for one in undecided if one.effect.constant and one.effect.estimate == 0]
    undecided = [one for one in undecided if one not in equal]
    open_ = [(_name(evidence, one), "") for one in undecided]
    parts = [
        _group(sized[0], "hurt"),
        _group(sized[1], "helped"),
        _group(same, "makes no difference that matters" if len(same) == 1 else "make no difference that matters"),
        _group(open_, "is undecided" if len(open_) == 1 else "are undecided") + _room(evidence, undecided),
        _group([(_name(evidence, one), "") for one in equal], "made no difference in any pair"),
        _group(harmed, f"hurt, {UNSIZED}"),
        _group(eased, f"helped, {UNSIZED}"),
        _group(unsized, "cannot be judged, as trainings failed"),
        _group(lacking, "cannot be judged yet, as too many pairs of trainings are missing"),
        _group(idle, f"{'does' if len(idle) == 1 else 'do'} nothing here, to the last digit"),
    ]
    return f"{_frame(evidence)} {'; '.join(filter(None, parts))}."


def _largest_first(rows: Iterable[Ranked]) -> list[Ranked]:
    """Returns `rows` by the size of their effects; those without a number come last."""
    return sorted(rows, key=lambda one: -abs(one.effect.estimate) if isfinite(one.effect.estimate) else inf)


def _group(changes: Sequence[tuple[str, str]], verb: str) -> str:
    """Returns what came of some changes: `no dropout helped (14 points)`, `2 changes hurt: a (3 points) and b (1)`.

    Each change is its name and what stands behind it.  Empty if there is no change.
    """
    if len(changes) == 1:
        ((name, behind),) = changes
        return f"{name} {verb}{behind}"
    return f"{len(changes)} changes {verb}: {_most([''.join(words) for words in changes])}" if changes else ""


def _nothing_decided(evidence: Findings, rows: Sequence[Ranked]) -> str:
    if len(rows) > 1:
        return f"none of {len(rows)} changes is clearly better or worse{_room(evidence, rows)}"
    (row,) = rows
    return f"{_name(evidence, row)} is not clearly better or worse{_measured(evidence, row)}"


def _name(evidence: Findings, row: Ranked) -> str:
    return evidence.called(row.effect)


def _size(evidence: Findings, row: Ranked, half: float) -> str:
    """Returns the size of an effect with the digits that an interval of that half width leaves.

    An effect that is the same in every pair has no interval, and the text says so.  Where the effect clearly has
    another sign on some data sets, it names them.
    """
    metric = evidence.main_metric
    others = other_way(evidence, row.effect, evidence.study.rule.alpha)
    beside = f" on average, and the other way on {listed(others)}" if others else ""
    always, half = (" in every pair", inf) if row.effect.constant else ("", half)
    return f"{in_unit(metric, briefly(metric, row.effect.estimate, half))}{always}{beside}"


def _margin(evidence: Findings, row: Ranked) -> str:
    """Returns what a difference that matters would be at least, of ratios nothing: ` (less than 0.7 points)`.

    Where the effect on some data sets clearly is not zero, and is that large, the text names them.
    """
    metric, there = evidence.main_metric, told_on(evidence, row.effect, evidence.study.rule.alpha)
    some = [name for name, one in there.items() if abs(one.estimate) > row.margin]
    least = "" if is_ratio(metric) else f"less than {in_unit(metric, f'{row.margin:g}')}"
    apart = f"on average over the data sets, but more on {listed(some)}" if some else ""
    said = ", ".join(filter(None, (least, apart)))
    return f" ({said})" if said else ""


def _measured(evidence: Findings, row: Ranked) -> str:
    effect = row.effect
    if effect.constant:
        pairs = "both pairs" if effect.n == 2 else f"all {effect.n} pairs"
        found = in_unit(evidence.main_metric, wording.effect(evidence, effect.estimate))
        untold = "too few to tell" if effect.overlap == 0 else "which tell no direction, as the splits overlap"
        return f" ({found} in {pairs}, {untold})" if effect.estimate else " (no difference in any pair)"
    if not isfinite(effect.low):
        return ""
    numbers = wording.effect(evidence, effect.estimate), wording.bounds(evidence, effect.low, effect.high)
    return f" ({in_unit(evidence.main_metric, ' '.join(numbers))})"


def _room(evidence: Findings, rows: Sequence[Ranked]) -> str:
    """Returns how far from no effect the intervals of undecided changes reach, in brackets; empty if not known."""
    metric = evidence.main_metric
    reaches = [max(abs(one.effect.low), abs(one.effect.high)) for one in rows]
    bounds = [reach for reach in reaches if isfinite(reach)]
    if is_ratio(metric) or not bounds:
        return ""
    reach = max(bounds)
    whose = "its interval reaches" if len(rows) == 1 else "their intervals reach"
    if len(bounds) < len(rows):
        others = "other reaches" if len(bounds) == 1 else "others reach"
        whose = f"{len(rows) - len(bounds)} without an interval; the {others}"
    return f" ({whose} up to {in_unit(metric, briefly(metric, reach, reach / 5))} from no effect)"


def _trends(evidence: Findings) -> list[str]:
    """Returns one sentence on all components with doses: `The test error rises with depth (..) and falls with ..`."""
    from ablations.reporting.sections.doses import FALLS, NO_TREND, RISES, direction, is_unknown, slope_words

    found: dict[str, list[str]] = {RISES: [], FALLS: [], NO_TREND: []}
    for one in trends(evidence):
        if not is_unknown(one):
            found[direction(one)].append(f"{one.component}{slope_words(evidence, one)}")
    parts = [f"{verb} {_most(names)}" for verb, names in found.items() if names]
    return [f"The {wording.what(evidence)} {listed(parts)}."] if parts else []


def _claims(evidence: Findings) -> list[str]:
    """Returns one sentence that counts the claims by verdict; none if there is no claim."""
    judged = evidence.verdicts
    if not judged:
        return []
    whose = "claim" if all(one.own for one in judged) else "published claim"
    found: dict[str, list[str]] = {}
    for one in sorted(judged, key=lambda one: CALLS.index(one.call)):
        other = metric_of(one.claim, evidence.phase) != evidence.metric
        on = f", on the {one.metric.words}" if other and not evidence.study.setting.races else ""
        found.setdefault(one.words, []).append(f"{evidence.words.claim(one.claim)}{on}")
    if len(judged) == 1:
        return [f"The {whose}: {judged[0].words}."]
    # Two claims may ask the same, which is then not evidence twice: so the number of comparisons is given if it is
    # smaller.  Within one family it is the m of the rule.
    compared = len({asked for one in judged for asked in one.claim.questions})
    on = f" on {counted(compared, 'comparison')}" if compared < len(judged) else ""
    return [f"Of {len(judged)} {whose}s{on}: {listed([_count(*group) for group in found.items()])}."]


def _count(words: str, changes: Sequence[str]) -> str:
    """Returns how many claims came to this, and on what where that is but one: `not tested (2, both on no LRN)`."""
    (first, *others) = dict.fromkeys(changes)
    if others:
        return f"{words} ({len(changes)})"
    every = "both" if len(changes) == 2 else "all"
    return f"{words} ({first})" if len(changes) == 1 else f"{words} ({len(changes)}, {every} on {first})"
