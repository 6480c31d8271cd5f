"""Samples of SciPy's special functions: one per row of their tables and shape, drawn from the row's own domains."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy import special

from dualdiff.register import REGISTER, Entry
from dualdiff.rules.special.functions import DROP_INS
from dualdiff.rules.special.rows import OF_STATS, named
from dualdiff.rules.ufuncs import special_functions
from tests.catalogue.base import DOMAINS, Sample, arrays, without_tiny
from tests.versions import SCIPY

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
    # with two values the density has its kink at 1/2, which is drawn; with seven at k/7, which are not
    "_smirnovp": {0: 7},
    "smirnov": {0: 7},
    "smirnovi": {0: 7},
    # these solve their equation for its own characteristic value only
    **{f"pro_{kind}_cv": {3: float(special.pro_cv(2, 2, 1.5))} for kind in ("ang1", "rad1", "rad2")},
    **{f"obl_{kind}_cv": {3: float(special.obl_cv(2, 2, 1.5))} for kind in ("ang1", "rad1", "rad2")},
}
#: values that SciPy computes in few digits, which differences do not bear: 1e-5 in the tables of itairy, 1e-4 in an
#: inverse found by iteration, 1e-14 (of numbers much smaller) in one found by halving
ROUGH = {"itairy", "tklmbda", "ncfdtrinc", "pro_rad2", "obl_rad2", "pro_rad2_cv", "obl_rad2_cv"}
OLDER = SCIPY < (1, 17)
if OLDER:  # few digits in 1.13, and one imaginary part of the wrong sign
    ROUGH |= {"chndtr", "chndtrix", "ncfdtr", "ncfdtri", "nctdtr", "nctdtrit", "modfresnelp", "modfresnelm"}
    ROUGH |= {"btdtrib", "chdtriv", "chndtrinc", "gdtrib", "pdtrik", "stdtrit"}
#: functions that write past their memory, in 1.13, when they are just called
UNSAFE = {f"{kind}_rad{n}{cv}" for kind in ("obl", "pro") for n in "12" for cv in ("", "_cv")} if OLDER else set()
#: NaN, few digits, or (as the spheroidal functions) an endless loop in SciPy's own single precision
DOUBLE = {
    "mathieu_a", "mathieu_b", "mathieu_cem", "mathieu_sem", "mathieu_modcem1", "mathieu_modcem2", "mathieu_modsem1",
    "mathieu_modsem2", "modfresnelp", "modfresnelm", "ncfdtrinc", "chndtrinc", "nrdtrisd", "kl_div", "smirnov", "smirnovi",
    "bdtr", "bdtrc", "bdtri", "pbdv", "pbvv", "pbwa", "itairy", "powm1", "cotdg", "tandg", "wright_bessel", "log_wright_bessel",
}  # fmt: skip
#: computed from 1 ± z, or so; or at zero for all that is near
COARSE = {
    "eval_legendre", "eval_jacobi", "eval_gegenbauer", "eval_chebyt", "eval_chebyu", "eval_chebyc", "eval_chebys", "legendre_p",
    "assoc_legendre_p", "_nct_pdf",
}  # fmt: skip
#: by their shapes these are integrals, which are computed on plain memory
INTEGRALS = {
    "gammainc", "gammaincc", "gammaincinv", "gammainccinv", "gdtr", "gdtrc", "gdtria", "gdtrib", "gdtrix", "chdtr", "chdtrc",
    "chdtri", "chdtriv", "pdtrik", "betainc", "betaincc", "betaincinv", "betainccinv", "_beta_ppf", "btdtria", "btdtrib", "fdtr",
    "fdtrc", "fdtri", "stdtr", "stdtrit", "_nbinom_cdf", "_nbinom_sf", "_beta_cdf", "_beta_sf",
}  # fmt: skip
#: complex numbers that lose the smaller of their parts
COARSE_COMPLEX = {*COARSE, "airy"}


def names() -> list[str]:
    of_stats = () if OF_STATS is None else vars(OF_STATS)
    return [n for n in (*special.__all__, *vars(special._ufuncs), *of_stats) if isinstance(find(n), np.ufunc)]


find = named


def called(ufunc: Any, name: str, domains: tuple[str, ...], spread: bool) -> Callable[..., Any]:
    """Return the function of those operands that have a domain of numbers; arrays of parameters broadcast, if ``spread``."""
    constants = {k: OTHERS.get(name, {}).get(k, CONSTANTS[d]) for k, d in enumerate(domains) if d in CONSTANTS}
    if spread:
        constants = {k: np.array([[c], [c]]) for k, c in constants.items()}

    def call(*operands: Any) -> Any:
        given = iter(operands)
        return ufunc(*[constants[k] if k in constants else next(given) for k in range(len(domains))])

    return call


def taken_complex(entry: Entry, domains: tuple[str, ...]) -> tuple[int, ...]:
    """Return which of the operands that are drawn may be complex: those are in a loop of the ufunc's that takes complex ones."""
    if entry.facts.complex is not None:
        return ()
    loops = [loop.partition("->")[0] for loop in entry.function.types if "D" in loop.partition("->")[0]]
    places = {k for loop in loops for k, letter in enumerate(loop) if letter == "D"}
    drawn = [k for k, d in enumerate(domains) if d in DOMAINS]
    return tuple([i for i, k in enumerate(drawn) if k in places])


def of_row(name: str, entry: Entry) -> list[Sample]:
    domains = entry.domain if type(entry.domain) is tuple else (entry.domain,)
    drawn = [d for d in domains if d in DOMAINS]
    found = []
    for shape in ((), (3,), (2, 3)):
        spread = shape == (2, 3) and len(drawn) < len(domains)
        shapes = [shape] + [shape[1:]] * (len(drawn) - 1)  # the first operand is broadcast against the others
        operands = st.tuples(*[arrays(s, d) for s, d in zip(shapes, drawn, strict=True)])
        found.append(
            Sample(
                f"special.{name} {shape}",
                entry.function,
                called(entry.function, name, domains, spread),
                operands.map(lambda xs: tuple(map(without_tiny, xs))) if name in COARSE else operands,
                float32=not spread and name not in DOUBLE and not name.startswith(("pro_", "obl_")),
                second=entry.facts.second,
                truth=name not in ROUGH,
                duck=not spread and name not in INTEGRALS,
                complex=taken_complex(entry, domains),
                tiny=name not in COARSE_COMPLEX,
            )
        )
    return found


SAMPLES: list[Sample] = []
_seen: set[int] = set()
for _name in sorted(set(names())):
    _entry = REGISTER.get(find(_name))
    if _entry is None or _name in UNSAFE:
        continue
    if _entry.status in ("elementwise", "composite") and id(_entry.function) not in _seen:
        _seen.add(id(_entry.function))
        SAMPLES += of_row(_name, _entry)


WEIGHTS = np.array([[0.5, 1.0, 2.0], [1.0, 0.0, 0.25]])
#: SciPy's Python functions: name, what the drop-in is called with beside the operands (None), domains
FUNCTIONS: list[tuple[str, str, Callable[..., Any], tuple[str, ...]]] = [
    ("logsumexp", "all", lambda f, a: f(a), ("real",)),
    ("logsumexp", "axis", lambda f, a: f(a, axis=0, keepdims=True), ("real",)),
    ("logsumexp", "weights", lambda f, a: f(a, axis=-1, b=WEIGHTS), ("real",)),
    ("logsumexp", "differentiated weights", lambda f, a, b: f(a, b=b), ("real", "positive")),
    ("logsumexp", "sign", lambda f, a: f(a, b=-WEIGHTS, return_sign=True)[0], ("real",)),
    ("softmax", "all", lambda f, x: f(x), ("real",)),
    ("softmax", "axis", lambda f, x: f(x, axis=0), ("real",)),
    ("log_softmax", "all", lambda f, x: f(x), ("real",)),
    ("log_softmax", "axes", lambda f, x: f(x, axis=(0, -1)), ("real",)),
    ("softplus", "", lambda f, x: f(x), ("real",)),
    ("multigammaln", "", lambda f, a: f(a, 3), ("above three",)),
    ("polygamma", "", lambda f, x: f(np.array([0, 1, 3]), x), ("positive",)),
    ("zeta", "Hurwitz", lambda f, q: f(2.5, q), ("positive",)),
    ("zeta", "Riemann", lambda f, x: f(x), ("above one",)),
    ("comb", "", lambda f, n, k: f(n, k), ("above two", "above half")),
    ("comb", "repetition", lambda f, n, k: f(n, k, repetition=True), ("above two", "above half")),
    ("perm", "", lambda f, n, k: f(n, k), ("above two", "above half")),
    ("factorial", "", lambda f, n: f(n), ("positive",)),
    ("diric", "", lambda f, x: f(x, 5), ("real",)),
    ("diric", "at a zero of the denominator", lambda f, x: f(x * np.array([0.0, 1e-9, 1.0]), 4), ("real",)),
    ("lambertw", "", lambda f, z: f(z), ("positive",)),
    *[
        (f"spherical_{k}", what, call, ("nonzero" if k != "kn" else "positive",))
        for k in ("jn", "yn", "in", "kn")
        for what, call in (
            ("", lambda f, z: f(np.array([0, 1, 3]), z)),
            ("slope", lambda f, z: f(2, z, derivative=True)),
        )
    ],
    *[(n, "", lambda f, z: f(1.5, z, 2), ("positive",)) for n in ("jvp", "yvp", "ivp", "kvp", "h1vp", "h2vp")],
    ("legendre_p", "", lambda f, z: f(3, z, diff_n=2), ("unit",)),
    ("assoc_legendre_p", "", lambda f, z: f(3, 1, z, diff_n=2), ("unit",)),
    ("assoc_legendre_p", "normed", lambda f, z: f(3, 1, z, norm=True), ("unit",)),
    ("sph_legendre_p", "", lambda f, t: f(3, 2, t, diff_n=2), ("inner",)),
    ("sph_harm_y", "", lambda f, t, p: f(3, 2, t, p), ("inner", "real")),
]
for _name, _what, _call, _domains in FUNCTIONS:
    _original = getattr(special, _name, None)
    if _original is None:
        continue
    SAMPLES.append(
        Sample(
            f"special.{_name}, {_what}",
            _original,
            functools.partial(_call, DROP_INS[_original]),
            st.tuples(*[arrays((2, 3), d) for d in _domains]),
            float32=_what in ("all", "axis", "axes") or _name == "softplus",
            duck=_name == "softplus",
            tiny=_name not in COARSE_COMPLEX,
        )
    )
