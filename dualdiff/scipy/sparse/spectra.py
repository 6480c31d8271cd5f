r"""Some eigenvalues and singular values of ``scipy.sparse.linalg``, with their vectors: SciPy finds them, by whatever iteration.

They are differentiated by the equations that hold at the end: of :math:`A v = \lambda M v` with :math:`v^H M v = 1` the Jacobian is
regular where the eigenvalue is simple. Singular pairs are eigenpairs of :math:`\begin{pmatrix} 0 & A \\ A^H & 0 \end{pmatrix}`.

References
----------
Magnus, "On differentiating eigenvalues and eigenvectors", Econometric Theory 1 (1985), 179–191, doi:10.1017/S0266466600011129.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import linalg

from dualdiff.capture.active import plain_call
from dualdiff.errors import DegenerateError, UnsupportedFunctionError, where
from dualdiff.operators.solutions import Given, Solved
from dualdiff.scipy.answers import Absent, stripped
from dualdiff.scipy.sparse.operators import ROOM, Operator, operator_of
from dualdiff.values import decided

GAP = 1e-10
"""Values that lie closer than this, relative to the largest of them, count as equal."""


class Search:
    """One call of SciPy's function.

    Attributes
    ----------
    name : str
        Of the function.
    options : dict
        What it was given, plain, but for the matrices and whether it is to return vectors.
    """

    def __init__(self, name: str, given: dict[str, Any], matrices: tuple[str, ...], vectors: str) -> None:
        self.name = name
        self.real: Callable[..., Any] = getattr(linalg, name)
        self.asked = given.get(vectors, True)
        self.vectors = vectors
        self.options = {k: stripped(v) for k, v in given.items() if k not in (*matrices, vectors)}

    def run(self, A: Any, **M: Any) -> Any:
        """Return all that SciPy finds for plain matrices, the vectors included; refuse equal values."""
        found = self.real(A, **M, **self.options, **{self.vectors: True})
        _told_apart(self.name, found[1] if len(found) == 3 else found[0])
        return found

    def ordered(self, values: Any, A: Any, **M: Any) -> Any:
        """Return values in the order in which SciPy returns them without vectors."""
        alone = self.real(A, **M, **self.options, **{self.vectors: False})
        order = np.empty(len(alone), int)
        order[np.argsort(alone)] = np.argsort(decided(values))
        return values[order]


def _told_apart(name: str, found: Any) -> None:
    values = np.sort(found)
    if len(values) > 1 and np.min(np.abs(np.diff(values))) <= GAP * np.max(np.abs(values)):
        raise DegenerateError(
            f"{where()}: scipy.sparse.linalg.{name} found equal values, which have no derivatives one by one. Use a dense "
            "matrix and np.linalg.eigh or svd, of which functions that treat equal values alike are differentiated."
        )


def _bound(real: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    return dict(inspect.signature(real).bind(*args, **kwargs).arguments)


def _eigen(name: str, hermitian: bool) -> None:
    real = getattr(linalg, name)

    def pairs(*args: Any, **kwargs: Any) -> Any:
        given = _bound(real, args, kwargs)
        A = operator_of(given["A"])
        M = None if given.get("M") is None else operator_of(given["M"])
        if not A.is_active() and (M is None or not M.is_active()):
            return plain_call(real, args, kwargs)
        if given.get("mode", "normal") != "normal":
            raise UnsupportedFunctionError(
                f"{where()}: scipy.sparse.linalg.{name} is differentiated with mode='normal' alone, which solves A v = λ M v. Leave the "
                "mode out."
            )
        search = Search(name, given, ("A", "M"), "return_eigenvectors")
        w, v = _solved(A, M, hermitian, search.run)
        held = stripped((A.values, None if M is None else M.values))
        if not search.asked:
            own = _matrices(A, M, held)
            return search.ordered(w, own[0], **own[1])
        return w, _vectors(name, v, M, hermitian)

    _enter(name, real, pairs)


def _solved(A: Operator, M: Operator | None, hermitian: bool, find: Callable[..., Any]) -> tuple[Any, Any]:
    """Return the values and vectors that ``find`` returns for plain matrices, as functions of the entries."""
    anchor: list[Any] = []

    def solve(held: Any) -> Any:
        own = _matrices(A, M, held)
        found = find(own[0], **own[1])
        anchor[:] = [found[1]]
        return found

    def left(x: Any, held: Any) -> Any:
        w, v = x
        of_m = v if M is None else M.times(held[1], v)
        scale = of_m if hermitian and v.dtype.kind != "c" else anchor[0]
        size = np.sum(np.conjugate(scale) * v, axis=0)
        own = np.sum(np.conjugate(scale) * anchor[0], axis=0) if scale is anchor[0] else 1.0
        return A.times(held[0], v) - of_m * w, size - own

    w, v = Solved(Given((A.values, None if M is None else M.values)), solve, left).result()
    return w, v


def _matrices(A: Operator, M: Operator | None, held: Any) -> tuple[Any, dict[str, Any]]:
    return A.plain(held[0]), {} if M is None else {"M": M.plain(held[1])}


def _vectors(name: str, v: Any, M: Operator | None, hermitian: bool) -> Any:
    """Return vectors of length 1, as far as they are determined."""
    plain = decided(v)
    if hermitian and plain.dtype.kind != "c":
        return v
    if M is not None or np.any(plain.imag):
        return Absent(
            f"the vectors that scipy.sparse.linalg.{name} returns are defined up to a {'length' if M is not None else 'phase'}, which its "
            "iteration chooses, so they have no derivative of their own. Use the eigenvalues, or np.linalg.eig of a dense matrix for what "
            "no phase changes."
        )
    return v / np.sqrt(np.sum(v.real * v.real, axis=0))


def _enter(name: str, real: Any, function: Any) -> None:
    function.__name__ = name
    function.__doc__ = f"``scipy.sparse.linalg.{name}``: by the equations that the values and vectors satisfy."
    function.__signature__ = inspect.signature(real)
    ROOM.function(name, "general", domain="nonsingular", solver=True)(function)


def _svds(*args: Any, **kwargs: Any) -> Any:
    given = _bound(linalg.svds, args, kwargs)
    A = operator_of(given["A"])
    if not A.is_active():
        return plain_call(linalg.svds, args, kwargs)
    search = Search("svds", given, ("A",), "return_singular_vectors")

    def solve(held: Any) -> Any:
        u, s, vh = search.run(A.plain(held))
        if u.dtype.kind == "c":
            raise UnsupportedFunctionError(
                f"{where()}: scipy.sparse.linalg.svds of a complex matrix is not differentiated. Use np.linalg.svd of a dense one."
            )
        return u, s, vh

    def left(x: Any, held: Any) -> Any:
        u, s, vh = x
        v = vh.T
        size = np.sum(u * u, axis=0) + np.sum(v * v, axis=0)
        return A.times(held, v) - u * s, A.adjoint(held, u) - v * s, size - 2.0

    u, s, vh = Solved(Given(A.values), solve, left).result()
    if search.asked is False:
        return search.ordered(s, A.plain(stripped(A.values)))
    return u, s, vh


def _lobpcg(*args: Any, **kwargs: Any) -> Any:
    given = _bound(linalg.lobpcg, args, kwargs)
    A = operator_of(given["A"])
    B = None if given.get("B") is None else operator_of(given["B"])
    if not A.is_active() and (B is None or not B.is_active()):
        return plain_call(linalg.lobpcg, args, kwargs)
    if given.get("Y") is not None:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.sparse.linalg.lobpcg with constraints Y is not differentiated: away from eigenvectors of Y it finds other "
            "values than those of the matrix. Leave Y out, and select the values."
        )
    if given.get("retLambdaHistory") or given.get("retResidualNormsHistory"):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.sparse.linalg.lobpcg is not differentiated with histories of its iteration. Leave retLambdaHistory and "
            "retResidualNormsHistory out."
        )
    options = {k: stripped(v) for k, v in given.items() if k not in ("A", "B")}

    def find(own: Any, M: Any = None) -> Any:
        found = linalg.lobpcg(own, **options, **({} if M is None else {"B": M}))
        _told_apart("lobpcg", found[0])
        return found

    w, v = _solved(A, B, True, find)
    return w, _vectors("lobpcg", v, B, True)


_eigen("eigsh", True)
_eigen("eigs", False)
_enter("svds", linalg.svds, _svds)
_enter("lobpcg", linalg.lobpcg, _lobpcg)


__all__ = ["ROOM"]
