"""Capture: a function's own modules speak with traced values for the length of a call, so that its code need not change.

``np.zeros(n)`` filled entry by entry, ``np.asarray(x)``, ``math.sin(t)`` and ``float(t)`` are how code is written, and none of them
asks the value it is given. So where a traced value stumbles into one, the stumble is noted with the module it stood in, and
the function is run again with that module *captured*: its names for NumPy, ``math`` and what they make are bound to
stand-ins, and given back afterwards. What was captured is remembered for the function.
"""

from dualdiff.capture.captures import Captured, Captures, RunAgain, asked, capture, captured_runs, captures_of
from dualdiff.capture.names import drop_in, in_place_of

__all__ = [
    "Captured",
    "Captures",
    "RunAgain",
    "asked",
    "capture",
    "captured_runs",
    "captures_of",
    "drop_in",
    "in_place_of",
]
