"""A sweep over learning rates and widths, in processes of this machine or on a dask cluster.

    python examples/sweep.py            # joblib's own processes (loky)
    python examples/sweep.py --dask     # dask.distributed's local cluster; its scheduler's address works as well

Each trial is one call of a function that returns plain numbers: nothing of this package has to know where it runs.
Trials are shown as they end; Ctrl-C gives those that have. Needs joblib, which scikit-learn brings;
or dask's distributed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from math import cos, pi, sin

import joblib
from tqdm import tqdm

import autograd_lite as ag


def moons(n: int = 60) -> tuple[list[list[float]], list[int]]:
    """Two half circles, one within the other."""
    upper = [[cos(pi * i / n), sin(pi * i / n)] for i in range(n)]
    lower = [[1.0 - cos(pi * i / n), 0.4 - sin(pi * i / n)] for i in range(n)]
    return upper + lower, [-1] * n + [1] * n


def trial(lr: float, width: int, seed: int) -> dict[str, float]:
    """One training: its settings and the loss on the examples held out."""
    X, y = moons()
    model = ag.MLP(2, [width, width, 1], seed=seed)
    history = ag.fit(model, X, y, loss="hinge", lr=lr, epochs=15, validation=0.3, seed=seed, progress=False)
    return {"lr": lr, "width": width, "seed": seed, "loss": history.validation_loss[-1]}


@contextmanager
def on_dask(address: str | None, workers: int) -> Iterator[None]:
    """A context in which joblib's work goes to a dask cluster: that of an address, or one of this machine."""
    from dask.distributed import Client, LocalCluster

    if address:
        with Client(address), joblib.parallel_config(backend="dask"):
            yield
        return
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        yield


def sweep(lrs: list[float], widths: list[int], seeds: list[int], jobs: int = 2) -> list[dict[str, float]]:
    """The trials that have ended, best first."""
    grid = list(product(lrs, widths, seeds))
    results = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(joblib.delayed(trial)(*x) for x in grid)
    found = []
    try:
        for result in tqdm(results, total=len(grid), unit="trial"):
            found.append(result)
    except KeyboardInterrupt:
        print(f"interrupted after {len(found)} of {len(grid)} trials")
    return sorted(found, key=lambda row: row["loss"])


def main(arguments: list[str] | None = None) -> list[dict[str, float]]:
    """Sweep, and print the best."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--dask", nargs="?", const="", metavar="ADDRESS", help="run on a dask cluster, by default a local one"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args(arguments)
    settings = [0.003, 0.03, 0.3], [4, 8], list(range(given.seeds)), given.jobs
    if given.dask is None:
        found = sweep(*settings)
    else:
        with on_dask(given.dask, given.jobs):
            found = sweep(*settings)
    for row in found[:5]:
        print(f"lr {row['lr']:<6} width {row['width']:<3} seed {row['seed']}  loss {row['loss']:.4f}")
    return found


if __name__ == "__main__":
    main()
