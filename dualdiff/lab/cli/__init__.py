"""The command line: one module a command, each of which says its arguments and what it does."""

from dualdiff.lab.cli.answer import Command
from dualdiff.lab.cli.program import COMMANDS, main

__all__ = ["COMMANDS", "Command", "main"]
