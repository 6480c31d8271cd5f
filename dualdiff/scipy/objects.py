"""Objects that stand for objects of SciPy's: of the same class to ``isinstance``, with attributes that may carry derivatives."""

from __future__ import annotations

from typing import Any, ClassVar

from dualdiff.errors import UnsupportedFunctionError, where


class Standing:
    """What stands for an object that SciPy made of plain numbers.

    Attributes
    ----------
    without : dict
        For attributes that are not differentiated, what to write instead.
    """

    without: ClassVar[dict[str, str]] = {}

    def __init__(self, real: Any) -> None:
        self._real = real

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._real)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self.without:
            raise UnsupportedFunctionError(
                f"{where()}: {type(self._real).__name__}.{name} is not differentiated. {self.without[name]}"
            )
        return getattr(self._real, name)


__all__ = ["Standing"]
