"""Distances between vectors, and between all pairs of the rows of matrices."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special
from scipy.spatial import distance as spatial_distance

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.register import REAL_ONLY, Facts
from dualdiff.rules.distances import distance, squares
from dualdiff.rules.elementwise import cast
from dualdiff.scipy.room import Room, like, rounded_as
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import decided, fixed, operand

ROOM = Room("scipy.spatial.distance")
REAL = Facts(REAL_ONLY)


def _weighted(x: Any, w: Any) -> Any:
    return x if w is None else w * x


def _minkowski(u: Any, v: Any, w: Any = None, p: Any = 2) -> Any:
    d = u - v
    p = fixed(p, "the exponent p of a Minkowski distance")
    if p <= 0:
        raise ValueError("p must be greater than 0")
    if p == 2:
        return distance(np.sum(_weighted(d * d, w), axis=-1))
    if p == np.inf:
        return np.max(np.abs(d if w is None else np.where(np.not_equal(w, 0), d, 0.0)), axis=-1)
    if p == 1:
        return np.sum(_weighted(np.abs(d), w), axis=-1)
    return np.linalg.norm(d if w is None else w ** (1 / p) * d, ord=p, axis=-1)


def _chebyshev(u: Any, v: Any, w: Any = None) -> Any:
    d = np.abs(u - v)
    return np.max(d if w is None else np.where(w > 0, d, 0.0), axis=-1)


def _cosine(u: Any, v: Any, w: Any = None) -> Any:
    uw, vw = _weighted(u, w), _weighted(v, w)
    uv, uu, vv = (np.sum(a * b, axis=-1) for a, b in ((u, vw), (u, uw), (v, vw)))
    return 1.0 - uv / np.sqrt(uu * vv)


def _correlation(u: Any, v: Any, w: Any = None, centered: bool = True) -> Any:
    if w is not None:
        w = w / np.sum(w)
    if centered:
        u, v = (
            x - (np.mean(x, axis=-1, keepdims=True) if w is None else np.sum(w * x, axis=-1, keepdims=True))
            for x in (u, v)
        )
    return _cosine(u, v, w)


def _canberra(u: Any, v: Any, w: Any = None) -> Any:
    size = np.abs(u) + np.abs(v)
    none = fixed(np.equal(size, 0))
    return np.sum(_weighted(np.where(none, 0.0, np.abs(u - v) / np.where(none, 1.0, size)), w), axis=-1)


def _braycurtis(u: Any, v: Any, w: Any = None) -> Any:
    return np.sum(_weighted(np.abs(u - v), w), axis=-1) / np.sum(_weighted(np.abs(u + v), w), axis=-1)


def _jensenshannon(u: Any, v: Any) -> Any:
    p, q = (x / np.sum(x, axis=-1, keepdims=True) for x in (u, v))
    m = (p + q) / 2.0
    both = np.sum(special.rel_entr(p, m), axis=-1) + np.sum(special.rel_entr(q, m), axis=-1)
    return distance(both / 2.0)


def _seuclidean(u: Any, v: Any, V: Any) -> Any:
    d = u - v
    return distance(np.sum(d * d / V, axis=-1))


def _mahalanobis(u: Any, v: Any, VI: Any) -> Any:
    d = u - v
    return distance(np.sum((d @ VI) * d, axis=-1))


METRICS: dict[str, Callable[..., Any]] = {
    "euclidean": _minkowski,
    "sqeuclidean": lambda u, v, w=None: np.sum(_weighted((u - v) * (u - v), w), axis=-1),
    "cityblock": lambda u, v, w=None: np.sum(_weighted(np.abs(u - v), w), axis=-1),
    "chebyshev": _chebyshev,
    "minkowski": _minkowski,
    "cosine": _cosine,
    "correlation": _correlation,
    "canberra": _canberra,
    "braycurtis": _braycurtis,
    "jensenshannon": _jensenshannon,
    "seuclidean": _seuclidean,
    "mahalanobis": _mahalanobis,
}
OPTIONS = {"minkowski": {"p", "w"}, "seuclidean": {"V"}, "mahalanobis": {"VI"}, "jensenshannon": set()}
"""What a metric takes beside the vectors; weights, where nothing is said."""
SHORT = {
    "euclidean": "euclid eu e",
    "sqeuclidean": "sqe sqeuclid",
    "cityblock": "cblock cb c",
    "chebyshev": "chebychev cheby cheb ch",
    "minkowski": "mi m pnorm",
    "cosine": "cos",
    "correlation": "co",
    "jensenshannon": "js",
    "seuclidean": "se s",
    "mahalanobis": "mahal mah",
}
IN_DOUBLE = frozenset(("canberra", "braycurtis"))
"""Metrics of two vectors that SciPy finds in double precision in any case."""
NAMES = {short: name for name in METRICS for short in (name, *SHORT.get(name, "").split())}
COUNTING = "hamming jaccard dice rogerstanimoto russellrao sokalmichener sokalsneath yule kulczynski1"
DISCRETE = frozenset((*COUNTING.split(), "matching", "hamm", "ha", "h", "jacc", "ja", "j"))


def _double(x: Any) -> Any:
    return cast(operand(x), np.float64, copy=False)


def _matrix(x: Any, message: str) -> Any:
    x = _double(x)
    if len(shape_of(x)) != 2:
        raise ValueError(message)
    return x


def _metric(metric: Any, rows: tuple[Any, ...], out: Any, options: dict[str, Any]) -> Callable[[Any, Any], Any]:
    """Return a metric as a function of stacks of vectors; raise what SciPy raises for its options."""
    if out is not None:
        raise UnsupportedFunctionError(
            f"{where()}: out= of scipy.spatial.distance is not supported where a distance is differentiated. Assign the result."
        )
    if callable(metric):
        return lambda u, v: _by_pair(metric, u, v, options)
    if not isinstance(metric, str):
        raise TypeError("2nd argument metric must be a string identifier or a function.")
    name = metric.lower().removeprefix("test_")
    if name in DISCRETE:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.spatial.distance with metric={metric!r} counts entries that are equal, which has no derivative. Use a "
            "metric that measures (cityblock, braycurtis …), or freeze the points with dd.stop_gradient."
        )
    if name not in NAMES:
        raise ValueError(f"Unknown Distance Metric: {metric.lower()}")
    name = NAMES[name]
    unknown = set(options) - OPTIONS.get(name, {"w"}) - ({"centered"} if name == "correlation" else set())
    if unknown:
        raise TypeError(f"{name}() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    options = {key: value for key, value in options.items() if value is not None}
    n = shape_of(rows[0])[1]
    if "w" in options:
        w = options["w"] = _double(options["w"])
        if shape_of(w) != (n,):
            raise ValueError(f"Weights must have same size as input vector. {shape_of(w)[0]} vs. {n}")
        if fixed(np.any(w < 0)):
            raise ValueError("Input weights should be all non-negative")
    if name == "seuclidean":
        options.setdefault("V", None)
        if options["V"] is None:
            options["V"] = np.var(np.concatenate(rows), axis=0, ddof=1)
        V = options["V"] = _double(options["V"])
        if shape_of(V) != (n,):
            raise ValueError("Variance vector V must be one-dimensional, and of the dimension of the vectors.")
    if name == "mahalanobis" and options.get("VI") is None:
        m = sum(shape_of(x)[0] for x in rows)
        if m <= n:
            raise ValueError(
                f"The number of observations ({m}) is too small; the covariance matrix is singular. For observations with {n} "
                f"dimensions, at least {n + 1} observations are required."
            )
        covariance = np.reshape(np.cov(np.swapaxes(np.concatenate(rows), 0, 1)), (n, n))
        options["VI"] = np.swapaxes(np.linalg.inv(covariance), 0, 1)
    return lambda u, v: METRICS[name](u, v, **options)


def _by_pair(metric: Any, u: Any, v: Any, options: dict[str, Any]) -> Any:
    u, v = np.broadcast_arrays(u, v)
    shape = shape_of(u)
    a, b = (np.reshape(x, (-1, shape[-1])) for x in (u, v))
    return np.reshape(np.stack([operand(metric(x, y, **options)) for x, y in zip(a, b)]), shape[:-1])


@ROOM.function("cdist", facts=REAL)
def cdist(XA: Any, XB: Any, metric: Any = "euclidean", *, out: Any = None, **kwargs: Any) -> Any:
    """``scipy.spatial.distance.cdist``: the distances of all pairs of rows of two matrices."""
    a, b = (_matrix(x, f"{name} must be a 2-dimensional array.") for x, name in ((XA, "XA"), (XB, "XB")))
    if shape_of(a)[1] != shape_of(b)[1]:
        raise ValueError("XA and XB must have the same number of columns (i.e. feature dimension.)")
    found = _metric(metric, (a, b), out, kwargs)
    name = NAMES.get(metric.lower()) if isinstance(metric, str) else None
    if name in ("euclidean", "sqeuclidean") and kwargs.get("w") is None:
        squared = squares(a, b)
        return squared if name == "sqeuclidean" else distance(squared)
    return found(a[:, None, :], b[None, :, :])


@ROOM.function("pdist", facts=REAL)
def pdist(X: Any, metric: Any = "euclidean", *, out: Any = None, **kwargs: Any) -> Any:
    """``scipy.spatial.distance.pdist``: the distances of the pairs of rows of one matrix."""
    x = _matrix(X, f"A 2-dimensional array must be passed. (Shape was {shape_of(operand(X))}).")
    i, j = np.triu_indices(shape_of(x)[0], 1)
    return _metric(metric, (x,), out, kwargs)(x[i], x[j])


@ROOM.function("squareform")
def squareform(X: Any, force: str = "no", checks: bool = True) -> Any:
    """``scipy.spatial.distance.squareform``: the two ways to write the distances of all pairs down."""
    x = operand(X)
    shape = shape_of(x)
    if force.lower() == "tomatrix" and len(shape) != 1:
        raise ValueError("Forcing 'tomatrix' but input X is not a distance vector.")
    if force.lower() == "tovector" and len(shape) != 2:
        raise ValueError("Forcing 'tovector' but input X is not a distance matrix.")
    if len(shape) == 1:
        d = int(np.ceil(np.sqrt(shape[0] * 2))) if shape[0] else 1
        if d * (d - 1) != shape[0] * 2:
            raise ValueError(
                "Incompatible vector size. It must be a binomial coefficient n choose 2 for some integer n >= 2."
            )
        places = np.zeros((d, d), int)
        i, j = np.triu_indices(d, 1)
        places[i, j] = places[j, i] = np.arange(1, shape[0] + 1)
        return np.concatenate([np.zeros_like(x, shape=(1,)), x])[places]
    if len(shape) != 2:
        raise ValueError(
            f"The first argument must be one or two dimensional array. A {len(shape)}-dimensional array is not permitted"
        )
    if shape[0] != shape[1]:
        raise ValueError("The matrix argument must be square.")
    if checks and not fixed(np.all(np.equal(x, np.swapaxes(x, 0, 1)))):
        raise ValueError("Distance matrix 'X' must be symmetric.")
    if checks and not fixed(np.all(np.equal(np.diagonal(x), 0))):
        raise ValueError("Distance matrix 'X' diagonal must be zero.")
    return x[np.triu_indices(shape[0], 1)]


# --------------------------------------------------------------------------------------------------
# of two vectors


def _vectors(*given: Any) -> list[Any]:
    vectors = [operand(x) for x in given]
    if any(len(shape_of(x)) != 1 for x in vectors):
        raise ValueError("Input vector should be 1-D.")
    return [x if dtype_of(x).kind in "fc" else cast(x, np.float64) for x in vectors]


def _weights(w: Any) -> Any:
    if w is None:
        return None
    (w,) = _vectors(w)
    if fixed(np.any(w < 0)):
        raise ValueError("Input weights should be all non-negative")
    return w


def _of_two(name: str) -> None:
    @ROOM.function(name, facts=REAL)
    def between(u: Any, v: Any, w: Any = None) -> Any:
        vectors = [_double(x) for x in _vectors(u, v)] if name in IN_DOUBLE else _vectors(u, v)
        return rounded_as(real, METRICS[name](*vectors, w=_weights(w)), u, v, w=w)

    real = getattr(spatial_distance, name)


for _name in ("euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine", "canberra", "braycurtis"):
    _of_two(_name)


@ROOM.function("minkowski", facts=REAL)
def minkowski(u: Any, v: Any, p: Any = 2, w: Any = None) -> Any:
    """``scipy.spatial.distance.minkowski``."""
    a, b = _vectors(u, v)
    return rounded_as(spatial_distance.minkowski, _minkowski(a, b, _weights(w), p), u, v, p=p, w=w)


@ROOM.function("correlation", facts=REAL)
def correlation(u: Any, v: Any, w: Any = None, centered: bool = True) -> Any:
    """``scipy.spatial.distance.correlation``."""
    a, b = _vectors(u, v)
    return rounded_as(spatial_distance.correlation, _correlation(a, b, _weights(w), centered), u, v, w, centered)


@ROOM.function("seuclidean", facts=REAL)
def seuclidean(u: Any, v: Any, V: Any) -> Any:
    """``scipy.spatial.distance.seuclidean``."""
    u, v, V = _vectors(u, v, V)
    if not shape_of(V) == shape_of(u) == shape_of(v):
        raise TypeError("V must be a 1-D array of the same dimension as u and v.")
    return rounded_as(spatial_distance.seuclidean, _seuclidean(u, v, V), u, v, V)


@ROOM.function("mahalanobis", facts=REAL)
def mahalanobis(u: Any, v: Any, VI: Any) -> Any:
    """``scipy.spatial.distance.mahalanobis``."""
    u, v = _vectors(u, v)
    return _mahalanobis(u, v, np.atleast_2d(operand(VI)))


@ROOM.function("jensenshannon", facts=REAL)
def jensenshannon(p: Any, q: Any, base: Any = None, *, axis: int = 0, keepdims: bool = False) -> Any:
    """``scipy.spatial.distance.jensenshannon``."""
    p, q = operand(p), operand(q)
    p, q = p / np.sum(p, axis=axis, keepdims=True), q / np.sum(q, axis=axis, keepdims=True)
    m = (p + q) / 2.0
    both = sum(np.sum(special.rel_entr(x, m), axis=axis, keepdims=keepdims) for x in (p, q))
    return distance((both if base is None else both / np.log(base)) / 2.0)


_COUNTS = "it counts entries that are equal, which has no derivative. Use a distance that measures, as cityblock or braycurtis."


def _hausdorff(*args: Any, **kwargs: Any) -> Any:
    """``scipy.spatial.distance.directed_hausdorff``: the distance of two points, which SciPy finds."""
    given = inspect.signature(spatial_distance.directed_hausdorff).bind(*args, **kwargs).arguments
    u, v = (_matrix(given[k], f"{k} must be a 2-dimensional array.") for k in ("u", "v"))
    rest = {k: w for k, w in given.items() if k not in ("u", "v")}
    _, i, j = spatial_distance.directed_hausdorff(decided(u), decided(v), **rest)
    return distance(squares(u[i : i + 1], v[j : j + 1]))[0, 0], i, j


ROOM.function("directed_hausdorff", facts=REAL)(like(spatial_distance.directed_hausdorff, _hausdorff))
ROOM.refused(COUNTING, _COUNTS)


__all__ = ["cdist", "pdist", "squareform"]
