"""Programs of arrays whose steps repeat as machine code: what the operator gives, at other points, after a branch, in many threads."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.compiled import algebra, loops
from dualdiff.errors import CompileWarning
from tests.repeated import program_of_arrays

pytest.importorskip("llvmlite")

RANDOM = np.random.default_rng(0)
STEPS = 16
DATA = RANDOM.standard_normal((STEPS, 3))


def compiled(g: Callable[..., Any]) -> Any:
    return dd.compile(g, backend="llvm", check_every=None)


def held(g: Callable[..., Any], x: Any, rtol: float = 1e-12) -> Any:
    """Hold a program against its function at several points, and return it."""
    program = compiled(g)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CompileWarning)
        for y in (x, x, 1.1 * x, x[::-1].copy()):
            expected = g(y)
            np.testing.assert_allclose(program(y), expected, rtol=rtol, atol=1e-13 * np.max(np.abs(expected)))
    assert program.explain(x).tier == "repeated loops"
    return program


def cell(x: Any) -> Any:
    """A long short-term memory (Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735), by its weights."""
    weight, bias = x[:112].reshape(16, 7), x[112:]
    h, c, total = np.zeros(4), np.zeros(4), 0.0
    for u in DATA:
        z = weight @ np.concatenate([u, h]) + bias
        c = c / (1 + np.exp(-z[4:8])) + np.tanh(z[8:12]) / (1 + np.exp(-z[:4]))
        h = np.tanh(c) / (1 + np.exp(-z[12:]))
        total = total + np.sum(h * h)
    return total


def test_the_gradient_of_a_recurrent_network() -> None:
    x = RANDOM.standard_normal(128) / 2
    program = held(dd.grad(cell), x)
    report = program.explain(x)
    assert [count for _, count in report.loops] == [STEPS - 1, STEPS - 2]
    assert str(report).count(" times") == 2
    bad = x.copy()
    bad[0] = np.inf
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(program(bad), dd.grad(cell)(bad))
    expected, found = dd.grad(cell)(x), []

    def often() -> None:
        found.extend(program(x) for _ in range(50))

    threads = [threading.Thread(target=often) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 150
    for y in found:
        np.testing.assert_allclose(y, expected, rtol=1e-12)


def ring(u: Any) -> Any:
    table = u.reshape(2, -1)
    out, v = np.zeros((2 * STEPS, 5)), table[0]
    for k in range(2 * STEPS):
        v = v + 0.2 * (np.roll(v, 1) - 2 * v + np.roll(v, -1)) - 0.1 * v * table[1, k % 5]
        out[k] = np.where(v > 0, v, 0.5 * v)
    return out * out


def test_arithmetic_has_the_bits_of_the_flat_tier_and_a_file_gives_them_too(tmp_path: Path) -> None:
    x = RANDOM.standard_normal(10)
    program, flat = compiled(ring), dd.compile(ring, backend="numpy")
    for y in (x, -x, 1e-3 * x):
        np.testing.assert_array_equal(program(y), flat(y))
    assert program.explain(x).tier == "repeated loops"
    assert program.explain(x).loops
    program.save(tmp_path / "ring.ddp", x)
    loaded = dd.load_program(tmp_path / "ring.ddp")
    np.testing.assert_array_equal(loaded(2 * x), flat(2 * x))


def filtered(p: Any) -> Any:
    """A Kalman filter by its matrices (Kalman 1960, doi:10.1115/1.3662552)."""
    move, seen = np.eye(3) + 0.1 * p[:9].reshape(3, 3), np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -0.5]])
    noise = np.eye(2) * np.exp(p[9])
    state, spread, total = np.zeros(3), np.eye(3), 0.0
    for u in DATA:
        state, spread = move @ state, move @ spread @ move.T + 0.1 * np.eye(3)
        s, v = seen @ spread @ seen.T + noise, u[:2] - seen @ state
        gain = spread @ seen.T @ np.linalg.inv(s)
        root = np.linalg.cholesky(s)
        state, spread = state + gain @ v, spread - gain @ seen @ spread
        total = total - 0.5 * (v @ np.linalg.solve(s, v) + np.log(np.linalg.det(s))) + root[1, 0]
    return total


def test_linear_systems_in_a_loop_and_what_lapack_gives_up() -> None:
    x = RANDOM.standard_normal(10) / 3
    held(filtered, x, 1e-11)

    def singular(a: Any) -> Any:
        total = 0.0
        for u in DATA:
            total = total + np.sum(np.linalg.inv(a + total * 1e-9 * np.eye(3)) @ u)
        return total

    a = np.eye(3) + 0.1 * RANDOM.standard_normal((3, 3))
    program = held(singular, a)
    with pytest.raises(np.linalg.LinAlgError):
        program(np.zeros((3, 3)))
    np.testing.assert_allclose(program(a), singular(a), rtol=1e-12)


def test_larger_matrices_are_multiplied_by_blas() -> None:
    first, second = RANDOM.standard_normal((40, 90)) / 9, RANDOM.standard_normal((90, 40)) / 9

    def f(x: Any) -> Any:
        m, v = np.outer(x[:40], np.ones(70)), x
        for k in range(STEPS):
            v = np.tanh(second @ (first @ v)) + v * (k % 3)
            m = first @ np.tanh(second @ m)
        return np.sum(m * v[0]) + np.sum(v) + v[:90] @ (v @ np.outer(v, v))

    x = RANDOM.standard_normal(90)
    program = program_of_arrays(f, x)
    assert sum(algebra.is_known(program, s) for s in program.steps) > 3 * STEPS
    held(f, x, 1e-9)


def test_a_decision_in_a_loop_that_is_taken_otherwise_is_recorded_anew() -> None:
    def f(x: Any) -> Any:
        y, total = x, 0.0
        for u in DATA:
            y = 0.9 * np.sin(y) + 0.1 * u
            total = total + (np.sum(y * y) if y[0] > -0.5 else y[1])
        return total

    g = dd.grad(f)
    program = compiled(g)
    for x in ([0.4, 0.1, 0.2], [-1.5, 0.6, 0.2], [0.3, 0.1, 0.2], [-1.4, 0.1, 0.3], [-0.7, 0.0, 0.1]):
        np.testing.assert_allclose(program(np.array(x)), g(np.array(x)), rtol=1e-12)


def test_programs_that_do_not_repeat_become_what_they_were() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.exp(np.sin(x) * x)[::2])

    program = program_of_arrays(dd.grad(f), np.linspace(0, 1, 50))
    assert loops.planned(program) is not None
    assert compiled(dd.grad(f)).explain(np.linspace(0, 1, 50)).loops == ()
