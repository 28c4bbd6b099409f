"""Docstrings of this package as what Sphinx's napoleon reads.

They are plain text (one line, formula, Args, Returns, Raises, Example, Source): names stand in backticks, indented
lines of the body are formulas, and a * or a _ is a * or a _. Napoleon reads the sections; here the text is escaped,
formulas become literal blocks, a name that the reference has becomes a link, and "Returns" a field like the others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

SECTIONS = ("Args", "Attributes", "Raises", "Returns", "Example")
FIELD = re.compile(r"[\w.*]+(?:, [\w.*]+)*: ")
SPAN = re.compile(r"`([^`]+)`")
NAMES = re.compile(r"^(    (?:[\w.*]+, )*[\w.*]+,)\n +", re.M)
"""Names of one field that go on in the next line."""


def escaped(text: str) -> str:
    return re.sub(r"([\\*|]|_(?!\w))", r"\\\1", text)


class Converter:
    """Converts a docstring; `known` are the names of the reference, which become links."""

    def __init__(self, known: Collection[str]) -> None:
        self.known = set(known)
        self.classes = {name.rpartition(".")[2]: name for name in known if name.rpartition(".")[2][:1].isupper()}

    def inline(self, text: str) -> str:
        """The text with its markup: spans of code, links, everything else to the letter."""
        parts = SPAN.split(text)
        return "".join(self.span(part) if i % 2 else escaped(part) for i, part in enumerate(parts))

    def span(self, code: str) -> str:
        name = code.removesuffix("()")
        target = name if name in self.known else self.classes.get(name)
        return f":py:obj:`{code} <{target}>`" if target else f"``{code}``"

    def __call__(self, lines: list[str]) -> list[str]:
        return list(self._converted(NAMES.sub(r"\1 ", "\n".join(lines)).split("\n")))

    def _converted(self, lines: list[str]) -> Iterator[str]:
        section, after_blank, literal = "", True, False
        for line in lines:
            text, depth = line.strip(), len(line) - len(line.lstrip())
            if text and not depth:
                section, literal = "", False
            if not text:
                yield ""
            elif not depth and text.removesuffix(":") in SECTIONS and text.endswith(":"):
                section = text.removesuffix(":")
                yield from [":Returns:"] if section == "Returns" else [line]
            elif section == "Example":
                yield line
            elif not section:
                # An indented block of the body is a formula, unless it goes on with an item of a list.
                if depth and after_blank and not literal:
                    literal = True
                    yield from ("::", "")
                yield line if literal else " " * depth + self.inline(text)
            elif section == "Returns" or depth > 4 or not after_blank or FIELD.match(text):
                yield " " * depth + self._field(text, depth)
            else:  # a paragraph behind the fields of a section belongs to the body
                section = "Paragraph"
                yield self.inline(text)
            if section == "Paragraph":
                section = ""
            after_blank = not text or (text.endswith(":") and not depth)

    def _field(self, text: str, depth: int) -> str:
        """A line of a section: the name of a field, which napoleon escapes itself, and text."""
        head = FIELD.match(text) if depth == 4 else None
        return (head[0] if head else "") + self.inline(text[head.end() :] if head else text)
