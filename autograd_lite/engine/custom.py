"""`ag.primitive`: rows that users add to the table."""

from __future__ import annotations

import ast
from collections.abc import Callable
from keyword import iskeyword
from typing import Any

from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.functions import VALUES, function_called, make_function
from autograd_lite.engine.lowering import Call, Items, parse, value_source
from autograd_lite.engine.rules import TABLE, Row, define, digest_of, newest
from autograd_lite.engine.value import Value


def primitive(
    name: str,
    forward: Any,
    partials: Any,
    symbol: str | None = None,
    *,
    infix: bool | None = None,
    commutes: bool = False,
    branch: bool = False,
    zero_gradient: bool = False,
    kinks: bool = True,
    saturates: bool = False,
    grows: bool = False,
    logarithm: bool = False,
    linear: bool = False,
    rectifies: bool = False,
) -> Callable[..., Any]:
    """Add a user-defined primitive to the table; it is then drawn, checked, explained and differentiated like ours.

    Under the name of an earlier one it is a new row: functions, rules, graphs and programs made earlier keep theirs.

    Args:
        name: an identifier that no primitive of the library has.
        forward: its result: a function of floats, or an expression as text ("a * exp(a)").
        partials: its local derivatives, one an operand: a function of the operands (and of `out`, the result,
            if it takes one argument more) that returns a tuple, or one number for one operand; or expressions
            as text, separated by commas. Written with operators and functions of this library they
            serve derivatives of every order.
        symbol: what pictures write in the box; the name by default.
        infix: formulas write the symbol between the two operands, `a + b`; by default if one of ours of the same
            symbol does.
        commutes: f(a, b) = f(b, a), so a picture need not say which operand is which.
        branch: it chooses among operands; one whose partial is 0 gets no gradient, even where an infinite one arrives.
        zero_gradient: piecewise constant, so all its partials are 0 (or NaN); `diagnose` calls it a step.
        kinks: its derivative may jump; where gradcheck fails it looks whether one is near. False if it is smooth.
        saturates: its derivative falls to 0 far out; `diagnose` then calls it saturated.
        grows: it overflows soon, as exp does; the advice is then to work with logarithms.
        logarithm: it has a pole and is not defined beyond it, as log; the advice is to keep its operand away.
        linear: linear in each operand; `diagnose` looks through it for the parameters of a unit.
        rectifies: as an activation it lets about half of its inputs through; layers that name it start by He's rule.

    Returns:
        A function of Values and floats.

    Raises:
        TypeError: a rule is neither text nor a function of a fixed number of positional arguments, or one of the
            other arguments is not a bool.
        ValueError: the name is taken or not an identifier, forward and partials do not fit together, or it is infix and
            does not have two operands.

    Example:
        >>> cube = ag.primitive("cube", lambda a: a * a * a, lambda a: 3 * a * a)
        >>> x = ag.Value(2.0)
        >>> cube(x).item(), ag.gradients(cube(x), x)
        (8.0, 12.0)
    """
    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name) or name.startswith("_"):
        raise ValueError(f"primitive: name must be an identifier without a leading underscore, got {describe(name)}")
    if symbol is not None and not isinstance(symbol, str):
        raise TypeError(f"primitive: symbol must be a string, got {describe(symbol)}")
    if name in VALUES and name not in TABLE:
        raise ValueError(f"primitive: {name!r} is a word of the language of rules already; choose another name")
    digest, texts = digest_of(forward, partials), {}
    # Operands have names in either form: parameters of a function, or what a text mentions, in order of occurrence.
    if isinstance(forward, str):
        operands = _free_names(forward, f"primitive {name!r}: forward")
        texts[-1] = _tree_of(forward)
        forward = _function_of(forward, f"primitive {name!r}: forward", *operands)
    else:
        operands = _positional(forward, "forward")
    if not operands:
        raise ValueError(f"primitive {name!r}: forward has no operand")
    # A user's "+" is written as ours is; a "+" of three operands could not be.
    if infix is None:
        infix = len(operands) == 2 and any(row.infix and row.symbol == symbol for row in TABLE.values() if row.builtin)
    facts: dict[str, Any] = {
        "infix": infix,
        "commutes": commutes,
        "branch": branch,
        "zero_gradient": zero_gradient,
        "kinks": kinks,
        "saturates": saturates,
        "grows": grows,
        "logarithm": logarithm,
        "linear": linear,
        "rectifies": rectifies,
    }
    for fact, holds in facts.items():
        if not isinstance(holds, bool):
            raise TypeError(f"primitive {name!r}: {fact} must be True or False, got {describe(holds)}")
    if infix and len(operands) != 2:
        raise ValueError(f"primitive {name!r}: infix needs two operands, and it has {len(operands)}")
    row = Row(
        name,
        symbol or name,
        " ".join(operands),
        _checked_forward(name, forward),
        _checked_partials(name, partials, operands),
        f"The user's primitive {name}.",
        builtin=False,
        digest=digest,
        **facts,
    )
    if isinstance(partials, str):
        texts |= dict(enumerate(_tree_of(f"({partials},)").items))
    row.texts = texts
    return make_function(define(row))


# --- rules as text -----------------------------------------------------------------------------------------

ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.BoolOp, ast.Call, ast.Name, ast.Constant,
    ast.List, ast.Tuple, ast.Load, ast.operator, ast.unaryop, ast.cmpop, ast.boolop,
)  # fmt: skip
"""What a rule may consist of: arithmetic on names and numbers, and calls of functions of the table by their names.

Without attributes, subscripts, lambdas and comprehensions a text reaches nothing else of the process, so that text
from a file is safe to give to `ag.primitive` (SECURITY.md)."""


def _free_names(text: str, what: str) -> tuple[str, ...]:
    """The names in a rule that are not functions or constants of the language; ValueError if it is not allowed."""
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, ValueError) as error:  # ValueError: null characters, lone surrogates
        raise ValueError(f"{what}: {text!r} is not a valid expression ({getattr(error, 'msg', error)})") from None
    except (RecursionError, MemoryError):
        raise ValueError(f"{what}: the text is nested too deeply") from None
    for node in nodes:
        if not isinstance(node, ALLOWED) or (isinstance(node, ast.Call) and not isinstance(node.func, ast.Name)):
            raise ValueError(
                f"{what}: {ast.unparse(node)!r} ({type(node).__name__}) may not stand in a rule, which is arithmetic "
                "on names, numbers and functions of the table; for more, give a function in place of the text"
            )
        if isinstance(node, ast.Constant) and not isinstance(node.value, (int, float)):
            raise ValueError(f"{what}: {node.value!r} in {text!r} is not a real number")
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            if not _known(node.func.id):
                raise ValueError(f"{what}: {text!r} calls {node.func.id!r}, which is not a primitive of the table")
            if node.keywords:
                raise ValueError(f"{what}: {text!r} calls {node.func.id!r} with a keyword; give arguments in order")
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    found = (node.id for node in nodes if isinstance(node, ast.Name) and node.id not in called)
    return tuple(dict.fromkeys(name for name in found if not _known(name)))


def _known(name: str) -> bool:
    return name in VALUES or newest(name) is not None


def _function_of(text: str, what: str, *names: str) -> Callable[..., Any]:
    """A rule as a function of Values and floats; the primitives that it mentions are those of this moment."""
    try:
        source = value_source(text.strip())
    except RecursionError:
        raise ValueError(f"{what}: the text is nested too deeply") from None
    space = {**VALUES, "__builtins__": {}, "__name__": __name__}
    space.update({x: function_called(x) for x in source.names - VALUES.keys() - set(names) if newest(x) is not None})
    return eval(f"lambda {', '.join(names)}: {source.code}", space)  # type: ignore[no-any-return]


def _tree_of(text: str) -> Any:
    """A rule as a tree, in which a user's primitive has its key in the table: a name may be defined anew."""

    def keyed(x: Any) -> Any:
        if isinstance(x, Call):
            row = newest(x.name)
            return Call(x.name if row is None else row.key, tuple(map(keyed, x.args)))
        return x._replace(items=tuple(map(keyed, x.items))) if isinstance(x, Items) else x

    return keyed(parse(text))


# --- rules as functions ------------------------------------------------------------------------------------


def _positional(rule: Any, what: str) -> tuple[str, ...]:
    if not callable(rule):
        raise TypeError(f"primitive: {what} must be a function or an expression as text, got {describe(rule)}")
    import inspect  # slow to import, and needed here alone

    try:
        parameters = inspect.signature(rule).parameters.values()
    except (ValueError, TypeError):  # a builtin that does not have one
        raise TypeError(
            f"primitive: {what} has no signature to read its operands from, got {describe(rule)}; "
            "wrap it in a function, such as lambda a: max(a, 0.0)"
        ) from None
    if any(p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters):
        raise TypeError(f"primitive: {what} must take a fixed number of positional arguments")
    return tuple(p.name for p in parameters)


def _checked_forward(name: str, forward: Callable[..., Any]) -> Callable[..., float]:
    def checked(*numbers: float) -> float:
        try:
            found = forward(*numbers)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise _named(error, f"primitive {name!r}: forward at {_shown(numbers)}") from None
        return as_float(found, f"primitive {name!r}: the result of forward")

    return checked


def _shown(numbers: tuple[Any, ...]) -> str:
    return f"({', '.join(repr(x) for x in numbers)})"


def _named(error: Exception, where: str) -> Exception:
    """An error of a user's rule with the place before its message; its traceback shows the line of the rule."""
    kinds: dict[type, type[Exception]] = {x: x for x in (TypeError, ValueError, OverflowError)}
    kinds |= {ZeroDivisionError: ValueError, FloatingPointError: ValueError}
    kind = kinds.get(type(error))  # None: a class of the user's or of another library
    return error if kind is None else kind(f"{where}: {error}").with_traceback(error.__traceback__)


def _checked_partials(name: str, partials: Any, operands: tuple[str, ...]) -> Callable[..., tuple[Any, ...]]:
    """The partials as one function of the operands and `out` that returns a tuple of the right length."""
    n = len(operands)
    if isinstance(partials, str):
        taken = [x for x in operands if x == "out" or _known(x)]
        if taken:
            raise ValueError(
                f"primitive {name!r}: an operand may not be called {taken[0]!r} where partials are text, in which that "
                "is " + ("the result" if taken[0] == "out" else "a word of the language") + "; choose another name"
            )
        free = _free_names(f"({partials},)", f"primitive {name!r}: partials")
        unknown = [x for x in free if x not in (*operands, "out")]
        if unknown:
            raise ValueError(
                f"primitive {name!r}: partials uses {unknown[0]!r}, which is not an operand ({', '.join(operands)})"
            )
        given = len(ast.parse(f"({partials.strip()},)", mode="eval").body.elts)  # type: ignore[attr-defined]
        if given != n:
            raise ValueError(
                f"primitive {name!r}: partials has {given} derivatives for {n} operands ({', '.join(operands)})"
            )
        text = f"({partials},)" if n > 1 else partials
        partials = _function_of(text, f"primitive {name!r}: partials", *operands, "out")
    takes = len(_positional(partials, "partials"))
    if takes not in (n, n + 1):
        raise ValueError(
            f"primitive {name!r}: partials takes {takes} arguments; it gets {n} operands, and out if it takes {n + 1}"
        )

    def checked(*arguments: Any) -> tuple[Any, ...]:
        try:
            found = partials(*arguments[:takes])
        except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
            if not any(isinstance(x, Value) for x in arguments):
                raise _named(error, f"primitive {name!r}: partials at {_shown(arguments[:takes])}") from None
            raise TypeError(
                f"primitive {name!r}: its partials failed on Values, which a derivative of its derivative needs "
                f"({error}); write them with operators and functions of this package (ag.exp for math.exp), and "
                f"make a function of another library a primitive of its own, with its partials: {name!r} then calls it"
            ) from None
        found = tuple(found) if isinstance(found, (tuple, list)) else (found,)
        if len(found) != n:
            raise ValueError(f"primitive {name!r}: partials gave {len(found)} derivatives for {n} operands")
        return tuple(x if isinstance(x, Value) else as_float(x, f"primitive {name!r}: a partial") for x in found)

    return checked
