"""``dualdiff.scipy.integrate``: SciPy's results, with exact Jacobians where these pay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate as si

import dualdiff as dd
from dualdiff.errors import DerivativeError
from dualdiff.scipy import integrate


def heat(n: int) -> Any:
    """Return a reaction with diffusion, and where it starts."""

    def fun(t: float, y: Any, k: float = 100.0) -> Any:
        return k * np.diff(np.pad(y, 1), 2) - y**3 + np.sin(t)

    return fun, np.sin(np.linspace(0, 3, n))


@pytest.mark.parametrize(
    ("method", "n", "kind"),
    [("Radau", 40, "dense"), ("Radau", 120, "sparse"), ("BDF", 120, "sparse"), ("LSODA", 64, "dense")],
)
def test_implicit_methods_are_given_a_jacobian_where_it_pays(
    method: str, n: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = integrate._Jacobian.__call__
    monkeypatch.setattr(integrate._Jacobian, "__call__", lambda *args: seen.append(real(*args)) or seen[-1])
    fun, start = heat(n)
    options = {"method": method, "rtol": 1e-6, "atol": 1e-8}
    found = integrate.solve_ivp(fun, (0, 1), start, args=(200.0,), **options)
    given = si.solve_ivp(fun, (0, 1), start, args=(200.0,), **options)
    assert seen
    assert all(hasattr(j, "nnz") == (kind == "sparse") for j in seen)
    np.testing.assert_allclose(found.y[:, -1], given.y[:, -1], rtol=1e-4, atol=1e-6)
    assert type(found) is type(given)


@pytest.mark.parametrize(
    ("n", "options"),
    [
        (3, {"method": "Radau"}),
        (40, {"method": "RK45"}),
        (40, {"method": "BDF"}),
        (40, {"method": "Radau", "jac": -300.0 * np.eye(40)}),
        (40, {"method": "Radau", "jac_sparsity": np.eye(40) + np.eye(40, k=1) + np.eye(40, k=-1)}),
        (40, {"method": "LSODA", "lband": 1, "uband": 1}),
    ],
)
def test_elsewhere_it_is_scipys_to_the_last_bit(n: int, options: dict[str, Any]) -> None:
    fun, start = heat(n)
    found, given = (m.solve_ivp(fun, (0, 0.1), start, **options) for m in (integrate, si))
    np.testing.assert_array_equal(found.y, given.y)
    assert (found.nfev, found.njev, found.nlu) == (given.nfev, given.njev, given.nlu)


def test_a_jacobian_that_is_asked_for_often_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrate, "_COMPILED_AFTER", 2)
    fun, start = heat(40)
    jac = integrate._Jacobian(fun, False, False)
    for t in range(4):
        np.testing.assert_allclose(
            jac(float(t), start + t), dd.jacobian(fun, argnums=1)(float(t), start + t), rtol=1e-13
        )
    assert type(jac.found).__name__ == "Compiled" or "ompile" in type(jac.found).__module__


def test_vectorized_functions() -> None:
    fun, start = heat(40)
    columns = lambda t, y: np.stack([fun(t, y[:, i]) for i in range(y.shape[1])], axis=1)  # noqa: E731
    options = {"method": "Radau", "rtol": 1e-6}
    found = integrate.solve_ivp(columns, (0, 0.1), start, vectorized=True, **options)
    np.testing.assert_allclose(found.y[:, -1], si.solve_ivp(fun, (0, 0.1), start, **options).y[:, -1], rtol=1e-5)


def test_a_function_without_derivative_raises_unless_a_jacobian_is_given() -> None:
    fun = lambda t, y: -np.asarray([float(v) for v in memoryview(np.ascontiguousarray(y))])  # noqa: E731
    with pytest.raises(DerivativeError):
        integrate.solve_ivp(fun, (0, 1), np.ones(40), method="Radau")
    assert integrate.solve_ivp(fun, (0, 1), np.ones(40), method="Radau", jac=-np.eye(40)).success


@pytest.mark.parametrize("method", ["RK45", "Radau"])
def test_inside_a_differentiated_function(method: str) -> None:
    n = 40

    def f(p: Any) -> Any:
        fun = lambda t, y, q: -q * (y - p[1] * np.cos(t))  # noqa: E731
        return integrate.solve_ivp(fun, (0, 1), np.ones(n), args=(p[0],), method=method, rtol=1e-6, atol=1e-8).y[:, -1]

    def exact(p: Any) -> Any:
        a = p[0] * p[1] / (1 + p[0] ** 2)
        return (a * (p[0] * np.cos(1) + np.sin(1)) + (1 - a * p[0]) * np.exp(-p[0])) * np.ones(n)

    p = np.array([2.0, 0.5])
    for operator in (dd.jacfwd, dd.jacrev):
        np.testing.assert_allclose(operator(f)(p), dd.jacobian(exact)(p), atol=1e-5)


@pytest.mark.parametrize("unknown", [False, True])
def test_solve_bvp_is_given_exact_jacobians(unknown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    n, x = 32, np.linspace(0, 1, 7)
    calls = []
    real = si.solve_bvp

    def fun(x: Any, y: Any, p: Any = (1.0,)) -> Any:
        calls.append(y.shape)
        u, v = y[: n // 2], y[n // 2 :]
        return np.concatenate([v, p[0] * np.sinh(u) - 0.5 * np.roll(u, 1, axis=0) + np.sin(x)])

    def bc(ya: Any, yb: Any, p: Any = (1.0,)) -> Any:
        more = [ya[n // 2 :][:1] * 0 + p[0] - 1.2] if unknown else []
        return np.concatenate([ya[: n // 2] - 1, yb[: n // 2], *more])

    p = np.array([1.0]) if unknown else None
    args = (fun, bc, x, np.zeros((n, 7)), p)
    found = integrate.solve_bvp(*args, tol=1e-6)
    ours = len(calls)
    given = real(*args, tol=1e-6)
    assert ours < (len(calls) - ours) / 3
    assert found.success
    np.testing.assert_allclose(found.sol(0.4), given.sol(0.4), rtol=1e-6, atol=1e-9)
    if unknown:
        np.testing.assert_allclose(found.p, 1.2, rtol=1e-9)


def test_solve_bvp_by_what_a_large_system_closes_over() -> None:
    n = 32

    def f(p: Any) -> Any:
        fun = lambda x, y: np.concatenate([y[n // 2 :], p * y[: n // 2]])  # noqa: E731
        bc = lambda ya, yb: np.concatenate([ya[: n // 2] - 1, yb[: n // 2] - 1])  # noqa: E731
        return integrate.solve_bvp(fun, bc, np.linspace(0, 1, 9), np.ones((n, 9)), tol=1e-6).sol(0.5)[3]

    exact = lambda p: 1 / np.cosh(np.sqrt(p) / 2)  # noqa: E731
    assert abs(dd.grad(f)(2.0) - dd.grad(exact)(2.0)) < 1e-6
