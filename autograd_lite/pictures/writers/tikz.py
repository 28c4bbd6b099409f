"""A picture in TikZ: a document that compiles by itself (.tex), or the picture alone, for \\input (.tikz).

Every text is escaped character by character, so that a name is printed and never run.
"""

from __future__ import annotations

import re
from typing import Any

from autograd_lite.pictures.mathematics import LETTERS, SUBSCRIPTS, escaped
from autograd_lite.pictures.writers.scene import Circle, Curve, Rect, Scene, Shape, Text
from autograd_lite.pictures.writers.themes import themed

POINTS = 0.75
"""Points of the page for each pixel of the picture, as on a screen of 96 dots an inch."""

DOCUMENT = r"""%% pdflatex, or lualatex for names in other scripts
\documentclass[tikz,border=2pt]{standalone}
\usepackage[T1]{fontenc}
\usepackage[scaled]{helvet}
\renewcommand{\familydefault}{\sfdefault}
\begin{document}
%s\end{document}
"""

PICTURE = r"""%% needs \usepackage{tikz}
%s\begin{tikzpicture}[x=%spt,y=-%spt]
%s\end{tikzpicture}
"""


def write(picture: Any, suffix: str, scale: float) -> bytes:
    """A writer (see WRITERS)."""
    body = tikz(themed(picture.scene, picture.theme))
    return (DOCUMENT % body if suffix == "tex" else body).encode("utf-8")


def tikz(scene: Scene) -> str:
    """The picture environment, with the colours that it uses."""
    unit = POINTS * scene.scale
    colours: dict[str, str] = {}
    lines = []
    if scene.ground != "#FFFFFF":
        ground = Rect(0, 0, scene.width, scene.height, scene.ground, round=0.0)
        lines.append(_shape(ground, unit, colours))
    lines.append(f"\\useasboundingbox (0,0) rectangle ({_n(scene.width)},{_n(scene.height)});\n")
    lines += [_shape(shape, unit, colours) for element in scene.elements for shape in element.shapes]
    defined = "".join(f"\\definecolor{{{name}}}{{HTML}}{{{colour[1:]}}}\n" for colour, name in colours.items())
    return PICTURE % (defined, _n(unit), _n(unit), "".join(lines))


def _shape(shape: Shape | Text, unit: float, colours: dict[str, str]) -> str:
    def colour(c: str) -> str:
        return colours.setdefault(c, f"agl{c[1:]}")

    def line(stroke: str, thick: float, dashes: tuple[float, float] | None) -> str:
        if stroke == "none":
            return "draw=none"
        dashed = f",dash pattern=on {_n(dashes[0] * unit)}pt off {_n(dashes[1] * unit)}pt" if dashes else ""
        return f"draw={colour(stroke)},line width={_n(thick * unit)}pt{dashed}"

    if isinstance(shape, Rect):
        corner = min(shape.round, shape.width / 2, shape.height / 2) * unit
        options = f"fill={colour(shape.fill)},fill opacity={_n(shape.opacity)},rounded corners={_n(corner)}pt"
        options += f",{line(shape.stroke, shape.thick, (4, 3) if shape.dashed else None)}"
        to = f"({_n(shape.x + shape.width)},{_n(shape.y + shape.height)})"
        return f"\\path[{options}] ({_n(shape.x)},{_n(shape.y)}) rectangle {to};\n"
    if isinstance(shape, Circle):
        options = f"fill={colour(shape.fill)},{line(shape.stroke, shape.thick, None)}"
        return f"\\path[{options}] ({_n(shape.x)},{_n(shape.y)}) circle[radius={_n(shape.radius)}];\n"
    if isinstance(shape, Curve):
        first, *rest = (f"({_n(x)},{_n(y)})" for x, y in shape.points)
        way = "".join(
            f" .. controls {b} and {c} .. {d}" for b, c, d in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
        )
        wide = max(shape.thick / 1.8, 1.0)
        dashes = (4 * wide, 3 * wide) if shape.dashed else None
        drawn = f"\\path[{line(shape.stroke, shape.thick, dashes)},draw opacity={_n(shape.opacity)}] {first}{way};\n"
        if shape.head is not None:
            corners = " -- ".join(f"({_n(x)},{_n(y)})" for x, y in shape.head)
            drawn += f"\\path[fill={colour(shape.stroke)}] {corners} -- cycle;\n"
        return drawn
    anchor = {"start": "base west", "middle": "base", "end": "base east"}[shape.anchor]
    size = shape.size * unit * 0.92  # Helvetica for TeX is a little larger than on a screen
    font = f"\\fontsize{{{_n(size)}}}{{{_n(1.2 * size)}}}\\selectfont" + ("\\bfseries\\boldmath" if shape.bold else "")
    options = f"anchor={anchor},inner sep=0pt,outer sep=0pt,text={colour(shape.fill)},font={{{font}}}"
    return f"\\node[{options}] at ({_n(shape.x)},{_n(shape.y)}) {{{in_tex(shape.text)}}};\n"


_VARIABLE = re.compile(f"(?P<letter>[A-Za-z{''.join(LETTERS)}])(?P<sub>[{''.join(map(chr, SUBSCRIPTS.values()))},]*)")


def in_tex(text: str) -> str:
    """A line of a picture in TeX: a letter with subscripts as a variable, everything else as it stands.

    Example:
        >>> from autograd_lite.pictures.writers.tikz import in_tex
        >>> in_tex("w₁₂"), in_tex("50% of {x}")
        ('$w_{12}$', '50\\\\% of \\\\{x\\\\}')
    """
    found = _VARIABLE.fullmatch(text)
    if found is not None:
        letter = f"\\{LETTERS[found['letter']]}" if found["letter"] in LETTERS else found["letter"]
        low = {v: chr(k) for k, v in SUBSCRIPTS.items()}
        sub = "".join(low.get(ord(c), c) for c in found["sub"])
        return f"${letter}_{{{sub}}}$" if sub else f"${letter}$"
    return re.sub(r"\}\$\$([_^])\{", "", escaped(text)) if text else ""


def _n(x: float) -> str:
    return f"{x:.2f}".rstrip("0").rstrip(".")
