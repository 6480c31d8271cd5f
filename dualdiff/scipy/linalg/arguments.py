"""The room of ``scipy.linalg``, and what its functions make of their arguments on entry."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.rules.elementwise import cast
from dualdiff.scipy.room import Room
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import is_sparse, operand, raw

ROOM = Room("scipy.linalg")

UNSAID: Any = object()
"""What stands for an argument that some SciPy have, and that is refused where it is given."""


def default_of(name: str, parameter: str, otherwise: Any) -> Any:
    """Return the default that this SciPy has for a parameter of a function."""
    found = inspect.signature(getattr(ROOM.module, name)).parameters.get(parameter)
    return otherwise if found is None else found.default


def refuse_removed(what: str, instead: str, **given: Any) -> None:
    """Refuse arguments that newer SciPy have no more, by name."""
    for name, value in given.items():
        if value is not UNSAID:
            raise UnsupportedFunctionError(
                f"{where()}: {what} is not differentiated with {name}=, which newer SciPy have no more. {instead}."
            )


_KEPT = {np.dtype(c) for c in "fdFD"}
_PRECISIONS = {"e": "f", "f": "f", "F": "F", "D": "D", "G": "D"}


def precision(*arrays: Any) -> np.dtype[Any]:
    """Return the precision in which LAPACK computes with some arrays."""
    return np.dtype(_PRECISIONS.get(np.result_type(*[dtype_of(x) for x in arrays]).char, "d"))


def checked(x: Any, check_finite: bool = True) -> Any:
    """Return an argument as an operand; raise SciPy's error if an entry is not finite and that is asked for."""
    if is_sparse(x):
        raise ValueError(
            "Sparse arrays/matrices are not supported by this function. Perhaps one of the `scipy.sparse.linalg` functions would "
            "work instead."
        )
    x = operand(x)
    if check_finite and not np.isfinite(raw(x)).all():
        raise ValueError("array must not contain infs or NaNs")
    return x


def inexact(x: Any, check_finite: bool = True) -> Any:
    """Return an array in the precision in which LAPACK computes with it."""
    x = checked(x, check_finite)
    return cast(x, precision(x), copy=False)


def together(*arrays: Any, check_finite: bool = True) -> list[Any]:
    """Return arrays in the one precision in which LAPACK computes with all of them."""
    found = [checked(x, check_finite) for x in arrays]
    dtypes = {dtype_of(x) for x in found}
    if len(dtypes) == 1 and dtypes <= _KEPT:
        return found
    dtype = precision(*found)
    return [cast(x, dtype, copy=False) for x in found]


def check_square(x: Any, message: str = "expected square matrix") -> None:
    """Raise SciPy's error unless an array is a square matrix."""
    shape = shape_of(x)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(message)


def as_columns(solver: Callable[[Any], Any], b: Any) -> Any:
    """Solve for a right-hand side that may be a vector."""
    shape = shape_of(b)
    return solver(np.reshape(b, (*shape, 1)))[..., 0] if len(shape) == 1 else solver(b)


VECTOR_OR_MATRIX = -1
"""The rank of a right-hand side: a vector alone, and a matrix with whatever stands before its axes."""


def over_stacks(**ranks: int) -> Callable[[Any], Any]:
    """Let a function of matrices take stacks of them: decorate it, and say what the rank of each is without the stack.

    The stacks broadcast; the results, one array or a tuple, are stacked the same way.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)
        places = [(name, list(signature.parameters).index(name), rank) for name, rank in ranks.items()]

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            given = [args[i] if i < len(args) else kwargs.get(name) for name, i, _ in places]
            arrays = [None if x is None or is_sparse(x) else operand(x) for x in given]
            shapes = [() if x is None else shape_of(x) for x in arrays]
            cores = [min(len(s), 2) if r == VECTOR_OR_MATRIX else r for s, (_, _, r) in zip(shapes, places)]
            stacks = [s[: max(len(s) - r, 0)] for s, r in zip(shapes, cores)]
            if not any(stacks):
                return function(*args, **kwargs)
            stack = np.broadcast_shapes(*stacks)
            if 0 in stack:
                raise ValueError(f"`{function.__name__}` does not support zero-size batches.")
            every = {
                name: np.broadcast_to(x, (*stack, *s[len(own) :]))
                for (name, _, _), x, s, own in zip(places, arrays, shapes, stacks)
                if x is not None
            }
            bound = signature.bind(*args, **kwargs).arguments
            found = [function(**{**bound, **{k: v[at] for k, v in every.items()}}) for at in np.ndindex(stack)]
            if isinstance(found[0], tuple):
                return tuple([_stacked([f[i] for f in found], stack) for i in range(len(found[0]))])
            return _stacked(found, stack)

        return call

    return decorate


def _stacked(found: list[Any], stack: tuple[int, ...]) -> Any:
    if found[0] is None:
        return None
    every = np.stack([operand(f) for f in found])
    return np.reshape(every, (*stack, *shape_of(every)[1:]))
