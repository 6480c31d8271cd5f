"""Structure off, structure on: a call of an operator, and the operator objects themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import WRAPPER_ASSIGNMENTS
from typing import Any

import numpy as np

from dualdiff.capture import captures_of, in_place_of
from dualdiff.capture.active import ACTIVE
from dualdiff.containers import check_input, plain
from dualdiff.errors import InputError, TracedAssignmentError, where
from dualdiff.operators.aliases import guarded, shared
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.trees import flatten, paths, tree_map
from dualdiff.values import PLAIN_TYPES, TRACED, Traced, alive, native, packed, raw
from dualdiff.views import Twin
from dualdiff.ways import Problem

_CONTAINERS = frozenset((list, tuple, dict))
_NUMBERS = frozenset((int, float, complex, bool, str, type(None)))
LONG = 64
"""Containers with more members than this are data."""


Argnums = int | str | Sequence[int | str]
"""Which arguments are differentiated: by position or by name, one or several (a tuple of derivatives then)."""


def positions(
    f: Callable[..., Any], argnums: Argnums, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[int | str, ...]:
    """Return where the arguments asked for stand in a call: their positions, or their names where they came by keyword."""
    n = len(args)
    asked = (argnums,) if isinstance(argnums, (int, str)) else tuple(argnums)
    names: list[str] | None = None
    found: list[int | str] = []
    for a in asked:
        if isinstance(a, str):
            if a in kwargs:
                found.append(a)
                continue
            names = _names(f) if names is None else names
            if a in names[:n]:
                found.append(names.index(a))
                continue
            raise InputError(_not_given(f, argnums, a, names))
        if -n <= a < n:
            found.append(a % n)
            continue
        names = _names(f) if names is None else names
        if 0 <= a < len(names) and names[a] in kwargs:
            found.append(names[a])
            continue
        raise InputError(
            f"argnums={argnums!r} asks for positional argument {a}, but the function was called with {n}"
            + (f" (and by keyword with {', '.join(kwargs)}: argnums takes names too)" if kwargs else "")
        )
    if len(set(found)) != len(found):
        raise InputError(f"argnums={argnums!r} names an argument twice")
    return tuple(found)


def _names(f: Callable[..., Any]) -> list[str]:
    """Return the names of a function's positional parameters, where Python knows them."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _not_given(f: Callable[..., Any], argnums: Argnums, name: str, names: list[str]) -> str:
    """Say why an argument cannot be differentiated by its name."""
    try:
        every = [p.name for p in inspect.signature(f).parameters.values()]
    except (TypeError, ValueError):
        return f"argnums={argnums!r}: Python does not know the parameters of {f!r}; pass {name!r} by keyword, or give its position"
    if name in every:
        return (
            f"argnums={argnums!r} asks for the parameter {name!r}, which this call left at its default; pass it, by position or by "
            "keyword, to differentiate by it"
        )
    return (
        f"argnums={argnums!r}: the function has no parameter {name!r}; its parameters are {', '.join(every) or 'none'}"
    )


class Call:
    """One call of an operator: the differentiated arguments as flat leaves, and the way back to structure."""

    __slots__ = (
        "args",
        "argnums",
        "apart",
        "aux",
        "build_inputs",
        "build_outputs",
        "examined",
        "f",
        "has_aux",
        "kwargs",
        "leaves",
        "run",
        "single",
    )

    def __init__(
        self,
        f: Callable[..., Any],
        argnums: Argnums,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        has_aux: bool,
    ) -> None:
        self.f = f
        self.args = args
        self.kwargs = kwargs
        self.has_aux = has_aux
        self.aux: Any = None
        self.examined = False  # whether this call was held against differences
        self.run: Any = None
        self.build_outputs: Any = None
        self.single = isinstance(argnums, (int, str))
        n = len(args)
        self.argnums: tuple[int | str, ...] = (
            (argnums % n,) if type(argnums) is int and -n <= argnums < n else positions(f, argnums, args, kwargs)
        )
        first = self.argnums[0] if self.single else None
        if type(first) is int:
            leaves, self.build_inputs = flatten(args[first])
        else:
            given = [self._given(a) for a in self.argnums]
            leaves, self.build_inputs = flatten(given[0] if self.single else tuple(given))
        # Where arguments share memory: the leaves and the other arguments that do, and what refuses writes into them.
        self.apart: tuple[set[int], set[Any], Twin] | None = None
        if len(leaves) > 1 or len(args) + len(kwargs) > len(self.argnums):
            self._find_aliases(leaves)
        try:
            self.leaves = [check_input(plain(x), "an argument") for x in leaves]
        except InputError:
            names = paths(tuple(self._given(a) for a in self.argnums))
            for x, name in zip(leaves, names):
                check_input(plain(x), f"argument {name}")
            raise

    def move(self, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Make it the call at another point, whose first argument, the only one differentiated, is an array of the same form.

        Nothing is looked at anew: the array must share no memory with other arguments.
        """
        self.args, self.kwargs, self.leaves, self.examined = args, kwargs, [args[0]], False

    def _given(self, a: int | str) -> Any:
        """Return the argument at a position, or of a name."""
        return self.kwargs[a] if isinstance(a, str) else self.args[a]

    def _find_aliases(self, leaves: list[Any]) -> None:
        """Note which leaves share memory with others, or with arguments that are not differentiated."""
        every: list[Any] = list(leaves)
        names: list[Any] = [None] * len(leaves)
        argnums = self.argnums
        for name, v in (*enumerate(self.args), *self.kwargs.items()):
            if name in argnums:
                continue
            kind = type(v)
            if kind in _CONTAINERS and len(v) <= LONG:  # data in long lists is not an argument's twin
                found = flatten(v)[0]
                every += found
                names += [name] * len(found)
            elif kind not in _NUMBERS:
                every.append(v)
                names.append(name)
        n = len(leaves)
        if len(every) > 1 and (places := shared(every)) and min(places) < n:
            self.apart = {i for i in places if i < n}, {names[i] for i in places if i >= n}, Twin()

    def __call__(self, leaves: list[Any]) -> list[Any]:
        """Run the function on flat leaves; return its flat outputs and remember their structure."""
        kwargs = self.kwargs
        args = list(self.args)
        if self.apart is not None:
            twins, others, twin = self.apart
            leaves = [guarded(x, twin) if i in twins else x for i, x in enumerate(leaves)]
            args = [tree_map(lambda x: guarded(x, twin), v) if k in others else v for k, v in enumerate(args)]
            kwargs = {k: tree_map(lambda x: guarded(x, twin), v) if k in others else v for k, v in kwargs.items()}
        if (len(args) > 1 or kwargs) and ACTIVE.get():  # a solver may come as an argument
            args = [in_place_of(v) if callable(v) else v for v in args]
            kwargs = {k: in_place_of(v) if callable(v) else v for k, v in kwargs.items()}
        built = self.build_inputs(leaves)
        first = self.argnums[0] if self.single else None
        if type(first) is int:
            args[first] = built
        else:
            for a, v in zip(self.argnums, (built,) if self.single else built):
                if isinstance(a, str):
                    kwargs = {**kwargs, a: v}
                else:
                    args[a] = v
        try:
            result = self.f(*args, **kwargs)
        except ValueError as error:
            if self.apart is not None and "read-only" in str(
                error
            ):  # NumPy's words where a guarded plain array is written
                raise TracedAssignmentError(Twin.refusal) from error
            raise
        if result is None:
            raise InputError(
                f"{where()}: the function returned None, which has no derivative. Is a return missing at its end?"
            )
        if self.has_aux:
            try:
                result, self.aux = result
            except (TypeError, ValueError):
                raise InputError("with has_aux=True the function must return a pair (value, auxiliary data)") from None
            self._keep_aux(leaves)
        outputs, self.build_outputs = flatten(result)
        return outputs

    def problem(self, check: bool | str = "auto", strict: bool = False) -> Problem:
        """Return the function of flat leaves, at this call's point."""
        return Problem(self, self.leaves, self.f, captures_of(self.f), check, self._names() if strict else None)

    def _names(self) -> tuple[str, ...]:
        """Return what the differentiated leaves are called in messages."""
        return tuple(paths(tuple(self._given(a) for a in self.argnums)))

    def _keep_aux(self, leaves: list[Any]) -> None:
        """Bring the auxiliary data up to date while the run that made it lasts, and remember that run."""
        outer = {id(x.run) for x in self.leaves if type(x) in TRACED}
        self.run = next((x.run for x in leaves if type(x) in TRACED and id(x.run) not in outer), None)
        found, build = flatten(self.aux)
        kept = []
        for v in found:
            v = alive(plain(packed(v)))
            if type(v) in TRACED and v.link is not None:
                v.link.refresh(v)
            kept.append(v)
        self.aux = build(kept)

    def plain_aux(self) -> Any:
        """Return the auxiliary data with the level of the run that made it taken off, and no other."""
        leaves, build = flatten(self.aux)
        return build([v.value if type(v) in TRACED and v.run is self.run else v for v in leaves])


def check_setting(check: Any) -> None:
    """Raise unless a setting of ``check=`` is one."""
    if check not in ("auto", True, False):
        raise InputError(f'check={check!r} must be "auto", True or False')


@dataclass(frozen=True)
class Operator:
    """A differentiated function. It pickles where the function does, and carries its name and docstring."""

    f: Callable[..., Any]
    argnums: int | str | tuple[int | str, ...] = 0
    check: bool | str = field(default="auto", kw_only=True)
    strict: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not callable(self.f):
            raise InputError(f"the first argument must be a function, not {type(self.f).__name__!r}")
        if isinstance(self.argnums, list):
            object.__setattr__(self, "argnums", tuple(self.argnums))
        check_setting(self.check)
        self._wear_name()

    def _wear_name(self) -> None:
        for name in WRAPPER_ASSIGNMENTS:
            if hasattr(self.f, name):
                object.__setattr__(self, name, getattr(self.f, name))
        object.__setattr__(self, "__wrapped__", self.f)

    def __getstate__(self) -> dict[str, Any]:
        return {
            k: v
            for k, v in self.__dict__.items()
            if k in self.__dataclass_fields__ and k not in ("_decisions", "options")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for k, v in state.items():
            object.__setattr__(self, k, v)
        self.__post_init__()

    def __repr__(self) -> str:
        return f"{type(self).__name__.strip('_')}({getattr(self.f, '__name__', self.f)})"


def match(name: str, tree: Any, leaves: Sequence[Any], dtypes_of: Sequence[Any]) -> list[Any]:
    """Flatten tangents or cotangents and check them against the values they belong to."""
    found, _ = flatten(tree)
    if len(found) != len(leaves):
        raise InputError(f"{name} has {len(found)} arrays where {len(leaves)} are needed")
    out = []
    for t, x in zip(found, leaves):
        if type(t) not in PLAIN_TYPES:
            t = alive(plain(native(t)))
        shape = shape_of(x)
        if shape_of(t) != shape and not isinstance(t, (list,)):
            raise InputError(f"{name} has shape {shape_of(t)} where the value has shape {shape}")
        have, want = dtype_of(t), dtype_of(x)
        if have != want:
            if have.kind not in "biufc":
                raise InputError(f"{name} has dtype {have}; it must be numeric")
            if have.kind == "c" and want.kind != "c":
                raise InputError(f"{name} is complex where the value is real")
            t = t.astype(want) if hasattr(t, "astype") else want.type(t)
        out.append(t if shape or (type(t) is type(x) and type(t) in PLAIN_TYPES) else _as_number(t, x))
    return out


def _as_number(t: Any, x: Any) -> Any:
    """Return a direction without axes as what its value is: a 0-d array, or a scalar."""
    is_array = type(raw(t)) is np.ndarray
    if type(raw(x)) is np.ndarray:
        return t if is_array else np.reshape(t, ())
    return t[()] if is_array else t


def own(v: Any) -> Any:
    """Return a value that shares no memory with a tape that lives on: users may write into what they get."""
    return v.copy() if type(v) is np.ndarray else v


def as_given(t: Any, v: Any) -> Any:
    """Return a scalar derivative as a scalar where the value is one (a Python number for a Python float)."""
    if isinstance(t, Traced):
        return t
    if type(v) is float:
        return complex(t) if dtype_of(t).kind == "c" else float(t)  # a complex result of a real number
    return t[()] if type(t) is np.ndarray and not t.shape and type(v) is not np.ndarray else t
