"""The examples on real data reach what they say, in less than a minute each."""

import importlib.util
import time
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="scikit-learn, which brings the data, is in the extra `sklearn`")

EXAMPLES = Path(__file__).parents[2] / "examples"


def main(name, *arguments, **more):
    """Run an example's main(); it must not take a minute."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    start = time.process_time()
    found = module.main(*arguments, **more)
    assert time.process_time() - start < 60
    return found


@pytest.mark.parametrize(("epochs", "share"), [(2, 0.9), pytest.param(6, 0.95, marks=pytest.mark.long)])
def test_digits_are_read(epochs, share):
    assert main("digits", epochs) >= share


def test_diabetes_is_explained_as_well_as_by_a_linear_fit():
    ours, linear = main("diabetes")
    assert ours > linear - 0.02
    assert ours > 0.33


def test_perceptron_separates_setosa_and_says_that_versicolor_is_not_separable(capsys):
    setosa, versicolor = main("perceptron_iris")
    assert setosa == 0
    assert versicolor > 0
    assert "still misclassified" in capsys.readouterr().out


def test_lambda_is_chosen_by_cross_validation():
    """Too little and too much of it are both worse than something between."""
    found = main("choose_lambda", alphas=(0.001, 1.0, 100.0), epochs=15, jobs=1)
    best = max(found, key=found.get)
    assert min(found) < best < max(found)
    assert found[best] > 0.4


def test_decision_boundaries_straighten_as_alpha_rises(tmp_path):
    norms = main("decision_boundaries", tmp_path / "boundaries.png", sizes=((3,), (6,)), epochs=40)
    assert (tmp_path / "boundaries.png").stat().st_size > 10_000
    for size in ((3,), (6,)):
        row = [norm for (s, _), norm in norms.items() if s == size]
        assert row == sorted(row, reverse=True)
        assert row[-1] < 0.7 * row[0]
