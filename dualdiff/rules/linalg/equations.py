"""Linear matrix equations (Sylvester's, Lyapunov's, Stein's) and Riccati's."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from dualdiff.errors import where
from dualdiff.kinds import General, Sweep
from dualdiff.rules.linalg.matrices import adjoint, product
from dualdiff.rules.linalg.solving import lapack
from dualdiff.shapes import shape_of, sum_to_shape
from dualdiff.values import bind

# --------------------------------------------------------------------------------------------------
# A X + X B = Q


def _sylvester(a: Any, b: Any, q: Any) -> Any:
    """Solve for a stack of right-hand sides with one Schur form of each matrix."""
    dtype = np.result_type(a, b, q)
    dtype = np.dtype(
        {"g": "d", "G": "D"}.get(dtype.char, dtype.char)
    )  # of which LAPACK has no more, and SciPy's schur takes less
    a, b, q = (x.astype(dtype, copy=False) for x in (a, b, q))
    output = "complex" if dtype.kind == "c" else "real"
    r, u = scipy.linalg.schur(a, output=output, check_finite=False)
    s, v = (r, u) if _is_adjoint(a, b) else scipy.linalg.schur(b.conj().T, output=output, check_finite=False)
    f = u.conj().T @ q @ v
    y = np.empty(f.shape, dtype)
    solver = lapack("trsyl", dtype)
    for at in np.ndindex(f.shape[:-2]):
        x, scale, info = solver(r, s, f[at], tranb="C")
        if info > 0:
            raise np.linalg.LinAlgError(
                f"{where()}: an equation A X + X B = Q has no solution of its own, as an eigenvalue of A is one of -B (to rounding). Such "
                "an equation is solved by solve_sylvester, solve_continuous_lyapunov and solve_continuous_are of scipy.linalg, and for the "
                "derivatives of its sqrtm, signm and polar, which have none at such a matrix."
            )
        y[at] = scale * x
    return u @ y @ v.conj().T


def _is_adjoint(a: Any, b: Any) -> bool:
    return bool(a.shape == b.shape and np.array_equal(b, a.conj().T))


def _sylvester_push(sweep: Sweep, ts: Any, out: Any, a: Any, b: Any, q: Any) -> Any:
    ta, tb, r = ts
    if ta is not None or tb is not None:
        c = 0.0 if ta is None else product(_beside(ta, out), out)
        c = c if tb is None else c + out @ _beside(tb, out)
        r = -c if r is None else r - c
    return bind(sylvester_, (a, b, r), {})


def _beside(t: Any, x: Any) -> Any:
    """Return tangents of a matrix with room for the stack of a solution."""
    shape = shape_of(t)
    return np.reshape(t, (*shape[:-2], *(1,) * (len(shape_of(x)) - 2), *shape[-2:]))


def _sylvester_pull(sweep: Sweep, g: Any, out: Any, a: Any, b: Any, q: Any) -> Any:
    c = bind(sylvester_, (adjoint(a), adjoint(b), g), {})
    xh = adjoint(out)
    ga, gb = -product(c, xh), -(xh @ c)
    return sum_to_shape(ga, sweep.lead, shape_of(a)), sum_to_shape(gb, sweep.lead, shape_of(b)), c


sylvester_ = General(
    "scipy.linalg.solve_sylvester",
    _sylvester,
    _sylvester_push,
    _sylvester_pull,
    keeps=(True, (True, True, False)),
)
"""The solution of A X + X B = Q; Q may be a stack."""


# --------------------------------------------------------------------------------------------------
# A X Aᴴ - X + Q = 0


def _stein(a: Any, q: Any, *, method: Any) -> Any:
    flat = np.reshape(q, (-1, *q.shape[-2:]))
    x = np.stack([scipy.linalg.solve_discrete_lyapunov(a, c, method) for c in flat]) if len(flat) else flat
    return np.reshape(x, q.shape)


def _stein_push(sweep: Sweep, ts: Any, out: Any, a: Any, q: Any, *, method: Any) -> Any:
    ta, r = ts
    if ta is not None:
        ta = _beside(ta, out)
        c = product(ta, out @ adjoint(a)) + product(a @ out, adjoint(ta))
        r = c if r is None else r + c
    return bind(stein_, (a, r), {"method": method})


def _stein_pull(sweep: Sweep, g: Any, out: Any, a: Any, q: Any, *, method: Any) -> Any:
    c = bind(stein_, (adjoint(a), g), {"method": method})
    ga = product(product(c, a), adjoint(out)) + product(adjoint(c), a @ out)
    return sum_to_shape(ga, sweep.lead, shape_of(a)), c


stein_ = General("scipy.linalg.solve_discrete_lyapunov", _stein, _stein_push, _stein_pull, keeps=(True, (True, False)))
"""The solution of A X Aᴴ - X + Q = 0; Q may be a stack."""


# --------------------------------------------------------------------------------------------------
# Riccati's equations

# With the gain K that minimises it, the residual is Fᴴ X E + Eᴴ X F + Q - S K - (S K)ᴴ + KᴴR K, where F = A - B K, or
# Fᴴ X F - Eᴴ X E + … in discrete time; so it changes with the data as if K were constant. What X changes by solves a
# Lyapunov or Stein equation with F E⁻¹.


def _riccati(a: Any, b: Any, q: Any, r: Any, e: Any, s: Any, *, discrete: bool, balanced: bool) -> Any:
    solver = scipy.linalg.solve_discrete_are if discrete else scipy.linalg.solve_continuous_are
    x = solver(a, b, q, r, e, s, balanced)
    k, f = _gain(x, a, b, r, e, s, discrete)
    h = f.conj().T @ x @ (f if discrete else e)
    terms = [h, -e.conj().T @ x @ e if discrete else h.conj().T, q, -s @ k, -(s @ k).conj().T, k.conj().T @ r @ k]
    residual, size = np.linalg.norm(sum(terms)), sum(np.linalg.norm(t) for t in terms)
    if residual > np.sqrt(np.finfo(x.dtype).eps) * size:
        # Some SciPy undo their scaling wrongly where e is given; then their X solves another equation.
        raise np.linalg.LinAlgError(
            f"{where()}: scipy.linalg.{solver.__name__} returns a matrix that leaves a residual of {residual:.1g} in "
            f"its equation (of terms of size {size:.1g}), and has no derivative there. Pass balanced=False."
        )
    return x


def _gain(x: Any, a: Any, b: Any, r: Any, e: Any, s: Any, discrete: bool) -> tuple[Any, Any]:
    bx = adjoint(b) @ x
    k = np.linalg.solve(r + bx @ b, bx @ a + adjoint(s)) if discrete else np.linalg.solve(r, bx @ e + adjoint(s))
    return k, a - b @ k


def _answer(f: Any, e: Any, c: Any, discrete: bool) -> Any:
    """Return how the solution answers to a change of the residual."""
    w = np.linalg.inv(e)
    t, c = f @ w, product(adjoint(w) @ c, w)
    return bind(stein_, (adjoint(t), c), {"method": None}) if discrete else -bind(sylvester_, (adjoint(t), t, c), {})


def _answer_transposed(f: Any, e: Any, g: Any, discrete: bool) -> Any:
    w = np.linalg.inv(e)
    t = f @ w
    c = bind(stein_, (t, g), {"method": None}) if discrete else -bind(sylvester_, (t, adjoint(t), g), {})
    return product(w @ c, adjoint(w))


def _riccati_push(
    sweep: Sweep, ts: Any, x: Any, a: Any, b: Any, q: Any, r: Any, e: Any, s: Any, *, discrete: bool, balanced: bool
) -> Any:
    k, f = _gain(x, a, b, r, e, s, discrete)
    ta, tb, tq, tr, te, ts_ = ts
    half: Any = 0.0
    right = x @ f if discrete else x @ e
    if ta is not None:
        half = half + adjoint(ta) @ right
    if tb is not None:
        half = half - adjoint(tb @ k) @ right
    if te is not None:
        half = half - adjoint(te) @ (x @ e) if discrete else half + adjoint(te) @ (x @ f)
    if ts_ is not None:
        half = half - ts_ @ k
    if tq is not None:
        half = half + 0.5 * tq
    if tr is not None:
        half = half + 0.5 * (adjoint(k) @ tr @ k)
    return _answer(f, e, half + adjoint(half), discrete)


def _riccati_pull(
    sweep: Sweep, g: Any, x: Any, a: Any, b: Any, q: Any, r: Any, e: Any, s: Any, *, discrete: bool, balanced: bool
) -> Any:
    k, f = _gain(x, a, b, r, e, s, discrete)
    c = _answer_transposed(f, e, g, discrete)
    c = c + adjoint(c)
    kh = adjoint(k)
    ga = (x @ f if discrete else x @ e) @ c
    ge = -(x @ e @ c) if discrete else x @ f @ c
    return ga, -(ga @ kh), 0.5 * c, 0.5 * (k @ c @ kh), ge, -(c @ kh)


riccati_ = General("scipy.linalg.solve_continuous_are", _riccati, _riccati_push, _riccati_pull)
"""The solution of an algebraic Riccati equation, in continuous or discrete time; all six matrices are given."""
