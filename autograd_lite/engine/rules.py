"""What the table consists of: the Row of a primitive.

A row's `forward` says what a primitive computes and its `partials` the local derivative in each
operand, in plain arithmetic, the operands' names, `out` (the result) and other primitives.
`where(condition, x, y)` chooses, and only there may `<`, `<=`, `>`, `>=` and `==` stand. On floats
it evaluates the side that is taken; on Values it is the primitive `where`, so that the choice
stays live (lowering.py). The rows themselves are in primitives.py.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from types import CodeType
from typing import Any
from zlib import adler32, crc32

from autograd_lite.engine import lowering
from autograd_lite.engine.lowering import FLOATS, float_text, on_floats

inf: float = math.inf


TABLE: dict[str, Row] = lowering.TABLE
"""Every primitive by key: primitives.py fills it, `ag.primitive` adds to it. The key is the name; where a user's
primitive is redefined, the name with a number, so that a row, once made, stays what it is."""


# --- rows -----------------------------------------------------------------------------------------

Interval = tuple[float, float]

Rule = str | Callable[..., Any]


EVALUATE = """
def evaluate(xs):
    {operands} = xs
    out = {forward}
    return out, {gradients}
"""
"""A row on a sequence of floats: the result, and with it the local gradients, which may use it."""


class Row:
    """One primitive: what it computes, its local derivatives, and what else is known about it.

    Args:
        name: the public name (a leading underscore: internal, used by other rows).
        symbol: what a picture writes in the box.
        operands: their names, separated by blanks; `*xs` for a primitive of one sequence.
        forward: the text of the result, or a function of floats.
        partials: the texts of the local derivatives, one an operand, separated by commas (for `*xs`
            one text that gives a list), or a function of the operands and `out` that gives a tuple.
        about: one line of documentation.

    How accurate it is:
        domain: for each operand the interval where accuracy is promised and tested; one for all of them.
        ulp: bounds of the result and of a local derivative, in units in the last place; for `*xs` of n operands
            times n / 2. Where the result or a factor in it is subnormal, the rounding of that comes on top.
        floor: the absolute errors allowed beside them where an operand lies in `near`: around a zero crossing
            that is not at 0.
        near: see `floor`.
        note: the reason, where `ulp` is not (2, 4) or there is a floor.

    How its derivative behaves:
        branch: it chooses among operands; one that is not chosen gets nothing, whatever arrives.
        zero_gradient: piecewise constant; its derivative is 0 wherever there is one. So it is a `branch` too.
        kinks: its derivative jumps somewhere, though it is not a `branch`; `gradcheck` then looks for the place.
        saturates: its derivative falls to 0 far out, on one side or on both; `diagnose` names it.
        grows: it overflows soon; the advice is to work with logarithms.
        logarithm: it has a pole and is not defined beyond it; the advice is to keep its operand away from there.
        linear: linear in each operand: what a unit of a network is made of below its activation.
        rectifies: as an activation it lets about half of its inputs through, so layers start by He's rule.

    How it is written and computed:
        infix: its symbol stands between its two operands, `a + b`.
        commutes: the order of its operands does not matter, so a picture does not spell it out.
        compares: the comparison that it computes, as a function of two floats.
        role: what a folded program makes of it: "sum" and "product" join the sums of products, "reduction" is an
            instruction of its own; "" for everything else, which is computed from its rule.
        defaults: values of the trailing operands that may be left out.
        setting: the operand, if there is one, that is a whole number from the start and not a Value.
        formula: for `*xs`: the result and the derivative as the documentation writes them.
        example: for `*xs`: the numbers of the example in the documentation.
        empty: for `*xs`: the result of an empty sequence, None where one is refused.
        builtin: one of ours; a user-defined row may be defined anew.
        digest: of a user-defined row; pickles and files name it.

    Attributes:
        key: where it stands in TABLE.
        function: the public function of a user-defined row.
        texts: of a user-defined row that was given as text, the trees by slot (lowering.py); -1 is the result.
    """

    name: str
    symbol: str
    about: str
    note: str
    forward: Rule
    partials: Rule
    ulp: tuple[float, float]
    floor: tuple[float, float]
    near: Interval
    branch: bool
    zero_gradient: bool
    kinks: bool
    saturates: bool
    grows: bool
    logarithm: bool
    linear: bool
    rectifies: bool
    infix: bool
    commutes: bool
    compares: Callable[[float, float], bool] | None
    role: str
    defaults: tuple[float, ...]
    formula: str
    example: tuple[float, ...]
    empty: float | None
    builtin: bool
    variadic: bool
    operands: tuple[str, ...]

    def __init__(
        self,
        name: str,
        symbol: str,
        operands: str,
        forward: Rule,
        partials: Rule,
        about: str,
        *,
        domain: Interval | tuple[Interval, ...] = (-inf, inf),
        ulp: tuple[float, float] = (2.0, 4.0),
        floor: tuple[float, float] = (0.0, 0.0),
        near: Interval = (-inf, inf),
        note: str = "",
        branch: bool = False,
        zero_gradient: bool = False,
        kinks: bool = False,
        saturates: bool = False,
        grows: bool = False,
        logarithm: bool = False,
        linear: bool = False,
        rectifies: bool = False,
        infix: bool = False,
        commutes: bool = False,
        compares: Callable[[float, float], bool] | None = None,
        role: str = "",
        defaults: tuple[float, ...] = (),
        setting: str = "",
        formula: str = "",
        example: tuple[float, ...] = (),
        empty: float | None = None,
        builtin: bool = True,
        digest: str = "",
    ) -> None:
        self.key: str = name
        self.digest: str = digest
        self.function: Any = None
        self.texts: dict[int, Any] = {}
        self.name, self.symbol, self.about, self.note = name, symbol, about, note
        self.variadic = operands.startswith("*")
        self.operands = tuple(operands.lstrip("*").split())
        self.forward, self.partials = forward, partials
        self.domain: tuple[Interval, ...] = domain if isinstance(domain[0], tuple) else (domain,) * len(self.operands)
        self.ulp, self.floor, self.near = ulp, floor, near
        self.branch, self.zero_gradient, self.kinks = branch or zero_gradient, zero_gradient, kinks
        self.saturates, self.grows, self.logarithm = saturates, grows, logarithm
        self.linear, self.rectifies, self.infix, self.commutes = linear, rectifies, infix, commutes
        self.compares, self.role, self.defaults = compares, role, defaults
        self.setting = setting
        self.formula, self.example, self.empty, self.builtin = formula, example, empty, builtin
        self.rules: dict[int, Callable[..., Any]] = {}  # partials on Values, compiled when first needed

    def __repr__(self) -> str:
        arguments = "*xs" if self.variadic else ", ".join(self.operands)
        return f"{self.name}({arguments}) = {_shown(self.forward)}, partials {_shown(self.partials)}"

    def __reduce__(self) -> tuple[Any, ...]:
        return row_called, (self.name,) if self.builtin else (self.name, self.digest)

    def __deepcopy__(self, memo: Any) -> Row:
        return self

    @cached_property
    def value(self) -> Callable[..., Any]:
        """The result on floats (for `*xs`, on one sequence of them)."""
        if not isinstance(self.forward, str):
            return self.forward
        made = FLOATS[f"value_{self.name}"] = on_floats(self.forward, *self.operands)
        FLOATS.setdefault(self.name, made)
        return made

    def result(self, xs: Sequence[float]) -> float:
        """The result at a sequence of floats, one for each operand."""
        return self.value(xs) if self.variadic else self.value(*xs)  # type: ignore[no-any-return]

    @cached_property
    def evaluate(self) -> Callable[[Sequence[float]], tuple[float, Sequence[float]]]:
        """(result, local gradients) at a sequence of floats, one for each operand."""
        forward, partials = self.forward, self.partials
        if not (isinstance(forward, str) and isinstance(partials, str)):
            value, slopes = self.value, partials
            assert callable(slopes)

            def evaluate(xs: Sequence[float]) -> tuple[float, Sequence[float]]:
                out = value(*xs)
                return out, slopes(*xs, out)

            return evaluate
        gradients = ", ".join(map(float_text, self.partial_texts()))
        code = EVALUATE.format(
            operands="xs" if self.variadic else f"{', '.join(self.operands)},",
            forward=float_text(forward),
            gradients=gradients if self.variadic else f"({gradients},)",
        )
        made: dict[str, Callable[..., Any]] = {}
        exec(code, FLOATS, made)
        return made["evaluate"]

    @property
    def chain(self) -> Row:
        """The row by which an adjoint meets a local gradient of this one: their product, under the rule for zeros.

        An adjoint of exactly 0 contributes 0 whatever the local gradient (not 0 * inf), and an operand that a branch
        passed over, whose local gradient is 0, gets 0 whatever the adjoint.
        """
        return TABLE["_masked" if self.branch else "_chain"]

    def partial_texts(self) -> tuple[str, ...]:
        """The texts of the partials, one an operand (one in all for `*xs`, none for a rule that is a function)."""
        if not isinstance(self.partials, str):
            return ()
        if self.variadic:
            return (self.partials,)
        import ast

        body = ast.parse(f"({self.partials},)", mode="eval").body
        assert isinstance(body, ast.Tuple)
        return tuple(ast.unparse(part) for part in body.elts)


def _shown(rule: Rule) -> str:
    return rule if isinstance(rule, str) else getattr(rule, "__name__", "a function")


def newest(name: str) -> Row | None:
    """The row that a name means now: of a user's primitive that has been redefined the last definition."""
    return next((row for row in reversed(TABLE.values()) if row.name == name), None)


def row_called(name: str, digest: str = "") -> Row:
    """The row of a pickle or file: that of this name and digest; KeyError says how to define a missing one.

    Raises:
        ValueError: every definition of this name here differs from the one of the digest.
    """
    known = [row for row in reversed(TABLE.values()) if row.name == name]
    if not known:
        raise KeyError(
            f"there is no primitive {name!r} in the table; if it is user-defined, define it with "
            f"ag.primitive({name!r}, ...) before loading"
        )
    for row in known:
        if _agree(row.digest, digest):
            return row
    raise ValueError(
        f"the primitive {name!r} is defined differently here than where this was saved; "
        f"define it with ag.primitive({name!r}, ...) as it was there before loading"
    )


def _agree(here: str, saved: str) -> bool:
    """Whether two digests may be of one rule; those of functions compare only within one version of Python."""
    return not saved or here == saved or here.partition(":")[0] != saved.partition(":")[0]


def digest_of(*rules: Any) -> str:
    """A digest of the rules of a user-defined row: of texts their letters, of functions their code and constants."""
    texts = [re.sub(r"\s+", "", rule) if isinstance(rule, str) else _code_text(rule) for rule in rules]
    written = all(isinstance(rule, str) for rule in rules)
    tag = "text" if written else str(sys.implementation.cache_tag)
    return f"{tag}:{crc32(repr(texts).encode()):08x}{adler32(repr(texts).encode()):08x}"


def _code_text(thing: Any) -> str:
    """A function, or a constant in one, as text that is the same in every process."""
    code = thing if isinstance(thing, CodeType) else getattr(thing, "__code__", None)
    if code is None:
        simple = thing is None or isinstance(thing, (int, float, str, bytes, bool))
        return repr(thing) if simple else str(getattr(thing, "__qualname__", type(thing).__qualname__))
    # a helper that the rule calls counts by its name: following it could mean reading the whole program
    inner = [_code_text(x) for x in code.co_consts]
    cells = [_cell(cell) for cell in getattr(thing, "__closure__", None) or ()]
    return repr((code.co_code.hex(), code.co_names, inner, cells, repr(getattr(thing, "__defaults__", None))))


def _cell(cell: Any) -> str:
    try:
        held = cell.cell_contents
    except ValueError:  # not assigned yet
        return ""
    return held.__qualname__ if hasattr(held, "__code__") else _code_text(held)


RESERVED = ("leaf", "literal")
"""Names of instructions that are not rows (folding/instructions.py)."""


def define(row: Row) -> Row:
    """Add a user-defined row; one of ours is refused. An earlier one of its name keeps its place in the table.

    Graphs, functions and programs made earlier mean the earlier row, by itself or by its key.
    """
    known = newest(row.name)
    if known is not None and known.builtin:
        raise ValueError(f"primitive: {row.name!r} is a primitive of autograd_lite already; choose another name")
    count = 1
    while row.key in TABLE or row.key in RESERVED:
        count += 1
        row.key = f"{row.name}#{count}"
    TABLE[row.key] = row
    return row
