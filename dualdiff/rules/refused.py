"""What carries no derivative, with the reason and what to write instead.

A function in neither table nor here raises too, with its name: the census test lists what is missing.
"""

from __future__ import annotations

import numpy as np
from numpy.lib import recfunctions

from dualdiff.register import UMATH, refused


def named(module: object, names: str) -> list:
    """Return the functions of a module that this version of NumPy has."""
    return [getattr(module, name, None) for name in names.split()]


def functions(*modules: object) -> list:
    """Return all functions of some modules."""
    found = [f for m in modules for f in vars(m).values()]
    return [f for f in found if callable(f) and hasattr(f, "__name__") and not isinstance(f, type)]


# --------------------------------------------------------------------------------------------------
# refused

refused(
    named(np, "array2string array_repr array_str save savetxt savez savez_compressed"),
    "text and files hold plain numbers; print or save dd.stop_gradient(x), or the result after differentiation",
)
refused(
    named(np, "packbits unpackbits"),
    "bits of integers have no derivative; pass integers that do not come from differentiated values",
)
refused(
    named(np, "is_busday busday_count busday_offset datetime_as_string"),
    "dates are not numbers that have derivatives; convert to days as floats outside the function",
)
refused(
    [f for f in functions(recfunctions) if f.__module__ == "numpy.lib.recfunctions" and f.__name__[0] != "_"],
    "structured arrays hold plain numbers; keep each field as an array of its own",
)
refused(
    functions(np.strings, np.char)
    # NumPy 2.5 looks these up when they are asked for, and not before.
    + named(np.char, "equal not_equal greater greater_equal less less_equal join split rsplit splitlines")
    + [f for f in vars(UMATH).values() if isinstance(f, np.ufunc) and not any("d" in t for t in f.types)],
    "text has no derivative",
)
