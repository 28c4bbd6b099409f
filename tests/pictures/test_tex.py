"""A picture in TikZ, a graph in LaTeX and in SymPy, a film of the steps."""

import re
import shutil
import subprocess

import pytest

import autograd_lite as ag
from autograd_lite.engine.rules import TABLE
from autograd_lite.pictures.formulas import _forms
from tests.helpers.graphs import HOSTILE, hostile_graph, slides

INJECTIONS = [
    *HOSTILE.values(), r"}\input{/etc/passwd}", r"\write18{rm -rf /}", "50% & $x$ #1 ^2 ~ _", "$$", "\\", "{",
    "}}}", "%",
    "^^5c",
    "a\\end{tikzpicture}\\end{document}", "\n\\relax", '"`\'<>|', "[x],(y);", "×−√∞", "α_β", "w₁,₂", "v²ⁿ",
]  # fmt: skip

COMMANDS = {
    "path", "node", "draw", "useasboundingbox", "definecolor", "begin", "end", "usepackage", "documentclass",
    "renewcommand",
    "familydefault", "sfdefault", "fontsize", "selectfont", "bfseries", "boldmath", "textbackslash", "textasciicircum",
    "textasciitilde", "textless", "textgreater", "textbar", "char", "times", "cdot", "dots", "to", "infty",
    "triangleright",
    "ge", "le", "ne", "surd", "partial",
}  # fmt: skip
GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "pi",
    "rho",
    "sigma",
    "tau",
    "phi",
    "chi",
    "psi",
    "omega",
]


def parsed(source):
    """Check TikZ by reading it as TeX does: commands that are known, braces, dollars and environments that match."""
    depth, at, math, environments = 0, 0, False, []
    source = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
    while at < len(source):
        c = source[at]
        if c == "\\":
            word = re.match(r"[A-Za-z]+", source[at + 1 :])
            if word is None:
                assert source[at + 1] in "{}$&#_%|", source[at : at + 20]
                at += 2
                continue
            assert word[0] in COMMANDS or word[0].lower() in GREEK, word[0]
            if word[0] in ("begin", "end"):
                name = re.match(r"\{(\w+)\}", source[at + 1 + len(word[0]) :])[1]
                environments.append(name) if word[0] == "begin" else environments.remove(name)
                assert word[0] == "begin" or name not in environments
            at += 1 + len(word[0])
            continue
        assert c not in "%&#~\x00\x07", source[max(at - 40, 0) : at + 10]
        assert c not in "_^" or math, source[max(at - 40, 0) : at + 10]
        depth += (c == "{") - (c == "}")
        assert depth >= 0
        math ^= c == "$"
        at += 1
    assert (depth, math, environments) == (0, False, [])


@pytest.mark.parametrize("name", INJECTIONS)
def test_any_name_is_printed_and_not_run(name, tmp_path):
    loss = hostile_graph(name)
    loss.backward()
    picture = ag.draw(loss, local="formula", legend=True, title=name)
    for suffix in ("tex", "tikz"):
        source = picture.save(tmp_path / f"x.{suffix}").read_text(encoding="utf-8")
        parsed(source)
        assert source.count(r"\begin{tikzpicture}") == source.count(r"\end{tikzpicture}") == 1
        assert source.count(r"\begin{document}") == (suffix == "tex")


def test_tikz_has_what_the_svg_has(tmp_path):
    loss = slides()
    loss.backward()
    picture = ag.draw(loss, theme="print", size=16)
    source = picture.save(tmp_path / "x.tikz").read_text(encoding="utf-8")
    assert source.count(r"\node") == picture.still.count("<text")
    assert source.count("rectangle") - 1 == picture.still.count("<rect") - 1
    assert source.count(".. controls") == sum(
        (p.count(" ") + 1) // 3 for p in re.findall(r'd="M[^C]*C([^"]*)"', picture.still)
    )
    assert "{$w_{1}$}" in source
    assert "dash pattern" in source
    assert "x=1pt,y=-1pt" in source
    assert "{$x_{1}$}" in ag.draw(ag.MLP(2, [1], seed=0)).save(tmp_path / "y.tex").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="compiled where there is a TeX")
def test_it_compiles(tmp_path):
    loss = hostile_graph(r"}\input{/etc/passwd} 50% & $x$ #1 ^_ ~")
    ag.draw(loss, legend=True).save(tmp_path / "x.tex")
    done = subprocess.run(
        ["pdflatex", "-interaction=batchmode", "x.tex"], cwd=tmp_path, capture_output=True, timeout=120
    )
    if done.returncode and "standalone.cls" in (tmp_path / "x.log").read_text(errors="replace"):
        pytest.skip("this TeX has no standalone.cls")
    assert done.returncode == 0
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")


def test_a_formula_of_a_graph():
    w, x, y = ag.Parameter(3.0, name="w_1"), ag.Value(2.0, name="x"), ag.Value(5.0)
    h = ag.tanh(w * x + 0.5)
    loss = (h - y) ** 2 / 2 + 1e-7 * w
    found = ag.formula(loss, names=locals())
    assert found.lines == (("loss", "(h − y)² / 2 + 1×10⁻⁷·w₁"), ("h", "tanh(w₁·x + 0.5)"))
    assert found._repr_latex_().startswith(
        "$$\\begin{aligned}\n\\mathrm{loss} &= \\frac{{\\left(h - y\\right)}^{2}}{2}"
    )
    assert str(ag.formula(ag.Value(2.0, name="x"))) == "x = 2"
    assert str(ag.formula(ag.Value(-2.0) * ag.Value(3.0))) == "v3 = −2·3"
    assert "= x − (5 − x) − (−x)" in str(ag.formula(x - (y - x) - (-x)))
    hostile = ag.formula(ag.Value(1.0, name=r"}\input{a}") * 2).latex
    assert r"\input" not in hostile.replace(r"\textbackslash{}input", "")


def test_a_formula_is_bounded():
    v = ag.Value(0.1, name="x")
    for _ in range(20_000):
        v = ag.tanh(v) * 1.01
    with pytest.raises(ValueError, match="formula: a graph of 40,001 values has more than 40 lines"):
        ag.formula(v)
    doubled = ag.Value(1.0, name="x")
    for _ in range(200):
        doubled = doubled * doubled + doubled  # 2**200 leaves if it were written out
    with pytest.raises(ValueError, match="more than 40 lines"):
        ag.formula(doubled)
    for f in (ag.formula, ag.to_sympy):
        with pytest.raises(TypeError, match=f"^{f.__name__}: expected a Value"):
            f(3.0)


def points():
    for name, row in TABLE.items():
        if row.builtin and not name.startswith("_") and name not in ("ndtri", "rint", "round"):
            yield name


@pytest.mark.parametrize("name", list(points()))
def test_sympy_has_the_same_values(name):
    sympy = pytest.importorskip("sympy")
    row = TABLE[name]
    low = 1.0 if name == "acosh" else 0.0
    xs = [ag.Value(low + 0.3 + 0.17 * i, name="abcd"[i]) for i in range(4 if row.variadic else len(row.operands))]
    if name == "polygamma":
        node = ag.polygamma(1, xs[1])
    elif row.variadic:
        node = ag.dot(xs[:2], xs[2:]) if name == "dot" else getattr(ag, name)(xs)
    elif name == "neg":
        node = -xs[0]
    elif hasattr(ag, name):
        node = getattr(ag, name)(*xs)
    else:
        sign = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}[name]
        node = eval(f"a {sign} b", {x.name: x for x in xs})
    found = ag.to_sympy(node)
    at = {sympy.Symbol(x.name, real=True): x.item() for x in xs}
    assert float(found.subs(at)) == pytest.approx(node.item(), rel=1e-12, abs=1e-14)
    assert name in _forms(sympy)


def test_sympy_differentiates_it_and_a_deep_graph_does_not_recurse():
    sympy = pytest.importorskip("sympy")
    w, x = ag.Parameter(0.3), ag.Value(2.0)
    loss = ag.softmax([w * x, x, 1.0])[0] ** 2
    loss.backward()
    found = ag.to_sympy(loss, names=locals())
    at = {sympy.Symbol(name, real=True): v.item() for name, v in (("w", w), ("x", x))}
    assert {str(s) for s in found.free_symbols} == {"w", "x"}
    assert float(found.diff(sympy.Symbol("w", real=True)).subs(at)) == pytest.approx(w.grad)
    v = ag.Value(0.1, name="x")
    for _ in range(3000):
        v = ag.tanh(v) * 1.01
    assert ag.to_sympy(v) is not None
    doubled_square = ag.primitive("doubled_square", "a * a", "2 * a")
    with pytest.raises(NotImplementedError, match="to_sympy: SymPy has no form of 'doubled_square'"):
        ag.to_sympy(doubled_square(w))


def test_without_sympy(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(ImportError, match="to_sympy: SymPy is not installed; run pip install sympy"):
        ag.to_sympy(ag.Value(1.0))


def test_a_film(tmp_path, monkeypatch):
    x = ag.Value(3.0, name="x")
    stepper = ag.step(x * x)
    if shutil.which("ffmpeg"):
        assert stepper.save(tmp_path / "x.mp4").read_bytes()[4:8] == b"ftyp"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"save: an \.mp4 needs the command ffmpeg; install it, or save as \.gif"):
        stepper.save(tmp_path / "y.mp4")
    assert not (tmp_path / "y.mp4").exists()
