"""What happens at a kink: the convention is taken, or an error is raised."""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

from dualdiff.errors import InputError, NonDifferentiablePointError
from dualdiff.passes.diagnosis import first_kink
from dualdiff.tape import Tape

CONVENTION, RAISE = "convention", "raise"
SETTING: ContextVar[str] = ContextVar("dualdiff_kinks", default=CONVENTION)


class kinks:  # noqa: N801  (a function to its users, and a context)
    """Say what happens where a function is evaluated exactly at a kink or tie.

    By default one element of the generalized derivative is taken there, by a documented convention: 0 for ``abs`` at 0,
    even shares for entries that tie for a maximum. With ``"raise"`` that is an error, which names the function, the
    line, the entries and the convention.

    A call sets it, for this thread or task and until the next call; as a context it sets it for a block.

    Parameters
    ----------
    setting : {"convention", "raise"}
        What to do.

    Raises
    ------
    InputError
        If the setting is neither.

    Notes
    -----
    With ``"raise"`` operators run the function once more, on a tape that keeps everything: side effects happen twice, and
    a call takes several times as long. Eager tensors are looked at by ``backward``.

    What has no part in the derivative is left out: a norm that is only squared is smooth. But a median or a quantile sorts, and
    ties anywhere in its data count.

    Comparisons are not kinks: ``np.where(x > 0, x, 0)`` at 0 says itself what it takes.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> with dd.kinks("raise"):
    ...     dd.grad(np.abs)(2.0)
    1.0
    >>> with dd.kinks("raise"):
    ...     try:
    ...         dd.grad(lambda x: np.max(x))(np.array([3.0, 1.0, 3.0]))
    ...     except dd.errors.NonDifferentiablePointError as error:
    ...         print(error.function, "|", error.convention)
    np.max | shared evenly among the entries that tie
    """

    __slots__ = ("_token",)

    def __init__(self, setting: str) -> None:
        if setting not in (CONVENTION, RAISE):
            raise InputError(f'dd.kinks takes "{CONVENTION}" or "{RAISE}", not {setting!r}')
        self._token: Token[str] = SETTING.set(setting)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        SETTING.reset(self._token)


def raises() -> bool:
    """Whether kinks are errors now."""
    return SETTING.get() == RAISE


def check(tape: Tape) -> None:
    """Raise if a recorded run met a kink."""
    found = first_kink(tape)
    if found is not None:
        raise NonDifferentiablePointError(
            f'{found}\n  dd.kinks("{CONVENTION}") goes on with what is taken there by convention.',
            found.function,
            found.line,
            found.entries,
            found.convention,
        )


def unchecked(call: Any) -> Any:
    """Call a function while kinks are no errors."""
    token = SETTING.set(CONVENTION)
    try:
        return call()
    finally:
        SETTING.reset(token)


__all__ = ["SETTING", "check", "kinks", "raises", "unchecked"]
