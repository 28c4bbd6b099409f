"""Fixtures of the tests of folding."""

import pytest

from autograd_lite.folding import backends, structures

NOT_ON_JAX = {
    "test_every_primitive_at_its_edges": "XLA counts subnormal numbers as 0; test_jax.py has the other points",
    "test_nothing_is_read_before_it_is_written": "the buffers are XLA's",
    "test_random_programs": "XLA compiles for a second each; test_jax.py has some",
    "test_random_programs_second_order": "XLA compiles for a second each; test_jax.py has some",
    "test_random_array_programs": "XLA compiles for a second each",
}
"""Tests of programs on every backend that JAX is excepted from, and why."""


def pytest_collection_modifyitems(items):
    for item in items:
        callspec = getattr(item, "callspec", None)
        name = getattr(item, "originalname", None)
        if name in NOT_ON_JAX and callspec is not None and callspec.params.get("each_backend") == "jax":
            item.add_marker(pytest.mark.skip(reason=NOT_ON_JAX[name]))


@pytest.fixture(scope="module", params=backends.BACKENDS)
def each_backend(request):
    """What "auto" stands for, for all tests of a module: once each of the backends."""
    if backends.why_not(request.param):
        pytest.skip(backends.why_not(request.param))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "AUTOMATIC", request.param)
        structures.cache.known.clear()  # programs of one structure share what was chosen for them
        yield request.param
    structures.cache.known.clear()
