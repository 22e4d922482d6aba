"""AlexNet's own studies, which --grid names, and its headline components."""

from __future__ import annotations

from ablations.core.load import PLACEBO, SABOTAGE
from ablations.core.subject import Recipe

# The components that a design takes when none are named: one for each of the paper's sections 3.1, 3.3, 3.4, 4.2, 4.1
# and 3.2.
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
        "epochs": 80,  # at most; the paper's tanh arm takes about 36
        "batch_size": 128,  # cuda-convnet's
    },
    # No sabotage: shuffled labels are never learned to 25% error, so each seed of it would train for the whole budget.
    # The positive control of this study is that tanh differs.
    controls=(PLACEBO,),
)
SMOKE = Recipe(
    summary="one_out over two components: does everything work?", components=("lrn", "dropout"), options={"seeds": 1}
)
# Trials are as short as the gate allows: the reference must be below nine tenths of a linear classifier's 19.0%.
# `cifar_quick` gets there in four epochs, `cifar_small` in eight.
DEMO = Recipe(
    summary="no dropout, two ways to augment images and the controls, on the embedded images, for a first answer",
    components=("dropout", "vertical_flip", "rotation=degrees_25"),
    options={"preset": "cifar_quick", "seeds": 3, "epochs": 4, "evaluate_every": 4},
    controls=(PLACEBO, SABOTAGE),
)
RECIPES = {"demo": DEMO, "figure1": FIGURE_1, "smoke": SMOKE}
