"""micrograd's demo three times: scalar by scalar, with fused neurons, and folded. python examples/moons.py

An MLP 2-16-16-1 learns to tell two half circles apart: hinge loss, an L2 term, 100 steps of gradient descent on all
100 points (--steps for fewer). The folded run does the same steps on a program of two dozen array instructions.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm import tqdm

import autograd_lite as ag

STEPS = 100


def moons(seed: int = 1337) -> tuple[list[list[float]], list[float]]:
    """100 points of two half circles with noise, labels -1 and 1."""
    rng = random.Random(seed)
    points, labels = [], []
    for i in range(100):
        angle, upper = rng.uniform(0.0, math.pi), i % 2 == 0
        x, y = (math.cos(angle), math.sin(angle)) if upper else (1.0 - math.cos(angle), 0.5 - math.sin(angle))
        points.append([x + rng.gauss(0.0, 0.1), y + rng.gauss(0.0, 0.1)])
        labels.append(1.0 if upper else -1.0)
    return points, labels


def loss_of(model: ag.MLP, points: list[list[float]], labels: list[float]) -> Any:
    """The mean hinge loss, and a little of the squares of the parameters."""
    hinge = [ag.relu(1.0 - y * model(x)) for x, y in zip(points, labels, strict=True)]
    return sum(hinge) * (1.0 / len(hinge)) + 1e-4 * sum(p * p for p in model.parameters())


def rate(step: int, steps: int) -> float:
    """The learning rate: 1, falling to 0.1."""
    return 1.0 - 0.9 * step / steps


def eager(model: ag.MLP, points: list[list[float]], labels: list[float], steps: int) -> float:
    """Train on the graph as it is: built anew at each step."""
    loss = 0.0
    for step in tqdm(range(steps), desc="eager ", unit="step"):
        total = loss_of(model, points, labels)
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= rate(step, steps) * p.grad
        loss = total.item()
    return loss


def folded(model: ag.MLP, points: list[list[float]], labels: list[float], steps: int) -> float:
    """Train on the fold of the graph: one vector of parameters, a few dozen array operations a step."""
    program = ag.fold(loss_of(model, points, labels), params=model.parameters())
    print(program)
    theta, loss = program.theta, 0.0
    for step in tqdm(range(steps), desc="folded", unit="step"):
        loss, gradient = program.loss_and_grad(theta)
        theta = theta - rate(step, steps) * gradient
    program.theta = theta
    return loss


def main(steps: int = STEPS) -> None:
    """Train both ways from the same weights, and compare."""
    points, labels = moons()
    trained = {}
    for train in (eager, folded):
        model = ag.MLP(2, [16, 16, 1], seed=1)
        seconds, loss = timed(train, model, points, labels, steps)
        right = np.mean(np.sign(model.predict(points)) == labels)
        print(f"{train.__name__}: loss {loss:.6f}, {right:.0%} right, {seconds:.2f} s")
        trained[train.__name__] = np.array([p.item() for p in model.parameters()])
    apart = np.abs(trained["eager"] - trained["folded"]).max()
    print(f"the parameters of the two differ by at most {apart:.1e}")


def timed(function: Callable[..., float], *arguments: Any) -> tuple[float, float]:
    """(seconds, result) of a call."""
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="micrograd's demo, eager and folded")
    parser.add_argument("--steps", type=int, default=STEPS)
    main(parser.parse_args().steps)
