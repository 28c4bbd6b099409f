"""micrograd's Value: a Value that takes attributes, `Value(data, _children, _op)`, and `_backward` closures.

Subtraction, negation and division are written with `+`, `*` and `**` as micrograd writes them, so that graphs, their
`_op` and the last digits are micrograd's. Results that this package alone knows (`ag.exp(x)`) may stand in the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import nan
from typing import Any

from autograd_lite.engine import functions, graph, value
from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.graph import MANY
from autograd_lite.engine.lowering import FLOATS
from autograd_lite.engine.modes import mode, notify_read, tracing
from autograd_lite.engine.rules import Row

__all__ = ["Value"]


class Value(value.Value):
    """micrograd's Value: a number with its gradient, its operands `_prev` and the operation `_op` that made it.

    Args:
        data: any real number; kept as a float.
        _children: the operands of a node that is made by hand; assign its `_backward` afterwards.
        _op: the operation that such a node shows.
        label: the name that pictures show.

    Raises:
        TypeError: data is not a real number, or a child is not a Value.

    Example:
        >>> from autograd_lite.micrograd import Value
        >>> a, b = Value(-4.0, label="a"), Value(2.0)
        >>> c = a * b + b**3
        >>> c.backward()
        >>> c, a.grad, b.grad, c._op
        (Value(data=0.0, grad=1.0), 2.0, 8.0, '+')
    """

    # without __slots__, so that `p.momentum = 0` works: optimizers written for micrograd keep their state there

    def __init__(self, data: Any, _children: Iterable[Any] = (), _op: str = "", label: str = "") -> None:
        super().__init__(data, label)
        if children := tuple(_children):
            value.as_values(children, "Value", "_children", "expected operands")
            self._row, self._a, self._b, self._da = _by_hand(_op, len(children)), children, MANY, [nan] * len(children)

    @property
    def data(self) -> float:
        """The number; unlike that of other Values, the result of an operation may be set too."""
        return value.Value.data.fget(self)  # type: ignore[attr-defined, no-any-return]

    @data.setter
    def data(self, data: Any) -> None:
        self._f = as_float(data, "data")

    @property
    def _prev(self) -> set[value.Value]:
        """The operands that are Values, as micrograd has them: the exponent of a power is not one."""
        return {x for x in graph.raw_operands(self) if type(x) is not float}

    @property
    def _op(self) -> str:
        """What micrograd calls the operation: `+`, `*`, `**2`, `ReLU`, `tanh`; "" for a leaf."""
        row = self._row
        if row is None:
            return ""
        if row.name == "pow" and type(self._b) is float:
            return f"**{int(self._b) if self._b.is_integer() else self._b}"
        return "ReLU" if row.name == "relu" else row.symbol

    def _backward(self) -> None:
        """Add this node's part to the gradients of its operands; a closure of a node made by hand takes its place."""
        add_to_operands(self)

    def backward(self, gradient: float = 1.0) -> None:
        """Set this gradient to 1 and call `_backward` of every node of the graph, from here to the leaves.

        As in micrograd every node adds to its `.grad`, so set them to 0 before another pass.
        """
        if tracing:
            notify_read(self, "backward()")
        order = graph.toposort(self)
        self.grad = gradient
        for node in reversed(order):
            node._backward() if isinstance(node, Value) else add_to_operands(node)

    def __add__(self, other: Any) -> Value:
        return _result(value.Value.__add__(self, _operand(other)))

    def __mul__(self, other: Any) -> Value:
        return _result(value.Value.__mul__(self, _operand(other)))

    def __pow__(self, other: Any) -> Value:
        return _result(value.Value.__pow__(self, other))

    def __rpow__(self, other: Any) -> Value:
        return _result(value.Value.__rpow__(self, other))

    def __neg__(self) -> Value:
        return self * -1

    def __radd__(self, other: Any) -> Value:
        return self + other  # type: ignore[no-any-return]

    def __sub__(self, other: Any) -> Value:
        return self + (-other)  # type: ignore[no-any-return]

    def __rsub__(self, other: Any) -> Value:
        return other + (-self)  # type: ignore[no-any-return]

    def __rmul__(self, other: Any) -> Value:
        return self * other  # type: ignore[no-any-return]

    def __truediv__(self, other: Any) -> Value:
        return self * _inverse(other)  # type: ignore[no-any-return]

    def __rtruediv__(self, other: Any) -> Value:
        return other * self**-1  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        if mode.tracer is not None:
            return super().__repr__()
        return f"Value(data={self._f}, grad={getattr(self, '_grad', 0.0)})"


class Parameter(Value, value.Parameter):
    """A weight of a network: a Value that `ag.grad`, `ag.compile` and pictures know as one to be trained."""


def _inverse(x: Any) -> Any:
    """x ** -1; of a number it is a number, which is not a node of the graph, and of 0 infinity."""
    return x**-1 if isinstance(x, value.Value) else FLOATS["pow"](as_float(x, "Value: the divisor"), -1.0)


def _operand(x: Any) -> Any:
    """A number as a leaf, which pictures show as a node."""
    try:
        return x if isinstance(x, value.Value) else Value(x)
    except TypeError:
        raise TypeError(f"Value: expected a Value or a real number beside an operator, got {describe(x)}") from None


def _result(node: Any) -> Value:
    """A recorded node as a Value of this file."""
    if not isinstance(node, value.Value) or isinstance(node, Value):
        return node
    own: Value = value.new(Value)
    own._f, own._grad, own._row, own._a, own._b = node._f, 0.0, node._row, node._a, node._b
    if node._row is not None:
        own._da = node._da
        if node._b is not None and node._b is not MANY:
            own._db = node._db
    if node.scope is not None:
        own._scope = node.scope
    return own


def add_to_operands(node: value.Value) -> None:
    """grad(operand) += local gradient * grad(node), for each operand slot."""
    for x, d in zip(graph.raw_operands(node), node._local_grads, strict=True):
        if type(x) is not float:
            x._grad = getattr(x, "_grad", 0.0) + d * getattr(node, "_grad", 0.0)


def _by_hand(op: str, n: int) -> Row:
    """The row of a node made by hand: its result is known, its derivative only to its `_backward`."""

    def unknown(*numbers: float) -> Any:
        raise RuntimeError(
            f"Value(data, _children, {op!r}): a node made by hand is differentiated by its own _backward, which "
            ".backward() of the loss calls; for other derivatives use the operators, or define it with ag.primitive"
        )

    operands = " ".join(f"x{i}" for i in range(1, n + 1))
    return Row("by_hand", op, operands, unknown, unknown, "A node made by hand.", builtin=False)


def _method(name: str) -> Callable[..., Any]:
    inner = getattr(value.Value, name)

    def method(self: Value, *others: Any) -> Value:
        return _result(inner(self, *others))

    method.__name__, method.__doc__ = name, inner.__doc__
    return method


for _name in functions.METHODS:
    if not _name.startswith("__neg"):
        setattr(Value, _name, _method(_name))
