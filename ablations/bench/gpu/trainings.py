"""Parts 3 to 5: the claim of section 3.3 on CIFAR-10, the repository's factorial, and two published accuracies."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ablations.bench.gpu.part import OutOfTimeError, Row, Run
from ablations.bench.gpu.studies import (
    SHARE,
    Images,
    declared,
    ended_row,
    epochs_that_fit,
    errors_by_seed,
    finished,
    images_of,
    place_for,
    seconds_a_step,
    setting_for,
)
from ablations.core.load import load as subject_named
from ablations.core.result import DONE, Result
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.core.variant import Departure
from ablations.planning.request import Request
from ablations.planning.study import make_study
from ablations.records.store import read_all, read_study
from ablations.subjects.alexnet.setting import PRECISIONS, Budget, budget_of

LRN_OFF: Departure = ("lrn", "off")
FACTORIAL = Path("results/reference/cifar10-factorial")
SEEDS, TINY_SEEDS = 5, 2
NEXT = 1.15  # a seed is begun if this many times the time of the seed before is left


def lrn_rows(run: Run) -> Iterator[Row]:
    """Runs part 3: `cuda_convnet_11pct` with and without LRN, five seeds, for as many of its 520 epochs as fit."""
    images = images_of(run, "cifar10")
    budget = Budget(
        epochs=520,
        train_examples=32 if run.tiny else 50_000,
        batch_size=16 if run.tiny else 128,
        image_size=24,
        evaluate_every=520,
    )
    seeds = TINY_SEEDS if run.tiny else SEEDS
    began = time.perf_counter()

    def planned(budget: Budget) -> tuple[Study, list[Trial]]:
        setting = setting_for(run, images, "cuda_convnet_11pct", budget)
        request = Request(
            subject="alexnet", options=None, name="lrn-11pct", grid="one_out", words=("lrn=off",), seeds=seeds,
            command=run.command,
        )  # fmt: skip
        study, trials = make_study(request, setting)
        # Only the two arms of the claim are trained here.  A longer run can train the controls, which are declared too.
        return declared(study), [trial for trial in trials if set(trial.variant.departures) <= {LRN_OFF}]

    study, trials = planned(budget)
    place = place_for(run, study, images, turns=len(trials))
    a_step = seconds_a_step(run, trials, place)
    epochs = epochs_that_fit(SHARE * run.left, budget, a_step=a_step, most=1 if run.tiny else 520)
    study, trials = planned(replace(budget, epochs=epochs, evaluate_every=epochs))
    place = place_for(run, study, images, turns=len(trials))
    yield Row(name="epochs that fit, of 520", value=float(epochs), more={"seconds a step of all": a_step})
    results = finished(run, study, trials, place)
    yield ended_row(results, began)
    yield from _pair_rows(results, epochs)


def _pair_rows(results: Sequence[Result], epochs: int) -> Iterator[Row]:
    """Yields the errors of both arms, and their paired difference."""
    arms = {"with LRN": errors_by_seed(results, ()), "without LRN": errors_by_seed(results, (LRN_OFF,))}
    for name, errors in arms.items():
        if errors:
            yield _of_seeds(f"test error {name}", list(errors.values()), f"after {epochs} epochs")
    differences = [
        arms["without LRN"][seed] - error for seed, error in arms["with LRN"].items() if seed in arms["without LRN"]
    ]
    if differences:
        yield _of_seeds(
            "without LRN less with it, in pairs", differences, "published: 13% less 11%, other differences beside"
        )


def _of_seeds(name: str, values: Sequence[float], said: str) -> Row:
    spread = {"sd": statistics.stdev(values)} if len(values) > 1 else {}
    return Row(name=name, value=statistics.mean(values), unit="points", more={**spread, "n": len(values)}, said=said)


def factorial_rows(run: Run) -> Iterator[Row]:
    """Runs part 4: the trials of the repository's factorial, seed by seed, as long as there is time."""
    images = images_of(run, "cifar10")
    study, seeds = factorial_of(run, images)
    results: list[Result] = []
    took = 0.0
    for number, trials in enumerate(seeds):
        if run.left < NEXT * took:
            break
        began = time.perf_counter()
        results += finished(run, study, trials, place_for(run, study, images, turns=len(trials)))
        took = time.perf_counter() - began
        yield replace(ended_row(results[-len(trials) :], began), name=f"seed {number}: trainings that did not end")
    whole = len(results) // len(seeds[0])
    yield Row(name=f"seeds that fit, of {len(seeds)}", value=float(whole))
    yield from _main_effect_rows(study, results)
    committed, _ = read_all(FACTORIAL)
    yield _beside_row(results, committed)


def factorial_of(run: Run, images: Images) -> tuple[Study, list[list[Trial]]]:
    """Returns the study and its trials, seed by seed, on the given images; the same images give the same keys."""
    study = read_study(FACTORIAL)
    budget = budget_of(study.setting.config)
    if run.tiny:
        budget = replace(budget, epochs=1, train_examples=32, batch_size=16, evaluate_every=1)
    shared = setting_for(run, images, str(study.setting.config["preset"]), budget)
    configure = subject_named(study.subject).configure
    configs = {variant: configure(shared, variant.departures) for variant in study.variants[: 3 if run.tiny else None]}
    seeds = [
        [
            Trial(variant=variant, seed=seed, data=shared.data, fingerprint=shared.fingerprint, config=config)
            for variant, config in configs.items()
        ]
        for seed in range(1 if run.tiny else study.seeds)
    ]
    keys = tuple(trial.key for trials in seeds for trial in trials)
    made = replace(study, setting=shared, keys=keys, variants=tuple(configs), seeds=len(seeds), command=run.command)
    return declared(made), seeds


def _main_effect_rows(study: Study, results: Sequence[Result]) -> Iterator[Row]:
    """Yields the contrast of each change over the seeds of which all variants ended."""
    design = [one for one in study.variants if set(one.departures) <= set(study.components)]
    errors = [errors_by_seed(results, variant.departures) for variant in design]
    seeds = set.intersection(*map(set, errors))
    for departure in study.components:
        signs = [1 if departure in variant.departures else -1 for variant in design]
        if seeds and not sum(signs):
            effects = [
                2 / len(design) * sum(sign * some[seed] for sign, some in zip(signs, errors, strict=True))
                for seed in sorted(seeds)
            ]
            yield _of_seeds(f"main effect of {'='.join(departure)} on the test error", effects, "")


def _beside_row(results: Sequence[Result], committed: Mapping[str, Result]) -> Row:
    """Returns the mean difference of the errors here from those of the same trials in the repository's records."""
    both = [
        (one.metrics[one_metric], other.metrics[one_metric])
        for one in results
        if (other := committed.get(one.trial.key)) and one.status == other.status == DONE
        for one_metric in [f"{budget_of(one.trial.config).evaluate_on}_top1_error_percent"]
    ]
    name = "test error here less that of the same trials on a processor"
    if not both:
        return Row(name=name, said="no trial is the same: the images differ, or were decoded in another way")
    return _of_seeds(name, [here - there for here, there in both], "")


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A preset of the vision-hist series, and what its authors report for it on Imagenette."""

    preset: str
    batch_size: int
    image_size: int
    tiny_size: int
    accuracy: float  # percent of the test images, measured with dropout switched on
    share: float  # share of the time left in the part


REPORTED = (
    Reported(preset="vision_hist", batch_size=64, image_size=227, tiny_size=67, accuracy=65.0, share=0.3),
    Reported(preset="vision_hist_vgg16", batch_size=128, image_size=224, tiny_size=32, accuracy=68.5, share=1.0),
)
EPOCHS = 90


def imagenette_rows(run: Run) -> Iterator[Row]:
    """Runs part 5: both presets on Imagenette, for 90 epochs or as many as fit."""
    images = images_of(run, "imagenette")
    for one in REPORTED:
        if run.left < 0:
            raise OutOfTimeError
        yield from _reported_rows(run, images, one, seconds=one.share * run.left)


def _reported_rows(run: Run, images: Images, one: Reported, *, seconds: float) -> Iterator[Row]:
    began = time.perf_counter()
    budget = Budget(
        epochs=EPOCHS,
        train_examples=16 if run.tiny else 10**6,
        batch_size=8 if run.tiny else one.batch_size,
        image_size=one.tiny_size if run.tiny else one.image_size,
        evaluate_every=EPOCHS,
        precision=run.precision if run.cuda else PRECISIONS[0],
    )

    def planned(budget: Budget) -> tuple[Study, list[Trial], Budget]:
        setting = setting_for(run, images, one.preset, budget)
        request = Request(
            subject="alexnet", options=None, name=one.preset.replace("_", "-"), grid="reference", seeds=1,
            command=run.command,
        )  # fmt: skip
        study, trials = make_study(request, setting)
        return declared(study), [*trials], budget_of(setting.config)

    study, trials, budget = planned(budget)
    place = place_for(run, study, images, turns=1)
    a_step = seconds_a_step(run, trials, place)
    left = seconds - (time.perf_counter() - began)
    epochs = epochs_that_fit(SHARE * left, budget, a_step=a_step, most=1 if run.tiny else EPOCHS)
    study, trials, budget = planned(replace(budget, epochs=epochs, evaluate_every=epochs))
    results = finished(run, study, trials, place_for(run, study, images, turns=1))
    yield replace(ended_row(results, began), name=f"{one.preset}: trainings that did not end")
    for error in errors_by_seed(results, ()).values():
        yield Row(
            name=f"{one.preset}: test images right, dropout off",
            value=100 - error,
            unit="%",
            more={"epochs": epochs, "reported, dropout on": one.accuracy, "images/s": budget.batch_size / a_step},
            said=f"in {budget.precision}, batches of {budget.batch_size}",
        )
