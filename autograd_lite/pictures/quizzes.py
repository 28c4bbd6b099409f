"""`quiz`: a picture with blanks to fill in, hints that name the rule, and the solution."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from autograd_lite.engine import graph
from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.graph import raw_operands
from autograd_lite.engine.notation import Labels, formula
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.rules import Row
from autograd_lite.engine.value import Value
from autograd_lite.pictures.arguments import (
    FOLD_OVER,
    FOLD_OVER_EDGES,
    check_direction,
    count_of,
    edges_of,
    readable,
    staleness,
)
from autograd_lite.pictures.diagrams.diagram import Blank, Diagram
from autograd_lite.pictures.picture import SHARPNESS, Picture
from autograd_lite.pictures.steps import Indices, indices

TOLERANCE = 5e-3
"""The relative error that an answer may have: three digits are enough."""

HIDE = {"f": "forward values", "g": "backward values", "local": "local gradients"}
"""What a quiz can ask for, in words."""

Question = tuple[tuple[str, int], str, float, str]
"""Where the blank is ("box" or "edge", and its index), what is asked for, the answer, the hint."""


class Quiz:
    """A picture with blanks A, B, ...; made by `ag.quiz`.

    Attributes:
        blanks: what each blank asks for, by its letter.
        picture: the picture with the blanks.
    """

    picture: Picture

    def __init__(
        self, picture: Picture, solved: Picture, asked: Mapping[str, tuple[str, float, str]], numbers_hidden: str
    ) -> None:
        self.picture, self._solved, self._asked, self._what = picture, solved, dict(asked), numbers_hidden
        self.blanks: dict[str, str] = {letter: question for letter, (question, _, _) in asked.items()}

    def check(self, answers: Mapping[str, float] | None = None, **more: float) -> dict[str, bool]:
        """Which answers are right, to three digits.

        Args:
            answers: numbers by letter; they may also be given as keywords, `check(A=6, B=12)`.

        Returns:
            True or False for each letter that was answered.

        Raises:
            KeyError: there is no such blank.
            TypeError: answers is not a dict, or an answer is not a number.

        Example:
            >>> w, x = ag.Parameter(3.0, name="w"), ag.Value(2.0, name="x")
            >>> quiz = ag.quiz(w * x)
            >>> quiz.blanks
            {'A': 'g(w)', 'B': 'g(x)'}
            >>> quiz.check(A=2.0, B=2.0)
            {'A': True, 'B': False}
        """
        if answers is not None and not isinstance(answers, Mapping):
            raise TypeError(f"quiz: answers must be a dict by letter, such as {{'A': 6}}, got {describe(answers)}")
        found = {}
        for letter, answer in {**(answers or {}), **more}.items():
            _, number, _ = self._blank(letter)
            x = as_float(answer, f"quiz: the answer {letter}")
            same = x == number or (math.isnan(x) and math.isnan(number))
            found[letter] = same or math.isclose(x, number, rel_tol=TOLERANCE)
        return found

    def hint(self, letter: str) -> str:
        """The rule that gives a blank, without its number.

        Example:
            >>> w, x = ag.Parameter(3.0, name="w"), ag.Value(2.0, name="x")
            >>> print(ag.quiz(w * x).hint("A"))
            g(w) = g(v3) * d(v3)/d(w); mul: a * b has the local gradient b in a
        """
        return self._blank(letter)[2]

    def solution(self) -> Picture:
        """The picture with every number."""
        return self._solved

    def save(self, path: str | PathLike[str], scale: float = SHARPNESS) -> Path:
        """Write the sheet to a file, as the picture of `ag.draw` does; `.solution().save(path)` writes the other."""
        return self.picture.save(path, scale)

    def _blank(self, letter: str) -> tuple[str, float, str]:
        try:
            return self._asked[letter]
        except KeyError:
            known = f"A to {list(self._asked)[-1]}" if len(self._asked) > 1 else "A"
            raise KeyError(f"quiz: there is no blank {describe(letter)}; they are {known}") from None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {**self.picture._repr_mimebundle_(), "text/plain": repr(self)}

    def __repr__(self) -> str:
        lines = [f"{letter}. {question} = ?" for letter, question in self.blanks.items()]
        return "\n".join([f"Fill in the {self._what}:", *lines])


def quiz_of(order: Sequence[Value], whole: Diagram, hide: str, count: int | None, seed: int, direction: str) -> Quiz:
    """The quiz of a graph of which every node has a box.

    Args:
        order: the nodes, operands first.
        whole: its picture, with backward values.
        hide: "f", "g" or "local".
        count: how many blanks; None for all possible ones.
        seed: of the choice.
        direction: of the picture.
    """
    labels, at = Labels(order), indices(order)
    questions = {"f": _forward, "g": _backward, "local": _local}[hide](order, labels, at, whole)
    if not questions:
        raise ValueError("quiz: this graph has nothing to ask for; it is a leaf")
    if count is not None and count < len(questions):
        chosen = sorted(random.Random(seed).sample(range(len(questions)), count))
        questions = [questions[i] for i in chosen]
    asked: dict[str, tuple[str, float, str]] = {}
    blanks: dict[tuple[str, int], Blank] = {}
    for i, (where, question, number, hint) in enumerate(questions):
        letter = _letters(i)
        asked[letter], blanks[where] = (question, number, hint), Blank(hide, letter)
    # Neither a tooltip nor the sentence for screen readers may give away what is asked for.
    nodes = {at.box[node]: node for node in order}
    boxes = tuple(
        replace(
            box,
            about=f"{labels[nodes[i]]} = {formula(nodes[i], labels)}" if i in nodes else box.about,
            overlay=blanks.get(("box", i)),
        )
        for i, box in enumerate(whole.values)
    )
    edges = tuple(
        replace(edge, about=edge.about.partition(" = ")[0], overlay=blanks.get(("edge", i)))
        for i, edge in enumerate(whole.edges)
    )
    about = f"A computation graph with blanks for {len(asked)} of its {HIDE[hide]}"
    sheet = replace(whole, boxes=boxes, edges=edges, about=about)
    text = "\n".join(f"{letter}. {question} = ?" for letter, (question, _, _) in asked.items())
    solved = "\n".join(f"{letter}. {question} = {number:.4g}" for letter, (question, number, _) in asked.items())
    return Quiz(Picture(sheet, direction, lambda: text), Picture(whole, direction, lambda: solved), asked, HIDE[hide])


def _forward(order: Sequence[Value], labels: Labels, at: Indices, whole: Diagram) -> list[Question]:
    return [
        (("box", at.box[node]), f"f({labels[node]})", number_of(node), f"{labels[node]} = {formula(node, labels)}")
        for node in order
        if node._row is not None
    ]


def _backward(order: Sequence[Value], labels: Labels, at: Indices, whole: Diagram) -> list[Question]:
    terms: dict[Value, list[str]] = {}
    rules: dict[Value, list[str]] = {}
    for node in order:
        for slot, x in enumerate(raw_operands(node)):
            if x.__class__ is not float:
                terms.setdefault(x, []).append(f"g({labels[node]}) * d({labels[node]})/d({labels[x]})")
                rule = _rule_text(node._row, slot)
                if rule not in rules.setdefault(x, []):
                    rules[x].append(rule)
    found: list[Question] = []
    for node in order[:-1]:
        hint = f"g({labels[node]}) = {' + '.join(terms[node])}; {'; '.join(rules[node])}"
        g = whole.values[at.box[node]].g
        assert g is not None
        found.append((("box", at.box[node]), f"g({labels[node]})", g[0], hint))
    return found


def _local(order: Sequence[Value], labels: Labels, at: Indices, whole: Diagram) -> list[Question]:
    found: list[Question] = []
    for node in order:
        for slot, (x, local) in enumerate(zip(raw_operands(node), node.local_grads, strict=True)):
            if x.__class__ is not float:
                question = f"d({labels[node]})/d({labels[x]})"
                found.append((("edge", at.edge[node, slot]), question, local, _rule_text(node._row, slot)))
    return found


def _rule_text(row: Row | None, slot: int) -> str:
    """A local derivative in words, from the table."""
    assert row is not None
    if row.variadic or not isinstance(row.partials, str) or not isinstance(row.forward, str):
        return f"{row.name}: {row.about}"
    return (
        f"{row.name}: {row.forward} has the local gradient {row.partial_texts()[slot].strip()} in {row.operands[slot]}"
    )


def _letters(i: int) -> str:
    """A to Z, then AA, AB, ..."""
    text = ""
    i += 1
    while i:
        i, rest = divmod(i - 1, 26)
        text = chr(65 + rest) + text
    return text


def quiz(
    loss: Value,
    hide: Literal["f", "g", "local"] = "g",
    *,
    count: int | None = None,
    seed: int = 0,
    direction: Literal["BT", "LR"] = "BT",
) -> Quiz:
    """A picture with blanks to fill in: forward values, backward values or local gradients.

    Args:
        loss: the Value at the root.
        hide: "f", "g" or "local".
        count: how many blanks; None for all possible ones.
        seed: of the choice; the same seed gives the same sheet, for a whole class.
        direction: where the root goes: "BT" on top, "LR" to the right.

    Returns:
        A Quiz: it shows itself in a notebook and has `.blanks`, `.check(A=6.0)`, `.hint("A")` and `.solution()`.

    Raises:
        TypeError: loss is not a Value, or count is not a whole number.
        ValueError: hide is none of the three, the graph is a leaf or has more than 60 boxes or 240 edges, count is
            below 1, or the data of a leaf has changed since loss was computed.

    Example:
        >>> a = ag.Value(3.0, name="a")
        >>> b = a ** 2
        >>> b.name = "b"
        >>> quiz = ag.quiz(b ** 2)
        >>> quiz
        Fill in the backward values:
        A. g(a) = ?
        B. g(b) = ?
        >>> quiz.check(A=108, B=18)
        {'A': True, 'B': True}
    """
    from autograd_lite.engine.backward import adjoints
    from autograd_lite.pictures.diagrams.diagram import diagram_of

    if not isinstance(loss, Value):
        raise TypeError(f"quiz: expected a Value (the root of a graph), got {describe(loss)}")
    if not isinstance(hide, str) or hide not in HIDE:
        raise ValueError(f"quiz: hide must be 'f', 'g' or 'local', got {describe(hide)}")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
        raise TypeError(f"quiz: count must be a whole number of blanks, got {describe(count)}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"quiz: seed must be a whole number, got {describe(seed)}")
    if count is not None and count < 1:
        raise ValueError(f"quiz: count must be at least 1, got {count}")
    check_direction(direction, "quiz")
    order = graph.toposort(loss)
    if not readable(order):
        boxes, edges = count_of(order), edges_of(order)
        many = f"{boxes:,} boxes" if boxes > FOLD_OVER else f"{edges:,} edges"
        most = FOLD_OVER if boxes > FOLD_OVER else FOLD_OVER_EDGES
        raise ValueError(f"quiz: {many} are too many for a sheet ({most}); take a smaller example, or an inner Value")
    stale = staleness(order)
    if stale is not None:
        raise ValueError(f"quiz: the data of a leaf under {stale!r} has changed since; compute the loss again")
    return quiz_of(order, diagram_of(order, [loss], adjoint=adjoints(loss)), hide, count, seed, direction)
