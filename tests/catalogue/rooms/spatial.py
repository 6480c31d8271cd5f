"""``scipy.spatial.distance``, hulls and diagrams."""

from __future__ import annotations

import numpy as np
import scipy.spatial as spatial
import scipy.spatial.distance as sd

from tests.catalogue.rooms.base import DropIn, Values, With, of

RNG = np.random.default_rng(2)
A, B = RNG.random((3, 3)) + 0.1, RNG.random((2, 3)) + 0.1
SITES = np.random.default_rng(3).random((6, 2))
u, v, w = RNG.random(3) + 0.1, RNG.random(3) + 0.1, RNG.random(3) + 0.1
VI = np.array([[1.0, 0.2, 0.1], [0.2, 1.5, 0.3], [0.1, 0.3, 2.0]])
METRICS = Values(
    *("sqeuclidean", "cityblock", "chebyshev", "minkowski", "cosine", "correlation", "canberra", "braycurtis"),
    *("seuclidean", "jensenshannon", "hamming"),
)

DROP_INS: list[DropIn] = [
    of(sd.cdist, A, B, metric=METRICS, out=np.zeros((3, 2))),
    of(sd.pdist, A, metric=METRICS, out=np.zeros(3)),
    of(sd.squareform, u, force="tomatrix", checks=False),
    *[
        of(f, u, v, w=w)
        for f in (sd.euclidean, sd.sqeuclidean, sd.cityblock, sd.chebyshev, sd.cosine, sd.canberra, sd.braycurtis)
    ],
    of(sd.minkowski, u, v, p=Values(1, 3.5, np.inf), w=w),
    of(sd.correlation, u, v, w=w, centered=False),
    of(sd.seuclidean, u, v, w),
    of(sd.mahalanobis, u, v, VI),
    of(
        spatial.Voronoi,
        SITES,
        called=lambda x, **o: spatial.Voronoi(x, **o).vertices,
        furthest_site=True,
        incremental=With(False),
        qhull_options="Qbb Qc Qz",
    ),
    of(
        spatial.ConvexHull,
        SITES,
        called=lambda x, **o: spatial.ConvexHull(x, **o).volume,
        incremental=With(False),
        qhull_options="Qt",
    ),
    of(sd.jensenshannon, u, v, base=2.0, axis=With(1, (A, A[::-1].copy())), keepdims=True),
]
