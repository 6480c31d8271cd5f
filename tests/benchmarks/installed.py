"""The peers that are installed, set up for a comparison: double precision, one thread."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")


@cache
def installed(name: str) -> Any:
    """Return a module ready for use, or None if it is not there."""
    try:
        module = import_module(name)
    except ImportError:
        return None
    if name == "jax":
        module.config.update("jax_enable_x64", True)
    if name == "torch":
        module.set_num_threads(1)
    if name == "casadi" and hasattr(module.GlobalOptions, "setNumpyMode"):
        module.GlobalOptions.setNumpyMode(-1)  # as it always was, without its notice
    if name == "autograd":
        import_module("autograd.numpy")
    return module
