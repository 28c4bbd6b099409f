# Nothing is learned here, and no error is raised. Why?
import autograd_lite as ag

w, b = ag.Parameter(-1.5, name="w"), ag.Parameter(-0.5, name="b")
x = ag.Value(2.0, name="x")

loss = (ag.relu(w * x + b) - 1) ** 2
loss.backward()

print("dloss/dw =", w.grad)
