"""Loops compute what calls of NumPy do: entry by entry, moved, written, put together, and at any point."""

from __future__ import annotations

import gc
import math
import sys
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import dualdiff as dd
from dualdiff.compiled.flat import ChangedError, Flat, flat
from dualdiff.compiled.loops import looped
from dualdiff.passes.entries import Folded, Mapped, Moved, Taken, entries_of
from dualdiff.passes.fusion import NotFusedError, fused
from dualdiff.passes.nests import Kernel
from dualdiff.passes.program import Program

pytest.importorskip("llvmlite")

PLAIN = frozenset((
    "add", "subtract", "multiply", "divide", "negative", "square", "sqrt", "absolute", "maximum", "minimum", "where", "less",
    "greater", "equal", "isfinite", "logical_and", "exp", "sin", "cos",
))  # fmt: skip


def recorded(f: Callable[..., Any], *args: Any) -> Program:
    """Return a function's program."""
    return dd.compile(f, check_every=None, backend="numpy")._variant(args, {}).program


def both(f: Callable[..., Any], *args: Any) -> tuple[Flat, Flat, Program]:
    """Return a function as loops and as calls of NumPy."""
    program = recorded(f, *args)
    loops = looped(program)
    assert loops is not None
    return loops.flat, flat(program, arrays=True), program


def agree(f: Callable[..., Any], *args: Any, points: Any = (), tolerance: float = 0.0) -> Flat:
    """Hold loops against calls of NumPy, to the bit or up to a tolerance."""
    loops, calls, _ = both(f, *args)
    for point in (args, *points):
        for x, y in zip(loops.run(*point), calls.run(*point), strict=True):
            assert type(x) is type(y)
            assert np.shape(x) == np.shape(y)
            assert np.asarray(x).dtype == np.asarray(y).dtype
            if tolerance:
                np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)
            else:
                np.testing.assert_array_equal(x, y)
    return loops


def kernels(f: Callable[..., Any], *args: Any) -> list[Kernel]:
    """Return the kernels that a function's program is planned as."""
    return [k for k in fused(recorded(f, *args), PLAIN).items if type(k) is Kernel]


RNG = np.random.default_rng(0)
X, Y, A = RNG.normal(size=1000), RNG.normal(size=1000), RNG.normal(size=(7, 300))


# --------------------------------------------------------------------------------------------------
# what is computed


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: x * y + x / y - x,
        lambda x, y: np.sqrt(np.abs(x)) * 2.0 - (-y) + x**2 + abs(y) ** 0.5 + x**-1,
        lambda x, y: np.maximum(x, y) + np.minimum(x, 0.0) * np.fmax(x, y) - np.fmin(x, y),
        lambda x, y: np.where(x > y, x * 2, y) + np.where((x < 0) & ~(y > 1), 1.0, x),
        lambda x, y: np.floor(x) + np.ceil(y) + np.trunc(3 * x) + np.rint(2 * x) + np.sign(x) + np.copysign(x, y),
        lambda x, y: ((x > 0) * x, (x >= y) * 1.0 + np.isfinite(y)),
        lambda x, y: (x > y, np.signbit(x) != (y < 0), np.isnan(x)),
        lambda x, y: x[1:] * y[:-1] + x[::-1][1:] - y[-1] * x[3],
        lambda x, y: x[::2] * y[1::2] - x[::-2],
        lambda x, y: np.reshape(x, (10, 100)).T * np.reshape(y, (100, 10)) + x[:10],
        lambda x, y: (x * 2).reshape(20, 50)[:, 1:] - (y * 3).reshape(20, 50)[:, :-1],
        lambda x, y: np.stack([x * y, x - y, x]) * np.stack([y, y, x], axis=0)[::-1],
        lambda x, y: np.stack([x * y, x - y, x], axis=1),
        lambda x, y: np.concatenate([x * 2, y[:100] * 3, x[5:10]]) + 1.0,
        lambda x, y: np.broadcast_to(x * y, (4, 1000)) * np.arange(4.0)[:, None],
        lambda x, y: np.flip(x * y) + np.roll(x, 3) * np.roll(x * y, -5),
        lambda x, y: (x * y)[np.array([3, 1, 4, 1, 5, 999])] * x[np.array([[9], [2]])] + np.repeat(y, 2)[6::-1][:6],
        lambda x, y: np.pad(x * 2, 3)[1:-1] * np.tile(y, 2)[:1004] + np.pad(x, 2, constant_values=7.0),
        lambda x, y: np.array([x[0] * y[1], x[2] - y[3], 4.0]),
        lambda x, y: (x * y).reshape(10, 100).max(axis=0) + np.min(x.reshape(100, 10), axis=1)[:100],
        lambda x, y: (np.max(x * y), np.min(x - y), np.all(x < 10.0), np.any(y > 10.0)),
        lambda x, y: np.diagonal(np.reshape(x[:900] * y[:900], (30, 30))) * 2,
        lambda x, y: np.exp(0.0 * x) * x + 0.0 * np.sin(0.0 * y),
    ],
)
def test_the_bits_are_those_of_numpy(f: Any) -> None:
    points = [(Y, X), (X, X), (np.abs(X) + 1, Y[::-1]), (np.repeat(X, 2)[::2], np.zeros((1000, 2))[:, 1] + 1.0)]
    agree(f, X, Y, points=points)


@pytest.mark.parametrize(
    "f",
    [
        lambda a: (np.sum(a), np.mean(a), np.sum(a * a)),
        lambda a: (np.sum(a, axis=0), np.sum(a, axis=1), np.sum(a, axis=-1, keepdims=True) * a),
        lambda a: np.mean(a.T * 2, axis=0) + np.mean(a, axis=1),
        lambda a: np.sum(np.exp(a), axis=0) / np.sum(np.exp(a)),
        lambda a: a / np.sum(a, axis=0) + np.sum(a[:, ::3] ** 2, axis=(0, 1)),
        lambda a: np.sum(np.stack([a, 2 * a, a * a]), axis=(0, 2)),
        lambda a: np.sum(np.stack([a, 2 * a, a * a]), axis=1),
        lambda a: np.sum(np.exp(a) * np.sin(a) + np.cos(a) * np.tanh(a) + np.log(np.abs(a) + 1)),
        lambda a: a - np.max(a, axis=0) + np.log(np.sum(np.exp(a - np.max(a, axis=0)), axis=0)),
        lambda a: np.sum(a > 0, axis=0) * 1.0 + np.sum(a[0] > 0) / 3.0,
        lambda a: np.var(a) + np.std(a, axis=1),
        lambda a: a**3 + np.abs(a) ** 1.7 + np.arctan2(a, 2.0) + np.sinh(a) - np.log1p(a * a),
        lambda a: scipy.special.erf(a) * scipy.special.gamma(np.abs(a) + 1) + np.hypot(a, 1.0),
    ],
)
def test_sums_and_functions_agree_up_to_rounding(f: Any) -> None:
    agree(f, A, points=[(2 * A,), (-A[::-1],), (np.asfortranarray(A),)], tolerance=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 9, 17, 127, 128, 129, 300, 1000, 4099, 100_003])
def test_sums_are_as_accurate_as_numpys(n: int) -> None:
    x = RNG.normal(size=n) * 10.0 ** RNG.integers(-3, 4, n)
    total = agree(lambda x: (np.sum(x * 1.5), x * 2), x, tolerance=1e-9).run(x)[0]
    exact = math.fsum(1.5 * x)
    bound = (math.log2(max(n, 2)) + 16) * 2.0**-53 * math.fsum(abs(1.5 * x))
    assert abs(total - exact) <= bound


def test_a_long_sum_loses_no_more_than_numpys() -> None:
    x = np.full(1 << 20, 0.1)
    run = agree(lambda x: np.sum(x * 3.0), x, tolerance=1e-12).run
    exact = math.fsum(x * 3.0)
    assert abs(run(x)[0] - exact) <= 4 * abs(float(np.sum(x * 3.0)) - exact) + 1e-16 * exact * 40


def test_a_row_of_a_matrix_is_summed_pairwise_too() -> None:
    a = np.full((3, 200_000), 0.1)
    (found,) = agree(lambda a: np.sum(a * 3.0, axis=1), a, tolerance=1e-12).run(a)
    assert abs(found[0] / math.fsum(a[0] * 3.0) - 1) < 1e-14


def test_writes_are_boxes() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[1:] = x[:-1]
        before = y * 1.0
        y[0] = x[1] * 2
        z = y * 1.0
        z[5] = before[1] + y[2]
        y[1:] += y[:-1]
        y[::-1][3:7] = x[:4]
        return y, before, z

    agree(f, X, points=[(Y,)])
    agree(dd.grad(lambda x: np.sum(f(x)[0] * f(x)[2])), X[:40], points=[(Y[:40],)], tolerance=1e-12)


def test_writes_along_two_axes() -> None:
    def laplacian(u: Any) -> Any:
        v = -4.0 * u
        v[1:] += u[:-1]
        v[:-1] += u[1:]
        v[:, 1:] += u[:, :-1]
        v[:, :-1] += u[:, 1:]
        return v * u

    agree(laplacian, A, points=[(2 * A,)])
    agree(dd.grad(lambda u: np.sum(laplacian(u) ** 2)), A, points=[(2 * A,)], tolerance=1e-12)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.linalg.inv(x[:9].reshape(3, 3) + 5 * np.eye(3)) * 2 + x[0],
        lambda x: np.cumsum(x * 2)[::2] / np.linalg.norm(x * 3),
        lambda x: (x.reshape(20, 50) * 2) @ (x.reshape(50, 20) + 1) * x[3],
        lambda x: np.sort(x * 2) * np.max(x * 1.0),
        lambda x: (x * 2)[np.array([3, 1, 4, 1, 5])] * 2,
        lambda x: (x.astype(np.float32) * 2, x * 2, np.exp(1j * x), x.astype(int) + 1),
    ],
)
def test_what_has_no_loop_is_numpys(f: Any) -> None:
    agree(f, X, points=[(1.5 * X,)], tolerance=1e-12)


def test_results_of_numpy_may_lie_in_any_order() -> None:
    def f(a: Any) -> Any:
        b = np.linalg.inv(a @ a.T + 9 * np.eye(7)).T
        c, d = np.cbrt(b), np.cbrt(a.T)
        e = np.moveaxis(np.cumsum(a.reshape(7, 20, 15), axis=0), 0, 1)
        return c, c * 2 + 1, d, d * 3, (b * 2)[1:, ::2], e * 2, np.swapaxes(np.cbrt(a * 2), 0, 1) + 1

    agree(f, A, points=[(2 * A,), (np.asfortranarray(A),)])


# --------------------------------------------------------------------------------------------------
# what is not finite, and what has changed


def test_what_is_not_finite_is_noticed() -> None:
    loops, _, _ = both(lambda x: (1 / x, x * 2), X)
    for bad in (0.0, np.nan, np.inf):
        x = X.copy()
        x[777] = bad
        with pytest.raises(ChangedError):
            loops.run(x)
    assert np.array_equal(loops.run(X)[0], 1 / X)


def test_what_is_masked_need_not_be_finite() -> None:
    agree(lambda x: np.where(np.abs(x) > 0.5, 1 / x, 0.0), X, points=[(np.where(X > 1, 0.0, X),)])


def test_a_branch_is_a_check() -> None:
    def f(x: Any) -> Any:
        return x * 2 if np.sum(x) > 0 else x * 3

    x = np.abs(X)
    loops, calls, _ = both(f, x)
    assert np.array_equal(loops.run(2 * x)[0], calls.run(2 * x)[0])
    for run in (loops.run, calls.run):
        with pytest.raises(ChangedError) as caught:
            run(-x)
        assert caught.value.args == (0,)


def test_a_mask_is_a_check() -> None:
    loops, calls, _ = both(lambda x: x[x > 0] * 2.0, X)
    assert np.array_equal(loops.run(2 * X)[0], calls.run(2 * X)[0])
    with pytest.raises(ChangedError):
        loops.run(-X)


def test_arguments_beyond_the_kernels_are_done_by_numpy() -> None:
    loops, calls, _ = both(lambda x: np.sin(x) * 2, X)
    far = X * 1e300
    np.testing.assert_array_equal(loops.run(far)[0], calls.run(far)[0])


def test_a_division_that_python_refuses_is_refused() -> None:
    def f(x: float, y: Any) -> Any:
        return np.where(y > 100, 1.0 / x, y * 2)

    loops, _, _ = both(f, 2.0, X)
    with pytest.raises(ZeroDivisionError):
        loops.run(0.0, X)


def test_powers_of_python_numbers_are_pythons() -> None:
    loops, _, _ = both(lambda x, y: np.where(y > 100, x**0.5 + x**-1, y * 2), 2.0, X)
    with pytest.raises((ArithmeticError, ValueError, TypeError)):
        loops.run(0.0, X)


# --------------------------------------------------------------------------------------------------
# memory and threads


def test_arrays_that_overlap_and_the_same_array_twice() -> None:
    loops, calls, _ = both(lambda x, y: (x * 2 + y[::-1], y - x), X[:500], Y[:500])
    memory = RNG.normal(size=1500)
    for x, y in (
        (memory[:500], memory[:500]), (memory[:500], memory[1:501]), (memory[::3], memory[1::3]), (memory[499::-1], memory[:500]),
    ):  # fmt: skip
        kept = memory.copy()
        for a, b in zip(loops.run(x, y), calls.run(x, y), strict=True):
            np.testing.assert_array_equal(a, b)
            assert not np.shares_memory(a, memory)
        np.testing.assert_array_equal(memory, kept)


def test_arrays_that_are_not_aligned_or_read_only() -> None:
    loops, calls, _ = both(lambda x: x * 2 + x[::-1], X)
    raw = np.zeros(8001, np.uint8)[1:].view(np.float64)
    raw[:] = X
    locked = X.copy()
    locked.flags.writeable = False
    for x in (raw, locked):
        np.testing.assert_array_equal(loops.run(x)[0], calls.run(X)[0])


def test_results_belong_to_their_call() -> None:
    loops, _, _ = both(lambda x: (x * 2, (x * 2).reshape(10, 100).T, x[1:], np.sum(x)), X)
    first = loops.run(X)
    kept = [np.copy(v) for v in first]
    second = loops.run(Y)
    for a, k in zip(first, kept, strict=True):
        np.testing.assert_array_equal(a, k)
    arrays = [a for a in (*first, *second) if type(a) is np.ndarray]
    assert all(a.flags.writeable for a in arrays)
    assert not any(np.shares_memory(a, b) for n, a in enumerate(arrays) for b in arrays[:n])


def test_empty_arrays_stay_with_numpy() -> None:
    assert looped(recorded(lambda x: x * 2 + 1, np.zeros(0))) is None


def test_arrays_without_axes_and_numbers() -> None:
    agree(lambda x, y: (x * y + 1.0, x * X), 2.0, np.array(3.0), points=[(4.0, np.array(5.0))])
    agree(
        lambda x, y: (x * y + 1.0, y * X[:3]), np.float64(2.0), np.ones(1), points=[(np.float64(-1.0), np.zeros(1) + 7)]
    )


def test_threads_run_one_program_at_once() -> None:
    loops, calls, _ = both(lambda x: (np.sum(x * x), np.exp(x) + np.linalg.norm(x * 2), np.cumsum(x * 3) * 2), X)
    points = [RNG.normal(size=1000) for _ in range(8)]
    expected = [calls.run(p) for p in points]
    wrong: list[Any] = []

    def hammer(k: int) -> None:
        for n in range(300):
            found = loops.run(points[(k + n) % 8])
            right = expected[(k + n) % 8]
            if not all(np.allclose(a, b, rtol=1e-12, atol=1e-13) for a, b in zip(found, right, strict=True)):
                wrong.append((k, n))

    threads = [threading.Thread(target=hammer, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_long_programs_let_other_threads_run() -> None:
    x = RNG.normal(size=1 << 20)
    loops, calls, _ = both(lambda x: x * 2 + np.abs(x), x)
    right, wrong = calls.run(x)[0], []

    def hammer() -> None:
        for _ in range(5):
            if not np.array_equal(loops.run(x)[0], right):
                wrong.append(1)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_memory_stays_what_it_is() -> None:
    loops, _, _ = both(lambda x: (np.sum(x * x), np.exp(x), np.cumsum(x * 3) * 2), X)
    for _ in range(100):
        loops.run(X)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(10_000):
        loops.run(X)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 20_000


# --------------------------------------------------------------------------------------------------
# the plan


def test_a_gradient_is_one_loop_without_memory_of_its_own() -> None:
    def rosenbrock(x: Any) -> Any:
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    (kernel,) = kernels(dd.grad(rosenbrock), X)
    assert kernel.size == 0
    assert sorted(nest.extents for nest in kernel.nests) == [(), (998,)]
    agree(dd.grad(rosenbrock), X, points=[(Y,)])


def test_rows_that_share_functions_are_one_loop() -> None:
    t = np.linspace(0, 5, 1000)

    def curve(p: Any) -> Any:
        return p[0] * np.exp(-p[1] * t) * np.sin(p[2] * t + p[3]) + p[4]

    (kernel,) = kernels(dd.jacobian(curve), np.arange(1, 6) / 5)
    (nest,) = kernel.nests
    assert nest.extents == (1000,)
    assert [n[0] for n in nest.nodes].count("exp") == 1
    assert len(nest.stores) == 5


def test_costly_values_of_several_loops_are_stored_and_cheap_ones_computed_again() -> None:
    (costly,) = kernels(lambda x: (np.exp(x)[1:] * np.exp(x)[:-1], np.sum(np.exp(x) * 2)), X)
    assert costly.size >= 1000
    (cheap,) = kernels(lambda x: (x + 1.0)[1:] * (x + 1.0)[:-1], X)
    assert cheap.size == 0


def test_a_value_that_many_places_need_and_means_of_a_few() -> None:
    def f(x: Any) -> Any:
        w = np.sin(x)
        return sum(w[k : k + 900] * x[k] for k in range(20)), np.mean(x.reshape(-1, 4), axis=1) * 2.0

    agree(f, X, tolerance=1e-12)


def test_a_look_at_an_argument_that_is_a_number_as_well() -> None:
    def f(x: Any) -> Any:
        ok = np.all(np.isfinite(x))
        return x * 2.0 + ok * 1.0 if ok else x

    agree(f, X)


def test_scratch_memory_is_used_again() -> None:
    def f(x: Any) -> Any:
        for k in range(6):
            e = np.exp(x * 0.1)
            x = x - (np.sum(e) / 1000 + e[::-1] * e) * 0.01 * k
        return x

    (kernel,) = kernels(f, X)
    assert 0 < kernel.size <= 6 * 1008
    agree(f, X, tolerance=1e-12)


def test_entries_are_said_as_they_are() -> None:
    program = recorded(lambda x: (np.sum(x * 2, axis=1), x.T[1:], np.tril(x), x @ x.T, np.stack([x, x])), A)
    kinds = {s.row.name: type(entries_of(program, PLAIN).get(s.result)) for s in program.steps}
    assert kinds["np.sum"] is Folded
    assert kinds["np.multiply"] is Mapped
    assert kinds["np.transpose"] is kinds["np.stack"] is Moved
    assert kinds["np.matmul"] is type(None)


def test_coordinates_that_are_no_affine_functions_are_left() -> None:
    program = recorded(
        lambda x: (np.roll(x, 3), np.pad(x, 2), np.repeat(x, 2), x[np.array([2, 0, 1])], np.diff(x)), X[:5]
    )
    found = entries_of(program, PLAIN)
    taken = 0
    for s in program.steps:
        what = found.get(s.result)
        if len(s.operands) > 1:
            continue
        shape = program.forms[s.operands[0]].shape
        x = np.arange(1.0, float(np.prod(shape)) + 1).reshape(shape)
        moved = x[s.params["index"]] if s.row.access == "read" else s.row.fn(x, **s.params)
        if type(what) is Moved and len(what.parts) == 1 and what.parts[0].box is None:
            index = [
                a.start + a.step * (np.indices(moved.shape)[a.dim] if a.dim >= 0 else 0) for a in what.parts[0].axes
            ]
            np.testing.assert_array_equal(moved, x[tuple(index)])
        elif type(what) is Taken:
            np.testing.assert_array_equal(moved, np.where(what.positions < 0, 0.0, x.reshape(-1)[what.positions]))
            taken += 1
    assert taken


def test_programs_of_very_many_writes_are_none_of_loops() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        for i in range(100):
            y[i] = x[i] * 2.0
        return y

    with pytest.raises(NotFusedError):
        fused(recorded(f, X), PLAIN)


# --------------------------------------------------------------------------------------------------
# whole calls


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_a_program_of_one_kernel_is_entered_without_python() -> None:
    gradient = dd.compile(dd.grad(rosenbrock), backend="llvm", check_every=None)
    right = dd.grad(rosenbrock)
    for x in (X, Y, X, Y):
        np.testing.assert_array_equal(gradient(x), right(x))
    assert type(type(gradient).__call__) is type(len)
    assert gradient.explain(X).tier == "loops"
    wrong = X.copy()
    wrong[3] = np.nan
    for x in (np.repeat(X, 2)[::2], X[::-1], X[:50], X.astype(np.float32), X):
        np.testing.assert_allclose(gradient(x), right(x), rtol=1e-5)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(gradient(wrong), right(wrong))
    assert type(gradient(X)) is np.ndarray
    assert not np.shares_memory(gradient(X), gradient(X))


def columns(x: Any) -> Any:
    return np.stack([x, np.sin(x), x * np.exp(-x)], axis=1), x.reshape(10, -1).T * 2, x[::-1] + 1


def test_results_whose_axes_are_exchanged_are_made_without_python_too() -> None:
    for f, layouts in ((columns, "ccc"), (lambda x: np.stack([x, 1 / x, x * x]).T, "f")):
        program = dd.compile(f, backend="llvm", check_every=None)
        x = np.exp(X[:100] / 8)
        for k in range(4):
            found, right = program(x + k), f(x + k)
            pairs = zip(found, right, strict=True) if len(layouts) > 1 else [(found, right)]
            for (a, b), layout in zip(pairs, layouts, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-15)
                assert a.flags.f_contiguous if layout == "f" else a.flags.c_contiguous or a.T.flags.c_contiguous
                assert k < 3 or (a.flags.owndata and a.flags.aligned and a.flags.writeable)
        assert type(type(program).__call__) is type(len)
        bad = x.copy()
        bad[7] = np.inf
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(*[np.concatenate([np.ravel(a) for a in g(bad)]) for g in (program, f)])


def test_what_a_finite_value_is_made_of_is_not_looked_at() -> None:
    def f(x: Any) -> Any:
        e = np.exp(x)
        return np.stack([e, e * x, 1 / e])

    (kernel,) = kernels(f, X)
    assert sum(len(nest.looks) for nest in kernel.nests) == 2
    loops, calls, _ = both(f, X)
    for bad in (np.inf, -np.inf, np.nan, 800.0, -800.0):
        for where in (0, 500, 999):
            x = X.copy()
            x[where] = bad
            for run in (loops.run, calls.run):
                with pytest.raises(ChangedError):
                    run(x)


def test_a_value_and_a_gradient_come_from_one_call() -> None:
    both_of = dd.compile(dd.value_and_grad(rosenbrock), backend="llvm", check_every=None)
    right = dd.value_and_grad(rosenbrock)
    for x in (X, Y, X[:100], Y[:100], X[:100], Y[:100]):
        value, gradient = both_of(x)
        assert type(value) is type(right(x)[0])
        np.testing.assert_allclose(value, right(x)[0], rtol=1e-13)
        np.testing.assert_array_equal(gradient, right(x)[1])


def test_calls_hold_no_memory() -> None:
    gradient = dd.compile(dd.grad(rosenbrock), backend="llvm", check_every=None)
    x = X[:100].copy()
    for _ in range(100):
        gradient(x)
    gc.collect()
    tracemalloc.start()
    before, references = tracemalloc.get_traced_memory()[0], sys.getrefcount(x)
    for _ in range(10_000):
        gradient(x)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 20_000
    assert sys.getrefcount(x) == references


def test_branches_are_other_programs() -> None:
    def f(x: Any) -> Any:
        return x**2 * 3 if np.max(x) > 10 else np.sin(x) * x

    jacobian = dd.compile(lambda x: dd.jvp(f, (x,), (x,))[1], backend="llvm", check_every=None)
    for x in (X, X + 20, Y, Y + 20, X, X + 20):
        np.testing.assert_allclose(jacobian(x), dd.jvp(f, (x,), (x,))[1], rtol=1e-12)
