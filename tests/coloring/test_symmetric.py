"""Star and acyclic colourings: valid, exact, and optimal where the optimum is known."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_array, diags_array, eye_array, kron

from dualdiff.coloring import (
    ORDERS,
    Coloring,
    color_acyclic,
    color_columns,
    color_star,
    is_valid_acyclic,
    is_valid_star,
    substitute,
    substitution,
    symmetric_entries,
)
from dualdiff.errors import InputError

many = settings(max_examples=max(100, settings().max_examples))


@st.composite
def symmetric(draw: Any, largest: int = 12) -> csr_array:
    """Symmetric matrices, thin or full, with parts of the diagonal missing and values that may be zero."""
    n = draw(st.integers(0, largest))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.random((n, n)) < draw(st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.4, 1.0]))
    if n:
        mask[rng.integers(n)] |= draw(st.booleans())
    mask |= mask.T
    values = rng.integers(-9, 9, (n, n)).astype(float)
    rows, columns = np.nonzero(mask)
    return csr_array(coo_array(((values + values.T)[rows, columns], (rows, columns)), shape=(n, n)))


def band(n: int, b: int) -> csr_array:
    return csr_array(diags_array([1.0] * (2 * b + 1), offsets=range(-b, b + 1), shape=(n, n)))


def ring(n: int) -> csr_array:
    return csr_array(
        eye_array(n) + eye_array(n, k=1) + eye_array(n, k=-1) + eye_array(n, k=n - 1) + eye_array(n, k=1 - n)
    )


def arrowhead(n: int, hub: int = 0) -> csr_array:
    a = np.eye(n)
    a[hub] = a[:, hub] = 1
    return csr_array(a)


def compressed(a: csr_array, coloring: Coloring) -> np.ndarray:
    seeds = np.zeros((a.shape[0], coloring.count))
    seeds[np.arange(a.shape[0]), coloring.colors] = 1
    return (a.toarray() @ seeds).T


# on any pattern --------------------------------------------------------------------------------------


@many
@given(symmetric(), st.sampled_from(ORDERS))
def test_star_colourings_are_valid_and_read_directly(a: csr_array, order: str) -> None:
    for coloring in (color_star(a), color_star(a, [order])):
        assert is_valid_star(a, coloring)
        assert coloring.lower_bound <= coloring.count
        assert set(coloring.colors.tolist()) == set(range(coloring.count))
        np.testing.assert_array_equal(compressed(a, coloring).ravel()[symmetric_entries(a, coloring)], a.data)
        # What can be read directly needs no chain of subtractions: one level beside the diagonal.
        schedule = substitution(a, coloring)
        assert len(schedule.reads) <= 2
        np.testing.assert_array_equal(schedule(compressed(a, coloring)), a.data)


@many
@given(symmetric(), st.sampled_from(ORDERS))
def test_acyclic_colourings_are_valid_and_substituted(a: csr_array, order: str) -> None:
    for coloring in (color_acyclic(a), color_acyclic(a, [order])):
        assert is_valid_acyclic(a, coloring)
        assert coloring.lower_bound <= coloring.count
        # Sums and differences of small integers, so there is no rounding.
        np.testing.assert_array_equal(substitute(a, coloring, compressed(a, coloring)), a.data)


@many
@given(symmetric())
def test_trees_take_no_more_than_stars_and_stars_no_more_than_columns(a: csr_array) -> None:
    star = color_star(a)
    assert is_valid_acyclic(a, star)
    full = csr_array(abs(a) + csr_array((np.ones(a.nnz), a.indices, a.indptr), shape=a.shape) + eye_array(a.shape[0]))
    assert color_acyclic(a).count <= star.count <= color_columns(full).count


@many
@given(symmetric(), st.data())
def test_the_validators_reject_neighbours_of_one_colour(a: csr_array, data: st.DataObject) -> None:
    rows, columns = a.tocoo().coords
    edges = np.flatnonzero(rows != columns)
    if len(edges):
        e = edges[data.draw(st.integers(0, len(edges) - 1))]
        for color, is_valid in ((color_star, is_valid_star), (color_acyclic, is_valid_acyclic)):
            colors = color(a).colors.copy()
            assert not is_valid(a, colors[:-1])
            colors[rows[e]] = colors[columns[e]]
            assert not is_valid(a, colors)
            broken = Coloring(colors, int(colors.max()) + 1, "broken", 0)
            with pytest.raises(InputError, match="neighbours have the same colour"):
                substitution(a, broken)


def test_the_validators_reject_a_path_and_a_cycle_in_two_colours() -> None:
    two = np.array([0, 1, 0, 1])
    assert not is_valid_star(band(4, 1), two)
    assert is_valid_acyclic(band(4, 1), two)
    assert not is_valid_acyclic(ring(4), two)
    assert not is_valid_acyclic(ring(4), [0, 1, 2, -1])
    with pytest.raises(InputError, match="cycle"):
        substitution(ring(4), Coloring(two, 2, "broken", 0))
    with pytest.raises(InputError, match="stands alone nowhere"):
        symmetric_entries(band(4, 1), Coloring(two, 2, "broken", 0))


@given(symmetric())
def test_rounding_stays_small(a: csr_array) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(a.shape)
    a = csr_array((np.ones(a.nnz), a.indices, a.indptr), shape=a.shape)
    rows, columns = a.tocoo().coords
    h = csr_array(coo_array(((values + values.T)[rows, columns], (rows, columns)), shape=a.shape))
    coloring = color_acyclic(h)
    np.testing.assert_allclose(substitute(h, coloring, compressed(h, coloring)), h.data, rtol=0, atol=1e-13)


# known optima ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "star", "acyclic"),
    [
        (csr_array((0, 0)), 0, 0),
        (csr_array((3, 3)), 1, 1),
        (csr_array(eye_array(6)), 1, 1),
        (csr_array(np.ones((7, 7))), 7, 7),
        (arrowhead(9), 2, 2),
        (arrowhead(9, hub=8), 2, 2),  # the graph is a star, wherever its hub
        (band(20, 1), 3, 2),  # a path is a tree, and has paths on four vertices
        (ring(9), 3, 3),
        (ring(300), 3, 3),
        (ring(5), 4, 3),  # no star colouring of a ring of five has three colours
        (ring(4), 3, 3),
    ],
)
def test_known_optima(pattern: csr_array, star: int, acyclic: int) -> None:
    assert color_star(pattern).count == star
    assert color_acyclic(pattern).count == acyclic


@pytest.mark.parametrize("n", [7, 20, 31])
def test_every_tree_takes_two_acyclic_colours(n: int) -> None:
    rng = np.random.default_rng(n)
    parent = np.array([rng.integers(0, max(i, 1)) for i in range(1, n)])
    a = csr_array(coo_array((np.ones(n - 1), (np.arange(1, n), parent)), shape=(n, n)))
    a = csr_array(a + a.T)
    coloring = color_acyclic(a)
    assert (coloring.count, coloring.lower_bound) == (2, 2)
    np.testing.assert_array_equal(substitute(a, coloring, compressed(a, coloring)), a.data)


def test_the_schedule_takes_all_leaves_at_once() -> None:
    a = band(101, 1)
    schedule = substitution(a, color_acyclic(a))
    assert len(schedule.reads) == 1 + 50  # the diagonal, and a path of a hundred edges from both its ends


# size, the door, values ------------------------------------------------------------------------------


def test_thousands_of_vertices() -> None:
    line, one = band(70, 1), eye_array(70)
    a = csr_array(kron(line, one, format="csr") + kron(one, line, format="csr"))
    star, acyclic = color_star(a), color_acyclic(a)
    schedule = substitution(a, acyclic)
    assert star.count == 5  # as for the columns: a large grid has no star colouring in four
    assert acyclic.count <= star.count
    seeds = eye_array(acyclic.count).toarray()[acyclic.colors]
    np.testing.assert_allclose(schedule((a @ seeds).T), a.data, atol=1e-12)


def test_a_large_arrowhead_takes_no_square() -> None:
    n = 20_000
    i, zero = np.arange(1, n), np.zeros(n - 1, dtype=int)
    a = csr_array(coo_array((np.ones(2 * n - 2), (np.r_[zero, i], np.r_[i, zero])), shape=(n, n)))
    for order in ORDERS:
        assert color_star(a, [order]).count == color_acyclic(a, [order]).count == 2


@pytest.mark.parametrize("color", [color_star, color_acyclic])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.eye(3), "sparse array"),
        (coo_array(np.ones(3)), "two dimensions"),
        (csr_array(np.ones((2, 3))), "square.*color_columns"),
        (csr_array(np.array([[1, 1], [0, 1]])), "not symmetric.*A.T"),
    ],
)
def test_what_is_not_symmetric_is_refused(color: Any, wrong: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        color(wrong)


@pytest.mark.parametrize("color", [color_star, color_acyclic])
def test_unknown_orders_are_refused(color: Any) -> None:
    with pytest.raises(InputError, match="choose among natural"):
        color(band(4, 1), ["random"])


def test_what_does_not_fit_is_refused() -> None:
    coloring = color_star(band(5, 1))
    with pytest.raises(InputError, match="colouring of this pattern"):
        symmetric_entries(band(4, 1), coloring)
    with pytest.raises(InputError, match="colouring of this pattern"):
        substitution(band(4, 1), coloring)
    with pytest.raises(InputError, match=r"\(H @ S\)\.T"):
        substitute(band(5, 1), coloring, np.zeros((5, coloring.count)))


def test_schedules_and_colourings_pickle_and_are_deterministic() -> None:
    a = ring(11)
    for color in (color_star, color_acyclic):
        coloring = color(a)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(coloring)).colors, coloring.colors)
        np.testing.assert_array_equal(color(a).colors, coloring.colors)
        schedule = pickle.loads(pickle.dumps(substitution(a, coloring)))
        np.testing.assert_array_equal(schedule(compressed(a, coloring)), a.data)


def test_substitution_keeps_the_dtype_and_the_callers_array() -> None:
    a = band(6, 1)
    coloring = color_acyclic(a)
    for dtype in (np.float32, np.complex128, np.longdouble):
        b = compressed(a, coloring).astype(dtype)
        b.setflags(write=False)
        assert substitute(a, coloring, b).dtype == dtype
