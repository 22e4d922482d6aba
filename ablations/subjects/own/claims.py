"""The claims of a study file, each about a change that the file makes -> the claims that verdicts are on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablations import subject as written
from ablations.core.claim import DIRECTIONS, Claim, Conditions
from ablations.core.errors import InputError, nearest, shown
from ablations.core.labels import by_rule
from ablations.core.setting import Metric
from ablations.core.variant import Departure
from ablations.subjects.own.configs import plain, value_of
from ablations.subjects.own.levels import Part
from ablations.subjects.own.metrics import in_words, said_of


def claims_in(
    subject: written.Subject, parts: Mapping[str, Part], metrics: Mapping[str, Metric], path: Path
) -> Sequence[Claim]:
    """Returns the claims of the study file at `path`, whose components are `parts`.  All of them have different names.

    A `Claim` takes the place of what an `Every` claims of the same change and metric.  Raises InputError on a claim
    about an unknown change or metric, on one without a smallest effect of interest, and on one that is made twice.
    """
    own = {
        place: _claim(one, subject, parts, metrics, path)
        for place, one in enumerate(subject.claims)
        if isinstance(one, written.Claim)
    }
    asked = {claim.asks for claim in own.values()}
    found = list[Claim]()
    for place, one in enumerate(subject.claims):
        if isinstance(one, written.Claim):
            found.append(own[place])
        else:
            every = _on_every(parts, one, plain(subject.reference))
            general = (_claim(each, subject, parts, metrics, path) for each in every)
            found += [claim for claim in general if claim.asks not in asked]
    _check_repeats(found, metrics)
    return _told_apart(found, metrics)


def _check_repeats(claims: Sequence[Claim], metrics: Mapping[str, Metric]) -> None:
    """Raises InputError if two claims are about the same comparison, direction and smallest effect of interest."""
    seen = set()
    for one in claims:
        asked = (one.asks, one.direction, one.smallest_effect)
        if asked in seen:
            metric = metrics[one.metric]
            what = said_of(one.component, one.level, _kind(one, metric), one.metric)
            beside = f", against {one.against}" if one.against else ""
            raise InputError(
                f"two claims say that {what}{beside}, both with by={metric.told(one.smallest_effect):g}: leave one "
                "of them out, or give it another by=."
            )
        seen.add(asked)


def _told_apart(claims: Sequence[Claim], metrics: Mapping[str, Metric]) -> tuple[Claim, ...]:
    """Returns `claims` with a name of its own for each: the first of several with one name keeps it.

    The others on the same comparison have their direction and smallest effect of interest in their names, as
    `slope_1.0_score_hurts_by_5`.  Where that is taken as well, or where names of other components and levels come to
    the same words, a number follows.
    """
    first: dict[str, Claim] = {}
    taken = {one.name for one in claims}
    found = []
    for one in claims:
        named = first.setdefault(one.name, one)
        if named is one:
            found.append(one)
            continue
        metric = metrics[one.metric]
        more = f"_{_kind(one, metric)}_by_{metric.told(one.smallest_effect):g}" if one.asks == named.asks else ""
        name, number = f"{one.name}{more}", 1
        while name in taken:
            number += 1
            name = f"{one.name}{more}_{number}"
        taken.add(name)
        found.append(replace(one, name=name))
    return tuple(found)


def _kind(claim: Claim, metric: Metric) -> str:
    """Returns the word of a study file for the direction of a claim on `metric`."""
    if claim.direction == DIRECTIONS["same"]:
        return "same"
    return "hurts" if claim.direction == metric.worse else "helps"


def _on_every(parts: Mapping[str, Part], every: written.Every, reference: Mapping[str, Any]) -> list[written.Claim]:
    pairs = [(name, level) for name, part in parts.items() for level in part.levels]
    return [
        written.Claim(
            change=f"{name}={level}", hurts=every.hurts, by=every.by, says=_earns(name, level, every, parts, reference)
        )
        for name, level in pairs
    ]


def _earns(name: str, level: str, every: written.Every, parts: Mapping[str, Part], reference: Mapping[str, Any]) -> str:
    """Returns what is claimed of a level: that a part earns its place, or that another value of it does worse."""
    if level == "off":
        return f"{name} earns its place: without it the {every.hurts} is worse"
    now = value_of(reference, name)
    said = parts[name].about.labels.get(level) or by_rule(name, level, "" if now is None else str(now))
    return f"{said}: the {every.hurts} is worse"


def _claim(
    one: written.Claim, subject: written.Subject, parts: Mapping[str, Part], metrics: Mapping[str, Metric], path: Path
) -> Claim:
    asked = [(kind, getattr(one, kind)) for kind in ("hurts", "helps", "same") if getattr(one, kind)]
    if len(asked) != 1:
        raise InputError(f"the claim on {shown(one.change)} names {len(asked)} of hurts, helps and same; it takes one.")
    ((kind, metric),) = asked
    if metric not in subject.metrics:
        raise InputError(
            f"the claim on {shown(one.change)} is about {shown(metric)}{nearest(metric, subject.metrics)} the "
            f"metrics are {', '.join(subject.metrics)}."
        )
    component, level = change_in(parts, one.change)
    by = one.by if one.by is not None else getattr(subject.metrics[metric], "smallest_effect", None)
    read = metrics[metric]
    for name, value in (("by", by), ("published_effect", one.published_effect)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InputError(f"the claim on {shown(one.change)} has {name}={shown(value)}; it must be a number.")
    if not by or not read.compared(by) > 0:
        least = f"above 1, as {metric} is compared as a ratio" if read.ratio else "above 0"
        raise InputError(f"the claim on {shown(one.change)} needs by=, the smallest effect that would matter, {least}.")
    published = one.published_effect
    if published is not None and not math.isfinite(read.compared(published)):
        raise InputError(
            f"the claim on {shown(one.change)} has the published effect {shown(published)}; {metric} is compared "
            "as a ratio, so it must be a ratio above 0, such as 1.3."
        )
    worse = read.worse
    if published is not None and kind != "same":
        _check_sign(one.change, kind, metric, published, better=-worse * read.compared(published))
    direction = {"hurts": worse, "helps": -worse, "same": DIRECTIONS["same"]}[kind]
    against = "=".join(change_in(parts, one.against)) if one.against else ""
    return Claim(
        name=f"{component}_{level}_{metric}" + (f"_against_{against.replace('=', '_')}" if against else ""),
        component=component,
        level=level,
        statement=one.says or said_of(component, level, kind, metric),
        metric=metric,
        published=in_words(published, read),
        direction=direction,
        smallest_effect=float(read.compared(by)),
        reason=one.because or "given in the study file",
        source=one.source or path.name,
        published_effect=None if published is None else read.compared(published),
        against=against,
        family=path.stem,
        conditions=Conditions(always_proxy=one.proxy),
    )


def _check_sign(change: str, kind: str, metric: str, published: float, *, better: float) -> None:
    """Raises InputError if a published effect is not what a claim says; `better` is above 0 if it is for the better."""
    if better * (1 if kind == "helps" else -1) < 0:
        raise InputError(
            f"the claim on {shown(change)} says that it {kind} {metric}, and its published effect of {published:g} "
            "says the opposite; it is the outcome with the change minus that without it."
        )


def change_in(parts: Mapping[str, Part], words: str) -> Departure:
    """Returns the change that `words` name: `norm=group`, or `norm` for the first level of norm.

    Raises InputError if the file makes no such change.
    """
    name, _, level = words.partition("=")
    if name not in parts:
        raise InputError(f"a claim is on {shown(words)}{nearest(name, parts)} the components are {', '.join(parts)}.")
    part = parts[name]
    level = level or next(iter(part.levels))
    if level not in part.levels:
        raise InputError(
            f"a claim is on {shown(words)}{nearest(level, part.levels)} {name} has {', '.join(part.levels)}."
        )
    return name, level
