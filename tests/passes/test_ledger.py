"""The books of a run, against the passes that keep none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

import dualdiff as dd
from dualdiff.passes.ledger import ledger
from dualdiff.shapes import shape_of
from dualdiff.tape import record
from dualdiff.testing import Subject
from dualdiff.testing.laws import same_all
from dualdiff.testing.strategies import Program, programs
from dualdiff.ways.problem import record as recorded


def books(f: Any, *args: Any, seed: int = 0) -> Any:
    """Return the tape of a function, its results, random seeds and the ledger."""
    rng = np.random.default_rng(seed)
    subject = Subject(f, args)
    tape, values = recorded(subject.problem, replayable=True)
    tangents = subject.direction(rng, (3,))
    covectors = subject.covector(rng, values, (2,))
    seeds = [(s, w) for s, w in zip(tape.outputs, covectors, strict=True) if s >= 0]
    return tape, values, tangents, covectors, ledger(tape, subject.inputs, tangents, seeds)


@given(programs("smooth"))
def test_what_arrives_is_what_push_and_pull_return(program: Program) -> None:
    tape, values, tangents, covectors, found = books(program, *program.point)
    subject = Subject(program, program.point)
    _, pushed = subject.push(tangents, (3,))
    _, pulled = subject.pull(covectors, (2,))
    for slot, value, t in zip(tape.outputs, values, pushed, strict=True):
        if slot >= 0:
            same_all("value", [found.values[slot]], [value])
            if found.tangents[slot] is not None:
                same_all("tangent", [found.tangents[slot]], [t])
    for slot, c in enumerate(pulled):
        if found.adjoints[slot] is not None:
            same_all("adjoint", [found.adjoints[slot]], [c])


@given(programs("smooth"))
def test_an_adjoint_is_the_sum_of_its_seeds_and_contributions(program: Program) -> None:
    tape, _, _, covectors, found = books(program, *program.point)
    for slot, adjoint in enumerate(found.adjoints):
        parts = [w for s, w in zip(tape.outputs, covectors, strict=True) if s == slot]
        parts += [c.adjoint for c in found.contributions[slot]]
        if adjoint is None:
            assert parts == []
        else:
            assert all(shape_of(p) == (2, *shape_of(tape.form(slot))) for p in parts)
            same_all("sum", [adjoint], [sum(parts)])


def test_both_operands_of_a_square_contribute() -> None:
    tape, y = record(lambda x: x * x, np.float64(3.0), replayable=True)
    found = ledger(tape, [3.0], [np.ones(1)], [(y.mark, np.ones(1))])
    assert [(c.reader, c.operand, c.adjoint.tolist()) for c in found.contributions[0]] == [(1, 0, [3.0]), (1, 1, [3.0])]


def test_a_branch_not_taken_contributes_a_structural_zero() -> None:
    x = np.array([0.0, 4.0])
    tape, values, *_, found = books(lambda x: np.where(x > 1, np.sqrt(x), 0.0) @ np.ones((2, 3)), x)
    assert np.isfinite(found.adjoints[0]).all()
    assert np.isfinite(found.tangents[tape.outputs[0]]).all()
    assert dd.jacobian(lambda x: np.where(x > 1, np.sqrt(x), 0.0))(x).tolist() == [[0.0, 0.0], [0.0, 0.25]]
    assert values[0].shape == (3,)


def test_a_tape_without_its_constants_is_refused() -> None:
    tape, y = record(np.sin, 0.5)
    with pytest.raises(dd.errors.InputError, match="replayable=True"):
        ledger(tape, [0.5], [np.ones(1)], [(y.mark, np.ones(1))])
