"""dualdiff.lmfit: exact Jacobians by lmfit's parameters."""

from __future__ import annotations

import lmfit
import numpy as np
import pytest

from dualdiff.lmfit import dfun

T = np.linspace(0.0, 4.0, 40)
Y = 2.0 * np.exp(-0.7 * T) + 0.5 + 0.01 * np.cos(30 * T)


def residual(p, t, y, weight=1.0):
    v = p.valuesdict()
    return weight * (v["height"] * np.exp(-v["rate"] * t) + p["offset"].value + p["share"] * 0.1 - y)


@pytest.fixture
def parameters():
    made = lmfit.Parameters()
    made.add("fixed", 3.0, vary=False)
    made.add("height", 1.0, min=0)
    made.add("rate", 1.0)
    made.add("share", expr="2*height + sqrt(fixed)")
    made.add("offset", 0.1, max=3)
    return made


def test_columns_are_of_what_varies_and_go_through_expressions(parameters):
    J = dfun(residual)(parameters, T, Y, weight=2.0)
    e = np.exp(-T)
    np.testing.assert_allclose(J, 2.0 * np.stack([e + 0.2, -T * e, np.ones(40)], axis=-1), rtol=1e-14)
    assert type(parameters) is lmfit.Parameters
    assert parameters["share"].value == 2.0 + 3.0**0.5


@pytest.mark.parametrize(("method", "more"), [("leastsq", {"col_deriv": False}), ("least_squares", {})])
def test_fits_end_where_lmfits_own_do_with_fewer_calls(method, more, parameters):
    exact = lmfit.minimize(residual, parameters, args=(T, Y), method=method, Dfun=dfun(residual), **more)
    plain = lmfit.minimize(residual, parameters, args=(T, Y), method=method)
    assert exact.nfev < plain.nfev / 2
    for name in ("height", "rate", "offset"):
        np.testing.assert_allclose(exact.params[name].value, plain.params[name].value, rtol=1e-4)
        np.testing.assert_allclose(exact.params[name].stderr, plain.params[name].stderr, rtol=1e-2)


def test_models_of_lmfit_have_the_right_sign():
    model = lmfit.models.GaussianModel() + lmfit.models.LinearModel()
    true = {"amplitude": 3.0, "center": 2.0, "sigma": 0.3, "slope": 0.1, "intercept": 1.0}
    start = model.make_params(amplitude=2.0, center=1.8, sigma=0.5, slope=0.0, intercept=0.0)
    y = model.eval(model.make_params(**true), x=T)
    given = {"Dfun": dfun(model._residual), "col_deriv": False}
    found = model.fit(y, start, x=T, weights=np.full(40, 2.0), fit_kws=given)
    assert found.best_values == pytest.approx(true, rel=1e-8)
    assert found.nfev < 20
