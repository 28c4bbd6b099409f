"""Value and Parameter: a node of the computation graph, and how one is recorded.

A node holds what it computed: its result, its operands in order and the local gradient of each
operand slot, at the point where it was evaluated. The operators are made from the table of
primitives; the functions (`exp`, `maximum`, ...) are in functions.py, the backward pass in backward.py.
"""

from __future__ import annotations

import numbers as numeric
import opcode
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from autograd_lite.engine import checks, graph
from autograd_lite.engine.backward import backward
from autograd_lite.engine.checks import as_float, describe, to_float
from autograd_lite.engine.copying import Ancestors, rebuilt, saving_now
from autograd_lite.engine.graph import MANY
from autograd_lite.engine.lowering import FLOATS
from autograd_lite.engine.modes import changed_mode, comparing, current, mode, notify_compared, notify_read, tracing
from autograd_lite.engine.rules import Row
from autograd_lite.engine.scopes import Scope

if TYPE_CHECKING:  # what functions.py adds to Value, as type checkers see it
    from autograd_lite.engine.signatures import Methods
else:
    Methods = object


new: Any = object.__new__


def finish_node(node: Value) -> Value:
    """What becomes of a new node when some context is open: called only while one is."""
    state = current()
    recording, scope, watchers = state.recording, state.scope, state.watchers
    del state  # an error of a watcher would keep it alive, and with it the second look at every node
    if not recording:
        return _detached(node)
    if scope is not None:
        node._scope = scope
    if watchers:
        with changed_mode(tracer=None, unseen=True):  # what we look at ourselves is not what the traced function does
            for watch in watchers:
                watch(node)
    return node


def _detached(node: Value) -> Value:
    """A leaf of the same number; in a trace a node that is live but hands no gradient on."""
    if tracing:
        tracer = mode.tracer
        if tracer is not None:
            return tracer.detach(node)  # type: ignore[no-any-return]
        notify_read(node, "detaching")
    return Value(node._f)


_OPERATORS = {opcode.opmap[name] for name in opcode.opmap if name.startswith("BINARY_") and "SUBSCR" not in name}
_IN_PLACE = 13
"""From this argument on, BINARY_OP of Python 3.11 is an operator in place (3.10 has codes of their own for those)."""


_frame = sys._getframe


class _ArrayUfunc:
    """What NumPy asks a Value for, in two situations: for `np.exp(v)`, and for an operator with its own number or array
    on the left, as in `np.float64(2) - v`.

    The function that it gets could handle both. But NumPy's way through a ufunc takes four to ten times as long as
    `2.0 - v`, while None makes it leave the operator to the Value at once. None makes `np.exp(v)` an error, so it is
    None only where Python is just executing a binary operator.
    """

    def __get__(self, value: Any, kind: type) -> Any:
        frame = _frame(1)
        code, at = frame.f_code.co_code, frame.f_lasti
        if code[at] in _OPERATORS and code[at + 1] < _IN_PLACE and value is None:
            return None
        function = checks.load_arrays().value_ufunc
        return function if value is None else function.__get__(value)


# --- the node ---------------------------------------------------------------------------------------


class Value(Methods):
    """A number that remembers how it was computed.

    A Value made by hand is a leaf. Arithmetic on Values makes new ones, each with its operands and
    the local gradient d(result)/d(operand) of each operand slot. `backward` on the last one then
    gives every Value of the graph its g_i = d(loss)/d(f_i).

    Comparisons, `==` among them, are those of the numbers. A dict or a set finds a Value by its identity.

    Args:
        data: any real number; kept as a float.
        name: what pictures and messages call it.
        label: micrograd's word for name.

    Raises:
        TypeError: data is not a real number (a complex, a string, a list, another Value).
        OverflowError: data is an integer too large for a float.

    Example:
        >>> a, b = ag.Value(2.0, name="a"), ag.Value(3.0, name="b")
        >>> c = a * b + a
        >>> c.backward()
        >>> c.item(), a.grad, b.grad
        (8.0, 4.0, 2.0)
    """

    # _f result, _grad gradient, _row primitive (None: a leaf), _a _b operands (see graph.py), _da _db their
    # local gradients (_da a list when _b is MANY). A new node leaves _grad, _name and _scope unset, which saves
    # their stores in the hot path; the properties read them. (A __getattr__ would do it in one place, but a
    # class that has one loses the interpreter's fast reads of every slot: half of the time of a backward pass.)
    __slots__ = ("__weakref__", "_a", "_b", "_da", "_db", "_f", "_grad", "_name", "_row", "_scope")

    _f: float
    _grad: float
    _row: Row | None
    _a: Any
    _b: Any
    _da: Any
    _db: Any
    _name: str
    _scope: Scope | None

    def __init__(self, data: Any, name: str = "", *, label: str = "") -> None:
        self._f = data if type(data) is float else as_float(data, type(self).__name__)
        self._grad = 0.0
        self._row = self._a = self._b = None
        if type(name) is not str or name or type(label) is not str or label:
            if isinstance(name, str) and name and label:
                raise TypeError(f"{type(self).__name__}: label is another word for name; give one of the two")
            self.name = label if isinstance(name, str) and not name else name

    # -- what it is

    @property
    def data(self) -> float:
        """The forward value f_i. A leaf's may be set; a graph already built keeps what it recorded."""
        if tracing:
            notify_read(self, "the data")
        return self._f

    @data.setter
    def data(self, data: Any) -> None:
        if type(data) is float and self._row is None and not tracing:  # `p.data -= lr * p.grad`, the hottest user code
            self._f = data
            return
        if tracing:
            notify_read(self, "setting the data")
        if self._row is not None:
            raise RuntimeError(
                f"data: {self!r} is the result of an operation and cannot be set; "
                "change a leaf and compute again, or take .detach()"
            )
        self._f = as_float(data, "data")

    @property
    def grad(self) -> float:
        """The backward value g_i = d(root)/d(f_i); 0.0 before any backward pass.

        A leaf's adds up over passes (set it to 0, or call `zero_grad`, between steps); an
        interior node's is that of the last pass.
        """
        if tracing:
            notify_read(self, "the grad")
        try:
            return self._grad
        except AttributeError:
            return 0.0

    @grad.setter
    def grad(self, grad: Any) -> None:
        self._grad = grad if type(grad) is float else as_float(grad, "grad", "set it to 0.0 to clear it")

    @property
    def name(self) -> str:
        """What pictures and messages call this Value; "" if it has no name."""
        return getattr(self, "_name", "")

    @name.setter
    def name(self, name: str | None) -> None:
        name = "" if name is None else name
        if not isinstance(name, str):
            raise TypeError(f"name: expected a string, got {describe(name)}")
        self._name = name

    # micrograd's names for three of these: its programs and their pictures read them

    @property
    def label(self) -> str:
        """The name, in micrograd's words."""
        return self.name

    @label.setter
    def label(self, label: str | None) -> None:
        self.name = label

    @property
    def _prev(self) -> set[Value]:
        return set(self.operands)

    @property
    def _op(self) -> str:
        return "" if self._row is None else self._row.symbol

    @property
    def scope(self) -> Scope | None:
        """The scope that it was recorded in, which pictures draw as a frame around it; None outside of any."""
        return getattr(self, "_scope", None)

    @property
    def op(self) -> str:
        """The name of the primitive that made it, "" for a leaf."""
        return "" if self._row is None else self._row.name

    @property
    def operands(self) -> tuple[Value, ...]:
        """The operands in order, one for each slot (`a * a` has two); a literal shows as a constant leaf."""
        return tuple(Literal(x) if type(x) is float else x for x in graph.raw_operands(self))

    @property
    def local_grads(self) -> tuple[float, ...]:
        """d(this)/d(operand) for each operand slot, at the point where it was computed."""
        if tracing:
            notify_read(self, "local_grads")
        return self._local_grads

    @property
    def _local_grads(self) -> tuple[float, ...]:
        if self._row is None:
            return ()
        if self._b is None:
            return (self._da,)
        return tuple(self._da) if self._b is MANY else (self._da, self._db)

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by hand rather than computed."""
        return self._row is None

    @property
    def real(self) -> Value:
        """Itself: a real number is its own real part (Fraction and NumPy ask for it)."""
        return self

    @property
    def imag(self) -> float:
        """0.0, as of any real number."""
        return 0.0

    def conjugate(self) -> Value:
        """Itself: a real number is its own conjugate (NumPy's `std` and `var` ask for it)."""
        return self

    def item(self) -> float:
        """The number, as a float."""
        if tracing:
            notify_read(self, "item()")
        return self._f

    def detach(self) -> Value:
        """A new leaf of the same number and name: nothing flows back through it."""
        leaf = _detached(self)
        if self.name:
            leaf.name = self.name
        return leaf

    def backward(self, gradient: float = 1.0) -> None:
        """Compute g_i = d(self)/d(f_i) for every Value that this one was computed from.

        g(operand) += g(node) * local gradient, from the root to the leaves in topological order.
        Leaves add the result to their `.grad`; interior nodes take it as theirs. All or nothing:
        an interrupted pass leaves every `.grad` as it was.

        Args:
            gradient: the gradient of self to start from.

        Raises:
            TypeError: gradient is not a real number.

        Example:
            >>> x = ag.Value(3.0)
            >>> (x * x).backward()
            >>> x.grad
            6.0

        Source: Stanford CS221, "Machine learning: backpropagation", forward and backward values.
        """
        backward(self, gradient)

    # -- how it shows itself

    def __repr__(self) -> str:
        traced = bool(tracing) and mode.tracer is not None  # then its number is that of the trace alone
        parts = [] if traced else [repr(self._f)]
        if self.name:
            parts.append(f"name={self.name!r}")
        if self._row is not None:
            parts.append(f"op={self._row.name!r}")
        if (grad := getattr(self, "_grad", 0.0)) and not traced:
            parts.append(f"grad={grad!r}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def __format__(self, spec: str) -> str:
        if spec and tracing:
            notify_read(self, "the text")
        return format(self._f, spec) if spec else repr(self)

    # -- what a float can do that a Value may not, or only with care

    def __bool__(self) -> bool:
        return notify_compared("bool", (self,), self._f != 0.0) if comparing else self._f != 0.0

    def __float__(self) -> float:
        raise TypeError(
            "float() and the functions of math would drop the gradient of this Value: "
            "use .item() for the number, or ag.exp, ag.log, ... in place of math's"
        )

    def __int__(self) -> int:  # without it int() would take what math.trunc gives, a Value
        raise TypeError(
            "int() would drop the gradient of this Value: use int(v.item()) for the number, or math.trunc(v), which is "
            "a Value"
        )

    def __index__(self) -> int:  # range, list indices, and counts: Python's own message says nothing about a Value
        raise TypeError(
            "a Value cannot be a count or an index, which have no gradient: use int(v.item()) for the number, or a "
            "plain int; an argument of a compiled function that counts is named in static="
        )

    def as_integer_ratio(self) -> tuple[int, int]:
        """Refused, since it would drop the gradient; `statistics` and `fractions` ask for it."""
        raise TypeError(
            "as_integer_ratio(), which statistics and fractions use, would drop the gradient of this Value: "
            "use .item() for the number, or np.mean, np.median, np.var and np.std, which work on Values"
        )

    def is_integer(self) -> bool:
        """Whether the number is whole, as of a float."""
        return self - self.floor() == 0.0

    def __pos__(self) -> Value:
        return self

    def __lt__(self, other: Any) -> bool:
        return _compared(other, self._f.__lt__, "less", self)

    def __le__(self, other: Any) -> bool:
        return _compared(other, self._f.__le__, "less_equal", self)

    def __gt__(self, other: Any) -> bool:
        return _compared(other, self._f.__gt__, "greater", self)

    def __ge__(self, other: Any) -> bool:
        return _compared(other, self._f.__ge__, "greater_equal", self)

    # Equal as numbers are; a dict or a set still finds a Value by its identity.

    def __eq__(self, other: object) -> bool:
        return _same(self, other, "equal", True)

    def __ne__(self, other: object) -> bool:
        return _same(self, other, "not_equal", False)

    __hash__: Any = object.__hash__

    # -- copies and pickles: see Ancestors

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...] | str:
        if tracing:
            if _frame(1).f_globals.get("__name__") == "copy" and any(
                follower.keeps(self) for follower in tuple(tracing)
            ):
                return type(self).__name__  # of what reduces to a string the copy is the thing itself
            notify_read(self, "a copy")
        grad = getattr(self, "_grad", 0.0)
        if self._row is None:
            fields: tuple[Any, ...] = (None, self._f, grad, self.name, self.scope)
        else:
            ancestors = None if self in saving_now.nodes else Ancestors(self)
            computed = (self._row, self._a, self._b, self._da, getattr(self, "_db", None))
            fields = (ancestors, self._f, grad, self.name, self.scope, *computed)
        return rebuilt, (type(self), *fields), self._attributes()

    def _attributes(self) -> Any:
        """What subclasses add, in the form that pickle sets by itself."""
        return self.__dict__ if type(self).__dictoffset__ else None

    # -- NumPy: see arrays.py

    __array_ufunc__: Any = _ArrayUfunc()

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return checks.load_arrays().apply_function(function, args, options)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return checks.load_arrays().of_value(self, dtype)


def _compared(other: Any, test: Callable[[float], bool], name: str, this: Value) -> bool:
    value = other._f if isinstance(other, Value) else to_float(other)
    if value is NotImplemented:
        return NotImplemented  # type: ignore[no-any-return]
    outcome = test(value)
    if comparing:
        return notify_compared(name, (this, other if isinstance(other, Value) else value), outcome)
    return outcome


def _same(this: Value, other: Any, name: str, same: bool) -> bool:
    """Whether two numbers are equal, or (`same` False) are not; anything but a number decides for itself."""
    if isinstance(other, Value):
        value = other._f
    else:
        try:
            value = to_float(other)
        except (OverflowError, ValueError):  # 10**400, Decimal("sNaN"): equal to no float
            return not same
        if value is NotImplemented:
            return NotImplemented  # type: ignore[no-any-return]
        if value != other:  # 2**53 + 1 and NaN: the same
            return not same
    outcome = (this._f == value) is same
    if comparing:
        return notify_compared(name, (this, other if isinstance(other, Value) else value), outcome)
    return outcome


numeric.Complex.register(Value)  # as pytest.approx and np.isscalar ask; who asks for a Real goes on to call float()


class Parameter(Value):
    """A leaf that training may change; a Value in every other way.

    Args:
        data: any real number; kept as a float.
        name: what pictures and messages call it.

    Attributes:
        frozen: set it to True to keep optimizers from changing it.

    Example:
        >>> w = ag.Parameter(0.1, name="w")
        >>> w
        Parameter(0.1, name='w')
    """

    __slots__ = ("frozen",)

    def __init__(self, data: Any, name: str = "", *, label: str = "") -> None:
        super().__init__(data, name, label=label)
        self.frozen: bool = False

    def _attributes(self) -> Any:
        return super()._attributes(), {"frozen": self.frozen}


class Literal(Value):
    """How a literal operand shows itself: in `x * 3` the 3. Pictures tint it as a constant."""

    __slots__ = ()


def as_values(xs: Any, who: str, name: str, wanted: str) -> list[Value]:
    """A sequence of Values as a list; TypeError says what `who` wanted, or which element of `name` is not one."""
    if not isinstance(xs, Iterable) or isinstance(xs, (str, bytes)) or getattr(xs, "ndim", 1) == 0:
        raise TypeError(f"{who}: {wanted}, got {describe(xs)}")
    found = list(xs)
    for i, x in enumerate(found):
        if not isinstance(x, Value):
            raise TypeError(f"{who}: element {i} of {name} must be a Value, got {describe(x)}")
    return found


# --- recording ---------------------------------------------------------------------------------------


def record(row: Row, operands: tuple[Any, ...], numbers: Sequence[float] | None = None) -> Value:
    """The node of a primitive applied to operands, Values and floats, at least one of them a Value.

    Args:
        row: the primitive.
        operands: one for each slot.
        numbers: their data, where the caller has it already.
    """
    if numbers is None:
        numbers = [x if type(x) is float else x._f for x in operands]
    node = new(Value)
    node._row = row
    node._f, gradients = row.evaluate(numbers)
    if row.variadic or len(operands) > 2:
        node._a, node._b, node._da = operands, MANY, gradients
    elif len(operands) == 2:
        node._a, node._b = operands
        node._da, node._db = gradients
    else:
        node._a, node._b, node._da = operands[0], None, gradients[0]
    return finish_node(node) if FLOATS["special"] else node


FLOATS.update(
    special=0, Value=Value, new=new, to_float=to_float, as_float=as_float, finish_node=finish_node, record=record
)
"""What the code that functions.py makes from the table calls beside its rules. `special` counts the contexts that are
open (no_grad, scope, ...), in any thread: while it is 0, a new node needs no second look."""
