"""The GPT of scalar_gpt.py, data-parallel with JAX: python examples/gpt_jax.py [--data FILE] [--steps N] [--devices N].

The model is written in scalars and knows nothing of JAX. `program.jax()` is its loss and gradient as a pure function;
under `jax.jit`, with the words spread over the devices, each device works on its share, and XLA adds the gradients up.
Here the devices are simulated on one processor. With GPUs the same program runs on those; on several hosts each calls
`jax.distributed.initialize()` first and `jax.make_array_from_process_local_data` for its share of the words.
"""

from __future__ import annotations

import argparse
import os
import random
from typing import Any

import numpy as np
from scalar_gpt import GPT, Adam, read_words

import autograd_lite as ag


def losses(function: Any, theta: Any, batches: list[Any], place: Any, jax: Any) -> list[float]:
    """The loss at each step of a training; place(words) says where a batch lies."""
    step, adam, found = jax.jit(function), Adam(len(theta), len(batches)), []
    for words in batches:
        value, gradient = step(theta, place(words))
        theta = adam.step(theta, np.asarray(gradient))
        found.append(float(value))
    return found


def main() -> None:
    """Train on one device and on several, and compare the losses."""
    parser = argparse.ArgumentParser(description="A GPT in plain scalars, data-parallel with JAX.")
    parser.add_argument("--data", help="a file with one word a line; by default the names of the package `names`")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--words", type=int, default=32, help="words a step, a multiple of the devices")
    parser.add_argument("--devices", type=int, default=4)
    options = parser.parse_args()
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={options.devices}"
    os.environ["JAX_ENABLE_X64"] = "1"
    try:
        import jax
    except ImportError:
        raise SystemExit("this example needs JAX: pip install 'autograd_lite[jax]'") from None

    words = read_words(options.data)
    rng = random.Random(1)
    model = GPT(1)
    # A program is made for one length of word; a batch has words of the commonest.
    lengths = [len(word) for word in words]
    words = [word for word in words if len(word) == max(set(lengths), key=lengths.count)]
    batches = [np.array(rng.choices(words, k=options.words), float) for _ in range(options.steps)]
    theta = np.array([p.item() for p in model.parameters()])
    program = ag.compile(model.loss, params=model, batch=True)
    program.loss_and_grad(theta, batches[0])
    function = program.jax()

    devices = jax.devices()
    mesh = jax.sharding.Mesh(np.array(devices), ("words",))
    shared = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("words"))
    one = losses(function, theta, batches, lambda x: jax.device_put(x, devices[0]), jax)
    several = losses(function, theta, batches, lambda x: jax.device_put(x, shared), jax)
    apart = max(abs(a - b) for a, b in zip(one, several, strict=True))
    print(f"loss {one[0]:.4f} at first, {one[-1]:.4f} after {len(one)} steps on one device")
    print(f"loss {several[0]:.4f} at first, {several[-1]:.4f} after {len(several)} steps on {len(devices)} devices")
    print(f"the losses differ by at most {apart:.1e}")


if __name__ == "__main__":
    main()
