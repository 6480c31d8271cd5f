"""Least squares of ``scipy.optimize``: parameters, covariances and costs by data, errors of measurement and whatever else enters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize as so

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError

pytestmark = [
    pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning"),
    pytest.mark.filterwarnings("ignore::scipy.optimize.OptimizeWarning"),
]

T = np.linspace(0, 3, 15)
NOISE = 0.1 * np.random.default_rng(0).standard_normal(15)
DATA = 2 * np.exp(-1.3 * T) + 0.5 + NOISE
START = np.array([1.0, 1.0, 0.0])
TIGHT = {"xtol": 1e-13, "ftol": 1e-13, "gtol": 1e-13}
U = np.array([1.0, 0.3])


def model(t: Any, a: Any, b: Any, c: Any) -> Any:
    return a * np.exp(-b * t) + c


def left(x: Any, y: Any) -> Any:
    return model(T, *x) - y


def measured(u: Any) -> Any:
    return u[0] * DATA + 0.1 * u[1] * T


def least(weigh: Any = lambda r: r * r, **options: Any) -> Any:
    """The fit by Newton's method, on the cost as it stands in SciPy's manual."""
    return lambda u: dd.argmin(lambda x: 0.5 * np.sum(weigh(left(x, measured(u)))), START, **options)()


def covariance(x: Any, y: Any, scaled: bool = True) -> Any:
    J, r = dd.jacobian(lambda x: model(T, *x))(x), left(x, y)
    return np.linalg.inv(J.T @ J) * (np.sum(r * r) / (len(T) - 3) if scaled else 1.0)


def fit(**options: Any) -> Any:
    return lambda u: so.curve_fit(model, T, measured(u), p0=START, **options)


LOSSES = {
    "soft_l1": lambda r: 0.01 * 2 * (np.sqrt(1 + (r / 0.1) ** 2) - 1),
    "huber": lambda r: 0.01 * np.where(np.abs(r) <= 0.1, (r / 0.1) ** 2, 2 * np.abs(r / 0.1) - 1),
    "cauchy": lambda r: 0.01 * np.log1p((r / 0.1) ** 2),
    "arctan": lambda r: 0.01 * np.arctan((r / 0.1) ** 2),
}
BOX = (-9, [9, 1.2, 9])
CALLS = {
    "least_squares": (lambda u: so.least_squares(lambda x: left(x, measured(u)), START, **TIGHT).x, least()),
    "arguments": (lambda u: so.least_squares(left, START, args=(measured(u),), **TIGHT).x, least()),
    "lm": (lambda u: so.least_squares(left, START, method="lm", args=(measured(u),), **TIGHT).x, least()),
    **{
        loss: (
            lambda u, loss=loss: so.least_squares(left, START, loss=loss, f_scale=0.1, args=(measured(u),), **TIGHT).x,
            least(rho),
        )
        for loss, rho in LOSSES.items()
    },
    "bounds": (lambda u: so.least_squares(left, START, bounds=BOX, args=(measured(u),), **TIGHT).x, least(bounds=BOX)),
    "cost": (
        lambda u: so.least_squares(left, START, args=(measured(u),), **TIGHT).cost,
        lambda u: 0.5 * np.sum(left(least()(u), measured(u)) ** 2),
    ),
    "what is left": (
        lambda u: so.least_squares(left, START, args=(measured(u),), **TIGHT).fun,
        lambda u: left(least()(u), measured(u)),
    ),
    "the Jacobian": (
        lambda u: so.least_squares(left, START, args=(measured(u),), **TIGHT).jac,
        lambda u: dd.jacobian(lambda x: model(T, *x))(least()(u)),
    ),
    "leastsq": (lambda u: so.leastsq(left, START, (measured(u),), **TIGHT)[0], least()),
    "leastsq, covariance": (
        lambda u: so.leastsq(left, START, (measured(u),), full_output=True, **TIGHT)[1],
        lambda u: covariance(least()(u), measured(u), scaled=False),
    ),
    "curve_fit": (lambda u: fit(**TIGHT)(u)[0], least()),
    "curve_fit, covariance": (lambda u: fit(**TIGHT)(u)[1], lambda u: covariance(least()(u), measured(u))),
    "curve_fit, absolute": (
        lambda u: fit(sigma=np.full(15, 2.0), absolute_sigma=True, **TIGHT)(u)[1],
        lambda u: 4 * covariance(least()(u), measured(u), scaled=False),
    ),
    "curve_fit, bounds": (lambda u: fit(bounds=BOX, **TIGHT)(u)[0], least(bounds=BOX)),
    "curve_fit, all": (lambda u: fit(full_output=True, **TIGHT)(u)[2]["fvec"], lambda u: left(least()(u), measured(u))),
    "curve_fit by the errors": (
        lambda u: so.curve_fit(model, T, DATA, START, sigma=u[0] + u[1] * T, **TIGHT)[0],
        lambda u: dd.argmin(lambda x: np.sum((left(x, DATA) / (u[0] + u[1] * T)) ** 2), START)(),
    ),
    "curve_fit by a matrix of errors": (
        lambda u: so.curve_fit(model, T, DATA, START, sigma=u[0] * np.eye(15) + u[1] * np.diag(T), **TIGHT)[0],
        lambda u: dd.argmin(lambda x: np.sum(left(x, DATA) ** 2 / (u[0] + u[1] * T)), START)(),
    ),
    "curve_fit by abscissae": (
        lambda u: so.curve_fit(model, u[0] * T, DATA, START, **TIGHT)[0],
        lambda u: dd.argmin(lambda x: np.sum((model(u[0] * T, *x) - DATA) ** 2), START)(),
    ),
    "curve_fit of a model that closes over": (
        lambda u: so.curve_fit(lambda t, a, b: model(t, a, b, u[1]), T, DATA, **TIGHT)[0],
        lambda u: dd.argmin(lambda x: np.sum((model(T, x[0], x[1], u[1]) - DATA) ** 2), START[:2])(),
    ),
    "curve_fit with holes": (
        lambda u: so.curve_fit(
            model,
            np.append(T, 1.0),
            np.append(measured(u), np.nan),
            START,
            nan_policy="omit",
            check_finite=False,
            **TIGHT,
        )[0],
        least(),
    ),
}


@pytest.mark.parametrize(("f", "true"), CALLS.values(), ids=CALLS)
def test_fits(f: Any, true: Any) -> None:
    J = dd.jacobian(true)(U)
    size = np.max(np.abs(J))
    np.testing.assert_allclose(dd.jacfwd(f)(U), J, atol=1e-4 * size)  # SciPy's own Jacobian is one of differences
    np.testing.assert_allclose(dd.jacrev(f)(U), J, atol=1e-4 * size)


@pytest.mark.parametrize("name", ["least_squares", "curve_fit", "cauchy"])
def test_second_derivatives_of_fits(name: str) -> None:
    f, true = CALLS[name]
    H = dd.jacfwd(dd.jacrev(true))(U)
    np.testing.assert_allclose(dd.jacfwd(dd.jacrev(f))(U), H, atol=1e-3 * np.max(np.abs(H)))


def test_a_covariance_to_the_second_order() -> None:
    f, true = CALLS["curve_fit, covariance"]
    g, want = (dd.grad(lambda u, f=f: np.trace(f(u))) for f in (f, true))
    np.testing.assert_allclose(dd.jacobian(g)(U), dd.jacobian(want)(U), rtol=1e-3, atol=1e-6)


def test_values_are_scipys() -> None:
    x, C = so.curve_fit(model, T, DATA, START)
    found = dd.value_and_jacobian(lambda y: so.curve_fit(model, T, y, START))(DATA)[0]
    np.testing.assert_array_equal(found[0], x)
    np.testing.assert_allclose(found[1], C, rtol=1e-14)


def test_what_is_refused() -> None:
    with pytest.raises(UnsupportedFunctionError, match="another loss"):
        dd.jacobian(lambda u: fit(method="trf", loss="cauchy")(u)[1])(U)
    with pytest.raises(UnsupportedFunctionError, match="'optimality' of this result"):
        dd.jacobian(lambda u: so.least_squares(left, START, args=(measured(u),)).optimality)(U)
    compiled = dd.compile(lambda u: fit()(u)[1])
    with pytest.warns(dd.errors.CompileWarning, match="covariance"):
        np.testing.assert_array_equal(compiled(U), fit()(U)[1])
