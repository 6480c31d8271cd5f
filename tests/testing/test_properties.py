"""Whole property tests: mistakes are found and shrunk, correct derivatives pass, and nothing passes untested."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, seed, settings
from hypothesis import strategies as st
from scipy.optimize import rosen, rosen_der

from dualdiff import testing
from dualdiff.errors import InputError
from dualdiff.testing import CheckError, InconclusiveError, derivatives_agree
from dualdiff.testing.strategies import arrays, matrices, scalars, vectors

few = settings(max_examples=20, derandomize=True, database=None)
many = settings(few, max_examples=100, report_multiple_bugs=False)

W = np.array([[1.0, -2.0, 0.5], [0.0, 1.5, 1.0], [2.0, 0.0, -1.0], [1.0, 1.0, 1.0]])
"""From three inputs to four outputs."""
T = np.array([0.5, 1.0, 2.0, 4.0])


def layer(x: Any) -> Any:
    return np.tanh(W @ x)


def by_layer(x: Any) -> Any:
    return (1 - np.tanh(W @ x) ** 2)[:, None] * W


def pairs(x: Any) -> Any:
    return np.array([x[0] * x[1], x[1] ** 2, 3 * x[0], x[1]])


# -- correct ones pass -----------------------------------------------------------------------------

test_of_a_gradient = derivatives_agree(rosen, rosen_der, vectors((2, 4), domain=(-2.0, 0.75)), settings=few)
test_of_a_jacobian = derivatives_agree(layer, by_layer, vectors(3, scale=2.0), settings=few)
test_of_both_modes = derivatives_agree(np.linalg.inv, matrices((1, 3), kind="nonsingular"), settings=few)
test_of_several_arguments = derivatives_agree(
    lambda x, a: a * x**2, lambda x, a: np.diag(2 * a * x), vectors(3), scalars("positive"), settings=few
)
test_of_another_argument = derivatives_agree(
    lambda x, a: a * x**2, lambda x, a: x**2, vectors(3), scalars("positive"), settings=few, argnum=1
)
test_of_a_directional_derivative = derivatives_agree(
    np.sin, vectors(3), jvp=lambda p, t: (np.sin(p[0]), np.cos(p[0]) * t[0]), settings=few
)
test_of_a_pullback = derivatives_agree(
    lambda X, Y: X @ Y,
    arrays((2, 3)),
    arrays((3, 4)),
    vjp=lambda X, Y: (X @ Y, lambda w: (w @ Y.T, X.T @ w)),
    settings=few,
)


@derivatives_agree(vectors(3), jac=lambda x: np.diag(2 * x), settings=few)
def test_of_a_decorated_function(x: Any) -> Any:
    """The function itself is the test."""
    return x**2


# -- mistakes are found ----------------------------------------------------------------------------


def bad_corners(x: Any) -> Any:
    return -2 * np.eye(4) + np.eye(4, k=1) + np.eye(4, k=-1)


def remembered(x: Any, kept: list[Any] = []) -> Any:  # noqa: B006  (that is the mistake)
    kept.append(np.diag(2 * x))
    return kept[0]


MISTAKES: dict[str, tuple[Callable[..., Any], Callable[..., Any], st.SearchStrategy[Any]]] = {
    "a sign": (pairs, lambda x: np.array([[x[1], -x[0]], [0, 2 * x[1]], [3, 0], [0, 1]]), vectors(2)),
    "a factor": (lambda x: 0.5 * x @ x, lambda x: 2 * x, vectors((1, 4))),
    "a power": (np.tanh, lambda x: np.diag(1 - np.tanh(x)), vectors(3, scale=2.0)),
    "a term forgotten": (pairs, lambda x: np.array([[x[1], 0], [0, 2 * x[1]], [3, 0], [0, 1]]), vectors(2)),
    "rows swapped": (pairs, lambda x: np.array([[x[1], x[0]], [3, 0], [0, 2 * x[1]], [0, 1]]), vectors(2)),
    "transposed": (lambda x: x[:, None] @ x[None], lambda x: np.zeros((3, 3, 3)), vectors(3)),
    "corners of a ring": (lambda x: np.roll(x, 1) - 2 * x + np.roll(x, -1), bad_corners, vectors(4)),
    "symmetry assumed": (lambda x: x @ W[:3] @ x, lambda x: 2 * W[:3] @ x, vectors(3)),
    "not normalised": (lambda x: np.log(np.sum(np.exp(x))), np.exp, vectors(3)),
    "the variance held constant": (
        lambda x: (x - x.mean()) / x.std(),
        lambda x: (np.eye(3) - 1 / 3) / x.std(),
        vectors(3, apart=0.5),
    ),
    "beyond a border": (
        lambda x: np.sum(np.where(abs(x) < 1, x * x / 2, abs(x) - 0.5)),
        lambda x: x,
        vectors(2),
    ),
    "inside a clip": (lambda x: np.clip(x, -1, 1) ** 2, lambda x: np.diag(2 * np.clip(x, -1, 1)), vectors(2)),
    "the largest is always the first": (np.max, lambda x: np.eye(3)[0], vectors(3, apart=0.5)),
    "the half plane x < 0": (
        lambda p: np.arctan2(p[1], p[0]),
        lambda p: np.array([-p[1], p[0]]) / (p @ p) * np.sign(p[0]),
        vectors(2, domain="nonzero"),
    ),
    "0/0 at zero": (
        lambda x: np.sinc(x),
        lambda x: np.diag(np.divide(np.cos(np.pi * x) - np.sinc(x), x, out=np.full(2, 7.0), where=x != 0)),
        vectors(2),
    ),
    "above one only": (lambda x: np.where(x > 1, x**3, x**2), lambda x: np.diag(2 * x), vectors(2, domain="positive")),
    "the first Jacobian is kept": (lambda x: x**2, remembered, vectors(2)),
    "divided by the other length": (
        lambda X: np.sum(X**2) / X.shape[0],
        lambda X: 2 * X / X.shape[1],
        matrices((1, 3), (1, 3)),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_seeded_mistakes_are_found(name: str) -> None:
    f, jac, strategy = MISTAKES[name]
    with pytest.raises(CheckError):
        derivatives_agree(f, jac, strategy, settings=many)()


def test_the_point_of_a_failure_is_simple() -> None:
    f, jac, strategy = MISTAKES["beyond a border"]
    with pytest.raises(CheckError) as failed:
        derivatives_agree(f, jac, strategy, settings=many)()
    said = "\n".join(failed.value.__notes__)
    assert "f(\n" in said
    assert "x=array([2., 0.])" in said or "x=array([0., 2.])" in said


def test_several_hand_written_derivatives_are_all_checked() -> None:
    right = {"jvp": lambda p, t: (p[0] ** 2, 2 * p[0] * t[0])}
    with pytest.raises(CheckError):
        derivatives_agree(np.square, vectors(2), jac=lambda x: np.diag(x), **right, settings=few)()
    with pytest.raises(CheckError):
        derivatives_agree(np.square, vectors(2), **right, vjp=lambda x: (x**2, lambda w: (w * x,)), settings=few)()


# -- where nothing can be decided ------------------------------------------------------------------


def fold(x: Any) -> Any:
    """A kink at every whole number."""
    return np.abs(x - np.round(np.real(x)))


def by_fold(x: Any) -> Any:
    return np.diag(np.sign(x - np.round(x)))


def test_kinks_are_ignored_or_discarded_or_raised() -> None:
    derivatives_agree(fold, by_fold, vectors(1), settings=few)()
    derivatives_agree(fold, by_fold, vectors(1), settings=few, inconclusive="discard")()
    with pytest.raises(InconclusiveError, match="kink"):
        derivatives_agree(fold, by_fold, vectors(1), settings=few, inconclusive="raise")()


def test_nothing_passes_that_was_nowhere_conclusive() -> None:
    with pytest.raises(InconclusiveError, match=r"not one of \d+ points was conclusive.*x = array"):
        derivatives_agree(fold, by_fold, vectors(2, bits=0), settings=few)()


# -- it is a Hypothesis test -----------------------------------------------------------------------


def test_decorators_of_hypothesis_reach_it() -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        seen.append(np.array(np.real(x)))
        return x**2

    test = example(x=np.array([0.3, 0.7]))(derivatives_agree(f, lambda x: np.diag(2 * x), vectors(2), settings=few))
    test()
    assert any(np.array_equal(x, [0.3, 0.7]) for x in seen)
    once = settings(derandomize=False, max_examples=3, database=None)
    runs = []
    for _ in range(2):
        seen.clear()
        seed(7)(derivatives_agree(f, lambda x: np.diag(2 * x), vectors(2), settings=once))()
        runs.append(np.array(seen))
    np.testing.assert_array_equal(*runs)


def test_it_is_named_after_the_function() -> None:
    assert derivatives_agree(rosen, rosen_der, vectors(2)).__name__ == "rosen"
    assert test_of_a_decorated_function.__name__ == "test_of_a_decorated_function"
    assert test_of_a_decorated_function.hypothesis.inner_test


def test_the_database_of_failures_works() -> None:
    from hypothesis.database import InMemoryExampleDatabase

    calls: list[Any] = []

    def jac(x: Any) -> Any:
        calls.append(x)
        return np.diag(2 * np.minimum(x, 2))

    kept = settings(database=InMemoryExampleDatabase(), max_examples=200)
    test = derivatives_agree(lambda x: x**2, jac, vectors(2), settings=kept)
    with pytest.raises(CheckError):
        test()
    calls.clear()
    with pytest.raises(CheckError):
        test()
    assert np.max(calls[0]) > 2  # what failed is tried first


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: derivatives_agree(rosen, rosen_der), "needs a strategy for each argument"),
        (lambda: derivatives_agree(), "needs a strategy for each argument"),
        (lambda: derivatives_agree(rosen, np.ones(3)), "and then a strategy"),
        (lambda: derivatives_agree(vectors(3), rosen), "and then a strategy"),
        (lambda: derivatives_agree(rosen, rosen_der, vectors(2), jac=rosen_der), "its Jacobian if there is one"),
        (lambda: derivatives_agree(rosen, vectors(2), inconclusive="skip"), '"ignore", "discard" or "raise"'),
    ],
)
def test_misuse_is_answered_in_a_sentence(make: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


@pytest.mark.parametrize("name", ["strategies", "derivatives_agree"])
def test_without_hypothesis_it_says_what_to_install(name: str) -> None:
    program = "\n".join(
        (
            "import sys",
            "sys.modules['hypothesis'] = None",
            "import numpy as np",
            "from dualdiff import testing",
            "print(testing.check(np.sin, 0.5).verdict)",
            "try:",
            f"    testing.{name}",
            "except ImportError as error:",
            "    print(error)",
        )
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "agree"
    assert "pip install 'dualdiff[hypothesis]'" in done.stdout


def test_hypothesis_is_imported_by_those_who_ask() -> None:
    program = "import sys, dualdiff.testing; print('hypothesis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    with pytest.raises(AttributeError, match="no attribute 'strategy'"):
        testing.strategy
