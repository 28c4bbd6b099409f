"""Examples: X and y as plain numbers, the split into training and validation, and the order in an epoch."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any

from autograd_lite.engine.checks import as_float, describe, numpy_for, whole

if TYPE_CHECKING:
    import numpy as np


# --- X and y ------------------------------------------------------------------------------------------------


def examples(X: Any, y: Any, who: str, nested: bool = False) -> list[tuple[Any, Any]]:
    """Pairs (example, target) as plain numbers and lists, all finite; whatever else is refused with its row.

    Args:
        X, y: examples and targets, shapes (n, d) or (n,), and (n, k) or (n,).
        who: begins the messages.
        nested: whether arrays of more dimensions and sequences that differ in length are taken too.
    """
    np = numpy_for(who)

    X, y = (
        _reiterable(X, f"{who}: X must be examples, shape (n, d) or (n,)"),
        _reiterable(y, f"{who}: y must be targets"),
    )
    if np.iscomplexobj(X) if hasattr(X, "shape") else any(isinstance(x, complex) for x in X):
        raise TypeError(f"{who}: X must hold real numbers, got complex ones; give real and imaginary parts as columns")
    inputs = _nested(X, who, "X") if nested else _flat_examples(X, who)
    targets = _nested(y, who, "y") if nested else _flat_targets(y, who)
    if len(targets) != len(inputs):
        raise ValueError(f"{who}: {len(inputs)} examples but {len(targets)} targets")
    return list(zip(inputs, targets, strict=True))


def _flat_examples(X: Any, who: str) -> list[Any]:
    """Examples that are numbers, or rows of one length."""
    np = numpy_for(who)

    flat = np.ndim(X) == 1 if hasattr(X, "shape") else not any(hasattr(row, "__len__") for row in X)
    rows = np.asarray(X) if flat else as_rows(X, who)
    if rows.dtype.kind not in "biuf":  # objects: one by one, so that the error says which
        rows = np.array([as_float(x, f"{who}: X[{i}]") for i, x in enumerate(X)])
    rows = rows.astype(float)
    if not rows.size:
        raise ValueError(f"{who}: there are no examples, X has shape {rows.shape}")
    return _finite(rows, who, "X")


def _flat_targets(y: Any, who: str) -> list[Any]:
    np = numpy_for(who)

    try:
        targets = np.asarray(y)
    except ValueError:
        raise ValueError(f"{who}: y must have shape (n,) or (n, k), its rows differ in length") from None
    if targets.dtype.kind not in "biuf":
        raise TypeError(f"{who}: targets must be numbers, got {targets.dtype} with y[0] = {describe(next(iter(y)))}")
    if targets.ndim not in (1, 2):
        raise ValueError(f"{who}: y must have shape (n,) or (n, k), got {targets.shape}")
    return _finite(targets, who, "y")


def _finite(rows: Any, who: str, name: str, first: int = 0) -> list[Any]:
    """An array as lists, of which row i is that of number first + i."""
    np = numpy_for(who)

    bad = ~np.isfinite(rows).reshape(len(rows), -1).all(axis=1) if rows.size else np.array([])
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise ValueError(f"{who}: row {first + i} of {name} is not finite: {rows[i]}")
    return rows.tolist()  # type: ignore[no-any-return]


def _nested(given: Any, who: str, name: str) -> list[Any]:
    """Each element as a number, or as lists of numbers of any depth."""
    np = numpy_for(who)

    try:
        whole = np.asarray(given)
    except ValueError:  # they differ in shape
        pass
    else:
        if whole.dtype.kind in "biuf" and whole.size:
            return _finite(whole.astype(float) if name == "X" else whole, who, name)
    found = []
    for i, element in enumerate(given):
        try:
            array = np.asarray(element)
        except ValueError:
            raise ValueError(
                f"{who}: {name}[{i}] is ragged inside: examples may differ in shape, but each must be a number or an "
                "array of numbers"
            ) from None
        if array.dtype.kind not in "biuf":  # objects: one by one, so that the error says which
            numbers = [as_float(x, f"{who}: {name}[{i}]") for x in array.ravel().tolist()]
            array = np.array(numbers).reshape(array.shape)
        if not array.size:
            raise ValueError(f"{who}: {name}[{i}] is empty, its shape is {array.shape}")
        found += _finite(array.astype(float)[None] if name == "X" else array[None], who, name, i)
    if not found:
        raise ValueError(f"{who}: there are no {'examples' if name == 'X' else 'targets'}, {name} is empty")
    return found


def as_rows(X: Any, who: str) -> np.ndarray[Any, Any]:
    """Examples as a float64 array of shape (n, d); ragged rows are refused with the index of the first that differs."""
    np = numpy_for(who)

    if not hasattr(X, "shape") and isinstance(X, Iterable):
        X = list(X)
        lengths = [len(row) if hasattr(row, "__len__") else -1 for row in X]
        for i, length in enumerate(lengths):
            if length != lengths[0]:
                raise ValueError(f"{who}: row {i} of X has {length} numbers, row 0 has {lengths[0]}")
    rows = np.asarray(X)
    if rows.dtype.kind not in "biuf":  # strings, objects, complex numbers: one by one, so that the error says which
        if rows.ndim == 2:
            rows = np.array(
                [[as_float(x, f"{who}: X[{i}][{j}]") for j, x in enumerate(row)] for i, row in enumerate(X)]
            )
        elif rows.size:
            raise TypeError(f"{who}: X must be rows of real numbers, got {describe(X)}")
    rows = rows.astype(float)
    if not rows.size:
        raise ValueError(f"{who}: X is empty, its shape is {rows.shape}")
    if rows.ndim != 2:
        raise ValueError(
            f"{who}: X must have two dimensions, one row an example, got shape {rows.shape}; "
            "for a single example x, give [x]"
        )
    return rows  # type: ignore[no-any-return]


def _reiterable(given: Any, what: str) -> Any:
    """Data that can be iterated more than once: generators, also those that are rows, are read into lists."""
    try:
        rows = None if isinstance(given, (str, bytes, Mapping, Set)) else iter(given)
    except TypeError:
        rows = None
    if rows is None:
        raise TypeError(f"{what}, got {describe(given)}")
    return given if hasattr(given, "shape") else [list(row) if isinstance(row, Iterator) else row for row in rows]


# --- split and order ----------------------------------------------------------------------------------------


def split(
    data: list[Any], validation: Any, seed: int | None, nested: bool = False
) -> tuple[list[Any], list[Any] | None]:
    """(examples to train on, examples held out for validation): a share chosen by the seed, or the pair given."""
    if validation is None:
        return data, None
    if isinstance(validation, (tuple, list)):
        if len(validation) != 2:
            raise TypeError(f"fit: validation must be a share or a pair (X, y), got {len(validation)} elements")
        return data, examples(validation[0], validation[1], "fit: validation", nested)
    share = as_float(validation, "fit: validation", "give a share such as 0.2, or a pair (X, y)")
    held = round(share * len(data)) if 0.0 < share < 1.0 else 0
    if not 0 < held < len(data):
        raise ValueError(
            f"fit: validation={share:g} of {len(data)} examples leaves none on one side; give a share between 0 and 1"
        )
    order = list(range(len(data)))
    random.Random(f"{seed} validation").shuffle(order)
    kept = sorted(order[held:])
    return [data[i] for i in kept], [data[i] for i in sorted(order[:held])]


def drawn_seed(seed: Any, who: str) -> int:
    """The seed given, or a random one, which the history records."""
    return random.SystemRandom().getrandbits(48) if seed is None else whole(seed, f"{who}: seed", -sys.maxsize)


def epoch_order(n: int, seed: int | None, epoch: int, shuffle: bool) -> list[int]:
    """The order of n examples in an epoch: a function of the seed and the epoch alone."""
    order = list(range(n))
    if shuffle:
        random.Random(f"{seed} {epoch}").shuffle(order)  # a string: the same on every platform and in every run
    return order
