"""``scipy.integrate``: integrals, whose integrands close over what is differentiated."""

from __future__ import annotations

import numpy as np
import scipy.integrate as si

from tests.catalogue.rooms.base import Deprecated, DropIn, Values, With, numbers, of

P, LOW, HIGH = np.float64(0.7), np.float64(0.2), np.float64(1.3)
Y = np.random.default_rng(3).standard_normal((2, 5))
T = np.array([0.0, 0.3, 0.9, 1.4, 2.0])


def first(found):
    """Return an integral, and not the error that was estimated."""
    found = found[0] if isinstance(found, tuple) else found
    return numbers([np.real(found), np.imag(found)] if np.iscomplexobj(found) else found)


LIMITS = {"epsabs": 1e-10, "epsrel": 1e-10}

DROP_INS: list[DropIn] = [
    of(
        si.quad,
        P,
        LOW,
        HIGH,
        places=2,
        given={"func": None},
        shown=first,
        noise=1e3,
        second=False,
        float32=False,
        called=lambda p, a, b, func=None, args=(), **o: si.quad(
            (lambda t, *q: np.exp(-p * t * t) * (1 + sum(q))), a, b, args=args, **o
        ),
        args=With((0.3,)),
        full_output=1,
        limit=40,
        points=[0.5],
        weight=Values(
            With("cos", None, {"wvar": 2.0}), With("sin", None, {"wvar": 2.0}), With("alg", None, {"wvar": (0.2, 0.1)})
        ),
        wvar=With(2.0, None, {"weight": "cos"}),
        wopts=With(None),
        maxp1=With(40, None, {"weight": "cos", "wvar": 2.0}),
        limlst=With(40),
        complex_func=True,
        **LIMITS,
    ),
    of(
        si.quad_vec,
        P,
        LOW,
        HIGH,
        places=2,
        given={"f": None},
        shown=first,
        noise=1e3,
        second=False,
        float32=False,
        called=lambda p, a, b, f=None, args=(), **o: si.quad_vec(
            (lambda t, *q: np.stack([np.exp(-p * t * t), p * t]) * (1 + sum(q))), a, b, args=args, **o
        ),
        norm="max",
        cache_size=1e6,
        limit=1000,
        workers=map,
        points=[0.5],
        quadrature=With("trapezoid", None, {"epsrel": 1e-4}),
        full_output=True,
        args=(0.3,),
        epsabs=1e-6,
        epsrel=1e-6,
    ),
    of(
        si.nquad,
        P,
        places=0,
        given={"func": None, "ranges": None},
        shown=first,
        noise=1e3,
        second=False,
        float32=False,
        called=lambda p, func=None, ranges=None, **o: si.nquad(
            (lambda x, y, *q: np.exp(-p * x * y) * (1 + sum(q))), [(0, 1), (0, 0.5)], **o
        ),
        args=(0.3,),
        opts={"epsabs": 1e-10},
        full_output=True,
    ),
    of(
        si.dblquad,
        P,
        LOW,
        HIGH,
        places=2,
        given={"func": None, "gfun": None, "hfun": None},
        shown=first,
        noise=1e3,
        second=False,
        float32=False,
        called=lambda p, a, b, func=None, gfun=None, hfun=None, **o: si.dblquad(
            (lambda y, x, *q: np.exp(-p * x * y) * (1 + sum(q))), a, b, 0, lambda x: p * x, **o
        ),
        args=(0.3,),
        **LIMITS,
    ),
    *[
        of(
            si.nsum,
            np.float64(2.5),
            LOW,
            given={"f": None, "b": None},
            places=1,
            shown=lambda found: numbers(found.sum),
            noise=1e7,
            second=False,
            float32=False,
            called=lambda p, a, f=None, b=np.inf, args=(), log=False, **o: si.nsum(
                (lambda k, *q: -p * np.log(k + 1) if log else (1 + sum(q)) / (k + 1) ** p),
                a,
                np.inf,
                args=args,
                log=log,
                **o,
            ),
            step=0.5,
            args=With((0.3,)),
            log=True,
            maxterms=With(2**19),
            tolerances={"rtol": 1e-9},
            kwargs=With(None),
        )
        for _ in ("since SciPy 1.15",)
        if hasattr(si, "nsum")
    ],
    *[
        of(
            si.cubature,
            P,
            LOW,
            HIGH,
            given={"f": None},
            places=2,
            shown=lambda found: numbers(found.estimate),
            noise=1e4,
            second=False,
            float32=False,
            called=lambda p, a, b, f=None, args=(), **o: si.cubature(
                (lambda x, *q: np.exp(-p * x[:, 0] * x[:, 1]) * (1 + sum(q))), [a, 0.1], [b, 0.8], args=args, **o
            ),
            rule=Values("gk15", "genz-malik"),
            rtol=1e-9,
            atol=1e-12,
            max_subdivisions=500,
            args=With((0.3,)),
            workers=With(map),
            points=[np.array([0.5, 0.4])],
        )
        for _ in ("since SciPy 1.15",)
        if hasattr(si, "cubature")
    ],
    of(si.simpson, Y, x=T, dx=0.3, axis=0, even=Values(*map(Deprecated, ("simpson", "avg")))),
]
if hasattr(si, "tanhsinh"):  # since SciPy 1.15
    DROP_INS.append(
        of(
            si.tanhsinh,
            P,
            LOW,
            HIGH,
            places=2,
            given={"f": None},
            shown=lambda found: [found.integral],
            noise=1e3,
            second=False,
            float32=False,
            called=lambda p, a, b, f=None, **o: si.tanhsinh(lambda t, q=0.0: np.exp(-p * t * t) * (1 + q), a, b, **o),
            args=(0.3,),
            kwargs={"q": 0.3},
            log=True,
            maxlevel=8,
            minlevel=3,
            atol=1e-10,
            rtol=1e-10,
            preserve_shape=True,
            callback=lambda found: None,
        )
    )
