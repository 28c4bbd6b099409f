"""What type checkers see agrees with what there is: the committed stub is that of the table."""

import ast
import inspect
import math

import autograd_lite as ag
from tests.engine import typed_program
from tools import make_stubs


def test_the_stub_is_that_of_the_table():
    assert make_stubs.PATH.read_text(encoding="utf-8") == make_stubs.stub(), "run: python -m tools.make_stubs"
    assert make_stubs.NAMES.read_text(encoding="utf-8") == make_stubs.names(), "run: python -m tools.make_stubs"


def test_every_function_and_method_stands_in_the_stub_with_its_parameters():
    tree = ast.parse(make_stubs.PATH.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert set(functions) == {*ag.engine.functions.__all__, "primitive"}
    for name, node in functions.items():
        assert [a.arg for a in [*node.args.args, *node.args.kwonlyargs]] == list(
            inspect.signature(getattr(ag, name)).parameters
        ), name
    methods = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    methods = {node.name: node for node in methods if isinstance(node, ast.FunctionDef)}
    assert set(methods) == {name for name in ag.engine.functions.METHODS if name[0] != "_"}
    for name, node in methods.items():
        assert len(node.args.args) == len(inspect.signature(getattr(ag.Value, name)).parameters), name


def test_the_typed_program_runs():
    slope, loss = typed_program.program()
    assert math.isfinite(slope)
    assert math.isfinite(loss)
