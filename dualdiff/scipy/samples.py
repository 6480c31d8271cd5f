"""Functions of ``scipy.stats`` on data, where SciPy's own code would lose a derivative or store it in a number."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import numpy as np
from scipy import special
from scipy._lib import _util
from scipy.stats import _morestats, _stats_py

from dualdiff.capture.active import is_active, plain_call
from dualdiff.capture.names import drop_in, drop_in_class, drop_in_method
from dualdiff.errors import UnsupportedFunctionError, replaced, where
from dualdiff.operators.minima import argmin
from dualdiff.register import REAL_ONLY, Facts
from dualdiff.rules.absent import where_nan
from dualdiff.rules.special.series import log1p_over
from dualdiff.scipy.answers import at_value
from dualdiff.scipy.room import Room
from dualdiff.scipy.systems import uncaptured
from dualdiff.shapes import shape_of
from dualdiff.solvers import serve
from dualdiff.values import decided, operand, raw

ROOM = Room("scipy.stats")
REAL = Facts(REAL_ONLY)

# --------------------------------------------------------------------------------------------------
# families of transformations and means, whose formulas SciPy takes apart where their parameter is 0


def _without_nan(name: str, nan_policy: Any, *arrays: Any) -> None:
    """Refuse to leave NaN out, which these functions' own formulas do not."""
    if nan_policy != "propagate" and any(bool(np.any(np.isnan(decided(operand(a))))) for a in arrays):
        if nan_policy == "raise":
            raise ValueError("The input contains nan values")
        raise UnsupportedFunctionError(
            f"{where()}: scipy.stats.{name} with nan_policy={nan_policy!r} is not differentiated where the data hold NaN. Select what is "
            "there: x[~np.isnan(x)]."
        )


@ROOM.function("pmean", facts=REAL, solver=True)
def pmean(
    a: Any,
    p: Any,
    *,
    axis: Any = 0,
    dtype: Any = None,
    weights: Any = None,
    nan_policy: Any = "propagate",
    keepdims: bool = False,
) -> Any:
    """Return the power mean of data, as :func:`scipy.stats.pmean`, smooth in the power also at 0."""
    a, p = operand(a), operand(p)
    _without_nan("pmean", nan_policy, a)
    if dtype is not None:
        a = a.astype(dtype)
    options: dict[str, Any] = {"axis": axis, "weights": weights, "keepdims": keepdims}
    if decided(np.not_equal(p, 0)):
        return np.average(np.power(a, p), **options) ** (1 / p)
    logs = np.log(a)  # the logarithm of the mean of e^(p log a), over p
    rise = np.average(logs * special.exprel(p * logs), **options)
    return np.exp(rise * log1p_over(p * rise))


@ROOM.function("boxcox_llf", facts=REAL, solver=True)
def boxcox_llf(lmb: Any, data: Any, *, axis: Any = 0, keepdims: bool = False, nan_policy: Any = "propagate") -> Any:
    """Return the logarithm of the likelihood of Box and Cox's transformation, as :func:`scipy.stats.boxcox_llf`, smooth also at 0."""
    logs = np.log(operand(data))
    _without_nan("boxcox_llf", nan_policy, data)
    middle = np.mean(logs, axis=axis, keepdims=True)
    apart = logs - middle
    spread = np.var(apart * special.exprel(lmb * apart), axis=axis, keepdims=keepdims)
    n = np.size(raw(logs)) if axis is None else shape_of(logs)[axis]
    total = np.sum(logs, axis=axis, keepdims=keepdims)
    return (lmb - 1) * total - lmb * total - 0.5 * n * np.log(spread)


def _yeo_johnson(x: Any, lmbda: Any) -> Any:
    """Return Yeo and Johnson's transformation, smooth in its parameter also at 0 and 2."""
    sign = np.where(np.greater_equal(x, 0), 1.0, -1.0)
    logs = np.log1p(np.abs(x))
    power = np.where(np.greater_equal(x, 0), lmbda, 2 - lmbda)
    return sign * logs * special.exprel(power * logs)


FITTED = (
    "the parameter that fits it best is found by iteration. Fit it on plain numbers, lmbda = scipy.stats.yeojohnson_normmax("
    "dd.stop_gradient(x)), and pass it: scipy.stats.yeojohnson(x, lmbda)"
)


@ROOM.function("yeojohnson", facts=REAL, solver=True)
def yeojohnson(x: Any, lmbda: Any = None, *, nan_policy: Any = "propagate") -> Any:
    """Return transformed data, as :func:`scipy.stats.yeojohnson` with a parameter."""
    if lmbda is None:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.stats.yeojohnson without lmbda is not differentiated: {FITTED}."
        )
    _without_nan("yeojohnson", nan_policy, x)
    return _yeo_johnson(operand(x), operand(lmbda))


@ROOM.function("yeojohnson_llf", facts=REAL, solver=True)
def yeojohnson_llf(lmb: Any, data: Any, *, axis: Any = 0, nan_policy: Any = "propagate", keepdims: bool = False) -> Any:
    """Return the logarithm of that transformation's likelihood, as :func:`scipy.stats.yeojohnson_llf`."""
    x = operand(data)
    _without_nan("yeojohnson_llf", nan_policy, x)
    spread = np.var(_yeo_johnson(x, operand(lmb)), axis=axis, keepdims=keepdims)
    n = np.size(raw(x)) if axis is None else shape_of(x)[axis]
    logs = np.sum(np.sign(x) * np.log1p(np.abs(x)), axis=axis, keepdims=keepdims)
    return -0.5 * n * np.log(spread) + (lmb - 1) * logs


_boxcox_normmax = _morestats.boxcox_normmax
FAR = 1e-3
"""How far from the optimum SciPy's search may have stopped."""


def boxcox_normmax(x: Any, brack: Any = None, method: Any = "pearsonr", optimizer: Any = None, **options: Any) -> Any:
    """Return the parameter that fits data best, as :func:`scipy.stats.boxcox_normmax` finds it, by the conditions that hold there."""
    found = uncaptured(plain_call, _boxcox_normmax, (raw(operand(x)), brack, method, optimizer), options)
    costs = {"pearsonr": _unlike_normal, "mle": lambda lmb, data: -boxcox_llf(lmb, data)}
    names = ["pearsonr", "mle"] if method == "all" else [method]
    best = [argmin(costs[name], start)(operand(x)) for name, start in zip(names, np.ravel(found).tolist(), strict=True)]
    if not np.allclose(raw(operand(best)), found, rtol=FAR, atol=FAR):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.stats.boxcox_normmax returns {found}, which is no optimum but what ymax= or the optimizer allows, and is "
            "not differentiated. Give more of either, or freeze the data with dd.stop_gradient."
        )
    return at_value(found, np.stack(best) if np.shape(found) else best[0])


boxcox_normmax.__signature__ = inspect.signature(_boxcox_normmax)  # type: ignore[attr-defined]
ROOM.function("boxcox_normmax", facts=REAL)(boxcox_normmax)


def _unlike_normal(lmb: Any, data: Any) -> Any:
    """Return what the correlation of transformed data with the normal distribution's order statistics (Filliben's) lacks of 1."""
    n = shape_of(data)[0]
    middle = (np.arange(1, n + 1) - 0.3175) / (n + 0.365)
    middle[-1] = 0.5 ** (1 / n)
    middle[0] = 1 - middle[-1]
    normal, y = special.ndtri(middle), np.sort(special.boxcox(data, lmb))
    normal, y = normal - np.mean(normal), y - np.mean(y)
    return 1 - np.sum(normal * y) / np.sqrt(np.sum(normal**2) * np.sum(y**2))


ROOM.refused("yeojohnson_normmax", FITTED + ".")

# --------------------------------------------------------------------------------------------------
# distances between distributions


def _distribution(values: Any, weights: Any) -> tuple[Any, Any]:
    plain = [None if v is None else raw(operand(v)) for v in (values, weights)]
    _stats_py._validate_distribution(*plain)
    return operand(values), None if weights is None else operand(weights)


def _at_most(places: Any, values: Any, weights: Any) -> Any:
    """Return the share of the weight that lies at most at each of some places."""
    plain = decided(values)
    order = np.argsort(plain)
    counts = np.searchsorted(plain[order], places, "right")
    if weights is None:
        return counts / len(plain)
    sums = np.concatenate([np.zeros(1), np.cumsum(weights[order])])
    return sums[counts] / sums[-1]


def _distance(p: Any, u_values: Any, v_values: Any, u_weights: Any = None, v_weights: Any = None) -> Any:
    """Return the distance in L^p of two distribution functions that are steps, by values and weights."""
    u, v = _distribution(u_values, u_weights), _distribution(v_values, v_weights)
    every = np.sort(np.concatenate([u[0], v[0]]))
    places = decided(every)[:-1]
    apart = np.abs(_at_most(places, *u) - _at_most(places, *v))
    found = np.sum(apart**p * np.diff(every)) ** (1 / p) if p != 1 else np.sum(apart * np.diff(every))
    return where_nan(found, lambda: sum(np.sum(operand(a)) for a in (*u, *v) if is_active(a)))


@ROOM.function("wasserstein_distance", facts=REAL)
def wasserstein_distance(u_values: Any, v_values: Any, u_weights: Any = None, v_weights: Any = None) -> Any:
    """Return the first Wasserstein distance of two samples, as :func:`scipy.stats.wasserstein_distance`."""
    return _distance(1, u_values, v_values, u_weights, v_weights)


@ROOM.function("energy_distance", facts=REAL)
def energy_distance(u_values: Any, v_values: Any, u_weights: Any = None, v_weights: Any = None) -> Any:
    """Return the energy distance of two samples, as :func:`scipy.stats.energy_distance`."""
    return np.sqrt(2) * _distance(2, u_values, v_values, u_weights, v_weights)


# --------------------------------------------------------------------------------------------------
# what SciPy's functions take arrays of any kind through


class Entry:
    """What ``array_api_extra.at(x)`` is where x is a number: an array of no axes in SciPy's eyes, whose one entry is changed."""

    __slots__ = ("chosen", "real", "x")

    def __init__(self, real: Any, x: Any, chosen: Any = ()) -> None:
        self.real, self.x, self.chosen = real, x, chosen

    def __getitem__(self, chosen: Any) -> Entry:
        return Entry(self.real, self.x, chosen)

    def __getattr__(self, name: str) -> Any:
        def change(y: Any, /, *args: Any, **kwargs: Any) -> Any:
            chosen: Any = slice(None)
            if type(self.chosen) is not tuple and self.chosen is not Ellipsis:
                chosen = np.reshape(np.asarray(decided(self.chosen), dtype=bool), (1,))
            entries = self.real(np.reshape(self.x, (1,)))[chosen]
            return getattr(entries, name)(y, *args, **kwargs)[0]

        return change


def _place(real: Any) -> Any:
    def at(x: Any, /, *idx: Any) -> Any:
        return Entry(real, x, *idx) if is_active(x) and shape_of(operand(x)) == () else real(x, *idx)

    return at


def _filled_by(kind: Any) -> Any:
    """Return the change of entries where these are differentiated and the array is not: that of one which holds such entries."""
    change = kind._op

    def _op(self: Any, how: Any, inside: Any, outside: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_active(y) or is_active(self._x):
            return change(self, how, inside, outside, y, *args, **kwargs)
        holder = np.where(True, self._x, np.sum(operand(y)))
        return change(kind(holder, self._idx), how, inside, outside, y, *args, **kwargs)

    return _op


def clip(x: Any, /, min: Any = None, max: Any = None, *, out: Any = None) -> Any:
    """Return what the standard's clip does, by NumPy's."""
    return np.clip(x, min, max, out=out)


_contains_nan = _util._contains_nan


def contains_nan(a: Any, nan_policy: Any = "propagate", *args: Any, **kwargs: Any) -> Any:
    """Refuse data of which something is missing where SciPy answers with a NaN of its own, which would have the derivative zero."""
    found = _contains_nan(raw(operand(a)), nan_policy, *args, **kwargs)
    missing = found[0] if isinstance(found, tuple) else found  # before SciPy 1.15 with the policy
    if nan_policy == "propagate" and bool(missing):
        raise UnsupportedFunctionError(
            f"{where()}: the data hold NaN, where this function of scipy.stats is NaN and has no derivative. Select what is there, "
            'x[~np.isnan(x)], or pass nan_policy="omit".'
        )
    return found


drop_in(_contains_nan, contains_nan)
for _name, _module in list(sys.modules.items()):
    if _name.endswith("array_api_compat.numpy") and hasattr(_module, "clip"):
        drop_in(_module.clip, clip)
    if _name.endswith("array_api_extra._lib._at"):
        drop_in_class(_module.at, _place(_module.at))
        for _method in vars(_module.at).values():
            if callable(_method):
                replaced(_method)
                serve(_method, "scipy's array_api_extra.at")
        drop_in_method(_module.at, "_op", _filled_by(_module.at))
        replaced(vars(_module.at)["_op"], _module.at)

__all__ = [
    "ROOM",
    "boxcox_llf",
    "boxcox_normmax",
    "energy_distance",
    "pmean",
    "wasserstein_distance",
    "yeojohnson",
    "yeojohnson_llf",
]
