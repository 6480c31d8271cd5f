"""Linear operators of ``scipy.sparse.linalg`` in equations: matrices of either kind, and functions of a vector that close over anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import linalg

from dualdiff.capture.active import is_active, unwrapped
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.scipy.answers import plainly
from dualdiff.scipy.room import Room
from dualdiff.scipy.sparse.arithmetic import is_matrix
from dualdiff.scipy.sparse.matrix import Sparse, lift
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import decided, operand

ROOM = Room("scipy.sparse.linalg")


@dataclass(frozen=True, slots=True)
class Operator:
    """A linear operator, apart from what may be differentiated in it.

    Attributes
    ----------
    values : object
        That: entries, an array, functions, or an object; None where nothing is.
    shape : tuple of int
        Of the matrix.
    plain : callable
        Of plain values: what SciPy takes.
    times, adjoint : callable
        Of values and an array of columns: the product with the matrix, and with its adjoint.
    """

    values: Any
    shape: tuple[int, ...]
    plain: Callable[[Any], Any]
    times: Callable[[Any, Any], Any]
    adjoint: Callable[[Any, Any], Any]

    def is_active(self) -> bool:
        """Whether it carries a derivative: a function may hold what only its result shows."""
        if not callable(self.values) and not isinstance(self.values, tuple):
            return is_active(self.values)
        return is_active(self.times(self.values, np.ones(self.shape[1])))


def operator_of(A: Any) -> Operator:
    """Return a matrix, an array or a ``LinearOperator`` as an operator."""
    A = _of_matrix(A)
    if is_matrix(A):
        return _of_entries(lift(A))
    if isinstance(A, linalg.LinearOperator):
        return _of_functions(A)
    A = operand(A)
    return Operator(A, shape_of(A), np.asarray, lambda a, x: a @ x, lambda a, x: _adjoint(a) @ x)


def _adjoint(a: Any) -> Any:
    a = np.swapaxes(a, -1, -2)
    return np.conjugate(a) if dtype_of(a).kind == "c" else a


def _of_entries(matrix: Sparse) -> Operator:
    pattern, entries = (matrix if matrix.format in ("csr", "csc") else matrix.compress("csr")).compressed()
    if dtype_of(entries).kind not in "fc":
        entries = np.asarray(entries, float)
    positions = pattern.filled(np.arange(1, pattern.size + 1))
    return Operator(
        entries,
        pattern.shape,
        pattern.filled,
        lambda e, x: Sparse(positions, e) @ x,
        lambda e, x: Sparse(positions, e).T.conjugate() @ x,
    )


def _of_matrix(A: Any) -> Any:
    """Return the matrix that an operator was made of, if it was; anything else as it is."""
    inner = getattr(A, "A", None) if isinstance(A, linalg.LinearOperator) else None
    return inner if inner is not None and (is_matrix(inner) or isinstance(inner, np.ndarray)) else A


_CUSTOM = "_CustomLinearOperator__"


def _of_functions(A: Any) -> Operator:
    """Return an operator that is given by what it does to a vector."""
    own = vars(A)
    forward, backward = own.get(f"{_CUSTOM}matvec_impl"), own.get(f"{_CUSTOM}rmatvec_impl")
    is_custom = forward is not None
    values = (forward, backward) if is_custom else A

    def functions(held: Any) -> Any:
        if is_custom:
            return held
        if type(held)._matvec is linalg.LinearOperator._matvec:  # it knows products with columns alone
            return lambda x: held._matmat(np.reshape(x, (-1, 1))), held._rmatvec
        return held._matvec, held._rmatvec

    def plain(held: Any) -> Any:
        one, other = functions(held)
        given = {} if other is None else {"rmatvec": plainly(other)}
        return linalg.LinearOperator(A.shape, matvec=plainly(one), dtype=A.dtype, **given)

    def adjoint(held: Any, x: Any) -> Any:
        other = functions(held)[1]
        if other is None:
            raise UnsupportedFunctionError(
                f"{where()}: a LinearOperator without rmatvec= has no adjoint, by which the derivative is found. Give it one."
            )
        return _columnwise(other, x)

    return Operator(values, A.shape, plain, lambda held, x: _columnwise(functions(held)[0], x), adjoint)


def _columnwise(function: Any, x: Any) -> Any:
    if len(shape_of(x)) == 1:
        return np.reshape(operand(function(x)), -1)
    return np.stack([_columnwise(function, x[:, j]) for j in range(shape_of(x)[1])], axis=1)


# --------------------------------------------------------------------------------------------------
# what an operator does outside of equations


@ROOM.constructor(linalg.LinearOperator, "composite", always=True)
def linear_operator(shape: Any, matvec: Any, *args: Any, **kwargs: Any) -> Any:
    """``LinearOperator(shape, matvec)``, whose dtype is asked of a result that may carry a derivative."""
    if kwargs.get("dtype") is None and len(args) < 3:
        kwargs["dtype"] = dtype_of(operand(matvec(np.ones(int(shape[1])))))
    return linalg.LinearOperator(shape, matvec, *args, **kwargs)


def _acting(name: str, forward: bool) -> None:
    real = getattr(linalg.LinearOperator, name)

    def act(self: Any, x: Any) -> Any:
        if isinstance(x, linalg.LinearOperator) or np.ndim(decided(x)) == 0:
            return real(self, unwrapped(x))
        x = operand(x)
        n = self.shape[1 if forward else 0]
        if shape_of(x)[0] != n or len(shape_of(x)) > 2:
            raise ValueError("dimension mismatch")
        acting = operator_of(self)
        return (acting.times if forward else acting.adjoint)(acting.values, x)

    ROOM.method(linalg.LinearOperator, name, "composite", always=True)(act)


for _name in ("matvec", "matmat", "dot", "__matmul__"):
    _acting(_name, True)
for _name in ("rmatvec", "rmatmat"):
    _acting(_name, False)


__all__ = ["Operator", "linear_operator", "operator_of"]
