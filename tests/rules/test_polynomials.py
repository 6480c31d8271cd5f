"""Polynomials by their coefficients, worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.passes.diagnosis import kinks_of
from dualdiff.testing import Subject
from dualdiff.ways.problem import record
from tests.duck import StrictDuck, unwrap
from tests.rules.worked import both


def test_polynomials() -> None:
    both(lambda x: np.polyval([1, 2, 3], x), 2.0, 6.0)
    both(lambda p: np.polyval(p, 2.0), [1, 2, 3], [4, 2, 1])
    both(lambda x: np.polyval(np.poly1d([1, 2, 3]), x), 2.0, 6.0)
    both(np.roots, [1, -3, 2], [[-4, -2, -1], [1, 1, 1]])


def test_constants_of_integration_are_one_or_enough() -> None:
    p = np.array([1.0, -2.0, 0.5])
    with pytest.raises(ValueError, match="k must be"):
        dd.jvp(lambda x: np.polyint(x, 3, [1.0, 2.0]), (p,), (p,))
    for m, k in ((0, None), (2, 3.0), (2, [1.0, 2.0, 5.0])):
        value, tangent = dd.jvp(lambda x, m=m, k=k: np.polyint(x, m, k), (p,), (p,))
        np.testing.assert_allclose(value, np.polyint(p, m, k))
        np.testing.assert_allclose(tangent, np.polyint(p, m))


@pytest.mark.parametrize("shape", [(7,), (7, 2)])
def test_fitted_polynomials_of_one_and_of_several_columns(shape: Any) -> None:
    rng = np.random.default_rng(2)
    x, y, t, w = np.linspace(-1, 2, 7), rng.standard_normal(shape), rng.standard_normal(shape), rng.uniform(1, 2, 7)
    value, tangent = dd.jvp(lambda y: np.polyfit(x, y, 2, w=w), (y,), (t,))
    np.testing.assert_allclose(value, np.polyfit(x, y, 2, w=w), rtol=1e-10)
    np.testing.assert_allclose(tangent, np.polyfit(x, t, 2, w=w), rtol=1e-10)  # the fit is linear in y


def test_fits_return_what_numpys_do() -> None:
    rng = np.random.default_rng(1)
    x, y, w = rng.random(7), rng.random((7, 2)), rng.random(7) + 0.5
    for options in ({"cov": True}, {"cov": "unscaled", "w": w}, {"full": True}, {"full": True, "w": w}, {"w": w}):
        for data in (y, y[:, 0]):
            got, _ = dd.vjp(lambda v, o=options: tuple(np.polyfit(x, v, 2, **o))[:2], data)
            for a, b in zip(got, tuple(np.polyfit(x, data, 2, **options))[:2], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match="must exceed order"):
        dd.vjp(lambda v: np.polyfit(x[:3], v, 2, cov=True), y[:3, 0])
    for bad, match in (((x[:0], y[:0], 1), "non-empty"), ((x, y[:3], 1), "same length"), ((x[None], y, 1), "1D")):
        with pytest.raises(TypeError, match=match):
            dd.vjp(lambda v, b=bad: np.polyfit(b[0], b[1] + v, b[2]), 0.0)


@pytest.mark.parametrize(
    ("roots", "kind"),
    [
        ([1 + 1j, 1 - 1j, 2], "f"),
        ([1 + 1j, 1 - 1j, 1 + 1j, 1 - 1j], "f"),
        ([1 + 1j, 1 - 1j, 1 + 1j], "c"),
        ([1 + 1j, 1 - 1j, 1 - 1j], "c"),
        ([1 + 1j, 2 - 1j], "c"),
        ([np.nan, 1 + 0j], "c"),
    ],
)
def test_a_polynomial_is_real_where_its_roots_come_in_pairs(roots: Any, kind: str) -> None:
    x = np.array(roots)
    found, _ = dd.jvp(np.poly, (x,), (np.ones_like(x),))
    assert found.dtype.kind == np.poly(x).dtype.kind == kind
    np.testing.assert_allclose(found, np.poly(x))


def test_pairs_of_roots_are_found_without_a_kink() -> None:
    x = np.array([1 + 1j, 1 - 1j, 2])
    tape, _ = record(Subject(np.poly, (x,)).problem, replayable=True)
    assert not list(kinks_of(tape, np.inf))


def test_the_polynomial_of_a_matrix() -> None:
    a = np.array([[1.0, 2.0], [-3.0, 0.5]])  # a complex pair of eigenvalues
    got, pull = dd.vjp(np.poly, a)
    assert got.dtype == float
    np.testing.assert_allclose(got, np.poly(a), rtol=1e-13)
    for k, slope in ((1, -np.eye(2)), (2, np.array([[0.5, 3.0], [-2.0, 1.0]]))):  # the trace and the determinant
        np.testing.assert_allclose(pull(np.eye(3)[k])[0], slope, atol=1e-13)
    with pytest.raises(ValueError, match="square 2d"):
        dd.vjp(np.poly, np.ones((2, 3)))


SERIES = [np.polynomial.Polynomial, np.polynomial.Chebyshev, np.polynomial.Legendre, np.polynomial.HermiteE]


@pytest.mark.parametrize("kind", SERIES)
def test_the_classes_of_numpy_polynomial(kind: Any) -> None:
    c, x = np.array([1.0, -2.0, 0.5, 1.5]), np.array([0.25, -0.5])
    eye = [kind(e)(x) for e in np.eye(4)]
    for jac in (dd.jacfwd, dd.jacrev):
        np.testing.assert_allclose(jac(lambda c: kind(c)(x))(c), np.stack(eye, axis=1), rtol=1e-14)
        np.testing.assert_allclose(jac(lambda x: kind(c)(x))(x), np.diag(kind(c).deriv()(x)), rtol=1e-13)
        np.testing.assert_allclose(
            jac(lambda c: kind(c).integ()(0.5))(c), [kind(e).integ()(0.5) for e in np.eye(4)], rtol=1e-13
        )
        square = jac(lambda c: (kind(c) * kind(c)).coef)(c)
        by_hand = np.zeros((7, 4))
        for k, e in enumerate(np.eye(4)):
            twice = (2 * kind(c) * kind(e)).coef
            by_hand[: len(twice), k] = twice
        np.testing.assert_allclose(square, by_hand, atol=1e-13)
        powers = jac(lambda c: kind(c).convert(kind=np.polynomial.Polynomial)(0.75))(c)
        np.testing.assert_allclose(powers, [kind(e)(0.75) for e in np.eye(4)], rtol=1e-13)


def test_an_operand_that_does_its_own_arithmetic_is_left_to_it() -> None:
    p = np.polynomial.Polynomial([1.0, 2.0])
    for f in (lambda t: (t * p).coef, lambda t: (p * t).coef, lambda t: (t + p).coef, lambda t: (t - p).coef):
        got = dd.jacobian(lambda t, f=f: f(t) * 1.0)(3.0)
        np.testing.assert_allclose(got, f(4.0) - f(3.0))

    class Unit:
        __array_ufunc__ = None

        def __rmatmul__(self, other: Any) -> Any:
            return other * 2

        def __rpow__(self, other: Any) -> Any:
            return other * 3

    for f, slope in ((lambda t: t @ Unit(), 2), (lambda t: t ** Unit(), 3)):
        np.testing.assert_array_equal(dd.jacobian(f)(np.ones(2)), slope * np.eye(2))
    with pytest.raises(TypeError, match="does not support ufuncs"):
        dd.vjp(lambda t: np.multiply(t, p), 3.0)


def test_series_of_several_variables_of_arrays_that_are_not_numpys() -> None:
    x, c = np.array([1.0, 0.9, 0.2]), np.arange(12.0).reshape(2, 3, 2)
    for f, at in (
        (np.polynomial.polynomial.polyval3d, (x, x**2, 1 - x, c)),
        (np.polynomial.chebyshev.chebval2d, (x, x**2, c[0])),
    ):
        ducks = tuple(map(StrictDuck, at))
        found, right = dd.jvp(f, ducks, ducks), dd.jvp(f, at, at)
        for y, z in zip(found, right, strict=True):
            np.testing.assert_allclose(unwrap(y), z, rtol=1e-14)
