"""A network as people draw it, as plain data: units in columns, a line for each weight.

`network_of` reads a Neuron, a Layer, an MLP, a Perceptron or a Network; layers too large for a page are shortened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar, NamedTuple

from autograd_lite.engine import functions
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.notation import number, printable
from autograd_lite.engine.reading import grad_of, number_of
from autograd_lite.engine.value import Parameter, Value
from autograd_lite.nn.layers import MLP, Layer, Neuron
from autograd_lite.nn.network import Network
from autograd_lite.nn.perceptron import Perceptron
from autograd_lite.pictures.steps import after_step, signed

Key = Any
"""What a unit is known by: (column, place in it), or the name of a neuron of a Network."""

MODELS = (Neuron, Layer, MLP, Network)
"""The models that are drawn as networks."""

SHOWN = ("weight", "gradient", "change")
"""What the lines can show."""

MOST_COLUMNS = 9
"""Columns that fit a page; of a deeper network the middle ones are left out."""


# --- what is in the picture ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """A circle, or dots that stand for `count` units (or columns) that are left out.

    Args:
        kind: "input", "hidden", "output", "more" or "columns".
        name: what stands at it: `x₁`, or the name of a neuron.
        column, row: its place; rows are counted from the top.
        f: its activation, None without an example.
        g: d(loss)/d(activation), None without a target.
        bias: what is shown of its bias, in the same scale as the lines; None if it has none.
        about: the tooltip.
        count: how many units it stands for.
        target: what an output should be.
        key: what the unit is known by in the model; None for dots.
    """

    kind: str
    name: str
    column: int
    row: int
    f: float | None = None
    g: float | None = None
    bias: float | None = None
    about: str = ""
    count: int = 1
    target: float | None = None
    key: Key = None

    literal: ClassVar[bool] = False
    """As of a Box: it is not a bare number."""


@dataclass(frozen=True)
class Line:
    """A weight: from the unit whose activation it multiplies.

    Args:
        source, target: indices of units.
        number: what is shown: the weight, its gradient, or its change.
        about: the tooltip.
    """

    source: int
    target: int
    number: float
    about: str


@dataclass(frozen=True)
class NetworkDiagram:
    """The picture before its layout.

    Args:
        units: column by column, from the top.
        lines: all between units that are shown.
        titles: what stands above each column.
        shows: what the lines show, of SHOWN.
        layered: whether every line leads to the next column; else lines go round the units between their ends.
        note: what a reader has to know.
        about: the whole in a sentence.
    """

    units: tuple[Unit, ...]
    lines: tuple[Line, ...]
    titles: tuple[str, ...]
    shows: str
    layered: bool
    note: str = ""
    about: str = ""

    @property
    def boxes(self) -> tuple[Unit, ...]:
        """The units, as a player of steps reads them."""
        return self.units

    @property
    def edges(self) -> tuple[Line, ...]:
        """The lines, likewise."""
        return self.lines

    @property
    def largest(self) -> float:
        """The largest size among what the lines and biases show, which has the widest line."""
        sizes = [abs(line.number) for line in self.lines] + [abs(u.bias) for u in self.units if u.bias is not None]
        return max(filter(isfinite, sizes), default=0.0) or 1.0


# --- reading a model ----------------------------------------------------------------------------------------


class Structure(NamedTuple):
    """What all models have in common.

    Args:
        columns: the units of each column, inputs first.
        titles: what stands above each column.
        sources: for a unit the units that it takes from, each with its weight.
        bias: the bias of each unit that has one.
        activation: the activation of each unit, as text; "" for none.
        name: what a unit is called.
        label: what stands at it; "" for a hidden unit of a layer.
        outputs: the output units.
        layered: see NetworkDiagram.
    """

    columns: list[list[Key]]
    titles: list[str]
    sources: Callable[[Key], list[tuple[Key, Parameter]]]
    bias: dict[Key, Parameter]
    activation: dict[Key, str]
    name: dict[Key, str]
    label: dict[Key, str]
    outputs: list[Key]
    layered: bool


SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def structure_of(model: Any) -> Structure:
    """The units of a model and how they are connected."""
    if isinstance(model, Network):
        return _of_network(model)
    layers: list[list[Any]]
    names = [""]
    if isinstance(model, MLP):
        layers, names = [layer.neurons for layer in model.layers], [f"layers[{i}]" for i in range(len(model.layers))]
    else:
        layers = [[model] if isinstance(model, Neuron) else model.neurons]
    width = len(layers[0][0].w) if layers and layers[0] else 0
    columns = [[(c, i) for i in range(n)] for c, n in enumerate([width, *map(len, layers)])]
    neuron = {(c, i): unit for c, layer in enumerate(layers, 1) for i, unit in enumerate(layer)}
    activation = {key: "step ±1" if isinstance(unit, Perceptron) else _activation(unit.activation)
                  for key, unit in neuron.items()}  # fmt: skip
    titles = ["input"]
    for c, keys in enumerate(columns[1:], 1):
        kinds = {activation[key] for key in keys}
        what = kinds.pop() or "linear" if len(kinds) == 1 else "mixed"
        place = "output" if c == len(layers) else f"hidden {c}" if len(layers) > 2 else "hidden"
        titles.append(f"{place} · {what}")
    last = len(layers)
    label = {(0, i): f"x{i + 1}".translate(SUBSCRIPTS) for i in range(width)}
    label |= {(last, i): "y" if len(columns[-1]) == 1 else f"y{i + 1}".translate(SUBSCRIPTS)
              for i in range(len(columns[-1]))}  # fmt: skip
    name = {}
    for c, i in neuron:
        inside = f"neurons[{i}]" if not isinstance(model, Neuron) else type(model).__name__
        name[c, i] = ".".join(filter(None, (names[c - 1], inside)))
    for i in range(width):
        name[0, i] = f"input {i}"

    def sources(key: Key) -> list[tuple[Key, Parameter]]:
        if key not in neuron:
            return []
        return list(zip(columns[key[0] - 1], neuron[key].w, strict=False))

    bias = {key: unit.b for key, unit in neuron.items()}
    return Structure(columns, titles, sources, bias, activation, name, label, columns[-1], True)


def _of_network(model: Network) -> Structure:
    column: dict[Key, int] = dict.fromkeys(model.inputs, 0)
    for j in model._order:  # by the longest way from the inputs, so that every line leads to the right
        column[j] = 1 + max(column[i] for i in model._into[j])
    last = max(column.values())
    feeding = {i for i, _ in model.edges}
    column.update((j, last) for j in model.outputs if j not in feeding)
    columns: list[list[Key]] = [[] for _ in range(last + 1)]
    for j, c in column.items():
        columns[c].append(j)
    given = model.activation
    own = {j: given.get(j) if isinstance(given, dict) else given for j in model._order}
    activation = {j: _activation(g) for j, g in own.items()}
    label = {j: printable(str(j), 8) for j in column}
    name = {j: f"neuron {printable(str(j))}" for j in column}

    def sources(j: Key) -> list[tuple[Key, Parameter]]:
        return [(i, model.w[i, j]) for i in model._into[j]]

    titles = ["input"] + [""] * last
    return Structure(columns, titles, sources, model.b, activation, name, label, model.outputs, False)


def _activation(g: Any) -> str:
    if g is None or g in ("linear", "identity"):
        return ""
    return printable(g if isinstance(g, str) else getattr(g, "__name__", "g"), 16)


# --- an example and its gradients ---------------------------------------------------------------------------


class Numbers(NamedTuple):
    """What one example gives: z, a, their gradients by unit, and the loss. All may be empty."""

    z: dict[Key, Value]
    a: dict[Key, Value]
    adjoint: dict[Value, float]
    targets: dict[Key, float]
    loss: Value | None


def numbers_for(model: Any, found: Structure, x: Any, target: Any, who: str) -> Numbers:
    """Run a model on one example and, with a target, differentiate the squared error; no `.grad` is changed."""
    if x is None:
        if target is not None:
            raise ValueError(f"{who}: target needs x, the example that it belongs to")
        return Numbers({}, {}, {}, {}, None)
    if isinstance(x, (str, bytes)) or not hasattr(x, "__iter__"):
        raise TypeError(
            f"{who}: x must be one example, a sequence of {len(found.columns[0])} numbers, got {describe(x)}"
        )
    inputs = [v if isinstance(v, Value) else Value(as_float(v, f"{who}: x[{i}]")) for i, v in enumerate(x)]
    z: dict[Key, Value] = {}
    a: dict[Key, Value] = {}
    if isinstance(model, Network):
        trace = model.trace(inputs)
        z, a = trace.z, trace.a
    else:
        layers = model.layers if isinstance(model, MLP) else [model]
        if len(inputs) != len(found.columns[0]):
            raise ValueError(f"{who}: x: expected {len(found.columns[0])} inputs, got {len(inputs)}")
        a.update(zip(found.columns[0], inputs, strict=True))
        here = inputs
        for keys, layer in zip(found.columns[1:], layers, strict=True):
            units = [layer] if isinstance(layer, Neuron) else layer.neurons
            numbers = [number_of(v) for v in here]
            sums = [unit._net_input(tuple(here), numbers) for unit in units]
            here = [unit._fire(s) for unit, s in zip(units, sums, strict=True)]
            z.update(zip(keys, sums, strict=True))
            a.update(zip(keys, here, strict=True))
    if target is None:
        return Numbers(z, a, {}, {}, None)
    several = hasattr(target, "__iter__") and getattr(target, "ndim", 1) != 0
    wanted = [as_float(t, f"{who}: target") for t in (target if several else [target])]
    if len(wanted) != len(found.outputs):
        raise ValueError(f"{who}: target: expected {len(found.outputs)} numbers, one an output, got {len(wanted)}")
    loss = functions.sum([(a[key] - t) ** 2 for key, t in zip(found.outputs, wanted, strict=True)])
    return Numbers(z, a, dict(adjoints(loss)), dict(zip(found.outputs, wanted, strict=True)), loss)


# --- putting it together ------------------------------------------------------------------------------------


def network_of(
    model: Any, x: Any = None, target: Any = None, *, shows: str = "weight", most: int = 10, optimizer: Any = None,
    who: str = "draw",
) -> NetworkDiagram:  # fmt: skip
    """The picture of a model.

    Args:
        model: one of MODELS.
        x: an example, whose activations stand in the circles.
        target: what its outputs should be; then gradients of the squared error stand there too.
        shows: what the lines show, of SHOWN.
        most: units of a column that are drawn; of a larger one the middle is left out.
        optimizer: what would make the change that the lines show.
        who: what a message calls the function.
    """
    found = structure_of(model)
    numbers = numbers_for(model, found, x, target, who)
    columns, titles, hidden = _shortened(found, most)
    measure, words = _measure(numbers, shows, optimizer, found, who)
    units: list[Unit] = []
    index: dict[Key, int] = {}
    outputs = set(found.outputs)
    for c, keys in enumerate(columns):
        for row, key in enumerate(keys):
            if isinstance(key, _More):
                words_left = f"{key.count:,} more" if key.kind == "more" else f"{key.count:,} more layers"
                units.append(Unit(key.kind, words_left, c, row, about=f"{words_left} not drawn", count=key.count))
                continue
            index[key] = len(units)
            kind = "input" if key in found.columns[0] else "output" if key in outputs else "hidden"
            bias = found.bias.get(key)
            units.append(
                Unit(
                    kind, found.label.get(key, ""), c, row,
                    number_of(numbers.a[key]) if key in numbers.a else None,
                    numbers.adjoint.get(numbers.a[key]) if key in numbers.a else None,
                    None if bias is None else measure(bias),
                    _about(found, numbers, key),
                    target=numbers.targets.get(key),
                    key=key,
                )
            )  # fmt: skip
    lines = []
    for key, at in index.items():
        for source, w in found.sources(key):
            if source in index:
                about = f"from {found.name[source]} to {found.name[key]}: w = {number(number_of(w))}"
                if shows != "weight":
                    about += f", {words} = {number(measure(w))}"
                lines.append(Line(index[source], at, measure(w), about))
    count = sum(len(keys) for keys in found.columns)
    about = f"{printable(repr(model), 80)}: {count:,} units in {len(found.columns)} columns"
    note = " ".join(filter(None, (hidden, _loss_note(numbers))))
    if numbers.loss is not None:
        about += f"; squared error {number(number_of(numbers.loss))}"
    return NetworkDiagram(tuple(units), tuple(lines), tuple(titles), shows, found.layered, note, about)


def _loss_note(numbers: Numbers) -> str:
    return "" if numbers.loss is None else f"Squared error L = {number(number_of(numbers.loss))}; g = dL/da."


@dataclass(frozen=True)
class _More:
    kind: str
    count: int


def _shortened(found: Structure, most: int) -> tuple[list[list[Any]], list[str], str]:
    """Columns no longer than `most`, and no more of them than fit a page; and what to say about it."""
    columns: list[list[Any]] = []
    left = 0
    for keys in found.columns:
        if len(keys) <= most:
            columns.append(list(keys))
            continue
        first, last = max(most - 2, 1), 1
        gone = len(keys) - first - last
        left += gone
        columns.append([*keys[:first], _More("more", gone), *keys[-last:]])
    titles = [f"{title} ({len(keys):,})" if len(keys) > most else title
              for title, keys in zip(found.titles, found.columns, strict=True)]  # fmt: skip
    if len(columns) > MOST_COLUMNS:
        first = MOST_COLUMNS // 2
        gone = len(columns) - MOST_COLUMNS + 1
        left += sum(len(keys) for keys in found.columns[first : first + gone])
        columns[first : first + gone] = [[_More("columns", gone)]]
        titles[first : first + gone] = [""]
    return columns, titles, f"Shortened: {left:,} units are not drawn." if left else ""


def _measure(
    numbers: Numbers, shows: str, optimizer: Any, found: Structure, who: str
) -> tuple[Callable[[Parameter], float], str]:
    """What the lines show of a parameter, and what it is called."""
    if shows not in SHOWN:
        raise ValueError(f"{who}: lines must be one of {', '.join(map(repr, SHOWN))}, got {describe(shows)}")
    if shows == "weight":
        return number_of, "w"

    def gradient(p: Value) -> float:
        if numbers.loss is not None:
            return numbers.adjoint.get(p, 0.0)
        return grad_of(p) or 0.0

    if numbers.loss is None:
        every = [w for keys in found.columns for key in keys for _, w in found.sources(key)]
        if not any(grad_of(w) for w in every):
            raise ValueError(
                f"{who}: lines={shows!r} needs gradients, and there are none: give x and target, or call "
                "loss.backward() first"
            )
    if shows == "gradient":
        return gradient, "dL/dw"
    if optimizer is None or not (hasattr(optimizer, "params") and hasattr(optimizer, "step")):
        raise TypeError(
            f"{who}: lines='change' needs optimizer=, one of ag.optim such as ag.optim.SGD(model.parameters(), "
            f"lr=0.1), got {describe(optimizer)}"
        )
    change = {p: new - number_of(p) for p, new in after_step(optimizer, gradient)}
    return lambda p: change.get(p, 0.0), "change"


def _about(found: Structure, numbers: Numbers, key: Key) -> str:
    """The tooltip of a unit: its sum and its activation, with the numbers put in."""
    parts = [found.name[key]]
    if key not in numbers.a:
        g = found.activation.get(key)
        parts += [f"a = {g}(z)" if g else "a = z"] if key in found.activation else []
    elif key not in numbers.z:
        parts.append(f"x = {number(number_of(numbers.a[key]))}")
    else:
        z, a, g = numbers.z[key], numbers.a[key], found.activation[key]
        terms = [f"{signed(number_of(w))} × {signed(number_of(numbers.a[s]))}" for s, w in found.sources(key)]
        total = " + ".join(terms) if len(terms) <= 4 else f"sum of {len(terms)} products w × a"
        bias = f" + {signed(number_of(found.bias[key]))}" if key in found.bias else ""
        parts.append(f"z = {total}{bias} = {number(number_of(z))}")
        parts.append(f"a = {g}(z) = {number(number_of(a))}" if a is not z else "a = z")
        if z in numbers.adjoint:
            parts.append(f"dL/da = {number(numbers.adjoint[a])}, dL/dz = {number(numbers.adjoint[z])}")
    if key not in numbers.z and key in numbers.a and numbers.a[key] in numbers.adjoint:
        parts.append(f"dL/dx = {number(numbers.adjoint[numbers.a[key]])}")
    if key in numbers.targets:
        parts.append(f"target {number(numbers.targets[key])}")
    return "; ".join(parts)


def as_text(diagram: NetworkDiagram) -> str:
    """The picture for a terminal: a line a column."""
    rows = []
    for c, title in enumerate(diagram.titles):
        units = [unit for unit in diagram.units if unit.column == c]
        cells = [
            f"... {unit.name}" if unit.kind in ("more", "columns")
            else f"{unit.name or unit.about.partition(';')[0]}" + ("" if unit.f is None else f"={number(unit.f)}")
            for unit in units
        ]  # fmt: skip
        rows.append((title or f"column {c}", ", ".join(cells)))
    wide = max(len(title) for title, _ in rows)
    return "\n".join(f"{title:<{wide}}  {cells}" for title, cells in rows)
