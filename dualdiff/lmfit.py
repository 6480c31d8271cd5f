"""Exact Jacobians for lmfit: what its solvers take as ``Dfun``."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import numpy as np

from dualdiff.operators.jacobian import jacobian

__all__ = ["dfun"]


@cache
def _class() -> Any:
    """Return lmfit's Parameters whose values may be traced."""
    import lmfit

    class Parameters(lmfit.Parameters):
        """Parameters of which ``valuesdict`` makes no plain numbers."""

        def valuesdict(self) -> dict[str, Any]:
            return {p.name: p.value for p in self.values()}

    return Parameters


def dfun(fcn: Callable[..., Any]) -> Callable[..., Any]:
    r"""Return the Jacobian of residuals by lmfit's parameters, as lmfit takes it: ``Dfun=dfun(fcn), col_deriv=False``.

    It has a column for every parameter that varies and is not bound by an expression; expressions are differentiated through.
    Bounds are lmfit's affair: it multiplies the columns by the slopes of its own transformation.

    Parameters
    ----------
    fcn : callable
        The residuals as lmfit takes them, ``fcn(params, *args, **kws)``. It reads its parameters in any of lmfit's ways:
        ``params["a"].value``, ``params["a"] * t``, ``params.valuesdict()``. The residuals of a ``Model`` are ``model._residual``.

    Returns
    -------
    callable
        It takes what ``fcn`` takes and returns the matrix, (m, parameters that vary).

    Examples
    --------
    >>> import lmfit
    >>> import numpy as np
    >>> from dualdiff.lmfit import dfun
    >>> t = np.linspace(0.0, 4.0, 30)
    >>> def residual(p, t, y):
    ...     return p["height"] * np.exp(-p["rate"] * t) - y
    >>> parameters = lmfit.create_params(height={"value": 1.0, "min": 0.0}, rate=1.0)
    >>> data = t, 2.0 * np.exp(-0.7 * t)
    >>> found = lmfit.minimize(residual, parameters, args=data, Dfun=dfun(residual), col_deriv=False)
    >>> print([round(value, 6) for value in found.params.valuesdict().values()], found.nfev < 15)
    [2.0, 0.7] True
    """

    @wraps(fcn)
    def at(values: Any, names: Any, params: Any, args: Any, kws: Any) -> Any:
        own = copy.deepcopy(params)
        own.__class__ = _class()
        for name, value in zip(names, values, strict=True):
            own[name].value = value
        return fcn(own, *args, **kws)

    of_lmfit = str(getattr(fcn, "__module__", "")).startswith(
        "lmfit."
    )  # its code makes plain arrays, as is known beforehand
    derivative = jacobian(at, flat=True, capture="always" if of_lmfit else "auto")

    @wraps(fcn)
    def matrix(params: Any, *args: Any, **kws: Any) -> Any:
        names = [name for name, p in params.items() if p.vary and p.expr is None]
        return derivative(np.array([params[name].value for name in names], float), names, params, args, kws)

    return matrix
