"""What every primitive answers, and what a rule may know of the pass it serves."""

from __future__ import annotations

import functools
import inspect
import operator
import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from importlib import import_module
from itertools import chain
from pickle import UnpicklingError
from typing import Any, NamedTuple

import numpy as np

from dualdiff.kinds.kinks import Kink
from dualdiff.labels import DENSE, Labels, written, zeros_of
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import INSTEAD, MERGED_FROM, is_few
from dualdiff.values import JOINED, ROOMS, bind, is_plain_constant, is_recorded, ndarray, numbered_nonzeros

Shape = tuple[int, ...]


CAREFUL: ContextVar[bool] = ContextVar("dualdiff_careful", default=False)
"""True while a pass is redone because its result was not finite: the inner passes are careful as well."""


patterns: list[Callable[[Any, Any], Any]] = []
"""A hook: how a constant factor of a tangent shows its zeros to a careful pass (see :mod:`dualdiff.reach`)."""


def _product(t: Any, p: Any) -> Any:
    """Multiply so that a zero wins over an infinite or NaN factor: for rules that divide by a difference that may be 0."""
    # The factor is replaced as well, so that derivatives of this product stay finite too.
    zero = np.equal(t, 0)
    return np.multiply(t, np.where(zero, np.zeros_like(t), p))


class Sweep:
    """What a rule may know of the pass it serves: the batch axis, and whether it is done the careful way."""

    __slots__ = ("careful", "lead", "mul", "rank")

    def __init__(self, lead: Shape) -> None:
        self.lead = lead
        self.rank = len(lead)
        self.careful = CAREFUL.get()
        self.mul = _product if self.careful else operator.mul


def nonzero(x: Any) -> Any:
    """Return where a value that is no tangent counts as reached: where it is not zero.

    That is everywhere if it is traced, or an array of another kind.
    """
    if type(x) is not ndarray and not issubclass(type(x), (int, float, complex, np.generic)):
        return np.ones(shape_of(x), bool)
    return np.asarray(np.not_equal(x, 0))


def weights(mask: Any) -> Any:
    """Return numbers that no sum or difference of products of makes zero by chance, and 0 outside a mask."""
    return np.where(mask, np.random.default_rng(mask.size).uniform(1, 2, mask.shape), 0.0)


def needs_of(rule: Any) -> tuple[bool, ...] | None:
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


later: list[Callable[[], None]] = []
"""A hook: imports the tables of rows that are not there from the start."""


FAMILIES: dict[str, tuple[Callable[..., Any], Callable[..., bool]]] = {}
"""Functions that make rows when these are first asked for, by name, and which arguments each takes."""


def family(name: str, takes: Callable[..., bool]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function that makes a row, or a tuple of rows, of hashable arguments: decorate it, and each row is made once.

    Pickles and saved programs hold the arguments: ``takes`` says of any data whether they are some.
    """

    def decorate(make: Callable[..., Any]) -> Callable[..., Any]:
        @functools.cache
        def made(*member: Any) -> Any:
            found = make(*member)
            for number, row in enumerate(found if type(found) is tuple else (found,)):
                row.family = name, member, number
            return found

        FAMILIES[name] = made, takes
        return made

    return decorate


def primitive_named(name: str, number: Any) -> Any:
    """Return the primitive of a name and a number (of a family: with its name, the member and the number there); None if there is none."""
    if type(number) is tuple:
        kind, member, number = number
        if kind not in FAMILIES:
            for load in later:
                load()
        make, takes = FAMILIES.get(kind, (None, None))
        if make is None or takes is None or not takes(*member):
            return None
        found = make(*member)
        rows: Sequence[Any] = found if type(found) is tuple else (found,)
    else:
        if name not in PRIMITIVES:
            for load in later:
                load()
            for ours in [*JOINED.values(), *[room for rooms in ROOMS.values() for room in rooms]]:
                import_module(ours)
        rows = PRIMITIVES.get(name, ())
    return rows[number] if 0 <= number < len(rows) and rows[number].name == name else None


def _primitive(name: str, number: Any) -> Any:
    found = primitive_named(name, number)
    if found is None:
        raise UnpicklingError(f"this dualdiff has no row {name!r} (number {number!r})")
    return found


def _row_of(owner: Any, number: int) -> Any:
    return owner.rows[number]


class Suspects(threading.local):
    """What a thread has to look at: an operator of another one must not take a function off its list."""

    def __init__(self) -> None:
        self.found: list[Any] = []


SUSPECTS = Suspects()
"""Functions whose rules a user gave, which were differentiated since an operator looked, and never held against differences."""


def given_to(owner: Any, rows: Sequence[Any]) -> None:
    """Take rows out of the house's list: they belong to a function of the user's, with which they live, die and pickle."""
    for number, row in enumerate(rows):
        PRIMITIVES[row.name].remove(row)
        if not PRIMITIVES[row.name]:
            del PRIMITIVES[row.name]
        row.by_user = True
        row.owner = owner, number


ALL = "all"
"""The forecast of a tangent that is one array of all directions."""


class Step(NamedTuple):
    """What an equation costs a sweep: its kind, its active operands, and for each direction elements and products."""

    kind: str
    active: int
    size: int
    moved: int
    flops: int


_DIRECTION = frozenset((int,))
AT = "at"
"""What begins the token of a direction of all entries that is not known by number."""


def is_column(term: Any) -> bool:
    """Whether a term of a forecast is a direction of all entries, and not a map."""
    return type(term) is int or (type(term) is tuple and term[0] == AT)


class Asked(NamedTuple):
    """What a forecast is asked about: the forms of the operands' tangents, and the equation.

    Attributes
    ----------
    sets : list
        None, a set of terms, or ``ALL`` for every operand.
    args, params, out
        Of the equation: values, or shapes and dtypes.
    k : int
        Directions.
    e : int
        The number of the equation, for new tokens.
    """

    sets: list[Any]
    args: Sequence[Any]
    params: dict[str, Any]
    out: Any
    k: int
    e: int

    @property
    def live(self) -> list[Any]:
        """The forms of the operands that have a tangent."""
        return [s for s in self.sets if s is not None]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return shape_of(self.out)

    @property
    def size(self) -> int:
        """The size of the result."""
        return size_of(shape_of(self.out))

    @property
    def together(self) -> frozenset[Any]:
        """The terms of all operands."""
        live = self.live
        return live[0] if len(live) == 1 else frozenset().union(*live)

    @property
    def is_columns(self) -> bool:
        """Whether every term is a direction of all entries."""
        live = self.live
        return _DIRECTION.issuperset(map(type, chain.from_iterable(live))) or all(is_column(t) for s in live for t in s)

    def new(self, count: int, beside: Iterable[Any] = ()) -> Any:
        """Return so many new terms beside some known ones, or an array if they are too many."""
        return self.few(frozenset((*beside, *[(self.e, j) for j in range(count)])))

    def few(self, terms: frozenset[Any]) -> Any:
        """Return terms, or an array if they are too many, as a run of dual numbers does where it cannot merge any."""
        count = len(terms)
        mapped = not all(map(is_column, terms))
        few = is_few(count, self.size, self.k, mapped) and not (mapped and count > max(MERGED_FROM, 2))
        return terms if few else ALL

    def at(self, terms: Iterable[Any]) -> frozenset[Any]:
        """Return the terms of one entry that is read out: columns, whichever directions they are."""
        return frozenset(t if is_column(t) else (AT, t, self.e) for t in terms)


class Primitive:
    """A function that the engine treats as one step. Calling it dispatches on its operands."""

    kind = "primitive"
    differentiable = True
    #: whether the result may share the operand's memory, as a NumPy view does ("read-only": and may not be written)
    view: bool | str = False
    #: what a write of ``new`` into such a view stores where it shows ``old``, if that is not ``new`` itself: (old, new)
    completed: Callable[[Any, Any], Any] | None = None
    #: whether its rules ask nothing of its one operand and of its result but their shapes and dtypes
    shapes_only = False
    #: of a root: what stood under it, from the operands and parameters (see :mod:`dualdiff.rules.roots`)
    under: Callable[..., Any] | None = None
    #: what its parameter ``index`` is for: to "read" ``x[index]``, or to "write" ``x[index] = v``
    access = ""
    #: whether its function does right with Python's numbers, and on arrays of objects that add and multiply as numbers do
    on_objects = False
    #: what it puts entries together by along its parameter ``axis``: "add", "maximum" or "minimum"
    folds = ""
    #: whether it is linear and yet only repeats entries
    repeats = False
    #: itself in terms of operations on single numbers, where it is none of its own: of numbers that add and multiply, and that
    #: make others by name (``x.made("where", condition, x, y)``)
    lower: Callable[..., Any] | None = None
    #: whether it is an elementwise row with one partial per operand, so that a sweep may take the short way
    plain = False
    #: whether its one operand's entries are only moved: terms stay terms, however small the result
    moves = False
    #: whether it is a product, for which an array of all directions is sooner worth its making
    is_product = False
    #: whether terms go through it group by group, as its labels say
    groups_terms = False
    #: whether a pull writes into cotangents in place: by ``deposit`` into its operand's, or by ``pull_in_place`` into its own
    in_place = False
    deposit: Any = None
    #: whether it multiplies two operands, so that the zeros of one that is constant show in the pattern (see ``links``)
    linked = False
    #: where the function has no derivative of its own, and what is taken for it there
    kink: Kink | None = None
    #: what to write instead where its value or derivative is not finite
    advice = ""
    #: whether its pattern is a matrix that labels cannot say (see ``entries``)
    patterned = False
    #: whether a user gave its rule, so that nobody has held it against differences yet
    by_user = False
    #: whether a user gave both sides of it, so that nobody has held them against each other yet
    is_two_sided = False
    #: of one that was made when it was first asked for: the name of its family, the arguments it was made for, and its number there
    family: tuple[str, tuple[Any, ...], int] | None = None
    #: of a user's: what pickles in its place, and which of that one's rows it is
    owner: tuple[Any, int] | None = None

    def __init__(self, name: str, fn: Callable[..., Any], domain: Any = None) -> None:
        self.name = name
        self.fn = fn
        self.op = fn
        self.domain = domain
        #: the sparsity pattern, ``(k, args, params, out) -> labels``, where the row knows better than its kind
        self.joins: Callable[..., Labels] | None = None
        self._keep: dict[tuple[bool, ...], tuple[bool, tuple[bool, ...]]] = {}
        rows = PRIMITIVES.setdefault(name, [])
        self.number = len(rows)
        rows.append(self)

    def __reduce__(self) -> Any:
        if self.owner is not None:
            return _row_of, self.owner
        return _primitive, (self.name, self.family or self.number)

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

    def links_seen(self, k: int, args: Sequence[Any], params: dict[str, Any], out: Any, most: int | None = None) -> Any:
        """As ``links``; for a recorded constant each link has the number of its entry, from 1 on, in place of the entry."""
        if is_recorded(args[1 - k]):
            args = [numbered_nonzeros(a) if n == 1 - k else a for n, a in enumerate(args)]
        return self.links(k, args, params, out, most)

    def entries(self, k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Return the pattern of a ``patterned`` row as a sparse matrix of booleans, result by operand ``k``; None as ``labels``."""
        return None

    def constants(self, ins: Sequence[int | None], args: Sequence[Any]) -> Sequence[int]:
        """Return the operands whose zeros ``links`` read: of a linked row a constant beside what is differentiated."""
        if self.linked and len(ins) == 2:
            for k in (0, 1):
                i = ins[1 - k]
                if ins[k] is None and i is not None and i >= 0 and (is_plain_constant(args[k]) or is_recorded(args[k])):
                    return (k,)
        return ()

    def distance(self, args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Say how far from a kink every entry is, 0 for exactly at one, from plain values; None where there are none."""
        return None if self.kink is None else self.kink.distance(out, *args, **params)

    def zeros(self, constant: Any) -> Any:
        """Say where one of these constants is zero, in a form that can be compared."""
        return zeros_of(numbered_nonzeros(constant) if is_recorded(constant) else constant)

    def masked(self, values: Sequence[Any], masks: Sequence[Any], params: dict[str, Any]) -> tuple[Any, Any]:
        """Return the function's result where only some entries of its operands are there, and which of its own are.

        This is a step of a careful pass, linear in the operands that have a mask; those that have none (None) are
        plain factors. An entry that is not there is 0, and so is a result that none reaches, whatever the factors are.
        """
        out = bind(self, values, params)
        if self.kind == "movement":  # masks move as the entries do
            shown = [nonzero(v) if m is None else m for v, m in zip(values, masks, strict=True)]
            return out, np.asarray(np.not_equal(self.fn(*[m.astype(np.int8) for m in shown], **params), 0))
        there = np.zeros(size_of(shape_of(out)), bool)
        for k, mask in enumerate(masks):
            if mask is not None:
                result, own = self.labels(k, values, params, out)
                own = written(own, mask.size)[mask.reshape(-1)]
                there |= np.isin(written(result, there.size), own[own >= 0])
        there = there.reshape(shape_of(out))
        return (out if there.all() else np.where(there, out, 0.0)), there

    # -- what tangents that are not one array ask ------------------------------------------------------
    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Push terms: return terms, an array, or ``INSTEAD`` where an array of all directions serves better."""
        return INSTEAD

    def takes_columns(self, values: Sequence[Any]) -> bool:
        """Whether ``terms`` take columns as they are; of others only the active directions are pushed, packed in an array."""
        return False

    def pull_terms(
        self, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any, aligned: bool
    ) -> Any:
        """Pull covectors given as terms: each entry of the result reaches the rows that its maps say.

        Return for each operand terms, an array of all rows, or None; or ``INSTEAD`` where only an array serves.
        ``aligned`` says that all operands have the shape and dtype of the result.
        """
        return INSTEAD

    def passes(self, sets: Sequence[Any]) -> bool:
        """Whether a tangent of one of the operands that have any (whose form is not None) reaches the result."""
        return True

    def forecast(self, asked: Asked) -> Any:
        """Say what the tangent of the result would be: None for none, a set of terms, or ``ALL`` for one array.

        A term is a direction (an int) or a token that stands for a map; equal tokens are maps known to be equal. What
        it says is what ``terms`` makes of maps that stay different and name every direction at most once. Maps that
        turn out equal make fewer terms, so it is a bound in any case: no more terms than it says, and no array where
        it says terms.
        """
        return ALL

    # -- what the price of a sweep asks ---------------------------------------------------------------
    def step(self, active: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Step:
        """Say what one direction through one active operand takes."""
        size = size_of(shape_of(out))
        return Step(self.kind, active, size, max([size, *[size_of(shape_of(a)) for a in args]]), 0)

    def made_at_once(self, asked: Asked) -> tuple[float, float, float] | None:
        """Say what an array of all directions takes that the row makes of terms by itself, none of which is an array yet.

        As numbers of arrays made, of elements scattered, and of terms; None where the terms become arrays first.
        """
        return None

    # -- what a pattern asks: shorter ways than labels for what scalar code reads and writes entry by entry ----------
    def entry_read(self, args: Sequence[Any], params: dict[str, Any], out: Any) -> int | None:
        """Return the one entry of its operand that the result is, counted flat."""
        return None

    def entries_written(self, args: Sequence[Any], params: dict[str, Any], out: Any) -> Sequence[int] | None:
        """Return the entries of its first operand, counted flat, that one entry of its second one replaces."""
        return None

    def puts_numbers_side_by_side(self, args: Sequence[Any]) -> bool:
        """Whether each entry of the result is one of its operands, in order."""
        return False

    def keep(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        try:
            return self._keep[active]
        except KeyError:
            found = self._keep[active] = self.needs(active)
            return found


def full(total: Any, sweep: Sweep, out: Any) -> Any:
    """Give a tangent the shape and dtype of the result it belongs to."""
    shape = sweep.lead + shape_of(out)
    if shape_of(total) != shape:
        total = np.broadcast_to(total, shape)
    want = dtype_of(out)
    if dtype_of(total) != want and want.kind in "fc":
        total = total.astype(want) if hasattr(total, "astype") else want.type(total)
    return total


def with_patterns(args: Sequence[Any], active: Sequence[Any], g: Any = None) -> Sequence[Any]:
    """Let constant factors show their zeros to a careful pass: what a constant zero multiplies is not there.

    ``active`` has None for a constant; ``g`` is a cotangent, where the tangents themselves are not ``active``.
    """
    if g is None:
        g = next(t for t in active if t is not None)
    return [patterns[0](a, g) if t is None else a for a, t in zip(args, active, strict=True)]


def chosen(sweep: Sweep, t: Any, share: Any) -> Any:
    """Multiply by the share an operand has in a choice; one without a share is not there."""
    return (np.where(np.not_equal(share, 0), t, 0.0) if sweep.careful else t) * share
