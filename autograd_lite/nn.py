"""Networks of Values: Module, Perceptron, Neuron, Layer, MLP, Network, and how their weights begin.

A neuron is one `dot` node (weights, inputs, bias) and one activation node. A model is called with
one example; many at once go through `predict`, on plain floats, without a graph.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise, product
from math import isfinite, sqrt
from operator import index
from typing import TYPE_CHECKING, Any

from autograd_lite import functions
from autograd_lite.rows import TABLE
from autograd_lite.structure import is_array
from autograd_lite.value import Parameter, Scope, Value, clear_grads, no_grad, plain, record, set_numbers, shown, stamp

if TYPE_CHECKING:
    import numpy as np

    from autograd_lite.history import History

__all__ = ["MLP", "Layer", "Module", "Network", "Neuron", "Perceptron", "Trace", "glorot", "he", "normal", "uniform"]

# --- how weights begin ------------------------------------------------------------------------------

Initializer = Callable[[int, int, Any], float]
"""(inputs, outputs, random generator) -> one weight."""


def uniform(epsilon: float = 0.1) -> Initializer:
    """Weights from the uniform distribution over (-epsilon, epsilon).

    Args:
        epsilon: half the width.

    Returns:
        An initializer, for `init=`.

    Example:
        >>> neuron = ag.Neuron(3, init=ag.nn.uniform(0.5), seed=0)
        >>> all(abs(w.item()) < 0.5 for w in neuron.w)
        True

    Source: the training procedure NEURALNETTRAIN of the backpropagation slides, RAND(-epsilon, epsilon).
    """
    return lambda n_in, n_out, rng: rng.uniform(-epsilon, epsilon)


def normal(std: float = 0.1) -> Initializer:
    """Weights from the normal distribution of mean 0.

    Args:
        std: its standard deviation.

    Returns:
        An initializer, for `init=`.

    Example:
        >>> ag.Neuron(3, init=ag.nn.normal(0.01), seed=0).n_in
        3
    """
    return lambda n_in, n_out, rng: rng.gauss(0.0, std)


def glorot() -> Initializer:
    """Weights uniform over (-a, a) with a = sqrt(6 / (n_in + n_out)), which keeps sigmoid and tanh out of saturation.

    Returns:
        An initializer, for `init=`.

    Example:
        >>> ag.Layer(3, 3, activation="tanh", init=ag.nn.glorot(), seed=0).n_out
        3

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.
    """
    return lambda n_in, n_out, rng: rng.uniform(-1.0, 1.0) * sqrt(6.0 / (n_in + n_out))


def he() -> Initializer:
    """Weights normal with standard deviation sqrt(2 / n_in), which keeps the scale through layers of relu.

    Returns:
        An initializer, for `init=`.

    Example:
        >>> ag.Layer(3, 3, init=ag.nn.he(), seed=0).n_out
        3

    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.
    """
    return lambda n_in, n_out, rng: rng.gauss(0.0, sqrt(2.0 / n_in))


INITIALIZERS: dict[str, Callable[..., Initializer]] = {"uniform": uniform, "normal": normal, "glorot": glorot, "he": he}
RECTIFIERS = ("relu", "leaky_relu", "elu", "silu", "gelu", "softplus")


def _initializer(init: Any, activation: Any) -> Initializer:
    if init is None:
        return he() if activation in RECTIFIERS else glorot()
    if isinstance(init, str):
        if init not in INITIALIZERS:
            raise ValueError(f"init: unknown initializer {init!r}; known are {', '.join(INITIALIZERS)}")
        return INITIALIZERS[init]()
    if callable(init):
        return init  # type: ignore[no-any-return]
    constant = plain(init, "init", "give a name, a function of (n_in, n_out, rng), or a number for every weight")
    return lambda n_in, n_out, rng: constant


def _generator(seed: Any) -> Any:
    """A random generator: `random` itself without a seed, so that random.seed() governs it; one given as it is."""
    if seed is None:
        return random
    if seed is random or isinstance(seed, random.Random):
        return seed
    try:
        return random.Random(index(seed))
    except TypeError:
        raise TypeError(f"seed: expected a whole number, a random.Random or None, got {shown(seed)}") from None


# --- activations --------------------------------------------------------------------------------------


def _activation(activation: Any, what: str = "activation") -> Callable[[Any], Any] | None:
    """The function of an activation given by name or as a function; None for none."""
    if activation is None:
        return None
    if callable(activation):
        return activation  # type: ignore[no-any-return]
    if not isinstance(activation, str):
        raise TypeError(f"{what}: expected a name, a function of one Value or None, got {shown(activation)}")
    if activation in ("linear", "identity"):
        return None
    if activation in TABLE and activation in activations():
        if TABLE[activation].builtin:
            return getattr(functions, activation)  # type: ignore[no-any-return]
        return functions.make_function(TABLE[activation])  # one of the user's own, which may have been defined anew
    raise ValueError(
        f"{what}: unknown activation {activation!r}; known are {', '.join(activations())}, None, 'linear' "
        "or 'identity' for none, or any function of one Value"
    )


def activations() -> list[str]:
    """The names that may stand for an activation: the primitives of one operand, ours and the user's."""
    rows = (row for row in TABLE.values() if row.name[0] != "_" and not row.variadic)
    return [row.name for row in rows if len(row.operands) - len(row.defaults) == 1]


def activation_name(g: Any) -> str | None:
    """The name by which an activation can be found again, in a file; TypeError for a function of the user's own."""
    if g is None or isinstance(g, str):
        return g
    name = getattr(g, "__name__", "")
    if name in activations() and getattr(functions, name) is g:
        return name
    raise TypeError(
        f"save: the activation {shown(g)} is a function of your own, and a file runs no code; define it with "
        "ag.primitive and give the layer its name, or save the state_dict()"
    )


def _count(n: Any, what: str) -> int:
    try:
        count = index(n)
    except TypeError:
        raise TypeError(f"{what}: expected a whole number, got {shown(n)}") from None
    if count < 1:
        raise ValueError(f"{what}: must be at least 1, got {count}")
    return count


def _example(x: Any, n_in: int, who: str) -> tuple[tuple[Any, ...], list[float]]:
    """One example as operands and as numbers; its length must be n_in."""
    if isinstance(x, (str, bytes, Value)) or not isinstance(x, Iterable):
        raise TypeError(f"{who}: expected one example, a sequence of {n_in} numbers or Values, got {shown(x)}")
    xs: tuple[Any, ...] = tuple(
        v if type(v) is float or isinstance(v, Value) else plain(v, f"{who}: input {i}") for i, v in enumerate(x)
    )
    if len(xs) != n_in:
        raise ValueError(f"{who}: expected {n_in} inputs, got {len(xs)}")
    return xs, [v if type(v) is float else v._f for v in xs]


def _elements(name: str, thing: Any) -> list[tuple[str, Any]]:
    """What is in a sequence or in an array of objects, each with its place: `w[0]`, `w[0, 1]`."""
    if isinstance(thing, (list, tuple)):
        return [(f"{name}[{i}]", x) for i, x in enumerate(thing)]
    if is_array(thing) and thing.dtype == object:
        places = product(*map(range, thing.shape))
        return [(f"{name}{list(place)}", x) for place, x in zip(places, thing.ravel().tolist(), strict=True)]
    return []


# --- modules --------------------------------------------------------------------------------------------


class Module:
    """Something with parameters: its own, and those of the modules among its attributes.

    A subclass keeps Parameters, Modules, and lists, tuples, dicts or object arrays of them as attributes
    and defines `__call__`. A parameter that appears twice counts once.

    Example:
        >>> class Line(ag.Module):
        ...     def __init__(self):
        ...         self.slope, self.offset = ag.Parameter(2.0), ag.Parameter(1.0)
        ...     def __call__(self, x):
        ...         return self.slope * x + self.offset
        >>> line = Line()
        >>> line(3.0).item(), line.state_dict()
        (7.0, {'slope': 2.0, 'offset': 1.0})
    """

    def __call__(self, x: Any) -> Any:
        """The output for one example."""
        raise TypeError(f"{type(self).__name__} defines no __call__")

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter) for each parameter, in the order of definition; a name tells where it is kept.

        Raises:
            ValueError: two parameters have the same name, so that a state or a file would hold one of them.
        """
        names: set[str] = set()
        for name, parameter in self._places():
            if name in names:
                raise ValueError(
                    f"{type(self).__name__}: two parameters are called {name!r}; keep one of them under another name"
                )
            names.add(name)
            yield name, parameter

    def _places(self) -> Iterator[tuple[str, Parameter]]:
        """Each parameter with where it is first met."""
        seen: set[int] = set()  # what counts once: parameters, and containers, for a list may contain itself
        stack: list[tuple[str, Any]] = [("", self)]
        while stack:
            name, thing = stack.pop()
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            if isinstance(thing, Parameter):
                yield name, thing
                continue
            inner: list[tuple[str, Any]] = []
            if isinstance(thing, Module):
                inner = [(f"{name}.{key}" if name else key, x) for key, x in vars(thing).items()]
            elif isinstance(thing, dict):
                inner = [(f"{name}[{key!r}]", x) for key, x in thing.items()]
            else:
                inner = _elements(name, thing)
            stack.extend(reversed(inner))

    def parameters(self) -> list[Parameter]:
        """The parameters, each once, in the order of definition."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0; without it backward passes add up."""
        clear_grads(self.parameters())

    def state_dict(self) -> dict[str, float]:
        """The parameters as numbers, by name."""
        return {name: parameter.data for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Set every parameter from `state_dict()` of a module of the same shape; all of them or none.

        Args:
            state: a number for each name.

        Raises:
            TypeError: state is no mapping, or an entry is no number.
            ValueError: a name is missing, there is one too many, or a number is NaN or infinite.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict: expected a dict of numbers by name, got {shown(state)}")
        parameters = dict(self.named_parameters())
        missing, extra = parameters.keys() - state.keys(), state.keys() - parameters.keys()
        if missing or extra:
            wrong = [f"missing {name!r}" for name in sorted(missing)] + [
                f"unknown {name!r}" for name in sorted(extra, key=str)
            ]
            raise ValueError(f"load_state_dict: {_some(wrong)}; the module is {self!r}")
        numbers = [plain(state[name], f"load_state_dict: {name!r}") for name in parameters]
        for name, x in zip(parameters, numbers, strict=True):
            if not isfinite(x):
                raise ValueError(
                    f"load_state_dict: {name!r} is {x}, and a state holds finite numbers, as a file of `save` does; "
                    "to have it all the same, set the parameter's .data"
                )
        set_numbers(parameters.values(), numbers)

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """The outputs for many examples, as numbers and without a graph.

        Args:
            X: examples, shape (n, d).

        Returns:
            An array of shape (n,) for one output, (n, k) for k outputs.

        Raises:
            ValueError: X has not two dimensions, or its rows differ in length.
        """
        import numpy as np

        with no_grad():
            outputs = [self(row) for row in as_rows(X, type(self).__name__).tolist()]
        numbers = [[_number(y) for y in out] if isinstance(out, (list, tuple)) else _number(out) for out in outputs]
        return np.array(numbers, dtype=float)

    def counts(self) -> tuple[int, int]:
        """(weights, parameters): parameters called `b` are biases, all others weights."""
        names = [name for name, _ in self.named_parameters()]
        return sum(not _is_bias(name) for name in names), len(names)

    def weights(self) -> list[Parameter]:
        """The parameters that are no biases: those that a penalty on large weights is about."""
        return [parameter for name, parameter in self.named_parameters() if not _is_bias(name)]

    def summary(self) -> str:
        """The parts of the module with the weights and the parameters that each has.

        Example:
            >>> print(ag.MLP(3, [2, 1], activation="sigmoid").summary())
            part       weights  parameters
            layers[0]        6           8  Layer(3, 2, activation='sigmoid')
            layers[1]        2           3  Layer(2, 1)
            total            8          11  MLP(3, [2, 1], activation='sigmoid')
        """
        rows = [(name, *part.counts(), repr(part)) for name, part in self._parts()]
        rows.append(("total", *self.counts(), repr(self)))
        width = max(len("part"), *(len(row[0]) for row in rows))
        lines = [f"{'part':{width}}  weights  parameters"]
        lines += [f"{name:{width}}  {weights:7}  {parameters:10}  {what}" for name, weights, parameters, what in rows]
        return "\n".join(lines)

    def _parts(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside this one."""
        for name, thing in vars(self).items():
            if isinstance(thing, Module):
                yield name, thing
            else:
                yield from ((place, part) for place, part in _elements(name, thing) if isinstance(part, Module))

    def _place(self, prefix: str, parent: Scope | None) -> None:
        """Name the parameters after where they are kept, for pictures."""
        for name, parameter in self.named_parameters():
            parameter.name = f"{prefix}{name}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(list(self._places()))} parameters)"


def _is_bias(name: str) -> bool:
    """Whether a parameter of this name is a bias: it is called `b`, or kept in something called `b`."""
    return name.rpartition(".")[2].partition("[")[0] == "b"


def _number(y: Any) -> float:
    return y.item() if isinstance(y, Value) else plain(y, "predict: an output")


def _some(items: Sequence[str], most: int = 5) -> str:
    """A list for a message, cut short."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def as_rows(X: Any, who: str) -> np.ndarray[Any, Any]:
    """Examples as a float64 array of shape (n, d); ragged rows are refused with the first that differs."""
    import numpy as np

    if not hasattr(X, "shape") and isinstance(X, Iterable):
        X = list(X)
        lengths = [len(row) if hasattr(row, "__len__") else -1 for row in X]
        for i, length in enumerate(lengths):
            if length != lengths[0]:
                raise ValueError(f"{who}: row {i} of X has {length} numbers, row 0 has {lengths[0]}")
    rows = np.asarray(X)
    if rows.dtype.kind not in "biuf":  # strings, objects, complex numbers: one by one, so that a refusal says which
        if rows.ndim == 2:
            rows = np.array([[plain(x, f"{who}: X[{i}][{j}]") for j, x in enumerate(row)] for i, row in enumerate(X)])
        elif rows.size:
            raise TypeError(f"{who}: X must be rows of real numbers, got {shown(X)}")
    rows = rows.astype(float)
    if not rows.size:
        raise ValueError(f"{who}: X is empty, its shape is {rows.shape}")
    if rows.ndim != 2:
        raise ValueError(
            f"{who}: X must have two dimensions, one row an example, got shape {rows.shape}; "
            "for a single example x, give [x]"
        )
    return rows


class Trace:
    """What every unit of a network computed for one example, and after `backward` what it is to blame for.

    Attributes:
        output: what the model gives: a Value, or a list of them.
        z: the net inputs z = w . a + b (the in_j of some slides, the a_i of others), as Values.
        a: the activations a = g(z), as Values.

    For an MLP z, a and delta are lists of layers, each a list of units (a[0] is the input, as numbers or Values);
    for a Network they are dicts by neuron.

    Example:
        >>> model = ag.MLP(2, [2, 1], activation="sigmoid", seed=1)
        >>> trace = model.trace([1.0, -1.0])
        >>> ag.losses.squared_error(trace.output, 1.0).backward()
        >>> unit = model.layers[0].neurons[0]
        >>> trace.delta[0][0] == unit.b.grad, trace.delta[0][0] * -1.0 == unit.w[1].grad
        (True, True)

    Source: the backpropagation slides (in_j, a_j, Delta_j); Hajij (delta_i); the notes "Working out
    backpropagation" (z and a of each layer).
    """

    def __init__(self, output: Any, z: Any, a: Any) -> None:
        self.output, self.z, self.a = output, z, a

    @property
    def delta(self) -> Any:
        """The Delta_j = dJ/dz_j of the last backward pass, as numbers; dJ/dw_ij is Delta_j a_i.

        Raises:
            RuntimeError: there was no backward pass yet, so that 0 would be no answer.
        """
        if not self._backward:
            raise RuntimeError("delta: no backward pass has come through this trace yet; call loss.backward() first")
        if isinstance(self.z, dict):
            return {j: z.grad for j, z in self.z.items()}
        return [[z.grad for z in layer] for layer in self.z]

    @property
    def _backward(self) -> bool:
        """Whether a backward pass has come to any of the units: until then a node has no gradient, not even 0."""
        units = self.z.values() if isinstance(self.z, dict) else chain.from_iterable(self.z)
        return any(hasattr(z, "_grad") for z in units)

    def __repr__(self) -> str:
        def line(values: Iterable[Any]) -> str:
            return ", ".join(f"{_number(v):.4g}" for v in values)

        known = self._backward
        if isinstance(self.z, dict):
            lines = [f"{j}: a={_number(a):.4g}" for j, a in self.a.items() if j not in self.z]
            for j, z in self.z.items():
                lines.append(f"{j}: z={z:.4g} a={self.a[j]:.4g}" + (f" delta={z.grad:.4g}" if known else ""))
            return "\n".join(lines)
        lines = [f"input: a=[{line(self.a[0])}]"]
        for i, (layer, a) in enumerate(zip(self.z, self.a[1:], strict=True)):
            delta = f" delta=[{line([z.grad for z in layer])}]" if known else ""
            lines.append(f"layer {i}: z=[{line(layer)}] a=[{line(a)}]{delta}")
        return "\n".join(lines)


class Neuron(Module):
    """Weights, a bias and an activation: out = activation(w . x + b), two nodes a call.

    Args:
        n_in: the number of inputs.
        activation: the name of a primitive of one operand, a function of one Value, or None.
        init: "uniform", "normal", "glorot", "he", a function of (n_in, n_out, rng), or a number; by default
            He's for the relu family, Glorot's for the rest. The bias begins at 0.
        seed: for the weights; without one they come from Python's `random`.
        nonlin: micrograd's name: False for no activation.

    Raises:
        TypeError, ValueError: n_in is not a whole number of at least 1, or a name is unknown.

    Example:
        >>> neuron = ag.Neuron(2, activation="tanh", seed=1)
        >>> neuron([0.5, -1.0]).op, len(neuron.parameters())
        ('tanh', 3)
    """

    def __init__(
        self, n_in: int, activation: Any = "relu", *, init: Any = None, seed: Any = None, nonlin: bool | None = None,
        n_out: int = 1,
    ) -> None:  # fmt: skip
        self.n_in = _count(n_in, f"{type(self).__name__}: n_in")
        self.activation = None if nonlin is False else activation
        self._activate = _activation(self.activation)
        draw, rng = _initializer(init, self.activation), _generator(seed)
        self.w = [Parameter(draw(self.n_in, n_out, rng)) for _ in range(self.n_in)]
        self.b = Parameter(0.0)
        self._place("", None)

    def _place(self, prefix: str, parent: Scope | None, name: str = "neuron") -> None:
        super()._place(prefix, parent)
        self._scope = Scope(name, parent)

    def __call__(self, x: Any) -> Value:
        """The output for one example: a sequence of n_in numbers or Values."""
        return self._respond(*_example(x, self.n_in, type(self).__name__))

    def _respond(self, xs: tuple[Any, ...], numbers: list[float]) -> Value:
        return self._fire(self._net_input(xs, numbers))

    def _net_input(self, xs: tuple[Any, ...], numbers: list[float]) -> Value:
        w, b = self.w, self.b
        if len(w) != self.n_in:
            raise ValueError(f"{type(self).__name__}: w has {len(w)} weights for {self.n_in} inputs")
        try:
            numbers = [*[p._f for p in w], *numbers, b._f]
        except AttributeError:
            name, wrong = next((n, p) for n, p in [*((f"w[{i}]", p) for i, p in enumerate(w)), ("b", b)]
                               if not isinstance(p, Value))  # fmt: skip
            raise TypeError(
                f"{type(self).__name__}: {name} is {shown(wrong)}, not a Parameter; "
                f"to set its number, write {name}.data = ..."
            ) from None
        return stamp(record(TABLE["dot"], (*w, *xs, b), numbers), self._scope)

    def _fire(self, z: Value) -> Value:
        return z if self._activate is None else stamp(self._activate(z), self._scope)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n_in}{_shown_activation(self.activation)})"


def _shown_activation(activation: Any, name: str = "activation") -> str:
    if activation is None:
        return ""
    return f", {name}={activation!r}" if isinstance(activation, str) else f", {name}={activation.__name__}"


class Layer(Module):
    """Neurons that see the same inputs.

    Args:
        n_in: the number of inputs.
        n_out: the number of neurons.
        activation, init, seed, nonlin: as for `Neuron`.

    Raises:
        TypeError, ValueError: a number is not whole or below 1, or a name is unknown.

    Example:
        >>> layer = ag.Layer(2, 3, activation="sigmoid", seed=1)
        >>> [out.op for out in layer([0.5, -1.0])]
        ['sigmoid', 'sigmoid', 'sigmoid']
    """

    def __init__(
        self, n_in: int, n_out: int, activation: Any = "relu", *, init: Any = None, seed: Any = None,
        nonlin: bool | None = None,
    ) -> None:  # fmt: skip
        self.n_in, self.n_out = _count(n_in, "Layer: n_in"), _count(n_out, "Layer: n_out")
        self.activation = None if nonlin is False else activation
        rng = _generator(seed)
        self.neurons = [
            Neuron(self.n_in, self.activation, init=init, seed=rng, n_out=self.n_out) for _ in range(self.n_out)
        ]
        self._place("", None)

    def _place(self, prefix: str, parent: Scope | None, name: str = "layer") -> None:
        self._scope = Scope(name, parent)
        for i, neuron in enumerate(self.neurons):
            neuron._place(f"{prefix}neurons[{i}].", self._scope, f"neuron {i}")

    def __call__(self, x: Any) -> Any:
        """The outputs for one example: a list of Values, or for a single neuron its Value."""
        outputs = self._respond(*_example(x, self.n_in, "Layer"))
        return outputs[0] if len(outputs) == 1 else outputs

    def _respond(self, xs: tuple[Any, ...], numbers: list[float]) -> list[Value]:
        return [neuron._respond(xs, numbers) for neuron in self.neurons]

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """The outputs for many examples (n, d), as numbers: shape (n,) for one neuron, (n, n_out) for more."""
        return _forward_rows([self], X)

    def __repr__(self) -> str:
        neuron = f"Neuron({self.n_in}{_shown_activation(self.activation)})"
        text = f"Layer({self.n_in}, {self.n_out}{_shown_activation(self.activation)})"
        return _made_of(self.neurons, [neuron] * len(self.neurons) if len(self.neurons) == self.n_out else [], text)


def _made_of(parts: Sequence[Any], wanted: list[str], text: str) -> str:
    """The text of a module, or a list of its parts where they are not those that its constructor makes."""
    found = [repr(part) for part in parts]
    return text if found == wanted else f"{text.partition('(')[0]} of [{_some(found)}]"


class MLP(Module):
    """A multi-layer perceptron: layers one after another, each fully connected to the next.

    Args:
        n_in: the number of inputs.
        n_outs: the number of neurons of each layer, the output layer last.
        activation: of the hidden layers.
        output_activation: of the last layer; None, for raw scores, unless told otherwise.
        init, seed: as for `Neuron`.

    Raises:
        TypeError, ValueError: a number is not whole or below 1, n_outs is empty, or a name is unknown.

    Example:
        >>> model = ag.MLP(2, [16, 16, 1], seed=1)
        >>> model([0.5, -1.0]).op, len(model.parameters())
        ('dot', 337)
        >>> model.predict([[0.5, -1.0], [0.0, 0.0]]).shape
        (2,)
    """

    def __init__(
        self, n_in: int, n_outs: Sequence[int], activation: Any = "relu", output_activation: Any = None, *,
        init: Any = None, seed: Any = None,
    ) -> None:  # fmt: skip
        if isinstance(n_outs, (str, bytes)) or not isinstance(n_outs, Iterable):
            raise TypeError(f"MLP: n_outs must be a list of layer sizes such as [16, 16, 1], got {shown(n_outs)}")
        sizes = [_count(n_in, "MLP: n_in"), *(_count(n, f"MLP: n_outs[{i}]") for i, n in enumerate(n_outs))]
        if len(sizes) == 1:
            raise ValueError("MLP: n_outs is empty; it needs the size of the output layer at least, as in [1]")
        _activation(activation), _activation(output_activation, "output_activation")  # refused before work begins
        rng = _generator(seed)
        last = len(sizes) - 2
        self.activation, self.output_activation = activation, output_activation
        self.layers = [
            Layer(sizes[i], sizes[i + 1], output_activation if i == last else activation, init=init, seed=rng)
            for i in range(last + 1)
        ]
        self._place("", None)

    def _place(self, prefix: str, parent: Scope | None, name: str = "MLP") -> None:
        self._scope = Scope(name, parent)
        for i, layer in enumerate(self.layers):
            layer._place(f"{prefix}layers[{i}].", self._scope, f"layer {i}")

    def __call__(self, x: Any) -> Any:
        """The outputs for one example: a list of Values, or for a single output its Value."""
        operands, numbers = _example(x, self.layers[0].n_in, "MLP")
        for layer in self.layers:
            outputs = layer._respond(operands, numbers)
            operands, numbers = tuple(outputs), [out._f for out in outputs]
        return outputs[0] if len(outputs) == 1 else outputs

    def trace(self, x: Any) -> Trace:
        """The output for one example, with z, a and (after backward) delta of each layer; see `Trace`."""
        operands, numbers = _example(x, self.layers[0].n_in, "MLP")
        zs: list[list[Value]] = []
        activations: list[list[Any]] = [list(operands)]
        for layer in self.layers:
            zs.append([neuron._net_input(operands, numbers) for neuron in layer.neurons])
            outputs = [neuron._fire(z) for neuron, z in zip(layer.neurons, zs[-1], strict=True)]
            activations.append(outputs)
            operands, numbers = tuple(outputs), [out._f for out in outputs]
        return Trace(outputs[0] if len(outputs) == 1 else outputs, zs, activations)

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """The outputs for many examples (n, d), as numbers: shape (n,) for one output, (n, k) for k."""
        return _forward_rows(self.layers, X)

    def __repr__(self) -> str:
        sizes = [getattr(layer, "n_out", 0) for layer in self.layers]
        n_in = getattr(self.layers[0], "n_in", 0) if self.layers else 0
        last, hidden = _shown_activation(self.output_activation), _shown_activation(self.activation)
        wanted = [
            f"Layer({a}, {b}{last if i == len(sizes) else hidden})"
            for i, (a, b) in enumerate(pairwise([n_in, *sizes]), 1)
        ]
        out = _shown_activation(self.output_activation, "output_activation")
        return _made_of(self.layers, wanted, f"MLP({n_in}, {sizes}{hidden}{out})")


def _forward_rows(layers: Sequence[Layer], X: Any) -> np.ndarray[Any, Any]:
    """The forward pass of layers over rows, as matrix products; activations act on the numbers."""
    import numpy as np

    rows = as_rows(X, "predict")
    if rows.shape[1] != layers[0].n_in:
        raise ValueError(f"predict: expected {layers[0].n_in} inputs, X has {rows.shape[1]} columns")
    for layer in layers:
        weights = np.array([[p._f for p in neuron.w] for neuron in layer.neurons])
        rows = rows @ weights.T + np.array([neuron.b._f for neuron in layer.neurons])
        with no_grad():
            for j, neuron in enumerate(layer.neurons):  # each its own: one of them may have been replaced
                activate = neuron._activate
                if activate is not None:
                    rows[:, j] = [_number(activate(z)) for z in rows[:, j].tolist()]
    return rows[:, 0] if rows.shape[1] == 1 else rows


class Network(Module):
    """A network as any directed acyclic graph N = (V, A): a weight w_ij for each edge from neuron i to neuron j.

    in_j = sum of w_ij a_i over the edges into j (plus b_j if there are biases), a_j = g(in_j); the input
    neurons, which no edge enters, have a_j = x_j.

    Args:
        edges: pairs (i, j); a neuron is named by a number or a string.
        activation: g, as for `Neuron`; or a dict with one for each neuron that is no input.
        inputs: the input neurons in the order of x; by default those that no edge enters, as they come in `edges`.
        outputs: the neurons whose activations are the output; by default those that no edge leaves.
        bias: whether each neuron that is no input has a bias.
        init, seed: as for `Neuron`.

    Raises:
        TypeError: an edge is no pair, or a neuron's name neither a number nor a string.
        ValueError: an edge comes twice, the edges go round in a circle, an input is entered, a neuron is unknown.

    Example:
        >>> xor = ag.Network([(1, 3), (2, 3), (1, 4), (2, 4), (3, 5), (4, 5), (1, 5)], activation="tanh", seed=0)
        >>> trace = xor.trace([1.0, 0.0])
        >>> ag.losses.squared_error(trace.output, 1.0).backward()
        >>> xor.w[3, 5].grad == trace.delta[5] * trace.a[3].item()
        True

    Source: the backpropagation slides, BACKPROPAGATE((x, y); N = (V, A); w).
    """

    def __init__(
        self, edges: Iterable[tuple[Any, Any]], activation: Any = "sigmoid", *, inputs: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None, bias: bool = False, init: Any = None, seed: Any = None,
    ) -> None:  # fmt: skip
        self.edges = [_edge(edge, n) for n, edge in enumerate(edges)]
        if not self.edges:
            raise ValueError("Network: there are no edges")
        self._into: dict[Any, list[Any]] = {}  # neuron: where its edges come from
        fan_out: dict[Any, int] = {}
        seen: set[tuple[Any, Any]] = set()
        for i, j in self.edges:
            if (i, j) in seen:
                raise ValueError(f"Network: the edge {(i, j)!r} comes twice")
            seen.add((i, j))
            for neuron in (i, j):
                self._into.setdefault(neuron, [])
            self._into[j].append(i)
            fan_out[i] = fan_out.get(i, 0) + 1
        entered = [j for j, sources in self._into.items() if sources]
        self.inputs = _chosen(inputs, [j for j, sources in self._into.items() if not sources], self._into, "inputs")
        self.outputs = _chosen(outputs, [j for j in self._into if j not in fan_out], self._into, "outputs")
        for j in self.inputs:
            if self._into[j]:
                raise ValueError(f"Network: the input {j!r} is entered by edges, from {self._into[j]}")
        for j, sources in self._into.items():
            if not sources and j not in self.inputs:
                raise ValueError(f"Network: no edge enters {j!r}; it must be one of the inputs")
        self._order = [j for j in self._topological() if self._into[j]]
        unknown = [j for j in activation if j not in entered] if isinstance(activation, Mapping) else []
        if unknown:
            raise ValueError(f"Network: activation is given for {unknown[0]!r}, which is an input or no neuron at all")
        self.activation = dict(activation) if isinstance(activation, Mapping) else activation
        own = {j: self.activation.get(j) if isinstance(activation, Mapping) else activation for j in entered}
        made = {g: _activation(g) for g in own.values()}
        self._activate = {j: made[g] for j, g in own.items()}
        self.bias, rng = bool(bias), _generator(seed)
        self.w = {
            (i, j): Parameter(_initializer(init, own[j])(len(self._into[j]), fan_out.get(j, 1), rng))
            for i, j in self.edges
        }
        self.b = {j: Parameter(0.0) for j in self._order} if self.bias else {}
        self._place("", None)

    def _place(self, prefix: str, parent: Scope | None) -> None:
        super()._place(prefix, parent)
        self._scope = Scope("network", parent)
        self._scopes = {j: Scope(f"neuron {j}", self._scope) for j in self._order}

    def _topological(self) -> list[Any]:
        """The neurons, each after those it hears; iterative, so that a chain may be of any length."""
        waiting = {j: len(sources) for j, sources in self._into.items()}
        heard: dict[Any, list[Any]] = {j: [] for j in self._into}
        for i, j in self.edges:
            heard[i].append(j)
        order = [j for j, count in waiting.items() if not count]
        for i in order:  # grows while we walk it
            for j in heard[i]:
                waiting[j] -= 1
                if not waiting[j]:
                    order.append(j)
        if len(order) < len(waiting):
            stuck = [j for j, count in waiting.items() if count]
            raise ValueError(f"Network: the edges go round in a circle through some of {_some(list(map(repr, stuck)))}")
        return order

    def __call__(self, x: Any) -> Any:
        """The output for one example: a Value, or for several output neurons a list of them."""
        return self.trace(x).output

    def trace(self, x: Any) -> Trace:
        """The output for one example, with in_j (as z), a_j and, after backward, Delta_j of each neuron."""
        xs, _ = _example(x, len(self.inputs), "Network")
        a: dict[Any, Any] = dict(zip(self.inputs, xs, strict=True))
        z: dict[Any, Value] = {}
        for j in self._order:
            sources = self._into[j]
            weights = [self.w[i, j] for i in sources]
            operands = (*weights, *(a[i] for i in sources), *((self.b[j],) if self.bias else ()))
            z[j] = stamp(record(TABLE["dot"], operands), self._scopes[j])
            activate = self._activate[j]
            a[j] = z[j] if activate is None else stamp(activate(z[j]), self._scopes[j])
        outputs = [a[j] for j in self.outputs]
        return Trace(outputs[0] if len(outputs) == 1 else outputs, z, a)

    def __repr__(self) -> str:
        return f"Network({len(self._into)} neurons, {len(self.edges)} edges{', with biases' if self.bias else ''})"


def _edge(edge: Any, n: int) -> tuple[Any, Any]:
    if not isinstance(edge, (tuple, list)) or len(edge) != 2:
        raise TypeError(f"Network: edge {n} must be a pair (from, to), got {shown(edge)}")
    for neuron in edge:
        if not isinstance(neuron, (int, str)) or isinstance(neuron, bool):
            raise TypeError(f"Network: edge {n}: a neuron is named by a whole number or a string, got {shown(neuron)}")
    return edge[0], edge[1]


def _chosen(given: Sequence[Any] | None, default: list[Any], known: Mapping[Any, Any], what: str) -> list[Any]:
    chosen = default if given is None else list(given)
    for j in chosen:
        if j not in known:
            raise ValueError(f"Network: {what}: there is no neuron {j!r}")
    if not default and given is None:
        raise ValueError(f"Network: there are no {what}: the edges go round in a circle")
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"Network: {what} must be different neurons, at least one, got {chosen}")
    return chosen


class Perceptron(Neuron):
    """A linear threshold unit with the perceptron rule; labels are -1 and +1.

    score(x) = w . x + b; x is misclassified if y score(x) <= 0;
    error(w, b) = -sum over the misclassified of y (w . x + b), whose gradient step is
    w <- w + lr y x, b <- b + lr y.

    Args:
        n_in: the number of inputs.
        init, seed: as for `Neuron`; the weights begin at 0 unless told otherwise.

    Example:
        >>> unit = ag.Perceptron(1)
        >>> while unit.step([[-1.0], [2.0]], [-1, 1], lr=1.0):
        ...     pass
        >>> unit.predict([[-3.0], [4.0]])
        array([-1.,  1.])

    Source: Hajij, The Backpropagation Algorithm, "Training Perceptron" (the slides lose the sign of
    the gradient; it is mended here).
    """

    def __init__(self, n_in: int, *, init: Any = 0.0, seed: Any = None) -> None:
        super().__init__(n_in, None, init=init, seed=seed)

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """The labels -1 or +1 of many examples, shape (n, d) to (n,); a score of exactly 0 counts as -1."""
        import numpy as np

        scores = self._scores(as_rows(X, "Perceptron"))
        return np.where(scores > 0.0, 1.0, np.where(scores == scores, -1.0, np.nan))

    def error(self, X: Any, y: Any) -> Value:
        """-sum of y score(x) over the misclassified examples, as a Value: written with relu."""
        rows, labels = self._data(X, y)
        scores = [self(row) for row in rows.tolist()]
        total: Value = functions.sum([(-label * z).relu() for z, label in zip(scores, labels, strict=True)])
        return total

    def misclassified(self, X: Any, y: Any) -> list[int]:
        """The indices of the examples with y score(x) <= 0."""
        rows, labels = self._data(X, y)
        scores = self._scores(rows)
        return [i for i, label in enumerate(labels) if not label * scores[i] > 0.0]

    def step(self, X: Any, y: Any, lr: float) -> int:
        """One step of the perceptron rule over all misclassified examples at once.

        Args:
            X: examples, shape (n, d).
            y: labels, -1 or +1, shape (n,).
            lr: the learning rate, above 0.

        Returns:
            The number of misclassified examples before the step; 0 means that nothing was left to change.

        Raises:
            ValueError: a label is neither -1 nor 1, lengths differ, or lr is not above 0.
        """
        rate = plain(lr, "Perceptron: lr")
        if not 0.0 < rate < float("inf"):
            raise ValueError(f"Perceptron: lr must be above 0 and finite, got {rate}")
        rows, labels = self._data(X, y)
        for i, row in enumerate(rows.tolist()):
            if not all(map(isfinite, row)):
                raise ValueError(f"Perceptron: row {i} of X is not finite: {shown(row)}")
        wrong = self.misclassified(rows, labels)
        numbers = [w._f + rate * sum(labels[i] * float(rows[i, j]) for i in wrong) for j, w in enumerate(self.w)]
        set_numbers([*self.w, self.b], [*numbers, self.b._f + rate * sum(labels[i] for i in wrong)])
        return len(wrong)

    def fit(
        self, X: Any, y: Any, lr: float = 1.0, *, max_epochs: int = 1000, batch: bool = False, seed: int | None = None,
    ) -> History:  # fmt: skip
        """Train by the perceptron rule until every example is on its right side.

        Example by example, in a new random order each epoch: w <- w + lr y x and b <- b + lr y for each that is
        misclassified when it is met. On separable data this ends, by the perceptron convergence theorem.

        Args:
            X: examples, shape (n, d).
            y: labels, -1 or +1, shape (n,).
            lr: the learning rate, above 0.
            max_epochs: when to give up; then a warning says that the data may not be separable.
            batch: instead one step an epoch over all misclassified examples at once, see `step`.
            seed: for the order of the examples.

        Returns:
            A History with the error and the number of misclassified examples after each epoch; its `stopped`
            says why it ended, its `converged` whether all examples are classified.

        Raises:
            ValueError: a label is neither -1 nor 1, lengths differ, a number of X is not finite, or lr is not above 0.

        Example:
            >>> unit = ag.Perceptron(1)
            >>> unit.fit([[-1.0], [2.0], [3.0]], [-1, 1, 1], seed=0).stopped
            'every example is classified'
        """
        from autograd_lite.training import fit_perceptron

        return fit_perceptron(self, X, y, lr, max_epochs, batch, seed)

    def _scores(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        import numpy as np

        if rows.shape[1] != self.n_in:
            raise ValueError(f"Perceptron: expected {self.n_in} inputs, X has {rows.shape[1]} columns")
        return rows @ np.array([w._f for w in self.w]) + self.b._f  # type: ignore[no-any-return]

    def _data(self, X: Any, y: Any) -> tuple[np.ndarray[Any, Any], list[float]]:
        rows = as_rows(X, "Perceptron")
        labels = [plain(label, f"Perceptron: label {i}") for i, label in enumerate(y)]
        if len(labels) != len(rows):
            raise ValueError(f"Perceptron: {len(rows)} examples but {len(labels)} labels")
        for i, label in enumerate(labels):
            if label not in (-1.0, 1.0):
                raise ValueError(f"Perceptron: labels are -1 or 1, label {i} is {label:g}")
        return rows, labels

    def __repr__(self) -> str:
        return f"Perceptron({self.n_in})"
