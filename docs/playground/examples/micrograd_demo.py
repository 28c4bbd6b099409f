# A program written for micrograd runs as it is: two inputs, two uses of the first, a relu.
from micrograd.engine import Value

x = Value(-1.5)
y = Value(2.0)
u = x * y + 4
v = (u - x).relu() + u**2 / 3.0
w = v * 2 - y
w += 5.0 / v
w.backward()

print(f"w     = {w.data:.4f}")
print(f"dw/dx = {x.grad:.4f}")
print(f"dw/dy = {y.grad:.4f}")
