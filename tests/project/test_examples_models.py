"""Models in plain scalars: a convolution, attention, an LSTM. They fold, have JAX's gradients, and learn.

And the sweep, on processes of joblib and on a dask cluster.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import autograd_lite as ag

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return __import__


def convolution(module):
    model = module.Convolution()
    rng = np.random.default_rng(0)
    return model, lambda x, t: ag.losses.cross_entropy(model(x), t), (rng.uniform(size=(5, 64)), np.arange(5.0))


def attention(module):
    model = module.Attention()
    X, y = module.task(5, 0)
    seeds = np.random.default_rng(0).uniform(0.0, 1000.0, 5)
    return model, lambda x, t, s: ag.losses.cross_entropy(model(x, s, 0.3), t), (X, y, seeds)


def lstm(module):
    model = module.LSTM(width=5, embedding=3)
    text = np.array([module.NUMBER[letter] for letter in module.RHYME[:85]], float)
    return model, model.loss, (text.reshape(5, 17),)


MODELS = {  # the module, how a loss is made of it, and the most instructions that its program may have
    "convolution_digits": (convolution, 39),
    "attention": (attention, 60),
    "character_lstm": (lstm, 53),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_folds_and_has_the_gradient_of_its_scalars(name, example):
    make, most = MODELS[name]
    model, loss, arguments = make(example(name))
    program = ag.compile(loss, params=model.parameters(), batch=True)
    theta = np.array([p.item() for p in model.parameters()])
    value, gradient = program.loss_and_grad(theta, *arguments)
    rows = [loss(*(x.tolist() for x in row)) for row in zip(*arguments, strict=True)]
    mean = ag.mean(rows)
    assert value == pytest.approx(mean.item(), rel=1e-12)
    np.testing.assert_allclose(gradient, ag.gradients(mean, model.parameters()), rtol=1e-9, atol=1e-13)
    text = str(program)
    assert text.count("\n%") + 1 <= most
    assert "matmul" in text
    assert ("loop of 15 steps" in text) == (name == "character_lstm")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_gradient_of_jax(name, example):
    jax = pytest.importorskip("jax", reason="jax is in the extra `bench`")
    jax.config.update("jax_enable_x64", True)
    make, _ = MODELS[name]
    module = example(name)
    model, loss, arguments = make(module)
    program = ag.compile(loss, params=model.parameters(), batch=True)
    value, gradient = program.loss_and_grad(np.array([p.item() for p in model.parameters()]), *arguments)
    weights = {key: jax.numpy.array(x) for key, x in model.arrays().items()}
    theirs, slopes = jax.value_and_grad(lambda w: JAX[name](jax, module, w, *arguments))(weights)
    assert value == pytest.approx(float(theirs), rel=1e-12)
    other = type(model)() if name != "character_lstm" else module.LSTM(width=5, embedding=3)
    other.load_arrays({key: np.asarray(x) for key, x in slopes.items()})
    np.testing.assert_allclose(gradient, [p.item() for p in other.parameters()], rtol=1e-9, atol=1e-13)


def cross_entropy(jax, scores, targets):
    chosen = jax.numpy.take_along_axis(scores, targets.astype(int)[:, None], 1)[:, 0]
    return jax.numpy.mean(jax.scipy.special.logsumexp(scores, axis=1) - chosen)


def jax_convolution(jax, module, w, X, y):
    jnp = jax.numpy
    images = X.reshape(-1, 1, 8, 8)
    kernel = w["filters.w"].reshape(-1, 1, 3, 3)
    maps = jax.lax.conv_general_dilated(images, kernel, (1, 1), "VALID") + w["filters.b"][None, :, None, None]
    pooled = jnp.maximum(maps, 0.0).reshape(len(X), -1, 3, 2, 3, 2).mean((3, 5)).reshape(len(X), -1)
    return cross_entropy(jax, pooled @ w["scores.w"].T + w["scores.b"], y)


def jax_attention(jax, module, w, X, y, seeds):
    jnp = jax.numpy

    def norm(x):
        down = x - x.mean(-1, keepdims=True)
        return down / jnp.sqrt((down * down).mean(-1, keepdims=True) + 1e-5)

    linear = lambda name, x: x @ w[f"{name}.w"].T + w[f"{name}.b"]  # noqa: E731
    rows = w["letters"][X.astype(int)] + w["places"]
    query, keys, values = linear("query", norm(rows[:, 0])), linear("key", norm(rows)), linear("value", rows)
    weights = jax.nn.softmax(jnp.einsum("bd,btd->bt", query, keys) / module.WIDTH**0.5)
    mixed = jnp.einsum("bt,btd->bd", weights, values)
    noise = jnp.sin(seeds[:, None] * 12.9898 + 78.233 * (jnp.arange(module.WIDTH) + 1)) * 43758.5453
    mixed = mixed * (noise - jnp.floor(noise) > 0.3) / 0.7
    return cross_entropy(jax, linear("scores", norm(mixed)), y)


def jax_lstm(jax, module, w, X):
    jnp, n = jax.numpy, w["scores.w"].shape[1]
    hidden = cell = jnp.zeros((len(X), n))
    errors = []
    for letter, following in zip(X.T[:-1], X.T[1:], strict=True):
        z = jnp.concatenate([w["letters"][letter.astype(int)], hidden], 1) @ w["gates.w"].T + w["gates.b"]
        forget, enter, leave = (jax.nn.sigmoid(z[:, k * n : (k + 1) * n]) for k in range(3))
        cell = forget * cell + enter * jnp.tanh(z[:, 3 * n :])
        hidden = leave * jnp.tanh(cell)
        errors.append(cross_entropy(jax, hidden @ w["scores.w"].T + w["scores.b"], following))
    return sum(errors) / len(errors)


JAX = {"convolution_digits": jax_convolution, "attention": jax_attention, "character_lstm": jax_lstm}


def test_the_models_learn(example):
    """To a share of digits and of letters, and to a loss in nats a letter, in fewer steps than their pages take."""
    assert example("attention").main(steps=150) > 0.95
    assert example("character_lstm").main(steps=250) < 0.3
    pytest.importorskip("sklearn", reason="scikit-learn is in the extra `sklearn`")
    assert example("convolution_digits").main(epochs=12) > 0.92


def test_dropout_is_live_and_seeded(example):
    module = example("attention")
    drop = ag.compile(lambda xs, seed: module.dropout(xs, 0.25, seed))
    ones, seen = np.ones(16), []
    for seed in range(60):
        kept = np.array(drop(ones, float(seed)))
        assert kept.tolist() == [float(x) for x in module.dropout([1.0] * 16, 0.25, float(seed))]
        assert set(kept) <= {0.0, 1.0 / 0.75}
        seen.append(kept)
    assert np.mean(np.array(seen) == 0.0) == pytest.approx(0.25, abs=0.05)
    assert len({tuple(row) for row in seen}) > 55


def test_layer_norm(example):
    made = example("attention").layer_norm([1.0, 2.0, 4.0, 9.0], eps=0.0)
    assert np.mean(made) == pytest.approx(0.0, abs=1e-15)
    assert np.var(made) == pytest.approx(1.0)


# --- sweeps -------------------------------------------------------------------------------------------------


def test_a_sweep_in_processes(example):
    pytest.importorskip("joblib", reason="joblib comes with scikit-learn, in the extra `sklearn`")
    found = example("sweep").main(["--seeds", "1"])
    assert len(found) == 6
    assert [row["loss"] for row in found] == sorted(row["loss"] for row in found)
    again = example("sweep").trial(found[0]["lr"], found[0]["width"], 0)
    assert again == found[0], "the same numbers in another process"


@pytest.mark.slow
def test_a_sweep_on_a_dask_cluster():
    pytest.importorskip("distributed", reason="dask's cluster is the package `distributed`")
    made = subprocess.run(
        [sys.executable, EXAMPLES / "sweep.py", "--dask", "--seeds", "1"], capture_output=True, text=True, check=False,
        timeout=200,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert len(made.stdout.splitlines()) == 5
    assert "6/6" in made.stderr


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a signal")
def test_ctrl_c_leaves_the_trials_that_have_ended():
    pytest.importorskip("joblib", reason="joblib comes with scikit-learn, in the extra `sklearn`")
    # A shell lets what it runs in the background ignore Ctrl-C, and a process inherits that, but not a handler.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        running = subprocess.Popen(
            [sys.executable, "-u", EXAMPLES / "sweep.py", "--seeds", "300"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    seen, start = b"", time.monotonic()
    while not re.search(rb"\b(?:[3-9]|\d\d+)/1800", seen) and time.monotonic() - start < 120:
        seen += os.read(running.stderr.fileno(), 4096)
    os.kill(running.pid, signal.SIGINT)
    out, _ = running.communicate(timeout=120)
    assert b"interrupted after" in out
    assert running.returncode == 0
