"""Loops that are found in straight lists: unrolled they are the list, and they are found where they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dualdiff as dd
from dualdiff.passes import rolling
from dualdiff.passes.program import Form, Slot, program_of
from dualdiff.passes.rolling import Listing, Loop, listed, pieces, unrolled
from dualdiff.passes.scalars import NotScalarError, Scalars, expanded
from dualdiff.tape import Recording
from dualdiff.trees import flatten

MOST = 1 << 20


def scalars_of(f: Callable[..., Any], *args: Any) -> tuple[Any, Scalars]:
    """Record a function, and return its program and that as operations on numbers."""
    tape = Recording()
    try:
        values = flatten(f(*[tape.add_input(x) for x in args]))[0]
    finally:
        tape.close()
    slots = [Slot(v.mark) if getattr(v, "run", None) is tape else v for v in values]
    program = program_of(tape, args, slots, flatten(f(*args))[0])
    return program, expanded(program, MOST)


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


def lorenz(steps: int) -> Callable[[Any], Any]:
    def slope(y: Any, p: Any) -> Any:
        return np.stack([p[0] * (y[1] - y[0]), y[0] * (p[1] - y[2]) - y[1], y[0] * y[1] - p[2] * y[2]])

    def final(z: Any) -> Any:
        y, p, h = z[:3], z[3:], 0.005
        for _ in range(steps):
            k1 = slope(y, p)
            k2 = slope(y + h / 2 * k1, p)
            k3 = slope(y + h / 2 * k2, p)
            k4 = slope(y + h * k3, p)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return y

    return final


START = np.array([1.0, 1.0, 1.0, 10.0, 28.0, 8 / 3])


def test_the_steps_of_an_integrator_are_one_loop_and_its_adjoint_another_one() -> None:
    assert loops(held(listing_of(lorenz(100), START))) == [(71, 99)]
    found = held(listing_of(dd.jacobian(lorenz(100), mode="reverse"), START))
    assert loops(found) == [(71, 99), (375, 99)]
    assert sum(len(piece.codes) for piece in found) < 1000
    forward = held(listing_of(dd.jacobian(lorenz(100), mode="forward"), START))
    assert loops(forward)[0][1] >= 97


@dataclass(frozen=True)
class Made:
    """A list of operations as a graph, and how it was made."""

    scalars: Scalars
    period: int
    count: int


NAMES = ("add", "multiply", "subtract", "divide", "sin", "exp", "negative")


@st.composite
def periodic(draw: Any) -> Made:
    """Draw a list that repeats after a beginning and before an end: operands of every kind that loops know, and constants."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    period, count = draw(st.integers(1, 40)), draw(st.integers(3, 60))
    before, after = draw(st.integers(0, 60)), draw(st.integers(0, 60))
    data = count if draw(st.booleans()) else 1
    operations: list[tuple[Any, ...]] = [("input", 0, k) for k in range(3)]
    operations += [("input", 1, k) for k in range(2 * count)]
    operations += [("constant", x, x.hex()) for x in map(float, range(data + 2))]
    table = 3 + 2 * count

    def any_of(n: int) -> tuple[Any, ...]:
        name = NAMES[random.integers(len(NAMES))]
        operands = random.integers(0, n, 2 if name in NAMES[:4] else 1)
        return (name, *operands.tolist())

    for _ in range(before):
        operations.append(any_of(len(operations)))
    start = len(operations)
    body = []
    for j in range(period):
        name = NAMES[random.integers(len(NAMES))]
        operands = []
        for _ in range(2 if name in NAMES[:4] else 1):
            kind = random.integers(6)
            if kind == 0 and j:
                operands.append(("same", int(random.integers(j))))
            elif kind <= 2:
                operands.append(("carried", int(random.integers(period)), int(random.integers(1, 4))))
            elif kind == 3:
                operands.append(("fixed", int(random.integers(start))))
            elif kind == 4:
                operands.append(("input", int(random.integers(2)), int(random.integers(count))))
            else:
                operands.append(("table", int(random.integers(2))))
        body.append((name, operands))
    for r in range(count):
        for name, operands in body:
            given = []
            for kind, *of in operands:
                if kind == "same":
                    given.append(start + r * period + of[0])
                elif kind == "carried":
                    given.append(start + (r - of[1]) * period + of[0] if r >= of[1] else of[0] % start)
                elif kind == "fixed":
                    given.append(of[0])
                elif kind == "input":
                    given.append(3 + of[0] * r + of[1])
                else:
                    given.append(table + of[0] + (r * 7) % data)
            operations.append((name, *given))
    for _ in range(after):
        operations.append(any_of(len(operations)))
    last = len(operations)
    form = Form((4,), np.dtype(float), "array")
    outputs = [(form, (last - 1, last - 2, start, 0))]
    return Made(Scalars(operations, outputs, [], last, 0), period, count)


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
        operands = random.integers(0, len(operations), 2 if name in NAMES[:4] else 1)
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
    operations = [("input", 0, 0), ("input", 0, 1), ("isfinite", 0), ("isfinite", 1), ("all", 2, 3), ("floor", 0), ("all",)]
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

    operator = (dd.jacobian, lambda f: dd.jacobian(f, mode="forward"), lambda f: dd.grad(lambda x: np.sum(f(x))))[which % 3]
    held(listing_of(operator(f), np.array([0.1, 0.2, 0.3])))
