"""``dualdiff compare``: the methods for one Jacobian side by side."""

import argparse

from dualdiff.lab.catalogue import METHODS, Given
from dualdiff.lab.catalogue import methods as methods_of
from dualdiff.lab.cli.answer import AGREE, DISAGREE, Answer, Command, add_forms, answered, positive
from dualdiff.lab.cli.target import add_target, function, target
from dualdiff.lab.comparison import SECONDS, compare
from dualdiff.lab.subject import Subject

__all__ = ["COMPARE"]


def _add(parser: argparse.ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument(
        "--methods",
        metavar="NAME",
        nargs="+",
        help="only these methods or groups of them: ways, orders, differences, own, "
        + ", ".join(repr(m.name) if " " in m.name else m.name for m in METHODS),
    )
    parser.add_argument("--jacobian", metavar="FUNCTION", help="a Jacobian by hand, as one more method")
    parser.add_argument(
        "--oracle", metavar="NAME", help="complex, extended or differences; the best that applies by default"
    )
    parser.add_argument("--seconds", metavar="S", type=float, default=SECONDS, help="how long the clock may run")
    parser.add_argument("--rounds", metavar="N", type=positive, default=9, help="time each method in at most N turns")
    parser.add_argument("--memory", action="store_true", help="also measure peak memory, in fresh processes")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="the seed of all that is drawn")
    add_forms(parser)


def _find(arguments: argparse.Namespace) -> Answer:
    given = target(arguments)
    methods = arguments.methods
    by_hand = function(arguments.jacobian, given.module)[0] if arguments.jacobian else None
    if by_hand is None and given.case is not None:
        by_hand = given.case.jacobian
    if by_hand is not None:
        if methods is None:
            methods = methods_of(None, Subject(given.function, given.point, given.argnums))
        methods = [*methods, Given(name="by hand", call=lambda *_: by_hand(*given.point))]
    found = compare(
        given.function,
        *given.point,
        methods=methods,
        oracle=arguments.oracle,
        argnums=given.argnums,
        seconds=arguments.seconds,
        rounds=arguments.rounds,
        memory=arguments.memory,
        seed=arguments.seed,
    )
    wrong = ", ".join(row.name for row in found.disagreeing)
    return Answer(
        title=f"Methods for the Jacobian of {given.name}",
        status=AGREE if found.agree else DISAGREE,
        document=found.document(),
        parts=found.tables,
        figure=found.plot,
        complaint=""
        if found.agree
        else f"{given.name}: not what the oracle says: {wrong}"
        if wrong
        else f"{given.name}: no exact method gave a Jacobian",
    )


COMPARE = Command(
    "compare", "every method for one Jacobian: counted, timed, and held against an oracle", _add, answered(_find)
)
