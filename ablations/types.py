"""Files of one's own components import these from here; new ones may take them from `ablations.subjects.alexnet`."""

from ablations.subjects.alexnet.component import Activity, Component

__all__ = ["Activity", "Component"]
