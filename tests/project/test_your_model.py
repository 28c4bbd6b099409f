"""docs/YOUR_MODEL.md: its code runs in order, as one program, and prints what it says."""

import re
from pathlib import Path

import autograd_lite as ag

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "YOUR_MODEL.md").read_text()


def test_its_code_prints_what_it_says(capsys):
    names, unread = {}, ""
    for language, block in re.findall(r"^```(python|text)\n(.*?)^```$", TEXT, re.S | re.M):
        if language == "text":
            assert block == unread
            continue
        exec(compile(block, "<YOUR_MODEL>", "exec"), names)
        printed = capsys.readouterr().out
        said = [m.group(1) for m in re.finditer(r"^ *print\(.*\)  # (.*)$", block, re.M)]
        if block.count("print(") > len(said):  # a loop prints the block of text that follows
            lines = printed.splitlines(keepends=True)
            unread, printed = "".join(lines[: -len(said)]), "".join(lines[-len(said) :])
        assert printed.splitlines() == said
    fit = names["fit"]
    assert fit.converged
    # an independent fit of the same model, by an adaptive solver and differences
    assert fit.x[:2].round(3).tolist() == [1.788, 0.456]


def test_what_it_names_is_there():
    for name in set(re.findall(r"\bag\.(\w+)", TEXT)):
        assert hasattr(ag, name), name
    for path in set(re.findall(r"\b(?:examples|docs)/\w+\.(?:py|md)", TEXT)):
        assert (ROOT / path).exists(), path


def test_the_table_for_scipy():
    import numpy as np
    from scipy.integrate import solve_ivp
    from scipy.optimize import curve_fit, minimize

    def f(t, a, k):
        return a * np.exp(-k * t)

    t = np.linspace(0.0, 3.0, 8)
    jac = lambda t, *p: np.column_stack(ag.jacobian(f, argnum=(1, 2))(t, *p))  # noqa: E731
    found, _ = curve_fit(f, t, f(t, 2.0, 0.5), (1.0, 1.0), jac=jac)
    assert found.round(8).tolist() == [2.0, 0.5]
    rosen = lambda x: (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2  # noqa: E731
    found = minimize(rosen, [-1.0, 1.0], jac=ag.grad(rosen), hessp=ag.hvp(rosen), method="trust-ncg")
    assert np.allclose(found.x, 1.0, atol=1e-4)
    stiff = lambda t, y: [-1000.0 * y[0] + y[1], -y[1]]  # noqa: E731
    ended = solve_ivp(stiff, (0.0, 1.0), [1.0, 1.0], method="BDF", jac=ag.jacobian(stiff, argnum=1), rtol=1e-8)
    assert abs(ended.y[1, -1] - np.exp(-1.0)) < 1e-5
