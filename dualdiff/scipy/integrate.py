"""``scipy.integrate`` with derivatives passed by themselves: ``solve_ivp`` and ``solve_bvp`` under SciPy's signatures.

The implicit methods of ``solve_ivp`` need the Jacobian of the right-hand side, and ``solve_bvp`` those of the right-hand side and of
the conditions; SciPy takes differences where none is given. These functions give the exact ones, wherever that does not cost more.
Inside a function that is being differentiated they do what ``scipy.integrate.solve_ivp`` and ``solve_bvp`` do there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.integrate import BDF, LSODA, Radau

from dualdiff.errors import InputError
from dualdiff.operators import jacobian
from dualdiff.scipy import boundary_values, initial_values
from dualdiff.scipy.systems import Given, carries, plain_of
from dualdiff.values import raw

_PAYS = {"Radau": 32, "LSODA": 64, "BDF": 100}
"""From how many unknowns on an exact Jacobian takes no longer than SciPy's differences (docs/how-to/ode-sensitivities.md)."""
_PAYS_AT_NODES = 32
"""The same for a boundary value problem: states and unknown parameters together."""
_SPARSE_FROM = 100
_SPARSE_UP_TO = 0.2
"""A Jacobian of so many unknowns, of whose entries no more than this part are not zero, is sparse."""
_COMPILED_AFTER = 25
"""Calls after which the Jacobian becomes a compiled program."""


class _Jacobian:
    """The Jacobian of a right-hand side by the state, as SciPy's solvers ask for it."""

    def __init__(self, fun: Callable[..., Any], vectorized: bool, may_be_sparse: bool) -> None:
        self.f: Callable[..., Any] = fun
        if vectorized:
            self.f = lambda t, y, *args: np.reshape(fun(t, y[:, None], *args), (-1,))
        self.may_be_sparse = may_be_sparse
        self.calls = 0
        self.found: Callable[..., Any] | None = None

    def __call__(self, t: float, y: Any, *args: Any) -> Any:
        """Return the Jacobian: the same kind of matrix in every call."""
        self.calls += 1
        if self.found is None:
            self.found = jacobian(self.f, argnums=1)
            if self.may_be_sparse and len(y) >= _SPARSE_FROM:
                sparse = jacobian(self.f, argnums=1, sparse=True)
                matrix = sparse(t, y, *args)
                if matrix.nnz <= _SPARSE_UP_TO * len(y) ** 2:
                    self.found = sparse
                    self.calls = -(1 << 62)
                    return matrix
        if self.calls == _COMPILED_AFTER:
            from dualdiff.operators.compiled import compile

            self.found = compile(self.found)
        return self.found(t, y, *args)


def solve_ivp(
    fun: Callable[..., Any],
    t_span: Sequence[Any],
    y0: Any,
    method: Any = "RK45",
    t_eval: Any = None,
    dense_output: bool = False,
    events: Any = None,
    vectorized: bool = False,
    args: Any = None,
    *,
    checkpoints: int | None = None,
    **options: Any,
) -> Any:
    r"""Solve an initial value problem :math:`\dot y = f(t, y),\; y(t_0) = y_0` as ``scipy.integrate.solve_ivp`` does.

    The implicit methods get the exact Jacobian :math:`f_y`, dense or sparse, where it does not take longer than SciPy's differences
    (from 32 unknowns on for Radau, 64 for LSODA, 100 for BDF); explicit methods need none. ``jac=``, ``jac_sparsity=``, ``lband=`` and
    ``uband=`` of your own are passed on, and nothing else then.

    Inside a function that is being differentiated the result carries derivatives by ``y0``, by ``args`` and whatever ``fun`` and the
    events close over, by the ends of ``t_span`` and by ``t_eval``: those of the steps taken, frozen, or of shorter ones where the
    sensitivities need it. They are right to the order of ``rtol`` and ``atol``.

    Parameters
    ----------
    fun, t_span, y0, method, t_eval, dense_output, events, vectorized, args, **options
        As SciPy's.
    checkpoints : int, optional
        Of how many steps reverse mode keeps the states alone, the steps between them being taken once more when the sweep comes to
        them. By default it keeps all of every step.

    Returns
    -------
    OdeResult
        SciPy's: ``t``, ``y`` of shape (n, number of times), ``sol``, ``t_events``, ``y_events``, ``nfev`` …

    Raises
    ------
    NonDifferentiablePointError
        If an event touches zero without crossing it, where its time has no derivative.
    UnsupportedFunctionError
        If the method is none of SciPy's, and a derivative is asked for.
    DerivativeError
        If ``fun`` cannot be differentiated and the method needs its Jacobian, with the line; give ``jac=`` then.

    References
    ----------
    Hairer & Wanner, *Solving Ordinary Differential Equations II*, 2nd ed., Springer 1996, doi:10.1007/978-3-642-05221-7.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> from dualdiff.scipy.integrate import solve_ivp
    >>> def end(rate):
    ...     return solve_ivp(lambda t, y: -rate * y, (0.0, 2.0), [1.0], rtol=1e-8, atol=1e-10).y[0, -1]
    >>> bool(abs(dd.grad(end)(0.5) + 2 * np.exp(-1)) < 1e-7)
    True
    """
    if checkpoints is not None and (not isinstance(checkpoints, (int, np.integer)) or checkpoints < 1):
        raise InputError(f"checkpoints={checkpoints!r} must be a positive number of checkpoints, or None")
    if checkpoints is not None and dense_output:
        raise InputError("dense_output=True keeps every step, which checkpoints= is to spare; ask for times by t_eval=")
    if "jac" not in options or options["jac"] is None:
        options = _with_jacobian(fun, y0, method, vectorized, options)
    return initial_values.integrated(
        fun, t_span, y0, method, t_eval, dense_output, events, vectorized, args, checkpoints, options
    )


def _with_jacobian(fun: Any, y0: Any, method: Any, vectorized: bool, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options, with a Jacobian where it pays."""
    name = {Radau: "Radau", BDF: "BDF", LSODA: "LSODA"}.get(method, method)
    if any(options.get(k) is not None for k in ("jac_sparsity", "lband", "uband")) or carries(y0):
        return options
    state = np.asarray(plain_of(y0))
    if state.ndim != 1 or state.dtype.kind not in "fiu" or len(state) < _PAYS.get(name, np.inf):
        return options
    given = Given(fun, "solve_ivp")
    plain = given.with_inside([raw(x) for x in given.inside])
    return {**options, "jac": _Jacobian(plain, vectorized, name != "LSODA")}


def solve_bvp(
    fun: Callable[..., Any],
    bc: Callable[..., Any],
    x: Any,
    y: Any,
    p: Any = None,
    S: Any = None,
    fun_jac: Any = None,
    bc_jac: Any = None,
    tol: float = 1e-3,
    max_nodes: int = 1000,
    verbose: int = 0,
    bc_tol: float | None = None,
) -> Any:
    r"""Solve a boundary value problem :math:`y' = f(x, y, p),\; g(y(a), y(b), p) = 0` as ``scipy.integrate.solve_bvp`` does.

    It gets the exact Jacobians of the right-hand side, in one push for all nodes, and of the conditions, where that does not take longer
    than SciPy's differences (from 32 states and parameters on); ``fun_jac=`` and ``bc_jac=`` of your own are passed on.

    Inside a function that is being differentiated the result carries derivatives by whatever ``fun`` and ``bc`` close over and by the
    ends of ``x``, by the implicit function theorem on the mesh that was found. They are right to the order of ``tol``.

    Parameters
    ----------
    fun, bc, x, y, p, S, fun_jac, bc_jac, tol, max_nodes, verbose, bc_tol
        As SciPy's.

    Returns
    -------
    BVPResult
        SciPy's: ``x``, ``y``, ``yp``, ``p``, the spline ``sol`` …

    Raises
    ------
    DerivativeError
        If ``fun`` or ``bc`` cannot be differentiated, with the line: give ``fun_jac=`` and ``bc_jac=`` then. When differentiated,
        also if the equations are singular at the solution.
    UnsupportedFunctionError
        When differentiated, with ``S=`` or where the solution is complex.

    References
    ----------
    Kierzenka & Shampine, *ACM Trans. Math. Softw.* 27 (2001), doi:10.1145/502800.502801.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> from dualdiff.scipy.integrate import solve_bvp
    >>> def middle(w):  # y'' = -w² y with y(0) = 0 and y(1) = 1 is sin(w x) / sin(w)
    ...     found = solve_bvp(
    ...         lambda x, y: np.stack([y[1], -(w**2) * y[0]]),
    ...         lambda ya, yb: np.stack([ya[0], yb[0] - 1.0]),
    ...         np.linspace(0.0, 1.0, 5),
    ...         np.zeros((2, 5)),
    ...         tol=1e-8,
    ...     )
    ...     return found.sol(0.5)[0]
    >>> bool(abs(dd.grad(middle)(1.0) - np.tan(0.5) / np.cos(0.5) / 4) < 1e-7)
    True
    """
    known = p is None
    guess = np.asarray(plain_of(y))
    if guess.dtype.kind in "fiu" and len(guess) + (0 if known else np.size(plain_of(p))) >= _PAYS_AT_NODES:
        if fun_jac is None:
            fun_jac = _by_nodes(fun, known)
        if bc_jac is None:
            bc_jac = _by_ends(bc, known)
    return boundary_values.solve_bvp(fun, bc, x, y, p, S, fun_jac, bc_jac, tol, max_nodes, verbose, bc_tol)


def _by_nodes(fun: Callable[..., Any], known: bool) -> Callable[..., Any]:
    """Return the derivatives of a right-hand side at all nodes, each of which depends on its own state alone."""
    given = Given(fun, "solve_bvp")
    inside = [raw(v) for v in given.inside]

    def derivatives(x: Any, y: Any, *p: Any) -> Any:
        n, m = y.shape
        k = 0 if known else len(p[0])
        states = np.zeros((n + k, n, m))
        states[range(n), range(n)] = 1.0
        parameters = [np.eye(n + k, k, -n)] if not known else []
        tangents = (None, states, *parameters, *[None] * len(inside))
        _, found = given.pushed((x, y, *p), inside, tangents, (n + k,))
        found = np.array(np.moveaxis(np.broadcast_to(found, (n + k, n, m)), 0, 1))  # which SciPy adds to
        return found if known else (found[:, :n], found[:, n:])

    return derivatives


def _by_ends(bc: Callable[..., Any], known: bool) -> Callable[..., Any]:
    """Return the derivatives of the conditions by the states at both ends, and by the parameters."""
    given = Given(bc, "solve_bvp by bc=")
    inside = [raw(v) for v in given.inside]

    def derivatives(*ends: Any) -> tuple[Any, ...]:
        sizes = [len(v) for v in ends]
        units = np.split(np.eye(sum(sizes)), np.cumsum(sizes)[:-1], axis=1)
        _, found = given.pushed(ends, inside, (*units, *[None] * len(inside)), (sum(sizes),))
        return tuple(np.split(np.reshape(found, (sum(sizes), -1)).T, np.cumsum(sizes)[:-1], axis=1))

    return derivatives


__all__ = ["solve_bvp", "solve_ivp"]
