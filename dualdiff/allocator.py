"""An explicit option: let the C library keep the memory that a tape frees, instead of giving it back each time.

A gradient of large arrays frees all its intermediate values at its end. The GNU C library then returns their
pages to the system, and the next gradient faults every one of them in again, which can cost more than the
arithmetic. The setting belongs to the process, so it is never changed unasked.
"""

from __future__ import annotations

import ctypes
import sys

from dualdiff.errors import InputError

M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # what the GNU C library accepts on 64-bit systems


def keep_freed_memory(most_bytes: int = 2**30) -> bool:
    """Ask the C library to keep up to a number of freed bytes for reuse by later arrays.

    Parameters
    ----------
    most_bytes : int
        How much freed memory the process may hold on to.

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
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    keep = min(most_bytes, 2**31 - 1)
    return bool(mallopt(M_MMAP_THRESHOLD, min(keep, LARGEST_MMAP_THRESHOLD)) and mallopt(M_TRIM_THRESHOLD, keep))
