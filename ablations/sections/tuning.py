"""The section on learning rates: what was tried for each arm, and what was chosen."""

from __future__ import annotations

from ablations.evidence import Evidence
from ablations.sections.document import MISSING, Section, Table, number, told
from ablations.sections.outcomes import picture
from ablations.tune import at_edge, outcome
from ablations.types import DONE, Attempt, Tuned, Tuning
from ablations.words import counted


def section(evidence: Evidence) -> Section | None:
    """How each arm's rate was chosen; None where every arm has the preset's own."""
    tuning = evidence.study.tuning
    if tuning is None:
        return None
    if not tuning.arms:
        return Section(title="Learning rates", blocks=("The learning rates are still being tuned.",))
    from ablations.figures_speed import rates

    what = _measure(tuning)
    caption = f"{what[0].upper()}{what[1:]} against the learning rate, one trial a point. Rings: chosen."
    if tuning.budget.threshold_percent is not None:
        caption += " Triangles: ended there without arriving."
    chosen = [f"{arm.variant.label} is best at {arm.factor:g} times its own rate" for arm in tuning.arms]
    drawing = picture(
        "rates", caption, told("A line an arm, through what each rate came to", chosen), rates(tuning, what)
    )
    edges = [_edge(arm) for arm in tuning.arms if at_edge(arm)]
    table = Table(
        caption="Every rate that was tried, in the order in which it was.",
        head=("arm", "times its own rate", what, "outcome", "record"),
        rows=tuple(_row(tuning, arm, one) for arm in tuning.arms for one in arm.attempts),
        collapsed=len(tuning.arms) * tuning.trials > 24,
        files=tuple(f"tuning/trials/{one.key}.json" for arm in tuning.arms for one in arm.attempts),
    )
    return Section(title="Learning rates", blocks=(_words(evidence, tuning), *edges, drawing, table))


def _measure(tuning: Tuning) -> str:
    threshold = tuning.budget.threshold_percent
    return f"steps to {threshold:g}% training error" if threshold is not None else "validation top-1 error, percent"


def _words(evidence: Evidence, tuning: Tuning) -> str:
    chosen = ", ".join(f"{arm.variant.label} {arm.factor:g} times its own" for arm in tuning.arms)
    controls = f" Controls ({', '.join(evidence.study.controls)}) have the reference's rate." * bool(
        evidence.study.controls
    )
    early = " A trial that had taken as many steps as the best of its arm without arriving was ended: it had lost."
    return (
        f"Before the study each arm had {counted(tuning.trials, 'trial')} for its learning rate, of one seed that the "
        f"study does not use ({tuning.seed:,}), on {tuning.budget.train_examples:,} images, with the validation images "
        "held out and no test image seen: the arm's own rate, then on either side of the best so far. Chosen: "
        f"{chosen}. One training decides between two rates, so neighbours are hardly told apart.{controls}"
        f"{early if tuning.budget.stop_at_threshold else ''}"
    )


def _edge(arm: Tuned) -> str:
    return (
        f"The best rate of {arm.variant.label}, {arm.factor:g} times its own, lies at the edge of what was tried: a "
        "better one may lie beyond."
    )


def _row(tuning: Tuning, arm: Tuned, one: Attempt) -> tuple[str, ...]:
    timed = tuning.budget.threshold_percent is not None
    value = outcome(tuning, one)
    if timed:
        came_to = number(value, 0) if value is not None else f"> {one.steps:,}" if one.steps else MISSING
    else:
        came_to = number(value) if value is not None else MISSING
    what = one.status if one.status != DONE else "chosen" if one.factor == arm.factor else ""
    return (arm.variant.label, f"{one.factor:g}", came_to, what, one.key)
