"""What each module may import, and what importing the package must not load."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "autograd_lite"

# A module, or a folder of them, and what of the package it may import; a folder may always import itself.
# Modules of the package that are not here fail: add a line.
COLUMNS = {
    "engine": "",
    "history": "",
    "names": "",
    "atomic_write": "engine",
    "data": "engine",
    "losses": "engine",
    "linalg": "engine",
    "arrays": "engine linalg",
    "derivatives": "engine",
    "optim": "engine",
    "folding": "engine arrays derivatives names",  # a compiled function among Values has derivatives of every order
    "nn": "engine data history names",
    "micrograd": "engine",
    "insight": "engine data derivatives losses names",  # a model is diagnosed with its data and its loss
    "pictures": "engine atomic_write derivatives folding insight nn",  # explore runs a program of gradients
    "files": "engine atomic_write nn optim",
    "plot": "engine data optim pictures",
    "training": "engine atomic_write data derivatives files folding history losses names nn optim",
    "sklearn": "engine data folding history losses names nn optim training",
    "version_report": "folding",
    "__init__": "*",
    "__main__": "*",
}
LATE = {"history": {"plot"}, "derivatives": {"folding"}}
"""The imports upwards, inside a function: a History draws its losses by plot.py, `compiled=True` makes a program."""
BARE = {"engine"}
"""The engine needs nothing but Python's standard library."""
ORDER = {
    "engine": "checks lowering rules graph collector atomic modes kernels scopes notation primitives backward copying "
    "value reading trees functions custom lookup",
}
"""The order in which the files of a folder are read: each imports only files that stand before it."""

FILES = sorted(PACKAGE.rglob("*.py"))


def column(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path):
    """(module, whether at the top level) of every import of a file."""
    tree = ast.parse(path.read_text())
    top = set(map(id, tree.body)) | {
        id(inner) for node in tree.body if isinstance(node, (ast.If, ast.Try)) for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            if node.module == "autograd_lite":
                yield from ((f"autograd_lite.{alias.name}", id(node) in top) for alias in node.names)
            else:
                yield node.module, id(node) in top


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_keeps_to_its_column(path):
    here = column(path)
    assert here in COLUMNS, f"{here} has no line in COLUMNS"
    allowed = {here, *COLUMNS[here].split()}
    for module, at_top in imports(path):
        root, *rest = module.split(".")
        if root == "autograd_lite":
            name = rest[0] if rest else "__init__"
            late = set() if at_top else LATE.get(here, set())
            assert COLUMNS[here] == "*" or name in allowed | late, f"{here} imports {module}"
        elif here in BARE:
            assert root in sys.stdlib_module_names, f"{here} imports {module}"


@pytest.mark.parametrize("folder", ORDER)
def test_the_files_of_a_folder_are_read_in_order(folder):
    order = ORDER[folder].split()
    assert sorted(order) == sorted(path.stem for path in (PACKAGE / folder).glob("*.py") if path.stem != "__init__")
    for place, name in enumerate(order):
        for module, _ in imports(PACKAGE / folder / f"{name}.py"):
            if module.startswith(f"autograd_lite.{folder}.") and not module.endswith(".signatures"):  # a stub alone
                assert module.split(".")[2] in order[:place], f"{folder}/{name}.py imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_lives_there(path):
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text
    assert text.splitlines()[0].endswith((".", ":"))


HEAVY = ["numpy", "matplotlib", "graphviz", "pygraphviz", "sklearn", "scipy", "tqdm", "decimal", "inspect", "llvmlite"]

USE = """
import sys
import autograd_lite as ag
assert not [name for name in {heavy} if name in sys.modules], "import"
x = ag.Value(2.0, name="x")
y = ag.tanh(x) ** 2 / ag.sum([x, 1])
y.backward()
ag.gradients(ag.gradients(y, x, create_graph=True), x)
assert not [name for name in {heavy} if name in sys.modules], "use"
"""


def test_the_engine_loads_nothing_heavy():
    """Neither by being imported nor by being used: NumPy, matplotlib and graphviz wait until they are needed."""
    program = USE.format(heavy=HEAVY)
    plain = {key: x for key, x in os.environ.items() if not key.startswith("COVERAGE")}  # whose start loads packages
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=plain)
    assert done.returncode == 0, done.stderr


def test_no_module_has_the_name_of_a_public_function():
    """`ag.draw` would turn into the module as soon as something imports it."""
    import autograd_lite as ag

    for name in {column(path) for path in FILES} - {"__init__", "__main__"}:
        thing = getattr(ag, name, None)
        assert not callable(thing), name


def test_python_without_its_global_lock_is_refused():
    """engine/atomic.py rests on it: gradients would be some of one thread and some of another."""
    program = "import sys; sys._is_gil_enabled = lambda: False; import autograd_lite"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode
    assert "python -X gil=1" in done.stderr.splitlines()[-1]
