"""What the table consists of: the Row of a primitive.

A row's `forward` says what a primitive computes and its `partials` the local derivative in each
operand, in plain arithmetic, the operands' names, `out` (the result) and other primitives.
`where(condition, x, y)` chooses, and only there may `<`, `<=`, `>`, `>=` and `==` stand. On floats
it evaluates the side that is taken; on Values it is the primitive `where`, so that the choice
stays live (lowering.py). The rows themselves are in primitives.py.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from autograd_lite.engine import lowering
from autograd_lite.engine.lowering import FLOATS, float_text, on_floats

inf = math.inf


TABLE: dict[str, Row] = lowering.TABLE
"""Every primitive by name: primitives.py fills it, `ag.primitive` adds to it."""


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
    """

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
    ) -> None:
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
        return row_called, (self.name,)

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
        body = ast.parse(f"({self.partials},)", mode="eval").body
        assert isinstance(body, ast.Tuple)
        return tuple(ast.unparse(part) for part in body.elts)


def _shown(rule: Rule) -> str:
    return rule if isinstance(rule, str) else getattr(rule, "__name__", "a function")


def row_called(name: str) -> Row:
    """The row called `name`; KeyError says how to add one."""
    try:
        return TABLE[name]
    except KeyError:
        raise KeyError(
            f"no primitive {name!r} in the table; if it is user-defined, define it with "
            f"ag.primitive({name!r}, ...) before loading"
        ) from None


def define(row: Row) -> Row:
    """Add a user-defined row; one of ours is refused, an earlier user-defined one is replaced."""
    known = TABLE.get(row.name)
    if known is not None and known.builtin:
        raise ValueError(f"primitive: {row.name!r} is a primitive of autograd_lite already; choose another name")
    TABLE[row.name] = row
    return row
