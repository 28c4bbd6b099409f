# Newton's method: the derivative of a derivative, by the same graph.
import autograd_lite as ag


def f(x):
    return x**4 - 3 * x**2 + x


x = 2.0
for step in range(6):
    slope, curvature = ag.grad(f)(x), ag.grad(ag.grad(f))(x)
    print(f"x = {x:.10f}  f' = {slope:.2e}  f'' = {curvature:.4f}")
    x -= slope / curvature

at = ag.Value(x, name="x")
minimum = f(at)
minimum.backward()
