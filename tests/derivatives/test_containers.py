"""Every transform on every container, for one argument and several, alone and nested, against closed forms.

The functions are random sums of waves, y[i] = sum over k of C[i][k] sin(A[k] . z + B[k]), z being the numbers of all
arguments: a derivative in z[j] multiplies the coefficients by A[k][j] and moves the sine to its next derivative, so
that every order is known. The closed form itself is held to a complex step.
"""

import collections
import copy
import dataclasses
import math
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.trees import flatten, unflatten

Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Line:
    slope: object
    offset: object


@dataclasses.dataclass(frozen=True)
class Frozen:
    weights: object
    rest: object = None


@dataclasses.dataclass
class Normal:
    """Checks one field, computes another."""

    mean: float
    deviation: float
    precision: float = dataclasses.field(init=False)

    def __post_init__(self):
        if not self.deviation > 0:
            raise ValueError("a deviation is positive")
        self.precision = self.deviation**-2


CONTAINERS = {
    "float": 0.7,
    "NumPy scalar": np.float32(0.5),
    "list": [0.3, -0.4],
    "nested": [0.3, (0.2, [0.9])],
    "namedtuple": Point(0.1, -0.8),
    "array": np.array([0.2, 0.6]),
    "matrix": np.array([[0.2, 0.6], [0.1, -0.3]]),
    "dict": {"w": 0.4, "b": -0.2},
    "dict of arrays": {"w": np.array([0.4, 0.1]), "b": -0.2},
    "dict with None": {2: 0.4, "off": None, (1, "a"): [None, 0.3]},
    "ordered dict": collections.OrderedDict(z=0.4, a=0.5),
    "dataclass": Line(0.4, 0.2),
    "dataclass of arrays": Frozen(np.array([0.3, -0.1]), {"b": Point(0.5, None)}),
    "everything": [Line({"a": np.array([0.3])}, (0.2,)), None],
}


def parts(x):
    """(how to reach it, part) of a container; None for what is not one."""
    if isinstance(x, dict):
        return [(lambda c, k=k: c[k], part) for k, part in x.items()]
    if isinstance(x, (list, tuple)):
        return [(lambda c, k=k: c[k], part) for k, part in enumerate(x)]
    if hasattr(x, "__dataclass_fields__"):
        return [(lambda c, k=f.name: getattr(c, k), getattr(x, f.name)) for f in dataclasses.fields(x)]
    return None


def places(x, before=()):
    """Where the numbers of x are: the steps through its containers, and the index in an array."""
    opened = parts(x)
    if x is None:
        return []
    if opened is not None:
        return [place for step, part in opened for place in places(part, (*before, step))]
    return [(before, index) for index in np.ndindex(np.shape(x))]


def at(x, *found):
    """The number of x at a place; at several the entry of a matrix: through one container, then the next."""
    for steps, _ in found:
        for step in steps:
            x = step(x)
    index = tuple(i for _, some in found for i in some)
    return x[index] if index else x


def numbers(*args):
    return [at(x, place) for x in args for place in places(x)]


def plain(x):
    return x.item() if isinstance(x, ag.Value) else x


class Waves:
    """A random function of some arguments and all its derivatives."""

    def __init__(self, args, seed):
        random = np.random.default_rng(seed)
        self.args = args
        self.z = np.array(numbers(*args), float)
        self.a = random.uniform(-1, 1, (3, len(self.z)))
        self.b = random.uniform(-1, 1, 3)
        self.c = random.uniform(-1, 1, (2, 3))

    def outputs(self, *args):
        angles = [ag.dot(row.tolist(), numbers(*args), float(b)) for row, b in zip(self.a, self.b, strict=True)]
        return [ag.dot(row.tolist(), [ag.sin(t) for t in angles]) for row in self.c]

    def scalar(self, *args):
        return self.outputs(*args)[0]

    def named(self, *args):
        first, second = self.outputs(*args)
        return {"p": first, "q": (second,)}

    def array(self, *args):
        return np.array(self.outputs(*args))

    def known(self, coefficients, order, z=None):
        """sum over k of coefficients[..., k] times the derivative of that order of sin at A[k] . z + B[k]."""
        return np.asarray(coefficients) @ np.sin(self.a @ (self.z if z is None else z) + self.b + order * math.pi / 2)


def columns(waves, chosen):
    """Which of the numbers of all arguments belong to the chosen ones, in their order."""
    sizes = [len(places(x)) for x in waves.args]
    starts = np.cumsum([0, *sizes])
    return [int(j) for i in chosen for j in range(starts[i], starts[i] + sizes[i])]


def of_chosen(f, args, chosen):
    """f as a function of the chosen arguments alone."""

    def function(*some):
        given = list(args)
        for i, x in zip(chosen, some, strict=True):
            given[i] = x
        return f(*given)

    return function


def inputs(args, argnum):
    """The places of the numbers of the answer of `grad`: of one argument, or within a tuple of them."""
    if not isinstance(argnum, tuple):
        return places(args[argnum])
    return places(tuple(args[i] for i in argnum))


def direction(x, random):
    leaves, treedef = flatten(x, "x")
    v = random.uniform(-1, 1, len(leaves)).tolist()
    return v, unflatten(treedef, v)


# Each gives (numbers of its answer, the coefficients of each, order) at args, which may hold Values.


def by_grad(waves, args, argnum, chosen):
    found = ag.grad(waves.scalar, argnum)(*args)
    return [at(found, p) for p in inputs(args, argnum)], waves.c[0] * waves.a.T[columns(waves, chosen)], 1


def by_value_and_grad(waves, args, argnum, chosen):
    (value, aux), found = ag.value_and_grad(lambda *a: (waves.scalar(*a), "aux"), argnums=argnum, has_aux=True)(*args)
    assert aux == "aux"
    assert plain(value) == pytest.approx(waves.known(waves.c[0], 0), abs=1e-12)
    return [at(found, p) for p in inputs(args, argnum)], waves.c[0] * waves.a.T[columns(waves, chosen)], 1


def by_hessian(waves, args, argnum, chosen):
    found, a = ag.hessian(waves.scalar, argnum=argnum)(*args), waves.a.T[columns(waves, chosen)]
    rows = inputs(args, argnum)
    return [at(found, p, q) for p in rows for q in rows], [waves.c[0] * u * v for u in a for v in a], 2


def by_jacobian(waves, args, argnum, chosen):
    found, a = ag.jacobian(waves.named, argnum=argnum)(*args), waves.a.T[columns(waves, chosen)]
    outputs = places({"p": 0.0, "q": (0.0,)})
    return [at(found, p, q) for p in outputs for q in inputs(args, argnum)], [c * u for c in waves.c for u in a], 1


def by_hvp(waves, args, argnum, chosen):
    f = of_chosen(waves.scalar, args, chosen)
    x, take = (tuple(args[i] for i in chosen), lambda t: f(*t)) if isinstance(argnum, tuple) else (args[argnum], f)
    v, vector = direction(x, np.random.default_rng(5))
    found, a = ag.hvp(take)(x, vector), waves.a.T[columns(waves, chosen)]
    return [at(found, p) for p in places(x)], [waves.c[0] * u * (a.T @ v) for u in a], 2


def by_jvp(waves, args, argnum, chosen):
    x = tuple(args[i] for i in chosen)
    v, vector = direction(x, np.random.default_rng(6))
    value, found = ag.jvp(of_chosen(waves.named, args, chosen), x, vector)
    assert [plain(y) for y in numbers(value)] == pytest.approx(waves.known(waves.c, 0), abs=1e-12)
    return numbers(found), waves.c * (waves.a.T[columns(waves, chosen)].T @ v), 1


def by_vjp(waves, args, argnum, chosen):
    x = tuple(args[i] for i in chosen)
    value, pull, aux = ag.vjp(of_chosen(lambda *a: (waves.named(*a), [None, "aux"]), args, chosen), *x, has_aux=True)
    assert aux == [None, "aux"]
    assert [plain(y) for y in numbers(value)] == pytest.approx(waves.known(waves.c, 0), abs=1e-12)
    found = pull({"q": (-0.5,), "p": 0.25})  # the keys in another order
    found = found if len(x) > 1 else (found,)
    return numbers(*found), (np.array([0.25, -0.5]) @ waves.c) * waves.a.T[columns(waves, chosen)], 1


TRANSFORMS = {f.__name__: f for f in (by_grad, by_value_and_grad, by_hessian, by_jacobian, by_hvp, by_jvp, by_vjp)}
ARGNUMS = [1, np.int64(-2), (1,), (0, 1), (np.int32(1), 0)]


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_every_transform_of_every_container(transform, name):
    """For one argument and several; the answer alone, its gradient, and the gradient of that."""
    random = np.random.default_rng(2)
    for number, argnum in enumerate(ARGNUMS):
        other = list(CONTAINERS.values())[random.integers(len(CONTAINERS))]
        args = (other, CONTAINERS[name], 0.3)
        waves = Waves(args, number)
        chosen = [int(i) % 3 for i in (argnum if isinstance(argnum, tuple) else (argnum,))]
        found, coefficients, order = transform(waves, args, argnum, chosen)
        assert all(type(x) in (float, np.float64) for x in found)
        assert found == pytest.approx(waves.known(coefficients, order), abs=1e-12)

        def weighted(*a, argnum=argnum, chosen=chosen, waves=waves):
            found = transform(waves, a, argnum, chosen)[0]
            return ag.dot(found, [math.cos(i) for i in range(len(found))])

        weights = np.cos(np.arange(len(found)))
        expected = (weights @ coefficients) * waves.a.T[columns(waves, chosen)]
        once = ag.grad(weighted, argnum)
        assert [at(once(*args), p) for p in inputs(args, argnum)] == pytest.approx(
            waves.known(expected, order + 1), abs=1e-11
        )
        if number == 3 or (number == 0 and transform is not by_hessian):  # once more, forwards over what is there
            x = tuple(args[i] for i in chosen)
            v, vector = direction(x, random)
            _, twice = ag.jvp(of_chosen(once, args, chosen), x, vector)
            twice = numbers(*(twice if isinstance(argnum, tuple) else (twice,)))
            expected = expected * (waves.a.T[columns(waves, chosen)].T @ v)
            assert twice == pytest.approx(waves.known(expected, order + 2), abs=1e-10)


def test_the_closed_form_against_a_complex_step():
    waves = Waves(([0.3, -0.2, 0.9],), 1)
    for order in range(3):
        for j in range(3):
            step = waves.z + 1e-30j * np.eye(3)[j]
            slope = waves.known(waves.c, order, step).imag / 1e-30
            np.testing.assert_allclose(waves.known(waves.c * waves.a[:, j], order + 1), slope, atol=1e-14)


# --- the form of answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_answer_has_the_form_of_the_argument(name):
    x = CONTAINERS[name]
    seen = []
    slope = ag.grad(lambda t: seen.append(t) or ag.sum(numbers(t)))(x)
    assert flatten(slope, "slope")[1] == flatten(x, "x")[1]
    assert numbers(slope) == [1.0] * len(places(x))
    for given in (slope, seen[0]):
        if parts(x):
            assert type(given) is type(x)
        if isinstance(x, dict):
            assert list(given) == list(x)


def test_mappings_keep_what_they_are():
    counted = collections.defaultdict(list, a=2.0, b=3.0)
    slope = ag.grad(lambda p: p["a"] * p["b"])(counted)
    assert (slope, slope.default_factory) == ({"a": 3.0, "b": 2.0}, list)
    assert counted == {"a": 2.0, "b": 3.0}
    assert type(ag.grad(lambda p: p["a"] ** 2)(collections.Counter(a=3))) is collections.Counter
    view = types.MappingProxyType({"a": 2.0})  # a mapping that cannot be made of items is a dict
    assert ag.grad(lambda p: p["a"] ** 2)(view) == {"a": 4.0}


def test_a_dataclass_computes_what_depends_on_its_fields():
    """The field of __post_init__ is not an argument, and its dependence on the others is kept."""
    slope = ag.grad(lambda n: -n.precision * (1.0 - n.mean) ** 2)(Normal(0.5, 2.0))
    assert slope.mean == 0.25
    assert slope.deviation == pytest.approx(2 * 2.0**-3 * 0.25)
    assert slope.precision is None
    negative = ag.grad(lambda n: -n.deviation)(Normal(0.0, 1.0))  # what its own check would refuse
    assert (negative.mean, negative.deviation) == (0.0, -1.0)
    value, tangent = ag.jvp(lambda n: Normal(n.mean, n.deviation**2), Normal(0.0, 3.0), Normal(0.0, 1.0))
    assert (value.deviation, value.precision, tangent.deviation) == (9.0, 1 / 81, 6.0)


@dataclasses.dataclass
class Angle:
    """Takes degrees, keeps radians."""

    radians: object

    def __post_init__(self):
        self.radians = self.radians * (math.pi / 180)


@dataclasses.dataclass
class Scaled:
    size: float
    scale: dataclasses.InitVar[float] = 2.0

    def __post_init__(self, scale):
        self.size = self.size * scale


@dataclasses.dataclass
class Vector:
    """Converts its field to an array, which does not change its numbers."""

    x: object
    name: object = None

    def __post_init__(self):
        self.x = np.asarray(self.x)


@pytest.mark.parametrize(
    ("x", "says"),
    [(Angle(90.0), "Angle: its __post_init__ changes 'radians'"), (Scaled(1.0), "Scaled: it has an InitVar, 'scale'")],
)
def test_a_dataclass_that_its_fields_do_not_make_is_refused(x, says):
    """Made again from its fields it would be another one, and the derivative one at another point."""
    for call in (lambda: ag.grad(lambda p: p.radians)(x), lambda: ag.jvp(lambda t: x, 1.0, 1.0)):
        with pytest.raises(TypeError, match=says + ".*make the dataclass of it inside f"):
            call()
    assert ag.grad(lambda t: ag.sin(Angle(t).radians))(60.0) == pytest.approx(0.5 * math.pi / 180)


def test_a_dataclass_may_convert_its_fields():
    slope = ag.grad(lambda v: ag.dot(v.x, v.x))(Vector([1.0, 2.0]))
    np.testing.assert_array_equal(slope.x, [2.0, 4.0])
    value, _ = ag.jvp(lambda t: Vector([t, 1.0]), 2.0, 1.0)
    assert value.x.tolist() == [2.0, 1.0]


def test_a_dict_as_the_result_of_a_jacobian():
    x = np.array([2.0, 3.0])
    found = ag.jacobian(lambda v: {"product": v[0] * v[1], "squares": v * v, "none": None})(x)
    np.testing.assert_array_equal(found["product"], [3.0, 2.0])
    np.testing.assert_array_equal(found["squares"], [[4.0, 0.0], [0.0, 6.0]])
    assert found["none"] is None
    found = ag.jacobian(lambda p: p["w"] * p["b"])({"w": x, "b": 5.0})
    np.testing.assert_array_equal(found["w"], [[5.0, 0.0], [0.0, 5.0]])
    np.testing.assert_array_equal(found["b"], x)
    found = ag.hessian(lambda p: p["b"] * ag.sum(p["w"] * p["w"]))({"w": x, "b": 5.0})
    np.testing.assert_array_equal(found["w"]["w"], [[10.0, 0.0], [0.0, 10.0]])
    np.testing.assert_array_equal(found["w"]["b"], 2 * x)
    np.testing.assert_array_equal(found["b"]["w"], 2 * x)
    assert found["b"]["b"] == 0.0


def decay(t, a, b):
    return a * np.exp(-b * t)


def test_a_jacobian_in_several_arguments_serves_curve_fit():
    t = np.linspace(0.0, 2.0, 9)
    in_a, in_b = ag.jacobian(decay, argnum=(1, 2))(t, 3.0, 0.5)
    np.testing.assert_allclose(in_a, np.exp(-0.5 * t))
    np.testing.assert_allclose(in_b, -3.0 * t * np.exp(-0.5 * t))
    as_list = ag.jacobian(lambda t, a, b: list(decay(t, a, b)), argnums=(1, 2))(t, 3.0, 0.5)
    np.testing.assert_allclose(np.column_stack(as_list), np.column_stack([in_a, in_b]))
    blocks = ag.jacobian(lambda x, y: x * y[0], argnum=(0, 1))(np.ones((2, 3)), np.array([2.0, 1.0]))
    assert [block.shape for block in blocks] == [(2, 3, 2, 3), (2, 3, 2)]
    both = ag.jacobian(lambda x, y: {"z": x * y}, argnum=(1, 0))(2.0, 3.0)
    assert both == {"z": (2.0, 3.0)}
    curve_fit = pytest.importorskip("scipy.optimize").curve_fit
    jac = ag.jacobian(decay, argnum=(1, 2))
    found, _ = curve_fit(decay, t, decay(t, 3.0, 0.5), p0=(1.0, 1.0), jac=lambda *p: np.column_stack(jac(*p)))
    np.testing.assert_allclose(found, [3.0, 0.5])


def test_a_sparse_matrix_in_several_arguments():
    pytest.importorskip("scipy.sparse")
    x, y = np.array([2.0, 3.0]), 5.0
    found = ag.jacobian(lambda x, y: x * y, sparse=True, argnum=(1, 0))(x, y)
    np.testing.assert_array_equal(found.toarray(), [[2.0, 5.0, 0.0], [3.0, 0.0, 5.0]])
    found = ag.hessian(lambda x, y: x[0] * x[1] * y, sparse=True, argnum=(0, 1))(x, y)
    np.testing.assert_array_equal(found.toarray(), [[0.0, 5.0, 3.0], [5.0, 0.0, 2.0], [3.0, 2.0, 0.0]])


def test_one_number_in_an_array_is_one_number():
    np.testing.assert_array_equal(ag.grad(lambda x: np.sum(x, keepdims=True))(np.ones(3)), [1.0, 1.0, 1.0])
    assert ag.value_and_grad(lambda x: np.array([[x * x]]))(3.0) == (9.0, 6.0)
    assert ag.hessian(lambda x: np.array([x * x]))(3.0) == 2.0
    with pytest.raises(TypeError, match="f must give one number"):
        ag.grad(lambda x: [x])(1.0)


# --- what else f may give ---------------------------------------------------------------------------------


def test_has_aux():
    def f(x, scale=1.0):
        return scale * x * x, {"x": x, "label": "a", "count": 3, "array": np.array([x, 1.0]), "numbers": np.ones(2)}

    slope, aux = ag.grad(f, has_aux=True)(3.0, scale=2.0)
    assert (slope, aux["x"], aux["label"]) == (12.0, 3.0, "a")
    assert (type(aux["x"]), type(aux["count"]), aux["array"].dtype) == (float, int, float)
    (value, _), slope = ag.value_and_grad(f, has_aux=True)(3.0)
    assert (value, slope) == (9.0, 6.0)
    assert ag.hessian(f, has_aux=True)(3.0)[0] == 2.0
    assert ag.jacobian(lambda x: ([x, x * x], "a"), has_aux=True)(3.0) == ([1.0, 6.0], "a")
    assert ag.jvp(lambda x: (x * x, "a"), 3.0, 1.0, has_aux=True) == (9.0, 6.0, "a")
    kept = object()
    assert ag.grad(lambda x: (x, kept), has_aux=True)(3.0)[1] is kept
    with pytest.raises(TypeError, match=r"grad: with has_aux=True f must give a pair"):
        ag.grad(lambda x: x, has_aux=True)(1.0)


def test_what_f_gave_beside_keeps_its_gradient_in_a_graph():
    x = ag.Value(3.0)
    slope, aux = ag.grad(lambda t: (t * t, [t * t * t, "a"]), has_aux=True)(x)
    assert ag.gradients(slope + aux[0], x) == 2.0 + 27.0
    w = ag.Parameter(2.0)  # reached by the second part alone
    _, aux = ag.grad(lambda t: (t * t, w * t), has_aux=True)(3.0)
    assert ag.gradients(aux, w) == 3.0


# --- settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [ag.grad, ag.value_and_grad, ag.jacobian, ag.hessian])
def test_argnums_is_another_name(transform):
    f = lambda x, y: x * x * y  # noqa: E731
    assert transform(f, argnums=1)(3.0, 5.0) == transform(f, argnum=1)(3.0, 5.0) == transform(f, argnum=-1)(3.0, 5.0)
    assert transform(f, argnums=np.int64(1))(3.0, 5.0) == transform(f, argnum=np.array(1))(3.0, 5.0)
    assert transform(f)(3.0, 5.0) == transform(f, argnum=0)(3.0, 5.0)
    assert transform(f, argnums=[0, 1])(3.0, 5.0) == transform(f, argnum=range(2))(3.0, 5.0)
    assert transform(f, argnums=[0, 1])(3.0, 5.0) == transform(f, argnum=(0, np.uint8(1)))(3.0, 5.0)
    with pytest.raises(TypeError, match=f"{transform.__name__}: argnums is another name of argnum; give one"):
        transform(f, argnum=0, argnums=0)
    with pytest.raises(ValueError, match="names argument 0 twice"):
        transform(f, argnum=(0, 0))(3.0, 5.0)
    with pytest.raises(TypeError, match="create_graph must be True, False or None"):
        transform(f, create_graph=1)


@pytest.mark.parametrize("transform", [ag.jacobian, ag.hessian])
def test_positions_in_the_place_of_sparse_are_refused(transform):
    """As JAX has them; taken for sparse=True they would give another matrix."""
    with pytest.raises(
        TypeError, match=r"sparse must be True or False, got tuple \(1, 2\); for arguments give argnum="
    ):
        transform(decay, (1, 2))


def test_hvp_is_a_transform_too():
    f = lambda v: v[0] ** 2 * v[1]  # noqa: E731
    assert ag.hvp(f)([1.0, 2.0], [1.0, 0.5]) == ag.hvp(f, [1.0, 2.0], [1.0, 0.5]) == [5.0, 2.0]
    assert ag.hvp(f)(x=[1.0, 2.0], v=[1.0, 0.5]) == ag.hvp(f, x=[1.0, 2.0], v=[1.0, 0.5]) == [5.0, 2.0]
    assert ag.hvp(lambda x, *, scale: scale * x**3)(2.0, 1.0, scale=10.0) == 120.0
    assert ag.hvp(lambda p: p["a"] ** 2 * p["b"], {"a": 1.0, "b": 2.0}, {"b": 0.0, "a": 1.0}) == {"a": 4.0, "b": 2.0}
    with pytest.raises(TypeError, match="give both x and v, or neither"):
        ag.hvp(f, [1.0, 2.0])
    with pytest.raises(TypeError, match=r"takes a point and a vector, \(x, v\)"):
        ag.hvp(f)([1.0, 2.0])


def test_a_vector_of_another_form_is_refused():
    f = lambda p: p["a"] ** 2  # noqa: E731
    for v in ({"b": 1.0}, {"a": 1.0, "b": 1.0}, {"a": [1.0]}, [1.0], 1.0):
        with pytest.raises(ValueError, match=r"hvp: v has .* must have the form TreeDef\({'a': \*}\)"):
            ag.hvp(f, {"a": 1.0}, v)


# --- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "path", "got"),
    [
        ({"w": 1.0, "name": "a"}, r"argument 0\['name'\]", "str 'a'"),
        ([1.0, {"w": [2.0, b"a"]}], r"argument 0\[1\]\['w'\]\[1\]", "bytes"),
        (Line(1.0, {"a": 1j}), r"argument 0\.offset\['a'\]", "complex"),
        (Point(1.0, {2.0}), r"argument 0\[1\]", "set"),
        ({"w": np.array([[1.0, "a"]], dtype=object)}, r"argument 0\['w'\]\[0, 1\]", "str 'a'"),
        ({"w": np.array(["a", "b"])}, r"argument 0\['w'\]\[0\]", "str 'a'"),
        ({"f": len}, r"argument 0\['f'\]", "builtin"),
        (None, "argument 0", "None"),
    ],
)
def test_what_is_not_a_number_is_named_by_its_path(x, path, got):
    calls = [
        lambda: ag.grad(lambda t: 1.0)(x),
        lambda: ag.jacobian(lambda t: 1.0)(x),
        lambda: ag.hessian(lambda t: 1.0)(x),
        lambda: ag.hvp(lambda t: 1.0)(x, x),
        lambda: ag.vjp(lambda t: 1.0, x),
        lambda: ag.jvp(lambda t: 1.0, x, x),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=rf": {path}: expected numbers, .* got .*{got}.*; what f needs besides"):
            call()


def test_a_result_that_is_not_a_number_is_named_by_its_path():
    with pytest.raises(TypeError, match=r"jacobian: the result of f\['b'\]: .*got str 'c'; with has_aux=True"):
        ag.jacobian(lambda x: {"a": x, "b": "c"})(1.0)
    with pytest.raises(TypeError, match=r"vjp: the result of f: .*got NoneType None"):
        ag.vjp(lambda x: None, 1.0)


def test_deep_and_mixed_nests_need_no_recursion():
    x = 2.0
    for _ in range(5_000):
        x = {"a": [Line(x, None)]}

    def f(p):
        while isinstance(p, dict):
            p = p["a"][0].slope
        return p * p

    slope = ag.grad(f)(x)
    assert f(slope) == 16.0


def test_a_container_that_contains_itself_is_refused():
    loop = {"a": 1.0}
    loop["b"] = [loop]
    with pytest.raises(TypeError, match="argument 0: a dict contains itself"):
        ag.grad(lambda p: p["a"])(loop)
    shared, nothing = [1.0], ()
    assert ag.grad(lambda p: p[0][0] * p[1][0])([shared, shared, nothing, (nothing, [nothing])])[:2] == [[1.0], [1.0]]


def test_gradcheck_of_containers():
    report = ag.gradcheck(lambda p, n: p["w"] ** 2 * n.mean + n.precision, {"w": 2.0, "off": None}, Normal(0.5, 2.0))
    assert report.checked == 3
    assert report
    wrong = ag.primitive("wrong", lambda a: a * a, lambda a: a)
    assert "d f / d p['w'].slope:" in str(ag.gradcheck(lambda p: wrong(p["w"].slope), {"w": Line(3.0, None)}))


def test_dataclasses_are_known_without_their_module():
    program = """
import sys
sys.modules.pop("dataclasses", None)
from autograd_lite.engine.trees import flatten
assert flatten([1.0, {"a": (2.0, None)}], "x")[0] == [1.0, 2.0]
assert "dataclasses" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_treedef_prints_names():
    tree = {"a": 1.0, 2: [None, Line(np.ones(2), (3.0,))]}
    treedef = flatten(tree, "x")[1]
    assert repr(treedef) == "TreeDef({'a': *, 2: [None, Line(slope=array(2,), offset=(*,))]})"
    assert treedef.paths == ["['a']", "[2][1].slope[0]", "[2][1].slope[1]", "[2][1].offset[0]"]


# --- copies and pickles -----------------------------------------------------------------------------------


def square(x, y=2.0):
    """x squared, times y."""
    return x * x * y


@ag.grad
def decorated(x):
    return x**3


class Model:
    def loss(self, x):
        return x * x * self.scale

    slope = ag.grad(loss, argnum=1)

    def __init__(self, scale):
        self.scale = scale


MADE = {
    "grad": ag.grad(square),
    "grad of two": ag.grad(square, (0, 1)),
    "value_and_grad": ag.value_and_grad(square, 1),
    "jacobian": ag.jacobian(square, argnum=(0, 1)),
    "hessian": ag.hessian(square, create_graph=False),
    "of another": ag.grad(ag.grad(square)),
    "decorated": decorated,
    "method": ag.grad(Model(3.0).loss),
}


@pytest.mark.parametrize("name", MADE)
def test_a_transform_can_be_copied_and_pickled(name):
    f = MADE[name]
    args = (3.0,) if name in ("decorated", "method") else (3.0, 5.0)
    made = [pickle.loads(pickle.dumps(f, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    for other in (*made, copy.copy(f), copy.deepcopy(f)):
        assert other(*args) == f(*args)
        assert (other.__name__, other.__doc__) == (f.__name__, f.__doc__)
    product = pickle.loads(pickle.dumps(ag.hvp(square)))
    assert product(3.0, 1.0) == 4.0
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(ag.grad(lambda x: x))


def test_a_transform_looks_like_the_function():
    made = ag.grad(square)
    assert (made.__name__, made.__qualname__, repr(made)) == ("grad(square)",) * 3
    assert made.__wrapped__ is square
    assert "square" in made.__doc__
    assert ag.grad(made).__name__ == "grad(grad(square))"
    import inspect

    assert list(inspect.signature(made).parameters) == ["x", "y"]
    assert list(inspect.signature(ag.hvp(square)).parameters) == ["x", "v"]


def test_a_transform_in_a_class_is_a_method():
    assert Model(5.0).slope(2.0) == 20.0
    assert Model.slope(Model(5.0), 2.0) == 20.0
