"""The register of ways: one that is entered is costed, explained, chosen, remembered and proved, unasked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import dualdiff as dd
from dualdiff.errors import InputError
from dualdiff.testing.laws import same
from dualdiff.testing.strategies import Program, programs
from dualdiff.ways import WAYS, Answer, Forward, Way, register
from dualdiff.ways.base import needed


class Toy(Way):
    """Forward mode under another name, nearly for nothing."""

    name = "toy"
    asked = {"dense": ("auto", "toy")}  # noqa: RUF012

    @classmethod
    def at(cls, program: Any, options: Any, exact: bool = True) -> Toy:
        n, m = program.inputs, program.outputs
        return cls(inputs=n, outputs=m, entries=n * m, columns=n)

    def quantities(self, program: Any) -> dict[str, float]:
        return {"frame": 0.01}

    def memory(self, program: Any) -> int:
        return 8 * self.entries

    @property
    def says(self) -> str:
        return "playing"

    def run(self, problem: Any, options: Any, program: Any) -> Answer:
        return Forward(inputs=problem.n, columns=problem.n).run(problem, options, None)


@pytest.fixture
def toy() -> Iterator[type[Way]]:
    register(Toy)
    yield Toy
    WAYS.remove(Toy)


X = np.linspace(0.1, 0.9, 20)


def chained(x: Any) -> Any:
    return np.tanh(x * x[::-1]) + x[0]


def test_a_new_way_is_costed_explained_and_chosen(toy: type[Way]) -> None:
    e = dd.jacobian(chained).explain(X)
    assert [w.name for w in e.ways] == ["forward", "reverse", "toy"]
    assert e.chosen == "toy"
    assert e.reason.startswith("toy: playing is estimated ")
    mine = e.ways[-1]
    assert (mine.sweeps, mine.bytes > 8 * 400, mine.multiplications) == (20, True, None)
    assert 0 < mine.seconds < min(w.seconds for w in e.ways[:-1])
    timed = dd.jacobian(chained).explain(X, measure=True)
    assert timed.ways[-1].measured > 0  # type: ignore[operator]


def test_a_new_way_is_taken_and_remembered(toy: type[Way], monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    run = Toy.run
    monkeypatch.setattr(Toy, "run", lambda self, *args: runs.append(self) or run(self, *args))
    J = dd.jacobian(chained)
    J(X)  # a small program goes by its shape the first time; from the second call on the ways were compared
    np.testing.assert_array_equal(J(X), J(X))
    np.testing.assert_allclose(J(X), dd.jacrev(chained)(X))
    assert len(runs) == 3
    assert len({id(w) for w in runs}) == 1
    assert dd.plan_jacobian(chained, X).way.name == "toy"


def test_a_new_way_has_a_mode_a_message_and_a_limit(toy: type[Way]) -> None:
    np.testing.assert_allclose(dd.jacobian(chained, mode="toy")(X), dd.jacrev(chained)(X))
    with pytest.raises(InputError, match="'toy'"):
        dd.jacobian(chained, mode="sideways")
    with pytest.raises(InputError, match="max_bytes=1000 is too small"):
        dd.jacobian(chained, mode="toy", max_bytes=1000)(X)
    with pytest.raises(InputError, match="cannot see"):
        dd.jacobian(lambda x: dd.jacobian(chained, mode="toy")(x).sum())(X)


def test_a_new_way_that_does_not_apply_says_so(monkeypatch: pytest.MonkeyPatch, toy: type[Way]) -> None:
    monkeypatch.setattr(toy, "at", classmethod(lambda cls, program, options, exact=True: None))
    with pytest.raises(InputError, match="mode='toy' does not apply to this function; use mode='auto'"):
        dd.jacobian(chained, mode="toy")(X)
    np.testing.assert_allclose(dd.jacobian(chained)(X), dd.jacrev(chained)(X))


@given(programs())
def test_a_new_way_is_proved(program: Program) -> None:
    register(Toy)
    try:
        argnums = tuple(range(len(program.point)))
        expected = dd.jacrev(program, argnums, flat=True)(*program.point)
        found = dd.jacobian(program, argnums, flat=True, **Toy.options())(*program.point)
        same("toy", found, expected, scale=10 * max(1.0, float(np.max(np.abs(expected), initial=0.0))))
    finally:
        WAYS.remove(Toy)


def test_what_has_left_the_register_is_not_asked_for() -> None:
    assert Toy not in WAYS
    with pytest.raises(InputError, match="mode='toy' is not a way"):
        dd.jacobian(chained, mode="toy")


def test_the_documents_know_every_way_and_no_other() -> None:
    text = (Path(__file__).parents[2] / "docs" / "explanation" / "choice.md").read_text(encoding="utf-8")
    rows = [
        line.split("|") for line in text.splitlines() if line.startswith("| ") and "| name in the table |" not in line
    ]
    named = [name for row in rows if len(row) == 6 for name in re.findall(r"`([^`]+)`", row[2])]
    assert sorted(named) == sorted(w.name for w in WAYS)
    assert all(w.says or w.plain for w in (way(inputs=1, columns=1) for way in WAYS if way.name != "mixed"))


def test_a_way_without_the_recording_that_it_runs_on_says_so() -> None:
    assert needed(1) == 1
    with pytest.raises(RuntimeError, match="runs on a recording"):
        needed(None)
