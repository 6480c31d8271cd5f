"""Matrix equations: Sylvester's, Lyapunov's and Riccati's."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.rules.linalg.equations import riccati_, stein_, sylvester_
from dualdiff.rules.linalg.matrices import adjoint
from dualdiff.scipy.linalg.arguments import ROOM, check_square, over_stacks, together
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import bind


@ROOM.function("solve_sylvester", kind="general", domain="nonsingular")
@over_stacks(a=2, b=2, q=2)
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """``scipy.linalg.solve_sylvester``."""
    a, b, q = together(a, b, q, check_finite=False)
    if not size_of(shape_of(q)):
        return np.zeros_like(q)
    return bind(sylvester_, (a, b, q), {})


@over_stacks(a=2, q=2)
def _lyapunov(a: Any, q: Any) -> Any:
    a, q = together(a, q)
    a, q = np.atleast_2d(a), np.atleast_2d(q)
    check_square(a, "Matrix a should be square.")
    check_square(q, "Matrix q should be square.")
    if shape_of(a) != shape_of(q):
        raise ValueError("Matrix a and q should have the same shape.")
    return bind(sylvester_, (a, adjoint(a), q), {}) if size_of(shape_of(a)) else np.zeros_like(q)


@ROOM.function("solve_continuous_lyapunov", kind="general", domain="nonsingular")
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """``scipy.linalg.solve_continuous_lyapunov``."""
    return _lyapunov(a, q)


@ROOM.function("solve_lyapunov", kind="general", domain="nonsingular")
def solve_lyapunov(a: Any, q: Any) -> Any:
    """``scipy.linalg.solve_lyapunov``, the older name."""
    return _lyapunov(a, q)


@ROOM.function("solve_discrete_lyapunov", kind="general", domain="nonsingular")
@over_stacks(a=2, q=2)
def solve_discrete_lyapunov(a: Any, q: Any, method: Any = None) -> Any:
    """``scipy.linalg.solve_discrete_lyapunov``."""
    if method is not None and method.lower() not in ("direct", "bilinear"):
        raise ValueError(f"Unknown solver {method}")
    a, q = together(a, q, check_finite=False)
    return bind(stein_, (a, q), {"method": method})


@over_stacks(a=2, b=2, q=2, r=2, e=2, s=2)
def _riccati(a: Any, b: Any, q: Any, r: Any, e: Any, s: Any, discrete: bool, balanced: bool) -> Any:
    given = [np.atleast_2d(x) for x in together(*[x for x in (a, b, q, r, e, s) if x is not None])]
    rest = given[4:]
    a, b, q, r = given[:4]
    if e is None:
        rest.insert(0, np.eye(shape_of(a)[-1], dtype=dtype_of(a)))
    if s is None:
        rest.append(np.zeros_like(b))
    return bind(riccati_, (a, b, q, r, *rest), {"discrete": discrete, "balanced": bool(balanced)})


@ROOM.function("solve_continuous_are", kind="general", domain="nonsingular")
def solve_continuous_are(a: Any, b: Any, q: Any, r: Any, e: Any = None, s: Any = None, balanced: bool = True) -> Any:
    """``scipy.linalg.solve_continuous_are``: of q and r the Hermitian parts count, which is all that they may have."""
    return _riccati(a, b, q, r, e, s, False, balanced)


@ROOM.function("solve_discrete_are", kind="general", domain="nonsingular")
def solve_discrete_are(a: Any, b: Any, q: Any, r: Any, e: Any = None, s: Any = None, balanced: bool = True) -> Any:
    """``scipy.linalg.solve_discrete_are``: of q and r the Hermitian parts count, which is all that they may have."""
    return _riccati(a, b, q, r, e, s, True, balanced)
