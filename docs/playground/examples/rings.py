# A ring around a disc: the tab "Network" shows the boundary that the model has learned.
import math
import random

import autograd_lite as ag

random.seed(1)
X, y = [], []
for i in range(40):
    angle, inner = random.uniform(0, 2 * math.pi), i % 2 == 0
    radius = random.uniform(0, 0.8) if inner else random.uniform(1.4, 2.0)
    X.append([radius * math.cos(angle), radius * math.sin(angle)])
    y.append(1 if inner else -1)

model = ag.MLP(2, [8, 1], activation="tanh", seed=0)
optimizer = ag.optim.Adam(model.parameters(), lr=0.1)

for step in range(41):
    optimizer.zero_grad()
    loss = ag.mean([ag.relu(1 - t * model(row)) for row, t in zip(X, y)])  # hinge
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step:2d}  loss {loss.data:.4f}")
