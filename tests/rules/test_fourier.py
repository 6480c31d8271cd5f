"""Fourier transforms against their matrices, and what NumPy says of their options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import TracedAssignmentError, UnsupportedFunctionError

modes = pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev, dd.jacobian])
X = np.array([1.0, -2.0, 0.5, 3.0])


@modes
def test_the_power_in_a_band(jac: Any) -> None:
    mask, matrix = np.array([0.0, 1.0, 1.0, 0.0]), np.fft.fft(np.eye(4))
    expected = 2 * (np.conjugate(matrix).T @ (mask * (matrix @ X))).real
    np.testing.assert_allclose(jac(lambda x: np.sum(np.abs(mask * np.fft.fft(x)) ** 2))(X), expected, rtol=1e-14)


@modes
def test_there_and_back_is_the_identity(jac: Any) -> None:
    for f in (
        lambda x: np.fft.ifft(np.fft.fft(x, norm="forward"), norm="forward").real,
        lambda x: np.fft.irfft(np.fft.rfft(x)),
        lambda x: np.fft.irfftn(np.fft.rfftn(x.reshape(2, 2)), s=(2, 2), axes=(0, 1)).reshape(-1),
        lambda x: np.fft.hfft(np.fft.ihfft(x)),
        lambda x: np.fft.ifftshift(np.fft.fftshift(x)),
    ):
        np.testing.assert_allclose(jac(f)(X), np.eye(4), atol=1e-15)


def test_the_holomorphic_jacobian_is_the_matrix() -> None:
    z = X + 1j
    np.testing.assert_allclose(dd.jacobian(np.fft.fft, holomorphic=True)(z), np.fft.fft(np.eye(4)), atol=1e-15)


@modes
def test_what_is_not_reached_stays_zero_beside_an_infinite_slope(jac: Any) -> None:
    x = np.array([1.0, 0.0, 4.0, 2.0])
    for f in (np.fft.rfft, np.fft.irfft, lambda y: np.fft.irfft(1j * y), lambda y: np.fft.fft2(y.reshape(2, 2))):
        with np.errstate(divide="ignore", invalid="ignore"):
            got = jac(lambda x, f=f: np.real(f(np.where(x > 0, np.sqrt(x), 0.0))))(x)
        assert np.isfinite(got).all()
        assert not got[..., 1].any()


@modes
def test_out(jac: Any) -> None:
    def f(x: Any) -> Any:
        y = np.empty_like(x, dtype=complex)
        z = np.fft.fft(x, out=y)
        assert z is y
        return np.fft.ifftn(y, out=np.empty_like(y)).real * x

    np.testing.assert_allclose(jac(f)(X), np.diag(2 * X), atol=1e-14)
    with pytest.raises(TracedAssignmentError, match=r"np.fft.fft was to store"):
        jac(lambda x: np.fft.fft(x, out=np.empty(4, complex)).real, capture="never")(X)


def test_half_precision_and_integers() -> None:
    for dtype in (np.float16, np.float32, np.float64, np.longdouble):
        x = X.astype(dtype)
        value, pull = dd.vjp(np.fft.rfft, x)
        assert value.dtype == np.fft.rfft(x).dtype
        assert pull(value)[0].dtype == dtype


@pytest.mark.parametrize(
    ("f", "error", "match"),
    [
        (lambda x: np.fft.fft(x, norm="other"), ValueError, "Invalid norm value other"),
        (lambda x: np.fft.fft(x, n=0), ValueError, "data points"),
        (lambda x: np.fft.irfft(x[:1]), ValueError, "data points"),
        (lambda x: np.fft.fft(x, axis=1), np.exceptions.AxisError, "axis 1 is out of bounds"),
        (lambda x: np.fft.fftn(x, s=(2, 2), axes=(0,)), ValueError, "different lengths"),
        (lambda x: np.fft.rfft(x + 1j), TypeError, "not supported for the input types"),
    ],
)
def test_what_numpy_refuses(f: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        dd.vjp(f, X)


def test_a_length_that_is_being_differentiated_is_refused() -> None:
    with pytest.raises(UnsupportedFunctionError, match="the length n= of a transform is being differentiated"):
        dd.vjp(lambda x: np.fft.fft(x, n=x[3]), X)


def test_deprecated_sizes_warn_as_numpys_do() -> None:
    x = np.ones((2, 3))
    for s, axes in (((2, 2), None), ((None, 2), (0, 1))):
        with pytest.warns(DeprecationWarning, match="`None`"):
            expected = np.fft.fftn(x, s, axes)
        with pytest.warns(DeprecationWarning, match="`None`"):
            got, _ = dd.vjp(lambda x, s=s, axes=axes: np.fft.fftn(x, s, axes), x)
        np.testing.assert_array_equal(got, expected)
