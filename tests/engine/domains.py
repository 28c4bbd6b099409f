"""What each primitive is, in mpmath, and points of its domain: what tests/engine/test_table.py compares the table with.

A new primitive needs one line in DEFINITIONS; its derivatives are taken from that line by differences
in high precision, never from the row's own rules.
"""

import math
import random
from functools import lru_cache
from itertools import product
from statistics import NormalDist

from mpmath import mp, mpf

from autograd_lite.engine.value import Value

inf = math.inf


def positive(a):
    return 1 if a > 0 else 0


def erfc(a):
    if abs(a) < 35:
        return mp.erfc(a)
    return mpf(0 if a > 0 else 2)  # to the precision of floats; mpmath takes forever there


def density(a):
    return mp.exp(-a * a / 2) / mp.sqrt(2 * mp.pi)


def hazard(a):
    """The normal density over the distribution function; far out by its asymptotic series."""
    if a > -60:
        return density(a) / (mp.erfc(-a / mp.sqrt(2)) / 2)
    with mp.workdps(60):
        rest = -a
        for k in range(80, 1, -1):
            rest = -a + k / rest
    return -a + 1 / rest


def quantile(p):
    """The inverse of the normal distribution function."""
    if p > mpf(1) / 2:
        return -quantile(1 - p)
    start = mpf(NormalDist().inv_cdf(max(float(p), 1e-300))) if p > 1e-300 else -mp.sqrt(-2 * mp.log(p))
    for _ in range(60):  # Newton's method on the logarithm, which is nearly a parabola
        step = (mp.log(mp.erfc(-start / mp.sqrt(2)) / 2) - mp.log(p)) / hazard(start)
        start -= step
        if abs(step) < mpf(10) ** (3 - mp.dps) * max(1, abs(start)):
            break
    return start


def log_gamma(a):
    if a > 0:
        return mp.loggamma(a)
    if a == mp.floor(a):
        return mp.inf
    return mp.log(mp.pi / abs(mp.sinpi(a))) - mp.loggamma(1 - a)


def polygamma(n, a):
    n = int(mp.nint(n))
    if a == 0:
        return mp.inf if n % 2 else -mp.inf
    return mp.psi(n, a) if a > 0 or a != mp.floor(a) else mp.nan


DEFINITIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b if b else mp.nan,
    "neg": lambda a: -a,
    "pow": lambda a, b: mp.exp(b * mp.log(a)),
    "exp": mp.exp,
    "expm1": mp.expm1,
    "log": mp.log,
    "log2": lambda a: mp.log(a) / mp.log(2),
    "log10": lambda a: mp.log(a) / mp.log(10),
    "log1p": mp.log1p,
    "sqrt": mp.sqrt,
    "cbrt": lambda a: mp.sign(a) * mp.cbrt(abs(a)),
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "asinh": mp.asinh,
    "acosh": mp.acosh,
    "atanh": mp.atanh,
    "sigmoid": lambda a: 1 / (1 + mp.exp(-a)),
    "log_sigmoid": lambda a: -mp.log1p(mp.exp(-a)),
    "softplus": lambda a: mp.log1p(mp.exp(a)),
    "relu": lambda a: max(a, mpf(0)),
    "leaky_relu": lambda a, slope: a if a > 0 else slope * a,
    "elu": lambda a, alpha: a if a > 0 else alpha * mp.expm1(a),
    "silu": lambda a: a / (1 + mp.exp(-a)),
    "gelu": lambda a: a * erfc(-a / mp.sqrt(2)) / 2,
    "erf": lambda a: mp.erf(a) if abs(a) < 35 else mp.sign(a),
    "erfc": erfc,
    "ndtr": lambda a: erfc(-a / mp.sqrt(2)) / 2,
    "log_ndtr": lambda a: mp.log(density(a) / hazard(a)) if a < 5 else mp.log1p(-erfc(a / mp.sqrt(2)) / 2),
    "ndtri": quantile,
    "erfinv": lambda a: mp.sign(a) * -quantile((1 - abs(a)) / 2) / mp.sqrt(2),
    "lgamma": log_gamma,
    "digamma": lambda a: polygamma(0, a),
    "polygamma": polygamma,
    "sinc": mp.sincpi,
    "logit": lambda a: mp.log(a / (1 - a)),
    "exp2": lambda a: mp.mpf(2) ** a,
    "degrees": lambda a: a * 180 / mp.pi,
    "radians": lambda a: a * mp.pi / 180,
    "trunc": lambda a: mp.sign(a) * mp.floor(abs(a)),
    "rint": mp.nint,
    "round": lambda a, digits: mp.nint(a * mpf(10) ** mp.nint(digits)) / mpf(10) ** mp.nint(digits),
    "heaviside": lambda a, h: h if a == 0 else positive(a),
    "mod": lambda a, b: a - b * mp.floor(a / b) if b else mp.nan,
    "floor_divide": lambda a, b: mp.floor(a / b) if b else mp.nan,
    "not_equal": lambda a, b: 0 if a == b else 1,
    "xlogy": lambda a, b: a * mp.log(b),
    "xlog1py": lambda a, b: a * mp.log1p(b),
    "sign": mp.sign,
    "abs": abs,
    "floor": mp.floor,
    "ceil": mp.ceil,
    "greater": lambda a, b: positive(a - b),
    "greater_equal": lambda a, b: 1 - positive(b - a),
    "less": lambda a, b: positive(b - a),
    "less_equal": lambda a, b: 1 - positive(a - b),
    "equal": lambda a, b: 1 if a == b else 0,
    "where": lambda condition, a, b: a if condition else b,
    "maximum": max,
    "minimum": min,
    "clamp": lambda a, low, high: min(max(a, low), high),
    "atan2": mp.atan2,
    "hypot": lambda a, b: mp.sqrt(a * a + b * b),
    "logaddexp": lambda a, b: max(a, b) + mp.log1p(mp.exp(-abs(a - b))),
    "sum": lambda *xs: mp.fsum(xs),
    "prod": lambda *xs: mp.fprod(xs),
    "mean": lambda *xs: mp.fsum(xs) / len(xs),
    "max": lambda *xs: max(xs),
    "min": lambda *xs: min(xs),
    "norm": lambda *xs: mp.sqrt(mp.fsum(x * x for x in xs)),
    "logsumexp": lambda *xs: mp.log(mp.fsum(mp.exp(x) for x in xs)),
    "dot": lambda *xs: mp.fdot(xs[: len(xs) // 2], xs[len(xs) // 2 :]) + (xs[-1] if len(xs) % 2 else 0),
    "_chain": lambda a, b: a * b,
    "_masked": lambda a, b: a * b,
    "_stop": lambda a: a,
    "_lasting": lambda a, x: a,
    "_lowered": lambda a, b, c: a ** (b - c),
    "_faint": lambda a, b: b * a ** (b - 1),
    "_shift": lambda a, b: a - b,
    "_expdiff": lambda a, b: mp.exp(a - b),
    "_logistic": lambda a, b: 1 / (1 + mp.exp(b - a)),
    "_gauss": lambda a, s: mp.exp(-s * a * a),
    "_hazard": hazard,
    "_excess": lambda a: hazard(a) + a,
    "_sinc": lambda a, n: mp.diff(mp.sincpi, a, int(mp.nint(n))) if mp.nint(n) else mp.sincpi(a),
}

CHOICES = {
    ("polygamma", "n"): (0.0, 1.0, 2.0, 3.0),
    ("_sinc", "n"): (0.0, 1.0, 2.0),
    ("round", "digits"): (-2.0, 0.0, 3.0),
    ("_gauss", "s"): (0.5, 1.0),
    ("_lowered", "c"): (1.0, 2.0, 3.0),
}
"""Operands that take only some values."""

CONSTANT = {"_stop"}
"""Rows whose derivative is 0 because they say so, not because calculus does."""

FAMILIES = {
    "lgamma": lambda order, a: polygamma(order - 1, a) if order else log_gamma(a),
    "digamma": polygamma,
    "polygamma": lambda n, order, a: polygamma(mp.nint(n) + order, a),
}
"""Derivatives, by their order, that mpmath has by itself: differences of these would take minutes."""

STEP = mpf(10) ** -30


def exact(name, numbers, orders=None, aside=0):
    """The primitive, or its partial derivative of these orders, to 50 digits.

    Central differences: their error is the square of the step, which is 1e-30 of the distance to the nearest
    end of the domain. The digits that the subtraction takes are counted, and added in another round; past
    MOST_DIGITS a derivative is 0 beside the value it belongs to (sigmoid' at 1e300). `aside` moves the
    point by this many steps.
    """
    orders = tuple(orders or (0,) * len(numbers))
    return _exact(name, tuple(numbers), tuple(map(repr, numbers)), orders, aside)  # by repr 0.0 is not -0.0


@lru_cache(10_000)
def _exact(name, numbers, _, orders, aside):
    f = DEFINITIONS[name]
    steps = [step_of(name, x) * STEP for x in numbers]
    shifts = [aside * 5**i for i in range(len(numbers))]
    if name in FAMILIES:
        with mp.workdps(80):
            at = [x + aside * h for x, h in zip(map(mpf, numbers), steps, strict=True)]
            return mpf(0) if any(orders[:-1]) else FAMILIES[name](*at[:-1], orders[-1], at[-1])
    precision = 130 + 2 * max(abs(magnitude(x)) for x in numbers)
    while True:
        with mp.workdps(precision):
            total = largest = mpf(0)
            for picks in product(*(range(n + 1) for n in orders)):
                weight = math.prod((-1) ** k * math.comb(n, k) for k, n in zip(picks, orders, strict=True))
                moves = [mpf(n) / 2 - k + shift for n, k, shift in zip(orders, picks, shifts, strict=True)]
                at = [x + move * h for x, move, h in zip(numbers, moves, steps, strict=True)]
                term = weight * f(*at)
                total, largest = total + term, max(largest, abs(term))
            if sum(orders) == 0 or mp.isnan(total) or (total and abs(total) > largest * mpf(10) ** (60 - precision)):
                return total / mp.fprod(h**n for h, n in zip(steps, orders, strict=True))
            if precision > MOST_DIGITS:
                return mpf(0)
        precision *= 3


MOST_DIGITS = 1000


def magnitude(x):
    return int(math.log10(abs(x))) if x else 0


def step_of(name, x):
    """The distance over which the primitive may be taken as smooth around x."""
    ends = [abs(mpf(x) - end) for end in ENDS.get(name, ()) if end != x]
    return min([mpf(1), *([abs(mpf(x))] if x else []), *ends])


ENDS = {
    "ndtri": (1,),
    "erfinv": (-1, 1),
    "logit": (1,),
    "xlog1py": (-1,),
    "asin": (-1, 1),
    "acos": (-1, 1),
    "atanh": (-1, 1),
    "acosh": (1,),
    "log1p": (-1,),
}
"""Where a domain ends, other than at 0."""


def is_smooth(name, numbers, orders):
    """Whether differences taken a little aside agree: they do not at a kink, a jump or a pole."""
    here, aside = exact(name, numbers, orders), exact(name, numbers, orders, aside=3)
    if mp.isnan(exact(name, numbers)):
        return False
    if name in ("mod", "floor_divide") and abs(numbers[0]) > 1e25 * abs(numbers[1]):
        return False  # the smallest step passes many jumps
    return abs(here - aside) <= mpf(10) ** -9 * abs(here) + mpf(10) ** -20


# --- points ---------------------------------------------------------------------------------------


def inside(x, interval):
    low, high = interval
    return low < x < high or (low == high == x)


def numbers_of(interval, rng, n, least=-320.0, most=308.0):
    """n numbers strictly inside an interval: of every magnitude, of everyday size, near 1 and near its ends."""
    low, high = interval
    low_end, high_end = low > -inf, high < inf
    makers = [
        lambda: rng.choice((-1, 1)) * 10 ** rng.uniform(least, most),
        lambda: rng.choice((-1, 1)) * 10 ** rng.uniform(-3, 3),
        lambda: rng.uniform(-40, 40),
        lambda: rng.uniform(-3, 3),
        lambda: rng.choice((-1, 1)) * (1 + rng.choice((-1, 1)) * 10 ** rng.uniform(-16, -1)),
        lambda: rng.uniform(max(low, -750), min(high, 750)),
    ]
    if low_end:
        makers.append(lambda: low + 10 ** rng.uniform(-16, 0))
    if high_end:
        makers.append(lambda: high - 10 ** rng.uniform(-16, 0))
    found = []
    while len(found) < n:
        x = float(makers[len(found) % len(makers)]())
        while not inside(x, interval):
            x = float(rng.choice(makers)())
        found.append(x)
    return found


def operands_at(row, point):
    """The operands of a node at a point: Values, but a setting as the number that it always is."""
    names = row.operands if row.setting else ("",) * len(point)
    return tuple(x if name and name == row.setting else Value(x) for name, x in zip(names, point, strict=True))


def points_of(row, n):
    """n points of a row's domain: operands drawn apart, and operands close to each other."""
    rng = random.Random(row.name)
    if row.variadic:
        return [variadic_point(row, rng) for _ in range(n)]
    columns = []
    for operand, interval in zip(row.operands, row.domain, strict=True):
        choices = CHOICES.get((row.name, operand))
        column = [rng.choice(choices) for _ in range(n)] if choices else numbers_of(interval, rng, n)
        rng.shuffle(column)
        columns.append(column)
    points = [list(point) for point in zip(*columns, strict=True)]
    for point in points[::3]:
        near = point[0] * (1 + 10 ** rng.uniform(-16, 1))
        if len(point) > 1 and (row.name, row.operands[-1]) not in CHOICES and inside(near, row.domain[-1]):
            point[-1] = near
    return points


def variadic_point(row, rng):
    size = rng.choice((1, 2, 3, 5, 8))
    scale = 10 ** (rng.uniform(-2, 3) if row.name == "logsumexp" else rng.uniform(-30, 30))
    return [rng.uniform(-3, 3) * scale for _ in range(size)]


def ordinary_points_of(row, n):
    """n points of everyday size, for higher derivatives; 0 in each set of operands that may be 0."""
    rng = random.Random(row.name)
    if row.variadic:
        return [[rng.uniform(-3, 3) for _ in range(rng.choice((2, 3)))] for _ in range(n)]
    points = []
    for k in range(n):
        point = []
        for operand, (low, high) in zip(row.operands, row.domain, strict=True):
            choices = CHOICES.get((row.name, operand))
            reach = (0.3, 3.0, 12.0)[k % 3]
            x = rng.uniform(max(low, -reach), min(high, max(reach, low + reach)))
            if choices:
                x = rng.choice(choices)
            elif k >> len(point) & 1 and low < 0.0 < high and k < 8:
                x = 0.0
            point.append(x)
        points.append(point)
    return points
