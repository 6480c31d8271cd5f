"""Who holds an array: whether a buffer is the engine's alone, so that it may be written into and need not be copied.

An array that one slot holds and nobody else can be written into unnoticed: no user, no closure, no view and no equation
of a tape sees it. CPython counts the holders of every object, and the engine asks for that count in one way only, while
the array lies in its *slot*: an item of a list or tuple, or an attribute. ::

    holders(slots[i]) == SOLE

A slot is memory of its own, so what it holds is counted, and so is what reading it puts at hand for the call. A local
variable is another matter: since Python 3.14 the interpreter lends what a local holds to calls without counting it, and
how many references a call adds has changed before. Hence no question names a local (a test holds the library to that),
and a local that happens to hold the array as well makes the answer "no": a copy too many, never a write into what
somebody else reads.

Each interpreter is asked at import whether it counts as described, in the situations the engine meets. One that answers
otherwise, does not count at all, or lets threads hold arrays behind the count's back, owns nothing: every answer is "no",
and every write takes a copy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

SOLE = 2
"""What ``holders`` says of an object that only one slot holds: the slot and the question."""
_MANY = 1 << 30
_ROUNDS = 40  # an interpreter exchanges instructions for quicker ones once they have run some times


def _unknown(_x: Any, /) -> int:
    """Answer for an interpreter whose count means nothing: anybody may hold it."""
    return _MANY


class _Box:
    __slots__ = ("value",)
    value: Any


def _within(count: Callable[[Any], int], slots: Any, *_held: Any) -> int:
    return count(slots[0])


def _beside(count: Callable[[Any], int], slots: Any, _held: Any) -> int:
    return count(slots[0])


def counts_as_known(count: Callable[[Any], int]) -> bool:
    """Whether a count of holders is ``SOLE`` for what one slot holds, and more for what anybody else holds as well."""
    if count(np.zeros(1)) >= SOLE:  # a temporary: the question alone
        return False
    box, other = _Box(), _Box()
    for _ in range(_ROUNDS):
        slots: list[Any] = [np.zeros(2), None]
        alone = [count(slots[0]), _within(count, slots)]
        slots[0], slots[1] = None, slots[0]  # handed on from slot to slot
        alone.append(count(slots[1]))
        box.value = slots[1]
        slots[1] = None
        alone.append(count(box.value))
        new = np.add(box.value, 1.0, out=box.value)  # written into, and held by a local in between
        box.value = new
        new = None
        alone.append(count(box.value))
        pair = [(box, np.add(box.value, 1.0))]
        alone += [count(pair[0][1]), count(pair[0][0].value), _within(count, [box.value + 1.0])]
        if alone != [SOLE] * len(alone):
            return False

        local = box.value
        slots[0] = local
        box.value = None
        shared = [count(slots[0]), _within(count, slots), _beside(count, slots, local), _within(count, slots, local)]
        local = None
        shared += [_beside(count, slots, slots[0]), _within(count, slots, slots[0])]  # held by a parameter alone
        other.value = slots[0]
        shared += [count(slots[0]), count(other.value)]
        other.value = slots[0][1:]
        shared += [count(slots[0]), _within(count, slots)]  # a view holds its base
        other.value = None
        if min(shared) <= SOLE or count(slots[0]) != SOLE:
            return False
    return True


def counter() -> Callable[[Any], int]:
    """Return what counts the holders of an object on this interpreter; where none can be relied on, the answer is many."""
    count = getattr(sys, "getrefcount", None)
    if count is None or "free-threading" in sys.version or not counts_as_known(count):
        return _unknown
    return count


holders = counter()
"""The number of holders of the object in a slot, the question among them."""
OWNS = holders is not _unknown
"""Whether this interpreter tells who holds an array; if not, every write copies."""

__all__ = ["OWNS", "SOLE", "counter", "counts_as_known", "holders"]
