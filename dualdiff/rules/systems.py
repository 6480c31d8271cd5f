"""Sparse linear systems: x with A x = b, by the entries of A and by b.

Its derivative is that of the equation, ``A dx = db - dA x``. A matrix is factored once: the factors are kept as long as the vector
of entries that they were made from, and serve the value, every direction, the adjoint and derivatives of any order. An
iterative solver is called again, with the transposed matrix for the adjoint: what it returns is as good as its tolerance.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.kinds import General, Sweep
from dualdiff.kinds.base import ALL, Asked
from dualdiff.labels import DENSE, Labels, lanes
from dualdiff.rules.entries import Pattern, change_of_product, conjugated, covector_of_entries
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.tangents import INSTEAD
from dualdiff.values import bind, raw

# --------------------------------------------------------------------------------------------------
# factors


class _Factors:
    """The factors of the matrices whose entries are still held."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.of: dict[int, list[tuple[Any, ...]]] = {}

    def find(self, pattern: Pattern, entries: Any, options: Any) -> Any:
        with self.lock:
            for held, of, as_were, with_, factors in self.of.get(id(entries), ()):
                if held() is entries and of.same(pattern) and with_ == options and np.array_equal(as_were, entries):
                    return factors
        return None

    def keep(self, pattern: Pattern, entries: Any, options: Any, factors: Any) -> None:
        key = id(entries)
        held = weakref.ref(entries, lambda _: self.of.pop(key, None))
        with self.lock:
            known = [kept for kept in self.of.get(key, ()) if kept[0]() is entries]
            self.of[key] = [*known[-1:], (held, pattern, entries.copy(), options, factors)]


_FACTORS = _Factors()


def factors_of(pattern: Pattern, entries: Any, options: tuple[tuple[str, Any], ...] = ()) -> Any:
    """Return SuperLU's factors of a matrix of plain entries; raise RuntimeError where it is singular."""
    found = _FACTORS.find(pattern, entries, options)
    if found is None:
        from scipy.sparse.linalg import splu  # when it is first needed: it takes a while to import

        matrix = pattern.filled(entries).tocsc()
        given = dict(options)
        if "options" in given:
            given["options"] = dict(given["options"])
        found = splu(matrix, **given)
        if type(entries) is np.ndarray:
            _FACTORS.keep(pattern, entries, options, found)
    return found


def solved(factors: Any, b: Any, trans: str) -> Any:
    """Solve with the factors of a matrix for a vector, or for columns."""
    return factors.solve(np.ascontiguousarray(b), trans)


def _columns(solve: Callable[[Any], Any], b: Any, axis: int) -> Any:
    """Solve along one axis of ``b``, the last or the last but one, whatever axes stand before it."""
    moved = np.moveaxis(b, axis, 0)
    if moved.ndim == 1:
        return solve(moved)
    found = solve(moved.reshape(len(moved), -1))
    return np.ascontiguousarray(np.moveaxis(found.reshape(moved.shape), 0, axis))


def _by_factors(pattern: Pattern, entries: Any, b: Any, *, axis: int, transposed: bool, options: Any) -> Any:
    dtype = np.result_type(entries, b)
    try:
        factors = factors_of(pattern, entries, options)
    except RuntimeError as error:
        if "singular" not in str(error):
            raise
        from scipy.sparse.linalg import MatrixRankWarning

        warnings.warn("Matrix is exactly singular", MatrixRankWarning, stacklevel=2)
        return np.full(b.shape, np.nan, dtype)
    if not b.size:
        return np.zeros(b.shape, dtype)
    trans = "T" if transposed else "N"
    return _columns(lambda r: solved(factors, r, trans), b.astype(dtype, copy=False), axis).astype(dtype, copy=False)


def _unused(*_args: Any, **_params: Any) -> Any:
    raise NotImplementedError  # push and pull are the row's own


class _Solution(General):
    """The solution of a system with a pattern, its entries and a right side; ``transposed`` solves Aᵀ x = b."""

    groups_terms = False

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        """The solution is needed for what the entries change, the entries to solve again."""
        return active[1], (True, True, *(False,) * (len(active) - 2))

    def of_derivative(self, args: Any, r: Any, params: dict[str, Any], transposed: bool, out: Any) -> Any:
        """Solve with the same matrix, or the transposed one, for a batch of right sides."""
        return bind(self, (args[0], args[1], r), params | {"transposed": transposed})

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Solve A dx = db - dA x."""
        pattern, transposed = self.pattern_of(args[0]), params["transposed"]
        r = tangents[2]
        if tangents[1] is not None:
            change = change_of_product(pattern.T if transposed else pattern, tangents[1], out, params["axis"])
            r = -change if r is None else r - change
        return None if r is None else self.of_derivative(args, r, params, transposed, out)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Solve with the adjoint; what it says of an entry is the product of solutions at its place."""
        transposed, pattern = params["transposed"], self.pattern_of(args[0])
        active = [i is not None and i >= 0 for i in ins]
        found: list[Any] = [None] * len(args)
        if not (active[1] or active[2]):
            return found
        # The adjoint of a complex matrix is the conjugate of the transposed one.
        w = conjugated(self.of_derivative(args, conjugated(g), params, not transposed, out))
        if active[2]:
            found[2] = w
        if active[1]:
            pattern = pattern.T if transposed else pattern
            found[1] = -covector_of_entries(pattern, w, out, params["axis"], sweep.lead)
        return found

    def pattern_of(self, given: Any) -> Pattern:
        """Return the pattern in the first operand."""
        return given

    def labels(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        """Say what shapes tell: the system works along its axis."""
        return lanes(shape_of(args[2]), shape_of(out), (params["axis"],)) if k == 2 else DENSE

    def terms(self, run: Any, tangents: Any, values: Any, params: dict[str, Any], out: Any) -> Any:
        """Take an array of all directions."""
        return INSTEAD

    def forecast(self, asked: Asked) -> Any:
        """Say so."""
        return ALL


solution_by_factors = _Solution("scipy.sparse.linalg.spsolve", _by_factors, _unused, _unused)


class GivenFactors:
    """Factors of a constant matrix, as they were made outside: the first operand of their row."""

    dtype = np.dtype(bool)

    def __init__(self, factors: Any) -> None:
        self.factors, self.shape = factors, factors.shape


def _by_given(given: GivenFactors, b: Any, *, axis: int, trans: str) -> Any:
    return _columns(lambda r: solved(given.factors, r, trans), b, axis)


class _SolutionOfGiven(General):
    """The solution with constant factors: linear in the right side."""

    groups_terms = False

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        """The factors alone."""
        return False, (True, False)

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Solve with the same factors."""
        return bind(self, (args[0], tangents[1]), params)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Solve with the adjoint; that of the transposed matrix is its conjugate."""
        trans = params["trans"]
        if trans == "T" and dtype_of(g).kind == "c":
            return None, np.conjugate(bind(self, (args[0], np.conjugate(g)), params | {"trans": "N"}))
        return None, bind(self, (args[0], g), params | {"trans": "H" if trans == "N" else "N"})

    def labels(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        """Say what shapes tell: the system works along its axis."""
        return lanes(shape_of(args[1]), shape_of(out), (params["axis"],)) if k == 1 else DENSE

    def terms(self, run: Any, tangents: Any, values: Any, params: dict[str, Any], out: Any) -> Any:
        """Take an array of all directions."""
        return INSTEAD

    def forecast(self, asked: Asked) -> Any:
        """Say so."""
        return ALL


solution_by_given = _SolutionOfGiven("scipy.sparse.linalg.SuperLU.solve", _by_given, _unused, _unused)


# --------------------------------------------------------------------------------------------------
# iterative solvers


class Iteration:
    """An iterative solver of SciPy, with what it is called by: the first operand of its row, and a constant.

    Parameters
    ----------
    solver : callable
        Of ``scipy.sparse.linalg``.
    matrix : Pattern or LinearOperator
        The places of the entries; or an operator without entries.
    options : dict
        Tolerances, preconditioners and the like, as the solver takes them.
    symmetric : bool
        Whether the solver is for Hermitian matrices: then the adjoint is the matrix itself.
    """

    dtype = np.dtype(bool)

    def __init__(self, solver: Any, matrix: Any, options: dict[str, Any], symmetric: bool) -> None:
        self.solver, self.matrix, self.options, self.symmetric = solver, matrix, options, symmetric
        self.shape = matrix.shape

    def operator(self, entries: Any, transposed: bool) -> Any:
        """Return the matrix, or the transposed one, as the solver takes it."""
        if type(self.matrix) is Pattern:
            return (self.matrix.T if transposed else self.matrix).filled(entries)
        if not transposed or (self.symmetric and self.matrix.dtype.kind != "c"):
            return self.matrix
        return self.matrix.T

    def given(self, transposed: bool, size: float) -> dict[str, Any]:
        """Return the options for a derivative: as accurate, relative to its right side, as the solution is to one of this size."""
        options = {k: v for k, v in self.options.items() if k not in ("callback", "show", "check", "x0")}
        if "atol" in options:
            options["rtol"] = max(options["rtol"], options["atol"] / size if size else 0.0)
            options["atol"] = 0.0
        if transposed and not self.symmetric:
            for name in ("M", "M1", "M2"):
                if options.get(name) is not None:
                    options[name] = _transposed(options[name])
        return options


def _transposed(preconditioner: Any) -> Any:
    """Return a preconditioner for the transposed matrix; None where it cannot be had: it only spares steps."""
    from scipy.sparse.linalg import aslinearoperator

    found = aslinearoperator(preconditioner)
    try:
        found.rmatvec(np.ones(found.shape[0], found.dtype))
    except (NotImplementedError, AttributeError, TypeError):
        return None
    return found.T


def _by_iteration(
    iteration: Iteration, entries: Any, b: Any, start: Any, *, axis: int, transposed: bool, derivative: float | None
) -> Any:
    operator = iteration.operator(entries, transposed)
    name = iteration.solver.__name__

    def solve(columns: Any) -> Any:
        if columns.ndim == 2:
            return np.stack([solve(np.ascontiguousarray(c)) for c in columns.T], axis=1)
        if derivative is None:
            options = dict(iteration.options)
            if np.size(start):
                options["x0"] = start
        else:
            options = iteration.given(transposed, derivative)
            if not columns.any():
                return np.zeros_like(columns)
        try:
            x, info = iteration.solver(operator, columns, **options)
        except NotImplementedError:
            raise UnsupportedFunctionError(
                f"{where()}: reverse mode solves with the adjoint of the operator that scipy.sparse.linalg.{name} was given, and that "
                "has none. Give LinearOperator rmatvec=, or use forward mode."
            ) from None
        if info:
            what = "its solution" if derivative is None else "the derivative of its solution"
            raise UnsupportedFunctionError(
                f"{where()}: scipy.sparse.linalg.{name} did not converge to {what} (info={info}), so that there is no derivative of "
                "one. Allow more iterations (maxiter=), give it a preconditioner, or use scipy.sparse.linalg.spsolve."
            )
        return x

    return _columns(solve, b, axis)


class _Iterated(_Solution):
    """The same by an iterative solver; where it starts is one more operand, by which the solution has no derivative."""

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        """The right side says how accurate the solution was asked to be."""
        return active[1], (True, True, True, False)

    def of_derivative(self, args: Any, r: Any, params: dict[str, Any], transposed: bool, out: Any) -> Any:
        """Call the solver again."""
        size = params["derivative"]
        size = float(np.linalg.norm(raw(args[2]))) if size is None else size
        return bind(self, (args[0], args[1], r, np.zeros(0)), params | {"transposed": transposed, "derivative": size})

    def pattern_of(self, given: Any) -> Any:
        """Return the pattern in the first operand."""
        return given.matrix


solution_by_iteration = _Iterated("scipy.sparse.linalg.cg", _by_iteration, _unused, _unused)

__all__ = [
    "GivenFactors",
    "Iteration",
    "factors_of",
    "solution_by_factors",
    "solution_by_given",
    "solution_by_iteration",
    "solved",
]
