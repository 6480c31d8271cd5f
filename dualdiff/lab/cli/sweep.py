"""``dualdiff sweep``: the methods over the sizes of a problem."""

import argparse

from dualdiff.lab.cli.answer import AGREE, DISAGREE, Answer, Command, add_forms, answered, positive
from dualdiff.lab.cli.target import function
from dualdiff.lab.sweeps import sweep

__all__ = ["SWEEP"]


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "function",
        metavar="PROBLEM",
        help="path/to/file.py:problem or package.module:problem, where problem(size) returns a function and its arguments, "
        "(f, *args), or a case of the zoo",
    )
    parser.add_argument(
        "--sizes", metavar="N", type=_size, nargs="+", required=True, help="the sizes, in increasing order"
    )
    parser.add_argument("--methods", metavar="NAME", nargs="+", help="methods or groups of them, as for compare")
    parser.add_argument("--oracle", metavar="NAME", help="as for compare")
    parser.add_argument(
        "--seconds", metavar="S", type=float, default=30.0, help="about how long it may take altogether"
    )
    parser.add_argument("--rounds", metavar="N", type=positive, default=7, help="time each method in at most N turns")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="the seed of all that is drawn")
    add_forms(parser)


def _find(arguments: argparse.Namespace) -> Answer:
    problem, _ = function(arguments.function)
    chosen = {} if arguments.methods is None else {"methods": arguments.methods}
    found = sweep(
        problem,
        arguments.sizes,
        **chosen,
        seconds=arguments.seconds,
        rounds=arguments.rounds,
        oracle=arguments.oracle,
        seed=arguments.seed,
    )
    wrong = ", ".join(sorted({row.name for one in found.comparisons for row in one.disagreeing}))
    return Answer(
        title=f"Methods over the sizes of {arguments.function}",
        status=AGREE if found.agree else DISAGREE,
        document=found.document(),
        parts=found.tables,
        figure=found.plot,
        complaint=""
        if found.agree
        else f"{arguments.function}: not what the oracle says: {wrong or 'no exact method'}",
    )


def _size(text: str) -> int | float:
    """Read a size: a whole number where it is one."""
    try:
        return int(text) if text.strip().isdecimal() else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a number, not {text!r}") from None


SWEEP = Command(
    "sweep",
    "methods over the sizes of a problem: how times grow, and where one overtakes another",
    _add,
    answered(_find),
)
