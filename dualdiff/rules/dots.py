"""``A.dot(x)`` of a plain array, a method that asks nobody.

It turns its operand into an array, brings both to one dtype, and hands those that BLAS does not know, where one has no axes, to
``A * x``. So a traced value that is asked from inside such a call answers with an array without axes, of the widest dtype
(:class:`Factor`), which meets ``A`` in that product and there is what it stands for. Should it never get there, since the
method was not an array's, the run is told.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.callers import calls_method
from dualdiff.errors import TracedConversionError, where
from dualdiff.shapes import dtype_of

WIDE = np.dtype(np.longdouble), np.dtype(np.clongdouble)


class Factor(np.ndarray):
    """An operand of ``A.dot(x)``: it stands for a traced value."""

    __array_priority__ = 1e9
    traced: Any = None

    def __array_finalize__(self, source: Any) -> None:
        self.traced = getattr(source, "traced", None)  # it may be copied on the way, to a complex one

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Return the product of a matrix with what this stands for; refuse everything else."""
        if ufunc is np.multiply and method == "__call__" and not kwargs and len(inputs) == 2:
            a, x = inputs
            if x is self and x.traced is not None and type(a) is np.ndarray:
                _met(x.traced)
                return np.dot(_narrowed(a, dtype_of(self.traced)), self.traced)
        raise _unmet()


def _unmet() -> TracedConversionError:
    return TracedConversionError(
        f"{where()}: the method .dot of something that is no array was given a value that is being differentiated. Write "
        "np.dot(A, x) or A @ x with arrays, or freeze the value on purpose with dd.stop_gradient(x)."
    )


def _met(x: Any) -> None:
    """Strike out that a traced value was given to a product, since it got there."""
    notes = x.run.notes
    if notes is not None:
        notes[:] = [e for e in notes if e.__dict__.get("operand") is not x]


def factor(x: Any, dtype: Any) -> Factor | None:
    """Return what answers for a traced value that is the operand of ``A.dot(x)`` at this moment; None where it is not."""
    if (dtype is not None and np.dtype(dtype) not in WIDE) or not calls_method("dot"):
        return None
    kind = WIDE[1] if x.dtype.kind == "c" else WIDE[0]
    new = np.full((), np.nan, kind).view(Factor)
    new.traced = x
    notes = x.run.notes
    if notes is not None and not any(e.__dict__.get("operand") is x for e in notes):
        error = _unmet()
        error.__dict__["operand"] = x
        notes.append(error)
    return new


def _narrowed(a: Any, other: Any) -> Any:
    """Return an array as it was before it was brought to the widest dtype: in double precision, unless the other is wider.

    What it was cannot be told: an array of single precision comes back in double, which loses nothing.
    """
    if other in WIDE:
        return a
    narrow = a.astype(np.complex128 if a.dtype.kind == "c" else np.float64)
    if other.kind == "c" and not narrow.imag.any():
        narrow = narrow.real.copy()  # it was real, and x is not
    narrow.flags.writeable = False  # a tape need not copy it
    return narrow


__all__ = ["Factor", "factor"]
