"""Nested arguments and results: tuples, lists, dicts, named tuples and dataclasses, through optree.

optree takes an unregistered dataclass for a leaf. It is opened here, field by field, without registering
anything globally: what other users of optree in the same process see does not change.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import optree

__all__ = ["Columns", "flatten", "let_open", "paths", "slots", "tree_map"]

_PLAIN_LEAVES: frozenset[type] = frozenset((float, int, complex, bool))


class Columns(tuple[Any, ...]):
    """The derivatives of one array by several numbers: a tuple, and to SciPy's optimisers the matrix of which they are the columns.

    Anybody else gets of it what NumPy makes of a tuple.
    """

    __slots__ = ()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Return the parts as one array: each a row; each a column where SciPy's optimisers ask."""
        if copy is False:
            raise ValueError(
                "parts that lie apart are copied into one array; np.asarray does that, copy=False refuses it"
            )
        frame = sys._getframe(1)
        while frame.f_back is not None and _module(frame).startswith("numpy."):
            frame = frame.f_back
        return np.asarray(np.stack(tuple(self), axis=-1 if _module(frame).startswith("scipy.optimize.") else 0), dtype)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


@dataclasses.dataclass(frozen=True, slots=True)
class _Opened:
    """Where a dataclass stood among the leaves: its type, its fields and how each unflattens."""

    cls: type
    names: tuple[str, ...]
    parts: tuple[tuple[int, Callable[[list[Any]], Any]], ...]

    def rebuild(self, leaves: list[Any]) -> Any:
        new: Any = object.__new__(self.cls)
        at = 0
        for name, (count, unflatten) in zip(self.names, self.parts, strict=True):
            object.__setattr__(new, name, unflatten(leaves[at : at + count]))
            at += count
        return new


@dataclasses.dataclass(frozen=True, slots=True)
class _Structure:
    """A flattened structure; called with leaves it builds the structure anew."""

    spec: optree.PyTreeSpec
    opened: tuple[tuple[int, _Opened, int], ...]

    def __call__(self, leaves: list[Any]) -> Any:
        if not self.opened:
            return self.spec.unflatten(leaves)
        rest, out, at = {i: (o, n) for i, o, n in self.opened}, [], 0
        for i in range(self.spec.num_leaves):
            if i in rest:
                o, n = rest[i]
                out.append(o.rebuild(leaves[at : at + n]))
                at += n
            else:
                out.append(leaves[at])
                at += 1
        return self.spec.unflatten(out)


def _only(leaves: list[Any]) -> Any:
    return leaves[0]


@cache
def _optree() -> Any:
    """Import optree when the first structure is met (single arrays do without), and tell it of our own classes."""
    import optree

    for kind, made in _TUPLES:
        _register(optree, kind, made)
    return optree


_TUPLES: list[tuple[type, type]] = [(Columns, Columns)]
"""Our own classes of tuples, and what is made of their parts."""


def _register(package: Any, kind: type, made: type) -> None:
    package.register_pytree_node(
        kind, lambda c: (tuple(c), None), lambda _, c: made(c), namespace=package.registry.__GLOBAL_NAMESPACE
    )


def let_open(kind: type) -> None:
    """Let a class of tuples be a structure; in its place stands a plain tuple."""
    _TUPLES.append((kind, tuple))
    if _optree.cache_info().currsize:
        _register(_optree(), kind, tuple)


def _is_dataclass(x: Any) -> bool:
    return dataclasses.is_dataclass(x) and not isinstance(x, type)


def flatten(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """Return the leaves of a nested structure and the function that puts leaves back into it.

    ``None`` is a node without leaves, as in the other tree libraries of the field.

    Examples
    --------
    >>> leaves, build = flatten({"a": 1.0, "b": (2.0, [3.0])})
    >>> leaves
    [1.0, 2.0, 3.0]
    >>> build([10, 20, 30])
    {'a': 10, 'b': (20, [30])}
    """
    kind = type(tree)
    if kind in _PLAIN_LEAVES or hasattr(kind, "__array_ufunc__"):
        return [tree], _only
    leaves, spec = _optree().tree_flatten(tree, none_is_leaf=False)
    opened, out = [], []
    for i, leaf in enumerate(leaves):
        if _is_dataclass(leaf):
            names = tuple(f.name for f in dataclasses.fields(leaf))
            inner, parts = [], []
            for name in names:
                part, build = flatten(getattr(leaf, name))
                inner += part
                parts.append((len(part), build))
            opened.append((i, _Opened(type(leaf), names, tuple(parts)), len(inner)))
            out += inner
        else:
            out.append(leaf)
    return out, _Structure(spec, tuple(opened))


def tree_map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply ``function`` leaf by leaf to one structure, or to several of the same form."""
    leaves, build = flatten(tree)
    others = [flatten(r)[0] for r in rest]
    return build([function(*group) for group in zip(leaves, *others, strict=True)])


def paths(tree: Any) -> list[str]:
    """Return a readable name for each leaf, such as ``['a'][0]``.

    Examples
    --------
    >>> paths({"a": 1.0, "b": (2.0, 3.0)})
    ["['a']", "['b'][0]", "['b'][1]"]
    """
    if _is_dataclass(tree):
        return [f".{f.name}{p}" for f in dataclasses.fields(tree) for p in paths(getattr(tree, f.name))]
    if isinstance(tree, dict):
        return [f"[{k!r}]{p}" for k in sorted(tree, key=repr) for p in paths(tree[k])]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return [f".{n}{p}" for n, v in zip(tree._fields, tree, strict=True) for p in paths(v)]
    if isinstance(tree, (tuple, list)):
        return [f"[{i}]{p}" for i, v in enumerate(tree) for p in paths(v)]
    return [] if tree is None else [""]


def slots(kind: type) -> list[str]:
    """Return the names of the attributes that the instances of a class have without a dictionary."""
    declared = [vars(c).get("__slots__", ()) for c in kind.__mro__]
    names = [n for own in declared for n in ([own] if isinstance(own, str) else own)]
    return [n for n in names if n not in ("__dict__", "__weakref__")]
