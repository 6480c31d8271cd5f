"""What other code says of differentiated values that it does not take, said again in words, with the user's line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import FrameType

from dualdiff.advice import LIBRARY, instead, traced_argument, written
from dualdiff.errors import (
    REPLACED,
    ForeignError,
    Stumble,
    TracedAssignmentError,
    UnsupportedFunctionError,
    foreign_call,
    line_of_traceback,
    method_owner,
    public_name,
    users_frame,
)
from dualdiff.values import TRACED, enter_rooms

__all__ = ["translated"]

_OBJECTS_IN_SPARSE = ("unsupported data types in input", "support dtype object", "no supported conversion for types")
"""How scipy.sparse says that it was given an array of Python objects."""

_COMPILED_METHOD = "must be numpy.ndarray"
"""How a method of a compiled class (the factors of ``splu``) says that it takes arrays alone."""

_FOREIGN = frozenset((TypeError, ValueError, AttributeError, NotImplementedError, RuntimeError))
_OURS = re.compile(
    rf"\b(numpy\.)?TracedArray\b|'({'|'.join(sorted({c.__name__ for c in TRACED}))})'|<class 'dualdiff\.[\w.]+'>|Traced\(.*?\)+"
)
"""The names of the classes of differentiated values, by which errors of compiled code call their argument: bare, or in quotes."""

_OUR_NUMPY = re.compile(r"(array library )?dualdiff\.numpy( arrays)?")
"""The name of the library of arrays that SciPy takes differentiated values for."""


def translated(e: Exception, is_plain: Callable[[], bool]) -> Exception:
    """Return an error of other code that met a traced value as one of ours, with the user's line; any other as it is.

    ``is_plain`` says whether plain values raise it as well. A decorator lets options pass that are wrong whatever they come with.
    """
    if isinstance(e, AttributeError) and "'NotImplementedType'" in str(e):  # how pandas says it
        new: Exception = TracedAssignmentError(
            f"{line_of_traceback(e)}: this stores a value that is being differentiated in a pandas object (s -= x), which "
            "would lose its derivative. Write y = s - x, which is a differentiated array."
        )
    elif isinstance(e, (TypeError, ValueError)) and any(said in str(e) for said in _OBJECTS_IN_SPARSE):
        new = UnsupportedFunctionError(
            f"{line_of_traceback(e)}: scipy.sparse met an array of Python objects, with which it cannot compute. Its products with a "
            "constant matrix, S @ x, carry derivatives where x is a differentiated array; other functions of scipy.sparse do not."
        )
    elif type(e) in _FOREIGN and (call := foreign_call(e)) is not None and (name := _argument(call[1])) is not None:
        entered = call[1][0]
        if traced_argument(entered) is None and is_plain():
            return e
        fix = instead(public_name(entered)) or LIBRARY
        new = ForeignError(
            f"{call[0]}: {_told(e)}. The function was given a value that is being differentiated (its argument {name!r}), "
            f"which it does not take. {fix}. To freeze the argument on purpose: dd.stop_gradient(x)."
        )
        enter_rooms()
        if (
            entered.f_code in REPLACED and (user := entered.f_back) is not None
        ):  # as sosfilt, compiled below its first lines
            owner = method_owner(entered.f_code, next(iter(entered.f_locals.values()), None))
            new.stumble = Stumble(user.f_globals, user.f_code, user.f_lasti, "array", () if owner is None else (owner,))
    elif type(e) in _FOREIGN and _OURS.search(str(e)) and (frame := users_frame(e)) is not None:
        here = written(*frame)
        fix = (instead(here.function) if here is not None else None) or LIBRARY
        text = "compiled code" if here is None else here.text
        new = ForeignError(
            f"{line_of_traceback(e)}: {text} was given a value that is being differentiated, which it does not take ({_told(e)}). "
            f"{fix}. To freeze the value on purpose: dd.stop_gradient(x)."
        )
        if _COMPILED_METHOD in str(e):  # which may have a stand-in
            enter_rooms()
            new.stumble = Stumble(frame[0].f_globals, frame[0].f_code, frame[1], "array")
    else:
        return e
    new.__cause__ = e
    for note in getattr(e, "__notes__", ()):
        new.add_note(note)
    return new


def _argument(frames: Sequence[FrameType]) -> str | None:
    """Return the name of an argument that is differentiated: of the function, or below a decorator that has unpacked its arguments."""
    for frame in frames:
        name = traced_argument(frame)
        if name is not None or frame.f_code.co_name == public_name(frames[0]).rpartition(".")[2]:
            return name
    return None


def _told(e: Exception) -> str:
    """Return what an error of other code says, without the names of our classes."""
    said = _OUR_NUMPY.sub("differentiated values", str(e))
    return f"{type(e).__name__}: {_OURS.sub('differentiated value', said).rstrip('. ')}"
