"""``custom_jvp`` and ``custom_vjp`` in JAX's spelling; the mode that has no rule follows from the one that has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from dualdiff.custom.function import CustomFunction
from dualdiff.custom.layout import Layout, check_closed, shielded
from dualdiff.custom.rows import GivenGeneral, called, function_of, joined, taken_apart
from dualdiff.errors import InputError, RuleError, where
from dualdiff.trees import flatten, tree_map


class _Spelt(CustomFunction):
    """What both have in common: a rule that comes after the function, and arguments that stay where they are."""

    trusted = True  # many such rules are meant to be another derivative than the function's

    _how = ""

    def __init__(self, f: Callable[..., Any], nondiff_argnums: Sequence[int] = (), nondiff_argnames: Any = ()) -> None:
        names = (nondiff_argnames,) if isinstance(nondiff_argnames, str) else tuple(nondiff_argnames)
        numbers = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)
        super().__init__(f, (*numbers, *names))
        self.nondiff_argnums, self.nondiff_argnames = numbers, names
        self.fills_defaults = isinstance(f, FunctionType)  # of a library's function they are its own affair

    def carried_out(self, layout: Layout, operands: list[Any]) -> Any:
        if not self.rows:
            raise RuleError(
                f"{where()}: {self.__name__} is differentiated, but no rule was given; give it with {self._how}"
            )
        return super().carried_out(layout, operands)

    def _apart(self, args: Sequence[Any], layout: Layout) -> tuple[list[Any], list[Any]]:
        """Return the arguments that are not differentiated, and the others."""
        return [a for a, on in zip(args, layout.held) if on], [a for a, on in zip(args, layout.held) if not on]


class CustomJVP(_Spelt):
    """See :func:`custom_jvp`."""

    _how = "f.defjvp(rule) or f.defjvps(...)"
    _rule: Any = None
    _parts: Any = None

    def __getstate__(self) -> Any:
        return self.f, self.nondiff_argnums, self.nondiff_argnames, self._rule, self._parts

    def __setstate__(self, state: Any) -> None:
        f, numbers, names, rule, parts = state
        CustomJVP.__init__(self, f, numbers, names)
        if parts is not None:
            self.defjvps(*parts)
        elif rule is not None:
            self.defjvp(rule)

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Give the rule ``rule(*nondiff, primals, tangents) -> (value, tangent)``; return it, so that this decorates."""
        if not callable(rule):
            raise InputError(f"defjvp takes a function, not a {type(rule).__name__!r}")
        self._rule, self._parts = rule, None
        name, what = self.__name__, "the rule of defjvp"

        def jvp(args: Sequence[Any], call: Layout, out: Any, ts: list[Any]) -> list[Any]:
            nondiff, primals = self._apart(call.arguments([shielded(a) for a in args]), call)
            tangents = call.primals([shielded(t) for t in ts], None)
            found = called(name, what, (*args, *ts), rule, *nondiff, tuple(primals), tangents, **call.kwargs)
            if not isinstance(found, (tuple, list)) or len(found) != 2:
                raise RuleError(f"{where()}: {what} of {name} returned no pair (value, tangent)")
            return [joined(name, what, found[1], call, (*args, *ts))]

        self.take(GivenGeneral(name, function_of(name, self.f), jvp, None))
        return rule

    def defjvps(self, *rules: Callable[..., Any] | None) -> None:
        """Give one rule for each argument, ``rule(tangent, value, *primals) -> tangent``; None for one without influence."""
        if self.nondiff:
            raise InputError("defjvps cannot be used together with nondiff_argnums; use defjvp")

        def rule(primals: tuple[Any, ...], tangents: tuple[Any, ...], **params: Any) -> Any:
            if len(rules) != len(primals):
                raise RuleError(
                    f"{where()}: {self.__name__} was called with {len(primals)} arguments, and defjvps was given {len(rules)} rules"
                )
            value = self(*primals, **params)
            parts = [r(t, value, *primals) for r, t in zip(rules, tangents) if r is not None]
            if not parts:
                return value, tree_map(lambda v: 0.0 * v, value)
            total = parts[0]
            for p in parts[1:]:
                total = tree_map(lambda a, b: a + b, total, p)
            return value, total

        self.defjvp(rule)
        self._rule, self._parts = None, rules


class CustomVJP(_Spelt):
    """See :func:`custom_vjp`."""

    _how = "f.defvjp(fwd, bwd)"
    _pair: Any = None

    def __getstate__(self) -> Any:
        return self.f, self.nondiff_argnums, self.nondiff_argnames, self._pair

    def __setstate__(self, state: Any) -> None:
        f, numbers, names, pair = state
        CustomVJP.__init__(self, f, numbers, names)
        if pair is not None:
            self.defvjp(*pair)

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Give ``fwd(*args) -> (value, residuals)`` and ``bwd(*nondiff, residuals, cotangent) -> cotangents`` of the arguments.

        Both run when the sweep reaches the function; the value comes from the function itself.
        """
        if not callable(fwd) or not callable(bwd):
            raise InputError("defvjp takes two functions, fwd and bwd")
        self._pair = fwd, bwd
        name = self.__name__

        def vjp(args: Sequence[Any], call: Layout, out: Any, gs: list[Any]) -> list[Any]:
            every = call.arguments([shielded(a) for a in args])
            nondiff, _ = self._apart(every, call)
            pair = called(name, "fwd", args, fwd, *every, **call.kwargs)
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise RuleError(f"{where()}: fwd of {name} returned no pair (value, residuals)")
            check_closed(name, "fwd", flatten(pair)[0], (*args, *gs))
            cotangent = call.build_results([shielded(c) for c in call.parts(gs[0])])  # type: ignore[misc]
            found = called(name, "bwd", (*args, *gs), bwd, *nondiff, pair[1], cotangent)
            return taken_apart(name, "bwd", found, call, args, gs)

        self.take(GivenGeneral(name, function_of(name, self.f), None, vjp))


def custom_jvp(
    f: Callable[..., Any] | None = None, nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = ()
) -> Any:
    r"""Return a function that is differentiated by a forward rule, given afterwards with ``defjvp`` or ``defjvps``.

    The spelling is JAX's. Reverse mode follows: the rule is linear in its tangents, so that it is recorded and transposed.

    Parameters
    ----------
    f : callable
        The function. Keyword arguments and defaults are brought into their positions, as far as its signature allows it.
    nondiff_argnums : sequence of int
        Positional arguments that are not differentiated; rules get them first.
    nondiff_argnames : sequence of str
        The same, by name.

    Returns
    -------
    callable
        A rule in this spelling may be meant to be another derivative than the function's (clipped, straight through), so nobody
        holds it against differences unasked: ``check=True`` of an operator and :func:`dualdiff.testing.check_rule` do.
        It has the methods ``defjvp(rule)``, where ``rule(*nondiff, primals, tangents)`` returns the value and its tangent, and
        ``defjvps(*rules)``, one ``rule(tangent, value, *primals)`` for each argument.

    Raises
    ------
    RuleError
        When differentiated: if no rule was given, or it returns what does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> @dd.custom_jvp
    ... def f(x, y):
    ...     return np.sin(x) * y
    >>> @f.defjvp
    ... def f_jvp(primals, tangents):
    ...     (x, y), (dx, dy) = primals, tangents
    ...     return f(x, y), np.cos(x) * dx * y + np.sin(x) * dy
    >>> dd.grad(f, argnums=(0, 1))(0.0, 3.0)
    (3.0, 0.0)
    """
    if f is None:
        return lambda f: CustomJVP(f, nondiff_argnums, nondiff_argnames)
    return CustomJVP(f, nondiff_argnums, nondiff_argnames)


def custom_vjp(
    f: Callable[..., Any] | None = None, nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = ()
) -> Any:
    r"""Return a function that is differentiated by a reverse rule, given afterwards with ``defvjp(fwd, bwd)``.

    The spelling is JAX's. Forward mode, which JAX refuses here, follows: ``bwd`` is linear in the cotangent, so that it is
    recorded and transposed. For complex values ``bwd`` is the adjoint under :math:`\operatorname{Re}\sum\bar a b`, dualdiff's
    convention.

    Parameters
    ----------
    f, nondiff_argnums, nondiff_argnames
        As for :func:`custom_jvp`.

    Returns
    -------
    callable
        It has the method ``defvjp(fwd, bwd)``: ``fwd`` takes the function's arguments and returns its value and what ``bwd``
        needs; ``bwd(*nondiff, residuals, cotangent)`` returns a tuple with one cotangent for each differentiated argument,
        None for zero.

    Raises
    ------
    RuleError
        When differentiated: if no rule was given, or it returns what does not fit.

    Examples
    --------
    A gradient that is clipped on its way back:

    >>> import numpy as np
    >>> import dualdiff as dd
    >>> @dd.custom_vjp
    ... def clipped(x):
    ...     return x
    >>> clipped.defvjp(lambda x: (x, None), lambda _, g: (np.clip(g, -1, 1),))
    >>> dd.grad(lambda x: 10 * clipped(x))(2.0)
    1.0
    """
    if f is None:
        return lambda f: CustomVJP(f, nondiff_argnums, nondiff_argnames)
    return CustomVJP(f, nondiff_argnums, nondiff_argnames)
