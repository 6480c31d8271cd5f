"""What is captured for a function, how it is learned, and the runs that it takes."""

from __future__ import annotations

import copy
import functools
import sys
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from dualdiff.agreement import agree
from dualdiff.capture import look
from dualdiff.capture.active import ACTIVE, any_active
from dualdiff.capture.binding import LOCK, Names, bind, is_renewed, of_cells, of_class, of_module, unbind
from dualdiff.capture.maths import CONVERSIONS
from dualdiff.capture.names import EVERYTHING, MAKERS, METHODS, in_place_of
from dualdiff.capture.places import places
from dualdiff.errors import (
    NOTES,
    CaptureError,
    CaptureWarning,
    DerivativeError,
    InputError,
    method_owner,
    outside,
    where,
)
from dualdiff.shapes import shape_of
from dualdiff.values import raw

MOST_RUNS = 8
MODES = ("auto", "always", "never")
_ARRAY_API = (
    "scipy._lib._array_api_override", "scipy._lib._array_api", "scipy._lib._util", "scipy.stats._axis_nan_policy",
    "array_api_compat.numpy._aliases", "array_api_compat.common._aliases", "array_api_extra._lib._funcs", "array_api_extra._lib._at",
)  # fmt: skip
"""The modules through which SciPy's functions take arrays of any kind: bound with the first of its modules."""
_FORMULAS = {
    "scipy.stats._distn_infrastructure": ("scipy.stats._continuous_distns", "scipy.stats._discrete_distns"),
}
"""Modules that only do for one module what it calls, and need not stumble to call what has a drop-in: bound with it."""


def _is_reached(name: str) -> bool:
    """Whether a module may be captured: not one of what a traced value meets by rules, or on its entry."""
    return name.partition(".")[0] not in ("numpy", "dualdiff", "pandas") or name.startswith("numpy.polynomial")


ROUNDING = 1e4
"""Units of rounding, of the largest entry, by which a captured function's value may differ from the plain one's."""


class RunAgain(Exception):  # noqa: N818  (a request, not an error)
    """Inside the engine: the function stumbled, and what it stumbled in is captured from now on.

    Its argument is the error that the stumble would have been.
    """


class Captures:
    """What is captured while a function runs: modules, each with its level, and the variables of enclosing functions."""

    __slots__ = (
        "checked",
        "classes",
        "everywhere",
        "examined",
        "mode",
        "modules",
        "seen_constant",
        "told",
        "trusted",
    )

    def __init__(self, f: Any, mode: Any = "auto") -> None:
        self.mode = mode
        self.modules: dict[int, list[Any]] = {}  # by identity: the names, the level, what conversions stand in
        self.classes: list[type] = []  # those whose methods are exchanged
        self.everywhere = False  # whether places that are no names of a module are exchanged as well
        self.checked = False
        self.examined = False  # whether the first recording was looked at for what is suspicious
        # Which of its functions were held against differences where they compared a value, and found it equal to a plain number.
        self.trusted: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.told = mode != "auto"
        self.seen_constant = False  # whether dual numbers met a result without derivative, and a recording was asked
        if mode == "never":
            return
        if isinstance(mode, str):
            self._look(f)
        else:
            for module in mode:
                self._add(vars(module))

    def _look(self, f: Any) -> None:
        function = look.function_of(f)
        owner = method_owner(getattr(function, "__code__", None), f)
        if owner is not None:  # an object of SciPy's, whose method has a drop-in
            self.classes.append(owner)
            return
        for g in (function, look.function_of(getattr(function, "__wrapped__", None))):
            if g is not None and (self.mode == "always" or look.makes_arrays(g)):
                self._add(g.__globals__)
        for g in look.calling_solvers(f):
            self._add(g.__globals__)

    def _add(self, names: dict[str, Any]) -> None:
        name = str(names.get("__name__", ""))
        if not _is_reached(name) and getattr(sys.modules.get(name), "__dict__", None) is names:
            return
        self.modules.setdefault(id(names), [names, MAKERS, frozenset()])
        if name.startswith("scipy."):
            # a method of a class whose code is captured would not stumble, and its drop-in not be noticed
            inside = [kind for kind in METHODS if any(c.__module__ == name for c in kind.__mro__)]
            self.classes += [kind for kind in inside if kind not in self.classes]
            wanted = (*_ARRAY_API, *_FORMULAS.get(name, ()))
            for other in list(sys.modules):
                if other.endswith(wanted):
                    space = vars(sys.modules[other])
                    self.modules.setdefault(id(space), [space, MAKERS, frozenset()])

    @property
    def anything(self) -> bool:
        """Whether anything is captured."""
        return bool(self.modules or self.classes)

    def trusts(self, f: Any) -> bool:
        """Whether a function's comparisons were held against differences: this one, not another with the same code and other state."""
        holder = _holder(f)
        return self.trusted.get(id(holder)) is holder

    def trust(self, f: Any) -> None:
        """Note that a function's comparisons were held against differences."""
        holder = _holder(f)
        with suppress(TypeError):  # of what cannot be told again nothing is kept
            self.trusted[id(holder)] = holder

    def learn(self, errors: Sequence[DerivativeError], f: Any) -> bool:
        """Note where a run of a function stumbled; return whether the next run captures more than this one did."""
        if self.mode not in ("auto", "always"):
            return False
        learned = False
        for error in errors:
            s = error.stumble
            if s is None:
                continue
            new = [owner for owner in s.owners if owner not in self.classes]
            self.classes += new
            learned |= bool(new)
            if new:
                self._follow_methods(f, s.callers)
            if not _is_reached(str(s.names.get("__name__", ""))):
                continue
            known = self.modules.get(id(s.names))
            if known is None:
                self._add(s.names)
            elif s.kind in CONVERSIONS and s.kind not in known[2]:
                known[2] |= {s.kind}
            elif s.kind in ("array", *CONVERSIONS) and known[1] < EVERYTHING:
                known[1] = EVERYTHING
            elif not is_renewed(s.names):
                continue
            learned = True
        stumbled = self.anything and any(e.stumble is not None for e in errors)
        if not learned and stumbled and not self.everywhere and places(f, self._level):
            learned = self.everywhere = True
        if learned:
            self.checked = False
        return learned

    def _follow_methods(self, f: Any, callers: Sequence[dict[str, Any]]) -> None:
        """Capture where methods come from that were taken off their objects: these run past their class's drop-ins."""
        for names in callers:
            if any(map(_is_taken_off, list(names.values()))):
                self._add(names)
        if not self.everywhere:
            held = [real for place in places(f, self._level) for real, _ in place.of.values()]
            self.everywhere = any(_is_taken_off(v) for h in held for v in (h if isinstance(h, tuple) else (h,)))

    @property
    def _level(self) -> int:
        """The highest level of a module."""
        return max([at for _, at, _ in self.modules.values()], default=MAKERS)

    def tell(self, error: DerivativeError) -> None:
        """Warn, once a function, that it is run again."""
        if self.told or error.stumble is None:
            return
        self.told = True
        module = error.stumble.names.get("__name__", "?")
        warnings.warn(
            f"{str(error).partition(': ')[0]}: this line takes a differentiated value for a plain one, so the function runs again with "
            f"module {module!r} captured (its np and math speak with differentiated values for the length of a call). Side effects "
            'of the run before are doubled, this once; dd.capture(f), or capture="always", captures from the start.',
            CaptureWarning,
            stacklevel=outside(),
        )

    def bindings(self, f: Any) -> list[Names]:
        """Return all names to bind while a function runs."""
        with LOCK:
            found = [of_module(*module) for module in self.modules.values()]
            level = self._level
            found += [of_class(kind) for kind in self.classes]
            inside = look.variables(f)
            if inside:
                found += of_cells(inside, level)
            if self.everywhere:
                found += places(f, level)
            return found

    def call(self, f: Any, function: Callable[[Any], Any], argument: Any) -> Any:
        """Return ``function(argument)``, which runs ``f``, with everything captured."""
        if not self.anything:
            return function(argument)
        token = ACTIVE.set(True)
        try:
            wanted = self.bindings(f)
            bind(wanted)
            try:
                return function(argument)
            finally:
                unbind(wanted)
        finally:
            ACTIVE.reset(token)


def _holder(f: Any) -> Any:
    """Return what holds a function's state: its code where it has none of its own, the object of a method, or itself."""
    if type(f) is MethodType:
        return f.__self__
    return f.__code__ if type(f) is FunctionType and not f.__closure__ else f


MOST_KNOWN = 10_000
"""Functions of which it is remembered what is captured."""
_KNOWN: dict[int, tuple[Any, Captures]] = {}


def captures_of(f: Any) -> Captures | None:
    """Return what is captured for a function, which is remembered for all functions of the same code."""
    if type(f) is FunctionType and not f.__dict__:
        known = _KNOWN.get(id(f.__code__))
        if known is not None and known[0]() is f.__code__:
            return known[1]
    return _captures_of(f)


def _captures_of(f: Any) -> Captures | None:
    if type(f) is Captured:
        return f.captures
    code = getattr(f, "__code__", None)
    if code is None or f.__dict__:
        inner = f
        while inner is not None:
            if type(inner) is Captured:
                return inner.captures
            inner = getattr(inner, "__wrapped__", None)
    if code is None:
        inner = look.function_of(f)
        if inner is None:
            return None
        code = inner.__code__
    known = _KNOWN.get(id(code))
    if known is not None and known[0]() is code:
        return known[1]
    if len(_KNOWN) >= MOST_KNOWN:  # what is captured holds the names of a module, and these the function: none dies
        for key in list(_KNOWN)[: MOST_KNOWN // 2]:
            _KNOWN.pop(key, None)
    captures = Captures(f)
    _KNOWN[id(code)] = weakref.ref(code), captures
    return captures


def captured_runs(problem: Any, once: Callable[[], tuple[Any, list[Any]]], of_values: int) -> tuple[Any, Any]:
    """Run a function as often as it takes until nothing stumbles; check the first captured value against a plain one.

    ``once`` runs it and returns a pair, whose item ``of_values`` holds the function's values.
    """
    captures = problem.captures
    if captures is None:
        return once()
    first = None
    for _ in range(MOST_RUNS):
        try:
            found = once()
        except RunAgain as e:
            first = first or e.args[0]
            continue
        if not captures.checked and NOTES.get() is None:  # inside another operator, that one checks
            if captures.anything or (problem.check is not False and look.may_differ(problem.function)):
                _check(problem, found[of_values])
            captures.checked = True
        if first is not None:
            captures.tell(first)
        return found
    raise CaptureError(
        f"{where()}: the function was run {MOST_RUNS} times, and each run took a differentiated value for a plain one in another "
        "module. Name the modules that use NumPy: dd.capture(f, modules=[…])."
    )


def _plain_values(problem: Any) -> list[Any] | None:
    """Return the values of a function on plain copies of its inputs, with nothing captured; None if it cannot say."""
    call = copy.copy(problem.call)  # which remembers of the last run what its results look like
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            plain = map(raw, problem.inputs)
            return [np.asarray(v) for v in call([x if type(x) is float else np.copy(x)[()] for x in plain])]
        except CaptureError:  # an operator inside has looked, and found this
            raise
        except Exception:
            return None


def _check(problem: Any, values: Sequence[Any]) -> None:
    """Raise if a captured function returns another value than the plain one, unless it never returns the same twice."""
    values = [raw(v) for v in values]
    plain = _plain_values(problem)
    if plain is None or (len(plain) == len(values) and all(map(_agree, values, plain))):
        return
    again = _plain_values(problem)
    if again is None or len(again) != len(plain) or not all(map(_agree, again, plain)):
        return
    name = getattr(problem.function, "__name__", "the function")
    if not problem.captures.anything:
        raise CaptureError(
            f"{name} returns {plain} for plain numbers and {values} for differentiated ones, so its derivative is not to be trusted: "
            "it asks for their type, or catches an error that a differentiated one raised. Write isinstance(x, (float, np.ndarray)) "
            "for type(x) and hasattr, and NumPy's functions for what raises."
        )
    raise CaptureError(
        f"{name} returns {plain} with plain NumPy and {values} while its modules are captured, so its derivative is not to be "
        "trusted. Write what it does with np.zeros_like(x), np.stack and NumPy's functions of the argument itself, and pass "
        'capture="never".'
    )


def _agree(found: Any, plain: Any) -> bool:
    """Whether a value is that of the plain run; of objects no more than the shape can be compared."""
    if plain.dtype.kind not in "biufc":
        return shape_of(found) == plain.shape
    return agree(found, plain, ROUNDING)


def _is_taken_off(value: Any) -> bool:
    """Whether a value is the method of an object, with a drop-in."""
    return type(value) is MethodType and in_place_of(value) is not value


class Captured:
    """See :func:`capture`."""

    def __init__(self, f: Callable[..., Any], mode: Any) -> None:
        functools.update_wrapper(self, f)
        self.f = f
        self.captures = Captures(f, mode)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; if an argument carries a derivative, with its modules captured."""
        if not any_active(args, kwargs):
            return self.f(*args, **kwargs)
        if NOTES.get() is not None:  # an operator runs this, and looks at what stumbled
            return self._call(args, kwargs)
        for _ in range(MOST_RUNS):
            notes: list[Any] = []
            token = NOTES.set(notes)
            try:
                found, failed = self._call(args, kwargs), None
            except Exception as e:
                found, failed = None, e
            finally:
                NOTES.reset(token)
            if not notes or not self.captures.learn(notes, self.f):
                break
            self.captures.tell(notes[0])
        if notes:
            raise notes[-1]
        if failed is not None:
            raise failed
        return found

    def _call(self, args: Any, kwargs: Any) -> Any:
        return self.captures.call(self.f, lambda a: self.f(*a, **kwargs), args)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> Any:
        mode = self.captures.mode
        return _captured, (self.f, mode if isinstance(mode, str) else tuple([m.__name__ for m in mode]))


def _captured(f: Any, mode: Any) -> Captured:
    """Return a function that was pickled with the names of its modules."""
    return Captured(f, mode if isinstance(mode, str) else tuple([import_module(name) for name in mode]))


def capture(f: Callable[..., Any], modules: str | Sequence[ModuleType] = "always") -> Callable[..., Any]:
    """Return a function whose own modules speak with differentiated values whenever it is given some.

    The operators do this by themselves, once a run has met a line that takes a differentiated value for a plain one
    (``np.asarray(x)``, ``np.zeros(n)[i] = x[i]``, ``math.sin(x)``). Asked for outright, it spares that first run; and eager
    tensors, which no operator runs, can only be captured so. While the function runs, the names of its modules that are NumPy,
    ``math`` or functions of theirs are bound to stand-ins; other threads see the real ones.

    Parameters
    ----------
    f : callable
        A function of plain NumPy code.
    modules : "always", "auto", "never", or a sequence of modules
        Capture the function's own module from the start, and others when they are met; all of them only when they are met;
        none; or just these.

    Returns
    -------
    callable
        It takes the arguments of ``f`` and returns what ``f`` does.

    Raises
    ------
    InputError
        If ``f`` cannot be called, or ``modules`` is none of these.

    Examples
    --------
    >>> import math
    >>> import dualdiff as dd
    >>> f = dd.capture(lambda t: math.sin(t) ** 2)
    >>> x = dd.tensor(0.0, requires_grad=True)
    >>> f(x)
    tensor(0., grad_fn=<...>)
    """
    if not callable(f):
        raise InputError(f"the first argument must be a function, not {type(f).__name__!r}")
    check_mode(modules, "modules")
    return Captured(f, modules if isinstance(modules, str) else tuple(modules))


def asked(f: Callable[..., Any], mode: Any) -> Callable[..., Any]:
    """Return a function that is captured as an operator's ``capture=`` says."""
    if not callable(f):
        return f
    if mode == "auto":
        return in_place_of(f)
    check_mode(mode)
    return Captured(f, mode if isinstance(mode, str) else tuple(mode))


def check_mode(mode: Any, name: str = "capture") -> None:
    """Raise unless a setting of capture is one."""
    if isinstance(mode, str):
        if mode not in MODES:
            raise InputError(f'{name}={mode!r} must be "auto", "always", "never" or a list of modules')
    elif not isinstance(mode, Sequence) or not all(isinstance(m, ModuleType) for m in mode):
        raise InputError(f'{name} must be "auto", "always", "never" or a list of modules, not {mode!r}')
    else:
        for m in mode:
            root = m.__name__.partition(".")[0]
            if root in ("numpy", "dualdiff") or (root in sys.stdlib_module_names and root != "__main__"):
                raise InputError(f"{name} is to list the modules that use NumPy and math, not {m.__name__!r} itself")


__all__ = [
    "MODES",
    "Captured",
    "Captures",
    "RunAgain",
    "asked",
    "capture",
    "captured_runs",
    "captures_of",
    "check_mode",
]
