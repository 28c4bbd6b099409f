"""Linear algebra on matrices of Values and numbers: `ag.linalg.solve`, `inv`, `det` and the others.

Each works on rows of scalars by elimination, so that derivatives of every order are those of the elimination itself.
Pivots are read while a program runs eagerly. While `ag.compile` traces they are chosen by live comparisons, so that
a program pivots anew for the numbers of each call and of each row of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd_lite.engine import checks, functions
from autograd_lite.engine.checks import as_float, describe, is_array
from autograd_lite.engine.modes import COMPARED, mode
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.value import Value

Rows = list[list[Any]]

_EPSILON = 2.0**-52


# --- what comes in and goes out -------------------------------------------------------------------------


def _scalars(x: Any, what: str) -> list[Any]:
    items = x.tolist() if hasattr(x, "tolist") else x
    if isinstance(items, (str, bytes, dict, Value)) or not hasattr(items, "__iter__"):
        raise TypeError(f"{what} must be a sequence of Values and numbers, got {describe(x)}")
    return [y if isinstance(y, Value) else as_float(y, f"{what}: element {i}") for i, y in enumerate(items)]


def _is_matrix(x: Any) -> bool:
    if is_array(x):
        return bool(x.ndim > 1)
    return bool(isinstance(x, Sequence) and len(x) and (is_array(x[0]) or isinstance(x[0], Sequence)))


def _matrix(a: Any, what: str, square: bool = False) -> Rows:
    if not _is_matrix(a) or getattr(a, "ndim", 2) != 2:
        raise TypeError(f"{what} must be a matrix: nested lists or an array of two axes, got {describe(a)}")
    rows = [_scalars(row, f"{what}: row {i}") for i, row in enumerate(a)]
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(f"{what} must have rows of one length, got lengths {sorted(widths)}")
    if square and widths != {len(rows)}:
        raise ValueError(f"{what} must be square, got {len(rows)} x {max(widths, default=0)}")
    return rows


def _like(result: Any, *given: Any) -> Any:
    """Lists as an array, if an argument is an array."""
    if not isinstance(result, list) or not any(is_array(x) for x in given):
        return result
    return checks.load_arrays().from_rows(result)


def _singular(what: str, problem: str = "the matrix is singular") -> Exception:
    from numpy.linalg import LinAlgError

    return LinAlgError(f"{what}: {problem}")


# --- arithmetic that neither raises nor leaves the reals -------------------------------------------------

_div = functions.VALUES["div"]


def _call(name: str, *xs: Any) -> Any:
    return getattr(functions, name)(*xs)


def _dot(xs: Sequence[Any], ys: Sequence[Any]) -> Any:
    return functions.dot(xs, ys)


def _number(x: Any) -> float:
    """The number of an entry, by which a pivot is chosen: as with a comparison, the result stays in the graph."""
    return number_of(x, COMPARED[0])


def _live(*matrices: Rows) -> bool:
    """Whether choices must stay live: a function is being traced and a Value is there to depend on."""
    return mode.tracer is not None and any(isinstance(x, Value) for rows in matrices for row in rows for x in row)


def _checked(pivot: Any, what: str, bad: Any, problem: str) -> Any:
    """A pivot to divide by. Where `bad` is 1 it raises, or in a batch, whose other rows must not suffer, is NaN."""
    if getattr(mode.tracer, "batch", False):
        return _call("where", bad, float("nan"), pivot)
    if bad > 0.0:  # a guard while tracing
        raise _singular(what, problem)
    return pivot


def _is_zero(x: Any) -> Any:
    return _call("equal", x, 0.0)


def _any_zero(pivots: Sequence[Any]) -> Any:
    """Whether a pivot is 0, live. After one of 0 the next are NaN, so the first decides."""
    found: Any = 0.0
    for pivot in reversed(pivots):
        found = _call("where", _is_zero(pivot), 1.0, found)
    return found


# --- elimination ----------------------------------------------------------------------------------------


def _bring_up(rows: Rows, k: int, live: bool) -> Any:
    """Exchange rows so that the largest of column k on and below the diagonal is the pivot; gives the sign of that."""
    n = len(rows)
    if not live:
        best = max(range(k, n), key=lambda i: (abs(_number(rows[i][k])), -i))
        rows[k], rows[best] = rows[best], rows[k]
        return -1.0 if best != k else 1.0
    sign: Any = 1.0
    for i in range(k + 1, n):
        larger = _call("greater", _call("abs", rows[i][k]), _call("abs", rows[k][k]))
        upper, lower = rows[k], rows[i]
        rows[k] = [_call("where", larger, b, a) for a, b in zip(upper, lower, strict=True)]
        rows[i] = [_call("where", larger, a, b) for a, b in zip(upper, lower, strict=True)]
        sign = sign * (1.0 - 2.0 * larger)
    return sign


def _clear_below(rows: Rows, k: int, pivot: Any) -> None:
    upper = rows[k]
    for i in range(k + 1, len(rows)):
        if isinstance(rows[i][k], float) and rows[i][k] == 0.0:
            continue
        factor = _div(rows[i][k], pivot)
        rows[i] = rows[i][: k + 1] + [b - factor * a for a, b in zip(upper[k + 1 :], rows[i][k + 1 :], strict=True)]


def _solve(a: Rows, b: Rows, what: str) -> Rows:
    """The columns x of a x = b by Gaussian elimination with partial pivoting."""
    n = len(a)
    rows = [left + right for left, right in zip(a, b, strict=True)]
    live = _live(a)
    pivots = []
    for k in range(n):
        _bring_up(rows, k, live)
        pivots.append(_checked(rows[k][k], what, _is_zero(rows[k][k]), "the matrix is singular"))
        _clear_below(rows, k, pivots[k])
    solution: Rows = [[]] * n
    for i in reversed(range(n)):
        inner = rows[i][i + 1 : n]
        right = rows[i][n:]
        for j, factor in enumerate(inner, i + 1):
            right = [x - factor * y for x, y in zip(right, solution[j], strict=True)]
        solution[i] = [_div(x, pivots[i]) for x in right]
    return solution


def solve(a: Any, b: Any) -> Any:
    """The x of a x = b, by Gaussian elimination with partial pivoting.

    Args:
        a: a square matrix: nested lists or an array of Values and numbers.
        b: a vector, or a matrix of which each column is solved for.

    Returns:
        x in the form of b: a list for a list, an array where a or b is an array.

    Raises:
        numpy.linalg.LinAlgError: the matrix is singular. In a program compiled with batch=True the row is NaN instead.
        TypeError, ValueError: a is not a square matrix, or b does not fit it.

    Example:
        >>> x = ag.Value(2.0)
        >>> y = ag.linalg.solve([[x, 0.0], [1.0, 4.0]], [2.0, 9.0])
        >>> [v.item() for v in y], ag.gradients(y[1], x)
        ([1.0, 2.0], 0.125)
    """
    rows = _matrix(a, "linalg.solve: a", square=True)
    several = _is_matrix(b)
    right = _matrix(b, "linalg.solve: b") if several else [[x] for x in _scalars(b, "linalg.solve: b")]
    if len(right) != len(rows):
        raise ValueError(f"linalg.solve: a is {len(rows)} x {len(rows)} and b has {len(right)} rows")
    found = _solve(rows, right, "linalg.solve")
    return _like(found if several else [x for (x,) in found], a, b)


def inv(a: Any) -> Any:
    """The inverse of a square matrix.

    Args:
        a: nested lists or an array of Values and numbers.

    Returns:
        The inverse, as nested lists or, of an array, as an array.

    Raises:
        numpy.linalg.LinAlgError: the matrix is singular; see `solve`.
        TypeError, ValueError: a is not a square matrix.

    Example:
        >>> ag.linalg.inv([[2.0, 0.0], [0.0, ag.Value(4.0)]])[1][1].item()
        0.25
    """
    rows = _matrix(a, "linalg.inv: a", square=True)
    return _like(_solve(rows, _identity(len(rows)), "linalg.inv"), a)


def _identity(n: int) -> Rows:
    return [[float(i == j) for j in range(n)] for i in range(n)]


# --- determinants ---------------------------------------------------------------------------------------


def _expanded(a: Rows) -> Any:
    """The determinant without a division (Bird's algorithm), so that singular matrices have their derivatives too."""
    n = len(a)
    if n == 0:
        return 1.0
    if n == 1:
        return a[0][0]
    if n == 2:
        return a[0][0] * a[1][1] - a[0][1] * a[1][0]
    if n == 3:
        return functions.sum([a[0][j] * (a[1][j - 2] * a[2][j - 1] - a[1][j - 1] * a[2][j - 2]) for j in range(3)])
    f = a
    for _ in range(n - 1):
        upper: Rows = []
        below: Any = 0.0  # minus the sum of the diagonal below row i
        for i in reversed(range(n)):
            upper.append([0.0] * i + [below] + f[i][i + 1 :])
            below = below - f[i][i]
        upper.reverse()
        columns = list(zip(*a, strict=True))
        f = [[_dot(row[i:], column[i:]) for column in columns] for i, row in enumerate(upper)]
    return f[0][0] if n % 2 else -f[0][0]


def _det(a: Rows) -> Any:
    n = len(a)
    if n <= 3:
        return _expanded(a)
    rows = [list(row) for row in a]
    if _live(rows):
        if n == 4:
            return _expanded(a)
        sign: Any = 1.0
        for k in range(n - 1):
            sign = sign * _bring_up(rows, k, live=True)
            _clear_below(rows, k, rows[k][k])
        product = functions.prod([rows[k][k] for k in range(n)])
        return _call("where", _any_zero([rows[k][k] for k in range(n - 1)]), _expanded(a), sign * product)
    # Eager: complete pivoting, and what is left when nothing but rounding is, without division. A pivot of 0 would be
    # divided by otherwise, and the derivative of a singular matrix, its cofactors, would be NaN.
    sign, pivots = 1.0, []
    tiny = n * _EPSILON * max(abs(_number(x)) for row in rows for x in row)
    while len(rows) > 1:
        size = len(rows)
        i, j = max(((i, j) for i in range(size) for j in range(size)), key=lambda ij: abs(_number(rows[ij[0]][ij[1]])))
        if not abs(_number(rows[i][j])) > tiny:
            break
        sign = sign if (i == 0) == (j == 0) else -sign
        rows[0], rows[i] = rows[i], rows[0]
        for row in rows:
            row[0], row[j] = row[j], row[0]
        pivots.append(rows[0][0])
        _clear_below(rows, 0, rows[0][0])
        rows = [row[1:] for row in rows[1:]]
    return sign * functions.prod([*pivots, _expanded(rows)])


def det(a: Any) -> Any:
    """The determinant of a square matrix; its derivative is the cofactors, at singular matrices too.

    Args:
        a: nested lists or an array of Values and numbers.

    Returns:
        A Value if an element is one, else a float.

    Raises:
        TypeError, ValueError: a is not a square matrix.

    Example:
        >>> x = ag.Value(1.0)
        >>> y = ag.linalg.det([[x, 2.0], [2.0, 4.0]])
        >>> y.item(), ag.gradients(y, x)
        (0.0, 4.0)
    """
    return _det(_matrix(a, "linalg.det: a", square=True))


def slogdet(a: Any) -> tuple[Any, Any]:
    """The sign and the logarithm of the size of a determinant.

    Args:
        a: a square matrix: nested lists or an array of Values and numbers.

    Returns:
        (sign, logarithm); (0, -inf) of a singular matrix, where the derivative is NaN.

    Raises:
        TypeError, ValueError: a is not a square matrix.

    Example:
        >>> x = ag.Value(-2.0)
        >>> sign, size = ag.linalg.slogdet([[x, 0.0], [0.0, 1.0]])
        >>> sign.item(), ag.gradients(size, x)
        (-1.0, -0.5)
    """
    a = _matrix(a, "linalg.slogdet: a", square=True)
    rows = [list(row) for row in a]
    live = _live(rows)
    sign: Any = 1.0
    for k in range(len(rows)):
        sign = sign * _bring_up(rows, k, live)
        if not live and _number(rows[k][k]) == 0.0:
            total = functions.sum([x for row in a for x in row])
            return 0.0 * total, _call("log", 0.0 * total)  # inf times 0 on the way back: NaN for every element
        _clear_below(rows, k, rows[k][k])
    pivots = [rows[k][k] for k in range(len(rows))]
    sign = functions.prod([sign, *(_call("sign", p) for p in pivots)])
    size = functions.sum([_call("log", _call("abs", p)) for p in pivots])
    if live:
        total = functions.sum([x for row in a for x in row])
        singular = _any_zero(pivots)
        sign = _call("where", singular, 0.0, sign)
        size = _call("where", singular, _call("log", 0.0 * total), size)
    return sign, size


# --- factors, least squares, norms ------------------------------------------------------------------------


def cholesky(a: Any) -> Any:
    """The lower triangular L with L L^T = a, of a symmetric positive definite matrix; reads the lower triangle.

    Args:
        a: nested lists or an array of Values and numbers.

    Returns:
        L, as nested lists or, of an array, as an array.

    Raises:
        numpy.linalg.LinAlgError: the matrix is not positive definite; see `solve`.
        TypeError, ValueError: a is not a square matrix.

    Example:
        >>> x = ag.Value(4.0)
        >>> L = ag.linalg.cholesky([[x, 2.0], [2.0, 5.0]])
        >>> L[1][1].item(), ag.gradients(L[0][0], x)
        (2.0, 0.25)
    """
    rows = _matrix(a, "linalg.cholesky: a", square=True)
    n = len(rows)
    lower: Rows = [[0.0] * n for _ in range(n)]
    for j in range(n):
        square = rows[j][j] - _dot(lower[j][:j], lower[j][:j]) if j else rows[j][j]
        bad = 1.0 - _call("greater", square, 0.0)
        square = _checked(square, "linalg.cholesky", bad, "the matrix is not positive definite")
        lower[j][j] = _call("sqrt", square)
        for i in range(j + 1, n):
            rest = rows[i][j] - _dot(lower[i][:j], lower[j][:j]) if j else rows[i][j]
            lower[i][j] = _div(rest, lower[j][j])
    return _like(lower, a)


def _orthogonal(columns: Rows, what: str) -> tuple[Rows, Rows]:
    """Q and R of the columns, by Gram-Schmidt, each column made orthogonal twice: once loses digits."""
    q: Rows = []
    r: Rows = []
    for column in columns:
        before = functions.norm(column)
        steps: list[Any] = [0.0] * len(q)
        for _ in range(2):
            for i, unit in enumerate(q):
                along = _dot(unit, column)
                column = [x - along * u for x, u in zip(column, unit, strict=True)]
                steps[i] = steps[i] + along
        length = functions.norm(column)
        deficient = _call("less_equal", length, 1e-13 * before)
        length = _checked(length, what, deficient, "the matrix does not have full rank")
        q.append([_div(x, length) for x in column])
        r.append([*steps, length])
    return q, r


def lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Any, Any, int, Any]:
    """The x that makes the Euclidean norm of a x - b least; where several do, the shortest of them.

    Args:
        a: a matrix of full rank: nested lists or an array of Values and numbers.
        b: a vector, or a matrix of which each column is solved for.
        rcond: not used, since a must have full rank; for calls written for NumPy.

    Returns:
        (x, residuals, rank, None): x in the form of b; the squared norm of a x - b for each column, empty unless a has
        more rows than columns. Singular values are not computed.

    Raises:
        numpy.linalg.LinAlgError: a does not have full rank; see `solve`.
        TypeError, ValueError: a is not a matrix, or b does not fit it.

    Example:
        >>> x, residuals, rank, _ = ag.linalg.lstsq([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [1.0, ag.Value(3.0), 5.0])
        >>> [round(v.item(), 12) for v in x], rank
        ([1.0, 2.0], 2)
    """
    rows = _matrix(a, "linalg.lstsq: a")
    several = _is_matrix(b)
    right = _matrix(b, "linalg.lstsq: b") if several else [[x] for x in _scalars(b, "linalg.lstsq: b")]
    m, n = len(rows), len(rows[0])
    if len(right) != m:
        raise ValueError(f"linalg.lstsq: a is {m} x {n} and b has {len(right)} rows")
    tall = m >= n
    q, r = _orthogonal([list(c) for c in zip(*rows, strict=True)] if tall else rows, "linalg.lstsq")
    solutions, residuals = [], []
    for column in map(list, zip(*right, strict=True)):
        rest = column
        if tall:  # Q R x = b: b is made orthogonal to Q step by step, as a further column would be
            z: list[Any] = []
            for unit in q:
                along = _dot(unit, rest)
                rest = [x - along * u for x, u in zip(rest, unit, strict=True)]
                z.append(along)
            x: list[Any] = [0.0] * n
            for i in reversed(range(n)):
                known = functions.sum([r[j][i] * x[j] for j in range(i + 1, n)])
                x[i] = _div(z[i] - known, r[i][i])
            residuals.append(_dot(rest, rest))
        else:  # (Q R)^T x = b: R^T y = b, x = Q y
            y: list[Any] = []
            for i in range(m):
                y.append(_div(column[i] - functions.sum([r[i][j] * y[j] for j in range(i)]), r[i][i]))
            x = [functions.sum([q[i][k] * y[i] for i in range(m)]) for k in range(n)]
        solutions.append(x)
    found: Any = [list(row) for row in zip(*solutions, strict=True)] if several else solutions[0]
    return _like(found, a, b), _like(residuals if m > n else [], a, b), min(m, n), None


def norm(x: Any, ord: Any = None) -> Any:
    """The norm of a vector or of a matrix.

    Args:
        x: a vector or a matrix: lists or an array of Values and numbers.
        ord: None for the Euclidean norm (of a matrix the Frobenius norm, also "fro"); for a vector any number p,
            inf or -inf; for a matrix 1, -1, inf or -inf.

    Returns:
        A Value if an element is one, else a float.

    Raises:
        TypeError: x is not a vector or a matrix.
        ValueError: ord is none of these.

    Example:
        >>> ag.linalg.norm([ag.Value(3.0), 4.0]).item(), ag.linalg.norm([[1.0, -2.0], [3.0, 4.0]], ord=1)
        (5.0, 6.0)
    """
    matrix = _is_matrix(x)
    rows = _matrix(x, "linalg.norm: x") if matrix else [_scalars(x, "linalg.norm: x")]
    flat = [v for row in rows for v in row]
    if ord is None or (matrix and ord == "fro") or (not matrix and ord == 2):
        return functions.norm(flat) if flat else 0.0
    sizes = [[_call("abs", v) for v in row] for row in rows]
    inf = float("inf")
    if matrix:
        if ord not in (1, -1, inf, -inf):
            raise ValueError(
                f"linalg.norm: ord={ord!r} of a matrix needs singular values, which are not supported; "
                "ord may be None, 'fro', 1, -1, inf or -inf"
            )
        lines = sizes if ord in (inf, -inf) else [list(column) for column in zip(*sizes, strict=True)]
        sums = [functions.sum(line) for line in lines]
        return functions.max(sums) if ord > 0 else functions.min(sums)
    (sizes_of,) = sizes
    if ord == inf:
        return functions.max(sizes_of)
    if ord == -inf:
        return functions.min(sizes_of)
    p = as_float(ord, "linalg.norm: ord")
    if p == 0.0:
        return functions.sum([1.0 - _is_zero(v) for v in sizes_of])
    if p == 1.0:
        return functions.sum(sizes_of)
    powers = [functions.VALUES["pow"](v, p) for v in sizes_of]
    return functions.VALUES["pow"](functions.sum(powers), 1.0 / p)


def matrix_power(a: Any, n: int) -> Any:
    """A square matrix to a whole power; a negative one of its inverse.

    Args:
        a: nested lists or an array of Values and numbers.
        n: a whole number.

    Returns:
        The power, as nested lists or, of an array, as an array.

    Raises:
        numpy.linalg.LinAlgError: n is negative and the matrix singular; see `solve`.
        TypeError, ValueError: a is not a square matrix, or n not a whole number.

    Example:
        >>> ag.linalg.matrix_power([[1.0, 1.0], [0.0, 1.0]], 3)
        [[1.0, 3.0], [0.0, 1.0]]
    """
    rows = _matrix(a, "linalg.matrix_power: a", square=True)
    n = checks.whole(n, "linalg.matrix_power: n", low=-(2**63))
    base = rows if n >= 0 else _solve(rows, _identity(len(rows)), "linalg.matrix_power")
    result, n = None, abs(n)
    while n:  # by squares
        if n % 2:
            result = base if result is None else _product(result, base)
        n //= 2
        if n:
            base = _product(base, base)
    return _like(_identity(len(rows)) if result is None else result, a)


def _product(a: Rows, b: Rows) -> Rows:
    columns = list(zip(*b, strict=True))
    return [[_dot(row, column) for column in columns] for row in a]


__all__ = ["cholesky", "det", "inv", "lstsq", "matrix_power", "norm", "slogdet", "solve"]


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)
