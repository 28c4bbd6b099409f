"""Random programs in every mode against 50-digit arithmetic, and proof that the oracle notices what is wrong."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

import autograd_lite as ag
from autograd_lite.derivatives import forward, reverse, transforms
from autograd_lite.engine import backward, functions
from autograd_lite.engine.rules import TABLE
from autograd_lite.folding import emitting, program
from tests.engine.domains import exact, is_smooth, ordinary_points_of
from tools import oracle, oracle_numbers, oracle_texts, oracle_truth, oracle_ways


@pytest.mark.parametrize(("first", "last"), [(0, 500), pytest.param(500, 2000, marks=pytest.mark.slow)])
def test_two_thousand_programs(first, last):
    """Of one seed, one in ten folded too. `python -m tools.oracle --count 200000` runs more."""
    tally = oracle.run(range(first, last), seed=0, fold=first + (last - first) // 10)
    assert not tally.over, "\n\n".join(tally.failures)
    public = {name for name in functions.FUNCTIONS if name[0] != "_"} | {*oracle.SEQUENCES, *oracle.ARITHMETIC, "neg"}
    assert public <= tally.operations.keys()
    for what in ("program", "second order"):
        skipped = sum(count for (kind, _), count in tally.skipped.items() if kind == what)
        assert skipped < 0.1 * tally.programs, (what, tally.skipped)
    assert tally.loose < 0.02 * sum(tally.compared.values())  # a bound that allows anything proves nothing


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.booleans())
def test_a_program_that_hypothesis_draws_and_makes_small(rng, fold):
    program, known, _ = oracle.draw(rng)
    tally = oracle.Tally()
    assert oracle.check(program, known, rng, tally, fold, "drawn by hypothesis"), "\n\n".join(tally.failures)


def test_hypothesis_makes_a_program_that_fails_small(monkeypatch):
    bad = ag.primitive("almost_tanh", ag.tanh, lambda a: (1 + 1e-9) / ag.cosh(a) ** 2)
    monkeypatch.setitem(oracle.OPERATORS, "tanh", bad)
    failed = []

    @settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(st.randoms(use_true_random=False))
    def right(rng):
        program, known, _ = oracle.draw(rng)
        if not oracle.check(program, known, rng, oracle.Tally(), False, ""):
            failed.append(program)
            raise AssertionError(program)

    with pytest.raises(AssertionError):
        right()
    assert len(failed[-1].steps) <= 3
    assert "ag.tanh" in str(failed[-1])


# --- the truth is true: the hand-written derivatives against differences of the definitions in domains.py ------


@pytest.mark.parametrize("name", sorted(oracle_truth.PRIMITIVES.keys() - ag.engine.functions.ALIASES.keys()))
def test_the_partials_written_by_hand(name):
    row = TABLE[name]
    for point in ordinary_points_of(row, 12):
        n = len(point)
        try:
            found = oracle_truth.local(name, None, [oracle_truth.mpf(x) for x in point])
        except oracle_truth.Skip:
            continue
        second = {(i, j): h for i, j, h in found.h}
        for i in range(n):
            for j in range(i, n):
                orders = tuple((k == i) + (k == j) for k in range(n))
                first = tuple(int(k == i) for k in range(n))
                for got, order in ((found.d[i], first), (second.get((i, j), second.get((j, i), 0)), orders)):
                    if is_smooth(name, point, order) and got == got and abs(got) < math.inf:
                        with mp.workdps(50):
                            true = exact(name, point, order)
                            off = abs(mpf(got) - true)
                            assert off <= (abs(true) + 1) * mpf(10) ** -25, (point, order, got, true)


@pytest.mark.parametrize("component", [0, 2])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_the_softmax_written_by_hand(name, component):
    """Their logarithms and they themselves are written apart: one is the derivative of what gives the other."""
    mp = oracle_truth.mp
    point = [mp.mpf(x) for x in (0.25, -1.5, 2.0)]
    p = oracle_truth.local("softmax", float(component), point)
    log_p = oracle_truth.local("log_softmax", float(component), point)
    assert abs(mp.log(p.v) - log_p.v) < 1e-45
    for d, log_d in zip(p.d, log_p.d, strict=True):
        assert abs(d - p.v * log_d) < 1e-45
    for (i, j, h), (_, _, log_h) in zip(p.h, log_p.h, strict=True):
        assert abs(h - (p.v * log_h + p.d[i] * log_p.d[j])) < 1e-45


# --- the oracle can fail: a fault is planted, and has to be found ----------------------------------------------


def failures(until="got", most=3000, fold=False, first=0):
    """What the first programs that fail say, up to one that says `until`."""
    tally = oracle.Tally()
    for k in range(first, most):
        oracle.run(range(k, k + 1), 5, k + 1 if fold else 0, tally)
        if any(until in found for found in tally.failures):
            return "\n".join(tally.failures)
    raise AssertionError(f"the planted fault went unnoticed: {tally}")


def test_a_wrong_partial_is_found(monkeypatch):
    bad = ag.primitive("almost_exp", ag.exp, lambda a, out: out * (1 + 1e-9))
    monkeypatch.setitem(oracle.OPERATORS, "exp", bad)
    assert "value: got" not in failures("backward: got")


def test_a_wrong_value_is_found(monkeypatch):
    bad = ag.primitive("almost_sin", lambda a: ag.sin(a) * (1 + 1e-13), ag.cos)
    monkeypatch.setitem(oracle.OPERATORS, "sin", bad)
    failures("value: got")


def test_a_partial_that_is_right_but_cannot_be_differentiated_again_is_found(monkeypatch):
    def partial(a):
        return ag.cosh(a.item() if isinstance(a, ag.Value) else a)

    monkeypatch.setitem(oracle.OPERATORS, "sinh", ag.primitive("flat_sinh", ag.sinh, partial))
    assert "backward: got" not in failures("second order")


def test_a_kink_on_the_wrong_side_is_found(monkeypatch):
    def partial(a):
        return ag.greater_equal(a, 0.0)

    monkeypatch.setitem(oracle.OPERATORS, "relu", ag.primitive("eager_relu", ag.relu, partial))
    failures("backward: got")


def test_an_adjoint_of_zero_that_meets_an_infinite_slope_is_found(monkeypatch):
    """Without the second look that the zero rule needs, 0 * inf comes out as NaN."""

    def careless(nodes, gradient):
        adjoint = dict.fromkeys(nodes, 0.0)
        adjoint[nodes[-1]] = gradient
        for node in nodes:
            for x, d in zip(node.operands, node.local_grads, strict=True):
                adjoint[x] = adjoint.get(x, 0.0) + adjoint[node] * d
        return adjoint

    monkeypatch.setattr(backward, "sweep", careless)
    failures("backward: got nan")


def test_a_contribution_that_is_lost_in_a_derivative_graph_is_found(monkeypatch):
    monkeypatch.setattr(reverse, "accumulate", lambda parts: parts[0])
    assert "backward: got" not in failures("gradients as a graph: got")


def test_a_wrong_forward_mode_is_found(monkeypatch):
    tangents = forward.tangents

    def careless(roots, seeds):
        return {node: t * (1 + 1e-9) for node, t in tangents(roots, seeds).items()}

    monkeypatch.setattr(transforms, "tangents", careless)
    assert "backward: got" not in failures("jvp")


def test_lanes_that_are_merged_though_they_differ_are_found(monkeypatch):
    def careless(emitter, columns, mine):
        emitter.lane[mine] = 0
        return [column[:1] for column in columns]

    monkeypatch.setattr(emitting.Emitter, "_once", careless)
    monkeypatch.setattr(program, "cache", type(program.cache)(0))
    assert "backward: got" not in failures("fold: got", fold=True, first=75)  # 80 merges some


def test_a_mode_that_raises_is_a_failure(monkeypatch):
    def refuses(*_):
        raise RuntimeError("no")

    monkeypatch.setitem(oracle.OPERATORS, "mul", refuses)
    failures("raised RuntimeError: no")


# --- programs as text, in every executor ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", oracle.KINDS)
def test_some_texts_of_every_kind(kind):
    """Uncompiled, and the first compiled too, each somewhere else; `python -m tools.oracle KIND` runs more."""
    tally = oracle.run_texts(range(12), 1, kind, fold=2)
    assert not tally.over, "\n\n".join(tally.failures)
    assert tally.programs == 12
    assert sum(tally.compared.values()) > 12 * 5
    lost = sum(n for (what, _), n in tally.skipped.items() if what == f"{kind}: a point")
    assert lost < 0.3 * 12 * 5, tally.skipped


@pytest.mark.long
@pytest.mark.parametrize("variant", oracle_ways.available())
@pytest.mark.parametrize("kind", oracle.KINDS)
def test_many_texts_of_every_kind_everywhere(kind, variant):
    tally = oracle.run_texts(range(40), 2, kind, variants=[variant])
    assert not tally.over, "\n\n".join(tally.failures)
    assert (kind == "loops") <= bool(tally.looped)


def found_in(kind, most=60):
    """What the first text of a kind that fails says."""
    for k in range(most):
        tally = oracle.run_texts(range(k, k + 1), 7, kind, fold=0)
        if tally.over:
            return "\n".join(tally.failures)
    raise AssertionError("the planted fault went unnoticed")


def test_a_fault_in_a_function_is_found_in_texts(monkeypatch):
    bad = ag.primitive("almost_tanh_in_texts", lambda a: ag.tanh(a) * (1 + 1e-12), lambda a: 1 / ag.cosh(a) ** 2)
    monkeypatch.setattr(ag, "tanh", bad)
    assert "import autograd_lite as ag" in found_in("loops")


@pytest.mark.parametrize("planted", [False, True])
def test_arrays_in_a_list_that_become_lists_are_found(monkeypatch, planted):
    """The fault that the containers found first: + joins lists, and the maximum is another one."""
    if planted:
        monkeypatch.setattr("autograd_lite.folding.forms._holds_containers", lambda x, depth: False)
    form = [("array", (2,)), ("array", (2,))]
    text = oracle_texts.Text("def f(x):\n    return np.max(x[0] + x[1])\n", [form], [[1.0, 2.0, 3.0, 5.0]])
    tally = oracle.Tally()
    trial = oracle_ways.Trial(text, random.Random(0), tally, "by hand", "")
    assert oracle_ways.check(trial, ["numpy"], 2, 2) != planted
    assert bool(tally.over) == planted


def test_the_interpreter_of_nests_runs_programs_with_an_empty_input():
    """An input of no lanes stood in the way."""
    with oracle_ways.VARIANTS["nests interpreted"].active():
        program = ag.compile(lambda x: x[0] * x[1] ** 2, backend="interpreter")
        x = [2.0, 3.0]
        assert list(program.hvp(x, [1.0, 0.0])) == [0.0, 6.0]
        assert list(program.jacobian(x, sparse=True).toarray()[0]) == [9.0, 12.0]
        assert program.jvp((x,), ([1.0, 0.0],)) == (18.0, 9.0)


def test_a_branch_that_hangs_on_rounding_is_not_judged():
    source = "def f(x):\n    return x[0] if ag.sin(x[0]) * ag.sin(x[0]) + ag.cos(x[0]) ** 2 == 1.0 else x[0] * 2.0\n"
    text = oracle_texts.Text(source, [1], [[0.3]])
    with pytest.raises(oracle_truth.Skip, match="branch"):
        oracle_ways.Truth(text, 0)
    text = oracle_texts.Text("def f(x):\n    return x[0] if x[0] == 0.3 else x[0] * 2.0\n", [1], [[0.3]])
    assert oracle_ways.Truth(text, 0).of("gradient", [1.0])[0] == [1.0]


def test_derivatives_inside_a_text_do_not_confuse_their_variables():
    """d/dx of x d/dy (x + y) is 1, and x d/dy (x y) gives 2 x."""
    for inner, slope in (("x[0] + y", 1.0), ("x[0] * y", 0.6)):
        source = f"def f(x):\n    return x[0] * ag.grad(lambda y: {inner})(x[0])\n"
        truth = oracle_ways.Truth(oracle_texts.Text(source, [1], [[0.3]], nested=True), 0)
        assert truth.of("gradient", [1.0])[0] == [pytest.approx(slope)]


def test_single_precision_is_over_at_the_end():
    before = oracle_truth.EPS, oracle_truth.SINGLE
    with oracle_numbers.single():
        assert oracle_truth.nearest(0.1) == oracle_numbers.in_single(0.1) != 0.1
    assert before == (oracle_truth.EPS, oracle_truth.SINGLE)


# --- the command line ------------------------------------------------------------------------------------------


def test_the_command_line_tells_what_it_did(capsys, monkeypatch):
    assert oracle.main(["--count", "60", "--seed", "3", "--fold", "5", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "folded 5," in out
    assert "over their bound 0" in out
    monkeypatch.setitem(oracle.OPERATORS, "add", lambda a, b: a - b)
    assert oracle.main(["--count", "20", "--quiet"]) == 1
    assert "result = v" in capsys.readouterr().out


def test_an_interrupt_keeps_the_tally(capsys, monkeypatch):
    def stop(chunk, seed, fold):
        if chunk.start:
            raise KeyboardInterrupt
        return run(chunk, seed, fold)

    run = oracle.run
    monkeypatch.setattr(oracle, "run", stop)
    assert oracle.main(["--count", "200", "--quiet"]) == 130
    out = capsys.readouterr().out
    assert "programs 50 of" in out
    assert "interrupted" in out


def test_a_run_goes_on_where_its_file_ends(tmp_path, capsys, monkeypatch):
    """Chunks that the file has are not run again; a last line that was cut short is."""
    file = tmp_path / "results.txt"
    words = ["flow", "--programs", "20", "--seed", "3", "--fold", "0", "--quiet", "--results", str(file)]
    assert oracle.main(words) == 0
    whole = capsys.readouterr().out
    lines = file.read_text().splitlines(keepends=True)
    assert [json.loads(line.partition("\t")[2])["programs"] for line in lines] == [10, 10]
    file.write_text(lines[0] + lines[1][:50])
    ran, run_texts = [], oracle.run_texts

    def noted(chunk, *more, **how):
        ran.append(chunk)
        return run_texts(chunk, *more, **how)

    monkeypatch.setattr(oracle, "run_texts", noted)
    assert oracle.main(words) == 0
    assert capsys.readouterr().out == whole
    assert ran == [range(10, 20)]
    assert file.read_text().splitlines(keepends=True) == lines


def test_it_runs_as_a_module():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tools.oracle", "--count", "10", "--jobs", "2", "--quiet"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "programs 10 of" in done.stdout


def test_a_program_prints_as_python_that_makes_it():
    for k in range(40):
        program, _, _ = oracle.draw(random.Random(k))
        names = {"ag": ag, "nan": math.nan, "inf": math.inf}
        exec(str(program), names)
        again, value = names["result"].item(), program([ag.Value(x) for x in program.leaves]).item()
        assert repr(again) == repr(value)
