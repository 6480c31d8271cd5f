"""What a function does besides returning a value, as far as it can be seen: it prints, or it opens a file."""

from __future__ import annotations

import builtins
import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["effects"]

_LOCK = threading.Lock()
_HEARD: dict[int, list[str]] = {}
"""By thread: what was seen."""


class _Output:
    """The standard output, and who writes there."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> Any:
        """Write, as the stream does."""
        _note("it prints, which a program would not do")
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Opening:
    """A function that opens files, and who calls it."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, file: Any, *args: Any, **kwargs: Any) -> Any:
        _note(
            f"it opens {str(file)!r}, whose content may change: read it before, and pass what was read as an argument"
        )
        return self.function(file, *args, **kwargs)


def _note(effect: str) -> None:
    heard = _HEARD.get(threading.get_ident())
    if heard is not None and effect not in heard:
        heard.append(effect)


def _openers() -> list[Any]:
    """Return the modules by whose ``open`` files are opened; NumPy's readers of texts have their own."""
    own = getattr(np.lib, "_datasource", None)
    return [m for m in (builtins, io, own) if hasattr(m, "open")]


@contextmanager
def effects() -> Iterator[list[str]]:
    """Look for effects of what this thread runs in the block: a list that is filled meanwhile.

    The standard output and ``open`` are replaced for as long as any thread looks, by what does the same and takes notes.
    """
    me = threading.get_ident()
    with _LOCK:
        outer = _HEARD.get(me)
        if not _HEARD:
            sys.stdout = _Output(sys.stdout)
            for module in _openers():
                module.open = _Opening(module.open)
        heard = _HEARD[me] = [] if outer is None else outer
    try:
        yield heard
    finally:
        with _LOCK:
            if outer is None:
                del _HEARD[me]
            if not _HEARD:
                if isinstance(sys.stdout, _Output):
                    sys.stdout = sys.stdout._stream
                for module in _openers():
                    if isinstance(module.open, _Opening):
                        module.open = module.open.function
