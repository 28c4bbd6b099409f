"""The steps of one instruction in the NumPy backend, whatever it is; of a plan, or of a step of a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_lite.folding.backends.numpy_arrays import Arrays
from autograd_lite.folding.backends.numpy_maps import add_map, add_reduce
from autograd_lite.folding.backends.numpy_sums import add_sum
from autograd_lite.folding.backends.overflow import Term, mend_mean, mend_sum
from autograd_lite.folding.instructions import Instruction, Literal, Map, Mean, Reduce, Ref, Sum

Array = Any


def add(arrays: Arrays, instructions: Sequence[Instruction], x: Instruction, safe: bool) -> None:
    """The array of an instruction, and the steps that fill it.

    Args:
        arrays: get them.
        instructions: those that it reads are among these.
        x: the instruction.
        safe: whether a sum that overflows on the way is computed again.
    """
    arrays.of.append(_made(arrays, x))
    if safe:
        _mend(arrays, instructions, x)
    arrays.release()


def _made(arrays: Arrays, x: Instruction) -> Array:
    if isinstance(x, Literal):
        return np.asarray(x.values, arrays.dtype)
    out = arrays.zeros(arrays.shape(x.size, x.batched))
    if isinstance(x, Sum):
        add_sum(arrays, x, out)
    elif isinstance(x, Map):
        add_map(arrays, x, out)
    elif isinstance(x, Reduce):
        add_reduce(arrays, x, out)
    else:
        raise TypeError(f"numpy backend: an instruction of type {type(x).__name__}")
    return out


def _mend(arrays: Arrays, instructions: Sequence[Instruction], x: Instruction) -> None:
    """Steps that recompute a sum whose intermediate overflowed although the result is finite."""
    if isinstance(x, Sum):
        arrays.do(mend_sum, arrays.of[-1], _terms(arrays, x))
    elif isinstance(x, Mean):
        of, shares = x.refs
        sums = instructions[of.source]
        if isinstance(sums, Sum):
            arrays.do(mend_mean, arrays.of[-1], _terms(arrays, sums), arrays.lanes(of), arrays.flat(shares))


def _terms(arrays: Arrays, x: Sum) -> list[Term]:
    def bound(ref: Ref | None) -> tuple[Array, Array]:
        return (None, None) if ref is None else (arrays.of[ref.source], arrays.lanes(ref))

    return [Term(part.kind, part.factor, part.to, *bound(part.left), *bound(part.right)) for part in x.parts]
