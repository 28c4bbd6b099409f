"""`draw`: the picture of a graph, of a program, of a network, of two graphs compared, of an explanation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from autograd_lite.engine import graph
from autograd_lite.engine.checks import describe, whole
from autograd_lite.engine.collector import uncollected
from autograd_lite.engine.notation import number
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.value import Value
from autograd_lite.pictures.arguments import (
    FOLD_OVER,
    MOST,
    MOST_EDGES,
    MOST_IN_PAGE,
    count_of,
    edges_of,
    readable,
    roots_of,
    stages,
    staleness,
)
from autograd_lite.pictures.diagrams.collapsed import BUNDLE, bundled, collapse_below, leaves_together
from autograd_lite.pictures.diagrams.diagram import Diagram
from autograd_lite.pictures.listing import Tape
from autograd_lite.pictures.picture import Picture, checked_look, fitted

if TYPE_CHECKING:
    from autograd_lite.folding.program import Program
    from autograd_lite.folding.tracing import Compiled
    from autograd_lite.nn.module import Module


OPEN = 24
"""Boxes above which the parameters of a neuron share one."""


@uncollected()
def draw(
    loss: Value | Iterable[Value] | Program | Compiled | Module,
    x: Any = None,
    target: Any = None,
    *,
    direction: Literal["BT", "LR"] = "BT",
    fold: bool | None = None,
    explain: Value | None = None,
    depth: int | None = None,
    compare: Value | Picture | None = None,
    lines: Literal["weight", "gradient", "change"] | None = None,
    optimizer: Any = None,
    most: int | None = None,
    around: Value | None = None,
    radius: int | None = None,
    title: str | None = None,
    size: float | None = None,
    theme: Literal["auto", "light", "dark", "print"] = "auto",
    show: Iterable[Literal["f", "g", "local"]] = ("f", "g", "local"),
    symbols: Literal["math", "code"] = "math",
    local: Literal["number", "formula"] = "number",
    digits: int = 4,
    legend: bool = False,
    names: Mapping[str, Any] | None = None,
) -> Picture:
    """Draw a computation graph, a box a Value with its f and g; or a network, a circle a unit, a line a weight.

        g(operand) = sum over its edges of g(user) * local gradient

    Args:
        loss: the Value at the root, or several in a sequence; or a Program (`ag.fold`, `ag.compile`), whose
            instructions are then the boxes, up to the result and down again to the gradient; or a model
            (`ag.Neuron`, `ag.Perceptron`, `ag.Layer`, `ag.MLP`, `ag.Network`), drawn as a network.
        x, target: of a network: an example, whose activations then stand in the circles, and what its outputs
            should be; then the gradients of the squared error stand there too.
        lines: of a network: what width, colour and dashes show: "weight" (the default), "gradient", or the
            "change" that a step of `optimizer` would make. Gradients are those of the squared error of x and target,
            else those that the last `backward` left in the parameters.
        most: values that are drawn of a graph, the strongest by the paths to the root (the sum over them of |local
            gradients| multiplied); without it a graph that cannot be folded is drawn with 30. Of a network: units that
            are drawn in a column, 10 by default; of a larger layer the middle is left out.
        around, radius: draw only the values within `radius` edges (2) of this one.
        title: a line above the picture.
        size: the height of its text in pixels; 12 without it, 20 to 24 for a projector.
        theme: "light", "dark", "print" (grey, for paper), or "auto": dark where the reader's screen is, and light in a
            saved file.
        show: which numbers stand in the picture: "f" forward and "g" backward in the boxes, "local" at the edges.
        symbols: "math" writes as a slide does: x², ×, −, w₁₂ for `w_12` and w₀ for `w[0]`, α for `alpha`; "code" as the
            program does. A Program is always written as `print(program)` has it.
        local: what stands at an edge: the "number" of the local gradient, or its "formula", as 2·residual; the number
            where a box stands for many, or the formula would be long.
        digits: significant digits of the numbers, 4; in the circles of a network one fewer.
        legend: whether a key below the picture says what boxes and numbers mean.
        names: what Values without a name are called: a dict, such as `locals()`, of Values and lists of them.
        direction: where the root goes: "BT" on top, "LR" to the right.
        fold: None folds a graph of more than 60 boxes (or 240 edges), so that one box stands for all scalars
            that do the same thing; of a loop the first step is open, and the others are one box; a graph in which
            nothing is alike is drawn in part, and says so. True always folds, False draws every Value, up to 1,000
            boxes, and with depth every closed frame. Above 24 boxes the parameters of a neuron share one, as do
            the numbers that it takes, unless fold=False. More than 12 edges between the same two boxes are drawn as
            one, with their number.
        depth: how many levels of frames are open; a frame below them is one box that says what it holds. 0 closes
            the outermost, as an MLP; 1 shows its layers as boxes; None opens all. More than 4 closed frames of one
            structure side by side, such as the neurons of a layer, are one box.
        compare: a graph of the same shape, such as that of the loss before a step of training, or its Picture: every
            number that differs is shown as it was and as it is. A Picture keeps the numbers that it was drawn
            with; a graph whose parameters have since been changed is refused.
        explain: a Value whose gradient is explained: the largest paths to it (`ag.explain`) are marked, each
            edge with its share of the gradient. Of a graph too large to draw, only those paths are drawn. It takes
            neither depth nor compare.

    Returns:
        A Picture: it shows itself in a notebook and has `.svg`, `.dot` and `.save(path)`. In the page that
        `.save("x.html")` writes, frames open and close; a call of a compiled function is a box, and there a frame.

    Raises:
        TypeError: loss is not a Value, fold is neither None nor a bool, or depth is not a whole number; or an option
            of another type.
        ValueError: an unknown choice, a negative depth, fold=False and more than 1,000 boxes (or 5,000 edges),
            paths to explain that are as long, or explain together with depth or compare.
        RuntimeError: a compiled function that has not been called yet.

    Example:
        >>> a, b = ag.Value(2.0, name="a"), ag.Value(3.0, name="b")
        >>> loss = a * b
        >>> loss.backward()
        >>> ag.draw(loss)
        a = Value(2)    f=2   g=3
        b = Value(3)    f=3   g=2
        v3 = a * b      f=6   g=1   local=(3, 2)
        >>> ag.draw(loss).svg.count('class="edge"')
        2
        >>> residual = 3 * a - b
        >>> "2·residual" in ag.draw(residual**2, local="formula", names=locals()).svg
        True
        >>> ag.draw(ag.Perceptron(2, init=1.0), [3.0, -1.0])
        input             x₁=3, x₂=-1
        output · step ±1  y=2

    Source: Stanford CS221, "Machine learning: backpropagation", functions as boxes.
    """
    from autograd_lite.engine.notation import mixed
    from autograd_lite.pictures.diagrams.diagram import diagram_of
    from autograd_lite.pictures.diagrams.reduced import in_part, reduced

    look, called = checked_look("draw", locals())
    if hasattr(loss, "named_parameters"):
        for_graphs = {
            "fold": fold, "explain": explain, "depth": depth, "compare": compare, "around": around, "radius": radius
        }  # fmt: skip
        return look(_of_network(loss, x, target, lines, optimizer, most, for_graphs))
    for name, given in (("x", x), ("target", target), ("lines", lines), ("optimizer", optimizer)):
        if given is not None:
            raise TypeError(f"draw: {name} is about a network, and {describe(loss)} is not a model of ag.nn")
    if fold is not None and not isinstance(fold, bool):
        raise TypeError(f"draw: fold must be True, False or None, got {describe(fold)}")
    if not isinstance(loss, Value) and callable(getattr(loss, "plan", None)):
        return look(_of_program(loss, direction, fold, {"depth": depth, "compare": compare, "explain": explain}))
    roots = roots_of(loss, "draw")
    _check_depth(depth)
    order = graph.toposort(*roots)
    advance = stages(len(order), ("what is alike", "which matter most", "the listing"))
    # Of a graph that is much too large only that matters, and counting its edges would take longer than drawing it.
    counted = fold is False or len(order) <= MOST_IN_PAGE
    boxes, edges = (count_of(order), edges_of(order, BUNDLE)) if counted else (len(order), len(order))
    could_unfold = boxes <= MOST and edges <= MOST_EDGES
    if fold is False and not could_unfold:
        much, most = (f"{boxes:,} boxes", MOST) if boxes > MOST else (f"{edges:,} edges", MOST_EDGES)
        raise ValueError(
            f"draw: {much} are more than fold=False draws ({most:,}); leave fold out to have alike "
            "scalars in one box, draw an inner Value, or print ag.tape(loss, full=True)"
        )
    small = readable(order, BUNDLE) if fold is None else not fold

    def listing() -> str:
        return str(Tape(order, roots, names=called))

    if explain is not None:
        _check_alone(depth, compare)
        return look(Picture(bundled(_explained(order, roots, explain, small, called)), direction, listing))
    if around is not None or (most is not None and len(order) > most and fold is None):
        made = in_part(order, roots, around, radius, most, names=called)
        return look(Picture(made, direction, listing))

    def fine() -> Diagram:
        return bundled(_with_passes(diagram_of(order, roots, names=called), order, roots))

    loops: list[Diagram] = []

    def coarse() -> Diagram:
        made, whole = reduced(order, roots, could_unfold, advance, names=called)
        loops[:] = [] if whole is None else [whole]
        return bundled(made)

    if depth is not None:
        made = collapse_below(fine(), depth, together=fold is not False).diagram
        if fold or (fold is None and len(made.boxes) > FOLD_OVER):
            made = collapse_below(coarse(), depth).diagram
        if fold is not False:
            made = leaves_together(made)
    else:
        made = fine() if small else coarse()
        if small and fold is None and len(made.boxes) > OPEN:
            made = leaves_together(made)
    made = replace(made, note=" ".join(filter(None, (made.note, mixed(order)))))
    if compare is not None:
        from autograd_lite.pictures.diagrams.compared import compared

        before = _earlier(compare, direction, fold, depth)
        if before.opened is not None:
            made = leaves_together(collapse_below(made, before.opened).diagram)
        return look(Picture(compared(made, before.diagram), direction, listing))
    wholes = [fine, coarse] if boxes <= MOST_IN_PAGE else [coarse]
    if len(roots) == 1 and any(hasattr(node._row, "applied") for node in order):  # calls of compiled functions
        wholes = [lambda: _opened(roots[0], called)]
    if loops:  # in the page the steps open, one by one
        loop = bundled(loops[0])
        wholes = [lambda: loop]
    advance()
    picture = look(Picture(made, direction, listing, [_if_unchanged(order, w, made) for w in wholes]))
    if fold is None and depth is None:
        picture = fitted(picture)
    advance()
    return picture


def _opened(root: Value, names: dict[int, str]) -> Diagram:
    """The graph with every call of a compiled function as its scalars, in a frame."""
    from autograd_lite.folding.opening import opened_with_gradients
    from autograd_lite.pictures.diagrams.diagram import diagram_of

    found = opened_with_gradients(root)
    order = graph.toposort(found)
    if len(order) > MOST_IN_PAGE:
        order, found = graph.toposort(root), root
    return bundled(diagram_of(order, [found], names=names))


def _check_depth(depth: Any) -> None:
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int)):
        raise TypeError(f"draw: depth must be a whole number of levels of frames, got {describe(depth)}")
    if depth is not None and depth < 0:
        raise ValueError(f"draw: depth must be 0 or more, got {depth}")


def _check_alone(depth: Any, compare: Any) -> None:
    for name, given in (("depth", depth), ("compare", compare)):
        if given is not None:
            raise ValueError(
                f"draw: explain marks its paths on one graph with all frames open, and takes no {name}; "
                "leave one out, or draw two pictures"
            )


def _if_unchanged(order: list[Value], make: Callable[[], Diagram], made: Diagram) -> Callable[[], Diagram]:
    """A diagram for the page of a picture, which is made when the page is asked for.

    By then the numbers may be others, as after a step of training: then the page has what the picture itself shows.
    """
    from autograd_lite.pictures.diagrams.diagram import backward_value

    def numbers() -> int:
        return hash(tuple((number_of(node), backward_value(node)) for node in order if node._row is None))

    then = numbers()
    return lambda: make() if numbers() == then else made


def _with_passes(made: Diagram, order: Sequence[Value], roots: Sequence[Value]) -> Diagram:
    """A picture with a word in the boxes whose gradients are of several passes: else it contradicts itself."""
    from autograd_lite.engine.backward import adjoints
    from autograd_lite.engine.modes import changed_mode
    from autograd_lite.insight.faults import gathered
    from autograd_lite.pictures.diagrams.diagram import has_backward
    from autograd_lite.pictures.steps import indices

    if len(roots) != 1 or not has_backward(order, roots):
        return made
    with changed_mode(on_adjoint=None, on_sweep=None):
        adjoint = adjoints(roots[0])
    wrong, passes = gathered(order, adjoint, [x for x in order if x.is_leaf])
    at, boxes = indices(order).box, list(made.values)
    for p, has, g in wrong:
        note = f"{passes} passes: zero_grad" if passes else f"{number(has - g)} of passes before"
        boxes[at[p]] = replace(boxes[at[p]], note=note)
    return replace(made, boxes=tuple(boxes))


def _of_network(
    model: Any, x: Any, target: Any, lines: Any, optimizer: Any, most: Any, for_graphs: dict[str, Any]
) -> Picture:
    """The picture of a model."""
    from autograd_lite.pictures.diagrams.networks import MODELS, network_of
    from autograd_lite.pictures.networks import NetworkPicture

    if not isinstance(model, MODELS):
        raise TypeError(
            f"draw: {describe(model)} is not a Neuron, Layer, MLP or Network; give one of its layers, or its graph: "
            "model(x)"
        )
    for name, given in for_graphs.items():
        if given is not None:
            raise TypeError(f"draw: {name} is about a graph of Values, which a model has once it is called: model(x)")
    most = 10 if most is None else whole(most, "draw: most", 3)
    return NetworkPicture(network_of(model, x, target, shows=lines or "weight", most=most, optimizer=optimizer))


def _of_program(program: Any, direction: str, fold: bool | None, others: dict[str, Any]) -> Picture:
    """The picture of a Program, or of the latest one of a compiled function."""
    from autograd_lite.pictures.diagrams.programs import program_diagram

    for name, given in others.items():
        if given is not None:
            raise TypeError(f"draw: {name} is about a graph of Values; a Program has none, draw the loss for that")
    if getattr(program, "_latest", program) is None:
        raise RuntimeError("draw: the function is traced at its first call; call it once, then draw it")
    plan = program.plan()
    if fold is False and len(plan.instructions) > MOST:
        raise ValueError(
            f"draw: {len(plan.instructions):,} instructions are more than fold=False draws ({MOST:,}); leave fold out "
            "to have those of one shape in one box, or print(program)"
        )
    made = program_diagram(plan, program.results, program.constants, FOLD_OVER, fold)
    return Picture(made, direction, lambda: str(program))


def _earlier(earlier: Any, direction: Literal["BT", "LR"], fold: bool | None, depth: int | None) -> Picture:
    """The picture of an earlier graph, or that picture itself."""
    if isinstance(earlier, Picture):
        return earlier
    if not isinstance(earlier, Value):
        raise TypeError(f"draw: compare must be a Value or a Picture, got {describe(earlier)}")
    stale = staleness(graph.toposort(earlier))
    if stale is not None:
        raise ValueError(
            f"draw: compare: a leaf under {stale!r} has been changed since; draw that graph before the step, "
            "`before = ag.draw(loss)`, and give compare=before"
        )
    return draw(earlier, direction=direction, fold=fold, depth=depth)


def _explained(order: list[Value], roots: list[Value], w: Value, whole: bool, names: dict[int, str]) -> Diagram:
    """The graph with the paths of a gradient marked on it, or those paths alone."""
    from autograd_lite.insight.explanation import explain
    from autograd_lite.pictures.diagrams.diagram import diagram_of

    if len(roots) != 1:
        raise ValueError(f"draw(explain=...): give one loss, got {len(roots)}; each has another gradient")
    found = explain(roots[0], w)
    on_paths = {node for path in found.paths for node in path.nodes} or {roots[0], w} & set(order)
    if not whole and len(on_paths) > MOST:
        raise ValueError(
            f"draw(explain=...): the paths run over {len(on_paths):,} nodes, more than are drawn ({MOST:,}); "
            "print ag.explain(loss, w)"
        )
    only = None if whole else on_paths
    made = diagram_of(order, roots, found.edges, only, amounts=not found.in_shares, names=names)
    note = str(found).splitlines()[0] + ("" if whole else f"; only those paths are drawn, of {len(order):,} nodes")
    return replace(made, note=note)
