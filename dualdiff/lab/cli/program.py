"""The command line, ``dualdiff`` and ``python -m dualdiff``."""

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from dualdiff.errors import DerivativeError, line_of_traceback
from dualdiff.lab.cli.answer import MISUSE, Command
from dualdiff.lab.cli.calibrate import CALIBRATE
from dualdiff.lab.cli.check import CHECK
from dualdiff.lab.cli.compare import COMPARE
from dualdiff.lab.cli.explain import EXPLAIN
from dualdiff.lab.cli.fit import FIT
from dualdiff.lab.cli.problems import LIST_PROBLEMS
from dualdiff.lab.cli.sweep import SWEEP
from dualdiff.lab.cli.target import Misuse
from dualdiff.lab.cli.trace import TRACE

__all__ = ["COMMANDS", "main"]

COMMANDS: tuple[Command, ...] = (COMPARE, EXPLAIN, CHECK, TRACE, SWEEP, LIST_PROBLEMS, FIT, CALIBRATE)
"""All commands, in the order of the help."""
DEFAULT = FIT
"""What runs without a command."""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISUSE, f"{self.prog}: {message} ({self.prog} --help says more)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; those of the process if not given.

    Returns
    -------
    int
        The exit status: 0 if the methods agree, 1 if they do not (or prices cannot be kept), 2 if what was asked for makes no
        sense, or the function fails, 3 if no witness could decide.

    Raises
    ------
    SystemExit
        With status 2 if the arguments cannot be read, with 0 after ``--help``.
    """
    # A word that begins like a negative number is a value, "-1,2" too, which argparse would take for an option.
    words = [f" {word}" if re.match(r"-[\d.]", word) else word for word in (sys.argv[1:] if argv is None else argv)]
    parser = _Parser(
        prog="python -m dualdiff" if sys.argv[0].endswith("__main__.py") else "dualdiff",
        description="Exact derivatives of NumPy code: compared, explained, checked and shown step by step.",
        epilog=f"Without a command: {DEFAULT.name}, and its options may be given at once. The exit status is 0 if methods agree, "
        "1 if not, 2 for a misuse, 3 if undecided.",
    )
    commands = parser.add_subparsers(required=True, metavar="command", parser_class=_Parser)
    for command in COMMANDS:
        added = commands.add_parser(
            command.name, help=command.line, description=f"{command.line[0].upper()}{command.line[1:]}."
        )
        command.add(added)
        added.add_argument("--traceback", action="store_true", help="where an error arose, in full")
        added.set_defaults(command=command)
    # An option where a command would stand is one of the default command's; only help is the program's own.
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, DEFAULT.name)
    arguments = parser.parse_args(words)
    chosen: Command = arguments.command
    try:
        return chosen.run(arguments)
    except Exception as error:
        if arguments.traceback:
            raise
        print(f"dualdiff {chosen.name}: {_sentence(error)}", file=sys.stderr)
        return MISUSE


def _sentence(error: Exception) -> str:
    """Say in a sentence what went wrong, and where in the user's code if it was there."""
    said = " ".join(str(error).split())
    if isinstance(error, (Misuse, DerivativeError)) or (isinstance(error, ImportError) and "pip install" in said):
        return said
    place = ""
    with suppress(Exception):
        place = f"{line_of_traceback(error)}: "
    return f"{place}{type(error).__name__}: {said}" if said else f"{place}{type(error).__name__}"
