"""One machine code for sequences of every length.

The text of a program with a loop is the same for every number of steps but for whole numbers: how often a loop runs,
and where in the arena and in the tables something lies. Those that differ from one length to another become arguments,
which stand in front of the tables, last one first; so a text at another length is read, but not compiled again.

    code, arguments = compiled(text, target, steps)

That is exact, whatever a text depends on: a code serves a text if both are the same, number by number, with the
arguments put in. What is guessed, at the first length, is only which numbers will be others at the next one.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.folding.backends.native import jit

Array = Any

MOST_FAMILIES = 32
"""Texts, but for their numbers, of which the code is kept for other lengths: those that were used last."""

SHORTEST = 48
"""At fewer steps than that it is not guessed which numbers depend on them: too many others are as small. From then on
it is guessed that all do that are at least half as large: of lanes, whole tiles are counted."""

NUMBER = re.compile(r"(?<=[ \[])(?<!align )(\d{1,9})(?=,|$)", re.MULTILINE)

WHOLE = re.compile(r"  %\w+ = (?:getelementptr \w+, ptr|(?:add|sub|mul|phi|icmp slt) i64|select i1 %\w+, i64) [^<]*")
"""A line whose numbers may be arguments: arithmetic of i64, addresses and trip counts."""

HEAD = re.compile(r"[^\n]*\(ptr %(context|arena, ptr %tables)\b")
"""The start of a function that has the tables."""

FUNCTION = re.compile(r"^define .*?^}$", re.MULTILINE | re.DOTALL)

ARGUMENT = re.compile(r"%length(\d+)\b")


class _Family(NamedTuple):
    """The texts that are equal but for numbers.

    Args:
        numbers: those of the text that was compiled.
        chosen: which of them are arguments, each one of its own: two that are equal at one length may not be at others.
        code: of that text with arguments.
    """

    numbers: Array
    chosen: Array
    code: jit.Code

    def serves(self, numbers: Array) -> bool:
        """Whether the code is that of these numbers, with the arguments that are among them."""
        return bool((self.chosen | (self.numbers == numbers)).all())


_families: OrderedDict[Any, _Family] = OrderedDict()
_lock = threading.Lock()


def compiled(text: str, target: jit.Target, steps: int) -> tuple[jit.Code, Array]:
    """The code for a text, and its arguments, of int32.

    Args:
        text: LLVM IR.
        target: what it is made for.
        steps: how many the shortest loop in it has.

    Raises:
        RuntimeError: see jit.compile_text.
    """
    pieces = NUMBER.split(text)
    numbers = np.array(pieces[1::2], np.int64)
    key = hashlib.sha256("\0".join(pieces[::2]).encode()).digest(), target
    with _lock:
        family = _families.get(key)
        if family is not None:
            _families.move_to_end(key)
    if family is not None and family.serves(numbers):
        return family.code, numbers[family.chosen].astype(np.int32)
    if family is not None:
        chosen = family.chosen | (family.numbers != numbers)
    else:
        chosen = numbers >= (steps // 2 if steps >= SHORTEST else np.inf)
    may = _may_be_arguments(pieces, chosen)
    if family is not None and (chosen & ~may).any():  # a vector of constants: of this length alone
        return jit.compile_text(text, target), np.zeros(0, np.int32)
    made = _Family(numbers, may, jit.compile_text(_with_arguments(pieces, may), target))
    with _lock:
        _families[key] = made
        while len(_families) > MOST_FAMILIES:
            _families.popitem(last=False)
    return made.code, numbers[may].astype(np.int32)


def _may_be_arguments(pieces: list[str], chosen: Array) -> Array:
    """Which of some numbers stand where the name of an i64 may stand, in functions that have the tables."""
    may = np.zeros(len(pieces) // 2, bool)
    has_tables: list[bool] = []
    for piece in ("\n" + pieces[0], *pieces[2:-1:2]):
        _, is_head, head = piece.rpartition("\ndefine ")
        has_tables.append(bool(HEAD.match(head)) if is_head else bool(has_tables) and has_tables[-1])
    for k in np.flatnonzero(chosen & np.array(has_tables, bool)).tolist():
        at, end = 2 * k + 1, 2 * k + 1
        while "\n" not in pieces[at - 1]:
            at -= 2
        while "\n" not in pieces[end + 1]:
            end += 2
        line = [pieces[at - 1].rpartition("\n")[2], *pieces[at : end + 1], pieces[end + 1].partition("\n")[0]]
        may[k] = WHOLE.fullmatch("".join(line)) is not None
    return may


def _with_arguments(pieces: list[str], chosen: Array) -> str:
    """The text with the names of arguments, which each function reads first."""
    pieces = list(pieces)
    for n, k in enumerate(np.flatnonzero(chosen).tolist()):
        pieces[2 * k + 1] = f"%length{n}"
    text = "".join(pieces)
    return FUNCTION.sub(_reading, text) + "\n!0 = !{}\n" if chosen.any() else text


def _reading(found: re.Match[str]) -> str:
    """A function that reads its arguments where it has the tables."""
    whole = found.group()
    reads = []
    for k in sorted({int(k) for k in ARGUMENT.findall(whole)}):
        reads += [
            f"  %length{k}.at = getelementptr i32, ptr %tables, i64 {-1 - k}",
            f"  %length{k}.read = load i32, ptr %length{k}.at, align 4, !invariant.load !0",
            f"  %length{k} = sext i32 %length{k}.read to i64",
        ]
    if not reads:
        return whole
    head, at, rest = whole.partition("  %tables = load ptr, ptr %at.tables, align 8\n")
    if not at:
        head, at, rest = whole.partition("entry:\n")
    return "\n".join([head + at[:-1], *reads, rest])
