"""The same derivative by every library that is installed: who is faster where, our losses included.

A program is written once, in the names that NumPy, JAX, autograd and PyTorch share, and again where a library has others. A library
is given its own arrays and asked for a NumPy array; JAX is compiled (``jax.jit``), and so is CasADi's expression, and what that
takes is the first call, which stands in a table of its own. All answers are compared with ours before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from time import perf_counter, process_time
from types import SimpleNamespace
from typing import Any

import numpy as np

import dualdiff as dd
from dualdiff.lab.timing import interleaved
from tests.benchmarks.installed import installed

jax, torch, autograd, casadi, advect = map(installed, ("jax", "torch", "autograd", "casadi", "advect"))

Row = dict[str, Any]
Calls = dict[str, Callable[[], Any]]
ROUNDS, BLOCK = 7, 2e-3
"""Turns of each call, and seconds of a turn."""


@dataclass(frozen=True)
class Program:
    """A function, where it is differentiated, and what of it is wanted.

    ``call(m, c, x)`` is written in the names of a module `m`; `c` makes a constant of the module's own kind. `casadi` is the same in
    CasADi's names and `jax` in JAX's, where the first does not serve or is not how one would write it there (a loop compiles as a
    ``scan``, unrolled it takes minutes).
    """

    name: str
    call: Callable[[Any, Callable[[Any], Any], Any], Any]
    x: Any
    wanted: str = "grad"
    casadi: Callable[[Any], Any] | None = None
    jax: Callable[[Any], Any] | None = None
    matrices: bool = False
    """Whether CasADi is given symbols for whole matrices (``MX``) and not for their entries, which takes minutes."""
    leave_out: tuple[str, ...] = ()


# ---------------------------------------------------------------------------------------------------- programs


def programs() -> list[Program]:
    """Return what is measured: gradients, Jacobians of every shape, Hessians, scalar loops, sparse matrices."""
    rng = np.random.default_rng(0)
    t, a = np.linspace(0, 5, 1000), rng.standard_normal((200, 200)) / 14
    w1, w2 = rng.standard_normal((64, 128)) / 8, rng.standard_normal((128, 10)) / 8
    images, labels = rng.standard_normal((128, 64)), rng.standard_normal((128, 10))
    times = np.sort(rng.uniform(0, 10, 200))
    square, eye, seen = (times[:, None] - times) ** 2, np.eye(200), np.sin(times)

    def rosenbrock(m: Any, c: Any, x: Any) -> Any:
        return m.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def network(m: Any, c: Any, w: Any) -> Any:
        return m.mean((m.tanh(m.tanh(c(images) @ c(w1) * w) @ c(w2)) - c(labels)) ** 2)

    def process(m: Any, c: Any, p: Any) -> Any:
        k = m.exp(p[0] - c(square) * m.exp(-2 * p[1])) + m.exp(p[2]) * c(eye)
        y = c(seen)
        return -(y @ m.linalg.solve(k, y)) / 2 - m.sum(m.log(m.diagonal(m.linalg.cholesky(k), 0, -1, -2)))

    def curve(m: Any, c: Any, b: Any) -> Any:
        s = c(t)
        return sum(b[3 * i] * m.exp(-(((s - b[3 * i + 1]) / b[3 * i + 2]) ** 2)) for i in range(3)) + b[9]

    def wide(m: Any, c: Any, x: Any) -> Any:
        e = m.exp(-x)
        return m.stack([m.sum(x**2), m.sum(x**3), m.sum(e), m.sum(x**2 * e), m.sum(m.exp(-(x**2)))])

    def dense(m: Any, c: Any, x: Any) -> Any:
        return m.tanh(c(a) @ m.tanh(c(a) @ x))

    def lorenz(m: Any, c: Any, p: Any) -> Any:
        def slope(x: Any, y: Any, z: Any) -> Any:
            return p[0] * (y - x), x * (p[1] - z) - y, x * y - p[2] * z

        x, y, z, h = 1.0, 1.0, 1.0, 0.01
        for _ in range(100):
            a1, b1, c1 = slope(x, y, z)
            a2, b2, c2 = slope(x + h / 2 * a1, y + h / 2 * b1, z + h / 2 * c1)
            x, y, z = x + h * a2, y + h * b2, z + h * c2
        return m.stack([x, y, z])

    def heat(m: Any, c: Any, u: Any) -> Any:
        for _ in range(50):
            u = u + 0.2 * (m.roll(u, 1) - 2 * u + m.roll(u, -1)) + 0.01 * u * (1 - u)
        return m.sum(u**2)

    def broyden(m: Any, c: Any, x: Any) -> Any:
        zero = c(np.zeros(1))
        return (3 - 2 * x) * x - m.concatenate([zero, x[:-1]]) - 2 * m.concatenate([x[1:], zero]) + 1

    def three(m: Any, c: Any, x: Any) -> Any:
        return m.stack([x[0] * x[1], m.sin(x[2]) + x[0], x[1] * x[2] - x[0] * x[0]])

    bumps = np.array([2.0, 1.0, 0.5, 1.0, 2.5, 0.3, 0.5, 4.0, 0.8, 0.1])
    x = rng.standard_normal(1000)
    return [
        Program("gradient: Rosenbrock, n = 10", rosenbrock, x[:10]),
        Program("gradient: Rosenbrock, n = 1000", rosenbrock, x),
        Program("gradient: Rosenbrock, n = 1e6", rosenbrock, rng.standard_normal(10**6), leave_out=("CasADi",)),
        Program("gradient: two layers of 128, batch 128", network, np.ones(128), leave_out=("CasADi",)),
        Program("gradient: Gaussian process, 200 points", process, np.array([0.0, 0.1, -3.0]), leave_out=("CasADi",)),
        Program(
            "gradient: 50 steps of a heat equation, n = 1000", heat, np.abs(np.sin(x)), casadi=_heat, jax=_heat_jax
        ),
        Program("Jacobian 3 -> 3", three, np.array([1.0, 2.0, 3.0]), "jacobian"),
        Program("Jacobian 10 -> 1000, a sum of Gaussians", curve, bumps, "jacobian"),
        Program("Jacobian 5000 -> 5", wide, rng.standard_normal(5000), "jacobian"),
        Program("Jacobian 200 -> 200, two dense layers", dense, x[:200], "jacobian", matrices=True),
        Program(
            "Jacobian 3 -> 3, 100 steps of scalars", lorenz, np.array([10.0, 28.0, 8 / 3]), "jacobian", jax=_lorenz_jax
        ),
        Program("Hessian: Rosenbrock, n = 100", rosenbrock, x[:100], "hessian"),
        Program("sparse Jacobian: tridiagonal, n = 1000", broyden, x, "sparse jacobian"),
        Program("sparse Jacobian: tridiagonal, n = 1e5", broyden, rng.standard_normal(10**5), "sparse jacobian"),
        Program("sparse Hessian: Rosenbrock, n = 1000", rosenbrock, x, "sparse hessian"),
    ]


def _lorenz_jax(p: Any) -> Any:
    m, h = jax.numpy, 0.01

    def slope(s: Any) -> Any:
        x, y, z = s
        return m.stack([p[0] * (y - x), x * (p[1] - z) - y, x * y - p[2] * z])

    def step(s: Any, _: Any) -> Any:
        return s + h * slope(s + h / 2 * slope(s)), None

    return jax.lax.scan(step, m.ones(3), None, length=100)[0]


def _heat_jax(u: Any) -> Any:
    m = jax.numpy

    def step(u: Any, _: Any) -> Any:
        return u + 0.2 * (m.roll(u, 1) - 2 * u + m.roll(u, -1)) + 0.01 * u * (1 - u), None

    return m.sum(jax.lax.scan(step, u, None, length=50)[0] ** 2)


def _heat(u: Any) -> Any:
    """Return the heat equation in CasADi's names, which have no roll."""
    for _ in range(50):
        left, right = casadi.vertcat(u[-1], u[:-1]), casadi.vertcat(u[1:], u[0])
        u = u + 0.2 * (left - 2 * u + right) + 0.01 * u * (1 - u)
    return casadi.sum1(u**2)


# --------------------------------------------------------------------------------------------------- libraries


def _ours(p: Program) -> Calls:
    operator = {"grad": dd.grad, "jacobian": dd.jacobian, "hessian": dd.hessian}[p.wanted.split()[-1]]
    options = {"sparse": True} if p.wanted.startswith("sparse") else {}
    derivative = operator(lambda x: p.call(np, np.asarray, x), **options)
    return {"dualdiff": lambda: derivative(p.x)}


def _differences(p: Program) -> Calls:
    from scipy.optimize._numdiff import approx_derivative

    if p.wanted not in ("grad", "jacobian") or np.size(p.x) > 300:
        return {}
    return {"2-point": lambda: approx_derivative(lambda x: p.call(np, np.asarray, x), p.x, method="2-point")}


def _jax(p: Program) -> Calls:
    if p.wanted.startswith("sparse") and np.size(p.x) > 1000:
        return {}
    m = jax.numpy
    operator = {
        "grad": jax.grad,
        "jacobian": jax.jacfwd if np.size(p.x) <= 200 else jax.jacrev,
        "hessian": jax.hessian,
    }[p.wanted.split()[-1]]
    derivative = operator(p.jax or (lambda x: p.call(m, m.asarray, x)))
    compiled = jax.jit(derivative)
    calls = {"JAX": lambda: np.asarray(compiled(p.x))}
    if np.size(p.x) <= 10:
        calls["JAX, no jit"] = lambda: np.asarray(derivative(m.asarray(p.x)))
    return calls


def _torch(p: Program) -> Calls:
    if p.wanted.startswith("sparse") and np.size(p.x) > 1000:
        return {}

    def f(x: Any) -> Any:
        return p.call(torch, torch.from_numpy, x)

    def backward() -> Any:
        x = torch.from_numpy(p.x).requires_grad_()
        f(x).backward()
        return x.grad.numpy()

    if p.wanted == "grad":
        return {"PyTorch": backward}
    func, there = torch.func, torch.autograd.functional
    ways = {
        "func.hessian": lambda x: func.hessian(f)(x),
        "functional.hessian": lambda x: there.hessian(f, x),
    }
    if not p.wanted.endswith("hessian"):
        ways = {
            "func.jacfwd": lambda x: func.jacfwd(f)(x),
            "func.jacrev": lambda x: func.jacrev(f)(x),
            "functional.jacobian": lambda x: there.jacobian(f, x),
        }
        if np.size(p.x) > 200:
            del ways["func.jacfwd"]
    return {f"PyTorch: {k}": lambda way=way: way(torch.from_numpy(p.x)).numpy() for k, way in ways.items()}


def _autograd(p: Program) -> Calls:
    if p.wanted.startswith("sparse") and np.size(p.x) > 1000:
        return {}
    operator = {"grad": autograd.grad, "jacobian": autograd.jacobian, "hessian": autograd.hessian}
    derivative = operator[p.wanted.split()[-1]](lambda x: p.call(autograd.numpy, np.asarray, x))
    return {"autograd": lambda: derivative(p.x)}


def _advect(p: Program) -> Calls:
    if p.wanted.startswith("sparse") and np.size(p.x) > 1000:
        return {}

    def f(x: Any) -> Any:
        return p.call(np, np.asarray, x)

    if p.wanted == "grad":
        derivative = advect.grad(f)
        staged = []

        def replay() -> Any:
            if not staged:
                staged.append(advect.grad(advect.stage(f, p.x)))
            return staged[0](p.x)

        return {"advect": lambda: derivative(p.x), "advect, staged": replay}
    derivative = {"jacobian": advect.jacobian, "hessian": advect.hessian}[p.wanted.split()[-1]](f)
    return {"advect": lambda: derivative(p.x)}


def _casadi(p: Program) -> Calls:
    names = SimpleNamespace(
        sum=casadi.sum1,
        exp=casadi.exp,
        sin=casadi.sin,
        tanh=casadi.tanh,
        stack=lambda xs: casadi.vertcat(*xs),
        concatenate=lambda xs: casadi.vertcat(*xs),
    )
    kept: list[Any] = []

    def made() -> Any:
        x = (casadi.MX if p.matrices else casadi.SX).sym("x", np.size(p.x))
        y = p.casadi(x) if p.casadi else p.call(names, casadi.DM, x)
        if p.wanted.endswith("hessian"):
            return casadi.Function("d", [x], [casadi.hessian(y, x)[0]])
        return casadi.Function("d", [x], [casadi.gradient(y, x) if p.wanted == "grad" else casadi.jacobian(y, x)])

    def call() -> Any:
        if not kept:
            kept.append(made())
        y = kept[0](p.x)
        if p.wanted.startswith("sparse"):
            return y.sparse()
        return y.full().ravel() if p.wanted == "grad" else y.full()

    return {"CasADi": call}


LIBRARIES: dict[str, tuple[Any, Callable[[Program], Calls]]] = {
    "PyTorch": (torch, _torch),
    "autograd": (autograd, _autograd),
    "advect": (advect, _advect),
    "JAX": (jax, _jax),
    "CasADi": (casadi, _casadi),
    "differences": (np, _differences),
}
COLUMNS = ("PyTorch", "autograd", "advect", "advect, staged", "JAX", "JAX, no jit", "CasADi", "2-point")


# -------------------------------------------------------------------------------------------------- measuring


def _dense(j: Any) -> Any:
    return j.toarray() if hasattr(j, "toarray") else np.asarray(j)


def _first(call: Callable[[], Any]) -> tuple[Any, float]:
    start = perf_counter()
    answer = call()
    return answer, perf_counter() - start


def medians(calls: Calls, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median processor time of a run of each call, in turns: others use the machine, and their time is not ours."""
    found = interleaved(calls, rounds=rounds, block=BLOCK, clock=process_time)
    return {name: times.median for name, times in found.items()}


_measured: list[tuple[Program, dict[str, float], dict[str, float]]] = []


def _all() -> list[tuple[Program, dict[str, float], dict[str, float]]]:
    """Measure every program once; the two tables show the same run."""
    if _measured:
        return _measured
    for p in programs():
        calls = _ours(p)
        for name, (module, made) in LIBRARIES.items():
            if module is not None and name not in p.leave_out:
                calls |= made(p)
        firsts: dict[str, float] = {}
        expected: Any = None
        for name, call in calls.items():
            answer, firsts[name] = _first(call)
            if expected is None:
                expected = answer
            elif np.size(p.x) <= 10**4 or not p.wanted.startswith("sparse"):
                scale = np.max(np.abs(_dense(expected)))
                tolerance = 1e-5 if name == "2-point" else 1e-8
                np.testing.assert_allclose(
                    _dense(answer).reshape(_dense(expected).shape),
                    _dense(expected),
                    rtol=tolerance,
                    atol=tolerance * scale,
                    err_msg=f"{p.name}: {name}",
                )
            else:
                difference = abs(answer - expected)
                assert difference.nnz == 0 or difference.max() < 1e-8, f"{p.name}: {name}"
        _measured.append((p, _best(firsts), _best(medians(calls))))
    return _measured


def _best(times: dict[str, float]) -> dict[str, float]:
    """Return one time for each library: that of the fastest of its ways."""
    libraries = dict.fromkeys(name.partition(":")[0] for name in times)
    return {c: min(t for name, t in times.items() if name.partition(":")[0] == c) for c in libraries}


def peers() -> list[Row]:
    """Ours over theirs, later calls: processor time, medians of interleaved turns (below 1: ours is faster)."""
    rows: list[Row] = []
    for p, _, times in _all():
        row: Row = {"what": p.name, "ours, ms": times["dualdiff"] * 1e3}
        rows.append(row | {f"/{c}": times["dualdiff"] / times[c] if c in times else None for c in COLUMNS})
    return rows


def first_calls() -> list[Row]:
    """First calls in milliseconds on the clock: tracing, choosing, compiling, expressions built."""
    return [
        {"what": p.name} | {c: firsts[c] * 1e3 if c in firsts else None for c in ("dualdiff", *COLUMNS)}
        for p, firsts, _ in _all()
    ]


def versions() -> list[Row]:
    """What was compared."""
    names = ("numpy", "scipy", "torch", "autograd", "advect", "jax", "casadi")
    modules = {"torch": torch, "autograd": autograd, "advect": advect, "jax": jax, "casadi": casadi}
    return [{"library": n, "version": version(n) if modules.get(n, np) is not None else None} for n in names]


SECTIONS: dict[str, Callable[[], list[Row]]] = {"peers": peers, "peers-first": first_calls, "peers-versions": versions}
