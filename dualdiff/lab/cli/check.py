"""``dualdiff check``: a derivative held against every witness there is."""

import argparse
import inspect
from collections.abc import Callable
from typing import Any

from dualdiff.lab.cli.answer import AGREE, DISAGREE, UNDECIDED, Answer, Command, add_forms, answered
from dualdiff.lab.cli.target import Misuse, Target, add_target, function, target
from dualdiff.testing import CheckError, check, check_jacobian

__all__ = ["CHECK"]


def _add(parser: argparse.ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument(
        "--jacobian",
        metavar="FUNCTION",
        help="check this Jacobian by hand (FUNCTION is of the same file, or a file's of its own); by default the library's own "
        "derivatives are checked, in both modes",
    )
    for name, kind, line in _OPTIONS:
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="N" if kind is int else "X", type=kind, help=line)
    add_forms(parser, plot=False)


_OPTIONS: tuple[tuple[str, type, str], ...] = (
    ("points", int, "further points to draw near the point (with --jacobian)"),
    ("rtol", float, "what an entry may differ by beyond its error bar, relative"),
    ("atol", float, "the same, absolute (with --jacobian)"),
    ("noise", float, "the relative noise of the function, as the tolerance of a solver inside it"),
    ("directions", int, "random directions to check along"),
    ("max_evaluations", int, "evaluations of the function that the witness may spend (with --jacobian)"),
    ("seed", int, "the seed of all that is drawn"),
)
"""Options of the checks, which are handed on where they are given."""


def _find(arguments: argparse.Namespace) -> Answer:
    given = target(arguments)
    title = f"The derivative of {given.name}"
    try:
        report = _checked(arguments.jacobian, given, _options(arguments))
    except CheckError as error:
        said = str(error)
        document: dict[str, Any] = {"verdict": "disagree", "lines": [], "message": said}
        return Answer(title, DISAGREE, document, ["verdict: disagree"], complaint=said)
    document = {"verdict": report.verdict, "lines": list(report.lines), "message": None}
    return Answer(title, AGREE if report.verdict == "agree" else UNDECIDED, document, [str(report)])


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, *_ in _OPTIONS if (value := getattr(arguments, name)) is not None}


def _checked(by_hand: str | None, given: Target, options: dict[str, Any]) -> Any:
    if by_hand is None:
        if given.argnums is not None:
            raise Misuse("without --jacobian the derivatives by all arguments are checked: leave --argnums out")
        _refuse(options, check, "is for a Jacobian by hand: name it with --jacobian")
        return check(given.function, *given.point, **options)
    argnum = 0 if given.argnums is None else given.argnums[0]
    if type(argnum) is not int or (given.argnums is not None and len(given.argnums) > 1):
        raise Misuse("--jacobian is checked by one argument: --argnums takes one position here")
    _refuse(options, check_jacobian, "is not for a Jacobian by hand")
    return check_jacobian(given.function, function(by_hand, given.module)[0], *given.point, argnum=argnum, **options)


def _refuse(options: dict[str, Any], checker: Callable[..., Any], why: str) -> None:
    """Raise for an option that a check does not take."""
    for name in options:
        if name not in inspect.signature(checker).parameters:
            raise Misuse(f"--{name.replace('_', '-')} {why}")


CHECK = Command("check", "hold a derivative against every witness there is", _add, answered(_find))
