"""SciPy's special functions: what is refused by name, results at special points, functions of several results, lazy tables."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import special

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from dualdiff.register import REGISTER, name_of
from dualdiff.rules.special.functions import DROP_INS

MODES = [dd.jacfwd, dd.jacrev]
modes = pytest.mark.parametrize("jac", MODES, ids=["forward", "reverse"])
nested = pytest.mark.parametrize(
    ("outer", "inner"), [(a, b) for a in MODES for b in MODES], ids=["ff", "fr", "rf", "rr"]
)
X = np.array([0.3, 1.2, 2.5])
KINDS = {"elementwise", "composite", "discrete", "refused"}


# -- the census --------------------------------------------------------------------------------------


def ufuncs() -> list[Any]:
    return [f for n in special.__all__ if isinstance(f := getattr(special, n), np.ufunc)]


def test_every_ufunc_is_in_the_register_once_and_none_is_to_come() -> None:
    assert len(ufuncs()) > 200
    assert not [name_of(f) for f in ufuncs() if f not in REGISTER]
    assert {REGISTER[f].status for f in ufuncs()} == KINDS


def test_every_argument_has_a_derivative_or_a_reason() -> None:
    """Each argument is differentiated, or refused with its name and a remedy."""
    for f in ufuncs():
        entry = REGISTER[f]
        if entry.status not in ("elementwise", "composite"):
            continue
        assert len(entry.domain if type(entry.domain) is tuple else (entry.domain,)) == f.nin, entry.name


#: the Python functions of scipy.special that people differentiate
FUNCTIONS = (
    "logsumexp softmax log_softmax softplus multigammaln polygamma zeta comb perm factorial diric lambertw spherical_jn "
    "spherical_yn spherical_in spherical_kn jvp yvp ivp kvp h1vp h2vp legendre_p assoc_legendre_p sph_legendre_p sph_harm_y"
)


def test_every_python_function_has_a_drop_in() -> None:
    here = [getattr(special, n) for n in FUNCTIONS.split() if hasattr(special, n)]
    assert not [name_of(f) for f in here if f not in DROP_INS]
    assert all(REGISTER[f].handler is not None for f in here)
    assert REGISTER[special.sinc].status == "composite"  # NumPy's own
    assert REGISTER[special.ellip_harm].status == "refused"


# -- what is refused ---------------------------------------------------------------------------------


@modes
@pytest.mark.parametrize(
    ("f", "argument"),
    [
        (lambda v: special.jv(v, 1.5), "v"),
        (lambda a: special.hyp2f1(0.5, 1.5, a, 0.3), "c"),
        (lambda v: special.pbdv(v, 0.3)[0], "v"),
        (lambda n: special.eval_genlaguerre(n, 0.5, 0.3), "n"),
        (lambda n: special.pdtr(n, 0.3), "k"),
        (lambda n: special.yn(n, 0.3), "n"),
    ],
)
def test_a_parameter_without_derivative_is_refused_by_name(jac: Any, f: Any, argument: str) -> None:
    with pytest.raises(
        UnsupportedFunctionError,
        match=rf"test_special.py, line \d+: scipy.special.\w+ has no derivative by its argument '{argument}': .*stop_gradient",
    ):
        jac(f)(2.0)


@modes
def test_the_message_names_the_way_for_a_black_box(jac: Any) -> None:
    with pytest.raises(
        UnsupportedFunctionError, match=r'dd.primitive\(scipy.special.struve, derivative="difference"\)'
    ):
        jac(lambda v: special.struve(v, 1.5))(2.0)


@modes
def test_a_parameter_that_has_no_derivative_is_fine(jac: Any) -> None:
    expected = np.diag(X**1.0 * np.exp(-X))
    np.testing.assert_allclose(jac(lambda x: special.gammainc(2.0, x))(X), expected, rtol=1e-14)
    np.testing.assert_allclose(jac(lambda x: special.gammainc(np.floor(x[0]) + 2.0, x))(X), expected, rtol=1e-14)
    np.testing.assert_allclose(
        jac(lambda x: special.gammainc(dd.stop_gradient(x[0]) - X[0] + 2.0, x))(X), expected, rtol=1e-13
    )
    np.testing.assert_allclose(jac(lambda x: special.jv(x.shape[0], x))(X), np.diag(special.jvp(3, X)), rtol=1e-14)


@modes
@pytest.mark.parametrize("f", [special.jve, special.yve, special.ive])
def test_scaled_functions_of_complex_numbers_are_refused(jac: Any, f: Any) -> None:
    with pytest.raises(UnsupportedFunctionError, match=r"of complex numbers is not holomorphic"):
        jac(lambda z: f(1, z), holomorphic=True)(0.3 + 0.2j)


@modes
def test_inverses_by_a_parameter_are_refused(jac: Any) -> None:
    with pytest.raises(
        UnsupportedFunctionError, match=r"scipy.special.bdtrik cannot be differentiated: it is the inverse"
    ):
        jac(lambda x: special.bdtrik(x, 5.0, 0.3))(0.5)


@pytest.mark.parametrize("f", [special.comb, special.perm, special.factorial])
def test_counting_in_whole_numbers_is_refused(f: Any) -> None:
    with pytest.raises(UnsupportedFunctionError, match="exact=True"):
        dd.vjp(lambda n: DROP_INS[f](*[n] * (1 if f is special.factorial else 2), exact=True), 3.0)


def test_an_order_of_a_python_function_is_refused() -> None:
    with pytest.raises(UnsupportedFunctionError, match="the order n of polygamma"):
        dd.vjp(lambda n: DROP_INS[special.polygamma](n, 1.5), 2.0)


# -- SciPy's functions with NumPy's names --------------------------------------------------------------


@modes
@pytest.mark.parametrize("name", ["log1p", "expm1", "exp2", "cbrt"])
def test_a_namesake_has_the_derivative_of_numpys(jac: Any, name: str) -> None:
    assert getattr(special, name) is not getattr(np, name)
    assert REGISTER[getattr(special, name)].name == f"scipy.special.{name}"
    assert REGISTER[getattr(np, name)].name == f"np.{name}"
    np.testing.assert_allclose(jac(getattr(special, name))(X), jac(getattr(np, name))(X), rtol=1e-15)


@modes
def test_functions_that_scipy_writes_as_objects_are_exchanged_in_plain_code(jac: Any) -> None:
    assoc = getattr(special, "assoc_legendre_p", None)  # since SciPy 1.15
    if assoc is None:
        pytest.skip("SciPy has none of them")
    np.testing.assert_allclose(jac(lambda x: special.legendre_p(2, x))(0.3), [0.9], rtol=1e-14)
    value, slope = dd.value_and_jacobian(lambda x: assoc(2, 1, x))(0.3)
    np.testing.assert_array_equal(value, assoc(2, 1, 0.3))
    np.testing.assert_allclose(slope, assoc(2, 1, 0.3, diff_n=1)[1:], rtol=1e-14)
    with pytest.raises(UnsupportedFunctionError, match=r"scipy\.special\.legendre_p_all .*all degrees at once"):
        jac(lambda x: special.legendre_p_all(2, x))(0.3)


@nested
def test_spherical_harmonics_have_second_derivatives_at_the_pole(outer: Any, inner: Any) -> None:
    harmonic = getattr(special, "sph_harm_y", None)  # since SciPy 1.15
    if harmonic is None:
        pytest.skip("SciPy has none of them")
    f = DROP_INS[harmonic]
    for n, m, second in (
        (1, 0, -np.sqrt(3 / np.pi) / 2),  # of √(3/4π) cos θ
        (1, 1, 0.0),
        (2, 2, np.sqrt(15 / np.pi / 2) / 2),  # of √(15/32π) sin²θ
        (3, 2, np.sqrt(105 / np.pi / 2) / 2),  # of √(105/32π) sin²θ cos θ
        (3, 3, 0.0),
    ):
        found = outer(inner(lambda t, n=n, m=m: np.real(f(n, m, t, 0.0))))(np.array([0.0, 1e-4]))
        assert [found[0, 0, 0], found[1, 1, 1]] == pytest.approx([second, second], rel=1e-6, abs=5e-4)
        assert found[0, 0, 0] == pytest.approx(second, rel=1e-14)


@nested
def test_incomplete_gamma_functions_have_second_derivatives_at_zero(outer: Any, inner: Any) -> None:
    for f, scale in (
        (special.gammainc, 1.0),
        (special.gammaincc, -1.0),
        (lambda a, x: special.gdtr(1.0, a, x), 1.0),
        (lambda a, x: special.chdtr(2 * a, 2 * x), 1.0),
    ):
        hessian = outer(inner(lambda v, f=f: f(v[0], v[1])))
        for a, curvature in ((1.0, -1.0), (1.5, np.inf), (2.0, 1.0), (3.0, 0.0)):  # of x^(a-1) e^-x / Γ(a)
            found, mixed = scale * hessian(np.array([a, 0.0])), -np.inf if a == 1 else 0
            assert found.tolist() == [[0, mixed], [mixed, curvature]]
    with mp.workdps(40):
        third = mp.diff(lambda a, x: mp.gammainc(a, 0, x, regularized=True), (2, 1), (1, 2), h=mp.mpf(10) ** -10)
    assert inner(lambda a: outer(lambda x: inner(lambda y: special.gammainc(a, y))(x))(1.0))(2.0) == pytest.approx(
        float(third), rel=1e-13
    )


# -- special points ------------------------------------------------------------------------------------


@nested
def test_removable_singularities(outer: Any, inner: Any) -> None:
    for f, at, first, second in (
        (special.exprel, 0.0, 1 / 2, 1 / 3),
        (lambda x: special.sici(x)[0], 0.0, 1.0, 0.0),
        (lambda x: special.shichi(x)[0], 0.0, 1.0, 0.0),
        (special.spence, 1.0, -1.0, 1 / 2),
        (special.ellipk, 0.0, np.pi / 8, 9 * np.pi / 64),
        (special.ellipe, 0.0, -np.pi / 8, -3 * np.pi / 64),
        (lambda m: special.ellipeinc(0.7, m), 0.0, -(0.7 - np.sin(1.4) / 2) / 4, None),
        (special.j1, 0.0, 1 / 2, 0.0),
        (special.i1, 0.0, 1 / 2, 0.0),
        (special.beip, 0.0, 1 / 2, 0.0),
        (special.berp, 0.0, 0.0, 0.0),
        (special.rgamma, -2.0, 2.0, None),
        (lambda x: special.boxcox(2.0, x), 0.0, np.log(2) ** 2 / 2, np.log(2) ** 3 / 3),
        (lambda x: special.inv_boxcox(0.5, x), 0.0, -np.exp(0.5) / 8, None),
        (lambda x: special.agm(x, 2.0), 2.0, 1 / 2, -1 / 16),
        (lambda x: DROP_INS[special.diric](x, 3), 0.0, 0.0, -2 / 3),
    ):
        assert inner(f)(at) == pytest.approx(first, rel=1e-14, abs=1e-15)
        if second is not None:
            assert outer(inner(f))(at) == pytest.approx(second, rel=1e-13, abs=1e-14)


@modes
def test_products_with_a_logarithm_at_zero(jac: Any) -> None:
    with np.errstate(divide="ignore"):
        assert jac(lambda v: special.xlogy(v[0], v[1]))(np.array([0.0, 2.0])).tolist() == [np.log(2.0), 0.0]
        assert jac(lambda y: special.xlogy(0.0, y))(0.0) == 0
        assert jac(lambda y: special.xlogy(-1.0, y))(0.0) == -np.inf
        assert jac(lambda y: special.xlog1py(0.0, y))(-1.0) == 0
        assert jac(lambda v: special.rel_entr(v[0], v[1]))(np.array([0.0, 2.0])).tolist() == [-np.inf, 0.0]
        assert jac(special.entr)(0.0) == np.inf
        assert np.isnan(jac(jac(lambda y: special.xlogy(0.0, y)))(0.0))


def _twin(f: Any, at: Sequence[float]) -> list[float]:
    """Return the derivatives by the first and second of two operands, and the second ones, of a function of mpmath's."""
    with mp.workdps(50):
        point, h = [mp.mpf(x) for x in at], mp.mpf(10) ** -12
        return [float(mp.diff(f, point, n, h=h)) for n in ((1, 0), (0, 1), (2, 0), (1, 1), (1, 1), (0, 2))]


_BINOMIAL: Any = (special.binom, lambda n, k: mp.gamma(n + 1) * mp.rgamma(k + 1) * mp.rgamma(n - k + 1))
_RISING: Any = (special.poch, lambda z, m: mp.gamma(z + m) * mp.rgamma(z))


@pytest.mark.parametrize(
    ("of", "at"),
    [
        *[(_BINOMIAL, p) for p in ((1, 2), (3, 5), (1, 3), (0, 2), (3, 40), (50, 60), (200, 210), (2.5, 4.5))],
        *[(_BINOMIAL, p) for p in ((-1.5, 0.5), (3, -1), (0, -1), (3.5, -2), (0, 1), (3, 4 - 1e-9))],
        *[(_RISING, p) for p in ((-2, 3), (0, 2), (-2, 1.5), (0, 0.5))],
    ],
)
def test_products_of_gamma_functions_have_slopes_where_they_are_zero(of: Any, at: tuple[float, float]) -> None:
    f, twin = of
    x = np.array(at, float)
    first, second = dd.jacfwd(lambda v: f(*v)), dd.hessian(lambda v: f(*v))
    true = _twin(twin, at)
    assert [*first(x), *second(x).ravel()] == pytest.approx(true, rel=1e-11, abs=1e-14 * np.abs(true).max())
    assert [*dd.jacrev(lambda v: f(*v))(x)] == pytest.approx(true[:2], rel=1e-11, abs=1e-14)


@nested
def test_quotients_of_two_poles_of_gamma_have_slopes(outer: Any, inner: Any) -> None:
    for f, first, second in (
        (lambda a: special.beta(a, 1.0), -1 / 4, -1 / 4),  # 1/a
        (lambda a: special.beta(3.0, a - 1), -11 / 18, -85 / 54),  # 2/(b(b+1)(b+2)), b = -3
        (lambda z: special.poch(z, 2.0), -3.0, 2.0),  # z(z+1)
    ):
        assert (inner(f)(-2.0), outer(inner(f))(-2.0)) == pytest.approx((first, second), rel=1e-13)
    assert not np.isfinite(outer(inner(lambda v: special.beta(v[0], v[1])))(np.array([-2.0, 1.0]))[0, 1])


@pytest.mark.parametrize("phi", [np.pi / 2, -np.pi / 2, 1.5 * np.pi])
def test_elliptic_integrals_have_symmetric_second_derivatives_at_quarter_turns(phi: float) -> None:
    for f, twin, power in ((special.ellipeinc, mp.ellipe, -0.5), (special.ellipkinc, mp.ellipf, 0.5)):
        mixed = power * np.sin(phi) ** 2 * (1 - 0.5 * np.sin(phi) ** 2) ** (-power - 1)
        with mp.workdps(30):
            by_m = float(mp.diff(twin, (mp.mpf(phi), 0.5), (0, 2), h=mp.mpf(10) ** -8))
        for outer, inner in ((o, i) for o in MODES for i in MODES):
            second = outer(inner(lambda v, f=f: f(v[0], v[1])))(np.array([phi, 0.5]))
            assert [second[0, 1], second[1, 0], second[1, 1]] == pytest.approx([mixed, mixed, by_m], rel=1e-13)


@modes
def test_elliptic_integrals_are_steep_without_bound_where_they_are(jac: Any) -> None:
    for f, at, slope in (
        (special.elliprd, (0.0, 2.0, 1.0), -np.inf),
        (special.elliprj, (0.0, 1.0, 2.0, 3.0), -np.inf),
        (special.elliprc, (0.0, 1.0), -np.inf),
        (special.elliprg, (0.0, 0.0, 1.0), np.inf),
    ):
        assert jac(lambda x, f=f, at=at: f(x, *at[1:]))(at[0]) == slope
    assert jac(jac(special.ellipe))(1.0) == -np.inf
    assert jac(jac(lambda x: special.elliprf(x, 1.0, 1.0)))(0.0) == np.inf


@nested
def test_carlsons_integrals_with_operands_of_zero_and_left_of_it(outer: Any, inner: Any) -> None:
    r = np.arctanh(1 / np.sqrt(3)) / np.sqrt(3)  # R_C(1, -2)
    for f, at, first, second in (
        (lambda z: special.elliprg(0.0, 0.0, z), 1.0, 1 / 4, -1 / 8),  # √z/2
        (lambda x: special.elliprg(x, 1.0, 1.0), 0.0, np.pi / 8, -np.inf),
        (lambda p: special.elliprj(0.0, 1.0, 1.0, p), 1.0, -9 * np.pi / 16, None),
        (lambda x: special.elliprc(x, -2.0), 1.0, (1 - r) / 6, None),
        (lambda y: special.elliprc(1.0, y), -2.0, r / 4 + (1 - r) / 12, None),
        (lambda x: special.elliprd(x, 2.0, 1.0), 1e-100, -1.5e50 / np.sqrt(2), None),
    ):
        assert inner(f)(at) == pytest.approx(first, rel=1e-13)
        if second is not None:
            assert outer(inner(f))(at) == pytest.approx(second, rel=1e-13)


@modes
def test_a_logarithm_that_scipy_uses_itself(jac: Any) -> None:
    log1mexp = getattr(special._ufuncs, "_log1mexp", None)
    if log1mexp is None:
        pytest.skip("this SciPy has it not")
    assert jac(log1mexp)(-0.5) == pytest.approx(-1 / np.expm1(0.5), rel=1e-14)


@pytest.mark.parametrize("z", [0.7 + 1.3j, 20.0 - 3.0j, -2.5 + 0.5j])
def test_psi_of_complex_numbers(z: complex) -> None:
    slope = dd.jacobian(special.psi, holomorphic=True)
    assert slope(z) == pytest.approx(complex(mp.psi(1, z)), rel=1e-13)
    assert dd.jacobian(slope, holomorphic=True)(z) == pytest.approx(complex(mp.psi(2, z)), rel=1e-13)


@modes
@pytest.mark.filterwarnings("error")
def test_poles_warn_of_nothing(jac: Any) -> None:
    assert jac(special.k1)(0.0) == -np.inf
    assert jac(special.k1)(np.array([0.0, 1.0]))[0, 0] == -np.inf


@modes
def test_degrees_of_an_array_have_each_its_slope(jac: Any) -> None:
    slopes = jac(lambda x: special.eval_hermite(np.array([0, 1, 2, 3]), x))(0.3)
    np.testing.assert_allclose(slopes, [0, 2, 8 * 0.3, 24 * 0.3**2 - 12], rtol=1e-14)


@modes
def test_kinks(jac: Any) -> None:
    assert jac(lambda r: special.huber(1.0, r))(1.0) == 1
    assert jac(jac(lambda r: special.huber(1.0, r)))(1.0) == 0.5
    assert jac(special.i0e)(0.0) == 0
    assert jac(special.round)(0.5) == 0
    assert jac(special.gammasgn)(-0.5) == 0


@modes
def test_sums_of_exponentials_at_infinity(jac: Any) -> None:
    f = DROP_INS[special.logsumexp]
    assert jac(f)(np.array([-np.inf, -np.inf])).tolist() == [0.5, 0.5]
    assert jac(f)(np.array([np.inf, 1.0])).tolist() == [1, 0]
    assert jac(f)(np.array([1000.0, -1000.0])).tolist() == [1, 0]
    assert f(np.array([1.0, 2.0]), b=np.array([1.0, 0.0])) == 1


@nested
@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["plain", "with its sign"])
def test_a_weight_of_zero_in_a_sum_of_exponentials_has_its_slope(outer: Any, inner: Any, sign: float) -> None:
    def f(v: Any) -> Any:
        if sign > 0:
            return DROP_INS[special.logsumexp](v[:2], b=v[2:])
        return DROP_INS[special.logsumexp](v[:2], b=-v[2:], return_sign=True)[0]

    share = np.exp([1.0, 2.0]) / (3 * np.exp(2.0))  # by the weights
    v = np.array([1.0, 2.0, 0.0, 3.0])
    np.testing.assert_allclose(inner(f)(v), [0, 1, *share], rtol=1e-14)
    np.testing.assert_allclose(dd.compile(inner(f))(v), [0, 1, *share], rtol=1e-14)
    second = np.zeros((4, 4))
    second[2:, 2:] = -np.outer(share, share)
    second[0, 2] = second[2, 0] = share[0]
    second[1, 2] = second[2, 1] = -share[0]
    np.testing.assert_allclose(outer(inner(f))(v), second, rtol=1e-14, atol=1e-16)
    # what a weight of 0 stands before has no part in the value, however large
    assert inner(lambda a: DROP_INS[special.logsumexp](a, b=v[2:]))(np.array([1e3, 2.0])).tolist() == [0, 1]


# -- several results -----------------------------------------------------------------------------------


@nested
def test_functions_of_several_results(outer: Any, inner: Any) -> None:
    def wronskian(x: Any) -> Any:
        ai, aip, bi, bip = special.airy(x)
        return ai * bip - aip * bi

    assert inner(wronskian)(0.7) == pytest.approx(0, abs=1e-15)
    s = outer(inner(lambda u: special.ellipj(u, 0.3)[0]))(0.7)
    sn, cn, dn, _ = special.ellipj(0.7, 0.3)
    assert s == pytest.approx(-sn * dn**2 - 0.3 * sn * cn**2, rel=1e-13)
    assert inner(lambda m: special.ellipj(special.ellipkinc(0.7, m), m)[3])(0.3) == pytest.approx(0, abs=1e-15)


@modes
def test_ufuncs_of_several_operands_take_out_and_where(jac: Any) -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        special.betainc(1.5, 2.5, x / 3, out=y, where=np.array([True, False, True]))
        return y

    slope = X / 3
    density = slope**0.5 * (1 - slope) ** 1.5 / special.beta(1.5, 2.5) / 3
    np.testing.assert_allclose(np.diag(jac(f)(X)), density * [1, 0, 1], rtol=1e-13)


def test_mixed_precision_follows_scipy() -> None:
    x = np.float32([0.3, 0.7])
    for f in (special.expit, special.gammaln, lambda x: special.betainc(1.5, 2.5, x), lambda x: special.jv(1.5, x)):
        value, pull = dd.vjp(f, x)
        assert value.dtype == f(x).dtype
        assert pull(np.ones_like(value))[0].dtype == np.float32


# -- the tables are loaded when they are needed --------------------------------------------------------


def run(*lines: str) -> str:
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_tables_come_with_the_first_special_function() -> None:
    said = run(
        "import sys, numpy as np, dualdiff as dd",
        "dd.grad(lambda x: np.sum(np.exp(x)))(np.ones(3))",
        "print('scipy.special' in sys.modules, 'dualdiff.rules.special' in sys.modules)",
        "from scipy import special",
        "print(dd.grad(special.expit)(0.0), 'dualdiff.rules.special' in sys.modules)",
    )
    assert said.split() == ["False", "False", "0.25", "True"]


def test_the_first_meeting_is_as_every_other() -> None:
    said = run(
        "import numpy as np, dualdiff as dd",
        "from scipy import special",
        "f = lambda x: special.xlogy(np.linalg.norm(x) ** 2, 2.0)",
        "print(dd.hessian(f)(np.zeros(1)) == dd.hessian(f)(np.zeros(1)))",
    )
    assert said == "[[ True]]"


def test_a_row_pickles_into_a_process_that_has_not_met_it() -> None:
    row = REGISTER[special.ndtr].primitive
    assert pickle.loads(pickle.dumps(row)) is row
    assert run(f"import pickle, dualdiff; print(pickle.loads({pickle.dumps(row)!r}).name)") == "scipy.special.ndtr"


@pytest.mark.parametrize("kind", ["jn", "yn", "in", "kn"])
@pytest.mark.parametrize("n", [np.int64(2), np.array([0, 1, 4])])
def test_orders_leave_single_precision_single(kind: str, n: Any) -> None:
    ufunc = getattr(special._ufuncs, f"_spherical_{kind}")
    x = np.array([0.25, 0.5, 2.0], np.float32)
    y, t = dd.jvp(lambda x: ufunc(n, x), (x,), (np.ones_like(x),))
    (g,) = dd.vjp(lambda x: ufunc(n, x), x)[1](np.ones_like(y))
    assert y.dtype == t.dtype == ufunc(n, x).dtype  # of SciPy 1.13 double precision
    assert g.dtype == np.float32
    slope = getattr(special, f"spherical_{kind}")(n, x.astype(float), derivative=True)
    np.testing.assert_allclose(t, slope, rtol=1e-5)
    np.testing.assert_allclose(g, slope, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning")
@pytest.mark.parametrize("kind", ["jn", "yn", "in"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_spherical_bessel_functions_left_of_zero_have_the_parity_of_their_order(kind: str, n: int) -> None:
    x = np.array([-2.5, -0.75, 1.5])

    def f(x: Any) -> Any:
        return getattr(special, f"spherical_{kind}")(n, x)

    if np.isnan(f(x)).any():
        pytest.skip("this SciPy has no values there")
    y, t = dd.jvp(dd.capture(f), (x,), (np.ones_like(x),))
    np.testing.assert_allclose(y, f(x), rtol=1e-13)
    h = 1e-5
    np.testing.assert_allclose(t, (f(x + h) - f(x - h)) / (2 * h), rtol=1e-7)
