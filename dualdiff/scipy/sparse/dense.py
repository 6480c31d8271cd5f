"""What stands for an ``np.matrix``, which SciPy's old classes return: it becomes an array, and nothing else.

``np.asarray(K.sum(axis=1)).ravel()`` and ``K.todense().A`` are how code leaves that class again. Its ``*`` is a product of matrices
and its slices keep two dimensions; nothing else of it is followed, so that nothing is taken for what it is not.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tracer import Tracer
from dualdiff.values import HOLDERS, Holder, raw


class OldMatrix:
    """An array of two dimensions that SciPy would return as an ``np.matrix``."""

    __slots__ = ("A",)
    __array_ufunc__ = None
    ndim = 2

    def __init__(self, array: Any) -> None:
        self.A = array

    @property
    def A1(self) -> Any:
        """The array, flat."""
        return np.reshape(self.A, -1)

    @property
    def T(self) -> OldMatrix:
        """Transposed."""
        return OldMatrix(self.A.T)

    @property
    def shape(self) -> Any:
        """Of the array."""
        return shape_of(self.A)

    @property
    def dtype(self) -> Any:
        """Of the array."""
        return dtype_of(self.A)

    @property
    def size(self) -> int:
        """Of the array."""
        return size_of(shape_of(self.A))

    def __getitem__(self, index: Any) -> Any:
        if type(index) is tuple and len(index) == 2 and all(isinstance(i, (int, np.integer)) for i in index):
            return self.A[index]
        return self._refuse()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(np.matrix, name):
            raise AttributeError(f"'matrix' object has no attribute {name!r}")
        return self._refuse()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        error, held = self._refusal(), self.A
        raise held._stumbled(error, "array") if isinstance(held, Tracer) else error

    def __repr__(self) -> str:
        return f"matrix({raw(self.A)!r})"

    def _refusal(self) -> Any:
        return UnsupportedFunctionError(
            f"{where()}: a sparse matrix of the old classes (csr_matrix, …) returns an np.matrix here, whose * is a product of matrices; "
            "only what makes an array of it carries derivatives: np.asarray(K.sum(axis=1)).ravel(), K.todense().A, K.toarray(). Or use "
            "the new classes (csr_array, …), which return arrays."
        )

    def _refuse(self, *_: Any) -> NoReturn:
        raise self._refusal()

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __matmul__ = __rmatmul__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __neg__ = __abs__ = __iter__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __hash__ = object.__hash__


HOLDERS[OldMatrix] = Holder(lambda x: x.A, lambda x: np.asmatrix(np.asarray(raw(x.A))), lambda x, a: OldMatrix(a))

__all__ = ["OldMatrix"]
