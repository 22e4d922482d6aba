"""The colours of figures and pages, in light and dark, chosen to differ for every kind of colour vision.

Figures are drawn in the light colours, so that their files look the same everywhere.  A page replaces them by the
reader's preference.  Standard library only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Colour:
    """One role of a colour, as #rrggbb in light and dark mode."""

    light: str
    dark: str


COLOURS = {
    "paper": Colour(light="#ffffff", dark="#16191d"),
    "ink": Colour(light="#222222", dark="#e4e4e1"),
    "soft": Colour(light="#5c5c5c", dark="#adb1b5"),  # text of less weight, undecided marks
    "dots": Colour(light="#808080", dark="#8c8f93"),  # single seeds, axes
    "line": Colour(light="#cfcfcf", dark="#464b51"),  # rules and guide lines
    "grid": Colour(light="#ececec", dark="#2b2f35"),
    "wash": Colour(light="#f5f5f2", dark="#1f2328"),  # behind cards and headings of tables
    "link": Colour(light="#0b5fa5", dark="#7cbcf2"),
    # Okabe and Ito's order (2008), made darker for white paper and lighter for black.
    "blue": Colour(light="#0072b2", dark="#56b4e9"),
    "orange": Colour(light="#bd6a00", dark="#f0a63c"),
    "green": Colour(light="#008a63", dark="#3dc9a0"),
    "purple": Colour(light="#8a4a9e", dark="#cf9fe0"),
    "brown": Colour(light="#8c6239", dark="#c9a27a"),
}


def light(name: str) -> str:
    """Returns the colour that figures are drawn with, as #rrggbb."""
    return COLOURS[name].light


def themed(svg: str) -> str:
    """Returns `svg` with the colours of `COLOURS` as variables of the page that it stands in: `var(--blue)`.

    It replaces them in style attributes only, where browsers resolve variables; other colours stay as they are.
    """
    variables = {colour.light: f"var(--{name})" for name, colour in COLOURS.items()}

    def styled(found: re.Match[str]) -> str:
        return re.sub(r"#[0-9a-f]{6}\b", lambda colour: variables.get(colour.group(), colour.group()), found.group())

    return re.sub(r'\bstyle="[^"]*"', styled, svg)
