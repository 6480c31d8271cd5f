"""One call of a function with a rule of its own: its arguments as flat operands, its results as one array, and the ways back.

An equation has flat operands and one result. So the numbers and arrays among the arguments become operands, the rest
(texts, functions, parameters) stays where it is; several results are laid side by side in one vector, and taken apart again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.containers import plain
from dualdiff.errors import RuleError, where
from dualdiff.passes.structure import same
from dualdiff.shapes import Aval, aval, dtype_of, shape_of, size_of
from dualdiff.trees import flatten
from dualdiff.values import TRACED, alive, native, packed

ndarray = np.ndarray
_NUMBERS = (int, float, complex, np.number)


class Held:
    """A positional argument that is not differentiated: no operand, whatever it holds."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Layout:
    """How the arguments of one call are built from its operands, and its results from their vector.

    Attributes
    ----------
    counts : tuple of int
        How many operands each positional argument has.
    held : tuple of bool
        Which positional arguments are kept from being differentiated.
    kwargs : dict
        The keyword arguments.
    parameters : dict
        Those, and what is held, by name: what rules get by keyword.
    results : tuple of Aval or None
        Shapes and dtypes of the results, once the function has run.
    """

    __slots__ = (
        "_build",
        "_statics",
        "build_results",
        "counts",
        "held",
        "is_operand",
        "kwargs",
        "parameters",
        "results",
    )

    def __init__(
        self, args: Sequence[Any], kwargs: dict[str, Any], operands: list[Any], names: Sequence[str] = ()
    ) -> None:
        self.kwargs = kwargs
        held = [i for i, a in enumerate(args) if type(a) is Held]
        self.parameters = {**{names[i]: args[i].value for i in held}, **kwargs} if held else kwargs
        self.results: tuple[Aval, ...] | None = None
        self.build_results: Callable[[list[Any]], Any] | None = None
        counts, flags, statics = [], [], []
        builds = []
        for a in args:
            leaves, build = flatten(a)
            before = len(operands)
            for x in leaves:
                x = packed(native(x)) if type(x) not in TRACED else x
                on = _is_operand(x)
                flags.append(on)
                if on:
                    operands.append(x)
                else:
                    statics.append(x.value if type(x) is Held else x)
            counts.append(len(operands) - before)
            builds.append((len(leaves), build))
        self.counts = tuple(counts)
        self.held = tuple([type(a) is Held for a in args])
        self.is_operand = tuple(flags)
        self._statics = statics
        self._build = builds

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is Layout
            and self.is_operand == other.is_operand
            and [b for _, b in self._build] == [b for _, b in other._build]
            and same(self._statics, other._statics)
            and same(self.kwargs, other.kwargs)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Layout({self.counts}, {self._statics}, {self.kwargs})"

    def arguments(self, leaves: Sequence[Any], fill: Any = "statics") -> tuple[Any, ...]:
        """Return the positional arguments with such operands; ``fill`` stands in the place of what is no operand."""
        at, rest = iter(leaves), iter(self._statics)
        out = []
        flags = iter(self.is_operand)
        for n, build in self._build:
            own = [next(at) if next(flags) else (next(rest) if fill == "statics" else fill) for _ in range(n)]
            out.append(build(own))
        return tuple(out)

    def primals(self, leaves: Sequence[Any], fill: Any = "statics") -> tuple[Any, ...]:
        """Return the positional arguments that rules get: without those that are held."""
        args = self.arguments(leaves, fill)
        return tuple([a for a, on in zip(args, self.held, strict=True) if not on]) if any(self.held) else args

    def take(self, name: str, result: Any, inputs: Sequence[Any]) -> Any:
        """Note what the function returned, and return it as one array of numbers that shares no memory with its operands."""
        leaves, build = flatten(result)
        found = [_number(name, v) for v in leaves]
        if not found:
            raise RuleError(f"{where()}: {name} returned no number or array, so that there is nothing to differentiate")
        forms = tuple([aval(v) for v in found])
        if self.results is not None and self.results != forms:
            raise RuleError(
                f"{where()}: {name} returned {_told(forms)} where it had returned {_told(self.results)} for operands of the "
                "same shapes; a function with a rule of its own must not change the shapes of its results"
            )
        self.results, self.build_results = forms, build
        if len(found) == 1:
            (v,) = found
            shared = type(v) is ndarray and any(type(x) is ndarray and np.may_share_memory(v, x) for x in inputs)
            return v.copy() if shared else v
        return side_by_side(found)

    def give(self, vector: Any) -> Any:
        """Return the results that an array of all of them holds."""
        if self.build_results is None or self.results is None:
            raise RuntimeError("the results are not known before the function has run")
        return self.build_results(self.parts(vector))

    def parts(self, vector: Any) -> list[Any]:
        """Return the flat results, or covectors of them, that one array holds."""
        results = self.results or ()
        if len(results) == 1:
            return [vector]
        out, at = [], 0
        for form in results:
            n = size_of(form.shape)
            part = vector[at : at + n].reshape(form.shape) if form.shape else vector[at]
            if dtype_of(part) != form.dtype:
                part = (np.real(part) if form.dtype.kind != "c" else part).astype(form.dtype)
            out.append(part)
            at += n
        return out


def side_by_side(parts: Sequence[Any]) -> Any:
    """Return arrays as one vector."""
    return np.concatenate([np.reshape(p, (-1,)) for p in parts])


def shielded(x: Any) -> Any:
    """Return what a user's function may read and not write: the engine's arrays are not its own."""
    if type(x) is ndarray and x.flags.writeable:
        x = x.view()
        x.flags.writeable = False
    return x


def level_of(xs: Sequence[Any]) -> int:
    """Return the level of the innermost operator that differentiates one of some values; -1 for none."""
    return max([x.run.level for x in map(plain, xs) if type(x) in TRACED], default=-1)


def check_closed(name: str, what: str, found: Sequence[Any], inputs: Sequence[Any]) -> None:
    """Raise if a function of the user's returned values that are differentiated although nothing it was given is."""
    if level_of(found) > level_of(inputs):
        raise RuleError(
            f"{where()}: {what} of {name} uses a value that is being differentiated and is not among its arguments (it is "
            "closed over, global, or kept in an object), and whose derivative would be lost. Make it an argument."
        )


def _is_operand(x: Any) -> bool:
    if type(x) in TRACED:
        return True
    if isinstance(x, (bool, np.bool_)):
        return False
    return isinstance(x, _NUMBERS) or (hasattr(x, "dtype") and hasattr(x, "shape") and dtype_of(x).kind in "biufc")


def _number(name: str, v: Any) -> Any:
    """Return one result as a number or array with a dtype of its own; raise if it has no derivative."""
    v = plain(packed(alive(v)))
    if type(v) in TRACED:
        check_closed(name, "the function", [v], ())
    if type(v) in (int, float):
        return np.float64(v)
    if type(v) is complex:
        return np.complex128(v)
    if not hasattr(v, "dtype") or dtype_of(v).kind not in "fc":
        kind = f"an array of dtype {dtype_of(v)}" if hasattr(v, "dtype") else f"a {type(v).__name__!r}"
        raise RuleError(
            f"{where()}: {name} returned {kind}, which has no derivative. A function with a rule of its own returns floating-point numbers "
            "and arrays, or tuples, lists and dicts of them; use .astype(float) where a derivative of zero is meant."
        )
    return v


def _told(forms: Sequence[Aval]) -> str:
    return " and ".join(f"shape {f.shape} of {f.dtype}" for f in forms)


def checked(what: str, x: Any, form: Any) -> Any:
    """Return a derivative that a rule returned, in the precision of what it belongs to; raise if it does not fit."""
    shape, dtype = shape_of(form), dtype_of(form)
    x = plain(packed(native(x)))
    if isinstance(x, (list, tuple)) or (
        type(x) not in TRACED and not hasattr(x, "dtype") and not isinstance(x, _NUMBERS)
    ):
        raise RuleError(f"{where()}: {what} returned {x!r} where an array of shape {shape} is needed")
    have = dtype_of(x)
    if shape_of(x) != shape:
        raise RuleError(f"{where()}: {what} returned shape {shape_of(x)} where shape {shape} is needed")
    if have.kind not in "biufc" or (have.kind == "c" and dtype.kind != "c"):
        raise RuleError(f"{where()}: {what} returned dtype {have} where {dtype} is needed")
    if have != dtype and dtype.kind in "fc":
        x = x.astype(dtype) if hasattr(x, "astype") else dtype.type(x)
    return x


__all__ = ["Held", "Layout", "check_closed", "checked", "level_of", "shielded", "side_by_side"]
