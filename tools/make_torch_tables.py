"""Writes tests/optim/torch_tables.json: 50 steps of PyTorch's and optax' rules on a quadratic and on a small MLP.

    python -m tools.make_torch_tables        # once, where torch 2.14.1 is installed
    python -m tools.make_torch_tables --optax  # then what only optax has, where optax 0.2.8 is installed

The tests compare our optimizers and schedules with this table, and need neither.
"""

import argparse
import json
from pathlib import Path

try:
    import torch
except ImportError:  # --help works without it
    torch = None

PATH = Path(__file__).parents[1] / "tests" / "optim" / "torch_tables.json"
STEPS = 50

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
    "sgd_dampening": ("SGD", {"lr": 0.02, "momentum": 0.9, "dampening": 0.3}),
    "adagrad_initial": ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.1}),
    "rmsprop_centered": ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5}),
    "adam_amsgrad": ("Adam", {"lr": 0.3, "amsgrad": True}),
    "adamw_amsgrad": ("AdamW", {"lr": 0.3, "betas": (0.8, 0.9), "weight_decay": 0.1, "amsgrad": True}),
    "adadelta": ("Adadelta", {"lr": 1.0}),
    "adadelta_weight_decay": ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
    "adamax": ("Adamax", {"lr": 0.05}),
    "adamax_weight_decay": ("Adamax", {"lr": 0.05, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    "nadam": ("NAdam", {"lr": 0.05}),
    "nadam_decoupled": ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    "nadam_weight_decay": ("NAdam", {"lr": 0.05, "momentum_decay": 0.1, "weight_decay": 0.1}),
    "radam": ("RAdam", {"lr": 0.05}),
    "radam_weight_decay": ("RAdam", {"lr": 0.05, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    "radam_decoupled": ("RAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    "rprop": ("Rprop", {"lr": 0.01}),
    "rprop_settings": ("Rprop", {"lr": 0.1, "etas": (0.4, 1.3), "step_sizes": (1e-3, 0.2)}),
}

LION = {  # from optax, since PyTorch has none: name in the table, our arguments
    "lion": {"lr": 0.02},
    "lion_weight_decay": {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.1},
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


def groups():
    """AdamW on the network with a rate and no decay of its own for the output layer, and an average of all weights."""
    parameters = [torch.tensor(p, requires_grad=True) for p in (HIDDEN, OUTPUT)]
    hidden, output = parameters
    settings = [{"params": [hidden]}, {"params": [output], "lr": 0.01, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(settings, lr=0.05, weight_decay=0.1)
    averages = torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    kept, rows, averaged = [p.detach().clone() for p in parameters], [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        network(parameters).backward()
        optimizer.step()
        now = [p.detach().clone() for p in parameters]
        if step:
            averages(kept, now, step)
        else:
            kept = now
        rows.append([x for p in now for x in p.flatten().tolist()])
        averaged.append([x for p in kept for x in p.flatten().tolist()])
    return {"network": rows, "averages": averaged, "decay": 0.9}


def lion(settings, loss, start):
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    given = {"lr": 0.02, "betas": (0.9, 0.99), "weight_decay": 0.0} | settings
    rule = optax.lion(given["lr"], *given["betas"], weight_decay=given["weight_decay"])
    parameters = [jax.numpy.array(p) for p in start]
    state, rows = rule.init(parameters), []
    for _ in range(STEPS):
        updates, state = rule.update(jax.grad(loss)(parameters), state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        rows.append([x for p in parameters for x in p.flatten().tolist()])
    return rows


def add_lion():
    """Add optax' rows to the table that is there."""
    import jax.numpy as jnp
    import optax

    def tanh_network(parameters):
        hidden, output = parameters
        total = 0.0
        for x, y in DATA:
            h = jnp.tanh(hidden[:, :-1] @ jnp.array(x) + hidden[:, -1])
            total = total + (output[0, :-1] @ h + output[0, -1] - y) ** 2
        return total / len(DATA)

    table = json.loads(PATH.read_text(encoding="utf-8"))
    for name, settings in LION.items():
        table["rules"][name] = {
            "rule": "Lion",
            "settings": settings,
            "quadratic": lion(settings, quadratic, [[1.0, -2.0]]),
            "network": lion(settings, tanh_network, [HIDDEN, OUTPUT]),
        }
    table["made by"] = table["made by"].partition(", lion")[0] + f", lion with optax {optax.__version__}"
    PATH.write_text(json.dumps(table) + "\n", encoding="utf-8")


def schedule(make, lr=0.1, epochs=12):
    """The rates of one of PyTorch's schedulers over some epochs."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler, rates = make(optimizer), []
    for _ in range(epochs):
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
    parser = argparse.ArgumentParser(prog="python -m tools.make_torch_tables", description=__doc__.partition("\n")[0])
    parser.add_argument("--optax", action="store_true", help="add what only optax has")
    if parser.parse_args().optax:
        add_lion()
        return
    if torch is None:
        raise SystemExit("this needs torch: pip install torch==2.14.1")
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
            "CosineAnnealingWarmRestarts": schedule(
                lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5, T_mult=2, eta_min=0.01), epochs=50
            ),
            "OneCycleLR": schedule(lambda o: lr_scheduler.OneCycleLR(o, 0.5, total_steps=51), epochs=50),
            "OneCycleLR linear": schedule(
                lambda o: lr_scheduler.OneCycleLR(
                    o, 0.5, total_steps=51, pct_start=0.4, anneal_strategy="linear", div_factor=10, final_div_factor=100
                ),
                epochs=50,
            ),
            "PolynomialLR": schedule(lambda o: lr_scheduler.PolynomialLR(o, 40, power=1.5), epochs=50),
            "LinearLR": schedule(
                lambda o: lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=0.2, total_iters=30), epochs=50
            ),
            "MultiStepLR": schedule(lambda o: lr_scheduler.MultiStepLR(o, [5, 20, 21], gamma=0.5), epochs=50),
        },
        "groups": groups(),
        "plateau": {"losses": LOSSES, "rates": plateau(LOSSES)},
    }
    PATH.write_text(json.dumps(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
