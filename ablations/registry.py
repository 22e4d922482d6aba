"""Passes on `register` to files of user components; new files may import it from `ablations.subjects.alexnet`."""

from ablations.subjects.alexnet.registry import register

__all__ = ["register"]
