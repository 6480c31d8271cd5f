"""The page of the documentation that says what is supported: ``python -m dualdiff.rules.support`` prints it."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import scipy

from dualdiff.rules.supported import DIFFERENTIATED, MEANING, NO, YES, Support, support

HEAD = """# What is supported

Printed from the register by `python -m dualdiff.rules.support`; NumPy {version}, SciPy {scipy}. `dd.support()` returns the same,
`dd.support("np.linalg.eigh")` what holds for one function.

Every function NumPy lets a library override is here, every ufunc of NumPy and of `scipy.special`, the functions that
`scipy.special` writes in Python (`logsumexp`, `lambertw`, `polygamma` …), the transforms of `scipy.fft`, products with
`scipy.sparse` matrices, and SciPy's solvers. What no rule covers raises when it meets a differentiated value, and names the
function and your line: nothing falls through. `ndarray` methods, operators and `ufunc` methods (`np.add.reduce`,
`np.multiply.outer`, `np.add.at` …) stand on the same rules. The functions and classes of `numpy.polynomial` are
plain Python over these, which capture differentiates, their `fit` and `roots` included.

## Differentiated

In forward and reverse mode, to second and every higher order, at real and at complex points: all functions of the table but for
what the marks say.

- ʳ at real points only: NumPy or SciPy, or the rule, refuses complex ones by name;
- ᵖ at complex points {phases}: their vectors are defined up to one;
- ¹ once only: the derivative itself has no derivative of a closed form;
- ᵏ has kinks or ties, at which a convention holds: see [below](#kinks-and-ties);
- ᵃ has arguments by which there is no derivative: see [below](#arguments-without-a-derivative).
"""


def _marked(s: Support) -> str:
    marks = "" if s.complex == YES or not s.forward else "ʳ" if s.complex == NO else "ᵖ"
    if s.forward:
        marks += ("" if s.second else "¹") + ("ᵏ" if s.kinks else "") + ("ᵃ" if s.without else "")
    return f"`{s.name}`{marks}"


def _listed(these: Iterable[Support]) -> str:
    return ", ".join(map(_marked, these))


def _short(library: Any) -> str:
    return ".".join(library.__version__.split(".")[:2])


def _library(name: str) -> str:
    first, second, *_ = f"{name}.".split(".")
    return "NumPy" if first in ("np", "numpy") else f"`{first}.{second.partition(':')[0]}`"


def table() -> str:
    """Return the page as Markdown."""
    all_of_them = support()
    by_kind: dict[str, list[Support]] = defaultdict(list)
    for s in all_of_them:
        by_kind[s.kind].append(s)
    phases = next(s.complex for s in all_of_them if s.forward and s.complex not in (YES, NO))
    parts = [HEAD.format(version=_short(np), scipy=_short(scipy), phases=phases)]
    parts += ["| kind | of | functions |", "|---|---|---|"]
    for kind in DIFFERENTIATED:
        told = f"**{kind}**: {MEANING[kind]}"
        libraries = Counter(_library(s.name) for s in by_kind[kind])
        for library in sorted(libraries, key=str.lower):
            parts.append(f"| {told} | {library} | {_listed(s for s in by_kind[kind] if _library(s.name) == library)} |")
            told = ""
    parts += ["\n### Kinks and ties\n", "| functions | taken for the derivative there |", "|---|---|"]
    parts += _grouped(all_of_them, lambda s: s.kinks)
    parts += [
        "\n### Arguments without a derivative\n",
        "An argument that is being differentiated is refused by its name.\n",
    ]
    parts += ["| why | arguments |", "|---|---|"]
    by_why: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for s in all_of_them:
        for argument, why in s.without:
            by_why[why.replace(s.name, "f")][s.name].append(argument)
    for why, arguments in sorted(by_why.items()):
        parts.append(f"| {why} | " + ", ".join(f"`{n}`: {', '.join(a)}" for n, a in arguments.items()) + " |")
    parts += ["\n## Without derivative\n", f"{MEANING['discrete'].capitalize()}.\n"]
    parts += [", ".join(f"`{s.name}`" for s in by_kind["discrete"]) + "."]
    parts += ["\n## Refused\n", "| functions | why, and what instead |", "|---|---|"]
    parts += _grouped(by_kind["refused"], lambda s: s.instead)
    return "\n".join(parts) + "\n"


def _grouped(these: Iterable[Support], by: Callable[[Support], str]) -> list[str]:
    """Return a row for each fact that some functions share."""
    found: dict[str, list[str]] = defaultdict(list)
    for s in these:
        if by(s):
            found[by(s)].append(f"`{s.name}`")
    return [f"| {', '.join(names)} | {fact} |" for fact, names in sorted(found.items(), key=lambda item: item[1])]


if __name__ == "__main__":
    sys.stdout.write(table())
