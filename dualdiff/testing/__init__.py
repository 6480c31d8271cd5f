"""Derivatives checked by properties: both modes, replay, differences and the complex step against each other."""

from dualdiff.testing.checks import CheckError, Report, check, check_jacobian, check_jvp, check_vjp
from dualdiff.testing.differences import Estimate, complex_step, estimate, judge, richardson
from dualdiff.testing.laws import LAWS, LawError
from dualdiff.testing.rules import check_rule
from dualdiff.testing.subject import Subject
from dualdiff.testing.tolerances import TOLERANCES, tolerance

__all__ = [
    "check",
    "check_jvp",
    "check_vjp",
    "check_jacobian",
    "check_rule",
    "Report",
    "CheckError",
    "Estimate",
    "estimate",
    "richardson",
    "complex_step",
    "judge",
    "LAWS",
    "LawError",
    "Subject",
    "TOLERANCES",
    "tolerance",
]
