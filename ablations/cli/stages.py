"""The lines that a run prints between its stages: what a look has settled, and which learning rates were chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ablations.analysis.tuning import came_to
from ablations.core.study import Study
from ablations.core.text import counted
from ablations.core.tuning import Tuning, at_edge

if TYPE_CHECKING:
    from ablations.analysis.looks import Stage


def look_lines(study: Study, reached: Stage) -> list[str]:
    """Returns a line on what the latest complete look settled and what goes on; [] before the first look.

    `reached` says how far the study is.
    """
    from ablations.analysis.asked import untuned

    looks = study.looks
    if not reached.taken:
        return []
    now = [name for name, look in reached.settled.items() if look == reached.taken]
    open_ = [one.name for one in study.claims if one.name not in reached.settled and not untuned(study, one)]
    what = f"settled: {', '.join(now)}" if now else "nothing is settled by it"
    left = "no claim is open" if not open_ else f"{counted(len(open_), 'claim')} open"
    rest = "" if reached.done else f"; on to {looks[reached.taken]} seeds"
    return [f"look {reached.taken} of {len(looks)}, after {looks[reached.taken - 1]} seeds: {what}; {left}{rest}"]


def tuning_lines(tuning: Tuning, names: Mapping[str, str]) -> list[str]:
    """Returns a line for each arm: the rate that was chosen, and whether a better one may lie beyond.

    `names` are those of the variants, by their labels.
    """
    lines = []
    for arm in tuning.arms:
        value = came_to(tuning, arm)
        target = tuning.setting.target
        words = (
            "no rate at which all trials came to an outcome"
            if value is None
            else f"about {value:,.0f} steps to {target.value:g}{target.unit} {target.metric}"
            if target is not None
            else f"about {value:.1f}% error"
        )
        edge = (
            "; it is at the edge of the rates that were tried, so a better one may lie beyond" if at_edge(arm) else ""
        )
        name = names[arm.variant.label]
        lines.append(f"tuned     {name}: {arm.factor:g} times its own rate ({words}){edge}")
    return lines
