"""`formula` and `to_sympy`: a whole graph as mathematics, to read or to calculate with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autograd_lite.engine import graph
from autograd_lite.engine.checks import describe
from autograd_lite.engine.graph import raw_operands
from autograd_lite.engine.notation import DIFFERENCES, Labels
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.value import Literal, Parameter, Value
from autograd_lite.pictures.mathematics import Language, Term, named_values, written

MOST_LINES = 40
"""Lines of a formula that a person still reads."""

LONGEST = 60
"""Characters of a part of a formula; a longer one gets a line and a name."""

REPEATED = 14
"""Characters above which what is used more than once gets a line."""

DEEP = 100
"""Levels above which SymPy may not simplify on the way: it asks each level about all those below."""


class Formula:
    """A graph as lines of mathematics, the root first. Made by `ag.formula`; in a notebook it shows as LaTeX.

    Attributes:
        lines: (name, formula) of each line as plain text.
        latex: all lines in LaTeX, aligned.
    """

    lines: tuple[tuple[str, str], ...]
    latex: str

    def __init__(self, order: Sequence[Value], labels: Labels, named: Callable[[Value], bool]) -> None:
        self.lines = tuple(_lines(order, labels, named, Language()))
        rows = [f"{name} &= {text}" for name, text in _lines(order, labels, named, Language(tex=True))]
        self.latex = "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def __str__(self) -> str:
        wide = max(len(name) for name, _ in self.lines)
        return "\n".join(f"{name:<{wide}} = {text}" for name, text in self.lines)

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"


def formula(loss: Value, names: Mapping[str, Any] | None = None) -> Formula:
    """A whole graph as a formula; Values with a name, and what is used more than once, have a line each.

    Args:
        loss: the Value at the root.
        names: what Values without a name are called, as for `draw`: a dict such as `locals()`.

    Returns:
        A Formula: `str()` is plain text, `.latex` is LaTeX, which a notebook shows.

    Raises:
        TypeError: loss is not a Value.
        ValueError: the graph needs more lines than can be read.

    Example:
        >>> w, x, y = ag.Parameter(3.0, name="w_1"), ag.Value(2.0, name="x"), ag.Value(5.0, name="y")
        >>> residual = w * x - y
        >>> loss = residual**2 + 0.1 * ag.exp(-w)
        >>> ag.formula(loss, names={"loss": loss, "residual": residual})
        loss     = residual² + 0.1·exp(−w₁)
        residual = w₁·x − y
        >>> print(ag.formula(ag.sqrt(x / y)).latex)
        \\begin{aligned}
        v_{4} &= \\sqrt{\\frac{x}{y}}
        \\end{aligned}
    """
    if not isinstance(loss, Value):
        raise TypeError(f"formula: expected a Value (the root of a graph), got {describe(loss)}")
    called = named_values(names, "formula")
    order = graph.toposort(loss)
    labels = Labels(order, called)
    return Formula(order, labels, lambda node: id(node) in labels.names)


def _lines(
    order: Sequence[Value], labels: Labels, named: Callable[[Value], bool], language: Language
) -> list[tuple[str, str]]:
    """From the leaves up, each node as text of its operands' texts; what is named or long begins a line."""
    uses = Counter(id(x) for node in order for x in raw_operands(node) if x.__class__ is not float)
    terms: dict[int, Term] = {}
    lines: list[tuple[str, str]] = []
    root = order[-1]
    measure = Language()
    plain: dict[int, Term] = {}  # the same in plain text, whose length decides: LaTeX and text have the same lines
    for node in order:
        name = language.name(labels[node])
        if node._row is None:
            known = named(node) or isinstance(node, Parameter)
            terms[id(node)] = name if known else language.number(number_of(node))
            plain[id(node)] = measure.name(labels[node]) if known else measure.number(number_of(node))
            if node is root:
                lines.append((name.text, terms[id(node)].text if not known else language.number(number_of(node)).text))
            continue
        made, short = (
            written(node, [lang.number(x) if x.__class__ is float else known[id(x)] for x in raw_operands(node)], lang)
            for lang, known in ((language, terms), (measure, plain))
        )
        length = len(short.text)
        if node is root or named(node) or length > LONGEST or (uses[id(node)] > 1 and length > REPEATED):
            lines.append((name.text, made.text))
            if len(lines) > MOST_LINES:
                raise ValueError(
                    f"formula: a graph of {len(order):,} values has more than {MOST_LINES} lines of formulas; print "
                    "ag.tape(loss), draw it, or give an inner Value"
                )
            made, short = name, measure.name(labels[node])
        terms[id(node)], plain[id(node)] = made, short
    return lines[::-1]


# --- SymPy ---------------------------------------------------------------------------------------------------


def to_sympy(loss: Value, names: Mapping[str, Any] | None = None) -> Any:
    """A graph as a SymPy expression: named Values and Parameters are symbols, every other leaf is its number.

    Args:
        loss: the Value at the root.
        names: what Values without a name are called, as for `draw`: a dict such as `locals()`.

    Returns:
        The expression. Of a graph deeper than 100 levels it is not simplified on the way.

    Raises:
        TypeError: loss is not a Value.
        ImportError: SymPy is not installed.
        NotImplementedError: a primitive that SymPy has no form of.

    Example:
        >>> w, x = ag.Parameter(3.0, name="w"), ag.Value(2.0, name="x")
        >>> ag.to_sympy(ag.exp(w * x) + w**2)
        w**2 + exp(w*x)
    """
    if not isinstance(loss, Value):
        raise TypeError(f"to_sympy: expected a Value (the root of a graph), got {describe(loss)}")
    try:
        import sympy
    except ImportError:
        raise ImportError("to_sympy: SymPy is not installed; run pip install sympy") from None
    called = named_values(names, "to_sympy")
    order = graph.toposort(loss)
    labels = Labels(order, called)

    def number(x: float) -> Any:
        if x != x or x in (float("inf"), float("-inf")):
            return {float("inf"): sympy.oo, float("-inf"): -sympy.oo}.get(x, sympy.nan)
        return sympy.Integer(int(x)) if x == int(x) and abs(x) < 2**53 else sympy.Float(x)

    level: dict[int, int] = {}
    for node in order:
        below = [level[id(x)] for x in raw_operands(node) if x.__class__ is not float]
        level[id(node)] = 1 + max(below, default=0)
    forms = _forms(sympy)
    made: dict[int, Any] = {}
    with sympy.evaluate(level[id(loss)] <= DEEP):
        for node in order:
            if node._row is None:
                symbol = isinstance(node, Parameter) or (id(node) in labels.names and not isinstance(node, Literal))
                made[id(node)] = sympy.Symbol(labels[node], real=True) if symbol else number(number_of(node))
                continue
            operands = [number(x) if x.__class__ is float else made[id(x)] for x in raw_operands(node)]
            form = forms.get(node._row.name)
            if form is None:
                raise NotImplementedError(f"to_sympy: SymPy has no form of {node._row.name!r}, in {labels[node]}")
            made[id(node)] = form(*operands)
    return made[id(loss)]


def _forms(sp: Any) -> dict[str, Callable[..., Any]]:
    """What SymPy calls each primitive."""

    def where(c: Any, a: Any, b: Any) -> Any:
        return sp.Piecewise((a, sp.Ne(c, 0)), (b, True))

    def holds(relation: Any) -> Callable[..., Any]:
        return lambda a, b: sp.Piecewise((1, relation(a, b)), (0, True))

    def dot(*xs: Any) -> Any:
        half = len(xs) // 2
        return sp.Add(*map(sp.Mul, xs[:half], xs[half : 2 * half]), *xs[2 * half :])

    def sigmoid(a: Any) -> Any:
        return 1 / (1 + sp.exp(-a))

    def normal(a: Any) -> Any:
        return (1 + sp.erf(a / sp.sqrt(2))) / 2

    same = ("exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh",
            "atanh", "sqrt", "sign", "floor", "erf", "erfc", "erfinv", "atan2", "digamma")  # fmt: skip
    found: dict[str, Callable[..., Any]] = {name: getattr(sp, name) for name in same}
    return found | {
        "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "_shift": lambda a, b: a - b, "mul": lambda a, b: a * b,
        "_chain": lambda a, b: a * b, "_masked": lambda a, b: a * b, "div": lambda a, b: a / b, "neg": lambda a: -a,
        "pow": lambda a, b: a**b, "expm1": lambda a: sp.exp(a) - 1, "log1p": lambda a: sp.log(1 + a),
        "log2": lambda a: sp.log(a) / sp.log(2), "log10": lambda a: sp.log(a) / sp.log(10), "exp2": lambda a: 2**a,
        "cbrt": lambda a: sp.sign(a) * sp.Abs(a) ** sp.Rational(1, 3), "abs": sp.Abs, "ceil": sp.ceiling,
        "trunc": lambda a: sp.sign(a) * sp.floor(sp.Abs(a)), "sigmoid": sigmoid, "ndtr": normal,
        "log_sigmoid": lambda a: -sp.log(1 + sp.exp(-a)), "softplus": lambda a: sp.log(1 + sp.exp(a)),
        "relu": lambda a: sp.Max(a, 0), "silu": lambda a: a * sigmoid(a), "gelu": lambda a: a * normal(a),
        "leaky_relu": lambda a, s: sp.Piecewise((a, a > 0), (s * a, True)),
        "elu": lambda a, s: sp.Piecewise((a, a > 0), (s * (sp.exp(a) - 1), True)),
        "log_ndtr": lambda a: sp.log(normal(a)), "lgamma": lambda a: sp.log(sp.Abs(sp.gamma(a))),
        "polygamma": sp.polygamma, "sinc": lambda a: sp.sinc(sp.pi * a), "logit": lambda a: sp.log(a / (1 - a)),
        "degrees": lambda a: a * 180 / sp.pi, "radians": lambda a: a * sp.pi / 180, "mod": sp.Mod,
        "floor_divide": lambda a, b: sp.floor(a / b), "greater": holds(sp.Gt), "greater_equal": holds(sp.Ge),
        "less": holds(sp.Lt), "less_equal": holds(sp.Le), "equal": holds(sp.Eq), "not_equal": holds(sp.Ne),
        "where": where, "maximum": sp.Max, "minimum": sp.Min,
        "clamp": lambda a, low, high: sp.Min(sp.Max(a, low), high),
        "heaviside": lambda a, h: sp.Piecewise((0, a < 0), (h, sp.Eq(a, 0)), (1, True)),
        "hypot": lambda a, b: sp.sqrt(a**2 + b**2), "xlogy": lambda a, b: where(a, a * sp.log(b), 0),
        "xlog1py": lambda a, b: where(a, a * sp.log(1 + b), 0), "logaddexp": lambda a, b: sp.log(sp.exp(a) + sp.exp(b)),
        "sum": sp.Add, "prod": sp.Mul, "mean": lambda *xs: sp.Add(*xs) / len(xs), "max": sp.Max, "min": sp.Min,
        "dot": dot,
        "norm": lambda *xs: sp.sqrt(sp.Add(*(x**2 for x in xs))), "_stop": lambda a: a,
        "logsumexp": lambda *xs: sp.log(sp.Add(*map(sp.exp, xs))),
        **{name: (lambda a, b, f=f: f(a - b)) for name, f in ((k, sp.exp if v == "exp" else sigmoid)
           for k, v in DIFFERENCES.items())},
    }  # fmt: skip
