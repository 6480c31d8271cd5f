r"""Derivatives of functions nobody sees into: difference quotients along a direction, and the complex step.

Central differences :math:`(f(x+hv)-f(x-hv))/2h` are off by :math:`h^2|f'''|/6` from truncation and by about
:math:`\epsilon|f|/h` from rounding. With :math:`h=\epsilon^{1/3}` in proportion to the operands both are about
:math:`\epsilon^{2/3}`: 4e-11 in double precision, 2e-5 in single, relative to the size of f and of its third derivative.

The complex step :math:`\operatorname{Im} f(x+ihv)/h` subtracts nothing and is right to rounding, where f is analytic and its code
computes with complex numbers as with real ones.

References
----------
Squire & Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40 (1998),
doi:10.1137/S003614459631241X.
Gill, Murray & Wright, *Practical Optimization*, Academic Press 1981, section 8.6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from dualdiff.custom.layout import Layout, level_of
from dualdiff.errors import InputError, RuleError, where
from dualdiff.shapes import dtype_of, shape_of

SECOND = (
    "{}: the derivative of {} is taken by steps of plain numbers and has no derivative of its own: a second one would be differences "
    "of differences, right to few digits. Give a rule (jvp=, vjp= or partials=) written in NumPy, or freeze this one with "
    "dd.stop_gradient."
)
Flat = Callable[..., Any]
COMPLEX_STEP = {"f": 2.0**-40, "d": 2.0**-100, "g": 2.0**-100}
"""By type of real numbers: small enough for its square to vanish, large enough for slopes to stay numbers."""


def step_of(xs: Sequence[Any], vs: Sequence[Any], relative: float) -> float:
    """Return how far to go along a direction: no entry moves by more than such a part of itself, or of 1 where it is smaller."""
    h = np.inf
    for x, v in zip(xs, vs, strict=True):
        moving = np.not_equal(v, 0)
        if np.any(moving):
            room = np.maximum(np.abs(x), 1.0) / np.where(moving, np.abs(v), 1.0)
            h = min(h, float(np.min(room[moving] if shape_of(room) else room)))
    return float(2.0 ** np.floor(np.log2(relative * h))) if np.isfinite(h) else 0.0


def epsilon(xs: Sequence[Any], out: Any) -> float:
    """Return the rounding unit of the least precise numbers that take part."""
    kinds = [dtype_of(x) for x in (*xs, out) if dtype_of(x).kind in "fc"]
    return max(float(np.finfo(k).eps) for k in kinds)


def moved(x: Any, v: Any, h: Any) -> Any:
    """Return an operand after a step; one that is no floating-point number stays what it is."""
    if dtype_of(x).kind not in "fc":
        return x
    return np.add(x, np.multiply(v, h))


def differences(fn: Flat, name: str, relative: float | None) -> Flat:
    """Return the map of tangents of a function of flat operands, by central differences: two evaluations a direction."""

    def jvp(args: Sequence[Any], call: Layout, out: Any, vs: list[Any]) -> list[Any]:
        h = step_of(args, vs, relative or epsilon(args, out) ** (1 / 3))
        if not h:
            return [None]
        ahead, behind = (
            _value(fn, name, [moved(x, v, s) for x, v in zip(args, vs, strict=True)], args, call) for s in (h, -h)
        )
        return [_fitted((ahead - behind) / (2 * h), out)]

    return jvp


def complex_step(fn: Flat, name: str, relative: float | None = None) -> Flat:
    """Return the map of tangents of a real function of flat operands, by the complex step: one evaluation a direction.

    The first derivative that is asked for is held against differences: that f is analytic cannot be seen otherwise.
    """
    held: set[tuple[Any, ...]] = set()
    by_differences = differences(fn, name, relative)

    def jvp(args: Sequence[Any], call: Layout, out: Any, vs: list[Any]) -> list[Any]:
        _check_real(name, (*args, out))
        h = COMPLEX_STEP[min((dtype_of(x).char for x in args if dtype_of(x).kind == "f"), key="fdg".index, default="d")]
        t = imaginary(name, _at(fn, [moved(x, v, 1j * h) for x, v in zip(args, vs, strict=True)], call), out, h)
        key = tuple(map(shape_of, args))
        if key not in held:
            (other,) = by_differences(args, call, out, vs)
            _check_analytic(name, t, other)
            held.add(key)
        return [_fitted(t, out)]

    return jvp


class Partial:
    """The partial of an elementwise black box by one operand, by differences: one step for all entries at once."""

    __slots__ = ("f", "k", "name", "relative")

    def __init__(self, f: Flat, name: str, k: int, relative: float | None) -> None:
        self.f, self.name, self.k, self.relative = f, name, k, relative

    def __call__(self, xs: Sequence[Any], call: Layout | None, out: Any) -> Any:
        """Return the partial at plain operands."""
        if level_of(xs) >= 0:
            raise RuleError(SECOND.format(where(), self.name))
        return _fitted(self.slope(xs, call, out), out)

    def slope(self, xs: Sequence[Any], call: Layout | None, out: Any) -> Any:
        """Return the slope of every entry."""
        part = self.relative or epsilon(xs, out) ** (1 / 3)
        h = 2.0 ** np.floor(np.log2(part * np.maximum(np.abs(xs[self.k]), 1.0)))
        h = np.asarray(h).astype(dtype_of(np.real(out)))[()]
        return np.subtract(self.moved(xs, call, h), self.moved(xs, call, -h)) / (2 * h)

    def moved(self, xs: Sequence[Any], call: Layout | None, step: Any) -> Any:
        """Return the function's values after a step of the operand."""
        there = [*xs[: self.k], np.add(xs[self.k], step), *xs[self.k + 1 :]]
        return self.f(*there) if call is None else self.f(*call.arguments(there), **call.kwargs)


class ImaginaryPartial(Partial):
    """The same by the complex step; the first one is held against differences."""

    __slots__ = ("_held",)

    def __init__(self, f: Flat, name: str, k: int, relative: float | None) -> None:
        super().__init__(f, name, k, relative)
        self._held = False

    def slope(self, xs: Sequence[Any], call: Layout | None, out: Any) -> Any:
        _check_real(self.name, (*xs, out))
        h = COMPLEX_STEP.get(dtype_of(xs[self.k]).char, COMPLEX_STEP["d"])
        t = imaginary(self.name, self.moved(xs, call, 1j * h), out, h)
        if not self._held:
            _check_analytic(self.name, t, super().slope(xs, call, out))
            self._held = True
        return t


class Derivative(NamedTuple):
    """A way to differentiate a black box: along a direction, and entry by entry; whether it reads the function's result."""

    along: Callable[..., Any]
    partial: type[Partial]
    keeps_out: bool


def imaginary(name: str, z: Any, out: Any, h: float) -> Any:
    """Return the slope that an imaginary part tells; raise if the function has lost it."""
    if dtype_of(z).kind != "c":
        raise RuleError(
            f"{where()}: {name} returned real numbers for complex ones, so that derivative='complex-step' has lost its step (np.abs, "
            "comparisons, and code compiled for real numbers do that). Use derivative='difference', or give a rule."
        )
    if not np.allclose(np.real(z), out, rtol=1e-5, atol=1e-8, equal_nan=True):
        raise RuleError(
            f"{where()}: {name} has another value at complex numbers than at real ones, so that derivative='complex-step' would be "
            "wrong (np.abs, conjugates and comparisons do that). Use derivative='difference', or give a rule."
        )
    return np.imag(z) / h


def _check_real(name: str, values: Sequence[Any]) -> None:
    if any(dtype_of(x).kind == "c" for x in values):
        raise RuleError(
            f"{where()}: derivative='complex-step' is for real functions, and {name} takes or returns complex numbers; use "
            "derivative='difference', or give a rule"
        )


def _check_analytic(name: str, t: Any, other: Any) -> None:
    """Raise if the complex step is far off the differences where those are right to more digits."""
    if other is None:
        return
    size = float(np.max(np.abs(other), initial=0.0))
    off = np.abs(np.subtract(t, other))
    if np.isfinite(size) and bool(np.any(off > 1e-2 * size + 1e-4)):
        raise RuleError(
            f"{where()}: the complex step of {name} is off its differences by {float(np.max(off)):.2g} (differences of size {size:.2g}): "
            "its code is not analytic (np.abs, conjugates and comparisons are not), or it has a kink here. Use "
            "derivative='difference', or give a rule."
        )


def _at(fn: Flat, xs: list[Any], call: Layout) -> Any:
    """Evaluate at complex operands: the results have another dtype there."""
    there = Layout.__new__(Layout)
    for slot in Layout.__slots__:
        setattr(there, slot, getattr(call, slot))
    there.results = None
    return fn(*xs, call=there)


def _value(fn: Flat, name: str, xs: list[Any], args: Sequence[Any], call: Layout) -> Any:
    return fn(
        *[x.astype(dtype_of(a))[()] if hasattr(x, "astype") else x for x, a in zip(xs, args, strict=True)], call=call
    )


def _fitted(t: Any, out: Any) -> Any:
    return np.asarray(t).astype(dtype_of(out))[()]


DERIVATIVES = {
    "difference": Derivative(differences, Partial, False),
    "complex-step": Derivative(complex_step, ImaginaryPartial, True),
}
"""The ways to differentiate a black box, by the names that users ask for."""


def check_derivative(derivative: Any) -> None:
    """Raise unless a way to differentiate a black box is known."""
    if derivative not in DERIVATIVES:
        raise InputError(f"derivative={derivative!r} must be one of {', '.join(map(repr, DERIVATIVES))}")
