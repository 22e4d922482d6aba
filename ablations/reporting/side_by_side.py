"""The report on two studies: the effects that both have, how they differ, and what else differs between the studies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite, nan, sqrt

import pandas as pd

from ablations.analysis.statistics import LEVEL, benjamini_hochberg, largest, over_seeds, p_of_mean, t_interval
from ablations.analysis.verdicts import Findings
from ablations.core.effect import Effect
from ablations.core.errors import InputError
from ablations.core.study import Study
from ablations.core.text import MINUS, MISSING, counted, listed, probability, told
from ablations.core.units import is_ratio
from ablations.reporting import wording
from ablations.reporting.answer import not_judged
from ablations.reporting.document import Answer, Block, Picture, Report, Section, Table
from ablations.reporting.figures.forest import NARROW, WIDE, Row, forest
from ablations.reporting.parts import parts_of
from ablations.reporting.sections.outcomes import picture
from ablations.reporting.sections.results import written
from ablations.reporting.trust import trust_line

# How a difference was computed; the third is of two effects that are each the same in every pair.
PAIRED, APART, STEADY = "seeds paired", "Welch", "neither scatters"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One effect in both studies, and their difference."""

    first: Effect  # in the first study
    second: Effect  # in the second study
    difference: Effect  # the second minus the first


def compose(first: Findings, second: Findings) -> Report:
    """Returns the report that compares two studies.

    Raises InputError if they share no component or no kind of effect, if their main metrics differ, or if one of them
    is a race to a threshold.
    """
    one, two = first.study, second.study
    for study in (one, two):
        if study.setting.races:
            raise InputError(
                f"study {study.name!r} ends its trials at a threshold, so its errors are of unequal trainings "
                "and cannot be compared with another study's."
            )
    if (measured := [_measured(one), _measured(two)])[0] != measured[1]:
        raise InputError(
            f"studies {one.name!r} and {two.name!r} measure other things: one {measured[0]}, the other {measured[1]}."
        )
    shared = [pair for pair in one.components if pair in two.components]
    if not shared:
        has, have = (", ".join("=".join(pair) for pair in study.components) or "nothing" for study in (one, two))
        raise InputError(
            f"studies {one.name!r} and {two.name!r} share no component: one changes {has}, the other {have}."
        )
    found = differences(first, second)
    if not found:
        raise InputError(
            f"studies {one.name!r} and {two.name!r} share components and no estimand: "
            f"grid {one.grid} and grid {two.grid} ask different questions."
        )
    unlike, alike = conditions(first, second)
    controls = {*one.controls, *two.controls}  # listed apart, as effects of controls are no findings
    studied = [item for item in found if item.first.component not in controls]
    void = [(some.study.name, not_judged(some)) for some in (first, second)]
    sentences = [f"{name} was not judged: {'; '.join(causes)}." for name, causes in void if causes]
    trust = [f"{some.study.name}: {trust_line(some)}" for some in (first, second)]
    blocks = _effects(first, second, studied) if studied else ()
    others = [item for item in found if item not in studied]
    return Report(
        name=f"{one.name} and {two.name}",
        label=f"two studies, {counted(len(shared), 'component')} in common",
        answer=Answer(
            sentences=(*sentences, _headline(first, studied)),
            trust=". ".join(trust),
            judged=not sentences,
        ),
        lead=() if sentences else blocks,
        sections=(
            *([Section(title="Effects side by side", blocks=blocks)] if sentences and blocks else []),
            Section(title="How they were compared", blocks=_method(first, second, found)),
            *([Section(title="Controls", blocks=(_table(first, second, others),))] if others else []),
            _conditions(first, second, unlike, alike),
        ),
    )


def _measured(study: Study) -> str:
    """Returns the main metric as far as effects on it depend on it: `accuracy, in points, where higher is better`."""
    metric, name = study.setting.main_metric, study.setting.main.removeprefix(f"{study.setting.phase}_")
    unit = ", as a ratio" if metric.ratio else f", in {metric.unit}" if metric.unit else ""
    return f"{name}{unit}, where {'lower' if metric.lower_is_better else 'higher'} is better"


def differences(first: Findings, second: Findings) -> list[Difference]:
    """Returns the effects on the main outcome that both studies have, each with the second minus the first."""
    others = {(one.component, one.level, one.kind): one for one in second.effects}
    both = [(one, others.get((one.component, one.level, one.kind))) for one in first.effects]
    return [
        Difference(first=one, second=two, difference=_difference(first, second, one, two))
        for one, two in both
        if two is not None and isfinite(one.estimate) and isfinite(two.estimate)
    ]


def _difference(first: Findings, second: Findings, one: Effect, two: Effect) -> Effect:
    """Returns the second effect minus the first: paired by seed if both have the same seeds.

    Otherwise it is by Welch's t, which needs an effect that scatters: of two that do not, the difference has no
    standard error, because nothing tells how much either would scatter over other seeds.
    """
    rows = [_by_seed(evidence, effect) for evidence, effect in ((first, one), (second, two))]
    paired = len(rows[0]) > 1 and rows[0].index.equals(rows[1].index)
    steady = not paired and one.constant and two.constant
    overlap = max(one.overlap, two.overlap)
    if paired:
        change, size = (rows[1] - rows[0]).to_numpy(dtype=float), largest(*(row.to_numpy(dtype=float) for row in rows))
        estimate, error, df = over_seeds(change, overlap, size)
    else:
        parts = [effect.error**2 for effect in (one, two)]
        error, estimate = nan if steady else sqrt(sum(parts)), two.estimate - one.estimate
        weights = [part**2 / effect.df for part, effect in zip(parts, (one, two), strict=True) if effect.df > 0]
        df = sum(parts) ** 2 / sum(weights) if len(weights) == 2 and sum(weights) > 0 else nan
    low, high = t_interval(estimate, error, df, LEVEL)
    return replace(
        one,
        estimate=estimate,
        low=low,
        high=high,
        p=p_of_mean(estimate, error, df, overlap),
        n=min(one.n, two.n),
        error=error,
        df=df,
        correlation=nan,
        method=PAIRED if paired else STEADY if steady else APART,
    )


def _by_seed(evidence: Findings, effect: Effect) -> pd.Series[float]:
    """Returns the paired differences of an effect, by seed."""
    found = evidence.differences
    same = (found["component"] == effect.component) & (found["level"] == effect.level) & (found["kind"] == effect.kind)
    return found.loc[same].set_index("seed")["difference"].sort_index()


def _headline(first: Findings, found: list[Difference]) -> str:
    """Returns what differs, as a count with names, and of which effects that cannot be told."""
    stable = [one for one in found if not (one.first.unstable or one.second.unstable)]
    known = [one for one in stable if isfinite(one.difference.p) or _never_differs(one.difference)]
    open_ = [one for one in stable if one not in known]
    steady = [one for one in open_ if one.difference.constant or one.difference.method == STEADY]
    apart = [_label(first, one.first) for one in known if one.difference.p < 1 - LEVEL]
    said = []
    if known:
        which = "that both studies have" + " and that can be compared" * (len(known) < len(found))
        differ = "differs" if len(apart) == 1 else "differ"
        said.append(
            f"Of {counted(len(known), 'effect')} {which}, {len(apart) or 'none'} {differ} between them at 95%, each "
            f"taken alone{f': {listed(apart)}' if apart else ''}."
        )
    if steady:
        each = [f"{_label(first, one.first)} ({wording.effect(first, one.difference.estimate)})" for one in steady]
        said.append(f"No interval tells whether {listed(each)} would differ over other seeds: all pairs are equal.")
    if failed := [_label(first, one.first) for one in found if one not in stable]:
        said.append(f"The sizes of {listed(failed)} are not compared, as trainings failed.")
    none = "No difference between the two has an interval yet: that takes two finished seeds in each study."
    return " ".join(said) or none


def _never_differs(difference: Effect) -> bool:
    """Tells whether two effects are equal under every seed, of which there is no p."""
    return difference.constant and difference.estimate == 0


def _method(first: Findings, second: Findings, found: list[Difference]) -> tuple[str, ...]:
    kinds = {one.difference.method for one in found} - {STEADY}
    how = {
        frozenset({PAIRED}): "Both have the same seeds, so the differences are paired by seed, with a paired t.",
        frozenset({APART}): "The differences are by Welch's t, as the two do not have the same finished pairs.",
    }.get(
        frozenset(kinds),
        "Differences are paired by seed where both have the same seeds, and by Welch's t elsewhere.",
    )
    if any(one.difference.method == STEADY for one in found):
        how += " Of two effects that are each the same in every pair, over other seeds, a difference has no interval."
    logarithms = ", of their logarithms and told as a ratio" if is_ratio(first.main_metric) else ""
    words = (
        f"{_what_an_effect_is(first)} A difference is the "
        f"effect in {second.study.name} minus that in {first.study.name}{logarithms}. {how} They are "
        "exploratory: no claim was made on them beforehand, and q is Benjamini and Hochberg's."
    )
    without_file = [f"{one.study.name}: {one.instead}" for one in (first, second) if one.instead]
    return words, *_trials_in_common(first, second), *without_file


def _what_an_effect_is(evidence: Findings) -> str:
    metric = evidence.main_metric
    what = evidence.study.setting.evaluated(metric.noun)
    if is_ratio(metric):
        return f"An effect is how many times the {what} is what the reference's is."
    unit = metric.unit or wording.long_unit(metric)
    return f"An effect is the change of the {what} in {unit}, departure minus reference."


def _trials_in_common(first: Findings, second: Findings) -> tuple[str, ...]:
    common = set(first.study.keys) & set(second.study.keys)
    if not common:
        return ()
    return (f"{counted(len(common), 'trial')} of the two are the very same trials, with the same keys.",)


def _effects(first: Findings, second: Findings, found: list[Difference]) -> tuple[Block, ...]:
    return _picture(first, second, found), _table(first, second, found)


def _table(first: Findings, second: Findings, found: list[Difference]) -> Table:
    adjusted = benjamini_hochberg([one.difference.p for one in found])
    rows = tuple(
        (
            _label(first, one.first),
            *(cell for effect in (one.first, one.second) for cell in _cells(first, effect)),
            wording.effect(first, one.difference.estimate),
            wording.interval(first, one.difference),
            probability(one.difference.p) if isfinite(one.difference.p) else MISSING,
            probability(q) if isfinite(q) else MISSING,
            one.difference.method,
        )
        for one, q in zip(found, adjusted, strict=True)
    )
    one, two = first.study.name, second.study.name
    head = ("change", f"{one}", "95%", "n", f"{two}", "95%", "n", "difference", "95%", "p", "q", "how")
    caption = f"Effects side by side; the difference is {two} {MINUS} {one}."
    return Table(caption=caption, head=head, rows=rows)


def _cells(evidence: Findings, effect: Effect) -> tuple[str, str, str]:
    found = wording.effect(evidence, effect.estimate), wording.interval(evidence, effect)
    return *found, f"{effect.n}{' unstable' * effect.unstable}"


def _label(evidence: Findings, effect: Effect) -> str:
    return evidence.called(effect) + ("" if effect.kind == "one out" else f" ({effect.kind})")


def _picture(first: Findings, second: Findings, found: list[Difference]) -> Picture:
    metric = first.main_metric
    what = f"difference between the effects, {wording.long_unit(metric)}"
    rows = [
        Row(
            name=_label(first, one.first),
            estimate=one.difference.estimate,
            low=one.difference.low,
            high=one.difference.high,
            written=written(first, one.difference),
            pairs=one.difference.n,
        )
        for one in found
    ]
    wide, narrow = (
        forest(rows, axis=what, lower_is_better=metric.lower_is_better, ratios=is_ratio(metric), shape=shape)
        for shape in (WIDE, NARROW)
    )
    which = f"{second.study.name} {MINUS} {first.study.name}"
    return picture(
        "differences",
        f"Differences between the two studies' effects, {which}, with 95% intervals.",
        told(
            f"A point and an interval for each effect that both studies have: {what}",
            [f"{row.name} {row.written}" for row in rows],
        ),
        wide,
        narrow,
    )


def conditions(first: Findings, second: Findings) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Returns what differs between the studies, name -> both values, and the names of what is the same in both."""
    one, two = (_facts(evidence) for evidence in (first, second))
    names = list(dict.fromkeys([*one, *two]))
    unlike = {
        name: (one.get(name, MISSING), two.get(name, MISSING)) for name in names if one.get(name) != two.get(name)
    }
    return unlike, [name for name in names if name not in unlike]


def _facts(evidence: Findings) -> Mapping[str, str]:
    study = evidence.study
    origins = [result.provenance for result in evidence.results]
    versions = [dict(one.get("versions", {})) for one in origins]
    hardware = [dict(one.get("hardware", {})) for one in origins]

    def said(values: list[object]) -> str:
        return ", ".join(sorted({str(value) for value in values if value not in (None, "")})) or MISSING

    return {
        "data set": study.setting.data,
        "data fingerprint": study.setting.fingerprint,
        "grid": study.grid,
        "seeds": str(study.seeds),
        **parts_of(study.subject).facts(evidence),
        "learning rates": study.tuning.how if study.tuning else "the preset's",
        "ended at a threshold": "yes" if study.setting.races else "no",
        "looks": ", ".join(map(str, study.looks)) or "none",
        "commit": said([str(one.get("commit", ""))[:12] for one in origins]),
        "device": said([one.get("device") for one in origins]),
        "processor": said([one.get("cpu") for one in hardware]),
        "GPU": said([one.get("gpu") for one in hardware]),
        **{
            name: said([one.get(name) for one in versions]) for name in sorted({key for one in versions for key in one})
        },
    }


def _conditions(first: Findings, second: Findings, unlike: Mapping[str, tuple[str, str]], alike: list[str]) -> Section:
    rows = tuple((name, *values) for name, values in unlike.items())
    head = ("condition", first.study.name, second.study.name)
    blocks: list[Block] = []
    if rows:
        blocks.append(Table(caption="What differs between the two studies.", head=head, rows=rows))
    blocks.append(f"The same in both: {listed(alike)}." if alike else "Nothing is the same in both.")
    own = [
        (study.name, ", ".join("=".join(pair) for pair in study.components if pair not in other.components))
        for study, other in ((first.study, second.study), (second.study, first.study))
    ]
    blocks += [f"Only {name} changes {what}." for name, what in own if what]
    return Section(title="What differs between the studies", blocks=tuple(blocks))
