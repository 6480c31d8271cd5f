"""Linear maps that a user's rule computes: applied to many directions at once, and transposed.

A rule computes the derivative from one side: t ↦ J t, or g ↦ Jᵀ g. Both are linear maps, and what is missing is the
transpose of what is there. Where the rule is plain NumPy it is recorded once, and its tape pushed (many directions at
once) or pulled (the transpose, for the price of one sweep). Where it is not (a compiled function, a difference quotient),
each direction is a call, and the transpose takes a call for every entry of the operands: unit vectors.

References
----------
Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, sections 3.1 and 3.2, doi:10.1137/1.9780898717761.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.agreement import agree
from dualdiff.errors import NOTES, RuleError, where
from dualdiff.kinds import CAREFUL
from dualdiff.passes.pull import pull
from dualdiff.passes.push import push
from dualdiff.shapes import Aval, dtype_of, shape_of, size_of
from dualdiff.tape import Tape
from dualdiff.values import TRACED, raw
from dualdiff.ways.problem import Problem, record

Flat = Callable[[list[Any]], list[Any]]


class LinearMap:
    """A linear map between lists of arrays.

    Parameters
    ----------
    name : str
        Of the function, for messages.
    call : callable
        It takes one array for each form of ``takes`` and returns one (or None, for zeros) for each of ``gives``.
    takes, gives : sequence of Aval
        Shapes and dtypes.
    opaque : bool
        Whether it cannot be recorded.
    around : sequence
        Values that take part in it, which tell the type of its arrays.
    """

    __slots__ = ("call", "duck", "gives", "name", "opaque", "takes")

    def __init__(
        self,
        name: str,
        call: Flat,
        takes: Sequence[Aval],
        gives: Sequence[Aval],
        opaque: bool = False,
        around: Sequence[Any] = (),
    ) -> None:
        self.name, self.call, self.takes, self.gives, self.opaque = name, call, list(takes), list(gives), opaque
        self.duck = next((x for x in map(raw, around) if not isinstance(x, _PLAIN)), None)

    def apply(self, xs: Sequence[Any], lead: tuple[int, ...]) -> list[Any]:
        """Return the images of directions, ``lead`` in front."""
        if lead and lead[0] == 0:
            return [np.zeros((0, *f.shape), f.dtype) for f in self.gives]
        traced = any(type(x) in TRACED for x in xs)
        if not lead and not traced:
            return self.call(list(xs))
        if not self.opaque and (lead != (1,) or traced):
            tape, linear = self._recorded()
            if tape is not None and linear:
                return _quietly(lambda: push(tape, xs, tape.outputs, lead))
        if traced:
            return self._by_units(xs, lead)
        rows = [self.call([x[i] for x in xs]) for i in range(lead[0])]
        return [
            None if all(c is None for c in column) else np.stack([_filled(c, f) for c in column])
            for column, f in zip(zip(*rows, strict=True), self.gives, strict=True)
        ]

    def transposed(self, ws: Sequence[Any], lead: tuple[int, ...]) -> list[Any]:
        """Return the images of covectors under the adjoint, ``lead`` in front; None where there is none."""
        if not self.opaque:
            tape, linear = self._recorded()
            if not linear:
                raise RuleError(
                    f"{where()}: the rule of {self.name} is not linear in what it is given (a clipped gradient is not, nor is a value "
                    "added to a tangent), so that the other mode does not follow from it. Give the rule of that mode as well."
                )
            if tape is not None:
                seeds = [(s, w) for s, w in zip(tape.outputs, ws, strict=True) if s >= 0 and w is not None]
                return _quietly(lambda: pull(tape, seeds, lead))
        found = []
        for columns, form in zip(self._units(), self.takes, strict=True):
            total = None
            for unit, w in zip(columns, ws, strict=True):
                if unit is None or w is None:
                    continue
                flat = np.reshape(w, (*lead, unit[0].shape[1]))
                part = np.real(flat @ np.conjugate(unit[0]).T)
                if form.dtype.kind == "c":
                    part = part + 1j * np.real(flat @ np.conjugate(unit[1]).T)
                total = part if total is None else total + part
            found.append(None if total is None else np.reshape(total, lead + form.shape).astype(form.dtype))
        return found

    # -- how ---------------------------------------------------------------------------------------
    def _recorded(self) -> tuple[Tape | None, bool]:
        """Record the map at a generic direction, and say whether it is linear there.

        None where it cannot be recorded, or where it looks at the values of its direction.
        """
        probes = [_generic(f) for f in self.takes]
        if self.duck is not None:
            probes = [np.zeros_like(self.duck, shape=f.shape, dtype=f.dtype) + p for f, p in zip(self.takes, probes)]

        def run(leaves: list[Any]) -> list[Any]:
            return [_filled(c, f) for c, f in zip(self.call(leaves), self.gives, strict=True)]

        token = CAREFUL.set(False)
        noted = NOTES.set(None)  # what goes wrong here is answered here
        try:
            tape, values = record(Problem(run, probes, inner=True), replayable=True)
        except RuleError:
            raise
        except Exception:  # compiled code met a traced value, in whatever way; called with plain ones it may do
            return None, True
        finally:
            NOTES.reset(noted)
            CAREFUL.reset(token)
        if self.duck is not None:
            return (None if tape.guards else tape), True
        if tape.guards or any(s < 0 and np.any(np.asarray(raw(v)) != 0) for s, v in zip(tape.outputs, values)):
            return (
                None,
                True,
            )  # its result stands still although its direction is generic: it left the recording somewhere
        images = _quietly(lambda: push(tape, probes, tape.outputs))
        return tape, all(c is None or _is_image(raw(c), raw(v)) for c, v in zip(images, values, strict=True))

    def _units(self) -> list[list[Any]]:
        """Return by operand and result the images of its unit vectors, and of i times those: each (entries, entries)."""
        found: list[list[Any]] = []
        for k, form in enumerate(self.takes):
            n = size_of(form.shape)
            phases = (1, 1j) if form.dtype.kind == "c" else (1,)
            blocks: list[Any] = [[np.zeros((n, size_of(g.shape)), g.dtype) for _ in phases] for g in self.gives]
            for p, phase in enumerate(phases):
                for j in range(n):
                    xs = [np.zeros(f.shape, f.dtype) for f in self.takes]
                    xs[k].reshape(-1)[j] = phase
                    for block, c in zip(blocks, self.call([x if x.shape else x[()] for x in xs]), strict=True):
                        if c is not None:
                            block[p] = _with_row(block[p], j, c)
            found.append(blocks)
        return found

    def _by_units(self, xs: Sequence[Any], lead: tuple[int, ...]) -> list[Any]:
        """Apply a map that cannot be recorded to directions of which only the engine knows the arithmetic."""
        totals: list[Any] = [None] * len(self.gives)
        for columns, x, form in zip(self._units(), xs, self.takes, strict=True):
            flat = np.reshape(x, (*lead, size_of(form.shape)))
            for o, (unit, g) in enumerate(zip(columns, self.gives, strict=True)):
                if form.dtype.kind == "c":
                    part = np.real(flat) @ unit[0] + np.imag(flat) @ unit[1]
                else:
                    part = flat @ unit[0]
                part = np.reshape(part, lead + g.shape)
                totals[o] = part if totals[o] is None else totals[o] + part
        return totals


def _with_row(block: Any, j: int, c: Any) -> Any:
    """Write a row; where it is differentiated by an outer operator the block becomes an array that can hold it."""
    if type(c) in TRACED and type(block) not in TRACED:
        block = np.zeros_like(c, shape=block.shape) + block
    block[j] = np.reshape(c, (-1,))
    return block


_PLAIN = (np.ndarray, np.generic, int, float, complex)


def _generic(form: Aval) -> Any:
    """Return a direction that no code mistakes for a special one."""
    n = size_of(form.shape)
    x = 1.0 + np.modf(0.6180339887498949 * np.arange(1, n + 1))[0]
    if form.dtype.kind == "c":
        x = x - 0.5j * x[::-1]
    return x.astype(form.dtype).reshape(form.shape)[()] if not form.shape else x.astype(form.dtype).reshape(form.shape)


def _is_image(c: Any, v: Any) -> bool:
    """Whether a map has the image that its tape has; where that is not finite it has none to be held against."""
    return not np.all(np.isfinite(v)) or agree(c, v, float(np.finfo(dtype_of(v)).eps) ** -0.5)


def _filled(c: Any, form: Aval) -> Any:
    return np.zeros(form.shape, form.dtype) if c is None else c


def _quietly(sweep: Callable[[], list[Any]]) -> list[Any]:
    """Run a pass inside a rule: a careful pass around it knows its zeros by the values it handed in."""
    token = CAREFUL.set(False)
    try:
        return sweep()
    finally:
        CAREFUL.reset(token)


def form_of(x: Any) -> Aval:
    """Return the form of the tangents of an operand: floating point, whatever the operand is."""
    dtype = dtype_of(x)
    return Aval(shape_of(x), dtype if dtype.kind in "fc" else np.dtype(np.float64))


__all__ = ["LinearMap", "form_of"]
