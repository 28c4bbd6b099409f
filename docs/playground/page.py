"""What the playground runs in the browser beside the package: a program, and what each tab shows of it.

The worker calls `run`, `show` and `slide` with text and numbers, and gets JSON. What comes back is data: text, SVG that
the page shows as an image, or a page that it shows in a frame of its own origin.
"""

from __future__ import annotations

import ast
import builtins
import importlib.abc
import io
import json
import linecache
import math
import random
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout

import autograd_lite as ag
from autograd_lite import micrograd, optim
from autograd_lite.engine import graph
from autograd_lite.engine.modes import changed_mode
from autograd_lite.engine.value import Parameter, Value, record
from autograd_lite.pictures.arguments import staleness
from autograd_lite.pictures.listing import Tape
from autograd_lite.pictures.mathematics import named_values

FILE = "program.py"
MOST_TEXT = 20_000
"""Characters of output and of a listing that are sent to the page."""

GRID = 36
"""Points of the plane along each side at which a model of two inputs is asked."""

MOST_SLIDERS = 12
TIMED = 0.4
"""Seconds that the map of a model may take; it is coarser for one that is slow."""

NOT_HERE = (
    "numpy",
    "scipy",
    "matplotlib",
    "sklearn",
    "torch",
    "jax",
    "graphviz",
    "pandas",
    "tqdm",
    "sympy",
    "llvmlite",
)
OUT_OF_REACH = ("js", "pyodide", "pyodide_js", "_pyodide", "_pyodide_core", "pyodide_http")


class Names(importlib.abc.MetaPathFinder):
    """Says of a module that the page does not have what to do instead; micrograd's names lead to ours."""

    def find_spec(self, name, path=None, target=None):
        """Refuse by a message, or know nothing of the name."""
        root = name.partition(".")[0]
        if root in NOT_HERE:
            raise ModuleNotFoundError(
                f"{root} is not in this page, which has Python's standard library and autograd_lite: write it with "
                "lists, math and ag functions, or run the program where it is installed",
                name=root,
            )
        if root in OUT_OF_REACH:
            raise ModuleNotFoundError(f"{root} is not available to programs here: they compute and print", name=root)
        return


def prepare():
    """Make the modules as programs find them; called once, before the first program."""
    sys.meta_path.insert(0, Names())
    for name in [name for name in sys.modules if name.partition(".")[0] in OUT_OF_REACH]:
        del sys.modules[name]
    sys.modules["micrograd"] = micrograd
    for part in ("engine", "nn"):
        sys.modules[f"micrograd.{part}"] = __import__(f"autograd_lite.micrograd.{part}", fromlist=["Value"])

    def no_input(prompt=""):
        raise RuntimeError("input() has nobody to ask in this page; write the value into the program")

    builtins.input = no_input


class Session:
    """The last program that ran to its end."""

    def __init__(self):
        self.names, self.root, self.last, self.lines = {}, None, None, {}

    def values(self):
        """The Values that the program has a name for, the last ones first."""
        found = {}
        for name, x in self.names.items():
            if isinstance(x, Value) and not name.startswith("_"):
                found[name] = x
        return dict(reversed(found.items()))

    def model(self):
        """The model of the program, if it has one: the last."""
        models = [
            x for x in self.names.values() if hasattr(x, "parameters") and callable(x) and not isinstance(x, type)
        ]
        return models[-1] if models else None

    def optimizer(self):
        """The optimizer of the program."""
        found = [x for x in self.names.values() if isinstance(x, optim.Optimizer)]
        return found[-1] if found else None


session = Session()
theme = "light"


def run(source):
    """Run a program; what happened, what it printed, and the Values that can be shown."""
    global session
    printed = io.StringIO()
    names = {"__name__": "__main__", "__builtins__": builtins}
    lines = source.splitlines(keepends=True)
    linecache.cache[FILE] = (len(source), None, lines, FILE)
    random.seed(0)  # so that what one sees does not change with each letter that is typed
    now = Session()
    try:
        with redirect_stdout(printed), redirect_stderr(printed), ag.record_source():
            tree = ast.parse(source, FILE)
            last = tree.body[-1] if tree.body else None
            if isinstance(last, ast.Expr):
                exec(compile(ast.Module(tree.body[:-1], []), FILE, "exec"), names)
                now.last = eval(compile(ast.Expression(last.value), FILE, "eval"), names)
                if now.last is not None and not isinstance(now.last, Value):
                    print(repr(now.last))
            else:
                exec(compile(tree, FILE, "exec"), names)
    except BaseException as error:
        return json.dumps({"error": _told(error, lines), "output": _cut(printed.getvalue())})
    now.names = {name: x for name, x in names.items() if not name.startswith("__")}
    session = now
    values = now.values()
    if isinstance(now.last, Value):
        session.root, chosen = now.last, next((name for name, x in values.items() if x is now.last), "")
    else:
        chosen = "loss" if "loss" in values else _topmost(values)
        session.root = values.get(chosen)
    return json.dumps(
        {
            "output": _cut(printed.getvalue()),
            "values": [*values] if chosen in values else ["", *values],
            "chosen": chosen,
            "network": now.model() is not None,
        }
    )


def _topmost(values):
    """The name of a Value that no other one was computed from, the last if there are several."""
    used = {x for node in graph.toposort(*values.values()) for x in graph.raw_operands(node) if type(x) is not float}
    return next((name for name, x in values.items() if x not in used), next(iter(values), ""))


def _told(error, lines):
    """An error as the page shows it: the line of the program, and the message."""
    text = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, SyntaxError) and error.filename == FILE:
        line, column = error.lineno or 1, error.offset or 1
        text = f"{type(error).__name__}: {error.msg}"
    else:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
        line, column = (frames[-1].lineno, (frames[-1].colno or 0) + 1) if frames else (1, 1)
        if isinstance(error, SystemExit):
            text = "SystemExit: the program ended itself before its last line"
    return {"line": min(max(line, 1), max(len(lines), 1)), "column": column, "text": _cut(text)}


def _cut(text):
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}\n... {len(text) - MOST_TEXT:,} more characters"


# --- what the tabs show -------------------------------------------------------------------------------------


def show(view, value, option, dark):
    """What a tab shows of the last program, as JSON: parts, each a picture, a page, a text, sliders or a choice."""
    global theme
    theme = "dark" if dark else "light"
    try:
        if value:
            session.root = session.values().get(value, session.root)
        parts = VIEWS[view](option)
    except Exception as error:
        parts = [{"text": "".join(traceback.format_exception_only(error)).strip(), "kind": "refused"}]
    return json.dumps({"view": view, "parts": parts})


def _root():
    """The Value to show, with present numbers: those of a graph whose parameters have moved are computed anew."""
    root = session.root
    if root is None:
        return None, []
    if staleness(graph.toposort(root)) is None:
        return root, []
    note = "The parameters have changed since this was computed; it is shown with the numbers that they have now."
    return again(root, {})[0], [{"text": note, "kind": "note"}]


def again(root, numbers):
    """(the same graph recorded anew, its leaves), with other numbers for some leaves, and the program's names."""
    made, leaves = {}, []
    called = named_values(_names(), "again")
    titles = {leaf: name for name, leaf in _leaves(root)}
    for node in graph.toposort(root):
        if node._row is None:
            kind = Parameter if isinstance(node, Parameter) else Value
            new = kind(numbers.get(len(leaves), node.data), node.name or titles[node])
            leaves.append(new)
        else:
            operands = [x if type(x) is float else made[x] for x in graph.raw_operands(node)]
            with changed_mode(recording=True):
                new = record(node._row, tuple(operands))
        for slot in ("_name", "_scope"):
            if hasattr(node, slot):
                setattr(new, slot, getattr(node, slot))
        if node._row is not None and not node.name and id(node) in called:
            new._name = called[id(node)]
        made[node] = new
    made[root].backward()
    return made[root], leaves


NOTHING = [
    {"text": "The program has no Value to show. Give one a name, such as loss = (w * x - y) ** 2.", "kind": "note"}
]


def _picture(picture):
    return {"svg": picture.svg, "about": picture.diagram.about, "width": picture.scene.width, "text": repr(picture)}


def graph_tab(option):
    """The graph."""
    root, notes = _root()
    if root is None:
        return NOTHING
    parts = [*notes, _picture(ag.draw(root, names=_names(), theme=theme))]
    if not hasattr(root, "_grad"):
        parts.append({"text": "Call .backward() to see the gradients g beside the values f.", "kind": "note"})
    return parts


def _names():
    return {name: x for name, x in session.names.items() if isinstance(x, (Value, list, tuple))}


def steps_tab(option):
    """The stepper, with the update if the program has an optimizer that moves a leaf of the graph."""
    root, notes = _root()
    if root is None:
        return NOTHING
    optimizer = session.optimizer()
    leaves = {node for node in graph.toposort(root) if node._row is None}
    if notes or optimizer is None or not any(p in leaves for p in optimizer.params):
        optimizer = None
    stepper = ag.step(root, optimizer, names=_names(), theme=theme)
    return [*notes, {"page": stepper.html, "about": "Backpropagation, step by step"}]


def values_tab(option):
    """The listing: a line a Value."""
    root, notes = _root()
    return NOTHING if root is None else [*notes, {"text": _cut(_listing(root)), "kind": "code"}]


def _listing(root):
    return str(Tape(graph.toposort(root), [root], names=named_values(_names(), "tape")))


def explain_tab(option):
    """The gradient in one leaf as a sum over paths."""
    root, notes = _root()
    if root is None:
        return NOTHING
    leaves = _leaves(root)
    if not leaves:
        return [{"text": "This Value depends on no leaf: there is no gradient to explain.", "kind": "note"}]
    names = [name for name, _ in leaves]
    name = option if option in names else names[0]
    leaf = leaves[names.index(name)][1]
    place = [node for node in graph.toposort(root) if node._row is None].index(leaf)
    root, copies = again(root, {})
    leaf = copies[place]
    parts = [{"choice": names, "chosen": name, "label": "Gradient in"}, *notes]
    parts.append({"text": _cut(str(ag.explain(root, leaf))), "kind": "code"})
    return [*parts, _picture(ag.draw(root, explain=leaf, theme=theme))]


def _leaves(root):
    """(name, leaf) of the leaves, parameters first, each name once."""
    called = {}
    for name, x in session.names.items():
        for y, title in (
            [(x, name)]
            if isinstance(x, Value)
            else [(y, f"{name}[{i}]") for i, y in enumerate(x) if isinstance(y, Value)]
            if isinstance(x, (list, tuple))
            else []
        ):
            called.setdefault(y, title)
    found = {}
    leaves = [node for node in graph.toposort(root) if node._row is None]
    for i, leaf in enumerate(sorted(leaves, key=lambda x: not isinstance(x, Parameter))):
        name = leaf.name or called.get(leaf) or f"leaf {i + 1}"
        while name in found:
            name += "′"
        found[name] = leaf
    return [*found.items()]


def diagnose_tab(option):
    """What is wrong with the gradients; and of the model before training, where it is one that can be asked."""
    root, notes = _root()
    if root is None:
        return NOTHING
    asked = session.root if not notes else root
    model = session.model()
    watched = model.parameters() if model is not None else None
    reached = set(graph.toposort(asked))
    if watched is not None and not any(p in reached for p in watched):
        watched = None
    return [*notes, {"text": _cut(str(ag.diagnose(asked, watched))), "kind": "code"}]


def quiz_tab(option):
    """A picture with blanks."""
    root, notes = _root()
    if root is None:
        return NOTHING
    return [*notes, {"page": ag.quiz(again(root, {})[0]).html, "about": "Fill in the gradients"}]


def sliders_tab(option):
    """A slider for each leaf, and the graph with their numbers."""
    root, notes = _root()
    if root is None:
        return NOTHING
    leaves = [node for node in graph.toposort(root) if node._row is None]
    titles = {leaf: name for name, leaf in _leaves(root)}
    rows = []
    for i, leaf in enumerate(leaves):
        x = leaf.data
        if not math.isfinite(x):
            continue
        rows.append({"leaf": i, "name": titles[leaf], "low": x - abs(x) - 1, "high": x + abs(x) + 1, "at": x,
                     "free": isinstance(leaf, Parameter)})  # fmt: skip
    rows.sort(key=lambda row: not row["free"])
    more = len(rows) - MOST_SLIDERS
    if more > 0:
        notes = [*notes, {"text": f"{more} more leaves have no slider.", "kind": "note"}]
    return [*notes, {"sliders": rows[:MOST_SLIDERS]}, *_slid(root, {})]


def _slid(root, numbers):
    moved, leaves = again(root, numbers)
    slopes = [f"{leaf.grad:.4g}" for leaf in leaves]
    return [{"result": f"{moved.data:.6g}", "slopes": slopes}, _picture(ag.draw(moved, theme=theme))]


def slide(numbers, dark):
    """The graph with other numbers in some leaves."""
    global theme
    theme = "dark" if dark else "light"
    try:
        root, _ = _root()
        parts = _slid(root, {int(i): x for i, x in json.loads(numbers).items()})
    except Exception as error:
        parts = [{"text": "".join(traceback.format_exception_only(error)).strip(), "kind": "refused"}]
    return json.dumps({"view": "slid", "parts": parts})


# --- networks -----------------------------------------------------------------------------------------------


def network_tab(option):
    """The model as circles and lines, and over the plane if it has two inputs and one output."""
    model = session.model()
    if model is None:
        return [{"text": "The program has no model. Try model = ag.MLP(2, [4, 1]).", "kind": "note"}]
    parts = []
    if hasattr(model, "named_parameters"):
        with ag.no_grad():
            parts.append(_picture(ag.draw(model, theme=theme)))
    mapped = _map(model)
    return (
        [*mapped, *parts]
        if parts or mapped
        else [
            {
                "text": f"{type(model).__name__} is neither a model of ag.nn, nor takes two numbers and gives one.",
                "kind": "note",
            }
        ]
    )


def _points():
    """(x, y, label) of the examples that the program calls X and y (or xs and ys)."""
    names = session.names
    for xs, ys in (("X", "y"), ("xs", "ys"), ("X", "Y"), ("inputs", "targets")):
        if xs in names and ys in names:
            try:
                pairs = [
                    (float(getattr(row[0], "data", row[0])), float(getattr(row[1], "data", row[1])),
                     float(getattr(t, "data", t))) for row, t in zip(names[xs], names[ys], strict=True) if len(row) == 2
                ]  # fmt: skip
            except (TypeError, ValueError):
                continue
            if pairs:
                return pairs
    return []


def _map(model):
    """The output of a model of two inputs over the plane, as an SVG of ours, with the examples as dots."""
    import time

    def at(x, y):
        with ag.no_grad():
            out = model([x, y])
        out = out[0] if isinstance(out, (list, tuple)) and len(out) == 1 else out
        return float(getattr(out, "data", out))

    points = _points()
    xs, ys = [p[0] for p in points] or [-1.0, 1.0], [p[1] for p in points] or [-1.0, 1.0]
    low = (min(xs) - 0.5, min(ys) - 0.5)
    wide, high = (max(xs) + 0.5 - low[0]) or 1.0, (max(ys) + 0.5 - low[1]) or 1.0
    each = math.inf
    try:
        for _ in range(3):  # the first call makes what later ones use
            start = time.perf_counter()
            first = at(low[0], low[1])
            each = min(each, time.perf_counter() - start)
    except (TypeError, ValueError, IndexError):
        return []
    if not math.isfinite(first):
        return []
    n = max(8, min(GRID, int(math.sqrt(TIMED / max(each, 1e-6)))))
    rows = [[at(low[0] + wide * (i + 0.5) / n, low[1] + high * (j + 0.5) / n) for i in range(n)] for j in range(n)]
    labels = {p[2] for p in points}
    flat = [z for row in rows for z in row]
    # labels 0 and 1 are told apart at 0.5, of probabilities and of outputs near them; logits and scores at 0
    zero_one = bool(labels) and labels <= {0.0, 1.0}
    cut = 0.5 if zero_one and min(flat) > -0.8 and max(flat) < 1.8 else 0.0
    border = 0.5 if zero_one else 0.0
    size = max([1e-12, *(abs(z - cut) for z in flat if math.isfinite(z))])
    side = 360 / n
    cells = []
    for j, row in enumerate(rows):
        for i, z in enumerate(row):
            strength = min(abs(z - cut) / size, 1.0) if math.isfinite(z) else 0.0
            colour = "#0072B2" if z < cut else "#D55E00"
            cells.append(
                f'<rect x="{i * side:.1f}" y="{360 - (j + 1) * side:.1f}" width="{side:.1f}" '
                f'height="{side:.1f}" fill="{colour}" fill-opacity="{0.15 + 0.6 * strength:.2f}"/>'
            )
    cells = ['<g shape-rendering="crispEdges">', *cells, "</g>"]
    for x, y, label in points:
        u, v = 360 * (x - low[0]) / wide, 360 - 360 * (y - low[1]) / high
        above = label > border
        mark = (
            f'<circle cx="{u:.1f}" cy="{v:.1f}" r="5.5" fill="#D55E00" stroke="#fff" stroke-width="1.5"/>'
            if above
            else f'<rect x="{u - 5:.1f}" y="{v - 5:.1f}" width="10" height="10" fill="#0072B2" stroke="#fff" '
            'stroke-width="1.5"/>'
        )
        cells.append(mark)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 360" width="360" height="360">'
        f'<rect width="360" height="360" fill="#fff"/>{"".join(cells)}</svg>'
    )
    right = sum((at(x, y) > cut) == (label > border) for x, y, label in points)
    score = f" {right} of {len(points)} examples on their side." if points and len(labels) == 2 else ""
    about = (
        f"The model over the plane, x1 from {low[0]:.3g} to {low[0] + wide:.3g}, x2 from {low[1]:.3g} to "
        f"{low[1] + high:.3g}: orange above {cut:g}, blue below.{score}"
    )
    return [{"svg": svg, "about": about, "width": 360, "text": about}, {"text": about, "kind": "note"}]


VIEWS = {
    "graph": graph_tab, "steps": steps_tab, "values": values_tab, "explain": explain_tab, "diagnose": diagnose_tab,
    "quiz": quiz_tab, "network": network_tab, "sliders": sliders_tab,
}  # fmt: skip
