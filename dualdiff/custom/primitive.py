"""``primitive``: from any one side of a derivative, both modes, batches, patterns, and every order that the rule allows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.containers import plain
from dualdiff.custom import blackbox
from dualdiff.custom.function import CustomFunction, Names, own
from dualdiff.custom.layout import Layout
from dualdiff.custom.patterns import Pattern
from dualdiff.custom.rows import (
    GivenGeneral,
    asks_for_out,
    elementwise_rows,
    function_of,
    jvp_of,
    linear_rows,
    vjp_of,
)
from dualdiff.errors import InputError, RuleError, where
from dualdiff.values import TRACED, bind, ndarray

_SIMPLE = frozenset((float, np.float64, ndarray))


class Primitive(CustomFunction):
    """See :func:`primitive`."""

    def __init__(self, f: Callable[..., Any], options: dict[str, Any]) -> None:
        self.__setstate__((f, options))

    def __getstate__(self) -> Any:
        return self.f, self.options

    def __setstate__(self, state: Any) -> None:
        f, options = state
        super().__init__(f, options["nondiff"])
        self.options = options
        self.trusted = options.get("derivative") is not None  # which is no rule of the user's
        self.has_pattern = not isinstance(options.get("pattern"), (str, type(None)))
        self._make_rows(**{k: v for k, v in options.items() if k != "nondiff"})

    def _make_rows(
        self,
        partials: Any,
        jvp: Any,
        vjp: Any,
        rmatvec: Any,
        derivative: Any,
        step: Any,
        pattern: Any,
        cost: Any,
        domain: Any,
        singular: bool,
    ) -> None:
        """Write this function's rows: of the kind that its rule makes it."""
        f, name = self.f, self.__name__
        declared = None if pattern is None else Pattern(name, pattern)
        self._short: Any = None
        self.partials: Any = None
        self.is_short = False
        entry_by_entry = isinstance(pattern, str) and pattern == "elementwise"
        if partials is not None and not (pattern is None or entry_by_entry):
            raise InputError(
                "partials= is for functions that go entry by entry, which is their pattern; give none, or a jvp="
            )
        if derivative is not None and entry_by_entry:
            partials = self._black_partials(derivative, step)
        if partials is not None and cost is not None:
            raise InputError("a function that goes entry by entry costs what its size is: cost= is for other rules")
        if partials is not None:
            self.partials = tuple(partials) if isinstance(partials, (list, tuple)) else (partials,)
            self.most = len(self.partials)
            options = {"domain": domain, "singular": singular}
            self._short, long = elementwise_rows(name, f, self.partials, options)
            self.is_short = not self.nondiff and None not in self.partials
            self.take(long, self._short)
            return
        if rmatvec is not None:
            rows: tuple[Any, ...] = linear_rows(name, f, rmatvec)
        elif derivative is not None:
            make, fn = blackbox.DERIVATIVES[derivative], function_of(name, f)
            rows = (GivenGeneral(name, fn, make.along(fn, name, step), None, opaque=True, keeps_out=make.keeps_out),)
        else:
            keeps = any(r is not None and asks_for_out(r) for r in (jvp, vjp))
            forward, backward = jvp and jvp_of(name, jvp), vjp and vjp_of(name, vjp)
            rows = (GivenGeneral(name, function_of(name, f), forward, backward, keeps_out=keeps),)
        for row in rows[:2]:  # the third one is a transpose
            row.declare(declared, cost)
            row.domain = domain
        self.take(*rows)

    def _black_partials(self, derivative: str, step: float | None) -> Any:
        variadic = self.__signature__ is not None and any(
            p.kind is p.VAR_POSITIONAL for p in self.__signature__.parameters.values()
        )
        defaults = {} if self.__signature__ is None else self.__signature__.parameters
        names = [self.names[i] for i in self.covered(len(self.names))]
        count = len([n for n in names if n not in defaults or defaults[n].default is inspect.Parameter.empty])
        if not count or (variadic and not isinstance(self.f, np.ufunc)):
            raise InputError(
                f"pattern='elementwise' needs to know how many operands {self.__name__} has; let it name them, as in def f(x, y)"
            )
        partial = blackbox.DERIVATIVES[derivative].partial
        return tuple([partial(self.f, self.__name__, k, step) for k in range(count)])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the function's value; where something is being differentiated, its rule goes with it."""
        if self.is_short and not kwargs and len(args) == len(self.partials):  # arrays and numbers alone
            kinds = {type(a) for a in args}
            if kinds <= _SIMPLE | TRACED and not any(type(a) is ndarray and a.dtype.char == "O" for a in args):
                if kinds <= _SIMPLE:
                    return own(self.f(*args), args)
                self.suspect()
                return bind(self._short, args, {})
        return super().__call__(*args, **kwargs)

    def carried_out(self, layout: Layout, operands: list[Any]) -> Any:
        if self.partials is not None:
            self._check_partials(layout, operands)
            if not layout.parameters and self._short is not None:
                return bind(self._short, operands, {})
        elif len(self.rows) == 3 and len(operands) == 1 and len(layout.counts) - sum(layout.held) == 1:
            out = bind(self.rows[1], operands, {"call": layout})
            if layout.results is not None and len(layout.results) == 1:
                return layout.give(out)
        return super().carried_out(layout, operands)

    def _check_partials(self, layout: Layout, operands: list[Any]) -> None:
        counts = [c for c, on in zip(layout.counts, layout.held, strict=True) if not on]
        if len(counts) != len(self.partials) or any(c != 1 for c in counts):
            raise RuleError(
                f"{where()}: {self.__name__} was called with {len(counts)} arguments ({len(operands)} arrays) where its partials "
                f"are for {len(self.partials)} arrays"
            )
        for k, (p, x) in enumerate(zip(self.partials, operands, strict=True)):
            if p is None and type(x) in TRACED and plain(x) is x and not x._may_leave():
                raise RuleError(
                    f"{where()}: argument {k} of {self.__name__} is being differentiated, and its partial is None. Give the partial, or "
                    "freeze the argument on purpose with dd.stop_gradient."
                )


def primitive(
    f: Callable[..., Any] | None = None,
    *,
    partials: Any = None,
    jvp: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    matvec: Callable[..., Any] | None = None,
    rmatvec: Callable[..., Any] | None = None,
    derivative: str | None = None,
    step: float | None = None,
    nondiff: Names = (),
    pattern: Any = None,
    cost: Any = None,
    domain: Any = None,
    singular: bool = False,
) -> Any:
    r"""Return a function that is differentiated by a rule of your own, in both modes, from one side of its derivative.

    Give one of ``partials``, ``jvp``, ``vjp``, ``rmatvec`` and ``derivative``; ``jvp`` and ``vjp`` may be given together. What
    is missing follows: a ``vjp`` is linear in the covector and a ``jvp`` in the tangents, and the one is the transpose of the
    other. A rule written in NumPy is recorded and transposed for the price of one sweep; one that is not is called once for
    every entry of the operands (reverse mode from a ``jvp``) or of the result (forward mode from a ``vjp``).

    Rules are plain functions of the operands. Written in NumPy they are differentiated themselves, so that derivatives of
    every order follow. A rule with a parameter named ``out`` (and no default) gets the function's result there.

    Parameters
    ----------
    f : callable
        The function. Numbers and arrays among its positional arguments (in nested tuples, lists and dicts too) are
        differentiated; keyword arguments are parameters. It may return one array or a structure of them, and need not be
        NumPy. Without ``f`` a decorator is returned.
    partials : callable, number, or sequence of them
        Of a function that goes entry by entry: one for each operand, ``partial(*operands, **parameters)``, of the result's
        shape. None for an operand by which it is not differentiated; arguments after the last partial are parameters.
    jvp : callable
        ``jvp(primals, tangents, **parameters)``, the tangent of the result :math:`J\,v`. Both are tuples like the arguments.
    vjp : callable
        ``vjp(primals, cotangent, **parameters)``, a tuple with one covector :math:`J^T w` for each argument, None for those that
        have none. For complex values it is the adjoint under :math:`\operatorname{Re}\sum\bar a b`.
    matvec, rmatvec : callable
        Of a linear function: ``f`` (or ``matvec`` in its place) and its transpose, ``rmatvec(cotangent, **parameters)``. They may
        be compiled: being linear they have derivatives of every order.
    derivative : {"difference", "complex-step"}
        Of a black box. Central differences cost two evaluations a direction and are off by
        :math:`h^2|f'''|/6+\epsilon|f|/h`, about 4e-11 in double precision; the complex step costs one and is right to
        rounding, where ``f`` is analytic and takes complex numbers (the first one is held against differences). Second
        derivatives are refused. A gradient takes as many directions as there are entries, unless ``pattern="elementwise"``.
    step : float, optional
        The step of the differences, relative to the operands (by default :math:`\epsilon^{1/3}`): larger for noisy functions.
    nondiff : int, str, or sequence of them
        Arguments, by position or name, that are parameters. Rules get parameters by keyword.
    pattern : {"elementwise", "dense"}, matrix, sequence of these, or callable, optional
        Which entries of the result depend on which of an operand: a matrix (entries of the result by entries of the
        operand, dense or of ``scipy.sparse``), one for each operand where there are several; or a function of the operands'
        shapes that returns this. By default everything depends on everything.
    cost : float or callable, optional
        Multiplications that one direction takes, for the choice of a mode; or a function of the operands' shapes. Not for
        functions that go entry by entry.
    domain : optional
        Where the function is differentiable, in words.
    singular : bool
        Whether a partial may be infinite where the value is finite: NumPy's warning about it is silenced.

    Returns
    -------
    callable
        The function; called on plain values it is ``f`` itself.

    Raises
    ------
    InputError
        If no rule is given, or several that may disagree; if ``pattern`` or ``cost`` do not go with it.
    RuleError
        When differentiated: if a rule returns what does not fit, naming it, what it returned and what was needed; if a second
        derivative of a black box is asked for, or one by a parameter.

    See Also
    --------
    dualdiff.testing.check_rule : Holds a rule to the laws that every derivative obeys.

    References
    ----------
    Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 3, doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> softplus = dd.primitive(lambda x: np.logaddexp(0, x), partials=lambda x: 1 / (1 + np.exp(-x)))
    >>> dd.grad(softplus)(0.0), dd.grad(dd.grad(softplus))(0.0)
    (0.5, 0.25)

    From one side, here the covectors, both modes:

    >>> @dd.primitive(vjp=lambda primals, w: (w[0] * 2 * primals[0] + w[1],))
    ... def square_and_sum(x):
    ...     return x @ x, np.sum(x)
    >>> dd.jvp(square_and_sum, (np.array([3.0, 4.0]),), (np.array([1.0, 0.0]),))[1]
    (np.float64(6.0), np.float64(1.0))
    """
    options = {
        "partials": partials,
        "jvp": jvp,
        "vjp": vjp,
        "rmatvec": rmatvec,
        "derivative": derivative,
        "step": step,
        "nondiff": nondiff,
        "pattern": pattern,
        "cost": cost,
        "domain": domain,
        "singular": singular,
    }
    if matvec is not None and (f is not None or rmatvec is None):
        raise InputError("matvec= is a linear function, in the place of f, and needs its transpose, rmatvec=")
    _check_options(options)
    if f is None and matvec is None:
        return lambda f: Primitive(f, options)
    return Primitive(f or matvec, options)  # type: ignore[arg-type]


def _check_options(options: dict[str, Any]) -> None:
    """Raise unless there is one rule."""
    jvp_or_vjp = options["jvp"] is not None or options["vjp"] is not None
    given = [k for k in ("partials", "rmatvec", "derivative") if options[k] is not None] + ["jvp or vjp"] * jvp_or_vjp
    if len(given) != 1:
        has = f"but got {' and '.join(given)}" if given else "partials=, jvp=, vjp=, rmatvec= or derivative="
        raise InputError(f"dd.primitive needs one rule, {has}")
    if options["derivative"] is not None:
        blackbox.check_derivative(options["derivative"])
    for what in ("jvp", "vjp", "rmatvec"):
        if options[what] is not None and not callable(options[what]):
            raise InputError(f"{what}= must be a function, not {type(options[what]).__name__!r}")


__all__ = ["Primitive", "primitive"]
