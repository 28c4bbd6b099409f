"""Fixtures of the tests of folding."""

import pytest

from autograd_lite.folding import backends, structures


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
