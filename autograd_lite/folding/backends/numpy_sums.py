"""Sums in the NumPy backend: each form of a part (contractions.py) as steps.

In what follows an array has the axes of its index table, and the batch axis last if there is one. A part of a sum
without a batch axis is summed over the rows too. Products other than "mul" are those of the safe plan (plan.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_lite.folding.backends.kernels import matrix_product, product
from autograd_lite.folding.backends.numpy_arrays import Arrays, einsum, suits_blas
from autograd_lite.folding.backends.strides import common, pattern, table_view
from autograd_lite.folding.contractions import Form
from autograd_lite.folding.instructions import Part, Ref, Sum

Array = Any

FEW = 32
"""Rows of so few products are added up by BLAS, as a product with ones, at half the time of einsum."""


def add_sum(arrays: Arrays, x: Sum, out: Array) -> None:
    """The steps of a sum."""
    work = [(form, part) for part in x.parts for form in part.forms]
    work.sort(key=lambda item: item[0].order)
    written = np.zeros(x.size, bool)  # a lane that none reaches keeps the 0 that buffers begin with
    for form, part in work:
        lanes = form.to.ravel()
        seen = written[lanes]
        fresh = not seen.any()
        if not fresh and not seen.all():
            # The form adds to all its lanes or writes all. Of the lanes it is the first to reach, the buffer
            # still holds what the run before has left.
            arrays.do(out.__setitem__, lanes[~seen], 0.0)
        written[lanes] = True
        count = len(arrays.of)
        batched = out.ndim > 1
        if batched and not any(arrays.of[r.source].ndim > 1 for r in (part.left, part.right) if r is not None):
            once = arrays.temporary((x.size,))  # the same for every row: computed once, and spread
            if not fresh:
                arrays.do(once.fill, 0.0)
            _FormOfSum(arrays, part, form, once, True, False).add()
            if fresh:
                arrays.do(_spread, out, lanes, once)
            else:
                arrays.do(np.add, out, once[:, None], out)
        else:
            _FormOfSum(arrays, part, form, out, fresh, batched).add()
        arrays.forget(count)
    if x.zeroed:
        arrays.do(np.add, out, 0.0, out)


class _FormOfSum:
    """One form of one part.

    Args:
        arrays: get the steps.
        part, form: what to add.
        out: the lanes of the sum.
        fresh: whether nothing has been written to the lanes of the form: then they are set, not added to.
        batched: whether out has the batch axis.
    """

    def __init__(self, arrays: Arrays, part: Part, form: Form, out: Array, fresh: bool, batched: bool) -> None:
        self.arrays, self.part, self.form, self.out = arrays, part, form, out
        self.fresh, self.batched = fresh, batched
        self.safe = part.kind not in ("plain", "mul")
        left, right = self._reduced()
        self.left = Ref(left.source, form.left)
        self.right = None if right is None else Ref(right.source, form.right)

    def add(self) -> None:
        """Append the steps."""
        {"each": self._each, "rows": self._rows, "segments": self._segments, "matmul": self._matmul}[self.form.what]()

    # -- operands

    def _has_rows(self, ref: Ref | None) -> bool:
        return ref is not None and self.arrays.of[ref.source].ndim > 1

    def _reduced(self) -> tuple[Ref, Ref | None]:
        """The operands; where rows are summed over and only one has them, that one is summed first.

        (sum over rows of a * x[row]) is a * (sum over rows of x[row]): one product, where it would be one a row.
        """
        left, right = self.part.left, self.part.right
        if self.batched or self.arrays.rows is None or (self._has_rows(left) and self._has_rows(right)):
            return left, right
        return self._over_rows(left), None if right is None else self._over_rows(right)

    def _over_rows(self, ref: Ref) -> Ref:
        """An operand summed over the batch axis, if it has one: one more array, while this sum is made."""
        if not self._has_rows(ref):
            return ref
        array = self.arrays.of[ref.source]
        summed = self.arrays.empty((len(array),))
        self.arrays.do(np.add.reduce, array, -1, None, summed)
        self.arrays.of.append(summed)
        return Ref(len(self.arrays.of) - 1, ref.lanes)

    def _operand(self, ref: Ref, wants_blas: bool = False) -> Array:
        """The lanes of an operand in the shape of its index table."""
        return self.arrays.table(ref, ref.lanes, wants_blas)

    def _multiply(self, a: Array, b: Array, out: Array) -> None:
        if self.safe:
            self.arrays.do(product, self.part.kind, a, b, out)
        else:
            self.arrays.do(np.multiply, a, b, out)

    # -- results

    def _fill(self, work: Callable[[Array], None], to: Array | None = None) -> None:
        """Let `work` fill an array of the shape of the form's lanes, straight into them where that can be."""
        arrays, factor = self.arrays, self.part.factor
        to = self.form.to if to is None else to
        target = table_view(self.out, to)
        direct = target is not None and self.fresh
        result = target if direct else arrays.temporary((*to.shape, *self.out.shape[1:]))
        work(result)
        if factor != 1.0:
            arrays.do(np.multiply, result, factor, result)
        if not direct:
            self._store(result, to, target)

    def _store(self, result: Array, to: Array, target: Array | None) -> None:
        """Put or add a result into the lanes `to`, through a view of them if there is one."""
        if target is None:
            flat = result.reshape((to.size, *self.out.shape[1:]))
            self.arrays.do(_scatter if self.fresh else _scatter_add, self.out, to.ravel(), flat)
        elif self.fresh:
            self.arrays.do(np.copyto, target, result)
        else:
            self.arrays.do(np.add, target, result, target)

    # -- one term a lane

    def _each(self) -> None:
        arrays, form, factor = self.arrays, self.form, self.part.factor
        left, right = self.left, self.right
        # The lanes are one more operand whose view must fit the others; where it does not, the result is scattered.
        arrays.of.append(self.out)
        to = Ref(len(arrays.of) - 1, form.to)
        patterns = [pattern(ref.lanes) for ref in (to, left, right) if ref is not None and ref.lanes is not None]
        if patterns[0] is not None and common([found[1] for found in patterns if found]) is not None:
            _, (target, a, b) = arrays.aligned([to, left, right], self.batched)
        else:
            _, (a, b) = arrays.aligned([left, right], self.batched)
            target = None
        if right is None and target is not None:
            self._each_alone(a, target)
            return
        shape = np.broadcast_shapes(a.shape, a.shape if b is None else b.shape) if target is None else target.shape
        result = target if self.fresh and target is not None else arrays.temporary(shape)
        if right is None:
            arrays.do(np.copyto, result, a)
        else:
            self._multiply(a, b, result)
        if factor != 1.0:
            arrays.do(np.multiply, result, factor, result)
        if result is not target:
            self._store(result, form.to, target)

    def _each_alone(self, a: Array, target: Array) -> None:
        """factor * left, in as few steps as it takes: most of them are 1 and -1."""
        arrays, factor = self.arrays, self.part.factor
        if factor == 1.0:
            arrays.do(*((np.copyto, target, a) if self.fresh else (np.add, target, a, target)))
        elif factor == -1.0:
            arrays.do(*((np.negative, a, target) if self.fresh else (np.subtract, target, a, target)))
        elif self.fresh:
            arrays.do(np.multiply, a, factor, target)
        else:
            result = arrays.temporary(target.shape)
            arrays.do(np.multiply, a, factor, result)
            arrays.do(np.add, target, result, target)

    # -- as many terms for every lane

    def _rows(self) -> None:
        a = self._operand(self.left)
        b = None if self.right is None else self._operand(self.right)
        if self.batched:  # an operand that is the same for every row gets an axis to be spread along
            a = a[..., None] if a.ndim == 2 else a
            b = None if b is None else b[..., None] if b.ndim == 2 else b
        if b is None:
            self._fill(lambda target: self._add_up(a, target))
        else:
            self._fill(lambda target: self._add_up_products(a, b, target))

    def _add_up(self, a: Array, target: Array) -> None:
        """The sum along axis 1; of two or three columns by adding them, which skips the set-up of a reduction."""
        do, width = self.arrays.do, a.shape[1]
        if width > 3:
            do(np.add.reduce, a, 1, None, target)
            return
        do(np.add, a[:, 0], a[:, 1], target)
        if width == 3:
            do(np.add, target, a[:, 2], target)

    def _add_up_products(self, a: Array, b: Array, target: Array) -> None:
        arrays, width = self.arrays, a.shape[1]
        if self.safe:
            terms = arrays.temporary(np.broadcast_shapes(a.shape, b.shape))
            self._multiply(a, b, terms)
            arrays.do(np.add.reduce, terms, 1 if self.batched or terms.ndim == 2 else (1, 2), None, target)
        elif a.ndim == 2 and width <= FEW:
            terms = arrays.temporary(a.shape)
            arrays.do(np.multiply, a, b, terms)
            arrays.do(np.matmul, terms, np.ones(width, arrays.dtype), target)
        else:
            text = "nk,nk->n" if a.ndim == 2 else "nkb,nkb->nb" if self.batched else "nkb,nkb->n"
            arrays.do(einsum, arrays.overflow, text, a, b, target)

    # -- any numbers of terms

    def _segments(self) -> None:
        arrays, out = self.arrays, self.out
        _, (a, b) = arrays.aligned([self.left, self.right], self.batched)
        terms = a
        if b is not None:
            terms = arrays.temporary(np.broadcast_shapes(a.shape, b.shape))
            self._multiply(a, b, terms)
        if not self.batched and self._has_rows(self.left) and self._has_rows(self.right):
            summed = arrays.temporary(terms.shape[:-1])
            arrays.do(np.add.reduce, terms, -1, None, summed)
            terms = summed
        # reduceat takes one axis of terms; views may have several, whose reshape would be a copy made only once
        shape = (len(self.form.left), *out.shape[1:])
        if terms.flags.c_contiguous:
            flat = terms.reshape(shape)
        else:
            flat = arrays.temporary(shape)
            arrays.do(np.copyto, flat.reshape((*terms.shape[: terms.ndim - out.ndim + 1], *out.shape[1:])), terms)
        self._fill(lambda target: arrays.do(np.add.reduceat, flat, self.form.starts, 0, None, target))

    # -- matrix products: blocks of left rows by right rows

    def _matmul(self) -> None:
        left, right = self.left, self.right
        assert right is not None
        if not self._has_rows(left) and not self._has_rows(right):
            self._product_of_matrices(left, right)
        elif not self.batched:
            self._product_over_rows(left, right)
        elif self._has_rows(left) and self._has_rows(right):
            self._product_in_each_row(left, right)
        else:
            self._product_with_fixed(left, right)

    def _product_of_matrices(self, left: Ref, right: Ref) -> None:
        to = self.form.to
        if len(to) == 1:  # a single matrix product: BLAS is called at once, without the loop over blocks
            left, right = (Ref(x.source, self.arrays.lanes(x)[0]) for x in (left, right))
            to = to[0]
        a, b = self._operand(left, True), self._operand(right, True)
        self._fill(lambda target: self._matrix_product(a, b, target), to)

    def _product_over_rows(self, left: Ref, right: Ref) -> None:
        """The batch axis is one more axis to sum over: (blocks, n, K, rows) is (blocks, n, K * rows)."""
        a, b = self._merged(self._operand(left)), self._merged(self._operand(right))
        self._fill(lambda target: self._matrix_product(a, b, target))

    def _product_in_each_row(self, left: Ref, right: Ref) -> None:
        a, b = self._operand(left), self._operand(right)

        def work(target: Array) -> None:
            if self.safe:
                self.arrays.do(_safe_in_each_row, self.part.kind, a, b, target)
            else:
                self.arrays.do(einsum, self.arrays.overflow, "nhkb,nwkb->nhwb", a, b, target)

        self._fill(work)

    def _product_with_fixed(self, left: Ref, right: Ref) -> None:
        """A layer: one operand is the same for every row, and the rows are the columns of the other."""
        left_rows = self._has_rows(left)
        fixed = self._operand(right if left_rows else left, True)
        moving = self._for_blas(self._operand(left if left_rows else right))

        def work(target: Array) -> None:
            turned = target if left_rows else np.moveaxis(target, 2, 1)  # (blocks, moving, fixed, rows)
            if self.safe:
                self.arrays.do(_safe_with_fixed, self.part.kind, fixed, moving, turned, left_rows)
                return
            alone = turned.shape[:2] == (1, 1)
            self.arrays.do(np.matmul, *(x[0, 0] if alone else x for x in (fixed[:, None], moving, turned)))

        self._fill(work)

    def _matrix_product(self, a: Array, b: Array, target: Array) -> None:
        """a @ b.T of stacks of matrices."""
        if self.safe:
            self.arrays.do(matrix_product, self.part.kind, a, b, target)
            return
        alone = target.ndim == 3 and len(target) == 1
        self.arrays.do(np.matmul, *(x[0] if alone else x for x in (a, np.swapaxes(b, -1, -2), target)))

    def _merged(self, array: Array) -> Array:
        """(blocks, n, K, rows) as (blocks, n, K * rows), for BLAS."""
        shape = (*array.shape[:2], array.shape[2] * array.shape[3])
        if array.shape[2] == 1:
            view = array[:, :, 0]
            if suits_blas(view):
                return view
        elif array.flags.c_contiguous:
            return array.reshape(shape)
        return self._copy(array).reshape(shape)

    def _for_blas(self, array: Array) -> Array:
        """A copy where BLAS could not read the last two axes: np.matmul would make one, at every call and slower."""
        return array if suits_blas(array) else self._copy(array)

    def _copy(self, array: Array) -> Array:
        copy = self.arrays.empty(array.shape)
        self.arrays.do(np.copyto, copy, array)
        return copy


def _scatter(out: Array, to: Array, values: Array) -> None:
    out[to] = values


def _scatter_add(out: Array, to: Array, values: Array) -> None:
    out[to] += values


def _spread(out: Array, lanes: Array, once: Array) -> None:
    """Numbers that are the same for every row, into some lanes of a batch."""
    out[lanes] = once[lanes, None]


def _safe_in_each_row(kind: str, a: Array, b: Array, out: Array) -> None:
    for r in range(a.shape[-1]):
        matrix_product(kind, a[..., r], b[..., r], out[..., r])


def _safe_with_fixed(kind: str, fixed: Array, moving: Array, out: Array, moving_first: bool) -> None:
    """out[n, w, h, b] of fixed[n, h, K] and moving[n, w, K, b]; the adjoint is the first factor."""
    for r in range(moving.shape[-1]):
        if moving_first:
            matrix_product(kind, moving[..., r], fixed, out[..., r])
        else:
            matrix_product(kind, fixed, moving[..., r], np.swapaxes(out[..., r], 1, 2))
