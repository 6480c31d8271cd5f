"""Determinants at every rank, real and complex."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from dualdiff.labels import written
from dualdiff.rules.linalg.determinants import phase_
from tests.rules.linalg.derivatives import L, both, second


def cofactors(a: Any) -> Any:
    """Return the cofactor matrix from its minors."""
    n = len(a)
    minors = [[L.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(n)] for i in range(n)]
    return np.array(minors) * (-1.0) ** np.add.outer(np.arange(n), np.arange(n))


def cofactor_derivative(a: Any) -> Any:
    """Return the second derivative of the determinant from the minors of minors."""
    n = len(a)
    out = np.zeros((n,) * 4)
    for i in range(n):
        for j in range(n):
            rest = np.delete(np.delete(a, i, 0), j, 1)
            rows, columns = [r for r in range(n) if r != i], [c for c in range(n) if c != j]
            out[i, j][np.ix_(rows, columns)] = (-1.0) ** (i + j) * cofactors(rest)
    return out


RANKS = {
    "regular": np.array([[2.0, 1, 0], [1, 3, 1], [0, 1, 4]]),
    "rank two": np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]),
    "rank two, diagonal": np.diag([2.0, 0, 3]),
    "rank one": np.outer([1.0, 2, 3], [1.0, -1, 2]),
    "zero": np.zeros((3, 3)),
    "nearly singular": np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9 + 1e-9]]),
}


@pytest.mark.parametrize("name", RANKS)
def test_det_at_every_rank(name: str) -> None:
    a = RANKS[name]
    both(L.det, a, cofactors(a))
    second(L.det, a, cofactor_derivative(a))


def test_det_of_stacks_and_small_orders() -> None:
    stack = np.array([RANKS["regular"], RANKS["rank two"]])
    expected = np.zeros((2, 2, 3, 3))
    expected[0, 0], expected[1, 1] = cofactors(stack[0]), cofactors(stack[1])
    both(L.det, stack, expected)
    both(L.det, [[0.0]], [[1.0]])
    both(L.det, np.zeros((0, 0)), np.zeros((0, 0)))
    second(L.det, np.zeros((2, 2)), cofactor_derivative_of_order_two())


def cofactor_derivative_of_order_two() -> Any:
    out = np.zeros((2, 2, 2, 2))
    out[0, 0, 1, 1] = out[1, 1, 0, 0] = 1
    out[0, 1, 1, 0] = out[1, 0, 0, 1] = -1
    return out


def test_third_derivative_of_det() -> None:
    third = dd.jacfwd(dd.jacfwd(dd.jacrev(L.det)))
    t = third(RANKS["regular"])
    assert t[0, 0, 1, 1, 2, 2] == pytest.approx(1)
    assert t[0, 1, 1, 2, 2, 0] == pytest.approx(1)
    with pytest.raises(UnsupportedFunctionError, match=r"third derivative of np\.linalg\.det at a singular"):
        third(RANKS["rank two"])


def test_complex_singular_determinant() -> None:
    a = np.outer([1, 1j], [2, 1 - 1j])
    _, pull = dd.vjp(L.det, a)
    assert_allclose(pull(1.0 + 0j)[0], np.conj([[a[1, 1], -a[1, 0]], [-a[0, 1], a[0, 0]]]), atol=1e-14)
    v = np.array([[1, 2j], [3, 4 + 1j]])
    assert_allclose(
        dd.jvp(lambda x: dd.jvp(L.det, (x,), (v,))[1], (a,), (v,))[1], 2 * (v[0, 0] * v[1, 1] - v[0, 1] * v[1, 0])
    )


def test_slogdet() -> None:
    a = RANKS["regular"]
    both(lambda x: L.slogdet(x)[1], a, L.inv(a).T)
    both(lambda x: L.slogdet(x).sign * L.slogdet(x).logabsdet, -a, -L.inv(-a).T)
    with pytest.raises(L.LinAlgError):
        dd.grad(lambda x: L.slogdet(x)[1])(RANKS["rank two, diagonal"])


@pytest.mark.parametrize("a", [np.diag([2.0, -3.0]), np.array([[1.0, 2j], [1.0, 1.0]])], ids=["real", "complex"])
def test_the_values_of_sign_and_logarithm(a: Any) -> None:
    for k in (0, 1):
        for value in (
            dd.vjp(lambda a, k=k: L.slogdet(a)[k], a)[0],
            dd.jvp(lambda a, k=k: L.slogdet(a)[k], (a,), (a,))[0],
        ):
            assert_allclose(value, L.slogdet(a)[k])


def test_matrices_of_a_stack_have_nothing_to_do_with_each_other() -> None:
    stack = np.stack([np.eye(2) * (1 + 1j), np.eye(2) * 2j])
    result, operand = phase_.labels(0, [stack], {}, np.ones(2))
    assert written(result, 2).tolist() == [0, 1]
    assert written(operand, 8).tolist() == [0] * 4 + [1] * 4
