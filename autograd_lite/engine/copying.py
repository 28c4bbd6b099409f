"""Copies and pickles of graphs of any depth, without recursion."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import repeat
from typing import Any

from autograd_lite.engine import graph
from autograd_lite.engine.graph import MANY, Node
from autograd_lite.engine.rules import Row
from autograd_lite.engine.scopes import Scope


class Ancestors:
    """What a node was computed from, handed to a pickler or to deepcopy flat and in order.

    Each node of the list is then copied after its operands, which the copier knows by now, so the depth
    never grows. While this object lives (that is, as long as the copier holds it), the nodes in it
    reduce to their own fields alone, and the next root of the same copy adds only what is new.
    """

    __slots__ = ("__del__", "nodes")

    __del__: Callable[[], Any]
    nodes: list[Node]

    def __init__(self, root: Node) -> None:
        saving = saving_now.nodes
        try:
            self.nodes = graph.toposort(root, done=saving)
            # A slot and no method, so that what is called when this object goes runs no bytecode: there an
            # interrupt would be swallowed, and the nodes would count as saved for good.
            self.__del__ = partial(deque, map(saving.pop, self.nodes, repeat(None)), 0)
        except BaseException:  # an interrupt: which nodes it has marked is not known
            saving.clear()
            raise

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (), None, iter(self.nodes[:-1])


class Saving(threading.local):
    """The nodes that this thread is copying."""

    def __init__(self) -> None:
        self.nodes: dict[Node, float] = {}


saving_now: Saving = Saving()


def rebuilt(
    kind: type[Node],
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
) -> Node:
    """A node with these fields: what copies and pickles call."""
    node: Node = object.__new__(kind)
    node._f, node._grad, node._name, node._scope = f, grad, name, scope
    node._row, node._a, node._b = row, a, MANY if isinstance(b, str) else b
    if row is not None:
        node._da, node._db = da, db
    return node
