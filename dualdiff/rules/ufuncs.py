"""The ufunc door when more than a plain call is asked: out=, where=, reduce, accumulate, outer."""

from __future__ import annotations

from typing import Any

from dualdiff.errors import TracedAssignmentError, UnsupportedFunctionError, where
from dualdiff.primitive import REGISTER, Traced, name_of


def call(ufunc: Any, method: str, inputs: Any, kwargs: dict[str, Any]) -> Any:
    """Serve one ufunc call that is not of the simplest form."""
    entry = REGISTER.get(ufunc)
    if entry is None or entry.handler is None:
        raise UnsupportedFunctionError(f"{where()}: {name_of(ufunc)} is not yet in dualdiff's vocabulary.")
    raise UnsupportedFunctionError(f"{where()}: {name_of(ufunc)}.{method} with {sorted(kwargs)} is not yet in dualdiff's vocabulary.")


__all__ = ["TracedAssignmentError", "Traced", "call"]
