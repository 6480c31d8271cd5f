"""The support table of the documentation, printed from the register: ``python -m dualdiff.rules.support``."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy

from dualdiff.register import REGISTER, Entry
from dualdiff.rules.ufuncs import special_functions

HEAD = """# What is supported

Printed from the register by `python -m dualdiff.rules.support`; NumPy {version}, SciPy {scipy}.

Every function NumPy lets a library override is here, every ufunc of NumPy and of `scipy.special`, and the functions that
`scipy.special` writes in Python (`logsumexp`, `lambertw`, `polygamma` …). The ones of the first table are
differentiated in both modes, to any order. By a parameter of which no closed form is known (the order of a Bessel function,
the shape of an incomplete gamma function) a special function is refused, by the argument's name. What no rule covers raises
when it meets a differentiated value, and names the function and your line: nothing falls through. `ndarray` methods, operators
and `ufunc` methods (`np.add.reduce`, `np.multiply.outer`, `np.add.at` …) stand on the same rules. So do the transforms of
`scipy.fft`, cosine, sine and Hankel ones included: SciPy asks for them. The functions and classes of `numpy.polynomial` are
plain Python over these; their `fit` and `roots` need numbers, and `np.polyfit` and `np.roots` do not.
"""

MEANING = {
    "elementwise": "entry by entry, with broadcasting; a partial derivative per operand",
    "movement": "entries are moved, repeated or dropped",
    "linear": "linear in its operand",
    "multilinear": "linear in each operand",
    "general": "with a derivative of its own",
    "composite": "written in functions of this table",
    "discrete": "integer, boolean or locally constant results, or results that no argument's value enters: no derivative",
}


def _names(entries: Iterable[Entry]) -> str:
    return ", ".join(f"`{n}`" for n in sorted({e.name for e in entries if "._" not in e.name}))


def _short(library: Any) -> str:
    return ".".join(library.__version__.split(".")[:2])


def table() -> str:
    """Return the table as Markdown."""
    special_functions()
    by_status: dict[str, list[Entry]] = defaultdict(list)
    by_reason: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in REGISTER.values():
        by_status[entry.status].append(entry)
        by_reason[entry.status, entry.reason].append(entry)
    parts = [HEAD.format(version=_short(np), scipy=_short(scipy)), "## Differentiated\n"]
    parts += ["| kind | functions |", "|---|---|"]
    parts += [f"| **{k}**: {m} | {_names(by_status[k])} |" for k, m in MEANING.items() if k != "discrete"]
    parts += [
        "\n## Without derivative\n",
        f"{MEANING['discrete'].capitalize()}.\n",
        _names(by_status["discrete"]) + ".",
    ]
    parts += ["\n## Refused\n", "| functions | why, and what instead |", "|---|---|"]
    parts += sorted(f"| {_names(es)} | {reason} |" for (s, reason), es in by_reason.items() if s == "refused")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
