"""``dualdiff check``: a derivative held against every witness there is."""

import argparse
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
    add_forms(parser, plot=False)


def _find(arguments: argparse.Namespace) -> Answer:
    given = target(arguments)
    title = f"The derivative of {given.name}"
    try:
        report = _checked(arguments.jacobian, given)
    except CheckError as error:
        said = str(error)
        document: dict[str, Any] = {"verdict": "disagree", "lines": [], "message": said}
        return Answer(title, DISAGREE, document, ["verdict: disagree"], complaint=said)
    document = {"verdict": report.verdict, "lines": list(report.lines), "message": None}
    return Answer(title, AGREE if report.verdict == "agree" else UNDECIDED, document, [str(report)])


def _checked(by_hand: str | None, given: Target) -> Any:
    if by_hand is None:
        if given.argnums is not None:
            raise Misuse("without --jacobian the derivatives by all arguments are checked: leave --argnums out")
        return check(given.function, *given.point)
    argnum = 0 if given.argnums is None else given.argnums[0]
    if type(argnum) is not int or (given.argnums is not None and len(given.argnums) > 1):
        raise Misuse("--jacobian is checked by one argument: --argnums takes one position here")
    return check_jacobian(given.function, function(by_hand, given.module)[0], *given.point, argnum=argnum)


CHECK = Command("check", "hold a derivative against every witness there is", _add, answered(_find))
