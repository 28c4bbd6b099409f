# The squared loss of a linear predictor, as on the slides.
import autograd_lite as ag

w1, w2 = ag.Parameter(3.0, name="w_1"), ag.Parameter(1.0, name="w_2")
x1, x2 = ag.Value(1.0, name="x_1"), ag.Value(2.0, name="x_2")
y = ag.Value(2.0, name="y")

residual = w1 * x1 + w2 * x2 - y
loss = residual**2
loss.backward()

print("dloss/dw1 =", w1.grad)
print("dloss/dw2 =", w2.grad)
