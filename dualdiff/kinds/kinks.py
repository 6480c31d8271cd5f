"""Where a function has no derivative of its own: what a row says of its kinks and ties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Kink(NamedTuple):
    """Where a row has kinks, and what is taken for the derivative there.

    Attributes
    ----------
    distance : callable
        ``(out, *args, **params)`` of plain values: how far from the nearest kink every entry is, 0 exactly at one. Of two
        numbers that may tie it is their difference by the larger of them; of a number that may be 0, its size.
    convention : str
        What is taken for the derivative.
    advice : str
        What to write instead.
    name : str
        What users call the function, where the row has another name.
    """

    distance: Callable[..., Any]
    convention: str
    advice: str
    name: str = ""


def gap(a: Any, b: Any) -> Any:
    """Return how far two numbers are apart, relative to the larger one: 0 only if they are equal."""
    with np.errstate(all="ignore"):
        return np.where(np.equal(a, b), 0.0, np.abs(a - b) / np.maximum(np.abs(a), np.abs(b)))


def _lanes(x: Any, axis: tuple[int, ...]) -> Any:
    """Return the entries along some axes as the last one."""
    x = np.asarray(x)
    moved = np.moveaxis(x, axis, tuple(range(-len(axis), 0))) if axis else x[..., None]
    return moved.reshape(*moved.shape[: moved.ndim - max(len(axis), 1)], -1)


def apart(_out: Any, x: Any, *, axis: int) -> Any:
    """Return for each entry how far it is from the nearest other one along an axis."""
    x = np.moveaxis(np.asarray(x), axis, -1)
    order = np.argsort(x, axis=-1)
    ordered = np.take_along_axis(x, order, axis=-1)
    far = np.full((*x.shape[:-1], 1), np.inf)
    gaps = np.concatenate([far, gap(ordered[..., 1:], ordered[..., :-1]), far], axis=-1)
    nearest = np.empty(x.shape)
    np.put_along_axis(nearest, order, np.minimum(gaps[..., 1:], gaps[..., :-1]), axis=-1)
    return np.moveaxis(nearest, -1, axis)


def runner_up(sign: int) -> Callable[..., Any]:
    """Return the distance of each entry from the extremum (1: the largest, -1: the smallest), and of that from the next."""

    def distance(out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
        x = np.asarray(x)
        lanes = _lanes(sign * x, axis)
        if lanes.shape[-1] < 2:
            return np.full(x.shape, np.inf)
        two = np.sort(lanes, axis=-1)[..., -2:].reshape(
            *[1 if i - x.ndim in axis else n for i, n in enumerate(x.shape)], 2
        )
        best, second = sign * two[..., 1], sign * two[..., 0]
        return np.where(np.equal(x, best), gap(best, second), gap(x, best))

    return distance


def width(x: Any, axis: tuple[int, ...]) -> Any:
    """Return how far the smallest and the largest entry along some axes are apart."""
    lanes = _lanes(x, axis)
    return gap(lanes.min(axis=-1), lanes.max(axis=-1)) if lanes.shape[-1] else np.full(lanes.shape[:-1], np.inf)


def size(_out: Any, x: Any, *_others: Any) -> Any:
    """Return the size of a number that may be 0."""
    return np.abs(x)


def integer(_out: Any, x: Any) -> Any:
    """Return the distance from the nearest integer."""
    return np.abs(x - np.rint(x))


TIE = Kink(
    lambda _out, x, y: gap(x, y),
    "one half to each operand",
    "where it is smooth enough, np.logaddexp(k * x, k * y) / k is a smooth maximum; np.where(x > y, x, y) decides for one side",
)
"""Of a choice between two operands."""
JUMP = "0: the function is piecewise constant"

__all__ = ["JUMP", "TIE", "Kink", "apart", "gap", "integer", "runner_up", "size", "width"]
