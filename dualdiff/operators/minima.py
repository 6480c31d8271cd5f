r"""Minima as solutions of equations: the conditions of Karush, Kuhn and Tucker, with the constraints that bind as equations.

Unknowns are x, a multiplier for every constraint, and for every bound a whole number that says whether it binds: 1 at the lower side,
-1 at the upper one, 0 where neither does. That number solves an equation of its own, so that the unknowns alone say which equations
hold. Where a bound holds with equality and its multiplier is zero, the minimum has a derivative from either side and none of its own.

References
----------
Nocedal & Wright, *Numerical Optimization*, 2nd ed., Springer 2006, chapter 12, doi:10.1007/978-0-387-40065-5.
Fiacco, *Introduction to Sensitivity and Stability Analysis in Nonlinear Programming*, Academic Press 1983.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.errors import DegenerateError, InaccurateSolutionError, InputError, where
from dualdiff.operators.gradients import grad
from dualdiff.operators.implicit import parameters_of
from dualdiff.operators.jacobian import jacobian
from dualdiff.operators.modes import jvp
from dualdiff.operators.solutions import Given, Solved, Unknowns, as_vector
from dualdiff.operators.systems import check_solver
from dualdiff.shapes import shape_of
from dualdiff.trees import flatten, tree_map
from dualdiff.values import decided, is_replayed, operand, raw

CLOSE = 1e-3
"""How close to a bound, in parts of its size, a solver's answer lies that may be bound by it."""
TIED = 1e-5
"""What counts as zero of a distance and of a multiplier, in parts of their sizes: where both are, the minimum is degenerate."""


@dataclass(frozen=True, slots=True, eq=False)
class Bounded:
    """A minimisation of a function of a vector.

    Attributes
    ----------
    objective : callable
        A number, of the vector.
    lower, upper : array or None
        Bounds of the vector; None where nothing has any.
    constraints : callable or None
        A vector, of the vector; ``low`` and ``high`` are its bounds, equal where it is an equation.
    """

    objective: Callable[[Any], Any]
    lower: Any = None
    upper: Any = None
    constraints: Callable[[Any], Any] | None = None
    low: Any = None
    high: Any = None

    @property
    def has_bounds(self) -> bool:
        """Whether a variable has bounds."""
        return self.lower is not None

    def parts(self, u: Any) -> tuple[Any, Any, Any]:
        """Return the variables, the multipliers of the constraints, and, plain, the sides on which bounds and constraints bind."""
        m = 0 if self.constraints is None else len(raw(self.low))
        n = (len(u) - 2 * m) // 2 if self.has_bounds else len(u) - 2 * m
        return u[:n], u[n : n + m] if m else None, np.round(decided(u[n + m :]))

    def minimiser(self, u: Any) -> Any:
        """Return the variables: where a bound binds, the solver's value moves as the bound does."""
        x, _, sides = self.parts(u)
        if not self.has_bounds or is_replayed(u):  # a program solves again, and takes what it finds
            return x
        for side, bound in ((1.0, self.lower), (-1.0, self.upper)):
            there = np.sign(sides[: len(x)]) == side
            if there.any():
                at = np.where(there, bound, 0.0)
                x = np.where(there, raw(x) + (at - raw(at)), x)
        return x

    def conditions(self, u: Any) -> Any:
        """Return what the conditions of a minimum leave, of the form of the unknowns."""
        x, lam, sides = self.parts(u)
        slope = grad(lambda x: self._lagrangian(x, lam))(x)
        found = [_held(slope, sides[: len(x)], x, self.lower, self.upper) if self.has_bounds else slope]
        if lam is not None:
            own = sides[len(sides) - len(lam) :]
            found.append(_held(lam, own, self.constraints(x), self.low, self.high))  # type: ignore[misc]
        if len(sides):
            found.append(u[len(u) - len(sides) :] - sides)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _lagrangian(self, x: Any, lam: Any) -> Any:
        value = self.objective(x)
        return value if lam is None else value - np.sum(lam * self.constraints(x))  # type: ignore[misc]

    def unknowns(self, x: Any) -> Any:
        """Return the unknowns at a solver's answer: it, and the multipliers that it has.

        A side is doubled where a bound holds with equality and its multiplier is zero.
        """
        if not self.has_bounds and self.constraints is None:
            return x
        g = np.asarray(grad(self.objective)(x))
        beside = np.maximum(np.abs(x), 1.0)
        steep = max(_largest(g), _largest(jvp(grad(self.objective), (x,), (beside,))[1]), float(np.finfo(x.dtype).tiny))
        held: list[tuple[Any, Any, Any]] = []
        if self.has_bounds:
            held.append((np.eye(len(x)), *_sides(x, self.lower, self.upper)))
        if self.constraints is not None:
            rows = np.asarray(jacobian(self.constraints)(x))
            held.append((rows, *_sides(np.asarray(self.constraints(x)), self.low, self.high)))
        rows = np.concatenate([s[0] for s in held])
        distance = np.concatenate([s[1] for s in held])
        sign = np.concatenate([s[2] for s in held])  # of the multiplier that would bind; 0 of equations
        sizes = _norms(rows)
        near = (distance < CLOSE) | (sign == 0)
        multipliers = _multipliers(rows, near, g)
        wrong = near & (sign * multipliers < 0)
        off = wrong & (np.abs(multipliers) * sizes > TIED * steep)
        if off.any():  # it holds the answer back nowhere
            near &= ~off
            multipliers = _multipliers(rows, near, g)
        pressure = np.abs(multipliers) * sizes / steep
        open_sided = sign != 0
        degenerate = near & open_sided & (np.maximum(distance, pressure) <= TIED)
        free = near & open_sided & (pressure < distance) & ~degenerate
        if free.any():
            near &= ~free
            multipliers = _multipliers(rows, near, g)
        bind = np.where(open_sided, sign * near, 1.0) + np.where(degenerate, sign, 0.0)
        return np.concatenate([x, multipliers[len(x) if self.has_bounds else 0 :], bind]).astype(x.dtype)

    def sizes(self, u: Any, start: Any) -> Any:
        """Return how large the unknowns are, or how far the solver came.

        Raises
        ------
        DegenerateError
            If a bound holds with equality and its multiplier is zero.
        """
        x, lam, sides = self.parts(u)
        if (np.abs(sides) > 1).any():
            k = int(np.argmax(np.abs(sides)))
            n = len(x) if self.has_bounds else 0
            what = f"the bound of variable {k}" if k < n else f"constraint {k - n}"
            raise DegenerateError(
                f"{where()}: the minimum is degenerate: {what} holds with equality and its multiplier is zero (both to {TIED:.0e} of their "
                "size), so that a change of the parameters decides whether it binds. There is a derivative from either side only. Take "
                "the bound away, or fix the variable to it."
            )
        found = [np.full(len(x), max(_largest(x), _largest(x - start)))]
        if lam is not None:
            found.append(np.full(len(lam), _largest(lam)))
        return np.concatenate([*found, np.ones(len(sides))])

    def polished(self, u: Any) -> Any:
        """Return the unknowns after steps of Newton's method, as long as these get smaller."""
        last = np.inf
        for _ in range(20):
            left = np.asarray(self.conditions(u))
            matrix = np.asarray(jacobian(self.conditions, check=False)(u))
            try:
                step = np.linalg.solve(matrix, left)
            except np.linalg.LinAlgError:  # said when the solution is differentiated
                return u
            size = _largest(step)
            if not size < 0.5 * last or not np.isfinite(size):
                break
            u, last = u - step, size
        x, lam, sides = self.parts(u)
        self._check_curvature(matrix, len(x), 0 if lam is None else len(lam), sides)
        if self.has_bounds:
            n = len(x)
            u[:n] = np.where(sides[:n] > 0, raw(self.lower), np.where(sides[:n] < 0, raw(self.upper), x))
        return u

    def _check_curvature(self, matrix: Any, n: int, m: int, sides: Any) -> None:
        """Raise where the conditions hold at a saddle or a maximum, which they do not tell from a minimum."""
        free = np.flatnonzero(sides[:n] == 0) if self.has_bounds else np.arange(n)
        bend = matrix[np.ix_(free, free)]
        if m:
            along = matrix[n : n + m][:, free]
            _, size, vectors = np.linalg.svd(along)
            inside = vectors[int(np.sum(size > size.max(initial=0.0) * len(free) * np.finfo(size.dtype).eps)) :]
            bend = inside @ bend @ inside.T
        if not np.isfinite(bend).all():
            return
        curvature = np.linalg.eigvalsh(0.5 * (bend + bend.T))
        if len(curvature) and curvature[0] < -TIED * np.max(np.abs(curvature)):
            raise InaccurateSolutionError(
                f"{where()}: the search ended where the slope is zero and which is no minimum: the function bends down there (curvature "
                f"{curvature[0]:.2g}), as at a maximum or a saddle. Begin elsewhere: another x0."
            )


def _held(slope: Any, sides: Any, x: Any, lower: Any, upper: Any) -> Any:
    """Return the distance from the bound that binds, and where none does the slope, or the multiplier."""
    # An infinite bound has no difference from anything, and never binds.
    low, high = np.where(sides > 0, lower, 0.0), np.where(sides < 0, upper, 0.0)
    return np.where(sides > 0, x - low, np.where(sides < 0, x - high, slope))


def _sides(x: Any, lower: Any, upper: Any) -> tuple[Any, Any]:
    """Return how far the nearer of two bounds is, in parts of its size, and the sign of the multiplier with which it binds."""
    lower, upper = np.broadcast_to(raw(lower), np.shape(x)), np.broadcast_to(raw(upper), np.shape(x))
    with np.errstate(invalid="ignore"):
        below, above = np.abs(x - lower), np.abs(upper - x)
        nearer = np.where(below <= above, lower, upper)
        distance = np.minimum(below, above) / np.maximum(np.abs(nearer), 1.0)
    distance = np.where(np.isfinite(nearer), distance, np.inf)
    sign = np.where(below <= above, 1.0, -1.0)
    return distance, np.where(lower == upper, 0.0, sign)


def _multipliers(rows: Any, near: Any, g: Any) -> Any:
    """Return the multipliers with which some rows make up a gradient, zero for the others."""
    found = np.zeros(len(rows))
    if near.any():
        found[near] = np.linalg.lstsq(rows[near].T, g, rcond=None)[0]
    return found


def _norms(rows: Any) -> Any:
    return np.sqrt(np.sum(rows * rows, axis=1))


def _largest(x: Any) -> float:
    return 0.0 if x is None else float(np.max(np.abs(x), initial=0.0))


def stacked(functions: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Return several constraints as one vector."""
    return lambda x: np.concatenate([np.reshape(f(x), (-1,)) for f in functions])


def argmin(
    f: Callable[..., Any],
    x0: Any,
    *,
    bounds: Any = None,
    equality: Callable[..., Any] | None = None,
    method: str | None = None,
    tol: float | None = None,
    options: dict[str, Any] | None = None,
    linear_solver: str = "auto",
) -> Callable[..., Any]:
    r"""Return the minimiser of a function as a function of its parameters, :math:`x^*(p) = rg\min_x f(x, p)`.

    SciPy finds it, with exact gradients, and Newton's method polishes it. Its derivative follows by the implicit function theorem from
    the conditions of Karush, Kuhn and Tucker: of those bounds that bind (a positive multiplier) as equations, and without the others.

    Parameters
    ----------
    f : callable
        ``f(x, *p)``, a number.
    x0 : number, array, or structure of them
        Where the search begins; the minimiser has this form.
    bounds : pair, optional
        Lower and upper bounds, each a number, an array, or a structure like ``x0``; None or infinite where there are none. They may be
        differentiated.
    equality : callable, optional
        ``equality(x, *p)``, numbers or arrays that are to be zero.
    method, tol, options
        As for :func:`scipy.optimize.minimize`; by default BFGS (L-BFGS-B from 200 variables on), L-BFGS-B with bounds, and SLSQP with
        equations.
    linear_solver : str
        As for :func:`implicit`.

    Returns
    -------
    callable
        A function of ``*p``.

    Raises
    ------
    DegenerateError
        If a bound holds with equality and its multiplier is zero: there is a derivative from either side only.
    InaccurateSolutionError, SingularSolutionError
        As :func:`implicit`: if the search does not end at a minimum, or the minimum is not isolated.

    Notes
    -----
    What is found is a local minimum near ``x0``; the derivative follows it, and not a jump to another one.

    References
    ----------
    Nocedal & Wright, *Numerical Optimization*, 2nd ed., Springer 2006, chapter 12, doi:10.1007/978-0-387-40065-5.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> ridge = dd.argmin(lambda w, lam: np.sum((w - 1.0) ** 2) + lam * w @ w, np.zeros(3))
    >>> dd.jacobian(ridge)(1.0).round(6)  # w = 1 / (1 + lam)
    array([-0.25, -0.25, -0.25])
    """
    if not callable(f):
        raise InputError(f"dd.argmin: the first argument must be a function, not {type(f).__name__!r}")
    check_solver(linear_solver)
    return Minimiser(f, x0, bounds, equality, method, tol, options, linear_solver)


class Minimiser:
    """See :func:`argmin`."""

    def __init__(
        self,
        f: Callable[..., Any],
        x0: Any,
        bounds: Any,
        equality: Callable[..., Any] | None,
        method: str | None,
        tol: float | None,
        options: dict[str, Any] | None,
        linear_solver: str,
    ) -> None:
        self.f, self.x0, self.bounds, self.equality = f, tree_map(raw, x0), bounds, equality
        self.method, self.tol, self.options, self.linear_solver = method, tol, options, linear_solver
        self.__signature__ = parameters_of(f)
        self.__name__ = f"argmin of {getattr(f, '__name__', type(f).__name__)}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Minimise, for parameters of which any may be differentiated."""
        unknowns = Unknowns(self.x0)
        start = raw(unknowns.vector(self.x0))
        given = Given((self.f, self.equality, self.bounds, args, kwargs))

        def problem(given: Any) -> Bounded:
            f, equality, bounds, args, kwargs = given
            lower = upper = None
            if bounds is not None:
                lower, upper = (
                    as_bound(b, s, self.x0, unknowns) for b, s in zip(bounds, (-np.inf, np.inf), strict=True)
                )
            c = None
            low = np.zeros(0)
            if equality is not None:
                dtype = unknowns.dtype
                c = lambda v: as_vector(equality(unknowns.structure(v), *args, **kwargs), dtype)  # noqa: E731
                low = np.zeros(len(raw(c(start))), dtype)
            return Bounded(lambda v: f(unknowns.structure(v), *args, **kwargs), lower, upper, c, low, low)

        def solve(given: Any) -> Any:
            own = problem(given)
            return own.polished(own.unknowns(self._found(own, start)))

        equations = Solved(
            given,
            solve,
            lambda u, given: problem(given).conditions(u),
            self.f,
            lambda u: problem(given.plain()).sizes(u, start),
            self.linear_solver,
        )
        return unknowns.structure(problem(given.at(given.caught)).minimiser(equations.result()))

    def _found(self, problem: Bounded, start: Any) -> Any:
        """Return what SciPy finds."""
        from scipy.optimize import Bounds, minimize

        few = len(start) < 200
        method = self.method or (
            "SLSQP" if problem.constraints is not None else "L-BFGS-B" if problem.has_bounds or not few else "BFGS"
        )
        options: dict[str, Any] = {}
        if problem.has_bounds:
            options["bounds"] = Bounds(problem.lower, problem.upper)
        if problem.constraints is not None:
            slopes = jacobian(problem.constraints, check=False)
            options["constraints"] = {"type": "eq", "fun": problem.constraints, "jac": slopes}
        of = grad(problem.objective)
        with np.errstate(all="ignore"):
            found = minimize(
                problem.objective, start, jac=of, method=method, tol=self.tol or 1e-10, options=self.options, **options
            )
        return np.asarray(found.x, start.dtype)


def as_bound(bound: Any, none: float, like: Any, unknowns: Unknowns) -> Any:
    """Return a bound as a vector; None, as a whole or of a variable, is an infinite one."""
    if bound is None:
        return np.full(unknowns.size, none, unknowns.dtype)
    leaves, build = flatten(like)
    if len(leaves) > 1 or not hasattr(bound, "dtype"):
        given = flatten(bound)[0] if not isinstance(bound, (int, float)) else [bound] * len(leaves)
        if len(leaves) == 1 and len(given) != 1:
            given = [operand([none if b is None else b for b in bound])]
        bound = build([b + np.zeros(shape_of(x)) for b, x in zip(given, leaves, strict=True)])
        return unknowns.vector(bound)
    return unknowns.vector(bound + np.zeros(shape_of(leaves[0])))


__all__ = ["Bounded", "argmin", "as_bound", "stacked"]
