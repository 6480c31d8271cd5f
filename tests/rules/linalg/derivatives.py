"""First and second derivatives of functions of matrices, by every pair of modes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.testing import assert_allclose

import dualdiff as dd

L = np.linalg
MODES = [dd.jacfwd, dd.jacrev]
SECOND = [lambda f: dd.jacfwd(dd.jacrev(f)), lambda f: dd.jacrev(dd.jacfwd(f)), lambda f: dd.jacrev(dd.jacrev(f))]
ALL_SECOND = [*SECOND, lambda f: dd.jacfwd(dd.jacfwd(f))]


def both(f: Any, x: Any, expected: Any, tol: float = 1e-12) -> None:
    for mode in MODES:
        assert_allclose(mode(f)(np.asarray(x, float)), expected, rtol=tol, atol=tol)


def second(f: Any, x: Any, expected: Any, tol: float = 1e-10) -> None:
    for mode in SECOND:
        assert_allclose(mode(f)(np.asarray(x, float)), expected, rtol=tol, atol=tol)
