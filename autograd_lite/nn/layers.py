"""Neuron, Layer and MLP: a neuron, neurons that see the same inputs, and layers one after another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from autograd_lite.data import as_rows
from autograd_lite.engine.checks import as_float, describe, numpy_for, sequence, whole
from autograd_lite.engine.modes import no_grad
from autograd_lite.engine.reading import numbers_of
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.scopes import Scope, set_scope
from autograd_lite.engine.value import Parameter, Value, record
from autograd_lite.nn.activations import Activation, activation_function, shown_activation, usual_name
from autograd_lite.nn.initializers import Init, generator, initializer
from autograd_lite.nn.module import Module, first_few, to_number
from autograd_lite.nn.trace import Trace

if TYPE_CHECKING:
    import numpy as np


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
        self, n_in: int, activation: Activation = "relu", *, init: Init = None, seed: Any = None,
        nonlin: bool | None = None, n_out: int = 1,
    ) -> None:  # fmt: skip
        self.n_in: int = whole(n_in, f"{type(self).__name__}: n_in")
        self.activation: Any = None if nonlin is False else usual_name(activation)
        self._activate = activation_function(self.activation)
        draw, rng = initializer(init, self.activation), generator(seed)
        self.w: list[Parameter] = [Parameter(draw(self.n_in, n_out, rng)) for _ in range(self.n_in)]
        self.b: Parameter = Parameter(0.0)
        self._place("", None)

    def _place(self, prefix: str, parent: Scope | None, name: str = "neuron") -> None:
        super()._place(prefix, parent)
        self._scope = Scope(name, parent)

    def __call__(self, x: Any) -> Value:
        """The output for one example: a sequence of n_in numbers or Values."""
        return self._respond(*as_example(x, self.n_in, type(self).__name__))

    def _respond(self, xs: tuple[Any, ...], numbers: list[float]) -> Value:
        return self._fire(self._net_input(xs, numbers))

    def _net_input(self, xs: tuple[Any, ...], numbers: list[float]) -> Value:
        # The numbers are gathered here, for `record` would ask each operand again. w and b are checked only if that
        # fails; the usual mistake is `neuron.w[0] = 1.0` instead of `neuron.w[0].data = 1.0`.
        w, b = self.w, self.b
        if len(w) != self.n_in:
            raise ValueError(f"{type(self).__name__}: w has {len(w)} weights for {self.n_in} inputs")
        try:
            numbers = [*[p._f for p in w], *numbers, b._f]
        except AttributeError:
            name, wrong = next((n, p) for n, p in [*((f"w[{i}]", p) for i, p in enumerate(w)), ("b", b)]
                               if not isinstance(p, Value))  # fmt: skip
            raise TypeError(
                f"{type(self).__name__}: {name} is {describe(wrong)}, not a Parameter; "
                f"to set its number, write {name}.data = ..."
            ) from None
        return set_scope(record(TABLE["dot"], (*w, *xs, b), numbers), self._scope)

    def _fire(self, z: Value) -> Value:
        return z if self._activate is None else set_scope(self._activate(z), self._scope)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n_in}{shown_activation(self.activation)})"


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

    n_in: int
    n_out: int

    def __init__(
        self, n_in: int, n_out: int, activation: Activation = "relu", *, init: Init = None, seed: Any = None,
        nonlin: bool | None = None,
    ) -> None:  # fmt: skip
        self.n_in, self.n_out = whole(n_in, "Layer: n_in"), whole(n_out, "Layer: n_out")
        self.activation: Any = None if nonlin is False else usual_name(activation)
        rng = generator(seed)
        self.neurons: list[Neuron] = [
            Neuron(self.n_in, self.activation, init=init, seed=rng, n_out=self.n_out) for _ in range(self.n_out)
        ]
        self._place("", None)

    def _place(self, prefix: str, parent: Scope | None, name: str = "layer") -> None:
        self._scope = Scope(name, parent)
        for i, neuron in enumerate(self.neurons):
            neuron._place(f"{prefix}neurons[{i}].", self._scope, f"neuron {i}")

    def __call__(self, x: Any) -> Any:
        """The outputs for one example: a list of Values, or for a single neuron its Value."""
        outputs = self._respond(*as_example(x, self.n_in, "Layer"))
        return outputs[0] if len(outputs) == 1 else outputs

    def _respond(self, xs: tuple[Any, ...], numbers: list[float]) -> list[Value]:
        return [neuron._respond(xs, numbers) for neuron in self.neurons]

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """The outputs for many examples (n, d), as numbers: shape (n,) for one neuron, (n, n_out) for more."""
        return _forward_rows([self], X)

    def __repr__(self) -> str:
        neuron = f"Neuron({self.n_in}{shown_activation(self.activation)})"
        text = f"Layer({self.n_in}, {self.n_out}{shown_activation(self.activation)})"
        return _made_of(self.neurons, [neuron] * len(self.neurons) if len(self.neurons) == self.n_out else [], text)


class MLP(Module):
    """A multi-layer perceptron: layers one after another, each fully connected to the next.

    Args:
        n_in: the number of inputs.
        n_outs: the number of neurons of each layer, the output layer last.
        activation: of the hidden layers.
        output_activation: of the last layer; None, for raw scores, by default.
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

    activation: Any
    output_activation: Any

    def __init__(
        self, n_in: int, n_outs: Sequence[int], activation: Activation = "relu",
        output_activation: Activation = None, *, init: Init = None, seed: Any = None,
    ) -> None:  # fmt: skip
        n_outs = sequence(n_outs, "MLP: n_outs", "a list of layer sizes such as [16, 16, 1]")
        sizes = [whole(n_in, "MLP: n_in"), *(whole(n, f"MLP: n_outs[{i}]") for i, n in enumerate(n_outs))]
        if len(sizes) == 1:
            raise ValueError("MLP: n_outs is empty; it needs the size of the output layer at least, as in [1]")
        activation_function(activation)  # an unknown name is refused before any weight is drawn
        activation_function(output_activation, "output_activation")
        rng = generator(seed)
        last = len(sizes) - 2
        activation, output_activation = usual_name(activation), usual_name(output_activation)
        self.activation, self.output_activation = activation, output_activation
        self.layers: list[Layer] = [
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
        operands, numbers = as_example(x, self.layers[0].n_in, "MLP")
        for layer in self.layers:
            outputs = layer._respond(operands, numbers)
            operands, numbers = tuple(outputs), [out._f for out in outputs]
        return outputs[0] if len(outputs) == 1 else outputs

    def trace(self, x: Any) -> Trace:
        """The output for one example, with z, a and (after backward) delta of each layer; see `Trace`."""
        operands, numbers = as_example(x, self.layers[0].n_in, "MLP")
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
        last, hidden = shown_activation(self.output_activation), shown_activation(self.activation)
        wanted = [
            f"Layer({a}, {b}{last if i == len(sizes) else hidden})"
            for i, (a, b) in enumerate(pairwise([n_in, *sizes]), 1)
        ]
        out = shown_activation(self.output_activation, "output_activation")
        return _made_of(self.layers, wanted, f"MLP({n_in}, {sizes}{hidden}{out})")


# --- what they share ------------------------------------------------------------------------------


def as_example(x: Any, n_in: int, who: str) -> tuple[tuple[Any, ...], list[float]]:
    """One example as operands and as numbers; its length must be n_in."""
    if isinstance(x, (str, bytes, Value)) or not isinstance(x, Iterable) or getattr(x, "shape", None) == ():
        raise TypeError(f"{who}: expected one example, a sequence of {n_in} numbers or Values, got {describe(x)}")
    if len(getattr(x, "shape", ())) > 1:
        raise _refused_matrix(f"{type(x).__name__} of shape {tuple(x.shape)}", n_in, who)  # type: ignore[attr-defined]
    xs: tuple[Any, ...] = tuple(
        v if type(v) is float or isinstance(v, Value) else _input(v, i, n_in, who) for i, v in enumerate(x)
    )
    if len(xs) != n_in:
        raise ValueError(f"{who}: expected {n_in} inputs, got {len(xs)}")
    return xs, [v if type(v) is float else v._f for v in xs]


def _input(v: Any, i: int, n_in: int, who: str) -> float:
    if isinstance(v, (list, tuple)) or getattr(v, "ndim", 0) != 0:
        raise _refused_matrix("sequence of sequences", n_in, who)
    return as_float(v, f"{who}: input {i}")


def _refused_matrix(what: str, n_in: int, who: str) -> TypeError:
    return TypeError(
        f"{who}: expected one example, a sequence of {n_in} numbers or Values, got a {what}; for many examples call "
        "the model for each row, [model(x) for x in X], or model.predict(X) for the numbers without a graph"
    )


def _forward_rows(layers: Sequence[Layer], X: Any) -> np.ndarray[Any, Any]:
    """The forward pass of layers over rows, as matrix products; activations act on the numbers."""
    np = numpy_for("predict")

    rows = as_rows(X, "predict")
    if rows.shape[1] != layers[0].n_in:
        raise ValueError(f"predict: expected {layers[0].n_in} inputs, X has {rows.shape[1]} columns")
    for layer in layers:
        weights = np.array([numbers_of(neuron.w) for neuron in layer.neurons])
        rows = rows @ weights.T + np.array(numbers_of(neuron.b for neuron in layer.neurons))
        with no_grad():
            for j, neuron in enumerate(layer.neurons):  # each its own: one of them may have been replaced
                activate = neuron._activate
                if activate is not None:
                    rows[:, j] = [to_number(activate(z)) for z in rows[:, j].tolist()]
    return rows[:, 0] if rows.shape[1] == 1 else rows


def _made_of(parts: Sequence[Any], wanted: list[str], text: str) -> str:
    """The text of a module, or a list of its parts where they are not those that its constructor makes."""
    found = [repr(part) for part in parts]
    return text if found == wanted else f"{text.partition('(')[0]} of [{first_few(found)}]"
