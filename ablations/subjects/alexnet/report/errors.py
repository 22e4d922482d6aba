"""The report's section on errors after the last epoch, on training and on evaluation images."""

from __future__ import annotations

import pandas as pd

from ablations.analysis.verdicts import Findings
from ablations.core.text import interval, number, signed, told
from ablations.reporting.document import Block, Section, Table, without_empty
from ablations.reporting.sections.notes import mean_and_interval
from ablations.reporting.sections.outcomes import left_out, not_drawn, picture
from ablations.subjects.alexnet.metrics import FITTED, GAP


def section(evidence: Findings) -> Section:
    """Returns the section: a figure of both errors of each variant, and a table of every variant."""
    phase = evidence.phase
    words = (
        "Training errors here are those after the last epoch, on training images without augmentation and with dropout "
        "switched off, so that the two errors are measured alike. The gap is the "
        f"{phase} error minus the training error."
    )
    blocks: list[Block] = [words]
    names = {"train": FITTED, "evaluation": evidence.metric}
    columns = {key: pd.Series({one: evidence.mean(name, one) for one in evidence.shown}) for key, name in names.items()}
    means = pd.DataFrame(columns).dropna().rename(index=evidence.names)
    if len(means):
        from ablations.subjects.alexnet.report.gap import gap

        caption = (
            f"Training error (hollow) and {phase} error (filled), means over seeds.{left_out(evidence)}"
            f"{not_drawn(evidence, list(means.index))}"
        )
        blocks.append(picture("gap", caption, _pairs_told(means, phase), gap(means, phase)))
    measured = (f"{phase} top-1, %", "95% interval", f"{phase} top-5, %", f"{phase} loss")
    head = ("variant", "seeds", *measured, "train top-1, %", "gap, points", "failed")
    rows = tuple(_error_row(evidence, one) for one in evidence.labels)
    caption = "Errors after the last epoch, means over the seeds that trained, every variant."
    table = Table(caption=caption, head=head, rows=rows, collapsed=len(rows) > 24)
    blocks.append(without_empty(table, "failed"))
    return Section(title="Errors and the train/test gap", blocks=tuple(blocks))


def _pairs_told(means: pd.DataFrame, phase: str) -> str:
    pairs = [f"{name} {number(row['train'])} and {number(row['evaluation'])}" for name, row in means.iterrows()]
    return told(f"A line for each variant from its training error to its {phase} error, in percent", pairs)


def _error_row(evidence: Findings, variant: str) -> tuple[str, ...]:
    n, mean, low, high = mean_and_interval(evidence, evidence.metric, variant)
    others = [evidence.mean(f"{evidence.phase}_{name}", variant) for name in ("top5_error_percent", "loss")]
    return (
        evidence.names[variant],
        f"{n} of {evidence.study.seeds}",
        number(mean),
        interval(low, high, sign=False),
        number(others[0]),
        number(others[1], 3),
        number(evidence.mean(FITTED, variant)),
        signed(evidence.mean(GAP, variant)),
        "{} of {}".format(*evidence.failed_by_variant[variant]) if variant in evidence.failed_by_variant else "",
    )
