"""Every sample of every catalogue."""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any

from hypothesis import Phase, given, settings

import tests.catalogue
from dualdiff.rules.supported import YES, support
from tests.catalogue.base import Sample, without_tiny


@lru_cache(maxsize=1)
def samples() -> list[Sample]:
    """Return the samples of all modules of this package, in the order of their names."""
    found: list[Sample] = []
    for module in sorted(pkgutil.iter_modules(tests.catalogue.__path__), key=lambda m: m.name):
        found += getattr(importlib.import_module(f"tests.catalogue.{module.name}"), "SAMPLES", [])
    return found


def of_function() -> dict[Any, list[Sample]]:
    """Return the samples of each function."""
    found: dict[Any, list[Sample]] = defaultdict(list)
    for s in samples():
        found[s.function].append(s)
    return found


def some_of_each(count: int, among: Iterable[Sample] | None = None) -> list[Sample]:
    """Return so many samples of each function, of all or of some of them; and all those that are of none."""
    found: dict[Any, list[Sample]] = defaultdict(list)
    for s in samples() if among is None else among:
        found[s.function].append(s)
    return [s for function, these in found.items() for s in (these if function is None else these[:count])]


def grouped(found: Iterable[Sample], most: int = 6) -> dict[str, list[Sample]]:
    """Return samples in groups, each of one function and of so many at most: what they have in common is done once for a group."""
    of: dict[Any, list[Sample]] = defaultdict(list)
    for s in found:
        of[s.function or s.name].append(s)
    parts = [these[k : k + most] for these in of.values() for k in range(0, len(these), most)]
    return {part[0].name: part for part in parts}


def in_turn(found: Sequence[Sample], most: int = 6) -> dict[str, list[Sample]]:
    """Return samples in groups of so many that follow one another: a test of its own for each costs more than most of them do."""
    return {f"{found[k].name} ...": list(found[k : k + most]) for k in range(0, len(found), most)}


@lru_cache(maxsize=1)
def at_complex_points() -> list[Sample]:
    """Return the samples that are differentiated at complex points: those that say so, and all of the rows that have none."""
    found = []
    for function, these in of_function().items():
        if any(s.complex for s in these):
            found += [s for s in these if s.complex]
        elif function is not None and support(function).complex == YES:
            found += [s for s in these if s.complex is None]
    return found


@cache
def point_of(sample: Sample) -> tuple[Any, ...]:
    """Return a point of a sample, the same in every run."""
    drawn: list[Any] = []

    @settings(max_examples=2, phases=(Phase.generate,), database=None, derandomize=True, deadline=None)
    @given(sample.operands)
    def draw(operands: tuple[Any, ...]) -> None:
        drawn.append(operands)

    draw()
    return drawn[-1]  # the first one is zeros


def complex_points(sample: Sample, real: tuple[Any, ...], imaginary: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a complex point of a sample, of two real ones."""
    if not sample.tiny:
        real, imaginary = (tuple([without_tiny(x) for x in part]) for part in (real, imaginary))
    places = sample.complex if type(sample.complex) is tuple else range(len(real))
    return tuple([x + 0.5j * y if k in places else x for k, (x, y) in enumerate(zip(real, imaginary, strict=True))])
