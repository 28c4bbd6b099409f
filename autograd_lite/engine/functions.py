"""The table of primitives as operators, methods and functions of Values and floats.

Every function here is made from its row, or checks its arguments and records a row: nothing states a
rule a second time. Each is made when it is first asked for (`__getattr__` of this module, `_Method` at Value).
Type checkers read signatures.pyi, which tools/make_stubs.py writes from the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import zip_longest
from sys import modules
from typing import Any

from autograd_lite.engine import checks
from autograd_lite.engine.checks import as_float, describe, is_array, whole
from autograd_lite.engine.kernels import CONSTANTS, HELPERS
from autograd_lite.engine.lowering import FLOATS, float_text, value_source
from autograd_lite.engine.primitives import LOG_SOFTMAX, SOFTMAX
from autograd_lite.engine.rules import TABLE, Row, newest
from autograd_lite.engine.value import Value, record

# --- code made from rows: a primitive with its rule written out, since this is the hot path -----------

UNARY = """
def {function}({a}):
    if isinstance({a}, Value):
        node = new(Value)
        node._row = row_{name}
        node._a = {a}
        node._b = None
        {a} = {a}._f
        node._f = out = {forward}
        node._da = {partials[0]}
        return finish_node(node) if special else node
    if {a}.__class__ is not float and is_array({a}):
        return elementwise(row_{name}, {a})
    return value_{name}(as_float({a}, {name!r}))
"""


OPERATOR = """
def {function}({this}, {other}):
    if isinstance({other}, Value):
        node = new(Value)
        node._a = {a}
        node._b = {b}
        {other} = {other}._f
    else:
        if type({other}) is not float:
            number = float({other}) if isinstance({other}, float) else to_float({other})
            if number is NotImplemented:
                return beside_array(row_{name}, {a}, {b})
            {other} = number
        node = new(Value)
        node._a = {a}
        node._b = {b}
    {this} = {this}._f
    node._row = row_{name}
    node._f = out = {forward}
    node._da = {partials[0]}
    node._db = {partials[1]}
    return finish_node(node) if special else node
"""


FUNCTION = """
def {function}({signature}):
    {setting}
    if {any_array}:
        return elementwise(row_{name}, {names})
    if {any_value}:
        return record(row_{name}, ({operands},))
    return value_{name}({numbers})
"""


SEQUENCE = """
def {function}(xs):
    operands, graph = operands_of(xs, {name!r}, {empty})
    return record(row_{name}, operands) if graph else float(value_{name}(operands))
"""


def _elementwise(row: Row, *xs: Any) -> Any:
    """A primitive on each element of arrays."""
    return checks.load_arrays().elementwise(row, *xs)


def _beside_array(row: Row, a: Any, b: Any) -> Any:
    """An operator between a Value and what is not a number: arrays are ours to handle, anything else is Python's.

    NumPy leaves an operator to the Value beside it (see `_ArrayUfunc` in value.py), and so it must not come back.
    """
    numpy = modules.get("numpy")
    other = b if isinstance(a, Value) else a
    if numpy is None or not isinstance(other, (numpy.ndarray, numpy.generic)):
        return NotImplemented
    if not isinstance(other, numpy.ndarray):
        as_float(other, row.name)  # refuses it
    return checks.load_arrays().elementwise(row, a, b)


FLOATS.update(
    is_array=is_array, elementwise=_elementwise, beside_array=_beside_array, SCALARS=frozenset((float, int, Value))
)


def make(template: str, row: Row, function: str, **names: Any) -> Callable[..., Any]:
    """The function that a template makes of a row."""
    FLOATS[f"row_{row.name}"], FLOATS[f"value_{row.name}"] = row, row.value
    written_out = isinstance(row.forward, str) and not row.variadic
    partials = [float_text(text) for text in row.partial_texts()] if written_out else []
    forward = float_text(str(row.forward)) if written_out else ""
    made: dict[str, Any] = {}
    source = template.format(function=function, name=row.name, forward=forward, partials=partials, **names)
    exec(compile(source, f"<primitive {row.name}>", "exec"), FLOATS, made)
    return _signed(made[function], row)


def make_operator(row: Row, function: str, reflected: bool = False) -> Callable[..., Any]:
    """A binary operator, or its reflected form, in which the right operand is the Value."""
    a, b = row.operands
    this, other = (b, a) if reflected else (a, b)
    return make(OPERATOR, row, function, a=a, b=b, this=this, other=other)


def make_function(row: Row) -> Callable[..., Any]:
    """The public function of a row, on Values and floats in any mixture."""
    names = row.operands
    if not row.builtin:
        return _user_function(row)
    if row.variadic:
        return make(SEQUENCE, row, row.name, empty=row.empty is not None)
    if len(names) == 1 and isinstance(row.forward, str):
        return make(UNARY, row, row.name, a=names[0])
    required = len(names) - len(row.defaults)
    checked = [f"as_float({x}, {f'{row.name}: {x}'!r})" for x in names]
    fixed = row.setting
    least = 0 if fixed and row.domain[names.index(fixed)][0] == 0.0 else -1000
    return make(
        FUNCTION,
        row,
        row.name,
        setting=f"{fixed} = whole_number({fixed}, {f'{row.name}: {fixed}'!r}, {least})" if fixed else "pass",
        signature=", ".join([*names[:required], *map("{}={!r}".format, names[required:], row.defaults)]),
        names=", ".join(names),
        any_array=" or ".join(f"{x}.__class__ not in SCALARS and is_array({x})" for x in names),
        any_value=" or ".join(f"isinstance({x}, Value)" for x in names),
        operands=", ".join(f"{x} if isinstance({x}, Value) else {c}" for x, c in zip(names, checked, strict=True)),
        numbers=", ".join(checked),
    )


def _user_function(row: Row) -> Callable[..., Any]:
    """The function of a user-defined row: its operands may have any names, so no other name stands in its text."""
    whats = [f"{row.name}: {x}" for x in row.operands]

    def apply(*given: Any) -> Any:
        operands = tuple(
            x if type(x) is float or isinstance(x, Value) else as_float(x, what)
            for x, what in zip(given, whats, strict=True)
        )
        return record(row, operands) if any(type(x) is not float for x in operands) else row.value(*operands)

    inner = "apply"
    while inner in (row.name, *row.operands):
        inner += "_"
    arguments = ", ".join(row.operands)
    space: dict[str, Any] = {inner: apply, "__name__": __name__, "__builtins__": {}}
    exec(compile(f"def {row.name}({arguments}): return {inner}({arguments})", f"<primitive {row.name}>", "exec"), space)
    row.function = _signed(space[row.name], row)
    row.function.row = row
    return row.function  # type: ignore[no-any-return]


def whole_number(n: Any, what: str, low: int) -> float:
    """A setting of a primitive, such as the n of polygamma, as a float."""
    if isinstance(n, float) and n.is_integer():  # as the rules themselves have it: n + 1
        n = int(n)
    return as_float(whole(n, what, low), what)


FLOATS["whole_number"] = whole_number


def _signed(function: Callable[..., Any], row: Row) -> Callable[..., Any]:
    """Give a made function its home and its documentation."""
    function.__module__ = __name__
    function.__doc__ = documentation(row)
    return function


def documentation(row: Row) -> str:
    """The docstring of a row: what it is, its formula, its derivatives, an example worked out on the spot."""
    lines = [row.about or f"The primitive {row.name}.", "", *_formula(row), "", "Args:"]
    if row.variadic:
        empty = "at least one" if row.empty is None else f"an empty sequence gives {row.empty}"
        lines += [f"    xs: Values and real numbers, {empty}.", "", "Returns:"]
        lines += ["    A Value if an element is one, else a float.", "", "Raises:"]
        lines += ["    TypeError: xs is not a sequence, or an element is neither a Value nor a real number."]
        lines += ["    ValueError: xs is empty."] if row.empty is None else []
    else:
        kinds = ("a whole number" if x == row.setting else "a Value or a real number" for x in row.operands)
        lines += [*map("    {}: {}.".format, row.operands, kinds), "", "Returns:"]
        lines += ["    A Value if an operand is one, else a float.", "", "Raises:"]
        lines += ["    TypeError: an operand is neither a Value nor a real number."]
        lines += [f"    TypeError, ValueError: {row.setting} is not such a whole number."] if row.setting else []
    if row.builtin and row.name[0] != "_" and isinstance(row.forward, str):
        lines += ["", "Example:", *_example(row)]
    return "\n".join(lines)


def _formula(row: Row) -> list[str]:
    if row.variadic:
        return [f"    {row.name}(xs) = {row.formula}"]
    rule = row.forward if isinstance(row.forward, str) else "a user-defined rule"
    texts = zip(row.operands, row.partial_texts(), strict=False)
    slopes = [f"    d/d{x} = {text}" for x, text in texts if x != row.setting]
    return [f"    {row.name}({', '.join(row.operands)}) = {rule}", *slopes]


def _example(row: Row) -> list[str]:
    settings = [x == row.setting for x in row.operands]
    sample = row.example or [1.0 if s else example_point(x) for s, x in zip(settings, row.domain, strict=True)]
    out, gradients = row.evaluate(sample)
    first, *others = ("1" if s else repr(x) for s, x in zip_longest(settings, sample))
    if row.variadic:
        call = f"ag.{row.name}([{', '.join([f'ag.Value({first})', *others])}])"
        return [f"    >>> y = {call}", "    >>> y.item(), y.local_grads", f"    {(float(out), tuple(gradients))!r}"]
    if settings[0]:  # polygamma(n, a)
        (x, a) = row.operands[1], others[0]
        return [
            f"    >>> {x} = ag.Value({a})",
            f"    >>> y = ag.{row.name}({first}, {x})",
            "    >>> y.item(), ag.gradients(y, " + x + ")",
            f"    {(out, gradients[1])!r}",
        ]
    x = row.operands[0]
    lines = [
        f"    >>> ag.{row.name}({', '.join([first, *others])})",
        f"    {out!r}",
        f"    >>> {x} = ag.Value({first})",
    ]
    return [*lines, f"    >>> ag.gradients(ag.{row.name}({', '.join([x, *others])}), {x})", f"    {gradients[0]!r}"]


def example_point(interval: tuple[float, float]) -> float:
    """A plain point inside an interval."""
    low, _ = interval
    return low + 0.5 if low > -math.inf else 0.5


OPERATORS = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "div": "truediv",
    "pow": "pow",
    "mod": "mod",
    "floor_divide": "floordiv",
}
"""Rows that are operators of Python, by Python's name."""

_OPERATORS_ALONE = {"add", "sub", "mul", "div", "pow", "neg"}
"""Rows that are not functions as well."""

FUNCTIONS = [row.name for row in TABLE.values() if not row.variadic and row.name not in _OPERATORS_ALONE]
"""The rows that are functions of a fixed number of operands."""

ALIASES = {"remainder": "mod"}
"""Functions of which there are two names, as in NumPy."""


METHODS = {
    name: name for name in FUNCTIONS if name[0] != "_" and len(TABLE[name].operands) - len(TABLE[name].defaults) == 1
} | {
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "arctan2": "atan2",
    "deg2rad": "radians",
    "rad2deg": "degrees",
    "fabs": "abs",
    "hypot": "hypot",
    "logaddexp": "logaddexp",
    "maximum": "maximum",
    "minimum": "minimum",
    "clamp": "clamp",
    "__neg__": "neg",
    "__abs__": "abs",
    "__floor__": "floor",
    "__ceil__": "ceil",
    "__trunc__": "trunc",
    "__round__": "round",
}
"""Methods of Value: functions of one operand, by the names too under which NumPy looks for them on the
elements of an object array, and a few more."""


def __getattr__(name: str) -> Any:
    """Make a function when it is first asked for."""
    if name in ALIASES:
        return function_called(ALIASES[name])
    row = newest(name)
    if row is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not row.builtin:
        return row.function  # not kept here: the name may get another row
    function = globals()[name] = make_function(row)
    return function


def function_called(name: str) -> Any:
    """The public function of a row by its name."""
    return globals().get(name) or __getattr__(name)


class _Method:
    """A method of Value that is made when it is first used, and then takes this object's place."""

    def __init__(self, name: str, make: Callable[[], Callable[..., Any]]) -> None:
        self.name, self.make = name, make

    def __get__(self, value: Any, kind: type) -> Any:
        function = self.make()
        setattr(Value, self.name, function)
        return function.__get__(value, kind)


for _name, _primitive in METHODS.items():
    setattr(Value, _name, _Method(_name, partial(function_called, _primitive)))

for _primitive, _python in OPERATORS.items():
    for _reflected, _prefix in ((False, ""), (True, "r")):
        _name = f"__{_prefix}{_python}__"
        setattr(Value, _name, _Method(_name, partial(make_operator, TABLE[_primitive], _name, _reflected)))


def _divmod(this: Any, other: Any) -> Any:
    """divmod(this, other): this // other and this % other."""
    quotient = this.__floordiv__(other)
    return quotient if quotient is NotImplemented else (quotient, this % other)


def _rdivmod(this: Any, other: Any) -> Any:
    """divmod(other, this)."""
    quotient = this.__rfloordiv__(other)
    return quotient if quotient is NotImplemented else (quotient, other % this)


setattr(Value, "__divmod__", _divmod)  # noqa: B010
setattr(Value, "__rdivmod__", _rdivmod)  # noqa: B010


# --- n-ary: one sequence -----------------------------------------------------------------------------


def operands_of(xs: Iterable[Any], name: str, empty: bool = False) -> tuple[tuple[Any, ...], bool]:
    """(operands, whether one is a Value) of a primitive of one sequence."""
    if isinstance(xs, (Value, str, bytes, dict)) or not isinstance(xs, Iterable) or getattr(xs, "ndim", 1) == 0:
        raise TypeError(f"{name}: takes one sequence of Values and numbers, got {describe(xs)}")
    found = tuple(x if type(x) is float or isinstance(x, Value) else _element(x, name, i) for i, x in enumerate(xs))
    if not found and not empty:
        raise ValueError(f"{name}: the sequence is empty; it needs at least one element")
    return found, any(type(x) is not float for x in found)


def _element(x: Any, name: str, i: int) -> float:
    """An element of a sequence as a float; an array is refused, with a hint."""
    if getattr(x, "ndim", 0):
        arrays = f"np.{name}(xs) adds or multiplies arrays of Values, and " if name in ("sum", "prod") else ""
        raise TypeError(
            f"{name}: element {i} must be a number, and it is an array of shape {getattr(x, 'shape', '?')}; {arrays}"
            f"ag.{name.partition(':')[0]} takes one sequence of numbers: np.ravel(xs) is one"
        )
    return as_float(x, f"{name}: element {i}")


FLOATS["operands_of"] = operands_of


def dot(xs: Iterable[Any], ys: Iterable[Any], bias: Any = None) -> Any:
    """The dot product of two sequences, plus a bias if one is given, as one node.

        dot(xs, ys, bias) = x1 y1 + ... + xn yn + bias,  d/dxi = yi, d/dyi = xi, d/dbias = 1

    Args:
        xs, ys: Values and real numbers, as many in the one as in the other.
        bias: a Value, a real number, or None.

    Returns:
        A Value if an element is one, else a float. Its operands are the x, then the y, then the bias.

    Raises:
        TypeError: an argument is not a sequence, or an element is neither a Value nor a real number.
        ValueError: the lengths differ.

    Example:
        >>> ag.dot([ag.Value(3.0), ag.Value(1.0)], [1.0, 2.0], bias=0.5).item()
        5.5
    """
    left, _ = operands_of(xs, "dot: xs", empty=True)
    right, _ = operands_of(ys, "dot: ys", empty=True)
    if len(left) != len(right):
        raise ValueError(f"dot: xs has {len(left)} elements and ys has {len(right)}; they must be as many")
    operands, graph = operands_of(left + right if bias is None else (*left, *right, bias), "dot", empty=True)
    return record(TABLE["dot"], operands) if graph else float(TABLE["dot"].value(operands))


def softmax(xs: Iterable[Any]) -> list[Any]:
    """The exponentials of a sequence, scaled to add up to 1; without overflow.

        softmax(xs)[i] = exp(xi) / (exp(x1) + ... + exp(xn))

    Args:
        xs: Values and real numbers, at least one.

    Returns:
        A list: Values if an element of xs is one, else floats.

    Raises:
        TypeError: xs is not a sequence, or an element is neither a Value nor a real number.
        ValueError: xs is empty.

    Example:
        >>> ag.softmax([1000.0, 1000.0])
        [0.5, 0.5]
    """
    return _list_rule(SOFTMAX)(operands_of(xs, "softmax")[0])  # type: ignore[no-any-return]


def log_softmax(xs: Iterable[Any]) -> list[Any]:
    """The logarithms of softmax, without loss where that underflows.

        log_softmax(xs)[i] = xi - logsumexp(xs)

    Args:
        xs: Values and real numbers, at least one.

    Returns:
        A list: Values if an element of xs is one, else floats.

    Raises:
        TypeError: xs is not a sequence, or an element is neither a Value nor a real number.
        ValueError: xs is empty.

    Example:
        >>> ag.log_softmax([0.0, 1000.0])
        [-1000.0, 0.0]
    """
    return _list_rule(LOG_SOFTMAX)(operands_of(xs, "log_softmax")[0])  # type: ignore[no-any-return]


# --- the language of rows on Values -------------------------------------------------------------------


def _where(condition: Any, a: Callable[[], Any], b: Callable[[], Any]) -> Any:
    """`where` in a rule: if the condition is a constant, only the side that it takes is made."""
    if isinstance(condition, Value):
        return function_called("where")(condition, a(), b())
    return b() if condition == 0.0 else a() if condition == condition else math.nan


def _div(a: Any, b: Any) -> Any:
    """a / b by the operator of Values, or on two constants by the kernel, which does not raise."""
    return FLOATS["div"](a, b) if a.__class__ is float and b.__class__ is float else a / b


def _pow(a: Any, b: Any) -> Any:
    """a ** b, likewise."""
    return FLOATS["pow"](a, b) if a.__class__ is float and b.__class__ is float else a**b


VALUES: dict[str, Any] = {
    **CONSTANTS,
    **HELPERS,
    "where": _where,
    "div": _div,
    "pow": _pow,
    "zero_gradient": lambda out: 0.0,
}
"""What a name in a rule means on Values (and on floats beside them); functions join when first needed."""


def _unchecked(row: Row) -> Callable[..., Any]:
    """A row with a setting as rules call it: in polygamma(n + 1, a) the n need not be looked at again."""
    return lambda *xs: record(row, xs) if any(isinstance(x, Value) for x in xs) else row.value(*xs)


def on_values(text: str, *names: str) -> Callable[..., Any]:
    """The function of these names that evaluates a rule on Values and floats."""
    source = value_source(text)
    for name in source.names & TABLE.keys() - VALUES.keys():
        VALUES[name] = _unchecked(TABLE[name]) if TABLE[name].setting else function_called(name)
    return eval(f"lambda {', '.join(names)}: {source.code}", VALUES)  # type: ignore[no-any-return]


@cache
def _list_rule(text: str) -> Callable[..., Any]:
    return on_values(text, "xs")


__all__ = sorted(  # noqa: PLE0605
    {"log_softmax", "softmax", *ALIASES, *(name for name in TABLE if name[0] != "_" and name not in _OPERATORS_ALONE)}
)
