"""The examples of the fold do what they say."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*arguments):
    made = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=300
    )
    return made.stdout


@pytest.mark.parametrize("steps", [8, pytest.param(100, marks=pytest.mark.long)])
def test_moons_eager_and_folded_end_alike(steps):
    out = run(EXAMPLES / "moons.py", "--steps", steps)
    apart = float(out.split("differ by at most")[1])
    assert apart < 1e-9
    assert "matmul 16x16x100" in out


def test_the_gpt_learns_a_small_language(tmp_path):
    rng = random.Random(0)
    words = tmp_path / "words.txt"
    words.write_text("\n".join("".join(rng.choice(("ab", "cd")) for _ in range(rng.randint(1, 3))) for _ in range(60)))
    out = run(EXAMPLES / "scalar_gpt.py", "--data", words, "--steps", 60, "--words", 8)
    assert "4,192 parameters" in out
    assert float(out.split("loss ")[-1].split(";")[0]) < 1.6  # 3.3 at the beginning


def test_the_gpt_without_words_says_where_to_get_them(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setitem(sys.modules, "names", None)
    from scalar_gpt import read_words

    with pytest.raises(SystemExit, match="--data FILE"):
        read_words(None)


def test_the_gpt_by_length_is_the_gpt_word_by_word(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from scalar_gpt import END, GPT, Batches

    import autograd_lite as ag

    model = GPT(2)
    words = [[END, 0, END], [END, 3, 1, END], [END, 2, END]]
    theta = np.array([p.item() for p in model.parameters()])
    value, gradient = Batches(model).loss_and_grad(theta, words)
    loss = ag.mean([model.loss(word) for word in words])
    slopes = np.array(ag.gradients(loss, model.parameters()))
    assert abs(value - loss.item()) < 1e-12
    assert np.abs(gradient - slopes).max() < 1e-13


def test_digits_folded(monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn is in the extra `sklearn`")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import digits_folded

    assert digits_folded.main(epochs=10) > 0.9
