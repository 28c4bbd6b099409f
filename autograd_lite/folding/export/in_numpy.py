"""An exported file in Python with NumPy: the loops as operations on arrays, the rows of a batch as their first axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_lite.folding.export.in_python import NAMES, Python
from autograd_lite.folding.export.loops import (
    Access,
    Extreme,
    Loop,
    Routine,
    Statement,
    Steps,
    Store,
    Terms,
    Within,
    Zero,
)
from autograd_lite.folding.export.translate import bare
from autograd_lite.folding.export.writer import Spec

Array = Any

UFUNCS = {
    **{name: f"np.{name}" for name in ("exp", "expm1", "exp2", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "sin",
       "cos", "tan", "sinh", "cosh", "tanh", "floor", "ceil", "rint")},
    **{name: f"np.arc{name[1:]}" for name in ("asin", "acos", "atan", "atan2", "asinh", "acosh", "atanh")},
    "fabs": "np.abs", "larger": "np.maximum", "smaller": "np.minimum",
}  # fmt: skip

WRITTEN = ("chain", "masked", "power", "expdiff", "gauss")

PRELUDE = '''\

import numpy as np


def lanes(offset, *axes):
    """offset + i s + j t + ... for the axes (count, s), (count, t), ..."""
    index = np.array(offset)
    for count, stride in axes:
        index = index[..., None] + stride * np.arange(count)
    return index


def chain(a, b):
    """a b, and 0 where a is 0, whatever b is: an adjoint of 0 contributes 0."""
    return np.where(np.equal(a, 0.0), 0.0, np.multiply(a, b))


def masked(a, b):
    """a b, and 0 where either is 0."""
    return np.where(np.equal(a, 0.0) | np.equal(b, 0.0), 0.0, np.multiply(a, b))


def power(a, b):
    """a ** b over the reals; NaN in gives NaN."""
    found = np.where(np.equal(b, 0.5) & np.isinf(a), np.inf, np.power(a, b))
    return np.where(np.isnan(a) | np.isnan(b), np.nan, np.where(np.equal(a, 0.0) & np.equal(b, 0.5), 0.0, found))


def expdiff(a, b):
    """exp(a - b), what the difference loses in rounding made up for; 1 where they are equal, infinities included."""
    d = np.subtract(a, b)
    found = np.exp(d)
    back = a - d
    lost = (a - (d + back)) + (back - b)
    found = np.where((d > -750.0) & (found < np.inf), found + found * lost, found)
    return np.where(np.equal(a, b), 1.0, found)


def gauss(a, s):
    """exp(-s a a), the square split so that its rounding is not multiplied."""
    near = np.abs(a) < 40.0
    inside = np.where(near, a, 0.0)
    high = 134217729.0 * inside - (134217729.0 * inside - inside)
    found = np.exp(-s * high * high) * np.exp(-s * (inside - high) * (inside + high))
    return np.where(near, found, np.where(np.isnan(a) | np.isnan(s), np.nan, 0.0))


def each(function, *arrays):
    """A function of numbers, element by element."""
    return np.frompyfunc(function, len(arrays), 1)(*arrays).astype(float)


def whole(x, *shape):
    """x in this shape: the lanes along one axis, after the rows if there are any."""
    if np.ndim(x) > 1 and len(shape) > 1 and np.size(x) == shape[0] * shape[1]:
        return np.array(np.reshape(x, shape))
    if np.ndim(x) and np.size(x) == shape[-1]:
        x = np.reshape(x, shape[-1])
    return np.array(np.broadcast_to(x, shape))


def products(rule, text, a, b):
    """np.einsum(text, a, b), its products by a rule: where nothing is infinite it makes no difference."""
    if rule is None or (np.isfinite(b).all() and (rule is chain or np.isfinite(a).all())):
        return np.einsum(text, a, b, optimize=True)
    sides, out = text.split("->")
    left, right = sides.split(",")
    every = out + "".join(sorted(set(left + right) - set(out)))
    a, b = (
        np.einsum(f"{side}->{''.join(x for x in every if x in side)}", array)[
            tuple(slice(None) if x in side else None for x in every)
        ]
        for side, array in ((left, a), (right, b))
    )
    return rule(a, b).sum(tuple(range(len(out), len(every))))


'''

LETTERS = "abcdefgh"


class NumPy(Python):
    """Python with NumPy: value and gradient as arrays."""

    native = Python.native | frozenset(WRITTEN)
    decorator = ('@np.errstate(all="ignore")',)
    imports = tuple(PRELUDE.splitlines())
    flat = "np.ravel(gradient)"

    def __init__(self, routine: Routine, spec: Spec) -> None:
        super().__init__(routine, spec)
        self._axes: tuple[int, ...] = ()
        """Those of the loop that is being written."""
        self._inside = False
        """Whether that is in a recurrence."""
        self._made: set[str] = set()
        """The arrays that are there from the start, and written to in parts."""

    def allocated(self) -> list[str]:  # noqa: D102
        made = {x.target.array for x in self.routine.statements() if isinstance(x, (Terms, Extreme))}
        made |= {x.array for x in self.routine.statements() if isinstance(x, (Zero, Within))}
        made |= {line.target.array for x in self.routine.statements() if isinstance(x, (Loop, Within)) for line in
                 (x.body if isinstance(x, Loop) else x.body.body) if isinstance(line, Store) and
                 (line.target.step or self._part_of(line.target, x if isinstance(x, Loop) else x.body))}  # fmt: skip
        self._made = made
        return [
            f"{name} = np.zeros({f'(rows, {place.size})' if place.batched else place.size})  # {place.title}"
            for name, place in self.routine.places.items() if name in made
        ]  # fmt: skip

    def _part_of(self, target: Access, loop: Loop) -> bool:
        """Whether a store leaves other lanes of its array as they are."""
        return int(np.prod(loop.axes, dtype=int)) != self._size(target.array)

    def called(self) -> list[str]:  # noqa: D102
        return [name for name in self.named() if name not in UFUNCS and name not in WRITTEN]

    def table(self, name: str, numbers: Any) -> list[str]:  # noqa: D102
        first, *lines = super().table(name, numbers)
        lines = [first.replace("= [", "= np.array(["), *lines]
        return [*lines[:-1], lines[-1] + ")"]

    def divided(self, a: str, b: str) -> str:  # noqa: D102
        return f"({a} / {b})" if b == "rows" else f"np.divide({a}, {b})"

    def choice(self, condition: str, yes: str, no: str) -> str:  # noqa: D102
        return f"np.where({condition}, {yes}, {no})"

    def call(self, name: str, args: Sequence[str]) -> str:  # noqa: D102
        if name in UFUNCS:
            return f"{UFUNCS[name]}({', '.join(args)})"
        if name in WRITTEN:
            return f"{name}({', '.join(args)})"
        return f"each({NAMES.get(name, name)}, {', '.join(args)})"

    # -- what is read

    def _has_rows(self, array: str) -> bool:
        place = self.routine.places.get(array)
        return place.batched if place else self.routine.batch and array[0] == "x"

    def _read(self, access: Access, axes: Sequence[int], chosen: Sequence[int]) -> str:
        """The lanes of an access, an axis for each of the chosen ones."""
        array = access.array
        if array == "seed":
            return "seed" if chosen else "seed[..., 0]"
        if access.step:
            return self._read_step(access, axes, chosen)
        if access.table is not None:
            shape = ", ".join(str(axes[k]) for k in chosen)
            table = access.table if len(chosen) == 1 else f"{access.table}.reshape({shape})"
            return f"{array}[..., {table}]"
        pairs = [(axes[k], access.strides[k]) for k in chosen]
        first = access.offset
        if not pairs:
            return f"{array}[..., {first}]"
        if len(pairs) == 1:
            ((n, step),) = pairs
            if step == 0:
                return f"{array}[..., {first}:{first + 1}]"
            if step > 0:
                if step == 1 and first == 0 and n == self._size(array):
                    return array
                return f"{array}[..., {first}:{first + (n - 1) * step + 1}{f':{step}' if step > 1 else ''}]"
        return f"{array}[..., lanes({first}, {', '.join(map(str, pairs))})]"

    def _read_step(self, access: Access, axes: Sequence[int], chosen: Sequence[int]) -> str:
        """Lanes that are others in each step."""
        count, stride = (axes[chosen[0]], access.strides[chosen[0]]) if chosen and access.strides else (1, 1)
        stride = stride if count > 1 else 1
        first = "t" if access.step == 1 else f"{access.step} * t"
        first = f"{first} + {access.offset}" if access.offset else first
        where = f"{first}:{first} + {(count - 1) * stride + 1}{f':{stride}' if stride > 1 else ''}" if stride > 0 else (
            f"{first} + {stride} * np.arange({count})")  # fmt: skip
        return f"{access.array}[..., {where if access.table is None else f'{access.table}[{where}]'}]"

    def _size(self, array: str) -> int:
        place = self.routine.places.get(array)
        if place:
            return place.size
        if array in self.routine.literals:
            return len(self.routine.literals[array])
        return self.sizes.get(array, len(self.spec.theta))

    # -- statements

    def statement(self, x: Statement) -> list[str]:  # noqa: D102
        if isinstance(x, Loop):
            return [*([self.comment(x.title)] if x.title else []), *self.elementwise(x)]
        if isinstance(x, Terms):
            return [self.comment(x.title), *self.terms(x)]
        if isinstance(x, Extreme):
            return [self.comment(x.title), *self.extreme(x)]
        if isinstance(x, Zero) and self._inside:
            return self.zeros(x.array)
        if isinstance(x, (Within, Steps)):
            outer, self._inside = self._inside, True
            lines = super().statement(x)
            self._inside = outer
            return lines
        return []

    def zeros(self, array: str) -> list[str]:  # noqa: D102
        return [f"{array}[...] = 0.0"]

    def access(self, access: Access, counters: Sequence[str] = ()) -> str:  # noqa: D102
        axes = self._axes or (1,)
        if not access.strides:
            access = Access(access.array, access.offset, (0,), access.table, access.step)
        return self._read(access, axes, range(len(axes)))

    def elementwise(self, x: Loop) -> list[str]:
        """A loop: each array that it makes is made at once."""
        self._axes = x.axes
        lines = self.body(x.body)
        self._axes = ()
        return lines

    def stored(self, target: str, value: str, add: bool) -> str:  # noqa: D102
        array = target.partition("[")[0]
        if array in self._made:
            return f"{target if '[' in target else f'{array}[...]'} = {bare(value)}"
        if array in self.routine.places and not add:
            return f"{array} = whole({bare(value)}, {self._shape(array)})"
        return super().stored(target, value, add)

    def _shape(self, array: str) -> str:
        size = self._size(array)
        return f"rows, {size}" if self._has_rows(array) else str(size)

    def terms(self, x: Terms) -> list[str]:  # noqa: D102
        target, rule = x.target, {"_chain": "chain", "_masked": "masked"}.get(x.kind, "None")
        inner = x.terms if isinstance(x.terms, tuple) else ()
        axes = (*x.axes, *inner)
        operands = [a for a in (x.left, x.right) if a is not None]
        if isinstance(x.terms, str):
            count = int(self.routine.tables[x.terms][-1])
            texts = [self._read(a, (count,), [0]) for a in operands]
            product = texts[0] if len(texts) == 1 else f"{texts[0]} * {texts[1]}" if rule == "None" else (
                f"{rule}({', '.join(texts)})")  # fmt: skip
            value = f"np.add.reduceat({product}, {x.terms}[:-1], axis=-1)"
            value = f"{value}.sum(0)" if x.over_rows else value
        else:
            used = [[k for k in range(len(axes)) if a.table is not None or a.strides[k]] for a in operands]
            missing = [k for k in range(len(axes)) if not any(k in some for some in used)]
            used[0] = sorted(used[0] + missing)
            rows = [self._has_rows(a.array) or a.array == "seed" for a in operands]
            texts = []
            for a, some, seed in zip(operands, used, (a.array == "seed" for a in operands), strict=True):
                if seed and some:
                    texts.append(f"np.full((rows, {', '.join(str(axes[k]) for k in some)}), 1.0 / rows)")
                else:
                    texts.append(self._read_wide(a, axes, some))
            left = ["z" * row + "".join(LETTERS[k] for k in some) for row, some in zip(rows, used, strict=True)]
            out = ("z" if any(rows) and not x.over_rows else "") + LETTERS[: len(x.axes)]
            text = f"{','.join(left)}->{out}"
            value = (
                f'np.einsum("{text}", {texts[0]})' if len(texts) == 1
                else f'products({rule}, "{text}", {texts[0]}, {texts[1]})'
            )  # fmt: skip
            if x.batched and not any(rows):
                value = f"{value}[None]"
        factor = "" if x.factor == 1.0 else f"{self.number(x.factor)} * "
        place = self._written(target, x.axes)
        return [f"{place} {'+=' if x.add else '='} {factor}{value}"]

    def _read_wide(self, access: Access, axes: Sequence[int], chosen: Sequence[int]) -> str:
        """As _read, where a chosen axis that the access does not move along is repeated."""
        if access.table is None and any(not access.strides[k] for k in chosen):
            pairs = ", ".join(str((axes[k], access.strides[k])) for k in chosen)
            return f"{access.array}[..., lanes({access.offset}, {pairs})]"
        return self._read(access, axes, chosen)

    def _written(self, target: Access, axes: Sequence[int]) -> str:
        if target.table is None and len(axes) == 1 and target.strides == (1,):
            return f"{target.array}[..., {target.offset}:{target.offset + axes[0]}]"
        if not axes:
            return f"{target.array}[..., {target.offset}]"
        return self._read(target, axes, range(len(axes))) if target.table is None or len(axes) > 1 else (
            f"{target.array}[..., {target.table}]"
        )  # fmt: skip

    def extreme(self, x: Extreme) -> list[str]:  # noqa: D102
        count = x.starts * x.groups if isinstance(x.starts, int) else int(self.routine.tables[x.starts][-1])
        starts = f"np.arange(0, {count}, {x.starts})" if isinstance(x.starts, int) else f"{x.starts}[:-1]"
        elements = self._read(x.elements, (count,), [0])
        place = f"{x.target.array}[...]"
        if x.what != "norm":
            return [f"{place} = np.{x.what}imum.reduceat({elements}, {starts}, axis=-1)"]
        return [
            f"size = np.abs({elements})",
            f"best = np.maximum.reduceat(size, {starts}, axis=-1)",
            "unit = np.where((best > 0.0) & (best < np.inf), best, 1.0)",
            f"size = size / np.repeat(unit, np.diff(np.append({starts}, {count})), axis=-1)",
            f"{place} = unit * np.sqrt(np.add.reduceat(size * size, {starts}, axis=-1))",
        ]

    # -- the function

    def computed(self) -> list[str]:  # noqa: D102
        spec, outputs = self.spec, self.routine.outputs
        lines = [f"x{k} = np.reshape(x{k}, ({'rows, ' if self.routine.batch else ''}{self._size(f'x{k}')},))"
                 for k in range(len(spec.shapes))]  # fmt: skip
        lines += ["theta = np.asarray(theta, float)"] if len(spec.theta) else []
        lines += ["seed = np.full((rows, 1), 1.0 / rows)"] if self.routine.batch else []
        for statement in (*self.routine.before, *self.routine.row, *self.routine.after):
            lines += self.statement(statement)
        texts = []
        for k in range(spec.values):
            access, _, rows = outputs[k]
            texts.append(f"np.mean({self._read(access, (1,), [])})" if rows else f"{self._read(access, (1,), [])}")
        if spec.single:
            lines.append(f"value = float({texts[0]})")
        else:
            lines.append(f"values = np.array([{', '.join(texts)}])")
        if spec.gradient:
            access, count, rows = outputs[-1]
            found = self._read(access, (count,), [0])
            shape = self._gradient_shape()
            lines.append(f"gradient = np.array(np.broadcast_to({found}, {shape}), float)")
        for k, (name, outcome) in enumerate(spec.guards, spec.values):
            access, count, _ = outputs[k]
            number, sign = ("0.0", "!=") if name in ("bool", "not_equal") else ("1.0", "==")
            held = f"({self._read(access, (count,), [0])} {sign} {number})"
            broken = f"not {held}.all()" if outcome else f"{held}.any()"
            spoiled = ["value = np.nan" if spec.single else "values[:] = np.nan"]
            spoiled += ["gradient[...] = np.nan"] if spec.gradient else []
            lines += self.block(f"if {broken}", spoiled)
        return lines

    def _gradient_shape(self) -> str:
        return f"(rows, {self.spec.count})" if "gradient" in self.sizes else f"({self.spec.count},)"
