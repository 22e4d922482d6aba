"""The section on ensembles: the softmax outputs of a variant's networks, averaged over seeds."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ablations.analysis.averages import Averaged
from ablations.analysis.ensembles import Ensemble
from ablations.analysis.evidence import finished
from ablations.analysis.verdicts import Findings
from ablations.core.text import counted, interval, number, signed, told
from ablations.records.predictions import MOST_PROBABILITIES
from ablations.reporting.document import Block, Section, Table
from ablations.reporting.parts import parts_of
from ablations.reporting.sections.outcomes import picture


def section(evidence: Findings) -> Section | None:
    """Returns the section; None if no variant has predictions of two networks and nothing was published."""
    if evidence.study.seeds < 2 or evidence.study.setting.races:
        return None
    kept = evidence.averages
    found = {label: kept[label] for label in evidence.labels if label in kept and kept[label].ensembles}
    published = parts_of(evidence.study.subject).ensembles
    if not found and not published:
        return None
    blocks: list[Block] = [
        "The softmax outputs of networks that differ in nothing but their seed, averaged image by image. No training "
        "was added: they are the networks of this study. A gain is the error of the average less the mean error of "
        "its networks, so below zero the average is better."
    ]
    if missing := len(finished(evidence)) - sum(len(one.keys) for one in kept.values()):
        blocks.append(_missing(missing, evidence))
    if "reference" in found:
        blocks.append(_headline(found["reference"].ensembles[-1], evidence))
    if published:
        blocks.append(published)
    if found:
        blocks += [_figure(evidence, found), _whole(evidence, found), *_smaller(evidence, found)]
    return Section(title="Ensembles of the seeds", blocks=tuple(blocks))


def _missing(count: int, evidence: Findings) -> str:
    of = counted(len(finished(evidence)), "finished trial")
    return (
        f"The predictions of {count:,} of {of} are not here. They lie beside the records, in predictions/, but are no "
        f"part of the repository, and a trial keeps none above {MOST_PROBABILITIES:,} numbers. To have them, train "
        "again: the same command with another --results."
    )


def _headline(whole: Ensemble, evidence: Findings) -> str:
    error, single = (f"{number(value)}%" for value in (whole.error, whole.single))
    return (
        f"All {whole.size} networks of the reference, averaged, have {error} {evidence.phase} error, where one has "
        f"{single} on average: {signed(whole.gain)} points (95% interval over the choice of the {evidence.phase} "
        f"images {interval(whole.low, whole.high)})."
    )


def _figure(evidence: Findings, found: Mapping[str, Averaged]) -> Block:
    from ablations.reporting.figures.curves import learning_curves

    rows = []
    for label in (label for label in evidence.shown if label in found):
        sizes = {1: found[label].errors, **{one.size: one.errors for one in found[label].ensembles}}
        rows += [
            (evidence.names[label], number, size, error)
            for size, errors in sizes.items()
            for number, error in enumerate(errors)
        ]
    curves = pd.DataFrame(rows, columns=["variant", "seed", "epoch", "error"])
    others = [name for name in dict.fromkeys(curves["variant"]) if name != "reference"]
    what = f"{evidence.phase} error, percent"
    figure = learning_curves(curves, others, what, along="networks averaged", ranges=True)
    ends = [
        f"{evidence.names[label]} from {number(whole.single)}% to {number(whole.error)}% with {whole.size}"
        for label, whole in _all(found).items()
    ]
    caption = (
        f"The {evidence.phase} error of averages of so many networks: mean over the ensembles of that size, and a band "
        "from the lowest to the highest (a range, no confidence interval). Grey: the reference."
    )
    return picture("ensembles", caption, told("Error falling with the number of networks averaged", ends), figure)


def _all(found: Mapping[str, Averaged]) -> dict[str, Ensemble]:
    """Returns the average of all networks of each variant."""
    return {label: one.ensembles[-1] for label, one in found.items()}


def _whole(evidence: Findings, found: Mapping[str, Averaged]) -> Table:
    rows = [
        (
            evidence.names[label],
            str(whole.size),
            number(whole.single),
            number(whole.error),
            signed(whole.gain),
            interval(whole.low, whole.high),
        )
        for label, whole in _all(found).items()
    ]
    head = ("variant", "networks", "one, %", "all averaged, %", "gain, points", "95% interval")
    caption = "All networks of a variant, averaged. The interval is over the choice of the images, for these networks."
    return Table(caption=caption, head=head, rows=tuple(rows))


def _smaller(evidence: Findings, found: Mapping[str, Averaged]) -> list[Table]:
    rows = [
        (
            evidence.names[label],
            str(one.size),
            str(len(one.errors)),
            number(one.error),
            signed(one.gain),
            interval(one.low, one.high),
        )
        for label, averaged in found.items()
        for one in averaged.ensembles[:-1]
    ]
    head = ("variant", "averaged", "ensembles", "error, %", "gain, points", "95% interval")
    caption = "Fewer networks, mean over ensembles. The interval is over the choice of networks and of images."
    return [Table(caption=caption, head=head, rows=tuple(rows), collapsed=True)] if rows else []
