"""The root of a squared distance: it has a kink where two points coincide, and its square has none."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.kinds import Elementwise
from dualdiff.kinds.kinks import Kink
from dualdiff.rules.elementwise import over
from dualdiff.values import bind, number

distance_ = Elementwise(
    "distance",
    lambda squared: number(np.sqrt(squared)),
    lambda d, _squared: over(0.5, d),
)
distance_.plain = False
distance_.under = lambda squared: squared
distance_.kink = Kink(
    lambda d, _squared: np.abs(d),
    "0",
    "differentiate the squared distance, or add a small number under the root",
    "the distance of points that coincide",
)


def distance(squared: Any) -> Any:
    """Return a distance, given its square; where points coincide its slope is 0."""
    return bind(distance_, (squared,), {})


__all__ = ["distance", "distance_"]
