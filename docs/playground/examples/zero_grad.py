# Three steps of training, without optimizer.zero_grad(): the gradients add up.
import autograd_lite as ag

w = ag.Parameter(3.0, name="w")
x, y = 2.0, 1.0

for step in range(3):
    loss = (w * x - y) ** 2
    loss.backward()

print("w.grad is", w.grad, "but one pass gives", ag.gradients(loss, w))
