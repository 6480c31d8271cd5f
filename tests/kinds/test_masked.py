"""Careful products: a sum over the products that are there, as arithmetic has it, whatever stands beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualdiff.kinds import CAREFUL, Elementwise, Sweep
from dualdiff.rules.contraction import matmul_ as matmul

NUMBERS = st.sampled_from([0.0, -0.0, 0.25, -0.25, 1.0, -3.0, np.inf, -np.inf, np.nan])
ENTRIES = st.lists(st.tuples(NUMBERS, st.sampled_from([True, True, False])), min_size=6, max_size=6)


def summed(a: Any, here: Any, b: Any, there: Any) -> tuple[Any, Any]:
    """Add up, entry by entry, the products of which both factors are there."""
    total, mask = np.zeros((len(a), b.shape[1])), np.zeros((len(a), b.shape[1]), bool)
    for i, j, k in np.ndindex(*total.shape, len(b)):
        if here[i, k] and there[k, j]:
            total[i, j] += a[i, k] * b[k, j]
            mask[i, j] = True
    return total, mask


@settings(max_examples=max(100, settings().max_examples))
@given(ENTRIES, ENTRIES, st.booleans())
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_product_is_the_sum_of_those_that_are_there(left: Any, right: Any, constant: bool) -> None:
    a, here = (np.array([e[i] for e in left]).reshape(2, 3) for i in (0, 1))
    b, there = (np.array([e[i] for e in right]).reshape(3, 2) for i in (0, 1))
    if constant:  # a factor without a mask is there everywhere
        here = np.ones((2, 3), bool)
    # What is not there is 0.
    a, b = np.where(here, a, 0.0), np.where(there, b, 0.0)
    expected, mask = summed(a, here, b, there)
    for row, operands, masks in (
        (matmul, (a, b), (None if constant else here, there)),
        (matmul, (b.T, a.T), (there.T, None if constant else here.T)),
    ):
        found, reached = row.masked(operands, masks, {})
        flip = operands[0] is not a
        np.testing.assert_array_equal(found, expected.T if flip else expected)
        np.testing.assert_array_equal(reached, mask.T if flip else mask)


def test_a_zero_wins_in_a_careful_product_alone() -> None:
    t, p = np.array([0.0, -1.0, 2.0]), np.array([np.inf, 3.0, np.nan])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(Sweep(()).mul(t, p), [np.nan, -3.0, np.nan])
    token = CAREFUL.set(True)
    try:
        np.testing.assert_array_equal(Sweep(()).mul(t, p), [0.0, -3.0, np.nan])
    finally:
        CAREFUL.reset(token)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_complex_products_that_are_not_finite_are_not_known() -> None:
    a, b = np.array([[1j, np.inf], [2.0, 1.0]]), np.array([[1.0, 2.0], [0.5j, 0.0]])
    here, there = np.array([[True, True], [True, True]]), np.array([[True, True], [True, False]])
    found, mask = matmul.masked((a, b), (here, there), {})
    np.testing.assert_array_equal(found, [[np.nan, 2j], [2 + 0.5j, 4.0]])
    assert mask.all()


def test_a_sum_is_there_where_one_of_its_terms_is() -> None:
    add = Elementwise("f", np.add, 1, 1)
    a, here = np.array([2.0, 0.0, 0.0, 0.0]), np.array([True, True, False, False])
    constant = np.array([0.0, 0.0, 3.0, 0.0])  # one without a mask is there where it is not zero
    for operands, masks in (((a, constant), (here, None)), ((constant, a), (None, here))):
        found, reached = add.masked(operands, masks, {})
        np.testing.assert_array_equal(found, a + constant)
        np.testing.assert_array_equal(reached, [True, True, True, False])


ABSENT = (False, 0.0)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([(True, -np.inf)], [(True, -0.25)]),
        ([(True, -0.25)], [(True, -np.inf)]),
        ([(True, np.inf)], [(True, -0.25)]),
        ([ABSENT, (True, 1.0)], [(True, np.inf), (True, np.inf)]),
        ([ABSENT, (True, 1.0)], [(True, -np.inf), (True, -np.inf)]),
        ([(True, np.inf), (True, np.inf)], [ABSENT, (True, 1.0)]),
    ],
)
def test_an_infinite_product_is_of_factors_of_any_size_and_of_those_alone(left: Any, right: Any) -> None:
    (here, a), (there, b) = zip(*left, strict=True), zip(*right, strict=True)
    expected = sum(x * y for m, x, n, y in zip(here, a, there, b, strict=True) if m and n)
    found, _ = matmul.masked((np.array([a]), np.array([b]).T), (np.array([here]), np.array([there]).T), {})
    assert found.item() == expected
