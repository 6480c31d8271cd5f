"""Padding with traced constants, with nothing, by axis."""

from __future__ import annotations

import numpy as np

from tests.rules.worked import modes_agree
from tests.versions import NUMPY


def test_pad_with_traced_constants() -> None:
    jacobian = modes_agree(lambda x: np.pad(0.0 * x[:1], (1, 2), constant_values=(x[0], 3.0 * x[1])), [1.0, 2.0])
    np.testing.assert_array_equal(jacobian, [[1, 0], [0, 0], [0, 3], [0, 3]])
    corners = modes_agree(
        lambda x: np.pad(0.0 * x[:1].reshape(1, 1), 1, constant_values=((x[0], x[0]), (x[1], x[1]))), [1.0, 2.0]
    )
    np.testing.assert_array_equal(corners[..., 0], [[0, 1, 0], [0, 0, 0], [0, 1, 0]])


def test_pad_empty_and_dict_of_widths() -> None:
    assert modes_agree(lambda x: np.pad(x, 1, "empty")[1:-1], [1.0, 2.0]).tolist() == np.eye(2).tolist()
    if NUMPY >= (2, 4):
        assert modes_agree(lambda x: np.pad(x[None], {-1: (0, 1)}), [1.0, 2.0]).shape == (1, 3, 2)
