"""Every drop-in of SciPy's rooms, with every option that SciPy has: right, or refused by name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import warnings
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
import tests.catalogue.rooms
from dualdiff.errors import UnsupportedFunctionError
from dualdiff.scipy.room import OPEN
from dualdiff.shapes import dtype_of
from dualdiff.testing import LAWS, Subject
from dualdiff.testing.laws import inner, same, same_all
from dualdiff.testing.verdict import demand
from dualdiff.values import ROOMS
from tests.catalogue.rooms.base import Call, DropIn
from tests.test_laws import DRAWS, QUICK, named, steps_may_leave_the_domain
from tests.versions import SCIPY

for _rooms in ROOMS.values():
    for _room in _rooms:
        importlib.import_module(_room)
DROP_INS: list[DropIn] = [
    d
    for m in pkgutil.iter_modules(tests.catalogue.rooms.__path__)
    if m.name != "base"
    for d in importlib.import_module(f"tests.catalogue.rooms.{m.name}").DROP_INS
]


PLAIN = [d for d in DROP_INS if d.exact]
_FITPACK = "curves and surfaces of FITPACK: held in tests/scipy/test_interpolate.py"
_HULLS = "hulls and neighbours, classes of compiled code: held in tests/scipy/test_spatial.py"
WITHOUT = {
    "scipy.sparse": "matrices, their methods and solvers: held in tests/scipy/test_sparse.py",
    "scipy.spatial.transform": "rotations, of a class's methods: held in tests/scipy/test_spatial.py",
    "scipy.stats": "methods of distributions: held in tests/scipy/test_stats.py",
    "scipy.integrate.solve_": "differential equations: held in tests/scipy/test_initial_values.py and test_boundary_values.py",
    "scipy.integrate.odeint": "solve_ivp's other face: held in tests/scipy/test_initial_values.py",
    "scipy.integrate.tplquad": "nquad's other face, whose options are those of dblquad, and takes seconds",
    "scipy.optimize.differential_evolution": "a search of the whole: held in tests/scipy/test_minima.py",
    "scipy.optimize.dual_annealing": "a search of the whole: held in tests/scipy/test_minima.py",
    "scipy.optimize.shgo": "a search of the whole: held in tests/scipy/test_minima.py",
    "scipy.optimize.direct": "a search of the whole: held in tests/scipy/test_minima.py",
    "scipy.optimize.basinhopping": "a search of the whole: held in tests/scipy/test_minima.py",
    "scipy.interpolate.BivariateSpline.integral": _FITPACK,
    "scipy.interpolate.InterpolatedUnivariateSpline": _FITPACK,
    "scipy.interpolate.LSQUnivariateSpline": _FITPACK,
    "scipy.interpolate.UnivariateSpline": _FITPACK,
    "scipy.interpolate.RectBivariateSpline": _FITPACK,
    "scipy.interpolate.bisplev": _FITPACK,
    "scipy.interpolate.insert": _FITPACK,
    "scipy.interpolate.spalde": _FITPACK,
    "scipy.interpolate.splprep": _FITPACK,
    "scipy.interpolate.sproot": _FITPACK,
    **({"scipy.interpolate.make_splrep": _FITPACK} if SCIPY >= (1, 15) else {}),
    "scipy.interpolate.make_smoothing_spline": _FITPACK,
    "scipy.interpolate.CloughTocher2DInterpolator": "scattered points: held in tests/scipy/test_interpolate.py",
    "scipy.spatial.Delaunay": _HULLS,
    "scipy.spatial.KDTree": _HULLS,
    "scipy.spatial.cKDTree": _HULLS,
    "scipy.spatial.distance.directed_hausdorff": _HULLS,
    "scipy.optimize.brute": "a search of the whole: held in tests/scipy/test_minima.py",
    "scipy.optimize.linearmixing": "it converges on no small problem, and is written in the terms of broyden1",
    "scipy.optimize.excitingmixing": "it converges on no small problem, and is written in the terms of broyden1",
}
"""Drop-ins that have no samples here, by the beginning of their names, and why."""


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


OF = LAWS.keys() - {"value", "adjoint", "truth", "terms", "forecast"}
"""The laws that are held of what SciPy computes to rounding: all but what is held above, and but what is of rows, not of calls."""


def hold_laws(drop_in: DropIn, call: Call) -> None:
    if call.option == "output" or (call.option or "").startswith("overwrite"):
        return  # what comes out is rounded, what went in is lost
    # Captured from the start: the laws call the function out of code that is no user's.
    subject = Subject(dd.capture(call.call), call.operands)
    # An option may put a sample on a kink, of which there is no second derivative.
    out = {"second"} if call.option else set()
    out |= {name for name, applies in (("second", drop_in.second), ("precision", drop_in.float32)) if not applies}
    with steps_may_leave_the_domain():
        for law in sorted(OF - out):
            more: dict[str, Any] = {"rng": np.random.default_rng(1)} if LAWS[law] in DRAWS else {}
            LAWS[law](subject, *call.operands, **more, **({"ks": (1, 3)} if law == "batch" else {}))


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda d: d.name)
def test_a_drop_in_is_right_or_refused_with_every_option(drop_in: DropIn) -> None:
    plain, *others = drop_in.calls()
    with named(plain):
        assert tried(plain) is None
        if drop_in.exact:
            hold_laws(drop_in, plain)
    for call in others:
        with named(call):
            refused = tried(call)
            assert refused is None or drop_in.name.rpartition(".")[2] in refused or call.option in refused, refused
            if refused is None and drop_in.exact and not QUICK:
                hold_laws(drop_in, call)


def test_every_drop_in_has_samples_and_every_option_of_scipys_a_value_that_is_tried() -> None:
    held = {id(d.function) for d in DROP_INS}
    rows = [row for room in OPEN for row in room.rows if row.status not in ("refused", "discrete")]
    lacking = {row.name for row in rows if id(row.function) not in held}
    unknown = {name for name in lacking if not name.startswith(tuple(WITHOUT))}
    assert unknown == set(), "a drop-in needs samples in tests/catalogue/rooms"
    assert {start for start in WITHOUT if not any(name.startswith(start) for name in lacking)} == set()
    untried = {d.name: missed for d in DROP_INS if (missed := set(d.parameters()) - set(d.options))}
    assert untried == {}, "an option of SciPy's needs a value that is tried"


def test_along_no_directions() -> None:
    for name in (
        "signal.lfilter",
        "signal.savgol_filter",
        "ndimage.correlate1d",
        "ndimage.correlate",
        "integrate.quad",
        "optimize.brentq",
    ):
        call = next(next(d for d in DROP_INS if d.name == f"scipy.{name}").calls())
        s = Subject(call.call, call.operands)
        values, tangents = s.push([np.zeros((0, *np.shape(x))) for x in s.inputs], (0,))
        _, covectors = s.pull([np.zeros((0, *np.shape(y))) for y in values], (0,))
        assert [np.shape(t) for t in tangents] == [(0, *np.shape(y)) for y in values]
        assert [np.shape(c) for c in covectors] == [(0, *np.shape(x)) for x in s.inputs]


def filled(function: Any) -> Any:
    """Return a function of one array, which it gives for every argument that has no default."""
    try:
        required = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    except (TypeError, ValueError):  # compiled code that does not say
        required = []
    return lambda x: function(*[x] * max(1, len(required)))


@pytest.mark.parametrize("room", OPEN, ids=lambda room: room.name)
def test_what_is_refused_says_so_by_name(room: Any) -> None:
    names = [row.name.removeprefix(f"{room.name}.") for row in room.rows if row.status == "refused"]
    for name in (n for n in names if hasattr(room.module, n)):
        # An argument may be nonsense: SciPy's own code divides by it before it asks for a plain value.
        with np.errstate(all="ignore"), pytest.raises(UnsupportedFunctionError, match=re.escape(name)):
            dd.vjp(filled(getattr(room.module, name)), np.ones((2, 2)))


def test_a_plain_argument_stays_plain() -> None:
    def call(x: Any) -> Any:
        for drop_in in PLAIN:
            first = next(iter(drop_in.calls()))
            found, expected = first.call(*first.operands), outside[drop_in.name]
            assert [type(y) for y in found] == [type(y) for y in expected], drop_in.name
        return x * 1.0

    outside = {d.name: next(iter(d.calls())).call(*d.operands) for d in PLAIN}
    dd.vjp(call, 1.0)
