"""Every function of the corpus, as its author wrote it: both modes, differences, second call, value, and what is left behind."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.capture import binding
from tests.corpus import (
    algorithms,
    chemistry,
    elements,
    filters,
    finance,
    least_squares,
    minimisation,
    odes,
    robots,
    signals,
    statistics,
)

ROOMS = [
    algorithms,
    chemistry,
    elements,
    filters,
    finance,
    least_squares,
    minimisation,
    odes,
    robots,
    signals,
    statistics,
]
CORPUS = [(room, f, np.array(x)) for room in ROOMS for f, x in room.POINTS]


def name_of(f: Any) -> str:
    """Return what a function, a method or an object that is called says of itself."""
    return getattr(f, "__qualname__", type(f).__name__)


every = pytest.mark.parametrize(
    ("room", "f", "x"), CORPUS, ids=[f"{room.__name__.rpartition('.')[2]}-{name_of(f)}" for room, f, _ in CORPUS]
)


def leaves(found: Any) -> Iterator[Any]:
    """Return the arrays and numbers of a result, a dict's in the order of its keys."""
    if isinstance(found, dict):
        found = [found[key] for key in sorted(found)]
    if isinstance(found, list | tuple):
        for part in found:
            yield from leaves(part)
    else:
        yield found


def values(found: Any) -> np.ndarray:
    """Return a result as one row of numbers."""
    return np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in leaves(found)])


def matrix(J: Any, x: np.ndarray) -> np.ndarray:
    """Return a Jacobian, of however many results, as one matrix."""
    return np.concatenate([np.reshape(leaf, (-1, x.size)) for leaf in leaves(J)])


def slope(f: Any, x: np.ndarray, e: np.ndarray, width: float) -> Any:
    """Return one central difference; NaN where the step leaves the domain or the branch."""
    try:
        with np.errstate(all="ignore"):
            return (values(f(x + e)) - values(f(x - e))) / width
    except (ValueError, np.linalg.LinAlgError):
        return np.nan


def differences(f: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Jacobian by extrapolated central differences, entry by entry at its best step, and how sure it is."""
    best = error = None
    size = values(f(x)).shape
    for h in 2.0 ** -np.arange(4, 16):
        columns = []
        for j in range(x.size):
            e = np.zeros(x.size)
            e[j] = h * max(abs(x[j]), 1e-3)
            central = [slope(f, x, s * e, 2 * s * e[j]) for s in (1.0, 0.5, 0.25)]
            once = [(4 * b - a) / 3 for a, b in itertools.pairwise(central)]
            columns.append(
                (np.broadcast_to((16 * once[1] - once[0]) / 15, size), abs(once[1] - once[0]) + np.zeros(size))
            )
        found, bar = (np.stack(part, axis=-1) for part in zip(*columns, strict=True))
        bar[~np.isfinite(bar)] = np.inf
        if best is None:
            best, error = found, bar
        else:
            best, error = np.where(bar < error, found, best), np.minimum(bar, error)
    return best, error


def globals_of(room: ModuleType) -> dict[str, Any]:
    return dict(vars(room))


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) >= 60
    assert len({name_of(f) for _, f, _ in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("room", ROOMS, ids=[room.__name__.rpartition(".")[2] for room in ROOMS])
def test_the_corpus_knows_nothing_of_the_library(room: ModuleType) -> None:
    assert not any(
        getattr(v, "__module__", None) and str(v.__module__).startswith("dualdiff") for v in vars(room).values()
    )


@every
def test_it_is_differentiated_as_it_stands(room: ModuleType, f: Any, x: np.ndarray) -> None:
    before = globals_of(room)
    plain = values(f(x.copy()))
    truth, bar = differences(f, x)
    rows = np.maximum(np.max(abs(truth), axis=1, keepdims=True), 1e-6 * np.max(abs(truth)))
    scale = np.maximum(abs(truth), 1e-3 * rows)
    sure = bar <= 1e-4 * scale
    assert sure.mean() > 0.9  # the differences can tell
    found, again = {}, {}
    for jac in (dd.jacfwd, dd.jacrev, dd.jacobian):
        of = jac(f)
        found[jac.__name__] = J = matrix(of(x), x)
        assert J.shape == truth.shape
        # An entry that is zero but for rounding is so beside the largest one.
        allowed = np.maximum(1e-6 * scale, 10 * bar) + 1e-12 * np.max(abs(truth))
        assert np.all((abs(J - truth) <= allowed)[sure])
        again[jac.__name__] = matrix(of(x), x)
    for J in found.values():
        assert np.max(abs(J - found["jacrev"]) / rows) <= 1e-10
    for name, J in again.items():  # jacobian may have settled on another way by then
        assert np.max(abs(J - found[name]) / rows) <= (1e-13 if name == "jacobian" else 0.0)
    value, _ = dd.vjp(f, x)
    np.testing.assert_allclose(values(value), plain, rtol=1e-12, atol=1e-12 * max(1.0, np.max(abs(plain))))
    np.testing.assert_array_equal(values(f(x.copy())), plain)
    after = globals_of(room)
    assert not binding._IN_USE
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)


SMALL = [(f, x) for _, f, x in CORPUS if x.size <= 4][::4]


@pytest.mark.parametrize(("f", "x"), SMALL, ids=[name_of(f) for f, _ in SMALL])
def test_second_derivatives(f: Any, x: np.ndarray) -> None:
    def summary(x: Any) -> Any:
        return sum([np.sum(np.sin(leaf)) + np.sum(0.1 * leaf) for leaf in leaves(f(x))])

    truth, bar = differences(dd.jacrev(summary), x)
    size = np.max(abs(truth))
    found = [dd.hessian(summary)(x)]
    found += [outer(inner(summary))(x) for outer in (dd.jacfwd, dd.jacrev) for inner in (dd.jacfwd, dd.jacrev)]
    for H in found:
        assert np.all(abs(H - truth) <= np.maximum(1e-6 * size, 10 * bar))
        np.testing.assert_allclose(H, found[0], rtol=1e-8, atol=1e-8 * size)
        np.testing.assert_allclose(H, H.T, rtol=1e-8, atol=1e-8 * size)
