"""The guided tour: python -m autograd_lite.

The slides' example as a tape, the 3-2-1 network by hand and by engine, and an MLP trained on a real
data set, in under half a minute. A part that needs a missing optional package says which.
"""

from __future__ import annotations

import argparse
import io
import math
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import autograd_lite as ag

Rows = list[list[float]]


def slides_example(out: Path) -> None:
    """Loss = (w . phi - y)^2 with every forward and backward value."""
    heading("1. A loss is a graph (Stanford CS221: Loss = (w . phi - y)^2)")
    w1, w2 = ag.Parameter(3.0, name="w1"), ag.Parameter(1.0, name="w2")
    phi1, phi2, y = ag.Value(1.0, name="phi1"), ag.Value(2.0, name="phi2"), ag.Value(2.0, name="y")
    score = w1 * phi1 + w2 * phi2
    score.name = "score"
    residual = score - y
    residual.name = "residual"
    loss = residual**2
    loss.name = "loss"
    loss.backward()
    print(ag.tape(loss))
    print(f"\nThe gradient in w = [3, 1] is [{w1.grad:g}, {w2.grad:g}].")
    print(f"The graph as a picture: {saved(ag.draw(loss), out / 'loss.svg')}")
    steps = ag.step(loss, ag.optim.SGD([w1, w2], lr=0.05))
    print(f"Its backpropagation to step through, in a browser: {saved(steps, out / 'loss.html')}")


HAND = {"w": {"14": 0.2, "15": -0.3, "24": 0.4, "25": 0.1, "34": -0.5, "35": 0.2, "46": -0.3, "56": -0.2},
        "b": {"4": -0.4, "5": 0.2, "6": 0.1}}  # fmt: skip
"""Han and Kamber's 3-2-1 network: w["14"] leads from unit 1 to unit 4."""


def network_by_hand(x: Sequence[float], target: float, rate: float) -> dict[str, float]:
    """One step of gradient descent on E = (target - o6)^2 / 2, from the formulas of the slides."""
    w, b = dict(HAND["w"]), dict(HAND["b"])

    def sigmoid(z: float) -> float:
        return 1.0 / (1.0 + math.exp(-z))

    o = {"1": x[0], "2": x[1], "3": x[2]}
    for j, inputs in (("4", "123"), ("5", "123"), ("6", "45")):
        o[j] = sigmoid(sum(w[i + j] * o[i] for i in inputs) + b[j])
    err = {"6": o["6"] * (1 - o["6"]) * (target - o["6"])}
    for j in "45":
        err[j] = o[j] * (1 - o[j]) * err["6"] * w[j + "6"]
    after = {f"w{edge}": w[edge] + rate * err[edge[1]] * o[edge[0]] for edge in w}
    return {"o4": o["4"], "o5": o["5"], "o6": o["6"], **after, **{f"b{j}": b[j] + rate * err[j] for j in b}}


def network_by_engine(x: Sequence[float], target: float, rate: float, out: Path) -> dict[str, float]:
    """The same step by backward() and SGD."""
    model = ag.MLP(3, [2, 1], activation="sigmoid", output_activation="sigmoid")
    hidden, (last,) = model.layers[0].neurons, model.layers[1].neurons
    slots = {f"w{i}{j}": hidden[j - 4].w[i - 1] for j in (4, 5) for i in (1, 2, 3)}
    slots |= {"w46": last.w[0], "w56": last.w[1], "b4": hidden[0].b, "b5": hidden[1].b, "b6": last.b}
    for name, parameter in slots.items():
        parameter.data, parameter.name = HAND[name[0]][name[1:]], name
    output = model([ag.Value(number, name=f"x{i}") for i, number in enumerate(x, start=1)])
    loss = 0.5 * (target - output) ** 2
    loss.name = "E"
    loss.backward()
    dot = output.operands[0]
    found = {"o4": dot.operands[2].item(), "o5": dot.operands[3].item(), "o6": output.item()}
    print(f"The network as a picture: {saved(ag.draw(loss), out / 'network.svg')}\n")
    ag.optim.SGD(model.parameters(), lr=rate).step()
    return found | {name: parameter.item() for name, parameter in slots.items()}


def small_network(out: Path) -> None:
    """The 3-2-1 network by hand and by engine, side by side."""
    heading("2. One step of a 3-2-1 sigmoid network, by hand and by engine (Han and Kamber, Data Mining)")
    x, target, rate = [1.0, 0.0, 1.0], 1.0, 0.9
    engine = network_by_engine(x, target, rate, out)
    hand = network_by_hand(x, target, rate)
    print("        by hand    by engine")
    for name, value in hand.items():
        print(f"{name:>4} {value:10.6f} {engine[name]:12.6f}")
    worst = max(abs(hand[name] - engine[name]) for name in hand)
    print(f"The largest difference is {worst:.1g}.")


def breast_cancer() -> tuple[Rows, list[int], str] | None:
    """scikit-learn's breast cancer table with labels -1 and 1, or None without scikit-learn."""
    try:
        from sklearn.datasets import load_breast_cancer
    except ImportError:
        return None
    table = load_breast_cancer()
    labels = [1 if label else -1 for label in table.target.tolist()]
    return table.data.tolist(), labels, f"breast cancer ({len(labels)} tumours, 30 measurements each, scikit-learn)"


def two_moons(rng: random.Random) -> tuple[Rows, list[int], str]:
    """Two interleaving half circles, for a machine without scikit-learn."""
    rows, labels = [], []
    for i in range(300):
        angle = rng.uniform(0.0, math.pi)
        x, y = math.cos(angle), math.sin(angle)
        upper = i % 2 == 0
        centre = (x, y) if upper else (1.0 - x, 0.5 - y)
        rows.append([c + rng.gauss(0.0, 0.1) for c in centre])
        labels.append(1 if upper else -1)
    return rows, labels, "two moons (300 points, generated here)"


def standardise(train: Rows, test: Rows) -> tuple[Rows, Rows]:
    """Both sets, each column shifted and scaled to mean 0 and standard deviation 1 in the first."""
    columns = list(zip(*train, strict=True))
    means = [sum(column) / len(column) for column in columns]
    deviations = [math.sqrt(sum((x - m) ** 2 for x in c) / len(c)) or 1.0 for c, m in zip(columns, means, strict=True)]

    def scaled(rows: Rows) -> Rows:
        return [[(x - m) / s for x, m, s in zip(row, means, deviations, strict=True)] for row in rows]

    return scaled(train), scaled(test)


def split(labels: list[int], rng: random.Random) -> tuple[list[int], list[int]]:
    """A random quarter of each class, and the rest, as indices."""
    held_out, kept = [], []
    for label in sorted(set(labels)):
        indices = [i for i, other in enumerate(labels) if other == label]
        rng.shuffle(indices)
        quarter = len(indices) // 4
        held_out += indices[:quarter]
        kept += indices[quarter:]
    return held_out, kept


def train(seed: int, out: Path) -> float:
    """An MLP by mini-batch gradient descent on the hinge loss; the accuracy on the held-out part."""
    heading("3. An MLP on a real data set")
    rng = random.Random(seed)
    data = breast_cancer()
    if data is None:
        print("Left out: the breast cancer table, which needs scikit-learn (pip install 'autograd_lite[sklearn]').")
    rows, labels, what = data or two_moons(rng)
    held_out, kept = split(labels, rng)
    X_train, X_test = standardise([rows[i] for i in kept], [rows[i] for i in held_out])
    y_train, y_test = [labels[i] for i in kept], [labels[i] for i in held_out]
    model = ag.MLP(len(rows[0]), [8, 1], activation="tanh", seed=seed)
    optimizer = ag.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, l2=1e-3)
    print(f"{what}; {len(X_train)} to train on, {len(X_test)} held out.\n\n{model.summary()}\n")

    epochs, size = 10, 16
    for epoch, bar in progress(epochs, len(X_train)):
        order = list(range(len(X_train)))
        rng.shuffle(order)
        total = 0.0
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            optimizer.zero_grad()
            loss = ag.mean([ag.losses.hinge(model(X_train[i]), y_train[i]) for i in batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
            bar.update(len(batch))
        bar.write(
            f"epoch {epoch:2}  loss {total / len(order):.4f}  held-out accuracy {accuracy(model, X_test, y_test):.3f}"
        )
    found = accuracy(model, X_test, y_test)
    print(f"\nHeld-out accuracy: {found:.3f}")
    weights = out / "weights.csv"
    weights.write_text(
        "".join(f"{name},{x!r}\n" for name, x in model.state_dict().items()), encoding="utf-8", newline="\n"
    )
    print(f"The trained parameters, a name and a number a line: {weights}")
    return found


def accuracy(model: ag.MLP, rows: Rows, labels: list[int]) -> float:
    """The share of examples whose sign the model predicts correctly."""
    scores: list[float] = model.predict(rows).tolist()
    right = sum((score > 0.0) == (label > 0) for score, label in zip(scores, labels, strict=True))
    return right / len(labels)


def progress(epochs: int, examples: int) -> Any:
    """(epoch, bar) for each epoch; the bar counts examples; without a terminal it shows nothing."""
    from tqdm import tqdm

    with tqdm(total=epochs * examples, unit=" examples", disable=None, file=sys.stderr) as bar:
        for epoch in range(1, epochs + 1):
            yield epoch, bar


def saved(picture: Any, path: Path) -> Path:
    """Save a picture, and say where."""
    picture.save(path)
    return path


def heading(text: str) -> None:
    """A title over a part of the tour."""
    print(f"\n{text}\n{'-' * len(text)}\n")


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m autograd_lite", description="A guided tour of autograd_lite.")
    parser.add_argument("--out", default="autograd_lite_tour", type=Path, metavar="DIR",
                        help="where pictures and weights go (default: ./autograd_lite_tour)")  # fmt: skip
    parser.add_argument("--seed", default=0, type=int, help="of the split, the weights and the batches (default: 0)")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run the tour; 130 if it was interrupted."""
    options = arguments(given)
    start = time.perf_counter()
    for stream in (sys.stdout, sys.stderr):  # a file on Windows takes cp1252, and a folder may have any name
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"--out: cannot make the folder {options.out}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"autograd_lite {ag.__version__}: a guided tour")
    try:
        slides_example(options.out)
        small_network(options.out)
        train(options.seed, options.out)
    except OSError as error:
        print(f"--out: cannot write to {error.filename or options.out}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nInterrupted. What was finished is in {options.out}.", file=sys.stderr)
        return 130
    print(f"\nAll of it is in {options.out.resolve()} ({time.perf_counter() - start:.0f} s).")
    print("Next: README.md for the library, notebooks/ for the lessons.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
