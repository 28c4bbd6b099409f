"""The golden numbers, for every test."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

# Object code of the tests is kept among the files of pytest, not in the user's cache.
os.environ.setdefault("AUTOGRAD_LITE_CACHE", str(Path(__file__).parents[1] / ".pytest_cache" / "native"))


def pytest_addoption(parser):
    parser.addoption("--backend", help="what runs programs: a name of folding.backends.BACKENDS")


def pytest_configure(config):
    """With --backend NAME every program whose backend is "auto" runs there, where it can."""
    name = config.getoption("--backend")
    if name is not None:
        from autograd_lite.folding import backends

        backends.AUTOMATIC = backends.checked_backend(name, "--backend")


@pytest.fixture(scope="session")
def golden():
    """Numbers worked out from the slides' formulas in 50-digit arithmetic, without automatic differentiation."""
    return json.loads(Path(__file__).with_name("golden.json").read_text())


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
