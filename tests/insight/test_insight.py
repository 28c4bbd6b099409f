"""explain: the largest paths against all paths listed, on small graphs and on hopeless ones."""

import math
import random
import re

import pytest

import autograd_lite as ag


def every_path(loss, w):
    """The product along every path, by listing them all."""
    products, stack = [], [(loss, 1.0)]
    while stack:
        node, product = stack.pop()
        if node is w:
            products.append(product)
        else:
            stack += [(x, product * d) for x, d in zip(node.operands, node.local_grads, strict=True)]
    return sorted(products, key=abs, reverse=True)


def random_graph(seed):
    rng = random.Random(seed)
    pool = [ag.Value(rng.uniform(-2, 2)) for _ in range(3)]
    for _ in range(9):
        a, b = rng.choice(pool), rng.choice(pool)
        makers = [
            lambda a=a, b=b: a * b,
            lambda a=a, b=b: a - b,
            lambda a=a: ag.sin(a),
            lambda a=a, b=b: ag.sum([a, b, a]),
        ]
        pool.append(rng.choice(makers)())
    return pool


@pytest.mark.parametrize("top", [1, 4, 1000])
def test_the_largest_paths_of_random_graphs(top):
    for seed in range(60):
        pool = random_graph(seed)
        for w in pool[:5]:
            found, listed = ag.explain(pool[-1], w, top), every_path(pool[-1], w)
            assert found.count == len(listed)
            assert len(found.paths) == min(top, len(listed))
            shown = [abs(path.value) for path in found.paths]
            assert shown == pytest.approx([abs(p) for p in listed[: len(shown)]], rel=1e-12)
            assert sum(path.value for path in found.paths) + found.rest == pytest.approx(found.gradient, abs=1e-12)
            assert found.gradient == ag.gradients(pool[-1], w)
            assert found.agrees
            for path in found.paths:
                assert path.nodes[0] is pool[-1]
                assert path.nodes[-1] is w


def test_text():
    w, x = ag.Value(3.0, name="w"), ag.Value(2.0, name="x")
    h = w * x
    h.name = "h"
    loss = h * -h + w
    loss.name = "loss"
    assert str(ag.explain(loss, w, top=2)).splitlines() == [
        "d loss / d w = -23: 3 paths; the 2 largest of them",
        "  -12 = 1 * (-6) * 2    loss <- v5 <- h <- w",
        "  -12 = 1 * 6 * (-1) * 2    loss <- v5 <- v4 <- h <- w",
        "  +1   from 1 other path",
    ]
    assert "no path leads from loss to" in str(ag.explain(loss, ag.Value(1.0)))
    assert "1 path; all of them" in str(ag.explain(loss, loss))


def test_latex_is_balanced_and_escapes_names():
    w = ag.Value(3.0, name="w_1")
    odd = ag.Value(1e-7, name=r"\evil{}$")
    text = ag.explain((w * odd) * w + odd, w)._repr_latex_()
    assert text.startswith("$$\\begin{aligned}")
    assert text.endswith("\\end{aligned}$$")
    assert text.count("{") == text.count("}")
    assert r"\text{w\_1}" in text
    assert r"\evil" not in text
    assert text.count("$") == 4
    assert r"3 \cdot 10^{-7}" in text


def test_edges_hold_the_share_of_the_gradient():
    w = ag.Value(3.0)
    h = w * 2.0
    square = h * h
    loss = square + w
    edges = ag.explain(loss, w).edges
    assert edges[loss, 0] == pytest.approx(24 / 25)
    assert edges[loss, 1] == pytest.approx(1 / 25)
    assert edges[square, 0] == pytest.approx(12 / 25)
    assert edges[h, 0] == pytest.approx(24 / 25)
    assert len(edges) == 5


def test_astronomically_many_paths():
    w = x = ag.Value(1.0, name="w")
    for _ in range(100):
        x = x * 0.75 + x * 0.25
    found = ag.explain(x, w, top=3)
    assert found.count == 2**100
    assert [path.value for path in found.paths[:1]] == pytest.approx([0.75**100])
    assert found.paths[1].value == pytest.approx(0.75**99 * 0.25)
    assert found.gradient == pytest.approx(1.0)
    assert found.agrees
    assert "about 10^30 paths" in str(found)


def test_a_chain_too_long_to_write_out_and_too_small_for_a_float():
    w = x = ag.Value(1.0, name="w")
    for _ in range(20_000):
        x = x * 0.5 + x * 0.25
    found = ag.explain(x, w, top=2)
    assert found.count == 2**20_000
    halves = [sum(d == 0.25 for _, _, d in path.steps) for path in found.paths]
    assert halves == [0, 1]  # told apart although both products are 0 as floats
    assert len(str(found)) < 1_000
    assert re.search(r"\[\d+,\d+ more: 0\]", str(found))


def test_branches_not_taken_and_factors_that_are_not_finite():
    w = ag.Value(-1.0, name="w")
    off = ag.explain(ag.sqrt(ag.relu(w)), w)
    assert (off.gradient, off.count, off.paths, off.rest) == (0.0, 1, [], 0.0)
    assert off.agrees
    stopped = ag.explain(ag.sqrt(w * 0.0 + 0.0) * 0.0 + w, w)
    assert stopped.gradient == 1.0
    assert sorted(path.value for path in stopped.paths) == [0.0, 1.0]
    assert stopped.agrees


def test_refusals():
    x = ag.Value(1.0)
    with pytest.raises(TypeError, match="explain: loss must be a Value"):
        ag.explain(1.0, x)
    with pytest.raises(TypeError, match="explain: w must be a Value"):
        ag.explain(x, "x")
    with pytest.raises(ValueError, match="top must be at least 1"):
        ag.explain(x, x, top=0)
    with pytest.raises(TypeError, match="top must be an integer"):
        ag.explain(x, x, top=2.5)


# --- on the drawing -------------------------------------------------------------------------------------


def test_the_paths_are_marked_on_the_drawing():
    w, x = ag.Value(3.0, name="w"), ag.Value(2.0, name="x")
    h = w * x
    picture = ag.draw(h * h + w, explain=w)
    assert picture.svg.count('class="edge"') == 6
    assert picture.svg.count("of the explained gradient flows through here") == 5
    for label in ("2  (96%)", "6  (48%)", "1  (4%)"):
        assert label in picture.svg
        assert label in picture.dot
    assert "d v5 / d w = 25: 3 paths; all of them" in picture.svg
    assert "explained" not in ag.draw(h * h + w).svg


def test_of_a_large_graph_the_paths_alone_are_drawn():
    model = ag.MLP(2, [16, 16, 1], seed=1)
    loss = model([0.5, -0.3]) ** 2
    picture = ag.draw(loss, explain=model.parameters()[0])
    found = ag.explain(loss, model.parameters()[0])
    assert picture.svg.count('class="box') == len({node for path in found.paths for node in path.nodes})
    assert "only those paths are drawn" in picture.svg.replace("\n", " ")
    unreached = ag.draw(loss, explain=ag.Value(1.0, name="elsewhere"))
    assert "no path leads" in unreached.svg


def test_paths_too_long_to_draw_are_refused():
    w = x = ag.Value(1.0, name="w")
    for _ in range(2000):
        x = x * 0.5 + x * 0.5
    with pytest.raises(ValueError, match=r"print ag\.explain"):
        ag.draw(x, explain=w)
    with pytest.raises(ValueError, match="give one loss, got 2"):
        ag.draw([x, w], explain=w)
    with pytest.raises(TypeError, match="explain: w must be a Value"):
        ag.draw(w, explain=1.0)


def test_a_gradient_of_0_or_NaN_has_amounts_on_its_drawing():
    """Nothing is a share of 0."""
    w = ag.Value(2.0, name="w")
    picture = ag.draw(3 * w - 3 * w, explain=w).svg
    assert "(+3)" in picture
    assert "(−3)" in picture
    assert "%)" not in picture
    broken = ag.draw(w * math.nan, explain=w).svg
    assert "(+nan)" in broken
    assert 'stroke-width="nan"' not in broken
    assert "(100%)" in ag.draw(3 * w, explain=w).svg


def chain(w, factors):
    x = w
    for a, b in factors:
        x = x * a + x * b
    return x


def test_paths_that_do_not_add_up_say_so():
    """Two chains that are equal but for rounding: nothing is left of their difference but the rounding."""
    rng = random.Random(0)
    factors = [(rng.uniform(0.5, 1.5), rng.uniform(0.5, 1.5)) for _ in range(60)]
    w = ag.Value(1.0, name="w")
    found = ag.explain(chain(w, factors) - chain(w, factors[::-1]), w, top=2)
    assert not found.agrees
    assert str(found).splitlines()[-1].startswith("  the paths do not add up to the gradient: a sum in which large")
    assert ag.explain(chain(w, factors) + chain(w, factors[::-1]), w, top=2).agrees


def test_latex_of_a_long_path_and_of_many():
    w = ag.Value(1.0, name="w")
    text = ag.explain(chain(w, [(2.0, 0.5)] * 12), w, top=1)._repr_latex_()
    assert r" \, \cdots \, " in text
    assert r"1 \cdot 2 \cdot 1 \cdot 2 \cdot [256] \cdot 1 \cdot 2 \cdot 1 \cdot 2 \,=\, 4096" in text
    assert r"&\;+ \underbrace{5.551 \cdot 10^{4}}_{\text{4{,}095 other paths}}" in text
    assert text.count("{") == text.count("}")
