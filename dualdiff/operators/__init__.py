"""The operators: functions of functions, in both modes, nesting in any order to any depth."""

from dualdiff.operators.diagnosing import diagnose
from dualdiff.operators.gradients import grad, hvp, value_and_grad
from dualdiff.operators.jacobian import hessian, jacfwd, jacobian, jacrev, value_and_jacobian
from dualdiff.operators.modes import jvp, linearize, stop_gradient, vjp
from dualdiff.operators.plans import JacobianPlan, PlanChangedWarning, plan_jacobian
from dualdiff.operators.products import batch_jacobian, linear_operator
from dualdiff.ways import Explanation

__all__ = [
    "Explanation",
    "JacobianPlan",
    "PlanChangedWarning",
    "batch_jacobian",
    "diagnose",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "linear_operator",
    "linearize",
    "plan_jacobian",
    "stop_gradient",
    "value_and_grad",
    "value_and_jacobian",
    "vjp",
]
