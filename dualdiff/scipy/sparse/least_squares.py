"""Linear least squares by iteration, ``lsqr`` and ``lsmr`` of ``scipy.sparse.linalg``: differentiated by the equations of the solution."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from scipy.sparse import linalg

from dualdiff.capture.active import any_active, plain_call
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.operators.solutions import Given, Solved
from dualdiff.scipy.answers import Absent, stripped
from dualdiff.scipy.sparse.operators import ROOM, operator_of
from dualdiff.values import operand


def _iterated(name: str) -> None:
    real = getattr(linalg, name)
    signature = inspect.signature(real)

    def solve(*args: Any, **kwargs: Any) -> Any:
        given = dict(signature.bind(*args, **kwargs).arguments)
        A, b, damp, start = (
            given.pop(k, default) for k, default in (("A", None), ("b", None), ("damp", 0.0), ("x0", None))
        )
        A = operator_of(A)
        if not A.is_active() and not any_active((b, damp, start), {}):
            return plain_call(real, args, kwargs)
        options = {k: stripped(v) for k, v in given.items()}
        if options.get("calc_var"):
            raise UnsupportedFunctionError(
                f"{where()}: scipy.sparse.linalg.{name} with calc_var=True is not differentiated: the variances depend on the steps."
            )
        m, n = A.shape
        b = np.reshape(operand(b), -1)
        damped = damp is not None and bool(np.any(stripped(damp)))
        # Without damping, of fewer equations than unknowns the solution nearest to the start is a combination of their rows.
        wide = m < n and not damped
        kept: list[Any] = []

        def solved(held: Any) -> Any:
            values, right, d, x0 = held
            kept[:] = [real(A.plain(values), right, d, x0=x0, **options)]
            x = kept[0][0]
            own = np.zeros(n) if x0 is None else x0
            rest = right - A.times(values, x)
            return (_combination(A, values, x - own), x) if wide else (rest, x)

        def left(u: Any, held: Any) -> Any:
            values, right, d, x0 = held
            r, x = u
            if wide:
                own = 0.0 if x0 is None else x0
                return x - own - A.adjoint(values, r), A.times(values, x) - right
            back = A.adjoint(values, r)
            if damped:
                back = back - d * d * (x if x0 is None else x - x0)
            return r + A.times(values, x) - right, back

        _, x = Solved(Given((A.values, b, damp, start)), solved, left).result()
        r = b - A.times(A.values, x)
        whole = np.sqrt(
            np.sum(r * r) + (damp * damp * np.sum((x if start is None else x - start) ** 2) if damped else 0.0)
        )
        return _told(name, kept[0], x, np.sqrt(np.sum(r * r)), whole)

    solve.__name__ = name
    solve.__doc__ = f"``scipy.sparse.linalg.{name}``: by the normal equations of the solution, not by the steps."
    solve.__signature__ = signature  # type: ignore[attr-defined]
    ROOM.function(name, "general", domain="nonsingular", solver=True)(solve)


def _combination(A: Any, values: Any, x: Any) -> Any:
    """Return the combination of the rows that is nearest to a vector."""
    rows = np.stack([A.adjoint(values, e) for e in np.eye(A.shape[0])], axis=1)
    return np.linalg.lstsq(rows, x, rcond=None)[0]


def _told(name: str, found: Any, x: Any, of_r: Any, whole: Any) -> Any:
    """Return the tuple of SciPy's function: what is estimated on the way has no derivative."""

    def absent(what: str) -> Any:
        return Absent(
            f"{what}, which scipy.sparse.linalg.{name} returns beside its solution, is an estimate that depends on its steps and has no "
            "derivative. Compute it from the matrix, or freeze what the solver is given with dd.stop_gradient."
        )

    istop, itn = found[1:3]
    size = np.sqrt(np.sum(x * x))
    of_a, condition, of_ar = absent("the norm of the matrix"), absent("its condition"), absent("the norm of Aᴴ r")
    if name == "lsqr":
        return x, istop, itn, of_r, whole, of_a, condition, of_ar, size, found[9]
    return x, istop, itn, of_r, of_ar, of_a, condition, size


_iterated("lsqr")
_iterated("lsmr")


__all__ = ["ROOM"]
