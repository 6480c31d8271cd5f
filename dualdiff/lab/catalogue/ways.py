"""The ways of the register as methods, dense and sparse, whole and in chunks, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import dualdiff as dd
from dualdiff.errors import InputError
from dualdiff.lab.catalogue.base import EXACT, THIRD, Method, Work
from dualdiff.lab.subject import Subject
from dualdiff.ways import WAYS, Options, Way
from dualdiff.ways.choice import bytes_of, fitted, price

__all__ = ["of_ways"]

CHUNK = 16
"""Directions at once of the ways in chunks."""


@dataclass(frozen=True, kw_only=True)
class Auto(Method):
    """The choice of `dualdiff.jacobian` itself."""

    sparse: bool = False
    group: ClassVar[str] = "ways"

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        return partial(dd.jacobian(subject.f, subject.argnums, sparse=self.sparse), *subject.args)

    def work(self, subject: Subject) -> Work:
        plan = subject.sparse_plan if self.sparse else subject.plan
        found = next(e.way for e in plan.ways if e.name == plan.chosen)
        return _work_of(found, subject, Options(sparse=self.sparse))

    def applies(self, subject: Subject) -> bool:
        return not self.sparse or _is_sparse(subject)


@dataclass(frozen=True, kw_only=True)
class ByWay(Method):
    """A way of the register, asked for by its options."""

    way: type[Way]
    kind: str = "dense"
    chunk: int | None = None
    group: ClassVar[str] = "ways"

    @property
    def _options(self) -> dict[str, Any]:
        return {**self.way.options(self.kind), **({"chunk": self.chunk} if self.chunk else {})}

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        given = self._options
        if not self.way.plain:
            options = Options(**given)
            if self.way.at(subject.program, options) is None:
                raise InputError(self.way.missing(options))
        return partial(dd.jacobian(subject.f, subject.argnums, **given), *subject.args)

    def work(self, subject: Subject) -> Work:
        options = Options(**self._options)
        way = self.way.at(subject.program, options)
        if way is None:
            raise InputError(self.way.missing(options))
        return _work_of(fitted(subject.program, way, options) or way, subject, options)

    def applies(self, subject: Subject) -> bool:
        if self.way.plain:
            return True
        if self.kind != "dense" and not _is_sparse(subject):
            return False
        way = self.way.at(subject.program, Options(**self._options))
        return way is not None and (self.chunk is None or way.directions > self.chunk)


def _is_sparse(subject: Subject) -> bool:
    """Whether a Jacobian has zeros that a sparse one would leave out."""
    return 0 < subject.program.pattern.nnz < subject.m * subject.n


def _work_of(way: Way, subject: Subject, options: Options) -> Work:
    program = subject.program
    return Work(
        passes=way.sweeps or None,
        evaluations=way.evaluations,
        multiplications=way.multiplications(program),
        nonlinear=way.evaluations * subject.nonlinear,
        tape=program.bytes if way.recorded or way.replayed else None,
        predicted=bytes_of(program, way),
        seconds=price(program, way, replace(options, cost=None)),
    )


def of_ways() -> Iterator[Method]:
    """Yield a method for every way that is registered now, and for the choice between them."""
    yield Auto(name="auto")
    yield Auto(name="auto, sparse", sparse=True)
    for way in WAYS:
        # Ways to symmetric matrices alone are for Hessians.
        kind = next((k for k in ("dense", "sparse") if k in way.asked), None)
        if kind is None:
            continue
        tolerance = EXACT if way.exact else THIRD
        yield ByWay(name=way.name, way=way, kind=kind, exact=not way.plain, tolerance=tolerance)
        if way.divisible and kind == "dense":
            yield ByWay(name=f"{way.name}, {CHUNK} at once", way=way, kind=kind, chunk=CHUNK)
