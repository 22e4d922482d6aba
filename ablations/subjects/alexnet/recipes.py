"""The grids and the headline components that are AlexNet's own."""

from __future__ import annotations

HEADLINE = ("activation", "lrn", "pooling", "dropout", "pca_jitter", "grouping")
