"""The section on learning rates: what was tried for each arm, what was chosen, and how uncertain that is."""

from __future__ import annotations

from collections.abc import Mapping

from ablations.analysis.tuning import cost, fitted
from ablations.analysis.verdicts import Findings
from ablations.core.result import DONE
from ablations.core.setting import POINTS
from ablations.core.text import MISSING, counted, number, told
from ablations.core.tuning import Attempt, Tuned, Tuning, TuningTrial, at_edge, best, outcome, outcome_of
from ablations.reporting.document import Section, Table
from ablations.reporting.sections.outcomes import picture

Names = Mapping[str, str]  # label of a variant -> its name in words


def section(evidence: Findings) -> Section | None:
    """Returns how each arm's learning rate was chosen; None if nothing was tuned."""
    tuning = evidence.study.tuning
    if tuning is None:
        return None
    if not tuning.arms:
        return Section(title="Learning rates", blocks=("The learning rates are still being tuned.",))
    from ablations.reporting.figures.time_to_target import rates

    what = _measure(tuning)
    names = _names(evidence, tuning)
    chosen = [f"{names[arm.variant.label]} is best at {arm.factor:g} times its own rate" for arm in tuning.arms]
    drawing = picture(
        "rates",
        _caption(tuning, what),
        told("A line an arm, through what each rate came to", chosen),
        rates(tuning, what, names),
    )
    edges = [_edge(arm, names) for arm in tuning.arms if at_edge(arm)]
    words = (_words(evidence, tuning), _open(tuning), *edges)
    if tuning.seeds == 1:
        return Section(title="Learning rates", blocks=(*words, drawing, _trials(tuning, what, names)))
    tables = (_rates(tuning, what, names), _trials(tuning, what, names))
    return Section(title="Learning rates", blocks=(*words, _chosen(tuning, names), drawing, *tables))


def _names(evidence: Findings, tuning: Tuning) -> dict[str, str]:
    variants = [*evidence.study.variants, *(arm.variant for arm in tuning.arms)]
    return {one.label: evidence.words.of(*one.departures) for one in variants}


def conditional(tuning: Tuning | None) -> str:
    """Returns what to add to how an effect was estimated if rates were tuned: its interval is conditional on them."""
    return "; conditional on the learning rates that were chosen" if tuning else ""


def _measure(tuning: Tuning) -> str:
    target, setting = tuning.setting.target, tuning.setting
    if target is not None:
        return f"steps to {target.value:g}{target.unit} {target.metric}"
    metric = setting.main_metric
    return f"{setting.evaluated(metric.words)}, {'percent' if metric.unit == POINTS else metric.unit}"


def _caption(tuning: Tuning, what: str) -> str:
    points = (
        f"the mean of {tuning.seeds} trials a point, and a dot a trial" if tuning.seeds > 1 else "one trial a point"
    )
    ended = " Triangles: trials that ended there without arriving." * (tuning.setting.target is not None)
    return f"{what[0].upper()}{what[1:]} against the learning rate, {points}. Rings: chosen.{ended}"


def _words(evidence: Findings, tuning: Tuning) -> str:
    seeds = counted(tuning.seeds, "seed")
    last = f" to {tuning.seed + tuning.seeds - 1:,}" if tuning.seeds > 1 else ""
    times = f"{tuning.slower:g} times " if tuning.slower != 1 else ""
    images = tuning.setting.facts.get("train_examples", 0)
    early = f" A trial that had taken {times}as many steps as the best rate of its arm was ended: its rate had lost."
    return (
        f"Before the study each arm tried {counted(tuning.rates, 'learning rate')}, with {seeds} at each that the "
        f"study does not use ({tuning.seed:,}{last}), on {images:,} images, with the validation "
        "images held out and no test image seen: the arm's own rate, then on either side of the best so far."
        f"{_controls(evidence, tuning)}{early if tuning.setting.races else ''}"
    )


def _controls(evidence: Findings, tuning: Tuning) -> str:
    """Returns which rates the variants have that were not tuned, and that the placebo's own rate was tuned."""
    study, names = evidence.study, _names(evidence, tuning)
    arms = {arm.variant for arm in tuning.arms}
    placebos = [names[one.label] for one in arms if any(name in study.controls for name, _ in one.departures)]
    others = [names[one.label] for one in study.variants if one not in arms]
    words = ""
    if placebos:
        words += f" The rate of {', '.join(placebos)} is its own, so its effect holds the error of the tuning too."
    if others:
        words += f" Not tuned themselves, with the rate of what they depart from: {', '.join(others)}."
    return words


def _open(tuning: Tuning) -> str:
    """Returns how the rate follows from the trials, and that its uncertainty is not in the study's intervals."""
    if not tuning.clearly:
        return (
            "The best of the rates that were tried was chosen. One training decides between two rates, so neighbours "
            "are hardly told apart, and all of an arm's seeds share the error of the choice. Intervals and p of the "
            "study's effects are for these rates and do not hold it: in families of six claims without any effect, a "
            "tuning like this led to a wrong direction in about a quarter of made-up studies."
        )
    return (
        "The rate that was chosen is the lowest place of a parabola over the logarithm of the rate, through the best "
        f"rate and its neighbours: on each side all up to the first that is worse by more than {tuning.clearly:g} "
        "standard errors, the worse ones with less weight. Where there is no such parabola, it is the best of those "
        "tried. Intervals and p of the study's effects are conditional on these rates: that another tuning would have "
        "chosen somewhat other ones is not in them. The table says what that is expected to cost an arm, by the "
        "parabola's curvature and the variance of its lowest place; a curve that is no parabola costs more. Effects "
        "of that size may be the tuning's."
    )


def _edge(arm: Tuned, names: Names) -> str:
    return (
        f"The best rate of {names[arm.variant.label]}, {arm.factor:g} times its own, lies at the edge of what was "
        "tried: a better one may lie beyond."
    )


def _chosen(tuning: Tuning, names: Names) -> Table:
    timed = tuning.setting.target is not None
    rows = []
    for arm in tuning.arms:
        found, loss = fitted(arm.attempts, tuning.clearly), cost(tuning, arm)
        rows.append(
            (
                names[arm.variant.label],
                f"{arm.factor:g}",
                f"{best(arm.attempts).factor:g}",
                counted(found.points, "rate") if found else "none",
                number(loss) if loss is not None else "not known",
            )
        )
    unit = "percent of its steps" if timed else "points of error"
    return Table(
        caption="The rate of each arm, as a multiple of its own, and what not knowing it better is expected to cost.",
        head=("arm", "chosen", "best of those tried", "parabola through", f"expected cost, {unit}"),
        rows=tuple(rows),
    )


def _rates(tuning: Tuning, what: str, names: Names) -> Table:
    timed = tuning.setting.target is not None
    mean = f"{what}: {'geometric mean' if timed else 'mean'} of {tuning.seeds} trials"
    return Table(
        caption="Every rate that was tried, in the order in which it was.",
        head=("arm", "times its own rate", mean, "outcome"),
        rows=tuple((names[arm.variant.label], *_rate(tuning, arm, one)) for arm in tuning.arms for one in arm.attempts),
        collapsed=len(tuning.arms) * tuning.rates > 24,
    )


def _rate(tuning: Tuning, arm: Tuned, one: Attempt) -> tuple[str, ...]:
    value = outcome(tuning, one)
    without = sum(outcome_of(tuning, trial) is None for trial in one.trials)
    words = [f"{without} of {counted(len(one.trials), 'trial')} came to none"] * bool(without)
    words += ["chosen" if one.factor == arm.factor else "the best of those tried"] * (one == best(arm.attempts))
    digits = 2 if tuning.setting.target is None else 0
    came_to = number(value, digits) if value is not None else MISSING
    return f"{one.factor:g}", came_to, "; ".join(words)


def _trials(tuning: Tuning, what: str, names: Names) -> Table:
    rows = []
    for arm in tuning.arms:
        for one in arm.attempts:
            for number_, trial in enumerate(one.trials):
                seed = f"{tuning.seed + number_:,}"
                chosen = "chosen" if one.factor == arm.factor else ""
                state = trial.status if trial.status != DONE else chosen
                rows.append(
                    (names[arm.variant.label], f"{one.factor:g}", seed, _came_to(tuning, trial), state, trial.key)
                )
    return Table(
        caption="Every trial of the tuning, in the order of the rates; > marks one that was ended there.",
        head=("arm", "times its own rate", "seed", what, "outcome", "record"),
        rows=tuple(rows),
        collapsed=len(rows) > 24,
    )


def _came_to(tuning: Tuning, trial: TuningTrial) -> str:
    value, timed = outcome_of(tuning, trial), tuning.setting.target is not None
    if value is not None:
        return number(value, 0 if timed else 2)
    return f"> {trial.steps:,}" if timed and trial.steps else MISSING
