"""explore: the page computes what the engine computes, at every place of the sliders."""

import math
import random

import pytest

import autograd_lite as ag
from autograd_lite.pictures.mathematics import Style
from tests.helpers.pictures import opened

FUNCTIONS = {
    "a unit": (lambda w, x, b: (ag.tanh(w * x + b) - 0.5) ** 2, {"w": (-2.0, 2.0), "x": (-1.0, 3.0), "b": (-1.0, 1.0)}),
    "branches that stay live": (
        lambda a, b: ag.where(ag.greater(a, b), a * b, ag.exp(-a)) + ag.relu(a - b), {"a": (-2, 2), "b": (-2, 2)},
    ),
    "a sum of many": (lambda x: ag.sum([ag.sin(k * x) / k for k in range(1, 6)]), {"x": (-3.0, 3.0)}),
    "a neuron": (lambda x, y: ag.Neuron(2, "sigmoid", seed=1)([x, y]), {"x": (-3.0, 3.0), "y": (-3.0, 3.0)}),
    "a pole": (lambda x: 1.0 / (x - 0.5), {"x": (-1.0, 1.0)}),
    "without an argument": (lambda x, unused: x * x, {"x": (-1.0, 1.0), "unused": (0.0, 1.0)}),
}  # fmt: skip


def shown(x):
    return Style(symbols="math").number(x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_page_answers_as_the_engine_does(browser, tmp_path, name):
    f, ranges = FUNCTIONS[name]
    rng = random.Random(name)
    with opened(browser, ag.explore(f, **ranges).save(tmp_path / "explore.html")) as page:
        fields = page.locator('input[type="number"]')
        for _ in range(4):
            xs = [round(rng.uniform(low, high), 3) for low, high in ranges.values()]
            for i, x in enumerate(xs):
                fields.nth(i).fill(str(x))
            leaves = [ag.Value(x, name=key) for x, key in zip(xs, ranges, strict=True)]
            y = f(*leaves)
            slopes = ag.gradients(y, leaves)
            assert page.locator("#result").inner_text() == f"f = {shown(y.item())}"
            said = page.locator(".row output").all_inner_texts()
            assert said == [f"∂f/∂{key} = {shown(s)}" for key, s in zip(ranges, slopes, strict=True)]
            texts = page.locator("#figure text").all_text_contents()
            assert f"f = {shown(y.item())}" in texts
            assert all(f"g = {shown(s)}" in texts for s, key in zip(slopes, ranges, strict=True) if key != "unused")
        assert page.locator("#curve path").count() == 1
        assert page.locator("#curve circle").count() == math.isfinite(y.item())


@pytest.mark.parametrize("at", [-12345.678, -0.00012345, 1.2345e-9, 0.98765])
def test_what_the_page_writes_stays_within_the_boxes(browser, tmp_path, at):
    f, ranges = FUNCTIONS["a unit"]
    with opened(browser, ag.explore(f, **ranges).save(tmp_path / "explore.html")) as page:
        for field in page.locator('input[type="number"]').all():
            field.fill(str(at))
        beyond = page.locator("#figure .box").evaluate_all(
            """boxes => boxes.flatMap((box) => {
              const outline = box.querySelector("rect").getBoundingClientRect();
              return [...box.querySelectorAll("text")]
                .filter((text) => text.getBoundingClientRect().right > outline.right).map((text) => text.textContent);
            })"""
        )
        assert beyond == []


def test_sliders_and_the_axis_of_the_plot_by_keyboard(browser, tmp_path):
    f, ranges = FUNCTIONS["a unit"]
    with opened(browser, ag.explore(f, **ranges).save(tmp_path / "explore.html")) as page:
        slider = page.locator("#slider-0")
        slider.focus()
        page.keyboard.press("End")
        assert page.locator('input[type="number"]').first.input_value() == "2"
        before = page.locator("#curve path").get_attribute("d")
        page.get_by_role("radio", name="Plot along x").check()
        assert page.locator("#curve path").get_attribute("d") != before
        assert "x" in page.locator("#curve text").all_text_contents()


def test_a_large_graph_has_sliders_and_a_plot_without_a_picture(browser, tmp_path):
    explorer = ag.explore(lambda x: ag.sum([ag.tanh(k * x) for k in range(200)]), x=(-1.0, 1.0))
    assert explorer.picture is None
    with opened(browser, explorer.save(tmp_path / "explore.html")) as page:
        assert page.locator("#curve path").count() == 1


def test_it_shows_itself():
    explorer = ag.explore(lambda x: x**2, x=3.0)
    assert explorer.ranges == {"x": (-1.0, 7.0, 3.0)}
    assert repr(explorer) == "f(x = 3) = 9, ∂f/∂x = 6"
    bundle = explorer._repr_mimebundle_()
    assert 'sandbox="allow-scripts"' in bundle["text/html"]
    assert "<img" in bundle["text/html"]


def test_the_argument_of_f_may_be_called_f():
    assert ag.explore(lambda f: f * f, f=3.0).ranges == {"f": (-1.0, 7.0, 3.0)}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ag.explore(3.0, x=1.0), TypeError, "f must be a function, got float 3.0"),
        (lambda: ag.explore(lambda x: x * x), TypeError, "give a range for each argument"),
        (lambda: ag.explore(lambda x: x * x, y=1.0), TypeError, r"f\(x\) cannot take y"),
        (lambda: ag.explore(lambda x: x * x, x=(2.0, 1.0)), ValueError, "low < high"),
        (lambda: ag.explore(lambda x: x * x, x=(0.0, math.inf)), ValueError, "low < high"),
        (lambda: ag.explore(lambda x: x * x, x=(1, 2, 3, 4)), TypeError, r"must be \(low, high\)"),
        (lambda: ag.explore(lambda x: x * x, x="1"), TypeError, "explore: x"),
        (lambda: ag.explore(lambda x: 3.0, x=1.0), TypeError, "f must return a Value"),
        (lambda: ag.explore(lambda x: x if x > 0 else -x, x=1.0), ValueError, "takes branches"),
        (lambda: ag.explore(lambda x: x * x, x=1.0).save("a.svg"), ValueError, "must end in .html"),
    ],
)
def test_what_explore_refuses(call, error, words):
    with pytest.raises(error, match=words):
        call()
