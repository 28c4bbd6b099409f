"""Writes tests/optim/torch_tables.json: twenty steps of PyTorch's optimizers on a quadratic and on a small MLP.

    python -m tools.make_torch_tables        # once, where torch 2.13.0 is installed

The tests compare our optimizers and schedules with this table, and do not need torch.
"""

import argparse
import json
from pathlib import Path

try:
    import torch
except ImportError:  # --help works without it
    torch = None

PATH = Path(__file__).parents[1] / "tests" / "optim" / "torch_tables.json"
STEPS = 20

RULES = {  # name in the table: PyTorch's class and its arguments, which ours takes too
    "sgd": ("SGD", {"lr": 0.02}),
    "sgd_momentum": ("SGD", {"lr": 0.02, "momentum": 0.9}),
    "sgd_nesterov": ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
    "sgd_weight_decay": ("SGD", {"lr": 0.02, "momentum": 0.8, "weight_decay": 0.1}),
    "adagrad": ("Adagrad", {"lr": 0.1}),
    "adagrad_weight_decay": ("Adagrad", {"lr": 0.1, "weight_decay": 0.1, "eps": 1e-6}),
    "rmsprop": ("RMSprop", {"lr": 0.01}),
    "rmsprop_momentum": ("RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.5, "weight_decay": 0.1}),
    "adam": ("Adam", {"lr": 0.05}),
    "adam_weight_decay": ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    "adamw": ("AdamW", {"lr": 0.05, "weight_decay": 0.1}),
}

# a network 2-3-1 with tanh and squared error: rows of weights with the bias last, and three examples
HIDDEN = [[0.2, -0.5, 0.1], [0.7, 0.1, -0.1], [-0.3, 0.4, 0.2]]
OUTPUT = [[0.6, -0.2, 0.9, 0.0]]
DATA = [([1.0, -1.0], 0.5), ([0.25, 2.0], -1.0), ([-0.75, 0.5], 1.0)]


def quadratic(parameters):
    (p,) = parameters
    return p[0] ** 2 + 10.0 * p[1] ** 2


def network(parameters):
    hidden, output = parameters
    total = 0.0
    for x, y in DATA:
        h = torch.tanh(hidden[:, :-1] @ torch.tensor(x) + hidden[:, -1])
        total = total + (output[0, :-1] @ h + output[0, -1] - y) ** 2
    return total / len(DATA)


def trace(rule, settings, loss, start):
    parameters = [torch.tensor(p, requires_grad=True) for p in start]
    optimizer = getattr(torch.optim, rule)(parameters, **settings)
    rows = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(parameters).backward()
        optimizer.step()
        rows.append([x for p in parameters for x in p.detach().flatten().tolist()])
    return rows


def schedule(make):
    """The rates of one of PyTorch's schedulers over twelve epochs."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler, rates = make(optimizer), []
    for _ in range(12):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def plateau(losses):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    rates = []
    for loss in losses:
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step(loss)
    return rates


LOSSES = [1.0, 0.8, 0.79999, 0.81, 0.8, 0.82, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.6, 0.6]


def main() -> None:
    """Run PyTorch and write the table."""
    argparse.ArgumentParser(
        prog="python -m tools.make_torch_tables", description=__doc__.partition("\n")[0]
    ).parse_args()
    if torch is None:
        raise SystemExit("this needs torch: pip install torch==2.13.0")
    torch.set_default_dtype(torch.float64)
    lr_scheduler = torch.optim.lr_scheduler
    table = {
        "made by": f"tools/make_torch_tables.py with torch {torch.__version__}",
        "network": {"hidden": HIDDEN, "output": OUTPUT, "data": DATA},
        "rules": {
            name: {
                "rule": rule,
                "settings": settings,
                "quadratic": trace(rule, settings, quadratic, [[1.0, -2.0]]),
                "network": trace(rule, settings, network, [HIDDEN, OUTPUT]),
            }
            for name, (rule, settings) in RULES.items()
        },
        "schedules": {
            "StepLR": schedule(lambda o: lr_scheduler.StepLR(o, 3, gamma=0.5)),
            "ExponentialLR": schedule(lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
            "CosineAnnealingLR": schedule(lambda o: lr_scheduler.CosineAnnealingLR(o, 11, eta_min=0.01)),
        },
        "plateau": {"losses": LOSSES, "rates": plateau(LOSSES)},
    }
    PATH.write_text(json.dumps(table) + "\n")


if __name__ == "__main__":
    main()
