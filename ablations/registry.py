"""Files of one's own components import `register` from here; new ones may take it from `ablations.subjects.alexnet`."""

from ablations.subjects.alexnet.registry import register

__all__ = ["register"]
