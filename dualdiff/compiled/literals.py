"""Values as JSON, with arrays beside it: what a saved program's constants, parameters and structures are written as.

Numbers, texts, ``None`` and booleans stand for themselves; everything else is an object with one key, which says what it is:
``{"tuple": […]}``, ``{"slice": [0, 5, 1]}``, ``{"array": 3}``. What is read back is data of these kinds and nothing else: no
name in a file ever leads to a class or a function.
"""

from __future__ import annotations

import hashlib
import keyword
import math
from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from dualdiff.errors import ProgramFileError
from dualdiff.matrices import Maker
from dualdiff.trees import Columns
from dualdiff.values import is_sparse

__all__ = ["NotSavedError", "Numbers", "Record", "Writer", "dtype_named", "read", "whole"]

KINDS = "biufcmMSU"
"""Kinds of arrays that a file may hold: those whose entries are numbers, times or text, and no objects."""
TYPES: dict[str, Any] = {"bool": bool, "int": int, "float": float, "complex": complex} | {
    f"np.{t.__name__}": t for t in np.sctypeDict.values() if np.dtype(t).kind in KINDS and t.__module__ == "numpy"
}
"""Types that stand for a dtype."""
NAMES = {kind: name for name, kind in TYPES.items()}
SPARSE = {
    f"{kind}_{what}": parts
    for kind, parts in {
        "csr": ("data", "indices", "indptr"),
        "csc": ("data", "indices", "indptr"),
        "bsr": ("data", "indices", "indptr"),
        "coo": ("data", "row", "col"),
        "dia": ("data", "offsets"),
    }.items()
    for what in ("array", "matrix")
}
"""Classes of ``scipy.sparse``, and of what each is made."""
DEEPEST = 100
"""How deep structures are nested."""


class NotSavedError(Exception):
    """Inside the engine: a value that no file holds. Its argument says what it is."""


class Record(NamedTuple):
    """A dataclass among the arguments, of which a file knows the name and the fields, but not the class."""

    name: str
    fields: dict[str, Any]


class Numbers(NamedTuple):
    """A sparse matrix among the results: the leaf that is its numbers, and what makes the matrix of them."""

    leaf: int
    make: Maker


class Writer:
    """Values on their way into a file.

    Attributes
    ----------
    arrays : list of ndarray
        Those met so far; equal ones are one.
    """

    def __init__(self) -> None:
        self.arrays: list[np.ndarray[Any, Any]] = []
        self._known: dict[Any, int] = {}

    def written(self, x: Any) -> Any:
        """Return a value as JSON.

        Raises
        ------
        NotSavedError
            Inside the engine, if no file can hold it.
        """
        kind = type(x)
        if x is None or kind in (bool, int, str):
            return x
        if kind is float:
            return x if math.isfinite(x) else {"float": f"{'-' if math.copysign(1.0, x) < 0 else ''}{abs(x)}"}
        if kind in _WRITTEN:
            name, parts_of = _WRITTEN[kind]
            return {name: [self.written(part) for part in parts_of(x)]}
        if kind is np.ndarray:
            return self._array(x)
        if isinstance(x, np.generic) and x.dtype.kind in KINDS:
            exact = x.dtype.kind in "biu" or x.dtype.char in "efdFD"  # as a number of Python's
            return {"number": [x.dtype.str, self.written(x.item() if exact else np.asarray(x))]}
        if isinstance(x, np.dtype) and x.kind in KINDS:
            return {"dtype": x.str}
        if isinstance(x, type) and x in NAMES:
            return {"type": NAMES[x]}
        if x is Ellipsis:
            return {"ellipsis": None}
        if is_sparse(x) and kind.__name__ in SPARSE and x.ndim == 2:
            parts = [self._array(np.asarray(getattr(x, part))) for part in SPARSE[kind.__name__]]
            return {"sparse": [kind.__name__, list(x.shape), parts]}
        if type(x) is Numbers:
            make = x.make
            places = [self._array(np.asarray(part)) for part in (make.indices, make.indptr)]
            return {"numbers": [x.leaf, make.format, list(make.shape), places, bool(make.canonical)]}
        if type(x) is Record:
            return {"record": [x.name, [[n, self.written(part)] for n, part in x.fields.items()]]}
        if isinstance(x, tuple) and hasattr(x, "_fields"):
            return {"named tuple": [kind.__name__, list(x._fields), [self.written(part) for part in x]]}
        raise NotSavedError(
            f"an object of class {kind.__name__!r}" if not isinstance(x, type) else f"the class {x.__name__!r}"
        )

    def _array(self, x: np.ndarray[Any, Any]) -> Any:
        """Keep an array entry by entry as it lies in memory, and say which axis is which."""
        if x.dtype.kind not in KINDS:
            raise NotSavedError(f"an array of dtype {x.dtype}")
        order = sorted(range(x.ndim), key=lambda k: -abs(x.strides[k]))
        turned = [k for k in order if x.strides[k] < 0]
        lying = np.ascontiguousarray(np.flip(x, tuple(turned)).transpose(order)) if x.ndim else x
        key = lying.shape, lying.dtype.str, hashlib.sha256(lying.tobytes()).digest()
        at = self._known.get(key)
        if at is None:
            at = self._known[key] = len(self.arrays)
            self.arrays.append(lying)
        if order == sorted(order) and not turned:
            return {"array": at}
        return {"array": [at, order, turned]}


_WRITTEN: dict[type, tuple[str, Callable[[Any], Sequence[Any]]]] = {
    tuple: ("tuple", lambda x: x),
    Columns: ("columns", lambda x: x),
    list: ("list", lambda x: x),
    dict: ("dict", lambda x: [list(item) for item in x.items()]),
    slice: ("slice", lambda x: (x.start, x.stop, x.step)),
    complex: ("complex", lambda x: (x.real, x.imag)),
}


# --------------------------------------------------------------------------------------------------
# reading


def refusal(what: str) -> ProgramFileError:
    """Return the error for what a file should not hold."""
    return ProgramFileError(f"the file holds no program that can be run: {what}")


def whole(x: Any, below: int | None = None, what: str = "a number") -> int:
    """Return a whole number that is not negative, and below a limit."""
    if type(x) is not int or x < 0 or (below is not None and x >= below):
        raise refusal(f"{what} is {x!r:.60}" + ("" if below is None else f", where {below} are known"))
    return x


def items(x: Any, count: int | None = None, what: str = "a list") -> list[Any]:
    """Return a list, of a given length."""
    if type(x) is not list or (count is not None and len(x) != count):
        raise refusal(f"{what} is {x!r:.60}")
    return x


def dtype_named(x: Any) -> np.dtype[Any]:
    """Return the dtype of a name, as NumPy writes it."""
    found = np.dtype(x) if type(x) is str and len(x) < 32 else None
    if found is None or found.str != x or found.kind not in KINDS:
        raise refusal(f"a dtype is {x!r:.60}")
    return found


def read(x: Any, arrays: Sequence[Any], depth: int = 0) -> Any:
    """Return the value that JSON stands for.

    Raises
    ------
    ProgramFileError
        If it stands for none.
    """
    kind = type(x)
    if x is None or kind in (bool, int, str):
        return x
    if kind is float and math.isfinite(x):
        return x
    if kind is not dict or len(x) != 1 or depth > DEEPEST:
        raise refusal(f"a value is {x!r:.60}")
    ((name, given),) = x.items()
    if name not in _READ:
        raise refusal(f"a value is said to be {name!r:.60}")
    return _READ[name](given, arrays, lambda part: read(part, arrays, depth + 1))


def _float(given: Any, arrays: Any, inner: Any) -> float:
    if given not in ("inf", "-inf", "nan", "-nan"):
        raise refusal(f"a number is {given!r:.60}")
    return float(given)


def _complex(given: Any, arrays: Any, inner: Any) -> complex:
    parts = [inner(part) for part in items(given, 2, "a complex number")]
    if any(type(part) is not float for part in parts):
        raise refusal(f"a complex number is {given!r:.60}")
    return complex(*parts)


def _number(given: Any, arrays: Any, inner: Any) -> Any:
    name, value = items(given, 2, "a number")
    dtype, value = dtype_named(name), inner(value)
    if type(value) is np.ndarray and value.dtype == dtype and not value.shape:
        return value[()]
    if type(value) not in (bool, int, float, complex):
        raise refusal(f"a number is {value!r:.60}")
    made = dtype.type(value)
    if np.asarray(made).dtype != dtype or not (made == value or value != value):
        raise refusal(f"{value!r:.60} is no {dtype}")
    return made


def _dict(given: Any, arrays: Any, inner: Any) -> dict[Any, Any]:
    pairs = [inner(pair) for pair in items(given)]
    if any(type(pair) is not list or len(pair) != 2 for pair in pairs):
        raise refusal(f"the entries of a dictionary are {given!r:.60}")
    found = dict(pairs)
    if len(found) != len(pairs):
        raise refusal("a dictionary has a key twice")
    return found


def _array(given: Any, arrays: Any, inner: Any) -> Any:
    if type(given) is int:
        return arrays[whole(given, len(arrays), "the number of an array")]
    at, order, turned = items(given, 3, "an array")
    x = arrays[whole(at, len(arrays), "the number of an array")]
    if sorted(items(order)) != list(range(x.ndim)) or not set(items(turned)) <= set(order):
        raise refusal(f"the axes of an array are {order!r:.60}")
    return np.flip(x.transpose(np.argsort(order)), tuple(turned))


def _sparse(given: Any, arrays: Any, inner: Any) -> Any:
    from scipy import sparse  # which programs without such matrices never need

    name, shape, parts = items(given, 3, "a sparse matrix")
    if name not in SPARSE:
        raise refusal(f"a sparse matrix is {name!r:.60}")
    shape = tuple([whole(n, 1 << 62, "the size of a sparse matrix") for n in items(shape, 2)])
    data, *where = [np.array(inner(part)) for part in items(parts, len(SPARSE[name]))]
    if data.dtype.kind not in "biufc" or any(w.dtype.kind != "i" or w.ndim != 1 for w in where):
        raise refusal("a sparse matrix is not made of numbers and places")
    made: Any
    if name.startswith("coo"):
        made = getattr(sparse, name)((data, tuple(where)), shape=shape)
    else:
        made = getattr(sparse, name)((data, *where), shape=shape)
    if hasattr(made, "check_format"):
        made.check_format(full_check=True)  # compiled code trusts its indices
    return made


def _numbers(given: Any, arrays: Any, inner: Any) -> Numbers:
    """Return the place of a sparse matrix, once its pattern was found to be one."""
    from scipy import sparse

    leaf, form, shape, places, canonical = items(given, 5, "a sparse matrix")
    if form not in ("csr", "csc") or type(canonical) is not bool:
        raise refusal(f"a sparse matrix is {given!r:.60}")
    m, n = [whole(k, 1 << 62, "the size of a sparse matrix") for k in items(shape, 2)]
    indices, indptr = [np.array(inner(part)) for part in items(places, 2)]
    if any(w.dtype.kind != "i" or w.ndim != 1 for w in (indices, indptr)):
        raise refusal("the places of a sparse matrix are no numbers")
    found = getattr(sparse, f"{form}_array")((np.zeros(len(indices)), indices, indptr), shape=(m, n))
    found.check_format(full_check=True)
    if canonical and not found.has_canonical_format:
        raise refusal("the places of a sparse matrix are not in order")
    return Numbers(whole(leaf), Maker(form, (m, n), indices, indptr, canonical))


def _named_tuple(given: Any, arrays: Any, inner: Any) -> Any:
    name, fields, values = items(given, 3, "a named tuple")
    values = [inner(value) for value in items(values, len(items(fields)))]
    for word in (name, *fields):
        if type(word) is not str or not word.isidentifier() or keyword.iskeyword(word) or len(word) > 100:
            raise refusal(f"a named tuple has a name {word!r:.60}")
    return class_of(name, tuple(fields))(*values)


@lru_cache(maxsize=256)
def class_of(name: str, fields: tuple[str, ...]) -> type:
    """Return a class of named tuples, the same for the same names."""
    return namedtuple(name, fields)


def _record(given: Any, arrays: Any, inner: Any) -> Record:
    name, fields = items(given, 2, "a record")
    pairs = [items(pair, 2) for pair in items(fields)]
    if any(type(word) is not str for word in (name, *[n for n, _ in pairs])):
        raise refusal(f"a record is {given!r:.60}")
    return Record(name, {n: inner(part) for n, part in pairs})


def _type(given: Any, arrays: Any, inner: Any) -> Any:
    if type(given) is not str or given not in TYPES:
        raise refusal(f"a type is {given!r:.60}")
    return TYPES[given]


def _slice(given: Any, arrays: Any, inner: Any) -> slice:
    start, stop, step = [inner(part) for part in items(given, 3, "a slice")]
    if any(part is not None and not isinstance(part, (int, np.integer)) for part in (start, stop, step)):
        raise refusal(f"a slice is {given!r:.60}")
    return slice(start, stop, step)


_READ: dict[str, Callable[[Any, Sequence[Any], Callable[[Any], Any]], Any]] = {
    "float": _float,
    "complex": _complex,
    "number": _number,
    "tuple": lambda given, arrays, inner: tuple([inner(part) for part in items(given)]),
    "columns": lambda given, arrays, inner: Columns([inner(part) for part in items(given)]),
    "list": lambda given, arrays, inner: [inner(part) for part in items(given)],
    "dict": _dict,
    "slice": _slice,
    "ellipsis": lambda given, arrays, inner: Ellipsis,
    "dtype": lambda given, arrays, inner: dtype_named(given),
    "type": _type,
    "array": _array,
    "sparse": _sparse,
    "named tuple": _named_tuple,
    "record": _record,
    "numbers": _numbers,
}
