"""Programs that repeat: a recorded integrator, and random lists of operations."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import dualdiff as dd
from dualdiff.passes.program import Form, Slot, program_of
from dualdiff.passes.scalars import Scalars, expanded
from dualdiff.tape import Recording
from dualdiff.trees import flatten

MOST = 1 << 20
PYTHON: dict[Any, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv, "negative": operator.neg,
    "sin": math.sin, "cos": math.cos, "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "tanh": math.tanh,
    "absolute": abs, "less": operator.lt, "less_equal": operator.le, "greater": operator.gt, "greater_equal": operator.ge,
    "equal": operator.eq, "not_equal": operator.ne, "logical_not": operator.not_, "logical_and": lambda a, b: a and b,
    "logical_or": lambda a, b: a or b, "maximum": lambda a, b: a if a >= b or a != a else b,
    "minimum": lambda a, b: a if a <= b or a != a else b, "where": lambda c, a, b: a if c else b, "isfinite": math.isfinite,
    "reciprocal": lambda a: 1.0 / a, "power": math.pow, "all": lambda *a: all(a), "number": float,
}  # fmt: skip


def program_of_arrays(f: Callable[..., Any], *args: Any) -> Any:
    """Return the program that compiling a function makes."""
    compiled: Any = dd.compile(f, backend="numpy", check_every=None)
    compiled(*args)
    return compiled._variant(args, {}).program


def scalars_of(f: Callable[..., Any], *args: Any) -> tuple[Any, Scalars]:
    """Record a function, and return its program and that as operations on numbers."""
    tape = Recording()
    try:
        values = flatten(f(*[tape.add_input(x) for x in args]))[0]
    finally:
        tape.close()
    slots = [Slot(v.mark) if getattr(v, "run", None) is tape else v for v in values]
    program = program_of(tape, args, slots, flatten(f(*args))[0])
    return program, expanded(program, MOST)


def lorenz(steps: int) -> Callable[[Any], Any]:
    def slope(y: Any, p: Any) -> Any:
        return np.stack([p[0] * (y[1] - y[0]), y[0] * (p[1] - y[2]) - y[1], y[0] * y[1] - p[2] * y[2]])

    def final(z: Any) -> Any:
        y, p, h = z[:3], z[3:], 0.005
        for _ in range(steps):
            k1 = slope(y, p)
            k2 = slope(y + h / 2 * k1, p)
            k3 = slope(y + h / 2 * k2, p)
            k4 = slope(y + h * k3, p)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return y

    return final


START = np.array([1.0, 1.0, 1.0, 10.0, 28.0, 8 / 3])


@dataclass(frozen=True)
class Made:
    """A list of operations as a graph, and how it was made."""

    scalars: Scalars
    period: int
    count: int


BINARY = ("add", "multiply", "subtract", "maximum")
NAMES = (*BINARY, "sin", "cos", "negative")


@st.composite
def periodic(draw: Any) -> Made:
    """Draw a list that repeats after a beginning and before an end: operands of every kind that loops know, and constants."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    period, count = draw(st.integers(1, 40)), draw(st.integers(3, 60))
    before, after = draw(st.integers(0, 60)), draw(st.integers(0, 60))
    data = count if draw(st.booleans()) else 1
    operations: list[tuple[Any, ...]] = [("input", 0, k) for k in range(3)]
    operations += [("input", 1, k) for k in range(2 * count)]
    operations += [("constant", x, x.hex()) for x in map(float, range(data + 2))]
    table = 3 + 2 * count

    def any_of(n: int) -> tuple[Any, ...]:
        name = NAMES[random.integers(len(NAMES))]
        operands = random.integers(0, n, 2 if name in BINARY else 1)
        return (name, *operands.tolist())

    for _ in range(before):
        operations.append(any_of(len(operations)))
    start = len(operations)
    body = []
    for j in range(period):
        name = NAMES[random.integers(len(NAMES))]
        operands = []
        for _ in range(2 if name in BINARY else 1):
            kind = random.integers(6)
            if kind == 0 and j:
                operands.append(("same", int(random.integers(j))))
            elif kind <= 2:
                operands.append(("carried", int(random.integers(period)), int(random.integers(1, 4))))
            elif kind == 3:
                operands.append(("fixed", int(random.integers(start))))
            elif kind == 4:
                operands.append(("input", int(random.integers(2)), int(random.integers(count))))
            else:
                operands.append(("table", int(random.integers(2))))
        body.append((name, operands))
    for r in range(count):
        for name, operands in body:
            given = []
            for kind, *of in operands:
                if kind == "same":
                    given.append(start + r * period + of[0])
                elif kind == "carried":
                    given.append(start + (r - of[1]) * period + of[0] if r >= of[1] else of[0] % start)
                elif kind == "fixed":
                    given.append(of[0])
                elif kind == "input":
                    given.append(3 + of[0] * r + of[1])
                else:
                    given.append(table + of[0] + (r * 7) % data)
            operations.append((name, *given))
    for _ in range(after):
        operations.append(any_of(len(operations)))
    last = len(operations)
    form = Form((4,), np.dtype(float), "array")
    outputs = [(form, (last - 1, last - 2, start, 0))]
    return Made(Scalars(operations, outputs, [], last, 0), period, count)
