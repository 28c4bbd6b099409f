"""Functions of the library in other languages: the small part of Python that they are written in, translated.

A function takes and gives floats. It has assignments, if, while, for over a range or a table of numbers, return,
arithmetic, comparisons, and calls of functions like it. Python's own text is the same without annotations.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from autograd_lite.engine import kernels
from autograd_lite.folding.export import base, library

Function = ast.FunctionDef


RENAMED = {"abs": "fabs", "_high": "high_bits"}


class Names(ast.NodeTransformer):
    """One name for each function and constant, whatever the file that it is written in calls it."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """math.exp is exp."""
        return ast.Name(node.attr, ast.Load())

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """FLOATS["exp"] is exp."""
        if isinstance(node.value, ast.Name) and node.value.id == "FLOATS":
            assert isinstance(node.slice, ast.Constant)
            return ast.Name(str(node.slice.value), ast.Load())
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """_gauss is gauss, abs is fabs."""
        return ast.Name(RENAMED.get(node.id, node.id.lstrip("_")), node.ctx)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """value: float = x is value = x; exp: Callable = FLOATS["exp"] is nothing."""
        self.generic_visit(node)
        assert isinstance(node.target, ast.Name)
        assert node.value is not None
        if isinstance(node.value, ast.Name) and node.value.id == node.target.id:
            return None
        return ast.Assign([node.target], node.value, lineno=node.lineno)


def _parsed(function: Callable[..., Any]) -> Function:
    (found,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(found, ast.FunctionDef)
    return found


@cache
def function(name: str) -> Function:
    """A function of the library, in its names."""
    found: Function = Names().visit(_parsed(library.KERNELS.get(name) or getattr(library, name)))
    found.name, found.returns = name, None
    for argument in found.args.args:
        argument.annotation = None
    return ast.fix_missing_locations(found)


def constant(name: str) -> Any:
    """A number, or a table of them, that functions of the library name."""
    return getattr(library if hasattr(library, name) else kernels, name)


def is_function(name: str) -> bool:
    """Whether the library has a function of this name."""
    return name in library.KERNELS or name in WRITTEN


WRITTEN = {name for name, x in vars(library).items() if inspect.isfunction(x) and x.__module__ == library.__name__}


def names_in(node: ast.AST) -> Iterator[str]:
    """The names that are read in a function and are not its own variables, in order."""
    own = {x.arg for x in ast.walk(node) if isinstance(x, ast.arg)}
    own |= {x.id for x in ast.walk(node) if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store)}
    for x in ast.walk(node):
        if isinstance(x, ast.Name) and x.id not in own:
            yield x.id


def needed(names: Iterator[str] | list[str], native: set[str]) -> tuple[list[str], list[str]]:
    """The functions of the library that these need, each after those that it calls, and the constants in them.

    Args:
        names: of functions.
        native: what the language has itself.
    """
    functions: dict[str, None] = {}
    constants: dict[str, None] = {}
    stack = [(name, False) for name in reversed(list(names))]
    open_: set[str] = set()
    while stack:
        name, done = stack.pop()
        if done:
            functions[name] = None
        elif name in native or name in functions or name in open_:
            continue
        elif is_function(name):
            open_.add(name)
            stack.append((name, True))
            stack += [(x, False) for x in names_in(function(name))]
        elif name.isupper() or name == "pi" or name[0].isupper():
            constants[name] = None
    return list(functions), list(constants)


def bare(text: str) -> str:
    """An expression without the parentheses around all of it."""
    if not text.startswith("("):
        return text
    depth = 0
    for k, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if not depth:
            return text[1:-1] if k == len(text) - 1 else text
    return text


# --- Python ---------------------------------------------------------------------------------------------


def python_text(name: str) -> str:
    """A function of the library, or of base.py, as Python without annotations."""
    if is_function(name):
        return ast.unparse(function(name))
    found = _parsed(getattr(base, name))
    found.returns = None
    for argument in found.args.args:
        argument.annotation = None
    return ast.unparse(found)


# --- C and JavaScript -------------------------------------------------------------------------------------


class Curly:
    """Writes a function in a language with braces; C and JavaScript say what differs.

    Args:
        head: how a function begins, of a name and the names of its arguments.
        declare: how variables are declared.
        zeros: how a list of this many zeros is declared.
        integer: how a counter is declared.
        names: what functions are called, where it is another name: a text with {} for the arguments, or a name.
        close: what ends a function.
    """

    def __init__(self, head: Callable[[str, list[str]], str], declare: str, zeros: str, integer: str, whole: str,
                 names: dict[str, str], length: Callable[[str], str]) -> None:  # fmt: skip
        self.head, self.declare, self.zeros, self.integer = head, declare, zeros, integer
        self.whole, self.names, self.length = whole, names, length

    def function(self, name: str) -> str:
        """The text of a function of the library."""
        node = function(name)
        arguments = [x.arg for x in node.args.args]
        body = node.body
        lines = []
        if isinstance(body[0], ast.Expr):
            text = ast.get_docstring(node) or ""
            lines.append(f"/* {' '.join(text.partition(chr(10) + chr(10))[0].split())} */")
            body = body[1:]
        lines.append(f"{self.head(name, arguments)} {{")
        self.integers: set[str] = set()
        own = sorted(set(self._variables(body)) - set(arguments))
        if own:
            lines.append(f"    {self.declare} {', '.join(own)};")
        lines += [f"    {line}" for statement in body for line in self.statement(statement)]
        return "\n".join([*lines, "}"])

    def _variables(self, body: list[ast.stmt]) -> Iterator[str]:
        for statement in body:
            for x in ast.walk(statement):
                if isinstance(x, ast.For) and isinstance(x.iter, ast.Call):
                    assert isinstance(x.target, ast.Name)
                    self.integers.add(x.target.id)
                if isinstance(x, ast.Assign) and isinstance(x.value, ast.BinOp) and isinstance(x.value.left, ast.List):
                    self.integers |= {t.id for t in x.targets if isinstance(t, ast.Name)}
                if isinstance(x, ast.Assign) and isinstance(x.value, ast.Call) and _called(x.value) == "int":
                    self.integers |= {t.id for t in x.targets if isinstance(t, ast.Name)}
        for statement in body:
            for x in ast.walk(statement):
                if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store) and x.id not in self.integers:
                    yield x.id

    def statement(self, node: ast.stmt) -> Iterator[str]:
        """The lines of a statement."""
        match node:
            case ast.Pass() | ast.Expr():
                return
            case ast.Return(value=x):
                assert x is not None
                yield f"return {bare(self.text(x))};"
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                for target, value in zip(targets, values, strict=True):
                    yield f"{self.text(target)} = {bare(self.text(value))};"
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.BinOp(left=ast.List(), right=count)):
                yield self.zeros.format(name=name, count=self.text(count))
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="int"))):
                yield f"{self.integer} {name} = {self.text(node.value)};"
            case ast.Assign(targets=targets, value=x):
                yield f"{' = '.join(map(self.text, targets))} = {bare(self.text(x))};"
            case ast.If(test=test, body=body, orelse=orelse):
                yield f"if ({bare(self.text(test))}) {{"
                yield from self.block(body)
                if orelse:
                    yield "} else {"
                    yield from self.block(orelse)
                yield "}"
            case ast.While(test=test, body=body):
                yield f"while ({bare(self.text(test))}) {{"
                yield from self.block(body)
                yield "}"
            case ast.For(target=ast.Name(id=name), iter=ast.Call(args=bounds), body=body):
                given = list(map(self.text, bounds))
                start, stop, step = [*(["0"] if len(given) == 1 else []), *given, "1"][:3]
                sign = "<" if step == "1" else ">"
                yield f"for ({self.integer} {name} = {start}; {name} {sign} {stop}; {name} += {step}) {{"
                yield from self.block(body)
                yield "}"
            case ast.For(target=ast.Name(id=name), iter=ast.Name(id=table), body=body):
                yield f"for ({self.integer} i = 0; i < {self.length(table)}; i++) {{"
                yield f"    {name} = {table}[i];"
                yield from self.block(body)
                yield "}"
            case _:
                raise TypeError(f"no translation: {ast.unparse(node)}")

    def block(self, body: list[ast.stmt]) -> Iterator[str]:
        """Statements, indented."""
        for statement in body:
            for line in self.statement(statement):
                yield f"    {line}"

    def text(self, node: ast.expr) -> str:
        """An expression, in parentheses where it has operators."""
        match node:
            case ast.Constant(value=x):
                return repr(x)
            case ast.Name(id=name):
                return self.names.get(name, name)
            case ast.UnaryOp(op=ast.USub(), operand=x):
                return f"(-{self.text(x)})"
            case ast.UnaryOp(op=ast.Not(), operand=ast.Name(id=name)):
                return f"({name} == 0.0)"
            case ast.UnaryOp(op=ast.Not(), operand=x):
                return f"!{self.text(x)}"
            case ast.BinOp(left=a, op=op, right=b):
                return f"({self.text(a)} {_SIGNS[type(op)]} {self.text(b)})"
            case ast.BoolOp(op=op, values=values):
                return f"({(' && ' if isinstance(op, ast.And) else ' || ').join(map(self.text, values))})"
            case ast.Compare(left=left, ops=ops, comparators=rest):
                sides = [left, *rest]
                texts = [
                    f"({self.text(a)} {_SIGNS[type(op)]} {self.text(b)})"
                    for a, op, b in zip(sides, ops, rest, strict=False)
                ]
                return texts[0] if len(texts) == 1 else f"({' && '.join(texts)})"
            case ast.IfExp(test=test, body=yes, orelse=no):
                return f"({self.text(test)} ? {self.text(yes)} : {self.text(no)})"
            case ast.Subscript(value=x, slice=i):
                return f"{self.text(x)}[{self.text(i)}]"
            case ast.Call(args=args):
                return self.call(_called(node), [self.text(x) for x in args])
        raise TypeError(f"no translation: {ast.unparse(node)}")

    def call(self, name: str, args: list[str]) -> str:
        """A call."""
        if name == "int":
            return self.whole.format(*args)
        made = self.names.get(name, name)
        return made.format(*args) if "{" in made else f"{made}({', '.join(map(bare, args))})"


def _called(node: ast.Call) -> str:
    assert isinstance(node.func, ast.Name)
    return node.func.id


_SIGNS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=",
    ast.Eq: "==", ast.NotEq: "!=", ast.Mod: "%",
}  # fmt: skip
