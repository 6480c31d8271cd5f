"""Columns and rows: valid, exact, no worse than plain greedy, and optimal where the optimum is known."""

from __future__ import annotations

import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import block_array, block_diag, coo_array, csr_array, csr_matrix, diags_array, eye_array, kron

from dualdiff.coloring import (
    ORDERS,
    Coloring,
    as_pattern,
    color_columns,
    color_rows,
    column_entries,
    is_valid_column_coloring,
    is_valid_row_coloring,
    row_entries,
)
from dualdiff.coloring.greedy import greedy
from dualdiff.coloring.orders import incidence_degree, largest_first, smallest_last
from dualdiff.coloring.partial import neighbours
from dualdiff.errors import InputError

# Patterns are small and quick, so even the short profile looks at many of them.
many = settings(max_examples=max(100, settings().max_examples))


@st.composite
def patterns(draw: Any, largest: int = 9) -> csr_array:
    """Patterns of any shape, thin or full, with a full row or column now and then, values that may be zero."""
    m, n = draw(st.integers(0, largest)), draw(st.integers(0, largest))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.random((m, n)) < draw(st.sampled_from([0.0, 0.1, 0.2, 0.4, 0.8, 1.0]))
    if m and n:
        mask[rng.integers(m)] |= draw(st.booleans())
        mask[:, rng.integers(n)] |= draw(st.booleans())
    return filled(mask, rng)


def filled(mask: np.ndarray, rng: np.random.Generator) -> csr_array:
    """Return a sparse array with integers in the places of the mask, some of them explicit zeros."""
    rows, columns = np.nonzero(mask)
    return csr_array(coo_array((rng.integers(-9, 9, len(rows)).astype(float), (rows, columns)), shape=mask.shape))


def natural(pattern: csr_array) -> int:
    """Count the colours of the plain greedy colouring in natural order, told column by column."""
    mask = np.zeros(pattern.shape, dtype=bool)
    coo = pattern.tocoo()
    mask[coo.row, coo.col] = True
    groups: list[np.ndarray] = []
    for j in range(mask.shape[1]):
        for group in groups:
            if not (group & mask[:, j]).any():
                group |= mask[:, j]
                break
        else:
            if mask[:, j].any():
                groups.append(mask[:, j].copy())
    return len(groups)


def banded(n: int, b: int) -> csr_array:
    return csr_array(diags_array([1.0] * (2 * b + 1), offsets=range(-b, b + 1), shape=(n, n)))


def ring(n: int) -> csr_array:
    """The periodic tridiagonal pattern."""
    return csr_array(
        eye_array(n) + eye_array(n, k=1) + eye_array(n, k=-1) + eye_array(n, k=n - 1) + eye_array(n, k=1 - n)
    )


def times(a: Any, b: Any) -> csr_array:
    """The Kronecker product; SciPy's, for a full b, has b's zeros in it."""
    product = csr_array(kron(a, b))
    product.eliminate_zeros()
    return product


def grid(a: int, b: int) -> csr_array:
    """The five-point stencil on a torus."""
    return times(eye_array(a), ring(b)) + times(ring(a), eye_array(b))


def cameras(views: int, points: int) -> csr_array:
    """Bundle adjustment: each view of a point gives two rows, in 9 columns of a camera and 3 of the point."""
    rng = np.random.default_rng(0)
    camera, point = rng.integers(0, 50, views)[:, None] * 9, 450 + (np.arange(views) % points)[:, None] * 3
    j = np.repeat(np.concatenate([camera + np.arange(9), point + np.arange(3)], axis=1), 2, axis=0)
    return csr_array((np.ones(j.size), j.ravel(), np.arange(0, j.size + 1, 12)), shape=(2 * views, 450 + 3 * points))


# on any pattern --------------------------------------------------------------------------------------


@many
@given(patterns())
def test_columns_are_orthogonal_and_give_the_matrix_back(a: csr_array) -> None:
    coloring = color_columns(a)
    assert is_valid_column_coloring(a, coloring)
    assert coloring.lower_bound <= coloring.count <= natural(a)
    assert set(coloring.colors.tolist()) - {-1} == set(range(coloring.count))
    compressed = np.zeros((coloring.count, a.shape[0]))
    for c, group in enumerate(coloring.groups()):
        compressed[c] = a.toarray()[:, group].sum(axis=1)
    np.testing.assert_array_equal(compressed.ravel()[column_entries(a, coloring)], a.data)


@many
@given(patterns())
def test_rows_are_orthogonal_and_give_the_matrix_back(a: csr_array) -> None:
    coloring = color_rows(a)
    assert is_valid_row_coloring(a, coloring)
    assert coloring.lower_bound <= coloring.count <= natural(csr_array(a.T))
    compressed = np.zeros((coloring.count, a.shape[1]))
    for c, group in enumerate(coloring.groups()):
        compressed[c] = a.toarray()[group].sum(axis=0)
    np.testing.assert_array_equal(compressed.ravel()[row_entries(a, coloring)], a.data)


@many
@given(patterns(), st.sets(st.sampled_from(ORDERS)))
def test_no_choice_of_orders_is_worse_than_the_natural_one(a: csr_array, orders: set[str]) -> None:
    coloring = color_columns(a, sorted(orders))
    assert is_valid_column_coloring(a, coloring)
    assert coloring.count <= natural(a)


@many
@given(patterns())
def test_an_empty_line_has_no_colour(a: csr_array) -> None:
    used = np.bincount(a.indices, minlength=a.shape[1]) > 0
    np.testing.assert_array_equal(color_columns(a).colors >= 0, used)
    np.testing.assert_array_equal(color_rows(a).colors >= 0, np.diff(a.indptr) > 0)


@many
@given(patterns(), st.data())
def test_the_validator_rejects_a_conflict(a: csr_array, data: st.DataObject) -> None:
    full = [row for row in np.split(a.indices, a.indptr[1:-1]) if len(row) > 1]
    if full:
        row = data.draw(st.sampled_from(full))
        colors = color_columns(a).colors.copy()
        colors[row[0]] = colors[row[-1]]
        assert not is_valid_column_coloring(a, colors)
        assert not is_valid_row_coloring(a.T, colors)
        assert not is_valid_column_coloring(a, colors[:-1])
        colors[row[0]] = -1
        assert not is_valid_column_coloring(a, colors)


@many
@given(patterns(20))
def test_orders_are_permutations_and_smallest_last_reaches_the_degeneracy(a: csr_array) -> None:
    graph = neighbours(a)
    n = graph.shape[0]
    near = [set(graph.indices[graph.indptr[v] : graph.indptr[v + 1]].tolist()) for v in range(n)]
    for order in (largest_first(np.diff(graph.indptr)), smallest_last(graph), incidence_degree(graph)):
        assert sorted(order) == list(range(n))
    back = {v: i for i, v in enumerate(smallest_last(graph))}
    worst = max((sum(back[w] < back[v] for w in near[v]) for v in range(n)), default=0)
    alive, degeneracy = set(range(n)), 0
    while alive:
        v = min(alive, key=lambda v: len(near[v] & alive))
        degeneracy = max(degeneracy, len(near[v] & alive))
        alive.remove(v)
    assert worst == degeneracy
    met: set[int] = set()
    for v in incidence_degree(graph):
        assert len(near[v] & met) == max(len(near[w] & met) for w in range(n) if w not in met)
        met.add(v)


def test_short_rows_beside_a_very_full_one_are_seen() -> None:
    rng = np.random.default_rng(5)
    mask = rng.random((60, 300)) < 0.01
    mask[0, :200] = True
    a = filled(mask, rng)
    coloring = greedy(a, range(300))
    assert is_valid_column_coloring(a, coloring)
    assert coloring.max() + 1 == natural(a)


@pytest.mark.parametrize("seed", range(20))
def test_irregular_patterns_of_some_size(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = filled(rng.random((60, 120)) < rng.choice([0.05, 0.1, 0.6]), rng)
    coloring = color_columns(a)
    assert is_valid_column_coloring(a, coloring)
    assert coloring.lower_bound <= coloring.count <= natural(a)


@pytest.mark.parametrize("pattern", [lambda: grid(9, 11), lambda: grid(8, 8), lambda: ring(31)])
def test_what_wraps_round_is_valid(pattern: Any) -> None:
    a = pattern()
    assert is_valid_column_coloring(a, color_columns(a))


# known optima ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 4, 10, 1001])
def test_tridiagonal_takes_three(n: int) -> None:
    assert color_columns(banded(n, 1)).count == color_rows(banded(n, 1)).count == 3


@pytest.mark.parametrize("b", [0, 1, 2, 5])
def test_a_band_takes_its_width(b: int) -> None:
    assert color_columns(banded(40, b)).count == 2 * b + 1


# Where n is not a multiple of three, three colours would have to repeat with period three round the ring. For n = 5 any
# two columns share a row.
@pytest.mark.parametrize(
    ("n", "optimum"), [(3, 3), (5, 5), (6, 3), (7, 4), (8, 4), (9, 3), (300, 3), (301, 4), (302, 4)]
)
def test_a_ring(n: int, optimum: int) -> None:
    coloring = color_columns(ring(n))
    assert coloring.count == optimum
    assert coloring.lower_bound == 3


@pytest.mark.parametrize(("a", "b"), [(5, 5), (5, 10), (10, 15), (100, 100)])
def test_a_torus_with_sides_of_multiples_of_five_takes_five(a: int, b: int) -> None:
    assert color_columns(grid(a, b)).count == 5


def test_three_dimensional_stencils_take_as_many_as_they_have_points() -> None:
    line, one = banded(9, 1), eye_array(9)
    seven = times(times(line, one), one) + times(times(one, line), one) + times(times(one, one), line)
    assert color_columns(seven).count == 7
    assert color_columns(times(times(line, line), line)).count == 27


@pytest.mark.parametrize("axis", [0, 1])
def test_two_fields_on_a_torus_need_far_fewer_than_twice_the_stencil(axis: int) -> None:
    one = eye_array(2500)
    both = csr_array(block_array([[grid(50, 50), one], [one, grid(50, 50)]]))
    if axis:
        swap = np.arange(5000).reshape(2, 2500).T.ravel()
        both = csr_array(both[swap][:, swap])
    coloring = color_columns(both)
    assert coloring.lower_bound == 6
    # Six do not fit round a torus of 50 by 50; Z_4 × Z_2 fits on a side that is a multiple of 4, Z_10 here.
    assert coloring.count <= 10
    assert is_valid_column_coloring(both[:200], coloring)


@pytest.mark.parametrize(
    ("pattern", "optimum"),
    [
        (csr_array((5, 4)), 0),
        (csr_array((0, 4)), 0),
        (csr_array((4, 0)), 0),
        (csr_array((0, 0)), 0),
        (csr_array(eye_array(7)), 1),
        (csr_array(np.ones((6, 8))), 8),
        (csr_array(np.ones((1, 8))), 8),
        (csr_array(np.ones((8, 1))), 1),
        (csr_array(block_diag([coo_array(np.ones((3, 4)))] * 5)), 4),
        (csr_array(block_array([[eye_array(30)] * 3])), 3),
        (cameras(400, 60), 12),
    ],
)
def test_known_optima(pattern: csr_array, optimum: int) -> None:
    coloring = color_columns(pattern)
    assert (coloring.count, coloring.lower_bound) == (optimum, optimum)
    assert is_valid_column_coloring(pattern, coloring)
    assert len(coloring.groups()) == optimum


def test_empty_lines_between_do_not_disturb_a_band() -> None:
    coloring = color_columns(times(banded(50, 1), np.array([[0, 1, 0]])))
    assert coloring.count == 3
    assert (coloring.colors[::3] == -1).all()


# size ------------------------------------------------------------------------------------------------


# Work that grew with the square of the size would keep these busy for hours, and memory would not be there.
@pytest.mark.parametrize(
    "pattern", [lambda: banded(300_000, 1), lambda: cameras(36_000, 12_000), lambda: ring(100_001)]
)
def test_large_patterns(pattern: Any) -> None:
    a = pattern()
    coloring = color_columns(a)
    assert coloring.count <= coloring.lower_bound + 1


@pytest.mark.parametrize("pattern", [lambda n: banded(n, 1), ring, lambda n: cameras(n // 4, n // 12)])
def test_memory_is_linear(pattern: Any) -> None:
    a = pattern(10_001)
    tracemalloc.start()
    color_columns(a)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 * (a.nnz + sum(a.shape))


def test_a_full_row_of_a_large_matrix_costs_no_square() -> None:
    n = 20_000
    a = csr_array(
        coo_array((np.ones(2 * n), (np.r_[np.zeros(n), 1 : n + 1], np.tile(np.arange(n), 2))), shape=(n + 1, n))
    )
    half = csr_array(a[:, np.r_[0 : n // 2, 0 : n // 2]])
    assert color_columns(a).count == n
    tracemalloc.start()
    assert color_columns(half).count == n
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


# the door --------------------------------------------------------------------------------------------


def test_formats_duplicates_order_and_explicit_zeros() -> None:
    messy = coo_array((np.zeros(4), ([0, 0, 1, 0], [2, 0, 1, 2])), shape=(2, 3))
    expected = as_pattern(messy)
    assert expected.nnz == 3
    assert expected.indices.tolist() == [0, 2, 1]
    unsorted = csr_array((np.zeros(4), [2, 0, 2, 1], [0, 3, 4]), shape=(2, 3))
    before = unsorted.indices.copy()
    for other in (unsorted, csr_matrix(messy), messy.tocsc(), messy.tolil()):
        assert color_columns(other).count == 2
    np.testing.assert_array_equal(unsorted.indices, before)
    np.testing.assert_array_equal(as_pattern(unsorted).indices, expected.indices)


@pytest.mark.parametrize("wrong", [np.eye(3), [[1]], None, coo_array(np.ones(3))])
@pytest.mark.parametrize("color", [color_columns, color_rows])
def test_what_is_not_a_pattern_is_refused(color: Any, wrong: Any) -> None:
    with pytest.raises(InputError, match=r"sparse array|two dimensions"):
        color(wrong)


def test_a_colouring_of_another_pattern_is_refused() -> None:
    with pytest.raises(InputError, match="pass the colouring of this pattern's columns"):
        column_entries(banded(4, 1), color_columns(banded(5, 1)))
    with pytest.raises(InputError, match="pass the colouring of this pattern's rows"):
        row_entries(banded(4, 1), color_rows(banded(5, 1)))


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(InputError, match="choose among natural"):
        color_columns(banded(4, 1), ["random"])


# a colouring is a value ------------------------------------------------------------------------------


def test_a_colouring_pickles_and_cannot_be_changed() -> None:
    mine = np.array([0, 1, 0])
    for coloring in (color_columns(ring(7)), Coloring(mine, 2, "natural", 1)):
        again = pickle.loads(pickle.dumps(coloring))
        np.testing.assert_array_equal(again.colors, coloring.colors)
        assert (again.count, again.order, again.lower_bound) == (coloring.count, coloring.order, coloring.lower_bound)
        for c in (coloring, again):
            assert c.colors.dtype == np.intp
            with pytest.raises(ValueError, match="read-only"):
                c.colors[0] = 1
            with pytest.raises(AttributeError):
                c.count = 3
    mine[0] = 5  # the user's array stays the user's


def test_colouring_is_deterministic_also_in_threads() -> None:
    a = filled(np.random.default_rng(3).random((200, 150)) < 0.03, np.random.default_rng(4))
    expected = color_columns(a)
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(color_columns, [a] * 8):
            np.testing.assert_array_equal(other.colors, expected.colors)
            assert other.order == expected.order
