"""How the tables of SciPy's special functions are written: a row per ufunc, or one for each of its results.

A partial is a function ``(out, *operands)`` as in every elementwise row, written in functions that have rows themselves, so
that second and higher derivatives need nothing more. Where a function has no derivative by one of its arguments, ``ORDER``
or ``NO_FORMULA`` stands in its place: an argument that is being differentiated is then refused by name; one that does not
depend on the input is fine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from scipy import special
from scipy.special import _ufuncs

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.kinds import Elementwise
from dualdiff.register import REAL_ONLY, REGISTER, Facts, discrete, refused, register
from dualdiff.shapes import dtype_of
from dualdiff.values import TRACED, is_recorded

REAL, POSITIVE, NONZERO, UNIT = "real", "positive", "nonzero", "unit"
ABOVE_ONE, ABOVE_MINUS_ONE = "above one", "above minus one"
PROBABILITY, NEGATIVE, INNER = "probability", "negative", "inner"
PARAMETER = "parameter"
"""The domain of an argument that no derivative is taken by."""


class Without(NamedTuple):
    """Why a function has no derivative by an argument, and what to do instead."""

    why: str
    #: says from the operands whether there is a derivative after all, ``partial``
    unless: Callable[..., bool] | None = None
    partial: Any = 0


_BLACK_BOX = 'a difference quotient of the whole function, dd.primitive({name}, derivative="difference"), takes what differences can give'
ORDER = Without(
    "it is an order, defined for whole numbers only. Pass an integer that does not come from the input, "
    "or freeze it on purpose with dd.stop_gradient"
)
NO_FORMULA = Without(
    "no closed form of it is known. Keep it constant, freeze it on purpose with dd.stop_gradient, or " + _BLACK_BOX
)


OF_STATS: Any = None if hasattr(_ufuncs, "_beta_pdf") else import_module("scipy.stats._boost")
"""Where SciPy 1.13 keeps its ufuncs of distributions: shapes of the public ones are differentiated by some of them."""


def named(name: str) -> Any:
    """Return SciPy's ufunc of a name, public or not; None where this version has none."""
    found = getattr(_ufuncs if name.startswith("_") else special, name, None)
    return found if found is not None or OF_STATS is None else getattr(OF_STATS, name.replace("_pmf", "_pdf"), None)


def row(
    name: str,
    args: str,
    *partials: Any,
    domain: Any,
    real_only: bool = False,
    second: bool = True,
    function: Any = None,
    **options: Any,
) -> Elementwise | None:
    """Add the row of a ufunc with one result.

    Parameters
    ----------
    name : str
        SciPy's name for it. Nothing happens where this version of SciPy lacks it.
    args : str
        What SciPy's documentation calls its arguments, for messages.
    partials
        One per argument: a function ``(out, *operands)``, a constant 0, 1 or -1, or the reason why there is none.
    domain
        Where each operand is drawn from.
    real_only : bool
        Whether SciPy also takes complex numbers, but the function is then not holomorphic.
    second : bool
        Whether its partials have derivatives in turn.
    """
    ufunc = function or named(name)
    if ufunc is None:
        return None
    found = _made(f"scipy.special.{name}", ufunc, partials, domain, options)
    register(
        ufunc,
        found.kind,
        _guarded(found, args.split(), partials, real_only) if real_only or _has_gaps(partials) else found,
        domain=domain,
        primitive=found,
        facts=_facts(args, partials, real_only, second),
    )
    return found


def rows(name: str, args: str, *partials: Sequence[Any], domain: Any, real_only: bool = False, **options: Any) -> None:
    """Add the rows of a ufunc with several results: for each result the partials by all arguments."""
    ufunc = named(name)
    if ufunc is None:
        return
    each = [
        _made(f"scipy.special.{name}", _taken(ufunc, i), of_result, domain, options)
        for i, of_result in enumerate(partials)
    ]
    gaps = [next((p[k] for p in partials if type(p[k]) is Without), 0) for k in range(len(partials[0]))]

    def all_of_them(*operands: Any) -> Any:
        return tuple([one(*operands) for one in each])

    register(
        ufunc,
        "composite",
        _guarded(all_of_them, args.split(), gaps, real_only, f"scipy.special.{name}"),
        domain=domain,
        facts=_facts(args, gaps, real_only, True),
    )


def _facts(args: str, partials: Sequence[Any], real_only: bool, second: bool) -> Facts:
    gaps = [(name, p.why) for name, p in zip(args.split(), partials, strict=True) if type(p) is Without]
    return Facts(REAL_ONLY if real_only else None, second, without=gaps)


def _taken(ufunc: Any, i: int) -> Callable[..., Any]:
    def result(*args: Any) -> Any:
        return ufunc(*args)[i]

    return result


def _has_gaps(partials: Sequence[Any]) -> bool:
    return any(type(p) is Without for p in partials)


def _made(name: str, fn: Any, partials: Sequence[Any], domain: Any, options: dict[str, Any]) -> Elementwise:
    filled = [p.partial if type(p) is Without else p for p in partials]
    return Elementwise(name, fn, *filled, domain=domain, **options)


def _guarded(
    compute: Any, names: Sequence[str], partials: Sequence[Any], real_only: bool, name: str | None = None
) -> Callable[..., Any]:
    """Return a function that first refuses what has no derivative."""
    called = name or compute.name
    gaps = [(k, p) for k, p in enumerate(partials) if type(p) is Without]

    def handler(*args: Any) -> Any:
        for k, gap in gaps:
            if is_differentiated(args[k]) and (gap.unless is None or not gap.unless(*args)):
                raise UnsupportedFunctionError(
                    f"{where()}: {called} has no derivative by its argument {names[k]!r}: {gap.why.format(name=called)}."
                )
        if real_only and any(is_differentiated(a) and dtype_of(a).kind == "c" for a in args):
            raise UnsupportedFunctionError(
                f"{where()}: {called} of complex numbers is not holomorphic, and is differentiated at real ones only. "
                "Use the function without scaling, or real and imaginary parts."
            )
        return compute(*args)

    return handler


def is_differentiated(x: Any) -> bool:
    """Whether a value depends on the input in a way that has a derivative: what a program only records does not."""
    return type(x) in TRACED and not x._may_leave() and (not is_recorded(x) or x.run.pushed)


def piecewise_constant(*names: str) -> None:
    """Add ufuncs whose results do not change with small changes of their arguments."""
    discrete(*[f for f in map(named, names) if f is not None])


def without_formula(names: str, why: str) -> None:
    """Refuse ufuncs of which no derivative has a closed form."""
    for name in names.split():
        ufunc = named(name)
        if ufunc is not None and ufunc not in REGISTER:
            refused(
                ufunc,
                f"{why}. Keep its arguments constant or freeze them with dd.stop_gradient; "
                + _BLACK_BOX.format(name="f"),
            )


__all__ = [
    "ABOVE_MINUS_ONE",
    "ABOVE_ONE",
    "INNER",
    "NEGATIVE",
    "NONZERO",
    "NO_FORMULA",
    "ORDER",
    "PARAMETER",
    "POSITIVE",
    "PROBABILITY",
    "REAL",
    "UNIT",
    "Without",
    "is_differentiated",
    "named",
    "piecewise_constant",
    "row",
    "rows",
    "without_formula",
]
