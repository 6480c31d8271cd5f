"""What programs may say: expressions of NumPy functions, each with a bound on its result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from dualdiff.errors import InputError
from dualdiff.register import REGISTER, name_of
from dualdiff.rules.ufuncs import brings_rows

LARGE = 6.0
"""A variable that may be larger goes through tanh before it is used again."""
UNBOUNDED = 2 * LARGE
"""The bound of what has none."""


class Phrase(NamedTuple):
    """An expression with places for its operands, the functions it takes, and a bound from those of the operands."""

    functions: tuple[Any, ...]
    text: str
    bound: Callable[..., float]


UNARY: tuple[Phrase, ...] = (
    Phrase((np.sin,), "np.sin({x})", lambda b: 1.0),
    Phrase((np.cos,), "np.cos({x})", lambda b: 1.0),
    Phrase((np.tanh,), "np.tanh({x})", lambda b: 1.0),
    Phrase((np.arctan,), "np.arctan({x})", lambda b: 1.6),
    Phrase((np.exp,), "np.exp(-{x} * {x})", lambda b: 1.0),
    Phrase((np.sqrt,), "np.sqrt({x} * {x} + 1)", lambda b: b + 1),
    Phrase((np.log,), "np.log({x} * {x} + 1)", lambda b: 2 * b),
    Phrase((np.log1p,), "np.log1p({x} ** 2)", lambda b: 2 * b),
    Phrase((np.square,), "np.square({x})", lambda b: b * b),
    Phrase((), "{x} ** 3", lambda b: b**3),
    Phrase((), "1 / ({x} * {x} + 1)", lambda b: 1.0),
    Phrase((), "-{x}", lambda b: b),
    Phrase((), "0.5 * {x} - 0.25", lambda b: b),
    Phrase((), "1.5 - {x}", lambda b: b + 1.5),
    Phrase((np.absolute,), "abs({x})", lambda b: b),
    Phrase((np.where, np.greater), "np.where({x} > 0.1, {x}, 0.2 * {x})", lambda b: b),
    Phrase((np.where, np.greater, np.sqrt), "np.where({x} > 0, np.sqrt(abs({x}) + 0.5), 0.0)", lambda b: b + 1),
    Phrase((np.maximum,), "np.maximum({x}, 0.3)", lambda b: b + 1),
    Phrase((np.clip,), "np.clip({x}, -0.7, 0.9)", lambda b: 1.0),
)
BINARY: tuple[Phrase, ...] = (
    Phrase((), "{x} + {y}", lambda a, b: a + b),
    Phrase((), "{x} - {y}", lambda a, b: a + b),
    Phrase((), "{x} * {y}", lambda a, b: a * b),
    Phrase((), "{x} / ({y} * {y} + 1)", lambda a, b: a),
    Phrase((np.power,), "({x} * {x} + 0.5) ** np.tanh({y})", lambda a, b: a * a + 2),
    Phrase((np.minimum,), "np.minimum({x}, {y})", max),
    Phrase((np.hypot,), "np.hypot({x}, {y} * {y} + 1)", lambda a, b: a + b * b + 1),
    Phrase((np.arctan2,), "np.arctan2({x}, {y} * {y} + 1)", lambda a, b: 1.6),
    Phrase((np.add,), "np.add({x}, {y})", lambda a, b: a + b),
    Phrase((np.where, np.greater), "np.where({x} > {y}, {x} * {y}, {y})", lambda a, b: max(a * b, b)),
)
#: with {a} where further arguments go, and {b} where they are the only ones
REDUCTIONS: tuple[Phrase, ...] = (
    Phrase((np.sum,), "np.sum({x}{a})", lambda b, n: b * n),
    Phrase((np.mean,), "np.mean({x}{a})", lambda b, n: b),
    Phrase((np.prod,), "np.prod(np.tanh({x}){a})", lambda b, n: 1.0),
    Phrase((np.max,), "np.max({x}{a})", lambda b, n: b),
    Phrase((np.var,), "np.var({x}{a})", lambda b, n: b * b),
    Phrase((np.sum,), "{x}.sum({b})", lambda b, n: b * n),
)
MOVEMENTS: tuple[Any, ...] = (
    np.concatenate,
    np.stack,
    np.roll,
    np.flip,
    np.reshape,
    np.transpose,
    np.cumsum,
    np.broadcast_to,
)
OTHERS: tuple[Any, ...] = (np.matmul, np.zeros_like, np.array)
KINKED: frozenset[Any] = frozenset({np.absolute, np.where, np.greater, np.maximum, np.minimum, np.clip, np.max})
"""Functions with kinks, and the comparison that branches need."""

INTO: dict[str, str] = {
    "real": "{x}",
    "nonzero": "{x} * {x} + 0.5",
    "positive": "{x} * {x} + 0.5",
    "nonnegative": "{x} * {x} + 0.5",
    "negative": "-0.5 - {x} * {x}",
    "unit": "0.9 * np.tanh({x})",
    "probability": "0.5 + 0.4 * np.tanh({x})",
    "inner": "0.5 + 0.4 * np.tanh({x})",
    "above minus one": "{x} * {x} - 0.5",
    "above half": "{x} * {x} + 0.75",
    "above one": "{x} * {x} + 1.5",
    "above two": "{x} * {x} + 2.5",
    "above three": "{x} * {x} + 3.5",
}
"""How any number is brought into a domain."""


def _of(phrases: Iterable[Phrase]) -> frozenset[Any]:
    return frozenset(f for phrase in phrases for f in phrase.functions)


KNOWN: frozenset[Any] = _of((*UNARY, *BINARY, *REDUCTIONS)) | {*MOVEMENTS, *OTHERS}
"""All functions that statements use by themselves."""
VOCABULARIES: dict[str, frozenset[Any]] = {
    "numpy": KNOWN,
    "smooth": KNOWN - KINKED,
    "elementwise": _of((*UNARY, *BINARY)) | {np.zeros_like},
}
"""The vocabularies that have names: sets of functions."""


class Vocabulary(NamedTuple):
    """The phrases of a program, and the functions that its other statements may use."""

    functions: frozenset[Any]
    unary: tuple[Phrase, ...]
    binary: tuple[Phrase, ...]
    reductions: tuple[Phrase, ...]

    def has(self, *functions: Any) -> bool:
        """Whether all of these functions may be used."""
        return self.functions.issuperset(functions)


def vocabulary_of(words: str | Iterable[Any]) -> Vocabulary:
    """Return the vocabulary that a name or some functions mean."""
    if isinstance(words, str):
        if words not in VOCABULARIES:
            raise InputError(
                f"there is no vocabulary {words!r}; there are {', '.join(VOCABULARIES)}, or name functions"
            )
        functions, further = VOCABULARIES[words], list[Any]()
    else:
        given = tuple(words)
        functions, further = frozenset(f for f in given if f in KNOWN), [f for f in given if f not in KNOWN]
    # What this version of the library cannot differentiate is not written.
    usable = frozenset(f for f in functions if f is np.array or (f in REGISTER and REGISTER[f].handler is not None))
    applied = [_applied(f) for f in further]

    def said(phrases: Iterable[Phrase], operands: int = 0) -> tuple[Phrase, ...]:
        known = [p for p in phrases if usable.issuperset(p.functions)]
        named = [p for p in known if p.functions] + [p for n, p in applied if n == operands]
        # Twice, so that a few functions are not lost among sums and products.
        return (*named, *named, *(p for p in known if not p.functions))

    return Vocabulary(usable, said(UNARY, 1), said(BINARY, 2), said(REDUCTIONS))


def _applied(function: Any) -> tuple[int, Phrase]:
    """Return how many operands an elementwise function takes, and the phrase that keeps them in its domain."""
    if isinstance(function, np.ufunc):
        brings_rows(function)
    entry = REGISTER.get(function) if callable(function) else None
    name = name_of(function) if callable(function) else repr(function)
    domains = entry.domain if entry is not None and isinstance(entry.domain, tuple) else (entry and entry.domain,)
    if (
        entry is None
        or entry.status != "elementwise"
        or len(domains) > 2
        or any(d not in INTO for d in domains)
        or not any(loop.startswith("d" * len(domains) + "->") for loop in getattr(function, "types", ()))
    ):
        raise InputError(
            f"programs have no statement for {name}; they know elementwise functions of one or two real operands "
            f"with a derivative, and {', '.join(sorted(name_of(f) for f in KNOWN))}"
        )
    operands = ", ".join(INTO[d].format(x=place) for d, place in zip(domains, ("{x}", "{y}")))
    return len(domains), Phrase((function,), f"{name.removeprefix('scipy.')}({operands})", lambda *bounds: UNBOUNDED)
