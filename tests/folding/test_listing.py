"""What a program says of itself, line by line: printed, and what it leaves undone."""

import math

import numpy as np

import autograd_lite as ag
from autograd_lite.folding.instructions import Sum
from autograd_lite.folding.printing import name


def perceptron():
    """An MLP 2-3-1 with the squared error, on batches."""
    model = ag.MLP(2, [3, 1], activation="tanh", seed=0)
    program = ag.compile(lambda x, y: (model(x) - y) ** 2, params=model, batch=True)
    program.loss_and_grad(program.theta, [[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0])
    return program


def leaves():
    return [ag.Parameter(0.1 * i) for i in range(12)]


def recurrence():
    x, h = leaves(), 0.0
    for i in range(6):
        h = ag.tanh(x[i] * 0.5 + h * x[0])
    return ag.fold(h, params=x[:6])


def ragged():
    x = leaves()
    dots = [ag.tanh(ag.dot(x[:n], x[n : 2 * n])) for n in range(1, 6)]
    return ag.fold(ag.sum(dots) + ag.max(x[3:9]) * x[2], params=x)


LISTINGS = {
    perceptron: """
%0              13  theta
%1        2 x rows  input 0
%2        1 x rows  input 1
%3        3 x rows  sum  %0[6 lanes] %1[6 lanes] (matmul 3x2x1) + %0[3 lanes] (3 lanes)
%4        3 x rows  tanh  %3
%5        1 x rows  sum  %0[9:12] %4 (matmul 1x3x1) + %0[12] (1 lane)
%6        1 x rows  sub  %5, %2
%7        1 x rows  pow  %6, 2
%8        1 x rows  seed
%9        1 x rows  chain  %8, %6
%10       1 x rows  mul  %9, 2
%11       3 x rows  chain  %10[3 lanes], %0[9:12]
%12       3 x rows  d tanh/da  %3, %4
%13       3 x rows  chain  %11, %12
%14             13  sum  %10[3 lanes] %4 (matmul 1x1x3) + %10 (1 lane) + %13[6 lanes] %1[6 lanes] (matmul 3x1x2) + %13 (3 lanes)
result              %7
gradient            %14
""",
    recurrence: """
%0        6  theta
%1        2  constants 0 0.5
%2        1  sum  %0[2 lanes] %1[2 lanes] (matmul 1x2x1)
%3        1  tanh  %2
%4        1  sum  %0[1] %1[1] (1 lane) + %0[0] %3 (1 lane)
%5        1  tanh  %4
%6        1  sum  %0[2] %1[1] (1 lane) + %0[0] %5 (1 lane)
%7        1  tanh  %6
%8        1  sum  %0[3] %1[1] (1 lane) + %0[0] %7 (1 lane)
%9        1  tanh  %8
%10       1  sum  %0[4] %1[1] (1 lane) + %0[0] %9 (1 lane)
%11       1  tanh  %10
%12       1  sum  %0[5] %1[1] (1 lane) + %0[0] %11 (1 lane)
%13       1  tanh  %12
%14       1  d tanh/da  %12, %13
%15       1  chain  %14, %0[0]
%16       1  d tanh/da  %10, %11
%17       1  chain  %15, %16
%18       1  chain  %17, %0[0]
%19       1  d tanh/da  %8, %9
%20       1  chain  %18, %19
%21       1  chain  %20, %0[0]
%22       1  d tanh/da  %6, %7
%23       1  chain  %21, %22
%24       1  chain  %23, %0[0]
%25       1  d tanh/da  %4, %5
%26       1  chain  %24, %25
%27       1  chain  %26, %0[0]
%28       1  d tanh/da  %2, %3
%29       1  chain  %27, %28
%30       6  sum  %14 %1[1] (1 lane) + %14 %11 (1 lane) + %17 %1[1] (1 lane) + %17 %9 (1 lane) + %20 %1[1] (1 lane) + %20 %7 (1 lane) + %23 %1[1] (1 lane) + %23 %5 (1 lane) + %26 %1[1] (1 lane) + %26 %3 (1 lane) + %29[2 lanes] %1[2 lanes] (matmul 1x2x1)
result       %13
gradient     %30
""",
    ragged: """
%0        12  theta
%1         5  sum  %0[15 lanes] %0[15 lanes] (5 segments of 15)
%2         5  tanh  %1
%3         1  max  %0[3:9]
%4         1  sum  %0[2] %3 (1 lane) + %2 (1 row of 5)
%5         6  equal  %0[3:9], %3[6 lanes]
%6         1  sum  %5 (1 row of 6)
%7         6  div  %5, %6[6 lanes]
%8         5  d tanh/da  %1, %2
%9        12  sum  %3 (1 lane) + %0[6 lanes] %7 (6 lanes) + %8[15 lanes] %0[15 lanes] (5 segments of 15) + %8[15 lanes] %0[15 lanes] (4 lanes, matmul 1x2x2, matmul 2x2x1, matmul 1x3x1)
result        %4
gradient      %9
""",
}


def test_a_program_is_printed_line_by_line():
    for make, text in LISTINGS.items():
        assert str(make()) == text.strip("\n")


def test_a_run_is_careful_only_where_it_must_be():
    """An infinite slope, a product by 0: the first run gives NaN, and another one that minds the rule of zeros."""
    w = ag.Parameter(4.0)
    program = ag.fold(ag.relu(-ag.sqrt(w)) + w, params=[w], backend="numpy")
    assert program.loss_and_grad([4.0])[1].tolist() == [1.0]
    assert list(program._folded.plans) == [(0, False, 0)]
    assert program.loss_and_grad([math.inf])[0] == math.inf
    assert list(program._folded.plans) == [(0, False, 0)]
    assert math.isnan(program.loss_and_grad([math.nan])[0])
    assert list(program._folded.plans) == [(0, False, 0), (0, True, 0)]
    forward = ag.compile(lambda x: ag.exp(x) * 2.0, backend="numpy")
    assert math.isnan(forward(math.nan))
    assert forward(1.0) == 2.0 * math.exp(1.0)
    assert len(forward._latest._folded.pool.shelves) == 1


def test_lanes_that_no_result_needs_are_not_there():
    x = leaves()
    squares = [ag.exp(v) for v in x]
    program = ag.fold([squares[3], squares[5] + squares[3]], inputs=[x])
    sizes = {name(instruction): instruction.size for instruction in program.plan(False).instructions}
    assert sizes["exp"] == 2


def test_the_forms_of_a_batch():
    """What both operands of have the batch axis is summed over it in one product; what one has it, first."""
    program = perceptron()
    sums = [x for x in program.plan().instructions if isinstance(x, Sum)]
    found = [[form.what for part in x.parts for form in part.forms] for x in sums]
    assert found == [["matmul", "each"], ["matmul", "each"], ["matmul", "each", "matmul", "each"]]


def test_the_slope_of_a_whole_negative_power_at_zero():
    x = ag.Parameter(0.0)
    for power, slope in ((-2.0, -math.inf), (2.0, 0.0), (3.0, 0.0)):
        root = ag.sum([x**power, x])
        assert ag.fold(root, params=[x]).loss_and_grad([0.0])[1].tolist() == [slope + 1.0] == [ag.gradients(root, x)]
    assert np.isnan(ag.fold(x**-2.0, params=[x]).loss_and_grad([math.nan])[1]).all()
