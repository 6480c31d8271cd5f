"""Samples of products summed over common axes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.catalogue.base import Sample, arrays

SAMPLES: list[Sample] = []


def add(name: str, function: Any, call: Callable[..., Any], *operands: Any, **options: Any) -> None:
    if function is not None:
        SAMPLES.append(Sample(name, function, call, st.tuples(*operands), **options))


SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((2, 2), (2, 2)),
    ((2, 4, 3), (3,)),
    ((3,), (2, 3, 4)),
    ((2, 4, 3), (3, 2)),
    ((4, 3), (2, 3, 2)),
    ((2, 1, 2, 3), (4, 3, 2)),
    ((1, 2, 3), (2, 3, 1)),
    ((2, 3, 2), (2, 2, 3)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 2)),
]
for s, t in SHAPES:
    add(f"matmul {s} {t}", np.matmul, operator.matmul, arrays(s), arrays(t), complex=True)
add("matmul by name", np.matmul, np.matmul, arrays((2, 3)), arrays((3, 2)))
add("matmul of wide matrices", np.matmul, np.matmul, arrays((2, 3)), arrays((3, 20)))
add("matmul with itself", np.matmul, lambda x: x @ x, arrays((3, 3)))
add(
    "linalg.matmul",
    getattr(np.linalg, "matmul", None),
    getattr(np.linalg, "matmul", None),
    arrays((2, 3)),
    arrays((3, 2)),
)
for s, t in [
    ((), (2, 3)),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 2)),
    ((2, 2, 3), (2, 3, 2)),
    ((3,), (2, 3, 2)),
    ((2, 2, 3), (3,)),
]:
    add(f"dot {s} {t}", np.dot, np.dot, arrays(s), arrays(t), complex=True)
for s, t in [((3,), (3,)), ((2, 3), (4, 3)), ((2, 3), (3,)), ((), (3,)), ((2, 2, 3), (2, 3))]:
    add(f"inner {s} {t}", np.inner, np.inner, arrays(s), arrays(t), complex=True)
add("dot by method", np.dot, lambda x, y: x.dot(y), arrays((2, 3)), arrays(3))
add("vdot", np.vdot, np.vdot, arrays((2, 3)), arrays(6), complex=True)
add("outer", np.outer, np.outer, arrays(3), arrays((2, 2)), complex=True)
add("linalg.outer", getattr(np.linalg, "outer", None), getattr(np.linalg, "outer", None), arrays(3), arrays(2))
for axes, s, t in [
    (0, (2,), (2, 3)),
    (1, (2, 3), (3, 2)),
    (2, (2, 3, 2), (3, 2, 2)),
    (([0, 2], [1, 0]), (2, 3, 4), (4, 2)),
    ((-1, 0), (2, 3), (3, 2)),
    (2, (2, 3), (2, 3)),
]:
    add(f"tensordot {axes} {s} {t}", np.tensordot, partial(np.tensordot, axes=axes), arrays(s), arrays(t), complex=True)
add(
    "linalg.tensordot",
    getattr(np.linalg, "tensordot", None),
    getattr(np.linalg, "tensordot", None),
    arrays((2, 2, 3)),
    arrays((2, 3)),
)

for text, *shapes in [
    ("i,i", (3,), (3,)),
    ("ij,jk", (2, 3), (3, 2)),
    ("ij,jk->ki", (2, 3), (3, 2)),
    ("ij->", (2, 3)),
    ("ij->ji", (2, 3)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iij->ji", (2, 2, 3)),
    ("ij,kj->i", (2, 3), (4, 3)),
    ("bij,bj->bi", (2, 3, 2), (2, 2)),
    ("bij,bjk->bik", (2, 3, 2), (2, 2, 3)),
    ("bi,bi->b", (3, 2), (3, 2)),
    ("i,i->i", (3,), (3,)),
    ("i,j->ji", (2,), (3,)),
    (",i->i", (), (3,)),
    ("...i,i->...", (2, 2, 3), (3,)),
    ("...ij,...jk", (2, 2, 3), (3, 2)),
    ("i...,ij->j...", (2, 3), (2, 2)),
    ("ij,ij->ij", (2, 3), (1, 3)),
    ("ij,jk,kl->il", (2, 3), (3, 2), (2, 2)),
    ("i,i,i->i", (3,), (3,), (3,)),
    ("ij,ik,il->jkl", (2, 2), (2, 3), (2, 2)),
    ("abc,cd,bd->ad", (2, 3, 2), (2, 2), (3, 2)),
    ("ii,ij->j", (3, 3), (3, 2)),
]:
    add(f"einsum {text} {shapes}", np.einsum, partial(np.einsum, text), *map(arrays, shapes), complex=True)
add("einsum by lists", np.einsum, lambda x, y: np.einsum(x, [0, 1], y, [1, 2], [2, 0]), arrays((2, 3)), arrays((3, 2)))
add(
    "einsum by lists, implicit",
    np.einsum,
    lambda x, y: np.einsum(x, [Ellipsis, 1], y, [1, 2]),
    arrays((2, 3)),
    arrays((3, 2)),
)
add(
    "einsum, optimised",
    np.einsum,
    partial(np.einsum, "ij,jk,k->i", optimize=True),
    arrays((2, 3)),
    arrays((3, 2)),
    arrays(2),
)

add("kron", np.kron, np.kron, arrays((2, 2)), arrays((2, 3)))
add("kron of vectors", np.kron, np.kron, arrays(2), arrays((2, 2)))
add("cross", np.cross, np.cross, arrays(3), arrays(3), complex=True)
add("cross of stacks", np.cross, np.cross, arrays((2, 3)), arrays(3))
add("cross along axis 0", np.cross, partial(np.cross, axis=0), arrays((3, 2)), arrays((3, 2)))
add("cross, axes apart", np.cross, partial(np.cross, axisa=0, axisb=1, axisc=0), arrays((3, 2)), arrays((2, 3)))
add(
    "linalg.cross", getattr(np.linalg, "cross", None), getattr(np.linalg, "cross", None), arrays((2, 3)), arrays((2, 3))
)
add("trace", np.trace, np.trace, arrays((3, 3)), complex=True)
add("trace off the diagonal", np.trace, partial(np.trace, offset=1, axis1=1, axis2=0), arrays((2, 3)))
add("trace of stacks", np.trace, np.trace, arrays((3, 2, 2)))
add("linalg.trace", getattr(np.linalg, "trace", None), getattr(np.linalg, "trace", None), arrays((2, 3, 3)))
for f, *pairs in [
    (np.vecdot, ((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (4, 3))),
    (getattr(np, "matvec", None), ((2, 3), (3,)), ((2, 2, 3), (2, 3)), ((2, 3), (4, 3))),
    (getattr(np, "vecmat", None), ((2,), (2, 3)), ((3, 2), (3, 2, 3)), ((2, 1, 2), (2, 3))),
]:
    for s, t in pairs:
        if f is not None:
            add(f"{f.__name__} {s} {t}", f, f, arrays(s), arrays(t), complex=True)
add(
    "linalg.vecdot",
    getattr(np.linalg, "vecdot", None),
    getattr(np.linalg, "vecdot", None),
    arrays((2, 3)),
    arrays((2, 3)),
)
add(
    "multi_dot",
    np.linalg.multi_dot,
    lambda *xs: np.linalg.multi_dot(xs),
    arrays((2, 4)),
    arrays((4, 3)),
    arrays((3, 2)),
)
add(
    "multi_dot of vectors",
    np.linalg.multi_dot,
    lambda *xs: np.linalg.multi_dot(xs),
    arrays(2),
    arrays((2, 3)),
    arrays(3),
)
add("matrix_power", np.linalg.matrix_power, partial(np.linalg.matrix_power, n=5), arrays((2, 2)))
add(
    "matrix_power, negative",
    np.linalg.matrix_power,
    lambda x: np.linalg.matrix_power(x + 8 * np.eye(2), -3),
    arrays((2, 2)),
)
add("matrix_power, zero", np.linalg.matrix_power, lambda x: np.linalg.matrix_power(x, 0) + x, arrays((2, 2)))
add("polyval", np.polyval, np.polyval, arrays(4), arrays((2, 3)), complex=True)
_P = np.polynomial.polynomial
add("polyval2d", _P.polyval2d, _P.polyval2d, arrays(3), arrays(3), arrays((2, 3)))
add(
    "polygrid2d",
    _P.polygrid2d,
    _P.polygrid2d,
    arrays(2),
    arrays(3),
    arrays((2, 3)),
    duck=hasattr(_P.polygrid2d, "_implementation"),  # before, NumPy takes no arrays but its own for those of a grid
)
if hasattr(_P, "polyvalnd"):  # from NumPy 2.5 on
    add("polyvalnd", _P.polyvalnd, lambda x, y, c: _P.polyvalnd((x, y), c), arrays(3), arrays(3), arrays((2, 3)))
add("poly of a matrix", np.poly, np.poly, arrays((2, 2)).map(lambda a: a + np.diag([4.0, -4.0])), float32=False)
POINTS = np.array([0.0, 0.5, 1.5, 2.0, 3.0])
POINTS.flags.writeable = False
UNFITTED = np.array([6.0, -6.0, 6.0, -6.0, 6.0])
"""What no parabola goes through: of a fit that leaves no residual, residual and covariance are rounding alone."""
add(
    "polyfit with its covariance",
    np.polyfit,
    lambda y: np.polyfit(POINTS, y + UNFITTED, 2, cov=True),
    arrays(5),
    float32=False,
    duck=False,
)
add(
    "polyfit, all of it",
    np.polyfit,
    lambda y, w: np.polyfit(POINTS, y + UNFITTED, 1, w=w, full=True)[:2],
    arrays(5),
    arrays(5, "positive"),
    float32=False,
    duck=False,
)
add("polyadd", np.polyadd, np.polyadd, arrays(3), arrays(2))
add("polysub", np.polysub, np.polysub, arrays(2), arrays(4))
add("polymul", np.polymul, np.polymul, arrays(3, "positive"), arrays(2, "positive"))
add("poly", np.poly, np.poly, arrays(3), complex=False)
add("poly of complex roots", np.poly, lambda x: np.poly(x + np.array([4j, 5j, 6j])), arrays(3), complex=True)
add("polyder", np.polyder, partial(np.polyder, m=2), arrays(5))
add("polyint", np.polyint, np.polyint, arrays(3))
add("polydiv", np.polydiv, np.polydiv, arrays(5, "positive"), arrays(2, "positive"))
add("polydiv by a longer one", np.polydiv, lambda u, v: np.polydiv(u, v)[1], arrays(2), arrays(3, "positive"))
POINTS = np.array([-1.0, -0.25, 0.5, 1.25, 2.0])
POINTS.flags.writeable = False
add(
    "polyfit",
    np.polyfit,
    lambda y, w: np.polyfit(POINTS, y, 2, w=w),
    arrays(5),
    arrays(5, "positive"),
    float32=False,
    complex=(0,),
)
add(
    "polyfit in its points",
    np.polyfit,
    lambda x, y: np.polyfit(POINTS + 0.1 * x, y, 1),
    arrays(5),
    arrays((5, 2)),
    float32=False,
)
add("roots", np.roots, lambda p: np.roots(p + np.array([0, 0, -9, 2])), arrays(4, "positive"), float32=False)
add(
    "roots at zero",
    np.roots,
    lambda p: np.roots(np.concatenate([p, np.zeros(2)])),
    arrays(2, "positive"),
    float32=False,
)
