"""What is measured: the Python cost of an operation, large arrays, dual numbers, the choice, filling arrays."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import least_squares

import dualdiff as dd
from dualdiff.lab.timing import interleaved_minima

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None
try:
    import autograd
except ImportError:
    autograd = None

Row = dict[str, Any]


def _repeat(step: Callable[[Any], Any], times: int) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        for _ in range(times):
            x = step(x)
        return x

    return run


def _torch_pull(f: Callable[[Any], Any], x: Any, w: Any) -> Callable[[], Any]:
    seed = torch.tensor(w, dtype=torch.float64)

    def run() -> Any:
        t = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        f(t).backward(seed)
        return t.grad

    return run


def overhead() -> list[Row]:
    """Recorded and swept operations through four doors: microseconds, and the ratio to PyTorch eager and autograd."""
    n = 300
    scalar = np.float64(0.999)
    doors: dict[str, tuple[Any, Any, Any]] = {
        "operator y * c": (lambda y: y * 0.999, lambda y: y * 0.999, lambda y: y * 0.999),
        "operator y * y": (lambda y: y * y, lambda y: y * y, lambda y: y * y),
        "reflected np.float64 * y": (lambda y: scalar * y, lambda y: 0.999 * y, lambda y: scalar * y),
        "ufunc np.negative": (np.negative, torch and torch.neg, autograd and autograd.numpy.negative),
        "ufunc np.sin": (np.sin, torch and torch.sin, autograd and autograd.numpy.sin),
        "array function np.reshape": (
            lambda y: np.reshape(y, y.shape),
            lambda y: y.reshape(y.shape),
            autograd and (lambda y: autograd.numpy.reshape(y, y.shape)),
        ),
    }
    if autograd is not None:
        import autograd.numpy as anp

        doors["ufunc np.sin"] = (np.sin, torch and torch.sin, anp.sin)
        doors["ufunc np.negative"] = (np.negative, torch and torch.neg, anp.negative)
        doors["array function np.reshape"] = (
            lambda y: np.reshape(y, y.shape),
            lambda y: y.reshape(y.shape),
            lambda y: anp.reshape(y, y.shape),
        )
    rows = []
    for size in (0, 10):
        for name, (ours, theirs, peers) in doors.items():
            if not size and "array function" in name:
                continue
            x, w = (1.0, 1.0) if not size else (np.ones(size), np.ones(size))
            f = _repeat(ours, n)
            calls = {"dualdiff": lambda f=f, x=x, w=w: dd.vjp(f, x)[1](w)}
            if torch is not None:
                calls["torch"] = _torch_pull(_repeat(theirs, n), x, w)
            if autograd is not None:
                g = _repeat(peers, n)
                calls["autograd"] = lambda g=g, x=x, w=w: autograd.make_vjp(g)(x)[0](w)
            t = interleaved_minima(calls)
            row: Row = {
                "what": f"{name}, {'scalar' if not size else f'{size} elements'}",
                "us": t["dualdiff"] / n * 1e6,
            }
            for peer in list(t)[1:]:
                row[f"/{peer}"] = t["dualdiff"] / t[peer]
            rows.append(row)
    return rows


def arrays() -> list[Row]:
    """Large arrays: 20 operations recorded and swept, ratio to PyTorch eager (one thread) or to the bare NumPy calls."""
    n, rows = 20, []
    rng = np.random.default_rng(0)
    for size in (10**3, 10**4, 10**5, 10**6):
        x, w = 1 + 0.1 * rng.random(size), np.ones(size)
        steps: dict[str, tuple[Any, Any]] = {
            "+": (lambda y, x: y + x, None),
            "-": (lambda y, x: y - x, None),
            "*": (lambda y, x: y * x, None),
            "/": (lambda y, x: y / x, None),
            "sqrt": (lambda y, x: np.sqrt(y), lambda y, x: torch.sqrt(y)),
        }
        for name, (ours, theirs) in steps.items():
            if torch is None:
                break

            def f(x: Any, step: Any = ours) -> Any:
                return _repeat(lambda y: step(y, x), n)(x)

            def g(x: Any, step: Any = theirs or ours) -> Any:
                return _repeat(lambda y: step(y, x), n)(x)

            t = interleaved_minima(
                {"dualdiff": lambda f=f, x=x, w=w: dd.vjp(f, x)[1](w), "torch": _torch_pull(g, x, w)}, rounds=5
            )
            rows.append({"what": f"{name}, {size:,} elements", "/torch": t["dualdiff"] / t["torch"]})
        for name, step, partial in (
            ("exp(-y)", lambda y: np.exp(-y), lambda z, y: -z),
            ("sin", np.sin, lambda z, y: np.cos(y)),
            ("tanh", np.tanh, lambda z, y: 1 - z * z),
        ):

            def hand(step: Any = step, partial: Any = partial, x: Any = x, w: Any = w) -> Any:
                kept, y, g = [], x, w
                for _ in range(n):
                    z = step(y)
                    kept.append((z, y))
                    y = z
                for z, y in reversed(kept):
                    g = g * partial(z, y)
                return g

            f = _repeat(step, n)
            t = interleaved_minima({"dualdiff": lambda f=f, x=x, w=w: dd.vjp(f, x)[1](w), "hand": hand}, rounds=5)
            rows.append({"what": f"{name}, {size:,} elements", "/bare NumPy": t["dualdiff"] / t["hand"]})
    return rows


def duals() -> list[Row]:
    """Jacobians by dual numbers: ratio to the hand-written Jacobian and to SciPy's 2-point differences."""
    from scipy.optimize._numdiff import approx_derivative

    t = np.linspace(0, 5, 1000)

    def curve(b: Any) -> Any:
        return b[0] * np.exp(-b[1] * t) + b[2] + b[3] * t

    def curve_by_hand(b: Any) -> Any:
        e = np.exp(-b[1] * t)
        return np.stack([e, -b[0] * t * e, np.ones_like(t), t], axis=1)

    def three(x: Any) -> Any:
        a, b, c = x
        return np.array([a * b, np.sin(c) + a, b * c - a * a])

    rows = []
    for name, f, x, hand in (
        ("curve, 4 parameters, 1000 residuals", curve, np.array([2.0, 0.5, 1.0, 0.1]), curve_by_hand),
        ("3 inputs, 3 outputs", three, np.array([1.0, 2.0, 3.0]), None),
    ):
        j = dd.jacobian(f)
        calls = {
            "dualdiff": lambda j=j, x=x: j(x),
            "2-point": lambda f=f, x=x: approx_derivative(f, x, method="2-point"),
        }
        if hand is not None:
            calls["hand"] = lambda hand=hand, x=x: hand(x)
        calls["f"] = lambda f=f, x=x: f(x)
        times = interleaved_minima(calls, rounds=25)
        rows.append(
            {"what": name, "us": times["dualdiff"] * 1e6}
            | {f"/{k}": times["dualdiff"] / v for k, v in times.items() if k != "dualdiff"}
        )
    return rows


def shapes() -> dict[str, tuple[Any, Any]]:
    """Return the functions on which the choice is measured."""
    rng = np.random.default_rng(1)
    a, w1, w2 = rng.standard_normal((200, 10)), rng.standard_normal((5, 2000)), rng.standard_normal((100, 100)) / 10
    t = np.linspace(0, 5, 1000)

    def tall(x: Any) -> Any:
        return np.tanh(a @ x) + np.exp(-((a @ x) ** 2))

    def curve(b: Any) -> Any:
        return b[0] * np.exp(-b[1] * t) + b[2] + b[3] * t

    def wide(x: Any) -> Any:
        return np.tanh(w1 @ np.sin(x))

    def scalar(x: Any) -> Any:
        return np.sum(np.sin(x) * x)

    def square(x: Any) -> Any:
        return np.tanh(w2 @ np.tanh(w2 @ x))

    def loop(x: Any) -> Any:
        y, z = x[0], x[1]
        for i in range(100):
            y, z = y * 0.9 + z * x[i % 8], np.sin(z) + 0.1 * y
        return y * z

    def ode(x: Any) -> Any:
        s = x[:3]
        for _ in range(20):
            ds = np.stack([10 * (s[1] - s[0]), s[0] * (x[3] - s[2]) - s[1], s[0] * s[1] - x[4] * s[2]])
            s = s + 0.01 * ds
        return s

    return {
        "tall 10 -> 200": (tall, rng.standard_normal(10) / 3),
        "curve 4 -> 1000": (curve, np.array([2.0, 0.5, 1.0, 0.1])),
        "wide 2000 -> 5": (wide, rng.standard_normal(2000)),
        "scalar 1000 -> 1": (scalar, rng.standard_normal(1000)),
        "square 100 -> 100": (square, rng.standard_normal(100)),
        "scalar loop 8 -> 1": (loop, rng.standard_normal(8) / 3),
        "ODE steps 5 -> 3": (ode, np.array([1.0, 1.0, 1.0, 28.0, 2.667])),
    }


def choice() -> list[Row]:
    """The choice: time of auto over the better of jacfwd and jacrev (decision cached, as from the second call on)."""
    rows = []
    for name, (f, x) in shapes().items():
        ways = {"auto": dd.jacobian(f), "forward": dd.jacfwd(f), "reverse": dd.jacrev(f)}
        t = interleaved_minima({k: (lambda j=j, x=x: j(x)) for k, j in ways.items()}, rounds=9)
        best = min(t["forward"], t["reverse"])
        rows.append(
            {
                "what": name,
                "auto/best": t["auto"] / best,
                "forward/best": t["forward"] / best,
                "reverse/best": t["reverse"] / best,
                "chosen": dd.jacobian(f).explain(x).chosen,
            }
        )
    return rows


def filling() -> list[Row]:
    """Filling an array entry by entry against np.stack of the same entries: ratio of the times."""

    def filled(x: Any) -> Any:
        y = np.zeros_like(x)
        for i in range(len(x)):
            y[i] = x[i] ** 2
        return y

    def stacked(x: Any) -> Any:
        return np.stack([x[i] ** 2 for i in range(len(x))])

    rows = []
    for n in (10**4, 10**5):
        x, w = np.linspace(1, 2, n), np.ones(n)
        calls = {}
        for name, f in (("filled", filled), ("stacked", stacked)):
            calls[f"record {name}"] = lambda f=f, x=x: dd.vjp(f, x)
            pullback = dd.vjp(f, x)[1]
            calls[f"pull {name}"] = lambda p=pullback, w=w: p(w)
            calls[f"push {name}"] = lambda f=f, x=x, w=w: dd.jvp(f, (x,), (w,))
        t = interleaved_minima(calls, rounds=5)
        rows.append(
            {"what": f"n = {n:,}"} | {s: t[f"{s} filled"] / t[f"{s} stacked"] for s in ("record", "pull", "push")}
        )
    return rows


def fits() -> list[Row]:
    """A whole least-squares fit (curve, 4 parameters, 1000 residuals): exact Jacobian over SciPy's 2-point."""
    t = np.linspace(0, 5, 1000)
    y = 2 * np.exp(-0.5 * t) + 1 + 0.1 * t

    def residual(b: Any) -> Any:
        return b[0] * np.exp(-b[1] * t) + b[2] + b[3] * t - y

    start = np.array([1.0, 1.0, 0.0, 0.0])
    j = dd.jacobian(residual)
    times = interleaved_minima(
        {
            "exact": lambda: least_squares(residual, start, jac=j, method="lm"),
            "2-point": lambda: least_squares(residual, start, method="lm"),
        }
    )
    return [{"what": "least_squares, lm", "exact/2-point": times["exact"] / times["2-point"]}]


_ALLOCATOR = """
import numpy as np, dualdiff as dd
from dualdiff.lab.timing import interleaved_minima
def power(x):
    y = x
    for _ in range(50):
        y = y * x
    return y
for n in (10**5, 10**6):
    x, w = np.full(n, 1.0), np.ones(n)
    print(interleaved_minima({"us": lambda: dd.vjp(power, x)[1](w)}, rounds=5)["us"])
"""


def allocator() -> list[Row]:
    """50 multiplications recorded and swept in a fresh process: freed memory kept (the default), over given back."""
    times = {
        state: [
            float(line)
            for line in subprocess.run(
                [sys.executable, "-c", _ALLOCATOR],
                capture_output=True,
                text=True,
                check=True,
                env=os.environ | {"DUALDIFF_KEEP_FREED_MEMORY": kept},
            ).stdout.split()
        ]
        for state, kept in (("given back", "0"), ("kept", "1"))
    }
    return [
        {"what": f"{n:,} elements", "kept/given back": kept / given_back}
        for n, kept, given_back in zip((10**5, 10**6), times["kept"], times["given back"], strict=True)
    ]


SECTIONS: dict[str, Callable[[], list[Row]]] = {
    "overhead": overhead,
    "arrays": arrays,
    "allocator": allocator,
    "duals": duals,
    "choice": choice,
    "filling": filling,
    "fits": fits,
}
