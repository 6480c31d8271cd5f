"""Checks for users: their own functions and hand-written derivatives, held against every witness there is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.operators import grad
from dualdiff.passes.replay import BranchChangedError
from dualdiff.testing.calling import asked_first, hold_to_laws_of_calling
from dualdiff.testing.claims import Claim, Jacobian, Pullback, Tangent
from dualdiff.testing.culprit import culprit
from dualdiff.testing.laws import LawError, adjoint_law, replay_law, second_law, value_law
from dualdiff.testing.line import Line
from dualdiff.testing.place import Place
from dualdiff.testing.points import drawn
from dualdiff.testing.report import LOGGER, CheckError, Doubt, InconclusiveError, Report, name_of
from dualdiff.testing.stencil import FIRST, SPACINGS, measure
from dualdiff.testing.subject import Subject
from dualdiff.testing.trial import Options, complaint, doubts_of, hold, hold_elsewhere
from dualdiff.testing.verdict import BY_HAND, Allowed, Verdict, demand, examine
from dualdiff.trees import flatten

__all__ = [
    "LOGGER",
    "CheckError",
    "Doubt",
    "InconclusiveError",
    "Report",
    "check",
    "check_gradient",
    "check_hessian",
    "check_jacobian",
    "check_jvp",
    "check_vjp",
]

POINTS = 20
"""Points that are drawn unless it is said how many."""
Points = int | Iterable[Any] | Callable[..., Any]


def check(
    f: Callable[..., Any],
    *args: Any,
    directions: int = 3,
    seed: int = 0,
    order: int = 1,
    rtol: float = 0.0,
    noise: float = 0.0,
) -> Report:
    r"""Hold every way to a derivative of ``f`` against the others, at one point.

    Values by both modes against NumPy's; dual numbers against the recorded tape, ⟨w, Jv⟩ = ⟨Jᵀw, v⟩; the
    replayed tape; and the derivative along random directions against the complex step or differences.

    Parameters
    ----------
    f : callable
        A function of NumPy code.
    *args
        The point; nested tuples, lists, dicts and dataclasses are fine.
    directions : int
        How many random directions to try.
    seed : int
        Seed of the directions.
    order : {1, 2}
        2 holds second derivatives as well: both nestings of the modes, their symmetry, and differences of the gradient.
    rtol, noise : float
        What the derivative may differ by, relative to its entries; the relative noise of ``f``.

    Returns
    -------
    Report
        It prints as a few lines.

    Raises
    ------
    CheckError
        If two ways disagree; the message names the ways, the entry and both numbers, and the line of ``f`` whose own
        derivative is wrong, if one is.

    Examples
    --------
    >>> import numpy as np
    >>> print(check(lambda x: np.exp(x) * x, np.array([1.0, 2.0])))
    values: both modes return NumPy's
    modes: dual numbers = tape pushed = tape pulled, transposed (3 directions)
    replay: the tape run again returns the same values
    truth: differences (3 directions)
    verdict: agree
    """
    __tracebackhide__ = True
    if order not in (1, 2):
        raise InputError(f"order={order!r} is neither 1 nor 2")
    s = Subject(f, args)
    if not s.inputs:
        raise CheckError("there is no argument to differentiate")
    rng = np.random.default_rng(seed)
    allowed = Allowed(rtol, 0.0, noise)
    lines = []
    doubts: list[Doubt] = []
    verdict: Verdict = "agree"
    methods: dict[str, None] = {}
    try:
        value_law(f, *args)
        lines.append("values: both modes return NumPy's")
        odd = [n for n, y in enumerate(s.plain()) if not np.all(np.isfinite(y))]
        if odd:  # and so has no derivative, whatever the rules make of it
            told = [
                Doubt(f"output {n}", np.nan, np.nan, np.inf, "it is not finite here", "check at a point of its domain")
                for n in odd
            ]
            return Report("inconclusive", tuple(lines), tuple(told))
        for _ in range(directions):
            adjoint_law(f, *args, rng=rng)
        lines.append(f"modes: dual numbers = tape pushed = tape pulled, transposed ({directions} directions)")
        replay_law(f, *args)
        lines.append("replay: the tape run again returns the same values")
        for _ in range(directions):
            v = s.direction(rng)
            tangent = s.push(v)[1]
            verdicts, truth = examine(Line(s.plain, s.inputs, v), tangent, allowed)
            methods.update(dict.fromkeys(truth.method.split(" and ")))
            for n, (d, found) in enumerate(zip(tangent, verdicts, strict=True)):
                if demand(f"derivative of output {n} along a random direction", d, truth, n, found) != "agree":
                    verdict = "inconclusive"
                    doubts += _doubts_along(d, truth, n, found)
        lines.append(f"truth: {' and '.join(sorted(methods))} ({directions} directions)")
        if order == 2:
            second_law(f, *args, rng=rng)
            lines.append("second derivatives: both nestings of the modes, symmetric, and differences of the gradient")
    except (LawError, BranchChangedError) as e:
        guilty = culprit(f, args)
        raise CheckError(f"{name_of(f)}: {e}" + (f"\n{guilty}" if guilty else "")) from e
    return Report(verdict, tuple(lines), tuple(doubts))


def _doubts_along(d: Any, truth: Any, n: int, found: Any) -> list[Doubt]:
    rows = []
    for at in np.argwhere(found == "inconclusive"):
        i = tuple(int(k) for k in at)
        kinks = truth.kinks[n][(slice(None), *i)]
        told = np.isfinite(kinks).all()
        rows.append(
            Doubt(
                f"entry {list(i)} of output {n}, along a random direction",
                np.asarray(d)[i],
                truth.values[n][i],
                float(truth.errors[n][i]),
                "a kink" if told else "kinks, noise or the edge of the domain are near",
                "check at a point beside it" if told else "check at a point farther from them",
            )
        )
    return rows


def check_jacobian(
    f: Callable[..., Any],
    jacobian: Callable[..., Any],
    *args: Any,
    argnum: int | Sequence[int] = 0,
    argnums: Sequence[int] | None = None,
    points: Points = POINTS,
    domain: Any = None,
    shapes: str | None = None,
    rtol: float = 0.0,
    atol: float = 0.0,
    noise: float = 0.0,
    directions: int | None = None,
    max_evaluations: int | None = None,
    seed: int = 0,
) -> Report:
    r"""Check a hand-written Jacobian: at the point given, column by column, and at points drawn near it.

    A column of :math:`J_{ij} = \partial f_i / \partial x_j` is the derivative of :math:`f(x + t e_j)` at :math:`t = 0`, which differences
    and the complex step tell without any rule, with an error bar for every entry. An entry outside its bar is wrong.
    ``f`` need not be a function that can be traced. Beside that the Jacobian must be the same when it is called twice, when ``f`` was
    called elsewhere in between, and it must write into nothing.

    Parameters
    ----------
    f : callable
        The function. It may return an array, a number, a list of numbers, a sparse matrix, or a nested structure of these.
    jacobian : callable
        It takes ``f``'s arguments and returns an array of shape ``f(*args).shape + args[argnum].shape``, or a matrix (m, n), dense,
        sparse or a ``LinearOperator``, with a row for every entry of the results and a column for every entry of the
        arguments; or, nested, one such array for each result and each argument.
    *args
        The point.
    argnum, argnums : int or sequence of int
        The arguments differentiated.
    points : int, iterable or callable
        How many further points are drawn: near the point, with signs turned, zeros, ties, integers and permutations put in, and the
        numbers that the code of ``f`` compares with. Or the points themselves, each a tuple of arguments; or a function
        ``draw(rng)`` that returns one. At points where ``f`` raises or is not finite nothing is checked.
    domain : optional
        From where points are drawn: ``(low, high)``, ``"positive"``, ``"nonnegative"``, ``"nonzero"``, ``"unit"`` …, or a list
        with one of these for each argument. Without it they stay near the point.
    shapes : str, optional
        Shapes of all arguments, with letters for sizes that may vary: ``"(m,k),(k,n)"``. Points are then drawn in other shapes.
    rtol, atol : float
        What an entry may differ by beyond its error bar, relative and absolute.
    noise : float
        Relative noise of ``f``, for instance the tolerance of a solver inside it.
    directions : int, optional
        Random directions to check along in place of all columns, where ``f`` is slow and has many arguments.
    max_evaluations : int, optional
        Evaluations of ``f`` that the witness may spend.
    seed : int
        Seed of all that is drawn.

    Returns
    -------
    Report
        Its verdict is "agree" or "inconclusive"; of the latter it says which entries, how wide their bars are, why, and what to do.

    Raises
    ------
    CheckError
        If an entry is wrong; the message names it, all witnesses' numbers, and what kind of mistake it is. Also if the shape is
        wrong or a law of calling is broken.
    InputError
        If what is passed is not a function, a point, or an option.

    References
    ----------
    Moré & Wild, "Estimating computational noise", SIAM Journal on Scientific Computing 33 (2011), doi:10.1137/100786125.

    Examples
    --------
    >>> import numpy as np
    >>> def f(x):
    ...     return np.array([x[0] * x[1], x[0] ** 2, x[1]])
    >>> def jac(x):
    ...     return np.array([[x[1], x[0]], [2 * x[0], 0.0], [0.0, 1.0]])
    >>> check_jacobian(f, jac, np.array([2.0, 3.0])).verdict
    'agree'
    >>> def forgotten(x):
    ...     return np.array([[x[1], x[0]], [2 * x[0], 0.0], [0.0, 0.0]])
    >>> check_jacobian(f, forgotten, np.array([2.0, 3.0]))
    Traceback (most recent call last):
        ...
    dualdiff.testing.report.CheckError: forgotten: J[2, 1] is 0.0; by differences 1.0 ± ..., by the complex step 1.0...
    one entry of 6 is wrong: it is zero, a term is forgotten
    at array([2., 3.])
    docs: reference/errors#checkerror
    """
    __tracebackhide__ = True
    claim = Jacobian(jacobian)
    chosen = argnums if argnums is not None else argnum
    options = Options(Allowed(rtol, atol, noise, BY_HAND), directions, max_evaluations, seed)
    return _checked(f, claim, args, chosen, points, domain, shapes, options)


def check_gradient(f: Callable[..., Any], gradient: Callable[..., Any], *args: Any, **options: Any) -> Report:
    r"""Check a hand-written gradient :math:`g_j = \partial f / \partial x_j` of a function with one number as its value.

    Parameters
    ----------
    f : callable
        A function that returns a number, or an array with one entry.
    gradient : callable
        It takes ``f``'s arguments and returns an array of the shape of the argument. Of a real function of one complex argument it is
        that of :func:`dualdiff.grad`, of which :math:`f(z + v) - f(z)` is :math:`\operatorname{Re} \sum_j \bar g_j v_j` to first order.
    *args
        The point.
    **options
        As :func:`check_jacobian` takes them.

    Returns
    -------
    Report

    Raises
    ------
    CheckError
        As :func:`check_jacobian` does; and if ``f`` does not return one number.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.optimize
    >>> check_gradient(scipy.optimize.rosen, scipy.optimize.rosen_der, np.ones(5)).verdict
    'agree'
    """
    __tracebackhide__ = True

    def number(*xs: Any) -> Any:
        y = f(*xs)
        if np.size(y) != 1:
            raise InputError(f"{name_of(f)} returns {np.size(y)} numbers; a gradient is of one, see check_jacobian")
        return np.reshape(y, ())[()]

    number.__name__ = name_of(f)
    number.__wrapped__ = f  # type: ignore[attr-defined]
    if len(args) == 1 and np.iscomplexobj(args[0]) and not np.iscomplexobj(f(np.array(args[0])[()])):

        def rule(z: Any) -> Any:
            g = gradient(z)
            return number(z), lambda w: (w * np.asarray(g),)

        rule.__name__ = name_of(gradient)
        return check_vjp(number, rule, args, **options)
    return check_jacobian(number, gradient, *args, **options)


def check_hessian(
    f: Callable[..., Any],
    hessian: Callable[..., Any],
    *args: Any,
    gradient: Callable[..., Any] | None = None,
    argnum: int = 0,
    **options: Any,
) -> Report:
    r"""Check a hand-written Hessian :math:`H_{ij} = \partial^2 f / \partial x_i \partial x_j`: it is the Jacobian of the gradient.

    Parameters
    ----------
    f : callable
        A function that returns a number.
    hessian : callable
        It takes ``f``'s arguments and returns an array of shape ``x.shape + x.shape``, or a matrix.
    *args
        The point.
    gradient : callable, optional
        The gradient by hand, which is checked first. Without it the gradient is taken by reverse mode if ``f`` can be
        traced, and by differences if not.
    argnum : int
        The argument differentiated.
    **options
        As :func:`check_jacobian` takes them.

    Returns
    -------
    Report

    Raises
    ------
    CheckError
        As :func:`check_jacobian` does.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.optimize
    >>> check_hessian(scipy.optimize.rosen, scipy.optimize.rosen_hess, np.array([-1.2, 1.0, 0.5])).verdict
    'agree'
    """
    __tracebackhide__ = True
    lines: tuple[str, ...] = ()
    slope: Callable[..., Any]
    if gradient is not None:
        first = check_gradient(f, gradient, *args, argnum=argnum, **options)
        slope, lines = gradient, tuple(f"gradient: {line}" for line in (*first.lines, f"verdict: {first.verdict}"))
    elif _is_traceable(f, args, argnum):
        slope, lines = grad(f, argnums=argnum), ("gradient: by reverse mode",)
    else:
        slope, lines = _slopes(f, argnum), ("gradient: by differences",)

    def gradient_of(*xs: Any) -> Any:
        return np.asarray(slope(*xs))

    gradient_of.__wrapped__ = f  # type: ignore[attr-defined]
    found = check_jacobian(gradient_of, hessian, *args, argnum=argnum, **options)
    return Report(found.verdict, (*lines, *found.lines), found.doubts, found.evaluations)


def _is_traceable(f: Callable[..., Any], args: Sequence[Any], argnum: int) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            grad(f, argnums=argnum)(*args)
    except Exception:  # code that does not speak NumPy may say anything of a traced value
        return False
    return True


def _slopes(f: Callable[..., Any], argnum: int) -> Callable[..., Any]:
    """Return the gradient by differences of eighth order."""

    def gradient(*xs: Any) -> Any:
        place = Place(f, xs, (argnum,))
        found = np.zeros(place.shape[1])
        for j in range(place.shape[1]):
            v = place.unit(j)
            stencil = measure(Line(place.call, place.inputs, place.split(v), None, place.outputs), SPACINGS[FIRST])
            if stencil is None:
                raise ArithmeticError("outside the domain")
            found[j] = np.ravel(stencil[0].slope)[0] / np.max(np.abs(v))
        return found.reshape(np.shape(xs[argnum]))

    return gradient


def check_jvp(
    f: Callable[..., Any],
    f_jvp: Callable[..., Any],
    primals: Sequence[Any],
    *,
    points: Points = POINTS,
    domain: Any = None,
    shapes: str | None = None,
    rtol: float = 0.0,
    atol: float = 0.0,
    noise: float = 0.0,
    directions: int | None = None,
    max_evaluations: int | None = None,
    seed: int = 0,
) -> Report:
    r"""Check a hand-written directional derivative :math:`(x, v) \mapsto (f(x), J v)`. ``f`` need not be a function that can be traced.

    Parameters
    ----------
    f : callable
        The function.
    f_jvp : callable
        ``f_jvp(primals, tangents) -> (value, tangent)``, as :func:`dualdiff.jvp` returns for ``f``.
    primals : sequence
        The point, one entry per argument.
    points, domain, shapes, rtol, atol, noise, directions, max_evaluations, seed
        As in :func:`check_jacobian`; without ``directions`` the tangent along every entry of the arguments is checked.

    Returns
    -------
    Report

    Raises
    ------
    CheckError
        If the value is not ``f``'s, the tangent is not linear in the direction, or it is not the derivative.

    Examples
    --------
    >>> import numpy as np
    >>> def rule(primals, tangents):
    ...     return np.sin(primals[0]), np.cos(primals[0]) * tangents[0]
    >>> check_jvp(np.sin, rule, (np.array([0.5, 1.0]),)).verdict
    'agree'
    """
    __tracebackhide__ = True
    args = _tuple_of(primals, "check_jvp", name_of(f_jvp))
    options = Options(Allowed(rtol, atol, noise, BY_HAND), directions, max_evaluations, seed)
    return _checked(f, Tangent(f_jvp), args, range(len(args)), points, domain, shapes, options)


def check_vjp(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    primals: Sequence[Any],
    *,
    points: Points = POINTS,
    domain: Any = None,
    shapes: str | None = None,
    rtol: float = 0.0,
    atol: float = 0.0,
    noise: float = 0.0,
    directions: int | None = None,
    max_evaluations: int | None = None,
    seed: int = 0,
) -> Report:
    r"""Check a hand-written pullback :math:`w \mapsto J^{\mathsf H} w` by ⟨w, Jv⟩ = ⟨Jᴴw, v⟩.

    ``f`` need not be a function that can be traced.

    Parameters
    ----------
    f : callable
        The function.
    f_vjp : callable
        ``f_vjp(*primals) -> (value, pullback)``, as :func:`dualdiff.vjp` returns for ``f``; the pullback takes a
        cotangent of the value and returns a tuple with one entry per argument.
    primals : sequence
        The point, one entry per argument.
    points, domain, shapes, rtol, atol, noise, directions, max_evaluations, seed
        As in :func:`check_jacobian`. The pullback gives rows of the Jacobian, which are checked entry by entry; of more than 64
        results, random combinations of the rows.

    Returns
    -------
    Report

    Raises
    ------
    CheckError
        If the value is not ``f``'s, the pullback is not linear, changes from call to call, writes into its cotangent, or is not
        the transpose of the derivative.

    Examples
    --------
    >>> import numpy as np
    >>> def rule(x):
    ...     return np.sin(x), lambda w: (w * np.cos(x),)
    >>> check_vjp(np.sin, rule, (np.array([0.5, 1.0]),)).verdict
    'agree'
    """
    __tracebackhide__ = True
    args = _tuple_of(primals, "check_vjp", name_of(f_vjp))
    options = Options(Allowed(rtol, atol, noise, BY_HAND), directions, max_evaluations, seed)
    return _checked(f, Pullback(f_vjp), args, range(len(args)), points, domain, shapes, options)


def _tuple_of(primals: Any, what: str, rule: str) -> tuple[Any, ...]:
    if not isinstance(primals, (tuple, list)):
        raise InputError(
            f"{what} takes the point as a tuple with one entry for each argument: {what}(f, {rule}, (x,)), not {what}(f, {rule}, x)"
        )
    return tuple(primals)


def _checked(
    f: Callable[..., Any],
    claim: Claim,
    args: Sequence[Any],
    argnums: int | Iterable[int],
    points: Points,
    domain: Any,
    shapes: str | None,
    options: Options,
) -> Report:
    """Hold a derivative to the laws of calling, at the point, and at others."""
    __tracebackhide__ = True
    if not callable(f):
        raise InputError(f"the first argument must be the function, not {type(f).__name__!r}")
    if not args:
        raise InputError("the point is missing: pass the arguments of f after its derivative")
    chosen = _chosen(argnums, len(args))
    args = tuple(args)
    early = None if claim.what == "rule" else asked_first(claim, args)
    place = Place(f, args, chosen)
    held = hold(claim, place, options)
    if held.verdict == "disagree":
        raise CheckError(complaint(claim, held))
    calls = hold_to_laws_of_calling(claim, Place(f, args, chosen), early, options.allowed.rtol)
    m, n = place.shape
    if held.columns is None:
        what = f"directions: {len(held.names)} at random"
    else:
        what = (
            f"entries: {m} × {n}"
            if place.covectors is None
            else f"columns: {n}, {len(place.covectors)} combinations of {m} rows"
        )
    lines = [f"{what}, by {held.methods}", *calls]
    evaluations = held.evaluations
    further = _further(f, args, chosen, points, domain, shapes, options.seed)
    if further is not None:
        told = hold_elsewhere(claim, f, chosen, further, options, held)
        evaluations += told.evaluations
        lines.append(str(told))
    lines.append(f"cost: {evaluations} evaluations of f")
    return Report(held.verdict, tuple(lines), tuple(doubts_of(held)), evaluations)


def _chosen(argnums: int | Iterable[int], count: int) -> tuple[int, ...]:
    chosen = (argnums,) if isinstance(argnums, (int, np.integer)) else tuple(argnums)
    for k in chosen:
        if not -count <= k < count:
            raise InputError(f"there is no argument {k}: the point has {count}")
    return tuple(int(k) % count for k in chosen)


def _further(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    chosen: Sequence[int],
    points: Points,
    domain: Any,
    shapes: str | None,
    seed: int,
) -> Iterable[tuple[Any, ...]] | None:
    """Return the further points that are asked for."""
    if isinstance(points, (int, np.integer)):
        if points < 0:
            raise InputError(f"points={points} is negative")
        if not points or not any(np.size(x) for k in chosen for x in flatten(args[k])[0]):
            return None
        inner = getattr(f, "__wrapped__", f)
        return drawn(inner, args, chosen, int(points), domain, shapes, seed)
    if callable(points):
        rng = np.random.default_rng(seed)
        return [_as_point(points(rng), len(args)) for _ in range(POINTS)]
    return [_as_point(p, len(args)) for p in points]


def _as_point(p: Any, count: int) -> tuple[Any, ...]:
    point = p if isinstance(p, tuple) else (p,)
    if len(point) != count:
        raise InputError(
            f"a point in points= has {len(point)} arguments, the function {count}: give tuples of arguments"
        )
    return point
