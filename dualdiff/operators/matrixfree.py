"""The Jacobian as a SciPy linear operator, in a module of its own: scipy.sparse.linalg takes long to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import Tape
from dualdiff.ways.problem import Problem, apiece, pull_rows, push_columns, side_by_side

AT_ONCE = 64
"""Directions that a product with a matrix carries at once."""


class JacobianOperator(LinearOperator):
    """Products with the Jacobian from either side, over one recording."""

    def __init__(self, problem: Problem, tape: Tape, values: list[Any]) -> None:
        self._problem, self._tape, self._values = problem, tape, values
        m = sum(size_of(shape_of(v)) for v in values)
        dtype = np.result_type(*[dtype_of(v) for v in (*values, *problem.inputs)])
        super().__init__(dtype, (m, problem.n))

    def _matmat(self, columns: Any) -> Any:
        return self._carried(np.asarray(columns).T, self._pushed).T

    def _rmatmat(self, columns: Any) -> Any:
        return self._carried(np.asarray(columns).T, self._pulled).T

    def _matvec(self, v: Any) -> Any:
        return self._pushed(np.reshape(v, (1, -1)))[0].copy()  # shares no memory with the vector given

    def _rmatvec(self, w: Any) -> Any:
        return self._pulled(np.reshape(w, (1, -1)))[0].copy()

    def _carried(self, rows: Any, product: Callable[[Any], Any]) -> Any:
        if np.iscomplexobj(rows):
            return self._carried(rows.real, product) + 1j * self._carried(rows.imag, product)
        parts = [product(rows[a : a + AT_ONCE]) for a in range(0, len(rows), AT_ONCE)]
        return np.concatenate(parts) if parts else product(rows)

    def _pushed(self, rows: Any) -> Any:
        if np.iscomplexobj(rows):
            return self._carried(rows, self._pushed)
        k = len(rows)
        return side_by_side(push_columns(self._tape, apiece(rows, self._problem.inputs), (k,)), self._values, k)

    def _pulled(self, rows: Any) -> Any:
        if np.iscomplexobj(rows):
            return self._carried(rows, self._pulled)
        k = len(rows)
        pairs = [(s, w) for s, w in zip(self._tape.outputs, apiece(rows, self._values), strict=True) if s >= 0]
        return side_by_side(pull_rows(self._problem, self._tape, pairs, (k,)), self._problem.inputs, k)
