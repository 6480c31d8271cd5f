"""What a method for a Jacobian is, and what is known of the work it will be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from dualdiff.lab.subject import Subject
from dualdiff.passes.multiplications import Multiplications

__all__ = ["EXACT", "HALF", "THIRD", "Method", "Work"]

EXACT = 1e-10
"""How far from the oracle a method may be that is off by rounding alone, relative to the size of the terms, in double precision."""
HALF, THIRD = 1e-5, 1e-7
"""The same for differences to one side and to both: at a benign point about half or two thirds of the sixteen digits are left,
and three more are given for curvature and cancellation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a method takes, counted or predicted and not measured; None where it is not known.

    Attributes
    ----------
    passes : int or None
        Directions pushed, covectors pulled, colours, or columns differenced.
    evaluations : int or None
        How often the function runs.
    multiplications : Multiplications or None
        Of partial derivatives, in the unit of vertex elimination, with the additions that go with them.
    nonlinear : int or None
        Nonlinear evaluations (see :func:`dualdiff.passes.multiplications.nonlinear`) in all runs of the function together.
    tape : int or None
        Bytes that a recording holds.
    predicted : int or None
        Bytes alive at once beside the function's own values, the result included, as predicted.
    seconds : float or None
        The time predicted.
    """

    passes: int | None = None
    evaluations: int | None = None
    multiplications: Multiplications | None = None
    nonlinear: int | None = None
    tape: int | None = None
    predicted: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method for a Jacobian.

    Attributes
    ----------
    name : str
        What its row is called.
    exact : bool
        Whether it is off by rounding alone, so that a larger difference is an error.
    tolerance : float
        How far from the oracle it may be, relative to the size of the terms, in double precision.
    """

    name: str
    exact: bool = True
    tolerance: float = EXACT

    group: ClassVar[str] = ""
    """What several methods are asked for by together."""

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        """Return what computes the Jacobian, in any form that `Subject.matrix` takes.

        Raises
        ------
        InputError
            If the method does not apply.
        """
        raise NotImplementedError

    def work(self, subject: Subject) -> Work:
        """Return what it takes, as far as that is known without running it."""
        return Work()

    def seconds(self, subject: Subject) -> float | None:
        """Return about how many seconds it takes, if that is known before its work is counted."""
        return None

    def applies(self, subject: Subject) -> bool:
        """Whether it is worth a row where nobody asked for it by name."""
        return True
