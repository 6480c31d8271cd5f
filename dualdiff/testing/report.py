"""What a check found: a report, or an error that says what is wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from dualdiff.errors import DerivativeError, InputError
from dualdiff.testing.verdict import Verdict

__all__ = ["LOGGER", "CheckError", "Doubt", "InconclusiveError", "Report", "name_of"]

LOGGER = logging.getLogger("dualdiff.testing")
"""Hears of every report."""
LISTED = 5
"""Doubts that a report prints."""


class CheckError(DerivativeError, AssertionError):
    """Two witnesses disagree about a derivative."""


class InconclusiveError(DerivativeError, AssertionError):
    """No witness could decide, and that was not allowed."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """An entry about which no witness could decide.

    Attributes
    ----------
    entry : str
        Its name, such as ``J[3, 1]``, or a direction's.
    given : complex
        What the derivative under test says.
    found, error : complex, float
        What the witness says, and how far that may be off; NaN and infinity where it knows nothing.
    why : str
        The reason.
    advice : str
        What to do about it.
    """

    entry: str
    given: Any
    found: Any
    error: float
    why: str
    advice: str

    def __str__(self) -> str:
        known = "nothing is known" if not self.error < float("inf") else f"{self.found:.6g} ± {self.error:.1g}"
        return f"{self.entry}: given {self.given:.6g}, by the witness {known}: {self.why}; {self.advice}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found: one line per witness, and the verdict.

    Attributes
    ----------
    verdict : str
        "agree", or "inconclusive" where neither the differences nor the complex step could decide at the point that was given:
        close to a kink, at the edge of a domain, or for a noisy function. (A disagreement is raised, not reported.)
    lines : tuple of str
        What agreed with what.
    doubts : tuple of Doubt
        The entries about which nothing could be decided, each with its width, the reason and what to do.
    evaluations : int
        How often the function was evaluated by the witness.
    """

    verdict: Verdict
    lines: tuple[str, ...]
    doubts: tuple[Doubt, ...] = ()
    evaluations: int = 0

    def __post_init__(self) -> None:
        LOGGER.debug("%s", self, extra={"report": self})

    def __str__(self) -> str:
        listed = [f"inconclusive: {d}" for d in self.doubts[:LISTED]]
        if len(self.doubts) > LISTED:
            listed.append(f"inconclusive: {len(self.doubts) - LISTED} more entries")
        return "\n".join([*self.lines, *listed, f"verdict: {self.verdict}"])

    def raise_unless_agreed(self, inconclusive: Literal["raise", "ignore"] = "raise") -> Report:
        """Raise if no witness could decide, unless that is to be ignored; return the report itself.

        Parameters
        ----------
        inconclusive : {"raise", "ignore"}
            Whether a verdict of "inconclusive" is an error.

        Returns
        -------
        Report
            This report.

        Raises
        ------
        InconclusiveError
            With the entries, how wide their error bars are, the reasons, and what to do.

        Examples
        --------
        >>> import numpy as np
        >>> from dualdiff.testing import check_jacobian
        >>> at_a_kink = check_jacobian(abs, np.sign, 0.0)
        >>> at_a_kink.verdict
        'inconclusive'
        >>> at_a_kink.raise_unless_agreed(inconclusive="ignore").verdict
        'inconclusive'
        """
        __tracebackhide__ = True
        if inconclusive not in ("raise", "ignore"):
            raise InputError(f"inconclusive is 'raise' or 'ignore', not {inconclusive!r}")
        if self.verdict != "agree" and inconclusive == "raise":
            raise InconclusiveError(str(self))
        return self


def name_of(f: Callable[..., Any]) -> str:
    """Return what to call a function in a message."""
    return str(getattr(f, "__name__", None) or type(f).__name__)
