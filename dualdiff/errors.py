"""Every error is a class: what happened, where in the user's code, and what to write instead."""

from __future__ import annotations

import os
import sys
import sysconfig
from contextvars import ContextVar
from dis import opname
from inspect import unwrap
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_RUNS = os.path.join(HERE, "operators", "calls.py"), os.path.join(HERE, "ways", "problem.py")
_STAND_INS = os.path.join(HERE, "capture", "")
_PROBLEMS = os.path.join(HERE, "lab", "problems", "")
"""Functions as users write them, though they lie in the house."""
_NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep
_POLYNOMIALS = os.path.join(_NUMPY, "polynomial", "")
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_STANDARD = tuple({os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib")})

__all__ = [
    "CaptureError",
    "CaptureWarning",
    "CompileWarning",
    "DegenerateDirectionError",
    "DegenerateError",
    "DerivativeError",
    "DerivativeMismatch",
    "EscapedValueError",
    "ExecutorError",
    "ForeignError",
    "GraphFreedError",
    "InPlaceError",
    "InaccurateIntegralError",
    "InaccurateSolutionError",
    "InputError",
    "JumpError",
    "NoDerivativeError",
    "NoDerivativeWarning",
    "NoProgramError",
    "NonDifferentiablePointError",
    "NonScalarError",
    "NotAMinimumWarning",
    "ProgramFileError",
    "RuleError",
    "SingularSolutionError",
    "StaleProgramError",
    "TracedAssignmentError",
    "TracedConversionError",
    "UnsupportedFunctionError",
    "line_of",
    "line_of_traceback",
    "user_frame",
    "users_frame",
    "where",
]


NOTES: ContextVar[list[Any] | None] = ContextVar("dualdiff_notes", default=None)
"""The errors raised on purpose while the innermost operator runs the user's function, which may swallow them."""


class Stumble(NamedTuple):
    """Where code that does not speak NumPy asked a traced value for a plain one: ``float(t)``, ``np.asarray(t)``, ``a[i] = t``.

    ``owners`` are the classes in whose methods that was, if these have drop-ins, and ``callers`` the names known where methods were called
    that their drop-ins call.
    """

    names: dict[str, Any]
    code: CodeType
    at: int
    kind: str
    owners: tuple[type, ...] = ()
    callers: tuple[dict[str, Any], ...] = ()


def _page(kind: type) -> str:
    """Return where the documentation says more of a class of errors or warnings."""
    return f"docs: reference/errors#{kind.__name__.lower()}"


class DerivativeError(Exception):
    """Base of every error dualdiff raises on purpose. A traceback ends with where the documentation says more of its class."""

    stumble: Stumble | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.add_note(_page(type(self)))
        notes = NOTES.get()
        if notes is not None:
            notes.append(self)


def forgive(error: DerivativeError) -> None:
    """Forget an error that the library itself raised and answered."""
    notes = NOTES.get()
    if notes is not None and error in notes:
        notes.remove(error)


class UnsupportedFunctionError(DerivativeError, TypeError):
    """A function outside the vocabulary, or one that has no derivative, met a traced value."""


class TracedConversionError(DerivativeError, TypeError):
    """A traced value was asked to become a plain number or array, which would drop its derivative."""


class TracedAssignmentError(DerivativeError, TypeError):
    """A traced value was to be stored in a plain array, which would drop its derivative."""


class ForeignError(UnsupportedFunctionError, ValueError):
    """A function of another library, given a traced value, failed in its own words."""


class NoDerivativeError(DerivativeError, ValueError):
    """A result, or an argument, through which no derivative passes, where ``strict=True`` asked for one."""


class DocumentedWarning(UserWarning):
    """Base of the warnings, which end with where the documentation says more of their class."""

    def __str__(self) -> str:
        return f"{super().__str__()} ({_page(type(self))})"


class NoDerivativeWarning(DocumentedWarning):
    """A result carries no derivative although the function read its argument."""


class DerivativeMismatch(DerivativeError, ValueError):  # noqa: N818  (what was found, not what was done wrong)
    """A derivative that differences of the function contradict, at two steps that agree with each other."""


class CaptureError(UnsupportedFunctionError):
    """A function that gives another value while its modules are captured, or that capture cannot follow."""


class CaptureWarning(DocumentedWarning):
    """A function runs once more, because a line of it takes differentiated values for plain ones."""


class StaleProgramError(DerivativeError, RuntimeError):
    """A compiled program no longer gives what the function does that it was recorded from."""


class NoProgramError(DerivativeError, RuntimeError):
    """A program from a file was asked for what it holds nothing for, and there is no function to ask."""


class ProgramFileError(DerivativeError, ValueError):
    """A program that no file can hold, or a file that holds none that this version can run."""


class NotAMinimumWarning(DocumentedWarning):
    """Standard errors are asked for at a point where the negative log-likelihood still falls."""


class CompileWarning(DocumentedWarning):
    """A function that is not run as a compiled program, or no more."""


class DegenerateError(DerivativeError, np.linalg.LinAlgError):
    """A function of the vectors of equal eigenvalues or singular values, which have no derivative of their own."""


class DegenerateDirectionError(DegenerateError):
    """Forward mode cannot tell whether a function depends on the choice of such vectors; reverse mode can."""


class InaccurateIntegralError(DerivativeError, ValueError):
    """The integral of a derivative was not found to the tolerances that its value was asked for.

    Attributes
    ----------
    error, allowed
        The estimate of its error, and what the tolerances allow.
    """

    def __init__(self, message: str, error: float = float("nan"), allowed: float = float("nan")) -> None:
        super().__init__(message)
        self.error, self.allowed = error, allowed


class InaccurateSolutionError(DerivativeError, ValueError):
    """What a solver returned solves its equations too badly for a derivative by the implicit function theorem.

    Attributes
    ----------
    residual, condition
        The largest entry of what the equations leave, and the condition number of their Jacobian (None where nobody factored it).
    """

    def __init__(self, message: str, residual: float | None = None, condition: float | None = None) -> None:
        super().__init__(message)
        self.residual, self.condition = residual, condition


class SingularSolutionError(InaccurateSolutionError, np.linalg.LinAlgError):
    """A solution that the implicit function theorem does not reach: the Jacobian by the unknowns is singular there, or nearly so."""


class NonDifferentiablePointError(DerivativeError, ValueError):
    """A function was evaluated exactly at a kink or tie while ``dd.kinks("raise")`` holds.

    Attributes
    ----------
    function, line, entries, convention
        What was computed, the user's line, where in the array, and what would have been taken for the derivative.
    """

    def __init__(
        self, message: str, function: str = "", line: str = "", entries: object = None, convention: str = ""
    ) -> None:
        super().__init__(message)
        self.function = function
        self.line = line
        self.entries = entries
        self.convention = convention


class JumpError(DerivativeError, ValueError):
    """A function that a solver integrates jumps, at a place that moves with what is differentiated: its derivative has a share of that.

    Attributes
    ----------
    at, state, entries
        The time or place, the state there (None of an integral), and which entries of the function jump.
    """

    def __init__(self, message: str, at: float = float("nan"), state: object = None, entries: object = None) -> None:
        super().__init__(message)
        self.at, self.state, self.entries = at, state, entries


class EscapedValueError(DerivativeError, RuntimeError):
    """A traced value was used after the operator that made it had returned."""


class ExecutorError(DerivativeError, RuntimeError):
    """A block of work that an executor did not bring back, or that its workers computed from another function than is here."""


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
    "Make the array inside the function (one made before the call stays plain, and so does what NumPy makes that is imported in "
    "the function): with np.zeros_like(x), np.empty_like(x) or dualdiff.numpy.zeros(…); or collect the entries in a list and use "
    "np.stack or np.array."
)


OUTLIVED = (
    "a value under differentiation outlived the operator that made it (it was stored outside the function, in a global, a "
    "list or a cache, or handed out by an inner function). Return it from the function that made it, and keep no results "
    "of a differentiated function from one call to the next."
)


def is_installed(name: str) -> bool:
    """Whether a file belongs to an installed package or to Python itself, and so is nobody's to edit."""
    return (
        name.startswith(("<frozen", "<__array_function__", "<stringsource"))
        or name.endswith((".pyx", ".pxd", ".pxi"))
        or any(part in name for part in _INSTALLED)
        or name.startswith(_STANDARD)
    )


def is_numpy(name: str) -> bool:
    """Whether a file is NumPy's."""
    return name.startswith((_NUMPY, "<__array_function__"))


def _is_ours(name: str) -> bool:
    return name.startswith((HERE, _NUMPY, "<__array_function__"))


class _Whose(dict[str, str]):
    """Whose code a file holds; a recording asks at every operation, of the same few files."""

    def __missing__(self, name: str) -> str:
        if _is_ours(name):
            found = "a problem" if name.startswith(_PROBLEMS) else "ours"
        else:
            found = "a package" if is_installed(name) else "the user"
        self[name] = found
        return found


_WHOSE = _Whose()


def user_frame(frame: FrameType | None = None) -> FrameType | None:
    """Return the innermost frame of the user's own code; of a package that speaks NumPy if the user's has none."""
    frame = frame or sys._getframe(1)
    first = None
    whose = _WHOSE
    while frame is not None:
        found = whose[frame.f_code.co_filename]
        if found != "ours":
            if found != "a package":
                return frame
            first = first or frame
        frame = frame.f_back
    return first


def outside() -> int:
    """Return how many frames up the code is that called the library, for a warning."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(HERE):
        level, frame = level + 1, frame.f_back
    return level


def passage() -> tuple[FrameType | None, FrameType | None, FrameType | None]:
    """Return the frame of the user's code, that of the library function it called there (None for NumPy's), and the innermost one."""
    first: FrameType | None = sys._getframe(1)
    user, entered, frame = user_frame(first), None, first
    if user is None:
        return None, None, first
    while frame is not None and frame is not user:
        if not frame.f_code.co_filename.startswith(HERE):
            entered = frame
        frame = frame.f_back
    return user, None if entered is None or _is_ours(entered.f_code.co_filename) else entered, first


def line_of_file(name: str, line: int) -> str:
    """Say which line of a file, or of a notebook's cell, in the words of Python's and IPython's tracebacks."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    label = getattr(getattr(shell, "compile", None), "format_code_name", None)
    cell = label and label(name)
    return f"{' '.join(cell) if cell else os.path.basename(name)}, line {line}"


def where() -> str:
    """Say where the user's code is at this moment, and which function of a library it called there, for the head of a message."""
    user, entered, _ = passage()
    if user is None:
        return "here"
    inside = "" if entered is None else f", in {public_name(entered)}"
    return f"{line_of_file(user.f_code.co_filename, user.f_lineno)}{inside}"


def public_name(frame: FrameType) -> str:
    """Return the name under which people know a function of a library: ``scipy.linalg.solve``, not where it is written.

    A decorator's inner function bears the name of the function it decorates, and an inherited method that of the object's class, as far
    as this is one of the library's.
    """
    module, name = str(frame.f_globals.get("__name__", "")), frame.f_code.co_qualname
    if "<locals>" in name:
        for variable in frame.f_code.co_freevars:
            inner = frame.f_locals.get(variable)
            if isinstance(inner, FunctionType):
                module, name = str(inner.__module__), inner.__qualname__
                break
    owner, _, method = name.rpartition(".")
    library = module.partition(".")[0]
    for kind in type(frame.f_locals.get("self")).__mro__:
        if owner and kind.__module__.partition(".")[0] == library and hasattr(kind, method):
            module, name = kind.__module__, f"{kind.__qualname__}.{method}"
            break
    parts = module.split(".")
    for n, part in enumerate(parts):
        if part.startswith("_"):
            parts = parts[:n]
            break
    return ".".join([*parts, name.replace(".__call__", "").replace(".<locals>", "")])


def raised_by_user(error: BaseException) -> bool:
    """Whether an error comes out of a ``raise`` that the user wrote, not out of something that was called."""
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    if tb is None or is_installed(tb.tb_frame.f_code.co_filename) or _is_ours(tb.tb_frame.f_code.co_filename):
        return False
    return opname[tb.tb_frame.f_code.co_code[tb.tb_lasti]] == "RAISE_VARARGS"


def foreign_call(error: BaseException) -> tuple[str, list[FrameType]] | None:
    """Return the user's line and the frames of the library function it called there, outermost first, in which an error arose.

    None if the user's own code raised it, or if this library stood in between: then it is about plain values.
    """
    frames: list[tuple[FrameType, int]] = []
    tb = error.__traceback__
    while tb is not None:
        frames.append((tb.tb_frame, tb.tb_lineno))
        tb = tb.tb_next
    frames = [(f, n) for f, n in frames if not f.f_code.co_filename.startswith(_STAND_INS)]
    for n in range(len(frames) - 1, -1, -1):
        frame, line = frames[n]
        name = frame.f_code.co_filename
        if name.startswith(HERE):
            return None
        if not is_installed(name) and not is_numpy(name):
            if n + 1 == len(frames):
                return None
            entered = [f for f, _ in frames[n + 1 :]]
            return f"{line_of_file(name, line)}, in {public_name(entered[0])}", entered
    return None


def users_frame(error: BaseException) -> tuple[FrameType, int] | None:
    """Return the frame, and its instruction, of the user's code in which an error arose with nothing of a library below it."""
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    if tb is None:
        return None
    name = tb.tb_frame.f_code.co_filename
    return None if is_installed(name) or _is_ours(name) else (tb.tb_frame, tb.tb_lasti)


def line_of_traceback(error: BaseException) -> str:
    """Return the file and line of the user's innermost frame that an error passed."""
    found, last, tb = None, "here", error.__traceback__
    while tb is not None:
        name = tb.tb_frame.f_code.co_filename
        if not _is_ours(name):
            last = line_of_file(name, tb.tb_lineno)
            if not is_installed(name):
                found = last
        tb = tb.tb_next
    return found or last


REPLACED: set[CodeType] = set()
"""The code of functions in whose place capture puts another: it has to reach whoever calls them, not them."""


_AROUND: set[CodeType] = set()
"""The code of decorators around them, which others may share that are not replaced."""
_REACHED: set[CodeType] = set()
"""The code of methods that their replacement calls: capture has to reach both."""
_OWNERS: dict[CodeType, list[type]] = {}
"""Of those that are methods, the classes: several may inherit one."""
_WITHOUT_OWNER: set[CodeType] = set()
"""Those that are replaced by their own names."""


def replaced(function: Any, owner: Any = None, whole: bool = True) -> None:
    """Note that a function, or a method of a class, is one that capture puts another in the place of.

    Unless ``whole``, the other one calls it: then capture has to reach its own code as well.
    """
    while function is not None:
        code, inner = getattr(function, "__code__", None), getattr(function, "__wrapped__", None)
        if code is not None:
            (_REACHED if not whole else REPLACED if inner is None else _AROUND).add(code)
            if owner is not None:
                _OWNERS.setdefault(code, []).append(owner)
            else:
                _WITHOUT_OWNER.add(code)
        function = inner


def method_owner(code: Any, of: Any) -> Any:
    """Return the class of an object, of whose methods capture puts another in the place of the one with this code; or None."""
    owners = _OWNERS.get(code, ())
    kinds = (of if isinstance(of, type) else type(of)).__mro__
    return next((c for c in kinds if c in owners), owners[0] if owners else None)


def _is_replaced(frame: FrameType) -> bool:
    """Whether a frame is that of a replaced function, or of a decorator around one."""
    code = frame.f_code
    if code in _AROUND:
        held = (frame.f_locals.get(name) for name in code.co_freevars)
        return any(getattr(unwrap(f), "__code__", None) in REPLACED for f in held if callable(f))
    if code not in REPLACED:
        return False
    if code in _OWNERS and code not in _WITHOUT_OWNER:  # a class that inherits it from the same parent keeps it
        of = next(iter(frame.f_locals.values()), None)
        return any(c in _OWNERS[code] for c in (of if isinstance(of, type) else type(of)).__mro__)
    return True


def asked_by_replaced() -> bool:
    """Whether a function in whose place capture puts another asks for what this library is at: its caller has to be captured."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return frame is not None and _is_replaced(frame)


def line_of_definition(function: Any) -> str:
    """Return the file and line at which a function is defined."""
    code = getattr(function, "__code__", None)
    if code is None:
        return str(getattr(function, "__name__", function))
    return line_of_file(code.co_filename, code.co_firstlineno)


def stumble(kind: str) -> Stumble | None:
    """Return where the code is that capture would have to reach, and the classes whose methods were met there.

    It is the innermost one outside this library, NumPy and Python's own; or that which called a function with a replacement.
    NumPy's polynomials are Python code like any other.
    """
    frame: FrameType | None = sys._getframe(1)
    owners: dict[Any, None] = {}
    callers: list[dict[str, Any]] = []
    found, inside = None, False
    while frame is not None:
        name = frame.f_code.co_filename
        if name in _RUNS:  # what an operator or a rule runs is the function itself: who called either is not captured
            break
        whole = _is_replaced(frame)
        if whole or frame.f_code in _REACHED:
            owners[method_owner(frame.f_code, next(iter(frame.f_locals.values()), None))] = None
            if not whole and frame.f_back is not None:
                callers.append(frame.f_back.f_globals)
        if whole:
            inside = True
        elif (
            not name.startswith(HERE)
            and (not is_numpy(name) or name.startswith(_POLYNOMIALS))
            and not (name.startswith(("<frozen", *_STANDARD)) and not any(p in name for p in _INSTALLED))
        ):
            if found is None or inside:
                found, inside = frame, False
            if not is_installed(name):
                break
        frame = frame.f_back
    if found is None:
        return None
    known = tuple([owner for owner in owners if owner is not None])
    return Stumble(found.f_globals, found.f_code, found.f_lasti, kind, known, tuple(callers))


def line_of(code: CodeType, instruction: int) -> str:
    """Return the file and line of an instruction noted earlier (byte offset into ``code``)."""
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= instruction < end and number is not None:
            line = number
            break
    return line_of_file(code.co_filename, line)
