"""``scipy.ndimage``."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage as nd

from dualdiff.trees import flatten
from tests.catalogue.rooms.base import DropIn, Values, With, of

RNG = np.random.default_rng(6)
X, W = RNG.standard_normal((4, 5)), RNG.standard_normal((2, 3))
K = RNG.standard_normal(3)
COORDINATES = RNG.uniform(0.3, 2.7, (2, 4))
MATRIX = np.array([[0.9, 0.1], [-0.2, 1.05]])
MODES = Values("constant", "nearest", "mirror", "wrap", "grid-wrap", "grid-mirror", "grid-constant")
HIGH = With(1.5, beside={"mode": "constant"})
LINE = {"axis": 0, "output": np.float32, "mode": MODES, "cval": HIGH, "origin": 1}
PLANE = {"output": np.float32, "mode": MODES, "cval": HIGH, "origin": (0, -1), "axes": With((1,), (X, K))}
AXES = dict(PLANE, axes=(1,))
SIMPLE = {"axis": 0, "output": np.float32, "mode": MODES, "cval": HIGH}
FOOT = np.array([[1, 0, 1], [0, 1, 1]], bool)
RANKS = dict(AXES, size=(1, 3), footprint=With(FOOT, beside={"size": None}), axes=With((1,), beside={"size": 3}))
SPLINE = {"output": np.float32, "order": Values(0, 1, 2, 4, 5), "mode": MODES, "cval": 1.5, "prefilter": False}
Z = X.astype(complex)
GREY = {"output": np.float32, "mode": MODES, "cval": HIGH, "origin": (0, -1), "axes": With((1,))}
BESIDE = {"extra_arguments": (0.2,), "extra_keywords": {"d": 0.3}}
BY_AXES = {"output": np.float32, "mode": MODES, "cval": HIGH, "axes": (1,), **BESIDE}
INSIDE = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1]], bool)


def energy(window: Any, c: float = 0.0, d: float = 0.0) -> Any:
    return np.sum(window * window) * (1 + c + d)


def slope(x: Any, axis: int, output: Any, mode: str, cval: float, c: float = 0.0, d: float = 0.0) -> Any:
    return nd.correlate1d(x, np.array([-1.0, 0.3 + c, 1.0 + d]), axis, output, mode, cval)


def turned(at: Any, c: float = 0.0, d: float = 0.0) -> Any:
    return 0.9 * at[0] + 0.1 * at[1] + 0.07 + c, 0.8 * at[1] + 0.13 + d


DROP_INS: list[DropIn] = [
    of(nd.correlate1d, X, K, **LINE),
    of(nd.convolve1d, X, K, **LINE),
    of(nd.correlate, X, W, **PLANE),
    of(nd.convolve, X, W, **PLANE),
    of(nd.uniform_filter1d, X, given={"size": 3}, **LINE),
    of(nd.uniform_filter, X, size=(2, 3), **AXES),
    of(nd.gaussian_filter1d, X, given={"sigma": 0.7}, order=Values(1, 2, 3), truncate=2.0, radius=2, **SIMPLE),
    of(
        nd.gaussian_filter,
        X,
        given={"sigma": 0.7},
        order=Values(1, (0, 2)),
        truncate=2.0,
        radius=2,
        axes=(1,),
        **{k: v for k, v in SIMPLE.items() if k != "axis"},
    ),
    of(nd.sobel, X, **SIMPLE),
    of(nd.prewitt, X, **SIMPLE),
    of(nd.laplace, X, axes=(1,), **{k: v for k, v in SIMPLE.items() if k != "axis"}),
    of(nd.gaussian_laplace, X, given={"sigma": 0.7}, axes=(1,), **{k: v for k, v in SIMPLE.items() if k != "axis"}),
    of(
        nd.gaussian_gradient_magnitude,
        X,
        given={"sigma": 0.7},
        axes=(1,),
        **{k: v for k, v in SIMPLE.items() if k != "axis"},
    ),
    *[
        of(f, Z, given={name: 0.7}, n=With(7, (Z[:, :4],)), axis=With(0), output=np.complex64)
        for f, name in (
            (nd.fourier_gaussian, "sigma"),
            (nd.fourier_uniform, "size"),
            (nd.fourier_ellipsoid, "size"),
            (nd.fourier_shift, "shift"),
        )
    ],
    *[
        of(
            f,
            X,
            given={"size": 3},
            **{k: v for k, v in RANKS.items() if k != "size"},
        )
        for f in (nd.maximum_filter, nd.minimum_filter)
    ],
    *[of(f, X, given={"size": 3}, **LINE) for f in (nd.maximum_filter1d, nd.minimum_filter1d)],
    of(nd.rank_filter, X, given={"rank": 1, "size": 2}, **{k: v for k, v in RANKS.items() if k != "size"}),
    of(nd.median_filter, X, given={"size": 3}, **{k: v for k, v in RANKS.items() if k != "size"}),
    of(nd.percentile_filter, X, given={"percentile": 30, "size": 3}, **{k: v for k, v in RANKS.items() if k != "size"}),
    *[
        of(
            f,
            X,
            given={"size": 3},
            footprint=With(FOOT, beside={"size": None}),
            structure=Values(With(W, beside={"size": None}), With(W, beside={"size": None, "footprint": FOOT})),
            **GREY,
        )
        for f in (nd.grey_erosion, nd.grey_dilation)
    ],
    of(
        nd.generic_filter,
        X,
        given={"function": energy, "size": 3},
        footprint=With(FOOT, beside={"size": None}),
        **GREY,
        **BESIDE,
    ),
    of(nd.generic_laplace, X, given={"derivative2": slope}, **BY_AXES),
    of(nd.generic_gradient_magnitude, X, given={"derivative": slope}, **BY_AXES),
    of(
        nd.distance_transform_edt,
        np.array([0.8, 1.1]),
        given={"input": None},
        called=lambda sampling, input=None, **o: (nd.distance_transform_edt(INSIDE, sampling, **o), sampling),
        shown=lambda found: [
            y * 1.0 for y in flatten(found)[0]
        ],  # the places of the background too, whose derivative is zero
        return_distances=With(False, beside={"return_indices": True}),
        return_indices=True,
        distances=With(np.zeros((3, 4)), beside={"return_indices": True}),
        indices=With(np.zeros((2, 3, 4), np.int32), beside={"return_indices": True}),
    ),
    of(nd.geometric_transform, X, given={"mapping": turned}, output_shape=(3, 3), **SPLINE, **BESIDE),
    of(nd.spline_filter1d, X, order=Values(2, 4, 5), axis=0, output=np.float32, mode=Values("reflect", "grid-wrap")),
    of(nd.spline_filter, X, order=Values(2, 4, 5), output=np.float32, mode=Values("reflect", "grid-wrap")),
    of(nd.map_coordinates, X, COORDINATES, **SPLINE),
    of(nd.shift, X, np.array([0.3, -0.6]), **SPLINE),
    of(nd.zoom, X, given={"zoom": (1.5, 1.2)}, grid_mode=With(True, None, {"mode": "grid-constant"}), **SPLINE),
    of(nd.affine_transform, X, MATRIX, offset=np.array([0.3, 0.2]), output_shape=(3, 3), **SPLINE),
    of(nd.rotate, X, given={"angle": 25.0}, axes=With((0, 1)), reshape=False, **SPLINE),
]
