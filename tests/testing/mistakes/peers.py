"""Other libraries' checkers of derivatives, each shown the corpus as a function of one flat vector and its Jacobian."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import scipy.optimize

from tests.testing.mistakes.case import Case

__all__ = ["flattened", "peers", "verdict_of"]

Flat = tuple[Callable[[Any], Any], Callable[[Any], Any], Any]
RELATIVE = 1e-5
"""SciPy's checker returns a distance and leaves the verdict to its user: this share of the Jacobian."""
BARS = 8.0
"""numdifftools returns error estimates: so many of them are allowed, as here."""


def flattened(case: Case) -> Flat | None:
    """Return a case as a function of one flat real vector with its Jacobian; None if it is not of that kind."""
    if case.form in ("vjp", "jvp", "hessian") or len(case.point) != 1:
        return None
    f, derivative = (case.f, case.derivative) if case.fresh is None else case.fresh()
    x = case.point[0]
    if isinstance(x, (dict, list)) or np.asarray(x).dtype.kind not in "fi" or not np.size(x):
        return None
    shape = np.shape(x)

    def value(v: Any) -> Any:
        y = f(np.reshape(v, shape)[()])
        return np.ravel(y.toarray() if hasattr(y, "toarray") else np.asarray(y, float))

    def jacobian(v: Any) -> Any:
        J = derivative(np.reshape(v, shape)[()])
        J = J.toarray() if hasattr(J, "toarray") else J @ np.eye(np.size(x)) if hasattr(J, "matvec") else J
        return np.reshape(np.asarray(J, float), (-1, np.size(x)))

    return value, jacobian, np.ravel(np.asarray(x, float))


def by_scipy(f: Any, jacobian: Any, x: Any) -> bool:
    J = jacobian(x)
    off = [scipy.optimize.check_grad(lambda v, i=i: f(v)[i], lambda v, i=i: jacobian(v)[i], x) for i in range(len(J))]
    return bool(np.linalg.norm(off) <= RELATIVE * max(np.linalg.norm(J), 1e-300))


def by_numdifftools(f: Any, jacobian: Any, x: Any) -> bool:
    import numdifftools

    told = numdifftools.Jacobian(f, full_output=True)(x)
    found = told[0]
    error = told.error_estimate if hasattr(told, "error_estimate") else told[1].error_estimate  # 0.11, and before
    J = jacobian(x)
    bar = BARS * np.reshape(error, J.shape) + 1e-10 * np.max(np.abs(J))
    return bool(np.all(np.abs(np.reshape(found, J.shape) - J) <= bar))


def by_torch(f: Any, jacobian: Any, x: Any) -> bool:
    import torch

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, v: Any) -> Any:
            ctx.save_for_backward(v)
            return torch.as_tensor(f(v.detach().numpy().copy()).copy())

        @staticmethod
        def backward(ctx: Any, w: Any) -> Any:
            (v,) = ctx.saved_tensors
            return torch.as_tensor(jacobian(v.detach().numpy().copy()).T @ w.numpy())

    point = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    return bool(torch.autograd.gradcheck(Function.apply, (point,), raise_exception=False))


PEERS = {
    "SciPy check_grad": ("scipy", by_scipy),
    "numdifftools": ("numdifftools", by_numdifftools),
    "torch gradcheck": ("torch", by_torch),
}


def peers() -> dict[str, Callable[..., bool]]:
    """Return the checkers that are installed."""
    return {name: check for name, (module, check) in PEERS.items() if find_spec(module) is not None}


def verdict_of(check: Callable[..., bool], case: Case) -> str:
    """Return "agree", "disagree", "crash", or "not shown" for what the checker cannot be asked."""
    flat = flattened(case)
    if flat is None:
        return "not shown"
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return "agree" if check(*flat) else "disagree"
    except Exception:  # a crash is what is counted
        return "crash"
