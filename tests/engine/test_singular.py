"""Structural zeros: what is not there cannot be multiplied by infinity; a zero that was computed is a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.passes.elimination import eliminated
from dualdiff.ways.problem import Problem, record

NAN, INF = np.nan, np.inf


def eager(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the Jacobian row by row, each by ``backward``."""

    def jacobian(x: Any) -> Any:
        t = dd.tensor(x, requires_grad=True)
        y = f(t)
        rows = []
        for i in np.ndindex(np.shape(y)):
            t.zero_grad()
            seed = np.zeros(np.shape(y))
            seed[i] = 1.0
            y.backward(seed, retain_graph=True)
            rows.append(np.zeros(np.shape(x)) if t.grad is None else np.array(t.grad.detach()))
        return np.reshape(rows, np.shape(y) + np.shape(x))

    return jacobian


def on_the_graph(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the Jacobian by vertex elimination."""

    def jacobian(x: Any) -> Any:
        tape, (y,) = record(Problem(lambda leaves: [f(*leaves)], [x]), replayable=True)
        return np.reshape(eliminated(tape, shapes=[np.shape(y)]), np.shape(y) + np.shape(x))

    return jacobian


def in_chunks(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return dd.jacobian(f, mode="forward", chunk=2)


def sparse(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the sparse Jacobian, written out."""

    def jacobian(x: Any) -> Any:
        return dd.jacobian(f, sparse=True)(x).toarray().reshape(np.shape(f(x)) + np.shape(x))

    return jacobian


WAYS = {
    "forward": dd.jacfwd,
    "reverse": dd.jacrev,
    "forward in chunks": in_chunks,
    "elimination": on_the_graph,
    "eager": eager,
    "sparse": sparse,
}


def all_ways(f: Callable[[Any], Any], x: Any, strict: bool = True) -> Any:
    """Return the Jacobian on which all ways agree, NaN equal to NaN; unless strict, also equal to ±∞."""
    with np.errstate(all="ignore"):
        found = {name: np.asarray(way(f)(np.asarray(x, float))) for name, way in WAYS.items()}
    first = found["forward"]
    for name, J in found.items():
        if not strict:
            J[~np.isfinite(J)] = NAN
        np.testing.assert_allclose(J, first, rtol=1e-13, atol=0, err_msg=name)
    return first


# --------------------------------------------------------------------------------------------------
# worked examples


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (np.sqrt, [0, 4], [[INF, 0], [0, 0.25]]),
        (lambda x: np.sqrt(np.matmul(np.diag([1.0, 2.0]), x)), [0, 2], [[INF, 0], [0, 0.5]]),
        (lambda x: np.diag([1.0, 2.0]) @ np.sqrt(x), [0, 4], [[INF, 0], [0, 0.5]]),
        (lambda x: np.sqrt(x) @ np.eye(2), [0, 4], [[INF, 0], [0, 0.25]]),
        (lambda x: np.array([[INF, 1.0], [2.0, 3.0]]) @ x, [1, 1], [[INF, 1], [2, 3]]),
        (lambda x: np.array([[NAN, 1.0], [2.0, -INF]]) @ x, [1, 1], [[NAN, 1], [2, -INF]]),
        (lambda x: x @ np.array([[INF, 1.0], [2.0, 3.0]]), [1, 1], [[INF, 2], [1, 3]]),
        (lambda x: np.convolve(np.sqrt(x), [1.0, 2.0], "valid"), [0, 1, 4], [[INF, 0.5, 0], [0, 1, 0.25]]),
        (lambda x: np.where(x > 0, np.sqrt(x), 3 * x), [0, 4], [[3, 0], [0, 0.25]]),
        (lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), x), [0, 4], [[1, 0], [0, 0.25]]),
        (lambda x: np.maximum(np.sqrt(x), 1.0), [0, 4], [[0, 0], [0, 0.25]]),
        (lambda x: np.fmin(np.log(x), -3.0 - x), [0, 1], [[INF, 0], [0, -1]]),
        (lambda x: np.max(np.sqrt(x)), [0, 4], [0, 0.25]),
        (lambda x: np.sort(np.sqrt(x)), [4, 0], [[0, INF], [0.25, 0]]),
        (lambda x: np.cumsum(np.sqrt(x)), [1, 0], [[0.5, 0], [0.5, INF]]),
        (lambda x: np.prod(np.sqrt(x)), [0, 4], [INF, 0]),
        (lambda x: np.sum(np.sqrt(x)[1:]), [0, 4], [0, 0.25]),
        (lambda x: np.concatenate([np.sqrt(x[:1]), x]), [0, 4], [[INF, 0], [1, 0], [0, 1]]),
        (lambda x: np.mean(np.sqrt(x.reshape(2, 2)), axis=1), [0, 1, 4, 1], [[INF, 0.25, 0, 0], [0, 0, 0.125, 0.25]]),
        (lambda x: np.arcsin(x), [1, 0], [[INF, 0], [0, 1]]),
        (lambda x: np.hypot(x[0], x[1]), [0, 0], [0, 0]),
        (np.std, [2, 2, 2], [0, 0, 0]),
        (np.linalg.norm, [0, 0], [0, 0]),
    ],
)
def test_what_is_not_there_is_zero(f: Any, x: Any, expected: Any) -> None:
    np.testing.assert_array_equal(all_ways(f, x), expected)


def overwritten(x: Any) -> Any:
    y = np.sqrt(x) * 1.0
    y[0] = x[1]
    return y


def read_before_the_write(x: Any) -> Any:
    y = np.sqrt(x) * 1.0
    z = y[0] * 1.0
    y[0] = x[1]
    return np.stack([z, y[0]])


def test_what_is_overwritten_is_not_there() -> None:
    np.testing.assert_array_equal(all_ways(overwritten, [0, 4]), [[0, 1], [0, 0.25]])
    np.testing.assert_array_equal(all_ways(read_before_the_write, [0, 4]), [[INF, 0], [0, 1]])


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: np.cbrt(x) ** 3, 0.0),
        (lambda x: np.cbrt(x**3), 0.0),
        (lambda x: np.exp(np.log(x)), 0.0),
        (lambda x: np.log(np.exp(x)), -800.0),
        (lambda x: np.sqrt(x * x), 0.0),
        (lambda x: np.sqrt(x) * np.sqrt(x), 0.0),
        (lambda x: 0.0 * np.sqrt(x), 0.0),
        (lambda x: np.arcsin(np.cos(x)), 0.0),
        (lambda x: x**2 * np.log(x), 0.0),
    ],
)
def test_a_computed_zero_does_not_win_over_infinity(f: Any, x: float) -> None:
    assert np.isnan(all_ways(f, x))


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (lambda x: np.sqrt(x @ x), [0, 0], [NAN, NAN]),
        (lambda x: np.sqrt(np.sum(x * x)), [0, 0], [NAN, NAN]),
        (lambda x: np.sqrt(np.sum(x * x, axis=1)), [[0, 0], [0, 4]], [[[NAN] * 2, [0, 0]], [[0, 0], [0, 1.0]]]),
        (lambda x: np.sqrt(x[0] * x[1]), [0, 0], [NAN, NAN]),
        (lambda x: np.sqrt(x[0] * x[1]), [0, 1], [INF, NAN]),
        (lambda x: np.stack([x[1] / np.sqrt(x[0]), x[1]]), [0, 0], [[NAN, INF], [0, 1]]),
    ],
)
def test_computed_zeros_in_arrays(f: Any, x: Any, expected: Any) -> None:
    np.testing.assert_array_equal(all_ways(f, x), expected)


def test_a_seed_of_zero_reaches_nothing() -> None:
    x, v = np.array([0.0, 4.0]), np.array([0.0, 1.0])
    with np.errstate(all="ignore"):
        assert dd.jvp(np.sqrt, (x,), (v,))[1].tolist() == [0.0, 0.25]
        assert dd.vjp(np.sqrt, x)[1](v)[0].tolist() == [0.0, 0.25]
        assert dd.linearize(np.sqrt, x)[1](v).tolist() == [0.0, 0.25]
        # A seed that is itself differentiated reaches everything: its value may be zero, not its derivative.
        slope = dd.jacfwd(lambda v: dd.jvp(np.sqrt, (x,), (v,))[1])(np.array([0.0, 1.0]))
    assert slope[0, 0] == INF
    assert slope[1].tolist() == [0.0, 0.25]


def test_hooks_see_numbers() -> None:
    x = dd.tensor([0.0, 4.0], requires_grad=True)
    y = np.sqrt(x)
    seen = []
    y.register_hook(lambda g: seen.append(g.numpy().tolist()))
    x.register_hook(lambda g: seen.append(g.numpy().tolist()))
    y.backward([0.0, 1.0], retain_graph=True)
    assert seen == [[0.0, 1.0], [0.0, 0.25]]
    assert x.grad.tolist() == [0.0, 0.25]
    y.register_hook(lambda g: g * 2)
    y.backward([0.0, 1.0])
    assert x.grad.tolist() == [0.0, 0.75]


# --------------------------------------------------------------------------------------------------
# compositions drawn at random

SAFE = [
    ("sin", lambda x: np.sin(x)),
    ("reverse", lambda x: x[::-1] + 0.0),
    ("roll", lambda x: x + np.roll(x, 1)),
    ("square", lambda x: x * x),
    ("cube", lambda x: x**3),
    ("sum", lambda x: x * np.sum(x)),
    ("matrix", lambda x: np.array([[0.0, 1, 2], [1, 0, 0], [-1, 2, 0]]) @ x),
    ("sort", np.sort),
    ("relu", lambda x: np.maximum(x, 0.0)),
    ("exp", lambda x: np.exp(-x)),
    ("outer", lambda x: np.outer(x, x)[1]),
    ("cumsum", np.cumsum),
]
SINGULAR = [
    ("sqrt", lambda x: np.sqrt(np.abs(x))),
    ("sqrt of square", lambda x: np.sqrt(x * x)),
    ("cbrt", np.cbrt),
    ("log", np.log),
    ("power", lambda x: np.abs(x) ** 0.3),
    ("reciprocal", lambda x: 1 / x),
    ("arcsin", lambda x: np.arcsin(np.clip(1 - x * x, -1, 1))),
    ("guard", lambda x: np.where(x > 0, np.sqrt(x), 2 * x)),
    ("written", lambda x: np.concatenate([overwritten(x[:2]), np.sqrt(x[2:])])),
    ("norm", lambda x: x[0] + np.stack([np.linalg.norm(x), np.sqrt(x[0]), x[2]])),
    ("hypot", lambda x: np.hypot(x, x[0])),
    ("std", lambda x: np.std(x[:2]) + np.sqrt(x)),
    ("max", lambda x: np.max(np.sqrt(x)) + x),
    ("prod", lambda x: np.prod(np.sqrt(x)) + x),
]


@pytest.mark.parametrize("seed", range(60))
def test_all_ways_agree_at_singular_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = [SAFE[rng.integers(len(SAFE))], SINGULAR[rng.integers(len(SINGULAR))], SAFE[rng.integers(len(SAFE))]]
    if rng.integers(2):
        steps.append(SINGULAR[rng.integers(len(SINGULAR))])
    steps = [steps[i] for i in rng.permutation(len(steps))]

    def f(x: Any) -> Any:
        for _, step in steps:
            x = step(x)
        return x

    x = rng.choice([0.0, 0.0, 1.0, -1.0, 0.5, 2.0], 3)
    try:
        all_ways(f, x, strict=False)  # (0 + a)·∞ in one mode is 0·∞ + a·∞ in the other
    except AssertionError as error:
        error.add_note(f"{[name for name, _ in steps]} at {x}")
        raise


# --------------------------------------------------------------------------------------------------
# second derivatives


@pytest.mark.parametrize("outer", [dd.jacfwd, dd.jacrev])
@pytest.mark.parametrize("inner", [dd.jacfwd, dd.jacrev])
def test_what_is_not_there_has_no_second_derivative(outer: Any, inner: Any) -> None:
    x = np.array([0.0, 4.0])
    expected = np.zeros((2, 2, 2))
    expected[0, 0, 0], expected[1, 1, 1] = INF, 0.375
    with np.errstate(all="ignore"):
        # The first derivative is finite, its own derivative is not: the inner pass must be careful as well.
        np.testing.assert_array_equal(outer(inner(lambda x: x**1.5))(x), expected)
        expected[0, 0, 0] = NAN
        np.testing.assert_array_equal(outer(inner(lambda x: x * np.sqrt(x)))(x), expected)


def test_functions_without_inner_passes_are_recorded_once() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return np.sqrt(x)

    with np.errstate(all="ignore"):
        dd.jacrev(f)(np.array([0.0, 4.0]))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (lambda x: np.abs(-(x**2)), 2.0),
        (lambda x: abs(-3 * np.square(x)), 6.0),
        (lambda x: np.abs(x * x + x**4), 2.0),
        (lambda x: np.abs(-(x * x) / 2 - x**2), 3.0),
        (lambda x: np.abs(np.sum(np.stack([x, 2 * x]) ** 2)), 10.0),
        (lambda x: np.abs(2 * x), 0.0),  # a kink, whose slope is a convention
        (lambda x: np.abs(x**2 - x**4), 0.0),
    ],
)
def test_the_absolute_value_of_what_has_one_sign_is_smooth(f: Any, want: float) -> None:
    for second in (dd.hessian, lambda f: dd.grad(dd.grad(f)), lambda f: dd.jacrev(dd.jacfwd(f))):
        assert second(f)(0.0) == want
    assert dd.grad(f)(0.0) == 0.0
