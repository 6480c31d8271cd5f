"""``root``, ``fsolve`` and ``newton`` with exact derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize

from dualdiff.operators.modes import jvp
from dualdiff.scipy.optimize.derivatives import Derivative, Values, of_jacobian, refuse_steps
from dualdiff.scipy.optimize.inside import differentiated

__all__ = ["fsolve", "newton", "root"]

BY_JACOBIAN = ("hybr", "lm")
"""The methods of ``root`` that take a Jacobian; the others approximate one as they go."""


def _of(fun: Callable[..., Any]) -> tuple[Values, Derivative]:
    """Return a function of a vector and its Jacobian."""
    values = Values(fun)
    return values, Derivative(fun, of_jacobian, values.at, values)


@differentiated()
def root(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: str = "hybr",
    jac: Any = None,
    tol: float | None = None,
    callback: Any = None,
    options: Any = None,
) -> scipy.optimize.OptimizeResult:
    r"""Find a root of a system of equations as ``scipy.optimize.root`` does, with the exact Jacobian.

    Everything is SciPy's but ``jac``, which is made of ``fun`` for the methods that take one, "hybr" and "lm".

    Parameters
    ----------
    fun : callable
        The equations, a function of NumPy code ``fun(x, *args)``, as many as unknowns ("lm": at least as many).
    x0 : array_like
        The start, (n,).
    jac : callable or bool, optional
        SciPy's; False leaves the differences to SciPy. None, the default, is the exact Jacobian.
    args, method, tol, callback, options
        SciPy's.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's.

    Raises
    ------
    InputError
        If an option for differences is given where none are taken.

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff.scipy.optimize import root
    >>> found = root(lambda x: [x[0] + x[1] - 3.0, x[0] * x[1] - 2.0], [0.5, 2.5])
    >>> print(found.x.round(12), found.success)
    [1. 2.] True
    """
    values: Any = fun
    if jac is None and method.lower() in BY_JACOBIAN:
        given = dict(options or {})
        refuse_steps({k: given.get(k) for k in ("eps", "epsfcn", "band")}, "root", "jac=False")
        given.pop("col_deriv", None)  # says how a Jacobian of the user's lies
        options = given
        values, jac = _of(fun)
    return scipy.optimize.root(
        values, x0, args=args, method=method, jac=jac, tol=tol, callback=callback, options=options
    )


@differentiated()
def fsolve(
    func: Callable[..., Any],
    x0: Any,
    args: Any = (),
    fprime: Any = None,
    full_output: Any = 0,
    col_deriv: Any = 0,
    xtol: float = 1.49012e-08,
    maxfev: int = 0,
    band: Any = None,
    epsfcn: float | None = None,
    factor: float = 100,
    diag: Any = None,
) -> Any:
    r"""Find a root of a system of equations as ``scipy.optimize.fsolve`` does, with the exact Jacobian.

    Everything is SciPy's but ``fprime``, which is made of ``func`` unless it is given.

    Parameters
    ----------
    func : callable
        The equations, a function of NumPy code ``func(x, *args)``, as many as unknowns.
    x0 : array_like
        The start.
    fprime : callable, optional
        A Jacobian of your own. None, the default, is the exact one.
    args, full_output, col_deriv, xtol, maxfev, band, epsfcn, factor, diag
        SciPy's.

    Returns
    -------
    ndarray, or what SciPy returns with ``full_output``
        The root.

    Raises
    ------
    InputError
        If an option for differences is given where none are taken.

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff.scipy.optimize import fsolve
    >>> print(fsolve(lambda x: [x[0] * np.cos(x[1]) - 4.0, x[1] * x[0] - x[1] - 5.0], [1.0, 1.0]).round(6))
    [6.504097 0.908414]
    """
    values: Any = func
    if fprime is None:
        refuse_steps({"band": band, "epsfcn": epsfcn}, "fsolve", "scipy.optimize.fsolve")
        values, fprime = _of(func)
        col_deriv = 0  # says how a Jacobian of the user's lies
    return scipy.optimize.fsolve(
        values, x0, args, fprime, full_output, col_deriv, xtol, maxfev, band, epsfcn, factor, diag
    )


@differentiated()
def newton(
    func: Callable[..., Any],
    x0: Any,
    fprime: Any = None,
    args: Any = (),
    tol: float = 1.48e-08,
    maxiter: int = 50,
    fprime2: Any = None,
    x1: Any = None,
    rtol: float = 0.0,
    full_output: bool = False,
    disp: bool = True,
) -> Any:
    r"""Find a root of a function of one variable as ``scipy.optimize.newton`` does, with the exact slope.

    Everything is SciPy's but ``fprime``, which comes with the value from one run of dual numbers. With ``x1``, a second start, the
    method stays SciPy's secant. Halley's method, with ``fprime2``, takes a second derivative of your own: an exact one costs
    more than the iteration that it saves.

    Parameters
    ----------
    func : callable
        A function of NumPy code ``func(x, *args)``; of an array of starts, entry by entry. Complex where it is holomorphic.
    x0 : float, complex or array_like
        The start, or several.
    fprime : callable, optional
        A slope of your own. None, the default, is the exact one.
    args, tol, maxiter, fprime2, x1, rtol, full_output, disp
        SciPy's.

    Returns
    -------
    float, complex or ndarray, or what SciPy returns with ``full_output``
        The root.

    Examples
    --------
    >>> from dualdiff.scipy.optimize import newton
    >>> print(round(newton(lambda x: x**3 - 2.0, 1.0), 12))
    1.259921049895
    """
    f: Any = func
    if fprime is None and x1 is None:
        f = _Dual(func)
        fprime = f.slope
    return scipy.optimize.newton(f, x0, fprime, args, tol, maxiter, fprime2, x1, rtol, full_output, disp)


class _Dual:
    """A function of one variable and its slope, from one run of dual numbers at each point."""

    __slots__ = ("at", "f", "found")

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f
        self.at: Any = None
        self.found: Any = None

    def __call__(self, x: Any, *args: Any) -> Any:
        x = np.asarray(x)[()]
        y, slope = jvp(lambda z: self.f(z, *args), (x,), (np.ones_like(x)[()],))
        self.at, self.found = x.tobytes(), slope
        return y

    def slope(self, x: Any, *args: Any) -> Any:
        """Return the slope where the value was asked for."""
        if np.asarray(x).tobytes() != self.at:
            self(x, *args)
        return self.found
