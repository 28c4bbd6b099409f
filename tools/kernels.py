"""Runs tests once with each set of instructions that this CPU has: kernels of OpenBLAS, and NumPy without its own SIMD.

    python -m tools.kernels tests/folding -n auto

They add in different orders, so a test that passes with each depends on none. The one that is taken without being asked
for is left out: the plain run of the tests has it.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

NEEDS = {
    "Prescott": "pni",
    "Haswell": "avx2 fma",
    "Zen": "avx2 fma",
    "SkylakeX": "avx512f avx512dq avx512bw avx512vl",
}
"""For a value of OPENBLAS_CORETYPE what /proc/cpuinfo must have: a kernel beyond the CPU would end the process."""

LOADED = """
import numpy, threadpoolctl
print(*sorted(x["architecture"] for x in threadpoolctl.threadpool_info() if x.get("internal_api") == "openblas"))
"""

DISPATCHED = """
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
print(*(x for x in __cpu_dispatch__ if __cpu_features__[x]))
"""


def answer(program: str, **variables: str) -> str:
    """What a program prints in a process with these environment variables."""
    environment = {**os.environ, **variables}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    return done.stdout.strip()


def variants() -> dict[str, dict[str, str]]:
    """Environment variables for each way that this machine has, by a name to show."""
    cpu = Path("/proc/cpuinfo")
    flags = set(cpu.read_text(encoding="utf-8").split()) if cpu.exists() else set()
    seen, found = {answer(LOADED)}, {}
    for name, needed in NEEDS.items():
        variables = {"OPENBLAS_CORETYPE": name}
        kernel = answer(LOADED, **variables) if flags.issuperset(needed.split()) else ""
        if kernel and kernel not in seen:
            seen.add(kernel)
            found[f"OPENBLAS_CORETYPE={name} ({kernel})"] = variables
    features = answer(DISPATCHED)  # "" before NumPy 2.0, whose module has another name
    if features:
        found[f"NPY_DISABLE_CPU_FEATURES={features}"] = {"NPY_DISABLE_CPU_FEATURES": features}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.kernels", description=__doc__.partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="only show what would be run")
    known, arguments = parser.parse_known_args()
    failed = []
    for name, variables in variants().items():
        print(f"=== {name}", flush=True)
        if not known.list:
            command = [sys.executable, "-m", "pytest", *arguments]
            if subprocess.run(command, check=False, env={**os.environ, **variables}).returncode:
                failed.append(name)
    print(f"failed with: {'; '.join(failed)}" if failed else "passed with each")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
