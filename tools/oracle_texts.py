"""Programs as people write them, drawn at random: the oracle's generators of Python text.

A generator is a function `(rng) -> Text`. A Text is a function `f(x)` as source, the form of x (a list, an array, a
tree), and points, at some of which it goes another way than at others. It uses `ag` and `np`, so that it runs with the
package and, by oracle_numbers.py, at 50 digits.

    closures     functions within functions, lambdas, partial, reduce, classes, generators, recursion
    flow         if and while on Values, early returns, break, sorted, max, in, match
    arrays       ag.array and NumPy's functions
    algebra      ag.linalg on nested lists and on arrays
    derivatives  ag.grad, jvp, hessian inside the function
    loops        recurrences, called with sequences of several lengths
    containers   dicts, tuples, dataclasses, namedtuples, nested; static arguments
    constants    captured Values and literals that change from call to call
    straight     the programs of oracle.py: every primitive
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

Form = Any
"""A tree whose leaves are: "number", a whole number n for a list of n, or ("array", shape)."""


@dataclass
class Pair:
    """A dataclass for arguments."""

    a: Any
    b: Any


class Two(NamedTuple):
    """A namedtuple for arguments."""

    first: Any
    second: Any


@dataclass
class Text:
    """A program as source.

    Attributes:
        source: it defines f.
        forms: that of x, for each point.
        points: the numbers in x, in order.
        nested: whether derivatives are taken inside.
        captured: numbers of the Values that f finds as `c`; those of each point.
    """

    source: str
    forms: list[Form]
    points: list[list[float]]
    nested: bool = False
    captured: list[list[float]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"import autograd_lite as ag\nimport numpy as np\n{self.source}"


def filled(form: Form, numbers: Any, array: Callable[..., Any] = np.array) -> Any:
    """The tree of this form with the numbers of an iterator; `array` makes arrays."""
    if form == "number":
        return next(numbers)
    if isinstance(form, int):
        return [next(numbers) for _ in range(form)]
    if isinstance(form, dict):
        return {key: filled(part, numbers, array) for key, part in form.items()}
    if isinstance(form, list):
        return [filled(part, numbers, array) for part in form]
    if isinstance(form, (Pair, Two)):
        parts = [filled(part, numbers, array) for part in (form if isinstance(form, Two) else (form.a, form.b))]
        return type(form)(*parts)
    if form[0] == "array":
        return array([next(numbers) for _ in range(math.prod(form[1]))]).reshape(form[1])
    return tuple(filled(part, numbers, array) for part in form)


def flat(form: Form, x: Any) -> list[Any]:
    """The numbers of a tree of this form, in the same order."""
    if isinstance(form, dict):
        return [y for key, part in form.items() for y in flat(part, x[key])]
    if is_dataclass(form):
        return [y for part in fields(form) for y in flat(getattr(form, part.name), getattr(x, part.name))]
    if isinstance(form, (list, tuple)) and not (form and form[0] == "array"):
        return [y for part, one in zip(form, x, strict=True) for y in flat(part, one)]
    return leaves(x)


def leaves(x: Any) -> list[Any]:
    """The numbers of nested lists, tuples and arrays."""
    if hasattr(x, "toarray"):
        x = x.toarray()
    if isinstance(x, np.ndarray):
        return list(x.ravel())
    return [z for y in x for z in leaves(y)] if isinstance(x, (list, tuple)) else [x]


# --- expressions ------------------------------------------------------------------------------------------------

TAME = [
    "ag.sin({a})", "ag.tanh({a})", "ag.cos({a} + {b})", "{a} * {b}", "{a} + {b}", "{a} - {b}", "{a} * {k}", "{a} + {k}",
    "{k} - {a}", "{a} / (1.5 + {b} * {b})", "ag.sigmoid({a})", "ag.exp(-{a} * {a})", "ag.atan({a} * {b})",
    "ag.sqrt(1.0 + {a} ** 2)", "ag.log(2.0 + {a} * {a})", "ag.softplus({a})", "ag.log1p({a} ** 2)", "-{a}",
    "{a} * {a}", "{k} / (2.0 + ag.cos({a}))",
]  # fmt: skip
"""Smooth, of numbers of everyday size."""
WILD = [
    "ag.relu({a})", "abs({a})", "ag.maximum({a}, {b})", "ag.minimum({a}, {k})", "ag.clamp({a}, -1.0, 1.0)", "{a} % 1.7",
    "{a} // 0.8", "ag.floor({a})", "ag.round({a}, 1)", "ag.where({a} > {b}, {a}, {b})",
    "ag.where(ag.greater({a}, {b}), {b}, {a})",
    "ag.hypot({a}, {b})", "ag.logaddexp({a}, {b})", "ag.erf({a})", "ag.gelu({a})", "ag.silu({a})", "ag.elu({a})",
    "ag.leaky_relu({a})", "ag.lgamma(1.5 + {a} * {a})", "ag.digamma(1.5 + {a} * {a})",
    "ag.polygamma(1, 1.0 + {a} * {a})",
    "ag.ndtr({a})", "ag.log_ndtr({a})", "ag.ndtri(ag.sigmoid({a}))", "ag.erfinv(0.9 * ag.tanh({a}))", "ag.sinc({a})",
    "ag.xlogy({a} * {a}, 1.0 + {b} * {b})", "ag.xlog1py({a}, {b} * {b})", "ag.atan2({a}, {b} + 2.5)", "{a} ** 3",
    "{a} ** 2.0",
    "(1.0 + {a} * {a}) ** {b}", "(1.0 + {a} ** 2) ** 0.5", "(1.5 + {b} * {b}) ** -1", "2.0 ** {a}", "ag.cbrt({a})",
    "ag.sum([{a}, {b}, {k}])", "ag.prod([{a}, {b}])",
    "ag.mean([{a}, {b}, {k}])", "ag.max([{a}, {b}])", "ag.min([{a}, {b}, {k}])", "ag.norm([{a}, {b}, {k}])",
    "ag.logsumexp([{a}, {b}])", "ag.softmax([{a}, {b}, {k}])[1]", "ag.log_softmax([{a}, {b}])[0]",
    "ag.dot([{a}, {b}], [{b}, {k}])",
    "ag.dot([{a}, {k}], [{b}, {a}], bias={b})", "sum([{a}, {b}])", "ag.heaviside({a}, 0.5)", "ag.sign({a}) * {b}",
    "ag.log_sigmoid({a})", "ag.asinh({a})", "ag.acosh(1.5 + {a} * {a})", "ag.expm1({a} * 0.5)",
    "ag.logit(ag.sigmoid({a}))",
    "ag.exp2({a})", "ag.degrees({a}) * 0.01", "ag.radians({a})", "{a} * ag.equal({b}, {b})", "ag.less({a}, {b}) * {a}",
    "ag.asin(0.9 * ag.sin({a}))",
    "ag.atanh(0.9 * ag.tanh({a}))", "ag.tan(ag.atan({a}))", "ag.erfc({a})", "ag.trunc({a}) + {b}", "ag.rint({a})",
    "ag.ceil({a})",
    "ag.remainder({a}, 0.7)", "divmod({a}, 1.3)[1]", "ag.cosh({a} * 0.5)", "ag.sinh({a} * 0.5)", "round({a}, 1) + {b}",
    "ag.log2(1.5 + {a} * {a})", "ag.log10(1.5 + {a} * {a})",
]  # fmt: skip
LITERALS = [0.5, 1.5, -0.5, 2.0, 0.25, -1.0, 1.0, 3.0, 0.75]


def literal(rng: random.Random) -> str:
    return repr(rng.choice(LITERALS) if rng.randrange(3) else round(rng.uniform(-2.0, 2.0), 3))


def expression(rng: random.Random, names: Sequence[str], wild: float = 0.3, depth: int = 1) -> str:
    """An expression in some names."""

    def operand() -> str:
        if depth > 1 and rng.random() < 0.35:
            return f"({expression(rng, names, wild, depth - 1)})"
        return rng.choice(names[-5:] if rng.random() < 0.5 else names)

    return rng.choice(WILD if rng.random() < wild else TAME).format(a=operand(), b=operand(), k=literal(rng))


def number(rng: random.Random) -> float:
    """A number of everyday size, one in four of those that hit kinks."""
    return rng.choice((0.0, 1.0, -1.0, 0.5, 2.0, -0.5)) if rng.randrange(4) == 0 else rng.uniform(-2.0, 2.0)


def points(rng: random.Random, n: int, count: int = 3) -> list[list[float]]:
    """Points: the first anywhere, the others anywhere or near it."""
    first = [number(rng) for _ in range(n)]
    return [
        first,
        *([x + rng.uniform(-0.1, 0.1) if rng.randrange(2) else number(rng) for x in first] for _ in range(count - 1)),
    ]


class Lines:
    """Source in the making, with the names of the numbers that are known."""

    def __init__(self, rng: random.Random, names: Sequence[str], wild: float = 0.3) -> None:
        self.rng, self.names, self.wild = rng, list(names), wild
        self.text: list[str] = []
        self.indent = 1
        self.made = 0

    def add(self, line: str) -> None:
        self.text.append("    " * self.indent + line)

    def new(self, prefix: str = "t") -> str:
        self.made += 1
        return f"{prefix}{self.made}"

    def expression(self, depth: int = 1) -> str:
        return expression(self.rng, self.names, self.wild, depth)

    def let(self, text: str | None = None) -> str:
        name = self.new()
        self.add(f"{name} = {text or self.expression(2)}")
        self.names.append(name)
        return name

    def pick(self) -> str:
        return self.rng.choice(self.names)

    def source(self, result: str, head: str = "def f(x):") -> str:
        return "\n".join([head, *self.text, f"    return {result}", ""])


def of_list(rng: random.Random, most: int = 4) -> tuple[int, list[str]]:
    n = rng.randint(1, most)
    return n, [f"x[{i}]" for i in range(n)]


def total(rng: random.Random, names: Sequence[str]) -> str:
    some = rng.sample(list(names), min(len(names), rng.randint(1, 4)))
    return rng.choice(["ag.sum([{}])", "sum([{}])", "ag.logsumexp([{}])"]).format(", ".join([names[-1], *some]))


# --- functions within functions ---------------------------------------------------------------------------------


def closures(rng: random.Random) -> Text:
    n, names = of_list(rng)
    w = Lines(rng, names)
    for _ in range(rng.randint(2, 6)):
        rng.choice(CLOSURES)(w)
    result = total(rng, w.names)
    head = "from functools import partial, reduce\n\n\ndef f(x):"
    return Text(w.source(result, head), [n] * 3, points(rng, n))


def _def(w: Lines) -> None:
    g, captured = w.new("g"), w.pick()
    body = expression(w.rng, ["a", "b", captured], w.wild, 2)
    w.add(f"def {g}(a, b={literal(w.rng)}):")
    w.add(f"    inner = {expression(w.rng, ['a', 'b'], w.wild)}")
    w.add("    def deeper(c):")
    w.add(f"        return {expression(w.rng, ['c', 'inner', captured], w.wild)}")
    w.add(f"    return deeper({body})")
    w.let(f"{g}({w.pick()}, {w.pick()})")
    w.let(f"{g}({w.pick()})")


def _lambdas(w: Lines) -> None:
    g = w.new("g")
    bodies = ", ".join(f"lambda a: {expression(w.rng, ['a', w.pick()], w.wild)}" for _ in range(w.rng.randint(2, 4)))
    w.add(f"{g} = [{bodies}]")
    w.let(f"reduce(lambda a, h: h(a), {g}, {w.pick()})")
    w.let(f"ag.sum([h({w.pick()}) for h in {g}])")


def _partial(w: Lines) -> None:
    body = expression(w.rng, ["a", "b"], w.wild, 2)
    w.let(f"partial(lambda a, b: {body}, {w.pick()})({w.pick()})")


def _recursion(w: Lines) -> None:
    g = w.new("g")
    w.add(f"def {g}(n, a):")
    w.add(f"    return a if n == 0 else {g}(n - 1, {expression(w.rng, ['a', w.pick()], w.wild)})")
    w.let(f"{g}({w.rng.randint(1, 5)}, {w.pick()})")


def _class(w: Lines) -> None:
    g = w.new("G")
    w.add(f"class {g}:")
    w.add("    def __init__(self, a):")
    w.add(f"        self.a, self.seen = a, [{w.pick()}]")
    w.add("    def __call__(self, b):")
    w.add("        self.seen.append(b)")
    w.add(f"        return {expression(w.rng, ['self.a', 'b', 'self.seen[0]'], w.wild)}")
    w.add("    @property")
    w.add("    def size(self):")
    w.add("        return ag.sum(self.seen)")
    name = w.new("g")
    w.add(f"{name} = {g}({w.pick()})")
    w.let(f"{name}({w.pick()})")
    w.let(f"{name}({w.pick()}) + {name}.size")


def _generator(w: Lines) -> None:
    g = w.new("g")
    w.add(f"def {g}(a):")
    w.add(f"    for _ in range({w.rng.randint(1, 5)}):")
    w.add(f"        a = {expression(w.rng, ['a', w.pick()], w.wild)}")
    w.add("        yield a")
    w.let(f"ag.sum([y * y for y in {g}({w.pick()})])")


def _nonlocal(w: Lines) -> None:
    g, t = w.new("g"), w.new("s")
    w.add(f"{t} = {w.pick()}")
    w.add(f"def {g}(a):")
    w.add(f"    nonlocal {t}")
    w.add(f"    {t} = {expression(w.rng, [t, 'a'], w.wild)}")
    w.add(f"    return {t}")
    w.add(f"for y in ({w.pick()}, {w.pick()}):")
    w.add(f"    {g}(y)")
    w.let(f"{t} + {w.pick()}")


def _table(w: Lines) -> None:
    bodies = ", ".join(f"{key!r}: lambda a, b: {expression(w.rng, ['a', 'b'], w.wild)}" for key in "pq")
    w.let(f"(lambda d: d['p']({w.pick()}, d['q']({w.pick()}, {w.pick()})))({{{bodies}}})")


def _stars(w: Lines) -> None:
    g = w.new("g")
    w.add(f"def {g}(*xs, scale={literal(w.rng)}, **more):")
    w.add("    return ag.sum([scale * a for a in xs]) * more.get('by', 1.0)")
    w.let(f"{g}({w.pick()}, {w.pick()}, by={w.pick()})")
    w.let(f"{g}(*[{w.pick()}, {w.pick()}], scale={w.pick()})")


def _plain(w: Lines) -> None:
    w.let()


CLOSURES = [_def, _lambdas, _partial, _recursion, _class, _generator, _nonlocal, _table, _stars, _plain, _plain]


# --- control flow -----------------------------------------------------------------------------------------------


def condition(w: Lines) -> str:
    rng = w.rng
    a, b, k = w.pick(), w.pick(), literal(rng)
    return rng.choice([
        f"{a} > {k}", f"{a} < {b}", f"{a} >= {b}", f"{a} <= {k}", f"{a} == {k}", f"{a} != {b}", f"{k} < {a}",
        f"not {a}", f"{a}",
        f"-1.0 < {a} < 1.0", f"{a} > 0 and {b} > 0", f"{a} > 0 or {b} < {k}", f"{a} in (0.0, 1.0, {k})",
        f"max({a}, {b}) > {k}",
        f"any(y > 1.0 for y in [{a}, {b}])", f"all(y > -1.0 for y in [{a}, {b}])", f"abs({a}) < 0.5",
        f"[{a}, {b}] < [{b}, {k}]",
        f"[{a}, 1.0].count({k}) > 0", f"({a}, {b}) == ({b}, {a})",
    ])  # fmt: skip


def flow(rng: random.Random) -> Text:
    n, names = of_list(rng)
    w = Lines(rng, names, 0.2)
    w.let()
    for _ in range(rng.randint(2, 5)):
        rng.choice(FLOWS)(w)
    return Text(w.source(total(rng, w.names)), [n] * 5, points(rng, n, 5))


def _if(w: Lines) -> None:
    name = w.new()
    w.add(f"if {condition(w)}:")
    w.add(f"    {name} = {w.expression(2)}")
    if w.rng.randrange(2):
        w.add(f"elif {condition(w)}:")
        w.add(f"    {name} = {w.rng.choice([w.expression(), literal(w.rng)])}")
    w.add("else:")
    w.add(f"    {name} = {w.expression(2)}")
    w.names.append(name)


def _while(w: Lines) -> None:
    name, count = w.new(), w.new("n")
    a, limit = w.pick(), w.rng.choice(["0.5", "1.0", "0.1"])
    w.add(f"{name}, {count} = {a}, 0")
    w.add(f"while abs({name}) > {limit} and {count} < {w.rng.randint(3, 12)}:")
    w.add(
        f"    {name} = {name} * {w.rng.choice(['0.5', '-0.7', '0.9'])} + "
        f"{w.rng.choice(['0.0', '0.01', w.pick() + ' * 0.1'])}"
    )
    w.add(f"    {count} += 1")
    w.names.append(name)
    if w.rng.randrange(2):
        w.let(f"{name} * {count} + {w.pick()}")


def _halve(w: Lines) -> None:
    """Exactly: the loop ends at 1."""
    name = w.new()
    w.add(f"{name} = ag.round({w.pick()}) * 8.0")
    w.add(f"while {name} != 1.0 and {name} > 0.01:")
    w.add(f"    {name} = {name} / 2")
    w.names.append(name)


def _return(w: Lines) -> None:
    w.add(f"if {condition(w)}:")
    w.add(f"    return {w.expression(2)}")


def _for(w: Lines) -> None:
    name = w.new()
    items = ", ".join(w.pick() for _ in range(w.rng.randint(2, 4)))
    w.add(f"{name} = {w.pick()}")
    w.add(f"for i, y in enumerate([{items}]):")
    w.add(f"    if y > {literal(w.rng)}:")
    w.add(f"        {w.rng.choice(['break', 'continue'])}")
    w.add(f"    {name} = {expression(w.rng, [name, 'y'], 0.2)} + i")
    w.add("else:")
    w.add(f"    {name} = {name} * {literal(w.rng)}")
    w.names.append(name)


def _builtin(w: Lines) -> None:
    a, b, c = (w.pick() for _ in range(3))
    w.let(w.rng.choice([
        f"max({a}, {b})", f"min([{a}, {b}, {c}])", f"sorted([{a}, {b}, {c}])[1]",
        f"sorted([{a}, {b}, {c}], key=lambda y: -y)[0]",
        f"max([{a}, {b}, {c}], key=abs)", f"({a} or {b})", f"({a} and {b})", f"({a} if {condition(w)} else {b})",
        f"ag.sum([y for y in [{a}, {b}, {c}] if y > 0.0])",
        f"ag.sum([y * i for i, y in enumerate(sorted([{a}, {b}, {c}]))])",
        f"[{a}, {b}][{a} > {b}]", f"(1.0 if {a} == 0 else ag.sin({a}) / {a})", f"sum(y > 0 for y in [{a}, {b}]) * {c}",
        f"[{a}, {b}, {c}].index(max([{a}, {b}, {c}])) * {b}",
    ]))  # fmt: skip


def _match(w: Lines) -> None:
    name = w.new()
    w.add(f"match {w.pick()}:")
    w.add("    case 0.0 | 1.0:")
    w.add(f"        {name} = {w.expression()}")
    w.add("    case y if y > 0:")
    w.add(f"        {name} = {w.expression()} + y")
    w.add("    case _:")
    w.add(f"        {name} = {w.expression()}")
    w.names.append(name)


FLOWS = [_if, _if, _while, _halve, _return, _for, _builtin, _builtin, _match, _plain]


# --- arrays -------------------------------------------------------------------------------------------------------

VECTORS = [
    "np.exp(-{u} * {u})", "np.sin({u})", "np.tanh({u} + {v})", "{u} * {v}", "{u} + {k}", "{k} - {u}",
    "{u} / (1.5 + {v} ** 2)", "{u} ** 3",
    "np.sqrt(1.0 + {u} * {u})", "np.log1p({u} ** 2)", "np.maximum({u}, {v})", "np.minimum({u}, {k})", "np.abs({u})",
    "np.arctan2({u}, {v} + 2.5)",
    "np.hypot({u}, 1.5)", "np.logaddexp({u}, {v})", "np.where({u} > {v}, {u}, {k})",
    "np.where({u} > 0, np.sqrt(np.abs({u}) + 1.0), {v})",
    "np.clip({u}, -1.0, 1.0)", "{u}[::-1]", "np.roll({u}, 1)", "np.flip({u})", "np.concatenate([{u}[1:], {v}[:1]])",
    "np.cumsum({u})", "np.mod({u}, 0.8)",
    "np.floor({u}) + {v}", "np.sinc({u})", "np.square({u})", "ag.sigmoid({u})", "ag.softplus({u})", "ag.erf({u})",
    "ag.relu({u} - {v})", "ag.gelu({u})",
    "np.arctan({u})", "np.expm1({u} * 0.5)", "np.cosh({u} * 0.5)", "np.reciprocal(2.0 + np.cos({u}))", "np.sort({u})",
    "np.outer({u}, {v})[0]",
    "np.outer({u}, {v}).sum(axis=1)", "np.gradient({u})", "{u} - np.mean({u})", "{u} / np.sum({v} * {v} + 1.0)",
    "np.max(np.stack([{u}, {v}]), axis=0)",
    "np.stack([{u}, {v}]).T[:, 0]", "ag.array([{u}[0], *{v}[1:]])", "np.diag(np.outer({u}, {v}))",
    "np.repeat({u}, 2)[::2]", "np.tile({u}, 2)[: len({u})]",
    "np.convolve({u}, {v}, 'full')[: len({u})]", "np.outer({u}, {v}) @ {u}", "np.tril(np.outer({u}, {v})) @ {v}",
    "np.kron({u}, {v})[: len({u})]",
    "np.append({u}[:-1], 0.5)", "np.exp2({u})", "np.cbrt({u})", "np.trunc({u}) * {v}", "np.heaviside({u}, 0.5) * {v}",
    "np.float64(2.0) * {u}",
    "2.0 ** {u}", "{u} % 0.7", "{u} // 0.7 + {v}", "np.pad({u}, 1)[1:-1]", "np.insert({u}, 0, 0.5)[: len({u})]",
    "{u} - {u}[0]", "{u} * {u}.sum()",
    "{u}[np.argsort({v})]", "np.rint({u}) + {v}", "np.radians({u})", "np.cumprod({u} * 0.5)",
]  # fmt: skip
SCALARS = [
    "np.sum({u})", "{u}.sum()", "np.mean({u})", "np.prod({u})", "np.max({u})", "np.min({u})", "{u} @ {v}",
    "np.dot({u}, {v})", "np.var({u})",
    "np.std({u} + np.arange(len({u})) * 3.0)", "np.trace(np.outer({u}, {v}))", "np.median({u})",
    "np.linalg.norm({u} + 2.0)", "np.sum(np.outer({u}, {v}))",
    "np.average({u}, weights={v} * {v} + 0.5)", "np.ptp({u})", "np.sum({u}[1:] - {u}[:-1])",
    "np.sum(np.diff({u}) ** 2)", "np.inner({u}, {v})",
    "np.sum(np.where({u} > 0, {u}, 0.0))", "np.einsum('i,i', {u}, {v})", "ag.logsumexp({u})", "ag.dot({u}, {v})",
    "ag.norm({u})", "ag.sum({u} * {v})",
    "np.vdot({u}, {v})", "np.sum(ag.array(ag.softmax({u})) * {v})", "{u}[0] * {v}[-1]",
    "np.sum({u}, keepdims=True)[0]", "np.mean(np.stack([{u}, {v}]), axis=0)[0]",
    "np.linalg.det(np.outer({u}[:2], {v}[:2]) + np.eye(2) * 3.0)",
    "np.sum(np.linalg.solve(np.outer({u}[:2], {v}[:2]) + np.eye(2) * 9.0, {v}[:2]))",
]  # fmt: skip


def arrays(rng: random.Random) -> Text:
    n = rng.randint(2, 5)
    w = Lines(rng, [])
    vectors = ["x"]
    form: Form = ("array", (n,))
    if rng.randrange(3) == 0:
        form = ("array", (2, n))
        w.add("A = x @ x.T")
        w.add("y, x = x[1], x[0] * A[0, 1]")
        vectors = ["x", "y"]
    for _ in range(rng.randint(1, 5)):
        name = w.new("u")
        w.add(f"{name} = {rng.choice(VECTORS).format(u=rng.choice(vectors), v=rng.choice(vectors), k=literal(rng))}")
        vectors.append(name)
    for _ in range(rng.randint(1, 3)):
        w.let(rng.choice(SCALARS).format(u=rng.choice(vectors[-2:]), v=rng.choice(vectors)))
    size = n if form[1] == (n,) else 2 * n
    return Text(w.source(" + ".join(w.names)), [form] * 3, points(rng, size))


# --- linear algebra -----------------------------------------------------------------------------------------------


def algebra(rng: random.Random) -> Text:
    n, names = of_list(rng, 5)
    w = Lines(rng, names, 0.15)
    size, arrays = rng.randint(1, 4), rng.randrange(2)
    for _ in range(rng.randint(0, 2)):
        w.let()
    dominant = rng.randrange(3)

    def entry(i: int, j: int) -> str:
        text = rng.choice([w.pick(), w.pick(), f"{w.pick()} * {literal(rng)}", literal(rng), "0.0"])
        return f"{text} + {float(size + 1)}" if i == j and dominant else text

    rows = ", ".join("[" + ", ".join(entry(i, j) for j in range(size)) + "]" for i in range(size))
    right = "[" + ", ".join(w.pick() for _ in range(size)) + "]"
    w.add(f"A = {'ag.array' if arrays else ''}([{rows}])")
    w.add(f"b = {'ag.array' if arrays else ''}({right})")
    w.add("B = [[ag.dot(p, q) + (1.5 if p is q else 0.0) for q in R] for R in [[list(y) for y in A]] for p in R]")
    for _ in range(rng.randint(1, 3)):
        rng.choice(ALGEBRA)(w, size, bool(arrays))
    return Text(w.source(total(rng, w.names)), [n] * 3, points(rng, n))


def _solve(w: Lines, size: int, arrays: bool) -> None:
    name = w.new("s")
    w.add(f"{name} = ag.linalg.solve(A, {w.rng.choice(['b', 'A' if arrays else 'b'])})")
    w.let(f"np.sum(ag.array({name}) * 0.5)")


def _inv(w: Lines, size: int, arrays: bool) -> None:
    name = w.new("s")
    w.add(f"{name} = ag.linalg.inv({w.rng.choice(['A', 'B'])})")
    w.let(f"{name}[0][{size - 1}] + ag.dot(list({name}[0]), list(b))")


def _det(w: Lines, size: int, arrays: bool) -> None:
    w.let(f"ag.linalg.det({w.rng.choice(['A', 'B'])})")


def _slogdet(w: Lines, size: int, arrays: bool) -> None:
    w.let("ag.linalg.slogdet(B)[1]")
    w.let("ag.linalg.slogdet(A)[0] * b[0]")


def _cholesky(w: Lines, size: int, arrays: bool) -> None:
    name = w.new("s")
    w.add(f"{name} = ag.linalg.cholesky(B)")
    w.let(f"ag.sum([{name}[i][0] * {name}[i][i] for i in range({size})])")


def _lstsq(w: Lines, size: int, arrays: bool) -> None:
    name = w.new("s")
    w.add(f"{name} = ag.linalg.lstsq(B, b)[0]")
    w.let(f"{name}[0] * 2.0")


def _power(w: Lines, size: int, arrays: bool) -> None:
    w.let(f"ag.linalg.matrix_power(A, {w.rng.choice([2, 3, -1])})[{size - 1}][0]")


def _norm(w: Lines, size: int, arrays: bool) -> None:
    w.let("ag.linalg.norm(b) + ag.linalg.norm(A)")


ALGEBRA = [_solve, _solve, _inv, _det, _det, _slogdet, _cholesky, _lstsq, _power, _norm]


# --- derivatives inside -------------------------------------------------------------------------------------------

CARRIED = ["ag.sin({a})", "ag.exp({a} * 0.3)", "ag.tanh({a})", "{a} * {b}", "{a} + {b}", "{a} * {a}",
           "{a} / (2.0 + {b} * {b})", "ag.log(2.0 + {a} * {a})",
           "ag.sqrt(1.5 + {a} * {a})", "{a} ** 3", "ag.cos({a}) * {b}", "ag.atan({a})", "ag.sigmoid({a})",
           "ag.softplus({a} * {b})", "{a} - {k}", "{k} * {a}"]  # fmt: skip


def derivatives(rng: random.Random) -> Text:
    n, names = of_list(rng, 3)
    w = Lines(rng, names, 0.0)

    def inner(known: Sequence[str], depth: int = 2) -> str:
        def operand() -> str:
            return f"({inner(known, depth - 1)})" if depth > 1 and rng.randrange(2) else rng.choice(known)

        return rng.choice(CARRIED).format(a=operand(), b=operand(), k=literal(rng))

    for _ in range(rng.randint(1, 3)):
        kind = rng.randrange(7)
        p, q = w.pick(), w.pick()
        if kind == 0:
            w.let(f"ag.grad(lambda u: {inner(['u', p, 'u'])})({q})")
        elif kind == 1:
            w.let(f"ag.grad(lambda u: u * ag.grad(lambda v: {inner(['v', 'u', p, 'v'])})({q}))({p})")
        elif kind == 2:
            w.let(f"ag.jvp(lambda u: {inner(['u', p, 'u'])}, ({q},), (1.5,))[1]")
        elif kind == 3:
            name = w.new("s")
            w.add(f"{name} = ag.grad(lambda u: {inner(['u[0]', 'u[1]', p, 'u[0]'])})([{p}, {q}])")
            w.let(f"ag.sum([y * y for y in {name}])")
        elif kind == 4:
            w.let(f"ag.grad(ag.grad(lambda u: {inner(['u', p, 'u'], 3)}))({q})")
        elif kind == 5:
            name = w.new("s")
            w.add(f"{name} = ag.value_and_grad(lambda u: {inner(['u', 'u', p])})({q})")
            w.let(f"{name}[0] * {name}[1]")
        else:
            w.let(f"({q} - ag.grad(lambda u: {inner(['u', p, 'u'])})({q}) * 0.1)")
        w.let(inner(w.names))
    return Text(w.source(f"ag.sum([{', '.join(w.names[-3:])}])"), [n] * 3, points(rng, n), nested=True)


# --- recurrences --------------------------------------------------------------------------------------------------

STEPS = [
    "ag.tanh({s} * {w} + {y})", "ag.sin({s} * {w}) + {y} * 0.5", "{s} * 0.5 + {y} * {w}",
    "{s} + 0.1 * (ag.sin({w}) - {s})", "ag.sigmoid({s} - {y}) * {w}",
    "0.9 * {s} + 0.1 * {y} * {y}", "ag.where(ag.greater({y}, 0.0), {s} * 0.5, {s} * {w} * 0.3)",
    "ag.maximum({s} * 0.9, {y})", "{s} - 0.05 * ({s} - {y}) * ({w} + 1.5)",
    "ag.logaddexp({s}, {y}) * 0.5", "ag.exp(-{s} * {s}) * {w}", "{s} / (1.5 + {y} * {y})",
    "ag.sqrt(1.0 + {s} * {s}) * 0.5", "{s} * 0.7 + {r} * 0.2", "ag.tanh({r} + {s})",
    "ag.relu({s} * {w} + {y} - 0.1)", "ag.dot([{s}, {r}], [{w}, 0.3])", "ag.softmax([{s}, {y}, {r}])[0]",
    "ag.logsumexp([{s}, {y}]) * 0.3", "ag.clamp({s} + {y}, -1.0, 1.0)",
    "ag.atan({s} * {w} + {r})", "abs({s}) * 0.5 + {y}", "{s} * {s} * 0.3 + {w}", "ag.erf({s}) + 0.1 * {y}",
    "0.5 * {s} + 0.25 * {p}",
]  # fmt: skip
TERMS = [
    "{s} * {s}",
    "({s} - {y}) ** 2",
    "ag.sin({s}) * {y}",
    "{s}",
    "ag.log(1.5 + {s} * {s})",
    "ag.softplus({s} - {y})",
]


def loops(rng: random.Random) -> Text:
    """x is {"w": parameters, "y": a sequence}, or a list of both; the points have sequences of different lengths."""
    weights, states = rng.randint(1, 4), rng.randint(1, 3)
    names = [f"s{i}" for i in range(states)]
    w = Lines(rng, [])
    in_dict = rng.randrange(2)
    w.add("w, ys = x['w'], x['y']" if in_dict else f"w, ys = x[:{weights}], x[{weights}:]")
    for i, name in enumerate(names):
        w.add(f"{name} = {rng.choice([f'w[{i % weights}]', '0.0', literal(rng), f'w[{i % weights}] * 0.5'])}")
    w.add(f"total, before = {rng.choice(['0.0', 'w[0]'])}, [{names[0]}] * 2")
    kind = rng.randrange(8)
    order = rng.choice(["ys", "ys", "ys[::-1]", "list(ys)"])
    w.add(f"for t, y in enumerate({order}):")
    w.indent += 1

    def step(name: str) -> str:
        return rng.choice(STEPS).format(
            s=name, w=f"w[{rng.randrange(weights)}]", y="y", r=rng.choice(names), p="before[-2]"
        )

    if rng.randrange(2):
        w.add(", ".join(names) + " = " + ", ".join(map(step, names)))
    else:
        for name in names:
            w.add(f"{name} = {step(name)}")
    if kind == 0:
        w.add("for _ in range(3):")
        w.add(
            f"    {names[0]} = "
            + rng.choice(["ag.sin({s}) + {y} * 0.1", "{s} - ({s} ** 3 - {y}) * 0.1", "{s} * 0.5 + 0.1"]).format(
                s=names[0], y="y"
            )
        )
    if kind == 1:
        w.add(f"if t % {rng.randint(2, 4)} == {rng.randrange(2)}:")
        w.add(f"    {names[-1]} = {step(names[-1])}")
    w.add(f"before.append({names[0]})")
    term = rng.choice(TERMS).format(s=rng.choice(names), y="y")
    if kind == 2:
        w.add(f"if t % 5 == 4:\n            total = total + {term}")
    elif kind != 3:
        w.add(f"total = total + {term}")
    w.indent -= 1
    if kind == 4:
        w.add("r = before[-1]")
        w.add("for b in reversed(before):")
        w.add("    r = ag.tanh(r * 0.5 + b)")
        w.add("    total = total + r * w[0]")
    if kind == 5:
        w.add("total = total + ag.max(before) + ag.logsumexp(before)")
    if kind == 6:
        w.add("total = total + ag.dot(before[1:], before[:-1]) * 0.1")
    if kind == 7:
        w.add("h = list(before[-3:])")
        w.add("for y in ys:")
        w.add("    h = [ag.tanh(h[i - 1] * w[0] + h[i] * 0.5 + y) for i in range(3)]")
        w.add("total = total + ag.sum(h)")
    source = w.source(" + ".join(["total", *names]))
    lengths = [rng.choice([9, 12, 17, 24]), rng.choice([8, 13, 20, 33]), rng.choice([1, 2, 5, 10, 40])]
    lengths += [lengths[0]]
    forms: list[Form] = [{"w": weights, "y": n} if in_dict else weights + n for n in lengths]
    return Text(source, forms, [[rng.uniform(-1.2, 1.2) for _ in range(weights + n)] for n in lengths])


# --- containers and what is static ----------------------------------------------------------------------------------


def containers(rng: random.Random) -> Text:
    w = Lines(rng, [])
    count = 0

    def form(place: str, depth: int) -> Form:
        nonlocal count
        kind = rng.randrange(8 if depth else 3)
        if kind <= 1:
            count += 1
            w.names.append(place)
            return "number"
        if kind == 2:
            n = rng.randint(1, 3)
            count += n
            w.names.extend(f"{place}[{i}]" for i in range(n))
            return ("array", (n,)) if rng.randrange(2) else n
        if kind == 3:
            return {
                key: form(f"{place}[{key!r}]", depth - 1) for key in rng.sample(["b", "a", "c", "w"], rng.randint(1, 3))
            }
        if kind == 4:
            return Pair(form(f"{place}.a", depth - 1), form(f"{place}.b", depth - 1))
        if kind == 5:
            return Two(form(f"{place}.first", depth - 1), form(f"{place}.second", depth - 1))
        if kind == 6:
            count += 4
            w.names.extend(f"{place}[{i}, {j}]" for i in range(2) for j in range(2))
            return ("array", (2, 2))
        parts = [form(f"{place}[{i}]", depth - 1) for i in range(rng.randint(1, 3))]
        return parts if rng.randrange(2) else tuple(parts)

    made = form("x", 3)
    for _ in range(rng.randint(1, 5)):
        w.let()
    return Text(w.source(total(rng, w.names)), [made] * 3, points(rng, count))


# --- constants that change ----------------------------------------------------------------------------------------

SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, 2.0, -1.0, 5e-324, 1e308]


def constants(rng: random.Random) -> Text:
    """f captures the Values c[0], c[1], ...: some equal at first, others later."""
    n, names = of_list(rng, 3)
    k = rng.randint(2, 4)
    w = Lines(rng, [*names, *(f"c[{i}]" for i in range(k))])
    for i in range(rng.randint(2, 6)):
        w.let(rng.choice([
            f"c[{i % k}] * {rng.choice(names)}", f"{rng.choice(names)} + c[{i % k}]",
            f"{rng.choice(names)} ** c[{i % k}]", f"c[{i % k}] ** {rng.choice(names)}",
            f"{rng.choice(names)} / c[{i % k}]", f"c[{i % k}] - c[{(i + 1) % k}]",
            f"ag.maximum({rng.choice(names)}, c[{i % k}])", None, None, None,
            f"ag.where(ag.greater({rng.choice(names)}, c[{i % k}]), {rng.choice(names)}, c[{(i + 1) % k}])",
            f"ag.dot(c, [{', '.join(rng.choice(names) for _ in range(k))}])",
            f"ag.sum([c[{i % k}], {rng.choice(names)}, c[{(i + 1) % k}]])",
            f"ag.atan2({rng.choice(names)}, c[{i % k}])", f"c[{i % k}] * c[{(i + 1) % k}] * {rng.choice(names)}",
        ]))  # fmt: skip
    calls = 5
    equal = number(rng)
    captured = [[equal] * k if rng.randrange(2) else [rng.choice([equal, number(rng)]) for _ in range(k)]]
    for _ in range(calls - 1):
        special = rng.randrange(3) == 0
        captured.append(
            [
                rng.choice(SPECIAL) if special and rng.randrange(2) else rng.choice([equal, number(rng)])
                for _ in range(k)
            ]
        )
    return Text(w.source(total(rng, w.names)), [n] * calls, points(rng, n, calls), captured=captured)


GENERATORS: dict[str, Callable[[random.Random], Text]] = {
    "closures": closures, "flow": flow, "arrays": arrays, "algebra": algebra, "derivatives": derivatives,
    "loops": loops,
    "containers": containers, "constants": constants,
}  # fmt: skip
