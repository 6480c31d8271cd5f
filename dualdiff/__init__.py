"""Exact derivatives of ordinary NumPy code, in both modes of automatic differentiation."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dualdiff import coloring, errors, numpy
from dualdiff.allocator import keep_freed_memory
from dualdiff.capture import capture
from dualdiff.operators import (
    JacobianPlan,
    PlanChangedWarning,
    batch_jacobian,
    diagnose,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linear_operator,
    linearize,
    plan_jacobian,
    stop_gradient,
    value_and_grad,
    value_and_jacobian,
    vjp,
)
from dualdiff.passes.kinks import kinks
from dualdiff.tensor import (
    Tensor,
    arange,
    empty,
    eye,
    full,
    gradients,
    is_grad_enabled,
    linspace,
    no_grad,
    ones,
    tensor,
    zeros,
)

if TYPE_CHECKING:
    from dualdiff.custom import checkpoint, custom_jvp, custom_vjp, primitive  # type: ignore[no-redef]
    from dualdiff.lab.trace import show
    from dualdiff.operators.compiled import compile
    from dualdiff.operators.implicit import fixed_point, implicit
    from dualdiff.operators.information import standard_errors
    from dualdiff.operators.loaded import load_program
    from dualdiff.operators.minima import argmin
    from dualdiff.rules.supported import support

_LATER = {
    **dict.fromkeys(("checkpoint", "custom_jvp", "custom_vjp", "primitive"), "dualdiff.custom"),
    "argmin": "dualdiff.operators.minima",
    "compile": "dualdiff.operators.compiled",
    **dict.fromkeys(("fixed_point", "implicit"), "dualdiff.operators.implicit"),
    "load_program": "dualdiff.operators.loaded",
    "show": "dualdiff.lab.trace",
    "standard_errors": "dualdiff.operators.information",
    "support": "dualdiff.rules.supported",
}
"""Rooms that many programs never enter, imported when first asked for."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value


__all__ = [
    "JacobianPlan",
    "PlanChangedWarning",
    "Tensor",
    "arange",
    "argmin",
    "batch_jacobian",
    "capture",
    "checkpoint",
    "coloring",
    "compile",
    "custom_jvp",
    "custom_vjp",
    "diagnose",
    "empty",
    "errors",
    "eye",
    "fixed_point",
    "full",
    "grad",
    "gradients",
    "hessian",
    "hvp",
    "implicit",
    "is_grad_enabled",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "keep_freed_memory",
    "kinks",
    "linear_operator",
    "linearize",
    "linspace",
    "load_program",
    "no_grad",
    "numpy",
    "ones",
    "plan_jacobian",
    "primitive",
    "show",
    "standard_errors",
    "stop_gradient",
    "support",
    "tensor",
    "value_and_grad",
    "value_and_jacobian",
    "vjp",
    "zeros",
]
