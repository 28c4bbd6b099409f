"""`quiz`: a picture with blanks to fill in, hints that name the rule, and the solution.

What each level asks for is a function that gives Questions; what must not be shown because an answer could be read off
it is decided in `quiz_of`. Sheets for a class and files for other programs are in exercises.py.
"""

from __future__ import annotations

import math
import random
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograd_lite.atomic_write import write_whole
from autograd_lite.engine import graph
from autograd_lite.engine.backward import adjoints, contributions
from autograd_lite.engine.checks import as_float, describe, setting
from autograd_lite.engine.graph import raw_operands
from autograd_lite.engine.notation import Labels, assignment, number
from autograd_lite.engine.reading import number_of, slope_of
from autograd_lite.engine.value import Literal, Parameter, Value
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
from autograd_lite.pictures.mathematics import Language, Style, derivative, in_letters, written
from autograd_lite.pictures.picture import SHARPNESS, Picture
from autograd_lite.pictures.steps import Indices, indices, signed
from autograd_lite.pictures.writers import target_of
from autograd_lite.pictures.writers.document import document
from autograd_lite.pictures.writers.notebook import frame, image
from autograd_lite.pictures.writers.svg import with_sheets

if TYPE_CHECKING:
    from autograd_lite.pictures.exercises import Sheets

TOLERANCE = 5e-3
"""The relative error that an answer may have: three digits are enough."""

CONTROLS = 420.0
"""Height of the questions of a page in a notebook, in pixels."""

HIDE = {
    "f": "forward values", "g": "backward values", "local": "local gradients",
    "update": "parameters after one step", "mistake": "box whose g is wrong",
}  # fmt: skip
"""What a quiz can ask for, in words."""

WORDS = {
    "add": "sum", "sub": "difference", "mul": "product", "div": "quotient", "neg": "minus", "pow": "power",
    "dot": "dot product", "exp": "exponential function", "log": "logarithm", "sqrt": "square root",
    "abs": "absolute value",
    "relu": "relu, max(x, 0)", "sigmoid": "sigmoid, 1 / (1 + exp(-x))",
}  # fmt: skip
"""Operations in words, for hints; others are called by their name."""

Answer = float | str


@dataclass(frozen=True)
class Question:
    """A blank.

    Args:
        where: "box", "edge" or "picture", and the index.
        asks: what is asked for, such as g(w).
        answer: the number, or the letter of a box.
        hint: the rule that gives it, without the number.
        working: the arithmetic, with the number.
    """

    where: tuple[str, int]
    asks: str
    answer: Answer
    hint: str
    working: str


class Quiz:
    """A picture with blanks A, B, ...; made by `ag.quiz`.

    In a notebook it is a page with a field for each blank, hints and a score; elsewhere it shows as text.

    Attributes:
        blanks: what each blank asks for, by its letter.
        picture: the picture with the blanks.
    """

    picture: Picture

    def __init__(
        self, picture: Picture, solved: Picture, asked: Mapping[str, Question], level: str, given: str,
        program: Callable[[Language], list[str]],
    ) -> None:  # fmt: skip
        self.picture, self._solved, self._asked, self._level, self._given = picture, solved, dict(asked), level, given
        self.program = program
        """The graph in formulas, without results, for where there is no picture."""
        self.blanks: dict[str, str] = {letter: question.asks for letter, question in asked.items()}
        self._again: Callable[[int], Quiz] | None = None
        """Makes a quiz of the same graph with other numbers, drawn by a seed."""

    @property
    def answers(self) -> dict[str, Answer]:
        """The answer of each blank, by its letter.

        Example:
            >>> w, x = ag.Parameter(3.0, name="w"), ag.Value(2.0, name="x")
            >>> ag.quiz(w * x).answers
            {'A': 2.0, 'B': 3.0}
        """
        return {letter: question.answer for letter, question in self._asked.items()}

    def check(self, answers: Mapping[str, Any] | None = None, **more: Any) -> dict[str, bool]:
        """Which answers are right, to three digits.

        Args:
            answers: numbers by letter; they may also be given as keywords, `check(A=6, B=12)`. Where the answer is a
                box, its letter.

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
        for letter, given in {**(answers or {}), **more}.items():
            right = self._blank(letter).answer
            if isinstance(right, str):
                found[letter] = str(given).strip().upper() == right
                continue
            x = as_float(given, f"quiz: the answer {letter}")
            same = x == right or (math.isnan(x) and math.isnan(right))
            found[letter] = same or math.isclose(x, right, rel_tol=TOLERANCE)
        return found

    def hint(self, letter: str) -> str:
        """The rule that gives a blank, without its number.

        Example:
            >>> w, x = ag.Parameter(3.0, name="w"), ag.Value(2.0, name="x")
            >>> print(ag.quiz(w * x).hint("A"))
            g(w) = g(v3)·∂v3/∂w; product: ∂v3/∂w = x, with x = 2
        """
        return self._blank(letter).hint

    def working(self, letter: str) -> str:
        """The arithmetic that gives a blank.

        Example:
            >>> w, x = ag.Parameter(3.0, name="w"), ag.Value(2.0, name="x")
            >>> print(ag.quiz(w * x).working("A"))
            g(w) = g(v3)·∂v3/∂w = 1·2 = 2
        """
        return self._blank(letter).working

    def solution(self) -> Picture:
        """The picture with every number."""
        return self._solved

    def sheets(self, names: int | Sequence[str], seed: int = 0) -> Sheets:
        """The same exercise for a class, each sheet with numbers of its own.

        Args:
            names: how many sheets, or the name for each.
            seed: of the numbers; sheet i is the same for the same seed.

        Returns:
            The Sheets: `.quizzes`, and `.save(path)` as .pdf (the key on pages of its own), .xml or .gift.

        Raises:
            TypeError, ValueError: names is neither, or below 1; no other numbers were found for which all results are
                finite.

        Example:
            >>> w, x = ag.Parameter(3.0, name="w"), ag.Value(2.0, name="x")
            >>> sheets = ag.quiz((w * x - 1.0) ** 2).sheets(["Ada", "Emmy"])
            >>> len({tuple(quiz.answers.values()) for quiz in sheets.quizzes})
            2
        """
        from autograd_lite.pictures.exercises import sheets_of

        assert self._again is not None
        return sheets_of(self._again, names, seed)

    @cached_property
    def html(self) -> str:
        """A page with a field for each blank, hints, the working, and a score; it needs no network.

        Answers stand in it in a form that cannot be read; whoever takes the page apart finds them.
        """
        items = [
            {"letter": letter, "asks": q.asks, "where": list(q.where), "secret": veiled(letter, q)}
            for letter, q in self._asked.items()
        ]
        data = {"prefix": self.picture.prefix, "items": items, "tolerance": TOLERANCE, "part": self._level}
        shown = with_sheets(self.picture.svg, self.picture.scene, self.picture.prefix)  # dark where the page is
        return document("quiz", f"Quiz: {HIDE[self._level]}", data, image=shown, task=self.task)

    @property
    def task(self) -> str:
        """What is to be done, in a sentence."""
        if self._level == "mistake":
            return "One backward value is wrong, and those below follow from it. Which box is the first?"
        if self._level == "update":
            return f"Take one step, {self._given}."
        return f"Fill in the {HIDE[self._level]}."

    def save(self, path: str | PathLike[str], scale: float = SHARPNESS) -> Path:
        """Write the exercise to a file; `.solution().save(path)` writes the other picture.

        Args:
            path: a name that ends in .html (the page with fields), .svg, .png, .pdf or .dot (the picture), .xml
                (Moodle), .gift (Moodle and others), .tex (LaTeX) or .ipynb (cells as nbgrader reads them).
            scale: of a .png.

        Returns:
            The path.

        Raises:
            ValueError: another suffix.
        """
        known = ("html", "svg", "png", "pdf", "dot", "xml", "gift", "tex", "ipynb")
        target, suffix = target_of(path, known)
        if suffix in ("svg", "png", "pdf", "dot"):
            return self.picture.save(path, scale)
        from autograd_lite.pictures.exercises import EXPORTS

        content = self.html if suffix == "html" else EXPORTS[suffix]([self])
        write_whole(target, content.encode("utf-8"), "save: path")
        return target

    def _blank(self, letter: str) -> Question:
        try:
            return self._asked[letter]
        except KeyError:
            known = f"A to {list(self._asked)[-1]}" if len(self._asked) > 1 else "A"
            raise KeyError(f"quiz: there is no blank {describe(letter)}; they are {known}") from None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # Where a page may run no script, as in a notebook that is not trusted, the frame goes and the image stays.
        height = min(self.picture.scene.height + CONTROLS, 900.0)
        style = f"width:100%;height:{height:.0f}px;border:0"
        shown = frame(self.html, image(self.picture), title=self.task, style=style,
                      scripts=True)  # fmt: skip
        return {"text/plain": repr(self), "image/svg+xml": self.picture.svg, "text/html": shown}

    def __repr__(self) -> str:
        lines = [f"{letter}. {question} = ?" for letter, question in self.blanks.items()]
        return "\n".join([f"{self.task[:-1]}:" if self.task.endswith(".") else self.task, *lines])


def veiled(letter: str, question: Question) -> list[int]:
    """The answer, the hint and the working as numbers that say nothing to a reader; quiz.js undoes it."""
    text = "\n".join((repr(question.answer), question.hint, question.working))
    state, found = sum(map(ord, letter)) * 7919 + 17, []
    for byte in text.encode("utf-8", "replace"):
        state = (state * 1664525 + 1013904223) % 2**32
        found.append(byte ^ state >> 24)
    return found


# --- what is asked for ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Material:
    """A graph to ask about: its nodes in order, what they are called, where they are drawn, their gradients."""

    order: Sequence[Value]
    labels: Labels
    at: Indices
    adjoint: Mapping[Value, float]
    seed: int
    lr: float

    def name(self, x: Value) -> str:
        """What a Value is called, as the picture writes it."""
        return in_letters(self.labels[x])

    def computed(self, node: Value, language: Language) -> str:
        """How a node is computed from others, without the result; the number of a leaf."""
        name = language.name(self.labels[node]).text
        if node._row is None:
            return f"{name} = {language.number(number_of(node)).text}"
        terms = [
            language.number(x) if x.__class__ is float else language.name(self.labels[x]) for x in raw_operands(node)
        ]
        return f"{name} = {written(node, terms, language).text}"

    def slope(self, node: Value, slot: int) -> str:
        """A local gradient as it is written."""
        return f"∂{self.name(node)}/∂{self.name(raw_operands(node)[slot])}"

    def rule(self, node: Value, slot: int) -> str:
        """A local gradient in words: the operation, the derivative, and the numbers that it takes."""
        row = node._row
        assert row is not None
        word, text = WORDS.get(row.name, row.name.lstrip("_")), self.derivative(node, slot)
        if not text:
            return f"{word}: {row.about}"
        known = {self.name(x): number_of(x) for x in (node, *raw_operands(node)) if x.__class__ is not float}
        used = [f"{name} = {number(f)}" for name, f in known.items() if _occurs(name, text)]
        return f"{word}: {self.slope(node, slot)} = {text}" + (f", with {', '.join(used)}" if used else "")

    def derivative(self, node: Value, slot: int) -> str:
        """The formula of a local gradient; "" where there is none that is short."""
        return derivative(node, slot, self.labels.__getitem__, Language(folds=True))

    def flows(self) -> dict[Value, list[tuple[Value, int]]]:
        """The (user, slot) of each node, in the order of the users."""
        found: dict[Value, list[tuple[Value, int]]] = {}
        for node in self.order:
            for slot, x in enumerate(raw_operands(node)):
                if x.__class__ is not float:
                    found.setdefault(x, []).append((node, slot))
        return found


def _occurs(label: str, text: str) -> bool:
    """Whether a name stands in a formula, and not just a part of a longer one."""
    parts = text.split(label)
    return len(parts) > 1 and any(
        not (a and (a[-1].isalnum() or a[-1] == "_")) and not (b and (b[0].isalnum() or b[0] == "_"))
        for a, b in pairwise(parts)
    )


def _forward(m: Material) -> list[Question]:
    return [
        Question(("box", m.at.box[node]), f"f({m.name(node)})", number_of(node), m.computed(node, Language()),
                 assignment(node, m.labels))
        for node in m.order if node._row is not None
    ]  # fmt: skip


def _backward(m: Material) -> list[Question]:
    found, flows = [], m.flows()
    for node in m.order[:-1]:
        name, users = m.name(node), flows[node]
        terms = " + ".join(f"g({m.name(user)})·{m.slope(user, slot)}" for user, slot in users)
        rules = "; ".join(dict.fromkeys(m.rule(user, slot) for user, slot in users))
        numbers = " + ".join(f"{signed(m.adjoint[user])}·{signed(slope_of(user, slot))}" for user, slot in users)
        working = f"g({name}) = {terms} = {numbers} = {number(m.adjoint[node])}"
        found.append(
            Question(("box", m.at.box[node]), f"g({name})", m.adjoint[node], f"g({name}) = {terms}; {rules}", working)
        )
    return found


def _local(m: Material) -> list[Question]:
    found = []
    for node in m.order:
        for slot, x in enumerate(raw_operands(node)):
            if x.__class__ is not float:
                slope, local = m.slope(node, slot), slope_of(node, slot)
                steps = dict.fromkeys(filter(None, (slope, m.derivative(node, slot), Language().number(local).text)))
                where = "edge", m.at.edge[node, slot]
                found.append(Question(where, slope, local, m.rule(node, slot), " = ".join(steps)))
    return found


def _update(m: Material) -> list[Question]:
    found = []
    for p in m.order:
        if isinstance(p, Parameter) and not p.frozen:
            name, w, g = m.name(p), number_of(p), m.adjoint[p]
            rule = f"{name} ← {name} − lr·g({name}), with lr = {number(m.lr)}"
            working = f"{name} ← {signed(w)} − {number(m.lr)}·{signed(g)} = {number(w - m.lr * g)}"
            found.append(Question(("box", m.at.box[p]), f"{name} after the step", w - m.lr * g, rule, working))
    if not found:
        raise ValueError(
            "quiz: there is no Parameter in this graph that a step could change; make the weights Parameters"
        )
    return found


LEVELS: dict[str, Callable[[Material], list[Question]]] = {
    "f": _forward, "g": _backward, "local": _local, "update": _update,
}  # fmt: skip


def _planted(m: Material) -> tuple[dict[Value, float], Value, str]:
    """(backward values of which one is wrong and the ones below follow, the node, what was done wrong)."""
    rng, flows = random.Random(f"{m.seed} mistake"), m.flows()
    made: list[tuple[Value, float, str]] = []
    for node in m.order[:-1]:
        parts = [(m.adjoint[user], slope_of(user, slot)) for user, slot in flows[node]]
        right = m.adjoint[node]
        if len(parts) > 1:
            made.append((node, parts[0][0] * parts[0][1], "only one of its users was counted"))
        g, local = parts[0]
        made += [
            (node, right - g * local + g, "a local gradient was left out"),
            (node, right - g * local + local, "the local gradient stands there alone, without g of the user"),
            (node, -right, "the sign is wrong"),
        ]
    made = [
        (node, wrong, what) for node, wrong, what in made
        if math.isfinite(wrong) and abs(wrong - m.adjoint[node]) > 0.02 * (abs(m.adjoint[node]) + 1e-3)
    ]  # fmt: skip
    if not made:
        raise ValueError("quiz: no mistake can be planted in this graph: every backward value is 0 or not finite")
    target, wrong, what = rng.choice(made)
    found = dict.fromkeys(m.order, 0.0) | {m.order[-1]: m.adjoint[m.order[-1]], target: wrong}
    for _, _, x, plus in contributions(m.order, found):  # those of a node are computed when its turn comes
        found[x] = wrong if x is target else found[x] + plus
    return found, target, what


def _mistake(m: Material, target: Value, wrong: float, what: str) -> tuple[Question, dict[int, str]]:
    """(the question, the letter of each box that may be the answer)."""
    letters = {node: _letters(i) for i, node in enumerate(m.order[:-1])}
    hint = "go down from the root: g of a box is the sum of g(user)·local gradient over its users"
    right = next(question for question in _backward(m) if question.where == ("box", m.at.box[target]))
    working = f"{letters[target]}: {what}; {right.working}, not {number(wrong)}"
    question = Question(("picture", 0), "the first box whose g is wrong", letters[target], hint, working)
    return question, {m.at.box[node]: f"box {letter}" for node, letter in letters.items()}


# --- the picture ------------------------------------------------------------------------------------------------


def quiz_of(
    order: Sequence[Value], draw: Callable[[Mapping[Value, float]], Diagram], hide: str, count: int | None, seed: int,
    direction: str, lr: float,
) -> Quiz:  # fmt: skip
    """The quiz of a graph of which every node has a box.

    Args:
        order: the nodes, operands first.
        draw: its picture with given backward values.
        hide: a level of HIDE.
        count: how many blanks; None for all possible ones.
        seed: of the choice.
        direction: of the picture.
        lr: the learning rate of the level "update".
    """
    m = Material(order, Labels(order), indices(order), adjoints(order[-1]), seed, lr)
    if len(order) < 2:
        raise ValueError("quiz: this graph has nothing to ask for; it is a leaf")
    whole, notes = draw(m.adjoint), dict[int, str]()
    shown = whole
    if hide == "mistake":
        wrong, target, what = _planted(m)
        question, notes = _mistake(m, target, wrong[target], what)
        questions, shown = [question], draw(wrong)
    else:
        questions = LEVELS[hide](m)
        if count is not None and count < len(questions):
            chosen = sorted(random.Random(seed).sample(range(len(questions)), count))
            questions = [questions[i] for i in chosen]
    asked = {_letters(i): question for i, question in enumerate(questions)}
    if hide == "update":
        notes = {q.where[1]: f"after the step: {letter} ?" for letter, q in asked.items()}
    sheet = _covered(shown, m, asked, hide, notes)
    made = Picture(sheet, direction, lambda: "\n".join(f"{letter}. {q.asks} = ?" for letter, q in asked.items()))
    solved = Picture(
        whole, direction, lambda: "\n".join(f"{k}. {q.asks} = {_text(q.answer)}" for k, q in asked.items())
    )
    made.style = solved.style = Style(symbols="math")

    def program(language: Language) -> list[str]:
        return [m.computed(node, language) for node in order if not isinstance(node, Literal)]

    return Quiz(made, solved, asked, hide, f"w ← w − lr·g(w), with lr = {number(lr)}", program)


def _covered(
    shown: Diagram, m: Material, asked: Mapping[str, Question], hide: str, notes: Mapping[int, str]
) -> Diagram:  # fmt: skip
    """The picture with blanks; what an answer could be read off is left out, and so are tooltips with numbers."""
    blanks = {q.where: letter for letter, q in asked.items()}
    nodes = {m.at.box[node]: node for node in m.order}
    # An f can be read off those that are computed from it, a g off those below it; local gradients tell f.
    unsafe = (
        _beyond(m, [nodes[i] for (kind, i) in blanks if kind == "box"], up=hide == "f") if hide in ("f", "g") else set()
    )
    boxes = []
    for i, box in enumerate(shown.values):
        node = nodes.get(i)
        about = box.about if node is None else m.computed(node, Language())
        letter = blanks.get(("box", i), "") if hide in ("f", "g") else ""
        hidden = ("g",) if hide in ("f", "local") else ()
        if not letter and node in unsafe:
            hidden = (*hidden, hide)
        over = Blank(hide if letter else "", letter, hidden) if letter or hidden else None
        boxes.append(replace(box, about=about, overlay=over, note=notes.get(i, box.note)))
    edges = []
    for i, edge in enumerate(shown.edges):
        letter = blanks.get(("edge", i), "")
        over = Blank("local", letter) if letter else Blank("", "") if hide == "f" else None
        edges.append(replace(edge, about=edge.about.partition(" = ")[0], overlay=over))
    what = HIDE[hide] if hide == "mistake" else f"{len(asked)} of its {HIDE[hide]}"
    return replace(shown, boxes=tuple(boxes), edges=tuple(edges), about=f"A computation graph with blanks for {what}")


def _beyond(m: Material, hidden: Iterable[Value], up: bool) -> set[Value]:
    """The nodes that are computed from these (up), or those that they are computed from."""
    found = set(hidden)
    for node in m.order if up else reversed(m.order):
        operands = [x for x in raw_operands(node) if x.__class__ is not float]
        if up and not found.isdisjoint(operands):
            found.add(node)
        elif not up and node in found:
            found.update(operands)
    return found


def _text(answer: Answer) -> str:
    return answer if isinstance(answer, str) else f"{answer:.4g}"


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
    hide: typing.Literal["f", "g", "local", "update", "mistake"] = "g",
    *,
    count: int | None = None,
    seed: int = 0,
    direction: typing.Literal["BT", "LR"] = "BT",
    lr: float = 0.1,
) -> Quiz:
    """A picture with blanks to fill in: an exercise that grades itself.

    Args:
        loss: the Value at the root.
        hide: "f" forward values, "local" local gradients, "g" backward values, "update" the parameters after one step
            of gradient descent, or "mistake": one backward value is wrong, and the box is asked for.
        count: how many blanks; None for all possible ones.
        seed: of the choice; the same seed gives the same sheet, for a whole class.
        direction: where the root goes: "BT" on top, "LR" to the right.
        lr: the learning rate of "update".

    Returns:
        A Quiz: in a notebook a page with fields, hints and a score; it has `.blanks`, `.check(A=6.0)`, `.hint("A")`,
        `.answers`, `.solution()`, `.sheets(30)` for a class, and `.save(path)`, also as Moodle XML, GIFT, LaTeX or
        cells for nbgrader. A number from which an answer could be read off is not shown.

    Raises:
        TypeError: loss is not a Value, or count is not a whole number.
        ValueError: hide is none of the five, the graph is a leaf or has more than 60 boxes or 240 edges, count is
            below 1, the data of a leaf has changed since loss was computed, or there is no Parameter to update.

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
    if not isinstance(loss, Value):
        raise TypeError(f"quiz: expected a Value (the root of a graph), got {describe(loss)}")
    if not isinstance(hide, str) or hide not in HIDE:
        *first, last = map(repr, HIDE)
        raise ValueError(f"quiz: hide must be {', '.join(first)} or {last}, got {describe(hide)}")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
        raise TypeError(f"quiz: count must be a whole number of blanks, got {describe(count)}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"quiz: seed must be a whole number, got {describe(seed)}")
    if count is not None and count < 1:
        raise ValueError(f"quiz: count must be at least 1, got {count}")
    check_direction(direction, "quiz")
    lr = setting(lr, "quiz: lr", 0.0)
    order = graph.toposort(loss)
    if not readable(order):
        boxes, edges = count_of(order), edges_of(order)
        many = f"{boxes:,} boxes" if boxes > FOLD_OVER else f"{edges:,} edges"
        most = FOLD_OVER if boxes > FOLD_OVER else FOLD_OVER_EDGES
        raise ValueError(f"quiz: {many} are too many for a sheet ({most}); take a smaller example, or an inner Value")
    stale = staleness(order)
    if stale is not None:
        raise ValueError(f"quiz: the data of a leaf under {stale!r} has changed since; compute the loss again")
    return _made(order, hide, count, seed, direction, lr)


def _made(order: Sequence[Value], hide: str, count: int | None, seed: int, direction: str, lr: float) -> Quiz:
    from autograd_lite.pictures.diagrams.diagram import diagram_of
    from autograd_lite.pictures.exercises import with_other_numbers

    def draw(adjoint: Mapping[Value, float]) -> Diagram:
        return diagram_of(order, [order[-1]], adjoint=adjoint)

    made = quiz_of(order, draw, hide, count, seed, direction, lr)
    again = partial(with_other_numbers, order)
    made._again = lambda other: _made(again(other), hide, count, seed, direction, lr)
    return made
