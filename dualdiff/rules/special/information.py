"""Entropies and robust losses.

Huber's loss has a slope everywhere; its second derivative jumps where |r| = δ, and is the middle of both sides there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.rules.special.elementary import CORNER, quotient
from dualdiff.rules.special.rows import POSITIVE, REAL, row

row("entr", "x", lambda _y, x: -np.log(x) - 1, singular=True, domain=POSITIVE)


def _log_ratio(x: Any, y: Any) -> Any:
    """Return log(x/y), which keeps its digits where the two are nearly equal."""
    close = np.less(np.abs(x - y), 0.5 * y)
    return np.where(close, np.log1p(np.where(close, x - y, 0.0) / y), np.log(np.where(close, y, x) / y))


row(
    "rel_entr",
    "x y",
    lambda _z, x, y: _log_ratio(x, y) + 1,
    lambda _z, x, y: -quotient(x, y),
    singular=True,
    kink=CORNER,
    domain=(POSITIVE, POSITIVE),
)
row(
    "kl_div",
    "x y",
    lambda _z, x, y: _log_ratio(x, y),
    lambda _z, x, y: quotient(y - x, y) + np.logical_and(np.equal(x, 0), np.equal(y, 0)),
    singular=True,
    domain=(POSITIVE, POSITIVE),
)
row(
    "huber",
    "delta r",
    lambda _z, d, r: np.maximum(np.abs(r) - d, 0),
    lambda _z, d, r: np.minimum(np.maximum(r, -d), d),
    domain=(POSITIVE, REAL),
)


def _width(d: Any, r: Any) -> Any:
    return np.hypot(1, r / d)


def _pseudo_by_delta(d: Any, r: Any) -> Any:
    s = _width(d, r)
    return d * np.square(np.square(r / d) / (s + 1)) / s


row(
    "pseudo_huber",
    "delta r",
    lambda _z, d, r: _pseudo_by_delta(d, r),
    lambda _z, d, r: r / _width(d, r),
    domain=(POSITIVE, REAL),
)
