"""Writes folding/backends/native/coefficients.py: the polynomials and constants of the native elementary functions.

    python -m tools.fit_functions            # writes the file
    python -m tools.fit_functions --errors   # and prints degree and error of every fit

Each polynomial interpolates its function, in mpmath, at the Chebyshev points of an interval; that is within a factor
of two of the best one of its degree. Its coefficients are then rounded, and the degree is the smallest whose error,
coefficients rounded, stays below the bound. tests/folding/test_native_functions.py holds the file to this program.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mpmath import mp, mpf

PATH = Path(__file__).parents[1] / "autograd_lite" / "folding" / "backends" / "native" / "coefficients.py"
DIGITS = 100

HEAD = '''\
"""Coefficients and constants of the elementary functions, for double and for float.

Written by tools/fit_functions.py, which says what each polynomial approximates and where: change that, and run it
again. Polynomials have their highest power first; a constant of several numbers is their unevaluated sum.
"""

# fmt: off
'''


class Fit(NamedTuple):
    """A polynomial to find.

    Args:
        about: what it approximates, for the file.
        function: of one mpmath number.
        low, high: the interval; high may depend on the precision in bits.
        weight: how far an error of the polynomial moves the result, relative to the result.
        spare: bits by which the weighted error has to stay below 1 ulp.
    """

    about: str
    function: Callable[[mpf], mpf]
    low: float
    high: float
    weight: Callable[[mpf], mpf]
    spare: int = 5


def atanh_series(z: mpf) -> mpf:
    """(log((1 + s) / (1 - s)) / s - 2) / z with z = s^2: 2/3 + 2/5 z + ..."""
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


def scaled_erfc(q: mpf) -> mpf:
    """exp(x^2) erfc(x) (1 + 2 x) at x = 4 (1 + q) / (1 - q)."""
    x = 4 * (1 + q) / (1 - q)
    return mp.exp(x * x) * mp.erfc(x) * (1 + 2 * x)


HALF_LN2 = 0.34658
SMALL_S = 0.029438  # ((sqrt 2 - 1) / (sqrt 2 + 1))^2
EIGHTH_TURN = 0.61686  # (pi / 4)^2
TAN_PI_8 = 0.17158  # tan(pi / 8)^2

FITS = {
    "EXP": Fit("(exp(r) - 1 - r) / r^2, |r| <= ln 2 / 2",
        lambda r: (mp.exp(r) - 1 - r) / r**2, -HALF_LN2, HALF_LN2, lambda r: r**2),
    "LOG": Fit("(2 atanh(s) / s - 2) / z in z = s^2, |s| <= 0.1716",
        atanh_series, 0, SMALL_S, lambda z: z / 2),
    "LOG_LONG": Fit("(2 atanh(s) / s - 2 - 2/3 z) / z^2, as above, to more bits: for powers",
        lambda z: (atanh_series(z) - mpf(2) / 3) / z, 0, SMALL_S, lambda z: z**2 / 2, 12),
    "SIN": Fit("(sin(r) - r) / r^3 in z = r^2, |r| <= pi / 4",
        lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, 0, EIGHTH_TURN, lambda z: z, 3),
    "COS": Fit("(cos(r) - 1 + r^2 / 2) / r^4 in z = r^2, |r| <= pi / 4",
        lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, 0, EIGHTH_TURN, lambda z: z**2),
    "ATAN": Fit("(atan(t) - t) / t^3 in z = t^2, |t| <= tan(pi / 8)",
        lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, 0, TAN_PI_8, lambda z: z, 4),
    "ASIN": Fit("(asin(s) - s) / s^3 in z = s^2, |s| <= 1/2",
        lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, 0, 0.25, lambda z: z, 4),
    "ERF": Fit("erf(x) / x - 1 in z = x^2, |x| <= 1",
        lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, 0, 1, lambda z: mpf(1), 3),
    "ERFCX": Fit("(f(q) - f(0)) / q, f(q) = exp(x^2) erfc(x) (1 + 2 x), q = (x - 4) / (x + 4), 1/2 <= x <= 28",
        lambda q: (scaled_erfc(q) - scaled_erfc(mpf(0))) / q, -0.77778, 0.75, abs, 3),
    "CBRT": Fit("cbrt(m), 1 <= m <= 2: a start",
        mp.cbrt, 1, 2, lambda m: mpf(1), -41),
}  # fmt: skip
FLOAT_SPARE = {"CBRT": -12}
"""The start is as good in float: one step less would do, but not by much."""


def rounded(x: mpf, bits: int) -> float:
    with mp.workprec(bits):
        return float(+x)


def chebyshev_fit(fit: Fit, degree: int) -> list[mpf]:
    """The coefficients, lowest power first, of the polynomial through the Chebyshev points (Newton's form, opened)."""
    n = degree + 1
    middle, half = (mpf(fit.low) + fit.high) / 2, (mpf(fit.high) - fit.low) / 2
    points = [middle + half * mp.cos(mp.pi * (2 * k + 1) / (2 * n)) for k in range(n)]
    table = [fit.function(x) for x in points]
    for step in range(1, n):
        for i in range(n - 1, step - 1, -1):
            table[i] = (table[i] - table[i - 1]) / (points[i] - points[i - step])
    found = [table[-1]]
    for i in range(n - 2, -1, -1):
        found = [below - points[i] * here for below, here in zip([mpf(0), *found], [*found, mpf(0)], strict=True)]
        found[0] += table[i]
    return found


def worst(fit: Fit, highest_first: list[float]) -> mpf:
    """The largest weighted error over the interval."""
    largest = mpf(0)
    for k in range(301):
        x = fit.low + (mpf(fit.high) - fit.low) * (k + mpf(1) / 3) / mpf("301.7")
        value = mpf(0)
        for c in highest_first:
            value = value * x + c
        largest = max(largest, abs(value - fit.function(x)) * fit.weight(x))
    return largest


def polynomial(name: str, bits: int) -> tuple[list[float], mpf]:
    fit = FITS[name]
    bound = mpf(2) ** -(bits + (FLOAT_SPARE.get(name, fit.spare) if bits == 24 else fit.spare))
    for degree in range(1, 40):
        highest_first = [rounded(c, bits) for c in reversed(chebyshev_fit(fit, degree))]
        error = worst(fit, highest_first)
        if error < bound:
            return highest_first, error
    raise ValueError(f"{name}: no degree below 40 reaches the bound")


def parts(x: mpf, bits: int, n: int) -> list[float]:
    """x as a sum of n numbers, each the rounded rest."""
    found: list[float] = []
    for _ in range(n):
        found.append(rounded(x - mp.fsum(found), bits))
    return found


def constants() -> dict[str, tuple[mpf, int]]:
    """The numbers of which more than one precision is needed, and in how many parts."""
    return {
        "LN2": (mp.log(2), 2),
        "LOG2E": (1 / mp.log(2), 2),
        "LOG10E": (1 / mp.log(10), 2),
        "TWO_THIRDS": (mpf(2) / 3, 2),
        "PI_2": (mp.pi / 2, 3),
        "ERFCX_0": (scaled_erfc(mpf(0)), 2),
        "SQRT1_2": (mp.sqrt(mpf(1) / 2), 2),
    }


def two_over_pi_words() -> list[int]:
    """2 / pi in words of 64 bits after the binary point, behind one word of zeros."""
    with mp.workprec(2000):
        whole = int(mp.floor(2 / mp.pi * mpf(2) ** (64 * 20)))
    return [0] + [whole >> 64 * (19 - i) & (2**64 - 1) for i in range(20)]


def table(bits: int, errors: bool) -> str:
    lines = []
    for name, fit in FITS.items():
        numbers, error = polynomial(name, bits)
        if errors:
            print(f"{bits} bits: {name:9} degree {len(numbers) - 1:2}, weighted error 2^{float(mp.log(error, 2)):.1f}")
        lines.append(
            f'    # {fit.about}\n    "{name}": (\n' + "".join(f"        {c!r},\n" for c in numbers) + "    ),\n"
        )
    for name, (x, n) in constants().items():
        lines.append(f'    "{name}": ({", ".join(map(repr, parts(x, bits, n)))}),\n')
    return "".join(lines)


def text(errors: bool = False) -> str:
    """The whole file."""
    with mp.workdps(DIGITS):
        tables = [
            f"{name}: dict[str, tuple[float, ...]] = {{\n{table(bits, errors)}}}\n"
            for name, bits in (("DOUBLE", 53), ("FLOAT", 24))
        ]
    words = "".join(f"    0x{word:016X},\n" for word in two_over_pi_words())
    return (
        HEAD
        + "\n".join(tables)
        + f"\n# 2 / pi in words of 64 bits, behind a word of zeros\nTWO_OVER_PI = (\n{words})\n"
    )


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m tools.fit_functions", description=__doc__.partition("\n")[0])
    parser.add_argument("--errors", action="store_true", help="print degree and error of every fit")
    PATH.write_text(text(parser.parse_args().errors), encoding="utf-8")


if __name__ == "__main__":
    main()
