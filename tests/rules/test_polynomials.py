"""Polynomials by their coefficients, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from tests.rules.worked import both


def test_polynomials() -> None:
    both(lambda x: np.polyval([1, 2, 3], x), 2.0, 6.0)
    both(lambda p: np.polyval(p, 2.0), [1, 2, 3], [4, 2, 1])
    both(lambda x: np.polyval(np.poly1d([1, 2, 3]), x), 2.0, 6.0)
    both(np.roots, [1, -3, 2], [[-4, -2, -1], [1, 1, 1]])
    with pytest.raises(UnsupportedFunctionError, match=r"np.polyfit with full="):
        dd.jacfwd(lambda y: np.polyfit(np.arange(3.0), y, 1, full=True))(np.ones(3))
