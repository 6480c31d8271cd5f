"""Standard errors of what a likelihood estimates, by the observed information."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.capture import asked
from dualdiff.errors import InputError, NotAMinimumWarning, outside
from dualdiff.operators.calls import Argnums, Call, as_given
from dualdiff.operators.gradients import grad
from dualdiff.operators.jacobian import hessian
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.trees import flatten, paths
from dualdiff.values import TRACED, raw

__all__ = ["standard_errors"]

FAR = 0.1
"""Standard errors that a Newton step may still go before the point is said to be no minimum."""


def standard_errors(
    nll: Callable[..., Any], *mle: Any, argnums: Argnums = 0, capture: Any = "auto", **kwargs: Any
) -> Any:
    r"""Return the standard errors of maximum-likelihood estimates, by the inverse of the observed information.

    Where the negative logarithm :math:`\ell` of a likelihood is least, its Hessian :math:`H` is the observed information, and the
    estimates have the covariance :math:`H^{-1}`, asymptotically:

    .. math:: \sigma_i = \sqrt{(H^{-1})_{ii}}, \qquad H_{ij} = \partial^2 \ell / \partial x_i \, \partial x_j .

    Parameters
    ----------
    nll : callable
        The negative log-likelihood, a scalar function of NumPy code. A constant may be missing; a factor may not: of a sum of
        squares it is half of that sum over the known variance.
    *mle
        Its arguments, those that were estimated at their estimates. Nested tuples, lists, dicts and dataclasses are welcome.
    argnums : int, str, or sequence of them
        Which arguments were estimated, by position or by name.
    capture : {"auto", "always", "never"} or sequence of modules
        Which modules speak with differentiated values while ``nll`` runs: see :func:`capture`.
    **kwargs
        Further arguments of ``nll``.

    Returns
    -------
    any
        The standard errors, in the structure of what was estimated. Inside a function that is being differentiated they carry derivatives
        by the estimates and by whatever ``nll`` closes over.

    Raises
    ------
    InputError
        If the Hessian is not positive definite: with its smallest eigenvalue and the parameters of its direction.
    NonScalarError
        If ``nll`` does not return a real scalar.

    Warns
    -----
    NotAMinimumWarning
        If a Newton step from here would go further than a tenth of a standard error.

    References
    ----------
    Efron & Hinkley, "Assessing the accuracy of the maximum likelihood estimator: observed versus expected Fisher information",
    Biometrika 65 (1978), doi:10.1093/biomet/65.3.457.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> x = np.array([1.0, 3.0, 4.0, 8.0])
    >>> def nll(p):
    ...     return np.sum(0.5 * ((x - p["mean"]) / p["spread"]) ** 2 + np.log(p["spread"]))
    >>> errors = dd.standard_errors(nll, {"mean": x.mean(), "spread": x.std()})
    >>> print({name: round(float(error), 6) for name, error in errors.items()})
    {'mean': 1.274755, 'spread': 0.901388}
    >>> print(round(x.std() / 2, 6), round(x.std() / 8**0.5, 6))  # the textbook's
    1.274755 0.901388
    """
    nll = asked(nll, capture)
    call = Call(nll, argnums, mle, kwargs, False)
    if any(dtype_of(x).kind == "c" for x in call.leaves):
        raise InputError("dd.standard_errors is for real parameters; write a complex one as two")
    names = _names(call)
    information = hessian(nll, argnums, flat=True)(*mle, **kwargs)
    H = np.asarray(raw(information), float)
    slope = np.concatenate([np.zeros(0), *[np.ravel(raw(g)) for g in flatten(grad(nll, argnums)(*mle, **kwargs))[0]]])
    if not (np.isfinite(H).all() and np.isfinite(slope).all()):
        i = int(np.argmin(np.isfinite(H).all(axis=1) & np.isfinite(slope)))
        raise InputError(f"the derivatives by {names[i]} are not finite here; dd.diagnose(nll, …) names the line")
    H = (H + H.T) / 2
    scale = np.sqrt(
        np.abs(np.diag(H))
    )  # eigenvalues of parameters of different units are compared in the units of their errors
    scale[scale == 0] = 1.0
    lengths, directions = np.linalg.eigh(H / np.outer(scale, scale))
    if lengths.size and lengths[0] <= 10 * lengths.size * np.finfo(float).eps * lengths[-1]:
        raise InputError(_indefinite(H, directions[:, 0] / scale, names))
    inverse = (directions / lengths) @ directions.T / np.outer(scale, scale)
    distance = float(np.sqrt(slope @ inverse @ slope))
    if distance > FAR:
        warnings.warn(
            f"the negative log-likelihood is not least here: a Newton step would go {distance:.3g} standard errors. Minimise "
            "further before its errors are asked for",
            NotAMinimumWarning,
            stacklevel=outside(),
        )
    if type(information) in TRACED:  # inside a function that is differentiated
        inverse = np.linalg.inv((information + information.T) / (2 * np.outer(scale, scale))) / np.outer(scale, scale)
    return call.build_inputs(_apart(np.sqrt(np.diag(inverse)), call.leaves))


def _apart(flat: Any, leaves: Any) -> list[Any]:
    """Cut one row of numbers into the shapes of the parameters."""
    found, at = [], 0
    for x in leaves:
        size = size_of(shape_of(x))
        part = flat[at : at + size].reshape(shape_of(x))
        found.append(as_given(part.astype(dtype_of(x)) if dtype_of(x).kind == "f" else part, x))
        at += size
    return found


def _names(call: Call) -> list[str]:
    """Return what every single parameter is called in messages."""
    given = call._given(call.argnums[0]) if call.single else tuple(call._given(a) for a in call.argnums)
    found = []
    for path, x in zip(paths(given), call.leaves, strict=True):
        shape = shape_of(x)
        found += [f"argument{path}{list(i) if shape else ''}" for i in np.ndindex(shape)]
    return found


def _indefinite(H: Any, direction: Any, names: list[str]) -> str:
    """Say along which parameters the likelihood does not fall off."""
    least = float(np.linalg.eigvalsh(H)[0])
    share = np.abs(direction) / max(float(np.abs(direction).max()), np.finfo(float).tiny)
    along = ", ".join(names[i] for i in np.argsort(-share)[:4] if share[i] > 0.1)
    what = "is not a minimum" if least < 0 else "does not determine all parameters"
    return (
        f"the Hessian of the negative log-likelihood has the eigenvalue {least:.3g} (along {along}): this {what}, and there are no "
        "standard errors. Minimise further (nll is the negative logarithm), or fix what the data do not determine"
    )
