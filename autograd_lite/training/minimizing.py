"""`minimize`: the parameters at which a loss is smallest, by SciPy's methods with exact derivatives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from importlib.util import find_spec
from math import inf, isfinite
from typing import Any, NoReturn

import numpy as np

from autograd_lite.engine.atomic import set_numbers
from autograd_lite.engine.checks import describe, needs, setting, whole
from autograd_lite.engine.reading import numbers_of
from autograd_lite.engine.trees import flatten
from autograd_lite.engine.value import Value
from autograd_lite.folding.arguments import leaves as checked_leaves
from autograd_lite.folding.backends import checked_backend
from autograd_lite.history import INTERRUPTED
from autograd_lite.names import BackendName
from autograd_lite.nn.module import Module
from autograd_lite.optim.lbfgs import minimize_lbfgs
from autograd_lite.training.objectives import Objective, objective
from autograd_lite.training.progress import Advance, progress_bar

Array = Any

DENSE = 300
"""Up to this many parameters the methods of second order use the whole Hessian, else its products with vectors."""

STUCK = 15
"""This many iterations without a smaller loss end a search; the radius of a trust region is nothing by then."""

LAST = 10
"""The most steps of Newton's method at the end."""


class Minimum:
    """What `minimize` found.

    Attributes:
        loss: the smallest loss, at the numbers that the parameters have now; for "lm" the sum of squares.
        stopped: why the search ended, in words.
        converged: whether it ended because there is nothing more to gain.
        iterations: how many steps were taken.
        evaluations: how often the loss was computed.
        method: the name of the method.
        backend: what computed the loss: "native" or "numpy", a program; or "eager", the scalars, and why.
        x: the parameters as a vector, without those that are frozen.
        residuals, jacobian: for "lm" those at the minimum, of shape (m,) and (m, n); else None.
    """

    def __init__(self, search: _Search, method: str, backend: str, residuals: Array, jacobian: Array) -> None:
        self.loss, self.x = search.loss, search.x
        self.stopped, self.converged = search.reason, search.converged
        self.iterations, self.evaluations = search.iterations, search.evaluations
        self.method, self.backend = method, backend
        self.residuals, self.jacobian = residuals, jacobian

    @property
    def covariance(self) -> Array:
        """For "lm", the covariance of the parameters: s^2 (J^T J)^-1 with s^2 = loss / (m - n), of shape (n, n).

        The square roots of its diagonal are the standard errors. It holds where the residuals are independent errors of
        one unknown size, and the model is close to linear within them. It is infinite where the residuals do not tell
        all parameters apart.

        Raises:
            ValueError: there are no more residuals than parameters, or the method is not "lm".
        """
        if self.jacobian is None:
            raise ValueError(f'covariance: it comes from residuals, method="lm"; this is {self.method!r}')
        m, n = self.jacobian.shape
        if m <= n:
            raise ValueError(f"covariance: {m} residuals leave nothing to judge the errors of {n} parameters by")
        # by the triangle of J, scaled to columns of length 1: J^T J itself would have the square of its condition
        sizes = np.linalg.norm(self.jacobian, axis=0)
        sizes[sizes == 0.0] = 1.0
        triangle = np.linalg.qr(self.jacobian / sizes, mode="r")
        if np.linalg.matrix_rank(triangle) < n:
            return np.full((n, n), inf)
        inverse = np.linalg.inv(triangle) / sizes[:, None]
        return self.loss / (m - n) * (inverse @ inverse.T)

    def __repr__(self) -> str:
        return (
            f"Minimum(loss={self.loss:.6g}, stopped={self.stopped!r}, iterations={self.iterations}, "
            f"backend={self.backend!r})"
        )


def minimize(
    loss: Callable[..., Any], params: Any, method: str = "lbfgs", *, max_iter: int = 1000, tol: float = 1e-12,
    progress: bool | None = None, compiled: bool | BackendName = "auto",
) -> Minimum:  # fmt: skip
    """Change parameters until a loss is smallest, by SciPy's methods with exact derivatives.

    The loss is one graph of the parameters: for mini-batches and learning rates there is `fit`. It is folded to a
    program (`ag.fold`) where it always computes the same; where it branches on its numbers or draws at random the
    scalars compute it, which `backend` of the result says. The parameters get the best numbers at the end, all of them
    or none.

    Args:
        loss: a function without arguments, or of `params`, that gives the loss as a Value; for "lm" the residuals, a
            list or an array of Values.
        params: what to change: a Module, a Parameter, or a list, dict, array or other container of them. Those that are
            frozen stay.
        method: "lbfgs" (L-BFGS-B) uses gradients, and is for many parameters; "newton" (Newton-CG) and "trust"
            (trust-exact, beyond 300 parameters trust-ncg) use second derivatives; "lm" (Levenberg-Marquardt, MINPACK)
            is for the sum of the squares of residuals. The last three end with a few plain steps of Newton's method,
            which give the last digits, where there are at most 300 parameters.
        max_iter: the most iterations.
        tol: the search ends when two iterations in a row make the loss smaller by less than this share of it.
        progress: whether to show a bar; by default on a terminal and in a notebook.
        compiled: whether to use a program: "auto" where it can be one, run by NumPy if it is small, else by native code
            if there is some; True or a backend's name to have an error where it cannot; False for the scalars.

    Returns:
        A Minimum: `loss`, `stopped` in words, `converged`, `iterations`, `backend`; for "lm" `covariance`. Ctrl-C ends
        the search; the parameters are then the best so far.

    Raises:
        TypeError: loss is not a function, or gives something else; or params are not leaves.
        ValueError: there is nothing to change, no such method, or the loss or its gradient is not finite at the start.
        RuntimeError: compiled says so, and the loss cannot be a program.
        ImportError: SciPy is not installed.

        After an error the parameters are as before.

    Example:
        >>> x, y = ag.Parameter(-1.2), ag.Parameter(1.0)
        >>> found = ag.minimize(lambda: (1.0 - x) ** 2 + 100.0 * (y - x * x) ** 2, [x, y], method="newton")
        >>> found.converged, round(x.item(), 9), round(y.item(), 9)
        (True, 1.0, 1.0)
        >>> t, seen = [0.0, 1.0, 2.0, 3.0], [5.0, 3.1, 1.9, 1.1]
        >>> p = {"a": ag.Parameter(1.0), "k": ag.Parameter(1.0)}
        >>> fit = ag.minimize(lambda p: [p["a"] * ag.exp(-p["k"] * s) - z for s, z in zip(t, seen)], p, method="lm")
        >>> round(p["k"].item(), 4), (fit.covariance.diagonal() ** 0.5).round(3).tolist()
        (0.4909, [0.043, 0.009])

    Source: scipy.optimize; Nocedal and Wright, Numerical Optimization, 2006.
    """
    if not callable(loss):
        raise TypeError(f"minimize: loss must be a function, got {describe(loss)}")
    if not isinstance(method, str) or method not in METHODS:
        shown = repr(method) if isinstance(method, str) else describe(method)
        raise ValueError(f"minimize: method must be one of {', '.join(map(repr, METHODS))}, got {shown}")
    if progress is not None and not isinstance(progress, (bool, int)):
        raise TypeError(f"minimize: progress must be True, False or None, got {describe(progress)}")
    max_iter, tol = whole(max_iter, "minimize: max_iter"), setting(tol, "minimize: tol", 0.0)
    if not isinstance(compiled, bool):
        compiled = checked_backend(compiled, "minimize: compiled")
    if find_spec("scipy") is None:
        raise ImportError(needs("minimize", "SciPy", "scipy"))
    if isinstance(params, Iterator):
        params = list(params)
    live = _live(params)
    f = loss if _takes_nothing(loss) else lambda: loss(params)
    before = numbers_of(live)
    try:
        best, found = _search(f, live, np.array(before), method, max_iter, tol, progress, compiled)
        set_numbers(live, best.tolist())
    except BaseException:
        set_numbers(live, before)
        raise
    return found


def _live(params: Any) -> list[Value]:
    """The leaves to change, each once."""
    if isinstance(params, Set):
        params = list(params)
    parts = [params] if isinstance(params, Module) else flatten(params, "minimize: params", keep=True)[0]
    leaves: list[Any] = []
    for part in parts:
        leaves += part.parameters() if isinstance(part, Module) else [] if part is None else [part]
    for k, x in enumerate(leaves):
        if not isinstance(x, Value):
            raise TypeError(
                f"minimize: params must be Parameters, or Modules and containers of them; number {k} is {describe(x)}: "
                "make it an ag.Parameter"
            )
    checked_leaves(leaves, "minimize: params")
    live = [p for p in dict.fromkeys(leaves) if not getattr(p, "frozen", False)]
    if not live:
        raise ValueError(f"minimize: there is nothing to change: {'all are frozen' if leaves else 'no params'}")
    return live


def _takes_nothing(loss: Callable[..., Any]) -> bool:
    """Whether loss can be called without arguments."""
    try:
        inspect.signature(loss).bind()
    except TypeError:
        return False
    except ValueError:  # a function of C without a signature
        return True
    return True


class _Stop(Exception):
    """The search has a reason to end. It goes through SciPy's own loops."""


class _Stuck(Exception):
    """No step makes the loss smaller: it goes through SciPy's loops, which would go on."""


class _Search:
    """The best point so far, and when to stop."""

    def __init__(self, of: Objective, start: Array, max_iter: int, tol: float, advance: Advance) -> None:
        self.of, self.x, self.loss, self.slope = of, start, inf, inf
        self.max_iter, self.tol, self.advance = max_iter, tol, advance
        self.iterations = self.evaluations = self.small = self.idle = 0
        self.reason, self.converged = "", False
        self.steepest = 0.0
        """The slope at the start."""
        self.newton: bool | None = None
        """Whether Newton's steps at the end have converged; None where there were none."""
        self._worst, self._before = 0.0, inf

    def value_and_grad(self, x: Array) -> tuple[float, Array]:
        """The loss and its gradient; where one is not finite, a loss that no line search will keep."""
        loss, gradient = self.of.value_and_grad(x)
        if not self._saw(x, loss, np.isfinite(gradient).all()):
            return self._worst + 10.0 * (self._worst - self.loss) + abs(self.loss) + 1.0, np.zeros(len(x))
        if self.loss == loss:
            self.slope = float(np.max(np.abs(gradient)))
            self.steepest = self.steepest or self.slope
        return loss, gradient

    def residuals(self, x: Array) -> Array:
        """The residuals; where one is not finite, some that are far worse."""
        r = self.of.residuals(x)
        with np.errstate(over="ignore"):
            loss = float(r @ r)
        if not self._saw(x, loss, True):
            return np.full(len(r), 10.0 * ((self.loss + 1.0) / len(r)) ** 0.5)
        return r

    def _saw(self, x: Array, loss: float, finite: Any) -> bool:
        self.evaluations += 1
        if not (isfinite(loss) and finite):
            if self.evaluations == 1:
                what = "its gradient" if isfinite(loss) else f"{loss:g}"
                raise ValueError(f"minimize: at the start the loss is {what}" + " not finite" * isfinite(loss))
            return False
        self._worst = max(self._worst, loss)
        if loss < self.loss:
            self.x, self.loss = x.copy(), loss
        return True

    def iterated(self, _: Any = None) -> None:
        """Count an iteration, and stop the search if there is a reason."""
        self.iterations += 1
        self.advance({"loss": self.loss})
        gain, self._before = self._before - self.loss, self.loss
        self.idle = 0 if gain > 0.0 else self.idle + 1
        self.small = self.small + 1 if 0.0 < gain <= self.tol * abs(self.loss) else self.small * (gain == 0.0)
        if self.small >= 2:
            self.stop(f"the loss falls by less than {self.tol:g} of itself", True)
        if self.iterations >= self.max_iter:
            self.stop(f"max_iter: {self.max_iter} iterations", False)
        if self.idle >= STUCK:
            raise _Stuck

    def stop(self, reason: str, converged: bool) -> NoReturn:
        """End the search."""
        self.reason, self.converged = reason, converged
        raise _Stop


def _search(
    f: Callable[[], Any], live: list[Value], start: Array, method: str, max_iter: int, tol: float,
    progress: bool | None, compiled: bool | BackendName,
) -> tuple[Array, Minimum]:  # fmt: skip
    fits = method == "lm"
    of = objective(f, live, fits, start, compiled)
    with progress_bar(max_iter, "iteration", progress) as advance, np.errstate(all="ignore"):
        search = _Search(of, start, max_iter, tol, advance)
        try:
            with suppress(_Stop):
                METHODS[method](search)
        except KeyboardInterrupt:
            if not isfinite(search.loss):
                raise
            search.reason, search.converged = INTERRUPTED, False
        residuals = jacobian = None
        if fits:
            residuals, jacobian = of.residuals(search.x), of.jacobian(search.x)
    return search.x, Minimum(search, method, of.backend, residuals, jacobian)


# --- the methods ------------------------------------------------------------------------------------------------


def _lbfgs(search: _Search) -> None:
    minimize_lbfgs(
        search.value_and_grad, search.x, search.max_iter + 1, search.iterated, maxfun=10**9, gtol=0.0, ftol=0.0
    )
    _ended(search)


def _newton(search: _Search) -> None:
    _second_order(search, "Newton-CG", {"xtol": 0.0, "maxiter": search.max_iter + 1})


def _trust(search: _Search) -> None:
    name = "trust-exact" if len(search.x) <= DENSE else "trust-ncg"
    _second_order(search, name, {"gtol": 0.0, "maxiter": search.max_iter + 1, "max_trust_radius": 1e10})


def _second_order(search: _Search, name: str, options: dict[str, Any]) -> None:
    """One of SciPy's methods with second derivatives, in variables of which the loss curves alike at the start."""
    from scipy.optimize import minimize as scipy_minimize

    start, dense = search.x, len(search.x) <= DENSE
    search.value_and_grad(start)
    scale = np.ones(len(start))
    if dense:
        curvature = np.abs(np.diag(search.of.hessian(start)))
        curvature[~(np.isfinite(curvature) & (curvature > 0.0))] = 1.0
        scale = curvature**-0.5

    def value_and_grad(z: Array) -> tuple[float, Array]:
        loss, gradient = search.value_and_grad(z * scale)
        return loss, gradient * scale

    def hessian(z: Array) -> Array:
        if search.slope == 0.0 and np.array_equal(z * scale, search.x):
            raise _Stuck  # trust-exact fails where the gradient is 0 and the curvature negative, as of x**4 - x**2 at 0
        found = search.of.hessian(z * scale) * np.outer(scale, scale)
        # what the loss does not depend on stays: trust-exact goes as far as it may along a direction without curvature
        idle = np.flatnonzero(~found.any(1))
        found[idle, idle] = 1.0
        # asked for at points that are then not kept, too, where the loss is not finite
        return found if np.isfinite(found).all() else np.eye(len(z))

    second: dict[str, Any] = {"hess": hessian} if dense else {"hessp": search.of.hvp}

    def run() -> int:
        scipy_minimize(
            value_and_grad, start / scale, jac=True, method=name, callback=search.iterated, options=options, **second
        )
        return 0

    _to_the_end(search, run)


def _to_the_end(search: _Search, run: Callable[[], int]) -> None:
    """A method, and after it the last digits."""
    status = 0
    try:
        status = run()
    except _Stop:
        if search.converged:
            _last_digits(search)
        raise
    except _Stuck:
        pass
    _last_digits(search)
    _ended(search, status)


TOLERANCE = 2
"""least_squares' status where the loss falls by less than `ftol` of itself."""

EPS = 2.3e-16
"""The smallest tolerance that least_squares takes."""


def _lm(search: _Search) -> None:
    from scipy.optimize import least_squares

    last = start = search.x

    def jacobian(x: Array) -> Array:
        nonlocal last
        if not np.array_equal(x, last):
            last = x.copy()
            search.iterated()
        found = search.of.jacobian(x)
        if not np.isfinite(found).all():
            raise ValueError("minimize: a residual has a derivative that is not finite")
        search.slope = float(np.max(np.abs(2.0 * search.of.residuals(x) @ found)))
        search.steepest = search.steepest or search.slope
        return found

    def run() -> int:
        # MINPACK needs as many residuals as parameters
        way = {"method": "lm", "x_scale": "jac"} if len(search.of.residuals(start)) >= len(start) else {}
        found = least_squares(
            search.residuals, start, jacobian, max_nfev=100 * (search.max_iter + 1), ftol=max(search.tol, EPS),
            xtol=EPS, gtol=EPS, **way,
        )  # fmt: skip
        return int(found.status)

    _to_the_end(search, run)


METHODS: dict[str, Callable[[_Search], None]] = {"lbfgs": _lbfgs, "newton": _newton, "trust": _trust, "lm": _lm}


def _last_digits(search: _Search) -> None:
    """Steps of Newton's method from near the minimum, each of which doubles the digits, while they become shorter.

    The loss itself cannot show them: it is flat at its minimum, to half of the digits.
    """
    if len(search.x) > DENSE:
        return
    x, shortest, search.newton = search.x, inf, False
    for _ in range(LAST):
        loss, gradient = search.of.value_and_grad(x)
        hessian = search.of.hessian(x)
        if not (isfinite(loss) and loss <= search.loss + 1e-9 * abs(search.loss)):
            return
        curvature = np.diag(hessian)
        if not (np.isfinite(hessian).all() and (curvature > 0.0).all()):
            return
        scale = curvature**-0.5
        try:
            factor = np.linalg.cholesky(hessian * np.outer(scale, scale))
        except np.linalg.LinAlgError:  # not a minimum
            return
        step = scale * np.linalg.solve(factor.T, np.linalg.solve(factor, -gradient * scale))
        length = float(np.max(np.abs(step) / scale))
        if not length < shortest:
            return
        search.x, search.loss, shortest = x, loss, length
        search.slope = float(np.max(np.abs(gradient)))
        # it would make the loss smaller by 1e-10 of itself, or change no parameter by more than 1e-8
        search.newton = bool(length <= 1e-5 * abs(loss) ** 0.5 or (np.abs(step) <= 1e-8 * np.abs(x)).all())
        x = x + step


def _ended(search: _Search, status: int = 0) -> None:
    """The reason in words, where it was SciPy that ended the search; the status is that of least_squares."""
    if search.slope == 0.0:
        search.reason, search.converged = "the gradient is 0", True
    elif status == TOLERANCE:
        search.reason, search.converged = f"the loss falls by less than {search.tol:g} of itself", True
    elif search.newton:
        search.reason, search.converged = "Newton's steps have become too short to change anything", True
    else:
        search.reason = f"no step makes the loss smaller; the largest slope is {search.slope:.2g}"
        search.converged = search.newton is None and search.slope <= 1e-6 * search.steepest
