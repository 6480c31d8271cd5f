"""``dualdiff fit``: real measurements fitted with exact derivatives, and every method for the Jacobian beside them."""

import argparse
import json
import sys
from collections.abc import Sequence

from dualdiff.lab.cli.answer import AGREE, DISAGREE, Command, positive
from dualdiff.lab.problems import PROBLEMS, Problem, select
from dualdiff.lab.report import fits_table, methods_table, record, report, summary_table
from dualdiff.lab.tables import show

__all__ = ["FIT"]


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--problem",
        metavar="NAME",
        type=_problem,
        action="append",
        help=f"only this one, may be repeated: {', '.join(problem.name for problem in PROBLEMS)}",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument(
        "--rounds", metavar="N", type=positive, default=9, help="time each method in N turns and keep the least"
    )


def _run(arguments: argparse.Namespace) -> int:
    problems: Sequence[Problem] = arguments.problem or PROBLEMS
    reports = []
    for problem in problems:
        found = report(problem, rounds=arguments.rounds)
        reports.append(found)
        if arguments.json:
            continue
        # One problem at a time: the first answer is there while the next is computed.
        print(f"{problem.name}: {problem.title}")
        print(problem.source)
        print(f"{problem.outputs} residuals, {problem.inputs} parameters\n")
        print(f"{found.comparison.plan}\n")
        show(methods_table(found), sys.stdout)
        print()
        show(fits_table(found), sys.stdout)
        print("\n", flush=True)
    agree = all(found.agree for found in reports)
    if arguments.json:
        document = {"agree": agree, "problems": [record(found) for found in reports]}
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        show(summary_table(reports), sys.stdout)
    for found in reports:
        wrong = [row.name for row in found.comparison.disagreeing]
        if wrong:
            print(f"{found.problem.name}: not what the oracle says: {', '.join(wrong)}", file=sys.stderr)
    return AGREE if agree else DISAGREE


def _problem(name: str) -> Problem:
    try:
        return select(name)
    except KeyError as unknown:
        raise argparse.ArgumentTypeError(unknown.args[0]) from None


FIT = Command("fit", "fit NIST's measurements, and compare the methods for the Jacobian on them", _add, _run)
