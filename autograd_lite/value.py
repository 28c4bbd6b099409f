"""Value and Parameter: a node of the computation graph, and how one is recorded.

A node holds what it computed: its result, its operands in order and the local gradient of each
operand slot, at the point where it was evaluated. The operators are made from the table of
primitives; the functions (`exp`, `maximum`, ...) are in functions.py, derivatives in diff.py.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import chain, repeat
from numbers import Rational, Real
from sys import modules
from typing import TYPE_CHECKING, Any

from autograd_lite import graph
from autograd_lite.graph import MANY
from autograd_lite.rows import FLOATS, Row

if TYPE_CHECKING:  # what functions.py adds to Value, as type checkers see it
    from autograd_lite.signatures import _Methods
else:
    _Methods = object

new = object.__new__

# --- numbers --------------------------------------------------------------------------------------


def number(x: Any) -> Any:
    """x as a float if it is a real number of any kind (0-d arrays included), else NotImplemented."""
    if type(x) is float:
        return x
    if type(x) is int or isinstance(x, Real) or _is_decimal(x):
        try:
            value = float(x)
        except OverflowError:
            value = math.inf
        if math.isinf(value) and (isinstance(x, Rational) or "inf" not in str(x).lower()):
            message = f"this {type(x).__name__} is too large for a float (1.8e308); divide it first"
            raise OverflowError(message)
        return value
    if getattr(x, "ndim", None) == 0 and hasattr(x, "item"):
        item = x.item()
        return NotImplemented if item is x else number(item)
    return NotImplemented


def _is_decimal(x: Any) -> bool:
    decimal = modules.get("decimal")  # a Decimal can only come from there
    return decimal is not None and isinstance(x, decimal.Decimal)


def plain(x: Any, what: str, hint: str = "give an int, a float or a NumPy scalar") -> float:
    """x as a float; TypeError says what it was for."""
    try:
        value = number(x)
    except OverflowError as error:
        raise OverflowError(f"{what}: {error}") from None
    if value is NotImplemented:
        if isinstance(x, Value):
            hint = "take its number with .item(), or a leaf without history with .detach()"
        elif getattr(x, "ndim", 0):
            hint = "on arrays use NumPy's function of that name, which applies ours to each element"
        raise TypeError(f"{what}: expected a real number, got {shown(x)}; {hint}")
    return value  # type: ignore[no-any-return]


def shown(x: Any) -> str:
    """A short description of any object for an error message: its type, and itself if that is short."""
    try:
        text = repr(x)
    except Exception:  # of an integer of 5,000 digits, or of an object whose repr fails: name its type at least
        return type(x).__name__
    return f"{type(x).__name__} {text}" if len(text) <= 60 else type(x).__name__


# --- modes: what recording does beside recording ----------------------------------------------------


class _Mode(threading.local):
    """This thread's settings; `hot["special"]` counts the contexts that are open in any thread."""

    recording = True
    scope: Any = None
    watchers: tuple[Callable[[Value], None], ...] = ()
    on_adjoint: Callable[[Value, int, float, float], None] | None = None  # see diff._careful_adjoints
    tracer: Any = None


mode = _Mode()
_open: set[object] = set()
_tracing: set[object] = set()
"""The functions that are being traced, in any thread: while there is none, a look at a number needs no second look."""


@contextmanager
def changed_mode(**settings: Any) -> Iterator[None]:
    """Set attributes of this thread's mode for the length of a block."""
    before = {name: getattr(mode, name) for name in settings}
    context = object()
    try:
        try:
            _open.add(context)
            _count_open()
            for name, setting in settings.items():
                setattr(mode, name, setting)
            yield
        finally:
            _restore(before, context)
    finally:  # and again: an interrupt may have cut the first short, and what is left on would be left on for good
        _restore(before, context)


def _restore(before: dict[str, Any], context: object) -> None:
    for name, setting in before.items():
        setattr(mode, name, setting)
    _open.discard(context)
    _count_open()


def _count_open() -> None:
    """In one call that runs no bytecode: neither an interrupt nor another thread comes between counting and noting."""
    deque(map(hot.__setitem__, ("special",), map(len, (_open,))), maxlen=0)


@contextmanager
def traced(tracer: Any) -> Iterator[None]:
    """Let a tracer see what becomes of the numbers of Values: `guard`, `read` and `detach` (folding/tracing.py)."""
    try:
        try:
            _tracing.add(tracer)
            with changed_mode(tracer=tracer):
                yield
        finally:
            _tracing.discard(tracer)
    finally:
        _tracing.discard(tracer)


def look_at(value: Value, what: str) -> None:
    """Tell the tracer of this thread, if there is one, that a number is taken out of a Value."""
    if mode.tracer is not None:
        mode.tracer.read(value, what)


def no_grad() -> Any:
    """Within this block operations on Values record nothing: their results are leaves.

    Returns:
        A context manager, which is also a decorator. It acts on the thread that opens it.

    Example:
        >>> w = ag.Parameter(3.0)
        >>> with ag.no_grad():
        ...     y = w * w
        >>> y.item(), y.operands
        (9.0, ())
    """
    return changed_mode(recording=False)


class Scope:
    """A named region of a graph, drawn as a frame: a module, or a block of one's own.

    Args:
        name: what the frame says.
        parent: the scope around it, or None.
    """

    __slots__ = ("name", "parent")

    def __init__(self, name: str, parent: Scope | None = None) -> None:
        self.name, self.parent = name, parent

    def path(self) -> tuple[Scope, ...]:
        """This scope and those around it, outermost first."""
        scopes: list[Scope] = []
        here: Scope | None = self
        while here is not None:
            scopes.append(here)
            here = here.parent
        return tuple(reversed(scopes))

    def __repr__(self) -> str:
        return "Scope(" + " / ".join(scope.name for scope in self.path()) + ")"


def scope(name: str) -> Any:
    """Draw what this block records inside a frame of this name; blocks may nest.

    Args:
        name: what the frame says.

    Example:
        >>> x = ag.Value(2.0, name="x")
        >>> with ag.scope("square"):
        ...     y = x * x
        >>> "square" in ag.draw(y).svg
        True
    """
    if not isinstance(name, str):
        raise TypeError(f"scope: name must be a string, got {shown(name)}")
    return changed_mode(scope=Scope(name, mode.scope))


def stamp(node: Value, scope: Scope) -> Value:
    """Put a new node into a module's scope, inside the block that is open around it if there is one."""
    if node._row is not None:
        node._scope = scope if mode.scope is None else _inside(mode.scope, scope)
    return node


@lru_cache(maxsize=4096)
def _inside(outer: Scope, inner: Scope) -> Scope:
    here = outer
    for scope in inner.path():
        here = Scope(scope.name, here)
    return here


def observe(node: Value) -> Value:
    """What becomes of a new node when some context is open: called only while one is."""
    if not mode.recording:
        return Value(node._f) if mode.tracer is None else mode.tracer.detach(node)
    if mode.scope is not None:
        node._scope = mode.scope
    if mode.watchers:
        with changed_mode(tracer=None):  # what we look at ourselves is not what the traced function does
            for watch in mode.watchers:
                watch(node)
    return node


# --- the node ---------------------------------------------------------------------------------------


class Value(_Methods):
    """A number that remembers how it was computed.

    A Value made by hand is a leaf. Arithmetic on Values makes new ones, each with its operands and
    the local gradient d(result)/d(operand) of each operand slot. `backward` on the last one then
    gives every Value of the graph its g_i = d(loss)/d(f_i).

    Args:
        data: any real number; kept as a float.
        name: what pictures and messages call it.

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

    def __init__(self, data: Any, name: str = "") -> None:
        self._f = data if type(data) is float else plain(data, type(self).__name__)
        self._grad = 0.0
        self._row = self._a = self._b = None
        if name != "":
            self.name = name

    # -- what it is

    @property
    def data(self) -> float:
        """The forward value f_i. A leaf's may be set; a graph already built keeps what it recorded."""
        if _tracing:
            look_at(self, "the data")
        return self._f

    @data.setter
    def data(self, data: Any) -> None:
        if _tracing:
            look_at(self, "setting the data")
        if self._row is not None:
            raise RuntimeError(
                f"data: {self!r} is the result of an operation and cannot be set; "
                "change a leaf and compute again, or take .detach()"
            )
        self._f = plain(data, "data")

    @property
    def grad(self) -> float:
        """The backward value g_i = d(root)/d(f_i); 0.0 before any backward pass.

        A leaf's adds up over passes (set it to 0, or call `zero_grad`, between steps); an
        interior node's is that of the last pass.
        """
        if _tracing:
            look_at(self, "the grad")
        return getattr(self, "_grad", 0.0)

    @grad.setter
    def grad(self, grad: Any) -> None:
        self._grad = plain(grad, "grad", "set it to 0.0 to clear it")

    @property
    def name(self) -> str:
        """What pictures and messages call this Value; "" if it has no name."""
        return getattr(self, "_name", "")

    @name.setter
    def name(self, name: str | None) -> None:
        name = "" if name is None else name
        if not isinstance(name, str):
            raise TypeError(f"name: expected a string, got {shown(name)}")
        self._name = name

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
        return tuple(Constant(x) if type(x) is float else x for x in graph.raw_operands(self))

    @property
    def local_grads(self) -> tuple[float, ...]:
        """d(this)/d(operand) for each operand slot, at the point where it was computed."""
        if _tracing:
            look_at(self, "local_grads")
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

    def conjugate(self) -> Value:
        """Itself: a real number is its own conjugate (NumPy's `std` and `var` ask for it)."""
        return self

    def item(self) -> float:
        """The number, as a float."""
        if _tracing:
            look_at(self, "item()")
        return self._f

    def detach(self) -> Value:
        """A new leaf of the same number and name: nothing flows back through it."""
        if _tracing and mode.tracer is not None:
            return mode.tracer.detach(self)  # type: ignore[no-any-return]
        return Value(self._f, self.name)

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
        from autograd_lite.diff import backward

        backward(self, gradient)

    # -- how it shows itself

    def __repr__(self) -> str:
        parts = [repr(self._f)]
        if self.name:
            parts.append(f"name={self.name!r}")
        if self._row is not None:
            parts.append(f"op={self._row.name!r}")
        if grad := getattr(self, "_grad", 0.0):
            parts.append(f"grad={grad!r}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def __format__(self, spec: str) -> str:
        if spec and _tracing:
            look_at(self, "the text")
        return format(self._f, spec) if spec else repr(self)

    # -- what a float can do that a Value may not, or only with care

    def __bool__(self) -> bool:
        if _tracing and mode.tracer is not None:
            return mode.tracer.guard("bool", (self,), self._f != 0.0)  # type: ignore[no-any-return]
        return self._f != 0.0

    def __float__(self) -> float:
        raise TypeError(
            "float() and the functions of math would drop the gradient of this Value: "
            "use .item() for the number, or ag.exp and its kind in place of math.exp"
        )

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

    # -- copies and pickles: see _Ancestors

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        if _tracing:
            look_at(self, "a copy")
        grad = getattr(self, "_grad", 0.0)
        if self._row is None:
            fields: tuple[Any, ...] = (None, self._f, grad, self.name, self.scope)
        else:
            ancestors = None if self in _saving.nodes else _Ancestors(self)
            computed = (self._row, self._a, self._b, self._da, getattr(self, "_db", None))
            fields = (ancestors, self._f, grad, self.name, self.scope, *computed)
        return _rebuilt, (type(self), *fields), self._attributes()

    def _attributes(self) -> Any:
        """What subclasses add, in the form that pickle sets by itself."""
        return self.__dict__ if type(self).__dictoffset__ else None

    # -- operators: made from the table below, named here for readers and type checkers

    __add__: Callable[[Value, Any], Value]
    __radd__: Callable[[Value, Any], Value]
    __sub__: Callable[[Value, Any], Value]
    __rsub__: Callable[[Value, Any], Value]
    __mul__: Callable[[Value, Any], Value]
    __rmul__: Callable[[Value, Any], Value]
    __truediv__: Callable[[Value, Any], Value]
    __rtruediv__: Callable[[Value, Any], Value]
    __pow__: Callable[[Value, Any], Value]
    __rpow__: Callable[[Value, Any], Value]
    __neg__: Callable[[Value], Value]
    __abs__: Callable[[Value], Value]
    __floor__: Callable[[Value], Value]
    __ceil__: Callable[[Value], Value]


def _compared(other: Any, test: Callable[[float], bool], name: str, this: Value) -> bool:
    value = other._f if isinstance(other, Value) else number(other)
    if value is NotImplemented:
        return NotImplemented  # type: ignore[no-any-return]
    outcome = test(value)
    if _tracing and mode.tracer is not None:
        operands = this, other if isinstance(other, Value) else value
        return mode.tracer.guard(name, operands, outcome)  # type: ignore[no-any-return]
    return outcome


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

    def __init__(self, data: Any, name: str = "") -> None:
        super().__init__(data, name)
        self.frozen = False

    def _attributes(self) -> Any:
        return super()._attributes(), {"frozen": self.frozen}


class Constant(Value):
    """How a literal operand shows itself: in `x * 3` the 3. Pictures tint it as a constant."""

    __slots__ = ()


def listed(xs: Any, who: str, name: str, wanted: str) -> list[Value]:
    """A sequence of Values as a list; TypeError says what `who` wanted, or which element of `name` is none."""
    if not isinstance(xs, Iterable) or isinstance(xs, (str, bytes)):
        raise TypeError(f"{who}: {wanted}, got {shown(xs)}")
    found = list(xs)
    for i, x in enumerate(found):
        if not isinstance(x, Value):
            raise TypeError(f"{who}: element {i} of {name} must be a Value, got {shown(x)}")
    return found


# --- pickling and deep copies without recursion ------------------------------------------------------


class _Ancestors:
    """What a node was computed from, handed to a pickler or to deepcopy flat and in order.

    Each node of the list is then copied after its operands, which the copier knows by now, so the depth
    never grows. While this object lives (that is, as long as the copier holds it), the nodes in it
    reduce to their own fields alone, and the next root of the same copy adds only what is new.
    """

    __slots__ = ("__del__", "nodes")

    __del__: Callable[[], Any]
    nodes: list[Value]

    def __init__(self, root: Value) -> None:
        saving = _saving.nodes
        try:
            self.nodes = graph.order(root, done=saving)
            # A slot and no method, so that what is called when this object goes runs no bytecode: there an
            # interrupt would be swallowed, and the nodes would count as saved for good.
            self.__del__ = partial(deque, map(saving.pop, self.nodes, repeat(None)), 0)
        except BaseException:  # an interrupt: which nodes it has marked is not known
            saving.clear()
            raise

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (), None, iter(self.nodes[:-1])


class _Saving(threading.local):
    """The nodes that this thread is copying."""

    def __init__(self) -> None:
        self.nodes: dict[Value, float] = {}


_saving = _Saving()


def _rebuilt(
    kind: type[Value],
    ancestors: Any,  # here so that the copier has met the operands before it meets this node
    f: float,
    grad: float,
    name: str,
    scope: Scope | None,
    row: Row | None = None,
    a: Any = None,
    b: Any = None,
    da: Any = None,
    db: Any = None,
) -> Value:
    node = new(kind)
    node._f, node._grad, node._name, node._scope = f, grad, name, scope
    node._row, node._a, node._b = row, a, MANY if b == MANY else b
    if row is not None:
        node._da, node._db = da, db
    return node


_set_number, _set_gradient = vars(Value)["_f"].__set__, vars(Value)["_grad"].__set__


def set_numbers(leaves: Iterable[Value], numbers: Iterable[float], *also: Iterable[Any]) -> None:
    """Set the data of leaves, and run what else is given, in one call that runs no bytecode.

    An interrupt then comes before it or after it. `also` are iterators whose steps have an effect, such
    as `map` over a setter.
    """
    deque(chain(map(_set_number, leaves, numbers), *also), maxlen=0)


def clear_grads(leaves: Iterable[Value]) -> None:
    """Set the `.grad` of leaves to 0, all of them or none, in the same way."""
    deque(map(_set_gradient, leaves, repeat(0.0)), maxlen=0)


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
    if row.variadic:
        node._f, node._da = row.evaluate(numbers)
        node._a, node._b = operands, MANY
    else:
        node._f, gradients = row.evaluate(*numbers)
        if len(operands) == 1:
            node._a, node._b, node._da = operands[0], None, gradients[0]
        elif len(operands) == 2:
            node._a, node._b = operands
            node._da, node._db = gradients
        else:
            node._a, node._b, node._da = operands, MANY, gradients
    return observe(node) if hot["special"] else node


hot = FLOATS
hot.update(special=0, Value=Value, new=new, number=number, plain=plain, observe=observe, record=record)
"""The globals of the code that functions.py makes from the table: the float kernels and these. `special`
counts the contexts that are open (no_grad, scope, ...), in any thread: while it is 0, a new node
needs no second look."""
