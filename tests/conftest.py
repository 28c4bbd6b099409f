"""The golden numbers, for every test; and what makes a run of all of them short."""

import gc
import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from autograd_lite.engine.rules import TABLE

# Object code of the tests is kept among the files of pytest, not in the user's cache.
os.environ.setdefault("AUTOGRAD_LITE_CACHE", str(Path(__file__).parents[1] / ".pytest_cache" / "native"))

# JAX, where it is installed: 64-bit numbers, on the processor, of which it sees four.
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0")


def pytest_addoption(parser):
    parser.addoption("--backend", help="what runs programs: a name of folding.backends.BACKENDS")
    parser.addoption("--cpu", help="what machine code is made for, as haswell for AVX2; else this processor")
    parser.addoption("--shadow", help="a backend that runs beside the reference, and is compared with it")


def pytest_configure(config):
    """With --backend NAME every program whose backend is "auto" runs there, where it can."""
    name = config.getoption("--backend")
    if name is not None:
        from autograd_lite.folding import backends

        backends.AUTOMATIC = backends.checked_backend(name, "--backend")
    cpu = config.getoption("--cpu")
    if cpu is not None:
        from autograd_lite.folding.backends.native import jit

        jit.Target.host = classmethod(lambda cls: cls(cpu, ""))


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Twelve thousand tests stay to the end: the garbage collector, which some tests call, leaves them out."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Each worker begins with a part in one piece, so what a file shares is made once; then it helps."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.fixture(autouse=True)
def shadow(request, monkeypatch):
    """With --shadow NAME that backend computes whatever NumPy does, too."""
    name = request.config.getoption("--shadow")
    if name is not None:
        from autograd_lite.folding.backends import numpy_backend
        from tests.helpers.shadow import shadowed

        monkeypatch.setattr(numpy_backend, "Runner", shadowed(name))


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("--shadow"):
        from tests.helpers.shadow import COUNT

        counts = ", ".join(f"{what} {n:,}" for what, n in sorted(COUNT.items()))
        terminalreporter.write_line(f"shadow {config.getoption('--shadow')}: {counts}")


@pytest.fixture(scope="session")
def golden():
    """Numbers worked out from the slides' formulas in 50-digit arithmetic, without automatic differentiation."""
    return json.loads(Path(__file__).with_name("golden.json").read_text())


@pytest.fixture(autouse=True)
def table():
    """The primitives that a test defines go with it, so that any test may come before any other, or twice."""
    before = dict(TABLE)
    yield
    if len(TABLE) != len(before):
        TABLE.clear()
        TABLE.update(before)


@pytest.fixture(autouse=True)
def verified_plans(monkeypatch):
    """Every plan that a test makes is one that a backend may rely on."""
    if find_spec("numpy") is None:
        return
    from autograd_lite.folding import structures
    from autograd_lite.folding.verify import verify

    make = structures.plan

    def verified(*args):
        plan = make(*args)
        verify(plan)
        return plan

    monkeypatch.setattr(structures, "plan", verified)
