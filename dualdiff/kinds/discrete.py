"""Functions with integer, boolean or piecewise constant values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dualdiff.kinds.base import Primitive, Sweep


class Discrete(Primitive):
    """A function whose result is piecewise constant: recorded, so that a tape can be replayed, but without tangent."""

    kind = "discrete"
    differentiable = False

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        return None

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        return [None] * len(ins)

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        return False, (False,) * len(active)
