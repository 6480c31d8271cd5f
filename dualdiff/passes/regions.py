"""Regions of an array that basic indices name: which lies in which, and which have nothing in common.

A read of what was just written is the value that was written, and a write hides one before it in the same place: so loads are
forwarded from stores, and dead stores left out (Muchnick, *Advanced Compiler Design and Implementation*, Morgan Kaufmann 1997,
sections 12.6 and 18.10).
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Region", "Write", "region"]


class Region(NamedTuple):
    """The entries that slices and integers pick, axis by axis; an axis that an integer is for is dropped."""

    axes: tuple[range, ...]
    dropped: tuple[bool, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """That of what is picked."""
        return tuple([len(r) for r, is_dropped in zip(self.axes, self.dropped, strict=True) if not is_dropped])

    def inside(self, outer: Region) -> tuple[slice | int | None, ...] | None:
        """Return the index that picks this region out of what another one picks; None where it is no part of it."""
        found: list[slice | int | None] = []
        for mine, other, drops, is_dropped in zip(self.axes, outer.axes, self.dropped, outer.dropped, strict=True):
            if not len(mine) or mine[0] not in other or mine[-1] not in other:
                return None
            if len(mine) > 1 and mine.step % other.step:
                return None
            if is_dropped:
                if not drops:
                    found.append(None)
                continue
            start = (mine[0] - other[0]) // other.step
            if drops:
                found.append(start)
                continue
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
    """Return what an index picks, if it is integers and slices that ascend; None of any other."""
    parts = index if type(index) is tuple else (index,)
    if len(parts) > len(shape) or any(type(i) is not slice and type(i) is not int for i in parts):
        return None
    parts = (*parts, *(slice(None),) * (len(shape) - len(parts)))
    axes = []
    for i, n in zip(parts, shape, strict=True):
        if type(i) is not int:
            axes.append(range(*i.indices(n)))
        elif -n <= i < n:
            axes.append(range(i % n, i % n + 1))
        else:
            return None
    return Region(tuple(axes), tuple([type(i) is int for i in parts])) if all(r.step > 0 for r in axes) else None
