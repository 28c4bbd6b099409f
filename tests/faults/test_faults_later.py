"""Lines 44 to 70 of the list of faults. A docstring begins with its line: what happens, and what must come of it."""

import asyncio
import math
import re
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import optim
from autograd_lite.folding import backends, structures
from autograd_lite.folding.backends.native import jit

needs_native = pytest.mark.skipif(bool(jit.why_not()), reason=jit.why_not() or "native code runs here")


def test_fault_44_a_derivative_inside_a_loss():
    """A derivative of a network in a loss: keeps its dependence on the parameters, whatever the argument's type."""
    net = ag.MLP(1, [3, 1], activation="tanh", seed=3)
    du = ag.grad(lambda t: net([t]))
    ((du(0.5) - 1.0) ** 2 + net([0.5]) ** 2).backward()
    assert math.isclose(net.parameters()[0].grad, -0.26446, rel_tol=1e-4)


@pytest.mark.parametrize("f", [ag.sum, ag.softmax, ag.logsumexp, ag.max])
def test_fault_45_a_sequence_that_is_none(f):
    """An array of no axes for a sequence: refused in our words, with the function's name."""
    with pytest.raises(TypeError, match=f"{f.__name__}: takes one sequence"):
        f(np.array(3.0))


def test_fault_46_a_compile_that_cannot_help():
    """Shapes that never repeat: right numbers, and one warning."""
    f = ag.compile(lambda xs: ag.sum([x * x for x in xs]), backend="numpy")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [f([1.0] * n) for n in range(1, 120)] == list(range(1, 120))
    assert len(caught) == 1
    assert "runs uncompiled" in str(caught[0].message)


def test_fault_47_a_native_backend_that_is_missing(monkeypatch):
    """llvmlite is not installed: NumPy's numbers, and `backend` says why."""
    monkeypatch.setattr(backends, "why_not", lambda name: "llvmlite is not installed" if name == "native" else "")
    monkeypatch.setattr("autograd_lite.folding.program.cache", structures.Cache())
    p = ag.Parameter(3.0)
    program = ag.fold(p * p)
    assert program() == 9.0
    assert "llvmlite is not installed" in str(program.backend)


def test_fault_48_a_training_that_diverges():
    """A rate that is far too high: ended, with epoch and rate."""
    model = ag.MLP(1, [3, 1], activation="relu", seed=0)
    with pytest.raises(
        (ValueError, ArithmeticError, RuntimeError), match=r"(?s)epoch.*lr|lr.*epoch|rate.*epoch|epoch.*rate"
    ):
        ag.fit(model, [[1.0], [2.0]], [1.0, -1.0], lr=1e300, epochs=50, progress=False)


@pytest.mark.parametrize(
    ("name", "value"), [("hidden_layer_sizes", (2.7,)), ("shuffle", "yes"), ("alpha", "a"), ("tol", None)]
)
def test_fault_49_a_parameter_of_an_estimator(name, value):
    """A parameter of the wrong kind: refused under its own name before anything runs."""
    pytest.importorskip("sklearn")
    from autograd_lite.sklearn import MLPClassifier

    with pytest.raises((TypeError, ValueError), match=name):
        MLPClassifier(**{name: value}).fit([[1.0], [2.0]], [0, 1])


def test_fault_50_a_picture_of_an_irregular_graph():
    """A graph in which nothing is alike: its picture has no cycle that is not there."""
    rng = np.random.default_rng(0)
    values = [ag.Value(x) for x in rng.normal(size=12)]
    for k in range(400):
        a, b = (values[i] for i in rng.integers(max(0, len(values) - 30), len(values), 2))
        values.append(a * b if k % 3 else ag.tanh(a + b))
    made = ag.draw(ag.sum(values[-10:])).diagram
    after = {}
    for edge in made.edges:
        after.setdefault(edge.source, set()).add(edge.target)
    left = set(range(len(made.boxes)))
    while left:
        free = {box for box in left if not after.get(box, set()) & left}
        assert free, "a cycle"
        left -= free


# --- what came later ----------------------------------------------------------------------------------------


@needs_native
@pytest.mark.parametrize("what", ["swapped", "flipped"])
def test_fault_51_object_code_of_another_program(what, monkeypatch, tmp_path):
    """A file of the cache under another's name, or with a bit flipped: not run, made anew."""
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", str(tmp_path / "objects"))
    numbers = []
    for k in range(2):
        monkeypatch.setattr("autograd_lite.folding.program.cache", structures.Cache())
        x, y = ag.Parameter(3.0), ag.Parameter(2.0)
        numbers = [ag.fold(f, backend="native")() for f in (x * y + ag.tanh(x), ag.exp(x - y) / y)]
        assert np.allclose(numbers, [6.0 + math.tanh(3.0), math.e / 2.0], rtol=1e-14)
        if k == 0:
            first, second = sorted((tmp_path / "objects").iterdir())[:2]
            if what == "swapped":
                a, b = first.read_bytes(), second.read_bytes()
                first.write_bytes(b)
                second.write_bytes(a)
            else:
                for file in (first, second):
                    data = bytearray(file.read_bytes())
                    data[len(data) // 2] ^= 1
                    file.write_bytes(bytes(data))


@needs_native
def test_fault_52_plans_at_random_in_guarded_memory():
    """A plan that is ill-formed: refused by verify; one that is taken: native code touches its own memory alone."""
    pytest.importorskip("mmap")
    from tools import fuzz_native

    assert fuzz_native.main(120, seed=7, at_a_time=120) == []


def test_fault_53_functions_kept_for_many_lengths():
    """A compiled recurrence called with 100 lengths: right, and the programs that are kept are bounded."""
    w = ag.Parameter(0.3)

    def f(xs):
        h = 0.0
        for x in xs:
            h = ag.tanh(w * h + x)
        return h

    compiled = ag.compile(f, params=[w], backend="numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n in range(1, 101):
            assert math.isclose(compiled([0.1] * n), f([0.1] * n).item(), rel_tol=1e-12)
    assert len(structures.cache.known) <= 64


def test_fault_54_minimizing_what_is_not_a_number():
    """`minimize` of a loss that is NaN at the start: refused or ended, and the parameters are as before."""
    p = ag.Parameter(-1.0)
    try:
        stopped = ag.minimize(lambda: ag.log(p) ** 2, [p]).stopped
    except (ValueError, ArithmeticError, RuntimeError) as error:
        stopped = str(error)
    assert re.search("finite|nan", stopped, re.I)
    assert p.data == -1.0


def test_fault_55_a_training_on_programs_takes_the_steps_of_the_scalars():
    """fit(compiled=True): the losses and weights of fit(compiled=False)."""
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20.0) / 20
    found = []
    for compiled in (False, True):
        model = ag.MLP(2, [4, 1], activation="tanh", seed=0)
        history = ag.fit(model, X, y, epochs=3, batch_size=8, seed=1, compiled=compiled, progress=False)
        found.append([*(row["loss"] for row in history.rows), *(p.data for p in model.parameters())])
    assert np.allclose(*found, rtol=1e-11, atol=1e-13)


def test_fault_56_a_dict_in_another_order():
    """A compiled function called with the same keys in another order: the same numbers."""
    f = ag.compile(lambda p: p["a"] - 2.0 * p["b"])
    assert [f({"a": 5.0, "b": 1.0}), f({"b": 1.0, "a": 5.0})] == [3.0, 3.0]
    assert ag.grad(f)({"b": 1.0, "a": 5.0}) == {"a": 1.0, "b": -2.0}


def test_fault_57_a_container_that_grew():
    """A list in a dataclass that is longer at the next call: traced anew."""

    @dataclass
    class Model:
        w: list

    f = ag.compile(lambda m: ag.sum([w * w for w in m.w]))
    assert [f(Model([2.0])), f(Model([2.0, 3.0])), f(Model([2.0]))] == [4.0, 13.0, 4.0]


def test_fault_58_rows_that_differ_where_an_array_is_compared():
    """np.where on an array in a compiled function: live, so that other numbers take the other side."""
    f = ag.compile(lambda x: np.sum(np.where(x > 0, x * x, -x)))
    assert [f(np.array([2.0, -3.0])), f(np.array([-2.0, 3.0]))] == [7.0, 11.0]


def test_fault_59_a_generator_suspended_in_no_grad():
    """A generator or task suspended inside no_grad: others record."""

    @ag.no_grad()
    def values():
        yield ag.Value(2.0) * 3.0
        yield ag.Value(2.0) * 3.0

    async def task():
        with ag.no_grad():
            await asyncio.sleep(0)
            return len((ag.Value(2.0) * 3.0).operands)

    async def both():
        return await asyncio.gather(task(), asyncio.sleep(0, len((ag.Value(2.0) * 3.0).operands)))

    given = values()
    assert [len(next(given).operands), len((ag.Value(2.0) * 3.0).operands)] == [0, 2]
    assert asyncio.run(both()) == [0, 2]


def test_fault_60_an_answer_that_can_be_read_in_a_quiz():
    """The page of a quiz: none of its answers stands in it as text."""
    w, x = ag.Parameter(1.37, name="w"), ag.Value(2.91, name="x")
    quiz = ag.quiz(ag.tanh(w * x - 3.3) ** 2, hide="g", seed=0)
    shown = re.sub(r"<script.*?</script>", "", quiz.html, flags=re.S)
    for answer in quiz.answers.values():
        assert f"{answer:.6g}" not in shown


@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>"])
def test_fault_61_markup_in_pages_that_compute(name):
    """Names like markup in quiz and stepper: text, in the page and in its data."""
    y = (ag.Value(2.0, name=name) * ag.Parameter(3.0, name=name)) ** 2
    for page in (ag.quiz(y).html, ag.step(y).html):
        assert name not in page


def test_fault_62_diagnosing_changes_nothing():
    """diagnose(model, X, y): numbers, gradients and the optimizer as before."""
    model = ag.MLP(2, [3, 1], seed=0)
    optimizer = optim.Adam(model.parameters(), 0.01)
    model([1.0, 2.0]).backward()
    before = [(p.data, p.grad) for p in model.parameters()], str(optimizer.state_dict())
    str(ag.diagnose(model, [[1.0, 2.0], [2.0, 1.0]], [0.5, 1.0], loss="mse", optimizer=optimizer))
    assert before == ([(p.data, p.grad) for p in model.parameters()], str(optimizer.state_dict()))


@pytest.mark.parametrize("language", ["c", "js", "python", "numpy"])
def test_fault_63_names_in_exported_programs(language):
    """A name that ends a comment or a string: not in the file as it is."""
    name = "*/ system(0); /* \"\"\" '''\n${x}"
    w, x = ag.Parameter(2.0, name=name), ag.Parameter(1.5)
    text = ag.fold((w * x) ** 2).source(language)
    assert "system(0)" not in text or "*/ system" not in text
    assert '"""\'' not in text


def test_fault_64_constants_in_exported_programs():
    """Infinity, NaN and -0.0 in a program that is exported: the numbers of the program, signs too."""
    x = ag.Parameter(-2.0)
    program = ag.fold(ag.minimum(x, math.inf) * -0.0 + ag.where(x > -math.inf, 1.5, math.nan))
    text = program.source("python")
    names = {}
    exec(compile(text, "exported", "exec"), names | {"__name__": "exported"})
    assert "nan" in text
    assert program() == 1.5


@pytest.mark.parametrize("name", ["\\input{secret}", "\\write18{ls}", "}\\end{document}", "$^^5c$"])
def test_fault_65_commands_in_tikz(name, tmp_path):
    """A name that is a command of TeX: printed as text."""
    ag.draw(ag.Value(2.0, name=name) * 3.0, symbols="code").save(tmp_path / "x.tikz")
    text = (tmp_path / "x.tikz").read_text()
    assert name not in text
    assert "\\write18" not in text
    assert "^^5c" not in text


@pytest.mark.parametrize("n", [13, 14, 40])
def test_fault_66_scopes_deep_inside_each_other(n):
    """13 or more scopes in each other: drawn, played, asked."""
    x = ag.Value(2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scopes = [ag.scope(f"s{i}") for i in range(n)]
        for one in scopes:
            one.__enter__()
            x = x * 1.5
        for one in reversed(scopes):
            one.__exit__(None, None, None)
        assert ag.draw(x).diagram.boxes
        assert ag.step(x).html
        assert n > 20 or ag.quiz(x).html


@pytest.mark.parametrize("f", [ag.relu, abs, lambda x: ag.maximum(x, 0.0), lambda x: ag.where(x > 0, ag.sqrt(x), 0.0)])
def test_fault_67_compiled_derivatives_at_a_kink(f):
    """compile(grad(f)) and grad(compile(f)) at a kink, at -0.0 and beside it: as eager."""
    for x in (0.0, -0.0, 1e-300, -1e-300, 1.0):
        right = ag.grad(f)(x)
        assert [ag.compile(ag.grad(f))(x), ag.grad(ag.compile(f))(x)] == [right, right]


def test_fault_68_equal_numbers_that_become_different():
    """Parameters of equal numbers, folded, then set to different ones: each is its own."""
    p, q = ag.Parameter(2.0), ag.Parameter(2.0)
    program = ag.fold(p * p * q + q)
    assert program() == 10.0
    p.data, q.data = 3.0, 5.0
    assert program() == 50.0
    program.backward()
    assert [p.grad, q.grad] == [30.0, 10.0]


def test_fault_69_a_loop_of_one_step_and_of_none():
    """A compiled recurrence of 0, 1 and 2 steps after one of 30: right."""
    w = ag.Parameter(0.5)

    def f(xs):
        h = w * 1.0
        for x in xs:
            h = ag.sin(w * h + x)
        return h

    compiled = ag.compile(f, params=[w])
    for n in (30, 2, 1, 0, 30):
        assert math.isclose(compiled([0.2] * n), f([0.2] * n).item(), rel_tol=1e-13)
        with ag.no_grad():  # in numbers
            right = ag.grad(f)([0.2] * n)
            assert np.allclose(ag.grad(compiled)([0.2] * n), right, rtol=1e-12, atol=1e-15)


def test_fault_70_an_error_while_a_function_is_traced():
    """A function that raises under compile: its own error, and nothing is traced afterwards."""

    def f(x, fails):
        y = x * 2.0
        if fails:
            raise ZeroDivisionError("mine")
        return y + 1.0

    compiled = ag.compile(f, static="fails")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="mine"):
            compiled(1.0, fails=True)
        v = ag.Value(3.0)
        assert f"{v > 2.0}" == "True"
        assert float((v * 2.0).item()) == 6.0
        assert [compiled(1.0, fails=False), compiled(2.0, fails=False)] == [3.0, 5.0]
