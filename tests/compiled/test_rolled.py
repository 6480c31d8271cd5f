"""Large programs as machine code: the bits of Python's floats, and the results of the operator at other points."""

from __future__ import annotations

import ctypes
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import dualdiff as dd
from dualdiff.compiled import llvm, rolled
from dualdiff.compiled.rolled import Rolled
from dualdiff.errors import CompileWarning
from dualdiff.passes.program import Check, Form, Program
from dualdiff.passes.scalars import NotScalarError, Scalars
from dualdiff.trees import flatten
from tests.repeated import PYTHON, START, Made, lorenz, periodic, scalars_of

pytest.importorskip("llvmlite")

FLOAT = np.dtype(float)


def by_python(scalars: Scalars, *inputs: Any) -> list[float]:
    """Carry a graph out on Python's floats."""
    values: list[Any] = []
    for name, *operands in scalars.operations:
        if name == "input":
            values.append(float(np.ravel(inputs[operands[0]])[operands[1]]))
        elif name == "constant":
            values.append(operands[0])
        elif name == "unused":
            values.append(None)
        else:
            values.append(PYTHON[name](*[values[n] for n in operands]))
    return [values[n] for _, nodes in scalars.outputs for n in nodes]


class Machine:
    """A program as machine code, called with arrays: its status, and the outputs one after the other."""

    def __init__(self, program: Program, scalars: Scalars, code: Rolled | None = None) -> None:
        self.code: Rolled = code or rolled.rolled(program, scalars)
        text = self.code.text.replace("define internal i32 @program", "define i32 @program")
        self.machine = llvm.assembled(text, self.code.effort)
        self.function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(
            self.machine.address("program")
        )
        self.size = sum(len(nodes) for _, nodes in scalars.outputs)

    def __call__(self, *inputs: Any) -> tuple[int, Any]:
        arrays = [np.ascontiguousarray(x, dtype=float) for x in inputs]
        addresses = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
        found = np.full(self.size + 1, np.nan)
        status = self.function(ctypes.addressof(addresses), found.ctypes.data)
        assert np.isnan(found[-1])  # nothing is written behind
        return status, found[:-1]


def program_of_list(scalars: Scalars, sizes: Sequence[int], checks: Sequence[Any] = ()) -> Program:
    """Return what a program says of a graph: what its inputs are, and what its checks are to find."""
    forms = {i: Form((size,), FLOAT, "array") for i, size in enumerate(sizes)}
    results = tuple([form for form, _ in scalars.outputs])
    return Program(len(sizes), forms, {}, {}, [], [Check(0, t, 0, None) for t in checks], (), results, 0, 0)


@settings(max_examples=settings().max_examples // 2)
@given(periodic())
def test_lists_that_repeat_give_pythons_bits(made: Made) -> None:
    sizes = (3, 2 * made.count)
    machine = Machine(program_of_list(made.scalars, sizes), made.scalars)
    for seed in range(2):
        inputs = [np.random.default_rng(seed).normal(size=n) for n in sizes]
        try:
            expected = by_python(made.scalars, *inputs)
        except ValueError:  # Python's functions of infinities
            continue
        status, found = machine(*inputs)
        np.testing.assert_array_equal(found, expected)
        assert status == (0 if np.all(np.isfinite(expected)) else -1)


def test_the_bits_of_an_integrator_and_its_derivatives() -> None:
    for f in (lorenz(30), dd.jacobian(lorenz(30), mode="reverse"), dd.jacobian(lorenz(30), mode="forward")):
        program, scalars = scalars_of(f, START)
        machine = Machine(program, scalars)
        by_periods = Machine(program, scalars, rolled.rolled_by_periods(program))
        assert machine.code.loops
        assert by_periods.code.loops
        assert by_periods.code.written <= 1.1 * machine.code.written
        for z in (START, 1.1 * START, START[::-1].copy()):
            status, found = machine(z)
            np.testing.assert_array_equal(found, by_python(scalars, z))
            assert status == 0
            np.testing.assert_array_equal(by_periods(z)[1], found)
            np.testing.assert_allclose(found, np.ravel(f(z)), rtol=1e-12, atol=1e-14 * np.max(np.abs(found)))


RANDOM = np.random.default_rng(0)


def garch(n: int) -> tuple[Any, Any]:
    """Return a log-likelihood of a volatility that clusters (Bollerslev 1986, doi:10.1016/0304-4076(86)90063-1)."""
    r = 0.01 * RANDOM.standard_normal(n)

    def f(t: Any) -> Any:
        mean, omega, alpha, beta = t[0], t[1], t[2], t[3]
        variance, total = omega / (1 - alpha - beta), 0.0
        for k in range(n):
            e = r[k] - mean
            total = total + 0.5 * (np.log(variance) + e * e / variance)
            variance = omega + alpha * e * e + beta * variance
        return total

    return f, np.array([1e-4, 1e-5, 0.08, 0.9])


def iir(n: int) -> tuple[Any, Any]:
    u = RANDOM.standard_normal(n)

    def f(c: Any) -> Any:
        y = np.zeros_like(c, shape=n)
        for k in range(n):
            y[k] = c[0] * u[k] + c[1] * u[k - 1] - c[3] * y[k - 1] - c[4] * y[k - 2] + c[2] * u[k - 2] * (k > 1)
        return y

    return f, np.array([0.2, 0.3, 0.2, -0.5, 0.2])


def kalman(n: int) -> tuple[Any, Any]:
    z = np.cumsum(RANDOM.standard_normal(n))
    F, h = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([1.0, 0.0])

    def f(q: Any) -> Any:
        x, p, total = np.zeros(2), np.eye(2), 0.0
        Q = np.diag(q[:2])
        for k in range(n):
            x, p = F @ x, F @ p @ F.T + Q
            s, e = h @ p @ h + q[2], z[k] - h @ x
            gain = p @ h / s
            x, p = x + gain * e, p - np.outer(gain, h @ p)
            total = total + np.log(s) + e * e / s
        return total

    return f, np.array([0.1, 0.2, 0.5])


def pid(n: int) -> tuple[Any, Any]:
    def f(g: Any) -> Any:
        x = v = integral = cost = 0.0
        last, dt = 1.0, 0.01
        for _ in range(n):
            e = 1.0 - x
            integral, slope, last = integral + e * dt, (e - last) / dt, e
            u = np.minimum(np.maximum(g[0] * e + g[1] * integral + g[2] * slope, -10.0), 10.0)
            u = np.where(np.abs(x) > 1.2, u - 0.5 * x, u)
            v = v + dt * (u - 0.5 * v)
            x, cost = x + dt * v, cost + e * e * dt
        return cost

    return f, np.array([2.0, 0.5, 0.3])


def inputs_as_series(n: int) -> tuple[Any, Any]:
    """Return a recurrence that runs along its argument, and looks twelve entries back."""

    def f(u: Any) -> Any:
        y = [u[k] for k in range(12)]
        for k in range(12, n):
            y.append(0.5 * y[k - 12] + 0.3 * np.sin(u[k]) + 0.1 * u[n - k] * y[k - 1])
        return np.sum(np.stack(y) ** 2)

    return f, RANDOM.standard_normal(n)


CASES = {"garch": garch, "iir": iir, "kalman": kalman, "pid": pid, "series": inputs_as_series}


@pytest.mark.parametrize("operator", [dd.value_and_grad, dd.jacobian], ids=["value_and_grad", "jacobian"])
@pytest.mark.parametrize("name", CASES)
def test_loops_of_users(name: str, operator: Any) -> None:
    f, x = CASES[name]({"kalman": 60, "pid": 80, "garch": 120}.get(name, 200))
    if name == "iir" and operator is dd.value_and_grad:
        f = lambda c, g=f: np.sum(g(c) ** 2)  # noqa: E731
    g = operator(f)
    program = dd.compile(g, backend="llvm", check_every=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CompileWarning)
        program(x)
        for factor in (1.0, 1.01, 0.93):
            found, expected = program(factor * x), g(factor * x)
            for a, b in zip(flatten(found)[0], flatten(expected)[0], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12 * np.max(np.abs(b)))
    report = program.explain(x)
    assert report.tier == "machine code"
    assert report.operations > 1000


def branching(n: int) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        y, total = x[0], 0.0
        for _ in range(n):
            y = 3.2 * y * (1 - y) if y > x[1] else y + 0.5 * x[2]
            total = total + y * y
        return total

    return f


def test_a_check_that_fails_says_which_wherever_it_is() -> None:
    n = 300
    x = np.array([0.4, 0.1, 0.2])
    program, scalars = scalars_of(branching(n), x)
    machine = Machine(program, scalars)
    assert machine.code.written < 100
    assert len(program.checks) == n
    assert machine(x)[0] == 0
    for limit in (0.45, 0.5, 0.6, 0.79):
        y, expected = 0.4, 0
        for k in range(n):
            if not y > limit:
                expected = k + 1
                break
            y = 3.2 * y * (1 - y)
        assert machine(np.array([0.4, limit, 0.2]))[0] == expected > 0
    assert machine(np.array([0.45, 0.1, 0.2]))[0] == 0


def test_branches_of_a_long_loop_are_taken_as_the_function_does() -> None:
    g = dd.value_and_grad(branching(400))
    program = dd.compile(g, backend="llvm", check_every=None)
    for x in ([0.4, 0.1, 0.2], [0.4, 0.6, 0.2], [0.3, 0.1, 0.2], [0.4, 0.1, 0.3], [0.5, 0.55, 0.1]):
        found, expected = program(np.array(x)), g(np.array(x))
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-9, atol=1e-12)


def test_what_is_not_finite_is_noticed() -> None:
    program, scalars = scalars_of(lambda x: np.stack([x[0] * x[1], np.exp(x[0])]), np.array([1.0, 2.0]))
    machine = Machine(program, scalars)
    assert machine(np.array([1.0, 3.0]))[0] == 0
    for x in ([np.inf, 1.0], [1.0, np.nan], [1000.0, 1.0]):
        assert machine(np.array(x))[0] == -1


def test_what_does_not_repeat_is_written_in_straight_lines() -> None:
    random = np.random.default_rng(1)
    picks = random.integers(0, 1 << 30, (5000, 3)).tolist()

    def f(x: Any) -> Any:
        y = list(x)
        for a, b, c in picks:
            u, v = y[a % len(y)], y[b % len(y)]
            y.append((u + v, u * v, np.sin(u), np.cos(v), u - v)[c % 5] * 0.5)
        return np.stack(y)

    x = random.standard_normal(6)
    program, scalars = scalars_of(f, x)
    machine = Machine(program, scalars)
    assert machine.code.written > 4000
    assert machine.code.effort == 0
    for z in (x, 2 * x):
        np.testing.assert_array_equal(machine(z)[1], by_python(scalars, z))


def test_too_much_that_does_not_repeat_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolled, "MOST_WRITTEN", 100)
    program, scalars = scalars_of(lorenz(5), START)
    with pytest.raises(NotScalarError, match="do not repeat"):
        rolled.rolled(program, scalars)


def test_functions_that_no_library_of_mathematics_has_are_refused() -> None:
    from scipy.special import expn

    program, scalars = scalars_of(lambda x: expn(2.0, x), 1.5)
    with pytest.raises(NotScalarError, match="no machine code"):
        rolled.rolled(program, scalars)
    program, scalars = scalars_of(lambda x: x > 1, np.array([1.5]))
    with pytest.raises(NotScalarError, match="a result of bool"):
        rolled.rolled(program, scalars)


def test_a_loop_runs_along_numbers_that_are_arguments_of_their_own() -> None:
    def f(*x: Any) -> Any:
        y = 1.0
        for k in range(1, 60):
            y = np.sin(y * x[k]) + x[k - 1] * y + x[0] * 2 + y * y * 0.1 - y + x[1]
        return y

    x = [float(v) for v in np.linspace(0.1, 0.6, 60)]
    program, scalars = scalars_of(f, *x)
    machine = Machine(program, scalars)
    assert machine.code.loops
    for scale in (1.0, 0.7):
        given = [scale * v for v in x]
        status, found = machine(*given)
        assert status == 0
        np.testing.assert_array_equal(found, by_python(scalars, *given))


def test_threads_do_not_share_memory() -> None:
    program, scalars = scalars_of(dd.jacobian(lorenz(100), mode="reverse"), START)
    machine = Machine(program, scalars)
    assert machine.code.memory > 1000
    points = [START * (1 + 0.01 * k) for k in range(4)]
    expected = [machine(z)[1] for z in points]
    wrong: list[int] = []

    def hammer(k: int) -> None:
        for _ in range(1000):
            if machine(points[k])[1].tobytes() != expected[k].tobytes():
                wrong.append(k)

    threads = [threading.Thread(target=hammer, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
