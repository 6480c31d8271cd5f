"""A function with a rule of the user's own: from any one side of its derivative, both modes, batches and patterns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import WRAPPER_ASSIGNMENTS
from types import MethodType
from typing import Any

import numpy as np

from dualdiff.containers import plain
from dualdiff.custom import blackbox
from dualdiff.custom.layout import Held, Layout
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
from dualdiff.kinds import given_to
from dualdiff.trees import flatten
from dualdiff.values import TRACED, Traced, bind, contains_traced, fixed, ndarray, packed

Names = int | str | Sequence[int | str]


class CustomFunction:
    """A function with a rule of its own. It is called as the function is, and differentiated by the rule.

    Made by :func:`primitive`, :func:`custom_jvp`, :func:`custom_vjp` and :func:`checkpoint`.

    Attributes
    ----------
    rows : tuple
        What the engine has of it; each says ``by_user``.
    """

    rows: tuple[Any, ...] = ()

    def __init__(self, f: Callable[..., Any], nondiff: Names = ()) -> None:
        if not callable(f):
            raise InputError(f"a rule belongs to a function, not to a {type(f).__name__!r}")
        self.f = f
        self._wear_name()
        try:
            self.__signature__: inspect.Signature | None = inspect.signature(f)
        except (TypeError, ValueError):
            self.__signature__ = None
        self.names = _names_of(f, self.__signature__)
        self.nondiff = (nondiff,) if isinstance(nondiff, (int, str)) else tuple(nondiff)

    def _wear_name(self) -> None:
        for name in WRAPPER_ASSIGNMENTS:
            if hasattr(self.f, name):
                setattr(self, name, getattr(self.f, name))
        self.__name__: str = getattr(self.f, "__name__", type(self.f).__name__)
        self.__wrapped__ = self.f

    def take(self, *rows: Any) -> None:
        """Make rows this function's own."""
        given_to(self, rows)
        self.rows = rows

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.__name__}>"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Be a method, where the function stands in a class."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        """Pickle by name where the name leads here, as functions do; otherwise by the parts."""
        name = getattr(self, "__qualname__", self.__name__)
        import sys

        found: Any = sys.modules.get(getattr(self, "__module__", None) or "")
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else (_made_again, (type(self), self.__getstate__()))

    # -- calls ---------------------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the function's value; where something is being differentiated, its rule goes with it."""
        if not is_traced(args) and not is_traced(kwargs.values()):
            return self.f(*args, **kwargs)
        args, kwargs, names = self.arranged(args, kwargs)
        operands: list[Any] = []
        layout = Layout(args, kwargs, operands, names)
        return self.carried_out(layout, operands)

    def carried_out(self, layout: Layout, operands: list[Any]) -> Any:
        """Bind the row, and give the results their structure back."""
        return layout.give(bind(self.rows[0], operands, {"call": layout}))

    def arranged(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], list[str]]:
        """Return the positional arguments, of which those that are not differentiated are held; keywords; and names."""
        if (kwargs or self.fills_defaults) and self.__signature__ is not None:
            bound = self.__signature__.bind(*args, **kwargs)
            if self.fills_defaults:
                bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        names = [*self.names, *[f"arg{i}" for i in range(len(self.names), len(args))]]
        covered = self.covered(len(args))
        if len(covered) < len(args):
            args = tuple([a if i in covered else Held(self._fixed(names[i], a)) for i, a in enumerate(args)])
        return args, {k: self._fixed(k, v) for k, v in kwargs.items()}, names

    def covered(self, count: int) -> list[int]:
        """Return which of so many positional arguments the rule covers."""
        asked = {n + len(self.names) if isinstance(n, int) and n < 0 else n for n in self.nondiff}
        names = self.names
        return [i for i in range(count) if i not in asked and (i >= len(names) or names[i] not in asked)][: self.most]

    #: whether arguments that were left at their defaults are arguments of the rule all the same
    fills_defaults = False
    #: how many positional arguments may be differentiated
    most: int = 1 << 30

    def _fixed(self, name: str, v: Any) -> Any:
        if not is_traced((v,)):
            return v
        leaves, build = flatten(v)
        for x in leaves:
            if type(x) in TRACED and plain(x) is x and not x._may_leave():
                raise RuleError(
                    f"{where()}: the parameter {name!r} of {self.__name__} is being differentiated, and its rule knows no derivative by "
                    "it. Pass it by position where the rule covers it, or freeze it on purpose with dd.stop_gradient."
                )
        return build([fixed(plain(x)) if isinstance(x, Traced) else x for x in leaves])


def _names_of(f: Any, signature: inspect.Signature | None) -> list[str]:
    """Return the names of a function's positional arguments; of a ufunc those that NumPy's manual gives them."""
    if isinstance(f, np.ufunc):
        return ["x"] if f.nin == 1 else [f"x{i + 1}" for i in range(f.nin)]
    if signature is None:
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in signature.parameters.values() if p.kind in kinds]


def _made_again(kind: Any, state: Any) -> Any:
    new = kind.__new__(kind)
    new.__setstate__(state)
    return new


def is_traced(values: Any) -> bool:
    """Whether something among the arguments, or in containers among them, is traced."""
    for v in values:
        kind = type(v)
        if kind in TRACED:
            return True
        if kind is ndarray:
            if v.dtype.char == "O" and type(packed(v)) in TRACED:
                return True
        elif kind in (list, tuple):
            if contains_traced(v):
                return True
            if any(type(i) not in (float, int) for i in v) and is_traced(v):
                return True
        elif kind not in (float, int, str, bool, type(None)) and not hasattr(kind, "__array_ufunc__"):
            leaves = flatten(v)[0]
            if any(type(x) in TRACED for x in leaves) or (len(leaves) > 1 and is_traced(leaves)):
                return True
    return False


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
        f, name = self.f, self.__name__
        declared = None if pattern is None else Pattern(name, pattern)
        self._short: Any = None
        self.partials: Any = None
        self.is_short = False
        if derivative is not None and isinstance(pattern, str) and pattern == "elementwise":
            partials = self._black_partials(derivative, step)
        if partials is not None:
            parts = tuple(partials) if isinstance(partials, (list, tuple)) else (partials,)
            self.partials, self.most = parts, len(parts)
            short, long = elementwise_rows(name, f, parts, {"domain": domain, "singular": singular})
            self.take(long, short)
            self._short = short
            self.is_short = not self.nondiff and None not in parts
            return
        if rmatvec is not None:
            row, transposed = linear_rows(name, f, rmatvec)
            both = GivenGeneral(
                name,
                function_of(name, f),
                jvp_of(name, lambda _xs, ts, **params: f(*ts, **params), "the function, taken as linear,"),
                vjp_of(name, lambda _xs, g, **params: rmatvec(*flatten(g)[0], **params), "rmatvec"),
            )
            row.declare(declared, cost)
            both.declare(declared, cost)
            self.take(both, row, transposed)
            return
        fn = function_of(name, f)
        if derivative is not None:
            make = blackbox.DERIVATIVES[derivative]
            row_ = GivenGeneral(name, fn, make.along(fn, name, step), None, opaque=True, keeps_out=make.keeps_out)
        else:
            keeps = any(r is not None and asks_for_out(r) for r in (jvp, vjp))
            row_ = GivenGeneral(name, fn, jvp and jvp_of(name, jvp), vjp and vjp_of(name, vjp), keeps_out=keeps)
        row_.domain = domain
        row_.declare(declared, cost)
        self.take(row_)

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
                return self.f(*args) if kinds <= _SIMPLE else bind(self._short, args, {})
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
            raise RuleError(
                f"{where()}: {self.__name__} has a linear rule and several results; let it return one array"
            )
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
        Multiplications that one direction takes, for the choice of a mode; or a function of the operands' shapes.
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
        If no rule is given, or several that may disagree.
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
    if f is None and matvec is None:
        given = locals()
        return lambda f: primitive(f, **{k: v for k, v in given.items() if k not in ("f", "matvec")})
    if f is not None and matvec is not None:
        raise InputError("give the linear function once, as f or as matvec=")
    function = f if f is not None else matvec
    if matvec is not None and rmatvec is None:
        raise InputError("matvec= is a linear function and needs its transpose, rmatvec=")
    rules = {
        "partials": partials is not None,
        "jvp or vjp": jvp is not None or vjp is not None,
        "rmatvec": rmatvec is not None,
        "derivative": derivative is not None,
    }
    given_rules = [k for k, on in rules.items() if on]
    if len(given_rules) != 1:
        raise InputError(
            "dd.primitive needs one rule, "
            + (
                f"but got {' and '.join(given_rules)}"
                if given_rules
                else "partials=, jvp=, vjp=, rmatvec= or derivative="
            )
        )
    if derivative is not None:
        blackbox.check_derivative(derivative)
    for what, rule in (("jvp", jvp), ("vjp", vjp), ("rmatvec", rmatvec)):
        if rule is not None and not callable(rule):
            raise InputError(f"{what}= must be a function, not {type(rule).__name__!r}")
    return Primitive(
        function,  # type: ignore[arg-type]
        {
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
        },
    )


__all__ = ["CustomFunction", "Primitive", "is_traced", "primitive"]
