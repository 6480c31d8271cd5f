"""The laws, run on a function with a rule of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.custom import CustomFunction
from dualdiff.errors import DerivativeError, InputError
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.testing import laws
from dualdiff.testing.laws import LawError
from dualdiff.testing.report import CheckError, Report
from dualdiff.testing.subject import Subject
from dualdiff.testing.verdict import Verdict
from dualdiff.trees import flatten

MEANINGS = {
    "value": "a traced run returns the function's values",
    "push": "the derivative is linear in its direction",
    "adjoint": "reverse mode is the transpose of forward mode",
    "batch": "several directions at once give what one after the other does",
    "zero": "a zero direction has a zero derivative",
    "purity": "nothing is written to, and twice is the same",
    "pattern": "what depends on what is in the pattern",
    "replay": "the recorded run, run again, returns the same values",
    "precision": "float32 stays float32",
    "truth": "the rule is the derivative of the function",
    "second": "the rule's own derivative is the second derivative",
}
"""The laws that a rule is held to, in order, and what each says."""
COARSE = 1e-5
"""What central differences of double precision may be off by before they are called wrong, relative to the size."""


def check_rule(
    primitive: Callable[..., Any],
    *args: Any,
    directions: int = 3,
    seed: int = 0,
    skip: str | Sequence[str] = (),
    **kwargs: Any,
) -> Report:
    r"""Hold a rule of your own to the laws that every derivative obeys, at one point.

    Values, linearity, ⟨w, Jv⟩ = ⟨Jᵀw, v⟩, several directions at once, zeros, purity, the pattern, replay, float32, the truth
    (against the complex step or extrapolated differences) and, where the rule is NumPy, second derivatives.

    Parameters
    ----------
    primitive : callable
        Made by :func:`dualdiff.primitive`, :func:`dualdiff.custom_jvp` or :func:`dualdiff.custom_vjp`.
    *args, **kwargs
        The point. Arguments of floating-point numbers and arrays are differentiated.
    directions : int
        How many random directions to try.
    seed : int
        Seed of the directions.
    skip : str or sequence of str
        Laws to leave out: ``"truth"`` and ``"second"`` for a rule that is no derivative on purpose (straight through, clipped),
        ``"precision"`` for code of one precision.

    Returns
    -------
    Report
        It prints as one line for each law.

    Raises
    ------
    CheckError
        If laws are broken; the message has a sentence for each, with the numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> wrong = dd.primitive(np.sin, partials=lambda x: -np.cos(x))
    >>> check_rule(wrong, 0.5)
    Traceback (most recent call last):
        ...
    dualdiff.testing.report.CheckError: sin breaks a law: the rule is the derivative of the function (truth). ...
    >>> right = dd.primitive(np.sin, partials=np.cos)
    >>> check_rule(right, 0.5).verdict
    'agree'
    """
    if not isinstance(primitive, CustomFunction):
        raise InputError(
            "check_rule takes a function with a rule of its own, as dd.primitive makes; dualdiff.testing.check takes any"
        )
    skipped = (skip,) if isinstance(skip, str) else tuple(skip)
    unknown = [s for s in skipped if s not in MEANINGS]
    if unknown:
        raise InputError(f"skip={unknown[0]!r} is no law; the laws are {', '.join(MEANINGS)}")
    name = primitive.__name__
    varied = [i for i in range(len(args)) if _is_varied(primitive, i, args)]
    if not varied:
        raise CheckError(f"{name}: there is no floating-point argument to differentiate by")

    def f(*xs: Any) -> Any:
        given = list(args)
        for i, x in zip(varied, xs, strict=True):
            given[i] = x
        return primitive(*given, **kwargs)

    point = [args[i] for i in varied]
    derivative = getattr(primitive, "options", {}).get("derivative")
    lines: list[str] = []
    broken: list[str] = []
    verdict: Verdict = "agree"
    for law, meaning in MEANINGS.items():
        if law in skipped or (law in ("precision", "second") and derivative is not None):
            continue
        if law == "precision" and any(dtype_of(x) != np.float64 for x in flatten(point)[0]):
            continue
        try:
            found = _held(law, f, point, directions, seed, derivative)
        except LawError as e:
            broken.append(f"{name} breaks a law: {meaning} ({law}). {str(e)[:1].upper()}{str(e)[1:]}")
        except DerivativeError as e:
            if law != "second":
                broken.append(f"{name} breaks a law: {meaning} ({law}). {e}")
            else:
                lines.append(f"second: {_NOT_TO_BE_HAD}")
        except Exception:  # whatever compiled code says of differentiated values
            if law != "second":
                raise
            lines.append(f"second: {_NOT_TO_BE_HAD}")
        else:
            if found == "inconclusive":
                verdict = "inconclusive"
            lines.append(f"{law}: {meaning}")
    if broken:
        raise CheckError("\n".join(broken))
    return Report(verdict, tuple(lines))


_NOT_TO_BE_HAD = "not to be had, as the rule is not written in NumPy's functions"


def _is_varied(primitive: CustomFunction, i: int, args: Sequence[Any]) -> bool:
    """Whether an argument is one of numbers, and one that the rule covers."""
    leaves = flatten(args[i])[0]
    if not leaves or any(dtype_of(x).kind not in "fc" if _is_number(x) else True for x in leaves):
        return False
    covered = primitive.covered(len(args))
    partials = getattr(primitive, "partials", None)
    return i in covered and (partials is None or partials[covered.index(i)] is not None)


def _is_number(x: Any) -> bool:
    return isinstance(x, (float, complex)) or hasattr(x, "dtype")


def _held(law: str, f: Any, point: Sequence[Any], directions: int, seed: int, derivative: Any) -> Any:
    """Hold a function to one law."""
    rng = np.random.default_rng(seed)
    if derivative is not None and law in ("push", "adjoint", "truth"):
        return _held_coarsely(law, Subject(f, point), rng)
    rule = laws.LAWS[law]
    takes_rng = law not in ("value", "zero", "replay", "pattern")
    if law == "precision":
        return _held_precisely(f, point, rng)
    found = None
    for _ in range(directions if law in ("push", "adjoint", "truth", "second") else 1):
        new = rule(f, *point, rng=rng) if takes_rng else rule(f, *point)
        found = "inconclusive" if "inconclusive" in (found, new) else new
    return found


def _held_precisely(f: Any, point: Sequence[Any], rng: np.random.Generator) -> Any:
    """Hold a function of nested arguments to the law of precision."""
    leaves, build = flatten(tuple(point))
    return laws.precision_law(lambda *xs: f(*build(list(xs))), *leaves, rng=rng)


def _held_coarsely(law: str, s: Subject, rng: np.random.Generator) -> Any:
    """Hold derivatives by steps to laws that they keep to some digits only."""
    v, u = s.direction(rng), s.direction(rng)
    values, jv = s.push(v)
    if law == "push":
        _, ju = s.push(u)
        _, both = s.push([0.75 * a - 1.25 * b for a, b in zip(v, u, strict=True)])
        for got, a, b, y in zip(both, jv, ju, values, strict=True):
            _near("the derivative of a sum of directions", got, 0.75 * a - 1.25 * b, _size(a) + _size(b) + _size(y))
        return None
    if law == "adjoint":
        w = s.covector(rng, values)
        left, size = laws.inner(w, jv)
        right, other = laws.inner(s.pull(w)[1], v)
        _near("⟨w, Jv⟩ = ⟨Jᵀw, v⟩", left, right, size + other + laws.largest(w) * laws.largest(values))
        return None
    truth = s.truth(v)
    for n, (d, t, e) in enumerate(zip(jv, truth.values, truth.errors, strict=True)):
        known = np.isfinite(e)
        if not np.all(known):
            return "inconclusive"
        _near(f"the derivative of output {n}, by {truth.method}", d, t, _size(t) + _size(truth.sizes[n]))
    return "agree"


def _near(what: str, a: Any, b: Any, scale: float) -> None:
    coarse = COARSE if dtype_of(a).char not in "fe" else 1e-2
    if shape_of(a) != shape_of(b):
        raise LawError(f"{what}: the shapes are {shape_of(a)} and {shape_of(b)}")
    off = float(np.max(np.abs(np.subtract(a, b)), initial=0.0))
    if not off <= coarse * scale:
        raise LawError(
            f"{what}: {a!r} on one side, {b!r} on the other (off by {off:.2g}, allowed {coarse * scale:.2g})"
        )


def _size(x: Any) -> float:
    return float(np.max(np.abs(x), initial=0.0))
