"""Steps in terms of what loops know: products become products of entries, and what cannot be said so stays as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualdiff.compiled.flat import flat
from dualdiff.kinds import Elementwise
from dualdiff.passes.elementary import elementary
from dualdiff.passes.program import Form, Program, Step
from tests.repeated import program_of_arrays

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("f", "names"),
    [
        (lambda x: np.outer(x, x), {"np.multiply"}),
        (lambda x: np.einsum("ij,jk->ik", x[:6].reshape(2, 3), x[3:].reshape(3, 3)), {"np.multiply", "np.sum"}),
        (lambda x: np.sum(x.reshape(3, 4) @ np.stack([x, x]).reshape(2, 4, 3), axis=0), {"np.multiply", "np.sum"}),
    ],
)
def test_products_are_products_of_entries(f: Any, names: set[str]) -> None:
    x = RANDOM.standard_normal(12)
    program = program_of_arrays(f, x)
    found, kept = elementary(program)
    rows = {s.row.name for s in found.steps}
    assert names <= rows
    assert not rows & {"np.matmul", "np.einsum", "np.outer"}
    assert kept
    np.testing.assert_allclose(flat(found, arrays=True).run(x)[0], f(x), rtol=1e-13)


def test_large_products_stay() -> None:
    def f(x: Any) -> Any:
        return np.outer(x, x) @ x

    program = program_of_arrays(f, np.ones(70))
    assert [s.row.name for s in elementary(program)[0].steps][-1] == program.steps[-1].row.name


@pytest.mark.parametrize(
    "says",
    [lambda x: x if x else -x, lambda x: x.made("no such function", x), lambda x: x, lambda _: 1.0],
    ids=["decides", "unknown", "operand", "constant"],
)
def test_a_function_that_cannot_say_what_it_is_on_numbers_stays(says: Any) -> None:
    row = Elementwise("a function that says something else", np.sin, lambda _y, x: np.cos(x))
    row.lower = says
    form = Form((3,), np.dtype(float), "array")
    step = Step(row, (0,), {}, 1, "")
    found, _ = elementary(Program(1, {0: form, 1: form}, {}, {}, [step], [], (1,), (form,), 1, 1))
    assert found.steps == [step]
