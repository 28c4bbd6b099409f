"""The engine: Value, the table of primitives, the backward pass. It needs nothing but Python's standard library.

Read rules.py (what a row of the table is), primitives.py (the rows), graph.py (a node and its topological order),
backward.py (the sweep), value.py (Value, and how an operation is recorded) and functions.py (operators and functions
made from rows), in this order: each file uses only those before it. The others stand aside: checks.py and kernels.py
(numbers in, numbers out), lowering.py (the text of a rule, and the code made of it), modes.py and scopes.py (what a
`with` block changes), atomic.py, copying.py, notation.py (a node in words), custom.py (`ag.primitive`), lookup.py.

If you know micrograd: `_prev` is `_a, _b` (the operands) beside `_da, _db` (their local gradients), `_op` is the `_row`
of the table, the closures `_backward` are the rows' partials, `build_topo` is `graph.toposort`, and its `backward` is
`sweep` in backward.py: `adjoint[x] += adjoint[node] * local gradient`.
"""
