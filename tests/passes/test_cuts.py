"""Cuts: where a program narrows; the product of the Jacobians of its parts is the Jacobian."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import dualdiff as dd
from dualdiff import ways
from dualdiff.lab.problems import zoo
from dualdiff.lab.problems.chains import hourglass, layers
from dualdiff.passes import pull, push
from dualdiff.passes.cuts import Cut, activity, cuts, segment, whole
from dualdiff.passes.replay import replay
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.testing import Subject
from dualdiff.testing.laws import same
from dualdiff.testing.strategies import Program, programs
from dualdiff.ways.mixed import best_tree
from dualdiff.ways.problem import record

EVERYWHERE = 1 << 60


def tape_of(f: Any, *args: Any) -> Any:
    return record(Subject(f, args).problem, replayable=True)[0]


def form(tape: Any, slot: int) -> Any:
    n = len(tape.inputs)
    return tape.inputs[slot] if slot < n else tape.cells[6 * (slot - n) + 4]


def identity(forms: list[Any]) -> list[Any]:
    sizes = [size_of(shape_of(a)) for a in forms]
    eye, ends = np.eye(sum(sizes)), np.cumsum([0, *sizes])
    return [
        eye[:, lo:hi].reshape((-1, *shape_of(a))).astype(dtype_of(a))
        for a, lo, hi in zip(forms, ends, ends[1:], strict=False)
    ]


def joined(found: list[Any], forms: list[Any], k: int) -> Any:
    return np.concatenate(
        [
            np.zeros((k, size_of(shape_of(a)))) if t is None else np.reshape(t, (k, -1))
            for t, a in zip(found, forms, strict=True)
        ],
        axis=1,
    )


def by_columns(part: Any) -> Any:
    k = sum(size_of(a.shape) for a in part.inputs)
    outs = [form(part, s) for s in part.outputs]
    return joined(push(part, identity(part.inputs), part.outputs, (k,)), outs, k).T


def by_rows(part: Any) -> Any:
    outs = [form(part, s) for s in part.outputs]
    k = sum(size_of(shape_of(a)) for a in outs)
    return joined(pull(part, list(zip(part.outputs, identity(outs), strict=True)), (k,)), part.inputs, k)


def check(f: Any, point: Any, argnums: Any) -> int:
    """Hold every chain of parts against the Jacobian; return the number of cuts."""
    tape = tape_of(f, *point)
    live = [s for s in tape.outputs if s >= 0]
    expected = dd.jacrev(f, argnums, flat=True)(*point)
    rows = np.concatenate(
        [np.full(size_of(shape_of(form(tape, s))) if s >= 0 else -1 - s, s >= 0) for s in tape.outputs]
    )
    expected = expected[rows]
    first, last = whole(tape)
    found = cuts(tape, EVERYWHERE, most=4)
    if not live:
        assert not found
        return 0
    scale = 100 * max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    places = [first, *found, last]
    assert [c.at for c in places] == sorted(c.at for c in places)
    assert (last.width, first.width) == expected.shape
    for cut in found:
        assert cut.width == sum(size_of(shape_of(form(tape, s))) for s in cut.slots)
        same(
            "two parts",
            by_columns(segment(tape, cut, last)) @ by_rows(segment(tape, first, cut)),
            expected,
            scale=scale,
        )
    chain = np.eye(first.width)
    for a, b in itertools.pairwise(places):
        chain = by_columns(segment(tape, a, b)) @ chain
    same("all parts", chain, expected, scale=scale)
    tree = best_tree(ways.Program(tape, [form(tape, s) for s in live]))
    if tree is not None:
        same("the tree", tree.jacobian(ways.Program(tape)), expected, scale=scale)
    return len(found)


@given(programs())
def test_parts_of_random_programs(program: Program) -> None:
    if any(np.asarray(x).dtype == np.float32 for x in program.point):
        return
    check(program, program.point, tuple(range(len(program.point))))


@pytest.mark.parametrize("case", zoo("small"), ids=lambda c: c.name)
def test_parts_of_the_zoo(case: Any) -> None:
    assert check(case.function, (case.point,), 0) >= 0


def test_widths_of_an_hourglass() -> None:
    case = hourglass(15, 3, 12)
    tape = tape_of(case.function, case.point)
    assert [c.width for c in cuts(tape, 12)] == [3]
    assert cuts(tape, 3) == []  # only narrower ones
    first, last = whole(tape)
    assert first == Cut(0, (0,), 15)
    assert (last.at, last.width, last.slots) == (len(tape), 12, tuple(tape.outputs))


def test_every_layer_that_narrows_is_a_cut() -> None:
    case = layers(20, 4, 15, 2, 15, 3, 20)
    tape = tape_of(case.function, case.point)
    assert [c.width for c in cuts(tape, 20)] == [4, 2, 3]
    assert [c.width for c in cuts(tape, 4)] == [2, 3]
    assert [c.width for c in cuts(tape, 20, most=1)] == [2]
    assert [c.width for c in cuts(tape, 20, most=2)] == [2, 3]
    assert check(case.function, (case.point,), 0) == 3


def test_what_is_used_again_crosses_too() -> None:
    def f(x: Any) -> Any:
        s = np.sum(x)
        return np.outer(np.full(10, 1.0) * np.sin(s), np.ones(3)) + x[0]

    found = cuts(tape_of(f, np.ones(10)), 10)
    assert all(0 in c.slots and c.width >= 10 for c in found)  # x is read by the last equation
    unused = cuts(tape_of(lambda x: (np.sum(x * x), np.sin(x))[0] * np.ones(5), np.ones(10)), 5)
    assert [c.width for c in unused] == [1]  # the sine leads nowhere


def test_activity() -> None:
    def f(x: Any, y: Any) -> Any:
        np.sin(x)  # read by nobody
        z = y * 2.0
        return np.floor(z) * 0.5 + z, np.ones(2)

    tape = tape_of(f, np.ones(2), np.ones(2))
    names = [row.name for row in tape.cells[0::6]]
    active = activity(tape)
    assert len(active) == 2 + len(tape)
    assert active[:2] == [False, True]
    by_name = dict(zip(names, active[2:], strict=True))
    assert not by_name["np.sin"]
    assert not by_name["np.floor"]
    assert by_name["np.add"]
    assert active[tape.outputs[0]]


def test_the_parts_of_a_tape_are_run_again_one_after_the_other() -> None:
    case = hourglass(15, 3, 12)
    tape = tape_of(case.function, case.point)
    first, last = whole(tape)
    places = [first, *cuts(tape, EVERYWHERE), last]
    assert len(places) > 2
    for x in (case.point, case.point[::-1] * 0.5):
        values = [x]
        for a, b in itertools.pairwise(places):
            part = segment(tape, a, b)
            values = replay(part, values, part.outputs)
        np.testing.assert_allclose(values[0], case.function(x), rtol=1e-13)
