"""A loop over a kernel, and the call of it with arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from dualdiff.compiled import kernels, llvm


def looped(name: str, attributes: str = "") -> str:
    """Return a module whose function "loop" writes a kernel's values for all numbers of arrays."""
    given = range(kernels.KERNELS[name].arguments)
    return f"""{kernels.defined([(name, 1)])}
define void @loop({", ".join(f"ptr noalias %a{i}" for i in given)}, ptr noalias %results, i64 %n) {attributes} {{
start:
  br label %body
body:
  %i = phi i64 [0, %start], [%next, %body]
{"".join(f"  %p{i} = getelementptr double, ptr %a{i}, i64 %i{chr(10)}  %x{i} = load double, ptr %p{i}{chr(10)}" for i in given)}
  %all = call [1 x double] @dd.{name}.1({", ".join(f"double %x{i}" for i in given)})
  %y = extractvalue [1 x double] %all, 0
  %p = getelementptr double, ptr %results, i64 %i
  store double %y, ptr %p
  %next = add i64 %i, 1
  %done = icmp eq i64 %next, %n
  br i1 %done, label %end, label %body
end:
  ret void
}}
"""


def of_addresses(name: str, attributes: str = "", passes: bool = True) -> Callable[..., None]:
    """Return the loop as a function of the addresses of arrays, of that of the results, and of how many there are."""
    machine = llvm.assembled(looped(name, attributes), effort=3, passes=passes)
    pointers = [ctypes.c_void_p] * (kernels.KERNELS[name].arguments + 1)
    loop = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64)(machine.address("loop"))
    loop.machine = machine  # type: ignore[attr-defined]  # which lives as long as the function does
    return loop


def of_arrays(name: str, attributes: str = "", passes: bool = True) -> Callable[..., np.ndarray]:
    """Return the loop as a function of arrays of one length."""
    loop = of_addresses(name, attributes, passes)

    def values(*arrays: np.ndarray) -> np.ndarray:
        results = np.empty_like(arrays[0])
        loop(*[a.ctypes.data for a in (*arrays, results)], results.size)
        return results

    return values
