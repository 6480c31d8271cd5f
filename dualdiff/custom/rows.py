"""The rows that a user's rule makes: of the house's kinds, with the calls of the rule put into their words.

A rule is called with what the function is called with, positional arguments as one tuple, and checked in what it returns.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.containers import plain
from dualdiff.custom.blackbox import SECOND, Partial
from dualdiff.custom.layout import Layout, check_closed, checked, level_of, shielded, side_by_side
from dualdiff.custom.maps import LinearMap, form_of
from dualdiff.custom.patterns import Pattern
from dualdiff.errors import RuleError, where
from dualdiff.kinds import Elementwise, General, Linear, Sweep, WithParameters, full
from dualdiff.kinds.base import Step
from dualdiff.shapes import aval, dtype_of, shape_of
from dualdiff.trees import flatten
from dualdiff.values import TRACED, bind

Rule = Callable[..., Any]


def asks_for_out(rule: Any) -> bool:
    """Whether a rule has a parameter ``out``, for the function's result; one with a default is a destination, as NumPy's."""
    try:
        out = inspect.signature(rule).parameters.get("out")
    except (TypeError, ValueError):
        return False
    return out is not None and out.default is out.empty


class Declared:
    """What every row of a user's says of itself: its pattern and its cost, where they were declared."""

    pattern: Pattern | None
    cost: Any
    patterned: bool
    joins: Any

    def declare(self, pattern: Pattern | None, cost: Any) -> None:
        """Take the user's word for the pattern and the cost."""
        self.pattern, self.cost = pattern, cost
        self.patterned = pattern is not None and pattern.is_matrix
        if pattern is not None and not pattern.is_matrix:
            self.joins = pattern.labels

    def entries(self, k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Return the declared matrix."""
        return self.pattern.matrix(k, args, out) if self.pattern is not None else None


def costed(cost: Any, step: Step, args: Sequence[Any]) -> Step:
    """Return what a direction takes, with the operations that were declared."""
    if cost is None:
        return step
    return step._replace(flops=int(cost(*map(shape_of, args)) if callable(cost) else cost))


class GivenLinear(Declared, Linear):
    """A linear function of one operand, direction by direction; its transpose is a row like it."""

    transposed: GivenLinear
    is_two_sided = True

    def __init__(self, name: str, fn: Rule, told: str) -> None:
        Linear.__init__(self, name, fn, fn)
        self.told = told
        self.declare(None, None)

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        return self._each(tangents[0], sweep.lead, params, out)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        return (self.transposed._each(g, sweep.lead, params, args[0]),)

    def _each(self, t: Any, lead: tuple[int, ...], params: dict[str, Any], like: Any) -> Any:
        if not lead:
            return self._fitted(bind(self, (t,), params), like, t)
        if lead[0] == 0:
            return np.zeros((0, *shape_of(like)), form_of(like).dtype)
        return np.stack([self._fitted(bind(self, (t[i],), params), like, t) for i in range(lead[0])])

    def _fitted(self, c: Any, like: Any, t: Any) -> Any:
        return checked(self.told, projected(c, like, (t,)), form_of(like))

    def step(self, active: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Step:
        return costed(self.cost, super().step(active, args, params, out), args)


class GivenGeneral(Declared, General):
    """A function whose derivative a user's rule computes from one side, or from both.

    ``jvp`` and ``vjp`` are maps ``(args, call, out, list of arrays) -> list of arrays``: tangents of the operands to that of the
    result, and a covector of the result to those of the operands. ``opaque`` rules see plain numbers only.
    """

    def __init__(
        self, name: str, fn: Rule, jvp: Rule | None, vjp: Rule | None, opaque: bool = False, keeps_out: bool = False
    ) -> None:
        General.__init__(self, name, fn, jvp or fn, vjp or fn)
        self.jvp, self.vjp, self.opaque, self.keeps_out = jvp, vjp, opaque, keeps_out
        self.is_two_sided = jvp is not None and vjp is not None
        self.declare(None, None)

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        return self.keeps_out, (True,) * len(active)

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        live = [k for k, t in enumerate(tangents) if t is not None]
        given = [tangents[k] for k in live]
        if self.jvp is not None:
            found = self._forward(live, args, params, out).apply(given, sweep.lead)[0]
        else:
            found = self._backward(live, args, params, out).transposed(given, sweep.lead)[0]
        return None if found is None else full(found, sweep, out)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        live = [k for k, i in enumerate(ins) if i is not None and i >= 0]
        if self.vjp is not None:
            found = self._backward(live, args, params, out).apply([g], sweep.lead)
        else:
            found = self._forward(live, args, params, out).transposed([g], sweep.lead)
        every: list[Any] = [None] * len(ins)
        for k, c in zip(live, found, strict=True):
            every[k] = c
        return every

    def _forward(self, live: Sequence[int], args: Sequence[Any], params: dict[str, Any], out: Any) -> LinearMap:
        """Return the map of tangents of the operands that have any to that of the result."""
        self._check_order(args)
        rule: Any = self.jvp
        zeros = [None if k in live else np.zeros(*form_of(a))[()] for k, a in enumerate(args)]

        def call(ts: list[Any]) -> list[Any]:
            given = iter(ts)
            return rule(args, params["call"], out, [next(given) if z is None else z for z in zeros])

        return LinearMap(self.name, call, [form_of(args[k]) for k in live], [aval(out)], self.opaque, args)

    def _backward(self, live: Sequence[int], args: Sequence[Any], params: dict[str, Any], out: Any) -> LinearMap:
        """Return the map of a covector of the result to those of the operands that are asked for."""
        self._check_order(args)
        rule: Any = self.vjp

        def call(gs: list[Any]) -> list[Any]:
            found = rule(args, params["call"], out, gs)
            return [found[k] for k in live]

        return LinearMap(self.name, call, [aval(out)], [form_of(args[k]) for k in live], self.opaque, args)

    def _check_order(self, args: Sequence[Any]) -> None:
        if self.opaque and level_of(args) >= 0:
            raise RuleError(SECOND.format(where(), self.name))

    def step(self, active: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Step:
        return costed(self.cost, super().step(active, args, params, out), args)


def function_of(name: str, f: Rule) -> Rule:
    """Return a function of flat operands and one result, from the user's."""

    def fn(*leaves: Any, call: Layout) -> Any:
        xs = [shielded(x) for x in leaves]
        try:
            found = f(*call.arguments(xs), **call.kwargs)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            raise RuleError(
                f"{where()}: {name} writes into an argument that is being differentiated, or asks for a buffer it could write into, "
                "and the write would be lost. Let it begin with x = np.array(x)."
            ) from error
        return call.take(name, found, leaves)

    return fn


def called(name: str, what: str, inputs: Sequence[Any], rule: Rule, *args: Any, **params: Any) -> Any:
    """Call a rule; where it fails on differentiated values, say why it was given such."""
    try:
        return rule(*args, **params)
    except Exception as error:
        if level_of(inputs) >= 0:
            error.add_note(
                f"in {what} of {name}, which a derivative of higher order calls with differentiated values: there it must be written in "
                "NumPy's functions"
            )
        raise


def jvp_of(name: str, rule: Rule, what: str = "the rule jvp") -> Rule:
    """Return a map of tangents from ``rule(primals, tangents, **parameters)``."""
    with_out = asks_for_out(rule)

    def jvp(args: Sequence[Any], call: Layout, out: Any, ts: list[Any]) -> list[Any]:
        params = {**call.parameters, "out": call.give(out)} if with_out else call.parameters
        primals, tangents = call.primals([shielded(a) for a in args]), call.primals([shielded(t) for t in ts], None)
        found = called(name, what, (*args, *ts), rule, primals, tangents, **params)
        return [joined(name, what, found, call, (*args, *ts))]

    return jvp


def joined(name: str, what: str, found: Any, call: Layout, inputs: Sequence[Any]) -> Any:
    """Return the tangents of all results as one array, checked; None where the rule says there is none."""
    if found is None:
        return None
    forms = call.results or ()
    parts = flatten(found)[0] if len(forms) > 1 or not hasattr(found, "dtype") else [found]
    if len(parts) != len(forms):
        raise RuleError(
            f"{where()}: {what} of {name} returned {len(parts)} arrays where there are {len(forms)} results"
        )
    parts = [checked(f"{what} of {name}", t, form) for t, form in zip(parts, forms, strict=True)]
    check_closed(name, what, parts, inputs)
    return parts[0] if len(parts) == 1 else side_by_side(parts)


def vjp_of(name: str, rule: Rule, what: str = "the rule vjp") -> Rule:
    """Return a map of covectors from ``rule(primals, cotangent, **parameters)``."""
    with_out = asks_for_out(rule)

    def vjp(args: Sequence[Any], call: Layout, out: Any, gs: list[Any]) -> list[Any]:
        params = {**call.parameters, "out": call.give(out)} if with_out else call.parameters
        cotangent = call.build_results([shielded(c) for c in call.parts(gs[0])])  # type: ignore[misc]
        primals = call.primals([shielded(a) for a in args])
        found = called(name, what, (*args, *gs), rule, primals, cotangent, **params)
        return taken_apart(name, what, found, call, args, gs)

    return vjp


def projected(c: Any, x: Any, gs: Sequence[Any]) -> Any:
    """Return the part of a covector that a real operand of a complex result has."""
    if (
        dtype_of(x).kind != "c"
        and hasattr(c, "dtype")
        and dtype_of(c).kind == "c"
        and any(dtype_of(g).kind == "c" for g in gs)
    ):
        return np.real(c)
    return c


def taken_apart(name: str, what: str, found: Any, call: Layout, args: Sequence[Any], gs: Sequence[Any]) -> list[Any]:
    """Return the covectors of all operands, checked, from what a rule returned for the positional arguments."""
    counts = [c for c, on in zip(call.counts, call.held, strict=True) if not on]
    n = len(counts)
    if n == 1 and not (isinstance(found, (tuple, list)) and len(found) == 1):
        found = (found,)
    if not isinstance(found, (tuple, list)) or len(found) != n:
        have = f"{len(found)} covectors" if isinstance(found, (tuple, list)) else f"a {type(found).__name__!r}"
        raise RuleError(
            f"{where()}: {what} of {name} returned {have} where a tuple with one covector for each of {n} arguments is needed "
            "(None for those that have none)"
        )
    out: list[Any] = []
    for a, (c, count) in enumerate(zip(found, counts, strict=True)):
        own = args[len(out) : len(out) + count]
        if c is None or count == 0:
            out += [None] * count
            continue
        leaves = flatten(c)[0]
        if len(leaves) != count:
            raise RuleError(
                f"{where()}: {what} of {name} returned {len(leaves)} covectors for the {count} arrays of argument {a}"
            )
        out += [
            checked(f"{what} of {name} (argument {a})", projected(leaf, x, gs), form_of(x))
            if dtype_of(x).kind in "fc"
            else None
            for leaf, x in zip(leaves, own, strict=True)
        ]
    check_closed(name, what, [c for c in out if c is not None], (*args, *gs))
    return out


def partial_of(name: str, k: int, rule: Any, count: int, parametric: bool) -> Any:
    """Return one partial in the words of an elementwise row, checked."""
    if rule is None:
        return 0
    if isinstance(rule, (int, float, complex)):
        if rule in (0, 1, -1):
            return int(rule.real)
        return lambda _out, *_args, **_params: rule
    with_out = isinstance(rule, Partial) or asks_for_out(rule)
    what = f"partial {k}"

    def partial(out: Any, *args: Any, call: Layout | None = None) -> Any:
        xs = [shielded(a) for a in args]
        if isinstance(rule, Partial):
            found = rule(xs, call, out)
        else:
            params = {} if call is None else call.parameters
            primals = xs if call is None else call.primals(xs)
            found = called(name, what, (*args, out), rule, *primals, **params, **({"out": out} if with_out else {}))
        return _checked_partial(name, what, found, out, args)

    if not parametric:
        names = ["out" if with_out else "_out", *[f"x{i}" for i in range(count)]]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        partial.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in names])  # type: ignore[attr-defined]
    return partial


def _checked_partial(name: str, what: str, q: Any, out: Any, args: Sequence[Any]) -> Any:
    q = plain(q)  # code of a captured module may have made it
    shape, have = shape_of(out), shape_of(q)
    if not hasattr(q, "dtype") and not isinstance(q, (int, float, complex)):
        raise RuleError(f"{where()}: {what} of {name} returned {q!r} where an array of shape {shape} is needed")
    if have not in (shape, ()) and (
        len(have) > len(shape) or any(a not in (1, b) for a, b in zip(have[::-1], shape[::-1]))
    ):
        raise RuleError(
            f"{where()}: {what} of {name} returned shape {have}, which does not broadcast to that of its result, {shape}"
        )
    dtype = dtype_of(q)
    if dtype.kind not in "biufc" or (dtype.kind == "c" and all(dtype_of(x).kind != "c" for x in (out, *args))):
        raise RuleError(f"{where()}: {what} of {name} returned dtype {dtype} where {dtype_of(out)} is needed")
    check_closed(name, what, [q], (out, *args))
    if type(q) in TRACED:
        return q
    # A number, or memory of its own: sweeps may go on to keep it.
    want = np.result_type(dtype, dtype_of(out)) if dtype.kind == "c" else dtype_of(out)
    if want.kind not in "fc":
        want = np.dtype(np.float64)
    return np.array(q, want)[()] if type(q) is np.ndarray or not have else q


def elementwise_rows(
    name: str, f: Rule, partials: Sequence[Any], options: dict[str, Any]
) -> tuple[Elementwise, Elementwise]:
    """Return the rows of an elementwise function: for calls with operands alone, and with parameters beside them."""
    count = len(partials)
    whole = function_of(name, f)

    def fn(*xs: Any, call: Layout | None = None) -> Any:
        layout = Layout(xs, {}, []) if call is None else call
        found = whole(*xs, call=layout)
        if layout.build_results is None or layout.build_results([None]) is not None:
            raise RuleError(f"{where()}: {name} returned a structure; partials are for functions that return one array")
        shape = shape_of(xs[0]) if len(xs) == 1 else np.broadcast_shapes(*map(shape_of, xs))
        if shape_of(found) != shape:
            raise RuleError(
                f"{where()}: {name} returned shape {shape_of(found)} from operands that broadcast to {shape}; partials are for functions "
                "that go entry by entry. Give a jvp= or vjp= instead."
            )
        if dtype_of(found).kind != "c" and any(dtype_of(x).kind == "c" for x in xs):
            raise RuleError(
                f"{where()}: {name} returned a real value of a complex operand, so that it has no partial in the complex sense. Give "
                "a jvp= or vjp= instead."
            )
        return found

    short = Elementwise(name, fn, *[partial_of(name, k, p, count, False) for k, p in enumerate(partials)], **options)
    long = WithParameters(name, fn, *[partial_of(name, k, p, count, True) for k, p in enumerate(partials)], **options)
    return short, long


def linear_rows(name: str, f: Rule, back: Rule) -> tuple[GivenGeneral, GivenLinear, GivenLinear]:
    """Return the rows of a linear function: for calls with several arrays, with one, and of its transpose then."""

    def backwards(g: Any, *, call: Layout) -> Any:
        found = called(name, "rmatvec", (g,), back, shielded(g), **call.parameters)
        if isinstance(found, (tuple, list)) and len(found) == 1:
            (found,) = found
        if isinstance(found, (int, float, complex)):
            found = np.asarray(found)[()]
        if not hasattr(found, "dtype"):
            raise RuleError(f"{where()}: rmatvec of {name} returned {found!r} where one array is needed")
        check_closed(name, "rmatvec", [found], (g,))
        return found.copy() if type(found) is np.ndarray and np.may_share_memory(found, g) else found

    row = GivenLinear(name, function_of(name, f), f"the function {name}, taken as linear,")
    transposed = GivenLinear(f"the transpose of {name}", backwards, f"rmatvec of {name}")
    row.transposed, transposed.transposed = transposed, row
    several = GivenGeneral(
        name,
        function_of(name, f),
        jvp_of(name, lambda _, tangents, **params: f(*tangents, **params), "the function, taken as linear,"),
        vjp_of(name, lambda _, g, **params: back(*flatten(g)[0], **params), "rmatvec"),
    )
    return several, row, transposed


__all__ = [
    "GivenGeneral",
    "GivenLinear",
    "asks_for_out",
    "called",
    "elementwise_rows",
    "function_of",
    "joined",
    "jvp_of",
    "linear_rows",
    "taken_apart",
    "vjp_of",
]
