"""The structure of a tape: the same for every run of one program, another for any other; it travels."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import dualdiff as dd
from dualdiff.lab.problems import zoo
from dualdiff.passes.structure import Structure, same, structure
from dualdiff.register import REGISTER
from dualdiff.testing import Subject
from dualdiff.testing.strategies import Program, programs
from dualdiff.ways.problem import record

X = np.linspace(0.5, 1.5, 6)


def tape_of(f: Any, *args: Any) -> Any:
    return record(Subject(f, args).problem, replayable=True)[0]


@given(programs())
def test_a_structure_holds_for_another_recording_and_after_a_pickle(program: Program) -> None:
    tape = tape_of(program, *program.point)
    for s in (structure(tape), pickle.loads(pickle.dumps(structure(tape)))):
        assert isinstance(s, Structure)
        assert s.holds(tape)
        assert s.holds(tape_of(program, *program.point))


@pytest.mark.parametrize("case", zoo("small"), ids=lambda c: c.name)
def test_a_structure_holds_at_another_point(case: Any) -> None:
    s = pickle.loads(pickle.dumps(structure(tape_of(case.function, case.point))))
    assert s.holds(tape_of(case.function, case.point * (1 + 1e-9)))
    assert not s.holds(tape_of(lambda x: 2.0 * case.function(x), case.point))


AT = np.array([0, 2, 4])
CHANGES: list[tuple[Any, Any]] = [
    (lambda x: x[0] * x, lambda x: x[1] * x),  # an index
    (lambda x: x[1:], lambda x: x[:-1]),
    (lambda x: x[AT], lambda x: x[np.array([0, 2, 5])]),  # an index array
    (lambda x: x[AT], lambda x: x[AT.astype(np.int32)]),
    (lambda x: x[X > 1], lambda x: x[X < 1]),  # a mask
    (lambda x: np.roll(x, 1), lambda x: np.roll(x, 2)),  # a parameter
    (lambda x: np.sum(x.reshape(2, 3), axis=0), lambda x: np.sum(x.reshape(2, 3), axis=1)),
    (lambda x: np.sum(x.reshape(2, 3), axis=0), lambda x: np.sum(x.reshape(2, 3), axis=0, keepdims=True)),
    (lambda x: x.reshape(2, 3), lambda x: x.reshape(3, 2)),  # a shape
    (lambda x: x * np.ones(6), lambda x: x * np.ones((1, 6))),
    (lambda x: x * 2.0, lambda x: x * np.full(6, 2.0)),
    (lambda x: (np.sin(x), np.cos(x)), lambda x: (np.cos(x), np.sin(x))),  # the order
    (lambda x: np.sin(x), lambda x: (np.sin(x), np.sin(x))),  # the outputs
    (lambda x: (np.sin(x), x), lambda x: (x, np.sin(x))),
    (lambda x: (np.sin(x), np.ones(2)), lambda x: (np.sin(x), np.ones(3))),
    (lambda x: np.sin(x), lambda x: np.cos(x)),  # a primitive
    (lambda x: np.sin(x) * x, lambda x: np.sin(x) * np.sin(x)),  # an operand
    (lambda x: np.sin(x), lambda x: np.sin(np.sin(x))),  # how many
    (lambda x: np.einsum("i,j->ij", x, x), lambda x: np.einsum("i,j->ji", x, x)),
]


@pytest.mark.parametrize("pair", CHANGES, ids=range(len(CHANGES)))
def test_a_structure_does_not_hold_for_another_program(pair: Any) -> None:
    for f, g in (pair, pair[::-1]):
        s = structure(tape_of(f, X))
        assert s.holds(tape_of(f, 2 * X))
        assert not s.holds(tape_of(g, X))
        assert not pickle.loads(pickle.dumps(s)).holds(tape_of(g, X))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((X,), (X[:5],)),
        ((X,), (X.astype(np.float32),)),
        ((X,), (X.reshape(1, 6),)),
        ((X, 1.0), (X, np.ones(1))),
        ((1.0,), (np.float32(1),)),
    ],
)
def test_a_structure_does_not_hold_for_other_inputs(a: Any, b: Any) -> None:
    def f(x: Any, *rest: Any) -> Any:
        return np.sin(x)

    assert structure(tape_of(f, *a)).holds(tape_of(f, *a))
    assert not structure(tape_of(f, *a)).holds(tape_of(f, *b))


def test_constants_are_values_and_no_structure() -> None:
    s = structure(tape_of(lambda x: 2.0 * x + np.ones(6), X))
    assert s.holds(tape_of(lambda x: 3.0 * x + np.zeros(6), X))
    assert not s.holds(tape_of(lambda x: 3.0 * x + 0.0, X))


def test_an_index_array_written_later_does_not_change_the_structure() -> None:
    at = np.arange(6)

    def f(x: Any) -> Any:
        return x[at]

    s = structure(tape_of(f, X))
    at[:] = at[::-1].copy()
    assert not s.holds(tape_of(f, X))


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (np.arange(3), np.arange(3), True),
        (np.arange(3), np.arange(3.0), False),
        (np.arange(3), np.arange(4), False),
        (np.arange(3), [0, 1, 2], False),
        ((slice(1, 2), np.arange(2)), (slice(1, 2), np.arange(2)), True),
        ((slice(1, 2), np.arange(2)), (slice(1, 3), np.arange(2)), False),
        ({"axis": (0, 1)}, {"axis": (0, 1)}, True),
        ({"axis": (0, 1)}, {"axis": (0,)}, False),
        ({"axis": 0}, {"axes": 0}, False),
        (None, None, True),
        ([], [], True),
        ([np.nan], [np.nan], True),  # the very same object
    ],
)
def test_same_parameters(a: Any, b: Any, equal: bool) -> None:
    assert same(a, b) is equal
    assert same(b, a) is equal


def test_primitives_pickle_as_themselves() -> None:
    rows = {id(e.primitive): e.primitive for e in REGISTER.values() if e.primitive is not None}
    assert len(rows) > 100
    tape = tape_of(lambda x: np.linalg.norm(np.sort(np.where(x > 1, x @ x, np.cumsum(x)))), X)
    for row in [*rows.values(), *tape.cells[0::6]]:
        assert pickle.loads(pickle.dumps(row)) is row
    assert pickle.loads(pickle.dumps(tape.cells[0::6])) == tape.cells[0::6]


def test_plans_hold_a_structure_that_pickles() -> None:
    plan = dd.plan_jacobian(np.cumsum, X, sparse=True, coloring="columns")
    s = pickle.loads(pickle.dumps(plan)).way.structure
    assert s.holds(tape_of(np.cumsum, 3 * X))
