"""Elementary functions: the kernels of compiled programs in a loop, beside NumPy's, SciPy's and, where it is installed, JAX's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

from dualdiff.compiled.kernels import KERNELS, usable
from dualdiff.lab.timing import interleaved_minima
from tests.compiled.kernel_loops import of_addresses, of_arrays
from tests.compiled.kernel_points import ARE_LONGER, drawn, errors, long_errors

try:
    import jax

    jax.config.update("jax_enable_x64", True)
except ImportError:
    jax = None

Row = dict[str, Any]

SIZES = 1000, 100_000


def _arguments(name: str, n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    uniform = [rng.uniform(0.1, 5.0, n), rng.uniform(-5.0, 5.0, n)]
    return uniform[: KERNELS[name].arguments]


def _of_jax(name: str, arrays: list[np.ndarray]) -> Callable[[], Any] | None:
    function = getattr(jax.numpy, name, None) or getattr(jax.scipy.special, name, None) if jax is not None else None
    if function is None:
        return None
    compiled, given = jax.jit(function), [jax.numpy.asarray(a) for a in arrays]
    return lambda: compiled(*given).block_until_ready()


def _errors(name: str, function: Callable[..., Any]) -> Row:
    """Return the largest errors found, in units of the last place, over the whole domain."""
    quick = ARE_LONGER and hasattr(np, name)
    arguments = drawn(name, 40_000 if quick else 2000)
    measure = long_errors if quick else errors
    with np.errstate(all="ignore"):
        theirs = function(*arguments)
    return {
        "kernel's error": np.nanmax(measure(name, arguments, of_arrays(name)(*arguments))),
        "numpy's": np.nanmax(measure(name, arguments, theirs)),
    }


def kernels() -> list[Row]:
    """Largest errors in units of the last place, and nanoseconds an element by arrays of 1000 and of 100,000 numbers."""
    if not usable():
        return []

    rows = []
    for name in KERNELS:
        loop = of_addresses(name)
        function = getattr(np, name, None) or getattr(scipy.special, name)
        row: Row = {"function": name, **_errors(name, function)}
        for n in SIZES:
            arrays = _arguments(name, n)
            results = np.empty(n)
            addresses = [a.ctypes.data for a in (*arrays, results)]
            calls: dict[str, Callable[[], Any]] = {
                "kernel": lambda loop=loop, addresses=addresses, n=n: loop(*addresses, n),
                "numpy": lambda function=function, arrays=arrays, results=results: function(*arrays, out=results),
            }
            of_jax = _of_jax(name, arrays)
            if of_jax is not None:
                calls["jax"] = of_jax
            for who, seconds in interleaved_minima(calls).items():
                row[f"{who}, ns at {n:g}"] = 1e9 * seconds / n
            row[f"numpy / kernel at {n:g}"] = row[f"numpy, ns at {n:g}"] / row[f"kernel, ns at {n:g}"]
        rows.append(row)
    return rows
