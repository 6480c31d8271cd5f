"""Samples of the elementwise functions, selection, casts and the ufunc door."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.catalogue.base import Sample, arrays, distinct

NUMBERS = st.one_of(st.just(()), st.just((3,)))
# ufunc, domain, whether it takes complex numbers
UNARY: list[tuple[Any, str, bool]] = [
    (np.negative, "real", True),
    (np.positive, "real", True),
    (np.reciprocal, "nonzero", True),
    (np.square, "real", True),
    (np.sqrt, "positive", True),
    (np.cbrt, "nonzero", False),
    (np.exp, "real", True),
    (np.exp2, "real", True),
    (np.expm1, "real", True),
    (np.log, "positive", True),
    (np.log2, "positive", True),
    (np.log10, "positive", True),
    (np.log1p, "above minus one", True),
    (np.sin, "real", True),
    (np.cos, "real", True),
    (np.tan, "unit", True),
    (np.sinh, "real", True),
    (np.cosh, "real", True),
    (np.tanh, "real", True),
    (np.arcsin, "unit", True),
    (np.arccos, "unit", True),
    (np.arctan, "unit", True),
    (np.arcsinh, "unit", True),
    (np.arccosh, "above one", True),
    (np.arctanh, "unit", True),
    (np.deg2rad, "real", False),
    (np.radians, "real", False),
    (np.rad2deg, "real", False),
    (np.degrees, "real", False),
    (np.absolute, "nonzero", True),
    (np.fabs, "nonzero", False),
    (np.conjugate, "real", True),
]
# ufunc, domains, whether it takes complex numbers
BINARY: list[tuple[Any, tuple[str, str], bool]] = [
    (np.add, ("real", "real"), True),
    (np.subtract, ("real", "real"), True),
    (np.multiply, ("real", "real"), True),
    (np.divide, ("real", "nonzero"), True),
    (np.power, ("positive", "real"), True),
    (np.float_power, ("positive", "real"), True),
    (np.hypot, ("nonzero", "nonzero"), False),
    (np.arctan2, ("nonzero", "nonzero"), False),
    (np.logaddexp, ("real", "real"), False),
    (np.logaddexp2, ("real", "real"), False),
    (np.copysign, ("nonzero", "nonzero"), False),
]
SHAPES = [((), ()), ((3,), (3,)), ((2, 3), (3,)), ((1, 3), (2, 1)), ((), (2, 2)), ((0, 3), (3,))]


def name_of(function: Any) -> str:
    return f"np.{function.__name__}"


def pair(a: tuple[int, ...], b: tuple[int, ...], domains: tuple[str, str] = ("real", "real")) -> Any:
    return st.tuples(arrays(a, domains[0]), arrays(b, domains[1]))


def apart(a: tuple[int, ...], b: tuple[int, ...]) -> Any:
    """Two arrays no entries of which tie."""
    n = int(np.prod(a))

    def split(x: Any) -> tuple[Any, Any]:
        return x[:n].reshape(a)[()], x[n:].reshape(b)[()]

    return distinct((n + int(np.prod(b)),)).map(split)


def off_grid(shape: tuple[int, ...]) -> Any:
    """Numbers that are not near an integer."""
    return arrays(shape, "unit").map(lambda x: 0.4 * x + np.round(5 * x) + 0.5)


def periods(a: tuple[int, ...], b: tuple[int, ...]) -> Any:
    """Pairs whose quotient is not near an integer, signs of all sorts."""
    return st.tuples(off_grid(a), arrays(b, "nonzero")).map(lambda p: ((p[0] * p[1])[()], p[1]))


def unary(f: Any, domain: str, complex: bool) -> list[Sample]:
    shapes: list[Any] = [(), (3,), (2, 0), (2, 1, 3)]
    float32 = True
    return [
        Sample(
            f"{name_of(f)} {s}",
            f,
            f,
            st.tuples(arrays(s, domain)),
            complex=complex,
            float32=float32,
            tiny=f is not np.log1p,  # NumPy's is the logarithm of 1 + z
        )
        for s in shapes[:3]
    ]


def binary(f: Any, domains: tuple[str, str], complex: bool) -> list[Sample]:
    return [Sample(f"{name_of(f)} {a} {b}", f, f, pair(a, b, domains), complex=complex) for a, b in SHAPES]


def one(
    name: str, function: Any, call: Any, shape: tuple[int, ...] = (3,), domain: str = "real", **more: Any
) -> Sample:
    return Sample(name, function, call, st.tuples(arrays(shape, domain)), **more)


MASK = np.array([True, False, True])

SAMPLES: list[Sample] = [
    *[s for row in UNARY for s in unary(*row)],
    *[s for row in BINARY for s in binary(*row)],
    *[
        Sample(f"{name_of(f)} {a} {b}", f, f, apart(a, b))
        for f in (np.maximum, np.minimum, np.fmax, np.fmin)
        for a, b in (((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)))
    ],
    *[
        Sample(f"{name_of(f)} {a} {b}", f, f, periods(a, b))
        for f in (np.remainder, np.fmod)
        for a, b in (((), ()), ((3,), (3,)), ((2, 3), (3,)))
    ],
    # operators, and exponents that have a short way
    *[
        one(f"x ** {n!r}", np.power, lambda x, n=n: x**n, domain="positive", complex=True)
        for n in (0, 1, 2, 3, -1, -2, 0.5, 1.5, 2.0)
    ],
    one("negative x ** 3", np.power, lambda x: x**3, domain="nonzero"),
    one("x ** integers", np.power, lambda x: x ** np.array([0, 2, -1]), domain="nonzero"),
    one("x ** bytes", np.power, lambda x: x ** np.array([0, 1, 3], dtype=np.uint8), domain="nonzero"),
    one("x ** floats", np.power, lambda x: x ** np.array([0.0, 2.0, 0.5]), domain="positive", float32=False),
    one("2 ** y", np.power, lambda y: 2**y),
    one("integers ** y", np.power, lambda y: np.array([1, 2, 3]) ** y, float32=False),
    one("scalar x ** 2", np.power, lambda x: x**2, shape=()),
    one("c - x", np.subtract, lambda x: 1.5 - x),
    one("c / x", np.divide, lambda x: 1.5 / x, domain="nonzero"),
    one("x / array", np.divide, lambda x: x / np.array([[2.0], [4.0]]), float32=False),
    one("abs(x)", np.absolute, lambda x: abs(-x), domain="nonzero", complex=True),
    one("x * complex", np.multiply, lambda x: x * (1 + 2j) + 1j, complex=True),
    Sample("5 % x", np.remainder, lambda x: 5 % x, st.tuples(off_grid((3,)).map(lambda x: 5 / x))),
    one("np.heaviside in h", np.heaviside, lambda h: np.heaviside(np.array([-1.0, 0.0, 2.0]), h), float32=False),
    one("np.nextafter", np.nextafter, lambda x: np.nextafter(x, 10.0), float32=False),
    one("np.ldexp", np.ldexp, lambda x: np.ldexp(x, np.array([-1, 0, 3]))),
    one("np.modf", np.modf, lambda x: np.modf(x)[0], domain="unit"),
    Sample("np.modf both", np.modf, lambda x: np.add(*np.modf(x)), st.tuples(off_grid((3,)))),
    one("np.frexp", np.frexp, lambda x: np.frexp(x)[0], domain="nonzero"),
    Sample("np.divmod", np.divmod, lambda x, y: np.divmod(x, y)[1] * y, periods((2, 3), (3,))),
    Sample("divmod()", np.divmod, lambda x: divmod(x, 0.5)[1], st.tuples(off_grid((3,)).map(lambda x: x / 2))),
    # np.sinc, at 0 and on both sides of where its series takes over
    one("np.sinc", np.sinc, np.sinc, complex=True),
    one("np.sinc scalar", np.sinc, np.sinc, shape=()),
    one("np.sinc at 0", np.sinc, lambda x: np.sinc(x * np.array([0.0, 1e-3, 1.0]) + 0.0), float32=False),
    one("np.sinc empty", np.sinc, np.sinc, shape=(0, 2)),
    one("np.i0", np.i0, np.i0, domain="nonzero", duck=False),
    # selection
    Sample("np.where", np.where, lambda x, y: np.where(MASK, x, y), pair((3,), (2, 3)), complex=True),
    Sample(
        "np.where, broadcast mask", np.where, lambda x, y: np.where(MASK[:, None], x, y), pair((3,), ()), complex=True
    ),
    Sample("np.where, scalars", np.where, lambda x, y: np.where(x > y, x, y), apart((), ())),
    Sample("np.where, traced mask", np.where, lambda x, y: np.where(x > y, x * y, y), apart((2, 3), (3,))),
    Sample("np.where, numbers as mask", np.where, lambda x: np.where([0, 2, 0], x, 1.0), st.tuples(arrays((2, 3)))),
    one("np.where, untaken pole", np.where, lambda x: np.where(x > 0, np.log(x), 0.0), domain="nonzero", second=False),
    Sample(
        "np.select",
        np.select,
        lambda x: np.select([x > 1, x > 0], [x**2, -x], default=3 * x),
        st.tuples(distinct((5,))),
    ),
    Sample(
        "np.piecewise",
        np.piecewise,
        lambda x: np.piecewise(x, [x < 0, x > 1], [-1.0, np.sqrt, lambda t: t * t]),
        st.tuples(distinct((5,))),
        duck=False,
    ),
    Sample(
        "np.piecewise scalar",
        np.piecewise,
        lambda x: np.piecewise(x, [x < 0], [np.sin, np.cos]),
        st.tuples(distinct(())),
        duck=False,
    ),
    Sample("np.clip", np.clip, lambda x: np.clip(x, -0.5, 0.75), st.tuples(distinct((2, 4)))),
    Sample(
        "np.clip, one bound",
        np.clip,
        lambda x: np.clip(x, None, 0.75) + np.clip(x, a_min=0.25, a_max=None),
        st.tuples(distinct((4,))),
    ),
    Sample("np.clip, traced bounds", np.clip, lambda x, a: np.clip(x, a, a + 1.1), apart((2, 3), (3,))),
    Sample("x.clip", np.clip, lambda x: x.clip(0.0), st.tuples(distinct((4,)))),
    one(
        "np.nan_to_num",
        np.nan_to_num,
        lambda x: np.nan_to_num(x / np.array([1.0, 0.0, 2.0])),
        domain="nonzero",
        second=False,
        float32=False,
    ),
    one("np.nan_to_num scalar", np.nan_to_num, np.nan_to_num, shape=()),
    # complex numbers
    one("np.real", np.real, np.real, complex=True),
    one("np.imag", np.imag, lambda x: np.imag(x * (1 - 2j)), complex=True),
    one("x.real, x.imag", np.real, lambda x: (x * 1j).real + (x * x).imag, shape=(2, 2), complex=True),
    one("np.conj", np.conjugate, lambda x: np.conj(x * (1 + 2j)) * x, complex=True),
    one("np.angle", np.angle, lambda x: np.angle(x + 2j), complex=True, domain="positive"),
    one("np.angle in degrees", np.angle, lambda x: np.angle(x + 2j, deg=True), complex=True, domain="positive"),
    one("np.real_if_close", np.real_if_close, lambda x: np.real_if_close(x + 0j)),
    one("np.real_if_close of what is not", np.real_if_close, lambda x: np.real_if_close(x + 4j), complex=True),
    one("abs(z)", np.absolute, lambda x: abs(x + 2j) ** 2, complex=True, domain="positive"),
    one("np.sign(z)", np.sign, lambda x: np.sign(x + 2j), complex=True, domain="positive"),
    # casts and phases
    one("astype(complex)", getattr(np, "astype", None), lambda x: x.astype(complex) * (2 + 1j), float32=False),
    one(
        "astype(longdouble)",
        getattr(np, "astype", None),
        lambda x: x.astype(np.longdouble).astype(np.float64) * 2,
        float32=False,
    ),
    Sample("np.unwrap", np.unwrap, lambda x: np.unwrap(x * 10.0), st.tuples(distinct((6,)))),
    Sample("np.unwrap, axis", np.unwrap, lambda x: np.unwrap(x, axis=0, period=1.3), st.tuples(distinct((3, 2)))),
    # the ufunc door
    one("add.reduce", np.add, lambda x: np.add.reduce(x), shape=(2, 3), complex=True),
    one("add.reduce, axis", np.add, lambda x: np.add.reduce(x, axis=-1, keepdims=True), shape=(2, 3)),
    one("add.reduce, scalar", np.add, lambda x: np.add.reduce(x), shape=()),
    one("multiply.reduce", np.multiply, lambda x: np.multiply.reduce(x, axis=None), shape=(2, 3)),
    Sample("maximum.reduce", np.maximum, lambda x: np.maximum.reduce(x, axis=1), st.tuples(distinct((2, 3)))),
    Sample("minimum.reduce", np.minimum, lambda x: np.minimum.reduce(x, axis=0), st.tuples(distinct((2, 3)))),
    Sample("fmax.reduce", np.fmax, lambda x: np.fmax.reduce(x, axis=0), st.tuples(distinct((3, 2)))),
    one("subtract.reduce", np.subtract, lambda x: np.subtract.reduce(x, axis=1), shape=(2, 3)),
    one("divide.reduce", np.divide, lambda x: np.divide.reduce(x), shape=(3, 2), domain="nonzero"),
    one("hypot.reduce", np.hypot, lambda x: np.hypot.reduce(x, axis=None), shape=(2, 3), domain="nonzero"),
    one("logaddexp.reduce", np.logaddexp, lambda x: np.logaddexp.reduce(x, axis=-1), shape=(2, 3)),
    one(
        "logaddexp.reduce, keepdims",
        np.logaddexp,
        lambda x: np.logaddexp.reduce(x, axis=None, keepdims=True),
        shape=(2, 3),
    ),
    one("logaddexp2.reduce", np.logaddexp2, lambda x: np.logaddexp2.reduce(x), shape=(3,)),
    one("add.accumulate", np.add, lambda x: np.add.accumulate(x, axis=1), shape=(2, 3)),
    one("multiply.accumulate", np.multiply, lambda x: np.multiply.accumulate(x), shape=(3,)),
    Sample(
        "maximum.accumulate",
        np.maximum,
        lambda x: np.maximum.accumulate(x, axis=1),
        st.tuples(distinct((2, 4))),
        duck=False,
    ),
    Sample("minimum.accumulate", np.minimum, lambda x: np.minimum.accumulate(x), st.tuples(distinct((4,))), duck=False),
    one("subtract.accumulate", np.subtract, lambda x: np.subtract.accumulate(x, axis=-1), shape=(2, 3)),
    one("logaddexp.accumulate", np.logaddexp, lambda x: np.logaddexp.accumulate(x), shape=(3,)),
    Sample("multiply.outer", np.multiply, np.multiply.outer, pair((2,), (2, 3)), complex=True),
    Sample("subtract.outer, scalar", np.subtract, np.subtract.outer, pair((), (3,))),
    one("add.reduceat", np.add, lambda x: np.add.reduceat(x, [0, 2, 1, 4]), shape=(5,)),
    one("add.reduceat, axis", np.add, lambda x: np.add.reduceat(x, [1, 2], axis=1), shape=(2, 4)),
    one("multiply.reduceat", np.multiply, lambda x: np.multiply.reduceat(x, [0, 3, 1], axis=0), shape=(4, 2)),
    one("dtype=", np.multiply, lambda x: np.multiply(x, 2, dtype=np.float64), float32=False),
    one("order=, casting=", np.sin, lambda x: np.sin(x, order="F", casting="same_kind", subok=False)),
]


def _out(x: Any, y: Any) -> Any:
    z = np.zeros_like(x)
    np.multiply(x, y, out=z)
    np.add(z, x, out=z, where=MASK)
    return z


def _at(x: Any, v: Any) -> Any:
    z = x * 1.0
    np.add.at(z, [0, 0, 2], v)
    np.multiply.at(z, np.array([1, 0, 1]), 2 * v)
    np.negative.at(z, [2])
    return z


SAMPLES += [
    Sample("out=, where=", np.multiply, _out, pair((3,), (3,)), duck=False),
    Sample("ufunc.at", np.add, _at, pair((3,), (3,)), duck=False),
    one(
        "np.modf, out=",
        np.modf,
        lambda x: np.modf(x, out=(np.empty_like(x), np.empty_like(x)))[0],
        domain="unit",
        duck=False,
    ),
]
SAMPLES = [s for s in SAMPLES if s.function is not None]

# np.emath: real inside the domain, complex outside
for _name, _inside in (
    ("sqrt", "positive"),
    ("log", "positive"),
    ("log2", "positive"),
    ("log10", "positive"),
    ("arccos", "unit"),
    ("arcsin", "unit"),
    ("arctanh", "unit"),
):
    _f = getattr(np.emath, _name)
    SAMPLES.append(Sample(f"emath.{_name}", _f, _f, st.tuples(arrays(3, _inside)), duck=False, complex=True))
    _outside = arrays(3, "above one").map(lambda x, s=-1 if _inside == "positive" else 1: s * x)
    SAMPLES.append(Sample(f"emath.{_name} outside", _f, _f, st.tuples(_outside), duck=False))
SAMPLES += [
    Sample(f"emath.{n} {d}", getattr(np.emath, n), f, st.tuples(arrays(3, d), arrays(3, "above one")), duck=False)
    for n, f in (("logn", lambda x, n: np.emath.logn(n, x)), ("power", np.emath.power))
    for d in ("positive", "nonzero")
]
