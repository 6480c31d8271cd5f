"""Recordings that will run at other points: constants and decisions, but no values, and no decision that nobody noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import dualdiff as dd
from dualdiff.passes.replay import BranchChangedError, replay
from dualdiff.tape import Recording
from dualdiff.values import TRACED

MATRIX = np.diag([1.0, 2.0, 3.0])


def recorded(f: Callable[..., Any], *args: Any) -> tuple[Recording, Any]:
    tape = Recording()
    try:
        return tape, f(*[tape.add_input(x) for x in args])
    finally:
        tape.close()


def agrees_or_says_so(f: Callable[..., Any], at: Any, others: list[Any]) -> list[bool]:
    """Record a function of one argument and run it at other points; return where it refused to."""
    tape, y = recorded(f, at)
    assert type(y) in TRACED
    refused = []
    for x in others:
        try:
            (found,) = replay(tape, [x], [y.mark])
        except BranchChangedError:
            refused.append(True)
        else:
            np.testing.assert_array_equal(found, f(x))
            refused.append(False)
    return refused


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("f", "at", "smooth", "odd"),
    [
        # The derivative is not finite, and so is computed again by other rules.
        (dd.grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0))), [1.0, 2.0], [3.0, 4.0], [0.0, 4.0]),
        (dd.grad(lambda x: np.sum(0.0 * x * np.sqrt(x))), [1.0, 2.0], [3.0, 4.0], [0.0, 4.0]),
        (dd.jacfwd(lambda x: np.sqrt(x) * x[::-1]), [1.0, 2.0], [3.0, 4.0], [0.0, 4.0]),
        # Eigenvalues that become equal.
        (
            dd.grad(lambda t: np.linalg.eigvalsh(MATRIX + t * np.eye(3)[0][:, None] * np.eye(3)[0])[0]),
            0.5,
            0.25,
            1.0,
        ),
        # A series of as many terms as the argument asks for.
        (lambda z: np.real(scipy.special.psi(z)) * dd.grad(lambda t: np.real(scipy.special.psi(t * (1 + 1j))))(z), 1.5, 1.6, 3.5),
        # The sign of what is a constant inside, and an input outside.
        (lambda c: dd.hessian(lambda x: np.abs(c * x**2))(0.0) + c, 2.0, 3.0, -2.0),
    ],
)  # fmt: skip
def test_hidden_decisions_are_noted(f: Any, at: Any, smooth: Any, odd: Any) -> None:
    point, other, singular = (np.array(v) if isinstance(v, list) else v for v in (at, smooth, odd))
    assert agrees_or_says_so(f, point, [point, other, singular]) == [False, False, True]


def test_a_decision_is_looked_at_before_what_it_rules_out() -> None:
    def f(x: Any) -> Any:
        if x[0] > 0:
            return np.linalg.inv(x.reshape(2, 2))
        return x

    tape, y = recorded(f, np.array([1.0, 2.0, 3.0, 4.0]))
    with pytest.raises(BranchChangedError):  # and not NumPy's error about a singular matrix
        replay(tape, [np.array([0.0, 0.0, 3.0, 4.0])], [y.mark])
    assert [(g.at, frame[0].co_name) for g, frame in zip(tape.guards, tape.places, strict=True)] == [(2, "f")]


def test_no_values_are_kept_but_those_of_constants() -> None:
    x = np.linspace(0.5, 2.0, 100_000)
    weights = np.arange(100_000.0)

    def f(x: Any) -> Any:
        return np.sum(weights * (x[1:] - x[:-1] ** 2).sum() * np.sin(x) ** 2)

    tape, y = recorded(dd.grad(f), x)
    held = [a for args in tape.arguments for a in args if type(a) is np.ndarray and a.size > 64]
    held += [a for a in tape.results if type(a) is np.ndarray and a.size > 64]
    constants = [
        a
        for args, ins in zip(tape.arguments, tape.operands, strict=True)
        for a, i in zip(args, ins, strict=True)
        if i is None and type(a) is np.ndarray and a.size > 64
    ]
    assert len(held) == len(constants)
    assert not any(a is weights for a in constants)
    np.testing.assert_allclose(replay(tape, [x + 0.25], [y.mark])[0], dd.grad(f)(x + 0.25), rtol=1e-15)


def test_a_constant_knows_the_array_it_was_copied_from() -> None:
    held = [np.arange(3.0)]
    tape, _ = recorded(lambda x: x * held[0] + 1.0, np.ones(3))
    ((place, origin),) = tape.origins.items()
    assert place == (0, 1)
    assert origin() is held[0]
    held[0][0] = 7.0  # the copy is the program's own
    np.testing.assert_array_equal(tape.arguments[0][1], [0, 1, 2])
    held.clear()
    assert origin() is None


def test_integers_and_truth_values_among_the_inputs_take_part() -> None:
    def f(x: Any, n: Any, mask: Any) -> Any:
        return np.where(mask, x**n, -x) * (n > 1), n + 1

    point = np.array([1.0, 2.0, 3.0]), np.array([1, 2, 3]), np.array([True, False, True])
    tape, (y, n) = recorded(f, *point)
    other = np.array([2.0, 3.0, 0.5]), np.array([3, 0, 2]), np.array([False, True, True])
    for found, expected in zip(replay(tape, other, [y.mark, n.mark]), f(*other), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
    assert not tape.guards


def test_a_count_that_a_formula_is_written_with_is_a_decision() -> None:
    slope = dd.grad(dd.grad(scipy.special.smirnov, 1), 1)
    tape, y = recorded(slope, np.int64(3), 0.3)
    np.testing.assert_array_equal(replay(tape, [np.int64(3), 0.4], [y.mark])[0], slope(np.int64(3), 0.4))
    with pytest.raises(BranchChangedError):
        replay(tape, [np.int64(4), 0.4], [y.mark])


def test_integers_that_select_are_decisions() -> None:
    tape, y = recorded(lambda x, i: x[i] * 2, np.arange(4.0), np.array([0, 2]))
    np.testing.assert_array_equal(replay(tape, [np.ones(4), np.array([0, 2])], [y.mark])[0], [2, 2])
    with pytest.raises(BranchChangedError):
        replay(tape, [np.ones(4), np.array([0, 3])], [y.mark])
