"""The native backend: machine code through LLVM, vectors written out.

Read in this order: emit (vector operations as LLVM IR text), functions (the elementary functions on it; their
coefficients are in coefficients, written by tools/fit_functions.py), jit (IR text to something that can be called).
Then nests_to_ir (the loops of a plan on these), text (them cut into functions) and runner (memory, threads, calls).
Only jit needs llvmlite, and imports it when it is first used.
"""
