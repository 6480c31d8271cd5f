"""Derivatives under test, however they are written: what each says along a direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.shapes import shape_of
from dualdiff.testing.place import Place
from dualdiff.testing.report import CheckError, name_of
from dualdiff.testing.tolerances import tolerance
from dualdiff.trees import flatten

__all__ = ["Claim", "Jacobian", "Pullback", "Tangent"]

ROWS = 64
"""A pullback is called for every row of the Jacobian up to so many; of more, random combinations are taken."""


class Claim:
    """A derivative under test.

    Parameters
    ----------
    rule : callable
        What the user wrote.
    """

    what = "derivative"

    def __init__(self, rule: Callable[..., Any]) -> None:
        if not callable(rule):
            raise InputError(f"the {self.what} must be a function of the point, not {type(rule).__name__!r}")
        self.rule = rule
        self.name = name_of(rule)

    def at(self, place: Place, rng: np.random.Generator) -> Callable[[Any], list[Any]]:
        """Return the function that gives the derivative along a flat direction, one array for each result."""
        raise NotImplementedError

    def again(self, place: Place) -> list[Any]:
        """Return, as arrays, what the rule says once more: the same, unless it keeps something from call to call."""
        raise NotImplementedError


class Jacobian(Claim):
    """A function that returns the Jacobian, in any form."""

    what = "Jacobian"

    def matrix(self, place: Place) -> Any:
        """Return the whole of it."""
        try:
            return place.matrix(self.rule(*place.arguments()))
        except InputError as e:
            raise CheckError(f"{self.name}: {e}") from None

    def at(self, place: Place, rng: np.random.Generator) -> Callable[[Any], list[Any]]:
        """Multiply it by directions."""
        found = self.matrix(place)
        with np.errstate(all="ignore"):
            sparse = found.copy() if hasattr(found, "tocsr") else found

        def along(v: Any) -> list[Any]:
            with np.errstate(all="ignore"):
                if type(sparse) is np.ndarray:  # an infinite entry that the direction does not meet says nothing
                    live = v != 0
                    product = sparse[:, live] @ v[live]
                else:
                    product = np.asarray(sparse @ v)
            dtype = getattr(sparse, "dtype", np.dtype(float))
            if dtype.kind == "f" and dtype != product.dtype:
                product = product.astype(np.result_type(dtype, np.complex64) if product.dtype.kind == "c" else dtype)
            return _cut(product, [shape_of(y) for y in place.outputs])

        return along

    def again(self, place: Place) -> list[Any]:
        """Compute it once more."""
        found = self.matrix(place)
        if type(found) is np.ndarray:
            return [found]
        return [found.toarray() if hasattr(found, "toarray") else found @ np.ones(place.shape[1])]


class Tangent(Claim):
    """A function ``(primals, tangents) -> (value, tangent)``."""

    what = "rule"

    def run(self, place: Place, v: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Return value and tangent, flat."""
        directions = [
            d.astype(x.dtype if x.dtype.kind in "fc" else float)[()] for d, x in zip(v, place.inputs, strict=True)
        ]
        args = place.arguments()
        result = self.rule(tuple(args[i] for i in place.argnums), tuple(place.build(directions)))
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise CheckError(f"{self.name} must return a pair, (value, tangent); it returns {_told(result)}")
        value, tangent = (flatten(r)[0] for r in result)
        _same_form(f"{self.name}: the tangent", tangent, place.outputs, "the value")
        return [np.asarray(y) for y in value], [np.asarray(t) for t in tangent]

    def at(self, place: Place, rng: np.random.Generator) -> Callable[[Any], list[Any]]:
        """Call it with directions, after its value and its linearity have been looked at."""
        u, v = place.random(rng), place.random(rng)
        value, ju = self.run(place, place.split(u))
        _same_value(self.name, value, place.outputs)
        _, jv = self.run(place, place.split(v))
        _, both = self.run(place, place.split(0.75 * u - 1.25 * v))
        _linear(f"{self.name}: the tangent is not linear in the direction", both, ju, jv)
        return lambda direction: self.run(place, place.split(direction))[1]

    def again(self, place: Place) -> list[Any]:
        """Call it once more."""
        return self.run(place, place.split(place.random(np.random.default_rng(0))))[1]


class Pullback(Claim):
    """A function ``(*primals) -> (value, pullback)``."""

    what = "rule"

    def at(self, place: Place, rng: np.random.Generator) -> Callable[[Any], list[Any]]:
        """Pull rows of the Jacobian, or random combinations of rows where there are many."""
        value, pull = self.pair(place)
        _same_value(self.name, value, place.outputs)
        m = sum(y.size for y in place.outputs)
        kinds = [y.dtype.kind for y in place.outputs]

        def covector(k: int, unit: complex = 1.0) -> list[Any]:
            flat = np.zeros(m, complex if "c" in kinds else float)
            flat[k] = unit
            return self._typed(_cut(flat, [shape_of(y) for y in place.outputs]), place)

        def random() -> list[Any]:
            return self._typed([_random(y, rng) for y in place.outputs], place)

        w, z = random(), random()
        mixed = self._typed([0.75 * p - 1.25 * q for p, q in zip(w, z, strict=True)], place)
        kept = [c.copy() for c in w]
        cw = pull(w)
        if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(kept, w, strict=True)):
            raise CheckError(f"{self.name}: the pullback writes into its cotangent; it must leave it as it is")
        cz = pull(z)
        _linear(f"{self.name}: the pullback is not linear in the cotangent", pull(mixed), cw, cz)
        again = pull(w)
        for a, b in zip(cw, again, strict=True):
            if not _close(a, b):
                raise CheckError(f"{self.name}: the pullback called again with the same cotangent gives something else")
        if m <= ROWS:
            rows = [pull(covector(k)) for k in range(m)]
            turned = [pull(covector(k, 1j)) for k in range(m)] if "c" in kinds else None

            def along(v: Any) -> list[Any]:
                parts = place.split(v)
                found = np.array([_real_inner(row, parts) for row in rows])
                if turned is not None:
                    found = found + 1j * np.array([_real_inner(row, parts) for row in turned])
                return self._typed(_cut(found, [shape_of(y) for y in place.outputs]), place)

            return along
        place.covectors = [random() for _ in range(4)]
        combined = [pull(c) for c in place.covectors]
        return lambda v: [np.array([_real_inner(c, place.split(v)) for c in combined])]

    def pair(self, place: Place) -> tuple[list[Any], Callable[[list[Any]], list[Any]]]:
        """Run the rule; return the value and the pullback of flat cotangents, which looks at what comes back."""
        args = place.arguments()
        result = self.rule(*args)
        if not isinstance(result, (tuple, list)) or len(result) != 2 or not callable(result[1]):
            raise CheckError(f"{self.name} must return a pair, (value, pullback); it returns {_told(result)}")
        value, pullback = result
        values, build = flatten(value)

        def pull(w: list[Any]) -> list[Any]:
            found = pullback(build([c[()] for c in w]))
            k = len(place.args)
            if not isinstance(found, (tuple, list)):
                hint = "(c,)" if k == 1 else "(" + ", ".join(f"c{i}" for i in range(k)) + ")"
                raise CheckError(
                    f"{self.name}: the pullback returns {_told(found)}; it must return a tuple with one cotangent for each argument, {hint}"
                )
            if len(found) != k:
                raise CheckError(f"{self.name}: the pullback returns {len(found)} cotangents for {k} arguments")
            flat = [np.asarray(c) for c in flatten(tuple(found))[0]]
            _same_form(f"{self.name}: a cotangent", flat, place.inputs, "its argument")
            return [c.copy() for c in flat]

        return [np.asarray(y) for y in values], pull

    def again(self, place: Place) -> list[Any]:
        """Run the rule once more, and pull."""
        _, pull = self.pair(place)
        rng = np.random.default_rng(0)
        return pull(self._typed([_random(y, rng) for y in place.outputs], place))

    @staticmethod
    def _typed(arrays: Sequence[Any], place: Place) -> list[Any]:
        return [
            np.asarray(np.real(a) if y.dtype.kind != "c" else a).astype(y.dtype if y.dtype.kind in "fc" else float)
            for a, y in zip(arrays, place.outputs, strict=True)
        ]


def _random(y: Any, rng: np.random.Generator) -> Any:
    def draw() -> Any:
        return rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape)

    return draw() + 1j * draw() if y.dtype.kind == "c" else np.asarray(draw())


def _cut(flat: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    found, at = [], 0
    for s in shapes:
        n = int(np.prod(s, dtype=int))
        found.append(flat[at : at + n].reshape(s))
        at += n
    return found


def _real_inner(a: Sequence[Any], b: Sequence[Any]) -> float:
    with np.errstate(all="ignore"):
        terms = [np.where(y == 0, 0.0, np.real(np.conj(x) * y)) for x, y in zip(a, b, strict=True)]
        return float(sum(np.sum(t) for t in terms))


def _close(a: Any, b: Any, scale: float | None = None) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    with np.errstate(all="ignore"):
        size = np.max(np.abs(a), initial=0.0, where=np.isfinite(a)) if scale is None else scale
        return bool(
            a.shape == b.shape
            and np.all(
                (a == b)
                | (np.isnan(a) & np.isnan(b))
                | (np.abs(a - b) <= tolerance(a, b) * size + np.finfo(float).tiny)
            )
        )


def _linear(what: str, both: Sequence[Any], p: Sequence[Any], q: Sequence[Any]) -> None:
    for got, a, b in zip(both, p, q, strict=True):
        scale = float(
            np.max(np.abs(a), initial=0.0, where=np.isfinite(a)) + np.max(np.abs(b), initial=0.0, where=np.isfinite(b))
        )
        with np.errstate(all="ignore"):
            expected = 0.75 * a - 1.25 * b
        if not _close(got, expected.astype(np.asarray(got).dtype), scale):
            at = tuple(int(i) for i in np.argwhere(~(np.abs(got - expected) <= 1e-10 * scale))[0])
            raise CheckError(
                f"{what}: of 0.75·u - 1.25·v it gives {got[at]:.17g} in entry {list(at)}, where 0.75 times that of u less 1.25 times "
                f"that of v is {expected[at]:.17g}"
            )


def _same_value(name: str, value: Sequence[Any], expected: Sequence[Any]) -> None:
    _same_form(f"{name}: the value", value, expected, "that of f")
    for y, e in zip(value, expected, strict=True):
        if not _close(y, e, float(np.max(np.abs(e), initial=0.0, where=np.isfinite(e)))):
            at = tuple(int(i) for i in np.argwhere(~(np.abs(y - e) <= 1e-10 * np.max(np.abs(e))))[0])
            raise CheckError(f"{name}: the value's entry {list(at)} is {y[at]:.17g}, that of f {e[at]:.17g}")


def _same_form(what: str, found: Sequence[Any], like: Sequence[Any], other: str) -> None:
    if len(found) != len(like):
        raise CheckError(f"{what} has {len(found)} parts, {other} {len(like)}")
    for a, b in zip(found, like, strict=True):
        if shape_of(a) != shape_of(b):
            raise CheckError(f"{what} has the shape {shape_of(a)}, {other} {shape_of(b)}")


def _told(x: Any) -> str:
    if isinstance(x, (tuple, list)):
        return f"a {type(x).__name__} of {len(x)}"
    return "an array" if isinstance(x, np.ndarray) else f"a {type(x).__name__}"
