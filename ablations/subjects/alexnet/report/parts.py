"""AlexNet's own words in a report: how it was trained, what its reference is, and what to compare with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ablations.analysis.gates import chance_error, linear_error
from ablations.analysis.verdicts import Findings
from ablations.core.text import counted, number
from ablations.models.presets import PRESETS
from ablations.reporting.document import Block, Table
from ablations.reporting.parts import Parts
from ablations.subjects.alexnet.baseline import limits
from ablations.subjects.alexnet.describe import difference, stack
from ablations.subjects.alexnet.report import errors, filters
from ablations.subjects.alexnet.setting import PRECISIONS, Budget, budget_of, spec_of

RATIOS = {("activation", "tanh"): 6.0}  # published ratios of iterations; figure 1, one run per arm
BACKWARD = 2  # a backward pass costs about as much as this many forward passes
CONTROLS = (
    "A placebo changes only the random draws and must show no effect. A sabotage shuffles half of the training "
    "labels and must show a clear rise. A mild sabotage shuffles a twentieth "
    "of the labels: whether it shows tells how small an effect the study could have seen."
)
ENSEMBLES = (
    "The paper averaged five networks on ILSVRC-2012: 40.7% to 38.1% top-1 error on the validation images, 2.6 points, "
    "on ten views, once (section 6). This is shown and not judged: an average over seeds has no pair of "
    "trials that the rule for claims could be applied to."
)


def _budget(evidence: Findings) -> Budget:
    return budget_of(evidence.study.setting.config)


def _plan(evidence: Findings) -> str:
    """Says what was trained: how many variants of which preset, on which data, how long and with how many seeds."""
    study, budget = evidence.study, _budget(evidence)
    what = f" ({study.question})" if study.question else ""
    until, when = ("at most ", "where it ended") if budget.stop_at_threshold else ("", "after the last epoch")
    return (
        f"{counted(len(study.variants), 'variant')} of the {study.setting.facts['reference']} on "
        f"{study.setting.data}, chosen by the grid {study.grid}{what}. Each was trained with "
        f"{counted(study.seeds, 'seed')} for "
        f"{until}{counted(budget.epochs, 'epoch')} of {budget.train_examples:,} images, {budget.image_size} pixels a "
        f"side{f' out of {budget.base_size}' if budget.base_size else ''}, in batches of {budget.batch_size}"
        f"{_order(budget)}{_precision(budget)}, and evaluated on the {budget.evaluate_on} images {when}."
        f"{_views(evidence)}"
    )


def _scale(evidence: Findings) -> str:
    """Says what was trained: `cifar_small on cifar10-jpeg, 60 epochs of 5,000 images`."""
    setting, budget = evidence.study.setting, _budget(evidence)
    data = setting.data.rstrip("/").rpartition("/")[2] if setting.data.startswith("folder:") else setting.data
    epochs = f"{'at most ' * budget.stop_at_threshold}{counted(budget.epochs, 'epoch')}"
    return f"{setting.facts['preset']} on {data}, {epochs} of {budget.train_examples:,} images"


def _order(budget: Budget) -> str:
    return f", shuffled {budget.read_window:,} at a time out of blocks from everywhere" if budget.read_window else ""


def _precision(budget: Budget) -> str:
    return "" if budget.precision == PRECISIONS[0] else f", with products of {budget.precision} in its steps"


def _views(evidence: Findings) -> str:
    """Says on which views the images were evaluated, as the records of the reference have it."""
    used = {spec_of(result.trial.config).views for result in evidence.results if not result.trial.variant.departures}
    words = {
        "centre": " An image is judged by its centre crop.",
        "ten": " An image is judged by the mean of the softmax outputs over ten views, the corners, the centre and "
        "their reflections; learning curves are by the centre crop alone.",
    }
    return "".join(words.get(one, f" An image is judged by the views {one!r}.") for one in sorted(used))


def _trivial(evidence: Findings) -> str:
    """Says what errors need no network: that of guessing, and that of a linear classifier on the same images."""
    chance, linear, budget = chance_error(evidence), linear_error(evidence), _budget(evidence)
    guessing = f"{number(chance)}%" if np.isfinite(chance) else "an error that is not known here"
    if not np.isfinite(linear):
        return f"Guessing gives {guessing}; what a linear classifier gives was not computed for this study."
    seen = ", ".join(filter(None, (limits(budget), "as seed 0 sees them")))
    return (
        f"Guessing gives {guessing}, and a linear classifier (ridge regression) on the raw pixels of the same training "
        f"images ({seen}) {number(linear)}%."
    )


def _reference(evidence: Findings) -> list[Block]:
    """Returns a table of the reference's layers, as it was trained, and of its departures from the paper."""
    preset = evidence.study.setting.facts["preset"]
    trained = (spec_of(result.trial.config) for result in evidence.results if not result.trial.variant.departures)
    known = PRESETS[preset].spec if preset in PRESETS else None
    spec = next(trained, known)
    if spec is None:
        return []
    departures = difference(spec, PRESETS["paper"].spec)
    rows = (("layers", stack(spec)), *((part, "; ".join(lines)) for part, lines in departures.items()))
    caption = f"The reference, preset {preset}" + (
        ", and where it departs from the preset paper, whose values are in brackets." if departures else "."
    )
    return [Table(caption=caption, head=("of", "value"), rows=rows, collapsed=True)]


def _timing(evidence: Findings) -> str:
    """Says how the steps to the threshold were measured, and what that cost."""
    budget = _budget(evidence)
    images = min(budget.threshold_examples, budget.train_examples)
    cost = images / ((1 + BACKWARD) * budget.threshold_every * budget.batch_size)
    stopped = " A trial ends there." if budget.stop_at_threshold else ""
    return (
        f"Every {budget.threshold_every} steps the error on the same {images:,} training images is measured, every "
        f"class in proportion, without augmentation and dropout; that adds about {100 * cost:.0f}% to the arithmetic. "
        f"The time to {budget.threshold_percent:g}% is the step at which it is first that low, on a straight line "
        f"between two looks.{stopped} A run whose {budget.steps:,} steps end before that is censored: it counts as one "
        "that takes longer, and is not left out."
    )


def _facts(evidence: Findings) -> Mapping[str, str]:
    """Returns the conditions that are compared when two studies stand beside each other."""
    budget = _budget(evidence)
    return {
        "preset": evidence.study.setting.facts["preset"],
        "epochs": str(budget.epochs),
        "training images": f"{budget.train_examples:,}",
        "batch size": str(budget.batch_size),
        "reference's rate": "the preset's" if budget.learning_rate is None else f"{budget.learning_rate:g}",
        "image size": str(budget.image_size),
        "order of an epoch": f"free within {budget.read_window:,} images" if budget.read_window else "free",
        "evaluated on": budget.evaluate_on,
        "evaluated every": f"{budget.evaluate_every} epochs" if budget.evaluate_every > 1 else "epoch",
    }


PARTS = Parts(
    plan=_plan,
    scale=_scale,
    trivial=_trivial,
    timing=_timing,
    facts=_facts,
    reference=_reference,
    outcomes=errors.section,
    sections=(filters.section,),
    ratios=RATIOS,
    controls=CONTROLS,
    result="the network",
    evaluated="images",
    paired="order of images, crops and initial weights",
    ensembles=ENSEMBLES,
)
