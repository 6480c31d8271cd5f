"""Other thresholds between the forms of tangents, wherever the library has taken them to."""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from dualdiff import tangents

ALWAYS_TERMS: dict[str, Any] = {"DENSE": 0, "is_worth_an_array": lambda *_: False, "is_few": lambda *_: True}
"""Under these the tangents of small arrays are terms as well, as otherwise those of large ones alone are."""


def thresholds(patch: pytest.MonkeyPatch, **values: Any) -> None:
    """Set constants and decisions of ``dualdiff.tangents``, in every module that imported them by name."""
    for name, value in values.items():
        if not hasattr(tangents, name):
            raise AttributeError(f"dualdiff.tangents has no threshold {name!r}")
        for module in _holders(name, len(sys.modules)):
            if vars(module)[name] == getattr(tangents, name):
                patch.setattr(module, name, value)
        patch.setattr(tangents, name, value)


@cache
def _holders(name: str, _loaded: int) -> list[ModuleType]:
    """Return the modules that have a name of ``dualdiff.tangents``, among so many that are loaded."""
    found = [m for n, m in sys.modules.items() if n.startswith("dualdiff.")]
    return [m for m in found if name in vars(m) and m is not tangents]
