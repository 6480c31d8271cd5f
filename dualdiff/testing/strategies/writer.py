"""A program as it is written: one statement after the other, each from the variables that are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dualdiff.testing.strategies.entries import Draw
from dualdiff.testing.strategies.vocabulary import LARGE, MOVEMENTS, Phrase, Vocabulary

Shape = tuple[int, ...]

MOST = 24
"""The most entries of a variable."""
TRIES = 4
"""How often another statement is tried where one found no variable."""
ARGUMENT = 2.0
"""The bound of an argument."""


def broadcast(a: Shape, b: Shape) -> Shape | None:
    """Return the shape that two broadcast to, or None where they do not, or it is too large."""
    try:
        found = np.broadcast_shapes(a, b)
    except ValueError:
        return None
    return found if int(np.prod(found)) <= MOST and len(found) <= 3 else None


class Writer:
    """Writes statements whose shapes fit and whose values stay moderate.

    Attributes
    ----------
    lines : list of str
        What is written.
    names : list of str
        The variables, in the order they were made; ``shapes`` and ``bounds`` say of each how large it is.
    features : set of str
        What occurs.
    """

    def __init__(self, draw: Draw, words: Vocabulary, in_place: bool) -> None:
        self.draw, self.words = draw, words
        self.lines: list[str] = []
        self.names: list[str] = []
        self.shapes: dict[str, Shape] = {}
        self.bounds: dict[str, float] = {}
        self.features: set[str] = set()
        written = (self.view_write, self.assign, self.assign) if in_place else ()
        self.statements: tuple[Callable[[], Any], ...] = (
            *((self.unary,) * 3),
            *((self.binary,) * 2),
            *((self.reduction,) if words.reductions else ()),
            self.index,
            *written,
            *((self.branch,) if words.has(np.greater) else ()),
            self.loop,
            *((self.product,) if words.has(np.matmul, np.transpose) else ()),
            *((self.join,) if words.functions.intersection(MOVEMENTS) else ()),
            *((self.pack,) if words.has(np.array) else ()),
        )

    # -- parts -------------------------------------------------------------------------------------
    def takes(self, name: str, shape: Shape) -> None:
        """Begin with an argument."""
        self.names.append(name)
        self.shapes[name], self.bounds[name] = shape, ARGUMENT

    def statement(self) -> None:
        """Write one statement; one that finds no variable to its liking leaves it to another."""
        before = len(self.lines)
        for _ in range(TRIES):
            self.draw(st.sampled_from(self.statements))()
            if len(self.lines) > before:
                return

    def result(self, arguments: int) -> str:
        """Return what the program returns: the last variable, and at times another."""
        last = self.names[-1]
        if len(self.names) > arguments + 1 and self.draw(st.booleans()):
            self.features.add("two results")
            return f"{last}, {self.draw(st.sampled_from(self.names[arguments:-1]))}"
        return last

    def scalar_result(self) -> str:
        """Return what a program of one number returns."""
        last = self.names[-1]
        return last if self.shapes[last] == () else f"({last} * {last}).sum()"

    def say(self, line: str) -> None:
        """Write a line."""
        self.lines.append("    " + line)

    def new(self, expression: str, shape: Shape, bound: float) -> str:
        """Write a new variable."""
        if bound > LARGE:
            expression, bound = f"np.tanh({expression})", 1.0
        name = self.named(shape, bound)
        self.say(f"{name} = {expression}")
        return name

    def named(self, shape: Shape, bound: float) -> str:
        """Return the name of a new variable."""
        name = f"v{len(self.names)}"
        self.names.append(name)
        self.shapes[name], self.bounds[name] = shape, max(bound, 0.5)
        return name

    def some(self) -> str:
        """Draw a variable."""
        # Later variables first: a program is more than its first line.
        return self.draw(st.sampled_from(self.names[::-1]))

    def pick(self, test: Callable[[Shape], Any]) -> str | None:
        """Draw a variable whose shape passes a test, or return None."""
        fits = [n for n in self.names if test(self.shapes[n])]
        return self.draw(st.sampled_from(fits[::-1])) if fits else None

    def array(self) -> str | None:
        """Draw a variable that has axes, or return None."""
        return self.pick(lambda shape: len(shape) > 0)

    def phrase(self, phrases: tuple[Phrase, ...]) -> Phrase:
        """Draw a phrase."""
        return self.draw(st.sampled_from(phrases))

    # -- statements --------------------------------------------------------------------------------
    def unary(self) -> None:
        """Write a function of one variable."""
        x = self.some()
        said = self.phrase(self.words.unary)
        self.new(said.text.format(x=x), self.shapes[x], said.bound(self.bounds[x]))

    def binary(self) -> None:
        """Write a function of two variables that broadcast."""
        x = self.some()
        a = self.shapes[x]
        y = self.pick(lambda s: broadcast(s, a) is not None)
        shape = None if y is None else broadcast(a, self.shapes[y])
        if y is None or shape is None:
            return
        if a != self.shapes[y]:
            self.features.add("broadcasting")
        said = self.phrase(self.words.binary)
        self.new(said.text.format(x=x, y=y), shape, said.bound(self.bounds[x], self.bounds[y]))

    def reduction(self) -> None:
        """Write a sum, a mean, a maximum … over one axis or all."""
        x = self.array()
        if x is None:
            return
        shape = self.shapes[x]
        said = self.phrase(self.words.reductions)
        axis = self.draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
        keep = self.draw(st.booleans())
        options = ([] if axis is None else [f"axis={axis}"]) + (["keepdims=True"] if keep else [])
        over = range(len(shape)) if axis is None else (axis % len(shape),)
        left = tuple(1 if i in over else s for i, s in enumerate(shape) if keep or i not in over)
        self.features.add("reduction")
        self.new(
            said.text.format(x=x, a="".join(f", {o}" for o in options), b=", ".join(options)),
            left,
            said.bound(self.bounds[x], int(np.prod([shape[i] for i in over]))),
        )

    def index(self) -> None:
        """Write an entry, a slice, or what an array of indices picks."""
        x = self.array()
        if x is None:
            return
        text, shape = self.an_index(self.shapes[x])
        self.features.add("indexing")
        self.new(f"{x}[{text}]", shape, self.bounds[x])

    def an_index(self, shape: Shape) -> tuple[str, Shape]:
        """Draw an index, and return it with the shape of what it picks."""
        choices = ["0", "-1", "::-1", "1:", "...", "None", "[0, -1, 0]", "np.array([[0, 0]])", "..., None"]
        if len(shape) > 1:
            choices += [":, 0", ":, ::-1", "0, 1:", "[0, -1], [0, 0]", ":, [0, 0, -1]", "..., -1"]
        text = self.draw(st.sampled_from(choices))
        found = np.shape(eval(f"x[{text}]", {"x": np.zeros(shape), "np": np}))
        return ("...", shape) if 0 in found else (text, found)

    def view_write(self) -> None:
        """Write into a view, and go on with its base."""
        x = self.some()
        shape = self.shapes[x]
        if not shape:
            return
        copy = self.new(f"{x}.copy()", shape, self.bounds[x])
        views = ["[::-1]", "[0]", "[-1:]", "[None]"]
        views += [".T"] * self.words.has(np.transpose) + [".reshape(-1)"] * self.words.has(np.reshape)
        view = self.draw(st.sampled_from(views))
        self.features.add("view")
        w = f"w{len(self.lines)}"
        self.say(f"{w} = {copy}{view}")
        if eval(f"x{view}", {"x": np.zeros(shape)}).shape:
            self.say(f"{w}[0] = np.tanh({w}[-1])" if self.draw(st.booleans()) else f"{w} *= 0.5")
        self.bounds[copy] += 1

    def assign(self) -> None:
        """Fill a new array, or write into a copy: entry by entry, by a mask, by ``+=``."""
        x = self.array()
        if x is None:
            return
        shape, bound = self.shapes[x], self.bounds[x]
        hows = [self.augmented, self.entry]
        hows += [self.filled] * self.words.has(np.zeros_like) + [self.masked] * self.words.has(np.greater)
        self.features.add("assignment")
        self.draw(st.sampled_from(hows))(x, shape, bound)

    def filled(self, x: str, shape: Shape, bound: float) -> None:
        """Fill zeros in a loop."""
        y = self.new(f"np.zeros_like({x})", shape, bound)
        self.say(f"for i in range({shape[0]}):")
        self.say(f"    {y}[i] = {x}[i] * {x}[-1 - i] / {max(1.0, bound):g}")
        if self.draw(st.booleans()):
            self.say(f"    {y}[i] += 0.1 * {y}[0]")
        self.bounds[y] += 1

    def augmented(self, x: str, shape: Shape, bound: float) -> None:
        """Write by an augmented assignment."""
        y = self.new(f"{x}.copy()", shape, bound)
        z = self.pick(lambda s: broadcast(s, shape) == shape) or "0.5"
        self.say(f"{y} {self.draw(st.sampled_from(['+=', '-=', '*=']))} np.tanh({z})")
        self.bounds[y] += 1

    def masked(self, x: str, shape: Shape, bound: float) -> None:
        """Write where a condition holds."""
        y = self.new(f"{x} * 1.0", shape, bound)
        self.say(f"{y}[{y} > 0.2] = 0.2")
        self.say(f"{y}[{y} < 0] *= 0.5")

    def entry(self, x: str, shape: Shape, bound: float) -> None:
        """Write some entries."""
        y = self.new(f"{x}.copy()", shape, bound)
        text, inner = self.an_index(shape)
        z = self.pick(lambda s: broadcast(s, inner) == inner)
        self.say(
            f"{y}[0] = 0.25" if z is None or "None" in text or "[" in text else f"{y}[{text}] = 0.5 * np.tanh({z})"
        )
        self.bounds[y] += 1

    def branch(self) -> None:
        """Decide by a value."""
        x = self.some()
        c = self.pick(lambda s: s == ()) or f"{x}[{', '.join('0' * len(self.shapes[x]))}]"
        self.features.add("branch")
        bound = self.bounds[x]
        name = self.named(self.shapes[x], max(1.0, bound))
        self.say(f"if {c} > {self.draw(st.sampled_from([-0.4, 0.13, 0.6]))}:")
        self.say(f"    {name} = np.tanh({x})")
        self.say("else:")
        self.say(f"    {name} = {x} * {x} / {max(1.0, bound):g}")

    def loop(self) -> None:
        """Iterate a map."""
        x = self.some()
        bound = self.bounds[x]
        self.features.add("loop")
        name = self.named(self.shapes[x], bound + 1)
        self.say(f"{name} = {x}")
        self.say(f"for _ in range({self.draw(st.integers(1, 3))}):")
        self.say(
            f"    {name} = np.tanh({name} + 0.5 * {x})"
            if self.draw(st.booleans())
            else f"    {name} = {name} - 0.1 * {name} ** 2 / {1 + bound**2:g}"
        )

    def product(self) -> None:
        """Multiply matrices and vectors."""
        x = self.pick(lambda s: 0 < len(s) <= 2)
        if x is None:
            return
        a = self.shapes[x]
        y = self.pick(lambda s: 0 < len(s) <= 2 and a[-1] == s[0])
        b, bound = (a[::-1], self.bounds[x]) if y is None else (self.shapes[y], self.bounds[y])
        self.features.add("matmul")
        self.new(f"{x} @ {y or x + '.T'}", (np.zeros(a) @ np.zeros(b)).shape, self.bounds[x] * bound * a[-1])

    def join(self) -> None:
        """Join arrays, or move their entries."""
        x = self.array()
        if x is None:
            return
        shape = self.shapes[x]
        y = self.pick(lambda s: s == shape)
        options: list[tuple[Any, str, Shape]] = [
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
        fit = [o for o in options if self.words.has(o[0]) and len(o[2]) <= 3 and int(np.prod(o[2])) <= MOST]
        if not fit:
            return
        function, text, new = self.draw(st.sampled_from(fit))
        self.features.add("movement")
        self.new(text, new, self.bounds[x] * (shape[-1] if function is np.cumsum else 1))

    def pack(self) -> None:
        """Make an array of scalars."""
        x = self.pick(lambda s: len(s) == 1 and s[0] >= 2)
        if x is None:
            return
        self.features.add("packing")
        text = f"np.array([[0.0, -{x}[1]], [{x}[0], {x}[0] * {x}[1]]]) * {x}[0]"
        self.new(text, (2, 2), max(1.0, self.bounds[x] ** 3))
