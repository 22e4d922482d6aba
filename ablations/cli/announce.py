"""Prints a study before it starts: what will run, on which data, and for how long.

Modules that need scipy are imported only by the functions that use them, since that import takes a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ablations.core.labels import short_names
from ablations.core.load import load
from ablations.core.setting import POINTS, Setting
from ablations.core.study import Allowance, Study
from ablations.core.subject import Seconds
from ablations.core.text import capped, counted, duration, listed
from ablations.core.trial import Trial, by_training
from ablations.core.variant import Variant
from ablations.planning.cost import Paces, around, expected_seconds, seconds_of
from ablations.planning.tuning import Search, arms

if TYPE_CHECKING:
    from ablations.planning.alternatives import Design
    from ablations.planning.plan import Plan

REASONS = 4  # most reasons that are printed for what a grid left out
NAMED, LISTED = 6, 30  # most variants that a line names, and most lines of a list


class Expected(NamedTuple):
    """How long the missing trials should take, in seconds."""

    tuning: float  # of the search for learning rates
    study: float  # of the study's own trials


NO_TIME = Expected(0.0, 0.0)


def announce(plan: Plan, *, full: bool, by_grid: str = "") -> None:
    """Prints the study in a few lines.

    With `full`, what the grid left out is not printed here: `expect` lists it with the variants.  `by_grid` holds the
    options that the grid chose, as they would be typed.
    """
    study = plan.study
    _print_study(plan)
    _print_known(plan)
    if not full:
        _print_skipped(study)
    if study.out_of_reach:
        print(f"reach     {_out_of_reach(study)}")
    _print_chosen(plan, by_grid)
    print(f"more      {load(study.subject).more}", flush=True)


def in_short(plan: Plan, *, by_grid: str = "") -> None:
    """Prints a study for a dry run: what is compared, what a trial is, how long it takes, and what it can tell.

    The usual study takes five lines; options that were chosen for the user take one more each.
    """
    study = plan.study
    print(_study_line(plan))
    left_out = f"; {counted(len(study.skipped), 'more')} left out" if study.skipped else ""
    names = short_names(study)
    print(f"variants  {capped([names[variant.label] for variant in study.variants], NAMED)}{left_out}")
    print(f"trial     {load(study.subject).trial_words(study.setting)}, on {study.setting.data}")
    _print_known(plan)
    _print_chosen(plan, by_grid)
    _print_commands(plan)
    expect(plan, full=False)
    from ablations.cli import forecast

    print(f"detects   {forecast.detects(study, plan.finished)}; --power has the tables", flush=True)


def _print_known(plan: Plan) -> None:
    """Prints the notes of the subject, and how trials are packed."""
    study = plan.study
    for word, sentence in load(study.subject).notes(study, plan.place):
        print(f"{word:<10}{sentence}")
    if plan.packing.words:
        print(f"pack      {plan.packing.words}")


def expect(plan: Plan, *, full: bool) -> Expected:
    """Times a few steps of the missing trials, prints how long these will take, and returns that.

    With `full`, it also prints the variants, what the grid left out, what the seeds can tell of each claim, and the
    design that decides all claims soonest.
    """
    study, missing, search = plan.study, plan.missing, plan.search
    if full:
        _print_commands(plan)
    tuning = search.left if search else 0
    if not missing and not tuning and not full:
        print("expected  nothing to train: every trial has a record", flush=True)
        return NO_TIME
    tuned = arms(study, plan.trials) if tuning else []
    others = _designs(plan) if full and study.claims and not tuning else []
    timed = [*plan.trials, *tuned, *(trial for design in others for trial in design.trials)]
    paces = plan.paces
    if paces is None or not {trial.variant for trial in timed} <= paces.keys():
        paces = load(study.subject).paces(timed, plan.place)
    if paces is None:
        if full:
            _print_variants(plan, {})
            _print_power(plan, (), {})
        print(f"expected  {_unknown(plan)}", flush=True)
        return NO_TIME
    seconds = expected_seconds([*plan.trials, *tuned], paces)
    if full:
        _print_variants(plan, seconds)
        _print_power(plan, others, paces)
    at_a_time = max(1, min(plan.workers, len(missing)))
    # How many trials of each arm a search will still need is not known in advance, so the mean of the arms is taken.
    a_tuning_trial = sum(seconds[trial.variant].whole for trial in tuned) / max(len(tuned), 1)
    expected = Expected(
        tuning=tuning * a_tuning_trial / _side_by_side(search, len(tuned), plan.workers) / plan.packing.gain,
        study=sum(seconds_of(job, seconds) for job in missing) / at_a_time / plan.packing.gain,
    )
    print(_expected_line(plan, expected, tuning), flush=True)
    return expected


def _unknown(plan: Plan) -> str:
    """Returns why the time is not known yet, and how many trials run at a time."""
    elsewhere = plan.place.gpus and not load(plan.study.subject).accelerators()
    why = ": only other machines have a GPU that steps could be timed on" if elsewhere else ""
    return f"not known until the first trials have ended{why}; {_at_a_time(plan)}"


def _at_a_time(plan: Plan) -> str:
    side_by_side = max(1, min(plan.workers * plan.packing.at_once, len(plan.missing)))
    return f"{side_by_side} at a time on {'GPUs' if plan.place.gpus else 'processor cores'}"


def _expected_line(plan: Plan, expected: Expected, tuning: int) -> str:
    trials, missing = plan.trials, plan.missing
    lacking = sum(map(len, missing))
    have = f", {len(trials) - lacking} of {len(trials)} trials have their records" if lacking < len(trials) else ""
    have += f", {counted(len(missing), 'training')} for the others" if have and _shared(trials) else ""
    where = _at_a_time(plan)
    at_most = "at most " if plan.study.setting.races else ""
    parts = f" ({duration(round(expected.tuning))} of it for tuning)" if tuning else ""
    took = duration(round(sum(expected) + around(len(trials), in_turn=plan.request.in_turn)))
    return f"expected  {at_most or 'about '}{took} with the report{parts}, {where}, from timing a few steps{have}"


def _print_study(plan: Plan) -> None:
    """Prints the study, its data, the values that need no training, and what a trial is."""
    study = plan.study
    print(_study_line(plan))
    subject = load(study.subject)
    note = f"; {study.setting.note}" if study.setting.note else ""
    print(f"data      {study.setting.data}{subject.data_words(study.setting)}{note}")
    if trivial := _trivial(study):
        print(f"baseline  {trivial}")
    print(f"trial     {subject.trial_words(study.setting)}")


def _study_line(plan: Plan) -> str:
    """Returns the line with the study's name and its numbers of variants, seeds, data sets and trials."""
    study, trials = plan.study, plan.trials
    counts = {"variant": len(study.variants), "seed": study.seeds, "data set": len(study.setting.blocks)}
    sizes = " x ".join(counted(count, noun) for noun, count in counts.items() if count)
    equals, by_look = (": now", " by the next look") if study.looks else (" =", "")
    return f"study     {study.name}: {sizes}{equals} {counted(len(trials), 'trial')}{by_look}{_shared(trials)}"


def _trivial(study: Study) -> str:
    """Returns the values of the main metric that need no training, guessing and the baseline; "" if none is known."""
    setting = study.setting
    named = {"guessing": setting.guessing, setting.baseline_words: setting.baseline}
    percent = "%" if setting.main_metric.unit == POINTS else ""
    known = [f"{what} {value:.1f}{percent}" for what, value in named.items() if value is not None]
    saw = setting.facts.get("baseline_saw", "")
    less = f" ({saw})" if saw and setting.baseline is not None else ""
    return f"{setting.evaluated(_short(setting))} of {' and of '.join(known)}{less}" if known else ""


def _short(setting: Setting) -> str:
    """Returns `error` if the main metric is one, otherwise the name of the metric."""
    metric = setting.main_metric
    return "error" if metric.unit == POINTS and metric.lower_is_better else metric.words


def _shared(trials: Sequence[Trial]) -> str:
    """Returns how many trainings there are, as a clause, if they are fewer than the trials."""
    trainings = len(by_training(trials))
    return f", {counted(trainings, 'training')}" if trainings < len(trials) else ""


def _print_chosen(plan: Plan, by_grid: str) -> None:
    """Prints the looks of a sequential study, and what the time budget, the grid and the tuning choose."""
    study = plan.study
    if study.looks:
        print(looks_line(study))
    if study.allowance:
        print(*time_budget_lines(study.allowance, load(study.subject).work_unit), sep="\n")
    if by_grid:
        print(f"grid      {study.grid} chose {by_grid}")
    if plan.search:
        print(_tuning(study, plan.trials, plan.search))


def _out_of_reach(study: Study) -> str:
    """Returns a line on the claims that no affordable number of seeds decides, each with the number that would."""
    words = [f"{name} ({f'about {n:,}' if n else 'over 10,000'})" for name, n in study.out_of_reach]
    most = max(study.rule.affordable, study.seeds)
    return (
        f"{', '.join(words)}: seeds that would decide the claim, which are more than the {most:,} that count as "
        "affordable; it is judged all the same, since a large effect shows in few seeds"
    )


def _designs(plan: Plan) -> list[Design]:
    from ablations.planning.alternatives import designs

    words = tuple("=".join(departure) for departure in plan.study.components)
    return designs(replace(plan.request, words=words), plan.study.setting)


def _print_power(plan: Plan, others: Sequence[Design], paces: Paces) -> None:
    """Prints what the seeds can tell of each claim, and which design decides all claims soonest."""
    from ablations.cli import forecast

    if lines := forecast.power_lines(plan.study, plan.finished):
        print(*lines, "", sep="\n")
    if told := forecast.alternative_lines(plan.study, others, paces, plan.finished, workers=plan.workers):
        print(*told, "", sep="\n")


def _side_by_side(search: Search | None, arms_tuned: int, workers: int) -> int:
    """Returns how many tuning trials run at a time; in each round, every arm tries two rates."""
    return max(1, min(workers, 2 * search.tuning.seeds * arms_tuned)) if search else 1


def _tuning(study: Study, trials: Sequence[Trial], search: Search) -> str:
    done = f"{search.left:,} of them to go" if search.left else "all have their records"
    tuning = search.tuning
    return (
        f"tuning    {counted(tuning.rates, 'learning rate')} for each of {counted(len(arms(study, trials)), 'arm')}, "
        f"with {counted(tuning.seeds, 'trial')} at each, on validation images that they do not train on: "
        f"{counted(search.total, 'trial')}, {done}"
    )


def _print_skipped(study: Study) -> None:
    """Prints what the grid left out, a line for each of the first `REASONS` reasons; the report has all of them."""
    reasons: dict[str, list[str]] = {}
    names = short_names(study)
    for skipped in study.skipped:
        reasons.setdefault(skipped.reason, []).append(names[skipped.variant.label])
    for reason, labels in list(reasons.items())[:REASONS]:
        print(f"left out  {', '.join(labels)}: {reason}")
    if len(reasons) > REASONS:
        print(f"left out  for {len(reasons) - REASONS} more reasons, which --power lists")


def _print_commands(plan: Plan) -> None:
    """Prints the command of a trial of each variant, if the subject's trials are commands."""
    subject, variants = load(plan.study.subject), len(plan.study.variants)
    typed = [(trial, subject.command(trial.config, trial.seed, plan.place)) for trial in plan.trials[:variants]]
    names = short_names(plan.study)
    lines = [f"runs      {names[trial.variant.label]}: {command}" for trial, command in typed if command]
    _print_capped(lines)


def _print_capped(lines: Sequence[str]) -> None:
    """Prints the first `LISTED` lines, and how many more there are."""
    shown = lines if len(lines) <= LISTED + 1 else lines[:LISTED]
    for line in shown:
        print(line)
    if len(shown) < len(lines):
        print(f"... and {len(lines) - len(shown):,} more")


def _print_variants(plan: Plan, seconds: Mapping[Variant, Seconds]) -> None:
    study = plan.study
    subject, metrics, called = load(study.subject), study.setting.metrics, short_names(study)
    listed_trials = plan.trials[: min(len(study.variants), LISTED + 1)]
    width = max(len(called[trial.variant.label]) for trial in listed_trials)
    sizes = [subject.sizes(trial.config, study.setting) for trial in listed_trials]
    names = list(dict.fromkeys(name for one in sizes for name in one))
    words = [metrics[name].words if name in metrics else name for name in names]
    print(
        f"\n{'variant':<{width}}{''.join(f'{word:>16}' for word in words)}{'a trial' if seconds else '':>10}".rstrip()
    )
    rows = []
    for trial, one in zip(listed_trials, sizes, strict=True):
        cells = "".join(f"{one.get(name, 0):>16,.0f}" for name in names)
        takes = f"{seconds[trial.variant].whole:>8.1f} s" if seconds else ""
        rows.append(f"{called[trial.variant.label]:<{width}}{cells}{takes}".rstrip())
    _print_capped([*rows, *[""] * (len(study.variants) - len(rows))])
    left_out = [f"left out  {called[skipped.variant.label]}: {skipped.reason}" for skipped in study.skipped]
    _print_capped(left_out)
    _print_capped([f"alias     {alias}" for alias in study.aliases])
    print()


def time_budget_lines(allowance: Allowance, unit: str) -> list[str]:
    """Returns the lines on what a time budget picked and what it gave up."""
    picked = f"{allowance.grid}, {counted(allowance.seeds, 'seed')}, {counted(allowance.work, unit)}"
    said = [f"budget    {allowance.asked}: {picked}; about {duration(round(allowance.seconds))} of training"]
    return said + [f"given up  {one}" for one in allowance.given_up]


def looks_line(study: Study) -> str:
    """Returns the line on the looks of a sequential study; "" for another study."""
    looks = study.looks
    if not looks:
        return ""
    most = study.trials_a_seed * study.seeds
    return (
        f"looks     after {listed(looks)} seeds: a claim that a look settles gets no more seeds, so there are {most:,} "
        "trials at most; O'Brien-Fleming-type levels (Lan and DeMets) keep the error rate"
    )
