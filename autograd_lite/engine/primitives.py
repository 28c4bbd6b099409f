"""The table of primitives: every operation the engine knows, one row each.

Everything reads these rows: the eager forward pass and its local gradients, derivatives that are
graphs, folded programs, explanations, the tests, the documentation, the pictures. The language that
they are written in, and what each keyword says, is in rules.py; the functions of floats that it
calls are in kernels.py.

A row has its mathematics on the first line (partials of several operands one below the other), then
what it is in words and what else is known about it.
"""

from __future__ import annotations

import operator

from autograd_lite.engine.kernels import inf
from autograd_lite.engine.rules import TABLE, Row

SOFTMAX = "last(top := _stop(max(xs)), parts := [_expdiff(x, top) for x in xs], ratios(parts, sum(parts)))"

LOG_SOFTMAX = (
    "last(top := _stop(max(xs)), down := [_shift(x, top) for x in xs], "
    "own := [where(equal(x, top), expm1(_shift(x, top)), _expdiff(x, top)) for x in xs], "
    "rest := log1p(sum([*own, relu(sum([equal(x, top) for x in xs]) - 1)])), [d - rest for d in down])"
)

# Of log(sum exp) the 1 of the largest is left to log1p; where several are largest, all but one of them are counted by
# the relu, which is not a part of the sum: a plain one would lose the small terms between 1 and -1.
LOGSUMEXP = "last(top := max(xs), top + log(sum([_expdiff(x, top) for x in xs])))"


REAL, POSITIVE, UNIT = (-inf, inf), (0.0, inf), (-1.0, 1.0)


# fmt: off
_ROWS = (
    # name               symbol   operands result                          partials, one an operand
    Row("add",           "+",     "a b",   "a + b",                        "1, 1",
        "The sum a + b.", infix=True, commutes=True, role="sum", linear=True),
    Row("sub",           "-",     "a b",   "a - b",                        "1, -1",
        "The difference a - b.", infix=True, linear=True),
    Row("mul",           "*",     "a b",   "a * b",                        "b, a",
        "The product a b.", infix=True, commutes=True, role="product", linear=True),
    Row("div",           "/",     "a b",   "a / b",                        "equal(out, out) / b, -out / b",
        "The true quotient a / b. (equal(out, out) is 1, and NaN for 0 / 0.)", infix=True),
    Row("neg",           "-",     "a",     "-a",                           "-1",
        "The negative -a.", linear=True),
    Row("pow",           "**",    "a b",   "a ** b",
                                           "where(b == 0, where(a == 0, 0, b * a ** (b - 1)), "
                                           "where(b == floor(b), b * a ** (b - 1), "
                                           "where(a < 0, out, where(abs(b) > 0.05, b * _lowered(a, b, 1), "
                                           "where(a * a == a, b * a ** (b - 1), _faint(a, b)))))),"
                                           "where(a == 0, where(b < 0, -inf, 0 * b), out * log(a))",
        "The power a ** b over the reals.", domain=(POSITIVE, REAL), infix=True, grows=True),
    Row("exp",           "exp",   "a",     "exp(a)",                       "out",
        "The exponential of a.", grows=True),
    Row("expm1",         "expm1", "a",     "expm1(a)",                     "exp(a)",
        "exp(a) - 1, exact near 0.", grows=True),
    Row("log",           "log",   "a",     "log(a)",                       "where(a < 0, out, 1 / (a + 0.0))",
        "The natural logarithm of a.", domain=POSITIVE, logarithm=True),
    Row("log2",          "log2",  "a",     "log2(a)",                      "where(a < 0, out, 1 / (LN2 * (a + 0.0)))",
        "The logarithm of a to base 2.", domain=POSITIVE, logarithm=True),
    Row("log10",         "log10", "a",     "log10(a)",                     "where(a < 0, out, 1 / (LN10 * (a + 0.0)))",
        "The logarithm of a to base 10.", domain=POSITIVE, logarithm=True),
    Row("log1p",         "log1p", "a",     "log1p(a)",                     "where(a < -1, out, 1 / (1 + a))",
        "log(1 + a), exact near 0.", domain=(-1.0, inf), logarithm=True),
    Row("sqrt",          "sqrt",  "a",     "sqrt(a)",                      "0.5 / (out + 0.0)",
        "The square root of a.", domain=POSITIVE),
    Row("cbrt",          "cbrt",  "a",     "cbrt(a)",                      "1 / (3 * out * out)",
        "The real cube root of a.", kinks=True),
    Row("sin",           "sin",   "a",     "sin(a)",                       "cos(a)",
        "The sine of a, in radians."),
    Row("cos",           "cos",   "a",     "cos(a)",                       "-sin(a)",
        "The cosine of a, in radians."),
    Row("tan",           "tan",   "a",     "tan(a)",                       "1 + out * out",
        "The tangent of a, in radians."),
    Row("asin",          "asin",  "a",     "asin(a)",                      "1 / sqrt((1 - a) * (1 + a))",
        "The angle in radians whose sine is a.", domain=UNIT),
    Row("acos",          "acos",  "a",     "acos(a)",                      "-1 / sqrt((1 - a) * (1 + a))",
        "The angle in radians whose cosine is a.", domain=UNIT),
    Row("atan",          "atan",  "a",     "atan(a)",                      "1 / hypot(1, a) / hypot(1, a)",
        "The angle in radians whose tangent is a.", saturates=True),
    Row("sinh",          "sinh",  "a",     "sinh(a)",                      "cosh(a)",
        "The hyperbolic sine of a.", grows=True),
    Row("cosh",          "cosh",  "a",     "cosh(a)",                      "sinh(a)",
        "The hyperbolic cosine of a.", grows=True),
    Row("tanh",          "tanh",  "a",     "tanh(a)",                      "4 * sigmoid(2 * a) * sigmoid(-2 * a)",
        "The hyperbolic tangent of a.", saturates=True),
    Row("asinh",         "asinh", "a",     "asinh(a)",                     "1 / hypot(1, a)",
        "The inverse hyperbolic sine of a."),
    Row("acosh",         "acosh", "a",     "acosh(a)",                     "1 / (sqrt(a - 1) * sqrt(a + 1))",
        "The inverse hyperbolic cosine of a.", domain=(1.0, inf)),
    Row("atanh",         "atanh", "a",     "atanh(a)",
                                           "where(abs(a) > 1, out, 1 / ((1 - a) * (1 + a)))",
        "The inverse hyperbolic tangent of a.", domain=UNIT),
    Row("sigmoid",       "σ",     "a",     "where(a > -700, 1 / (1 + exp(-a)), exp(a))",  "out * sigmoid(-a)",
        "The logistic function 1 / (1 + exp(-a)).", saturates=True),
    Row("log_sigmoid",   "log σ", "a",     "where(a >= 0, -log1p(exp(-a)), a - log1p(exp(a)))",  "sigmoid(-a)",
        "The logarithm of sigmoid(a).", saturates=True),
    Row("softplus",      "softplus", "a",  "where(a >= 0, a + log1p(exp(-a)), log1p(exp(a)))",  "sigmoid(a)",
        "log(1 + exp(a)), a smooth relu.", saturates=True, rectifies=True),
    Row("relu",          "relu",  "a",     "where(a <= 0, 0, a)",          "greater(a, 0)",
        "max(a, 0).", branch=True, rectifies=True),
    Row("leaky_relu",    "leaky_relu", "a slope", "where(a > 0, a, slope * a)",
                                           "where(a > 0, 1, where(a < 0, slope, clamp(slope, 0, 1) + 0 * a)), "
                                           "where(a > 0, 0, a)",
        "a where positive, slope a elsewhere.", defaults=(0.01,), kinks=True, rectifies=True),
    Row("elu",           "elu",   "a alpha", "where(a > 0, a, alpha * expm1(a))",
                                           "where(a > 0, 1, where(a < 0, alpha * exp(a), clamp(alpha, 0, 1) + 0 * a)), "
                                           "where(a > 0, 0, expm1(a))",
        "a where positive, alpha (exp(a) - 1) elsewhere.", defaults=(1.0,), domain=(REAL, (-1000.0, 1000.0)),
        saturates=True, kinks=True, rectifies=True),
    Row("silu",          "silu",  "a",     "where(a > -700, a / (1 + exp(-a)), a * exp(a))",
                                                                           "sigmoid(a) * (1 + a * sigmoid(-a))",
        "a sigmoid(a), also called swish.", floor=(0.0, 1e-15), near=(-2.0, 0.0), note="silu' crosses 0 at -1.278",
        saturates=True, rectifies=True),
    Row("gelu",          "gelu",  "a",     "a * ndtr(a)",                  "ndtr(a) + RSQRT_2PI * a * _gauss(a, 0.5)",
        "a times the normal distribution function of a.", ulp=(4.0, 4.0), floor=(0.0, 1e-15), near=(-2.0, 0.0),
        note="erfc of the C library; gelu' crosses 0 at -0.752", saturates=True, rectifies=True),
    Row("erf",           "erf",   "a",     "erf(a)",                       "TWO_OVER_SQRT_PI * _gauss(a, 1)",
        "The error function of a.", saturates=True),
    Row("erfc",          "erfc",  "a",     "erfc(a)",                      "-TWO_OVER_SQRT_PI * _gauss(a, 1)",
        "1 - erf(a), exact in the tail.", ulp=(6.0, 4.0), note="the C library's erfc", saturates=True),
    Row("ndtr",          "Φ",     "a",     "_ndtr(a)",                     "RSQRT_2PI * _gauss(a, 0.5)",
        "The normal distribution function, erfc(-a / sqrt(2)) / 2.", ulp=(3.0, 4.0), note="erfc of the C library",
        saturates=True),
    Row("log_ndtr",      "log Φ", "a",     "log_ndtr(a)",                  "_hazard(a)",
        "The logarithm of ndtr(a), exact in the tail.", ulp=(4.0, 6.0), note="erfc of the C library", saturates=True),
    Row("ndtri",         "Φ⁻¹",   "a",     "ndtri(a)",
                                           "where(a == 0, 1 / (a + 0.0), where(a == 1, 1 / (1 - a), where(a < 0.5, "
                                           "1 / (a * _hazard(out)), 1 / ((1 - a) * _hazard(-out)))))",
        "The inverse of ndtr: the quantile of the normal distribution.", domain=(0.0, 1.0), ulp=(4.0, 8.0),
        note="Wichura's rational approximations have their own rounding"),
    Row("erfinv",        "erfinv", "a",    "erfinv(a)",
                                           "where(abs(a) == 1, 1 / (1 - abs(a)), where(a > 0.5, "
                                           "SQRT1_2 / ((1 - a) * _hazard(-SQRT2 * out)), where(a < -0.5, "
                                           "SQRT1_2 / ((1 + a) * _hazard(SQRT2 * out)), "
                                           "HALF_SQRT_PI / _gauss(out, 1))))",
        "The inverse of erf.", domain=UNIT, ulp=(5.0, 8.0),
        note="Wichura's rational approximations have their own rounding"),
    Row("lgamma",        "lnΓ",   "a",     "lgamma(a)",                    "digamma(a)",
        "The logarithm of the absolute value of the gamma function.", ulp=(12.0, 6.0), floor=(4e-14, 4e-14),
        near=(-inf, 4.0), note="the C library's lgamma; it crosses 0 at 1 and 2 and between negative integers"),
    Row("digamma",       "ψ",     "a",     "digamma(a)",                   "polygamma(1, a)",
        "The derivative of lgamma.", ulp=(6.0, 12.0), floor=(4e-14, 0.0), near=(-inf, 2.0),
        note="it crosses 0 at 1.4616 and between negative integers"),
    Row("polygamma",     "ψ",     "n a",   "polygamma(n, a)",              "zero_gradient(out), polygamma(n + 1, a)",
        "The n-th derivative of digamma.", domain=((0.0, 8.0), REAL), ulp=(32.0, 32.0), floor=(1e-13, 1e-11),
        near=(-inf, 2.0), note="powers of a rounded sum; it crosses 0 between negative integers", setting="n"),
    Row("sinc",          "sinc",  "a",     "_sinc(a, 0)",                  "_sinc(a, 1)",
        "sin(pi a) / (pi a), and 1 at 0.", ulp=(4.0, 4.0), floor=(0.0, 5e-15),
        note="pi a is rounded; sinc' crosses 0 everywhere"),
    Row("logit",         "logit", "a",     "where(abs(a - 0.5) <= 0.25, 2 * atanh(2 * a - 1), log(a / (1 - a)))",
                                           "where(a < 0, out, where(a > 1, out, 1 / (a + 0.0) + 1 / (1 - a)))",
        "log(a / (1 - a)), the inverse of sigmoid.", domain=(0.0, 1.0)),
    Row("exp2",          "exp2",  "a",     "exp2(a)",                      "LN2 * out",
        "2 to the power a.", grows=True),
    Row("degrees",       "deg",   "a",     "a * DEGREES",                  "DEGREES * equal(a, a)",
        "The angle a, given in radians, in degrees.", linear=True),
    Row("radians",       "rad",   "a",     "a * RADIANS",                  "RADIANS * equal(a, a)",
        "The angle a, given in degrees, in radians.", linear=True),
    Row("sign",          "sign",  "a",     "where(a > 0, 1, where(a < 0, -1, a))",  "zero_gradient(out)",
        "-1, 0 or 1.", zero_gradient=True),
    Row("abs",           "abs",   "a",     "abs(a)",                       "sign(a)",
        "The absolute value of a.", kinks=True),
    Row("floor",         "floor", "a",     "floor(a)",                     "zero_gradient(out)",
        "The largest whole number not above a.", zero_gradient=True),
    Row("ceil",          "ceil",  "a",     "ceil(a)",                      "zero_gradient(out)",
        "The smallest whole number not below a.", zero_gradient=True),
    Row("trunc",         "trunc", "a",     "where(a < 0, ceil(a), floor(a))",  "zero_gradient(out)",
        "a without its fraction: the whole number next to it in the direction of 0.", zero_gradient=True),
    Row("rint",          "rint",  "a",     "rint(a)",                      "zero_gradient(out)",
        "The whole number nearest to a, the even one of two.", zero_gradient=True),
    Row("round",         "round", "a digits", "round(a, digits)",          "zero_gradient(out), zero_gradient(out)",
        "a rounded to this many decimal digits as Python does it: half to even.", defaults=(0.0,),
        domain=(REAL, (-6.0, 6.0)), zero_gradient=True, setting="digits"),
    Row("heaviside",     "step",  "a h",   "where(a < 0, 0, where(a == 0, h, where(a > 0, 1, a)))",
                                           "where(a == a, 0, a), where(a == 0, 1, where(a == a, 0, a))",
        "0 where a is negative, h where it is 0, 1 where it is positive.", branch=True),
    Row("mod",           "%",     "a b",   "mod(a, b)",                    "equal(out, out), -floor_divide(a, b)",
        "The remainder of a / b, with the sign of b.", infix=True, kinks=True),
    Row("floor_divide",  "//",    "a b",   "floor_divide(a, b)",           "zero_gradient(out), zero_gradient(out)",
        "The largest whole number not above a / b.", zero_gradient=True, infix=True),
    Row("greater",       ">",     "a b",   "greater(a, b)",                "zero_gradient(out), zero_gradient(out)",
        "1 where a > b, else 0.", zero_gradient=True, infix=True, compares=operator.gt),
    Row("greater_equal", ">=",    "a b",   "greater_equal(a, b)",          "zero_gradient(out), zero_gradient(out)",
        "1 where a >= b, else 0.", zero_gradient=True, infix=True, compares=operator.ge),
    Row("less",          "<",     "a b",   "less(a, b)",                   "zero_gradient(out), zero_gradient(out)",
        "1 where a < b, else 0.", zero_gradient=True, infix=True, compares=operator.lt),
    Row("less_equal",    "<=",    "a b",   "less_equal(a, b)",             "zero_gradient(out), zero_gradient(out)",
        "1 where a <= b, else 0.", zero_gradient=True, infix=True, compares=operator.le),
    Row("equal",         "==",    "a b",   "equal(a, b)",                  "zero_gradient(out), zero_gradient(out)",
        "1 where a == b, else 0.", zero_gradient=True, infix=True, commutes=True, compares=operator.eq),
    Row("not_equal",     "!=",    "a b",   "1 - equal(a, b)",              "zero_gradient(out), zero_gradient(out)",
        "1 where a != b, else 0.", zero_gradient=True, infix=True, commutes=True, compares=operator.ne),
    Row("where",         "where", "condition a b", "where(condition == 0, b, where(condition == condition, a, nan))",
                                           "0, "
                                           "where(condition == 0, 0, where(condition == condition, 1, nan)), "
                                           "where(condition == 0, 1, zero_gradient(condition))",
        "a where the condition is not 0, b where it is.", branch=True),
    Row("maximum",       "max",   "a b",   "where(a >= b, a, where(b >= a, b, a + b))",
                                                                           "greater(a, b) + 0.5 * equal(a, b), "
                                                                           "greater(b, a) + 0.5 * equal(a, b)",
        "The larger of a and b.", branch=True, commutes=True),
    Row("minimum",       "min",   "a b",   "where(a <= b, a, where(b <= a, b, a + b))",
                                                                           "less(a, b) + 0.5 * equal(a, b), "
                                                                           "less(b, a) + 0.5 * equal(a, b)",
        "The smaller of a and b.", branch=True, commutes=True),
    Row("clamp",         "clamp", "a low high", "minimum(maximum(a, low), high)",
                                                                           "greater(a, low) * less(a, high), "
                                                                           "less(a, low) * less_equal(low, high), "
                                                                           "greater(maximum(a, low), high)",
        "a, kept between low and high; high where they cross.", branch=True),
    Row("atan2",         "atan2", "a b",   "atan2(a, b)",                  "b / hypot(a, b) / hypot(a, b), "
                                                                           "-a / hypot(a, b) / hypot(a, b)",
        "The angle in radians of the point (b, a).", kinks=True),
    Row("hypot",         "hypot", "a b",   "hypot(a, b)",                  "where(out == 0, 0 * out, a / out), "
                                                                           "where(out == 0, 0 * out, b / out)",
        "sqrt(a^2 + b^2) without overflow.", commutes=True, kinks=True),
    Row("xlogy",         "xlogy", "a b",   "where(a == 0, where(b == b, 0, b), a * log(b))",
                                           "where(a == a, log(b), a), "
                                           "where(b > 0, a / b, "
                                           "where(a == 0, out, where(b == 0, a / (b + 0.0), out)))",
        "a log(b), and 0 where a is 0.", domain=(REAL, POSITIVE)),
    Row("xlog1py",       "xlog1py", "a b", "where(a == 0, where(b == b, 0, b), a * log1p(b))",
                                           "where(a == a, log1p(b), a), where(b > -1, a / (1 + b), "
                                           "where(a == 0, out, where(b == -1, a / (1 + b), out)))",
        "a log(1 + b), and 0 where a is 0.", domain=(REAL, (-1.0, inf))),
    Row("logaddexp",     "logaddexp", "a b",
        "where(a == b, a + LN2, where(a > b, a + log1p(exp(b - a)), b + log1p(exp(a - b))))",
                                                                           "_logistic(a, b), _logistic(b, a)",
        "log(exp(a) + exp(b)) without overflow.", floor=(1e-15, 0.0), near=(-1.0, 1.0),
        note="the result crosses 0 where a and b are between -0.7 and 0", commutes=True),
    Row("sum",           "sum",   "*xs",   "sum(xs)",                      "[1] * len(xs)",
        "The sum of a sequence as one node, exactly rounded.",
        formula="x1 + ... + xn,  d/dxi = 1", example=(1.0, 2.0, 3.0), empty=0.0, role="sum", linear=True),
    Row("prod",          "prod",  "*xs",   "prod(xs)",                     "products_of_others(xs)",
        "The product of a sequence as one node, from left to right as math.prod: 0 or infinite if it is so on the way.",
        formula="x1 ... xn,  d/dxi = the product of the others",
        example=(2.0, 0.0, 3.0), empty=1.0, linear=True),
    Row("mean",          "mean",  "*xs",   "mean(xs)",                     "[1 / len(xs)] * len(xs)",
        "The arithmetic mean of a sequence as one node.", formula="(x1 + ... + xn) / n,  d/dxi = 1 / n",
        example=(1.0, 2.0), role="sum", linear=True),
    Row("max",           "max",   "*xs",   "max(xs)",
                                           "ratios((hits := [equal(x, out) for x in xs]), sum(hits))",
        "The largest element of a sequence as one node; `maximum` takes two operands.",
        formula="the largest,  d/dxi = 1 / k for each of the k largest, 0 for the rest", example=(1.0, 3.0, 3.0),
        branch=True, role="reduction"),
    Row("min",           "min",   "*xs",   "min(xs)",
                                           "ratios((hits := [equal(x, out) for x in xs]), sum(hits))",
        "The smallest element of a sequence as one node; `minimum` takes two operands.",
        formula="the smallest,  d/dxi = 1 / k for each of the k smallest, 0 for the rest", example=(1.0, 3.0, 3.0),
        branch=True, role="reduction"),
    Row("norm",          "norm",  "*xs",   "norm(xs)",
                                           "[where(out == 0, 0 * out, x / out) for x in xs]",
        "The Euclidean norm of a sequence as one node, without overflow on the way.",
        formula="sqrt(x1^2 + ... + xn^2),  d/dxi = xi / norm(xs), 0 at the origin", example=(3.0, 4.0),
        role="reduction", kinks=True),
    Row("logsumexp",     "logsumexp", "*xs", LOGSUMEXP,                    SOFTMAX,
        "The logarithm of a sum of exponentials as one node, without overflow.",
        formula="log(exp(x1) + ... + exp(xn)),  d/dxi = softmax(xs)[i]", example=(1000.0, 1000.0), floor=(1e-15, 0.0),
        near=(-5.0, 1.0), note="the result crosses 0 where the largest x is between -log n and 0; "
        "a little above, 1 is added to what is small"),
    Row("dot",           "dot",   "*xs",   "dot(xs)",                      "pair_partials(xs)",
        "x1 y1 + ... + xn yn, plus a bias if there is one.",
        note="summed as it stands, for speed: relative to |x1 y1| + ... + |xn yn|", role="sum", linear=True),
    # internal: what the rows above are differentiated into
    Row("_chain",        "*",     "a b",   "where(a == 0, 0, a * b)",      "b, a",
        "adjoint times local gradient; an adjoint of 0 contributes 0.", branch=True, infix=True, commutes=True,
        role="product"),
    Row("_masked",       "*",     "a b",   "where(a == 0, 0, where(b == 0, 0, a * b))",
                                                                           "b, a",
        "the same where the local gradient may be that of a branch not taken: either of 0 contributes 0.", branch=True,
        infix=True, commutes=True, role="product"),
    Row("_stop",         "stop",  "a",     "a",                            "zero_gradient(out)",
        "a as a constant.", zero_gradient=True),
    # (not a == a: a fast plan takes that for true)
    Row("_lasting",      "NaN",   "a x",   "a",                            "where(a < 0, 1, where(a >= 0, 1, a)), "
                                                                           "where(a < 0, 0, where(a >= 0, 0, a))",
        "a, a derivative in x: where it is NaN, so are its own derivatives, whatever a branch drops on the way.",
        branch=True),
    Row("_lowered",      "**",    "a b c",
        "where(a == 0, a ** (b - c), where(a == inf, a ** (b - c), where(abs(b) > 1e15, a ** (b - c), "
        "a ** (b - c) * a ** where(abs(b) > c, (b - (b - c)) - c, b - ((b - c) + c)))))",
                                           "(b - c) * _lowered(a, b, c + 1), "
                                           "where(a == 0, where(b < c, -inf, 0 * out), out * log(a)), "
                                           "where(a == 0, where(b < c, inf, 0 * out), -out * log(a))",
        "a ** (b - c), times a to the power of what b - c loses in rounding.", domain=(POSITIVE, REAL, (0.0, 3.0))),
    Row("_faint",        "**",    "a b",   "b * a ** b / a",
                                           "(b - 1) * out / a, a ** b / a + out * log(a)",
        "b a ** (b - 1) for a small b: a ** (b - 1) alone may overflow.", domain=(POSITIVE, (-0.05, 0.05))),
    Row("_shift",        "-",     "a b",   "where(a == b, 0, a - b)",      "1, -1",
        "a - b, and 0 where they are equal, infinities included.", infix=True),
    Row("_expdiff",      "exp",   "a b",   "_expdiff(a, b)",               "out, -out",
        "exp(a - b), with the rounding error of a - b compensated."),
    Row("_logistic",     "σ",     "a b",   "where(a >= b - 700, 1 / (1 + _expdiff(b, a)), _expdiff(a, b))",
                                                                           "out * _logistic(b, a), "
                                                                           "-out * _logistic(b, a)",
        "sigmoid(a - b), with the rounding error of a - b compensated.", saturates=True),
    Row("_gauss",        "gauss", "a s",   "_gauss(a, s)",                 "-2 * s * a * out, -a * a * out",
        "exp(-s a^2); s is 1 or 1/2.", domain=((-26.0, 26.0), (0.5, 1.0))),
    Row("_hazard",       "φ/Φ",   "a",     "_hazard(a)",                   "-out * _excess(a)",
        "The slope of log_ndtr(a): the normal density over the distribution function.", ulp=(6.0, 16.0),
        note="erfc of the C library", saturates=True),
    Row("_excess",       "φ/Φ+",  "a",     "_excess(a)",                   "1 - _hazard(a) * out",
        "_hazard(a) + a, without their difference where a is negative.", ulp=(16.0, 32.0), floor=(0.0, 1e-15),
        note="erfc of the C library; 1 - what is near 1 in the tail", saturates=True),
    Row("_sinc",         "sinc",  "a n",   "_sinc(a, n)",                  "_sinc(a, n + 1), zero_gradient(out)",
        "The n-th derivative of sinc at a.", floor=(2e-15, 5e-15), note="derivatives of sinc cross 0 everywhere",
        domain=(REAL, (0.0, 8.0)), setting="n"),
)

# fmt: on

TABLE.update({row.name: row for row in _ROWS})
