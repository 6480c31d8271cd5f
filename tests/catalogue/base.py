"""What a sample is: one call of a NumPy function, and a strategy for arrays inside its domain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

#: domain name -> strategy of floats well inside it (and away from kinks)
DOMAINS: dict[str, st.SearchStrategy[float]] = {
    "real": st.floats(-3, 3, width=32),
    "positive": st.floats(0.25, 4, width=32),
    "nonnegative": st.floats(0.25, 4, width=32),
    "nonzero": st.floats(0.25, 4, width=32).flatmap(lambda v: st.sampled_from([v, -v])),
    "unit": st.floats(-0.875, 0.875, width=32),  # |x| < 1
    "above one": st.floats(1.25, 4, width=32),
    "above minus one": st.floats(-0.75, 4, width=32),
    "above half": st.floats(0.625, 1.75, width=32),
    "above two": st.floats(2.25, 6, width=32),
    "above three": st.floats(3.25, 6, width=32),
    "negative": st.floats(-4, -0.25, width=32),
    "inner": st.floats(0.125, 0.875, width=32),
    "probability": st.floats(0.125, 0.875, width=32),
    "small probability": st.floats(0.0625, 0.375, width=32),
    "small parameter": st.floats(0.5, 3, width=32),
    "degree": st.floats(0.5, 4, width=32),
    "degrees": st.floats(5, 85, width=32),
}


def arrays(shape: Any, domain: str = "real") -> st.SearchStrategy[Any]:
    """float64 arrays of a shape (or of a strategy of shapes) with every entry drawn by itself.

    Without ``fill=nothing`` most entries would be one value, and land on ties.
    """
    return hnp.arrays(np.float64, shape, elements=DOMAINS[domain], fill=st.nothing())


def distinct(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """float64 arrays whose entries differ by at least 0.25: for sort, max, median and the like."""
    n = int(np.prod(shape))
    return st.permutations(range(n)).map(lambda p: np.array(p, dtype=np.float64).reshape(shape) * 0.5 - n / 4 + 0.1)


TINY = 1e-3
"""What is not drawn where a function's own value does not tell numbers apart that are smaller."""


def without_tiny(x: Any) -> Any:
    """Put zeros for numbers that are tiny."""
    return np.where(np.abs(x) < TINY, 0.0, x)


@dataclass(frozen=True, slots=True)
class Sample:
    """One call to put through the laws.

    ``call(*arrays)`` is plain NumPy; ``operands`` draws the tuple of float64 arrays it is differentiated in.
    """

    name: str
    function: Any  # the NumPy function (or ufunc) the sample is for: the census counts by it
    call: Callable[..., Any]
    operands: st.SearchStrategy[tuple[Any, ...]]
    float32: bool = True  # whether float32 input must give float32 output
    second: bool = True  # whether second derivatives are compared (false at rows that are refused there)
    duck: bool = True  # whether it must run on an array type that refuses coercion
    truth: bool = True  # whether the function's own value is exact enough to be differenced
    #: whether it is differentiated at complex points as well, or in which operands; None: if the row says so, and no other
    #: sample of it does
    complex: bool | tuple[int, ...] | None = None
    tiny: bool = True  # whether its value tells complex numbers much smaller than 1 apart: 1 + 1e-21j is 1 to some
