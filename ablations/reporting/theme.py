"""The colours of figures and pages, light and dark, each told from its neighbours with any kind of colour vision.

Figures are drawn in the light ones, so that their files look alike everywhere; a page redraws them by the reader's
preference.  Standard library only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Colour:
    """One role, as #rrggbb."""

    light: str
    dark: str


COLOURS = {
    "paper": Colour(light="#ffffff", dark="#16191d"),
    "ink": Colour(light="#222222", dark="#e4e4e1"),
    "soft": Colour(light="#5c5c5c", dark="#adb1b5"),  # words of less weight, marks without a colour
    "dots": Colour(light="#808080", dark="#8c8f93"),  # single seeds, axes
    "line": Colour(light="#cfcfcf", dark="#464b51"),  # rules and what only guides the eye
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
    """What a figure is drawn with."""
    return COLOURS[name].light


def themed(svg: str) -> str:
    """`svg` with the colours of `COLOURS` as variables of the page that it stands in: `var(--blue)`.

    Only in style attributes, where a browser resolves them; any other colour stays as it is.
    """
    variables = {colour.light: f"var(--{name})" for name, colour in COLOURS.items()}

    def styled(found: re.Match[str]) -> str:
        return re.sub(r"#[0-9a-f]{6}\b", lambda colour: variables.get(colour.group(), colour.group()), found.group())

    return re.sub(r'\bstyle="[^"]*"', styled, svg)
