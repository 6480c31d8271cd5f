"""Who holds an array: the count is asked of slots only, believed only where it is known, and never needed for an answer."""

from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import dualdiff as dd
from dualdiff import ownership
from dualdiff.kinds import Sweep
from dualdiff.ownership import OWNS, SOLE, counter, counts_as_known, holders
from dualdiff.passes.pull import _add, pull
from dualdiff.rules.indexing import setitem
from dualdiff.tangents import Map, Terms, scattered, store
from dualdiff.tape import record
from dualdiff.testing.strategies import Program, programs
from dualdiff.values import TRACED
from tests import test_theorems
from tests.rules import test_indexing

owning = pytest.mark.skipif(not OWNS, reason="this interpreter does not tell who holds an array")
HOUSE = Path(dd.__file__).parent


# what this interpreter says -------------------------------------------------------------------------


def in_a_variable(a: Any) -> Callable[[], Any]:
    held = [a]
    return lambda: held[0]


def in_a_closure(a: Any) -> Callable[[], Any]:
    return lambda: a


def in_a_default(a: Any) -> Callable[[], Any]:
    def keep(held: Any = a) -> Any:
        return held

    return keep


def in_a_generator(a: Any) -> Callable[[], Any]:
    def run(held: Any) -> Iterator[Any]:
        yield None
        while True:
            yield held

    running = run(a)
    next(running)
    return lambda: next(running)


def in_a_traceback(a: Any) -> Callable[[], Any]:
    def fail(held: Any) -> None:
        raise ValueError(held.shape)

    try:
        fail(a)
    except ValueError as error:
        trace = error.__traceback__
    return lambda: trace.tb_next.tb_frame.f_locals["held"]  # type: ignore[union-attr]


def in_a_view(a: Any) -> Callable[[], Any]:
    view = np.asarray(a)[::-1]
    return lambda: view[::-1]


def in_a_view_of_a_view(a: Any) -> Callable[[], Any]:
    view = a[...].T[None].view()
    return lambda: view[0].T


def in_a_buffer(a: Any) -> Callable[[], Any]:
    memory = memoryview(a)
    return lambda: np.asarray(memory)


def in_a_bound_method(a: Any) -> Callable[[], Any]:
    return a.copy


def in_a_cell_of_an_object_array(a: Any) -> Callable[[], Any]:
    cell = np.empty((), object)
    cell[()] = a
    return lambda: cell[()]


KEEPERS = [
    in_a_variable,
    in_a_closure,
    in_a_default,
    in_a_generator,
    in_a_traceback,
    in_a_view,
    in_a_view_of_a_view,
    in_a_buffer,
    in_a_bound_method,
    in_a_cell_of_an_object_array,
]
keepers = pytest.mark.parametrize("keep", KEEPERS)


class Box:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def asked(slots: Any) -> bool:
    return holders(slots[0]) == SOLE


def asked_beside(slots: Any, _other: Any) -> bool:
    return holders(slots[0]) == SOLE


@owning
def test_what_one_slot_holds_is_its_alone() -> None:
    def all_asked() -> list[bool]:  # pytest's own rewriting of asserts would hold what is asked about
        slots: list[Any] = [np.ones(3), None]
        answers = [holders(slots[0]) == SOLE, asked(slots), asked([np.ones(3) + 1.0]), asked((np.ones(3), 0))]
        slots[0], slots[1] = slots[1], slots[0]
        answers.append(holders(slots[1]) == SOLE)
        a = np.ones(3)
        box = Box(a)
        del a
        answers.append(holders(box.value) == SOLE)
        pairs = list({1: np.ones(3)}.items())
        answers.append(holders(pairs[0][1]) == SOLE)
        slots[0] = np.add(box.value, 1.0, out=box.value)
        answers.append(holders(box.value) > SOLE)
        slots[0] = None
        answers.append(holders(box.value) == SOLE)
        return answers

    for _ in range(50):  # also once the interpreter has exchanged its instructions for quicker ones
        assert all_asked() == [True] * 9


def test_what_somebody_else_holds_is_not() -> None:
    for _ in range(100):
        a = np.ones(3)
        slots = [a]
        assert not asked(slots)
        assert not asked_beside(slots, a)
        a = None
        assert not asked_beside(slots, slots[0])  # a parameter of a call holds it, and nothing else does
        slots.append(slots[0])
        assert not asked(slots)
        assert asked([slots.pop()]) is False


@keepers
def test_every_way_to_keep_an_array_counts(keep: Any) -> None:
    slots = [np.ones(3)]
    kept = keep(slots[0])
    assert not asked(slots)
    assert kept().shape == (3,)
    del kept
    gc.collect()  # a frame that holds its own traceback
    assert asked(slots) is OWNS


# interpreters that count otherwise ------------------------------------------------------------------


@pytest.mark.parametrize(
    "count",
    [
        lambda x: sys.getrefcount(x),  # a frame of its own holds it too
        lambda x: sys.getrefcount(x) - 2,  # one lent to the call
        lambda _x: SOLE,
        lambda _x: 0,
        lambda _x: 1 << 62,  # an object that never dies
        id,
    ],
)
def test_an_unknown_count_is_not_believed(count: Any) -> None:
    assert not counts_as_known(count)


@owning
def test_a_count_that_misses_one_kind_of_holder_is_not_believed() -> None:
    def blind_to_views(x: Any, /) -> int:
        return min(sys.getrefcount(x) - 1, SOLE) if type(x) is np.ndarray else sys.getrefcount(x) - 1

    assert counts_as_known(sys.getrefcount)
    assert not counts_as_known(blind_to_views)


@owning
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", "3.14.0 free-threading build (main)"),
        ("version", "3.13.0 experimental free-threading build (main)"),
        ("getrefcount", None),
        ("getrefcount", lambda _x: 1),
    ],
)
def test_where_the_count_means_nothing_every_answer_is_no(
    monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    assert counter() is sys.getrefcount
    if value is None:
        monkeypatch.delattr(sys, name)
    else:
        monkeypatch.setattr(sys, name, value)
    count = counter()
    assert count([np.ones(2)][0]) > SOLE


def test_questions_name_slots_and_are_asked_nowhere_else() -> None:
    # What a local variable holds is lent to calls uncounted on some interpreters: holders(x) would come out too low.
    questions = 0
    for path in HOUSE.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if path.name == "ownership.py":
            continue
        assert "getrefcount" not in source, path
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "holders":
                questions += 1
                assert isinstance(node.args[0], (ast.Subscript, ast.Attribute)), f"{path}:{node.lineno}"
            elif isinstance(node, ast.Compare) and any(
                isinstance(n, ast.Name) and n.id == "SOLE" for n in node.comparators
            ):
                assert isinstance(node.ops[0], ast.Eq), f"{path}:{node.lineno}"  # an odd count is no permission
    assert questions >= 8


# right without it -----------------------------------------------------------------------------------


@pytest.fixture
def owns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = [m for name, m in sys.modules.items() if name.startswith("dualdiff") and hasattr(m, "holders")]
    assert len(asking) > 5
    for module in asking:
        monkeypatch.setattr(module, "holders", ownership._unknown)


@pytest.mark.usefixtures("owns_nothing")
class TestWhereNothingIsOwned:
    def test_theorems(self) -> None:
        @settings(max_examples=40, derandomize=True, database=None)
        @given(programs(), test_theorems.SEEDS)
        def theorems(program: Program, seed: int) -> None:
            for theorem in (
                test_theorems.test_dual_is_push_is_pull_is_replay_is_differences,
                test_theorems.test_batches_zeros_purity_and_linearity,
            ):
                theorem.hypothesis.inner_test(program, seed)  # type: ignore[attr-defined]

        theorems()

    @pytest.mark.parametrize("seed", range(0, 60, 4))
    def test_programs_of_views_and_writes(self, seed: int) -> None:
        test_indexing.test_programs_of_views_and_writes(seed)
        test_indexing.test_programs_of_views_and_writes_to_second_order(seed)
        test_indexing.test_programs_of_views_and_writes_on_tensors(seed)

    def test_terms_that_are_written(self) -> None:
        test_terms_that_are_written()

    def test_buffers_are_copied(self) -> None:
        tangents = [np.zeros((2, 3)), np.ones(2)]
        before = tangents[0]
        after = setitem.push(Sweep((2,)), tangents, (np.zeros(3), 1.0), {"index": 1}, np.zeros(3))
        assert after is not before
        np.testing.assert_array_equal(before, 0.0)


# what is somebody's stays as it was -----------------------------------------------------------------


class Keeping:
    """Keep arrays in a way of the test's, and remember what they held then."""

    def __init__(self, keep: Any) -> None:
        self.keep = keep
        self.pairs: list[tuple[Callable[[], Any], Any]] = []

    def __call__(self, a: Any) -> Any:
        if not isinstance(a, tuple(TRACED)) and isinstance(a, np.ndarray) and a.ndim:
            self.pairs.append((self.keep(a), a.copy()))
        return a

    def check(self, least: int) -> None:
        assert len(self.pairs) >= least
        for kept, then in self.pairs:
            np.testing.assert_array_equal(kept(), then)


def written(x: Any, keep: Any = lambda a: a) -> Any:
    """Fill, shift, scale and overwrite an array, and let ``keep`` see its buffers between."""

    def seen(y: Any) -> None:
        keep(getattr(y, "value", y))
        keep(getattr(y, "mark", None))

    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] = x[i] * x[0]
        seen(y)
    y[1:] = y[:-1] * x[1:]
    seen(y)
    z = y * 1.0
    z[...] = y
    z[0] = x[1]
    seen(y)
    y *= x
    seen(y)
    y[::2] += z[::2]
    seen(z)
    return y + z + y[0]


POINT = np.array([0.5, -1.25, 2.0, 0.75])
DIRECTION = np.array([1.0, 0.5, -0.25, 2.0])
TRUTH = written(POINT + 1e-30j * DIRECTION).imag / 1e-30


def read_only(a: Any) -> Any:
    a = a.copy()
    a.flags.writeable = False
    return a


@keepers
@pytest.mark.parametrize("freeze", [np.array, read_only])
def test_forward_writes_into_nothing_that_is_kept(keep: Any, freeze: Any) -> None:
    keeping = Keeping(keep)
    x, v = keeping(freeze(POINT)), keeping(freeze(DIRECTION))
    value, tangent = dd.jvp(lambda x: written(x, keeping), (x,), (v,))
    np.testing.assert_allclose(tangent, TRUTH, rtol=1e-13)
    np.testing.assert_array_equal(value, written(POINT))
    columns = dd.jacfwd(lambda x: written(x, keeping))(x)
    np.testing.assert_allclose(columns @ v, TRUTH, rtol=1e-13)
    keeping.check(20)


@keepers
@pytest.mark.parametrize("freeze", [np.array, read_only])
def test_reverse_writes_into_nothing_that_is_kept(keep: Any, freeze: Any) -> None:
    keeping = Keeping(keep)
    x, w = keeping(freeze(POINT)), keeping(freeze(DIRECTION))
    _, pullback = dd.vjp(lambda x: written(x, keeping), x)
    first = keeping(pullback(w)[0])
    np.testing.assert_array_equal(pullback(w)[0], first)
    assert first @ DIRECTION == pytest.approx(w @ TRUTH, rel=1e-13)
    _, push = dd.linearize(lambda x: written(x, keeping), x)
    tangent = keeping(push(w))
    np.testing.assert_allclose(tangent, TRUTH, rtol=1e-13)
    np.testing.assert_array_equal(push(w), tangent)
    keeping.check(20)


@keepers
@pytest.mark.parametrize("lead", [(), (2,)])
def test_a_pull_writes_into_no_cotangent_that_is_kept(keep: Any, lead: Any) -> None:
    keeping = Keeping(keep)
    tape, y = record(written, POINT)
    w = np.stack([DIRECTION, 2.0 * DIRECTION])[: len(lead) * 2] if lead else DIRECTION
    watch = dict.fromkeys(range(len(tape) + 1), keeping)
    (plain,) = pull(tape, [(y.mark, w)], lead)
    (found,) = pull(tape, [(y.mark, keeping(w))], lead, watch=watch)
    np.testing.assert_array_equal(found, plain)
    keeping.check(10)
    assert np.ravel(plain)[:4] @ DIRECTION == pytest.approx(DIRECTION @ TRUTH)


@keepers
def test_hooks_of_tensors_may_keep_what_they_see(keep: Any) -> None:
    keeping = Keeping(keep)
    x = dd.tensor(POINT, requires_grad=True)
    y = np.zeros_like(x)
    y[0] = x[1] * x[0]
    y[1:] = x[:-1] * x[1:]

    def hook(g: Any) -> None:
        keeping(g.numpy())

    y.register_hook(hook)
    (y * x + y).backward(keeping(DIRECTION.copy()))
    first = x.grad.numpy().copy()
    np.sum(x * x).backward()
    np.testing.assert_allclose(x.grad.numpy(), first + 2 * POINT)
    keeping.check(2)


@keepers
def test_sums_of_cotangents_and_stored_tangents(keep: Any) -> None:
    keeping = Keeping(keep)
    cot = [np.ones(3)]
    keeping(cot[0])
    _add(cot, 0, np.ones(3))
    np.testing.assert_array_equal(cot[0], 2.0)
    tangents = [np.zeros((2, 3)), np.ones(2)]
    keeping(tangents[0])
    found = setitem.push(Sweep((2,)), tangents, (np.zeros(3), 1.0), {"index": 1}, np.zeros(3))
    np.testing.assert_array_equal(found, [[0, 1, 0], [0, 1, 0]])
    keeping.check(2)


def test_a_tangent_stored_in_itself() -> None:
    a = np.arange(6.0).reshape(1, 6)
    tangents = [a, a]
    del a
    found = setitem.push(
        Sweep((1,)), tangents, (np.zeros(6), np.zeros(6)), {"index": slice(None, None, -1)}, np.zeros(6)
    )
    np.testing.assert_array_equal(found, [[5, 4, 3, 2, 1, 0]])
    np.testing.assert_array_equal(tangents[1], [[0, 1, 2, 3, 4, 5]])


# terms: coefficients and maps that are shared -------------------------------------------------------


def maps() -> tuple[Any, Any]:
    return np.array([1, 2, 3, 4], np.int32), np.array([2, 3, 4, 1], np.int32)


def test_terms_that_are_written() -> None:
    out, index, v = np.zeros(4), slice(1, 3), np.zeros(2)
    for shared in ("nothing", "coefficient", "map", "key", "dictionary", "view", "read-only", "kept"):
        p, q = maps()
        c, d = np.array([1.0, 2.0, 3.0, 4.0]), np.array([5.0, 6.0, 7.0, 8.0])
        if shared == "coefficient":
            d = c
        if shared == "map":
            q = p
        if shared == "view":
            c, d = np.stack([c, d])
            p, q = np.stack([p, q])
        if shared == "read-only":
            c.flags.writeable = p.flags.writeable = False
        terms = Terms()
        terms[Map(p)] = c
        if shared == "map":  # one array of positions under a number and in two dictionaries
            terms[7] = d
        else:
            terms[Map(q)] = d
        before = scattered(Terms(terms), (4,), 8, float).copy()
        other = Terms(terms) if shared in ("key", "map") else None
        held = terms if shared == "dictionary" else None
        kept = in_a_view(c) if shared == "kept" else None
        was = c.copy()
        tangents: Any = [terms, Terms(((6, np.array([10.0, 20.0])),))]
        del p, q, c, d, terms
        found = store(tangents, index, out, v)
        wanted = before.copy()
        wanted[1:3] = 0.0
        wanted[1:3, 6] = [10.0, 20.0]
        np.testing.assert_array_equal(scattered(found, (4,), 8, float), wanted, err_msg=shared)
        for somebody in (other, held):
            if somebody is not None:
                np.testing.assert_array_equal(scattered(somebody, (4,), 8, float), before, err_msg=shared)
        if kept is not None:
            np.testing.assert_array_equal(kept(), was)


def test_directions_that_share_a_coefficient_come_apart_when_written() -> None:
    n = 80

    def f(x: Any) -> Any:
        y = np.sin(x)
        z = y * (x[::-1] + x)  # two directions an entry, of one coefficient
        u = z * 1.0
        z[0] = y[3]
        z[5:7] = x[1] * y[5:7]
        u[1] = z[0] * x[2]
        return z + u

    x = np.linspace(0.1, 2.0, n)
    dense = np.stack([f(x + 1e-30j * e).imag / 1e-30 for e in np.eye(n)], axis=1)
    for jac in (dd.jacfwd(f), dd.jacrev(f), dd.jacobian(f)):
        np.testing.assert_allclose(jac(x), dense, rtol=1e-12, atol=1e-14)


# within one another ---------------------------------------------------------------------------------


def test_derivatives_taken_amid_a_derivative_of_the_same_arrays() -> None:
    def inner(x: Any, y: Any) -> Any:
        z = x + y
        z[0] = x[0] * y[1]
        z[1:] *= x[1:]
        return np.sum(z * z)

    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        for i in range(len(x)):
            y[i] = x[i] * 2.0
            g = dd.grad(inner)(x, y)  # reads y amid its filling, in both modes
            y[i] += 0.01 * (g[i] + dd.jvp(lambda y: inner(x, y), (y,), (y,))[1])
        return y

    columns, rows = dd.jacfwd(f)(POINT), dd.jacrev(f)(POINT)
    np.testing.assert_allclose(columns, rows, rtol=1e-12)
    step = 1e-6
    differences = [(f(POINT + step * e) - f(POINT - step * e)) / (2 * step) for e in np.eye(4)]
    np.testing.assert_allclose(columns, np.stack(differences, axis=1), rtol=1e-6, atol=1e-8)


def test_a_pull_within_a_pull() -> None:
    _, pullback = dd.vjp(written, POINT)
    (alone,) = pullback(DIRECTION)
    tape, y = record(written, POINT)
    inside = []

    def again(g: Any) -> Any:
        inside.append(pull(tape, [(y.mark, DIRECTION)])[0])
        return g

    (found,) = pull(tape, [(y.mark, DIRECTION)], watch=dict.fromkeys(range(len(tape) + 1), again))
    for g in (found, *inside):
        np.testing.assert_array_equal(g, alone)


# and what is the engine's own is written in place ---------------------------------------------------


@owning
def test_buffers_nobody_else_holds_are_written_in_place() -> None:
    def address(a: Any) -> int:
        return a.__array_interface__["data"][0]

    cot = [np.ones(300)]
    at = address(cot[0])
    _add(cot, 0, np.ones(300))
    assert address(cot[0]) == at
    tangents = [np.zeros((2, 300)), np.ones(2)]
    at = address(tangents[0])
    assert address(setitem.push(Sweep((2,)), tangents, (np.zeros(300), 1.0), {"index": 1}, np.zeros(300))) == at
    terms = Terms(((Map(np.arange(300, dtype=np.int32)), np.ones(300)),))
    at = address(next(iter(terms.values())))
    pair = [terms, None]
    del terms
    assert address(next(iter(store(pair, 0, np.zeros(300), 1.0).values()))) == at

    places = set()

    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[0] = x[0]
        for i in range(1, len(x)):
            y[i] = x[i] * 2.0
            places.add(address(y.value))
        return y

    for run in (lambda: dd.vjp(f, np.ones(100)), lambda: dd.jvp(f, (np.ones(100),), (np.ones(100),))):
        places.clear()
        run()
        assert len(places) == 1
