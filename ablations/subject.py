"""The types that a study file imports: `from ablations.subject import Subject`.  Standard library only.

    subject = Subject(reference=Config(), components={"scale": False}, metrics={"accuracy": "higher"})

    @subject.trial
    def train(config, seed):
        return {"accuracy": ...}

`python -m ablations.run study.py` then trains the reference and every change of it with the same seeds.

A trial asks by name for what it needs:

config      the reference, with the variant's changes made
seed        0, 1, 2, ...: the number that a trial can be repeated with by hand; a placebo's is 1,000,000 more
streams     named generators, whose draws depend on the seed and the name: `.torch("order")`, `.numpy(..)`,
            `.python(..)`, `.integer(..)`; `.initialise(module)` draws each layer's weights from a stream of its name
threads     processor threads that it may use
device      "cpu" or "cuda"
folder      an empty folder of its own, gone when it ends, except for what --keep-files names
report      `report(loss=0.3)` tells a row, for frameworks that call back where others yield
data        its data set, where the study names some: `.name`, `.path` (empty for a name alone), `.fingerprint`
checkpoint  `for epoch in checkpoint.epochs(count, model, optimiser)` gives the epochs, from 1, that an earlier process
            left; what has a `state_dict`, and how far generators are that were asked for before the loop, is kept once
            a minute at most.  A loop of another kind uses `.read()`, `.due()` and `.write({...})`

It returns a mapping of names to numbers, or yields one for each epoch and may return more at its end; the last row is
the result.  `examples`, a mapping of the main metric to a number for each evaluated example, in the same order in every
trial, gives effects an interval over new examples too, unless seeds split the data anew.  `parameters`, `macs` and
`flops` are sizes.  `seconds`, `cpu_seconds`, `memory_mib` and `evaluated_examples` are recorded anyway: no metric is
called so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

__all__ = ["Claim", "Component", "Data", "Diverged", "Every", "Metric", "Resources", "Subject"]

HIGHER, LOWER = "higher", "lower"
LAST, BEST = "last", "best"
LINEAR, LOG = "linear", "log"
TRAINING, SPLIT = "training", "split"
Trial = TypeVar("Trial", bound=Callable[..., Any])


class Diverged(ArithmeticError):  # noqa: N818  a study file raises it as a word
    """Raised by a trial whose numbers are no longer finite.  That is a result, and no error."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a trial may use."""

    timeout: str = ""  # after which it is ended, as 45s, 20m or 2h; empty: never
    gpus: float | None = None  # share of a GPU where there is one; None: a whole one if the trial asks for `device`


@dataclass(frozen=True, kw_only=True)
class Data:
    """The data set of a trial."""

    name: str
    path: str  # absolute; empty where the study file gives a name alone
    fingerprint: str  # of the name and of what lies at the path


@dataclass(frozen=True)
class Metric:
    """A number that every trial gives, and which way is better."""

    better: str  # "higher" or "lower"
    unit: str = ""  # "points" of percent, "nats", "reward"; empty: no name
    words: str = ""  # how it is called in reports; empty: its name
    # What guessing gives: arms the gate that the reference learns.  One number, or one for each name of `data`.
    chance: float | Mapping[str, float] | None = None
    perfect: float | None = None  # the best value there is: 1.0 for a share of right answers; of points it is known
    smallest_effect: float | None = None  # that would matter, for claims that give none; a ratio of `ratio` metrics
    take: str = "last"  # of each trial's rows; or "best", of which the report warns, as it looks at the test data
    ratio: bool = False  # above zero, and compared as a ratio: a time, a perplexity, a number of tokens


@dataclass(frozen=True)
class Component:
    """What can be changed: a level, or several, with words for the report.

    A level is a value of the field that the component is called after, a mapping of fields to values, or a function
    from a configuration to another; several are a list, or a mapping of names to levels.
    """

    levels: Any
    summary: str = ""  # what it does, in a line
    source: str = ""  # where it is described
    when: Mapping[str, Any] = field(default_factory=dict)  # fields and the values without which nothing reads this one
    ordered: bool | None = None  # whether its levels are doses, told with a trend; None: where two or more are numbers
    scale: str = "linear"  # on which the trend of doses is a slope: for each one more; or "log": for each doubling
    unit: str = ""  # of a dose: "channels"
    labels: Mapping[str, str] = field(default_factory=dict)  # what people call the levels: {"off": "no dropout"}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a change is said to do, fixed before the first trial.

    Several claims on one change and metric differ in what they say of it (hurts, helps or same) or in `by`.
    """

    change: str  # `norm`, or `norm=group`
    hurts: str = ""  # the metric that the change is said to make worse,
    helps: str = ""  # or better,
    same: str = ""  # or to leave as it is: one of the three
    by: float | None = None  # the smallest effect of interest, of `ratio` metrics as 1.1; None: the metric's own
    says: str = ""  # the claim in a sentence
    because: str = ""  # why that effect is the smallest of interest
    source: str = ""
    published_effect: float | None = None  # with the change minus without it, or of `ratio` metrics their ratio
    against: str = ""  # another change that it is compared with; empty: the reference
    proxy: str = ""  # why this study tests a stand-in for it: "CIFAR-10 for ImageNet"; empty: it tests the claim itself


@dataclass(frozen=True, kw_only=True)
class Every:
    """A claim of the same kind on every level of every component: each part earns its place.

    A `Claim` on the same change and metric, whatever it says of them, takes the place of this one there.
    """

    hurts: str
    by: float | None = None


class Subject:
    """A reference configuration, what can be changed of it, what is measured, and the function that runs a trial."""

    def __init__(  # noqa: PLR0913  keyword-only arguments are the interface of study files
        self,
        *,
        reference: Any,
        components: Mapping[str, Any],
        metrics: Mapping[str, str | Metric],
        claims: Sequence[Claim | Every] | Claim | Every = (),
        sabotage: Mapping[str, Any] | None = None,
        budget: str | Sequence[str] = (),
        resources: Resources = Resources(),
        code: Sequence[str] = (),
        version: str = "",
        replicate: str = TRAINING,
        data: Mapping[str, Any] | Sequence[str] | None = None,
    ) -> None:
        """`reference` is a frozen dataclass or a dict of plain values; the first of `metrics` is the main one.

        `budget` names the fields that say how much a trial may use.  `sabotage` are fields whose change must do harm;
        left out, it is a tenth of the first budget field, and `{}` is none, so that nothing shows that the study would
        have seen harm.
        `replicate` says what seeds change: "training", its draws on the same test data, or "split", which examples are
        trained and tested on.  Splits overlap, so that every interval, p and verdict is then corrected for it (Nadeau
        and Bengio 2003); each trial reports `train_size` and `test_size`, the same in all of them.
        `data` names data sets, in a list, or with their paths (from the file's folder) in a mapping.  Every variant is
        trained on each of them under every seed, effects are means over them, and each has a column of its own beside.
        `code` are patterns of more files that decide a result, and `version` stands for all files where it is given.
        """
        for name, given, like in (
            ("components", components, "{'lr': [0.1, 1.0]}"), ("metrics", metrics, "{'loss': 'lower'}")
        ):  # fmt: skip
            if not isinstance(given, Mapping):
                raise TypeError(f"{name} is {given!r}; it takes a mapping, such as {like}")
        self.reference, self.components, self.metrics = reference, components, metrics
        listed: Sequence[Any] = [claims] if isinstance(claims, Claim | Every) else claims
        if not isinstance(listed, Sequence) or not all(isinstance(one, Claim | Every) for one in listed):
            raise TypeError(f"claims is {claims!r}; it takes a Claim, an Every, or a list of them")
        self.claims: list[Claim | Every] = list(listed)
        self.sabotage, self.resources = sabotage, resources
        self.budget = (budget,) if isinstance(budget, str) else tuple(budget)
        self.code, self.version, self.replicate, self.data = tuple(code), version, replicate, data
        self.function: Callable[..., Any] | None = None

    def trial(self, function: Trial) -> Trial:
        """`function`, which runs one trial of this subject and returns its metrics, or yields them epoch by epoch."""
        if self.function is not None:
            raise ValueError(f"two trial functions: {self.function.__name__} and {function.__name__}")
        self.function = function
        return function
