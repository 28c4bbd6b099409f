"""Pictures of graphs: `draw`, `tape`, `step` and `quiz`.

model.py and folded.py say what is in a picture (of a Program: programs.py), layout.py and layered.py where it
goes, scene.py how it looks; svg.py, dot_text.py and paint.py write it; listing.py and formula.py make the tape.
steps.py says what backpropagation does one step after another, stepper.py and animated.py play that over a picture;
closed.py and page.py close frames, compared.py and quizzes.py show two graphs and none of the answers.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from autograd_lite import graph
from autograd_lite.pictures.listing import Tape
from autograd_lite.pictures.model import Model
from autograd_lite.pictures.picture import Picture
from autograd_lite.value import Value, shown

if TYPE_CHECKING:
    from autograd_lite.folding.program import Program
    from autograd_lite.folding.tracing import Compiled
    from autograd_lite.pictures.model import Model
    from autograd_lite.pictures.quizzes import Quiz
    from autograd_lite.pictures.stepper import Stepper

FOLD_OVER = 60
"""Boxes that a person still reads; above it a picture folds."""
MOST = 1000
"""Boxes that `fold=False` still draws."""
MOST_IN_PAGE = 20_000
"""Boxes of a graph whose frames the page of its picture opens one by one; frames of a larger one hold folded boxes."""


def draw(
    loss: Value | Iterable[Value] | Program | Compiled,
    *,
    direction: str = "BT",
    fold: bool | None = None,
    explain: Value | None = None,
    depth: int | None = None,
    compare: Value | Picture | None = None,
) -> Picture:
    """Draw a computation graph: a box a Value with its f and g, an edge an operand with its local gradient.

        g(operand) = sum over its edges of g(user) * local gradient

    Args:
        loss: the Value at the root, or several in a sequence; or a Program (`ag.fold`, `ag.compile`), whose
            instructions are then the boxes, up to the result and down again to the gradient.
        direction: where the root goes: "BT" on top, "LR" to the right.
        fold: None folds a graph of more than 60 boxes, so that one box stands for all scalars that do the
            same thing; True always folds, False draws every Value, up to 1,000 boxes, and with depth every
            closed frame.
        depth: how many levels of frames are open; a frame below them is one box that says what it holds. 0 closes
            the outermost, as an MLP; 1 shows its layers as boxes; None opens all. More than 4 closed frames alike
            in one frame, such as the neurons of a layer, are one box.
        compare: a graph of the same shape, such as that of the loss before a step of training, or its Picture: every
            number that differs is shown as it was and as it is. A Picture keeps the numbers of the moment when
            it was drawn; a graph whose parameters have since been changed is refused.
        explain: a Value whose gradient is explained: the largest paths to it (`ag.explain`) are marked, each
            edge with its share of the gradient. Of a graph too large to draw, only those paths are drawn. It takes
            neither depth nor compare.

    Returns:
        A Picture: it shows itself in a notebook and has `.svg`, `.dot` and `.save(path)`. In the page that
        `.save("x.html")` writes, frames open and close.

    Raises:
        TypeError: loss is no Value, fold neither None nor a bool, or depth no whole number.
        ValueError: an unknown direction, a negative depth, fold=False and more than 1,000 boxes, paths to explain
            as long, or explain together with depth or compare.
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

    Source: Stanford CS221, "Machine learning: backpropagation", functions as boxes.
    """
    from autograd_lite.pictures.closed import to_depth
    from autograd_lite.pictures.folded import folded
    from autograd_lite.pictures.formula import mixed
    from autograd_lite.pictures.model import model

    _check_direction(direction, "draw")
    if fold is not None and not isinstance(fold, bool):
        raise TypeError(f"draw: fold must be True, False or None, got {shown(fold)}")
    if not isinstance(loss, Value) and callable(getattr(loss, "plan", None)):
        return _of_program(loss, direction, fold, {"depth": depth, "compare": compare, "explain": explain})
    roots = _roots(loss, "draw")
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int)):
        raise TypeError(f"draw: depth must be a whole number of levels of frames, got {shown(depth)}")
    if depth is not None and depth < 0:
        raise ValueError(f"draw: depth must be 0 or more, got {depth}")
    order = graph.order(*roots)
    boxes = _count(order)
    if fold is False and boxes > MOST:
        raise ValueError(
            f"draw: {boxes:,} boxes are more than fold=False draws ({MOST:,}); leave fold out to have alike "
            "scalars in one box, draw an inner Value, or print ag.tape(loss, full=True)"
        )
    small = boxes <= FOLD_OVER if fold is None else not fold
    if explain is not None:
        for name, given in (("depth", depth), ("compare", compare)):
            if given is not None:
                raise ValueError(
                    f"draw: explain marks its paths on one graph with all frames open, and takes no {name}; "
                    "leave one out, or draw two pictures"
                )
        return Picture(_explained(order, roots, explain, small), direction, lambda: str(Tape(order, roots)))

    def alike() -> Model:
        with _uncollected():
            return folded(order, roots, FOLD_OVER, could_unfold=boxes <= MOST)

    if depth is not None:
        made = to_depth(model(order, roots), depth, together=fold is not False).model
        if fold or (fold is None and len(made.boxes) > FOLD_OVER):
            made = to_depth(alike(), depth).model
    else:
        made = model(order, roots) if small else alike()
    made = replace(made, note=" ".join(filter(None, (made.note, mixed(order)))))
    if compare is not None:
        return Picture(_compared(made, compare, direction, fold, depth), direction, lambda: str(Tape(order, roots)))
    return Picture(made, direction, lambda: str(Tape(order, roots)), _wholes(order, roots, made, alike))


def _wholes(
    order: list[Value], roots: list[Value], made: Model, alike: Callable[[], Model]
) -> list[Callable[[], Model]]:
    """What the page of a picture opens and closes frames of, fine and coarse; made when it is asked for.

    By then the numbers may be others: what is left then is what the picture itself shows.
    """
    from autograd_lite.pictures.model import backward_value, model

    def numbers() -> int:
        return hash(tuple((node._f, backward_value(node)) for node in order if node._row is None))

    then = numbers()

    def if_as_then(make: Callable[[], Model]) -> Callable[[], Model]:
        return lambda: make() if numbers() == then else made

    fine = [if_as_then(lambda: model(order, roots))] if _count(order) <= MOST_IN_PAGE else []
    return [*fine, if_as_then(alike)]


@contextmanager
def _uncollected() -> Iterator[None]:
    """With the cyclic collector off: while millions of small objects are made it goes over all of them again and again.

    There is no cycle among them to find, and a picture of a large graph takes half the time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _of_program(program: Any, direction: str, fold: bool | None, others: dict[str, Any]) -> Picture:
    """The picture of a Program, or of the latest one of a compiled function."""
    from autograd_lite.pictures.programs import program_model

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
    made = program_model(plan, program.results, program.constants, FOLD_OVER, fold)
    return Picture(made, direction, lambda: str(program))


def _compared(now: Model, earlier: Any, direction: str, fold: bool | None, depth: int | None) -> Model:
    """The picture of now beside the numbers of an earlier graph, or of its picture."""
    from autograd_lite.pictures.compared import compared

    if isinstance(earlier, Picture):
        return compared(now, earlier.model)
    if not isinstance(earlier, Value):
        raise TypeError(f"draw: compare must be a Value or a Picture, got {shown(earlier)}")
    stale = _stale(graph.order(earlier))
    if stale is not None:
        raise ValueError(
            f"draw: compare: a leaf under {stale!r} has been changed since; draw that graph before the step, "
            "`before = ag.draw(loss)`, and give compare=before"
        )
    return compared(now, draw(earlier, direction=direction, fold=fold, depth=depth).model)


def _explained(order: list[Value], roots: list[Value], w: Value, whole: bool) -> Model:
    """The graph with the paths of a gradient marked on it, or those paths alone."""
    from autograd_lite.insight import explain
    from autograd_lite.pictures.model import model

    if len(roots) != 1:
        raise ValueError(f"draw(explain=...): give one loss, got {len(roots)}; each has a gradient of its own")
    found = explain(roots[0], w)
    on_paths = {node for path in found.paths for node in path.nodes} or {roots[0], w} & set(order)
    if not whole and len(on_paths) > MOST:
        raise ValueError(
            f"draw(explain=...): the paths run over {len(on_paths):,} nodes, more than are drawn ({MOST:,}); "
            "print ag.explain(loss, w)"
        )
    made = model(order, roots, found.edges, None if whole else on_paths, amounts=not found.in_shares)
    note = str(found).splitlines()[0] + ("" if whole else f"; only those paths are drawn, of {len(order):,} nodes")
    return replace(made, note=note)


def tape(loss: Value | Iterable[Value], full: bool = False) -> Tape:
    """A computation graph as text: one line a node, leaf to root, with f, g and the local gradients.

    Args:
        loss: the Value at the root, or several in a sequence.
        full: show every line; else the middle of a tape of more than 200 lines is left out.

    Returns:
        A Tape: `str()` of it is the text, and it shows itself as that.

    Raises:
        TypeError: loss is no Value.

    Example:
        >>> w, x = ag.Parameter(3.0, name="w"), ag.Value(2.0, name="x")
        >>> loss = (w * x - 5) ** 2
        >>> loss.backward()
        >>> ag.tape(loss)
        w = Parameter(3)   f=3   g=4
        x = Value(2)       f=2   g=6
        v3 = w * x         f=6   g=2   local=(2, 3)
        v4 = v3 - 5        f=1   g=2   local=(1, -1)
        v5 = v4 ** 2       f=1   g=1   local=(2, 0)
    """
    roots = _roots(loss, "tape")
    return Tape(graph.order(*roots), roots, full)


def step(loss: Value, optimizer: Any = None, *, direction: str = "BT") -> Stepper:
    """Backpropagation step by step, to play, scrub and read: forward, backward, and the update of the parameters.

        g(operand) += g(node) * local gradient,   w <- w - lr * g(w)

    The pass is computed afresh, from gradients of 0; no `.grad`, parameter or optimizer is changed.

    Args:
        loss: the Value at the root.
        optimizer: what would change the parameters, such as `ag.optim.SGD`; None leaves the update out.
        direction: where the root goes: "BT" on top, "LR" to the right.

    Returns:
        A Stepper: it shows itself in a notebook and has `.steps`, `.html` and `.save(path)`. A graph of more
        than 60 boxes is stepped through folded, a box or an edge a step.

    Raises:
        TypeError: loss is no Value, or optimizer is none.
        ValueError: an unknown direction, or the data of a leaf has changed since loss was computed.

    Example:
        >>> w = ag.Parameter(3.0, name="w")
        >>> stepper = ag.step(w * w, ag.optim.SGD([w], lr=0.1))
        >>> for step in stepper.steps:
        ...     print(step.phase, "|", step.caption)
        forward | The leaves are given: w = 3
        forward | v2 = w * w = 3 * 3 = 9
        backward | g(v2) = d(v2)/d(v2) = 1
        backward | g(w) += g(v2) * d(v2)/d(w) = 1 * 3 = 3
        backward | g(w) += g(v2) * d(v2)/d(w) = 1 * 3 = 3; with what it had, g(w) = 3 + 3 = 6
        update | w <- w - lr * g(w) = 3 - 0.1 * 6 = 2.4
        update | With the new parameters v2 = 5.76; it was 9

    Source: Stanford CS221, "Machine learning: backpropagation", forward and backward values.
    """
    from dataclasses import replace

    from autograd_lite.diff import adjoints
    from autograd_lite.pictures.folded import folded
    from autograd_lite.pictures.model import model
    from autograd_lite.pictures.stepper import Stepper
    from autograd_lite.pictures.steps import box_steps, folded_update, node_steps
    from autograd_lite.pictures.steps import shown as shown_as

    if not isinstance(loss, Value):
        raise TypeError(f"step: expected a Value (the root of a graph), got {shown(loss)}")
    if optimizer is not None and (
        isinstance(optimizer, type) or not (hasattr(optimizer, "params") and hasattr(optimizer, "step"))
    ):
        raise TypeError(
            f"step: optimizer must be one of ag.optim, such as ag.optim.SGD([w], lr=0.1), got {shown(optimizer)}"
        )
    _check_direction(direction, "step")
    order = graph.order(loss)
    stale = _stale(order)
    if stale is not None:
        raise ValueError(
            f"step: the data of a leaf has changed since the loss was computed ({stale!r} would be another now); "
            "compute the loss again"
        )
    adjoint = adjoints(loss)
    if _count(order) > FOLD_OVER:
        with _uncollected():
            made = folded(order, [loss], FOLD_OVER, could_unfold=False, adjoint=adjoint)
        steps = [*box_steps(made), *folded_update(order, adjoint, optimizer)]
        return Stepper(Picture(made, direction, lambda: str(Tape(order, [loss]))), steps)
    steps = node_steps(order, optimizer)
    made = model(order, [loss], adjoint=adjoint)
    after = {box: x for one in steps if one.part == "new" for box, x in one.fills.items()}
    boxes = tuple(replace(b, note=f"→ {shown_as(after[i])}") if i in after else b for i, b in enumerate(made.boxes))
    return Stepper(Picture(replace(made, boxes=boxes), direction, lambda: str(Tape(order, [loss]))), steps)


def quiz(loss: Value, hide: str = "g", *, count: int | None = None, seed: int = 0, direction: str = "BT") -> Quiz:
    """A picture with blanks to fill in: forward values, backward values or local gradients.

    Args:
        loss: the Value at the root.
        hide: "f", "g" or "local".
        count: how many blanks; None for all that there can be.
        seed: which are chosen; one seed, one sheet, so that a class has the same.
        direction: where the root goes: "BT" on top, "LR" to the right.

    Returns:
        A Quiz: it shows itself in a notebook and has `.blanks`, `.check(A=6.0)`, `.hint("A")` and `.solution()`.

    Raises:
        TypeError: loss is no Value, or count no whole number.
        ValueError: hide is none of the three, the graph is a leaf or has more than 60 boxes, count is below 1, or
            the data of a leaf has changed since loss was computed.

    Example:
        >>> a = ag.Value(3.0, name="a")
        >>> b = a ** 2
        >>> b.name = "b"
        >>> quiz = ag.quiz(b ** 2)
        >>> quiz
        Fill in the backward values:
        A. g(a) = ?
        B. g(b) = ?
        >>> quiz.check(A=108, B=18)
        {'A': True, 'B': True}
    """
    from autograd_lite.diff import adjoints
    from autograd_lite.pictures.model import model
    from autograd_lite.pictures.quizzes import HIDE, quiz_of

    if not isinstance(loss, Value):
        raise TypeError(f"quiz: expected a Value (the root of a graph), got {shown(loss)}")
    if hide not in HIDE:
        raise ValueError(f"quiz: hide must be 'f', 'g' or 'local', got {shown(hide)}")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
        raise TypeError(f"quiz: count must be a whole number of blanks, got {shown(count)}")
    if count is not None and count < 1:
        raise ValueError(f"quiz: count must be at least 1, got {count}")
    _check_direction(direction, "quiz")
    order = graph.order(loss)
    if _count(order) > FOLD_OVER:
        raise ValueError(
            f"quiz: {_count(order):,} boxes are too many for a sheet ({FOLD_OVER}); take a smaller example, "
            "or an inner Value"
        )
    stale = _stale(order)
    if stale is not None:
        raise ValueError(f"quiz: the data of a leaf under {stale!r} has changed since; compute the loss again")
    return quiz_of(order, model(order, [loss], adjoint=adjoints(loss)), hide, count, seed, direction)


def _stale(order: list[Value]) -> Value | None:
    """The first node that would be another number now, since the data of a leaf was changed."""
    from autograd_lite.pictures.steps import recomputed

    return next((node for node, f in recomputed(order, {}).items() if repr(f) != repr(node._f)), None)


def _count(order: list[Value]) -> int:
    """How many boxes a graph has when each Value, and each bare number, has one."""
    return sum(1 + sum(x.__class__ is float for x in graph.raw_operands(node)) for node in order)


def _check_direction(direction: str, what: str) -> None:
    if direction not in ("BT", "LR"):
        raise ValueError(
            f"{what}: direction must be 'BT' (root on top) or 'LR' (root at the right), got {shown(direction)}"
        )


def _roots(loss: Any, what: str) -> list[Value]:
    if isinstance(loss, Value):
        return [loss]
    if isinstance(loss, Iterable) and not isinstance(loss, (str, bytes, dict)):
        roots = list(loss)
        if roots and all(isinstance(root, Value) for root in roots):
            return list(dict.fromkeys(roots))
    way_out = "; a model has no graph before it is called: give model(x)" if hasattr(loss, "named_parameters") else ""
    raise TypeError(f"{what}: expected a Value (the root of a graph) or a sequence of them, got {shown(loss)}{way_out}")
