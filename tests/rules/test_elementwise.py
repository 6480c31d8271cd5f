"""Special points of the elementwise rules, worked by hand: kinks, ties, poles, infinities, complex numbers, dtypes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import TracedAssignmentError, UnsupportedFunctionError
from tests.versions import NUMPY

INF, NAN = math.inf, math.nan
MODES = [dd.jacfwd, dd.jacrev]
NESTED = [(a, b) for a in MODES for b in MODES]
modes = pytest.mark.parametrize("jac", MODES, ids=["forward", "reverse"])
nested = pytest.mark.parametrize(("outer", "inner"), NESTED, ids=["ff", "fr", "rf", "rr"])


def both(f: Any, x: Any) -> Any:
    """Return the Jacobian, the same in both modes."""
    forward, reverse = dd.jacfwd(f)(x), dd.jacrev(f)(x)
    np.testing.assert_array_equal(forward, reverse)
    return forward


def slope(f: Any, x: Any) -> Any:
    """Return the derivative of an elementwise function of a vector."""
    return np.diagonal(both(f, np.array(x))).tolist()


def test_derivatives_at_kinks() -> None:
    assert slope(np.abs, [-2.0, 0.0, 3.0]) == [-1, 0, 1]
    assert slope(np.fabs, [-2.0, 0.0]) == [-1, 0]
    assert slope(lambda x: np.copysign(x, -1.0), [2.0, 0.0, -2.0]) == [-1, 0, 1]
    assert slope(lambda x: np.maximum(x, 0), [-1.0, 0.0, 1.0]) == [0, 0.5, 1]
    assert slope(lambda x: np.minimum(x, 0), [-1.0, 0.0, 1.0]) == [1, 0.5, 0]
    assert slope(lambda x: np.clip(x, 0, 1), [-1.0, 0.0, 0.5, 1.0, 2.0]) == [0, 0.5, 1, 0.5, 0]
    assert slope(np.sign, [-1.0, 0.0, 1.0]) == [0, 0, 0]


@pytest.mark.parametrize("f", [np.maximum, np.minimum, np.fmax, np.fmin])
def test_ties_split_evenly(f: Any) -> None:
    assert both(lambda v: f(v[0], v[1]), np.array([2.0, 2.0])).tolist() == [0.5, 0.5]
    assert both(lambda v: f(v[0], v[1]), np.array([INF, INF])).tolist() == [0.5, 0.5]
    assert both(lambda v: f(v[0], v[1]), np.array([-INF, 1.0])).tolist() in ([0, 1], [1, 0])


def test_nan_operands_of_extremes() -> None:
    assert both(lambda v: np.fmax(v[0], v[1]), np.array([NAN, 1.0])).tolist() == [0, 1]
    assert both(lambda v: np.fmin(v[0], v[1]), np.array([1.0, NAN])).tolist() == [1, 0]
    assert both(lambda v: np.maximum(v[0], v[1]), np.array([NAN, 1.0])).tolist() == [1, 1]  # the value is NaN


def test_clip_passes_the_other_half_to_the_bound() -> None:
    def f(v: Any) -> Any:
        return np.clip(v[0], v[1], v[2])

    assert both(f, np.array([0.0, 0.0, 1.0])).tolist() == [0.5, 0.5, 0]
    assert both(f, np.array([1.0, 0.0, 1.0])).tolist() == [0.5, 0, 0.5]
    assert both(f, np.array([2.0, 0.0, 1.0])).tolist() == [0, 0, 1]


def test_clip_takes_what_numpy_takes() -> None:
    x = np.array([-1.0, 0.5, 2.0])
    if NUMPY >= (2, 1):
        assert slope(lambda x: np.clip(x, min=0.0), x) == [0, 1, 1]
        assert slope(lambda x: np.clip(x, max=1.0), x) == [1, 1, 0]
        assert slope(lambda x: np.clip(x), x) == [1, 1, 1]
    assert slope(lambda x: np.clip(x, None, 1), x) == [1, 1, 0]
    assert slope(lambda x: x.clip(0), x) == [0, 1, 1]
    assert slope(lambda x: x.clip(max=1), x) == [1, 1, 0]
    with pytest.raises(TypeError, match="missing"):
        dd.jacrev(lambda x: np.clip(x, 0))(x)
    with pytest.raises(ValueError, match="forbidden"):
        dd.jacrev(lambda x: np.clip(x, 0, 1, max=2))(x)
    with pytest.raises(UnsupportedFunctionError, match=r"test_elementwise.py, line \d+: np.clip with dtype="):
        dd.jacrev(lambda x: np.clip(x, 0, 1, dtype=float))(x)


# -- power -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "x", "expected"),
    [
        (2, [0.0, -3.0], [0, -6]),
        (3, [0.0, -2.0], [0, 12]),
        (1, [0.0, -2.0], [1, 1]),
        (0, [0.0, -2.0], [0, 0]),
        (0.0, [0.0, 2.0], [0, 0]),
        (-1, [2.0, -0.5], [-0.25, -4]),
        (-2, [2.0], [-0.25]),
        (0.5, [4.0, 0.0], [0.25, INF]),
        (2.0, [-3.0], [-6]),
        (np.float64(2.0), [-3.0], [-6]),
        (np.int64(3), [-2.0], [12]),
    ],
)
def test_powers_with_a_constant_exponent(n: Any, x: list[float], expected: list[float]) -> None:
    assert slope(lambda x: x**n, x) == expected
    assert slope(lambda x: np.power(x, n), x) == expected


def test_powers_with_arrays_of_exponents() -> None:
    x = np.array([0.0, 0.0, -2.0, -2.0, 5.0])
    for kind in (np.int64, np.float64, np.uint8):
        n = np.array([0, 1, 2, 3, 0], dtype=kind)
        assert slope(lambda x, n=n: x**n, x) == [0, 1, -4, 12, 0]


def test_power_of_scalars() -> None:
    for x, n, d in ((0.0, 2, 0.0), (0.0, 1, 1.0), (0.0, 0, 0.0), (-2.0, 3, 12.0), (0.0, 0.5, INF), (2.0, -1, -0.25)):
        assert both(lambda x, n=n: x**n, x) == d
    assert both(lambda y: 0.0**y, 2.0) == 0
    assert both(lambda y: 2**y, 3.0) == pytest.approx(8 * math.log(2))


def test_power_in_the_exponent() -> None:
    base = np.array([0.0, 1.0, 2.0, -1.0])
    with np.errstate(invalid="ignore"):
        got = slope(lambda y: base**y, [2.0, 2.0, 2.0, 2.0])
    np.testing.assert_allclose(got[:3], [0, 0, 4 * math.log(2)])
    assert math.isnan(got[3])  # no real power nearby
    assert both(lambda v: v[0] ** v[1], np.array([0.0, 2.0])).tolist() == [0, 0]


@nested
def test_second_derivatives_of_power(outer: Any, inner: Any) -> None:
    def hessian(x: Any) -> Any:
        return outer(inner(lambda v: v[0] ** v[1]))(np.array(x))

    # d²/dxdy x^y = x^(y-1) (1 + y log x)
    np.testing.assert_allclose(hessian([2.0, 0.0]), [[0, 0.5], [0.5, math.log(2) ** 2]], atol=1e-15)
    np.testing.assert_allclose(hessian([2.0, 3.0])[0, 1], 4 * (1 + 3 * math.log(2)))
    assert outer(inner(lambda x: x**2))(0.0) == 2
    assert outer(inner(lambda x: x**1))(0.0) == 0
    assert outer(inner(lambda x: x**0))(0.0) == 0
    assert outer(inner(lambda x: x**3))(-2.0) == -12


def test_integer_bases_keep_float32() -> None:
    y = np.array([1.0, 2.0], dtype=np.float32)
    assert dd.jacrev(lambda y: 2**y)(y).dtype == np.float32
    assert dd.jacfwd(lambda y: y**2 / 3 + np.maximum(y, 1.5))(y).dtype == np.float32


# -- poles, overflow, infinities --------------------------------------------------------------------


def test_infinite_slopes_stay_on_the_diagonal() -> None:
    x = np.array([0.0, 4.0])
    assert both(np.sqrt, x).tolist() == [[INF, 0], [0, 0.25]]
    assert both(np.cbrt, np.array([0.0, 8.0])).tolist()[0] == [INF, 0]
    assert both(np.arcsin, np.array([1.0, 0.0])).tolist() == [[INF, 0], [0, 1]]


def test_log_at_a_python_zero() -> None:
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert both(np.log, 0.0) == INF


@nested
def test_logaddexp_where_naive_forms_fail(outer: Any, inner: Any) -> None:
    for f in (np.logaddexp, np.logaddexp2):
        for point, weights in (
            ([1000.0, -1000.0], [1, 0]),
            ([-INF, -INF], [0.5, 0.5]),
            ([INF, INF], [0.5, 0.5]),
            ([-INF, 1.0], [0, 1]),
            ([INF, 1.0], [1, 0]),
            ([1e15, 1e15], [0.5, 0.5]),
        ):
            x = np.array(point)
            np.testing.assert_allclose(inner(lambda v, f=f: f(v[0], v[1]))(x), weights, rtol=1e-15)
            assert np.isfinite(outer(inner(lambda v, f=f: f(v[0], v[1])))(x)).all()
    np.testing.assert_allclose(
        outer(inner(lambda v: np.logaddexp(v[0], v[1])))(np.ones(2)), [[0.25, -0.25], [-0.25, 0.25]]
    )


@nested
def test_radii_at_the_origin(outer: Any, inner: Any) -> None:
    zero = np.zeros(2)
    for f in (np.hypot, np.arctan2):
        assert inner(lambda v, f=f: f(v[0], v[1]))(zero).tolist() == [0, 0]
        assert np.isnan(outer(inner(lambda v, f=f: f(v[0], v[1])))(zero)).all()
    tiny = np.array([3e-200, 4e-200])
    np.testing.assert_allclose(inner(lambda v: np.hypot(v[0], v[1]))(tiny), [0.6, 0.8])
    np.testing.assert_allclose(inner(lambda v: np.arctan2(v[0], v[1]))(tiny), [1.6e199, -1.2e199])


@nested
def test_sinc_at_zero_to_every_order(outer: Any, inner: Any) -> None:
    assert inner(np.sinc)(0.0) == 0
    assert outer(inner(np.sinc))(0.0) == pytest.approx(-(math.pi**2) / 3, rel=1e-15)
    assert inner(outer(inner(np.sinc)))(0.0) == pytest.approx(0, abs=1e-15)
    assert outer(inner(outer(inner(np.sinc))))(0.0) == pytest.approx(math.pi**4 / 5, rel=1e-15)
    x = np.array([0.0, 1e-9, 0.3, 0.7, 1.0, -2.5])
    u = math.pi * x[2:]
    first = (np.cos(u) - np.sin(u) / u) / x[2:]
    np.testing.assert_allclose(np.diagonal(inner(np.sinc)(x))[2:], first, rtol=1e-13)
    assert np.diagonal(inner(np.sinc)(x))[1] == pytest.approx(-(math.pi**2) / 3 * 1e-9)
    third = np.array([inner(outer(inner(np.sinc)))(v) for v in x[2:]])
    s, c = np.sin(u), np.cos(u)
    np.testing.assert_allclose(third, math.pi**3 * (-c / u + 3 * s / u**2 + 6 * c / u**3 - 6 * s / u**4), rtol=1e-11)


@nested
def test_both_modes_find_infinite_second_derivatives_at_the_ends_of_arc_functions(outer: Any, inner: Any) -> None:
    for f, at, sign in ((np.arcsin, 1.0, 1), (np.arccos, 1.0, -1), (np.arctanh, 1.0, 1), (np.arccosh, 1.0, -1)):
        with np.errstate(divide="ignore"):
            assert outer(inner(f))(at) == sign * np.inf
    for f, second in (
        (np.arcsin, 0.6 / 0.8**3),
        (np.arccos, -0.6 / 0.8**3),
        (np.arctanh, 1.2 / 0.64**2),
        (lambda x: np.arccosh(x + 0.65), -1.25 / 0.75**3),
    ):
        for found in (outer(inner(f)), dd.compile(outer(inner(f)))):
            assert found(0.6) == pytest.approx(second, rel=1e-14)


@nested
def test_bessel_at_zero(outer: Any, inner: Any) -> None:
    assert inner(np.i0)(0.0) == 0
    assert outer(inner(np.i0))(0.0) == 0.5


# -- remainders and parts ---------------------------------------------------------------------------


def test_remainders() -> None:
    assert both(lambda x: 5 % x, 2.0) == -2
    assert both(lambda x: -5 % x, 2.0) == 3
    assert both(lambda x: np.fmod(-5, x), 2.0) == 2
    # 1 / 0.1 rounds to 10, but the remainder was taken with 9 periods
    assert both(lambda x: 1.0 % x, 0.1) == -9
    assert both(lambda x: np.fmod(1.0, x), 0.1) == -9
    assert both(lambda x: np.remainder(x, INF), 3.0) == 1
    assert both(lambda x: x // 2, 5.0) == 0


@modes
def test_several_results(jac: Any) -> None:
    x = np.array([2.75, -3.5])
    fraction, whole = jac(lambda x: np.modf(x))(x)
    assert fraction.tolist() == [[1, 0], [0, 1]]
    assert not whole.any()
    assert jac(lambda x: np.frexp(x)[0])(x).tolist() == [[0.25, 0], [0, 0.25]]
    quotient, rest = jac(lambda x: np.divmod(7.0, x))(x)
    assert not quotient.any()
    assert rest.tolist() == [[-2, 0], [0, 2]]
    assert np.frexp(dd.stop_gradient(x))[1].tolist() == [2, 2]
    np.testing.assert_array_equal(dd.vjp(lambda x: np.modf(x), np.array([-0.0, INF]))[0][0], [-0.0, 0])


def test_heaviside() -> None:
    assert slope(lambda h: np.heaviside(np.array([-1.0, 0.0, 1.0]), h), [0.5, 0.5, 0.5]) == [0, 1, 0]
    assert slope(lambda x: np.heaviside(x, 0.5), [-1.0, 0.0, 1.0]) == [0, 0, 0]


# -- selection --------------------------------------------------------------------------------------


@nested
def test_the_untaken_branch_gets_exactly_zero(outer: Any, inner: Any) -> None:
    x = np.array([-1.0, 0.0, 4.0])

    def root(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.where(x > 0, np.sqrt(x), 0.0)

    def log(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.where(x > 0, np.log(x), -x)

    assert np.diagonal(inner(root)(x)).tolist() == [0, 0, 0.25]
    assert np.diagonal(inner(log)(x)).tolist() == [-1, -1, 0.25]
    second = outer(inner(root))(x)
    assert second[2, 2, 2] == -1 / 32
    assert np.count_nonzero(second) == 1
    assert outer(inner(log))(x)[2, 2, 2] == -1 / 16


@modes
def test_where_of_anything(jac: Any) -> None:
    x = np.array([1.0, 2.0])
    assert jac(lambda x: np.where(x > 1, 3, x))(x).tolist() == [[1, 0], [0, 0]]
    assert jac(lambda x: np.where([1, 0], x, [x[1], x[0]]))(x).tolist() == [[1, 0], [1, 0]]
    assert jac(lambda x: np.where(x, x[:, None], 0.0))(x).shape == (2, 2, 2)
    assert jac(lambda x: np.where(x - 1, 2 * x, 3 * x))(x).tolist() == [[3, 0], [0, 2]]
    assert not jac(lambda x: np.where(x > 1, 1.0, 2.0))(x).any()
    assert jac(lambda x: x[np.where(x > 1)])(x).tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="neither"):
        jac(lambda x: np.where(x > 1, x))(x)


@modes
def test_piecewise_and_select(jac: Any) -> None:
    x = np.array([-2.0, 0.5, 3.0])

    def pieces(x: Any) -> Any:
        return np.piecewise(x, [x < 0, x > 1], [lambda t, a: a * t, 7.0, lambda t, a: t**2], 3.0)

    assert np.diagonal(jac(pieces)(x)).tolist() == [3, 1, 0]
    np.testing.assert_array_equal(dd.vjp(pieces, x)[0], pieces(x))
    assert jac(lambda x: np.piecewise(x, x > 0, [np.square]))(2.0) == 4
    chosen = jac(lambda x: np.select([x < 0, x < 1], [x * x, 2 * x], default=5 * x))(x)
    assert np.diagonal(chosen).tolist() == [-4, 2, 5]
    with pytest.raises(ValueError, match="functions are expected"):
        jac(lambda x: np.piecewise(x, [x < 0], [1, 2, 3]))(x)
    with pytest.raises(TypeError, match="should be boolean"):
        jac(lambda x: np.select([x], [x]))(x)


@modes
def test_nan_to_num(jac: Any) -> None:
    x = np.array([NAN, 1.0, INF, -INF])
    got = jac(np.nan_to_num)(x)
    assert np.count_nonzero(got) == 1
    assert got[1, 1] == 1
    np.testing.assert_array_equal(dd.vjp(np.nan_to_num, x)[0], np.nan_to_num(x))

    def in_place(x: Any) -> Any:
        y = x * 1.0
        np.nan_to_num(y, copy=False, nan=-1.0, posinf=9.0)
        return y

    assert np.diagonal(jac(in_place)(x)).tolist() == [0, 1, 0, 0]
    np.testing.assert_array_equal(dd.vjp(in_place, x)[0][:3], [-1, 1, 9])


# -- complex numbers --------------------------------------------------------------------------------


def real_jacobian(f: Any, z: complex) -> Any:
    """Return the 2 × 2 Jacobian over the real and imaginary parts."""

    def over_reals(v: Any) -> Any:
        w = f(v[0] + 1j * v[1])
        return np.stack([np.real(w), np.imag(w)])

    return both(over_reals, np.array([z.real, z.imag]))


def test_parts_of_complex_numbers() -> None:
    z = 3 + 4j
    np.testing.assert_allclose(real_jacobian(np.conj, z), [[1, 0], [0, -1]])
    np.testing.assert_allclose(real_jacobian(np.real, z), [[1, 0], [0, 0]])
    np.testing.assert_allclose(real_jacobian(np.imag, z), [[0, 1], [0, 0]])
    np.testing.assert_allclose(real_jacobian(np.abs, z), [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(real_jacobian(np.angle, z), [[-4 / 25, 3 / 25], [0, 0]])
    np.testing.assert_allclose(real_jacobian(np.sign, z), np.array([[16, -12], [-12, 9]]) / 125)
    assert real_jacobian(np.abs, 0j).tolist() == [[0, 0], [0, 0]]


def test_the_gradient_of_a_complex_absolute_value_is_an_adjoint() -> None:
    value, pull = dd.vjp(lambda z: np.abs(z) ** 2, 1 + 2j)
    assert value == pytest.approx(5)
    assert pull(1.0)[0] == pytest.approx(2 + 4j)


@nested
def test_second_derivatives_through_complex_numbers(outer: Any, inner: Any) -> None:
    def f(v: Any) -> Any:
        return np.abs(v[0] + 1j * v[1])

    x, y = 3.0, 4.0
    expected = np.array([[y * y, -x * y], [-x * y, x * x]]) / 125
    np.testing.assert_allclose(outer(inner(f))(np.array([x, y])), expected, rtol=1e-12)
    assert np.isnan(outer(inner(f))(np.zeros(2))).all()


def test_writes_through_real_and_imaginary_parts_reach_the_complex_array() -> None:
    def f(x: Any) -> Any:
        z = x + 1j * x
        re, im = z.real, z[::-1].imag
        re[0] = x[1] ** 2
        im[0] *= 3.0
        return np.stack([np.real(z), np.imag(z), re, im[::-1]])

    x = np.array([1.5, 2.0])
    rows = np.array([[[0, 4], [0, 1]], [[1, 0], [0, 3]]])
    for jac in MODES:
        np.testing.assert_allclose(jac(f)(x), np.concatenate([rows, rows]))


# -- dtypes -----------------------------------------------------------------------------------------


def test_astype() -> None:
    x = np.array([1.5, -2.0])
    for dtype in (np.float32, np.longdouble, complex):
        assert dd.vjp(lambda x, d=dtype: x.astype(d), x)[0].dtype == dtype
        assert np.diagonal(both(lambda x, d=dtype: np.real(x.astype(d) ** 2), x)).tolist() == [3, -4]
    assert slope(lambda x: x.astype(int) * x, x) == [1, -2]
    assert slope(lambda x: (x > 0).astype(float) * x, x) == [1, 0]
    assert slope(lambda x: x.astype(float, copy=False), x) == [1, 1]
    with pytest.raises(TypeError, match="according to the rule"):
        dd.jacrev(lambda x: x.astype(np.float32, casting="safe"))(x)
    with pytest.raises(UnsupportedFunctionError, match=r"test_elementwise.py, line \d+: astype\(object\)"):
        dd.jacrev(lambda x: x.astype(object))(x)


def test_astype_without_copy_is_the_same_array() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        y.astype(float, copy=False)[0] = 7.0
        y.astype(float)[1] = 7.0
        return y

    assert slope(f, [1.0, 2.0]) == [0, 1]


@modes
def test_astype_from_complex_takes_the_real_part(jac: Any) -> None:
    with pytest.warns(np.exceptions.ComplexWarning):
        assert jac(lambda x: (x * (2 + 3j)).astype(float))(1.0) == 2


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")
def test_rounding_has_derivative_zero() -> None:
    x = np.array([1.26, -2.5])
    for f in (np.round, np.around, np.rint, np.floor, np.ceil, np.trunc, np.fix, lambda x: np.round(x, 1)):
        assert not both(f, x).any()
        np.testing.assert_array_equal(dd.vjp(f, x)[0], f(x))
    assert both(lambda x: round(x, 1), 1.26) == 0


# -- discrete values --------------------------------------------------------------------------------


QUESTIONS: list[Any] = [
    lambda x: np.argmax(x, axis=1),
    lambda x: np.argmin(x, None),
    lambda x: np.argsort(x, axis=0, kind="stable"),
    lambda x: np.argpartition(x, 1, axis=-1)[:, 1],
    lambda x: np.nanargmax(x),
    lambda x: np.argwhere(x > 1),
    lambda x: np.flatnonzero(x - 1),
    lambda x: np.nonzero(x > 1)[1],
    lambda x: (x > 1).nonzero()[0],
    lambda x: np.where(x > 1)[0],
    lambda x: np.count_nonzero(x > 1, axis=0),
    lambda x: np.any(x > 3, axis=1, keepdims=True),
    lambda x: np.all(x > 3),
    lambda x: np.searchsorted(np.sort(x.reshape(-1)), [1.5, 2.5], side="right"),
    lambda x: np.searchsorted([0.0, 2.0], x[0]),
    lambda x: np.digitize(x, np.array([0.0, 2.0])),
    lambda x: np.lexsort((x[0], x[1])),
    lambda x: np.isin(x, [1.0, 3.0]),
    lambda x: np.isclose(x, 1.0),
    lambda x: np.isreal(x),
    lambda x: np.isposinf(x),
    lambda x: np.isnan(x) | np.isinf(x) | ~np.isfinite(x) | np.signbit(x),
    lambda x: np.logical_xor(x > 1, x > 2),
    lambda x: np.left_shift(np.argsort(x), 1),
    lambda x: np.sign(x).astype(int),
    lambda x: np.frexp(x)[1],
]


@pytest.mark.parametrize("f", QUESTIONS)
@modes
def test_discrete_results(jac: Any, f: Any) -> None:
    x = np.array([[3.0, 1.0, 2.0], [1.5, 4.0, -1.0]])

    def g(x: Any) -> Any:
        found = f(x)
        assert found.dtype == f(dd.stop_gradient(x)).dtype
        return np.sum(x) * found

    value = np.asarray(f(x))
    got = jac(g)(x)
    np.testing.assert_array_equal(got, np.multiply.outer(value, np.ones(x.shape)))


@modes
def test_discrete_results_that_are_python_values(jac: Any) -> None:
    x = np.array([3.0, 1.0])

    def f(x: Any) -> Any:
        assert np.allclose(x, x + 1e-12)
        assert not np.array_equal(x, x + 1)
        assert np.array_equiv(x, x)
        assert f"{np.argmax(x):02d}" == "00"
        assert float(np.floor(x[0] / 2)) == 1.0
        assert np.asarray(np.rint(x), dtype=float).tolist() == [3, 1]
        return x[int(np.argmin(x))] * math.floor(x[0])

    assert jac(f)(x).tolist() == [0, 3]


@modes
def test_questions_about_shape_and_dtype_are_answered_at_once(jac: Any) -> None:
    def f(x: Any) -> Any:
        assert np.shape(x) == (2, 3)
        assert (np.ndim(x), np.size(x), np.size(x, 1)) == (2, 6, 3)
        assert np.result_type(x, np.float32) == np.float64
        assert np.result_type(x[0, 0].astype(np.float32), 1.0) == np.float32
        assert np.can_cast(x.dtype, complex)
        assert np.common_type(x) is np.float64
        assert not np.iscomplexobj(x)
        assert np.isrealobj(x)
        assert np.iscomplexobj(x + 1j)
        assert np.may_share_memory(x, x[0])
        assert not np.shares_memory(x, x * 2)
        assert type(np.shape(x)) is tuple
        return np.sum(x)

    assert jac(f)(np.ones((2, 3))).shape == (2, 3)


def test_comparisons_steer_and_leave_guards() -> None:
    def f(x: Any) -> Any:
        return x * x if np.any(x > 1) else -x

    assert slope(f, [0.0, 2.0]) == [0, 4]
    assert slope(f, [0.0, 1.0]) == [-1, -1]


# -- destinations -----------------------------------------------------------------------------------


@modes
@pytest.mark.parametrize(
    "f",
    [
        lambda x, buffer: np.clip(x, 0, 1, out=buffer),
        lambda x, buffer: np.clip(x, 0, 1, buffer),
        lambda x, buffer: x.clip(0, 1, out=buffer),
    ],
)
def test_plain_destinations_are_refused(jac: Any, f: Any) -> None:
    with pytest.raises(TracedAssignmentError, match=r"test_elementwise.py, line \d+: np.clip.*plain array"):
        jac(dd.capture(lambda x: f(x, np.empty(2)), "never"))(np.ones(2))


@modes
def test_discrete_results_may_go_into_plain_arrays(jac: Any) -> None:
    def f(x: Any) -> Any:
        buffer = np.empty(2)
        mask = np.empty(2, dtype=bool)
        assert np.round(x, out=buffer) is buffer or jac is dd.jacfwd
        np.any(np.stack([x, x]) > 1, axis=0, out=mask)
        assert buffer.tolist() == [1, 2]
        assert mask.tolist() == [False, True]
        return x * buffer

    assert jac(f)(np.array([1.0, 2.25])).tolist() == [[1, 0], [0, 2]]


@modes
def test_traced_destinations_are_written(jac: Any) -> None:
    def f(x: Any) -> Any:
        y = np.empty_like(x)
        assert np.clip(x, 0, 1, out=y) is y
        return y

    assert np.diagonal(jac(f)(np.array([0.5, 2.0]))).tolist() == [1, 0]


def test_the_slope_of_tanh_near_one_in_a_matrix() -> None:
    x = np.array([[0.3, 20.0, -0.1], [5.0, -20.0, 1.0]])
    wanted = [[1 / math.cosh(t) ** 2 for t in row] for row in x.tolist()]
    np.testing.assert_allclose(np.diag(both(np.tanh, x).reshape(6, 6)).reshape(2, 3), wanted, rtol=1e-14)
    assert both(np.tanh, np.zeros((0, 2))).shape == (0, 2, 0, 2)


@pytest.mark.parametrize("y", [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5])
def test_every_power_has_the_slope_of_the_next_lower_one(y: float) -> None:
    x = np.array([0.5, 1.75, 3.0])
    expected = y * x ** (y - 1.0)
    for f in (lambda x: x**y, lambda x: np.power(x, float(y))):
        for given in (x, x[1], float(x[2])):
            slope = y * np.asarray(given) ** (y - 1.0)
            value, t = dd.jvp(f, (given,), (np.ones_like(given)[()],))
            np.testing.assert_allclose(t, slope, rtol=1e-14)
            np.testing.assert_allclose(dd.vjp(f, given)[1](np.ones_like(value)[()])[0], slope, rtol=1e-14)
        np.testing.assert_allclose(np.diagonal(dd.jacobian(f)(x)), expected, rtol=1e-14)
