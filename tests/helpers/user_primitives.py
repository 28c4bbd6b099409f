"""User-defined primitives given as text: what a text may consist of, one of each kind."""

import autograd_lite as ag

TEXTS = {
    "text_cube": ("a * a * a", "3 * a * a"),
    "text_gate": ("a / (1 + exp(-b))", "1 / (1 + exp(-b)), out * (1 - 1 / (1 + exp(-b)))"),
    "text_leaky": ("where(a > 0, a, 0.1 * a)", "where(a > 0, 1, 0.1)"),
    "text_choice": ("a if a < b else tanh(b)", "where(a < b, 1, 0), where(a < b, 0, 1 - tanh(b) ** 2)"),
    "text_compared": ("greater(a, b) + a ** 2", "2 * a, 0"),
    "text_rows": ("softplus(a) + erf(a) * 2.5e-1", "sigmoid(a) + 0.25 * 1.1283791670955126 * exp(-a * a)"),
    "text_nested": ("text_cube(a) + text_leaky(a)", "3 * a ** 2 + where(a > 0, 1, 0.1)"),
    "text_linear": ("2.0 * a", "2"),
}
"""Name -> (forward, partials). "text_nested" calls two of the others."""

LISTS = ("text_list", "max([a, b])", "where(a >= b, 1, 0), where(a >= b, 0, 1)")
"""A text with a list in it is run as a function."""


def defined(texts=TEXTS):
    """Functions by name; in the table they stay until they are taken out."""
    return {name: ag.primitive(name, *rules) for name, rules in texts.items()}


def applied(own, x):
    """A loss in which each of them has a part, of two numbers."""
    a, b = x
    called = [f(a * 1.25, b) if name in ("text_gate", "text_choice", "text_compared") else f(a - b)
              for name, f in own.items()]  # fmt: skip
    return ag.sum([f * (k + 1) for k, f in enumerate(called)])
