"""Modes: what happens beside recording, for the length of a block (`no_grad`, scopes, watchers, tracing).

The blocks that are open are kept in a context variable, so asyncio tasks and threads do not see each other's. A block
inside a suspended generator stays open for its caller, and is taken out from wherever it stands when it ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import _GeneratorContextManager, contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from itertools import chain
from typing import Any, Protocol

from autograd_lite.engine.atomic import at_once
from autograd_lite.engine.checks import describe
from autograd_lite.engine.graph import Node
from autograd_lite.engine.lowering import FLOATS


class _Block:
    """A block that is open, and what it sets."""

    __slots__ = ("astray", "left", "settings")

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings, self.left, self.astray = settings, False, False


_alive: set[object] = set()
"""One for each state in which a block is open: `FLOATS["special"]` is their number."""


class _State:
    """What the open blocks set, later ones above earlier ones; their watchers add up.

    A task that is started inside a block inherits its state, and may outlive the block. So what counts for
    `FLOATS["special"]` is how many states there are, and a state is there as long as a context holds it.
    """

    __slots__ = (
        "__del__", "blocks", "closings", "on_adjoint", "on_sweep", "recording", "scope", "tracer", "unseen", "watchers",
    )  # fmt: skip

    blocks: tuple[_Block, ...]
    closings: int
    __del__: Callable[[], Any]
    recording: bool
    scope: Any
    watchers: tuple[Callable[[Node], None], ...]
    on_adjoint: Callable[[Node, int, float, float], None] | None  # see backward.py
    on_sweep: Callable[[Mapping[Node, float]], None] | None  # likewise
    tracer: Any
    unseen: bool

    def __init__(self, blocks: tuple[_Block, ...]) -> None:
        self.blocks, self.closings = blocks, _closings[0]
        self.recording, self.scope, self.watchers, self.on_adjoint = True, None, (), None
        self.on_sweep, self.tracer, self.unseen = None, None, False
        for block in blocks:
            for name, setting in block.settings.items():
                if name == "watchers":
                    setting = self.watchers + tuple(watch for watch in setting if watch not in self.watchers)
                setattr(self, name, setting)
        if blocks:
            alive = object()
            # Builtins alone, as in copying.Ancestors: an interrupt in here would leave the count wrong for good.
            self.__del__ = partial(deque, chain(map(_alive.discard, (alive,)), _counting()), 0)
            at_once(map(_alive.add, (alive,)), _counting())


def _counting() -> Iterator[Any]:
    """Count and note at once: a thread that came between the two would note an old count."""
    return map(FLOATS.__setitem__, ("special",), map(len, (_alive,)))


_closings = [0]
"""How often a block ended in another context than it began in: every state then looks whether it is one of its own."""

_NOTHING = _State(())
_now: ContextVar[_State] = ContextVar("autograd_lite", default=_NOTHING)


def current() -> _State:
    """What is set here and now."""
    state = _now.get()
    if state.closings != _closings[0] and state.blocks:
        state.closings = _closings[0]
        if any(block.astray for block in state.blocks):
            _enter([block for block in state.blocks if not block.astray])
            return _now.get()
    return state


class _Mode:
    """The settings of the open blocks, each read where it is asked for."""

    recording: Any = property(lambda self: current().recording)
    scope: Any = property(lambda self: current().scope)
    watchers: Any = property(lambda self: current().watchers)
    on_adjoint: Any = property(lambda self: current().on_adjoint)
    on_sweep: Any = property(lambda self: current().on_sweep)
    tracer: Any = property(lambda self: current().tracer)


mode: _Mode = _Mode()


def _enter(blocks: Any) -> None:
    _now.set(_State(tuple(blocks)) if blocks else _NOTHING)


def _leave(block: _Block) -> None:
    if block.left:
        return
    blocks = _now.get().blocks
    if block in blocks:
        _enter([other for other in blocks if other is not block])
    else:  # a generator that another context closes, or an interrupt on the way in
        block.astray = True
        _closings[0] += 1
    block.left = True


# --- blocks as decorators ---------------------------------------------------------------------------------


class _Switched(Generator[Any, Any, Any]):
    """A generator of a decorated function: the block is open while it runs, and not while it waits."""

    def __init__(self, block: Callable[[], Any], generator: Generator[Any, Any, Any]) -> None:
        self._block, self._generator = block, generator

    def send(self, value: Any) -> Any:
        with self._block():
            return self._generator.send(value)

    def throw(self, *error: Any) -> Any:
        with self._block():
            return self._generator.throw(*error)


class _SwitchedAsync(AsyncGenerator[Any, Any]):
    """The same of an asynchronous generator."""

    def __init__(self, block: Callable[[], Any], generator: AsyncGenerator[Any, Any]) -> None:
        self._block, self._generator = block, generator

    async def asend(self, value: Any) -> Any:
        with self._block():
            return await self._generator.asend(value)

    async def athrow(self, *error: Any) -> Any:
        with self._block():
            return await self._generator.athrow(*error)


class _Switch(_GeneratorContextManager):  # type: ignore[type-arg]
    """A context manager that decorates functions of every kind: generators are in the block only while they run.

    Unlike contextlib's it may be entered again, and inside itself.
    """

    def __init__(self, *made_of: Any) -> None:
        super().__init__(*made_of)
        self._entered: list[Any] = []

    def __enter__(self) -> Any:
        self._entered.append(_GeneratorContextManager(self.func, self.args, self.kwds))
        return self._entered[-1].__enter__()

    def __exit__(self, *error: Any) -> Any:
        return self._entered.pop().__exit__(*error)

    def __call__(self, f: Any) -> Any:
        import inspect

        block = self._recreate_cm
        call: Any
        if inspect.isasyncgenfunction(f):

            def steps_apart(*args: Any, **options: Any) -> Any:
                return _SwitchedAsync(block, f(*args, **options))

            call = steps_apart

        elif inspect.isgeneratorfunction(f):

            def steps(*args: Any, **options: Any) -> Any:
                return (yield from _Switched(block, f(*args, **options)))

            call = steps

        elif inspect.iscoroutinefunction(f):

            async def awaited(*args: Any, **options: Any) -> Any:
                with block():
                    return await f(*args, **options)

            call = awaited

        else:

            def called(*args: Any, **options: Any) -> Any:
                with block():
                    return f(*args, **options)

            call = called

        return wraps(f)(call)


def changed_mode(**settings: Any) -> Any:
    """Change settings for the length of a block, or of each call of a decorated function."""
    return _Switch(_changed, (), settings)


def _changed(**settings: Any) -> Generator[None, None, None]:
    block = _Block(settings)
    try:
        try:
            _enter([*current().blocks, block])
            yield
        finally:
            _leave(block)
    finally:  # and again: an interrupt may have cut the first short, and what is left on would be left on for good
        _leave(block)


def no_grad(f: Any = None) -> Any:
    """Within this block operations on Values record nothing: their results are leaves.

    Args:
        f: a function, where it decorates one without brackets.

    Returns:
        A context manager, which is also a decorator. It acts on the thread, and on the asyncio task, that opens it. A
        generator or coroutine that it decorates is in the block whenever it runs, and its caller is not.

    Example:
        >>> w = ag.Parameter(3.0)
        >>> with ag.no_grad():
        ...     y = w * w
        >>> y.item(), y.operands
        (9.0, ())
    """
    if f is None:
        return changed_mode(recording=False)
    if not callable(f):
        raise TypeError(f"no_grad: takes a function to decorate, or nothing, got {describe(f)}")
    return changed_mode(recording=False)(f)


# --- what follows the numbers -----------------------------------------------------------------------------


class Follower(Protocol):
    """What wants to know which numbers are taken out of Values: a trace, or a transform that runs a function."""

    def seen(self, value: Node, what: str) -> None:
        """A number was read or compared outside the trace that this follower is."""

    def keeps(self, value: Node) -> bool:
        """Whether a copy of this Value is to be the Value itself, so that a gradient flows through it."""
        return False


tracing: set[Follower] = set()
"""Those that follow, in any thread: while it is empty, a read of a number need not be reported."""

comparing: set[Follower] = set()
"""Those of them that want comparisons too; one that needs no more of them leaves."""


COMPARED = ("the comparison", "the truth")
"""What a follower sees of a Value whose number decides a branch, and is not read."""


@contextmanager
def following(follower: Follower) -> Iterator[None]:
    """Report to `follower` the numbers that are read within this block."""
    try:
        try:
            tracing.add(follower)
            comparing.add(follower)
            yield
        finally:
            tracing.discard(follower)
            comparing.discard(follower)
    finally:
        tracing.discard(follower)
        comparing.discard(follower)


def outer_leaves() -> set[Node]:
    """The leaves of the transforms that are running, in any thread: f may start one, and a transform within it."""
    return set().union(*(getattr(x, "leaves", ()) for x in tuple(tracing)))


@contextmanager
def traced(tracer: Any) -> Iterator[None]:
    """Call a tracer for what becomes of the numbers of Values: `guard`, `read` and `detach` (folding/tracing.py)."""
    with following(tracer), changed_mode(tracer=tracer):
        yield


def notify_read(value: Node, what: str) -> None:
    """Report that a number is taken out of a Value; called only while `tracing` is not empty."""
    unseen, tracer = _looking()
    for follower in () if unseen else tuple(tracing):
        if follower is not tracer:
            follower.seen(value, what)
    if tracer is not None:
        tracer.read(value, what)


def notify_compared(name: str, operands: tuple[Any, ...], outcome: bool) -> bool:
    """How a comparison of Values, or the truth of one, comes out; reported, while `comparing` is not empty."""
    unseen, tracer = _looking()
    for follower in () if unseen else tuple(comparing):
        if follower is not tracer:
            for x in operands:
                if type(x) is not float:
                    follower.seen(x, COMPARED[name == "bool"])
    return outcome if tracer is None else tracer.guard(name, operands, outcome)


def _looking() -> tuple[bool, Any]:
    """(whether reads are not to be reported, the tracer). No frame keeps the state: an error would keep it alive."""
    state = current()
    return state.unseen, state.tracer
