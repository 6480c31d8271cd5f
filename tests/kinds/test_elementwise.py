"""Elementwise rows whose partials say nothing of their parameters, give back an operand, or have three operands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.kinds import Elementwise
from dualdiff.kinds.base import needs_of
from dualdiff.values import bind, operand
from tests.test_laws import apply
from tests.thresholds import ALWAYS_TERMS, thresholds

X = np.linspace(0.5, 1.5, 4)
ROWS: dict[str, tuple[Elementwise, int]] = {
    "any number of parameters": (Elementwise("f", np.multiply, lambda *a: a[2], lambda *a: a[1]), 2),
    "the first, middle and last operand": (
        Elementwise(
            "f", lambda x, y, z: x * y + z * x, lambda _, x, y, z: y + z, lambda _, x, _y, _z: x, lambda _, x, *_a: x
        ),
        3,
    ),
    "a product and a sum": (
        Elementwise("f", lambda x, y, z: x * y + z, lambda _, _x, y, _z: y, lambda _, x, _y, _z: x, 1),
        3,
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_its_laws(name: str) -> None:
    f, count = ROWS[name]
    apply({"value", "push", "adjoint", "truth", "batch", "second", "purity", "replay", "pattern"}, f,
          tuple([X * (k + 1) for k in range(count)]), 1)  # fmt: skip


@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("name", ROWS)
def test_a_partial_that_is_an_operand_is_not_shared(name: str, always: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    row, count = ROWS[name]
    if always:
        thresholds(monkeypatch, **ALWAYS_TERMS)
    for k in range(count):

        def f(x: Any, k: int = k) -> Any:
            others = [X * (j + 1) for j in range(count)]
            y = row(*[x if j == k else c for j, c in enumerate(others)])
            for c in others:
                c[...] = np.nan
            return y

        others = [X * (j + 1) for j in range(count)]
        expected = dd.jacfwd(lambda x: row(*[x if j == k else c for j, c in enumerate(others)]))(X)  # noqa: B023
        assert np.isfinite(expected).all()
        for way in (dd.jacfwd(f), dd.jacobian(f, mode="forward"), dd.jacrev(f), dd.jacobian(f)):
            np.testing.assert_array_equal(way(X), expected)


def test_what_a_partial_needs() -> None:
    assert needs_of(lambda _y, x: x) == (False, True)
    assert needs_of(lambda *a: a[0]) is None
    assert needs_of(max) is None  # no signature to read
    assert needs_of(1) == ()


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_zero_that_a_rule_computed_chooses_nothing(mode: str) -> None:
    row = Elementwise("cubed", lambda x: x**3, lambda _y, x: 3 * x**2)
    with np.errstate(divide="ignore"):
        found = dd.jacobian(lambda x: np.log(bind(row, (operand(x),), {})), mode=mode)(np.array([0.0, 2.0]))
    np.testing.assert_array_equal(found, [[np.nan, 0.0], [0.0, 1.5]])
