"""Every sample of every catalogue."""

from __future__ import annotations

import importlib
import pkgutil

import tests.catalogue
from tests.catalogue.base import Sample


def samples() -> list[Sample]:
    """Return the samples of all modules of this package, in the order of their names."""
    found: list[Sample] = []
    for module in sorted(pkgutil.iter_modules(tests.catalogue.__path__), key=lambda m: m.name):
        found += getattr(importlib.import_module(f"tests.catalogue.{module.name}"), "SAMPLES", [])
    return found
