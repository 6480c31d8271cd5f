"""Random programs: plain NumPy functions, drawn statement by statement, that print as their source.

A program is source text. Every statement makes a new variable (or writes into one) from earlier ones, so
subexpressions are shared; shapes are known while it is drawn, so that broadcasting, indices and axes fit.
A bound on the size of every variable keeps the values in the domains and the numbers sane.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dualdiff.passes.elimination import Graph
from dualdiff.register import REGISTER

Shape = tuple[int, ...]
LARGE = 6.0  # above this a variable goes through tanh before it is used again


@dataclass(frozen=True)
class Program:
    """A function of arrays. Calling it runs the source; printing it shows the source and the point."""

    source: str
    point: tuple[Any, ...]
    features: frozenset[str] = frozenset()

    def __call__(self, *args: Any) -> Any:
        return _compiled(self.source)(*args)

    def __repr__(self) -> str:
        point = ", ".join(np.array2string(np.asarray(x), separator=", ", floatmode="unique") for x in self.point)
        return f"\n{self.source}\nat {point}"


_cache: dict[str, Any] = {}


def _compiled(source: str) -> Any:
    if source not in _cache:
        if len(_cache) > 1000:
            _cache.clear()
        space: dict[str, Any] = {"np": np}
        exec(compile(source, "<program>", "exec"), space)
        _cache[source] = space["f"]
    return _cache[source]


#: expression with {x}, and a bound on its size from that on x
UNARY: dict[str, tuple[Any, str, Any]] = {
    "sin": (np.sin, "np.sin({x})", lambda b: 1),
    "cos": (np.cos, "np.cos({x})", lambda b: 1),
    "tanh": (np.tanh, "np.tanh({x})", lambda b: 1),
    "arctan": (np.arctan, "np.arctan({x})", lambda b: 1.6),
    "exp": (np.exp, "np.exp(-{x} * {x})", lambda b: 1),
    "sqrt": (np.sqrt, "np.sqrt({x} * {x} + 1)", lambda b: b + 1),
    "log": (np.log, "np.log({x} * {x} + 1)", lambda b: 2 * b),
    "log1p": (np.log1p, "np.log1p({x} ** 2)", lambda b: 2 * b),
    "square": (np.square, "np.square({x})", lambda b: b * b),
    "cube": (np.power, "{x} ** 3", lambda b: b**3),
    "reciprocal": (np.divide, "1 / ({x} * {x} + 1)", lambda b: 1),
    "negative": (np.negative, "-{x}", lambda b: b),
    "scaled": (np.multiply, "0.5 * {x} - 0.25", lambda b: b),
    "reflected": (np.subtract, "1.5 - {x}", lambda b: b + 1.5),
    "absolute": (np.absolute, "abs({x})", lambda b: b),
    "where": (np.where, "np.where({x} > 0.1, {x}, 0.2 * {x})", lambda b: b),
    "masked": (np.where, "np.where({x} > 0, np.sqrt(abs({x}) + 0.5), 0.0)", lambda b: b + 1),
    "maximum": (np.maximum, "np.maximum({x}, 0.3)", lambda b: b + 1),
    "clip": (np.clip, "np.clip({x}, -0.7, 0.9)", lambda b: 1),
}
BINARY: dict[str, tuple[Any, str, Any]] = {
    "add": (np.add, "{x} + {y}", lambda a, b: a + b),
    "subtract": (np.subtract, "{x} - {y}", lambda a, b: a + b),
    "multiply": (np.multiply, "{x} * {y}", lambda a, b: a * b),
    "divide": (np.divide, "{x} / ({y} * {y} + 1)", lambda a, b: a),
    "power": (np.power, "({x} * {x} + 0.5) ** np.tanh({y})", lambda a, b: a * a + 2),
    "minimum": (np.minimum, "np.minimum({x}, {y})", lambda a, b: max(a, b)),
    "hypot": (np.hypot, "np.hypot({x}, {y} * {y} + 1)", lambda a, b: a + b * b + 1),
    "arctan2": (np.arctan2, "np.arctan2({x}, {y} * {y} + 1)", lambda a, b: 1.6),
    "ufunc": (np.add, "np.add({x}, {y})", lambda a, b: a + b),
    "chosen": (np.where, "np.where({x} > {y}, {x} * {y}, {y})", lambda a, b: max(a * b, b)),
}
#: expression, bound, and whether it takes axis=
REDUCTIONS: dict[str, tuple[Any, str, Any]] = {
    "sum": (np.sum, "np.sum({x}{a})", lambda b, n: b * n),
    "mean": (np.mean, "np.mean({x}{a})", lambda b, n: b),
    "prod": (np.prod, "np.prod(np.tanh({x}){a})", lambda b, n: 1),
    "max": (np.max, "np.max({x}{a})", lambda b, n: b),
    "var": (np.var, "np.var({x}{a})", lambda b, n: b * b),
    "method": (np.sum, "{x}.sum({b})", lambda b, n: b * n),
}


def known(*functions: Any) -> bool:
    """Whether the register can differentiate all of these functions."""
    return all(f in REGISTER and REGISTER[f].handler is not None for f in functions)


@dataclass
class _Writer:
    draw: Any
    lines: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    bounds: dict[str, float] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)  # variables that own their memory and may be written to
    features: set[str] = field(default_factory=set)
    indent: str = "    "

    def say(self, line: str) -> None:
        self.lines.append(self.indent + line)

    def new(self, expression: str, shape: Shape, bound: float, owned: bool = True) -> str:
        name = f"v{len(self.names)}"
        if bound > LARGE:
            expression, bound = f"np.tanh({expression})", 1.0
        self.say(f"{name} = {expression}")
        self.names.append(name)
        self.shapes[name], self.bounds[name] = shape, max(bound, 0.5)
        if owned and shape:
            self.fresh.add(name)
        return name

    def pick(self, test: Any = lambda shape: True) -> str | None:
        fits = [n for n in self.names if test(self.shapes[n])]
        # Later variables first: a program is more than its first line.
        return self.draw(st.sampled_from(fits[::-1])) if fits else None

    def one(self, table: dict[str, Any]) -> Any:
        usable = [k for k, row in table.items() if known(row[0])]
        return table[self.draw(st.sampled_from(usable))]

    # -- statements; each returns False where it does not apply --------------------------------------
    def unary(self) -> None:
        x = self.pick()
        _, text, bound = self.one(UNARY)
        self.new(text.format(x=x), self.shapes[x], bound(self.bounds[x]))

    def binary(self) -> Any:
        x = self.pick()
        y = self.pick(lambda s: _broadcast(s, self.shapes[x]) is not None)
        if y is None:
            return False
        _, text, bound = self.one(BINARY)
        shape = _broadcast(self.shapes[x], self.shapes[y])
        if self.shapes[x] != self.shapes[y]:
            self.features.add("broadcasting")
        self.new(text.format(x=x, y=y), shape, bound(self.bounds[x], self.bounds[y]))

    def reduction(self) -> Any:
        x = self.pick(lambda s: len(s) > 0)
        if x is None:
            return False
        shape = self.shapes[x]
        _, text, bound = self.one(REDUCTIONS)
        axis = self.draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
        keep = self.draw(st.booleans())
        options = ([] if axis is None else [f"axis={axis}"]) + (["keepdims=True"] if keep else [])
        n = int(np.prod(shape)) if axis is None else shape[axis]
        left = tuple(
            [1 if keep else None for s in shape]
            if axis is None
            else [s if i != axis % len(shape) else (1 if keep else None) for i, s in enumerate(shape)]
        )
        self.features.add("reduction")
        self.new(
            text.format(x=x, a="".join(f", {o}" for o in options), b=", ".join(options)),
            tuple(s for s in left if s is not None),
            bound(self.bounds[x], n),
        )

    def index(self) -> Any:
        x = self.pick(lambda s: len(s) > 0)
        if x is None:
            return False
        text, shape = self.an_index(self.shapes[x])
        self.features.add("indexing")
        self.new(f"{x}[{text}]", shape, self.bounds[x], owned=False)

    def an_index(self, shape: Shape) -> tuple[str, Shape]:
        choices = ["0", "-1", "::-1", "1:", "...", "None", "[0, -1, 0]", "np.array([[0, 0]])", "..., None"]
        if len(shape) > 1:
            choices += [":, 0", ":, ::-1", "0, 1:", "[0, -1], [0, 0]", ":, [0, 0, -1]", "..., -1"]
        text = self.draw(st.sampled_from(choices))
        found = np.shape(eval(f"x[{text}]", {"x": np.zeros(shape), "np": np}))
        return ("...", shape) if 0 in found else (text, found)

    def view_write(self) -> Any:
        """Write into a view and go on with its base."""
        x = self.pick()
        if not self.shapes[x]:
            return False
        copy = self.new(f"{x}.copy()", self.shapes[x], self.bounds[x])
        view = self.draw(
            st.sampled_from(
                ["[::-1]", "[0]", "[-1:]", "[None]"]
                + ([".T"] if known(np.transpose) else [])
                + ([".reshape(-1)"] if known(np.reshape) else [])
            )
        )
        self.features.add("view")
        self.say(f"w{len(self.lines)} = {copy}{view}")
        w = self.lines[-1].split()[0]
        if eval(f"x{view}", {"x": np.zeros(self.shapes[x])}).shape:
            self.say(f"{w}[0] = np.sin({w}[-1])" if self.draw(st.booleans()) else f"{w} *= 0.5")
        self.bounds[copy] += 1

    def assign(self) -> Any:
        """Fill a new array, or write into one."""
        x = self.pick(lambda s: len(s) > 0)
        if x is None:
            return False
        shape = self.shapes[x]
        self.features.add("assignment")
        how = self.draw(st.sampled_from(["zeros", "copy", "augmented", "entry", "mask"]))
        if how == "zeros" and known(np.zeros_like):
            y = self.new(f"np.zeros_like({x})", shape, self.bounds[x])
            self.say(f"for i in range({shape[0]}):")
            self.say(f"    {y}[i] = {x}[i] * {x}[-1 - i] / {max(1.0, self.bounds[x])}")
            if self.draw(st.booleans()):
                self.say(f"    {y}[i] += 0.1 * {y}[0]")
            self.bounds[y] += 1
        elif how == "augmented":
            y = self.new(f"{x}.copy()", shape, self.bounds[x])
            z = self.pick(lambda s: _broadcast(s, shape) == shape) or "0.5"
            op = self.draw(st.sampled_from(["+=", "-=", "*="]))
            self.say(f"{y} {op} np.tanh({z})")
            self.bounds[y] += 1
        elif how == "mask" and known(np.greater):
            y = self.new(f"{x} * 1.0", shape, self.bounds[x])
            self.say(f"{y}[{y} > 0.2] = 0.2")
            self.say(f"{y}[{y} < 0] *= 0.5")
        elif how == "entry":
            y = self.new(f"{x}.copy()", shape, self.bounds[x])
            text, inner = self.an_index(shape)
            z = self.pick(lambda s: _broadcast(s, inner) == inner)
            if z is None or "None" in text or "[" in text:
                self.say(f"{y}[0] = 0.25")
            else:
                self.say(f"{y}[{text}] = np.cos({z})")
            self.bounds[y] += 1
        else:
            return False

    def branch(self) -> Any:
        """Decide by a traced value."""
        x = self.pick()
        c = self.pick(lambda s: s == ())
        if c is None:
            shape = self.shapes[x]
            c = f"{x}[{', '.join('0' * len(shape))}]"
        self.features.add("branch")
        name = f"v{len(self.names)}"
        self.say(f"if {c} > {self.draw(st.sampled_from([-0.4, 0.13, 0.6]))}:")
        self.say(f"    {name} = np.sin({x})")
        self.say("else:")
        self.say(f"    {name} = {x} * {x} / {max(1.0, self.bounds[x])}")
        self.names.append(name)
        self.shapes[name], self.bounds[name] = self.shapes[x], max(1.0, self.bounds[x])

    def loop(self) -> Any:
        x = self.pick()
        self.features.add("loop")
        name = f"v{len(self.names)}"
        self.say(f"{name} = {x}")
        self.say(f"for _ in range({self.draw(st.integers(1, 3))}):")
        self.say(
            f"    {name} = np.tanh({name} + 0.5 * {x})"
            if self.draw(st.booleans())
            else f"    {name} = {name} - 0.1 * {name} ** 2 / {1 + self.bounds[x] ** 2}"
        )
        self.names.append(name)
        self.shapes[name], self.bounds[name] = self.shapes[x], self.bounds[x] + 1

    def product(self) -> Any:
        if not known(np.matmul, np.transpose):
            return False
        x = self.pick(lambda s: len(s) > 0)
        if x is None:
            return False
        a = self.shapes[x]
        y = self.pick(lambda s: len(s) > 0 and a[-1] == s[-2 if len(s) > 1 else -1] and len(s) <= 2 and len(a) <= 2)
        if y is None:
            y, b = f"{x}.T", a[::-1]
            if len(a) > 2:
                return False
            bound = self.bounds[x]
        else:
            b, bound = self.shapes[y], self.bounds[y]
        self.features.add("matmul")
        self.new(f"{x} @ {y}", (np.zeros(a) @ np.zeros(b)).shape, self.bounds[x] * bound * a[-1])

    def join(self) -> Any:
        x = self.pick(lambda s: len(s) > 0)
        if x is None:
            return False
        shape = self.shapes[x]
        y = self.pick(lambda s: s == shape)
        options = [
            (np.concatenate, f"np.concatenate([{x}, {y}])", (2 * shape[0], *shape[1:])),
            (np.stack, f"np.stack([{x}, {y}], axis=-1)", (*shape, 2)),
            (np.concatenate, f"np.concatenate([{x}, np.ones({(1, *shape[1:])}), {y}])", (2 * shape[0] + 1, *shape[1:])),
            (np.roll, f"np.roll({x}, 1)", shape),
            (np.flip, f"np.flip({x})", shape),
            (np.reshape, f"{x}.reshape(-1)", (int(np.prod(shape)),)),
            (np.transpose, f"{x}.T", shape[::-1]),
            (np.cumsum, f"np.cumsum({x}, axis=-1)", shape),
            (np.broadcast_to, f"np.broadcast_to({x}, {(2, *shape)})", (2, *shape)),
        ]
        options = [o for o in options if known(o[0]) and len(o[2]) <= 3]
        if not options:
            return False
        _, text, new = self.draw(st.sampled_from(options))
        if int(np.prod(new)) > 24:
            return False
        self.features.add("movement")
        self.new(text, new, self.bounds[x] * (max(shape) if "cumsum" in text else 1), owned=False)

    def array_of_scalars(self) -> Any:
        x = self.pick(lambda s: len(s) == 1 and s[0] >= 2)
        if x is None:
            return False
        self.features.add("packing")
        self.new(
            f"np.array([[0.0, -{x}[1]], [{x}[0], {x}[0] * {x}[1]]]) * {x}[0]", (2, 2), max(1.0, self.bounds[x] ** 3)
        )


def _broadcast(a: Shape, b: Shape) -> Shape | None:
    try:
        found = np.broadcast_shapes(a, b)
    except ValueError:
        return None
    return found if int(np.prod(found)) <= 24 and len(found) <= 3 else None


STATEMENTS = (
    "unary",
    "unary",
    "binary",
    "binary",
    "reduction",
    "index",
    "view_write",
    "assign",
    "assign",
    "branch",
    "loop",
    "product",
    "join",
    "array_of_scalars",
)
SHAPES: tuple[Shape, ...] = ((), (3,), (2,), (1,), (2, 3), (3, 1), (1, 3), (3, 3), (2, 1, 3))


@st.composite
def programs(draw: Any, most: int = 10, scalar: bool = False, smooth: bool = False) -> Program:
    """Programs of one or two arrays: ``scalar`` ones return one number, ``smooth`` ones have no kinks."""
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=2))
    w = _Writer(draw)
    for n, shape in enumerate(shapes):
        w.names.append("xy"[n])
        w.shapes["xy"[n]], w.bounds["xy"[n]] = shape, 2.0
    for _ in range(draw(st.integers(1, most))):
        getattr(w, draw(st.sampled_from(STATEMENTS)))()
    outputs = [w.names[-1]]
    if scalar:
        result = outputs[0] if w.shapes[outputs[0]] == () else f"np.sum({outputs[0]} * {outputs[0]})"
    else:
        if len(w.names) > len(shapes) + 1 and draw(st.booleans()):
            outputs.append(draw(st.sampled_from(w.names[len(shapes) : -1])))
            w.features.add("two results")
        result = outputs[0] if len(outputs) == 1 else f"{outputs[0]}, {outputs[1]}"
    head = f"def f({', '.join('xy'[: len(shapes)])}):"
    source = "\n".join([head, *w.lines, f"    return {result}"])
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    point = tuple(rng.uniform(0.2, 1.8, s) * rng.choice([-1.0, 1.0], s) for s in shapes)
    return Program(
        source,
        tuple(np.asarray(x)[()] if x.shape else np.asarray(x) for x in map(np.asarray, point)),
        frozenset(w.features),
    )


@st.composite
def graphs(draw: Any) -> Graph:
    """Small graphs with whole numbers as weights, so that every order gives exactly the same."""
    n = draw(st.integers(1, 3))
    rows: dict[int, dict[int, int]] = {}
    for v in range(n, n + draw(st.integers(0, 7))):
        before = draw(st.lists(st.integers(0, v - 1), unique=True, max_size=3))
        rows[v] = {u: draw(st.integers(-3, 3)) for u in before}
    anyone = st.one_of(st.none(), st.integers(0, n + len(rows) - 1))
    return Graph(tuple(range(n)), tuple(draw(st.lists(anyone, max_size=4))), rows)
