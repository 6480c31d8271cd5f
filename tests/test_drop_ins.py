"""Every drop-in of SciPy's rooms, with every option that SciPy has: right, or refused by name."""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from typing import Any

import numpy as np
import pytest

import tests.catalogue.rooms
from dualdiff.errors import DerivativeError, UnsupportedFunctionError
from dualdiff.scipy.room import OPEN
from dualdiff.shapes import dtype_of
from dualdiff.testing import LAWS, Subject
from dualdiff.testing.laws import inner, same, same_all
from dualdiff.testing.verdict import demand
from dualdiff.values import ROOMS
from tests.catalogue.rooms.base import Call, DropIn
from tests.test_laws import DRAWS, named, steps_may_leave_the_domain

for _rooms in ROOMS.values():
    for _room in _rooms:
        importlib.import_module(_room)
DROP_INS: list[DropIn] = [
    d
    for m in pkgutil.iter_modules(tests.catalogue.rooms.__path__)
    if m.name != "base"
    for d in importlib.import_module(f"tests.catalogue.rooms.{m.name}").DROP_INS
]


def hold(call: Call) -> None:
    """Hold a call to SciPy's value, the adjoint of its derivative, and a difference."""
    s, rng = Subject(call.call, call.operands), np.random.default_rng(1)
    expected = s.plain()
    assert expected, "nothing to differentiate in the result"
    v = s.direction(rng)
    values, jv = s.push(v)
    coarse = np.float32 if any(dtype_of(y).char in "fF" for y in expected) else np.float64
    same_all("values", values, expected, factor=call.noise, coarse=coarse)
    assert [_standing(y) for y in values] == [_standing(y) for y in expected]
    w = s.covector(rng, values)
    values, jw = s.pull(w)
    same_all("values (reverse mode)", values, expected, factor=call.noise, coarse=coarse)
    (left, a), (right, b) = inner(w, jv), inner(jw, v)
    same("⟨w, Jv⟩ = ⟨Jᵀw, v⟩", left, right, scale=a + b + 1e-3, factor=call.noise, coarse=coarse)
    h = 1e-5
    plain = s if call.twin is None else Subject(call.twin, call.operands)
    ahead, behind = (plain.plain([x + step * t for x, t in zip(s.inputs, v, strict=True)]) for step in (h, -h))
    slopes = [(y - z) / (2 * h) for y, z in zip(ahead, behind, strict=True)]
    scale = 1 + max(float(np.max(np.abs(d), initial=0.0)) for d in slopes)
    if not all(np.allclose(d, e, rtol=1e-4, atol=1e-5 * scale) for d, e in zip(jv, slopes, strict=True)):
        truth = plain.truth(v)
        for n, d in enumerate(jv):
            demand(f"derivative of output {n}", d, truth, n)


def _standing(y: Any) -> Any:
    return isinstance(y, np.ndarray), dtype_of(y)


def tried(call: Call) -> str | None:
    """Hold a call, or return how it is refused."""
    with steps_may_leave_the_domain(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            hold(call)
        except UnsupportedFunctionError as error:
            return str(error)
    return None


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda d: d.name)
def test_it(drop_in):
    bad = []
    for call in drop_in.calls():
        try:
            r = tried(call)
            if r is not None:
                open("/tmp/h/laws/refused.txt", "a").write(f"REFUSED {call.name}: {str(r)[:200]}\n")
                if call.option is None:
                    bad.append((call.name, r))
        except Exception as e:
            bad.append((call.name, f"{type(e).__name__}: {str(e)[:300]}"))
    missing = [p for p in drop_in.parameters() if p not in drop_in.options]
    if bad or missing:
        open("/tmp/h/laws/bad.txt", "a").write("\n".join(map(str, bad)) + f"\nMISSING {missing} {drop_in.name}\n")
    assert not bad and not missing
