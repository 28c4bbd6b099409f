"""User-defined primitives: redefinition, names of operands, what text may hold, errors from below."""

import copy
import keyword
import math
import pickle
import subprocess
import sys
import traceback

import pytest

import autograd_lite as ag
from autograd_lite.engine.functions import VALUES
from autograd_lite.engine.rules import TABLE, digest_of, newest, row_called

RULES = {
    "text": [("a ** 2", "2 * a"), ("a ** 3", "3 * out / a")],
    "functions": [(lambda a: a**2, lambda a: 2 * a), (lambda a: a**3, lambda a: 3 * a**2)],
}


@pytest.mark.parametrize("kind", ["text", "functions"])
def test_what_was_made_earlier_keeps_its_row(kind, tmp_path):
    """Functions, rules, graphs, compiled functions, modules, pickles and files: each way by which a row is reached."""
    name = f"custom_again_{kind}"
    first, second = RULES[kind]
    square = ag.primitive(name, *first)
    user = ag.primitive(f"{name}_user", f"{name}(a) + 1", f"{name}(a) * 2 / a")
    compiled = ag.compile(lambda x: square(x) + x)
    early = compiled(2.0)
    late = ag.compile(lambda x: square(x) * x)
    x = ag.Value(2.0)
    y = square(x)
    layer = ag.Neuron(1, name, init=1.0)
    kept = pickle.dumps(y)
    ag.save(layer, tmp_path / "layer.json")
    cube = ag.primitive(name, *second)

    assert (square(3.0), cube(3.0), newest(name).function(3.0)) == (9.0, 27.0, 27.0)
    assert ag.gradients(square(x), x) == 4.0
    assert ag.gradients(ag.gradients(square(x), x, create_graph=True), x) == pytest.approx(2.0)
    assert ag.gradients(cube(x), x) == 12.0
    assert (user(3.0), ag.gradients(user(x), x)) == (10.0, 4.0)
    assert ag.primitive(f"{name}_user", f"{name}(a) + 1", f"{name}(a) * 3 / a")(3.0) == 28.0
    assert (compiled(2.0), compiled(3.0), early) == (6.0, 12.0, 6.0)
    assert late(3.0) == 27.0
    assert layer([3.0]).item() == 9.0
    assert ag.Neuron(1, name, init=1.0)([3.0]).item() == 27.0
    for twin in (pickle.loads(kept), copy.deepcopy(y), copy.copy(y)):
        assert twin._row is y._row
    assert ag.load(tmp_path / "layer.json")([3.0]).item() == 9.0
    assert ag.load(tmp_path / "layer.json").activation is not None
    ag.save(ag.load(tmp_path / "layer.json"), tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "layer.json").read_bytes()
    both = ag.compile(lambda x: square(x) + cube(x))
    assert both(2.0) == 12.0
    assert both(3.0) == 36.0


ELSEWHERE = """
import pickle, sys
import autograd_lite as ag
ag.primitive("custom_sent", *{rules})
try:
    print(pickle.loads(bytes.fromhex({data!r}))())
    print(ag.load({path!r})([3.0]).item())
except ValueError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ('("a ** 2", "2 * a")', ["9.0", "9.0"]),
        ('("a**2", " 2*a ")', ["9.0", "9.0"]),  # blanks are not a difference
        ('("a ** 3", "3 * a * a")', ["refused: the primitive 'custom_sent' is defined differently here"]),
    ],
)
def test_another_process_has_the_same_definition_or_refuses(rules, words, tmp_path):
    sent = ag.primitive("custom_sent", "a ** 2", "2 * a")
    data = pickle.dumps(ag.fold(sent(ag.Parameter(3.0)))).hex()
    path = str(tmp_path / "sent.json")
    ag.save(ag.Neuron(1, "custom_sent", init=1.0), path)
    program = ELSEWHERE.format(rules=rules, data=data, path=path)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line, wanted in zip(done.stdout.splitlines(), words, strict=True):
        assert line.startswith(wanted)


def test_a_file_of_another_definition_is_refused(tmp_path):
    ag.primitive("custom_file", "a ** 2", "2 * a")
    ag.save(ag.MLP(1, [2, 1], "custom_file", seed=0), tmp_path / "file.json")
    key = newest("custom_file").key
    row = TABLE.pop(key)
    with pytest.raises(ValueError, match=r"no primitive 'custom_file'.*ag\.primitive"):
        ag.load(tmp_path / "file.json")
    ag.primitive("custom_file", "a ** 4", "4 * a ** 3")
    with pytest.raises(ValueError, match="'custom_file' is defined differently here"):
        ag.load(tmp_path / "file.json")
    TABLE[key] = row


def test_digests_see_code_constants_and_closures():
    def power(n):
        return lambda a: a**n

    assert digest_of(power(2.0)) == digest_of(power(2.0)) != digest_of(power(3.0))
    assert digest_of(lambda a: a + 1) != digest_of(lambda a: a + 2) != digest_of(lambda a: a - 2)
    assert digest_of(math.sin) != digest_of(math.cos)
    assert digest_of("exp(a)", "out") == digest_of("exp( a )", "out") != digest_of("exp(a)", "2 * out")
    row = newest("custom_old") or ag.primitive("custom_old", lambda a: a, lambda a: 1.0).row
    assert row_called("custom_old") is row, "a pickle from before digests"
    assert row_called("custom_old", "cpython-00:0") is row, "bytecode of another Python tells nothing"


# --- names ---------------------------------------------------------------------------------------------

INNER = ["Value", "plain", "isinstance", "out", "record", "as_float", "apply", "apply_", "row", "node", "new", "float",
         "special", "to_float", "type", "hot", "self", "x", "print", "True_", "é", "given", "zip"]  # fmt: skip


@pytest.mark.parametrize("name", [*INNER, *(x for x in VALUES if x.isidentifier() and not keyword.iskeyword(x))][:80])
def test_an_operand_may_have_any_name_or_is_refused_by_name(name):
    space = {}
    exec(f"def forward({name}, b_): return {name} * b_\ndef partials({name}, b_): return b_, {name}", space)
    f = ag.primitive("custom_operand", space["forward"], space["partials"])
    x = ag.Value(3.0)
    y = f(x, 2.0)
    y.backward()
    assert (f(3.0, 2.0), y.item(), x.grad, ag.fold(y)()) == (6.0, 6.0, 2.0, 6.0)
    assert f(**{name: 3.0}, b_=2.0) == 6.0
    with pytest.raises(TypeError, match=f"custom_operand: {name}: expected a real number"):
        f("3", 2.0)
    try:
        f = ag.primitive("custom_operand", f"{name} * b_", f"b_, {name}")
    except ValueError as error:
        assert name in str(error) or "derivatives for 1 operands" in str(error)  # noqa: PT017
    else:
        assert (f(3.0, 2.0), ag.gradients(f(x, 2.0), x)) == (6.0, 2.0)


@pytest.mark.parametrize("name", ["apply", "leaf", "literal", "Value", "isinstance", "special", "custom", "row"])
def test_a_primitive_may_have_any_free_name(name):
    f = ag.primitive(name, "a * exp(a)", "out + exp(a)")
    x = ag.Value(0.5)
    assert f(x).item() == f(0.5) == ag.compile(f)(0.5)
    slope = ag.gradients(f(x), x, create_graph=True)
    assert slope.item() == pytest.approx(1.5 * math.exp(0.5))
    assert ag.gradients(slope, x) == pytest.approx(2.5 * math.exp(0.5))


@pytest.mark.parametrize("name", ["len", "last", "inf", "nan", "exp", "dot", "where", "div", "lambda", "_a", ""])
def test_names_of_the_language_are_refused(name):
    with pytest.raises(ValueError, match="primitive: "):
        ag.primitive(name, "a * 2", "2")


# --- text ----------------------------------------------------------------------------------------------

OUTSIDE = [
    "((lambda: 0).__globals__)", "a.real", "(lambda: a)()", "[x for x in a]", "{x for x in a}", "{1: a}", "{a}",
    "sum(x for x in [a])", "a[0]", "(b := a)", "f'{a}'", "'text'", "b'x'", "1j * a", "None", "...", "await a",
    "exp(*[a])", "exp(a=a)", "exp(**a)", "exp(a).real", "exp.__class__(a)", "__import__('os')", "eval(a)", "open(a)",
    "a if a.b else a", "yield a", "print(a)", "exp(a)(a)", "a; a", "a = 1", "import os", "", " ", "\x00", "\ud800",
    "(" * 300 + "a" + ")" * 300, "-" * 100_000 + "a", "+".join(["a"] * 100_000),
]  # fmt: skip


@pytest.mark.parametrize("text", OUTSIDE, ids=range(len(OUTSIDE)))
def test_text_is_arithmetic_and_nothing_else(text):
    for rules in ((text, "1"), ("a * 2", text)):
        with pytest.raises(ValueError, match="primitive 'custom_text': "):
            ag.primitive("custom_text", *rules)
    assert newest("custom_text") is None


@pytest.mark.parametrize(
    "text", ["a", "-a ** 2", "where(a > 0, a, 0.5 * a)", "exp(a) / (1 + exp(a))", "sum([a, a, 1])", "max([a, 0.0])"]
)
def test_arithmetic_is_taken(text):
    assert math.isfinite(ag.primitive("custom_taken", text, "1")(0.5))


# --- errors from below -----------------------------------------------------------------------------------


def below():
    scipy = pytest.importorskip("scipy.special")
    np = pytest.importorskip("numpy")
    return {
        "scipy": (math.lgamma, scipy.digamma),
        "numpy": (math.sin, lambda a: np.frexp(a)[0]),
        "math": (math.sin, math.cos),
        "method": (lambda a: a * 2, lambda a: a.hex() and 2.0),
    }


@pytest.mark.parametrize("kind", ["scipy", "numpy", "math", "method"])
def test_a_second_derivative_of_a_foreign_partial_says_what_to_write(kind):
    forward, partials = below()[kind]
    f = ag.primitive("custom_below", forward, lambda a: partials(a) * 1)
    x = ag.Value(2.5)
    assert math.isfinite(ag.gradients(f(x), x))
    with pytest.raises(TypeError, match=r"primitive 'custom_below': .*ag\.exp for math\.exp.*a primitive") as caught:
        ag.gradients(f(x), x, create_graph=True)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("forward", "at", "kind"),
    [
        (math.sqrt, -1.0, ValueError), (math.exp, 1e4, OverflowError), (lambda a: 1 / a, 0.0, ValueError),
        (lambda a: a + "x", 1.0, TypeError), (lambda a: None, 1.0, TypeError), (lambda a: ["x"], 1.0, TypeError),
    ],
)  # fmt: skip
def test_an_error_in_a_rule_names_the_primitive(forward, at, kind):
    def rule(a):
        return forward(a)

    f = ag.primitive("custom_error", rule, lambda a: 1.0)
    g = ag.primitive("custom_error_2", lambda a: a, rule)
    for call in (lambda: f(at), lambda: f(ag.Value(at)), lambda: g(ag.Value(at))):
        with pytest.raises(kind, match="primitive 'custom_error") as caught:
            call()
        text = "".join(traceback.format_exception(caught.value))
        assert text.count("Traceback") == 1
        assert "forward(a)" in text or "as_float" in text, "the line of the rule is shown"


def test_an_error_of_the_users_own_stays():
    class Mine(ValueError):
        pass

    def forward(a):
        raise Mine("as it is")

    with pytest.raises(Mine, match="as it is"):
        ag.primitive("custom_mine", forward, lambda a: 1.0)(1.0)
