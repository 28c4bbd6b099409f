"""Backends: what turns a Plan into something that runs.

A backend is one module with a function `prepare(plan, rows, careful, dtype)` that gives a runner:

    runner(leaves) -> outputs

`leaves` maps the name of each leaf ("theta", "constants", "input 0", "seed") to an array of its lanes, (n,), or
(n, rows) if it has a batch axis; outputs are arrays of the plan's outputs in order. `rows` is the length of the
batch axis, or None. With `careful`, products of adjoints follow the rule that 0 contributes 0; without it they are
plain, and the caller runs again, carefully, if an output is NaN or if a sum left the range of floats
(`runner.overflowed`): there a sum of finite terms overflows only if its result does.
"""
