"""Diagonals, and matrices made of them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from dualdiff.kinds import Movement, Sweep
from dualdiff.register import composite, register
from dualdiff.rules.movement.layout import ravel
from dualdiff.rules.movement.transposing import moveaxis
from dualdiff.shapes import negative_axes, shape_of
from dualdiff.values import bind, operand


def _diagonal(x: Any, *, offset: int) -> Any:
    return np.diagonal(x, offset, -2, -1)


class Diagonal(Movement):
    """A diagonal of the last two axes; its transpose puts it back among zeros."""

    view: Any = "read-only"
    pads = False

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return np.diagonal(tangents[0], params["offset"], -2, -1)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        whole = np.zeros_like(g, shape=sweep.lead + shape_of(args[0]))
        whole[(Ellipsis, *_diagonal_entries(params["offset"], shape_of(g)[-1]))] = g
        return (whole,)


def _diagonal_entries(k: int, n: int) -> tuple[Any, Any]:
    return np.arange(max(-k, 0), max(-k, 0) + n), np.arange(max(k, 0), max(k, 0) + n)


_last_diagonal = Diagonal("np.diagonal", _diagonal)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    a = operand(a)
    n = len(shape_of(a))
    if n < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    i, j = negative_axes((axis1, axis2), n)
    if (i, j) != (-2, -1):
        a = moveaxis(a, (i, j), (-2, -1))
    return bind(_last_diagonal, (a,), {"offset": operator.index(offset)})


register(np.diagonal, "movement", diagonal, primitive=_last_diagonal)


@composite(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return diagonal(x, offset, -2, -1)


@composite(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    v = operand(v)
    if len(shape_of(v)) == 2:
        return diagonal(v, k)
    if len(shape_of(v)) != 1:
        raise ValueError("Input must be 1- or 2-d.")
    k = operator.index(k)
    size = shape_of(v)[0] + abs(k)
    out = np.zeros_like(v, shape=(size, size))
    out[_diagonal_entries(k, shape_of(v)[0])] = v
    return out


@composite(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    return diag(ravel(v), k)
