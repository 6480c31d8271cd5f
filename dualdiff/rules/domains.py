"""``np.emath``: functions that go over to complex numbers where a real argument leaves their domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib import scimath

from dualdiff.register import composite
from dualdiff.rules.elementwise import cast
from dualdiff.shapes import dtype_of
from dualdiff.values import operand


def _complex_where(leaves: Callable[[Any], Any], x: Any) -> Any:
    """Return an argument as a complex one if an entry of it leaves the domain: a decision, which a recording notes."""
    x = operand(x)
    if dtype_of(x).kind == "c" or not bool(np.any(leaves(x))):
        return x
    return cast(x, np.result_type(dtype_of(x), np.complex64))


def _below_zero(x: Any) -> Any:
    return np.less(x, 0)


def _beyond_one(x: Any) -> Any:
    return np.logical_or(np.less(x, -1), np.greater(x, 1))  # of the absolute value it would be asked at a kink


def _extended(function: Any, plain: Any, leaves: Callable[[Any], Any]) -> None:
    def handler(x: Any) -> Any:
        return plain(_complex_where(leaves, x))

    composite(function)(handler)


for _name, _leaves in (
    ("sqrt", _below_zero),
    ("log", _below_zero),
    ("log2", _below_zero),
    ("log10", _below_zero),
    ("arccos", _beyond_one),
    ("arcsin", _beyond_one),
    ("arctanh", _beyond_one),
):
    _extended(getattr(scimath, _name), getattr(np, _name), _leaves)


@composite(scimath.logn)
def logn(n: Any, x: Any) -> Any:
    """``np.emath.logn``."""
    return np.log(_complex_where(_below_zero, x)) / np.log(_complex_where(_below_zero, n))


@composite(scimath.power)
def power(x: Any, p: Any) -> Any:
    """``np.emath.power``: a negative base makes it complex, a negative integer exponent a fraction."""
    x, p = _complex_where(_below_zero, x), operand(p)
    if dtype_of(p).kind in "iu" and bool(np.any(_below_zero(p))):
        p = p * 1.0
    return np.power(x, p)
