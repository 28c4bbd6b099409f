"""Known mistakes, as data: what `python -m tools.planted` plants in a copy of the package, one at a time.

Each is a slip that somebody who writes such a library makes, or has made: a text of the package that occurs once
in its file, what stands there instead, and the tests that ought to notice first. test_planted.py keeps the list in
step with the code.
"""

from typing import NamedTuple


class Mistake(NamedTuple):
    """One slip.

    Args:
        name: what is wrong then.
        file: of the package.
        before, after: a text that occurs once in the file, and the mistake in its place.
        first: the test files to try first, without `test_` and `.py`.
    """

    name: str
    file: str
    before: str
    after: str
    first: str


def _slips(file: str, first: str, *slips: tuple[str, str, str]) -> list[Mistake]:
    return [Mistake(name, file, before, after, first) for name, before, after in slips]


_IN_BASE = (
    f'"where(b == 0, where(a == 0, 0, b * a ** (b - 1)), "\n{" " * 43}'
    f'"where(b == floor(b), b * a ** (b - 1), "\n{" " * 43}"where(a < 0, out, where(abs(b) > 0.05, '
    f'b * _lowered(a, b, 1), "\n{" " * 43}"where(a * a == a, b * a ** (b - 1), _faint(a, b))))))'
)
_IN_EXPONENT = "where(a == 0, where(b < 0, -inf, 0 * b), out * log(a))"

# fmt: off
MISTAKES = [
    # --- the walks of a graph
    *_slips("engine/graph.py", "faults_graph golden micrograd", (
        "an operand slot lost: the second operand of a node",
        "return a if b is MANY else (a, b)",
        "return a if b is MANY else (a,)",
    ), (
        "an order in which a node may come before its operands",
        """
                if b is None or b in done or type(b) is number:
                    done[node] = 0.0
                else:
                    path.append(node)
                    node = b
                    break
""",
        """
                done[node] = 0.0
                if not (b is None or b in done or type(b) is number):
                    node = b
                    break
""",
    )),
    *_slips("engine/backward.py", "golden faults_graph edge_cases examples_derivatives interrupts", (
        "= for += where an operand is used twice",
        "adjoint[b] += g * node._db",
        "adjoint[b] = g * node._db",
    ), (
        "a * a counted once: an operand that stands in two slots",
        "            if type(b) is not number:\n                adjoint[b] += ",
        "            if type(b) is not number and b is not a:\n                adjoint[b] += ",
    ), (
        "no topological order: breadth first, each node as soon as it is met",
        "    adjoint = graph.toposort_into({}, root)\n",
        """    nodes, met = [root], {root}
    for node in nodes:
        new = dict.fromkeys(x for x in graph.raw_operands(node) if type(x) is not float and x not in met)
        met.update(new)
        nodes += new
    adjoint = dict.fromkeys(reversed(nodes), 0.0)
""",
    ), (
        "interior gradients kept between passes",
        "leaves = [node for node in adjoint if node._a is None]",
        "leaves = list(adjoint)",
    ), (
        "leaf gradients overwritten by the next pass",
        "map(adjoint.__setitem__, leaves, sums), map(setattr,",
        "map(setattr,",
    ), (
        "0 * inf handed on where an adjoint is 0 or a branch was not taken",
        "product, g = row.chain.value, adjoint[node]",
        "product, g = float.__mul__, adjoint[node]",
    )),
    *_slips("engine/rules.py", "edge_cases branches faults_graph", (
        "a branch that was not taken hands on 0 * inf",
        'TABLE["_masked" if self.branch else "_chain"]',
        'TABLE["_chain"]',
    )),
    *_slips("engine/backward.py", "golden faults_graph edge_cases examples_derivatives interrupts", (
        "gradients written one by one, so that an interrupt leaves half of them",
        "at_once(map(adjoint.__setitem__, leaves, sums), map(setattr, adjoint, repeat(\"_grad\"), adjoint.values())",
        """for leaf, total in zip(leaves, sums):
        adjoint[leaf] = total
    for node, g in adjoint.items():
        node._grad = g
    at_once(()""",
    )),
    *_slips("derivatives/reverse.py", "golden faults_graph edge_cases examples_derivatives interrupts", (
        "a derivative as a graph taken at numbers that have changed since",
        "    refuse_stale(nodes, fresh)\n    needed",
        "    needed",
    )),
    *_slips("derivatives/reverse.py", "golden faults_graph edge_cases examples_derivatives interrupts", (
        "a derivative as a graph whose local gradients are numbers, so that the next order is 0",
        "return [_rule(row, i)(*operands, node) for i in slots]",
        "return [node.local_grads[i] for i in slots]",
    ), (
        "a derivative of 0 dropped though the slope that arrives is infinite",
        "(row.branch or _finite(g))",
        "True",
    )),
    *_slips("derivatives/forward.py", "golden faults_graph edge_cases examples_derivatives interrupts", (
        "forward mode that loses the second operand's tangent",
        "node._da * t if s is None else node._da * t + node._db * s",
        "node._da * t",
    )),
    *_slips("derivatives/transforms.py", "traced_reads comparisons transforms", (
        "a derivative inside a compiled function fixed at the numbers of its trace",
        "return mode.tracer is not None and any(x not in own",
        "return False and any(x not in own",
    ), (
        "a result that has left the graph has derivative 0",
        "        running.refuse_left(what, result, self.outputs)\n",
        "",
    )),
    *_slips("engine/modes.py", "contexts interrupts values", (
        "a block that ends takes out the last one, whichever that is",
        "_enter([other for other in blocks if other is not block])",
        "_enter(blocks[:-1])",
    ), (
        "a decorated generator is in its block only until it first waits",
        "            return self._generator.send(value)\n",
        "            pass\n        return self._generator.send(value)\n",
    )),
    *_slips("folding/tracing.py", "traced_reads comparisons compile", (
        "a number read in a thread that the trace does not see",
        "if self.inputs and not self.inputs.isdisjoint(graph.toposort(value)):",
        "if False:",
    )),
    *_slips("folding/calls.py", "arguments composed", (
        "an operand that another one was computed from gets the derivatives of both",
        "fresh = [x * 1.0 if isinstance(x, Value) else Value(x) for x in operands[: self._count]]",
        "fresh = [x if isinstance(x, Value) else Value(x) for x in operands[: self._count]]",
    ), (
        "a node of a compiled function is never stale",
        "if np.array(xs).tobytes() == self._numbers.tobytes():",
        "if True:",
    ), (
        "a transform within a compiled function does not see the leaves of one outside",
        "with changed_mode(recording=True), following(_Followed(operands)):",
        "with changed_mode(recording=True):",
    )),
    *_slips("folding/eager.py", "paying", (
        "the parameters keep the theta of a call that ran uncompiled",
        "            set_numbers(params, before)\n",
        "            pass\n",
    )),
    *_slips("folding/forms.py", "arguments", (
        "static arguments that are equal and not the same share a trace",
        "    return type(x), x\n",
        "    return x\n",
    )),
    *_slips("folding/paying.py", "paying", (
        "a function that is in debt is never given up",
        "if self._debt >= PATIENCE:",
        "if False:",
    )),
    *_slips("folding/contents.py", "traced_reads comparisons compile", (
        "a Parameter replaced by an equal one goes unnoticed",
        "if same and not met.any:",
        "if same:",
    )),
    *_slips("folding/backends/numpy_sums.py", "zeros", (
        "a sum whose literal 0 was left out comes out as -0.0",
        "    if x.zeroed:\n",
        "    if False:\n",
    )),
    *_slips("engine/value.py", "values modes faults_graph edge_cases micrograd", (
        "no_grad that records all the same",
        "    if not recording:\n",
        "    if False:\n",
    ), (
        "detach that keeps the graph",
        "leaf = _detached(self)",
        "return self",
    ), (
        "< that holds for equal numbers",
        'self._f.__lt__, "less"',
        'self._f.__le__, "less"',
    ), (
        "== on the name: a leaf's number set while a graph hangs on the result",
        "        if self._row is not None:\n            raise RuntimeError(\n",
        "        if False:\n            raise RuntimeError(\n",
    )),
    *_slips("engine/checks.py", "values modes faults_graph edge_cases micrograd", (
        "an integer of 400 digits taken as infinity",
        "            raise OverflowError(message)\n",
        "            return value\n",
    )),
    *_slips("engine/functions.py", "values golden micrograd edge_cases faults_graph", (
        "2 - x computed as x - 2: reflected operators with their operands in the wrong order",
        "this, other = (b, a) if reflected else (a, b)",
        "this, other = (a, b)",
    ), (
        "a dot product that stops at the end of the shorter sequence",
        "    if len(left) != len(right):\n        raise ValueError(f\"dot:",
        "    left, right = left[: len(right)], right[: len(left)]\n    if False:\n        raise ValueError(f\"dot:",
    ), (
        "a constant where-condition that makes both sides",
        "return b() if condition == 0.0 else a() if condition == condition else math.nan",
        "return a() if condition == condition else math.nan",
    )),
    # --- the table: text rules
    *_slips("engine/primitives.py", "edge_cases branches table", (
        "tanh' as 1 - t^2, which is 0 from 19 on",
        '"4 * sigmoid(2 * a) * sigmoid(-2 * a)"',
        '"1 - out * out"',
    ), (
        "the partials of a quotient swapped",
        '"equal(out, out) / b, -out / b"',
        '"-out / b, equal(out, out) / b"',
    ), (
        "the partials of a power swapped",
        f'{_IN_BASE},"\n{" " * 43}"{_IN_EXPONENT}"',
        f'"{_IN_EXPONENT}, " {_IN_BASE}"',
    ), (
        "the factor b forgotten in the derivative of a whole power",
        "where(b == floor(b), b * a ** (b - 1), \"",
        "where(b == floor(b), a ** (b - 1), \"",
    ), (
        "0 ** 0 has the derivative NaN",
        "where(b == 0, where(a == 0, 0, b * a ** (b - 1)), ",
        "where(b == 0, b * a ** (b - 1), ",
    ), (
        "relu(NaN) is 0",
        '"where(a <= 0, 0, a)"',
        '"where(a > 0, a, 0)"',
    ), (
        "relu'(0) is 1",
        '"greater(a, 0)",\n',
        '"greater_equal(a, 0)",\n',
    ), (
        "a tie of maximum goes to the first operand alone",
        f'"greater(a, b) + 0.5 * equal(a, b), "\n{" " * 75}"greater(b, a) + 0.5 * equal(a, b)"',
        '"greater_equal(a, b), greater(b, a)"',
    ), (
        "softplus that overflows at 710",
        '"where(a >= 0, a + log1p(exp(-a)), log1p(exp(a)))"',
        '"log1p(exp(a))"',
    ), (
        "sigmoid that underflows too early",
        '"where(a > -700, 1 / (1 + exp(-a)), exp(a))"',
        '"1 / (1 + exp(-a))"',
    ), (
        "the softmax of a logsumexp without its shift",
        'LOGSUMEXP = "last(top := max(xs), top',
        'LOGSUMEXP = "last(top := 0 * max(xs), top',
    ), (
        "the derivative of log at -1 is -1, not NaN",
        '"where(a < 0, out, 1 / (a + 0.0))"',
        '"1 / (a + 0.0)"',
    ), (
        "0 * inf in the product of an adjoint with a local gradient",
        '"where(a == 0, 0, a * b)"',
        '"a * b"',
    ), (
        "a branch marked as none: what was not chosen gets 0 * inf",
        '"The larger of a and b.", branch=True',
        '"The larger of a and b."',
    ), (
        "gelu by the error function, which loses its tail",
        '"a * ndtr(a)"',
        '"0.5 * a * (1 + erf(a * 0.7071067811865476))"',
    )),
    *_slips("engine/kernels.py", "edge_cases branches table", (
        "1 / 0.0 is NaN",
        "    return math.copysign(inf, a) * math.copysign(1.0, b)\n",
        "    return nan\n",
    ), (
        "the product of the others by division, which fails at a zero",
        "    return [b * a for b, a in zip(before, reversed(after), strict=True)]\n",
        "    return [before[-1] * xs[-1] / x for x in xs]\n",
    ), (
        "a dot product without its bias",
        "xs[2 * n] if len(xs) > 2 * n else 0.0",
        "0.0",
    )),
    # --- networks
    *_slips("nn/layers.py", "nn golden training", (
        "inputs cut short by zip instead of refused",
        "    if len(xs) != n_in:\n",
        "    xs = xs[:n_in]\n    if len(xs) < n_in:\n",
    ), (
        "predict without the bias",
        " + np.array(numbers_of(neuron.b for neuron in layer.neurons))",
        "",
    ), (
        "predict with the weights of a layer transposed",
        "rows @ weights.T",
        "rows @ weights.reshape(weights.shape[::-1])",
    ), (
        "the hidden activation on the output layer",
        "output_activation if i == last else activation, init=init",
        "activation, init=init",
    )),
    *_slips("nn/module.py", "nn golden training", (
        "a shared parameter listed twice",
        "            if id(thing) in seen:\n",
        "            if id(thing) in seen and not isinstance(thing, Parameter):\n",
    ), (
        "a state with unknown entries taken",
        "        if strict and (missing or extra):\n            wrong = [f\"missing {name!r}\" for name in sorted(missing)] + [",  # noqa: E501
        "        if strict and missing:\n            wrong = [f\"missing {name!r}\" for name in sorted(missing)] + [",
    )),
    *_slips("nn/initializers.py", "nn golden training", (
        "Glorot's bound from n_in alone",
        "sqrt(6.0 / (n_in + n_out))",
        "sqrt(6.0 / n_in)",
    ), (
        "He's standard deviation without its 2",
        "sqrt(2.0 / n_in)",
        "sqrt(1.0 / n_in)",
    )),
    *_slips("nn/perceptron.py", "nn golden training", (
        "a score of 0 counted as classified",
        "if not label * scores[i] > 0.0]",
        "if not label * scores[i] >= 0.0]",
    ), (
        "the perceptron rule without the label",
        "rate * sum(labels[i] * float(rows[i, j]) for i in wrong)",
        "rate * sum(float(rows[i, j]) for i in wrong)",
    )),
    *_slips("nn/trace.py", "nn golden training", (
        "Delta_j taken behind the activation instead of before it",
        "return {j: z.grad for j, z in self.z.items()}",
        "return {j: self.a[j].grad for j, z in self.z.items()}",
    )),
    *_slips("losses.py", "losses golden edge_cases", (
        "hinge without its margin",
        "functions.relu(1.0 - p * y)",
        "functions.relu(0.0 - p * y)",
    ), (
        "half the squared error without the half",
        "return 0.5 * _sum(",
        "return _sum(",
    ), (
        "huber that jumps at delta",
        "near * (r - 0.5 * near)",
        "near * (r - near)",
    ), (
        "the mean squared error as a sum",
        "squares[0] if len(squares) == 1 else functions.mean(squares)",
        "_sum(squares)",
    ), (
        "the two classes of binary cross-entropy exchanged",
        "_expectation(t, z, _minus_log_sigmoid, functions.softplus)",
        "_expectation(t, z, functions.softplus, _minus_log_sigmoid)",
    ), (
        "cross-entropy in which the label itself counts among the others",
        "others = z[:k] + z[k + 1 :]",
        "others = z[:k] + z[k:]",
    ), (
        "a negative label taken from the end",
        "k not in range(classes)",
        "k not in range(-classes, classes)",
    ), (
        "the penalty lambda * sum w^2 with a half",
        'return _coefficient(coefficient, "l2") * functions.dot(ws, ws)',
        'return 0.5 * _coefficient(coefficient, "l2") * functions.dot(ws, ws)',
    )),
    # --- training
    *_slips("optim/optimizer.py", "optim golden training faults_training interrupts", (
        "a step up the gradient",
        "w = w - self._rates() * g",
        "w = w + self._rates() * g",
    ), (
        "frozen parameters that move",
        'frozen = [getattr(p, "frozen", False) for p in self.params]',
        "frozen = [False for p in self.params]",
    ), (
        "a step with a gradient that is NaN",
        "if not self.allow_nonfinite and not all_finite(g):",
        "if False:",
    ), (
        "a step that makes numbers infinite",
        "        if all_finite(new):\n",
        "        if True:\n",
    ), (
        "a parameter given twice stepped twice",
        "                if id(p) not in seen:\n",
        "                if True:\n",
    ), (
        "parameters written before the state, so that an interrupt comes between",
        "set_numbers(self.params, numbers.tolist(), effect)",
        "set_numbers(self.params, numbers.tolist())\n        set_numbers((), (), effect)",
    ), (
        "the steps of a loaded state forgotten",
        "map(_set_state, (self,), ((steps, tuple(states)),))",
        "map(_set_state, (self,), ((0, tuple(states)),))",
    )),
    *_slips("optim/transformations.py", "optim golden training faults_training interrupts", (
        "momentum as a running mean",
        'self.mu * state["velocity"] + g',
        'self.mu * state["velocity"] + (1.0 - self.mu) * g',
    ), (
        "Nesterov's momentum without the look ahead",
        "(g + self.mu * velocity if self.nesterov else velocity)",
        "velocity",
    ), (
        "AdaGrad that forgets the squares of earlier steps",
        'cache = state["cache"] + g * g',
        'cache = 0.0 * state["cache"] + g * g',
    ), (
        "RMSprop with the two shares of its cache exchanged",
        'self.alpha * state["cache"] + (1.0 - self.alpha) * (g * g)',
        '(1.0 - self.alpha) * state["cache"] + self.alpha * (g * g)',
    ), (
        "AMSGrad without the largest square",
        'vectors.maximum(state["largest_v"], v)',
        "v",
    ), (
        "Rprop that takes a step back with the gradient that turned",
        "g = vectors.where(turned < 0.0, 0.0, g)\n",
        "g = g\n",
    ), (
        "Nesterov's Adam that looks at the rate of now",
        "for k in (t, t + 1))",
        "for k in (t, t))",
    ), (
        "an average that begins at 0",
        "if self.decay is None or t == 1 else self.decay",
        "if self.decay is None else self.decay",
    ), (
        "Adam without bias correction",
        "        if self.corrected:\n",
        "        if False:\n",
    ), (
        "Adam whose bias correction stays at the first step",
        't = state["t"] + 1\n        m = b1 * state["m"] + (1.0 - b1) * g\n        v = b2',
        't = 0 * state["t"] + 1\n        m = b1 * state["m"] + (1.0 - b1) * g\n        v = b2',
    ), (
        "clipping to a norm that always scales",
        "(g * (self.limit / norm) if norm > self.limit else g)",
        "(g * (self.limit / norm))",
    )),
    *_slips("optim/rules.py", "optim golden training faults_training interrupts", (
        "AdamW whose decay goes through the moments",
        "chain += [*_decay(penalty), *rule, *_decay(decay)]",
        "chain += [*_decay(penalty), *_decay(decay), *rule]",
    ), (
        "the slides' l2 without the 2 of its derivative",
        'self._each("l2", l2, groups, 2.0)',
        'self._each("l2", l2, groups)',
    )),
    *_slips("optim/schedules.py", "optim training golden", (
        "step decay without steps",
        "self.factor ** (k // self.every)",
        "self.factor ** (k / self.every)",
    ), (
        "a cosine that rises again",
        "cos(pi * min(k / self.steps, 1.0))",
        "cos(pi * k / self.steps)",
    ), (
        "a warm-up that begins at 0",
        "return self.after(0) * (k + 1) / self.steps",
        "return self.after(0) * k / self.steps",
    ), (
        "the rate of a boundary one step late",
        "sum(b <= k for b in self.boundaries)",
        "sum(b < k for b in self.boundaries)",
    ), (
        "a plateau one epoch too short",
        "if waited > self.patience:",
        "if waited >= self.patience:",
    ), (
        "1/t decay that divides by the rate of the epoch before",
        "self.lr / (1.0 + self.rate * k)",
        "self.lr / (1.0 + self.rate * max(k - 1, 0))",
    )),
    *_slips("training/compiled.py", "sequences fit_compiled", (
        "a program used for batches of another length",
        "            if [x.shape[1:] for x in args] == [x.shape[1:] for x in arrays]:",
        "            if True:",
    ), (
        "sequences of one length count as much as all others",
        "slope * (len(places) / len(data))",
        "slope",
    )),
    *_slips("training/steps.py", "training golden fit_compiled", (
        "a last short batch dropped",
        "steps = range(0, len(order), batch_size)",
        "steps = range(0, len(order) - batch_size + 1, batch_size)",
    ), (
        "the gradient of a batch as a sum, not the mean",
        "parameters, share = self.optimizer.params, 1.0 / len(batch)",
        "parameters, share = self.optimizer.params, 1.0",
    ), (
        "a loss at the end of an epoch weighted by batch, not by example",
        'Epoch(sum(costs) / len(costs) + penalties / weights,',
        'Epoch(sum(sum(costs[i : i + batch_size]) / len(costs[i : i + batch_size]) for i in steps) / len(steps) + penalties / weights,',  # noqa: E501
    )),
    *_slips("data.py", "training golden fit_compiled", (
        "every epoch in the same order",
        'random.Random(f"{seed} {epoch}").shuffle(order)',
        'random.Random(f"{seed}").shuffle(order)',
    ), (
        "validation examples trained on",
        "kept = sorted(order[held:])",
        "kept = sorted(order)",
    ), (
        "a NaN among the examples let in",
        "    if bad.any():\n",
        "    if False:\n",
    )),
    *_slips("training/steps.py", "training golden fit_compiled", (
        "zero_grad forgotten between batches",
        "set_gradients(self.optimizer.params, total.tolist())",
        "set_gradients(self.optimizer.params, [p._grad + t for p, t in zip(self.optimizer.params, total.tolist())])",
    ), (
        "the gradients of a step that was refused",
        "            set_gradients(self.optimizer.params, before)\n",
        "            pass\n",
    )),
    *_slips("training/stopping.py", "training golden fit_compiled", (
        "patience one epoch too long",
        "self._waited(history.watched) >= self.patience",
        "self._waited(history.watched) > self.patience",
    )),
    *_slips("training/loop.py", "training golden fit_compiled", (
        "the weights of the last epoch kept, not the best",
        "        if self.early_stopping.restores and self.state.best is not None:\n",
        "        if False:\n",
    )),
    *_slips("training/minimizing.py", "minimizing", (
        "the parameters of the last trial left behind after an error in the loss",
        "    except BaseException:\n        set_numbers(live, before)\n        raise\n    return found",
        "    except ImportError:\n        set_numbers(live, before)\n        raise\n    return found",
    ), (
        "the last point in place of the best so far",
        "        if loss < self.loss:\n            self.x",
        "        if loss < inf:\n            self.x",
    ), (
        "a covariance by the number of residuals, not of what is left of them",
        "return self.loss / (m - n) *",
        "return self.loss / m *",
    ), (
        "the last digits left out",
        "    if len(search.x) > DENSE:\n        return\n",
        "    return\n",
    ), (
        "variables that stay as they are scaled",
        "        return loss, gradient * scale",
        "        return loss, gradient",
    )),
    *_slips("training/objectives.py", "minimizing", (
        "a loss that draws at random taken for a program",
        "if not same_program(program,",
        "if False and not same_program(program,",
    ), (
        "a loss that branches taken for a program",
        "    elif looks.what:",
        "    elif looks.what is None:",
    )),
    *_slips("training/whole_batch.py", "training", (
        "the loss and the gradient of another point than that of the parameters",
        "                costs, _, predictions, total = self.inner.evaluate(data, theta)\n            if",
        "                costs, _, predictions, total = self.inner.evaluate(data, 0.9 * theta)\n            if",
    )),
    *_slips("derivatives/propagation.py", "propagation", (
        "errors carried without what they have in common",
        "spread = slopes @ matrix @ slopes.T",
        "spread = slopes @ np.diag(np.diag(matrix)) @ slopes.T",
    )),
    *_slips("training/checkpoints.py", "training golden fit_compiled", (
        "a resumed training whose optimizer begins anew",
        "set_numbers(names.values(), numbers, loaded)",
        "set_numbers(names.values(), numbers)",
    )),
    *_slips("files.py", "files crash_safety training", (
        "a checksum that nobody looks at",
        "if not isinstance(payload, dict) or _document(head) != text:",
        "if not isinstance(payload, dict):",
    ), (
        "parameters written with 12 digits",
        '"parameters": {key: number_of(p) for key, p in parameters.items()}',
        '"parameters": {key: float(f"{p._f:.12g}") for key, p in parameters.items()}',
    ), (
        "frozen parameters that thaw in a file",
        "            by_name[key].frozen = True\n",
        "            by_name[key].frozen = False\n",
    ), (
        "the same key twice in a file, the last one taken",
        "    if len(found) < len(pairs):\n",
        "    if False:\n",
    )),
    *_slips("atomic_write.py", "files training pictures", (
        "the old file overwritten in place",
        '        _replace(beside, target, f"{what}: {str(path)!r}")\n',
        "        target.write_bytes(data)\n        beside.unlink()\n",
    )),
    # --- fold
    *_slips("folding/emitting.py", "fold fold_classes compile fold_arrays", (
        "lanes merged that differ in their second operand",
        "by_occurrence(places[0] if len(places) == 1 else (places[0] << 31) + places[1])",
        "by_occurrence(places[0])",
    ), (
        "a mean folded as a sum",
        'return self.builder.mean(made, self.flat_size[mine]) if what == "mean" else made',
        "return made",
    )),
    *_slips("folding/rolling.py", "loops", (
        "steps rolled whose lanes are in another order",
        "if (now & ((of != low + (step - delay) * period + statement) | (to.lane[positions] != lane))).any():",
        "if False:",
    ), (
        "a recurrence that starts from other values than one of its readers",
        "if known != position and (of[0] != of[1] or place[0] != place[1]):",
        "if False:",
    ), (
        "a lane of a step that has fewer takes from a later step than its own",
        "positions[of[:, c] >= low, c] = positions[last[c], c]",
        "positions[of[:, c] >= low, c] += 0",
    ), (
        "steps with fewer and fewer lanes rolled though they take from other lanes",
        "(active & now & ~same).any()",
        "False",
    )),
    *_slips("folding/shortening.py", "shortening", (
        "what was left out of a long graph taken for what it looks like",
        "if (what != what[0]).any() or (counts != counts[0]).any():",
        "if False:",
    )),
    *_slips("folding/repeats.py", "loops", (
        "a step rolled that takes from another one than the others do",
        "        good = np.where(inside, like_inside, like_outside).all(1)\n",
        "        good = np.ones(run.times, bool)\n",
    )),
    *_slips("folding/backends/numpy_loops.py", "loops", (
        "a loop on floats trusted though a sum in it has overflowed",
        "return doubt == 0.0 and all(np.isfinite(rows).all() for rows in runs.rows.values())",
        "return True",
    ), (
        "the steps of a loop kept in the wrong order where the next ones take from two before",
        "for s in range(shift, 0, -1)]",
        "for s in range(1, shift + 1)]",
    )),
    *_slips("folding/grouping.py", "fold fold_classes compile fold_arrays", (
        "a - b and b - a in one class",
        "            if ca > cb and made_of == EITHER_WAY:\n",
        "            if ca > cb:\n",
    ), (
        "a product that two sums use swallowed by one of them",
        "into[uses != 1] = -1",
        "into[uses < 1] = -1",
    ), (
        "primitives of one operand in one class",
        "yield what * WIDE + seen[left]",
        "yield WIDE + seen[left]",
    )),
    *_slips("folding/scan.py", "fold fold_classes compile fold_arrays", (
        "programs of different structure taken for one",
        "for part in (self.code, self.sizes, self.source[: self.count], self.roots, *parts):",
        "for part in (self.code, self.sizes, self.source[: self.count], self.roots):",
    ), (
        "two exponents in one class",
        'self.code[i] = codes.setdefault(("pow", b[i]), len(codes))',
        'self.code[i] = codes.setdefault(("pow", 2.0), len(codes))',
    ), (
        "terms left out that are not 0",
        "self.zero: Array = is_zero(np.array(values, float))",
        "self.zero: Array = np.array([v <= 0.5 for v in values], bool)",
    )),
    *_slips("folding/contractions.py", "fold_parts fold compile", (
        "a matrix product whose left rows come in reverse",
        "left[number[left_block[some]], in_left[some]] = lefts[first_left[some]]",
        "left[number[left_block[some]], in_left[some]] = lefts[first_left[some]][::-1]",
    ), (
        "a matrix product whose result is transposed",
        "to[number[block[mine]], in_left[of_left[mine]], in_right[of_right[mine]]] = lanes[mine]",
        """to[number[block[mine]], in_left[of_left[mine]], in_right[of_right[mine]]] = lanes[mine]
        to = to.swapaxes(1, 2) if h == w else to""",
    ), (
        "the terms of the left operand sorted, those of the right not",
        "np.take_along_axis(lefts, order, 1), np.take_along_axis(rights, order, 1)",
        "np.take_along_axis(lefts, order, 1), rights",
    ), (
        "lanes that are not a full product taken for a matrix product",
        "if (edges != height * width).any() or len(np.unique(of_left * n_right + of_right)) < n:",
        "if (edges > height * width).any():",
    )),
    *_slips("folding/plan.py", "fold_parts fold compile", (
        "lanes that nothing needs dropped, their places not",
        "lane[k] = np.where(mask, np.cumsum(mask) - 1, -1)",
        "lane[k] = np.where(mask, np.arange(len(mask)), -1)",
    ), (
        "the zero rule's second run left out",
        "doubt_nan = not safe and any(map(_has_zero_rule, kept.sources()))",
        "doubt_nan = False",
    )),
    *_slips("folding/reverse.py", "fold compile fit_compiled", (
        "a product hands its adjoint to the left operand alone",
        "for x, other in ((part.left, part.right), (part.right, part.left)):",
        "for x, other in ((part.left, part.right),):",
    ), (
        "a number that goes along with a product lost on the way back",
        "yield operand.source, times_partial(builder, kind, factor, to, adjoint, partial)",
        "yield operand.source, times_partial(builder, kind, 1.0, to, adjoint, partial)",
    ), (
        "an adjoint that arrives on two ways taken from one",
        "            self.parts[source].append(part)\n",
        "            self.parts[source] = [part]\n",
    )),
    *_slips("folding/tangents.py", "derivatives", (
        "tangents of a factor alone, and not of the other",
        "for mine, other in ((part.left, part.right), (part.right, part.left)):",
        "for mine, other in ((part.left, part.right),):",
    ), (
        "tangents of a step that are missing in the others",
        "keys = (np.arange(rows[k])[:, None] * (width[k] * self.count) + self._keys[k]).ravel()",
        "keys = ((rows[k] - 1) * (width[k] * self.count) + self._keys[k]).ravel()",
    ), (
        "what a recurrence starts from without its tangents",
        "return self.builder.sum(size, [part for part in parts if len(part.to)], None)",
        "return self.builder.literal(np.zeros(size))",
    )),
    *_slips("folding/derived.py", "derivatives", (
        "the entries of a matrix in the order in which they were found",
        "order = np.lexsort((rows, columns))",
        "order = np.arange(len(rows))",
    ), (
        "an entry of a Hessian taken for another in place of its mirror image",
        "other = order[np.searchsorted(keys[order], columns * size + rows)]",
        "other = order",
    ), (
        "a NaN of a gradient that its own derivative lacks",
        'lasting = self.builder.op("_lasting", size, (gradient, Ref(place, None)))',
        "lasting = gradient",
    ), (
        "a Hessian in the parameters of a batch that is not of the mean",
        "if builder.batched(root) and not builder.instructions[place].batched:",
        "if False:",
    )),
    *_slips("folding/differentiating.py", "derivatives", (
        "a product with a Hessian trusted where it is not finite",
        "if not (trusted and all_finite(found) and run.finite()):",
        "if not trusted:",
    ), (
        "the branches of a derivative's trace not asked for",
        "        if guards and not self.program._unasked:",
        "        if False:",
    )),
    *_slips("folding/nested_steps.py", "derivatives", (
        "a Map of a step that does not wait for one that is complete",
        "                place = -1\n",
        "                pass\n",
    )),
    *_slips("folding/instructions.py", "fold compile", (
        "two equal parts of a sum merged without adding their factors",
        "part = part._replace(factor=part.factor + merged[key].factor)",
        "pass",
    ), (
        "different instructions taken for one",
        "key = (name, slot, size, *map(self._token, args))",
        "key = (name, slot, size, len(args))",
    )),
    *_slips("folding/backends/strides.py", "fold_parts fold compile", (
        "an index that jumps read as a stride",
        "if len(table) > 1 and (table - table[:, :1] != table[0] - table[0, 0]).any():",
        "if False:",
    ), (
        "a table that is not affine read as a view",
        "if np.array_equal(expected, table) else None",
        "",
    )),
    *_slips("folding/backends/numpy_backend.py", "fold compile fit_compiled fold_limits", (
        "new constants that do not reach the buffer",
        "if leaves.constants is self.bound:",
        "if self.bound is not None:",
    ), (
        "a batch worked through in pieces, each weighted as if it were all",
        "pieces.append(self._run(some, stop - start, 1.0 / rows))",
        "pieces.append(self._run(some, stop - start, 1.0 / (stop - start)))",
    )),
    *_slips("folding/backends/numpy_sums.py", "fold compile fit_compiled", (
        "later terms overwrite the earlier ones",
        "    out[to] += values\n",
        "    out[to] = values\n",
    )),
    *_slips("folding/backends/kernels.py", "fold compile", (
        "a cube that is a square",
        "    3.0: _cube,\n",
        "    3.0: np.square,\n",
    ), (
        "the safe product without its rule",
        "    np.copyto(out, 0.0, where=nothing)\n",
        "",
    ), (
        "NaN ** 0 is 1 in a program",
        "    np.copyto(out, math.nan, where=np.isnan(a) | np.isnan(b))  # NumPy has",
        "    pass  # NumPy has",
    )),
    *_slips("folding/program.py", "compile fold fit_compiled", (
        "a guard that looks at one row of the batch",
        "if not (holds == outcome).all():",
        "if not (holds == outcome).any():",
    ), (
        "backward that overwrites the gradients of the parameters",
        "add_gradients(program",
        "(lambda leaves, g: [setattr(p, 'grad', float(x)) for p, x in zip(leaves, g)])(program",
    )),
    *_slips("folding/tracing.py", "compile fit_compiled faults_programs", (
        "a branch that nobody watches",
        "        self.guards.append((node, name, outcome))\n",
        "",
    ), (
        "a number read out of a Value fixed without a word",
        "        if self._kind(value) == LIVE:\n            raise",
        "        if False:\n            raise",
    ), (
        "a model that has changed run with its old parameters",
        "        if not self._contents.same():\n",
        "        if False:\n",
    )),
    # --- derivatives of functions
    *_slips("derivatives/transforms.py", "transforms containers losses_of_derivatives", (
        "perturbation confusion: an inner transform differentiates in the outer one's Values",
        "return [x * 1.0 if isinstance(x, Value) else Value(x) for x in numbers]",
        "return [x if isinstance(x, Value) else Value(x) for x in numbers]",
    ), (
        "the gradients of two arguments cut at the wrong place",
        "            start += len(some)\n        return split",
        "            start += 1\n        return split",
    ), (
        "a derivative of a network as a number: its dependence on the parameters lost",
        "if any(isinstance(x, Parameter) and not x.frozen for x in leaves):",
        "if False:",
    ), (
        "a vector whose keys stand in another order taken in its own",
        "return [at[path] for path in treedef.paths]",
        "return leaves",
    )),
    *_slips("engine/trees.py", "containers transforms", (
        "a dataclass rebuilt without what its __post_init__ computes",
        "        if not self.kind.__dataclass_params__.init:\n",
        "        if True:\n",
    )),
    *_slips("derivatives/jacobians.py", "transforms examples_derivatives", (
        "a Jacobian whose entries overwrite each other",
        "                adjoint[j] += g * d\n",
        "                adjoint[j] = g * d\n",
    ), (
        "a sparse row without the rule for 0 * inf",
        "            if isfinite(sum(adjoint.values())):\n",
        "            if True:\n",
    ), (
        "rows and columns of a sparse matrix exchanged",
        "                at[0].append(i)\n                at[1].append(j)\n",
        "                at[0].append(j)\n                at[1].append(i)\n",
    )),
    *_slips("derivatives/checking.py", "checking", (
        "a gradcheck that always agrees",
        "if abs(derivative - difference) <= allowed and isfinite(allowed):",
        "if True:",
    ), (
        "one-sided differences",
        "(high, a), (low, b) = moved(step), moved(-step)",
        "(high, a), (low, b) = moved(step), moved(0.0)",
    )),
    *_slips("insight/explanation.py", "insight", (
        "paths through a shared node counted once",
        "            ways += count[x]\n",
        "            ways += 1\n",
    ), (
        "the smallest paths shown as the largest",
        "paths.sort(key=lambda path: -abs(path.value)",
        "paths.sort(key=lambda path: abs(path.value)",
    )),
    # --- pictures
    *_slips("pictures/diagrams/diagram.py", "pictures golden stepper", (
        "a wrong number at an edge: the operand's value, not the local gradient",
        "here, slot, (local, local), about=about",
        "here, slot, (x if x.__class__ is float else x._f,) * 2, about=about",
    ), (
        "an edge missing: a * a drawn with one",
        "            if source is None:\n                continue\n",
        "            if source is None or source in sources[:slot]:\n                continue\n",
    ), (
        "a backward value shown though no pass has been made",
        "return all(backward_value(root) is not None for root in roots) and any(backward_value(v) for v in order)",
        "return True",
    )),
    *_slips("engine/notation.py", "pictures golden frames stepper", (
        "a wrong number: two digits",
        '    return f"{x:.4g}"\n',
        '    return f"{x:.2g}"\n',
    ), (
        "a range that hides its smallest number",
        "return min(found), max(found)",
        "return max(found), max(found)",
    )),
    *_slips("pictures/diagrams/grouped.py", "fold_classes pictures frames", (
        "a folded box that counts one scalar too few",
        "node, count, op = nodes[0], len(nodes), graph.op(first)",
        "node, count, op = nodes[0], max(len(nodes) - 1, 1), graph.op(first)",
    ), (
        "a folded picture without the edges of its constants",
        "edges.append(Edge(box, box_of[which], len(edges), _span(e.local[at]), len(at), about, constant=True))",
        "pass",
    ), (
        "a picture's box for nodes that do different things",
        "alike = classes(scan, terms, *graph.labels(depth))[0] if depth else exact",
        "alike = graph.labels(depth)[0]",
    ), (
        "two factors of a product drawn as one operand",
        "add(two, 1, right, db(two), np.where(swaps, 0, 1), 1, np.where(swaps, left, -1), False)",
        "pass",
    )),
    *_slips("pictures/writers/dot.py", "pictures", (
        "a name that is read as markup",
        'return escape(text).replace("\\\\", "&#92;") or " "',
        'return text or " "',
    )),
    *_slips("pictures/steps.py", "stepper", (
        "a step of the backward pass that forgets what came before",
        "g[x] = plus if before is None else before + plus",
        "g[x] = plus",
    )),
    *_slips("folding/backends/native/functions.py", "native_functions", (
        "huge angles reduced one bit off",
        "  %start = sub i64 %exponent, {1075 - 62}",
        "  %start = sub i64 %exponent, {1075 - 61}",
    ), (
        "a power without the low part of its logarithm",
        "_multiple(b, _log_long(size))",
        "_multiple(b, (_log_long(size)[0], 0.0 * b))",
    ), (
        "a hyperbolic tangent by the plain quotient",
        "return x.block.copysign(q + q_low, x)",
        "return x.block.copysign(hi / d, x)",
    ), (
        "an odd power of a negative zero that is positive",
        "odd & (block.copysign(1.0, a) < 0.0)",
        "odd & (a < 0.0)",
    )),
    *_slips("folding/backends/native/emit.py", "native_functions", (
        "a masked store past the end",
        "numbers = range(self.lanes)",
        "numbers = [lane - 1 for lane in range(self.lanes)]",
    ), (
        "what is rare finds again outside what it computed inside",
        "        self._open(done)\n        self.known = outside\n        return [\n",
        "        self._open(done)\n        return [\n",
    )),
    *_slips("folding/backends/native/following.py", "native", (
        "a product that is left in registers though its map is not all that reads it",
        "stored = product.add or (not over and _read_elsewhere(result, nest, whole))",
        "stored = product.add",
    )),
    *_slips("folding/backends/native/jit.py", "native_functions", (
        "object code of another processor",
        "llvm.get_process_triple(), target.cpu, target.features]",
        "llvm.get_process_triple()]",
    ), (
        "object code that others could have written",
        "not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)",
        "found.st_mode > 0",
    )),
    *_slips("folding/nested_loops.py", "native_loops", (
        "what is handed on in a forward loop starts one step late",
        "(carry.delay - shift) * width + lane",
        "(carry.delay - shift + 1) * width + lane",
    ), (
        "what a backward loop reads beyond its last step is that step",
        "ago = shift if self.loop.backward else -shift",
        "ago = -shift",
    )),
    *_slips("folding/nested_steps.py", "native_loops", (
        "a matrix of the step taken for one that stays",
        "        if not view.fixed:\n            return None",
        "        if view.stride:\n            return None",
    ), (
        "a member that another Map reads is not stored",
        "elif self.group_of.get(x.member) is not item or not self._in_order(x):",
        "elif not self._in_order(x):",
    ), (
        "the second half of a chain replaces the first",
        "factor, add or start > 0, watch=watch",
        "factor, add, watch=watch",
    )),
    *_slips("folding/backends/native/nests_to_ir.py", "nests_of_loops", (
        "a backward recurrence runs forward",
        't = block.operation(f"sub i64 {start}, {count}") if x.backward else count',
        "t = count",
    ), (
        "a table stays where it was at the first step",
        "table = ((step, access.table_strides[0]),) if access.table is not None else ()",
        "table = ()",
    ), (
        "of the sums of a step only the first is watched",
        "                    total = total + of(k)\n",
        "                    pass\n",
    )),
    *_slips("folding/plan.py", "loop_uses", (
        "what some steps get from outside is a term of all of them",
        "and len(np.unique(part.to // lanes)) < steps",
        "and len(np.unique(part.to // lanes)) < 0",
    )),
    *_slips("folding/nested_loops.py", "loop_uses", (
        "a function that no machine code has is left to the emitter",
        "if step.name in IN_PYTHON:",
        "if step.name is None:",
    )),
    *_slips("training/compiled.py", "lengths", (
        "a batch of another width is run by the program of the one before",
        "if [x.shape[1:] for x in args] == [x.shape[1:] for x in arrays]:",
        "if args:",
    )),
    *_slips("folding/backends/native/lengths.py", "lengths", (
        "a code serves whatever has its arguments",
        "return bool((self.chosen | (self.numbers == numbers)).all())",
        "return True",
    ), (
        "the arguments of the first length are kept",
        "return family.code, numbers[family.chosen].astype(np.int32)",
        "return family.code, family.numbers[family.chosen].astype(np.int32)",
    ), (
        "what was an argument is forgotten when more is found",
        "chosen = family.chosen | (family.numbers != numbers)",
        "chosen = family.numbers != numbers",
    )),
]
# fmt: on
