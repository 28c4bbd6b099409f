"""Writes what type checkers and editors read: engine/signatures.pyi from the table, __init__.pyi from the public names,
names.py from the tables of names that arguments take.

    python -m tools.make_stubs

The public functions of the table, overloaded (numbers give a number, a Value gives a Value), and the
operators and methods of Value that are made from it. tests/engine/test_stubs.py holds the file to this.
"""

import argparse
import json
from pathlib import Path

import autograd_lite as ag
from autograd_lite.engine import functions
from autograd_lite.engine.rules import TABLE, Row
from autograd_lite.folding.backends import AUTO, BACKENDS
from autograd_lite.losses import LOSSES
from autograd_lite.nn.activations import activation_names
from autograd_lite.nn.initializers import INITIALIZERS
from autograd_lite.optim import RULES

PATH = Path(functions.__file__).with_name("signatures.pyi")
NAMES = Path(ag.__file__).with_suffix(".pyi")
ARGUMENTS = Path(ag.__file__).with_name("names.py")

HEAD = '''\
"""What the table gives `ag` and Value, for type checkers and editors: there is no such module at run time.

Written by tools/make_stubs.py from the table: change that, or the table, and run it again.
"""

from collections.abc import Callable, Iterable
from typing import Any, overload

from autograd_lite.engine.value import Value
'''

REDUCTION = '''\
@overload
def {name}(xs: Iterable[float]) -> {number}:  # type: ignore[overload-overlap]
    """{about}"""

@overload
def {name}(xs: Iterable[Value | float]) -> {value}: ...
'''

DOT = '''\
@overload
def dot(xs: Iterable[float], ys: Iterable[float], bias: float | None = None) -> float:  # type: ignore[overload-overlap]
    """{about}"""

@overload
def dot(xs: Iterable[Value | float], ys: Iterable[Value | float], bias: Value | float | None = None) -> Value: ...
def primitive(
    name: str,
    forward: str | Callable[..., float],
    partials: str | Callable[..., Any],
    symbol: str | None = None,
    *,
    infix: bool | None = None,
    commutes: bool = False,
    branch: bool = False,
    zero_gradient: bool = False,
    kinks: bool = True,
    saturates: bool = False,
    grows: bool = False,
    logarithm: bool = False,
    linear: bool = False,
    rectifies: bool = False,
) -> Callable[..., Any]:
    """{primitive}"""
'''


def first_line(name: str) -> str:
    return (getattr(ag, name).__doc__ or "").splitlines()[0]


def signature(row: Row, kinds: list[str]) -> str:
    """The parameters of a function whose operands are of these kinds."""
    required = len(row.operands) - len(row.defaults)
    given = ("int" if x == row.setting else kind for x, kind in zip(row.operands, kinds, strict=True))
    parts = [f"{x}: {kind}" for x, kind in zip(row.operands, given, strict=True)]
    for i, default in enumerate(row.defaults, start=required):
        if kinds[i] != "Value":  # a default is a number
            parts[i] += f" = {int(default) if row.operands[i] == row.setting else default!r}"
    return ", ".join(parts)


def function(row: Row) -> str:
    """Numbers give a number; a Value at some place, with numbers before it, gives a Value."""
    n = len(row.operands)
    lines = [f'@overload\ndef {row.name}({signature(row, ["float"] * n)}) -> float:\n    """{row.about}"""\n']
    for i in range(n):
        if row.operands[i] == row.setting:
            continue
        kinds = ["float"] * i + ["Value"] + ["Value | float"] * (n - i - 1)
        lines.append(f"@overload\ndef {row.name}({signature(row, kinds)}) -> Value: ...")
    return "\n".join(lines) + "\n"


def method(name: str) -> str:
    row = TABLE[functions.METHODS[name]]
    rest = signature(row, ["float"] + ["Value | float"] * (len(row.operands) - 1)).partition(", ")[2]
    parameters = ", ".join(["self", *([rest] if rest else [])])
    return f'    def {name}({parameters}) -> Value:\n        """{row.about}"""\n\n'


def operators() -> str:
    """The operators as methods: Pyright looks for them on the class, and takes no attribute that holds a function."""
    names = [f"__{prefix}{python}__" for python in functions.OPERATORS.values() for prefix in ("", "r")]
    lines = [f"    def {name}(self, other: Any, /) -> Value: ...\n" for name in names]
    lines += [
        f"    def {name}(self, other: Any, /) -> tuple[Value, Value]: ...\n" for name in ("__divmod__", "__rdivmod__")
    ]
    unary = sorted(name for name in functions.METHODS if name.startswith("_") and name != "__round__")
    lines += [f"    def {name}(self) -> Value: ...\n" for name in unary]
    return "".join([*lines, "    def __round__(self, digits: int = 0, /) -> Value: ...\n"])


def stub() -> str:
    names = sorted([*functions.__all__, "primitive"])
    parts = [HEAD, "\n"]
    for name in names:
        if name in functions.ALIASES:
            parts.append(f"\n{name} = {functions.ALIASES[name]}\n\n")
        elif name in functions.FUNCTIONS:
            parts.append(function(TABLE[name]))
        elif name not in ("dot", "primitive"):
            as_list = name in ("softmax", "log_softmax")
            number, value = ("list[float]", "list[Value]") if as_list else ("float", "Value")
            parts.append(REDUCTION.format(name=name, number=number, value=value, about=first_line(name)))
    parts.append(DOT.format(about=first_line("dot"), primitive=first_line("primitive")))
    parts.append('\nclass Methods:\n    """The methods of Value that are made from the table."""\n\n')
    parts.append(operators())
    parts += [method(name) for name in sorted(functions.METHODS) if not name.startswith("_")]
    return "".join(parts).rstrip() + "\n"


def names() -> str:
    """The public names, each from its home (`X as X` makes a name public for type checkers)."""
    lines = [
        '"""The public names of the package, for type checkers: written by tools/make_stubs.py from `_HOME`."""',
        "",
    ]
    lines += [f"from autograd_lite import {name} as {name}" for name in ag._MODULES]
    for module, given in ag._HOME.items():
        if module != "engine.functions":
            module = "engine.signatures" if module == "engine.custom" else module
            lines += [f"from autograd_lite.{module} import {name} as {name}" for name in given.split()]
    lines += ["from autograd_lite.engine.signatures import *", "", "__version__: str"]
    return "\n".join(lines) + "\n"


LITERALS = '''\
"""The names that arguments take, as types, so that an editor offers them.

Written by tools/make_stubs.py from the tables of losses, optimizers and so on: change those, and run it again.
"""

from typing import Literal, Protocol


class Text(Protocol):
    """Any str. In a union `str` itself would swallow the names beside it, and an editor would offer none."""

    def isidentifier(self) -> bool:
        """As of a str."""
        ...


'''


def arguments() -> str:
    """names.py: a Literal for each table; most arguments take the names in other forms too ("ReLU"), so any `Text`."""
    tables = {
        "LossName": LOSSES,
        "OptimizerName": RULES,
        "ActivationName": [*(x for x in activation_names() if TABLE[x].builtin), "linear", "identity"],
        "InitializerName": INITIALIZERS,
        "BackendName": [AUTO, *BACKENDS],
    }
    parts = [LITERALS]
    for name, table in tables.items():
        line = f"{name} = Literal[{', '.join(json.dumps(x) for x in table)}]"
        if len(line) > 120:
            indented = [f"    {json.dumps(x)},\n" for x in table]
            line = f"{name} = Literal[\n{''.join(indented)}]"
        parts.append(f"{line}\n")
    return "".join(parts)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.make_stubs", description=__doc__.partition("\n")[0]).parse_args()
    PATH.write_text(stub(), encoding="utf-8")
    NAMES.write_text(names(), encoding="utf-8")
    ARGUMENTS.write_text(arguments(), encoding="utf-8")
