"""How time and memory grow: families of graphs that are hard on something, each at three sizes a factor of 4 apart.

    python -m tools.growth                       # the table, as Markdown
    python -m tools.growth --only "wide sum"     # one family

CPU time and the peak of memory by tracemalloc of each action on each family, and the exponents fitted to them.
Where the work is linear none is to be above 1.2. Each size is measured in a process of its own.
"""

import argparse
import gc
import json
import math
import random
import subprocess
import sys
import tempfile
import time
import tracemalloc
from contextlib import ExitStack, suppress
from pathlib import Path

import autograd_lite as ag

BOUND = 1.2
LEAST = 2e-3
"""Seconds below which no exponent is fitted: what does not grow there is a constant."""


def chain(n):
    """One operation after the other."""
    x = ag.Parameter(0.5)
    y = x
    for _ in range(n):
        y = y * 0.999 + x
    return y


def wide_sum(n):
    """One sum of n leaves."""
    return ag.sum([ag.Parameter(i / n) for i in range(n)])


def tree(n):
    """A balanced tree over n leaves."""
    level = [ag.Parameter(1.0 + i / n) for i in range(n)]
    while len(level) > 1:
        level = [a * b if i % 2 else a + b for i, (a, b) in enumerate(zip(level[::2], level[1::2], strict=True))]
    return level[0]


def constants(n):
    """n constants, no two of them equal."""
    x = ag.Parameter(0.5)
    return ag.sum([ag.tanh(x * (1.0 + i / n)) for i in range(n)])


def equal_constants(n):
    """n equal constants."""
    x = ag.Parameter(0.5)
    return ag.sum([x * 0.25 for _ in range(n)])


def ragged(n):
    """Sums of 1, 2, 3, ... terms, n terms in all."""
    w = [ag.Parameter(math.sin(i)) for i in range(1 + math.isqrt(2 * n))]
    return ag.sum([ag.tanh(ag.sum([x * x for x in w[:k]])) for k in range(1, len(w))])


def bipartite(n):
    """Products of almost every left with almost every right."""
    m = math.isqrt(n)
    left, right, rng = [ag.Parameter(1.0) for _ in range(m)], [ag.Parameter(2.0) for _ in range(m)], random.Random(0)
    return ag.sum([a * b for a in left for b in right if rng.random() < 0.97])


def scopes(n):
    """n scopes, each in the one before."""
    x = ag.Parameter(2.0)
    with ExitStack() as stack:
        for i in range(n):
            stack.enter_context(ag.scope(f"s{i}"))
            x = x * 1.0001
    return x


def frames(n):
    """n scopes beside each other."""
    x, found = ag.Parameter(2.0), []
    for i in range(n):
        with ag.scope(f"f{i}"):
            found.append(ag.tanh(x * (i + 1.0)) + x)
    return ag.sum(found)


def names(n):
    """n names of 1,000 characters."""
    return ag.sum([ag.Parameter(1.0, name=f"{i}" + "x" * 1000) * 2.0 for i in range(n)])


def ladder(n):
    """`where` in `where`."""
    x = ag.Parameter(0.5)
    y = x
    for i in range(n):
        y = ag.where(x > i / n, y * 0.5, y + x)
    return y


FAMILIES = {
    chain: 16_000, wide_sum: 32_000, tree: 2**13, constants: 8_000, equal_constants: 16_000, ragged: 16_000,
    bipartite: 16_000, scopes: 4_000, frames: 4_000, names: 1_000, ladder: 4_000,
}  # fmt: skip
"""Each with its largest size; the others are a quarter and a sixteenth of it."""


def saved(y):
    """A state of as many numbers as the graph has leaves that are Parameters, to a file and back."""
    state = {f"p{i}": x.data for i, x in enumerate(ag.fold(y).params)}
    with tempfile.TemporaryDirectory() as folder:
        ag.save(state, Path(folder) / "x")
        assert ag.load(Path(folder) / "x") == state


def quizzed(y):
    """A quiz: refused above its number of boxes, quickly."""
    with suppress(ValueError):
        ag.quiz(y)


ACTIONS = {
    "build": None,
    "backward": lambda y: y.backward(),
    "fold": lambda y: ag.fold(y).backward(),
    "draw": lambda y: ag.draw(y)._repr_html_(),
    "step": lambda y: ag.step(y).html,
    "explain": lambda y: str(ag.explain(y, ag.fold(y).params[0])),
    "diagnose": lambda y: str(ag.diagnose(y)),
    "quiz": quizzed,
    "save": saved,
    "print": lambda y: (str(y), str(ag.tape(y))),
}


def measure(family, n, repeats=1):
    """{action: (seconds of CPU, bytes at the peak)}."""
    make = next(f for f in FAMILIES if f.__name__ == family)
    found = {}
    for name, act in ACTIONS.items():
        seconds = math.inf
        for k in range(repeats + 1):
            y = None if act is None else make(n)
            gc.collect()
            if k == repeats:
                tracemalloc.start()
            start = time.process_time()
            y = make(n) if act is None else act(y)
            if k < repeats:
                seconds = min(seconds, time.process_time() - start)
        found[name] = seconds, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        del y
    return found


def exponent(sizes, numbers, least):
    """The slope of log(number) over log(size) between the two largest; None below what can be told."""
    if numbers[-1] < least * 4:
        return None
    return math.log(max(numbers[-1], least) / max(numbers[-2], least)) / math.log(sizes[-1] / sizes[-2])


def main(only=""):
    """Print the table; what is above the bound."""
    print("| family | n | " + " | ".join(ACTIONS) + " |\n|" + "---|" * (len(ACTIONS) + 2))
    above = []
    for family, largest in FAMILIES.items():
        name = family.__name__.replace("_", " ")
        if only and only != name:
            continue
        sizes, rows = [largest // 16, largest // 4, largest], []
        for n in sizes:
            command = [sys.executable, "-m", "tools.growth", "--measure", family.__name__, str(n)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{name}, {n}: {done.stderr}")
            rows.append(json.loads(done.stdout))
        cells = []
        for action in ACTIONS:
            times, peaks = ([row[action][k] for row in rows] for k in (0, 1))
            of_time, of_memory = exponent(sizes, times, LEAST), exponent(sizes, peaks, 1 << 16)
            shown = [f"{x:.2f}" if x is not None else "-" for x in (of_time, of_memory)]
            cells.append(f"{times[-1]:.3g} s, {peaks[-1] / 1e6:.3g} MB; {', '.join(shown)}")
            above += [(name, action, which, round(x, 2)) for which, x in (("time", of_time), ("memory", of_memory))
                      if x is not None and x > BOUND]  # fmt: skip
        print(f"| {name} | {largest:,} | " + " | ".join(cells) + " |", flush=True)
    for line in above:
        print("above the bound:", *line)
    return above


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="the name of one family")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure[0], int(given.measure[1]))))
    else:
        sys.exit(bool(main(given.only)))
