# Fill in the gradients from the top down; each blank has a hint.
import autograd_lite as ag

a, b, c = (ag.Parameter(v, name=n) for n, v in (("a", 2.0), ("b", -1.0), ("c", 3.0)))
d = a * b + c
loss = ag.relu(d) * a
loss.backward()
