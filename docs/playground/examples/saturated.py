# Each sigmoid multiplies the gradient by at most 1/4: little is left after ten of them.
import autograd_lite as ag

w = ag.Parameter(0.5, name="w")
h = w * 4.0
for _ in range(10):
    h = ag.sigmoid(h * 0.8)
loss = (h - 1.0) ** 2
loss.backward()

print("dloss/dw =", w.grad)
