"""Kinds in the corners: rows that nobody registers, partials that are 0, complex numbers among terms, operands without axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.kinds import Movement
from dualdiff.values import bind, operand
from dualdiff.ways import RowSparse

X = np.linspace(0.5, 1.5, 200)


def sparse(f: Any, x: Any = X) -> Any:
    """Return the Jacobian by row-sparse duals, held against the other ways."""
    found = dd.jacobian(f, **RowSparse.options("sparse"))(x)  # type: ignore[arg-type]
    expected = dd.jacobian(f, mode="reverse", flat=True)(x)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dd.jacobian(f, mode="forward", flat=True)(x), expected, rtol=1e-12, atol=1e-14)
    return found


def padded(x: Any) -> Any:
    return np.concatenate([np.zeros_like(x[:1]), x[1:], x[:0:-2]])


@pytest.mark.parametrize("n", [1, 5, 200])
def test_a_movement_is_read_off_its_positions(n: int) -> None:
    row = Movement("padded", padded)
    x = np.linspace(0.5, 1.5, n)

    def f(x):
        return bind(row, (operand(x),), {}) * 3.0

    found = sparse(f, x)
    np.testing.assert_allclose(found.toarray(), 3.0 * padded(np.eye(n)), rtol=1e-14)
    np.testing.assert_allclose(dd.jvp(f, (x,), (x,))[1], 3.0 * padded(x))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.copysign(np.linspace(1.0, 2.0, x.size), x),
        lambda x: np.copysign(x * x, np.sin(9.0 * x)),
        lambda x: np.nextafter(x, x * x),
        lambda x: np.copysign(2.0, x) * x,
    ],
)
def test_an_operand_whose_partial_is_zero_has_no_terms(f: Any) -> None:
    assert sparse(f).nnz <= X.size


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.abs(1j * x * x + x),
        lambda x: np.real(np.exp(1j * x)) * x[::-1],
        lambda x: np.imag(np.cumprod((1.0 + 1j * x).reshape(20, 10), axis=1)),
    ],
)
def test_complex_numbers_between_real_ones(f: Any) -> None:
    sparse(f)


def test_an_operand_without_axes_beside_a_constant_that_has_zeros() -> None:
    c = np.eye(20) + np.eye(20, k=3)

    def f(x):
        return np.einsum(",ij->ij", x[0] * x[1], c)

    sparse(f)


@pytest.mark.parametrize("starts", [[0, 3, 10, 11, 199], range(0, 200, 7)], ids=["uneven", "sevens"])
def test_groups_of_different_sizes_join_nothing_that_is_apart(starts: Any) -> None:
    assert sparse(lambda x: np.multiply.reduceat(x, list(starts))).nnz == X.size
