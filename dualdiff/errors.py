"""Every error is a class: what happened, where in the user's code, and what to write instead."""

from __future__ import annotations

import os
import sys
from dis import opname
from types import CodeType, FrameType

import numpy as np

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_NOT_THE_USERS = (
    _HERE,
    os.path.dirname(os.path.abspath(np.__file__)) + os.sep,
    "<__array_function__",
)
_PANDAS = f"{os.sep}site-packages{os.sep}pandas{os.sep}"

__all__ = [
    "DegenerateDirectionError",
    "DegenerateError",
    "DerivativeError",
    "EscapedValueError",
    "GraphFreedError",
    "InPlaceError",
    "InputError",
    "NonScalarError",
    "RuleError",
    "TracedAssignmentError",
    "TracedConversionError",
    "UnsupportedFunctionError",
    "line_of",
    "line_of_traceback",
    "user_frame",
    "where",
]


class DerivativeError(Exception):
    """Base of every error dualdiff raises on purpose."""


class UnsupportedFunctionError(DerivativeError, TypeError):
    """A function outside the vocabulary, or one that has no derivative, met a traced value."""


class TracedConversionError(DerivativeError, TypeError):
    """A traced value was asked to become a plain number or array, which would drop its derivative."""


class TracedAssignmentError(DerivativeError, TypeError):
    """A traced value was to be stored in a plain array, which would drop its derivative."""


class DegenerateError(DerivativeError, np.linalg.LinAlgError):
    """A function of the vectors of equal eigenvalues or singular values, which have no derivative of their own."""


class DegenerateDirectionError(DegenerateError):
    """Forward mode cannot tell whether a function depends on the choice of such vectors; reverse mode can."""


class EscapedValueError(DerivativeError, RuntimeError):
    """A traced value was used after the operator that made it had returned."""


class InPlaceError(DerivativeError, RuntimeError):
    """A write that would make a derivative stale: into a leaf, or over a value saved for backward."""


class GraphFreedError(DerivativeError, RuntimeError):
    """A graph was asked for a second sweep after its saved values had been freed."""


class NonScalarError(DerivativeError, RuntimeError, TypeError):
    """A gradient was asked of a function or tensor that is not a scalar."""


class RuleError(DerivativeError, TypeError, ValueError):
    """A rule that a user gave returned what cannot be the derivative of its function, or cannot be used so."""


class InputError(DerivativeError, TypeError, ValueError):
    """An argument that cannot be differentiated, or does not fit."""


STORED_IN_PLAIN_ARRAY = (
    "this stores a value that is being differentiated in a plain NumPy array, which would lose its derivative. "
    "Make the array with np.zeros_like(x), np.empty_like(x) or dualdiff.numpy.zeros(…), or collect the entries in a "
    "list and use np.stack or np.array."
)


OUTLIVED = (
    "a value under differentiation outlived the operator that made it (it was stored outside the function, in a global, a "
    "list or a cache, or handed out by an inner function). Return it from the function that made it, and keep no results "
    "of a differentiated function from one call to the next."
)


def _instruction() -> str:
    """Return the name of the instruction at which the code that called the library (the user's, or NumPy's own) is."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return "" if frame is None else opname[frame.f_code.co_code[frame.f_lasti]]


def stores_item(direct: bool = False) -> bool:
    """Whether the caller is at an assignment, ``a[i] = v``; with ``direct`` one of the library itself counts as well."""
    if direct and (method := sys._getframe(2).f_back) is not None and method.f_code.co_filename.startswith(_HERE):
        return True
    return _instruction() in ("STORE_SUBSCR", "STORE_SLICE")


def compares() -> bool:
    """Whether the caller is at a comparison that is written out, ``a == b``, not at a look-up or a call."""
    return _instruction() == "COMPARE_OP"


def user_frame() -> FrameType | None:
    """Return the innermost frame that is neither dualdiff's, nor NumPy's or pandas'."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_NOT_THE_USERS) and _PANDAS not in name:
            return frame
        frame = frame.f_back
    return None


def where() -> str:
    """Say where the user's code is at this moment, for the head of a message."""
    frame = user_frame()
    if frame is None:
        return "here"
    return f"{os.path.basename(frame.f_code.co_filename)}, line {frame.f_lineno}"


def line_of_traceback(error: BaseException) -> str:
    """Return the file and line of the user's innermost frame that an error passed."""
    found, tb = "here", error.__traceback__
    while tb is not None:
        name = tb.tb_frame.f_code.co_filename
        if not name.startswith(_NOT_THE_USERS) and f"{os.sep}scipy{os.sep}" not in name and _PANDAS not in name:
            found = f"{os.path.basename(tb.tb_frame.f_code.co_filename)}, line {tb.tb_lineno}"
        tb = tb.tb_next
    return found


def line_of(code: CodeType, instruction: int) -> str:
    """Return the file and line of an instruction noted earlier (byte offset into ``code``)."""
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= instruction < end and number is not None:
            line = number
            break
    return f"{os.path.basename(code.co_filename)}, line {line}"
