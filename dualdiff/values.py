"""Traced values, and the dispatcher: who computes a primitive, and on what.

Dispatch goes by level, a monotone counter drawn once per operator call. What NumPy would return (a number, an array without
axes, a view) is said here, once, and so is what a foreign operand becomes on entry.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from importlib import import_module
from sys import modules
from typing import Any, ClassVar, NamedTuple

import numpy as np

from dualdiff.errors import OUTLIVED, EscapedValueError, InputError, UnsupportedFunctionError, forgive, where
from dualdiff.shapes import shape_of

ndarray = np.ndarray
NUMBERS = frozenset((int, float, np.float64))
"""The types of number that NumPy computes with in double precision, without a cast."""
PLAIN_TYPES = frozenset((float, complex, np.float64, np.float32, np.longdouble, np.complex64, np.complex128, ndarray))
"""The types of an inexact value that carries no mark: ours to make, to add up in and to write into."""
FOUND, EQUAL = 0, 1
"""Among the keys of a run (the identities of values that were hashed): that one was looked up, and an equal plain number found; that
one equals plain numbers it was compared with, as in a class that keeps its last result."""
NOTHING: dict[str, Any] = {}
"""The parameters of a row that takes none; shared, and never written."""


TRACED: set[type] = set()
"""The classes of traced values: a look-up here costs a third of ``isinstance``, and no ``__class__`` can deceive it."""


class Traced:
    """A value, and the mark a running operator put on it: a tangent (forward) or a slot (reverse)."""

    __slots__ = ("link", "mark", "run", "value")

    value: Any
    mark: Any
    run: Any
    link: Any
    #: whether a value without axes is memory that others may show and write into (an eager tensor), never a number
    _cell = False

    def __init_subclass__(cls) -> None:
        TRACED.add(cls)
        FAMILIAR.add(cls)


set_class: Callable[[Any, type], None] = object.__dict__["__class__"].__set__
"""Make an object one of another class, past the ``__class__`` that it shows: a write gave it another kind of value."""


def under(x: Any) -> Any:
    """Return the plain value under all levels of tracing, as it is: views are not brought up to date."""
    while type(x) in TRACED:
        x = x.value
    return x


def raw(x: Any) -> Any:
    """Return the plain NumPy value under all levels of tracing."""
    while isinstance(x, Traced):
        if x.link is not None:
            x.link.refresh(x)
        x = x.value
    return x


def note_equal(x: Any, y: Any, found: Any, differs: bool = False) -> None:
    """Note in the runs of a differentiated value that it equals the plain numbers of floating point that it was compared with.

    ``found`` says of every entry that it is equal, or with ``differs`` that it is not.
    """
    if type(x) not in TRACED:
        x, y = y, x
    if type(y) not in PLAIN_TYPES:
        return
    found = raw(found)
    if type(y) is ndarray:
        if not y.size or y.dtype.kind not in "fc" or (np.any(found) if differs else not np.all(found)):
            return
    elif getattr(found, "shape", ()) or bool(found) is differs or y == np.round(y):  # a round number stands in the code
        return
    while type(x) in TRACED:
        if x.run.keys is None:
            x.run.keys = {}
        x.run.keys[EQUAL] = None
        x = x.value


def decided(x: Any) -> Any:
    """Return the plain value under all levels, noted by every recording among them as one that Python decides by."""
    return x.run.leave(x) if type(x) in TRACED else x


def is_replayed(x: Any) -> bool:
    """Whether a recording that will run again at other points traces a value, so that decisions by it must be noted."""
    while type(x) in TRACED:
        if x.run.replayed:
            return True
        x = x.value
    return False


def is_recorded(x: Any) -> bool:
    """Whether recordings that will run again trace a value, and nothing else does: it may be looked at if that is noted."""
    if type(x) not in TRACED:
        return False
    while type(x) in TRACED:
        if not x.run.replayed:
            return False
        x = x.value
    return True


def alive(x: Any) -> Any:
    """Return a value as it is; raise if it belongs to a run that has ended."""
    if type(x) in TRACED and not x.run.open:
        raise EscapedValueError(f"{where()}: {OUTLIVED}")
    return x


def is_array(x: Any) -> bool:
    """Whether a value is one of NumPy's arrays, or a traced one that has axes: not a number, nor another kind of array."""
    return type(x) is ndarray or (type(x) in TRACED and x.shape != ())


def is_number(x: Any) -> bool:
    """Whether NumPy has a number in this place, which nobody can write into, and not an array (of any rank).

    This is where it is decided what a value without axes is. NumPy returns scalars where a function or a full index
    leaves no axes, and 0-d arrays where memory is shown or was given; a traced value keeps what NumPy returned as its
    value, so asking that is enough. The exception is a *cell*: an eager tensor without axes is memory, as PyTorch's.
    """
    if type(x) in TRACED and x._cell:
        return False
    return isinstance(under(x), _NUMBER)


_NUMBER = (np.generic, int, float, complex)


def number(x: Any) -> Any:
    """Return a result that NumPy would return as a number as one, if it has no axes; a cell, and an array, as it is."""
    if not shape_of(x) and type(under(x)) is ndarray and not (type(x) in TRACED and x._cell):
        return x[()]
    return x


JOINED: dict[str, str] = {"scipy.fft": "dualdiff.scipy.fft"}
"""Modules that let others take part in what they do, and the module of ours that does, until it has been loaded."""


def join() -> None:
    """Take part in what modules do that were loaded meanwhile: importing them ourselves would take a while."""
    for name, ours in list(JOINED.items()):
        if name in modules:
            import_module(ours)
            JOINED.pop(name, None)


ROOMS: dict[str, tuple[str, ...]] = {
    "scipy.linalg": ("dualdiff.scipy.linalg",),
    "scipy.integrate": (
        "dualdiff.scipy.initial_values",
        "dualdiff.scipy.boundary_values",
        "dualdiff.scipy.quadrature",
        "dualdiff.scipy.sums",
        "dualdiff.scipy.volumes",
    ),
    "scipy.optimize": (
        "dualdiff.scipy.roots",
        "dualdiff.scipy.minima",
        "dualdiff.scipy.fits",
        "dualdiff.scipy.programs",
        "dualdiff.scipy.assignments",
        "dualdiff.scipy.elementwise",  # of a module that SciPy has since 1.15
    ),
    "scipy.sparse": ("dualdiff.scipy.sparse",),
    "scipy.sparse.linalg": (
        "dualdiff.scipy.sparse.linalg",
        "dualdiff.scipy.sparse.spectra",
        "dualdiff.scipy.sparse.least_squares",
        "dualdiff.scipy.sparse.exponentials",
    ),
    "scipy.interpolate": ("dualdiff.scipy.interpolate",),
    "scipy.ndimage": ("dualdiff.scipy.ndimage",),
    "scipy.spatial": ("dualdiff.scipy.spatial.neighbours", "dualdiff.scipy.spatial.hulls"),
    "scipy.spatial.distance": ("dualdiff.scipy.spatial.distances",),
    "scipy.spatial.transform": ("dualdiff.scipy.spatial.rotations",),
    "scipy.signal": ("dualdiff.scipy.signal",),
    "scipy.stats": ("dualdiff.scipy.stats", "dualdiff.scipy.distributions", "dualdiff.scipy.samples"),
}
"""Modules whose functions capture exchanges, and the modules of ours that say what for."""


class _Rooms:
    """Which of them have been loaded."""

    entered: ClassVar[set[str]] = set()
    #: how many modules had been loaded when they were last looked at
    modules = 0


def enter_rooms() -> None:
    """Load what exchanges the functions of modules that were loaded meanwhile: done when one of their functions stumbles."""
    if len(modules) == _Rooms.modules:
        return
    for name, ours in ROOMS.items():
        if name in modules and name not in _Rooms.entered:
            for room in ours:
                import_module(room)
            _Rooms.entered.add(name)
    _Rooms.modules = len(modules)


class _Levels:
    """A monotone counter of operator calls. Levels, never classes or argument order, decide who goes first."""

    #: 0 is the level of plain containers, 1 that of eager tensors
    current = 1
    #: how many modules had been loaded when they were last looked at
    modules = 0

    def __init__(self) -> None:
        self.here = threading.local()
        self._counting = threading.Lock()  # a count lost between threads could put an inner run below its outer one

    def new(self) -> int:
        if len(modules) != self.modules:
            self.modules = len(modules)
            join()
        with self._counting:
            self.current += 1
            self.here.latest = level = self.current
        return level


LEVELS = _Levels()


def bind(primitive: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """Apply a primitive: the operand of the highest level decides how; plain operands are just computed."""
    top = None
    level = -1
    for a in args:
        kind = type(a)
        if kind in TRACED:
            if a.link is not None:
                a.link.refresh(a)
            if a.run.level > level:
                top = a.run
                level = top.level
        elif kind is ndarray and a.dtype.char == "O":
            return bind(primitive, [_unpackable(b) for b in map(packed, args)], params)
    if top is None:
        return primitive.fn(*args, **params)
    return top.process(primitive, args, params)


packers: list[Callable[[Any], Any]] = []
"""A hook: how an object array of traced scalars and numbers becomes a traced array, or one of numbers."""


containers: list[Callable[[Any], Any]] = []
"""A hook: how a plain array becomes one that can come to hold traced values."""


NAMESPACES: list[Any] = []
"""A hook: the namespace of NumPy's functions that traced values name as theirs."""
matrices: list[Callable[[Any], Any]] = []
"""A hook: how a matrix of ``scipy.sparse`` becomes an operand."""


class Holder(NamedTuple):
    """What is known of a class of objects that hold a value which may be traced: three functions of an object.

    Attributes
    ----------
    held : callable
        Gives the value.
    plain : callable
        Gives what the object is in plain numbers.
    holding : callable
        Gives the same object with another value.
    """

    held: Callable[[Any], Any]
    plain: Callable[[Any], Any]
    holding: Callable[[Any, Any], Any]


HOLDERS: dict[type, Holder] = {}
"""The classes of such objects, sparse matrices among them."""

CARRYING: set[type] = set()
"""The classes of objects made of differentiated values that stand for objects of other libraries, of which they are subclasses."""


PACKING: ContextVar[bool] = ContextVar("dualdiff_packing", default=False)
"""True while an object array is made only to be packed at once, so that nobody keeps its entries."""


def packed(x: Any) -> Any:
    """Pack an object array of traced scalars and numbers into one array of them; return anything else as it is."""
    if type(x) is ndarray and x.dtype.char == "O":
        return packers[0](x)
    return x


def _unpackable(x: Any) -> Any:
    """Refuse an array that still holds objects after packing; return anything else as it is."""
    if type(x) is ndarray and x.dtype.char == "O":
        kinds = sorted(
            {type(i).__name__ for i in x.flat if not isinstance(i, (Traced, np.generic, int, float, complex, ndarray))}
        )
        raise UnsupportedFunctionError(
            f"{where()}: a differentiated value meets an array of objects ({', '.join(kinds) or 'arrays'}), with which "
            "NumPy cannot compute as with numbers. Make it an array of numbers."
        )
    return x


def container(x: Any) -> Any:
    """Wrap a new plain array so that it can come to hold traced values; return anything else as it is."""
    return containers[0](x) if hasattr(x, "__setitem__") and not isinstance(x, Traced) else x


def contains_traced(x: Any) -> bool:
    """Whether a nested list or tuple holds a traced value."""
    if isinstance(x, (list, tuple)):
        return any(map(contains_traced, x))
    return isinstance(x, Traced)


_EVERY_NUMBER: frozenset[type] = frozenset(
    (int, float, complex, bool, *(t for t in np.sctypeDict.values() if issubclass(t, (np.number, np.bool_))))
)


FAMILIAR: set[type] = {*_EVERY_NUMBER, ndarray, str, slice, type, type(None), type(Ellipsis)}
"""What NumPy's functions are usually given, traced values among it: none of these has an arithmetic of its own."""


def native(x: Any) -> Any:
    """Return what means the same to NumPy; raise for what has rules of its own that a derivative would not follow.

    Series, frames and indices become plain arrays. They are known by where their class comes from, and nothing is imported
    for it. Lists and tuples are looked through; numbers, arrays, traced values and other types of array stay as they are.
    """
    kind = type(x)
    if kind in FAMILIAR:
        return x
    if kind is list or kind is tuple:
        return x if FAMILIAR.issuperset(map(type, x)) else kind([native(i) for i in x])
    for c in kind.__mro__:
        origin = str(c.__module__).partition(".")[0]
        if origin == "pandas":
            return _of_pandas(x)
        if origin == "numpy" and c.__name__ in _OWN_RULES:
            refuse_own_rules(c.__name__)
        if origin == "scipy" and c.__name__ == "_spbase":
            raise InputError(
                f"{where()}: a scipy.sparse {kind.__name__} stands where an array is meant. Write products with it as S @ x, S.T @ x or "
                "x @ S, and use S.toarray() elsewhere."
            )
    return x


def refuse_own_rules(name: str) -> None:
    """Raise for a class of array that has rules of its own."""
    raise InputError(f"{where()}: {_OWN_RULES[name]}")


_OWN_RULES = {
    "MaskedArray": "a masked array meets a value that is being differentiated, which knows no mask: what is masked would count. "
    "Pass m.filled(…), or the parts m.data and m.mask: np.where(m.mask, 0.0, f(x, m.data)), or select with x[~m.mask].",
    "matrix": "an np.matrix meets a value that is being differentiated; its * is a matrix product, and its results are always 2-D, "
    "which derivatives do not follow. Pass np.asarray(m), and write products of matrices as a @ b.",
}


def _of_pandas(x: Any) -> Any:
    """Return the values of a Series, a frame or an index in their order, without labels."""
    if not (hasattr(x, "to_numpy") and hasattr(x, "__array__")):
        return x
    values = x.to_numpy()
    if type(values) in TRACED:
        return values
    values = np.asarray(values)
    if values.dtype.char != "O" or any(isinstance(v, Traced) for v in values.flat):
        return values
    try:
        return values.astype(np.float64)  # numbers in a column of mixed types
    except (TypeError, ValueError):
        raise InputError(
            f"{where()}: a pandas {type(x).__name__} with entries that are no numbers (text, dates, missing values) meets a value "
            "that is being differentiated. Select its columns of numbers, fill what is missing, and pass .to_numpy(dtype=float)."
        ) from None


class DeclinedError(TypeError):
    """An operand wants to do its arithmetic itself (a polynomial, a unit): an operator leaves it to that."""


def is_sparse(x: Any) -> bool:
    """Whether ``x`` is a matrix or an array of ``scipy.sparse``, which nothing imports to find out."""
    package = sys.modules.get("scipy.sparse")
    return package is not None and bool(package.issparse(x))


def operand(x: Any) -> Any:
    """Return a foreign operand as something a primitive takes: numbers and arrays as they are, lists as arrays."""
    kind = type(x)
    if kind in TRACED or kind in _EVERY_NUMBER:
        return x
    if kind is ndarray:
        return packed(x)
    if is_sparse(x):
        return matrices[0](x)
    x = native(x)
    if isinstance(x, (list, tuple)):
        if not contains_traced(x):
            return np.asarray(x)
        token = PACKING.set(True)
        try:
            return packed(np.array(x, dtype=object))
        finally:
            PACKING.reset(token)
    if isinstance(x, (int, float, complex, ndarray)):
        return packed(x)
    if hasattr(x, "__array_ufunc__") or hasattr(x, "__array_function__"):
        if getattr(x, "__array_ufunc__", x) is None:
            raise DeclinedError(f"{where()}: operand {kind.__name__!r} does not support ufuncs (__array_ufunc__=None)")
        return x
    if hasattr(x, "__array__"):
        return np.asarray(x)
    if hasattr(x, "__float__"):
        return float(x)
    error = InputError(
        f"{where()}: cannot combine a value that is being differentiated with {type(x).__name__!r}, which is no number or array of "
        "numbers. Make one of it first, with np.asarray or float."
    )
    forgive(error)  # as where NumPy refuses: Python asks the other operand, and code may try another way
    raise error


def fixed(x: Any, what: str = "this argument") -> Any:
    """Return an argument that derivatives do not reach as a plain value nobody else can write into.

    Integers and booleans computed from traced values leave to Python, which records a guard; a traced
    floating-point number raises.
    """
    if isinstance(x, Traced):
        if not x._may_leave():  # type: ignore[attr-defined]
            raise UnsupportedFunctionError(
                f"{where()}: {what} is being differentiated, but its derivative is not supported there. Pass a plain "
                "value, or freeze it on purpose with dd.stop_gradient."
            )
        x = x.run.leave(x)
        return x.copy() if type(x) is ndarray else x
    if type(x) in (list, tuple):
        return type(x)([fixed(i, what) for i in x])
    if type(x) is ndarray:
        return fixed(packed(x), what) if x.dtype.char == "O" and packed(x) is not x else x.copy()
    return x


def is_plain_constant(x: Any) -> bool:
    """Whether an operand is an array of numbers that one can look at."""
    return type(x) is np.ndarray and x.ndim > 0 and x.dtype.kind in "biufc"


def numbered_nonzeros(x: Any) -> Any:
    """Return an array with the numbers 1, 2, … of the entries that are not zero: of a recorded value, which notes where they are."""
    there = decided(np.not_equal(x, 0))
    return np.where(there, np.arange(1.0, there.size + 1).reshape(there.shape), 0.0)
