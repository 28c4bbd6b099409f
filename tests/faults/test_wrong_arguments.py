"""Wrong arguments: every public function and constructor, each argument in turn, with a table of things that it is not.

What refuses them is a line of this package with a message of ours, of a kind that callers catch, in one traceback.
"""

import contextlib
import decimal
import inspect
import io
import math
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine import checks, functions
from autograd_lite.engine.rules import newest

WRONG = {
    "None": None, "5": 5, "'x'": "x", "[]": [], "0-d": np.array(2.0), "sNaN": decimal.Decimal("sNaN"), "nan": math.nan,
    "inf": math.inf, "huge": 10**400, "1e300": 1e300, "-1": -1, "object": object(), "[None]": [None], "{}": {},
    "array": np.ones((2, 2)), "complex": 1j,
}  # fmt: skip
ENDLESS = {("fit", "epochs"), ("fit", "patience"), ("quiz", "count")}
"""Arguments for which a huge number is a valid one."""
ELSEWHERE = {("jacobian", 1), ("hessian", 1)}
"""Flags that are read as Python reads them."""

X, Y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.2]], [0.0, 1.0, 1.0, 0.0]


def square(v):
    return v * v if isinstance(v, (ag.Value, float)) else ag.sum(v)


def loss():
    return (ag.Parameter(0.5, name="w") * 3 + 1) ** 2


def pair():
    v = ag.Value(1.0)
    return [v * v, v]


def net():
    return ag.MLP(2, [2, 1], seed=0)


def params():
    return [ag.Parameter(1.0)]


MODELS = {
    "MLP": net,
    "Layer": lambda: ag.Layer(2, 2, seed=0),
    "Neuron": lambda: ag.Neuron(2, seed=0),
    "Perceptron": lambda: ag.Perceptron(2),
    "Network": lambda: ag.Network([(0, 2), (1, 2)]),
}


def pair_to_minimize():
    w = [ag.Parameter(0.5), ag.Parameter(1.5)]
    return [lambda: (w[0] - 1.0) ** 2 + (w[0] - w[1]) ** 2, w]


def assigned(name):
    return lambda x: setattr(ag.Value(1.0), name, x)


def cases():
    """name -> (function, a function that makes valid arguments, valid keywords)."""
    o, k = ag.optim, {"init": "he", "seed": 0}
    for n in functions.__all__:
        row = newest(functions.ALIASES.get(n, n))
        if n in ("softmax", "log_softmax") or row.variadic:
            yield n, getattr(ag, n), lambda: [[1.0, 2.0]], {}
        else:
            yield n, getattr(ag, n), lambda row=row: [1 if x == row.setting else 0.5 for x in row.operands], {}
    yield "dot", ag.dot, lambda: [[1.0, 2.0], [3.0, 4.0], 1.0], {}
    yield "Value", ag.Value, lambda: [1.0, "a"], {}
    yield "Parameter", ag.Parameter, lambda: [1.0, "a"], {}
    yield "backward", (ag.Value(1.0) * 2).backward, lambda: [1.0], {}
    yield from ((n, assigned(n), lambda x=x: [x], {}) for n, x in (("data", 1.0), ("grad", 1.0), ("name", "a")))
    yield "scope", ag.scope, lambda: ["a"], {}
    yield "primitive", ag.primitive, lambda: ["wrong_arguments", "a * 2", "2", "p"], {}
    yield "array", ag.array, lambda: [[1.0, 2.0]], {}
    yield "lookup", ag.lookup, lambda: [[1.0, 2.0], 0], {}
    yield "gradients", ag.gradients, pair, {}
    for n in ("grad", "value_and_grad", "jacobian", "hessian"):
        yield n, lambda f, *more, n=n: getattr(ag, n)(f, *more)(0.5), lambda: [square], {}
        yield f"{n} at", lambda x, n=n: getattr(ag, n)(square)(x), lambda: [0.5], {}
    yield "hvp", ag.hvp, lambda: [square, 0.5, 1.0], {}
    yield "jvp", ag.jvp, lambda: [square, (0.5,), (1.0,)], {}
    yield "vjp", ag.vjp, lambda: [square, 0.5], {}
    yield "gradcheck", ag.gradcheck, lambda: [square, 0.5], {}
    yield "explain", ag.explain, pair, {}
    yield "diagnose", ag.diagnose, lambda: [loss()], {"small": 1e-9, "large": 1e6}
    yield "source_of", ag.source_of, lambda: [ag.Value(1.0)], {}
    yield "fold", ag.fold, lambda: [loss()], {}
    yield "compile", lambda f: ag.compile(f)(0.5), lambda: [square], {}
    options = {"direction": "BT", "fold": False, "explain": None, "depth": None, "compare": None}
    yield "draw", ag.draw, lambda: [loss()], options
    yield "step", ag.step, lambda: [loss()], {"optimizer": None, "direction": "BT"}
    yield "quiz", ag.quiz, lambda: [loss(), "g"], {"count": 1, "seed": 0, "direction": "BT"}
    yield "tape", ag.tape, lambda: [loss()], {}
    yield "explore", ag.explore, lambda: [square], {"v": (0.0, 1.0)}
    yield "formula", ag.formula, lambda: [loss()], {}
    yield "to_sympy", ag.to_sympy, lambda: [loss()], {}
    yield "propagate", ag.propagate, lambda: [square, 0.5, 0.1], {}
    solving = {"method": "lbfgs", "max_iter": 3, "tol": 1e-8, "progress": False, "compiled": False}
    yield "minimize", ag.minimize, pair_to_minimize, solving
    yield "MLP", ag.MLP, lambda: [2, [2, 1], "relu", "tanh"], k
    yield "Layer", ag.Layer, lambda: [2, 2, "relu"], {**k, "nonlin": True}
    yield "Neuron", ag.Neuron, lambda: [2, "relu"], {**k, "nonlin": True}
    yield "Perceptron", ag.Perceptron, lambda: [2], {"init": 0.0, "seed": 0}
    network = {"activation": "relu", "inputs": [0, 1], "outputs": [2], "bias": True}
    yield "Network", ag.Network, lambda: [[(0, 2), (1, 2)]], {**k, **network}
    for n, make in MODELS.items():
        yield f"{n} called", lambda x, make=make: make()(x), lambda: [[1.0, 2.0]], {}
        yield f"{n} loaded", lambda x, make=make: make().load_state_dict(x), lambda make=make: [make().state_dict()], {}
        if n != "Network":
            yield f"{n}.predict", lambda x, make=make: make().predict(x), lambda: [X], {}
    yield "Perceptron.fit", lambda X, y: ag.Perceptron(2).fit(X, y), lambda: [X, [-1, 1, 1, -1]], {}
    training = {
        "loss": "squared_error", "optimizer": "sgd", "epochs": 1, "batch_size": 2, "validation": 0.25, "metrics": (),
        "callbacks": (), "seed": 0, "parameters": None, "penalty": None, "schedule": None, "patience": 1,
        "min_delta": 0.0, "checkpoint": None, "resume": None,
    }  # fmt: skip
    yield "fit", lambda *x, **y: ag.fit(net(), *x, **y), lambda: [X, Y], training
    yield "fit model", lambda model: ag.fit(model, X, Y, epochs=1), lambda: [net()], {}
    yield "save", ag.save, lambda: [net(), "saved.json"], {}
    yield "load", ag.load, lambda: ["saved.json"], {}
    for n, f in ag.losses.LOSSES.items():
        yield f"losses.{n}", f, lambda n=n: [[0.1, 0.2], 1] if n == "cross_entropy" else [0.5, 1.0], {}
    yield from ((f"losses.{n}", getattr(ag.losses, n), lambda: [params(), 1e-3], {}) for n in ("l1", "l2"))
    for rule in (o.SGD, o.Adam, o.AdamW, o.Adagrad, o.RMSprop):
        given = inspect.signature(rule.__init__).parameters.values()
        yield rule.__name__, rule, lambda: [params()], {p.name: p.default for p in given if p.default is not p.empty}
    yield "Optimizer", o.Optimizer, lambda: [params(), 0.1], {}
    for f, *arguments in (
        (o.Constant, 0.1), (o.CosineDecay, 0.1, 10, 0.0), (o.ExponentialDecay, 0.1, 0.5),
        (o.WarmUp, 3, o.Constant(0.1)),
        (o.InverseTimeDecay, 0.1, 0.5), (o.PiecewiseConstant, [1], [0.1, 0.2]), (o.StepDecay, 0.1, 0.5, 2),
        (o.ReduceOnPlateau, 0.1, 0.5, 2, 1e-3, 0.0), (o.ClipByGlobalNorm, 1.0), (o.ClipValue, 1.0),
        (o.Momentum, 0.9, False), (o.AddDecayedWeights, 0.1), (o.ScaleByAdam, (0.9, 0.99), 1e-8),
        (o.ScaleByRMS, 0.9, 1e-8), (o.ScaleByAdagrad, 1e-8),
    ):  # fmt: skip
        yield f.__name__, f, lambda arguments=arguments: list(arguments), {}
    for n in ("uniform", "normal"):
        yield f"nn.{n}", lambda x, n=n: ag.Neuron(2, init=getattr(ag.nn, n)(x), seed=0), lambda: [0.1], {}


CASES = {name: case for name, *case in cases()}
KINDS = (TypeError, ValueError, OverflowError, RuntimeError, IndexError, FloatingPointError, OSError)


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_argument_is_refused_in_our_words(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a path called "x" is a path
    ag.save(net(), "saved.json")
    function, valid, options = CASES[name]
    found = []

    def call_each():
        function(*valid(), **options)
        for place in [*range(len(valid())), *options]:
            for what, wrong in WRONG.items():
                if what == "huge" and (name, place) in ENDLESS:
                    continue
                arguments, keywords = valid(), dict(options)
                (arguments if isinstance(place, int) else keywords)[place] = wrong
                try:
                    function(*arguments, **keywords)
                except Exception as error:
                    raised = traceback.extract_tb(error.__traceback__)[-1]
                    ours = "autograd_lite" in raised.filename and "raise" in raised.line
                    ours |= isinstance(error, OSError)  # of a path: the system's message names it
                    shown = "".join(traceback.format_exception(error))
                    if not (ours and isinstance(error, KINDS) and shown.count("Traceback") == 1):
                        found.append(f"{place} = {what}: {type(error).__name__}: {error} ({raised.line})")

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with ThreadPoolExecutor(1) as pool:  # in a new thread no exception of an earlier test is still current
            pool.submit(call_each).result()
    assert not found, "\n".join(found)


def test_every_public_name_is_in_the_table():
    without = {"History", "Program", "Module", "no_grad", "detect_anomaly", "record_source", "versions", *ag._MODULES}
    assert {x for x in ag.__all__ if x not in CASES} <= without


@pytest.mark.parametrize("name", MODELS)
def test_many_examples_at_once_are_told_what_to_call(name):
    frames = [np.ones((3, 2)), [[1.0, 2.0], [3.0, 4.0]], ((1, 2),)]
    for matrix in frames:
        with pytest.raises(TypeError, match=r"one example.*\[model\(x\) for x in X\], or model\.predict\(X\)"):
            MODELS[name]()(matrix)


@pytest.mark.parametrize(
    ("call", "given", "meant"),
    [
        *(("loss", x, "mean_squared_error") for x in ("mse", "MSE", "MSELoss", "mean_squared-error")),
        *(("loss", x, "binary_cross_entropy") for x in ("bce", "BCE", "BCELoss")),
        *(("loss", x, "absolute_error") for x in ("mae", "MAE", "L1Loss")),
        *(("loss", x, "cross_entropy") for x in ("ce", "CrossEntropyLoss", "crossentropy")),
        ("loss", "Hinge", "hinge"), ("loss", "BCEWithLogitsLoss", "binary_cross_entropy_with_logits"),
        *(("activation", x, "relu") for x in ("ReLU", "RELU", "Relu", "rectifier")),
        ("activation", "LeakyReLU", "leaky_relu"), ("activation", "swish", "silu"), ("activation", "Tanh", "tanh"),
        ("activation", "logistic", "sigmoid"), ("activation", "none", "linear"),
        ("optimizer", "rms_prop", "rmsprop"), ("optimizer", "Adam-W", "adamw"), ("optimizer", "GD", "sgd"),
        *(("init", x, "glorot") for x in ("xavier", "Glorot", "Xavier")), ("init", "kaiming", "he"),
        ("init", "Gaussian", "normal"),
        ("metrics", "acc", "accuracy"), ("metrics", "Accuracy", "accuracy"),
    ],
)  # fmt: skip
def test_a_name_in_any_case_and_the_usual_short_ones_work(call, given, meant):
    """They give what the name of ours gives, to the bit."""
    states = []
    for name in (given, meant):
        settings = {"activation": "relu", "init": "glorot"} | ({call: name} if call in ("activation", "init") else {})
        model = ag.MLP(2, [2, 2 if meant == "cross_entropy" else 1], seed=3, output_activation="sigmoid", **settings)
        targets = [-1, 1] if meant == "hinge" else [0, 1] if call == "loss" else Y
        rest = {} if call in ("activation", "init") else {call: name}
        history = ag.fit(model, X[:2], targets[:2], seed=0, epochs=3, **rest)
        states.append([repr(model), model.state_dict(), history.loss])
    assert states[0] == states[1]


@pytest.mark.parametrize(
    ("call", "given", "meant"),
    [
        ("loss", "nll", "cross_entropy"), ("loss", "log_loss", "binary_cross_entropy"), ("loss", "SVM", "hinge"),
        ("activation", "rellu", "relu"), ("init", "glorrot", "glorot"), ("init", "hee", "he"),
        ("optimizer", "adm", "adam"), ("optimizer", "momentum", "sgd"), ("metrics", "accurcy", "accuracy"),
    ],
)  # fmt: skip
def test_a_name_that_is_nearly_one_is_answered_by_the_name(call, given, meant):
    if call in ("activation", "init"):
        with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
            ag.MLP(2, [2, 1], **{call: given})
    else:
        with pytest.raises((ValueError, TypeError), match=f"did you mean '{meant}'"):
            ag.fit(net(), X, Y, **{call: given})


def test_a_name_like_no_other_gets_no_guess():
    for name in ("", "qqqq", "7", "x" * 10_000, None, 5, ["mse"]):
        assert checks.did_you_mean(name, ag.losses.LOSSES) == ""
