"""The functions of ``math`` and ``cmath``, and ``float`` itself, on numbers that are being differentiated.

Each first asks the real function for its value, so that what raises there (``math.sqrt(-1)``, ``math.log(0)``) raises here.
"""

from __future__ import annotations

import cmath
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.capture.active import any_active
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.values import TRACED, decided, is_replayed, raw


def _number(x: Any) -> Any:
    """Return a value of one entry as a number, as ``float`` would."""
    return np.reshape(x, ())[()] if type(x) in TRACED and x.shape else x


def _log(x: Any, base: Any = None) -> Any:
    return np.log(x) if base is None else np.log(x) / np.log(base)


def _prod(values: Any, *, start: Any = 1) -> Any:
    return functools.reduce(lambda a, b: a * b, values, start)


def _sumprod(p: Any, q: Any) -> Any:
    return sum([a * b for a, b in zip(p, q, strict=True)])


def _hypot(*coordinates: Any) -> Any:
    return functools.reduce(np.hypot, coordinates[1:], np.abs(coordinates[0])) if coordinates else 0.0


def _dist(p: Any, q: Any) -> Any:
    return _hypot(*[a - b for a, b in zip(p, q, strict=True)])


def _modf(x: Any) -> Any:
    whole = np.trunc(x)
    return x - whole, whole


def _special(name: str) -> Callable[..., Any]:
    def function(*args: Any) -> Any:
        import scipy.special  # only who calls math.erf needs it

        return getattr(scipy.special, name)(*args)

    return function


def _remainder(x: Any, y: Any) -> Any:
    a, b = _plain(x), _plain(y)
    return x - y * round((a - math.remainder(a, b)) / b)


_OF_MATH: dict[str, Any] = {
    "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh, "atan": np.arctan, "atan2": np.arctan2,
    "atanh": np.arctanh, "cbrt": np.cbrt, "copysign": np.copysign, "cos": np.cos, "cosh": np.cosh, "degrees": np.degrees,
    "dist": _dist, "erf": _special("erf"), "erfc": _special("erfc"), "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1,
    "fabs": np.abs, "fma": lambda x, y, z: x * y + z, "fmod": np.fmod, "fsum": lambda values: sum(values),
    "gamma": _special("gamma"), "hypot": _hypot, "ldexp": lambda x, i: x * 2.0**i, "lgamma": _special("gammaln"), "log": _log,
    "log10": np.log10, "log1p": np.log1p, "log2": np.log2, "modf": _modf, "pow": np.power, "prod": _prod,
    "radians": np.radians, "remainder": _remainder, "sin": np.sin, "sinh": np.sinh, "sqrt": np.sqrt, "sumprod": _sumprod,
    "tan": np.tan, "tanh": np.tanh,
}  # fmt: skip
_DECISIONS = ("ceil", "floor", "trunc", "isfinite", "isinf", "isnan", "isclose")
"""What is constant but for jumps: the plain value decides."""
_OF_SEQUENCES = ("dist", "fsum", "prod", "sumprod")
_INSIDE: dict[Any, Callable[[Any], Any]] = {
    **dict.fromkeys((math.log, math.log2, math.log10), lambda x: np.greater(x, 0)),
    math.log1p: lambda x: np.greater(x, -1),
    math.atanh: lambda x: np.less(np.abs(x), 1),
    math.acosh: lambda x: np.greater_equal(x, 1),
}
"""Functions that raise outside of their domain, where the formulas of their derivatives are finite."""
_OF_CMATH: dict[str, Any] = {
    "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh, "atan": np.arctan, "atanh": np.arctanh,
    "cos": np.cos, "cosh": np.cosh, "exp": np.exp, "log": _log, "log10": np.log10, "sin": np.sin, "sinh": np.sinh,
    "sqrt": np.sqrt, "tan": np.tan, "tanh": np.tanh,
}  # fmt: skip


def _itself(x: Any) -> Any:
    return x


def _plain(x: Any) -> Any:
    """Return the plain value of an argument, which may be a sequence of numbers."""
    if type(x) in TRACED:
        v = raw(x)
        return v.item() if getattr(v, "size", 0) == 1 else v
    return type(x)([_plain(i) for i in x]) if type(x) in (list, tuple) else x


def _traced(
    real: Callable[..., Any], function: Callable[..., Any], prepare: Callable[[Any], Any]
) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not any_active(args, kwargs):
            return real(*args, **kwargs)
        real(*[_plain(a) for a in args], **{k: _plain(v) for k, v in kwargs.items()})
        if real in _INSIDE:
            for a in args:
                if is_replayed(a):
                    decided(_INSIDE[real](a))  # a program that is run outside of the domain does not raise there
        return function(*map(prepare, args), **kwargs)

    return call


def _decided(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        # What is computed of the value by NumPy records that it left: a replay would know.
        return real(*[a.run.leave(a) if type(a) in TRACED else a for a in args], **kwargs)

    return call


def _refused(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any_active(args, kwargs):
            raise UnsupportedFunctionError(
                f"{where()}: {real.__module__}.{real.__name__} has no derivative rule for a value that is being "
                "differentiated. Write it with NumPy's functions, or freeze the value on purpose with dd.stop_gradient(x)."
            )
        return real(*args, **kwargs)

    return call


def _functions(module: Any, known: dict[str, Any], prepare: Callable[[Any], Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for name in dir(module):
        real = getattr(module, name)
        if name.startswith("_") or not callable(real):
            continue
        if name in known:
            found[real] = _traced(real, known[name], _itself if name in _OF_SEQUENCES else prepare)
        elif module is math and name in _DECISIONS:
            found[real] = _decided(real)
        else:
            found[real] = _refused(real)
    return found


def _complex(x: Any) -> Any:
    return _number(x) + 0j if type(x) in TRACED else x


def functions() -> dict[Any, Any]:
    """Return the stand-in for each function of ``math`` and ``cmath``."""
    return {**_functions(math, _OF_MATH, _number), **_functions(cmath, _OF_CMATH, _complex)}


class _NumberType(type):
    """The class of :class:`Float` and :class:`Complex`: they pass for ``float`` and ``complex`` wherever a type is asked for."""

    _real: type

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, cls._real)

    def __subclasscheck__(cls, kind: Any) -> bool:
        return issubclass(kind, cls._real)

    def __eq__(cls, other: Any) -> bool:
        return other is cls or other is cls._real

    def __hash__(cls) -> int:
        return hash(cls._real)


def _one(x: Any) -> Any:
    """Return a traced value of one entry as a number."""
    if x.size != 1:
        raise TypeError("only length-1 arrays can be converted to Python scalars")
    return _number(x)


class Float(float, metaclass=_NumberType):
    """``float`` in a captured module: a differentiated number stays what it is; everything else is converted.

    It is bound only after a conversion by ``float`` was met, and only in the module where that was.
    """

    _real = float
    dtype = np.dtype(float)

    def __new__(cls, x: Any = 0.0, /) -> Any:
        """Return a number as a float."""
        if type(x) in TRACED and not x._may_leave() and x.dtype.kind != "c":
            return _one(x)
        return float(x)


class Complex(complex, metaclass=_NumberType):
    """``complex`` in a captured module, as :class:`Float` is for ``float``."""

    _real = complex
    dtype = np.dtype(complex)

    def __new__(cls, *args: Any) -> Any:
        """Return one number, or a real and an imaginary part, as a complex number."""
        if any(type(x) in TRACED and not x._may_leave() for x in args):
            real, *imaginary = [_one(x) if type(x) in TRACED else x for x in args]
            return real + 1j * imaginary[0] if imaginary else real + 0j
        return complex(*args)


CONVERSIONS: dict[str, Any] = {"float": Float, "complex": Complex}
"""The conversions that code may name, and what stands for them."""

__all__ = ["CONVERSIONS", "Complex", "Float", "functions"]
