"""What functions of other libraries say of differentiated values is said again in words, and sends a run to what can take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.signal import butter, sosfilt
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

import dualdiff as dd
from dualdiff.errors import ForeignError, TracedConversionError

X = np.linspace(-1.0, 1.0, 12)
SECTIONS = butter(4, 0.3, output="sos")
FACTORS = splu(csc_array(np.eye(12) * 3 + np.eye(12, k=1)))


@pytest.mark.parametrize(
    ("f", "error"),
    [(lambda x: sosfilt(SECTIONS, x), TracedConversionError), (lambda x: FACTORS.solve(x), ForeignError)],
    ids=["filter", "factors"],
)
def test_compiled_functions_are_exchanged_once_they_were_met(f: Any, error: type[Exception]) -> None:
    np.testing.assert_allclose(dd.jacobian(f)(X), np.stack([f(e) for e in np.eye(12)], axis=1), atol=1e-13)
    with pytest.raises(error, match="value that is being differentiated"):
        dd.jacobian(f, capture="never")(X)
