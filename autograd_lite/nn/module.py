"""Module, the base class of every model: parameters, state_dict, predict, summary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from autograd_lite.data import as_rows
from autograd_lite.engine.atomic import clear_grads, set_numbers
from autograd_lite.engine.checks import as_float, describe, is_array, numpy_for
from autograd_lite.engine.modes import no_grad
from autograd_lite.engine.scopes import Scope
from autograd_lite.engine.value import Parameter, Value

if TYPE_CHECKING:
    import numpy as np


class Loaded(NamedTuple):
    """What `load_state_dict` found: names missing in the state, and names that the module does not have."""

    missing_keys: list[str]
    unexpected_keys: list[str]


NEURON = re.compile(r"(?:^|(?<=\.))neurons(\[\d+\])\.(?=[wb](?:\[|$))")
"""The place of a neuron in the name of one of its parameters."""

INDICES = re.compile(r"(?:\[\d+(?:, \d+)*\])*$")


class Module:
    """A model: it has parameters, its own and those of the modules among its attributes.

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
        """(name, parameter) for each parameter, in the order of definition; a name says where it is kept.

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
        """(name, parameter) for each parameter where it is first met; iterative, for modules may nest to any depth."""
        seen: set[int] = set()  # parameters count once, and so do containers: a list may contain itself
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

    def load_state_dict(self, state: Mapping[str, float], strict: bool = True) -> Loaded:
        """Set every parameter from `state_dict()` of a module of the same shape; all of them or none.

        Args:
            state: a number for each name.
            strict: whether the names must be the same; otherwise those that both have are set.

        Returns:
            The names that were missing in the state, and those that the module does not have.

        Raises:
            TypeError: state is not a mapping, or an entry is not a number.
            ValueError: a name is missing or unknown (if strict), or a number is NaN or infinite.

        Example:
            >>> part = {"layers[0].neurons[0].w[0]": 0.5, "head": 1.0}
            >>> found = ag.MLP(1, [1], seed=0).load_state_dict(part, strict=False)
            >>> found.missing_keys, found.unexpected_keys
            (['layers[0].neurons[0].b'], ['head'])
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict: expected a dict of numbers by name, got {describe(state)}")
        parameters = dict(self.named_parameters())
        missing = [name for name in parameters if name not in state]
        extra = [name for name in state if name not in parameters]
        if strict and (missing or extra):
            wrong = [f"missing {name!r}" for name in sorted(missing)] + [
                f"unknown {name!r}" for name in sorted(extra, key=str)
            ]
            raise ValueError(f"load_state_dict: {first_few(wrong)}; the module is {self!r}")
        parameters = {name: p for name, p in parameters.items() if name in state}
        numbers = [as_float(state[name], f"load_state_dict: {name!r}") for name in parameters]
        for name, x in zip(parameters, numbers, strict=True):
            if not isfinite(x):
                raise ValueError(
                    f"load_state_dict: {name!r} is {x}, and a state holds finite numbers, as a file of `save` does; "
                    "to set it all the same, write the parameter's .data"
                )
        set_numbers(parameters.values(), numbers)
        return Loaded(missing, extra)

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """The parameters as arrays by name: those of one list, or of the neurons of one layer, in one array.

        The weights of a Layer have the shape (n_out, n_in), as PyTorch's Linear has them; Keras and scikit-learn have
        the transpose.

        Example:
            >>> {name: x.shape for name, x in ag.MLP(2, [3, 1], seed=0).arrays().items()}
            {'layers[0].w': (3, 2), 'layers[0].b': (3,), 'layers[1].w': (1, 3), 'layers[1].b': (1,)}
        """
        np = numpy_for("arrays")

        return {
            name: np.array([p.item() for p in members]).reshape(shape)
            for name, (shape, members) in self._boxes().items()
        }

    def load_arrays(self, arrays: Mapping[str, Any]) -> None:
        """Set every parameter from `arrays()` of a module of the same shape; all of them or none.

        Args:
            arrays: an array for each name, or whatever NumPy makes one of.

        Raises:
            TypeError: arrays is not a mapping, or an entry does not hold numbers.
            ValueError: a name is missing or unknown, a shape is another, or a number is NaN or infinite.

        Example:
            >>> model = ag.MLP(1, [1])
            >>> model.load_arrays({"layers[0].w": [[2.0]], "layers[0].b": [1.0]})
            >>> model([3.0]).item()
            7.0
        """
        np = numpy_for("load_arrays")

        if not isinstance(arrays, Mapping):
            raise TypeError(f"load_arrays: expected a dict of arrays by name, got {describe(arrays)}")
        boxes = self._boxes()
        wrong = [f"missing {name!r}" for name in boxes if name not in arrays]
        wrong += [f"unknown {name!r}" for name in arrays if name not in boxes]
        if wrong:
            raise ValueError(f"load_arrays: {first_few(wrong)}; the module is {self!r}")
        parameters, numbers = [], []
        for name, (shape, members) in boxes.items():
            given = np.asarray(arrays[name])
            if given.dtype.kind not in "biuf":
                raise TypeError(f"load_arrays: {name!r} must hold real numbers, got {describe(arrays[name])}")
            if given.shape != shape:
                raise ValueError(f"load_arrays: {name!r} has the shape {given.shape}, the module needs {shape}")
            if not np.isfinite(given).all():
                raise ValueError(f"load_arrays: {name!r} holds a number that is not finite")
            parameters += members
            numbers += given.astype(float).ravel().tolist()
        set_numbers(parameters, numbers)

    def _boxes(self) -> dict[str, tuple[tuple[int, ...], list[Parameter]]]:
        """Name: (shape, parameters in order) of each array; what does not fill one stands alone."""
        found: dict[str, dict[tuple[int, ...], tuple[str, Parameter]]] = {}
        for name, parameter in self.named_parameters():
            neuron = NEURON.search(name)
            base = name if neuron is None else name[: neuron.start()] + name[neuron.end() :]
            tail = INDICES.search(base)
            assert tail is not None  # it matches the empty text too
            place = tuple(map(int, re.findall(r"\d+", (neuron[1] if neuron else "") + tail[0])))
            found.setdefault(base[: tail.start()], {})[place] = name, parameter
        boxes: dict[str, tuple[tuple[int, ...], list[Parameter]]] = {}
        for base, members in found.items():
            shape = tuple(max(axis) + 1 for axis in zip(*members, strict=False))
            if list(members) == list(product(*map(range, shape))):
                boxes[base] = shape, [parameter for _, parameter in members.values()]
            else:
                boxes |= {name: ((), [parameter]) for name, parameter in members.values()}
        return boxes

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """The outputs for many examples, as numbers and without a graph.

        Args:
            X: examples, shape (n, d).

        Returns:
            An array of shape (n,) for one output, (n, k) for k outputs.

        Raises:
            ValueError: X does not have two dimensions, or its rows differ in length.
        """
        np = numpy_for("predict")

        with no_grad():
            outputs = [self(row) for row in as_rows(X, type(self).__name__).tolist()]
        numbers = [[to_number(y) for y in out] if isinstance(out, (list, tuple)) else to_number(out) for out in outputs]
        return np.array(numbers, dtype=float)  # type: ignore[no-any-return]

    def counts(self) -> tuple[int, int]:
        """(weights, parameters): parameters called `b` are biases, all others weights."""
        names = [name for name, _ in self.named_parameters()]
        return sum(not _is_bias(name) for name in names), len(names)

    def weights(self) -> list[Parameter]:
        """The parameters except biases, i.e. those that weight decay applies to."""
        return [parameter for name, parameter in self.named_parameters() if not _is_bias(name)]

    def biases(self) -> list[Parameter]:
        """The parameters called `b`: all that are not `weights`."""
        return [parameter for name, parameter in self.named_parameters() if _is_bias(name)]

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


def _elements(name: str, thing: Any) -> list[tuple[str, Any]]:
    """The items of a sequence or of an array of objects, each with its place: `w[0]`, `w[0, 1]`."""
    if isinstance(thing, (list, tuple)):
        return [(f"{name}[{i}]", x) for i, x in enumerate(thing)]
    if is_array(thing) and thing.dtype == object:
        places = product(*map(range, thing.shape))
        return [(f"{name}{list(place)}", x) for place, x in zip(places, thing.ravel().tolist(), strict=True)]
    return []


def _is_bias(name: str) -> bool:
    """Whether a parameter of this name is a bias: it is called `b`, or kept in something called `b`."""
    return name.rpartition(".")[2].partition("[")[0] == "b"


def to_number(y: Any) -> float:
    """One output of a model, a Value or a number, as a float."""
    return y.item() if isinstance(y, Value) else as_float(y, "predict: an output")


def first_few(items: Sequence[str], most: int = 5) -> str:
    """The first items of a list, for a message, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
