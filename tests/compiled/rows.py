"""What programs of the rows are made of: points of a sample, and its derivatives there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings

import dualdiff as dd


def points_of(sample: Any, count: int) -> list[Any]:
    """Return operands that the sample's strategy draws."""
    points: list[Any] = []

    @settings(max_examples=count)
    @given(sample.operands)
    def draw(operands: Any) -> None:
        points.append(operands)

    draw()
    return points


def derivatives_of(sample: Any) -> Callable[..., Any]:
    """Return the function of a sample's operands that gives its value and its derivatives by all that vary."""

    def derivatives(*operands: Any) -> Any:
        places = tuple(i for i, x in enumerate(operands) if np.asarray(x).dtype.kind == "f")
        return dd.value_and_jacobian(sample.call, places)(*operands)

    return derivatives
