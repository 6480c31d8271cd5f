"""Vertex elimination in every order that has a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from dualdiff.lab.catalogue.base import Method, Work
from dualdiff.lab.subject import Subject
from dualdiff.passes.elimination import ORDERS, counts, eliminated
from dualdiff.passes.multiplications import Multiplications
from dualdiff.ways import Options
from dualdiff.ways.decisions import recorded

__all__ = ["of_orders"]

EDGE = 1e-4
"""Seconds that an edge of the linearised graph takes, about, to be written out and eliminated."""


@dataclass(frozen=True, kw_only=True)
class ByOrder(Method):
    """Vertex elimination in an order, which is found anew each time."""

    order: str
    group: ClassVar[str] = "orders"

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        shapes = [v.shape for v in subject.values]
        return lambda: eliminated(recorded(subject.problem(), Options()).tape, self.order, shapes)

    def seconds(self, subject: Subject) -> float | None:
        """Return about how many seconds it takes: counting would take a good part of them itself."""
        return EDGE * subject.edges

    def work(self, subject: Subject) -> Work:
        """Return the exact counts of the order."""
        found = counts(subject.graph, self.order)
        return Work(
            evaluations=1,
            multiplications=Multiplications(found.multiplications, exact=True, additions=found.updates),
            nonlinear=subject.nonlinear,
            tape=subject.program.bytes,
        )


def of_orders() -> Iterator[Method]:
    """Yield a method for every order that has a name."""
    for order in ORDERS:
        yield ByOrder(name=f"elimination, {order}", order=order)
