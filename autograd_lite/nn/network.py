"""Network: neurons connected as any directed acyclic graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autograd_lite.engine.checks import describe, flag, sequence
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.scopes import Scope, set_scope
from autograd_lite.engine.value import Parameter, Value, record
from autograd_lite.nn.activations import Activation, activation_function
from autograd_lite.nn.initializers import Init, generator, initializer
from autograd_lite.nn.layers import as_example
from autograd_lite.nn.module import Module, first_few
from autograd_lite.nn.trace import Trace


class Network(Module):
    """A network as any directed acyclic graph N = (V, A): a weight w_ij for each edge from neuron i to neuron j.

    in_j = sum of w_ij a_i over the edges into j (plus b_j if there are biases), a_j = g(in_j); the input
    neurons, which no edge enters, have a_j = x_j.

    Args:
        edges: pairs (i, j); a neuron is named by a number or a string.
        activation: g, as for `Neuron`; or a dict with one for each neuron that is not an input.
        inputs: the input neurons in the order of x; by default those that no edge enters, as they come in `edges`.
        outputs: the neurons whose activations are the output; by default those that no edge leaves.
        bias: whether each neuron that is not an input has a bias.
        init, seed: as for `Neuron`.

    Raises:
        TypeError: an edge is not a pair, or a neuron's name is neither a number nor a string.
        ValueError: an edge comes twice, the edges form a cycle, an edge enters an input, or a neuron is unknown.

    Example:
        >>> xor = ag.Network([(1, 3), (2, 3), (1, 4), (2, 4), (3, 5), (4, 5), (1, 5)], activation="tanh", seed=0)
        >>> trace = xor.trace([1.0, 0.0])
        >>> ag.losses.squared_error(trace.output, 1.0).backward()
        >>> xor.w[3, 5].grad == trace.delta[5] * trace.a[3].item()
        True

    Source: the backpropagation slides, BACKPROPAGATE((x, y); N = (V, A); w).
    """

    bias: bool

    def __init__(
        self, edges: Iterable[tuple[Any, Any]], activation: Activation | Mapping[Any, Activation] = "sigmoid", *,
        inputs: Sequence[Any] | None = None, outputs: Sequence[Any] | None = None, bias: bool = False,
        init: Init = None, seed: Any = None,
    ) -> None:  # fmt: skip
        given = sequence(edges, "Network: edges", "a sequence of pairs (from, to)")
        self.edges: list[tuple[Any, Any]] = [_edge(edge, n) for n, edge in enumerate(given)]
        if not self.edges:
            raise ValueError("Network: there are no edges")
        # The graph: for each neuron where its edges come from, and how many leave it.
        self._into: dict[Any, list[Any]] = {}
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
        # Inputs and outputs. An input that an edge enters would have two values: x and a weighted sum.
        entered = [j for j, sources in self._into.items() if sources]
        self.inputs: list[Any] = _chosen(
            inputs, [j for j, sources in self._into.items() if not sources], self._into, "inputs"
        )
        self.outputs: list[Any] = _chosen(outputs, [j for j in self._into if j not in fan_out], self._into, "outputs")
        for j in self.inputs:
            if self._into[j]:
                raise ValueError(f"Network: the input {j!r} is entered by edges, from {self._into[j]}")
        for j, sources in self._into.items():
            if not sources and j not in self.inputs:
                raise ValueError(f"Network: no edge enters {j!r}; it must be one of the inputs")
        self._order = [j for j in self._topological() if self._into[j]]
        # Activations. A dict that names an input, or a neuron with a typing error, would be silently without effect.
        unknown = [j for j in activation if j not in entered] if isinstance(activation, Mapping) else []
        if unknown:
            raise ValueError(f"Network: activation is given for {unknown[0]!r}, which is an input or not a neuron")
        self.activation: Any = dict(activation) if isinstance(activation, Mapping) else activation
        own = {j: activation.get(j) if isinstance(activation, Mapping) else activation for j in entered}
        made = {g: activation_function(g) for g in own.values()}
        self._activate = {j: made[g] for j, g in own.items()}
        self.bias, rng = flag(bias, "Network: bias"), generator(seed)
        self.w: dict[tuple[Any, Any], Parameter] = {
            (i, j): Parameter(initializer(init, own[j])(len(self._into[j]), fan_out.get(j, 1), rng))
            for i, j in self.edges
        }
        self.b: dict[Any, Parameter] = {j: Parameter(0.0) for j in self._order} if self.bias else {}
        self._place("", None)

    def _place(self, prefix: str, parent: Scope | None) -> None:
        super()._place(prefix, parent)
        self._scope = Scope("network", parent)
        self._scopes = {j: Scope(f"neuron {j}", self._scope) for j in self._order}

    def _topological(self) -> list[Any]:
        """The neurons, each after its sources (Kahn's algorithm); iterative, so that a chain may be of any length."""
        waiting = {j: len(sources) for j, sources in self._into.items()}
        targets: dict[Any, list[Any]] = {j: [] for j in self._into}
        for i, j in self.edges:
            targets[i].append(j)
        order = [j for j, count in waiting.items() if not count]
        for i in order:  # grows while the loop runs
            for j in targets[i]:
                waiting[j] -= 1
                if not waiting[j]:
                    order.append(j)
        if len(order) < len(waiting):
            stuck = [j for j, count in waiting.items() if count]
            raise ValueError(f"Network: the edges form a cycle through some of {first_few(list(map(repr, stuck)))}")
        return order

    def __call__(self, x: Any) -> Any:
        """The output for one example: a Value, or for several output neurons a list of them."""
        return self.trace(x).output

    def trace(self, x: Any) -> Trace:
        """The output for one example, with in_j (as z), a_j and, after backward, Delta_j of each neuron."""
        xs, _ = as_example(x, len(self.inputs), "Network")
        a: dict[Any, Any] = dict(zip(self.inputs, xs, strict=True))
        z: dict[Any, Value] = {}
        for j in self._order:
            sources = self._into[j]
            weights = [self.w[i, j] for i in sources]
            operands = (*weights, *(a[i] for i in sources), *((self.b[j],) if self.bias else ()))
            z[j] = set_scope(record(TABLE["dot"], operands), self._scopes[j])
            activate = self._activate[j]
            a[j] = z[j] if activate is None else set_scope(activate(z[j]), self._scopes[j])
        outputs = [a[j] for j in self.outputs]
        return Trace(outputs[0] if len(outputs) == 1 else outputs, z, a)

    def __repr__(self) -> str:
        return f"Network({len(self._into)} neurons, {len(self.edges)} edges{', with biases' if self.bias else ''})"


def _edge(edge: Any, n: int) -> tuple[Any, Any]:
    if not isinstance(edge, (tuple, list)) or len(edge) != 2:
        raise TypeError(f"Network: edge {n} must be a pair (from, to), got {describe(edge)}")
    for neuron in edge:
        if not isinstance(neuron, (int, str)) or isinstance(neuron, bool):
            raise TypeError(
                f"Network: edge {n}: a neuron is named by a whole number or a string, got {describe(neuron)}"
            )
    return edge[0], edge[1]


def _chosen(given: Sequence[Any] | None, default: list[Any], known: Mapping[Any, Any], what: str) -> list[Any]:
    chosen = default if given is None else sequence(given, f"Network: {what}", "a sequence of neurons")
    for j in chosen:
        if not isinstance(j, (int, str)) or j not in known:
            raise ValueError(f"Network: {what}: there is no neuron {j!r}")
    if not default and given is None:
        raise ValueError(f"Network: there are no {what}: the edges form a cycle")
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"Network: {what} must be different neurons, at least one, got {chosen}")
    return chosen
