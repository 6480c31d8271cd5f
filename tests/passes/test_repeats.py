"""Programs of arrays whose steps repeat: carried out unit by unit, in the memory that they are given, they are what they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dualdiff as dd
from dualdiff.compiled.arena import Arena, Place
from dualdiff.compiled.flat import flat
from dualdiff.passes.elementary import elementary
from dualdiff.passes.periods import listed_by_periods
from dualdiff.passes.program import Program
from dualdiff.passes.repeats import _joined, repeats
from dualdiff.passes.rolling import Loop, pieces, unrolled
from dualdiff.passes.scalars import NotScalarError
from dualdiff.passes.units import NotRepeatedError, Repeats, Unit
from tests.repeated import PYTHON, program_of_arrays

RANDOM = np.random.default_rng(0)
STEPS = 24
DATA = RANDOM.standard_normal((STEPS, 3))
MATRIX = RANDOM.standard_normal((3, 3)) / 3


class Memory:
    """The arena of a program, and its inputs, as bytes."""

    def __init__(self, program: Program, inputs: list[Any]) -> None:
        self.program = program
        self.repeats = repeats(program)
        self.arena = Arena(self.repeats)
        self.inputs = inputs
        for unit in self.repeats.units:  # what has to be copied is found out here
            for read in unit.taken:
                self.arena.place(read)
        self.places: list[list[Any]] = [
            [None if g else self.arena.place(r) for r, g in _reads(unit)] for unit in self.repeats.units
        ]
        self.bytes = np.full(self.arena.size, 0xFF, np.uint8)  # numbers that are none
        for base, at, size in self.arena.copied:
            self.bytes[at : at + size] = self.base(base)[:size]

    def base(self, base: Any) -> Any:
        """Return the bytes that a place counts from."""
        if isinstance(base, str):
            return self.bytes
        return np.ascontiguousarray(self.inputs[base] if isinstance(base, int) else base).reshape(-1).view(np.uint8)

    def at(self, place: Place, k: int, form: Any, strides: Any = None) -> Any:
        """Return what is at a place, shown there."""
        start, size = int(place.offsets[k]), form.dtype.itemsize
        found = self.base(place.base)[start:]
        if strides is None:
            return found[: int(np.prod(form.shape)) * size].view(form.dtype).reshape(form.shape)
        numbers = found[: len(found) // 8 * 8].view(float)
        return np.lib.stride_tricks.as_strided(numbers, form.shape, [8 * s for s in strides])

    def run(self) -> list[Any]:
        for unit, needed, places in zip(self.repeats.units, self.arena.needed, self.places, strict=True):
            for w in unit.written:
                target = self.at(self.arena.made(unit, w.row), 0, w.base.form)
                target[...] = self.at(self.arena.place(w.base), 0, w.base.form)
            body, _ = elementary(unit.body)
            for k in range(unit.count):
                self.period(unit, needed, body, places, k)
        return [
            self.at(self.arena.place(r), 0, r.form).copy().reshape(f.shape)
            for r, f in zip(self.repeats.outputs, self.program.results, strict=True)
        ]

    def period(self, unit: Unit, needed: dict[int, int], body: Program, places: list[Any], k: int) -> None:
        values: dict[int, Any] = dict(body.constants)
        for i, place in enumerate(places):
            if place is not None:
                x = self.at(place, k, unit.body.forms[i])
                values[i] = x if x.shape else x[()]
        for g in unit.gathered:
            values[g.value] = self.at(self.arena.place(g.source), k, g.source.form, g.strides).copy()
        if unit.joined is not None:
            source = unit.joined.source
            place = self.arena.place(source)
            parts = [self.at(place, n, source.form).ravel() for n in range(len(source.values))]
            values[0] = np.concatenate(parts).reshape(unit.body.forms[0].shape)
        for s in body.steps:
            with np.errstate(all="ignore"):
                values[s.result] = np.array(_applied(s, [values[i] for i in s.operands]))
            assert values[s.result].shape == body.forms[s.result].shape
        for c, (check, numbers) in enumerate(zip(unit.body.checks, unit.checks, strict=True)):
            np.testing.assert_array_equal(values[check.value], check.then, err_msg=f"check {c} of {int(numbers[k])}")
        for j, i in unit.made.items():
            if j in needed:
                self.at(self.arena.made(unit, j), k, unit.body.forms[i])[...] = values[i]
        for w in unit.written:
            place = self.arena.made(unit, w.row)
            for part in w.parts:
                at = Place(place.base, place.offsets + 8 * part.at)
                target = self.at(at, k, w.base.form._replace(shape=part.shape), part.strides)
                target[...] = values[part.value]


def _reads(unit: Unit) -> Any:
    gathered = {g.value for g in unit.gathered}
    return [(read, i in gathered) for i, read in enumerate(unit.reads)]


def _applied(s: Any, operands: list[Any]) -> Any:
    if s.row.access == "write":
        found = operands[0].copy()
        found[s.params["index"]] = operands[1]
        return found
    return operands[0][s.params["index"]] if s.row.access == "read" else s.row.fn(*operands, **s.params)


def by_numbers(program: Program, found: Repeats, x: Any) -> list[float]:
    """Carry out the list that the periods of a program make: number by number, after it has been unrolled from its loops."""
    listing, stretches = listed_by_periods(program, found)
    split = pieces(listing, stretches)
    codes, operands = map(np.concatenate, zip(*map(unrolled, split), strict=True))
    np.testing.assert_array_equal(codes, listing.codes)
    np.testing.assert_array_equal(operands, listing.operands)
    assert sum(s.count * s.period for s in stretches) == len(listing.codes)
    assert len([p for p in split if isinstance(p, Loop)]) >= len([s for s in stretches if s.count * s.period > 500])
    values = [*listing.constants, *np.ravel(x).tolist()]
    outputs = []
    for code, taken in zip(codes.tolist(), operands.tolist(), strict=True):
        name = listing.names[code]
        if name == "output":
            outputs.append((taken[1], values[taken[0]]))
        if name.startswith("check"):
            assert values[taken[0]] is (name == "check")
        known = name in ("output", "check", "check not")
        values.append(None if known else PYTHON[name](*[values[n] for n in taken if n >= 0]))
    return [value for _, value in sorted(outputs)]


def held(f: Callable[..., Any], x: Any) -> list[tuple[int, int]]:
    """Hold a program that is carried out in its units, and number by number, against its flat code, and return its loops."""
    program = program_of_arrays(f, x)
    memory = Memory(program, [x])
    expected = flat(program, arrays=True).run(x)
    for a, b in zip(memory.run(), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    found = by_numbers(program, memory.repeats, x)
    np.testing.assert_allclose(found, np.concatenate([np.ravel(b) for b in expected]), rtol=1e-11, atol=1e-12)
    return [(u.period, u.count) for u in memory.repeats.units if u.count > 1]


def states_in_an_array(x: Any) -> Any:
    out = np.zeros((STEPS + 1, 3))
    out[0] = x[:3]
    for k in range(STEPS):
        out[k + 1] = np.tanh(MATRIX @ out[k] + DATA[k])
    return np.sum(out * out)


def columns(x: Any) -> Any:
    table, out, y = x.reshape(3, STEPS), np.zeros((3, STEPS)), x[:3]
    for k in range(STEPS):
        y = np.sin(y) + table[:, STEPS - 1 - k]
        out[:, k] = y
    return np.sum(out * out * out)


def delays(x: Any) -> Any:
    a, b, c = x[:4], 2 * x[:4], 3 * x[:4]
    for _ in range(2 * STEPS):
        a, b, c = b, c, np.sin(a) + 0.5 * np.cos(c)
    return np.sum(a * b * c)


def decisions(x: Any) -> Any:
    y, total = x[:3], 0.0
    for u in DATA:
        y = np.tanh(MATRIX @ y + u)
        if y[0] > -2 and np.sum(y) < 9:
            total = total + y[1] * y[2]
    return total


def stacked(x: Any) -> Any:
    y, found = x[:3], []
    for u in DATA:
        y = np.tanh(MATRIX @ np.concatenate([y[1:], y[:1] * u[:1]]))
        found.append(y)
    return np.stack(found)


def two_entries_a_period(x: Any) -> Any:
    out, y = np.zeros(2 * STEPS), x[:3]
    for k in range(STEPS):
        y = 0.7 * np.sin(y) + DATA[k]
        out[2 * k], out[2 * k + 1] = y[0], np.sum(y)
    return np.sum(out * out)


def delayed_rows(x: Any) -> Any:
    out, y, before = np.zeros((STEPS + 1, 3)), x[:3], 2 * x[:3]
    for k in range(STEPS):
        out[k] = before
        before, y = y, 0.7 * np.sin(y) + DATA[k] + out[k + 1, 0]  # the last is 0 yet
    return np.sum(out * out)


def whole_numbers_and_tables(x: Any) -> Any:
    y, some = x[:3], np.array([True, False, True])
    for k in range(STEPS):
        y = 0.7 * np.sin(y) + k
        y = y + np.sum(y[some]) + np.repeat(y[:1], 3)
    return np.sum(y)


@pytest.mark.parametrize("f", [states_in_an_array, columns, delays, decisions, whole_numbers_and_tables])
def test_loops_and_their_adjoints_are_found_and_give_the_same(f: Callable[..., Any]) -> None:
    x = RANDOM.standard_normal(3 * STEPS) / 2
    assert len(held(f, x)) == 1
    assert len(held(dd.grad(f), x)) >= 2


@pytest.mark.parametrize("f", [two_entries_a_period, delayed_rows])
def test_arrays_that_are_written_in_place(f: Callable[..., Any]) -> None:
    assert len(held(f, RANDOM.standard_normal(3 * STEPS) / 2)) == 1


def test_results_of_all_steps_and_directions_side_by_side() -> None:
    x = RANDOM.standard_normal(3)
    assert held(stacked, x)
    assert held(dd.jacobian(stacked, mode="forward"), x)


@settings(max_examples=max(settings().max_examples // 10, 5))
@given(st.data())
def test_random_recurrences(data: Any) -> None:
    """States that are taken from one or more steps ago, data by index, and arrays that are written row by row."""
    count = data.draw(st.integers(14, 20))
    plan = data.draw(
        st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(1, 3)), min_size=3, max_size=7)
    )
    rows = data.draw(st.booleans())

    def f(x: Any) -> Any:
        states = [[np.sin(x + n) for n in range(3)] for _ in range(4)]
        out = np.zeros((count, 3))
        for k in range(count):
            for what, which, ago in plan:
                y = states[which][-ago]
                other = states[(which + 1) % 4][-1]
                if what == 0:
                    y = np.tanh(y) + 0.3 * other
                elif what == 1:
                    y = MATRIX @ y
                elif what == 2:
                    y = y * DATA[k] + x
                elif what == 3:
                    y = np.concatenate([y[1:], other[:1]])
                elif what == 4:
                    y = np.where(y > other, y, 0.5 * other)
                else:
                    y = y - np.sum(other) / 3
                states[which] = [*states[which][-2:], y]
            if rows:
                out[k] = states[plan[-1][1]][-1]
        return np.sum(out * DATA[:count]) + sum(np.sum(s[-1]) for s in states)

    x = np.array([0.3, -0.4, 0.5])
    for g in (f, dd.grad(f)):
        try:
            held(g, x)
        except NotRepeatedError:
            continue


def test_rows_of_many_values_are_cut_out_of_straight_lines() -> None:
    def f(x: Any) -> Any:
        z, found = np.stack([x[k] for k in range(12)]), []
        y = z[:3]
        for u in DATA:
            y = 0.7 * np.sin(y) + u
            found.append(y)
        many = np.stack(found)
        return many, np.stack(found[::-1]), np.stack([z[k] for k in range(12)]), np.cos(np.sum(many))

    assert held(f, RANDOM.standard_normal(12))


def repeated(step: Callable[[Any, int], Any]) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        y = x
        for k in range(STEPS):
            y = step(y, k)
        return y

    return f


def moving_part(y: Any, k: int) -> Any:
    return np.cos(y) + np.sin(1.5 * y)[k]


def array_of_its_own(y: Any, k: int) -> Any:
    out = np.zeros(STEPS)
    out[k] = np.sum(y)
    return np.sin(y) + out


def written_by_broadcasting(x: Any) -> Any:
    out, y = np.zeros((STEPS, 3)), x[:3]
    for k in range(STEPS):
        y = np.sin(y)
        out[k] = np.cos(y[:1])
    return out * out


def read_while_it_is_written(x: Any) -> Any:
    out, y = np.zeros((2 * STEPS + 2, 3)), x[:3]
    for k in range(STEPS):
        out[2 * k + 1] = np.sin(y)
        out[2 * k + 2] = np.cos(np.sum(out[2 * k : 2 * k + 2], axis=0))
        y = np.sum(out[2 * k + 1 : 2 * k + 3], axis=0)
    return out * out


def copied_from_one_to_the_other(x: Any) -> Any:
    a, b, y = np.zeros((STEPS + 3, 3)), np.zeros((STEPS, 2, 3)), x
    for k in range(3):
        a[k] = y * (k + 1)
    for k in range(STEPS):
        b[k] = a[k : k + 2]
        y = 0.7 * np.sin(y)
        a[k + 3] = y
    return np.sum(a * a) * b


def written_into_what_the_first_period_makes(x: Any) -> Any:
    y = out = np.sum(x)
    for k in range(STEPS):
        t = np.sin(x * y)
        if k == 0:
            out = t
        y = 0.1 * np.sum(t)
        out[k] = y
    return out * out


@pytest.mark.parametrize(
    ("f", "x", "why"),
    [
        (lambda x: np.sum(np.sin(x) * x), np.ones(4), "nothing in it repeats"),
        (repeated(lambda y, _: 0.5 * np.sin(y)), np.ones(4, np.float32), "no numbers of double precision"),
        (lambda x: repeated(lambda y, _: 0.5 * np.sin(y))(x).astype(np.float32), np.ones(4), "a result of float32"),
        (lambda x: (repeated(lambda y, _: 0.5 * np.sin(y))(x), np.sin(x[:0])), np.ones(4), "arrays of no numbers"),
        (repeated(lambda y, _: np.sin(np.stack([y[k] for k in range(9, -1, -1)]))), np.ones(10), "many operands"),
        (repeated(moving_part), DATA[:, 0], "that moves"),
        (repeated(array_of_its_own), DATA[:, 0], "none of the loop's"),
        (written_by_broadcasting, DATA[0], "another form"),
        (read_while_it_is_written, DATA[0], "not there yet"),
        (written_into_what_the_first_period_makes, DATA[:, 0], "not there yet"),
        (copied_from_one_to_the_other, DATA[0], "where others are read"),
    ],
)
def test_what_does_not_repeat_is_said_so(f: Callable[..., Any], x: Any, why: str) -> None:
    with pytest.raises(NotRepeatedError, match=why):
        repeats(program_of_arrays(f, x))


# --------------------------------------------------------------------------------------------------
# numbers, period by period

SOME = RANDOM.random((STEPS, 3)) > 0.5


def test_truth_values_and_arguments_that_nothing_reads() -> None:
    def f(x: Any, unread: Any) -> Any:
        y = x
        for k in range(STEPS):
            y = np.where(SOME[k], 0.5 * np.sin(y), y * x)
        return y

    x = np.array([0.3, 0.8, 0.2])
    program = program_of_arrays(f, x, x)
    found = by_numbers(program, repeats(program), np.concatenate([x, x]))
    np.testing.assert_allclose(found, f(x, x), rtol=1e-13)


def written_twice(x: Any) -> Any:
    out = np.zeros((3, 3))
    for k in range(STEPS):
        out[k % 3] = np.sin(out[(k - 1) % 3]) * x + 1
    return out


def marked(x: Any) -> Any:
    out, y = np.zeros((STEPS, 2, 3)), x
    for k in range(STEPS):
        y = np.sin(y)
        out[k, 0], out[k, 1] = y, True
    return out * y


@pytest.mark.parametrize(
    ("f", "why"),
    [
        (written_twice, "written again"),
        (marked, "written as numbers"),
        (repeated(lambda y, k: np.sin(y) * np.array([k, 1, 2**60 + k]) * 1e-19), "no number of double precision"),
    ],
)
def test_what_is_no_program_of_numbers_is_said_so(f: Callable[..., Any], why: str) -> None:
    program = program_of_arrays(f, DATA[0])
    with pytest.raises(NotScalarError, match=why):
        listed_by_periods(program, repeats(program))


def one_loop_after_the_other(x: Any) -> Any:
    y = z = x
    for _ in range(STEPS):
        y = np.sin(y) * x[1]
    for _ in range(STEPS):
        z = np.cos(z) * y
    return z


def test_units_in_another_order_are_refused() -> None:
    program = program_of_arrays(one_loop_after_the_other, DATA[0])
    found = repeats(program)
    found.units.reverse()
    with pytest.raises(NotScalarError, match="not there yet"):
        listed_by_periods(program, found)


def test_rows_of_tables_are_numbered_however_large_their_entries_are() -> None:
    large = 1 << 40
    columns = [np.array([0, large, large, 0, 0]), np.array([5, large, 5, 5, 5]), np.array([1, 2, 1, 1, large])]
    found = _joined(columns)
    rows = list(zip(*columns, strict=True))
    assert [[a == b for b in found] for a in found] == [[a == b for b in rows] for a in rows]
