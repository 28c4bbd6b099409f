"""Scopes: the named regions of a graph that pictures draw as frames."""

from __future__ import annotations

from typing import Any, TypeVar
from weakref import WeakValueDictionary

from autograd_lite.engine.checks import describe
from autograd_lite.engine.lowering import FLOATS
from autograd_lite.engine.modes import changed_mode, mode

SomeNode = TypeVar("SomeNode", bound=Any)


class Scope:
    """A named region of a graph, drawn as a frame: a module, or a user-defined block.

    Args:
        name: what the frame says.
        parent: the scope around it, or None.
    """

    __slots__ = ("__weakref__", "_of", "name", "parent")

    name: str
    parent: Scope | None
    _of: Scope

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
        raise TypeError(f"scope: name must be a string, got {describe(name)}")
    return changed_mode(scope=Scope(name, mode.scope))


def set_scope(node: SomeNode, scope: Scope) -> SomeNode:
    """Put a new node into a module's scope, inside the block that is open around it if there is one."""
    if node._row is not None:
        outer = mode.scope if FLOATS["special"] else None
        node._scope = scope if outer is None else _inside(outer, scope)
    return node


_made: WeakValueDictionary[tuple[int, int], Scope] = WeakValueDictionary()
"""By the ids of a block and of a module's scope the scope of the two: there while a node is in it, so that blocks that
are new each time, as those of traces, leave nothing behind. It keeps both, so no other one has their ids meanwhile."""


def _inside(outer: Scope, inner: Scope) -> Scope:
    key = id(outer), id(inner)
    found = _made.get(key)
    if found is None:
        found = outer
        for scope in inner.path():
            found = Scope(scope.name, found)
        found._of = inner
        _made[key] = found
    return found
