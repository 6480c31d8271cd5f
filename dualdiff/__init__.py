"""Exact derivatives of ordinary NumPy code, in both modes of automatic differentiation."""

from dualdiff import errors
from dualdiff.operators import (
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linearize,
    stop_gradient,
    value_and_grad,
    value_and_jacobian,
    vjp,
)

__all__ = [
    "errors",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "linearize",
    "stop_gradient",
    "value_and_grad",
    "value_and_jacobian",
    "vjp",
]
