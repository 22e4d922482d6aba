"""Six tables that scikit-learn and statsmodels ship, and what a trial does with one of them."""

import warnings
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from statsmodels.datasets import anes96

MAJORITY = {  # table -> percent of its rows that are of its largest class
    "iris": 33.3,
    "wine": 39.9,
    "breast_cancer": 62.7,
    "digits": 11.5,
    "diabetes": 50.0,
    "anes96": 58.4,
}


def table(name: str) -> tuple[Any, Any]:
    """Numbers (rows, columns) and whole-numbered classes (rows,)."""
    if name == "anes96":  # voters of 1996 by what they think, and for whom they voted
        voters = anes96.load_pandas().data
        return voters.drop(columns=["vote", "popul"]).to_numpy(), voters["vote"].to_numpy().astype(int)
    columns, target = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits":  # every third image: all of them would take boosting as long as the other tables together
        return columns[::3], target[::3]
    # Diabetes comes with a number, how far the disease went on in a year: here whether that is above the median.
    return columns, (target > np.median(target)).astype(int) if name == "diabetes" else target


def measured(name: str, model: Any, seed: int, *, scale: bool, rows: float, wrong: float) -> dict[str, float]:
    """What `model` makes of the quarter of a table that the split `seed` tests on.

    It trains on the share `rows` of the other rows, where the share `wrong` has classes that are drawn at random.
    """
    columns, classes = table(name)
    x, x_test, y, y_test = train_test_split(columns, classes, test_size=0.25, stratify=classes, random_state=seed)
    sizes = {"train_size": len(y), "test_size": len(y_test)}  # of the split, whose overlap with others is corrected for
    if rows < 1:
        x, _, y, _ = train_test_split(x, y, train_size=rows, stratify=y, random_state=seed)
    draws = np.random.default_rng(seed)
    y = np.where(draws.random(len(y)) < wrong, draws.permutation(y), y)
    if scale:
        scaler = StandardScaler().fit(x)
        x, x_test = scaler.transform(x), scaler.transform(x_test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is a part of the recipe
        model.fit(x, y)
    loss = log_loss(y_test, model.predict_proba(x_test), labels=model.classes_)
    return {"accuracy": 100 * model.score(x_test, y_test), "loss": loss, **sizes}
