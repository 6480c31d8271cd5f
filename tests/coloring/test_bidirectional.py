"""Rows and columns together: valid, exact, no worse than either alone, and optimal where the optimum is known."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_array, diags_array, eye_array

from dualdiff.coloring import (
    BidirectionalColoring,
    color_both,
    color_columns,
    color_rows,
    is_valid_bidirectional,
)
from dualdiff.errors import InputError

many = settings(max_examples=max(100, settings().max_examples))


@st.composite
def patterns(draw: Any, largest: int = 9) -> csr_array:
    """Patterns with a few full rows and columns on a thin ground."""
    m, n = draw(st.integers(0, largest)), draw(st.integers(0, largest))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.random((m, n)) < draw(st.sampled_from([0.0, 0.1, 0.3, 0.9]))
    mask |= (rng.random(m) < draw(st.sampled_from([0.0, 0.2])))[:, None] & (rng.random((m, n)) < 0.9)
    mask |= (rng.random(n) < draw(st.sampled_from([0.0, 0.2]))) & (rng.random((m, n)) < 0.9)
    rows, columns = np.nonzero(mask)
    return csr_array(coo_array((rng.integers(-9, 9, len(rows)).astype(float), (rows, columns)), shape=(m, n)))


def arrowhead(n: int, width: int = 1) -> csr_array:
    a = np.eye(n)
    a[:width] = a[:, :width] = 1
    return csr_array(a)


def recover(a: csr_array, coloring: BidirectionalColoring) -> np.ndarray:
    """Compress a matrix from both sides, and read its nonzeros."""
    dense = a.toarray()
    by_rows = np.array([dense[coloring.row_colors == c].sum(axis=0) for c in range(coloring.row_count)])
    by_columns = np.array([dense[:, coloring.column_colors == c].sum(axis=1) for c in range(coloring.column_count)])
    from_rows, index = coloring.entries(a)
    out = np.empty(a.nnz)
    out[from_rows] = by_rows.ravel()[index[from_rows]]
    out[~from_rows] = by_columns.ravel()[index[~from_rows]]
    return out


def least(a: csr_array) -> int:
    """The least number of groups, by trying all."""
    m, n = a.shape
    for count in range(m + n + 1):
        for rows in range(count + 1):
            for r in itertools.product(range(-1, rows), repeat=m):
                for c in itertools.product(range(-1, count - rows), repeat=n):
                    if is_valid_bidirectional(a, r, c):
                        return count
    raise AssertionError("a colour for each row is always enough")


@many
@given(patterns(12))
def test_every_nonzero_stands_alone_and_is_read(a: csr_array) -> None:
    coloring = color_both(a)
    assert is_valid_bidirectional(a, coloring.row_colors, coloring.column_colors)
    assert coloring.count == coloring.row_count + coloring.column_count
    assert coloring.count <= min(color_columns(a).count, color_rows(a).count)
    np.testing.assert_array_equal(recover(a, coloring), a.data)


@many
@given(patterns(), st.data())
def test_the_validator_rejects_what_cannot_be_read(a: csr_array, data: st.DataObject) -> None:
    coloring = color_both(a)
    if a.nnz:
        at = data.draw(st.integers(0, a.nnz - 1))
        i, j = np.repeat(np.arange(a.shape[0]), np.diff(a.indptr))[at], a.indices[at]
        rows, columns = coloring.row_colors.copy(), coloring.column_colors.copy()
        rows[i] = columns[j] = -1
        assert not is_valid_bidirectional(a, rows, columns)
        assert not is_valid_bidirectional(a, rows[:-1], columns)
        with pytest.raises(InputError, match="stands alone nowhere"):
            BidirectionalColoring(rows, columns, coloring.row_count, coloring.column_count).entries(a)


def test_two_nonzeros_of_a_row_in_one_group_are_rejected() -> None:
    assert not is_valid_bidirectional(csr_array(np.ones((1, 2))), [-1], [0, 0])
    assert is_valid_bidirectional(csr_array(np.ones((1, 2))), [0], [0, 0])


# Row 0 and the columns are all neighbours, so with one group of rows and one of columns some (i, i) or (0, j) is mixed
# with another nonzero on both sides; the trial of all colourings says the same. A star colouring of the arrowhead, which
# may use symmetry, needs only two.
@pytest.mark.parametrize("n", [2, 3, 4])
def test_an_arrowhead_takes_three_and_no_colouring_takes_less(n: int) -> None:
    assert color_both(arrowhead(n)).count == least(arrowhead(n)) == min(n, 3)


@pytest.mark.parametrize("n", [5, 100, 2000])
def test_a_larger_arrowhead_takes_three(n: int) -> None:
    coloring = color_both(arrowhead(n))
    assert (coloring.count, min(coloring.row_count, coloring.column_count)) == (3, 1)


# w full rows read by themselves; among the others, w full columns and the diagonal.
@pytest.mark.parametrize("width", [2, 5])
def test_a_wide_arrowhead_takes_twice_its_width_and_one(width: int) -> None:
    assert color_both(arrowhead(60, width)).count == 2 * width + 1


def test_a_full_row_on_a_diagonal_takes_two() -> None:
    a = np.eye(30)
    a[7] = 1
    assert color_both(csr_array(a)).count == color_both(csr_array(a.T)).count == 2


def test_a_full_row_on_a_band_takes_one_more_than_the_band() -> None:
    a = np.vstack([diags_array([1.0] * 3, offsets=[-1, 0, 1], shape=(50, 50)).toarray(), np.ones((1, 50))])
    # The full row by itself, and three groups of either the columns or the other rows.
    assert color_both(csr_array(a)).count == color_both(csr_array(a.T)).count == 4


def test_full_rows_and_full_columns_can_both_be_set_apart() -> None:
    # Columns that overlap only in the full rows, and rows below that are long in the rest: neither side is free alone.
    m, n, w = 40, 12, 20
    rng = np.random.default_rng(0)
    a = np.zeros((m, n + w))
    a[np.arange(m), rng.integers(0, n, m)] = 1
    a[:, n:][np.arange(m), np.arange(m) % w] = 1
    a[:3] = 1
    a = csr_array(a)
    coloring = color_both(a)
    assert is_valid_bidirectional(a, coloring.row_colors, coloring.column_colors)
    assert coloring.count <= 3 + 4


@pytest.mark.parametrize(
    ("pattern", "optimum"),
    [
        (csr_array((5, 4)), 0),
        (csr_array((0, 4)), 0),
        (csr_array((4, 0)), 0),
        (csr_array((0, 0)), 0),
        (csr_array(eye_array(7)), 1),
        (csr_array(np.ones((6, 8))), 6),
        (csr_array(np.ones((8, 6))), 6),
        (csr_array(np.ones((1, 8))), 1),
    ],
)
def test_known_optima(pattern: csr_array, optimum: int) -> None:
    coloring = color_both(pattern)
    assert coloring.count == optimum
    assert 0 in (coloring.row_count, coloring.column_count)


@settings(max_examples=max(8, settings().max_examples))
@given(patterns(3))
def test_near_the_optimum_on_small_patterns(a: csr_array) -> None:
    assert color_both(a).count <= least(a) + 1


def test_a_colouring_pickles_and_cannot_be_changed() -> None:
    coloring = color_both(arrowhead(6))
    again = pickle.loads(pickle.dumps(coloring))
    for name in ("row_colors", "column_colors"):
        np.testing.assert_array_equal(getattr(again, name), getattr(coloring, name))
        with pytest.raises(ValueError, match="read-only"):
            getattr(again, name)[0] = 1
    assert (again.row_count, again.column_count) == (coloring.row_count, coloring.column_count)
    np.testing.assert_array_equal(color_both(arrowhead(6)).column_colors, coloring.column_colors)


def test_another_pattern_is_refused() -> None:
    with pytest.raises(InputError, match="pass the pattern that was coloured"):
        color_both(arrowhead(5)).entries(arrowhead(6))
    with pytest.raises(InputError, match="sparse array"):
        color_both(np.eye(3))
