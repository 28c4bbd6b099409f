"""An independent oracle: random programs, run in every mode of the package and compared with 50-digit arithmetic.

    python -m tools.oracle --programs 2000 --seed 1         eager reverse, forward and the mixed second orders
    python -m tools.oracle --programs 2000 --fold           every program folded and compiled too
    python -m tools.oracle --programs 2000 --fold 200       the first 200 of them
    python -m tools.oracle --fold 200 --backend jax         ... on JAX
    python -m tools.oracle loops --programs 2000            recurrences as Python text, in the ways of oracle_ways.py
    python -m tools.oracle mixed --results FILE             every kind of oracle_texts.py; goes on where FILE ends

Without a kind a program is some leaves and 1 to 60 steps over all public primitives: diamonds, shared leaves, `x op
x`, dead branches, kinks hit on purpose. What it is worth, and how far floats may be off, comes from
tools/oracle_truth.py. Each mode is held against the truth within its bound, so any two modes agree within the sum
of theirs. Nothing is passed over because results differ; what cannot be judged is counted, with its reason. A
program with an index and a seed is always the same one: `--start K --programs 1` shows it again. The exit code is 1
if a number is over its bound.
"""

from __future__ import annotations

import argparse
import json
import math
import operator
import os
import platform
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import autograd_lite as ag
from autograd_lite.folding.backends import BACKENDS, why_not
from tools import oracle_ways
from tools.oracle_texts import GENERATORS, Text
from tools.oracle_truth import EAGER, FOLDED, TINY, Evaluated, Known, Skip, mp, ratio, reached

# --- programs -----------------------------------------------------------------------------------------------

Step = tuple[str, "float | None", tuple[Any, ...]]
"""(primitive, a number that belongs to it or None, operands: the number of a node, or a float as a literal)."""

OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "pow": operator.pow,
    "neg": operator.neg, "abs": operator.abs, "mod": operator.mod, "floor_divide": operator.floordiv,
}  # fmt: skip
SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "mod": "%", "floor_divide": "//"}
SETTINGS: dict[str, Callable[..., Any]] = {
    "polygamma": lambda n, x: (n, x),
    "round": lambda n, x: (x, n),
}
"""Primitives of one operand and a whole number: the order of the two."""


def apply(op: str, extra: float | None, xs: Sequence[Any]) -> Any:
    """A step by the package."""
    if op in OPERATORS:
        return OPERATORS[op](*xs)
    if op == "power":
        return xs[0] ** extra
    if op == "exponential":
        return extra ** xs[0]
    if op == "dot":
        n = len(xs) // 2
        return ag.dot(xs[:n], xs[n : 2 * n], bias=xs[-1] if len(xs) % 2 else None)
    if op in SETTINGS:
        return getattr(ag, op)(*SETTINGS[op](int(extra), xs[0]))
    function = getattr(ag, op)
    if op in ("softmax", "log_softmax"):
        return function(xs)[int(extra)]
    return function(xs) if op in SEQUENCES else function(*xs)


@dataclass
class Program:
    """A scalar program: the numbers of its leaves, its steps, and which node is the result."""

    leaves: list[float]
    steps: list[Step]
    root: int

    def __call__(self, xs: Sequence[Any]) -> Any:
        """Run it by the package on Values or whatever it takes."""
        nodes = list(xs)
        for op, extra, names in self.steps:
            nodes.append(apply(op, extra, [x if type(x) is float else nodes[x] for x in names]))
        return nodes[self.root]

    def at(self, leaves: Sequence[float]) -> Evaluated:
        """The truth at other numbers; Skip if it is not known there."""
        found = Evaluated(leaves)
        live = reached(self.root, len(leaves), [names for _, _, names in self.steps])
        for k, (op, extra, names) in enumerate(self.steps, len(leaves)):
            if not live[k]:
                found.add_dead()
                continue
            node = found.step(op, extra, names)
            found.add(node, found.error(node, found.errors, EAGER))
        return found

    def __str__(self) -> str:
        """Python that makes it, to paste into a test."""
        lines = [f"v{k} = ag.Value({x!r})" for k, x in enumerate(self.leaves)]
        return "\n".join([*lines, *self.lines(), f"result = v{self.root}"])

    def lines(self) -> list[str]:
        """Its steps as Python."""
        lines = []
        for k, (op, extra, names) in enumerate(self.steps, len(self.leaves)):
            xs = [repr(x) if type(x) is float else f"v{x}" for x in names]
            if op in SIGNS:
                text = f"{xs[0]} {SIGNS[op]} {xs[1]}"
            elif op == "neg":
                text = f"-{xs[0]}"
            elif op == "power":
                text = f"{xs[0]} ** {extra!r}"
            elif op == "exponential":
                text = f"{extra!r} ** {xs[0]}"
            elif op in SETTINGS:
                text = f"ag.{op}({', '.join(map(str, SETTINGS[op](int(extra), xs[0])))})"
            elif op == "dot":
                n = len(xs) // 2
                bias = f", bias={xs[-1]}" if len(xs) % 2 else ""
                text = f"ag.dot([{', '.join(xs[:n])}], [{', '.join(xs[n : 2 * n])}]{bias})"
            elif op in SEQUENCES:
                text = f"ag.{op}([{', '.join(xs)}])" + (f"[{int(extra)}]" if extra is not None else "")
            else:
                text = f"ag.{op}({', '.join(xs)})"
            lines.append(f"v{k} = {text}")
        return lines


# --- drawing one --------------------------------------------------------------------------------------------

SMOOTH = [
    "exp", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sigmoid", "log_sigmoid", "softplus", "silu", "gelu",
    "erf", "erfc", "ndtr", "log_ndtr", "ndtri", "erfinv", "lgamma", "digamma", "sinc", "logit", "exp2", "degrees",
    "radians",
]  # fmt: skip
BENT = ["relu", "leaky_relu", "elu", "abs", "sign", "floor", "ceil", "neg", "trunc", "rint"]
ARITHMETIC = ["add", "sub", "mul", "div"]
PAIRS = [
    "pow",
    "atan2",
    "hypot",
    "logaddexp",
    "maximum",
    "minimum",
    "mod",
    "floor_divide",
    "heaviside",
    "xlogy",
    "xlog1py",
]
COMPARISONS = ["greater", "greater_equal", "less", "less_equal", "equal", "not_equal"]
SEQUENCES = ["sum", "prod", "mean", "max", "min", "norm", "logsumexp", "softmax", "log_softmax", "dot"]
FAMILIES = [*[SMOOTH] * 10, *[ARITHMETIC] * 9, *[BENT] * 3, *[PAIRS] * 3, *[SEQUENCES] * 5, COMPARISONS, ["power"],
            ["power"], ["exponential"], ["where"], ["where"], ["clamp"], [*SETTINGS]]  # fmt: skip
"""An operation is drawn by family first, so that arithmetic is common and each of many functions is rare."""

DOMAINS = {
    "log": (0.0, math.inf), "log2": (0.0, math.inf), "log10": (0.0, math.inf), "log1p": (-1.0, math.inf),
    "sqrt": (0.0, math.inf), "asin": (-1.0, 1.0), "acos": (-1.0, 1.0), "acosh": (1.0, math.inf), "atanh": (-1.0, 1.0),
    "pow": (0.0, math.inf), "exp": (-100.0, 12.0), "expm1": (-100.0, 12.0), "sinh": (-12.0, 12.0),
    "cosh": (-12.0, 12.0), "exponential": (-9.0, 9.0), "exp2": (-100.0, 16.0),
    "ndtri": (0.0, 1.0), "erfinv": (-1.0, 1.0),
    "logit": (0.0, 1.0),
    "lgamma": (0.0, 100.0), "digamma": (0.0, 100.0), "polygamma": (0.0, 100.0), "log_ndtr": (-30.0, 30.0),
    "xlogy": (-10.0, 10.0), "xlog1py": (-10.0, 10.0),
}  # fmt: skip
"""Where the first operand of a step is mostly taken from: the domain, and less where the result would be huge."""

NICE = [0.0, 0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 0.25, 1.5, 3.0, -3.0]
"""Numbers whose sums and products are exact, so that kinks and ties are hit."""
POWERS = [2.0, 2.0, 3.0, -1.0, -2.0, 0.5, 1.5, -0.5, 1.0, 0.0, 4.0, 1.0 / 3.0]
TRIES = 12


def leaf(rng: random.Random) -> float:
    kind = rng.randrange(100)
    if kind < 35:
        return rng.choice(NICE)
    if kind < 80:
        return rng.uniform(-3.0, 3.0)
    if kind < 92:
        return rng.choice((-1.0, 1.0)) * 10.0 ** rng.uniform(-3.0, 3.0)
    if kind < 98:
        return rng.choice((40.0, -40.0, 1e-8, -1e-8, 15.0, 700.0, -700.0, 1e-160, 1e160, 0.0))
    return math.nan if kind == 99 and rng.randrange(3) == 0 else rng.uniform(-30.0, 30.0)


def length(rng: random.Random) -> int:
    """1 to 60 steps: mostly up to 25, 9 in the mean."""
    kind = rng.randrange(100)
    low, high = (1, 8) if kind < 60 else (6, 18) if kind < 92 else (18, 30) if kind < 98 else (30, 60)
    return rng.randint(low, high)


def draw(rng: random.Random) -> tuple[Program, Evaluated, Counter[str]]:
    """A program, what is known of its steps, and why steps were drawn again.

    A step whose operands would leave a decision open, or whose result would be far from everyday size, is
    drawn again: this chooses inputs, before any of them has been run.
    """
    leaves = [leaf(rng) for _ in range(rng.randint(1, 5))]
    exact, steps, again = Evaluated(leaves), [], Counter()
    for _ in range(length(rng)):
        for _ in range(TRIES):
            step = draw_step(rng, exact)
            if step is None:
                continue
            try:
                node = exact.step(*step)
                error = exact.error(node, exact.errors, EAGER)
                exact.error(node, exact.errors, FOLDED)
            except Skip as reason:
                again[str(reason)] += 1
                continue
            if not node.f < 1e5 and rng.randrange(8 if node.f != node.f else 50):
                continue
            exact.add(node, error)
            steps.append(step)
            break
    program = Program(leaves, steps, len(leaves) + len(steps) - 1)
    if len(steps) > 1 and rng.randrange(3) == 0:
        gather(rng, program, exact)
    return program, exact, again


def gather(rng: random.Random, program: Program, exact: Evaluated) -> None:
    """Make the sum of what nobody uses the result, if that can be judged."""
    used = {x for _, _, names in program.steps for x in names if type(x) is not float}
    loose = [k for k in range(len(exact.values)) if k not in used][:8]
    step: Step = ("sum", None, tuple(loose))
    try:
        node = exact.step(*step)
        error = exact.error(node, exact.errors, EAGER)
    except Skip:
        return
    exact.add(node, error)
    program.steps.append(step)
    program.root = len(exact.values) - 1


def operand(rng: random.Random, exact: Evaluated, literals: bool = False) -> Any:
    """A node, mostly a recent one; or a literal."""
    n = len(exact.values)
    if literals and rng.randrange(5) == 0:
        return rng.choice(NICE) if rng.randrange(2) else rng.uniform(-3.0, 3.0)
    return rng.randrange(max(0, n - 4), n) if rng.randrange(2) else rng.randrange(n)


def draw_step(rng: random.Random, exact: Evaluated) -> Step | None:
    """A step on what is there; None if it would leave the domain (one in thirty does all the same)."""
    op = rng.choice(rng.choice(FAMILIES))
    x = operand(rng, exact)
    low, high = DOMAINS.get(op, (-math.inf, math.inf))
    if not low <= exact.values[x] <= high and rng.randrange(30):
        return None
    extra, names = None, (x,)
    if op in ARITHMETIC or op in PAIRS or op in COMPARISONS:
        y = x if rng.randrange(12) == 0 else operand(rng, exact, literals=True)
        swap = op != "pow" and rng.randrange(4) == 0
        names = (y, x) if swap else (x, y)
    elif op in ("leaky_relu", "elu") and rng.randrange(3) == 0:
        names = (x, operand(rng, exact, literals=True))
    elif op == "power":
        extra = rng.choice(POWERS)
        if not float(extra).is_integer() and exact.values[x] < 0 and rng.randrange(30):
            return None
    elif op == "exponential":
        extra = rng.choice((2.0, 0.5, 10.0, 1.0, 0.3))
    elif op in SETTINGS:
        extra = float(rng.randrange(3))
    elif op == "where":
        names = (x, operand(rng, exact, literals=True), operand(rng, exact, literals=True))
    elif op == "clamp":
        bounds = sorted((rng.choice(NICE), rng.uniform(-2.0, 2.0)))
        names = (x, *(operand(rng, exact) if rng.randrange(6) == 0 else bound for bound in bounds))
    elif op in SEQUENCES:
        size = rng.randint(1, 4)
        names = (x, *(operand(rng, exact, literals=True) for _ in range(size - 1)))
        if op == "dot":
            others = tuple(operand(rng, exact, literals=True) for _ in range(size))
            names = names + others + ((operand(rng, exact, literals=True),) if rng.randrange(2) else ())
        elif op in ("softmax", "log_softmax"):
            extra = float(rng.randrange(size))
    return op, extra, names


# --- comparing ------------------------------------------------------------------------------------------------


MODES = [
    "value", "backward", "gradients", "value_and_grad", "gradients as a graph", "jvp (forward)",
    "second order, reverse over reverse", "second order, forward over reverse (hvp)",
    "second order, reverse over forward", "second order, forward over forward", "second order, hessian",
    "compile", "compile, batch", "fold", "fold of the gradient graph", "fold, second order",
    "fold, fed with other numbers", "fold, second order, fed with other numbers",
]  # fmt: skip
"""What is compared, in the order of the tally."""


@dataclass
class Tally:
    """What a run has seen."""

    programs: int = 0
    folded: int = 0
    steps: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    worst: dict[str, float] = field(default_factory=dict)
    loose: int = 0
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    over: int = 0
    looped: int = 0
    """Programs that ran with a loop over steps."""
    backends: tuple[str, ...] = tuple(name for name in ("numpy", "native") if not why_not(name))
    """On which a program is folded."""

    def add(self, other: Tally) -> None:
        self.programs, self.folded = self.programs + other.programs, self.folded + other.folded
        self.steps, self.looped = self.steps + other.steps, self.looped + other.looped
        for mine, theirs in ((self.compared, other.compared), (self.skipped, other.skipped), (self.again, other.again),
                             (self.operations, other.operations)):  # fmt: skip
            mine.update(theirs)
        for mode, off in other.worst.items():
            self.worst[mode] = max(self.worst.get(mode, 0.0), off)
        self.loose, self.over = self.loose + other.loose, self.over + other.over
        self.failures += other.failures[: max(0, SHOWN - len(self.failures))]

    def __str__(self) -> str:
        total = sum(self.compared.values())
        mean = self.steps / max(self.programs, 1)
        modes = [mode for mode in MODES if self.compared[mode]] + sorted(self.compared.keys() - set(MODES))
        lines = [
            f"programs {self.programs:,} of {mean:.1f} steps; folded {self.folded:,}, with loops {self.looped:,}",
            f"numbers compared {total:,}; over their bound {self.over:,}; bound wider than 1e-6 of them {self.loose:,}",
            "",
            f"{'mode':<52}{'numbers':>12}{'worst error / bound':>22}",
            *(f"{mode:<52}{self.compared[mode]:>12,}{self.worst.get(mode, 0.0):>22.3f}" for mode in modes),
            "",
            f"{'could not be judged':<30}{'why':<62}{'programs':>10}{'share':>8}",
        ]
        for (what, why), count in sorted(self.skipped.items()):
            share = count / max(self.folded if "fold" in what or "other" in what else self.programs, 1)
            lines.append(f"{what:<30}{why:<62}{count:>10,}{share:>8.2%}")
        lines += ["", "steps drawn again before anything was run: "]
        lines[-1] += ", ".join(f"{why} {count:,}" for why, count in self.again.most_common())
        rarest = min(self.operations.items(), key=lambda item: item[1], default=("", 0))
        lines += [f"primitives used: {len(self.operations)}, the rarest {rarest[0]} {rarest[1]:,} times"]
        return "\n".join(lines)

    def as_text(self) -> str:
        """As one line of JSON."""
        found = {name: getattr(self, name) for name in KEPT}
        return json.dumps(found | {"skipped": [[*key, n] for key, n in self.skipped.items()]})

    @classmethod
    def of_text(cls, line: str) -> Tally:
        found = cls()
        for name, x in json.loads(line).items():
            if name == "skipped":
                found.skipped.update({(what, why): n for what, why, n in x})
            elif name in KEPT:
                setattr(found, name, type(getattr(found, name))(x))
        return found


KEPT = [
    "programs",
    "folded",
    "steps",
    "looped",
    "compared",
    "worst",
    "loose",
    "again",
    "operations",
    "failures",
    "over",
]


SHOWN = 10
"""So many programs that fail are kept in full."""


class Case:
    """A program under comparison: what was found goes into the tally."""

    def __init__(self, program: Program, tally: Tally, label: str) -> None:
        self.program, self.tally, self.label = program, tally, label
        self.failures: list[str] = []
        self.backend = ""
        """Which one runs, of a program that is folded."""
        self.point = program.leaves
        self.judged: dict[Any, float] = {}
        """error / bound of what was compared before: most modes give the same bits."""

    def fail(self, what: str) -> None:
        what = f"{what}, on {self.backend}" if self.backend else what
        self.failures.append(what if self.point is self.program.leaves else f"{what}, at {self.point}")
        self.tally.over += 1

    def attempt(self, mode: Callable[..., None], *arguments: Any) -> None:
        """Run some modes; that one raises is a failure like another."""
        try:
            mode(self, *arguments)
        except Exception as error:
            self.fail(f"{mode.__name__}: raised {type(error).__name__}: {error}")

    def compare(self, mode: str, got: Any, true: Any, bound: float) -> None:
        """One number against the truth, or a list of them."""
        if isinstance(true, list):
            bounds = bound if isinstance(bound, list) else [bound] * len(true)
            for one, exact, limit in zip(got, true, bounds, strict=True):
                self.compare(mode, one, exact, limit)
            return
        got = got.item() if isinstance(got, ag.Value) else float(got)
        self.tally.compared[mode] += 1
        key = got, true._mpf_, bound
        off = self.judged.get(key)
        if off is None:
            off = self.judged[key] = ratio(got, true, bound)
        if off < 0.0:
            self.tally.skipped[mode, "the bound is not finite"] += 1
            return
        if bound > 1e-6 * abs(true) and bound > 1e-12:
            self.tally.loose += 1
        self.tally.worst[mode] = max(self.tally.worst.get(mode, 0.0), off)
        if off > 1.0:
            self.fail(f"{mode}: got {got!r}, true {mp.nstr(true, 20)}, bound {bound:.3g}, error / bound {off:.4g}")


def check(program: Program, exact: Evaluated, rng: random.Random, tally: Tally, fold: bool, label: str) -> bool:
    """Run a program in every mode and compare; whether all was within its bound."""
    case = Case(program, tally, label)
    tally.programs += 1
    tally.steps += len(program.steps)
    tally.operations.update(op for op, _, _ in program.steps)
    n = len(program.leaves)
    j = rng.randrange(n)
    unit = rng.randrange(2) == 0
    direction = (
        [float(i == j) for i in range(n)] if unit else [rng.choice((1.0, -1.0, 0.5, 2.0, 0.0)) for _ in range(n)]
    )
    case.attempt(value, exact)
    try:
        known = exact.known(program.root, direction)
    except Skip as reason:
        tally.skipped["program", str(reason)] += 1
    else:
        case.attempt(eager, known, direction, j if unit else None)
    if fold:
        tally.folded += 1
        try:
            known = exact.known(program.root, direction, FOLDED)
        except Skip as reason:
            tally.skipped["folded", str(reason)] += 1
        else:
            rows = [other_row(program, direction, rng, tally) for _ in range(3)]
            case.attempt(folded, known, direction, [row for row in rows if row is not None])
    if case.failures and len(tally.failures) < SHOWN:
        tally.failures.append("\n".join([label, *case.failures, str(program)]))
    return not case.failures


def value(case: Case, exact: Evaluated) -> None:
    """The value, which can be judged for every program."""
    root = case.program.root
    y = case.program([ag.Value(x) for x in case.program.leaves])
    case.compare("value", y, exact.values[root], exact.errors[root])


def eager(case: Case, known: Known, direction: list[float], j: int | None) -> None:
    """The scalar engine: reverse, forward, and second orders of every mixture."""
    program, leaves = case.program, case.program.leaves
    xs = [ag.Value(x) for x in leaves]
    y = program(xs)
    y.backward()
    case.compare("backward", [x.grad for x in xs], known.gradient, known.gradient_bound)
    case.compare("gradients", ag.gradients(y, xs), known.gradient, known.gradient_bound)
    value, gradient = ag.value_and_grad(program)(leaves)
    case.compare("value_and_grad", [value, *gradient], [known.value, *known.gradient],
                 [known.value_bound, *known.gradient_bound])  # fmt: skip
    if known.tangent is not None:
        _, tangent = ag.jvp(program, leaves, direction)
        case.compare("jvp (forward)", tangent, known.tangent, known.tangent_bound)
    graphs = ag.gradients(y, xs, create_graph=True)
    case.compare("gradients as a graph", graphs, known.gradient, known.gradient_bound)
    if known.product is None:
        case.tally.skipped["second order", known.why_no_product] += 1
        return
    along = graphs[j] if j is not None else ag.dot(graphs, direction)
    case.compare("second order, reverse over reverse", ag.gradients(along, xs), known.product, known.product_bound)
    case.compare("second order, forward over reverse (hvp)", ag.hvp(program, leaves, direction), known.product,
                 known.product_bound)  # fmt: skip
    mixed = ag.grad(lambda point: ag.jvp(program, point, direction)[1])(leaves)
    case.compare("second order, reverse over forward", mixed, known.product, known.product_bound)
    curvature = ag.jvp(lambda point: ag.jvp(program, point, direction)[1], leaves, direction)[1]
    case.compare("second order, forward over forward", curvature, known.curvature, known.curvature_bound)
    if j is not None and len(leaves) <= 3:
        matrix = ag.hessian(program)(np.array(leaves))
        case.compare("second order, hessian", list(matrix[:, j]), known.product, known.product_bound)


Row = tuple[list[float], Known]


def other(rng: random.Random, x: float) -> float:
    """Another number for a leaf: the same, one near it, or any."""
    kind = rng.randrange(4)
    return x if kind == 0 else x + rng.uniform(-0.5, 0.5) if kind < 3 else leaf(rng)


def other_row(program: Program, direction: list[float], rng: random.Random, tally: Tally) -> Row | None:
    """The truth of the same program at other numbers; None if it is not known."""
    point = [other(rng, x) for x in program.leaves]
    try:
        return point, program.at(point).known(program.root, direction, FOLDED)
    except Skip as reason:
        tally.skipped["other rows of a fold", str(reason)] += 1
        return None


def folded(case: Case, known: Known, direction: list[float], others: list[Row]) -> None:
    """The same program as array instructions: at its own numbers, at others, and over a batch; on every backend."""
    for name in case.tally.backends:
        case.backend = name
        on_backend(case, known, direction, others, name)
    case.backend = ""


def on_backend(case: Case, known: Known, direction: list[float], others: list[Row], name: str) -> None:
    """The same program on one backend."""
    program, leaves, tally = case.program, case.program.leaves, case.tally
    both, bounds = [known.value, *known.gradient], [known.value_bound, *known.gradient_bound]
    value, gradient = ag.compile(program, backend=name).value_and_grad(leaves)
    case.compare("compile", [value, *gradient], both, bounds)
    xs = [ag.Value(x) for x in leaves]
    y = program(xs)
    value, gradient = ag.fold(y, params=xs, backend=name).loss_and_grad(leaves)
    case.compare("fold", [value, *gradient], both, bounds)
    fed = ag.fold(y, inputs=[xs], backend=name)
    graphs = ag.gradients(y, xs, create_graph=True)
    again = ag.fold(graphs, params=xs, backend=name)()
    case.compare("fold of the gradient graph", again, known.gradient, known.gradient_bound)
    second = ag.fold(ag.dot(graphs, direction), inputs=[xs], backend=name)
    if known.product is None:
        tally.skipped["fold, second order", known.why_no_product] += 1
    else:
        _, product = second.value_and_grad(leaves)
        case.compare("fold, second order", list(product), known.product, known.product_bound)
    for point, there in others:
        case.point = point
        value, gradient = fed.value_and_grad(point)
        case.compare("fold, fed with other numbers", [value, *gradient], [there.value, *there.gradient],
                     [there.value_bound, *there.gradient_bound])  # fmt: skip
        if there.product is not None and known.product is not None:
            _, product = second.value_and_grad(point)
            case.compare(
                "fold, second order, fed with other numbers", list(product), there.product, there.product_bound
            )
    case.point = leaves
    batch(case, [(leaves, known), *others], name)


def batch(case: Case, rows: list[tuple[list[float], Known]], name: str) -> None:
    """The rows as one batch: the mean of their values, and each row's gradient of that mean."""
    n = len(rows)
    compiled = ag.compile(case.program, batch=True, backend=name)
    value, gradient = compiled.value_and_grad(np.array([point for point, _ in rows]))
    sizes = sum(abs(float(known.value)) for _, known in rows)
    bound = sum(known.value_bound for _, known in rows) / n + 2.0**-52 * sizes + TINY
    case.compare("compile, batch", value, sum(known.value for _, known in rows) / n, bound)
    for row, (_, known) in zip(gradient, rows, strict=True):
        bounds = [
            b / n + 2.0**-51 * abs(float(g)) + TINY for b, g in zip(known.gradient_bound, known.gradient, strict=True)
        ]
        case.compare("compile, batch", list(row), [g / n for g in known.gradient], bounds)


# --- running many ---------------------------------------------------------------------------------------------


def run(seeds: range, seed: int, fold: int, tally: Tally | None = None, backends: Sequence[str] = ()) -> Tally:
    """The programs of these numbers, the first `fold` of all folded too, on these backends."""
    tally = Tally() if tally is None else tally
    tally.backends = tuple(backends) or tally.backends
    for k in seeds:
        rng = random.Random(seed * 1_000_000_007 + k)
        program, exact, again = draw(rng)
        tally.again.update(again)
        check(program, exact, rng, tally, k < fold, f"program {k} of seed {seed}")
    return tally


def straight(rng: random.Random) -> Text:
    """A program of `draw` as text, at its own numbers and at others."""
    program, _, _ = draw(rng)
    lines = [f"v{k} = x[{k}]" for k in range(len(program.leaves))] + program.lines()
    source = "\n    ".join(["def f(x):", *lines, f"return v{program.root}"]) + "\n"
    points = [program.leaves, *([other(rng, x) for x in program.leaves] for _ in range(2))]
    return Text(source, [len(program.leaves)] * 3, points)


KINDS = {"straight": straight, **GENERATORS}
EAGER_A_POINT, COMPILED_A_PROGRAM = 3, 4
"""How many of the ways are taken: eager ones at each of two points; compiled ones beside those at every point."""


def run_texts(
    seeds: range,
    seed: int,
    kind: str,
    tally: Tally | None = None,
    variants: Sequence[str] = (),
    fold: int = sys.maxsize,
) -> Tally:
    """Programs of a kind of Python text, or of all kinds in turn; each compiled in one of the variants.

    Args:
        seeds, seed: which programs.
        kind: of KINDS, or "mixed".
        tally: where to add what is found.
        variants: names in oracle_ways.VARIANTS; all that can run here if there are none.
        fold: only the first of them, this many, are compiled.
    """
    tally = Tally() if tally is None else tally
    where = list(variants) or oracle_ways.available()
    for k in seeds:
        one = [*KINDS][k % len(KINDS)] if kind == "mixed" else kind
        rng = random.Random(f"{one} {seed} {k}")
        label = f"program {k} of seed {seed}, {one}"
        text = KINDS[one](rng)
        trial = oracle_ways.Trial(text, rng, tally, one, label)
        tally.programs += 1
        tally.operations.update({op for truth in trial.truths if truth for op in truth.book.operations})
        tally.steps += max((len(truth.book.values) for truth in trial.truths if truth), default=0)
        for why in trial.whys:
            if why:
                tally.skipped[f"{one}: a point", why] += 1
        tally.folded += k < fold
        oracle_ways.check(trial, [rng.choice(where)] if k < fold else [], COMPILED_A_PROGRAM, EAGER_A_POINT)
        tally.looped += trial.looped
        if trial.failures and len(tally.failures) < SHOWN:
            tally.failures.append("\n".join([label, *trial.failures[:SHOWN], str(text)]))
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: see the top of this file."""
    parser = argparse.ArgumentParser(prog="python -m tools.oracle", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "kind",
        nargs="?",
        default="",
        choices=["", "mixed", *KINDS],
        metavar="KIND",
        help=f"of Python text: mixed, {', '.join(KINDS)}; without one, programs of steps in every mode",
    )
    parser.add_argument("--programs", "--count", type=int, default=2000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="which programs")
    parser.add_argument("--start", type=int, default=0, help="the number of the first, to see one again")
    parser.add_argument(
        "--fold",
        type=int,
        nargs="?",
        const=sys.maxsize,
        metavar="N",
        help="fold and compile them too; with a number, the first N of them (of text all are)",
    )
    parser.add_argument(
        "--variant",
        action="append",
        choices=[*oracle_ways.VARIANTS],
        metavar="NAME",
        help="where programs of text run, may be repeated; by default everywhere in turn",
    )
    parser.add_argument("--results", type=Path, metavar="FILE",
                        help="append what is found to this file, and go on where it ends")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, help="how many processes")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument(
        "--backend",
        action="append",
        choices=[*BACKENDS],
        metavar="NAME",
        help="where the folded ones run, may be repeated; by default on NumPy and as native code",
    )
    options = parser.parse_args(arguments)
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    options.fold = (sys.maxsize if options.kind else 0) if options.fold is None else options.fold
    size = 10 if options.kind else 50
    stop = options.start + options.programs
    chunks = [range(k, min(k + size, stop)) for k in range(options.start, stop, size)]
    tally, known = Tally(), before(options)
    for chunk in chunks:
        if key(options, chunk) in known:
            tally.add(known[key(options, chunk)])
    left = [chunk for chunk in chunks if key(options, chunk) not in known]
    interrupted = False
    bar = tqdm(total=options.programs, initial=tally.programs, unit=" programs", smoothing=0.05,
               disable=options.quiet or None)  # fmt: skip
    try:
        for chunk, found in zip(left, results(left, options), strict=True):
            tally.add(found)
            if options.results:
                with options.results.open("a") as file:
                    file.write(f"{key(options, chunk)}\t{found.as_text()}\n")
            bar.update(len(chunk))
            bar.set_postfix_str(f"over bound {tally.over}", refresh=False)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        bar.close()
    fold = {0: "", sys.maxsize: "" if options.kind else " --fold"}.get(options.fold, f" --fold {options.fold}")
    kind = f" {options.kind}" if options.kind else ""
    print(f"python -m tools.oracle{kind} --programs {options.programs} --seed {options.seed}{fold}")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}\n")
    print(tally)
    for failure in tally.failures:
        print(f"\nOVER THE BOUND: {failure}")
    if interrupted:
        print("\ninterrupted: the tally is of the programs run so far")
        return 130
    return 1 if tally.over else 0


def key(options: argparse.Namespace, chunk: range) -> str:
    """What a line of the file of results is of."""
    where = ",".join(options.variant or options.backend or [])
    return (
        f"{options.kind or 'steps'} {options.seed} {chunk.start}-{chunk.stop} {min(options.fold, chunk.stop)} {where}"
    )


def before(options: argparse.Namespace) -> dict[str, Tally]:
    """The tallies that are in the file of results."""
    if options.results is None or not options.results.exists():
        return {}
    text = options.results.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:  # cut short in the middle of a line
        options.results.write_text(whole, encoding="utf-8")
    lines = [line.partition("\t") for line in whole.splitlines()]
    return {name: Tally.of_text(found) for name, _, found in lines}


def results(chunks: Sequence[range], options: argparse.Namespace) -> Any:
    """The tallies of the chunks in order, from this process or several."""
    if options.kind:
        some = partial(run_texts, kind=options.kind, variants=options.variant or (), fold=options.fold)
        more: list[Any] = []
    else:
        some, more = partial(run, backends=options.backend) if options.backend else run, [options.fold]
    if options.jobs == 1:
        for chunk in chunks:
            yield some(chunk, options.seed, *more)
        return
    pool = ProcessPoolExecutor(options.jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        n = len(chunks)
        yield from pool.map(some, chunks, [options.seed] * n, *([x] * n for x in more))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


if __name__ == "__main__":
    sys.exit(main())
