"""SciPy's special functions as machine code calls them: numbers in, a number out, at the address where SciPy keeps each.

``scipy.special.cython_special`` holds, for every ufunc of ``scipy.special``, the function of single numbers that it is made of, for
other compiled code to call.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["called", "function_in", "is_special"]

_POINTS = (0.25, 0.75, 1.5, 3.0, -0.5, 40.0, 0.0, np.nan)
"""Where a function has to be the ufunc's to the bit before it is called in its place."""


def is_special(function: Any) -> bool:
    """Whether an operation is a function of numbers that SciPy's compiled library holds."""
    return isinstance(function, np.ufunc) and _address(function) is not None


def called(function: Any, operands: list[str]) -> str:
    """Return the call of a special function in LLVM's language."""
    given = ", ".join(f"double {x}" for x in operands)
    return f"call double inttoptr (i64 {_address(function)} to ptr)({given}, i32 0) ; {function.__name__}"


@functools.cache
def _address(function: np.ufunc) -> int | None:
    """Return where the function of numbers begins; None where there is none, or where it differs from the ufunc."""
    count = function.nin
    if function.nout != 1 or "d" * count + "->d" not in function.types:
        return None
    if any(
        c in t for t in function.types for c in "lqp"
    ):  # an order that is no integer is a warning of Python's, in the middle of a run
        return None
    try:
        held = importlib.import_module("scipy.special.cython_special").__pyx_capi__
    except (ImportError, AttributeError):
        return None
    wanted = f"double ({'double, ' * count}int __pyx_skip_dispatch)"
    suits = re.compile(rf"(__pyx_fuse_(\d+_)?\d+)?{re.escape(function.__name__)}")
    for name, capsule in held.items():
        if suits.fullmatch(name) and _of(capsule, "Name", ctypes.c_char_p).decode() == wanted:
            address = int(_of(capsule, "Pointer", ctypes.c_void_p, wanted.encode()))
            return address if _is_the_same(function, address, count) else None
    return None


def function_in(held: Mapping[str, Any], name: str, signature: str) -> int | None:
    """Return where a function begins that a compiled module gives to others; None where it has none of that signature."""
    capsule = held.get(name)
    if capsule is None or _of(capsule, "Name", ctypes.c_char_p).decode() != signature:
        return None
    return int(_of(capsule, "Pointer", ctypes.c_void_p, signature.encode()))


def _of(capsule: Any, what: str, kind: Any, *name: bytes) -> Any:
    get = getattr(ctypes.pythonapi, f"PyCapsule_Get{what}")
    get.restype, get.argtypes = kind, [ctypes.py_object, *[ctypes.c_char_p for _ in name]]
    return get(capsule, *name)


def _is_the_same(function: np.ufunc, address: int, count: int) -> bool:
    alone = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * count, ctypes.c_int)(address)
    points = [[_POINTS[(k + 3 * i) % len(_POINTS)] for i in range(count)] for k in range(len(_POINTS))]
    with np.errstate(all="ignore"):
        found = np.array([alone(*p, 0) for p in points])
        there = np.array([function(*map(np.float64, p)) for p in points])
    return bool(
        np.array_equal(found.view(np.int64)[~np.isnan(there)], there.view(np.int64)[~np.isnan(there)])
    ) and bool(np.isnan(found[np.isnan(there)]).all())
