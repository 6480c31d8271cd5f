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
