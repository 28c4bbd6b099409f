"""ag.array: a NumPy array of Values and floats, and what NumPy's functions do with it and with a Value.

Elements are Values or floats, in any mixture. A function of NumPy is looked up in three places, in this order:

1. ufuncs (`np.exp`, `+`, `np.maximum`) apply the primitive of that name to each element: SCALARS.
2. functions that need to know about Values (`np.where`, `np.median`, `np.linalg.inv`) have a counterpart: COUNTERPARTS.
3. functions that only move elements, or add and multiply them (`np.stack`, `np.kron`), are NumPy's own: STRUCTURAL.

Any other is refused. Comparisons give arrays of live 0/1 Values; what Python then asks of them (`if`, a mask as an
index, `np.isnan`) is a comparison of numbers, which `ag.compile` guards.
"""

from functools import partial
from sys import modules

from autograd_lite.arrays.dispatch import apply_function, explanation
from autograd_lite.arrays.elements import array, from_rows, of_value
from autograd_lite.arrays.ufuncs import apply_ufunc, elementwise, value_ufunc
from autograd_lite.engine import checks

checks.load_arrays = partial(modules.__getitem__, __name__)  # loaded: from here on there is no import to look up

__all__ = [
    "apply_function", "apply_ufunc", "array", "elementwise", "explanation", "from_rows", "of_value", "value_ufunc",
]  # fmt: skip
