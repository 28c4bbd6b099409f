"""Eager speed and memory, beside micrograd: python -m benchmarks.engine (needs micrograd, the extra `bench`).

The work is micrograd's own demo: an MLP 2-16-16-1 on 100 points of two moons, hinge loss and an L2 term, one
forward and one backward pass. Micrograd's program text runs on both engines.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import micrograd.engine
import micrograd.nn

import autograd_lite as ag
from autograd_lite.engine import graph
from benchmarks.measure import publish, side_by_side, table


class ScalarNeuron(micrograd.nn.Neuron):  # type: ignore[misc]
    """micrograd's neuron, written with * and +, over our Values."""

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        self.w = [ag.Value(0.0) for _ in range(nin)]
        self.b = ag.Value(0.0)
        self.nonlin = nonlin


def scalar_mlp(sizes: list[int]) -> Any:
    """micrograd's MLP with our Values in it: the same classes, the same program."""
    model = micrograd.nn.MLP(sizes[0], sizes[1:])
    for layer in model.layers:
        layer.neurons = [ScalarNeuron(len(n.w), nonlin=n.nonlin) for n in layer.neurons]
    return model


def moons(seed: int = 1337) -> tuple[list[list[float]], list[int]]:
    """100 points of two half circles with noise, labels -1 and 1."""
    from math import cos, pi, sin

    rng = random.Random(seed)
    points, labels = [], []
    for i in range(100):
        angle, upper = rng.uniform(0.0, pi), i % 2 == 0
        x, y = (cos(angle), sin(angle)) if upper else (1.0 - cos(angle), 0.5 - sin(angle))
        points.append([x + rng.gauss(0.0, 0.1), y + rng.gauss(0.0, 0.1)])
        labels.append(1 if upper else -1)
    return points, labels


def demo(value: Any, model: Any) -> Callable[[], Any]:
    """The demo's loss and gradient with one engine's Value and model: returns the loss."""
    X, y = moons()

    def run() -> Any:
        inputs = [list(map(value, row)) for row in X]
        scores = [model(row) for row in inputs]
        losses = [(1 + -yi * score).relu() for yi, score in zip(y, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        reg_loss = 1e-4 * sum(p * p for p in model.parameters())
        total = data_loss + reg_loss
        model.zero_grad()
        total.backward()
        return total

    return run


def check(runs: dict[str, tuple[Callable[[], Any], Any]]) -> int:
    """All engines give the same loss and gradients; the number of nodes of the second."""
    reference = None
    nodes = 0
    for name, (run, model) in runs.items():
        total = run()
        found = [total.data, *(p.grad for p in model.parameters())]
        reference = reference or found
        worst = max(abs(a - b) for a, b in zip(reference, found, strict=True))
        assert worst < 1e-12, (name, worst)
        if isinstance(total, ag.Value):
            nodes = max(nodes, len(graph.toposort(total)))
    return nodes


def bytes_a_node(value: Any, n: int = 60_000) -> float:
    """Memory of a graph of +, -, * and relu before backward, by tracemalloc, divided by its nodes."""
    x, y = value(1.5), value(-0.5)
    tracemalloc.start()
    kept = []
    for i in range(n // 4):
        a = x * y
        b = a + x
        c = b - a
        kept.append(c.relu())
        kept.append(i)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (size - sys.getsizeof(kept) - 28 * (n // 4)) / n


def chain(n: int = 1_000_000) -> tuple[float, float]:
    """Seconds to build x * c * c * ... and to run backward over it."""
    x = ag.Value(1.0)
    start = time.perf_counter()
    y = x
    for _ in range(n):
        y = y * 1.0000001
    built = time.perf_counter()
    y.backward()
    return built - start, time.perf_counter() - built


def micrograd_depth() -> int:
    """The longest chain of that kind that micrograd can differentiate at the default recursion limit."""

    def works(n: int) -> bool:
        x = micrograd.engine.Value(1.0)
        y = x
        for _ in range(n):
            y = y * 1.0000001
        try:
            y.backward()
        except RecursionError:
            return False
        return True

    low, high = 1, 4096
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if works(middle) else (low, middle)
    return low


def import_times(rounds: int = 9) -> tuple[float, float]:
    """Seconds for a bare interpreter, and for one that imports the package; in turn, medians."""

    # As for a user: with bytecode that the first import has written, even where this shell switches that off.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def timed(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        return time.perf_counter() - start

    pairs = [(timed("pass"), timed("import autograd_lite")) for _ in range(rounds + 1)][1:]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def engines() -> dict[str, tuple[Any, Any]]:
    """name: (Value, model), the three models with the same weights."""
    rng = random.Random(7)
    theirs = micrograd.nn.MLP(2, [16, 16, 1])
    for p in theirs.parameters():
        p.data = rng.uniform(-1.0, 1.0)
    ours, fused = scalar_mlp([2, 16, 16, 1]), ag.MLP(2, [16, 16, 1])
    for model in (ours, fused):
        for p, q in zip(model.parameters(), theirs.parameters(), strict=True):
            p.data = q.data
    return {"micrograd": (micrograd.engine.Value, theirs), "ours, * and +": (ag.Value, ours),
            "ours, Neuron": (float, fused)}  # fmt: skip


def lines() -> Iterator[str]:
    """The section, part by part."""
    made = engines()
    runs = {name: demo(value, model) for name, (value, model) in made.items()}
    nodes = check({name: (runs[name], made[name][1]) for name in runs})
    rows = []
    for collector in (True, False):
        times = side_by_side(runs, rounds=7, collector=collector)
        base = times["micrograd"]
        rows += [
            (name, "on" if collector else "off", f"{t * 1e3:.1f} ms", f"{base / t:.1f}") for name, t in times.items()
        ]
    yield f"Moons demo, loss and gradient ({nodes:,} nodes when written with * and +); equal to 1e-12 in all three.\n"
    yield table(("engine", "collector", "median", "times as fast as micrograd"), rows)
    theirs, ours = bytes_a_node(micrograd.engine.Value), bytes_a_node(ag.Value)
    build, back = chain()
    bare, imported = import_times()
    yield "\n" + table(
        ("", "micrograd", "ours"),
        [
            ("bytes a node (+ - * relu, before backward)", f"{theirs:.0f}", f"{ours:.0f}"),
            ("chain of 1,000,000: build + backward", f"RecursionError beyond {micrograd_depth()}",
             f"{build:.2f} s + {back:.2f} s"),
            ("import, above a bare interpreter", "", f"{(imported - bare) * 1e3:.0f} ms (bare: {bare * 1e3:.0f} ms)"),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    publish("Engine, eager (benchmarks/engine.py)", "\n".join(lines()))
