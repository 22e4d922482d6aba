"""Which parts of a multi-layer perceptron earn their place on small tables?

Sources are quoted from memory and have not been compared with the books and papers.
"""

from dataclasses import dataclass
from typing import Any

from sklearn.neural_network import MLPClassifier
from tables import MAJORITY, measured  # type: ignore[import-not-found]

from ablations.subject import Claim, Component, Metric, Subject


@dataclass(frozen=True)
class Config:
    """The reference."""

    scale: bool = True  # every column to mean 0 and standard deviation 1
    layers: int = 2  # hidden ones, of 64 units each
    early_stopping: bool = False  # once ten passes have not made the accuracy on a tenth of the rows better
    rows: float = 1.0  # share of the rows for training that are used
    wrong: float = 0.0  # share of them whose classes are drawn at random
    passes: int = 100  # at most


subject = Subject(
    reference=Config(),
    components={
        "scale": Component(False, labels={"off": "no scaling of the inputs"}),
        "layers": Component([1, 4], unit="hidden layers"),
        "early_stopping": True,
        "rows": Component(0.5, ordered=False, labels={"0.5": "half of the rows"}),
    },
    metrics={
        "accuracy": Metric("higher", unit="points", chance=MAJORITY, smallest_effect=1.0),
        "loss": Metric("lower", unit="nats"),
    },
    claims=[
        Claim(
            change="scale",
            hurts="accuracy",
            says="Networks need inputs of one scale.",
            source="ESL 2009, section 11.5.3",
        ),
        Claim(
            change="early_stopping",
            helps="accuracy",
            says="Stopping early keeps from overfitting.",
            source="Prechelt 1998",
        ),
        Claim(
            change="layers=1",
            same="accuracy",
            says="One hidden layer does as well as two.",
            source="made for this study",
        ),
        Claim(change="rows", hurts="accuracy", says="Half as many rows do harm.", source="made for this study"),
    ],
    sabotage={"wrong": 0.6},
    budget="passes",
    replicate="split",
    data=list(MAJORITY),
)


@subject.trial
def train(config: Config, seed: int, data: Any) -> dict[str, float]:
    """One split of one table."""
    stopping: dict[str, Any] = {"early_stopping": config.early_stopping, "max_iter": config.passes}
    model = MLPClassifier((64,) * config.layers, random_state=seed, n_iter_no_change=10, **stopping)
    found = measured(data.name, model, seed, scale=config.scale, rows=config.rows, wrong=config.wrong)
    return {
        **found,
        "passes": model.n_iter_,
        "parameters": sum(one.size for one in [*model.coefs_, *model.intercepts_]),
    }
