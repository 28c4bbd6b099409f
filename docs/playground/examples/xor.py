# XOR: no straight line separates it, and a layer of four tanh does.
import autograd_lite as ag

X = [[0, 0], [0, 1], [1, 0], [1, 1]]
y = [0, 1, 1, 0]

model = ag.MLP(2, [4, 1], activation="tanh", output_activation="sigmoid", seed=3)
optimizer = ag.optim.Adam(model.parameters(), lr=0.1)

for step in range(101):
    optimizer.zero_grad()
    loss = ag.sum([ag.losses.binary_cross_entropy(model(row), t) for row, t in zip(X, y)])
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3d}  loss {loss.data:.4f}")

for row, t in zip(X, y):
    print(row, "->", round(model(row).data, 3), "should be", t)
