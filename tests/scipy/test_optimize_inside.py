"""dualdiff.scipy.optimize inside a function that is differentiated: solved as outside, with the derivatives of the answer."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import scipy.optimize as so

import dualdiff as dd
from dualdiff.errors import InputError, UnsupportedFunctionError
from dualdiff.scipy import optimize as do

T = np.linspace(0.0, 3.0, 5)
Y = 2.0 * np.exp(-0.7 * T) + 0.02 * np.cos(40.0 * T)
START = np.array([1.5, 1.0])
TIGHT = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}


def model(t, a, k):
    return a * np.exp(-k * t)


def squares(y, **options):
    return do.least_squares(lambda b: model(T, *b) - y, START, **TIGHT | options)


def curve(y, **options):
    return do.curve_fit(model, T, y, START, **TIGHT | options)


def objective(b, y):
    return np.sum((model(T, *b) - y) ** 2)


FUNCTIONS = {
    "covariance": lambda y: squares(y).covariance,
    "errors beside a bound": lambda y: squares(y, bounds=([0.0, 0.0], [1.9, 3.0])).standard_errors[1:],
    "unscaled covariance": lambda y: squares(y, method="lm").unscaled_covariance,
    "band of a fit": lambda y: squares(y).band(lambda b: b[0] * b[1]).upper,
    "best of some starts": lambda y: squares(y, starts=[START + 0.1]).x,
    "curve": lambda y: curve(y)[1],
    "curve by another method": lambda y: curve(y, method="trf").standard_errors,
    "errors of measurement": lambda y: curve(Y, sigma=0.1 + 0.01 * y).standard_errors,
    "band of a curve": lambda y: curve(y).band(np.array([0.0, 5.0])).standard_error,
    "band where data are differentiated": lambda y: do.curve_fit(model, T + 0.1 * y, Y, START, **TIGHT).band().value,
    "minimize": lambda y: do.minimize(objective, START, args=(y,), method="trust-exact", tol=1e-11).x,
    "errors of a likelihood": lambda y: dd.standard_errors(
        lambda p: objective((p["a"], p["k"]), y),
        dict(zip("ak", do.minimize(objective, START, args=(y,), method="trust-exact", tol=1e-11).x, strict=True)),
    )["k"],
    "minimize under a constraint": lambda y: (
        do.minimize(
            partial(objective, y=y),
            START,
            method="SLSQP",
            constraints={"type": "ineq", "fun": lambda b: 0.9 * y[0] - b[0]},
            tol=1e-15,
        ).x
    ),
    "root": lambda y: do.root(lambda x: x**3 - y[:2], START, method="lm", tol=1e-14).x,
    "fsolve": lambda y: do.fsolve(lambda x, p: x**3 - p, START, (y[:2],), full_output=True)[0],
    "newton": lambda y: do.newton(lambda x: x**3 - y[:2], START, tol=1e-13),
}


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_derivatives_are_those_of_the_answer(f):
    along = np.array([[1.0, -0.5, 0.25, 1.0, -1.0], [0.0, 1.0, 1.0, -0.5, 0.5]])
    h = 1e-3 * along
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        near, far = (np.stack([f(Y + k * e) - f(Y - k * e) for e in h], axis=-1) / (2e-3 * k) for k in (1, 2))
        forward, reverse = dd.jacfwd(f)(Y), dd.jacrev(f)(Y)
    size = np.max(np.abs(near))
    np.testing.assert_allclose(forward @ along.T, (4 * near - far) / 3, atol=2e-5 * size)
    np.testing.assert_allclose(reverse, forward, atol=1e-9 * size)


def test_a_fit_is_the_same_inside_and_returns_as_a_structure():
    inside = []

    def f(y):
        fit = squares(y)
        inside.append((fit.x.value, fit.nfev, fit.status))
        assert isinstance(fit, do.FitResult)
        return curve(y)

    popt, pcov = dd.jacobian(f)(Y)
    assert popt.shape == (2, 5)
    assert pcov.shape == (2, 2, 5)
    fit = squares(Y)
    np.testing.assert_array_equal(inside[0][0], fit.x)
    assert inside[0][1:] == (fit.nfev, fit.status)


def test_every_fit_of_several_starts_has_derivatives():
    fits = lambda y: [fit.x for fit in squares(y, starts=[START + 0.1]).fits]  # noqa: E731
    want = dd.jacobian(lambda y: squares(y).x)(Y)
    np.testing.assert_allclose(dd.jacobian(fits)(Y), [want, want], rtol=1e-6)


def _by_threads(y):
    with ThreadPoolExecutor(2) as threads:
        return squares(y, starts=[START], executor=threads)


def test_what_has_no_derivative_is_refused_by_name():
    refused = [
        (lambda y: squares(y, loss="soft_l1").covariance, InputError, "robust fit"),
        (lambda y: _by_threads(y).fits[0].x, UnsupportedFunctionError, "'fits'"),
        (lambda y: squares(y, tr_solver="lsmr").covariance, UnsupportedFunctionError, "'jac'"),
        (lambda y: do.root(lambda x: x**3 - y[:2], START).fjac, UnsupportedFunctionError, "'fjac'"),
    ]
    for f, error, message in refused:
        with pytest.raises(error, match=message):
            dd.jacobian(f)(Y)


def test_other_faces():
    total = lambda y: np.sum(curve(y)[0]) + np.sum(np.diag(curve(y)[1]))  # noqa: E731
    slope = dd.grad(total)
    want = slope(Y)
    for found in (do.curve_fit(model, T, dd.tensor(Y, requires_grad=True), START, **TIGHT)[0], None):
        y = dd.tensor(Y, requires_grad=True)
        (squares(y).x.sum() if found is None else do.curve_fit(model, T, y, START, **TIGHT)[0].sum()).backward()
        np.testing.assert_allclose(y.grad, dd.grad(lambda y: np.sum(curve(y)[0]))(Y), rtol=1e-6)
    compiled = dd.compile(slope)
    for k in range(3):
        np.testing.assert_allclose(compiled(Y + 0.01 * k), slope(Y + 0.01 * k), rtol=1e-9)

    def captured(y):
        both = np.zeros(2)
        both[:] = curve(y)[0]
        return both.sum() + np.diag(curve(y).covariance).sum()

    np.testing.assert_allclose(dd.grad(captured)(Y), want, rtol=1e-9)
    cube = dd.hessian(lambda p: do.newton(lambda x: x**3 - p, 1.0))(8.0)
    np.testing.assert_allclose(cube, -2 / 9 * 8 ** (-5 / 3), rtol=1e-6)


def test_what_nothing_differentiated_enters_is_a_number():
    def f(y):
        return y * do.least_squares(lambda b: model(T, *b) - Y, START).standard_errors[0] * do.fsolve(np.cos, 1.0)[0]

    want = squares(Y).standard_errors[0] * np.pi / 2
    np.testing.assert_allclose(np.diag(dd.jacobian(f)(Y)), want, rtol=1e-6)


def test_a_solver_inside_the_residuals_of_another():
    def residual(b):
        return do.newton(lambda x: x**3 - b[0] * (1.0 + T), np.ones(5)) - np.cbrt(2.0 * (1.0 + T))

    fit = do.least_squares(residual, [1.0])
    np.testing.assert_allclose(fit.x, [2.0], rtol=1e-8)
    assert fit.nfev == so.least_squares(lambda b: np.cbrt(b[0] * (1 + T)) - np.cbrt(2.0 * (1 + T)), [1.0]).nfev
