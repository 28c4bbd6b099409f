"""Nonlinear least squares with certified answers: the 27 sets of NIST's statistical reference data.

Each set has data, a model, two starts, of which the first is far away, and certified parameters, standard deviations
and sum of squares. `ag.minimize(..., method="lm")` fits all of them from both starts; the last column is the log
relative error, the number of digits that agree (11 are certified). Run it: python examples/nist_fits.py

The sum of squares of Lanczos1 is 1.4e-25, of residuals of 1e-13: no more of its digits than three are within reach of
floats, which carry 16 digits of a y near 2.

Source: NIST/ITL StRD, Nonlinear Least Squares Regression, https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml;
the files in examples/nist are NIST's own, in the public domain. Each names where its data come from.
"""

import re
import sys
from collections import namedtuple
from math import log, log10, pi
from pathlib import Path

import numpy as np
from tqdm import tqdm

import autograd_lite as ag

Problem = namedtuple("Problem", "name model x y starts parameters deviations sum_of_squares")
Fit = namedtuple("Fit", "parameters deviations sum_of_squares found")


def misra1a(b, x):
    """A saturating exponential."""
    return b[0] * (1.0 - ag.exp(-b[1] * x))


def chwirut(b, x):
    """The response of an ultrasonic sensor over the distance."""
    return ag.exp(-b[0] * x) / (b[1] + b[2] * x)


def lanczos(b, x):
    """Three exponentials."""
    return b[0] * ag.exp(-b[1] * x) + b[2] * ag.exp(-b[3] * x) + b[4] * ag.exp(-b[5] * x)


def gauss(b, x):
    """Two peaks on an exponential."""
    peaks = [height * ag.exp(-((x - at) ** 2) / width**2) for height, at, width in (b[2:5], b[5:8])]
    return b[0] * ag.exp(-b[1] * x) + peaks[0] + peaks[1]


def enso(b, x):
    """The cycles of the year, of El Nino and of the Southern Oscillation."""
    cycles = [(2.0 * pi * x / period, c, s) for period, c, s in ((12.0, *b[1:3]), b[3:6], b[6:9])]
    return b[0] + ag.sum([c * ag.cos(angle) + s * ag.sin(angle) for angle, c, s in cycles])


def cubic_over_cubic(b, x):
    """A rational function."""
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1.0 + b[4] * x + b[5] * x**2 + b[6] * x**3)


MODELS = {
    "Misra1a": misra1a,
    "Misra1b": lambda b, x: b[0] * (1.0 - (1.0 + b[1] * x / 2.0) ** -2),
    "Misra1c": lambda b, x: b[0] * (1.0 - (1.0 + 2.0 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1.0 + b[1] * x),
    "Chwirut1": chwirut, "Chwirut2": chwirut,
    "Lanczos1": lanczos, "Lanczos2": lanczos, "Lanczos3": lanczos,
    "Gauss1": gauss, "Gauss2": gauss, "Gauss3": gauss,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "Kirby2": lambda b, x: (b[0] + b[1] * x + b[2] * x**2) / (1.0 + b[3] * x + b[4] * x**2),
    "Hahn1": cubic_over_cubic, "Thurber": cubic_over_cubic,
    "Nelson": lambda b, x: b[0] - b[1] * x[0] * ag.exp(-b[2] * x[1]),  # of log(y)
    "MGH09": lambda b, x: b[0] * (x * x + x * b[1]) / (x * x + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * ag.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * ag.exp(-x * b[3]) + b[2] * ag.exp(-x * b[4]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - ag.atan(b[2] / (x - b[3])) / pi,
    "ENSO": enso,
    "BoxBOD": misra1a,
    "Rat42": lambda b, x: b[0] / (1.0 + ag.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1.0 + ag.exp(b[1] - b[2] * x)) ** (1.0 / b[3]),
    "Eckerle4": lambda b, x: b[0] / b[1] * ag.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1.0 / b[2]),
}  # fmt: skip


def problem(name):
    """A set as its file has it."""
    text = (Path(__file__).parent / "nist" / f"{name}.dat").read_text(encoding="utf-8")
    table = [list(map(float, row.split())) for row in re.findall(r"^ *b\d+ *= *(.*)$", text, re.M)]
    *starts, parameters, deviations = map(list, zip(*table, strict=True))
    squares = float(re.search(r"Sum of Squares: *(\S+)", text)[1])
    rows = [list(map(float, row.split())) for row in text[re.search(r"^Data: *y.*\n", text, re.M).end() :].splitlines()]
    x = [row[1] if len(row) == 2 else row[1:] for row in rows]
    y = [log(row[0]) if name == "Nelson" else row[0] for row in rows]
    return Problem(name, MODELS[name], x, y, starts, parameters, deviations, squares)


def fit(problem, start, **options):
    """Parameters, their standard deviations and the sum of squares, from a start."""
    b = [ag.Parameter(number) for number in start]

    def residuals():
        return [problem.model(b, x) - y for x, y in zip(problem.x, problem.y, strict=True)]

    found = ag.minimize(residuals, b, "lm", progress=False, **options)
    return Fit(found.x, np.sqrt(np.diag(found.covariance)), found.loss, found)


def digits(found, certified):
    """The number of digits in which all of them agree: -log10 of the largest relative error."""
    error = np.max(np.abs(np.asarray(found) / np.asarray(certified) - 1.0))
    return float(min(11.0, -log10(error))) if error else 11.0  # 11 digits are certified


def main(names=tuple(MODELS)):
    """Fit the sets from both starts, and print the digits that agree with the certified values."""
    fits = {}
    print("set      start  iterations  digits of: parameters  deviations  sum of squares")
    tasks = [(problem(name), number) for name in names for number in (1, 2)]
    for task, number in tqdm(tasks, unit="fit", disable=None):
        found = fits[task.name, number] = fit(task, task.starts[number - 1])
        squares = digits([found.sum_of_squares], [task.sum_of_squares])
        line = f"{task.name:8} {number:5} {found.found.iterations:11} {digits(found.parameters, task.parameters):22.1f}"
        tqdm.write(f"{line} {digits(found.deviations, task.deviations):11.1f} {squares:15.1f}", file=sys.stdout)
    return fits


if __name__ == "__main__":
    main()
