"""``dualdiff trace``: the steps of one evaluation, with tangents and adjoints."""

import argparse

from dualdiff.lab.cli.answer import AGREE, DISAGREE, Answer, Command, add_forms, answered
from dualdiff.lab.cli.target import add_target, target
from dualdiff.lab.trace import show

__all__ = ["TRACE"]


def _add(parser: argparse.ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument(
        "--columns", metavar="J", type=int, nargs="*", help="the columns to push; at most six by default"
    )
    parser.add_argument("--rows", metavar="I", type=int, nargs="*", help="the rows to pull; at most six by default")
    parser.add_argument("--digits", metavar="N", type=int, default=4, help="significant digits of numbers")
    add_forms(parser)


def _find(arguments: argparse.Namespace) -> Answer:
    given = target(arguments)
    found = show(
        given.function,
        *given.point,
        columns=arguments.columns,
        rows=arguments.rows,
        argnums=given.argnums,
        digits=arguments.digits,
    )
    return Answer(
        title=f"The steps of {given.name}",
        status=AGREE if found.agree else DISAGREE,
        document=found.document(),
        parts=[str(found)],
        html=found.to_html(),
        figure=found.plot,
        complaint="" if found.agree else f"{given.name}: rows and columns differ where they cross",
    )


TRACE = Command("trace", "the steps of one evaluation: dual numbers forward, adjoints backward", _add, answered(_find))
