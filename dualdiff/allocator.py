"""Let the C library keep the memory that a tape frees, instead of giving it back each time.

A gradient of large arrays frees all its intermediate values at its end. The GNU C library then returns their
pages to the system, and the next gradient faults every one of them in again, which can cost more than the
arithmetic. So the first large tape asks the library to keep a bounded amount, unless somebody else has a say in how
this process allocates: the setting is the process's, not ours alone.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Lock
from typing import Any

from dualdiff.errors import InputError
from dualdiff.shapes import size_of

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LEAST = 128 * 2**10
"""Both thresholds as the GNU C library starts with them, in bytes."""
LARGEST_MMAP_THRESHOLD = 32 * 2**20
"""What it accepts on 64-bit systems."""
SWITCH = "DUALDIFF_KEEP_FREED_MEMORY"
"""The environment variable that, as 0, keeps the setting as it is unless `keep_freed_memory` is called."""
KEPT = 2**28
"""Bytes kept where nobody asked for another bound."""
LARGE = 2**20
"""Bytes of results from which on a tape counts as large: smaller ones come from pages that stay anyway."""
EVERY = 16
"""Of so many sweeps the first one's tape is weighed, so that small ones do not notice."""
OTHERS = ("malloc", "hoard", "asan")
"""What is found in the names of libraries that are preloaded to allocate otherwise (jemalloc, tcmalloc, mimalloc …)."""

TRIM = "MALLOC_TRIM_THRESHOLD_"
"""The variable with which Dask starts its workers."""

_lock = Lock()
guests = 0
"""Blocks of work for which freed memory is kept at the moment, in a process that otherwise gives it back."""
held: int | None = None
"""Bytes of freed memory that the C library was asked to keep; None where nobody asked."""
sweeps: Any = count()
"""Counts the sweeps until the setting is made or it is clear that it will not be; then None."""


def keep_freed_memory(most_bytes: int = 2**30) -> bool:
    """Ask the C library to keep up to a number of freed bytes for reuse by later arrays.

    Without this call the first tape that holds more than 1 MiB of results asks for 256 MiB, once in a process, and only
    where nobody else has a say: not on other systems than Linux with the GNU C library, not where the environment
    sets a ``MALLOC_…`` variable, a ``glibc.malloc`` entry of ``GLIBC_TUNABLES``, or
    ``DUALDIFF_KEEP_FREED_MEMORY=0``, and not where another allocator is loaded. A call decides in its place.

    Parameters
    ----------
    most_bytes : int
        How much freed memory the process may hold on to. With 0 what is held is given back, and from then on freed
        memory is given back at once (at the thresholds with which the library starts).

    Returns
    -------
    bool
        Whether the setting took effect: it is known to the GNU C library only, and on other systems nothing changes.

    Raises
    ------
    InputError
        If the number is negative.

    References
    ----------
    The GNU C Library manual, "Malloc Tunable Parameters" (``mallopt``).

    Examples
    --------
    >>> import dualdiff as dd
    >>> isinstance(dd.keep_freed_memory(), bool)
    True
    """
    if most_bytes < 0:
        raise InputError(f"most_bytes={most_bytes} must not be negative")
    global sweeps
    with _lock:
        sweeps = None
        return _set(most_bytes)


def state() -> str:
    """Return in words what becomes of freed memory: it moves the times of large arrays."""
    if held is None:
        return "the C library's, as it is"
    return f"up to {held / 2**20:.4g} MiB of freed memory kept" if held else "freed memory is given back at once"


def weigh(results: Iterable[Any], directions: int) -> None:
    """Ask the C library to keep freed memory if the results of a tape, swept in so many directions, are large."""
    global sweeps
    held = sum([v.dtype.itemsize * size_of(v.shape) for v in results if getattr(v, "shape", ())])
    if directions * held < LARGE:
        return
    with _lock:
        if sweeps is not None:
            sweeps = None
            if nobody_else_decides():
                _set(KEPT)


@contextmanager
def kept_meanwhile() -> Iterator[None]:
    """Let the C library keep freed memory while a large block of work is done in a worker.

    Where nobody else has a say it goes on to do so. Dask's workers are started with a threshold at which freed memory is given back
    at once; there it is, at the end of the block.
    """
    global guests
    with _lock:
        lent = held is None and not nobody_else_decides()
        if lent and nobody_else_decides(TRIM):
            guests += 1
            _set(KEPT, note=False)
        elif lent:
            lent = False
        elif held is None:
            _set(KEPT)
    try:
        yield
    finally:
        if lent:
            with _lock:
                guests -= 1
                if not guests:
                    _set(0, int(os.environ.get(TRIM, LEAST)), note=False)


def nobody_else_decides(but: str = "") -> bool:
    """Whether the C library is the GNU one, allocates for this process, and was not told by the environment how.

    ``but`` is a variable of the environment that does not count.
    """
    switched_off = os.environ.get(SWITCH, "").strip().lower() in ("0", "no", "off", "false")
    tuned = any(name.startswith("MALLOC_") and name != but for name in os.environ)
    tuned = tuned or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    preloaded = any(name in os.environ.get("LD_PRELOAD", "").lower() for name in OTHERS)
    return not (switched_off or tuned or preloaded) and _library_of("malloc").startswith("libc.")


class _Symbol(ctypes.Structure):
    """What the dynamic linker knows about an address (``Dl_info``)."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def _library_of(function: str) -> str:
    """Return the file name of the library whose function of this name the process calls; empty if it is not known."""
    if not _is_gnu():
        return ""
    found = _Symbol()
    try:
        process = ctypes.CDLL(None)
        process.dladdr(ctypes.cast(getattr(process, function), ctypes.c_void_p), ctypes.byref(found))
    except (AttributeError, OSError):  # a linker that cannot be asked
        return ""
    return os.path.basename(os.fsdecode(found.file or b""))


def _is_gnu() -> bool:
    """Whether the C library is the GNU one."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError):  # other C libraries do not know the question
        return False


def _set(most_bytes: int, least: int = LEAST, note: bool = True) -> bool:
    """Set both thresholds; return whether the C library took them."""
    if not _is_gnu():
        return False
    process = ctypes.CDLL(None)
    keep = min(max(most_bytes, LEAST), 2**31 - 1)
    # Arrays beyond the first threshold are mapped one by one and unmapped when freed.
    taken = process.mallopt(M_MMAP_THRESHOLD, min(keep, LARGEST_MMAP_THRESHOLD))
    taken = process.mallopt(M_TRIM_THRESHOLD, keep if most_bytes else least) and taken
    if not most_bytes:
        process.malloc_trim(0)
    if taken and note:
        global held
        held = most_bytes
    return bool(taken)
