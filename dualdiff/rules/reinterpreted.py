"""Complex numbers shown as pairs of real ones, and pairs of real ones as complex numbers: ``z.view(float)`` and back.

With the real inner product each of the two is the adjoint of the other, and its inverse.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.kinds import Linear, Primitive
from dualdiff.labels import OWN
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import bind, ndarray, raw


class _Shown(Linear):
    """One memory shown in two ways. What of a tangent is there is told entry by entry, by labels."""

    masked = Primitive.masked
    view = True


def _lies_close(x: Any) -> bool:
    return type(x) is ndarray and bool(x.ndim) and x.strides[-1] == x.itemsize


def _parts(z: Any) -> Any:
    real = dtype_of(z).char.lower()
    if _lies_close(z):
        return z.view(real)
    shape = shape_of(z)
    return np.reshape(np.stack([np.real(z), np.imag(z)], axis=-1), (*shape[:-1], 2 * shape[-1]))


def _joined(x: Any) -> Any:
    kind = np.result_type(dtype_of(x), np.complex64)
    if _lies_close(x):
        return x.view(kind)
    return x[..., ::2] + x[..., 1::2] * kind.type(1j)


parts: Linear = _Shown(
    "view(float)",
    _parts,
    pull=lambda g, _z: joined(g),
    joins=lambda k, args, params, out: (np.repeat(np.arange(size_of(shape_of(args[0]))), 2), OWN),
)
joined: Linear = _Shown(
    "view(complex)",
    _joined,
    pull=lambda g, _x: parts(g),
    joins=lambda k, args, params, out: (OWN, np.repeat(np.arange(size_of(shape_of(out))), 2)),
)


def view_as(x: Any, dtype: Any) -> Any:
    """Return ``x.view(dtype)``: itself, the parts of complex numbers, or the complex numbers of which they are the parts."""
    want, have = np.dtype(dtype), dtype_of(x)
    if want == have:
        return None
    if have.kind == "c" and want.char == have.char.lower():
        row = parts
    elif want.kind == "c" and have.char == want.char.lower():
        row = joined
    else:
        raise UnsupportedFunctionError(
            f"{where()}: view({want}) of an array of {have} reinterprets bytes, which has no derivative. Convert with "
            f"astype({want}); only complex numbers may be viewed as real ones of their precision, and these as complex ones."
        )
    shape = shape_of(x)
    if not shape:
        raise ValueError("Changing the dtype of a 0d array is only supported if the itemsize is unchanged")
    plain = raw(x)
    if type(plain) is ndarray and not _lies_close(plain) and shape[-1] != 1:
        raise ValueError("To change to a dtype of a different size, the last axis must be contiguous")
    if row is joined and shape[-1] % 2:
        raise ValueError(
            "When changing to a larger dtype, its size must be a divisor of the total size in bytes of the last axis of the array."
        )
    return bind(row, (x,), {})
