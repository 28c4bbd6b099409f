# One neuron, one example, one step of gradient descent: the last steps show the update.
import autograd_lite as ag

w = [ag.Parameter(0.5, name="w_1"), ag.Parameter(-1.0, name="w_2")]
b = ag.Parameter(0.2, name="b")
x, target = [1.0, 0.5], 1.0

out = ag.tanh(w[0] * x[0] + w[1] * x[1] + b)
loss = (out - target) ** 2
loss.backward()

optimizer = ag.optim.SGD([*w, b], lr=0.1)
