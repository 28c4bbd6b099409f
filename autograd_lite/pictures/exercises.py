"""Exercises for a class: sheets with numbers of their own, and files for Moodle, LaTeX and nbgrader."""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Callable, Sequence
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from autograd_lite.atomic_write import write_whole
from autograd_lite.engine import graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import describe, whole
from autograd_lite.engine.graph import raw_operands
from autograd_lite.engine.notation import number, printable
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.value import Literal, Value, record
from autograd_lite.pictures.mathematics import Language, escaped, in_latex
from autograd_lite.pictures.picture import Picture
from autograd_lite.pictures.quizzes import TOLERANCE, Quiz
from autograd_lite.pictures.writers import target_of
from autograd_lite.pictures.writers.scene import INK, MARGIN, SMALL, Element, Scene, Text, moved_down, wrapped

TRIES = 300
"""Drawings of numbers before it is said that there are none."""

LARGEST = 1e4
"""Size of a result that can still be computed by hand."""

LINE, PAGE_LINES = 20.0, 44
"""Height of a line of a sheet, in pixels, and lines on a page of the key."""


class Sheets:
    """One exercise for a class; made by `Quiz.sheets`.

    Attributes:
        names: whom each sheet is for.
        quizzes: the Quiz of each.
    """

    names: tuple[str, ...]
    quizzes: tuple[Quiz, ...]

    def __init__(self, names: Sequence[str], quizzes: Sequence[Quiz], heads: Sequence[str]) -> None:
        self.names, self.quizzes, self._heads = tuple(names), tuple(quizzes), tuple(heads)

    def __len__(self) -> int:
        return len(self.quizzes)

    def __getitem__(self, i: int) -> Quiz:
        return self.quizzes[i]

    @property
    def key(self) -> str:
        """The answers of every sheet, a line each."""
        pairs = zip(self.names, self.quizzes, strict=True)
        return "\n".join(f"{name}: {', '.join(_answers(quiz))}" for name, quiz in pairs)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the sheets to a file.

        Args:
            path: a name that ends in .pdf (a page a sheet, the key on pages of its own at the end; needs Matplotlib),
                .xml (Moodle: a category of questions to draw from) or .gift.

        Returns:
            The path.

        Raises:
            ValueError: another suffix.
            RuntimeError: .pdf without Matplotlib.
        """
        target, suffix = target_of(path, ("pdf", "xml", "gift"))
        if suffix == "pdf":
            from autograd_lite.pictures.writers.raster import series

            pages: list[Picture] = [_Sheet(quiz, head) for head, quiz in zip(self._heads, self.quizzes, strict=True)]
            lines = self.key.split("\n")
            content = series([*pages, *_key_pages(lines, self.quizzes[0])], "pdf")
        else:
            content = EXPORTS[suffix](list(self.quizzes)).encode("utf-8")
        write_whole(target, content, "save: path")
        return target

    def __repr__(self) -> str:
        return f"{len(self)} sheets: {self.quizzes[0].task}"


def sheets_of(again: Callable[[int], Quiz], names: Any, seed: int) -> Sheets:
    """The sheets of a class; `again(seed)` makes a quiz with other numbers."""
    if isinstance(names, str):
        raise TypeError(f"sheets: names must be how many, or a list of names, got {describe(names)}")
    if isinstance(names, int) and not isinstance(names, bool):
        called = [f"Sheet {i + 1}" for i in range(whole(names, "sheets: names"))]
        heads = [f"{name}      Name: ______________________________" for name in called]
    else:
        try:
            called = [str(name) for name in names]
        except TypeError:
            raise TypeError(f"sheets: names must be how many, or a list of names, got {describe(names)}") from None
        if not called:
            raise ValueError("sheets: there are no names")
        heads = [f"Name: {name}" for name in called]
    made: list[Quiz] = []
    seen: set[str] = set()
    for i in range(len(called)):
        drawn = (again(hash_of(seed, i, k)) for k in range(20))
        quiz = next((quiz for quiz in drawn if str(quiz.answers) not in seen), None)
        if quiz is None:  # there are few numbers to draw from: some sheets are equal
            quiz = again(hash_of(seed, i, 0))
        seen.add(str(quiz.answers))
        made.append(quiz)
    return Sheets(called, made, heads)


def hash_of(*numbers: int) -> int:
    """A seed made of several numbers, the same in every process."""
    return random.Random(" ".join(map(str, numbers))).getrandbits(48)


def with_other_numbers(order: Sequence[Value], seed: int) -> list[Value]:
    """The same graph with other numbers in its leaves, as easy to compute with: whole ones stay whole.

    What is 0 or not among the gradients stays so, that no sheet is emptier than another.

    Raises:
        ValueError: no numbers were found for which all results are finite and of moderate size.
    """
    rng = random.Random(seed)
    pattern = [g == 0.0 for g in map(adjoints(order[-1]).__getitem__, order)]
    for _ in range(TRIES):
        made: dict[Any, Any] = {}
        for node in order:
            if node._row is None:
                x = number_of(node)
                made[node] = type(node)(x if isinstance(node, Literal) else _other(x, rng))
            else:
                made[node] = record(
                    node._row, tuple(x if x.__class__ is float else made[x] for x in raw_operands(node))
                )
            if node.name:
                made[node].name = node.name
            if node.scope is not None:
                made[node]._scope = node.scope
        root = made[order[-1]]
        fresh, g = graph.toposort(root), adjoints(root)
        numbers = [*map(number_of, fresh), *g.values()]
        if all(math.isfinite(x) and abs(x) <= LARGEST for x in numbers) and [g[x] == 0.0 for x in fresh] == pattern:
            return fresh
    raise ValueError(
        "sheets: no other numbers were found for which every result is finite; give sheets of your own graphs"
    )


def _other(x: float, rng: random.Random) -> float:
    """Another number of the same sign and with as many decimals."""
    if x == 0.0 or not math.isfinite(x):
        return x
    if x == int(x):
        return math.copysign(float(rng.randint(1, max(5, min(12, int(2 * abs(x)))))), x)
    decimals = min(len(repr(abs(x)).partition(".")[2]), 3)
    found = round(abs(x) * rng.uniform(0.4, 1.8), decimals)
    return math.copysign(found or abs(x), x)


# --- on paper -------------------------------------------------------------------------------------------------


class _Sheet(Picture):
    """A picture with blanks, below a line for the name and above the questions."""

    def __init__(self, quiz: Quiz, head: str) -> None:
        super().__init__(quiz.picture.diagram, quiz.picture.direction, lambda: repr(quiz))
        self.theme, self.style, self._quiz, self._head = "print", quiz.picture.style, quiz, head

    def _shapes(self) -> Scene:
        scene = super()._shapes()
        wide = max(scene.width, 560.0)
        head = [printable(self._head, 80), *wrapped(self._quiz.task, wide - 2 * MARGIN)]
        foot = [f"{letter}.  {asks} = __________" for letter, asks in self._quiz.blanks.items()]
        down = MARGIN + LINE * (len(head) + 1)
        rows = -(-len(foot) // 2)
        texts = [_line(MARGIN, MARGIN + LINE * i, text) for i, text in enumerate(head)]
        texts += [
            _line(MARGIN + wide / 2 * (i // rows), down + scene.height + LINE * (1 + i % rows), text)
            for i, text in enumerate(foot)
        ]  # fmt: skip
        words = Element("sheet", "sheet", self._quiz.task, tuple(texts))
        return Scene(wide, down + scene.height + LINE * (rows + 2), (*moved_down(scene, down), words), self._quiz.task)


class _Key(Picture):
    """A page of answers."""

    def __init__(self, quiz: Quiz, lines: Sequence[str]) -> None:
        super().__init__(quiz.picture.diagram, quiz.picture.direction, lambda: "\n".join(lines))
        self.theme, self._lines = "print", lines

    def _shapes(self) -> Scene:
        lines = ["Key", *(part for line in self._lines for part in wrapped(line, 760.0))]
        texts = tuple(_line(MARGIN, MARGIN + LINE * i, text) for i, text in enumerate(lines))
        return Scene(800.0, LINE * (len(lines) + 2), (Element("key", "key", "Key", texts),), "Key")


def _key_pages(lines: list[str], quiz: Quiz) -> list[Picture]:
    return [_Key(quiz, lines[i : i + PAGE_LINES]) for i in range(0, len(lines), PAGE_LINES)]


def _line(x: float, y: float, text: str) -> Text:
    return Text(x, y + LINE, text, "caption", SMALL, INK)


def _answers(quiz: Quiz) -> list[str]:
    return [f"{k} {x if isinstance(x, str) else number(x)}" for k, x in quiz.answers.items()]


# --- for other programs ---------------------------------------------------------------------------------------


def _moodle(quizzes: Sequence[Quiz]) -> str:
    """Moodle XML: a question with a picture and a field for each blank, from one category."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<quiz>"]
    for i, quiz in enumerate(quizzes, 1):
        picture = base64.b64encode(quiz.picture.still.encode()).decode()
        rows = "".join(
            f"<p>{escape(letter)}. {escape(asks)} = {_cloze(quiz.answers[letter])}</p>"
            for letter, asks in quiz.blanks.items()
        )
        text = f'<p>{escape(quiz.task)}</p><p><img src="@@PLUGINFILE@@/graph.svg" alt="a computation graph"></p>{rows}'
        lines += [
            '<question type="cloze">', f"<name><text>{escape(quiz.task)} {i}</text></name>",
            f'<questiontext format="html"><text>{escape(text)}</text>',
            f'<file name="graph.svg" path="/" encoding="base64">{picture}</file></questiontext>',
            "<penalty>0.1</penalty>", "</question>",
        ]  # fmt: skip
    return "\n".join([*lines, "</quiz>", ""])


def _cloze(answer: float | str) -> str:
    if isinstance(answer, float) and math.isfinite(answer):
        return f"{{1:NUMERICAL:={answer!r}:{TOLERANCE * abs(answer)!r}}}"
    return f"{{1:SHORTANSWER:={answer}}}"


def _gift(quizzes: Sequence[Quiz]) -> str:
    """GIFT: a question for each blank, with the graph in formulas."""
    lines = []
    for i, quiz in enumerate(quizzes, 1):
        program = _in_gift("; ".join(quiz.program(Language())))
        for letter, asks in quiz.blanks.items():
            answer = quiz.answers[letter]
            if isinstance(answer, float) and math.isfinite(answer):
                field = f"{{#{answer!r}:{TOLERANCE * abs(answer)!r}}}"
            else:
                field = f"{{={answer}}}"
            lines += [f"::{i}{letter}::{_in_gift(quiz.task)} {program}. {_in_gift(asks)} \\= {field}", ""]
    return "\n".join(lines)


def _in_gift(text: str) -> str:
    """Text in which no sign of GIFT stands for itself, and no line begins anew."""
    for sign in "\\~=#{}:":
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split())


def _latex(quizzes: Sequence[Quiz]) -> str:
    """A LaTeX document: a sheet a page with the graph in formulas, and the key on a page of its own."""
    pages = []
    for quiz in quizzes:
        rows = [rf"\item[{letter}.] {_in_tex(asks)} $=$ \hrulefill" for letter, asks in quiz.blanks.items()]
        formulas = [rf"${text}$\\" for text in quiz.program(Language(tex=True))]
        pages.append("\n".join([
            r"\noindent Name: \hrulefill\par\bigskip", rf"\noindent {_in_tex(quiz.task)}\par\medskip", r"\noindent",
            *formulas, r"\begin{itemize}", *rows, r"\end{itemize}",
        ]))  # fmt: skip
    key = [rf"\item {_in_tex(', '.join(_answers(quiz)))}" for quiz in quizzes]
    return "\n".join([
        r"\documentclass{article}", r"\usepackage[utf8]{inputenc}", r"\usepackage{amsmath,amssymb}",
        r"\begin{document}",
        "\n\\newpage\n".join(pages), r"\newpage", r"\noindent Key", r"\begin{enumerate}", *key, r"\end{enumerate}",
        r"\end{document}", "",
    ])  # fmt: skip


def _in_tex(text: str) -> str:
    """Prose and formulas of a quiz: the signs of mathematics as commands, everything else escaped."""
    signs = {"∂": r"$\partial$", "·": r"$\cdot$", "←": r"$\leftarrow$", "−": "$-$"}
    signs |= {chr(0x2080 + i): f"$_{i}$" for i in range(10)}
    parts: list[str] = []
    word = ""
    for character in text:
        if character in signs:
            parts += [escaped(word), signs[character]]
            word = ""
        elif ord(character) > 126:
            letter = in_latex(character)
            parts += [escaped(word), f"${letter}$" if letter.startswith("\\") else character]
            word = ""
        else:
            word += character
    return "".join([*parts, escaped(word)])


def _nbgrader(quizzes: Sequence[Quiz]) -> str:
    """A notebook with a cell to fill in and a cell of tests for each quiz, with the metadata that nbgrader reads."""
    cells: list[dict[str, Any]] = []
    for i, quiz in enumerate(quizzes, 1):
        picture = base64.b64encode(quiz.picture.still.encode()).decode()
        asked = "\n".join(f"- {letter}: {printable(asks, 80)}" for letter, asks in quiz.blanks.items())
        cells.append({
            "cell_type": "markdown", "id": f"task-{i}", "metadata": {},
            "source": f"{quiz.task}\n\n![a computation graph](data:image/svg+xml;base64,{picture})\n\n{asked}",
        })  # fmt: skip
        blanks = ", ".join(f'"{letter}": None' for letter in quiz.blanks)
        solved = ", ".join(f'"{letter}": {_python(x)}' for letter, x in quiz.answers.items())
        cells.append(_code(
            f"answer-{i}",
            f"### BEGIN SOLUTION\nanswers = {{{solved}}}\n### END SOLUTION\n# answers = {{{blanks}}}", True,
        ))  # fmt: skip
        tests = ["import math", "### BEGIN HIDDEN TESTS"]
        for letter, x in quiz.answers.items():
            found = f"answers[{letter!r}]"
            if isinstance(x, str):
                tests.append(f"assert str({found}).strip().upper() == {x!r}")
            elif math.isnan(x):
                tests.append(f"assert math.isnan({found})")
            else:
                tests.append(f"assert math.isclose({found}, {_python(x)}, rel_tol={TOLERANCE})")
        cells.append(_code(f"test-{i}", "\n".join([*tests, "### END HIDDEN TESTS"]), False))
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


def _python(x: float | str) -> str:
    return repr(x) if isinstance(x, str) or math.isfinite(x) else f'float("{x}")'


def _code(name: str, source: str, answer: bool) -> dict[str, Any]:
    graded = {
        "grade": not answer, "grade_id": name, "locked": not answer, "schema_version": 3, "solution": answer,
        "task": False,
    } | ({} if answer else {"points": 1})  # fmt: skip
    return {
        "cell_type": "code", "execution_count": None, "id": name, "metadata": {"nbgrader": graded}, "outputs": [],
        "source": source,
    }  # fmt: skip


EXPORTS: dict[str, Callable[[Sequence[Quiz]], str]] = {
    "xml": _moodle, "gift": _gift, "tex": _latex, "ipynb": _nbgrader,
}  # fmt: skip
"""What writes quizzes for another program, by suffix."""
