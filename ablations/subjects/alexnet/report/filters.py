"""The report's section on the reference's first layer: its kernels as a picture, and how colourful each group is.

Shapes: O filters, C colours, K pixels a side.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from ablations.analysis.effects import mean_interval
from ablations.analysis.evidence import finished
from ablations.analysis.verdicts import Findings
from ablations.core.result import Result
from ablations.core.text import counted, interval, number, probability, told
from ablations.reporting.document import Block, Section, Table
from ablations.reporting.sections.outcomes import picture
from ablations.subjects.alexnet.filters import Array, unpack
from ablations.subjects.alexnet.setting import spec_of

SHUFFLES = 9_999  # random divisions of the filters into two groups, for a p-value; the smallest possible is 1e-4


def _groups_of(result: Result) -> int:
    """Returns the number of groups of the second convolution, which divide the kernels of the first."""
    blocks = spec_of(result.trial.config).blocks
    return blocks[1].groups if len(blocks) > 1 else 1


def section(evidence: Findings) -> Section | None:
    """Returns the section that redraws figure 3 of the paper for this reference, or None if no record has kernels."""
    kept = {
        one.trial.seed: (
            kernels,
            _groups(_groups_of(one), kernels),
        )
        for one in finished(evidence)
        if one.extras.get("filters")
        and (kernels := unpack(one.extras["filters"])) is not None
        and kernels.shape[1] in (1, 3)
    }
    if not kept:
        return None
    from ablations.subjects.alexnet.report.kernels import filters

    seed, (first, groups) = next(iter(kept.items()))
    count, channels, side, _ = first.shape
    blocks: list[Block] = []
    shares = {which: [share(part) for part in parts] for which, (_, parts) in kept.items()}
    words = [f"{len(part)} filters" + (f", {colour.mean():.0%} colour" if channels > 1 else "")
             for part, colour in zip(groups, shares[seed], strict=True)]  # fmt: skip
    titles = [f"group {place}: {text}" if len(groups) > 1 else text for place, text in enumerate(words, 1)]
    caption = (
        f"The {count} kernels of {side} x {side} pixels that the reference's first layer has learned, seed {seed}, "
        "each scaled by its own largest weight; grey is zero, or the same for all colours."
    )
    if channels > 1:
        blocks.append(
            "Colour is the share of a kernel's energy that its colours do not have in common: the squares of what is "
            "left when their mean is taken away, over the squares of all weights. A kernel that looks at brightness "
            "alone has 0%; one that has learned nothing has about 67%. In the paper's figure 3 the filters of one GPU "
            "were largely without colour and those of the other largely for colour, in every run and in either order "
            "(section 6.1)."
        )
        caption += " In order of their colour."
    ordered = [part[np.argsort(colour)] for part, colour in zip(groups, shares[seed], strict=True)]
    blocks.append(picture("filters", caption, told("Tiles of learned kernels", titles), filters(ordered, titles)))
    if channels > 1:
        blocks += _table(shares)
    return Section(title="First-layer filters (figure 3)", blocks=tuple(blocks))


def share(kernels: Array) -> Array:
    """Returns the colour share (O,) of each kernel (O, C, K, K): the share of its energy that colours do not share.

    It is 0 for a kernel that sees brightness only, and at most 1.
    """
    energy = np.square(kernels).sum(axis=(1, 2, 3))
    chroma = np.square(kernels - kernels.mean(axis=1, keepdims=True)).sum(axis=(1, 2, 3))
    return np.asarray(chroma / np.where(energy > 0, energy, 1))


def split_p(one: Array, other: Array) -> float:
    """Returns how often two groups to which the filters are assigned at random differ in mean colour at least as much.

    This is the two-sided p-value of a permutation test.
    """
    found = stats.permutation_test(
        (one, other),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        vectorized=True,
        n_resamples=SHUFFLES,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def _groups(count: int, kernels: Array) -> list[Array]:
    """Splits the kernels by the group of the second layer that reads them."""
    return np.split(kernels, count) if len(kernels) % count == 0 else [kernels]


def _table(shares: dict[int, list[Array]]) -> list[Block]:
    """Returns the table of the mean colour share by seed and group, and a sentence on how much two groups differ."""
    size = len(next(iter(shares.values())))
    two = size == 2
    head = ("seed", *(f"group {place}, %" if size > 1 else "colour, %" for place in range(1, size + 1)))
    head += ("difference, points", "p, dealt at random") if two else ()
    rows = []
    for seed, parts in shares.items():
        means = [100 * float(part.mean()) for part in parts]
        row = (str(seed), *map(number, means))
        row += (number(abs(means[0] - means[1])), probability(split_p(*parts))) if two else ()
        rows.append(row)
    caption = "Mean colour of the filters, by seed." + (
        " Which group is the colourful one is chance, so the difference is without sign; p: dealing the filters to two "
        "groups at random gives one as large."
        if two
        else ""
    )
    blocks: list[Block] = [Table(caption=caption, head=head, rows=tuple(rows))]
    if two and len(shares) > 1:
        gaps = [100 * abs(float(parts[0].mean() - parts[1].mean())) for parts in shares.values()]
        clear = sum(split_p(*parts) < 0.05 for parts in shares.values())
        mean, low, high = mean_interval(gaps)
        blocks.append(
            f"The groups differ by {number(mean)} points on average over {counted(len(gaps), 'seed')} (95% interval "
            f"{interval(low, high, sign=False)}; never below zero, so zero inside means little), and by more than "
            f"dealing explains at p below 0.05 in {clear} of {len(gaps)}."
        )
    return blocks
