"""Compiled programs as a method: the Jacobian recorded at the first call, and run as a program after that."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import dualdiff as dd
from dualdiff.errors import CompileWarning
from dualdiff.lab.catalogue.base import Method
from dualdiff.lab.subject import Subject

__all__ = ["of_programs"]

RECORDING = 20.0
"""Eager Jacobians that the first call takes the time of."""


@dataclass(frozen=True, kw_only=True)
class Compiled(Method):
    """The choice of `dualdiff.jacobian`, compiled. Its first call pays for the recording, and the later ones do not."""

    group: ClassVar[str] = "programs"

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        """Return the call; where the function cannot be run as a program it raises the warning, which says why."""
        program = dd.compile(dd.jacobian(subject.f, subject.argnums))
        recorded = False

        def call() -> Any:
            nonlocal recorded
            if recorded:
                return program(*subject.args)
            with warnings.catch_warnings():
                warnings.simplefilter("error", CompileWarning)
                found = program(*subject.args)
            recorded = True
            return found

        return call

    def seconds(self, subject: Subject) -> float | None:
        """Return about how long the recording takes."""
        plan = subject.plan
        return next((RECORDING * e.seconds for e in plan.ways if e.name == plan.chosen), None)


def of_programs() -> Iterator[Method]:
    """Yield the methods that record the Jacobian."""
    yield Compiled(name="compiled")
