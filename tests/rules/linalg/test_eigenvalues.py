"""Eigenvalues by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.testing import assert_allclose

import dualdiff as dd
from tests.rules.linalg.derivatives import MODES, L, both, second


def test_eigenvalues_by_hand() -> None:
    both(lambda x: L.eigvalsh(np.diag([1.0, 2.0]) * x), [3, 4], dd.jacfwd(lambda x: x * np.array([1.0, 2]))(np.ones(2)))
    both(lambda t: L.eigvalsh(np.array([[0, 1.0], [1, 0]]) * t), 2.0, [-1, 1])
    for mode in MODES:
        w = mode(lambda t: np.sort(np.imag(L.eigvals(np.array([[0, -1.0], [1, 0]]) * t))))(2.0)
        assert_allclose(w, [-1, 1])


def test_symmetric_functions_of_repeated_eigenvalues() -> None:
    both(lambda a: np.sum(L.eigvalsh(a)), np.eye(3), np.eye(3))
    both(lambda a: np.sum(L.eigh(a)[0] ** 2), 2 * np.eye(2), 4 * np.eye(2))
    both(lambda a: L.norm(a, "nuc") + L.svd(a, compute_uv=False).sum(), 3 * np.eye(2), 2 * np.eye(2))


def test_second_derivative_of_an_eigenvalue() -> None:
    # The larger eigenvalue of [[a, b], [b, -a]] is hypot(a, b).
    def f(x: Any) -> Any:
        return L.eigvalsh(x[0] * np.diag([1.0, -1]) + x[1] * np.array([[0, 1.0], [1, 0]]))[1]

    second(f, [3, 4], np.array([[16, -12], [-12, 9]]) / 125)


def test_eigenvalues_of_hermitian_matrices() -> None:
    a = np.array([[2, 1j], [-1j, 5]])
    v = np.array([[1, 2 - 1j], [2 + 1j, 0]])
    _, t = dd.jvp(L.eigvalsh, (a,), (v,))
    h = 1e-6
    assert_allclose(t, (L.eigvalsh(a + h * v) - L.eigvalsh(a - h * v)) / (2 * h), atol=1e-9)
