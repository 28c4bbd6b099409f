"""Every update rule, for the tests over all of them."""

from autograd_lite import optim

EVERY_RULE = {
    "SGD": lambda p: optim.SGD(p, 0.05),
    "momentum": lambda p: optim.SGD(p, 0.02, momentum=0.9),
    "Nesterov": lambda p: optim.SGD(p, 0.02, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "Adagrad": lambda p: optim.Adagrad(p, 0.5),
    "RMSprop": lambda p: optim.RMSprop(p, 0.02, momentum=0.5),
    "Adam": lambda p: optim.Adam(p, 0.1, clip_norm=5.0),
    "AdamW": lambda p: optim.AdamW(p, 0.1, weight_decay=1e-3),
    "dampened": lambda p: optim.SGD(p, 0.02, momentum=0.9, dampening=0.2),
    "Adadelta": lambda p: optim.Adadelta(p, 1.0, eps=1e-4),
    "Adamax": lambda p: optim.Adamax(p, 0.1),
    "NAdam": lambda p: optim.NAdam(p, 0.1),
    "RAdam": lambda p: optim.RAdam(p, 0.1, betas=(0.9, 0.99)),
    "Rprop": lambda p: optim.Rprop(p, 0.01),
    "Lion": lambda p: optim.Lion(p, optim.ExponentialDecay(0.1, 0.98)),
    "AMSGrad": lambda p: optim.Adam(p, 0.1, amsgrad=True),
    "centered": lambda p: optim.RMSprop(p, 0.02, centered=True),
    "averaged": lambda p: optim.Adam(p, 0.1).track_average(0.9),
    "groups": lambda p: optim.AdamW([{"params": p[:1], "lr": 0.05}, {"params": p[1:], "weight_decay": 0.0}], 0.1),
    "schedule": lambda p: optim.Adam(p, optim.ExponentialDecay(0.2, 0.99), corrected=False),
    "composed": lambda p: optim.Optimizer(p, 0.05, optim.ClipValue(3.0), optim.AddSign(1e-3), optim.Momentum(0.5)),
}
"""A name, and a function from parameters to an optimizer."""
