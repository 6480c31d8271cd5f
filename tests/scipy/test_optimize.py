"""dualdiff.scipy.optimize: SciPy's solvers under their own names, given exact derivatives."""

from __future__ import annotations

import inspect
import pickle
import warnings
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import scipy.optimize as so
import scipy.sparse as ss

import dualdiff as dd
from dualdiff.errors import InputError, NonScalarError
from dualdiff.scipy import optimize as do
from dualdiff.scipy.optimize import derivatives

T = np.linspace(0.0, 4.0, 30)
Y = 2.0 * np.exp(-0.7 * T) + 0.3 + 0.02 * np.cos(40.0 * T)
START = np.array([1.0, 1.0, 0.0])


def model(t, a, k, c):
    return a * np.exp(-k * t) + c


def slopes(t, a, k, c):
    e = np.exp(-k * t)
    return np.stack([e, -a * t * e, np.ones_like(t)], axis=-1)


def residual(b):
    return model(T, *b) - Y


def banana(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


class Counted:
    """A function that counts how often it is called on plain numbers, and how often on traced ones."""

    def __init__(self, f):
        self.f, self.plain, self.traced = f, 0, 0

    def __call__(self, *args):
        if any(isinstance(a, tuple(dd.values.TRACED)) for a in args):
            self.traced += 1
        else:
            self.plain += 1
        return self.f(*args)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    derivatives._KEPT.clear()
    monkeypatch.setattr(derivatives, "WORTH", 0.0)  # no test depends on how long things take
    monkeypatch.setattr(derivatives, "TRIED", 0)


# -- signatures ----------------------------------------------------------------------------------------

OURS = {"jac": None, "x_scale": None, "tr_options": None, "kwargs": None}
"""Defaults that differ: where SciPy says "2-point" or its own scale, ours leaves it open; older SciPy has dicts."""


@pytest.mark.parametrize("name", ["least_squares", "curve_fit", "minimize", "root", "fsolve", "newton"])
def test_the_signature_is_scipys(name):
    theirs = list(inspect.signature(getattr(so, name)).parameters.values())
    ours = inspect.signature(getattr(do, name)).parameters
    assert [p.name for p in theirs] == list(ours)[: len(theirs)]
    for p in theirs:
        own = ours[p.name]
        assert own.kind == p.kind
        default = None if p.default == {} else p.default  # as SciPy's own is since 1.15
        assert own.default == default or (p.name in OURS and own.default == OURS[p.name]), p.name


# -- least_squares -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"method": "lm"},
        {"method": "dogbox"},
        {"loss": "soft_l1", "f_scale": 0.1},
        {"bounds": ([0, 0, -1], [1.5, 3, 1])},
        {"tr_solver": "lsmr"},
        {"jac_sparsity": np.ones((30, 3))},
        {"x_scale": "jac"},
        {"max_nfev": 3},
    ],
    ids=lambda o: " ".join(o) or "plain",
)
def test_a_fit_is_scipys_with_the_jacobian_by_hand(options):
    f = Counted(residual)
    found = do.least_squares(f, START, **options)
    as_matrix = ss.csr_array if "tr_solver" in options or "jac_sparsity" in options else np.asarray
    g = Counted(residual)
    right = so.least_squares(g, START, jac=lambda b: as_matrix(slopes(T, *b)), **options)
    np.testing.assert_allclose(found.x, right.x, rtol=1e-10)
    assert (found.nfev, found.njev, found.status) == (right.nfev, right.njev, right.status)
    assert f.plain == g.plain  # none for differences
    assert ss.issparse(found.jac) == ss.issparse(right.jac)
    assert isinstance(found, so.OptimizeResult)
    assert set(found) == set(right)


def test_arguments_of_the_residuals_are_passed():
    def r(b, t, *, y):
        return model(t, *b) - y

    found = do.least_squares(r, START, args=(T,), kwargs={"y": Y}, method="lm")
    np.testing.assert_allclose(found.x, do.least_squares(residual, START).x, rtol=1e-6)
    single = do.least_squares(lambda x: [x[0] - 2.0, 3.0 * (x[0] - 2.0)], 1.0)  # a number, and a list
    np.testing.assert_allclose(single.x, [2.0])


def test_a_jacobian_that_is_given_wins():
    calls = []

    def jac(b):
        calls.append(b)
        return slopes(T, *b)

    f = Counted(residual)
    do.least_squares(f, START, jac)
    assert calls
    assert f.traced == 0
    f = Counted(residual)
    found = do.least_squares(f, START, "3-point", diff_step=1e-6)
    assert f.traced == 0
    assert f.plain > found.nfev
    f = Counted(model)
    do.curve_fit(f, T, Y, START, jac=slopes)
    do.curve_fit(f, T, Y, START, jac="2-point", method="trf")
    assert f.traced == 0


def test_options_for_differences_are_refused_with_what_to_write():
    refused = [
        lambda: do.least_squares(residual, START, diff_step=1e-6),
        lambda: do.curve_fit(model, T, Y, START, epsfcn=1e-8),
        lambda: do.fsolve(np.cos, 1.0, epsfcn=1e-8),
        lambda: do.fsolve(np.cos, 1.0, band=(0, 0)),
        lambda: do.root(np.cos, 1.0, options={"eps": 1e-8}),
        lambda: do.minimize(banana, START, options={"eps": 1e-8}),
        lambda: do.minimize(banana, START, options={"finite_diff_rel_step": 1e-8}),
    ]
    for call in refused:
        with pytest.raises(
            InputError, match=r"= is for differences, and .* takes the exact derivative.*ask for differences"
        ):
            call()


def test_many_residuals_of_few_parameters_each_get_a_sparse_jacobian():
    where = np.repeat(np.arange(110), 2)
    seen = np.sin(where / 20.0)
    smooth = lambda levels: np.concatenate([levels[where] - seen, 3.0 * np.diff(levels, 2)])  # noqa: E731
    found = do.least_squares(smooth, np.zeros(110))
    assert ss.issparse(found.jac)
    dense = do.least_squares(smooth, np.zeros(110), method="lm")
    assert type(dense.jac) is np.ndarray
    np.testing.assert_allclose(found.x, dense.x, atol=1e-4)
    assert type(do.least_squares(smooth, np.zeros(110), tr_solver="exact", max_nfev=1).jac) is np.ndarray
    mixing = lambda levels: np.cumsum(levels) - 1.0  # noqa: E731
    assert type(do.least_squares(mixing, np.zeros(120), max_nfev=1).jac) is np.ndarray
    np.testing.assert_allclose(found.covariance, dense.covariance, rtol=1e-3, atol=1e-7)


def two_valleys(x, s=1.0):
    return np.array([np.sin(3.0 * x[0]), 0.3 * (x[0] - 4.0 * s)])


class Pickling(Executor):
    """An executor that hands over copies, as processes do, and notes what was cancelled."""

    def __init__(self):
        self.futures = []

    def submit(self, f, *args, **kwargs):
        future = Future()
        self.futures.append(future)
        g, a, k = pickle.loads(pickle.dumps((f, args, kwargs)))
        try:
            future.set_result(pickle.loads(pickle.dumps(g(*a, **k))))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor(2), Pickling()], ids=["none", "threads", "copies"])
def test_the_best_of_several_starts(executor):
    starts = [[0.9], [2.2], [4.0], [6.0]]
    found = do.least_squares(two_valleys, [0.1], starts=starts, executor=executor, kwargs={"s": 1.0}, method="lm")
    alone = [do.least_squares(two_valleys, x0, method="lm") for x0 in ([0.1], *starts)]
    np.testing.assert_allclose([f.x for f in found.fits], [f.x for f in alone])
    assert found.cost == min(f.cost for f in found.fits)
    assert found.cost < alone[0].cost / 10
    assert found.dof == 1
    with pytest.raises(ValueError, match="not finite") as caught:
        do.least_squares(lambda x: x * (np.nan if x[0] == 1.0 else 1.0), [0.1], starts=[[1.0], [2.0]])
    assert "from start 1 of 3" in caught.value.__notes__[0]


def test_a_start_that_fails_cancels_those_that_wait():
    class Waiting(Executor):
        def __init__(self):
            self.futures = [Future() for _ in range(3)]
            self.futures[0].set_exception(ZeroDivisionError("it"))
            self.given = iter(self.futures)

        def submit(self, f, *args, **kwargs):
            return next(self.given)

    executor = Waiting()
    with pytest.raises(ZeroDivisionError):
        do.least_squares(residual, START, starts=[START, START], executor=executor)
    assert all(f.cancelled() for f in executor.futures[1:])
    with pytest.raises(InputError, match="give more as starts="):
        do.least_squares(residual, START, executor=executor)


# -- errors of fits ------------------------------------------------------------------------------------

LINE = np.stack([np.ones_like(T), T], axis=-1)


def line_by_hand():
    """Return parameters and covariance of a straight line, by the normal equations."""
    inverse = np.linalg.inv(LINE.T @ LINE)
    b = inverse @ LINE.T @ Y
    return b, inverse, inverse * np.sum((LINE @ b - Y) ** 2) / (T.size - 2)


@pytest.mark.parametrize("method", ["trf", "lm", "dogbox"])
def test_covariance_and_band_are_those_of_linear_regression(method):
    b, inverse, C = line_by_hand()
    fit = do.least_squares(lambda b: LINE @ b - Y, [0.0, 0.0], method=method)
    np.testing.assert_allclose(fit.x, b, rtol=1e-7)
    np.testing.assert_allclose(fit.unscaled_covariance, inverse, rtol=1e-9)
    np.testing.assert_allclose(fit.covariance, C, rtol=1e-9)
    np.testing.assert_allclose(fit.standard_errors, np.sqrt(np.diag(C)), rtol=1e-9)
    assert fit.dof == 28
    t = np.array([0.0, 1.0, 10.0])
    band = fit.band(lambda b: b[0] + b[1] * t, level=0.9)
    error = np.sqrt([np.array([1, s]) @ C @ np.array([1, s]) for s in t])
    np.testing.assert_allclose(band.standard_error, error, rtol=1e-9)
    quantile = 1.7011309342659  # Student's, 28 degrees of freedom, 0.95: from tables
    np.testing.assert_allclose(band.upper - band.value, quantile * error, rtol=1e-9)
    np.testing.assert_allclose(band.value - band.lower, quantile * error, rtol=1e-9)


def test_the_covariance_of_least_squares_is_that_of_curve_fit():
    fit = do.least_squares(residual, START, ftol=1e-14, xtol=1e-14, gtol=1e-14)
    np.testing.assert_allclose(fit.covariance, so.curve_fit(model, T, Y, START)[1], rtol=1e-5)
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(again.covariance, fit.covariance)


def test_columns_of_very_different_size_do_not_hide_a_covariance():
    scale = np.array([1e-9, 1e9])
    fit = do.least_squares(lambda b: LINE @ (b * scale) - Y, [0.0, 0.0], x_scale=1 / scale)
    np.testing.assert_allclose(fit.covariance, line_by_hand()[2] / np.outer(scale, scale), rtol=1e-6)


def test_a_parameter_on_its_bound_is_taken_for_known():
    fit = do.least_squares(lambda b: LINE @ b - Y, [3.0, 0.0], bounds=([2.5, -9], [9, 9]))
    assert fit.active_mask[0] == -1
    assert np.isnan(fit.covariance[0]).all()
    assert np.isnan(fit.covariance[:, 0]).all()
    variance = 2 * fit.cost / 29
    np.testing.assert_allclose(fit.standard_errors[1], np.sqrt(variance / np.sum(T**2)), rtol=1e-6)


def test_parameters_that_the_data_do_not_determine_have_infinite_errors():
    fit = do.least_squares(lambda b: (b[0] + b[2]) * T + b[1] - Y, [1.0, 1.0, 1.0])
    with pytest.warns(so.OptimizeWarning, match="do not determine the parameters 0, 2 apart"):
        assert np.isinf(fit.covariance).all()
    exact = do.least_squares(lambda b: LINE[:2] @ b - Y[:2], [0.0, 0.0])
    with pytest.warns(so.OptimizeWarning, match="2 residuals for 2 parameters"):
        assert np.isinf(exact.covariance).all()


def test_a_robust_fit_has_no_covariance_of_this_kind():
    fit = do.least_squares(residual, START, loss="huber")
    with pytest.raises(InputError, match=r"robust fit \(loss='huber'\)"):
        fit.standard_errors


def test_a_band_refuses_what_does_not_fit():
    for x, C, options, message in [
        ([1.0], np.eye(2), {}, r"shape \(1,\) and their covariance \(2, 2\)"),
        ([1.0], np.eye(1), {"level": 95}, "must be a probability"),
        ([1.0], np.eye(1), {"dof": 0}, "more points than parameters"),
    ]:
        with pytest.raises(InputError, match=message):
            do.confidence_band(lambda x: x, x, C, **options)
    with pytest.raises(InputError, match="one array or number"):
        do.confidence_band(lambda x: {"a": x[0]}, [1.0], np.eye(1))


# -- curve_fit -----------------------------------------------------------------------------------------


def with_gap(y):
    y = y.copy()
    y[3] = np.nan
    return y


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"p0": None},
        {"method": "trf"},
        {"bounds": ([0, 0, -1], [9, 9, 9])},
        {"sigma": 0.1 + 0.1 * T},
        {"sigma": np.diag(0.1 + 0.1 * T) + 0.01, "absolute_sigma": True},
        {"sigma": [0.3], "absolute_sigma": True},
        {"xtol": 1e-12, "maxfev": 500},
        {"ydata": with_gap(Y), "nan_policy": "omit", "check_finite": False},
    ],
    ids=lambda o: " ".join(o) or "plain",
)
def test_curve_fit_is_scipys(options):
    given = {"p0": START, "ydata": Y} | options
    f = Counted(model)
    wrapped = model if given["p0"] is None else f  # SciPy reads the signature
    fit = do.curve_fit(wrapped, T, **given)
    popt, pcov = fit
    right = so.curve_fit(model, T, **given, jac=slopes)
    np.testing.assert_allclose(popt, right[0], rtol=1e-10)
    np.testing.assert_allclose(pcov, right[1], rtol=1e-7)
    np.testing.assert_allclose(fit.standard_errors, np.sqrt(np.diag(right[1])), rtol=1e-7)
    assert type(fit[0]) is np.ndarray
    np.testing.assert_array_equal(START, [1.0, 1.0, 0.0])
    full = do.curve_fit(wrapped, T, **given, full_output=True)
    theirs = so.curve_fit(model, T, **given, jac=slopes, full_output=True)
    assert len(full) == len(theirs) == 5
    assert full[2]["nfev"] == theirs[2]["nfev"]
    np.testing.assert_array_equal(full.pcov, pcov)
    points = T.size - ("nan_policy" in options)
    assert fit.dof == (None if given.get("absolute_sigma") else points - 3)


def test_one_error_for_all_points():
    for method in ("lm", "trf"):
        got = do.curve_fit(model, T, Y, START, 0.3, True, method=method)
        want = do.curve_fit(model, T, Y, START, np.full(30, 0.3), True, method=method)
        np.testing.assert_array_equal(got.pcov, want.pcov)


def test_curve_fit_fails_and_warns_as_scipy_does():
    both = (
        (lambda s: s.curve_fit(model, T, Y, START, maxfev=2), RuntimeError, "maxfev = 2"),
        (lambda s: s.curve_fit(model, T, Y, START, maxfev=2, method="trf"), RuntimeError, "evaluations is exceeded"),
        (lambda s: s.curve_fit(model, T[:2], Y[:2], START), TypeError, "exceed the number of data points"),
        (lambda s: s.curve_fit(model, T, with_gap(Y), START), ValueError, "infs or NaNs"),
        (lambda s: s.curve_fit(model, T, Y, START, sigma=np.ones(3)), ValueError, "`sigma` has incorrect shape"),
        (lambda s: s.curve_fit(model, T, Y, START, args=(1,)), ValueError, "'args' is not a supported"),
    )
    for fit, error, message in both:
        for s in (so, do):
            with pytest.raises(error, match=message):
                fit(s)
    infinite = (
        lambda s: s.curve_fit(model, T[:3], Y[:3], START),
        lambda s: s.curve_fit(lambda t, a, b: a * t, T, Y, [1.0, 1.0]),
        lambda s: s.curve_fit(model, T, with_gap(Y), START, check_finite=False),
        lambda s: s.curve_fit(model, T[:3], Y[:3], START, method="trf"),
    )
    for fit in infinite:
        for s in (so, do):
            with pytest.warns(so.OptimizeWarning, match="could not be estimated"):
                found = fit(s)
            assert np.isinf(found[1]).all()
    with pytest.warns(so.OptimizeWarning, match="do not determine"):
        do.curve_fit(lambda t, a, b: (a + b) * t, T, Y, [1.0, 1.0], method="trf")


def test_residuals_of_complex_numbers_are_refused():
    for solve in (do.least_squares, do.root):
        with pytest.raises(InputError, match=r"z\.real, z\.imag"):
            solve(lambda x: (x - 1.0) * (1 + 1j), [0.0, 0.0])


def test_the_band_of_a_curve_is_that_of_its_covariance():
    fit = do.curve_fit(model, T, Y, START)
    t = [0.5, 6.0]
    J = slopes(np.array(t), *fit.popt)
    np.testing.assert_allclose(fit.band(t).standard_error, np.sqrt(np.diag(J @ fit.pcov @ J.T)), rtol=1e-12)
    np.testing.assert_allclose(fit.band().value, model(T, *fit.popt))
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(again.band(t).upper, fit.band(t).upper)
    with pytest.warns(so.OptimizeWarning):
        exact = do.curve_fit(model, T[:3], Y[:3], START)
    with pytest.raises(InputError, match="no more points than parameters"):
        exact.band()


def test_a_model_may_be_one_number_for_all_points():
    fit = do.curve_fit(lambda t, c: c, T, Y, [1.0])
    np.testing.assert_allclose(fit.popt, np.mean(Y))
    np.testing.assert_allclose(fit.pcov, so.curve_fit(lambda t, c: c, T, Y, [1.0])[1], rtol=1e-6)


def test_pandas_goes_in():
    table = pd.DataFrame({"t": T, "y": Y}, index=np.arange(100, 130))
    right = so.curve_fit(model, T, Y, START)
    fit = do.curve_fit(model, table.t, table.y, START)
    np.testing.assert_allclose(fit.popt, right[0], rtol=1e-6)
    of_table = do.curve_fit(lambda frame, a, k, c: a * np.exp(-k * frame.t) + c, table, table.y, START)
    np.testing.assert_allclose(of_table.popt, right[0], rtol=1e-6)
    np.testing.assert_allclose(of_table.band().standard_error, fit.band(T).standard_error, rtol=1e-6)
    squares = do.least_squares(lambda b: model(table.t, *b) - table.y, pd.Series({"a": 1.0, "k": 1.0, "c": 0.0}))
    np.testing.assert_allclose(squares.x, right[0], rtol=1e-5)


# -- dd.jacobian as SciPy's jac ------------------------------------------------------------------------

by_three = dd.jacobian(model, argnums=(1, 2, 3))
by_one = dd.jacobian(lambda t, k: np.exp(-k * t), argnums=(1,))


@pytest.mark.parametrize("points", [30, 3])  # three points: the transpose has the same shape
@pytest.mark.parametrize(
    "jac", [by_three, lambda t, *p: by_three(t, *p), dd.compile(by_three)], ids=["it", "in", "compiled"]
)
@pytest.mark.filterwarnings("ignore::scipy.optimize.OptimizeWarning")
def test_curve_fit_takes_derivatives_by_several_numbers(jac, points):
    t, y = T[:: 30 // points][:points], Y[:: 30 // points][:points]
    for options in ({}, {"method": "trf"}, {"sigma": 0.1 + t}, {"sigma": np.diag(0.1 + t)}):
        got = so.curve_fit(model, t, y, START, jac=jac, **options)
        want = so.curve_fit(model, t, y, START, jac=slopes, **options)
        np.testing.assert_allclose(got[0], want[0], rtol=1e-8)
        one = so.curve_fit(lambda t, k: np.exp(-k * t), t, y, [1.0], jac=by_one, **options)[0]
        np.testing.assert_allclose(one, do.curve_fit(lambda t, k: np.exp(-k * t), t, y, [1.0], **options)[0], rtol=1e-6)


def test_the_derivatives_by_several_numbers_stay_a_tuple():
    J = by_three(T, 2.0, 0.7, 0.3)
    assert isinstance(J, tuple)
    assert tuple(J) == J
    want = slopes(T, 2.0, 0.7, 0.3).T
    np.testing.assert_allclose(np.asarray(J), want)
    np.testing.assert_allclose(np.stack(J), want)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(J))[1], want[1])
    nested = lambda a: np.sum(np.asarray(by_three(T, a, a, 0.3))[1])  # noqa: E731
    a = 0.5
    np.testing.assert_allclose(dd.grad(nested)(a), np.sum(-T * np.exp(-a * T) * (1 - a * T)))
    assert dd.jacobian(lambda j: 2.0 * j[0])(J)[0].shape == (30, 30)
    for f, argnums, args in [
        (lambda a, b: a * b, (0, 1), (1.0, 2.0)),
        (lambda a, b: a * T * b[0], (0, 1), (1.0, np.ones(3))),
        (lambda a, b: (a * T, b * T), (0, 1), (1.0, 2.0)),
    ]:
        assert type(dd.jacobian(f, argnums)(*args)) is tuple


# -- minimize ------------------------------------------------------------------------------------------

PLAIN = ("Nelder-Mead", "Powell", "COBYLA", "COBYQA")
METHODS = (
    "CG",
    "BFGS",
    "Newton-CG",
    "L-BFGS-B",
    "TNC",
    "SLSQP",
    "trust-constr",
    "trust-ncg",
    "trust-exact",
    "trust-krylov",
)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:delta_grad == 0.0:UserWarning")
def test_every_method_gets_the_derivatives_it_uses(method, monkeypatch):
    monkeypatch.setattr(derivatives, "PAID", 10_000)  # no programs
    x0 = np.array([1.2, 1.1, 1.3])
    f = Counted(banana)
    found = do.minimize(f, x0, method=method, tol=1e-8)
    np.testing.assert_allclose(found.x, 1.0, atol=1e-4)
    assert f.plain == 0  # every value came with its gradient
    jac, hess = dd.grad(banana), dd.hessian(banana)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # methods that use no Hessian
        right = so.minimize(banana, x0, method=method, jac=jac, hess=hess, tol=1e-8)
    np.testing.assert_allclose(found.x, right.x, rtol=1e-6)
    assert abs(found.nfev - right.nfev) <= 1
    assert found.get("nhev", 0) == right.get("nhev", 0)


@pytest.mark.parametrize("method", PLAIN)
def test_methods_without_derivatives_are_scipys(method):
    if method == "COBYQA" and not hasattr(so._minimize, "_minimize_cobyqa"):
        pytest.skip("younger than this SciPy")
    f = Counted(banana)
    do.minimize(f, [1.2, 1.1], method=method, options={"maxiter": 30})
    assert f.traced == 0


def test_dogleg_and_methods_of_the_users_get_derivatives():
    assert do.minimize(lambda x: np.sum(np.cosh(x - 1)), [0.5, 2.0], method="dogleg").success
    given = {}

    def method(fun, x0, args=(), jac=None, hess=None, **options):
        given.update(jac=jac(x0), hess=hess)
        return so.OptimizeResult(x=x0, fun=fun(x0), success=True)

    do.minimize(lambda x: np.sum(x**3), np.array([1.0, 2.0]), method=method)
    np.testing.assert_allclose(given["jac"], [3.0, 12.0])


def test_defaults_choose_the_method_that_scipy_chooses():
    assert "hess_inv" in do.minimize(banana, [0.0, 0.0])  # BFGS
    assert do.minimize(banana, [0.0, 0.0], bounds=[(-1, 0.5)] * 2).x[0] == 0.5
    disk = so.NonlinearConstraint(lambda x: x @ x, -np.inf, 1.0)
    np.testing.assert_allclose(do.minimize(banana, [0.0, 0.0], constraints=disk).x, [0.7864, 0.6177], atol=1e-4)


def test_derivatives_that_are_given_win():
    f = Counted(banana)
    do.minimize(f, [0.0, 0.0], jac="2-point")
    do.minimize(f, [0.0, 0.0], jac=False)
    do.minimize(f, [0.0, 0.0], jac=dd.grad(banana))
    do.minimize(f, [0.0, 0.0], method="trust-exact", jac=dd.grad(banana), hess=dd.hessian(banana))
    do.minimize(f, [0.0, 0.0], method="trust-constr", jac="2-point", hess=so.BFGS(), options={"maxiter": 5})
    assert f.traced == 0
    both = do.minimize(dd.value_and_grad(banana), [0.0, 0.0], jac=True, method="trust-exact")  # its Hessian is ours
    np.testing.assert_allclose(both.x, 1.0, atol=1e-5)
    apart = do.minimize(f, [0.0, 0.0], jac=dd.grad(banana), method="Newton-CG")
    assert f.traced > 0
    np.testing.assert_allclose(apart.x, 1.0, atol=1e-4)
    products = []

    def hessp(x, p):
        products.append(p)
        return dd.hvp(banana)(x, p)

    do.minimize(banana, [0.0, 0.0], method="trust-ncg", hessp=hessp)
    assert products


def test_arguments_and_results_as_scipy_takes_them():
    target = np.array([1.0, 2.0])
    for result in (lambda v: v, lambda v: np.reshape(v, (1,)), lambda v: np.reshape(v, (1, 1))):
        f = lambda x, a: result(np.sum((x - a) ** 2))  # noqa: B023, E731
        for args in ((target,), target):  # SciPy wraps what is no tuple
            found = do.minimize(f, np.array([0, 0]), args=args, method="Newton-CG")
            np.testing.assert_allclose(found.x, target, atol=1e-6)
    with pytest.raises(NonScalarError):
        do.minimize(lambda x: x**2, np.zeros(2))


@pytest.mark.parametrize("method", ["Newton-CG", "trust-ncg", "trust-constr"])
def test_many_variables_get_products_or_a_sparse_hessian(method):
    n = 120
    sparse = do.minimize(lambda x: banana(x), np.full(n, 0.9), method=method, options={"maxiter": 400})
    np.testing.assert_allclose(sparse.x[: n // 2], 1.0, atol=1e-3)
    dense = do.minimize(lambda x: np.sum(np.cosh(x)) + np.cos(x[0]) * np.sum(x) ** 2, np.full(n, 0.1), method=method)
    np.testing.assert_allclose(dense.jac if "jac" in dense else dense.grad, 0.0, atol=1e-2)


def test_products_with_the_hessian_share_a_recording():
    f = Counted(lambda x: np.sum(x**4))
    products = do.minima.Products(f)
    x, v = np.arange(3.0), np.array([1.0, 0.0, 2.0])
    for _ in range(5):
        np.testing.assert_allclose(products(x, v), 12 * x**2 * v)
    assert f.traced + f.plain == 1
    products(x + 1, v)
    assert f.traced + f.plain == 2


def c(x):
    return [x @ x, x[0] - x[1] ** 3]


LIMITS = ([-np.inf, 0.0], [1.0, np.inf])


def test_constraints_of_trust_constr_get_jacobian_and_hessian():
    constraint = so.NonlinearConstraint(c, *LIMITS)
    straight = so.LinearConstraint([[1.0, 1.0]], -1.0, 2.0)
    found = do.minimize(
        banana, [-1.2, 1.0], method="trust-constr", constraints=[constraint, straight], options={"gtol": 1e-9}
    )
    np.testing.assert_allclose(found.x, [0.7864, 0.6177], atol=1e-4)
    (made, kept), _ = do.minima.with_derivatives([constraint, straight], "trust-constr", [0.5, 0.4])
    assert kept is straight
    x, v = np.array([0.5, 0.4]), np.array([2.0, 3.0])
    np.testing.assert_allclose(made.jac(x), [[1.0, 0.8], [1.0, -3 * 0.16]])
    np.testing.assert_allclose(made.hess(x, v), [[4.0, 0.0], [0.0, 4.0 - 3.0 * 6 * 0.4]])
    ours = constraint.jac, type(constraint.hess)
    assert ours == ("2-point", so.BFGS)  # the user's object is as it was


def test_what_a_constraint_was_given_is_left_alone():
    def made(**options):
        constraint = so.NonlinearConstraint(c, *LIMITS, **options)
        (found,), _ = do.minima.with_derivatives(constraint, "trust-constr", [0.5, 0.4])
        return constraint, found

    for options in ({"jac": "3-point"}, {"finite_diff_rel_step": 1e-6}):
        given, found = made(**options)
        assert found is given
    jac = dd.jacobian(c, flat=True)
    given, found = made(jac=jac)
    assert found.jac is jac
    assert type(found.hess) is not so.BFGS
    updates = so.BFGS(exception_strategy="damp_update")
    given, found = made(hess=updates)
    assert found.hess is updates
    assert made(keep_feasible=True)[1].keep_feasible is True


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
def test_dictionaries_of_constraints(method):
    inside = {"type": "ineq", "fun": lambda x, r: r - x @ x, "args": (1.0,)}
    on = {"type": "eq", "fun": lambda x: [x[0] - x[1] - 0.1]}
    f = Counted(lambda x: 1.0 * (x[0] - x[1] - 0.1))
    found = do.minimize(banana, [0.8, 0.7], method=method, constraints=[inside, {**on, "fun": f}], tol=1e-10)
    right = so.minimize(banana, [0.8, 0.7], method="SLSQP", constraints=[inside, on], tol=1e-12)
    np.testing.assert_allclose(found.x, right.x, atol=1e-4)
    assert f.traced > 0
    assert "jac" not in inside
    with pytest.raises((KeyError, ValueError)):
        do.minimize(banana, [0.5, 0.4], method=method, constraints=[{"fun": f}])


def test_large_constraints_get_sparse_matrices():
    n = 120
    neighbours = lambda x: x[:-1] ** 2 + x[1:] ** 2  # noqa: E731
    constraint = so.NonlinearConstraint(neighbours, -np.inf, 1.0)
    (made,), sparse = do.minima.with_derivatives(constraint, "trust-constr", np.full(n, 0.5))
    x, v = np.linspace(0, 1, n), np.arange(n - 1.0)
    assert sparse
    assert made.jac(x).nnz == 2 * (n - 1)
    hess = made.hess(x, v)
    assert ss.issparse(hess)
    np.testing.assert_allclose(hess.diagonal(), 2 * (np.append(v, 0) + np.append(0, v)))
    dense = so.NonlinearConstraint(lambda x: np.sum(np.sin(x)) * x[:2], -1.0, 1.0)
    (made,), sparse = do.minima.with_derivatives(dense, "trust-constr", np.full(n, 0.5))
    assert not sparse
    weighted = dd.hessian(lambda x: np.sum(np.sin(x)) * (2 * x[0] + 3 * x[1]))
    np.testing.assert_allclose(made.hess(x, np.array([2.0, 3.0])) @ x, weighted(x) @ x)
    straight = so.LinearConstraint(np.ones((1, n)), -np.inf, 30.0)
    found = do.minimize(
        banana, np.full(n, 0.3), method="trust-constr", constraints=[constraint, straight], options={"maxiter": 60}
    )
    assert np.max(neighbours(found.x)) < 1.01  # one sparse and one dense: SciPy takes them of one kind only


# -- root, fsolve, newton ------------------------------------------------------------------------------


def equations(x, s=3.0):
    return [x[0] + x[1] - s, x[0] * x[1] - 2.0]


@pytest.mark.parametrize("method", ["hybr", "lm", "krylov", "broyden1"])
def test_root(method):
    f = Counted(equations)
    found = do.root(f, [0.5, 2.5], method=method, args=(3.0,))
    np.testing.assert_allclose(found.x, [1.0, 2.0], rtol=1e-5)
    assert (f.traced > 0) == (method in ("hybr", "lm"))
    if f.traced:
        right = so.root(equations, [0.5, 2.5], method=method, jac=lambda x: np.array([[1.0, 1.0], [x[1], x[0]]]))
        np.testing.assert_allclose(found.x, right.x, rtol=1e-12)
        assert found.nfev == right.nfev
    f = Counted(equations)
    do.root(f, [0.5, 2.5], jac=False)
    assert f.traced == 0
    do.root(equations, [0.5, 2.5], options={"col_deriv": True, "xtol": 1e-9})


def test_fsolve():
    f = Counted(equations)
    x, info, status, _ = do.fsolve(f, [0.5, 2.5], args=4.0, full_output=True, col_deriv=True)
    np.testing.assert_allclose([x.sum(), x.prod()], [4.0, 2.0])
    assert status == 1
    assert f.plain <= info["nfev"] + 2
    np.testing.assert_allclose(do.fsolve(lambda x: np.cos(x) - x, 1.0), [0.7390851332151607])
    np.testing.assert_allclose(
        do.fsolve(equations, [0.5, 2.5], fprime=lambda x: [[1.0, 1.0], [x[1], x[0]]]), [1.0, 2.0]
    )


def test_newton():
    f = Counted(lambda x, a=2.0: x**3 - a)
    root, report = do.newton(f, 1.0, full_output=True)
    assert abs(root - 2.0 ** (1 / 3)) < 1e-15
    right = so.newton(lambda x: x**3 - 2.0, 1.0, fprime=lambda x: 3 * x**2, full_output=True)[1]
    assert (report.iterations, report.method) == (right.iterations, right.method)
    assert f.plain == 0
    assert f.traced == report.iterations  # value and slope from one run
    assert type(root) is type(right.root)
    np.testing.assert_allclose(do.newton(f, 1, args=(3.0,)), 3.0 ** (1 / 3))
    np.testing.assert_allclose(do.newton(lambda x: x**3 - np.array([2.0, 3.0]), np.ones(2)), np.cbrt([2.0, 3.0]))
    np.testing.assert_allclose(do.newton(lambda z: z**2 + 1.0, 0.5 + 0.5j), 1j)
    f = Counted(lambda x: x**3 - 2.0)
    assert do.newton(f, 1.0, x1=1.5, full_output=True)[1].method == "secant"
    do.newton(f, 1.0, fprime=lambda x: 3 * x**2, fprime2=lambda x: 6 * x)
    assert f.traced == 0
    halley = do.newton(f, 1.0, fprime2=lambda x: 6 * x, full_output=True)[1]
    assert halley.method == "halley"
    assert do.newton(lambda x: x**2 - 4.0, 2.0) == 2.0  # started at the root


# -- programs ------------------------------------------------------------------------------------------


def slopes_of(f, what):
    """Return what is kept of a function's body."""
    return derivatives._KEPT[derivatives.body_of(f)[0].key, what]


def data_set(seed):
    return model(T, 2.0, 0.7, 0.3) + 0.02 * np.random.default_rng(seed).standard_normal(T.size)


def test_programs_take_over_and_serve_the_next_data_set():
    for seed in range(12):
        y = data_set(seed)
        fit = do.curve_fit(model, T, y, START)
        np.testing.assert_allclose(fit.popt, so.curve_fit(model, T, y, START, jac=slopes)[0], rtol=1e-9)

        def r(b):
            return model(T, *b) - y  # noqa: B023

        squares = do.least_squares(r, START)
        np.testing.assert_allclose(squares.x, fit.popt, rtol=1e-5)
    for found in (slopes_of(model, "parameters"), slopes_of(r, False)):
        assert found.program is not None
        assert (found.calls, found.doubts) == (derivatives.PAID, 0)  # no call of an operator since then


def test_a_long_minimisation_goes_on_by_a_program_beside_the_function():
    x0 = np.array([-1.2, 1.0, -1.2, 1.0, 0.5])
    f = Counted(banana)
    ours = lambda x: f(x)  # noqa: E731  (a body of code with an object in its closure is not kept)
    found = do.minimize(ours, x0, method="CG", tol=1e-9)
    right = so.minimize(banana, x0, method="CG", jac=dd.grad(banana), tol=1e-9)
    np.testing.assert_allclose(found.x, right.x, rtol=1e-6)
    assert found.nfev > 2 * derivatives.PAID
    assert f.traced < found.nfev  # some gradients by the program
    assert f.plain + f.traced >= found.nfev  # and every value by the function
    assert not derivatives._KEPT


scale = np.array([1.0])
noise = np.random.default_rng(0)


def of_a_table(t, a, k):
    return scale[0] * a * np.exp(-k * t)


def test_a_program_that_is_out_of_date_does_not_serve():
    y = 2.0 * np.exp(-0.7 * T)
    try:
        for _ in range(12):
            do.curve_fit(of_a_table, T, y, [1.0, 1.0])
        assert slopes_of(of_a_table, "parameters").program is not None
        scale[0] = 3.0  # in place: nothing that could be compared by identity has changed
        f = do.curve_fit(of_a_table, T, y, [1.0, 1.0])
        right = so.curve_fit(of_a_table, T, y, [1.0, 1.0])
        np.testing.assert_allclose(f.popt, right[0], rtol=1e-6)
        np.testing.assert_allclose(f.popt[0], 2 / 3, rtol=1e-6)
        assert slopes_of(of_a_table, "parameters").settled
    finally:
        scale[0] = 1.0


def test_a_function_with_noise_keeps_its_operator():
    f = lambda b: residual(b) + 1e-6 * noise.standard_normal(30)  # noqa: E731
    for _ in range(12):
        np.testing.assert_allclose(do.least_squares(f, START).x, do.least_squares(residual, START).x, rtol=1e-2)
    assert slopes_of(f, False).settled


def test_a_change_of_branch_is_another_program():
    def r(b):
        return (b - T[:3] if b[0] > 0 else b**3 - T[:3]) * 1.0

    values = derivatives.Values(r)
    derivative = derivatives.Derivative(r, derivatives.of_jacobian, values.at, values)
    for k in range(3 * derivatives.PAID):
        b = np.array([1.0, 1.0, 1.0]) if k % 3 else np.array([-1.0, 2.0, 2.0])
        values(b)
        np.testing.assert_allclose(derivative(b), np.eye(3) if k % 3 else np.diag(3 * b**2))


COUNTED = Counted(residual)


@pytest.mark.parametrize(
    ("make", "kept"),
    [
        (lambda: residual, True),
        (lambda y=Y: lambda b: model(T, *b) - y, True),
        (lambda n=3: lambda b: b[:n] - 1.0, True),
        (lambda o=COUNTED: lambda b: o(b), False),
        (lambda o=[1.0, 2.0, 3.0]: lambda b: b - o, False),
        (lambda: Counted(residual), False),
    ],
    ids=["function", "data", "number", "object", "list", "callable"],
)
def test_what_is_kept_holds_no_data(make, kept):
    f = make()
    do.least_squares(f, START)
    assert bool(derivatives._KEPT) == kept
    for key, found in derivatives._KEPT.items():
        assert not any(isinstance(v, np.ndarray) for v in (*key[0], *key[0][2]))
        assert found.program is None


def test_bodies_with_other_constants_are_apart():
    def power(n):
        return lambda b: b**n - 2.0

    for n in (2, 3, True):
        do.least_squares(power(n), START + 1)
    assert len(derivatives._KEPT) == 3


# -- standard errors of a likelihood -------------------------------------------------------------------


def test_standard_errors_are_the_textbooks_for_a_normal_sample():
    x = np.array([1.0, 3.0, 4.0, 8.0, 2.0])

    def nll(p, *, weight=1.0):
        mean, spread = p["at"]
        return weight * np.sum(0.5 * ((x - mean) / spread) ** 2 + np.log(spread))

    mean, spread = x.mean(), x.std()
    errors = dd.standard_errors(nll, {"at": (mean, spread)})
    np.testing.assert_allclose(errors["at"], [spread / 5**0.5, spread / 10**0.5], rtol=1e-12)
    halved = dd.standard_errors(nll, {"at": (mean, spread)}, weight=4.0)
    np.testing.assert_allclose(halved["at"], np.array(errors["at"]) / 2)


def test_standard_errors_of_several_arguments_and_shapes():
    A = np.random.default_rng(0).standard_normal((20, 4)) * [1.0, 1e6, 1e-6, 1.0]
    y = A @ np.array([1.0, 1e-6, 1e6, 2.0])

    def nll(w, c, y):
        return 0.5 * np.sum((A @ np.append(np.reshape(w, -1)[:3], c) - y) ** 2)

    w, c = dd.standard_errors(nll, np.array([[1.0], [1e-6], [1e6]]), 2.0, y, argnums=(0, "c"))
    want = np.sqrt(np.diag(np.linalg.inv(A.T @ A / np.outer(*[np.linalg.norm(A, axis=0)] * 2)))) / np.linalg.norm(
        A, axis=0
    )
    assert w.shape == (3, 1)
    assert type(c) is float
    np.testing.assert_allclose([*w[:, 0], c], want, rtol=1e-9)


def test_standard_errors_refuse_what_is_no_minimum():
    with pytest.raises(InputError, match=r"eigenvalue -2 \(along argument\[1\]\): this is not a minimum"):
        dd.standard_errors(lambda x: x[0] ** 2 - x[1] ** 2, np.zeros(2))
    with pytest.raises(
        InputError, match=r"along argument\['a'\], argument\['b'\]\): this does not determine all parameters"
    ):
        dd.standard_errors(lambda p: (p["a"] + p["b"]) ** 2 + p["c"] ** 2, {"a": 0.0, "b": 0.0, "c": 0.0})
    with pytest.raises(InputError, match=r"by argument\[0\] are not finite"):
        dd.standard_errors(lambda x: np.sum(np.sqrt(x)), np.array([0.0, 1.0]))
    with pytest.raises(NonScalarError):
        dd.standard_errors(lambda x: x**2, np.zeros(2))
    with pytest.raises(InputError, match="real parameters"):
        dd.standard_errors(lambda z: np.abs(z) ** 2, 1j)


def test_standard_errors_are_differentiated():
    for operator in (dd.grad, dd.jacfwd):  # 1/√(2x)
        found = operator(lambda x: dd.standard_errors(lambda y: y**2 * x, 0.0 * x))(1.0)
        np.testing.assert_allclose(found, -(0.5**1.5), rtol=1e-12)


def test_standard_errors_away_from_the_minimum_warn():
    with pytest.warns(dd.errors.NotAMinimumWarning, match="would go 3 standard errors"):
        dd.standard_errors(lambda x: 0.5 * x**2, 3.0)


# -- inside of what is differentiated ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solve", "want"),
    [
        (lambda p: do.least_squares(lambda x: [x[0] ** 3 - p, 2 * (x[0] ** 3 - p)], [1.0]).x[0], 1 / 3),
        (lambda p: do.least_squares(lambda x, p: [x[0] ** 3 - p], [1.0], args=(p,)).x[0], 1 / 3),
        (lambda p: do.curve_fit(lambda t, a: a * t, T, p * T, [1.0])[0][0], 1.0),
        (lambda p: do.minimize(lambda x: np.sum((x - p) ** 2), [1.0, 1.0]).x[0], 1.0),
        (lambda p: do.root(lambda x: x**3 - p, [1.0]).x[0], 1 / 3),
        (lambda p: do.fsolve(lambda x: x**3 - p, [1.0])[0], 1 / 3),
        (lambda p: do.newton(lambda x: x**3 - p, 1.0), 1 / 3),
    ],
)
def test_a_solver_started_at_the_answer_has_the_derivative_of_the_answer(solve, want):
    for operator in (dd.grad, dd.jacfwd):
        np.testing.assert_allclose(operator(solve)(1.0), want, rtol=1e-6)
