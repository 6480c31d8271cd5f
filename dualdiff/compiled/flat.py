"""Programs as flat Python code: the first tier, which needs nothing but NumPy, and which the others are held against.

A small program of double precision becomes operations on Python's floats; any other one calls NumPy's functions, with ``out=``
where a buffer is at hand. What a program returns nobody else holds, and its buffers serve one call at a time.
"""

from __future__ import annotations

from dualdiff.compiled.arrays import of_arrays
from dualdiff.compiled.numbers import ChangedError, Flat, by_numbers, of_scalars
from dualdiff.passes.program import Program
from dualdiff.passes.scalars import NotScalarError, expanded

__all__ = ["ChangedError", "Flat", "flat"]

STEP = 0.7
"""Microseconds of a call of NumPy with arrays."""


def flat(program: Program, arrays: bool = False) -> Flat:
    """Write a program as Python code: of scalars where that is estimated to be faster, unless arrays are asked for.

    Python's own functions raise where NumPy's return what is no number.
    """
    if arrays:
        return of_arrays(program, STEP)
    try:
        scalars = expanded(program)
    except NotScalarError:
        return of_arrays(program, STEP)
    if by_numbers(scalars) <= STEP * len(program.steps):
        return of_scalars(program, scalars)
    return of_arrays(program, STEP)
