"""Programs as files: each is compiled or run where there is a compiler or an interpreter, and tests itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mpmath import mp, mpf

import autograd_lite as ag
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import record
from autograd_lite.folding.export import library
from tests.engine.domains import DEFINITIONS, points_of
from tests.folding.test_fold import FIXED
from tests.folding.test_nests import PROGRAMS, W, rows_of
from tests.helpers.parts import chequered
from tests.helpers.user_primitives import applied, defined

EXAMPLES = Path(__file__).parents[2] / "examples"

CC, NODE = shutil.which("cc"), shutil.which("node")

LANGUAGES = [
    pytest.param("c", marks=pytest.mark.skipif(CC is None, reason="there is no C compiler")),
    pytest.param("js", marks=pytest.mark.skipif(NODE is None, reason="there is no node")),
    "python", "numpy",
]  # fmt: skip
language = pytest.mark.parametrize("language", LANGUAGES)


def rows(n, seed=1, width=12):
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (n, width))


def run(language, text, folder):
    """What a file prints, and its exit code."""
    file = folder / f"program.{ {'c': 'c', 'js': 'js'}.get(language, 'py') }"
    file.write_text(text)
    command = [NODE or "node", str(file)] if language == "js" else [sys.executable, "-W", "error", "-I", str(file)]
    if language == "c":
        built = folder / "program"
        options = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off"]
        compiler = [CC or "cc", *options, str(file), "-lm", "-o", str(built)]
        made = subprocess.run(compiler, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        command = [str(built)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr, done.returncode


def passes(language, text, folder):
    output, code = run(language, text, folder)
    assert (output.strip(), code) == ("all tests passed", 0)


def primitives(n=12):
    """Every row at points of its domain: (leaves, result)."""
    for row in FIXED:
        for point in points_of(row, n)[:n]:
            leaves = [ag.Parameter(float(x)) for x in point]
            yield leaves, record(row, tuple(leaves))


@language
def test_every_primitive_and_its_derivatives(language, tmp_path):
    made = list(primitives())
    leaves = [x for mine, _ in made for x in mine]
    passes(language, ag.fold([y for _, y in made], params=leaves).source(language), tmp_path)
    graphs = [g for mine, y in made for g in ag.gradients(y, mine, create_graph=True)]
    passes(language, ag.fold(graphs, params=leaves).source(language), tmp_path)


@pytest.mark.parametrize(("language", "what"), chequered(LANGUAGES, PROGRAMS))
def test_a_program(language, what, tmp_path):
    passes(language, ag.fold(PROGRAMS[what](), params=W).source(language), tmp_path)


@pytest.mark.parametrize(
    ("language", "kind"),
    chequered(LANGUAGES, ["layer", "wide", "softmax", "ragged", "products in rows", "norm", "max"]),
)
def test_a_batch(language, kind, tmp_path):
    program = ag.compile(rows_of(kind), params=W, batch=True)
    program(rows(2))
    for options in ({}, {"argnum": 0}, {"gradient": False}):
        passes(language, program.source(language, rows(3), **options), tmp_path)


@language
def test_several_results_and_none_of_the_parameters(language, tmp_path):
    several = ag.compile(lambda x: [x[0] * W[0], ag.exp(x[1])], params=W, batch=True)
    several(rows(2))
    passes(language, several.source(language), tmp_path)
    alone = ag.compile(lambda x, y: ag.dot(x, x) * ag.norm(x) + y)
    alone(np.arange(3.0), 1.0)
    passes(language, alone.source(language), tmp_path)
    passes(language, alone.source(language, np.arange(3.0), 2.0, argnum=1), tmp_path)


@language
def test_a_zero_adjoint_and_an_infinite_slope(language, tmp_path):
    f = ag.compile(lambda x: ag.where(ag.greater(x[0], 0.0), ag.log(x[0]), 0.0 * x[0]) * W[0] + x[1] * W[1],
                   params=W, batch=True)  # fmt: skip
    X = np.array([[1.0, 2.0], [-1.0, 3.0], [0.0, 1.0]])
    assert np.isfinite(f.value_and_grad(X)[1]).all()
    for argnum in (None, 0):
        passes(language, f.source(language, X, argnum=argnum), tmp_path)


@language
def test_infinite_results_are_compared_too(language, tmp_path):
    w = [ag.Parameter(0.0), ag.Parameter(-1.0), ag.Parameter(800.0)]
    roots = [ag.log(w[0]), ag.log(w[1]), ag.exp(w[2]), 1.0 / (w[0] * w[1]), w[2] ** w[2], ag.lgamma(w[1])]
    passes(language, ag.fold(roots, params=w).source(language), tmp_path)


@language
def test_another_branch_gives_nan(language, tmp_path):
    f = ag.compile(lambda x: x * x if x > 0 else -x * 3.0)
    f(3.0)
    text = f.source(language, 2.0)
    passes(language, text, tmp_path)
    at = "{2.0}" if language == "c" else "            2.0\n"
    assert text.count(at) == 1
    output, code = run(language, text.replace(at, at.replace("2.0", "-2.0")), tmp_path)
    assert code == 1
    assert "nan" in output.lower()


@language
def test_a_file_that_is_wrong_says_so(language, tmp_path):
    text = ag.fold(ag.tanh(W[0]) * W[1], params=W[:2]).source(language)
    wrong = {"c": ("tanh(", "sinh("), "js": ("Math.tanh(", "Math.sinh("), "python": ("tanh(theta", "atan(theta"),
             "numpy": ("np.tanh(", "np.sin(")}[language]  # fmt: skip
    assert wrong[0] in text
    output, code = run(language, text.replace(*wrong), tmp_path)
    assert code == 1
    assert "expected" in output


@language
def test_the_gpt(language, tmp_path, monkeypatch):
    """A program of 100,000 scalars: tables and loops, not a line for each."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from scalar_gpt import GPT

    model = GPT(1)
    program = ag.compile(model.loss, params=model, batch=True)
    words = [[26, 0, 1, 2, 26], [26, 3, 4, 5, 26]]
    program.loss_and_grad([p.item() for p in model.parameters()], words)
    text = program.source(language, words)
    numbers = len([line for line in text.splitlines() if line.strip()[:1] in "-(0123456789"])
    assert len(text.splitlines()) - numbers < 1500
    passes(language, text, tmp_path)


@language
@pytest.mark.parametrize("batch", [False, True])
def test_user_defined_texts(language, batch, tmp_path):
    before = set(TABLE)
    try:
        own = defined()
        f = ag.compile(lambda x: applied(own, [x[0] * W[0], x[1] - W[1]]), params=W[:2], batch=batch)
        X = rows(3)[:, :2] if batch else rows(1)[0, :2]
        f(X)
        passes(language, f.source(language, X), tmp_path)
    finally:
        for name in set(TABLE) - before:
            del TABLE[name]


def test_the_second_test_is_at_other_parameters():
    w = ag.Parameter(2.0)
    text = ag.fold(w * w, params=[w]).source("python")
    assert "4.0" in text
    assert "4.125976" in text  # (2 + 2 / 64) ** 2


def test_what_is_refused():
    program = ag.fold(W[0] * W[1])
    with pytest.raises(ValueError, match="the language must be one of 'c', 'js', 'python', 'numpy', got 'fortran'"):
        program.source("fortran")
    with pytest.raises(RuntimeError, match="source: the function is traced at its first call"):
        ag.compile(lambda x: x).source("c")
    own = ag.primitive("cube_export", lambda a: a * a * a, lambda a: 3.0 * a * a)
    with pytest.raises(ValueError, match=r"source: cube_export is a user-defined primitive.*give its rules as text"):
        ag.fold(own(W[0]) * 2.0).source("c")
    with pytest.raises(IndexError, match="source: argnum is 3"):
        ag.fold(W[0] * W[1], inputs=[W[0]]).source("c", argnum=3)


# --- the functions that a language may lack -------------------------------------------------------------------

BOUNDS = {"erf": 3e-16, "erfc": 2e-15, "log_gamma": 1e-14, "ndtri": 2e-15, "digamma": 1e-14, "polygamma": 1e-13,
          "rounded": 2e-16, "modulo": 2e-16, "floor_divide": 2e-16, "hypotenuse": 5e-16, "sinc": 2e-15}  # fmt: skip
"""How far each is off: relative to the result, and to 1 where it crosses 0."""

NAMED = {"log_gamma": "lgamma", "rounded": "round", "modulo": "mod", "hypotenuse": "hypot"}
EXACT = ("modulo", "rounded")
"""Of these the error is measured in roundings of the operand."""
CROSSES = ("log_gamma", "digamma", "polygamma", "sinc")


@pytest.mark.parametrize("name", BOUNDS)
def test_a_function_of_the_library(name):
    row_name = NAMED.get(name, name)
    row = next(row for row in FIXED if row.name == row_name)
    worst = 0.0
    for point in points_of(row, 300):
        if name == "log_gamma" and abs(point[0]) > 1e300:
            continue
        got = getattr(library, name)(*point, *([0.0] if name == "sinc" else []))
        with mp.workdps(50):
            true = DEFINITIONS[row_name](*map(mpf, point))
            if mp.isfinite(true) and abs(true) < 1e300 and (abs(true) > 1e-300 or not true):
                scale = max(abs(true), 1.0 if name in CROSSES else abs(mpf(point[0])) if name in EXACT else 0.0)
                worst = max(worst, float(abs(got - true) / scale) if got != true else 0.0)
    assert worst <= BOUNDS[name]


def test_rounding_is_pythons():
    rng = np.random.default_rng(2)
    for digits in range(-6, 16):
        halves = rng.integers(-(10**6), 10**6, 200) / 8.0
        for x in [*rng.uniform(-1e6, 1e6, 200), *halves, 0.5, 2.5, -0.125, 2.675, 1e300]:
            assert library.rounded(float(x), float(digits)) == round(float(x), digits), (x, digits)


# --- recurrences -------------------------------------------------------------------------------------------


def chain_of_tanh():
    w, y = ag.Parameter(0.9), ag.Parameter(0.5)
    for _ in range(300):
        y = ag.tanh(w * y)
    return ag.fold(y)


def two_before():
    a, b = ag.Parameter(0.3), ag.Parameter(0.2)
    out = []
    for _ in range(60):
        a, b = b, ag.sin(a) + b * 0.5
        out.append(b)
    return ag.fold(ag.dot(out, out[::-1]) + out[7])


def network_of_rows():
    def f(xs):
        h = [0.1] * 4
        for t in range(40):
            h = [ag.tanh(ag.dot(W[4 * i : 4 * i + 4], h) + xs[t] * (0.5 + i)) for i in range(4)]
        return ag.sum(h)

    program = ag.compile(f, params=W[:16], batch=True)
    program(rows(2, width=40))
    return program


RECURRENCES = {"tanh": chain_of_tanh, "two before": two_before, "rows": network_of_rows}


@language
@pytest.mark.parametrize("what", RECURRENCES)
def test_a_recurrence_is_a_loop(language, what, tmp_path):
    program = RECURRENCES[what]()
    assert program.plan().loops
    text = program.source(language)
    assert len(text.splitlines()) < 500
    passes(language, text, tmp_path)
    if what == "rows":
        passes(language, program.source(language, rows(3, width=40), argnum=0), tmp_path)
