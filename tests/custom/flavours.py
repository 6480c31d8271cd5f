"""One function for every way to give a rule, at a point; the laws hold for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

import dualdiff as dd

RNG = np.random.default_rng(7)
X = RNG.uniform(0.5, 1.5, 4)
Y = RNG.uniform(0.5, 1.5, 4)
M = RNG.uniform(0.5, 1.5, (3, 4))
A = RNG.normal(size=(3, 4))
S = RNG.normal(size=(4, 4)) + 4 * np.eye(4)
K = [1.0, 2.0, 3.0]


def compiled(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes plain numbers only, as compiled code does."""

    def looks(a: Any) -> None:
        for b in a if isinstance(a, tuple) else (a,):
            if type(b) not in (np.ndarray, float, np.float64, np.float32):
                raise TypeError(f"compiled code takes arrays, not {type(b)}")

    def g(*args: Any) -> Any:
        for a in args:
            looks(a)
        return f(*args)

    return g


@dd.custom_jvp
def forward(x: Any, y: Any) -> Any:
    return np.sin(x) * y


@forward.defjvp
def _forward_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    return forward(x, y), np.cos(x) * dx * y + np.sin(x) * dy


by_argument = dd.custom_jvp(lambda x, y: np.sin(x) * y)
by_argument.defjvps(lambda dx, out, x, y: np.cos(x) * dx * y, lambda dy, out, x, y: np.sin(x) * dy)

reverse = dd.custom_vjp(lambda x, y: np.sin(x) * y)
reverse.defvjp(
    lambda x, y: (reverse(x, y), (np.cos(x), np.sin(x), y)), lambda kept, g: (kept[0] * g * kept[2], kept[1] * g)
)

powers = dd.custom_vjp(lambda n, x: x**n, nondiff_argnums=(0,))
powers.defvjp(lambda n, x: (powers(n, x), x), lambda n, x, g: (n * x ** (n - 1) * g,))

FLAVOURS: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "partials": (
        dd.primitive(lambda x, y: x * np.sin(y), partials=(lambda x, y: np.sin(y), lambda x, y: x * np.cos(y))),
        (M, Y),
        {},
    ),
    "partial of the result": (dd.primitive(np.exp, partials=lambda x, out: out), (M,), {}),
    "partial with a parameter by position": (
        dd.primitive(lambda x, n: x**n, partials=lambda x, n: n * x ** (n - 1)),
        (M, 3),
        {},
    ),
    "partial with a keyword": (
        dd.primitive(lambda x, *, n: x**n, partials=lambda x, n: n * x ** (n - 1)),
        (M,),
        {"n": 3},
    ),
    "partial of one of two": (dd.primitive(lambda x, y: x * y, partials=(lambda x, y: y, None)), (X, Y), {}),
    "constant partials": (dd.primitive(lambda x, y: x + 2 * y, partials=(1, 2.0)), (M, Y), {}),
    "partial of a number": (dd.primitive(lambda x: x * x, partials=lambda x: 2 * x), (0.7,), {}),
    "partial, complex operands": (dd.primitive(np.exp, partials=np.exp), (X + 1j * Y,), {}),
    "jvp": (
        dd.primitive(
            lambda A, b: np.linalg.solve(A, b), jvp=lambda p, t, out: np.linalg.solve(p[0], t[1] - t[0] @ out)
        ),
        (S, Y),
        {},
    ),
    "jvp of a number": (dd.primitive(lambda x: x * x, jvp=lambda p, t: 2 * p[0] * t[0]), (0.7,), {}),
    "jvp of several results": (
        dd.primitive(
            lambda x, y: (np.sin(x) * y.sum(), {"s": (x * x).sum()}),
            jvp=lambda p, t: (
                np.cos(p[0]) * t[0] * p[1].sum() + np.sin(p[0]) * t[1].sum(),
                {"s": (2 * p[0] * t[0]).sum()},
            ),
        ),
        (X, Y),
        {},
    ),
    "jvp of a structure": (
        dd.primitive(
            lambda d: d["a"] * d["b"][0], jvp=lambda p, t: t[0]["a"] * p[0]["b"][0] + p[0]["a"] * t[0]["b"][0]
        ),
        ({"a": X, "b": [Y]},),
        {},
    ),
    "jvp, complex operands": (
        dd.primitive(lambda z: np.abs(z) ** 2, jvp=lambda p, t: 2 * np.real(np.conj(p[0]) * t[0])),
        (X + 1j * Y,),
        {},
    ),
    "jvp of nothing": (dd.primitive(np.sin, jvp=lambda p, t: np.cos(p[0]) * t[0]), (np.zeros((0, 3)),), {}),
    "jvp of compiled code": (
        dd.primitive(lambda x: np.sin(x).cumsum(), jvp=compiled(lambda p, t: (np.cos(p[0]) * t[0]).cumsum())),
        (X,),
        {},
    ),
    "jvp with a pattern": (
        dd.primitive(
            lambda x: np.convolve(x, K, "same") ** 2,
            jvp=lambda p, t: 2 * np.convolve(p[0], K, "same") * np.convolve(t[0], K, "same"),
            pattern=scipy.sparse.diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(4, 4)),
        ),
        (X,),
        {},
    ),
    "vjp": (dd.primitive(lambda x: np.linalg.norm(x), vjp=lambda p, w, out: w * p[0] / out), (M,), {}),
    "vjp of several results": (
        dd.primitive(lambda x: (np.sin(x), (x * x).sum()), vjp=lambda p, w: w[0] * np.cos(p[0]) + w[1] * 2 * p[0]),
        (X,),
        {},
    ),
    "vjp, complex operands": (
        dd.primitive(
            lambda z: z.cumsum() ** 2,
            vjp=lambda p, w: np.cumsum((w * np.conj(2 * p[0].cumsum()))[::-1])[::-1],
        ),
        (X + 1j * Y,),
        {},
    ),
    "vjp of compiled code": (
        dd.primitive(lambda x: np.sin(x).sum(), vjp=compiled(lambda p, w: w * np.cos(p[0]))),
        (X,),
        {},
    ),
    "linear": (dd.primitive(lambda x: A @ x, rmatvec=lambda g: A.T @ g), (X,), {}),
    "linear, compiled": (
        dd.primitive(compiled(lambda x: A @ x), rmatvec=compiled(lambda g: A.T @ g)),
        (X,),
        {},
    ),
    "linear in two": (
        dd.primitive(lambda x, y: A @ x + y[:3], rmatvec=lambda g: (A.T @ g, np.concatenate([g, [0.0]]))),
        (X, Y),
        {},
    ),
    "linear in two, compiled": (
        dd.primitive(
            compiled(lambda x, y: A @ x + y[:3]),
            rmatvec=compiled(lambda g: (A.T @ g, np.concatenate([g, [0.0]]))),
        ),
        (X, Y),
        {},
    ),
    "black box, differences": (
        dd.primitive(compiled(lambda x, y: np.sin(x) * y.sum()), derivative="difference"),
        (X, Y),
        {},
    ),
    "black box, differences, entry by entry": (
        dd.primitive(lambda x, y: compiled(np.multiply)(np.sin(x), y), derivative="difference", pattern="elementwise"),
        (M, Y),
        {},
    ),
    "black box, differences, float32": (
        dd.primitive(compiled(np.sin), derivative="difference"),
        (X.astype(np.float32),),
        {},
    ),
    "black box, differences, complex operands": (
        dd.primitive(lambda z: np.exp(z) * np.conj(z), derivative="difference"),
        (X + 1j * Y,),
        {},
    ),
    "black box, complex step": (
        dd.primitive(lambda x, y: np.sin(x) * y.sum(), derivative="complex-step"),
        (X, Y),
        {},
    ),
    "black box, complex step, entry by entry": (
        dd.primitive(lambda x, y: np.sin(x) * y, derivative="complex-step", pattern="elementwise"),
        (M, Y),
        {},
    ),
    "black box, complex step, float32": (
        dd.primitive(np.sin, derivative="complex-step"),
        (X.astype(np.float32),),
        {},
    ),
    "custom_jvp": (forward, (X, Y), {}),
    "custom_jvp by argument": (by_argument, (X, Y), {}),
    "custom_vjp": (reverse, (X, Y), {}),
    "custom_vjp with a parameter": (powers, (3, X), {}),
    "checkpoint": (dd.checkpoint(lambda x, y: (np.sin(x) * y, (x * y).sum())), (X, Y), {}),
}
#: those whose rules are NumPy, so that second derivatives follow
SECOND_ORDER = {
    n for n in FLAVOURS if not n.startswith("black box") and n not in ("jvp of compiled code", "vjp of compiled code")
}
