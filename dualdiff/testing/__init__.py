"""Derivatives checked by properties: both modes, replay, differences and the complex step against each other."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dualdiff.testing.checks import check, check_gradient, check_hessian, check_jacobian, check_jvp, check_vjp
from dualdiff.testing.laws import LAWS
from dualdiff.testing.mistakes import kind_of
from dualdiff.testing.noise import noise_of
from dualdiff.testing.points import DOMAINS, Domain
from dualdiff.testing.report import CheckError, Doubt, InconclusiveError, Report
from dualdiff.testing.rules import check_rule
from dualdiff.testing.subject import Subject
from dualdiff.testing.tolerances import TOLERANCES, tolerance
from dualdiff.testing.verdict import LawError, judge
from dualdiff.testing.witness import Estimate, complex_step, differences, estimate

__all__ = [
    "check",
    "check_jacobian",
    "check_gradient",
    "check_hessian",
    "check_jvp",
    "check_vjp",
    "check_rule",
    "Report",
    "Doubt",
    "CheckError",
    "InconclusiveError",
    "Domain",
    "DOMAINS",
    "Estimate",
    "estimate",
    "differences",
    "complex_step",
    "noise_of",
    "judge",
    "kind_of",
    "LAWS",
    "LawError",
    "Subject",
    "TOLERANCES",
    "tolerance",
]

if TYPE_CHECKING:
    from dualdiff.testing import strategies as strategies
    from dualdiff.testing.properties import derivatives_agree as derivatives_agree


# Both need Hypothesis, an extra, so that they are imported when they are asked for, and no `import *` brings them.
def __getattr__(name: str) -> Any:
    if name not in ("strategies", "derivatives_agree"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    strategies = import_module("dualdiff.testing.strategies")
    return strategies if name == "strategies" else import_module("dualdiff.testing.properties").derivatives_agree
