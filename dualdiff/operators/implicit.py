"""``implicit`` and ``fixed_point``: what a solver returns, differentiated by the equations that it solves."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from dualdiff.errors import InaccurateSolutionError, InputError, where
from dualdiff.operators.solutions import Given, Solved, Unknowns
from dualdiff.operators.systems import check_solver
from dualdiff.trees import tree_map
from dualdiff.values import raw


class Implicit:
    """See :func:`implicit`. It pickles where the two functions do."""

    def __init__(self, solve: Callable[..., Any], residual: Callable[..., Any], linear_solver: str = "auto") -> None:
        for what, f in (("solve", solve), ("residual", residual)):
            if not callable(f):
                raise InputError(f"dd.implicit: {what} must be a function, not {type(f).__name__!r}")
        check_solver(linear_solver)
        self.solve, self.residual, self.linear_solver = solve, residual, linear_solver
        self.__name__ = getattr(solve, "__name__", type(solve).__name__)
        self.__doc__ = getattr(solve, "__doc__", None)
        self.__signature__ = parameters_of(residual)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Solve, for parameters of which any may be differentiated."""
        given = Given((self.solve, self.residual, args, kwargs))
        return Solved(given, _solved, _left, self.residual, linear_solver=self.linear_solver).result()

    def __repr__(self) -> str:
        return f"<implicit {self.__name__}>"


def parameters_of(f: Callable[..., Any]) -> inspect.Signature | None:
    """Return the signature of a function of unknowns and parameters, without the unknowns; None where Python does not know it."""
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    every = list(signature.parameters.values())
    return signature.replace(parameters=every[1:]) if every and every[0].kind in kinds else None


def _solved(given: Any) -> Any:
    solve, _, args, kwargs = given
    return solve(*args, **kwargs)


def _left(x: Any, given: Any) -> Any:
    _, residual, args, kwargs = given
    return residual(x, *args, **kwargs)


def implicit(
    solve: Callable[..., Any], residual: Callable[..., Any], *, linear_solver: str = "auto"
) -> Callable[..., Any]:
    r"""Return a solver whose solutions are differentiated by the implicit function theorem, whatever it does to find them.

    Where :math:`F(x^*(p), p) = 0` and :math:`F_x` is regular, the solution has the derivative

    .. math:: \frac{\partial x^*}{\partial p} = -F_x^{-1} F_p .

    The solver runs on plain numbers, once. Forward mode takes one product with :math:`F_p` and one linear system a direction, reverse
    mode one system with :math:`F_x^T` and one product from the left; the matrix is made in the cheapest way (sparse, where its pattern
    is) and factored once for both. What they return is a solution of equations again, so derivatives follow to every order.

    Parameters
    ----------
    solve : callable
        ``solve(*p)``, the solution: a number, an array, or a structure of them. It gets plain values and need not be NumPy.
    residual : callable
        ``residual(x, *p)``, what the equations leave at ``x``: as many numbers as ``x`` has (complex ones count twice). NumPy code, as for
        every operator. The parameters may be nested; values that are differentiated and closed over count as parameters.
    linear_solver : {"auto", "dense", "sparse", "gmres"}
        How the linear systems are solved: by LAPACK, by SuperLU, or with products alone, by GMRES.

    Returns
    -------
    callable
        It takes what ``solve`` takes and returns what that does.

    Raises
    ------
    InaccurateSolutionError
        When differentiated: if a step of Newton's method would change the solution by more than a thousandth; the error has the
        residual and the condition number.
    SingularSolutionError
        If the Jacobian by the unknowns is singular, or is another one within the solution's own error (a multiple root), or if GMRES
        does not converge.
    InputError
        If there are not as many equations as unknowns.

    Notes
    -----
    The value is the solver's. Its derivative is taken there and not at the exact solution, so it is off by about as much as the
    solution is: :math:`|F_x^{-1}|\,|F_{xx}|` times the solver's tolerance.

    See Also
    --------
    fixed_point, argmin

    References
    ----------
    Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 15, doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> import math
    >>> import dualdiff as dd
    >>> def kepler(mean, e):  # any solver
    ...     E = mean
    ...     for _ in range(100):
    ...         E = mean + e * math.sin(E)
    ...     return E
    >>> import numpy as np
    >>> anomaly = dd.implicit(kepler, lambda E, mean, e: E - e * np.sin(E) - mean)
    >>> E = anomaly(1.0, 0.3)
    >>> bool(np.isclose(dd.grad(anomaly)(1.0, 0.3), 1 / (1 - 0.3 * np.cos(E))))
    True
    """
    return Implicit(solve, residual, linear_solver)


def fixed_point(
    g: Callable[..., Any], x0: Any, *, rtol: float = 1e-12, maxiter: int = 10_000, linear_solver: str = "auto"
) -> Callable[..., Any]:
    r"""Return the fixed point of a contraction as a function of its parameters, :math:`x = g(x, p)`, differentiated implicitly.

    It is found by iteration, and :math:`\partial x / \partial p = (I - g_x)^{-1} g_p` at the point where that ends, so that the
    derivative does not lag behind as that of the iterations would.

    Parameters
    ----------
    g : callable
        ``g(x, *p)`` of the structure of ``x``.
    x0 : number, array, or structure of them
        Where the iteration begins; the derivative does not depend on it.
    rtol : float
        It ends when no number of ``x`` changes by more than this part of the largest one.
    maxiter : int
        How many iterations are made at most.
    linear_solver : str
        As for :func:`implicit`.

    Returns
    -------
    callable
        A function of ``*p``.

    Raises
    ------
    InaccurateSolutionError
        If the iteration does not settle, and as :func:`implicit` does.

    Notes
    -----
    Value and derivative are off by about ``rtol / (1 - L)``, where the map contracts by ``L``.

    References
    ----------
    Christianson, "Reverse accumulation and attractive fixed points", Optimization Methods and Software 3 (1994),
    doi:10.1080/10556789408805572.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> root = dd.fixed_point(lambda x, p: 0.5 * (x + p / x), 1.0)
    >>> bool(np.isclose(dd.grad(root)(2.0), 0.5 / np.sqrt(2.0)))
    True
    """
    return Implicit(partial(_iterated, g, tree_map(raw, x0), rtol, maxiter), partial(_change, g), linear_solver)


def _iterated(g: Callable[..., Any], x0: Any, rtol: float, maxiter: int, *args: Any, **kwargs: Any) -> Any:
    x = x0
    unknowns = Unknowns(x0)
    v = raw(unknowns.vector(x0))
    change = np.inf
    for _ in range(maxiter):
        new = raw(unknowns.vector(g(x, *args, **kwargs)))
        change, v = float(np.max(np.abs(new - v), initial=0.0)), new
        x = unknowns.structure(v)
        if change <= rtol * float(np.max(np.abs(v), initial=0.0)) or not np.isfinite(change):
            break
    else:
        raise InaccurateSolutionError(
            f"{where()}: the iteration has not settled after {maxiter} steps; the last one changed {change:.2g}. Give maxiter= or rtol=, "
            "or solve x - g(x, p) = 0 in another way, with dd.implicit.",
            change,
        )
    return x


def _change(g: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> Any:
    return tree_map(lambda a, b: a - b, x, g(x, *args, **kwargs))


__all__ = ["Implicit", "fixed_point", "implicit", "parameters_of"]
