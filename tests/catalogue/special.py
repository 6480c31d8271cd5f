"""Samples of SciPy's special functions: one per row of their tables and shape, drawn from the row's own domains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy import special

from dualdiff.register import REGISTER, Entry
from dualdiff.rules.ufuncs import special_functions
from tests.catalogue.base import DOMAINS, Sample, arrays

special_functions()

#: what stands for an argument that no derivative is taken by
CONSTANTS: dict[str, Any] = {"parameter": 1.5, "order": 2, "number": 6, "branch": 0, "tolerance": 1e-8, "value": 6.5}
#: by function, where those do not serve: the argument's place and its value
OTHERS: dict[str, dict[int, Any]] = {
    "mathieu_modcem2": {0: 1},
    "eval_sh_jacobi": {1: 2.5, 2: 1.5},
    "pro_ang1": {0: 1},
    "pro_rad1": {0: 1},
    "pro_rad2": {0: 1},
    "obl_ang1": {0: 1},
    "obl_rad1": {0: 1},
    "obl_rad2": {0: 1},
}
#: holomorphic, and taken at complex points too
COMPLEX: set[str] = set()


def names() -> list[str]:
    return [n for n in (*special.__all__, *vars(special._ufuncs)) if isinstance(find(n), np.ufunc)]


def find(name: str) -> Any:
    return getattr(special._ufuncs if name.startswith("_") else special, name, None)


def called(ufunc: Any, name: str, domains: tuple[str, ...], spread: bool) -> Callable[..., Any]:
    """Return the function of those operands that have a domain of numbers; arrays of parameters broadcast, if ``spread``."""
    constants = {k: OTHERS.get(name, {}).get(k, CONSTANTS[d]) for k, d in enumerate(domains) if d in CONSTANTS}
    if spread:
        constants = {k: np.array([[c], [c]]) for k, c in constants.items()}

    def call(*operands: Any) -> Any:
        given = iter(operands)
        return ufunc(*[constants[k] if k in constants else next(given) for k in range(len(domains))])

    return call


def of_row(name: str, entry: Entry) -> list[Sample]:
    domains = entry.domain if type(entry.domain) is tuple else (entry.domain,)
    drawn = [d for d in domains if d in DOMAINS]
    found = []
    for shape in ((), (3,), (2, 3)):
        spread = shape == (2, 3) and len(drawn) < len(domains)
        shapes = [shape] + [shape[1:]] * (len(drawn) - 1)  # the first operand is broadcast against the others
        found.append(
            Sample(
                f"special.{name} {shape}",
                entry.function,
                called(entry.function, name, domains, spread),
                st.tuples(*[arrays(s, d) for s, d in zip(shapes, drawn, strict=True)]),
                float32=not spread,
                duck=not spread,
                complex=name in COMPLEX,
            )
        )
    return found


SAMPLES: list[Sample] = []
_seen: set[int] = set()
for _name in sorted(set(names())):
    _entry = REGISTER.get(find(_name))
    if _entry is not None and _entry.status in ("elementwise", "composite") and id(_entry.function) not in _seen:
        _seen.add(id(_entry.function))
        SAMPLES += of_row(_name, _entry)
