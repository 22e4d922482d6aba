"""The studies and the headline components that are AlexNet's own."""

from __future__ import annotations

from ablations.core.load import PLACEBO
from ablations.core.subject import Recipe

HEADLINE = ("activation", "lrn", "pooling", "dropout", "pca_jitter", "grouping")

FIGURE_1 = Recipe(
    summary="the paper's figure 1: steps to 25% training error, ReLU against tanh, the rate of each tuned",
    components=("activation=tanh",),
    options={
        "preset": "figure1",
        "threshold": 25.0,
        "stop_at_threshold": True,
        "tune": 7,
        "seeds": 5,
        "epochs": 80,  # at most: the paper's tanh arm takes about 36
        "batch_size": 128,  # cuda-convnet's
    },
    # Sabotaged labels would never be learned to 25%, at the price of the whole budget for every seed.
    # That tanh differs is the study's positive control.
    controls=(PLACEBO,),
)
SMOKE = Recipe(
    summary="one_out over two components: does everything work?", components=("lrn", "dropout"), options={"seeds": 1}
)
RECIPES = {"figure1": FIGURE_1, "smoke": SMOKE}
