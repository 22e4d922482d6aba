"""Which parts of boosted trees earn their place on small tables?

Sources are quoted from memory and have not been compared with the books and papers.
"""

from dataclasses import dataclass
from typing import Any

from sklearn.ensemble import GradientBoostingClassifier
from tables import MAJORITY, measured  # type: ignore[import-not-found]

from ablations.subject import Claim, Component, Metric, Subject


@dataclass(frozen=True)
class Config:
    """The reference."""

    scale: bool = True  # every column to mean 0 and standard deviation 1
    depth: int = 3  # splits from the root of a tree to a leaf
    early_stopping: bool = False  # once five trees have not made the loss on a tenth of the rows better
    subsample: float = 0.5  # share of the rows that a tree sees
    wrong: float = 0.0  # share of the rows for training whose classes are drawn at random
    trees: int = 60  # at most, for each class


subject = Subject(
    reference=Config(),
    components={
        "scale": Component(False, labels={"off": "no scaling of the inputs"}),
        "depth": Component([1, 6], unit="splits"),
        "early_stopping": True,
        "subsample": Component(1.0, ordered=False, labels={"1.0": "each tree sees all rows"}),
    },
    metrics={
        "accuracy": Metric("higher", unit="points", chance=MAJORITY, smallest_effect=1.0),
        "loss": Metric("lower", unit="nats"),
    },
    claims=[
        Claim(
            change="scale", same="accuracy", says="Trees do not care for the scale of inputs.", source="ESL 2009, 10.7"
        ),
        Claim(change="subsample", hurts="accuracy", says="A tree should see half of the rows.", source="Friedman 2002"),
        Claim(change="depth=1", hurts="accuracy", says="Stumps hold no interactions.", source="ESL 2009, 10.11"),
        Claim(change="early_stopping", same="accuracy", says="Fewer trees are enough.", source="made for this study"),
    ],
    sabotage={"wrong": 0.6},
    budget="trees",
    replicate="split",
    data=list(MAJORITY),
)


@subject.trial
def train(config: Config, seed: int, data: Any) -> dict[str, float]:
    """One split of one table."""
    model = GradientBoostingClassifier(
        max_features="sqrt",
        max_depth=config.depth,
        n_estimators=config.trees,
        n_iter_no_change=5 if config.early_stopping else None,
        subsample=config.subsample,
        random_state=seed,
    )
    found = measured(data.name, model, seed, scale=config.scale, rows=1.0, wrong=config.wrong)
    return {**found, "trees": model.n_estimators_}
