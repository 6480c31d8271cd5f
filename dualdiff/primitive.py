"""A primitive is one row; its kind derives the rest.

A row states a function, its partials or its transpose, and its domain. The *kind* turns the row into a
value, a push (forward mode), a pull (reverse mode), a sparsity pattern and a cost. Only the kinds know about broadcasting
and about the batch of directions: rules count axes from the end, so a leading batch axis passes unseen.

============  ===========================  ===========================  ==========================
kind          push of directions ``dx``    pull of covectors ``g``      pattern
============  ===========================  ===========================  ==========================
elementwise   Σ pᵢ·dxᵢ                     sum-to-shape(conj(pᵢ)·g)     diagonal of the broadcast
movement      the same function            scatter by the position map  position map
linear        the same function            the transpose given          declared, else a block
multilinear   product rule                 the transposes given         contraction axes
general       given                        given                        declared, else a block
discrete      none                         none                         empty
============  ===========================  ===========================  ==========================

The names of a row's lambda parameters say what the rule needs: a parameter that begins with an
underscore is passed as a shape and dtype only, so the tape need not keep its value.
"""

from __future__ import annotations

import inspect
import operator
import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dualdiff.errors import InputError, UnsupportedFunctionError, where
from dualdiff.labels import DENSE, OWN, Labels, broadcast, grouped
from dualdiff.shapes import align, aval, dtype_of, shape_of, size_of

ndarray = np.ndarray
Shape = tuple[int, ...]


# --------------------------------------------------------------------------------------------------
# traced values and the dispatcher


class Run(Protocol):
    """One running operator: it owns a level and says what a primitive does to values it traces."""

    level: int

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any: ...


TRACED: set[type] = set()
"""The classes of traced values: a look-up here costs a third of ``isinstance``, and no ``__class__`` can deceive it."""


class Traced:
    """A value, and the mark a running operator put on it: a tangent (forward) or a slot (reverse)."""

    __slots__ = ("link", "mark", "run", "value")

    value: Any
    mark: Any
    run: Any
    link: Any
    #: whether a value without axes is memory that others may show and write into (an eager tensor), never a number
    _cell = False

    def __init_subclass__(cls) -> None:
        TRACED.add(cls)
        FAMILIAR.add(cls)


def under(x: Any) -> Any:
    """Return the plain value under all levels of tracing, as it is: views are not brought up to date."""
    while type(x) in TRACED:
        x = x.value
    return x


def is_number(x: Any) -> bool:
    """Whether NumPy has a number in this place, which nobody can write into, and not an array (of any rank).

    This is where it is decided what a value without axes is. NumPy returns scalars where a function or a full index
    leaves no axes, and 0-d arrays where memory is shown or was given; a traced value keeps what NumPy returned as its
    value, so asking that is enough. The exception is a *cell*: an eager tensor without axes is memory, as PyTorch's.
    """
    if type(x) in TRACED and x._cell:
        return False
    return isinstance(under(x), _NUMBER)


_NUMBER = (np.generic, int, float, complex)


class _Levels:
    """A monotone counter of operator calls. Levels, never classes or argument order, decide who goes first."""

    #: 0 is the level of plain containers, 1 that of eager tensors
    current = 1

    def __init__(self) -> None:
        self._counting = threading.Lock()  # a count lost between threads could put an inner run below its outer one

    def new(self) -> int:
        with self._counting:
            self.current += 1
            return self.current


LEVELS = _Levels()


def bind(primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """Apply a primitive: the operand of the highest level decides how; plain operands are just computed."""
    top = None
    level = -1
    for a in args:
        kind = type(a)
        if kind in TRACED:
            if a.link is not None:
                a.link.refresh(a)
            if a.run.level > level:
                top = a.run
                level = top.level
        elif kind is ndarray and a.dtype.char == "O":
            return bind(primitive, [_unpackable(b) for b in map(packed, args)], params)
    if top is None:
        return primitive.fn(*args, **params)
    return top.process(primitive, args, params)


packers: list[Callable[[Any], Any]] = []
"""A hook: how an object array of traced scalars and numbers becomes a traced array, or one of numbers."""

containers: list[Callable[[Any], Any]] = []
"""A hook: how a plain array becomes one that can come to hold traced values."""


PACKING: ContextVar[bool] = ContextVar("dualdiff_packing", default=False)
"""True while an object array is made only to be packed at once, so that nobody keeps its entries."""


def packed(x: Any) -> Any:
    """Pack an object array of traced scalars and numbers into one array of them; return anything else as it is."""
    if type(x) is ndarray and x.dtype.char == "O":
        return packers[0](x)
    return x


def _unpackable(x: Any) -> Any:
    """Refuse an array that still holds objects after packing; return anything else as it is."""
    if type(x) is ndarray and x.dtype.char == "O":
        kinds = sorted(
            {type(i).__name__ for i in x.flat if not isinstance(i, (Traced, np.generic, int, float, complex, ndarray))}
        )
        raise UnsupportedFunctionError(
            f"{where()}: a differentiated value meets an array of objects ({', '.join(kinds) or 'arrays'}), with which "
            "NumPy cannot compute as with numbers. Make it an array of numbers."
        )
    return x


def container(x: Any) -> Any:
    """Wrap a new plain array so that it can come to hold traced values; return anything else as it is."""
    return containers[0](x) if hasattr(x, "__setitem__") and not isinstance(x, Traced) else x


def contains_traced(x: Any) -> bool:
    """Whether a nested list or tuple holds a traced value."""
    if isinstance(x, (list, tuple)):
        return any(map(contains_traced, x))
    return isinstance(x, Traced)


_NUMBERS: frozenset[type] = frozenset(
    (int, float, complex, bool, *(t for t in np.sctypeDict.values() if issubclass(t, (np.number, np.bool_))))
)

FAMILIAR: set[type] = {*_NUMBERS, ndarray, str, slice, type, type(None), type(Ellipsis)}
"""What NumPy's functions are usually given, traced values among it: none of these has an arithmetic of its own."""


def native(x: Any) -> Any:
    """Return what means the same to NumPy; raise for what has rules of its own that a derivative would not follow.

    Series, frames and indices become plain arrays. They are known by where their class comes from, and nothing is imported
    for it. Lists and tuples are looked through; numbers, arrays, traced values and other types of array stay as they are.
    """
    kind = type(x)
    if kind in FAMILIAR:
        return x
    if kind is list or kind is tuple:
        return x if FAMILIAR.issuperset(map(type, x)) else kind([native(i) for i in x])
    for c in kind.__mro__:
        origin = str(c.__module__).partition(".")[0]
        if origin == "pandas":
            return _of_pandas(x)
        if origin == "numpy" and c.__name__ in _OWN_RULES:
            raise InputError(f"{where()}: {_OWN_RULES[c.__name__]}")
    return x


_OWN_RULES = {
    "MaskedArray": "a masked array meets a value that is being differentiated, which knows no mask: what is masked would count. "
    "Pass m.filled(…), or the parts m.data and m.mask: np.where(m.mask, 0.0, f(x, m.data)), or select with x[~m.mask].",
    "matrix": "an np.matrix meets a value that is being differentiated; its * is a matrix product, and its results are always 2-D, "
    "which derivatives do not follow. Pass np.asarray(m), and write products of matrices as a @ b.",
}


def _of_pandas(x: Any) -> Any:
    """Return the values of a Series, a frame or an index in their order, without labels."""
    if not (hasattr(x, "to_numpy") and hasattr(x, "__array__")):
        return x
    values = np.asarray(x.to_numpy())
    if values.dtype.char != "O" or any(isinstance(v, Traced) for v in values.flat):
        return values
    try:
        return values.astype(np.float64)  # numbers in a column of mixed types
    except (TypeError, ValueError):
        raise InputError(
            f"{where()}: a pandas {type(x).__name__} with entries that are no numbers (text, dates, missing values) meets a value "
            "that is being differentiated. Select its columns of numbers, fill what is missing, and pass .to_numpy(dtype=float)."
        ) from None


def operand(x: Any) -> Any:
    """Return a foreign operand as something a primitive takes: numbers and arrays as they are, lists as arrays."""
    kind = type(x)
    if kind in TRACED or kind in _NUMBERS:
        return x
    if kind is ndarray:
        return packed(x)
    x = native(x)
    if isinstance(x, (list, tuple)):
        if not contains_traced(x):
            return np.asarray(x)
        token = PACKING.set(True)
        try:
            return packed(np.array(x, dtype=object))
        finally:
            PACKING.reset(token)
    if isinstance(x, (int, float, complex, ndarray)):
        return packed(x)
    if hasattr(x, "__array_ufunc__") or hasattr(x, "__array_function__"):
        return x
    if hasattr(x, "__array__"):
        return np.asarray(x)
    if hasattr(x, "__float__"):
        return float(x)
    raise TypeError(f"{where()}: cannot combine a differentiated value with {type(x).__name__!r}")


def fixed(x: Any, what: str = "this argument") -> Any:
    """Return an argument that derivatives do not reach as a plain value nobody else can write into.

    Integers and booleans computed from traced values leave to Python, which records a guard; a traced
    floating-point number raises.
    """
    if isinstance(x, Traced):
        if not x._may_leave():  # type: ignore[attr-defined]
            raise UnsupportedFunctionError(
                f"{where()}: {what} is being differentiated, but its derivative is not supported there. Pass a plain "
                "value, or freeze it on purpose with dd.stop_gradient."
            )
        x = x.run.leave(x)
        return x.copy() if type(x) is ndarray else x
    if type(x) in (list, tuple):
        return type(x)([fixed(i, what) for i in x])
    if type(x) is ndarray:
        return fixed(packed(x), what) if x.dtype.char == "O" and packed(x) is not x else x.copy()
    return x


# --------------------------------------------------------------------------------------------------
# strong zeros


def careful_product(t: Any, p: Any) -> Any:
    """Multiply so that an exact zero seed wins over an infinite or NaN partial."""
    # The partial is replaced as well, so that derivatives of this product stay finite too.
    zero = np.equal(t, 0)
    return np.multiply(t, np.where(zero, np.zeros_like(t), p))


CAREFUL: ContextVar[bool] = ContextVar("dualdiff_careful", default=False)
"""True while a pass is redone because its result was not finite: the inner passes are careful as well."""


class Sweep:
    """What a rule may know of the pass it serves: the batch axis and the product to use."""

    __slots__ = ("careful", "lead", "mul", "rank")

    def __init__(self, lead: Shape, careful: bool = False) -> None:
        self.lead = lead
        self.rank = len(lead)
        self.careful = careful or CAREFUL.get()
        self.mul = careful_product if self.careful else operator.mul


def is_plain_constant(x: Any) -> bool:
    """Whether an operand is an array of numbers that one can look at."""
    return type(x) is np.ndarray and x.ndim > 0 and x.dtype.kind in "biufc"


def zeros_win(product: Callable[[Any, Any], Any], constant: Any, t: Any) -> Any:
    """Return a product, bilinear in a constant and in a tangent, in which 0 · ∞ is 0 where the constant is zero.

    ``T @ x`` does not depend on ``x[j]`` where column ``j`` of ``T`` is zero, whatever the derivative of ``x[j]``.
    """
    t = np.asarray(t) if type(t) in (float, np.float64) else t
    if (
        not is_plain_constant(constant)
        or type(t) is not np.ndarray
        or t.dtype.kind not in "fc"
        or "c" in (constant.dtype.kind, t.dtype.kind)
    ):
        return product(constant, t)
    finite = np.isfinite(t)
    if finite.all() or not np.isfinite(constant).all():
        return product(constant, t)
    up, down, unknown = [x.astype(t.dtype) for x in (t == np.inf, t == -np.inf, np.isnan(t))]
    above, below = (constant > 0).astype(t.dtype), (constant < 0).astype(t.dtype)
    rises = (product(above, up) + product(below, down)) > 0
    falls = (product(above, down) + product(below, up)) > 0
    lost = (rises & falls) | (product(above + below, unknown) > 0)
    beyond = np.where(lost, np.nan, np.where(rises, np.inf, np.where(falls, -np.inf, 0.0)))
    y = product(constant, np.where(finite, t, 0))
    return (y + beyond).astype(dtype_of(y))


# --------------------------------------------------------------------------------------------------
# the kinds

Partial = Callable[..., Any] | int
"""One derivative: a function of (out, *operands), or the constant 1, -1 or 0."""


def _needs(rule: Any) -> tuple[bool, ...] | None:
    """Read from a rule's parameter names which values it needs; None means all of them."""
    if not callable(rule):
        return ()
    try:
        ps = inspect.signature(rule).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in ps):
        return None
    return tuple(not p.name.startswith("_") for p in ps if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))


PRIMITIVES: dict[str, list[Any]] = {}
"""Every primitive, under its name and in the order of making: a pickle holds these two, never a rule."""


def _primitive(name: str, number: int) -> Any:
    return PRIMITIVES[name][number]


class Primitive:
    """A function that the engine treats as one step. Calling it dispatches on its operands."""

    kind = "primitive"
    differentiable = True
    #: whether the result may share the operand's memory, as a NumPy view does ("read-only": and may not be written)
    view: bool | str = False
    #: whether its rules ask nothing of its one operand and of its result but their shapes and dtypes
    shapes_only = False
    #: whether it is an elementwise row with one partial per operand, so that a sweep may take the short way
    plain = False
    #: whether it multiplies two operands, so that the zeros of one that is constant show in the pattern (see ``links``)
    linked = False
    #: seconds per direction: a fixed part, and per element of the larger of operand and result
    cost_fixed = 0.6e-6
    cost_element = 0.4e-9

    def __init__(self, name: str, fn: Callable[..., Any], domain: Any = None) -> None:
        self.name = name
        self.fn = fn
        self.op = fn
        self.domain = domain
        #: the sparsity pattern, ``(k, args, params, out) -> labels``, where the row knows better than its kind
        self.joins: Callable[..., Labels] | None = None
        self._keep: dict[tuple[bool, ...], tuple[bool, tuple[bool, ...]]] = {}
        rows = PRIMITIVES.setdefault(name, [])
        self._number = len(rows)
        rows.append(self)

    def __reduce__(self) -> Any:
        return _primitive, (self.name, self._number)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    def __call__(self, *args: Any, **params: Any) -> Any:
        return bind(self, args, params)

    # -- what each kind derives -------------------------------------------------------------------
    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Return the tangent of the result, or None where nothing reaches it."""
        raise NotImplementedError

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        """Return one cotangent per operand, None for those that are not active."""
        raise NotImplementedError

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        """Say whether the result, and which operands, must be kept for a pull to the active operands."""
        return True, (True,) * len(active)

    def labels(self, k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Labels:
        """Say which entries of the result depend on which entries of operand ``k`` (see :mod:`dualdiff.labels`).

        It may say too much, never too little, and only from shapes and parameters: the values may change.
        """
        if self.joins is not None:
            return self.joins(k, args, params, out)
        return DENSE

    def links(self, k: int, args: Sequence[Any], params: dict[str, Any], out: Any, most: int | None = None) -> Any:
        """Say by a sparse matrix how the result depends on operand ``k`` where the other one is a constant.

        None where ``labels`` say as much (no row but a ``linked`` one knows better), or the matrix would have more than
        ``most`` entries.
        """
        return None

    def constants(self, ins: Sequence[int | None], args: Sequence[Any]) -> Sequence[int]:
        """Return the operands whose zeros ``links`` read: of a linked row a constant beside what is differentiated."""
        if self.linked and len(ins) == 2:
            for k in (0, 1):
                i = ins[1 - k]
                if ins[k] is None and i is not None and i >= 0 and is_plain_constant(args[k]):
                    return (k,)
        return ()

    def keep(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        try:
            return self._keep[active]
        except KeyError:
            found = self._keep[active] = self.needs(active)
            return found

    def cost(self, args: Sequence[Any], params: dict[str, Any], out: Any, directions: int) -> float:
        """Return the seconds one push or pull of ``directions`` takes, by the kind's measured constants."""
        size = max([size_of(shape_of(out)), *(size_of(shape_of(a)) for a in args)])
        return self.cost_fixed + self.cost_element * size * directions


def is_active(i: int | None) -> bool:
    """Whether an operand slot carries derivatives (None: a constant; negative: a discrete traced value)."""
    return i is not None and i >= 0


def full(total: Any, sweep: Sweep, out: Any) -> Any:
    """Give a tangent the shape and dtype of the result it belongs to."""
    shape = sweep.lead + shape_of(out)
    if shape_of(total) != shape:
        total = np.broadcast_to(total, shape)
    want = dtype_of(out)
    if dtype_of(total) != want and want.kind in "fc":
        total = total.astype(want) if hasattr(total, "astype") else want.type(total)
    return total


class Elementwise(Primitive):
    """One value from each broadcast group of operand entries; the row gives one partial per operand.

    ``wirtinger`` gives (∂/∂z, ∂/∂z̄) for a complex operand of a function that is not holomorphic (None: zero).
    ``singular`` says that a partial may be infinite where the value is finite; NumPy's warning about it
    is silenced, since the derivative itself shows it.
    """

    kind = "elementwise"

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        *partials: Partial,
        op: Callable[..., Any] | None = None,
        wirtinger: tuple[Callable[..., Any] | None, Callable[..., Any]] | None = None,
        singular: bool = False,
        domain: Any = None,
    ) -> None:
        super().__init__(name, fn, domain)
        self.partials: tuple[Any, ...] = partials
        self.op = op or fn
        self.wirtinger = wirtinger
        self.singular = singular
        self.plain = wirtinger is None and type(self) is Elementwise
        self.arithmetic = op in (operator.add, operator.sub, operator.mul, operator.truediv)
        self._needs = [_needs(p) for p in partials]
        self.keeps_of: tuple[tuple[bool, ...], ...] = ()
        if len(partials) == 2:  # by active operands: none, the first, the second, both
            found = [self.needs(active) for active in ((False, False), (True, False), (False, True), (True, True))]
            self.keeps_of = tuple([(out, *args) for out, args in found])

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        out, args = self.wirtinger is not None, [self.wirtinger is not None] * len(active)
        for p, on in zip(self._needs, active, strict=True):
            if not on or p == ():
                continue
            if p is None:
                return True, (True,) * len(active)
            out |= p[0]
            args = [a or b for a, b in zip(args, p[1:], strict=True)]
        return out, tuple(args)

    def labels(self, k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Labels:
        return broadcast(shape_of(args[k]), shape_of(out))

    def partial(self, p: Callable[..., Any], out: Any, args: Sequence[Any]) -> Any:
        if not self.singular:
            return p(out, *args)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return p(out, *args)

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        lead = sweep.lead
        total = None
        rank = len(shape_of(out)) if lead else 0
        for p, t, a in zip(self.partials, tangents, args, strict=True):
            if t is None or p == 0:
                continue
            if lead:
                s = shape_of(a)
                if len(s) != rank:
                    t = t.reshape(lead + (1,) * (rank - len(s)) + s)
            if self.wirtinger is not None and dtype_of(a).kind == "c":
                dz, dzbar = self.wirtinger
                c = sweep.mul(np.conjugate(t), dzbar(out, *args))
                if dz is not None:
                    c = c + sweep.mul(t, dz(out, *args))
            elif type(p) is int:
                c = t if p == 1 else -t
            elif self.singular:
                with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                    c = sweep.mul(t, p(out, *args))
            else:
                c = sweep.mul(t, p(out, *args))
            total = c if total is None else total + c
        if total is None:
            return None
        if dtype_of(total).kind == "c" and dtype_of(out).kind != "c":
            total = np.real(total)
        return full(total, sweep, out)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        cotangents: list[Any] = []
        for i, p, a in zip(ins, self.partials, args, strict=True):
            if i is None or i < 0 or p == 0:
                cotangents.append(None)
            elif self.wirtinger is not None and dtype_of(a).kind == "c":
                dz, dzbar = self.wirtinger
                c = sweep.mul(np.conjugate(g), dzbar(out, *args))
                cotangents.append(c if dz is None else c + sweep.mul(g, np.conjugate(dz(out, *args))))
            elif type(p) is int:
                cotangents.append(g if p == 1 else -g)
            else:
                q = p(out, *args)
                if dtype_of(q).kind == "c":
                    q = np.conjugate(q)
                cotangents.append(sweep.mul(g, q))
        return cotangents


class Linear(Primitive):
    """A linear function of one operand: its push is itself, its pull the transpose the row gives.

    ``fn`` must take its axes from the end, so that it works unchanged under a batch axis;
    ``pull(g, x, **params)`` receives ``x`` as shape and dtype only.
    """

    kind = "linear"
    cost_fixed = 1.5e-6
    shapes_only = True

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        pull: Callable[..., Any],
        push: Callable[..., Any] | None = None,
        joins: Callable[..., Labels] | None = None,
        domain: Any = None,
    ) -> None:
        super().__init__(name, fn, domain)
        self.joins = joins
        self.transpose = pull
        self.forward = push

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        return False, (False,)

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        (t,) = tangents
        if self.forward is not None:
            return self.forward(t, args[0], sweep.lead, **params)
        return bind(self, (t,), params)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        x = args[0]
        return (self.transpose(g, aval(x) if type(x) is float else x, **params),)


class Movement(Primitive):
    """A function that only moves, repeats or drops entries, or puts zeros between them.

    Its derivative is read off one run of the function on an array of positions: entry ``j`` of that
    *position map* says which entry of the operand stands at ``j`` (0 for none, otherwise one more than
    its index). Push gathers by the map, pull adds by it.
    """

    kind = "movement"
    shapes_only = True
    #: whether it may put zeros between the entries it moves
    pads = True
    cost_fixed = 1.0e-6
    cost_element = 1.0e-9

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        return False, (False,)

    def labels(self, k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Labels:
        return np.reshape(self.positions(shape_of(args[k]), params), -1) - 1, OWN

    def positions(self, shape: Shape, params: dict[str, Any]) -> Any:
        """Return the position map: one plus the flat operand index of every result entry, 0 where none."""
        return self.fn(np.arange(1, size_of(shape) + 1).reshape(shape), **params)

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        (t,) = tangents
        if not sweep.lead:
            return bind(self, (t,), params)
        shape = shape_of(args[0])
        return gather(t, len(shape), self.positions(shape, params))

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        x = args[0]
        position = self.positions(shape_of(x), params)
        return (scatter(g, position.ndim, position, shape_of(x)),)


class Multilinear(Primitive):
    """A function linear in each operand; the row gives one transpose per operand.

    ``fn`` broadcasts leading axes (as ``matmul`` does), so a batch axis in front of one operand is one
    more of them. A transpose ``pull(g, *operands, **params)`` may leave broadcast axes to be summed.
    """

    kind = "multilinear"
    cost_fixed = 4e-6

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        *pulls: Callable[..., Any],
        op: Callable[..., Any] | None = None,
        push: Callable[..., Any] | None = None,
        flops: Callable[..., float] | None = None,
        joins: Callable[..., Labels] | None = None,
        domain: Any = None,
    ) -> None:
        super().__init__(name, fn, domain)
        self.joins = joins
        self.pulls = pulls
        self.op = op or fn
        self.forward = push
        self.flops = flops

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        keep = [any(on for j, on in enumerate(active) if j != i) for i in range(len(active))]
        return False, tuple(keep)

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        total = None
        for i, t in enumerate(tangents):
            if t is None:
                continue
            if self.forward is not None:
                c = self.forward(i, t, args, sweep.lead, **params)
            else:
                rank = max(len(shape_of(a)) for a in args)
                swapped = [*args[:i], align(t, sweep.lead, shape_of(args[i]), rank), *args[i + 1 :]]
                c = bind(self, swapped, params)
            total = c if total is None else total + c
        return full(total, sweep, out)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        return [
            rule(g, *args, **params) if i is not None and i >= 0 else None
            for i, rule in zip(ins, self.pulls, strict=True)
        ]

    def cost(self, args: Sequence[Any], params: dict[str, Any], out: Any, directions: int) -> float:
        if self.flops is None:
            return super().cost(args, params, out, directions)
        return self.cost_fixed + 1e-10 * self.flops(*args, **params) * directions


class General(Primitive):
    """Anything else: the row gives push and pull whole.

    ``push(sweep, tangents, out, *args, **params)`` gets None for operands without tangent;
    ``pull(sweep, g, out, *args, **params)`` returns a cotangent per operand (None where it has none).
    """

    kind = "general"
    cost_fixed = 8e-6

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        push: Callable[..., Any],
        pull: Callable[..., Any],
        keeps: tuple[bool, Sequence[bool]] | None = None,
        cost: Callable[..., float] | None = None,
        joins: Callable[..., Labels] | None = None,
        domain: Any = None,
    ) -> None:
        super().__init__(name, fn, domain)
        self.joins = joins
        self._push = push
        self._pull = pull
        self._keeps = keeps
        self._cost = cost

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        if self._keeps is None:
            return True, (True,) * len(active)
        return self._keeps[0], tuple(self._keeps[1])

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        t = self._push(sweep, tangents, out, *args, **params)
        return None if t is None else full(t, sweep, out)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        found = self._pull(sweep, g, out, *args, **params)
        return [c if i is not None and i >= 0 else None for c, i in zip(found, ins, strict=True)]

    def cost(self, args: Sequence[Any], params: dict[str, Any], out: Any, directions: int) -> float:
        if self._cost is None:
            return super().cost(args, params, out, directions)
        return self.cost_fixed + self._cost(*args, **params) * directions


class Discrete(Primitive):
    """A function whose result is piecewise constant: recorded, so that a tape can be replayed, but without tangent."""

    kind = "discrete"
    differentiable = False

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        return None

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        return [None] * len(ins)

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        return False, (False,) * len(active)

    def cost(self, args: Sequence[Any], params: dict[str, Any], out: Any, directions: int) -> float:
        return 0.0


# --------------------------------------------------------------------------------------------------
# position maps


def gather(t: Any, rank: int, position: Any) -> Any:
    """Pick entries of the last ``rank`` axes of ``t`` by a position map (0 picks a zero)."""
    lead, tail = shape_of(t)[: len(shape_of(t)) - rank], shape_of(t)[len(shape_of(t)) - rank :]
    flat = np.reshape(t, (*lead, size_of(tail)))
    if position.size == 0:
        return np.zeros_like(t, shape=lead + position.shape)
    if position.min() == 0:
        flat = np.concatenate([np.zeros_like(flat, shape=(*lead, 1)), flat], axis=-1)
        return flat[..., position]
    return flat[..., position - 1]


def scatter(g: Any, rank: int, position: Any, shape: Shape) -> Any:
    """Add entries of the last ``rank`` axes of ``g`` to where a position map took them from."""
    lead = shape_of(g)[: len(shape_of(g)) - rank]
    n = size_of(shape)
    flat = np.reshape(g, (*lead, position.size))
    return np.reshape(scatter_add(flat, position=position.reshape(-1), size=n + 1)[..., 1:], lead + shape)


def _scatter_add(g: Any, *, position: Any, size: int) -> Any:
    """Sum ``g[..., j]`` into entry ``position[j]`` of a new last axis of length ``size``."""
    return sum_into(np.zeros_like(g, shape=(*g.shape[:-1], size)), position, g)


def sum_into(out: Any, position: Any, g: Any) -> Any:
    """Add ``g[..., j]`` to ``out[..., position[j]]``, however often a position occurs; return ``out``."""
    if position.size == 0:
        return out
    if _distinct(position, out.shape[-1]):
        out[..., position] += g
    elif type(out) is ndarray and type(g) is ndarray and out.ndim == 1:
        np.add.at(out, position, g)
    else:
        # Sum what goes to one place first: add.at costs ten times as much on more than one axis.
        order = np.argsort(position, kind="stable")
        ordered = position[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        out[..., ordered[starts]] += add_runs(g[..., order], starts=starts)
    return out


def _distinct(position: Any, size: int) -> bool:
    """Whether no position occurs twice; a few among many are not worth a count of all."""
    if position.size == 1:
        return True
    if size > 1 << 12 and 16 * position.size < size:
        ordered = np.sort(position)
        return bool((ordered[1:] != ordered[:-1]).all())
    return bool(np.bincount(position).max() <= 1)


def _add_runs(g: Any, *, starts: Any) -> Any:
    """Sum the runs of the last axis that begin at ``starts``."""
    return np.add.reduceat(g, starts, axis=-1)


add_runs = Linear(
    "np.add.reduceat",
    _add_runs,
    pull=lambda g, x, *, starts: np.repeat(g, np.diff(starts, append=x.shape[-1]), axis=-1),
    joins=lambda k, args, params, out: grouped(
        np.searchsorted(params["starts"], np.arange(shape_of(args[0])[-1]), side="right") - 1,
        len(params["starts"]),
        shape_of(args[0]),
    ),
)


scatter_add = Linear(
    "scatter_add",
    _scatter_add,
    pull=lambda g, x, *, position, size: g[..., position],
    joins=lambda k, args, params, out: grouped(params["position"], params["size"], shape_of(args[0])),
)


# --------------------------------------------------------------------------------------------------
# the register


@dataclass(frozen=True, slots=True)
class Entry:
    """How the register knows a NumPy or SciPy function: what it is, and what to call or say."""

    function: Any
    name: str
    status: str  # primitive kinds, "composite", "discrete", "refused", "not yet"
    handler: Callable[..., Any] | None = None
    reason: str = ""
    domain: Any = None
    primitive: Primitive | None = None


UMATH: Any = np._core.umath  # type: ignore[attr-defined]
"""Where NumPy keeps its ufuncs, those too that have no public name."""

REGISTER: dict[Any, Entry] = {}
"""Every function the engine knows, by the function object. It is written while the rules are imported, and not after."""


def name_of(function: Any) -> str:
    """Return the name users know a function by, such as ``np.linalg.norm``."""
    module = getattr(function, "__module__", None) or ("numpy" if isinstance(function, np.ufunc) else "")
    if isinstance(function, np.ufunc):
        module = "numpy" if hasattr(UMATH, function.__name__) else "scipy.special"
    short = {"numpy": "np", "numpy.linalg": "np.linalg", "numpy.fft": "np.fft"}.get(module, module)
    return f"{short}.{getattr(function, '__name__', function)}"


def register(
    functions: Any,
    status: str,
    handler: Callable[..., Any] | None,
    *,
    reason: str = "",
    domain: Any = None,
    primitive: Primitive | None = None,
) -> None:
    """Write one row of the register. Several names of one function, and names this NumPy lacks (None), are fine."""
    for function in functions if isinstance(functions, (tuple, list)) else (functions,):
        if function is not None:
            REGISTER[function] = Entry(function, name_of(function), status, handler, reason, domain, primitive)


def elementwise(function: Any, *partials: Partial, domain: Any, **options: Any) -> Elementwise:
    """Add an elementwise row: the function and one partial ``(out, *operands) -> derivative`` per operand."""
    row = Elementwise(name_of(function), function, *partials, domain=domain, **options)
    register(function, row.kind, row, domain=domain, primitive=row)
    return row


def discrete(*functions: Any, domain: Any = None) -> None:
    """Add rows for functions whose results are integers, booleans or piecewise constant."""
    for function in functions:
        if function is not None:
            row = Discrete(name_of(function), function, domain)
            register(function, row.kind, row, domain=domain, primitive=row)


def movement(function: Any, domain: Any = None) -> Movement:
    """Add a movement row: the function alone. Its first argument is the operand, the rest are parameters."""
    signature = inspect.signature(function)
    row = Movement(name_of(function), function, domain)
    first = next(iter(signature.parameters))

    def handler(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs).arguments
        x = bound.pop(first)
        return bind(row, (x,), {k: v for k, v in bound.items() if v is not np._NoValue})

    register(function, row.kind, handler, domain=domain, primitive=row)
    return row


def composite(*functions: Any, domain: Any = None, status: str = "composite") -> Callable[[Any], Any]:
    """Add a function written in primitives: decorate a function with NumPy's own signature."""

    def decorate(handler: Callable[..., Any]) -> Callable[..., Any]:
        register([f for f in functions if f is not None], status, handler, domain=domain)
        return handler

    return decorate


def refused(functions: Any, reason: str, status: str = "refused") -> None:
    """Add functions that cannot carry derivatives, with the reason and what to write instead."""
    listed = functions if isinstance(functions, (tuple, list)) else (functions,)
    register([f for f in listed if f not in REGISTER], status, None, reason=reason)


def not_yet(functions: Any, instead: str) -> None:
    """Add functions that could carry derivatives but have no rule yet, with what to write instead."""
    refused(functions, instead, status="not yet")


def without_rule(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Call a function that has no rule on arguments that carry no derivative; raise if one does."""

    def leaves(x: Any) -> Any:
        if isinstance(x, Traced):
            if not x._may_leave():  # type: ignore[attr-defined]
                raise UnsupportedFunctionError(f"{where()}: {_why_not(function)}")
            return x.run.leave(x)
        return type(x)([leaves(i) for i in x]) if type(x) in (list, tuple) else x

    return function(*map(leaves, args), **{k: leaves(v) for k, v in kwargs.items()})


def _why_not(function: Any) -> str:
    entry = REGISTER.get(function)
    if entry is not None and entry.status == "refused":
        return f"{entry.name} cannot be differentiated: {entry.reason}."
    instead = entry.reason if entry is not None else "Write it with functions that are (docs: reference/support)"
    return (
        f"{name_of(function)} is not yet in dualdiff's vocabulary. {instead}, "
        "or freeze its argument on purpose with dd.stop_gradient(x)."
    )


def operands_of(args: Iterable[Any]) -> list[Any]:
    """Return operands as the tape keeps them when their values are not needed."""
    return [aval(a) for a in args]
