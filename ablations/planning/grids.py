"""Grids: which variants a study trains, as functions of the (component, level) pairs under study.

Only `fractional` needs more than the standard library: its design comes from pyDOE.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ablations.core.claim import MAIN, ONE_IN, ONE_OUT
from ablations.core.errors import InputError, unknown
from ablations.core.limits import MOST_VARIANTS
from ablations.core.load import FIRST, load
from ablations.core.variant import Departure, Variant

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Design:
    """The variants that a grid chose."""

    variants: tuple[Variant, ...]  # in the order in which they run, the reference first
    aliases: tuple[str, ...] = ()  # of a fraction, such as "activation = dropout*lrn"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A named way to choose variants."""

    name: str
    summary: str
    make: Callable[..., Design]  # departures -> design; it takes a resolution as well if `resolved`
    first: int = 0  # it takes so many of the subject's headline components; 0: all of them
    defaults: tuple[str, ...] = ()  # the components it takes when none are named; empty: the subject's headline
    bare: bool = False  # whether it takes no components at all
    factorial: bool = False  # balanced over one level a component, so that main effects can be had
    # Options of the command line that it sets unless they are given: name -> value.
    options: Mapping[str, str | int | float] = field(default_factory=dict)
    controls: tuple[str, ...] | None = None  # controls that are trained beside it; None: all of them
    estimand: str = ONE_OUT  # what its claims are judged on
    singles: bool = True  # whether it holds every single departure, two of which a claim may compare
    resolved: bool = False  # whether it takes a resolution


RESOLUTIONS = (4, 5, 6)  # resolutions that a fraction may have; the first is the default

GRIDS: dict[str, Grid] = {}


def grid(name: str, summary: str, **fields: Any) -> Callable[[Callable[..., Design]], Callable[..., Design]]:
    """Registers the decorated function as a grid; `fields` are those of `Grid`.  A duplicate name raises ValueError."""

    def register(make: Callable[..., Design]) -> Callable[..., Design]:
        if name in GRIDS:
            raise ValueError(f"grid {name!r} is registered twice")
        GRIDS[name] = Grid(name=name, summary=summary, make=make, **fields)
        return make

    return register


def grids_of(subject: str = FIRST) -> dict[str, Grid]:
    """Returns the engine's grids and the subject's own, by name."""
    own = {
        name: replace(
            GRIDS[recipe.grid],
            name=name,
            summary=recipe.summary,
            defaults=recipe.components,
            options=recipe.options,
            controls=recipe.controls,
        )
        for name, recipe in load(subject).recipes.items()
    }
    return {**GRIDS, **own}


def find(name: str, subject: str = FIRST) -> Grid:
    """Returns the grid of that name; its `defaults` are the components that it takes if none are named.

    Raises InputError, with the nearest name, if there is none.
    """
    known = grids_of(subject)
    if name not in known:
        raise unknown("grid", name, known)
    found, asked = known[name], load(subject)
    headline = tuple(asked.headline if found.estimand != ONE_OUT or not asked.every else asked.every)
    if found.defaults or found.bare:
        return found
    return replace(found, defaults=headline[: found.first or None])


def _variants(choices: Sequence[Sequence[Departure]]) -> tuple[Variant, ...]:
    return tuple(Variant(departures=tuple(choice)) for choice in choices)


def one_level_each(departures: Sequence[Departure]) -> None:
    """Raises InputError if a component comes with two levels, which a two-level design cannot hold."""
    names = [name for name, _ in departures]
    for name in names:
        if names.count(name) > 1:
            levels = ", ".join(level for other, level in departures if other == name)
            raise InputError(f"this grid takes one level a component, and {name} came with {levels}.")


@grid("reference", "the reference alone, without controls: does it train?", bare=True, options={"seeds": 3})
def reference(departures: Sequence[Departure]) -> Design:
    """1 variant."""
    if departures:
        raise InputError("--grid reference trains no departure; leave --components out, or take --grid one_out.")
    return Design(variants=(Variant(),))


@grid("one_out", "the reference, and each departure from it alone")
def one_out(departures: Sequence[Departure]) -> Design:
    """1 + k variants."""
    return Design(variants=_variants([(), *((departure,) for departure in departures)]))


@grid(
    "smoke",
    "one_out over two components: does everything work?",
    first=2,
    options={"seeds": 1},
)
def smoke(departures: Sequence[Departure]) -> Design:
    """1 + k variants."""
    return one_out(departures)


@grid("one_in", "every component departed at once, and each put back alone", estimand=ONE_IN, singles=False)
def one_in(departures: Sequence[Departure]) -> Design:
    """2 + k variants: the bare network, and the bare network plus one component; the reference for the controls."""
    one_level_each(departures)
    returned = [tuple(other for other in departures if other != departure) for departure in departures]
    # If there is only one component, putting it back gives the reference again, which `dict.fromkeys` drops.
    return Design(variants=_variants(list(dict.fromkeys([(), tuple(departures), *returned]))))


@grid("pairs", "the reference, each departure alone, and every two together")
def pairs(departures: Sequence[Departure]) -> Design:
    """1 + k + k (k - 1) / 2 variants, less the pairs of two levels of one component."""
    singles = [(departure,) for departure in departures]
    twos = [(one, two) for one, two in itertools.combinations(departures, 2) if one[0] != two[0]]
    return Design(variants=_variants([(), *singles, *twos]))


@grid("full", "every combination: 2^k variants, all main effects and interactions", factorial=True, estimand=MAIN)
def full(departures: Sequence[Departure]) -> Design:
    """2^k variants, those with fewer departures first."""
    one_level_each(departures)
    if 2 ** len(departures) > MOST_VARIANTS:
        raise InputError(
            f"full has {2 ** len(departures):,} variants of {len(departures)} components, and a study has "
            f"{MOST_VARIANTS:,} at most: name fewer --components, or take --grid fractional."
        )
    subsets = (itertools.combinations(departures, size) for size in range(len(departures) + 1))
    return Design(variants=_variants(list(itertools.chain.from_iterable(subsets))))


@grid(
    "fractional",
    "a fraction of `full`: main effects free of two-way aliases, and from --resolution 5 on interactions too",
    factorial=True,
    estimand=MAIN,
    singles=False,
    resolved=True,
)
def fractional(departures: Sequence[Departure], resolution: int = RESOLUTIONS[0]) -> Design:
    """The smallest two-level fraction of at least that resolution, by pyDOE.

    Resolution IV keeps main effects clear of two-way interactions, in 16 variants for 5 to 8 components.  Resolution V
    keeps two-way interactions clear of each other as well, in 32 variants for six components.  If the fraction lacks
    the reference, it is added, because the controls are compared with it.  Raises InputError if there are fewer
    components than the resolution needs.
    """
    import numpy as np
    from pydoe import fracfact_by_res

    one_level_each(departures)
    if len(departures) < resolution:
        least = "" if resolution == RESOLUTIONS[0] else f" of resolution {resolution}"
        raise InputError(
            f"fractional{least} needs {resolution} components or more, not {len(departures)}; take --grid full."
        )
    # For six components, pyDOE's half fraction of resolution V lacks the reference, and that of VI is as small and has
    # it.  So all resolutions from the highest down are tried, and the first of the smallest designs is taken.
    highest = resolution if resolution == RESOLUTIONS[0] else len(departures)
    signs = min((fracfact_by_res(len(departures), one) for one in range(highest, resolution - 1, -1)), key=len)
    chosen = [tuple(itertools.compress(departures, row > 0)) for row in signs]
    if () not in chosen:
        chosen.insert(0, ())
    return Design(
        variants=_variants(sorted(chosen, key=len)),
        aliases=_aliases(np.asarray(signs), [name for name, _ in departures]),
    )


def _aliases(signs: np.ndarray, names: Sequence[str]) -> tuple[str, ...]:
    """Writes which main effects and two-way interactions share a column of `signs` (runs, factors), up to sign."""
    import numpy as np

    words: dict[tuple[float, ...], list[str]] = {}
    for size in (1, 2):
        for factors in itertools.combinations(range(len(names)), size):
            column = np.prod(signs[:, factors], axis=1)
            column = column * column[0]  # a column and its negative are one alias
            words.setdefault(tuple(column), []).append("*".join(names[index] for index in factors))
    return tuple(" = ".join(group) for group in words.values() if len(group) > 1)
