"""Plots of training and of functions, by Matplotlib: `ag.plot.*`.

Each takes `ax=` to draw into, makes a new figure without it, and returns the Axes; nothing is shown or
saved here. Matplotlib is imported when the first plot is drawn.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autograd_lite.data import as_rows
from autograd_lite.engine import graph
from autograd_lite.engine.atomic import set_numbers
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import as_float, describe, needs, whole
from autograd_lite.engine.modes import no_grad
from autograd_lite.engine.notation import printable
from autograd_lite.engine.reading import number_of, numbers_of
from autograd_lite.engine.scopes import Scope
from autograd_lite.engine.value import Parameter, Value
from autograd_lite.optim.rules import SGD

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


__all__ = [
    "activations",
    "contours",
    "decision_boundary",
    "gradients",
    "loss_slice",
    "losses",
    "network",
    "update_ratios",
]


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, which colour-blind readers can tell apart."""

MARKERS = "osD^v<>"


def _axes(ax: Any, who: str) -> Any:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(needs(f"plot.{who}", "Matplotlib", "viz")) from None
    return plt.subplots(figsize=(6.4, 4.2), layout="constrained")[1]


def losses(history: Any, *, ax: Any = None, log: bool = False) -> Any:
    """The loss over the epochs, in training and in validation.

    Args:
        history: an object with `loss` and `validation_loss` (what `fit` returns), a dict of lists by name, or
            one list of losses.
        ax: Axes to draw into; a new figure without it.
        log: a logarithmic axis for the loss.

    Returns:
        The Axes.

    Raises:
        TypeError: history has another type, or a loss is not a number.
        ValueError: there is no loss in it, or log=True and none is above 0.

    Example:
        >>> ax = ag.plot.losses({"training": [1.0, 0.5, 0.3], "validation": [1.1, 0.7, 0.6]}, log=True)
        >>> [line.get_label() for line in ax.lines], ax.get_yscale()
        (['training', 'validation'], 'log')
    """
    if hasattr(history, "loss"):
        curves = {"training": history.loss, "validation": getattr(history, "validation_loss", [])}
    else:
        if isinstance(history, str) or not isinstance(history, Iterable):
            raise TypeError(
                f"plot.losses: expected what fit returns, a dict of lists or a list, got {describe(history)}"
            )
        curves = dict(history) if isinstance(history, Mapping) else {"training": list(history)}
    curves = {str(name): [as_float(x, f"plot.losses: {name}") for x in xs] for name, xs in curves.items() if len(xs)}
    if not curves:
        raise ValueError("plot.losses: there is no loss to draw; was the training run for at least one epoch?")
    if log and not any(x > 0.0 for xs in curves.values() for x in xs):
        raise ValueError("plot.losses: log=True needs a loss above 0, and there is none; leave log out")
    ax = _axes(ax, "losses")
    for colour, (name, xs) in zip(_cycle(COLOURS), curves.items(), strict=False):
        ax.plot(
            range(1, len(xs) + 1),
            xs,
            color=colour,
            label=_label(name),
            marker="o" if len(xs) < 30 else "",
            markersize=3,
        )
    if log:
        ax.set_yscale("log")
    ax.xaxis.get_major_locator().set_params(integer=True)  # there is no epoch 1.5
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss")
    ax.legend(frameon=False)
    return _plain_frame(ax)


def decision_boundary(
    model: Any, X: Any, y: Any, *, ax: Any = None, threshold: float = 0.0, resolution: int = 120
) -> Any:
    """What a classifier says over the plane, with the examples on it.

    Args:
        model: anything with `predict(X)`: scores of shape (n,) for two classes, (n, k) for k; or labels, as of an
            estimator with `classes_`.
        X: examples, shape (n, 2).
        y: their labels, shape (n,).
        ax: Axes to draw into; a new figure without it.
        threshold: the score at which the class changes: 0, or 1/2 for probabilities.
        resolution: points of the grid in each direction.

    Returns:
        The Axes.

    Raises:
        TypeError: the model has no `predict`, or it gives neither numbers nor labels.
        ValueError: X does not have two columns, the lengths differ, or resolution is below 2.

    Example:
        >>> ax = ag.plot.decision_boundary(ag.Neuron(2, seed=0), [[0.0, 1.0], [1.0, 0.0]], [1, -1], resolution=5)
        >>> ax.get_xlabel()
        'x1'
    """
    import numpy as np

    rows, labels = as_rows(X, "plot.decision_boundary"), np.asarray(y).ravel()
    if not callable(getattr(model, "predict", None)):
        raise TypeError(f"plot.decision_boundary: model must have a method predict(X), got {describe(model)}")
    _check_resolution(resolution, "decision_boundary")
    if rows.shape[1] != 2:
        raise ValueError(f"plot.decision_boundary: X must have 2 columns, got shape {rows.shape}")
    if len(labels) != len(rows):
        raise ValueError(f"plot.decision_boundary: {len(rows)} examples but {len(labels)} labels")
    low, high = rows.min(axis=0), rows.max(axis=0)
    margin = np.where(high > low, 0.12 * (high - low), 1.0)
    ticks = [np.linspace(a, b, resolution) for a, b in zip(low - margin, high + margin, strict=True)]
    grid = np.stack(np.meshgrid(*ticks), axis=-1)
    predicted = np.asarray(model.predict(grid.reshape(-1, 2)))
    classes = _classes_predicted(model, predicted, labels)
    if classes is None and predicted.dtype.kind not in "fiub":
        raise TypeError(
            f"plot.decision_boundary: predict must give scores, got {predicted.dtype} {predicted.flat[0]!r}"
        )
    if predicted.shape[:1] != (resolution**2,) or predicted.ndim > (2 if classes is None else 1):
        raise ValueError(
            f"plot.decision_boundary: predict of {resolution**2} examples must give as many rows of scores, "
            f"got shape {predicted.shape}"
        )
    ax = _axes(ax, "decision_boundary")
    colours = list(COLOURS)
    shape = grid.shape[:2]
    if classes is not None:
        index = {label: i for i, label in enumerate(classes)}
        _draw_regions(ax, ticks, np.array([index[x] for x in predicted.tolist()]).reshape(shape), len(classes))
    elif predicted.ndim == 2:
        _draw_regions(ax, ticks, predicted.astype(float).argmax(axis=1).reshape(shape), predicted.shape[1])
    else:
        _draw_heights(ax, ticks, predicted.astype(float).reshape(shape) - threshold)
    if classes is None:
        classes = np.unique(labels).tolist()
        if predicted.ndim == 1 and len(classes) == 2:
            colours = [COLOURS[1], COLOURS[0]]  # as the ground: vermilion below the threshold, blue above
    for i, label in enumerate(classes):
        points = rows[labels == label]
        style = {"color": colours[i % len(colours)], "marker": MARKERS[i % 7], "edgecolors": "white"}
        ax.scatter(points[:, 0], points[:, 1], s=28, linewidths=0.6, label=_label(label), **style)
    ax.set_xlabel("x1")
    ax.set_ylabel("x2")
    ax.legend(title="label", frameon=True, framealpha=0.85, loc="best")
    return ax


def _classes_predicted(model: Any, predicted: Array, labels: Array) -> list[Any] | None:
    """The classes of a model whose `predict` gives labels, those of `labels` included; None if it gives scores.

    An estimator says so by `classes_`. Whole numbers that are all labels of three or more classes are labels too:
    drawn as scores, class 2 would be "more of class 1".
    """
    import numpy as np

    known = getattr(model, "classes_", None)
    if known is None:
        several = np.unique(labels)
        whole = predicted.ndim == 1 and predicted.dtype.kind in "iu" and labels.dtype.kind in "iuf"
        return several.tolist() if whole and len(several) > 2 and bool(np.isin(predicted, several).all()) else None
    return list(dict.fromkeys([*np.asarray(known).tolist(), *np.unique(labels).tolist()]))


def _draw_heights(ax: Any, ticks: Sequence[Array], height: Array) -> None:
    """The score of two classes, from vermilion to blue, with a line where it is 0."""
    import numpy as np

    reach = max(float(np.abs(height[np.isfinite(height)]).max(initial=0.0)), 1e-12)
    ax.contourf(*ticks, height, levels=np.linspace(-reach, reach, 21), cmap="RdBu", alpha=0.55)
    if height.min() < 0 < height.max():
        ax.contour(*ticks, height, levels=[0.0], colors="black", linewidths=1.2)


def _draw_regions(ax: Any, ticks: Sequence[Array], best: Array, count: int) -> None:
    """The class of each point of the grid, in the colours of the examples."""
    import numpy as np

    levels = np.arange(count + 1) - 0.5
    ax.contourf(*ticks, best, levels=levels, colors=[COLOURS[i % 7] for i in range(count)], alpha=0.3)


def network(
    model: Any, x: Any = None, target: Any = None, *, ax: Any = None, lines: str = "weight", most: int = 10,
    optimizer: Any = None,
) -> Any:  # fmt: skip
    """The units and weights of a model, as `ag.draw(model, x, target)` draws them, on axes.

    Args:
        model: an `ag.Neuron`, `ag.Perceptron`, `ag.Layer`, `ag.MLP` or `ag.Network`.
        x, target, lines, most, optimizer: as for `ag.draw`.
        ax: Axes to draw into; a new figure of the right size without it.

    Returns:
        The Axes; a unit of its data is a pixel of the picture.

    Raises:
        TypeError, ValueError: as for `ag.draw`.

    Example:
        >>> ax = ag.plot.network(ag.MLP(2, [3, 1], seed=0), [1.0, -1.0])
        >>> len([patch for patch in ax.patches if type(patch).__name__ == "Circle"])
        6
    """
    from autograd_lite.pictures.diagrams.networks import MODELS, network_of
    from autograd_lite.pictures.writers.network_scene import network_scene
    from autograd_lite.pictures.writers.raster import paint

    if not isinstance(model, MODELS):
        raise TypeError(f"plot.network: expected a Neuron, Layer, MLP or Network, got {describe(model)}")
    most = whole(most, "plot.network: most", 3)
    diagram = network_of(model, x, target, shows=lines, most=most, optimizer=optimizer, who="plot.network")
    scene = network_scene(diagram)
    if ax is None:
        ax = _axes(None, "network")
        ax.figure.set_size_inches(scene.width / 72, scene.height / 72)
    ax.set_xlim(0, scene.width)
    ax.set_ylim(scene.height, 0)
    ax.set_aspect("equal")
    ax.set_axis_off()
    # As large as the axes are now: text and lines have sizes in points, whatever the axes measure.
    place = ax.get_position()
    wide, high = (72 * side for side in ax.figure.get_size_inches())
    scale = min(wide * place.width / scene.width, high * place.height / scene.height)
    for order, shape in enumerate((shape for element in scene.elements for shape in element.shapes), 1):
        paint(ax, shape, order, scale)
    return ax


def activations(loss: Value, *, ax: Any = None) -> Any:
    """How large the outputs of each layer are, |f| as histograms on a log scale, with medians.

    Args:
        loss: a Value whose graph has the layers, on one example or many.
        ax: Axes to draw into; a new figure without it.

    Returns:
        The Axes, a histogram a layer, the first at the bottom.

    Raises:
        TypeError: loss is not a Value.
        ValueError: no node of the graph belongs to a module or a scope.

    Example:
        >>> ax = ag.plot.activations(ag.MLP(2, [8, 8, 1], seed=0)([1.0, 2.0]))
        >>> [tick.get_text() for tick in ax.get_yticklabels()]
        ['layer 0', 'layer 1', 'layer 2']
    """
    found = {layer: numbers_of(nodes) for layer, nodes in _layers(loss, "activations", False).items()}
    return _histograms(found, "|f| of the outputs", COLOURS[0], _axes(ax, "activations"))


def gradients(loss: Value, *, ax: Any = None, of: str = "outputs") -> Any:
    """How large the gradients of each layer are, |g| as histograms on a log scale, with medians.

    Where they shrink from layer to layer towards the inputs, gradients vanish; where they grow, they explode.

    Args:
        loss: a Value whose graph has the layers; no `.grad` is read or changed.
        ax: Axes to draw into; a new figure without it.
        of: "outputs" of the neurons, or their "parameters".

    Returns:
        The Axes, a histogram a layer, the first at the bottom.

    Raises:
        TypeError: loss is not a Value.
        ValueError: no node of the graph belongs to a module or a scope, or `of` is neither of the two.

    Example:
        >>> ax = ag.plot.gradients(ag.MLP(2, [8, 8, 1], seed=0)([1.0, 2.0]), of="parameters")
        >>> ax.get_xlabel()
        '|g| of the parameters'
    """
    if of not in ("outputs", "parameters"):
        raise ValueError(f"plot.gradients: of must be 'outputs' or 'parameters', got {describe(of)}")
    layers = _layers(loss, "gradients", of == "parameters")
    g = adjoints(loss)
    found = {layer: [g[node] for node in nodes] for layer, nodes in layers.items()}
    return _histograms(found, f"|g| of the {of}", COLOURS[1], _axes(ax, "gradients"))


def update_ratios(states: Iterable[Mapping[str, float]], *, ax: Any = None) -> Any:
    """How far each step moves the parameters of each layer, relative to their size.

        ratio = |w(t+1) - w(t)| / |w(t)|, with the Euclidean norm over a layer

    About 1e-3 is healthy (the dashed line): far above it training is unstable, far below it hardly moves.

    Args:
        states: `model.state_dict()` before the first step and after each.
        ax: Axes to draw into; a new figure without it.

    Returns:
        The Axes, a line a layer.

    Raises:
        TypeError: states is not a list, or a state is not a dict.
        ValueError: there are fewer than two states, one is empty, or their names differ.

    Example:
        >>> states = [{"layers[0].w": 1.0}, {"layers[0].w": 1.001}, {"layers[0].w": 1.003}]
        >>> ag.plot.update_ratios(states).lines[0].get_label()
        'layers[0]'

    Source: the weight-update slides' reference, cs231n.github.io/neural-networks-3.
    """
    import numpy as np

    if not isinstance(states, Iterable) or isinstance(states, (str, Mapping)):
        raise TypeError(
            "plot.update_ratios: states must be a list of dicts, model.state_dict() before the first step and after "
            f"each, got {describe(states)}"
        )
    taken = list(states)
    for state in taken:
        if not isinstance(state, Mapping):
            raise TypeError(f"plot.update_ratios: a state is a dict, as of model.state_dict(), got {describe(state)}")
    if len(taken) < 2:
        raise ValueError(f"plot.update_ratios: two states make one step, got {len(taken)}")
    if not taken[0]:
        raise ValueError("plot.update_ratios: the states are empty; does the model have any parameters?")
    for i, state in enumerate(taken):
        if state.keys() != taken[0].keys():
            raise ValueError(f"plot.update_ratios: state {i} has other parameters than state 0")
    layers: dict[str, list[str]] = {}
    for name in taken[0]:
        layers.setdefault(name.partition(".")[0] if "." in name else "parameters", []).append(name)
    ax = _axes(ax, "update_ratios")
    for colour, (layer, names) in zip(_cycle(COLOURS), layers.items(), strict=False):
        w = np.array([[state[name] for name in names] for state in taken])
        size = np.maximum(np.linalg.norm(w[:-1], axis=1), 1e-300)
        ratio = np.linalg.norm(np.diff(w, axis=0), axis=1) / size
        ax.plot(range(1, len(taken)), ratio, color=colour, label=_label(layer))
    ax.axhline(1e-3, color="#5F6673", linestyle="--", linewidth=1)
    ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel("|change| / |w|")
    ax.legend(frameon=False)
    return _plain_frame(ax)


def contours(
    f: Callable[[Any, Any], Any], *, start: Sequence[float] | None = None,
    optimizers: Mapping[str, Callable[[list[Value]], Any]] | None = None, steps: int = 50, ax: Any = None,
    x: tuple[float, float] = (-2.0, 2.0), y: tuple[float, float] = (-2.0, 2.0), levels: int = 20,
    resolution: int = 100,
) -> Any:  # fmt: skip
    """The contours of a function of two numbers, and the paths of optimizers down it from one start.

    Args:
        f: a function of two numbers or Values, written with arithmetic and `ag` functions.
        start: where every path begins; None draws no paths.
        optimizers: by name, a function of the parameters that gives an optimizer, such as
            `lambda p: ag.optim.SGD(p, lr=0.05)`; plain gradient descent if left out.
        steps: the length of each path.
        ax: Axes to draw into; a new figure without it.
        x, y: the ranges to show.
        levels: how many contours; they are denser near the minimum.
        resolution: points of the grid in each direction.

    Returns:
        The Axes; the line of each path has its name as the label.

    Raises:
        TypeError: f is not a function of two numbers, or does not give a number, or not a Value for the Values of a
            path; optimizers is not a dict, or a rule does not give an optimizer.
        ValueError: start is not two numbers, a range is not from a smaller to a larger number, resolution is below
            2, steps or levels below 1, f is finite nowhere, or a path overflows.

    Example:
        >>> ax = ag.plot.contours(lambda a, b: a**2 + 10 * b**2, start=(1, -2), steps=3,
        ...                       optimizers={"SGD": lambda p: ag.optim.SGD(p, lr=0.01)})
        >>> [round(float(v), 4) for v in ax.lines[0].get_ydata()]
        [-2.0, -1.6, -1.28, -1.024]

    Source: the weight-update slides (momentum and adaptive rules on contours).
    """
    import numpy as np

    _check_resolution(resolution, "contours")
    _check_function(f, 2, "contours: f", "two numbers")
    if optimizers is not None and not isinstance(optimizers, Mapping):
        raise TypeError(
            "plot.contours: optimizers must be a dict of rules by name, such as "
            f'{{"SGD": lambda p: ag.optim.SGD(p, lr=0.05)}}, got {describe(optimizers)}'
        )
    for what, count in (("steps", steps), ("levels", levels)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"plot.contours: {what} must be a whole number from 1 on, got {describe(count)}")
    for name, ends in (("x", x), ("y", y)):
        pair = [as_float(end, f"plot.contours: {name}") for end in ends] if isinstance(ends, Iterable) else []
        if len(pair) != 2 or not -np.inf < pair[0] < pair[1] < np.inf:
            raise ValueError(f"plot.contours: {name} must be (low, high), finite and low < high, got {describe(ends)}")
    ticks = np.linspace(*x, resolution), np.linspace(*y, resolution)
    height = np.array([[_number(f(float(a), float(b))) for a in ticks[0]] for b in ticks[1]])
    finite = height[np.isfinite(height)]
    if not finite.size:
        raise ValueError("plot.contours: f is not finite at any point of the grid; is the range the right one?")
    rules = optimizers or {"gradient descent": lambda p: SGD(p, lr=0.01)}
    paths = {} if start is None else {name: _path(f, start, make, steps, name) for name, make in rules.items()}
    ax = _axes(ax, "contours")
    low, high = float(finite.min()), float(finite.max())
    cuts = low + (high - low) * np.linspace(0.0, 1.0, levels + 1)[1:] ** 3
    ax.contour(*ticks, height, levels=cuts if high > low else 1, colors="#9AA0AB", linewidths=0.8)
    if paths:
        for i, (name, path) in enumerate(paths.items()):
            style = {"color": COLOURS[i % 7], "marker": MARKERS[i % 7], "markersize": 3.5, "linewidth": 1.4}
            ax.plot(path[:, 0], path[:, 1], label=_label(name), **style)
        ax.plot(*path[0], "o", color="black", markersize=7, label="_start", zorder=5)
        ax.legend(frameon=True, framealpha=0.85)
    ax.set_xlim(*x)
    ax.set_ylim(*y)
    return ax


def _path(f: Callable[[Any, Any], Any], start: Sequence[float], make: Any, steps: int, name: str) -> Array:
    """The points that an optimizer visits, shape (steps + 1, 2)."""
    import numpy as np

    if not isinstance(start, Iterable) or len(start) != 2:
        raise ValueError(f"plot.contours: start must be two numbers, got {describe(start)}")
    p: list[Value] = [Parameter(x) for x in start]
    _check_function(make, 1, f"contours: the rule {name!r}", "the list of parameters")
    optimizer = make(p)
    if not (hasattr(optimizer, "step") and hasattr(optimizer, "zero_grad")):
        raise TypeError(
            f"plot.contours: {name!r} must give an optimizer, such as ag.optim.SGD, got {describe(optimizer)}"
        )
    points = [[x.data for x in p]]
    for _ in range(steps):
        optimizer.zero_grad()
        height = f(*p)
        if not isinstance(height, Value):
            raise TypeError(
                f"plot.contours: f of two Values must give a Value, to have a gradient, got {describe(height)}"
            )
        height.backward()
        if not all(np.isfinite(v.grad) for v in p):
            raise ValueError(f"plot.contours: the path of {name!r} overflowed at step {len(points)}; lower its lr")
        try:
            with np.errstate(
                over="ignore"
            ):  # our optimizers refuse it; for others it is refused above, in the next round
                optimizer.step()
        except ValueError as error:
            raise ValueError(f"plot.contours: the path of {name!r}, step {len(points)}: {error}") from error
        points.append([x.data for x in p])
    return np.array(points)


def loss_slice(
    model: Any, loss: Callable[[Any], Any], *, ax: Any = None, span: float = 1.0, resolution: int = 25, seed: int = 0
) -> Any:
    """A 2-D slice of the loss: over two random directions from where the parameters are now.

        L(a, b) = loss at w + a u + b v, with u and v of the length of w in each neuron

    Args:
        model: a Module; its parameters are restored when this returns.
        loss: a function of the model that gives its loss, such as `lambda m: mean over the examples`.
        ax: Axes to draw into; a new figure without it.
        span: a and b run from -span to span.
        resolution: points in each direction; the loss is computed resolution^2 times.
        seed: of the directions.

    Returns:
        The Axes.

    Raises:
        TypeError: model is not a Module.
        ValueError: the model has no parameters, or resolution is below 2.

    Example:
        >>> model = ag.MLP(1, [1], seed=0)
        >>> before = model.state_dict()
        >>> ax = ag.plot.loss_slice(model, lambda m: (m([1.0]) - 2.0) ** 2, resolution=5)
        >>> model.state_dict() == before
        True

    Source: Li, Xu, Taylor, Studer and Goldstein, Visualizing the loss landscape of neural nets, 2018.
    """
    import numpy as np

    if not hasattr(model, "named_parameters"):
        raise TypeError(f"plot.loss_slice: model must be a Module, got {describe(model)}")
    _check_resolution(resolution, "loss_slice")
    _check_function(loss, 1, "loss_slice: loss", "the model")
    named = dict(model.named_parameters())
    if not named:
        raise ValueError(f"plot.loss_slice: {model!r} has no parameters")
    parameters = list(named.values())
    w = np.array(numbers_of(parameters))
    neuron = [name.rpartition(".w")[0] or name.rpartition(".b")[0] for name in named]
    # Of the length of w neuron by neuron: a relu network may have large weights in one layer and small ones in the
    # next, and a step that is small for the one would wipe out the other.
    directions = np.random.default_rng(seed).standard_normal((2, len(w)))
    for who in dict.fromkeys(neuron):
        inside = np.array([other == who for other in neuron])
        length = np.linalg.norm(directions[:, inside], axis=1, keepdims=True)
        directions[:, inside] *= np.linalg.norm(w[inside]) / length
    ticks = np.linspace(-span, span, resolution)
    height = np.empty((resolution, resolution))
    try:
        with no_grad():
            for i, b in enumerate(ticks):
                for j, a in enumerate(ticks):
                    set_numbers(parameters, (w + a * directions[0] + b * directions[1]).tolist())
                    height[i, j] = _number(loss(model))
    finally:
        set_numbers(parameters, w.tolist())
    ax = _axes(ax, "loss_slice")
    filled = ax.contourf(ticks, ticks, height, levels=24, cmap="cividis")
    ax.contour(ticks, ticks, height, levels=24, colors="white", linewidths=0.3, alpha=0.6)
    ax.plot(0.0, 0.0, "o", color="white", markeredgecolor="black", label="the parameters now")
    ax.figure.colorbar(filled, ax=ax, label="loss")
    ax.set_xlabel("along one random direction")
    ax.set_ylabel("along another")
    ax.legend(frameon=True, framealpha=0.85)
    return ax


# --- helpers ---------------------------------------------------------------------------------------------


def _check_resolution(resolution: Any, who: str) -> None:
    if isinstance(resolution, bool) or not isinstance(resolution, int) or resolution < 2:
        raise ValueError(f"plot.{who}: resolution must be a whole number from 2 on, got {describe(resolution)}")


def _check_function(f: Any, count: int, who: str, takes: str) -> None:
    if not callable(f):
        raise TypeError(f"plot.{who} must be a function of {takes}, got {describe(f)}")
    try:
        signature = inspect.signature(f)
    except ValueError:  # a builtin without a signature
        return
    try:
        signature.bind(*range(count))
    except TypeError as error:
        raise TypeError(f"plot.{who} must be a function of {takes}: {error}") from None


def _label(name: Any) -> str:
    """A name for a legend or an axis, in which dollar signs do not start TeX, and a `_` in front does not hide it."""
    text = printable(str(name)).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def _number(x: Any) -> float:
    return number_of(x) if isinstance(x, Value) else as_float(x, "plot: the result of the function")


def _cycle(colours: Sequence[str]) -> Iterable[str]:
    while True:
        yield from colours


def _plain_frame(ax: Any) -> Any:
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _layers(loss: Value, who: str, parameters: bool) -> dict[str, list[Value]]:
    """By layer, inputs first: what comes out of its neurons (used outside of them), or their parameters."""
    from autograd_lite.pictures.diagrams.diagram import paths

    if not isinstance(loss, Value):
        raise TypeError(f"plot.{who}: expected a Value, the root of a graph, got {describe(loss)}")
    order = graph.toposort(loss)
    place = paths(order)
    # A layer's output is what nodes outside of its neuron take; sums inside it are not.
    outside = {loss}
    for node in order:
        for x in graph.raw_operands(node):
            if x.__class__ is not float and place[id(x)][-1:] != place[id(node)][-1:]:
                outside.add(x)
    found: dict[tuple[Scope, ...], list[Value]] = {}
    computes: dict[tuple[Scope, ...], int] = {}  # the index of a layer's first node; a parameter may come earlier
    for i, node in enumerate(order):
        path = place[id(node)]
        layer = path[:-1] or path
        if layer and node._row is not None:
            computes.setdefault(layer, i)
        if layer and (isinstance(node, Parameter) if parameters else node._row is not None and node in outside):
            found.setdefault(layer, []).append(node)
    if not found:
        raise ValueError(
            f"plot.{who}: no node of this graph belongs to a layer; use ag.MLP, or record inside `with ag.scope(name)`"
        )
    inputs_first = sorted(found, key=lambda layer: computes.get(layer, 0))
    # Two networks may each have a "layers[0]": then with what is around it.
    names = [layer[-1].name for layer in inputs_first]
    if len(set(names)) < len(names):
        names = [" / ".join(scope.name for scope in layer) for layer in inputs_first]
    layers: dict[str, list[Value]] = {}
    for name, layer in zip(names, inputs_first, strict=True):
        layers.setdefault(name, []).extend(found[layer])
    return layers


def _histograms(layers: Mapping[str, Sequence[float]], what: str, colour: str, ax: Any) -> Any:
    """Histograms of |x| one above another, on a common logarithmic axis."""
    import numpy as np

    sizes = {layer: np.abs(np.array(xs, dtype=float)) for layer, xs in layers.items()}
    positive = {layer: x[np.isfinite(x) & (x > 0)] for layer, x in sizes.items()}
    every = np.concatenate(list(positive.values()))
    # At least a decade wide, or equal sizes would give bins of no width; within the floats at both ends.
    low, high = (np.log10(every.min()), np.log10(every.max())) if len(every) else (-1.0, 1.0)
    middle, half = (low + high) / 2, max((high - low) / 2, 0.5) * 1.08
    bins = np.logspace(max(middle - half, -323.0), min(middle + half, 308.0), 31)
    for row, (layer, x) in enumerate(positive.items()):
        counts, _ = np.histogram(x, bins)
        height = 0.8 * counts / max(counts.max(), 1)
        ax.fill_between(bins, row, row + np.append(height, 0.0), step="post", color=colour, alpha=0.35, linewidth=0)
        ax.plot(bins, row + np.append(height, 0.0), drawstyle="steps-post", color=colour, linewidth=1)
        notes = []
        if len(x):
            median = float(np.median(x))
            ax.plot([median, median], [row, row + 0.8], color="black", linewidth=1.6, label=f"_median {layer}")
            notes.append(f"median {median:.2g}")
        zeros, strange = int((sizes[layer] == 0).sum()), int((~np.isfinite(sizes[layer])).sum())
        notes += [f"{zeros:,} of {len(sizes[layer]):,} are 0"] if zeros else []
        notes += [f"{strange:,} not finite"] if strange else []
        ax.annotate(", ".join(notes), (1.01, row + 0.3), xycoords=("axes fraction", "data"), fontsize=9, va="center")
    ax.set_xscale("log")
    ax.set_yticks(range(len(sizes)), [_label(layer) for layer in sizes])
    ax.set_ylim(-0.1, len(sizes))
    ax.set_xlabel(what)
    return _plain_frame(ax)
