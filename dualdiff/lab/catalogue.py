"""The methods for a Jacobian that the lab compares: the ways of the register, elimination orders, differences, and anybody's own.

A method is an object that prepares a call without arguments for a function at a point, and says what is known beforehand of
the work it will be. Whoever compares, sweeps or lists goes over the methods and asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

import dualdiff as dd
from dualdiff.errors import InputError
from dualdiff.lab.oracle import evaluations
from dualdiff.lab.problems import zoo
from dualdiff.lab.subject import Subject
from dualdiff.lab.verification import verify
from dualdiff.passes.elimination import ORDERS, counts, eliminated
from dualdiff.passes.multiplications import Multiplications
from dualdiff.testing import richardson
from dualdiff.ways import WAYS, Options, Way
from dualdiff.ways.choice import bytes_of, fitted, price
from dualdiff.ways.decisions import recorded

try:
    # SciPy's solvers compute their finite differences with this function, and offer it nowhere in public.
    from scipy.optimize._numdiff import approx_derivative
except ImportError:
    approx_derivative = None

__all__ = ["METHODS", "Given", "Method", "Work", "forget", "method", "methods"]

EXACT = 1e-10
"""How far from the oracle a method may be that is off by rounding alone, relative to the size of the terms, in double precision."""
HALF, THIRD = 1e-5, 1e-7
"""The same for differences to one side and to both: at a benign point about half or two thirds of the sixteen digits are left,
and three more are given for curvature and cancellation."""
CHUNK = 16
"""Directions at once of the ways in chunks."""
EDGE = 1e-4
"""Seconds that an edge of the linearised graph takes, about, to be written out and eliminated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a method takes, counted or predicted and not measured; None where it is not known.

    Attributes
    ----------
    passes : int or None
        Directions pushed, covectors pulled, colours, or columns differenced.
    evaluations : int or None
        How often the function runs.
    multiplications : Multiplications or None
        Of partial derivatives, in the unit of vertex elimination, with the additions that go with them.
    nonlinear : int or None
        Nonlinear evaluations (see :func:`dualdiff.passes.multiplications.nonlinear`) in all runs of the function together.
    tape : int or None
        Bytes that a recording holds.
    predicted : int or None
        Bytes alive at once beside the function's own values, the result included, as predicted.
    seconds : float or None
        The time predicted.
    """

    passes: int | None = None
    evaluations: int | None = None
    multiplications: Multiplications | None = None
    nonlinear: int | None = None
    tape: int | None = None
    predicted: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method for a Jacobian.

    Attributes
    ----------
    name : str
        What its row is called.
    exact : bool
        Whether it is off by rounding alone, so that a larger difference is an error.
    tolerance : float
        How far from the oracle it may be, relative to the size of the terms, in double precision.
    """

    name: str
    exact: bool = True
    tolerance: float = EXACT

    group: ClassVar[str] = ""
    """What several methods are asked for by together."""

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        """Return what computes the Jacobian, in any form that `Subject.matrix` takes.

        Raises
        ------
        InputError
            If the method does not apply.
        """
        raise NotImplementedError

    def work(self, subject: Subject) -> Work:
        """Return what it takes, as far as that is known without running it."""
        return Work()

    def seconds(self, subject: Subject) -> float | None:
        """Return about how many seconds it takes, if that is known before its work is counted."""
        return None

    def applies(self, subject: Subject) -> bool:
        """Whether it is worth a row where nobody asked for it by name."""
        return True


# --------------------------------------------------------------------------------------------------
# the ways of the register


@dataclass(frozen=True, kw_only=True)
class Auto(Method):
    """The choice of `dualdiff.jacobian` itself."""

    sparse: bool = False
    group: ClassVar[str] = "ways"

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        return partial(dd.jacobian(subject.f, subject.argnums, sparse=self.sparse), *subject.args)

    def work(self, subject: Subject) -> Work:
        plan = subject.sparse_plan if self.sparse else subject.plan
        found = next(e.way for e in plan.ways if e.name == plan.chosen)
        return _work_of(found, subject, Options(sparse=self.sparse))

    def applies(self, subject: Subject) -> bool:
        return not self.sparse or _is_sparse(subject)


@dataclass(frozen=True, kw_only=True)
class ByWay(Method):
    """A way of the register, asked for by its options."""

    way: type[Way]
    kind: str = "dense"
    chunk: int | None = None
    group: ClassVar[str] = "ways"

    @property
    def _options(self) -> dict[str, Any]:
        return {**self.way.options(self.kind), **({"chunk": self.chunk} if self.chunk else {})}

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        given = self._options
        if not self.way.plain:
            options = Options(**given)
            if self.way.at(subject.program, options) is None:
                raise InputError(self.way.missing(options))
        return partial(dd.jacobian(subject.f, subject.argnums, **given), *subject.args)

    def work(self, subject: Subject) -> Work:
        options = Options(**self._options)
        way = self.way.at(subject.program, options)
        if way is None:
            raise InputError(self.way.missing(options))
        return _work_of(fitted(subject.program, way, options) or way, subject, options)

    def applies(self, subject: Subject) -> bool:
        if self.way.plain:
            return True
        if self.kind != "dense" and not _is_sparse(subject):
            return False
        way = self.way.at(subject.program, Options(**self._options))
        return way is not None and (self.chunk is None or way.directions > self.chunk)


def _is_sparse(subject: Subject) -> bool:
    """Whether a Jacobian has zeros that a sparse one would leave out."""
    return 0 < subject.program.pattern.nnz < subject.m * subject.n


def _work_of(way: Way, subject: Subject, options: Options) -> Work:
    program = subject.program
    return Work(
        passes=way.sweeps or None,
        evaluations=way.evaluations,
        multiplications=way.multiplications(program),
        nonlinear=way.evaluations * subject.nonlinear,
        tape=program.bytes if way.recorded or way.replayed else None,
        predicted=bytes_of(program, way),
        seconds=price(program, way, replace(options, cost=None)),
    )


# --------------------------------------------------------------------------------------------------
# elimination


@dataclass(frozen=True, kw_only=True)
class ByOrder(Method):
    """Vertex elimination in an order, which is found anew each time."""

    order: str
    group: ClassVar[str] = "orders"

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        shapes = [v.shape for v in subject.values]
        return lambda: eliminated(recorded(subject.problem(), Options()).tape, self.order, shapes)

    def seconds(self, subject: Subject) -> float | None:
        """Return about how many seconds it takes: counting would take a good part of them itself."""
        return EDGE * subject.edges

    def work(self, subject: Subject) -> Work:
        """Return the exact counts of the order."""
        found = counts(subject.graph, self.order)
        return Work(
            evaluations=1,
            multiplications=Multiplications(found.multiplications, exact=True, additions=found.updates),
            nonlinear=subject.nonlinear,
            tape=subject.program.bytes,
        )


# --------------------------------------------------------------------------------------------------
# differences


@dataclass(frozen=True, kw_only=True)
class ByDifferences(Method):
    """SciPy's finite differences, as its solvers take them: f at the point is known already."""

    scheme: Any
    times: int
    group: ClassVar[str] = "differences"

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        if approx_derivative is None:
            raise InputError("this version of SciPy does not offer its finite differences any more")
        f: Callable[[Any], Any] = subject.f if subject.is_vector else subject.flat
        value = np.asarray(subject.value, dtype=float)
        return partial(approx_derivative, f, subject.point, method=self.scheme, f0=value)

    def work(self, subject: Subject) -> Work:
        return _differenced(subject, self.times * subject.n)

    def applies(self, subject: Subject) -> bool:
        return approx_derivative is not None


@dataclass(frozen=True, kw_only=True)
class ByExtrapolation(Method):
    """Central differences in a falling sequence of steps, extrapolated to step zero, column by column."""

    group: ClassVar[str] = "differences"

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        return lambda: _extrapolated(subject)

    def work(self, subject: Subject) -> Work:
        return _differenced(subject, evaluations() * subject.n)


def _differenced(subject: Subject, evaluations: int) -> Work:
    try:
        nonlinear: int | None = evaluations * subject.nonlinear
    except Exception:  # a function that cannot be recorded has differences all the same
        nonlinear = None
    return Work(passes=subject.n, evaluations=evaluations, nonlinear=nonlinear)


def _extrapolated(subject: Subject) -> Any:
    x = subject.point
    J = np.zeros((subject.m, subject.n))
    for j in range(subject.n):
        v = np.zeros_like(x)
        v[j] = abs(x[j]) or 1.0
        found = richardson(lambda given: [subject.flat(given[0])], [x], [v])
        J[:, j] = found.values[0] / v[j]
    return J


# --------------------------------------------------------------------------------------------------
# anybody's own


@dataclass(frozen=True, kw_only=True)
class Given(Method):
    """A function ``(f, *args) -> J``.

    Attributes
    ----------
    call : callable
        The Jacobian may be an array (m, n) or of shape ``f(x).shape + x.shape``, sparse, or nested as `dualdiff.jacobian`
        returns it.
    on : tuple of Case or None
        Problems on which it must be right before it is timed; None where it was not registered.
    """

    call: Callable[..., Any]
    on: tuple[Any, ...] | None = None
    group: ClassVar[str] = "own"

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        """Return the call, after it was held against the known Jacobians."""
        if self.on is not None:
            verify(self.call, self.on, name=self.name, tolerance=self.tolerance)
        f, args = subject.differentiated
        return partial(self.call, f, *args)


METHODS: list[Method] = []
"""Every method that `compare` tries by default, in the order in which they are listed."""


def _built_in() -> Iterable[Method]:
    yield Auto(name="auto")
    yield Auto(name="auto, sparse", sparse=True)
    for way in WAYS:
        # Ways to symmetric matrices alone are for Hessians.
        kind = next((k for k in ("dense", "sparse") if k in way.asked), None)
        if kind is None:
            continue
        yield ByWay(name=way.name, way=way, kind=kind, exact=not way.plain, tolerance=EXACT if way.exact else THIRD)
        if way.divisible and kind == "dense":
            yield ByWay(name=f"{way.name}, {CHUNK} at once", way=way, kind=kind, chunk=CHUNK)
    for order in ORDERS:
        yield ByOrder(name=f"elimination, {order}", order=order)
    yield ByDifferences(name="2-point", scheme="2-point", times=1, exact=False, tolerance=HALF)
    yield ByDifferences(name="3-point", scheme="3-point", times=2, exact=False, tolerance=THIRD)
    yield ByExtrapolation(name="richardson", exact=False, tolerance=THIRD)


METHODS.extend(_built_in())


def method(
    name: str, *, exact: bool = True, tolerance: float = EXACT, on: Iterable[Any] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a method of one's own: `compare` and `sweep` list it from then on.

    Before it is timed for the first time it is computed on the zoo and held against the Jacobians known there; one that is
    wrong is refused, with the problem's name and the numbers.

    Parameters
    ----------
    name : str
        What its row is called. A method of that name is replaced.
    exact : bool
        Whether it is off by rounding alone, so that a larger difference is an error.
    tolerance : float
        How far off it may be, relative to the size of the terms.
    on : iterable of Case, optional
        On which problems it must be right; by default on the small zoo. An empty one for methods that take functions
        written for another library.

    Returns
    -------
    callable
        A decorator, which returns the function as it is.

    Raises
    ------
    InputError
        If the name is that of a method of the library.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> from dualdiff import lab
    >>> @lab.method("columns one by one", on=lab.problems.zoo("small")[:3])
    ... def one_by_one(f, x):
    ...     return np.stack([dd.jvp(f, (x,), (e,))[1] for e in np.eye(x.size)], axis=-1)
    >>> found = lab.compare(np.sin, np.array([1.0, 2.0]), methods=["columns one by one"], rounds=1)
    >>> found.agree
    True
    >>> lab.forget("columns one by one")
    """

    def register(call: Callable[..., Any]) -> Callable[..., Any]:
        known = next((m for m in METHODS if m.name == name), None)
        if known is not None and not isinstance(known, Given):
            raise InputError(f"there is a method {name!r} in the library already; give yours another name")
        if known is not None:
            METHODS.remove(known)
        cases = zoo("small") if on is None else tuple(on)
        METHODS.append(Given(name=name, exact=exact, tolerance=tolerance, call=call, on=cases))
        return call

    return register


def methods(asked: Any = None, subject: Subject | None = None) -> tuple[Method, ...]:
    """Return the methods that are meant by what was given for ``methods=``.

    Parameters
    ----------
    asked : str, callable, Method, or iterable or mapping of them, optional
        Names, names of groups ("ways", "orders", "differences", "own"), functions ``(f, *args) -> J``, or a mapping of
        names to such functions. All that are registered by default.
    subject : Subject, optional
        A function at a point: of a group those that do not apply there are left out.

    Returns
    -------
    tuple of Method

    Raises
    ------
    InputError
        If there is no method or group of a name, or two rows would have one name.

    Examples
    --------
    >>> [m.name for m in methods(["2-point", "3-point"])]
    ['2-point', '3-point']
    >>> methods("4-point")
    Traceback (most recent call last):
    ...
    dualdiff.errors.InputError: there is no method '4-point'; there are ...
    """
    if asked is None:
        return _applicable(METHODS, subject)
    if isinstance(asked, Mapping):
        return tuple([_named(str(name), one) for name, one in asked.items()])
    several = [asked] if isinstance(asked, str | Method) or callable(asked) else asked
    # A method asked for by its name and by its group's is one.
    found = tuple(dict.fromkeys([m for one in several for m in _meant(one, subject)]))
    names = [m.name for m in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two methods are called {twice!r}; give a mapping of names to functions")
    return found


def _meant(asked: Any, subject: Subject | None) -> tuple[Method, ...]:
    if isinstance(asked, Method):
        return (asked,)
    if not isinstance(asked, str):
        return (_named(str(getattr(asked, "__name__", "") or type(asked).__name__), asked),)
    named = tuple([m for m in METHODS if m.name == asked])
    if named:
        return named
    group = [m for m in METHODS if m.group == asked]
    if group:
        return _applicable(group, subject)
    known = ", ".join([repr(m.name) for m in METHODS])
    groups = ", ".join([repr(g) for g in dict.fromkeys([m.group for m in METHODS])])
    raise InputError(
        f"there is no method {asked!r}; there are {known}, the groups {groups}, and your own functions (f, *args) -> J"
    )


def _applicable(listed: Iterable[Method], subject: Subject | None) -> tuple[Method, ...]:
    return tuple([m for m in listed if subject is None or _applies(m, subject)])


def _applies(m: Method, subject: Subject) -> bool:
    try:
        return m.applies(subject)
    except Exception:  # a function that cannot be recorded: the method's own row will say why
        return True


def _named(name: str, asked: Any) -> Method:
    if isinstance(asked, str):
        found = _meant(asked, None)
        if len(found) > 1:
            raise InputError(f"{asked!r} is a group of methods, and cannot be called {name!r}")
        return replace(found[0], name=name)
    if isinstance(asked, Method):
        return replace(asked, name=name)
    if not callable(asked) or not name:
        raise InputError(f"a method is a name or a function (f, *args) -> J, not {type(asked).__name__!r}")
    return Given(name=name, call=asked)


def forget(name: str) -> None:
    """Take a method of one's own out of the register.

    Parameters
    ----------
    name : str

    Raises
    ------
    InputError
        If there is none of that name.
    """
    found = next((m for m in METHODS if m.name == name and isinstance(m, Given)), None)
    if found is None:
        raise InputError(f"no method {name!r} of your own is registered")
    METHODS.remove(found)
