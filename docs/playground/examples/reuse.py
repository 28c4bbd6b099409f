# a is used twice: its gradient is the sum over both ways. Play the steps and watch it grow.
import autograd_lite as ag

a, b = ag.Parameter(2.0, name="a"), ag.Parameter(-3.0, name="b")
c = a * b
loss = c + a**2
loss.backward()

print("dloss/da = b + 2a =", a.grad)
