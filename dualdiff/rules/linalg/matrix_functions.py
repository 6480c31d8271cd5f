"""Functions of matrices: the exponential, the logarithm, roots and powers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from dualdiff.kinds import Discrete, General, Sweep
from dualdiff.rules.contraction import of_matrices
from dualdiff.rules.elementwise import cast
from dualdiff.rules.letters import conj
from dualdiff.rules.linalg.equations import sylvester_
from dualdiff.rules.linalg.matrices import adjoint, product
from dualdiff.rules.linalg.solving import solve_columns
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, decided

# --------------------------------------------------------------------------------------------------
# the exponential

# Its derivative L(A, E) by scaling and squaring, as in A. H. Al-Mohy and N. J. Higham, Computing the Fréchet derivative of the
# matrix exponential, SIAM J. Matrix Anal. Appl. 30 (2009), doi:10.1137/080716426: the approximant of degree 13 is
# differentiated, and then the squarings. The adjoint of L(A, ·) is L(Aᴴ, ·).

_PADE = tuple(
    float(c)
    for c in (
        *(64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600),
        *(670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1),
    )
)
_REACH = 4.74
"""Up to this norm the derivative of the approximant is right to double precision."""


def _squarings(a: Any) -> int:
    norm = float(np.max(np.sum(np.abs(a), axis=-2), initial=0.0))
    return max(0, int(np.ceil(np.log2(norm / _REACH)))) if np.isfinite(norm) and norm > _REACH else 0


squarings_ = Discrete("scipy.linalg.expm", _squarings)
"""How often a matrix is halved before the approximant serves."""


def frechet(a: Any, e: Any) -> tuple[Any, Any]:
    """Return exp(A), of one matrix, and its derivative in the directions of a stack."""
    n = shape_of(a)[-1]
    one = np.eye(n, dtype=dtype_of(a))
    times = int(decided(bind(squarings_, (a,), {})))
    a, e = a * 0.5**times, e * 0.5**times
    b = _PADE
    a2 = a @ a
    m2 = a @ e + product(e, a)
    a4 = a2 @ a2
    m4 = a2 @ m2 + product(m2, a2)
    a6 = a2 @ a4
    m6 = a4 @ m2 + product(m4, a2)
    w1 = b[13] * a6 + b[11] * a4 + b[9] * a2
    z1 = b[12] * a6 + b[10] * a4 + b[8] * a2
    w = a6 @ w1 + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * one
    u = a @ w
    v = a6 @ z1 + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * one
    dw = a6 @ (b[13] * m6 + b[11] * m4 + b[9] * m2) + product(m6, w1) + b[7] * m6 + b[5] * m4 + b[3] * m2
    du = a @ dw + product(e, w)
    dv = a6 @ (b[12] * m6 + b[10] * m4 + b[8] * m2) + product(m6, z1) + b[6] * m6 + b[4] * m4 + b[2] * m2
    r = np.linalg.solve(v - u, v + u)
    d = solve_columns(v - u, du + dv + product(du - dv, r), shape_of(e)[:-2])
    for _ in range(times):
        d = r @ d + product(d, r)
        r = r @ r
    return r, d


def _expm_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    return frechet(a, ts[0])[1]


def _expm_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    return (frechet(adjoint(a), g)[1],)


expm_ = General(
    "scipy.linalg.expm", scipy.linalg.expm, _expm_push, _expm_pull, keeps=(False, (True,)), joins=of_matrices
)


# --------------------------------------------------------------------------------------------------
# the square root


def _sqrtm_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    return bind(sylvester_, (out, out, ts[0]), {})


def _sqrtm_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    xh = adjoint(out)
    return (bind(sylvester_, (xh, xh, g), {}),)


sqrtm_ = General(
    "scipy.linalg.sqrtm", scipy.linalg.sqrtm, _sqrtm_push, _sqrtm_pull, keeps=(True, (False,)), joins=of_matrices
)


# --------------------------------------------------------------------------------------------------
# the logarithm and powers

# The derivative of any analytic function stands in the corner of f of [[A, E], [0, A]] (N. J. Higham, Functions of Matrices,
# 2008, section 3.2, doi:10.1137/1.9780898717778).


def _corner(row: General, a: Any, e: Any, params: dict[str, Any]) -> Any:
    n = shape_of(a)[-1]
    a, e = (cast(x, np.result_type(dtype_of(a), dtype_of(e)), copy=False) for x in (a, e))
    found = [
        bind(row, (np.concatenate([np.concatenate([a, t], 1), np.concatenate([np.zeros_like(a), a], 1)]),), params)[
            :n, n:
        ]
        for t in (np.reshape(e, (-1, n, n)) if len(shape_of(e)) != 2 else [e])
    ]
    return np.reshape(np.stack(found), shape_of(e)) if found else np.zeros_like(e)


def _by_corner(name: str, value: Callable[..., Any]) -> General:
    def push(sweep: Sweep, ts: Any, out: Any, a: Any, **params: Any) -> Any:
        return _corner(row, a, ts[0], params)

    def pull(sweep: Sweep, g: Any, out: Any, a: Any, **params: Any) -> Any:
        # not at Aᴴ: on a branch cut a function is not that of the conjugate, conjugated
        return (conj(_corner(row, np.swapaxes(a, -1, -2), conj(g), params)),)

    row = General(name, value, push, pull, keeps=(False, (True,)), joins=of_matrices)
    return row


def _logm(a: Any) -> Any:
    with warnings.catch_warnings():  # of the size of the error, which a derivative has no place for
        warnings.simplefilter("ignore", RuntimeWarning)
        return scipy.linalg.logm(a)


logm_ = _by_corner("scipy.linalg.logm", _logm)
power_ = _by_corner("scipy.linalg.fractional_matrix_power", lambda a, *, t: scipy.linalg.fractional_matrix_power(a, t))


# --------------------------------------------------------------------------------------------------
# the sign

# With S² = 1 and S A = A S, N = A S has its eigenvalues on the right, and N dS + dS N = dA - S dA S.


def _sign_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    n = a @ out
    return bind(sylvester_, (n, n, ts[0] - out @ product(ts[0], out)), {})


def _sign_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    n, s = adjoint(a @ out), adjoint(out)
    c = bind(sylvester_, (n, n, g), {})
    return (c - s @ product(c, s),)


sign_ = General("scipy.linalg.signm", scipy.linalg.signm, _sign_push, _sign_pull, joins=of_matrices)
