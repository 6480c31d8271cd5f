"""Units of a program of arrays whose steps repeat: one period, how often it is carried out, and where its operands are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dualdiff.passes.program import Form, Program

__all__ = [
    "Gathered",
    "Joined",
    "NotRepeatedError",
    "Numbering",
    "Part",
    "Read",
    "Repeats",
    "Stored",
    "Unit",
    "Written",
]


class NotRepeatedError(Exception):
    """Inside the engine: a program is none of repeated steps."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """An operand from outside of a unit.

    Attributes
    ----------
    form : Form
        What it is.
    values : array of int
        By period, the number of the value of which it is a part.
    at : array of int
        By period, how many entries of that stand before it.
    """

    form: Form
    values: Any
    at: Any


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """A part of something from outside whose entries do not stand together: an input of the body, which is read before the period.

    Attributes
    ----------
    row : int
        The row that reads.
    value : int
        The body's value.
    source : Read
        Where the first entry stands.
    strides : tuple of int
        How many entries it is to the next one, by axis.
    """

    row: int
    value: int
    source: Read
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Many values of one form that are put together one after the other: an input of the body, which does no more.

    Attributes
    ----------
    value : int
        The body's value.
    source : Read
        What is put together; there the arrays go along the values, not along periods.
    """

    value: int
    source: Read


class Stored(NamedTuple):
    """What is written into an array in one period.

    Attributes
    ----------
    value : int
        The body's value: of the shape of the part, or a number.
    at : array of int
        By period, how many entries stand before the part.
    shape, strides : tuple of int
        Of the part.
    """

    value: int
    at: Any
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """An array of which every period writes parts, in place: nobody looks at it before the last period has written.

    Attributes
    ----------
    row : int
        The row that writes last.
    base : Read
        What the array is before the first period.
    parts : list of Stored
        What is written, one after the other.
    """

    row: int
    base: Read
    parts: list[Stored]


@dataclass(slots=True, eq=False)
class Unit:
    """Steps that are carried out ``count`` times.

    Attributes
    ----------
    start, period : int
        Of the list of rows, where they begin and how many one period has.
    count : int
        How often.
    body : Program
        One period; its inputs are the reads.
    reads : list of Read
        By input of the body.
    made : dict
        By row of the period, the body's value.
    checks : list
        By check of the body: by period, which of the program's it is.
    gathered, written : list
        What is read, and what is written, entry by entry.
    joined : Joined or None
        What is put together by a unit that does no more.
    """

    start: int
    period: int
    count: int
    body: Program
    reads: list[Read] = field(default_factory=list)
    made: dict[int, int] = field(default_factory=dict)
    checks: list[Any] = field(default_factory=list)
    gathered: list[Gathered] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    joined: Joined | None = None

    @property
    def taken(self) -> list[Read]:
        """All that is read from outside."""
        joined = [] if self.joined is None else [self.joined.source]
        return [*self.reads, *[w.base for w in self.written], *joined]


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """A program as units, one after the other.

    Values are numbered: first the constants, then the inputs, then the rows of the list.

    Attributes
    ----------
    units : list of Unit
        In order.
    constants : list
        Their values.
    first_input, first : int
        The numbers of the first input and of the first row.
    inputs : list of Form
        What the inputs are.
    outputs : list of Read
        Where the program's outputs are, as if they were read.
    """

    units: list[Unit]
    constants: list[Any]
    first_input: int
    first: int
    inputs: list[Form]
    outputs: list[Read]


class Part(NamedTuple):
    """Where the entries are that a basic index picks: how many stand before the first one, and how far it is to the next."""

    at: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def is_together(self) -> bool:
        """Whether they stand together in their order."""
        expected = 1
        for n, step in zip(self.shape[::-1], self.strides[::-1], strict=True):
            if n > 1:
                if step != expected:
                    return False
                expected *= n
        return True


class Numbering:
    """The values of a program by number: first the constants, then the inputs, then the rows of the list of its steps and checks.

    Attributes
    ----------
    program : Program
        The program.
    constants : list of int
        Its constants, in the order of their numbers.
    number : array of int
        By value of the program, its number; -1 where it has none.
    first_input, first : int
        The numbers of the first input and of the first row.
    root, at : array of int
        By number, the value of which it is a part, and how many entries of that stand before it.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.constants = list(program.constants)
        self.first_input = len(self.constants)
        self.first = self.first_input + program.inputs
        self.number = np.full(max(program.forms, default=-1) + 1, -1)
        self.number[self.constants] = np.arange(self.first_input)
        self.number[: program.inputs] = self.first_input + np.arange(program.inputs)
        self.root = np.arange(self.first)
        self.at = np.zeros(self.first, dtype=np.int64)
