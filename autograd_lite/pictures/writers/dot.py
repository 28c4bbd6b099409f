"""A diagram in DOT, the language of Graphviz, written with the graphviz package."""

from __future__ import annotations

from html import escape
from importlib import import_module
from typing import Any

from autograd_lite.engine.checks import needs
from autograd_lite.pictures.diagrams.diagram import Box, Diagram, Share
from autograd_lite.pictures.diagrams.networks import NetworkDiagram
from autograd_lite.pictures.mathematics import Style
from autograd_lite.pictures.writers.scene import BLUE, FRAME_LINE, LINE, MINUS, PLUS, TINTS, VERMILION

STYLES = {"parameter": {"style": "filled"}, "constant": {"style": "rounded,filled,dashed"}}
"""How leaves are told apart without colours."""


def write(picture: Any, suffix: str, scale: float) -> bytes:
    """A writer (see WRITERS); the text is that of `picture.dot`."""
    text: str = picture.dot
    return text.encode("utf-8")


def dot_text(diagram: Diagram, direction: str) -> str:
    """The DOT text of a picture; its labels are HTML-like, in which a backslash means nothing.

    Args:
        diagram: what to draw.
        direction: Graphviz's rankdir.
    """
    graphviz = _graphviz()
    graph = graphviz.Digraph(
        graph_attr={"rankdir": direction, "bgcolor": "white", "nodesep": "0.25", "ranksep": "0.35"},
        node_attr={
            "shape": "box",
            "style": "rounded,filled",
            "fontname": "Helvetica",
            "fontsize": "13",
            "margin": "0.08",
        },
        edge_attr={"fontname": "Helvetica", "fontsize": "11", "color": LINE},
    )
    if diagram.note:
        graph.attr(label=graphviz.escape(diagram.note), labelloc="b", fontname="Helvetica", fontsize="11")
    bodies = [graphviz.Digraph(name=f"cluster_{i}") for i in range(len(diagram.frames))]
    for i, frame in enumerate(diagram.frames):
        title = f"<<B>{_safe(frame.title)}</B>>"
        bodies[i].attr(
            label=title,
            labeljust="l",
            labelloc="b" if direction == "BT" else "t",
            style="rounded",
            color=FRAME_LINE,
            fontname="Helvetica",
            fontsize="11",
        )
    for i, box in enumerate(diagram.boxes):
        (graph if box.frame is None else bodies[box.frame]).node(
            f"n{i}",
            label=_label(box),
            fillcolor=TINTS[box.kind],
            penwidth="3" if box.root else "1.4" if box.kind == "parameter" else "1",
            **STYLES.get(box.kind, {}),
            tooltip=graphviz.escape(box.about),
        )
    # A frame comes after the one around it. Innermost first, since a body is copied into the one around it as it is.
    for i in reversed(range(len(bodies))):
        parent = diagram.frames[i].parent
        (graph if parent is None else bodies[parent]).subgraph(bodies[i])
    for edge in diagram.edges:
        style = "dashed" if edge.idle else "solid"
        marked = {} if not isinstance(edge.overlay, Share) else {"color": VERMILION, "penwidth": "3"}
        tooltip = graphviz.escape(edge.about)
        graph.edge(f"n{edge.source}", f"n{edge.target}", label=edge.label, style=style, tooltip=tooltip, **marked)
    return str(graph.source)


def network_dot(diagram: NetworkDiagram, style: Style) -> str:
    """A network in DOT: a rank a column, lines as wide as what they show."""
    graphviz = _graphviz()
    graph = graphviz.Digraph(
        graph_attr={"rankdir": "LR", "bgcolor": "white", "ranksep": "1.4", "splines": "line"},
        node_attr={"shape": "circle", "style": "filled", "fontname": "Helvetica", "fontsize": "11", "fixedsize": "true",
                   "width": "0.72"},
        edge_attr={"arrowhead": "none", "fontname": "Helvetica", "fontsize": "9"},
    )  # fmt: skip
    columns: dict[int, list[int]] = {}
    for i, unit in enumerate(diagram.units):
        columns.setdefault(unit.column, []).append(i)
    for members in columns.values():
        column = graphviz.Digraph(graph_attr={"rank": "same"})
        for i in members:
            unit = diagram.units[i]
            parts = [x for x, part in ((unit.f, "f"), (unit.g, "g")) if part in style.show]
            texts = [unit.name, *(style.number(x) for x in parts if x is not None)]
            dots = unit.kind in ("more", "columns")
            column.node(
                f"n{i}",
                label=graphviz.escape("\n".join(filter(None, texts))).replace("\\\\n", "\\n"),
                shape="plaintext" if dots else "circle",
                style="" if dots else "filled",
                fillcolor=TINTS["input" if unit.kind == "input" else "op"],
                penwidth="2.4" if unit.kind == "output" else "1",
                tooltip=graphviz.escape(unit.about),
            )
        graph.subgraph(column)
    largest = diagram.largest
    for line in diagram.lines:
        above = line.number >= 0
        graph.edge(
            f"n{line.source}",
            f"n{line.target}",
            penwidth=f"{0.8 + 4.4 * min(abs(line.number) / largest, 1.0):.2f}",
            color=PLUS if above else MINUS,
            style="solid" if above else "dashed",
            tooltip=graphviz.escape(line.about),
        )
    return str(graph.source)


def _graphviz() -> Any:
    try:
        return import_module("graphviz")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(needs("DOT", "graphviz"), name=error.name) from None


def _label(box: Box) -> str:
    """The lines of a box as a table without lines."""
    colours = {"f": BLUE, "g": VERMILION, "note": LINE, "rule": LINE}
    rows = []
    if not box.literal:
        symbol = f'<TD ALIGN="RIGHT"><FONT COLOR="{LINE}">{_safe(box.symbol)}</FONT></TD>' if box.symbol else ""
        rows.append(f'<TR><TD ALIGN="LEFT"><B>{_safe(box.title)}</B></TD>{symbol}</TR>')
    span = ' COLSPAN="2"' if box.symbol else ""
    for part, text in box.lines:
        rows.append(f'<TR><TD ALIGN="LEFT"{span}><FONT COLOR="{colours[part]}">{_safe(text)}</FONT></TD></TR>')
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{"".join(rows)}</TABLE>>'


def _safe(text: str) -> str:
    """Text inside a label; Graphviz refuses an empty element, and reads a backslash as the start of an escape."""
    return escape(text).replace("\\", "&#92;") or " "
