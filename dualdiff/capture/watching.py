"""Whether an error that values cause is met while a function runs: it may catch it, and do something else where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from numpy.linalg import LinAlgError

from dualdiff.errors import HERE, is_installed

__all__ = ["watched"]

_OF_VALUES = (ArithmeticError, ValueError, RuntimeError, AssertionError, LinAlgError, Warning)
"""Others (a missing key, a missing attribute) hang on no number."""


@contextmanager
def watched(found: list[type[BaseException]]) -> Iterator[None]:
    """Note in a list which errors pass through code of the user's in this thread, caught or not."""

    def passing(_frame: FrameType, event: str, of: Any) -> Any:
        if event == "exception" and issubclass(of[0], _OF_VALUES):
            found.append(of[0])
        return passing

    def entered(frame: FrameType, _event: str, _of: Any) -> Any:
        name = frame.f_code.co_filename
        if name.startswith(HERE) or is_installed(name):
            return None
        frame.f_trace_lines = False
        return passing

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        yield
    finally:
        sys.settrace(before)
