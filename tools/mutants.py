"""Mutation testing: change one thing of a file, run its tests, and see whether they notice; one mutant at a time.

    python -m tools.mutants engine/graph.py engine/value.py       # every mutant of these files of the package
    python -m tools.mutants optim --sample 200 --seed 1           # a directory: all its files as one
    python -m tools.mutants engine/value.py --only __reduce_ex__  # those of one function, or line

Existing runners do not reach what matters here. mutmut 3 changes the bodies of
undecorated functions: neither the table of primitives, whose rules are text, nor a property, nor a template of
generated code. cosmic-ray leaves strings alone too, and starts a process and imports everything for each mutant. Here
the rules are parsed and changed like any other expression, and a mutant costs a fork of a process that has imported
NumPy, mpmath and pytest already.

What changes: an arithmetic operator, a comparison, `and` and `or`, a condition negated, a number, a truth value, a
string that is not a message, a name for a similar one (min for max, left for right), `return None`, a statement
left out, `break` for `continue`; in a rule a function for a similar one, an operand for another, and a `where` for
either side.

What does not, since no test could or should notice: text for people (docstrings, messages, the `about` and `note`
of a row, `repr`), annotations, `assert` (for type checkers), `strict=` of zip (a guard behind checks), the promises
that the tests themselves read (`ulp`, `floor`, `near`, `domain` of a row), and numbers that only affect speed (SPEED).
"""

import argparse
import ast
import random
import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from tqdm import tqdm

from tools.trial import PACKAGE, Trial, files_of

TESTS = {
    "engine/primitives.py": "edge_cases branches, golden values transforms numpy losses, table, fold",
    "engine/kernels.py": "edge_cases branches, golden values transforms numpy losses, table, fold",
    "engine/rules.py": "edge_cases golden, faults_graph transforms files fold table",
    "engine/graph.py": "golden micrograd edge_cases, faults_graph modes transforms insight",
    "engine/value.py": "values golden micrograd numpy, edge_cases faults_graph modes nn compile insight",
    "engine/backward.py": "golden values edge_cases, micrograd faults_graph transforms fold diagnosis",
    "engine/functions.py": "values golden edge_cases, micrograd numpy faults_graph nn stubs",
    "engine": "values golden edge_cases, micrograd faults_graph modes numpy transforms nn, table compile insight",
    "derivatives": "golden values edge_cases, micrograd faults_graph transforms fold diagnosis",
    "nn": "nn golden, training files",
    "optim": "optim, golden training files",
    "folding": "fold_classes fold_parts listing, fold_arrays, fold compile fold_misuse, "
    "fold_limits rebinding program_faults fit_compiled, faults_programs program_pictures",
}
"""The tests of a file or of all files of a directory, those that fail soonest first, in stages separated by commas.
What has no entry is tested with the whole suite."""

SPEED = (
    "CHUNK_BYTES",
    "LEAST_ROWS",
    "SHORT",
    "MOST_AXES",
    "MOST_SHAPES",
    "WIDE",
    "most",
    "maxsize",
    "maxlen",
    "indent",
)
"""Names and keywords whose numbers affect how long something takes, and nothing else."""

UNTOUCHED_FUNCTIONS = ("__repr__", "__str__", "_shown", "shown", "shown_activation", "shown_ref", "describe",
                       "documentation", "listing")  # fmt: skip
"""Functions whose result is text for people."""

REFUSING = ("as_float", "to_float", "setting", "whole", "as_values", "checked_betas", "_clipping_and_decay", "_decay",
            "above_zero", "_same_keys", "notify_read", "_checked_leaves", "program._refuse_several")  # fmt: skip
"""Functions whose string arguments go into their messages."""

UNTOUCHED_KEYWORDS = ("ulp", "floor", "near", "domain", "note", "strict", *SPEED)

ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift, ast.MatMult: ast.Mult,
}  # fmt: skip
COMPARISON: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
IN_RULES: dict[type[ast.cmpop], type[ast.cmpop]] = {**COMPARISON, ast.Eq: ast.GtE}  # the language has no !=


def _both_ways(*pairs: tuple[str, str]) -> dict[str, str]:
    return {**dict(pairs), **{b: a for a, b in pairs}}


LIKE = _both_ways(
    ("min", "max"), ("any", "all"), ("left", "right"), ("maximum", "minimum"), ("ones", "zeros"), ("add", "subtract"),
    ("first", "last"), ("low", "high"), ("start", "stop"), ("argmin", "argmax"), ("lefts", "rights"),
    ("rows", "columns"),
) | {"sorted": "list", "reversed": "list", "multiply": "add", "cumsum": "sum", "abs": "float",
     "copysign": "fmod"}  # fmt: skip
"""A name and a similar one, in code."""

LIKE_IN_RULES = _both_ways(
    ("sin", "cos"), ("sinh", "cosh"), ("exp", "expm1"), ("log", "log1p"), ("asin", "acos"), ("tan", "tanh"),
    ("asinh", "acosh"), ("atan", "atanh"), ("log2", "log10"), ("sqrt", "cbrt"), ("erf", "erfc"), ("floor", "ceil"),
    ("greater", "greater_equal"), ("less", "less_equal"), ("maximum", "minimum"), ("max", "min"), ("LN2", "LN10"),
    ("TWO_OVER_SQRT_PI", "RSQRT_2PI"), ("sum", "prod"),
) | {"equal": "greater_equal", "sigmoid": "tanh", "abs": "sign", "sign": "abs", "inf": "nan", "nan": "inf",
     "hypot": "maximum", "mean": "sum", "norm": "max", "ndtr": "sigmoid"}  # fmt: skip
"""A name and a similar one, in a rule."""


class Mutant(NamedTuple):
    """One change.

    Args:
        file: of the package.
        line, scope: where, for the reader.
        before, after: what was there and what is, as text.
        parent, field, index: where in the syntax tree.
        new: what stands there instead.
    """

    file: str
    line: int
    scope: str
    before: str
    after: str
    parent: ast.AST
    field: str
    index: int | None
    new: Any

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.scope}: {_short(self.before)}  ->  {_short(self.after)}"

    def swap(self, new: Any) -> Any:
        """Put something in the place; gives what was there."""
        if self.index is None:
            old = getattr(self.parent, self.field)
            setattr(self.parent, self.field, new)
        else:
            found = getattr(self.parent, self.field)
            old, found[self.index] = found[self.index], new
        return old


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 110 else f"{line[:70]} ... {line[-35:]}"


# --- what may change -------------------------------------------------------------------------------------


class Finder:
    """The mutants of one module."""

    def __init__(self, file: str, tree: ast.Module) -> None:
        self.file, self.found, self.scope, self.line = file, [], "module", 0
        self.visit_body(tree, "body")

    def add(self, parent: ast.AST, field: str, index: int | None, new: Any, before: str = "", after: str = "") -> None:
        """Note a mutant: `new` in place of what stands at a place."""
        old = getattr(parent, field) if index is None else getattr(parent, field)[index]
        before = before or ast.unparse(old)
        after = after or ("(left out)" if isinstance(new, ast.Pass) else ast.unparse(ast.fix_missing_locations(new)))
        self.found.append(Mutant(self.file, self.line, self.scope, before, after, parent, field, index, new))

    # -- statements

    def visit_body(self, owner: ast.AST, field: str) -> None:
        """A list of statements."""
        for i, node in enumerate(getattr(owner, field)):
            self.line = node.lineno
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue  # a docstring
            self.statement(owner, field, i, node)

    def statement(self, owner: ast.AST, field: str, i: int, node: ast.stmt) -> None:
        """One statement: what may stand in its place, and what may change in it."""
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Assert, ast.Global, ast.Nonlocal, ast.Pass)):
            return
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            if node.name in UNTOUCHED_FUNCTIONS or any(
                ast.unparse(b).endswith("Protocol") for b in getattr(node, "bases", [])
            ):
                return
            before, self.scope = self.scope, node.name if self.scope == "module" else f"{self.scope}.{node.name}"
            if isinstance(node, ast.FunctionDef):
                for kind in ("defaults", "kw_defaults"):
                    for k, default in enumerate(getattr(node.args, kind)):
                        if default is not None:
                            self.expression(node.args, kind, k, default)
            self.visit_body(node, "body")
            self.scope = before
            return
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Raise):
            self.add(owner, field, i, ast.Pass(), before="raise", after="(left out)")
            return
        if isinstance(node, (ast.Break, ast.Continue)):
            other = ast.Continue() if isinstance(node, ast.Break) else ast.Break()
            self.add(owner, field, i, other)
            return
        if isinstance(node, ast.Expr) or (isinstance(node, (ast.Assign, ast.AugAssign)) and not _names(node)):
            self.add(owner, field, i, ast.Pass())
        if isinstance(node, ast.AugAssign):
            plain = ast.Assign([node.target], node.value, lineno=node.lineno)
            self.add(owner, field, i, plain)
            other = ARITHMETIC[type(node.op)]()
            self.add(owner, field, i, ast.AugAssign(node.target, other, node.value))
        if isinstance(node, ast.Return):
            if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None):
                return
            self.add(node, "value", None, ast.Constant(None), f"return {ast.unparse(node.value)}", "return None")
        if isinstance(node, ast.Assign) and any(
            ast.unparse(x) in (*SPEED, "__all__", "__slots__") for x in node.targets
        ):
            return
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        ):
            name, value = node.targets[0].id, node.value.value
            if isinstance(value, str) and name.isupper():
                changes = template_changes(value) if "\ndef {" in value else rule_changes(value) if "(" in value else ()
                for old, new, text in changes:
                    self.add(node, "value", None, ast.Constant(text), f"{name}: {old}", new)
                return
        for name, value in ast.iter_fields(node):
            if name in ("body", "orelse", "finalbody") and isinstance(value, list):
                self.visit_body(node, name)
            elif name == "handlers":
                for handler in value:
                    self.visit_body(handler, "body")
            elif name in ("targets", "annotation", "target", "type_comment"):
                continue
            else:
                self.field(node, name, value)

    # -- expressions

    def field(self, node: ast.AST, name: str, value: Any) -> None:
        """A field of a node that may hold expressions."""
        if isinstance(value, ast.expr):
            self.expression(node, name, None, value)
        elif isinstance(value, list):
            for i, x in enumerate(value):
                if isinstance(x, ast.expr):
                    self.expression(node, name, i, x)
                elif isinstance(x, (ast.keyword, ast.comprehension, ast.withitem)) and (
                    getattr(x, "arg", "") not in UNTOUCHED_KEYWORDS
                ):
                    self.parts(x)

    def parts(self, node: ast.AST) -> None:
        """All expressions in a node."""
        for name, value in ast.iter_fields(node):
            if name not in ("target", "annotation"):
                self.field(node, name, value)

    def expression(self, owner: ast.AST, field: str, i: int | None, node: ast.expr) -> None:
        """What may stand in place of an expression, and of those in it."""
        if isinstance(node, ast.JoinedStr):
            return  # text for people
        if _is_row(node):
            self.row(node)  # type: ignore[arg-type]
            return
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("TypeVar", "NamedTuple", "warnings.warn"):
            return
        opposite = isinstance(node, ast.UnaryOp) or (
            isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) not in ORDERED
        )
        if (field == "test" or (isinstance(owner, ast.comprehension) and field == "ifs")) and not opposite:
            self.add(owner, field, i, ast.UnaryOp(ast.Not(), node), after=f"not ({ast.unparse(node)})")
        for new in changed(node, ARITHMETIC, COMPARISON, LIKE):
            self.add(owner, field, i, new)
        message = isinstance(owner, ast.Call) and ast.unparse(owner.func) in REFUSING
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value and not message:
            self.add(owner, field, i, ast.Constant(f"{node.value}?"))
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            self.add(owner, field, i, ast.Constant(not node.value))
        if (
            isinstance(node, (ast.Subscript, ast.Attribute))
            and isinstance(node.value, ast.Name)
            and node.value.id[0].isupper()
        ):
            return  # a type
        self.parts(node)

    def row(self, node: ast.Call) -> None:
        """A row of the table: its rules, its flags, the values of operands that may be left out."""
        self.scope, before, self.line = str(getattr(node.args[0], "value", "row")), self.scope, node.lineno
        for k in (3, 4):
            rule = node.args[k]
            if isinstance(rule, ast.Constant) and isinstance(rule.value, str):
                for old, new, text in rule_changes(rule.value):
                    self.add(node, "args", k, ast.Constant(text), old, new)
        for keyword in node.keywords:
            if keyword.arg in ("zero_gradient", "branch"):
                self.add(keyword, "value", None, ast.Constant(False), f"{keyword.arg}=True", f"{keyword.arg}=False")
            elif keyword.arg == "defaults":
                self.parts(keyword)
        self.scope = before


def _names(node: ast.Assign | ast.AugAssign) -> bool:
    """Whether an assignment sets a plain name: without it the next line fails, which says nothing about the tests."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return not isinstance(node, ast.AugAssign) and any(isinstance(x, (ast.Name, ast.Tuple)) for x in targets)


def changed(node: ast.expr, arithmetic: Any, comparison: Any, like: dict[str, str]) -> Iterator[ast.expr]:
    """What may stand in place of an expression itself, in code or in a rule."""
    if isinstance(node, ast.BinOp) and not isinstance(node.left, ast.JoinedStr):
        yield ast.BinOp(node.left, arithmetic[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Compare):
        for k, op in enumerate(node.ops):
            yield ast.Compare(node.left, [*node.ops[:k], comparison[type(op)](), *node.ops[k + 1 :]], node.comparators)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Name) and node.id in like:
        yield ast.Name(like[node.id], node.ctx)
    elif isinstance(node, ast.Attribute) and node.attr in like:
        yield ast.Attribute(node.value, like[node.attr], node.ctx)


def text_changes(text: str) -> Iterator[tuple[str, str, str]]:
    """(what was there, what is, all of the new text) for each change of a constant that is code: a template, a rule."""
    if "\ndef {" in text:
        return template_changes(text)
    return rule_changes(text) if "(" in text else iter(())


def rule_changes(text: str) -> Iterator[tuple[str, str, str]]:
    """(what was there, what is, the text of the whole rule) for each change of a rule of the table."""
    tree = ast.parse(f"({text},)", mode="eval").body
    assert isinstance(tree, ast.Tuple)
    operands = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} & {
        "a",
        "b",
        "low",
        "high",
        "slope",
        "alpha",
        "out",
    }
    pairs = dict(zip(sorted(operands), [*sorted(operands)[1:], sorted(operands)[0]] if operands else [], strict=True))
    if len(operands) < 2:
        pairs = {}

    def written() -> str:
        return ", ".join(map(ast.unparse, tree.elts))

    places: list[tuple[ast.AST, str, int | None, ast.expr]] = []
    for owner in ast.walk(tree):
        for field, value in ast.iter_fields(owner):
            if isinstance(value, ast.expr) and field not in ("target", "func"):
                places.append((owner, field, None, value))
            elif isinstance(value, list):
                places += [(owner, field, k, x) for k, x in enumerate(value) if isinstance(x, ast.expr)]
    for owner, field, k, node in places:
        options = list(changed(node, ARITHMETIC, IN_RULES, LIKE_IN_RULES | pairs))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            if name in LIKE_IN_RULES:
                options.append(ast.Call(ast.Name(LIKE_IN_RULES[name], ast.Load()), node.args, []))
            if name == "where":
                options += node.args[1:]
            if len(node.args) == 2 and not any(isinstance(x, ast.NamedExpr) for x in node.args):
                options.append(ast.Call(node.func, node.args[::-1], []))
        if owner is tree:
            options.append(ast.Constant(0))
        for new in options:
            if ast.dump(new) == ast.dump(node):
                continue
            before, after = ast.unparse(node), ast.unparse(ast.fix_missing_locations(new))
            if k is None:
                setattr(owner, field, new)
            else:
                getattr(owner, field)[k] = new
            yield before, after, written()
            if k is None:
                setattr(owner, field, node)
            else:
                getattr(owner, field)[k] = node
    if len({ast.dump(x) for x in tree.elts}) > 1:
        yield text, "the partials in reverse", ", ".join(map(ast.unparse, tree.elts[::-1]))


def template_changes(text: str) -> Iterator[tuple[str, str, str]]:
    """The same for a template of generated code: each statement left out, and a few tokens exchanged."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if line.lstrip().startswith(("def ", "if ", "else:")) or not line.strip():
            pass
        else:
            bare = line[: len(line) - len(line.lstrip())] + "pass"
            yield line.strip(), "(left out)", "\n".join([*lines[:i], bare, *lines[i + 1 :]])
        for old, new in ((" is not ", " is "), (" is NotImpl", " is not NotImpl"), (" isinstance(", " not isinstance("),
                         (" if special ", " if not special "), ("[0]", "[1]"), ("[1]", "[0]")):  # fmt: skip
            if old in line:
                yield (
                    line.strip(),
                    line.replace(old, new).strip(),
                    "\n".join([*lines[:i], line.replace(old, new), *lines[i + 1 :]]),
                )


# --- running -----------------------------------------------------------------------------------------------


def first_tests(mutant: Mutant, table: ast.Module) -> list[str]:
    """The tests to run before the others: those of the row that has changed, and of rows that are written with it."""
    text = {str(getattr(n.args[0], "value", "")): ast.unparse(n) for n in ast.walk(table) if _is_row(n)}
    names = [mutant.scope] if mutant.scope in text else []
    word = re.compile(rf"\b{re.escape(mutant.scope)}\(")
    names += [name for name, row in text.items() if word.search(row) and name not in names]
    cases = [f"{test}[{name}]" for name in names for test in ("test_value", "test_local_derivatives")]
    cases += [f"test_higher_derivatives[{order}-{name}]" for name in names for order in (2, 3)]
    return [f"tests/engine/test_table.py::{case}" for case in cases]


def _is_row(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "Row"


def modules(name: str) -> list[str]:
    """The file of a name, or all files of a directory."""
    path = PACKAGE / name
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [str(file.relative_to(PACKAGE)) for file in files]


def tried(name: str, options: argparse.Namespace, trial: Trial) -> tuple[int, int]:
    """Run the mutants of a module, or of a directory; (killed, all)."""
    trees = {file: ast.parse((PACKAGE / file).read_text(encoding="utf-8")) for file in modules(name)}
    chosen = [mutant for file, tree in trees.items() for mutant in Finder(file, tree).found]
    everything = len(chosen)
    chosen = [m for m in chosen if options.only in f" {m.line} {m.scope} {m.before}"]
    if not chosen:
        raise SystemExit(f"{name}: no mutant has {options.only!r} in its line, function or text")
    if options.sample and options.sample < len(chosen):
        chosen = sorted(random.Random(options.seed).sample(chosen, options.sample), key=lambda m: (m.file, m.line))
    if options.list:
        print(*chosen, f"{name}: {len(chosen)} of {everything} mutants", sep="\n")
        return 0, 0
    stages = [files_of(stage) for stage in TESTS.get(name, TESTS.get(name.partition("/")[0], "")).split(",")]
    cpu = 2.0 * sum(map(trial.baseline, stages)) + 3.0
    survivors, hung = [], 0
    with tqdm(total=len(chosen), desc=name, unit="mutant") as bar:
        for mutant in chosen:
            old = mutant.swap(mutant.new)
            text = ast.unparse(ast.fix_missing_locations(trees[mutant.file]))
            mutant.swap(old)
            with trial.changed(mutant.file, text + "\n"):
                first = first_tests(mutant, trees[mutant.file]) if mutant.file == "engine/primitives.py" else []
                found = trial.run([first, *stages] if first else stages, cpu)
            if found.what == "hangs":
                hung += 1
                bar.write(f"by time   {mutant}")
            if found.what == "passed":
                survivors.append(mutant)
                bar.write(f"survived  {mutant}")
            bar.update()
    killed = len(chosen) - len(survivors)
    print(f"{name}: {killed} of {len(chosen)} mutants killed, {killed / max(len(chosen), 1):.1%} "
          f"({hung} of them by time; {everything} mutants in all)", flush=True)  # fmt: skip
    return killed, len(chosen)


def main() -> int:
    """Mutate, test, report."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "names", nargs="+", help="files of the package, such as engine/value.py, or directories, such as optim"
    )
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="only N of them, chosen by the seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="WORD", help="those whose line, function or text has it")
    parser.add_argument("--list", action="store_true", help="say what would be changed")
    parser.add_argument("--least", type=float, default=90.0, help="the percentage to be killed, for the exit code")
    options = parser.parse_args()
    failed = False
    try:
        with Trial() as trial:
            for name in options.names:
                killed, count = tried(name, options, trial)
                failed |= count > 0 and 100.0 * killed < options.least * count
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
