"""Methods of one's own: any function from a function and its arguments to a Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from dualdiff.lab.catalogue.base import Method
from dualdiff.lab.subject import Subject
from dualdiff.lab.verification import verify

__all__ = ["Given"]


@dataclass(frozen=True, kw_only=True)
class Given(Method):
    """A function ``(f, *args) -> J``.

    Attributes
    ----------
    call : callable
        The Jacobian may be an array (m, n) or of shape ``f(x).shape + x.shape``, sparse, or nested as `dualdiff.jacobian`
        returns it.
    on : tuple of Case or None
        Problems on which it must be right before it is timed; None where it was not registered.
    """

    call: Callable[..., Any]
    on: tuple[Any, ...] | None = None
    group: ClassVar[str] = "own"

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        """Return the call, after it was held against the known Jacobians."""
        if self.on is not None:
            verify(self.call, self.on, name=self.name, tolerance=self.tolerance)
        f, args = subject.differentiated
        return partial(self.call, f, *args)
