"""What an entry of the corpus is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Case", "Gradient", "Hessian", "Jacobian", "Jvp", "Vjp"]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A function, a derivative of it, and a point.

    Attributes
    ----------
    name : str
        What it is; of a wrong one, what is wrong.
    f : callable
        The function.
    derivative : callable
        Written by hand.
    point : tuple
        The arguments.
    form : str
        "jacobian", "gradient", "hessian", "vjp" or "jvp".
    options : dict
        What the check is told: a domain, shapes, noise.
    kink : bool
        Whether no derivative exists at the point, so that "inconclusive" is the only right answer.
    stationary : bool
        Whether the derivative is zero at the point up to rounding, so that twice of it is as right.
    fresh : callable or None
        Makes the function and the derivative anew, where they keep something from call to call.
    """

    name: str
    f: Callable[..., Any]
    derivative: Callable[..., Any]
    point: tuple[Any, ...]
    form: str = "jacobian"
    options: dict[str, Any] = field(default_factory=dict)
    kink: bool = False
    stationary: bool = False
    fresh: Callable[[], tuple[Callable[..., Any], Callable[..., Any]]] | None = None


def Jacobian(name: str, f: Any, derivative: Any, *point: Any, **more: Any) -> Case:
    """Return a case whose derivative is a Jacobian."""
    return _case("jacobian", name, f, derivative, point, more)


def Gradient(name: str, f: Any, derivative: Any, *point: Any, **more: Any) -> Case:
    """Return a case whose derivative is a gradient."""
    return _case("gradient", name, f, derivative, point, more)


def Hessian(name: str, f: Any, derivative: Any, *point: Any, **more: Any) -> Case:
    """Return a case whose derivative is a Hessian."""
    return _case("hessian", name, f, derivative, point, more)


def Vjp(name: str, f: Any, derivative: Any, *point: Any, **more: Any) -> Case:
    """Return a case whose derivative is a function that returns the value and a pullback."""
    return _case("vjp", name, f, derivative, point, more)


def Jvp(name: str, f: Any, derivative: Any, *point: Any, **more: Any) -> Case:
    """Return a case whose derivative maps primals and tangents to value and tangent."""
    return _case("jvp", name, f, derivative, point, more)


def _case(form: str, name: str, f: Any, derivative: Any, point: tuple[Any, ...], more: dict[str, Any]) -> Case:
    own = {k: more.pop(k) for k in ("kink", "stationary", "fresh") if k in more}
    return Case(name, f, derivative, point, form, more, **own)
