"""The command line, ``python -m dualdiff``.

A command is a function from its parsed arguments to the exit status, and a function that adds its parser; the table
`COMMANDS` names them. Without a command the first one runs.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence

from dualdiff.lab import calibration
from dualdiff.lab.problems import PROBLEMS, Problem, select
from dualdiff.lab.report import fits_table, methods_table, record, report, summary_table
from dualdiff.lab.tables import show
from dualdiff.passes import costs

__all__ = ["COMMANDS", "main"]


def _add_fit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--problem",
        metavar="NAME",
        type=_problem,
        action="append",
        help=f"only this one, may be repeated: {', '.join(problem.name for problem in PROBLEMS)}",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument(
        "--rounds", metavar="N", type=_positive, default=9, help="time each method in N turns and keep the least"
    )


def _fit(arguments: argparse.Namespace) -> int:
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
    return 0 if agree else 1


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="measure and print, but keep nothing")
    what.add_argument("--forget", action="store_true", help="delete what was kept: the shipped prices count again")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def _calibrate(arguments: argparse.Namespace) -> int:
    path = costs.file_of_constants()
    if path is None and not arguments.dry_run:
        # Said before anything is measured: nobody waits for what cannot be kept.
        print(
            "calibrate keeps its prices in the user's cache directory, which platformdirs finds; it is not installed: "
            "pip install 'dualdiff[cli]' (or use --dry-run, which keeps nothing)",
            file=sys.stderr,
        )
        return 1
    done: dict[str, object] = {"file": None if path is None else str(path), "written": False, "forgotten": False}
    try:
        if arguments.forget:
            assert path is not None
            done["forgotten"] = calibration.forget(path)
            said = f"Forgotten: {path}" if done["forgotten"] else f"There was nothing to forget: no file {path}"
        else:
            said = "Nothing was kept."
            shipped = costs.Machine()
            samples = calibration.measured(calibration.programs())
            found = calibration.fitted(samples, shipped)
            done |= calibration.document(shipped, found, samples)
            if not arguments.json:
                for table in (
                    calibration.prices_table(shipped, found, samples),
                    calibration.spread_table(shipped, found, samples),
                ):
                    show(table, sys.stdout)
                    print()
            if not arguments.dry_run:
                assert path is not None
                calibration.keep(found, path)
                done["written"] = True
                said = f"Kept in {path}; every new process of this user takes these prices."
    except OSError as failure:
        print(f"{path}: {failure.strerror or failure}; nothing was changed", file=sys.stderr)
        return 1
    print(json.dumps(done, indent=2, allow_nan=False) if arguments.json else said)
    if done["written"] and os.environ.get("DUALDIFF_CALIBRATION") == "shipped":
        print("While DUALDIFF_CALIBRATION=shipped is set, the shipped prices are taken all the same.", file=sys.stderr)
    return 0


#: Each command's name, its line in the help, what adds its arguments, and what it does.
COMMANDS: tuple[
    tuple[str, str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int]], ...
] = (
    ("fit", "fit NIST's measurements, and compare the methods for the Jacobian on them", _add_fit, _fit),
    (
        "calibrate",
        "measure what steps and elements cost on this machine, and choose by that",
        _add_calibrate,
        _calibrate,
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; those of the process if not given.

    Returns
    -------
    int
        The exit status: 0 if all is well, 1 if exact methods disagree or prices cannot be kept.

    Raises
    ------
    SystemExit
        With status 2 if the arguments make no sense, with 0 after ``--help``.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m dualdiff",
        description="Exact derivatives of NumPy code, on real data.",
        epilog=f"Without a command: {COMMANDS[0][0]}, and its options may be given at once.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, line, add, run in COMMANDS:
        command = commands.add_parser(name, help=line, description=line)
        add(command)
        command.set_defaults(run=run)
    # An option where a command would stand is one of the first command's; only help is the program's own.
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, COMMANDS[0][0])
    arguments = parser.parse_args(words)
    run_command: Callable[[argparse.Namespace], int] = arguments.run
    return run_command(arguments)


def _problem(name: str) -> Problem:
    try:
        return select(name)
    except KeyError as unknown:
        raise argparse.ArgumentTypeError(unknown.args[0]) from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, not {text!r}")
    return int(text)
