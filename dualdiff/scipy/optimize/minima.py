"""``minimize`` with exact gradients, Hessians and their products, and with those of the constraints."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse.linalg

from dualdiff.operators.gradients import grad, value_and_grad
from dualdiff.operators.jacobian import hessian, jacobian
from dualdiff.operators.modes import linearize
from dualdiff.operators.repeated import RepeatedGradient
from dualdiff.scipy.optimize.derivatives import Derivative, columns_of, fill, refuse_steps
from dualdiff.scipy.optimize.inside import differentiated
from dualdiff.shapes import shape_of, size_of
from dualdiff.trees import flatten

__all__ = ["minimize"]

BY_HESSIAN = frozenset(("newton-cg", "trust-constr", "dogleg", "trust-ncg", "trust-krylov", "trust-exact"))
"""Methods that use a Hessian."""
BY_PRODUCTS = BY_HESSIAN - {"dogleg", "trust-exact"}
"""Methods that use a Hessian only by its products with vectors."""
BY_GRADIENT = BY_HESSIAN | {"cg", "bfgs", "l-bfgs-b", "tnc", "slsqp"}
"""Methods that use a gradient."""
FEW = 100
"""Variables up to which a Hessian is a dense matrix, without a look at its pattern."""
LOOKED_AT = 5000
"""Variables up to which the pattern of a Hessian is looked at: were it dense, it would fill memory."""
SPARSE = 0.2
"""The share of nonzeros below which ``trust-constr`` gets a sparse matrix."""
ENTRIES = 2500
"""Entries up to which a Jacobian of constraints is dense without a look."""
STEPS = ("eps", "finite_diff_rel_step")
"""Options of SciPy's methods that are for differences."""


@differentiated()
def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: Any = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Any = None,
    options: Any = None,
) -> scipy.optimize.OptimizeResult:
    r"""Minimise a function as ``scipy.optimize.minimize`` does, with exact derivatives of it and of its constraints.

    Everything is SciPy's but the derivatives that are not given. The gradient comes with the value from one run of ``fun``. Methods
    that use a Hessian get one where there are few variables, and its products with vectors where there are many: they share one
    recording of the gradient at each point. ``trust-constr`` gets sparse matrices where they are nearly empty. Constraints get their
    Jacobians, and for ``trust-constr`` the Hessians of :math:`v \cdot c(x)`. Methods without derivatives are passed on.

    Once its calls have paid for that, the gradient runs as a program (:func:`dualdiff.compile`); then ``fun`` runs beside it for every
    value, and the program is held against it.

    Parameters
    ----------
    fun : callable
        The objective, a function of NumPy code ``fun(x, *args)`` that returns one number.
    x0 : array_like
        The start, (n,).
    jac, hess, hessp : optional
        Derivatives of your own, as SciPy takes them. None, the default, is the exact one; a name of differences, False, or a strategy of
        updates is SciPy's affair, and with ``jac`` of that kind nothing of ``fun`` is differentiated.
    constraints
        SciPy's. The default of a ``NonlinearConstraint``, differences and BFGS updates, stands for "not given" here: ``jac="3-point"`` or
        updates with other settings are left alone.
    args, method, bounds, tol, callback, options
        SciPy's.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's.

    Raises
    ------
    InputError
        If an option for differences is given where none are taken.
    NonScalarError
        If ``fun`` does not return one number.

    References
    ----------
    Nocedal & Wright, *Numerical Optimization*, 2nd ed., Springer 2006, doi:10.1007/978-0-387-40065-5.

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff.scipy.optimize import minimize
    >>> banana = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> print(minimize(banana, [-1.2, 1.0], method="trust-exact").x.round(6))
    [1. 1.]
    >>> disk = {"type": "ineq", "fun": lambda x: 1 - x @ x}
    >>> print(minimize(banana, [0.0, 0.0], constraints=disk).x.round(4))
    [0.7864 0.6177]
    """
    if not isinstance(args, tuple):
        args = (args,)
    name = _named(method, bounds, constraints)
    value: Any = fun
    if name in BY_GRADIENT or callable(method):
        if jac is None:
            refuse_steps({k: (options or {}).get(k) for k in STEPS}, "minimize", "jac='2-point'")
            objective = Objective(fun)
            value, jac = objective.value, objective.gradient
            base: Any = objective
        else:
            base = None if isinstance(jac, str) or jac is False else _Given(fun, jac)
        if base is not None and name in BY_HESSIAN and hess is None and hessp is None:
            hess, hessp = _second(base, name, x0, args)
    if constraints is not None and name in ("slsqp", "trust-constr"):
        constraints, sparse = with_derivatives(constraints, name, x0)
        if sparse:  # SciPy wants all of them of one kind
            options = {"sparse_jacobian": True, **(options or {})}
    return scipy.optimize.minimize(
        value,
        x0,
        args=args,
        method=method,
        jac=jac,
        hess=hess,
        hessp=hessp,
        bounds=bounds,
        constraints=constraints,
        tol=tol,
        callback=callback,
        options=options,
    )


def _named(method: Any, bounds: Any, constraints: Any) -> str:
    """Return the name of the method that SciPy takes."""
    if callable(method):
        return ""
    if method is not None:
        return method.lower()
    return "slsqp" if constraints else "bfgs" if bounds is None else "l-bfgs-b"


# -- the objective -------------------------------------------------------------------------------------


def as_number(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose result of one entry has no axes, as SciPy takes it."""

    @wraps(f)
    def one(*args: Any, **kwargs: Any) -> Any:
        y = f(*args, **kwargs)
        return np.reshape(y, ()) if shape_of(y) and size_of(shape_of(y)) == 1 else y

    return one


class Objective:
    """A function with its gradient from one run, until a program of the gradient is paid for; then the function runs for its values."""

    def __init__(self, fun: Callable[..., Any]) -> None:
        self.given = fun
        self.f = as_number(fun)
        self.derivative = Derivative(fun, _gradient, lambda *_: self.last[1], form=as_number, what="gradient")
        self.last: tuple[Any, Any, Any] = (None, None, None)

    def value(self, x: Any, *args: Any) -> Any:
        """Return the value at a point."""
        x = np.asarray(x)
        if self.derivative.slopes.is_paid:
            value, slope = self.f(x, *args), None
        else:
            value, slope = self.derivative.of_operator((x, *args), {})
        self.last = x.tobytes(), value, slope
        return value

    def gradient(self, x: Any, *args: Any) -> Any:
        """Return the gradient at a point, from the run that gave the value where there was one."""
        x = np.asarray(x)
        if self.last[0] != x.tobytes():
            self.value(x, *args)
        point, value, slope = self.last
        if slope is None:
            slope = self.derivative.of_program((x, *args), {})
            if slope is None:
                slope = self.derivative.of_operator((x, *args), {})[1]
            self.last = point, value, slope
        return slope


def _gradient(function: Any, with_value: bool) -> Any:
    return value_and_grad(function) if with_value else RepeatedGradient(function)


def _hessian(function: Any, with_value: bool) -> Any:
    operator: Any = hessian(function)
    return replace(operator, with_value=with_value)


def _sparse_hessian(function: Any, with_value: bool) -> Any:
    operator: Any = hessian(function, sparse=True)
    return replace(operator, with_value=with_value)


class _Given:
    """An objective whose gradient the user gives, beside it (``jac=True``) or apart."""

    def __init__(self, fun: Callable[..., Any], jac: Any) -> None:
        self.f = as_number(wraps(fun)(lambda *args: fun(*args)[0]) if jac is True else fun)


class Products:
    """Products of the Hessian with vectors; those at one point share one recording of the gradient."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f
        self.at: Any = None
        self.push: Any = None

    def __call__(self, x: Any, v: Any, *args: Any) -> Any:
        """Return the product at a point."""
        if x.tobytes() != self.at:
            slope = grad(self.f)
            self.push = linearize(wraps(self.f)(lambda x: slope(x, *args)), x)[1]
            self.at = x.tobytes()
        return self.push(v)


def _second(base: Any, name: str, x0: Any, args: Any) -> tuple[Any, Any]:
    """Return the Hessian of an objective, or the products with it, as a method uses them."""
    n, f = columns_of(x0), base.f
    sparse = False
    if name in BY_PRODUCTS and n >= FEW:
        if name == "trust-constr" and n <= LOOKED_AT:
            m, n, nonzeros = fill(grad(f), (np.atleast_1d(x0).astype(float), *args))
            sparse = nonzeros < SPARSE * m * n
        if not sparse:
            return None, Products(f)
    if not isinstance(base, Objective):
        return hessian(f, sparse=sparse), None
    make = _sparse_hessian if sparse else _hessian
    known = lambda args, _: base.gradient(*args)  # noqa: E731
    return Derivative(base.given, make, known, form=as_number, what=("hessian", sparse)), None


# -- constraints ---------------------------------------------------------------------------------------


def with_derivatives(constraints: Any, name: str, x0: Any) -> tuple[list[Any], bool]:
    """Return constraints with exact derivatives where they have none, and whether one of their Jacobians is sparse."""
    single = isinstance(constraints, (dict, scipy.optimize.NonlinearConstraint, scipy.optimize.LinearConstraint))
    x = np.atleast_1d(x0).astype(float)
    found, sparse = [], False
    for constraint in [constraints] if single else list(constraints):
        if isinstance(constraint, dict) and name == "trust-constr":
            constraint = _of_dictionary(constraint)
        if isinstance(constraint, dict):
            if constraint.get("jac") is None and callable(constraint.get("fun")):
                constraint = {**constraint, "jac": jacobian(constraint["fun"], flat=True)}
        elif isinstance(constraint, scipy.optimize.NonlinearConstraint):
            constraint, is_sparse = _of_object(constraint, name, x)
            sparse = sparse or is_sparse
        found.append(constraint)
    return found, sparse


def _of_dictionary(constraint: dict[str, Any]) -> Any:
    """Return a constraint of the old kind as one of the new kind, which has a Hessian; what is amiss is left for SciPy to say."""
    kind, fun, jac = str(constraint.get("type")).lower(), constraint.get("fun"), constraint.get("jac")
    if kind not in ("eq", "ineq") or not callable(fun):
        return constraint
    args = constraint.get("args", ())
    if args:
        given = jac
        fun = wraps(fun)(lambda x, f=fun: f(x, *args))
        jac = (lambda x: given(x, *args)) if callable(given) else given
    return scipy.optimize.NonlinearConstraint(fun, 0.0, 0.0 if kind == "eq" else np.inf, jac or "2-point")


def _of_object(constraint: Any, name: str, x: Any) -> tuple[Any, bool]:
    """Return a constraint with a Jacobian and, for ``trust-constr``, a Hessian; and whether the Jacobian is sparse."""
    c, jac, hess = constraint.fun, constraint.jac, constraint.hess
    if not callable(jac) and (jac != "2-point" or constraint.finite_diff_rel_step is not None):
        return constraint, False
    sparse = False
    if not callable(jac):
        if name == "trust-constr":
            sparse = constraint.finite_diff_jac_sparsity is not None
            if not sparse and x.size * size_of(np.shape(c(x))) > ENTRIES:
                m, n, nonzeros = fill(c, (x,))
                sparse = nonzeros < SPARSE * m * n
        jac = jacobian(c, sparse=True) if sparse else jacobian(c, flat=True)
    if name == "trust-constr" and _is_default(hess):
        hess = _hessian_of(c, x)
    made = scipy.optimize.NonlinearConstraint(c, constraint.lb, constraint.ub, jac, hess, constraint.keep_feasible)
    return made, sparse


_SHARED = inspect.signature(scipy.optimize.NonlinearConstraint).parameters["hess"].default
"""In older SciPy one object for all constraints, which holds what the last solve left in it; None in newer."""


def _is_default(hess: Any) -> bool:
    """Whether a constraint's Hessian is what SciPy puts where none is given: a new object, or one for all that solvers have changed."""
    if hess is signature(scipy.optimize.NonlinearConstraint).parameters["hess"].default:
        return True
    usual = scipy.optimize.BFGS()
    if hess is _SHARED:
        return True
    return type(hess) is type(usual) and {k: repr(v) for k, v in vars(hess).items()} == {
        k: repr(v) for k, v in vars(usual).items()
    }


def _hessian_of(c: Callable[..., Any], x: Any) -> Any:
    """Return the Hessian of v·c(x) as a function of x and v: a matrix, or its products where it would be a large one."""

    @wraps(c)
    def weighted(x: Any, v: Any) -> Any:
        total: Any = 0.0
        at = 0
        for y in flatten(c(x))[0]:
            size = size_of(shape_of(y))
            total = total + np.sum(np.reshape(y, -1) * v[at : at + size])
            at += size
        return total

    if x.size < FEW:
        return hessian(weighted)
    if x.size <= LOOKED_AT:
        count = sum(size_of(np.shape(y)) for y in flatten(c(x))[0])
        m, n, nonzeros = fill(grad(weighted), (x, np.ones(count)))
        if nonzeros < SPARSE * m * n:
            return hessian(weighted, sparse=True)

    def products(x: Any, v: Any) -> Any:
        push = linearize(wraps(c)(lambda x: grad(weighted)(x, v)), x)[1]
        return scipy.sparse.linalg.LinearOperator((x.size, x.size), matvec=push, rmatvec=push, dtype=float)

    return products
