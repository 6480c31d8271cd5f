"""Kinks as errors: every convention that is documented is one, at its kink and nowhere else."""

from __future__ import annotations

import contextvars
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special
from scipy.interpolate import interp1d
from scipy.spatial.distance import cdist

import dualdiff as dd
from dualdiff.errors import InputError, NonDifferentiablePointError
from dualdiff.register import REGISTER

Z = np.zeros(3)
T = np.array([1.0, 2.0, 2.0])
OFF = np.array([0.137, 0.281, 0.419])

#: the row of the table of conventions -> the name that the error says, and calls at a kink
CONVENTIONS: dict[str, list[tuple[str, Callable[[Any], Any], Any]]] = {
    "`abs(x)`": [("np.abs", np.abs, Z), ("np.fabs", np.fabs, Z), ("np.abs", lambda x: np.linalg.norm(x, 1), Z)],
    "`linalg.norm(x)`": [
        ("np.linalg.norm", np.linalg.norm, Z),
        ("np.linalg.norm", lambda x: np.linalg.norm(x, 3), Z),
        ("np.linalg.norm", lambda x: np.linalg.norm(x, 0.5), np.array([1.0, 0.0, 2.0])),
    ],
    "`maximum(x, y)`, `minimum(x, y)`": [
        ("np.maximum", lambda x: np.maximum(x, 2.0), T),
        ("np.minimum", lambda x: np.minimum(1.0, x), T),
        ("np.fmax", lambda x: np.fmax(x, 2.0), T),
        ("np.fmin", lambda x: np.fmin(x, np.roll(x, 1)), T),
    ],
    "`max`, `min`": [
        ("np.max", np.max, T),
        ("np.min", np.min, -T),
        ("np.max", lambda x: np.max(np.outer([1.0, 2.0], x), axis=1), T),
        ("np.min", lambda x: np.min(np.outer([-1.0, -2.0], x), axis=(0, 1), keepdims=True), T),
        ("np.max", np.ptp, T),
        ("np.max", lambda x: np.linalg.norm(x, np.inf), T),
    ],
    "`sort`": [
        ("np.sort", np.sort, T),
        ("np.sort", np.median, T),
        ("np.sort", lambda x: np.sort(np.stack([x, np.full(3, 2.0)]), axis=0), T),
    ],
    "`clip(x, lo, hi)`": [
        ("np.clip", lambda x: np.clip(x, 0.0, 2.0), T),
        ("np.clip", lambda x: np.clip(x, 1.0, 3.0), T),
    ],
    "`std`": [
        ("np.std", np.std, np.full(3, 0.1)),
        ("np.std", lambda x: np.std(x, where=np.array([True, True, False])), np.full(3, 0.5)),
    ],
    "`interp(x, xp, fp)`": [("np.interp", lambda x: np.interp(x, [0.0, 1.0, 4.0], [0.0, 1.0, 7.0]), T)],
    "`unique`": [("np.unique", np.unique, T)],
    "`hypot(x, y)`, `arctan2(y, x)`, complex `abs`": [
        ("np.hypot", lambda x: np.hypot(x, 2 * x), Z),
        ("np.arctan2", lambda x: np.arctan2(x, 2 * x), Z),
        ("np.abs", lambda x: np.abs(x * (1 + 2j)), Z),
    ],
    "`maximum.accumulate` and its kin": [
        ("np.maximum.accumulate", np.maximum.accumulate, T),
        ("np.minimum.accumulate", np.minimum.accumulate, -T),
    ],
    "`sign`, `heaviside`, `floor`, `ceil`, `trunc`, `rint`": [
        ("np.sign", lambda x: x * np.sign(x), Z),
        ("np.heaviside", lambda x: x + np.heaviside(x, 0.5), Z),
        ("np.floor", lambda x: x * np.floor(x), T),
        ("np.ceil", lambda x: x * np.ceil(x), T),
        ("np.trunc", lambda x: x * np.trunc(x), T),
        ("np.rint", lambda x: x * np.rint(x), T + 0.5),
    ],
    "`remainder`, `fmod`, `modf`": [
        ("np.remainder", lambda x: x % 1.0, T),
        ("np.fmod", lambda x: np.fmod(x, 2.0), T),
        ("np.modf", lambda x: np.modf(x)[0], T),
    ],
    "`special.i0e`, `ive(0, x)`": [
        ("scipy.special.i0e", special.i0e, Z),
        ("scipy.special.ive", lambda x: special.ive(0, x), Z),
    ],
    "`special.xlogy(x, y)`, `xlog1py`, `rel_entr`": [
        ("scipy.special.xlogy", lambda x: special.xlogy(x, 2 * x), Z),
        ("scipy.special.xlog1py", lambda x: special.xlog1py(x, x - 1), Z),
        ("scipy.special.rel_entr", lambda x: special.rel_entr(x, 2 * x), Z),
    ],
    "`copysign(x, y)`": [("np.copysign", lambda x: np.copysign(x, -1.0), Z)],
    "`spatial.distance.cdist` and its kin": [
        ("the distance of points that coincide", lambda x: cdist(x[:, None], np.zeros((1, 1))), Z),
    ],
    "splines, `interp1d`, `RegularGridInterpolator`, `ndimage.map_coordinates` of order 1": [
        ("np.interp", lambda x: interp1d([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 0.0, 1.0])(x), T),
    ],
}
#: where nothing is chosen between slopes: another branch, no number, a slope that is smooth, a share of infinity, a rounding
NO_KINKS = {
    "`where(c, x, y)`",
    "`maximum`, `minimum`",
    "`fmax`, `fmin`",
    "`special.huber(delta, r)`",
    "`special.logsumexp(a)`",
    "`special.bdtr`, `pdtr`, `nbdtr` and their kin",
}


def documented() -> set[str]:
    text = (Path(__file__).parents[2] / "docs" / "explanation" / "conventions.md").read_text(encoding="utf-8")
    table = text.partition("## Kinks and ties")[2].partition("| function | at |")[2].partition("\n\n")[0]
    return {line.split("|")[1].strip() for line in table.splitlines()[2:]}


def test_every_convention_of_the_table_has_its_kinks() -> None:
    assert documented() - NO_KINKS == set(CONVENTIONS)


def test_rows_that_choose_between_operands_say_where_they_tie() -> None:
    for entry in REGISTER.values():
        if getattr(entry.primitive, "choice", False):
            assert entry.primitive.kink is not None, entry.name


CALLS = [(name, f, x) for calls in CONVENTIONS.values() for name, f, x in calls]


@pytest.mark.parametrize(("name", "f", "x"), CALLS, ids=[f"{i} {c[0]}" for i, c in enumerate(CALLS)])
def test_at_a_kink_an_error_names_it(name: str, f: Any, x: Any) -> None:
    for operator in (
        dd.jacfwd,
        dd.jacrev,
        dd.jacobian,
        lambda g: lambda x: dd.vjp(g, x),
        lambda g: lambda x: dd.jvp(g, (x,), (x,)),
    ):
        before = operator(f)(x)  # the convention, unasked
        with dd.kinks("raise"), pytest.raises(NonDifferentiablePointError, match=r"line \d+") as raised:
            operator(f)(x)
        error = raised.value
        assert error.function == name
        assert error.convention
        assert error.convention in str(error)
        assert error.line in str(error)
        assert before is not None
    found = [k for k in dd.diagnose(f, x) if k.kind == "kink"]
    assert found[0].function == name
    assert found[0].distance == 0
    assert found[0].advice


@pytest.mark.parametrize(("name", "f", "x"), CALLS, ids=[f"{i} {c[0]}" for i, c in enumerate(CALLS)])
def test_beside_a_kink_nothing_happens(name: str, f: Any, x: Any) -> None:
    with dd.kinks("raise"):
        np.testing.assert_array_equal(dd.jacrev(f)(x + OFF), dd.jacrev(f)(x + OFF))
    assert not [k for k in dd.diagnose(f, x + OFF) if "kink" in k.kind]
    near = [k for k in dd.diagnose(f, x + 1e-11 * OFF) if "kink" in k.kind]
    assert name in [k.function for k in near]
    assert 0 <= near[0].distance < 1e-8


def test_the_entries_are_those_that_tie() -> None:
    with dd.kinks("raise"):
        with pytest.raises(NonDifferentiablePointError) as raised:
            dd.grad(np.max)(np.array([3.0, 1.0, 3.0]))
        assert raised.value.entries.tolist() == [[0], [2]]
        with pytest.raises(NonDifferentiablePointError) as raised:
            dd.jacobian(lambda x: np.sort(x, axis=0))(np.array([[5.0, 1.0], [2.0, 3.0], [5.0, 0.0]]))
        assert raised.value.entries.tolist() == [[0, 0], [2, 0]]
        with pytest.raises(NonDifferentiablePointError) as raised:
            dd.jacobian(lambda x: np.maximum.accumulate(x, axis=1))(np.array([[1.0, 2.0, 2.0], [3.0, 1.0, 1.0]]))
        assert raised.value.entries.tolist() == [[0, 2]]


def test_single_entries_and_constants_have_no_ties() -> None:
    with dd.kinks("raise"):
        assert dd.grad(lambda x: np.max(x) + np.sort(x)[0])(np.array([2.0])) == 2.0
        np.testing.assert_array_equal(dd.grad(lambda x: np.sum(x * np.abs(np.zeros(3))))(T), Z)
        np.testing.assert_array_equal(dd.grad(lambda x: np.sum(np.max(np.zeros((3, 2)), axis=1) * x))(T), Z)


def test_a_root_that_is_only_squared_is_smooth() -> None:
    with dd.kinks("raise"):
        for f in (
            lambda x: np.linalg.norm(x) ** 2,
            lambda x: np.hypot(x[0], x[1]) ** 2,
            lambda x: 3 * np.std(x) ** 2 + 0 * x[0],
        ):
            np.testing.assert_array_equal(dd.grad(f)(Z), Z)
        for f in (
            np.linalg.norm,
            lambda x: np.linalg.norm(x) ** 3,
            lambda x: np.linalg.norm(x) ** 2 + np.linalg.norm(x),
        ):
            with pytest.raises(NonDifferentiablePointError, match=r"np\.linalg\.norm"):
                dd.grad(f)(Z)
        x = dd.tensor(Z, requires_grad=True)
        (np.linalg.norm(x) ** 2).backward()
        np.testing.assert_array_equal(x.grad, Z)


def test_eager_tensors_are_looked_at_by_backward() -> None:
    x = dd.tensor(Z, requires_grad=True)
    with dd.kinks("raise"), pytest.raises(NonDifferentiablePointError, match=r"test_kinks.py, line \d+: np.abs"):
        np.abs(x).sum().backward()
    assert x.grad is None
    np.abs(x).sum().backward()
    np.testing.assert_array_equal(x.grad, Z)


def test_inner_operators_are_looked_at_too() -> None:
    def f(x: Any) -> Any:
        return np.sum(dd.grad(lambda y: np.sum(np.abs(y) * y))(x))

    assert dd.grad(f)(Z) is not None
    with dd.kinks("raise"), pytest.raises(NonDifferentiablePointError, match=r"np\.abs"):
        dd.grad(f)(Z)


def test_a_call_sets_it_and_a_block_sets_it_back() -> None:
    def run() -> None:
        dd.kinks("raise")
        with pytest.raises(NonDifferentiablePointError):
            dd.grad(np.abs)(0.0)
        with dd.kinks("convention"):
            assert dd.grad(np.abs)(0.0) == 0
            with dd.kinks("raise"), pytest.raises(NonDifferentiablePointError):
                dd.grad(np.abs)(0.0)
            assert dd.grad(np.abs)(0.0) == 0
        with pytest.raises(NonDifferentiablePointError):
            dd.grad(np.abs)(0.0)
        found = []
        thread = threading.Thread(target=lambda: found.append(dd.grad(np.abs)(0.0)))
        thread.start()
        thread.join()
        assert found == [0.0]  # each thread has its own

    contextvars.Context().run(run)
    assert dd.grad(np.abs)(0.0) == 0


def test_a_setting_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InputError, match="convention"):
        dd.kinks("warn")


def test_the_error_pickles() -> None:
    with dd.kinks("raise"), pytest.raises(NonDifferentiablePointError) as raised:
        dd.grad(np.abs)(0.0)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
