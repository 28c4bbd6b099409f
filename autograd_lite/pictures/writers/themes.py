"""Themes: what the colours of a scene become on a dark screen and in print.

A scene is drawn in the colours of the light theme; each other theme says what it writes in place of them. Text keeps
a contrast of 4.5 to 1 (WCAG AA) to every ground it stands on, in each theme.
"""

from __future__ import annotations

import re
from dataclasses import replace

from autograd_lite.engine.checks import describe
from autograd_lite.pictures.writers import scene as look
from autograd_lite.pictures.writers.scene import Curve, Scene, Shape, Text

THEMES = ("auto", "light", "dark", "print")
"""What can be asked for; "auto" is light, and dark where the reader's screen is."""

TITLE, WHITE = "#56618A", "#FFFFFF"

DARK = {
    WHITE: "#1B1E24", look.INK: "#E8EAED", look.LINE: "#A9B0BC", look.FAINT: "#7C8491", look.BLUE: "#6CB8EE",
    look.VERMILION: "#FF9D5C", look.PLUS: "#4CC9A0", look.MINUS: "#E08AD4", TITLE: "#AEB9E0",
    look.TINTS["parameter"]: "#3A3216", look.TINTS["input"]: "#1B3527", look.TINTS["constant"]: "#2C2E36",
    look.TINTS["frame"]: "#262C40", look.TINTS["backward"]: "#3A2A20", look.FRAME_TINT: "#8FA2DB",
    look.FRAME_LINE: "#4A5578",
}  # fmt: skip

PRINT = {
    look.INK: "#000000", look.LINE: "#333333", look.FAINT: "#777777", look.BLUE: "#000000", look.VERMILION: "#4A4A4A",
    look.PLUS: "#000000", look.MINUS: "#555555", TITLE: "#333333", look.TINTS["parameter"]: "#E6E6E6",
    look.TINTS["input"]: WHITE, look.TINTS["constant"]: "#F2F2F2", look.TINTS["frame"]: "#EDEDED",
    look.TINTS["backward"]: "#EDEDED", look.FRAME_TINT: "#808080", look.FRAME_LINE: "#999999",
}  # fmt: skip

PALETTES = {"light": {}, "dark": DARK, "print": PRINT}


def check_theme(theme: object, who: str) -> None:
    """Raise ValueError unless it is one of THEMES."""
    if theme not in THEMES:
        raise ValueError(f"{who}: theme must be {', '.join(map(repr, THEMES[:-1]))} or 'print', got {describe(theme)}")


def themed(scene: Scene, theme: str) -> Scene:
    """The scene in the colours of a theme; "auto" is light where nothing can follow the reader."""
    colours = PALETTES.get(theme, {})
    if not colours:
        return scene

    def coloured(shape: Shape | Text) -> Shape | Text:
        if isinstance(shape, Curve):
            return replace(shape, stroke=colours.get(shape.stroke, shape.stroke))
        if isinstance(shape, Text):
            return replace(shape, fill=colours.get(shape.fill, shape.fill))
        fill, stroke = colours.get(shape.fill, shape.fill), colours.get(shape.stroke, shape.stroke)
        return replace(shape, fill=fill, stroke=stroke)

    elements = tuple(replace(e, shapes=tuple(map(coloured, e.shapes))) for e in scene.elements)
    return replace(scene, elements=elements, ground=colours.get(WHITE, WHITE))


def dark_rules(text: str, prefix: str) -> str:
    """A style that turns one SVG dark where the reader's screen is; it reaches nothing else on a page.

    Args:
        text: the SVG, whose colours are attributes.
        prefix: its id.
    """
    used = set(re.findall(r'(fill|stroke)="(#[0-9A-F]{6})"', text))
    rules = [
        f'#{prefix} [{what}="{colour}"]{{{what}:{DARK[colour]}}}' for what, colour in sorted(used) if colour in DARK
    ]
    return f"<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"
