"""L-BFGS over SciPy: for whole batches, where the loss is a smooth function of few thousand parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from autograd_lite.engine.atomic import set_numbers
from autograd_lite.engine.checks import as_float, describe, needs, numpy_for, setting, whole
from autograd_lite.engine.reading import grads_of, numbers_of
from autograd_lite.engine.value import Value
from autograd_lite.optim.optimizer import Optimizer

if TYPE_CHECKING:
    import numpy as np


def minimize_lbfgs(
    value_and_grad: Callable[[Any], tuple[float, Any]], theta: Any, max_iter: int,
    callback: Callable[[Any], Any] | None = None, **options: Any,
) -> Any:  # fmt: skip
    """SciPy's result of `minimize(method="L-BFGS-B")`, where value_and_grad(theta) is (loss, gradient)."""
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise ImportError(needs("L-BFGS", "SciPy", "scipy")) from None
    return minimize(
        value_and_grad, theta, method="L-BFGS-B", jac=True, callback=callback, options={"maxiter": max_iter, **options}
    )


class LBFGS:
    """L-BFGS: steps by the curvature that the last gradients show, each with a line search, over SciPy.

    Args:
        params: the leaves to change, Parameters or Values; those that are frozen stay.
        max_iter: the most iterations of one `step`.
        max_eval: the most evaluations of the loss in one `step`.
        tolerance_grad: end when no component of the gradient is larger.
        tolerance_change: end when the loss changes by less than this, relative to its size.
        history_size: the number of gradients kept.

    Raises:
        TypeError: params are not leaves, or a setting is not a number.
        ValueError: there are no params, or a setting is out of its range.
        ImportError: SciPy is not installed.

    Example:
        >>> x, y = ag.Parameter(-1.2), ag.Parameter(1.0)
        >>> optimizer = ag.optim.LBFGS([x, y], max_iter=100)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (1.0 - x) ** 2 + 100.0 * (y - x * x) ** 2
        ...     loss.backward()
        ...     return loss
        >>> optimizer.step(closure) < 1e-9, round(x.item(), 3), round(y.item(), 3)
        (True, 1.0, 1.0)

    In `fit` an epoch is one step, on all examples.

    Source: Liu and Nocedal, On the limited memory BFGS method, 1989; scipy.optimize's L-BFGS-B. The call is that of
    PyTorch's LBFGS with a line search.
    """

    lr = 1.0
    """What a step is multiplied by: the line search has found its length."""
    allow_nonfinite = False

    def __init__(
        self, params: Iterable[Value], *, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 10,
    ) -> None:  # fmt: skip
        self.params: list[Value] = Optimizer(params, 1.0).params
        self.max_iter: int = whole(max_iter, "LBFGS: max_iter")
        self.max_eval: int = self.max_iter * 5 // 4 if max_eval is None else whole(max_eval, "LBFGS: max_eval")
        self.tolerance_grad: float = setting(tolerance_grad, "LBFGS: tolerance_grad", 0.0)
        self.tolerance_change: float = setting(tolerance_change, "LBFGS: tolerance_change", 0.0)
        self.history_size: int = whole(history_size, "LBFGS: history_size")
        self.result: Any = None
        """SciPy's result of the last `step`: its message, the numbers of iterations and evaluations."""

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0."""
        for p in self.params:
            p.grad = 0.0

    def step(self, closure: Callable[[], Any]) -> float:
        """Minimise: closure sets gradients to 0, computes the loss, calls backward and returns the loss.

        Returns:
            The loss at the end, where the parameters now are.

        Raises:
            TypeError: closure is not a function, or returns neither a Value nor a number.
            ValueError: every parameter is frozen.

        If closure raises, the parameters are as before the step.
        """
        if not callable(closure):
            raise TypeError(f"LBFGS.step: closure must be a function that returns the loss, got {describe(closure)}")
        live = self.live

        def value_and_grad(theta: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
            np = numpy_for("LBFGS.step")

            set_numbers(live, theta.tolist())
            loss = closure()
            loss = loss.item() if isinstance(loss, Value) else as_float(loss, "LBFGS.step: what closure returns")
            return loss, np.array(grads_of(live))

        return self.run(value_and_grad)

    @property
    def live(self) -> list[Value]:
        """The parameters that are not frozen."""
        live = [p for p in self.params if not getattr(p, "frozen", False)]
        if not live:
            raise ValueError("LBFGS.step: every parameter is frozen")
        return live

    def run(self, value_and_grad: Callable[[Any], tuple[float, Any]]) -> float:
        """The same of a function of the numbers of `live`, as one vector, that gives (loss, gradient)."""
        live = self.live
        before = numbers_of(live)
        try:
            self.result = minimize_lbfgs(
                value_and_grad, before, self.max_iter, maxfun=self.max_eval, gtol=self.tolerance_grad,
                ftol=self.tolerance_change, maxcor=self.history_size,
            )  # fmt: skip
        except BaseException:
            set_numbers(live, before)
            raise
        set_numbers(live, self.result.x.tolist())
        return float(self.result.fun)

    @property
    def stopped(self) -> str:
        """Why the last step ended before its last iteration, in words; empty if more steps may help."""
        result = self.result
        if result is None or result.status == 1:  # all iterations or evaluations
            return ""
        if result.status != 0:
            return "no step makes the loss smaller"
        if max(map(abs, result.jac)) <= self.tolerance_grad:
            return f"no component of the gradient is larger than {self.tolerance_grad:g}"
        return f"the loss falls by less than {self.tolerance_change:g} of itself"

    def __repr__(self) -> str:
        return f"LBFGS({len(self.params)} parameters, max_iter={self.max_iter})"
