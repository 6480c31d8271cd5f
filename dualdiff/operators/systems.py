"""Linear systems with the Jacobian of some equations at their solution: factored once, solved with from both sides.

Equations are scaled to entries of at most one before anything is said about their condition: what unit somebody measures in says
nothing about a solution.

References
----------
Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 15, doi:10.1137/1.9780898717761.
Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, chapters 7 and 15, doi:10.1137/1.9780898718027.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.errors import InaccurateSolutionError, InputError, SingularSolutionError, where
from dualdiff.operators.jacobian import jacobian
from dualdiff.passes.pull import pull
from dualdiff.passes.push import push
from dualdiff.passes.sparsity import dependence
from dualdiff.tape import Tape

FEW = 48
"""Up to so many unknowns all columns of the Jacobian are pushed at once, and nobody looks for zeros."""
SPARSE = 0.1
"""The share of entries that may be nonzero in a matrix that is factored as a sparse one."""
SOLVERS = ("auto", "dense", "sparse", "gmres")
"""By which means the linear systems can be solved."""


class System:
    """What solves J u = r and Jᵀ w = g for many right-hand sides, the entries on their last axis."""

    #: the condition number of the scaled matrix, where it is known
    condition: float | None = None

    def solve(self, r: Any, transposed: bool = False) -> Any:
        """Return the solutions for right-hand sides of shape (…, n)."""
        raise NotImplementedError


class Transposed(System):
    """The same system from the other side."""

    def __init__(self, system: System) -> None:
        self.system, self.condition = system, system.condition

    def solve(self, r: Any, transposed: bool = False) -> Any:
        """Return the solutions for right-hand sides of shape (…, n)."""
        return self.system.solve(r, not transposed)


class Factored(System):
    """A scaled matrix and its factors: ``rows * J * columns`` is factored by LAPACK or SuperLU."""

    def __init__(self, matrix: Any) -> None:
        sparse = not isinstance(matrix, np.ndarray)
        size = abs(matrix)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.rows = 1 / _largest(size, 1)
            self.columns = 1 / _largest(size * self.rows[:, None] if not sparse else _scaled(size, self.rows, None), 0)
        if not (np.isfinite(self.rows).all() and np.isfinite(self.columns).all()):
            self.condition = float("nan") if np.isnan(_sum(size)) else float("inf")
            return
        if sparse:
            self._factor_sparse(_scaled(matrix, self.rows, self.columns))
        else:
            self._factor_dense(matrix * self.rows[:, None] * self.columns)

    def _factor_dense(self, a: Any) -> None:
        from scipy.linalg import get_lapack_funcs  # when it is first needed: it takes a while to import

        factor, solve, condition = get_lapack_funcs(("getrf", "getrs", "gecon"), (a,))
        lu, pivots, info = factor(a)
        if info > 0:
            self.condition = float("inf")
            return
        reciprocal = condition(lu, np.linalg.norm(a, 1))[0]
        self.condition = float(1 / reciprocal) if reciprocal else float("inf")
        self._solve: Callable[[Any, bool], Any] = lambda b, transposed: solve(lu, pivots, b, trans=int(transposed))[0]

    def _factor_sparse(self, a: Any) -> None:
        from scipy.sparse.linalg import LinearOperator, onenormest, splu

        try:
            lu = splu(a.tocsc())
        except RuntimeError:  # "Factor is exactly singular"
            self.condition = float("inf")
            return
        dtype = a.dtype
        inverse = LinearOperator(
            a.shape,
            matvec=lambda b: lu.solve(np.asarray(b, dtype)),
            rmatvec=lambda b: lu.solve(np.asarray(b, dtype), "T"),
            dtype=dtype,
        )
        size = np.max(abs(a).sum(axis=0))  # the 1-norm, which SciPy 1.13 does not find of a sparse array
        self.condition = float(size * (onenormest(inverse) if len(self.rows) > 4 else _norm_of_inverse(lu, a)))
        self._solve = lambda b, transposed: lu.solve(np.ascontiguousarray(b), "T" if transposed else "N")

    def solve(self, r: Any, transposed: bool = False) -> Any:
        """Return the solutions for right-hand sides of shape (…, n)."""
        before, after = (self.columns, self.rows) if transposed else (self.rows, self.columns)
        flat = np.reshape(r, (-1, len(before))) * before
        return np.reshape(self._solve(flat.T, transposed).T * after, np.shape(r))


def _largest(size: Any, axis: int) -> Any:
    found = size.max(axis=axis)
    return np.ravel(found if isinstance(found, np.ndarray) else found.toarray())


def _sum(size: Any) -> float:
    return float(size.sum())


def _scaled(a: Any, rows: Any, columns: Any) -> Any:
    import scipy.sparse

    a = scipy.sparse.diags_array(rows) @ a
    return a if columns is None else a @ scipy.sparse.diags_array(columns)


def _norm_of_inverse(lu: Any, a: Any) -> float:
    return float(np.abs(lu.solve(np.eye(a.shape[0], dtype=a.dtype))).sum(axis=0).max())


class Divided(System):
    """One equation for one unknown."""

    def __init__(self, slope: float) -> None:
        self.slope = slope
        self.condition = 1.0 if np.isfinite(slope) and slope else float("nan") if np.isnan(slope) else float("inf")

    def solve(self, r: Any, transposed: bool = False) -> Any:
        """Return the solutions for right-hand sides of shape (…, 1)."""
        return r / self.slope


class MatrixFree(System):
    """Systems solved by GMRES with products alone, one push or pull an iteration: the matrix is never there."""

    def __init__(self, tape: Tape, n: int, rtol: float) -> None:
        self.tape, self.n, self.rtol = tape, n, rtol

    def solve(self, r: Any, transposed: bool = False) -> Any:
        """Return the solutions for right-hand sides of shape (…, n)."""
        flat = np.reshape(r, (-1, self.n))
        return np.reshape(np.stack([self._one(b, transposed) for b in flat]) if len(flat) else flat, np.shape(r))

    def _one(self, b: Any, transposed: bool) -> Any:
        from scipy.sparse.linalg import LinearOperator, gmres

        tape = self.tape
        rest = [None] * (len(tape.inputs) - 1)
        zero = np.zeros_like(b)

        def product(v: Any) -> Any:
            v = np.asarray(v, b.dtype).reshape(-1)
            found = pull(tape, [(tape.outputs[0], v)])[0] if transposed else push(tape, [v, *rest], tape.outputs)[0]
            return zero if found is None else found

        size = float(np.linalg.norm(b))
        if not size:
            return zero
        operator = LinearOperator((self.n, self.n), matvec=product, dtype=b.dtype)
        x, _ = gmres(operator, b, rtol=self.rtol, atol=0.0, restart=min(self.n, 200), maxiter=20)
        left = float(np.linalg.norm(b - product(x))) / size
        accepted = float(np.finfo(b.dtype).eps) ** 0.5
        if not left <= accepted:
            raise SingularSolutionError(
                f"{where()}: GMRES did not solve the linear system of the derivative: it left {left:.1g} of the right-hand side "
                f"(more than {accepted:.1g}). The Jacobian by the unknowns is singular or badly conditioned; write scaled equations, "
                "or factor it (linear_solver='auto').",
                left,
            )
        return x


def system_of(tape: Tape, residual: Callable[[Any], Any], v: Any, solver: str) -> System:
    """Return what solves with the Jacobian of some equations by their unknowns.

    Parameters
    ----------
    tape : Tape
        The equations, recorded at the solution; the unknowns are its first input.
    residual : callable
        The equations as a function of the unknowns alone.
    v : array
        The solution, a vector.
    solver : str
        One of :data:`SOLVERS`.
    """
    n = len(v)
    if solver == "gmres":
        return MatrixFree(tape, n, float(np.finfo(v.dtype).eps) ** 0.75)
    if solver == "auto":
        solver = "sparse" if n > FEW and _is_sparse(tape, n) else "dense"
    if solver == "sparse":
        return Factored(jacobian(residual, sparse=True, check=False)(v))
    if n > FEW:
        return Factored(np.asarray(jacobian(residual, check=False)(v)))
    rest = [None] * (len(tape.inputs) - 1)
    columns = push(tape, [np.eye(n, dtype=v.dtype), *rest], tape.outputs, (n,))[0]
    return Factored(np.zeros((n, n), v.dtype) if columns is None else np.asarray(columns).T)


def _is_sparse(tape: Tape, n: int) -> bool:
    pattern = dependence(tape)
    return bool(pattern.shape == (n, pattern.shape[1]) and pattern[:, :n].nnz <= SPARSE * n * n)


def check_solver(solver: Any) -> None:
    """Raise unless a linear solver is one."""
    if solver not in SOLVERS:
        raise InputError(f"linear_solver={solver!r} must be one of {', '.join(map(repr, SOLVERS))}")


def check_solution(system: System, tape: Tape, again: Callable[[Any], Tape], v: Any, left: Any, size: Any) -> None:
    """Raise where a solution, or the system at it, is not good enough for a derivative.

    Parameters
    ----------
    system : System
        With the Jacobian at the solution.
    tape : Tape
        The equations, recorded there.
    again : callable
        Records them at other unknowns.
    v, left : array
        The solution, and what the equations leave there.
    size : float or array
        How large the unknowns are, or how far the solver came: a step of Newton's method is small beside that.
    """
    eps = float(np.finfo(v.dtype).eps)
    residual = float(np.max(np.abs(left), initial=0.0))
    c = system.condition
    known = "" if c is None else f", and the condition number of its Jacobian by the unknowns is {c:.2g}"
    if not np.isfinite(residual) or (c is not None and np.isnan(c)):
        raise InaccurateSolutionError(
            f"{where()}: the equations are not finite at the solution that was found (what they leave is {residual:.2g}{known}).",
            residual,
            c,
        )
    if c is not None and c * len(v) * eps > 1:
        raise SingularSolutionError(
            f"{where()}: the solution has no derivative by the implicit function theorem: the equations leave {residual:.2g} there{known}. "
            "A multiple root, or equations that do not determine all unknowns, move without bound when a parameter does.",
            residual,
            c,
        )
    step = system.solve(left)
    limit = np.broadcast_to(np.maximum(TOLERANCE * np.asarray(size), eps**0.5 * TOLERANCE), np.shape(step))
    if not np.all(np.abs(step) <= limit):
        worst = int(np.nanargmax(np.abs(step) / limit)) if not np.isnan(step).all() else 0
        off, beside = float(np.abs(step)[worst]), float(limit[worst] / TOLERANCE)
        raise InaccurateSolutionError(
            f"{where()}: the solver's result is too inaccurate for a derivative: the equations leave {residual:.2g} there{known}, so "
            f"that a step of Newton's method would change an unknown of size {beside:.2g} by {off:.2g}. Let it converge (a smaller "
            "tolerance, more iterations), or give the equations that it does solve.",
            residual,
            c,
        )
    turned = _turning(system, tape, again, v, left, step, eps, size)
    if turned > 0.5:
        raise SingularSolutionError(
            f"{where()}: the solution is, to the accuracy it was found with, a multiple root: the equations leave {residual:.2g} "
            f"there{known}, and the Jacobian changes by {100 * min(turned, 9.99):.0f} % of itself within the solution's own error. Its "
            "derivative would be noise.",
            residual,
            c,
        )


TOLERANCE = 1e-3
"""How large a step of Newton's method from a solution may be, beside the unknowns: about what its derivative is off by."""


def _turning(
    system: System, tape: Tape, again: Callable[[Any], Tape], v: Any, left: Any, step: Any, eps: float, beside: Any
) -> float:
    """Return how much the Jacobian changes, in parts of itself, within what is not known of the solution.

    That is the step of Newton's method, and what rounding in the equations is worth: eps times the largest number they compute with.
    Of one unknown known to 12 digits nobody asks: near a multiple root it is not.
    """
    large = max([_largest_of(x) for x in tape.slots if _is_real(x)], default=0.0)
    noise = np.where(np.asarray(left) < 0, -large, large) * eps
    s = (step + system.solve(noise.astype(v.dtype))).astype(v.dtype)
    size = float(np.linalg.norm(s))
    if not size or not np.isfinite(size) or (len(v) == 1 and size <= eps**0.75 * np.max(beside)):
        return 0.0
    try:
        moved = again(v + s)
    except (ArithmeticError, ValueError, np.linalg.LinAlgError):  # the edge of the equations' domain is another matter
        return 0.0
    there, here = (
        push(t, [s, *[None] * (len(t.inputs) - 1)], t.outputs)[0] if t.outputs[0] >= 0 else None for t in (moved, tape)
    )
    if there is None or here is None:
        return 0.0
    turned = float(np.linalg.norm(system.solve(np.asarray(there - here)))) / size
    return turned if np.isfinite(turned) else 0.0


def _largest_of(x: Any) -> float:
    return float(max(x.max(), -x.min())) if type(x) is np.ndarray and x.size else abs(float(x)) if np.size(x) else 0.0


def _is_real(x: Any) -> bool:
    return isinstance(x, (float, np.floating)) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")


__all__ = [
    "SOLVERS",
    "Divided",
    "Factored",
    "MatrixFree",
    "System",
    "Transposed",
    "check_solution",
    "check_solver",
    "system_of",
]
