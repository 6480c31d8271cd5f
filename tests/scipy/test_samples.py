"""Functions of scipy.stats on data: right in both modes, also where SciPy's own formula leaves its parameter out, or refused by name."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import scipy.stats as st

import dualdiff as dd
from dualdiff.errors import ForeignError, UnsupportedFunctionError
from dualdiff.testing import check
from tests.versions import SCIPY

RNG = np.random.default_rng(5)
X, Y, W = RNG.standard_normal(7), RNG.standard_normal(5) + 0.4, RNG.uniform(0.5, 2.0, 7)
Z = X[:5] + 0.8 * Y


def stacked(*values: Any) -> Any:
    return np.concatenate([np.ravel(v) for v in values])


DATA: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "moments": (
        lambda x: stacked(st.zscore(x), st.skew(x), st.kurtosis(x, bias=False), st.sem(x), st.variation(x), st.iqr(x)),
        (X,),
    ),
    "means": (
        lambda x, p: stacked(st.gmean(x), st.hmean(x, weights=x), st.pmean(x, p), st.trim_mean(x, 0.2), st.entropy(x)),
        (W, np.float64(1.7)),
    ),
    "angles": (lambda x: stacked(st.circmean(x), st.circvar(x), st.circstd(x)), (X,)),
    "lines": (
        lambda x, y: stacked(st.pearsonr(x, y).statistic, st.linregress(x, y).slope, st.theilslopes(x, y).slope),
        (Z, Y),
    ),
    "tests": (
        lambda x, y: stacked(st.ttest_ind(x, y).statistic, st.f_oneway(x, y).pvalue, st.bartlett(x, y).statistic),
        (X, Y),
    ),
    "distances": (
        lambda x, y, w: stacked(st.wasserstein_distance(x, y, w), st.energy_distance(x, y, w)),
        (X, Y, W),
    ),
    "transformations": (
        lambda x, b: stacked(st.boxcox(x, b), st.yeojohnson(x - 1.0, b), st.yeojohnson_llf(b, x)),
        (W, np.float64(0.4)),
    ),
    "kernels": (
        lambda d, w, b, x: stacked(
            st.gaussian_kde(d, weights=w)(x),
            st.gaussian_kde(d, b).logpdf(x),
            st.gaussian_kde(d, b).integrate_box_1d(-1.0, x[0]),
        ),
        (X, W, np.float64(0.4), np.array([0.1, 1.2])),
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_functions_on_data(name: str) -> None:
    if name in ("angles", "lines") and SCIPY < (1, 16):
        pytest.skip("SciPy's own code makes numbers or objects of them, and is refused")
    f, args = DATA[name]
    check(f, *args, directions=1, rtol=1e-6)


KERNELS = st.gaussian_kde(RNG.standard_normal((2, 5)), weights=np.arange(1.0, 6.0))


def test_kernels_in_several_variables() -> None:
    points = np.array([[0.1], [-0.3]])
    check(lambda d: st.gaussian_kde(d)(points), RNG.standard_normal((2, 5)), directions=1, rtol=1e-6)
    check(lambda x: stacked(KERNELS(x), KERNELS.logpdf(x), KERNELS.evaluate(x)), points, directions=1, rtol=1e-6)


def test_parameters_at_which_scipy_has_another_formula() -> None:
    logs = np.log(W)
    assert dd.grad(lambda p: st.pmean(W, p))(0.0) == pytest.approx(st.gmean(W) * np.var(logs) / 2)
    assert dd.jacobian(lambda x: st.yeojohnson(x, 0.0))(np.array([0.5]))[0, 0] == pytest.approx(1 / 1.5)
    # ∂/∂λ of ((1+x)^λ - 1)/λ at 0 is log²(1+x)/2, and of -((1-x)^(2-λ) - 1)/(2-λ) at 2 log²(1-x)/2
    for x, lmbda in ((0.5, 0.0), (-0.5, 2.0)):
        found = dd.jacobian(lambda b, x=x: st.yeojohnson(np.array([x]), b))(lmbda)
        assert found == pytest.approx(np.log(1.5) ** 2 / 2)
    for f in (lambda b: st.boxcox_llf(b, W), lambda b: st.yeojohnson_llf(b, W), lambda b: st.pmean(W, b)):
        g = dd.grad(f)
        assert g(0.0) == pytest.approx((g(1e-4) + g(-1e-4)) / 2, rel=1e-6)
        assert dd.value_and_grad(f)(0.0)[0] == pytest.approx(f(0.0), rel=1e-13)


def test_fitted_parameters_and_integrals_in_several_variables_are_refused_by_name() -> None:
    with pytest.raises(
        UnsupportedFunctionError, match=r"yeojohnson without lmbda .* scipy\.stats\.yeojohnson\(x, lmbda\)"
    ):
        dd.grad(lambda x: st.yeojohnson(x)[0].sum())(X)
    with pytest.raises(UnsupportedFunctionError, match="Select what is there"):
        dd.grad(lambda p: st.pmean(np.array([1.0, np.nan]), p, nan_policy="omit"))(2.0)
    with pytest.raises(UnsupportedFunctionError, match=r"scipy\.stats\.multivariate_normal\.cdf is an integral"):
        dd.grad(lambda m: st.multivariate_normal.logcdf(np.zeros(2), m * np.ones(2), np.eye(2)))(0.3)


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev])
@pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning")
def test_data_that_scipy_answers_with_a_nan_of_its_own_are_refused(jac: Any) -> None:
    def f(x: Any) -> Any:
        return st.skew(x) + st.sem(x) + st.tvar(x)

    jac(f)(X)  # and what was found for numbers does not hold for what is missing
    heard = ("skew", "sem", "moment", "differential_entropy", *(("trim_mean",) if SCIPY >= (1, 15) else ()))
    for name in heard:  # before SciPy 1.15 trim_mean is an ordinary mean of what is there
        more = (0.2,) if name == "trim_mean" else ()
        with pytest.raises(UnsupportedFunctionError, match="NaN"):
            jac(lambda x, name=name, more=more: getattr(st, name)(x, *more))(np.array([1.5, np.nan, 2.0, 4.0]))
    with pytest.raises(UnsupportedFunctionError, match="NaN"):
        jac(f)(np.array([1.5, np.nan, 2.0, 4.0]))
    omitted = jac(lambda x: st.sem(x, nan_policy="omit"))(np.array([1.5, np.nan, 2.0, 4.0]))
    np.testing.assert_allclose(omitted[[0, 2, 3]], jac(st.sem)(np.array([1.5, 2.0, 4.0])), rtol=1e-12)
    hole = np.array([1.5, np.nan, 2.0, 4.0])
    for distance in (st.wasserstein_distance, st.energy_distance):  # which take them for numbers
        for found in (jac(lambda x, d=distance: d(x, X))(hole), jac(lambda x, d=distance: d(hole, x))(X)):
            assert np.isnan(found).all()


@pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning")
def test_what_a_version_of_scipy_has_for_plain_arrays_only_is_refused_by_name_and_says_what_to_write() -> None:
    said = {
        "ttest_ind.*Leave trim=": lambda x: st.ttest_ind(x, Y, trim=0.2).statistic,
        "shapiro: .* which it does not take": lambda x: st.shapiro(x).statistic,
        "cramervonmises.*Pass the distribution function": lambda x: st.cramervonmises(x, "norm").statistic,
        "permutation_test.*with the axis": lambda x: (
            st.permutation_test((x, Y), lambda a, b: np.mean(a) - np.mean(b), vectorized=False, n_resamples=9).statistic
        ),
    }
    for text, f in said.items():
        try:
            dd.grad(f)(X)
        except ForeignError as e:
            assert re.match(rf"test_samples.py, line \d+, in scipy.stats.{text}", str(e))  # noqa: PT017  (others differentiate it)
        else:
            check(f, X, directions=1, rtol=1e-6)
    with pytest.raises(ValueError, match="`alternative` must be"):  # wrong whatever the data are
        dd.grad(lambda x: st.ttest_ind(x, Y, alternative="no").statistic)(X)
    check(lambda x: st.cramervonmises(x, st.norm.cdf).statistic, X, directions=1, rtol=1e-6)


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev])
def test_a_transformation_that_is_fitted_follows_its_conditions(jac: Any) -> None:
    slope = dd.grad(st.boxcox_llf)
    best = st.boxcox(W)[1]
    exact = -dd.jacobian(lambda x: slope(best, x))(W) / dd.grad(lambda b: slope(b, W))(best)
    for f in (lambda x: st.boxcox(x)[1], lambda x: st.boxcox_normmax(x, method="all")[1]):
        np.testing.assert_allclose(jac(f)(W), exact, rtol=1e-5)
    ahead, behind = (st.boxcox_normmax(W + h * X) for h in (1e-3, -1e-3))
    assert jac(st.boxcox_normmax)(W) @ X == pytest.approx((ahead - behind) / 2e-3, rel=1e-3)
    with pytest.raises(UnsupportedFunctionError, match="no optimum"), pytest.warns(UserWarning, match="constrained"):
        jac(lambda x: st.boxcox_normmax(x, method="mle", ymax=0.1))(W)
