"""The elementary functions of the native backend: against mpmath, against the float kernels, and on other processors.

Rows of the table are tried here too, their text on vectors: each within its own bound, values and local derivatives.
"""

import ctypes
import math
import operator
import os
import random
import re
import struct
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from mpmath import mp, mpf

from autograd_lite.engine.kernels import FLOATS
from autograd_lite.engine.lowering import lower
from autograd_lite.engine.rules import TABLE
from autograd_lite.folding.backends.native import jit
from autograd_lite.folding.backends.native.emit import DOUBLE, FLOAT, NUMBERS, PIECE, Module
from autograd_lite.folding.backends.native.functions import ELEMENTARY
from autograd_lite.folding.nests import FURTHER, STEPS
from tests.engine.domains import CHOICES, CONSTANT, DEFINITIONS, exact, inside, is_smooth, numbers_of, points_of
from tests.engine.test_table import POINTS, SMALLEST_NORMAL, bound_of, is_close
from tests.helpers.vectorised import COMPARED, OPERANDS, TYPES, compiled, elementary, row_on_arrays, text_of

pytestmark = pytest.mark.skipif(bool(jit.why_not()), reason=jit.why_not() or "native code runs here")
ROOT = Path(__file__).parents[2]
nan, inf = math.nan, math.inf

ULP = {"erf": 1.0, "sinh": 0.85, "expm1": 0.8, "_ndtr": 0.8, "tan": 0.8}
"""The bound that each function keeps, in units in the last place, where it is not 0.7."""
EVERYDAY = 0.7
EXACT = {"add", "sub", "mul", "div", "neg", "abs", "floor", "ceil", "sqrt", "select"}
SMOOTH = sorted(ELEMENTARY.keys() & DEFINITIONS.keys() - EXACT)

each_number = pytest.mark.parametrize("number", NUMBERS.values(), ids=lambda number: number.name)


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
    """Nothing is left in the user's cache."""
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", "off")


def largest(number):
    return 2.0**number.bias * (2.0 - 2.0**-number.mantissa)


def ulps(got, true, number):
    """How far a result is from the exact one, in units in the last place of that."""
    if not math.isfinite(got):
        overflow = abs(true) >= mpf(largest(number)) * (1 + mpf(2) ** (-number.mantissa - 2))
        return 0.0 if math.isinf(got) and overflow and (got > 0) == (true > 0) else inf
    exponent = max(mp.floor(mp.log(abs(true), 2)), 1 - number.bias) if true else 1 - number.bias
    return float(abs(got - true) / mpf(2) ** (exponent - number.mantissa))


def arguments_of(name, number, n):
    """n points of a row's domain that the format can hold."""
    row, rng = TABLE[name], random.Random(name)
    if number is DOUBLE:
        return [tuple(point) for point in points_of(row, n)]
    columns = []
    for operand, interval in zip(row.operands, row.domain, strict=True):
        choices = CHOICES.get((name, operand))
        column = [rng.choice(choices) for _ in range(n)] if choices else numbers_of(interval, rng, n, -44.0, 38.0)
        rng.shuffle(column)
        columns.append([float(np.float32(x)) if abs(x) < 3e38 else x for x in column])
    points = [list(point) for point in zip(*columns, strict=True)]
    for point in points[::3]:
        if len(point) > 1 and name != "_gauss":
            point[1] = float(np.float32(point[0] * (1 + 10 ** rng.uniform(-7, 0))))
    kept = [tuple(point) for point in points if all(map(inside, point, row.domain)) or name == "_gauss"]
    return [point for point in kept if all(abs(x) < largest(FLOAT) for x in point)]


@each_number
@pytest.mark.parametrize("name", SMOOTH)
def test_within_its_bound_of_the_exact_value(name, number):
    assert ULP.get(name, EVERYDAY) <= TABLE[name].ulp[0]
    points = arguments_of(name, number, 150)
    assert len(points) > 100
    found = elementary(name, number)(*np.array(points).T).tolist()
    worst = max((ulps(got, exact(name, point), number), point) for got, point in zip(found, points, strict=True))
    assert worst[0] <= ULP.get(name, EVERYDAY), worst


HUGE = [
    2.0**30, math.nextafter(2.0**30, inf), 2.0**31 + 0.5, 1e10, 1e15, 1e22, 2.0**53, 2.0**63, 2.0**64, 1e100, 1e300,
    6381956970095103.0 * 2.0**797, 1.7976931348623157e308, *(math.pi / 2 * 3.0**k for k in range(0, 600, 7)),
]  # fmt: skip
"""The twelfth is the double that is nearest to a multiple of pi / 2."""


@each_number
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_huge_angles(name, number):
    xs = [float(TYPES[number.name](x)) for x in HUGE if x < largest(number)]
    xs += [-x for x in xs]
    for got, x in zip(elementary(name, number)(xs).tolist(), xs, strict=True):
        with mp.workprec(1400):
            assert ulps(got, DEFINITIONS[name](mpf(x)), number) <= ULP.get(name, EVERYDAY), x


# --- special values -------------------------------------------------------------------------------------

SPECIAL = [
    0.0, 5e-324, 2.0**-1074 * 3, 2.0**-1030, 2.0**-1022, 1e-300, 1e-160, 1e-20, 2.0**-53, 1e-9, 0.1, 0.25,
    math.nextafter(0.5, 0.0), 0.5, 0.7, math.nextafter(1.0, 0.0), 1.0, math.nextafter(1.0, 2.0), 1.5, 2.0, 3.0, 4.0,
    10.0, 19.0, 22.5, 27.0, 38.0, 39.0, 40.0, 100.0, 700.0, 709.5, 710.3, 711.0, 745.0, 746.0, 1000.0, 1e5, 2.0**31,
    2.0**52 + 1.0, 2.0**53, 2.0**54, 1e100, 1e155, 1e300, 2.0**1023, 1.7976931348623157e308, inf,
]  # fmt: skip
SPECIAL = [*SPECIAL, *(-x for x in SPECIAL), nan]
FEW = [0.0, 5e-324, 1e-300, 1e-9, 0.5, 1.0, 1.5, 2.0, 3.0, 40.5, 700.0, 2.0**53 - 1.0, 2.0**53, 1e160, 1.7e308, inf]
FEW = [*FEW, *(-x for x in FEW), nan]


def kernel(name):
    if name == "select":
        return lambda c, a, b: a if c > 0.0 else b
    if name in COMPARED:
        return lambda a, b: float(getattr(operator, name)(a, b))
    plain = {"add": "a + b", "sub": "a - b", "mul": "a * b", "neg": "-a", "abs": "abs(a)"}
    if name in plain:
        return eval(f"lambda a, b=0.0: {plain[name]}")
    return FLOATS[name] if name in FLOATS else TABLE[name].value


def is_same(got, want):
    """Equal in kind and sign, and for finite numbers within 2 ulp, of subnormal ones too."""
    if want != want or got != got:
        return want != want and got != got
    if math.isinf(want) or math.isinf(got):
        return got == want
    return math.copysign(1.0, got) == math.copysign(1.0, want) and abs(got - want) <= 2 * math.ulp(want)


@pytest.mark.parametrize("name", sorted(ELEMENTARY))
def test_special_values_are_those_of_the_kernels(name):
    n = OPERANDS[name]
    points = list(product(SPECIAL if n == 1 else FEW, repeat=n))
    if name == "_gauss":
        points = [(a, s) for a in SPECIAL for s in (0.5, 1.0, nan)]
    found = elementary(name)(*np.array(points).T).tolist()
    wrong = [(x, y, kernel(name)(*x)) for x, y in zip(points, found, strict=True) if not is_same(y, kernel(name)(*x))]
    wrong = [(x, got, want) for x, got, want in wrong if not _kernel_is_worse(name, x, got, want)]
    assert not wrong, wrong[:10]


def _kernel_is_worse(name, point, got, want):
    """A row promises 2 ulp, some 6: where the kernel is off by one and the native function by none, say."""
    if not (math.isfinite(got) and math.isfinite(want)) or name not in DEFINITIONS:
        return False
    return ulps(got, exact(name, point), DOUBLE) <= ULP.get(name, EVERYDAY)


@pytest.mark.parametrize("name", sorted(ELEMENTARY))
def test_special_values_of_float(name):
    """As those of double where the argument and the result are 0, infinite, NaN or 1; and of that sign."""
    plain = [0.0, 0.5, 1.0, 2.0, 3.0, inf]
    points = list(product([*plain, *(-x for x in plain), nan], repeat=OPERANDS[name]))
    found, wanted = (elementary(name, number)(*np.array(points).T).tolist() for number in (FLOAT, DOUBLE))
    for x, got, want in zip(points, found, wanted, strict=True):
        if want != want or math.isinf(want) or want in (0.0, 1.0, -1.0):
            assert is_same(got, want), (x, got, want)
        else:
            assert math.isclose(got, want, rel_tol=1e-6), (x, got, want)


@pytest.mark.parametrize(
    ("base", "exponents"), [(2.0, range(-1074, 1024)), (3.0, range(34)), (10.0, range(23)), (-5.0, range(23))]
)
def test_powers_that_are_whole_numbers_are_exact(base, exponents):
    found = elementary("pow")(np.full(len(exponents), base), exponents)
    assert found.tolist() == [float(base) ** e for e in exponents]


@pytest.mark.parametrize("exponent", [2.0, 3.0, 1.0, 0.5, -1.0, 0.0, -2.5])
def test_a_known_exponent(exponent):
    found = compiled(lambda a: [ELEMENTARY["pow"](a, exponent)], 1, 1, DOUBLE)(SPECIAL)[0].tolist()
    for x, got in zip(SPECIAL, found, strict=True):
        assert is_same(got, FLOATS["pow"](x, exponent)), (x, got)


@pytest.mark.parametrize("name", [name for name, n in OPERANDS.items() if n == 2])
@pytest.mark.parametrize("number", [0.5, -1.5])
def test_a_known_number_stands_for_an_operand(name, number):
    def build(x):
        made = [ELEMENTARY[name](x, number), ELEMENTARY[name](number, x)]
        return [ELEMENTARY["select"](y, 1.0, 0.0) for y in made] if name in COMPARED else made

    xs = [0.0, 0.5, 1.0, 2.0, -1.5]
    for found, both in zip(
        compiled(build, 1, 2, DOUBLE)(xs), (lambda x: (x, number), lambda x: (number, x)), strict=True
    ):
        assert all(is_same(got, kernel(name)(*both(x))) for x, got in zip(xs, found.tolist(), strict=True))


def test_logarithms_of_powers_are_exact():
    assert elementary("log2")([2.0**k for k in range(-1074, 1024)]).tolist() == list(range(-1074, 1024))
    assert elementary("log10")([10.0**k for k in range(23)]).tolist() == list(range(23))
    assert elementary("cbrt")([k**3 for k in range(-1000, 1000)]).tolist() == list(range(-1000, 1000))


# --- rows -----------------------------------------------------------------------------------------------


def is_native(row):
    """Whether the native functions have all that a row is lowered to; what lacks one runs as a step of NumPy."""
    codes = [lower(row, slot) for slot in range(-1, len(row.operands))]
    return all(step.name in ELEMENTARY for code in codes for step in code.steps)


def test_what_a_loop_may_hold_is_what_there_are_functions_for():
    assert ELEMENTARY.keys() == STEPS - set(FURTHER)


TEXTS = [
    row
    for row in TABLE.values()
    if row.builtin and not row.variadic and isinstance(row.forward, str) and is_native(row)
]


@pytest.mark.parametrize("row", TEXTS, ids=lambda row: row.name)
def test_a_row_keeps_its_promise_on_vectors(row):
    points = points_of(row, POINTS)
    found = [ys.tolist() for ys in row_on_arrays(row.name)(*np.array(points).T)]
    for k, point in enumerate(points):
        value = found[0][k]
        true = exact(row.name, point)
        assert is_close(value, true, bound_of(row, 0, point, true)), (point, value, true)
        for i, got in enumerate(ys[k] for ys in found[1:]):
            orders = tuple(int(i == j) for j in range(len(point)))
            true = mpf(0) if row.name in CONSTANT else exact(row.name, point, orders)
            bound = bound_of(row, 1, point, true)
            if 0 < abs(value) < SMALLEST_NORMAL:
                bound += abs(true) * (2.0**-1073 / abs(value))
            if not is_close(got, true, bound):
                assert not is_smooth(row.name, point, orders), (point, i, got, true)


# --- processors and versions ----------------------------------------------------------------------------


def in_a_process(*arguments):
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_same_bits_on_avx2_and_avx512():
    """Each in a process of its own: a wrong guess about a processor ends the process."""
    features = in_a_process("-c", "import llvmlite.binding as b; print(b.get_host_cpu_features().flatten())")
    targets = [
        cpu for cpu, need in (("haswell", "+avx2"), ("skylake-avx512", "+avx512dq")) if need in features.split(",")
    ]
    if len(targets) < 2:
        pytest.skip(f"this machine runs {' and '.join(targets) or 'neither'} of AVX2 and AVX-512")
    found = {cpu: in_a_process("-m", "tests.helpers.vectorised", cpu) for cpu in targets}
    assert len(set(found.values())) == 1, found


def test_masked_memory_is_spelled_by_version():
    spelled = {version: text_of(lambda x: [x], 1, 1, DOUBLE, version) for version in (20, 21, 22, 23)}
    assert spelled[20] == spelled[21]
    assert spelled[22] == spelled[23]
    assert "@llvm.masked.load.v8f64.p0(ptr %v" in spelled[20]
    assert ", i32 8, <8 x i1>" in spelled[20]
    assert "(ptr align 8 %v" in spelled[22]
    assert "i32 8, <8" not in spelled[22]


@pytest.mark.slow
def test_coefficients_are_those_of_the_tool():
    from tools.fit_functions import PATH, text

    assert PATH.read_text() == text()


# --- the emitter ----------------------------------------------------------------------------------------


def run(module, name, *arrays, counts=()):
    code = jit.compile_text(module.text())
    function = code.function(name, *[ctypes.c_void_p] * len(arrays), *[ctypes.c_int64] * len(counts))
    function(*(array.ctypes.data for array in arrays), *counts)


@each_number
@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 40])
def test_a_loop_reads_and_writes_no_more_than_it_is_given(n, number):
    twice = compiled(lambda x, y: [x * 2.0 + y, x - y], 2, 2, number)
    x, y = np.arange(n), np.arange(n) ** 2
    assert [z.tolist() for z in twice(x, y)] == [(2 * x + y).tolist(), (x - y).tolist()]
    dtype = TYPES[number.name]
    module = Module(number, version=jit.llvm_version())
    block = module.function("run", "ptr %x, ptr %y, i64 %n")

    def body(i, carried):
        block.store(block.load(block.address("%x", (i, 1))), block.address("%y", (i, 1)), block.first_lanes(i, "%n"))
        return carried

    block.loop("%n", module.lanes, body)
    source, target = np.arange(64, dtype=dtype), np.full(64, -1, dtype)
    run(module, "run", source, target, counts=(n,))
    assert target.tolist() == [*range(n), *[-1.0] * (64 - n)]


@each_number
def test_gather_scatter_transpose_and_sum(number):
    lanes, dtype = number.lanes, TYPES[number.name]
    module = Module(number, version=jit.llvm_version())
    block = module.function("run", "ptr %x, ptr %y, ptr %table")
    index = block.load_index("%table")
    some = block.first_lanes(0, lanes - 2)
    block.store(block.gather("%x", index, some), "%y")
    block.scatter(block.gather("%x", index), block.address("%y", (1, lanes)), index, some)
    rows = [block.load(block.address("%x", (i, lanes))) for i in range(lanes)]
    for i, row in enumerate(block.transpose(rows)):
        block.store(row, block.address("%y", (2 + i, lanes)))
    block.store_one(block.sum(rows[0]), block.address("%y", (2 + lanes, lanes)))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(lanes, lanes)).astype(dtype), np.zeros((lanes + 3, lanes), dtype)
    table = rng.permutation(lanes).astype(np.int32)
    run(module, "run", x, y, table)
    assert y[0].tolist() == [*x.ravel()[table][:-2].tolist(), 0.0, 0.0]
    scattered = np.zeros(lanes, dtype)
    scattered[table[:-2]] = x.ravel()[table[:-2]]
    assert y[1].tolist() == scattered.tolist()
    assert (y[2 : 2 + lanes] == x.T).all()
    tree = x[0]
    while len(tree) > 1:
        tree = tree[: len(tree) // 2] + tree[len(tree) // 2 :]
    assert y[2 + lanes, 0] == tree[0]


def test_nested_loops_carry_vectors():
    module = Module(DOUBLE, version=jit.llvm_version())
    block = module.function("run", "ptr %x, ptr %y, i64 %rows")

    def row(i, sums):
        def column(j, inner):
            return [inner[0] + block.load(block.address("%x", (i, 24), (j, 1)))]

        return block.loop(24, 8, column, sums)

    (total,) = block.loop("%rows", 1, row, [block.constant(0.0)])
    block.store(total, "%y")
    x, y = np.arange(120.0), np.zeros(8)
    run(module, "run", x, y, counts=(5,))
    assert y.tolist() == x.reshape(-1, 8).sum(0).tolist()


def test_code_is_cut_and_called_in_order():
    module = Module(DOUBLE, version=jit.llvm_version())

    def step(block):
        block.store(block.load("%x") * 1.5 + 1.0, "%x")

    module.sequence("run", "ptr %x", [step] * 1000)
    pieces = re.findall(r"define .*?\n}", module.text(), re.S)
    assert len(pieces) > 10
    assert all(piece.count("\n") < PIECE + 20 for piece in pieces)
    x, want = np.full(8, 1e-3), 1e-3
    run(module, "run", x)
    for _ in range(1000):
        want = want * 1.5 + 1.0
    assert x.tolist() == [want] * 8


def test_what_is_rare_is_skipped():
    module = Module(DOUBLE, version=jit.llvm_version())
    block = module.function("run", "ptr %x, ptr %y")
    x = block.load("%x")

    def body():
        block.store(1.0, "%y")  # seen only where it runs
        return [x * 2.0]

    block.store(block.rarely(x > 5.0, body, [x])[0], "%x")
    for largest_x, ran in ((4.0, 0.0), (6.0, 1.0)):
        array, y = np.array([*[1.0] * 7, largest_x]), np.zeros(8)
        run(module, "run", array, y)
        assert y.tolist() == [ran] * 8
        assert array.tolist() == [*[1.0 + ran] * 7, largest_x * (1 + ran)]


def test_a_function_is_written_once_and_called():
    module = Module(DOUBLE, version=jit.llvm_version())
    block = module.function("run", "ptr %x")
    x = block.load("%x")
    for _ in range(3):
        x = block.call("tanh", ELEMENTARY["tanh"], x)
    block.store(x, "%x")
    array = np.linspace(-2, 2, 8)
    run(module, "run", array)
    assert module.text().count("define") == 2
    assert np.allclose(array, np.tanh(np.tanh(np.tanh(np.linspace(-2, 2, 8)))), rtol=1e-15)


def test_a_float_constant_is_rounded_to_float():
    assert FLOAT.literal(0.1) == f"0x{struct.unpack('<Q', struct.pack('<d', float(np.float32(0.1))))[0]:016X}"
    assert (DOUBLE.bias, FLOAT.bias, DOUBLE.smallest, FLOAT.smallest) == (1023, 127, 2.0**-1022, 2.0**-126)


# --- compiling ------------------------------------------------------------------------------------------

SQUARE = text_of(lambda x: [x * x], 1, 1, DOUBLE) if not jit.why_not() else ""


def squares(code):
    x = np.arange(5.0)
    y = np.empty(5)
    code.function("run", *[ctypes.c_void_p] * 2, ctypes.c_int64)(x.ctypes.data, y.ctypes.data, 5)
    return y.tolist()


def test_object_code_is_kept_and_found(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", str(tmp_path / "objects"))
    first, second = jit.compile_text(SQUARE), jit.compile_text(SQUARE)
    assert (first.cached, second.cached) == (False, True)
    assert squares(first) == squares(second) == [0.0, 1.0, 4.0, 9.0, 16.0]
    (kept,) = (tmp_path / "objects").iterdir()
    assert kept.suffix == ".o"
    assert not jit.compile_text(SQUARE + "\n; another text").cached
    assert not jit.compile_text(SQUARE, jit.Target("haswell", "")).cached


def _flipped(path):
    stored = bytearray(path.read_bytes())
    stored[len(stored) // 2] ^= 4  # an instruction, or an address in one
    path.write_bytes(bytes(stored))


def _another(path):
    jit.compile_text(SQUARE + "\n; another text")
    other = next(file for file in path.parent.iterdir() if file != path)
    other.replace(path)


def _directory(path):
    path.unlink()
    path.mkdir()


def _fifo(path):
    path.unlink()
    os.mkfifo(path)


DAMAGED = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "the digest alone": lambda path: path.write_bytes(path.read_bytes()[:32]),
    "empty": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "a bit flipped": _flipped,
    "code of another program, which is whole": _another,
    "a directory": _directory,
    "a FIFO": _fifo,
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to(path.parent / "nothing")),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_object_code_that_is_not_what_was_kept_is_not_run(what, monkeypatch, tmp_path):
    """It is made anew, and kept where that can be."""
    if what == "a FIFO" and not hasattr(os, "mkfifo"):
        pytest.skip("no FIFOs on this system")
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", str(tmp_path / "objects"))
    jit.compile_text(SQUARE)
    (kept,) = (tmp_path / "objects").iterdir()
    whole = kept.read_bytes()
    DAMAGED[what](kept)
    anew = jit.compile_text(SQUARE)
    assert not anew.cached
    assert squares(anew) == [0.0, 1.0, 4.0, 9.0, 16.0]
    if not kept.is_dir():
        assert kept.read_bytes() == whole
        assert jit.compile_text(SQUARE).cached
    assert len(list(kept.parent.iterdir())) == 1  # nothing is left beside it


def test_every_bit_of_kept_object_code_counts(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", str(tmp_path / "objects"))
    jit.compile_text(SQUARE)
    (kept,) = (tmp_path / "objects").iterdir()
    whole = kept.read_bytes()
    for place in range(len(whole)):
        kept.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        assert jit._read(kept) is None
    kept.write_bytes(whole)
    assert jit._read(kept) == whole[32:]


@pytest.mark.parametrize("what", ["open", "read", "write", "replace", "mkdir"])
def test_without_rights_or_room_code_is_made_each_time(what, monkeypatch, tmp_path):
    """On a full disk, and where a file or directory may not be read or written: nothing is left, nothing raised."""
    directory = tmp_path / "objects"
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", str(directory))

    def refused(*args, **more):
        raise PermissionError(13, "Permission denied")

    class Full:
        def __init__(self, handle, mode):
            os.close(handle)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def write(self, data):
            raise OSError(28, "No space left on device")

    if what == "read":
        jit.compile_text(SQUARE)
        monkeypatch.setattr(Path, "read_bytes", refused)
    place, name, other = {
        "open": (jit.tempfile, "mkstemp", refused),
        "read": (jit.os, "replace", refused),
        "write": (jit.os, "fdopen", Full),
        "replace": (jit.os, "replace", refused),
        "mkdir": (Path, "mkdir", refused),
    }[what]
    monkeypatch.setattr(place, name, other)
    for _ in range(2):
        code = jit.compile_text(SQUARE)
        assert not code.cached
        assert squares(code) == [0.0, 1.0, 4.0, 9.0, 16.0]
    assert len(list(directory.glob("*"))) == (what == "read")


def test_an_interrupt_while_code_is_kept_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", str(tmp_path / "objects"))

    def stopped(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(jit.os, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            jit.compile_text(SQUARE)
    assert not list((tmp_path / "objects").iterdir())
    assert squares(jit.compile_text(SQUARE)) == [0.0, 1.0, 4.0, 9.0, 16.0]


WRITER = """
import sys
from autograd_lite.folding.backends.native import jit
text = sys.stdin.read()
target = jit.Target.host()
path = jit._cached(text, target)
sys.stdin.close()
for k in range(100):
    code = jit.compile_text(text)
    assert jit._read(path) is not None, "what another process was writing was seen"
    if k % 3 == 0:
        jit._write(path, jit._read(path))
"""


def test_ten_processes_write_one_cache(tmp_path):
    """Each sees whole files alone, whoever wrote them last."""
    where = os.environ | {"AUTOGRAD_LITE_CACHE": str(tmp_path / "objects"), "PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER], env=where, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(10)
    ]
    for writer in writers:
        writer.stdin.write(SQUARE.encode())
        writer.stdin.close()
        writer.stdin = None
    for writer in writers:
        assert writer.communicate()[1] == b""
        assert writer.returncode == 0
    assert len(list((tmp_path / "objects").iterdir())) == 1


def test_the_cache_is_switched_off(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", "off")
    assert jit.cache_directory() is None
    assert not jit.compile_text(SQUARE).cached
    assert not jit.compile_text(SQUARE).cached
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a user's directories to the user")
def test_a_cache_that_others_can_write_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", str(tmp_path))
    jit.compile_text(SQUARE)
    assert jit.compile_text(SQUARE).cached
    tmp_path.chmod(0o777)
    assert not jit.compile_text(SQUARE).cached
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", str(tmp_path / "a file"))
    (tmp_path / "a file").write_text("")
    assert squares(jit.compile_text(SQUARE)) == [0.0, 1.0, 4.0, 9.0, 16.0]


def test_text_that_is_wrong_and_names_that_are_missing():
    with pytest.raises(RuntimeError, match="expected"):
        jit.compile_text("define void @run( {")
    with pytest.raises(KeyError, match="no function 'walk'"):
        jit.compile_text(SQUARE).function("walk")


def test_without_llvmlite_there_is_a_reason():
    program = (
        "import sys; sys.modules['llvmlite'] = None; from autograd_lite.folding.backends.native import jit; "
        "print(jit.why_not()); jit.compile_text('')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.strip() == "llvmlite is not installed (pip install 'autograd_lite[fast]')"
    assert "RuntimeError: native code is not available: llvmlite is not installed" in done.stderr


def test_the_files_made_last_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "MOST_FILES", 3)
    for k in range(6):
        path = tmp_path / f"{k}.o"
        path.write_bytes(b"")
        os.utime(path, (k, k))
    jit._prune(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3.o", "4.o", "5.o"]
