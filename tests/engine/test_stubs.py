"""What type checkers see agrees with what there is: the committed stub is that of the table."""

import ast
import importlib
import inspect
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import autograd_lite as ag
from tests.engine import typed_program
from tools import make_stubs


def test_the_stub_is_that_of_the_table():
    assert make_stubs.PATH.read_text(encoding="utf-8") == make_stubs.stub(), "run: python -m tools.make_stubs"
    assert make_stubs.NAMES.read_text(encoding="utf-8") == make_stubs.names(), "run: python -m tools.make_stubs"
    assert make_stubs.ARGUMENTS.read_text(encoding="utf-8") == make_stubs.arguments(), "run: python -m tools.make_stubs"


def test_every_function_and_method_stands_in_the_stub_with_its_parameters():
    tree = ast.parse(make_stubs.PATH.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    aliases = {node.targets[0].id: node.value.id for node in tree.body if isinstance(node, ast.Assign)}
    assert aliases == ag.engine.functions.ALIASES
    assert functions.keys() | aliases.keys() == {*ag.engine.functions.__all__, "primitive"}
    for name, node in functions.items():
        assert [a.arg for a in [*node.args.args, *node.args.kwonlyargs]] == list(
            inspect.signature(getattr(ag, name)).parameters
        ), name
    methods = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    methods = {node.name: node for node in methods if isinstance(node, ast.FunctionDef)}
    operators = {f"__{r}{name}__" for name in ag.engine.functions.OPERATORS.values() for r in ("", "r")}
    operators |= {"__divmod__", "__rdivmod__"}
    assert set(methods) == {*ag.engine.functions.METHODS, *operators}
    for name, node in methods.items():
        assert len(node.args.posonlyargs + node.args.args) == len(
            inspect.signature(getattr(ag.Value, name)).parameters
        ), name


def test_the_typed_program_runs():
    slope, loss = typed_program.program()
    assert math.isfinite(slope)
    assert math.isfinite(loss)


@pytest.mark.parametrize("name", ["", *ag._MODULES, "micrograd", "training", "sklearn"])
def test_dir_shows_the_public_names_and_nothing_else(name):
    if name in ("plot", "sklearn"):
        pytest.importorskip("matplotlib" if name == "plot" else "sklearn")
    module = importlib.import_module(f"autograd_lite.{name}".rstrip("."))
    assert dir(module) == sorted(module.__all__)
    assert all(hasattr(module, x) for x in dir(module))


def test_a_value_shows_its_methods_to_completion():
    jedi = pytest.importorskip("jedi")
    for line in ("ag.Value(2.0)", "ag.Value(2.0) * 2", "ag.exp(ag.Value(2.0))", "ag.Parameter(2.0).tanh()"):
        found = jedi.Script(f"import autograd_lite as ag\nv = {line}\nv.").complete()
        shown = {x.name for x in found if x.name[0] != "_"} - {"frozen"}
        assert shown == {x for x in dir(ag.Value) if x[0] != "_"}, line


def pyright(*arguments):
    """What Pyright prints; it need not be on the PATH where it stands beside Python."""
    found = shutil.which("pyright", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        pytest.skip("Pyright is not installed: pip install pyright")
    root = Path(ag.__file__).parents[1]
    command = [found, "--pythonpath", sys.executable, *arguments]
    env = os.environ | {"PYTHONPATH": str(root)}  # --verifytypes does not look where it runs
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=env, timeout=300)
    return done.stdout + done.stderr


def test_pyright_passes_the_typed_program():
    """A second type checker, the one of VS Code; pyproject.toml says which program, and that it is strict."""
    found = pyright()
    assert "0 errors, 0 warnings" in found, found


@pytest.mark.slow
def test_pyright_knows_the_types_of_what_the_package_exports():
    """Of all of it without what NumPy and scikit-learn leave open; 99.8% when this was written."""
    found = pyright("--verifytypes", "autograd_lite", "--ignoreexternal")
    score = re.search(r"Type completeness score: ([\d.]+)%", found)
    assert score, found
    assert float(score[1]) >= 95.0, found[-10000:]
