"""The language of rules: its text parsed once, and what is made of it.

A rule is arithmetic on operands and on `out` (the result), with the names of primitives as functions and
`where(condition, x, y)` to choose. `parse` gives it as a small tree, and everything that runs a rule comes from that:

- `on_floats`: Python code on floats. `where` evaluates the side that is taken; division and powers do not raise.
- `value_source`: Python code on Values (and on the lanes of a fold). A comparison is the primitive of that name,
  so that the choice stays live, and both sides of a `where` wait until they are called.
- `lower`: a Code, straight-line steps over the names of ELEMENTARY, which is what every backend runs.

A rule of one sequence (`*xs`) has lists and comprehensions too; it has no Code: a fold writes it out in elementwise
steps, sums and reductions. The rows themselves are in primitives.py, the class Row in rules.py.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import ast

TABLE: dict[str, Any] = {}
"""Every primitive by name; rules.py gives it its type."""

FLOATS: dict[str, Any] = {}
"""The globals of all code that is made from the table, so what a name in a rule means on floats. kernels.py puts the
float kernels here, a row joins by its name when a rule first needs it (code is made when it is first used, which keeps
the import short), and value.py adds what the code of an operator calls beside its rule."""

# --- the tree -------------------------------------------------------------------------------------


class Call(NamedTuple):
    """An operator or a function; a comparison by an operator has a name of COMPARISONS."""

    name: str
    args: tuple[Any, ...]


class Let(NamedTuple):
    """A value with a name, for what comes after it: `top := max(xs)`."""

    name: str
    value: Any


class Items(NamedTuple):
    """A list, or a tuple: the two brackets around its items."""

    items: tuple[Any, ...]
    brackets: str


class Rest(NamedTuple):
    """The elements of a list, inside another: `*own`."""

    of: Any


class Each(NamedTuple):
    """A list of one expression for each element of another: `[x / out for x in xs]`."""

    body: Any
    name: str
    over: Any


Expression = float | str | Call | Let | Items | Rest | Each
"""A number, a name, or one of these."""

COMPARISONS = {"gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal", "eq": "equal"}
"""Comparisons that are true or false, as conditions are, and the primitives that are 1, 0 or NaN."""

_SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "=="}

_OPERATORS = {
    "Add": "add", "Sub": "sub", "Mult": "mul", "Div": "div", "Pow": "pow",
    "Gt": "gt", "GtE": "ge", "Lt": "lt", "LtE": "le", "Eq": "eq",
}  # fmt: skip
"""By the names of their classes in `ast`, which is imported when a rule is first parsed, to keep our import short."""


@cache
def parse(text: str) -> Expression:
    """A rule as a tree; ValueError if it is not in the language, SyntaxError if it is not an expression.

    Example:
        >>> from autograd_lite.engine.lowering import parse
        >>> parse("-a * exp(a)")
        Call(name='mul', args=(Call(name='neg', args=('a',)), Call(name='exp', args=('a',))))
    """
    import ast

    found: Expression = _expression(ast.parse(text.strip(), mode="eval").body)
    return found


def _expression(node: ast.AST) -> Any:
    """One Python node as a node of the language."""
    import ast

    match node:
        case ast.Name(id=name):
            return name
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.UnaryOp(op=ast.USub(), operand=x):
            inner = _expression(x)
            return -inner if isinstance(inner, float) else Call("neg", (inner,))
        case ast.UnaryOp(op=ast.UAdd(), operand=x):
            return _expression(x)
        case ast.BinOp(left=a, op=op, right=b) | ast.Compare(left=a, ops=[op], comparators=[b]) if (
            type(op).__name__ in _OPERATORS
        ):
            return Call(_OPERATORS[type(op).__name__], (_expression(a), _expression(b)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return Call(name, tuple(map(_expression, args)))
        case ast.IfExp(test=condition, body=a, orelse=b):
            return Call("where", (_expression(condition), _expression(a), _expression(b)))
        case ast.NamedExpr(target=ast.Name(id=name), value=x):
            return Let(name, _expression(x))
        case ast.List(elts=items):
            return Items(tuple(map(_expression, items)), "[]")
        case ast.Tuple(elts=items):
            return Items(tuple(map(_expression, items)), "()")
        case ast.Starred(value=x):
            return Rest(_expression(x))
        case ast.ListComp(elt=body, generators=[ast.comprehension(target=ast.Name(id=name), iter=over, ifs=[])]):
            return Each(_expression(body), name, _expression(over))
    raise ValueError(
        "a rule consists of numbers, names, + - * / **, comparisons and primitives; "
        f"{ast.unparse(node)!r} is not one of these"
    )


# --- Python code ----------------------------------------------------------------------------------


class PythonSource(NamedTuple):
    """Python code of an expression, and the names in it."""

    code: str
    names: frozenset[str]


class _Python:
    """Writes an expression as Python; subclasses say what differs between floats and Values."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def text(self, x: Any) -> str:
        match x:
            case float():
                return repr(x)
            case str():
                self.names.add(x)
                return x
            case Call(name, args):
                return self.call(name, args)
            case Let(name, value):
                return f"({name} := {self.text(value)})"
            case Items(items, brackets):
                return f"{brackets[0]}{''.join(f'{self.text(item)}, ' for item in items)}{brackets[1]}"
            case Rest(of):
                return f"*{self.text(of)}"
            case Each(body, name, over):
                return f"[{self.text(body)} for {name} in {self.text(over)}]"
        raise TypeError(f"not an expression of a rule: {x!r}")

    def call(self, name: str, args: tuple[Any, ...]) -> str:
        """A call that floats and Values have in common."""
        if name == "neg":
            return f"(-{self.text(args[0])})"
        if name in _SYMBOLS:
            return f"({self.text(args[0])} {_SYMBOLS[name]} {self.text(args[1])})"
        self.names.add(name)
        return f"{name}({', '.join(map(self.text, args))})"


class _OnFloats(_Python):
    """A `where` takes one side. Only what may divide by 0 or leave the reals goes to a kernel."""

    def call(self, name: str, args: tuple[Any, ...]) -> str:
        if name == "where":
            condition, yes, no = map(self.text, args)
            return f"({yes} if {condition} else {no})"
        if name == "div" and isinstance(args[1], float):
            return f"({self.text(args[0])} / {args[1]!r})"
        if name in _NUMBERED:  # 1 if it holds, 0 if not, NaN when either side is: written out, for speed
            a, b = map(self.text, args)
            self.names.add("nan")
            return f"(1.0 if {a} {_SYMBOLS[_NUMBERED[name]]} {b} else (0.0 if {a} == {a} and {b} == {b} else nan))"
        return super().call(name, args)


class _OnValues(_Python):
    """A comparison is a primitive, and a choice may be settled: both sides wait until they are called for.

    An operand may be a constant, so division and powers of two floats come up too, and must not raise.
    """

    def call(self, name: str, args: tuple[Any, ...]) -> str:
        if name == "where":
            self.names.add(name)
            condition, yes, no = map(self.text, args)
            return f"where({condition}, lambda: {yes}, lambda: {no})"
        return super().call(COMPARISONS.get(name, name), args)


_NUMBERED = {name: test for test, name in COMPARISONS.items()}


def float_text(text: str) -> str:
    """A rule as the Python expression that evaluates it on floats, in the namespace FLOATS."""
    python = _OnFloats()
    code = python.text(parse(text))
    for name in python.names & TABLE.keys() - FLOATS.keys():
        _ = TABLE[name].value
    return code


def on_floats(text: str, *names: str) -> Callable[..., Any]:
    """The function of these names that evaluates a rule on floats."""
    return eval(f"lambda {', '.join(names)}: {float_text(text)}", FLOATS)  # type: ignore[no-any-return]


@cache
def value_source(text: str) -> PythonSource:
    """A rule as the Python expression that evaluates it on Values, or on anything with their operators."""
    python = _OnValues()
    return PythonSource(python.text(parse(text)), frozenset(python.names))


# --- straight-line code ---------------------------------------------------------------------------

ELEMENTARY = frozenset(
    [
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "pow",
        "abs",
        "select",
        "gt",
        "ge",
        "lt",
        "le",
        "eq",
        "exp",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sqrt",
        "cbrt",
        "floor",
        "ceil",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "atan2",
        "hypot",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
        "erf",
        "erfc",
        "_ndtr",
        "_gauss",
        "_expdiff",
        "exp2",
        "mod",
        "floor_divide",
        "rint",
        "round",
        "log_ndtr",
        "_hazard",
        "_excess",
        "ndtri",
        "erfinv",
        "lgamma",
        "digamma",
        "polygamma",
        "_sinc",
    ]
)
"""What a backend can be asked to compute, on floats total as in kernels.py: NaN in gives NaN, nothing raises.
gt ... eq give true or false, for `select(condition, a, b)` alone."""

_TRUTHS = ("gt", "ge", "lt", "le", "eq")

_OPERAND_COUNTS = {"select": 3, "fma": 3} | dict.fromkeys(
    [*_TRUTHS, "add", "sub", "mul", "div", "pow", "max", "min", "hypot", "atan2", "mod", "floor_divide", "round",
     "polygamma", "_gauss", "_sinc", "_expdiff"], 2
)  # fmt: skip


def check_steps(steps: Sequence[Step], count: int, results: Sequence[int | float]) -> None:
    """AssertionError if steps on `count` operands take what is not there, or not what they are for."""
    kinds = [False] * count  # whether a value is true or false

    def check(args: Sequence[int | float], conditions: int = 0) -> None:
        for place, x in enumerate(args):
            assert x.__class__ in (int, float), f"{x!r} is neither a value nor a number"
            if x.__class__ is int:
                assert 0 <= x < len(kinds), f"value {x} of {len(kinds)}"
                assert kinds[int(x)] == (place < conditions), (
                    f"value {x} as {'a' if place < conditions else 'no'} condition"
                )

    for step in steps:
        if step.function is None:
            assert len(step.args) == _OPERAND_COUNTS.get(step.name, 1), f"{step.name} of {len(step.args)}"
        check(step.args, int(step.name == "select"))
        kinds.append(step.name in _TRUTHS)
    check(results)


_FOLDED: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "neg", "gt", "ge", "lt", "le", "eq")},
}
"""Steps on numbers alone whose float functions are not in FLOATS."""


class Step(NamedTuple):
    """One elementary operation.

    Args:
        name: of ELEMENTARY; or "call" for a user-defined rule.
        args: an int is the value of that number (operands first, then steps), a float itself.
        function: for "call": a function of floats, to be called lane by lane.
    """

    name: str
    args: tuple[int | float, ...]
    function: Callable[..., float] | None = None


def same(a: int | float, b: int | float) -> bool:
    """Whether two arguments of steps are the same: value number 0 is not the number 0.0, though 0 == 0.0."""
    return a.__class__ is b.__class__ and a == b


class Code:
    """A rule as straight-line steps; every backend runs this.

    Args:
        title: what it computes, for people.
        operands: the names of the operands that it is given; they are the values 0, 1, ...
        steps: each takes earlier values; they are numbered on from the operands.
        result: the number of the value that is the result, or a float.
    """

    __slots__ = ("operands", "result", "steps", "title")

    title: str
    operands: tuple[str, ...]
    steps: tuple[Step, ...]
    result: int | float

    def __init__(self, title: str, operands: tuple[str, ...], steps: tuple[Step, ...], result: int | float) -> None:
        self.title, self.operands, self.steps, self.result = title, operands, steps, result

    def __str__(self) -> str:
        def shown(x: int | float) -> str:
            return f"{x:g}" if isinstance(x, float) else self.operands[x] if x < len(self.operands) else f"%{x}"

        lines = [f"{self.title}({', '.join(self.operands)})"]
        for k, step in enumerate(self.steps, len(self.operands)):
            lines.append(f"  %{k} = {step.name} {', '.join(map(shown, step.args))}")
        return "\n".join([*lines, f"  return {shown(self.result)}"])

    def __repr__(self) -> str:
        return f"Code({self.title}, {len(self.steps)} steps)"


def lower(row: Any, slot: int = -1, numbers: tuple[float | None, ...] | None = None, nan: bool = True) -> Code:
    """A row of fixed arity as straight-line code: its result, or the local derivative in operand `slot`.

    Args:
        row: the primitive.
        slot: -1 for the result; a derivative has `out` as its last operand.
        numbers: for each operand its number, where that is known: what follows from it is worked out here, so
            that of `x ** 2.0` neither the general power nor its case distinctions are left.
        nan: whether NaN is distinguished from numbers. Where it need not be (the result has it too, and then another
            code runs), a step's derivative is just 0 and comparisons give just 1 or 0.

    Example:
        >>> from autograd_lite.engine.lowering import lower
        >>> from autograd_lite.engine.rules import TABLE
        >>> print(lower(TABLE["softplus"], 0, nan=False))
        d softplus/da(a, out)
          %2 = gt a, -700
          %3 = neg a
          %4 = exp %3
          %5 = add 1, %4
          %6 = div 1, %5
          %7 = exp a
          %8 = select %2, %6, %7
          return %8
    """
    known = () if numbers is None else tuple(None if x is None else (x, math.copysign(1.0, x)) for x in numbers)
    return _lowered(row, slot, known, nan)


@cache
def rule_of(row: Any, slot: int = -1) -> Expression:
    """The result of a row, or its local derivative in operand `slot`, as a tree."""
    return parse(row.forward if slot < 0 else row.partial_texts()[slot])


class NotStraight(ValueError):
    """A rule with a list in it, or with a function of Python."""


@lru_cache(maxsize=4096)
def _lowered(row: Any, slot: int, known: tuple[Any, ...], nan: bool) -> Code:
    names: tuple[str, ...] = row.operands if slot < 0 else (*row.operands, "out")
    given = [x if x is None else x[0] for x in known] or [None] * len(names)
    left = [name for name, x in zip(names, given, strict=True) if x is None]
    lowering = _Lowering(len(left), nan)
    numbers = iter(range(len(left)))
    values = {name: next(numbers) if x is None else x for name, x in zip(names, given, strict=True)}
    if isinstance(row.forward if slot < 0 else row.partials, str):
        result = lowering.value(rule_of(row, slot), values)
    else:
        result = lowering.user(row, slot, tuple(values.values()))
    title = row.name if slot < 0 else f"d {row.name}/d{row.operands[slot]}"
    return Code(title, tuple(left), *lowering.needed(result))


class _Lowering:
    """Collects steps: equal ones once, those on numbers alone worked out."""

    def __init__(self, operands: int, nan: bool) -> None:
        self.operands, self.nan = operands, nan
        self.steps: list[Step] = []
        self.made: dict[Any, int] = {}

    def value(self, x: Any, names: dict[str, int | float]) -> int | float:
        """The number of the value of an expression, or a float."""
        match x:
            case float():
                return x
            case str():
                return names[x] if x in names else FLOATS[x]
            case Call("where", (condition, yes, no)):
                return self.where(condition, yes, no, names)
            case Call(name, args):
                return self.function(name, tuple(self.value(arg, names) for arg in args))
        raise NotStraight(f"a rule of fixed arity has no {type(x).__name__}")

    def where(self, condition: Any, yes: Any, no: Any, names: dict[str, int | float]) -> int | float:
        """A choice; where the condition is a number, the side that it takes."""
        if not (isinstance(condition, Call) and condition.name in COMPARISONS):
            return self.function("where", tuple(self.value(x, names) for x in (condition, yes, no)))
        holds = self.emit(condition.name, tuple(self.value(x, names) for x in condition.args))
        if isinstance(holds, float):
            return self.value(yes if holds else no, names)
        return self.emit("select", (holds, self.value(yes, names), self.value(no, names)))

    def function(self, name: str, args: tuple[int | float, ...]) -> int | float:
        """A function of the language: an elementary step, or the steps of the row of that name."""
        if name in COMPARISONS:  # outside a condition it is a number
            name = COMPARISONS[name]
        if name in ELEMENTARY:
            return self.emit(name, args)
        if name == "zero_gradient":
            return self.value(parse("where(a == a, 0, nan)"), {"a": args[0]})
        if name in _NUMBERED:
            no = parse("where(a == a, where(b == b, 0, nan), nan)")
            return self.where(Call(_NUMBERED[name], ("a", "b")), 1.0, no, dict(zip("ab", args, strict=True)))
        row = TABLE[name]
        if row.variadic:
            raise NotStraight(f"{name} takes a list")
        if not isinstance(row.forward, str):
            return self.user(row, -1, args)
        return self.value(parse(row.forward), dict(zip(row.operands, args, strict=True)))

    def user(self, row: Any, slot: int, args: tuple[int | float, ...]) -> int | float:
        """A user-defined rule: its steps where it was given as text, else a function to be called."""
        if slot in row.texts:
            with suppress(NotStraight):
                names = row.operands if slot < 0 else (*row.operands, "out")
                return self.value(row.texts[slot], dict(zip(names, args, strict=True)))
        if slot < 0:
            return self.append("call", args, row.value)
        partials = row.partials
        return self.append("call", args, lambda *numbers: partials(*numbers)[slot])

    def emit(self, name: str, args: tuple[int | float, ...]) -> int | float:
        """An elementary step; none where its result is known."""
        if name == "eq" and isinstance(args[0], int) and same(*args) and not self.nan:
            return 1.0  # x == x asks whether x is NaN
        if all(isinstance(x, float) for x in args):
            return float((_FOLDED.get(name) or FLOATS[name])(*args))
        if name in ("mul", "pow") and args[1].__class__ is float and args[1] == 1.0:
            return args[0]
        if name == "mul" and args[0].__class__ is float and args[0] == 1.0:
            return args[1]
        return self.append(name, args)

    def append(self, name: str, args: tuple[int | float, ...], function: Any = None) -> int:
        key = (name, *((x, math.copysign(1.0, x), type(x)) for x in args), function)
        if key not in self.made:
            self.steps.append(Step(name, args, function))
            self.made[key] = self.operands + len(self.steps) - 1
        return self.made[key]

    def needed(self, result: int | float) -> tuple[tuple[Step, ...], int | float]:
        """The steps that the result needs, renumbered, and the result."""
        wanted = {result} if isinstance(result, int) else set()
        for k in range(len(self.steps) - 1, -1, -1):
            if self.operands + k in wanted:
                wanted.update(x for x in self.steps[k].args if isinstance(x, int))
        moved: dict[int, int] = {k: k for k in range(self.operands)}
        kept: list[Step] = []
        for k, step in enumerate(self.steps, self.operands):
            if k in wanted:
                moved[k] = self.operands + len(kept)
                kept.append(step._replace(args=tuple(moved[x] if isinstance(x, int) else x for x in step.args)))
        return tuple(kept), moved[result] if isinstance(result, int) else result
