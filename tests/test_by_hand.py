"""The two programs of the page "Both modes by hand", run as they stand there and held against the library."""

from __future__ import annotations

import linecache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dualdiff as dd
from tests.documents import ROOT, Block, blocks, run

PAGE = ROOT / "docs" / "explanation" / "by-hand.md"
PROGRAMS = [b for b in blocks(PAGE) if b.code.startswith('"""mini')]


@pytest.fixture(scope="module")
def page() -> SimpleNamespace:
    """What the page's blocks define."""
    names: dict[str, Any] = {}
    for block in blocks(PAGE):
        run(block, PAGE, names)
    linecache.checkcache(str(PAGE))
    return SimpleNamespace(**names)


def polynomial(x):
    return np.array([x[0] ** 3 - 2 * x[1], x[0] * x[1] * x[2], 1 - x[2], 2 / (x[1] + 4), x[0] - 1])


def reused(x):
    y = x[0]
    for _ in range(4):
        y = np.sin(y) * x[1] + y
    return np.array([y, y * y, x[0] - y])


def layered(x):
    h = np.exp(-(x**2)) + np.sin(x[::-1])
    return np.array([np.sum(h * x), h @ h])


def in_place(x):
    y = np.zeros(4, dtype=x.dtype) * x[0]
    y[0] = x[0] * x[1]
    y[1] = y[0] - x[2] / 3
    y[3] += np.exp(y[1] / 8)
    return y


def scalar(x):
    return np.array([np.exp(np.sin(x[0])) / (1 + x[1] ** 2)])


FUNCTIONS = [(polynomial, 3), (reused, 2), (layered, 5), (in_place, 3), (scalar, 2)]


@pytest.mark.parametrize("program", PROGRAMS, ids=["minidual", "minitape"])
def test_a_program_has_no_more_than_sixty_lines(program: Block):
    assert len(program.code.splitlines()) <= 60


def test_there_are_two_programs_and_each_stands_alone():
    assert len(PROGRAMS) == 2
    for program in PROGRAMS:
        imports = [line for line in program.code.splitlines() if "import" in line]
        assert imports == ["import numpy as np"]


@pytest.mark.parametrize(("f", "n"), FUNCTIONS, ids=[f.__name__ for f, _ in FUNCTIONS])
@given(data=st.data())
def test_columns_and_rows_are_those_of_the_library(page, f, n, data):
    x = np.array(data.draw(st.lists(st.integers(-24, 24), min_size=n, max_size=n))) / 8
    wanted = dd.jacobian(f)(x)
    assert wanted.shape[0] != n
    scale = max(1.0, float(np.max(np.abs(wanted))))
    for found in (page.columns(f, x), page.rows(f, x)):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12 * scale)


def test_outputs_that_are_constant_have_zeros(page):
    def f(x):
        return np.array([x[0], 3.0, x[1] * 0], dtype=object)

    for found in (page.columns(f, np.ones(2)), page.rows(f, np.ones(2))):
        assert found.tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]


def test_what_the_page_says_is_missing_is_missing(page):
    for mode in (page.columns, page.rows):
        for f in (lambda x: [abs(x[0])], lambda x: [x[0] if x[0] > 0 else x[1]], lambda x: [x[0] ** x[1]]):
            with pytest.raises(TypeError):
                mode(f, np.ones(2))

    def nested(x):  # d/dx [x · d/dy (x + y)] at 1, which is 1
        return [x[0] * page.columns(lambda y: [x[0] + y[0]], np.ones(1))[0, 0]]

    assert page.columns(nested, np.ones(1))[0, 0] != 1.0
    assert dd.grad(lambda x: x * dd.grad(lambda y: x + y)(1.0))(1.0) == 1.0

    with np.errstate(all="ignore"):
        found = page.columns(lambda x: x**0.5, np.array([0.0, 4.0]))
    assert np.isnan(found[0, 1])
    assert dd.jacobian(np.sqrt)(np.array([0.0, 4.0]))[0, 1] == 0.0


def test_the_tables_on_the_page_are_those_of_show(page):
    (shown,) = [b for b in blocks(PAGE) if "dd.show" in b.code]
    assert shown.output == f"{dd.show(page.f, page.x, rows=1)}\n"
