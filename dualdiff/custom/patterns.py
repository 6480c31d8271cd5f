"""The pattern that a user declares for a function: entry by entry, or a matrix of the entries that are linked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.errors import InputError, RuleError
from dualdiff.labels import DENSE, Labels, broadcast
from dualdiff.shapes import shape_of, size_of


class Pattern:
    """Which entries of the result depend on which of an operand, as the user says.

    Parameters
    ----------
    name : str
        The function's.
    said : str, matrix, sequence of them, or callable
        "dense", "elementwise", or a matrix of shape (entries of the result, entries of the operand), dense or of
        ``scipy.sparse``; one for all operands, or one of each. A callable gets the shapes of the operands.
    """

    __slots__ = ("_memory", "is_matrix", "name", "said")

    def __init__(self, name: str, said: Any) -> None:
        self.name, self.said = name, said
        self._memory: dict[Any, Any] = {}
        parts = said if isinstance(said, (tuple, list)) else [said]
        for p in parts:
            if isinstance(p, str) and p not in ("dense", "elementwise"):
                raise InputError(
                    f"pattern={p!r} must be 'dense', 'elementwise', a matrix, or a function of the operands' shapes"
                )
        self.is_matrix = not all(isinstance(p, str) for p in parts)

    def _of(self, k: int, shapes: tuple[tuple[int, ...], ...]) -> Any:
        said = self.said(*shapes) if isinstance(self.said, Callable) else self.said  # type: ignore[arg-type]
        return said[k] if isinstance(said, (tuple, list)) else said

    def labels(self, k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Labels:
        """Return the labels of a pattern in words."""
        if self._of(k, tuple(map(shape_of, args))) == "dense":
            return DENSE
        operand, result = shape_of(args[k]), shape_of(out)
        if len(operand) > len(result) or any(a not in (1, b) for a, b in zip(operand[::-1], result[::-1])):
            raise RuleError(
                f"pattern='elementwise' of {self.name} does not fit an operand of shape {operand} and a result of {result}"
            )
        return broadcast(operand, result)

    def matrix(self, k: int, args: Sequence[Any], out: Any) -> Any:
        """Return the pattern as a sparse matrix; None where a word says it."""
        shapes = tuple(map(shape_of, args))
        key = k, shapes, shape_of(out)
        if key not in self._memory:
            self._memory[key] = self._matrix(k, shapes, shape_of(out))
        return self._memory[key]

    def _matrix(self, k: int, shapes: tuple[tuple[int, ...], ...], result: tuple[int, ...]) -> Any:
        from scipy.sparse import csr_array, eye_array, issparse

        said = self._of(k, shapes)
        m, n = size_of(result), size_of(shapes[k])
        if isinstance(said, str):
            if said == "elementwise" and m == n:
                return eye_array(m, dtype=bool, format="csr")
            return None
        found = csr_array(said) if issparse(said) else csr_array(np.asarray(said) != 0)
        if found.shape != (m, n):
            raise RuleError(
                f"the pattern of {self.name} has shape {found.shape} where its result has {m} entries and operand {k} has {n}"
            )
        found = (found != 0).tocsr()
        found.sort_indices()
        return found


__all__ = ["Pattern"]
