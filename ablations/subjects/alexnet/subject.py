"""AlexNet as a subject: implements the contract of `ablations.core.subject`.

Importing this module is quick: methods import torch, and modules that need it, only when they use them, so that
`--help` and `show` need not wait for torch.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.core.errors import InputError
from ablations.core.identity import sparse
from ablations.core.load import FIRST
from ablations.core.samples import Samples
from ablations.core.setting import Config, Metric, Setting
from ablations.core.study import Study
from ablations.core.subject import Component, Defaults, Event, Place, Recipe, Report, Seconds
from ablations.core.trial import Trial
from ablations.core.variant import Departure, Variant
from ablations.models.equivalence import canonical
from ablations.models.layout import layout, macs, parameters
from ablations.models.presets import PRESETS
from ablations.models.spec import spec_from_dict, training_part
from ablations.subjects.alexnet.data.catalogue import DATASETS, cache_folder
from ablations.subjects.alexnet.metrics import FITTED, GAP, METRICS, setting_of
from ablations.subjects.alexnet.recipes import HEADLINE, RECIPES
from ablations.subjects.alexnet.registry import broken, check_components, components, derive
from ablations.subjects.alexnet.setting import PRECISIONS, Budget, budget_of, config_of, spec_of
from ablations.subjects.alexnet.sizes import map_changes
from ablations.subjects.alexnet.version import TRAINING_VERSION, training_digest

if TYPE_CHECKING:
    from ablations.subjects.alexnet.options import Options

_PUBLISHED = Path(__file__).parent / "published"


class AlexNet(Defaults):
    """AlexNet and the networks around it: a preset is the reference, and components rewrite its Spec."""

    name = FIRST
    version = TRAINING_VERSION
    headline: Sequence[str] = HEADLINE
    gpus = 1.0
    sabotage = "half of the training labels shuffled"
    more = "--dataset cifar10 or folder:PATH, --preset, --epochs, --seeds, --components"
    recipes: Mapping[str, Recipe] = RECIPES
    metrics: Mapping[str, Metric] = METRICS
    fitted, gap = FITTED, GAP
    claims: Sequence[Path] = tuple(sorted(_PUBLISHED.glob("*.toml")))

    @property
    def components(self) -> Mapping[str, Component]:
        """All registered components, those in folders of the user's own included."""
        return {
            name: Component(
                reference=one.reference,
                levels=tuple(one.levels),
                summary=one.summary,
                source=one.source,
                control=one.control,
                negligible=one.activity.negligible,
                unit=one.activity.unit,
                labels=one.labels,
            )
            for name, one in components().items()
        }

    @property
    def options(self) -> type[Options]:
        """The dataclass of AlexNet's command-line options."""
        from ablations.subjects.alexnet.options import Options

        return Options

    @property
    def usual(self) -> Mapping[str, str | int | float]:
        """The values of options that neither the command line nor the grid gives."""
        from ablations.subjects.alexnet.options import USUAL

        return USUAL

    def broken(self) -> Sequence[str]:
        """Returns a sentence on each of the user's component files that cannot be used."""
        return broken()

    def check_options(self, options: Options) -> None:
        """Raises InputError on the first option that is wrong, or on a component file that cannot be used."""
        from ablations.subjects.alexnet.options import check

        check_components()
        check(options)

    def check_departures(self, options: Options, departures: Sequence[Departure]) -> None:
        """Applies each departure to the preset's Spec, since decoding images, which comes next, may take hours."""
        for departure in departures:
            derive(PRESETS[options.preset or str(self.usual["preset"])].spec, Variant(departures=(departure,)))

    def at_home(self, options: Options) -> Mapping[str, Path | str]:
        """Returns the data root and the data set, with `~` replaced."""
        from ablations.subjects.alexnet.options import home

        return home(options)

    def called(self, options: Options) -> Sequence[str]:
        """Returns the data set and the preset, which are part of a study's default name."""
        from ablations.subjects.alexnet.options import called

        return called(options)

    def topics(self) -> Mapping[str, Any]:
        """Returns the topics of `show`: components and where they change nothing, presets, and data sets."""
        from ablations.subjects.alexnet.cards import topics

        return topics()

    def digest(self) -> str:
        """Returns a digest of the sources that a training or its evaluation uses."""
        return training_digest()

    def place(self, options: Options) -> Mapping[str, Any]:
        """Returns where a worker finds images, as plain values, since they are sent to other processes."""
        return {
            "cache": str(cache_folder()),
            "data_root": str(options.data_root.resolve()) if options.data_root else None,
            "base": str(Path.cwd()),  # the folder to which a relative folder:PATH refers; a worker may run in another
            "memory_budget": options.memory_budget,
            "keep_weights": options.keep_weights,
        }

    def warm(self) -> None:
        """Imports torch.  Nothing is compiled, so several workers can do this at once."""
        import ablations.subjects.alexnet.trial  # noqa: F401

    def setting(self, options: Options, place: Place, before: Study | None, *, beside: int) -> Setting:
        """Returns what the trials of a study share; decodes the images if that has not been done yet."""
        from ablations.subjects.alexnet.planning import setting

        if not place.gpus and options.precision != PRECISIONS[0]:
            raise InputError(
                f"--precision {options.precision} is for trials on a GPU, and these hold none: "
                f"a processor would be no faster, or ten times slower."
            )
        return setting(options, place, before, beside=beside)

    def with_baseline(self, setting: Setting, options: Options, before: Study | None) -> Setting:
        """Adds the error of a linear classifier on the raw pixels, which is fitted once for the images of a study."""
        from ablations.subjects.alexnet.planning import with_baseline

        return with_baseline(setting, options, before)

    def configure(self, setting: Setting, departures: Sequence[Departure]) -> Config:
        """Returns the reference's config with the Spec rewritten by each departure, in their order."""
        if not departures:
            return setting.config
        spec = spec_of(setting.config)
        for departure in departures:
            spec = derive(spec, Variant(departures=(departure,)))
        return {**setting.config, "spec": sparse(spec)}

    def check(self, setting: Setting, config: Config) -> None:
        """Raises ValueError if the network cannot be built for these images."""
        spec, budget, facts = spec_of(config), budget_of(config), setting.facts
        layout(spec, num_classes=facts["classes"], image_size=budget.image_size, channels=facts["channels"])
        budget.check(spec)

    def canonical(self, config: Config) -> Hashable:
        """Returns the canonical Spec, which is equal for Specs that train and evaluate alike."""
        return canonical(spec_of(config))

    def training_part(self, config: Config) -> Config:
        """Returns the config without the fields that only evaluation reads."""
        return {**config, "spec": sparse(training_part(spec_of(config)))}

    def at_rate(self, config: Config, factor: float) -> Config:
        """Returns the config with its learning rate multiplied by `factor`."""
        spec = spec_of(config)
        return {**config, "spec": sparse(replace(spec, learning_rate=spec.learning_rate * factor))}

    def rate(self, config: Config) -> float:
        """Returns the learning rate of the config's Spec."""
        return spec_of(config).learning_rate

    def for_tuning(self, setting: Setting) -> Setting:
        """Returns the setting with trials evaluated on validation images, which are held out of training."""
        budget = budget_of(setting.config)
        most = min(budget.train_examples, setting.facts["held_out_train_images"])
        config = self._with(setting.config, replace(budget, evaluate_on="validation", train_examples=most))
        main = setting.main.replace(f"{setting.phase}_", "validation_", 1)
        facts = {**setting.facts, "train_examples": most}
        return replace(setting, config=config, phase="validation", main=main, facts=facts)

    def tuned(self, tuning: Setting, config: Config) -> Config:
        """Returns the config with the budget of the tuning's trials."""
        return {**config, "budget": tuning.config["budget"]}

    def capped(self, config: Config, steps: int) -> Config:
        """Returns the config of a trial that ends after `steps` optimiser steps."""
        return self._with(config, replace(budget_of(config), max_steps=steps))

    def steps(self, config: Config) -> int:
        """Returns the optimiser steps of the whole budget."""
        return budget_of(config).steps

    def longer(self, work: int) -> Sequence[str]:
        """So many epochs."""
        return ("--epochs", str(work))

    def with_work(self, config: Config, work: int) -> Config:
        """Returns the config with `work` epochs."""
        budget = budget_of(config)
        return self._with(config, replace(budget, epochs=work, evaluate_every=min(budget.evaluate_every, work)))

    def with_setting(self, setting: Setting, work: int) -> Setting:
        """Returns the setting with `work` epochs, and an evaluation as often as the user asked for."""
        budget = replace(budget_of(setting.config), epochs=work, evaluate_every=min(setting.every, work))
        if budget.stop_at_threshold:
            budget = replace(budget, evaluate_every=1)
        return replace(setting, work=work, config=self._with(setting.config, budget))

    def paces(self, trials: Sequence[Trial], place: Place) -> Mapping[Variant, Any] | None:
        """Times a few steps of the reference and of each single departure; None if this machine lacks the GPU."""
        from ablations.subjects.alexnet.planning import paces

        return paces(trials, place)

    def seconds(self, config: Config, pace: Any) -> Seconds:
        """Returns the expected seconds of a whole trial at this pace."""
        from ablations.subjects.alexnet.data.augment import VIEWS
        from ablations.subjects.alexnet.timing import seconds

        return seconds(budget_of(config), pace, views=VIEWS[spec_of(config).views])

    def packing(self, trial: Trial, place: Place) -> tuple[int, float]:
        """Chooses the number of trainings that take turns by timing a few steps on a GPU of this machine."""
        from ablations.subjects.alexnet.planning import packing

        return packing(trial, place)

    def accelerators(self) -> int:
        """Returns the number of GPUs that CUDA shows to this process."""
        import torch

        return torch.cuda.device_count()

    def notes(self, study: Study, place: Place) -> Sequence[tuple[str, str]]:
        """Returns remarks on where images are kept and in which order they are read."""
        from ablations.subjects.alexnet.planning import notes

        kept = [("weights", self._kept(study))] if place.options.get("keep_weights") else []
        return [*notes(study, place), *kept]

    def _kept(self, study: Study) -> str:
        """Says how much the weights take that --keep-weights keeps."""
        setting = study.setting
        sizes = [self.sizes(self.configure(setting, one.departures), setting)["parameters"] for one in study.variants]
        each, total = (4e-6 * number for number in (sizes[0], study.seeds * sum(sizes)))  # float32
        return f"{each:,.1f} MB a trial of the reference, {total:,.1f} MB of all; kept of what is trained from now on"

    def samples(self, study: Study, place: Place) -> Samples:
        """Returns training images as they are stored, and as the reference gets them in its first two epochs."""
        from ablations.subjects.alexnet.samples import samples

        return samples(study, place)

    def data_words(self, setting: Setting) -> str:
        """Says how many images of how many classes the data have."""
        facts = setting.facts
        return (
            f": {facts['train_images']:,} training and {facts['test_images']:,} test images, {facts['classes']} classes"
        )

    def trial_words(self, setting: Setting) -> str:
        """Says on one line which preset a trial trains, on how many images and for how long."""
        budget, facts = budget_of(setting.config), setting.facts
        at_most = "at most " if budget.stop_at_threshold else ""
        out_of = f" out of {facts['stored_size']}" if facts["stored_size"] != budget.image_size else ""
        timed = ""
        if budget.threshold_percent is not None:
            ends = "to" if budget.stop_at_threshold else "with the steps to"
            error = f"{budget.threshold_percent:g}% training error"
            timed = f"; {ends} {error}, looked at every {budget.threshold_every} steps"
        return (
            f"{facts['preset']} at {budget.image_size} px{out_of}, {at_most}{budget.epochs} epochs "
            f"of {budget.train_examples:,} images in batches of {budget.batch_size}{budget.at_rate}{timed}"
        )

    def sizes(self, config: Config, setting: Setting) -> Mapping[str, float]:
        """Returns the number of parameters, and of multiply-accumulates for one image."""
        facts = setting.facts
        size = budget_of(config).image_size
        layers = layout(spec_of(config), num_classes=facts["classes"], image_size=size, channels=facts["channels"])
        return {"parameters": parameters(layers), "macs": macs(layers)}

    def differences(self, before: Config, after: Config) -> str:
        """Names the maps whose size the departure changes."""
        return map_changes(before, after)

    def report(self) -> Any:
        """Returns AlexNet's parts of a report, among them the section on the first layer's kernels."""
        from ablations.subjects.alexnet.report.parts import PARTS

        return PARTS

    def from_schema_1(self, preset: str, budget: Mapping[str, Any], spec: Mapping[str, Any]) -> Config:
        """Returns the config of a trial from a record of schema 1, which knew no subjects."""
        return config_of(preset, Budget(**budget), spec_from_dict(spec))

    def setting_from_schema_1(self, study: Mapping[str, Any], budget: Mapping[str, Any]) -> Setting:
        """Returns the setting of a study from a record of schema 1, which did not hold the number of images."""
        known = DATASETS.get(study["dataset"])
        counts = {"train_images": known.train_images, "test_images": known.test_images} if known else {}
        facts = {name: count for name, count in counts.items() if count is not None}
        shared = setting_of(
            study["preset"],
            Budget(**budget),
            dataset=study["dataset"],
            fingerprint=study["fingerprint"],
            facts={"classes": (known.num_classes if known else None) or 0, **facts},
        )
        return replace(
            shared,
            note=study.get("data_note", ""),
            guessing=study.get("chance_error_percent"),
            baseline=study.get("linear_error_percent"),
        )

    def run(self, trials: Sequence[Trial], place: Place, report: Report) -> Iterator[Event]:
        """Trains once and evaluates for each of the trials."""
        from ablations.subjects.alexnet.trial import run

        return run(trials, place, report)

    def _with(self, config: Config, budget: Budget) -> Config:
        return {**config, "budget": sparse(budget)}


SUBJECT = AlexNet()
