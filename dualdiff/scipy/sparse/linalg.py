"""``scipy.sparse.linalg``: systems whose matrix or right side is being differentiated.

A solution is differentiated by the equation that it solves, A dx = db - dA x. ``spsolve`` and ``splu`` factor the matrix once, for the
value and for every derivative; the iterative solvers are called again, with the transposed matrix for the adjoint, and are asked
for the same relative accuracy as the solution was.
"""

from __future__ import annotations

import inspect
import warnings
from types import BuiltinMethodType
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from dualdiff.capture.active import any_active, is_active, plain_call, unwrapped
from dualdiff.capture.names import drop_in_kind
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.operators.solutions import Given as Taken
from dualdiff.operators.solutions import Solved
from dualdiff.rules.entries import Pattern
from dualdiff.rules.systems import (
    GivenFactors,
    Iteration,
    factors_of,
    solution_by_factors,
    solution_by_given,
    solution_by_iteration,
)
from dualdiff.scipy.sparse.arithmetic import is_matrix
from dualdiff.scipy.sparse.matrix import Sparse, lift
from dualdiff.scipy.sparse.operators import ROOM, operator_of
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, operand, raw


def _matrix(A: Any) -> Sparse:
    return lift(A) if is_matrix(A) else Sparse.of_dense(A, sparse.csc_array)


def _system(A: Any) -> tuple[Pattern, Any]:
    """Return the places and entries of a matrix by columns, or by rows if it is given so, of floating-point numbers."""
    matrix = _matrix(A)
    pattern, entries = (matrix if matrix.format in ("csr", "csc") else matrix.compress("csc")).compressed()
    if dtype_of(entries).kind not in "fc":
        entries = np.asarray(entries, float)
    return pattern, entries


def _square(pattern: Pattern, message: str) -> None:
    if pattern.shape[0] != pattern.shape[1]:
        raise ValueError(message)


# --------------------------------------------------------------------------------------------------
# direct


@ROOM.function("spsolve", "general", domain="nonsingular")
def spsolve(A: Any, b: Any, permc_spec: Any = None, use_umfpack: bool = True) -> Any:
    """``scipy.sparse.linalg.spsolve``."""
    if not (is_matrix(A) and A.format in ("csc", "csr")):
        warnings.warn(
            "spsolve requires A be CSC or CSR matrix format", sparse.SparseEfficiencyWarning, stacklevel=_OUTSIDE
        )
    pattern, entries = _system(A)
    _square(pattern, f"matrix must be square (has shape {pattern.shape})")
    if is_matrix(b):
        if len(shape_of(b)) == 2 and shape_of(b)[1] != 1:
            raise UnsupportedFunctionError(
                f"{where()}: spsolve with a sparse matrix of right sides makes a sparse matrix, whose places depend on the values. Write "
                "spsolve(A, B.toarray())."
            )
        b = lift(b).toarray()
    b = operand(b)
    if pattern.shape[0] != shape_of(b)[0]:
        raise ValueError(f"matrix - rhs dimension mismatch ({pattern.shape} - {shape_of(b)[0]})")
    if len(shape_of(b)) == 2 and shape_of(b)[1] == 1:
        b = np.reshape(b, -1)
    dtype = np.result_type(dtype_of(entries), dtype_of(b))
    entries, b = (v if dtype_of(v) == dtype else v.astype(dtype) for v in (entries, b))
    options = () if permc_spec is None else (("permc_spec", permc_spec),)
    return _solved(pattern, entries, b, "N", options)


_OUTSIDE = 3


def _solved(pattern: Pattern, entries: Any, b: Any, trans: str, options: Any) -> Any:
    axis = -1 if len(shape_of(b)) == 1 else -2
    own, dtype = dtype_of(b), dtype_of(entries)
    if not np.can_cast(own, dtype, "safe"):  # as SuperLU says it
        raise TypeError(f"Cannot cast array data from {own!r} to {dtype!r} according to the rule 'safe'")
    b = b if own == dtype else b.astype(dtype)
    params = {"axis": axis, "transposed": trans != "N", "options": options}
    if trans == "H" and dtype_of(entries).kind == "c":
        return np.conjugate(bind(solution_by_factors, (pattern, entries, np.conjugate(b)), params))
    return bind(solution_by_factors, (pattern, entries, b), params)


@ROOM.function("spsolve_triangular", "general", domain="nonsingular")
def spsolve_triangular(
    A: Any,
    b: Any,
    lower: bool = True,
    overwrite_A: bool = False,
    overwrite_b: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """``scipy.sparse.linalg.spsolve_triangular``."""
    pattern, entries = _system(A)
    _square(pattern, f"A must be a square matrix but its shape is {pattern.shape}.")
    outside = pattern.rows < pattern.columns if lower else pattern.rows > pattern.columns
    if np.any(raw(entries)[outside]):
        raise np.linalg.LinAlgError("A is not triangular: it has entries on the other side of its diagonal.")
    if unit_diagonal:
        off = _matrix(A).moved(lambda s: sparse.tril(s, -1) if lower else sparse.triu(s, 1))
        pattern, entries = _system(lift(off) + sparse.eye_array(pattern.shape[0], format="csr"))
    elif np.count_nonzero(raw(entries)[pattern.rows == pattern.columns]) < pattern.shape[0]:
        raise np.linalg.LinAlgError("A is singular: zero entry on diagonal.")
    b = operand(b)
    if shape_of(b)[:1] != pattern.shape[:1] or len(shape_of(b)) > 2:
        raise ValueError(f"the sizes of A, {pattern.shape}, and of b, {shape_of(b)}, are incompatible")
    dtype = np.result_type(dtype_of(entries), dtype_of(b))
    entries, b = (v if dtype_of(v) == dtype else v.astype(dtype) for v in (entries, b))
    return _solved(pattern, entries, b, "N", (("permc_spec", "NATURAL"), ("diag_pivot_thresh", 0.0)))


class Factors:
    """What stands for the factors of a matrix with differentiated entries, as ``splu`` returns them."""

    __slots__ = ("_entries", "_options", "_pattern")

    def __init__(self, pattern: Pattern, entries: Any, options: Any) -> None:
        self._pattern, self._entries, self._options = pattern, entries, options
        factors_of(pattern, raw(entries), options)  # a singular matrix raises here, as SciPy's

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return linalg.SuperLU

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix."""
        return self._pattern.shape

    @property
    def nnz(self) -> int:
        """The number of entries of the factors."""
        found: int = factors_of(self._pattern, raw(self._entries), self._options).nnz
        return found

    def solve(self, rhs: Any, trans: str = "N") -> Any:
        """Solve for a vector, or for the columns of an array."""
        if trans not in ("N", "T", "H"):
            raise ValueError("trans must be N, T, or H")
        b = operand(rhs)
        if shape_of(b)[:1] != self.shape[:1]:
            raise ValueError("b is of incompatible size")
        return _solved(self._pattern, self._entries, b, trans, self._options)

    def __getattr__(self, name: str) -> Any:
        if hasattr(linalg.SuperLU, name) and not name.startswith("__"):
            raise UnsupportedFunctionError(
                f"{where()}: SuperLU.{name} of a matrix with differentiated entries is not differentiated: the factors depend on the "
                "order of elimination. Use solve; np.linalg.slogdet(K.toarray()) gives the determinant."
            )
        raise AttributeError(f"'SuperLU' object has no attribute {name!r}")


@ROOM.function("splu", "general", domain="nonsingular", solver=True)
def splu(
    A: Any,
    permc_spec: Any = None,
    diag_pivot_thresh: Any = None,
    relax: Any = None,
    panel_size: Any = None,
    options: Any = None,
) -> Any:
    """``scipy.sparse.linalg.splu``: of a constant matrix, factors that solve for differentiated right sides."""
    if not is_active(A):
        return Given(linalg.splu(unwrapped(A), permc_spec, diag_pivot_thresh, relax, panel_size, options))
    if not (is_matrix(A) and A.format == "csc"):
        warnings.warn("splu converted its input to CSC format", sparse.SparseEfficiencyWarning, stacklevel=_OUTSIDE)
    pattern, entries = _system(A)
    _square(pattern, "can only factor square matrices")
    given = {"permc_spec": permc_spec, "diag_pivot_thresh": diag_pivot_thresh, "relax": relax, "panel_size": panel_size}
    kept = [(k, v) for k, v in given.items() if v is not None]
    if options:
        kept.append(("options", tuple(sorted(options.items()))))
    return Factors(pattern, entries, tuple(kept))


@ROOM.function("factorized", "general", domain="nonsingular", solver=True)
def factorized(A: Any) -> Any:
    """``scipy.sparse.linalg.factorized``."""
    if is_active(A):
        return splu(_matrix(A).tocsc()).solve
    solve = linalg.factorized(unwrapped(A))
    return _given_solve(solve) or solve


ROOM.refused(
    "spilu",
    "which entries it drops depends on the values. Use splu; as a preconditioner, which needs no derivative, spilu of "
    "csc_matrix((dd.stop_gradient(K.data), K.indices, K.indptr))",
)


class Given:
    """Factors that were made of plain numbers outside the function: they solve for differentiated right sides."""

    def __init__(self, real: Any) -> None:
        self._real = real

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return linalg.SuperLU

    def solve(self, rhs: Any, trans: str = "N") -> Any:
        """Solve for a vector, or for the columns of an array."""
        if not is_active(rhs):
            return self._real.solve(np.asarray(unwrapped(rhs)), trans)
        if trans not in ("N", "T", "H"):
            raise ValueError("trans must be N, T, or H")
        b = operand(rhs)
        if shape_of(b)[:1] != self._real.shape[:1]:
            raise ValueError("b is of incompatible size")
        axis = -1 if len(shape_of(b)) == 1 else -2
        return bind(solution_by_given, (GivenFactors(self._real), b), {"axis": axis, "trans": trans})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _given(real: Any) -> Any:
    return Given(real)


def _given_solve(method: Any) -> Any:
    is_solve = type(getattr(method, "__self__", None)) is linalg.SuperLU and method.__name__ == "solve"
    return Given(method.__self__).solve if is_solve else None


drop_in_kind(linalg.SuperLU, _given)
drop_in_kind(BuiltinMethodType, _given_solve)  # what factorized returns


# --------------------------------------------------------------------------------------------------
# iterative

_SYMMETRIC = ("cg", "minres")
_REMEMBERED = ("outer_v", "CU")
"""What solvers take from an earlier call and write into."""


def _iterative(name: str) -> None:
    real = getattr(linalg, name, None)
    if real is None:
        return
    signature = inspect.signature(real)

    def solve(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        A, b, x0 = _of_matrix(given["A"]), given["b"], given.get("x0")
        for k in ("M", "M1", "M2"):
            _refuse_closure(name, k, given.get(k))
        if isinstance(A, linalg.LinearOperator) and operator_of(A).is_active():
            options = _options(name, signature, {k: v for k, v in given.items() if k not in ("A", "b", "x0")})
            return _by_functions(real, A, b, x0, options), 0
        if not any_active((A, b, x0), {}):
            return plain_call(real, args, kwargs)
        options = _options(name, signature, {k: v for k, v in given.items() if k not in ("A", "b", "x0")})
        matrix, entries = (A, np.zeros(0)) if isinstance(A, linalg.LinearOperator) else _system(A)
        dtype = matrix.dtype if isinstance(A, linalg.LinearOperator) else dtype_of(entries)
        if matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"expected square matrix, but got shape={matrix.shape}")
        b = operand(b)
        if shape_of(b) not in ((matrix.shape[0],), (matrix.shape[0], 1)):
            raise ValueError(f"shapes of A {matrix.shape} and b {shape_of(b)} are incompatible")
        b = np.reshape(b, -1) * np.ones((), np.result_type(dtype or np.float32, dtype_of(b), np.float32))
        if isinstance(x0, str):
            options["x0"] = x0
        start = np.zeros(0) if x0 is None or isinstance(x0, str) else np.reshape(operand(x0), -1)
        iteration = Iteration(real, matrix, options, name in _SYMMETRIC)
        params = {"axis": -1, "transposed": False, "derivative": None}
        return bind(solution_by_iteration, (iteration, entries, b, start), params), 0

    solve.__name__ = name
    solve.__doc__ = f"``scipy.sparse.linalg.{name}``: as good as its tolerance, and so is its derivative."
    solve.__signature__ = signature  # type: ignore[attr-defined]
    ROOM.function(name, "general", domain="nonsingular", solver=True)(solve)


def _by_functions(real: Any, A: Any, b: Any, x0: Any, options: dict[str, Any]) -> Any:
    """Solve with an operator whose function closes over differentiated values: they count as parameters of the equations."""
    acting = operator_of(A)

    def solved(held: Any) -> Any:
        values, right, start = held
        x, info = real(acting.plain(values), right, x0=start, **options)
        if info:
            raise UnsupportedFunctionError(
                f"{where()}: scipy.sparse.linalg.{real.__name__} did not converge to its solution (info={info}), so that there is no "
                "derivative of one. Allow more iterations (maxiter=), or give it a preconditioner."
            )
        return x

    given = Taken((acting.values, np.reshape(operand(b), -1), x0))
    return Solved(given, solved, lambda x, held: acting.times(held[0], x) - held[1]).result()


def _of_matrix(A: Any) -> Any:
    """Return the matrix that an operator was made of, if it was; anything else as it is."""
    inner = getattr(A, "A", None) if isinstance(A, linalg.LinearOperator) else None
    return inner if inner is not None and (is_matrix(inner) or isinstance(inner, np.ndarray)) else A


def _options(name: str, signature: inspect.Signature, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options as plain numbers, with the tolerances that are SciPy's defaults."""
    for k, v in given.items():
        if is_active(v):
            raise UnsupportedFunctionError(
                f"{where()}: {k}= of scipy.sparse.linalg.{name} carries a derivative, which the solution does not depend on. Freeze it "
                "with dd.stop_gradient, or build it of plain numbers."
            )
        if k in _REMEMBERED and v is not None:
            raise UnsupportedFunctionError(
                f"{where()}: {k}= of scipy.sparse.linalg.{name} is not differentiated: leave it out"
            )
    tolerances = {k: p.default for k, p in signature.parameters.items() if k in ("rtol", "atol")}
    return tolerances | {k: unwrapped(v) for k, v in given.items()}


def _refuse_closure(name: str, which: str, A: Any) -> None:
    """Refuse an operator whose function closes over a traced value: nothing shows it but what it returns."""
    A = _of_matrix(A)
    if not isinstance(A, linalg.LinearOperator) or not is_active(A._matvec(np.zeros(A.shape[1], A.dtype or float))):
        return
    raise UnsupportedFunctionError(
        f"{where()}: {which} of scipy.sparse.linalg.{name} is a LinearOperator whose function uses differentiated values. What it does "
        "to a vector cannot be differentiated by them. Give it a matrix: csr_array((entries, (i, j))), or an array."
    )


for _name in ("cg", "cgs", "bicg", "bicgstab", "gmres", "lgmres", "minres", "qmr", "tfqmr", "gcrotmk"):
    _iterative(_name)


# --------------------------------------------------------------------------------------------------
# norms


@ROOM.function("norm", "composite")
def norm(x: Any, ord: Any = None, axis: Any = None) -> Any:
    """``scipy.sparse.linalg.norm``."""
    if not sparse.issparse(x):
        raise TypeError("input is not sparse. use numpy.linalg.norm")
    matrix = _matrix(x)
    if axis is None and ord in (None, "fro", "f"):
        return np.linalg.norm(matrix.coo().data)
    if ord in (2, -2, "nuc"):
        raise NotImplementedError(
            f"{where()}: norm(K, {ord!r}) of a sparse matrix; write np.linalg.norm(K.toarray(), {ord!r})"
        )
    return np.linalg.norm(matrix.toarray(), ord, axis)


_DENSE = "Write it with K.toarray(), which NumPy's and scipy.linalg's functions take"
ROOM.refused("expm inv matrix_power", f"it is made of sparse matrices whose places depend on the values. {_DENSE}")
ROOM.refused("onenormest funm_multiply_krylov", f"it is not written for differentiated entries yet. {_DENSE}")

__all__ = ["ROOM", "Factors", "Given"]
