"""``scipy.stats`` of values that are being differentiated.

Its distributions are Python over the functions of ``scipy.special``, which have rows, and run captured as they stand, in values and in
parameters, frozen or not. Here is what they reach that is compiled or iterates.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import scipy.special
import scipy.stats
from scipy.stats import _continuous_distns, _multivariate

from dualdiff.capture.active import any_active, is_active, plain_call
from dualdiff.capture.names import drop_in, drop_in_class
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.register import REAL_ONLY, Facts
from dualdiff.scipy.room import Room
from dualdiff.shapes import shape_of
from dualdiff.solvers import serve
from dualdiff.values import decided, operand, raw

ROOM = Room("scipy.stats")
REAL = Facts(REAL_ONLY)

# --------------------------------------------------------------------------------------------------
# covariances

_PSD: Any = getattr(_multivariate, "_PSD", None)


def _factored(
    M: Any,
    cond: Any = None,
    rcond: Any = None,
    lower: bool = True,
    check_finite: bool = True,
    allow_singular: bool = True,
) -> Any:
    """Return SciPy's factor U of the inverse of a covariance M, with U Uᵀ = M⁻¹ also in its derivatives.

    Which of those factors is meant does not matter to a density. Beside SciPy's own, U₀, the factor U₀ C⁻ᵀ with C Cᵀ = U₀ᵀ M U₀ has
    its value, since C is 1 there, and is a smooth function of M also where eigenvalues are equal.
    """
    M = operand(M)
    plain = np.array(raw(M), dtype=float)
    found = _PSD(plain, cond, rcond, lower, check_finite, allow_singular)
    n = len(plain)
    if found.rank < n:
        raise UnsupportedFunctionError(
            f"{where()}: the density of a normal distribution is not differentiated by a covariance matrix that is singular: the space it "
            "lives in would turn. Write the values as a linear map of independent ones, whose covariance is not."
        )
    below = np.tri(n, k=-1, dtype=bool)
    half, whole = (M, plain) if lower else (M.T, plain.T)
    change = np.where(np.tri(n, dtype=bool), half - whole, 0.0)
    change = change + np.where(below, change, 0.0).T
    C = np.linalg.cholesky(np.eye(n) + found.U.T @ change @ found.U)
    found._M = M
    found.U = found.U @ np.linalg.inv(C).T
    found.log_pdet = found.log_pdet + 2 * np.sum(np.log(np.diagonal(C)))
    return found


if _PSD is not None:
    drop_in_class(_PSD, _factored)


def _no_derivative(name: str) -> Any:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedFunctionError(
            f"{where()}: {name} is an integral in several variables that compiled code estimates, which carries no derivative. Use logpdf, "
            "the distribution functions of independent variables, or freeze its arguments with dd.stop_gradient."
        )

    return refuse


for _kind in ("multivariate_normal", "multivariate_t"):
    _class, _public = type(getattr(scipy.stats, _kind)), f"scipy.stats.{_kind}.cdf"
    serve(_class._cdf, _public)
    ROOM.method(_class, "_cdf", facts=REAL)(_no_derivative(_public))

# --------------------------------------------------------------------------------------------------
# kernel densities


def _distances(self: Any, points: Any) -> tuple[Any, float]:
    """Return the squared distances of points from the data in widths of the kernel, and the logarithm of the kernel's integral."""
    points = np.atleast_2d(operand(points))
    d, m = shape_of(points)
    if d != self.d:
        if d != 1 or m != self.d:
            raise ValueError(f"points have dimension {d}, dataset has dimension {self.d}")
        points = np.reshape(points, (self.d, 1))
    white = np.linalg.inv(self.cho_cov)
    apart = (white @ points)[:, :, None] - (white @ self.dataset)[:, None, :]
    size = np.sum(np.log(np.diagonal(self.cho_cov))) + 0.5 * self.d * math.log(2 * math.pi)
    return np.sum(apart * apart, axis=0), size


_KERNELS = scipy.stats.gaussian_kde
_evaluate, _logpdf, _set_bandwidth = _KERNELS.evaluate, _KERNELS.logpdf, _KERNELS.set_bandwidth


def _is_plain(self: Any, points: Any) -> bool:
    return not any_active((points, self.dataset, self.weights, self.cho_cov), {})


def kernel_density(self: Any, points: Any) -> Any:
    """Return the estimated density at points, as :meth:`scipy.stats.gaussian_kde.evaluate`."""
    if _is_plain(self, points):
        return plain_call(_evaluate, (self, points), {})
    squares, size = _distances(self, points)
    return np.exp(-0.5 * squares - size) @ self.weights


for _name in ("evaluate", "__call__"):
    ROOM.method(_KERNELS, _name, facts=REAL, always=True)(kernel_density)


@ROOM.method(_KERNELS, "logpdf", facts=REAL, always=True)
def kernel_log_density(self: Any, x: Any) -> Any:
    """Return its logarithm, as :meth:`scipy.stats.gaussian_kde.logpdf`."""
    if _is_plain(self, x):
        return plain_call(_logpdf, (self, x), {})
    squares, size = _distances(self, x)
    terms = -0.5 * squares + np.log(self.weights)
    top = np.max(terms, axis=-1, keepdims=True)
    return np.log(np.sum(np.exp(terms - top), axis=-1)) + top[..., 0] - size


@ROOM.method(_KERNELS, "set_bandwidth", facts=REAL, around=True, always=True)
def bandwidth(self: Any, bw_method: Any = None) -> Any:
    """Set the width of the kernels, as :meth:`scipy.stats.gaussian_kde.set_bandwidth`; a number may be differentiated."""
    return _set_bandwidth(self, (lambda _: bw_method) if is_active(bw_method) else bw_method)


serve(_set_bandwidth, "scipy.stats.gaussian_kde.set_bandwidth", __name__)


# --------------------------------------------------------------------------------------------------
# one formula here and another there


def chosen(cond: Any, f1: Any, f2: Any, fill_value: Any, *args: Any, xp: Any, kwkeys: Any = ()) -> Any:
    """Apply one function where a condition holds and another elsewhere, as SciPy's formulas do that differ from place to place.

    SciPy writes the one's values into the other's, which hold no derivative where only the first depends on the input. The last of
    the arguments have names, ``kwkeys``.
    """
    unnamed = len(args) - len(kwkeys)

    def applied(f: Any, here: Any) -> Any:
        given = [a[here] for a in args]
        return np.broadcast_to(f(*given[:unnamed], **dict(zip(kwkeys, given[unnamed:]))), (int(np.sum(here)),))

    there = np.array(decided(cond), dtype=bool)
    if f2 is None:
        there, filled = np.broadcast_arrays(there, fill_value)
    count = int(np.sum(there))
    first, other = applied(f1, there), filled[~there] if f2 is None else applied(f2, ~there)
    at = np.empty(there.shape, dtype=int)
    at[there], at[~there] = np.arange(count), np.arange(count, there.size)
    return np.take(np.concatenate([first, other]), at)


_apply_where: Any = getattr(
    sys.modules.get(getattr(getattr(getattr(_continuous_distns, "xpx", None), "apply_where", None), "__module__", "")),
    "_apply_where",
    None,
)
if _apply_where is not None:
    drop_in(_apply_where, chosen)


def chosen_before(cond: Any, arrays: Any, f: Any, fillvalue: Any = None, f2: Any = None) -> Any:
    """Do the same for the function that SciPy has for it before 1.16."""
    shape = np.broadcast_shapes(*[shape_of(operand(a)) for a in (cond, *arrays)])
    cond, *arrays = [np.broadcast_to(operand(a), shape) for a in (cond, *arrays)]
    return chosen(cond, f, f2, fillvalue, *arrays, xp=np)


_lazywhere: Any = getattr(_continuous_distns, "_lazywhere", None)
if _lazywhere is not None:
    drop_in(_lazywhere, chosen_before)

__all__ = ["ROOM"]
