"""The numbers and matrices that are drawn: exact, in their domain, special ones often, and shrinking to simple ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from dualdiff.errors import InputError
from dualdiff.testing import DOMAINS
from dualdiff.testing.strategies import KINDS, arrays, matrices, scalars, vectors

repeatable = settings(max_examples=120, derandomize=True, database=None)
quiet = settings(database=None, max_examples=1000, derandomize=True)


def drawn(strategy: st.SearchStrategy[Any]) -> list[Any]:
    """Return what a strategy draws in 120 examples, the same in every run."""
    found: list[Any] = []

    @repeatable
    @given(strategy)
    def look(x: Any) -> None:
        found.append(x)

    look()
    return found


@pytest.mark.parametrize("domain", [*DOMAINS, (-2.0, 0.5), (0.3, 1.7)])
def test_numbers_are_multiples_of_a_power_of_two_in_their_domain(domain: Any) -> None:
    for x in drawn(scalars(domain, scale=8.0, bits=4)):
        assert type(x) is float
        assert (16 * x).is_integer()
        assert abs(x) <= 8
        assert domain[0] <= x <= domain[1] if isinstance(domain, tuple) else DOMAINS[domain].holds(x)


def test_zeros_ties_whole_numbers_and_both_signs_are_frequent() -> None:
    found = drawn(vectors(6))
    entries = np.concatenate(found)
    assert 0.05 < np.mean(entries == 0) < 0.5
    assert 0.2 < np.mean(entries == np.round(entries)) < 0.7
    assert 0.2 < np.mean(entries > 0) < 0.7
    assert 0.2 < np.mean(entries < 0) < 0.7
    assert np.mean([len(set(x[x != 0])) < np.count_nonzero(x) for x in found]) > 0.3
    assert np.mean([len(set(abs(x))) == 6 for x in found]) > 0.05


def test_numbers_that_are_named_are_frequent() -> None:
    entries = np.concatenate(drawn(vectors(4, including=[0.1, -1 / 3])))
    assert np.mean(np.isin(entries, [0.1, -1 / 3])) > 0.04


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, complex, int, np.uint8]
)
def test_every_dtype_holds_its_numbers_exactly(dtype: Any) -> None:
    for x in drawn(vectors(3, dtype)):
        assert x.dtype == dtype
        wide = x.astype(np.clongdouble)
        step = 1 if x.dtype.kind in "iu" else 16
        assert np.array_equal(wide * step, np.round(wide * step))
        assert np.max(np.abs(wide.real)) <= 8
    assert type(find(scalars(dtype=np.float32), lambda x: True, settings=quiet)) is np.float32


def test_entries_may_be_kept_apart() -> None:
    for domain in ("real", "nonzero", "positive"):
        for x in drawn(vectors(5, domain=domain, apart=0.25)):
            assert np.min(np.diff(np.sort(x))) >= 0.25
            assert np.all(DOMAINS[domain].holds(x))


@pytest.mark.parametrize(
    ("condition", "simplest"),
    [
        (lambda x: True, [0.0, 0.0, 0.0]),
        (lambda x: x[1] > 0, [0.0, 1.0, 0.0]),
        (lambda x: x[2] < -1, [0.0, 0.0, -2.0]),
        (lambda x: x[0] != round(x[0]), [0.5, 0.0, 0.0]),
        (lambda x: x[0] == x[1] != 0, [1.0, 1.0, 0.0]),
    ],
)
def test_what_is_found_shrinks_to_simple_values(condition: Any, simplest: list[float]) -> None:
    assert find(vectors(3), condition, settings=quiet).tolist() == simplest


def test_shapes_may_be_drawn() -> None:
    assert {x.shape for x in drawn(arrays(st.sampled_from([(), (2,), (3, 1)])))} == {(), (2,), (3, 1)}
    assert {x.shape for x in drawn(arrays(3))} == {(3,)}
    assert {x.size for x in drawn(vectors((2, 4)))} == {2, 3, 4}
    assert {x.size for x in drawn(vectors(st.sampled_from([0, 7])))} == {0, 7}
    shapes = {x.shape for x in drawn(matrices())}
    assert sum(m != n for m, n in shapes) > len(shapes) / 2


def smallest(A: Any) -> float:
    return float(np.min(np.linalg.svd(A, compute_uv=False), initial=np.inf))


HOLDS: dict[str, Any] = {
    "any": lambda A: True,
    "full rank": lambda A: np.linalg.matrix_rank(A) == min(A.shape),
    "nonsingular": lambda A: np.linalg.norm(np.linalg.inv(A), np.inf) <= 1 + 1e-12,
    "triangular": lambda A: np.array_equal(A, np.tril(A)) and smallest(A) > 0.2,
    "symmetric": lambda A: np.array_equal(A, A.T),
    "positive definite": lambda A: np.array_equal(A, A.T) and np.min(np.linalg.eigvalsh(A)) > 1 - 1e-12,
    "distinct eigenvalues": lambda A: np.min(np.diff(np.linalg.eigvalsh(A)), initial=1.0) > 0.5 - 1e-12,
    "orthogonal": lambda A: np.allclose(A @ A.T, np.eye(len(A)), rtol=0, atol=1e-13),
}


@pytest.mark.parametrize("kind", KINDS)
def test_matrices_are_of_their_kind(kind: str) -> None:
    found = drawn(matrices((1, 4), kind=kind))
    for A in found:
        assert HOLDS[kind](A)
        assert kind == "orthogonal" or np.array_equal(A * 2**12, np.round(A * 2**12))
    assert len({A.tobytes() for A in found}) > 40
    assert any(np.any(A < 0) for A in found)


def test_the_simplest_positive_definite_matrix_is_the_identity() -> None:
    assert find(matrices(3, kind="positive definite"), lambda A: True, settings=quiet).tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: scalars("postive"), "domain='postive' is no domain"),
        (lambda: scalars((1.0, 0.0)), "is no domain"),
        (lambda: scalars((0.01, 0.02)), "raise scale, or bits"),
        (lambda: scalars(3), "is no domain"),
        (lambda: scalars(scale=-1), "a positive number"),
        (lambda: scalars(bits=-1), "from 0 to 30"),
        (lambda: scalars("positive", including=[0.0]), "not in the domain"),
        (lambda: scalars(dtype=np.float16, scale=1e3), "does not represent"),
        (lambda: arrays(float, 3), "the shape comes first"),
        (lambda: arrays((2, 3), str), "neither"),
        (lambda: arrays((2, -3)), "a tuple of numbers"),
        (lambda: arrays(3, complex, apart=1.0), "of real numbers"),
        (lambda: arrays(3, including=[1.0], apart=1.0), "give one of them"),
        (lambda: vectors((3, 2)), "a pair"),
        (lambda: vectors(-1), "a length is"),
        (lambda: matrices(3, kind="spd"), "positive definite"),
        (lambda: matrices(3, 4, kind="symmetric"), "give its size alone"),
        (lambda: matrices(3, dtype=int), "real floating"),
        (lambda: find(vectors(40, apart=1.0), lambda x: True, settings=quiet), "do not fit"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_way_out(make: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()
