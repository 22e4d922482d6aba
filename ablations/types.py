"""Passes on two types to files of user components; new files may import them from `ablations.subjects.alexnet`."""

from ablations.subjects.alexnet.component import Activity, Component

__all__ = ["Activity", "Component"]
