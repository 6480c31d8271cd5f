"""scipy.stats: distributions in values and in parameters, frozen or not, through plain user code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats as st

import dualdiff as dd
from dualdiff.errors import DerivativeError, UnsupportedFunctionError
from dualdiff.testing import check

# SciPy multiplies infinite ends of a support by the scale, and then chooses another number.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
RNG = np.random.default_rng(3)
DATA = RNG.standard_normal((5, 3))
CONTINUOUS: dict[str, list[float]] = {
    "norm": [],
    "lognorm": [0.7],
    "expon": [],
    "gamma": [2.3],
    "beta": [2.3, 1.7],
    "t": [4.5],
    "chi2": [3.5],
    "f": [5.5, 9.5],
    "weibull_min": [1.7],
    "pareto": [4.6],
    "laplace": [],
    "logistic": [],
    "cauchy": [],
    "uniform": [],
    # whose quantile or distribution function SciPy finds by iteration
    "genextreme": [0.2],
    "genpareto": [0.2],
    "betaprime": [5.5, 6.5],
}
SHAPED = {"poisson": ([2.5], []), "nbinom": ([5.5, 0.4], []), "binom": ([0.4], [7]), "geom": ([0.3], [])}


def evaluated(d: Any, x: Any, q: Any) -> Any:
    return np.stack([d.pdf(x), d.logpdf(x), d.cdf(x), d.logcdf(x), d.sf(x), d.logsf(x), d.ppf(q), d.isf(q)])


WITH_SHAPES = [name for name, shapes in CONTINUOUS.items() if shapes]


def test_distributions_without_shapes_in_their_values_and_parameters() -> None:
    makes = [getattr(st, name) for name, shapes in CONTINUOUS.items() if not shapes]
    q = np.array([0.2, 0.85])
    x = np.stack([make.ppf(q, 0.3, 1.4) for make in makes])

    def f(x: Any, q: Any, p: Any) -> Any:
        frozen = [make(p[0], scale=p[1]) for make in makes]
        middles = [np.stack([d.median(), d.entropy(), *d.interval(0.9)]) for d in frozen]
        moments = [np.stack([d.mean(), d.std(), *d.stats("mv")]) for d in frozen if d.dist.name != "cauchy"]
        return np.concatenate([np.ravel(evaluated(d, at, q)) for d, at in zip(frozen, x)] + middles + moments)

    check(f, x, q, np.array([0.3, 1.4]), directions=1, rtol=1e-7)


@pytest.mark.parametrize("name", WITH_SHAPES)
def test_a_distribution_in_its_values_and_all_its_parameters(name: str) -> None:
    make, shapes = getattr(st, name), CONTINUOUS[name]
    n, at = len(shapes), np.array([0.2, 0.85])
    x = make.ppf(at, *shapes, loc=0.3, scale=1.4)

    def frozen(x: Any, q: Any, p: Any) -> Any:
        return evaluated(make(*[p[i] for i in range(n)], loc=p[n], scale=p[n + 1]), x, q)

    def called(x: Any, q: Any, p: Any) -> Any:
        given = [p[i] for i in range(n + 2)]
        return np.stack([make.logpdf(x, *given), make.cdf(x, *given), make.sf(x, *given), make.isf(q, *given)])

    p = np.array([*shapes, 0.3, 1.4])
    check(frozen, x, at, p, directions=1, rtol=1e-7)
    if name == "beta":
        check(called, x, at, p, directions=1, rtol=1e-7)


@pytest.mark.parametrize("name", [n for n in WITH_SHAPES if n != "betaprime"])
def test_moments_of_a_distribution_in_all_its_parameters(name: str) -> None:
    make, shapes = getattr(st, name), CONTINUOUS[name]

    def moments(p: Any) -> Any:
        d = make(*[p[i] for i in range(len(shapes) + 2)])
        return np.stack([d.median(), d.entropy(), *d.interval(0.9), d.mean(), d.std(), *d.stats("mv")])

    check(moments, np.array([*shapes, 0.3, 1.4]), directions=1, rtol=1e-7)


@pytest.mark.parametrize("name", SHAPED)
def test_a_discrete_distribution_in_its_parameters(name: str) -> None:
    make, (p, whole) = getattr(st, name), SHAPED[name]
    k = np.array([1, 2, 4])

    def f(p: Any) -> Any:
        d = make(*whole, *[p[i] for i in range(len(p))])
        values = np.stack([d.pmf(k), d.logpmf(k), d.cdf(k), d.logcdf(k), d.sf(k), d.logsf(k)]).ravel()
        return np.concatenate([values, np.stack([d.mean(), d.var(), d.std()])])

    check(f, np.array(p), directions=1, rtol=1e-7)
    quantiles = dd.jacobian(lambda p: make(*whole, *[p[i] for i in range(len(p))]).ppf([0.3, 0.8]) + p[0])
    assert np.array_equal(quantiles(np.array(p))[:, 0], [1, 1])  # which jump, and are constant between


def test_noncentral_distributions_and_higher_moments() -> None:
    def functions(x: Any, q: Any, nc: Any) -> Any:
        both = ((st.ncx2, (3.5, nc)), (st.ncf, (5.5, 9.5, nc)), (st.nct, (5.5, 0.7)))
        return np.stack([v for d, given in both for v in (d.cdf(x, *given), d.sf(x, *given), d.ppf(q, *given))])

    def moments(p: Any) -> Any:
        both = (st.beta, (p[0], p[1])), (st.binom, (7, p[2])), (st.nbinom, (p[1], p[2])), (st.ncx2, (p[0], p[1]))
        return np.stack([m for d, given in both for m in d.stats(*given, moments="mvsk")])

    check(functions, np.array([0.7, 2.0]), np.array([0.3, 0.8]), np.float64(1.3), directions=1, rtol=1e-6)
    check(moments, np.array([2.3, 1.7, 0.3]), directions=1, rtol=1e-7)


@pytest.mark.parametrize("name", ["gamma", "beta", "t", "lognorm", "poisson"])
def test_the_entropy_with_parameters_given_in_the_call(name: str) -> None:
    make, shapes = getattr(st, name), CONTINUOUS.get(name, (2.5,))
    found = dd.jacobian(lambda p: make.entropy(*[p[i] for i in range(len(shapes))]))(np.array(shapes))
    frozen = dd.jacobian(lambda p: make(*[p[i] for i in range(len(shapes))]).entropy())(np.array(shapes))
    np.testing.assert_allclose(found, frozen, rtol=1e-14)
    assert np.all(found != 0)


def test_derivatives_worked_by_hand() -> None:
    for a, x in ((0.5, 0.3), (3.0, 7.0)):  # P(a+1, x) = P(a, x) - xᵃe⁻ˣ/Γ(a+1)
        slope = dd.grad(lambda a, x=x: st.gamma.cdf(x, a + 1) - st.gamma.cdf(x, a))(a)
        term = dd.grad(lambda a, x=x: -st.gamma.pdf(x, a + 1))(a)
        assert abs(slope - term) < 1e-13
    # Student's distribution of one and of two degrees of freedom: arctan, and t/√(2+t²)
    found = dd.grad(lambda q: st.t.ppf(q, 2.0))(0.8)
    assert found == pytest.approx(1 / st.t.pdf(st.t.ppf(0.8, 2.0), 2.0), rel=1e-13)
    # I(x; 1, b) = 1 - (1-x)ᵇ and I(x; a, 1) = xᵃ
    assert dd.grad(lambda b: st.beta.cdf(0.3, 1.0, b))(2.5) == pytest.approx(-(0.7**2.5) * np.log(0.7), rel=1e-13)
    assert dd.grad(lambda a: st.beta.cdf(0.3, a, 1.0))(2.5) == pytest.approx(0.3**2.5 * np.log(0.3), rel=1e-13)
    third = dd.grad(dd.grad(dd.grad(lambda a: st.beta.cdf(0.3, a, 1.0))))(2.5)
    assert third == pytest.approx(0.3**2.5 * np.log(0.3) ** 3, rel=1e-11)
    second = dd.grad(dd.grad(lambda v: st.chi2.sf(3.0, v)))(1e-9)  # E₁(x/2)-like near 0: finite
    assert np.isfinite(second)


@pytest.mark.parametrize(
    ("name", "p"), [("gamma", [2.3, 0.0, 1.4]), ("beta", [2.3, 1.7]), ("t", [4.5]), ("f", [4.5, 6.5]), ("chi2", [3.5])]
)
def test_second_derivatives_by_shapes(name: str, p: list[float]) -> None:
    make = getattr(st, name)
    x = make.ppf([0.3, 0.8], *p)

    def f(p: Any, x: Any) -> Any:
        given = [p[i] for i in range(len(p))]
        return np.sum(make.logcdf(x, *given) * make.sf(x, *given)) + make.ppf(0.4, *given)

    check(f, np.array(p), x, directions=1, order=2, rtol=1e-6)


def test_a_likelihood_and_its_hessian() -> None:
    data = DATA.ravel()
    H = dd.hessian(lambda p: -np.sum(st.norm.logpdf(data, loc=p[0], scale=p[1])))(np.array([data.mean(), data.std()]))
    assert np.allclose(H, np.diag([15, 30]) / data.var(), atol=1e-10)


def lower(p: Any) -> Any:
    return np.stack([np.stack([p[0], 0.0, 0.0]), np.stack([p[1], p[2], 0.0]), np.stack([p[3], p[4], p[5]])])


def covariance(p: Any) -> Any:
    return lower(p) @ lower(p).T


ENTRIES = np.array([1.0, 0.2, 1.1, -0.3, 0.4, 0.9])
normal, ALPHA = st.multivariate_normal, np.array([1.2, 2.3, 0.7])
SEVERAL: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "normal, all at once": (
        lambda x, m, p: np.stack([normal.logpdf(x, m, covariance(p)), normal.pdf(x, m, covariance(p))]),
        (DATA, np.array([0.1, 0.2, 0.3]), ENTRIES),
    ),
    "normal, frozen": (lambda m, p: normal(m, covariance(p)).logpdf(DATA), (np.array([0.1, 0.2, 0.3]), ENTRIES)),
    "normal, one variance": (lambda s: normal.logpdf(DATA, np.zeros(3), s), (np.float64(1.3),)),
    "normal, equal variances": (lambda s: normal.logpdf(DATA, np.zeros(3), s[0] * np.eye(3)), (np.array([1.3]),)),
    "normal, variances": (lambda v: normal.logpdf(DATA, np.zeros(3), v), (np.array([1.3, 0.4, 2.0]),)),
    "normal, entropy": (
        lambda p: np.stack([normal.entropy(np.zeros(3), covariance(p)), normal(np.zeros(3), covariance(p)).entropy()]),
        (ENTRIES,),
    ),
    "Student": (
        lambda x, p, v: st.multivariate_t.logpdf(x, np.zeros(3), covariance(p), df=v),
        (DATA, ENTRIES, np.float64(4.5)),
    ),
    "dirichlet": (
        lambda x, a: np.stack([st.dirichlet.logpdf(x / x.sum(), a), st.dirichlet.pdf(x / x.sum(), a)]),
        (np.array([0.2, 0.5, 0.3]), ALPHA),
    ),
    "dirichlet, moments": (
        lambda a: np.concatenate([st.dirichlet.mean(a), st.dirichlet.var(a), st.dirichlet(a).entropy()[None]]),
        (ALPHA,),
    ),
    "skewnorm": (lambda x, a: st.skewnorm.cdf(x, a), (np.array([-6.0, 0.3]), np.float64(0.5))),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_distributions_of_several_variables(name: str) -> None:
    f, args = SEVERAL[name]
    check(f, *args, directions=1, rtol=1e-6)


def test_an_expectation_is_an_integral_inside_scipy() -> None:
    m, s = 0.3, 1.2  # E x³ = m³ + 3 m s²
    found = dd.grad(lambda p: st.norm(p[0], p[1]).expect(lambda x: x**3))(np.array([m, s]))
    assert np.allclose(found, [3 * m * m + 3 * s * s, 6 * m * s], rtol=1e-9)
    for jac in (dd.jacfwd, dd.jacrev):  # of many points, for which the integrand becomes a program in the backward pass
        assert np.allclose(jac(lambda p: st.norm(p[0], p[1]).expect(lambda x: x**2))(np.array([1.2, 0.7])), [2.4, 1.4])


def test_a_covariance_of_many_scales_keeps_scipys_value() -> None:
    A = np.diag(10.0 ** np.arange(0, -12, -4)) + 1e-10
    value, pull = dd.vjp(lambda M: normal.logpdf(np.ones(3) * 1e-4, np.zeros(3), M), A)
    assert value == normal.logpdf(np.ones(3) * 1e-4, np.zeros(3), A)
    inverse, x = np.linalg.inv(A), np.full(3, 1e-4)
    want = 0.5 * (np.outer(inverse @ x, inverse @ x) - inverse)
    found = pull(1.0)[0]
    assert np.allclose(found + found.T, want + want.T, rtol=1e-6)  # the entries of both halves together


def test_second_derivatives_by_a_covariance() -> None:
    check(lambda p: normal.logpdf(DATA, np.zeros(3), covariance(p)).sum(), ENTRIES, directions=1, order=2, rtol=1e-6)


def test_what_is_not_differentiated_says_so_by_name() -> None:
    with pytest.raises(UnsupportedFunctionError, match=r"test_stats.py, line \d+.*singular"):
        dd.grad(lambda s: normal.logpdf(np.zeros(2), np.zeros(2), np.diag(np.stack([s, 0.0])), allow_singular=True))(
            1.0
        )
    with pytest.raises(DerivativeError, match=r"multivariate_normal\.cdf"):
        dd.grad(lambda m: normal.cdf(np.zeros(3), m * np.ones(3), np.eye(3)))(0.3)
    with pytest.raises(DerivativeError, match="whole numbers"):
        dd.grad(lambda n: st.binom.pmf(2, n, 0.3))(5.0)
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        dd.grad(lambda s: normal.logpdf(np.zeros(2), np.zeros(2), np.diag(np.stack([s, 0.0]))))(1.0)


def test_near_zero_the_noncentral_t_density_is_scipys_value_with_the_densitys_derivative() -> None:
    # Within 1e-8 SciPy returns the density at zero, so its own values show no slope there.
    def f(t: Any, v: Any, nc: Any) -> Any:
        return st.nct.pdf(t, v, nc)

    slopes = dd.jacobian(f, argnums=(0, 2))(0.0, 5.5, 0.7)
    for t in (2e-10, -1e-9, 5e-9, 1e-7):
        value, found = dd.value_and_jacobian(f, argnums=(0, 2))(t, 5.5, 0.7)
        assert value == f(t, 5.5, 0.7)
        np.testing.assert_allclose(found, slopes, rtol=1e-6)
    assert dd.compile(dd.value_and_grad(f))(2e-10, 5.5, 0.7)[0] == f(2e-10, 5.5, 0.7)
