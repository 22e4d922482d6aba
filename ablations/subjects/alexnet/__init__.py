"""AlexNet (2012) and its lineage: networks, images and recipes whose components can be toggled."""

from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register

__all__ = ["Activity", "Component", "register"]
