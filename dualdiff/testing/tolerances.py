"""One table: how closely two ways to the same derivative must agree, by precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.shapes import dtype_of

TOLERANCES: dict[str, float] = {
    "float16": 3e-2,
    "float32": 2e-5,
    "float64": 1e-10,
    "longdouble": 1e-13,
}
"""Allowed difference, relative to the size of the terms that were added up."""


def tolerance(*values: Any) -> float:
    """Return the tolerance of the coarsest precision among some values or dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> tolerance(np.float32(1), 1.0)
    2e-05
    """
    worst = 0.0
    for v in values:
        dtype = v if isinstance(v, np.dtype) else dtype_of(v)
        real = np.finfo(dtype).dtype if dtype.kind in "fc" else np.dtype(np.float64)
        name = {2: "float16", 4: "float32", 8: "float64"}.get(real.itemsize, "longdouble")
        worst = max(worst, TOLERANCES[name])
    return worst or TOLERANCES["float64"]
