# Move a slider: every number answers. Where is the gradient in w zero, and why?
import autograd_lite as ag

w, b = ag.Parameter(1.0, name="w"), ag.Parameter(0.0, name="b")
x, y = ag.Value(0.5, name="x"), ag.Value(0.8, name="y")

out = ag.sigmoid(w * x + b)
loss = (out - y) ** 2
loss.backward()
