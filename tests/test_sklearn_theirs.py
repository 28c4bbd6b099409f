"""scikit-learn's own tests of its MLPs, run with ours in their place.

The file is that of the scikit-learn that is installed; docs/LEARNING.md says which of its tests cannot apply.
"""

import functools
import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is in the extra `sklearn`")

from autograd_lite import sklearn as ours

CANNOT = {
    "test_gradient": "calls the private _loss_grad_lbfgs with the buffers of scikit-learn's own loops",
    "test_partial_fit_regression": "needs scikit-learn's default of 100 hidden neurons; with that it passes, see below",
}
"""The tests that cannot apply, each with its reason; docs/LEARNING.md has the same."""
LONG = {"test_partial_fit_classification", "test_multilabel_classification"}
IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"

found = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
if found is None or found.origin is None:
    pytest.skip("this scikit-learn came without its tests", allow_module_level=True)
PATH = Path(found.origin)

pytestmark = [pytest.mark.filterwarnings("default")]


def theirs(**defaults):
    """The names of their file, with our estimators, whose defaults may be others."""
    text = PATH.read_text()
    assert text.count(IMPORT) == 1
    kinds = {"MLPClassifier": ours.MLPClassifier, "MLPRegressor": ours.MLPRegressor}
    if defaults:
        kinds = {name: functools.partial(kind, **defaults) for name, kind in kinds.items()}
    names = {"__name__": __name__, **kinds}
    exec(compile(text.replace(IMPORT, ""), PATH, "exec"), names)
    return names


@pytest.fixture
def global_random_seed():
    return 0


for name, test in theirs().items():
    if name.startswith("test_") and callable(test):
        if name in CANNOT:
            test = pytest.mark.xfail(reason=CANNOT[name], strict=True)(test)
        globals()[name] = pytest.mark.long(test) if name in LONG else test


def test_their_regression_by_parts_passes_with_their_default_size():
    theirs(hidden_layer_sizes=(100,))["test_partial_fit_regression"]()


def test_the_docs_list_what_cannot_apply():
    text = (Path(__file__).parents[1] / "docs" / "LEARNING.md").read_text()
    assert all(f"`{name}`" in text for name in CANNOT)
