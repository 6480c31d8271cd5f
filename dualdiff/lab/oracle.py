"""An outside answer to hold methods against: none of them, and with an error bar for every entry."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.lab.subject import Subject
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.testing import Estimate, complex_step, estimate, judge

__all__ = ["ORACLES", "Oracle", "evaluations", "oracle", "sizes"]

DIRECTIONS = 2
"""Random directions in which the complex step must agree with differences before it is believed."""
SAFETY = 8.0
"""Error estimates are multiplied by this before anything is said to differ."""
WIDE, NARROW = 1e-3, 1e-6
"""An error bar wider than this part of the size of the terms, and than that part of the largest entry of all, decides nothing."""
SAMPLE = 8
"""Columns that are looked at in any case, whatever they take."""


@cache
def evaluations(find: Callable[[Any, list[Any], list[Any]], Any]) -> int:
    """Return how many evaluations of a smooth function finding a derivative along one direction takes."""
    calls = []

    def counted(leaves: list[Any]) -> list[Any]:
        calls.append(leaves)
        return [np.exp(leaves[0])]

    find(counted, [np.array(1.0)], [np.array(1.0)])
    return len(calls)


def differences(f: Callable[[list[Any]], list[Any]], x: list[Any], v: list[Any]) -> Estimate:
    """Return what differences alone say of a derivative: the function is not evaluated at complex points."""

    def real(leaves: list[Any]) -> list[Any]:
        if any(dtype_of(a).kind == "c" for a in leaves):
            raise TypeError("real numbers only")
        return f(leaves)

    return estimate(real, x, v)


@dataclass(frozen=True, slots=True, eq=False)
class Oracle:
    """A Jacobian, or some of its columns, found without the methods that are compared.

    Attributes
    ----------
    name : str
        How it was found.
    matrix, bars : ndarray, shape (m, k)
        The columns, and how far each entry may be off; infinite where nothing is known about it.
    columns : ndarray, shape (k,)
        Which columns they are.
    inputs : int
        Of how many.
    scale : float
        The size of the function over that of its point: what a derivative is about, where all that are known are zero.
    """

    name: str
    matrix: Any
    bars: Any
    columns: Any
    inputs: int
    scale: float = 0.0

    def some(self, which: Any) -> Oracle:
        """Return some of its columns."""
        return replace(self, matrix=self.matrix[:, which], bars=self.bars[:, which], columns=self.columns[which])

    @property
    def unknown(self) -> int:
        """The entries that it knows nothing about."""
        return int(np.sum(~self.known))

    @property
    def known(self) -> Any:
        """Whether it knows something about an entry: its bar is narrow beside its line, or beside the whole."""
        there = np.isfinite(self.bars) & np.isfinite(self.matrix)
        size = sizes(np.where(there, self.matrix, 0))
        return there & (self.bars <= np.maximum(WIDE * size, NARROW * max(np.max(size, initial=0.0), self.scale)))

    def __str__(self) -> str:
        said = [self.name]
        if len(self.columns) < self.inputs:
            said.append(f"{len(self.columns)} of {self.inputs} columns, drawn at random")
        known = self.known
        if known.any():
            size = np.max(np.abs(self.matrix[known]))
            bar = np.max(self.bars[known])
            if bar > 0:
                said.append(
                    f"right to {bar / size if size > 0 else bar:.0e}{' of the largest entry' if size > 0 else ''}"
                )
        if self.unknown:
            said.append(f"knows nothing of {self.unknown} entries, in which methods are compared with each other")
        return ", ".join(said)


def oracle(
    subject: Subject, asked: Any = None, *, most: float = float("inf"), rng: np.random.Generator | None = None
) -> Oracle:
    """Find a Jacobian without the methods that are compared.

    Parameters
    ----------
    subject : Subject
    asked : str, callable or array, optional
        One of `ORACLES`, a function ``(f, *args) -> J``, or the Jacobian itself. By default the complex step in extended
        precision where differences confirm that the function is analytic; otherwise extrapolated differences, in
        extended precision where the function takes it, each entry with its error bar.
    most : float
        About how many evaluations of the function are allowed. Where all columns would take more, some are drawn.
    rng : numpy.random.Generator, optional

    Returns
    -------
    Oracle

    Raises
    ------
    InputError
        If it was asked for by name and does not serve here.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    if isinstance(asked, str):
        if asked not in ORACLES:
            raise InputError(
                f"oracle={asked!r} must be one of {', '.join(map(repr, ORACLES))}, a function, or a Jacobian"
            )
        found = ORACLES[asked](subject, most, rng)
        if found is None:
            raise InputError(
                f"oracle={asked!r} does not serve here: the function is not analytic in its code, or not there"
            )
        return found
    if asked is not None:
        given = asked(*_closed(subject)) if callable(asked) else asked
        try:
            matrix = subject.matrix(given).astype(float)
        except InputError as error:
            raise InputError(f"oracle=: {error}") from None
        name = getattr(asked, "__name__", "given") if callable(asked) else "given"
        return Oracle(name, matrix, np.zeros(matrix.shape), np.arange(subject.n), subject.n)
    for find in ORACLES.values():
        found = find(subject, most, rng)
        if found is not None:
            return found
    raise InputError("no oracle serves here; give one, oracle=J")


def _closed(subject: Subject) -> tuple[Any, ...]:
    f, args = subject.differentiated
    return (f, *args)


def sizes(reference: Any) -> Any:
    """Return the size of the terms of every entry: the largest of its column if the matrix is tall, of its row if it is wide."""
    rows, columns = reference.shape
    largest = np.abs(reference).max(axis=0 if rows >= columns else 1, initial=0.0, keepdims=True)
    return np.broadcast_to(largest, reference.shape)


# --------------------------------------------------------------------------------------------------
# the complex step


def _by_complex_step(subject: Subject, most: float, rng: np.random.Generator) -> Oracle | None:
    """Return columns by the complex step, in extended precision if the function takes that; None where it is not analytic."""
    for dtype in dict.fromkeys((np.longdouble, np.float64)):
        found = _complex_columns(subject, _wide(subject, dtype), most, rng)
        if found is not None:
            return found
    return None


def _complex_columns(subject: Subject, leaves: list[Any], most: float, rng: np.random.Generator) -> Oracle | None:
    call = _quiet(subject)
    for _ in range(DIRECTIONS):
        v = [rng.uniform(0.5, 1.0, shape_of(x)).astype(x.dtype) * _scale(x) for x in leaves]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                quick = complex_step(call, leaves, v)
                slow = quick and differences(call, leaves, v)
            except Exception:  # whatever extended precision met: the function does not take it
                return None
        if quick is None or slow is None:
            return None
        if any(judge(t, slow, i) != "agree" for i, t in enumerate(quick.values)):
            return None
    drawn = _drawn(subject.n, most / evaluations(complex_step), rng)
    matrix = np.zeros((subject.m, len(drawn)), leaves[0].dtype if leaves else float)
    bars = np.zeros(matrix.shape)
    with _silent():
        for k, j in enumerate(drawn):
            found = complex_step(call, leaves, _unit(leaves, j))
            if found is None:
                return None
            matrix[:, k], bars[:, k] = _joined(found.values), SAFETY * _joined(found.errors)
    extended = np.finfo(matrix.dtype).eps < np.finfo(float).eps
    name = f"complex step{' in extended precision' if extended else ''}"
    return Oracle(name, matrix, bars, drawn, subject.n)


# --------------------------------------------------------------------------------------------------
# differences


def _by_extended_differences(subject: Subject, most: float, rng: np.random.Generator) -> Oracle | None:
    """Return columns by extrapolated differences in extended precision; None where the function drops it."""
    if np.finfo(np.longdouble).eps >= np.finfo(float).eps:
        return None
    leaves = _wide(subject, np.longdouble)
    try:
        with _silent():
            found = subject.run(leaves)
    except Exception:  # whatever extended precision met
        return None
    if not all(dtype_of(v) == np.longdouble for v in found):
        return None
    return _differenced(subject, leaves, "differences in extended precision, extrapolated", most, rng)


def _by_differences(subject: Subject, most: float, rng: np.random.Generator) -> Oracle:
    """Return columns by extrapolated differences."""
    return _differenced(subject, _wide(subject, np.float64), "differences, extrapolated", most, rng)


def _differenced(subject: Subject, leaves: list[Any], name: str, most: float, rng: np.random.Generator) -> Oracle:
    drawn = _drawn(subject.n, most / evaluations(differences), rng)
    matrix = np.zeros((subject.m, len(drawn)), leaves[0].dtype if leaves else float)
    bars = np.full(matrix.shape, np.inf)
    call = _quiet(subject)
    with _silent():
        for k, j in enumerate(drawn):
            unit = _unit(leaves, j)
            v = [d * _scale(x) for d, x in zip(unit, leaves, strict=True)]
            size = max([float(np.max(d, initial=0.0)) for d in v])
            found = differences(call, leaves, v)
            matrix[:, k], bars[:, k] = _joined(found.values) / size, SAFETY * _joined(found.errors) / size
    scale = float(np.max(np.abs(subject.value), initial=0.0) / (np.max(np.abs(subject.point), initial=0.0) or 1.0))
    return Oracle(name, matrix, bars, drawn, subject.n, scale if np.isfinite(scale) else 0.0)


ORACLES: dict[str, Callable[[Subject, float, np.random.Generator], Oracle | None]] = {
    "complex": _by_complex_step,
    "extended": _by_extended_differences,
    "differences": _by_differences,
}
"""The oracles by name, in the order in which they are tried."""


# --------------------------------------------------------------------------------------------------
# points and directions


def _quiet(subject: Subject) -> Callable[[list[Any]], list[Any]]:
    return lambda leaves: [np.asarray(v) for v in subject.run(leaves)]


def _wide(subject: Subject, dtype: Any) -> list[Any]:
    """Return the point in at least a precision."""
    return [np.asarray(x).astype(np.result_type(dtype_of(x), dtype)) for x in subject.leaves]


def _drawn(n: int, most: float, rng: np.random.Generator) -> Any:
    most = max(most, SAMPLE)
    return np.arange(n) if n <= most else np.sort(rng.choice(n, int(most), replace=False))


def _unit(leaves: list[Any], j: int) -> list[Any]:
    found = [np.zeros(shape_of(x), x.dtype) for x in leaves]
    for v in found:
        if j < size_of(v.shape):
            v.reshape(-1)[j] = 1
            break
        j -= size_of(v.shape)
    return found


def _scale(x: Any) -> Any:
    size = np.abs(x)
    return np.where(size == 0, np.ones_like(size), size)


def _joined(parts: list[Any]) -> Any:
    return np.concatenate([np.reshape(p, -1) for p in parts])


@contextmanager
def _silent() -> Iterator[None]:
    """Silence what NumPy says of points that a step has moved out of the domain."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
