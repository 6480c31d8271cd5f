"""Regions of an array that basic indices name: which lies in which, and which have nothing in common.

A read of what was just written is the value that was written, and a write hides one before it in the same place: so loads are
forwarded from stores, and dead stores left out (Muchnick, *Advanced Compiler Design and Implementation*, Morgan Kaufmann 1997,
sections 12.6 and 18.10).
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Region", "Write", "region"]


class Region(NamedTuple):
    """The entries that slices pick, axis by axis."""

    axes: tuple[range, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """That of what is picked."""
        return tuple(map(len, self.axes))

    def inside(self, outer: Region) -> tuple[slice, ...] | None:
        """Return slices that pick this region out of what another one picks; None where it is no part of it."""
        found = []
        for mine, other in zip(self.axes, outer.axes, strict=True):
            if not len(mine) or mine[0] not in other or mine[-1] not in other:
                return None
            if len(mine) > 1 and mine.step % other.step:
                return None
            start = (mine[0] - other[0]) // other.step
            step = mine.step // other.step if len(mine) > 1 else 1
            found.append(slice(start, start + step * (len(mine) - 1) + 1, step))
        return tuple(found)

    def is_apart(self, other: Region) -> bool:
        """Whether it is seen at once that two regions have no entry in common."""
        for a, b in zip(self.axes, other.axes, strict=True):
            if not len(a) or not len(b) or a[-1] < b[0] or b[-1] < a[0]:
                return True
            if a.step == b.step and (a[0] - b[0]) % a.step:
                return True
        return False


class Write(NamedTuple):
    """A value that was made by writing into another one: what was written into, what was written, and where."""

    base: int
    written: int
    region: Region


def region(index: Any, shape: tuple[int, ...]) -> Region | None:
    """Return what an index picks, if it is slices that ascend; None of any other."""
    parts = index if type(index) is tuple else (index,)
    if len(parts) > len(shape) or any(type(i) is not slice for i in parts):
        return None
    rest = (slice(None),) * (len(shape) - len(parts))
    axes = tuple([range(*i.indices(n)) for i, n in zip((*parts, *rest), shape, strict=True)])
    return Region(axes) if all(r.step > 0 for r in axes) else None
