"""Vectors of complex matrices, and vectors beyond the thin decompositions: right where no convention matters, else loud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import DegenerateError

L = np.linalg
RNG = np.random.default_rng(7)


def complex_matrix(*shape: int) -> Any:
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


A, TALL, WIDE = complex_matrix(3, 3), complex_matrix(4, 3), complex_matrix(2, 4)
PAIR = np.array([[1.0, 2.0, 0.0], [-2.0, 1.0, 0.25], [0.125, 0.25, 3.0]])


def hermitian(a: Any) -> Any:
    return a + np.conjugate(a.T)


def without_phases(v: Any) -> Any:
    """Divide vectors by the phase of their second entries."""
    return v / (v[1] / np.abs(v[1]))


def parts(*xs: Any) -> Any:
    return np.concatenate([np.reshape(f(x), -1) for x in xs for f in (np.real, np.imag)])


def projector(v: Any) -> Any:
    return v[:, 0][:, None] * np.conjugate(v[:, 0])


INVARIANT: dict[str, tuple[Callable[..., Any], Any]] = {
    "eigh, moduli": (lambda a: np.abs(L.eigh(hermitian(a))[1]), A),
    "eigh, upper": (lambda a: np.abs(L.eigh(a, "U")[1]), A),
    "eigh, values": (lambda a: L.eigh(hermitian(a))[0], A),
    "eigh, normalised": (lambda a: parts(without_phases(L.eigh(hermitian(a))[1])), A),
    "eigh, a function of the matrix": (
        lambda a: (lambda w, v: parts((v * np.exp(0.25 * w)) @ np.conjugate(v.T)))(*L.eigh(hermitian(a))),
        A,
    ),
    "svd, square": (lambda a: parts(projector(L.svd(a)[0]), projector(np.conjugate(L.svd(a)[2].T))), A),
    "svd, tall": (lambda a: parts(without_phases(L.svd(a, full_matrices=False)[0])), TALL),
    "svd, wide": (lambda a: np.abs(L.svd(a, full_matrices=False)[2]), WIDE),
    "svd, the polar factor": (lambda a: (lambda u, s, vh: parts(u @ vh))(*L.svd(a, full_matrices=False)), TALL),
    "svd, the space of the null vectors": (
        lambda a: (lambda n: parts(np.conjugate(n.T) @ n))(L.svd(a)[2][2:]),
        WIDE,
    ),
    "svd of a Hermitian matrix": (lambda a: np.abs(L.svd(hermitian(a), hermitian=True)[2]), A),
    "qr": (lambda a: parts(*L.qr(a)), A),
    "qr, tall": (lambda a: parts(*L.qr(a)), TALL),
    "qr, wide": (lambda a: parts(*L.qr(a)), WIDE),
    "qr, complete": (
        lambda a: (lambda q, r: parts(q[:, :3], r, q[:, 3:] @ np.conjugate(q[:, 3:].T)))(*L.qr(a, "complete")),
        TALL,
    ),
    "qr, one more column": (lambda a: L.qr(a, "complete")[0], RNG.standard_normal((3, 2))),
    "eig, moduli": (lambda a: np.abs(L.eig(a)[1]), A),
    "eig, normalised": (lambda a: parts(L.eig(a)[0], without_phases(L.eig(a)[1])), A),
    "eig, a pair": (lambda a: parts(without_phases(L.eig(a)[1])), PAIR),
    "eig, real": (lambda a: parts(*L.eig(a)), np.array([[1.0, 2.0, 0.5], [0.25, 4.0, 0.25], [0.125, 0.5, 8.0]])),
    "svd, a null vector": (lambda a: L.svd(a)[2][-1], RNG.standard_normal((2, 3))),
    "svd, the rest of a plane": (lambda a: (lambda w: w @ w.T)(L.svd(a)[0][:, 2:]), RNG.standard_normal((4, 2))),
}


def of_reals(f: Any, a: Any) -> tuple[Any, Any]:
    """Return the function of real and imaginary parts, and these."""
    if a.dtype.kind != "c":
        return f, a
    return lambda x: f(x[0] + 1j * x[1]), np.stack([a.real, a.imag])


def differences(f: Any, x: Any, h: float = 1e-5) -> Any:
    units = np.eye(x.size).reshape((x.size, *x.shape))
    found = np.stack([(f(x + h * u) - f(x - h * u)) / (2 * h) for u in units], axis=-1)
    return found.reshape(found.shape[:-1] + x.shape)


@pytest.mark.parametrize("name", INVARIANT)
def test_what_no_convention_enters_is_differentiated(name: str) -> None:
    f, x = of_reals(*INVARIANT[name])
    expected = differences(f, x)
    for jac in (dd.jacrev, dd.jacfwd):  # forward mode asks the covectors
        np.testing.assert_allclose(jac(f)(x), expected, rtol=1e-6, atol=1e-7)
    d = RNG.standard_normal(x.shape)
    np.testing.assert_allclose(dd.jvp(f, (x,), (d,))[1], np.tensordot(expected, d, d.ndim), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", INVARIANT)
def test_second_derivatives(name: str) -> None:
    f, x = of_reals(*INVARIANT[name])
    d = RNG.standard_normal(x.shape)

    def along(t: Any) -> Any:
        return np.sum(f(x + t * d) ** 3)

    h = 1e-4
    expected = (dd.grad(along)(h) - dd.grad(along)(-h)) / (2 * h)
    np.testing.assert_allclose(dd.grad(dd.grad(along))(0.0), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dd.jacfwd(dd.grad(along))(0.0), expected, rtol=1e-5, atol=1e-6)


DEPENDENT: dict[str, tuple[Callable[..., Any], Any, str]] = {
    "eigh": (lambda a: np.sum(L.eigh(hermitian(a))[1]).real, A, "defined up to a phase"),
    "svd": (lambda a: np.sum(L.svd(a)[0]).real, A, "defined up to a phase"),
    "svd, one side": (lambda a: np.sum(L.svd(a, full_matrices=False)[2]).imag, TALL, "defined up to a phase"),
    "eig": (lambda a: np.sum(L.eig(a)[1]).real, A, "defined up to a phase"),
    "eig, a pair": (lambda a: np.sum(L.eig(a)[1]).real, PAIR, "defined up to a phase"),
    "svd, a basis of the rest": (lambda a: np.sum(L.svd(a)[2][2:]), WIDE.real, "which basis of the rest"),
    "qr, a basis of the rest": (
        lambda a: np.sum(L.qr(a.T, "complete")[0][:, 2:]),
        WIDE.real,
        "which basis of the rest",
    ),
    "svd, phases of the rest": (lambda a: np.sum(L.svd(a)[0][:, 3:]).real, TALL, "which basis of the rest"),
}


@pytest.mark.parametrize("name", DEPENDENT)
def test_what_depends_on_a_convention_raises_in_both_modes(name: str) -> None:
    f, a, match = DEPENDENT[name]
    with pytest.raises(DegenerateError, match=match):
        dd.vjp(f, a)[1](1.0)
    with pytest.raises(DegenerateError, match=match):
        dd.jvp(f, (a,), (a,))


def test_singular_vectors_of_a_vanishing_value_have_phases_of_their_own() -> None:
    a = np.diag([2.0 + 0j, 1.0, 0.0])
    with pytest.raises(DegenerateError, match="phase"):
        dd.vjp(lambda a: np.real(L.svd(a)[0] @ L.svd(a)[2])[2, 2] + np.imag(L.svd(a)[0] @ L.svd(a)[2])[2, 2], a)[1](1.0)
