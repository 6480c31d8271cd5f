"""A program gives what its function gives: for every row, for random programs and for the zoo, by numbers, by arrays and by loops."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import dualdiff as dd
from dualdiff.compiled import flat
from dualdiff.compiled.loops import looped
from dualdiff.errors import CompileWarning, StaleProgramError
from dualdiff.lab.problems.zoo import zoo
from dualdiff.operators import compiled
from dualdiff.testing.strategies import Program, programs
from dualdiff.trees import flatten
from tests.catalogue.collection import in_turn, samples
from tests.compiled.rows import derivatives_of, points_of
from tests.test_laws import named

TIERS = {"numbers": (1e9, "numpy"), "arrays": (-1.0, "numpy"), "machine code": (1e9, "llvm"), "loops": (-1.0, "numpy")}
"""What a call of NumPy counts, so that one or the other is taken wherever it can be; and what programs run as."""


def by_loops(program: Any, arrays: bool = False) -> Any:
    """Return a program as loops where it can be, at once."""
    found = looped(program)
    return flat.flat(program, arrays) if found is None else found.flat


@pytest.fixture(params=TIERS, autouse=True)
def tier(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    step, backend = TIERS[request.param]
    if backend == "llvm" or request.param == "loops":
        pytest.importorskip("llvmlite")
    if request.param == "loops":
        monkeypatch.setattr(compiled, "flat", by_loops)
    monkeypatch.setattr(flat, "STEP", step)
    monkeypatch.setattr(Held, "backend", backend)
    return request.param


class Held:
    """How functions are compiled here."""

    backend = "numpy"


def outcome(f: Callable[..., Any], args: Any) -> Any:
    """Return the results of a call, or the class of its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # SciPy's, of degrees that are no integers
        try:
            return flatten(f(*args))[0]
        except StaleProgramError:
            raise
        except Exception as error:
            return type(error)


def hold(f: Callable[..., Any], points: list[Any], exact: bool = False) -> Any:
    """Compile a function, and hold the program against it at every point: values, kinds, shapes and dtypes; return the program."""
    program = dd.compile(f, check_every=None, backend=Held.backend)
    for args in [p for p in points for _ in range(3)]:  # the third call goes straight in
        copies = [np.copy(x)[()] if type(x) is not np.ndarray else x.copy() for x in args]
        expected = outcome(f, args)
        found = outcome(program, args)
        if isinstance(expected, type):
            assert found is expected
            continue
        for x, y in zip(found, expected, strict=True):
            assert type(x) is type(y)
            assert np.asarray(x).dtype == np.asarray(y).dtype
            if exact:
                np.testing.assert_array_equal(x, y)
            else:
                size = float(np.max(np.abs(y), initial=0.0, where=np.isfinite(y)))
                np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-13 * size)
        for x, y in zip(args, copies, strict=True):
            np.testing.assert_array_equal(x, y)  # a program writes into nobody's memory
    return program


EVERY_TIER = settings().max_examples > 100
CASES: dict[str, tuple[list[Any], str]] = {}
for _k, _tier in enumerate(TIERS):
    # The quick profiles run every other row by numbers, by arrays, as machine code, by loops.
    _taken = [s for n, s in enumerate(samples()) if EVERY_TIER or n % 8 == 2 * _k + n // 8 % 2]
    CASES |= {f"{name} {_tier}": (group, _tier) for name, group in in_turn(_taken).items()}


@pytest.mark.parametrize(("group", "tier"), CASES.values(), ids=CASES, indirect=["tier"])
def test_every_row(group: list[Any], tier: str) -> None:
    for sample in group:
        points, derivatives = points_of(sample, 50 if EVERY_TIER else 2), derivatives_of(sample)
        with warnings.catch_warnings(), named(sample):
            if not sample.second:  # a recorded derivative asks for the rule's own derivative, which is refused
                warnings.simplefilter("ignore", CompileWarning)
            hold(derivatives, points)


@given(programs())
def test_random_programs(program: Program) -> None:
    point = program.point
    points = [point, tuple(0.75 * x for x in point), tuple(x[..., ::-1] if np.ndim(x) else -x for x in point)]
    hold(dd.value_and_jacobian(program, tuple(range(len(point)))), [*points, point])


@pytest.mark.parametrize("case", zoo("small"), ids=lambda c: c.name)
def test_the_zoo(case: Any, tier: str) -> None:
    points = [(case.point.copy(),), (1.25 * case.point,), (case.point[::-1].copy(),)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", CompileWarning)  # no program is given up here
        program = hold(dd.jacobian(case.function), points)
    report = program.explain(case.point.copy())
    assert report.tier == "arrays" or tier != "arrays" or not report.steps


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.where(x > 0, np.sqrt(x), 0.0),
        lambda x: 0.0 * np.sqrt(x),
        lambda x: np.abs(x) + np.maximum(x, 0.0) + np.minimum(x, 1.0),
        lambda x: np.log(x),
        lambda x: 1 / x,
        lambda x: x**1.5,
        lambda x: np.exp(1000 * x),
        lambda x: np.cumsum(x)[::2] / np.linalg.norm(x),
        lambda x: np.sort(x) * np.max(x),
        lambda x: x[x > 0],
        lambda x: np.hypot(x, x[::-1]),
        lambda x: np.sign(x) * x + np.floor(x) * x + np.rint(x),
        lambda x: np.arctan2(x, x[::-1]) if x[0] > x[1] else np.sin(x),
    ],
)  # fmt: skip
def test_kinks_infinities_and_what_is_no_number(f: Any) -> None:
    values = [
        [1.0, 2.0],
        [2.0, 1.0],
        [0.0, 1.0],
        [-1.0, 2.0],
        [np.nan, 1.0],
        [np.inf, -np.inf],
        [-0.0, 0.0],
        [2.5, -1.5],
    ]
    hold(dd.value_and_jacobian(f), [(np.array(v),) for v in [*values, *values]])


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: (x, y, x),
        lambda x, y: (x.T, x[::2], x[:, 1]),
        lambda x, y: (np.zeros(3), x * 2, np.ones(2)),
        lambda x, y: (x + y, (x + y)[0], np.broadcast_to(y, (2, 3))),
        lambda x, y: (x[0] * 2).reshape(3, 1) + x[1],
        lambda x, y: np.add.accumulate(x, axis=1) @ x.T,
        lambda x, y: (x > y, np.argmax(x), x.astype(np.float32), x.astype(int) + 1),
        lambda x, y: (np.exp(1j * x), np.abs(np.fft.fft(x)), np.linalg.svd(x)[1]),
        lambda x, y: (float(x.shape[0]), "text", None, x.size, True, x * 0.5),
    ],
)  # fmt: skip
def test_results_are_what_numpy_returns_and_nobody_elses(f: Any) -> None:
    x, y = np.arange(1.0, 7.0).reshape(2, 3), 0.5
    hold(f, [(x, y), (x * 2, -y), (np.asfortranarray(x), y), (x[::-1], np.float64(y)), (x, np.array(y))], exact=True)
    program = dd.compile(f, backend=Held.backend)
    program(x, y)
    first = flatten(program(x, y))[0]
    kept = [np.copy(v) if type(v) is np.ndarray else v for v in first]
    for v in first:
        if type(v) is np.ndarray and v.flags.writeable:
            v[...] = 0
    np.testing.assert_array_equal(x, np.arange(1.0, 7.0).reshape(2, 3))
    for v, w in zip(flatten(program(x, y))[0], kept, strict=True):
        np.testing.assert_array_equal(v, w)


def test_writes_stay_where_they_are_written() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[1:] = x[:-1]
        before = y.copy()
        view = y[::2]
        y[0] = x[1] * 2
        z = y * 1.0
        z[1] = before[1] + view[0]
        y[1:] += y[:-1]
        return y, before, z, view

    hold(f, [(np.arange(1.0, 8.0),), (np.arange(7.0, 0.0, -1.0),)] * 2, exact=True)
    hold(dd.jacobian(f), [(np.arange(1.0, 8.0),), (np.arange(7.0, 0.0, -1.0),)] * 2, exact=True)


def test_an_argument_that_is_written_on_through_a_copy_stays_as_it_is() -> None:
    def f(x: Any) -> Any:
        y = x.copy()
        view = y[::-1]
        view[0] = np.tanh(view[-1])
        return y

    hold(dd.value_and_jacobian(f), [(np.array([[0.0, 0.5, 1.0], [0.0, 0.0, 0.0]]),), (np.ones((2, 3)),)] * 2)
    hold(f, [(np.array([[0.0, 0.5, 1.0], [0.0, 0.0, 0.0]]),), (np.ones((2, 3)),)] * 2)


def test_without_functions_that_round_the_bits_are_the_same() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        for i in range(len(x) - 1):
            total = total + 100 * (x[i + 1] - x[i] ** 2) ** 2 + np.sqrt(1 - x[i] * x[i + 1] / 8) / 3
        return total

    points = [(x,) for x in np.random.default_rng(0).uniform(0.1, 1.0, (20, 12))]
    hold(dd.value_and_grad(f), points, exact=True)


def test_zeros_keep_their_signs() -> None:
    def f(x: Any) -> Any:
        return (
            np.stack([np.floor(x), np.ceil(x), np.trunc(x), np.rint(x), np.sign(x) * 0.0, -x * 0.0, np.abs(x)]) * x[0]
        )

    x = np.array([1.0, -0.3, 0.3, -0.0, 0.0, -0.5, 0.5, -2.5])
    program = dd.compile(f, check_every=None, backend=Held.backend)
    for _ in range(4):
        np.testing.assert_array_equal(program(x), f(x))
        np.testing.assert_array_equal(np.signbit(program(x)), np.signbit(f(x)))


def test_a_copy_that_is_written_into_leaves_the_argument_as_it_was() -> None:
    def f(x: Any) -> Any:
        y = x.copy()
        slope = np.tanh(x)
        y[::-1] *= 0.5
        return y, slope

    points = [(np.array([0.0, 0.0, 1.0]),), (np.array([1.0, 2.0, 3.0]),)]
    hold(dd.value_and_jacobian(f), [*points, *points])
    hold(f, [*points, *points])
