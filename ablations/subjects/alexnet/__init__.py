"""AlexNet (2012) and the networks around it as a subject: networks, images and recipes that components change."""

from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register

__all__ = ["Activity", "Component", "register"]
