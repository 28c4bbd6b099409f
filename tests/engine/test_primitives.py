"""`ag.primitive`, user-defined rows: what is refused; and functions of a sequence."""

import pytest

import autograd_lite as ag


def v(x):
    return ag.Value(x)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("p q", "a", "1"), ValueError, "must be an identifier"),
        (("for", "a", "1"), ValueError, "must be an identifier"),
        ((3, "a", "1"), ValueError, "must be an identifier"),
        (("_p", "a", "1"), ValueError, "must be an identifier"),
        (("p", "a", "1", 3), TypeError, "symbol must be a string"),
        (("p", "1.0", "1"), ValueError, "forward has no operand"),
        (("p", "a +", "1"), ValueError, "is not a valid expression"),
        (("p", "nothing_known(a)", "1"), ValueError, "calls 'nothing_known'"),
        (("p", 3, "1"), TypeError, "forward must be a function or an expression"),
        (("p", lambda *a: 1.0, "1"), TypeError, "fixed number of positional arguments"),
        (
            ("p", max, "1"),
            TypeError,
            "forward has no signature to read its operands from, got builtin_function.*such as lambda a: max",
        ),
        (("p", "a * b", "b, c"), ValueError, "partials uses 'c', which is not an operand"),
        (("p", "a * b", "b"), ValueError, "1 derivatives for 2 operands"),
        (
            ("p", "a * b", lambda a: 1.0),
            ValueError,
            "partials takes 1 arguments; it gets 2 operands, and out if it takes 3",
        ),
        (("exp", "a", "1"), ValueError, "primitive of autograd_lite already"),
    ],
)
def test_primitives_that_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        ag.primitive(*arguments)


def test_a_primitive_whose_rule_gives_too_few_or_no_number():
    few = ag.primitive("corners_few", lambda a, b: a * b, lambda a, b: [b])
    with pytest.raises(ValueError, match="gave 1 derivatives for 2 operands"):
        few(v(1.0), 2.0)
    word = ag.primitive("corners_word", lambda a: "much", lambda a: 1.0)
    with pytest.raises(TypeError, match="the result of forward: expected a real number"):
        word(v(1.0))
    slope = ag.primitive("corners_slope", lambda a: a, lambda a: "steep")
    with pytest.raises(TypeError, match="a partial: expected a real number"):
        slope(v(1.0))


@pytest.mark.parametrize("xs", [v(1.0), "abc", b"abc", {1.0: 2.0}, 3.0, None])
def test_a_sequence_is_wanted(xs):
    for name in ("sum", "prod", "mean", "max", "norm", "logsumexp", "softmax", "log_softmax"):
        with pytest.raises(TypeError, match=f"{name}: takes one sequence"):
            getattr(ag, name)(xs)


def test_empty_sequences():
    assert (ag.sum([]), ag.prod([]), ag.dot([], []), ag.dot([], [], bias=3)) == (0.0, 1.0, 0.0, 3.0)
    for name in ("mean", "max", "min", "norm", "logsumexp", "softmax", "log_softmax"):
        with pytest.raises(ValueError, match=f"{name}: the sequence is empty"):
            getattr(ag, name)([])
