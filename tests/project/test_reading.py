"""Numbers leave Values through engine/reading.py and the properties of Value alone, so that a trace sees them."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "autograd_lite"

NUMBERS = {"_f", "_grad", "_da", "_db", "_local_grads", "data_of"}
"""What holds a number of a node, and what reads it without a report."""

INSIDE = {"engine", "folding", "micrograd"}
"""Where the nodes, and the programs made of them, are at home; micrograd has a class of nodes of its own."""

ALLOWED = {
    # what is handed to `record` stays in the graph
    "nn/layers.py": {"_net_input", "__call__", "trace", "as_example"},
    # the walks themselves: they report what they start from
    "derivatives/forward.py": {"push_forward", "linear_steps", "_careful_tangents", "tangent_graph"},
    "derivatives/reverse.py": {"local_gradients", "_finite", "lasting"},
    # only whether there is one; what is written, not read
    "nn/trace.py": {"_backward"},
    "training/compiled.py": {"write_back"},
    "training/whole_batch.py": {"epoch"},
}
"""The functions elsewhere that may."""

FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in INSIDE]


def reads(tree, function=""):
    """(function, attribute) of every read of a number."""
    for node in ast.iter_child_nodes(tree):
        here = node.name if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else function
        if isinstance(node, ast.Attribute) and node.attr in NUMBERS:
            yield here, node.attr
        if isinstance(node, ast.Constant) and node.value in NUMBERS:  # getattr(x, "_f"), attrgetter("_f")
            yield here, node.value
        if isinstance(node, ast.alias) and node.name in NUMBERS | {"gradient_of"}:
            yield here, node.name
        yield from reads(node, here)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_numbers_are_read_through_the_gate(path):
    name = path.relative_to(PACKAGE).as_posix()
    found = {function for function, _ in reads(ast.parse(path.read_text()))}
    assert found <= ALLOWED.get(name, set()), f"{name}: use engine/reading.py in {sorted(found)}"
    assert ALLOWED.get(name, set()) <= found, f"{name}: what is not needed any more leaves ALLOWED"


def test_the_search_finds_reads():
    code = "def f(x):\n    return x._f + getattr(x, '_grad')\nfrom a import data_of\n"
    assert set(reads(ast.parse(code))) == {("f", "_f"), ("f", "_grad"), ("", "data_of")}
