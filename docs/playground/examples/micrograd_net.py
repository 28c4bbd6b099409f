# A binary classifier written for micrograd: max-margin loss, L2 regularization, gradient descent.
import random

from micrograd.nn import MLP

random.seed(1337)
X = [[random.uniform(-2, 2), random.uniform(-2, 2)] for _ in range(24)]
y = [1 if row[0] * row[0] + row[1] > 0.5 else -1 for row in X]

model = MLP(2, [8, 1])
for k in range(20):
    scores = [model(row) for row in X]
    losses = [(1 + -yi * si).relu() for yi, si in zip(y, scores)]
    loss = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())
    model.zero_grad()
    loss.backward()
    for p in model.parameters():
        p.data -= (0.5 - 0.4 * k / 20) * p.grad
    if k % 5 == 0 or k == 19:
        print(f"step {k} loss {loss.data:.4f}")
