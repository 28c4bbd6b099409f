"""The pages of the site's API reference, as reStructuredText, made from the public names of the package.

A name belongs to the page of its home (`_HOME` of the package, `__all__` of its modules), so a new name is on a page
without a line here; a new home is refused until PAGES has it. Sphinx's autodoc fills in signatures and docstrings.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import autograd_lite as ag
from autograd_lite.engine.functions import METHODS
from tools.site_docstrings import Converter


@dataclass(frozen=True)
class Page:
    """A page: its title, what it begins with, the homes in `_HOME` and the modules whose names it has, and classes of
    which calls give instances."""

    title: str
    intro: str
    homes: str = ""
    modules: str = ""
    results: str = ""


PAGES = {
    "values": Page(
        "Values and parameters",
        "What a program computes with. Each function of one Value, and each of two, is a method as well: "
        "``x.sigmoid()`` is ``ag.sigmoid(x)``.",
        "engine.value engine.modes engine.scopes",
    ),
    "functions": Page(
        "Functions",
        "The table of primitives as functions of Values, numbers and arrays, and how to add to it. NumPy's names for "
        "them work too, see :doc:`../docs/NUMPY`.",
        "engine.functions engine.custom engine.lookup",
    ),
    "arrays": Page(
        "Arrays and linear algebra", "Arrays of Values, and what ``numpy.linalg`` has.", "arrays", "ag.linalg"
    ),
    "derivatives": Page(
        "Derivatives",
        "Transforms take a function and give the function that computes its derivative; they nest in any order.",
        "derivatives.reverse derivatives.transforms derivatives.propagation derivatives.checking",
        results="derivatives.checking.Report",
    ),
    "insight": Page(
        "Explanation and diagnosis",
        "Where a gradient comes from, and why it is 0, huge or NaN.",
        "insight.explanation insight.diagnosis insight.anomaly",
        results="insight.explanation.Explanation insight.findings.Diagnosis insight.findings.Finding",
    ),
    "programs": Page(
        "Programs",
        "Scalar code as a program on arrays: :doc:`../docs/COMPILE` says how that works.",
        "folding.program folding.tracing",
        results="folding.tracing.Compiled",
    ),
    "pictures": Page(
        "Pictures",
        "Graphs and networks drawn, played, listed, and set as exercises. The :doc:`gallery <../gallery>` shows them.",
        "pictures.drawing pictures.stepper pictures.explore pictures.quizzes pictures.listing pictures.formulas",
        results="pictures.picture.Picture pictures.stepper.Stepper pictures.explore.Explorer pictures.quizzes.Quiz "
        "pictures.listing.Tape pictures.formulas.Formula",
    ),
    "models": Page("Models", "Neurons, layers and networks, and modules of your own.", "nn", "ag.nn"),
    "losses": Page(
        "Losses", "Functions of a prediction and a target; ``ag.fit`` takes them by name too.", modules="ag.losses"
    ),
    "optim": Page(
        "Optimizers and schedules",
        "An optimizer is a chain of transformations of the gradient; a schedule gives the learning rate of a step.",
        modules="ag.optim",
    ),
    "training": Page(
        "Training and files",
        "From a model and data to a trained model, and to a file.",
        "training training.minimizing files version_report",
        results="training.Run training.minimizing.Minimum",
    ),
    "plot": Page("Plots", "By Matplotlib, which the extra ``viz`` brings.", modules="ag.plot"),
    "sklearn": Page(
        "scikit-learn estimators",
        "By scikit-learn, which the extra ``sklearn`` brings: ``from autograd_lite.sklearn import MLPClassifier``.",
        modules="autograd_lite.sklearn",
    ),
    "micrograd": Page(
        "micrograd's names",
        "What a program written for micrograd imports: ``from autograd_lite.micrograd import Value``; "
        ":doc:`../docs/FROM_MICROGRAD` has the details.",
        modules="autograd_lite.micrograd",
    ),
}

MEMBERS = {
    "ag.Program": "backend theta loss_and_grad value_and_grad backward rows rows_and_grad gradients jvp vjp hvp "
    "jacobian hessian sparsity source jax plan",
    "autograd_lite.folding.tracing.Compiled": "uncompiled sparse",
    "ag.optim.Optimizer": "step zero_grad lr learning_rate param_groups state_dict load_state_dict track_average "
    "averaged",
}
"""The members to show of classes whose other public methods serve the package alone; of a class that is not here, all
of its own."""


def public_names() -> Iterator[tuple[str, str, Any]]:
    """(page, dotted name, object) of everything that a user is offered, in the order of the pages."""
    unknown = set(ag._HOME) - {home for page in PAGES.values() for home in page.homes.split()}
    unknown |= {f"ag.{name}" for name in ag._MODULES} - {m for page in PAGES.values() for m in page.modules.split()}
    if unknown:
        raise ValueError(
            f"the API reference has no page for the names of {', '.join(sorted(unknown))}: add it to PAGES"
        )
    for key, page in PAGES.items():
        for home in page.homes.split():
            for name in ag._HOME[home].split():
                yield key, f"ag.{name}", getattr(ag, name)
        for module in page.modules.split():
            found = import_module(module.replace("ag.", "autograd_lite."))
            for name in found.__all__:
                yield key, f"{module}.{name}", getattr(found, name)
        for path in page.results.split():
            module, _, name = path.rpartition(".")
            yield key, f"autograd_lite.{path}", getattr(import_module(f"autograd_lite.{module}"), name)


def constant(name: str) -> str:
    """What the source says below the assignment of a name such as `ag.losses.LOSSES`, in its module or below it."""
    module = import_module(name.rpartition(".")[0].replace("ag.", "autograd_lite."))
    files = [Path(str(module.__file__))]
    files += sorted(files[0].parent.glob("*.py")) if files[0].name == "__init__.py" else []
    for file in files:
        body = ast.parse(file.read_text(encoding="utf-8")).body
        for line, after in pairwise(body):
            targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
            assigned = any(isinstance(x, ast.Name) and x.id == name.rpartition(".")[2] for x in targets)
            if assigned and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                return inspect.cleandoc(str(after.value.value))
    raise ValueError(f"{name} has no docstring below its assignment")


def about(name: str, thing: Any) -> str:
    """The first line of what there is to say of a name."""
    return (inspect.getdoc(thing) or "" if callable(thing) else constant(name)).partition("\n")[0]


def directive(name: str, thing: Any, convert: Converter) -> list[str]:
    """What makes autodoc write the entry of a name."""
    path = "::".join(name.rsplit(".", 1))
    if not callable(thing):
        return [f".. py:data:: {name}", "", *(f"   {line}" for line in convert(constant(name).split("\n")))]
    if not inspect.isclass(thing):
        return [f".. autofunction:: {path}"]
    lines = [f".. autoclass:: {path}"]
    lines.append(f"   :members: {', '.join(MEMBERS.get(name, '').split())}".rstrip())
    if name in MEMBERS:
        lines.append("   :inherited-members:")
    if thing is ag.Value:
        lines.append(f"   :exclude-members: {', '.join(METHODS)}")
    return lines


def pages() -> dict[str, str]:
    """The text of each page by its name, and of the index."""
    entries: dict[str, list[tuple[str, Any]]] = {key: [] for key in PAGES}
    first_name: dict[int, str] = {}
    for key, name, thing in public_names():
        entries[key].append((name, thing))
        if callable(thing) and (
            id(thing) not in first_name or (name.endswith(f".{thing.__name__}") and not name.startswith("ag.nn."))
        ):
            first_name[id(thing)] = name
    convert = Converter([name for listed in entries.values() for name, _ in listed])
    texts = {}
    for key, page in PAGES.items():
        lines = [
            page.title,
            "=" * len(page.title),
            "",
            page.intro,
            "",
            ".. list-table::",
            "   :class: names",
            "   :widths: auto",
            "",
        ]
        for name, thing in entries[key]:
            first = another(name, thing, first_name)
            said = f"another name of `{first}`" if first else about(name, thing)
            lines += [f"   * - :py:obj:`{name}`", f"     - {convert.inline(said)}"]
        for name, thing in entries[key]:
            if first := another(name, thing, first_name):
                kind = "class" if inspect.isclass(thing) else "function"
                lines += ["", f".. py:{kind}:: {name}", "", f"   Another name of :py:obj:`{first}`."]
            else:
                lines += ["", *directive(name, thing, convert)]
        texts[key] = "\n".join(lines) + "\n"
    title = "API reference"
    lines = [title, "=" * len(title), "", "Every public name, with an example that a test runs. ``ag`` is", ""]
    lines += [".. code-block:: python", "", "   import autograd_lite as ag", "", ".. toctree::", ""]
    texts["index"] = "\n".join([*lines, *(f"   {key}" for key in PAGES)]) + "\n"
    return texts


def another(name: str, thing: Any, first_name: dict[int, str]) -> str | None:
    """The name under which this object is described, if that is another one."""
    first = first_name.get(id(thing), name)
    return first if first != name else None
