"""The oracle's texts by JAX in float64, against the package: a second opinion on values and derivatives.

    python -m tools.oracle_jax --programs 500 --seed 1      # needs JAX beside the package

JAX's functions have their own rounding, so numbers are compared to 1e-9 of what they are made of; what it is for are
conventions and rules: kinks, ties, NaN, branches. Where the two differ for a reason that is known the program is
counted under that reason (`REASONS`), else it is printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("JAX_ENABLE_X64", "1")

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special
from tqdm import tqdm

import autograd_lite as ag
from tools import oracle
from tools.oracle_texts import Text, filled, flat

KINDS = ["straight", "closures", "flow", "containers", "loops", "algebra", "arrays"]

OTHER_NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
               "atanh": "arctanh", "atan2": "arctan2", "remainder": "mod", "div": "divide"}  # fmt: skip
NEURAL = {"sigmoid", "log_sigmoid", "softplus", "relu", "leaky_relu", "elu", "silu"}
SPECIAL = {"erf", "erfc", "erfinv", "ndtr", "log_ndtr", "ndtri", "digamma", "polygamma", "logit", "xlogy", "xlog1py"}
COMPARISONS = {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"}


class Jax:
    """What `ag` is in a text that JAX runs."""

    linalg: Any

    def __init__(self) -> None:
        self.linalg = _Algebra()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in NEURAL:
            return getattr(jax.nn, name)  # type: ignore[no-any-return]
        if name in SPECIAL:
            return getattr(special, name)  # type: ignore[no-any-return]
        if name in COMPARISONS:
            return lambda a, b: jnp.where(getattr(jnp, name)(a, b), 1.0, 0.0)
        if name in ("sum", "prod", "mean", "max", "min"):
            return lambda xs: getattr(jnp, name)(_stacked(xs))
        return getattr(jnp, OTHER_NAMES.get(name, name))  # type: ignore[no-any-return]

    def gelu(self, x: Any) -> Any:
        return jax.nn.gelu(x, approximate=False)

    def lgamma(self, x: Any) -> Any:
        return special.gammaln(x)

    def clamp(self, x: Any, low: Any, high: Any) -> Any:
        return jnp.minimum(jnp.maximum(x, low), high)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return jnp.where(jnp.asarray(condition) != 0, a, b)

    def array(self, xs: Any) -> Any:
        return _stacked(xs)

    def norm(self, xs: Any) -> Any:
        return jnp.linalg.norm(_stacked(xs))

    def logsumexp(self, xs: Any) -> Any:
        return special.logsumexp(_stacked(xs))

    def softmax(self, xs: Any) -> Any:
        return jax.nn.softmax(_stacked(xs))

    def log_softmax(self, xs: Any) -> Any:
        return jax.nn.log_softmax(_stacked(xs))

    def dot(self, xs: Any, ys: Any, bias: Any = 0.0) -> Any:
        return jnp.dot(_stacked(xs), _stacked(ys)) + bias


class _Algebra:
    """`ag.linalg`: jax.numpy.linalg, on nested lists too."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *xs: getattr(jnp.linalg, name)(*(_stacked(x) if isinstance(x, (list, tuple)) else x for x in xs))


def _stacked(xs: Any) -> Any:
    return jnp.array([_stacked(x) if isinstance(x, (list, tuple)) else x for x in xs], float)


REASONS = {
    r"ag\.(sqrt|cbrt|hypot|norm|log\w*|xlog\w*|pow|acosh|asin|acos|atanh|logit|ndtri|erfinv)|\*\*|/|norm":
        "an infinite slope meets a 0: JAX multiplies them, which is NaN; here an adjoint of 0 contributes 0",
    r"%|//|mod|remainder|divmod|floor_divide": "a division by 0 with remainder, the slope of // and % in the divisor",
    r"abs|relu|clamp|clip|maximum|minimum|max|min|sort|elu|sign|heaviside|round|rint|floor|ceil|trunc":
        "a kink that is hit: the one-sided slope of least size here, JAX's own choice there",
    r"lgamma|digamma|polygamma|sinc": "a pole, or a series of another length in JAX",
}  # fmt: skip
"""Why JAX's derivatives may differ, by what a text must have in it. Only where one of the two is not
finite, or where the point hits a kink: moved by a part in a million all coordinates must agree."""


def by_package(text: Text, point: Sequence[float], v: Sequence[float]) -> list[list[float]]:
    """Value and gradient, and the Hessian times v."""
    space: dict[str, Any] = {"ag": ag, "np": np}
    exec(text.source, space)
    form = text.forms[0]
    x = filled(form, iter(point))
    value, gradient = ag.value_and_grad(space["f"])(x)
    product = ag.hvp(space["f"], x, filled(form, iter(v)))
    return [[float(value), *map(float, flat(form, gradient))], [float(y) for y in flat(form, product)]]


def by_jax(text: Text, point: Sequence[float], v: Sequence[float]) -> list[list[float]]:
    """The same by JAX, in which the numbers are a flat vector."""
    space: dict[str, Any] = {"ag": Jax(), "np": jnp}
    exec(text.source, space)

    def f(numbers: Any) -> Any:
        return jnp.asarray(space["f"](filled(text.forms[0], iter(numbers), jnp.array)), float).reshape(())

    given, along = jnp.array(point, float), jnp.array(v, float)
    value, gradient = jax.value_and_grad(f)(given)
    _, product = jax.jvp(jax.grad(f), (given,), (along,))
    return [[float(value), *map(float, gradient)], [float(y) for y in product]]


def differs(mine: Sequence[float], theirs: Sequence[float]) -> bool:
    """Whether one number of several is another one."""
    sizes = [abs(x) for x in (*mine, *theirs) if math.isfinite(x)]
    near = 1e-9 * max(1.0, *sizes) if sizes else 0.0
    return any(not (a == b or (a != a and b != b) or abs(a - b) <= near) for a, b in zip(mine, theirs, strict=True))


def judge(text: Text, point: Sequence[float], v: Sequence[float]) -> str:
    """ "same", a known reason why not, or "" where none is known."""
    mine, theirs = by_package(text, point, v), by_jax(text, point, v)
    if not any(map(differs, mine, theirs)):
        return "same"
    known = [why for pattern, why in REASONS.items() if re.search(pattern, text.source)]
    if known and not all(math.isfinite(x) for part in (*mine, *theirs) for x in part):
        return known[0]
    moved = [x + 1e-6 * (1.0 + abs(x)) * (1.0 + 0.1 * k) for k, x in enumerate(point)]
    if known and not any(map(differs, by_package(text, moved, v), by_jax(text, moved, v))):
        return known[-1] if len(known) == 1 else next((why for why in known if "kink" in why), known[0])
    return ""


def run(kind: str, seeds: range, seed: int) -> tuple[Counter[str], list[str]]:
    """How the programs of a kind compare, and those that differ for no reason that is known."""
    found: Counter[str] = Counter()
    shown: list[str] = []
    for k in seeds:
        rng = random.Random(f"{kind} {seed} {k}")
        text = oracle.KINDS[kind](rng)
        point = text.points[0]
        v = [rng.choice((1.0, -1.0, 0.5, 2.0)) for _ in point]
        try:
            why = judge(text, point, v)
        except np.linalg.LinAlgError:
            why = "a singular matrix is refused here, JAX gives infinities"
        except (TypeError, NotImplementedError, ValueError, AttributeError) as error:
            why = f"JAX does not run it: {type(error).__name__}: {str(error).splitlines()[0][:60]}"
        found[why or "UNKNOWN"] += 1
        if not why:
            mine, theirs = by_package(text, point, v), by_jax(text, point, v)
            shown.append(f"program {k} of seed {seed}, {kind}, at {point}, v = {v}\n{text}\nhere {mine}\nJAX  {theirs}")
    return found, shown


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.oracle_jax", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kind", nargs="*", choices=[[], *KINDS], default=[], help="which kinds; all by default")
    parser.add_argument("--programs", type=int, default=100, help="how many of each kind")
    parser.add_argument("--seed", type=int, default=0, help="which programs")
    options = parser.parse_args()
    total: Counter[str] = Counter()
    unknown: list[str] = []
    try:
        for kind in options.kind or KINDS:
            for k in tqdm(range(options.programs), desc=kind, disable=None):
                found, shown = run(kind, range(k, k + 1), options.seed)
                total += found
                unknown += shown
    except KeyboardInterrupt:
        print("interrupted: of the programs run so far")
    for why, count in total.most_common():
        print(f"{count:>8,}  {why}")
    print("\n\n".join(unknown[:10]))
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
