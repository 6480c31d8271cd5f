"""A program that runs, and what it runs as so far: flat code at first, and machine code once that pays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from time import perf_counter
from typing import Any

from dualdiff.compiled.calling import Way
from dualdiff.compiled.entrance import ALWAYS, Code
from dualdiff.compiled.flat import STEP, ChangedError, Flat, flat
from dualdiff.compiled.tiers import LARGE, START, Lowered, lowered
from dualdiff.passes.program import Program

__all__ = ["Running"]

LEAST = 0.1
"""Microseconds that any program takes."""


@dataclass(slots=True, eq=False)
class Running:
    """A program, and what it runs as so far.

    Attributes
    ----------
    program : Program
        The program.
    calls : int
        How often it has run.
    code : Code or None
        Machine code.
    reason : str or None
        Why there is none, and will be none.
    milliseconds : float
        What compiling it took.
    written : Flat or None
        Flat code.
    """

    program: Program
    _: KW_ONLY
    calls: int = 0
    lowered: Lowered | None = None
    code: Code | None = None
    reason: str | None = None
    milliseconds: float = 0.0
    written: Flat | None = None

    @property
    def flat(self) -> Flat:
        """The program as Python code, which is written when somebody wants it."""
        if self.written is None:
            self.written = flat(self.program)
        return self.written

    @property
    def running(self) -> Flat:
        """What runs."""
        return self.flat if self.code is None else self.code.flat

    @property
    def price(self) -> float:
        """What a run of the flat code is estimated to take, in microseconds."""
        price = STEP * len(self.program.steps) if self.written is None else self.written.price
        return max(price, LEAST)

    @property
    def is_large(self) -> bool:
        """Whether Python would take longer to compile its flat code than LLVM its machine code."""
        return len(self.program.steps) > LARGE

    @property
    def why(self) -> str:
        """Why it runs as what it does."""
        if self.code is not None:
            return f"compiled in {self.milliseconds:.0f} ms"
        return self.reason or "its calls have not paid for compiling"

    @property
    def is_settled(self) -> bool:
        """Whether there is no more to be decided about it."""
        return self.code is not None or self.reason is not None

    def pays_at(self) -> int:
        """Return the call after this one at which compiling may have paid."""
        if self.is_settled:
            return ALWAYS
        price = START if self.lowered is None else self.lowered.price
        return max(self.calls, int(price / self.price)) + 1

    def speed_up(
        self,
        inputs: Sequence[Any],
        agrees: Callable[[Sequence[Any]], bool],
        at_once: bool = False,
        way: Callable[[], Way | None] = lambda: None,
    ) -> bool:
        """Compile the program to machine code if its calls have paid for that; return whether it was.

        Parameters
        ----------
        inputs, agrees
            Where it is tried, and whether the outputs there are right.
        at_once : bool
            Whether not to wait. Nobody waits for a large one.
        way : callable
            How it is to be entered.
        """
        at_once = at_once or self.is_large
        spent = self.calls * self.price
        if self.is_settled or (not at_once and spent < START):
            return False
        if self.lowered is None:
            found = lowered(self.program, self.price)
            if isinstance(found, str):
                self.reason = found
                return False
            self.lowered = found
        if not at_once and spent < self.lowered.price:
            return False
        begun = perf_counter()
        code = self.lowered.compiled(way())
        self.milliseconds = 1e3 * (perf_counter() - begun)
        try:
            right = agrees(code.flat.run(*inputs))
        except ChangedError:
            right = False
        if right:
            self.code = code
        else:
            self.reason = "its machine code gives another result"
        return right
