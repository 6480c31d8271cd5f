"""Machine code as a function of Python: it takes its own way in only where everything is as known, and loses no reference."""

from __future__ import annotations

import gc
import pickle
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.compiled import calling, entrance, llvm, tiers
from dualdiff.errors import InputError, NonDifferentiablePointError, StaleProgramError
from dualdiff.passes.kinks import CONVENTION
from dualdiff.passes.program import form_of
from dualdiff.trees import flatten
from tests.operators.test_compiled import Counted

pytest.importorskip("llvmlite")
if not calling.is_known():
    pytest.skip("objects lie otherwise here", allow_module_level=True)
X = np.array([0.5, 2.0, 3.0])


def swirl(x: Any) -> Any:
    return np.array([x[0] * x[1], np.sin(x[1]) + x[2], x[0] / x[2], x[2]])


def settled(program: Any, *args: Any) -> Any:
    """Call until the way in is open."""
    for _ in range(4):
        program(*args)
    return program


def hold(found: Any, right: Any) -> None:
    for a, b in zip(flatten(found)[0], flatten(right)[0], strict=True):
        np.testing.assert_array_equal(a, b)


def native(program: Any) -> bool:
    return type(type(program).__call__) is type(len)


@pytest.fixture(params=["entered", "by ctypes", "by another interpreter"])
def way(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "by ctypes":
        monkeypatch.setattr(calling, "_is_simple", lambda *_: False)
    elif request.param == "by another interpreter":
        monkeypatch.setattr(calling, "is_known", lambda: False)
    return request.param


def test_small_derivatives_are_entered_without_python() -> None:
    for f in (
        dd.jacobian(swirl),
        dd.value_and_jacobian(swirl),
        dd.grad(lambda x: np.sum(x**3)),
        dd.hessian(lambda x: x[0] * x[1] * x[2]),
    ):
        program = settled(dd.compile(f, backend="llvm", check_every=None), X)
        assert native(program)
        for x in (X, X + 1, X[::-1].copy()):
            hold(program(x), f(x))


RESULTS: list[Callable[[Any], Any]] = [
    lambda x: x * 2,
    lambda x: x[0] * 2,
    lambda x: (x[0] * x[1],),
    lambda x: [x * 2, (x[0] + 1, x[1:] * 3)],
    lambda x: {"b": x * 2, "a": x[0] + 1},
    lambda x: (x * 2, x * 2, x),
    lambda x: np.outer(x, x),
    lambda x: np.sum(x, keepdims=True),
    lambda x: np.asarray(x[0] * 2),
    lambda x: x[:0] * 2,
    lambda x: (x[:0] * 2, 1.5 * x[0]),
    lambda x: 3.0 * x[0].item() if type(x) is np.ndarray else 3.0 * x[0],
    lambda x: (np.ones(2), x[1] * x[2]),
]


@pytest.mark.parametrize("n", range(len(RESULTS)))
def test_results_are_those_of_the_function(n: int, way: str) -> None:
    f = RESULTS[n]
    program = settled(dd.compile(f, backend="llvm", check_every=None), X)
    for x in (X, -X):
        found, right = flatten(program(x)), flatten(f(x))
        assert type(program(x)) is type(f(x))
        for a, b in zip(found[0], right[0], strict=True):
            assert type(a) is type(b)
            assert np.shape(a) == np.shape(b)
            np.testing.assert_array_equal(a, b)
            if type(a) is np.ndarray:
                assert a.flags.owndata
                assert a.flags.writeable


class Sub(np.ndarray):
    pass


def _misaligned(x: Any) -> Any:
    raw = np.zeros(8 * x.size + 1, np.uint8)[1:].view(float)
    raw[...] = x
    return raw


OTHERWISE: dict[str, Callable[[], Any]] = {
    "another shape": lambda: np.arange(1.0, 5.0),
    "two axes": lambda: np.ones((3, 1)),
    "single precision": lambda: X.astype(np.float32),
    "integers": lambda: np.array([1, 2, 3]),
    "the other byte order": lambda: X.astype(">f8"),
    "strides": lambda: np.arange(1.0, 7.0)[::2],
    "backwards": lambda: X[::-1],
    "misaligned": lambda: _misaligned(X),
    "not writeable": lambda: np.frombuffer(X.tobytes()),
    "complex": lambda: X + 0j,
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_arguments_of_another_kind_take_the_slow_way(name: str, way: str) -> None:
    f = dd.value_and_grad(lambda x: np.sum(x * x[::-1])) if name != "complex" else lambda x: x * x[::-1]
    program = settled(dd.compile(f, backend="llvm"), X)
    other = OTHERWISE[name]()
    for _ in range(5):
        hold(program(other), f(other))
        hold(program(X), f(X))


@pytest.mark.filterwarnings("ignore::dualdiff.errors.CompileWarning")
def test_subclasses_lists_keywords_and_missing_arguments_take_the_slow_way() -> None:
    def f(x: Any, k: float = 2.0) -> Any:
        return np.asarray(x) * k

    program = settled(dd.compile(f, backend="llvm"), X, 3.0)
    assert native(program)
    np.testing.assert_array_equal(program(X), X * 2)
    np.testing.assert_array_equal(program(X, k=4.0), X * 4)
    np.testing.assert_array_equal(program(x=X, k=4.0), X * 4)
    np.testing.assert_array_equal(program(X.view(Sub), 4.0), X * 4)
    np.testing.assert_array_equal(program([1.0, 2.0], 4.0), [4.0, 8.0])
    np.testing.assert_array_equal(program(X, np.float64(4.0)), X * 4)
    np.testing.assert_array_equal(program(X, 4), X * 4)
    with pytest.raises(TypeError, match="argument"):
        program()
    with pytest.raises(TypeError, match="argument"):
        program(X, 1.0, 2.0)
    np.testing.assert_array_equal(program(X, 5.0), X * 5)


def test_arguments_by_name_go_in_as_well(way: str) -> None:
    def f(x: Any, scale: Any, shift: Any = 0.0, n: int = 1) -> Any:
        return x * scale + shift * n

    program = dd.compile(f, backend="llvm", check_every=None)
    for named in (
        {"scale": 2.0},
        {"shift": X, "scale": 3.0},
        {"scale": 3.0, "shift": -X},
        {"scale": X, "n": 3, "shift": 0.5},
    ):
        for _ in range(20):
            hold(program(X, **named), f(X, **named))
        assert native(program) == (way == "entered")
        turned = dict(reversed(named.items()))
        not_the_same_object = {"".join(list(name)): value for name, value in named.items()}
        another = {name: value * 2 for name, value in named.items()}
        for other in (turned, not_the_same_object, another):
            hold(program(X, **other), f(X, **other))
    hold(program(X, 2.0), f(X, 2.0))
    hold(program(X, 3.0, n=2), f(X, 3.0, n=2))
    hold(program(x=X, scale=2.0), f(X, 2.0))
    for _ in range(20):
        program(X, scale=X, n=3, shift=0.5)
    with pytest.raises(TypeError, match="unexpected keyword"):
        program(X, scale=X, other=3, shift=0.5)
    with pytest.raises(TypeError, match="multiple values"):
        program(X, X, scale=X, n=3)
    with pytest.raises(TypeError, match="missing 1 required"):
        program(X, n=3, shift=0.5)


def test_what_is_no_array_belongs_to_the_program() -> None:
    def f(x: Any, n: int, name: str, flag: bool) -> Any:
        return x * n if name == "times" and flag else x**n

    program = settled(dd.compile(f, backend="llvm"), X, 3, "times", True)
    assert native(program)
    for args in [(3, "times", True), (2, "times", True), (3, "power", True), (3, "times", False), (3, "times", True)]:
        np.testing.assert_array_equal(program(X, *args), f(X, *args))


SCALE, TABLE = 2.0, [1.0, 2.0]


def test_what_the_code_names_is_compared_by_machine_code(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shift = 1.0

    class Model:
        rate = 3.0

    model = Model()

    def f(x: Any) -> Any:
        return x * SCALE + shift + model.rate * TABLE[1]

    program = settled(dd.compile(f, backend="llvm", check_every=None), X)
    assert native(program) or way != "entered"

    def held() -> None:
        for _ in range(5):
            hold(program(X), f(X))

    held()
    monkeypatch.setitem(globals(), "SCALE", 4.0)
    held()
    shift = 7.0
    held()
    model.rate = 5.0
    held()
    TABLE[1] = 11.0
    held()
    TABLE.append(1.0)
    held()
    TABLE[:] = [1.0, 2.0]
    monkeypatch.setitem(globals(), "SCALE", float("4.0"))  # another object of the same value
    held()


def test_it_is_held_against_its_function_as_often_as_promised() -> None:
    for backend in ("numpy", "llvm"):
        f = Counted(lambda x: x**2)
        program = dd.compile(f, backend=backend)
        counts = []
        for _ in range(17):
            before = f.calls
            program(X)
            counts.append(f.calls - before)
        assert counts == [2, 1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], backend


def test_an_array_that_is_written_into_is_found_out() -> None:
    weights = np.array([1.0, 2.0, 3.0])
    program = dd.compile(lambda x: x * weights, backend="llvm", check_every=8)
    for _ in range(8):  # run and recorded, then seven calls of the program
        program(X)
    weights[1] = 5.0
    with pytest.raises(StaleProgramError, match="was written into"):
        program(X)
    for _ in range(20):
        np.testing.assert_array_equal(program(X), X * weights)


def test_branches_kinks_and_what_is_not_finite_leave_the_way() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.sqrt(x)) if x[0] > 0 else np.sum(np.abs(x))

    gradient = dd.grad(f)
    program = settled(dd.compile(gradient, backend="llvm", check_every=None), X)
    assert native(program)
    with np.errstate(all="ignore"):
        for x in (X, -X, X, np.array([1.0, 0.0, 2.0]), np.array([np.nan, 1.0, 2.0]), X * np.inf, -X, X):
            np.testing.assert_array_equal(program(x), gradient(x))
    with dd.kinks("raise"), pytest.raises(NonDifferentiablePointError):
        program(np.array([-1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(program(X), gradient(X))
    with dd.kinks("convention"):
        np.testing.assert_array_equal(program(X), gradient(X))


@pytest.mark.parametrize("backend", ["auto", "llvm"])
def test_constants_are_programs_as_well(backend: str) -> None:
    program = dd.compile(lambda x: (np.ones(3), 2.0), backend=backend)
    for _ in range(20):
        hold(program(X), (np.ones(3), 2.0))


BOX: dict[str, Any] = {"a": 1.0}


def held_elsewhere() -> Any:
    return BOX["a"]


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize("operator", [dd.grad, dd.jacfwd, lambda f: dd.hessian(lambda a: f(a) * a)])
def test_what_is_no_argument_is_differentiated_as_well(operator: Any, backend: str) -> None:
    programs = [
        dd.compile(lambda x: np.sum(x * BOX["a"] ** 2), backend=backend),
        dd.compile(lambda x: np.sum(x * held_elsewhere() ** 2), backend=backend),
    ]
    for program in programs:
        settled(program, X)

    def outer(a: Any) -> Any:
        BOX["a"] = a
        try:
            closed = dd.compile(lambda x: np.sum(x * a**2), backend=backend)
            return sum(p(X) for p in (*programs, closed) for _ in range(5))
        finally:
            BOX["a"] = 1.0

    plainly = operator(lambda a: 15 * np.sum(X) * a**2)
    np.testing.assert_allclose(operator(outer)(2.0), plainly(2.0), rtol=1e-14)
    for program in programs:
        assert program(X) == 5.5


def test_an_eager_tensor_that_the_code_names_keeps_its_graph(way: str) -> None:
    weight = dd.tensor(2.0, requires_grad=True)
    program = dd.compile(lambda x: np.sum(x * weight), backend="llvm")
    for _ in range(3):
        weight.grad = None
        program(X).backward()
        assert weight.grad == 5.5


def test_errors_of_the_function_come_through() -> None:
    def f(x: Any) -> Any:
        if x[0] < 0:
            raise ArithmeticError("below zero")
        return x * 2

    program = settled(dd.compile(f, backend="llvm"), X)
    for _ in range(3):
        with pytest.raises(ArithmeticError, match="below zero"):
            program(-X)
        np.testing.assert_array_equal(program(X), X * 2)


@pytest.mark.parametrize("n", [0, 1, 3, 4])
def test_references_and_memory_are_what_they_were(n: int, way: str) -> None:
    f = RESULTS[n]
    program = settled(dd.compile(f, backend="llvm", check_every=None), X)
    watched = (X, np.dtype(float), None, CONVENTION)
    found = program(X)
    keeps = way == "entered"  # small results, for the next call
    assert all(sys.getrefcount(a) <= 4 + keeps for a in flatten(found)[0])
    del found
    gc.collect()
    before, blocks = [sys.getrefcount(w) for w in watched], sys.getallocatedblocks()
    for _ in range(100_000 if way == "entered" else 10_000):
        program(X)
    for _ in range(1000):
        program(X[::-1])  # the slow way
    gc.collect()
    after = [sys.getrefcount(w) for w in watched]
    assert all(abs(a - b) < 50 for a, b in zip(after, before, strict=True))
    assert sys.getallocatedblocks() - blocks < 500


def test_a_result_is_the_callers_as_long_as_anybody_has_it() -> None:
    """An array is given out again once nobody has it, and never while somebody does, in whatever form."""
    program = settled(dd.compile(lambda x: (x * 2, np.outer(x, x)), backend="llvm", check_every=None), X)
    assert native(program)
    for keep in (
        lambda a: a,
        lambda a: a[1:],
        memoryview,
        np.ndarray.tolist,
        lambda a: weakref.ref(a),
        lambda a: iter([a]),
    ):
        held = []
        for k in range(6):
            double, square = program(X + k)
            np.testing.assert_array_equal(double, (X + k) * 2)
            held.append((k, keep(double), keep(square)))
            del double, square
        for k, double, square in held:
            if type(double) is list:
                assert double == ((X + k) * 2).tolist()
            elif type(double) is np.ndarray:
                np.testing.assert_array_equal(double, ((X + k) * 2)[-len(double) :])
                np.testing.assert_array_equal(square, np.outer(X + k, X + k)[-len(square) :])
    again = settled(dd.compile(lambda x: x * 2, backend="llvm", check_every=None), X)
    assert len({id(again(X)) for _ in range(50)}) <= 2


@pytest.mark.parametrize("change", [
    lambda a: a.setflags(write=False), lambda a: setattr(a, "shape", (4, 1)), lambda a: setattr(a, "dtype", np.int64),
    lambda a: a.resize(9, refcheck=False), lambda a: np.copyto(a, np.nan),
])  # fmt: skip
def test_an_array_that_its_caller_changed_is_not_given_out_again(change: Any) -> None:
    program = settled(dd.compile(swirl, backend="llvm", check_every=None), X)
    for k in range(6):
        found = program(X + k)
        assert type(found) is np.ndarray
        assert (found.shape, found.dtype, found.flags.writeable) == ((4,), np.dtype(float), True)
        np.testing.assert_array_equal(found, swirl(X + k))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            change(found)
        del found


def test_each_of_many_results_is_looked_at() -> None:
    x = np.arange(1.0, 41.0)
    f = dd.value_and_grad(lambda x: np.sum(1 / x) if x[3] < 5 else np.sum(x))
    program = settled(dd.compile(f, backend="llvm", check_every=None), x)
    with np.errstate(all="ignore"):
        for k in range(x.size):
            for y in (0.0, 1e-200):
                point = np.where(np.arange(x.size) == k, y, x)
                hold(program(point), f(point))
    hold(program(x + 2), f(x + 2))


def test_results_may_be_arguments_at_once() -> None:
    program = settled(dd.compile(lambda x: x[::-1] * 2, backend="llvm", check_every=None), X)
    x = X
    for _ in range(5):
        x = program(program(x))
    np.testing.assert_array_equal(x, X * 4.0**5)


def test_what_is_compiled_is_freed() -> None:
    program = settled(dd.compile(lambda x: x * 2, backend="llvm"), X)
    assert native(program)
    gone = weakref.ref(program)
    call = type(program).__call__
    del program
    gc.collect()
    np.testing.assert_array_equal(call(X), X * 2)  # whoever holds the function alone may still call it
    del call
    gc.collect()
    assert gone() is None


def test_threads_share_a_program(way: str) -> None:
    gradient = dd.value_and_grad(lambda x: np.sum(np.sin(x) * x[::-1]))
    program = settled(dd.compile(gradient, backend="llvm"), X)
    points = [X + k / 7 for k in range(8)]
    expected = [gradient(x) for x in points]

    def hammer(k: int) -> None:
        for _ in range(500):
            value, slope = program(points[k])
            assert value == expected[k][0]
            np.testing.assert_array_equal(slope, expected[k][1])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hammer, range(8)))


def test_it_pickles_and_names_itself() -> None:
    program = settled(dd.compile(np.sin, backend="llvm", check_every=7), X)
    again = pickle.loads(pickle.dumps(program))
    assert (again.backend, again.check_every, repr(again)) == ("llvm", 7, repr(program))
    np.testing.assert_array_equal(settled(again, X)(X), np.sin(X))


def test_methods_have_programs_of_their_own() -> None:
    class Model:
        def __init__(self, rate: float) -> None:
            self.rate = rate

        @dd.compile
        def slope(self, x: Any) -> Any:
            return x * self.rate

    a, b = Model(2.0), Model(3.0)
    for _ in range(5):
        np.testing.assert_array_equal(a.slope(X), X * 2)
        np.testing.assert_array_equal(b.slope(X), X * 3)


def test_it_compiles_once_its_calls_have_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "IMPORT", 0.0)
    f = dd.grad(lambda x: np.sum(x**3))
    program = dd.compile(f, check_every=None)
    report = program.explain(X)
    assert (report.tier, report.why) == ("scalars", "its calls have not paid for compiling")
    assert report.milliseconds == 0.0
    calls = 0
    while program.explain(X).tier == "scalars":
        calls += 1
        assert calls < 100_000
        for _ in range(100):
            program(X)
    report = program.explain(X)
    assert report.tier == "machine code"
    assert report.why.startswith("compiled in")
    assert report.milliseconds > 0
    assert "def program" in report.source
    assert dd.compile(f, now=True).explain(X).tier == "machine code"
    assert dd.compile(f, backend="numpy").explain(X).why == 'asked for by backend="numpy"'
    arrays = dd.compile(np.fft.fft, backend="llvm").explain(X)
    assert arrays.tier == "arrays"
    assert "none of numbers" in arrays.why


def test_without_llvmlite_everything_runs_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualdiff.operators.compiled.may_be_there", lambda: False)
    monkeypatch.setattr(llvm, "may_be_there", lambda: False)
    with pytest.raises(ImportError, match=r"dualdiff\[compile\]"):
        dd.compile(np.sin, backend="llvm")
    program = dd.compile(np.sin, now=True)
    np.testing.assert_array_equal(program(X), np.sin(X))
    assert program.explain(X).why == "llvmlite is not installed"


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match=r'backend=.gpu. must be "auto", "numpy" or "llvm"'):
        dd.compile(np.sin, backend="gpu")
    with pytest.raises(InputError, match="never compiles"):
        dd.compile(np.sin, backend="numpy", now=True)


def test_a_way_in_serves_as_many_calls_as_it_is_granted() -> None:
    form = form_of(1.5)
    slow: list[Any] = []
    way = entrance.by_python([form], [], lambda x: (2 * x,), None, slow.append)
    assert way is not None
    way.call(1.0)
    way.grant(2)
    assert (way.call(1.0), way.left(), way.call(2.0), way.left(), way.call(3.0)) == (2.0, 1, 4.0, 0, None)
    assert slow == [1.0, 3.0]


def test_sparse_results_have_index_arrays_of_their_own(way: str) -> None:
    def f(x: Any) -> Any:
        return (3 - 2 * x) * x - np.concatenate([x[1:], np.zeros(1)])

    for n in (3, 400):
        x = np.linspace(-1.0, 1.0, n)
        operator = dd.value_and_jacobian(f, sparse=True)
        program = settled(dd.compile(operator, backend="llvm", check_every=None), x)
        first, second = program(x)[1], program(2 * x)[1]
        for found, right in ((first, operator(x)[1]), (second, operator(2 * x)[1])):
            assert type(found) is type(right)
            np.testing.assert_allclose(found.toarray(), right.toarray(), rtol=1e-15)
        assert not np.shares_memory(first.indices, second.indices)
