"""Loops that are found in straight lists: unrolled they are the list, and they are found where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dualdiff as dd
from dualdiff.passes import rolling
from dualdiff.passes.program import Form
from dualdiff.passes.rolling import Listing, Loop, listed, pieces, unrolled
from dualdiff.passes.scalars import NotScalarError, Scalars
from tests.repeated import BINARY, NAMES, START, Made, lorenz, periodic, scalars_of


def listing_of(f: Callable[..., Any], *args: Any) -> Listing:
    program, scalars = scalars_of(f, *args)
    return listed(scalars, [c.then for c in program.checks])


def held(listing: Listing) -> list[Any]:
    """Return the pieces of a listing, having unrolled them."""
    found = pieces(listing)
    at = 0
    for piece in found:
        codes, operands = unrolled(piece)
        assert piece.start == at
        np.testing.assert_array_equal(codes, listing.codes[at : piece.stop])
        np.testing.assert_array_equal(operands, listing.operands[at : piece.stop])
        at = piece.stop
    assert at == len(listing.codes)
    return found


def loops(found: list[Any]) -> list[tuple[int, int]]:
    return [(piece.period, piece.count) for piece in found if isinstance(piece, Loop)]


def test_the_steps_of_an_integrator_are_one_loop_and_its_adjoint_another_one() -> None:
    assert loops(held(listing_of(lorenz(40), START))) == [(71, 39)]
    found = held(listing_of(dd.jacobian(lorenz(40), mode="reverse"), START))
    assert loops(found) == [(71, 39), (375, 39)]
    assert sum(len(piece.codes) for piece in found) < 1000
    forward = held(listing_of(dd.jacobian(lorenz(40), mode="forward"), START))
    assert loops(forward)[0][1] >= 37


@given(periodic())
def test_what_repeats_is_found_and_unrolls_to_what_it_was(made: Made) -> None:
    listing = listed(made.scalars, [])
    found = held(listing)
    if made.count >= 8 and made.period * (made.count - 5) > 3 * rolling.WORTH:
        assert loops(found)
        size = sum(len(piece.codes) for piece in found)
        beside = len(listing.codes) - made.period * made.count
        assert size <= beside + 6 * made.period + 3 * rolling.WORTH


@given(st.integers(0, 2**32 - 1), st.integers(1, 600))
def test_what_does_not_repeat_stays_as_it_is(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    operations: list[tuple[Any, ...]] = [("input", 0, k) for k in range(8)]
    for _ in range(count):
        name = NAMES[random.integers(len(NAMES))]
        operands = random.integers(0, len(operations), 2 if name in BINARY else 1)
        operations.append((name, *operands.tolist()))
    form = Form((), np.dtype(float), "number")
    found = held(listed(Scalars(operations, [(form, (len(operations) - 1,))], [], count, 0), []))
    assert loops(found) == []


def test_a_loop_in_a_loop_is_rolled_by_the_outer_one() -> None:
    def f(x: Any) -> Any:
        y = list(x)
        for _ in range(40):
            y = [y[k - 1] + 0.1 * np.sin(y[k]) * y[(k + 1) % 30] for k in range(30)]
        return np.stack(y)

    found = held(listing_of(f, np.linspace(0.1, 0.5, 30)))
    assert sum(len(piece.codes) for piece in found) < 700
    assert max(period for period, _ in loops(found)) == 30 * 4


def test_what_runs_along_several_values_of_each_period_has_their_number_as_its_period() -> None:
    def f(x: Any) -> Any:
        y, out = x, []
        for _ in range(60):
            y = y[::-1] * 0.5 + np.sin(y)
            out.append(y * y)
        return np.exp(np.concatenate(out))

    found = held(listing_of(f, np.array([0.1, 0.2, 0.3])))
    assert sum(len(piece.codes) for piece in found) < 150


def test_checks_and_results_stand_in_their_loop() -> None:
    def f(x: Any) -> Any:
        y, out = x[0], []
        for _ in range(50):
            y = y * 0.9 + 0.01 * x[1] if y > 0.2 else y * 1.1 + x[1] * 0.5 - y * y
            out.append(y)
        return np.stack(out)

    listing = listing_of(f, np.array([1.0, 10.0]))
    found = held(listing)
    (loop,) = [piece for piece in found if isinstance(piece, Loop)]
    names = [listing.names[c] for c in loop.codes]
    assert {"check", "output"} <= set(names)
    j = names.index("output")
    assert loop.step[j, 1] == 1


def test_a_check_of_numbers_and_one_of_many_truth_values() -> None:
    form = Form((), np.dtype(float), "number")
    operations = [
        ("input", 0, 0),
        ("input", 0, 1),
        ("isfinite", 0),
        ("isfinite", 1),
        ("all", 2, 3),
        ("floor", 0),
        ("all",),
    ]
    listing = listed(
        Scalars(operations, [(form, (0,))], [(4,), (5, 6), (5,)], 4, 0), [True, np.array([2.0, True]), np.nan]
    )
    names = [listing.names[c] for c in listing.codes]
    assert names == [
        "isfinite", "isfinite", "logical_and", "check", "floor", "equal", "check", "equal", "check", "isnan", "check", "output",
    ]  # fmt: skip
    raw = [int(n) for n in listing.operands[:, 1][listing.kinds[:, 1] == rolling.NUMBER]]
    assert raw == [0, 1, 1, 2, 0]


def test_operations_of_many_operands_are_refused() -> None:
    operations = [*[("input", 0, k) for k in range(4)], ("f", 0, 1, 2, 3)]
    with pytest.raises(NotScalarError, match="more than three"):
        listed(Scalars(operations, [], [], 1, 0), [])


@settings(max_examples=10)
@given(st.integers(2, 60), st.integers(0, 5))
def test_recorded_derivatives_unroll_to_what_they_were(steps: int, which: int) -> None:
    def f(x: Any) -> Any:
        y, z = x[0], x[1]
        for k in range(steps):
            y, z = z * np.cos(y) + x[k % 3], y * 0.5 + (np.tanh(z) if which % 2 else 1 / (1 + z * z))
        return np.stack([y, z])

    operator = (dd.jacobian, lambda f: dd.jacobian(f, mode="forward"), lambda f: dd.grad(lambda x: np.sum(f(x))))[
        which % 3
    ]
    held(listing_of(operator(f), np.array([0.1, 0.2, 0.3])))
