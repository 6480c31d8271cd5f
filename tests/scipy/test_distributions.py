"""Distributions of scipy.stats where values are not there, at the ends of supports, at shapes with a formula of their own, noncentral."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.stats as st

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from dualdiff.testing import check

pytestmark = pytest.mark.filterwarnings(
    "ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning", "ignore:divide by zero:RuntimeWarning"
)


@pytest.mark.parametrize(
    ("make", "methods", "wrong"),
    [
        (st.norm, "pdf logpdf cdf logsf", [np.nan, 0.3, 1.2]),
        (st.norm, "logpdf sf", [0.3, 0.1, -1.2]),
        (st.norm, "ppf isf", [1.5, 0.1, 1.2]),
        (st.gamma, "logpdf cdf", [0.3, -2.3, 0.1, 1.2]),
        (st.gamma, "cdf", [0.3, np.nan, 0.1, 1.2]),
        (st.binom, "pmf cdf", [2.0, 5, 1.5]),
        (st.poisson, "logpmf sf", [2.0, np.nan]),
    ],
)
def test_where_a_distribution_is_not_there_every_derivative_is_nan(make: Any, methods: str, wrong: list[Any]) -> None:
    for name in methods.split():
        assert np.isnan(getattr(make, name)(*wrong))
        *fixed, last = range(len(wrong))
        for i in [last] if make is st.binom else [fixed[0], last] if fixed else [last]:
            at = [wrong[:i], wrong[i + 1 :]]
            slope = dd.grad(lambda v, name=name, at=at: getattr(make, name)(*at[0], v, *at[1]))(wrong[i])
            assert np.isnan(slope), (name, i)


def test_what_is_missing_among_data_leaves_the_others_derivatives() -> None:
    data = np.array([np.nan, 0.3, 1.1])
    assert dd.grad(lambda m: np.nansum(st.norm.logpdf(data, m)))(0.1) == pytest.approx(1.2)
    assert np.allclose(dd.grad(lambda x: np.nansum(st.norm.logpdf(x)))(data), [0, -0.3, -1.1])
    assert np.isnan(dd.jacobian(lambda x: st.norm.logpdf(x))(data)[0, 0])
    assert np.all(np.isnan(dd.hessian(lambda p: st.norm.logpdf(p[0], p[1]))(np.array([0.1, np.nan]))))
    assert np.isnan(dd.grad(st.norm.logpdf)(np.nan))  # a method of an object that is differentiated itself
    assert np.all(np.isnan(dd.grad(lambda p: st.multinomial.logpmf([1, 2], 3, p))(np.array([-0.3, 1.3]))))
    density = st.norm.pdf  # and one in a variable of an enclosing function
    assert np.isnan(dd.grad(lambda x: 2 * density(x))(np.nan))


LOGPDF = st.norm.logpdf


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev])
@pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning")
def test_a_method_taken_off_its_distribution_is_none_the_less_held(jac: Any) -> None:
    def by_default(x: Any, own: Any = st.norm.logpdf) -> Any:
        return own(x)

    class Model:
        def __init__(self) -> None:
            self.own = st.norm(0.0, 1.0).logpdf

        def __call__(self, x: Any) -> Any:
            return self.own(x)

    for f in (lambda x: LOGPDF(x), by_default, Model(), partial(st.norm.logpdf, loc=0.0)):
        np.testing.assert_array_equal(jac(f)(np.array([np.nan, 1.0])), [[np.nan, 0], [0, -1]])


def test_a_moment_that_does_not_exist_has_no_derivative() -> None:
    assert np.isnan(dd.grad(lambda m: st.cauchy.mean(m))(0.3))
    assert np.isnan(dd.grad(lambda v: st.t.mean(v, 0.2))(0.5))
    value, slope = dd.value_and_grad(lambda v: st.t.var(v, 0.2, 1.1))(1.5)
    assert value == np.inf
    assert np.isnan(slope)
    # the density, met first, has SciPy's module captured: its other classes are not forgotten
    assert np.all(np.isnan(dd.jacobian(lambda v: np.stack([st.t.pdf(0.3, v), st.t.stats(v, moments="k")]))(3.5)[1:]))
    assert np.isnan(dd.grad(lambda m: st.norm.pdf(0.1, m) + st.poisson.pmf(np.nan, m))(0.3))


def test_moments_about_the_origin_at_a_location_of_zero() -> None:
    found = dd.jacobian(lambda p: st.expon.moment(3, p[0], p[1]))(np.array([0.0, 1.5]))
    assert np.allclose(found, [3 * 2 * 1.5**2, 3 * 6 * 1.5**2])  # E (l + s Y)³ with E Yᵏ = k!


def test_quantiles_at_both_ends() -> None:
    assert dd.grad(lambda q: st.uniform.ppf(q, 1.0, 3.0))(0.0) == 3.0
    assert dd.grad(lambda q: st.uniform.isf(q, 1.0, 3.0))(1.0) == -3.0
    assert dd.grad(dd.grad(lambda q: st.expon.ppf(q)))(0.0) == 1.0
    assert dd.grad(lambda q: st.norm.ppf(q))(0.0) == np.inf
    assert dd.grad(lambda m: st.expon.ppf(0.0, m))(0.3) == 1.0


def test_distributions_fitted_from_a_shape_of_zero() -> None:
    x = 0.7
    assert dd.grad(lambda c: st.genpareto.logpdf(x, c))(0.0) == pytest.approx(x * x / 2 - x, rel=1e-14)
    slope = x - x * x / 2 * (1 - np.exp(-x))
    assert dd.grad(lambda c: st.genextreme.logpdf(x, c))(0.0) == pytest.approx(slope, rel=1e-14)
    assert dd.grad(lambda a: st.skewnorm.logpdf(x, a))(0.0) == pytest.approx(x * np.sqrt(2 / np.pi), rel=1e-14)
    assert dd.grad(lambda a: st.skewnorm.pdf(x, a))(0.0) == pytest.approx(2 * x * st.norm.pdf(x) * st.norm.pdf(0))
    assert dd.grad(lambda k: st.vonmises.logpdf(x, k))(0.0) == pytest.approx(np.cos(x), rel=1e-14)
    assert dd.grad(lambda k: st.vonmises.pdf(x, k))(0.0) == pytest.approx(np.cos(x) / (2 * np.pi), rel=1e-14)
    for make, name in [(st.genextreme, n) for n in ("cdf", "ppf", "isf")] + [
        (st.genpareto, n) for n in ("logsf", "ppf")
    ]:
        g = dd.grad(lambda c, make=make, name=name: getattr(make, name)(0.4, c, 0.1, 1.3))
        assert g(0.0) == pytest.approx((g(1e-4) + g(-1e-4)) / 2, rel=1e-6), name
    assert dd.grad(lambda x: st.genextreme.logpdf(x, 0.0))(0.3) == pytest.approx(np.exp(-0.3) - 1)


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (lambda h: st.kappa4.logpdf(0.3, h, 0.2), 0.0),
        (lambda k: st.kappa4.cdf(0.3, 0.2, k), 0.0),
        (lambda c: st.triang.pdf(0.3, c), 1.0),
        (lambda d: st.trapezoid.stats(0.2, d, moments="s"), 1.0),
        (lambda p: st.binom.pmf(0, 5, p), 0.0),
        (lambda nc: st.ncx2.cdf(0.3, 2.0, nc), 0.0),
        (lambda c: st.genextreme.mean(c), 0.0),
    ],
)
def test_a_formula_that_leaves_its_shape_out_is_refused(f: Any, at: float) -> None:
    with pytest.raises(UnsupportedFunctionError, match=r"scipy\.stats\.\w+\.\w+ has a formula of its own where"):
        dd.grad(f)(at)


def test_shapes_that_are_whole_numbers_are_differentiated() -> None:
    for make, p in ((st.beta, [1.0, 2.0]), (st.tukeylambda, [0.0])):
        x = make.ppf(0.3, *p)
        check(
            lambda p, make=make, x=x: make.logcdf(x, *[p[i] for i in range(p.size)]),
            np.array(p),
            directions=1,
            rtol=1e-6,
        )


@pytest.mark.parametrize(
    ("make", "p"), [(st.ncx2, [2.5, 1.3]), (st.ncf, [3.5, 5.5, 1.3]), (st.nct, [4.5, -1.2])], ids=["ncx2", "ncf", "nct"]
)
def test_noncentral_distributions_in_all_their_parameters(make: Any, p: list[float]) -> None:
    x = make.ppf(0.3, *p)

    def f(x: Any, p: Any) -> Any:
        given = [p[i] for i in range(len(p))]
        return np.stack([make.logpdf(x, *given), make.cdf(x, *given), make.sf(x, *given), make.var(*given)])

    check(f, x, np.array(p), directions=1, rtol=1e-6)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.filterwarnings("ignore")
def test_expectations_and_entropies_over_a_support_at_whose_end_the_integrand_has_no_value(mode: Any) -> None:
    near = [st.kappa4.entropy(0.13 + h, 0.2) for h in (-1e-4, 1e-4)]
    cases: dict[Any, Any] = {
        lambda v: st.expon.expect(lambda x: np.log(x), scale=10 * v, epsabs=1e-4, epsrel=1e-4): 1 / 0.13,
        lambda v: st.beta.expect(args=(v, 2.0)): 2 / 2.13**2,
        lambda v: st.kappa4.entropy(v, 0.2): (near[1] - near[0]) / 2e-4,
    }
    for f, wanted in cases.items():
        assert np.isclose(dd.jacobian(f, mode=mode)(0.13), wanted, rtol=1e-3)


def test_distributions_that_fill_an_array_made_of_some_parameters() -> None:
    def f(p: Any) -> Any:
        d = st.pearson3(p[0], p[1], p[2])
        x = np.array([-0.7, 0.4, 1.9])
        return np.concatenate([d.pdf(x), d.logpdf(x), d.cdf(x), d.sf(x), d.ppf([0.2, 0.9])])

    for skew in (0.5, -0.5):
        check(f, np.array([skew, 0.1, 1.1]), directions=1, rtol=1e-6)
    check(lambda m: st.pearson3.cdf(0.3, np.array([0.0, 0.5, -0.5]), m), 0.1, directions=1)
    for near in (0.0, 1e-3):
        with pytest.raises(UnsupportedFunctionError, match="skew nearer to 0"):
            dd.grad(lambda s: st.pearson3.cdf(0.3, s))(near)
    if hasattr(st, "dpareto_lognorm"):
        check(lambda m: st.dpareto_lognorm.pdf(1.2, m, 1.1, 2.0, 3.0), 0.5, directions=1)
