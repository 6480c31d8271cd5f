"""Jacobians and second derivatives held to what was worked out by hand, in every mode."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.testing import assert_allclose

import dualdiff as dd

MODES = [dd.jacfwd, dd.jacrev]
SECOND = [lambda f: dd.jacfwd(dd.jacrev(f)), lambda f: dd.jacrev(dd.jacfwd(f)), lambda f: dd.jacrev(dd.jacrev(f))]


def both(f: Any, x: Any, expected: Any) -> None:
    for mode in MODES:
        assert_allclose(mode(f)(np.asarray(x, float)), expected, rtol=1e-12, atol=1e-14)


def second(f: Any, x: Any, expected: Any) -> None:
    for mode in SECOND:
        assert_allclose(mode(f)(np.asarray(x, float)), expected, rtol=1e-12, atol=1e-14)


def modes_agree(f: Any, x: Any) -> Any:
    """Return the Jacobian, having checked that both modes agree on it and on NumPy's value."""
    x = np.asarray(x, dtype=float)
    np.testing.assert_array_equal(dd.vjp(f, x)[0], f(x.copy()))
    columns, rows = dd.jacfwd(f)(x), dd.jacrev(f)(x)
    np.testing.assert_allclose(columns, rows, rtol=1e-14, atol=1e-14)
    return rows
